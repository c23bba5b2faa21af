/* SPDX-License-Identifier: BSD-3-Clause */
/* Refusals: for each access mode that is not taken, why. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_rig.h"
#include "refusal.h"

#define TOKEN "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3"

/*
 * What sysfs and the nodes tell.
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
	rig_boot(&rig, FAKE_A, false);
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
	rig_boot(&rig, FAKE_A, false);
	rig.dev[0]->driver = "e1000e";
	fake_publish();
	rig_refuses_and_foresees(&rig, -EBUSY, PLX_VFIO_CDEV, PLX_REFUSED_DRIVER, "e1000e");
	rig.dev[0]->driver = NULL;
	fake_publish();
	rig_refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_TYPE1V2, PLX_REFUSED_DRIVER, "no driver");
	fake_path_remove("/sys/bus/pci/devices/" BDF0);
	rig_refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_CDEV, PLX_REFUSED_NO_DEVICE,
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

		rig_boot(&rig, unsafe ? FAKE_C : FAKE_A, unsafe);
		rig.opts.modes = 1u << nodes[i].mode;
		rig.opts.allow_noiommu = true;
		fake_path_remove(nodes[i].path);
		rig_refuses_and_foresees(&rig, -ENOENT, nodes[i].mode, PLX_REFUSED_NODE,
					 nodes[i].path);
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

		rig_boot(&rig, unsafe ? FAKE_C : FAKE_A, unsafe);
		rig.opts.modes = 1u << nodes[i].mode;
		rig.opts.allow_noiommu = true;
		fake_path_fail(nodes[i].path, EACCES, -1);
		rig_refuses_and_foresees(&rig, -EACCES, nodes[i].mode, PLX_REFUSED_PERMISSION,
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
	rig_boot(&rig, FAKE_A, false);
	fd = plx_sys->open("/dev/vfio/10", O_RDWR);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	rig_refuses(&rig, -EBUSY, PLX_VFIO_TYPE1V2, PLX_REFUSED_BUSY, "/dev/vfio/10");
	rig.opts.modes = 1u << PLX_VFIO_CDEV;
	rig_refuses(&rig, -EBUSY, PLX_VFIO_CDEV, PLX_REFUSED_BUSY, "held");
	plx_sys->close(fd);
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

		rig_boot(&rig, FAKE_A, false);
		sibling = fake_dev("0000:01:00.1", 10);
		sibling->driver = "snd_hda_intel";
		fake_dev("0000:00:01.0", 10)->driver = "pcieport";
		fake_publish();
		rig.opts.modes = 1u << modes[i];
		rig_refuses_and_foresees(&rig, -EBUSY, modes[i], PLX_REFUSED_GROUP, "0000:01:00.1");
		assert_true(fake_logged(PLX_LOG_ERR, "snd_hda_intel"));
		sibling->driver = NULL;
		fake_publish();
		rig_takes(&rig, modes[i]);
		rig_stop(&rig);
	}
}

#define TYPE1_UNSAFE   "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
#define IOMMUFD_UNSAFE "/sys/module/iommufd/parameters/allow_unsafe_interrupts"

static void missing_isolation_is_explained(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2, PLX_VFIO_TYPE1,
						    PLX_VFIO_COMPAT };
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct rig rig;

		rig_boot(&rig, FAKE_A, false);
		fake.isolated = false;
		rig.opts.modes = 1u << modes[i];
		rig_refuses(&rig, -EPERM, modes[i], PLX_REFUSED_ISOLATION,
			    "allow_unsafe_interrupts");
		/* The names of interrupt chips tell beforehand. */
		fake_path_file("/sys/kernel/irq/9/chip_name", "IO-APIC\n");
		fake_path_file("/sys/kernel/irq/24/chip_name", "PCI-MSIX-0000:00:01.0\n");
		rig_refuses_and_foresees(&rig, -EPERM, modes[i], PLX_REFUSED_ISOLATION,
					 "allow_unsafe_interrupts");
		fake.unsafe_interrupts = true;
		fake_path_file(modes[i] == PLX_VFIO_CDEV || modes[i] == PLX_VFIO_COMPAT
				       ? IOMMUFD_UNSAFE
				       : TYPE1_UNSAFE,
			       "Y\n");
		rig_takes(&rig, modes[i]);
		rig_stop(&rig);
	}
}

