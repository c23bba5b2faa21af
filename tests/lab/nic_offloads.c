/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the card does to frames and finds out about them: checksums, VLAN tags.
 */
#include <string.h>

#include <rte_mbuf.h>

#include "nic.h"

#define GARBAGE 0xdead

#define RX_CHECKSUM                                                     \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | \
	 RTE_ETH_RX_OFFLOAD_TCP_CKSUM)

/*
 * Checksums that are asked for start as garbage and must be right on the wire; those that aren't
 * are garbage there, too. The model finds the headers itself, and takes from the descriptors only
 * that there is something to do: its offsets and its TCP bit the unit tests check.
 */
static int check_tx_checksum(const struct nic *nic, uint8_t protocol, bool ip, bool l4, bool vlan,
			     uint32_t len)
{
	static struct frame f, want, got;
	uint64_t flags = ip || l4 ? RTE_MBUF_F_TX_IPV4 : 0;

	frame_make(&want, nic, protocol, (uint16_t)len, len);
	f = want;
	frame_ip(&f)->hdr_checksum = GARBAGE;
	*frame_l4_sum(&f) = GARBAGE;
	if (ip)
		flags |= RTE_MBUF_F_TX_IP_CKSUM;
	else
		frame_ip(&want)->hdr_checksum = GARBAGE;
	if (!l4)
		*frame_l4_sum(&want) = GARBAGE;
	else
		flags |=
			protocol == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (vlan) {
		frame_tag(&f, 7);
		frame_tag(&want, 7);
	}
	if (nic_send(nic, 0, &f, flags, 0) || nic_receive(nic, 1, &got))
		return -1;
	EXPECT(frame_same(&want, &got),
	       "protocol %u, IP checksum %d, its own %d, tag %d, %u "
	       "bytes: not as wanted on the wire",
	       protocol, ip, l4, vlan, len);
	return 0;
}

int case_tx_checksum(struct nic *nic)
{
	static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP };
	static const uint32_t lengths[] = { ETH_MIN, 61, 1001, 1514 };

	if (nic_restart(nic, 0, 0))
		return -1;
	for (size_t l = 0; l < RTE_DIM(lengths); l++) {
		for (int bits = 0; bits < 16; bits++) {
			if (check_tx_checksum(nic, protocols[bits & 1], bits & 2, bits & 4,
					      bits & 8, lengths[l]))
				return -1;
		}
	}
	return 0;
}

#define IP_MASK RTE_MBUF_F_RX_IP_CKSUM_MASK
#define IP_GOOD RTE_MBUF_F_RX_IP_CKSUM_GOOD
#define L4_MASK RTE_MBUF_F_RX_L4_CKSUM_MASK
#define L4_GOOD RTE_MBUF_F_RX_L4_CKSUM_GOOD

static int check_rx_checksum(const struct nic *nic, const struct frame *f, uint64_t mask,
			     uint64_t wanted, const char *what)
{
	static struct frame got;

	if (nic_send(nic, 0, f, 0, 0) || nic_receive(nic, 1, &got))
		return -1;
	EXPECT(frame_same(f, &got), "%s: other bytes", what);
	EXPECT((got.flags & mask) == wanted, "%s: flags %llx of %llx, wanted %llx", what,
	       (unsigned long long)(got.flags & mask), (unsigned long long)mask,
	       (unsigned long long)wanted);
	return 0;
}

static int check_rx_protocol(const struct nic *nic, uint8_t protocol, const char *name)
{
	static struct frame f;

	frame_make(&f, nic, protocol, 1, 301);
	if (check_rx_checksum(nic, &f, IP_MASK | L4_MASK, IP_GOOD | L4_GOOD, name))
		return -1;
	*frame_l4_sum(&f) ^= 1;
	if (check_rx_checksum(nic, &f, IP_MASK | L4_MASK, IP_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD,
			      name))
		return -1;
	/* One wrong byte at the end, a right header. */
	frame_sum(&f);
	f.bytes[f.len - 1] ^= 0x80;
	if (check_rx_checksum(nic, &f, IP_MASK | L4_MASK, IP_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD,
			      name))
		return -1;
	/* What becomes of the inner checksum then is up to the device. */
	frame_sum(&f);
	frame_ip(&f)->hdr_checksum ^= 1;
	return check_rx_checksum(nic, &f, IP_MASK, RTE_MBUF_F_RX_IP_CKSUM_BAD, name);
}

