/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding functions in sysfs, choosing those to use, and matching drivers to them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <pollux/mem.h>

#include "bus.h"
#include "pci_sysfs.h"
#include "pci_vfio.h"

static const struct plx_pci_id e1000_ids[] = { PLX_PCI_ID(0x8086, 0x10d3),
					       {
						       .vendor = 0x8086,
						       .device = 0x1521,
						       .subvendor = 0x1028,
						       .subdevice = 0x00ff,
					       },
					       { 0 } };
static const struct plx_pci_id nvme_ids[] = { PLX_PCI_CLASS(0x010802, 0xffffff), { 0 } };
static const char *const e1000_keys[] = { "depth", "x", NULL };
static const char *const nvme_keys[] = { "sgl", NULL };
static struct plx_pci_driver e1000 = { .name = "e1000", .ids = e1000_ids, .keys = e1000_keys };
static struct plx_pci_driver nvme = { .name = "nvme", .ids = nvme_ids, .keys = nvme_keys };

static const struct pci_sysfs_fn nic = PCI_SYSFS_82574;

static struct plx_pci_bus *bus;

/* Scans with the options written as one string. */
static int scan(const char *line)
{
	static char copy[256];
	char *argv[16] = { NULL }, *word, *rest;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	argv[0] = copy + strlen(copy);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	plx_pci_cleanup(bus);
	bus = NULL;
	return plx_pci_scan(&argc, argv, &bus);
}

static struct pci_fn *at(unsigned index)
{
	struct plx_pci *pci = plx_pci_at(bus, index);

	assert_non_null(pci);
	return pci_fn(pci);
}

static int setup(void **state)
{
	pci_vfio_init();
	return pci_sysfs_setup(state);
}

static int teardown(void **state)
{
	plx_pci_cleanup(bus);
	bus = NULL;
	return pci_sysfs_left() ? -1 : pci_sysfs_teardown(state);
}

static void sorted_by_address(void **state)
{
	static const char *const names[] = { "0000:01:00.1", "10000:00:00.0", "0000:00:1f.0",
					     "0001:00:00.0", "0000:01:00.0" };
	static const char *const sorted[] = { "0000:00:1f.0", "0000:01:00.0", "0000:01:00.1",
					      "0001:00:00.0", "10000:00:00.0" };
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++)
		pci_sysfs_add(names[i], &nic);
	assert_int_equal(scan(""), 0);
	for (i = 0; i < 5; i++)
		assert_string_equal(at(i)->pci.name, sorted[i]);
	assert_null(plx_pci_at(bus, 5));
	assert_null(plx_pci_at(bus, UINT_MAX));
}

static void reads_attributes(void **state)
{
	struct pci_sysfs_fn fn = { "0x144d\n",	 "0xa80a\n", "0x1028\n", "0x2199\n",
				   "0x010802\n", "1\n",	     "nvme",	 0 };
	const struct plx_pci *pci;

	(void)state;
	pci_sysfs_add("0000:03:00.0", &fn);
	assert_int_equal(scan(""), 0);
	pci = &at(0)->pci;
	assert_int_equal(pci->id.vendor, 0x144d);
	assert_int_equal(pci->id.device, 0xa80a);
	assert_int_equal(pci->id.subvendor, 0x1028);
	assert_int_equal(pci->id.subdevice, 0x2199);
	assert_int_equal(pci->id.class_code, 0x010802);
	assert_int_equal(pci->node, 1);
	assert_string_equal(pci->args, "");
	assert_null(pci->vfio);
	assert_null(pci->driver);
}

static void numa_node_is_optional(void **state)
{
	static const char *const odd[] = {
		"-1\n", "-2\n", "\n", "two\n", "99999999999\n", NULL, "1 \nmore than there is room"
	};
	unsigned i;

	(void)state;
	pci_sysfs_add("0000:01:00.0", &nic);
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		pci_sysfs_set("0000:01:00.0", "numa_node", odd[i]);
		assert_int_equal(scan(""), 0);
		assert_int_equal(at(0)->pci.node, PLX_NODE_ANY);
	}
}

