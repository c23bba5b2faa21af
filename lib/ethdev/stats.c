/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics. The named ones are those that every port has, one a queue and direction, then the
 * driver's; ids count through in that order.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_string_fns.h>

#include "internal.h"

static const struct {
	const char *name;
	size_t offset;
} basic[] = {
	{ "rx_good_packets", offsetof(struct rte_eth_stats, ipackets) },
	{ "tx_good_packets", offsetof(struct rte_eth_stats, opackets) },
	{ "rx_good_bytes", offsetof(struct rte_eth_stats, ibytes) },
	{ "tx_good_bytes", offsetof(struct rte_eth_stats, obytes) },
	{ "rx_missed_errors", offsetof(struct rte_eth_stats, imissed) },
	{ "rx_errors", offsetof(struct rte_eth_stats, ierrors) },
	{ "tx_errors", offsetof(struct rte_eth_stats, oerrors) },
	{ "rx_mbuf_allocation_errors", offsetof(struct rte_eth_stats, rx_nombuf) },
};

_Static_assert(PLX_MAX_QUEUES <= RTE_ETHDEV_QUEUE_STAT_CNTRS, "rte_eth_stats has all our queues");

int plx_eth_stats(struct plx_eth_dev *dev, struct rte_eth_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	return dev->ops->stats ? dev->ops->stats(dev, stats) : -ENOTSUP;
}

int plx_eth_stats_get(uint16_t port, struct rte_eth_stats *stats)
{
	PLX_ETH_LOCKED(dev, port);

	if (!dev)
		return -ENODEV;
	return stats ? plx_eth_stats(dev, stats) : -EINVAL;
}

int plx_eth_stats_reset(uint16_t port)
{
	PLX_ETH_LOCKED(dev, port);

	if (!dev)
		return -ENODEV;
	return dev->ops->stats_reset ? dev->ops->stats_reset(dev) : -ENOTSUP;
}

static unsigned int driver_count(struct plx_eth_dev *dev)
{
	return dev->ops->xstats_count ? dev->ops->xstats_count(dev) : 0;
}

static unsigned int xstats_count(struct plx_eth_dev *dev)
{
	return RTE_DIM(basic) + dev->nb_rxq + dev->nb_txq + driver_count(dev);
}

int plx_eth_xstats_get_names(uint16_t port, struct rte_eth_xstat_name *names, unsigned int size)
{
	PLX_ETH_LOCKED(dev, port);
	unsigned int count, own, n = 0;

	if (!dev)
		return -ENODEV;
	count = xstats_count(dev);
	if (!names || size < count)
		return count;
	for (size_t i = 0; i < RTE_DIM(basic); i++)
		rte_strscpy(names[n++].name, basic[i].name, RTE_ETH_XSTATS_NAME_SIZE);
	for (uint16_t q = 0; q < dev->nb_rxq; q++)
		snprintf(names[n++].name, RTE_ETH_XSTATS_NAME_SIZE, "rx_q%u_packets", q);
	for (uint16_t q = 0; q < dev->nb_txq; q++)
		snprintf(names[n++].name, RTE_ETH_XSTATS_NAME_SIZE, "tx_q%u_packets", q);
	own = driver_count(dev);
	for (unsigned int i = 0; i < own; i++)
		rte_strscpy(names[n++].name, dev->ops->xstats_name(dev, i),
			    RTE_ETH_XSTATS_NAME_SIZE);
	return count;
}

int plx_eth_xstats_get(uint16_t port, struct rte_eth_xstat *xstats, unsigned int size)
{
	PLX_ETH_LOCKED(dev, port);
	unsigned int count, own, n = 0;
	struct rte_eth_stats stats;
	uint64_t *values;
	int err;

	if (!dev)
		return -ENODEV;
	count = xstats_count(dev);
	if (!xstats || size < count)
		return count;
	err = plx_eth_stats(dev, &stats);
	if (err)
		return err;
	for (size_t i = 0; i < RTE_DIM(basic); i++)
		memcpy(&xstats[n++].value, (const char *)&stats + basic[i].offset,
		       sizeof(uint64_t));
	for (uint16_t q = 0; q < dev->nb_rxq; q++)
		xstats[n++].value = stats.q_ipackets[q];
	for (uint16_t q = 0; q < dev->nb_txq; q++)
		xstats[n++].value = stats.q_opackets[q];
	own = driver_count(dev);
	if (own) {
		values = calloc(own, sizeof(*values));
		if (!values)
			return -ENOMEM;
		err = dev->ops->xstats(dev, values);
		for (unsigned int i = 0; i < own; i++)
			xstats[n++].value = values[i];
		free(values);
		if (err)
			return err;
	}
	for (unsigned int i = 0; i < count; i++)
		xstats[i].id = i;
	return count;
}

int plx_eth_xstats_reset(uint16_t port)
{
	return plx_eth_stats_reset(port);
}
