/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transmitting [7.2].
 *
 *        in use, the device's               free
 *   |<--------------------------->|<---------------------->|
 *   clean      mark   mark        next (TDT)
 *
 * One descriptor in about E1000_BATCH asks for a report of its completion (RS); these slots are
 * remembered as marks. Descriptors complete in order, so when the oldest mark reports, everything
 * up to it is sent and given back at once.
 */
#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_net.h>

#include "e1000.h"

#if defined(__SSE2__) && !defined(E1000_PLAIN_C)
#include <emmintrin.h>
#define TX_SSE2 1
#else
#define TX_SSE2 0
#endif

#define TX_CHECKSUM (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK)
#define TX_FLAGS    (TX_CHECKSUM | RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6)

/* The last descriptor of a frame: add the CRC, too. */
#define TX_END (E1000_TXD_EOP | E1000_TXD_IFCS)

/* A ring that can't take a packet must be able to give slots back: see tx_one(). */
_Static_assert(E1000_MIN_DESC - 1 - (E1000_BATCH / 2 - 1) > E1000_MAX_SEGS + 1,
	       "the largest packet fits beside the slots that have no mark");
_Static_assert(E1000_MAX_DESC / (E1000_BATCH / 2) <= 256, "marks are numbered by 8 bits");

static __rte_always_inline uint64_t tx_addr(const struct e1000_txq *q, const struct rte_mbuf *m,
					    const bool xlate)
{
	if (xlate)
		return plx_xlate_dma(q->xlate, (char *)m->buf_addr + m->data_off);
	return m->buf_iova + m->data_off;
}

/* Gives mbufs back that may be shared, of several mempools, or NULL. */
static void tx_free_any(struct rte_mbuf **bufs, uint16_t count)
{
	struct rte_mbuf *batch[E1000_BATCH];
	uint16_t n = 0;

	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *m = bufs[i] ? rte_pktmbuf_prefree_seg(bufs[i]) : NULL;

		if (!m)
			continue;
		if (n && (n == E1000_BATCH || m->pool != batch[0]->pool)) {
			rte_mempool_put_bulk(batch[0]->pool, (void **)batch, n);
			n = 0;
		}
		batch[n++] = m;
	}
	if (n)
		rte_mempool_put_bulk(batch[0]->pool, (void **)batch, n);
}

/* Gives back what lies in count slots from clean on; no wrap. */
static __rte_always_inline void tx_free_run(struct e1000_txq *q, uint16_t count)
{
	struct rte_mbuf **bufs = &q->sw[q->clean];

	if (likely(q->fast_free && !q->holes))
		rte_mempool_put_bulk(bufs[0]->pool, (void **)bufs, count);
	else
		tx_free_any(bufs, count);
	q->free += count;
	q->clean = q->clean + count == q->size ? 0 : q->clean + count;
	if (unlikely(q->holes))
		q->holes = q->clean != q->next;
}

/* Gives back everything up to the last mark that has reported. */
static __rte_always_inline void tx_reclaim(struct e1000_txq *q)
{
	while (q->mark_head != q->mark_tail) {
		uint16_t mark = q->marks[q->mark_head];
		uint32_t status = __atomic_load_n(&q->ring[mark].data.status, __ATOMIC_ACQUIRE);

		if (!(rte_le_to_cpu_32(status) & E1000_TXD_DD))
			break;
		q->mark_head++;
		if (unlikely(mark < q->clean))
			tx_free_run(q, q->size - q->clean);
		tx_free_run(q, mark + 1 - q->clean);
	}
}

static __rte_always_inline void tx_plain(union e1000_tx_desc *desc, const struct rte_mbuf *m,
					 uint64_t addr)
{
	desc->word[0] = rte_cpu_to_le_64(addr);
	desc->word[1] = rte_cpu_to_le_64(m->data_len | (uint64_t)TX_END);
}

