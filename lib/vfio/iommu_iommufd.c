/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd: /dev/iommu, its I/O address spaces (IOAS), and the device cdevs attached to them.
 *
 *     file (/dev/iommu) --- IOAS (a context) --- device bound to the file, attached to the IOAS
 *                       \-- IOAS ...
 *
 * For dirty tracking, page tables (HWPT) are made that have it, and devices are attached to those:
 *
 *     IOAS --- HWPT --- device ...       one for the devices behind IOMMUs of one kind
 *          \-- HWPT ...
 *
 * An IOAS of the no-IOMMU cdev takes the same calls: it pins memory and, instead of translating,
 * tells physical addresses (IOMMU_IOAS_NOIOMMU_GET_PA).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <pollux/log.h>

#include "ioas.h"
#include "refusal.h"
#include "uapi.h"

/* More ranges than this are no answer. */
#define MAX_RANGES 65536u

struct plx_iommufd {
	struct plx_iommufd *next;
	unsigned int refs;
	int fd;
	int given; /* the caller's number for it, or -1 */
};

struct hwpt {
	struct hwpt *next;
	uint32_t id;
};

struct ioas_context {
	struct plx_iommu base;
	struct hwpt *hwpts;
	unsigned int untracked; /* devices that are attached to the IOAS itself */
	struct plx_iommufd **list;
	struct plx_iommufd *file;
	uint32_t ioas_id;
	bool tracking;
	bool no_map_file; /* the kernel said that it has no such command */
};

static struct ioas_context *context(const struct plx_iommu *iommu)
{
	return (struct ioas_context *)iommu;
}

int plx_iommufd_get(struct plx_iommufd **list, int given, struct plx_iommufd **out,
		    struct plx_refusal *why)
{
	struct plx_iommufd *file;
	int err;

	for (file = *list; file; file = file->next) {
		if (file->given == given) {
			file->refs++;
			*out = file;
			return 0;
		}
	}
	file = plx_sys->alloc(sizeof(*file));
	if (!file)
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
	file->fd = given >= 0 ? plx_sys->dup(given) : plx_sys->open("/dev/iommu", O_RDWR);
	if (file->fd < 0) {
		err = -errno;
		plx_sys->free(file);
		return plx_refuse_node(why, "/dev/iommu", err);
	}
	file->given = given;
	file->refs = 1;
	file->next = *list;
	*list = file;
	*out = file;
	return 0;
}

void plx_iommufd_put(struct plx_iommufd **list, struct plx_iommufd *file)
{
	if (--file->refs)
		return;
	while (*list != file)
		list = &(*list)->next;
	*list = file->next;
	plx_sys->close(file->fd);
	plx_sys->free(file);
}

int plx_iommufd_fd(const struct plx_iommufd *file)
{
	return file->fd;
}

static uint32_t map_flags(unsigned int access)
{
	uint32_t flags = UAPI_IOAS_MAP_FIXED_IOVA;

	if (access & PLX_DMA_READ)
		flags |= UAPI_IOAS_MAP_READABLE;
	if (access & PLX_DMA_WRITE)
		flags |= UAPI_IOAS_MAP_WRITEABLE;
	return flags;
}

/*
 * By file, where there is one: such pins go with the file, not with this process. What the kernel
 * can't take that way (an older kernel, a kind of file) it may still take by address, unless it is
 * the memory of a device.
 */
static int map_file(struct ioas_context *c, const struct plx_iommu_map *map)
{
	struct uapi_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = map_flags(map->access),
		.ioas_id = c->ioas_id,
		.fd = map->fd,
		.start = map->fd_offset,
		.length = map->len,
		.iova = map->key,
	};
	int err;

	if (map->fd < 0)
		return map->bar ? map->fd : -EOPNOTSUPP;
	if (c->no_map_file)
		return -EOPNOTSUPP;
	err = plx_ioctl(c->base.fd, UAPI_IOAS_MAP_FILE, &arg);
	if (err == -ENOTTY)
		c->no_map_file = true;
	return err;
}

