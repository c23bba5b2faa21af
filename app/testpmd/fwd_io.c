/* SPDX-License-Identifier: BSD-3-Clause */
/* io: packets go on as they came. */
#include "forward.h"

static __rte_always_inline void io(struct stream *s, const bool captured)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint64_t start = stream_clock(s);
	uint16_t count = stream_receive(s, pkts);

	if (count == 0)
		return;
	stream_send(s, pkts, count, captured);
	stream_account(s, start);
}

ENGINE_BURSTS(io)

const struct engine engine_io = {
	.name = "io",
	.kind = ENGINE_RECEIVES,
	.burst = io_burst,
	.burst_captured = io_captured,
};
