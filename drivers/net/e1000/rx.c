/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiving [7.1].
 *
 *        hold                      the device's
 *   |<--------->|<------------------------------------------->|
 *   first       next                                          tail (RDT)
 *
 * Slots from next on hold buffers; the device fills them in order and says so in the descriptor.
 * The hold slots behind next have handed theirs to the application and are refilled a batch at a
 * time. The tail stays one slot behind the first empty one: a tail equal to the head would mean
 * "no buffers", not "all of them".
 *
 * Everything read from a descriptor is the device's word, and only a length within the buffer is
 * believed. Where we are in the ring we know ourselves.
 */
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "e1000.h"

#if defined(__SSE2__) && !defined(E1000_PLAIN_C)
#include <emmintrin.h>
#define RX_SSE2 1
#else
#define RX_SSE2 0
#endif

/* Anything shorter can't hold an Ethernet header. */
#define LEN_MIN ((uint16_t)RTE_ETHER_HDR_LEN)

/* The layout that the stores below rely on. */
_Static_assert(offsetof(struct rte_mbuf, rearm_data) == 16, "16 bytes from rearm_data ...");
_Static_assert(offsetof(struct rte_mbuf, ol_flags) == 24, "... reach to the end of ol_flags");
_Static_assert(offsetof(struct rte_mbuf, rx_descriptor_fields1) == 32, "packet_type, ...");
_Static_assert(offsetof(struct rte_mbuf, pkt_len) == 36, "... pkt_len, ...");
_Static_assert(offsetof(struct rte_mbuf, data_len) == 40, "... data_len, ...");
_Static_assert(offsetof(struct rte_mbuf, vlan_tci) == 42, "... vlan_tci, ...");
_Static_assert(offsetof(struct rte_mbuf, hash) == 44, "... and hash.rss are 16 bytes");

/* data_off, refcnt, nb_segs and port in one. */
static inline uint64_t *rx_rearm(struct rte_mbuf *m)
{
	return (uint64_t *)((char *)m + offsetof(struct rte_mbuf, rearm_data));
}

/* Where the device shall write: behind the headroom of a buffer. */
static __rte_always_inline uint64_t rx_addr(const struct e1000_rxq *q, const struct rte_mbuf *m,
					    const bool xlate)
{
	if (xlate)
		return plx_xlate_dma(q->xlate, (char *)m->buf_addr + RTE_PKTMBUF_HEADROOM);
	return m->buf_iova + RTE_PKTMBUF_HEADROOM;
}

/* One slot: writing the descriptor clears its DD. */
static __rte_always_inline void rx_arm_one(const struct e1000_rxq *q, union e1000_rx_desc *desc,
					   const struct rte_mbuf *m, const bool xlate)
{
#if RX_SSE2
	__m128i addr;

	if (xlate)
		addr = _mm_set_epi64x(0, rx_addr(q, m, true));
	else
		addr = _mm_add_epi64(_mm_loadl_epi64((const __m128i *)&m->buf_iova),
				     _mm_set_epi64x(0, RTE_PKTMBUF_HEADROOM));
	_mm_store_si128((__m128i *)desc, addr);
#else
	desc->read.addr = rte_cpu_to_le_64(rx_addr(q, m, xlate));
	desc->read.zero = 0;
#endif
}

/* Fills count slots, a multiple of 4, from slot on; no wrap. */
static __rte_always_inline void rx_arm(struct e1000_rxq *q, struct rte_mbuf **bufs, uint16_t slot,
				       uint16_t count, const bool xlate)
{
	union e1000_rx_desc *desc = &q->ring[slot];
	struct rte_mbuf **sw = &q->sw[slot], **end = bufs + count;

	do {
		struct rte_mbuf *m0 = bufs[0], *m1 = bufs[1], *m2 = bufs[2], *m3 = bufs[3];

		sw[0] = m0;
		sw[1] = m1;
		sw[2] = m2;
		sw[3] = m3;
		rx_arm_one(q, &desc[0], m0, xlate);
		rx_arm_one(q, &desc[1], m1, xlate);
		rx_arm_one(q, &desc[2], m2, xlate);
		rx_arm_one(q, &desc[3], m3, xlate);
		bufs += 4;
		sw += 4;
		desc += 4;
	} while (bufs != end);
}

