/* SPDX-License-Identifier: BSD-3-Clause */
/* Dirty tracking: by the page where an IOMMU can, by the mapping in type 1 containers. */
#include <errno.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_rig.h"

#define PAGES (HUGE / PAGE)

static uint64_t bits[PLX_DIRTY_WORDS(PAGES)];

static int read_bits(struct plx_ioas *ioas, uint64_t va)
{
	memset(bits, 0, sizeof(bits));
	return plx_ioas_dirty_read(ioas, (void *)(uintptr_t)va, HUGE, bits);
}

static unsigned count_bits(void)
{
	unsigned i, n = 0;

	for (i = 0; i < PLX_DIRTY_WORDS(PAGES); i++)
		n += __builtin_popcountll(bits[i]);
	return n;
}

/* A kernel and an address space that is meant for it. */
static void start(struct rig *rig, enum plx_vfio_mode mode)
{
	struct plx_policy policy = { .addr = PLX_ADDR_ALLOC, .track_dirty = true };

	rig_start(rig, mode, PLX_ADDR_VA);
	assert_int_equal(plx_ioas_destroy(rig->ioas), 0);
	assert_int_equal(plx_ioas_create(&policy, &rig->ioas), 0);
	rig->dev[0]->tracks_dirty = rig->dev[1]->tracks_dirty = true;
}

static void pages_that_were_written_to(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;
	uint64_t dma;

	(void)state;
	start(&rig, PLX_VFIO_CDEV);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	a = rig_open(&rig, BDF0);
	assert_int_equal(rig_map(rig.ioas, VA + GIB, HUGE), 0);
	dma = rig_dma(rig.ioas, VA);
	assert_int_equal(read_bits(rig.ioas, VA), -ENODATA);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), -EALREADY);
	assert_int_equal(read_bits(rig.ioas, VA), 0);
	assert_int_equal(count_bits(), 0);
	fake_dev_wrote(rig.dev[0], dma + 3 * PAGE + 100, 8);
	fake_dev_wrote(rig.dev[0], dma + 511 * PAGE, PAGE);
	assert_int_equal(read_bits(rig.ioas, VA + GIB), 0);
	assert_int_equal(count_bits(), 0);
	assert_int_equal(read_bits(rig.ioas, VA), 0);
	assert_int_equal(count_bits(), 2);
	assert_true(bits[0] == 1 << 3 && bits[7] == UINT64_C(1) << 63);
	/* Told once. Bits that were set stay. */
	memset(bits, 0xff, sizeof(bits));
	assert_int_equal(plx_ioas_dirty_read(rig.ioas, (void *)VA, HUGE, bits), 0);
	assert_int_equal(count_bits(), PAGES);
	assert_int_equal(read_bits(rig.ioas, VA), 0);
	assert_int_equal(count_bits(), 0);
	/* A device that comes while it is on shares the page table, or has one of its own. */
	b = rig_open(&rig, BDF1);
	assert_int_equal(rig.dev[1]->hwpt, rig.dev[0]->hwpt);
	plx_vfio_close(b);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	b = rig_open(&rig, BDF1);
	assert_int_not_equal(rig.dev[1]->hwpt, rig.dev[0]->hwpt);
	assert_int_not_equal(rig.dev[1]->hwpt, 0);
	fake_dev_wrote(rig.dev[0], dma, 1);
	fake_dev_wrote(rig.dev[1], dma + PAGE, 1);
	assert_int_equal(read_bits(rig.ioas, VA), 0);
	assert_true(bits[0] == 3);
	assert_int_equal(plx_ioas_dirty_read(rig.ioas, (void *)VA, PAGE, bits), -EINVAL);
	assert_int_equal(plx_ioas_dirty_read(rig.ioas, (void *)(VA + HUGE), PAGE, bits), -ENOENT);
	assert_int_equal(plx_ioas_dirty_stop(rig.ioas), 0);
	assert_int_equal(plx_ioas_dirty_stop(rig.ioas), 0);
	assert_int_equal(read_bits(rig.ioas, VA), -ENODATA);
	/* Once more, from clean. */
	fake_dev_wrote(rig.dev[0], dma, 1);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	assert_int_equal(read_bits(rig.ioas, VA), 0);
	assert_int_equal(count_bits(), 0);
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

