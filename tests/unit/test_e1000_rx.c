/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The receive loops of the 82574 driver, against a device of memory: every burst size round the
 * ring, devices that lie, frames in several buffers, empty mempools. Each case runs with device
 * addresses taken as they are and translated, and ends with a count of the buffers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "e1000_rig.h"

#define GOOD (E1000_RXD_EOP)

static void start(uint16_t desc, uint64_t offloads, uint32_t mtu)
{
	struct rte_eth_conf conf = { .rxmode = { .offloads = offloads, .mtu = mtu } };

	if (offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH)
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, desc, 0, NULL, pool), 0);
	assert_int_equal(plx_eth_tx_queue_setup(port, 0, 64, 0, NULL), 0);
	assert_int_equal(plx_eth_dev_start(port), 0);
	fake_rings_reset();
}

/* The device receives a packet that carries its number, len bytes long. */
static bool arrive(uint16_t len)
{
	uint32_t data[16] = { [3] = sent }; /* behind the addresses, whatever the length */
	struct fake_rx rx = {
		.data = data, .data_len = sizeof(data), .length = len, .status = GOOD
	};

	if (!fake_receive(0, &rx))
		return false;
	sent++;
	return true;
}

static void check_packet(struct rte_mbuf *m, uint32_t number, uint16_t len)
{
	assert_int_equal(rte_pktmbuf_mtod(m, uint32_t *)[3], number);
	assert_int_equal(m->pkt_len, len);
	assert_int_equal(m->data_len, len);
	assert_int_equal(m->nb_segs, 1);
	assert_int_equal(m->data_off, RTE_PKTMBUF_HEADROOM);
	assert_int_equal(m->port, port);
	assert_int_equal(m->ol_flags, 0);
	assert_int_equal(m->packet_type, 0);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	assert_null(m->next);
}

static uint16_t take(uint16_t count)
{
	struct rte_mbuf *pkts[512];
	uint16_t n = plx_eth_rx_burst(port, 0, pkts, count);

	assert_true(n <= count);
	for (uint16_t i = 0; i < n; i++) {
		check_packet(pkts[i], got, 60 + got % 1400);
		got++;
		/* As an application might leave it: the next use must set it anew. */
		pkts[i]->data_off = 7;
		pkts[i]->port = 9;
		pkts[i]->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_TX_IP_CKSUM;
		rte_pktmbuf_free(pkts[i]);
	}
	return n;
}

