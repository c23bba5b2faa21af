/* SPDX-License-Identifier: BSD-3-Clause */
/* Claiming: which access mode is taken, and for each one that isn't, why. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_rig.h"

#define TOKEN "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3"

/* A kernel with one device in group 10, all modes allowed. */
static void boot(struct rig *rig, enum fake_flavour flavour, bool noiommu)
{
	fake_start(flavour);
	fake.unsafe_noiommu = noiommu;
	rig->dev[0] = fake_dev(BDF0, 10);
	rig->dev[0]->noiommu = noiommu;
	fake_publish();
	rig->opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig->ioas = rig_ioas(noiommu ? PLX_ADDR_PA : PLX_ADDR_VA);
}

static void takes(struct rig *rig, enum plx_vfio_mode mode)
{
	enum plx_vfio_mode foreseen = PLX_VFIO_MODES;
	struct plx_vfio_dev *dev;

	assert_int_equal(plx_vfio_foresee(BDF0, &rig->opts, &foreseen, NULL), 0);
	assert_int_equal(foreseen, mode);
	fake_log_clear();
	dev = rig_open(rig, BDF0);
	assert_int_equal(plx_vfio_dev_mode(dev), mode);
	assert_string_equal(plx_vfio_name(dev), BDF0);
	assert_int_equal(fake_log_count(PLX_LOG_NOTICE), 1);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
	assert_true(fake_logged(PLX_LOG_NOTICE, plx_vfio_mode_name(mode)));
	plx_vfio_close(dev);
}

/* The claim fails, and the refusal of a mode has this code and names this object. */
static void refuses(struct rig *rig, int err, enum plx_vfio_mode mode, enum plx_refusal_code code,
		    const char *object)
{
	struct plx_vfio_dev *dev = NULL;
	struct plx_refusals why;
	int ret;

	fake_log_clear();
	ret = plx_vfio_open(rig->ioas, BDF0, &rig->opts, &dev, &why);
	if (ret != err || why.mode[mode].code != code || !strstr(why.mode[mode].text, object))
		fail_msg("%d (want %d), %s: \"%s\" (want %s: %s)", ret, err,
			 plx_refusal_name(why.mode[mode].code), why.mode[mode].text,
			 plx_refusal_name(code), object);
	assert_null(dev);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	assert_true(fake_logged(PLX_LOG_ERR, BDF0));
	assert_true(fake_logged(PLX_LOG_ERR, object));
	assert_int_equal(fake_log_count(PLX_LOG_NOTICE), 0);
}

/* As above; foreseen too. */
static void refuses_and_foresees(struct rig *rig, int err, enum plx_vfio_mode mode,
				 enum plx_refusal_code code, const char *object)
{
	enum plx_vfio_mode any;
	struct plx_refusals why;

	assert_int_equal(plx_vfio_foresee(BDF0, &rig->opts, &any, &why), err);
	assert_int_equal(why.mode[mode].code, code);
	assert_non_null(strstr(why.mode[mode].text, object));
	refuses(rig, err, mode, code, object);
}

/*
 * The order of preference.
 */
static void the_best_mode_is_taken_while_better_ones_go(void **state)
{
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_A, false);
	takes(&rig, PLX_VFIO_CDEV);
	fake_path_remove("/dev/vfio/devices/vfio0");
	takes(&rig, PLX_VFIO_TYPE1V2);
	assert_true(fake_logged(PLX_LOG_NOTICE, "/dev/vfio/devices/vfio0"));
	fake_path_remove("/dev/vfio/vfio");
	takes(&rig, PLX_VFIO_COMPAT);
	fake_publish();
	fake_path_remove("/dev/iommu");
	takes(&rig, PLX_VFIO_TYPE1V2);
	rig_stop(&rig);
}

