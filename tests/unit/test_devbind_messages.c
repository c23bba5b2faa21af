/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What plx-devbind says when it can't do what it was told: every line that no other test looks for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devbind_machine.h"

#define RULE   "/etc/udev/rules.d/10-plx-devbind-" NIC0 ".rules"
#define SWITCH "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static void says(enum exit_code code, const char *part, const char *const words[5])
{
	enum exit_code found = machine_run(words[0], words[1], words[2], words[3], words[4], NULL);

	if (found != code || !machine_said(part))
		fail_msg("%s %s: exit code %d, wanted %d and: %s", words[0] ? words[0] : "",
			 words[0] && words[1] ? words[1] : "", found, code, part);
}

static void command_lines(void **state)
{
	static const struct {
		const char *words[5], *part;
	} cases[] = {
		{ { NULL }, "nothing to do: say what; see --help" },
		{ { "warp" }, "'warp' is no command; see --help" },
		{ { "--warp" }, "unknown or ambiguous option '--warp'" },
		{ { "--st" }, "unknown or ambiguous option '--st'" },
		{ { "status", "--memory" }, "option '--memory' wants a value" },
		{ { "status", "-b" }, "option '-b' wants a value" },
		{ { "-sb" }, "option '-b' wants a value" },
		{ { "-xs" }, "unknown option '-x'; see --help" },
		{ { "-sx" }, "unknown option '-x'; see --help" },
		{ { "status", "--json=yes" }, "option '--json' takes no value" },
		{ { "--status=yes" }, "option '--status' takes no value" },
		{ { "why", NIC0, "--memory=1X" }, "--memory=1X: a number of bytes, or one with" },
		{ { "why", NIC0, "--memory=1 " }, "--memory=1 : a number of bytes" },
		{ { "why", NIC0, "--memory=1@" }, "--memory=1@: a number of bytes" },
		{ { "why", NIC0, "--memory= 1" }, "--memory= 1: a number of bytes" },
		{ { "why", NIC0, "--memory=+5" }, "--memory=+5: a number of bytes" },
		{ { "why", NIC0, "--memory=" }, "--memory=: a number of bytes" },
		{ { "-b", "vfio-pci", "-u", NIC0 }, "-b and -u exclude each other" },
		{ { "--status-dev", "warp" }, "--status-dev=warp: there is no such kind" },
		{ { "bind" }, "bind wants a driver and devices; see --help" },
		{ { "bind", "vfio-pci" }, "bind wants a driver and devices; see --help" },
		{ { "unbind" }, "unbind wants devices; see --help" },
		{ { "why" }, "why wants devices; see --help" },
		{ { "grant", "0" }, "grant wants a user or a group, and devices" },
		{ { "broker", "0" }, "broker wants users, and devices" },
		{ { "doctor", NIC0 }, "doctor looks at the machine: '" NIC0 "' is for `why`" },
		{ { "bind", "a/b", NIC0 }, "'a/b' is no driver's name" },
		{ { "bind", NIC1, NIC0 }, "'" NIC1 "' is a device: name the driver before" },
		{ { "bind", "eth0", NIC0 }, "'eth0' is a device: name the driver before" },
		{ { "help", "warp" }, "'warp' is no command; see --help" },
		{ { "help", "bind", NIC0 }, "help is about one command at a time: '" NIC0 "' is" },
		{ { "unbind", "--persist", NIC0 }, "--persist doesn't go with unbind; see --help" },
		{ { "status", "--force" }, "--force doesn't go with status" },
		{ { "status", "-U", "root" }, "--uid doesn't go with status" },
		{ { "-u", "-G", "root", NIC0 }, "--gid doesn't go with unbind" },
		{ { "restore", "--whole-group" }, "--whole-group doesn't go with restore" },
		{ { "restore", "--persist" }, "--persist doesn't go with restore" },
		{ { "bind", "--json", "vfio-pci", NIC0 }, "--json doesn't go with bind" },
		{ { "unbind", "--noiommu-mode", NIC0 }, "--noiommu-mode doesn't go with unbind" },
		{ { "why", "--all", NIC0 }, "--all doesn't go with why" },
		{ { "doctor", "--allow-noiommu" }, "--allow-noiommu doesn't go with doctor" },
		{ { "grant", "--memory=1", "0", NIC0 }, "--memory doesn't go with grant" },
		{ { "broker", "--force", "0", NIC0 }, "--force doesn't go with broker" },
		{ { "bind", "--socket=/x", "vfio-pci", NIC0 }, "--socket doesn't go with bind" },
		{ { "-s", "--all" }, "--all doesn't go with dpdk-devbind.py's report" },
		{ { "bind", "vfio-pci", "eth9" }, "no device 'eth9': name a PCI address" },
		{ { "grant", "nobody-such", NIC0 }, "there is no user or group 'nobody-such'" },
		{ { "grant", ":nobody-such", NIC0 }, "there is no user or group ':nobody-such'" },
		{ { "-b", "vfio-pci", NIC0, "-Unobody-such" }, "there is no user 'nobody-such'" },
		{ { "-b", "vfio-pci", NIC0, "-Gnobody-such" }, "there is no group 'nobody-such'" },
		{ { "broker", "nobody-such", NIC0 }, "'nobody-such': there is no such user" },
		{ { "broker", "", NIC0 }, "broker wants users who may ask" },
		{ { "broker", "0,", "0000:0f:00.0" }, "no device '0000:0f:00.0'" },
	};
	unsigned i;

	(void)state;
	machine_interface(NIC1, "eth0", 3);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		says(EXIT_USAGE, cases[i].part, cases[i].words);
	assert_string_equal(machine_driver(NIC0), "e1000e");
}

