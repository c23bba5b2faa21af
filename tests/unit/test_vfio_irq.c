/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts: sets that grow, shrink and come back, INTx, the single ones. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fake_abi.h"
#include "fake_rig.h"

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI  VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define ERR  VFIO_PCI_ERR_IRQ_INDEX
#define REQ  VFIO_PCI_REQ_IRQ_INDEX

#define NFDS 8

static struct rig rig;
static struct plx_vfio_dev *dev;
static int fds[NFDS];

static void begin(bool dynamic)
{
	int i;

	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	rig.dev[0]->nvectors = NFDS;
	rig.dev[0]->dyn_msix = dynamic;
	fake_publish();
	dev = rig_open(&rig, BDF0);
	for (i = 0; i < NFDS; i++)
		fds[i] = plx_sys->eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static void end(void)
{
	int i;

	for (i = 0; i < NFDS; i++)
		plx_sys->close(fds[i]);
	plx_vfio_close(dev);
	assert_int_equal(rig.dev[0]->irq_type, FAKE_IRQS);
	rig_stop(&rig);
}

/* How often an eventfd was signalled since last asked. */
static uint64_t signalled(int fd)
{
	uint64_t count = 0;

	return plx_sys->read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Vectors 0..7 arrive at the eventfds numbered so; -1: nowhere. */
static void arrive(const int *at)
{
	int i, k;

	for (k = 0; k < NFDS; k++)
		signalled(fds[k]);
	for (i = 0; i < NFDS; i++) {
		assert_int_equal(fake_fire_msix(rig.dev[0], i), at[i] >= 0);
		for (k = 0; k < NFDS; k++)
			assert_int_equal(signalled(fds[k]), k == at[i]);
	}
}

static void kinds_are_described(void **state)
{
	struct plx_vfio_irq irq;
	int dynamic;

	(void)state;
	for (dynamic = 0; dynamic < 2; dynamic++) {
		begin(dynamic);
		assert_int_equal(plx_vfio_num_irqs(dev), 5);
		assert_int_equal(plx_vfio_irq(dev, INTX, &irq), 0);
		assert_int_equal(irq.count, 1);
		assert_true(irq.eventfd && irq.maskable && irq.automasked && !irq.noresize);
		assert_int_equal(plx_vfio_irq(dev, MSIX, &irq), 0);
		assert_int_equal(irq.count, NFDS);
		assert_true(irq.eventfd && !irq.maskable);
		assert_int_equal(irq.noresize, !dynamic);
		assert_int_equal(plx_vfio_irq(dev, REQ, &irq), 0);
		assert_int_equal(irq.count, 1);
		assert_int_equal(plx_vfio_irq(dev, 5, &irq), -EINVAL);
		assert_int_equal(plx_vfio_irq(dev, UINT32_MAX, &irq), -EINVAL);
		end();
	}
}

static void sets_grow_shrink_and_move(void **state)
{
	int dynamic, minus[2] = { -1, -1 };

	(void)state;
	for (dynamic = 0; dynamic < 2; dynamic++) {
		begin(dynamic);
		arrive((int[]){ -1, -1, -1, -1, -1, -1, -1, -1 });
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 1, 2, fds + 1), 0);
		arrive((int[]){ -1, 1, 2, -1, -1, -1, -1, -1 });
		/* Within the set, and beyond it. */
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 1, fds), 0);
		arrive((int[]){ 0, 1, 2, -1, -1, -1, -1, -1 });
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 5, 3, fds + 5), 0);
		arrive((int[]){ 0, 1, 2, -1, -1, 5, 6, 7 });
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 3, 1, fds + 4), 0);
		arrive((int[]){ 0, 1, 2, 4, -1, 5, 6, 7 });
		/* Another eventfd for a vector, and none. */
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 1, fds + 3), 0);
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 6, 2, minus), 0);
		arrive((int[]){ 3, 1, 2, 4, -1, 5, -1, -1 });
		assert_int_equal(plx_vfio_irq_off(dev, MSIX), 0);
		arrive((int[]){ -1, -1, -1, -1, -1, -1, -1, -1 });
		assert_int_equal(plx_vfio_irq_off(dev, MSIX), 0);
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 1, fds), 0);
		arrive((int[]){ 0, -1, -1, -1, -1, -1, -1, -1 });
		/* With its last vector it is off. */
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 1, minus), 0);
		assert_int_equal(rig.dev[0]->irq_type, FAKE_IRQS);
		end();
	}
}

