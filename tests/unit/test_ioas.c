/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping and unmapping: exactness, all or nothing, late comers, several contexts. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pollux/mem.h>

#include "fake_abi.h"
#include "fake_rig.h"

static void what_is_mapped_is_reached_and_nothing_else(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_dev_mode(dev), mode);
		assert_ptr_equal(plx_vfio_dev_ioas(dev), rig.ioas);
		assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		assert_int_equal(rig_map(rig.ioas, VA, 8 * MIB), 0);
		assert_int_equal(rig_map(rig.ioas, VA + 64 * MIB, HUGE), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 8 * MIB));
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + 64 * MIB, HUGE));
		assert_true(rig_dma(rig.ioas, VA + 8 * MIB) == PLX_DMA_BAD);
		assert_true(rig_dma(rig.ioas, VA - 1) == PLX_DMA_BAD);
		assert_int_equal(rig_unmap(rig.ioas, VA, 8 * MIB), 0);
		assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + 64 * MIB, HUGE));
		if (mode != PLX_VFIO_NOIOMMU)
			assert_int_equal(fake_dev_maps(rig.dev[0])->count, 1);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void unmapping_takes_exactly_one_mapping(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
		assert_int_equal(rig_map(rig.ioas, VA + 4 * MIB, 4 * MIB), 0);
		assert_int_equal(rig_unmap(rig.ioas, VA, 2 * MIB), -EINVAL);
		assert_int_equal(rig_unmap(rig.ioas, VA + 2 * MIB, 2 * MIB), -EINVAL);
		assert_int_equal(rig_unmap(rig.ioas, VA, 8 * MIB), -EINVAL);
		assert_int_equal(rig_unmap(rig.ioas, VA - 2 * MIB, 4 * MIB), -EINVAL);
		assert_int_equal(rig_unmap(rig.ioas, VA + 8 * MIB, 2 * MIB), -ENOENT);
		assert_int_equal(rig_unmap(rig.ioas, VA, 0), -EINVAL);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 8 * MIB));
		assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), 0);
		assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), -ENOENT);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + 4 * MIB, 4 * MIB));
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void overlaps_are_refused(void **state)
{
	static const struct {
		int64_t at;
		uint64_t len;
	} over[] = {
		{ 0, 8 * MIB },	      { 0, HUGE },
		{ 6 * MIB, HUGE },    { -2 * (int64_t)MIB, 4 * MIB },
		{ 6 * MIB, 4 * MIB }, { -2 * (int64_t)MIB, 16 * MIB },
	};
	size_t i;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA, 8 * MIB), 0);
		for (i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
			fake_log_clear();
			assert_int_equal(rig_map(rig.ioas, VA + over[i].at, over[i].len), -EEXIST);
			assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
			assert_true(fake_logged(PLX_LOG_ERR, "mapped already"));
		}
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 8 * MIB));
		assert_int_equal(rig_unmap(rig.ioas, VA, 8 * MIB), 0);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void odd_requests_are_refused(void **state)
{
	static const struct {
		uint64_t va, len;
		size_t page_size;
	} odd[] = {
		{ VA + 1, PAGE, 0 },
		{ VA, PAGE + 1, 0 },
		{ VA, 0, 0 },
		{ 0, PAGE, 0 },
		{ VA, PAGE, 1024 },
		{ VA, PAGE, 3 * PAGE },
		{ UINT64_MAX - PAGE + 1, PAGE, 0 },
		{ UINT64_C(1) << 48, PAGE, 0 },
		{ (UINT64_C(1) << 48) - PAGE, 2 * PAGE, 0 },
		{ VA, UINT64_MAX - PAGE + 1, 0 },
	};
	struct plx_dma_mem mem = { .va = (void *)VA, .len = PAGE, .fd = -1 };
	struct rig rig;
	size_t i;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		fake_log_clear();
		assert_int_equal(rig_map_pages(rig.ioas, odd[i].va, odd[i].len, odd[i].page_size),
				 -EINVAL);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	}
	mem.access = 4;
	assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), -EINVAL);
	mem.access = 0;
	mem.fd = 0;
	mem.fd_offset = 5;
	assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), -EINVAL);
	mem.fd_offset = UINT64_MAX - PAGE + 1;
	assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), -EINVAL);
	assert_int_equal(rig_unmap(rig.ioas, VA, UINT64_MAX), -EINVAL);
	assert_int_equal(rig_map_pages(rig.ioas, (UINT64_C(1) << 48) - PAGE, PAGE, 0), 0);
	assert_true(rig_dma(rig.ioas, (UINT64_C(1) << 48) - 1) == (UINT64_C(1) << 48) - 1);
	assert_true(rig_dma(rig.ioas, UINT64_C(1) << 48) == PLX_DMA_BAD);
	assert_true(rig_dma(rig.ioas, UINT64_MAX) == PLX_DMA_BAD);
	rig_stop(&rig);
}

