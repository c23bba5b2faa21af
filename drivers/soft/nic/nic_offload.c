/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the device adds to a packet on its way out [7.2.4, 7.2.5, 7.2.9, 7.2.10]: checksums, a VLAN
 * tag, padding; and how it cuts a long one up into segments.
 */
#include <endian.h>

#include "nic.h"

/* Offsets in their headers */
#define IPV4_LEN  2
#define IPV4_ID	  4
#define IPV6_LEN  4
#define TCP_SEQ	  4
#define TCP_FLAGS 13
#define UDP_LEN	  4

#define TCP_FIN_PSH 0x09

void nic_offload_context(struct nic_context *ctx, uint64_t low, uint64_t high)
{
	ctx->ipcss = low;
	ctx->ipcso = low >> 8;
	ctx->ipcse = low >> 16;
	ctx->tucss = low >> 32;
	ctx->tucso = low >> 40;
	ctx->tucse = low >> 48;
	ctx->tcp = high & E1000_TXD_CTX_TCP;
	ctx->ipv4 = high & E1000_TXD_CTX_IP;
	ctx->hdrlen = high >> 40;
	ctx->mss = high >> 48;
}

/*
 * A checksum over start to end (its last byte; 0: all), put at offset. What lies there is added as
 * it is: the driver has put the pseudo-header's sum or 0 there. Offsets outside do nothing.
 */
static void insert_sum(uint8_t *frame, uint32_t len, uint32_t start, uint32_t offset, uint32_t end)
{
	const uint32_t stop = end && end < len ? end + 1 : len;

	if (start >= stop || offset + 2 > len)
		return;
	nic_put_be16(frame + offset, ~nic_sum(frame + start, stop - start, 0));
}

static void insert_sums(uint8_t *frame, uint32_t len, const struct nic_context *ctx, uint64_t word)
{
	if (word >> 32 & E1000_TXD_IXSM) {
		if (ctx->ipcso + 2u <= len)
			nic_put_be16(frame + ctx->ipcso, 0);
		insert_sum(frame, len, ctx->ipcss, ctx->ipcso, ctx->ipcse);
	}
	if (word >> 32 & E1000_TXD_TXSM)
		insert_sum(frame, len, ctx->tucss, ctx->tucso, ctx->tucse);
}

/* Padding, and a tag in the headroom before the bytes: what goes over the wire. */
static void finish(const struct soft_nic *nic, const struct nic_packet_out *out, uint8_t *bytes,
		   uint32_t len, struct soft_frame *frame)
{
	if (out->tagged) {
		memmove(bytes - NIC_TAG_LEN, bytes, NIC_ETH_LEN - 2);
		nic_put_be16(bytes + NIC_ETH_LEN - 2 - NIC_TAG_LEN, nic_reg(nic, E1000_VET));
		nic_put_be16(bytes + NIC_ETH_LEN - NIC_TAG_LEN, out->tag);
		bytes -= NIC_TAG_LEN;
		len += NIC_TAG_LEN;
	}
	if (len < SOFT_FRAME_MIN) {
		memset(bytes + len, 0, SOFT_FRAME_MIN - len);
		len = SOFT_FRAME_MIN;
	}
	frame->data = bytes;
	frame->len = len;
}

/* Whether segments can be made of it: headers whole, in order, and something behind them. */
static bool can_segment(const struct nic_packet_out *out, const struct nic_context *ctx)
{
	const uint32_t l3_len = ctx->ipv4 ? 20 : NIC_IPV6_LEN, l4_len = ctx->tcp ? 20 : 8;

	return ctx->mss && out->len > ctx->hdrlen && ctx->ipcss >= NIC_ETH_LEN &&
	       ctx->ipcss + l3_len <= ctx->tucss && ctx->tucss + l4_len <= ctx->hdrlen &&
	       ctx->tucso + 2u <= ctx->hdrlen && ctx->ipcso + 2u <= ctx->hdrlen &&
	       (uint32_t)ctx->hdrlen + ctx->mss + NIC_TAG_LEN <= SOFT_FRAME_MAX;
}

