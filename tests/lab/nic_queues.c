/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several queues: which packet comes on which, and being told of it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_thash.h>

#include "nic.h"

#define FLOWS	 16
#define PER_FLOW 8

/* Not the key that the driver would take by itself. */
static uint8_t rss_key[40];

static struct rte_eth_conf rss_conf(uint64_t offloads)
{
	for (size_t i = 0; i < sizeof(rss_key); i++)
		rss_key[i] = (uint8_t)(i * 37 + 11);
	return (struct rte_eth_conf){
		.rxmode = { .mq_mode = RTE_ETH_MQ_RX_RSS, .offloads = offloads },
		.rx_adv_conf.rss_conf = { .rss_key = rss_key,
					  .rss_key_len = sizeof(rss_key),
					  .rss_hf =
						  RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP },
	};
}

/* The 82574 hashes TCP over addresses and ports, all else of IPv4 over addresses [7.1.11.1]. */
static void flow_make(struct frame *f, const struct nic *nic, uint8_t protocol, uint16_t flow)
{
	frame_make(f, nic, protocol, flow, 100);
	if (protocol == IPPROTO_TCP)
		frame_tcp(f)->src_port = rte_cpu_to_be_16(5000 + flow);
	else
		frame_ip(f)->src_addr = rte_cpu_to_be_32(UINT32_C(0xc6120100) + flow);
	frame_sum(f);
}

static uint32_t flow_hash(struct frame *f)
{
	struct rte_ipv4_tuple tuple = {
		.src_addr = rte_be_to_cpu_32(frame_ip(f)->src_addr),
		.dst_addr = rte_be_to_cpu_32(frame_ip(f)->dst_addr),
		.sport = rte_be_to_cpu_16(frame_tcp(f)->src_port),
		.dport = rte_be_to_cpu_16(frame_tcp(f)->dst_port),
	};
	bool tcp = frame_ip(f)->next_proto_id == IPPROTO_TCP;

	return rte_softrss((uint32_t *)&tuple, tcp ? RTE_THASH_V4_L4_LEN : RTE_THASH_V4_L3_LEN,
			   rss_key);
}

/* The flows of one protocol: each keeps to the queue that its hash picks, and both get some. */
static int check_flows(const struct nic *nic, uint8_t protocol, bool hash_told)
{
	static struct frame f, got;
	unsigned int on[QUEUES] = { 0 };

	for (unsigned int n = 0; n < FLOWS * PER_FLOW; n++) {
		uint16_t flow = n % FLOWS;
		uint32_t hash;

		flow_make(&f, nic, protocol, flow);
		hash = flow_hash(&f);
		if (nic_send(nic, 0, &f, 0, 0) || nic_receive(nic, QUEUES, &got))
			return -1;
		EXPECT(frame_same(&f, &got), "protocol %u flow %u: other bytes", protocol, flow);
		/* Table entries alternate between the queues. */
		EXPECT(got.queue == hash % QUEUES, "protocol %u flow %u, hash %08x: on queue %u",
		       protocol, flow, hash, got.queue);
		on[got.queue]++;
		EXPECT(!!(got.flags & RTE_MBUF_F_RX_RSS_HASH) == hash_told,
		       "protocol %u flow %u: hash flag %d, wanted %d", protocol, flow, !hash_told,
		       hash_told);
		EXPECT(!hash_told || got.hash == hash,
		       "protocol %u flow %u: hash %08x, wanted %08x", protocol, flow, got.hash,
		       hash);
	}
	EXPECT(on[0] && on[1], "protocol %u: %u packets on queue 0, %u on queue 1", protocol, on[0],
	       on[1]);
	return 0;
}

int case_rss(struct nic *nic)
{
	/* The hash is told to who asked for it, not to who asked for something else, or nothing. */
	static const uint64_t offloads[] = { RTE_ETH_RX_OFFLOAD_RSS_HASH,
					     RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, 0 };
	const struct rte_eth_conf plain = { 0 };
	static struct frame f, got;

	for (size_t i = 0; i < RTE_DIM(offloads); i++) {
		struct rte_eth_conf conf = rss_conf(offloads[i]);
		bool told = offloads[i] & RTE_ETH_RX_OFFLOAD_RSS_HASH;

		if (nic_stop(nic) || nic_configure(nic, nic->tx, 1, &plain) ||
		    nic_configure(nic, nic->rx, QUEUES, &conf) || nic_start(nic) ||
		    check_flows(nic, IPPROTO_UDP, told) || check_flows(nic, IPPROTO_TCP, told))
			return -1;
		/* Nothing to hash: queue 0. */
		frame_make(&f, nic, IPPROTO_UDP, 0, ETH_MIN);
		frame_eth(&f)->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
		if (nic_send(nic, 0, &f, 0, 0) || nic_receive(nic, QUEUES, &got))
			return -1;
		EXPECT(frame_same(&f, &got) && got.queue == 0 &&
			       !(got.flags & RTE_MBUF_F_RX_RSS_HASH),
		       "not IP, but hashed or on queue %u", got.queue);
	}
	return 0;
}