static void version_1_is_what_is_left_without_version_2(void **state)
{
	struct plx_vfio_dev *dev;
	struct plx_refusals why;
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_STOCK, false);
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
	boot(&rig, FAKE_C, true);
	rig.opts.allow_noiommu = true;
	takes(&rig, PLX_VFIO_NOIOMMU_CDEV);
	fake_path_remove("/dev/iommu");
	takes(&rig, PLX_VFIO_NOIOMMU);
	rig_stop(&rig);

	boot(&rig, FAKE_A, true);
	rig.opts.allow_noiommu = true;
	takes(&rig, PLX_VFIO_NOIOMMU);
	rig_stop(&rig);

	/* A container that iommufd serves. */
	boot(&rig, FAKE_B, true);
	rig.opts.allow_noiommu = true;
	takes(&rig, PLX_VFIO_NOIOMMU);
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

		boot(&rig, mode == PLX_VFIO_NOIOMMU_CDEV ? FAKE_C : FAKE_A,
		     plx_vfio_mode_unsafe(mode));
		rig.opts.modes = 1u << mode;
		rig.opts.allow_noiommu = true;
		takes(&rig, mode);
		assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), 0);
		RIG_EACH_MODE(other)
		{
			bool better = other < mode;

			assert_int_equal(why.mode[other].code,
					 better ? PLX_REFUSED_NOT_ASKED : PLX_REFUSED_NONE);
		}
		plx_vfio_close(dev);
		rig.opts.modes = 0;
		refuses(&rig, -EINVAL, mode, PLX_REFUSED_NOT_ASKED, "");
		rig_stop(&rig);
	}
}

static void a_container_of_iommufds_is_named(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_B, false);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	takes(&rig, PLX_VFIO_TYPE1V2);
	assert_true(fake_logged(PLX_LOG_NOTICE, "served by iommufd"));
	dev = rig_open(&rig, BDF0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void names_of_modes_go_both_ways(void **state)
{
	static const char *const bad[] = { "", "CDEV", "cdev ", "type1v3", "user", "noiommu_cdev" };
	enum plx_vfio_mode parsed;
	size_t i;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		assert_int_equal(plx_vfio_mode_parse(plx_vfio_mode_name(mode), &parsed), 0);
		assert_int_equal(parsed, mode);
		assert_int_equal(plx_vfio_mode_unsafe(mode), mode >= PLX_VFIO_NOIOMMU_CDEV);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(plx_vfio_mode_parse(bad[i], &parsed), -EINVAL);
	assert_string_equal(plx_vfio_mode_name(PLX_VFIO_MODES), "?");
	assert_string_equal(plx_refusal_name(PLX_REFUSED_CODES), "?");
	assert_string_equal(plx_refusal_name(PLX_REFUSED_GROUP), "group");
	assert_string_equal(plx_addr_policy_name(PLX_ADDR_ALLOC), "ALLOC");
	assert_string_equal(plx_addr_policy_name(99), "?");
}

/*
 * Refusals.
 */
static void a_name_that_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"01:00.0",
		"0000:01:00.8",
		"0000:01:00",
		"0000:01:00.0x",
		"../../../etc",
		"0000-01:00.0",
		"000g:01:00.0",
		"0000:01:00.0/../../../../../../../../../../../dev/null"
	};
	struct plx_vfio_dev *dev = NULL;
	enum plx_vfio_mode mode;
	struct rig rig;
	size_t i;

	(void)state;
	boot(&rig, FAKE_A, false);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_log_clear();
		assert_int_equal(plx_vfio_open(rig.ioas, bad[i], &rig.opts, &dev, NULL), -EINVAL);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_int_equal(plx_vfio_foresee(bad[i], &rig.opts, &mode, NULL), -EINVAL);
	}
	plx_vfio_close(NULL);
	rig_stop(&rig);
}

static void a_device_must_be_there_and_vfios(void **state)
{
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_A, false);
	rig.dev[0]->driver = "e1000e";
	fake_publish();
	refuses_and_foresees(&rig, -EBUSY, PLX_VFIO_CDEV, PLX_REFUSED_DRIVER, "e1000e");
	rig.dev[0]->driver = NULL;
	fake_publish();
	refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_TYPE1V2, PLX_REFUSED_DRIVER, "no driver");
	fake_path_remove("/sys/bus/pci/devices/" BDF0);
	refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_CDEV, PLX_REFUSED_NO_DEVICE,
			     "no such PCI function");
	rig_stop(&rig);
}

