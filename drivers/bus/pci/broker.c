/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <pollux/log.h>

#include "broker.h"
#include "sys.h"

#define PATIENCE_MS 10000

static int say(const struct pci_fn *fn, int err, const char *what)
{
	plx_err("%s: the broker at %s %s: %s", fn->pci.name, fn->broker, what, strerror(-err));
	return err;
}

static int send_request(int fd, const struct pci_fn *fn)
{
	struct pci_broker_request request = {
		.version = PCI_BROKER_VERSION,
		.modes = fn->opts.modes & PCI_BROKER_MODES,
	};
	struct iovec part = { .iov_base = &request, .iov_len = sizeof(request) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	memcpy(request.name, fn->pci.name, sizeof(request.name) - 1);
	return plx_sys->sendmsg(fd, &msg, MSG_NOSIGNAL) == sizeof(request) ? 0 : -errno;
}

static int wait_for_reply(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int ready;

	do
		ready = plx_sys->poll(&pollfd, 1, PATIENCE_MS);
	while (ready < 0 && errno == EINTR);
	return ready < 0 ? -errno : ready ? 0 : -ETIMEDOUT;
}

/* Returns how many descriptors came. More than we have room for the kernel doesn't hand over. */
static unsigned take_fds(struct msghdr *msg, int fds[PCI_BROKER_FDS])
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	size_t len;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
		return 0;
	len = cmsg->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(cmsg), len);
	return (unsigned)(len / sizeof(int));
}

static void close_all(const int *fds, unsigned count)
{
	while (count--)
		plx_sys->close(fds[count]);
}

static int receive(int fd, const char *name, struct pci_broker_reply *reply,
		   int fds[PCI_BROKER_FDS])
{
	union {
		char bytes[CMSG_SPACE(PCI_BROKER_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { .iov_base = reply, .iov_len = sizeof(*reply) };
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t len = plx_sys->recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	unsigned count;

	if (len < 0)
		return -errno;
	count = take_fds(&msg, fds);
	if (len != sizeof(*reply) || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    reply->version != PCI_BROKER_VERSION || reply->err > 0 || reply->err < -4095 ||
	    count != (reply->err ? 0 : PCI_BROKER_FDS) ||
	    (!reply->err && strncmp(reply->name, name, sizeof(reply->name)))) {
		close_all(fds, count);
		return -EPROTO;
	}
	reply->text[sizeof(reply->text) - 1] = '\0';
	return 0;
}

static int converse(const struct pci_fn *fn, struct pci_broker_reply *reply,
		    int fds[PCI_BROKER_FDS])
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = plx_sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	strcpy(addr.sun_path, fn->broker); /* its length was looked at: args.c */
	err = plx_sys->connect(fd, &addr, sizeof(addr)) ? -errno : 0;
	err = err ? err : send_request(fd, fn);
	/* Whom it gives nothing it answers unasked, and reads no more. */
	err = err == -EPIPE ? 0 : err;
	err = err ? err : wait_for_reply(fd);
	err = err ? err : receive(fd, fn->pci.name, reply, fds);
	plx_sys->close(fd);
	return err;
}

/*
 * lib/vfio tells files apart by their descriptors, and memory is to be mapped once for all
 * functions: the first of a kind serves them all, for as long as there is a bus.
 */
static int adopt(int *shared, int fd)
{
	if (*shared < 0)
		*shared = fd;
	else
		plx_sys->close(fd);
	return *shared;
}

static int keep(struct plx_pci_bus *bus, struct pci_fn *fn, const struct pci_broker_reply *reply,
		const int fds[PCI_BROKER_FDS])
{
	switch (reply->mode) {
	case PLX_VFIO_CDEV:
		/* An IOAS is its file's. */
		if (bus->iommufd < 0)
			bus->ioas_id = reply->ioas_id;
		fn->opts.cdev_fd = fds[0];
		fn->opts.iommufd = adopt(&bus->iommufd, fds[1]);
		fn->opts.ioas_id = bus->ioas_id;
		return 0;
	case PLX_VFIO_TYPE1V2:
	case PLX_VFIO_TYPE1:
		fn->opts.group_fd = fds[0];
		fn->opts.container_fd = adopt(&bus->container_fd, fds[1]);
		return 0;
	case PLX_VFIO_COMPAT:
		fn->opts.group_fd = fds[0];
		fn->opts.iommufd = adopt(&bus->iommufd, fds[1]);
		return 0;
	default: close_all(fds, PCI_BROKER_FDS); return -EPROTO;
	}
}

static bool same_group(const struct pci_fn *one, const struct pci_fn *other)
{
	char path[PATH_MAX], group[2][16];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", one->pci.name);
	if (plx_sys_link_name(path, group[0], sizeof(group[0])))
		return false;
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", other->pci.name);
	return !plx_sys_link_name(path, group[1], sizeof(group[1])) && !strcmp(group[0], group[1]);
}

/* A group is opened once: another function of it may have it already. 1: so it was. */
static int join_group(const struct plx_pci_bus *bus, struct pci_fn *fn)
{
	const struct pci_fn *other;

	TAILQ_FOREACH(other, &bus->fns, link) {
		if (other == fn || !other->broker || other->opts.group_fd < 0 ||
		    !same_group(fn, other))
			continue;
		fn->opts.group_fd = plx_sys->dup(other->opts.group_fd);
		if (fn->opts.group_fd < 0)
			return say(fn, -errno, "has given the group, which can't be shared");
		fn->opts.container_fd = other->opts.container_fd;
		fn->opts.iommufd = other->opts.iommufd;
		return 1;
	}
	return 0;
}

int plx_pci_broker_ask(struct plx_pci_bus *bus, struct pci_fn *fn)
{
	struct pci_broker_reply reply = { 0 };
	int fds[PCI_BROKER_FDS];
	int err;

	if (!fn->broker || fn->opts.cdev_fd >= 0 || fn->opts.group_fd >= 0)
		return 0;
	err = join_group(bus, fn);
	if (err)
		return err > 0 ? 0 : err;
	err = converse(fn, &reply, fds);
	if (err)
		return say(fn, err, "can't be asked");
	if (reply.err) {
		plx_err("%s: refused by the broker at %s: %s", fn->pci.name, fn->broker,
			reply.text);
		return reply.err;
	}
	err = keep(bus, fn, &reply, fds);
	return err ? say(fn, err, "makes no sense") : 0;
}

static void let_go(int *fd)
{
	if (*fd >= 0)
		plx_sys->close(*fd);
	*fd = -1;
}

void plx_pci_broker_release(struct pci_fn *fn)
{
	if (!fn->broker)
		return;
	let_go(&fn->opts.cdev_fd);
	let_go(&fn->opts.group_fd);
	fn->opts.iommufd = fn->opts.container_fd = -1;
	fn->opts.ioas_id = 0;
}

void plx_pci_broker_cleanup(struct plx_pci_bus *bus)
{
	let_go(&bus->iommufd);
	let_go(&bus->container_fd);
	bus->ioas_id = 0;
}
