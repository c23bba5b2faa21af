/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Intel 82574L gigabit Ethernet: what it can do, and its life as a port.
 *
 * Each start begins with a reset, so that nothing depends on what the device was used for before.
 * Bus mastering is on between start and stop only: outside, no DMA can happen.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "e1000.h"

#define RX_OFFLOADS                                                                                \
	(RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_VLAN_FILTER |                          \
	 RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |                            \
	 RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_KEEP_CRC | \
	 RTE_ETH_RX_OFFLOAD_RSS_HASH)

#define TX_OFFLOADS                                                       \
	(RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | \
	 RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |    \
	 RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE)

static void e1000_info(struct plx_eth_dev *eth, struct rte_eth_dev_info *info)
{
	(void)eth;
	info->max_mtu = E1000_MAX_FRAME - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
	info->min_rx_bufsize = E1000_MIN_BUFSIZE;
	info->max_rx_pktlen = E1000_MAX_FRAME;
	info->max_rx_queues = E1000_QUEUES;
	info->max_tx_queues = E1000_QUEUES;
	info->max_mac_addrs = E1000_RX_ADDRS;
	info->rx_offload_capa = RX_OFFLOADS;
	info->tx_offload_capa = TX_OFFLOADS;
	info->tx_queue_offload_capa = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	info->reta_size = 128;
	info->hash_key_size = 40;
	info->flow_type_rss_offloads = E1000_RSS_TYPES;
	info->rx_desc_lim = (struct rte_eth_desc_lim){ .nb_max = E1000_MAX_DESC,
						       .nb_min = E1000_MIN_DESC,
						       .nb_align = E1000_DESC_ALIGN };
	info->tx_desc_lim = info->rx_desc_lim;
	info->tx_desc_lim.nb_seg_max = E1000_MAX_SEGS;
	info->tx_desc_lim.nb_mtu_seg_max = E1000_MAX_SEGS;
	info->speed_capa = RTE_ETH_LINK_SPEED_10M_HD | RTE_ETH_LINK_SPEED_10M |
			   RTE_ETH_LINK_SPEED_100M_HD | RTE_ETH_LINK_SPEED_100M |
			   RTE_ETH_LINK_SPEED_1G;
}

static int e1000_configure(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;

	if (eth->conf.intr_conf.rxq && !hw->vectors) {
		plx_err("%s: receive interrupts need %u MSI-X vectors, which it hasn't got: poll "
			"the queues instead",
			eth->name, E1000_VECTORS);
		return -ENOTSUP;
	}
	return 0;
}

/* No more DMA, and none pending: only then may buffers be freed. */
static void quiesce(struct e1000 *hw)
{
	e1000_write(hw, E1000_RCTL, 0);
	e1000_write(hw, E1000_TCTL, E1000_TCTL_PSP);
	e1000_flush(hw);
	e1000_stats_collect(hw);
	if (e1000_hw_present(hw))
		e1000_hw_reset(hw);
	plx_pci_set_master(hw->pci, false);
}

/* In the order of 4.6: reset, general, link, receive and transmit set-up, then let go. */
static int e1000_start(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;
	int err;

	err = e1000_hw_reset(hw);
	if (err)
		return err;
	e1000_hw_init(hw);
	e1000_filter_init(hw);
	e1000_rss_init(hw);
	e1000_stats_discard(hw);
	err = hw->link_down ? 0 : e1000_hw_phy_setup(hw, eth->conf.link_speeds);
	if (err)
		return err;
	err = e1000_rx_start(hw);
	if (err)
		return err;
	e1000_tx_start(hw);
	err = plx_pci_set_master(hw->pci, true);
	if (err)
		goto fail;
	err = e1000_intr_start(hw);
	if (err)
		goto fail;
	e1000_tx_enable(hw);
	e1000_rx_enable(hw);
	return 0;
fail:
	quiesce(hw);
	e1000_rx_stop(hw);
	return err;
}

static int e1000_stop(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;

	e1000_intr_stop(hw);
	e1000_tx_drain(hw);
	quiesce(hw);
	e1000_rx_stop(hw);
	e1000_tx_stop(hw);
	hw->link_up = false;
	return 0;
}

