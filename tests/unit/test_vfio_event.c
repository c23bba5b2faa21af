/* SPDX-License-Identifier: BSD-3-Clause */
/* Events: a device that is asked back, fails or vanishes. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "fake_abi.h"
#include "fake_rig.h"

#define ERR VFIO_PCI_ERR_IRQ_INDEX
#define REQ VFIO_PCI_REQ_IRQ_INDEX

static struct rig rig;
static struct plx_vfio_dev *dev;

static void begin(void)
{
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
}

static void end(void)
{
	plx_vfio_close(dev);
	assert_int_equal(rig.dev[0]->single[ERR], -1);
	assert_int_equal(rig.dev[0]->single[REQ], -1);
	rig_stop(&rig);
}

static bool readable(void)
{
	struct pollfd fd = { .fd = plx_vfio_event_fd(dev), .events = POLLIN };

	assert_true(fd.fd >= 0);
	return poll(&fd, 1, 0) == 1;
}

static void quiet(void)
{
	assert_false(readable());
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
}

static void every_mode_tells(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		quiet();
		assert_true(fake_fire_single(rig.dev[0], REQ));
		assert_true(readable());
		assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_REQUESTED);
		quiet();
		/* The kernel asks again. */
		assert_true(fake_fire_single(rig.dev[0], REQ));
		assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_REQUESTED);
		quiet();
		end();
	}
}

static void each_is_told(void **state)
{
	(void)state;
	begin();
	assert_true(fake_fire_single(rig.dev[0], REQ));
	assert_true(fake_fire_single(rig.dev[0], ERR));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_ERROR);
	assert_true(readable());
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_REQUESTED);
	quiet();
	end();
}

static void gone_is_for_good(void **state)
{
	(void)state;
	begin();
	rig.dev[0]->gone = true;
	/* Nobody said so yet. */
	quiet();
	assert_true(fake_fire_single(rig.dev[0], REQ));
	assert_true(readable());
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	end();
}

/* Real kernels still answer for the ids of a device that isn't there. */
static void only_its_class_reads_as_ones(void **state)
{
	int i;

	(void)state;
	begin();
	for (i = 8; i < 12; i++)
		rig.dev[0]->config[i] = 0xff;
	assert_true(fake_fire_single(rig.dev[0], REQ));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	end();
}

static unsigned missing; /* a mask of indexes */

static bool not_there(int fd, unsigned long request, void *arg, int *result)
{
	const struct vfio_irq_info *info = arg;

	(void)fd;
	if (request != VFIO_DEVICE_GET_IRQ_INFO || !(missing & 1u << info->index))
		return false;
	*result = -EINVAL;
	return true;
}

static void a_device_without_signals_works(void **state)
{
	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	fake.hook = not_there;
	/* A conventional PCI device has no ERR. */
	missing = 1u << ERR;
	dev = rig_open(&rig, BDF0);
	assert_true(fake_fire_single(rig.dev[0], REQ));
	assert_true(readable());
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_REQUESTED);
	plx_vfio_close(dev);
	missing = 1u << ERR | 1u << REQ;
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_event_fd(dev), -ENODEV);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(fake_log_count(PLX_LOG_WARN), 0);
	fake.hook = NULL;
	end();
}

static void signals_that_fail_are_done_without(void **state)
{
	int skip;

	(void)state;
	/* A set is taken down before it is put up: every second call matters. */
	for (skip = 1; skip < 4; skip += 2) {
		rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
		fake_ioctl_fail(VFIO_DEVICE_SET_IRQS, EIO, skip, 1);
		dev = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_event_fd(dev), -ENODEV);
		assert_true(fake_logged(PLX_LOG_WARN, "its events"));
		assert_false(fake_fire_single(rig.dev[0], REQ));
		assert_false(fake_fire_single(rig.dev[0], ERR));
		end();
	}
}

static void a_reset_keeps_them(void **state)
{
	(void)state;
	begin();
	rig.dev[0]->reset_drops_irqs = true;
	assert_int_equal(plx_vfio_reset(dev), 0);
	assert_int_equal(plx_vfio_irq_restore(dev), 0);
	assert_true(fake_fire_single(rig.dev[0], REQ));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_REQUESTED);
	end();
}

/*
 * Memory that can't be reached when it is touched: it reads as ones, who waits for events is told,
 * and the device is lost. The fake's BAR loses its pages as one whose decoding was turned off does.
 */
static void memory_out_of_reach(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		volatile uint32_t *bar;
		size_t len;
		void *va;

		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_mmap(dev, 0, &va, &len), 0);
		bar = va;
		assert_int_equal(*bar, 0);
		quiet();
		assert_int_equal(ftruncate(rig.dev[0]->memfd[0], 0), 0);
		assert_int_equal(*bar, UINT32_MAX);
		*bar = 1; /* goes nowhere, and stays there */
		assert_true(readable());
		fake_log_clear();
		assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
		assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_true(fake_logged(PLX_LOG_ERR, "its memory could not be reached"));
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_tells),
		cmocka_unit_test(each_is_told),
		cmocka_unit_test(gone_is_for_good),
		cmocka_unit_test(only_its_class_reads_as_ones),
		cmocka_unit_test(a_device_without_signals_works),
		cmocka_unit_test(signals_that_fail_are_done_without),
		cmocka_unit_test(a_reset_keeps_them),
		cmocka_unit_test(memory_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
