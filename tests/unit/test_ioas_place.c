/* SPDX-License-Identifier: BSD-3-Clause */
/* Device addresses: the three policies, frames shared by mappings, the translation table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_rig.h"
#include "xlate.h"

#define FRAME PLX_FRAME_SIZE

/*
 * The table by itself.
 */
static void the_table_holds_frames(void **state)
{
	struct plx_xlate *xlate = calloc(1, sizeof(*xlate));
	uint64_t top = (UINT64_C(1) << (PLX_XLATE_VABITS - PLX_FRAME_SHIFT)) - 1, delta = 0;
	const void *va = (void *)(5 * FRAME + 77);

	(void)state;
	fake_start(FAKE_A);
	assert_true(plx_xlate_dma(xlate, va) == PLX_DMA_BAD);
	assert_false(plx_xlate_get(xlate, 5, &delta));
	assert_int_equal(plx_xlate_prepare(xlate, 5, 6), 0);
	assert_true(plx_xlate_dma(xlate, va) == PLX_DMA_BAD);
	/* Distance 0 is one, too, and so is a negative one. */
	plx_xlate_set(xlate, 5, 5, 0);
	plx_xlate_set(xlate, 6, 6, -4 * FRAME);
	assert_true(plx_xlate_dma(xlate, va) == 5 * FRAME + 77);
	assert_true(plx_xlate_dma(xlate, (void *)(6 * FRAME + 1)) == 2 * FRAME + 1);
	assert_true(plx_xlate_get(xlate, 6, &delta) && delta == -4 * FRAME);
	assert_true(plx_xlate_dma(xlate, (void *)(7 * FRAME)) == PLX_DMA_BAD);
	plx_xlate_clear(xlate, 5, 5);
	assert_true(plx_xlate_dma(xlate, va) == PLX_DMA_BAD);
	/* Across leaves, up to the end of what a table can hold. */
	assert_int_equal(plx_xlate_prepare(xlate, (1u << PLX_XLATE_LOW) - 1, 1u << PLX_XLATE_LOW),
			 0);
	plx_xlate_set(xlate, (1u << PLX_XLATE_LOW) - 1, 1u << PLX_XLATE_LOW, FRAME);
	assert_true(plx_xlate_dma(xlate, (void *)(FRAME << PLX_XLATE_LOW)) ==
		    (FRAME << PLX_XLATE_LOW) + FRAME);
	assert_int_equal(plx_xlate_prepare(xlate, top, top), 0);
	assert_int_equal(plx_xlate_prepare(xlate, top, top + 1), -EINVAL);
	assert_int_equal(plx_xlate_prepare(xlate, UINT64_MAX, UINT64_MAX), -EINVAL);
	assert_false(plx_xlate_get(xlate, top + 1, &delta));
	assert_false(plx_xlate_get(xlate, UINT64_MAX, &delta));
	plx_xlate_free(xlate);
	fake_stop();
	free(xlate);
}

