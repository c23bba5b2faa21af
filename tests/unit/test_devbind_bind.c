/* SPDX-License-Identifier: BSD-3-Clause */
/* bind, unbind and restore: all or nothing, nothing that is in use, and the way back. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "devbind_machine.h"
#include "sys.h"

#define RULE	   "/etc/udev/rules.d/10-plx-devbind-" NIC0 ".rules"
#define GRANT_RULE "/etc/udev/rules.d/70-plx-devbind-" NIC0 ".rules"
#define RECORD	   "/run/pollux/devbind/" NIC0
#define KEPT	   "/var/lib/pollux/devbind/" NIC0
#define LOCK	   "/run/pollux/devbind.lock"
#define SWITCH	   "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static void assert_bound(const char *bdf, const char *driver)
{
	assert_string_equal(machine_driver(bdf), driver);
	assert_string_equal(machine_override(bdf), "");
}

static void there_and_back(void **state)
{
	(void)state;
	assert_int_equal(machine_run("bind", "vfio-pci", "01:00.0", NVME0, NULL), EXIT_DONE);
	assert_bound(NIC0, "vfio-pci");
	assert_bound(NVME0, "vfio-pci");
	assert_bound(NIC1, "e1000e");
	assert_int_equal(machine_run("unbind", NIC0, NULL), EXIT_DONE);
	assert_bound(NIC0, "");
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_bound(NIC0, "e1000e");
	assert_bound(NVME0, "nvme");
	assert_false(pci_sysfs_exists("/run/pollux/devbind/" NIC0));
	assert_int_equal(machine_run("restore", NIC0, NULL), EXIT_DONE);
	assert_true(machine_said("nothing is remembered"));
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_true(machine_said("there is nothing to restore"));
}

static void as_dpdk_devbind(void **state)
{
	(void)state;
	assert_int_equal(machine_run("-b", "vfio-pci", "01:00.0", NULL), EXIT_DONE);
	assert_bound(NIC0, "vfio-pci");
	assert_int_equal(machine_run("--bind=vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_true(machine_said("already"));
	assert_int_equal(machine_run("-u", "dpdk", NULL), EXIT_DONE);
	assert_bound(NIC0, "");
	assert_int_equal(machine_run("-u", "dpdk", NULL), EXIT_DONE);
	assert_true(machine_said("no device is ready for user space"));
	assert_int_equal(machine_run("-b", "e1000e", NIC0, NULL), EXIT_DONE);
	assert_bound(NIC0, "e1000e");
	/* It is what it was: nothing is remembered. */
	assert_false(pci_sysfs_exists("/run/pollux/devbind/" NIC0));
	assert_int_equal(machine_run("-b", "none", NIC0, NULL), EXIT_DONE);
	assert_bound(NIC0, "");
	assert_int_equal(machine_run("-b", NIC1, NIC0, NULL), EXIT_USAGE);
	assert_true(machine_said("name the driver before"));
}

static void help_wins(void **state)
{
	static char name[] = "plx-devbind", bind[] = "-b", driver[] = "vfio-pci", nic[] = NIC0,
		    unbind[] = "-u", unknown[] = "--warp", help[] = "-h";
	char *words[] = { name, bind, driver, nic, unbind, unknown, help, NULL };
	struct options options;

	(void)state;
	assert_int_equal(options_parse(6, words, &options), -EINVAL);
	assert_int_equal(options_parse(7, words, &options), 0);
	assert_int_equal(options.command, COMMAND_HELP);
}

static void an_override_is_kept(void **state)
{
	(void)state;
	pci_sysfs_set(NIC0, "driver_override", "e1000e\n");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_string_equal(machine_override(NIC0), "e1000e");
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_string_equal(machine_driver(NIC0), "e1000e");
	assert_string_equal(machine_override(NIC0), "e1000e");
}

static void refusing_driver(void **state)
{
	(void)state;
	machine_refuse("vfio-pci");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NIC1, NULL), EXIT_FAILED);
	assert_true(machine_said("vfio-pci does not take " NIC0 ": Invalid argument"));
	assert_true(machine_said("nothing was changed"));
	assert_bound(NIC0, "e1000e");
	assert_bound(NIC1, "e1000e");
	assert_false(pci_sysfs_exists("/run/pollux/devbind/" NIC0));
}

/* The last of three fails: the first two go back as well. */
static void failing_in_the_middle(void **state)
{
	(void)state;
	pci_sysfs_remove("/sys/bus/pci/drivers/nvme/unbind");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NIC2, NVME0, NULL), EXIT_FAILED);
	assert_true(machine_said(NVME0 " can't be taken from nvme"));
	assert_bound(NIC0, "e1000e");
	assert_bound(NIC2, "igb");
	assert_bound(NVME0, "nvme");
}

/* One that neither the new nor the old driver takes is named. */
static void no_way_back(void **state)
{
	(void)state;
	pci_sysfs_remove("/sys/bus/pci/drivers/nvme/unbind");
	machine_refuse("e1000e");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NVME0, NULL), EXIT_FAILED);
	assert_true(machine_said(NIC0 " had the driver e1000e and has it no longer"));
	assert_false(pci_sysfs_exists("/run/pollux/devbind/" NVME0));
	machine_refuse(NULL);
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_bound(NIC0, "e1000e");
}

