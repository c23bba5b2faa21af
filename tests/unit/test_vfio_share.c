/* SPDX-License-Identifier: BSD-3-Clause */
/* Claiming several devices: what they share, and what one does to the other. */
#include <errno.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_rig.h"

static void groups_share_a_container_if_they_can(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		rig_start(&rig, mode, rig_policy(mode));
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		a = rig_open(&rig, BDF0);
		b = rig_open(&rig, BDF1);
		assert_ptr_equal(fake_dev_maps(rig.dev[0]), fake_dev_maps(rig.dev[1]));
		plx_vfio_close(a);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, HUGE));
		plx_vfio_close(b);
		rig_stop(&rig);
	}
}

static void a_group_that_can_not_share_has_its_own_container(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_TYPE1V2, PLX_VFIO_TYPE1 };
	struct plx_vfio_dev *a, *b;
	struct rig rig;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		rig_start(&rig, modes[i], PLX_ADDR_VA);
		rig.dev[1]->loner = true;
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		a = rig_open(&rig, BDF0);
		b = rig_open(&rig, BDF1);
		assert_ptr_not_equal(fake_dev_maps(rig.dev[0]), fake_dev_maps(rig.dev[1]));
		assert_int_equal(rig_map(rig.ioas, VA + HUGE, HUGE), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, 2 * HUGE));
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, 2 * HUGE));
		plx_vfio_close(a);
		assert_int_equal(rig_unmap(rig.ioas, VA, HUGE), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA + HUGE, HUGE));
		plx_vfio_close(b);
		rig_stop(&rig);
	}
}

static void a_cdev_that_can_not_share_has_its_own_ioas(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	a = rig_open(&rig, BDF0);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	b = rig_open(&rig, BDF1);
	assert_ptr_not_equal(fake_dev_maps(rig.dev[0]), fake_dev_maps(rig.dev[1]));
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, HUGE));
	plx_vfio_close(a);
	plx_vfio_close(b);
	rig_stop(&rig);
}

static void devices_of_one_group_share_its_file(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *a, *b;
		struct rig rig;

		rig_start(&rig, mode, rig_policy(mode));
		rig.dev[1]->group = 10;
		fake_publish();
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		a = rig_open(&rig, BDF0);
		b = rig_open(&rig, BDF1);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, HUGE));
		plx_vfio_close(a);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, HUGE));
		a = rig_open(&rig, BDF0);
		plx_vfio_close(b);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

static void the_ranges_of_all_devices_bind(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *a, *b;
		struct rig rig;

		if (plx_vfio_mode_unsafe(mode))
			continue;
		rig_start(&rig, mode, PLX_ADDR_VA);
		rig.dev[1]->range[1].last = (UINT64_C(1) << 39) - 1;
		a = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, 64 * GIB, HUGE), 0);
		b = rig_open(&rig, BDF1);
		fake_log_clear();
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), -ENOSPC);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], 64 * GIB, HUGE));
		/* With the narrow one gone there is room again, for the other one, too. */
		plx_vfio_close(b);
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
		assert_int_equal(rig_unmap(rig.ioas, VA, HUGE), 0);
		/* One that joins and can't be had after all leaves nothing behind. */
		fake_ioctl_fail(VFIO_DEVICE_GET_INFO, EIO, 0, 1);
		assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, NULL), -EIO);
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

static unsigned allocs_left;

static void *scarce(size_t len)
{
	return allocs_left && allocs_left-- ? fake_sys.alloc(len) : NULL;
}

