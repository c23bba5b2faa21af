/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much an address space holds and can hold yet, taking all of it back at once, and pins that
 * two contexts share.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_rig.h"

static struct plx_ioas_usage usage_of(struct plx_ioas *ioas)
{
	struct plx_ioas_usage usage;

	plx_ioas_usage(ioas, &usage);
	return usage;
}

static void usage_is_counted(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *dev;
		struct plx_ioas_usage usage;
		struct rig rig;

		rig_start(&rig, mode, rig_policy(mode));
		fake.memlock = UINT64_MAX;
		usage = usage_of(rig.ioas);
		assert_int_equal(usage.maps + usage.bytes + usage.contexts, 0);
		assert_true(usage.maps_left == UINT64_MAX && usage.bytes_left == UINT64_MAX);
		assert_int_equal(rig_map(rig.ioas, VA, 4 * HUGE), 0);
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA + 8 * HUGE, HUGE), 0);
		usage = usage_of(rig.ioas);
		assert_int_equal(usage.maps, 2);
		assert_int_equal(usage.bytes, 5 * HUGE);
		assert_int_equal(usage.contexts, 1);
		if (mode == PLX_VFIO_TYPE1V2 || mode == PLX_VFIO_TYPE1)
			assert_int_equal(usage.maps_left, 65533);
		else
			assert_true(usage.maps_left == UINT64_MAX);
		/* What is refused isn't counted. */
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), -EEXIST);
		assert_int_equal(rig_unmap(rig.ioas, VA, 4 * HUGE), 0);
		usage = usage_of(rig.ioas);
		assert_int_equal(usage.maps, 1);
		assert_int_equal(usage.bytes, HUGE);
		plx_vfio_close(dev);
		usage = usage_of(rig.ioas);
		assert_int_equal(usage.contexts, 0);
		assert_int_equal(usage.bytes, HUGE);
		rig_stop(&rig);
	}
}

static void memlock_is_foreseen(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2,
						    PLX_VFIO_COMPAT };
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, modes[i], PLX_ADDR_VA);
		fake.memlock = 16 * MIB;
		assert_int_equal(usage_of(rig.ioas).bytes_left, 16 * MIB);
		assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
		/* As soon as there is a device. */
		assert_int_equal(usage_of(rig.ioas).bytes_left, 12 * MIB);
		dev = rig_open(&rig, BDF0);
		assert_int_equal(usage_of(rig.ioas).bytes_left, 12 * MIB);
		assert_int_equal(rig_map(rig.ioas, VA + GIB, 12 * MIB), 0);
		assert_int_equal(usage_of(rig.ioas).bytes_left, 0);
		assert_int_equal(rig_map(rig.ioas, VA + 2 * GIB, HUGE), -ENOMEM);
		assert_true(fake_logged(PLX_LOG_ERR, "16 MiB mapped already"));
		assert_true(fake_logged(PLX_LOG_ERR, "18 MiB needed in all"));
		/* Memory that mlock() holds counts for the process, too. */
		assert_int_equal(rig_unmap(rig.ioas, VA + GIB, 12 * MIB), 0);
		fake_path_file("/proc/self/status", "Name:\tx\nVmLck:\t    6144 kB\nCapEff:\t0\n");
		assert_int_equal(usage_of(rig.ioas).bytes_left,
				 modes[i] == PLX_VFIO_TYPE1V2 ? 10 * MIB : 12 * MIB);
		/* Which is said, too; so is what must be somebody else's. */
		fake.memlock = 9 * MIB;
		fake.pinned = 9 * MIB;
		fake_log_clear();
		assert_int_equal(rig_map(rig.ioas, VA + GIB, 4 * MIB), -ENOMEM);
		assert_true(
			fake_logged(PLX_LOG_ERR, modes[i] == PLX_VFIO_TYPE1V2
							 ? "4 MiB mapped already, 10 MiB needed in "
							   "all, 2 MiB of it by mlock(): raise"
							 : "8 MiB needed in all beside what other "
							   "processes of the user hold: raise"));
		fake.pinned = 4 * MIB;
		plx_vfio_close(dev);
		/* A limit that is below what is locked: none is left. */
		fake.memlock = MIB;
		assert_int_equal(usage_of(rig.ioas).bytes_left, 0);
		rig_stop(&rig);
	}
}