static void mappings_share_frames(void **state)
{
	static const enum plx_addr_policy policies[] = { PLX_ADDR_VA, PLX_ADDR_ALLOC };
	size_t p;
	int i;

	(void)state;
	for (p = 0; p < 2; p++) {
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, PLX_VFIO_CDEV, policies[p]);
		dev = rig_open(&rig, BDF0);
		/* 16 mappings of 64 KiB in one frame, one that crosses into the next. */
		for (i = 0; i < 16; i++)
			assert_int_equal(rig_map_pages(rig.ioas, VA + 128 * KIB * i, 64 * KIB, 0),
					 0);
		assert_int_equal(rig_map_pages(rig.ioas, VA + FRAME - 64 * KIB, FRAME, 0), 0);
		for (i = 0; i < 16; i++)
			assert_true(
				rig_reaches(rig.ioas, rig.dev[0], VA + 128 * KIB * i, 64 * KIB));
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + FRAME - 64 * KIB, FRAME));
		for (i = 0; i < 15; i++)
			assert_int_equal(
				rig_unmap(rig.ioas, VA + 128 * KIB * (i * 7 % 15), 64 * KIB), 0);
		/* The frame still has two. */
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + 128 * KIB * 15, 64 * KIB));
		assert_int_equal(rig_unmap(rig.ioas, VA + 128 * KIB * 15, 64 * KIB), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + FRAME - 64 * KIB, FRAME));
		assert_int_equal(rig_unmap(rig.ioas, VA + FRAME - 64 * KIB, FRAME), 0);
		assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		assert_true(rig_dma(rig.ioas, VA + FRAME) == PLX_DMA_BAD);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void as_many_mappings_as_the_kernel_takes(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	unsigned i;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	for (i = 0; i < 65535; i++)
		assert_int_equal(rig_map(rig.ioas, VA + i * HUGE, HUGE), 0);
	assert_int_equal(rig_map(rig.ioas, VA + i * HUGE, HUGE), -ENOSPC);
	assert_true(rig_dma(rig.ioas, VA + i * HUGE) == PLX_DMA_BAD);
	for (i = 0; i < 65535; i += 97)
		assert_true(rig_dma(rig.ioas, VA + i * HUGE + 5) == VA + i * HUGE + 5);
	/* From anywhere, then from the end. */
	for (i = 0; i < 2048; i++)
		assert_int_equal(rig_unmap(rig.ioas, VA + i * 31 * HUGE, HUGE), 0);
	for (i = 65535; i--;)
		if (i % 31 || i >= 2048 * 31)
			assert_int_equal(rig_unmap(rig.ioas, VA + i * HUGE, HUGE), 0);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/*
 * VA.
 */
static void va_is_the_address_itself(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	assert_int_equal(rig_map_pages(rig.ioas, VA, PAGE, 0), 0);
	assert_true(rig_dma(rig.ioas, VA + 5) == VA + 5);
	fake_log_clear();
	assert_int_equal(rig_map_pages(rig.ioas, 0xfee00000, PAGE, 0), -ENOSPC);
	assert_int_equal(rig_map_pages(rig.ioas, 0xfedff000, 2 * PAGE, 0), -ENOSPC);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 2);
	assert_true(fake_logged(PLX_LOG_ERR, "0xfee00000"));
	assert_true(fake_logged(PLX_LOG_ERR, "start with --iova=alloc"));
	assert_int_equal(rig_map_pages(rig.ioas, 0xfedff000, PAGE, 0), 0);
	assert_int_equal(rig_map_pages(rig.ioas, 0xfef00000, PAGE, 0), 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/*
 * ALLOC.
 */
static void alloc_stays_in_the_ranges(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	uint64_t dma;
	int i;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		if (plx_vfio_mode_unsafe(mode))
			continue;
		rig_start(&rig, mode, PLX_ADDR_ALLOC);
		/* 39 bits, with a hole, as a VT-d of a laptop. */
		rig.dev[0]->range[1].last = (UINT64_C(1) << 39) - 1;
		dev = rig_open(&rig, BDF0);
		for (i = 0; i < 200; i++) {
			assert_int_equal(rig_map(rig.ioas, VA + i * 2 * GIB, GIB), 0);
			dma = rig_dma(rig.ioas, VA + i * 2 * GIB);
			assert_true(dma && dma + GIB <= UINT64_C(1) << 39);
			assert_true(dma + GIB <= 0xfee00000 || dma >= 0xfef00000);
			assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + i * 2 * GIB, GIB));
		}
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void alloc_uses_what_there_is(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	unsigned n = 0, i;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_ALLOC);
	/* 64 MiB below 4 GiB and 32 MiB above. */
	rig.dev[0]->range[0] = (struct fake_range){ 16 * MIB, 80 * MIB - 1 };
	rig.dev[0]->range[1] = (struct fake_range){ 8 * GIB, 8 * GIB + 32 * MIB - 1 };
	dev = rig_open(&rig, BDF0);
	while (n < 100 && !rig_map(rig.ioas, VA + n * 2 * FRAME, FRAME))
		n++;
	assert_int_equal(n, 48);
	assert_true(fake_logged(PLX_LOG_ERR, "no room for 2048 KiB"));
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 48);
	assert_true(rig_dma(rig.ioas, VA + n * 2 * FRAME) == PLX_DMA_BAD);
	/* What is given back is found again. */
	for (i = 0; i < n; i += 3)
		assert_int_equal(rig_unmap(rig.ioas, VA + i * 2 * FRAME, FRAME), 0);
	for (i = 0; i < n; i += 3)
		assert_int_equal(rig_map(rig.ioas, VA + GIB + i * 2 * FRAME, FRAME), 0);
	assert_int_equal(rig_map(rig.ioas, VA + 2 * GIB, FRAME), -ENOSPC);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void alloc_keeps_neighbours_together(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	uint64_t dma;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_ALLOC);
	dev = rig_open(&rig, BDF0);
	assert_int_equal(rig_map(rig.ioas, VA, FRAME), 0);
	assert_int_equal(rig_map(rig.ioas, VA + FRAME, 3 * FRAME), 0);
	dma = rig_dma(rig.ioas, VA);
	assert_true(rig_dma(rig.ioas, VA + FRAME) == dma + FRAME);
	assert_true(rig_dma(rig.ioas, VA + 4 * FRAME - 1) == dma + 4 * FRAME - 1);
	/* Large pages stay large for the IOMMU. */
	assert_int_equal(rig_map_pages(rig.ioas, VA + 64 * GIB, GIB, GIB), 0);
	assert_int_equal(rig_dma(rig.ioas, VA + 64 * GIB) % GIB, (VA + 64 * GIB) % GIB);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/* Two mappings in the ends of frames that belong to others at different distances. */