/* Refills one batch of slots. Whether there were buffers for it. */
static __rte_always_inline bool rx_refill(struct e1000_rxq *q, const bool xlate)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(q->pool, rte_lcore_id());
	struct rte_mbuf *fetched[E1000_BATCH], **bufs;
	uint16_t first, run;

	/* Straight out of the mempool's cache where it has a batch: nothing is copied twice. */
	if (likely(cache && cache->len >= E1000_BATCH)) {
		cache->len -= E1000_BATCH;
		bufs = (struct rte_mbuf **)&cache->objs[cache->len];
	} else if (likely(!rte_mempool_get_bulk(q->pool, (void **)fetched, E1000_BATCH))) {
		bufs = fetched;
	} else {
		q->nombuf += E1000_BATCH;
		return false;
	}

	first = q->next >= q->hold ? q->next - q->hold : q->next + q->size - q->hold;
	run = q->size - first;
	if (likely(run >= E1000_BATCH)) {
		rx_arm(q, bufs, first, E1000_BATCH, xlate);
		first += E1000_BATCH;
	} else {
		rx_arm(q, bufs, first, run, xlate);
		rx_arm(q, bufs + run, 0, E1000_BATCH - run, xlate);
		first = E1000_BATCH - run;
	}
	q->hold -= E1000_BATCH;

	/* Descriptors before the tail, for the device's eyes: rte_write32() orders them. */
	rte_write32(first ? first - 1 : q->size - 1, q->tail);
	return true;
}

static __rte_always_inline uint32_t rx_status(const union e1000_rx_desc *desc)
{
	/* Nothing else of the descriptor, nor of the packet, is read before its status. */
	return rte_le_to_cpu_32(__atomic_load_n(&desc->wb.status, __ATOMIC_ACQUIRE));
}

/* What rx_four() compares with and stores, loaded once a burst. */
struct rx_consts {
	uint64_t rearm;
	uint16_t len_max;
#if RX_SSE2
	__m128i fresh; /* rearm_data and ol_flags of an mbuf */
	__m128i most;  /* len_max, four times, biased */
#endif
};

static __rte_always_inline void rx_consts_init(const struct e1000_rxq *q, struct rx_consts *c)
{
	c->rearm = q->rearm;
	c->len_max = q->len_max;
#if RX_SSE2
	c->fresh = _mm_set_epi64x(0, q->rearm);
	c->most = _mm_set1_epi32(INT32_MIN + (q->len_max - LEN_MIN));
#endif
}

/* The lengths of packets taken four at a time, added up: in lanes, where there are any. */
#if RX_SSE2
typedef __m128i rx_bytes;

static __rte_always_inline uint32_t rx_bytes_sum(rx_bytes bytes)
{
	bytes = _mm_add_epi32(bytes, _mm_unpackhi_epi64(bytes, bytes));
	return _mm_cvtsi128_si32(_mm_add_epi32(bytes, _mm_shuffle_epi32(bytes, 1)));
}
#else
typedef uint32_t rx_bytes;

static inline uint32_t rx_bytes_sum(rx_bytes bytes)
{
	return bytes;
}
#endif

/*
 * Takes the packets of four descriptors, if all four are whole, sound and of a credible length.
 * The last one has been seen done, and the device completes them in order; a device that doesn't
 * is found out by the mask.
 */
