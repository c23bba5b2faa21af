/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "ioas.h"
#include "refusal.h"

int plx_ioas_create(const struct plx_policy *policy, struct plx_ioas **out)
{
	struct plx_ioas *ioas;
	int err;

	if ((unsigned int)policy->addr > PLX_ADDR_PA)
		return -EINVAL;
	ioas = plx_sys->alloc(sizeof(*ioas));
	if (!ioas) {
		plx_err("no address space: out of memory");
		return -ENOMEM;
	}
	ioas->policy = *policy;
	ioas->base_page = sysconf(_SC_PAGESIZE);
	pthread_mutex_init(&ioas->lock, NULL);
	pthread_mutex_init(&ioas->dma_lock, NULL);
	err = plx_ioas_narrow(ioas, NULL);
	if (err) {
		plx_err("no address space: out of memory");
		plx_sys->free(ioas);
		return err;
	}
	*out = ioas;
	return 0;
}

static int compare(const struct plx_mapping *a, const struct plx_mapping *b)
{
	return a->va < b->va ? -1 : a->va > b->va;
}

RB_GENERATE(plx_mappings, plx_mapping, node, compare)

/* What is around a run that begins at va, or begins there itself. */
static struct plx_neighbours around_va(struct plx_ioas *ioas, uint64_t va)
{
	struct plx_mapping key = { .va = va };
	struct plx_mapping *next = RB_NFIND(plx_mappings, &ioas->mappings, &key);

	return (struct plx_neighbours){
		.prev = next ? RB_PREV(plx_mappings, &ioas->mappings, next)
			     : RB_MAX(plx_mappings, &ioas->mappings),
		.next = next,
	};
}

struct plx_neighbours plx_neighbours_of(struct plx_mapping *m)
{
	return (struct plx_neighbours){
		.prev = RB_PREV(plx_mappings, NULL, m), /* an entry knows its tree */
		.next = RB_NEXT(plx_mappings, NULL, m),
	};
}

static bool overlaps(const struct plx_neighbours *at, uint64_t va, uint64_t len)
{
	return (at->prev && at->prev->va + at->prev->len > va) ||
	       (at->next && at->next->va < va + len);
}

static void mapping_free(struct plx_mapping *m)
{
	if (m->seg != &m->one)
		plx_sys->free(m->seg);
	plx_sys->free(m);
}

/*
 * Contexts that don't translate come first: their physical addresses are what the others are then
 * given to map.
 */
static int map_everywhere(struct plx_ioas *ioas, struct plx_mapping *m,
			  const struct plx_neighbours *around, struct plx_refusal *why)
{
	int err;

	err = plx_mapping_apply_all(ioas, m, false, why);
	if (err)
		return err;
	err = plx_place(ioas, m, around, why);
	if (err)
		goto revoke_untranslated;
	err = plx_mapping_apply_all(ioas, m, true, why);
	if (err)
		goto unplace;
	err = plx_place_publish(ioas, m, why);
	if (!err)
		return 0;
	plx_mapping_revoke_all(ioas, m, true);
unplace:
	plx_unplace(ioas, m, around);
revoke_untranslated:
	plx_mapping_revoke_all(ioas, m, false);
	return err;
}

/* Checks what the caller says and fills in what it left open. */
static int check(const struct plx_ioas *ioas, const struct plx_dma_mem *mem, struct plx_mapping *m)
{
	uint64_t end;

	m->va = (uint64_t)(uintptr_t)mem->va;
	m->len = mem->len;
	m->page_size = mem->page_size ? mem->page_size : ioas->base_page;
	m->fd = mem->fd;
	m->fd_offset = mem->fd_offset;
	m->access = mem->access ? mem->access : PLX_DMA_RW;
	m->seg = &m->one;
	m->room = 1;
	if (!m->va || !m->len || (m->va | m->len) % ioas->base_page ||
	    __builtin_add_overflow(m->va, m->len, &end) || end > UINT64_C(1) << PLX_XLATE_VABITS)
		return -EINVAL;
	if (m->page_size < ioas->base_page || m->page_size & (m->page_size - 1))
		return -EINVAL;
	if (m->fd >= 0 &&
	    (m->fd_offset % ioas->base_page || __builtin_add_overflow(m->fd_offset, m->len, &end)))
		return -EINVAL;
	return m->access & ~(unsigned int)PLX_DMA_RW ? -EINVAL : 0;
}

