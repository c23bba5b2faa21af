/* SPDX-License-Identifier: BSD-3-Clause */
/* Each access mode explained: for a device by `why`, for the machine by `doctor`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "devbind_machine.h"

#define SWITCH	       "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define UNSAFE(module) "/sys/module/" module "/parameters/allow_unsafe_interrupts"
#define CONTAINER      "/dev/vfio/vfio"
#define IOMMUFD	       "/dev/iommu"

/* A kernel with everything. */
static void boot(void)
{
	pci_sysfs_file("/proc/sys/kernel/osrelease", "6.12.0\n");
	pci_sysfs_file("/boot/config-6.12.0",
		       "# configuration\nCONFIG_VFIO_PCI=y\nCONFIG_VFIO_GROUP=y\n"
		       "CONFIG_VFIO_CONTAINER=y\nCONFIG_VFIO_IOMMU_TYPE1=y\n"
		       "CONFIG_VFIO_DEVICE_CDEV=y\nCONFIG_IOMMUFD=y\nCONFIG_VFIO_NOIOMMU=y\n");
	pci_sysfs_file("/sys/class/iommu/dmar0/intel-iommu/ecap", "f00f5a\n");
	pci_sysfs_file("/proc/cmdline", "quiet intel_iommu=on root=/dev/vda hugepages=64\n");
	machine_node(CONTAINER);
	machine_node(IOMMUFD);
}

static void remove_groups(void)
{
	static const char *const devices[] = { "10/devices/" NIC0, "11/devices/" NIC1,
					       "11/devices/" NIC2, "12/devices/" NVME0 };
	static const char *const names[] = { "10/name", "11/name", "12/name" };
	char path[128];
	unsigned i;

	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s", devices[i]);
		pci_sysfs_remove(path);
	}
	/* VFIO's own stand for devices without an IOMMU. */
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s", names[i]);
		pci_sysfs_file(path, "vfio-noiommu\n");
	}
}

static void the_best_is_taken(void **state)
{
	(void)state;
	boot();
	machine_give_to_vfio(NIC0, "vfio0");
	machine_report(EXIT_DONE, "why", "01:00.0", NULL);
	machine_reports("cdev          taken\n");
	machine_reports("type1v2       possible\n");
	machine_reports("compat        possible\n");
	machine_reports("noiommu       refused: the device is behind an IOMMU");
}

static void a_node_is_missing(void **state)
{
	(void)state;
	boot();
	machine_give_to_vfio(NIC0, NULL);
	pci_sysfs_remove(IOMMUFD);
	machine_report(EXIT_DONE, "why", NIC0, NULL);
	machine_reports("cdev          refused: the device has no cdev: use a kernel with "
			"CONFIG_VFIO_DEVICE_CDEV");
	machine_reports("type1v2       taken");
	machine_reports("compat        refused: /dev/iommu does not exist");
}

static void permission(void **state)
{
	(void)state;
	boot();
	machine_give_to_vfio(NIC0, "vfio0");
	machine_deny(IOMMUFD);
	machine_report(EXIT_DONE, "why", NIC0, NULL);
	machine_reports("cdev          refused: /dev/iommu: permission denied for uid ");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("/dev/iommu: permission denied for uid ");
	machine_reports(" (mode 0600, owner ");
	machine_reports("-> plx-devbind grant USER DEVICE");
}

/* The kernel gives a device, and a group, to one process at a time. */
static void open_elsewhere(void **state)
{
	(void)state;
	boot();
	machine_give_to_vfio(NIC1, "vfio1");
	machine_give_to_vfio(NIC2, "vfio2");
	pci_sysfs_file("/proc/812/comm", "testpmd\n");
	pci_sysfs_link("/proc/812/fd/7", "/dev/vfio/11");
	machine_report(EXIT_FAILED, "why", NIC1, NULL);
	machine_reports("cdev          refused: /dev/vfio/11 is open in process 812 (testpmd)\n");
	machine_reports("type1v2       refused: /dev/vfio/11 is open in process 812 (testpmd)\n");
	machine_report(EXIT_FAILED, "why", "--json", NIC1, NULL);
	machine_reports("\"code\":\"busy\"");
	pci_sysfs_remove("/proc/812/fd/7");
	pci_sysfs_link("/proc/812/fd/7", "/dev/vfio/devices/vfio2");
	machine_report(EXIT_FAILED, "why", NIC1, NULL);
	machine_reports("type1v2       refused: /dev/vfio/devices/vfio2 is open in process 812");
	machine_give_to_vfio(NIC0, "vfio0");
	machine_report(EXIT_DONE, "why", NIC0, NULL);
	machine_reports("cdev          taken\n");
}