static void a_dynamic_set_is_never_taken_down_to_grow(void **state)
{
	unsigned calls;

	(void)state;
	begin(true);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 1, fds), 0);
	calls = fake_ioctl_count(VFIO_DEVICE_SET_IRQS);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 7, 1, fds + 7), 0);
	assert_int_equal(fake_ioctl_count(VFIO_DEVICE_SET_IRQS), calls + 1);
	arrive((int[]){ 0, -1, -1, -1, -1, -1, -1, 7 });
	assert_int_equal(plx_vfio_irq_fire(dev, MSIX, 7), 0);
	assert_int_equal(signalled(fds[7]), 1);
	end();
}

static void odd_sets_are_refused(void **state)
{
	int bad[2] = { -2, -2 };

	(void)state;
	begin(false);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 0, fds), -EINVAL);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, NFDS + 1, fds), -EINVAL);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, NFDS, 1, fds), -EINVAL);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 1, UINT32_MAX, fds), -EINVAL);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, UINT32_MAX, 2, fds), -EINVAL);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 2, bad), -EINVAL);
	assert_int_equal(plx_vfio_irq_set(dev, 5, 0, 1, fds), -EINVAL);
	assert_int_equal(plx_vfio_irq_fire(dev, MSIX, 0), -EINVAL);
	assert_int_equal(plx_vfio_irq_off(dev, 99), -EINVAL);
	assert_int_equal(rig.dev[0]->irq_type, FAKE_IRQS);
	end();
}

static void kinds_exclude_each_other(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(plx_vfio_irq_set(dev, INTX, 0, 1, fds), -EBUSY);
	assert_int_equal(plx_vfio_irq_set(dev, MSI, 0, 1, fds), -EBUSY);
	assert_int_equal(plx_vfio_irq_set(dev, ERR, 0, 1, fds + 2), 0);
	assert_int_equal(plx_vfio_irq_set(dev, REQ, 0, 1, fds + 3), 0);
	assert_int_equal(plx_vfio_irq_off(dev, MSIX), 0);
	assert_int_equal(plx_vfio_irq_set(dev, MSI, 0, 1, fds), 0);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 1, fds), -EBUSY);
	assert_int_equal(plx_vfio_irq_fire(dev, MSI, 0), 0);
	assert_int_equal(signalled(fds[0]), 1);
	end();
}

/* When the kernel doesn't take a change, what was on stays on. */
static void a_failed_change_changes_nothing(void **state)
{
	int bad[2], dynamic;

	(void)state;
	for (dynamic = 0; dynamic < 2; dynamic++) {
		begin(dynamic);
		bad[0] = fds[5];
		bad[1] = 99999; /* no descriptor */
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 1, bad + 1), -EBADF);
		assert_int_equal(rig.dev[0]->irq_type, FAKE_IRQS);
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 3, fds), 0);
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 1, 2, bad), -EBADF);
		arrive((int[]){ 0, 1, 2, -1, -1, -1, -1, -1 });
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 2, 2, bad), -EBADF);
		arrive((int[]){ 0, 1, 2, -1, -1, -1, -1, -1 });
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 6, 2, bad), -EBADF);
		arrive((int[]){ 0, 1, 2, -1, -1, -1, -1, -1 });
		end();
	}
}

/* Fewer vectors than asked for: the kernel returns their number. */
static bool few_vectors(int fd, unsigned long request, void *arg, int *result)
{
	struct vfio_irq_set *set = arg;

	(void)fd;
	if (request != VFIO_DEVICE_SET_IRQS || set->start + set->count <= 2)
		return false;
	*result = 2;
	return true;
}

static void too_few_vectors_are_an_error(void **state)
{
	(void)state;
	begin(false);
	fake.hook = few_vectors;
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 4, fds), -ENOSPC);
	arrive((int[]){ -1, -1, -1, -1, -1, -1, -1, -1 });
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 2, 1, fds + 2), -ENOSPC);
	arrive((int[]){ 0, 1, -1, -1, -1, -1, -1, -1 });
	end();
}

static void vectors_can_be_fired_by_hand(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 3, fds), 0);
	assert_int_equal(plx_vfio_irq_fire(dev, MSIX, 2), 0);
	assert_int_equal(signalled(fds[0]) + signalled(fds[1]), 0);
	assert_int_equal(signalled(fds[2]), 1);
	assert_int_equal(plx_vfio_irq_fire(dev, MSIX, 3), -EINVAL);
	assert_int_equal(plx_vfio_irq_mask(dev, MSIX), -EOPNOTSUPP);
	assert_int_equal(plx_vfio_irq_unmask(dev, MSIX), -EOPNOTSUPP);
	end();
}