static int e1000_reset(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;
	int err = plx_pci_reset(hw->pci);

	/* As after probe. The next start wakes the PHY. */
	memset(hw->stats, 0, sizeof(hw->stats));
	hw->link_down = false;
	return err ? err : e1000_hw_reset(hw);
}

static int e1000_mtu_set(struct plx_eth_dev *eth, uint16_t mtu)
{
	if (mtu == eth->mtu)
		return 0;
	plx_err("%s: stop the port to change its MTU: its buffers are laid out for %u", eth->name,
		eth->mtu);
	return -EBUSY;
}

static bool e1000_is_removed(struct plx_eth_dev *eth)
{
	return !e1000_hw_present(eth->priv);
}

static void e1000_free(struct e1000 *hw)
{
	if (hw->vectors)
		plx_pci_irq_disable(hw->pci);
	hw->pci->priv = NULL;
	pthread_mutex_destroy(&hw->lock);
	pthread_mutex_destroy(&hw->link_lock);
	free(hw);
}

static void e1000_close(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;

	/* Firmware and whoever comes next may have the device [10.2.2.5]. */
	e1000_write(hw, E1000_CTRL_EXT, e1000_read(hw, E1000_CTRL_EXT) & ~E1000_CTRL_EXT_DRV_LOAD);
	e1000_free(hw);
}

static const struct plx_eth_ops e1000_ops = {
	.info = e1000_info,
	.configure = e1000_configure,
	.rxq_setup = e1000_rxq_setup,
	.txq_setup = e1000_txq_setup,
	.rxq_release = e1000_rxq_release,
	.txq_release = e1000_txq_release,
	.start = e1000_start,
	.stop = e1000_stop,
	.reset = e1000_reset,
	.close = e1000_close,
	.is_removed = e1000_is_removed,
	.link_update = e1000_link_update,
	.link_set = e1000_link_set,
	.mtu_set = e1000_mtu_set,
	.mac_set = e1000_mac_set,
	.mc_set = e1000_mc_set,
	.rx_mode = e1000_rx_mode,
	.vlan_filter = e1000_vlan_filter,
	.vlan_offload = e1000_vlan_offload,
	.stats = e1000_stats,
	.stats_reset = e1000_stats_reset,
	.xstats_count = e1000_xstats_count,
	.xstats_name = e1000_xstats_name,
	.xstats = e1000_xstats,
	.rx_intr = e1000_rx_intr,
	.rx_intr_fd = e1000_rx_intr_fd,
};

static int e1000_probe(struct plx_pci *pci)
{
	struct plx_pci_bar bar;
	struct e1000 *hw;
	int err;

	err = plx_pci_bar(pci, 0, E1000_BAR_LEN, &bar);
	if (err)
		return err;
	hw = calloc(1, sizeof(*hw));
	if (!hw)
		return -ENOMEM;
	hw->pci = pci;
	hw->bar = bar;
	pthread_mutex_init(&hw->link_lock, NULL);
	pthread_mutex_init(&hw->lock, NULL);
	err = plx_eth_dev_alloc(pci->name, "pollux_e1000", pci->node, &e1000_ops, hw, &hw->eth);
	if (err)
		goto fail;
	err = e1000_hw_reset(hw);
	if (!err)
		err = e1000_hw_read_mac(hw, &hw->eth->mac[0]);
	if (err) {
		plx_eth_dev_free(hw->eth);
		goto fail;
	}
	e1000_intr_probe(hw);
	e1000_events_probe(hw);
	pci->priv = hw;
	plx_eth_dev_ready(hw->eth);
	return 0;
fail:
	e1000_free(hw);
	return err;
}

/* The application may have closed the port before. */
static void e1000_remove(struct plx_pci *pci)
{
	struct e1000 *hw = pci->priv;

	if (hw)
		plx_eth_dev_destroy(hw->eth);
}

static const struct plx_pci_id e1000_ids[] = {
	PLX_PCI_ID(0x8086, 0x10d3), /* 82574L */
	{ .vendor = 0 },
};

static struct plx_pci_driver e1000_driver = {
	.name = "pollux_e1000",
	.ids = e1000_ids,
	.probe = e1000_probe,
	.remove = e1000_remove,
};

PLX_PCI_DRIVER(e1000_driver)