static void a_policy_is_checked(void **state)
{
	struct plx_policy policy = { .addr = PLX_ADDR_PA + 1 };
	struct plx_ioas *ioas;

	(void)state;
	fake_start(FAKE_A);
	assert_int_equal(plx_ioas_create(&policy, &ioas), -EINVAL);
	policy.addr = -1;
	assert_int_equal(plx_ioas_create(&policy, &ioas), -EINVAL);
	fake_stop();
}

static void access_rights_reach_the_kernel(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2,
						    PLX_VFIO_COMPAT };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct plx_dma_mem mem = { .va = (void *)VA, .len = PAGE, .fd = -1 };
		unsigned ro, wo, rw;
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, modes[i], PLX_ADDR_VA);
		dev = rig_open(&rig, BDF0);
		rw = modes[i] == PLX_VFIO_CDEV ? FK_MAP_READABLE | FK_MAP_WRITEABLE
					       : VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
		ro = modes[i] == PLX_VFIO_CDEV ? FK_MAP_READABLE : VFIO_DMA_MAP_FLAG_READ;
		wo = rw & ~ro;
		assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), 0);
		assert_int_equal(fake_dev_maps(rig.dev[0])->map[0].prot, rw);
		assert_int_equal(rig_unmap(rig.ioas, VA, PAGE), 0);
		mem.access = PLX_DMA_READ;
		assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), 0);
		assert_int_equal(fake_dev_maps(rig.dev[0])->map[0].prot, ro);
		assert_int_equal(rig_unmap(rig.ioas, VA, PAGE), 0);
		mem.access = PLX_DMA_WRITE;
		assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), 0);
		assert_int_equal(fake_dev_maps(rig.dev[0])->map[0].prot, wo);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void late_comers_are_given_what_is_mapped(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *first, *second;
		struct rig rig;

		rig_start(&rig, mode, rig_policy(mode));
		assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
		first = rig_open(&rig, BDF0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 4 * MIB));
		assert_int_equal(rig_map(rig.ioas, VA + 32 * MIB, 4 * MIB), 0);
		second = rig_open(&rig, BDF1);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 4 * MIB));
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA + 32 * MIB, 4 * MIB));
		assert_int_equal(plx_ioas_destroy(rig.ioas), -EBUSY);
		plx_vfio_close(first);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 4 * MIB));
		plx_vfio_close(second);
		/* Gone with its last group, and back with the next. */
		first = rig_open(&rig, BDF0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 4 * MIB));
		assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), 0);
		assert_false(rig_reaches(rig.ioas, rig.dev[0], VA, 4 * MIB));
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + 32 * MIB, 4 * MIB));
		plx_vfio_close(first);
		rig_stop(&rig);
	}
}

