/* SPDX-License-Identifier: BSD-3-Clause */
/* io: packets go on as they came. */
#include "forward.h"

static __rte_always_inline void io(struct stream *s, const bool captured)
{
	stream_forward(s, captured, NULL);
}

ENGINE_BURSTS(io)

const struct engine engine_io = {
	.name = "io",
	.kind = ENGINE_RECEIVES,
	.burst = io_burst,
	.burst_captured = io_captured,
};