static __rte_always_inline bool rx_four(const struct rx_consts *c, const union e1000_rx_desc *desc,
					struct rte_mbuf **sw, struct rte_mbuf **pkts,
					rx_bytes *bytes)
{
#if RX_SSE2
	const __m128i fields = _mm_set_epi32(-1, -1, 0xffff, 0);
	const __m128i mask = _mm_set1_epi32(E1000_RXD_DD | E1000_RXD_EOP | (int)E1000_RXD_BAD);
	const __m128i want = _mm_set1_epi32(E1000_RXD_DD | E1000_RXD_EOP);
	/* Both bounds by one signed comparison: LEN_MIN wraps to the smallest integer. */
	const __m128i bias = _mm_set1_epi32(INT32_MAX - LEN_MIN + 1);
	__m128i d0 = _mm_load_si128((const __m128i *)&desc[0]);
	__m128i d1 = _mm_load_si128((const __m128i *)&desc[1]);
	__m128i d2 = _mm_load_si128((const __m128i *)&desc[2]);
	__m128i d3 = _mm_load_si128((const __m128i *)&desc[3]);
	__m128i high01 = _mm_unpackhi_epi32(d0, d1);
	__m128i high23 = _mm_unpackhi_epi32(d2, d3);
	__m128i status = _mm_unpacklo_epi64(high01, high23);
	__m128i length = _mm_unpackhi_epi64(high01, high23);
	__m128i sound = _mm_cmpeq_epi32(_mm_and_si128(status, mask), want);
	__m128i off;

	length = _mm_and_si128(length, _mm_set1_epi32(0xffff));
	off = _mm_cmpgt_epi32(_mm_add_epi32(length, bias), c->most);
	if (unlikely(_mm_movemask_ps(_mm_castsi128_ps(_mm_andnot_si128(off, sound))) != 0xf))
		return false;
	*bytes = _mm_add_epi32(*bytes, length);

	/* {mrq, rss, status, length:vlan} -> {0, length, length:vlan, rss}: the mbuf's
	 * order. */
#define RX_TAKE(i, d)                                                                             \
	do {                                                                                      \
		struct rte_mbuf *m = sw[i];                                                       \
		__m128i f = _mm_and_si128(_mm_shuffle_epi32(d, _MM_SHUFFLE(1, 3, 3, 0)), fields); \
		_mm_store_si128((__m128i *)&m->rearm_data, c->fresh);                             \
		_mm_store_si128((__m128i *)&m->rx_descriptor_fields1, f);                         \
		pkts[i] = m;                                                                      \
	} while (0)
	RX_TAKE(0, d0);
	RX_TAKE(1, d1);
	RX_TAKE(2, d2);
	RX_TAKE(3, d3);
#undef RX_TAKE
	return true;
#else
	uint32_t bad = 0;

	for (int i = 0; i < 4; i++) {
		uint32_t status = rx_status(&desc[i]);
		uint16_t len = rte_le_to_cpu_16(desc[i].wb.length);

		bad |= (status & (E1000_RXD_DD | E1000_RXD_EOP | E1000_RXD_BAD)) ^
		       (E1000_RXD_DD | E1000_RXD_EOP);
		bad |= (uint32_t)len - LEN_MIN > (uint32_t)c->len_max - LEN_MIN;
	}
	if (unlikely(bad))
		return false;
	for (int i = 0; i < 4; i++) {
		struct rte_mbuf *m = sw[i];

		*rx_rearm(m) = c->rearm;
		m->ol_flags = 0;
		m->packet_type = 0;
		m->data_len = rte_le_to_cpu_16(desc[i].wb.length);
		m->pkt_len = m->data_len;
		*bytes += m->data_len;
		m->vlan_tci = rte_le_to_cpu_16(desc[i].wb.vlan);
		m->hash.rss = rte_le_to_cpu_32(desc[i].wb.rss);
		pkts[i] = m;
	}
	return true;
#endif
}

static inline void rx_advance(struct e1000_rxq *q)
{
	q->next = q->next + 1 == q->size ? 0 : q->next + 1;
	q->hold++;
}

/*
 * Gives up the frame at next, up to the buffer that ends it or to the last of avail slots. If its
 * end hasn't arrived q->dropping stays set. Returns how many slots that took.
 */