static void alloc_refuses_what_would_need_two_distances(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	uint64_t a, b;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_ALLOC);
	dev = rig_open(&rig, BDF0);
	/* Occupy what would keep the two together. */
	assert_int_equal(rig_map_pages(rig.ioas, VA, FRAME / 2, 0), 0);
	a = rig_dma(rig.ioas, VA);
	assert_int_equal(rig_map(rig.ioas, VA + GIB, 4 * FRAME), 0);
	assert_int_equal(rig_map_pages(rig.ioas, VA + 2 * FRAME + FRAME / 2, FRAME / 2, 0), 0);
	b = rig_dma(rig.ioas, VA + 2 * FRAME + FRAME / 2) - 2 * FRAME - FRAME / 2;
	assert_true(a != b);
	fake_log_clear();
	assert_int_equal(rig_map_pages(rig.ioas, VA + FRAME / 2, 2 * FRAME, 0), -ENOSPC);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	assert_true(fake_logged(PLX_LOG_ERR, "2 MiB"));
	/* Nor can the first grow into what the second has taken. */
	assert_int_equal(rig_map_pages(rig.ioas, VA + FRAME / 2, 3 * FRAME / 2, 0), -ENOSPC);
	assert_int_equal(rig_map_pages(rig.ioas, VA + FRAME / 2, FRAME / 2, 0), 0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, FRAME));
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/* Random mappings and unmappings of odd sizes: always reached, never two at one address. */
#define SLOTS 64

static void alloc_survives_any_order(void **state)
{
	struct {
		uint64_t va, len;
	} slot[SLOTS] = { 0 };
	struct plx_vfio_dev *dev;
	uint64_t seed = 99;
	struct rig rig;
	int step, mapped = 0, refused = 0;
	unsigned i;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_ALLOC);
	rig.dev[0]->range[0] = (struct fake_range){ 0, 256 * MIB - 1 };
	rig.dev[0]->range[1] = (struct fake_range){ 5 * GIB, 5 * GIB + 256 * MIB - 1 };
	dev = rig_open(&rig, BDF0);
	for (step = 0; step < 20000; step++) {
		unsigned at;
		int ret;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		at = (seed >> 33) % SLOTS;
		if (slot[at].len) {
			assert_true(rig_reaches(rig.ioas, rig.dev[0], slot[at].va, slot[at].len));
			assert_int_equal(rig_unmap(rig.ioas, slot[at].va, slot[at].len), 0);
			slot[at].len = 0;
			continue;
		}
		/* Up to 16 MiB each in 20 MiB of virtual memory: some touch a neighbour's frame. */
		slot[at].va = VA + at * 17 * MIB + (seed >> 40) % 256 * PAGE;
		slot[at].len = (1 + (seed >> 48) % 4096) * PAGE;
		ret = rig_map_pages(rig.ioas, slot[at].va, slot[at].len, 0);
		if (ret) {
			assert_true(ret == -ENOSPC || ret == -EEXIST);
			slot[at].len = 0;
			refused++;
			continue;
		}
		mapped++;
		assert_true(rig_reaches(rig.ioas, rig.dev[0], slot[at].va, slot[at].len));
	}
	assert_true(mapped > 5000 && refused > 100);
	for (i = 0; i < SLOTS; i++)
		if (slot[i].len)
			assert_int_equal(rig_unmap(rig.ioas, slot[i].va, slot[i].len), 0);
	/* Nothing is lost: all of both ranges can be had again, but for the lowest frame. */
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	assert_int_equal(rig_map(rig.ioas, VA, 256 * MIB), 0);
	assert_int_equal(rig_map(rig.ioas, VA + GIB, 254 * MIB), 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/* Pages of 1 GiB are aligned for the IOMMU, if there is room for it; there is room without, too. */
static void alignment_is_no_must(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_ALLOC);
	rig.dev[0]->nranges = 1;
	rig.dev[0]->range[0] = (struct fake_range){ 5 * GIB - HUGE, 7 * GIB - HUGE - 1 };
	dev = rig_open(&rig, BDF0);
	assert_int_equal(rig_map_pages(rig.ioas, VA, GIB, GIB), 0);
	assert_true(rig_dma(rig.ioas, VA) == 5 * GIB);
	assert_int_equal(rig_unmap(rig.ioas, VA, GIB), 0);
	/* By now the aligned place is taken. */
	assert_int_equal(rig_map(rig.ioas, VA + 8 * GIB, GIB), 0);
	assert_int_equal(rig_map_pages(rig.ioas, VA, GIB, GIB), 0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, GIB));
	assert_int_equal(rig_map(rig.ioas, VA + 10 * GIB, HUGE), -ENOSPC);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/*
 * PA.
 */
