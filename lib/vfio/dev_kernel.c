/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices of the kernel's VFIO: ioctls on the device's file, which reads and writes regions too.
 */
#include <errno.h>
#include <string.h>

#include "dev.h"
#include "refusal.h"

static int kernel_info(struct plx_vfio_dev *dev, struct vfio_device_info *info,
		       struct plx_refusal *why)
{
	int err = plx_ioctl(dev->fd, VFIO_DEVICE_GET_INFO, info);

	return err ? plx_refuse(why, PLX_REFUSED_KERNEL, err, "VFIO_DEVICE_GET_INFO failed: %s",
				strerror(-err))
		   : 0;
}

static int kernel_region_info(struct plx_vfio_dev *dev, struct vfio_region_info *info, int *fd)
{
	*fd = dev->fd;
	return plx_ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

/* Where a region's byte lies in the device's file. */
static int file_offset(const struct plx_vfio_dev *dev, unsigned int region, uint64_t offset,
		       size_t len, uint64_t *at)
{
	if (__builtin_add_overflow(dev->region[region].offset, offset, at) || *at > INT64_MAX - len)
		return -EINVAL;
	return 0;
}

static ssize_t kernel_read(struct plx_vfio_dev *dev, unsigned int region, uint64_t offset,
			   void *buf, size_t len)
{
	uint64_t at;
	ssize_t done = file_offset(dev, region, offset, len, &at);

	if (done)
		return done;
	done = plx_sys->pread(dev->fd, buf, len, at);
	return done < 0 ? -errno : done;
}

static ssize_t kernel_write(struct plx_vfio_dev *dev, unsigned int region, uint64_t offset,
			    const void *buf, size_t len)
{
	uint64_t at;
	ssize_t done = file_offset(dev, region, offset, len, &at);

	if (done)
		return done;
	done = plx_sys->pwrite(dev->fd, buf, len, at);
	return done < 0 ? -errno : done;
}

static int kernel_irq_info(struct plx_vfio_dev *dev, struct vfio_irq_info *info)
{
	return plx_ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

static int kernel_set_irqs(struct plx_vfio_dev *dev, struct vfio_irq_set *set)
{
	return plx_ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, set);
}

static int kernel_reset(struct plx_vfio_dev *dev)
{
	return plx_ioctl(dev->fd, VFIO_DEVICE_RESET, NULL);
}

static int kernel_feature(struct plx_vfio_dev *dev, struct vfio_device_feature *feature)
{
	return plx_ioctl(dev->fd, VFIO_DEVICE_FEATURE, feature);
}

const struct plx_dev_ops plx_dev_kernel_ops = {
	.info = kernel_info,
	.region_info = kernel_region_info,
	.read = kernel_read,
	.write = kernel_write,
	.irq_info = kernel_irq_info,
	.set_irqs = kernel_set_irqs,
	.reset = kernel_reset,
	.hot_reset = plx_hot_reset,
	.feature = kernel_feature,
	.watch = plx_event_watch,
	.event = plx_event_look,
};
