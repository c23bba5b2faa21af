/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiving [7.1]: frames of the cable into the driver's buffers.
 *
 * Two ways in. Plain frames, when nothing is to be filtered or told and each fits into one buffer,
 * are copied a burst at a time. All others are looked at one by one.
 */
#include <arpa/inet.h>
#include <endian.h>

#include <pollux/log.h>

#include "nic.h"

#define PAUSE_NS     1000000000u /* a sender is kept waiting as long as this */
#define MAC_CONTROL  0x8808
#define OPCODE_PAUSE 1
/* Frames longer than this need RCTL.LPE [10.2.5.1]. */
#define FRAME_USUAL 1514u

/* Receive buffer size [10.2.5.1]: RCTL.FLXBUF in KiB, or BSIZE with BSEX. */
static uint32_t buffer_size(uint32_t rctl)
{
	const uint32_t flexible = rctl >> NIC_RCTL_FLXBUF_SHIFT & 15;
	const uint32_t size = 2048u >> (rctl >> NIC_RCTL_BSIZE_SHIFT & 3);

	if (flexible)
		return flexible * 1024;
	return rctl & NIC_RCTL_BSEX && size != 2048 ? size * 16 : size;
}

/* After every change of a register. */
void nic_rx_select(struct soft_nic *nic)
{
	const uint32_t all = E1000_RCTL_UPE | E1000_RCTL_MPE | E1000_RCTL_BAM | E1000_RCTL_SECRC;
	const uint32_t rctl = nic_reg(nic, E1000_RCTL);
	const uint32_t rxcsum = nic_reg(nic, E1000_RXCSUM);
	const bool split = rctl & NIC_RCTL_DTYP, was_on = nic->rx_on;

	nic->rx_on = nic_may_master(nic) && rctl & E1000_RCTL_EN && !split;
	for (unsigned q = 0; q < E1000_QUEUES && nic->rx_on != was_on; q++)
		nic_ring_switch(&nic->rxq[q].ring, nic->rx_on);
	if (rctl & E1000_RCTL_EN && split && !nic->split_said) {
		nic->split_said = true;
		nic->errors++;
		if (plx_vfu_may_say(nic->vfu))
			plx_err("%s: the driver wants headers split from data (RCTL.DTYP), which "
				"isn't modelled: nothing is received",
				nic->name);
	}
	nic->rx_bufsize = buffer_size(rctl);
	nic->rx_plain_max = rctl & E1000_RCTL_LPE ? SOFT_FRAME_MAX : FRAME_USUAL;
	if (nic->rx_plain_max > nic->rx_bufsize)
		nic->rx_plain_max = nic->rx_bufsize;
	nic->rx_plain =
		(rctl & (all | E1000_RCTL_VFE)) == all &&
		nic_reg(nic, E1000_RFCTL) & E1000_RFCTL_EXSTEN &&
		!(nic_reg(nic, E1000_MRQC) & E1000_MRQC_RSS) &&
		!(nic_reg(nic, E1000_CTRL) & E1000_CTRL_VME) &&
		(rxcsum & (E1000_RXCSUM_IPOFLD | E1000_RXCSUM_TUOFLD | E1000_RXCSUM_PCSD)) ==
			E1000_RXCSUM_PCSD;
}

/*
 * Plain frames.
 */

/* Exactly len bytes: what lies behind them is the sender's, and stays there. */
static inline void copy_frame(uint8_t *to, const uint8_t *from, uint32_t len)
{
	if (likely(len <= 64)) {
		_Static_assert(SOFT_FRAME_MIN >= 48, "three pieces and the last 16 bytes are all");
		memcpy(to, from, 16);
		memcpy(to + 16, from + 16, 16);
		memcpy(to + 32, from + 32, 16);
		memcpy(to + len - 16, from + len - 16, 16);
	} else {
		memcpy(to, from, len);
	}
}

