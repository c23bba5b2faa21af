/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What containers map: type1, and iommufd in its place.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/vfio.h>

#include "conform.h"

#define KIB  1024ull
#define MIB  (1024 * KIB)
#define IOVA (256 * MIB)
#define RW   (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

static int map(int fd, uint64_t iova, const void *va, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = sizeof(arg),
		.flags = flags,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return call(fd, VFIO_IOMMU_MAP_DMA, &arg);
}

static void unmap(const char *what, int fd, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap arg = {
		.argsz = sizeof(arg),
		.flags = flags,
		.iova = iova,
		.size = size,
	};
	int ret = call(fd, VFIO_IOMMU_UNMAP_DMA, &arg);

	tell(what, ret, "%llu KiB", (unsigned long long)arg.size / KIB);
}

/* Flags, page sizes and capabilities, in as many bytes as they take. */
static void info(const char *what, int fd, bool ranges)
{
	union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[4096];
	} a = { .info.argsz = sizeof(a) };
	char caps[300] = "";
	uint32_t at = 0;
	int ret = call(fd, VFIO_IOMMU_GET_INFO, &a), hops = 0;

	if (ret >= 0 && a.info.flags & VFIO_IOMMU_INFO_CAPS)
		at = a.info.cap_offset;
	for (; at && at + 8 <= sizeof(a) && hops < 8; hops++) {
		struct vfio_info_cap_header head;
		size_t len = strlen(caps);

		memcpy(&head, a.bytes + at, sizeof(head));
		snprintf(caps + len, sizeof(caps) - len, ", cap %u.%u", head.id, head.version);
		if (head.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE && ranges) {
			struct vfio_iommu_type1_info_cap_iova_range r;
			struct vfio_iova_range one;
			uint32_t i;

			memcpy(&r, a.bytes + at, sizeof(r));
			for (i = 0; i < r.nr_iovas && i < 4; i++) {
				memcpy(&one, a.bytes + at + sizeof(r) + i * sizeof(one),
				       sizeof(one));
				len = strlen(caps);
				snprintf(caps + len, sizeof(caps) - len, " %llx-%llx",
					 (unsigned long long)one.start,
					 (unsigned long long)one.end);
			}
		}
		if (head.id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL) {
			struct vfio_iommu_type1_info_dma_avail avail;

			memcpy(&avail, a.bytes + at, sizeof(avail));
			len = strlen(caps);
			snprintf(caps + len, sizeof(caps) - len, " %u", avail.avail);
		}
		at = head.next;
	}
	tell(what, ret, "flags %x, pages %llx, needs %u bytes%s", a.info.flags,
	     (unsigned long long)a.info.iova_pgsizes, a.info.argsz, caps);
}

static void infos(int fd)
{
	struct vfio_iommu_type1_info arg = { .argsz = sizeof(arg), .cap_offset = 77 };
	int ret;

	info("VFIO_IOMMU_GET_INFO", fd, true);
	ret = call(fd, VFIO_IOMMU_GET_INFO, &arg);
	tell("VFIO_IOMMU_GET_INFO without room for capabilities", ret, "needs %u bytes, offset %u",
	     arg.argsz, arg.cap_offset);
	arg = (struct vfio_iommu_type1_info){ .argsz = 16, .cap_offset = 77 };
	ret = call(fd, VFIO_IOMMU_GET_INFO, &arg);
	tell("VFIO_IOMMU_GET_INFO in the shortest form", ret, "flags %x, offset %u", arg.flags,
	     arg.cap_offset);
	arg.argsz = 15;
	check("VFIO_IOMMU_GET_INFO, too short", call(fd, VFIO_IOMMU_GET_INFO, &arg));
	check("VFIO_IOMMU_GET_INFO of no memory", call(fd, VFIO_IOMMU_GET_INFO, NULL));
}

