/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transmitting [7.2]: the driver's descriptors into frames for the cable.
 *
 * Plain frames, a legacy descriptor each, go a burst at a time, right from the driver's memory.
 * Any other is put together in a buffer of the queue's own first, where checksums, tags and
 * segments are made. What the cable doesn't take stays in the ring.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "nic.h"

/* The bits that tell a plain descriptor, and how. */
#define PLAIN_MASK (E1000_TXD_EOP | E1000_TXD_IFCS | NIC_TXD_IC | E1000_TXD_DEXT | E1000_TXD_VLE)
#define PLAIN	   (E1000_TXD_EOP | E1000_TXD_IFCS)

#define SEGMENTS_TURN 512

#define LEGACY_LEN   0xffffu
#define EXTENDED_LEN 0xfffffu

/* A tag goes before the bytes. */
int nic_tx_create(struct nic_txq *q)
{
	q->frames = malloc(NIC_TAG_LEN + NIC_TX_MAX);
	q->segments = malloc(NIC_TAG_LEN + SOFT_FRAME_MAX);
	if (!q->frames || !q->segments)
		return -ENOMEM;
	q->frame = q->frames + NIC_TAG_LEN;
	q->segment = q->segments + NIC_TAG_LEN;
	return 0;
}

void nic_tx_destroy(struct nic_txq *q)
{
	free(q->frames);
	free(q->segments);
}

void nic_tx_reset(struct nic_txq *q)
{
	memset(&q->ctx, 0, sizeof(q->ctx));
	memset(&q->out, 0, sizeof(q->out));
}

/* After every change of a register or of the link: without one, frames wait. */
void nic_tx_select(struct soft_nic *nic)
{
	const bool on = nic_may_master(nic) && nic_reg(nic, E1000_TCTL) & E1000_TCTL_EN;

	for (unsigned q = 0; q < E1000_QUEUES && on != nic->tx_enabled; q++) {
		nic_ring_switch(&nic->txq[q].ring, on);
		nic_tx_reset(&nic->txq[q]);
	}
	nic->tx_enabled = on;
	nic->tx_on = on && nic_reg(nic, E1000_STATUS) & E1000_STATUS_LU;
}

static uint64_t desc_word(const struct nic_ring *ring, uint32_t slot, unsigned word)
{
	const union e1000_tx_desc *desc = ring->desc;

	slot += ring->head;
	if (slot >= ring->size)
		slot -= ring->size;
	return le64toh(__atomic_load_n(&desc[slot].word[word], __ATOMIC_RELAXED));
}

/* Status is the first byte of the upper half of the second word. */
static inline void report(union e1000_tx_desc *desc)
{
	__atomic_store_n((uint8_t *)&desc->data.status, E1000_TXD_DD, __ATOMIC_RELEASE);
}

/* To the cable, or back when the driver loops frames in the MAC [10.2.5.1]. */
static unsigned transmit(struct soft_nic *nic, const struct soft_frame *frames, unsigned count)
{
	unsigned done;

	if (unlikely((nic_reg(nic, E1000_RCTL) & NIC_RCTL_LBM) == NIC_RCTL_LBM_MAC))
		done = soft_nic_receive(nic, frames, count);
	else
		done = nic->cable->send(nic->cable, frames, count);
	nic_count_frames(nic, NIC_TX_SIZE, NIC_TX_PACKETS, frames, done);
	return done;
}

/*
 * Plain frames, in a run without a wrap.
 */
static unsigned plain_gather(struct soft_nic *nic, struct nic_ring *ring, unsigned count,
			     struct soft_frame *frames, uint64_t *reports)
{
	const union e1000_tx_desc *desc = (const union e1000_tx_desc *)ring->desc + ring->head;
	unsigned n;

	for (n = 0; n < count; n++) {
		const uint64_t addr = le64toh(__atomic_load_n(&desc[n].word[0], __ATOMIC_RELAXED));
		const uint64_t word = le64toh(__atomic_load_n(&desc[n].word[1], __ATOMIC_RELAXED));
		const uint32_t len = word & LEGACY_LEN;

		if (unlikely((word & PLAIN_MASK) != PLAIN ||
			     len - SOFT_FRAME_MIN > SOFT_FRAME_MAX - SOFT_FRAME_MIN))
			break;
		frames[n].data = nic_dma(nic, &ring->tlb, addr, len);
		frames[n].len = len;
		if (unlikely(!frames[n].data))
			break;
		__builtin_prefetch(frames[n].data);
		*reports |= (uint64_t) !!(word & E1000_TXD_RS) << n;
	}
	return n;
}

/* How many descriptors were plain and have gone; *stuck: no more did for now. */
static unsigned plain_run(struct soft_nic *nic, struct nic_txq *q, unsigned count, bool *stuck)
{
	union e1000_tx_desc *desc = (union e1000_tx_desc *)q->ring.desc + q->ring.head;
	struct soft_frame frames[SOFT_BURST];
	uint64_t reports = 0;
	unsigned n, done;

	n = plain_gather(nic, &q->ring, count, frames, &reports);
	if (!n)
		return 0;
	done = transmit(nic, frames, n);
	*stuck = done < n;
	if (done < SOFT_BURST)
		reports &= ((uint64_t)1 << done) - 1;
	nic_ring_advance(&q->ring, done);
	if (!reports)
		return done;
	do {
		report(&desc[__builtin_ctzll(reports)]);
		reports &= reports - 1;
	} while (reports);
	nic_intr(nic, NIC_ICR_TXDW | NIC_ICR_TXQ(q - nic->txq));
	return done;
}

