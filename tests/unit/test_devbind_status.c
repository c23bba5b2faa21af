/* SPDX-License-Identifier: BSD-3-Clause */
/* What plx-devbind says of a machine, and which devices a word names. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "devbind_machine.h"

/* The lines that scripts parse, to the letter. */
static void as_dpdk_devbind(void **state)
{
	(void)state;
	machine_interface(NIC0, "eth0", 3);
	machine_route(3, "0.0.0.0", 0);
	pci_sysfs_remove("/sys/bus/pci/devices/" NIC1 "/driver");
	pci_sysfs_link("/sys/bus/pci/devices/" NIC1 "/driver", "../../drivers/vfio-pci");
	pci_sysfs_remove("/sys/bus/pci/devices/" NIC2 "/driver");
	machine_report(EXIT_DONE, "-s", NULL);
	assert_string_equal(
		machine_output(),
		"\nNetwork devices using DPDK-compatible driver\n"
		"============================================\n"
		"0000:02:00.0 '82574L Gigabit Network Connection 10d3' drv=vfio-pci unused=e1000e\n"
		"\nNetwork devices using kernel driver\n"
		"===================================\n"
		"0000:01:00.0 '82574L Gigabit Network Connection 10d3' if=eth0 drv=e1000e "
		"unused=vfio-pci *Active*\n"
		"\nOther Network devices\n"
		"=====================\n"
		"0000:02:00.1 '82574L Gigabit Network Connection 10d3' unused=igb,vfio-pci\n"
		"\nNo 'Baseband' devices detected\n==============================\n"
		"\nNo 'Crypto' devices detected\n============================\n"
		"\nNo 'DMA' devices detected\n=========================\n"
		"\nNo 'Eventdev' devices detected\n==============================\n"
		"\nNo 'Mempool' devices detected\n=============================\n"
		"\nNo 'Compress' devices detected\n==============================\n"
		"\nNo 'Misc (rawdev)' devices detected\n===================================\n"
		"\nNo 'Regex' devices detected\n===========================\n");
	machine_report(EXIT_DONE, "--status-dev", "crypto", NULL);
	assert_string_equal(machine_output(),
			    "\nNo 'Crypto' devices detected\n============================\n");
	/* What isn't loaded it doesn't know of. */
	pci_sysfs_file("/lib/modules/igb_uio", "");
	machine_report(EXIT_DONE, "-s", NIC2, NULL);
	machine_reports("unused=igb,vfio-pci\n");
	machine_report(EXIT_DONE, "status", NIC2, NULL);
	machine_reports("unused=igb,vfio-pci,igb_uio\n");
	/* The command may be named all the same. */
	machine_report(EXIT_DONE, "status", "--status-dev=crypto", NULL);
	assert_string_equal(machine_output(),
			    "\nNo 'Crypto' devices detected\n============================\n");
	machine_report(EXIT_DONE, "bind", "-s", "vfio-pci", NIC2, NULL);
	assert_string_equal(machine_driver(NIC2), "vfio-pci");
	machine_report(EXIT_DONE, "status", "eth0", NULL);
	machine_reports("in use: eth0 carries the default route\n");
}

static void kinds(void **state)
{
	(void)state;
	machine_add("0000:04:00.0", "0x030000\n", "vga", -1);
	machine_report(EXIT_DONE, "status", NULL);
	machine_reports(NVME0);
	machine_reports_no("0000:04:00.0");
	machine_report(EXIT_DONE, "status", "--all", NULL);
	machine_reports("0000:04:00.0");
	machine_reports("Other devices held by the kernel");
	machine_report(EXIT_DONE, "--status-dev", "nvme", NULL);
	machine_reports(NVME0);
	machine_reports_no(NIC0);
	machine_report(EXIT_DONE, "status", "04:00.0", NULL);
	machine_reports("0000:04:00.0");
	machine_reports_no(NIC0);
}

static void group_members_are_named(void **state)
{
	(void)state;
	pci_sysfs_set(NIC1, "numa_node", "1\n");
	machine_report(EXIT_DONE, "status", NIC1, NULL);
	machine_reports("; NUMA node 1; IOMMU group 11 with 0000:02:00.1 (igb)");
	machine_report(EXIT_DONE, "status", NVME0, NULL);
	machine_reports_no("NUMA");
}

static void addresses_and_routes(void **state)
{
	(void)state;
	machine_interface(NIC0, "eth0", 3);
	machine_interface(NIC1, "eth1", 4);
	machine_address(3, "192.0.2.7", 24);
	machine_address(3, "2001:db8::7", 64);
	machine_route(3, "198.51.100.0", 24);
	machine_route(3, "203.0.113.0", 24);
	/* An interface that is up has these by itself. */
	machine_address(4, "fe80::1", 64);
	machine_route(4, "fe80::", 64);
	machine_route(4, "ff00::", 8);
	machine_report(EXIT_DONE, "status", "--json", "eth0", NULL);
	machine_reports("eth0 has the address 192.0.2.7/24");
	machine_reports("eth0 has the address 2001:db8::7/64");
	machine_reports("eth0 carries 2 routes");
	machine_report(EXIT_DONE, "status", "eth1", NULL);
	machine_reports_no("in use");
}

