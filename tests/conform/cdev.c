/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device cdevs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <linux/vfio.h>

#include "conform.h"
#include "fake_abi.h"

static int bind_to(int dev, uint32_t argsz, uint32_t flags, int iommufd, const void *token)
{
	struct fk_bind_iommufd arg = {
		.argsz = argsz,
		.flags = flags,
		.iommufd = iommufd,
		.token = (uintptr_t)token,
	};

	return call(dev, FK_BIND_IOMMUFD, &arg);
}

static void inert(int dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	char byte;
	void *va;

	check("VFIO_DEVICE_GET_INFO before the bind", call(dev, VFIO_DEVICE_GET_INFO, &info));
	check("VFIO_DEVICE_RESET before the bind", call(dev, VFIO_DEVICE_RESET, NULL));
	check("attach before the bind", call(dev, FK_ATTACH_PT, &info));
	check("an unknown command before the bind", call(dev, _IO(';', 0xf0), NULL));
	check("read before the bind", plx_sys->pread(dev, &byte, 1, 0) < 0 ? -errno : 0);
	va = plx_sys->mmap(NULL, 4096, PROT_READ, MAP_SHARED, dev, 0);
	check("mmap before the bind", va == MAP_FAILED ? -errno : 0);
}

static void wrong_binds(const struct conform *c, int dev, int iommufd)
{
	static const uint8_t token[16] = { 1, 2, 3 };
	int event = must("eventfd", plx_sys->eventfd(0, EFD_CLOEXEC));
	int group = must("the group", group_open(&c->dev[0]));

	check("bind while the group is open", bind_to(dev, 16, 0, iommufd, NULL));
	node_close(group);
	check("bind of no argument", call(dev, FK_BIND_IOMMUFD, NULL));
	check("bind, too short", bind_to(dev, 15, 0, iommufd, NULL));
	check("bind with a flag that isn't there", bind_to(dev, 24, 1u << 9, iommufd, NULL));
	check("bind to a negative file", bind_to(dev, 16, 0, -1, NULL));
	check("bind to a file that isn't open", bind_to(dev, 16, 0, 4711, NULL));
	check("bind to an eventfd", bind_to(dev, 16, 0, event, NULL));
	check("bind to the device", bind_to(dev, 16, 0, dev, NULL));
	check("bind with a token that isn't wanted", bind_to(dev, 24, 1, iommufd, token));
	check("bind with the flag of a token, too short", bind_to(dev, 16, 1, iommufd, token));
	check("bind with a token at no address", bind_to(dev, 24, 1, iommufd, NULL));
	node_close(event);
}

static void exclusive(const struct conform *c, int dev, int iommufd)
{
	int again = check("a second open", cdev_open(&c->dev[0]));
	int group;

	check("bind again", bind_to(dev, 16, 0, iommufd, NULL));
	check("bind of the second file", bind_to(again, 16, 0, iommufd, NULL));
	node_close(again);
	group = check("the group is opened", group_open(&c->dev[0]));
	node_close(group);
}

/* One member of its group is held by a driver of the kernel. */
static void not_viable(const struct conform *c, int iommufd)
{
	int dev = check("open in a group that isn't viable", cdev_open(&c->dev[2]));

	check("bind in a group that isn't viable", bind_to(dev, 16, 0, iommufd, NULL));
	node_close(dev);
}

void conform_cdev(const struct conform *c)
{
	int iommufd = must("/dev/iommu", node_open("/dev/iommu"));
	int other = must("/dev/iommu", node_open("/dev/iommu")), dev;

	scene("cdev");
	dev = check("open", cdev_open(&c->dev[0]));
	inert(dev);
	wrong_binds(c, dev, iommufd);
	check("bind", bind_to(dev, 16, 0, iommufd, NULL));
	exclusive(c, dev, other);
	not_viable(c, iommufd);
	conform_device(c, dev, false);
	node_close(dev);
	scene("cdev");
	dev = check("open after", cdev_open(&c->dev[0]));
	check("bind after", bind_to(dev, 24, 0, other, NULL));
	node_close(iommufd);
	node_close(other);
	check("a command after the iommufd was closed", call(dev, VFIO_DEVICE_RESET, NULL));
	node_close(dev);
}
