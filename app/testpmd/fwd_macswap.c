/* SPDX-License-Identifier: BSD-3-Clause */
/* macswap: source and destination change places. */
#include "forward.h"
#include "packet.h"

static __rte_always_inline void macswap(struct stream *s, const bool captured)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint64_t start = stream_clock(s);
	uint16_t count = stream_receive(s, pkts);

	if (count == 0)
		return;
	for (uint16_t i = 0; i < count; i++)
		packet_swap_macs(rte_pktmbuf_mtod(pkts[i], void *));
	stream_send(s, pkts, count, captured);
	stream_account(s, start);
}

ENGINE_BURSTS(macswap)

const struct engine engine_macswap = {
	.name = "macswap",
	.kind = ENGINE_RECEIVES,
	.burst = macswap_burst,
	.burst_captured = macswap_captured,
};
