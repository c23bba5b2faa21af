/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>

#include <pollux/log.h>

#include "forward.h"
#include "options.h"

enum {
	OPT_FORWARD_MODE = 256,
	OPT_PORTMASK,
	OPT_PORT_TOPOLOGY,
	OPT_NB_CORES,
	OPT_RXQ,
	OPT_TXQ,
	OPT_RXD,
	OPT_TXD,
	OPT_BURST,
	OPT_RETRY,
	OPT_MBUF_SIZE,
	OPT_TOTAL_NUM_MBUFS,
	OPT_MBCACHE,
	OPT_MAX_PKT_LEN,
	OPT_ENABLE_RX_CKSUM,
	OPT_ENABLE_SCATTER,
	OPT_NO_FLUSH_RX,
	OPT_DISABLE_LINK_CHECK,
	OPT_NO_LSC_INTERRUPT,
	OPT_ETH_PEER,
	OPT_IP,
	OPT_TX_FIRST,
	OPT_TXPKTS,
	OPT_TX_IP,
	OPT_TX_UDP,
	OPT_TXONLY_MULTI_FLOW,
	OPT_WINDOW,
	OPT_SECONDS,
	OPT_PACKETS,
	OPT_STATS_PERIOD,
	OPT_RECORD_CORE_CYCLES,
	OPT_RECORD_BURST_STATS,
	OPT_JSON,
	OPT_PCAP,
};

static const struct option long_options[] = {
	{ "forward-mode", required_argument, NULL, OPT_FORWARD_MODE },
	{ "portmask", required_argument, NULL, OPT_PORTMASK },
	{ "port-topology", required_argument, NULL, OPT_PORT_TOPOLOGY },
	{ "nb-cores", required_argument, NULL, OPT_NB_CORES },
	{ "rxq", required_argument, NULL, OPT_RXQ },
	{ "txq", required_argument, NULL, OPT_TXQ },
	{ "rxd", required_argument, NULL, OPT_RXD },
	{ "txd", required_argument, NULL, OPT_TXD },
	{ "burst", required_argument, NULL, OPT_BURST },
	{ "retry", optional_argument, NULL, OPT_RETRY },
	{ "mbuf-size", required_argument, NULL, OPT_MBUF_SIZE },
	{ "total-num-mbufs", required_argument, NULL, OPT_TOTAL_NUM_MBUFS },
	{ "mbcache", required_argument, NULL, OPT_MBCACHE },
	{ "max-pkt-len", required_argument, NULL, OPT_MAX_PKT_LEN },
	{ "enable-rx-cksum", no_argument, NULL, OPT_ENABLE_RX_CKSUM },
	{ "enable-scatter", no_argument, NULL, OPT_ENABLE_SCATTER },
	{ "no-flush-rx", no_argument, NULL, OPT_NO_FLUSH_RX },
	{ "disable-link-check", no_argument, NULL, OPT_DISABLE_LINK_CHECK },
	{ "no-lsc-interrupt", no_argument, NULL, OPT_NO_LSC_INTERRUPT },
	{ "eth-peer", required_argument, NULL, OPT_ETH_PEER },
	{ "ip", required_argument, NULL, OPT_IP },
	{ "tx-first", optional_argument, NULL, OPT_TX_FIRST },
	{ "txpkts", required_argument, NULL, OPT_TXPKTS },
	{ "tx-ip", required_argument, NULL, OPT_TX_IP },
	{ "tx-udp", required_argument, NULL, OPT_TX_UDP },
	{ "txonly-multi-flow", no_argument, NULL, OPT_TXONLY_MULTI_FLOW },
	{ "window", required_argument, NULL, OPT_WINDOW },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "packets", required_argument, NULL, OPT_PACKETS },
	{ "stats-period", required_argument, NULL, OPT_STATS_PERIOD },
	{ "record-core-cycles", no_argument, NULL, OPT_RECORD_CORE_CYCLES },
	{ "record-burst-stats", no_argument, NULL, OPT_RECORD_BURST_STATS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "pcap", required_argument, NULL, OPT_PCAP },
	{ "interactive", no_argument, NULL, 'i' },
	{ "auto-start", no_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 },
};

static const char *option_name(int opt)
{
	for (const struct option *o = long_options; o->name; o++)
		if (o->val == opt)
			return o->name;
	return "?";
}

/* A decimal or 0x number and nothing else; strtoull() alone would take "-1" and " 1". */
static int scan_number(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
	return errno || *end ? -EINVAL : 0;
}

static int parse_number(int opt, uint64_t min, uint64_t max, uint64_t *value)
{
	if (scan_number(optarg, value) == 0 && *value >= min && *value <= max)
		return 0;
	plx_err("--%s=%s: a number from %llu to %llu is wanted", option_name(opt), optarg,
		(unsigned long long)min, (unsigned long long)max);
	return -EINVAL;
}