/* Each container locks all of it for itself. */
static void memlock_of_several_containers(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct plx_refusals why;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	rig.dev[1]->loner = true;
	fake.memlock = 12 * MIB;
	a = rig_open(&rig, BDF0);
	assert_int_equal(rig_map(rig.ioas, VA, 8 * MIB), 0);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, &why), -ENOMEM);
	assert_non_null(strstr(why.mode[PLX_VFIO_TYPE1V2].text, "8 MiB mapped already"));
	assert_non_null(strstr(why.mode[PLX_VFIO_TYPE1V2].text, "16 MiB needed in all, for 2"));
	assert_int_equal(why.mode[PLX_VFIO_TYPE1V2].found, 12 * MIB);
	assert_int_equal(why.mode[PLX_VFIO_TYPE1V2].wanted, 16 * MIB);
	assert_int_equal(rig_unmap(rig.ioas, VA, 8 * MIB), 0);
	b = rig_open(&rig, BDF1);
	assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
	assert_int_equal(usage_of(rig.ioas).bytes_left, 2 * MIB);
	assert_int_equal(rig_map(rig.ioas, VA + GIB, 4 * MIB), -ENOMEM);
	assert_true(fake_logged(PLX_LOG_ERR, "16 MiB needed in all, for 2 contexts"));
	assert_int_equal(rig_map(rig.ioas, VA + GIB, 2 * MIB), 0);
	assert_int_equal(usage_of(rig.ioas).bytes_left, 0);
	plx_vfio_close(b);
	plx_vfio_close(a);
	rig_stop(&rig);
	/* IOASes of one file share it. */
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	fake.memlock = 8 * MIB;
	a = rig_open(&rig, BDF0);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	b = rig_open(&rig, BDF1);
	assert_int_equal(rig_map(rig.ioas, VA, 8 * MIB), 0);
	assert_int_equal(rig_map(rig.ioas, VA + GIB, 4 * MIB), -ENOMEM);
	assert_true(fake_logged(PLX_LOG_ERR, "8 MiB mapped already, 12 MiB needed in all:"));
	plx_vfio_close(b);
	plx_vfio_close(a);
	rig_stop(&rig);
}

/*
 * Each reason as data, and none of it logged; to who doesn't ask it is logged, in the same words.
 */
static void why_memory_is_not_mapped(void **state)
{
	static const struct {
		uint64_t va, len, memlock;
		unsigned limit;
		int err;
		enum plx_refusal_code code;
		const char *object;
		uint64_t found, wanted;
		const char *remedy;
	} cases[] = {
		{ VA + GIB, 4 * MIB, 6 * MIB, 9, -ENOMEM, PLX_REFUSED_MEMORY, "RLIMIT_MEMLOCK",
		  6 * MIB, 8 * MIB, "raise the limit" },
		{ VA + GIB, HUGE, UINT64_MAX, 1, -ENOSPC, PLX_REFUSED_MEMORY,
		  "vfio_iommu_type1.dma_entry_limit", 1, 2,
		  "use larger pages, or raise vfio_iommu_type1.dma_entry_limit" },
		{ VA, HUGE, UINT64_MAX, 9, -EEXIST, PLX_REFUSED_MEMORY,
		  "0x7f0000000000-0x7f00001fffff", 0, 0, "unmap what is there first" },
		{ VA + GIB, 100, UINT64_MAX, 9, -EINVAL, PLX_REFUSED_MEMORY,
		  "0x7f0040000000-0x7f0040000063", 0, 0, "map whole pages" },
		{ 0xfee00000, HUGE, UINT64_MAX, 9, -ENOSPC, PLX_REFUSED_POLICY,
		  "0xfee00000-0xfeffffff", (UINT64_C(1) << 48) - 1, 0xfeffffff,
		  "start with --iova=alloc" },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct plx_dma_mem mem = { .va = (void *)(uintptr_t)cases[i].va,
						 .len = cases[i].len,
						 .page_size = HUGE,
						 .fd = -1 };
		struct plx_refusal why = { 0 };
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
		fake.memlock = cases[i].memlock;
		fake.dma_entry_limit = cases[i].limit;
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
		fake_log_clear();
		assert_int_equal(plx_ioas_map(rig.ioas, &mem, &why), cases[i].err);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
		assert_int_equal(why.err, cases[i].err);
		assert_int_equal(why.code, cases[i].code);
		assert_string_equal(why.object, cases[i].object);
		assert_true(why.found == cases[i].found && why.wanted == cases[i].wanted);
		assert_string_equal(why.remedy, cases[i].remedy);
		assert_int_equal(plx_ioas_map(rig.ioas, &mem, NULL), cases[i].err);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_true(fake_logged(PLX_LOG_ERR, why.text));
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

/* No limit binds who may lock memory without one: it isn't what is in the way. */
static void a_limit_that_does_not_bind_is_not_blamed(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	fake.memlock = 8 * MIB;
	fake.cap_ipc_lock = true;
	fake_publish();
	dev = rig_open(&rig, BDF0);
	assert_true(usage_of(rig.ioas).bytes_left == UINT64_MAX);
	fake_ioctl_fail(VFIO_IOMMU_MAP_DMA, ENOMEM, 0, 1);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), -ENOMEM);
	assert_true(fake_logged(PLX_LOG_ERR, "out of memory"));
	assert_false(fake_logged(PLX_LOG_ERR, "8 MiB"));
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void all_that_a_late_comer_needs_is_named(void **state)
{
	struct plx_vfio_dev *dev;
	struct plx_refusals why;
	struct rig rig;
	unsigned i;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	fake.memlock = 8 * MIB;
	for (i = 0; i < 256; i++)
		assert_int_equal(rig_map(rig.ioas, VA + i * HUGE, HUGE), 0);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -ENOMEM);
	assert_non_null(strstr(why.mode[PLX_VFIO_TYPE1V2].text, "limit is 8 MiB"));
	assert_non_null(strstr(why.mode[PLX_VFIO_TYPE1V2].text, "512 MiB needed in all"));
	rig_stop(&rig);
}

