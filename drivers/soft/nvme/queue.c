/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues: where they are, their doorbells, and completions [Base 3.3].
 */
#include <string.h>

#include <linux/vfio.h>
#include <pollux/log.h>

#include "snvme.h"

/*
 * Addresses.
 */
static bool in_cmb(const struct soft_nvme *nvme, uint64_t addr)
{
	const uint64_t base = nvme->cmbmsc & ~UINT64_C(0xfff);

	return nvme->cmbmsc & NVME_CMBMSC_CMSE && addr - base < nvme->cmb_len;
}

uint16_t snvme_no_memory(const struct soft_nvme *nvme, uint64_t addr)
{
	/* Of ours, only submission queues may be there. */
	return in_cmb(nvme, addr) ? SNVME_BAD(INVALID_CMB_USE) : SNVME_BAD(DATA_TRANSFER_ERROR);
}

/* What isn't known: a whole piece if it can be had, or just this range. */
uint8_t *snvme_dma_miss(struct soft_nvme *nvme, uint64_t addr, uint32_t len, unsigned access)
{
	const uint64_t page = addr >> SNVME_TLB_SHIFT, first = page << SNVME_TLB_SHIFT;
	const uint64_t cmb = nvme->cmbmsc & ~UINT64_C(0xfff);
	const uint32_t offset = addr & (SNVME_TLB_SIZE - 1);
	uint8_t *base;

	if (nvme->cmbmsc & NVME_CMBMSC_CMSE && first < cmb + nvme->cmb_len &&
	    cmb < first + SNVME_TLB_SIZE)
		return in_cmb(nvme, addr) ? NULL : plx_vfu_dma(nvme->vfu, addr, len, access);
	if (len > SNVME_TLB_SIZE - offset)
		return plx_vfu_dma(nvme->vfu, addr, len, access);
	base = plx_vfu_dma(nvme->vfu, first, SNVME_TLB_SIZE, PLX_DMA_READ | PLX_DMA_WRITE);
	if (!base)
		return plx_vfu_dma(nvme->vfu, addr, len, access);
	nvme->tlb[page % SNVME_TLB_LINES].page = page;
	nvme->tlb[page % SNVME_TLB_LINES].base = base;
	return base + offset;
}

/* A ring, in one piece. A map may begin anywhere in its file: alignment is ours to look at. */
static void *find_ring(struct soft_nvme *nvme, uint64_t base, size_t len, unsigned access)
{
	const uint64_t cmb = nvme->cmbmsc & ~UINT64_C(0xfff);
	uint8_t *ring;

	if (in_cmb(nvme, base)) {
		if (access & PLX_DMA_WRITE || len > nvme->cmb_len - (base - cmb))
			return NULL;
		return nvme->cmb + (base - cmb);
	}
	ring = plx_vfu_dma(nvme->vfu, base, len, access);
	return (uintptr_t)ring % sizeof(struct plx_nvme_cmd) ? NULL : ring;
}

/* A doorbell's place, among the registers and in the pages of Doorbell Buffer Config [Base 5.8]. */
static uint32_t place_of(const struct soft_nvme *nvme, unsigned index)
{
	return index << (2 + nvme->stride);
}

static volatile uint32_t *register_of(const struct soft_nvme *nvme, unsigned index)
{
	return (volatile uint32_t *)(nvme->doorbells + place_of(nvme, index));
}

static volatile uint32_t *shadow_of(struct soft_nvme *nvme, uint64_t page, unsigned index,
				    unsigned access)
{
	uint8_t *at = plx_vfu_dma(nvme->vfu, page + place_of(nvme, index), 4, access);

	return (uintptr_t)at % 4 ? NULL : (volatile uint32_t *)at;
}

/* The admin queue's have no shadow, nor have those that don't fit into the page. */
static bool has_shadow(const struct soft_nvme *nvme, unsigned id)
{
	return nvme->shadow && id && place_of(nvme, 2 * id + 2) <= nvme->page_mask + 1;
}

