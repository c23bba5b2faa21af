/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that another process serves: each question is a message. vfio-user took the structures of
 * regions and interrupts from the kernel, so they are passed through as they are.
 */
#include <errno.h>
#include <string.h>

#include "dev.h"
#include "refusal.h"
#include "user.h"

static int user_info(struct plx_vfio_dev *dev, struct vfio_device_info *info,
		     struct plx_refusal *why)
{
	struct vfu_info ask = { .argsz = sizeof(ask) }, reply;
	struct plx_user_call call = {
		.cmd = VFU_GET_INFO,
		.body = { { &ask, sizeof(ask) } },
		.nbody = 1,
		.reply = &reply,
		.reply_len = sizeof(reply),
	};
	int err = plx_user_call(dev->user, &call);

	if (err)
		return plx_refuse_about(
			why, PLX_REFUSED_NODE, err, dev->name, PLX_REMEDY_ASK_PROCESS,
			"its process doesn't say what the device is: %s",
			plx_user_is_lost(dev->user) ? dev->user->reason : strerror(-err));
	info->flags = reply.flags;
	info->num_regions = reply.regions;
	info->num_irqs = reply.irqs;
	return 0;
}

static int user_region_info(struct plx_vfio_dev *dev, struct vfio_region_info *info, int *fd)
{
	struct vfio_region_info ask = { .argsz = info->argsz, .index = info->index };
	struct plx_user_call call = {
		.cmd = VFU_GET_REGION_INFO,
		.body = { { &ask, sizeof(ask) } },
		.nbody = 1,
		.reply = info,
		.reply_len = sizeof(*info),
		.data = info + 1,
		.data_len = info->argsz - sizeof(*info),
		.file = fd,
	};
	int err = plx_user_call(dev->user, &call);

	if (err)
		return err;
	/* The length that it names is there, or all of our room is not enough. */
	if (info->index != ask.index || info->argsz < sizeof(*info) ||
	    (info->argsz <= ask.argsz && info->argsz > sizeof(*info) + call.data_len))
		return -EPROTO;
	return 0;
}

/* One REGION_READ or REGION_WRITE, of no more than the peer takes. */
static int access_part(struct plx_vfio_dev *dev, unsigned int region, uint64_t offset, void *buf,
		       uint32_t len, bool write)
{
	struct vfu_access ask = { offset, region, len }, reply;
	struct plx_user_call call = {
		.cmd = write ? VFU_REGION_WRITE : VFU_REGION_READ,
		.body = { { &ask, sizeof(ask) }, { buf, len } },
		.nbody = write ? 2 : 1,
		.reply = &reply,
		.reply_len = sizeof(reply),
		.data = buf,
		.data_len = write ? 0 : len,
		.data_min = write ? 0 : len,
	};
	int err = plx_user_call(dev->user, &call);

	if (err)
		return err;
	return reply.offset == offset && reply.region == region && reply.count == len ? 0 : -EIO;
}

static ssize_t access_all(struct plx_vfio_dev *dev, unsigned int region, uint64_t offset, char *buf,
			  size_t len, bool write)
{
	size_t max = dev->user->peer.max_data_xfer_size, done, part;
	int err;

	if (max > VFU_MAX_XFER)
		max = VFU_MAX_XFER;
	for (done = 0; done < len; done += part) {
		part = len - done < max ? len - done : max;
		err = access_part(dev, region, offset + done, buf + done, part, write);
		if (err)
			return err;
	}
	return done;
}

static ssize_t user_read(struct plx_vfio_dev *dev, unsigned int region, uint64_t offset, void *buf,
			 size_t len)
{
	return access_all(dev, region, offset, buf, len, false);
}

static ssize_t user_write(struct plx_vfio_dev *dev, unsigned int region, uint64_t offset,
			  const void *buf, size_t len)
{
	return access_all(dev, region, offset, (char *)(uintptr_t)buf, len, true);
}

