/* SPDX-License-Identifier: BSD-3-Clause */
/* macswap: source and destination change places. */
#include "forward.h"
#include "packet.h"

static inline void change(const struct stream *s, void *frame)
{
	(void)s;
	packet_swap_macs(frame);
}

static __rte_always_inline void macswap(struct stream *s, const bool captured)
{
	stream_forward(s, captured, change);
}

ENGINE_BURSTS(macswap)

const struct engine engine_macswap = {
	.name = "macswap",
	.kind = ENGINE_RECEIVES,
	.burst = macswap_burst,
	.burst_captured = macswap_captured,
};