/* One run without a wrap. Stops short of a frame that isn't plain, or without a buffer. */
static unsigned plain_run(struct soft_nic *nic, struct nic_ring *ring,
			  const struct soft_frame *frames, unsigned count)
{
	union e1000_rx_desc *desc = (union e1000_rx_desc *)ring->desc + ring->head;
	uint8_t *to[SOFT_BURST];
	unsigned n;

	for (n = 0; n < count; n++) {
		const uint64_t addr = __atomic_load_n(&desc[n].word[0], __ATOMIC_RELAXED);

		if (unlikely(frames[n].len > nic->rx_plain_max))
			break;
		to[n] = nic_dma(nic, &ring->tlb, le64toh(addr), nic->rx_bufsize);
		if (unlikely(!to[n]))
			break;
		__builtin_prefetch(to[n], 1);
	}
	for (unsigned i = 0; i < n; i++)
		copy_frame(to[i], frames[i].data, frames[i].len);
	/* In one go: the driver is looking at these cache lines, too. */
	for (unsigned i = 0; i < n; i++) {
		desc[i].word[0] = 0;
		__atomic_store_n(
			&desc[i].word[1],
			htole64((uint64_t)frames[i].len << 32 | E1000_RXD_DD | E1000_RXD_EOP),
			__ATOMIC_RELEASE);
	}
	return n;
}

static unsigned receive_plain(struct soft_nic *nic, const struct soft_frame *frames, unsigned count)
{
	struct nic_ring *ring = &nic->rxq[0].ring;
	const uint32_t filled = nic_ring_filled(nic, ring);
	unsigned done = 0, run, n;

	if (count > filled)
		count = filled;
	if (count > SOFT_BURST)
		count = SOFT_BURST;
	while (done < count) {
		run = ring->size - ring->head < count - done ? ring->size - ring->head
							     : count - done;
		n = plain_run(nic, ring, &frames[done], run);
		nic_ring_advance(ring, n);
		done += n;
		if (n < run)
			break;
	}
	if (likely(done)) {
		nic_count_frames(nic, NIC_RX_SIZE, NIC_RX_PACKETS, frames, done);
		nic_intr(nic, NIC_ICR_RXT0 | E1000_ICR_RXQ(0));
	}
	return done;
}

/*
 * All others.
 */

/* What is said about a frame in its last descriptor [7.1.4, 7.1.5, 7.1.10]. */
struct verdict {
	uint32_t mrq, hash, status; /* as extended descriptors have them */
	uint16_t vlan;
	uint16_t sum; /* of the packet, legacy and without PCSD */
};

static void check_sums(const struct soft_nic *nic, const struct soft_frame *frame,
		       const struct nic_headers *h, struct verdict *v)
{
	const uint32_t rxcsum = nic_reg(nic, E1000_RXCSUM);
	const uint32_t start = rxcsum & NIC_RXCSUM_PCSS;

	if (rxcsum & E1000_RXCSUM_IPOFLD && h->ipv4) {
		v->status |= E1000_RXD_IPCS;
		if (!nic_ip_sound(frame->data, h))
			v->status |= E1000_RXD_IPE;
	}
	/* UDP over IPv4 may go without [RFC 768]. */
	if (rxcsum & E1000_RXCSUM_TUOFLD &&
	    (h->tcp || (h->udp && (h->ipv6 || nic_be16(frame->data + h->l4 + 6))))) {
		v->status |= h->tcp ? E1000_RXD_TCPCS : E1000_RXD_UDPCS;
		if (!nic_l4_sound(frame->data, h))
			v->status |= E1000_RXD_TCPE;
	}
	if (!(v->status & (E1000_RXD_IPCS | E1000_RXD_TCPCS | E1000_RXD_UDPCS)))
		v->status |= NIC_RXD_IXSM;
	if (!(rxcsum & E1000_RXCSUM_PCSD) && start < frame->len)
		v->sum = ~nic_sum(frame->data + start, frame->len - start, 0);
}