static void in_use(void **state)
{
	(void)state;
	machine_interface(NIC0, "eth0", 3);
	machine_address(3, "192.0.2.7", 24);
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	pci_sysfs_file("/proc/self/mountinfo", "22 1 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC1, "eth0", NULL), EXIT_REFUSED);
	assert_true(machine_said(NIC0 " is in use: eth0 has the address 192.0.2.7/24"));
	assert_bound(NIC1, "e1000e");
	assert_int_equal(machine_run("unbind", "nvme0n1", NULL), EXIT_REFUSED);
	assert_true(machine_said("nvme0n1 is mounted on /srv"));
	assert_bound(NVME0, "nvme");
	assert_int_equal(machine_run("bind", "--force", "vfio-pci", "eth0", NULL), EXIT_DONE);
	assert_bound(NIC0, "vfio-pci");
}

/* A loop device on the disk itself: sysfs has no holder for it. */
static void held_by_a_loop(void **state)
{
	(void)state;
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	pci_sysfs_file("/sys/class/block/loop0/dev", "7:0\n");
	pci_sysfs_file("/sys/class/block/loop1/loop/backing_file", "/srv/dev/nvme0n1\n");
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_DONE);
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	pci_sysfs_file("/sys/class/block/loop0/loop/backing_file", "/dev/nvme0n1\n");
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_REFUSED);
	assert_true(machine_said("nvme0n1 is held by loop0 (a loop device)"));
	pci_sysfs_file("/proc/self/mountinfo", "22 1 7:0 / /srv rw - ext4 /dev/loop0 rw\n");
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_REFUSED);
	assert_true(machine_said("loop0 is mounted on /srv"));
	pci_sysfs_remove("/sys/class/block/loop0");
	pci_sysfs_fail_at("open", "/sys/class/block/loop1/loop/backing_file", 1, EIO);
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_REFUSED);
	assert_true(machine_said("nvme0n1 may be: what is mounted, or swap, can't be read"));
}

/* What matters stands at the end of a table that is read in many pieces. */
static void a_long_table(void **state)
{
	enum { LINES = 400 };
	char text[LINES * 64 + 100];
	unsigned i, at = 0;

	(void)state;
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	for (i = 0; i < LINES; i++)
		at += (unsigned)snprintf(text + at, sizeof(text) - at,
					 "%u 1 0:%u / /a/%u rw - tmpfs none rw\n", 30 + i, i, i);
	assert_true(at > 3 * 4096);
	strcpy(text + at, "22 1 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
	pci_sysfs_file("/proc/self/mountinfo", text);
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_REFUSED);
	assert_true(machine_said("nvme0n1 is mounted on /srv"));
	/* Nor is anything taken for what it isn't. */
	strcpy(text + at, "22 1 259:9 / /srv rw - ext4 /dev/nvme9n1 rw\n");
	pci_sysfs_file("/proc/self/mountinfo", text);
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_DONE);
}

/* Used by whom this process can't see. */
static void in_hidden_use(void **state)
{
	(void)state;
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	machine_disk(NVME0, "nvme0n1p1", "nvme0n1", "259:1\n");
	machine_claim("/dev/nvme0n1p1");
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_REFUSED);
	assert_true(machine_said("nvme0n1p1 is mounted in another mount namespace"));
	assert_bound(NVME0, "nvme");
	machine_claim(NULL);
	pci_sysfs_file("/dev/nvme0n1p1", "");
	pci_sysfs_fail_at("open", "/dev/nvme0n1p1", 1, EMFILE);
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_REFUSED);
	assert_true(machine_said("it may be: nvme0n1p1 can't be opened (Too many open files)"));
	pci_sysfs_fail(0, 0);
	pci_sysfs_remove("/proc/self/mountinfo");
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_REFUSED);
	assert_true(machine_said("can't be read"));
	pci_sysfs_file("/proc/self/mountinfo", "");
	pci_sysfs_remove("/proc/swaps");
	assert_int_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_DONE);
	pci_sysfs_file("/sys/bus/pci/devices/" NIC0 "/net/eth0/ifindex", "3\n");
	pci_sysfs_file("/sys/bus/pci/devices/" NIC1 "/virtio0/net/eth1/ifindex", "4\n");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_REFUSED);
	assert_true(machine_said("may be in another network namespace"));
	assert_int_equal(machine_run("unbind", NIC1, NULL), EXIT_REFUSED);
	assert_int_equal(machine_run("unbind", NIC2, NULL), EXIT_DONE);
}

/* An interface whose addresses the kernel doesn't tell. */
static void no_answer(void **state)
{
	(void)state;
	machine_interface(NIC0, "eth0", 3);
	machine_netlink_error();
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_REFUSED);
	assert_true(machine_said("its addresses and routes can't be asked for"));
	assert_int_equal(machine_run("bind", "--force", "vfio-pci", NIC0, NULL), EXIT_DONE);
}

static void held_by_a_program(void **state)
{
	(void)state;
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_DONE);
	pci_sysfs_link("/proc/812/fd/7", "/dev/vfio/10");
	assert_int_equal(machine_run("restore", NULL), EXIT_REFUSED);
	assert_true(machine_said("/dev/vfio/10 is open in process 812"));
	assert_bound(NIC0, "vfio-pci");
	/* Who took it by force would wait for the program, with no way to end that. */
	assert_int_equal(machine_run("restore", "--force", NULL), EXIT_REFUSED);
	assert_true(machine_said("/dev/vfio/10 is open in process 812"));
	assert_true(machine_said("--force or not: end the program"));
	assert_int_equal(machine_run("bind", "--force", "e1000e", NIC0, NULL), EXIT_REFUSED);
	assert_bound(NIC0, "vfio-pci");
	pci_sysfs_remove("/proc/812/fd/7");
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
}

