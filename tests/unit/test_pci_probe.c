/* SPDX-License-Identifier: BSD-3-Clause */
/* Claiming functions, handing them to drivers and taking them back, in the right order. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "bus.h"
#include "pci_sysfs.h"
#include "pci_vfio.h"

static const struct pci_sysfs_fn nic = PCI_SYSFS_82574;

static struct plx_pci_bus *bus;
static int probe_err;
static unsigned fail_on; /* the probe to fail, from 1; 0: all */
static unsigned probes;
static char removed[128];

static int probe(struct plx_pci *pci)
{
	probes++;
	assert_non_null(pci->vfio);
	assert_int_equal(pci_vfio_get16(PCI_COMMAND), PCI_COMMAND_MEMORY);
	/* A careless driver: it leaves these on, also when it fails. */
	assert_int_equal(plx_pci_set_master(pci, true), 0);
	assert_int_equal(plx_pci_irq_enable(pci, 2), 0);
	pci->priv = &probes;
	return probe_err && (!fail_on || fail_on == probes) ? probe_err : 0;
}

static void take_back(struct plx_pci *pci)
{
	assert_ptr_equal(pci->priv, &probes);
	assert_non_null(pci->vfio);
	strcat(removed, pci->name);
	strcat(removed, " ");
}

static const struct plx_pci_id ids[] = { PLX_PCI_ID(0x8086, 0x10d3), { 0 } };
static const char *const keys[] = { "lro", NULL };
static struct plx_pci_driver driver = {
	.name = "test",
	.ids = ids,
	.keys = keys,
	.probe = probe,
	.remove = take_back,
};

PLX_PCI_DRIVER(driver)

static const struct plx_pci_id other_ids[] = { PLX_PCI_ID(0x8086, 0x4321), { 0 } };
static const char *const other_keys[] = { "depth", NULL };
static struct plx_pci_driver other_driver = {
	.name = "other",
	.ids = other_ids,
	.keys = other_keys,
};

PLX_PCI_DRIVER(other_driver)

static int scan(const char *line)
{
	static char copy[256];
	char *argv[16] = { NULL }, *word, *rest;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	argv[0] = copy + strlen(copy);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	return plx_pci_scan(&argc, argv, &bus);
}

static int setup(void **state)
{
	int err = pci_sysfs_setup(state);

	pci_vfio_init();
	pci_vfio.msix = 5;
	pci_sysfs_add("0000:01:00.0", &nic);
	pci_sysfs_add("0000:02:00.0", &nic);
	probe_err = probes = fail_on = 0;
	removed[0] = '\0';
	return err;
}

static int teardown(void **state)
{
	plx_pci_cleanup(bus);
	bus = NULL;
	return pci_sysfs_left() || pci_vfio.claimed ? -1 : pci_sysfs_teardown(state);
}

static void probes_and_removes_in_reverse(void **state)
{
	(void)state;
	assert_int_equal(scan(""), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), 2);
	assert_int_equal(pci_vfio.claimed, 2);
	assert_ptr_equal(plx_pci_at(bus, 0)->driver, &driver);
	/* A second call finds nothing left to do. */
	assert_int_equal(plx_pci_probe(bus, NULL), 0);
	assert_int_equal(probes, 2);
	plx_pci_cleanup(bus);
	bus = NULL;
	assert_string_equal(removed, "0000:02:00.0 0000:01:00.0 ");
	assert_int_equal(pci_vfio.claimed, 0);
}

static void lets_go_in_order(void **state)
{
	(void)state;
	assert_int_equal(scan("-a 01:00.0"), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), 1);
	plx_pci_cleanup(bus);
	bus = NULL;
	/* Bus mastering goes off before interrupts do, and both before the claim. */
	assert_string_equal(pci_vfio.trace, "open 0000:01:00.0 command=2 command=6 irq_set "
					    "command=2 irq_off close");
}

static void a_driver_that_fails_keeps_nothing(void **state)
{
	(void)state;
	probe_err = -ETIMEDOUT;
	assert_int_equal(scan("-a 01:00.0"), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), -ETIMEDOUT);
	assert_string_equal(pci_vfio.trace, "open 0000:01:00.0 command=2 command=6 irq_set "
					    "command=2 irq_off close");
	assert_int_equal(pci_sysfs_errors(), 1);
	assert_null(plx_pci_at(bus, 0)->vfio);
	assert_null(plx_pci_at(bus, 0)->driver);
	assert_null(plx_pci_at(bus, 0)->priv);
	plx_pci_cleanup(bus);
	bus = NULL;
	assert_string_equal(removed, "");
}

static void unnamed_failures_are_passed_over(void **state)
{
	(void)state;
	probe_err = -ENOMEM;
	fail_on = 1;
	assert_int_equal(scan(""), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), 1);
	assert_null(plx_pci_at(bus, 0)->driver);
	assert_non_null(plx_pci_at(bus, 1)->driver);
}

static void named_failures_end_it(void **state)
{
	(void)state;
	probe_err = -ENOMEM;
	fail_on = 2;
	assert_int_equal(scan("-a 01:00.0 -a 02:00.0"), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), -ENOMEM);
	assert_non_null(plx_pci_at(bus, 0)->driver);
	assert_int_equal(pci_vfio.claimed, 1);
}