/* The driver has put the FCS behind the frame itself. Whether it is right. */
static bool take_fcs(struct nic_txq *q)
{
	uint32_t fcs;

	if (q->out.len < NIC_ETH_LEN + NIC_FCS_LEN)
		return false;
	q->out.len -= NIC_FCS_LEN;
	memcpy(&fcs, q->frame + q->out.len, sizeof(fcs));
	return le32toh(fcs) == nic_fcs(q->frame, q->out.len);
}

/* The whole packet is one frame. */
static bool make_frame(const struct soft_nic *nic, struct nic_txq *q, uint64_t first, uint64_t last)
{
	struct nic_packet_out *out = &q->out;

	if (first & E1000_TXD_DEXT)
		insert_sums(q->frame, out->len, &q->ctx, first);
	else if (last & NIC_TXD_IC)
		insert_sum(q->frame, out->len, last >> 40 & 0xff, last >> 16 & 0xff, 0);
	else if (!(last & E1000_TXD_IFCS) && !take_fcs(q))
		return false;
	if (out->len < SOFT_FRAME_MIN && !(nic_reg(nic, E1000_TCTL) & E1000_TCTL_PSP))
		return false;
	finish(nic, out, q->frame, out->len, &out->frame);
	return out->frame.len <= SOFT_FRAME_MAX;
}

/* first, last: the second words of the packet's first and last descriptors. */
bool nic_offload(struct soft_nic *nic, struct nic_txq *q, uint64_t first, uint64_t last)
{
	struct nic_packet_out *out = &q->out;

	if (out->len < NIC_ETH_LEN)
		return false;
	out->tagged = last & E1000_TXD_VLE && nic_reg(nic, E1000_CTRL) & E1000_CTRL_VME;
	out->tag = last >> 48;
	if (!(first & E1000_TXD_DEXT) || !(first & NIC_TXD_TSE))
		return make_frame(nic, q, first, last);
	if (!can_segment(out, &q->ctx)) {
		nic->count[NIC_TX_CONTEXTS_FAILED]++;
		return false;
	}
	out->popts = first;
	out->header = q->ctx.hdrlen;
	out->done = out->header;
	return true;
}

/* What differs from segment to segment [7.2.4.4]. len is that of the segment. */
static void update_headers(const struct nic_txq *q, uint8_t *bytes, uint32_t len, bool last)
{
	const struct nic_context *ctx = &q->ctx;
	const uint32_t done = q->out.done - q->out.header;
	uint8_t *l3 = bytes + ctx->ipcss, *l4 = bytes + ctx->tucss, *sum = bytes + ctx->tucso;
	const uint16_t l4_len = len - ctx->tucss;

	if (ctx->ipv4) {
		nic_put_be16(l3 + IPV4_LEN, len - ctx->ipcss);
		nic_put_be16(l3 + IPV4_ID, nic_be16(l3 + IPV4_ID) + done / ctx->mss);
	} else {
		nic_put_be16(l3 + IPV6_LEN, len - ctx->ipcss - NIC_IPV6_LEN);
	}
	if (ctx->tcp) {
		nic_put_be32(l4 + TCP_SEQ, nic_be32(l4 + TCP_SEQ) + done);
		if (!last)
			l4[TCP_FLAGS] &= ~TCP_FIN_PSH;
	} else {
		nic_put_be16(l4 + UDP_LEN, l4_len);
	}
	/* The pseudo-header's sum lies there without the length. */
	nic_put_be16(sum, nic_sum(sum, 2, l4_len));
}

/* The next segment; q->out.done moves on. */
void nic_segment(const struct soft_nic *nic, struct nic_txq *q, struct soft_frame *frame)
{
	struct nic_packet_out *out = &q->out;
	const uint32_t left = out->len - out->done;
	const uint32_t data = left < q->ctx.mss ? left : q->ctx.mss;
	const uint32_t len = out->header + data;

	memcpy(q->segment, q->frame, out->header);
	memcpy(q->segment + out->header, q->frame + out->done, data);
	update_headers(q, q->segment, len, data == left);
	insert_sums(q->segment, len, &q->ctx, out->popts);
	finish(nic, out, q->segment, len, frame);
	out->done += data;
}