/* A program that was handed the device itself, and has none of its nodes. */
static void held_by_a_descriptor(void **state)
{
	(void)state;
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NVME0, NULL), EXIT_DONE);
	pci_sysfs_link("/proc/812/fd/7", "anon_inode:[vfio-device]");
	pci_sysfs_file("/proc/812/comm", "qemu\n");
	/* Before Linux 6.17 there is no telling which one it is. */
	assert_int_equal(machine_run("restore", NVME0, NULL), EXIT_REFUSED);
	assert_true(machine_said("process 812 (qemu) has a device of VFIO's open; if it is"));
	assert_int_equal(machine_run("restore", "--force", NVME0, NULL), EXIT_DONE);
	assert_true(machine_said("process 812 (qemu) has a device of VFIO's open; if it is"));
	assert_int_equal(machine_run("unbind", NIC1, NULL), EXIT_DONE);
	/* One whose group's node is open is that group's. */
	pci_sysfs_link("/proc/812/fd/8", "/dev/vfio/77");
	assert_int_equal(machine_run("unbind", NIC0, NULL), EXIT_DONE);
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NVME0, NULL), EXIT_DONE);
	pci_sysfs_remove("/proc/812/fd/8");
	pci_sysfs_file("/proc/812/fdinfo/7", "pos:\t0\nvfio-device-syspath: "
					     "/sys/devices/pci0000:00/" NIC0 "\n");
	assert_int_equal(machine_run("restore", NVME0, NULL), EXIT_DONE);
	assert_int_equal(machine_run("restore", "--force", NIC0, NULL), EXIT_REFUSED);
	assert_true(machine_said(NIC0 " is in use: it is open in process 812 (qemu)"));
	assert_bound(NIC0, "vfio-pci");
}

/*
 * Devices are used without their disks and interfaces: NVMe by the controller's node, or by a
 * namespace's for commands, a network card by its clock's, or that of RDMA.
 */
static void open_without_the_disk(void **state)
{
	static const struct {
		const char *bdf, *node;
	} uses[] = { { NVME0, "/dev/nvme0" },
		     { NVME0, "/dev/ng0n1" },
		     { NVME0, "/dev/ng3n1" },
		     { NIC0, "/dev/ptp0" },
		     { NIC0, "/dev/infiniband/uverbs0" } };
	unsigned i;

	(void)state;
	machine_char(NVME0, "nvme0", "241:0");
	machine_char(NVME0, "ng0n1", "242:0");
	machine_char(NIC0, "ptp0", "243:0");
	machine_char(NIC0, "infiniband/uverbs0", "231:192");
	/* By another way to the disk. */
	machine_disk(NVME0, "nvme3c0n1", NULL, "259:9\n");
	for (i = 0; i < 5; i++) {
		pci_sysfs_remove("/proc/812");
		pci_sysfs_link("/proc/812/fd/7", uses[i].node);
		assert_int_equal(machine_run("bind", "vfio-pci", uses[i].bdf, NULL), EXIT_REFUSED);
		assert_true(machine_said(uses[i].node));
		assert_true(machine_said(" is open in process 812 (?)"));
		assert_int_equal(machine_run("unbind", NIC1, NULL), EXIT_DONE);
	}
	/* A controller without a disk has no other name. */
	assert_int_equal(machine_run("bind", "--force", "vfio-pci", "nvme0", "/dev/ptp0", NULL),
			 EXIT_DONE);
	assert_bound(NVME0, "vfio-pci");
	assert_bound(NIC0, "vfio-pci");
}

#define MAPPING "7f0000000000-7f0000004000 rw-s 00000000 00:05 1234    "

/* Whoever has closed the descriptor and kept the mapping: the file stays open. */
static void held_by_a_mapping(void **state)
{
	(void)state;
	machine_give_to_vfio(NIC0, "vfio0");
	machine_give_to_vfio(NVME0, "vfio3");
	pci_sysfs_file("/proc/812/comm", "spdk\n");
	pci_sysfs_link("/proc/812/fd/0", "/dev/null");
	pci_sysfs_file("/proc/812/maps",
		       "55550000-55551000 r-xp 00000000 fe:00 77    /usr/bin/with a blank\n"
		       "7ffe0000-7ffe1000 rw-p 00000000 00:00 0 \n" MAPPING
		       "/dev/vfio/devices/vfio0\n" MAPPING "/dev/vfio/devices/vfio0\n");
	assert_int_equal(machine_run("unbind", "--force", NIC0, NULL), EXIT_REFUSED);
	assert_true(machine_said(NIC0 " is in use: /dev/vfio/devices/vfio0 is mapped by process "
				      "812 (spdk)"));
	assert_true(machine_said("--force or not: end the program"));
	assert_bound(NIC0, "vfio-pci");
	assert_int_equal(machine_run("unbind", NVME0, NULL), EXIT_DONE);
	/* Told once, if it is open as well. */
	pci_sysfs_link("/proc/812/fd/7", "/dev/vfio/devices/vfio0");
	machine_report(EXIT_DONE, "status", NIC0, NULL);
	machine_reports("/dev/vfio/devices/vfio0 is open in process 812 (spdk)");
	machine_reports_no("is mapped by");
	/* A group's device has no name, unless by another descriptor. */
	pci_sysfs_remove("/proc/812/fd/7");
	pci_sysfs_file("/proc/812/maps", MAPPING "anon_inode:[vfio-device]\n");
	assert_int_equal(machine_run("unbind", NIC0, NULL), EXIT_REFUSED);
	assert_true(machine_said("process 812 (spdk) has a device of VFIO's open; if it is"));
	pci_sysfs_link("/proc/812/fd/8", "anon_inode:[vfio-device]");
	pci_sysfs_file("/proc/812/fdinfo/8", "vfio-device-syspath: /sys/devices/" NIC0 "\n");
	machine_report(EXIT_DONE, "status", NIC0, NIC1, NULL);
	machine_reports("it is open in process 812 (spdk)");
	machine_reports_no("it may be");
}