/* From another IOAS of the file: the pages are pinned, and accounted, once for both. */
static int copy_map(struct ioas_context *c, const struct plx_iommu_map *map)
{
	struct uapi_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = map_flags(map->access),
		.dst_ioas_id = c->ioas_id,
		.length = map->len,
		.dst_iova = map->key,
		.src_iova = map->key,
	};

	if (!map->source)
		return -EOPNOTSUPP;
	arg.src_ioas_id = context(map->source)->ioas_id;
	return plx_ioctl(c->base.fd, UAPI_IOAS_COPY, &arg);
}

static int refuse_bar(struct plx_refusal *why, const struct plx_iommu_map *map, int err)
{
	if (err != -ENOTTY && err != -EOPNOTSUPP)
		return plx_refuse_range(
			why, PLX_REFUSED_MEMORY, err, map->va, map->len, PLX_REMEDY_PEER_AGAIN,
			"the dma-buf of a BAR can't be had, or not mapped through iommufd: %s",
			strerror(-err));
	return plx_refuse_range(why, PLX_REFUSED_MEMORY, -EOPNOTSUPP, map->va, map->len,
				PLX_REMEDY_PEER_KERNEL,
				"iommufd maps no BAR here, for peer-to-peer DMA");
}

static int iommufd_map(struct plx_iommu *iommu, const struct plx_iommu_map *map,
		       struct plx_refusal *why)
{
	struct ioas_context *c = context(iommu);
	struct uapi_ioas_map arg = {
		.size = sizeof(arg),
		.flags = map_flags(map->access),
		.ioas_id = c->ioas_id,
		.user_va = map->va,
		.length = map->len,
		.iova = map->key,
	};
	int err = copy_map(c, map);

	if (err && err != -ENOMEM && err != -EEXIST)
		err = map_file(c, map);
	if (err && map->bar)
		return refuse_bar(why, map, err);
	if (err && err != -ENOMEM && err != -EEXIST)
		err = plx_ioctl(iommu->fd, UAPI_IOAS_MAP, &arg);
	return err ? plx_refuse_map(why, iommu, map, err) : 0;
}

static int iommufd_unmap(struct plx_iommu *iommu, uint64_t key, uint64_t len)
{
	struct uapi_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = context(iommu)->ioas_id,
		.iova = key,
		.length = len,
	};
	int err = plx_ioctl(iommu->fd, UAPI_IOAS_UNMAP, &arg);

	if (err)
		return err;
	return arg.length == len ? 0 : -EIO;
}

static int iommufd_unmap_all(struct plx_iommu *iommu, uint64_t *len)
{
	struct uapi_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = context(iommu)->ioas_id,
		.length = UINT64_MAX,
	};
	int err = plx_ioctl(iommu->fd, UAPI_IOAS_UNMAP, &arg);

	*len = arg.length;
	return err;
}

static int iommufd_ranges(struct plx_iommu *iommu, struct plx_ranges *ranges)
{
	struct uapi_ioas_iova_ranges arg = {
		.size = sizeof(arg),
		.ioas_id = context(iommu)->ioas_id,
	};
	struct uapi_iova_range *list = NULL;
	uint32_t room = 0, i;
	int err, tries;

	/* Another process's hand in the same IOAS may make the list longer in between. */
	for (tries = 0; tries < 4; tries++) {
		arg.num_iovas = room;
		arg.allowed_iovas = (uintptr_t)list;
		err = plx_ioctl(iommu->fd, UAPI_IOAS_IOVA_RANGES, &arg);
		if (err != -EMSGSIZE)
			break;
		plx_sys->free(list);
		list = NULL;
		room = arg.num_iovas;
		if (!room || room > MAX_RANGES)
			return -EOVERFLOW;
		list = plx_sys->alloc(room * sizeof(*list));
		if (!list)
			return -ENOMEM;
	}
	if (!err && arg.num_iovas > room)
		err = -EOVERFLOW;
	for (i = 0; !err && i < arg.num_iovas; i++)
		err = plx_ranges_add(ranges, list[i].start, list[i].last);
	plx_sys->free(list);
	return err;
}

