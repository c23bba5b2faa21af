/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptor rings. Their registers are shared with the driver, which changes them unseen: each
 * turn compares them with what the ring was set up from. An error stops a ring until the driver
 * sets it up anew.
 */
#include <stdarg.h>
#include <stdio.h>

#include <pollux/log.h>

#include "nic.h"

#define RING_ALIGN 128 /* of length; the base is a multiple of 16 [10.2.5.6, 10.2.5.8] */
#define RING_MAX   (0xfff80u / sizeof(union e1000_rx_desc))

/* Both kinds of descriptors are 16 bytes. */
_Static_assert(sizeof(union e1000_rx_desc) == sizeof(union e1000_tx_desc), "RING_MAX");

void nic_ring_forget(struct nic_ring *ring)
{
	for (unsigned i = 0; i < NIC_TLB_LINES; i++)
		ring->tlb.line[i].page = UINT64_MAX;
	ring->desc = NULL;
}

void nic_ring_init(struct nic_ring *ring, struct soft_nic *nic, const char *what, unsigned access)
{
	const unsigned q = what[2] - '0';
	const uint32_t regs = (what[0] == 'r' ? NIC_RX_RINGS : NIC_TX_RINGS) + q * NIC_RING_STRIDE;

	snprintf(ring->what, sizeof(ring->what), "%s", what);
	ring->regs = (volatile struct nic_ring_regs *)(nic->shared + regs - NIC_SHARED);
	ring->tlb.access = access;
	nic_ring_forget(ring);
}

/* The receiver or the transmitter goes on, from the registers as they are, or off. */
void nic_ring_switch(struct nic_ring *ring, bool on)
{
	if (!on) {
		nic_ring_publish(ring);
		return;
	}
	ring->desc = NULL;
	ring->broken = false;
	ring->head = ring->regs->head;
	ring->published = ring->head;
}

void nic_ring_broken(struct soft_nic *nic, struct nic_ring *ring, const char *fmt, ...)
{
	char text[128];
	va_list args;

	if (ring->broken)
		return;
	ring->broken = true;
	nic->errors++;
	/* A driver can mend and break a ring as fast as we look: it's counted each time. */
	if (!plx_vfu_may_say(nic->vfu))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	plx_err("%s: queue %s stopped: %s", nic->name, ring->what, text);
}

/* Takes over the registers. Whether the ring can be used. */
bool nic_ring_find(struct soft_nic *nic, struct nic_ring *ring)
{
	const uint64_t base = (uint64_t)ring->regs->bah << 32 | ring->regs->bal;
	const uint32_t len = ring->regs->len, head = ring->regs->head;

	/* As it was when it broke: nothing new to say. */
	if (ring->broken && base == ring->base && len == ring->len && head == ring->published)
		return false;
	ring->broken = false;
	ring->desc = NULL;
	ring->base = base;
	ring->len = len;
	ring->size = len / sizeof(union e1000_rx_desc);
	/* A driver that writes the head starts anew; else the head is ours, published or not. */
	if (head != ring->published || ring->head >= ring->size) {
		ring->head = head;
		ring->published = head;
	}
	if (!len)
		return false; /* not set up yet */
	if (len % RING_ALIGN || ring->size > RING_MAX || base % sizeof(union e1000_rx_desc)) {
		nic_ring_broken(nic, ring, "%u bytes at 0x%llx are no ring", len,
				(unsigned long long)base);
		return false;
	}
	if (head >= ring->size) {
		nic_ring_broken(nic, ring, "its head is %u, outside the ring of %u", head,
				ring->size);
		return false;
	}
	ring->desc = plx_vfu_dma(nic->vfu, base, len, PLX_DMA_READ | PLX_DMA_WRITE);
	/* A map may begin anywhere in its file. */
	if ((uintptr_t)ring->desc % sizeof(union e1000_rx_desc))
		ring->desc = NULL;
	if (!ring->desc)
		nic_ring_broken(nic, ring,
				"no shared memory is mapped at 0x%llx, where its ring of %u is",
				(unsigned long long)base, ring->size);
	return ring->desc;
}

/* What isn't known: a whole piece if it can be had, or just this range. */
uint8_t *nic_dma_miss(struct soft_nic *nic, struct nic_tlb *tlb, uint64_t iova, uint32_t len)
{
	const uint64_t page = iova >> NIC_TLB_SHIFT;
	const uint32_t offset = iova & ((1u << NIC_TLB_SHIFT) - 1);
	uint8_t *base;

	if (offset + len > 1u << NIC_TLB_SHIFT)
		return plx_vfu_dma(nic->vfu, iova, len, tlb->access);
	base = plx_vfu_dma(nic->vfu, page << NIC_TLB_SHIFT, 1u << NIC_TLB_SHIFT, tlb->access);
	if (!base)
		return plx_vfu_dma(nic->vfu, iova, len, tlb->access);
	tlb->line[page % NIC_TLB_LINES].page = page;
	tlb->line[page % NIC_TLB_LINES].base = base;
	return base + offset;
}
