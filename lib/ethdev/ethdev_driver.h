/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of an Ethernet port.
 *
 *   application -- plx_eth_*() --> this library -- struct plx_eth_ops --> driver --> device
 *
 * The library keeps what the application asked for (configuration, addresses, filters, MTU), checks
 * every call against the port's state and capabilities, and calls the driver with arguments that
 * are known to be good. A driver has no state machine of its own: at start it programs the device
 * from struct plx_eth_dev, and while the port runs it is told of each change.
 */
#ifndef PLX_ETHDEV_DRIVER_H
#define PLX_ETHDEV_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include <pollux/ethdev.h>

#define PLX_ETH_MAX_MACS 32
#define PLX_ETH_VLANS	 4096

struct plx_eth_dev;
struct plx_eth_callback;
struct rte_intr_handle;

/* A descriptor that EAL's interrupt thread watches for a port. The library's. */
struct plx_eth_watch {
	struct plx_eth_dev *dev;
	struct rte_intr_handle *handle; /* NULL: none */
	void (*handler)(struct plx_eth_dev *dev);
	bool (*event)(struct plx_eth_dev *dev);
};

/* What an application asked of a queue, checked. */
struct plx_eth_rxq {
	bool ready;
	uint16_t desc;
	int node;
	struct rte_mempool *pool;
	struct rte_eth_rxconf conf; /* offloads: the port's and the queue's together */
};

struct plx_eth_txq {
	bool ready;
	uint16_t desc;
	int node;
	struct rte_eth_txconf conf;
};

typedef uint16_t plx_eth_burst_fn(void *queue, struct rte_mbuf **pkts, uint16_t count);

/*
 * Of one port, one is called at a time; but see plx_eth_intr_detach().
 *
 * All return 0 or a negative errno. An entry that a device has no use for is NULL: the call is then
 * -ENOTSUP, unless said otherwise. "Running" means between start and stop.
 */
struct plx_eth_ops {
	void (*info)(struct plx_eth_dev *dev, struct rte_eth_dev_info *info);

	/* dev->conf has been checked and filled in. May be NULL. */
	int (*configure)(struct plx_eth_dev *dev);
	/*
	 * Make or free what a queue needs, stopped. *queue is what the burst functions get. A queue
	 * set up anew is made before the one in its place is released.
	 */
	int (*rxq_setup)(struct plx_eth_dev *dev, uint16_t index, const struct plx_eth_rxq *conf,
			 void **queue);
	int (*txq_setup)(struct plx_eth_dev *dev, uint16_t index, const struct plx_eth_txq *conf,
			 void **queue);
	void (*rxq_release)(struct plx_eth_dev *dev, void *queue);
	void (*txq_release)(struct plx_eth_dev *dev, void *queue);

	/* start sets dev->rx_burst, dev->tx_burst and dev->tx_prepare. */
	int (*start)(struct plx_eth_dev *dev);
	int (*stop)(struct plx_eth_dev *dev);
	int (*reset)(struct plx_eth_dev *dev); /* stopped */
	/* The last call, stopped and without queues: give the device back. dev goes with it. */
	void (*close)(struct plx_eth_dev *dev);
	bool (*is_removed)(struct plx_eth_dev *dev); /* NULL: never */

	/* Publish the link by plx_eth_link_publish(). -EAGAIN: it is down and may yet come up. */
	int (*link_update)(struct plx_eth_dev *dev);
	int (*link_set)(struct plx_eth_dev *dev, bool up);

	/* Called while running; NULL with dev running is -ENOTSUP, stopped it takes effect at
	 * start. */
	int (*mtu_set)(struct plx_eth_dev *dev, uint16_t mtu);
	int (*mac_set)(struct plx_eth_dev *dev, unsigned int index); /* from dev->mac[index] */
	int (*mc_set)(struct plx_eth_dev *dev);			     /* from dev->mc, dev->nb_mc */
	int (*rx_mode)(struct plx_eth_dev *dev);		  /* dev->promisc, dev->allmulti */
	int (*vlan_filter)(struct plx_eth_dev *dev, uint16_t id); /* from dev->vlans */
	int (*vlan_offload)(struct plx_eth_dev *dev);		  /* from dev->rx_offloads */

	int (*stats)(struct plx_eth_dev *dev, struct rte_eth_stats *stats);
	int (*stats_reset)(struct plx_eth_dev *dev);
	/* The driver's own statistics, beside those every port has. All NULL, or none. */
	unsigned int (*xstats_count)(struct plx_eth_dev *dev);
	const char *(*xstats_name)(struct plx_eth_dev *dev, unsigned int index);
	int (*xstats)(struct plx_eth_dev *dev, uint64_t *values);

