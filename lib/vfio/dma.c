/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ring and queue memory for drivers, cut from arenas.
 *
 *     plx_ioas -- arena -- block -- block -- block ...   in address order, free or used
 *
 * First fit; a free block is merged with its free neighbours unless devices see a break between
 * them (PA: pages that are not neighbours in physical memory). An arena goes with its last block.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <pollux/log.h>
#include <pollux/mem.h>

#include "ioas.h"

#define ALIGN_MIN 64u /* a cache line: what two rings must not share */

struct block {
	struct block *prev, *next;
	uint64_t va, len;
	bool used;
};

struct plx_dma_arena {
	struct plx_dma_arena *next;
	struct plx_arena *mem;
	struct block *first;
	unsigned int used; /* blocks */
};

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

/* Memory for what stands above. */
static void *book(size_t len)
{
	void *mem = plx_sys->alloc(len);

	if (!mem)
		plx_err("no DMA memory: out of memory for book-keeping");
	return mem;
}

/* Cuts a block in two at offset; the new one is behind it. */
static struct block *split(struct block *b, uint64_t offset)
{
	struct block *rest = book(sizeof(*rest));

	if (!rest)
		return NULL;
	rest->va = b->va + offset;
	rest->len = b->len - offset;
	rest->prev = b;
	rest->next = b->next;
	if (b->next)
		b->next->prev = rest;
	b->next = rest;
	b->len = offset;
	return rest;
}

static bool contiguous(const struct plx_ioas *ioas, const struct block *a, const struct block *b)
{
	uint64_t da = 0, db = 0;

	return plx_xlate_get(&ioas->xlate, plx_frame(a->va + a->len - 1), &da) &&
	       plx_xlate_get(&ioas->xlate, plx_frame(b->va), &db) && da == db;
}

/* Merges the block behind b into it, if both are free and devices see no break. */
static void merge(const struct plx_ioas *ioas, struct block *b)
{
	struct block *next = b ? b->next : NULL;

	if (!next || b->used || next->used || !contiguous(ioas, b, next))
		return;
	b->len += next->len;
	b->next = next->next;
	if (next->next)
		next->next->prev = b;
	plx_sys->free(next);
}

static void free_blocks(struct block *b)
{
	while (b) {
		struct block *next = b->next;

		plx_sys->free(b);
		b = next;
	}
}

/* One free block for each run that is contiguous for devices. */
static int make_blocks(const struct plx_ioas *ioas, struct plx_dma_arena *arena)
{
	uint64_t va = (uint64_t)(uintptr_t)arena->mem->va, end = va + arena->mem->len;
	struct block *b = book(sizeof(*b));
	uint64_t frame, delta, last;

	if (!b)
		return -ENOMEM;
	b->va = va;
	b->len = arena->mem->len;
	arena->first = b;
	if (!plx_xlate_get(&ioas->xlate, plx_frame(va), &last))
		return -EPERM;
	for (frame = plx_frame(va) + 1; frame <= plx_frame(end - 1); frame++, last = delta) {
		if (!plx_xlate_get(&ioas->xlate, frame, &delta))
			return -EPERM;
		if (delta == last)
			continue;
		b = split(b, (frame << PLX_FRAME_SHIFT) - b->va);
		if (!b)
			return -ENOMEM;
	}
	return 0;
}

static void arena_destroy(struct plx_ioas *ioas, struct plx_dma_arena *arena)
{
	int err = plx_ioas_unmap(ioas, arena->mem->va, arena->mem->len);

	/* plx_ioas_unmap_all() was there before. */
	if (err && err != -ENOENT)
		plx_err("DMA arena at %p: taking it back failed: %s", arena->mem->va,
			strerror(-err));
	free_blocks(arena->first);
	plx_arena_destroy(arena->mem);
	plx_sys->free(arena);
}

static int arena_create(struct plx_ioas *ioas, uint64_t len, int node, struct plx_dma_arena **out)
{
	struct plx_arena_opts opts = {
		.len = len,
		.node = node,
		/* No-IOMMU: base pages move, or are no neighbours. */
		.small_pages = ioas->policy.addr != PLX_ADDR_PA,
		.name = "dma",
	};
	struct plx_dma_arena *arena = book(sizeof(*arena));
	struct plx_dma_mem mem;
	int err;

	if (!arena)
		return -ENOMEM;
	err = plx_arena_create(&opts, &arena->mem);
	if (err)
		goto free_arena;
	mem = (struct plx_dma_mem){
		.va = arena->mem->va,
		.len = arena->mem->len,
		.page_size = arena->mem->page_size,
		.fd = arena->mem->fd,
	};
	err = plx_ioas_map(ioas, &mem, NULL);
	if (err)
		goto destroy_mem;
	err = make_blocks(ioas, arena);
	if (!err) {
		*out = arena;
		return 0;
	}
	if (err == -EPERM)
		plx_err("DMA memory has no physical address yet: /proc/self/pagemap needs "
			"CAP_SYS_ADMIN, and no device that could tell is claimed");
	arena_destroy(ioas, arena);
	return err;
destroy_mem:
	plx_arena_destroy(arena->mem);
free_arena:
	plx_sys->free(arena);
	return err;
}

