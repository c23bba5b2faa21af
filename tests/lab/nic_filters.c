/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What gets in and what doesn't: addresses, VLAN ids, lengths.
 */
#include <errno.h>
#include <string.h>

#include "nic.h"

static int tagged(const struct nic *nic, uint16_t id, bool wanted, const char *what)
{
	static struct frame f;

	frame_make(&f, nic, IPPROTO_UDP, id, 100);
	frame_tag(&f, id);
	return nic_expect(nic, &f, wanted, what);
}

int case_vlan_filter(struct nic *nic)
{
	static struct frame plain;

	if (nic_restart(nic, 0, RTE_ETH_RX_OFFLOAD_VLAN_FILTER))
		return -1;
	frame_make(&plain, nic, IPPROTO_UDP, 1, 100);
	if (tagged(nic, 5, false, "no id added") || nic_expect(nic, &plain, true, "untagged"))
		return -1;
	EXPECT(!plx_eth_dev_vlan_filter(nic->rx, 5, 1) &&
		       !plx_eth_dev_vlan_filter(nic->rx, 4095, 1),
	       "ids 5 and 4095 can't be added");
	if (tagged(nic, 5, true, "id 5, added") || tagged(nic, 4095, true, "id 4095, added") ||
	    tagged(nic, 6, false, "id 6 beside 5") || tagged(nic, 37, false, "id 37, 5 + 32") ||
	    tagged(nic, 5 | 3 << 13, true, "id 5 of priority 3"))
		return -1;
	EXPECT(!plx_eth_dev_vlan_filter(nic->rx, 5, 0), "id 5 can't be removed");
	if (tagged(nic, 5, false, "id 5, removed") || tagged(nic, 4095, true, "id 4095, kept"))
		return -1;
	/* What was added outlives a stop. */
	if (nic_stop(nic) || nic_start(nic) || tagged(nic, 4095, true, "id 4095, restarted") ||
	    tagged(nic, 5, false, "id 5, restarted"))
		return -1;
	EXPECT(!plx_eth_dev_set_vlan_offload(nic->rx, 0), "filtering can't be switched off");
	return tagged(nic, 5, true, "no filter");
}

static int addressed(const struct nic *nic, const struct rte_ether_addr *to, bool wanted,
		     const char *what)
{
	static struct frame f;

	frame_make(&f, nic, IPPROTO_UDP, 1, 100);
	frame_eth(&f)->dst_addr = *to;
	return nic_expect(nic, &f, wanted, what);
}

static const struct rte_ether_addr other = { { 0x02, 0x12, 0x34, 0x56, 0x78, 0x9a } };
static const struct rte_ether_addr group_a = { { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 } };
static const struct rte_ether_addr group_b = { { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x02 } };

int case_unicast(struct nic *nic)
{
	struct rte_ether_addr near = nic->mac;

	near.addr_bytes[5] ^= 1;
	if (nic_restart(nic, 0, 0) || addressed(nic, &nic->mac, true, "own address") ||
	    addressed(nic, &other, false, "other address") ||
	    addressed(nic, &near, false, "address one bit off"))
		return -1;
	EXPECT(!plx_eth_promiscuous_enable(nic->rx) && plx_eth_promiscuous_get(nic->rx) == 1,
	       "no promiscuous mode");
	if (addressed(nic, &other, true, "other address, promiscuous") ||
	    addressed(nic, &group_a, true, "group, promiscuous") || nic_stop(nic) ||
	    nic_start(nic) || addressed(nic, &other, true, "promiscuous, restarted"))
		return -1;
	EXPECT(!plx_eth_promiscuous_disable(nic->rx) && plx_eth_promiscuous_get(nic->rx) == 0,
	       "promiscuous mode stays");
	if (addressed(nic, &other, false, "other address, no more promiscuous") ||
	    addressed(nic, &group_a, false, "group, no more promiscuous"))
		return -1;
	return addressed(nic, &nic->mac, true, "own address, no more promiscuous");
}

int case_multicast(struct nic *nic)
{
	struct rte_ether_addr list[] = { group_a };

	if (nic_restart(nic, 0, 0) || addressed(nic, &group_a, false, "no group joined"))
		return -1;
	EXPECT(!plx_eth_dev_set_mc_addr_list(nic->rx, list, 1), "group A can't be joined");
	if (addressed(nic, &group_a, true, "group A, joined") ||
	    addressed(nic, &group_b, false, "group B, not joined") ||
	    addressed(nic, &other, false, "other address"))
		return -1;
	list[0] = group_b;
	EXPECT(!plx_eth_dev_set_mc_addr_list(nic->rx, list, 1), "group B can't be joined");
	if (addressed(nic, &group_a, false, "group A, left") ||
	    addressed(nic, &group_b, true, "group B, joined") || nic_stop(nic) || nic_start(nic) ||
	    addressed(nic, &group_b, true, "group B, restarted"))
		return -1;
	EXPECT(!plx_eth_dev_set_mc_addr_list(nic->rx, NULL, 0), "groups can't be left");
	if (addressed(nic, &group_b, false, "group B, left"))
		return -1;
	EXPECT(!plx_eth_allmulticast_enable(nic->rx), "no all-multicast mode");
	if (addressed(nic, &group_a, true, "group A, all-multicast") ||
	    addressed(nic, &group_b, true, "group B, all-multicast") ||
	    addressed(nic, &other, false, "other address, all-multicast"))
		return -1;
	EXPECT(!plx_eth_allmulticast_disable(nic->rx), "all-multicast mode stays");
	return addressed(nic, &group_a, false, "group A, no more all-multicast");
}

