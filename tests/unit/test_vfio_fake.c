/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake kernel itself: the order rules and errnos that the other tests build upon are the
 * kernel's (each was read in Linux 6.12's sources or tried on it).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "fake_abi.h"
#include "fake_vfio.h"

#define VA  UINT64_C(0x7f0000000000)
#define M2  UINT64_C(0x200000)
#define BDF "0000:01:00.0"

static int sys(int fd, unsigned long request, void *arg)
{
	int ret = plx_sys->ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static int sys_int(int fd, unsigned long request, unsigned long arg)
{
	return sys(fd, request, (void *)arg);
}

static int get_device(int group, const char *name)
{
	return sys(group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name);
}

static int opened(const char *path)
{
	int fd = plx_sys->open(path, O_RDWR);

	return fd < 0 ? -errno : fd;
}

static struct fake_dev *boot(enum fake_flavour flavour)
{
	struct fake_dev *dev;

	fake_start(flavour);
	dev = fake_dev(BDF, 7);
	fake_publish();
	return dev;
}

static unsigned viable(int group)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	assert_int_equal(sys(group, VFIO_GROUP_GET_STATUS, &status), 0);
	return status.flags;
}

static int map(int fd, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map arg = { sizeof(arg), 3, VA + iova, iova, size };

	return sys(fd, VFIO_IOMMU_MAP_DMA, &arg);
}

static int64_t unmap(int fd, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap arg = { .argsz = sizeof(arg),
						  .iova = iova,
						  .size = size };
	int ret = sys(fd, VFIO_IOMMU_UNMAP_DMA, &arg);

	return ret < 0 ? ret : (int64_t)arg.size;
}

static void container_order(void **state)
{
	struct fake_dev *dev = boot(FAKE_A);
	int container = opened("/dev/vfio/vfio"), group = opened("/dev/vfio/7"), fd;

	(void)state;
	assert_true(container >= 0 && group >= 0);
	assert_int_equal(opened("/dev/vfio/7"), -EBUSY);
	assert_int_equal(opened("/dev/vfio/8"), -ENOENT);
	assert_int_equal(sys(container, VFIO_GET_API_VERSION, NULL), 0);
	assert_int_equal(sys_int(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU), 1);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), -EINVAL);
	assert_int_equal(map(container, 0, M2), -EINVAL);
	assert_int_equal(viable(group), VFIO_GROUP_FLAGS_VIABLE);
	assert_int_equal(get_device(group, BDF), -EINVAL);
	assert_int_equal(sys(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(sys(group, VFIO_GROUP_SET_CONTAINER, &container), -EINVAL);
	assert_int_equal(viable(group), 3);
	assert_int_equal(get_device(group, BDF), -EINVAL);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), -EINVAL);
	fd = get_device(group, BDF);
	assert_true(fd >= 0);
	assert_int_equal(get_device(group, "0000:01:00.1"), -ENODEV);
	assert_int_equal(sys(group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EBUSY);
	assert_int_equal(map(container, M2, M2), 0);
	assert_int_equal(map(container, M2 + 4096, 4096), -EEXIST);
	assert_int_equal(map(container, 0xfee00000, 4096), -EINVAL);
	assert_int_equal(map(container, 4 * M2 + 1, 4096), -EINVAL);
	assert_true(fake_dev_reach(dev, M2 + 5) == VA + M2 + 5);
	assert_true(fake_dev_reach(dev, 0) == UINT64_MAX);
	assert_int_equal(unmap(container, M2, 4096), -EINVAL);
	assert_int_equal(unmap(container, 8 * M2, 4096), 0);
	assert_int_equal(unmap(container, 0, 2 * M2), M2);
	assert_int_equal(map(container, M2, M2), 0);
	/* The device file holds its group, and that the container. */
	plx_sys->close(group);
	plx_sys->close(container);
	assert_int_equal(opened("/dev/vfio/7"), -EBUSY);
	assert_int_equal(fake_dev_maps(dev)->count, 1);
	plx_sys->close(fd);
	group = opened("/dev/vfio/7");
	assert_true(group >= 0);
	plx_sys->close(group);
	fake_stop();
}

