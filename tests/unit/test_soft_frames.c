/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 82574's model with frames between two cards, plain and odd ones, and drivers that misbehave.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/vfio.h>
#include <pollux/ioas.h>

#include "nic_packet.h"
#include "soft_fake.h"

#define ANY    (E1000_RCTL_UPE | E1000_RCTL_MPE)
#define DONE   (E1000_RXD_DD | E1000_RXD_EOP)
#define SECOND UINT64_C(1000000000)

static uint8_t frame[16384];

static int setup(void **state)
{
	*state = NULL;
	fake_pair(false);
	fake_start(0, ANY);
	fake_start(1, ANY);
	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] = i * 7 + i / 256;
	frame[0] = 2; /* a station's */
	frame[12] = 0x88;
	frame[13] = 0xb5; /* local experiment, IEEE 802 */
	return 0;
}

static int setup_dropping(void **state)
{
	*state = NULL;
	fake_pair(true);
	fake_start(0, ANY);
	fake_start(1, ANY);
	memset(frame, 2, sizeof(frame));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_end();
	return 0;
}

static uint32_t rx_status(unsigned card, unsigned q, unsigned i)
{
	return le32toh(fake_rx_ring(card, q)[i].wb.status);
}

static uint32_t rx_len(unsigned card, unsigned q, unsigned i)
{
	return le16toh(fake_rx_ring(card, q)[i].wb.length);
}

static void check_received(unsigned i, const void *data, uint32_t len)
{
	assert_int_equal(rx_status(1, 0, i) & DONE, DONE);
	assert_int_equal(rx_len(1, 0, i), len);
	assert_memory_equal(fake_rx_buf(1, 0, i), data, len);
}

static bool tx_done(unsigned slot)
{
	return fake_tx_ring(0, 0)[slot].data.status & E1000_TXD_DD;
}

/* Every length that one buffer takes, many times round the rings. */
static void all_lengths_arrive(void **state)
{
	unsigned slot = 0;

	(void)state;
	for (uint32_t len = 60; len <= 1514; len++) {
		frame[20] = len;
		fake_send(0, 0, frame, len);
		fake_turn();
		check_received(slot, frame, len);
		/* What lies behind the frame stayed with the sender. */
		assert_int_equal(fake_rx_buf(1, 0, slot)[len], 0);
		memset(fake_rx_buf(1, 0, slot), 0, FAKE_BUF);
		fake_rx_ring(1, 0)[slot].word[0] = UINT64_C(0x30000000) + slot * FAKE_BUF;
		fake_rx_ring(1, 0)[slot].word[1] = 0;
		fake_reg_set(1, E1000_RDT(0), slot);
		slot = (slot + 1) % FAKE_RING;
	}
	assert_int_equal(fake_reg(1, E1000_GPRC), 1455);
	assert_int_equal(fake_reg(1, E1000_GPRC), 0);
	assert_int_equal(fake_reg(0, E1000_GPTC), 1455);
}

static void short_frames_are_padded(void **state)
{
	(void)state;
	for (uint32_t len = 14; len < 60; len++) {
		memset(fake_tx_buf(0, 0), 0xee, FAKE_BUF);
		fake_send(0, 0, frame, len);
		fake_turn();
		assert_int_equal(rx_len(1, 0, len - 14), 60);
		assert_memory_equal(fake_rx_buf(1, 0, len - 14), frame, len);
		for (uint32_t i = len; i < 60; i++)
			assert_int_equal(fake_rx_buf(1, 0, len - 14)[i], 0);
	}
}

static void a_burst_waits_for_buffers(void **state)
{
	(void)state;
	fake_rx_arm(1, 0, 10);
	for (unsigned i = 0; i < 30; i++) {
		frame[14] = i;
		fake_send(0, i, frame, 64);
	}
	fake_turn();
	assert_true(tx_done(9));
	assert_false(tx_done(10));
	assert_int_equal(rx_status(1, 0, 10), 0);
	fake_reg_set(1, E1000_RDT(0), 40);
	fake_turn();
	for (unsigned i = 0; i < 30; i++) {
		frame[14] = i;
		assert_true(tx_done(i));
		check_received(i, frame, 64);
	}
	soft_nic_serve(fake_nic[1], 2);
	soft_nic_turn(fake_nic[0]);
	assert_int_equal(fake_reg(0, E1000_TDH(0)), 30);
	assert_int_equal(fake_reg(1, E1000_RDH(0)), 30);
	assert_int_equal(fake_reg(1, E1000_MPC), 0);
}