static void drivers(void **state)
{
	(void)state;
	machine_report(EXIT_FAILED, "bind", "held", NIC0, NULL);
	assert_true(machine_said("the module held can't be loaded: Operation not permitted"));
	machine_report(EXIT_FAILED, "bind", "empty", NIC0, NULL);
	assert_true(machine_said("the module empty is loaded, but there is no PCI driver of that"));
	machine_report(EXIT_DONE, "unbind", NIC0, NULL);
	assert_true(machine_said(NIC0 ": e1000e -> no driver"));
	machine_report(EXIT_DONE, "unbind", NIC0, NULL);
	assert_true(machine_said(NIC0 " has no driver already"));
	machine_report(EXIT_DONE, "bind", "vfio-pci", NIC0, NULL);
	assert_true(machine_said(NIC0 ": no driver -> vfio-pci"));
	assert_string_equal(machine_driver(NIC0), "vfio-pci");
}

/* Also when it is forced, but then as a warning. */
static void uses(void **state)
{
	(void)state;
	machine_interface(NIC0, "eth0", 3);
	machine_route(3, "0.0.0.0", 0);
	machine_report(EXIT_REFUSED, "bind", "vfio-pci", NIC0, NULL);
	assert_true(machine_said("refused: nothing was changed; --force takes devices that are"));
	machine_report(EXIT_DONE, "bind", "--force", "vfio-pci", NIC0, NULL);
	assert_true(machine_said(NIC0 " is in use: eth0 carries the default route"));
	pci_sysfs_set(NIC1, "sriov_numvfs", "2\n");
	machine_report(EXIT_REFUSED, "unbind", NIC1, NULL);
	assert_true(machine_said("2 VFs of it are on: they go away with its driver"));
}

/* With one call failing, a command fails and says so; what it would change is as it was. */
static void says_at(const char *call, const char *path, int err, const char *part,
		    const char *const words[5])
{
	pci_sysfs_fail_at(call, path, 1, err);
	says(EXIT_FAILED, part, words);
	pci_sysfs_fail(0, 0);
	assert_string_equal(machine_driver(NIC0), "e1000e");
	assert_string_equal(machine_override(NIC0), "");
	assert_false(pci_sysfs_exists(RULE));
	assert_false(pci_sysfs_exists("/var/lib/pollux/devbind/" NIC0));
}

static void when_calls_fail(void **state)
{
	static const char override[] = "/sys/bus/pci/devices/" NIC0 "/driver_override",
			  unbind[] = "/sys/bus/pci/drivers/e1000e/unbind",
			  bind[] = "/sys/bus/pci/drivers/vfio-pci/bind",
			  lock[] = "/run/pollux/devbind.lock",
			  record[] = "/var/lib/pollux/devbind/" NIC0;
	static const struct {
		const char *call, *path, *part;
	} cases[] = {
		{ "open", lock, "devbind.lock: Input/output error" },
		{ "flock", lock, "devbind.lock: Input/output error" },
		{ "write", override, NIC0 "/driver_override can't be written: Input/output error" },
		{ "write", override, "nothing was changed: every device has the driver it had" },
		{ "write", unbind, NIC0 " can't be taken from e1000e: Input/output error" },
		{ "write", bind, "vfio-pci does not take " NIC0 ": Input/output error" },
		{ "write", bind, "nothing was changed: every device has the driver it had" },
		{ "mkdir", "/var/lib/pollux", "devbind/" NIC0 " can't be written: Input/output" },
		{ "rename", record, "devbind/" NIC0 " can't be written: Input/output error" },
		{ "rename", RULE, RULE " can't be written: Input/output error" },
		{ "rename", RULE, "nothing was changed: no driver was asked" },
	};
	static const char *const words[5] = { "bind", "--persist", "vfio-pci", NIC0 };
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		says_at(cases[i].call, cases[i].path, EIO, cases[i].part, words);
	says_at("open", lock, EACCES, "devbind.lock: Permission denied (it takes root)", words);
	/* What was remembered for nothing goes. */
	machine_refuse("vfio-pci");
	pci_sysfs_fail_at("unlink", "/run/pollux/devbind/" NIC0, 1, EIO);
	machine_report(EXIT_FAILED, "bind", "vfio-pci", NIC0, NULL);
	assert_true(machine_said("/run/pollux/devbind/" NIC0 " can't be removed: Input/output"));
}

