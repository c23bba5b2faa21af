/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each command does. A handler reads the request from msg->body into a copy, checks it with
 * wire.h, and leaves the reply's payload in tx. It is done with the body before it calls the model:
 * the model may wait for messages, which reuse the buffer.
 */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

#include "server.h"

static int on_version(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	struct vfu_caps ours = VFU_CAPS_OURS, theirs;
	struct vfu_version version;
	int err, len;

	(void)fd;
	if (vfu->client.ready)
		return -EINVAL;
	err = plx_vfu_version_parse(msg->body, msg->len, &version, &theirs);
	if (err)
		return err;
	ours.write_multiple = theirs.write_multiple;
	len = plx_vfu_version_build(version.minor < VFU_MINOR ? version.minor : VFU_MINOR, &ours,
				    plx_vfu_payload(vfu), VFU_PAYLOAD);
	if (len < 0)
		return len;
	vfu->client.caps = theirs;
	vfu->client.ready = true;
	plx_debug("%s: a client speaks vfio-user %u.%u", vfu->name, version.major, version.minor);
	return len;
}

static void tell_dma_changed(struct plx_vfu *vfu)
{
	if (vfu->ops->dma_changed)
		vfu->ops->dma_changed(vfu->model);
}

static int on_dma_map(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	struct vfu_dma_map req;
	int err = plx_vfu_msg_get(msg, &req, sizeof(req));

	(void)fd;
	if (!err)
		err = plx_vfu_check_map(&req, msg->nfds);
	if (!err)
		err = plx_vfu_maps_add(&vfu->maps, &req, msg->nfds ? msg->fds[0] : -1);
	if (!err)
		tell_dma_changed(vfu);
	return err;
}

static int on_dma_unmap(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	struct vfu_dma_unmap req;
	int err = plx_vfu_msg_get(msg, &req, sizeof(req));

	(void)fd;
	if (!err)
		err = plx_vfu_check_unmap(&req);
	if (err)
		return err;
	if (req.flags)
		plx_vfu_maps_clear(&vfu->maps);
	else
		err = plx_vfu_maps_remove(&vfu->maps, req.addr, req.size);
	if (err)
		return err;
	tell_dma_changed(vfu);
	req.argsz = sizeof(req);
	memcpy(plx_vfu_payload(vfu), &req, sizeof(req));
	return sizeof(req);
}

static int on_get_info(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	struct vfu_info info;
	int err = plx_vfu_msg_get(msg, &info, sizeof(info));

	(void)fd;
	if (!err)
		err = plx_vfu_check_info(&info);
	if (err)
		return err;
	info = (struct vfu_info){
		.argsz = sizeof(info),
		.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
		.regions = PLX_VFU_REGIONS,
		.irqs = PLX_VFU_IRQS,
	};
	memcpy(plx_vfu_payload(vfu), &info, sizeof(info));
	return sizeof(info);
}

/* The capability that says which parts may be mapped. Returns its length. */
static size_t put_sparse(const struct vfu_region *region, void *to)
{
	struct vfio_region_info_cap_sparse_mmap cap = {
		.header = { .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1 },
		.nr_areas = region->nareas,
	};
	struct vfio_region_sparse_mmap_area area;
	unsigned i;

	memcpy(to, &cap, sizeof(cap));
	for (i = 0; i < region->nareas; i++) {
		area.offset = region->areas[i].offset;
		area.size = region->areas[i].size;
		memcpy((char *)to + sizeof(cap) + i * sizeof(area), &area, sizeof(area));
	}
	return sizeof(cap) + i * sizeof(area);
}

static int on_get_region_info(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	struct vfio_region_info req, info = { .argsz = sizeof(info) };
	struct vfu_region *region;
	int err = plx_vfu_msg_get(msg, &req, sizeof(req));

	if (!err)
		err = plx_vfu_check_region_info(&req, PLX_VFU_REGIONS);
	if (err)
		return err;
	region = &vfu->region[req.index];
	info.index = req.index;
	info.size = region->size;
	if (region->size)
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (region->nareas && vfu->client.caps.max_msg_fds) {
		info.argsz += put_sparse(region, (char *)plx_vfu_payload(vfu) + sizeof(info));
		/*
		 * Without room for all of it the client learns how much to ask for. Then the flags
		 * are not set, either: they say what comes with this reply.
		 */
		if (req.argsz >= info.argsz) {
			info.flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
			info.cap_offset = sizeof(info);
			*fd = region->fd;
			region->shared = true;
		}
	}
	memcpy(plx_vfu_payload(vfu), &info, sizeof(info));
	return info.cap_offset ? info.argsz : sizeof(info);
}

/* No sub-region has a descriptor of its own: the answer is an empty list. */
static int on_get_region_io_fds(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	struct vfu_io_fds req;
	int err = plx_vfu_msg_get(msg, &req, sizeof(req));

	(void)fd;
	if (err)
		return err;
	if (req.argsz < sizeof(req) || req.flags || req.count || req.index >= PLX_VFU_REGIONS ||
	    !vfu->region[req.index].size)
		return -EINVAL;
	req.argsz = sizeof(req);
	memcpy(plx_vfu_payload(vfu), &req, sizeof(req));
	return sizeof(req);
}

