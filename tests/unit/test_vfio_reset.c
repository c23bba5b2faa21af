/* SPDX-License-Identifier: BSD-3-Clause */
/* Reset, hot reset in both forms, and device features. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_rig.h"

static struct rig rig;

/* Two functions on one bus. */
static void begin(enum plx_vfio_mode mode, int second_group)
{
	rig_start(&rig, mode, rig_policy(mode));
	rig.dev[1]->slot = rig.dev[0]->slot;
	rig.dev[1]->group = second_group;
	fake_publish();
}

static void a_function_is_reset_if_it_can_be(void **state)
{
	struct plx_vfio_dev *dev;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_reset(dev), 0);
		assert_int_equal(rig.dev[0]->nresets, 1);
		fake_ioctl_fail(VFIO_DEVICE_RESET, EAGAIN, 0, 1);
		assert_int_equal(plx_vfio_reset(dev), -EAGAIN);
		plx_vfio_close(dev);
		rig.dev[0]->resets = false;
		dev = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_reset(dev), -EOPNOTSUPP);
		assert_int_equal(rig.dev[0]->nresets, 1);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void a_hot_reset_takes_all_that_is_ours(void **state)
{
	struct plx_vfio_dev *a, *b;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		begin(mode, 11);
		a = rig_open(&rig, BDF0);
		b = rig_open(&rig, BDF1);
		assert_int_equal(plx_vfio_hot_reset(a), 0);
		assert_int_equal(rig.dev[0]->nhotresets, 1);
		assert_int_equal(rig.dev[1]->nhotresets, 1);
		plx_vfio_close(a);
		assert_int_equal(plx_vfio_hot_reset(b), -EPERM);
		plx_vfio_close(b);
		rig_stop(&rig);
	}
}

static void a_hot_reset_of_one_group_is_ours(void **state)
{
	struct plx_vfio_dev *a;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		begin(mode, 10);
		a = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_hot_reset(a), 0);
		assert_int_equal(rig.dev[1]->nhotresets, 1);
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

