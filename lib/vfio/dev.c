/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "dev.h"
#include "refusal.h"
#include "uapi.h"

static unsigned int at_most(unsigned int value, unsigned int max)
{
	return value < max ? value : max;
}

int plx_dev_init(struct plx_vfio_dev *dev, struct plx_refusal *why)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int err = dev->ops->info(dev, &info, why);

	if (err)
		return err;
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return plx_refuse_about(why, PLX_REFUSED_DRIVER, -ENODEV, dev->name, PLX_REMEDY_PCI,
					"VFIO says that this is no PCI device (flags 0x%x)",
					info.flags);
	dev->flags = info.flags;
	dev->num_regions = at_most(info.num_regions, PLX_VFIO_MAX_REGIONS);
	dev->num_irqs = at_most(info.num_irqs, PLX_VFIO_MAX_INDEXES);
	/* One more, so that none is no special case. */
	dev->region = plx_sys->alloc((dev->num_regions + 1) * sizeof(*dev->region));
	dev->irq = plx_sys->alloc((dev->num_irqs + 1) * sizeof(*dev->irq));
	if (dev->region && dev->irq)
		return 0;
	plx_sys->free(dev->region);
	plx_sys->free(dev->irq);
	return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
}

void plx_dev_fini(struct plx_vfio_dev *dev)
{
	plx_irq_fini(dev);
	plx_event_fini(dev);
	plx_peer_fini(dev);
	plx_region_fini(dev);
	plx_sys->free(dev->irq);
	plx_sys->free(dev->region);
}

const char *plx_vfio_name(const struct plx_vfio_dev *dev)
{
	return dev->name;
}

enum plx_vfio_mode plx_vfio_dev_mode(const struct plx_vfio_dev *dev)
{
	return dev->mode;
}

struct plx_ioas *plx_vfio_dev_ioas(const struct plx_vfio_dev *dev)
{
	return dev->ioas;
}

unsigned plx_vfio_num_regions(const struct plx_vfio_dev *dev)
{
	return dev->num_regions;
}

unsigned plx_vfio_num_irqs(const struct plx_vfio_dev *dev)
{
	return dev->num_irqs;
}

#define FEATURE_OPS (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET)

static int feature_call(struct plx_vfio_dev *dev, struct vfio_device_feature *arg)
{
	int err;

	pthread_mutex_lock(&dev->lock);
	err = dev->ops->feature(dev, arg);
	pthread_mutex_unlock(&dev->lock);
	return err;
}

int plx_vfio_feature_probe(struct plx_vfio_dev *dev, unsigned feature, unsigned op)
{
	struct vfio_device_feature arg = { .argsz = sizeof(arg) };
	int err;

	if (feature & ~VFIO_DEVICE_FEATURE_MASK || op & ~FEATURE_OPS)
		return -EINVAL;
	arg.flags = feature | op | VFIO_DEVICE_FEATURE_PROBE;
	err = feature_call(dev, &arg);
	/* EINVAL: the feature is there, but not for this operation. */
	if (err == -ENOTTY || err == -EINVAL || err == -EOPNOTSUPP)
		return 0;
	return err < 0 ? err : 1;
}

int plx_vfio_feature(struct plx_vfio_dev *dev, unsigned feature, unsigned op, void *data,
		     size_t len)
{
	size_t size = sizeof(struct vfio_device_feature) + len;
	struct vfio_device_feature *arg;
	int err;

	if (feature & ~VFIO_DEVICE_FEATURE_MASK || len > 1u << 20 ||
	    (op != VFIO_DEVICE_FEATURE_GET && op != VFIO_DEVICE_FEATURE_SET))
		return -EINVAL;
	err = plx_vfio_feature_probe(dev, feature, op);
	if (err <= 0)
		return err ? err : -EOPNOTSUPP;
	arg = plx_sys->alloc(size);
	if (!arg)
		return -ENOMEM;
	arg->argsz = size;
	arg->flags = feature | op;
	if (len)
		memcpy(arg->data, data, len);
	err = feature_call(dev, arg);
	/* Some features answer with a descriptor: the return value of the call is passed on. */
	if (err >= 0 && len && op == VFIO_DEVICE_FEATURE_GET)
		memcpy(data, arg->data, len);
	plx_sys->free(arg);
	return err;
}