static void intx_is_masked_until_unmasked(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(plx_vfio_irq_unmask(dev, INTX), -EINVAL);
	assert_int_equal(plx_vfio_irq_set(dev, INTX, 0, 1, fds), 0);
	assert_true(fake_fire_intx(rig.dev[0]));
	assert_int_equal(signalled(fds[0]), 1);
	/* The line stays up: nothing more until it is unmasked. */
	assert_false(fake_fire_intx(rig.dev[0]));
	assert_int_equal(signalled(fds[0]), 0);
	assert_int_equal(plx_vfio_irq_unmask(dev, INTX), 0);
	assert_int_equal(signalled(fds[0]), 1);
	assert_int_equal(plx_vfio_irq_unmask(dev, INTX), 0);
	assert_int_equal(plx_vfio_irq_mask(dev, INTX), 0);
	assert_false(fake_fire_intx(rig.dev[0]));
	assert_int_equal(plx_vfio_irq_unmask(dev, INTX), 0);
	assert_int_equal(signalled(fds[0]), 1);
	/* Another eventfd while it is on. */
	assert_int_equal(plx_vfio_irq_unmask(dev, INTX), 0);
	assert_int_equal(plx_vfio_irq_set(dev, INTX, 0, 1, fds + 1), 0);
	assert_true(fake_fire_intx(rig.dev[0]));
	assert_int_equal(signalled(fds[1]), 1);
	assert_int_equal(plx_vfio_irq_off(dev, INTX), 0);
	assert_false(fake_fire_intx(rig.dev[0]));
	end();
}

static void a_device_without_a_kind_says_so(void **state)
{
	struct plx_vfio_irq irq;

	(void)state;
	begin(false);
	rig.dev[0]->intx = false;
	rig.dev[0]->nmsi = 0;
	assert_int_equal(plx_vfio_irq(dev, INTX, &irq), 0);
	assert_int_equal(irq.count, 0);
	assert_int_equal(plx_vfio_irq_set(dev, INTX, 0, 1, fds), -ENODEV);
	assert_int_equal(plx_vfio_irq_set(dev, MSI, 0, 1, fds), -ENODEV);
	assert_int_equal(plx_vfio_irq_off(dev, MSI), 0);
	fake_ioctl_fail(VFIO_DEVICE_GET_IRQ_INFO, EIO, 0, 1);
	assert_int_equal(plx_vfio_irq(dev, MSIX, &irq), -EIO);
	assert_int_equal(plx_vfio_irq(dev, MSIX, &irq), 0);
	assert_int_equal(irq.count, NFDS);
	end();
}

static bool no_such_kind(int fd, unsigned long request, void *arg, int *result)
{
	struct vfio_irq_info *info = arg;

	(void)fd;
	if (request != VFIO_DEVICE_GET_IRQ_INFO)
		return false;
	info->count = info->index == MSIX ? UINT32_MAX : 4;
	info->flags = 0;
	*result = 0;
	return true;
}

static void nonsense_does_no_harm(void **state)
{
	struct plx_vfio_irq irq;

	(void)state;
	begin(false);
	fake.hook = no_such_kind;
	assert_true(plx_vfio_irq(dev, MSIX, &irq) < 0);
	assert_true(plx_vfio_irq_set(dev, MSIX, 0, 1, fds) < 0);
	assert_int_equal(plx_vfio_irq_set(dev, MSI, 0, 1, fds), -EOPNOTSUPP);
	fake.hook = NULL;
	end();
}

static void single_ones_arrive(void **state)
{
	static const unsigned index[] = { ERR, REQ };
	int i;

	(void)state;
	begin(false);
	for (i = 0; i < 2; i++) {
		assert_int_equal(plx_vfio_irq_set(dev, index[i], 0, 1, fds + i), 0);
		assert_true(fake_fire_single(rig.dev[0], index[i]));
		assert_int_equal(signalled(fds[i]), 1);
		assert_int_equal(plx_vfio_irq_fire(dev, index[i], 0), 0);
		assert_int_equal(signalled(fds[i]), 1);
		assert_int_equal(plx_vfio_irq_set(dev, index[i], 0, 1, fds + 2), 0);
		assert_true(fake_fire_single(rig.dev[0], index[i]));
		assert_int_equal(signalled(fds[2]), 1);
		assert_int_equal(plx_vfio_irq_off(dev, index[i]), 0);
		assert_false(fake_fire_single(rig.dev[0], index[i]));
	}
	end();
}