/* By the files that sysfs has for BARs, as programs do that need no driver. */
static void bars_in_use(void **state)
{
	(void)state;
	pci_sysfs_file("/proc/812/comm", "pcimem\n");
	pci_sysfs_link("/proc/812/fd/3", "/sys/devices/pci0000:00/" NIC0 "/config");
	pci_sysfs_file("/proc/812/maps", MAPPING "/sys/devices/pci0000:00/" NIC1 "/resource0_wc\n");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_int_equal(machine_run("bind", "vfio-pci", NIC1, NULL), EXIT_REFUSED);
	assert_true(machine_said("its resource0_wc is mapped by process 812 (pcimem)"));
	pci_sysfs_link("/proc/812/fd/4", "/sys/devices/pci0000:00/" NIC2 "/resource2");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC2, NULL), EXIT_REFUSED);
	assert_true(machine_said("its resource2 is open in process 812 (pcimem)"));
	assert_int_equal(machine_run("bind", "--force", "vfio-pci", NIC1, NIC2, NULL), EXIT_DONE);
}

/* The last of many, and what can't be read. */
static void many_mappings(void **state)
{
	enum { LINES = 2000 };
	static char text[LINES * 100];
	unsigned i, at = 0;

	(void)state;
	machine_give_to_vfio(NIC0, "vfio0");
	for (i = 0; i < LINES; i++)
		at += (unsigned)snprintf(
			text + at, sizeof(text) - at,
			"%x000-%x000 rw-s 00000000 00:0f %u    /dev/hugepages/%u\n", i, i + 1, i,
			i);
	strcpy(text + at, MAPPING "/dev/vfio/devices/vfio0\n");
	pci_sysfs_link("/proc/812/fd/0", "/dev/null");
	pci_sysfs_file("/proc/812/maps", text);
	assert_int_equal(machine_run("unbind", NIC0, NULL), EXIT_REFUSED);
	assert_true(machine_said("/dev/vfio/devices/vfio0 is mapped by process 812"));
	/* Wherever the pieces end that it is read in. */
	for (i = 4096; i < 7 * 4096; i += 4096) {
		memset(text, 'x', i);
		strcpy(text + i - 30, "\n" MAPPING "/dev/vfio/devices/vfio0\n");
		pci_sysfs_file("/proc/812/maps", text);
		assert_int_equal(machine_run("unbind", NIC0, NULL), EXIT_REFUSED);
	}
	pci_sysfs_fail_at("read", "/proc/812/maps", 2, EIO);
	assert_int_equal(machine_run("unbind", NIC1, NULL), EXIT_REFUSED);
	assert_true(machine_said("it may be: what processes have open can't be read"));
	pci_sysfs_fail(0, 0);
	/* No line that the kernel writes. */
	memset(text, 'x', 30000);
	text[30000] = '\0';
	pci_sysfs_file("/proc/812/maps", text);
	assert_int_equal(machine_run("unbind", NIC1, NULL), EXIT_REFUSED);
	assert_true(machine_said("it may be: what processes have open can't be read"));
	pci_sysfs_remove("/proc/812");
	assert_int_equal(machine_run("unbind", NIC0, NIC1, NULL), EXIT_DONE);
}

static void bridges_stay(void **state)
{
	(void)state;
	machine_add("0000:00:01.0", "0x060400\n", "pcieport", 9);
	assert_int_equal(machine_run("bind", "--force", "vfio-pci", "00:01.0", NULL), EXIT_REFUSED);
	assert_true(machine_said("is a bridge"));
	assert_bound("0000:00:01.0", "pcieport");
}

static void groups(void **state)
{
	(void)state;
	machine_add("0000:02:1f.0", "0x060400\n", "pcieport", 11);
	assert_int_equal(machine_run("bind", "vfio-pci", NIC1, NULL), EXIT_DONE);
	assert_true(machine_said(NIC2 " of its group 11 is held by igb"));
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_int_equal(machine_run("bind", "--whole-group", "vfio-pci", NIC1, NULL), EXIT_DONE);
	assert_bound(NIC1, "vfio-pci");
	assert_bound(NIC2, "vfio-pci");
	assert_bound("0000:02:1f.0", "pcieport");
}

static void drivers_and_modules(void **state)
{
	(void)state;
	assert_int_equal(machine_run("bind", "warp", NIC0, NULL), EXIT_FAILED);
	assert_true(machine_said("no driver warp"));
	assert_int_equal(machine_run("bind", "vfio-late", NIC0, NULL), EXIT_DONE);
	assert_bound(NIC0, "vfio-late");
	assert_int_equal(machine_run("bind", "../vfio-pci", NIC0, NULL), EXIT_USAGE);
}

/* Told by name, a driver of the kernel's takes what it knows nothing of, and brings it down. */
static void for_other_devices(void **state)
{
	(void)state;
	assert_int_equal(machine_run("bind", "--force", "igb", NIC0, NULL), EXIT_FAILED);
	assert_true(machine_said("igb does not take " NIC0 ": No such device (it is for other"));
	assert_bound(NIC0, "e1000e");
	assert_int_equal(machine_run("bind", "--persist", "igb", NIC0, NULL), EXIT_FAILED);
	assert_false(pci_sysfs_exists(RULE));
	assert_bound(NIC0, "e1000e");
	/* By its ids, and what somebody wanted before. */
	assert_int_equal(machine_run("unbind", NIC2, NULL), EXIT_DONE);
	assert_int_equal(machine_run("bind", "igb", NIC2, NULL), EXIT_DONE);
	assert_bound(NIC2, "igb");
	pci_sysfs_set(NIC0, "driver_override", "igb\n");
	assert_int_equal(machine_run("bind", "igb", NIC0, NULL), EXIT_DONE);
	assert_string_equal(machine_driver(NIC0), "igb");
	assert_int_equal(machine_run("restore", NIC0, NULL), EXIT_DONE);
	assert_string_equal(machine_driver(NIC0), "e1000e");
	assert_string_equal(machine_override(NIC0), "igb");
}

