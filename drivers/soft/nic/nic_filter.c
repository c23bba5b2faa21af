/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which frames get in [7.1.1, 7.1.2], and on which queue [7.1.11].
 */
#include "nic.h"

#define RSS_TYPE_NONE	  0
#define RSS_TYPE_TCP_IPV4 1
#define RSS_TYPE_IPV4	  2
#define RSS_TYPE_TCP_IPV6 3
#define RSS_TYPE_IPV6	  5

#define MRQ_QUEUE_SHIFT 8 /* of the descriptor's first word */

static bool exact_match(const struct soft_nic *nic, const uint8_t *mac)
{
	const uint32_t low = mac[0] | mac[1] << 8 | mac[2] << 16 | (uint32_t)mac[3] << 24;
	const uint32_t high = mac[4] | mac[5] << 8 | E1000_RAH_AV;

	for (unsigned i = 0; i < E1000_RX_ADDRS; i++) {
		if (nic_reg(nic, E1000_RAL(i)) == low && nic_reg(nic, E1000_RAH(i)) == high)
			return true;
	}
	return false;
}

/* 12 bits of the last two bytes; RCTL.MO says which [10.2.5.17]. */
static bool hash_match(const struct soft_nic *nic, const uint8_t *mac)
{
	static const uint8_t shifts[] = { 4, 3, 2, 0 };
	const unsigned mo = nic_reg(nic, E1000_RCTL) >> NIC_RCTL_MO_SHIFT & 3;
	const unsigned hash = (mac[4] | mac[5] << 8) >> shifts[mo] & 0xfff;

	return nic_reg(nic, E1000_MTA(hash / 32)) >> (hash % 32) & 1;
}

bool nic_filter(const struct soft_nic *nic, const struct soft_frame *frame)
{
	const uint32_t rctl = nic_reg(nic, E1000_RCTL);
	const uint8_t *mac = frame->data;

	if (nic_is_broadcast(mac))
		return rctl & (E1000_RCTL_BAM | E1000_RCTL_MPE);
	if (mac[0] & 1)
		return rctl & E1000_RCTL_MPE || hash_match(nic, mac) || exact_match(nic, mac);
	return rctl & E1000_RCTL_UPE || exact_match(nic, mac);
}

/* Frames with a tag of VET's type, whose id and CFI are to be looked at [7.1.2.3]. */
bool nic_filter_vlan(const struct soft_nic *nic, const struct soft_frame *frame)
{
	const uint32_t rctl = nic_reg(nic, E1000_RCTL);
	uint16_t tag, id;

	if (!(rctl & E1000_RCTL_VFE) ||
	    nic_be16(frame->data + 12) != (nic_reg(nic, E1000_VET) & UINT16_MAX))
		return true;
	tag = nic_be16(frame->data + NIC_ETH_LEN);
	id = tag & 0xfff;
	if (rctl & NIC_RCTL_CFIEN && (tag >> 12 & 1) != !!(rctl & NIC_RCTL_CFI))
		return false;
	return nic_reg(nic, E1000_VFTA(id / 32)) >> (id % 32) & 1;
}

/* Microsoft's Toeplitz hash: for each bit set, the 32 bits of the key that begin there. */
static uint32_t toeplitz(const struct soft_nic *nic, const uint8_t *input, unsigned len)
{
	uint8_t key[40];
	uint32_t hash = 0, window;

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = nic_reg(nic, E1000_RSSRK(i / 4)) >> (8 * (i % 4));
	window = nic_be32(key);
	for (unsigned i = 0; i < len; i++) {
		for (int bit = 7; bit >= 0; bit--) {
			if (input[i] >> bit & 1)
				hash ^= window;
			window = window << 1 | (key[i + 4] >> bit & 1);
		}
	}
	return hash;
}

unsigned nic_rss(const struct soft_nic *nic, const struct nic_headers *h,
		 const struct soft_frame *frame, uint32_t *mrq, uint32_t *hash)
{
	const uint32_t mrqc = nic_reg(nic, E1000_MRQC);
	unsigned type = RSS_TYPE_NONE, queue, entry, bytes = h->ipv4 ? 8 : 32;
	uint8_t input[36];

	*mrq = 0;
	*hash = 0;
	if (!(mrqc & E1000_MRQC_RSS))
		return 0;
	if (h->ipv4 && h->tcp && mrqc & E1000_MRQC_TCPIPV4)
		type = RSS_TYPE_TCP_IPV4;
	else if (h->ipv4 && mrqc & E1000_MRQC_IPV4)
		type = RSS_TYPE_IPV4;
	else if (h->ipv6 && h->tcp && mrqc & E1000_MRQC_TCPIPV6)
		type = RSS_TYPE_TCP_IPV6;
	else if (h->ipv6 && mrqc & (E1000_MRQC_IPV6 | E1000_MRQC_IPV6EX))
		type = RSS_TYPE_IPV6;
	if (type != RSS_TYPE_NONE) {
		memcpy(input, frame->data + h->l3 + (h->ipv4 ? 12 : 8), bytes);
		if (type == RSS_TYPE_TCP_IPV4 || type == RSS_TYPE_TCP_IPV6) {
			memcpy(input + bytes, frame->data + h->l4, 4);
			bytes += 4;
		}
		*hash = toeplitz(nic, input, bytes);
	}
	/* Without a hash, that of 0 [7.1.11.1]. */
	entry = *hash & 127;
	queue = nic_reg(nic, E1000_RETA(entry / 4)) >> (8 * (entry % 4) + E1000_RETA_QUEUE_SHIFT) &
		1;
	*mrq = type | queue << MRQ_QUEUE_SHIFT;
	return queue;
}
