/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a port lets in: addresses, promiscuous modes, MTU, VLANs. A change on a stopped port is
 * remembered and takes effect at start; on a running one the driver is told, and if it refuses the
 * port stays as it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>

#include <pollux/log.h>

#include "internal.h"

/* Has the driver carry out a change, if the port runs. */
#define TELL(dev, op, ...) \
	(!(dev)->running ? 0 : !(dev)->ops->op ? -ENOTSUP : (dev)->ops->op((dev), ##__VA_ARGS__))

static int mac_find(const struct plx_eth_dev *dev, const struct rte_ether_addr *addr)
{
	for (int i = 0; i < PLX_ETH_MAX_MACS; i++) {
		if (rte_is_same_ether_addr(&dev->mac[i], addr))
			return i;
	}
	return -1;
}

static int mac_change(struct plx_eth_dev *dev, unsigned int index,
		      const struct rte_ether_addr *addr)
{
	struct rte_ether_addr before = dev->mac[index];
	int err;

	dev->mac[index] = *addr;
	err = TELL(dev, mac_set, index);
	if (err)
		dev->mac[index] = before;
	return err;
}

int plx_eth_macaddr_get(uint16_t port, struct rte_ether_addr *addr)
{
	PLX_ETH_LOCKED(dev, port);

	if (!dev)
		return -ENODEV;
	if (!addr)
		return -EINVAL;
	*addr = dev->mac[0];
	return 0;
}

int plx_eth_dev_default_mac_addr_set(uint16_t port, struct rte_ether_addr *addr)
{
	PLX_ETH_LOCKED(dev, port);

	if (!dev)
		return -ENODEV;
	if (!addr || !rte_is_valid_assigned_ether_addr(addr))
		return -EINVAL;
	if (!dev->ops->mac_set)
		return -ENOTSUP;
	return mac_change(dev, 0, addr);
}

int plx_eth_dev_mac_addr_add(uint16_t port, struct rte_ether_addr *addr, uint32_t pool)
{
	static const struct rte_ether_addr none;
	PLX_ETH_LOCKED(dev, port);
	struct rte_eth_dev_info info;
	int index;

	if (!dev)
		return -ENODEV;
	if (!dev->ops->mac_set)
		return -ENOTSUP;
	if (!addr || pool || rte_is_zero_ether_addr(addr))
		return -EINVAL;
	if (mac_find(dev, addr) >= 0)
		return 0;
	plx_eth_info(dev, &info);
	index = mac_find(dev, &none);
	if (index < 0 || (uint32_t)index >= info.max_mac_addrs) {
		plx_err("%s: all %u address filters are in use", dev->name, info.max_mac_addrs);
		return -ENOSPC;
	}
	return mac_change(dev, index, addr);
}

int plx_eth_dev_mac_addr_remove(uint16_t port, struct rte_ether_addr *addr)
{
	static const struct rte_ether_addr none;
	PLX_ETH_LOCKED(dev, port);
	int index;

	if (!dev)
		return -ENODEV;
	if (!dev->ops->mac_set)
		return -ENOTSUP;
	if (!addr || rte_is_zero_ether_addr(addr))
		return -EINVAL;
	index = mac_find(dev, addr);
	if (index == 0) {
		plx_err("%s: the port's own address can be changed, not removed", dev->name);
		return -EADDRINUSE;
	}
	return index < 0 ? 0 : mac_change(dev, index, &none);
}

int plx_eth_dev_set_mc_addr_list(uint16_t port, struct rte_ether_addr *addrs, uint32_t count)
{
	PLX_ETH_LOCKED(dev, port);
	struct rte_ether_addr *before, *list = NULL;
	uint32_t nb_before;
	int err;

	if (!dev)
		return -ENODEV;
	if (!dev->ops->mc_set)
		return -ENOTSUP;
	if (count && !addrs)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (!rte_is_multicast_ether_addr(&addrs[i]))
			return -EINVAL;
	}
	if (count) {
		list = malloc(count * sizeof(*list));
		if (!list)
			return -ENOMEM;
		memcpy(list, addrs, count * sizeof(*list));
	}
	before = dev->mc;
	nb_before = dev->nb_mc;
	dev->mc = list;
	dev->nb_mc = count;
	err = TELL(dev, mc_set);
	if (err) {
		dev->mc = before;
		dev->nb_mc = nb_before;
		free(list);
		return err;
	}
	free(before);
	return 0;
}

static int rx_mode_change(uint16_t port, bool multi, bool on)
{
	PLX_ETH_LOCKED(dev, port);
	bool *mode, before;
	int err;

	if (!dev)
		return -ENODEV;
	if (!dev->ops->rx_mode)
		return -ENOTSUP;
	mode = multi ? &dev->allmulti : &dev->promisc;
	before = *mode;
	*mode = on;
	err = before == on ? 0 : TELL(dev, rx_mode);
	if (err)
		*mode = before;
	return err;
}

int plx_eth_promiscuous_enable(uint16_t port)
{
	return rx_mode_change(port, false, true);
}

int plx_eth_promiscuous_disable(uint16_t port)
{
	return rx_mode_change(port, false, false);
}

int plx_eth_promiscuous_get(uint16_t port)
{
	PLX_ETH_LOCKED(dev, port);

	return dev ? dev->promisc : -ENODEV;
}

int plx_eth_allmulticast_enable(uint16_t port)
{
	return rx_mode_change(port, true, true);
}

int plx_eth_allmulticast_disable(uint16_t port)
{
	return rx_mode_change(port, true, false);
}

int plx_eth_allmulticast_get(uint16_t port)
{
	PLX_ETH_LOCKED(dev, port);

	return dev ? dev->allmulti : -ENODEV;
}

int plx_eth_dev_get_mtu(uint16_t port, uint16_t *mtu)
{
	PLX_ETH_LOCKED(dev, port);

	if (!dev)
		return -ENODEV;
	if (!mtu)
		return -EINVAL;
	*mtu = dev->mtu;
	return 0;
}

int plx_eth_dev_set_mtu(uint16_t port, uint16_t mtu)
{
	PLX_ETH_LOCKED(dev, port);
	struct rte_eth_dev_info info;
	int err;

	if (!dev)
		return -ENODEV;
	plx_eth_info(dev, &info);
	if (mtu < info.min_mtu || mtu > info.max_mtu) {
		plx_err("%s: MTU %u is outside %u to %u", dev->name, mtu, info.min_mtu,
			info.max_mtu);
		return -EINVAL;
	}
	if (!dev->configured) {
		plx_err("%s: configure the port before setting its MTU", dev->name);
		return -EINVAL;
	}
	err = TELL(dev, mtu_set, mtu);
	if (!err)
		dev->mtu = mtu;
	return err;
}

int plx_eth_dev_vlan_filter(uint16_t port, uint16_t vlan_id, int on)
{
	PLX_ETH_LOCKED(dev, port);
	uint32_t before, bit = UINT32_C(1) << (vlan_id % 32);
	int err;

	if (!dev)
		return -ENODEV;
	if (vlan_id >= PLX_ETH_VLANS)
		return -EINVAL;
	if (!(dev->rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_FILTER)) {
		plx_err("%s: VLAN filtering is off: configure RTE_ETH_RX_OFFLOAD_VLAN_FILTER",
			dev->name);
		return -ENOSYS;
	}
	before = dev->vlans[vlan_id / 32];
	dev->vlans[vlan_id / 32] = on ? before | bit : before & ~bit;
	err = TELL(dev, vlan_filter, vlan_id);
	if (err)
		dev->vlans[vlan_id / 32] = before;
	return err;
}

static const struct {
	int mask;
	uint64_t offload;
} vlan_modes[] = {
	{ RTE_ETH_VLAN_STRIP_OFFLOAD, RTE_ETH_RX_OFFLOAD_VLAN_STRIP },
	{ RTE_ETH_VLAN_FILTER_OFFLOAD, RTE_ETH_RX_OFFLOAD_VLAN_FILTER },
	{ RTE_ETH_VLAN_EXTEND_OFFLOAD, RTE_ETH_RX_OFFLOAD_VLAN_EXTEND },
	{ RTE_ETH_QINQ_STRIP_OFFLOAD, RTE_ETH_RX_OFFLOAD_QINQ_STRIP },
};

int plx_eth_dev_set_vlan_offload(uint16_t port, int mask)
{
	PLX_ETH_LOCKED(dev, port);
	struct rte_eth_dev_info info;
	uint64_t before, wanted;
	int err;

	if (!dev)
		return -ENODEV;
	if (!dev->ops->vlan_offload)
		return -ENOTSUP;
	before = dev->rx_offloads;
	wanted = before;
	for (size_t i = 0; i < RTE_DIM(vlan_modes); i++) {
		if (mask & vlan_modes[i].mask)
			wanted |= vlan_modes[i].offload;
		else
			wanted &= ~vlan_modes[i].offload;
	}
	if (wanted == before)
		return 0;
	plx_eth_info(dev, &info);
	err = plx_eth_rx_offloads_check(dev, "VLAN", wanted & ~before, info.rx_offload_capa);
	if (err)
		return err;
	dev->rx_offloads = wanted;
	err = TELL(dev, vlan_offload);
	if (err) {
		dev->rx_offloads = before;
		return err;
	}
	/* The driver may have taken another receive function. */
	if (dev->running)
		plx_eth_burst_install(dev);
	return 0;
}

int plx_eth_dev_get_vlan_offload(uint16_t port)
{
	PLX_ETH_LOCKED(dev, port);
	int mask = 0;

	if (!dev)
		return -ENODEV;
	for (size_t i = 0; i < RTE_DIM(vlan_modes); i++) {
		if (dev->rx_offloads & vlan_modes[i].offload)
			mask |= vlan_modes[i].mask;
	}
	return mask;
}
