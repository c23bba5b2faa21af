/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hot plug: the kernel's own uevents, from a netlink socket. No udev is needed, and what udev or
 * any other process sends is not listened to.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#include <pollux/log.h>

#include "bus.h"
#include "sys.h"

#define KERNEL_GROUP 1	  /* of NETLINK_KOBJECT_UEVENT; udev speaks to group 2 */
#define MESSAGE_MAX  8192 /* the kernel builds them in 2 KiB, behind a path */

struct plx_pci_monitor {
	int fd;
};

int plx_pci_monitor_open(struct plx_pci_monitor **out)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	struct plx_pci_monitor *monitor;
	int err;

	monitor = plx_sys->alloc(sizeof(*monitor));
	if (!monitor)
		return -ENOMEM;
	monitor->fd = plx_sys->socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				      NETLINK_KOBJECT_UEVENT);
	if (monitor->fd < 0) {
		err = -errno;
		goto free_monitor;
	}
	if (plx_sys->bind(monitor->fd, &addr, sizeof(addr))) {
		err = -errno;
		goto close_fd;
	}
	*out = monitor;
	return 0;

close_fd:
	plx_sys->close(monitor->fd);
free_monitor:
	plx_sys->free(monitor);
	plx_err("can't listen for PCI hot plug (kernel uevents): %s", strerror(-err));
	return err;
}

void plx_pci_monitor_close(struct plx_pci_monitor *monitor)
{
	if (!monitor)
		return;
	plx_sys->close(monitor->fd);
	plx_sys->free(monitor);
}

int plx_pci_monitor_fd(const struct plx_pci_monitor *monitor)
{
	return monitor->fd;
}

static bool action_type(const char *action, enum plx_pci_event_type *type)
{
	static const char *const actions[] = {
		[PLX_PCI_ADDED] = "add",
		[PLX_PCI_REMOVED] = "remove",
		[PLX_PCI_BOUND] = "bind",
		[PLX_PCI_UNBOUND] = "unbind",
	};
	unsigned i;

	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (!strcmp(action, actions[i])) {
			*type = i;
			return true;
		}
	}
	return false;
}

/* The value of KEY=VALUE if the string is of that key, or NULL. */
static const char *value_of(const char *string, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(string, key, len) && string[len] == '=' ? string + len + 1 : NULL;
}

int plx_pci_monitor_parse(const char *msg, size_t len, struct plx_pci_event *event)
{
	const char *action = "", *subsystem = "", *slot = "", *driver = "";
	const char *end = msg + len, *value;
	uint64_t addr;

	/* With a NUL as its last byte every string in it ends inside. */
	if (!len || end[-1])
		return 0;
	/* The summary line, "ACTION@PATH", comes first; what udev sends has none. */
	if (!strchr(msg, '@'))
		return 0;
	for (msg += strlen(msg) + 1; msg < end; msg += strlen(msg) + 1) {
		if ((value = value_of(msg, "ACTION")))
			action = value;
		else if ((value = value_of(msg, "SUBSYSTEM")))
			subsystem = value;
		else if ((value = value_of(msg, "PCI_SLOT_NAME")))
			slot = value;
		else if ((value = value_of(msg, "DRIVER")))
			driver = value;
	}
	if (strcmp(subsystem, "pci") || !action_type(action, &event->type) ||
	    plx_pci_addr_parse(slot, false, &addr))
		return 0;
	plx_pci_addr_name(addr, event->name);
	/* Half a name would be a wrong one. */
	if (strlen(driver) >= sizeof(event->driver))
		driver = "";
	strcpy(event->driver, driver);
	return 1;
}

int plx_pci_monitor_read(struct plx_pci_monitor *monitor, struct plx_pci_event *event)
{
	struct sockaddr_nl from;
	char buf[MESSAGE_MAX];
	struct iovec part = { .iov_base = buf, .iov_len = sizeof(buf) };
	ssize_t len;

	for (;;) {
		struct msghdr msg = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &part,
			.msg_iovlen = 1,
		};

		len = plx_sys->recvmsg(monitor->fd, &msg, 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? 0 : -errno;
		/* Port 0 is the kernel: any process may send to the port of any other. */
		if (msg.msg_namelen != sizeof(from) || from.nl_pid)
			continue;
		if (msg.msg_flags & MSG_TRUNC)
			return -ENOBUFS;
		if (plx_pci_monitor_parse(buf, len, event))
			return 1;
	}
}
