/* SPDX-License-Identifier: BSD-3-Clause */
/* mac: from the transmit port's own address to its peer's. */
#include "forward.h"
#include "packet.h"

static __rte_always_inline void mac(struct stream *s, const bool captured)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint64_t start = stream_clock(s);
	uint16_t count = stream_receive(s, pkts);

	if (count == 0)
		return;
	for (uint16_t i = 0; i < count; i++)
		packet_set_macs(rte_pktmbuf_mtod(pkts[i], void *), s->macs);
	stream_send(s, pkts, count, captured);
	stream_account(s, start);
}

ENGINE_BURSTS(mac)

const struct engine engine_mac = {
	.name = "mac",
	.kind = ENGINE_RECEIVES,
	.burst = mac_burst,
	.burst_captured = mac_captured,
};
