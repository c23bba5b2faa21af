/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify: sends numbered packets with a pattern in them and checks that each comes back once and as
 * it was; whoever is on the other end sends them back (io or macswap).
 *
 *      base ........ next            sequence numbers
 *      |  in flight  |               at most `window` of them
 *
 * A number's slot is its place modulo the slots there are. base moves over slots that came back; a
 * packet that is missing holds it up until the window is full and nothing has come for a while.
 */
#include <errno.h>

#include <rte_malloc.h>

#include <pollux/log.h>

#include "forward.h"
#include "packet.h"
#include "verify.h"

#define PATIENCE_SECONDS 5

struct slot {
	uint16_t len;
	bool back;
};

struct verify {
	struct verify_result result;
	uint64_t resolved; /* packets whose fate is known */
	uint64_t base, next;
	uint64_t highest; /* one more than the highest number that came back */
	uint64_t deadline, patience;
	uint16_t window;
	uint16_t len; /* of the next packet */
	struct lengths lengths;
	struct slot slot[VERIFY_WINDOW_MAX];
	uint8_t frame[FRAME_MAX];
};

static struct slot *slot_of(struct verify *v, uint64_t seq)
{
	return &v->slot[seq & (VERIFY_WINDOW_MAX - 1)];
}

static void check(struct stream *s, struct verify *v, struct rte_mbuf *m)
{
	uint32_t len = rte_pktmbuf_pkt_len(m);
	const uint8_t *frame = len <= FRAME_MAX ? rte_pktmbuf_read(m, 0, len, v->frame) : NULL;
	struct slot *slot;
	uint64_t seq;

	if (!frame || !pattern_seq(frame, len, &seq)) {
		s->unanswered++; /* somebody else's */
		return;
	}
	if (seq >= v->next) {
		v->result.damaged++;
		return;
	}
	slot = slot_of(v, seq);
	if (seq < v->base || slot->back) {
		v->result.duplicated++;
		return;
	}
	slot->back = true;
	v->resolved++;
	if (len != slot->len || !pattern_check(frame, len, seq)) {
		v->result.damaged++;
		return;
	}
	v->result.intact++;
	if (seq < v->highest)
		v->result.reordered++;
	else
		v->highest = seq + 1;
}

static uint16_t take_back(struct stream *s, struct verify *v)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t count = stream_receive(s, pkts);

	for (uint16_t i = 0; i < count; i++)
		check(s, v, pkts[i]);
	rte_pktmbuf_free_bulk(pkts, count);
	while (v->base < v->next && slot_of(v, v->base)->back)
		v->base++;
	return count;
}

static void give_up(struct verify *v)
{
	for (; v->base < v->next; v->base++) {
		if (!slot_of(v, v->base)->back) {
			v->result.lost++;
			v->resolved++;
		}
	}
}

static int make(struct stream *s, struct verify *v, struct rte_mbuf *m, uint64_t seq, uint16_t len)
{
	if (packet_shape(m, s->pool, &v->lengths, len))
		return -ENOMEM;
	packet_set_macs(v->frame, s->macs);
	pattern_fill(v->frame, len, seq);
	packet_write(m, v->frame, len);
	*slot_of(v, seq) = (struct slot){ .len = len };
	return 0;
}

/* Sends what the window has room for. What the queue doesn't take is made again next time. */
static __rte_always_inline uint16_t send_more(struct stream *s, struct verify *v,
					      const bool captured)
{
	uint64_t room = RTE_MIN(v->window - (v->next - v->base), s->quota);
	uint16_t count = (uint16_t)RTE_MIN((uint64_t)s->burst, room), made, sent;
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t len = v->len;

	for (made = 0; made < count; made++) {
		pkts[made] = rte_pktmbuf_alloc(s->pool);
		if (!pkts[made])
			break;
		if (make(s, v, pkts[made], v->next + made, len)) {
			rte_pktmbuf_free(pkts[made]);
			break;
		}
		len = len == v->lengths.max ? v->lengths.min : len + 1;
	}
	if (made < count)
		s->no_mbufs++;
	if (made == 0)
		return 0;
	sent = stream_send(s, pkts, made, captured);
	s->tx_dropped -= made - sent;
	for (uint16_t i = 0; i < sent; i++)
		v->len = v->len == v->lengths.max ? v->lengths.min : v->len + 1;
	v->next += sent;
	s->quota -= sent;
	v->result.sent += sent;
	return sent;
}

static __rte_always_inline void verify(struct stream *s, const bool captured)
{
	struct verify *v = s->priv;
	uint64_t start = rte_rdtsc();
	uint16_t moved = take_back(s, v);

	moved += send_more(s, v, captured);
	if (moved) {
		v->deadline = start + v->patience;
		stream_account(s, start);
	} else if (v->base < v->next && start > v->deadline) {
		give_up(v);
	}
	v->result.in_flight = v->result.sent - v->resolved;
}

ENGINE_BURSTS(verify)

static int begin(struct stream *s, const struct options *opts)
{
	struct verify *v = rte_zmalloc("verify", sizeof(*v), RTE_CACHE_LINE_SIZE);

	if (!v) {
		plx_err("no memory to verify port %u's packets", s->tx_port);
		return -ENOMEM;
	}
	v->lengths = opts->lengths;
	v->len = opts->lengths.min;
	v->window = opts->window;
	v->patience = PATIENCE_SECONDS * rte_get_tsc_hz();
	s->priv = v;
	s->counted = &v->resolved;
	return 0;
}

static void end(struct stream *s)
{
	s->counted = NULL;
	rte_free(s->priv);
	s->priv = NULL;
}

const struct verify_result *verify_result(const struct stream *s)
{
	const struct verify *v = s->priv;

	return &v->result;
}

const struct engine engine_verify = {
	.name = "verify",
	.kind = ENGINE_VERIFIES,
	.own_port = true,
	.begin = begin,
	.burst = verify_burst,
	.burst_captured = verify_captured,
	.end = end,
};