#define PARSE_NUMBER(opt, min, max, field)                       \
	({                                                       \
		uint64_t value_ = 0;                             \
		int ret_ = parse_number(opt, min, max, &value_); \
		if (ret_ == 0)                                   \
			(field) = (__typeof__(field))value_;     \
		ret_;                                            \
	})

/* Splits "a,b" in two. */
static int split(const char *text, char sep, char *head, size_t len, const char **tail)
{
	const char *at = strchr(text, sep);

	if (!at || (size_t)(at - text) >= len)
		return -EINVAL;
	memcpy(head, text, at - text);
	head[at - text] = '\0';
	*tail = at + 1;
	return 0;
}

static int parse_forward_mode(struct options *opts)
{
	const char *at = optarg;
	unsigned ports = 0;

	for (;;) {
		size_t len = strcspn(at, ",");
		const struct engine *engine = engine_find(at, len);

		if (!engine || ports == PLX_MAX_ETHPORTS) {
			plx_err("--forward-mode=%s: '%.*s' is no mode; there are " ENGINE_NAMES,
				optarg, (int)len, at);
			return -EINVAL;
		}
		opts->engine[ports++] = engine;
		if (!at[len])
			break;
		at += len + 1;
	}
	opts->modes = (uint16_t)ports;
	while (ports < PLX_MAX_ETHPORTS) {
		opts->engine[ports] = opts->engine[ports - 1];
		ports++;
	}
	return 0;
}

static int parse_topology(struct options *opts)
{
	static const char *const names[] = {
		[TOPOLOGY_PAIRED] = "paired",
		[TOPOLOGY_CHAINED] = "chained",
		[TOPOLOGY_LOOP] = "loop",
	};

	for (unsigned i = 0; i < RTE_DIM(names); i++) {
		if (strcmp(optarg, names[i]) == 0) {
			opts->topology = (enum topology)i;
			return 0;
		}
	}
	plx_err("--port-topology=%s: paired, chained or loop is wanted", optarg);
	return -EINVAL;
}

/* A mask is hexadecimal with or without 0x, as everywhere in DPDK. */
static int parse_portmask(struct options *opts)
{
	char *end;
	unsigned long long mask;

	errno = 0;
	mask = strtoull(optarg, &end, 16);
	if (errno || *end || *optarg == '-' || mask == 0 || mask > UINT32_MAX) {
		plx_err("--portmask=%s: a hexadecimal mask of ports 0 to %d is wanted, not 0",
			optarg, PLX_MAX_ETHPORTS - 1);
		return -EINVAL;
	}
	opts->portmask = (uint32_t)mask;
	return 0;
}

static int parse_eth_peer(struct options *opts)
{
	char head[8];
	const char *mac;
	uint64_t port;

	if (split(optarg, ',', head, sizeof(head), &mac) == 0 && scan_number(head, &port) == 0 &&
	    port < PLX_MAX_ETHPORTS && rte_ether_unformat_addr(mac, &opts->peer[port]) == 0)
		return 0;
	plx_err("--eth-peer=%s: PORT,MAC is wanted, for example 0,02:00:00:00:00:01", optarg);
	return -EINVAL;
}

static int parse_ip(struct options *opts)
{
	char head[8], addr[INET_ADDRSTRLEN];
	const char *rest, *bits;
	uint64_t port, len = 32;
	struct in_addr in;

	if (split(optarg, ',', head, sizeof(head), &rest) || scan_number(head, &port) ||
	    port >= PLX_MAX_ETHPORTS)
		goto wrong;
	if (strchr(rest, '/')) {
		if (split(rest, '/', addr, sizeof(addr), &bits) || scan_number(bits, &len) ||
		    len > 32)
			goto wrong;
		rest = addr;
	}
	if (inet_pton(AF_INET, rest, &in) != 1)
		goto wrong;
	opts->ip[port].mask = len ? rte_cpu_to_be_32(UINT32_MAX << (32 - len)) : 0;
	opts->ip[port].net = in.s_addr & opts->ip[port].mask;
	return 0;
wrong:
	plx_err("--ip=%s: PORT,ADDRESS or PORT,ADDRESS/LENGTH is wanted, for example 0,192.0.2.1",
		optarg);
	return -EINVAL;
}