static void claims_that_fail(void **state)
{
	(void)state;
	pci_vfio.open_err = -EACCES;
	assert_int_equal(scan("-a 01:00.0,mode=cdev --allow-noiommu"), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), -EACCES);
	assert_int_equal(probes, 0);
	assert_int_equal(pci_vfio.opts.modes, 1u << PLX_VFIO_CDEV);
	assert_true(pci_vfio.opts.allow_noiommu);
}

static void a_function_that_is_gone(void **state)
{
	(void)state;
	pci_vfio.read_err = -EIO;
	assert_int_equal(scan("-a 01:00.0"), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), -EIO);
	assert_int_equal(probes, 0);
	assert_int_equal(pci_vfio.claimed, 0);
}

static void no_driver_for_it(void **state)
{
	struct pci_sysfs_fn other = PCI_SYSFS_82574;

	(void)state;
	other.device = "0x1234\n";
	pci_sysfs_add("0000:03:00.0", &other);
	assert_int_equal(scan("-a 03:00.0"), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), -ENODEV);
	assert_non_null(strstr(pci_sysfs_last_error(), "8086:1234"));
	assert_string_equal(pci_vfio.trace, "");
}

static void put_ids(uint16_t vendor, uint16_t device)
{
	pci_vfio_put16(PCI_VENDOR_ID, vendor);
	pci_vfio_put16(PCI_DEVICE_ID, device);
	pci_vfio_put16(PCI_SUBSYSTEM_VENDOR_ID, 0x1af4);
	pci_vfio_put16(PCI_SUBSYSTEM_ID, 0x1100);
	pci_vfio_put32(PCI_CLASS_REVISION, 0x02000003);
}

/* What a process serves is known when it is claimed: once, for it serves one client at a time. */
static void functions_of_processes(void **state)
{
	struct plx_pci *pci;

	(void)state;
	put_ids(0x8086, 0x10d3);
	assert_int_equal(scan("-a user:/run/b,lro=1 -a user:/run/a -a 02:00.0"), 0);
	/* Behind the addresses, as they were named. */
	assert_string_equal(plx_pci_at(bus, 1)->name, "0000:02:00.0");
	pci = plx_pci_at(bus, 2);
	assert_string_equal(pci->name, "user:/run/b");
	assert_string_equal(pci->args, "lro=1");
	assert_int_equal(pci->id.vendor, 0);
	assert_string_equal(plx_pci_at(bus, 3)->name, "user:/run/a");
	assert_string_equal(pci_vfio.trace, "");
	assert_int_equal(plx_pci_probe(bus, NULL), 3);
	assert_int_equal(pci->id.vendor, 0x8086);
	assert_int_equal(pci->id.device, 0x10d3);
	assert_int_equal(pci->id.subvendor, 0x1af4);
	assert_int_equal(pci->id.subdevice, 0x1100);
	assert_int_equal(pci->id.class_code, 0x020000);
	assert_ptr_equal(pci->driver, &driver);
}

static void no_driver_for_a_process(void **state)
{
	(void)state;
	put_ids(0x8086, 0x1234);
	assert_int_equal(scan("-a user:/run/a"), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), -ENODEV);
	assert_non_null(strstr(pci_sysfs_last_error(), "8086:1234 (class 020000)"));
	assert_int_equal(pci_vfio.claimed, 0);
}

/* Some driver reads the key, but what is there is another's. */
static void keys_of_a_process(void **state)
{
	(void)state;
	put_ids(0x8086, 0x10d3);
	assert_int_equal(scan("-a user:/run/a,depth=1"), 0);
	assert_int_equal(plx_pci_probe(bus, NULL), -EINVAL);
	assert_non_null(strstr(pci_sysfs_last_error(), "key 'depth' is known neither"));
	assert_int_equal(probes, 0);
	assert_int_equal(pci_vfio.claimed, 0);
}

static void events_are_passed_on(void **state)
{
	struct plx_pci *pci;

	(void)state;
	pci_vfio.event_fd = 42;
	pci_vfio.event = PLX_VFIO_EVENT_REQUESTED;
	assert_int_equal(scan("-a 01:00.0"), 0);
	pci = plx_pci_at(bus, 0);
	assert_int_equal(plx_pci_event_fd(pci), -ENODEV);
	assert_int_equal(plx_pci_event(pci), PLX_VFIO_EVENT_NONE);
	assert_int_equal(plx_pci_probe(bus, NULL), 1);
	assert_int_equal(plx_pci_event_fd(pci), 42);
	assert_int_equal(plx_pci_event(pci), PLX_VFIO_EVENT_REQUESTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(probes_and_removes_in_reverse, setup, teardown),
		cmocka_unit_test_setup_teardown(lets_go_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_driver_that_fails_keeps_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(unnamed_failures_are_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(named_failures_end_it, setup, teardown),
		cmocka_unit_test_setup_teardown(claims_that_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(a_function_that_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(no_driver_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(functions_of_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(no_driver_for_a_process, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_of_a_process, setup, teardown),
		cmocka_unit_test_setup_teardown(events_are_passed_on, setup, teardown),
	};

	return cmocka_run_group_tests_name("pci_probe", tests, NULL, NULL);
}