static int claim_group(int container, int type)
{
	int group = opened("/dev/vfio/7");

	assert_int_equal(sys(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, type), 0);
	return group;
}

static void type1_v1_takes_more_or_less(void **state)
{
	int container, group;

	(void)state;
	boot(FAKE_A);
	container = opened("/dev/vfio/vfio");
	group = claim_group(container, VFIO_TYPE1_IOMMU);
	assert_int_equal(map(container, 0, 2 * M2), 0);
	assert_int_equal(unmap(container, M2, M2), 0);
	assert_int_equal(unmap(container, 0, 4096), 2 * M2);
	/* Maps go with the last group. */
	assert_int_equal(map(container, 0, M2), 0);
	assert_int_equal(sys(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	assert_int_equal(map(container, 0, M2), -EINVAL);
	assert_int_equal(sys(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	assert_int_equal(map(container, 0, M2), 0);
	plx_sys->close(group);
	plx_sys->close(container);
	fake_stop();
}

static void type1_has_limits(void **state)
{
	_Alignas(8) uint8_t buf[512] = { 0 };
	struct vfio_iommu_type1_info *info = (void *)buf;
	struct vfio_info_cap_header *head;
	int container, group, caps = 0;

	(void)state;
	boot(FAKE_A);
	fake.dma_entry_limit = 2;
	fake.memlock = 3 * M2;
	container = opened("/dev/vfio/vfio");
	group = claim_group(container, VFIO_TYPE1v2_IOMMU);
	assert_int_equal(map(container, 0, 4 * M2), -ENOMEM);
	assert_int_equal(map(container, 0, M2), 0);
	assert_int_equal(map(container, M2, M2), 0);
	assert_int_equal(map(container, 2 * M2, M2), -ENOSPC);
	info->argsz = sizeof(*info);
	assert_int_equal(sys(container, VFIO_IOMMU_GET_INFO, info), 0);
	assert_true(info->argsz > sizeof(*info) && info->argsz <= sizeof(buf));
	assert_int_equal(info->cap_offset, 0);
	assert_int_equal(sys(container, VFIO_IOMMU_GET_INFO, info), 0);
	for (head = (void *)(buf + info->cap_offset);; head = (void *)(buf + head->next)) {
		caps |= 1 << head->id;
		if (head->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)
			assert_int_equal(((struct vfio_iommu_type1_info_dma_avail *)head)->avail,
					 0);
		if (head->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			assert_int_equal(
				((struct vfio_iommu_type1_info_cap_iova_range *)head)->nr_iovas, 2);
		if (!head->next)
			break;
	}
	assert_int_equal(caps, 1 << 1 | 1 << 2 | 1 << 3);
	plx_sys->close(group);
	plx_sys->close(container);
	fake_stop();
}

static void a_group_may_be_out_of_reach(void **state)
{
	struct fake_dev *sibling;
	int container, group;

	(void)state;
	boot(FAKE_A);
	sibling = fake_dev("0000:01:00.1", 7);
	sibling->driver = "e1000e";
	fake_publish();
	container = opened("/dev/vfio/vfio");
	group = opened("/dev/vfio/7");
	assert_int_equal(viable(group), 0);
	assert_int_equal(sys(group, VFIO_GROUP_SET_CONTAINER, &container), -EPERM);
	sibling->driver = NULL;
	assert_int_equal(sys(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	fake.isolated = false;
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), -EPERM);
	fake.unsafe_interrupts = true;
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	plx_sys->close(group);
	plx_sys->close(container);
	fake_stop();
}

static uint32_t new_ioas(int iommufd)
{
	struct fk_ioas_alloc alloc = { .size = sizeof(alloc) };

	assert_int_equal(sys(iommufd, FK_IOAS_ALLOC, &alloc), 0);
	return alloc.out_ioas_id;
}

static int ioas_map(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct fk_ioas_map arg = { sizeof(arg), 7, ioas, 0, VA + iova, length, iova };

	return sys(iommufd, FK_IOAS_MAP, &arg);
}

static int64_t ioas_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct fk_ioas_unmap arg = { sizeof(arg), ioas, iova, length };
	int ret = sys(iommufd, FK_IOAS_UNMAP, &arg);

	return ret < 0 ? ret : (int64_t)arg.length;
}

static int bind_to(int fd, int iommufd)
{
	struct fk_bind_iommufd bind = { .argsz = 16, .iommufd = iommufd };

	return sys(fd, FK_BIND_IOMMUFD, &bind);
}

static void cdev_order(void **state)
{
	struct fake_dev *dev = boot(FAKE_A);
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct fk_attach_pt attach = { .argsz = sizeof(attach) };
	struct fk_iova_range range[4];
	struct fk_iova_ranges ranges = { .size = sizeof(ranges) };
	struct fk_map_file map_file = { .size = sizeof(map_file) };
	int fd = opened("/dev/vfio/devices/vfio0"), iommufd = opened("/dev/iommu"), group, again;
	uint32_t ioas;

	(void)state;
	assert_true(fd >= 0 && iommufd >= 0);
	assert_int_equal(sys(fd, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	group = opened("/dev/vfio/7");
	assert_int_equal(bind_to(fd, iommufd), -EBUSY);
	plx_sys->close(group);
	assert_int_equal(bind_to(fd, fd), -EBADFD);
	assert_int_equal(bind_to(fd, 12), -EBADF);
	assert_int_equal(bind_to(fd, iommufd), 0);
	assert_int_equal(bind_to(fd, iommufd), -EINVAL);
	again = opened("/dev/vfio/devices/vfio0");
	assert_int_equal(bind_to(again, iommufd), -EINVAL);
	plx_sys->close(again);
	assert_int_equal(opened("/dev/vfio/7"), -EBUSY);
	assert_int_equal(sys(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.num_regions, 9);
	ioas = new_ioas(iommufd);
	assert_int_equal(ioas_map(iommufd, ioas, 0xfee00000, 4096), 0);
	attach.pt_id = ioas;
	assert_int_equal(sys(fd, FK_ATTACH_PT, &attach), -EADDRINUSE);
	assert_int_equal(ioas_unmap(iommufd, ioas, 0, UINT64_MAX), 4096);
	assert_int_equal(ioas_map(iommufd, ioas, M2, M2), 0);
	assert_int_equal(sys(fd, FK_ATTACH_PT, &attach), 0);
	assert_int_not_equal(attach.pt_id, ioas);
	assert_int_equal(ioas_map(iommufd, ioas, 0xfee00000, 4096), -EINVAL);
	assert_int_equal(ioas_map(iommufd, ioas, M2, 4096), -EEXIST);
	assert_int_equal(ioas_map(iommufd, 99, 0, 4096), -ENOENT);
	assert_int_equal(ioas_unmap(iommufd, ioas, M2, 4096), -ENOENT);
	assert_int_equal(ioas_unmap(iommufd, ioas, 4 * M2, 4096), -ENOENT);
	assert_true(fake_dev_reach(dev, M2) == VA + M2);
	ranges.ioas_id = ioas;
	assert_int_equal(sys(iommufd, FK_IOVA_RANGES, &ranges), -EMSGSIZE);
	assert_int_equal(ranges.num_iovas, 2);
	ranges.allowed_iovas = (uintptr_t)range;
	assert_int_equal(sys(iommufd, FK_IOVA_RANGES, &ranges), 0);
	assert_true(range[0].last == 0xfedfffff);
	map_file.ioas_id = ioas;
	assert_int_equal(sys(iommufd, FK_MAP_FILE, &map_file), -ENOTTY);
	plx_sys->close(fd);
	assert_int_equal(ioas_unmap(iommufd, ioas, M2, M2), M2);
	plx_sys->close(iommufd);
	fake_stop();
}

static void a_mapped_bar_holds_the_device(void **state)
{
	struct fake_dev *dev = boot(FAKE_C);
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 0 };
	int fd = opened("/dev/vfio/devices/vfio0"), iommufd = opened("/dev/iommu");
	struct fk_attach_pt attach = { .argsz = sizeof(attach) };
	uint32_t value = 0x12345678, seen = 0;
	void *bar;

	(void)state;
	assert_int_equal(bind_to(fd, iommufd), 0);
	assert_int_equal(sys(fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	assert_int_equal(info.size, 128 << 10);
	assert_true(plx_sys->pread(fd, &value, 4, info.offset) == -1 && errno == EIO);
	value = 0x12345678;
	bar = plx_sys->mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, info.offset);
	assert_ptr_not_equal(bar, MAP_FAILED);
	memcpy((char *)bar + 8, &value, 4);
	assert_int_equal(fake_region_peek(dev, 0, 8, &seen, 4), 0);
	assert_int_equal(seen, value);
	/* iommufd maps no device memory. */
	attach.pt_id = new_ioas(iommufd);
	{
		struct fk_ioas_map arg = {
			sizeof(arg), 7, attach.pt_id, 0, (uintptr_t)bar, 4096, M2
		};

		assert_int_equal(sys(iommufd, FK_IOAS_MAP, &arg), -EFAULT);
	}
	plx_sys->close(fd);
	assert_non_null(dev->bound);
	assert_int_equal(opened("/dev/vfio/7"), -EBUSY);
	plx_sys->munmap(bar, info.size);
	assert_null(dev->bound);
	plx_sys->close(iommufd);
	fake_stop();
}

static void iommufd_is_a_container_too(void **state)
{
	struct fake_dev *dev = boot(FAKE_B);
	int container = opened("/dev/vfio/vfio"), group = opened("/dev/vfio/7"), fd;

	(void)state;
	assert_int_equal(sys(container, VFIO_GET_API_VERSION, NULL), 0);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), -ENODEV);
	assert_int_equal(sys(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	/* Before the device is open anything goes, afterwards what it allows. */
	assert_int_equal(map(container, 0xfee00000, 4096), 0);
	assert_int_equal(get_device(group, BDF), -EADDRINUSE);
	assert_int_equal(unmap(container, 0xfee00000, 4096), 4096);
	fd = get_device(group, BDF);
	assert_true(fd >= 0);
	assert_int_equal(map(container, 0xfee00000, 4096), -EINVAL);
	assert_int_equal(map(container, 0, 2 * M2), 0);
	assert_int_equal(unmap(container, 0, M2), -ENOENT);
	assert_true(fake_dev_reach(dev, 0) == VA);
	plx_sys->close(fd);
	plx_sys->close(group);
	plx_sys->close(container);
	fake_stop();
}

static void noiommu_has_no_maps(void **state)
{
	struct fake_dev *dev;
	int container, group, fd;

	(void)state;
	fake_start(FAKE_A);
	fake.unsafe_noiommu = true;
	dev = fake_dev(BDF, 7);
	dev->noiommu = true;
	fake_publish();
	fake.cap_rawio = false;
	assert_int_equal(opened("/dev/vfio/noiommu-7"), -EPERM);
	fake.cap_rawio = true;
	assert_int_equal(opened("/dev/vfio/devices/vfio0"), -ENOENT);
	container = opened("/dev/vfio/vfio");
	group = opened("/dev/vfio/noiommu-7");
	assert_int_equal(sys_int(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU), 1);
	assert_int_equal(sys_int(container, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU), 1);
	assert_int_equal(sys(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(sys_int(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU), 0);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), -ENODEV);
	assert_int_equal(sys_int(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU), 0);
	assert_int_equal(map(container, 0, M2), -ENOTTY);
	fd = get_device(group, BDF);
	assert_true(fd >= 0);
	plx_sys->close(fd);
	plx_sys->close(group);
	plx_sys->close(container);
	fake_stop();
}

static void noiommu_cdev_tells_addresses(void **state)
{
	struct fk_attach_pt attach = { .argsz = sizeof(attach) };
	struct fk_get_pa pa = { .size = sizeof(pa), .iova = M2 + 4096, .length = 8 * M2 };
	struct fake_dev *dev;
	uint64_t run;
	int fd, iommufd;

	(void)state;
	fake_start(FAKE_C);
	fake.unsafe_noiommu = true;
	fake.memlock = 2 * M2;
	dev = fake_dev(BDF, 7);
	dev->noiommu = true;
	fake_publish();
	fd = opened("/dev/vfio/devices/noiommu-vfio0");
	iommufd = opened("/dev/iommu");
	assert_int_equal(bind_to(fd, iommufd), 0);
	attach.pt_id = pa.ioas_id = new_ioas(iommufd);
	assert_int_equal(ioas_map(iommufd, pa.ioas_id, M2, 2 * M2), 0);
	assert_int_equal(sys(iommufd, FK_GET_PA, &pa), -EOPNOTSUPP);
	assert_int_equal(sys(fd, FK_ATTACH_PT, &attach), 0);
	assert_int_equal(sys(iommufd, FK_GET_PA, &pa), 0);
	assert_true(pa.out_phys == fake_phys(VA + M2 + 4096, 8 * M2, &run));
	assert_int_equal(pa.length, M2 - 4096);
	pa.length = 0;
	assert_int_equal(sys(iommufd, FK_GET_PA, &pa), -EINVAL);
	pa.length = 1;
	pa.iova = 0;
	assert_int_equal(sys(iommufd, FK_GET_PA, &pa), -ENOENT);
	fake.cap_rawio = false;
	assert_int_equal(sys(iommufd, FK_GET_PA, &pa), -EPERM);
	assert_int_equal(ioas_map(iommufd, pa.ioas_id, 8 * M2, M2), -ENOMEM);
	plx_sys->close(fd);
	plx_sys->close(iommufd);
	fake_stop();
}

static int set_irqs(int fd, unsigned index, unsigned flags, unsigned start, unsigned count,
		    const int *fds)
{
	union {
		struct vfio_irq_set set;
		char bytes[128];
	} u = { .set = { .argsz = sizeof(u),
			 .flags = flags,
			 .index = index,
			 .start = start,
			 .count = count } };

	if (fds)
		memcpy(u.set.data, fds, count * sizeof(*fds));
	return sys(fd, VFIO_DEVICE_SET_IRQS, &u);
}

static void interrupts_follow_noresize(void **state)
{
	struct fake_dev *dev = boot(FAKE_A);
	unsigned set = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	unsigned none = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	int fd = opened("/dev/vfio/devices/vfio0"), iommufd = opened("/dev/iommu");
	int event = plx_sys->eventfd(0, EFD_NONBLOCK),
	    events[6] = { event, event, event, -1, event, event };
	uint64_t count = 0;

	(void)state;
	assert_int_equal(bind_to(fd, iommufd), 0);
	assert_int_equal(set_irqs(fd, 2, none, 0, 0, NULL), -EINVAL);
	assert_int_equal(set_irqs(fd, 2, set, 0, 6, events), -EINVAL);
	assert_int_equal(set_irqs(fd, 2, set, 0, 2, events), 0);
	assert_int_equal(set_irqs(fd, 2, set, 2, 1, events), -EINVAL);
	assert_int_equal(set_irqs(fd, 0, set, 0, 1, events), -EINVAL);
	assert_true(fake_fire_msix(dev, 1));
	assert_false(fake_fire_msix(dev, 2));
	assert_int_equal(set_irqs(fd, 2, none, 0, 2, NULL), 0);
	assert_int_equal(plx_sys->read(event, &count, 8), 8);
	assert_int_equal(count, 3);
	assert_int_equal(set_irqs(fd, 2, none, 0, 0, NULL), 0);
	assert_int_equal(set_irqs(fd, 2, set, 0, 5, events), 0);
	assert_false(fake_fire_msix(dev, 3));
	assert_true(fake_fire_msix(dev, 4));
	assert_int_equal(set_irqs(fd, 2, none, 0, 0, NULL), 0);
	dev->dyn_msix = true;
	assert_int_equal(set_irqs(fd, 2, set, 0, 1, events), 0);
	assert_int_equal(set_irqs(fd, 2, set, 4, 1, events), 0);
	plx_sys->close(event);
	plx_sys->close(fd);
	plx_sys->close(iommufd);
	fake_stop();
}

static void leaks_are_seen(void **state)
{
	int fd, event;
	void *mem, *va;

	(void)state;
	boot(FAKE_A);
	assert_int_equal(fake_leaks(), 0);
	fd = opened("/dev/iommu");
	assert_true(fake_leaks() > 0);
	plx_sys->close(fd);
	event = plx_sys->eventfd(0, 0);
	assert_int_equal(fake_leaks(), 1);
	plx_sys->close(event);
	mem = plx_sys->alloc(5);
	assert_int_equal(fake_leaks(), 1);
	plx_sys->free(mem);
	va = plx_sys->mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	plx_sys->munmap((char *)va + 4096, 4096);
	assert_int_equal(fake_leaks(), 2);
	plx_sys->munmap(va, 3 * 4096);
	fake_stop();
}

static void paths_go_through_links(void **state)
{
	char name[64];
	uint64_t value;
	DIR *dir;

	(void)state;
	boot(FAKE_A);
	assert_int_equal(plx_sys_read_u64("/sys/bus/pci/devices/" BDF "/vendor", &value), 0);
	assert_int_equal(value, 0x8086);
	assert_int_equal(plx_sys_link_name("/sys/bus/pci/devices/" BDF "/driver", name, 64), 0);
	assert_string_equal(name, "vfio-pci");
	assert_int_equal(plx_sys_link_name("/sys/bus/pci/devices/" BDF "/iommu_group", name, 64),
			 0);
	assert_string_equal(name, "7");
	dir = plx_sys->opendir("/sys/bus/pci/devices/" BDF "/iommu_group/devices/");
	assert_non_null(dir);
	assert_string_equal(plx_sys->readdir(dir)->d_name, BDF);
	assert_null(plx_sys->readdir(dir));
	plx_sys->closedir(dir);
	fake_path_fail("/dev/iommu", EACCES, 2);
	assert_int_equal(opened("/dev/iommu"), -EACCES);
	assert_int_equal(plx_sys->access("/dev/iommu", R_OK), -1);
	assert_int_equal(opened("/dev/iommu"), -EACCES);
	assert_int_equal(plx_sys->access("/dev/iommu", R_OK), 0);
	fake_path_remove("/sys/bus");
	assert_int_equal(plx_sys->access("/sys/bus/pci/devices", F_OK), -1);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(container_order),
		cmocka_unit_test(type1_v1_takes_more_or_less),
		cmocka_unit_test(type1_has_limits),
		cmocka_unit_test(a_group_may_be_out_of_reach),
		cmocka_unit_test(cdev_order),
		cmocka_unit_test(a_mapped_bar_holds_the_device),
		cmocka_unit_test(iommufd_is_a_container_too),
		cmocka_unit_test(noiommu_has_no_maps),
		cmocka_unit_test(noiommu_cdev_tells_addresses),
		cmocka_unit_test(interrupts_follow_noresize),
		cmocka_unit_test(leaks_are_seen),
		cmocka_unit_test(paths_go_through_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