static __rte_noinline uint16_t rx_drop(struct e1000_rxq *q, uint16_t avail)
{
	uint16_t slots = 0;
	uint32_t status;

	q->dropping = true;
	while (slots < avail && q->dropping) {
		status = rx_status(&q->ring[q->next]);
		if (!(status & E1000_RXD_DD))
			break;
		rte_mbuf_raw_free(q->sw[q->next]);
		rx_advance(q);
		slots++;
		if (status & E1000_RXD_EOP) {
			q->dropping = false;
			q->errors++;
		}
	}
	return slots;
}

/* A fresh mbuf of one segment with len bytes in it. */
static inline void rx_fresh(const struct e1000_rxq *q, struct rte_mbuf *m, uint16_t len)
{
	*rx_rearm(m) = q->rearm;
	m->ol_flags = 0;
	m->packet_type = 0;
	m->data_len = len;
	m->pkt_len = len;
}

/* Frames of one buffer each, nothing told about them. */
static __rte_always_inline uint16_t rx_simple(struct e1000_rxq *q, struct rte_mbuf **pkts,
					      uint16_t count, const bool xlate)
{
	uint16_t avail = q->size - 1 - q->hold, done = 0;
	const union e1000_rx_desc *desc;
	struct rx_consts consts;
	rx_bytes bytes = { 0 };
	uint32_t status;
	uint16_t len;

	if (unlikely(q->dropping)) {
		avail -= rx_drop(q, avail);
		if (q->dropping)
			count = 0;
	}
	/* Slots without a buffer still read "done": never run into them. */
	if (unlikely(count > avail))
		count = avail;

	rx_consts_init(q, &consts);
	while (done < count) {
		const unsigned int run = RTE_MIN(count - done, q->size - q->next) & ~3u;
		struct rte_mbuf **sw = &q->sw[q->next];
		struct rte_mbuf **out = &pkts[done], **end = out + run;
		unsigned int taken;

		desc = &q->ring[q->next];
		while (out != end && rx_status(&desc[3]) & E1000_RXD_DD &&
		       likely(rx_four(&consts, desc, sw, out, &bytes))) {
			desc += 4;
			sw += 4;
			out += 4;
		}
		taken = out - &pkts[done];
		if (likely(taken)) {
			q->next = q->next + taken == q->size ? 0 : q->next + taken;
			q->hold += taken;
			done += taken;
			if (likely(out == end))
				continue;
		}

		/* Fewer than four are left, or one of the four is not as it should be. */
		status = rx_status(desc);
		if (!(status & E1000_RXD_DD))
			break;
		len = rte_le_to_cpu_16(desc->wb.length);
		if (unlikely((status & (E1000_RXD_EOP | E1000_RXD_BAD)) != E1000_RXD_EOP ||
			     len < LEN_MIN || len > q->len_max)) {
			avail -= rx_drop(q, avail - done);
			if (q->dropping)
				break;
			count = RTE_MIN(count, avail);
			continue;
		}
		pkts[done] = q->sw[q->next];
		rx_fresh(q, pkts[done], len);
		rx_advance(q);
		q->bytes += len;
		done++;
	}

	q->packets += done;
	q->bytes += rx_bytes_sum(bytes);
	while (q->hold >= E1000_BATCH && rx_refill(q, xlate))
		;
	return done;
}

/* What the device says about a frame, in its last descriptor [7.1.4, 7.1.10]. */
static inline uint64_t rx_flags(const struct e1000_rxq *q, uint32_t status, uint32_t mrq)
{
	uint64_t flags = 0;

	if (status & E1000_RXD_VP)
		flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	if (q->rss && mrq & 0xf)
		flags |= RTE_MBUF_F_RX_RSS_HASH;
	if (q->checksum) {
		if (status & E1000_RXD_IPCS)
			flags |= status & E1000_RXD_IPE ? RTE_MBUF_F_RX_IP_CKSUM_BAD
							: RTE_MBUF_F_RX_IP_CKSUM_GOOD;
		if (status & (E1000_RXD_TCPCS | E1000_RXD_UDPCS))
			flags |= status & E1000_RXD_TCPE ? RTE_MBUF_F_RX_L4_CKSUM_BAD
							 : RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	}
	return flags;
}