/* Every number of waiting packets up to 70 with many sizes of burst, round and round. */
static void bursts(uint16_t desc)
{
	start(desc, 0, 0);
	for (uint16_t waiting = 0; waiting <= RTE_MIN(70, desc - 32); waiting++) {
		for (uint16_t burst = 1; burst <= 67; burst += burst < 9 ? 1 : 7) {
			for (uint16_t i = 0; i < waiting; i++)
				assert_true(arrive(60 + sent % 1400));
			while (got < sent) {
				uint16_t want = RTE_MIN(burst, sent - got);

				assert_int_equal(take(burst), want);
			}
			assert_int_equal(take(burst), 0);
		}
	}
	check_rx_bytes(got);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

static void test_bursts_64(void **state)
{
	(void)state;
	bursts(64);
}

/* No multiple of the batch: refills go in two runs. */
static void test_bursts_72(void **state)
{
	(void)state;
	bursts(72);
}

static void test_bursts_1024(void **state)
{
	(void)state;
	bursts(1024);
}

/* The device fills what it owns, which is never the whole ring, and all of it arrives. */
static void test_full_ring(void **state)
{
	uint32_t n = 0;

	(void)state;
	start(128, 0, 0);
	for (int round = 0; round < 5; round++) {
		while (arrive(60 + sent % 1400))
			n++;
		while (take(512))
			;
		assert_int_equal(got, n);
	}
	assert_true(n >= 5 * (128 - 32));
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* Whatever is wrong with a frame, it is counted and its neighbours aren't harmed. */
static void test_bad_frames(void **state)
{
	static const struct {
		uint32_t status;
		uint16_t length;
	} bad[] = {
		{ GOOD, 0 },
		{ GOOD, 13 },
		{ GOOD, 1500 + 14 + 8 + 1 },
		{ GOOD, 2048 },
		{ GOOD, 0x8000 },
		{ GOOD, UINT16_MAX },
		{ GOOD | E1000_RXD_CE, 60 },
		{ GOOD | E1000_RXD_SE, 60 },
		{ GOOD | E1000_RXD_SEQ, 60 },
		{ GOOD | E1000_RXD_CXE, 60 },
		{ GOOD | E1000_RXD_RXE, 60 },
	};
	struct rte_eth_stats stats;
	uint32_t errors = 0;

	(void)state;
	start(512, 0, 0);
	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		for (unsigned int before = 0; before < 9; before++) {
			struct fake_rx rx = { .status = bad[i].status, .length = bad[i].length };

			for (unsigned int k = 0; k < before; k++)
				assert_true(arrive(60 + sent % 1400));
			assert_true(fake_receive(0, &rx));
			errors++;
			for (unsigned int k = 0; k < 5; k++)
				assert_true(arrive(60 + sent % 1400));
			while (take(32))
				;
			assert_int_equal(got, sent);
		}
	}
	plx_eth_stats_get(port, &stats);
	assert_int_equal(stats.ierrors, errors);
	assert_int_equal(stats.q_errors[0], errors);
	assert_int_equal(stats.ipackets, got);
	check_rx_bytes(got);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* The bounds themselves are good. */
static void test_length_bounds(void **state)
{
	static const uint16_t good[] = { 14, 15, 1500 + 14 + 8 };
	struct rte_mbuf *pkts[8];

	(void)state;
	start(64, 0, 0);
	for (size_t i = 0; i < RTE_DIM(good); i++) {
		for (int k = 0; k < 5; k++)
			assert_true(arrive(good[i]));
		assert_int_equal(plx_eth_rx_burst(port, 0, pkts, 8), 5);
		for (int k = 0; k < 5; k++) {
			assert_int_equal(pkts[k]->pkt_len, good[i]);
			rte_pktmbuf_free(pkts[k]);
		}
	}
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* A frame that reaches over several buffers where none may: all of it goes, also in parts. */
static void test_unasked_scatter(void **state)
{
	struct fake_rx part = { .status = 0, .length = 2048 };
	struct fake_rx end = { .status = GOOD, .length = 60 };
	struct rte_eth_stats stats;

	(void)state;
	start(128, 0, 0);
	for (unsigned int parts = 1; parts < 7; parts++) {
		for (unsigned int polls = 0; polls <= parts; polls++) {
			assert_true(arrive(60 + sent % 1400));
			for (unsigned int i = 0; i < parts; i++) {
				assert_true(fake_receive(0, &part));
				if (i < polls)
					while (take(8))
						;
			}
			assert_true(fake_receive(0, &end));
			for (int i = 0; i < 4; i++)
				assert_true(arrive(60 + sent % 1400));
			while (take(8))
				;
			assert_int_equal(got, sent);
		}
	}
	plx_eth_stats_get(port, &stats);
	assert_int_equal(stats.ierrors, 2 + 3 + 4 + 5 + 6 + 7);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* Descriptors done before those in front of them wait for their turn. */
static void test_out_of_order(void **state)
{
	struct rte_mbuf *pkts[8];
	union e1000_rx_desc saved;

	(void)state;
	start(64, 0, 0);
	for (int hole = 0; hole < 4; hole++) {
		unsigned int slot = (sent + hole) % 64;

		for (int i = 0; i < 4; i++)
			assert_true(arrive(60));
		saved = *fake_rx_desc(0, slot);
		fake_rx_desc(0, slot)->wb.status = 0;
		assert_int_equal(plx_eth_rx_burst(port, 0, pkts, 8), hole);
		*fake_rx_desc(0, slot) = saved;
		assert_int_equal(plx_eth_rx_burst(port, 0, &pkts[hole], 8), 4 - hole);
		for (int i = 0; i < 4; i++) {
			check_packet(pkts[i], got++, 60);
			rte_pktmbuf_free(pkts[i]);
		}
	}
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

static int compare(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

/* A device that calls every descriptor done, over and over, can't have a buffer given out twice. */
static void garbage(uint64_t offloads, uint32_t mtu)
{
	struct rte_mbuf **held = calloc(POOL_SIZE, sizeof(*held));
	uint32_t seed = 1;
	unsigned int n = 0;

	assert_non_null(held);
	start(64, offloads, mtu);
	for (int round = 0; round < 3000; round++) {
		struct rte_mbuf *pkts[32];
		uint16_t count;

		for (unsigned int i = 0; i < 64; i++) {
			union e1000_rx_desc *desc = fake_rx_desc(0, i);

			for (int w = 0; w < 2; w++) {
				seed = seed * 1664525 + 1013904223;
				desc->word[w] = (uint64_t)seed << 32 | seed >> 7;
			}
			desc->wb.status |= E1000_RXD_DD;
			if (round % 3)
				desc->wb.status &= ~E1000_RXD_BAD;
			if (round % 2)
				desc->wb.length &= 0x7ff;
		}
		count = plx_eth_rx_burst(port, 0, pkts, 32);
		for (uint16_t i = 0; i < count; i++) {
			uint32_t len = 0;

			for (struct rte_mbuf *m = pkts[i]; m; m = m->next) {
				assert_true(m->data_off + m->data_len <= m->buf_len);
				len += m->data_len;
				assert_true(n < POOL_SIZE);
				held[n++] = m;
			}
			assert_int_equal(len, pkts[i]->pkt_len);
			assert_int_equal(rte_mbuf_check(pkts[i], 1, &(const char *){ NULL }), 0);
		}
		if (n < POOL_SIZE / 2)
			continue;
		qsort(held, n, sizeof(*held), compare);
		for (unsigned int i = 1; i < n; i++)
			assert_ptr_not_equal(held[i - 1], held[i]);
		for (unsigned int i = 0; i < n; i++)
			rte_pktmbuf_free_seg(held[i]);
		n = 0;
	}
	for (unsigned int i = 0; i < n; i++)
		rte_pktmbuf_free_seg(held[i]);
	free(held);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

static void test_garbage(void **state)
{
	(void)state;
	garbage(0, 0);
}

static void test_garbage_scatter(void **state)
{
	(void)state;
	garbage(RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_KEEP_CRC, 9216);
}

/* Without buffers nothing is taken twice; with buffers again, all goes on. */
static void test_no_buffers(void **state)
{
	struct rte_mbuf *all[POOL_SIZE + 1];
	struct rte_eth_stats stats;
	unsigned int n = 0;

	(void)state;
	start(64, 0, 0);
	while ((all[n] = rte_pktmbuf_alloc(pool)))
		n++;
	for (int round = 0; round < 10; round++) {
		struct rte_mbuf *pkts[32];
		uint16_t count;

		while (arrive(60 + sent % 1400))
			;
		count = plx_eth_rx_burst(port, 0, pkts, 32);
		for (uint16_t i = 0; i < count; i++) {
			check_packet(pkts[i], got, 60 + got % 1400);
			got++;
			all[n++] = pkts[i];
		}
	}
	assert_int_equal(got, 63);
	assert_int_equal(sent, 63);
	/* Not even if the device calls the slot done that it was never given. */
	fake_rx_desc(0, 63)->wb.length = 60;
	fake_rx_desc(0, 63)->wb.status = GOOD | E1000_RXD_DD;
	assert_int_equal(plx_eth_rx_burst(port, 0, &all[n], 1), 0);
	memset(&fake_rx_desc(0, 63)->word[1], 0, sizeof(uint64_t));
	plx_eth_stats_get(port, &stats);
	assert_true(stats.rx_nombuf > 0);
	while (n)
		rte_pktmbuf_free(all[--n]);
	assert_int_equal(take(32), 0); /* refills */
	for (int i = 0; i < 20; i++)
		assert_true(arrive(60 + sent % 1400));
	while (take(7))
		;
	assert_int_equal(got, sent);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* The device receives len bytes (with CRC, if it leaves that on) over buffers of 2 KiB. */
static void arrive_long(const uint8_t *data, uint32_t len, struct fake_rx last)
{
	uint32_t done = 0;

	while (done < len) {
		struct fake_rx rx = { 0 };
		uint16_t part = RTE_MIN(len - done, 2048u);

		if (done + part == len)
			rx = last;
		rx.data = data + done;
		rx.data_len = part;
		rx.length = part;
		assert_true(fake_receive(0, &rx));
		done += part;
	}
}

static void check_long(struct rte_mbuf *m, const uint8_t *data, uint32_t len)
{
	unsigned int segs = 0;
	uint32_t done = 0;

	assert_int_equal(m->pkt_len, len);
	for (const struct rte_mbuf *s = m; s; s = s->next) {
		assert_true(s->data_len > 0);
		assert_memory_equal(rte_pktmbuf_mtod(s, void *), data + done, s->data_len);
		done += s->data_len;
		segs++;
	}
	assert_int_equal(done, len);
	assert_int_equal(m->nb_segs, segs);
}

static uint8_t pattern[20000];

/* Every length round the borders of buffers, whole or bit by bit. */
static void jumbo(uint64_t offloads, unsigned int crc)
{
	struct rte_eth_stats stats;
	struct rte_mbuf *m;
	uint64_t bytes = 0;

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i * 7 + i / 256;
	start(64, offloads, 9216);
	for (uint32_t len = 14; len <= 9230;
	     len += len % 2048 > 2035 || len % 2048 < 12 ? 1 : 101) {
		arrive_long(pattern, len + crc, (struct fake_rx){ .status = GOOD });
		assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 1);
		check_long(m, pattern, len);
		rte_pktmbuf_free(m);
		bytes += len;
	}
	assert_int_equal(plx_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ibytes, bytes);
	/* The first parts are polled before the last has arrived. */
	for (int i = 0; i < 3; i++) {
		struct fake_rx rx = { .data = pattern + 2048 * i,
				      .data_len = 2048,
				      .length = 2048 };

		assert_true(fake_receive(0, &rx));
		assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 0);
	}
	arrive_long(pattern + 3 * 2048, 100 + crc, (struct fake_rx){ .status = GOOD });
	assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 1);
	check_long(m, pattern, 3 * 2048 + 100);
	rte_pktmbuf_free(m);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

static void test_jumbo(void **state)
{
	(void)state;
	jumbo(0, 0);
}

static void test_jumbo_crc(void **state)
{
	(void)state;
	jumbo(RTE_ETH_RX_OFFLOAD_KEEP_CRC, 4);
}

/* Frames without an end, too long, or with gaps: dropped, counted, and the next one is whole. */
static void test_bad_jumbo(void **state)
{
	struct fake_rx part = { .length = 2048 }, end = { .status = GOOD, .length = 100 };
	struct fake_rx gap = { .length = 100 },
		       broken = { .status = GOOD | E1000_RXD_CE, .length = 9 };
	struct rte_eth_stats stats;
	struct rte_mbuf *m;

	(void)state;
	start(64, 0, 9216);
	for (int i = 0; i < 30; i++) {
		assert_true(fake_receive(0, &part));
		assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 0);
	}
	assert_true(fake_receive(0, &end));
	assert_true(fake_receive(0, &gap));
	assert_true(fake_receive(0, &end));
	assert_true(fake_receive(0, &part));
	assert_true(fake_receive(0, &broken));
	assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 0);
	arrive_long(pattern, 9000, (struct fake_rx){ .status = GOOD });
	assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 1);
	check_long(m, pattern, 9000);
	rte_pktmbuf_free(m);
	plx_eth_stats_get(port, &stats);
	assert_int_equal(stats.ierrors, 3);
	/* One that never ends is given back at stop. */
	assert_true(fake_receive(0, &part));
	assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 0);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* What the device says about a packet is passed on, if it was asked to. */
static void test_flags(void **state)
{
	static const struct {
		uint32_t status;
		uint64_t flags;
	} cases[] = {
		{ 0, 0 },
		{ E1000_RXD_IPCS, RTE_MBUF_F_RX_IP_CKSUM_GOOD },
		{ E1000_RXD_IPCS | E1000_RXD_IPE, RTE_MBUF_F_RX_IP_CKSUM_BAD },
		{ E1000_RXD_TCPCS, RTE_MBUF_F_RX_L4_CKSUM_GOOD },
		{ E1000_RXD_TCPCS | E1000_RXD_TCPE, RTE_MBUF_F_RX_L4_CKSUM_BAD },
		{ E1000_RXD_UDPCS | E1000_RXD_IPCS,
		  RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD },
		{ E1000_RXD_TCPE | E1000_RXD_IPE, 0 },
		{ E1000_RXD_VP, RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED },
	};
	struct rte_mbuf *m;

	(void)state;
	start(64,
	      RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_VLAN_STRIP |
		      RTE_ETH_RX_OFFLOAD_RSS_HASH,
	      0);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		for (uint32_t mrq = 0; mrq < 2; mrq++) {
			struct fake_rx rx = { .length = 60,
					      .status = GOOD | cases[i].status,
					      .vlan = 0x2123,
					      .rss = 0xcafe0001,
					      .mrq = mrq };
			uint64_t rss = mrq ? RTE_MBUF_F_RX_RSS_HASH : 0;

			assert_true(fake_receive(0, &rx));
			assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 1);
			assert_int_equal(m->ol_flags, cases[i].flags | rss);
			assert_int_equal(m->vlan_tci, 0x2123);
			assert_int_equal(m->hash.rss, 0xcafe0001);
			rte_pktmbuf_free(m);
		}
	}
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* Buffers that the device can't reach are refused when the queue is set up. */
static void test_unreachable_pool(void **state)
{
	struct rte_eth_conf conf = { 0 };

	(void)state;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);
	fake_map(pool, false);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), -EFAULT);
	assert_int_equal(fake.dmas, 0);
	fake_map(pool, true);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), 0);
}