/*
 * Both queues in turn, each with offloads of its own: neither disturbs the other's. The model keeps
 * a context for each queue where the 82574 has one for both: that the driver counts on one only,
 * the unit tests check.
 */
int case_tx_queues(struct nic *nic)
{
	const struct rte_eth_conf plain = { 0 };
	struct rte_eth_conf conf = { .txmode.offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |
							RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
							RTE_ETH_TX_OFFLOAD_TCP_CKSUM };
	static const uint64_t flags[QUEUES] = {
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM,
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM,
	};
	static const uint8_t protocols[QUEUES] = { IPPROTO_UDP, IPPROTO_TCP };
	static struct frame f, want, got;
	struct rte_eth_stats stats;
	const unsigned int rounds = 100;

	if (nic_configure(nic, nic->tx, QUEUES, &conf) || nic_configure(nic, nic->rx, 1, &plain) ||
	    nic_start(nic))
		return -1;
	for (unsigned int n = 0; n < rounds * QUEUES; n++) {
		uint16_t q = n % QUEUES;

		frame_make(&want, nic, protocols[q], (uint16_t)n, 100 + n);
		f = want;
		if (q == 0) {
			frame_ip(&f)->hdr_checksum = 0xdead;
			frame_udp(&f)->dgram_cksum = 0xdead;
		} else {
			frame_tcp(&f)->cksum = 0xdead;
		}
		if (nic_send(nic, q, &f, flags[q], 0) || nic_receive(nic, 1, &got))
			return -1;
		EXPECT(frame_same(&want, &got), "packet %u of transmit queue %u: other bytes", n,
		       q);
	}
	EXPECT(!plx_eth_stats_get(nic->tx, &stats), "no statistics");
	for (uint16_t q = 0; q < QUEUES; q++)
		EXPECT(stats.q_opackets[q] == rounds,
		       "transmit queue %u sent %u packets and "
		       "counts %u",
		       q, rounds, (unsigned int)stats.q_opackets[q]);
	return 0;
}

#define QUIET 300 /* ms without an interrupt that show that there is none */

/* Whether an interrupt comes; it is taken note of, so that the next one is seen. */
static int fires(int fd, int ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t count;
	int ret = poll(&poll_fd, 1, ms);

	EXPECT(ret >= 0, "poll: %s", strerror(errno));
	EXPECT(!ret || read(fd, &count, sizeof(count)) == sizeof(count), "reading the eventfd: %s",
	       strerror(errno));
	return ret;
}

/* An interrupt is for once: what waits for the next one switches it on again. */
static int check_interrupt(const struct nic *nic, uint16_t queue, struct frame *f)
{
	static struct frame got;
	int fd = plx_eth_dev_rx_intr_ctl_q_get_fd(nic->rx, queue);

	EXPECT(fd >= 0, "queue %u has no eventfd: %s", queue, strerror(-fd));
	for (int round = 0; round < 3; round++) {
		EXPECT(!plx_eth_dev_rx_intr_enable(nic->rx, queue), "no interrupt to be had");
		/* Cause bits outlive a masked interrupt; the first round has none. */
		if (round == 0)
			EXPECT(fires(fd, QUIET) == 0, "queue %u: an interrupt without a packet",
			       queue);
		if (nic_send(nic, 0, f, 0, 0))
			return -1;
		EXPECT(fires(fd, PATIENCE) == 1, "queue %u: no interrupt within %u ms", queue,
		       PATIENCE);
		if (nic_receive(nic, QUEUES, &got))
			return -1;
		EXPECT(got.queue == queue, "wrong queue: %u, wanted %u", got.queue, queue);
	}
	EXPECT(!plx_eth_dev_rx_intr_disable(nic->rx, queue), "interrupts stay on");
	/* One that was sent before may still be on its way. */
	for (int late = 0; late < 2 && fires(fd, QUIET) == 1; late++)
		;
	if (nic_send(nic, 0, f, 0, 0) || nic_receive(nic, QUEUES, &got))
		return -1;
	EXPECT(fires(fd, QUIET) == 0, "queue %u: an interrupt while they are off", queue);
	return 0;
}

int case_rx_interrupt(struct nic *nic)
{
	const struct rte_eth_conf plain = { 0 };
	struct rte_eth_conf conf = rss_conf(RTE_ETH_RX_OFFLOAD_RSS_HASH);
	static struct frame f;

	conf.intr_conf.rxq = 1;
	if (nic_configure(nic, nic->tx, 1, &plain) || nic_configure(nic, nic->rx, QUEUES, &conf) ||
	    nic_start(nic))
		return -1;
	for (uint16_t q = 0; q < QUEUES; q++) {
		uint16_t flow = 0;

		do
			flow_make(&f, nic, IPPROTO_TCP, flow++);
		while (flow_hash(&f) % QUEUES != q);
		if (check_interrupt(nic, q, &f))
			return -1;
	}
	return 0;
}
