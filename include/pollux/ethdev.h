/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ethernet ports and their queues, as applications see them.
 *
 * Names, types and meanings follow DPDK's rte_ethdev (22.11): an application is ported by changing
 * the prefix of its calls. The structures are DPDK's own, so are the mbuf flags and the offload
 * names. What a port can't do is -ENOTSUP, never ignored.
 *
 * Control calls may come from any thread: those of one port wait for each other. A queue belongs to
 * one thread at a time, and the burst functions take no lock: a port must not be started or stopped
 * while somebody is in one of its bursts.
 */
#ifndef POLLUX_ETHDEV_H
#define POLLUX_ETHDEV_H

#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_MAX_ETHPORTS 32
#define PLX_MAX_QUEUES	 16

/*
 * The burst functions of one port, read by every burst: one cache line for both ways, never
 * written while the port runs. Stopped ports have functions that move nothing.
 */
struct plx_eth_burst_ops {
	uint16_t (*rx)(void *rxq, struct rte_mbuf **pkts, uint16_t count);
	uint16_t (*tx)(void *txq, struct rte_mbuf **pkts, uint16_t count);
	uint16_t (*prepare)(void *txq, struct rte_mbuf **pkts, uint16_t count);
	void **rxq;
	void **txq;
} __rte_cache_aligned;

extern struct plx_eth_burst_ops plx_eth_burst[PLX_MAX_ETHPORTS + 1];

/* No port has this number: bursts on it are always legal and move nothing. */
#define PLX_ETH_NOWHERE PLX_MAX_ETHPORTS

/*
 * Takes up to count packets off a receive queue. Returns how many. Port and queue aren't checked.
 */
static inline uint16_t plx_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts,
					uint16_t count)
{
	const struct plx_eth_burst_ops *ops = &plx_eth_burst[port];

	return ops->rx(ops->rxq[queue], pkts, count);
}

/* Gives up to count packets to a transmit queue, which frees those it took when they are sent. */
static inline uint16_t plx_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts,
					uint16_t count)
{
	const struct plx_eth_burst_ops *ops = &plx_eth_burst[port];

	return ops->tx(ops->txq[queue], pkts, count);
}

/*
 * Checks and completes packets for offloads before plx_eth_tx_burst(): pseudo-header checksums
 * where the hardware wants them. Returns how many are fit to be sent; rte_errno tells about the
 * next one.
 */
uint16_t plx_eth_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t count);

/*
 * Ports.
 */
uint16_t plx_eth_dev_count_avail(void);
int plx_eth_dev_is_valid_port(uint16_t port);
uint16_t plx_eth_find_next(uint16_t port);		     /* PLX_MAX_ETHPORTS after the last */
int plx_eth_dev_get_name_by_port(uint16_t port, char *name); /* RTE_ETH_NAME_MAX_LEN bytes */
int plx_eth_dev_get_port_by_name(const char *name, uint16_t *port);
int plx_eth_dev_socket_id(uint16_t port);

#define PLX_ETH_FOREACH_DEV(p) \
	for ((p) = plx_eth_find_next(0); (p) < PLX_MAX_ETHPORTS; (p) = plx_eth_find_next((p) + 1))

int plx_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
int plx_eth_dev_configure(uint16_t port, uint16_t rx_queues, uint16_t tx_queues,
			  const struct rte_eth_conf *conf);
int plx_eth_dev_adjust_nb_rx_tx_desc(uint16_t port, uint16_t *rx_desc, uint16_t *tx_desc);
int plx_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t desc, unsigned int socket,
			   const struct rte_eth_rxconf *conf, struct rte_mempool *pool);
int plx_eth_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t desc, unsigned int socket,
			   const struct rte_eth_txconf *conf);
int plx_eth_dev_start(uint16_t port);
int plx_eth_dev_stop(uint16_t port);
int plx_eth_dev_close(uint16_t port);
int plx_eth_dev_reset(uint16_t port);
int plx_eth_dev_is_removed(uint16_t port);

/*
 * Link, addresses, filters.
 */

/*
 * Of a port with intr_conf.lsc: as last seen, at once, for interrupts tell of changes. Of others:
 * as it is now; plx_eth_link_get() waits up to 9 s for it to come up. A stopped port's link is
 * down.
 */
int plx_eth_link_get(uint16_t port, struct rte_eth_link *link);
int plx_eth_link_get_nowait(uint16_t port, struct rte_eth_link *link);
int plx_eth_dev_set_link_up(uint16_t port);
int plx_eth_dev_set_link_down(uint16_t port);
int plx_eth_macaddr_get(uint16_t port, struct rte_ether_addr *addr);
int plx_eth_dev_default_mac_addr_set(uint16_t port, struct rte_ether_addr *addr);
int plx_eth_dev_mac_addr_add(uint16_t port, struct rte_ether_addr *addr, uint32_t pool);
int plx_eth_dev_mac_addr_remove(uint16_t port, struct rte_ether_addr *addr);
int plx_eth_dev_set_mc_addr_list(uint16_t port, struct rte_ether_addr *addrs, uint32_t count);
int plx_eth_promiscuous_enable(uint16_t port);
int plx_eth_promiscuous_disable(uint16_t port);
int plx_eth_promiscuous_get(uint16_t port);
int plx_eth_allmulticast_enable(uint16_t port);
int plx_eth_allmulticast_disable(uint16_t port);
int plx_eth_allmulticast_get(uint16_t port);
int plx_eth_dev_get_mtu(uint16_t port, uint16_t *mtu);
int plx_eth_dev_set_mtu(uint16_t port, uint16_t mtu);
int plx_eth_dev_vlan_filter(uint16_t port, uint16_t vlan_id, int on);
int plx_eth_dev_set_vlan_offload(uint16_t port, int mask);
int plx_eth_dev_get_vlan_offload(uint16_t port);

/*
 * Statistics.
 */
int plx_eth_stats_get(uint16_t port, struct rte_eth_stats *stats);
int plx_eth_stats_reset(uint16_t port);
int plx_eth_xstats_get_names(uint16_t port, struct rte_eth_xstat_name *names, unsigned int size);
int plx_eth_xstats_get(uint16_t port, struct rte_eth_xstat *xstats, unsigned int n);
int plx_eth_xstats_reset(uint16_t port);

/*
 * Interrupts. Event callbacks run on EAL's interrupt thread, without a lock. They must not
 * configure, start, stop, reset or close their port, nor set up its queues: that could wait for the
 * callback to return.
 *
 * RTE_ETH_EVENT_INTR_RMV: the device is gone, or asked back by somebody who waits. The port still
 * stops and closes, soon please, and its device has to be let go of (plx_pci_detach()).
 * RTE_ETH_EVENT_INTR_RESET: a bus error stopped it, the port needs plx_eth_dev_reset().
 */
int plx_eth_dev_callback_register(uint16_t port, enum rte_eth_event_type event,
				  rte_eth_dev_cb_fn cb, void *arg);
int plx_eth_dev_callback_unregister(uint16_t port, enum rte_eth_event_type event,
				    rte_eth_dev_cb_fn cb, void *arg);
int plx_eth_dev_rx_intr_enable(uint16_t port, uint16_t queue);
int plx_eth_dev_rx_intr_disable(uint16_t port, uint16_t queue);
int plx_eth_dev_rx_intr_ctl_q_get_fd(uint16_t port, uint16_t queue); /* eventfd, or -errno */

#ifdef __cplusplus
}
#endif

#endif
