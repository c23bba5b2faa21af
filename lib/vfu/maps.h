/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's memory: which addresses it mapped for DMA, and where that is here.
 *
 * Maps are kept sorted, so any granularity is right. Looking one up hashes the address's 2 MiB
 * frame into a small cache of indexes and falls back to a binary search (16 steps at most), which
 * fills the cache.
 */
#ifndef PLX_VFU_MAPS_H
#define PLX_VFU_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sigbus.h"
#include "wire.h"

#define VFU_FRAME_SHIFT 21
#define VFU_CACHE	1024

struct vfu_map {
	uint64_t first, last; /* the client's addresses */
	char *va;	      /* of first; NULL: no file, only DMA_READ and DMA_WRITE reach it */
	uint32_t access;      /* PLX_DMA_* */
	uint32_t page;	      /* bytes: how the file is mapped */
};

struct vfu_maps {
	struct vfu_map *map;
	unsigned count, room;
	struct plx_sigbus_guard guard; /* a file may lose pages under us */
	uint16_t cache[VFU_CACHE];
};

/* What of the file is mapped here: whole pages around the map, which has one. */
static inline void *plx_vfu_map_start(const struct vfu_map *map)
{
	return map->va - ((uintptr_t)map->va & (map->page - 1));
}

static inline size_t plx_vfu_map_len(const struct vfu_map *map)
{
	uint64_t head = (uintptr_t)map->va & (map->page - 1);

	return (head + (map->last - map->first) + map->page) & ~(uint64_t)(map->page - 1);
}

/* -ENOMEM. From here on, holes in the files are survived. */
int plx_vfu_maps_init(struct vfu_maps *maps);

/* Unmaps all, too. A zeroed struct is fine. */
void plx_vfu_maps_fini(struct vfu_maps *maps);

/*
 * Maps what plx_vfu_check_map() let pass; fd -1: no file. The caller's fd stays its own. -EEXIST
 * (overlaps a map), -ENOSPC (VFU_MAX_MAPS), -EINVAL (the file ends before, or isn't memory: a
 * memfd, a file of tmpfs or hugetlbfs), -EACCES, -ENOMEM, ...
 */
int plx_vfu_maps_add(struct vfu_maps *maps, const struct vfu_dma_map *req, int fd);

/* -ENOENT: no map begins and ends just there. */
int plx_vfu_maps_remove(struct vfu_maps *maps, uint64_t addr, uint64_t size);
void plx_vfu_maps_clear(struct vfu_maps *maps);

/* The slow half of the look-up. */
const struct vfu_map *plx_vfu_maps_search(struct vfu_maps *maps, uint64_t addr);

/* The map that holds addr, or NULL. */
static inline const struct vfu_map *plx_vfu_maps_find(struct vfu_maps *maps, uint64_t addr)
{
	const struct vfu_map *map =
		&maps->map[maps->cache[addr >> VFU_FRAME_SHIFT & (VFU_CACHE - 1)]];

	if (__builtin_expect(addr >= map->first && addr <= map->last, 1))
		return map;
	return plx_vfu_maps_search(maps, addr);
}

#endif