static void wrong_maps(int fd, char *mem)
{
	struct vfio_iommu_type1_dma_map arg = { .argsz = sizeof(arg) - 1, .flags = RW };

	check("map, too short", call(fd, VFIO_IOMMU_MAP_DMA, &arg));
	check("map of no argument", call(fd, VFIO_IOMMU_MAP_DMA, NULL));
	check("map of nothing", map(fd, IOVA, mem, 0, RW));
	check("map for neither reading nor writing", map(fd, IOVA, mem, CONFORM_MEM, 0));
	check("map with a flag that isn't there", map(fd, IOVA, mem, CONFORM_MEM, RW | 1u << 9));
	check("map at half a page", map(fd, IOVA + 2048, mem, CONFORM_MEM, RW));
	check("map of half a page", map(fd, IOVA, mem, 2048, RW));
	check("map from half a page", map(fd, IOVA, mem + 2048, 4096, RW));
	check("map over the end of addresses", map(fd, -4096ull, mem, 2 * 4096, RW));
	check("map up to the end of addresses", map(fd, -4096ull, mem, 4096, RW));
	check("map of all addresses", map(fd, 0, mem, -4096ull, RW));
	check("map in the hole for interrupts", map(fd, 0xfee00000, mem, 4096, RW));
	check("map into the hole for interrupts",
	      map(fd, 0xfee00000 - CONFORM_MEM + 4096, mem, CONFORM_MEM, RW));
	check("map beyond the width", map(fd, 1ull << 50, mem, 4096, RW));
	check("map of memory that isn't there", map(fd, IOVA, (void *)4096, 4096, RW));
	check("map of the kernel's memory",
	      map(fd, IOVA, (void *)(uintptr_t)0xffff888000000000, 4096, RW));
}

static void maps(int fd, char *mem)
{
	check("map", map(fd, IOVA, mem, CONFORM_MEM, RW));
	check("map again", map(fd, IOVA, mem, CONFORM_MEM, RW));
	check("map over the beginning", map(fd, IOVA - 4096, mem, 8192, RW));
	check("map over the end", map(fd, IOVA + CONFORM_MEM - 4096, mem, 8192, RW));
	check("map inside", map(fd, IOVA + 4096, mem, 4096, RW));
	check("map around", map(fd, IOVA - 4096, mem, CONFORM_MEM, RW));
	check("map right before, to be read",
	      map(fd, IOVA - 4096, mem, 4096, VFIO_DMA_MAP_FLAG_READ));
	check("map right behind, to be written",
	      map(fd, IOVA + CONFORM_MEM, mem, 4096, VFIO_DMA_MAP_FLAG_WRITE));
	check("map the same memory elsewhere", map(fd, 2 * IOVA, mem, CONFORM_MEM, RW));
	check("map at 0", map(fd, 0, mem, 4096, RW));
	info("VFIO_IOMMU_GET_INFO with five maps", fd, false);
}