static void map_limits_are_known_before_they_are_hit(void **state)
{
	struct plx_vfio_dev *dev, *more;
	struct plx_refusals why;
	unsigned i, calls;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	fake.dma_entry_limit = 4;
	for (i = 0; i < 5; i++)
		assert_int_equal(rig_map(rig.ioas, VA + 2 * i * HUGE, HUGE), 0);
	/* Five maps don't fit in: none is tried. */
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -ENOSPC);
	assert_int_equal(fake_ioctl_count(VFIO_IOMMU_MAP_DMA), 0);
	assert_int_equal(why.mode[PLX_VFIO_TYPE1V2].code, PLX_REFUSED_MEMORY);
	assert_non_null(strstr(why.mode[PLX_VFIO_TYPE1V2].text, "takes 4 DMA maps"));
	assert_non_null(strstr(why.mode[PLX_VFIO_TYPE1V2].text, "0 are used and 5 more needed"));
	assert_non_null(strstr(why.mode[PLX_VFIO_TYPE1V2].text, "dma_entry_limit"));
	assert_int_equal(rig_unmap(rig.ioas, VA, HUGE), 0);
	dev = rig_open(&rig, BDF0);
	assert_int_equal(usage_of(rig.ioas).maps_left, 0);
	calls = fake_ioctl_count(VFIO_IOMMU_MAP_DMA);
	fake_log_clear();
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), -ENOSPC);
	assert_int_equal(fake_ioctl_count(VFIO_IOMMU_MAP_DMA), calls);
	assert_true(fake_logged(PLX_LOG_ERR, "takes 4 DMA maps, 4 are used and 1 more needed"));
	/* One more device in the container: the count stays right. */
	more = rig_open(&rig, BDF1);
	assert_int_equal(usage_of(rig.ioas).maps_left, 0);
	assert_int_equal(rig_unmap(rig.ioas, VA + 2 * HUGE, HUGE), 0);
	assert_int_equal(usage_of(rig.ioas).maps_left, 1);
	plx_vfio_close(more);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/* Others use it, too: only the kernel knows what is left at the moment. */
static void a_container_of_the_callers_is_not_counted(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	fake.dma_entry_limit = 1;
	rig.opts.container_fd = plx_sys->open("/dev/vfio/vfio", O_RDWR);
	dev = rig_open(&rig, BDF0);
	assert_true(usage_of(rig.ioas).maps_left == UINT64_MAX);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	assert_int_equal(rig_map(rig.ioas, VA + HUGE, HUGE), -ENOSPC);
	assert_true(fake_logged(PLX_LOG_ERR, "1 are ours"));
	/* Nor is it emptied: there may be maps of others. */
	assert_int_equal(plx_ioas_unmap_all(rig.ioas), 0);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	plx_vfio_close(dev);
	plx_sys->close(rig.opts.container_fd);
	rig_stop(&rig);
}