static void members_of_bridges(void **state)
{
	(void)state;
	machine_interface(NIC0, "eth0", 3);
	pci_sysfs_link("/sys/devices/pci0000:00/" NIC0 "/net/eth0/upper_br0",
		       "../../../../virtual/net/br0");
	machine_report(EXIT_DONE, "status", "eth0", NULL);
	machine_reports("eth0 is part of br0");
}

static void disks(void **state)
{
	(void)state;
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	machine_disk(NVME0, "nvme0n1p1", "nvme0n1", "259:1\n");
	machine_disk(NVME0, "nvme0n1p2", "nvme0n1", "259:2\n");
	machine_disk(NVME0, "nvme0n1p3", "nvme0n1", "259:3\n");
	pci_sysfs_file("/sys/devices/pci0000:00/" NVME0 "/nvme0n1/nvme0n1p3/holders/dm-0", "");
	pci_sysfs_file("/sys/devices/virtual/block/dm-0/dev", "254:0\n");
	pci_sysfs_file("/sys/devices/virtual/block/dm-0/dm/uuid", "LVM-abc\n");
	pci_sysfs_file("/sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
	pci_sysfs_link("/sys/class/block/dm-0", "../../devices/virtual/block/dm-0");
	pci_sysfs_file("/proc/self/mountinfo",
		       "22 1 254:0 / / rw shared:1 - ext4 /dev/mapper/vg-root rw\n"
		       "23 22 259:1 / /with\\040blank rw shared:2 - vfat /dev/nvme0n1p1 rw\n"
		       "24 22 0:45 / /srv rw - btrfs /dev/nvme0n1 rw\n"
		       "25 22 nonsense\n");
	pci_sysfs_file("/proc/swaps", "Filename Type Size Used Priority\n"
				      "/dev/nvme0n1p2 partition 1 0 -2\n/swapfile file 1 0 -3\n");
	machine_report(EXIT_DONE, "status", "nvme0n1", NULL);
	machine_reports("disks nvme0n1\n");
	machine_reports("nvme0n1p1 is mounted on /with blank");
	machine_reports("nvme0n1p2 is swap");
	machine_reports("nvme0n1p3 is held by dm-0 (LVM vg-root)");
	machine_reports("dm-0 is mounted on /\n");
	machine_reports("nvme0n1 is mounted on /srv");
	machine_report(EXIT_DONE, "status", "/dev/nvme0n1", NULL);
}

/* The disk hangs on the subsystem, and only a hidden way to it on the controller. */
static void disks_of_multipath(void **state)
{
	(void)state;
	machine_disk(NVME0, "nvme0c3n1", NULL, "259:9\n");
	pci_sysfs_file("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/dev", "259:0\n");
	pci_sysfs_file("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1/dev",
		       "259:1\n");
	pci_sysfs_link("/sys/class/block/nvme0n1",
		       "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
	pci_sysfs_link("/sys/class/block/nvme0n1p1",
		       "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1");
	pci_sysfs_file("/sys/class/block/nvme0n1p1/partition", "1\n");
	pci_sysfs_file("/proc/self/mountinfo", "22 1 259:1 / /boot rw - ext4 /dev/nvme0n1p1 rw\n");
	machine_report(EXIT_DONE, "status", "nvme0n1", NULL);
	machine_reports("nvme0n1p1 is mounted on /boot");
}

static void processes(void **state)
{
	(void)state;
	pci_sysfs_remove("/sys/bus/pci/devices/" NIC0 "/driver");
	pci_sysfs_link("/sys/bus/pci/devices/" NIC0 "/driver", "../../drivers/vfio-pci");
	pci_sysfs_link("/proc/812/fd/7", "/dev/vfio/10");
	pci_sysfs_link("/proc/812/fd/8", "/dev/vfio/11");
	pci_sysfs_file("/proc/812/comm", "plx-testpmd\n");
	machine_report(EXIT_DONE, "status", NIC0, NIC1, NULL);
	machine_reports("/dev/vfio/10 is open in process 812 (plx-testpmd)");
	/* e1000e has that group's device: the node says nothing about it. */
	machine_reports_no("/dev/vfio/11");
}

static void sriov(void **state)
{
	(void)state;
	pci_sysfs_set(NIC2, "sriov_totalvfs", "8\n");
	pci_sysfs_set(NIC2, "sriov_numvfs", "2\n");
	pci_sysfs_link("/sys/bus/pci/devices/" NIC1 "/physfn", "../" NIC2);
	machine_report(EXIT_DONE, "status", NIC1, NIC2, NULL);
	machine_reports("VF of " NIC2);
	machine_reports("PF, 2 of 8 VFs on");
}

/* sysfs is input: what makes no sense is left machine_output(), and doesn't get into a path. */
static void nonsense(void **state)
{
	(void)state;
	pci_sysfs_set(NIC0, "driver_override", "");
	pci_sysfs_set(NIC0, "sriov_numvfs", "many\n");
	pci_sysfs_link("/sys/bus/pci/devices/" NIC0 "/physfn", "../../../etc/passwd");
	pci_sysfs_set(NIC0, "modalias", NULL);
	pci_sysfs_link("/sys/class/net/evil", "../../devices/" NIC0 "x/net/evil");
	pci_sysfs_link("/sys/class/block/evil", "0000:01:00.0/evil");
	machine_report(EXIT_DONE, "status", "--all", NULL);
	machine_reports(NIC0);
	machine_reports_no("passwd");
}

static void words(void **state)
{
	(void)state;
	machine_report(EXIT_DONE, "status", "02:00.*", NULL);
	machine_reports(NIC1);
	machine_reports(NIC2);
	machine_reports_no(NIC0);
	assert_int_equal(machine_run("status", "eth9", NULL), EXIT_USAGE);
	assert_true(machine_said("no device 'eth9'"));
	assert_int_equal(machine_run("status", "../../etc", NULL), EXIT_USAGE);
}

static void json(void **state)
{
	struct json_object *report, *dev, *group, *members;

	(void)state;
	machine_report(EXIT_DONE, "status", "--json", NIC1, NULL);
	report = json_tokener_parse(machine_output());
	assert_int_equal(json_object_array_length(report), 1);
	dev = json_object_array_get_idx(report, 0);
	assert_string_equal(json_object_get_string(json_object_object_get(dev, "address")), NIC1);
	assert_string_equal(json_object_get_string(json_object_object_get(dev, "driver")),
			    "e1000e");
	group = json_object_object_get(dev, "iommu_group");
	assert_int_equal(json_object_get_int(json_object_object_get(group, "number")), 11);
	members = json_object_object_get(group, "members");
	assert_int_equal(json_object_array_length(members), 2);
	json_object_put(report);
}

/* How many of the machine's devices are in the report. */
static unsigned listed(void)
{
	static const char *const all[] = { NIC0, NIC1, NIC2, NVME0 };
	char line[32];
	unsigned i, count = 0;

	for (i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "\n%s '", all[i]);
		count += strstr(machine_output(), line) != NULL;
	}
	return count;
}

/*
 * Whatever can't be read: the report is there, and lacks one device at most, or a line says why it
 * isn't. Nothing is left open.
 */
static void every_call_failing(void **state)
{
	/* ENOENT: the device vanished between two looks. */
	static const int errs[] = { ENOENT, EACCES, ENOMEM };
	unsigned nth, i, calls, whole = 0, failed = 0, without = 0;

	(void)state;
	machine_interface(NIC0, "eth0", 3);
	machine_address(3, "192.0.2.7", 24);
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	pci_sysfs_fail(0, 0);
	machine_report(EXIT_DONE, "status", "--all", NULL);
	calls = pci_sysfs_calls();
	for (nth = 1; nth <= calls; nth++)
		for (i = 0; i < 3; i++) {
			enum exit_code code;

			pci_sysfs_fail(nth, errs[i]);
			code = machine_run("status", "--all", NULL);
			if (code == EXIT_DONE) {
				/* A machine without a PCI bus. */
				if (!listed())
					without++;
				else if (listed() < 3)
					fail_msg("call %u: %u listed", nth, listed());
				whole += listed() == 4;
				continue;
			}
			failed++;
			assert_int_equal(code, EXIT_FAILED);
			assert_true(machine_has_said("can't") ||
				    machine_has_said("out of memory") ||
				    machine_said("PCI scan stopped"));
			assert_int_equal(listed(), 0);
		}
	pci_sysfs_fail(0, 0);
	print_message("# %u calls: %u reports whole, %u failed\n", calls, whole, failed);
	assert_true(whole > calls && failed > 10 && without <= 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(as_dpdk_devbind),
		TEST(kinds),
		TEST(group_members_are_named),
		TEST(addresses_and_routes),
		TEST(members_of_bridges),
		TEST(disks),
		TEST(disks_of_multipath),
		TEST(processes),
		TEST(sriov),
		TEST(nonsense),
		TEST(words),
		TEST(json),
		TEST(every_call_failing),
	};

	return cmocka_run_group_tests_name("devbind_status", tests, NULL, NULL);
}