static void odd_entries_are_passed_over(void **state)
{
	static const char *const attrs[] = { "vendor", "device", "subsystem_vendor",
					     "subsystem_device", "class" };
	static const char *const odd[] = { NULL,	  "\n",		  "",	  "x\n",
					   "0x\n",	  "0x10000000\n", "-1\n", "0x8086 \n",
					   "0x8086\n0\n", "0x80 86\n" };
	static const char *const ids[] = { "0x8086\n", "0x10d3\n", "0x8086\n", "0x0000\n",
					   "0x020000\n" };
	unsigned i, j;

	(void)state;
	pci_sysfs_add("nonsense", &nic);
	pci_sysfs_add("0000:01:00.8", &nic);
	pci_sysfs_add("01:00.0", &nic);
	pci_sysfs_add("0000:01:00.0", &nic);
	for (i = 0; i < 5; i++) {
		for (j = 0; j < sizeof(odd) / sizeof(odd[0]); j++) {
			pci_sysfs_set("0000:01:00.0", attrs[i], odd[j]);
			assert_int_equal(scan(""), 0);
			if (plx_pci_at(bus, 0))
				fail_msg("%s '%s' was accepted", attrs[i],
					 odd[j] ? odd[j] : "none");
		}
		pci_sysfs_set("0000:01:00.0", attrs[i], ids[i]);
	}
	/* The largest that fits, and the smallest that doesn't. */
	pci_sysfs_set("0000:01:00.0", "device", "0xffff\n");
	assert_int_equal(scan(""), 0);
	assert_non_null(plx_pci_at(bus, 0));
	assert_null(plx_pci_at(bus, 1));
	pci_sysfs_set("0000:01:00.0", "device", "0x10000\n");
	assert_int_equal(scan(""), 0);
	assert_null(plx_pci_at(bus, 0));
}

static void matches_ids_and_classes(void **state)
{
	struct plx_pci pci = { .id = { 0x8086, 0x10d3, 0x8086, 0, 0x020000, 0 } };

	(void)state;
	assert_ptr_equal(plx_pci_match(&pci), &e1000);
	pci.id.subvendor = 0x1234;
	assert_ptr_equal(plx_pci_match(&pci), &e1000);
	pci.id.device = 0x10d4;
	assert_null(plx_pci_match(&pci));
	pci.id = (struct plx_pci_id){ 0x8086, 0x1521, 0x1028, 0x00ff, 0x020000, 0 };
	assert_ptr_equal(plx_pci_match(&pci), &e1000);
	pci.id.subdevice = 0x00fe;
	assert_null(plx_pci_match(&pci));
	pci.id = (struct plx_pci_id){ 0x144d, 0xa80a, 0, 0, 0x010802, 0 };
	assert_ptr_equal(plx_pci_match(&pci), &nvme);
	pci.id.class_code = 0x010803;
	assert_null(plx_pci_match(&pci));
	pci.id.vendor = 0;
	assert_null(plx_pci_match(&pci));
}

static void class_mask_leaves_bits_out(void **state)
{
	static const struct plx_pci_id ids[] = { PLX_PCI_CLASS(0x0c0300, 0xffff00), { 0 } };
	static struct plx_pci_driver usb = { .name = "usb", .ids = ids };
	static bool done;
	struct plx_pci pci = { .id = { 0x1234, 1, 0, 0, 0x0c0330, 0 } };

	(void)state;
	if (!done)
		plx_pci_register(&usb);
	done = true;
	assert_ptr_equal(plx_pci_match(&pci), &usb);
	pci.id.class_code = 0x0c0400;
	assert_null(plx_pci_match(&pci));
}

