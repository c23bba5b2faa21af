/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reset of a function, and hot reset of all that share its slot or bus.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <pollux/log.h>

#include "dev.h"
#include "uapi.h"

/* A bus has 256 functions; a slot's reset may take subordinate buses with it. */
#define MAX_AFFECTED 4096u

int plx_vfio_reset(struct plx_vfio_dev *dev)
{
	int err;

	if (!(dev->flags & VFIO_DEVICE_FLAGS_RESET))
		return -EOPNOTSUPP;
	pthread_mutex_lock(&dev->lock);
	err = dev->ops->reset(dev);
	pthread_mutex_unlock(&dev->lock);
	return err;
}

/* The devices that a hot reset takes with it. */
static int get_affected(struct plx_vfio_dev *dev, struct vfio_pci_hot_reset_info **out)
{
	uint32_t count = 0;
	int tries, err;

	for (tries = 0; tries < 4; tries++) {
		size_t size = sizeof(struct vfio_pci_hot_reset_info) +
			      count * sizeof(struct vfio_pci_dependent_device);
		struct vfio_pci_hot_reset_info *info = plx_sys->alloc(size);

		if (!info)
			return -ENOMEM;
		info->argsz = size;
		err = plx_ioctl(dev->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
		if (!err && info->count <= count) {
			*out = info;
			return 0;
		}
		if (err && err != -ENOSPC) {
			plx_sys->free(info);
			/* ENOTTY: this bus has no reset of its own; ENODEV: nor has the slot. */
			return err == -ENOTTY || err == -ENODEV ? -EOPNOTSUPP : err;
		}
		count = info->count;
		plx_sys->free(info);
		if (count > MAX_AFFECTED)
			return -EOVERFLOW;
	}
	return -EAGAIN;
}

static void name_affected(const struct vfio_pci_dependent_device *d, char *bdf, size_t len)
{
	snprintf(bdf, len, "%04x:%02x:%02x.%x", d->segment, d->bus, d->devfn >> 3, d->devfn & 7);
}

/* Kernel's word for a cdev: each affected device is ours, or has no owner but is in our groups. */
static int check_owned(const struct plx_vfio_dev *dev, const struct vfio_pci_hot_reset_info *info)
{
	char bdf[PLX_BDF_LEN * 2];
	uint32_t i;

	if (info->flags & UAPI_HOT_RESET_FLAG_DEV_ID_OWNED)
		return 0;
	for (i = 0; i < info->count; i++) {
		/* The field is the group's number in the older form. */
		if (info->devices[i].group_id != UAPI_DEVID_NOT_OWNED)
			continue;
		name_affected(&info->devices[i], bdf, sizeof(bdf));
		plx_err("%s: hot reset refused: %s is affected and not ours", dev->name, bdf);
		return -EPERM;
	}
	plx_err("%s: hot reset refused: the kernel says that not all that is affected is ours, and "
		"not what isn't",
		dev->name);
	return -EPERM;
}

static const struct plx_group *our_group(const struct plx_ioas *ioas, uint32_t id)
{
	const struct plx_group *group = ioas->groups;

	while (group && (group->id < 0 || (uint32_t)group->id != id))
		group = group->next;
	return group;
}

/* The files of all affected groups, each once. */
static int collect_groups(const struct plx_vfio_dev *dev,
			  const struct vfio_pci_hot_reset_info *info,
			  struct vfio_pci_hot_reset *reset)
{
	char bdf[PLX_BDF_LEN * 2];
	uint32_t i, k;

	for (i = 0; i < info->count; i++) {
		const struct vfio_pci_dependent_device *d = &info->devices[i];
		const struct plx_group *group = our_group(dev->ioas, d->group_id);

		if (!group) {
			name_affected(d, bdf, sizeof(bdf));
			plx_err("%s: hot reset refused: %s (group %u) is affected and not ours",
				dev->name, bdf, d->group_id);
			return -EPERM;
		}
		for (k = 0; k < reset->count && reset->group_fds[k] != group->fd; k++)
			;
		if (k == reset->count)
			reset->group_fds[reset->count++] = group->fd;
	}
	return 0;
}

int plx_hot_reset(struct plx_vfio_dev *dev)
{
	struct vfio_pci_hot_reset_info *info;
	struct vfio_pci_hot_reset *reset;
	int err = get_affected(dev, &info);

	if (err)
		return err;
	reset = plx_sys->alloc(sizeof(*reset) + info->count * sizeof(reset->group_fds[0]));
	if (!reset) {
		plx_sys->free(info);
		return -ENOMEM;
	}
	/* With a cdev the array stays empty: the kernel knows what the iommufd owns. */
	err = dev->group ? collect_groups(dev, info, reset) : check_owned(dev, info);
	if (!err) {
		reset->argsz = sizeof(*reset) + reset->count * sizeof(reset->group_fds[0]);
		err = plx_ioctl(dev->fd, VFIO_DEVICE_PCI_HOT_RESET, reset);
	}
	plx_sys->free(reset);
	plx_sys->free(info);
	return err;
}

int plx_vfio_hot_reset(struct plx_vfio_dev *dev)
{
	int err;

	if (!dev->ops->hot_reset)
		return -EOPNOTSUPP;
	/* The groups must stay while their files are handed over. */
	pthread_mutex_lock(&dev->ioas->lock);
	pthread_mutex_lock(&dev->lock);
	err = dev->ops->hot_reset(dev);
	pthread_mutex_unlock(&dev->lock);
	pthread_mutex_unlock(&dev->ioas->lock);
	return err;
}