static void a_missing_node_is_named(void **state)
{
	static const struct {
		enum plx_vfio_mode mode;
		const char *path;
	} nodes[] = {
		{ PLX_VFIO_CDEV, "/dev/iommu" },
		{ PLX_VFIO_CDEV, "/dev/vfio/devices/vfio0" },
		{ PLX_VFIO_TYPE1V2, "/dev/vfio/vfio" },
		{ PLX_VFIO_TYPE1V2, "/dev/vfio/10" },
		{ PLX_VFIO_TYPE1, "/dev/vfio/10" },
		{ PLX_VFIO_COMPAT, "/dev/iommu" },
		{ PLX_VFIO_NOIOMMU_CDEV, "/dev/vfio/devices/noiommu-vfio0" },
		{ PLX_VFIO_NOIOMMU, "/dev/vfio/noiommu-10" },
	};
	struct rig rig;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		bool unsafe = plx_vfio_mode_unsafe(nodes[i].mode);

		boot(&rig, unsafe ? FAKE_C : FAKE_A, unsafe);
		rig.opts.modes = 1u << nodes[i].mode;
		rig.opts.allow_noiommu = true;
		fake_path_remove(nodes[i].path);
		refuses_and_foresees(&rig, -ENOENT, nodes[i].mode, PLX_REFUSED_NODE, nodes[i].path);
		rig_stop(&rig);
	}
}

static void a_closed_node_is_named_after_some_tries(void **state)
{
	static const struct {
		enum plx_vfio_mode mode;
		const char *path;
	} nodes[] = {
		{ PLX_VFIO_CDEV, "/dev/iommu" },
		{ PLX_VFIO_CDEV, "/dev/vfio/devices/vfio0" },
		{ PLX_VFIO_TYPE1V2, "/dev/vfio/vfio" },
		{ PLX_VFIO_TYPE1, "/dev/vfio/10" },
		{ PLX_VFIO_COMPAT, "/dev/iommu" },
		{ PLX_VFIO_NOIOMMU_CDEV, "/dev/vfio/devices/noiommu-vfio0" },
		{ PLX_VFIO_NOIOMMU, "/dev/vfio/noiommu-10" },
	};
	struct rig rig;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		bool unsafe = plx_vfio_mode_unsafe(nodes[i].mode);

		boot(&rig, unsafe ? FAKE_C : FAKE_A, unsafe);
		rig.opts.modes = 1u << nodes[i].mode;
		rig.opts.allow_noiommu = true;
		fake_path_fail(nodes[i].path, EACCES, -1);
		refuses_and_foresees(&rig, -EACCES, nodes[i].mode, PLX_REFUSED_PERMISSION,
				     nodes[i].path);
		assert_true(fake.slept_ms <= 2000);
		/* The rules of udev come a little late. */
		if (strcmp(nodes[i].path, "/dev/iommu") &&
		    strcmp(nodes[i].path, "/dev/vfio/vfio")) {
			fake_path_fail(nodes[i].path, EACCES, 2);
			plx_vfio_close(rig_open(&rig, BDF0));
			fake_path_fail(nodes[i].path, EBUSY, 2);
			plx_vfio_close(rig_open(&rig, BDF0));
		}
		rig_stop(&rig);
	}
}

static void a_holder_makes_it_busy(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	boot(&rig, FAKE_A, false);
	fd = plx_sys->open("/dev/vfio/10", O_RDWR);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	refuses(&rig, -EBUSY, PLX_VFIO_TYPE1V2, PLX_REFUSED_BUSY, "/dev/vfio/10");
	rig.opts.modes = 1u << PLX_VFIO_CDEV;
	refuses(&rig, -EBUSY, PLX_VFIO_CDEV, PLX_REFUSED_BUSY, "held");
	plx_sys->close(fd);
	rig_stop(&rig);
}

