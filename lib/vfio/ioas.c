/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "ioas.h"
#include "refusal.h"

/* MSI windows of x86 and of Arm SMMUs (MSI_IOVA_BASE): kept clear before any context tells. */
static const struct plx_range msi_windows[] = {
	{ 0xfee00000, 0xfeefffff },
	{ 0x08000000, 0x080fffff },
};

/* What can be mapped with no context to ask. */
static int default_ranges(struct plx_ranges *ranges)
{
	unsigned int i;
	int err;

	err = plx_ranges_add(ranges, PLX_IOVA_FALLBACK_FIRST, PLX_IOVA_FALLBACK_LAST);
	for (i = 0; !err && i < sizeof(msi_windows) / sizeof(*msi_windows); i++)
		err = plx_ranges_remove(ranges, msi_windows[i].first, msi_windows[i].last);
	return err;
}

static int narrow(struct plx_ranges *all, const struct plx_ranges *by)
{
	struct plx_ranges both = { 0 };
	int err = plx_ranges_intersect(&both, all, by);

	plx_ranges_free(all);
	*all = both;
	return err;
}

/* Intersects the ranges of all contexts, and of one more. The old value is kept on failure. */
static int update_allowed(struct plx_ioas *ioas, const struct plx_iommu *more)
{
	bool some = more && more->ops->translates;
	const struct plx_iommu *iommu;
	struct plx_ranges all = { 0 };
	int err;

	err = plx_ranges_add(&all, 0, UINT64_MAX);
	if (!err && some)
		err = narrow(&all, &more->ranges);
	for (iommu = ioas->contexts; !err && iommu; iommu = iommu->next) {
		if (!iommu->ops->translates)
			continue;
		err = narrow(&all, &iommu->ranges);
		some = true;
	}
	if (!err && !some) {
		plx_ranges_free(&all);
		err = default_ranges(&all);
	}
	if (err) {
		plx_ranges_free(&all);
		return err;
	}
	plx_ranges_free(&ioas->allowed);
	ioas->allowed = all;
	return 0;
}

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
	err = update_allowed(ioas, NULL);
	if (err) {
		plx_err("no address space: out of memory");
		plx_sys->free(ioas);
		return err;
	}
	*out = ioas;
	return 0;
}

/* Where a mapping that begins at va is, or would be. */
static unsigned int find(const struct plx_ioas *ioas, uint64_t va)
{
	unsigned int low = 0, high = ioas->nmaps;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (ioas->map[mid]->va < va)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool overlaps(const struct plx_ioas *ioas, unsigned int at, uint64_t va, uint64_t len)
{
	if (at && ioas->map[at - 1]->va + ioas->map[at - 1]->len > va)
		return true;
	return at < ioas->nmaps && ioas->map[at]->va < va + len;
}

static int make_room(struct plx_ioas *ioas)
{
	unsigned int room = ioas->room ? ioas->room * 2 : 64;
	struct plx_mapping **map;

	if (ioas->nmaps < ioas->room)
		return 0;
	map = plx_sys->alloc(room * sizeof(*map));
	if (!map)
		return -ENOMEM;
	if (ioas->nmaps)
		memcpy(map, ioas->map, ioas->nmaps * sizeof(*map));
	plx_sys->free(ioas->map);
	ioas->map = map;
	ioas->room = room;
	return 0;
}

static void insert(struct plx_ioas *ioas, unsigned int at, struct plx_mapping *m)
{
	memmove(ioas->map + at + 1, ioas->map + at, (ioas->nmaps - at) * sizeof(*ioas->map));
	ioas->map[at] = m;
	ioas->nmaps++;
}

static void erase(struct plx_ioas *ioas, unsigned int at)
{
	ioas->nmaps--;
	memmove(ioas->map + at, ioas->map + at + 1, (ioas->nmaps - at) * sizeof(*ioas->map));
}

/* The neighbours of the place at, where the mapping itself is in the list or is not. */
static struct plx_neighbours neighbours(const struct plx_ioas *ioas, unsigned int at, bool listed)
{
	unsigned int next = at + listed;

	return (struct plx_neighbours){
		.prev = at ? ioas->map[at - 1] : NULL,
		.next = next < ioas->nmaps ? ioas->map[next] : NULL,
	};
}

static void mapping_free(struct plx_mapping *m)
{
	if (m->seg != &m->one)
		plx_sys->free(m->seg);
	plx_sys->free(m);
}

/* Takes a mapping back from the contexts of a kind before end in the list. */
static int revoke_from(struct plx_ioas *ioas, const struct plx_mapping *m, bool translates,
		       const struct plx_iommu *end)
{
	struct plx_iommu *iommu;
	int first_err = 0, err;

	for (iommu = ioas->contexts; iommu != end; iommu = iommu->next) {
		if (iommu->ops->translates != translates)
			continue;
		err = plx_mapping_revoke(iommu, m);
		if (err && !first_err)
			first_err = err;
	}
	return first_err;
}

/* All contexts of a kind, or none. */
static int apply_to(struct plx_ioas *ioas, const struct plx_mapping *m, bool translates,
		    struct plx_refusal *why)
{
	struct plx_iommu *iommu;
	int err;

	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		if (iommu->ops->translates != translates)
			continue;
		err = translates ? plx_place_check(ioas, m, &iommu->ranges, why) : 0;
		if (!err)
			err = plx_mapping_apply(iommu, m, why);
		if (err) {
			revoke_from(ioas, m, translates, iommu);
			return err;
		}
	}
	return 0;
}

