/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which device addresses a mapping gets, by address policy.
 *
 * The translation table has one entry a 2 MiB frame of virtual memory. So everything in a frame is
 * at one distance (device address - virtual address), whichever mapping it belongs to:
 *
 *   VA     the distance is 0
 *   ALLOC  it is a multiple of the frame size: frames of virtual memory and of I/O virtual memory
 *          belong together one to one, and mappings that share a frame share its distance
 *   PA     memory is of pages of 2 MiB or more, the distance is the page's
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <pollux/mem.h>

#include "ioas.h"
#include "refusal.h"

/*
 * ALLOC looks here first: what firmware reserves, MSI windows and the like lie below 4 GiB.
 */
#define ALLOC_PREFERRED (UINT64_C(1) << 32)

/* Address 0 means "none" to many a device. */
#define ALLOC_LOWEST PLX_FRAME_SIZE

#define GIGA_PAGE (UINT64_C(1) << 30)

static uint64_t first_frame(const struct plx_mapping *m)
{
	return plx_frame(m->va);
}

static uint64_t last_frame(const struct plx_mapping *m)
{
	return plx_frame(m->va + m->len - 1);
}

static bool shares_first(const struct plx_mapping *m, const struct plx_neighbours *around)
{
	return around->prev && around->prev->nsegs && last_frame(around->prev) == first_frame(m);
}

static bool shares_last(const struct plx_mapping *m, const struct plx_neighbours *around)
{
	return around->next && around->next->nsegs && first_frame(around->next) == last_frame(m);
}

/* The frames of m that no other mapping has a part in; false: there are none. */
static bool own_frames(const struct plx_mapping *m, const struct plx_neighbours *around,
		       uint64_t *first, uint64_t *last)
{
	bool head = shares_first(m, around), tail = shares_last(m, around);

	if (last_frame(m) - first_frame(m) + 1 <= (uint64_t)head + tail)
		return false;
	*first = first_frame(m) + head;
	*last = last_frame(m) - tail;
	return true;
}

static int add_seg(struct plx_mapping *m, uint64_t va, uint64_t dma, uint64_t len)
{
	if (m->nsegs) {
		struct plx_seg *end = &m->seg[m->nsegs - 1];

		if (end->va + end->len == va && end->dma + end->len == dma) {
			end->len += len;
			return 0;
		}
	}
	if (m->nsegs == m->room) {
		unsigned int room = m->room * 2;
		struct plx_seg *seg = plx_sys->alloc(room * sizeof(*seg));

		if (!seg)
			return -ENOMEM;
		memcpy(seg, m->seg, m->nsegs * sizeof(*seg));
		if (m->seg != &m->one)
			plx_sys->free(m->seg);
		m->seg = seg;
		m->room = room;
	}
	m->seg[m->nsegs++] = (struct plx_seg){ va, dma, len };
	return 0;
}

static void drop_segs(struct plx_mapping *m)
{
	if (m->seg != &m->one)
		plx_sys->free(m->seg);
	m->seg = &m->one;
	m->room = 1;
	m->nsegs = 0;
}

/* Whether the frames of m that are its own are free at this distance. */
static bool alloc_fits(const struct plx_ioas *ioas, const struct plx_mapping *m,
		       const struct plx_neighbours *around, uint64_t delta)
{
	uint64_t first, last;

	if (!plx_ranges_contain(&ioas->allowed, m->va + delta, m->va + m->len - 1 + delta))
		return false;
	if (!own_frames(m, around, &first, &last))
		return true;
	first = (first << PLX_FRAME_SHIFT) + delta;
	last = ((last + 1) << PLX_FRAME_SHIFT) - 1 + delta;
	return first >= ALLOC_LOWEST && first <= last &&
	       !plx_used_overlap(&ioas->used, first, last);
}

/*
 * Room that is wanted: the search goes on where the last one ended, and only then from the bottom.
 * So addresses that were given back rest for a while: a stray DMA finds nothing there.
 */
