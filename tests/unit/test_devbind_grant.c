/* SPDX-License-Identifier: BSD-3-Clause */
/* Giving nodes to users and groups: the right ones, all or none, and nobody's taken away. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devbind_machine.h"

#define RULE "/etc/udev/rules.d/70-plx-devbind-" NIC0 ".rules"

static void assert_node(const char *path, unsigned uid, unsigned gid, unsigned mode)
{
	struct stat st;

	pci_sysfs_stat(path, &st);
	if (st.st_uid != uid || st.st_gid != gid || (st.st_mode & 07777) != mode)
		fail_msg("%s: %u:%u %04o, wanted %u:%u %04o", path, st.st_uid, st.st_gid,
			 st.st_mode & 07777, uid, gid, mode);
}

static int setup(void **state)
{
	int ret = machine_setup(state);

	machine_node("/dev/vfio/vfio");
	machine_node("/dev/iommu");
	machine_node("/dev/hugepages/x");
	pci_sysfs_file("/proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n");
	machine_give_to_vfio(NIC0, "vfio0");
	machine_give_to_vfio(NIC1, "vfio1");
	return ret;
}

/* Only root may give files away. */
static bool not_root(void)
{
	if (!geteuid())
		return false;
	print_message("# skipped: chown takes root\n");
	return true;
}

static void to_a_user(void **state)
{
	(void)state;
	if (not_root())
		skip();
	machine_report(EXIT_DONE, "grant", "1234", NIC0, NULL);
	assert_node("/dev/vfio/10", 1234, 0, 0600);
	assert_node("/dev/vfio/devices/vfio0", 1234, 0, 0600);
	assert_node("/dev/iommu", 1234, 0, 0600);
	assert_node("/dev/hugepages", 1234, 0, 0700);
	/* Not the other device's. */
	assert_node("/dev/vfio/11", 0, 0, 0600);
	assert_node("/dev/vfio/devices/vfio1", 0, 0, 0600);
}

static void to_a_group(void **state)
{
	(void)state;
	if (not_root())
		skip();
	machine_report(EXIT_DONE, "grant", ":4321", NIC0, NIC1, NULL);
	assert_node("/dev/vfio/10", 0, 4321, 0660);
	assert_node("/dev/vfio/devices/vfio1", 0, 4321, 0660);
	assert_node("/dev/hugepages", 0, 4321, 0770);
}

static void with_a_bind(void **state)
{
	(void)state;
	if (not_root())
		skip();
	machine_report(EXIT_USAGE, "-b", "vfio-pci", "-U", "nobody-of-that-name", NVME0, NULL);
	assert_string_equal(machine_driver(NVME0), "nvme");
	machine_node("/dev/vfio/12");
	machine_report(EXIT_DONE, "-b", "vfio-pci", "-U", "1234", "-G", "4321", NVME0, NULL);
	assert_node("/dev/vfio/12", 1234, 4321, 0660);
}

/* The driver and the nodes: both, or neither. */
static void all_or_nothing_with_a_bind(void **state)
{
	(void)state;
	machine_report(EXIT_USAGE, "-b", "e1000e", "-U", "1234", NVME0, NULL);
	assert_string_equal(machine_driver(NVME0), "nvme");
	if (not_root())
		skip();
	machine_node("/dev/vfio/12");
	machine_report(EXIT_DONE, "grant", "1234", NIC0, NULL);
	machine_report(EXIT_REFUSED, "-b", "vfio-pci", "-U", "1235", NVME0, NULL);
	assert_true(machine_said("/dev/iommu is owned by 1234:0, who would lose it"));
	assert_string_equal(machine_driver(NVME0), "nvme");
	assert_false(pci_sysfs_exists("/run/pollux/devbind/" NVME0));
}