static void a_hot_reset_of_what_is_not_ours_is_refused_by_name(void **state)
{
	struct plx_vfio_dev *a;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		begin(mode, 11);
		rig.dev[1]->driver = "e1000e";
		fake_publish();
		a = rig_open(&rig, BDF0);
		fake_log_clear();
		assert_int_equal(plx_vfio_hot_reset(a), -EPERM);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_true(fake_logged(PLX_LOG_ERR, BDF0));
		assert_true(fake_logged(PLX_LOG_ERR, BDF1));
		assert_int_equal(rig.dev[0]->nhotresets, 0);
		assert_int_equal(fake_ioctl_count(VFIO_DEVICE_PCI_HOT_RESET), 0);
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

/* ... and if the kernel doesn't say what that is, not without a word. */
static void a_hot_reset_is_never_refused_silently(void **state)
{
	struct plx_vfio_dev *a, *b;

	(void)state;
	begin(PLX_VFIO_CDEV, 11);
	a = rig_open(&rig, BDF0);
	b = rig_open(&rig, BDF1);
	rig.dev[0]->hot_reset_unsaid = true;
	fake_log_clear();
	assert_int_equal(plx_vfio_hot_reset(a), -EPERM);
	assert_true(fake_logged(PLX_LOG_ERR, "hot reset refused"));
	plx_vfio_close(b);
	plx_vfio_close(a);
	rig_stop(&rig);
}

/* A sibling that this process holds in another address space isn't owned in the cdev's sense. */
static void another_address_space_does_not_count(void **state)
{
	struct plx_ioas *other;
	struct plx_vfio_dev *a, *b;

	(void)state;
	begin(PLX_VFIO_CDEV, 11);
	a = rig_open(&rig, BDF0);
	other = rig_ioas(PLX_ADDR_VA);
	assert_int_equal(plx_vfio_open(other, BDF1, &rig.opts, &b, NULL), 0);
	assert_int_equal(plx_vfio_hot_reset(a), -EPERM);
	plx_vfio_close(b);
	assert_int_equal(plx_ioas_destroy(other), 0);
	plx_vfio_close(a);
	rig_stop(&rig);
}

static void a_slot_without_hot_reset_says_so(void **state)
{
	struct plx_vfio_dev *a;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		begin(mode, 10);
		rig.dev[0]->hot_resets = false;
		a = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_hot_reset(a), -EOPNOTSUPP);
		fake_ioctl_fail(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, ENOTTY, 0, 1);
		assert_int_equal(plx_vfio_hot_reset(a), -EOPNOTSUPP);
		fake_ioctl_fail(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, EIO, 0, 1);
		assert_int_equal(plx_vfio_hot_reset(a), -EIO);
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

/* A bus that grows for ever, and one with more functions than there can be. */
static uint32_t affected;

static bool crowded(int fd, unsigned long request, void *arg, int *result)
{
	struct vfio_pci_hot_reset_info *info = arg;

	(void)fd;
	if (request != VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)
		return false;
	info->flags = 0;
	info->count =
		affected ? affected : (info->argsz - sizeof(*info)) / sizeof(info->devices[0]) + 1;
	*result = -ENOSPC;
	return true;
}

static void nonsense_does_no_harm(void **state)
{
	static const uint32_t counts[] = { 0, 1, 4096, 4097, 0x20000000, UINT32_MAX };
	struct plx_vfio_dev *a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		begin(PLX_VFIO_CDEV, 10);
		a = rig_open(&rig, BDF0);
		affected = counts[i];
		fake.hook = crowded;
		assert_true(plx_vfio_hot_reset(a) < 0);
		assert_true(fake_ioctl_count(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO) < 100);
		assert_int_equal(fake_ioctl_count(VFIO_DEVICE_PCI_HOT_RESET), 0);
		fake.hook = NULL;
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

/* The kernel says that it is done, but names more functions than there was room for. */
static bool overfull(int fd, unsigned long request, void *arg, int *result)
{
	struct vfio_pci_hot_reset_info *info = arg;

	(void)fd;
	if (request != VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)
		return false;
	info->flags = FK_HOT_RESET_DEV_ID;
	info->count = 1000;
	*result = 0;
	return true;
}

static void an_overfull_answer_is_not_read(void **state)
{
	struct plx_vfio_dev *a;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		begin(mode, 10);
		a = rig_open(&rig, BDF0);
		fake.hook = overfull;
		assert_true(plx_vfio_hot_reset(a) < 0);
		fake.hook = NULL;
		plx_vfio_close(a);
		rig_stop(&rig);
	}
}

/*
 * Features.
 */
static void features_are_probed_before_use(void **state)
{
	struct plx_vfio_dev *dev;
	uint8_t data[16] = "fifteen letters", back[16] = { 0 };

	(void)state;
	RIG_EACH_MODE(mode)
	{
		rig_start(&rig, mode, rig_policy(mode));
		rig.dev[0]->features = 1u << 0 | 1u << 2;
		dev = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_feature_probe(dev, 2, VFIO_DEVICE_FEATURE_GET), 1);
		assert_int_equal(plx_vfio_feature_probe(
					 dev, 2, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET),
				 1);
		assert_int_equal(plx_vfio_feature_probe(dev, 6, VFIO_DEVICE_FEATURE_GET), 0);
		assert_int_equal(plx_vfio_feature_probe(dev, 0, VFIO_DEVICE_FEATURE_SET), 1);
		assert_int_equal(plx_vfio_feature_probe(dev, 0, VFIO_DEVICE_FEATURE_GET), 0);
		assert_int_equal(plx_vfio_feature_probe(dev, 2, VFIO_DEVICE_FEATURE_PROBE),
				 -EINVAL);
		assert_int_equal(plx_vfio_feature_probe(dev, 0x10000, VFIO_DEVICE_FEATURE_GET),
				 -EINVAL);
		fake_ioctl_fail(VFIO_DEVICE_FEATURE, EIO, 0, 1);
		assert_int_equal(plx_vfio_feature_probe(dev, 2, VFIO_DEVICE_FEATURE_GET), -EIO);
		assert_int_equal(plx_vfio_feature(dev, 2, VFIO_DEVICE_FEATURE_SET, data, 16), 0);
		assert_memory_equal(rig.dev[0]->feature_data, data, 16);
		assert_int_equal(plx_vfio_feature(dev, 2, VFIO_DEVICE_FEATURE_GET, back, 16), 0);
		assert_memory_equal(back, data, 16);
		assert_int_equal(plx_vfio_feature(dev, 6, VFIO_DEVICE_FEATURE_GET, back, 16),
				 -EOPNOTSUPP);
		assert_int_equal(plx_vfio_feature(dev, 0, VFIO_DEVICE_FEATURE_GET, back, 16),
				 -EOPNOTSUPP);
		assert_int_equal(plx_vfio_feature(dev, 2, VFIO_DEVICE_FEATURE_GET, back, 4),
				 -EINVAL);
		assert_int_equal(plx_vfio_feature(dev, 2, 0, back, 16), -EINVAL);
		assert_int_equal(plx_vfio_feature(dev, 2,
						  VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
						  back, 16),
				 -EINVAL);
		assert_int_equal(plx_vfio_feature(dev, 2, VFIO_DEVICE_FEATURE_GET, back, SIZE_MAX),
				 -EINVAL);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_is_reset_if_it_can_be),
		cmocka_unit_test(a_hot_reset_takes_all_that_is_ours),
		cmocka_unit_test(a_hot_reset_of_one_group_is_ours),
		cmocka_unit_test(a_hot_reset_of_what_is_not_ours_is_refused_by_name),
		cmocka_unit_test(a_hot_reset_is_never_refused_silently),
		cmocka_unit_test(another_address_space_does_not_count),
		cmocka_unit_test(a_slot_without_hot_reset_says_so),
		cmocka_unit_test(nonsense_does_no_harm),
		cmocka_unit_test(an_overfull_answer_is_not_read),
		cmocka_unit_test(features_are_probed_before_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
