/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transmit loop of the 82574 driver, against a device of memory: every burst size round the
 * ring, full rings, chains, offloads, and each way to give buffers back. Each case runs with device
 * addresses taken as they are and translated, and ends with a count of the buffers.
 */
#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "e1000_rig.h"

static void start(uint16_t desc, uint16_t queues, uint64_t tx, uint64_t rx)
{
	struct rte_eth_conf conf = { .txmode.offloads = tx, .rxmode.offloads = rx };

	assert_int_equal(plx_eth_dev_configure(port, 1, queues, &conf), 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), 0);
	for (uint16_t q = 0; q < queues; q++)
		assert_int_equal(plx_eth_tx_queue_setup(port, q, desc, 0, NULL), 0);
	assert_int_equal(plx_eth_dev_start(port), 0);
	fake_rings_reset();
}

static void stop(void)
{
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* A packet of one segment that carries a number. */
static struct rte_mbuf *make(struct rte_mempool *from, uint32_t number)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(from);

	assert_non_null(m);
	/* Not always where a fresh one starts. */
	m->data_off = RTE_PKTMBUF_HEADROOM - number % 16 * 4;
	m->data_len = 60 + number % 1400;
	m->pkt_len = m->data_len;
	*rte_pktmbuf_mtod(m, uint32_t *) = number;
	return m;
}

/* A packet of many segments, numbered through. */
static struct rte_mbuf *make_chain(uint32_t number, unsigned int segs)
{
	struct rte_mbuf *head = make(pool, number), *last = head;

	for (unsigned int i = 1; i < segs; i++) {
		last->next = make(pool, number + i);
		last = last->next;
		head->pkt_len += last->data_len;
		head->nb_segs++;
	}
	return head;
}

/* The device sends all it was given, in order, whole and plain. */
static void check_plain(unsigned int queue, uint32_t max)
{
	struct fake_tx tx;

	while (max-- && fake_transmit(queue, &tx)) {
		uint32_t len = 60 + got % 1400;

		assert_int_equal(*(const uint32_t *)tx.data, got);
		assert_int_equal(tx.len, len);
		assert_int_equal(tx.cmd & ~E1000_TXD_RS, E1000_TXD_EOP | E1000_TXD_IFCS | len);
		assert_int_equal(tx.word[1] >> 32, 0);
		got++;
	}
}

static uint16_t give(struct rte_mempool *from, uint16_t count)
{
	struct rte_mbuf *pkts[512];
	uint16_t n;

	for (uint16_t i = 0; i < count; i++)
		pkts[i] = make(from, sent + i);
	n = plx_eth_tx_burst(port, 0, pkts, count);
	assert_true(n <= count);
	sent += n;
	rte_pktmbuf_free_bulk(&pkts[n], count - n);
	return n;
}

static void bursts(uint16_t desc, uint64_t offloads)
{
	start(desc, 1, offloads, 0);
	for (int round = 0; round < 3; round++) {
		for (uint16_t burst = 1; burst <= 67 && burst < desc / 2; burst++) {
			assert_int_equal(give(pool, burst), burst);
			check_plain(0, UINT32_MAX);
			assert_int_equal(got, sent);
		}
	}
	check_tx_bytes(sent);
	stop();
}

static void test_bursts_64(void **state)
{
	(void)state;
	bursts(64, 0);
}

