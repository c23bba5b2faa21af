/* SPDX-License-Identifier: BSD-3-Clause */
/* The address policy for a set of devices, foretold without touching any. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fail_nth.h"
#include "fake_rig.h"

#define NDEVS 3

static struct fake_dev *dev[NDEVS];
static struct plx_vfio_opts opts[NDEVS];

static void begin(enum fake_flavour flavour)
{
	static const char *const bdf[NDEVS] = { BDF0, BDF1, BDF2 };
	int i;

	fake_start(flavour);
	fake.unsafe_noiommu = true;
	for (i = 0; i < NDEVS; i++) {
		dev[i] = fake_dev(bdf[i], 10 + i);
		opts[i] = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	}
	fake_publish();
}

/* The policy for the first n, and a part of its reason. */
static void is(size_t n, enum plx_addr_policy addr, const char *reason)
{
	const struct plx_vfio_candidate all[NDEVS] = { { BDF0, &opts[0] },
						       { BDF1, &opts[1] },
						       { BDF2, &opts[2] } };
	struct plx_policy policy = { .addr = 77 };

	fake_publish();
	assert_int_equal(plx_vfio_policy(all, n, &policy), 0);
	if (policy.addr != addr || !strstr(policy.reason, reason))
		fail_msg("%s because %s; want %s because %s", plx_addr_policy_name(policy.addr),
			 policy.reason, plx_addr_policy_name(addr), reason);
}

static void room_for_virtual_addresses_means_va(void **state)
{
	(void)state;
	begin(FAKE_A);
	is(0, PLX_ADDR_VA, "no device");
	is(1, PLX_ADDR_VA, "every device");
	is(3, PLX_ADDR_VA, "every device");
	dev[1]->width = 47;
	dev[1]->range[1].last = (UINT64_C(1) << 47) - 1;
	is(3, PLX_ADDR_VA, "every device");
	/* Not told by sysfs, as on Arm. */
	dev[1]->width = 0;
	is(3, PLX_ADDR_VA, "every device");
	fake_stop();
}

static void a_narrow_iommu_means_alloc(void **state)
{
	(void)state;
	begin(FAKE_A);
	dev[1]->width = 39;
	dev[1]->range[1].last = (UINT64_C(1) << 39) - 1;
	is(1, PLX_ADDR_VA, "every device");
	is(2, PLX_ADDR_ALLOC, "39 bits");
	is(2, PLX_ADDR_ALLOC, BDF1);
	fake_stop();
}

/* Not told by sysfs, as of AMD's, Arm's and virtio's: the kernel is asked, device by device. */
static void an_iommu_that_hides_its_width_is_tried(void **state)
{
	(void)state;
	begin(FAKE_A);
	dev[1]->width = 0;
	dev[1]->range[1].last = (UINT64_C(1) << 39) - 1;
	is(1, PLX_ADDR_VA, "every device");
	is(2, PLX_ADDR_ALLOC, BDF1);
	is(2, PLX_ADDR_ALLOC, "without room");
	opts[1].modes = 1u << PLX_VFIO_TYPE1V2;
	is(2, PLX_ADDR_ALLOC, BDF1);
	/* A trial would use up what was handed in. */
	opts[1].modes = PLX_VFIO_ALL_MODES;
	opts[1].cdev_fd = 99;
	is(2, PLX_ADDR_VA, "every device");
	fake_stop();
}

static int ask(void *arg)
{
	const struct plx_vfio_candidate one = { BDF1, &opts[1] };

	return plx_vfio_policy(&one, 1, arg);
}

/* Whatever fails in the trial, nothing is left of it. */
static void a_failing_trial_leaves_nothing(void **state)
{
	struct fail_nth_result result;
	struct plx_policy policy;

	(void)state;
	begin(FAKE_A);
	dev[1]->width = 0;
	dev[1]->range[1].last = (UINT64_C(1) << 39) - 1;
	fake_publish();
	result = fail_nth("trial", ask, &policy, fake_leaks, NULL);
	assert_true(result.calls > 20);
	assert_int_equal(ask(&policy), 0);
	assert_int_equal(policy.addr, PLX_ADDR_ALLOC);
	fake_stop();
}

static void a_reserved_range_among_ours_means_alloc(void **state)
{
	(void)state;
	begin(FAKE_A);
	dev[2]->nranges = 3;
	dev[2]->range[1] = (struct fake_range){ 0xfef00000, UINT64_C(0x10000000000) - 1 };
	dev[2]->range[2] = (struct fake_range){ UINT64_C(0x20000000000), (UINT64_C(1) << 48) - 1 };
	is(2, PLX_ADDR_VA, "every device");
	is(3, PLX_ADDR_ALLOC, BDF2);
	fake_stop();
}

static void an_unprotected_device_means_pa(void **state)
{
	(void)state;
	begin(FAKE_C);
	dev[1]->noiommu = true;
	dev[2]->width = 39;
	/* Only once it would really be used. */
	is(2, PLX_ADDR_VA, "every device");
	opts[1].allow_noiommu = true;
	is(2, PLX_ADDR_PA, BDF1);
	is(3, PLX_ADDR_PA, BDF1);
	opts[1].modes = 1u << PLX_VFIO_CDEV;
	is(2, PLX_ADDR_VA, "every device");
	opts[1].modes = 1u << PLX_VFIO_NOIOMMU;
	is(2, PLX_ADDR_PA, BDF1);
	fake_stop();
}

