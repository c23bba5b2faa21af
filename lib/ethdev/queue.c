/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Setting up queues: everything that can be checked without the device is checked here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_mbuf.h>

#include <pollux/log.h>

#include "internal.h"

#define DEFAULT_DESC 512

/* Puts a queue, or NULL, into a place. The one that is there, if any, goes. */
static void replace(struct plx_eth_dev *dev, void **place, bool taken, void *queue,
		    void (*release)(struct plx_eth_dev *dev, void *queue))
{
	if (taken)
		release(dev, *place);
	*place = queue;
}

void plx_eth_rxqs_release(struct plx_eth_dev *dev, uint16_t first)
{
	for (uint16_t q = first; q < PLX_MAX_QUEUES; q++) {
		replace(dev, &dev->rxq[q], dev->rxq_conf[q].ready, NULL, dev->ops->rxq_release);
		memset(&dev->rxq_conf[q], 0, sizeof(dev->rxq_conf[q]));
	}
}

void plx_eth_txqs_release(struct plx_eth_dev *dev, uint16_t first)
{
	for (uint16_t q = first; q < PLX_MAX_QUEUES; q++) {
		replace(dev, &dev->txq[q], dev->txq_conf[q].ready, NULL, dev->ops->txq_release);
		memset(&dev->txq_conf[q], 0, sizeof(dev->txq_conf[q]));
	}
}

/* Whether the queue ("receive queue 1") may be set up now; and *desc, which 0 leaves to us. */
static int check_queue(const struct plx_eth_dev *dev, const char *what, uint16_t queue,
		       uint16_t count, uint16_t *desc, uint16_t preferred,
		       const struct rte_eth_desc_lim *lim)
{
	if (dev->running) {
		plx_err("%s: stop the port before setting up %s", dev->name, what);
		return -EBUSY;
	}
	if (queue >= count) {
		plx_err("%s: no %s: %u configured", dev->name, what, count);
		return -EINVAL;
	}
	if (!*desc)
		*desc = preferred ? preferred : DEFAULT_DESC;
	if (*desc >= lim->nb_min && *desc <= lim->nb_max &&
	    (!lim->nb_align || *desc % lim->nb_align == 0))
		return 0;
	plx_err("%s: %s: %u descriptors asked for; %u to %u in steps of %u will do", dev->name,
		what, *desc, lim->nb_min, lim->nb_max, lim->nb_align);
	return -EINVAL;
}

/* The pool must be one of packet buffers, each with room for what the device writes at least. */
static int check_pool(const struct plx_eth_dev *dev, const char *what, struct rte_mempool *pool,
		      uint32_t min_bufsize)
{
	uint32_t room;

	if (!pool) {
		plx_err("%s: %s needs a mempool", dev->name, what);
		return -EINVAL;
	}
	if (pool->private_data_size < sizeof(struct rte_pktmbuf_pool_private)) {
		plx_err("%s: %s: mempool %s holds no packet buffers: make it with "
			"rte_pktmbuf_pool_create()",
			dev->name, what, pool->name);
		return -ENOSPC;
	}
	room = rte_pktmbuf_data_room_size(pool);
	if (room < min_bufsize + RTE_PKTMBUF_HEADROOM) {
		plx_err("%s: %s: buffers of mempool %s have %u bytes, %u needed "
			"(%u headroom, %u data)",
			dev->name, what, pool->name, room, min_bufsize + RTE_PKTMBUF_HEADROOM,
			RTE_PKTMBUF_HEADROOM, min_bufsize);
		return -EINVAL;
	}
	return 0;
}