static int alloc_find(struct plx_ioas *ioas, struct plx_used_want *want, uint64_t *iova)
{
	const uint64_t from[] = { ioas->alloc_next, ALLOC_PREFERRED, ALLOC_LOWEST };
	unsigned int i;

	for (i = ioas->alloc_next ? 0 : 1; i < sizeof(from) / sizeof(*from); i++) {
		want->min = from[i];
		if (plx_used_first_fit(&ioas->used, &ioas->allowed, want, iova))
			continue;
		ioas->alloc_next = *iova + want->len;
		return 0;
	}
	return -ENOSPC;
}

/* A distance for a mapping that shares no frame. */
static int alloc_choose(struct plx_ioas *ioas, const struct plx_mapping *m, uint64_t *delta)
{
	static const struct plx_neighbours alone;
	uint64_t start = first_frame(m) << PLX_FRAME_SHIFT;
	bool giga = m->page_size >= GIGA_PAGE && m->len >= GIGA_PAGE;
	struct plx_used_want want = {
		.len = (last_frame(m) - first_frame(m) + 1) << PLX_FRAME_SHIFT,
		.align = giga ? GIGA_PAGE : PLX_FRAME_SIZE,
		.phase = giga ? start & (GIGA_PAGE - 1) : 0,
	};
	uint64_t iova;
	int err;

	/* Memory that is contiguous here stays so for devices, call by call, if it can. */
	if (first_frame(m) && plx_xlate_get(&ioas->xlate, first_frame(m) - 1, delta) &&
	    alloc_fits(ioas, m, &alone, *delta))
		return 0;
	if (plx_xlate_get(&ioas->xlate, last_frame(m) + 1, delta) &&
	    alloc_fits(ioas, m, &alone, *delta))
		return 0;
	err = alloc_find(ioas, &want, &iova);
	/* Alignment is for fewer entries in the IOMMU's page tables, and no must. */
	if (err && giga) {
		want.align = PLX_FRAME_SIZE;
		want.phase = 0;
		err = alloc_find(ioas, &want, &iova);
	}
	if (err)
		return err;
	*delta = iova - start;
	return 0;
}

static uint64_t bytes_in(const struct plx_ranges *list)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < list->count; i++)
		bytes += list->range[i].last - list->range[i].first + 1;
	return bytes;
}

static int refuse_room(const struct plx_ioas *ioas, const struct plx_mapping *m,
		       struct plx_refusal *why)
{
	uint64_t all = bytes_in(&ioas->allowed), used = ioas->used.bytes;
	uint64_t free = all > used ? all - used : 0;

	plx_refuse_range(why, PLX_REFUSED_MEMORY, -ENOSPC, m->va, m->len, PLX_REMEDY_MAP_LESS,
			 "no room for %" PRIu64 " KiB in the ranges of device addresses that the "
			 "IOMMU offers (%" PRIu64 " KiB are free, not all in one piece)",
			 m->len >> 10, free >> 10);
	why->found = free;
	why->wanted = m->len;
	return why->err;
}

static int place_alloc(struct plx_ioas *ioas, struct plx_mapping *m,
		       const struct plx_neighbours *around, struct plx_refusal *why)
{
	bool head = shares_first(m, around), tail = shares_last(m, around);
	uint64_t delta = 0, tail_delta = 0, first, last;
	int err;

	if (head)
		plx_xlate_get(&ioas->xlate, first_frame(m), &delta);
	if (tail)
		plx_xlate_get(&ioas->xlate, last_frame(m), &tail_delta);
	if (head && tail && delta != tail_delta)
		return plx_refuse_range(
			why, PLX_REFUSED_MEMORY, -ENOSPC, m->va, m->len, PLX_REMEDY_ALIGN,
			"memory at 0x%" PRIx64 " joins two mappings that are apart for devices",
			m->va);
	if (!head && tail)
		delta = tail_delta;
	if ((head || tail) && !alloc_fits(ioas, m, around, delta))
		return plx_refuse_range(
			why, PLX_REFUSED_MEMORY, -ENOSPC, m->va, m->len, PLX_REMEDY_ALIGN,
			"memory at 0x%" PRIx64 " can't follow the mapping that it shares a 2 MiB "
			"frame with, as those device addresses are taken",
			m->va);
	if (!head && !tail && alloc_choose(ioas, m, &delta))
		return refuse_room(ioas, m, why);
	/* With room for one range a mapping, giving frames back never needs memory. */
	err = plx_used_reserve(&ioas->used, ioas->nmaps + 1);
	if (!err && own_frames(m, around, &first, &last))
		err = plx_used_take(&ioas->used, (first << PLX_FRAME_SHIFT) + delta,
				    ((last + 1) << PLX_FRAME_SHIFT) - 1 + delta);
	if (err)
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "out of memory");
	return add_seg(m, m->va, m->va + delta, m->len);
}

