/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-testpmd's engines and the way streams are made, on ports that are a ring in memory. The ring
 * can lose, damage, repeat and reorder packets: verify must notice.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ip.h>

#include <pollux/log.h>

#include "control.h"
#include "packet.h"
#include "report.h"
#include "streams.h"

/* A wire from a transmit queue to a receive queue. */
struct wire {
	struct rte_mbuf *pkts[4096];
	unsigned head, tail;
	unsigned room;				  /* packets that may be on it */
	unsigned n;				  /* packets seen */
	unsigned lose, damage, cut, repeat, swap; /* which one to do it to; 0: none */
};

static struct wire wires[2];
static struct rte_mempool *pool;
static char said[512];

uint64_t __wrap_rte_get_tsc_hz(void);

/* verify's patience is some seconds: let them be short. */
uint64_t __wrap_rte_get_tsc_hz(void)
{
	return 1000000;
}

static void push(struct wire *w, struct rte_mbuf *m)
{
	w->pkts[w->tail++ % RTE_DIM(w->pkts)] = m;
}

static uint16_t wire_tx(void *txq, struct rte_mbuf **pkts, uint16_t count)
{
	struct wire *w = txq;
	uint16_t i;

	for (i = 0; i < count && w->tail - w->head < w->room; i++) {
		w->n++;
		if (w->n == w->lose) {
			rte_pktmbuf_free(pkts[i]);
			continue;
		}
		if (w->n == w->damage)
			rte_pktmbuf_mtod(pkts[i], uint8_t *)[40] ^= 4;
		if (w->n == w->cut)
			rte_pktmbuf_trim(pkts[i], 1);
		push(w, pkts[i]);
		if (w->n == w->repeat) {
			struct rte_mbuf *copy = rte_pktmbuf_copy(pkts[i], pool, 0, UINT32_MAX);

			assert_non_null(copy);
			push(w, copy);
		}
		if (w->swap && w->n == w->swap + 1) {
			struct rte_mbuf **last = &w->pkts[(w->tail - 1) % RTE_DIM(w->pkts)];
			struct rte_mbuf **prev = &w->pkts[(w->tail - 2) % RTE_DIM(w->pkts)];
			struct rte_mbuf *m = *last;

			*last = *prev;
			*prev = m;
		}
	}
	return i;
}

static uint16_t wire_rx(void *rxq, struct rte_mbuf **pkts, uint16_t count)
{
	struct wire *w = rxq;
	uint16_t i;

	for (i = 0; i < count && w->head != w->tail; i++)
		pkts[i] = w->pkts[w->head++ % RTE_DIM(w->pkts)];
	return i;
}

static void sink(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	snprintf(said, sizeof(said), "%s", line);
}

/* Port 0 sends on wire 0 and receives from wire 1; the other end of both is port 1. */
static void *rxqs[2] = { &wires[1], &wires[0] };
static void *txqs[2] = { &wires[0], &wires[1] };

static int setup(void **state)
{
	(void)state;
	memset(wires, 0, sizeof(wires));
	wires[0].room = wires[1].room = RTE_DIM(wires[0].pkts) - 2;
	for (unsigned i = 0; i < 2; i++)
		plx_eth_burst[i] = (struct plx_eth_burst_ops){
			.rx = wire_rx, .tx = wire_tx, .rxq = &rxqs[i], .txq = &txqs[i]
		};
	control_stop_wanted = 0;
	said[0] = '\0';
	plx_log_set_sink(sink, NULL);
	return 0;
}

/* Whatever happened, no buffer is lost. */
static int teardown(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		while (wire_rx(&wires[i], &m, 1))
			rte_pktmbuf_free(m);
	if (rte_mempool_in_use_count(pool)) {
		print_error("%u buffers are missing\n", rte_mempool_in_use_count(pool));
		return -1;
	}
	return 0;
}

static void make_ports(struct ports *ports, unsigned count)
{
	memset(ports, 0, sizeof(*ports));
	ports->count = count;
	for (unsigned i = 0; i < count; i++) {
		ports->port[i].id = (uint16_t)i;
		ports->port[i].node = SOCKET_ID_ANY;
		ports->port[i].pool = pool;
		ports->port[i].mac.addr_bytes[5] = (uint8_t)(0x10 + i);
	}
}