static void what_this_process_holds_otherwise_is_busy(void **state)
{
	struct plx_vfio_dev *dev;
	struct fake_dev *sibling;
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_A, false);
	sibling = fake_dev(BDF1, 10);
	fake_publish();
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	dev = rig_open(&rig, BDF1);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1;
	refuses(&rig, -EBUSY, PLX_VFIO_TYPE1, PLX_REFUSED_BUSY, "type1v2");
	rig.opts.modes = 1u << PLX_VFIO_CDEV;
	refuses(&rig, -EBUSY, PLX_VFIO_CDEV, PLX_REFUSED_BUSY, "held");
	plx_vfio_close(dev);
	dev = rig_open(&rig, BDF1);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	refuses(&rig, -EBUSY, PLX_VFIO_TYPE1V2, PLX_REFUSED_BUSY, "/dev/vfio/10");
	/* Asked for anything, it follows its sibling. */
	rig.opts.modes = PLX_VFIO_ALL_MODES;
	takes(&rig, PLX_VFIO_CDEV);
	plx_vfio_close(dev);
	assert_int_equal(sibling->opens, 0);
	rig_stop(&rig);
}

static void a_sibling_with_a_kernel_driver_is_named(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2, PLX_VFIO_TYPE1,
						    PLX_VFIO_COMPAT };
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct fake_dev *sibling;
		struct rig rig;

		boot(&rig, FAKE_A, false);
		sibling = fake_dev("0000:01:00.1", 10);
		sibling->driver = "snd_hda_intel";
		fake_dev("0000:00:01.0", 10)->driver = "pcieport";
		fake_publish();
		rig.opts.modes = 1u << modes[i];
		refuses_and_foresees(&rig, -EBUSY, modes[i], PLX_REFUSED_GROUP, "0000:01:00.1");
		assert_true(fake_logged(PLX_LOG_ERR, "snd_hda_intel"));
		sibling->driver = NULL;
		fake_publish();
		takes(&rig, modes[i]);
		rig_stop(&rig);
	}
}

static void missing_isolation_is_explained(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2, PLX_VFIO_TYPE1,
						    PLX_VFIO_COMPAT };
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct rig rig;

		boot(&rig, FAKE_A, false);
		fake.isolated = false;
		rig.opts.modes = 1u << modes[i];
		refuses(&rig, -EPERM, modes[i], PLX_REFUSED_IOMMU, "allow_unsafe_interrupts");
		fake.unsafe_interrupts = true;
		takes(&rig, modes[i]);
		rig_stop(&rig);
	}
}

static void unprotected_dma_must_be_allowed(void **state)
{
	struct plx_refusals why;
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_C, true);
	refuses_and_foresees(&rig, -EPERM, PLX_VFIO_NOIOMMU_CDEV, PLX_REFUSED_UNSAFE,
			     "--allow-noiommu");
	refuses_and_foresees(&rig, -EPERM, PLX_VFIO_NOIOMMU, PLX_REFUSED_UNSAFE, "--allow-noiommu");
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -EPERM);
	assert_int_equal(why.mode[PLX_VFIO_CDEV].code, PLX_REFUSED_IOMMU);
	assert_int_equal(why.mode[PLX_VFIO_TYPE1V2].code, PLX_REFUSED_IOMMU);
	rig.opts.allow_noiommu = true;
	fake.cap_rawio = false;
	fake_publish();
	refuses_and_foresees(&rig, -EPERM, PLX_VFIO_NOIOMMU_CDEV, PLX_REFUSED_PERMISSION,
			     "CAP_SYS_RAWIO");
	refuses_and_foresees(&rig, -EPERM, PLX_VFIO_NOIOMMU, PLX_REFUSED_PERMISSION,
			     "CAP_SYS_RAWIO");
	fake.cap_rawio = true;
	fake.unsafe_noiommu = false;
	fake_publish();
	refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_NOIOMMU, PLX_REFUSED_DRIVER, "enable_unsafe_");
	rig_stop(&rig);
}

/* A device behind an IOMMU is never used without, even if that was allowed. */
static void an_iommu_is_not_gone_round(void **state)
{
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_C, false);
	rig.opts.allow_noiommu = true;
	rig.opts.modes = 1u << PLX_VFIO_NOIOMMU | 1u << PLX_VFIO_NOIOMMU_CDEV;
	refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_NOIOMMU, PLX_REFUSED_NODE, "behind an IOMMU");
	refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_NOIOMMU_CDEV, PLX_REFUSED_NODE,
			     "behind an IOMMU");
	rig_stop(&rig);
}

