/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link state: one word that any thread may read or replace.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "internal.h"

#define WAIT_MS	     9000 /* as in rte_ethdev */
#define WAIT_STEP_MS 100

_Static_assert(sizeof(struct rte_eth_link) == sizeof(uint64_t), "a link state is one word");

bool plx_eth_link_publish(struct plx_eth_dev *dev, const struct rte_eth_link *link)
{
	uint64_t word;

	memcpy(&word, link, sizeof(word));
	return __atomic_exchange_n(&dev->link, word, __ATOMIC_SEQ_CST) != word;
}

/* -EAGAIN: the link is down, as *link says, and may yet come up. */
static int link_look(uint16_t port, struct rte_eth_link *link)
{
	PLX_ETH_LOCKED(dev, port);
	uint64_t word;
	int err = 0;

	if (!dev)
		return -ENODEV;
	/* With the link interrupt on, the last one said how it is. */
	if (dev->running && !dev->conf.intr_conf.lsc)
		err = dev->ops->link_update ? dev->ops->link_update(dev) : -ENOTSUP;
	if (err && err != -EAGAIN)
		return err;
	word = __atomic_load_n(&dev->link, __ATOMIC_SEQ_CST);
	memcpy(link, &word, sizeof(*link));
	return err;
}

int plx_eth_link_get_nowait(uint16_t port, struct rte_eth_link *link)
{
	int err = link ? link_look(port, link) : -EINVAL;

	return err == -EAGAIN ? 0 : err;
}

int plx_eth_link_get(uint16_t port, struct rte_eth_link *link)
{
	int err = link ? link_look(port, link) : -EINVAL;

	/* Nobody is kept from the port meanwhile. */
	for (unsigned int ms = 0; err == -EAGAIN && ms < WAIT_MS; ms += WAIT_STEP_MS) {
		rte_delay_us_sleep(WAIT_STEP_MS * 1000);
		err = link_look(port, link);
	}
	return err == -EAGAIN ? 0 : err;
}

static int link_set(uint16_t port, bool up)
{
	PLX_ETH_LOCKED(dev, port);

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