static uint64_t linear(uint64_t va)
{
	return va - VA + 8 * GIB;
}

static void pa_is_what_the_kernel_says(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_NOIOMMU, PLX_VFIO_NOIOMMU_CDEV };
	uint64_t run;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct plx_vfio_dev *dev;
		struct rig rig;
		int f;

		rig_start(&rig, modes[i], PLX_ADDR_PA);
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA, 8 * FRAME), 0);
		for (f = 0; f < 8; f++)
			assert_true(rig_dma(rig.ioas, VA + f * FRAME + 123) ==
				    fake_phys(VA + f * FRAME + 123, 1, &run));
		assert_int_equal(rig_unmap(rig.ioas, VA, 8 * FRAME), 0);
		fake.phys = linear;
		assert_int_equal(rig_map(rig.ioas, VA, 8 * FRAME), 0);
		assert_true(rig_dma(rig.ioas, VA + 7 * FRAME) == 8 * GIB + 7 * FRAME);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void pa_needs_pages_that_stay(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_NOIOMMU, PLX_ADDR_PA);
	dev = rig_open(&rig, BDF0);
	fake_log_clear();
	assert_int_equal(rig_map_pages(rig.ioas, VA, FRAME, 0), -EOPNOTSUPP);
	assert_int_equal(rig_map_pages(rig.ioas, VA, FRAME, 64 * KIB), -EOPNOTSUPP);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 2);
	assert_true(fake_logged(PLX_LOG_ERR, "hugepages"));
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void pa_needs_a_source(void **state)
{
	struct plx_vfio_dev *dev = NULL;
	struct plx_refusals why;
	struct rig rig;

	(void)state;
	/* pagemap is closed: legacy no-IOMMU can't do it, */
	rig_start(&rig, PLX_VFIO_NOIOMMU, PLX_ADDR_PA);
	fake.cap_sys_admin = false;
	dev = rig_open(&rig, BDF0);
	fake_log_clear();
	assert_int_equal(rig_map(rig.ioas, VA, FRAME), -EPERM);
	assert_true(fake_logged(PLX_LOG_ERR, "CAP_SYS_ADMIN"));
	plx_vfio_close(dev);
	/* nor replay what was mapped before, */
	assert_int_equal(rig_map(rig.ioas, VA, FRAME), 0);
	assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -EPERM);
	assert_int_equal(why.mode[PLX_VFIO_NOIOMMU].code, PLX_REFUSED_PERMISSION);
	rig_stop(&rig);
	/* the cdev can, */
	rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
	fake.cap_sys_admin = false;
	assert_int_equal(rig_map(rig.ioas, VA, FRAME), 0);
	assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
	dev = rig_open(&rig, BDF0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, FRAME));
	assert_int_equal(rig_map(rig.ioas, VA + GIB, FRAME), 0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + GIB, FRAME));
	plx_vfio_close(dev);
	assert_int_equal(rig_unmap(rig.ioas, VA, FRAME), 0);
	rig_stop(&rig);
	/* and fails where the kernel has no such command. */
	rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
	fake.no_get_pa = true;
	dev = rig_open(&rig, BDF0);
	assert_true(rig_map(rig.ioas, VA, FRAME) < 0);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/* A device with an IOMMU in an address space of physical addresses is given maps of those. */
