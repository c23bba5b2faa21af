/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server without a client, and a driver of the 82574's model that does as little as it
 * can: registers by the model's own callbacks, rings and buffers in memory that is mapped piece by
 * piece, each exactly as large as it says, so that a sanitizer sees each byte too far.
 */
#ifndef SOFT_FAKE_H
#define SOFT_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nic_regs.h"
#include "soft_nic.h"

uint32_t fake_reg(unsigned card, uint32_t offset);
void fake_reg_set(unsigned card, uint32_t offset, uint32_t value);
int fake_access(unsigned card, unsigned region, uint64_t offset, void *buf, size_t len, bool write);

/* Memory of the client, PLX_DMA_* for the device. Gone with fake_end(). */
void *fake_map(unsigned card, uint64_t iova, size_t len, unsigned access);
void fake_unmap(unsigned card, uint64_t iova);

void fake_arm(unsigned card, unsigned index, bool armed);	    /* all vectors of a kind */
unsigned fake_irqs(unsigned card, unsigned index, unsigned vector); /* raised since the last call */
void fake_leave(unsigned card);					    /* the client goes away */

extern bool fake_hushed; /* nothing more is to be said about the client */

/* What was logged since the last call, up to 4 KiB; and how many lines. */
const char *fake_said(unsigned *lines);

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
