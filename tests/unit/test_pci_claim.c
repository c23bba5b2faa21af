/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus on the real lib/vfio and a fake kernel: from the scan to letting go, in every access
 * mode, and with every system call on that way failing in turn.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "fail_nth.h"
#include "fake_rig.h"
#include "bus.h"

#define VECTORS 3

static struct fake_dev *dev;
static struct plx_dma ring; /* the driver's */
static unsigned removed;

static uint16_t command_of(const struct fake_dev *of)
{
	return of->config[PCI_COMMAND] | of->config[PCI_COMMAND + 1] << 8;
}

/* What a driver does while it starts. */
static int bring_up(struct plx_pci *pci)
{
	uint64_t count;
	struct plx_pci_bar bar;
	int err;

	err = plx_pci_bar(pci, 0, 4096, &bar);
	err = err ? err : plx_pci_irq_enable(pci, 1);
	err = err ? err : plx_pci_irq_enable(pci, VECTORS);
	err = err ? err : plx_pci_irq_fire(pci, VECTORS - 1);
	if (!err && read(plx_pci_irq_fd(pci, VECTORS - 1), &count, sizeof(count)) != sizeof(count))
		err = -EIO;
	err = err ? err : plx_pci_reset(pci);
	err = err ? err : plx_dma_alloc(pci->ioas, 4096, 64, pci->node, &ring);
	err = err ? err : plx_pci_set_master(pci, true);
	if (err)
		plx_dma_free(pci->ioas, &ring);
	return err;
}

static void take_down(struct plx_pci *pci)
{
	plx_dma_free(pci->ioas, &ring);
	removed++;
}

static const struct plx_pci_id ids[] = { PLX_PCI_ID(0x8086, 0x10d3), { 0 } };
static struct plx_pci_driver driver = {
	.name = "test",
	.ids = ids,
	.probe = bring_up,
	.remove = take_down,
};

PLX_PCI_DRIVER(driver)

static void boot(enum plx_vfio_mode mode)
{
	static const enum fake_flavour flavour[PLX_VFIO_MODES] = {
		[PLX_VFIO_CDEV] = FAKE_C,	  [PLX_VFIO_TYPE1V2] = FAKE_STOCK,
		[PLX_VFIO_TYPE1] = FAKE_STOCK,	  [PLX_VFIO_COMPAT] = FAKE_B,
		[PLX_VFIO_NOIOMMU_CDEV] = FAKE_C, [PLX_VFIO_NOIOMMU] = FAKE_A,
	};

	fake_start(flavour[mode]);
	fake.unsafe_noiommu = plx_vfio_mode_unsafe(mode);
	dev = fake_dev(BDF0, 10);
	dev->noiommu = plx_vfio_mode_unsafe(mode);
	dev->resets = true;
	dev->reset_drops_irqs = true;
	fake_publish();
	removed = 0;
}

static int start(enum plx_vfio_mode mode, struct plx_pci_bus **bus, struct plx_ioas **ioas)
{
	char option[64], name[] = "prog", allow[] = "--allow=" BDF0, unsafe[] = "--allow-noiommu";
	char *argv[] = { name, option, allow, unsafe, NULL };
	struct plx_policy policy;
	int argc = 4, err;

	snprintf(option, sizeof(option), "--vfio-mode=%s", plx_vfio_mode_name(mode));
	err = plx_pci_scan(&argc, argv, bus);
	err = err ? err : plx_pci_policy(*bus, &policy);
	if (err)
		return err;
	err = plx_ioas_create(&policy, ioas);
	if (err) {
		/* Its caller knows what it was for, and says so. */
		plx_err("no address space: %s", strerror(-err));
		return err;
	}
	err = plx_pci_probe(*bus, *ioas);
	return err < 0 ? err : err != 1;
}

/* And back, and away again. */
static int from_scan_to_letting_go(void *arg)
{
	struct plx_pci_bus *bus = NULL;
	struct plx_ioas *ioas = NULL;
	int err = start(*(enum plx_vfio_mode *)arg, &bus, &ioas), left;

	if (!err) {
		plx_pci_detach(plx_pci_at(bus, 0));
		err = plx_pci_attach(bus, BDF0);
	}
	plx_pci_cleanup(bus);
	left = ioas ? plx_ioas_destroy(ioas) : 0;
	return err ? err : left;
}

static void in_every_mode(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_pci_bus *bus = NULL;
		struct plx_ioas *ioas = NULL;
		struct plx_pci *pci;
		unsigned vector;

		boot(mode);
		if (start(mode, &bus, &ioas)) {
			fake_log_print();
			fail_msg("mode %s doesn't work", plx_vfio_mode_name(mode));
		}
		pci = plx_pci_at(bus, 0);
		assert_int_equal(plx_vfio_dev_mode(pci->vfio), mode);
		assert_int_equal(dev->nresets, 1);
		assert_int_equal(command_of(dev) & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER),
				 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		/* The vectors were put back after the reset. */
		for (vector = 0; vector < VECTORS; vector++)
			assert_true(fake_fire_msix(dev, vector));
		plx_pci_cleanup(bus);
		assert_int_equal(removed, 1);
		assert_int_equal(command_of(dev) & PCI_COMMAND_MASTER, 0);
		assert_int_equal(plx_ioas_destroy(ioas), 0);
		fake_stop();
	}
}