static void uses_what_vfio_holds(void **state)
{
	struct pci_sysfs_fn fn = nic;
	unsigned i;

	(void)state;
	pci_sysfs_add("0000:01:00.0", &fn); /* vfio-pci with a vfio-dev folder */
	fn.vfio_dev = 0;
	pci_sysfs_add("0000:02:00.0", &fn); /* vfio-pci of a kernel without them */
	fn.driver = "a-variant-driver";
	pci_sysfs_add("0000:03:00.0", &fn);
	fn.vfio_dev = 1;
	pci_sysfs_add("0000:04:00.0", &fn);
	fn.driver = NULL;
	fn.vfio_dev = 0;
	pci_sysfs_add("0000:05:00.0", &fn);
	fn.driver = "mlx5_vfio_pci"; /* a variant driver, and a kernel without vfio-dev */
	pci_sysfs_add("0000:05:00.1", &fn);
	fn = nic;
	fn.device = "0x1234\n"; /* no driver of ours */
	pci_sysfs_add("0000:06:00.0", &fn);

	assert_int_equal(scan(""), 0);
	for (i = 0; i < 7; i++)
		assert_int_equal(at(i)->in_use, i == 0 || i == 1 || i == 3 || i == 5);
	assert_false(at(0)->named);

	assert_int_equal(scan("-b 01:00.0 -b 07:00.0"), 0);
	for (i = 0; i < 7; i++)
		assert_int_equal(at(i)->in_use, i == 1 || i == 3 || i == 5);

	assert_int_equal(scan("-a 05:00.0 -a 06:00.0"), 0);
	for (i = 0; i < 7; i++) {
		assert_int_equal(at(i)->in_use, i == 4 || i == 6);
		assert_int_equal(at(i)->named, i == 4 || i == 6);
	}
}

static void options_reach_the_functions(void **state)
{
	struct plx_policy policy;

	(void)state;
	pci_sysfs_add("0000:01:00.0", &nic);
	pci_sysfs_add("0000:02:00.0", &nic);
	assert_int_equal(scan("--vfio-mode cdev,type1 -a 01:00.0,mode=noiommu,depth=3 -a 02:00.0 "
			      "--allow-noiommu --vfio-vf-token "
			      "01234567-89ab-cdef-0123-456789abcdef"),
			 0);
	assert_int_equal(at(0)->opts.modes, 1u << PLX_VFIO_NOIOMMU);
	assert_string_equal(at(0)->pci.args, "depth=3");
	assert_int_equal(at(1)->opts.modes, 1u << PLX_VFIO_CDEV | 1u << PLX_VFIO_TYPE1);
	assert_string_equal(at(1)->pci.args, "");
	assert_true(at(0)->opts.allow_noiommu);
	assert_string_equal(at(1)->opts.vf_token, "01234567-89ab-cdef-0123-456789abcdef");
	assert_int_equal(at(1)->opts.cdev_fd, -1);
	assert_int_equal(plx_pci_policy(bus, &policy), 0);
	assert_int_equal(pci_vfio.candidates, 2);

	assert_int_equal(scan("-b 01:00.0"), 0);
	assert_null(at(1)->opts.vf_token);
	assert_int_equal(at(1)->opts.modes, PLX_VFIO_ALL_MODES);
	assert_false(at(1)->opts.allow_noiommu);
	assert_int_equal(plx_pci_policy(bus, &policy), 0);
	assert_int_equal(pci_vfio.candidates, 1);
}

/* --iova: the other of those that an IOMMU translates, never in place of physical addresses. */
static void the_user_has_a_say_in_the_policy(void **state)
{
	struct plx_policy policy;

	(void)state;
	pci_sysfs_add("0000:01:00.0", &nic);
	assert_int_equal(scan("--iova=alloc"), 0);
	assert_int_equal(plx_pci_policy(bus, &policy), 0);
	assert_int_equal(policy.addr, PLX_ADDR_ALLOC);
	assert_string_equal(policy.reason, "--iova says so");
	assert_int_equal(scan("--iova va"), 0);
	assert_int_equal(plx_pci_policy(bus, &policy), 0);
	assert_int_equal(policy.addr, PLX_ADDR_VA);
	assert_string_equal(policy.reason, "the test says so");
	pci_vfio.policy = PLX_ADDR_ALLOC;
	assert_int_equal(plx_pci_policy(bus, &policy), 0);
	assert_int_equal(policy.addr, PLX_ADDR_VA);
	pci_vfio.policy = PLX_ADDR_PA;
	assert_int_equal(pci_sysfs_errors(), 0);
	assert_int_equal(plx_pci_policy(bus, &policy), -EINVAL);
	assert_string_equal(pci_sysfs_last_error(), "--iova=va can't be: the test says so");
	assert_int_equal(scan(""), 0);
	assert_int_equal(plx_pci_policy(bus, &policy), 0);
	assert_int_equal(policy.addr, PLX_ADDR_PA);
}