static void not_viable(void **state)
{
	(void)state;
	boot();
	machine_give_to_vfio(NIC1, "vfio1");
	machine_report(EXIT_FAILED, "why", NIC1, NULL);
	machine_reports("cdev          refused: group 11 is not viable: " NIC2 " is held by igb");
}

/* What all modes have in common, and what several of them lack, is said once. */
static void not_bound(void **state)
{
	(void)state;
	boot();
	pci_sysfs_remove(IOMMUFD);
	pci_sysfs_file("/boot/config-6.12.0", "#\nCONFIG_VFIO_PCI=y\n");
	machine_report(EXIT_FAILED, "why", NIC0, NULL);
	assert_string_equal(
		machine_output(), NIC0
		" '82574L Gigabit Network Connection 10d3' drv=e1000e\n"
		"  every access mode refused: bound to e1000e: bind it to vfio-pci\n"
		"    besides, for cdev: the kernel has no CONFIG_VFIO_DEVICE_CDEV\n"
		"      -> use a kernel with CONFIG_VFIO_DEVICE_CDEV\n"
		"    besides, for cdev, compat: there is no module iommufd\n"
		"      -> use a kernel with CONFIG_IOMMUFD\n"
		"    besides, for noiommu-cdev, noiommu: devices behind the IOMMU can't be had without it\n"
		"      -> nothing: the modes above are better\n"
		"    nothing else is in the way of type1v2, type1\n");
	machine_report(EXIT_FAILED, "why", "--json", NIC0, NULL);
	machine_reports("\"what\":\"the kernel has no CONFIG_VFIO_DEVICE_CDEV\"");
	/* What would be in the way of binding it, too. */
	machine_interface(NIC0, "eth0", 3);
	machine_address(3, "192.0.2.7", 24);
	pci_sysfs_file("/boot/config-6.12.0", "#\n");
	machine_report(EXIT_FAILED, "why", NIC0, NULL);
	machine_reports("drv=e1000e\n  in use: eth0 has the address 192.0.2.7/24\n  every ");
	machine_report(EXIT_FAILED, "why", "--json", NIC0, NULL);
	machine_reports("\"uses\":[\n      \"eth0 has the address 192.0.2.7/24\"");
}

static void for_no_mode(void **state)
{
	(void)state;
	boot();
	remove_groups();
	pci_sysfs_file("/boot/config-6.12.0", "#\n");
	/* What all lack. */
	machine_report(EXIT_DONE, "unbind", NIC0, NULL);
	machine_report(EXIT_FAILED, "why", NIC0, NULL);
	machine_reports("10d3'\n  every access mode refused: bound to no driver: bind it");
	machine_reports("    besides, for all: there is no module vfio_pci\n");
	machine_reports("    besides, for cdev, type1v2, type1, compat: there is no IOMMU");
	machine_reports_no("nothing else");
	machine_add("0000:00:01.0", "0x060400\n", "pcieport", 9);
	machine_report(EXIT_FAILED, "why", "00:01.0", NULL);
	machine_reports("  every access mode refused: it is a bridge (");
	machine_reports_no("besides");
	machine_reports_no("nothing else");
}