/* Returns the queue. */
static unsigned judge(const struct soft_nic *nic, const struct soft_frame *frame, struct verdict *v)
{
	const uint32_t vet = nic_reg(nic, E1000_VET) & UINT16_MAX;
	struct nic_headers h;
	unsigned queue;

	memset(v, 0, sizeof(*v));
	nic_headers(frame->data, frame->len, vet, &h);
	queue = nic_rss(nic, &h, frame, &v->mrq, &v->hash);
	check_sums(nic, frame, &h, v);
	if (!(nic_reg(nic, E1000_RXCSUM) & E1000_RXCSUM_PCSD)) {
		/* The fragment's id and the packet's checksum instead of the hash [7.1.4.2]. */
		v->hash = htons(v->sum) << 16;
		if (h.ipv4 && h.fragment) {
			v->hash |= nic_be16(frame->data + h.l3 + 4);
			v->status |= NIC_RXD_IPIDV;
		}
	}
	if (nic_reg(nic, E1000_CTRL) & E1000_CTRL_VME && nic_be16(frame->data + 12) == vet) {
		v->status |= E1000_RXD_VP;
		v->vlan = nic_be16(frame->data + NIC_ETH_LEN);
	}
	return queue;
}

/* Extended or legacy; the latter leave the address and have bytes of status and errors. */
static void write_back(const struct soft_nic *nic, union e1000_rx_desc *desc, uint32_t len,
		       const struct verdict *v, uint32_t status)
{
	uint64_t word;

	if (nic_reg(nic, E1000_RFCTL) & E1000_RFCTL_EXSTEN) {
		desc->word[0] = htole64((uint64_t)v->hash << 32 | v->mrq);
		word = (uint64_t)v->vlan << 48 | (uint64_t)len << 32 | status;
	} else {
		word = (uint64_t)v->vlan << 48 | (uint64_t)(status >> 24) << 40 |
		       (uint64_t)(status & 0xff) << 32 | (uint64_t)htons(v->sum) << 16 | len;
	}
	__atomic_store_n(&desc->word[1], htole64(word), __ATOMIC_RELEASE);
}

/* Whether the buffers took it. They hold rx_bufsize bytes each. */
static bool scatter(struct soft_nic *nic, struct nic_ring *ring, const uint8_t *bytes, uint32_t len,
		    const struct verdict *v)
{
	uint32_t left = len;

	while (left) {
		union e1000_rx_desc *ring_desc = ring->desc;
		const uint64_t addr =
			le64toh(__atomic_load_n(&ring_desc[ring->head].word[0], __ATOMIC_RELAXED));
		const uint32_t n = left < nic->rx_bufsize ? left : nic->rx_bufsize;
		uint8_t *to = nic_dma(nic, &ring->tlb, addr, n);

		if (to) {
			memcpy(to, bytes, n);
		} else if (plx_vfu_dma_write(nic->vfu, addr, bytes, n)) {
			nic_ring_broken(nic, ring,
					"descriptor %u names %u bytes at 0x%llx, where none are "
					"mapped for the device to write",
					ring->head, n, (unsigned long long)addr);
			return false;
		}
		/* The client may have left while we were asking. */
		if (ring_desc != ring->desc)
			return false;
		bytes += n;
		left -= n;
		write_back(nic, &ring_desc[ring->head], n, v,
			   left ? E1000_RXD_DD : v->status | E1000_RXD_DD | E1000_RXD_EOP);
		nic_ring_advance(ring, 1);
	}
	return true;
}

/* A frame that was on the wire and reaches no buffer. */
static void lose(struct soft_nic *nic, enum nic_count why, const struct soft_frame *frame)
{
	nic->count[why]++;
	nic->count[NIC_RX_LOST]++;
	nic->count[NIC_RX_LOST_BYTES] += frame->len + NIC_FCS_LEN;
}

/* Pause and other MAC control frames end here, unless the driver wants to see them [3.2.5]. */
static bool mac_control(struct soft_nic *nic, const struct soft_frame *frame)
{
	const uint32_t rctl = nic_reg(nic, E1000_RCTL);
	const bool pause = nic_be16(frame->data + 14) == OPCODE_PAUSE;

	if (nic_be16(frame->data + 12) != MAC_CONTROL)
		return false;
	if (!pause || !(nic_reg(nic, E1000_CTRL) & E1000_CTRL_RFCE))
		nic->count[NIC_RX_CONTROL]++;
	else
		nic->count[nic_be16(frame->data + 16) ? NIC_RX_XOFF : NIC_RX_XON]++;
	return pause ? rctl & NIC_RCTL_DPF || !(rctl & NIC_RCTL_PMCF) : !(rctl & NIC_RCTL_PMCF);
}

