/* SPDX-License-Identifier: BSD-3-Clause */
/* The application's own options: what stands after "--" on the command line. */
#ifndef TESTPMD_OPTIONS_H
#define TESTPMD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_byteorder.h>

#include <pollux/ethdev.h>

struct engine;

#define BURST_MAX    512
#define TX_SEGS_MAX  16
#define FRAME_MIN    60	  /* without checksum: what the wire pads to anyway */
#define FRAME_MAX    9600 /* the longest that the application builds */
#define DEFAULT_BUFS 2176 /* a headroom of 128 and 2 KiB */

/* What the process says when it ends. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_RUNTIME = 1, /* something failed, or a device that was asked for was refused */
	EXIT_USAGE = 2,	  /* the command line is wrong */
	EXIT_VERIFY = 3,  /* verify: packets were lost, damaged or came twice */
};

enum topology {
	TOPOLOGY_PAIRED,  /* 0 <-> 1, 2 <-> 3 */
	TOPOLOGY_CHAINED, /* 0 -> 1 -> 2 -> 0 */
	TOPOLOGY_LOOP,	  /* each to itself */
};

/* The lengths of generated packets: one made of segments, or a range gone through in turn. */
struct lengths {
	uint16_t min, max;
	uint16_t segs; /* 0 with a range */
	uint16_t seg[TX_SEGS_MAX];
};

/* The addresses that icmpecho answers for: those that equal net under mask. All: both 0. */
struct responder_net {
	rte_be32_t net, mask;
};

struct options {
	const struct engine *engine[PLX_MAX_ETHPORTS]; /* by port number */
	uint16_t modes;	   /* how many --forward-mode names; 0: it wasn't given */
	uint32_t portmask; /* all bits: it wasn't given */
	enum topology topology;
	uint16_t cores;
	uint16_t rxq, txq;
	uint16_t rxd, txd; /* 0: what the driver likes best */
	uint16_t burst;
	uint16_t retries; /* --retry */
	uint32_t mbuf_size;
	uint32_t mbufs; /* 0: as many as rings, caches and bursts can hold */
	uint32_t mbuf_cache;
	uint32_t max_pkt_len; /* with checksum; 0: the driver's default */
	bool rx_cksum, scatter;
	bool flush_rx, link_check, link_interrupt;

	struct rte_ether_addr peer[PLX_MAX_ETHPORTS];
	struct responder_net ip[PLX_MAX_ETHPORTS];

	uint32_t tx_first; /* bursts sent before forwarding */
	struct lengths lengths;
	rte_be32_t tx_ip_src, tx_ip_dst;
	uint16_t tx_udp_src, tx_udp_dst;
	bool multi_flow;
	uint16_t window; /* verify: packets in flight */

	uint64_t seconds; /* 0: until told to stop */
	uint64_t packets;
	uint32_t stats_period;
	bool record_cycles;
	bool record_bursts;
	bool json;
	const char *pcap;
};

/*
 * Parses argv[1..]. Returns 0, or -EINVAL when an option is wrong, which one line logged says.
 * Keeps pointers into argv.
 */
int options_parse(int argc, char **argv, struct options *opts);

/* The help text: EAL's options, the bus's, ours, examples and exit codes. */
void usage(FILE *out);

#endif