static int make(struct streams *streams, struct ports *ports, struct options *opts, unsigned count,
		const char *const *args)
{
	char *argv[16] = { (char *)(uintptr_t) "--" };
	int argc = 1;

	for (; *args; args++)
		argv[argc++] = (char *)(uintptr_t)*args;
	assert_int_equal(options_parse(argc, argv, opts), 0);
	make_ports(ports, count);
	return streams_create(streams, ports, opts);
}

#define MAKE(count, ...) \
	make(&streams, &ports, &opts, count, (const char *const[]){ __VA_ARGS__, NULL })

static void inject(struct wire *w, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		assert_non_null(m);
		memset(rte_pktmbuf_append(m, 64), (int)i, 64);
		push(w, m);
	}
}

static void run(struct streams *streams, unsigned rounds)
{
	for (unsigned r = 0; r < rounds; r++)
		for (unsigned i = 0; i < streams->count; i++)
			streams->stream[i]->run(streams->stream[i]);
}

static void test_io_forwards_everything(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(2, "--port-topology=loop", "--record-core-cycles"), 0);
	assert_int_equal(streams.count, 2);
	inject(&wires[1], 70); /* for port 0 */
	streams.stream[0]->run(streams.stream[0]);
	assert_int_equal(streams.stream[0]->rx_packets, 32);
	assert_true(streams.stream[0]->cycles > 0);
	for (int i = 0; i < 3; i++)
		streams.stream[0]->run(streams.stream[0]);
	assert_int_equal(streams.stream[0]->tx_packets, 70);
	assert_int_equal(streams.stream[0]->rx_bursts[32], 2);
	assert_int_equal(streams.stream[0]->rx_bursts[6], 1);
	assert_int_equal(streams.stream[0]->rx_bursts[0], 1);
	assert_int_equal(streams.stream[0]->tx_bursts[32], 2);
	assert_int_equal(wires[0].tail, 70);
	assert_int_equal(rte_pktmbuf_mtod(wires[0].pkts[69], uint8_t *)[63], 69);
	streams_destroy(&streams);
}

static void test_what_is_not_taken_is_dropped_and_counted(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(2, "--forward-mode=macswap", "--port-topology=loop", "--retry=2"), 0);
	inject(&wires[1], 32);
	wires[0].room = 20;
	streams.stream[0]->run(streams.stream[0]);
	assert_int_equal(streams.stream[0]->tx_packets, 20);
	assert_int_equal(streams.stream[0]->tx_dropped, 12);
	assert_int_equal(streams.stream[0]->tx_bursts[20], 1);
	assert_int_equal(report_dropped(&streams, 0), 12);
	assert_int_equal(report_dropped(&streams, 1), 0);
	streams_destroy(&streams);
}

static void test_mac_addresses_the_peer(void **state)
{
	static const uint8_t want[12] = { 2, 0, 0, 0, 0, 0x77, 0, 0, 0, 0, 0, 0x11 };
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(2, "--forward-mode=mac", "--eth-peer=1,02:00:00:00:00:77"), 0);
	inject(&wires[1], 1);
	streams.stream[0]->run(streams.stream[0]);
	assert_memory_equal(rte_pktmbuf_mtod(wires[1].pkts[1], void *), want, 12);
	streams_destroy(&streams);
}

static void test_txonly_makes_udp(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;
	struct rte_ipv4_hdr *ip;

	(void)state;
	assert_int_equal(MAKE(1, "--forward-mode=txonly", "--txpkts=64-66", "--packets=40",
			      "--txonly-multi-flow", "--tx-udp=1,2"),
			 0);
	run(&streams, 3);
	assert_int_equal(streams.stream[0]->tx_packets, 40);
	assert_ptr_equal(streams.stream[0]->counted, &streams.stream[0]->tx_packets);
	for (unsigned i = 0; i < 40; i++) {
		struct rte_mbuf *m = wires[0].pkts[i];

		assert_int_equal(m->pkt_len, 64 + i % 3);
		ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);
		assert_int_equal(rte_be_to_cpu_16(ip->total_length), m->pkt_len - 14);
		assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
		assert_int_equal(rte_be_to_cpu_32(ip->src_addr), 0xc6120001 ^ i);
	}
	streams_destroy(&streams);
}

