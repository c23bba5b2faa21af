/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd without a device, and with one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include <linux/vfio.h>

#include "conform.h"
#include "conform_iommufd.h"

#define KIB  1024ull
#define MIB  (1024 * KIB)
#define IOVA (256 * MIB)
#define NONE CONFORM_NO_ID

uint32_t ioas_new(int fd)
{
	struct fk_ioas_alloc arg = { .size = sizeof(arg) };

	must("IOMMU_IOAS_ALLOC", call(fd, FK_IOAS_ALLOC, &arg));
	return arg.out_ioas_id;
}

int destroy(int fd, uint32_t id)
{
	struct fk_destroy arg = { .size = sizeof(arg), .id = id };

	return call(fd, FK_DESTROY, &arg);
}

int map(int fd, uint32_t ioas, uint64_t iova, const void *va, uint64_t size, uint32_t flags)
{
	struct fk_ioas_map arg = {
		.size = sizeof(arg),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = size,
		.iova = iova,
	};

	return call(fd, FK_IOAS_MAP, &arg);
}

int map_file(int fd, uint32_t ioas, uint64_t iova, int file, uint64_t start, uint64_t size,
	     uint32_t flags)
{
	struct fk_map_file arg = {
		.size = sizeof(arg),
		.flags = flags,
		.ioas_id = ioas,
		.fd = file,
		.start = start,
		.length = size,
		.iova = iova,
	};

	return call(fd, FK_MAP_FILE, &arg);
}

void unmap(const char *what, int fd, uint32_t ioas, uint64_t iova, uint64_t size)
{
	struct fk_ioas_unmap arg = {
		.size = sizeof(arg), .ioas_id = ioas, .iova = iova, .length = size
	};
	int ret = call(fd, FK_IOAS_UNMAP, &arg);

	tell(what, ret, "%llu KiB", (unsigned long long)arg.length / KIB);
}

int copy(int fd, uint32_t to, uint64_t iova, uint32_t from, uint64_t at, uint64_t size,
	 uint32_t flags)
{
	struct fk_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dst_ioas_id = to,
		.src_ioas_id = from,
		.length = size,
		.dst_iova = iova,
		.src_iova = at,
	};

	return call(fd, FK_IOAS_COPY, &arg);
}

void ranges(const char *what, int fd, uint32_t ioas, uint32_t room)
{
	struct fk_iova_range range[8] = { 0 };
	struct fk_iova_ranges arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.num_iovas = room,
		.allowed_iovas = (uintptr_t)range,
	};
	int ret = call(fd, FK_IOVA_RANGES, &arg);

	/* The count is told with the error, too. */
	tell(what, ret == -EMSGSIZE ? 0 : ret, "%s%u: %llx-%llx %llx-%llx, aligned to %llu",
	     ret ? "EMSGSIZE " : "", arg.num_iovas, (unsigned long long)range[0].start,
	     (unsigned long long)range[0].last, (unsigned long long)range[1].start,
	     (unsigned long long)range[1].last, (unsigned long long)arg.out_iova_alignment);
}

/* What holds for all commands, tried with one. */
static void sizes(int fd)
{
	struct {
		struct fk_ioas_alloc alloc;
		uint32_t more[5];
	} arg = { .alloc.size = 4 };

	check("a command of its size alone", call(fd, FK_IOAS_ALLOC, &arg));
	arg.alloc.size = 3;
	check("a command of less", call(fd, FK_IOAS_ALLOC, &arg));
	arg.alloc.size = sizeof(arg.alloc) - 1;
	check("a command that is too short", call(fd, FK_IOAS_ALLOC, &arg));
	arg.alloc.size = sizeof(arg);
	check("a longer command, with zeroes", call(fd, FK_IOAS_ALLOC, &arg));
	arg.more[4] = 1;
	check("a longer command, with something in it", call(fd, FK_IOAS_ALLOC, &arg));
	arg = (typeof(arg)){ .alloc.size = sizeof(arg.alloc), .alloc.flags = 1 };
	check("IOMMU_IOAS_ALLOC with a flag that isn't there", call(fd, FK_IOAS_ALLOC, &arg));
	check("IOMMU_IOAS_ALLOC of no argument", call(fd, FK_IOAS_ALLOC, NULL));
	check("IOMMU_IOAS_MAP of no argument", call(fd, FK_IOAS_MAP, NULL));
	check("an unknown command", call(fd, _IO(';', 0xf0), &arg));
	check("a command of another kind", call(fd, _IO('x', 0x81), &arg));
	check("IOMMU_DESTROY of nothing", destroy(fd, NONE));
	check("IOMMU_DESTROY of 0", destroy(fd, 0));
}

