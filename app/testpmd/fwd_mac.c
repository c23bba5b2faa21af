/* SPDX-License-Identifier: BSD-3-Clause */
/* mac: from the transmit port's own address to its peer's. */
#include "forward.h"
#include "packet.h"

static inline void change(const struct stream *s, void *frame)
{
	packet_set_macs(frame, s->macs);
}

static __rte_always_inline void mac(struct stream *s, const bool captured)
{
	stream_forward(s, captured, change);
}

ENGINE_BURSTS(mac)

const struct engine engine_mac = {
	.name = "mac",
	.kind = ENGINE_RECEIVES,
	.burst = mac_burst,
	.burst_captured = mac_captured,
};