static void what_can_not_be_claimed_has_no_say(void **state)
{
	(void)state;
	begin(FAKE_C);
	dev[1]->noiommu = true;
	opts[1].allow_noiommu = true;
	dev[1]->driver = "e1000e";
	is(2, PLX_ADDR_VA, "every device");
	dev[1]->driver = NULL;
	is(2, PLX_ADDR_VA, "every device");
	fake_stop();
}

static void odd_files_are_not_believed(void **state)
{
	static const char *const caps[] = { "", "x", "123456789123456789123456789", "-1 2" };
	static const char *const regions[] = { "", "\n\n\n", "0x1", "zz yy direct\n",
					       "0xffffffffffffffff 0x0 direct\n" };
	const struct plx_vfio_candidate one = { BDF0, &opts[0] };
	struct plx_policy policy;
	size_t i;

	(void)state;
	begin(FAKE_A);
	for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		fake_publish();
		fake_path_file("/sys/devices/virtual/iommu/dmar10/intel-iommu/cap", caps[i]);
		assert_int_equal(plx_vfio_policy(&one, 1, &policy), 0);
		assert_int_equal(policy.addr, PLX_ADDR_VA);
	}
	for (i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		fake_publish();
		fake_path_file("/sys/kernel/iommu_groups/10/reserved_regions", regions[i]);
		assert_int_equal(plx_vfio_policy(&one, 1, &policy), 0);
		assert_int_equal(policy.addr, PLX_ADDR_VA);
	}
	fake_stop();
}

/* The policy foretold is one under which the devices can be claimed. */
static void the_policy_holds_when_claiming(void **state)
{
	enum { PLAIN, NARROW, UNSAFE, KINDS };
	int kind;

	(void)state;
	for (kind = 0; kind < KINDS; kind++) {
		const struct plx_vfio_candidate all[2] = { { BDF0, &opts[0] }, { BDF1, &opts[1] } };
		struct plx_policy policy;
		struct plx_vfio_dev *open[2];
		struct plx_ioas *ioas;
		int i;

		begin(FAKE_C);
		if (kind == NARROW)
			for (i = 0; i < NDEVS; i++) {
				dev[i]->width = 39;
				dev[i]->range[1].last = (UINT64_C(1) << 39) - 1;
			}
		dev[1]->noiommu = opts[1].allow_noiommu = kind == UNSAFE;
		fake_publish();
		assert_int_equal(plx_vfio_policy(all, 2, &policy), 0);
		assert_int_equal(plx_ioas_create(&policy, &ioas), 0);
		assert_int_equal(rig_map(ioas, VA, 8 * HUGE), 0);
		for (i = 0; i < 2; i++)
			assert_int_equal(plx_vfio_open(ioas, all[i].name, &opts[i], &open[i], NULL),
					 0);
		for (i = 0; i < 2; i++)
			assert_true(rig_reaches(ioas, dev[i], VA, 8 * HUGE));
		for (i = 0; i < 2; i++)
			plx_vfio_close(open[i]);
		assert_int_equal(plx_ioas_destroy(ioas), 0);
		fake_stop();
	}
}

/*
 * Sysfs is input too.
 */
static void odd_names_in_sysfs_are_not_believed(void **state)
{
	static const char *const bad[] = {
		"vfio",		"vfiox",  "vfio1x", "noiommu-",
		"noiommu-vfio", "vfio-1", "..",	    "vfio12345678901234567890123456789012345"
	};
	enum plx_vfio_mode mode;
	char path[160];
	size_t i;

	(void)state;
	begin(FAKE_A);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_publish();
		fake_path_remove("/sys/devices/pci0000:00/" BDF0 "/vfio-dev");
		snprintf(path, sizeof(path), "/sys/devices/pci0000:00/" BDF0 "/vfio-dev/%s",
			 bad[i]);
		fake_path_file(path, "");
		assert_int_equal(plx_vfio_foresee(BDF0, &opts[0], &mode, NULL), 0);
		assert_int_equal(mode, PLX_VFIO_TYPE1V2);
	}
	/* A group that is no number. */
	fake_publish();
	fake_path_remove("/dev/vfio/devices");
	fake_path_link("/sys/devices/pci0000:00/" BDF0 "/iommu_group",
		       "/sys/kernel/iommu_groups/x1");
	assert_true(plx_vfio_foresee(BDF0, &opts[0], &mode, NULL) < 0);
	fake_path_link("/sys/devices/pci0000:00/" BDF0 "/iommu_group",
		       "/sys/kernel/iommu_groups/99999999999999999999");
	assert_true(plx_vfio_foresee(BDF0, &opts[0], &mode, NULL) < 0);
	fake_path_link("/sys/devices/pci0000:00/" BDF0 "/driver",
		       "/sys/bus/pci/drivers/a-name-that-is-longer-than-any-driver-has-ever-had");
	assert_true(plx_vfio_foresee(BDF0, &opts[0], &mode, NULL) < 0);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_for_virtual_addresses_means_va),
		cmocka_unit_test(a_narrow_iommu_means_alloc),
		cmocka_unit_test(an_iommu_that_hides_its_width_is_tried),
		cmocka_unit_test(a_failing_trial_leaves_nothing),
		cmocka_unit_test(a_reserved_range_among_ours_means_alloc),
		cmocka_unit_test(an_unprotected_device_means_pa),
		cmocka_unit_test(what_can_not_be_claimed_has_no_say),
		cmocka_unit_test(odd_files_are_not_believed),
		cmocka_unit_test(the_policy_holds_when_claiming),
		cmocka_unit_test(odd_names_in_sysfs_are_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