static void without_iommu(void **state)
{
	(void)state;
	machine_add("0000:05:00.0", "0x020000\n", "e1000e", -1);
	assert_int_equal(machine_run("bind", "vfio-pci", "05:00.0", NULL), EXIT_REFUSED);
	assert_true(machine_said("no IOMMU"));
	assert_int_equal(machine_run("bind", "--noiommu-mode", "vfio-pci", "05:00.0", NULL),
			 EXIT_FAILED);
	assert_true(machine_said("no CONFIG_VFIO_NOIOMMU"));
	assert_bound("0000:05:00.0", "e1000e");
	pci_sysfs_file(SWITCH, "N\n");
	machine_refuse("vfio-pci");
	assert_int_equal(machine_run("bind", "--noiommu-mode", "vfio-pci", "05:00.0", NULL),
			 EXIT_FAILED);
	assert_string_equal(pci_sysfs_text(SWITCH), "0");
	machine_refuse(NULL);
	assert_int_equal(machine_run("bind", "--noiommu-mode", "vfio-pci", "05:00.0", NULL),
			 EXIT_DONE);
	assert_string_equal(pci_sysfs_text(SWITCH), "1");
	assert_bound("0000:05:00.0", "vfio-pci");
	/* On as long as somebody needs it, and off when nobody does any more. */
	machine_add("0000:06:00.0", "0x020000\n", "e1000e", -1);
	assert_int_equal(machine_run("bind", "vfio-pci", "06:00.0", NULL), EXIT_DONE);
	assert_int_equal(machine_run("restore", "05:00.0", NULL), EXIT_DONE);
	assert_string_equal(pci_sysfs_text(SWITCH), "1");
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_true(machine_said("mode is off again"));
	assert_string_equal(pci_sysfs_text(SWITCH), "0");
	assert_bound("0000:06:00.0", "e1000e");
	/* What somebody else turned on stays. */
	pci_sysfs_file(SWITCH, "Y\n");
	assert_int_equal(machine_run("bind", "vfio-pci", "05:00.0", NULL), EXIT_DONE);
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_string_equal(pci_sysfs_text(SWITCH), "Y");
}

static void persistent(void **state)
{
	(void)state;
	/* Changed before, so that the original isn't what it has now. */
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_non_null(strstr(pci_sysfs_text("/etc/udev/rules.d/10-plx-devbind-" NIC0 ".rules"),
			       "ATTR{driver_override}=\"vfio-pci\""));
	/* For this card only. */
	assert_non_null(strstr(pci_sysfs_text(RULE),
			       "KERNEL==\"" NIC0 "\", ATTR{vendor}==\"0x8086\", "
			       "ATTR{device}==\"0x10d3\", "));
	assert_non_null(strstr(pci_sysfs_text(RULE),
			       "kmod load vfio-pci\", RUN+=\"/bin/sh -c 'echo " NIC0
			       " > /sys/bus/pci/drivers_probe'"));
	assert_string_equal(machine_override(NIC0), "vfio-pci");
	assert_true(pci_sysfs_exists("/var/lib/pollux/devbind/" NIC0));
	/* A reboot empties /run. */
	pci_sysfs_remove("/run/pollux/devbind/" NIC0);
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_bound(NIC0, "e1000e");
	assert_false(pci_sysfs_exists("/etc/udev/rules.d/10-plx-devbind-" NIC0 ".rules"));
	assert_false(pci_sysfs_exists("/var/lib/pollux/devbind/" NIC0));
}

/* Bound already, for this boot alone or by somebody else: it is to stay so. */
static void persistent_already(void **state)
{
	(void)state;
	assert_int_equal(machine_run("bind", "--persist", "e1000e", NIC0, NULL), EXIT_DONE);
	machine_give_to_vfio(NIC1, NULL);
	pci_sysfs_set(NIC1, "driver_override", "vfio-pci\n");
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC1, NULL), EXIT_DONE);
	assert_true(machine_said("is bound to vfio-pci already, and is to stay so"));
	assert_non_null(strstr(pci_sysfs_text("/etc/udev/rules.d/10-plx-devbind-" NIC1 ".rules"),
			       "ATTR{driver_override}=\"vfio-pci\""));
	assert_true(pci_sysfs_exists("/var/lib/pollux/devbind/" NIC1));
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_true(machine_said(NIC0 ": e1000e, as it was"));
	assert_false(pci_sysfs_exists("/etc/udev/rules.d/10-plx-devbind-" NIC1 ".rules"));
	assert_false(pci_sysfs_exists("/var/lib/pollux/devbind/" NIC1));
}

static void persistent_by_driverctl(void **state)
{
	(void)state;
	pci_sysfs_file("/usr/sbin/driverctl", "");
	pci_sysfs_file("/etc/driverctl.d/pci-" NIC0, "igb\n");
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_string_equal(pci_sysfs_text("/etc/driverctl.d/pci-" NIC0), "vfio-pci");
	assert_int_equal(machine_run("restore", NIC0, NULL), EXIT_DONE);
	assert_string_equal(pci_sysfs_text("/etc/driverctl.d/pci-" NIC0), "igb");
}