/* "64", "64,128,1000" (segments of one packet) or "64-9000" (lengths in turn). */
static int parse_txpkts(struct options *opts)
{
	struct lengths lengths = { 0 };
	const char *at = optarg, *high;
	char part[8];
	uint64_t min, max;
	unsigned total = 0;

	if (split(optarg, '-', part, sizeof(part), &high) == 0) {
		if (scan_number(part, &min) || scan_number(high, &max) || min < FRAME_MIN ||
		    max > FRAME_MAX || min > max)
			goto wrong;
		opts->lengths = (struct lengths){ .min = (uint16_t)min, .max = (uint16_t)max };
		return 0;
	}
	for (;;) {
		size_t len = strcspn(at, ",");

		if (len >= sizeof(part) || lengths.segs == TX_SEGS_MAX)
			goto wrong;
		memcpy(part, at, len);
		part[len] = '\0';
		if (scan_number(part, &max) || max == 0 || max > FRAME_MAX)
			goto wrong;
		lengths.seg[lengths.segs++] = (uint16_t)max;
		total += (unsigned)max;
		if (!at[len])
			break;
		at += len + 1;
	}
	/* The headers are written into the first segment. */
	if (total < FRAME_MIN || total > FRAME_MAX || lengths.seg[0] < TX_HEADER_LEN)
		goto wrong;
	lengths.min = lengths.max = (uint16_t)total;
	opts->lengths = lengths;
	return 0;
wrong:
	plx_err("--txpkts=%s: a length from %d to %d, the lengths of up to %d segments (the first "
		"at least %d), or a range MIN-MAX is wanted",
		optarg, FRAME_MIN, FRAME_MAX, TX_SEGS_MAX, TX_HEADER_LEN);
	return -EINVAL;
}

static int parse_tx_ip(struct options *opts)
{
	char src[INET_ADDRSTRLEN];
	const char *dst;

	if (split(optarg, ',', src, sizeof(src), &dst) == 0 &&
	    inet_pton(AF_INET, src, &opts->tx_ip_src) == 1 &&
	    inet_pton(AF_INET, dst, &opts->tx_ip_dst) == 1)
		return 0;
	plx_err("--tx-ip=%s: SOURCE,DESTINATION is wanted, for example 198.18.0.1,198.18.0.2",
		optarg);
	return -EINVAL;
}

static int parse_tx_udp(struct options *opts)
{
	char head[8];
	const char *tail = optarg;
	uint64_t src, dst;
	int ret = scan_number(optarg, &src);

	dst = src;
	if (ret)
		ret = split(optarg, ',', head, sizeof(head), &tail) || scan_number(head, &src) ||
		      scan_number(tail, &dst);
	if (ret || src > UINT16_MAX || dst > UINT16_MAX) {
		plx_err("--tx-udp=%s: a port, or SOURCE,DESTINATION, is wanted", optarg);
		return -EINVAL;
	}
	opts->tx_udp_src = (uint16_t)src;
	opts->tx_udp_dst = (uint16_t)dst;
	return 0;
}

static int parse_option(int opt, struct options *opts)
{
	switch (opt) {
	case OPT_FORWARD_MODE: return parse_forward_mode(opts);
	case OPT_PORTMASK: return parse_portmask(opts);
	case OPT_PORT_TOPOLOGY: return parse_topology(opts);
	case OPT_NB_CORES: return PARSE_NUMBER(opt, 1, RTE_MAX_LCORE, opts->cores);
	case OPT_RXQ: return PARSE_NUMBER(opt, 1, PLX_MAX_QUEUES, opts->rxq);
	case OPT_TXQ: return PARSE_NUMBER(opt, 1, PLX_MAX_QUEUES, opts->txq);
	case OPT_RXD: return PARSE_NUMBER(opt, 8, 32768, opts->rxd);
	case OPT_TXD: return PARSE_NUMBER(opt, 8, 32768, opts->txd);
	case OPT_BURST: return PARSE_NUMBER(opt, 1, BURST_MAX, opts->burst);
	case OPT_RETRY:
		opts->retries = 64;
		return optarg ? PARSE_NUMBER(opt, 1, UINT16_MAX, opts->retries) : 0;
	case OPT_MBUF_SIZE:
		return PARSE_NUMBER(opt, RTE_PKTMBUF_HEADROOM + 256, UINT16_MAX, opts->mbuf_size);
	case OPT_TOTAL_NUM_MBUFS: return PARSE_NUMBER(opt, 128, 1 << 26, opts->mbufs);
	case OPT_MBCACHE: return PARSE_NUMBER(opt, 0, RTE_MEMPOOL_CACHE_MAX_SIZE, opts->mbuf_cache);
	case OPT_MAX_PKT_LEN: return PARSE_NUMBER(opt, 64, 65535, opts->max_pkt_len);
	case OPT_ENABLE_RX_CKSUM: opts->rx_cksum = true; return 0;
	case OPT_ENABLE_SCATTER: opts->scatter = true; return 0;
	case OPT_NO_FLUSH_RX: opts->flush_rx = false; return 0;
	case OPT_DISABLE_LINK_CHECK: opts->link_check = false; return 0;
	case OPT_NO_LSC_INTERRUPT: opts->link_interrupt = false; return 0;
	case OPT_ETH_PEER: return parse_eth_peer(opts);
	case OPT_IP: return parse_ip(opts);
	case OPT_TX_FIRST:
		opts->tx_first = 1;
		return optarg ? PARSE_NUMBER(opt, 1, 1000000, opts->tx_first) : 0;
	case OPT_TXPKTS: return parse_txpkts(opts);
	case OPT_TX_IP: return parse_tx_ip(opts);
	case OPT_TX_UDP: return parse_tx_udp(opts);
	case OPT_TXONLY_MULTI_FLOW: opts->multi_flow = true; return 0;
	case OPT_WINDOW: return PARSE_NUMBER(opt, 1, VERIFY_WINDOW_MAX, opts->window);
	case OPT_SECONDS: return PARSE_NUMBER(opt, 1, 1000000000, opts->seconds);
	case OPT_PACKETS: return PARSE_NUMBER(opt, 1, UINT64_MAX, opts->packets);
	case OPT_STATS_PERIOD: return PARSE_NUMBER(opt, 0, 86400, opts->stats_period);
	case OPT_RECORD_CORE_CYCLES: opts->record_cycles = true; return 0;
	case OPT_RECORD_BURST_STATS: opts->record_bursts = true; return 0;
	case OPT_JSON: opts->json = true; return 0;
	case OPT_PCAP: opts->pcap = optarg; return 0;
	case 'a': return 0; /* forwarding always starts by itself */
	case 'i':
		plx_err("there is no interactive mode: forwarding starts at once and ends with "
			"--seconds, --packets or a signal");
		return -EINVAL;
	default: return -EINVAL;
	}
}