static void unprotected_dma_must_be_allowed(void **state)
{
	struct plx_refusals why;
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_C, true);
	rig_refuses_and_foresees(&rig, -EPERM, PLX_VFIO_NOIOMMU_CDEV, PLX_REFUSED_UNSAFE,
				 "--allow-noiommu");
	rig_refuses_and_foresees(&rig, -EPERM, PLX_VFIO_NOIOMMU, PLX_REFUSED_UNSAFE,
				 "--allow-noiommu");
	assert_int_equal(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why), -EPERM);
	assert_int_equal(why.mode[PLX_VFIO_CDEV].code, PLX_REFUSED_IOMMU);
	assert_int_equal(why.mode[PLX_VFIO_TYPE1V2].code, PLX_REFUSED_IOMMU);
	rig.opts.allow_noiommu = true;
	fake.cap_rawio = false;
	fake_publish();
	rig_refuses_and_foresees(&rig, -EPERM, PLX_VFIO_NOIOMMU_CDEV, PLX_REFUSED_PERMISSION,
				 "CAP_SYS_RAWIO");
	rig_refuses_and_foresees(&rig, -EPERM, PLX_VFIO_NOIOMMU, PLX_REFUSED_PERMISSION,
				 "CAP_SYS_RAWIO");
	fake.cap_rawio = true;
	fake.unsafe_noiommu = false;
	fake_publish();
	rig_refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_NOIOMMU, PLX_REFUSED_DRIVER,
				 "enable_unsafe_");
	rig_stop(&rig);
}

/* A device behind an IOMMU is never used without, even if that was allowed. */
static void an_iommu_is_not_gone_round(void **state)
{
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_C, false);
	rig.opts.allow_noiommu = true;
	rig.opts.modes = 1u << PLX_VFIO_NOIOMMU | 1u << PLX_VFIO_NOIOMMU_CDEV;
	rig_refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_NOIOMMU, PLX_REFUSED_NODE,
				 "behind an IOMMU");
	rig_refuses_and_foresees(&rig, -ENODEV, PLX_VFIO_NOIOMMU_CDEV, PLX_REFUSED_NODE,
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
		rig_refuses(&rig, -EOPNOTSUPP, mode, PLX_REFUSED_POLICY, "IOVA = VA");
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
		rig_refuses(&rig, -ENOSPC, mode, PLX_REFUSED_POLICY, "0x7f0000000000");
		rig_stop(&rig);
	}
}

/*
 * What only the kernel tells.
 */
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
		rig_refuses(&rig, -calls[i].err, calls[i].mode, calls[i].code, calls[i].words);
		rig_stop(&rig);
	}
}