/* What one page table told before another failed is told once: it mustn't be lost. */
static void a_read_that_fails_halfway(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;
	uint64_t dma;

	(void)state;
	start(&rig, PLX_VFIO_CDEV);
	a = rig_open(&rig, BDF0);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	b = rig_open(&rig, BDF1);
	assert_int_not_equal(rig.dev[1]->hwpt, rig.dev[0]->hwpt);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	dma = rig_dma(rig.ioas, VA);
	fake_dev_wrote(rig.dev[0], dma, 1);
	fake_dev_wrote(rig.dev[1], dma + PAGE, 1);
	fake_ioctl_fail(FK_GET_DIRTY, ENOMEM, 1, 1);
	assert_int_equal(read_bits(rig.ioas, VA), -ENOMEM);
	assert_int_equal(count_bits(), 1);
	assert_int_equal(plx_ioas_dirty_read(rig.ioas, (void *)VA, HUGE, bits), 0);
	assert_true(bits[0] == 3);
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

static void a_container_says_that_all_is_dirty(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_ALLOC);
	rig.dev[1]->loner = true;
	a = rig_open(&rig, BDF0);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	b = rig_open(&rig, BDF1);
	assert_ptr_not_equal(fake_dev_maps(rig.dev[0]), fake_dev_maps(rig.dev[1]));
	assert_int_equal(rig_map(rig.ioas, VA + GIB, HUGE), 0);
	assert_int_equal(read_bits(rig.ioas, VA), 0);
	assert_int_equal(count_bits(), PAGES);
	assert_int_equal(read_bits(rig.ioas, VA + GIB), 0);
	assert_int_equal(count_bits(), PAGES);
	fake_ioctl_fail(VFIO_IOMMU_DIRTY_PAGES, EIO, 0, 1);
	assert_int_equal(read_bits(rig.ioas, VA), -EIO);
	fake_ioctl_fail(VFIO_IOMMU_DIRTY_PAGES, EIO, 0, 1);
	assert_int_equal(plx_ioas_dirty_stop(rig.ioas), -EIO);
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

/* Whoever can't is named, and leaves it off in the others. */
static void all_or_nothing(void **state)
{
	static const struct {
		enum plx_vfio_mode mode;
		const char *words;
	} cases[] = {
		{ PLX_VFIO_CDEV, "iommufd can't" },
		{ PLX_VFIO_TYPE1, "type 1 container can't" },
		{ PLX_VFIO_COMPAT, "type 1 container can't" },
		{ PLX_VFIO_NOIOMMU, "no-IOMMU container can't" },
		{ PLX_VFIO_NOIOMMU_CDEV, "without an IOMMU can't" },
	};
	struct plx_vfio_dev *a, *b;
	struct plx_refusal refusal;
	struct plx_refusals why;
	struct rig rig;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_start(&rig, cases[i].mode, rig_policy(cases[i].mode));
		assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
		assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &a, &why) == -EOPNOTSUPP);
		assert_int_equal(why.mode[cases[i].mode].code, PLX_REFUSED_POLICY);
		assert_non_null(strstr(why.mode[cases[i].mode].text, cases[i].words));
		assert_int_equal(plx_ioas_dirty_stop(rig.ioas), 0);
		a = rig_open(&rig, BDF0);
		fake_log_clear();
		assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), -EOPNOTSUPP);
		assert_true(fake_logged(PLX_LOG_ERR, cases[i].words));
		fake_log_clear();
		assert_int_equal(plx_ioas_dirty_start(rig.ioas, &refusal), -EOPNOTSUPP);
		assert_int_equal(refusal.code, PLX_REFUSED_POLICY);
		assert_non_null(strstr(refusal.text, cases[i].words));
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
		assert_int_equal(read_bits(rig.ioas, VA), -ENODATA);
		plx_vfio_close(a);
		rig_stop(&rig);
	}
	/* One of two devices behind an IOMMU that can't: it is attached, and nothing is tracked. */
	start(&rig, PLX_VFIO_CDEV);
	rig.dev[1]->tracks_dirty = false;
	a = rig_open(&rig, BDF0);
	b = rig_open(&rig, BDF1);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), -EOPNOTSUPP);
	/* With its going, or a claim of it that fails, the other can be tracked again. */
	plx_vfio_close(b);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	assert_int_equal(plx_ioas_dirty_stop(rig.ioas), 0);
	fake_ioctl_fail(VFIO_DEVICE_GET_INFO, EIO, 0, 1);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, &why), -EIO);
	fake_ioctl_fail(FK_IOVA_RANGES, ENOENT, 0, 1);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, &why), -ENOENT);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	assert_int_equal(plx_ioas_dirty_stop(rig.ioas), 0);
	plx_vfio_close(a);
	/* Its coming while the other is tracked is refused: what it writes would be missed. */
	a = rig_open(&rig, BDF0);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, &why), -EOPNOTSUPP);
	assert_int_equal(plx_ioas_dirty_stop(rig.ioas), 0);
	plx_vfio_close(a);
	rig_stop(&rig);
}

static void a_start_that_fails_halfway(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;

	(void)state;
	start(&rig, PLX_VFIO_CDEV);
	a = rig_open(&rig, BDF0);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	b = rig_open(&rig, BDF1);
	fake_ioctl_fail(FK_SET_DIRTY, EIO, 1, 1);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), -EIO);
	/* On, on (failed), off again. */
	assert_int_equal(fake_ioctl_count(FK_SET_DIRTY), 3);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	/* A device whose page table can't be turned on has no place. */
	plx_vfio_close(b);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 2);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, NULL), 0);
	plx_vfio_close(b);
	plx_vfio_close(a);
	rig_stop(&rig);
	/* Two containers, the second of which says no. */
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_ALLOC);
	rig.dev[1]->loner = true;
	a = rig_open(&rig, BDF0);
	b = rig_open(&rig, BDF1);
	fake_ioctl_fail(VFIO_IOMMU_DIRTY_PAGES, ENOMEM, 1, 1);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), -ENOMEM);
	assert_int_equal(fake_ioctl_count(VFIO_IOMMU_DIRTY_PAGES), 3);
	plx_vfio_close(b);
	plx_vfio_close(a);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_that_were_written_to),
		cmocka_unit_test(a_read_that_fails_halfway),
		cmocka_unit_test(a_container_says_that_all_is_dirty),
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(a_start_that_fails_halfway),
	};

	return cmocka_run_group_tests_name("ioas-dirty", tests, NULL, NULL);
}