static void a_policy_that_can_not_be_kept_refuses(void **state)
{
	struct rig rig;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		if (!plx_vfio_mode_unsafe(mode))
			continue;
		rig_start(&rig, mode, PLX_ADDR_VA);
		refuses(&rig, -EOPNOTSUPP, mode, PLX_REFUSED_POLICY, "IOVA = VA");
		rig_stop(&rig);
	}
	/* Mapped where the IOMMU has no addresses. */
	RIG_EACH_MODE(mode)
	{
		if (plx_vfio_mode_unsafe(mode))
			continue;
		rig_start(&rig, mode, PLX_ADDR_VA);
		rig.dev[0]->range[1].last = (UINT64_C(1) << 39) - 1;
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		refuses(&rig, -ENOSPC, mode, PLX_REFUSED_POLICY, "0x7f0000000000");
		rig_stop(&rig);
	}
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

static void what_the_kernel_says_is_passed_on(void **state)
{
	static const struct {
		enum plx_vfio_mode mode;
		unsigned long request;
		const char *name;
	} calls[] = {
		{ PLX_VFIO_CDEV, FK_BIND_IOMMUFD, "BIND_IOMMUFD" },
		{ PLX_VFIO_CDEV, FK_IOAS_ALLOC, "" },
		{ PLX_VFIO_CDEV, FK_ATTACH_PT, "attached" },
		{ PLX_VFIO_CDEV, FK_IOVA_RANGES, "ranges" },
		{ PLX_VFIO_CDEV, VFIO_DEVICE_GET_INFO, "GET_INFO" },
		{ PLX_VFIO_TYPE1V2, VFIO_GET_API_VERSION, "" },
		{ PLX_VFIO_TYPE1V2, VFIO_GROUP_GET_STATUS, "GROUP_GET_STATUS" },
		{ PLX_VFIO_TYPE1V2, VFIO_GROUP_SET_CONTAINER, "container" },
		{ PLX_VFIO_TYPE1V2, VFIO_SET_IOMMU, "" },
		{ PLX_VFIO_TYPE1V2, VFIO_GROUP_GET_DEVICE_FD, "GET_DEVICE_FD" },
		{ PLX_VFIO_TYPE1V2, VFIO_IOMMU_GET_INFO, "ranges" },
		{ PLX_VFIO_COMPAT, VFIO_DEVICE_GET_INFO, "GET_INFO" },
		{ PLX_VFIO_NOIOMMU, VFIO_SET_IOMMU, "" },
	};
	struct rig rig;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		enum plx_vfio_mode mode = calls[i].mode;
		struct plx_vfio_dev *dev;
		struct plx_refusals why;

		rig_start(&rig, mode, rig_policy(mode));
		fake_ioctl_fail(calls[i].request, EIO, 0, 1);
		fake_log_clear();
		assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -EIO);
		assert_non_null(strstr(why.mode[mode].text, calls[i].name));
		assert_true(why.mode[mode].text[0]);
		assert_int_equal(why.mode[mode].err, -EIO);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		plx_vfio_close(rig_open(&rig, BDF0));
		rig_stop(&rig);
	}
}

