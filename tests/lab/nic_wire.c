/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports and frames, as the cases want them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "nic.h"

#define DESC 128
/* EtherType of the frame that always gets in: IEEE 802, local experimental 1. */
#define MARKER 0x88b5

int nic_configure(const struct nic *nic, uint16_t port, uint16_t queues,
		  const struct rte_eth_conf *conf)
{
	int ret = plx_eth_dev_configure(port, queues, queues, conf);

	for (uint16_t q = 0; q < queues && !ret; q++) {
		ret = plx_eth_rx_queue_setup(port, q, DESC, SOCKET_ID_ANY, NULL, nic->pool);
		if (!ret)
			ret = plx_eth_tx_queue_setup(port, q, DESC, SOCKET_ID_ANY, NULL);
	}
	EXPECT(!ret, "configuring port %u: %s", port, strerror(-ret));
	return 0;
}

int nic_start(const struct nic *nic)
{
	const uint16_t ports[] = { nic->rx, nic->tx };
	struct rte_eth_link link;
	int ret;

	for (size_t i = 0; i < RTE_DIM(ports); i++) {
		ret = plx_eth_dev_start(ports[i]);
		EXPECT(!ret, "starting port %u: %s", ports[i], strerror(-ret));
	}
	for (size_t i = 0; i < RTE_DIM(ports); i++) {
		ret = plx_eth_link_get(ports[i], &link);
		EXPECT(!ret && link.link_status, "port %u has no link", ports[i]);
	}
	return 0;
}

int nic_stop(const struct nic *nic)
{
	EXPECT(!plx_eth_dev_stop(nic->tx) && !plx_eth_dev_stop(nic->rx), "a port doesn't stop");
	return 0;
}

int nic_restart(const struct nic *nic, uint64_t tx_port_rx_offloads, uint64_t rx_offloads)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf send = { 0 }, receive = { 0 };

	EXPECT(!plx_eth_dev_info_get(nic->tx, &info), "no information about the port");
	send.txmode.offloads = info.tx_offload_capa & ~RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	send.rxmode.offloads = tx_port_rx_offloads;
	receive.rxmode.offloads = rx_offloads;
	if (nic_stop(nic) || nic_configure(nic, nic->tx, 1, &send) ||
	    nic_configure(nic, nic->rx, 1, &receive))
		return -1;
	return nic_start(nic);
}

struct rte_ether_hdr *frame_eth(struct frame *f)
{
	return (struct rte_ether_hdr *)f->bytes;
}

struct rte_ipv4_hdr *frame_ip(struct frame *f)
{
	return (struct rte_ipv4_hdr *)(f->bytes + sizeof(struct rte_ether_hdr));
}

struct rte_udp_hdr *frame_udp(struct frame *f)
{
	return (struct rte_udp_hdr *)(frame_ip(f) + 1);
}

struct rte_tcp_hdr *frame_tcp(struct frame *f)
{
	return (struct rte_tcp_hdr *)(frame_ip(f) + 1);
}

rte_be16_t *frame_l4_sum(struct frame *f)
{
	uint8_t *l4 = (uint8_t *)(frame_ip(f) + 1);

	/* At an even offset. */
	if (frame_ip(f)->next_proto_id == IPPROTO_TCP)
		return (rte_be16_t *)(void *)(l4 + offsetof(struct rte_tcp_hdr, cksum));
	return (rte_be16_t *)(void *)(l4 + offsetof(struct rte_udp_hdr, dgram_cksum));
}

void frame_sum(struct frame *f)
{
	struct rte_ipv4_hdr *ip = frame_ip(f);
	rte_be16_t *sum = frame_l4_sum(f);

	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*sum = 0;
	*sum = rte_ipv4_udptcp_cksum(ip, ip + 1);
}

