/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Type 1 contexts, versions 2 and 1, and iommufd's stand-in for them: the same calls on a container
 * file. All groups in a container share its maps, which are gone with the last group.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "caps.h"
#include "ioas.h"
#include "refusal.h"
#include "uapi.h"

/* The container's answer to GET_INFO, and where its capabilities begin in it (0: none). */
static int get_info(struct plx_iommu *iommu, void **info, size_t *len, uint32_t *caps)
{
	/* As far as every kernel fills it in. */
	struct vfio_iommu_type1_info init = { .argsz = sizeof(init) }, *got;
	int err = plx_info_get(iommu->fd, VFIO_IOMMU_GET_INFO, &init, sizeof(init), info, len);

	if (err)
		return err;
	got = *info;
	*caps = got->flags & VFIO_IOMMU_INFO_CAPS ? got->cap_offset : 0;
	return 0;
}

/*
 * How many maps the container takes in all: those that it has and what it says it has room for. One
 * of the caller's is used by others, too, and has an answer for the moment only.
 */
static void read_limit(struct plx_iommu *iommu, const void *info, size_t len, uint32_t caps)
{
	struct vfio_iommu_type1_info_dma_avail avail;
	const void *cap;
	size_t room;

	cap = plx_cap_find(info, len, caps, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, sizeof(avail), &room);
	if (!cap || iommu->given >= 0)
		return;
	memcpy(&avail, cap, sizeof(avail));
	/* iommufd's stand-in knows no limit, and says so with the largest number. */
	iommu->limit = avail.avail < UINT32_MAX - iommu->maps ? iommu->maps + avail.avail : 0;
}

/* Others have maps in it, too, or its limit isn't known. */
static int refuse_maps(const struct plx_iommu *iommu, struct plx_refusal *why)
{
	plx_refuse_about(why, PLX_REFUSED_MEMORY, -ENOSPC, "vfio_iommu_type1.dma_entry_limit",
			 PLX_REMEDY_FEWER_MAPS,
			 "DMA map failed: the container's limit of maps is used up (%u are ours)",
			 iommu->maps);
	why->found = iommu->maps;
	why->wanted = (uint64_t)iommu->maps + 1;
	return why->err;
}

static int refuse_bar(const struct plx_iommu *iommu, const struct plx_iommu_map *map,
		      struct plx_refusal *why)
{
	if (plx_container_is_iommufd(iommu))
		return plx_refuse_range(
			why, PLX_REFUSED_MEMORY, -EOPNOTSUPP, map->va, map->len,
			PLX_REMEDY_PEER_TYPE1,
			"this container is iommufd's, which maps no BAR by address");
	return plx_refuse_range(why, PLX_REFUSED_MEMORY, -EFAULT, map->va, map->len,
				PLX_REMEDY_DECODING, "the BAR can't be faulted in");
}

static int type1_map(struct plx_iommu *iommu, const struct plx_iommu_map *map,
		     struct plx_refusal *why)
{
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = sizeof(arg),
		.vaddr = map->va,
		.iova = map->key,
		.size = map->len,
	};
	int err;

	if (map->access & PLX_DMA_READ)
		arg.flags |= VFIO_DMA_MAP_FLAG_READ;
	if (map->access & PLX_DMA_WRITE)
		arg.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	err = plx_ioctl(iommu->fd, VFIO_IOMMU_MAP_DMA, &arg);
	if (err == -ENOSPC)
		return refuse_maps(iommu, why);
	if (err == -EFAULT && map->bar)
		return refuse_bar(iommu, map, why);
	return err ? plx_refuse_map(why, iommu, map, err) : 0;
}

static int type1_unmap(struct plx_iommu *iommu, uint64_t key, uint64_t len)
{
	struct vfio_iommu_type1_dma_unmap arg = {
		.argsz = sizeof(arg),
		.iova = key,
		.size = len,
	};
	int err = plx_ioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, &arg);

	if (err)
		return err;
	return arg.size == len ? 0 : -EIO;
}

