/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page tables of an IOAS that are asked for by themselves, tracking of what devices write to, and
 * memory of devices: dma-bufs of their BARs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/vfio.h>

#include "conform.h"
#include "conform_iommufd.h"

#define MIB  (1ull << 20)
#define IOVA (256 * MIB)
#define BAR  0 /* of 128 KiB */

/* As far as every kernel needs it. */
#define HWPT_SIZE 24

static int hwpt_new(int fd, uint32_t dev, uint32_t pt, uint32_t flags, uint32_t *id)
{
	struct fk_hwpt_alloc arg = {
		.size = sizeof(arg), .flags = flags, .dev_id = dev, .pt_id = pt
	};
	int ret = call(fd, FK_HWPT_ALLOC, &arg);

	if (id)
		*id = arg.out_hwpt_id;
	return ret;
}

static int set_dirty(int fd, uint32_t hwpt, uint32_t flags)
{
	struct fk_set_dirty arg = { .size = sizeof(arg), .flags = flags, .hwpt_id = hwpt };

	return call(fd, FK_SET_DIRTY, &arg);
}

static int get_dirty(int fd, uint32_t hwpt, uint64_t iova, uint64_t length, uint64_t page,
		     uint32_t flags)
{
	uint64_t bits[CONFORM_MEM / 4096 / 64] = { 0 };
	struct fk_get_dirty arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = iova,
		.length = length,
		.page_size = page,
		.data = (uintptr_t)bits,
	};

	return call(fd, FK_GET_DIRTY, &arg);
}

static void wrong_tables(int fd, uint32_t dev, uint32_t ioas)
{
	struct fk_hwpt_alloc arg = { .size = HWPT_SIZE - 1, .dev_id = dev, .pt_id = ioas };

	check("IOMMU_HWPT_ALLOC, too short", call(fd, FK_HWPT_ALLOC, &arg));
	check("IOMMU_HWPT_ALLOC of no argument", call(fd, FK_HWPT_ALLOC, NULL));
	arg = (struct fk_hwpt_alloc){
		.size = HWPT_SIZE, .reserved = 1, .dev_id = dev, .pt_id = ioas
	};
	check("a page table with something reserved", call(fd, FK_HWPT_ALLOC, &arg));
	arg = (struct fk_hwpt_alloc){
		.size = sizeof(arg), .dev_id = dev, .pt_id = ioas, .data_len = 8
	};
	check("a page table with data of no kind", call(fd, FK_HWPT_ALLOC, &arg));
	arg.data_type = 4711;
	arg.data_len = 0;
	check("a page table of a kind without data", call(fd, FK_HWPT_ALLOC, &arg));
	check("a page table with a flag that isn't there", hwpt_new(fd, dev, ioas, 1u << 9, NULL));
	check("a page table for no device", hwpt_new(fd, CONFORM_NO_ID, ioas, 0, NULL));
	check("a page table for an IOAS", hwpt_new(fd, ioas, ioas, 0, NULL));
	check("a page table in nothing", hwpt_new(fd, dev, CONFORM_NO_ID, 0, NULL));
	check("a page table in a device", hwpt_new(fd, dev, dev, 0, NULL));
	/* Nested ones and those that track take an IOMMU that the lab's guests don't have. */
	check("a page table that tracks", hwpt_new(fd, dev, ioas, FK_HWPT_DIRTY_TRACKING, NULL));
}

static void wrong_tracking(int fd, uint32_t ioas, uint32_t hwpt)
{
	struct fk_set_dirty set = { .size = sizeof(set) - 1, .hwpt_id = hwpt };
	struct fk_get_dirty get = { .size = sizeof(get) - 1, .hwpt_id = hwpt };

	check("IOMMU_HWPT_SET_DIRTY_TRACKING, too short", call(fd, FK_SET_DIRTY, &set));
	check("IOMMU_HWPT_SET_DIRTY_TRACKING of no argument", call(fd, FK_SET_DIRTY, NULL));
	set = (struct fk_set_dirty){ .size = sizeof(set), .hwpt_id = hwpt, .reserved = 1 };
	check("tracking with something reserved", call(fd, FK_SET_DIRTY, &set));
	check("tracking with a flag that isn't there", set_dirty(fd, hwpt, 1u << 9));
	check("tracking of nothing", set_dirty(fd, CONFORM_NO_ID, FK_DIRTY_ENABLE));
	check("tracking of an IOAS", set_dirty(fd, ioas, FK_DIRTY_ENABLE));
	check("tracking where there is none, on", set_dirty(fd, hwpt, FK_DIRTY_ENABLE));
	check("tracking where there is none, off", set_dirty(fd, hwpt, 0));
	check("IOMMU_HWPT_GET_DIRTY_BITMAP, too short", call(fd, FK_GET_DIRTY, &get));
	check("IOMMU_HWPT_GET_DIRTY_BITMAP of no argument", call(fd, FK_GET_DIRTY, NULL));
	get = (struct fk_get_dirty){ .size = sizeof(get), .hwpt_id = hwpt, .reserved = 1 };
	check("dirty pages with something reserved", call(fd, FK_GET_DIRTY, &get));
	check("dirty pages with a flag that isn't there",
	      get_dirty(fd, hwpt, IOVA, CONFORM_MEM, 4096, 1u << 9));
	check("dirty pages of nothing", get_dirty(fd, CONFORM_NO_ID, IOVA, CONFORM_MEM, 4096, 0));
	check("dirty pages of an IOAS", get_dirty(fd, ioas, IOVA, CONFORM_MEM, 4096, 0));
	check("dirty pages where there is no tracking",
	      get_dirty(fd, hwpt, IOVA, CONFORM_MEM, 4096, 0));
}