static void waiting_ends_after_a_second(void **state)
{
	struct soft_nic_totals totals;

	(void)state;
	fake_rx_arm(1, 0, 0);
	fake_send(0, 0, frame, 64);
	fake_turn();
	soft_nic_serve(fake_nic[1], SECOND / 2);
	fake_turn();
	assert_false(tx_done(0));
	soft_nic_serve(fake_nic[1], 2 * SECOND);
	fake_turn();
	assert_true(tx_done(0));
	soft_nic_totals(fake_nic[1], &totals);
	assert_int_equal(totals.missed, 1);
	assert_int_equal(fake_reg(1, E1000_MPC), 1);
	assert_non_null(strstr(fake_said(NULL), "no buffers"));
	/* As soon as there are buffers nothing is lost any more, and there is patience again. */
	fake_rx_arm(1, 0, 1);
	fake_send(0, 0, frame, 64);
	fake_send(0, 0, frame, 64);
	fake_turn();
	check_received(0, frame, 64);
	assert_false(tx_done(2));
	assert_int_equal(fake_reg(1, E1000_MPC), 0);
}

static void dropping_is_counted(void **state)
{
	(void)state;
	fake_rx_arm(1, 0, 10);
	for (unsigned i = 0; i < 30; i++)
		fake_send(0, 0, frame, 64);
	fake_turn();
	assert_true(tx_done(29));
	assert_int_equal(fake_reg(1, E1000_MPC), 20);
	assert_int_equal(fake_reg(1, E1000_GPRC), 10);
	assert_int_equal(fake_reg(1, E1000_TPR), 30);
}

static void long_frames_take_several_buffers(void **state)
{
	unsigned slot = 0;

	(void)state;
	/* 9,000 bytes of five descriptors in 2,048-byte buffers, and without LPE not at all. */
	for (unsigned i = 0; i < 5; i++) {
		memcpy(fake_tx_buf(0, i), frame + 1800 * i, 1800);
		fake_tx(0, fake_tx_addr(0, i),
			1800 | E1000_TXD_IFCS | (i == 4 ? E1000_TXD_EOP | E1000_TXD_RS : 0));
	}
	fake_tx_tail(0);
	fake_turn();
	assert_true(tx_done(4));
	assert_int_equal(rx_status(1, 0, 0), 0);
	assert_int_equal(fake_reg(1, E1000_ROC), 1);
	fake_reg_set(1, E1000_RCTL, fake_reg(1, E1000_RCTL) | E1000_RCTL_LPE);
	for (unsigned i = 0; i < 5; i++)
		fake_tx(0, fake_tx_addr(0, i),
			1800 | E1000_TXD_IFCS | (i == 4 ? E1000_TXD_EOP | E1000_TXD_RS : 0));
	fake_tx_tail(0);
	fake_turn();
	for (uint32_t at = 0; at < 9000; at += 2048, slot++) {
		const bool last = at + 2048 >= 9000;

		assert_int_equal(rx_len(1, 0, slot), last ? 9000 - at : 2048);
		assert_int_equal(rx_status(1, 0, slot) & DONE, last ? DONE : E1000_RXD_DD);
		assert_memory_equal(fake_rx_buf(1, 0, slot), frame + at, last ? 9000 - at : 2048);
	}
	assert_int_equal(fake_reg(1, E1000_PRC1522), 1);
	assert_int_equal(fake_reg(1, E1000_GORCL), 9004);
	assert_int_equal(fake_reg(1, E1000_GORCL + 4), 0);
}

/* A packet whose end comes later, one descriptor at a time. */
static void a_packet_may_come_in_pieces(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		memcpy(fake_tx_buf(0, i), frame + 100 * i, 100);
		fake_tx(0, fake_tx_addr(0, i),
			100 | E1000_TXD_IFCS | (i == 2 ? E1000_TXD_EOP | E1000_TXD_RS : 0));
		fake_tx_tail(0);
		fake_turn();
		assert_int_equal(rx_status(1, 0, 0) & DONE, i == 2 ? DONE : 0);
	}
	check_received(0, frame, 300);
}