/* False: what was asked for isn't there. */
static bool find_doorbell(struct soft_nvme *nvme, unsigned index, volatile uint32_t **doorbell,
			  volatile uint32_t **event)
{
	*doorbell = register_of(nvme, index);
	*event = NULL;
	if (!has_shadow(nvme, index / 2))
		return true;
	*doorbell = shadow_of(nvme, nvme->shadow, index, PLX_DMA_READ);
	*event = shadow_of(nvme, nvme->events_at, index, PLX_DMA_WRITE);
	return *doorbell && *event;
}

static bool find_sq(struct soft_nvme *nvme, struct snvme_sq *sq)
{
	sq->ring = find_ring(nvme, sq->base, sq->size * sizeof(*sq->ring), PLX_DMA_READ);
	return sq->ring && find_doorbell(nvme, 2u * sq->id, &sq->doorbell, &sq->event);
}

static bool find_cq(struct soft_nvme *nvme, struct snvme_cq *cq)
{
	cq->ring = find_ring(nvme, cq->base, cq->size * sizeof(*cq->ring), PLX_DMA_WRITE);
	return cq->ring && find_doorbell(nvme, 2u * cq->id + 1, &cq->doorbell, &cq->event);
}

bool snvme_queues_find(struct soft_nvme *nvme)
{
	bool found = true;

	for (unsigned i = 0; i < SNVME_TLB_LINES; i++)
		nvme->tlb[i].page = UINT64_MAX;
	for (unsigned i = 0; i <= nvme->queues; i++) {
		if (nvme->cq[i].used)
			found &= find_cq(nvme, &nvme->cq[i]);
		if (nvme->sq[i].used)
			found &= find_sq(nvme, &nvme->sq[i]);
	}
	return found;
}

/*
 * Life.
 */
void snvme_poll_list(struct soft_nvme *nvme)
{
	nvme->polled_count = 0;
	for (unsigned i = 0; i <= nvme->queues; i++) {
		if (nvme->sq[i].used && !nvme->sq[i].stopped)
			nvme->polled[nvme->polled_count++] = &nvme->sq[i];
	}
}

uint16_t snvme_cq_open(struct soft_nvme *nvme, unsigned id, uint64_t base, uint32_t size)
{
	struct snvme_cq *cq = &nvme->cq[id];

	*cq = (struct snvme_cq){ .id = id, .base = base, .size = size, .phase = 1 };
	cq->room = size - 1;
	*register_of(nvme, 2 * id + 1) = 0;
	if (!find_cq(nvme, cq))
		return snvme_no_memory(nvme, base);
	cq->used = true;
	return 0;
}

uint16_t snvme_sq_open(struct soft_nvme *nvme, unsigned id, uint64_t base, uint32_t size,
		       struct snvme_cq *cq)
{
	struct snvme_sq *sq = &nvme->sq[id];

	*sq = (struct snvme_sq){ .id = id, .base = base, .size = size, .cq = cq };
	*register_of(nvme, 2 * id) = 0;
	if (!find_sq(nvme, sq))
		return snvme_no_memory(nvme, base);
	sq->used = true;
	cq->users++;
	snvme_poll_list(nvme);
	return 0;
}

void snvme_cq_close(struct soft_nvme *nvme, struct snvme_cq *cq)
{
	cq->used = false;
	*register_of(nvme, 2u * cq->id + 1) = 0;
}

void snvme_sq_close(struct soft_nvme *nvme, struct snvme_sq *sq)
{
	sq->used = false;
	sq->cq->users--;
	*register_of(nvme, 2u * sq->id) = 0;
	snvme_files_drop(nvme, sq);
	snvme_poll_list(nvme);
}

void snvme_queues_close(struct soft_nvme *nvme)
{
	snvme_files_drop(nvme, NULL);
	for (unsigned i = 0; i <= SOFT_NVME_QUEUES; i++) {
		nvme->sq[i].used = false;
		nvme->cq[i].used = false;
	}
	nvme->polled_count = 0;
	memset(nvme->doorbells, 0, nvme->doorbells_len);
}

