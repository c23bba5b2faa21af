/* SPDX-License-Identifier: BSD-3-Clause */
/* plx-testpmd's command line: what is taken, and that what isn't is refused in one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "forward.h"
#include "options.h"

static char said[1024];
static unsigned lines;

static void sink(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	if (level > PLX_LOG_WARN)
		return;
	snprintf(said, sizeof(said), "%s", line);
	lines++;
}

static int setup(void **state)
{
	(void)state;
	said[0] = '\0';
	lines = 0;
	plx_log_set_sink(sink, NULL);
	return 0;
}

/* Parses "--" and the words of args, which end with NULL. */
static int parse(struct options *opts, const char *const *args)
{
	static char words[16][64];
	char *argv[17];
	int argc = 1;

	snprintf(words[0], sizeof(words[0]), "--");
	argv[0] = words[0];
	for (; *args; args++, argc++) {
		snprintf(words[argc], sizeof(words[argc]), "%s", *args);
		argv[argc] = words[argc];
	}
	argv[argc] = NULL;
	return options_parse(argc, argv, opts);
}

#define PARSE(opts, ...) parse(opts, (const char *const[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	struct options opts;

	(void)state;
	assert_int_equal(parse(&opts, (const char *const[]){ NULL }), 0);
	assert_ptr_equal(opts.engine[0], &engine_io);
	assert_ptr_equal(opts.engine[PLX_MAX_ETHPORTS - 1], &engine_io);
	assert_int_equal(opts.burst, 32);
	assert_int_equal(opts.cores, 1);
	assert_int_equal(opts.mbuf_size, 2176);
	assert_int_equal(opts.portmask, UINT32_MAX);
	assert_int_equal(opts.topology, TOPOLOGY_PAIRED);
	assert_true(opts.flush_rx && opts.link_check && opts.link_interrupt);
	assert_int_equal(opts.peer[3].addr_bytes[5], 3);
	assert_int_equal(opts.lengths.min, 64);
	assert_int_equal(lines, 0);
}

static void test_all_of_them(void **state)
{
	struct options opts;

	(void)state;
	assert_int_equal(PARSE(&opts, "--forward-mode=verify,io", "--portmask=0x5",
			       "--port-topology=chained", "--nb-cores=3", "--rxq=2", "--txq=4",
			       "--rxd=256", "--txd", "1024", "--burst=64"),
			 0);
	assert_ptr_equal(opts.engine[0], &engine_verify);
	assert_ptr_equal(opts.engine[1], &engine_io);
	assert_ptr_equal(opts.engine[2], &engine_io);
	assert_int_equal(opts.portmask, 5);
	assert_int_equal(opts.topology, TOPOLOGY_CHAINED);
	assert_int_equal(opts.cores, 3);
	assert_int_equal(opts.rxq, 2);
	assert_int_equal(opts.txq, 4);
	assert_int_equal(opts.rxd, 256);
	assert_int_equal(opts.txd, 1024);
	assert_int_equal(opts.burst, 64);

	assert_int_equal(PARSE(&opts, "--mbuf-size=9344", "--total-num-mbufs=5000", "--mbcache=0",
			       "--max-pkt-len=9018", "--enable-rx-cksum", "--enable-scatter",
			       "--no-flush-rx", "--disable-link-check", "--no-lsc-interrupt",
			       "--retry", "--tx-first", "--auto-start"),
			 0);
	assert_int_equal(opts.mbuf_size, 9344);
	assert_int_equal(opts.mbufs, 5000);
	assert_int_equal(opts.mbuf_cache, 0);
	assert_int_equal(opts.max_pkt_len, 9018);
	assert_true(opts.rx_cksum && opts.scatter);
	assert_false(opts.flush_rx || opts.link_check || opts.link_interrupt);
	assert_int_equal(opts.retries, 64);
	assert_int_equal(opts.tx_first, 1);

	assert_int_equal(PARSE(&opts, "--retry=3", "--tx-first=8", "--seconds=10",
			       "--packets=100000", "--stats-period", "1", "--record-core-cycles",
			       "--record-burst-stats", "--json", "--pcap=out.pcap", "--window=4096",
			       "--txonly-multi-flow"),
			 0);
	assert_int_equal(opts.retries, 3);
	assert_int_equal(opts.tx_first, 8);
	assert_int_equal(opts.seconds, 10);
	assert_int_equal(opts.packets, 100000);
	assert_int_equal(opts.stats_period, 1);
	assert_true(opts.record_cycles && opts.json && opts.multi_flow);
	assert_string_equal(opts.pcap, "out.pcap");
	assert_int_equal(opts.window, 4096);
	assert_int_equal(lines, 0);
}

