/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab-hotplug: makes the kernel unbind, bind, remove and find again one PCI function, and expects
 * the bus's monitor to report each. Takes the function's full name; it must be bound to a driver.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <pollux/pci.h>

#define WAIT_MS 10000

static const char *const type_names[] = {
	[PLX_PCI_ADDED] = "added",
	[PLX_PCI_REMOVED] = "removed",
	[PLX_PCI_BOUND] = "bound",
	[PLX_PCI_UNBOUND] = "unbound",
};

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t wrote = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (wrote < 0)
		printf("FAIL: writing %s to %s: %s\n", text, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return wrote < 0 ? -1 : 0;
}

/* Waits for one event about the function; those about others are passed over. */
static int expect(struct plx_pci_monitor *monitor, const char *name, enum plx_pci_event_type type)
{
	struct pollfd poll_fd = { .fd = plx_pci_monitor_fd(monitor), .events = POLLIN };
	struct plx_pci_event event;
	int got;

	for (;;) {
		got = plx_pci_monitor_read(monitor, &event);
		if (got < 0) {
			printf("FAIL: reading the monitor: %s\n", strerror(-got));
			return -1;
		}
		if (got && !strcmp(event.name, name))
			break;
		if (!got && poll(&poll_fd, 1, WAIT_MS) != 1) {
			printf("FAIL: no event within %u ms: %s was expected\n", WAIT_MS,
			       type_names[type]);
			return -1;
		}
	}
	if (event.type != type) {
		printf("FAIL: %s was reported, %s expected\n", type_names[event.type],
		       type_names[type]);
		return -1;
	}
	printf("ok   %s %s %s\n", event.name, type_names[event.type], event.driver);
	return 0;
}

static int provoke(struct plx_pci_monitor *monitor, const char *name)
{
	char driver[128], remove[128], path[160];

	snprintf(driver, sizeof(driver), "/sys/bus/pci/devices/%s/driver", name);
	snprintf(remove, sizeof(remove), "/sys/bus/pci/devices/%s/remove", name);
	snprintf(path, sizeof(path), "%s/unbind", driver);
	if (write_text(path, name) || expect(monitor, name, PLX_PCI_UNBOUND))
		return -1;
	if (write_text("/sys/bus/pci/drivers_probe", name) || expect(monitor, name, PLX_PCI_BOUND))
		return -1;
	if (write_text(remove, "1") || expect(monitor, name, PLX_PCI_UNBOUND) ||
	    expect(monitor, name, PLX_PCI_REMOVED))
		return -1;
	return write_text("/sys/bus/pci/rescan", "1") || expect(monitor, name, PLX_PCI_ADDED) ? -1
											      : 0;
}

int main(int argc, char **argv)
{
	struct plx_pci_monitor *monitor;
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2) {
		printf("usage: lab-hotplug BDF\n");
		return 1;
	}
	err = plx_pci_monitor_open(&monitor);
	if (err) {
		printf("FAIL: opening the monitor: %s\n", strerror(-err));
		return 1;
	}
	err = provoke(monitor, argv[1]);
	plx_pci_monitor_close(monitor);
	if (err)
		return 1;
	printf("pass: every event of %s was reported\n", argv[1]);
	return 0;
}