static void unmaps(int fd, char *mem)
{
	struct vfio_iommu_type1_dma_unmap arg = { .argsz = sizeof(arg) - 1 };

	check("unmap, too short", call(fd, VFIO_IOMMU_UNMAP_DMA, &arg));
	check("unmap of no argument", call(fd, VFIO_IOMMU_UNMAP_DMA, NULL));
	unmap("unmap with a flag that isn't there", fd, IOVA, CONFORM_MEM, 1u << 9);
	unmap("unmap of nothing", fd, IOVA, 0, 0);
	unmap("unmap at half a page", fd, IOVA + 2048, 4096, 0);
	unmap("unmap of half a page", fd, IOVA, 2048, 0);
	unmap("unmap over the end of addresses", fd, -4096ull, 8192, 0);
	unmap("unmap where nothing is", fd, 16 * IOVA, 4096, 0);
	unmap("unmap all, with a size", fd, 0, 4096, VFIO_DMA_UNMAP_FLAG_ALL);
	unmap("unmap all, from somewhere", fd, 4096, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	unmap("unmap of the second half", fd, IOVA + CONFORM_MEM / 2, CONFORM_MEM / 2, 0);
	unmap("unmap of the middle", fd, IOVA + 4096, 4096, 0);
	unmap("unmap of the first half", fd, 2 * IOVA, CONFORM_MEM / 2, 0);
	unmap("unmap of what is left", fd, 2 * IOVA, CONFORM_MEM, 0);
	unmap("unmap of a map and half of the next", fd, IOVA - 4096, 4096 + CONFORM_MEM / 2, 0);
	unmap("unmap of three in a row, if they are left", fd, IOVA - 4096, CONFORM_MEM + 8192, 0);
	unmap("unmap with room around", fd, 0, 65536, 0);
	check("map once more", map(fd, IOVA, mem, CONFORM_MEM, RW));
	check("map one more", map(fd, 2 * IOVA, mem, 4096, RW));
	unmap("unmap all", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	unmap("unmap all of nothing", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
}

static int dirty(int fd, uint32_t flags)
{
	struct vfio_iommu_type1_dirty_bitmap arg = { .argsz = sizeof(arg), .flags = flags };

	return call(fd, VFIO_IOMMU_DIRTY_PAGES, &arg);
}

static int get_dirty(int fd, uint64_t iova, uint64_t size, uint64_t page, uint64_t bytes,
		     uint64_t *bits)
{
	struct vfio_iommu_type1_dirty_bitmap_get get = {
		.iova = iova,
		.size = size,
		.bitmap = { .pgsize = page, .size = bytes, .data = (void *)bits },
	};
	uint64_t room[(sizeof(struct vfio_iommu_type1_dirty_bitmap) + sizeof(get)) / 8];
	struct vfio_iommu_type1_dirty_bitmap *arg = (void *)room;

	arg->argsz = sizeof(room);
	arg->flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	memcpy(arg->data, &get, sizeof(get));
	return call(fd, VFIO_IOMMU_DIRTY_PAGES, arg);
}

static void dirt(int fd, char *mem)
{
	struct vfio_iommu_type1_dirty_bitmap arg = { .argsz = sizeof(arg) - 1 };
	uint64_t bits[CONFORM_MEM / 4096 / 64] = { 0 };
	uint64_t bytes = sizeof(bits);
	int ret;

	check("map to be watched", map(fd, IOVA, mem, CONFORM_MEM, RW));
	check("map to be watched, read only",
	      map(fd, IOVA + CONFORM_MEM, mem, 4096, VFIO_DMA_MAP_FLAG_READ));
	check("VFIO_IOMMU_DIRTY_PAGES, too short", call(fd, VFIO_IOMMU_DIRTY_PAGES, &arg));
	check("VFIO_IOMMU_DIRTY_PAGES of no argument", call(fd, VFIO_IOMMU_DIRTY_PAGES, NULL));
	check("VFIO_IOMMU_DIRTY_PAGES to no end", dirty(fd, 0));
	check("VFIO_IOMMU_DIRTY_PAGES with a flag that isn't there", dirty(fd, 1u << 9));
	check("VFIO_IOMMU_DIRTY_PAGES, start and stop", dirty(fd, 3));
	check("dirty pages before they are watched",
	      get_dirty(fd, IOVA, CONFORM_MEM, 4096, bytes, bits));
	check("dirty pages, stop before start", dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
	check("dirty pages, start", dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	check("dirty pages, start again", dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	ret = get_dirty(fd, IOVA, CONFORM_MEM, 4096, bytes, bits);
	tell("dirty pages", ret, "%llx %llx", (unsigned long long)bits[0],
	     (unsigned long long)bits[CONFORM_MEM / 4096 / 64 - 1]);
	bits[0] = 0;
	ret = get_dirty(fd, IOVA + CONFORM_MEM, 4096, 4096, 8, bits);
	tell("dirty pages where devices may not write", ret, "%llx", (unsigned long long)bits[0]);
	check("dirty pages of half a map", get_dirty(fd, IOVA, CONFORM_MEM / 2, 4096, bytes, bits));
	check("dirty pages from half a map",
	      get_dirty(fd, IOVA + CONFORM_MEM / 2, CONFORM_MEM / 2, 4096, bytes, bits));
	check("dirty pages where nothing is mapped", get_dirty(fd, 16 * IOVA, 4096, 4096, 8, bits));
	check("dirty pages of a page size that isn't there",
	      get_dirty(fd, IOVA, CONFORM_MEM, 1 << 16, bytes, bits));
	check("dirty pages into too short a map", get_dirty(fd, IOVA, CONFORM_MEM, 4096, 8, bits));
	check("dirty pages of nothing", get_dirty(fd, IOVA, 0, 4096, 8, bits));
	check("dirty pages, stop", dirty(fd, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP));
	check("dirty pages after", get_dirty(fd, IOVA, CONFORM_MEM, 4096, bytes, bits));
	unmap("unmap of what was watched", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
}

/* Memory of the device, by the address at which it is mapped. */
static void bars(int fd, int dev)
{
	void *bar;

	conform_memory(dev, true);
	bar = conform_bar(dev, 0);
	check("map of a BAR", map(fd, IOVA, bar, 8192, RW));
	check("map of all of a BAR", map(fd, 2 * IOVA, bar, CONFORM_BAR, RW));
	unmap("unmap of a BAR", fd, IOVA, 8192, 0);
	unmap("unmap of all that is a BAR's", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	conform_memory(dev, false);
	check("map of a BAR with memory off", map(fd, IOVA, bar, 8192, RW));
	unmap("unmap of a BAR with memory off", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	conform_memory(dev, true);
	check("map of a BAR with memory on again", map(fd, IOVA, bar, 8192, RW));
	unmap("unmap of it", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	plx_sys->munmap(bar, CONFORM_BAR);
}

/* The last group leaves, and another comes. */
static void leave(const struct conform *c, int fd, unsigned int type, int group)
{
	check("map to be left", map(fd, IOVA, c->mem, CONFORM_MEM, RW));
	check("leave", call(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	check("map without a group", map(fd, 2 * IOVA, c->mem, CONFORM_MEM, RW));
	check("come", call(group, VFIO_GROUP_SET_CONTAINER, &fd));
	check("VFIO_SET_IOMMU after coming back", call_int(fd, VFIO_SET_IOMMU, type));
	check("map where one was left", map(fd, IOVA, c->mem, CONFORM_MEM, RW));
	unmap("unmap all that is left", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
}

/* As many maps and bytes as there may be, and one more. */
void conform_limits(const struct conform *c, const char *path)
{
	char name[32], what[32];
	int group, fd, dev, i;

	snprintf(name, sizeof(name), "%s", c->dev[0].bdf);
	scene("%s, limits", path);
	group = must("the group", group_open(&c->dev[0]));
	c->env->entries(3);
	fd = must("a container", node_open(path));
	must("VFIO_GROUP_SET_CONTAINER", call(group, VFIO_GROUP_SET_CONTAINER, &fd));
	must("VFIO_SET_IOMMU", call_int(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	c->env->entries(65535);
	dev = must("VFIO_GROUP_GET_DEVICE_FD", call(group, VFIO_GROUP_GET_DEVICE_FD, name));
	for (i = 0; i < 4; i++) {
		snprintf(what, sizeof(what), "map %d", i);
		check(what, map(fd, (i + 1) * IOVA, c->mem, 4096, RW));
	}
	info("VFIO_IOMMU_GET_INFO with all maps", fd, false);
	check("map over one, with none left", map(fd, IOVA, c->mem, 4096, RW));
	check("map in the hole, with none left", map(fd, 0xfee00000, c->mem, 4096, RW));
	unmap("unmap one", fd, IOVA, 4096, 0);
	check("map once more", map(fd, IOVA, c->mem, 4096, RW));
	unmap("unmap all", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	c->env->memlock(CONFORM_MEM / 2);
	check("map as much as may be locked", map(fd, IOVA, c->mem, CONFORM_MEM / 2, RW));
	check("map more than may be locked",
	      map(fd, 2 * IOVA, (char *)c->mem + CONFORM_MEM / 2, 4096, RW));
	unmap("unmap it", fd, IOVA, CONFORM_MEM / 2, 0);
	check("map all at once", map(fd, IOVA, c->mem, CONFORM_MEM, RW));
	c->env->memlock(UINT64_MAX);
	check("map without a limit", map(fd, IOVA, c->mem, CONFORM_MEM, RW));
	unmap("unmap all of it", fd, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	node_close(dev);
	node_close(group);
	node_close(fd);
}

void conform_type1(const struct conform *c, const char *path, unsigned int type)
{
	char name[32];
	int group, fd, dev;

	snprintf(name, sizeof(name), "%s", c->dev[0].bdf);
	scene("%s, type1%s", path, type == VFIO_TYPE1v2_IOMMU ? "v2" : "");
	group = must("the group", group_open(&c->dev[0]));
	fd = must("a container", node_open(path));
	must("VFIO_GROUP_SET_CONTAINER", call(group, VFIO_GROUP_SET_CONTAINER, &fd));
	must("VFIO_SET_IOMMU", call_int(fd, VFIO_SET_IOMMU, type));
	info("VFIO_IOMMU_GET_INFO before a device is open", fd, true);
	dev = must("VFIO_GROUP_GET_DEVICE_FD", call(group, VFIO_GROUP_GET_DEVICE_FD, name));
	infos(fd);
	wrong_maps(fd, c->mem);
	maps(fd, c->mem);
	unmaps(fd, c->mem);
	dirt(fd, c->mem);
	bars(fd, dev);
	check("an unknown command", call(fd, _IO(';', 0xf0), NULL));
	if (type == VFIO_TYPE1v2_IOMMU)
		conform_device(c, dev, true);
	scene("%s, type1%s", path, type == VFIO_TYPE1v2_IOMMU ? "v2" : "");
	node_close(dev);
	leave(c, fd, type, group);
	node_close(group);
	node_close(fd);
}