static int iommufd_phys(struct plx_iommu *iommu, uint64_t va, uint64_t len, size_t page_size,
			uint64_t *phys, uint64_t *run)
{
	struct uapi_ioas_noiommu_get_pa arg = {
		.size = sizeof(arg),
		.ioas_id = context(iommu)->ioas_id,
		.iova = va, /* the key that memory was mapped with */
		.length = len,
	};
	int err = plx_ioctl(iommu->fd, UAPI_IOAS_NOIOMMU_GET_PA, &arg);

	(void)page_size;
	if (err)
		return err;
	*phys = arg.out_phys;
	*run = arg.length < len ? arg.length : len;
	return 0;
}

static int destroy_id(int fd, uint32_t id)
{
	struct uapi_iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return plx_ioctl(fd, UAPI_IOMMU_DESTROY, &arg);
}

static void iommufd_destroy(struct plx_iommu *iommu)
{
	struct ioas_context *c = context(iommu);
	int err;

	while (c->hwpts) {
		struct hwpt *hwpt = c->hwpts;

		c->hwpts = hwpt->next;
		destroy_id(iommu->fd, hwpt->id);
		plx_sys->free(hwpt);
	}
	err = iommu->given < 0 ? destroy_id(iommu->fd, c->ioas_id) : 0;
	if (err)
		plx_warn("IOAS %u can't be destroyed: %s", c->ioas_id, strerror(-err));
	plx_iommufd_put(c->list, c->file);
	plx_sys->free(c);
}

static int set_dirty(struct plx_iommu *iommu, uint32_t hwpt, bool on)
{
	struct uapi_hwpt_set_dirty arg = {
		.size = sizeof(arg),
		.flags = on ? UAPI_DIRTY_ENABLE : 0,
		.hwpt_id = hwpt,
	};

	return plx_ioctl(iommu->fd, UAPI_HWPT_SET_DIRTY, &arg);
}

static int iommufd_track(struct plx_iommu *iommu, bool on)
{
	struct ioas_context *c = context(iommu);
	struct hwpt *hwpt, *done;
	int first_err = 0, err;

	if (on && (!c->hwpts || c->untracked))
		return -EOPNOTSUPP;
	for (hwpt = c->hwpts; hwpt; hwpt = hwpt->next) {
		err = set_dirty(iommu, hwpt->id, on);
		if (err && !first_err)
			first_err = err;
		if (err && on)
			break;
	}
	for (done = c->hwpts; on && first_err && done != hwpt; done = done->next)
		set_dirty(iommu, done->id, false);
	if (!first_err)
		c->tracking = on;
	return first_err;
}

static int iommufd_dirty(struct plx_iommu *iommu, uint64_t key, uint64_t len, uint64_t page,
			 uint64_t *bitmap)
{
	struct uapi_hwpt_get_dirty arg = {
		.size = sizeof(arg),
		.iova = key,
		.length = len,
		.page_size = page,
		.data = (uintptr_t)bitmap,
	};
	const struct hwpt *hwpt;
	int err = 0;

	for (hwpt = context(iommu)->hwpts; !err && hwpt; hwpt = hwpt->next) {
		arg.hwpt_id = hwpt->id;
		err = plx_ioctl(iommu->fd, UAPI_HWPT_GET_DIRTY, &arg);
	}
	return err;
}

static const struct plx_iommu_ops iommufd_ops = {
	.name = "iommufd",
	.translates = true,
	.pins = PLX_PINS_USER,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
	.unmap_all = iommufd_unmap_all,
	.track = iommufd_track,
	.dirty = iommufd_dirty,
	.ranges = iommufd_ranges,
	.destroy = iommufd_destroy,
};

static const struct plx_iommu_ops noiommu_cdev_ops = {
	.name = "iommufd without an IOMMU",
	.pins = PLX_PINS_USER,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
	.unmap_all = iommufd_unmap_all,
	.phys = iommufd_phys,
	.destroy = iommufd_destroy,
};

int plx_iommufd_make_ioas(int iommufd, unsigned int *ioas_id)
{
	struct uapi_ioas_alloc arg = { .size = sizeof(arg) };
	int err = plx_ioctl(iommufd, UAPI_IOAS_ALLOC, &arg);

	*ioas_id = arg.out_ioas_id;
	return err;
}

