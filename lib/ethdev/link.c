/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link state: one word that any thread may read or replace.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

_Static_assert(sizeof(struct rte_eth_link) == sizeof(uint64_t), "a link state is one word");

bool plx_eth_link_publish(struct plx_eth_dev *dev, const struct rte_eth_link *link)
{
	uint64_t word;

	memcpy(&word, link, sizeof(word));
	return __atomic_exchange_n(&dev->link, word, __ATOMIC_SEQ_CST) != word;
}

static int link_get(uint16_t port, struct rte_eth_link *link, bool wait)
{
	struct plx_eth_dev *dev = plx_eth_dev_get(port);
	uint64_t word;
	int err;

	if (!dev)
		return -ENODEV;
	if (!link)
		return -EINVAL;
	/* With the link interrupt on, the last one said how it is. */
	if (dev->running && !dev->conf.intr_conf.lsc) {
		if (!dev->ops->link_update)
			return -ENOTSUP;
		err = dev->ops->link_update(dev, wait);
		if (err)
			return err;
	}
	word = __atomic_load_n(&dev->link, __ATOMIC_SEQ_CST);
	memcpy(link, &word, sizeof(*link));
	return 0;
}

int plx_eth_link_get(uint16_t port, struct rte_eth_link *link)
{
	return link_get(port, link, true);
}

int plx_eth_link_get_nowait(uint16_t port, struct rte_eth_link *link)
{
	return link_get(port, link, false);
}

static int link_set(uint16_t port, bool up)
{
	struct plx_eth_dev *dev = plx_eth_dev_get(port);

	if (!dev)
		return -ENODEV;
	return dev->ops->link_set ? dev->ops->link_set(dev, up) : -ENOTSUP;
}

int plx_eth_dev_set_link_up(uint16_t port)
{
	return link_set(port, true);
}

int plx_eth_dev_set_link_down(uint16_t port)
{
	return link_set(port, false);
}