static int on_get_irq_info(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	struct vfio_irq_info info;
	int err = plx_vfu_msg_get(msg, &info, sizeof(info));

	(void)fd;
	if (!err)
		err = plx_vfu_check_irq_info(&info, PLX_VFU_IRQS);
	if (err)
		return err;
	info.argsz = sizeof(info);
	info.count = vfu->vectors[info.index];
	info.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE;
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_AUTOMASKED;
	memcpy(plx_vfu_payload(vfu), &info, sizeof(info));
	return sizeof(info);
}

static int on_set_irqs(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	struct vfio_irq_set req;
	int err = plx_vfu_msg_get(msg, &req, sizeof(req));

	(void)fd;
	if (!err && req.index >= PLX_VFU_IRQS)
		err = -EINVAL;
	if (!err)
		err = plx_vfu_check_irq_set(&req, msg->len - sizeof(req), msg->nfds,
					    vfu->vectors[req.index]);
	if (!err)
		err = plx_vfu_irqs_set(vfu, &req, (const uint8_t *)msg->body + sizeof(req), msg);
	return err;
}

static int on_region(struct plx_vfu *vfu, struct vfu_msg *msg, bool write)
{
	struct vfu_access *reply = plx_vfu_payload(vfu), req;
	void *data = reply + 1;
	int err = plx_vfu_msg_get(msg, &req, sizeof(req));

	if (err)
		return err;
	if (req.region >= PLX_VFU_REGIONS || (write && msg->len - sizeof(req) < req.count))
		return -EINVAL;
	err = plx_vfu_check_access(&req, vfu->region[req.region].size, VFU_MAX_XFER);
	if (err)
		return err;
	if (write)
		memcpy(data, (const char *)msg->body + sizeof(req), req.count);
	else
		memset(data, 0, req.count);
	err = plx_vfu_region_access(vfu, req.region, req.offset, data, req.count, write);
	if (err)
		return err;
	*reply = req;
	return sizeof(req) + (write ? 0 : req.count);
}

static int on_region_read(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	(void)fd;
	return on_region(vfu, msg, false);
}

static int on_region_write(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	(void)fd;
	return on_region(vfu, msg, true);
}

static int write_one(struct plx_vfu *vfu, struct vfu_write *write)
{
	const struct vfu_access access = { write->offset, write->region, write->count };
	int err;

	if (write->region >= PLX_VFU_REGIONS)
		return -EINVAL;
	err = plx_vfu_check_access(&access, vfu->region[write->region].size, sizeof(write->data));
	return err ? err
		   : plx_vfu_region_access(vfu, write->region, write->offset, write->data,
					   write->count, true);
}

/* How many were done is the reply; none, and why, is an error. */
static int on_write_multi(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	char *copy = plx_vfu_payload(vfu);
	uint64_t count, i;
	int err = 0;

	(void)fd;
	if (!vfu->client.caps.write_multiple)
		return -ENOTSUP;
	err = plx_vfu_msg_get(msg, &count, sizeof(count));
	if (!err && count > (msg->len - sizeof(count)) / sizeof(struct vfu_write))
		err = -EINVAL;
	if (err)
		return err;
	memcpy(copy, msg->body, msg->len);
	for (i = 0; i < count && !err; i++) {
		struct vfu_write write;

		memcpy(&write, copy + sizeof(count) + i * sizeof(write), sizeof(write));
		err = write_one(vfu, &write);
	}
	count = err ? i - 1 : i;
	if (err && !count)
		return err;
	memcpy(copy, &count, sizeof(count));
	return sizeof(count);
}

static int on_reset(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd)
{
	(void)msg;
	(void)fd;
	plx_vfu_irqs_reset(vfu);
	if (vfu->ops->reset)
		vfu->ops->reset(vfu->model, PLX_VFU_RESET_ASKED);
	return 0;
}

/* What is missing here isn't offered: features, migration, dirty pages. */
static int (*const handlers[VFU_CMDS])(struct plx_vfu *vfu, struct vfu_msg *msg, int *fd) = {
	[VFU_VERSION] = on_version,
	[VFU_DMA_MAP] = on_dma_map,
	[VFU_DMA_UNMAP] = on_dma_unmap,
	[VFU_GET_INFO] = on_get_info,
	[VFU_GET_REGION_INFO] = on_get_region_info,
	[VFU_GET_REGION_IO_FDS] = on_get_region_io_fds,
	[VFU_GET_IRQ_INFO] = on_get_irq_info,
	[VFU_SET_IRQS] = on_set_irqs,
	[VFU_REGION_READ] = on_region_read,
	[VFU_REGION_WRITE] = on_region_write,
	[VFU_RESET] = on_reset,
	[VFU_WRITE_MULTI] = on_write_multi,
};

int plx_vfu_command(struct plx_vfu *vfu, struct vfu_msg *msg, int *reply_fd)
{
	int err = plx_vfu_check_command(&msg->header, msg->nfds);

	*reply_fd = -1;
	if (err)
		return err;
	if (!handlers[msg->header.cmd])
		return -ENOTSUP;
	return handlers[msg->header.cmd](vfu, msg, reply_fd);
}