	/* Running, configured with intr_conf.rxq. */
	int (*rx_intr)(struct plx_eth_dev *dev, uint16_t index, bool on);
	int (*rx_intr_fd)(struct plx_eth_dev *dev, uint16_t index);
};

struct plx_eth_dev {
	/* Set by plx_eth_dev_alloc(). */
	uint16_t port;
	char name[RTE_ETH_NAME_MAX_LEN];
	const char *driver_name;
	int node;
	const struct plx_eth_ops *ops;
	void *priv; /* the driver's */

	/* Set by the driver, before plx_eth_dev_ready() or at start. */
	uint32_t flags; /* RTE_ETH_DEV_* */
	plx_eth_burst_fn *rx_burst;
	plx_eth_burst_fn *tx_burst;
	plx_eth_burst_fn *tx_prepare; /* NULL: nothing to prepare */

	/* Read-only for drivers. */
	bool ready, configured, running;
	struct rte_eth_conf conf; /* as configured */
	uint8_t rss_key[64];
	uint64_t rx_offloads; /* in force: conf's, and what vlan_offload changed */
	uint64_t tx_offloads;
	uint16_t mtu;
	bool promisc, allmulti;
	uint16_t nb_rxq, nb_txq;
	void *rxq[PLX_MAX_QUEUES];
	void *txq[PLX_MAX_QUEUES];
	struct plx_eth_rxq rxq_conf[PLX_MAX_QUEUES];
	struct plx_eth_txq txq_conf[PLX_MAX_QUEUES];
	struct rte_ether_addr mac[PLX_ETH_MAX_MACS]; /* [0] is the port's own; zero: free */
	struct rte_ether_addr *mc;
	uint32_t nb_mc;
	uint32_t vlans[PLX_ETH_VLANS / 32];

	/* The library's. */
	uint64_t link; /* struct rte_eth_link, atomic */
	bool removed;  /* atomic */
	struct plx_eth_callback *callbacks;
	struct plx_eth_watch intr, events;
};

/*
 * Makes a port that nobody sees yet. The driver sets mac[0] and flags, then calls
 * plx_eth_dev_ready(). Of a name that is longer than a port's may be, its end is the port's.
 * -ENOSPC: no port number left; -EEXIST: a port of that name.
 */
int plx_eth_dev_alloc(const char *name, const char *driver_name, int node,
		      const struct plx_eth_ops *ops, void *priv, struct plx_eth_dev **dev);
void plx_eth_dev_ready(struct plx_eth_dev *dev);

/* For a probe that fails after plx_eth_dev_alloc(). Does not call ops->close. */
void plx_eth_dev_free(struct plx_eth_dev *dev);

/* For a driver's remove: stops the port if it runs, frees its queues and closes it. */
void plx_eth_dev_destroy(struct plx_eth_dev *dev);

/* Makes a link state known. Whether it differs from the last one. Any thread. */
bool plx_eth_link_publish(struct plx_eth_dev *dev, const struct rte_eth_link *link);

/*
 * The device was taken away, or is asked back: the port says so, can't be started any more, and
 * RTE_ETH_EVENT_INTR_RMV is raised. Each time it is called: who registers late hears of it when the
 * device is asked for again.
 */
void plx_eth_dev_removed(struct plx_eth_dev *dev);

/* Calls the application's callbacks for an event. Not from inside a callback's own unregister. */
void plx_eth_dev_event(struct plx_eth_dev *dev, enum rte_eth_event_type event, void *ret_param);

/*
 * Runs handler on EAL's interrupt thread whenever the eventfd fires. The eventfd is read (emptied)
 * before handler is called. One a port.
 */
int plx_eth_intr_attach(struct plx_eth_dev *dev, int eventfd,
			void (*handler)(struct plx_eth_dev *dev));

/*
 * Returns when handler doesn't run any more. From start, stop or close only: meanwhile, other calls
 * of the port may come in, as callbacks make them, except those three, reset, and those that
 * configure the port and its queues.
 */
void plx_eth_intr_detach(struct plx_eth_dev *dev);

/*
 * Runs event on EAL's interrupt thread whenever the descriptor is readable: it takes what there is
 * to take. False: never again. From probe on, before plx_eth_dev_ready(); the library ends it
 * before it calls ops->close.
 */
int plx_eth_events_attach(struct plx_eth_dev *dev, int fd, bool (*event)(struct plx_eth_dev *dev));

static inline bool plx_eth_vlan_is_on(const struct plx_eth_dev *dev, uint16_t id)
{
	return dev->vlans[id / 32] >> (id % 32) & 1;
}

#endif