static void test_txonly_segments(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;
	struct rte_mbuf *m;

	(void)state;
	assert_int_equal(MAKE(1, "--forward-mode=txonly", "--txpkts=50,1000,7", "--packets=1"), 0);
	run(&streams, 2);
	m = wires[0].pkts[0];
	assert_int_equal(wires[0].tail, 1);
	assert_int_equal(m->nb_segs, 3);
	assert_int_equal(m->pkt_len, 1057);
	assert_int_equal(m->next->data_len, 1000);
	assert_int_equal(m->next->next->data_len, 7);
	streams_destroy(&streams);
}

static void test_rxonly_frees(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(2, "--forward-mode=rxonly"), 0);
	inject(&wires[1], 40);
	run(&streams, 3);
	assert_int_equal(streams.stream[0]->rx_packets, 40);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	streams_destroy(&streams);
}

/* verify on port 0, io on port 1; a few rounds more than needed. */
static const struct verify_result *verified(struct streams *streams, struct ports *ports,
					    struct options *opts)
{
	const struct verify_result *r;
	uint64_t end = rte_rdtsc() + 20000000;

	assert_int_equal(make(streams, ports, opts, 2,
			      (const char *const[]){ "--forward-mode=verify,io",
						     "--port-topology=loop", "--packets=10000",
						     "--txpkts=60-9000", "--window=50", NULL }),
			 0);
	r = verify_result(streams->stream[0]);
	while (r->sent < 10000 || r->in_flight) {
		run(streams, 10);
		if (*streams->stream[0]->counted < 10000 && rte_rdtsc() > end &&
		    rte_rdtsc() - end > UINT64_C(60000000000))
			fail_msg("%lu of 10000 sent, %lu in flight", r->sent, r->in_flight);
	}
	run(streams, 10);
	assert_int_equal(r->sent, 10000);
	assert_int_equal(*streams->stream[0]->counted, 10000);
	assert_null(streams->stream[1]->counted);
	return r;
}

static void test_verify_intact(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;
	const struct verify_result *r = verified(&streams, &ports, &opts);

	(void)state;
	assert_int_equal(r->intact, 10000);
	assert_int_equal(r->lost + r->damaged + r->duplicated + r->reordered + r->in_flight, 0);
	assert_int_equal(streams.stream[1]->rx_packets, 10000);
	assert_false(report_verify_failed(&streams));
	streams_destroy(&streams);
}

static void test_verify_full_queue_loses_nothing(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;
	const struct verify_result *r;

	(void)state;
	wires[0].room = 7;
	r = verified(&streams, &ports, &opts);
	assert_int_equal(r->intact, 10000);
	assert_int_equal(streams.stream[0]->tx_dropped, 0);
	streams_destroy(&streams);
}