static void a_group_that_only_the_kernel_finds_unviable_is_refused(void **state)
{
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_STOCK, false);
	fake_dev("0000:01:00.1", 10)->driver = "not-the-vfio-driver";
	fake_publish();
	rig_refuses(&rig, -EBUSY, PLX_VFIO_TYPE1V2, PLX_REFUSED_GROUP, "group 10");
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
	rig_boot(&rig, FAKE_A, false);
	fake.hook = not_pci;
	rig_refuses(&rig, -ENODEV, PLX_VFIO_CDEV, PLX_REFUSED_DRIVER, "no PCI device");
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

		rig_boot(&rig, FAKE_C, false);
		rig.opts.modes = 1u << modes[i];
		rig.dev[0]->vf_token = TOKEN;
		rig_refuses(&rig, -EACCES, modes[i], PLX_REFUSED_TOKEN, "missing");
		rig.opts.vf_token = "bd8d9d2b-5a5f-4f5a-a211-f591514ba1f4";
		rig_refuses(&rig, -EACCES, modes[i], PLX_REFUSED_TOKEN, "wrong");
		rig.opts.vf_token = "bd8d9d2b";
		rig_refuses(&rig, -EINVAL, modes[i], PLX_REFUSED_TOKEN, "bd8d9d2b");
		rig.opts.vf_token = "bd8d9d2b-5a5f-4f5a-a211-f591514ba1fZ";
		rig_refuses(&rig, modes[i] == PLX_VFIO_CDEV ? -EINVAL : -EACCES, modes[i],
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
	rig_boot(&rig, FAKE_A, false);
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
	rig_boot(&rig, FAKE_A, false);
	fake_ioctl_fail(FK_DESTROY, EBUSY, 0, 1);
	plx_vfio_close(rig_open(&rig, BDF0));
	assert_int_equal(fake_log_count(PLX_LOG_WARN), 1);
	rig_stop(&rig);
}

/*
 * As data.
 */
static const struct plx_refusal *why_not(struct rig *rig, enum plx_vfio_mode mode,
					 struct plx_refusals *why)
{
	struct plx_vfio_dev *dev = NULL;

	rig->opts.modes = 1u << mode;
	assert_true(plx_vfio_open(rig->ioas, BDF0, &rig->opts, &dev, why) < 0);
	return &why->mode[mode];
}

/* The sentence ends with the remedy. */
static void check_data(const struct plx_refusal *why, enum plx_refusal_code code,
		       const char *object)
{
	size_t len = strlen(why->text), tail;

	assert_int_equal(why->code, code);
	assert_string_equal(why->object, object);
	assert_non_null(why->remedy);
	tail = strlen(why->remedy);
	assert_true(len > tail);
	assert_string_equal(why->text + len - tail, why->remedy);
}

static void each_has_a_code_an_object_and_a_remedy(void **state)
{
	struct plx_refusals why;
	struct fake_dev *sibling;
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_A, true);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_IOMMU, BDF0);
	check_data(why_not(&rig, PLX_VFIO_NOIOMMU, &why), PLX_REFUSED_UNSAFE, BDF0);
	rig_stop(&rig);

	rig_boot(&rig, FAKE_A, false);
	fake_path_remove("/dev/iommu");
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_NODE, "/dev/iommu");
	fake_publish();
	fake_path_fail("/dev/vfio/10", EACCES, -1);
	check_data(why_not(&rig, PLX_VFIO_TYPE1V2, &why), PLX_REFUSED_PERMISSION, "/dev/vfio/10");
	assert_int_equal(why.mode[PLX_VFIO_TYPE1V2].found, 0600);
	fake_publish();
	sibling = fake_dev(BDF1, 10);
	sibling->driver = "e1000e";
	fake_publish();
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_GROUP, BDF1);
	assert_non_null(strstr(why.mode[PLX_VFIO_CDEV].text, "e1000e"));
	sibling->driver = NULL;
	fake.isolated = false;
	fake_publish();
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_ISOLATION,
		   "interrupt remapping");
	check_data(why_not(&rig, PLX_VFIO_TYPE1, &why), PLX_REFUSED_ISOLATION,
		   "interrupt remapping");
	fake.isolated = true;
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	dev = rig_open(&rig, BDF0);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_BUSY, BDF0);
	plx_vfio_close(dev);
	rig.dev[0]->vf_token = TOKEN;
	check_data(why_not(&rig, PLX_VFIO_TYPE1V2, &why), PLX_REFUSED_TOKEN, BDF0);
	rig.dev[0]->driver = "igb";
	fake_publish();
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_DRIVER, "igb");
	rig_stop(&rig);
}

