/* SPDX-License-Identifier: BSD-3-Clause */
/* What engines do to the bytes of a packet. */
#ifndef TESTPMD_PACKET_H
#define TESTPMD_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "options.h"

/*
 * Exchanges the addresses of an Ethernet header. Touches 16 bytes, which are there whatever the
 * packet's length says: no buffer is smaller.
 */
static inline void packet_swap_macs(void *frame)
{
	typedef uint8_t v16 __attribute__((vector_size(16)));
	v16 v;

	memcpy(&v, frame, sizeof(v));
	v = __builtin_shufflevector(v, v, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15);
	memcpy(frame, &v, sizeof(v));
}

/* Writes both addresses, destination first. */
static inline void packet_set_macs(void *frame, const uint8_t macs[2 * RTE_ETHER_ADDR_LEN])
{
	memcpy(frame, macs, 2 * RTE_ETHER_ADDR_LEN);
}

struct responder {
	struct rte_ether_addr mac; /* what ARP is told, and pings are addressed to */
	struct responder_net net;
};

/*
 * Turns a request into its answer, in place, if one is due: an ARP request for an address of ours
 * (RFC 826) or an ICMP echo request to one (RFC 792), behind up to two VLAN tags. The packet comes
 * from anyone: nothing outside it is read, and what isn't answered is left as it was. Fragments,
 * damaged headers, and requests to or from groups get no answer.
 */
bool packet_answer(struct rte_mbuf *m, const struct responder *self);

/*
 * Gives a fresh packet its length, with buffers from pool chained as lengths->seg says or, for a
 * range, as they fill up. -ENOMEM: the pool is empty; the packet is still to be freed.
 */
int packet_shape(struct rte_mbuf *m, struct rte_mempool *pool, const struct lengths *lengths,
		 uint16_t len);

/* Copies len bytes to the start of a packet that is at least that long. */
void packet_write(struct rte_mbuf *m, const void *bytes, uint32_t len);

/*
 * The body of a verify packet: a sequence number, and a pattern that depends on it and on the
 * place. len is from FRAME_MIN on.
 */
void pattern_fill(uint8_t *frame, uint16_t len, uint64_t seq);

/* Whether this is a frame made by pattern_fill(), by its type; then its sequence number. */
bool pattern_seq(const uint8_t *frame, uint32_t len, uint64_t *seq);

/* Whether everything but the Ethernet addresses is as pattern_fill() made it. */
bool pattern_check(const uint8_t *frame, uint32_t len, uint64_t seq);

#endif