/*
 * Contexts that don't translate come first: their physical addresses are what the others are then
 * given to map.
 */
static int map_everywhere(struct plx_ioas *ioas, struct plx_mapping *m,
			  const struct plx_neighbours *around, struct plx_refusal *why)
{
	int err;

	err = apply_to(ioas, m, false, why);
	if (err)
		return err;
	err = plx_place(ioas, m, around, why);
	if (err)
		goto revoke_untranslated;
	err = apply_to(ioas, m, true, why);
	if (err)
		goto unplace;
	err = plx_place_publish(ioas, m, why);
	if (!err)
		return 0;
	revoke_from(ioas, m, true, NULL);
unplace:
	plx_unplace(ioas, m, around);
revoke_untranslated:
	revoke_from(ioas, m, false, NULL);
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
	unsigned int at = find(ioas, m->va);
	struct plx_neighbours around = neighbours(ioas, at, false);
	int err;

	if (overlaps(ioas, at, m->va, m->len))
		return plx_refuse(why, PLX_REFUSED_MEMORY, -EEXIST,
				  "memory at 0x%" PRIx64 " is mapped already, at least in part",
				  m->va);
	err = make_room(ioas);
	if (!err)
		err = plx_xlate_prepare(&ioas->xlate, plx_frame(m->va),
					plx_frame(m->va + m->len - 1));
	if (err)
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "out of memory for book-keeping");
	err = map_everywhere(ioas, m, &around, why);
	if (!err)
		insert(ioas, at, m);
	return err;
}

int plx_ioas_map(struct plx_ioas *ioas, const struct plx_dma_mem *mem)
{
	struct plx_refusal why = { 0 };
	struct plx_mapping *m = plx_sys->alloc(sizeof(*m));
	int err;

	if (!m) {
		plx_err("DMA map of %zu bytes at %p failed: out of memory for book-keeping",
			mem->len, mem->va);
		return -ENOMEM;
	}
	err = check(ioas, mem, m);
	if (err) {
		plx_err("DMA map of %zu bytes at %p refused: whole pages, below 2^48, are needed",
			mem->len, mem->va);
		mapping_free(m);
		return err;
	}
	pthread_mutex_lock(&ioas->lock);
	err = map_locked(ioas, m, &why);
	pthread_mutex_unlock(&ioas->lock);
	if (err) {
		plx_err("%s", why.text);
		mapping_free(m);
	}
	return err;
}

/* Takes mapping number at out of everything. */
static int drop(struct plx_ioas *ioas, unsigned int at)
{
	struct plx_neighbours around = neighbours(ioas, at, true);
	struct plx_mapping *m = ioas->map[at];
	int err, more;

	plx_place_withdraw(ioas, m, &around);
	err = revoke_from(ioas, m, true, NULL);
	more = revoke_from(ioas, m, false, NULL);
	plx_unplace(ioas, m, &around);
	erase(ioas, at);
	mapping_free(m);
	return err ? err : more;
}

int plx_ioas_unmap(struct plx_ioas *ioas, void *va, size_t len)
{
	uint64_t addr = (uint64_t)(uintptr_t)va, end;
	unsigned int at;
	int err;

	if (!len || __builtin_add_overflow(addr, (uint64_t)len, &end))
		return -EINVAL;
	pthread_mutex_lock(&ioas->lock);
	at = find(ioas, addr);
	if (at < ioas->nmaps && ioas->map[at]->va == addr && ioas->map[at]->len == len)
		err = drop(ioas, at);
	else
		err = overlaps(ioas, at, addr, len) ? -EINVAL : -ENOENT;
	pthread_mutex_unlock(&ioas->lock);
	return err;
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
	while (ioas->nmaps)
		drop(ioas, ioas->nmaps - 1);
	plx_sys->free(ioas->map);
	plx_ranges_free(&ioas->allowed);
	plx_ranges_free(&ioas->used);
	plx_xlate_free(&ioas->xlate);
	pthread_mutex_destroy(&ioas->lock);
	pthread_mutex_destroy(&ioas->dma_lock);
	plx_sys->free(ioas);
	return 0;
}

