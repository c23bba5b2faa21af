/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "forward.h"

static const struct engine *const engines[] = {
	&engine_io,	&engine_mac,	  &engine_macswap, &engine_rxonly,
	&engine_txonly, &engine_icmpecho, &engine_verify,
};

const struct engine *engine_find(const char *name, size_t len)
{
	for (unsigned i = 0; i < RTE_DIM(engines); i++)
		if (strlen(engines[i]->name) == len && memcmp(engines[i]->name, name, len) == 0)
			return engines[i];
	return NULL;
}

uint16_t stream_send_rest(struct stream *s, struct rte_mbuf **pkts, uint16_t sent, uint16_t count)
{
	for (uint16_t tries = 0; tries < s->retries && sent < count; tries++) {
		rte_delay_us_block(1);
		sent += plx_eth_tx_burst(s->tx_live, s->tx_queue, &pkts[sent], count - sent);
	}
	s->tx_dropped += count - sent;
	rte_pktmbuf_free_bulk(&pkts[sent], count - sent);
	return sent;
}