/*
 * All others.
 */

/* Appends what a descriptor names. False: the ring can't be used any more. */
static bool fetch(struct soft_nic *nic, struct nic_txq *q, uint32_t slot, uint64_t addr,
		  uint32_t len)
{
	struct nic_packet_out *out = &q->out;
	const uint8_t *from;

	if (out->lost || len > NIC_TX_MAX - out->len) {
		out->lost = true;
		return true;
	}
	if (!len)
		return true;
	from = nic_dma(nic, &q->ring.tlb, addr, len);
	if (from) {
		memcpy(q->frame + out->len, from, len);
	} else if (plx_vfu_dma_read(nic->vfu, addr, q->frame + out->len, len)) {
		nic_ring_broken(nic, &q->ring,
				"descriptor %u names %u bytes at 0x%llx, where none are mapped "
				"for the device to read",
				(q->ring.head + slot) % q->ring.size, len,
				(unsigned long long)addr);
		return false;
	}
	out->len += len;
	return q->ring.desc; /* the client may have left while we were asking */
}

/*
 * Context descriptors, and the data of one packet after them, from the count that the driver has
 * handed over. q->out.slots is 0 if it isn't all there yet. False: the ring can't be used any more.
 */
static bool assemble(struct soft_nic *nic, struct nic_txq *q, uint32_t count)
{
	uint64_t addr, word, first = 0;
	bool begun = false;

	memset(&q->out, 0, sizeof(q->out));
	for (uint32_t slot = 0; slot < count; slot++) {
		addr = desc_word(&q->ring, slot, 0);
		word = desc_word(&q->ring, slot, 1);
		if (!begun && word & E1000_TXD_DEXT && !(word & NIC_TXD_DTYP)) {
			nic_offload_context(&q->ctx, addr, word);
			nic->count[NIC_TX_CONTEXTS] += !!(word & NIC_TXD_TSE);
			q->out.slots = slot + 1;
			/* By itself: what follows may be plain. */
			return true;
		}
		if (!begun)
			first = word;
		begun = true;
		if (!fetch(nic, q, slot, addr,
			   word & (word & E1000_TXD_DEXT ? EXTENDED_LEN : LEGACY_LEN)))
			return false;
		if (!(word & E1000_TXD_EOP))
			continue;
		q->out.slots = slot + 1;
		if (!q->out.lost && !nic_offload(nic, q, first, word))
			q->out.lost = true;
		if (q->out.lost)
			nic->errors++;
		return true;
	}
	q->out.slots = 0;
	if (count == q->ring.size - 1)
		nic_ring_broken(nic, &q->ring, "a full ring of %u has no end of a packet",
				q->ring.size);
	return !q->ring.broken;
}

/*
 * Whether the packet at hand has gone, all its segments. With segments of a byte each it has tens
 * of thousands: those that are too many for one turn go in the next ones.
 */
static bool emit(struct soft_nic *nic, struct nic_txq *q)
{
	struct nic_packet_out *out = &q->out;
	struct soft_frame frame = out->frame;
	uint32_t done;

	if (out->lost || !out->len)
		return true;
	if (!out->header)
		return transmit(nic, &frame, 1);
	while (out->done < out->len) {
		if (!q->segments_left)
			return false;
		done = out->done;
		nic_segment(nic, q, &frame);
		if (!transmit(nic, &frame, 1)) {
			out->done = done;
			return false;
		}
		q->segments_left--;
	}
	return true;
}

static void complete(struct soft_nic *nic, struct nic_txq *q)
{
	union e1000_tx_desc *ring = q->ring.desc;
	bool reported = false;

	for (uint32_t i = 0; i < q->out.slots; i++) {
		if (desc_word(&q->ring, 0, 1) & E1000_TXD_RS) {
			report(&ring[q->ring.head]);
			reported = true;
		}
		nic_ring_advance(&q->ring, 1);
	}
	q->out.slots = 0;
	if (reported)
		nic_intr(nic, NIC_ICR_TXDW | NIC_ICR_TXQ(q - nic->txq));
}

/* One packet. How many descriptors have gone. */
static unsigned odd_run(struct soft_nic *nic, struct nic_txq *q, uint32_t count)
{
	uint32_t slots;

	if (!q->out.slots && (!assemble(nic, q, count) || !q->out.slots))
		return 0;
	slots = q->out.slots;
	if (!emit(nic, q))
		return 0;
	complete(nic, q);
	return slots;
}

/*
 * A burst, or a packet of many descriptors. Returns the descriptors that have gone, or 1 if just
 * segments have.
 */
unsigned nic_tx_turn(struct soft_nic *nic, struct nic_txq *q)
{
	struct nic_ring *ring = &q->ring;
	const uint32_t filled = nic_ring_filled(nic, ring);
	unsigned gone = 0, run, n;
	bool stuck = false;

	if (!filled) {
		nic_ring_publish(ring);
		return 0;
	}
	q->segments_left = SEGMENTS_TURN;
	while (gone < filled && gone < SOFT_BURST && !stuck) {
		run = filled - gone < SOFT_BURST ? filled - gone : SOFT_BURST;
		if (run > ring->size - ring->head)
			run = ring->size - ring->head;
		n = q->out.slots ? 0 : plain_run(nic, q, run, &stuck);
		if (!n && !stuck) {
			n = odd_run(nic, q, filled - gone);
			stuck = !n;
		}
		gone += n;
	}
	if (gone == filled)
		nic_intr(nic, NIC_ICR_TXQE);
	return gone ? gone : q->segments_left < SEGMENTS_TURN;
}
