/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Engines and the streams that they work on.
 *
 * A stream is a receive queue, the transmit queue that its packets go to, and an engine in between.
 * It belongs to one lcore, which alone writes it; anyone may read its counters. An engine's burst
 * function is called over and over and does one burst: it is written once, as an inline body, and
 * compiled twice, without and with capturing to a file (ENGINE_BURSTS).
 */
#ifndef TESTPMD_FORWARD_H
#define TESTPMD_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <pollux/ethdev.h>

#include "capture.h"
#include "options.h"

struct stream;

/* What an engine does with packets decides which of its counters --packets goes by. */
enum engine_kind {
	ENGINE_RECEIVES, /* takes what comes in, may send it on */
	ENGINE_SENDS,	 /* makes packets */
	ENGINE_VERIFIES, /* makes packets and checks that they come back */
};

typedef void stream_fn(struct stream *s);

struct engine {
	const char *name;
	enum engine_kind kind;
	bool own_port; /* sends on the port it receives on, whatever the topology */
	int (*begin)(struct stream *s, const struct options *opts); /* may be NULL */
	stream_fn *burst;
	stream_fn *burst_captured;
	stream_fn *end; /* may be NULL; undoes begin */
};

extern const struct engine engine_io, engine_mac, engine_macswap, engine_rxonly, engine_txonly,
	engine_icmpecho, engine_verify;

#define ENGINE_NAMES "io, mac, macswap, rxonly, txonly, icmpecho, verify"

/* The engine whose name is the first len bytes of name, or NULL. */
const struct engine *engine_find(const char *name, size_t len);

#define TX_HEADER_LEN	  42 /* Ethernet, IPv4, UDP */
#define VERIFY_WINDOW_MAX 4096

struct stream {
	/* Read by every burst. */
	stream_fn *run;		    /* the engine's burst function, plain or captured; atomic */
	uint16_t rx_live, rx_queue; /* rx_port, or PLX_ETH_NOWHERE while that one is away */
	uint16_t tx_live, tx_queue;
	uint16_t burst;
	uint16_t retries;
	bool record_cycles;
	uint8_t macs[2 * RTE_ETHER_ADDR_LEN]; /* destination and source that mac writes */
	struct rte_mempool *pool;
	void *priv;	/* the engine's */
	uint64_t quota; /* packets left to send; engines that make packets */

	/* Written by every burst that moves something. */
	uint64_t rx_packets __rte_cache_aligned;
	uint64_t tx_packets;
	uint64_t tx_dropped; /* the queue didn't take them */
	uint64_t unanswered; /* received and freed, no answer being due */
	uint64_t no_mbufs;   /* bursts not sent for want of buffers */
	uint64_t cycles;     /* of bursts that moved something */

	/* Below: one entry a burst, the rest not touched on the hot path. */
	uint64_t rx_bursts[BURST_MAX + 1] __rte_cache_aligned;
	uint64_t tx_bursts[BURST_MAX + 1];
	const struct engine *engine;
	void *first;		 /* --tx-first: txonly's; NULL if nothing is sent first */
	const uint64_t *counted; /* what --packets goes by; NULL: nothing of this stream */
	unsigned lcore;
	uint16_t rx_port, tx_port;
	struct rte_ether_addr mac; /* of tx_port */
	bool parked;		   /* atomic: not in a burst, nor going to be */
} __rte_cache_aligned;

/* Compiles the inline body NAME twice. */
#define ENGINE_BURSTS(name)                           \
	static void name##_burst(struct stream *s)    \
	{                                             \
		name(s, false);                       \
	}                                             \
	static void name##_captured(struct stream *s) \
	{                                             \
		name(s, true);                        \
	}

static inline uint64_t stream_clock(const struct stream *s)
{
	return s->record_cycles ? rte_rdtsc() : 0;
}

/* Adds the time since start. To be called by bursts that moved something only. */
static inline void stream_account(struct stream *s, uint64_t start)
{
	if (s->record_cycles)
		s->cycles += rte_rdtsc() - start;
}

static inline uint16_t stream_receive(struct stream *s, struct rte_mbuf **pkts)
{
	uint16_t count = plx_eth_rx_burst(s->rx_live, s->rx_queue, pkts, s->burst);

	s->rx_bursts[count]++;
	s->rx_packets += count;
	return count;
}

/* The queue took only sent of count packets: tries again if it may, and frees those left over. */
uint16_t stream_send_rest(struct stream *s, struct rte_mbuf **pkts, uint16_t sent, uint16_t count);

/* Sends packets; what can't be sent is freed and counted. Returns how many were sent. */
static __rte_always_inline uint16_t stream_send(struct stream *s, struct rte_mbuf **pkts,
						uint16_t count, const bool captured)
{
	uint16_t sent;

	if (captured)
		capture_hold(pkts, count);
	sent = plx_eth_tx_burst(s->tx_live, s->tx_queue, pkts, count);
	if (unlikely(sent < count))
		sent = stream_send_rest(s, pkts, sent, count);
	if (captured)
		capture_write(pkts, sent, count);
	s->tx_bursts[sent]++;
	s->tx_packets += sent;
	return sent;
}

/* The body of an engine that sends on what it receives, each packet changed in one way or none. */
static __rte_always_inline void stream_forward(struct stream *s, const bool captured,
					       void (*change)(const struct stream *s, void *frame))
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint64_t start = stream_clock(s);
	uint16_t count = stream_receive(s, pkts);

	if (count == 0)
		return;
	for (uint16_t i = 0; change && i < count; i++)
		change(s, rte_pktmbuf_mtod(pkts[i], void *));
	stream_send(s, pkts, count, captured);
	stream_account(s, start);
}

#endif