static void wrong_maps(int fd, uint32_t ioas, char *mem)
{
	struct fk_ioas_map arg = { .size = sizeof(arg),
				   .flags = FIX,
				   .ioas_id = ioas,
				   .reserved = 1,
				   .user_va = (uintptr_t)mem,
				   .length = 4096,
				   .iova = IOVA };

	check("map with something reserved", call(fd, FK_IOAS_MAP, &arg));
	check("map into nothing", map(fd, NONE, IOVA, mem, 4096, FIX));
	check("map with a flag that isn't there", map(fd, ioas, IOVA, mem, 4096, FIX | 8));
	check("map for neither reading nor writing",
	      map(fd, ioas, IOVA, mem, 4096, FK_MAP_FIXED_IOVA));
	check("map of nothing", map(fd, ioas, IOVA, mem, 0, FIX));
	check("map over the end of addresses", map(fd, ioas, -4096ull, mem, 8192, FIX));
	check("map of the longest length", map(fd, ioas, 0, mem, -1ull, FIX));
	check("map at the last address", map(fd, ioas, -1ull, mem, 4096, FIX));
	check("map of memory that isn't there", map(fd, ioas, 32 * IOVA, (void *)4096, 4096, FIX));
	unmap("unmap of memory that isn't there", fd, ioas, 32 * IOVA, 4096);
}

static void maps(int fd, uint32_t ioas, char *mem)
{
	struct fk_ioas_map arg = { .size = sizeof(arg),
				   .flags = RW,
				   .ioas_id = ioas,
				   .user_va = (uintptr_t)mem,
				   .length = CONFORM_MEM,
				   .iova = IOVA };
	int ret;

	check("map", map(fd, ioas, IOVA, mem, CONFORM_MEM, FIX));
	check("map again", map(fd, ioas, IOVA, mem, CONFORM_MEM, FIX));
	check("map over the beginning", map(fd, ioas, IOVA - 4096, mem, 8192, FIX));
	check("map over the end", map(fd, ioas, IOVA + CONFORM_MEM - 4096, mem, 8192, FIX));
	check("map right behind, to be read",
	      map(fd, ioas, IOVA + CONFORM_MEM, mem, 4096, FK_MAP_FIXED_IOVA | FK_MAP_READABLE));
	check("map right before, to be written",
	      map(fd, ioas, IOVA - 4096, mem, 4096, FK_MAP_FIXED_IOVA | FK_MAP_WRITEABLE));
	ret = call(fd, FK_IOAS_MAP, &arg);
	tell("map where the kernel likes", ret, "%s", arg.iova % 4096 ? "not aligned" : "aligned");
	unmap("unmap of what the kernel placed", fd, ioas, arg.iova, CONFORM_MEM);
}

static void unmaps(int fd, uint32_t ioas, char *mem)
{
	unmap("unmap in nothing", fd, NONE, IOVA, 4096);
	unmap("unmap of nothing", fd, ioas, IOVA, 0);
	unmap("unmap where nothing is", fd, ioas, 16 * IOVA, 4096);
	unmap("unmap over the end of addresses", fd, ioas, -4096ull, 8192);
	unmap("unmap of the second half", fd, ioas, IOVA + CONFORM_MEM / 2, CONFORM_MEM / 2);
	unmap("unmap of the middle", fd, ioas, IOVA + 4096, 4096);
	unmap("unmap of the first half", fd, ioas, IOVA, CONFORM_MEM / 2);
	unmap("unmap of a map and half of the next", fd, ioas, IOVA - 4096, 4096 + CONFORM_MEM / 2);
	unmap("unmap of what is left of it", fd, ioas, IOVA - 4096, 4096);
	unmap("unmap of the whole map", fd, ioas, IOVA, CONFORM_MEM);
	unmap("unmap with room around", fd, ioas, IOVA, 16 * MIB);
	check("map once more", map(fd, ioas, IOVA, mem, CONFORM_MEM, FIX));
	unmap("unmap all", fd, ioas, 0, -1ull);
	unmap("unmap all of nothing", fd, ioas, 0, -1ull);
	unmap("unmap of nearly all", fd, ioas, 4096, -1ull);
}

