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

/* Of the pointers in the table and of dev->ready; innermost. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct plx_eth_slot table[PLX_MAX_ETHPORTS] = {
	[0 ... PLX_MAX_ETHPORTS - 1] = { .life = PTHREAD_MUTEX_INITIALIZER,
					 .lock = PTHREAD_MUTEX_INITIALIZER },
};

/* A burst on a port that doesn't run is legal and moves nothing, whatever the queue. */
static void *no_queues[PLX_MAX_QUEUES];

static uint16_t burst_nothing(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	(void)queue;
	(void)pkts;
	(void)count;
	return 0;
}

static uint16_t prepare_nothing(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	rte_errno = EINVAL;
	return burst_nothing(queue, pkts, count);
}

/* For drivers that have nothing to prepare. */
static uint16_t prepare_all(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	(void)queue;
	(void)pkts;
	return count;
}

#define BURST_NOTHING                                                                 \
	{                                                                             \
		.rx = burst_nothing, .tx = burst_nothing, .prepare = prepare_nothing, \
		.rxq = no_queues, .txq = no_queues                                    \
	}

struct plx_eth_burst_ops plx_eth_burst[PLX_MAX_ETHPORTS + 1] = {
	[0 ... PLX_MAX_ETHPORTS] = BURST_NOTHING,
};

_Static_assert(sizeof(struct plx_eth_burst_ops) == RTE_CACHE_LINE_SIZE,
	       "the burst functions of a port fill one cache line");

/* The port's device as of now, or NULL. With one of the slot's locks held it stays. */
static struct plx_eth_dev *look_up(uint16_t port)
{
	struct plx_eth_dev *dev;

	if (port >= PLX_MAX_ETHPORTS)
		return NULL;
	pthread_mutex_lock(&table_lock);
	dev = table[port].dev;
	if (dev && !dev->ready)
		dev = NULL;
	pthread_mutex_unlock(&table_lock);
	return dev;
}

struct plx_eth_slot *plx_eth_slot_lock(uint16_t port)
{
	if (port >= PLX_MAX_ETHPORTS)
		return NULL;
	pthread_mutex_lock(&table[port].lock);
	if (look_up(port))
		return &table[port];
	pthread_mutex_unlock(&table[port].lock);
	return NULL;
}

void plx_eth_slot_unlock(struct plx_eth_slot **slot)
{
	if (*slot)
		pthread_mutex_unlock(&(*slot)->lock);
}

struct plx_eth_slot *plx_eth_slot_lock_life(uint16_t port)
{
	struct plx_eth_slot *slot;

	if (port >= PLX_MAX_ETHPORTS)
		return NULL;
	pthread_mutex_lock(&table[port].life);
	slot = plx_eth_slot_lock(port);
	if (!slot)
		pthread_mutex_unlock(&table[port].life);
	return slot;
}

void plx_eth_slot_unlock_life(struct plx_eth_slot **slot)
{
	plx_eth_slot_unlock(slot);
	if (*slot)
		pthread_mutex_unlock(&(*slot)->life);
}

void plx_eth_pause(const struct plx_eth_dev *dev)
{
	pthread_mutex_unlock(&table[dev->port].lock);
}

void plx_eth_resume(const struct plx_eth_dev *dev)
{
	pthread_mutex_lock(&table[dev->port].lock);
}

void plx_eth_burst_install(const struct plx_eth_dev *dev)
{
	struct plx_eth_burst_ops *ops = &plx_eth_burst[dev->port];

	/* A function must never meet queues that aren't its own: queues first, functions after. */
	__atomic_store_n(&ops->rxq, (void **)(uintptr_t)dev->rxq, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->txq, (void **)(uintptr_t)dev->txq, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->rx, dev->rx_burst, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->tx, dev->tx_burst, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->prepare, dev->tx_prepare ? dev->tx_prepare : prepare_all,
			 __ATOMIC_RELEASE);
}

void plx_eth_burst_remove(uint16_t port)
{
	struct plx_eth_burst_ops *ops = &plx_eth_burst[port];

	__atomic_store_n(&ops->rx, burst_nothing, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->tx, burst_nothing, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->prepare, prepare_nothing, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->rxq, no_queues, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->txq, no_queues, __ATOMIC_RELEASE);
}

uint16_t plx_eth_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t count)
{
	const struct plx_eth_burst_ops *ops;

	if (port >= PLX_MAX_ETHPORTS || queue >= PLX_MAX_QUEUES)
		return prepare_nothing(NULL, pkts, count);
	ops = &plx_eth_burst[port];
	return (ops->txq[queue] ? ops->prepare : prepare_nothing)(ops->txq[queue], pkts, count);
}

/*
 * A device that comes back gets the number it had. Others get one that nobody had, as long as there
 * are any, so that those who went away may come back.
 */
static int choose_slot(const char *name, uint16_t *port)
{
	int best = 0, rank;

	for (uint16_t p = PLX_MAX_ETHPORTS; p-- > 0;) {
		const struct plx_eth_slot *slot = &table[p];

		if (slot->dev && !strcmp(slot->dev->name, name))
			return -EEXIST;
		rank = slot->dev ? 0 : !strcmp(slot->last, name) ? 3 : slot->last[0] ? 1 : 2;
		if (rank && rank >= best) {
			best = rank;
			*port = p;
		}
	}
	return best ? 0 : -ENOSPC;
}

/*
 * For drivers.
 */
int plx_eth_dev_alloc(const char *name, const char *driver_name, int node,
		      const struct plx_eth_ops *ops, void *priv, struct plx_eth_dev **dev)
{
	struct plx_eth_dev *new;
	int err;

	/* A socket's path may be longer than names of ports are: its end tells most. */
	if (strlen(name) >= sizeof(new->name))
		name += strlen(name) - (sizeof(new->name) - 1);
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
	err = choose_slot(name, &new->port);
	if (!err) {
		table[new->port].dev = new;
		strcpy(table[new->port].last, name);
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
	table[dev->port].dev = NULL;
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
	return look_up(port) != NULL;
}

uint16_t plx_eth_find_next(uint16_t port)
{
	while (port < PLX_MAX_ETHPORTS && !look_up(port))
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
	PLX_ETH_LOCKED(dev, port);

	if (!dev)
		return -ENODEV;
	if (!name)
		return -EINVAL;
	strcpy(name, dev->name);
	return 0;
}

int plx_eth_dev_get_port_by_name(const char *name, uint16_t *port)
{
	const struct plx_eth_dev *dev;
	int err = -ENODEV;

	if (!name || !port)
		return -EINVAL;
	pthread_mutex_lock(&table_lock);
	for (uint16_t p = 0; p < PLX_MAX_ETHPORTS && err; p++) {
		dev = table[p].dev;
		if (!dev || !dev->ready || strcmp(dev->name, name))
			continue;
		*port = p;
		err = 0;
	}
	pthread_mutex_unlock(&table_lock);
	return err;
}

int plx_eth_dev_socket_id(uint16_t port)
{
	PLX_ETH_LOCKED(dev, port);

	/* SOCKET_ID_ANY is -1 and no error: rte_errno tells the two apart, as in rte_ethdev. */
	rte_errno = dev ? 0 : EINVAL;
	return dev ? dev->node : SOCKET_ID_ANY;
}

int plx_eth_dev_is_removed(uint16_t port)
{
	PLX_ETH_LOCKED(dev, port);

	if (!dev)
		return 1;
	return __atomic_load_n(&dev->removed, __ATOMIC_ACQUIRE) ||
	       (dev->ops->is_removed && dev->ops->is_removed(dev));
}