/* One device by its cdev, another by its group: two contexts. */
static void open_two(struct rig *rig, struct plx_vfio_dev **a, struct plx_vfio_dev **b)
{
	rig_start(rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	*a = rig_open(rig, BDF0);
	rig->opts.modes = 1u << PLX_VFIO_TYPE1V2;
	*b = rig_open(rig, BDF1);
}

static void two_contexts_see_the_same(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;

	(void)state;
	open_two(&rig, &a, &b);
	assert_int_equal(plx_vfio_dev_mode(a), PLX_VFIO_CDEV);
	assert_int_equal(plx_vfio_dev_mode(b), PLX_VFIO_TYPE1V2);
	assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 4 * MIB));
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 4 * MIB));
	assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), 0);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 0);
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

static void a_failure_in_one_context_is_undone_in_the_other(void **state)
{
	static const unsigned long requests[] = { VFIO_IOMMU_MAP_DMA, FK_IOAS_MAP };
	struct plx_vfio_dev *a, *b;
	struct rig rig;
	size_t i;

	(void)state;
	open_two(&rig, &a, &b);
	for (i = 0; i < 2; i++) {
		fake_log_clear();
		fake_ioctl_fail(requests[i], ENOMEM, 0, 1);
		assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), -ENOMEM);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
		assert_int_equal(fake_dev_maps(rig.dev[1])->count, 0);
		assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), -ENOENT);
	}
	assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

static void a_failed_replay_leaves_nothing_and_the_device_unclaimed(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		unsigned long request = mode == PLX_VFIO_CDEV || mode == PLX_VFIO_NOIOMMU_CDEV
						? FK_IOAS_MAP
						: VFIO_IOMMU_MAP_DMA;
		struct plx_vfio_dev *dev = NULL;
		struct plx_refusals why;
		struct rig rig;

		if (mode == PLX_VFIO_NOIOMMU)
			continue;
		rig_start(&rig, mode, rig_policy(mode));
		fake.no_map_file = true;
		assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
		assert_int_equal(rig_map(rig.ioas, VA + 16 * MIB, 4 * MIB), 0);
		assert_int_equal(rig_map(rig.ioas, VA + 32 * MIB, 4 * MIB), 0);
		fake_ioctl_fail(request, ENOMEM, 2, 1);
		assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -ENOMEM);
		assert_int_equal(why.mode[mode].code, PLX_REFUSED_MEMORY);
		assert_int_equal(rig.dev[0]->opens, 0);
		dev = rig_open(&rig, BDF0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 4 * MIB));
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + 32 * MIB, 4 * MIB));
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

/* Unmapping is complete even when the kernel complains, and the complaint comes back. */
static void an_unmap_error_is_an_error(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;

	(void)state;
	open_two(&rig, &a, &b);
	assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
	fake_log_clear();
	fake_ioctl_fail(VFIO_IOMMU_UNMAP_DMA, EIO, 0, 1);
	assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), -EIO);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
	assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), -ENOENT);
	plx_vfio_close(b);
	b = rig_open(&rig, BDF1);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 0);
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

/* A kernel that takes back another size than asked. */
static uint64_t wrong_size;

static bool unmap_lies(int fd, unsigned long request, void *arg, int *result)
{
	(void)fd;
	if (request == VFIO_IOMMU_UNMAP_DMA)
		((struct vfio_iommu_type1_dma_unmap *)arg)->size = wrong_size;
	else if (request == FK_IOAS_UNMAP)
		((struct fk_ioas_unmap *)arg)->length = wrong_size;
	else
		return false;
	*result = 0;
	return true;
}