/* Errnos that have words of their own, wherever sysfs doesn't explain them. */
static void errnos_have_words(void **state)
{
	static const struct {
		enum plx_vfio_mode mode;
		unsigned long request;
		int err;
		enum plx_refusal_code code;
		const char *words;
	} calls[] = {
		{ PLX_VFIO_TYPE1V2, VFIO_GROUP_SET_CONTAINER, EBUSY, PLX_REFUSED_BUSY, "held" },
		{ PLX_VFIO_TYPE1V2, VFIO_SET_IOMMU, ENODEV, PLX_REFUSED_IOMMU, "group 10" },
		{ PLX_VFIO_NOIOMMU, VFIO_SET_IOMMU, EPERM, PLX_REFUSED_PERMISSION, "RAWIO" },
		{ PLX_VFIO_NOIOMMU, VFIO_GROUP_GET_DEVICE_FD, EPERM, PLX_REFUSED_PERMISSION,
		  "RAWIO" },
		{ PLX_VFIO_NOIOMMU_CDEV, FK_BIND_IOMMUFD, EPERM, PLX_REFUSED_PERMISSION, "RAWIO" },
		{ PLX_VFIO_TYPE1, VFIO_GROUP_GET_DEVICE_FD, EBUSY, PLX_REFUSED_BUSY, "held" },
	};
	struct rig rig;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		rig_start(&rig, calls[i].mode, rig_policy(calls[i].mode));
		fake_ioctl_fail(calls[i].request, calls[i].err, 0, 1);
		refuses(&rig, -calls[i].err, calls[i].mode, calls[i].code, calls[i].words);
		rig_stop(&rig);
	}
}

static void a_group_that_only_the_kernel_finds_unviable_is_refused(void **state)
{
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_STOCK, false);
	fake_dev("0000:01:00.1", 10)->driver = "not-the-vfio-driver";
	fake_publish();
	refuses(&rig, -EBUSY, PLX_VFIO_TYPE1V2, PLX_REFUSED_GROUP, "group 10");
	rig_stop(&rig);
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

static bool not_pci(int fd, unsigned long request, void *arg, int *result)
{
	struct vfio_device_info *info = arg;

	(void)fd;
	if (request != VFIO_DEVICE_GET_INFO)
		return false;
	info->flags = VFIO_DEVICE_FLAGS_PLATFORM;
	info->num_regions = 1;
	info->num_irqs = 1;
	*result = 0;
	return true;
}

static void only_pci_devices_are_taken(void **state)
{
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_A, false);
	fake.hook = not_pci;
	refuses(&rig, -ENODEV, PLX_VFIO_CDEV, PLX_REFUSED_DRIVER, "no PCI device");
	rig_stop(&rig);
}

static void tokens_are_asked_for(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2,
						    PLX_VFIO_COMPAT };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct rig rig;

		boot(&rig, FAKE_C, false);
		rig.opts.modes = 1u << modes[i];
		rig.dev[0]->vf_token = TOKEN;
		refuses(&rig, -EACCES, modes[i], PLX_REFUSED_TOKEN, "missing");
		rig.opts.vf_token = "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f4";
		refuses(&rig, -EACCES, modes[i], PLX_REFUSED_TOKEN, "wrong");
		rig.opts.vf_token = "bd8d9d2b";
		refuses(&rig, -EINVAL, modes[i], PLX_REFUSED_TOKEN, "bd8d9d2b");
		rig.opts.vf_token = "bd8d9d2b-5a5f-4f5a-a211-f591514ba1fZ";
		refuses(&rig, modes[i] == PLX_VFIO_CDEV ? -EINVAL : -EACCES, modes[i],
			PLX_REFUSED_TOKEN, "token");
		rig.opts.vf_token = TOKEN;
		plx_vfio_close(rig_open(&rig, BDF0));
		/* One token for all functions: those that need none are opened without. */
		rig.dev[0]->vf_token = NULL;
		plx_vfio_close(rig_open(&rig, BDF0));
		rig_stop(&rig);
	}
}

/* One line, in which modes with the same reason stand together. */
static void the_line_that_says_why_is_short(void **state)
{
	struct plx_vfio_dev *dev = NULL;
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_A, false);
	fake_path_remove("/dev/vfio/10");
	fake_path_remove("/dev/iommu");
	fake_log_clear();
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, NULL), -ENOENT);
	assert_true(fake_logged(PLX_LOG_ERR, "cdev: /dev/iommu does not exist"));
	assert_true(fake_logged(PLX_LOG_ERR, "; type1v2, type1, compat: /dev/vfio/10 does not"));
	/* Behind an IOMMU there is nothing to say of doing without. */
	assert_false(fake_logged(PLX_LOG_ERR, "noiommu"));
	rig_stop(&rig);
}