void frame_make(struct frame *f, const struct nic *nic, uint8_t protocol, uint16_t number,
		uint32_t len)
{
	uint32_t ip_len = len - sizeof(struct rte_ether_hdr);

	memset(f, 0, sizeof(*f));
	f->len = len;
	for (uint32_t i = 0; i < len; i++)
		f->bytes[i] = (uint8_t)(i * 7 + number);
	*frame_eth(f) = (struct rte_ether_hdr){
		.dst_addr = nic->mac,
		.src_addr = { { 0x02, 0, 0, 0, 0, 1 } },
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4),
	};
	*frame_ip(f) = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(ip_len),
		.packet_id = rte_cpu_to_be_16(number),
		.time_to_live = 64,
		.next_proto_id = protocol,
		.src_addr = RTE_BE32(UINT32_C(0xc6120001)), /* 198.18.0.1 */
		.dst_addr = RTE_BE32(UINT32_C(0xc6120002)), /* 198.18.0.2 */
	};
	if (protocol == IPPROTO_TCP)
		*frame_tcp(f) = (struct rte_tcp_hdr){
			.src_port = RTE_BE16(1000),
			.dst_port = RTE_BE16(2000),
			.data_off = sizeof(struct rte_tcp_hdr) / 4 << 4,
			.tcp_flags = RTE_TCP_ACK_FLAG,
			.rx_win = RTE_BE16(512),
		};
	else
		*frame_udp(f) = (struct rte_udp_hdr){
			.src_port = RTE_BE16(1000),
			.dst_port = RTE_BE16(2000),
			.dgram_len = rte_cpu_to_be_16(ip_len - sizeof(struct rte_ipv4_hdr)),
		};
	frame_sum(f);
}

void frame_tag(struct frame *f, uint16_t tci)
{
	uint8_t *at = f->bytes + 2 * RTE_ETHER_ADDR_LEN;

	memmove(at + RTE_VLAN_HLEN, at, f->len - 2 * RTE_ETHER_ADDR_LEN);
	f->len += RTE_VLAN_HLEN;
	at[0] = RTE_ETHER_TYPE_VLAN >> 8;
	at[1] = RTE_ETHER_TYPE_VLAN & 0xff;
	at[2] = tci >> 8;
	at[3] = tci & 0xff;
}

