/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of ports, and the burst functions that applications reach through it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_string_fns.h>

#include <pollux/log.h>

#include "internal.h"

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct plx_eth_dev *table[PLX_MAX_ETHPORTS];

/* A burst on a port that doesn't run is legal and moves nothing, whatever the queue. */
static void *no_queues[PLX_MAX_QUEUES];

static uint16_t burst_nothing(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	(void)queue;
	(void)pkts;
	(void)count;
	return 0;
}

#define BURST_NOTHING                                                                        \
	{                                                                                    \
		.rx = burst_nothing, .tx = burst_nothing, .rxq = no_queues, .txq = no_queues \
	}

struct plx_eth_burst_ops plx_eth_burst[PLX_MAX_ETHPORTS] = {
	[0 ... PLX_MAX_ETHPORTS - 1] = BURST_NOTHING,
};

_Static_assert(sizeof(struct plx_eth_burst_ops) == RTE_CACHE_LINE_SIZE,
	       "the burst functions of a port fill one cache line");

struct plx_eth_dev *plx_eth_dev_get(uint16_t port)
{
	if (port >= PLX_MAX_ETHPORTS || !table[port] || !table[port]->ready)
		return NULL;
	return table[port];
}

void plx_eth_burst_install(const struct plx_eth_dev *dev)
{
	struct plx_eth_burst_ops *ops = &plx_eth_burst[dev->port];

	/* A function must never meet queues that aren't its own: queues first, functions after. */
	__atomic_store_n(&ops->rxq, (void **)(uintptr_t)dev->rxq, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->txq, (void **)(uintptr_t)dev->txq, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->rx, dev->rx_burst, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->tx, dev->tx_burst, __ATOMIC_RELEASE);
}

void plx_eth_burst_remove(uint16_t port)
{
	struct plx_eth_burst_ops *ops = &plx_eth_burst[port];

	__atomic_store_n(&ops->rx, burst_nothing, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->tx, burst_nothing, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->rxq, no_queues, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->txq, no_queues, __ATOMIC_RELEASE);
}

uint16_t plx_eth_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t count)
{
	const struct plx_eth_dev *dev = plx_eth_dev_get(port);

	if (!dev || !dev->running || queue >= dev->nb_txq) {
		rte_errno = EINVAL;
		return 0;
	}
	return dev->tx_prepare ? dev->tx_prepare(dev->txq[queue], pkts, count) : count;
}

/*
 * For drivers.
 */
int plx_eth_dev_alloc(const char *name, const char *driver_name, int node,
		      const struct plx_eth_ops *ops, void *priv, struct plx_eth_dev **dev)
{
	struct plx_eth_dev *new;
	uint16_t port, slot = PLX_MAX_ETHPORTS;
	int err = 0;

	if (strlen(name) >= sizeof(new->name))
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	rte_strscpy(new->name, name, sizeof(new->name));
	new->driver_name = driver_name;
	new->node = node;
	new->ops = ops;
	new->priv = priv;
	new->mtu = RTE_ETHER_MTU;

	pthread_mutex_lock(&table_lock);
	for (port = PLX_MAX_ETHPORTS; port-- > 0;) {
		if (!table[port])
			slot = port;
		else if (!strcmp(table[port]->name, name))
			err = -EEXIST;
	}
	if (!err && slot == PLX_MAX_ETHPORTS)
		err = -ENOSPC;
	if (!err) {
		new->port = slot;
		table[slot] = new;
	}
	pthread_mutex_unlock(&table_lock);

	if (err) {
		plx_err("%s: no port for it: %s", name,
			err == -EEXIST ? "there is a port of that name"
				       : "all " RTE_STR(PLX_MAX_ETHPORTS) " are in use");
		free(new);
		return err;
	}
	*dev = new;
	return 0;
}

void plx_eth_dev_ready(struct plx_eth_dev *dev)
{
	pthread_mutex_lock(&table_lock);
	dev->ready = true;
	pthread_mutex_unlock(&table_lock);
}

void plx_eth_dev_free(struct plx_eth_dev *dev)
{
	pthread_mutex_lock(&table_lock);
	table[dev->port] = NULL;
	pthread_mutex_unlock(&table_lock);
	plx_eth_callbacks_free(dev);
	free(dev->mc);
	free(dev);
}

/*
 * For applications.
 */
int plx_eth_dev_is_valid_port(uint16_t port)
{
	return plx_eth_dev_get(port) != NULL;
}

uint16_t plx_eth_find_next(uint16_t port)
{
	while (port < PLX_MAX_ETHPORTS && !plx_eth_dev_get(port))
		port++;
	return port;
}

uint16_t plx_eth_dev_count_avail(void)
{
	uint16_t port, count = 0;

	PLX_ETH_FOREACH_DEV(port)
	count++;
	return count;
}

int plx_eth_dev_get_name_by_port(uint16_t port, char *name)
{
	const struct plx_eth_dev *dev = plx_eth_dev_get(port);

	if (!dev)
		return -ENODEV;
	if (!name)
		return -EINVAL;
	strcpy(name, dev->name);
	return 0;
}

int plx_eth_dev_get_port_by_name(const char *name, uint16_t *port)
{
	uint16_t p;

	if (!name || !port)
		return -EINVAL;
	PLX_ETH_FOREACH_DEV(p)
	{
		if (!strcmp(table[p]->name, name)) {
			*port = p;
			return 0;
		}
	}
	return -ENODEV;
}

int plx_eth_dev_socket_id(uint16_t port)
{
	const struct plx_eth_dev *dev = plx_eth_dev_get(port);

	/* SOCKET_ID_ANY is -1 and no error: rte_errno tells the two apart, as in rte_ethdev. */
	rte_errno = dev ? 0 : EINVAL;
	return dev ? dev->node : SOCKET_ID_ANY;
}

int plx_eth_dev_is_removed(uint16_t port)
{
	struct plx_eth_dev *dev = plx_eth_dev_get(port);

	if (!dev)
		return 1;
	return dev->ops->is_removed && dev->ops->is_removed(dev);
}