int plx_iommufd_create(struct plx_iommufd **list, struct plx_iommufd *file, enum plx_vfio_mode mode,
		       unsigned int ioas_id, struct plx_iommu **iommu, struct plx_refusal *why)
{
	struct ioas_context *c = plx_sys->alloc(sizeof(*c));
	int err = 0;

	if (!c)
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
	/* One of ours in a file of the caller's is ours alone. */
	c->base.given = ioas_id ? file->given : -1;
	if (!ioas_id)
		err = plx_iommufd_make_ioas(file->fd, &ioas_id);
	if (err) {
		plx_sys->free(c);
		return plx_refuse(why, PLX_REFUSED_KERNEL, err,
				  "iommufd gives no address space: %s", strerror(-err));
	}
	c->base.ops = plx_vfio_mode_unsafe(mode) ? &noiommu_cdev_ops : &iommufd_ops;
	c->base.mode = mode;
	c->base.fd = file->fd;
	c->ioas_id = ioas_id;
	c->list = list;
	c->file = file;
	file->refs++;
	*iommu = &c->base;
	return 0;
}

bool plx_iommufd_is_of(const struct plx_iommu *iommu, const struct plx_iommufd *file)
{
	return (iommu->ops == &iommufd_ops || iommu->ops == &noiommu_cdev_ops) &&
	       context(iommu)->file == file;
}

unsigned int plx_iommufd_ioas(const struct plx_iommu *iommu)
{
	return context(iommu)->ioas_id;
}

static int attach_to(int dev_fd, uint32_t id)
{
	struct uapi_attach_iommufd_pt arg = { .argsz = sizeof(arg), .pt_id = id };

	return plx_ioctl(dev_fd, UAPI_DEVICE_ATTACH_IOMMUFD_PT, &arg);
}

/* To a page table that tracks dirty pages: one that is there if it suits, or a new one. */
static int attach_tracked(struct ioas_context *c, int dev_fd, uint32_t devid)
{
	struct uapi_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = UAPI_HWPT_DIRTY_TRACKING,
		.dev_id = devid,
		.pt_id = c->ioas_id,
	};
	struct hwpt *hwpt;
	int err;

	for (hwpt = c->hwpts; hwpt; hwpt = hwpt->next)
		if (!attach_to(dev_fd, hwpt->id))
			return 0;
	hwpt = plx_sys->alloc(sizeof(*hwpt));
	if (!hwpt)
		return -ENOMEM;
	err = plx_ioctl(c->base.fd, UAPI_HWPT_ALLOC, &arg);
	if (err)
		goto free_hwpt;
	hwpt->id = arg.out_hwpt_id;
	err = c->tracking ? set_dirty(&c->base, hwpt->id, true) : 0;
	if (!err)
		err = attach_to(dev_fd, hwpt->id);
	if (err)
		goto destroy_hwpt;
	hwpt->next = c->hwpts;
	c->hwpts = hwpt;
	return 0;
destroy_hwpt:
	destroy_id(c->base.fd, hwpt->id);
free_hwpt:
	plx_sys->free(hwpt);
	return err;
}

int plx_iommufd_attach(struct plx_iommu *iommu, int dev_fd, uint32_t devid, bool track_dirty,
		       bool *untracked)
{
	struct ioas_context *c = context(iommu);
	int err = -EOPNOTSUPP;

	*untracked = false;
	if (track_dirty && iommu->ops->track)
		err = attach_tracked(c, dev_fd, devid);
	/*
	 * Without tracking what it does would be missed, and a lack of memory says nothing of it.
	 */
	if (!err || err == -ENOMEM || c->tracking)
		return err;
	err = attach_to(dev_fd, c->ioas_id);
	if (err)
		return err;
	*untracked = true;
	c->untracked++;
	return 0;
}

/* From whatever it is attached to; without effect if that is nothing. */
void plx_iommufd_detach(struct plx_iommu *iommu, int dev_fd, bool untracked)
{
	struct uapi_detach_iommufd_pt arg = { .argsz = sizeof(arg) };
	int err = plx_ioctl(dev_fd, UAPI_DEVICE_DETACH_IOMMUFD_PT, &arg);

	if (err)
		plx_warn("a device stays attached to its IOAS until its file is closed: %s",
			 strerror(-err));
	if (untracked)
		context(iommu)->untracked--;
}
