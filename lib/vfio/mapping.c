/* SPDX-License-Identifier: BSD-3-Clause */
/* Applying one mapping to one context, and what to say when the kernel doesn't take it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
		.fd_offset = m->fd_offset,
		.access = m->access,
	};
}

static int revoke_segs(struct plx_iommu *iommu, const struct plx_mapping *m, unsigned int count)
{
	int first_err = 0;

	while (count--) {
		const struct plx_seg *s = &m->seg[count];
		int err = iommu->ops->unmap(iommu, s->dma, s->len);

		iommu->mapped -= s->len;
		if (!err)
			continue;
		plx_err("%s: taking back 0x%" PRIx64 "-0x%" PRIx64 " failed: %s", iommu->ops->name,
			s->dma, s->dma + s->len - 1, strerror(-err));
		if (!first_err)
			first_err = err;
	}
	return first_err;
}

int plx_mapping_apply(struct plx_iommu *iommu, const struct plx_mapping *m, struct plx_refusal *why)
{
	struct plx_iommu_map map = whole(m);
	unsigned int i;
	int err;

	if (!iommu->ops->translates) {
		err = iommu->ops->map(iommu, &map, why);
		if (!err)
			iommu->mapped += m->len;
		return err;
	}
	for (i = 0; i < m->nsegs; i++) {
		const struct plx_seg *s = &m->seg[i];

		map.key = s->dma;
		map.va = s->va;
		map.len = s->len;
		map.fd_offset = m->fd_offset + (s->va - m->va);
		err = iommu->ops->map(iommu, &map, why);
		if (err) {
			revoke_segs(iommu, m, i);
			return err;
		}
		iommu->mapped += s->len;
	}
	return 0;
}

int plx_mapping_revoke(struct plx_iommu *iommu, const struct plx_mapping *m)
{
	int err;

	if (iommu->ops->translates)
		return revoke_segs(iommu, m, m->nsegs);
	err = iommu->ops->unmap(iommu, m->va, m->len);
	iommu->mapped -= m->len;
	if (err)
		plx_err("%s: taking back the memory at 0x%" PRIx64 " failed: %s", iommu->ops->name,
			m->va, strerror(-err));
	return err;
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

static int refuse_memlock(struct plx_refusal *why, const struct plx_iommu *iommu,
			  const struct plx_iommu_map *map)
{
	char want[32], have[32], most[32];
	struct rlimit limit;

	size_text(want, sizeof(want), map->len);
	size_text(have, sizeof(have), iommu->mapped);
	if (plx_sys->getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return plx_refuse(why, PLX_REFUSED_MEMORY, -ENOMEM,
				  "DMA map of %s failed: out of memory, or a limit that this "
				  "process can't see (%s mapped already)",
				  want, have);
	return plx_refuse(why, PLX_REFUSED_MEMORY, -ENOMEM,
			  "DMA map of %s failed: the memlock limit is %s (ulimit -l), %s mapped "
			  "already, %s more needed: raise the limit",
			  want, size_text(most, sizeof(most), limit.rlim_cur), have, want);
}

int plx_refuse_map(struct plx_refusal *why, const struct plx_iommu *iommu,
		   const struct plx_iommu_map *map, int err)
{
	const char *hint = "";
	char want[32];

	size_text(want, sizeof(want), map->len);
	switch (err) {
	case -ENOMEM: return refuse_memlock(why, iommu, map);
	case -EINVAL:
		hint = ": these addresses are reserved, out of reach, or not aligned for the IOMMU";
		break;
	case -EEXIST: hint = ": something is mapped there already"; break;
	case -EFAULT: hint = ": this memory can't be pinned (device memory, or not mapped)"; break;
	}
	return plx_refuse(why, PLX_REFUSED_MEMORY, err,
			  "DMA map of %s at 0x%" PRIx64 " through %s failed: %s%s", want, map->key,
			  iommu->ops->name, strerror(-err), hint);
}