static int map_locked(struct plx_ioas *ioas, struct plx_mapping *m, struct plx_refusal *why)
{
	struct plx_neighbours around = around_va(ioas, m->va);
	int err;

	if (overlaps(&around, m->va, m->len))
		return plx_refuse_range(
			why, PLX_REFUSED_MEMORY, -EEXIST, m->va, m->len, PLX_REMEDY_UNMAP,
			"memory at 0x%" PRIx64 " is mapped already, at least in part", m->va);
	err = plx_xlate_prepare(&ioas->xlate, plx_frame(m->va), plx_frame(m->va + m->len - 1));
	if (err)
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "out of memory for book-keeping");
	ioas->bytes += m->len;
	err = map_everywhere(ioas, m, &around, why);
	if (err) {
		ioas->bytes -= m->len;
		return err;
	}
	RB_INSERT(plx_mappings, &ioas->mappings, m);
	ioas->nmaps++;
	ioas->bar_bytes += m->bar ? m->len : 0;
	return 0;
}

static int map_mem(struct plx_ioas *ioas, const struct plx_dma_mem *mem, bool bar,
		   struct plx_refusal *why)
{
	struct plx_mapping *m = plx_sys->alloc(sizeof(*m));
	int err;

	if (!m)
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM,
				  "DMA map of %zu bytes at %p failed: out of memory for "
				  "book-keeping",
				  mem->len, mem->va);
	m->bar = bar;
	err = check(ioas, mem, m);
	if (err) {
		plx_refuse_range(why, PLX_REFUSED_MEMORY, err, m->va, m->len,
				 PLX_REMEDY_WHOLE_PAGES,
				 "DMA map of %zu bytes at %p refused: whole pages, below 2^48, are "
				 "needed",
				 mem->len, mem->va);
		mapping_free(m);
		return err;
	}
	pthread_mutex_lock(&ioas->lock);
	err = map_locked(ioas, m, why);
	pthread_mutex_unlock(&ioas->lock);
	if (err)
		mapping_free(m);
	return err;
}

int plx_ioas_map(struct plx_ioas *ioas, const struct plx_dma_mem *mem, struct plx_refusal *why)
{
	struct plx_refusal own = { 0 };

	return plx_refusal_tell(why, &own, map_mem(ioas, mem, false, why ? why : &own));
}

int plx_ioas_map_bar(struct plx_ioas *ioas, const struct plx_dma_mem *mem, struct plx_refusal *why)
{
	if (ioas->policy.addr == PLX_ADDR_PA)
		return plx_refuse_about(why, PLX_REFUSED_POLICY, -EOPNOTSUPP, NULL,
					PLX_REMEDY_SAFE_MODE,
					"peer-to-peer DMA needs an IOMMU: the address space is of "
					"physical addresses");
	return map_mem(ioas, mem, true, why);
}

/* Forgets a mapping that no context has any more. */
static void forget(struct plx_ioas *ioas, struct plx_mapping *m)
{
	struct plx_neighbours around = plx_neighbours_of(m);

	plx_unplace(ioas, m, &around);
	RB_REMOVE(plx_mappings, &ioas->mappings, m);
	ioas->nmaps--;
	ioas->bytes -= m->len;
	ioas->bar_bytes -= m->bar ? m->len : 0;
	mapping_free(m);
}

static int drop(struct plx_ioas *ioas, struct plx_mapping *m)
{
	struct plx_neighbours around = plx_neighbours_of(m);
	int err, more;

	/* Out of the table before the contexts: nobody looks it up any more. */
	plx_place_withdraw(ioas, m, &around);
	err = plx_mapping_revoke_all(ioas, m, true);
	more = plx_mapping_revoke_all(ioas, m, false);
	forget(ioas, m);
	return err ? err : more;
}

int plx_ioas_lookup(struct plx_ioas *ioas, const void *va, size_t len, struct plx_mapping **out)
{
	uint64_t addr = (uint64_t)(uintptr_t)va, end;
	struct plx_neighbours at;

	if (!len || __builtin_add_overflow(addr, (uint64_t)len, &end))
		return -EINVAL;
	at = around_va(ioas, addr);
	if (at.next && at.next->va == addr && at.next->len == len) {
		*out = at.next;
		return 0;
	}
	return overlaps(&at, addr, len) ? -EINVAL : -ENOENT;
}

