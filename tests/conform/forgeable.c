/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine that doesn't remap interrupts: any device could forge them, so that nobody is given
 * one, unless the kernel's modules were told that this is fine.
 */
#include <errno.h>
#include <stdio.h>

#include <linux/vfio.h>

#include "conform.h"
#include "fake_abi.h"

static void by_group(const struct conform *c, const char *path)
{
	int group = must("the group", group_open(&c->dev[0])), dev;
	int fd = must("a container", node_open(path));
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char name[32];
	int ret;

	ret = call(group, VFIO_GROUP_GET_STATUS, &status);
	tell("VFIO_GROUP_GET_STATUS", ret, "%u", status.flags);
	tell("VFIO_CHECK_EXTENSION", 0, "type1 %d, type1v2 %d",
	     call_int(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU),
	     call_int(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	check("VFIO_GROUP_SET_CONTAINER", call(group, VFIO_GROUP_SET_CONTAINER, &fd));
	check("VFIO_SET_IOMMU to type1v2", call_int(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	check("VFIO_SET_IOMMU to type1", call_int(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	snprintf(name, sizeof(name), "%s", c->dev[0].bdf);
	dev = call(group, VFIO_GROUP_GET_DEVICE_FD, name);
	check("VFIO_GROUP_GET_DEVICE_FD", dev < 0 ? dev : 0);
	node_close(dev);
	check("VFIO_GROUP_UNSET_CONTAINER", call(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	node_close(group);
	node_close(fd);
}

static void by_cdev(const struct conform *c)
{
	int dev = must("the cdev", cdev_open(&c->dev[0]));
	int fd = must("/dev/iommu", node_open("/dev/iommu"));
	struct fk_bind_iommufd bind = { .argsz = 16, .iommufd = fd };
	struct fk_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct fk_attach_pt attach = { .argsz = sizeof(attach) };

	check("bind", call(dev, FK_BIND_IOMMUFD, &bind));
	must("IOMMU_IOAS_ALLOC", call(fd, FK_IOAS_ALLOC, &alloc));
	attach.pt_id = alloc.out_ioas_id;
	check("attach", call(dev, FK_ATTACH_PT, &attach));
	node_close(dev);
	node_close(fd);
}

static void all(const struct conform *c, const char *how)
{
	scene("interrupts %s, /dev/vfio/vfio", how);
	by_group(c, "/dev/vfio/vfio");
	scene("interrupts %s, /dev/iommu", how);
	by_group(c, "/dev/iommu");
	scene("interrupts %s, cdev", how);
	by_cdev(c);
}

void conform_forgeable(const struct conform *c)
{
	all(c, "forgeable");
	c->env->trust(true);
	all(c, "forgeable, devices trusted");
	c->env->trust(false);
}