static void addresses_are_filtered(void **state)
{
	const struct {
		uint8_t mac[6];
		uint32_t rctl, mta;
		bool in;
	} cases[] = {
		{ { 2, 0, 0, 0, 0, 1 }, 0, 0, true },
		{ { 2, 0, 0, 0, 0, 9 }, 0, 0, false },
		{ { 2, 0, 0, 0, 0, 9 }, E1000_RCTL_UPE, 0, true },
		{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, E1000_RCTL_BAM, 0, true },
		{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 0, 0, false },
		{ { 1, 0, 0x5e, 0, 0, 0x50 }, 0, 0, false },
		{ { 1, 0, 0x5e, 0, 0, 0x50 }, E1000_RCTL_MPE, 0, true },
		/* bits 47:36 are 0x500, word 40, bit 0 [10.2.5.17] */
		{ { 1, 0, 0x5e, 0, 0, 0x50 }, 0, 40, true },
		{ { 1, 0, 0x5e, 0, 0, 0x50 }, 0, 41, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		memset(fake_rx_ring(1, 0), 0, 16);
		fake_reg_set(1, E1000_RCTL, 0);
		fake_reg_set(1, E1000_RDH(0), 0);
		for (unsigned word = 0; word < E1000_MTA_WORDS; word++)
			fake_reg_set(1, E1000_MTA(word), 0);
		if (cases[i].mta)
			fake_reg_set(1, E1000_MTA(cases[i].mta), 1);
		fake_reg_set(1, E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_SECRC | cases[i].rctl);
		fake_rx_arm(1, 0, FAKE_RING - 1);
		memcpy(frame, cases[i].mac, 6);
		fake_send(0, 0, frame, 64);
		fake_turn();
		assert_int_equal(!!(rx_status(1, 0, 0) & E1000_RXD_DD), cases[i].in);
	}
}

static void nobody_listening_loses_frames(void **state)
{
	struct soft_nic_totals totals;

	(void)state;
	fake_reg_set(1, E1000_RCTL, 0);
	fake_send(0, 0, frame, 64);
	fake_turn();
	assert_true(tx_done(0));
	soft_nic_totals(fake_nic[1], &totals);
	assert_int_equal(totals.filtered, 1);
	assert_int_equal(rx_status(1, 0, 0), 0);
}

static void without_bus_mastering_nothing_moves(void **state)
{
	uint16_t command = 2;

	(void)state;
	assert_int_equal(fake_access(0, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2, true), 0);
	fake_send(0, 0, frame, 64);
	fake_turn();
	assert_false(tx_done(0));
	command = 6;
	assert_int_equal(fake_access(0, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2, true), 0);
	fake_turn();
	assert_true(tx_done(0));
	check_received(0, frame, 64);
}

static void tags_are_stripped_and_filtered(void **state)
{
	uint8_t tagged[64];

	(void)state;
	memcpy(tagged, frame, 64);
	memcpy(tagged + 12, "\x81\x00\x60\x05\x88\xb5", 6);
	fake_reg_set(1, E1000_CTRL, fake_reg(1, E1000_CTRL) | E1000_CTRL_VME);
	fake_send(0, 0, tagged, 64);
	fake_turn();
	assert_int_equal(rx_status(1, 0, 0) & (DONE | E1000_RXD_VP), DONE | E1000_RXD_VP);
	assert_int_equal(le16toh(fake_rx_ring(1, 0)[0].wb.vlan), 0x6005);
	assert_int_equal(rx_len(1, 0, 0), 60);
	assert_memory_equal(fake_rx_buf(1, 0, 0), tagged, 12);
	assert_memory_equal(fake_rx_buf(1, 0, 0) + 12, tagged + 16, 48);
	/* Id 5 may pass, id 6 not. */
	fake_reg_set(1, E1000_VFTA(0), 1u << 5);
	fake_reg_set(1, E1000_RCTL, fake_reg(1, E1000_RCTL) | E1000_RCTL_VFE);
	tagged[15] = 6;
	fake_send(0, 0, tagged, 64);
	tagged[15] = 5;
	fake_send(0, 1, tagged, 64);
	fake_turn();
	assert_int_equal(le16toh(fake_rx_ring(1, 0)[1].wb.vlan), 0x6005);
	assert_int_equal(rx_status(1, 0, 2), 0);
}

static void tags_are_inserted(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_CTRL, fake_reg(0, E1000_CTRL) | E1000_CTRL_VME);
	memcpy(fake_tx_buf(0, 0), frame, 64);
	fake_tx(0, fake_tx_addr(0, 0),
		64 | E1000_TXD_EOP | E1000_TXD_IFCS | E1000_TXD_VLE | UINT64_C(0x2007) << 48);
	fake_tx_tail(0);
	fake_turn();
	assert_int_equal(rx_len(1, 0, 0), 68);
	assert_memory_equal(fake_rx_buf(1, 0, 0), frame, 12);
	assert_memory_equal(fake_rx_buf(1, 0, 0) + 12, "\x81\x00\x20\x07", 4);
	assert_memory_equal(fake_rx_buf(1, 0, 0) + 16, frame + 12, 52);
}