/* What driverctl had is known only when it is about to be replaced. */
static void persistent_by_driverctl_later(void **state)
{
	(void)state;
	pci_sysfs_file("/usr/sbin/driverctl", "");
	pci_sysfs_file("/etc/driverctl.d/pci-" NIC0, "igb\n");
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_int_equal(machine_run("restore", NIC0, NULL), EXIT_DONE);
	assert_string_equal(pci_sysfs_text("/etc/driverctl.d/pci-" NIC0), "igb");
}

/* A second bind --persist that fails leaves the first one's rule. */
static void persistent_failing(void **state)
{
	char rule[1024];

	(void)state;
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	snprintf(rule, sizeof(rule), "%s", pci_sysfs_text(RULE));
	machine_refuse("vfio-late");
	assert_int_equal(machine_run("bind", "--persist", "vfio-late", NIC0, NULL), EXIT_FAILED);
	assert_string_equal(machine_driver(NIC0), "vfio-pci");
	assert_string_equal(pci_sysfs_text(RULE), rule);
	assert_int_equal(machine_run("bind", "--persist", "vfio-late", NIC1, NULL), EXIT_FAILED);
	assert_false(pci_sysfs_exists("/etc/udev/rules.d/10-plx-devbind-" NIC1 ".rules"));
}

static void blanks_in_a_name(void **state)
{
	(void)state;
	machine_add("0000:07:00.0", "0x020000\n", "Blank Driver", 19);
	assert_int_equal(machine_run("bind", "vfio-pci", "07:00.0", NULL), EXIT_DONE);
	assert_int_equal(machine_run("restore", "07:00.0", NULL), EXIT_DONE);
	assert_bound("0000:07:00.0", "Blank Driver");
}

/* Without a bind, too, and by whatever name. */
static void granted_alone(void **state)
{
	(void)state;
	pci_sysfs_file(GRANT_RULE, "");
	assert_int_equal(machine_run("restore", NIC0, NULL), EXIT_DONE);
	assert_true(machine_said("its driver stays; its rules are taken away"));
	assert_false(pci_sysfs_exists(GRANT_RULE));
	pci_sysfs_file(GRANT_RULE, "");
	pci_sysfs_file("/etc/udev/rules.d/70-plx-devbind-x.rules", "");
	pci_sysfs_file("/etc/udev/rules.d/70-plx-devbind-.rules", "");
	pci_sysfs_file("/etc/udev/rules.d/70-plx-devbind-" NIC1 ".rules.off", "");
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_false(pci_sysfs_exists(GRANT_RULE));
	assert_false(machine_has_said(NIC1));
	assert_bound(NIC0, "e1000e");
}

static void assert_nothing_left(void)
{
	assert_false(pci_sysfs_exists(RULE));
	assert_false(pci_sysfs_exists(GRANT_RULE));
	assert_false(pci_sysfs_exists(RECORD));
	assert_false(pci_sysfs_exists(KEPT));
}

/* A device that isn't there any more. */
static void gone(void **state)
{
	static const char *const words[] = { NULL, NIC0, "01:00.0", "01:*", "0*" };
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL),
				 EXIT_DONE);
		pci_sysfs_file(GRANT_RULE, "");
		machine_unplug(NIC0);
		assert_int_equal(machine_run("restore", words[i], NULL), EXIT_DONE);
		assert_true(machine_said(NIC0 " isn't there: its rules, and what was remembered"));
		assert_nothing_left();
		assert_int_equal(machine_run("restore", NIC0, NULL), EXIT_USAGE);
		assert_true(machine_said("no device '" NIC0 "'"));
		machine_add(NIC0, "0x020000\n", "e1000e", 10);
	}
}

static void gone_from_driverctl(void **state)
{
	(void)state;
	pci_sysfs_file("/usr/sbin/driverctl", "");
	pci_sysfs_file("/etc/driverctl.d/pci-" NIC0, "igb\n");
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	machine_unplug(NIC0);
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_string_equal(pci_sysfs_text("/etc/driverctl.d/pci-" NIC0), "igb");
	assert_nothing_left();
}

/* Another card in the slot: what the old one was is nothing to it. */
static void another_card(void **state)
{
	(void)state;
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NIC1, NULL), EXIT_DONE);
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	pci_sysfs_file(GRANT_RULE, "");
	pci_sysfs_set(NIC0, "device", "0x1533\n");
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	assert_true(machine_said("about another card (8086:10d3) that was there"));
	assert_string_equal(machine_driver(NIC0), "vfio-pci");
	assert_string_equal(machine_override(NIC0), "vfio-pci");
	assert_bound(NIC1, "e1000e");
	assert_nothing_left();
}

/* Two records: the former card's, which was to stay bound, and that of the one that is there. */
static void another_card_bound_too(void **state)
{
	(void)state;
	pci_sysfs_file("/usr/sbin/driverctl", "");
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	pci_sysfs_set(NIC0, "device", "0x1533\n");
	assert_int_equal(machine_run("unbind", NIC0, NULL), EXIT_DONE);
	assert_true(pci_sysfs_exists(RECORD));
	assert_int_equal(machine_run("restore", NIC0, NULL), EXIT_DONE);
	assert_string_equal(machine_driver(NIC0), "vfio-pci");
	assert_false(pci_sysfs_exists("/etc/driverctl.d/pci-" NIC0));
	assert_nothing_left();
	/* What driverctl has by now isn't somebody else's. */
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	pci_sysfs_set(NIC0, "device", "0x10d3\n");
	assert_int_equal(machine_run("bind", "--persist", "e1000e", NIC0, NULL), EXIT_DONE);
	assert_int_equal(machine_run("restore", NIC0, NULL), EXIT_DONE);
	assert_false(pci_sysfs_exists("/etc/driverctl.d/pci-" NIC0));
}