static void memory(void **state)
{
	(void)state;
	boot();
	machine_give_to_vfio(NIC0, "vfio0");
	machine_memlock(8 << 20);
	machine_report(EXIT_DONE, "why", NIC0, "--memory=8M", NULL);
	machine_report(EXIT_FAILED, "why", NIC0, "--memory=1G", NULL);
	machine_reports("cdev          refused: the memlock limit is 8 MiB (ulimit -l), 1 GiB");
	/* CAP_IPC_LOCK is bit 14. */
	pci_sysfs_file("/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
	machine_report(EXIT_DONE, "why", NIC0, "--memory=1G", NULL);
	machine_report(EXIT_USAGE, "why", NIC0, "--memory=much", NULL);
	machine_report(EXIT_USAGE, "why", NIC0, "--memory=-1", NULL);
	machine_report(EXIT_USAGE, "why", NIC0, "--memory=99999999999T", NULL);
}

static void why_as_json(void **state)
{
	struct json_object *report, *dev, *modes, *mode;

	(void)state;
	boot();
	machine_give_to_vfio(NIC1, "vfio1");
	machine_report(EXIT_FAILED, "why", "--json", NIC1, NULL);
	report = json_tokener_parse(machine_output());
	dev = json_object_array_get_idx(report, 0);
	modes = json_object_object_get(dev, "modes");
	assert_int_equal(json_object_array_length(modes), 6);
	mode = json_object_array_get_idx(modes, 0);
	assert_string_equal(json_object_get_string(json_object_object_get(mode, "mode")), "cdev");
	assert_string_equal(json_object_get_string(json_object_object_get(mode, "code")), "group");
	json_object_put(report);
}

static void a_machine_with_everything(void **state)
{
	(void)state;
	boot();
	pci_sysfs_file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n");
	pci_sysfs_file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "60\n");
	pci_sysfs_file("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "0\n");
	pci_sysfs_file("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages",
		       "64\n");
	pci_sysfs_file("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
		       "60\n");
	pci_sysfs_file("/proc/mounts", "proc /proc proc rw 0 0\n"
				       "hugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n");
	pci_sysfs_file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	machine_memlock(128 << 20);
	machine_give_to_vfio(NIC0, "vfio0");
	machine_give_to_vfio(NIC1, "vfio10");
	machine_give_to_vfio(NVME0, "vfio9");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("boot options   intel_iommu=on hugepages=64\n");
	machine_reports("IOMMU          Intel VT-d (dmar0), 3 groups\n");
	machine_reports("lockdown       integrity\n");
	machine_reports("60 of 64 free, pages of 2 MiB, node 0\n");
	machine_reports("/dev/hugepages (pagesize=2M)");
	machine_reports("memlock        128 MiB\n");
	machine_reports("open files     ");
	machine_reports("nodes          /dev/vfio/vfio          mode 0600, owner ");
	machine_reports("               /dev/iommu              mode 0600, owner ");
	machine_reports("               /dev/vfio/10            mode 0600, owner ");
	assert_true(strstr(machine_output(), "devices/vfio9 ") <
		    strstr(machine_output(), "devices/vfio10 "));
	machine_reports("  cdev: has all it needs\n");
	machine_reports("  compat: has all it needs\n");
	machine_reports(
		"  noiommu\n    devices behind the IOMMU can't be had without it\n      -> ");
	machine_report(EXIT_DONE, "doctor", "--json", NULL);
	machine_reports("\"VFIO_DEVICE_CDEV\":\"y\"");
	machine_reports("\"memlock\":134217728,");
	machine_reports("\"/dev/vfio/devices/vfio0\":{");
	machine_report(EXIT_USAGE, "doctor", NIC0, NULL);
	/* All hugepages are more than may be pinned. */
	machine_memlock(8 << 20);
	machine_report(EXIT_FAILED, "doctor", NULL);
	machine_reports("the memlock limit is 8 MiB (ulimit -l), 128 MiB are to be mapped\n"
			"      -> echo 'USER - memlock unlimited' > /etc/security/limits.d/");
	machine_reports("\nno access mode of PCI devices has all that it needs\n");
	machine_report(EXIT_DONE, "doctor", "--memory=8M", NULL);
	machine_reports_no("no access mode");
	/* CAP_IPC_LOCK. */
	pci_sysfs_file("/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("memlock        8 MiB, which does not hold for CAP_IPC_LOCK\n");
}

static void without_memory(void **state)
{
	(void)state;
	boot();
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("hugepages      none\n");
	machine_reports(
		"not mounted\n               -> mkdir -p /dev/hugepages; mount -t hugetlbfs");
	pci_sysfs_file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	pci_sysfs_file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
	pci_sysfs_file("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "0\n");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("0 of 0 free, pages of 2 MiB\n               -> sysctl vm.nr_hugepages=");
	machine_reports("memlock        no limit\n");
}

static void without_iommu(void **state)
{
	static const struct {
		const char *name, *what, *remedy;
	} tables[] = {
		{ "DMAR", "the IOMMU (Intel VT-d) is off", "-> boot with intel_iommu=on\n" },
		{ "IVRS", "the IOMMU (AMD-Vi) is off", "-> boot without amd_iommu=off and" },
		{ "VIOT", "the IOMMU (virtio-iommu) has no driver", "-> modprobe virtio_iommu" },
		{ "IORT", "the IOMMU (ARM SMMU) has no driver", "CONFIG_ARM_SMMU_V3" },
	};
	char path[64];
	unsigned i;

	(void)state;
	boot();
	remove_groups();
	machine_report(EXIT_FAILED, "doctor", NULL);
	machine_reports("there is no IOMMU, or the firmware keeps it off");
	machine_reports("the unsafe no-IOMMU mode is off");
	/* A kernel that can't have it isn't told to turn it on. */
	pci_sysfs_file("/boot/config-6.12.0", "#\nCONFIG_VFIO_PCI=y\n");
	machine_report(EXIT_FAILED, "doctor", NULL);
	machine_reports("the kernel has no CONFIG_VFIO_NOIOMMU");
	machine_reports_no("the unsafe no-IOMMU mode is off");
	boot();
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		snprintf(path, sizeof(path), "/sys/firmware/acpi/tables/%s", tables[i].name);
		pci_sysfs_file(path, "");
		machine_report(EXIT_FAILED, "doctor", NULL);
		machine_reports(tables[i].what);
		machine_reports(tables[i].remedy);
		pci_sysfs_remove(path);
	}
	pci_sysfs_file(SWITCH, "Y\n");
	machine_report(EXIT_FAILED, "doctor", NULL);
	machine_reports("no CAP_SYS_RAWIO");
	/* Bit 17. */
	pci_sysfs_file("/proc/self/status", "Name:\tx\nCapEff:\t0000000000020000\n");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("noiommu: has all it needs");
	machine_reports("the kernel has no CONFIG_IOMMUFD_NOIOMMU");
}

static void without_remapping(void **state)
{
	(void)state;
	boot();
	pci_sysfs_file("/sys/class/iommu/dmar0/intel-iommu/ecap", "f00f52\n");
	machine_report(EXIT_FAILED, "doctor", NULL);
	machine_reports("the IOMMU does not remap interrupts");
	machine_reports("-> boot with iommufd.allow_unsafe_interrupts=1");
	machine_reports("-> boot with vfio_iommu_type1.allow_unsafe_interrupts=1");
	/* The IOMMU can, and isn't used so. */
	pci_sysfs_file("/sys/class/iommu/dmar0/intel-iommu/ecap", "f00f5a\n");
	machine_report(EXIT_DONE, "doctor", NULL);
	pci_sysfs_file("/sys/kernel/irq/24/chip_name", "PCI-MSIX-0000:00:01.0\n");
	machine_report(EXIT_FAILED, "doctor", NULL);
	/* Put up with: by one, then by both. */
	pci_sysfs_file(UNSAFE("vfio_iommu_type1"), "Y\n");
	pci_sysfs_file(UNSAFE("iommufd"), "N\n");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("type1v2: has all it needs");
	machine_reports_no("cdev: has all it needs");
	machine_reports_no("boot with vfio_iommu_type1");
	pci_sysfs_file(UNSAFE("iommufd"), "Y\n");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("cdev: has all it needs");
	pci_sysfs_file(UNSAFE("iommufd"), "N\n");
	pci_sysfs_file("/sys/kernel/irq/25/chip_name", "IR-PCI-MSIX-0000:00:02.0\n");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("cdev: has all it needs");
}

/* It goes by its function's address. */
static void virtio_iommu(void **state)
{
	(void)state;
	boot();
	pci_sysfs_remove("/sys/class/iommu/dmar0/intel-iommu/ecap");
	machine_add("0000:00:01.0", "0x080600\n", "virtio-pci", -1);
	pci_sysfs_set("0000:00:01.0", "vendor", "0x1af4\n");
	pci_sysfs_set("0000:00:01.0", "device", "0x1057\n");
	pci_sysfs_file("/sys/class/iommu/0000:00:01.0/devices/" NIC0, "");
	pci_sysfs_file("/sys/bus/virtio/drivers/virtio_iommu/bind", "");
	machine_report(EXIT_DONE, "doctor", NULL);
	machine_reports("virtio_iommu (built in)");
	machine_reports_no("of a kind not known here");
}

static void without_modules(void **state)
{
	(void)state;
	boot();
	pci_sysfs_file("/boot/config-6.12.0", "#\nCONFIG_VFIO_DEVICE_CDEV=y\n");
	pci_sysfs_remove(IOMMUFD);
	machine_report(EXIT_FAILED, "doctor", NULL);
	machine_reports("there is no module vfio_pci");
	machine_reports("there is no module iommufd");
	machine_reports("-> use a kernel with CONFIG_IOMMUFD");
}

/* Nothing to read anywhere: unknown isn't the same as missing, and nothing breaks. */
static void an_empty_machine(void **state)
{
	(void)state;
	remove_groups();
	machine_report(EXIT_FAILED, "doctor", NULL);
	machine_reports("VFIO_PCI=?");
	machine_reports_no("the kernel has no CONFIG_");
}

static unsigned times(const char *part)
{
	const char *at = machine_output();
	unsigned count = 0;

	for (; (at = strstr(at, part)); at += strlen(part))
		count++;
	return count;
}

/* Whichever call fails: one mode is taken, or each says why not, or a line says what failed. */
static void every_call_failing(void **state)
{
	unsigned nth, calls, taken = 0, absent = 0;
	enum exit_code code;

	(void)state;
	boot();
	machine_give_to_vfio(NIC0, "vfio0");
	pci_sysfs_fail(0, 0);
	machine_report(EXIT_DONE, "why", NIC0, NULL);
	calls = pci_sysfs_calls();
	for (nth = 1; nth <= calls; nth++) {
		pci_sysfs_fail(nth, EIO);
		/* Nothing is left open: machine_run() looks. */
		code = machine_run("why", NIC0, NULL);
		if (code == EXIT_DONE) {
			assert_int_equal(times("  taken\n"), 1);
			taken++;
		} else if (code == EXIT_USAGE) {
			assert_true(machine_said("no device '" NIC0 "'"));
			absent++;
		} else if (times("  refused: ") != 6) {
			assert_true(machine_has_said("can't") ||
				    machine_has_said("out of memory") ||
				    machine_said("PCI scan stopped"));
		}
	}
	pci_sysfs_fail(0, 0);
	print_message("# %u calls: taken %u times, no device %u times\n", calls, taken, absent);
	assert_true(taken > calls / 2 && absent < calls / 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_best_is_taken),
		TEST(a_node_is_missing),
		TEST(permission),
		TEST(not_viable),
		TEST(not_bound),
		TEST(for_no_mode),
		TEST(memory),
		TEST(open_elsewhere),
		TEST(why_as_json),
		TEST(a_machine_with_everything),
		TEST(without_memory),
		TEST(without_iommu),
		TEST(without_remapping),
		TEST(without_modules),
		TEST(virtio_iommu),
		TEST(an_empty_machine),
		TEST(every_call_failing),
	};

	return cmocka_run_group_tests_name("devbind_why", tests, NULL, NULL);
}