/* Whichever call fails, what is there in the end is what the exit code says. */
static void bind_failing(void **state)
{
	unsigned nth, calls = 1;
	struct stat st;

	(void)state;
	if (not_root())
		skip();
	machine_node("/dev/vfio/12");
	for (nth = 0; nth <= calls; nth++) {
		enum exit_code code;

		pci_sysfs_fail(nth, EIO);
		code = machine_run("-b", "vfio-pci", "-U", "1234", NVME0, NULL);
		calls = nth ? calls : pci_sysfs_calls();
		pci_sysfs_fail(0, 0);
		pci_sysfs_stat("/dev/vfio/12", &st);
		if (strcmp(machine_driver(NVME0), code ? "nvme" : "vfio-pci") ||
		    st.st_uid != (code ? 0 : 1234)) {
			machine_said("(nothing)");
			fail_msg("call %u: exit code %d, the driver '%s', owner %u", nth, code,
				 machine_driver(NVME0), st.st_uid);
		}
		if (code == EXIT_DONE) {
			machine_report(EXIT_DONE, "grant", "--force", "0", NVME0, NULL);
			machine_report(EXIT_DONE, "restore", NULL);
		}
	}
}

static void somebody_elses(void **state)
{
	(void)state;
	if (not_root())
		skip();
	machine_report(EXIT_DONE, "grant", "1234", NIC0, NULL);
	machine_report(EXIT_REFUSED, "grant", "1235", NIC1, NULL);
	assert_true(machine_said("/dev/iommu is owned by 1234:0, who would lose it"));
	assert_node("/dev/vfio/11", 0, 0, 0600);
	machine_report(EXIT_DONE, "grant", "--force", "1235", NIC1, NULL);
	assert_node("/dev/iommu", 1235, 0, 0600);
}

static void not_ready(void **state)
{
	(void)state;
	machine_report(EXIT_FAILED, "grant", "1234", NVME0, NULL);
	assert_true(machine_said("bind it to vfio-pci first"));
	machine_report(EXIT_USAGE, "grant", "nobody-of-that-name", NIC0, NULL);
	machine_report(EXIT_USAGE, "grant", "1234", NULL);
}

static void persistent(void **state)
{
	(void)state;
	if (not_root())
		skip();
	machine_report(EXIT_DONE, "grant", "--persist", "1234", NIC0, NULL);
	/* Not another card's that is in the slot by then. */
	assert_non_null(strstr(pci_sysfs_text(RULE),
			       "KERNELS==\"" NIC0 "\", ATTRS{vendor}=="
			       "\"0x8086\", ATTRS{device}==\"0x10d3\", OWNER=\"1234\"\n"));
	assert_non_null(strstr(pci_sysfs_text(RULE), " = 0x8086.0x10d3'\", OWNER=\"1234\"\n"));
	pci_sysfs_file("/run/pollux/devbind/" NIC0,
		       "id 8086:10d3\ndriver e1000e\noverride -\npersisted -\n");
	machine_report(EXIT_DONE, "restore", NIC0, NULL);
	assert_false(pci_sysfs_exists(RULE));
}

static void every_call_failing(void **state)
{
	static const char *const nodes[] = { "/dev/vfio/10", "/dev/iommu", "/dev/hugepages" };
	unsigned nth, i, calls, failed = 0;
	struct stat st;

	(void)state;
	if (not_root())
		skip();
	pci_sysfs_fail(0, 0);
	machine_report(EXIT_DONE, "grant", "--persist", "0", NIC0, NULL);
	calls = pci_sysfs_calls();
	pci_sysfs_remove(RULE);
	for (nth = 1; nth <= calls; nth++) {
		enum exit_code code;

		pci_sysfs_fail(nth, EIO);
		code = machine_run("grant", "--persist", ":4321", NIC0, NULL);
		pci_sysfs_fail(0, 0);
		if (code == EXIT_DONE) {
			machine_report(EXIT_DONE, "grant", "--force", ":0", NIC0, NULL);
			pci_sysfs_remove(RULE);
			continue;
		}
		failed++;
		assert_false(pci_sysfs_exists(RULE));
		for (i = 0; i < 3; i++) {
			pci_sysfs_stat(nodes[i], &st);
			assert_int_equal(st.st_gid, 0);
		}
		assert_int_equal(code == EXIT_FAILED || code == EXIT_USAGE, true);
	}
	assert_true(failed > 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(to_a_user),	  TEST(to_a_group),
		TEST(with_a_bind),	  TEST(all_or_nothing_with_a_bind),
		TEST(bind_failing),	  TEST(somebody_elses),
		TEST(not_ready),	  TEST(persistent),
		TEST(every_call_failing),
	};

	return cmocka_run_group_tests_name("devbind_grant", tests, NULL, NULL);
}