/* Nobody knows what it was: that is said, and nothing is done that would hide it. */
static void unreadable(void **state)
{
	static const char *const texts[] = {
		"garbage",
		"",
		"id 8086:10d3\ndriver ../x\noverride -\npersisted -\n",
		"id 8086:10d3\ndriver e1000e\noverride a/b\npersisted -\n",
		"id 8086:10d3\ndriver e1000e\noverride -\npersisted .\n",
	};
	unsigned i;

	(void)state;
	assert_int_equal(machine_run("bind", "vfio-pci", NIC1, NULL), EXIT_DONE);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		pci_sysfs_file(RECORD, texts[i]);
		assert_int_equal(machine_run("restore", NULL), EXIT_FAILED);
		assert_true(machine_said(RECORD " can't be read (it makes no sense)"));
		assert_true(machine_said("bind it by hand"));
		assert_true(machine_said("nothing was changed"));
		assert_bound(NIC1, "vfio-pci");
		assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_FAILED);
		assert_true(machine_said(RECORD " can't be read"));
		assert_bound(NIC0, "e1000e");
		assert_true(pci_sysfs_exists(RECORD));
	}
}

/* Another plx-devbind, which has the lock. */
static int other;

static void hold_lock(void)
{
	int fd;

	pci_sysfs_file(LOCK, "");
	fd = plx_sys->open(LOCK, O_RDWR);
	other = dup(fd);
	assert_true(other >= 0);
	assert_int_equal(plx_sys->close(fd), 0);
	assert_int_equal(flock(other, LOCK_EX), 0);
}

static void finish_other(void)
{
	machine_give_to_vfio(NIC0, NULL);
	close(other);
}

static void another_at_work(void **state)
{
	struct stat st;

	(void)state;
	hold_lock();
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_FAILED);
	assert_true(machine_said("another plx-devbind is at work"));
	assert_bound(NIC0, "e1000e");
	/* What it did is seen by the one that waited. */
	machine_meanwhile(finish_other);
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NULL), EXIT_DONE);
	assert_true(machine_said("is bound to vfio-pci already"));
	assert_bound(NIC0, "vfio-pci");
	pci_sysfs_stat(LOCK, &st);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static volatile sig_atomic_t ended;
static char driver_then[PLX_NAME_LEN];

static void end(int number)
{
	ended = number;
	strcpy(driver_then, machine_driver(NIC1));
}

/* SIGTERM comes while the first of two devices is bound: it counts once both are. */
static void ended_between_steps(void **state)
{
	(void)state;
	signal(SIGTERM, end);
	machine_end_at(NIC0);
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NIC1, NULL), EXIT_DONE);
	signal(SIGTERM, SIG_DFL);
	assert_int_equal(ended, SIGTERM);
	assert_string_equal(driver_then, "vfio-pci");
}

static bool remembered_then;

static void end_of_restore(int number)
{
	ended = number;
	remembered_then = pci_sysfs_exists(KEPT) || pci_sysfs_exists(RULE);
}

/* SIGTERM comes while the driver is given back: it counts once all else is done. */
static void ended_in_restore(void **state)
{
	(void)state;
	assert_int_equal(machine_run("bind", "--persist", "vfio-pci", NIC0, NULL), EXIT_DONE);
	remembered_then = true;
	ended = 0;
	signal(SIGTERM, end_of_restore);
	machine_end_at(NIC0);
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	signal(SIGTERM, SIG_DFL);
	assert_int_equal(ended, SIGTERM);
	assert_false(remembered_then);
	assert_bound(NIC0, "e1000e");
}

static void assert_whole(const char *bdf, const char *from, enum exit_code code, unsigned nth)
{
	const char *driver = machine_driver(bdf), *wanted = code ? from : "vfio-pci";

	if (strcmp(driver, wanted) || *machine_override(bdf)) {
		machine_said("(nothing)");
		fail_msg("call %u: exit code %d, %s has the driver '%s' and the override '%s'", nth,
			 code, bdf, driver, machine_override(bdf));
	}
}

/* Whichever call fails: both devices have the new driver, or both the old one. */
static void every_call_failing(void **state)
{
	static const int errs[] = { EIO, EACCES, EROFS };
	unsigned nth, calls, failed = 0;

	(void)state;
	pci_sysfs_fail(0, 0);
	assert_int_equal(machine_run("bind", "vfio-pci", NIC0, NIC1, NULL), EXIT_DONE);
	calls = pci_sysfs_calls();
	assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
	for (nth = 1; nth <= calls; nth++) {
		enum exit_code code;

		pci_sysfs_fail(nth, errs[nth % 3]);
		code = machine_run("bind", "vfio-pci", NIC0, NIC1, NULL);
		pci_sysfs_fail(0, 0);
		assert_whole(NIC0, "e1000e", code, nth);
		assert_whole(NIC1, "e1000e", code, nth);
		/* No half of a record either. */
		assert_false(pci_sysfs_exists("/run/pollux/devbind/" NIC0 ".new"));
		assert_int_equal(pci_sysfs_exists("/run/pollux/devbind/" NIC0), code == EXIT_DONE);
		if (code) {
			failed++;
			assert_true(machine_said(" "));
		} else {
			assert_int_equal(machine_run("restore", NULL), EXIT_DONE);
			assert_whole(NIC0, "e1000e", EXIT_FAILED, nth);
		}
	}
	print_message("# %u calls, %u runs failed\n", calls, failed);
	assert_true(failed > 10);
}