/* Each of these is said as one or another allocation fails. */
static void assert_seen(const char *const parts[], unsigned count, const char *const words[5])
{
	unsigned nth, i, unseen = count, seen[8] = { 0 };

	assert_true(count <= 8);
	for (nth = 1; unseen && nth < 1000; nth++) {
		pci_sysfs_fail_at("alloc", NULL, nth, ENOMEM);
		machine_run(words[0], words[1], words[2], words[3], words[4], NULL);
		pci_sysfs_fail(0, 0);
		for (i = 0; i < count; i++)
			if (!seen[i] && machine_has_said(parts[i])) {
				seen[i] = 1;
				unseen--;
			}
	}
	for (i = 0; i < count; i++)
		if (!seen[i])
			fail_msg("%s: never said: %s", words[0], parts[i]);
}

static void without_memory(void **state)
{
	static const char *const bind[] = {
		"out of memory for a plan of changes",
		"out of memory for a list of devices",
		"can't read the machine's devices: Cannot allocate memory",
	};
	static const char *const doctor[] = {
		"can't look at the machine: Cannot allocate memory",
	};

	(void)state;
	assert_seen(bind, 3, (const char *const[5]){ "bind", "vfio-pci", NIC0 });
	pci_sysfs_file("/proc/cmdline", "quiet intel_iommu=on\n");
	assert_seen(doctor, 1, (const char *const[5]){ "doctor" });
}

/* The file of --persist is there and can't be kept. */
static void not_replaced(void **state)
{
	(void)state;
	pci_sysfs_file(RULE, "mine\n");
	pci_sysfs_fail_at("read", RULE, 1, EIO);
	machine_report(EXIT_FAILED, "bind", "--persist", "vfio-pci", NIC0, NULL);
	assert_true(machine_said(RULE " can't be read, so it is not replaced"));
	assert_string_equal(pci_sysfs_text(RULE), "mine");
	assert_string_equal(machine_driver(NIC0), "e1000e");
}

static void unsafe_mode(void **state)
{
	static const char nic[] = "0000:05:00.0", mark[] = "/run/pollux/devbind.noiommu";

	(void)state;
	machine_add(nic, "0x020000\n", "e1000e", -1);
	pci_sysfs_file(SWITCH, "N\n");
	pci_sysfs_fail_at("write", SWITCH, 1, EIO);
	machine_report(EXIT_FAILED, "bind", "--noiommu-mode", "vfio-pci", nic, NULL);
	assert_true(machine_said(SWITCH " can't be written: Input/output error"));
	assert_true(machine_said("nothing was changed: no driver was asked"));
	assert_false(pci_sysfs_exists(mark));
	pci_sysfs_fail_at("rename", mark, 1, EIO);
	machine_report(EXIT_FAILED, "bind", "--noiommu-mode", "vfio-pci", nic, NULL);
	assert_true(machine_said("/run/pollux/devbind.noiommu can't be written: Input/output"));
	pci_sysfs_fail(0, 0);
	assert_string_not_equal(pci_sysfs_text(SWITCH), "1");
	assert_string_equal(machine_driver(nic), "e1000e");
}