/*
 * Doorbells.
 */

/* What comes next is what was asked to be told of: never, for doorbells are polled. */
void snvme_dbbuf_events(struct soft_nvme *nvme)
{
	for (unsigned i = 1; i <= nvme->queues; i++) {
		if (nvme->sq[i].used && nvme->sq[i].event)
			*nvme->sq[i].event = htole32((nvme->sq[i].head - 1) & 0xffff);
		if (nvme->cq[i].used && nvme->cq[i].event)
			*nvme->cq[i].event = htole32((nvme->cq[i].head - 1) & 0xffff);
	}
}

/* Once for each: the value is taken away. */
void snvme_unused_doorbells(struct soft_nvme *nvme)
{
	for (unsigned i = 0; i <= nvme->queues; i++) {
		const bool sq = !nvme->sq[i].used && *register_of(nvme, 2 * i);
		const bool cq = !nvme->cq[i].used && *register_of(nvme, 2 * i + 1);

		if (likely(!sq && !cq))
			continue;
		if (sq)
			*register_of(nvme, 2 * i) = 0;
		if (cq)
			*register_of(nvme, 2 * i + 1) = 0;
		/* A driver that resets from another thread does that: no error of its own. */
		plx_debug("%s: the doorbell of %s queue %u was written, which isn't there",
			  nvme->name, sq ? "submission" : "completion", i);
		snvme_event(nvme, PLX_NVME_EVENT_ERROR, SNVME_ERROR_BAD_REGISTER,
			    PLX_NVME_LOG_ERRORS);
	}
}

void snvme_sq_wrong(struct soft_nvme *nvme, struct snvme_sq *sq, uint32_t tail)
{
	sq->stopped = true;
	snvme_poll_list(nvme);
	snvme_say(nvme, "submission queue %u stopped: its tail is %u, outside the queue of %u",
		  sq->id, tail, sq->size);
	snvme_event(nvme, PLX_NVME_EVENT_ERROR, SNVME_ERROR_BAD_VALUE, PLX_NVME_LOG_ERRORS);
}

/* Entries from one place of a ring to another. */
static uint32_t gap(uint32_t from, uint32_t to, uint32_t size)
{
	return to >= from ? to - from : to + size - from;
}

uint32_t snvme_cq_room(struct soft_nvme *nvme, struct snvme_cq *cq)
{
	/* Entries are written after the client has read those that it gives back. */
	const uint32_t head = le32toh(__atomic_load_n(cq->doorbell, __ATOMIC_ACQUIRE));
	const uint32_t filled = gap(cq->head, cq->tail, cq->size);

	if (cq->stopped)
		return 0;
	if (unlikely(head >= cq->size || gap(cq->head, head, cq->size) > filled)) {
		cq->stopped = true;
		cq->room = 0;
		snvme_say(nvme,
			  "completion queue %u stopped: its head is %u, which isn't among the %u "
			  "entries from %u on",
			  cq->id, head, filled, cq->head);
		snvme_event(nvme, PLX_NVME_EVENT_ERROR, SNVME_ERROR_BAD_VALUE, PLX_NVME_LOG_ERRORS);
		return 0;
	}
	cq->head = head;
	cq->room = cq->size - 1 - gap(head, cq->tail, cq->size) - cq->reserved;
	return cq->room;
}

void snvme_post(struct snvme_sq *sq, uint16_t cid, uint16_t status, uint32_t result)
{
	struct snvme_cq *cq = sq->cq;

	snvme_put(cq, result,
		  sq->head | (uint64_t)sq->id << 16 | (uint64_t)cid << 32 | (uint64_t)status << 49);
	cq->posted = true;
}

void snvme_irq(struct soft_nvme *nvme, struct snvme_cq *cq)
{
	plx_vfu_irq(nvme->vfu, VFIO_PCI_MSIX_IRQ_INDEX, cq->vector);
}