/* Whoever is in whatever use, each of another kind. Returns how many there are. */
static unsigned use_devices(const char *used[8])
{
	unsigned count = 0;

	machine_interface(NIC0, "eth0", 3);
	machine_address(3, "192.0.2.7", 24);
	used[count++] = NIC0;
	machine_give_to_vfio(NIC1, "vfio0");
	pci_sysfs_link("/proc/812/fd/7", "/dev/vfio/11");
	used[count++] = NIC1;
	/* By its number alone, as file systems are mounted that have no node of a disk's name. */
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	machine_disk(NVME0, "nvme0n1p1", "nvme0n1", "259:1\n");
	pci_sysfs_file("/proc/self/mountinfo", "22 1 259:1 / /srv rw - ext4 /dev/root rw\n");
	used[count++] = NVME0;
	machine_add("0000:04:00.0", "0x010802\n", "nvme", 14);
	machine_disk("0000:04:00.0", "nvme1n1", NULL, "259:2\n");
	pci_sysfs_link("/proc/812/fd/8", "/dev/nvme1n1");
	used[count++] = "0000:04:00.0";
	machine_add("0000:05:00.0", "0x010802\n", "nvme", 15);
	machine_char("0000:05:00.0", "nvme2", "241:2");
	pci_sysfs_link("/proc/813/fd/8", "/dev/nvme2");
	used[count++] = "0000:05:00.0";
	machine_add("0000:06:00.0", "0x020000\n", "e1000e", 16);
	machine_give_to_vfio("0000:06:00.0", "vfio6");
	pci_sysfs_link("/proc/814/fd/3", "/dev/vfio/devices/vfio6");
	used[count++] = "0000:06:00.0";
	return count;
}

/* Whichever call fails: what is in use is seen to be, or to be in use perhaps. */
static void in_use_blindly(void **state)
{
	/* Rights to see processes are left out. */
	static const int errs[] = { EIO, EMFILE, ENOMEM };
	unsigned nth, i, calls = 1, seen = 0, count;
	const char *used[8];
	struct inventory inv;

	(void)state;
	count = use_devices(used);
	for (nth = 0; nth <= calls; nth++) {
		pci_sysfs_fail(nth, errs[nth % 3]);
		if (inventory_read(&inv))
			continue;
		calls = nth ? calls : pci_sysfs_calls();
		pci_sysfs_fail(0, 0);
		for (i = 0; i < count; i++) {
			const struct device *dev = inventory_find(&inv, used[i]);

			if (dev && !dev->uses.count)
				fail_msg("call %u: %s is not in use", nth, used[i]);
			seen += dev != NULL;
		}
		inventory_free(&inv);
		assert_int_equal(pci_sysfs_left(), 0);
	}
	pci_sysfs_fail(0, 0);
	print_message("# %u calls\n", calls);
	assert_true(seen > count * calls / 2);
}

/* The same for the calls after that look: who has a disk to himself, and taking the device. */
static void claimed_blindly(void **state)
{
	unsigned nth, before, calls;
	struct inventory inv;

	(void)state;
	machine_disk(NVME0, "nvme0n1", NULL, "259:0\n");
	machine_disk(NVME0, "nvme0n1p1", "nvme0n1", "259:1\n");
	machine_claim("/dev/nvme0n1p1");
	pci_sysfs_fail(0, 0);
	assert_int_equal(inventory_read(&inv), 0);
	before = pci_sysfs_calls();
	inventory_free(&inv);
	pci_sysfs_fail(0, 0);
	machine_report(EXIT_REFUSED, "bind", "vfio-pci", NVME0, NULL);
	calls = pci_sysfs_calls();
	assert_true(calls > before);
	for (nth = before; nth <= calls; nth++) {
		pci_sysfs_fail(nth, EMFILE);
		assert_int_not_equal(machine_run("bind", "vfio-pci", NVME0, NULL), EXIT_DONE);
		pci_sysfs_fail(0, 0);
		assert_bound(NVME0, "nvme");
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(there_and_back),
		TEST(as_dpdk_devbind),
		TEST(help_wins),
		TEST(an_override_is_kept),
		TEST(refusing_driver),
		TEST(failing_in_the_middle),
		TEST(no_way_back),
		TEST(in_use),
		TEST(in_hidden_use),
		TEST(a_long_table),
		TEST(held_by_a_loop),
		TEST(no_answer),
		TEST(held_by_a_program),
		TEST(held_by_a_descriptor),
		TEST(open_without_the_disk),
		TEST(held_by_a_mapping),
		TEST(bars_in_use),
		TEST(many_mappings),
		TEST(bridges_stay),
		TEST(groups),
		TEST(drivers_and_modules),
		TEST(for_other_devices),
		TEST(without_iommu),
		TEST(persistent),
		TEST(persistent_already),
		TEST(persistent_by_driverctl),
		TEST(persistent_by_driverctl_later),
		TEST(persistent_failing),
		TEST(blanks_in_a_name),
		TEST(granted_alone),
		TEST(gone),
		TEST(gone_from_driverctl),
		TEST(another_card),
		TEST(another_card_bound_too),
		TEST(unreadable),
		TEST(another_at_work),
		TEST(ended_between_steps),
		TEST(ended_in_restore),
		TEST(every_call_failing),
		TEST(in_use_blindly),
		TEST(claimed_blindly),
	};

	return cmocka_run_group_tests_name("devbind_bind", tests, NULL, NULL);
}