/* Descriptors of four plain packets, if they are: one segment each, no offload wanted. */
static __rte_always_inline bool tx_four(const struct e1000_txq *q, union e1000_tx_desc *desc,
					struct rte_mbuf **sw, struct rte_mbuf **pkts,
					uint64_t *bytes, const bool xlate)
{
	struct rte_mbuf *m0 = pkts[0], *m1 = pkts[1], *m2 = pkts[2], *m3 = pkts[3];
	uint64_t a0, a1, a2, a3;

	/* nb_segs is never 0, so that 1 is what four times 1 gives when or-ed, and nothing else. */
#if TX_SSE2
	const __m128i mask = _mm_set_epi64x(RTE_MBUF_F_TX_OFFLOAD_MASK, UINT64_C(0xffff) << 32);
	const __m128i want = _mm_set_epi64x(0, UINT64_C(1) << 32);
	__m128i all;

	all = _mm_or_si128(*(__m128i *)&m0->rearm_data, *(__m128i *)&m1->rearm_data);
	all = _mm_or_si128(all, *(__m128i *)&m2->rearm_data);
	all = _mm_or_si128(all, *(__m128i *)&m3->rearm_data);
	all = _mm_cmpeq_epi32(_mm_and_si128(all, mask), want);
	if (unlikely(_mm_movemask_epi8(all) != 0xffff))
		return false;
#else
	if (unlikely((m0->nb_segs | m1->nb_segs | m2->nb_segs | m3->nb_segs) != 1 ||
		     (m0->ol_flags | m1->ol_flags | m2->ol_flags | m3->ol_flags) &
			     RTE_MBUF_F_TX_OFFLOAD_MASK))
		return false;
#endif
	a0 = tx_addr(q, m0, xlate);
	a1 = tx_addr(q, m1, xlate);
	a2 = tx_addr(q, m2, xlate);
	a3 = tx_addr(q, m3, xlate);
	if (xlate && unlikely(a0 == PLX_DMA_BAD || a1 == PLX_DMA_BAD || a2 == PLX_DMA_BAD ||
			      a3 == PLX_DMA_BAD))
		return false;
	sw[0] = m0;
	sw[1] = m1;
	sw[2] = m2;
	sw[3] = m3;
	tx_plain(&desc[0], m0, a0);
	tx_plain(&desc[1], m1, a1);
	tx_plain(&desc[2], m2, a2);
	tx_plain(&desc[3], m3, a3);
	*bytes += m0->data_len + m1->data_len + m2->data_len + m3->data_len;
	return true;
}

/* The context descriptor of a packet's checksums [7.2.10.2], and what its data refer to. */
static void tx_context(const struct rte_mbuf *m, union e1000_tx_desc *ctx, uint32_t *popts)
{
	uint64_t l4 = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	uint32_t cmd = E1000_TXD_DEXT;
	uint16_t l3_start = m->l2_len, l4_start = m->l2_len + m->l3_len;

	memset(ctx, 0, sizeof(*ctx));
	*popts = 0;
	ctx->ctx.ipcss = l3_start;
	ctx->ctx.ipcse = rte_cpu_to_le_16(l4_start - 1);
	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
		cmd |= E1000_TXD_CTX_IP;
		ctx->ctx.ipcso = l3_start + offsetof(struct rte_ipv4_hdr, hdr_checksum);
		*popts |= E1000_TXD_IXSM;
	}
	ctx->ctx.tucss = l4_start;
	if (l4 == RTE_MBUF_F_TX_TCP_CKSUM) {
		cmd |= E1000_TXD_CTX_TCP;
		ctx->ctx.tucso = l4_start + offsetof(struct rte_tcp_hdr, cksum);
		*popts |= E1000_TXD_TXSM;
	} else if (l4 == RTE_MBUF_F_TX_UDP_CKSUM) {
		ctx->ctx.tucso = l4_start + offsetof(struct rte_udp_hdr, dgram_cksum);
		*popts |= E1000_TXD_TXSM;
	}
	ctx->ctx.cmd = rte_cpu_to_le_32(cmd);
}

static inline uint16_t tx_step(const struct e1000_txq *q, uint16_t slot)
{
	return slot + 1 == q->size ? 0 : slot + 1;
}

/* Whether every segment can be reached by the device. */
static inline bool tx_reachable(const struct e1000_txq *q, const struct rte_mbuf *m)
{
	for (; m; m = m->next) {
		if (tx_addr(q, m, true) == PLX_DMA_BAD)
			return false;
	}
	return true;
}

/*
 * One packet of any kind. Whether it is done with: sent, or thrown away and counted because it
 * never could be. False: no room for now. There is room sooner or later, since the slots without a
 * mark are too few to fill the ring.
 */
