/* SPDX-License-Identifier: BSD-3-Clause */
/* Claiming: which access mode is taken. */
#include <errno.h>

#include "fake_abi.h"
#include "fake_rig.h"

static void the_best_mode_is_taken_while_better_ones_go(void **state)
{
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	rig_takes(&rig, PLX_VFIO_CDEV);
	fake_path_remove("/dev/vfio/devices/vfio0");
	rig_takes(&rig, PLX_VFIO_TYPE1V2);
	assert_true(fake_logged(PLX_LOG_NOTICE, "/dev/vfio/devices/vfio0"));
	fake_path_remove("/dev/vfio/vfio");
	rig_takes(&rig, PLX_VFIO_COMPAT);
	fake_publish();
	fake_path_remove("/dev/iommu");
	rig_takes(&rig, PLX_VFIO_TYPE1V2);
	rig_stop(&rig);
}

static void version_1_is_what_is_left_without_version_2(void **state)
{
	struct plx_vfio_dev *dev;
	struct plx_refusals why;
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_STOCK, false);
	fake.v1_only = true;
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), 0);
	assert_int_equal(plx_vfio_dev_mode(dev), PLX_VFIO_TYPE1);
	assert_int_equal(why.mode[PLX_VFIO_TYPE1V2].code, PLX_REFUSED_IOMMU);
	assert_int_equal(why.mode[PLX_VFIO_TYPE1].code, PLX_REFUSED_NONE);
	assert_int_equal(why.mode[PLX_VFIO_COMPAT].code, PLX_REFUSED_NONE);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void without_an_iommu_the_cdev_comes_first_too(void **state)
{
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_C, true);
	rig.opts.allow_noiommu = true;
	rig_takes(&rig, PLX_VFIO_NOIOMMU_CDEV);
	fake_path_remove("/dev/iommu");
	rig_takes(&rig, PLX_VFIO_NOIOMMU);
	rig_stop(&rig);

	rig_boot(&rig, FAKE_A, true);
	rig.opts.allow_noiommu = true;
	rig_takes(&rig, PLX_VFIO_NOIOMMU);
	rig_stop(&rig);

	/* A container that iommufd serves. */
	rig_boot(&rig, FAKE_B, true);
	rig.opts.allow_noiommu = true;
	rig_takes(&rig, PLX_VFIO_NOIOMMU);
	rig_stop(&rig);
}

static void exactly_the_mode_asked_for_is_taken(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_vfio_dev *dev;
		struct plx_refusals why;
		struct rig rig;

		rig_boot(&rig, mode == PLX_VFIO_NOIOMMU_CDEV ? FAKE_C : FAKE_A,
			 plx_vfio_mode_unsafe(mode));
		rig.opts.modes = 1u << mode;
		rig.opts.allow_noiommu = true;
		rig_takes(&rig, mode);
		assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), 0);
		RIG_EACH_MODE(other)
		{
			bool better = other < mode;

			assert_int_equal(why.mode[other].code,
					 better ? PLX_REFUSED_NOT_ASKED : PLX_REFUSED_NONE);
		}
		plx_vfio_close(dev);
		rig.opts.modes = 0;
		rig_refuses(&rig, -EINVAL, mode, PLX_REFUSED_NOT_ASKED, "");
		rig_stop(&rig);
	}
}

static void a_container_of_iommufds_is_named(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_B, false);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	rig_takes(&rig, PLX_VFIO_TYPE1V2);
	assert_true(fake_logged(PLX_LOG_NOTICE, "served by iommufd"));
	dev = rig_open(&rig, BDF0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void names_of_modes_go_both_ways(void **state)
{
	static const char *const bad[] = {
		"", "CDEV", "cdev ", "type1v3", "user:", "noiommu_cdev"
	};
	enum plx_vfio_mode parsed;
	size_t i;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		assert_int_equal(plx_vfio_mode_parse(plx_vfio_mode_name(mode), &parsed), 0);
		assert_int_equal(parsed, mode);
		assert_int_equal(plx_vfio_mode_unsafe(mode), mode >= PLX_VFIO_NOIOMMU_CDEV);
	}
	assert_int_equal(plx_vfio_mode_parse("user", &parsed), 0);
	assert_int_equal(parsed, PLX_VFIO_USER);
	assert_false(plx_vfio_mode_unsafe(PLX_VFIO_USER));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(plx_vfio_mode_parse(bad[i], &parsed), -EINVAL);
	assert_string_equal(plx_vfio_mode_name(PLX_VFIO_MODES), "?");
	assert_string_equal(plx_refusal_name(PLX_REFUSED_CODES), "?");
	assert_string_equal(plx_refusal_name(PLX_REFUSED_GROUP), "group");
	assert_string_equal(plx_addr_policy_name(PLX_ADDR_ALLOC), "ALLOC");
	assert_string_equal(plx_addr_policy_name(99), "?");
}

static void foreseeing_opens_nothing(void **state)
{
	enum plx_vfio_mode mode;
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	fake_path_fail("/dev/vfio/vfio", EIO, -1);
	assert_int_equal(plx_vfio_foresee(BDF0, &rig.opts, &mode, NULL), 0);
	assert_int_equal(mode, PLX_VFIO_CDEV);
	assert_int_equal(fake_ioctl_count(FK_BIND_IOMMUFD), 0);
	assert_int_equal(fake_ioctl_count(VFIO_GET_API_VERSION), 0);
	assert_int_equal(fake_log_count(PLX_LOG_ERR) + fake_log_count(PLX_LOG_NOTICE), 0);
	assert_int_equal(fake.slept_ms, 0);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_mode_is_taken_while_better_ones_go),
		cmocka_unit_test(version_1_is_what_is_left_without_version_2),
		cmocka_unit_test(without_an_iommu_the_cdev_comes_first_too),
		cmocka_unit_test(exactly_the_mode_asked_for_is_taken),
		cmocka_unit_test(a_container_of_iommufds_is_named),
		cmocka_unit_test(names_of_modes_go_both_ways),
		cmocka_unit_test(foreseeing_opens_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