int case_addresses(struct nic *nic)
{
	struct rte_ether_addr second = other, own = other;

	own.addr_bytes[5]++;
	if (nic_restart(nic, 0, 0) || addressed(nic, &second, false, "second address, not added"))
		return -1;
	EXPECT(!plx_eth_dev_mac_addr_add(nic->rx, &second, 0), "no second address");
	if (addressed(nic, &second, true, "second address") ||
	    addressed(nic, &nic->mac, true, "first address beside a second") || nic_stop(nic) ||
	    nic_start(nic) || addressed(nic, &second, true, "second address, restarted"))
		return -1;
	EXPECT(!plx_eth_dev_mac_addr_remove(nic->rx, &second), "the second address stays");
	if (addressed(nic, &second, false, "second address, removed") ||
	    addressed(nic, &nic->mac, true, "first address, the second removed"))
		return -1;
	EXPECT(!plx_eth_dev_default_mac_addr_set(nic->rx, &own), "no other address of its own");
	if (addressed(nic, &own, true, "changed address"))
		return -1;
	return addressed(nic, &nic->mac, false, "address before the change");
}

/* Sends a frame of that many bytes and says whether it arrived as it was. */
static int sized(const struct nic *nic, uint32_t len, bool wanted, const char *what)
{
	static struct frame f;

	frame_make(&f, nic, IPPROTO_UDP, (uint16_t)len, len);
	return nic_expect(nic, &f, wanted, what);
}

/* Tags come on top of the MTU: there is room for two. */
#define OVERHEAD (RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN)

static int set_mtu(const struct nic *nic, uint16_t mtu)
{
	int ret;

	if (nic_stop(nic))
		return -1;
	ret = plx_eth_dev_set_mtu(nic->rx, mtu);
	EXPECT(!ret, "MTU %u: %s", mtu, strerror(-ret));
	return nic_start(nic);
}

int case_mtu(struct nic *nic)
{
	struct rte_eth_stats stats;
	uint64_t dropped;

	if (nic_restart(nic, 0, 0) ||
	    sized(nic, RTE_ETHER_MTU + OVERHEAD, true, "1500, two tags") ||
	    sized(nic, RTE_ETHER_MTU + OVERHEAD + 1, false, "1500, one byte more") ||
	    sized(nic, 4000, false, "1500, a jumbo frame"))
		return -1;
	/* Dropped by the device. The model counts in Receive Oversize Count alone [10.2.7.29]. */
	if (nic_xstat(nic->rx, "rx_oversize_errors", &dropped))
		return -1;
	EXPECT(dropped == 2, "2 frames too long, %u counted", (unsigned int)dropped);

	/* Below 1500 the device lets longer frames in: the driver drops and counts. */
	EXPECT(plx_eth_dev_set_mtu(nic->rx, 1000) == -EBUSY, "another MTU while the port runs");
	if (set_mtu(nic, 1000))
		return -1;
	EXPECT(!plx_eth_stats_reset(nic->rx), "no reset of statistics");
	if (sized(nic, 1000 + OVERHEAD, true, "1000, two tags") ||
	    sized(nic, 1000 + OVERHEAD + 1, false, "1000, one byte more"))
		return -1;
	EXPECT(!plx_eth_stats_get(nic->rx, &stats) && stats.ierrors == 1,
	       "1 frame too long, %u counted", (unsigned int)stats.ierrors);
	return 0;
}

int case_jumbo(struct nic *nic)
{
	const uint32_t len = 9000 + RTE_ETHER_HDR_LEN, room = RTE_MBUF_DEFAULT_DATAROOM;
	static struct frame f, got;
	struct rte_eth_stats stats;

	if (nic_restart(nic, 0, 0) || sized(nic, len, false, "9000, MTU 1500") ||
	    set_mtu(nic, 9000))
		return -1;
	EXPECT(!plx_eth_stats_reset(nic->rx), "no reset of statistics");
	frame_make(&f, nic, IPPROTO_UDP, 1, len);
	if (nic_passes(nic, &f, &got) != 1 || !frame_same(&f, &got))
		return nic_fail("9000, MTU 9000: lost or damaged");
	EXPECT(got.segs == (len + room - 1) / room, "%u bytes in %u buffers", len, got.segs);
	/* Ends before, at and behind the end of a buffer. */
	if (sized(nic, room - 1, true, "one buffer but one") ||
	    sized(nic, room, true, "a buffer") || sized(nic, room + 1, true, "a buffer and one") ||
	    sized(nic, ETH_MIN, true, "the shortest") ||
	    sized(nic, 9000 + OVERHEAD, true, "9000, two tags") ||
	    sized(nic, 9000 + OVERHEAD + 1, false, "9000, one byte more") ||
	    sized(nic, len, true, "9000, after one too long"))
		return -1;
	EXPECT(!plx_eth_stats_get(nic->rx, &stats) && stats.ierrors == 1,
	       "1 frame too long, %u counted", (unsigned int)stats.ierrors);
	return 0;
}