/* The FCS of "123456789" is the check value of CRC-32. */
static void the_fcs_is_there_when_asked_for(void **state)
{
	const uint32_t fcs = htole32(nic_fcs(frame, 64));

	(void)state;
	assert_int_equal(nic_fcs((const uint8_t *)"123456789", 9), 0xcbf43926);
	fake_reg_set(1, E1000_RCTL, fake_reg(1, E1000_RCTL) & ~E1000_RCTL_SECRC);
	fake_send(0, 0, frame, 64);
	fake_turn();
	assert_int_equal(rx_len(1, 0, 0), 68);
	assert_memory_equal(fake_rx_buf(1, 0, 0), frame, 64);
	assert_memory_equal(fake_rx_buf(1, 0, 0) + 64, &fcs, 4);
	/* A driver that brings its own: a right one and a wrong one. */
	memcpy(fake_tx_buf(0, 0), frame, 64);
	memcpy(fake_tx_buf(0, 0) + 64, &fcs, 4);
	memset(fake_tx_buf(0, 1), 7, 68);
	fake_tx(0, fake_tx_addr(0, 1), 68 | E1000_TXD_EOP);
	fake_tx(0, fake_tx_addr(0, 0), 68 | E1000_TXD_EOP);
	fake_tx_tail(0);
	fake_turn();
	assert_int_equal(rx_len(1, 0, 1), 68);
	assert_memory_equal(fake_rx_buf(1, 0, 1), frame, 64);
	assert_int_equal(rx_status(1, 0, 2), 0);
}

static void legacy_descriptors_are_written_back(void **state)
{
	(void)state;
	fake_reg_set(1, E1000_RFCTL, 0);
	fake_send(0, 0, frame, 64);
	fake_turn();
	assert_int_equal(le64toh(fake_rx_ring(1, 0)[0].word[0]), UINT64_C(0x30000000));
	assert_int_equal(le64toh(fake_rx_ring(1, 0)[0].word[1]) & 0xffff, 64);
	assert_int_equal(le64toh(fake_rx_ring(1, 0)[0].word[1]) >> 32 & 3, 3);
	assert_memory_equal(fake_rx_buf(1, 0, 0), frame, 64);
}

static void frames_are_looped_in_the_mac(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_RCTL, fake_reg(0, E1000_RCTL) | NIC_RCTL_LBM_MAC);
	fake_send(0, 0, frame, 64);
	fake_turn();
	assert_int_equal(rx_status(0, 0, 0) & DONE, DONE);
	assert_int_equal(rx_status(1, 0, 0), 0);
}

static void pause_frames_end_here(void **state)
{
	uint8_t pause[60] = { 0x01, 0x80, 0xc2, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 0x08, 0, 1, 1 };

	(void)state;
	fake_reg_set(1, E1000_CTRL, fake_reg(1, E1000_CTRL) | E1000_CTRL_RFCE);
	/* Where all is let in there is no looking at frames: filter. */
	fake_reg_set(1, E1000_RCTL, fake_reg(1, E1000_RCTL) & ~E1000_RCTL_UPE);
	fake_send(0, 0, pause, 60);
	fake_turn();
	assert_int_equal(rx_status(1, 0, 0), 0);
	assert_int_equal(fake_reg(1, E1000_XOFFRXC), 1);
	assert_int_equal(fake_reg(1, E1000_GPRC), 0);
}