void conform_tables(const struct conform *c, int fd, int dev, uint32_t devid)
{
	uint32_t ioas = ioas_new(fd), hwpt = 0, second = 0, pt;
	int ret;

	check("map before there is a page table", map(fd, ioas, IOVA, c->mem, CONFORM_MEM, FIX));
	wrong_tables(fd, devid, ioas);
	ret = hwpt_new(fd, devid, ioas, 0, &hwpt);
	tell("IOMMU_HWPT_ALLOC", ret, "an id of its own: %d", hwpt != ioas && hwpt != devid);
	ranges("ranges with a page table", fd, ioas, 8);
	check("map of half a page with a page table", map(fd, ioas, 2 * IOVA, c->mem, 2048, FIX));
	ret = hwpt_new(fd, devid, ioas, 0, &second);
	tell("a second page table", ret, "another: %d", second != hwpt);
	check("a page table in a page table", hwpt_new(fd, devid, hwpt, 0, NULL));
	check("IOMMU_DESTROY of an IOAS with page tables", destroy(fd, ioas));
	pt = hwpt;
	ret = attach(dev, &pt);
	tell("attach to a page table", ret, "another id: %d", pt != hwpt);
	ranges("ranges with a device behind it", fd, ioas, 8);
	check("map behind it", map(fd, ioas, 2 * IOVA, c->mem, CONFORM_MEM, FIX));
	wrong_tracking(fd, ioas, hwpt);
	check("IOMMU_DESTROY of a page table in use", destroy(fd, hwpt));
	pt = second;
	check("attach to the second page table", attach(dev, &pt));
	check("IOMMU_DESTROY of the first", destroy(fd, hwpt));
	check("attach to a page table that is gone", attach(dev, &hwpt));
	check("detach from the page table", detach(dev));
	check("IOMMU_DESTROY of the second", destroy(fd, second));
	check("IOMMU_DESTROY of it again", destroy(fd, second));
	unmap("unmap of both", fd, ioas, 0, -1ull);
	check("IOMMU_DESTROY without page tables", destroy(fd, ioas));
}

/*
 * Memory of the device.
 */
struct range {
	uint64_t offset, length;
};

static int export(int dev, uint32_t index, uint32_t flags, uint32_t count,
		  const struct range *range, size_t len)
{
	struct { /* struct vfio_device_feature, and struct fk_dma_buf as its data */
		uint32_t argsz, feature;
		uint32_t region_index, open_flags, flags, nr_ranges;
		struct range range[2];
	} arg = {
		.argsz = sizeof(struct vfio_device_feature) + len,
		.feature = VFIO_DEVICE_FEATURE_GET | FK_FEATURE_DMA_BUF,
		.region_index = index,
		.open_flags = O_RDWR | O_CLOEXEC,
		.flags = flags,
		.nr_ranges = count,
	};

	memcpy(arg.range, range, (count < 2 ? count : 2) * sizeof(*range));
	return call(dev, VFIO_DEVICE_FEATURE, &arg);
}

static int export_one(int dev, uint32_t index, uint64_t offset, uint64_t length)
{
	const struct range range = { offset, length };

	return export(dev, index, 0, 1, &range, sizeof(struct fk_dma_buf) + sizeof(range));
}

/* Descriptors have numbers that depend on what else is open. */
static int told(const char *what, int fd)
{
	check(what, fd < 0 ? fd : 0);
	return fd;
}