static void everything_is_taken_back_at_once(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *dev;
		struct plx_dma ring, other;
		struct rig rig;
		unsigned i, calls;

		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		assert_int_equal(plx_ioas_unmap_all(rig.ioas), 0);
		for (i = 0; i < 100; i++)
			assert_int_equal(rig_map(rig.ioas, VA + 3 * i * HUGE, HUGE), 0);
		assert_int_equal(plx_dma_alloc(rig.ioas, PAGE, PAGE, -1, &ring), 0);
		calls = fake_ioctl_count(VFIO_IOMMU_UNMAP_DMA) + fake_ioctl_count(FK_IOAS_UNMAP);
		assert_int_equal(plx_ioas_unmap_all(rig.ioas), 0);
		assert_true(fake_ioctl_count(VFIO_IOMMU_UNMAP_DMA) +
				    fake_ioctl_count(FK_IOAS_UNMAP) <=
			    calls + 1);
		if (fake_dev_maps(rig.dev[0]))
			assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
		assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		assert_true(rig_dma(rig.ioas, (uintptr_t)ring.va) == PLX_DMA_BAD);
		assert_int_equal(usage_of(rig.ioas).maps, 0);
		assert_int_equal(rig_unmap(rig.ioas, VA, HUGE), -ENOENT);
		/* New rings are of memory that is reached. */
		assert_int_equal(plx_dma_alloc(rig.ioas, PAGE, PAGE, -1, &other), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], (uintptr_t)other.va, PAGE));
		plx_dma_free(rig.ioas, &other);
		fake_log_clear();
		plx_dma_free(rig.ioas, &ring);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

/* Where two mappings share a frame of the table, neither is a neighbour to be spared for. */
static void shared_frames_are_taken_back_too(void **state)
{
	static const enum plx_addr_policy policies[] = { PLX_ADDR_VA, PLX_ADDR_ALLOC };
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, PLX_VFIO_TYPE1V2, policies[i]);
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map_pages(rig.ioas, VA, MIB, PAGE), 0);
		assert_int_equal(rig_map_pages(rig.ioas, VA + MIB, MIB, PAGE), 0);
		assert_int_equal(plx_ioas_unmap_all(rig.ioas), 0);
		assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		assert_true(rig_dma(rig.ioas, VA + MIB) == PLX_DMA_BAD);
		/* The device addresses are free for others, and the memory for another map. */
		assert_int_equal(rig_map(rig.ioas, VA + GIB, HUGE), 0);
		assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		assert_int_equal(rig_map_pages(rig.ioas, VA, MIB, PAGE), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, MIB));
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static uint64_t taken; /* bytes, as the kernel below tells */

static bool take_back_all(int fd, unsigned long request, void *arg, int *result)
{
	struct vfio_iommu_type1_dma_unmap *unmap = arg;

	(void)fd;
	if (request != VFIO_IOMMU_UNMAP_DMA || !(unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL))
		return false;
	unmap->size = taken;
	*result = 0;
	return true;
}