static void interrupts_tell_of_frames(void **state)
{
	(void)state;
	fake_arm(0, VFIO_PCI_MSIX_IRQ_INDEX, true);
	fake_arm(1, VFIO_PCI_MSIX_IRQ_INDEX, true);
	fake_reg_set(0, E1000_IVAR, 11 << 8);
	fake_reg_set(0, E1000_IMS, NIC_ICR_TXQ(0));
	fake_reg_set(1, E1000_IVAR, E1000_IVAR_RXQ(0, 1));
	fake_reg_set(1, E1000_IMS, E1000_ICR_RXQ(0));
	fake_send(0, 0, frame, 64);
	fake_turn();
	assert_int_equal(fake_irqs(0, VFIO_PCI_MSIX_IRQ_INDEX, 3), 1);
	assert_int_equal(fake_irqs(1, VFIO_PCI_MSIX_IRQ_INDEX, 1), 1);
}

/*
 * Drivers that misbehave. The queue stops, with one line; set up anew, it goes on.
 */
static void check_broken(unsigned card, const char *what)
{
	struct soft_nic_totals totals;
	unsigned lines;
	const char *said;

	fake_turn();
	fake_turn();
	said = fake_said(&lines);
	assert_int_equal(lines, 1);
	if (!strstr(said, what))
		fail_msg("'%s' isn't in '%s'", what, said);
	soft_nic_totals(fake_nic[card], &totals);
	assert_int_equal(totals.errors, 1);
}

static void check_sends_again(void)
{
	fake_reg_set(0, E1000_TCTL, 0);
	fake_reg_set(0, E1000_TDBAL(0), 0x20000000);
	fake_reg_set(0, E1000_TDLEN(0), FAKE_RING * 16);
	fake_reg_set(0, E1000_TDH(0), 0);
	fake_reg_set(0, E1000_TDT(0), 0);
	fake_reg_set(0, E1000_TCTL, E1000_TCTL_EN);
	memcpy(fake_tx_buf(0, 0), frame, 64);
	fake_tx_ring(0, 0)[0].word[0] = fake_tx_addr(0, 0);
	fake_tx_ring(0, 0)[0].word[1] = 64 | E1000_TXD_EOP | E1000_TXD_IFCS;
	fake_reg_set(0, E1000_TDT(0), 1);
	fake_turn();
	check_received(0, frame, 64);
}

static void a_wrong_buffer_stops_the_queue(void **state)
{
	(void)state;
	fake_tx(0, UINT64_C(0xdead00000000), 64 | E1000_TXD_EOP | E1000_TXD_IFCS);
	fake_tx_tail(0);
	check_broken(0, "queue tx0 stopped: descriptor 0 names 64 bytes at 0xdead00000000");
	check_sends_again();
}

static void what_is_not_said_is_counted(void **state)
{
	struct soft_nic_totals totals;
	unsigned lines;

	(void)state;
	fake_hushed = true;
	fake_tx(0, UINT64_C(0xdead00000000), 64 | E1000_TXD_EOP | E1000_TXD_IFCS);
	fake_tx_tail(0);
	fake_turn();
	fake_said(&lines);
	assert_int_equal(lines, 0);
	soft_nic_totals(fake_nic[0], &totals);
	assert_int_equal(totals.errors, 1);
}

static void a_buffer_that_runs_out_of_its_map_stops_the_queue(void **state)
{
	(void)state;
	fake_tx(0, fake_tx_addr(0, FAKE_RING) - 63, 64 | E1000_TXD_EOP | E1000_TXD_IFCS);
	fake_tx_tail(0);
	check_broken(0, "descriptor 0 names 64 bytes");
}

static void a_buffer_that_is_write_only_is_not_read(void **state)
{
	(void)state;
	fake_tx(0, 0x30000000, 64 | E1000_TXD_EOP | E1000_TXD_IFCS);
	fake_tx_tail(0);
	check_broken(0, "descriptor 0 names 64 bytes at 0x30000000");
}

static void a_tail_outside_stops_the_queue(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_TDT(0), FAKE_RING);
	check_broken(0, "its tail is 64, outside the ring of 64");
	check_sends_again();
}

static void a_head_outside_stops_the_queue(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_TDH(0), 0x80000000);
	fake_reg_set(0, E1000_TDT(0), 1);
	check_broken(0, "its head is 2147483648, outside");
	check_sends_again();
}

static void a_ring_of_odd_length_is_none(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_TDLEN(0), 16);
	check_broken(0, "16 bytes at 0x20000000 are no ring");
	check_sends_again();
}