static void copies(int fd, uint32_t ioas, char *mem)
{
	uint32_t other = ioas_new(fd);

	check("map to be copied", map(fd, ioas, IOVA, mem, CONFORM_MEM, FIX));
	check("copy", copy(fd, other, 2 * IOVA, ioas, IOVA, CONFORM_MEM, FIX));
	check("copy again", copy(fd, other, 2 * IOVA, ioas, IOVA, CONFORM_MEM, FIX));
	check("copy of a part", copy(fd, other, IOVA, ioas, IOVA + 8192, 4096, FIX));
	check("copy of more than there is",
	      copy(fd, other, 4 * IOVA, ioas, IOVA, CONFORM_MEM + 4096, FIX));
	check("copy from where nothing is", copy(fd, other, 4 * IOVA, ioas, 16 * IOVA, 4096, FIX));
	check("copy of nothing", copy(fd, other, 4 * IOVA, ioas, IOVA, 0, FIX));
	check("copy from nowhere", copy(fd, other, 4 * IOVA, NONE, IOVA, 4096, FIX));
	check("copy to nowhere", copy(fd, NONE, 4 * IOVA, ioas, IOVA, 4096, FIX));
	check("copy with a flag that isn't there",
	      copy(fd, other, 4 * IOVA, ioas, IOVA, 4096, FIX | 8));
	check("copy for neither reading nor writing",
	      copy(fd, other, 4 * IOVA, ioas, IOVA, 4096, FK_MAP_FIXED_IOVA));
	check("copy within one", copy(fd, ioas, 4 * IOVA, ioas, IOVA, CONFORM_MEM, FIX));
	check("copy where the kernel likes", copy(fd, other, 0, ioas, IOVA, 4096, RW));
	unmap("unmap of the original", fd, ioas, IOVA, CONFORM_MEM);
	unmap("unmap of the copy", fd, other, 2 * IOVA, CONFORM_MEM);
	check("copy of what isn't there any more",
	      copy(fd, other, 8 * IOVA, ioas, IOVA, 4096, FIX));
	unmap("unmap of all in the first", fd, ioas, 0, -1ull);
	check("IOMMU_DESTROY with maps", destroy(fd, other));
	check("IOMMU_DESTROY again", destroy(fd, other));
}

static void files(int fd, uint32_t ioas, int file)
{
	int event = must("eventfd", plx_sys->eventfd(0, EFD_CLOEXEC));

	if (check("IOMMU_IOAS_MAP_FILE", map_file(fd, ioas, IOVA, file, 0, CONFORM_MEM, FIX)) ==
	    -ENOTTY) {
		node_close(event);
		return;
	}
	check("a file again", map_file(fd, ioas, IOVA, file, 0, CONFORM_MEM, FIX));
	check("half of a file",
	      map_file(fd, ioas, 2 * IOVA, file, CONFORM_MEM / 2, CONFORM_MEM / 2, FIX));
	check("more than a file", map_file(fd, ioas, 3 * IOVA, file, 0, 2 * CONFORM_MEM, FIX));
	check("nothing of a file", map_file(fd, ioas, 3 * IOVA, file, 0, 0, FIX));
	check("a file into nothing", map_file(fd, NONE, 3 * IOVA, file, 0, CONFORM_MEM, FIX));
	check("a file with a flag that isn't there",
	      map_file(fd, ioas, 3 * IOVA, file, 0, CONFORM_MEM, FIX | 8));
	check("a file for neither reading nor writing",
	      map_file(fd, ioas, 3 * IOVA, file, 0, CONFORM_MEM, FK_MAP_FIXED_IOVA));
	check("a file that isn't open", map_file(fd, ioas, 3 * IOVA, 4711, 0, CONFORM_MEM, FIX));
	check("a negative file", map_file(fd, ioas, 3 * IOVA, -1, 0, CONFORM_MEM, FIX));
	check("an eventfd for a file", map_file(fd, ioas, 3 * IOVA, event, 0, 4096, FIX));
	check("an iommufd for a file", map_file(fd, ioas, 3 * IOVA, fd, 0, 4096, FIX));
	unmap("unmap of files", fd, ioas, 0, -1ull);
	node_close(event);
}

