/* SPDX-License-Identifier: BSD-3-Clause */
/* Applying one mapping to one context, and what to say when the kernel doesn't take it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/capability.h>

#include <pollux/facts.h>
#include <pollux/log.h>

#include "ioas.h"
#include "refusal.h"

static struct plx_iommu_map whole(const struct plx_mapping *m)
{
	return (struct plx_iommu_map){
		.key = m->va,
		.va = m->va,
		.len = m->len,
		.page_size = m->page_size,
		.fd = m->fd,
		.bar = m->bar,
		.fd_offset = m->fd_offset,
		.access = m->access,
	};
}

uint64_t plx_mapping_count(const struct plx_iommu *iommu, const struct plx_mapping *m)
{
	return iommu->ops->translates ? m->nsegs : 1;
}

const struct plx_iommu *plx_iommu_source(const struct plx_ioas *ioas, const struct plx_iommu *iommu)
{
	const struct plx_iommu *c;

	for (c = ioas->contexts; c && c != iommu; c = c->next)
		if (c->ops == iommu->ops && c->fd == iommu->fd && c->fd >= 0)
			return c;
	return NULL;
}

static int map_one(struct plx_iommu *iommu, const struct plx_iommu_map *map,
		   struct plx_refusal *why)
{
	int err = iommu->ops->map(iommu, map, why);

	if (err)
		return err;
	iommu->mapped += map->len;
	iommu->maps++;
	return 0;
}

static int unmap_one(struct plx_iommu *iommu, uint64_t key, uint64_t len)
{
	int err = iommu->ops->unmap(iommu, key, len);

	iommu->mapped -= len;
	iommu->maps--;
	if (err)
		plx_err("%s: taking back 0x%" PRIx64 "-0x%" PRIx64 " failed: %s", iommu->ops->name,
			key, key + len - 1, strerror(-err));
	return err;
}

static int revoke_segs(struct plx_iommu *iommu, const struct plx_mapping *m, unsigned int count)
{
	int first_err = 0;

	while (count--) {
		int err = unmap_one(iommu, m->seg[count].dma, m->seg[count].len);

		if (err && !first_err)
			first_err = err;
	}
	return first_err;
}

int plx_mapping_apply(const struct plx_ioas *ioas, struct plx_iommu *iommu,
		      const struct plx_mapping *m, struct plx_refusal *why)
{
	struct plx_iommu_map map = whole(m);
	unsigned int i;
	int err;

	err = plx_iommu_has_room(iommu, plx_mapping_count(iommu, m), why);
	if (err)
		return err;
	map.ioas = ioas;
	map.source = plx_iommu_source(ioas, iommu);
	if (!iommu->ops->translates)
		return map_one(iommu, &map, why);
	for (i = 0; i < m->nsegs; i++) {
		const struct plx_seg *s = &m->seg[i];

		map.key = s->dma;
		map.va = s->va;
		map.len = s->len;
		map.fd_offset = m->fd_offset + (s->va - m->va);
		err = map_one(iommu, &map, why);
		if (err) {
			revoke_segs(iommu, m, i);
			return err;
		}
	}
	return 0;
}

int plx_mapping_revoke(struct plx_iommu *iommu, const struct plx_mapping *m)
{
	return iommu->ops->translates ? revoke_segs(iommu, m, m->nsegs)
				      : unmap_one(iommu, m->va, m->len);
}

/* From the contexts of a kind before end in the list. */
static int revoke_before(struct plx_ioas *ioas, const struct plx_mapping *m, bool translates,
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

int plx_mapping_revoke_all(struct plx_ioas *ioas, const struct plx_mapping *m, bool translates)
{
	return revoke_before(ioas, m, translates, NULL);
}

int plx_mapping_apply_all(struct plx_ioas *ioas, const struct plx_mapping *m, bool translates,
			  struct plx_refusal *why)
{
	struct plx_iommu *iommu;
	int err;

	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		if (iommu->ops->translates != translates)
			continue;
		err = translates ? plx_place_check(ioas, m, &iommu->ranges, why) : 0;
		if (!err)
			err = plx_mapping_apply(ioas, iommu, m, why);
		if (err) {
			revoke_before(ioas, m, translates, iommu);
			return err;
		}
	}
	return 0;
}

int plx_mapping_revoke_everything(struct plx_ioas *ioas, struct plx_iommu *iommu)
{
	uint64_t mapped = iommu->mapped, len;
	struct plx_mapping *m;
	int first_err = 0, err;

	/* In what is the caller's there may be maps that aren't ours. */
	if (iommu->ops->unmap_all && iommu->given < 0 && !iommu->ops->unmap_all(iommu, &len)) {
		iommu->mapped = 0;
		iommu->maps = 0;
		/* More: a map that couldn't be taken back before has gone with the rest. */
		if (len >= mapped)
			return 0;
		plx_err("%s: took back all, but of %" PRIu64 " bytes mapped only %" PRIu64
			" were there",
			iommu->ops->name, mapped, len);
		return -EIO;
	}
	RB_FOREACH(m, plx_mappings, &ioas->mappings) {
		err = plx_mapping_revoke(iommu, m);
		if (err && !first_err)
			first_err = err;
	}
	return first_err;
}

/*
 * What is in the way, in words.
 */

uint64_t plx_iommu_room(const struct plx_iommu *iommu)
{
	if (!iommu->limit)
		return UINT64_MAX;
	return iommu->maps < iommu->limit ? iommu->limit - iommu->maps : 0;
}