/* All is gone: there is nothing to be gone through one by one, whatever it was. */
static void another_amount_is_taken_back(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	unsigned i;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	for (i = 0; i < 50; i++)
		assert_int_equal(rig_map(rig.ioas, VA + 2 * i * HUGE, HUGE), 0);
	/* One that couldn't be taken back alone goes with the others. */
	fake_ioctl_fail(VFIO_IOMMU_UNMAP_DMA, EBUSY, 0, 1);
	assert_int_equal(rig_unmap(rig.ioas, VA, HUGE), -EBUSY);
	fake_log_clear();
	assert_int_equal(plx_ioas_unmap_all(rig.ioas), 0);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	/* Less than was mapped: somebody was there before. */
	assert_int_equal(rig_map(rig.ioas, VA, 4 * HUGE), 0);
	assert_int_equal(rig_map(rig.ioas, VA + GIB, HUGE), 0);
	taken = HUGE;
	fake.hook = take_back_all;
	assert_int_equal(plx_ioas_unmap_all(rig.ioas), -EIO);
	fake.hook = NULL;
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	assert_true(fake_logged(PLX_LOG_ERR, "of 10485760 bytes mapped only 2097152 were there"));
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/* A kernel that can't: one by one. */
static void one_by_one_if_it_must_be(void **state)
{
	static const struct {
		enum plx_vfio_mode mode;
		unsigned long request;
	} cases[] = { { PLX_VFIO_CDEV, FK_IOAS_UNMAP },
		      { PLX_VFIO_TYPE1V2, VFIO_IOMMU_UNMAP_DMA } };
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, cases[i].mode, PLX_ADDR_ALLOC);
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		assert_int_equal(rig_map(rig.ioas, VA + 2 * HUGE, HUGE), 0);
		fake_ioctl_fail(cases[i].request, EINVAL, 0, 1);
		assert_int_equal(plx_ioas_unmap_all(rig.ioas), 0);
		assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
		/* And an error of one of those is an error, but for nobody's memory. */
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		fake_ioctl_fail(cases[i].request, EIO, 0, 2);
		assert_int_equal(plx_ioas_unmap_all(rig.ioas), -EIO);
		assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		assert_int_equal(usage_of(rig.ioas).maps, 0);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

/* The second IOAS of a file is given the pages that the first one has pinned. */
static void contexts_of_a_file_share_pins(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_NOIOMMU_CDEV };
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct plx_vfio_dev *a, *b;
		struct rig rig;

		rig_start(&rig, modes[i], rig_policy(modes[i]));
		fake.memlock = 6 * MIB;
		assert_int_equal(rig_map(rig.ioas, VA, 4 * MIB), 0);
		a = rig_open(&rig, BDF0);
		fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
		b = rig_open(&rig, BDF1);
		assert_ptr_not_equal(fake_dev_maps(rig.dev[0]), fake_dev_maps(rig.dev[1]));
		assert_int_equal(fake_ioctl_count(FK_IOAS_COPY), 1);
		assert_int_equal(fake.pinned, 4 * MIB);
		/* As well for what is mapped from now on. */
		assert_int_equal(rig_map(rig.ioas, VA + GIB, HUGE), 0);
		assert_int_equal(fake_ioctl_count(FK_IOAS_COPY), 2);
		assert_int_equal(fake.pinned, 6 * MIB);
		assert_int_equal(usage_of(rig.ioas).bytes_left, 0);
		assert_int_equal(usage_of(rig.ioas).contexts, 2);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 4 * MIB));
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA + GIB, HUGE));
		/* It doesn't matter who goes first. */
		plx_vfio_close(i ? b : a);
		assert_int_equal(fake.pinned, 6 * MIB);
		assert_true(rig_reaches(rig.ioas, rig.dev[!i], VA + GIB, HUGE));
		assert_int_equal(rig_unmap(rig.ioas, VA + GIB, HUGE), 0);
		assert_int_equal(fake.pinned, 4 * MIB);
		plx_vfio_close(i ? a : b);
		assert_int_equal(fake.pinned, 0);
		rig_stop(&rig);
	}
}

/* What can't be copied is mapped; what is refused for a reason that would stay is refused. */
static void a_copy_that_fails(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	a = rig_open(&rig, BDF0);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	b = rig_open(&rig, BDF1);
	fake_ioctl_fail(FK_IOAS_COPY, EOPNOTSUPP, 0, 1);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	assert_int_equal(fake_ioctl_count(FK_IOAS_MAP), 2);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, HUGE));
	fake_ioctl_fail(FK_IOAS_COPY, ENOMEM, 0, 1);
	assert_int_equal(rig_map(rig.ioas, VA + GIB, HUGE), -ENOMEM);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 1);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 1);
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_is_counted),
		cmocka_unit_test(memlock_is_foreseen),
		cmocka_unit_test(memlock_of_several_containers),
		cmocka_unit_test(why_memory_is_not_mapped),
		cmocka_unit_test(a_limit_that_does_not_bind_is_not_blamed),
		cmocka_unit_test(all_that_a_late_comer_needs_is_named),
		cmocka_unit_test(map_limits_are_known_before_they_are_hit),
		cmocka_unit_test(a_container_of_the_callers_is_not_counted),
		cmocka_unit_test(everything_is_taken_back_at_once),
		cmocka_unit_test(shared_frames_are_taken_back_too),
		cmocka_unit_test(another_amount_is_taken_back),
		cmocka_unit_test(one_by_one_if_it_must_be),
		cmocka_unit_test(contexts_of_a_file_share_pins),
		cmocka_unit_test(a_copy_that_fails),
	};

	return cmocka_run_group_tests_name("ioas-limits", tests, NULL, NULL);
}