/* Whether an error was logged since the last call. */
static bool error_logged(void)
{
	bool logged = fake_log_count(PLX_LOG_ERR) != 0;

	fake_log_clear();
	return logged;
}

static void with_every_call_failing(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct fail_nth_result result;

		boot(mode);
		result = fail_nth(plx_vfio_mode_name(mode), from_scan_to_letting_go, &mode,
				  fake_leaks, error_logged);
		print_message("# %s: %u calls, %u runs with one failing, %u of them went on\n",
			      plx_vfio_mode_name(mode), result.calls, result.runs, result.survived);
		assert_true(result.survived < result.runs);
		fake_stop();
	}
}

/* The kernel asks for it, it is let go of, goes, comes back, and works as it did. */
static void unplugged_and_back(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_pci_bus *bus = NULL;
		struct plx_ioas *ioas = NULL;
		struct plx_pci *pci;

		boot(mode);
		assert_int_equal(start(mode, &bus, &ioas), 0);
		pci = plx_pci_at(bus, 0);
		assert_int_equal(plx_pci_attach(bus, BDF0), -EBUSY);
		assert_int_equal(plx_pci_event(pci), PLX_VFIO_EVENT_NONE);
		assert_true(fake_fire_single(dev, VFIO_PCI_REQ_IRQ_INDEX));
		assert_int_equal(plx_pci_event(pci), PLX_VFIO_EVENT_REQUESTED);
		plx_pci_detach(pci);
		assert_int_equal(removed, 1);
		assert_int_equal(dev->opens, 0);
		assert_null(pci->vfio);
		assert_null(pci->driver);
		assert_int_equal(plx_pci_event_fd(pci), -ENODEV);
		plx_pci_detach(pci); /* a second time is fine */
		assert_int_equal(removed, 1);

		dev->driver = NULL;
		fake_publish();
		fake_log_clear();
		assert_true(plx_pci_attach(bus, BDF0) < 0);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		fake_path_remove("/sys/bus/pci/devices/" BDF0);
		assert_int_equal(plx_pci_attach(bus, BDF0), -ENODEV);
		assert_int_equal(plx_pci_attach(bus, BDF2), -ENODEV);
		assert_int_equal(plx_pci_attach(bus, "user:/none"), -ENODEV);

		dev->driver = "vfio-pci";
		fake_publish();
		assert_int_equal(plx_pci_attach(bus, BDF0), 0);
		assert_ptr_equal(plx_pci_at(bus, 0), pci);
		assert_int_equal(plx_vfio_dev_mode(pci->vfio), mode);
		assert_true(fake_fire_msix(dev, VECTORS - 1));
		assert_true(fake_fire_single(dev, VFIO_PCI_REQ_IRQ_INDEX));
		assert_int_equal(plx_pci_event(pci), PLX_VFIO_EVENT_REQUESTED);
		plx_pci_cleanup(bus);
		assert_int_equal(removed, 2);
		assert_int_equal(plx_ioas_destroy(ioas), 0);
		fake_stop();
	}
}

/* A function bound to VFIO that a driver takes is found without being named. */
static void unnamed(void **state)
{
	char name[] = "prog", *argv[] = { name, NULL };
	struct plx_pci_bus *bus;
	struct plx_policy policy;
	struct plx_ioas *ioas;
	struct fake_dev *other;
	int argc = 1;

	(void)state;
	boot(PLX_VFIO_CDEV);
	other = fake_dev(BDF1, 11);
	other->driver = "e1000e";
	other->cdev = -1;
	fake_publish();
	assert_int_equal(plx_pci_scan(&argc, argv, &bus), 0);
	assert_int_equal(plx_pci_policy(bus, &policy), 0);
	assert_int_equal(policy.addr, PLX_ADDR_VA);
	assert_int_equal(plx_ioas_create(&policy, &ioas), 0);
	assert_int_equal(plx_pci_probe(bus, ioas), 1);
	assert_non_null(plx_pci_at(bus, 0)->vfio);
	assert_null(plx_pci_at(bus, 1)->vfio);
	assert_int_equal(other->opens, 0);
	plx_pci_cleanup(bus);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_every_mode),
		cmocka_unit_test(with_every_call_failing),
		cmocka_unit_test(unplugged_and_back),
		cmocka_unit_test(unnamed),
	};

	return cmocka_run_group_tests_name("pci_claim", tests, NULL, NULL);
}