static __rte_noinline bool tx_one(struct e1000_txq *q, struct rte_mbuf *m, const bool xlate)
{
	union e1000_tx_desc ctx, *desc = NULL;
	uint32_t popts, cmd = 0, len = m->pkt_len;
	uint64_t upper = 0;
	uint16_t slot = q->next, slots = m->nb_segs;
	bool new_ctx = false;
	struct rte_mbuf *seg, *next;

	if (unlikely(slots > E1000_MAX_SEGS || (xlate && !tx_reachable(q, m))))
		goto discard;

	if (m->ol_flags & RTE_MBUF_F_TX_VLAN) {
		if (q->vlan_hw) {
			cmd |= E1000_TXD_VLE;
			upper |= (uint64_t)m->vlan_tci << 48;
		} else if (rte_vlan_insert(&m)) {
			/*
			 * The device inserts only where it strips, too: the tag is ours to write.
			 */
			goto discard;
		}
	}
	if (m->ol_flags & TX_CHECKSUM) {
		tx_context(m, &ctx, &popts);
		new_ctx = !q->ctx_keep || ctx.word[0] != q->ctx[0] || ctx.word[1] != q->ctx[1];
		cmd |= E1000_TXD_DEXT | E1000_TXD_DTYP_D;
		upper |= (uint64_t)popts << 32;
		slots += new_ctx;
	}
	if (slots > q->free)
		return false;

	if (new_ctx) {
		q->ring[slot] = ctx;
		q->ctx[0] = ctx.word[0];
		q->ctx[1] = ctx.word[1];
		q->sw[slot] = NULL;
		q->holes = true;
		slot = tx_step(q, slot);
	}
	for (seg = m; seg; seg = next) {
		desc = &q->ring[slot];
		desc->word[0] = rte_cpu_to_le_64(tx_addr(q, seg, xlate));
		desc->word[1] = rte_cpu_to_le_64(seg->data_len | cmd | upper);
		q->sw[slot] = seg;
		slot = tx_step(q, slot);
		next = seg->next;
		/* They go back to their mempool unseen: unlink them now. */
		if (q->fast_free)
			seg->next = NULL;
	}
	desc->word[1] |= rte_cpu_to_le_64(TX_END);
	if (q->fast_free)
		m->nb_segs = 1;
	q->next = slot;
	q->free -= slots;
	q->unmarked += slots;
	q->bytes += len;
	return true;

discard:
	rte_pktmbuf_free(m);
	q->errors++;
	return true;
}

/* Has the last descriptor filled report its completion. It ends a packet. */
static __rte_always_inline void tx_mark(struct e1000_txq *q)
{
	uint16_t last = (q->next ? q->next : q->size) - 1;

	q->ring[last].data.cmd |= rte_cpu_to_le_32(E1000_TXD_RS);
	q->marks[q->mark_tail++] = last;
	q->unmarked = 0;
}

static __rte_always_inline uint16_t tx_burst(struct e1000_txq *q, struct rte_mbuf **pkts,
					     uint16_t count, const bool xlate)
{
	uint64_t bytes = 0;
	uint16_t done = 0;

	tx_reclaim(q);
	while (done < count) {
		/* As far as there is room, the ring doesn't wrap and no mark is due. */
		const unsigned int run =
			RTE_MIN(RTE_MIN(count - done, q->free),
				RTE_MIN(q->size - q->next, q->batch - q->unmarked));
		union e1000_tx_desc *desc = &q->ring[q->next];
		struct rte_mbuf **sw = &q->sw[q->next];
		struct rte_mbuf **in = &pkts[done], **end = in + (run & ~3u);
		unsigned int taken;

		while (in != end && likely(tx_four(q, desc, sw, in, &bytes, xlate))) {
			desc += 4;
			sw += 4;
			in += 4;
		}
		taken = in - &pkts[done];
		if (likely(taken)) {
			q->next = q->next + taken == q->size ? 0 : q->next + taken;
			q->free -= taken;
			q->unmarked += taken;
			done += taken;
		} else {
			if (!tx_one(q, pkts[done], xlate))
				break;
			done++;
		}
		if (q->unmarked >= q->batch)
			tx_mark(q);
	}
	if (likely(done)) {
		q->packets += done;
		q->bytes += bytes;
		/* Descriptors before the tail: rte_write32() orders them. */
		rte_write32(q->next, q->tail);
	}
	return done;
}

static uint16_t tx_direct(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	return tx_burst(queue, pkts, count, false);
}

static uint16_t tx_xlate(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	return tx_burst(queue, pkts, count, true);
}

plx_eth_burst_fn *e1000_tx_burst(bool xlate)
{
	return xlate ? tx_xlate : tx_direct;
}

static int tx_check(struct rte_mbuf *m)
{
	if (m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK & ~TX_FLAGS)
		return ENOTSUP;
	if ((m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_SCTP_CKSUM)
		return ENOTSUP;
	if (m->nb_segs > E1000_MAX_SEGS || m->pkt_len > E1000_MAX_FRAME - RTE_ETHER_CRC_LEN)
		return EINVAL;
	/* The context descriptor's offsets are bytes. */
	if (m->ol_flags & TX_CHECKSUM && m->l2_len + m->l3_len > UINT8_MAX)
		return EINVAL;
	return -rte_net_intel_cksum_prepare(m);
}

uint16_t e1000_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	(void)queue;
	for (uint16_t i = 0; i < count; i++) {
		int err = tx_check(pkts[i]);

		if (err) {
			rte_errno = err;
			return i;
		}
	}
	return count;
}

void e1000_tx_empty(struct e1000_txq *q)
{
	while (q->clean != q->next)
		tx_free_run(q, q->clean < q->next ? q->next - q->clean : q->size - q->clean);
}