static void the_unmapped_size_is_compared(void **state)
{
	static const uint64_t sizes[] = { 0, PAGE, 4 * MIB - PAGE, 4 * MIB + PAGE, UINT64_MAX };
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2, PLX_VFIO_TYPE1,
						    PLX_VFIO_COMPAT, PLX_VFIO_NOIOMMU_CDEV };
	size_t i, m;

	(void)state;
	for (m = 0; m < 5; m++)
		for (i = 0; i < 5; i++) {
			struct plx_vfio_dev *dev;
			struct rig rig;

			rig_start(&rig, modes[m], rig_policy(modes[m]));
			dev = rig_open(&rig, BDF0);
			assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
			wrong_size = sizes[i];
			fake.hook = unmap_lies;
			assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), -EIO);
			fake.hook = NULL;
			assert_true(fake_log_count(PLX_LOG_ERR) > 0);
			plx_vfio_close(dev);
			rig_stop(&rig);
		}
}

static void limits_are_named_with_numbers(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	fake.dma_entry_limit = 2;
	fake.memlock = 8 * MIB;
	dev = rig_open(&rig, BDF0);
	assert_int_equal(rig_map(rig.ioas, VA, 2 * MIB), 0);
	assert_int_equal(rig_map(rig.ioas, VA + 16 * MIB, 512 * MIB), -ENOMEM);
	assert_true(fake_logged(PLX_LOG_ERR, "512 MiB"));
	assert_true(fake_logged(PLX_LOG_ERR, "memlock limit is 8 MiB"));
	assert_true(fake_logged(PLX_LOG_ERR, "2 MiB mapped already"));
	assert_int_equal(rig_map(rig.ioas, VA + 16 * MIB, 2 * MIB), 0);
	assert_int_equal(rig_map(rig.ioas, VA + 32 * MIB, 2 * MIB), -ENOSPC);
	assert_true(fake_logged(PLX_LOG_ERR, "dma_entry_limit"));
	assert_int_equal(rig_unmap(rig.ioas, VA, 2 * MIB), 0);
	assert_int_equal(rig_map(rig.ioas, VA + 32 * MIB, 2 * MIB), 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void memlock_is_checked_by_iommufd_too(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_COMPAT,
						    PLX_VFIO_NOIOMMU_CDEV };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct plx_vfio_dev *dev = NULL;
		struct plx_refusals why;
		struct rig rig;

		rig_start(&rig, modes[i], rig_policy(modes[i]));
		fake.memlock = 8 * MIB;
		assert_int_equal(rig_map(rig.ioas, VA, 16 * MIB), 0);
		assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -ENOMEM);
		assert_int_equal(why.mode[modes[i]].code, PLX_REFUSED_MEMORY);
		assert_non_null(strstr(why.mode[modes[i]].text, "8 MiB"));
		assert_int_equal(rig_unmap(rig.ioas, VA, 16 * MIB), 0);
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA, 16 * MIB), -ENOMEM);
		assert_int_equal(rig_map(rig.ioas, VA, 8 * MIB), 0);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

/* By file where the kernel can, by address where it can't or won't. */
static void a_file_is_mapped_by_file(void **state)
{
	struct plx_dma_mem mem = {
		.va = (void *)VA, .len = 4 * MIB, .page_size = HUGE, .fd_offset = 6 * MIB
	};
	struct plx_vfio_dev *dev;
	struct rig rig;
	int round;

	(void)state;
	mem.fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(mem.fd, 10 * MIB), 0);
	for (round = 0; round < 3; round++) {
		rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
		dev = rig_open(&rig, BDF0);
		fake.no_map_file = round == 1;
		if (round == 2)
			fake_ioctl_fail(FK_MAP_FILE, EINVAL, 0, 1);
		assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), 0);
		if (round) {
			assert_int_equal(fake_dev_maps(rig.dev[0])->map[0].fd, -1);
			assert_true(fake_dev_maps(rig.dev[0])->map[0].va == VA);
		} else {
			assert_int_equal(fake_dev_maps(rig.dev[0])->map[0].fd, mem.fd);
			assert_true(fake_dev_maps(rig.dev[0])->map[0].va == 6 * MIB);
		}
		assert_int_equal(rig_unmap(rig.ioas, VA, 4 * MIB), 0);
		assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), 0);
		/* A kernel without the command is asked once, one that refused a file each time. */
		assert_int_equal(fake_ioctl_count(FK_MAP_FILE), round == 1 ? 1 : 2);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
	close(mem.fd);
}

