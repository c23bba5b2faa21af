/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices without an IOMMU: by the group, and by the cdev where the kernel has it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/vfio.h>

#include "conform.h"
#include "fake_abi.h"

#define IOVA (256ull << 20)
#define FIX  (FK_MAP_READABLE | FK_MAP_WRITEABLE | FK_MAP_FIXED_IOVA)

static int closed(int fd)
{
	node_close(fd);
	return fd;
}

static void extensions(const char *what, int container)
{
	tell(what, 0, "type1 %d, type1v2 %d, no-IOMMU %d, unmap all %d",
	     call_int(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU),
	     call_int(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU),
	     call_int(container, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU),
	     call_int(container, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL));
}

static int get_device(const struct conform *c, int group)
{
	char name[32];

	snprintf(name, sizeof(name), "%s", c->dev[0].bdf);
	return call(group, VFIO_GROUP_GET_DEVICE_FD, name);
}

/* What a container of type1 would do. */
static void memory(const struct conform *c, int fd)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)c->mem,
		.iova = IOVA,
		.size = CONFORM_MEM,
	};
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap),
						    .iova = IOVA,
						    .size = CONFORM_MEM };

	check("VFIO_IOMMU_GET_INFO", call(fd, VFIO_IOMMU_GET_INFO, &info));
	check("VFIO_IOMMU_MAP_DMA", call(fd, VFIO_IOMMU_MAP_DMA, &map));
	check("VFIO_IOMMU_UNMAP_DMA", call(fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
}

static void by_group(const struct conform *c, const char *path)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int group, fd, dev, ret;

	scene("no-IOMMU, %s", path);
	c->env->rawio(false);
	check("open of the group without CAP_SYS_RAWIO", closed(group_open(&c->dev[0])));
	c->env->rawio(true);
	group = must("the group", group_open(&c->dev[0]));
	fd = must("a container", node_open(path));
	check("a second open of the group", closed(group_open(&c->dev[0])));
	ret = call(group, VFIO_GROUP_GET_STATUS, &status);
	tell("VFIO_GROUP_GET_STATUS", ret, "%u", status.flags);
	extensions("VFIO_CHECK_EXTENSION", fd);
	c->env->rawio(false);
	check("VFIO_GROUP_SET_CONTAINER without CAP_SYS_RAWIO",
	      call(group, VFIO_GROUP_SET_CONTAINER, &fd));
	c->env->rawio(true);
	call(group, VFIO_GROUP_UNSET_CONTAINER, NULL);
	node_close(fd);
	fd = must("a container", node_open(path));
	check("VFIO_GROUP_SET_CONTAINER", call(group, VFIO_GROUP_SET_CONTAINER, &fd));
	extensions("VFIO_CHECK_EXTENSION inside", fd);
	check("VFIO_GROUP_GET_DEVICE_FD before VFIO_SET_IOMMU", closed(get_device(c, group)));
	check("VFIO_SET_IOMMU to type1v2", call_int(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	check("VFIO_SET_IOMMU to type1", call_int(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	c->env->rawio(false);
	check("VFIO_SET_IOMMU without CAP_SYS_RAWIO",
	      call_int(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	c->env->rawio(true);
	check("VFIO_SET_IOMMU", call_int(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	check("VFIO_SET_IOMMU again", call_int(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	extensions("VFIO_CHECK_EXTENSION with a type", fd);
	memory(c, fd);
	check("an unknown command", call(fd, _IO(';', 0xf0), NULL));
	c->env->rawio(false);
	check("VFIO_GROUP_GET_DEVICE_FD without CAP_SYS_RAWIO", closed(get_device(c, group)));
	c->env->rawio(true);
	dev = check("VFIO_GROUP_GET_DEVICE_FD", get_device(c, group));
	conform_device(c, dev, true);
	scene("no-IOMMU, %s", path);
	check("VFIO_GROUP_UNSET_CONTAINER with an open device",
	      call(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	node_close(dev);
	node_close(group);
	node_close(fd);
}

static void get_pa(const char *what, const struct conform *c, int fd, uint32_t ioas, uint64_t iova,
		   uint64_t length, uint32_t flags)
{
	struct fk_get_pa arg = {
		.size = sizeof(arg), .flags = flags, .ioas_id = ioas, .iova = iova, .length = length
	};
	int ret = call(fd, FK_GET_PA, &arg);
	uint64_t most = IOVA + CONFORM_MEM - iova;

	/* How much lies together depends on the memory. */
	(void)c;
	tell(what, ret, "%s, offset in the page %llu",
	     arg.length && arg.length <= length && arg.length <= most ? "some bytes" : "bad length",
	     (unsigned long long)arg.out_phys % 4096);
}

static int map(int fd, uint32_t ioas, uint64_t iova, const void *va, uint64_t size)
{
	struct fk_ioas_map arg = {
		.size = sizeof(arg),
		.flags = FIX,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = size,
		.iova = iova,
	};

	return call(fd, FK_IOAS_MAP, &arg);
}

static void addresses(const struct conform *c, int fd, int dev, uint32_t ioas)
{
	struct fk_attach_pt attach = { .argsz = sizeof(attach), .pt_id = ioas };
	struct fk_get_pa reserved = {
		.size = sizeof(reserved), .ioas_id = ioas, .iova = IOVA, .length = 1, .reserved = 1
	};
	struct fk_iova_range range[4] = { 0 };
	struct fk_iova_ranges ranges = {
		.size = sizeof(ranges),
		.ioas_id = ioas,
		.num_iovas = 4,
		.allowed_iovas = (uintptr_t)range,
	};
	struct fk_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = ioas, .iova = IOVA, .length = CONFORM_MEM
	};
	int ret;

	check("map", map(fd, ioas, IOVA, c->mem, CONFORM_MEM));
	get_pa("address before a device is attached", c, fd, ioas, IOVA, 4096, 0);
	ret = call(dev, FK_ATTACH_PT, &attach);
	tell("attach", ret, "another id: %d", attach.pt_id != ioas);
	ret = call(fd, FK_IOVA_RANGES, &ranges);
	tell("ranges", ret, "%u: %llx-%llx, aligned to %llu", ranges.num_iovas,
	     (unsigned long long)range[0].start, (unsigned long long)range[0].last,
	     (unsigned long long)ranges.out_iova_alignment);
	check("map in what would be the hole for interrupts",
	      map(fd, ioas, 0xfee00000, c->mem, 4096));
	check("map beyond what would be the width", map(fd, ioas, 1ull << 50, c->mem, 4096));
	check("map of half a page", map(fd, ioas, 2 * IOVA, c->mem, 2048));
	check("map again", map(fd, ioas, IOVA, c->mem, 4096));
	get_pa("address", c, fd, ioas, IOVA, 4096, 0);
	get_pa("address in the middle", c, fd, ioas, IOVA + 4096 + 24, 64, 0);
	get_pa("address of all", c, fd, ioas, IOVA, CONFORM_MEM, 0);
	get_pa("address of more than all", c, fd, ioas, IOVA, 1ull << 40, 0);
	get_pa("address of the last byte", c, fd, ioas, IOVA + CONFORM_MEM - 1, 1, 0);
	get_pa("address of nothing", c, fd, ioas, IOVA, 0, 0);
	get_pa("address of what isn't mapped", c, fd, ioas, 8 * IOVA, 4096, 0);
	get_pa("address in no address space", c, fd, 4711, IOVA, 4096, 0);
	get_pa("address with a flag that isn't there", c, fd, ioas, IOVA, 4096, 1);
	get_pa("address over the end of addresses", c, fd, ioas, -4096ull, 8192, 0);
	check("address with something reserved", call(fd, FK_GET_PA, &reserved));
	check("address of no argument", call(fd, FK_GET_PA, NULL));
	c->env->rawio(false);
	get_pa("address without CAP_SYS_RAWIO", c, fd, ioas, IOVA, 4096, 0);
	c->env->rawio(true);
	ret = call(fd, FK_IOAS_UNMAP, &unmap);
	tell("unmap", ret, "%llu KiB", (unsigned long long)unmap.length / 1024);
	get_pa("address after the unmap", c, fd, ioas, IOVA, 4096, 0);
}

static void by_cdev(const struct conform *c)
{
	struct fk_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct fk_bind_iommufd bind = { .argsz = 16 };
	struct fk_detach_pt detach = { .argsz = sizeof(detach) };
	int fd, dev, group;

	scene("no-IOMMU cdev");
	fd = must("/dev/iommu", node_open("/dev/iommu"));
	must("IOMMU_IOAS_ALLOC", call(fd, FK_IOAS_ALLOC, &alloc));
	get_pa("IOMMU_IOAS_NOIOMMU_GET_PA without a device", c, fd, alloc.out_ioas_id, IOVA, 1, 0);
	c->env->rawio(false);
	check("open without CAP_SYS_RAWIO", closed(cdev_open(&c->dev[0])));
	c->env->rawio(true);
	dev = check("open", cdev_open(&c->dev[0]));
	if (dev < 0) {
		node_close(fd);
		return;
	}
	bind.iommufd = fd;
	group = must("the group", group_open(&c->dev[0]));
	check("bind while the group is open", call(dev, FK_BIND_IOMMUFD, &bind));
	node_close(group);
	check("bind", call(dev, FK_BIND_IOMMUFD, &bind));
	check("the group while the cdev is bound", closed(group_open(&c->dev[0])));
	addresses(c, fd, dev, alloc.out_ioas_id);
	check("detach", call(dev, FK_DETACH_PT, &detach));
	conform_device(c, dev, false);
	node_close(dev);
	node_close(fd);
}

void conform_noiommu(const struct conform *c)
{
	by_group(c, "/dev/vfio/vfio");
	by_cdev(c);
}
