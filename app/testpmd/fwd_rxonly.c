/* SPDX-License-Identifier: BSD-3-Clause */
/* rxonly: packets are counted and freed. */
#include "forward.h"

static __rte_always_inline void rxonly(struct stream *s, const bool captured)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint64_t start = stream_clock(s);
	uint16_t count = stream_receive(s, pkts);

	if (count == 0)
		return;
	if (captured) {
		capture_hold(pkts, count);
		capture_write(pkts, count, count);
	}
	rte_pktmbuf_free_bulk(pkts, count);
	stream_account(s, start);
}

ENGINE_BURSTS(rxonly)

const struct engine engine_rxonly = {
	.name = "rxonly",
	.kind = ENGINE_RECEIVES,
	.burst = rxonly_burst,
	.burst_captured = rxonly_captured,
};
