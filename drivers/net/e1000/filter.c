/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What gets in, and on which queue [7.1.1, 7.1.11].
 */
#include <errno.h>

#include <rte_ether.h>

#include <pollux/log.h>

#include "e1000.h"

int e1000_mac_set(struct plx_eth_dev *eth, unsigned int index)
{
	struct e1000 *hw = eth->priv;
	const uint8_t *a = eth->mac[index].addr_bytes;
	bool valid = !rte_is_zero_ether_addr(&eth->mac[index]);
	uint32_t low = a[0] | a[1] << 8 | a[2] << 16 | (uint32_t)a[3] << 24;
	uint32_t high = a[4] | a[5] << 8;

	/* Invalid while its halves disagree. */
	e1000_write(hw, E1000_RAH(index), 0);
	e1000_write(hw, E1000_RAL(index), low);
	e1000_write(hw, E1000_RAH(index), valid ? high | E1000_RAH_AV : 0);
	e1000_flush(hw);
	return 0;
}

/* 4,096 bits, picked by bits 47:36 of an address: RCTL.MO is 0 [10.2.5.17]. */
int e1000_mc_set(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;
	uint32_t table[E1000_MTA_WORDS] = { 0 };

	for (uint32_t i = 0; i < eth->nb_mc; i++) {
		const uint8_t *a = eth->mc[i].addr_bytes;
		unsigned int hash = a[4] >> 4 | a[5] << 4;

		table[hash / 32] |= UINT32_C(1) << (hash % 32);
	}
	for (unsigned int i = 0; i < E1000_MTA_WORDS; i++)
		e1000_write(hw, E1000_MTA(i), table[i]);
	e1000_flush(hw);
	return 0;
}

int e1000_rx_mode(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;
	uint32_t rctl = e1000_read(hw, E1000_RCTL) & ~(E1000_RCTL_UPE | E1000_RCTL_MPE);

	if (eth->promisc)
		rctl |= E1000_RCTL_UPE | E1000_RCTL_MPE;
	if (eth->allmulti)
		rctl |= E1000_RCTL_MPE;
	e1000_write(hw, E1000_RCTL, rctl);
	e1000_flush(hw);
	return 0;
}

int e1000_vlan_filter(struct plx_eth_dev *eth, uint16_t id)
{
	struct e1000 *hw = eth->priv;

	e1000_write(hw, E1000_VFTA(id / 32), eth->vlans[id / 32]);
	e1000_flush(hw);
	return 0;
}

/*
 * One switch, CTRL.VME, makes the device both strip tags and insert them. Whether it inserts is
 * the transmit queues' business, too.
 */
int e1000_vlan_offload(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;
	bool strip = eth->rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	uint32_t rctl = e1000_read(hw, E1000_RCTL) & ~E1000_RCTL_VFE;

	if (eth->rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_FILTER)
		rctl |= E1000_RCTL_VFE;
	e1000_write(hw, E1000_RCTL, rctl);
	e1000_hw_ctrl(hw, strip ? 0 : E1000_CTRL_VME, strip ? E1000_CTRL_VME : 0);
	for (uint16_t i = 0; i < eth->nb_txq; i++)
		((struct e1000_txq *)eth->txq[i])->vlan_hw = strip;
	e1000_rx_select(hw);
	return 0;
}

/* After a reset: everything the application asked for so far. */
void e1000_filter_init(struct e1000 *hw)
{
	struct plx_eth_dev *eth = hw->eth;

	for (unsigned int i = 0; i < E1000_RX_ADDRS; i++)
		e1000_mac_set(eth, i);
	e1000_mc_set(eth);
	for (uint16_t id = 0; id < PLX_ETH_VLANS; id += 32)
		e1000_vlan_filter(eth, id);
	if (eth->rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP)
		e1000_hw_ctrl(hw, 0, E1000_CTRL_VME);
}

/* The key of Microsoft's RSS verification suite, which everybody takes for want of a better one. */
static const uint8_t rss_default_key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

/* Two queues, picked by a hash over 128 table entries [7.1.11]. */
void e1000_rss_init(struct e1000 *hw)
{
	struct plx_eth_dev *eth = hw->eth;
	const struct rte_eth_rss_conf *conf = &eth->conf.rx_adv_conf.rss_conf;
	const uint8_t *key = conf->rss_key ? conf->rss_key : rss_default_key;
	uint64_t types = conf->rss_hf ? conf->rss_hf : E1000_RSS_TYPES;
	uint32_t mrqc = E1000_MRQC_RSS, entries = 0;

	if (!(eth->conf.rxmode.mq_mode & RTE_ETH_MQ_RX_RSS_FLAG) || !eth->nb_rxq) {
		e1000_write(hw, E1000_MRQC, 0);
		return;
	}
	for (unsigned int i = 0; i < sizeof(rss_default_key) / 4; i++, key += 4)
		e1000_write(hw, E1000_RSSRK(i),
			    key[0] | key[1] << 8 | key[2] << 16 | (uint32_t)key[3] << 24);
	for (unsigned int i = 0; i < 4; i++)
		entries |= (i % eth->nb_rxq) << E1000_RETA_QUEUE_SHIFT << (8 * i);
	for (unsigned int i = 0; i < 32; i++)
		e1000_write(hw, E1000_RETA(i), entries);

	if (types & RTE_ETH_RSS_IPV4)
		mrqc |= E1000_MRQC_IPV4;
	if (types & RTE_ETH_RSS_NONFRAG_IPV4_TCP)
		mrqc |= E1000_MRQC_TCPIPV4;
	if (types & RTE_ETH_RSS_IPV6)
		mrqc |= E1000_MRQC_IPV6;
	if (types & RTE_ETH_RSS_IPV6_EX)
		mrqc |= E1000_MRQC_IPV6EX;
	if (types & (RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_IPV6_TCP_EX))
		mrqc |= E1000_MRQC_TCPIPV6;
	e1000_write(hw, E1000_MRQC, mrqc);
}