static void test_bursts_72(void **state)
{
	(void)state;
	bursts(72, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
}

static void test_bursts_512(void **state)
{
	(void)state;
	bursts(512, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
}

static void test_bursts_4096(void **state)
{
	(void)state;
	bursts(4096, 0);
}

/* A ring that fills up takes what it can, and all of the rest once there is room. */
static void full_ring(uint64_t offloads)
{
	struct rte_eth_stats stats;

	start(128, 1, offloads, 0);
	for (int round = 0; round < 20; round++) {
		while (give(pool, 37) == 37)
			;
		assert_true(sent - got <= 127);
		assert_true(sent - got >= 127 - 3 * 32);
		assert_true(sent - got == 127 || round);
		check_plain(0, 5 + 11 * round);
	}
	check_plain(0, UINT32_MAX);
	assert_int_equal(got, sent);
	plx_eth_stats_get(port, &stats);
	assert_int_equal(stats.opackets, sent);
	assert_int_equal(stats.q_opackets[0], sent);
	stop();
}

static void test_full_ring(void **state)
{
	(void)state;
	full_ring(0);
}

static void test_full_ring_fast(void **state)
{
	(void)state;
	full_ring(RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
}

/* What the device reports as sent goes back to its mempool with the next burst, less one batch. */
static void test_reclaim(void **state)
{
	unsigned int before = 0;

	(void)state;
	start(512, 1, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, 0);
	for (int i = 0; i < 100; i++) {
		give(pool, 32);
		check_plain(0, UINT32_MAX);
		if (i == 1)
			before = rte_mempool_avail_count(pool);
		if (i > 1)
			assert_int_equal(rte_mempool_avail_count(pool), before);
	}
	stop();
}

/* Without "fast free": shared buffers stay with who shares them, each goes to its own mempool. */
static void test_shared_and_mixed(void **state)
{
	struct rte_mbuf *kept[64];

	(void)state;
	start(64, 1, 0, 0);
	for (int round = 0; round < 20; round++) {
		struct rte_mbuf *pkts[16];

		for (int i = 0; i < 16; i++) {
			pkts[i] = make(i % 3 ? pool : other, sent + i);
			if (i % 5 == 0)
				rte_mbuf_refcnt_update(pkts[i], 1);
		}
		assert_int_equal(plx_eth_tx_burst(port, 0, pkts, 16), 16);
		sent += 16;
		for (int i = 0, k = 0; i < 16; i += 5)
			kept[k++] = pkts[i];
		check_plain(0, UINT32_MAX);
		for (int k = 0; k < 4; k++)
			rte_pktmbuf_free(kept[k]);
	}
	stop();
}

/* Stopping gives back what was never sent. */
static void test_stop_full(void **state)
{
	(void)state;
	for (int fast = 0; fast < 2; fast++) {
		for (int i = 0; i < 3; i++) {
			start(64, 1, fast ? RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE : 0, 0);
			got = sent;
			while (give(pool, 16) == 16)
				;
			check_plain(0, 20 * i);
			stop();
			assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
		}
	}
}

/* What is on its way when the port is stopped still leaves, round the end of the ring, too. */
static void test_stop_drains(void **state)
{
	(void)state;
	start(256, 1, 0, 0);
	assert_int_equal(give(pool, 200), 200);
	check_plain(0, UINT32_MAX);
	assert_int_equal(give(pool, 200), 200);
	fake.sends = true;
	stop();
	fake.sends = false;
	assert_int_equal(fake_read(E1000_TDH(0)), 400 - 256);
}

static void chains(uint64_t offloads)
{
	struct rte_mbuf *all[POOL_SIZE];

	start(64, 1, offloads | RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0);
	for (int round = 0; round < 50; round++) {
		for (unsigned int segs = 1; segs <= 40; segs += 1 + round % 5) {
			struct rte_mbuf *m = make_chain(sent, segs);
			struct fake_tx tx;

			assert_int_equal(plx_eth_tx_burst(port, 0, &m, 1), 1);
			for (unsigned int i = 0; i < segs; i++) {
				uint32_t end = i + 1 == segs ? E1000_TXD_EOP | E1000_TXD_IFCS : 0;

				assert_true(fake_transmit(0, &tx));
				assert_int_equal(*(const uint32_t *)tx.data, sent + i);
				assert_int_equal(tx.len, 60 + (sent + i) % 1400);
				assert_int_equal(tx.cmd & (E1000_TXD_EOP | E1000_TXD_IFCS), end);
				/* Only the end of a frame may ask for a report. */
				if (!end)
					assert_int_equal(tx.cmd & E1000_TXD_RS, 0);
			}
			assert_false(fake_transmit(0, &tx));
			sent += segs;
		}
	}
	check_tx_bytes(sent);
	stop();
	/* Segments come back single: a mempool's buffers have no next. */
	assert_int_equal(rte_mempool_get_bulk(pool, (void **)all, POOL_SIZE), 0);
	for (int i = 0; i < POOL_SIZE; i++) {
		assert_null(all[i]->next);
		assert_int_equal(all[i]->nb_segs, 1);
		assert_int_equal(rte_mbuf_refcnt_read(all[i]), 1);
	}
	rte_mempool_put_bulk(pool, (void **)all, POOL_SIZE);
}

static void test_chains(void **state)
{
	(void)state;
	chains(0);
}

static void test_chains_fast(void **state)
{
	(void)state;
	chains(RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
}

/* Plain packets and others in one burst keep their order. */
static void test_mixed_burst(void **state)
{
	struct rte_mbuf *pkts[24];
	struct fake_tx tx;

	(void)state;
	start(128, 1, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0);
	for (int odd = 0; odd < 24; odd++) {
		for (int i = 0; i < 24; i++)
			pkts[i] = i == odd ? make_chain(1000 + i, 3) : make(pool, 1000 + i);
		assert_int_equal(plx_eth_tx_burst(port, 0, pkts, 24), 24);
		for (int i = 0; i < 24; i++) {
			assert_true(fake_transmit(0, &tx));
			assert_int_equal(*(const uint32_t *)tx.data, 1000 + i);
			if (i != odd)
				continue;
			assert_true(fake_transmit(0, &tx));
			assert_true(fake_transmit(0, &tx));
		}
		assert_false(fake_transmit(0, &tx));
	}
	stop();
}

/* What can never be sent is thrown away and counted, and doesn't hold up the rest. */
static void test_unsendable(void **state)
{
	struct rte_eth_stats stats;
	struct rte_mbuf *pkts[5];

	(void)state;
	start(64, 1, RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0);
	pkts[0] = make(pool, 0);
	pkts[1] = make_chain(0, 41);
	for (int i = 2; i < 5; i++)
		pkts[i] = make(pool, i - 1);
	assert_int_equal(plx_eth_tx_burst(port, 0, pkts, 5), 5);
	check_plain(0, UINT32_MAX);
	assert_int_equal(got, 4);
	if (fake.policy == PLX_ADDR_ALLOC) {
		for (int i = 0; i < 4; i++)
			pkts[i] = make(i == 1 ? other : pool, 4 + i - (i > 1));
		fake_map(other, false);
		fake_map(pool, true); /* may share a frame with the other one's end */
		if (rte_pktmbuf_mtod(pkts[1], uintptr_t) >> PLX_FRAME_SHIFT !=
		    rte_pktmbuf_mtod(pkts[0], uintptr_t) >> PLX_FRAME_SHIFT) {
			assert_int_equal(plx_eth_tx_burst(port, 0, pkts, 4), 4);
			check_plain(0, UINT32_MAX);
			assert_int_equal(got, 7);
			plx_eth_stats_get(port, &stats);
			assert_int_equal(stats.oerrors, 2);
			assert_int_equal(stats.opackets, 7);
			check_tx_bytes(7);
		} else {
			rte_pktmbuf_free_bulk(pkts, 4);
		}
	} else {
		plx_eth_stats_get(port, &stats);
		assert_int_equal(stats.oerrors, 1);
		assert_int_equal(stats.opackets, 4);
		check_tx_bytes(4);
	}
	stop();
}

static struct rte_mbuf *make_tcp(bool udp)
{
	struct rte_mbuf *m = make(pool, 0);

	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->l2_len = 14;
	m->l3_len = 20;
	m->l4_len = udp ? 8 : 20;
	m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM |
		      (udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM);
	memset(rte_pktmbuf_mtod(m, void *), 0, 60);
	*rte_pktmbuf_mtod_offset(m, uint8_t *, 14) = 0x45;
	return m;
}

#define TX_SUMS                                                         \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | \
	 RTE_ETH_TX_OFFLOAD_UDP_CKSUM)

/* A context says where the checksums go; it is sent anew only when it changes. */
static void test_checksum(void **state)
{
	struct rte_mbuf *pkts[3];
	struct fake_tx tx;

	(void)state;
	start(64, 1, TX_SUMS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, 0);
	for (int round = 0; round < 40; round++) {
		pkts[0] = make_tcp(false);
		pkts[1] = make_tcp(false);
		pkts[2] = make_tcp(true);
		assert_int_equal(plx_eth_tx_burst(port, 0, pkts, 3), 3);

		assert_true(fake_transmit(0, &tx));
		assert_null(tx.data);
		assert_int_equal(tx.word[0],
				 14 | 24 << 8 | 33 << 16 | UINT64_C(34) << 32 | UINT64_C(50) << 40);
		assert_int_equal(tx.word[1], E1000_TXD_DEXT | E1000_TXD_CTX_TCP | E1000_TXD_CTX_IP);
		for (int i = 0; i < 2; i++) {
			assert_true(fake_transmit(0, &tx));
			assert_int_equal(tx.cmd & ~(0xffffu | E1000_TXD_RS),
					 E1000_TXD_DEXT | E1000_TXD_DTYP_D | E1000_TXD_EOP |
						 E1000_TXD_IFCS);
			assert_int_equal(tx.status & 0xff00, E1000_TXD_IXSM | E1000_TXD_TXSM);
		}
		assert_true(fake_transmit(0, &tx));
		assert_null(tx.data);
		assert_int_equal(tx.word[0] >> 40, 40);
		assert_int_equal(tx.word[1], E1000_TXD_DEXT | E1000_TXD_CTX_IP);
		assert_true(fake_transmit(0, &tx));
		assert_non_null(tx.data);
		assert_false(fake_transmit(0, &tx));
	}
	stop();
}

/* With two queues a context is nobody's for long: each packet brings its own. */
static void test_checksum_two_queues(void **state)
{
	struct fake_tx tx;

	(void)state;
	start(64, 2, TX_SUMS, 0);
	for (int i = 0; i < 30; i++) {
		struct rte_mbuf *m = make_tcp(false);

		assert_int_equal(plx_eth_tx_burst(port, 1, &m, 1), 1);
		assert_true(fake_transmit(1, &tx));
		assert_null(tx.data);
		assert_true(fake_transmit(1, &tx));
		assert_non_null(tx.data);
	}
	assert_false(fake_transmit(0, &tx));
	stop();
}

static void test_vlan(void **state)
{
	static const uint8_t tagged[] = { 0x81, 0x00, 0x61, 0x23 };
	struct rte_mbuf *m;
	struct fake_tx tx;

	(void)state;
	/* The device strips, so it inserts. */
	start(64, 1, RTE_ETH_TX_OFFLOAD_VLAN_INSERT, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	m = make(pool, 5);
	m->ol_flags |= RTE_MBUF_F_TX_VLAN;
	m->vlan_tci = 0x6123;
	assert_int_equal(plx_eth_tx_burst(port, 0, &m, 1), 1);
	assert_true(fake_transmit(0, &tx));
	assert_true(tx.cmd & E1000_TXD_VLE);
	assert_int_equal(tx.status >> 16, 0x6123);
	assert_int_equal(tx.len, 65);

	/* It doesn't any more: the tag is in the packet. */
	assert_int_equal(plx_eth_dev_set_vlan_offload(port, 0), 0);
	m = make(pool, 6);
	m->ol_flags |= RTE_MBUF_F_TX_VLAN;
	m->vlan_tci = 0x6123;
	assert_int_equal(plx_eth_tx_burst(port, 0, &m, 1), 1);
	assert_true(fake_transmit(0, &tx));
	assert_false(tx.cmd & E1000_TXD_VLE);
	assert_int_equal(tx.len, 66 + 4);
	assert_memory_equal(tx.data + 12, tagged, sizeof(tagged));
	stop();
}

static void test_prepare(void **state)
{
	struct rte_mbuf *pkts[3];
	struct rte_ipv4_hdr *ip;
	struct rte_tcp_hdr *tcp;

	(void)state;
	start(64, 1, TX_SUMS | RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0);
	pkts[0] = make_tcp(false);
	ip = rte_pktmbuf_mtod_offset(pkts[0], struct rte_ipv4_hdr *, 14);
	tcp = (struct rte_tcp_hdr *)(ip + 1);
	ip->next_proto_id = 6;
	ip->total_length = rte_cpu_to_be_16(46);
	ip->src_addr = rte_cpu_to_be_32(0x01020304);
	pkts[1] = make(pool, 0);
	pkts[2] = make(pool, 1);
	assert_int_equal(plx_eth_tx_prepare(port, 0, pkts, 3), 3);
	assert_int_equal(tcp->cksum, rte_ipv4_phdr_cksum(ip, pkts[0]->ol_flags));
	assert_int_not_equal(tcp->cksum, 0);

	pkts[1]->ol_flags = RTE_MBUF_F_TX_TCP_SEG;
	assert_int_equal(plx_eth_tx_prepare(port, 0, pkts, 3), 1);
	assert_int_equal(rte_errno, ENOTSUP);
	pkts[1]->ol_flags = RTE_MBUF_F_TX_SCTP_CKSUM;
	assert_int_equal(plx_eth_tx_prepare(port, 0, pkts, 3), 1);
	assert_int_equal(rte_errno, ENOTSUP);
	pkts[1]->ol_flags = 0;
	pkts[1]->pkt_len = 9231;
	assert_int_equal(plx_eth_tx_prepare(port, 0, pkts, 3), 1);
	assert_int_equal(rte_errno, EINVAL);
	pkts[1]->pkt_len = 9230;
	assert_int_equal(plx_eth_tx_prepare(port, 0, pkts, 3), 3);
	assert_int_equal(plx_eth_tx_prepare(port, 1, pkts, 3), 0);
	rte_pktmbuf_free_bulk(pkts, 3);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_bursts_64),	BOTH(test_bursts_72),	     BOTH(test_bursts_512),
		BOTH(test_bursts_4096), BOTH(test_full_ring),	     BOTH(test_full_ring_fast),
		BOTH(test_reclaim),	BOTH(test_shared_and_mixed), BOTH(test_stop_full),
		BOTH(test_chains),	BOTH(test_chains_fast),	     BOTH(test_mixed_burst),
		BOTH(test_unsendable),	BOTH(test_checksum),	     BOTH(test_checksum_two_queues),
		BOTH(test_vlan),	BOTH(test_prepare),	     BOTH(test_stop_drains),
	};

	return cmocka_run_group_tests_name("e1000 transmit", tests, NULL, NULL);
}
