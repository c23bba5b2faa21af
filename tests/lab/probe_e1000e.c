/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Real DMA with an 82574: one frame, from memory mapped before the claim to memory mapped after it,
 * through the MAC's own loop-back. What arrives proves the device addresses of both, and of the
 * rings. References are to the Intel 82574 datasheet, revision 3.4.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "probe.h"

/* Registers, section 10.2. */
#define E1000_CTRL   0x0000
#define E1000_STATUS 0x0008
#define E1000_IMC    0x00d8
#define E1000_RCTL   0x0100
#define E1000_TCTL   0x0400
#define E1000_RDBAL  0x2800
#define E1000_TDBAL  0x3800
#define E1000_BAH    0x04 /* these four from RDBAL or TDBAL */
#define E1000_LEN    0x08
#define E1000_HEAD   0x10
#define E1000_TAIL   0x18

#define CTRL_SLU       (1u << 6)
#define CTRL_RST       (1u << 26)
#define STATUS_LU      (1u << 1)
#define RCTL_EN	       (1u << 1)
#define RCTL_UPE       (1u << 3)
#define RCTL_LBM_MAC   (1u << 6)
#define RCTL_SECRC     (1u << 26)
#define TCTL_EN	       (1u << 1)
#define TCTL_PSP       (1u << 3)
#define RING_ENTRIES   8 /* 128 bytes: the least there may be */
#define FRAME_LEN      1000
#define WAIT_MS	       5000
#define CMD_EOP_FCS_RS 0x0b
#define DESC_DONE      (1u << 0)

struct rx_desc { /* legacy, section 7.1.4 */
	uint64_t addr;
	uint16_t len, checksum;
	uint8_t status, errors;
	uint16_t vlan;
};

struct tx_desc { /* legacy, section 7.2.10.1 */
	uint64_t addr;
	uint16_t len;
	uint8_t checksum_offset, command;
	uint8_t status, checksum_start;
	uint16_t vlan;
};

static uint32_t reg_read(volatile uint8_t *regs, unsigned offset)
{
	return le32toh(*(volatile uint32_t *)(regs + offset));
}

static void reg_write(volatile uint8_t *regs, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(regs + offset) = htole32(value);
}

static void pause_ms(unsigned ms)
{
	struct timespec time = { .tv_nsec = ms * 1000000L };

	nanosleep(&time, NULL);
}

static int start(volatile uint8_t *regs)
{
	unsigned waited;

	reg_write(regs, E1000_IMC, UINT32_MAX);
	reg_write(regs, E1000_CTRL, reg_read(regs, E1000_CTRL) | CTRL_RST);
	pause_ms(10);
	reg_write(regs, E1000_IMC, UINT32_MAX);
	reg_write(regs, E1000_CTRL, reg_read(regs, E1000_CTRL) | CTRL_SLU);
	/* The receiver is off without a link, even in loop-back. */
	for (waited = 0; !(reg_read(regs, E1000_STATUS) & STATUS_LU); waited++) {
		if (waited == WAIT_MS)
			return probe_fail("82574: no link after %u ms", waited);
		pause_ms(1);
	}
	return 0;
}

static void set_ring(volatile uint8_t *regs, unsigned base, const struct plx_dma *ring)
{
	reg_write(regs, base, ring->dma & UINT32_MAX);
	reg_write(regs, base + E1000_BAH, ring->dma >> 32);
	reg_write(regs, base + E1000_LEN, RING_ENTRIES * sizeof(struct rx_desc));
	reg_write(regs, base + E1000_HEAD, 0);
	reg_write(regs, base + E1000_TAIL, 0);
}

static int wait_done(volatile uint8_t *status, const char *what)
{
	unsigned waited;

	for (waited = 0; !(*status & DESC_DONE); waited++) {
		if (waited == WAIT_MS)
			return probe_fail("82574: frame not %s after %u ms", what, waited);
		pause_ms(1);
	}
	__sync_synchronize();
	return 0;
}

/* Two locally administered addresses, a type for experiments (IEEE 802), then numbers. */
static void make_frame(uint8_t *frame)
{
	static const uint8_t header[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };
	unsigned i;

	memcpy(frame, header, sizeof(header));
	for (i = sizeof(header); i < FRAME_LEN; i++)
		frame[i] = i * 7;
}

static int loop_frame(struct probe *probe, volatile uint8_t *regs, const struct plx_dma *rx_ring,
		      const struct plx_dma *tx_ring)
{
	const struct plx_xlate *xlate = plx_ioas_xlate(probe->ioas);
	volatile struct rx_desc *rx = rx_ring->va;
	volatile struct tx_desc *tx = tx_ring->va;
	uint8_t *sent = probe->early->va, *received = probe->late->va;
	int ret;

	make_frame(sent);
	memset(received, 0, FRAME_LEN);
	ret = start(regs);
	if (ret)
		return ret;
	set_ring(regs, E1000_RDBAL, rx_ring);
	set_ring(regs, E1000_TDBAL, tx_ring);
	rx->addr = htole64(plx_xlate_dma(xlate, received));
	tx->addr = htole64(plx_xlate_dma(xlate, sent));
	tx->len = htole16(FRAME_LEN);
	tx->command = CMD_EOP_FCS_RS;
	reg_write(regs, E1000_RCTL, RCTL_EN | RCTL_UPE | RCTL_LBM_MAC | RCTL_SECRC);
	reg_write(regs, E1000_TCTL, TCTL_EN | TCTL_PSP);
	__sync_synchronize();
	reg_write(regs, E1000_RDBAL + E1000_TAIL, 1);
	reg_write(regs, E1000_TDBAL + E1000_TAIL, 1);
	ret = wait_done(&tx->status, "sent");
	ret = ret ? ret : wait_done(&rx->status, "received");
	reg_write(regs, E1000_RCTL, 0);
	reg_write(regs, E1000_TCTL, 0);
	if (ret)
		return ret;
	if (le16toh(rx->len) != FRAME_LEN || memcmp(sent, received, FRAME_LEN))
		return probe_fail("82574: the frame came back changed (%u bytes of %u)",
				  le16toh(rx->len), FRAME_LEN);
	probe_ok("82574: a frame of %u bytes, sent and received by DMA", FRAME_LEN);
	return 0;
}

int probe_dma_e1000e(struct probe *probe)
{
	struct plx_dma rx_ring = { 0 }, tx_ring = { 0 };
	struct plx_pci_bar bar;
	int err, ret;

	err = plx_pci_bar(probe->pci, 0, 0x20000, &bar);
	if (err)
		return probe_fail("82574: BAR 0: %s", strerror(-err));
	err = plx_dma_alloc(probe->ioas, 4096, 128, probe->pci->node, &rx_ring);
	err = err ? err : plx_dma_alloc(probe->ioas, 4096, 128, probe->pci->node, &tx_ring);
	err = err ? err : plx_pci_set_master(probe->pci, true);
	ret = err ? probe_fail("82574: ring memory: %s", strerror(-err))
		  : loop_frame(probe, bar.va, &rx_ring, &tx_ring);
	plx_pci_set_master(probe->pci, false);
	plx_dma_free(probe->ioas, &tx_ring);
	plx_dma_free(probe->ioas, &rx_ring);
	return ret;
}