static void test_addresses(void **state)
{
	static const struct rte_ether_addr mac = { { 2, 0, 0, 0xab, 0, 0x11 } };
	struct options opts;

	(void)state;
	assert_int_equal(PARSE(&opts, "--eth-peer=31,02:00:00:ab:00:11", "--ip=0,192.0.2.1",
			       "--ip=1,10.1.2.3/8", "--ip=2,10.1.2.3/0",
			       "--tx-ip=10.0.0.1,10.0.0.2", "--tx-udp=7,65535"),
			 0);
	assert_memory_equal(&opts.peer[31], &mac, sizeof(mac));
	assert_int_equal(opts.ip[0].net, RTE_BE32(0xc0000201));
	assert_int_equal(opts.ip[0].mask, UINT32_MAX);
	assert_int_equal(opts.ip[1].net, RTE_BE32(0x0a000000));
	assert_int_equal(opts.ip[1].mask, RTE_BE32(0xff000000));
	assert_int_equal(opts.ip[2].mask, 0);
	assert_int_equal(opts.tx_ip_src, RTE_BE32(0x0a000001));
	assert_int_equal(opts.tx_ip_dst, RTE_BE32(0x0a000002));
	assert_int_equal(opts.tx_udp_src, 7);
	assert_int_equal(opts.tx_udp_dst, 65535);
}

static void test_lengths(void **state)
{
	struct options opts;

	(void)state;
	assert_int_equal(PARSE(&opts, "--txpkts=64-9000"), 0);
	assert_int_equal(opts.lengths.min, 64);
	assert_int_equal(opts.lengths.max, 9000);
	assert_int_equal(opts.lengths.segs, 0);
	assert_int_equal(PARSE(&opts, "--txpkts=42,1000,1"), 0);
	assert_int_equal(opts.lengths.segs, 3);
	assert_int_equal(opts.lengths.seg[1], 1000);
	assert_int_equal(opts.lengths.min, 1043);
	assert_int_equal(opts.lengths.max, 1043);
	assert_int_equal(lines, 0);
}

/* Each ends in an error and exactly one line, which names what is wrong. */
static void test_refusals(void **state)
{
	static const struct {
		const char *arg, *names;
	} bad[] = {
		{ "--forward-mode=fast", "'fast'" },
		{ "--forward-mode=", "''" },
		{ "--forward-mode=io,", "''" },
		{ "--forward-mode=ioo", "'ioo'" },
		{ "--portmask=0", "--portmask=0" },
		{ "--portmask=-1", "-1" },
		{ "--portmask=100000000", "100000000" },
		{ "--portmask=5z", "5z" },
		{ "--port-topology=star", "star" },
		{ "--nb-cores=0", "--nb-cores=0" },
		{ "--rxq=0", "1 to 16" },
		{ "--txq=17", "1 to 16" },
		{ "--rxd=7", "--rxd=7" },
		{ "--txd=32769", "--txd=32769" },
		{ "--burst=0", "1 to 512" },
		{ "--burst=513", "1 to 512" },
		{ "--burst=-1", "--burst=-1" },
		{ "--burst= 1", "--burst= 1" },
		{ "--burst=1k", "--burst=1k" },
		{ "--burst=18446744073709551617", "1 to 512" },
		{ "--retry=0", "--retry=0" },
		{ "--mbuf-size=100", "--mbuf-size=100" },
		{ "--mbuf-size=65536", "--mbuf-size=65536" },
		{ "--total-num-mbufs=1", "--total-num-mbufs=1" },
		{ "--mbcache=513", "--mbcache=513" },
		{ "--max-pkt-len=63", "--max-pkt-len=63" },
		{ "--eth-peer=0", "--eth-peer=0" },
		{ "--eth-peer=32,02:00:00:00:00:01", "--eth-peer=32" },
		{ "--eth-peer=0,02:00:00:00:00", "--eth-peer=0" },
		{ "--ip=192.0.2.1", "--ip=192.0.2.1" },
		{ "--ip=0,192.0.2", "--ip=0,192.0.2" },
		{ "--ip=0,192.0.2.1/33", "/33" },
		{ "--ip=0,192.0.2.1/", "192.0.2.1/" },
		{ "--ip=32,192.0.2.1", "--ip=32" },
		{ "--tx-first=0", "--tx-first=0" },
		{ "--txpkts=59", "--txpkts=59" },
		{ "--txpkts=9601", "--txpkts=9601" },
		{ "--txpkts=41,100", "--txpkts=41,100" },
		{ "--txpkts=64,", "--txpkts=64," },
		{ "--txpkts=64,0", "--txpkts=64,0" },
		{ "--txpkts=64-", "--txpkts=64-" },
		{ "--txpkts=9000-64", "--txpkts=9000-64" },
		{ "--txpkts=64-9601", "--txpkts=64-9601" },
		{ "--txpkts=64,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", "--txpkts=64,1" },
		{ "--tx-ip=10.0.0.1", "--tx-ip=10.0.0.1" },
		{ "--tx-ip=10.0.0.1,x", "--tx-ip=10.0.0.1,x" },
		{ "--tx-udp=65536", "--tx-udp=65536" },
		{ "--tx-udp=1,2,3", "--tx-udp=1,2,3" },
		{ "--window=0", "--window=0" },
		{ "--window=4097", "--window=4097" },
		{ "--seconds=0", "--seconds=0" },
		{ "--packets=0", "--packets=0" },
		{ "--stats-period=x", "--stats-period=x" },
		{ "--interactive", "interactive" },
		{ "-i", "interactive" },
		{ "-x", "'-x'" },
		{ "--rx", "'--rx'" },
		{ "--nonsense", "'--nonsense'" },
		{ "--json=yes", "'--json=yes'" },
		{ "--burst", "'--burst'" },
		{ "stray", "'stray'" },
	};
	struct options opts;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setup(state);
		if (PARSE(&opts, bad[i].arg) != -EINVAL)
			fail_msg("%s was taken", bad[i].arg);
		if (lines != 1 || !strstr(said, bad[i].names))
			fail_msg("%s: %u lines, the last '%s'", bad[i].arg, lines, said);
	}
}