/* A kernel that keeps an IOAS: said, since memory stays pinned. */
static void an_ioas_that_stays_is_said(void **state)
{
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_A, false);
	fake_ioctl_fail(FK_DESTROY, EBUSY, 0, 1);
	plx_vfio_close(rig_open(&rig, BDF0));
	assert_int_equal(fake_log_count(PLX_LOG_WARN), 1);
	rig_stop(&rig);
}

/*
 * Descriptors from the caller.
 */
static void given_descriptors_are_used_and_stay_open(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	int fd, other;

	(void)state;
	boot(&rig, FAKE_A, false);
	fd = plx_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	other = plx_sys->open("/dev/iommu", O_RDWR);
	fake_path_remove("/dev");
	rig.opts.cdev_fd = fd;
	rig.opts.iommufd = other;
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_dev_mode(dev), PLX_VFIO_CDEV);
	plx_vfio_close(dev);
	assert_int_equal(plx_sys->close(fd), 0);
	assert_int_equal(plx_sys->close(other), 0);

	fake_publish();
	fd = plx_sys->open("/dev/vfio/10", O_RDWR);
	other = plx_sys->open("/dev/vfio/vfio", O_RDWR);
	fake_path_remove("/dev");
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.group_fd = fd;
	rig.opts.container_fd = other;
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_dev_mode(dev), PLX_VFIO_TYPE1V2);
	plx_vfio_close(dev);
	assert_int_equal(plx_sys->close(fd), 0);
	assert_int_equal(plx_sys->close(other), 0);

	/* Of the iommufd as a container. */
	fake_publish();
	other = plx_sys->open("/dev/iommu", O_RDWR);
	fake_path_remove("/dev/iommu");
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.modes = 1u << PLX_VFIO_COMPAT;
	rig.opts.iommufd = other;
	dev = rig_open(&rig, BDF0);
	plx_vfio_close(dev);
	assert_int_equal(plx_sys->close(other), 0);
	rig_stop(&rig);
}