static void pa_works_behind_an_iommu_too(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2 };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct plx_vfio_dev *real, *bare;
		struct rig rig;

		rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
		rig.dev[1]->noiommu = false;
		fake_publish();
		assert_int_equal(rig_map(rig.ioas, VA, 4 * FRAME), 0);
		bare = rig_open(&rig, BDF0);
		rig.opts.modes = 1u << modes[i];
		real = rig_open(&rig, BDF1);
		assert_int_equal(rig_map(rig.ioas, VA + GIB, 2 * FRAME), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 4 * FRAME));
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 4 * FRAME));
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA + GIB, 2 * FRAME));
		/* A scattered mapping is several maps, all or nothing. */
		assert_int_equal(fake_dev_maps(rig.dev[1])->count, 6);
		fake_ioctl_fail(modes[i] == PLX_VFIO_CDEV ? FK_IOAS_MAP : VFIO_IOMMU_MAP_DMA, EIO,
				modes[i] == PLX_VFIO_CDEV ? 3 : 2, 1);
		assert_int_equal(rig_map(rig.ioas, VA + 2 * GIB, 4 * FRAME), -EIO);
		assert_int_equal(fake_dev_maps(rig.dev[1])->count, 6);
		assert_int_equal(fake_dev_maps(rig.dev[0])->count, 2);
		assert_int_equal(rig_unmap(rig.ioas, VA, 4 * FRAME), 0);
		assert_int_equal(fake_dev_maps(rig.dev[1])->count, 2);
		plx_vfio_close(real);
		plx_vfio_close(bare);
		rig_stop(&rig);
	}
}

/* Nobody could tell before: the device that can makes the mapping whole for all. */
static void pa_learned_late_reaches_all(void **state)
{
	struct plx_vfio_dev *real, *bare;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
	rig.dev[1]->noiommu = false;
	fake.cap_sys_admin = false;
	fake_publish();
	assert_int_equal(rig_map(rig.ioas, VA, 4 * FRAME), 0);
	rig.opts.modes = 1u << PLX_VFIO_CDEV;
	real = rig_open(&rig, BDF1);
	assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 0);
	rig.opts.modes = 1u << PLX_VFIO_NOIOMMU_CDEV;
	bare = rig_open(&rig, BDF0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 4 * FRAME));
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 4 * FRAME));
	plx_vfio_close(bare);
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 4 * FRAME));
	assert_int_equal(rig_unmap(rig.ioas, VA, 4 * FRAME), 0);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 0);
	plx_vfio_close(real);
	rig_stop(&rig);
}

static uint64_t moved(uint64_t va)
{
	return linear(va) + GIB;
}

/* A page that moved under a mapping, or two sources that differ, are seen. */
static void pa_that_changed_is_refused(void **state)
{
	struct plx_vfio_dev *dev = NULL;
	struct plx_refusals why;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
	fake.phys = linear;
	assert_int_equal(rig_map(rig.ioas, VA, 4 * FRAME), 0);
	fake.phys = moved;
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -EIO);
	assert_int_equal(why.mode[PLX_VFIO_NOIOMMU_CDEV].code, PLX_REFUSED_MEMORY);
	assert_non_null(strstr(why.mode[PLX_VFIO_NOIOMMU_CDEV].text, "physical"));
	fake.phys = linear;
	dev = rig_open(&rig, BDF0);
	plx_vfio_close(dev);
	fake.phys_err = -EAGAIN;
	assert_int_equal(rig_map(rig.ioas, VA + GIB, FRAME), -EAGAIN);
	fake.phys_err = 0;
	rig_stop(&rig);
}

/* A late source, but a context that can't take what it says: back to where it was. */
static void pa_learned_late_is_all_or_nothing(void **state)
{
	struct plx_vfio_dev *real, *bare = NULL;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
	rig.dev[1]->noiommu = false;
	fake.cap_sys_admin = false;
	fake_publish();
	assert_int_equal(rig_map(rig.ioas, VA, 4 * FRAME), 0);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	real = rig_open(&rig, BDF1);
	rig.opts.modes = 1u << PLX_VFIO_NOIOMMU_CDEV;
	fake_ioctl_fail(VFIO_IOMMU_MAP_DMA, EIO, 2, 1);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &bare, NULL), -EIO);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 0);
	assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
	bare = rig_open(&rig, BDF0);
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 4 * FRAME));
	plx_vfio_close(bare);
	plx_vfio_close(real);
	rig_stop(&rig);
}