enum plx_addr_policy plx_ioas_policy(const struct plx_ioas *ioas)
{
	return ioas->policy.addr;
}

const struct plx_xlate *plx_ioas_xlate(const struct plx_ioas *ioas)
{
	return &ioas->xlate;
}

static int read_ranges(struct plx_iommu *iommu, struct plx_refusal *why)
{
	struct plx_ranges ranges = { 0 };
	int err;

	if (!iommu->ops->translates)
		return 0;
	err = iommu->ops->ranges(iommu, &ranges);
	if (err) {
		plx_ranges_free(&ranges);
		return plx_refuse(why, PLX_REFUSED_KERNEL, err,
				  "%s doesn't tell its address ranges: %s", iommu->ops->name,
				  strerror(-err));
	}
	plx_ranges_free(&iommu->ranges);
	iommu->ranges = ranges;
	return 0;
}

/* A mapping whose physical addresses a new context was the first to tell. */
static int settle(struct plx_ioas *ioas, const struct plx_mapping *m, struct plx_refusal *why)
{
	int err = apply_to(ioas, m, true, why);

	if (err)
		return err;
	err = plx_place_publish(ioas, m, why);
	if (err)
		revoke_from(ioas, m, true, NULL);
	return err;
}

/* Gives mapping number at to a context that isn't in the list yet. */
static int replay_one(struct plx_ioas *ioas, struct plx_iommu *iommu, unsigned int at,
		      struct plx_refusal *why)
{
	struct plx_neighbours around = neighbours(ioas, at, true);
	struct plx_mapping *m = ioas->map[at];
	bool known = m->nsegs;
	int err;

	if (iommu->ops->translates) {
		err = plx_place_check(ioas, m, &iommu->ranges, why);
		return err ? err : plx_mapping_apply(iommu, m, why);
	}
	err = plx_mapping_apply(iommu, m, why);
	if (err)
		return err;
	err = plx_place_agree(m, iommu, why);
	if (!err && !known) {
		err = settle(ioas, m, why);
		if (err)
			plx_unplace(ioas, m, &around);
	}
	if (err)
		plx_mapping_revoke(iommu, m);
	return err;
}

static int replay(struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_refusal *why)
{
	unsigned int at;
	int err;

	for (at = 0; at < ioas->nmaps; at++) {
		err = replay_one(ioas, iommu, at, why);
		if (err)
			break;
	}
	if (at == ioas->nmaps)
		return 0;
	while (at--)
		plx_mapping_revoke(iommu, ioas->map[at]);
	return err;
}

/* A context that is in use already: its maps are there, its ranges may have become narrower. */
static int check_all(const struct plx_ioas *ioas, const struct plx_iommu *iommu,
		     struct plx_refusal *why)
{
	unsigned int at;
	int err = 0;

	for (at = 0; !err && iommu->ops->translates && at < ioas->nmaps; at++)
		err = plx_place_check(ioas, ioas->map[at], &iommu->ranges, why);
	return err;
}

int plx_ioas_join(struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_refusal *why)
{
	bool fresh = !iommu->devices;
	int err;

	if (!iommu->ops->translates && ioas->policy.addr != PLX_ADDR_PA)
		return plx_refuse(why, PLX_REFUSED_POLICY, -EOPNOTSUPP,
				  "no-IOMMU needs physical addresses, but the address space was "
				  "made for IOVA = %s (%.100s)",
				  plx_addr_policy_name(ioas->policy.addr), ioas->policy.reason);
	err = read_ranges(iommu, why);
	if (!err)
		err = fresh ? replay(ioas, iommu, why) : check_all(ioas, iommu, why);
	if (err)
		return err;
	err = update_allowed(ioas, iommu);
	if (err) {
		unsigned int at = fresh ? ioas->nmaps : 0;

		while (at--)
			plx_mapping_revoke(iommu, ioas->map[at]);
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "out of memory for book-keeping");
	}
	if (fresh) {
		iommu->next = ioas->contexts;
		ioas->contexts = iommu;
	}
	iommu->devices++;
	return 0;
}

void plx_ioas_leave(struct plx_ioas *ioas, struct plx_iommu *iommu)
{
	struct plx_iommu **at;

	if (iommu->devices > 1) {
		iommu->devices--;
		return;
	}
	for (at = &ioas->contexts; *at; at = &(*at)->next) {
		if (*at == iommu) {
			*at = iommu->next;
			/* Too strict is safe: what can't be worked out anew stays as it was. */
			update_allowed(ioas, NULL);
			break;
		}
	}
	plx_ranges_free(&iommu->ranges);
	iommu->ops->destroy(iommu);
}