int plx_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t desc, unsigned int socket,
			   const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	PLX_ETH_LIFE_LOCKED(dev, port);
	struct rte_eth_dev_info info;
	struct plx_eth_rxq new = { .ready = true };
	char what[32];
	void *made;
	int err;

	if (!dev)
		return -ENODEV;
	snprintf(what, sizeof(what), "receive queue %u", queue);
	plx_eth_info(dev, &info);
	err = check_queue(dev, what, queue, dev->nb_rxq, &desc, info.default_rxportconf.ring_size,
			  &info.rx_desc_lim);
	if (!err)
		err = check_pool(dev, what, pool, info.min_rx_bufsize);
	if (err)
		return err;

	new.desc = desc;
	new.node = socket == (unsigned int)SOCKET_ID_ANY ? dev->node : (int)socket;
	new.pool = pool;
	new.conf = conf ? *conf : info.default_rxconf;
	if (new.conf.rx_deferred_start || new.conf.rx_nseg || new.conf.rx_nmempool ||
	    new.conf.share_group) {
		plx_err("%s: %s: deferred start, buffer split, several mempools and shared queues "
			"aren't supported",
			dev->name, what);
		return -ENOTSUP;
	}
	/* What the whole port has needs no per-queue capability. */
	err = plx_eth_rx_offloads_check(dev, what, new.conf.offloads & ~dev->rx_offloads,
					info.rx_queue_offload_capa);
	if (err)
		return err;
	new.conf.offloads |= dev->rx_offloads;

	err = dev->ops->rxq_setup(dev, queue, &new, &made);
	if (err)
		return err;
	replace(dev, &dev->rxq[queue], dev->rxq_conf[queue].ready, made, dev->ops->rxq_release);
	dev->rxq_conf[queue] = new;
	return 0;
}

int plx_eth_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t desc, unsigned int socket,
			   const struct rte_eth_txconf *conf)
{
	PLX_ETH_LIFE_LOCKED(dev, port);
	struct rte_eth_dev_info info;
	struct plx_eth_txq new = { .ready = true };
	char what[32];
	void *made;
	int err;

	if (!dev)
		return -ENODEV;
	snprintf(what, sizeof(what), "transmit queue %u", queue);
	plx_eth_info(dev, &info);
	err = check_queue(dev, what, queue, dev->nb_txq, &desc, info.default_txportconf.ring_size,
			  &info.tx_desc_lim);
	if (err)
		return err;

	new.desc = desc;
	new.node = socket == (unsigned int)SOCKET_ID_ANY ? dev->node : (int)socket;
	new.conf = conf ? *conf : info.default_txconf;
	if (new.conf.tx_deferred_start) {
		plx_err("%s: %s: deferred start isn't supported", dev->name, what);
		return -ENOTSUP;
	}
	err = plx_eth_tx_offloads_check(dev, what, new.conf.offloads & ~dev->tx_offloads,
					info.tx_queue_offload_capa);
	if (err)
		return err;
	new.conf.offloads |= dev->tx_offloads;

	err = dev->ops->txq_setup(dev, queue, &new, &made);
	if (err)
		return err;
	replace(dev, &dev->txq[queue], dev->txq_conf[queue].ready, made, dev->ops->txq_release);
	dev->txq_conf[queue] = new;
	return 0;
}

static void adjust(uint16_t *desc, uint16_t preferred, const struct rte_eth_desc_lim *lim)
{
	uint32_t count = *desc ? *desc : (preferred ? preferred : DEFAULT_DESC);

	if (lim->nb_align)
		count = RTE_ALIGN_MUL_CEIL(count, lim->nb_align);
	count = RTE_MIN(count, (uint32_t)lim->nb_max);
	*desc = RTE_MAX(count, (uint32_t)lim->nb_min);
}

int plx_eth_dev_adjust_nb_rx_tx_desc(uint16_t port, uint16_t *rx_desc, uint16_t *tx_desc)
{
	struct rte_eth_dev_info info;
	int err = plx_eth_dev_info_get(port, &info);

	if (err)
		return err;
	if (rx_desc)
		adjust(rx_desc, info.default_rxportconf.ring_size, &info.rx_desc_lim);
	if (tx_desc)
		adjust(tx_desc, info.default_txportconf.ring_size, &info.tx_desc_lim);
	return 0;
}