static int refuse_phys(uint64_t va, uint64_t len, int err, struct plx_refusal *why)
{
	switch (err) {
	case -EPERM:
		return plx_refuse_about(why, PLX_REFUSED_PERMISSION, err, "/proc/self/pagemap",
					PLX_REMEDY_CAPABILITY,
					"no physical address for 0x%" PRIx64
					": /proc/self/pagemap needs CAP_SYS_ADMIN",
					va);
	case -EOPNOTSUPP:
		return plx_refuse_range(why, PLX_REFUSED_MEMORY, err, va, len, PLX_REMEDY_ALIGN,
					"no one physical address for the 2 MiB frame at 0x%" PRIx64,
					va);
	default:
		return plx_refuse(why, PLX_REFUSED_MEMORY, err,
				  "no physical address for 0x%" PRIx64 ": %s", va, strerror(-err));
	}
}

/* Segments from one source of physical addresses; iommu NULL: pagemap. */
static int resolve(struct plx_mapping *m, struct plx_iommu *iommu, struct plx_refusal *why)
{
	uint64_t at = 0, phys = 0, run = 0;
	int err;

	while (at < m->len) {
		uint64_t va = m->va + at;

		if (iommu) {
			err = iommu->ops->phys(iommu, va, m->len - at, m->page_size, &phys, &run);
		} else {
			size_t len = 0;

			err = plx_phys_run((void *)(uintptr_t)va, m->len - at, m->page_size, &phys,
					   &len);
			run = len;
		}
		if (!err && (!run || run > m->len - at || phys > PLX_DMA_BAD - run ||
			     phys % m->page_size != va % m->page_size))
			err = -EIO;
		/* One frame, one distance: a run may end in the middle of a frame only with m. */
		if (!err && run < m->len - at && (va + run) % PLX_FRAME_SIZE)
			err = -EOPNOTSUPP;
		if (!err)
			err = add_seg(m, va, phys, run);
		if (err) {
			drop_segs(m);
			return refuse_phys(va, m->len, err, why);
		}
		at += run;
	}
	return 0;
}

static bool same_segs(const struct plx_mapping *a, const struct plx_mapping *b)
{
	return a->nsegs == b->nsegs && !memcmp(a->seg, b->seg, a->nsegs * sizeof(*a->seg));
}

int plx_place_agree(struct plx_mapping *m, struct plx_iommu *iommu, struct plx_refusal *why)
{
	struct plx_mapping other = *m;
	int err;

	if (!m->nsegs)
		return resolve(m, iommu, why);
	other.seg = &other.one;
	other.room = 1;
	other.nsegs = 0;
	err = resolve(&other, iommu, why);
	if (err == -EPERM)
		return 0;
	if (!err && !same_segs(m, &other))
		err = plx_refuse(why, PLX_REFUSED_MEMORY, -EIO,
				 "physical addresses of the memory at 0x%" PRIx64 " changed or are "
				 "told differently by %s (0x%" PRIx64 ", 0x%" PRIx64 ")",
				 m->va, iommu->ops->name, m->seg[0].dma, other.seg[0].dma);
	drop_segs(&other);
	return err;
}

static int place_pa(struct plx_ioas *ioas, struct plx_mapping *m, struct plx_refusal *why)
{
	struct plx_iommu *iommu;
	bool asked = false;
	int err = 0;

	if (m->page_size < PLX_FRAME_SIZE)
		return plx_refuse_pages(why, m->va, m->len, m->page_size,
					"and without an IOMMU only pages of 2 MiB or more can be "
					"reached by devices");
	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		if (iommu->ops->translates)
			continue;
		asked = true;
		err = plx_place_agree(m, iommu, why);
		if (err && err != -EPERM)
			return err;
	}
	if (m->nsegs)
		return 0;
	if (asked)
		return err;
	err = resolve(m, NULL, why);
	return err == -EPERM ? 0 : err;
}