/*
 * An IOMMU that lies about its ranges: refused or cut down, never believed.
 */
static int lie;

enum {
	LIE_TOO_MANY,
	LIE_NONE_AFTER_ALL,
	LIE_MORE_THAN_ROOM,
	LIE_BACKWARDS,
	LIE_COUNT,
	LIE_LOOP,
	LIES
};

static bool ranges_lie(int fd, unsigned long request, void *arg, int *result)
{
	struct fk_iova_ranges *ranges = arg;
	struct fk_iova_range *list;
	struct vfio_iommu_type1_info *info = arg;
	struct vfio_iommu_type1_info_cap_iova_range cap = { .header = { .id = 1, .version = 1 } };

	(void)fd;
	if (request == FK_IOVA_RANGES) {
		list = (void *)(uintptr_t)ranges->allowed_iovas;
		*result = -EMSGSIZE;
		switch (lie) {
		case LIE_TOO_MANY: ranges->num_iovas = UINT32_MAX; break;
		case LIE_NONE_AFTER_ALL: ranges->num_iovas = 0; break;
		case LIE_MORE_THAN_ROOM:
			ranges->num_iovas = 50;
			*result = 0;
			break;
		case LIE_BACKWARDS:
			if (ranges->num_iovas) {
				list[0] = (struct fk_iova_range){ 1 << 30, 4096 };
				*result = 0;
			}
			ranges->num_iovas = 1;
			break;
		default: ranges->num_iovas = ranges->num_iovas + 1; break; /* for ever */
		}
		return true;
	}
	if (request != VFIO_IOMMU_GET_INFO)
		return false;
	*result = 0;
	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	if (info->argsz < sizeof(*info) + sizeof(cap)) {
		info->argsz = sizeof(*info) + sizeof(cap);
		return true;
	}
	info->cap_offset = sizeof(*info);
	cap.nr_iovas = 1; /* and no room for it */
	if (lie == LIE_COUNT)
		cap.nr_iovas = UINT32_MAX;
	if (lie == LIE_LOOP) {
		cap.header.id = 77;
		cap.header.next = sizeof(*info);
	}
	memcpy(info + 1, &cap, sizeof(cap));
	return true;
}

static void ranges_that_make_no_sense_are_refused(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2,
						    PLX_VFIO_COMPAT };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		for (lie = 0; lie < LIES; lie++) {
			struct plx_vfio_dev *dev = NULL;
			struct rig rig;
			int ret;

			rig_start(&rig, modes[i], PLX_ADDR_VA);
			fake.hook = ranges_lie;
			ret = plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, NULL);
			/* A chain that loops is one without ranges: then there is a safe guess. */
			if (modes[i] != PLX_VFIO_CDEV && lie == LIE_LOOP)
				assert_int_equal(ret, 0);
			else
				assert_true(ret < 0);
			fake.hook = NULL;
			if (dev) {
				assert_int_equal(rig_map(rig.ioas, VA, HUGE), -ENOSPC);
				assert_int_equal(rig_map(rig.ioas, 64 * GIB, HUGE), 0);
			}
			plx_vfio_close(dev);
			rig_stop(&rig);
		}
}