static void those_with_remedies_of_their_own(void **state)
{
	struct plx_refusals why;
	struct plx_vfio_dev *dev;
	struct fake_dev *sibling;
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	rig.opts.allow_noiommu = true;
	check_data(why_not(&rig, PLX_VFIO_NOIOMMU, &why), PLX_REFUSED_NODE, BDF0);
	assert_string_equal(why.mode[PLX_VFIO_NOIOMMU].remedy,
			    plx_remedy_text(PLX_REMEDY_SAFE_MODE));
	rig.opts.vf_token = "none";
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_TOKEN, BDF0);
	check_data(why_not(&rig, PLX_VFIO_TYPE1, &why), PLX_REFUSED_TOKEN, BDF0);
	rig.opts.vf_token = NULL;
	/* A sibling in another mode. */
	sibling = fake_dev(BDF1, 10);
	fake_publish();
	rig.opts.modes = 1u << PLX_VFIO_TYPE1;
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &dev, NULL), 0);
	check_data(why_not(&rig, PLX_VFIO_TYPE1V2, &why), PLX_REFUSED_BUSY, BDF0);
	assert_string_equal(why.mode[PLX_VFIO_TYPE1V2].remedy,
			    plx_remedy_text(PLX_REMEDY_ONE_MODE));
	plx_vfio_close(dev);
	sibling->driver = NULL;
	/* A kernel without type 1, behind the container. */
	fake_ioctl_fail(VFIO_SET_IOMMU, ENODEV, 0, 1);
	check_data(why_not(&rig, PLX_VFIO_TYPE1V2, &why), PLX_REFUSED_IOMMU, BDF0);
	/* An attachment that iommufd doesn't make. */
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_IOMMU, BDF0);
	fake.hook = not_pci;
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_DRIVER, BDF0);
	fake.hook = NULL;
	fake_path_fail("/dev/iommu", EMFILE, -1);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_KERNEL, "/dev/iommu");
	fake_path_remove("/sys/bus/pci/devices/" BDF0);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_NO_DEVICE, BDF0);
	rig_stop(&rig);
}

/* Memory that a device can't have: where it is, and how far the IOMMU goes. */
static void memory_in_the_way(void **state)
{
	const struct plx_refusal *r;
	struct plx_refusals why;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	rig.dev[0]->range[1].last = (UINT64_C(1) << 39) - 1;
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	r = why_not(&rig, PLX_VFIO_CDEV, &why);
	check_data(r, PLX_REFUSED_POLICY, "0x7f0000000000-0x7f00001fffff");
	assert_int_equal(r->found, (UINT64_C(1) << 39) - 1);
	assert_int_equal(r->wanted, VA + HUGE - 1);
	rig_stop(&rig);
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	fake_ioctl_fail(FK_IOAS_MAP, EFAULT, 0, 1);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_MEMORY,
		   "0x7f0000000000-0x7f00001fffff");
	fake_ioctl_fail(FK_IOAS_MAP, ENOMEM, 0, 1);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_MEMORY,
		   "0x7f0000000000-0x7f00001fffff");
	rig_stop(&rig);
	rig_start(&rig, PLX_VFIO_NOIOMMU, PLX_ADDR_VA);
	check_data(why_not(&rig, PLX_VFIO_NOIOMMU, &why), PLX_REFUSED_POLICY, "IOVA");
	rig_stop(&rig);
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	assert_int_equal(plx_ioas_dirty_start(rig.ioas, NULL), 0);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_POLICY, "iommufd");
	rig_stop(&rig);
}

static void limits_are_numbers(void **state)
{
	struct plx_refusals why;
	struct rig rig;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	fake.memlock = 8 * MIB;
	assert_int_equal(rig_map(rig.ioas, VA, 16 * MIB), 0);
	check_data(why_not(&rig, PLX_VFIO_CDEV, &why), PLX_REFUSED_MEMORY, "RLIMIT_MEMLOCK");
	assert_int_equal(why.mode[PLX_VFIO_CDEV].found, 8 * MIB);
	assert_int_equal(why.mode[PLX_VFIO_CDEV].wanted, 16 * MIB);
	rig_stop(&rig);
}

