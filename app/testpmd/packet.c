/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <rte_arp.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include "packet.h"

/*
 * Headers behind VLAN tags lie at odd addresses: all of them are copied out, looked at, and copied
 * back.
 */

static bool answers_for(const struct responder *self, rte_be32_t addr)
{
	return (addr & self->net.mask) == self->net.net;
}

static bool is_group(rte_be32_t addr)
{
	return rte_be_to_cpu_32(addr) >= UINT32_C(0xe0000000); /* 224.0.0.0 */
}

static void answer_eth(struct rte_ether_hdr *eth, const struct responder *self)
{
	eth->dst_addr = eth->src_addr;
	eth->src_addr = self->mac;
}

static bool answer_arp(uint8_t *at, uint32_t len, const struct responder *self)
{
	struct rte_arp_hdr arp;
	rte_be32_t asked;

	if (len < sizeof(arp))
		return false;
	memcpy(&arp, at, sizeof(arp));
	if (arp.arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
	    arp.arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
	    arp.arp_hlen != RTE_ETHER_ADDR_LEN || arp.arp_plen != sizeof(rte_be32_t) ||
	    arp.arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST))
		return false;
	asked = arp.arp_data.arp_tip;
	if (!answers_for(self, asked))
		return false;
	arp.arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	arp.arp_data.arp_tha = arp.arp_data.arp_sha;
	arp.arp_data.arp_tip = arp.arp_data.arp_sip;
	arp.arp_data.arp_sha = self->mac;
	arp.arp_data.arp_sip = asked;
	memcpy(at, &arp, sizeof(arp));
	return true;
}

/* len bytes are at hand, total are in the whole packet. */
static bool answer_echo(uint8_t *at, uint32_t len, uint32_t total, const struct responder *self)
{
	struct rte_icmp_hdr icmp;
	struct rte_ipv4_hdr ip;
	rte_be32_t asked;
	uint32_t sum, ip_len, ip_total;

	if (len < sizeof(ip))
		return false;
	memcpy(&ip, at, sizeof(ip));
	ip_len = rte_ipv4_hdr_len(&ip);
	ip_total = rte_be_to_cpu_16(ip.total_length);
	if (ip.version_ihl >> 4 != 4 || ip_len < sizeof(ip) || len < ip_len + sizeof(icmp) ||
	    ip_total < ip_len + sizeof(icmp) || ip_total > total)
		return false;
	if (ip.next_proto_id != IPPROTO_ICMP ||
	    (ip.fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) ||
	    rte_raw_cksum(at, ip_len) != 0xffff)
		return false;
	if (!answers_for(self, ip.dst_addr) || is_group(ip.dst_addr) || is_group(ip.src_addr))
		return false;
	memcpy(&icmp, at + ip_len, sizeof(icmp));
	if (icmp.icmp_type != RTE_IP_ICMP_ECHO_REQUEST || icmp.icmp_code != 0)
		return false;

	asked = ip.dst_addr;
	ip.dst_addr = ip.src_addr;
	ip.src_addr = asked; /* the header's checksum is a sum: it stays */
	memcpy(at, &ip, sizeof(ip));
	/*
	 * RFC 1624: HC' = ~(~HC + ~m + m'), where the word that held the type goes from 0800 to 0.
	 */
	sum = (uint16_t)~icmp.icmp_cksum +
	      (uint32_t)(uint16_t)~RTE_BE16(RTE_IP_ICMP_ECHO_REQUEST << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	icmp.icmp_cksum = (rte_be16_t)~sum;
	icmp.icmp_type = RTE_IP_ICMP_ECHO_REPLY;
	memcpy(at + ip_len, &icmp, sizeof(icmp));
	return true;
}

bool packet_answer(struct rte_mbuf *m, const struct responder *self)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m), offset = sizeof(struct rte_ether_hdr);
	struct rte_ether_hdr eth;
	struct rte_vlan_hdr vlan;
	rte_be16_t type;
	bool answered = false;

	if (len < offset)
		return false;
	memcpy(&eth, frame, sizeof(eth));
	type = eth.ether_type;
	for (int tags = 0; tags < 2 && (type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
					type == RTE_BE16(RTE_ETHER_TYPE_QINQ));
	     tags++) {
		if (len < offset + sizeof(vlan))
			return false;
		memcpy(&vlan, frame + offset, sizeof(vlan));
		type = vlan.eth_proto;
		offset += sizeof(vlan);
	}
	if (!rte_is_unicast_ether_addr(&eth.src_addr))
		return false;
	if (type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		answered = answer_arp(frame + offset, len - offset, self);
	else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
		 rte_is_same_ether_addr(&eth.dst_addr, &self->mac))
		answered = answer_echo(frame + offset, len - offset,
				       rte_pktmbuf_pkt_len(m) - offset, self);
	if (answered) {
		answer_eth(&eth, self);
		memcpy(frame, &eth, sizeof(eth));
	}
	return answered;
}