/* The caller keeps its descriptors open: the device is let go of all the same. */
static void given_descriptors_do_not_keep_the_memory(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	int group, cdev, round;

	(void)state;
	boot(&rig, FAKE_A, false);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	group = plx_sys->open("/dev/vfio/10", O_RDWR);
	rig.opts.group_fd = group;
	for (round = 0; round < 2; round++) {
		dev = rig_open(&rig, BDF0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
		plx_vfio_close(dev);
		assert_null(fake_dev_maps(rig.dev[0]));
		assert_int_equal(fake.pinned, 0);
	}
	plx_sys->close(group);
	cdev = plx_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.cdev_fd = cdev;
	dev = rig_open(&rig, BDF0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
	fake_log_clear();
	plx_vfio_close(dev);
	assert_null(fake_dev_maps(rig.dev[0]));
	assert_int_equal(fake.pinned, 0);
	assert_int_equal(fake_log_count(PLX_LOG_WARN), 0);
	/* It stays bound, as long as the caller's descriptor is open. */
	refuses(&rig, -EINVAL, PLX_VFIO_CDEV, PLX_REFUSED_KERNEL, "BIND");
	plx_sys->close(cdev);
	cdev = plx_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	rig.opts.cdev_fd = cdev;
	plx_vfio_close(rig_open(&rig, BDF0));
	plx_sys->close(cdev);
	rig_stop(&rig);
}

/* Without sysfs there is only what the descriptors themselves say. */
static void given_descriptors_do_without_sysfs(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	int group, container, cdev, iommufd;

	(void)state;
	boot(&rig, FAKE_A, false);
	group = plx_sys->open("/dev/vfio/10", O_RDWR);
	container = plx_sys->open("/dev/vfio/vfio", O_RDWR);
	iommufd = plx_sys->open("/dev/iommu", O_RDWR);
	cdev = plx_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	fake_path_remove("/sys/bus");
	fake_path_remove("/dev");
	rig.opts.group_fd = group;
	rig.opts.container_fd = container;
	dev = rig_open(&rig, BDF0);
	assert_true(fake_logged(PLX_LOG_NOTICE, "caller's group"));
	plx_vfio_close(dev);
	/* A group that is somewhere already. */
	assert_int_equal(plx_sys->ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	refuses(&rig, -EBUSY, PLX_VFIO_TYPE1V2, PLX_REFUSED_BUSY, "container already");
	plx_sys->close(group);
	plx_sys->close(container);
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.cdev_fd = cdev;
	rig.opts.iommufd = iommufd;
	dev = rig_open(&rig, BDF0);
	assert_true(fake_logged(PLX_LOG_NOTICE, "caller's file"));
	plx_vfio_close(dev);
	plx_sys->close(cdev);
	plx_sys->close(iommufd);
	rig_stop(&rig);
}

static void given_descriptors_may_be_wrong(void **state)
{
	struct plx_vfio_dev *dev = NULL;
	struct plx_refusals why;
	struct rig rig;
	int iommu, text, group;

	(void)state;
	boot(&rig, FAKE_A, false);
	iommu = plx_sys->open("/dev/iommu", O_RDWR);
	group = plx_sys->open("/dev/vfio/10", O_RDWR);
	text = plx_sys->open("/proc/self/status", O_RDONLY);
	rig.opts.cdev_fd = text;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	rig.opts.cdev_fd = 999999;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	rig.opts.cdev_fd = -1;
	rig.opts.group_fd = text;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	rig.opts.group_fd = group;
	rig.opts.container_fd = text;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	rig.opts.container_fd = 999999;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 5);
	plx_sys->close(iommu);
	plx_sys->close(group);
	plx_sys->close(text);
	rig_stop(&rig);
}

/*
 * Several devices.
 */
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
		plx_vfio_close(a);
		plx_vfio_close(b);
		/* With the narrow one gone there is room again. */
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		a = rig_open(&rig, BDF0);
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

static void foreseeing_opens_nothing(void **state)
{
	enum plx_vfio_mode mode;
	struct rig rig;

	(void)state;
	boot(&rig, FAKE_A, false);
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
		cmocka_unit_test(a_name_that_is_no_address_is_refused),
		cmocka_unit_test(a_device_must_be_there_and_vfios),
		cmocka_unit_test(a_missing_node_is_named),
		cmocka_unit_test(a_closed_node_is_named_after_some_tries),
		cmocka_unit_test(a_holder_makes_it_busy),
		cmocka_unit_test(what_this_process_holds_otherwise_is_busy),
		cmocka_unit_test(a_sibling_with_a_kernel_driver_is_named),
		cmocka_unit_test(missing_isolation_is_explained),
		cmocka_unit_test(unprotected_dma_must_be_allowed),
		cmocka_unit_test(an_iommu_is_not_gone_round),
		cmocka_unit_test(a_policy_that_can_not_be_kept_refuses),
		cmocka_unit_test(a_late_device_with_other_ranges_is_refused),
		cmocka_unit_test(what_the_kernel_says_is_passed_on),
		cmocka_unit_test(errnos_have_words),
		cmocka_unit_test(a_group_that_only_the_kernel_finds_unviable_is_refused),
		cmocka_unit_test(a_failed_sibling_leaves_the_group_to_the_first),
		cmocka_unit_test(only_pci_devices_are_taken),
		cmocka_unit_test(tokens_are_asked_for),
		cmocka_unit_test(the_line_that_says_why_is_short),
		cmocka_unit_test(an_ioas_that_stays_is_said),
		cmocka_unit_test(given_descriptors_are_used_and_stay_open),
		cmocka_unit_test(given_descriptors_do_not_keep_the_memory),
		cmocka_unit_test(given_descriptors_do_without_sysfs),
		cmocka_unit_test(given_descriptors_may_be_wrong),
		cmocka_unit_test(groups_share_a_container_if_they_can),
		cmocka_unit_test(a_group_that_can_not_share_has_its_own_container),
		cmocka_unit_test(a_cdev_that_can_not_share_has_its_own_ioas),
		cmocka_unit_test(devices_of_one_group_share_its_file),
		cmocka_unit_test(the_ranges_of_all_devices_bind),
		cmocka_unit_test(foreseeing_opens_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
