/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/magic.h>
#include <pollux/ioas.h>

#include "maps.h"
#include "sys.h"

#define ROOM_FIRST 64

_Static_assert((int)PLX_DMA_READ == VFU_MAP_READ && (int)PLX_DMA_WRITE == VFU_MAP_WRITE,
	       "the wire's bits are ours");
_Static_assert(VFU_MAX_MAPS <= UINT16_MAX, "the cache holds indexes");

/* Holds no address: what an empty table's look-ups land on. */
static const struct vfu_map nowhere = { .first = 1, .last = 0 };

/* All of the map: the client is dropped, whatever else it holds. */
static bool find_hole(const struct plx_sigbus_guard *guard, uintptr_t at,
		      struct plx_sigbus_hole *hole)
{
	const struct vfu_maps *maps =
		(const struct vfu_maps *)((const char *)guard - offsetof(struct vfu_maps, guard));

	for (unsigned i = 0; i < maps->count; i++) {
		const struct vfu_map *map = &maps->map[i];

		if (!map->va)
			continue;
		hole->start = plx_vfu_map_start(map);
		hole->len = plx_vfu_map_len(map);
		hole->ones = false;
		if (at - (uintptr_t)hole->start < hole->len)
			return true;
	}
	return false;
}

int plx_vfu_maps_init(struct vfu_maps *maps)
{
	memset(maps, 0, sizeof(*maps));
	maps->map = plx_sys->alloc(ROOM_FIRST * sizeof(*maps->map));
	if (!maps->map)
		return -ENOMEM;
	maps->room = ROOM_FIRST;
	maps->map[0] = nowhere;
	maps->guard.find = find_hole;
	plx_sigbus_join(&maps->guard);
	return 0;
}

void plx_vfu_maps_fini(struct vfu_maps *maps)
{
	if (!maps->map)
		return;
	plx_vfu_maps_clear(maps);
	plx_sigbus_leave(&maps->guard);
	plx_sys->free(maps->map);
	maps->map = NULL;
}

/* The first map that ends at addr or behind; count if none does. */
static unsigned position(const struct vfu_maps *maps, uint64_t addr)
{
	unsigned low = 0, high = maps->count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (maps->map[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct vfu_map *plx_vfu_maps_search(struct vfu_maps *maps, uint64_t addr)
{
	unsigned at = position(maps, addr);

	if (at == maps->count || maps->map[at].first > addr)
		return NULL;
	maps->cache[addr >> VFU_FRAME_SHIFT & (VFU_CACHE - 1)] = at;
	return &maps->map[at];
}

/* With the handler kept out: it walks the table. */
static void set_table(struct vfu_maps *maps, struct vfu_map *table, unsigned room)
{
	plx_sigbus_lock();
	memcpy(table, maps->map, maps->count * sizeof(*table));
	maps->map = table;
	maps->room = room;
	plx_sigbus_unlock();
}

static int grow(struct vfu_maps *maps)
{
	struct vfu_map *old = maps->map, *table;

	table = plx_sys->alloc(2 * maps->room * sizeof(*table));
	if (!table)
		return -ENOMEM;
	set_table(maps, table, 2 * maps->room);
	plx_sys->free(old);
	return 0;
}

static void insert(struct vfu_maps *maps, unsigned at, const struct vfu_map *map)
{
	plx_sigbus_lock();
	memmove(&maps->map[at + 1], &maps->map[at], (maps->count - at) * sizeof(*map));
	maps->map[at] = *map;
	maps->count++;
	plx_sigbus_unlock();
	memset(maps->cache, 0, sizeof(maps->cache));
}

/*
 * Only files that are memory: pages of a disk or of a FUSE server might take for ever to come. The
 * page size tells how mmap() wants its offset and length.
 */
static int check_file(int fd, const struct vfu_dma_map *req, uint32_t *page)
{
	struct statfs fs;
	struct stat st;

	if (plx_sys->fstat(fd, &st) || plx_sys->fstatfs(fd, &fs))
		return -errno;
	if (!S_ISREG(st.st_mode) || (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC))
		return -EINVAL;
	*page = fs.f_type == HUGETLBFS_MAGIC ? (uint32_t)fs.f_bsize : VFU_PAGE;
	return plx_vfu_within(req->offset, req->size, st.st_size) ? 0 : -EINVAL;
}

static int map_file(struct vfu_map *map, const struct vfu_dma_map *req, int fd)
{
	int prot = (map->access & PLX_DMA_READ ? PROT_READ : 0) |
		   (map->access & PLX_DMA_WRITE ? PROT_WRITE : 0);
	uint64_t head;
	char *va;
	int err;

	err = check_file(fd, req, &map->page);
	if (err)
		return err;
	head = req->offset & (map->page - 1);
	map->va = (char *)(uintptr_t)head; /* for the length */
	va = plx_sys->mmap(NULL, plx_vfu_map_len(map), prot, MAP_SHARED, fd, req->offset - head);
	if (va == MAP_FAILED)
		return -errno;
	map->va = va + head;
	return 0;
}

int plx_vfu_maps_add(struct vfu_maps *maps, const struct vfu_dma_map *req, int fd)
{
	unsigned at = position(maps, req->addr);
	struct vfu_map map = {
		.first = req->addr,
		.last = req->addr + (req->size - 1),
		.access = req->flags & PLX_DMA_RW,
	};
	int err;

	if (at < maps->count && maps->map[at].first <= map.last)
		return -EEXIST;
	if (maps->count == VFU_MAX_MAPS)
		return -ENOSPC;
	err = maps->count == maps->room ? grow(maps) : 0;
	if (!err && fd >= 0)
		err = map_file(&map, req, fd);
	if (!err)
		insert(maps, at, &map);
	return err;
}

static void unmap(const struct vfu_map *map)
{
	if (map->va)
		plx_sys->munmap(plx_vfu_map_start(map), plx_vfu_map_len(map));
}

int plx_vfu_maps_remove(struct vfu_maps *maps, uint64_t addr, uint64_t size)
{
	unsigned at = position(maps, addr);
	struct vfu_map map;

	if (at == maps->count || maps->map[at].first != addr ||
	    maps->map[at].last - addr != size - 1)
		return -ENOENT;
	map = maps->map[at];
	plx_sigbus_lock();
	maps->count--;
	memmove(&maps->map[at], &maps->map[at + 1], (maps->count - at) * sizeof(map));
	if (!maps->count)
		maps->map[0] = nowhere;
	plx_sigbus_unlock();
	memset(maps->cache, 0, sizeof(maps->cache));
	unmap(&map);
	return 0;
}

void plx_vfu_maps_clear(struct vfu_maps *maps)
{
	unsigned i, count = maps->count;

	plx_sigbus_lock();
	maps->count = 0;
	plx_sigbus_unlock();
	for (i = 0; i < count; i++)
		unmap(&maps->map[i]);
	maps->map[0] = nowhere;
	memset(maps->cache, 0, sizeof(maps->cache));
	__atomic_store_n(&maps->guard.faulted, false, __ATOMIC_RELAXED);
}