int packet_shape(struct rte_mbuf *m, struct rte_mempool *pool, const struct lengths *lengths,
		 uint16_t len)
{
	struct rte_mbuf *last = m;
	uint16_t left = len;

	m->pkt_len = len;
	for (unsigned i = 0;; i++) {
		last->data_len =
			lengths->segs ? lengths->seg[i] : RTE_MIN(left, rte_pktmbuf_tailroom(last));
		left -= last->data_len;
		if (left == 0)
			return 0;
		last->next = rte_pktmbuf_alloc(pool);
		if (!last->next)
			return -ENOMEM;
		last = last->next;
		m->nb_segs++;
	}
}

void packet_write(struct rte_mbuf *m, const void *bytes, uint32_t len)
{
	const uint8_t *from = bytes;

	while (len) {
		uint32_t part = RTE_MIN(len, (uint32_t)m->data_len);

		memcpy(rte_pktmbuf_mtod(m, void *), from, part);
		from += part;
		len -= part;
		m = m->next;
	}
}

/* IEEE 802's type for experiments, then 2 bytes of length and 8 of sequence number. */
#define PATTERN_TYPE  0x88b5
#define PATTERN_START 24

struct pattern_header {
	rte_be16_t type;
	rte_be16_t len;
	rte_be64_t seq;
} __rte_packed;

static struct pattern_header pattern_header(uint16_t len, uint64_t seq)
{
	return (struct pattern_header){
		.type = RTE_BE16(PATTERN_TYPE),
		.len = rte_cpu_to_be_16(len),
		.seq = rte_cpu_to_be_64(seq),
	};
}

/* Odd multipliers: neighbouring words, and the same word of neighbouring packets, differ widely. */
static uint64_t pattern_word(uint64_t seq, uint32_t offset)
{
	return (seq + 1) * UINT64_C(0x9e3779b97f4a7c15) + offset * UINT64_C(0xd1b54a32d192ed03);
}

void pattern_fill(uint8_t *frame, uint16_t len, uint64_t seq)
{
	struct pattern_header header = pattern_header(len, seq);
	uint32_t at = PATTERN_START;
	uint64_t word;

	memcpy(frame + 2 * RTE_ETHER_ADDR_LEN, &header, sizeof(header));
	for (; at + sizeof(word) <= len; at += sizeof(word)) {
		word = pattern_word(seq, at);
		memcpy(frame + at, &word, sizeof(word));
	}
	word = pattern_word(seq, at);
	memcpy(frame + at, &word, len - at);
}

bool pattern_seq(const uint8_t *frame, uint32_t len, uint64_t *seq)
{
	struct pattern_header header;

	if (len < FRAME_MIN)
		return false;
	memcpy(&header, frame + 2 * RTE_ETHER_ADDR_LEN, sizeof(header));
	*seq = rte_be_to_cpu_64(header.seq);
	return header.type == RTE_BE16(PATTERN_TYPE);
}

bool pattern_check(const uint8_t *frame, uint32_t len, uint64_t seq)
{
	struct pattern_header header = pattern_header((uint16_t)len, seq);
	uint64_t wrong = 0, word, got;
	uint32_t at = PATTERN_START;

	if (memcmp(frame + 2 * RTE_ETHER_ADDR_LEN, &header, sizeof(header)) != 0)
		return false;
	for (; at + sizeof(word) <= len; at += sizeof(word)) {
		memcpy(&got, frame + at, sizeof(got));
		wrong |= got ^ pattern_word(seq, at);
	}
	word = pattern_word(seq, at);
	return wrong == 0 && memcmp(frame + at, &word, len - at) == 0;
}