int plx_ioas_unmap(struct plx_ioas *ioas, void *va, size_t len)
{
	struct plx_mapping *m;
	int err;

	pthread_mutex_lock(&ioas->lock);
	err = plx_ioas_lookup(ioas, va, len, &m);
	if (!err)
		err = drop(ioas, m);
	pthread_mutex_unlock(&ioas->lock);
	return err;
}

int plx_ioas_unmap_all(struct plx_ioas *ioas)
{
	/* A neighbour goes as well: no frame is spared for it. */
	static const struct plx_neighbours alone;
	struct plx_mapping *m, *next;
	struct plx_iommu *iommu;
	int first_err = 0, err;

	pthread_mutex_lock(&ioas->lock);
	RB_FOREACH(m, plx_mappings, &ioas->mappings)
		plx_place_withdraw(ioas, m, &alone);
	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		err = plx_mapping_revoke_everything(ioas, iommu);
		if (err && !first_err)
			first_err = err;
	}
	RB_FOREACH_SAFE(m, plx_mappings, &ioas->mappings, next)
		forget(ioas, m);
	pthread_mutex_unlock(&ioas->lock);
	return first_err;
}

int plx_ioas_destroy(struct plx_ioas *ioas)
{
	if (!ioas)
		return 0;
	pthread_mutex_lock(&ioas->lock);
	if (ioas->ndevs) {
		pthread_mutex_unlock(&ioas->lock);
		return -EBUSY;
	}
	pthread_mutex_unlock(&ioas->lock);
	plx_dma_fini(ioas);
	plx_ioas_unmap_all(ioas); /* there is no context left to complain */
	plx_ranges_free(&ioas->allowed);
	plx_used_free(&ioas->used);
	plx_xlate_free(&ioas->xlate);
	pthread_mutex_destroy(&ioas->lock);
	pthread_mutex_destroy(&ioas->dma_lock);
	plx_sys->free(ioas);
	return 0;
}

/* What is left for a map, of the limit on what contexts count for the process, or for the user. */
static uint64_t left_of(struct plx_ioas *ioas, enum plx_pins pins, uint64_t limit)
{
	uint64_t used = 0, more;
	const struct plx_iommu *iommu;
	unsigned int times = 0;

	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		/* What was copied from another context is pinned once. */
		if (plx_iommu_pins(iommu) != pins || plx_iommu_source(ioas, iommu))
			continue;
		used += iommu->mapped - ioas->bar_bytes; /* all contexts have all of them */
		times++;
	}
	if (!times)
		return limit;
	more = used && pins == PLX_PINS_PROCESS ? plx_memlock_used() : 0;
	used = more > used ? more : used;
	return used < limit ? (limit - used) / times : 0;
}

/* What the limit leaves, of whichever account is fuller. */
static uint64_t memlock_left(struct plx_ioas *ioas)
{
	uint64_t limit = plx_memlock_limit(), process, user;

	if (limit == UINT64_MAX)
		return UINT64_MAX;
	/* The first device will have all of it pinned. */
	if (!ioas->contexts)
		return ioas->bytes < limit ? limit - ioas->bytes : 0;
	process = left_of(ioas, PLX_PINS_PROCESS, limit);
	user = left_of(ioas, PLX_PINS_USER, limit);
	return process < user ? process : user;
}

void plx_ioas_usage(struct plx_ioas *ioas, struct plx_ioas_usage *usage)
{
	const struct plx_iommu *iommu;

	*usage = (struct plx_ioas_usage){ .maps_left = UINT64_MAX };
	pthread_mutex_lock(&ioas->lock);
	usage->maps = ioas->nmaps;
	usage->bytes = ioas->bytes;
	usage->bytes_left = memlock_left(ioas);
	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		uint64_t left = plx_iommu_room(iommu);

		usage->contexts++;
		if (left < usage->maps_left)
			usage->maps_left = left;
	}
	pthread_mutex_unlock(&ioas->lock);
}

enum plx_addr_policy plx_ioas_policy(const struct plx_ioas *ioas)
{
	return ioas->policy.addr;
}

const struct plx_xlate *plx_ioas_xlate(const struct plx_ioas *ioas)
{
	return &ioas->xlate;
}