static void test_verify_notices(void **state)
{
	static const struct {
		const char *what;
		struct wire wire;
		struct verify_result want;
	} cases[] = {
		{ "a lost one", { .lose = 5000 }, { .intact = 9999, .lost = 1 } },
		{ "the last one lost", { .lose = 10000 }, { .intact = 9999, .lost = 1 } },
		{ "a damaged one", { .damage = 5000 }, { .intact = 9999, .damaged = 1 } },
		{ "one cut short", { .cut = 5000 }, { .intact = 9999, .damaged = 1 } },
		{ "one that comes twice",
		  { .repeat = 5000 },
		  { .intact = 10000, .duplicated = 1 } },
		{ "two that changed places",
		  { .swap = 5000 },
		  { .intact = 10000, .reordered = 1 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct verify_result *r, *want = &cases[i].want;
		struct streams streams;
		struct ports ports;
		struct options opts;

		setup(state);
		wires[0] = cases[i].wire;
		wires[0].room = 4000;
		r = verified(&streams, &ports, &opts);
		if (r->intact != want->intact || r->lost != want->lost ||
		    r->damaged != want->damaged || r->duplicated != want->duplicated ||
		    r->reordered != want->reordered)
			fail_msg("%s: %lu intact, %lu lost, %lu damaged, %lu duplicated, %lu "
				 "reordered",
				 cases[i].what, r->intact, r->lost, r->damaged, r->duplicated,
				 r->reordered);
		assert_int_equal(report_verify_failed(&streams), !want->reordered);
		streams_destroy(&streams);
		assert_int_equal(teardown(state), 0);
	}
}

static void test_verify_leaves_others_alone(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;
	const struct verify_result *r;

	(void)state;
	inject(&wires[1], 3);
	r = verified(&streams, &ports, &opts);
	assert_int_equal(r->intact, 10000);
	assert_int_equal(r->damaged, 0);
	assert_int_equal(streams.stream[0]->unanswered, 3);
	streams_destroy(&streams);
}

static void assert_pairs(const struct streams *streams, const char *pairs)
{
	char got[64] = "";

	for (unsigned i = 0; i < streams->count; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%u%u ",
			 streams->stream[i]->rx_port, streams->stream[i]->tx_port);
	assert_string_equal(got, pairs);
}

static void test_topologies(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(4, "--port-topology=paired"), 0);
	assert_pairs(&streams, "01 10 23 32 ");
	streams_destroy(&streams);
	assert_int_equal(MAKE(3, "--port-topology=paired"), 0);
	assert_pairs(&streams, "01 10 22 ");
	assert_non_null(strstr(said, "no partner"));
	streams_destroy(&streams);
	assert_int_equal(MAKE(3, "--port-topology=chained"), 0);
	assert_pairs(&streams, "01 12 20 ");
	streams_destroy(&streams);
	assert_int_equal(MAKE(3, "--port-topology=loop"), 0);
	assert_pairs(&streams, "00 11 22 ");
	streams_destroy(&streams);
	/* These answer where they were asked. */
	assert_int_equal(MAKE(2, "--forward-mode=icmpecho"), 0);
	assert_pairs(&streams, "00 11 ");
	streams_destroy(&streams);
}

static void test_two_streams_never_share_a_queue(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(2, "--forward-mode=verify,io"), -EINVAL);
	assert_non_null(strstr(said, "--port-topology=loop"));
	assert_int_equal(MAKE(2, "--forward-mode=txonly,rxonly"), 0);
	streams_destroy(&streams);
}

static void test_limits(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	/* Shared out to the last packet. */
	assert_int_equal(MAKE(3, "--forward-mode=txonly", "--packets=11"), 0);
	assert_int_equal(streams.stream[0]->quota, 4);
	assert_int_equal(streams.stream[1]->quota, 4);
	assert_int_equal(streams.stream[2]->quota, 3);
	streams_destroy(&streams);
	/* Received ones count, if there are any who receive. */
	assert_int_equal(MAKE(2, "--forward-mode=txonly,rxonly", "--packets=10"), 0);
	assert_null(streams.stream[0]->counted);
	assert_int_equal(streams.stream[0]->quota, 10);
	assert_ptr_equal(streams.stream[1]->counted, &streams.stream[1]->rx_packets);
	streams_destroy(&streams);
	/* The loop ends by itself, at a burst's end. */
	assert_int_equal(MAKE(2, "--forward-mode=io", "--port-topology=loop", "--packets=100"), 0);
	inject(&wires[1], 200);
	streams_forward_here(&streams);
	assert_true(control_stopping());
	/* Two rounds of a burst on each of the ports. */
	assert_int_equal(streams.stream[0]->rx_packets + streams.stream[1]->rx_packets, 128);
	streams_destroy(&streams);
}

static void test_lcores(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(2, "--nb-cores=2"), -EINVAL);
	assert_non_null(strstr(said, "--nb-cores=2"));
	assert_int_equal(MAKE(3, "--rxq=2", "--txq=2"), 0);
	assert_int_equal(streams.count, 6);
	assert_int_equal(streams.lcores, 1);
	assert_int_equal(streams.lcore[0].count, 6);
	assert_false(streams_launch(&streams)); /* the main lcore is alone */
	streams_destroy(&streams);
}