static void a_ring_longer_than_its_map_is_none(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_TDLEN(0), 2 * FAKE_RING * 16);
	check_broken(0, "no shared memory is mapped at 0x20000000");
	check_sends_again();
}

static void a_ring_that_is_unmapped_is_gone(void **state)
{
	(void)state;
	fake_unmap(0, 0x20000000);
	fake_reg_set(0, E1000_TDT(0), 5);
	check_broken(0, "no shared memory is mapped at 0x20000000");
}

/* Addresses in large maps are remembered; not longer than the map is there. */
static void a_large_map_is_forgotten_when_it_goes(void **state)
{
	const uint64_t iova = UINT64_C(0x5000000000), piece = 1 << 21;
	const uint64_t command = 64 | E1000_TXD_EOP | E1000_TXD_IFCS | E1000_TXD_RS;
	uint8_t *large = fake_map(0, iova, 2 * piece, PLX_DMA_READ);

	(void)state;
	memcpy(large, frame, 64);
	memcpy(large + piece - 32, frame, 64); /* across */
	fake_tx(0, iova, command);
	fake_tx(0, iova + piece - 32, command);
	fake_tx_tail(0);
	fake_turn();
	check_received(0, frame, 64);
	check_received(1, frame, 64);
	fake_unmap(0, iova);
	fake_tx(0, iova, command);
	fake_tx_tail(0);
	check_broken(0, "descriptor 2 names 64 bytes at 0x5000000000");
}

static void split_headers_are_refused(void **state)
{
	(void)state;
	fake_reg_set(1, E1000_RCTL, fake_reg(1, E1000_RCTL) | 1u << 10);
	fake_reg_set(1, E1000_RCTL, fake_reg(1, E1000_RCTL));
	fake_send(0, 0, frame, 64);
	check_broken(1, "headers split");
	assert_int_equal(rx_status(1, 0, 0), 0);
}

static void a_receive_buffer_that_is_not_there_loses_the_frame(void **state)
{
	(void)state;
	fake_rx_ring(1, 0)[0].word[0] = 0x666;
	fake_send(0, 0, frame, 64);
	check_broken(1, "queue rx0 stopped: descriptor 0 names 64 bytes at 0x666");
	assert_true(tx_done(0));
	fake_send(0, 0, frame, 64);
	fake_turn();
	assert_int_equal(fake_reg(1, E1000_MPC), 1);
}

static void a_ring_without_an_end_of_packet_stops(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FAKE_RING - 1; i++)
		fake_tx(0, fake_tx_addr(0, 0), 16 | E1000_TXD_IFCS);
	fake_tx_tail(0);
	check_broken(0, "a full ring of 64 has no end of a packet");
}

static void frames_too_long_or_too_short_are_lost(void **state)
{
	struct soft_nic_totals totals;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		fake_tx(0, fake_tx_addr(0, 0),
			2048 | E1000_TXD_IFCS | (i == 5 ? E1000_TXD_EOP | E1000_TXD_RS : 0));
	fake_tx(0, fake_tx_addr(0, 0), 13 | E1000_TXD_IFCS | E1000_TXD_EOP | E1000_TXD_RS);
	fake_tx(0, fake_tx_addr(0, 0), E1000_TXD_IFCS | E1000_TXD_EOP | E1000_TXD_RS);
	fake_tx_tail(0);
	fake_send(0, 1, frame, 60);
	fake_turn();
	assert_true(tx_done(5) && tx_done(6) && tx_done(7) && tx_done(8));
	check_received(0, frame, 60);
	soft_nic_totals(fake_nic[0], &totals);
	assert_int_equal(totals.errors, 3);
	assert_int_equal(totals.tx_packets, 1);
}

static void the_client_leaves_with_frames_under_way(void **state)
{
	(void)state;
	fake_rx_arm(1, 0, 0);
	fake_send(0, 0, frame, 64);
	fake_turn();
	fake_leave(1);
	/* There is no link; the frame waits for one. */
	soft_nic_serve(fake_nic[0], 2);
	fake_turn();
	assert_false(tx_done(0));
	fake_leave(0);
	fake_turn();
}