/* Errors of the kernel that have words of their own. */
static void map_errors_have_words(void **state)
{
	static const struct {
		int err;
		const char *words;
	} errs[] = { { EINVAL, "reserved" },
		     { EEXIST, "already" },
		     { EFAULT, "pinned" },
		     { EIO, "0x7f0000000000" },
		     { ENOSPC, "limit of maps" } };
	struct plx_vfio_dev *dev;
	struct rig rig;
	size_t i;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	for (i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		fake_log_clear();
		fake_ioctl_fail(VFIO_IOMMU_MAP_DMA, errs[i].err, 0, 1);
		assert_int_equal(rig_map_pages(rig.ioas, VA, 64 * KIB, 0), -errs[i].err);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_true(fake_logged(PLX_LOG_ERR, errs[i].words));
	}
	fake.memlock = 100 * KIB;
	assert_int_equal(rig_map_pages(rig.ioas, VA, 128 * KIB, 0), -ENOMEM);
	assert_true(fake_logged(PLX_LOG_ERR, "memlock limit is 100 KiB"));
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/*
 * The control path from several threads, each in its own part of memory.
 */
#define THREADS 4

struct worker {
	pthread_t thread;
	struct rig *rig;
	uint64_t va;
	unsigned wrong;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct plx_ioas *ioas = w->rig->ioas;
	struct plx_dma dma;
	int i;

	for (i = 0; i < 1500; i++) {
		uint64_t va = w->va + i % 7 * 8 * HUGE;

		w->wrong += rig_map(ioas, va, 2 * HUGE) != 0;
		w->wrong += rig_dma(ioas, va + 3) != va + 3;
		w->wrong += plx_dma_alloc(ioas, 5000 + i, 64, PLX_NODE_ANY, &dma) != 0;
		if (dma.va) {
			w->wrong += dma.dma != (uintptr_t)dma.va;
			memset(dma.va, i, dma.len);
		}
		w->wrong += rig_unmap(ioas, va, 2 * HUGE) != 0;
		w->wrong += rig_dma(ioas, va + 3) != PLX_DMA_BAD;
		plx_dma_free(ioas, &dma);
	}
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	struct worker workers[THREADS];
	struct plx_vfio_dev *a, *b;
	struct rig rig;
	int i;

	(void)state;
	open_two(&rig, &a, &b);
	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .rig = &rig, .va = VA + i * GIB };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	/* Devices come and go meanwhile. */
	for (i = 0; i < 20; i++) {
		plx_vfio_close(b);
		b = rig_open(&rig, BDF1);
	}
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].wrong, 0);
	}
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 0);
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

static void destroying_unmaps(void **state)
{
	struct plx_ioas *ioas;

	(void)state;
	fake_start(FAKE_A);
	ioas = rig_ioas(PLX_ADDR_ALLOC);
	assert_int_equal(plx_ioas_policy(ioas), PLX_ADDR_ALLOC);
	assert_int_equal(rig_map(ioas, VA, 4 * MIB), 0);
	assert_int_equal(rig_map(ioas, VA + 8 * MIB, 4 * MIB), 0);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	assert_int_equal(plx_ioas_destroy(NULL), 0);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_mapped_is_reached_and_nothing_else),
		cmocka_unit_test(unmapping_takes_exactly_one_mapping),
		cmocka_unit_test(overlaps_are_refused),
		cmocka_unit_test(odd_requests_are_refused),
		cmocka_unit_test(a_policy_is_checked),
		cmocka_unit_test(access_rights_reach_the_kernel),
		cmocka_unit_test(late_comers_are_given_what_is_mapped),
		cmocka_unit_test(two_contexts_see_the_same),
		cmocka_unit_test(a_failure_in_one_context_is_undone_in_the_other),
		cmocka_unit_test(a_failed_replay_leaves_nothing_and_the_device_unclaimed),
		cmocka_unit_test(an_unmap_error_is_an_error),
		cmocka_unit_test(the_unmapped_size_is_compared),
		cmocka_unit_test(limits_are_named_with_numbers),
		cmocka_unit_test(memlock_is_checked_by_iommufd_too),
		cmocka_unit_test(a_file_is_mapped_by_file),
		cmocka_unit_test(ranges_that_make_no_sense_are_refused),
		cmocka_unit_test(map_errors_have_words),
		cmocka_unit_test(threads_do_not_disturb_each_other),
		cmocka_unit_test(destroying_unmaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