/* The same for options that are right, but not together. */
static void test_refused_together(void **state)
{
	struct options opts;

	(void)state;
	assert_int_equal(PARSE(&opts, "--txpkts=2049", "--tx-first"), -EINVAL);
	assert_non_null(strstr(said, "a segment of 2049 bytes doesn't fit"));
	assert_non_null(strstr(said, "--mbuf-size=2177"));
	assert_int_equal(PARSE(&opts, "--txpkts=100,2049"), -EINVAL);
	assert_int_equal(PARSE(&opts, "--rxq=2"), -EINVAL);
	assert_non_null(strstr(said, "give --txq=2"));
	assert_int_equal(lines, 3);
	assert_int_equal(PARSE(&opts, "--txpkts=2049", "--mbuf-size=2177"), 0);
	assert_int_equal(PARSE(&opts, "--txpkts=2048,2048"), 0);
	assert_int_equal(PARSE(&opts, "--txpkts=64-9000"), 0);
	assert_int_equal(PARSE(&opts, "--rxq=2", "--txq=2"), 0);
	assert_int_equal(lines, 3);
}

static void test_usage_names_every_option(void **state)
{
	static const char *const names[] = {
		"--forward-mode",
		"--portmask",
		"--port-topology",
		"--nb-cores",
		"--rxq",
		"--txq",
		"--rxd",
		"--txd",
		"--burst",
		"--retry",
		"--mbuf-size",
		"--total-num-mbufs",
		"--mbcache",
		"--max-pkt-len",
		"--enable-rx-cksum",
		"--enable-scatter",
		"--no-flush-rx",
		"--disable-link-check",
		"--no-lsc-interrupt",
		"--eth-peer",
		"--ip=",
		"--tx-first",
		"--txpkts",
		"--tx-ip",
		"--tx-udp",
		"--txonly-multi-flow",
		"--window",
		"--seconds",
		"--packets",
		"--stats-period",
		"--record-core-cycles",
		"--record-burst-stats",
		"--json",
		"--pcap",
		"--interactive",
		"--allow-noiommu",
		"EXIT CODES",
	};
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_non_null(out);
	usage(out);
	fclose(out);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strstr(text, names[i]))
			fail_msg("the help text lacks %s", names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, setup),
		cmocka_unit_test_setup(test_all_of_them, setup),
		cmocka_unit_test_setup(test_addresses, setup),
		cmocka_unit_test_setup(test_lengths, setup),
		cmocka_unit_test_setup(test_refusals, setup),
		cmocka_unit_test_setup(test_refused_together, setup),
		cmocka_unit_test_setup(test_usage_names_every_option, setup),
	};

	return cmocka_run_group_tests_name("testpmd options", tests, NULL, NULL);
}