static void grants(void **state)
{
	char address[16], path[64];
	unsigned i;

	(void)state;
	machine_node("/dev/iommu");
	machine_give_to_vfio(NIC0, "vfio0");
	/* To whom it is already, so that it takes no root. */
	snprintf(path, sizeof(path), "%u", geteuid());
	pci_sysfs_fail_at("chown", "/dev/iommu", 1, EPERM);
	machine_report(EXIT_FAILED, "grant", path, NIC0, NULL);
	assert_true(machine_said("/dev/iommu can't be given away: Operation not permitted"));
	assert_true(machine_said("nothing was granted: the nodes are as they were"));
	pci_sysfs_fail(0, 0);
	pci_sysfs_fail_at("stat", "/dev/iommu", 1, EACCES);
	machine_report(EXIT_FAILED, "grant", path, NIC0, NULL);
	assert_true(machine_said("/dev/iommu can't be looked at: Permission denied"));
	pci_sysfs_fail(0, 0);
	pci_sysfs_public("/dev/iommu");
	machine_report(EXIT_DONE, "grant", path, NIC0, NULL);
	assert_true(machine_said("/dev/vfio/10: granted"));
	assert_true(machine_said("/dev/iommu: open to everybody already"));
	for (i = 0; i < 70; i++) {
		snprintf(address, sizeof(address), "0000:80:%02x.%x", i / 8, i % 8);
		machine_add(address, "0x020000\n", "e1000e", (int)(100 + i));
		machine_give_to_vfio(address, NULL);
	}
	machine_report(EXIT_FAILED, "grant", path, "80:*", NULL);
	assert_true(machine_said("these are too many devices for one call: 64 nodes at most"));
}

/* Names are input, and these end on root's terminal. */
static void odd_names(void **state)
{
	(void)state;
	machine_interface(NIC0, "e\033[2Jth", 3);
	machine_address(3, "192.0.2.7", 24);
	pci_sysfs_link("/proc/812/fd/7", "/dev/nvme0n1");
	pci_sysfs_file("/proc/812/comm", "\033]0;x\n");
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	pci_sysfs_file("/proc/self/mountinfo", "22 1 259:0 / /a\\012b rw - ext4 /dev/x rw\n");
	machine_report(EXIT_DONE, "status", NULL);
	machine_reports("if=e?[2Jth ");
	machine_reports("nvme0n1 is mounted on /a?b\n");
	machine_reports("/dev/nvme0n1 is open in process 812 (?]0;x)");
	machine_reports_no("\033");
	machine_report(EXIT_REFUSED, "bind", "vfio-pci", NIC0, NULL);
	assert_true(machine_said("e?[2Jth has the address 192.0.2.7/24"));
	assert_false(machine_has_said("\033"));
}

/* What JSON has to be, and what a terminal may be sent: UTF-8 without C1. */
static void names_that_are_no_text(void **state)
{
	static const struct {
		const char *name, *shown;
	} cases[] = {
		{ "e\xff", "e?" },
		{ "e\xc2\x9b\x31m", "e??1m" }, /* CSI of C1 */
		{ "e\xc3\xa9", "e\xc3\xa9" },  /* an e with an acute */
		{ "e\xc3", "e?" },	       /* cut off */
		{ "e\xc1\xbf", "e??" },	       /* too long a form of a byte */
		{ "e\xed\xa0\x80", "e???" },   /* half of a surrogate */
		{ "e\xe2\x82\xac", "e\xe2\x82\xac" },
		{ "e\xe2\x82z", "e??z" },
		{ "e\xf4\x90\x80\x80", "e????" }, /* beyond the last character */
		{ "e\xf0\x9f\x90\xa7", "e\xf0\x9f\x90\xa7" },
	};
	char path[80], wanted[80];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		machine_interface(NIC0, cases[i].name, 3);
		machine_report(EXIT_DONE, "status", NIC0, NULL);
		snprintf(wanted, sizeof(wanted), "if=%s drv", cases[i].shown);
		machine_reports(wanted);
		machine_report(EXIT_DONE, "status", "--json", NIC0, NULL);
		snprintf(wanted, sizeof(wanted), "\"%s\"", cases[i].shown);
		machine_reports(wanted);
		snprintf(path, sizeof(path), "/sys/class/net/%s", cases[i].name);
		pci_sysfs_remove(path);
	}
}

static void sockets(void **state)
{
	(void)state;
	machine_report(EXIT_USAGE, "broker", "--socket=", "0", NIC0, NULL);
	assert_true(machine_said("the socket's path has to have 1 to 107 bytes: ''"));
	pci_sysfs_fail_at("socket", NULL, 1, EMFILE);
	machine_report(EXIT_FAILED, "broker", "--socket=/run/x", "0", NIC0, NULL);
	assert_true(machine_said("no socket at /run/x: Too many open files"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(command_lines),	      TEST(drivers),	 TEST(uses),
		TEST(not_replaced),	      TEST(unsafe_mode), TEST(when_calls_fail),
		TEST(without_memory),	      TEST(grants),	 TEST(odd_names),
		TEST(names_that_are_no_text), TEST(sockets),
	};

	return cmocka_run_group_tests_name("devbind_messages", tests, NULL, NULL);
}