static void shift_iova(struct rte_mempool *p, void *arg, void *obj, unsigned int index)
{
	(void)p;
	if (index == POOL_SIZE / 2)
		((struct rte_mbuf *)obj)->buf_iova += *(int *)arg;
}

/* One buffer that says it is elsewhere: refused where its word is taken, no matter else. */
static void test_wrong_iova(void **state)
{
	struct rte_eth_conf conf = { 0 };
	int by = 4096, back = -by;

	(void)state;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);
	rte_mempool_obj_iter(pool, shift_iova, &by);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool),
			 fake.policy == PLX_ADDR_ALLOC ? 0 : -EFAULT);
	rte_mempool_obj_iter(pool, shift_iova, &back);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), 0);
}

/* A mempool too small for the ring: an error, and everything back. */
static void test_small_pool(void **state)
{
	struct rte_mempool *small;
	struct rte_eth_conf conf = { 0 };

	(void)state;
	small = rte_pktmbuf_pool_create("small", 63, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, 0);
	assert_non_null(small);
	fake_map(small, true);
	assert_int_equal(plx_eth_dev_configure(port, 2, 1, &conf), 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 1, 64, 0, NULL, small), 0);
	assert_int_equal(plx_eth_tx_queue_setup(port, 0, 64, 0, NULL), 0);
	assert_int_equal(plx_eth_dev_start(port), -ENOBUFS);
	assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
	assert_int_equal(rte_mempool_avail_count(small), 63);
	assert_int_equal(plx_eth_dev_configure(port, 0, 1, &conf), 0);
	rte_mempool_free(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_bursts_64),
		BOTH(test_bursts_72),
		BOTH(test_bursts_1024),
		BOTH(test_full_ring),
		BOTH(test_bad_frames),
		BOTH(test_length_bounds),
		BOTH(test_unasked_scatter),
		BOTH(test_out_of_order),
		BOTH(test_garbage),
		BOTH(test_garbage_scatter),
		BOTH(test_no_buffers),
		BOTH(test_jumbo),
		BOTH(test_jumbo_crc),
		BOTH(test_bad_jumbo),
		BOTH(test_flags),
		cmocka_unit_test_setup_teardown(test_unreachable_pool, setup_xlate, teardown),
		BOTH(test_wrong_iova),
		BOTH(test_small_pool),
	};

	return cmocka_run_group_tests_name("e1000 receive", tests, NULL, NULL);
}