static bool wanted(struct soft_nic *nic, const struct soft_frame *frame)
{
	const bool tagged = nic_be16(frame->data + 12) == (nic_reg(nic, E1000_VET) & UINT16_MAX);
	const uint32_t usual = FRAME_USUAL + (tagged ? NIC_TAG_LEN : 0);

	if (!(nic_reg(nic, E1000_RCTL) & E1000_RCTL_LPE) && frame->len > usual) {
		lose(nic, NIC_RX_LONG, frame);
		return false;
	}
	if (mac_control(nic, frame) || !nic_filter(nic, frame) || !nic_filter_vlan(nic, frame)) {
		lose(nic, NIC_RX_FILTERED, frame);
		return false;
	}
	return true;
}

/* One frame. Whether it is done with; false: there is no room for it. */
static bool receive_one(struct soft_nic *nic, const struct soft_frame *given)
{
	uint8_t copy[SOFT_FRAME_MAX + NIC_FCS_LEN], *bytes = copy;
	struct soft_frame frame = { .data = copy, .len = given->len };
	uint32_t filled, need, len = frame.len;
	struct nic_ring *ring;
	struct verdict verdict;
	unsigned queue;

	if (frame.len > SOFT_FRAME_MAX) {
		lose(nic, NIC_RX_LONG, &frame);
		return true;
	}
	/* What is judged and what is handed on must be the same, whoever writes to it now. */
	memcpy(copy, given->data, frame.len);
	if (!wanted(nic, &frame))
		return true;
	queue = judge(nic, &frame, &verdict);
	if (!(nic_reg(nic, E1000_RCTL) & E1000_RCTL_SECRC)) {
		const uint32_t fcs = htole32(nic_fcs(copy, len));

		memcpy(copy + len, &fcs, NIC_FCS_LEN);
		len += NIC_FCS_LEN;
	}

	ring = &nic->rxq[queue].ring;
	filled = nic_ring_filled(nic, ring);
	if (verdict.status & E1000_RXD_VP)
		len -= NIC_TAG_LEN;
	need = (len + nic->rx_bufsize - 1) / nic->rx_bufsize;
	if (need > filled && !ring->broken && need < ring->size)
		return false;
	if (need > filled) {
		lose(nic, NIC_RX_MISSED, &frame);
		return true;
	}
	nic_count_frames(nic, NIC_RX_SIZE, NIC_RX_PACKETS, &frame, 1);
	if (verdict.status & E1000_RXD_VP)
		bytes = memmove(copy + NIC_TAG_LEN, copy, NIC_ETH_LEN - 2);
	if (scatter(nic, ring, bytes, len, &verdict))
		nic_intr(nic, NIC_ICR_RXT0 | E1000_ICR_RXQ(queue));
	return true;
}

/*
 * No room: the sender waits, or the frames are lost. How many of them are done with.
 */
static unsigned full(struct soft_nic *nic, const struct soft_frame *frames, unsigned count)
{
	if (!nic->drop && !nic->overrun) {
		if (!nic->paused)
			nic->paused = nic->now;
		if (nic->now - nic->paused < PAUSE_NS)
			return 0;
		nic->overrun = true;
		if (plx_vfu_may_say(nic->vfu))
			plx_warn("%s: the driver has no buffers for %u ms: frames are lost until "
				 "it has",
				 nic->name, PAUSE_NS / 1000000);
	}
	for (unsigned i = 0; i < count; i++)
		lose(nic, NIC_RX_MISSED, &frames[i]);
	nic_intr(nic, NIC_ICR_RXO | E1000_ICR_OTHER);
	return count;
}

unsigned soft_nic_receive(struct soft_nic *nic, const struct soft_frame *frames, unsigned count)
{
	unsigned done = 0;

	if (unlikely(!nic->rx_on)) {
		nic->count[NIC_RX_FILTERED] += count;
		return count;
	}
	if (likely(nic->rx_plain))
		done = receive_plain(nic, frames, count);
	while (unlikely(done < count) && receive_one(nic, &frames[done]))
		done++;
	if (likely(done)) {
		nic->paused = 0;
		nic->overrun = false;
	}
	if (unlikely(done < count))
		done += full(nic, &frames[done], count - done);
	return done;
}