int plx_iommu_has_room(const struct plx_iommu *iommu, uint64_t maps, struct plx_refusal *why)
{
	if (maps <= plx_iommu_room(iommu))
		return 0;
	plx_refuse_about(
		why, PLX_REFUSED_MEMORY, -ENOSPC,
		iommu->peer ? iommu->peer : "vfio_iommu_type1.dma_entry_limit",
		iommu->peer ? PLX_REMEDY_LARGER_PAGES : PLX_REMEDY_FEWER_MAPS,
		"DMA map failed: %s takes %u DMA maps, %u are used and %" PRIu64 " more needed",
		iommu->peer ? iommu->peer : iommu->ops->name, iommu->limit, iommu->maps, maps);
	why->found = iommu->limit;
	why->wanted = iommu->maps + maps;
	return why->err;
}

/* "512 MiB", or KiB where MiB would hide something. */
static const char *size_text(char *buf, size_t len, uint64_t bytes)
{
	if (bytes % (1u << 20))
		snprintf(buf, len, "%" PRIu64 " KiB", bytes >> 10);
	else
		snprintf(buf, len, "%" PRIu64 " MiB", bytes >> 20);
	return buf;
}

uint64_t plx_memlock_limit(void)
{
	struct rlimit limit;

	if (plx_sys->getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    plx_have_capability(CAP_IPC_LOCK))
		return UINT64_MAX;
	return limit.rlim_cur;
}

uint64_t plx_memlock_used(void)
{
	return plx_sys_status("\nVmLck:", 10) << 10;
}

/*
 * What counts against the limit that a context's maps count against: it has all of it locked
 * already, or will have when all is mapped in it. Returns how many contexts lock memory anew.
 */
static unsigned int count_locked(const struct plx_ioas *ioas, const struct plx_iommu *iommu,
				 uint64_t *locked)
{
	bool joined = plx_iommu_source(ioas, iommu) != NULL; /* what is copied is there already */
	unsigned int contexts = 0;
	const struct plx_iommu *c;

	*locked = 0;
	for (c = ioas->contexts; c; c = c->next) {
		joined |= c == iommu;
		if (plx_iommu_pins(c) != plx_iommu_pins(iommu) || plx_iommu_source(ioas, c))
			continue;
		*locked += c->mapped;
		contexts++;
	}
	if (joined)
		return contexts;
	*locked += iommu->mapped;
	return contexts + 1;
}

static int refuse_memlock(struct plx_refusal *why, const struct plx_iommu *iommu,
			  const struct plx_iommu_map *map)
{
	char want[32], have[32], most[32], total[32], other[32], times[32] = "", beside[64] = "";
	uint64_t limit = plx_memlock_limit(), locked, all, process;
	unsigned int contexts = count_locked(map->ioas, iommu, &locked);

	all = map->ioas->bytes * contexts;
	if (contexts > 1)
		snprintf(times, sizeof(times), ", for %u contexts", contexts);
	/* What else counts against the same limit. */
	process = plx_iommu_pins(iommu) == PLX_PINS_PROCESS ? plx_memlock_used() : 0;
	if (process > locked) {
		all += process - locked;
		snprintf(beside, sizeof(beside), ", %s of it by mlock()",
			 size_text(other, sizeof(other), process - locked));
	} else if (plx_iommu_pins(iommu) == PLX_PINS_USER && all <= limit) {
		snprintf(beside, sizeof(beside), " beside what other processes of the user hold");
	}
	size_text(want, sizeof(want), map->len);
	size_text(have, sizeof(have), locked);
	if (limit == UINT64_MAX)
		return plx_refuse_range(why, PLX_REFUSED_MEMORY, -ENOMEM, map->va, map->len,
					PLX_REMEDY_OTHER_LIMITS,
					"DMA map of %s failed: out of memory, or a limit that this "
					"process can't see (%s mapped already)",
					want, have);
	plx_refuse_about(why, PLX_REFUSED_MEMORY, -ENOMEM, "RLIMIT_MEMLOCK", PLX_REMEDY_MEMLOCK,
			 "DMA map of %s failed: the memlock limit is %s (ulimit -l), %s mapped "
			 "already, %s needed in all%s%s",
			 want, size_text(most, sizeof(most), limit), have,
			 size_text(total, sizeof(total), all), times, beside);
	why->found = limit;
	why->wanted = all;
	return why->err;
}

int plx_refuse_map(struct plx_refusal *why, const struct plx_iommu *iommu,
		   const struct plx_iommu_map *map, int err)
{
	enum plx_remedy remedy = PLX_REMEDY_OTHER_LIMITS;
	const char *hint = "";
	char want[32];

	size_text(want, sizeof(want), map->len);
	switch (err) {
	case -ENOMEM: return refuse_memlock(why, iommu, map);
	case -EINVAL:
		hint = ", these addresses are reserved, out of reach, or not aligned for the IOMMU";
		remedy = PLX_REMEDY_ELSEWHERE;
		break;
	case -EEXIST:
		hint = ", something is mapped there already";
		remedy = PLX_REMEDY_UNMAP;
		break;
	case -EFAULT:
		hint = ", this memory can't be pinned";
		remedy = PLX_REMEDY_PINNABLE;
		break;
	case -ENOSPC: break;
	default:
		return plx_refuse(why, PLX_REFUSED_MEMORY, err,
				  "DMA map of %s at 0x%" PRIx64 " through %s failed: %s", want,
				  map->key, iommu->ops->name, strerror(-err));
	}
	return plx_refuse_range(why, PLX_REFUSED_MEMORY, err, map->key, map->len, remedy,
				"DMA map of %s at 0x%" PRIx64 " through %s failed: %s%s", want,
				map->key, iommu->ops->name, strerror(-err), hint);
}
