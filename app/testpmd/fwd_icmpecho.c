/* SPDX-License-Identifier: BSD-3-Clause */
/* icmpecho: answers ARP requests and pings; everything else is freed. */
#include <errno.h>

#include <rte_malloc.h>

#include <pollux/log.h>

#include "forward.h"
#include "packet.h"

static __rte_always_inline void icmpecho(struct stream *s, const bool captured)
{
	struct rte_mbuf *pkts[BURST_MAX], *other[BURST_MAX];
	uint64_t start = stream_clock(s);
	uint16_t count = stream_receive(s, pkts);
	uint16_t answers = 0, rest = 0;

	if (count == 0)
		return;
	for (uint16_t i = 0; i < count; i++) {
		if (packet_answer(pkts[i], s->priv))
			pkts[answers++] = pkts[i];
		else
			other[rest++] = pkts[i];
	}
	if (answers)
		stream_send(s, pkts, answers, captured);
	rte_pktmbuf_free_bulk(other, rest);
	s->unanswered += rest;
	stream_account(s, start);
}

ENGINE_BURSTS(icmpecho)

static int begin(struct stream *s, const struct options *opts)
{
	struct responder *self = rte_zmalloc("responder", sizeof(*self), RTE_CACHE_LINE_SIZE);

	if (!self) {
		plx_err("no memory for port %u's addresses", s->rx_port);
		return -ENOMEM;
	}
	self->mac = s->mac;
	self->net = opts->ip[s->rx_port];
	s->priv = self;
	return 0;
}

static void end(struct stream *s)
{
	rte_free(s->priv);
	s->priv = NULL;
}

const struct engine engine_icmpecho = {
	.name = "icmpecho",
	.kind = ENGINE_RECEIVES,
	.own_port = true,
	.begin = begin,
	.burst = icmpecho_burst,
	.burst_captured = icmpecho_captured,
	.end = end,
};
