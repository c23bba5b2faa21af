/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network interfaces, and what the kernel does with them: addresses and routes by rtnetlink(7),
 * bridges, bonds and the like by the links that sysfs has for them.
 *
 * An interface that is merely up has an IPv6 link-local address and routes to it. Nobody chose
 * them, so they don't count.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/rtnetlink.h>
#include <net/if.h>

#include "device.h"
#include "files.h"
#include "sys.h"

#define MESSAGE_MAX 32768 /* the kernel fills dumps in pieces of up to 32 KiB */

struct interface {
	struct interface *next;
	struct device *dev;
	char name[IF_NAMESIZE];
	uint64_t index;
	unsigned routes;
	bool is_default;
};

struct net {
	struct interface *first, **end;
	char message[MESSAGE_MAX];
};

/* Bridges, bonds, VLANs and others that stand on an interface: links called upper_NAME. */
static int add_uppers(struct device *dev, const char *name)
{
	char path[64];
	struct dirent *entry;
	int err = 0, blind = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	dir = plx_sys->opendir(path);
	if (!dir)
		return device_blind(dev, path, -errno);
	while (!err && (entry = file_next(dir, &blind)))
		if (!strncmp(entry->d_name, "upper_", 6))
			err = texts_add(&dev->uses, "%s is part of %s", name, entry->d_name + 6);
	plx_sys->closedir(dir);
	return err ? err : device_blind(dev, path, blind);
}

static int add_interface(void *ctx, struct device *dev, const char *name)
{
	struct net *net = ctx;
	struct interface *interface;
	uint64_t index;
	char path[64];
	int err;

	if (strlen(name) >= sizeof(interface->name))
		return 0;
	snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", name);
	err = plx_sys_read_u64(path, &index);
	if (err)
		return device_blind(dev, path, err);
	interface = plx_sys->alloc(sizeof(*interface));
	if (!interface)
		return -ENOMEM;
	*interface = (struct interface){ .dev = dev, .index = index };
	strcpy(interface->name, name);
	*net->end = interface;
	net->end = &interface->next;
	err = texts_add(&dev->interfaces, "%s", name);
	return err ? err : add_uppers(dev, name);
}

static struct interface *find(struct net *net, uint64_t index)
{
	struct interface *interface = net->first;

	while (interface && interface->index != index)
		interface = interface->next;
	return interface;
}

/* The payload of an attribute if it has at least len bytes, or NULL. */
static const void *payload(const struct rtattr *attr, size_t len)
{
	return RTA_PAYLOAD(attr) >= len ? RTA_DATA(attr) : NULL;
}

static bool link_local(int family, const void *addr)
{
	return family == AF_INET6 && (IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)addr) ||
				      IN6_IS_ADDR_MULTICAST((const struct in6_addr *)addr));
}

static size_t address_len(int family)
{
	return family == AF_INET    ? sizeof(struct in_addr)
	       : family == AF_INET6 ? sizeof(struct in6_addr)
				    : 0;
}

static int take_address(struct net *net, const struct nlmsghdr *msg)
{
	const struct ifaddrmsg *head = NLMSG_DATA(msg);
	const struct rtattr *attr = IFA_RTA(head);
	size_t addr_len = address_len(head->ifa_family);
	int len = (int)IFA_PAYLOAD(msg);
	const void *addr = NULL;
	char text[INET6_ADDRSTRLEN];
	struct interface *interface = find(net, head->ifa_index);

	/* IFA_LOCAL is the interface's own address; IFA_ADDRESS may be a peer's, but is all of
	 * IPv6. */
	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len))
		if (attr->rta_type == IFA_LOCAL || (attr->rta_type == IFA_ADDRESS && !addr))
			addr = payload(attr, addr_len);
	if (!interface || !addr_len || !addr || link_local(head->ifa_family, addr))
		return 0;
	inet_ntop(head->ifa_family, addr, text, sizeof(text));
	return texts_add(&interface->dev->uses, "%s has the address %s/%u", interface->name, text,
			 head->ifa_prefixlen);
}

static void count_route(struct net *net, uint64_t index, bool is_default)
{
	struct interface *interface = find(net, index);

	if (!interface)
		return;
	interface->routes++;
	interface->is_default |= is_default;
}

