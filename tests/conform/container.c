/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Containers before and after they have groups, and groups.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include <linux/vfio.h>

#include "conform.h"

/* linux/vfio.h of later kernels has one more. */
#define EXTENSIONS 10

static const char *const extensions[EXTENSIONS + 1] = {
	[1] = "TYPE1",	   [2] = "SPAPR_TCE",	  [3] = "TYPE1v2",  [4] = "DMA_CC",
	[5] = "EEH",	   [6] = "NESTING",	  [7] = "SPAPR_v2", [8] = "NOIOMMU",
	[9] = "UNMAP_ALL", [10] = "UPDATE_VADDR",
};

static void tell_extensions(const char *when, int container)
{
	char numbers[200] = "";
	unsigned int i;

	for (i = 1; i <= EXTENSIONS; i++) {
		int ret = call_int(container, VFIO_CHECK_EXTENSION, i);
		size_t len = strlen(numbers);

		if (ret > 0)
			snprintf(numbers + len, sizeof(numbers) - len, " %s", extensions[i]);
		else if (ret < 0)
			snprintf(numbers + len, sizeof(numbers) - len, " %s:%s", extensions[i],
				 strerrorname_np(-ret));
	}
	tell(when, 0, "has%s", numbers);
}

void conform_container(const struct conform *c, const char *path)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map) };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap) };
	int fd;

	scene("%s alone", path);
	fd = must("open", node_open(path));
	tell("VFIO_GET_API_VERSION", 0, "%d", call(fd, VFIO_GET_API_VERSION, NULL));
	tell_extensions("VFIO_CHECK_EXTENSION", fd);
	check("VFIO_CHECK_EXTENSION of nothing", call_int(fd, VFIO_CHECK_EXTENSION, 4711));
	check("VFIO_SET_IOMMU to type1v2", call_int(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	check("VFIO_SET_IOMMU to no-IOMMU", call_int(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	check("VFIO_IOMMU_GET_INFO", call(fd, VFIO_IOMMU_GET_INFO, &info));
	map.flags = VFIO_DMA_MAP_FLAG_READ;
	map.vaddr = (uintptr_t)c->mem;
	map.size = CONFORM_MEM;
	check("VFIO_IOMMU_MAP_DMA", call(fd, VFIO_IOMMU_MAP_DMA, &map));
	unmap.size = CONFORM_MEM;
	check("VFIO_IOMMU_UNMAP_DMA", call(fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	check("an unknown command", call(fd, _IO(';', 0xf0), NULL));
	check("VFIO_GROUP_GET_STATUS", call(fd, VFIO_GROUP_GET_STATUS, &info));
	node_close(fd);
}

static int device_fd(int group, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "%.100s", name);
	return call(group, VFIO_GROUP_GET_DEVICE_FD, text);
}

static int closed(int fd)
{
	node_close(fd);
	return fd;
}

static int status(int group)
{
	struct vfio_group_status arg = { .argsz = sizeof(arg) };
	int ret = call(group, VFIO_GROUP_GET_STATUS, &arg);

	return ret < 0 ? ret : (int)arg.flags;
}

static void group_alone(const struct conform *c, int group)
{
	struct vfio_group_status arg = { .argsz = sizeof(arg) - 1 };
	int nothing = -1, unknown = 4711, event;

	check("a second open of the group", closed(group_open(&c->dev[0])));
	tell("VFIO_GROUP_GET_STATUS", 0, "%d", status(group));
	check("VFIO_GROUP_GET_STATUS, too short", call(group, VFIO_GROUP_GET_STATUS, &arg));
	check("VFIO_GROUP_GET_STATUS of no memory", call(group, VFIO_GROUP_GET_STATUS, NULL));
	check("VFIO_GROUP_GET_DEVICE_FD without a container",
	      closed(device_fd(group, c->dev[0].bdf)));
	check("VFIO_GROUP_GET_DEVICE_FD of no memory", call(group, VFIO_GROUP_GET_DEVICE_FD, NULL));
	check("VFIO_GROUP_UNSET_CONTAINER without one",
	      call(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	check("VFIO_GROUP_SET_CONTAINER, negative",
	      call(group, VFIO_GROUP_SET_CONTAINER, &nothing));
	check("VFIO_GROUP_SET_CONTAINER, not open",
	      call(group, VFIO_GROUP_SET_CONTAINER, &unknown));
	check("VFIO_GROUP_SET_CONTAINER of no memory", call(group, VFIO_GROUP_SET_CONTAINER, NULL));
	event = must("eventfd", plx_sys->eventfd(0, EFD_CLOEXEC));
	check("VFIO_GROUP_SET_CONTAINER to an eventfd",
	      call(group, VFIO_GROUP_SET_CONTAINER, &event));
	node_close(event);
	check("VFIO_GROUP_SET_CONTAINER to the group",
	      call(group, VFIO_GROUP_SET_CONTAINER, &group));
	check("an unknown command", call(group, _IO(';', 0xf0), NULL));
}

static void group_inside(const struct conform *c, int group, int container)
{
	char name[128];
	int dev, again;

	check("VFIO_GROUP_SET_CONTAINER", call(group, VFIO_GROUP_SET_CONTAINER, &container));
	check("VFIO_GROUP_SET_CONTAINER again", call(group, VFIO_GROUP_SET_CONTAINER, &container));
	tell("VFIO_GROUP_GET_STATUS inside", 0, "%d", status(group));
	tell_extensions("VFIO_CHECK_EXTENSION inside", container);
	check("VFIO_GROUP_GET_DEVICE_FD before VFIO_SET_IOMMU",
	      closed(device_fd(group, c->dev[0].bdf)));
	check("VFIO_SET_IOMMU to nothing", call_int(container, VFIO_SET_IOMMU, 4711));
	check("VFIO_SET_IOMMU to no-IOMMU",
	      call_int(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	check("VFIO_SET_IOMMU to SPAPR", call_int(container, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_IOMMU));
	check("VFIO_SET_IOMMU to type1v2", call_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	check("VFIO_SET_IOMMU to type1v2 again",
	      call_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	check("VFIO_SET_IOMMU to type1 after v2",
	      call_int(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	tell_extensions("VFIO_CHECK_EXTENSION with a type", container);
	check("VFIO_GROUP_GET_DEVICE_FD of another group", closed(device_fd(group, c->dev[1].bdf)));
	check("VFIO_GROUP_GET_DEVICE_FD of nothing", closed(device_fd(group, "")));
	check("VFIO_GROUP_GET_DEVICE_FD of no function", closed(device_fd(group, "0000:ff:1f.7")));
	snprintf(name, sizeof(name), "%sx", c->dev[0].bdf);
	check("VFIO_GROUP_GET_DEVICE_FD with a letter more", closed(device_fd(group, name)));
	snprintf(name, sizeof(name), "%s colour=red", c->dev[0].bdf);
	check("VFIO_GROUP_GET_DEVICE_FD with an option that isn't there",
	      closed(device_fd(group, name)));
	snprintf(name, sizeof(name), "%s vf_token=", c->dev[0].bdf);
	check("VFIO_GROUP_GET_DEVICE_FD with an empty token", closed(device_fd(group, name)));
	snprintf(name, sizeof(name), "%s vf_token=12345678-1234-1234-1234-123456789abz",
		 c->dev[0].bdf);
	check("VFIO_GROUP_GET_DEVICE_FD with a bad token", closed(device_fd(group, name)));
	snprintf(name, sizeof(name), "%s vf_token=12345678-1234-1234-1234-123456789abc",
		 c->dev[0].bdf);
	check("VFIO_GROUP_GET_DEVICE_FD with a token that isn't wanted",
	      closed(device_fd(group, name)));
	dev = check("VFIO_GROUP_GET_DEVICE_FD", device_fd(group, c->dev[0].bdf));
	again = check("VFIO_GROUP_GET_DEVICE_FD again", device_fd(group, c->dev[0].bdf));
	node_close(again);
	check("VFIO_GROUP_UNSET_CONTAINER with an open device",
	      call(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	if (c->dev[0].cdev[0]) {
		int cdev = check("the cdev is opened", cdev_open(&c->dev[0]));

		check("VFIO_DEVICE_BIND_IOMMUFD while the group is open",
		      call(cdev, _IO(';', 118),
			   &(uint32_t[6]){ 16, 0, (uint32_t)container, 0, 0, 0 }));
		node_close(cdev);
	}
	node_close(dev);
}

/* Groups that go in after, or can't. */
static void second_groups(const struct conform *c, int container)
{
	int group = must("another group", group_open(&c->dev[1])), dev;

	check("another VFIO_GROUP_SET_CONTAINER",
	      call(group, VFIO_GROUP_SET_CONTAINER, &container));
	dev = check("another VFIO_GROUP_GET_DEVICE_FD", device_fd(group, c->dev[1].bdf));
	node_close(dev);
	check("another VFIO_GROUP_UNSET_CONTAINER", call(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	check("another VFIO_GROUP_UNSET_CONTAINER again",
	      call(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	node_close(group);
}

/* One member is held by a driver of the kernel. */
static void not_viable(const struct conform *c, const char *path)
{
	int group = must("the shared group", group_open(&c->dev[2]));
	int container = must("a container", node_open(path));
	int dev;

	scene("%s, a group that isn't viable", path);
	tell("VFIO_GROUP_GET_STATUS", 0, "%d", status(group));
	check("VFIO_GROUP_SET_CONTAINER", call(group, VFIO_GROUP_SET_CONTAINER, &container));
	tell("VFIO_GROUP_GET_STATUS after", 0, "%d", status(group));
	check("VFIO_SET_IOMMU", call_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	dev = check("VFIO_GROUP_GET_DEVICE_FD", device_fd(group, c->dev[2].bdf));
	node_close(dev);
	node_close(group);
	node_close(container);
}

void conform_groups(const struct conform *c, const char *path)
{
	int group, container;

	scene("%s, a group", path);
	group = must("the group", group_open(&c->dev[0]));
	container = must("a container", node_open(path));
	group_alone(c, group);
	group_inside(c, group, container);
	second_groups(c, container);
	check("VFIO_GROUP_UNSET_CONTAINER", call(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
	tell("VFIO_GROUP_GET_STATUS outside", 0, "%d", status(group));
	tell_extensions("VFIO_CHECK_EXTENSION outside", container);
	check("VFIO_GROUP_SET_CONTAINER once more",
	      call(group, VFIO_GROUP_SET_CONTAINER, &container));
	check("VFIO_SET_IOMMU once more", call_int(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	node_close(group);
	group = must("the group", group_open(&c->dev[0]));
	tell("VFIO_GROUP_GET_STATUS after its file was closed", 0, "%d", status(group));
	node_close(group);
	node_close(container);
	not_viable(c, path);
}