static void named_but_missing(void **state)
{
	(void)state;
	pci_sysfs_add("0000:01:00.0", &nic);
	assert_int_equal(scan("-a 01:00.0 -a 02:00.0"), -ENODEV);
	assert_int_equal(pci_sysfs_errors(), 1);
	assert_non_null(strstr(pci_sysfs_last_error(), "0000:02:00.0"));
	assert_int_equal(scan("-a 01:00.0,mode=x"), -EINVAL);
	assert_int_equal(pci_sysfs_left(), 0);
}

/* A key that nobody reads, say mod= for mode=, would be taken silently. */
static void keys_are_somebodys(void **state)
{
	struct pci_sysfs_fn fn = nic;

	(void)state;
	pci_sysfs_add("0000:01:00.0", &fn);
	fn.device = "0x1234\n"; /* no driver of ours */
	pci_sysfs_add("0000:02:00.0", &fn);
	assert_int_equal(scan("-a 01:00.0,depth=1,mode=cdev,x="), 0);
	assert_int_equal(scan("-a 02:00.0,depth=1,sgl=off"), 0);
	assert_int_equal(scan("-a user:/run/a,depth=1,sgl=off"), 0);
	assert_int_equal(pci_sysfs_errors(), 0);

	assert_int_equal(scan("-a 01:00.0,depth=1,mod=type1"), -EINVAL);
	assert_string_equal(pci_sysfs_last_error(),
			    "-a 0000:01:00.0: key 'mod' is known neither to the bus nor to driver "
			    "e1000");
	assert_int_equal(scan("-a 01:00.0,sgl=off"), -EINVAL);
	assert_int_equal(scan("-a 01:00.0,dept=1"), -EINVAL);
	assert_int_equal(scan("-a 01:00.0,depths=1"), -EINVAL);
	assert_int_equal(scan("-a 02:00.0,mod=type1"), -EINVAL);
	assert_non_null(strstr(pci_sysfs_last_error(), "nor to any driver"));
	assert_int_equal(scan("-a user:/run/a,mod=type1"), -EINVAL);
	assert_int_equal(pci_sysfs_errors(), 6);
}

/* Every call of a scan fails in turn: it says so or goes on without, and leaves nothing behind. */
static void every_call_fails(void **state)
{
	static const int errs[] = { ENOMEM, EMFILE, ENOENT, EIO, EACCES };
	const char *line = "-a 01:00.0,x=1 -a 02:00.0";
	unsigned i, nth, calls;
	int err;

	(void)state;
	pci_sysfs_add("0000:01:00.0", &nic);
	pci_sysfs_add("0000:02:00.0", &nic);
	pci_sysfs_fail(0, 0);
	assert_int_equal(scan(line), 0);
	calls = pci_sysfs_calls();
	assert_true(calls > 20);
	for (i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		for (nth = 1; nth <= calls; nth++) {
			plx_pci_cleanup(bus);
			bus = NULL;
			pci_sysfs_fail(nth, errs[i]);
			err = scan(line);
			assert_true(err <= 0);
			if (err)
				assert_int_equal(pci_sysfs_left(), 0);
			/* Trouble of our own is never taken for a function that isn't there. */
			if (err && (errs[i] == ENOMEM || errs[i] == EMFILE))
				assert_true(err == -errs[i] || err == -ENOMEM);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sorted_by_address, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(numa_node_is_optional, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_entries_are_passed_over, setup, teardown),
		cmocka_unit_test(matches_ids_and_classes),
		cmocka_unit_test(class_mask_leaves_bits_out),
		cmocka_unit_test_setup_teardown(uses_what_vfio_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(options_reach_the_functions, setup, teardown),
		cmocka_unit_test_setup_teardown(the_user_has_a_say_in_the_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(named_but_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_are_somebodys, setup, teardown),
		cmocka_unit_test_setup_teardown(every_call_fails, setup, teardown),
	};

	plx_pci_register(&e1000);
	plx_pci_register(&nvme);
	return cmocka_run_group_tests_name("pci_scan", tests, NULL, NULL);
}
