/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/vfio.h>
#include <pollux/ioas.h>

#include "soft_fake.h"

#define BUSY	   1000 /* turns that any test needs at most */
#define RX_RING(q) (UINT64_C(0x10000000) + 0x100000 * (q))
#define TX_RING(q) (UINT64_C(0x20000000) + 0x100000 * (q))
#define RX_BUFS(q) (UINT64_C(0x30000000) + 0x100000 * (q))
#define TX_BUFS	   UINT64_C(0x40000000)

struct soft_nic *fake_nic[2];
struct fake_sent fake_sent[256];
unsigned fake_sent_count, fake_cable_room;
static uint32_t tx_next[2];

/*
 * The cable.
 */
static unsigned cable_send(struct soft_cable *cable, const struct soft_frame *frames,
			   unsigned count)
{
	unsigned n;

	(void)cable;
	for (n = 0; n < count && fake_cable_room; n++) {
		struct fake_sent *sent = &fake_sent[fake_sent_count++ % 256];

		assert_in_range(frames[n].len, SOFT_FRAME_MIN, SOFT_FRAME_MAX);
		memcpy(sent->data, frames[n].data, frames[n].len);
		sent->len = frames[n].len;
		fake_cable_room--;
	}
	return n;
}

static bool cable_up(const struct soft_cable *cable)
{
	(void)cable;
	return true;
}

static struct soft_cable cable = { .send = cable_send, .up = cable_up, .fd = -1 };

static void make(unsigned card, bool drop)
{
	struct soft_nic_conf conf = { .path = "card", .drop = drop };
	const uint8_t mac[] = { 2, 0, 0, 0, 0, (uint8_t)card };

	memcpy(conf.mac, mac, sizeof(mac));
	assert_int_equal(soft_nic_create(&conf, &fake_nic[card]), 0);
	tx_next[card] = 0;
}

void fake_pair(bool drop)
{
	fake_servers_begin();
	make(0, drop);
	make(1, drop);
	soft_nic_wire(fake_nic[0], fake_nic[1]);
}

void fake_single(void)
{
	fake_servers_begin();
	make(0, false);
	fake_nic[1] = NULL;
	soft_nic_plug(fake_nic[0], &cable);
	fake_sent_count = 0;
	fake_cable_room = UINT32_MAX;
}

void fake_end(void)
{
	soft_nic_destroy(fake_nic[0]);
	soft_nic_destroy(fake_nic[1]);
	fake_servers_end();
}

/*
 * The driver.
 */
union e1000_rx_desc *fake_rx_ring(unsigned card, unsigned q)
{
	return fake_at(card, RX_RING(q), 1);
}

union e1000_tx_desc *fake_tx_ring(unsigned card, unsigned q)
{
	return fake_at(card, TX_RING(q), 1);
}

uint8_t *fake_rx_buf(unsigned card, unsigned q, unsigned i)
{
	return (uint8_t *)fake_at(card, RX_BUFS(q), 1) + i * FAKE_BUF;
}

uint8_t *fake_tx_buf(unsigned card, unsigned i)
{
	return (uint8_t *)fake_at(card, TX_BUFS, 1) + i * FAKE_BUF;
}

uint64_t fake_tx_addr(unsigned card, unsigned i)
{
	(void)card;
	return TX_BUFS + i * FAKE_BUF;
}

void fake_rx_arm(unsigned card, unsigned q, uint32_t tail)
{
	union e1000_rx_desc *ring = fake_rx_ring(card, q);

	for (unsigned i = 0; i < FAKE_RING; i++) {
		ring[i].word[0] = RX_BUFS(q) + i * FAKE_BUF;
		ring[i].word[1] = 0;
	}
	fake_reg_set(card, E1000_RDT(q), tail);
}

void fake_start(unsigned card, uint32_t rctl)
{
	uint16_t command = 6; /* memory, bus master */

	assert_int_equal(fake_access(card, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2, true), 0);
	fake_map(card, TX_BUFS, FAKE_RING * FAKE_BUF, PLX_DMA_READ);
	for (unsigned q = 0; q < 2; q++) {
		fake_map(card, RX_RING(q), FAKE_RING * 16, PLX_DMA_RW);
		fake_map(card, TX_RING(q), FAKE_RING * 16, PLX_DMA_RW);
		fake_map(card, RX_BUFS(q), FAKE_RING * FAKE_BUF, PLX_DMA_WRITE);
		fake_reg_set(card, E1000_RDBAL(q), RX_RING(q));
		fake_reg_set(card, E1000_RDLEN(q), FAKE_RING * 16);
		fake_reg_set(card, E1000_TDBAL(q), TX_RING(q));
		fake_reg_set(card, E1000_TDLEN(q), FAKE_RING * 16);
	}
	fake_reg_set(card, E1000_RFCTL, E1000_RFCTL_EXSTEN);
	fake_reg_set(card, E1000_RXCSUM, E1000_RXCSUM_PCSD);
	fake_reg_set(card, E1000_RCTL, rctl | E1000_RCTL_EN | E1000_RCTL_SECRC | E1000_RCTL_BAM);
	fake_reg_set(card, E1000_TCTL, E1000_TCTL_EN | E1000_TCTL_PSP);
	for (unsigned q = 0; q < 2; q++)
		fake_rx_arm(card, q, FAKE_RING - 1);
	assert_int_equal(soft_nic_serve(fake_nic[card], 1), 0);
}

uint32_t fake_tx(unsigned card, uint64_t word0, uint64_t word1)
{
	const uint32_t slot = tx_next[card];
	union e1000_tx_desc *desc = &fake_tx_ring(card, 0)[slot];

	desc->word[0] = word0;
	desc->word[1] = word1;
	tx_next[card] = (slot + 1) % FAKE_RING;
	return slot;
}

void fake_tx_tail(unsigned card)
{
	fake_reg_set(card, E1000_TDT(0), tx_next[card]);
}

void fake_send(unsigned card, unsigned i, const void *frame, uint32_t len)
{
	memcpy(fake_tx_buf(card, i), frame, len);
	fake_tx(card, fake_tx_addr(card, i), len | E1000_TXD_EOP | E1000_TXD_IFCS | E1000_TXD_RS);
	fake_tx_tail(card);
}

void fake_turn(void)
{
	unsigned turns = 0, moved;

	do {
		moved = soft_nic_turn(fake_nic[0]);
		if (fake_nic[1])
			moved += soft_nic_turn(fake_nic[1]);
		assert_true(turns++ < BUSY);
	} while (moved);
}