int case_rx_checksum(struct nic *nic)
{
	static struct frame f;

	if (nic_restart(nic, 0, RX_CHECKSUM) || check_rx_protocol(nic, IPPROTO_UDP, "UDP") ||
	    check_rx_protocol(nic, IPPROTO_TCP, "TCP"))
		return -1;
	frame_make(&f, nic, IPPROTO_UDP, 2, 100);
	frame_eth(&f)->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	if (check_rx_checksum(nic, &f, IP_MASK | L4_MASK, 0, "not IP"))
		return -1;
	/* No checksum [RFC 768]: that is not a wrong one. */
	frame_make(&f, nic, IPPROTO_UDP, 3, 100);
	frame_udp(&f)->dgram_cksum = 0;
	if (check_rx_checksum(nic, &f, IP_MASK | RTE_MBUF_F_RX_L4_CKSUM_BAD, IP_GOOD,
			      "UDP without a checksum"))
		return -1;
	if (nic_restart(nic, 0, 0))
		return -1;
	frame_make(&f, nic, IPPROTO_UDP, 4, 100);
	return check_rx_checksum(nic, &f, IP_MASK | L4_MASK, 0, "offload off");
}

/* Priority 5, id 0xabc. */
#define TCI 0xaabc

/* The device inserts tags where it also strips them (CTRL.VME); elsewhere the driver does. */
int case_vlan_insert(struct nic *nic)
{
	const uint64_t udp = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM;
	static struct frame f, want, got;

	for (int hw = 0; hw <= 1; hw++) {
		if (nic_restart(nic, hw ? RTE_ETH_RX_OFFLOAD_VLAN_STRIP : 0, 0))
			return -1;
		for (int sum = 0; sum <= 1; sum++) {
			frame_make(&want, nic, IPPROTO_UDP, 9, 200);
			f = want;
			if (sum)
				*frame_l4_sum(&f) = GARBAGE;
			frame_tag(&want, TCI);
			if (nic_send(nic, 0, &f, RTE_MBUF_F_TX_VLAN | (sum ? udp : 0), TCI) ||
			    nic_receive(nic, 1, &got))
				return -1;
			EXPECT(frame_same(&want, &got),
			       "inserted by the %s, checksums %d: not as "
			       "wanted on the wire",
			       hw ? "device" : "driver", sum);
			EXPECT(!(got.flags & RTE_MBUF_F_RX_VLAN_STRIPPED), "stripped unasked");
		}
		/* Who doesn't ask gets no tag. */
		frame_make(&f, nic, IPPROTO_UDP, 10, 200);
		if (nic_send(nic, 0, &f, 0, TCI) || nic_receive(nic, 1, &got))
			return -1;
		EXPECT(frame_same(&f, &got), "no tag asked for: other bytes on the wire");
	}
	return 0;
}

static int check_strip(const struct nic *nic, bool on)
{
	static struct frame f, tagged, got;

	frame_make(&f, nic, IPPROTO_UDP, 11, 200);
	tagged = f;
	frame_tag(&tagged, TCI);
	if (nic_send(nic, 0, &tagged, 0, 0) || nic_receive(nic, 1, &got))
		return -1;
	EXPECT(frame_same(on ? &f : &tagged, &got), "tagged, strip %d: other bytes", on);
	EXPECT(!!(got.flags & RTE_MBUF_F_RX_VLAN_STRIPPED) == on, "strip %d: flag %d", on, !on);
	EXPECT(!on || (got.flags & RTE_MBUF_F_RX_VLAN && got.tci == TCI),
	       "tag %04x told, %04x sent", got.tci, TCI);
	/* Without a tag there is nothing to tell. */
	if (nic_send(nic, 0, &f, 0, 0) || nic_receive(nic, 1, &got))
		return -1;
	EXPECT(frame_same(&f, &got), "untagged, strip %d: other bytes", on);
	EXPECT(!(got.flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED)),
	       "untagged, strip %d: a tag is told", on);
	return 0;
}

int case_vlan_strip(struct nic *nic)
{
	if (nic_restart(nic, 0, RTE_ETH_RX_OFFLOAD_VLAN_STRIP) || check_strip(nic, true))
		return -1;
	/* While the port runs. */
	EXPECT(!plx_eth_dev_set_vlan_offload(nic->rx, 0), "stripping can't be switched off");
	if (check_strip(nic, false))
		return -1;
	EXPECT(!plx_eth_dev_set_vlan_offload(nic->rx, RTE_ETH_VLAN_STRIP_OFFLOAD),
	       "stripping can't be switched on");
	return check_strip(nic, true);
}