static void test_tx_first(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(2, "--forward-mode=io", "--port-topology=loop", "--tx-first=2",
			      "--packets=64"),
			 0);
	streams_forward_here(&streams);
	/* 64 went out of each port, came in at the other, and one round was forwarded. */
	assert_int_equal(streams.stream[0]->tx_packets, 64 + 32);
	assert_int_equal(streams.stream[1]->tx_packets, 64 + 32);
	assert_int_equal(streams.stream[0]->quota, UINT64_MAX);
	assert_null(streams.stream[0]->priv);
	streams_destroy(&streams);
}

/* What comes to nothing is said. */
static void test_tx_first_of_makers(void **state)
{
	struct streams streams;
	struct ports ports;
	struct options opts;

	(void)state;
	assert_int_equal(MAKE(1, "--forward-mode=txonly", "--tx-first", "--packets=1"), 0);
	assert_non_null(strstr(said, "nothing is sent first on port 0, where txonly"));
	streams_forward_here(&streams);
	assert_int_equal(streams.stream[0]->tx_packets, 1);
	streams_destroy(&streams);
}

static int start(void **state)
{
	char *argv[] = { (char *)(uintptr_t) "test",
			 (char *)(uintptr_t) "--no-huge",
			 (char *)(uintptr_t) "--no-pci",
			 (char *)(uintptr_t) "--no-shconf",
			 (char *)(uintptr_t) "-m",
			 (char *)(uintptr_t) "128",
			 (char *)(uintptr_t) "-l",
			 (char *)(uintptr_t) "0",
			 (char *)(uintptr_t) "--log-level=4",
			 (char *)(uintptr_t) "--no-telemetry" };

	(void)state;
	if (rte_eal_init(RTE_DIM(argv), argv) < 0)
		return -1;
	pool = rte_pktmbuf_pool_create("test", 8191, 0, 0, 2176, SOCKET_ID_ANY);
	return pool ? 0 : -1;
}

static int finish(void **state)
{
	(void)state;
	rte_mempool_free(pool);
	return rte_eal_cleanup();
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void *forwards(void *arg)
{
	streams_forward_here(arg);
	return NULL;
}

static uint64_t polls(const struct stream *s)
{
	return __atomic_load_n(&s->rx_bursts[0], __ATOMIC_RELAXED);
}

/* A port that streams are led away from is left alone; the other's streams go on. */
static void test_lead(void **state)
{
	struct streams streams;
	struct options opts;
	struct ports ports;
	pthread_t thread;
	uint64_t seen;

	(void)state;
	assert_int_equal(MAKE(2, "--port-topology=loop"), 0);
	assert_int_equal(pthread_create(&thread, NULL, forwards, &streams), 0);
	for (int round = 0; round < 25; round++) {
		assert_true(streams_lead(&streams, 0, PLX_ETH_NOWHERE));
		/* Whoever came here now would crash. */
		plx_eth_burst[0].rx = NULL;
		plx_eth_burst[0].tx = NULL;
		for (seen = polls(streams.stream[1]); polls(streams.stream[1]) < seen + 100;)
			sched_yield();
		plx_eth_burst[0].rx = wire_rx;
		plx_eth_burst[0].tx = wire_tx;
		assert_true(streams_lead(&streams, 0, 0));
		for (seen = polls(streams.stream[0]); polls(streams.stream[0]) < seen + 2;)
			sched_yield();
	}
	control_stop_wanted = 1;
	pthread_join(thread, NULL);
	/* Nobody answers any more: nobody is waited for. */
	assert_false(streams_lead(&streams, 1, PLX_ETH_NOWHERE));
	streams_destroy(&streams);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_io_forwards_everything),
		CASE(test_what_is_not_taken_is_dropped_and_counted),
		CASE(test_mac_addresses_the_peer),
		CASE(test_txonly_makes_udp),
		CASE(test_txonly_segments),
		CASE(test_rxonly_frees),
		CASE(test_verify_intact),
		CASE(test_verify_full_queue_loses_nothing),
		CASE(test_verify_notices),
		CASE(test_verify_leaves_others_alone),
		CASE(test_topologies),
		CASE(test_two_streams_never_share_a_queue),
		CASE(test_limits),
		CASE(test_lcores),
		CASE(test_lead),
		CASE(test_tx_first),
		CASE(test_tx_first_of_makers),
	};

	return cmocka_run_group_tests_name("testpmd engines", tests, start, finish);
}