/* Whether the kernel kept the set over the reset or dropped it. */
static void a_reset_is_followed_by_restore(void **state)
{
	int drops, minus = -1;

	(void)state;
	for (drops = 0; drops < 2; drops++) {
		begin(false);
		rig.dev[0]->reset_drops_irqs = drops;
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 4, fds), 0);
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 3, 1, &minus), 0);
		assert_int_equal(plx_vfio_irq_set(dev, REQ, 0, 1, fds + 7), 0);
		assert_int_equal(plx_vfio_reset(dev), 0);
		assert_int_equal(rig.dev[0]->nresets, 1);
		assert_int_equal(plx_vfio_irq_restore(dev), 0);
		arrive((int[]){ 0, 1, 2, -1, -1, -1, -1, -1 });
		assert_true(fake_fire_single(rig.dev[0], REQ));
		/* It can go on growing. */
		assert_int_equal(plx_vfio_irq_set(dev, MSIX, 5, 1, fds + 5), 0);
		arrive((int[]){ 0, 1, 2, -1, -1, 5, -1, -1 });
		end();
	}
}

static void a_failed_restore_can_be_repeated(void **state)
{
	(void)state;
	begin(false);
	rig.dev[0]->reset_drops_irqs = true;
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(plx_vfio_reset(dev), 0);
	/* The first call takes down what is gone, the second sets it again. */
	fake_ioctl_fail(VFIO_DEVICE_SET_IRQS, ENOMEM, 1, 1);
	assert_int_equal(plx_vfio_irq_restore(dev), -ENOMEM);
	arrive((int[]){ -1, -1, -1, -1, -1, -1, -1, -1 });
	assert_int_equal(plx_vfio_irq_restore(dev), 0);
	arrive((int[]){ 0, 1, -1, -1, -1, -1, -1, -1 });
	end();
}

/* Any order of changes, against an array of what should be connected. */
static void random_changes_fit_the_model(void **state)
{
	unsigned seed = 4711, step, i;
	int dynamic;

	(void)state;
	for (dynamic = 0; dynamic < 2; dynamic++) {
		int model[NFDS] = { -1, -1, -1, -1, -1, -1, -1, -1 };

		begin(dynamic);
		for (step = 0; step < 300; step++) {
			unsigned start, count;
			int set[NFDS];

			seed = seed * 1103515245 + 12345;
			start = (seed >> 16) % NFDS;
			count = 1 + (seed >> 20) % (NFDS - start);
			if ((seed >> 24) % 16 == 0) {
				assert_int_equal(plx_vfio_irq_off(dev, MSIX), 0);
				for (i = 0; i < NFDS; i++)
					model[i] = -1;
			} else {
				for (i = 0; i < count; i++) {
					model[start + i] =
						(int)((seed >> (8 + i)) % (NFDS + 2)) - 2;
					if (model[start + i] < 0)
						model[start + i] = -1;
					set[i] = model[start + i] < 0 ? -1 : fds[model[start + i]];
				}
				assert_int_equal(plx_vfio_irq_set(dev, MSIX, start, count, set), 0);
			}
			arrive(model);
		}
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_described),
		cmocka_unit_test(sets_grow_shrink_and_move),
		cmocka_unit_test(a_dynamic_set_is_never_taken_down_to_grow),
		cmocka_unit_test(odd_sets_are_refused),
		cmocka_unit_test(kinds_exclude_each_other),
		cmocka_unit_test(a_failed_change_changes_nothing),
		cmocka_unit_test(too_few_vectors_are_an_error),
		cmocka_unit_test(vectors_can_be_fired_by_hand),
		cmocka_unit_test(intx_is_masked_until_unmasked),
		cmocka_unit_test(a_device_without_a_kind_says_so),
		cmocka_unit_test(nonsense_does_no_harm),
		cmocka_unit_test(single_ones_arrive),
		cmocka_unit_test(a_reset_is_followed_by_restore),
		cmocka_unit_test(a_failed_restore_can_be_repeated),
		cmocka_unit_test(random_changes_fit_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
