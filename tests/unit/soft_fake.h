/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver of the 82574's model that does as little as it can, over soft_vfu.
 */
#ifndef SOFT_FAKE_H
#define SOFT_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nic_regs.h"
#include "soft_nic.h"
#include "soft_vfu.h"

/*
 * One wired pair, or one card on a cable that collects what is sent: fake_sent().
 */
extern struct soft_nic *fake_nic[2];

void fake_pair(bool drop);
void fake_single(void);
void fake_end(void);

struct fake_sent {
	uint8_t data[SOFT_FRAME_MAX];
	uint32_t len;
};

extern struct fake_sent fake_sent[256];
extern unsigned fake_sent_count;
extern unsigned fake_cable_room; /* frames that the cable takes from now on */

/*
 * The driver. Rings and buffers are laid out by card and queue; FAKE_BUFS of FAKE_BUF bytes each.
 */
#define FAKE_RING 64u
#define FAKE_BUF  2048u

union e1000_rx_desc *fake_rx_ring(unsigned card, unsigned q);
union e1000_tx_desc *fake_tx_ring(unsigned card, unsigned q);
uint8_t *fake_rx_buf(unsigned card, unsigned q, unsigned i);
uint8_t *fake_tx_buf(unsigned card, unsigned i);
uint64_t fake_tx_addr(unsigned card, unsigned i);

/* Bus mastering on, rings set up and armed, receiver (rctl or-ed in) and transmitter on. */
void fake_start(unsigned card, uint32_t rctl);
void fake_rx_arm(unsigned card, unsigned q, uint32_t tail); /* all buffers, and the tail */

/* The next descriptor: where it lies. Its tail isn't written. */
uint32_t fake_tx(unsigned card, uint64_t word0, uint64_t word1);
void fake_tx_tail(unsigned card);

/* A frame in buffer i, by one legacy descriptor with EOP, IFCS and RS. */
void fake_send(unsigned card, unsigned i, const void *frame, uint32_t len);
void fake_turn(void); /* of all cards, until nothing moves */

#endif