/* Takes len bytes out of a free block. 0, -ENOSPC (doesn't fit) or -ENOMEM. */
static int take(struct plx_dma_arena *arena, struct block *b, uint64_t len, uint64_t align,
		struct plx_dma *dma)
{
	uint64_t skip = round_up(b->va, align) - b->va;
	struct block *head = b;

	if (b->used || skip > b->len || len > b->len - skip)
		return -ENOSPC;
	if (skip) {
		b = split(b, skip);
		if (!b)
			return -ENOMEM;
	}
	if (len < b->len && !split(b, len)) {
		if (b != head) {
			head->len += b->len;
			head->next = b->next;
			if (b->next)
				b->next->prev = head;
			plx_sys->free(b);
		}
		return -ENOMEM;
	}
	b->used = true;
	arena->used++;
	dma->va = (void *)(uintptr_t)b->va;
	return 0;
}

static int take_from(struct plx_dma_arena *arena, uint64_t len, uint64_t align, struct plx_dma *dma)
{
	struct block *b;
	int err = -ENOSPC;

	for (b = arena->first; b && err == -ENOSPC; b = b->next)
		err = take(arena, b, len, align, dma);
	return err;
}

static int alloc_locked(struct plx_ioas *ioas, uint64_t len, uint64_t align, int node,
			struct plx_dma *dma)
{
	struct plx_dma_arena *arena;
	int err;

	for (arena = ioas->arenas; arena; arena = arena->next) {
		if (arena->mem->node != node || align > arena->mem->page_size ||
		    plx_xlate_dma(&ioas->xlate, arena->mem->va) == PLX_DMA_BAD)
			continue;
		err = take_from(arena, len, align, dma);
		if (err != -ENOSPC)
			return err;
	}
	err = arena_create(ioas, len, node, &arena);
	if (err)
		return err;
	if (align > arena->mem->page_size)
		err = -EINVAL;
	else
		err = take_from(arena, len, align, dma);
	if (err) {
		if (err == -ENOSPC) {
			plx_err("no %" PRIu64 " KiB of physically contiguous memory: without an "
				"IOMMU a ring must fit in one run of hugepages",
				len >> 10);
			err = -ENOMEM;
		}
		arena_destroy(ioas, arena);
		return err;
	}
	arena->next = ioas->arenas;
	ioas->arenas = arena;
	return 0;
}

int plx_dma_alloc(struct plx_ioas *ioas, size_t len, size_t align, int node, struct plx_dma *dma)
{
	uint64_t room = round_up(len, ALIGN_MIN);
	int err;

	*dma = (struct plx_dma){ 0 };
	if (!len || room < len || align & (align - 1))
		return -EINVAL;
	pthread_mutex_lock(&ioas->dma_lock);
	err = alloc_locked(ioas, room, align > ALIGN_MIN ? align : ALIGN_MIN, node, dma);
	pthread_mutex_unlock(&ioas->dma_lock);
	if (err)
		return err;
	dma->len = len;
	dma->dma = plx_xlate_dma(&ioas->xlate, dma->va);
	memset(dma->va, 0, len);
	return 0;
}

/* The used block that begins at va. */
static struct block *find(struct plx_dma_arena *arena, uint64_t va)
{
	struct block *b = arena->first;

	while (b && (!b->used || b->va != va))
		b = b->next;
	return b;
}

static bool holds(const struct plx_dma_arena *arena, uint64_t va)
{
	uint64_t start = (uint64_t)(uintptr_t)arena->mem->va;

	return va >= start && va - start < arena->mem->len;
}

static void free_locked(struct plx_ioas *ioas, const struct plx_dma *dma)
{
	uint64_t va = (uint64_t)(uintptr_t)dma->va;
	struct plx_dma_arena **at = &ioas->arenas, *arena;
	struct block *b;

	while (*at && !holds(*at, va))
		at = &(*at)->next;
	arena = *at;
	b = arena ? find(arena, va) : NULL;
	if (!b) {
		plx_err("DMA memory at %p is given back, but was never given out", dma->va);
		return;
	}
	b->used = false;
	merge(ioas, b);
	merge(ioas, b->prev);
	if (--arena->used)
		return;
	*at = arena->next;
	arena_destroy(ioas, arena);
}

void plx_dma_free(struct plx_ioas *ioas, struct plx_dma *dma)
{
	if (dma->va) {
		pthread_mutex_lock(&ioas->dma_lock);
		free_locked(ioas, dma);
		pthread_mutex_unlock(&ioas->dma_lock);
	}
	*dma = (struct plx_dma){ 0 };
}

void plx_dma_fini(struct plx_ioas *ioas)
{
	unsigned int left = 0;

	while (ioas->arenas) {
		struct plx_dma_arena *arena = ioas->arenas;

		ioas->arenas = arena->next;
		left += arena->used;
		arena_destroy(ioas, arena);
	}
	if (left)
		plx_warn("%u pieces of DMA memory were not given back", left);
}
