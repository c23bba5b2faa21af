/* SPDX-License-Identifier: BSD-3-Clause */
/* txonly: UDP packets as fast as the queue takes them. */
#include <errno.h>

#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include <pollux/log.h>

#include "forward.h"
#include "packet.h"

struct header {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
} __rte_packed __rte_aligned(2);

_Static_assert(sizeof(struct header) == TX_HEADER_LEN, "three headers without gaps");

struct generator {
	struct header header;
	uint16_t len; /* of the next packet */
	uint8_t flow;
	bool simple; /* one length, one buffer, one flow: the header is the same every time */
	bool multi_flow;
	struct lengths lengths;
	rte_be32_t source;
};

static void set_lengths(struct header *h, uint16_t frame_len)
{
	uint16_t len = frame_len - sizeof(h->eth);

	h->ip.total_length = rte_cpu_to_be_16(len);
	h->udp.dgram_len = rte_cpu_to_be_16(len - sizeof(h->ip));
	h->ip.hdr_checksum = 0;
	h->ip.hdr_checksum = rte_ipv4_cksum(&h->ip);
}

/* One of several lengths, segments or flows. */
static int make_varied(struct generator *gen, struct rte_mempool *pool, struct rte_mbuf *m)
{
	if (packet_shape(m, pool, &gen->lengths, gen->len))
		return -ENOMEM;
	if (gen->multi_flow)
		gen->header.ip.src_addr = gen->source ^ rte_cpu_to_be_32(gen->flow++);
	set_lengths(&gen->header, gen->len);
	packet_write(m, &gen->header, sizeof(gen->header));
	if (++gen->len > gen->lengths.max)
		gen->len = gen->lengths.min;
	return 0;
}

static inline int make(struct generator *gen, struct rte_mempool *pool, struct rte_mbuf *m)
{
	if (unlikely(!gen->simple))
		return make_varied(gen, pool, m);
	m->pkt_len = gen->len;
	m->data_len = gen->len;
	memcpy(rte_pktmbuf_mtod(m, void *), &gen->header, sizeof(gen->header));
	return 0;
}

static __rte_always_inline void txonly(struct stream *s, const bool captured)
{
	uint16_t count = (uint16_t)RTE_MIN((uint64_t)s->burst, s->quota), made;
	struct rte_mbuf *pkts[BURST_MAX];
	uint64_t start = stream_clock(s);

	if (count == 0)
		return;
	if (rte_pktmbuf_alloc_bulk(s->pool, pkts, count)) {
		s->no_mbufs++;
		return;
	}
	for (made = 0; made < count; made++)
		if (make(s->priv, s->pool, pkts[made]))
			break;
	if (unlikely(made < count)) {
		s->no_mbufs++;
		rte_pktmbuf_free_bulk(&pkts[made], count - made);
	}
	s->quota -= stream_send(s, pkts, made, captured);
	stream_account(s, start);
}

ENGINE_BURSTS(txonly)

static int begin(struct stream *s, const struct options *opts)
{
	const struct lengths *lengths = &opts->lengths;
	struct generator *gen = rte_zmalloc("generator", sizeof(*gen), RTE_CACHE_LINE_SIZE);

	if (!gen) {
		plx_err("no memory for port %u's packet generator", s->tx_port);
		return -ENOMEM;
	}
	gen->lengths = *lengths;
	gen->len = lengths->min;
	gen->multi_flow = opts->multi_flow;
	gen->simple = lengths->segs == 1 && !opts->multi_flow;
	gen->source = opts->tx_ip_src;
	gen->header.ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = opts->tx_ip_src,
		.dst_addr = opts->tx_ip_dst,
	};
	gen->header.udp = (struct rte_udp_hdr){
		.src_port = rte_cpu_to_be_16(opts->tx_udp_src),
		.dst_port = rte_cpu_to_be_16(opts->tx_udp_dst),
	};
	packet_set_macs(&gen->header.eth, s->macs);
	gen->header.eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	set_lengths(&gen->header, gen->len);
	s->priv = gen;
	return 0;
}

static void end(struct stream *s)
{
	rte_free(s->priv);
	s->priv = NULL;
}

const struct engine engine_txonly = {
	.name = "txonly",
	.kind = ENGINE_SENDS,
	.own_port = true,
	.begin = begin,
	.burst = txonly_burst,
	.burst_captured = txonly_captured,
	.end = end,
};