static int user_irq_info(struct plx_vfio_dev *dev, struct vfio_irq_info *info)
{
	struct vfio_irq_info ask = { .argsz = sizeof(ask), .index = info->index };
	struct plx_user_call call = {
		.cmd = VFU_GET_IRQ_INFO,
		.body = { { &ask, sizeof(ask) } },
		.nbody = 1,
		.reply = info,
		.reply_len = sizeof(*info),
	};
	int err = plx_user_call(dev->user, &call);

	if (err)
		return err;
	return info->index == ask.index ? 0 : -EPROTO;
}

static int send_irqs(struct plx_vfio_dev *dev, const struct vfio_irq_set *set, unsigned int start,
		     unsigned int count, const int *fds, unsigned int nfds)
{
	struct vfio_irq_set ask = {
		.argsz = sizeof(ask),
		.flags = set->flags,
		.index = set->index,
		.start = start,
		.count = count,
	};
	struct plx_user_call call = {
		.cmd = VFU_SET_IRQS,
		.body = { { &ask, sizeof(ask) } },
		.nbody = 1,
		.fds = fds,
		.nfds = nfds,
	};

	return plx_user_call(dev->user, &call);
}

/*
 * Descriptors go beside a message, so many at a time, and there is none to say "nothing": a run of
 * vectors to be disconnected is a message without any.
 */
static int user_set_irqs(struct plx_vfio_dev *dev, struct vfio_irq_set *set)
{
	unsigned int max = dev->user->peer.max_msg_fds, at, run;
	const int *fds = (const int *)set->data;
	int err = 0;

	if (!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD))
		return send_irqs(dev, set, set->start, set->count, NULL, 0);
	if (max > VFU_MAX_FDS)
		max = VFU_MAX_FDS;
	for (at = 0; !err && at < set->count; at += run) {
		bool off = fds[at] < 0;

		if (!off && !max)
			return -EOPNOTSUPP;
		for (run = 1; at + run < set->count && (fds[at + run] < 0) == off; run++)
			if (!off && run == max)
				break;
		err = send_irqs(dev, set, set->start + at, run, off ? NULL : fds + at,
				off ? 0 : run);
	}
	return err;
}

static int user_reset(struct plx_vfio_dev *dev)
{
	struct plx_user_call call = { .cmd = VFU_RESET };

	return plx_user_call(dev->user, &call);
}

static int user_feature(struct plx_vfio_dev *dev, struct vfio_device_feature *feature)
{
	size_t len = feature->argsz;
	bool get = feature->flags & VFIO_DEVICE_FEATURE_GET;
	bool probe = feature->flags & VFIO_DEVICE_FEATURE_PROBE;
	struct vfio_device_feature ask = *feature, reply;
	struct plx_user_call call = {
		.cmd = VFU_FEATURE,
		.body = { { &ask, sizeof(ask) }, { feature->data, len - sizeof(ask) } },
		.nbody = get || probe ? 1 : 2,
		.reply = &reply,
		.reply_len = sizeof(reply),
		.data = feature->data,
		.data_len = len - sizeof(ask),
		.data_min = get && !probe ? len - sizeof(ask) : 0,
	};

	return plx_user_call(dev->user, &call);
}

static int user_watch(struct plx_vfio_dev *dev)
{
	dev->events.fd = plx_user_watch(dev->user);
	return dev->events.fd < 0 ? dev->events.fd : 0;
}

static enum plx_vfio_event user_event(struct plx_vfio_dev *dev)
{
	return plx_user_poll(dev->user) ? PLX_VFIO_EVENT_NONE : PLX_VFIO_EVENT_GONE;
}

const struct plx_dev_ops plx_dev_user_ops = {
	.info = user_info,
	.region_info = user_region_info,
	.read = user_read,
	.write = user_write,
	.irq_info = user_irq_info,
	.set_irqs = user_set_irqs,
	.reset = user_reset,
	.feature = user_feature,
	.watch = user_watch,
	.event = user_event,
};