static int type1_unmap_all(struct plx_iommu *iommu, uint64_t *len)
{
	struct vfio_iommu_type1_dma_unmap arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};
	int err = plx_ioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, &arg);

	*len = arg.size;
	return err;
}

/* The ranges in a capability of room bytes. */
static int read_cap(const char *cap, size_t room, struct plx_ranges *ranges)
{
	struct vfio_iommu_type1_info_cap_iova_range header;
	size_t at = offsetof(struct vfio_iommu_type1_info_cap_iova_range, iova_ranges);
	uint32_t i;
	int err = 0;

	memcpy(&header, cap, at);
	if (header.nr_iovas > (room - at) / sizeof(struct vfio_iova_range))
		return -EIO;
	for (i = 0; !err && i < header.nr_iovas; i++) {
		struct vfio_iova_range range;

		memcpy(&range, cap + at + i * sizeof(range), sizeof(range));
		err = plx_ranges_add(ranges, range.start, range.end);
	}
	return err;
}

static int type1_ranges(struct plx_iommu *iommu, struct plx_ranges *ranges)
{
	const void *cap;
	size_t len, room;
	uint32_t caps;
	void *info;
	int err;

	err = get_info(iommu, &info, &len, &caps);
	if (err)
		return err;
	cap = plx_cap_find(info, len, caps, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			   offsetof(struct vfio_iommu_type1_info_cap_iova_range, iova_ranges),
			   &room);
	read_limit(iommu, info, len, caps);
	err = cap ? read_cap(cap, room, ranges)
		  : plx_ranges_add(ranges, PLX_IOVA_FALLBACK_FIRST, PLX_IOVA_FALLBACK_LAST);
	plx_sys->free(info);
	return err;
}

static int type1_track(struct plx_iommu *iommu, bool on)
{
	struct vfio_iommu_type1_dirty_bitmap arg = {
		.argsz = sizeof(arg),
		.flags = on ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START : VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
	};
	int err = plx_ioctl(iommu->fd, VFIO_IOMMU_DIRTY_PAGES, &arg);

	/* Version 1, or iommufd's stand-in. */
	return err == -EACCES || err == -ENOTTY ? -EOPNOTSUPP : err;
}

static int type1_dirty(struct plx_iommu *iommu, uint64_t key, uint64_t len, uint64_t page,
		       uint64_t *bitmap)
{
	_Alignas(struct vfio_iommu_type1_dirty_bitmap_get) char
		buf[sizeof(struct vfio_iommu_type1_dirty_bitmap) +
		    sizeof(struct vfio_iommu_type1_dirty_bitmap_get)];
	struct vfio_iommu_type1_dirty_bitmap *arg = (void *)buf;
	const struct vfio_iommu_type1_dirty_bitmap_get get = {
		.iova = key,
		.size = len,
		.bitmap.pgsize = page,
		.bitmap.size = PLX_DIRTY_WORDS(len / page) * sizeof(*bitmap),
		.bitmap.data = (void *)bitmap,
	};

	arg->argsz = sizeof(buf);
	arg->flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	memcpy(arg->data, &get, sizeof(get));
	return plx_ioctl(iommu->fd, VFIO_IOMMU_DIRTY_PAGES, arg);
}

static void type1_destroy(struct plx_iommu *iommu)
{
	plx_sys->close(iommu->fd);
	plx_sys->free(iommu);
}

const struct plx_iommu_ops plx_type1_ops = {
	.name = "type 1 container",
	.translates = true,
	.pins = PLX_PINS_PROCESS,
	.map = type1_map,
	.unmap = type1_unmap,
	.unmap_all = type1_unmap_all,
	.track = type1_track,
	.dirty = type1_dirty,
	.ranges = type1_ranges,
	.destroy = type1_destroy,
};