static void take_hops(struct net *net, const struct rtattr *attr, bool is_default)
{
	const struct rtnexthop *hop = RTA_DATA(attr);
	int len = (int)RTA_PAYLOAD(attr);

	for (; RTNH_OK(hop, len); len -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
		count_route(net, hop->rtnh_ifindex, is_default);
}

static int take_route(struct net *net, const struct nlmsghdr *msg)
{
	const struct rtmsg *head = NLMSG_DATA(msg);
	const struct rtattr *attr;
	size_t addr_len = address_len(head->rtm_family);
	const void *to;
	int len;

	if (head->rtm_type != RTN_UNICAST || head->rtm_table == RT_TABLE_LOCAL || !addr_len)
		return 0;
	for (attr = RTM_RTA(head), len = (int)RTM_PAYLOAD(msg); RTA_OK(attr, len);
	     attr = RTA_NEXT(attr, len))
		if (attr->rta_type == RTA_DST && (to = payload(attr, addr_len)) &&
		    link_local(head->rtm_family, to))
			return 0;
	for (attr = RTM_RTA(head), len = (int)RTM_PAYLOAD(msg); RTA_OK(attr, len);
	     attr = RTA_NEXT(attr, len)) {
		if (attr->rta_type == RTA_OIF && payload(attr, sizeof(uint32_t)))
			count_route(net, *(const uint32_t *)RTA_DATA(attr), !head->rtm_dst_len);
		else if (attr->rta_type == RTA_MULTIPATH)
			take_hops(net, attr, !head->rtm_dst_len);
	}
	return 0;
}

/* One message of a dump: 1 to go on, 0 at the end, or -errno. */
static int take_message(struct net *net, const struct nlmsghdr *msg)
{
	int err = 0;

	if (msg->nlmsg_type == NLMSG_DONE)
		return 0;
	if (msg->nlmsg_type == NLMSG_ERROR)
		return -EIO;
	if (msg->nlmsg_type == RTM_NEWADDR &&
	    msg->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
		err = take_address(net, msg);
	else if (msg->nlmsg_type == RTM_NEWROUTE &&
		 msg->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)))
		err = take_route(net, msg);
	return err ? err : 1;
}

/* One datagram of a dump. As take_message(). */
static int take_datagram(struct net *net, int fd)
{
	struct iovec part = { .iov_base = net->message, .iov_len = sizeof(net->message) };
	struct msghdr datagram = { .msg_iov = &part, .msg_iovlen = 1 };
	const struct nlmsghdr *msg = (const struct nlmsghdr *)net->message;
	ssize_t len = plx_sys->recvmsg(fd, &datagram, 0);
	int more = 1;

	if (len < 0 && errno == EINTR)
		return 1;
	if (len <= 0)
		return len ? -errno : -EIO;
	for (; more > 0 && NLMSG_OK(msg, (size_t)len); msg = NLMSG_NEXT(msg, len))
		more = take_message(net, msg);
	return more;
}

/* 0 or -errno. */
static int dump(struct net *net, int type)
{
	struct {
		struct nlmsghdr head;
		struct rtgenmsg family; /* 0: of all */
	} request = {
		.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
			  .nlmsg_type = (uint16_t)type,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	int fd = plx_sys->socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int more;

	if (fd < 0)
		return -errno;
	more = plx_sys->write(fd, &request, request.head.nlmsg_len) < 0 ? -errno : 1;
	while (more > 0)
		more = take_datagram(net, fd);
	plx_sys->close(fd);
	return more;
}

static int tell_routes(struct net *net)
{
	struct interface *interface;
	int err = 0;

	for (interface = net->first; interface && !err; interface = interface->next) {
		if (!interface->routes)
			continue;
		interface->dev->active = true;
		if (interface->is_default)
			err = texts_add(&interface->dev->uses, "%s carries the default route",
					interface->name);
		else
			err = texts_add(&interface->dev->uses, "%s carries %u route%s",
					interface->name, interface->routes,
					interface->routes == 1 ? "" : "s");
	}
	return err;
}

/* What can't be seen may be there. */
static int tell_blind(struct net *net, int why)
{
	struct interface *interface;
	int err = 0;

	for (interface = net->first; interface && !err; interface = interface->next)
		err = texts_add(&interface->dev->uses,
				"%s may be: its addresses and routes can't be asked for (%s)",
				interface->name, strerror(-why));
	return err;
}

static int ask_kernel(struct net *net)
{
	int err = dump(net, RTM_GETADDR);

	err = err ? err : dump(net, RTM_GETROUTE);
	if (err && err != -ENOMEM)
		return tell_blind(net, err);
	return err ? err : tell_routes(net);
}

static bool may_be_there(const char *path)
{
	return !plx_sys->access(path, F_OK) || errno != ENOENT;
}

/*
 * The folder of a function's interfaces is there in all network namespaces, the interfaces only
 * in their own. It is the function's, or a child's (virtio0/net); links lead to other functions.
 */
static bool may_have_net_folder(const struct device *dev)
{
	char path[400];
	struct dirent *entry;
	int err = 0;
	bool found;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/net", dev->bdf);
	found = may_be_there(path);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", dev->bdf);
	dir = found ? NULL : plx_sys->opendir(path);
	if (!dir)
		return found || errno != ENOENT;
	while (!found && (entry = file_next(dir, &err))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s/net", dev->bdf,
			 entry->d_name);
		found = may_be_there(path);
	}
	plx_sys->closedir(dir);
	return found || err;
}

static int tell_hidden(struct inventory *inv)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < inv->count && !err; i++) {
		struct device *dev = &inv->dev[i];

		if (device_is_endpoint(dev) && !dev->interfaces.count && may_have_net_folder(dev))
			err = texts_add(&dev->uses,
					"its interface may be in another network namespace");
	}
	return err;
}

int inventory_net(struct inventory *inv)
{
	struct net *net = plx_sys->alloc(sizeof(*net));
	struct interface *interface;
	int err;

	if (!net)
		return -ENOMEM;
	net->end = &net->first;
	err = inventory_each(inv, "/sys/class/net", add_interface, net);
	if (!err && net->first)
		err = ask_kernel(net);
	err = err ? err : tell_hidden(inv);
	while ((interface = net->first)) {
		net->first = interface->next;
		plx_sys->free(interface);
	}
	plx_sys->free(net);
	return err;
}