/*
 * Takes the CRC off a frame's end; it may reach into the buffer before the last, or be all of it.
 */
static void rx_trim_crc(struct e1000_rxq *q, struct rte_mbuf *before, struct rte_mbuf *m)
{
	q->head->pkt_len -= q->crc_len;
	if (m->data_len > q->crc_len) {
		m->data_len -= q->crc_len;
	} else {
		before->data_len -= q->crc_len - m->data_len;
		before->next = NULL;
		q->head->nb_segs--;
		rte_mbuf_raw_free(m);
	}
}

/* Frames of any number of buffers, with all that the device has to say about them. */
static __rte_always_inline uint16_t rx_full(struct e1000_rxq *q, struct rte_mbuf **pkts,
					    uint16_t count, const bool xlate)
{
	uint16_t avail = q->size - 1 - q->hold, done = 0;
	uint32_t status, total;
	struct rte_mbuf *m;
	uint16_t len;
	bool sound;

	if (unlikely(q->dropping))
		avail -= rx_drop(q, avail);

	while (done < count && avail && !q->dropping) {
		const union e1000_rx_desc *desc = &q->ring[q->next];

		status = rx_status(desc);
		if (!(status & E1000_RXD_DD))
			break;
		len = rte_le_to_cpu_16(desc->wb.length);
		total = len + (q->head ? q->head->pkt_len : 0);
		/* A frame's end is sound and makes a whole; before it, buffers are full. */
		if (status & E1000_RXD_EOP)
			sound = !(status & E1000_RXD_BAD) && len && len <= q->len_max &&
				total >= (uint32_t)LEN_MIN + q->crc_len;
		else
			sound = len == q->len_max;
		if (unlikely(!sound || total > q->frame_max)) {
			rte_pktmbuf_free(q->head);
			q->head = NULL;
			avail -= rx_drop(q, avail);
			continue;
		}
		m = q->sw[q->next];
		rx_fresh(q, m, len);
		if (likely(!q->head)) {
			q->head = m;
		} else {
			q->head->pkt_len += len;
			q->head->nb_segs++;
			q->last->next = m;
		}
		if (status & E1000_RXD_EOP) {
			if (unlikely(q->crc_len))
				rx_trim_crc(q, q->last, m);
			m = q->head;
			m->ol_flags = rx_flags(q, status, rte_le_to_cpu_32(desc->wb.mrq));
			m->vlan_tci = rte_le_to_cpu_16(desc->wb.vlan);
			m->hash.rss = rte_le_to_cpu_32(desc->wb.rss);
			pkts[done++] = m;
			q->bytes += m->pkt_len;
			q->head = NULL;
		} else {
			q->last = m;
		}
		rx_advance(q);
		avail--;
	}

	q->packets += done;
	while (q->hold >= E1000_BATCH && rx_refill(q, xlate))
		;
	return done;
}

static uint16_t rx_simple_direct(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	return rx_simple(queue, pkts, count, false);
}

static uint16_t rx_simple_xlate(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	return rx_simple(queue, pkts, count, true);
}

static uint16_t rx_full_direct(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	return rx_full(queue, pkts, count, false);
}

static uint16_t rx_full_xlate(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	return rx_full(queue, pkts, count, true);
}

plx_eth_burst_fn *e1000_rx_burst(bool full, bool xlate)
{
	if (xlate)
		return full ? rx_full_xlate : rx_simple_xlate;
	return full ? rx_full_direct : rx_simple_direct;
}

void e1000_rx_arm_all(struct e1000_rxq *q, bool xlate)
{
	if (xlate)
		rx_arm(q, q->sw, 0, q->size, true);
	else
		rx_arm(q, q->sw, 0, q->size, false);
}