static void set_defaults(struct options *opts)
{
	*opts = (struct options){
		.portmask = UINT32_MAX,
		.topology = TOPOLOGY_PAIRED,
		.cores = 1,
		.rxq = 1,
		.txq = 1,
		.burst = 32,
		.mbuf_size = DEFAULT_BUFS,
		.mbuf_cache = 250,
		.flush_rx = true,
		.link_check = true,
		.link_interrupt = true,
		.lengths = { .min = 64, .max = 64, .segs = 1, .seg = { 64 } },
		/* Benchmarking addresses, RFC 2544 appendix C.2.2, and the discard port. */
		.tx_ip_src = RTE_BE32(0xc6120001),
		.tx_ip_dst = RTE_BE32(0xc6120002),
		.tx_udp_src = 9,
		.tx_udp_dst = 9,
		.window = 64,
	};
	for (unsigned i = 0; i < PLX_MAX_ETHPORTS; i++) {
		opts->engine[i] = &engine_io;
		opts->peer[i] = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)i } };
	}
}

/* What each option allows for itself and not beside another. */
static int check_together(const struct options *opts)
{
	uint32_t room = opts->mbuf_size - RTE_PKTMBUF_HEADROOM;

	for (unsigned i = 0; i < opts->lengths.segs; i++) {
		if (opts->lengths.seg[i] > room) {
			plx_err("--txpkts: a segment of %u bytes doesn't fit into a buffer, which "
				"has room for %u: give --mbuf-size=%u or more segments",
				opts->lengths.seg[i], room,
				opts->lengths.seg[i] + RTE_PKTMBUF_HEADROOM);
			return -EINVAL;
		}
	}
	if (opts->rxq > opts->txq) {
		plx_err("--rxq=%u --txq=%u: a queue is forwarded to the queue of the same number, "
			"so what comes in on those without one would be lost: give --txq=%u",
			opts->rxq, opts->txq, opts->rxq);
		return -EINVAL;
	}
	if (opts->scatter && opts->max_pkt_len == 0)
		plx_warn(
			"--enable-scatter without --max-pkt-len: packets will fit into one buffer");
	return 0;
}

int options_parse(int argc, char **argv, struct options *opts)
{
	int opt, ret;

	set_defaults(opts);
	opterr = 0;
	optind = 0; /* glibc: start afresh, whoever used getopt before */
	while ((opt = getopt_long(argc, argv, ":ia", long_options, NULL)) != -1) {
		if (opt == ':') {
			plx_err("option '%s' wants a value", argv[optind - 1]);
			return -EINVAL;
		}
		if (opt == '?') {
			/* A bundle of letters is still being read when one of it is wrong. */
			if (optopt > 0 && optopt < 256)
				plx_err("unknown option '-%c'; see --help", optopt);
			else
				plx_err("%s option '%s'; see --help",
					optopt ? "a value that isn't wanted by"
					       : "unknown or ambiguous",
					argv[optind - 1]);
			return -EINVAL;
		}
		ret = parse_option(opt, opts);
		if (ret)
			return ret;
	}
	if (optind < argc) {
		plx_err("'%s' is no option; see --help", argv[optind]);
		return -EINVAL;
	}
	return check_together(opts);
}