/* doc/access-modes.md has a row for each code, with the words of the table. */
static void the_list_in_the_documentation_is_the_codes(void **state)
{
	char line[512], row[512];
	unsigned int code = PLX_REFUSED_NOT_ASKED;
	FILE *doc = fopen(ACCESS_MODES_MD, "r");
	bool inside = false;

	(void)state;
	assert_non_null(doc);
	while (fgets(line, sizeof(line), doc)) {
		inside |= !strncmp(line, "| code |", 8);
		if (inside && line[0] != '|')
			break;
		if (!inside || line[2] != '`')
			continue;
		assert_true(code < PLX_REFUSED_CODES);
		snprintf(row, sizeof(row), "| `%s` | %s | %s |\n", plx_refusal_name(code),
			 plx_refusal_meaning(code), plx_refusal_remedy(code));
		assert_string_equal(line, row);
		code++;
	}
	fclose(doc);
	assert_int_equal(code, PLX_REFUSED_CODES);
	assert_string_equal(plx_refusal_name(PLX_REFUSED_CODES), "?");
	assert_string_equal(plx_refusal_meaning(PLX_REFUSED_CODES), "?");
	assert_null(plx_refusal_remedy(PLX_REFUSED_CODES));
}

/* And each remedy, in its order. */
static void the_list_in_the_documentation_is_the_remedies(void **state)
{
	FILE *doc = fopen(ACCESS_MODES_MD, "r");
	enum plx_remedy remedy = PLX_REMEDY_USUAL;
	char line[512], item[512];
	bool inside = false;

	(void)state;
	assert_non_null(doc);
	while (fgets(line, sizeof(line), doc)) {
		if (inside && line[0] != '-' && line[0] != '\n')
			break;
		if (inside && line[0] == '-') {
			remedy++;
			assert_true(remedy < PLX_REMEDIES);
			snprintf(item, sizeof(item), "- %s\n", plx_remedy_text(remedy));
			assert_string_equal(line, item);
		}
		inside |= !strncmp(line, "Where more is known than the code", 33);
	}
	fclose(doc);
	assert_int_equal(remedy, PLX_REMEDIES - 1);
	assert_null(plx_remedy_text(PLX_REMEDY_USUAL));
	assert_null(plx_remedy_text(PLX_REMEDIES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_is_no_address_is_refused),
		cmocka_unit_test(a_device_must_be_there_and_vfios),
		cmocka_unit_test(a_missing_node_is_named),
		cmocka_unit_test(a_closed_node_is_named_after_some_tries),
		cmocka_unit_test(a_holder_makes_it_busy),
		cmocka_unit_test(a_sibling_with_a_kernel_driver_is_named),
		cmocka_unit_test(missing_isolation_is_explained),
		cmocka_unit_test(unprotected_dma_must_be_allowed),
		cmocka_unit_test(an_iommu_is_not_gone_round),
		cmocka_unit_test(a_policy_that_can_not_be_kept_refuses),
		cmocka_unit_test(what_the_kernel_says_is_passed_on),
		cmocka_unit_test(errnos_have_words),
		cmocka_unit_test(a_group_that_only_the_kernel_finds_unviable_is_refused),
		cmocka_unit_test(only_pci_devices_are_taken),
		cmocka_unit_test(tokens_are_asked_for),
		cmocka_unit_test(the_line_that_says_why_is_short),
		cmocka_unit_test(an_ioas_that_stays_is_said),
		cmocka_unit_test(each_has_a_code_an_object_and_a_remedy),
		cmocka_unit_test(those_with_remedies_of_their_own),
		cmocka_unit_test(memory_in_the_way),
		cmocka_unit_test(limits_are_numbers),
		cmocka_unit_test(the_list_in_the_documentation_is_the_codes),
		cmocka_unit_test(the_list_in_the_documentation_is_the_remedies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
