/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port's life: configure -> set up queues -> start <-> stop -> close, as in rte_ethdev.
 *
 * Configuring and setting up queues need a stopped port; closing does, too. A failed call leaves
 * the port in the state it was in.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_ether.h>

#include <pollux/log.h>

#include "internal.h"

void plx_eth_info(struct plx_eth_dev *dev, struct rte_eth_dev_info *info)
{
	memset(info, 0, sizeof(*info));
	info->min_mtu = RTE_ETHER_MIN_LEN - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
	info->max_mtu = UINT16_MAX;
	info->max_mac_addrs = 1;
	info->default_rxportconf = (struct rte_eth_dev_portconf){ 32, 512, 1 };
	info->default_txportconf = info->default_rxportconf;
	info->rx_desc_lim = (struct rte_eth_desc_lim){ .nb_max = UINT16_MAX, .nb_align = 1 };
	info->tx_desc_lim = info->rx_desc_lim;
	dev->ops->info(dev, info);

	info->max_rx_queues = RTE_MIN(info->max_rx_queues, PLX_MAX_QUEUES);
	info->max_tx_queues = RTE_MIN(info->max_tx_queues, PLX_MAX_QUEUES);
	info->max_mac_addrs = RTE_MIN(info->max_mac_addrs, (uint32_t)PLX_ETH_MAX_MACS);
	info->driver_name = dev->driver_name;
	info->dev_flags = &dev->flags;
	info->nb_rx_queues = dev->nb_rxq;
	info->nb_tx_queues = dev->nb_txq;
}

int plx_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
	PLX_ETH_LOCKED(dev, port);

	if (!dev)
		return -ENODEV;
	if (!info)
		return -EINVAL;
	plx_eth_info(dev, info);
	return 0;
}

static int check_rss(const struct plx_eth_dev *dev, const struct rte_eth_dev_info *info,
		     const struct rte_eth_conf *conf)
{
	const struct rte_eth_rss_conf *rss = &conf->rx_adv_conf.rss_conf;
	bool on = conf->rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG;

	if (conf->rxmode.mq_mode & ~(unsigned int)RTE_ETH_MQ_RX_RSS_FLAG) {
		plx_err("%s: receive multi-queue mode %d: only none and RSS are there", dev->name,
			conf->rxmode.mq_mode);
		return -EINVAL;
	}
	if (conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH && !on) {
		plx_err("%s: RTE_ETH_RX_OFFLOAD_RSS_HASH needs rxmode.mq_mode RTE_ETH_MQ_RX_RSS",
			dev->name);
		return -EINVAL;
	}
	if (!on)
		return 0;
	if (rss->rss_hf & ~info->flow_type_rss_offloads) {
		plx_err("%s: RSS over flow types 0x%" PRIx64 " asked for, it can do 0x%" PRIx64,
			dev->name, rss->rss_hf, info->flow_type_rss_offloads);
		return -EINVAL;
	}
	if (rss->rss_key &&
	    (rss->rss_key_len != info->hash_key_size || rss->rss_key_len > sizeof(dev->rss_key))) {
		plx_err("%s: the RSS key has %u bytes, it takes %u", dev->name, rss->rss_key_len,
			info->hash_key_size);
		return -EINVAL;
	}
	return 0;
}

static int check_conf(const struct plx_eth_dev *dev, const struct rte_eth_dev_info *info,
		      uint16_t nb_rxq, uint16_t nb_txq, const struct rte_eth_conf *conf)
{
	int err;

	if (nb_rxq > info->max_rx_queues || nb_txq > info->max_tx_queues) {
		plx_err("%s: %u receive and %u transmit queues asked for, it has %u and %u",
			dev->name, nb_rxq, nb_txq, info->max_rx_queues, info->max_tx_queues);
		return -EINVAL;
	}
	if (conf->intr_conf.lsc && !(dev->flags & RTE_ETH_DEV_INTR_LSC)) {
		plx_err("%s: no link interrupt to be had: poll the link instead", dev->name);
		return -EINVAL;
	}
	if (conf->intr_conf.rmv && !(dev->flags & RTE_ETH_DEV_INTR_RMV)) {
		plx_err("%s: no removal interrupt to be had", dev->name);
		return -EINVAL;
	}
	if (conf->intr_conf.rxq && !dev->ops->rx_intr) {
		plx_err("%s: no receive interrupts to be had", dev->name);
		return -ENOTSUP;
	}
	if (conf->lpbk_mode || conf->dcb_capability_en ||
	    conf->txmode.mq_mode != RTE_ETH_MQ_TX_NONE) {
		plx_err("%s: loop-back, DCB and VMDq aren't supported", dev->name);
		return -ENOTSUP;
	}
	if (conf->rxmode.mtu &&
	    (conf->rxmode.mtu < info->min_mtu || conf->rxmode.mtu > info->max_mtu)) {
		plx_err("%s: MTU %u is outside %u to %u", dev->name, conf->rxmode.mtu,
			info->min_mtu, info->max_mtu);
		return -EINVAL;
	}
	if (conf->link_speeds & RTE_ETH_LINK_SPEED_FIXED || conf->link_speeds & ~info->speed_capa) {
		plx_err("%s: link_speeds 0x%x: it negotiates among 0x%x, and nothing is fixed",
			dev->name, conf->link_speeds, info->speed_capa);
		return -EINVAL;
	}
	err = plx_eth_rx_offloads_check(dev, "receive", conf->rxmode.offloads,
					info->rx_offload_capa);
	if (!err)
		err = plx_eth_tx_offloads_check(dev, "transmit", conf->txmode.offloads,
						info->tx_offload_capa);
	return err ? err : check_rss(dev, info, conf);
}