static int vfio_ioas(int fd, uint16_t op, uint32_t id)
{
	struct fk_vfio_ioas arg = { .size = sizeof(arg), .ioas_id = id, .op = op };
	int ret = call(fd, FK_VFIO_IOAS, &arg);

	return ret < 0 ? ret : op == FK_VFIO_IOAS_GET && arg.ioas_id == id;
}

static void behind_vfio(int fd, uint32_t ioas)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct fk_vfio_ioas arg = { .size = sizeof(arg), .op = FK_VFIO_IOAS_GET, .reserved = 1 };

	check("IOMMU_VFIO_IOAS, get none", vfio_ioas(fd, FK_VFIO_IOAS_GET, 0));
	check("VFIO_IOMMU_GET_INFO without one", call(fd, VFIO_IOMMU_GET_INFO, &info));
	check("IOMMU_VFIO_IOAS, set to nothing", vfio_ioas(fd, FK_VFIO_IOAS_SET, NONE));
	check("IOMMU_VFIO_IOAS, set", vfio_ioas(fd, FK_VFIO_IOAS_SET, ioas));
	tell("IOMMU_VFIO_IOAS, get", 0, "%d", vfio_ioas(fd, FK_VFIO_IOAS_GET, ioas));
	check("VFIO_IOMMU_GET_INFO with one", call(fd, VFIO_IOMMU_GET_INFO, &info));
	check("VFIO_SET_IOMMU with one, without a group",
	      call_int(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	check("IOMMU_VFIO_IOAS, clear", vfio_ioas(fd, FK_VFIO_IOAS_CLEAR, 0));
	check("IOMMU_VFIO_IOAS, get after", vfio_ioas(fd, FK_VFIO_IOAS_GET, 0));
	check("IOMMU_VFIO_IOAS, clear again", vfio_ioas(fd, FK_VFIO_IOAS_CLEAR, 0));
	check("IOMMU_VFIO_IOAS, something else", vfio_ioas(fd, 17, ioas));
	check("IOMMU_VFIO_IOAS, something reserved", call(fd, FK_VFIO_IOAS, &arg));
}

int attach(int dev, uint32_t *pt)
{
	struct fk_attach_pt arg = { .argsz = sizeof(arg), .pt_id = *pt };
	int ret = call(dev, FK_ATTACH_PT, &arg);

	*pt = arg.pt_id;
	return ret;
}

int detach(int dev)
{
	struct fk_detach_pt arg = { .argsz = sizeof(arg) };

	return call(dev, FK_DETACH_PT, &arg);
}

/* Maps that are there before the device is, and can't be there with it. */
static void attach_late(int fd, int dev, char *mem)
{
	uint32_t ioas = ioas_new(fd), pt;

	check("map in the hole before there is one", map(fd, ioas, 0xfee00000, mem, 4096, FIX));
	pt = ioas;
	check("attach over the hole", attach(dev, &pt));
	unmap("unmap of what is in the way", fd, ioas, 0, -1ull);
	check("map beyond the width before there is one",
	      map(fd, ioas, 1ull << 50, mem, 4096, FIX));
	pt = ioas;
	check("attach over what is beyond the width", attach(dev, &pt));
	unmap("unmap of what is beyond", fd, ioas, 0, -1ull);
	check("map of half a page before there is a device", map(fd, ioas, IOVA, mem, 2048, FIX));
	pt = ioas;
	check("attach over half a page", attach(dev, &pt));
	unmap("unmap of half a page", fd, ioas, 0, -1ull);
	check("map before there is a device", map(fd, ioas, IOVA, mem, CONFORM_MEM, FIX));
	pt = ioas;
	check("attach to what is mapped", attach(dev, &pt));
	check("detach", detach(dev));
	check("IOMMU_DESTROY of what is left", destroy(fd, ioas));
}

static void attached(const struct conform *c, int fd, int dev, uint32_t devid)
{
	struct fk_attach_pt wrong = { .argsz = sizeof(wrong) - 1 };
	struct fk_detach_pt off = { .argsz = sizeof(off) - 1 };
	uint32_t ioas = ioas_new(fd), other = ioas_new(fd), pt = NONE;
	int ret;

	ranges("ranges before a device", fd, ioas, 8);
	ranges("ranges of nothing", fd, NONE, 8);
	check("attach, too short", call(dev, FK_ATTACH_PT, &wrong));
	check("attach to no argument", call(dev, FK_ATTACH_PT, NULL));
	wrong = (struct fk_attach_pt){ .argsz = sizeof(wrong), .flags = 1u << 9, .pt_id = ioas };
	check("attach with a flag that isn't there", call(dev, FK_ATTACH_PT, &wrong));
	check("attach to nothing", attach(dev, &pt));
	pt = 0;
	check("attach to 0", attach(dev, &pt));
	check("detach before", detach(dev));
	pt = ioas;
	ret = attach(dev, &pt); /* before pt is looked at: arguments have no order */
	tell("attach", ret, "another id: %d", pt != ioas);
	ret = attach(dev, &pt);
	tell("attach to the page table", ret, "another id: %d", pt != ioas);
	pt = ioas;
	check("attach again", attach(dev, &pt));
	ranges("ranges", fd, ioas, 8);
	ranges("ranges with room for one", fd, ioas, 1);
	ranges("ranges without room", fd, ioas, 0);
	check("map at half a page", map(fd, ioas, IOVA + 2048, c->mem, 4096, FIX));
	check("map of half a page", map(fd, ioas, IOVA, c->mem, 2048, FIX));
	check("map from half a page", map(fd, ioas, IOVA, (char *)c->mem + 2048, 4096, FIX));
	check("map in the hole for interrupts", map(fd, ioas, 0xfee00000, c->mem, 4096, FIX));
	check("map beyond the width", map(fd, ioas, 1ull << 50, c->mem, 4096, FIX));
	wrong_maps(fd, ioas, c->mem);
	maps(fd, ioas, c->mem);
	unmaps(fd, ioas, c->mem);
	copies(fd, ioas, c->mem);
	files(fd, ioas, c->file);
	conform_buffers(fd, ioas, dev, devid);
	check("IOMMU_DESTROY while attached", destroy(fd, ioas));
	check("map before it is left", map(fd, ioas, IOVA, c->mem, CONFORM_MEM, FIX));
	pt = other;
	check("attach elsewhere", attach(dev, &pt));
	check("IOMMU_DESTROY of what was left", destroy(fd, ioas));
	check("IOMMU_DESTROY of where it is", destroy(fd, other));
	check("detach, too short", call(dev, FK_DETACH_PT, &off));
	off = (struct fk_detach_pt){ .argsz = sizeof(off), .flags = 1u << 9 };
	check("detach with a flag that isn't there", call(dev, FK_DETACH_PT, &off));
	check("detach of no argument", call(dev, FK_DETACH_PT, NULL));
	check("detach from there", detach(dev));
	check("detach again", detach(dev));
	check("IOMMU_DESTROY after", destroy(fd, other));
	attach_late(fd, dev, c->mem);
}

void conform_iommufd(const struct conform *c)
{
	int fd = must("/dev/iommu", node_open("/dev/iommu")), dev;
	struct fk_bind_iommufd bind = { .argsz = 16, .iommufd = fd };
	uint32_t ioas;

	scene("iommufd");
	sizes(fd);
	ioas = ioas_new(fd);
	ranges("ranges without a device", fd, ioas, 8);
	wrong_maps(fd, ioas, c->mem);
	maps(fd, ioas, c->mem);
	unmaps(fd, ioas, c->mem);
	copies(fd, ioas, c->mem);
	files(fd, ioas, c->file);
	behind_vfio(fd, ioas);
	check("IOMMU_DESTROY", destroy(fd, ioas));
	check("map into what is gone", map(fd, ioas, IOVA, c->mem, 4096, FIX));
	scene("iommufd with a device");
	dev = must("the cdev", cdev_open(&c->dev[0]));
	must("bind", call(dev, FK_BIND_IOMMUFD, &bind));
	attached(c, fd, dev, bind.out_devid);
	scene("page tables");
	conform_tables(c, fd, dev, bind.out_devid);
	node_close(dev);
	node_close(fd);
}