static void wrong_exports(int dev)
{
	const struct range two[2] = { { 0, 4096 }, { 8192, 4096 } };
	const struct range twice[2] = { { 0, 8192 }, { 4096, 4096 } };
	const size_t one = sizeof(struct fk_dma_buf) + sizeof(two[0]);

	node_close(told("a dma-buf with a flag", export(dev, BAR, 1, 1, two, one)));
	node_close(
		told("a dma-buf of no range", export(dev, BAR, 0, 0, two, one - sizeof(two[0]))));
	node_close(told("a dma-buf without its range",
			export(dev, BAR, 0, 1, two, one - sizeof(two[0]))));
	node_close(told("a dma-buf, too short", export(dev, BAR, 0, 1, two, 15)));
	node_close(told("a dma-buf of far too many ranges",
			export(dev, BAR, 0, UINT32_MAX, two, one)));
	node_close(told("a dma-buf of nothing", export_one(dev, BAR, 0, 0)));
	node_close(told("a dma-buf of half a page", export_one(dev, BAR, 0, 2048)));
	node_close(told("a dma-buf from half a page", export_one(dev, BAR, 2048, 4096)));
	node_close(told("a dma-buf past the end", export_one(dev, BAR, 124 << 10, 8192)));
	node_close(told("a dma-buf behind the end", export_one(dev, BAR, 128 << 10, 4096)));
	node_close(told("a dma-buf over the end of offsets", export_one(dev, BAR, -4096ull, 8192)));
	node_close(told("a dma-buf of a BAR of ports", export_one(dev, 2, 0, 4096)));
	node_close(told("a dma-buf of a BAR that isn't there", export_one(dev, 4, 0, 4096)));
	node_close(told("a dma-buf of config space",
			export_one(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, 4096)));
	node_close(told("a dma-buf of no region", export_one(dev, 4711, 0, 4096)));
	node_close(
		told("a dma-buf of two ranges", export(dev, BAR, 0, 2, two, one + sizeof(two[0]))));
	node_close(told("a dma-buf of ranges that overlap",
			export(dev, BAR, 0, 2, twice, one + sizeof(two[0]))));
}

static void mapped_buffers(int fd, uint32_t ioas, int dev, uint32_t devid, int buf)
{
	uint32_t other = ioas_new(fd), hwpt = 0;
	int again;

	/* With a page table copies are looked at when they are made. */
	must("a page table", hwpt_new(fd, devid, other, 0, &hwpt));

	check("map of a dma-buf", map_file(fd, ioas, IOVA, buf, 0, 8192, FIX));
	check("map of it again", map_file(fd, ioas, IOVA, buf, 0, 8192, FIX));
	check("map of its second half", map_file(fd, ioas, 2 * IOVA, buf, 4096, 4096, FIX));
	check("map of more of it", map_file(fd, ioas, 3 * IOVA, buf, 0, 16384, FIX));
	check("map behind its end", map_file(fd, ioas, 3 * IOVA, buf, 8192, 4096, FIX));
	check("map from half a page of it", map_file(fd, ioas, 3 * IOVA, buf, 2048, 4096, FIX));
	check("map of nothing of it", map_file(fd, ioas, 3 * IOVA, buf, 0, 0, FIX));
	check("map of it in the hole", map_file(fd, ioas, 0xfee00000, buf, 0, 4096, FIX));
	check("map of it to be read",
	      map_file(fd, ioas, 3 * IOVA, buf, 0, 4096, FK_MAP_FIXED_IOVA | FK_MAP_READABLE));
	check("copy of its map", copy(fd, other, IOVA, ioas, IOVA, 8192, FIX));
	unmap("unmap of its copy", fd, other, 0, -1ull);
	unmap("unmap of its map", fd, ioas, IOVA, 8192);
	conform_memory(dev, false);
	check("map of it with memory off", map_file(fd, ioas, IOVA, buf, 0, 8192, FIX));
	check("copy of its map with memory off",
	      copy(fd, other, 2 * IOVA, ioas, 2 * IOVA, 4096, FIX));
	again = told("a dma-buf with memory off", export_one(dev, BAR, 0, 8192));
	node_close(again);
	conform_memory(dev, true);
	check("map of it with memory on again", map_file(fd, ioas, 4 * IOVA, buf, 0, 8192, FIX));
	check("a reset with maps of it", call(dev, VFIO_DEVICE_RESET, NULL));
	conform_memory(dev, true);
	check("copy of its map after a reset",
	      copy(fd, other, 3 * IOVA, ioas, 3 * IOVA, 4096, FK_MAP_FIXED_IOVA | FK_MAP_READABLE));
	check("map of it after a reset", map_file(fd, ioas, 5 * IOVA, buf, 0, 8192, FIX));
	unmap("unmap of what is left of it", fd, ioas, 0, -1ull);
	unmap("unmap of its copies", fd, other, 0, -1ull);
	must("IOMMU_DESTROY of the page table", destroy(fd, hwpt));
	check("IOMMU_DESTROY of where it was copied to", destroy(fd, other));
}

void conform_buffers(int fd, uint32_t ioas, int dev, uint32_t devid)
{
	void *bar;
	int buf;

	conform_memory(dev, true);
	bar = conform_bar(dev, BAR);
	check("map of a BAR by address", map(fd, ioas, IOVA, bar, 8192, FIX));
	unmap("unmap of a BAR", fd, ioas, 0, -1ull);
	plx_sys->munmap(bar, CONFORM_BAR);
	buf = told("a dma-buf", export_one(dev, BAR, 4096, 8192));
	if (buf < 0)
		return;
	wrong_exports(dev);
	mapped_buffers(fd, ioas, dev, devid, buf);
	node_close(buf);
	buf = told("a dma-buf of all", export_one(dev, BAR, 0, 128 << 10));
	check("map of all", map_file(fd, ioas, IOVA, buf, 0, 128 << 10, FIX));
	node_close(buf);
	unmap("unmap of all after its file was closed", fd, ioas, IOVA, 128 << 10);
}