int plx_eth_dev_configure(uint16_t port, uint16_t rx_queues, uint16_t tx_queues,
			  const struct rte_eth_conf *conf)
{
	PLX_ETH_LIFE_LOCKED(dev, port);
	struct rte_eth_dev_info info;
	struct rte_eth_conf before;
	uint64_t rx_before, tx_before;
	uint16_t mtu_before;
	int err;

	if (!dev)
		return -ENODEV;
	if (!conf)
		return -EINVAL;
	if (dev->running) {
		plx_err("%s: stop the port before configuring it", dev->name);
		return -EBUSY;
	}
	plx_eth_info(dev, &info);
	if (!rx_queues && !tx_queues) {
		rx_queues = info.default_rxportconf.nb_queues;
		tx_queues = info.default_txportconf.nb_queues;
	}
	err = check_conf(dev, &info, rx_queues, tx_queues, conf);
	if (err)
		return err;

	before = dev->conf;
	rx_before = dev->rx_offloads;
	tx_before = dev->tx_offloads;
	mtu_before = dev->mtu;
	dev->conf = *conf;
	dev->conf.rxmode.mtu = conf->rxmode.mtu ? conf->rxmode.mtu : RTE_ETHER_MTU;
	dev->mtu = dev->conf.rxmode.mtu;
	dev->rx_offloads = conf->rxmode.offloads;
	dev->tx_offloads = conf->txmode.offloads;
	err = dev->ops->configure ? dev->ops->configure(dev) : 0;
	if (err) {
		dev->conf = before;
		dev->rx_offloads = rx_before;
		dev->tx_offloads = tx_before;
		dev->mtu = mtu_before;
		return err;
	}

	/* The application's key may be gone by the time it is needed: keep a copy. */
	if (conf->rx_adv_conf.rss_conf.rss_key) {
		memcpy(dev->rss_key, conf->rx_adv_conf.rss_conf.rss_key, info.hash_key_size);
		dev->conf.rx_adv_conf.rss_conf.rss_key = dev->rss_key;
	}
	plx_eth_rxqs_release(dev, rx_queues);
	plx_eth_txqs_release(dev, tx_queues);
	dev->nb_rxq = rx_queues;
	dev->nb_txq = tx_queues;
	dev->configured = true;
	return 0;
}

int plx_eth_dev_start(uint16_t port)
{
	PLX_ETH_LIFE_LOCKED(dev, port);
	int err;

	if (!dev)
		return -ENODEV;
	if (!dev->configured) {
		plx_err("%s: configure the port before starting it", dev->name);
		return -EINVAL;
	}
	if (dev->running)
		return 0;
	if (__atomic_load_n(&dev->removed, __ATOMIC_ACQUIRE)) {
		plx_err("%s: the device was taken away: close the port", dev->name);
		return -ENODEV;
	}
	for (uint16_t q = 0; q < dev->nb_rxq; q++) {
		if (!dev->rxq_conf[q].ready) {
			plx_err("%s: receive queue %u is not set up", dev->name, q);
			return -EINVAL;
		}
	}
	for (uint16_t q = 0; q < dev->nb_txq; q++) {
		if (!dev->txq_conf[q].ready) {
			plx_err("%s: transmit queue %u is not set up", dev->name, q);
			return -EINVAL;
		}
	}
	err = dev->ops->start(dev);
	if (err)
		return err;
	dev->running = true;
	plx_eth_burst_install(dev);
	if (dev->ops->link_update)
		dev->ops->link_update(dev);
	return 0;
}

static int dev_stop(struct plx_eth_dev *dev)
{
	struct rte_eth_link down = { 0 };
	int err;

	if (!dev->running)
		return 0;
	plx_eth_burst_remove(dev->port);
	dev->running = false;
	err = dev->ops->stop(dev);
	/* Only now is there no interrupt of the driver's that could say otherwise. */
	plx_eth_link_publish(dev, &down);
	return err;
}

int plx_eth_dev_stop(uint16_t port)
{
	PLX_ETH_LIFE_LOCKED(dev, port);

	return dev ? dev_stop(dev) : -ENODEV;
}

static void dev_close(struct plx_eth_dev *dev)
{
	plx_eth_events_detach(dev);
	plx_eth_rxqs_release(dev, 0);
	plx_eth_txqs_release(dev, 0);
	dev->ops->close(dev);
	plx_eth_dev_free(dev);
}

int plx_eth_dev_close(uint16_t port)
{
	PLX_ETH_LIFE_LOCKED(dev, port);

	if (!dev)
		return -ENODEV;
	if (dev->running) {
		plx_err("%s: stop the port before closing it", dev->name);
		return -EINVAL;
	}
	dev_close(dev);
	return 0;
}

void plx_eth_dev_destroy(struct plx_eth_dev *dev)
{
	PLX_ETH_LIFE_LOCKED(same, dev->port);

	dev_stop(same);
	dev_close(same);
}

int plx_eth_dev_reset(uint16_t port)
{
	PLX_ETH_LIFE_LOCKED(dev, port);
	int err;

	if (!dev)
		return -ENODEV;
	if (!dev->ops->reset)
		return -ENOTSUP;
	err = dev_stop(dev);
	if (err)
		plx_warn("%s: stopping before the reset failed (%s); resetting all the same",
			 dev->name, strerror(-err));
	err = dev->ops->reset(dev);
	if (err)
		return err;
	/* As after probe: what was configured has to be configured again. */
	plx_eth_rxqs_release(dev, 0);
	plx_eth_txqs_release(dev, 0);
	dev->nb_rxq = 0;
	dev->nb_txq = 0;
	dev->configured = false;
	return 0;
}