/* Two halves of a frame, told to be at different places. */
static void pa_gives_a_frame_one_distance(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_NOIOMMU, PLX_ADDR_PA);
	fake.phys = linear;
	assert_int_equal(rig_map(rig.ioas, VA, FRAME / 2), 0);
	fake.phys = moved;
	assert_int_equal(rig_map(rig.ioas, VA + FRAME / 2, FRAME / 2), -EOPNOTSUPP);
	assert_true(fake_logged(PLX_LOG_ERR, "two device addresses"));
	assert_true(rig_dma(rig.ioas, VA) == 8 * GIB);
	fake.phys = linear;
	assert_int_equal(rig_map(rig.ioas, VA + FRAME / 2, FRAME / 2), 0);
	assert_true(rig_dma(rig.ioas, VA + FRAME - 1) == 8 * GIB + FRAME - 1);
	rig_stop(&rig);
}

/* Told in pieces: contiguous ones become one map. */
static bool in_pieces(int fd, unsigned long request, void *arg, int *result)
{
	struct fk_get_pa *pa = arg;

	(void)fd;
	if (request != FK_GET_PA)
		return false;
	pa->out_phys = linear(pa->iova);
	pa->length = FRAME;
	*result = 0;
	return true;
}

static void pa_told_in_pieces_is_put_together(void **state)
{
	struct plx_vfio_dev *real, *bare;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
	rig.dev[1]->noiommu = false;
	fake_publish();
	fake.hook = in_pieces;
	bare = rig_open(&rig, BDF0);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	real = rig_open(&rig, BDF1);
	assert_int_equal(rig_map(rig.ioas, VA, 8 * FRAME), 0);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 1);
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 8 * FRAME));
	plx_vfio_close(real);
	plx_vfio_close(bare);
	rig_stop(&rig);
}

/* What a kernel could say of physical addresses that makes no sense. */
static uint64_t odd(uint64_t va)
{
	return linear(va) + PAGE;
}

static uint64_t torn(uint64_t va)
{
	return va % FRAME < FRAME / 2 ? linear(va) : linear(va) + GIB;
}

static uint64_t high(uint64_t va)
{
	return va | UINT64_C(0xffff800000000000);
}

static void pa_nonsense_is_refused(void **state)
{
	static uint64_t (*const phys[])(uint64_t) = { odd, torn };
	struct plx_vfio_dev *dev;
	struct rig rig;
	size_t i;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		if (!plx_vfio_mode_unsafe(mode))
			continue;
		rig_start(&rig, mode, PLX_ADDR_PA);
		dev = rig_open(&rig, BDF0);
		for (i = 0; i < 2; i++) {
			fake.phys = phys[i];
			fake_log_clear();
			assert_true(rig_map(rig.ioas, VA, 2 * FRAME) < 0);
			assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
			assert_true(rig_dma(rig.ioas, VA) == PLX_DMA_BAD);
		}
		fake.phys = high;
		if (!rig_map(rig.ioas, VA, 2 * FRAME))
			assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 2 * FRAME));
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_holds_frames),
		cmocka_unit_test(mappings_share_frames),
		cmocka_unit_test(as_many_mappings_as_the_kernel_takes),
		cmocka_unit_test(va_is_the_address_itself),
		cmocka_unit_test(alloc_stays_in_the_ranges),
		cmocka_unit_test(alloc_uses_what_there_is),
		cmocka_unit_test(alloc_keeps_neighbours_together),
		cmocka_unit_test(alloc_refuses_what_would_need_two_distances),
		cmocka_unit_test(alloc_survives_any_order),
		cmocka_unit_test(alignment_is_no_must),
		cmocka_unit_test(pa_is_what_the_kernel_says),
		cmocka_unit_test(pa_needs_pages_that_stay),
		cmocka_unit_test(pa_needs_a_source),
		cmocka_unit_test(pa_works_behind_an_iommu_too),
		cmocka_unit_test(pa_learned_late_reaches_all),
		cmocka_unit_test(pa_learned_late_is_all_or_nothing),
		cmocka_unit_test(pa_gives_a_frame_one_distance),
		cmocka_unit_test(pa_told_in_pieces_is_put_together),
		cmocka_unit_test(pa_that_changed_is_refused),
		cmocka_unit_test(pa_nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