bool frame_same(const struct frame *a, const struct frame *b)
{
	return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

/* A frame in as many buffers as it needs. */
static struct rte_mbuf *to_mbufs(const struct nic *nic, const struct frame *f)
{
	uint32_t done = 0;
	struct rte_mbuf *head = NULL, *m;

	while (done < f->len) {
		uint16_t part;

		m = rte_pktmbuf_alloc(nic->pool);
		if (!m || (head && rte_pktmbuf_chain(head, m))) {
			rte_pktmbuf_free(m);
			rte_pktmbuf_free(head);
			return NULL;
		}
		head = head ? head : m;
		part = RTE_MIN(f->len - done, (uint32_t)rte_pktmbuf_tailroom(m));
		memcpy(rte_pktmbuf_mtod(m, char *), f->bytes + done, part);
		m->data_len = part;
		done += part;
		head->pkt_len = done;
	}
	return head;
}

int nic_send(const struct nic *nic, uint16_t queue, const struct frame *f, uint64_t flags,
	     uint16_t tci)
{
	bool tagged = f->bytes[12] == RTE_ETHER_TYPE_VLAN >> 8 && f->bytes[13] == 0;
	struct rte_mbuf *m = to_mbufs(nic, f);

	EXPECT(m, "no buffers to send from");
	m->ol_flags = flags;
	m->vlan_tci = tci;
	m->l2_len = sizeof(struct rte_ether_hdr) + (tagged ? RTE_VLAN_HLEN : 0);
	m->l3_len = sizeof(struct rte_ipv4_hdr);
	if (plx_eth_tx_prepare(nic->tx, queue, &m, 1) != 1) {
		rte_pktmbuf_free(m);
		return nic_fail("a packet isn't fit to be sent: %s", rte_strerror(rte_errno));
	}
	for (int ms = 0; ms < PATIENCE; ms++) {
		if (plx_eth_tx_burst(nic->tx, queue, &m, 1) == 1)
			return 0;
		rte_delay_us_sleep(1000);
	}
	rte_pktmbuf_free(m);
	return nic_fail("transmit queue %u takes no packet within %u ms", queue, PATIENCE);
}

/* Copies a packet out of its buffers and gives them back. */
static int from_mbufs(struct rte_mbuf *m, uint16_t queue, struct frame *f)
{
	const struct rte_mbuf *seg = m;
	uint32_t sum = 0;
	uint16_t segs = 0;

	f->len = m->pkt_len;
	f->flags = m->ol_flags;
	f->hash = m->hash.rss;
	f->tci = m->vlan_tci;
	f->segs = m->nb_segs;
	f->queue = queue;
	for (; seg && sum + seg->data_len <= sizeof(f->bytes); seg = seg->next) {
		memcpy(f->bytes + sum, rte_pktmbuf_mtod(seg, char *), seg->data_len);
		sum += seg->data_len;
		segs++;
	}
	rte_pktmbuf_free(m);
	EXPECT(sum == f->len && segs == f->segs,
	       "a packet says %u bytes in %u buffers and has %u in %u", f->len, f->segs, sum, segs);
	return 0;
}

int nic_receive(const struct nic *nic, uint16_t queues, struct frame *f)
{
	uint64_t end = rte_get_timer_cycles() + rte_get_timer_hz() * PATIENCE / 1000;
	struct rte_mbuf *m;

	do {
		for (uint16_t q = 0; q < queues; q++) {
			if (plx_eth_rx_burst(nic->rx, q, &m, 1) == 1)
				return from_mbufs(m, q, f);
		}
	} while (rte_get_timer_cycles() < end);
	return nic_fail("no packet within %u ms", PATIENCE);
}

int nic_passes(const struct nic *nic, const struct frame *f, struct frame *got)
{
	static struct frame marker, arrived;
	int count = 0;

	frame_make(&marker, nic, IPPROTO_UDP, 0, ETH_MIN);
	memset(&frame_eth(&marker)->dst_addr, 0xff, RTE_ETHER_ADDR_LEN);
	frame_eth(&marker)->ether_type = RTE_BE16(MARKER);
	if (nic_send(nic, 0, f, 0, 0) || nic_send(nic, 0, &marker, 0, 0))
		return -1;
	for (;;) {
		if (nic_receive(nic, 1, &arrived))
			return -1;
		if (frame_same(&arrived, &marker))
			return count;
		EXPECT(++count == 1, "one packet was sent and two arrived");
		*got = arrived;
	}
}

int nic_expect(const struct nic *nic, const struct frame *f, bool wanted, const char *what)
{
	static struct frame got;
	int passed = nic_passes(nic, f, &got);

	if (passed < 0)
		return -1;
	EXPECT(passed == wanted, "%s: %s", what, wanted ? "dropped" : "received");
	EXPECT(!passed || frame_same(f, &got), "%s: not the bytes that were sent", what);
	return 0;
}

int nic_xstat(uint16_t port, const char *name, uint64_t *value)
{
	int count = plx_eth_xstats_get_names(port, NULL, 0), i = 0, ret = -1;
	struct rte_eth_xstat_name *names;
	struct rte_eth_xstat *values;

	EXPECT(count > 0, "no statistics: %d", count);
	names = calloc(count, sizeof(*names));
	values = calloc(count, sizeof(*values));
	if (names && values && plx_eth_xstats_get_names(port, names, count) == count &&
	    plx_eth_xstats_get(port, values, count) == count) {
		while (i < count && strcmp(names[i].name, name) != 0)
			i++;
		ret = i < count ? 0 : nic_fail("no statistic '%s'", name);
	} else {
		nic_fail("%d statistics promised and not given", count);
	}
	if (!ret)
		*value = values[i].value;
	free(names);
	free(values);
	return ret;
}