/* A second device that can't join for want of memory: the first one keeps its ranges. */
static void a_claim_that_fails_narrows_nothing(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct plx_sys sys = fake_sys;
	struct plx_refusals why;
	unsigned room, seen = 0;
	struct rig rig;
	int err;

	(void)state;
	sys.alloc = scarce;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	rig.dev[1]->range[1].last = (UINT64_C(1) << 39) - 1;
	a = rig_open(&rig, BDF0);
	for (room = 0, err = -ENOMEM; err; room++) {
		assert_true(room < 100);
		allocs_left = room;
		plx_sys = &sys;
		err = plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, &why);
		plx_sys = &fake_sys;
		if (err && strstr(why.mode[PLX_VFIO_TYPE1V2].text, "book-keeping")) {
			seen++;
			assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
			assert_int_equal(rig_unmap(rig.ioas, VA, HUGE), 0);
		}
	}
	assert_true(seen > 0);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), -ENOSPC);
	plx_vfio_close(b);
	plx_vfio_close(a);
	rig_stop(&rig);
}

static void what_this_process_holds_otherwise_is_busy(void **state)
{
	struct plx_vfio_dev *dev;
	struct fake_dev *sibling;
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	sibling = fake_dev(BDF1, 10);
	fake_publish();
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	dev = rig_open(&rig, BDF1);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1;
	rig_refuses(&rig, -EBUSY, PLX_VFIO_TYPE1, PLX_REFUSED_BUSY, "type1v2");
	rig.opts.modes = 1u << PLX_VFIO_CDEV;
	rig_refuses(&rig, -EBUSY, PLX_VFIO_CDEV, PLX_REFUSED_BUSY, "held");
	plx_vfio_close(dev);
	dev = rig_open(&rig, BDF1);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	rig_refuses(&rig, -EBUSY, PLX_VFIO_TYPE1V2, PLX_REFUSED_BUSY, "/dev/vfio/10");
	/* Asked for anything, it follows its sibling. */
	rig.opts.modes = PLX_VFIO_ALL_MODES;
	rig_takes(&rig, PLX_VFIO_CDEV);
	plx_vfio_close(dev);
	assert_int_equal(sibling->opens, 0);
	rig_stop(&rig);
}

/* The second device of a shared container is found out only when it is opened. */
static void a_late_device_with_other_ranges_is_refused(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *a, *b = NULL;
		struct plx_refusals why;
		struct rig rig;

		if (plx_vfio_mode_unsafe(mode))
			continue;
		rig_start(&rig, mode, PLX_ADDR_VA);
		rig.dev[1]->range[1].last = (UINT64_C(1) << 39) - 1;
		a = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		assert_true(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, &why) < 0);
		assert_int_equal(why.mode[mode].code, PLX_REFUSED_POLICY);
		assert_non_null(strstr(why.mode[mode].text, "IOVA = VA"));
		/* The first goes on, with all its ranges. */
		assert_int_equal(rig_map(rig.ioas, VA + GIB, HUGE), 0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA + GIB, HUGE));
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

/* The second device of a group can't be had: the first goes on. */
static void a_failed_sibling_leaves_the_group_to_the_first(void **state)
{
	struct plx_vfio_dev *a, *b = NULL;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	rig.dev[1]->group = 10;
	fake_publish();
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	a = rig_open(&rig, BDF0);
	fake_ioctl_fail(VFIO_GROUP_GET_DEVICE_FD, EIO, 0, 1);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, NULL), -EIO);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
	b = rig_open(&rig, BDF1);
	plx_vfio_close(a);
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, HUGE));
	plx_vfio_close(b);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_share_a_container_if_they_can),
		cmocka_unit_test(a_group_that_can_not_share_has_its_own_container),
		cmocka_unit_test(a_cdev_that_can_not_share_has_its_own_ioas),
		cmocka_unit_test(devices_of_one_group_share_its_file),
		cmocka_unit_test(the_ranges_of_all_devices_bind),
		cmocka_unit_test(a_claim_that_fails_narrows_nothing),
		cmocka_unit_test(what_this_process_holds_otherwise_is_busy),
		cmocka_unit_test(a_late_device_with_other_ranges_is_refused),
		cmocka_unit_test(a_failed_sibling_leaves_the_group_to_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