/* Descriptors and registers of noise: nothing but errors comes of it. */
static void noise_is_survived(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		union e1000_tx_desc *ring = fake_tx_ring(0, 0);

		for (unsigned i = 0; i < FAKE_RING * 4; i++) {
			seed = seed * 1664525 + 1013904223;
			((uint32_t *)ring)[i] = seed;
			if (i % 4 == 0)
				((uint32_t *)ring)[i] = 0x40000000 + seed % (FAKE_BUF * FAKE_RING);
			else if (i % 4 == 1)
				((uint32_t *)ring)[i] = 0;
			else if (i % 4 == 2 && seed & 0x80)
				((uint32_t *)ring)[i] &= ~0xf800u;
		}
		fake_reg_set(1, E1000_RFCTL, seed);
		fake_reg_set(1, E1000_RXCSUM, seed >> 8);
		fake_reg_set(1, E1000_MRQC, seed >> 4);
		fake_reg_set(1, E1000_CTRL, seed & ~(E1000_CTRL_RST | 4u));
		fake_reg_set(0, E1000_CTRL, (seed >> 3 & ~(E1000_CTRL_RST | 4u)) | E1000_CTRL_SLU);
		fake_reg_set(1, E1000_RCTL, (seed & ~NIC_RCTL_DTYP) | E1000_RCTL_EN);
		fake_rx_arm(1, 0, (fake_reg(1, E1000_RDH(0)) + 60) % FAKE_RING);
		fake_reg_set(0, E1000_TCTL, 0);
		fake_reg_set(0, E1000_TDH(0), round % FAKE_RING);
		fake_reg_set(0, E1000_TDT(0), seed >> 5 & 63);
		fake_reg_set(0, E1000_TCTL, E1000_TCTL_EN | (seed & E1000_TCTL_PSP));
		for (unsigned i = 0; i < 8; i++) {
			soft_nic_turn(fake_nic[0]);
			soft_nic_serve(fake_nic[1], round * SECOND);
		}
	}
	fake_said(NULL);
}

/* Two queues each way are served in turn. */
static void both_transmit_queues_are_served(void **state)
{
	union e1000_tx_desc *ring = fake_tx_ring(0, 1);

	(void)state;
	memcpy(fake_tx_buf(0, 5), frame, 70);
	ring[0].word[0] = fake_tx_addr(0, 5);
	ring[0].word[1] = 70 | E1000_TXD_EOP | E1000_TXD_IFCS | E1000_TXD_RS;
	fake_reg_set(0, E1000_TDT(1), 1);
	fake_send(0, 0, frame, 64);
	fake_turn();
	check_received(0, frame, 64);
	check_received(1, frame, 70);
	assert_true(ring[0].data.status & E1000_TXD_DD);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(all_lengths_arrive),
		CASE(short_frames_are_padded),
		CASE(a_burst_waits_for_buffers),
		CASE(waiting_ends_after_a_second),
		cmocka_unit_test_setup_teardown(dropping_is_counted, setup_dropping, teardown),
		CASE(long_frames_take_several_buffers),
		CASE(a_packet_may_come_in_pieces),
		CASE(addresses_are_filtered),
		CASE(nobody_listening_loses_frames),
		CASE(without_bus_mastering_nothing_moves),
		CASE(tags_are_stripped_and_filtered),
		CASE(tags_are_inserted),
		CASE(the_fcs_is_there_when_asked_for),
		CASE(legacy_descriptors_are_written_back),
		CASE(frames_are_looped_in_the_mac),
		CASE(pause_frames_end_here),
		CASE(interrupts_tell_of_frames),
		CASE(a_wrong_buffer_stops_the_queue),
		CASE(what_is_not_said_is_counted),
		CASE(a_buffer_that_runs_out_of_its_map_stops_the_queue),
		CASE(a_buffer_that_is_write_only_is_not_read),
		CASE(a_tail_outside_stops_the_queue),
		CASE(a_head_outside_stops_the_queue),
		CASE(a_ring_of_odd_length_is_none),
		CASE(a_ring_longer_than_its_map_is_none),
		CASE(a_ring_that_is_unmapped_is_gone),
		CASE(a_large_map_is_forgotten_when_it_goes),
		CASE(split_headers_are_refused),
		CASE(a_receive_buffer_that_is_not_there_loses_the_frame),
		CASE(a_ring_without_an_end_of_packet_stops),
		CASE(frames_too_long_or_too_short_are_lost),
		CASE(the_client_leaves_with_frames_under_way),
		CASE(noise_is_survived),
		CASE(both_transmit_queues_are_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