int plx_place(struct plx_ioas *ioas, struct plx_mapping *m, const struct plx_neighbours *around,
	      struct plx_refusal *why)
{
	drop_segs(m);
	switch (ioas->policy.addr) {
	case PLX_ADDR_VA: return add_seg(m, m->va, m->va, m->len);
	case PLX_ADDR_ALLOC: return place_alloc(ioas, m, around, why);
	case PLX_ADDR_PA: return place_pa(ioas, m, why);
	}
	return -EINVAL;
}

void plx_unplace(struct plx_ioas *ioas, struct plx_mapping *m, const struct plx_neighbours *around)
{
	uint64_t first, last;

	if (ioas->policy.addr == PLX_ADDR_ALLOC && m->nsegs &&
	    own_frames(m, around, &first, &last)) {
		uint64_t delta = m->seg[0].dma - m->seg[0].va;

		/* Can't fail: plx_place() reserved the room. */
		plx_used_give(&ioas->used, (first << PLX_FRAME_SHIFT) + delta,
			      ((last + 1) << PLX_FRAME_SHIFT) - 1 + delta);
	}
	drop_segs(m);
}

int plx_place_publish(struct plx_ioas *ioas, const struct plx_mapping *m, struct plx_refusal *why)
{
	unsigned int i;

	for (i = 0; i < m->nsegs; i++) {
		const struct plx_seg *s = &m->seg[i];
		uint64_t first = plx_frame(s->va), last = plx_frame(s->va + s->len - 1), frame;
		uint64_t delta = s->dma - s->va, old;

		/* Only the first and the last frame can be shared. */
		for (frame = first; frame <= last; frame += last > first ? last - first : 1)
			if (plx_xlate_get(&ioas->xlate, frame, &old) && old != delta)
				return plx_refuse_range(why, PLX_REFUSED_MEMORY, -EOPNOTSUPP, m->va,
							m->len, PLX_REMEDY_ALIGN,
							"the 2 MiB frame at 0x%" PRIx64
							" would have two device addresses",
							frame << PLX_FRAME_SHIFT);
	}
	for (i = 0; i < m->nsegs; i++) {
		const struct plx_seg *s = &m->seg[i];

		plx_xlate_set(&ioas->xlate, plx_frame(s->va), plx_frame(s->va + s->len - 1),
			      s->dma - s->va);
	}
	return 0;
}

void plx_place_withdraw(struct plx_ioas *ioas, const struct plx_mapping *m,
			const struct plx_neighbours *around)
{
	uint64_t first, last;

	if (m->nsegs && own_frames(m, around, &first, &last))
		plx_xlate_clear(&ioas->xlate, first, last);
}

int plx_place_check(const struct plx_ioas *ioas, const struct plx_mapping *m,
		    const struct plx_ranges *ranges, struct plx_refusal *why)
{
	unsigned int i;

	for (i = 0; i < m->nsegs; i++) {
		const struct plx_seg *s = &m->seg[i];

		if (plx_ranges_contain(ranges, s->dma, s->dma + s->len - 1))
			continue;
		plx_refuse_range(
			why, PLX_REFUSED_POLICY, -ENOSPC, s->dma, s->len,
			ioas->policy.addr == PLX_ADDR_VA ? PLX_REMEDY_IOVA_ALLOC : PLX_REMEDY_USUAL,
			"device addresses 0x%" PRIx64 "-0x%" PRIx64 " (IOVA = %s) are "
			"outside what the IOMMU offers, 0x%" PRIx64 "-0x%" PRIx64 " in %u range%s",
			s->dma, s->dma + s->len - 1, plx_addr_policy_name(ioas->policy.addr),
			ranges->count ? ranges->range[0].first : 0,
			ranges->count ? ranges->range[ranges->count - 1].last : 0, ranges->count,
			ranges->count == 1 ? "" : "s");
		why->found = ranges->count ? ranges->range[ranges->count - 1].last : 0;
		why->wanted = s->dma + s->len - 1;
		return why->err;
	}
	return 0;
}
