/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions: what VFIO says of them, reading and writing, and mapping what may be mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <pollux/log.h>

#include "caps.h"
#include "dev.h"
#include "uapi.h"

/* PCI Local Bus 3.0, 6.7 and 6.8.2: the capability list and the MSI-X capability. */
#define PCI_STATUS	  0x06
#define PCI_STATUS_CAPS	  0x10
#define PCI_CAP_POINTER	  0x34
#define PCI_CAPS_MAX	  48 /* as many as fit between 0x40 and 0x100 */
#define PCI_CAP_MSIX	  0x11
#define MSIX_CONTROL	  2
#define MSIX_CONTROL_SIZE 0x7ff /* vectors less one */
#define MSIX_TABLE	  4
#define MSIX_PBA	  8
#define MSIX_BIR	  7
#define MSIX_ENTRY_SIZE	  16

/* Larger than any BAR that could be reserved in the address space. */
#define REGION_MAX (UINT64_C(1) << 46)

static uint64_t page_down(const struct plx_vfio_dev *dev, uint64_t value)
{
	return value & ~(uint64_t)(dev->ioas->base_page - 1);
}

static uint64_t page_up(const struct plx_vfio_dev *dev, uint64_t value)
{
	return page_down(dev, value + dev->ioas->base_page - 1);
}

/* A region that is known. */
static int access_region(struct plx_vfio_dev *dev, unsigned int index, uint64_t offset, void *buf,
			 size_t len, bool write)
{
	const struct plx_region_state *r = &dev->region[index];
	ssize_t done;

	if (offset > r->info.size || len > r->info.size - offset)
		return -EINVAL;
	done = write ? dev->ops->write(dev, index, offset, buf, len)
		     : dev->ops->read(dev, index, offset, buf, len);
	if (done < 0)
		return done;
	return (size_t)done == len ? 0 : -EIO;
}

/*
 * Takes start..end-1 out of the areas. One area may become two; if there's no room, the rest goes.
 */
static void leave_out(struct plx_vfio_region *info, uint64_t start, uint64_t end)
{
	struct plx_vfio_area old[PLX_VFIO_MAX_AREAS];
	unsigned int i, n = info->nareas;

	memcpy(old, info->area, sizeof(old));
	info->nareas = 0;
	for (i = 0; i < n; i++) {
		uint64_t from = old[i].offset, to = old[i].offset + old[i].size;
		const struct plx_vfio_area parts[2] = {
			{ from, from < start ? (to < start ? to : start) - from : 0 },
			{ from > end ? from : end, to > end ? to - (from > end ? from : end) : 0 },
		};
		unsigned int k;

		for (k = 0; k < 2; k++)
			if (parts[k].size && info->nareas < PLX_VFIO_MAX_AREAS)
				info->area[info->nareas++] = parts[k];
	}
}

/*
 * The pages of one MSI-X structure: bir and offset in one register, as the table's and the PBA's.
 */
static void leave_out_msix(struct plx_vfio_dev *dev, unsigned int index,
			   struct plx_vfio_region *info, uint32_t reg, uint64_t len)
{
	uint64_t start = reg & ~(uint32_t)MSIX_BIR;

	if ((reg & MSIX_BIR) == index)
		leave_out(info, page_down(dev, start), page_up(dev, start + len));
}

static int query(struct plx_vfio_dev *dev, unsigned int index);

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/*
 * Without MSIX_MAPPABLE an access to the pages of the MSI-X table or PBA through a mapping is
 * refused by the kernel, or would go round it. If config space can't be read, nothing is mapped.
 */
static int hide_msix(struct plx_vfio_dev *dev, unsigned int index, struct plx_vfio_region *info)
{
	const unsigned int config = VFIO_PCI_CONFIG_REGION_INDEX;
	uint8_t head[2] = { 0 }, reg[12];
	unsigned int hops, at;
	uint64_t vectors;
	int err;

	err = query(dev, config);
	if (!err)
		err = access_region(dev, config, PCI_STATUS, head, 2, false);
	if (err || !(head[0] & PCI_STATUS_CAPS))
		return err;
	err = access_region(dev, config, PCI_CAP_POINTER, head, 1, false);
	at = head[0] & ~3u;
	for (hops = 0; !err && at >= 0x40 && hops < PCI_CAPS_MAX; hops++) {
		err = access_region(dev, config, at, head, 2, false);
		if (err || head[0] == PCI_CAP_MSIX)
			break;
		at = head[1] & ~3u;
	}
	if (err || at < 0x40 || hops == PCI_CAPS_MAX)
		return err;
	err = access_region(dev, config, at, reg, sizeof(reg), false);
	if (err)
		return err;
	vectors = ((reg[MSIX_CONTROL] | reg[MSIX_CONTROL + 1] << 8) & MSIX_CONTROL_SIZE) + 1;
	leave_out_msix(dev, index, info, le32(reg + MSIX_TABLE), vectors * MSIX_ENTRY_SIZE);
	leave_out_msix(dev, index, info, le32(reg + MSIX_PBA), (vectors + 63) / 64 * 8);
	return 0;
}

/* An area in whole pages inside the region, or it is not taken. */
static void add_area(struct plx_vfio_dev *dev, struct plx_vfio_region *info, uint64_t offset,
		     uint64_t size)
{
	uint64_t limit = page_up(dev, info->size);

	if (!size || info->nareas == PLX_VFIO_MAX_AREAS || offset % dev->ioas->base_page ||
	    offset >= limit)
		return;
	size = size > limit ? limit : page_up(dev, size);
	if (size > limit - offset)
		size = limit - offset;
	info->area[info->nareas++] = (struct plx_vfio_area){ offset, size };
}

static void read_sparse(struct plx_vfio_dev *dev, const char *cap, size_t room,
			struct plx_vfio_region *info)
{
	struct vfio_region_info_cap_sparse_mmap sparse;
	size_t at = offsetof(struct vfio_region_info_cap_sparse_mmap, areas);
	size_t i, count;

	memcpy(&sparse, cap, at);
	count = (room - at) / sizeof(sparse.areas[0]);
	if (sparse.nr_areas < count)
		count = sparse.nr_areas;
	for (i = 0; i < count; i++) {
		struct vfio_region_sparse_mmap_area area;

		memcpy(&area, cap + at + i * sizeof(area), sizeof(area));
		add_area(dev, info, area.offset, area.size);
	}
}

/*
 * A file that ends inside an area would be a crash for who touches what lies beyond. The kernel's
 * device file has no end.
 */
static void leave_out_past_end(const struct plx_vfio_dev *dev, struct plx_region_state *r)
{
	struct plx_vfio_region *info = &r->info;
	uint64_t end = 0;
	struct stat st;

	if (r->fd == dev->fd)
		return;
	if (!plx_sys->fstat(r->fd, &st) && st.st_size > 0 && (uint64_t)st.st_size > r->offset)
		end = st.st_size - r->offset;
	leave_out(info, page_down(dev, end), UINT64_MAX);
}

static int fill_in(struct plx_vfio_dev *dev, unsigned int index, const void *answer, size_t len,
		   struct plx_region_state *r)
{
	struct vfio_region_info got;
	struct plx_vfio_region *info = &r->info;
	const void *cap;
	uint32_t caps;
	size_t room;

	memcpy(&got, answer, sizeof(got));
	caps = got.flags & VFIO_REGION_INFO_FLAG_CAPS ? got.cap_offset : 0;
	info->size = got.size;
	info->readable = got.flags & VFIO_REGION_INFO_FLAG_READ;
	info->writable = got.flags & VFIO_REGION_INFO_FLAG_WRITE;
	r->offset = got.offset;
	info->msix_mappable = plx_cap_find(answer, len, caps, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
					   sizeof(struct vfio_info_cap_header), &room) != NULL;
	if (!(got.flags & VFIO_REGION_INFO_FLAG_MMAP) || !got.size || got.size > REGION_MAX ||
	    r->fd < 0 || got.offset % dev->ioas->base_page || got.offset > INT64_MAX - REGION_MAX)
		return 0;
	cap = plx_cap_find(answer, len, caps, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
			   offsetof(struct vfio_region_info_cap_sparse_mmap, areas), &room);
	if (cap)
		read_sparse(dev, cap, room, info);
	else
		add_area(dev, info, 0, got.size);
	leave_out_past_end(dev, r);
	if (info->msix_mappable || index > VFIO_PCI_BAR5_REGION_INDEX)
		return 0;
	return hide_msix(dev, index, info);
}

struct region_ask {
	struct plx_vfio_dev *dev;
	int fd;
};

static void close_file(struct plx_vfio_dev *dev, int fd)
{
	if (fd >= 0 && fd != dev->fd)
		plx_sys->close(fd);
}

static int ask(void *ctx, void *info)
{
	struct region_ask *q = ctx;

	/* An earlier answer that was too long for its room may have brought the file, too. */
	close_file(q->dev, q->fd);
	q->fd = -1;
	return q->dev->ops->region_info(q->dev, info, &q->fd);
}

/* Asks about a region, once. Lock held. */
static int query(struct plx_vfio_dev *dev, unsigned int index)
{
	struct plx_region_state *r, fresh = { 0 };
	struct region_ask q = { .dev = dev, .fd = -1 };
	struct vfio_region_info init = { .argsz = sizeof(init), .index = index };
	void *answer;
	size_t len;
	int err;

	if (index >= dev->num_regions)
		return -EINVAL;
	r = &dev->region[index];
	if (r->known)
		return 0;
	err = plx_info_grow(ask, &q, &init, sizeof(init), &answer, &len);
	if (err) {
		close_file(dev, q.fd);
		q.fd = -1;
	}
	if (err == -EINVAL && index <= VFIO_PCI_VGA_REGION_INDEX) {
		/* VFIO's way to say that there is no ROM, or no VGA space. */
		r->fd = -1;
		r->known = true;
		return 0;
	}
	if (err)
		return err;
	fresh.fd = q.fd;
	err = fill_in(dev, index, answer, len, &fresh);
	plx_sys->free(answer);
	if (err) {
		close_file(dev, q.fd);
		return err;
	}
	fresh.known = true;
	*r = fresh;
	return 0;
}

int plx_vfio_region(struct plx_vfio_dev *dev, unsigned index, struct plx_vfio_region *region)
{
	int err;

	pthread_mutex_lock(&dev->lock);
	err = query(dev, index);
	if (!err)
		*region = dev->region[index].info;
	pthread_mutex_unlock(&dev->lock);
	return err;
}

static int transfer(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, void *buf,
		    size_t len, bool write)
{
	int err;

	pthread_mutex_lock(&dev->lock);
	err = query(dev, index);
	pthread_mutex_unlock(&dev->lock);
	/* What is known of a region doesn't change any more. */
	return err ? err : access_region(dev, index, offset, buf, len, write);
}

int plx_vfio_read(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, void *buf, size_t len)
{
	return transfer(dev, index, offset, buf, len, false);
}

int plx_vfio_write(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, const void *buf,
		   size_t len)
{
	return transfer(dev, index, offset, (void *)(uintptr_t)buf, len, true);
}

/* The page alone: a BAR may be large, and what is touched next faults, too. */
static bool find_hole(const struct plx_sigbus_guard *guard, uintptr_t at,
		      struct plx_sigbus_hole *hole)
{
	const struct plx_vfio_dev *dev =
		(const struct plx_vfio_dev *)((const char *)guard -
					      offsetof(struct plx_vfio_dev, guard));
	unsigned int i;

	for (i = 0; i < dev->num_regions; i++) {
		const struct plx_region_state *r = &dev->region[i];

		if (!r->va || at - (uintptr_t)r->va >= r->reserved)
			continue;
		hole->len = dev->ioas->base_page;
		hole->start = (char *)r->va + page_down(dev, at - (uintptr_t)r->va);
		hole->ones = true;
		return true;
	}
	return false;
}

static void on_fault(struct plx_sigbus_guard *guard)
{
	plx_event_fault(
		(struct plx_vfio_dev *)((char *)guard - offsetof(struct plx_vfio_dev, guard)));
}

static int map_region(struct plx_vfio_dev *dev, struct plx_region_state *r)
{
	const struct plx_vfio_region *info = &r->info;
	int prot = (info->readable ? PROT_READ : 0) | (info->writable ? PROT_WRITE : 0);
	size_t len = page_up(dev, info->size);
	unsigned int i;
	char *va;

	if (!info->nareas)
		return -ENODEV;
	va = plx_sys->mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			   0);
	if (va == MAP_FAILED)
		return -errno;
	for (i = 0; i < info->nareas; i++) {
		const struct plx_vfio_area *area = &info->area[i];

		if (plx_sys->mmap(va + area->offset, area->size, prot, MAP_SHARED | MAP_FIXED,
				  r->fd, r->offset + area->offset) == MAP_FAILED) {
			int err = -errno;

			plx_sys->munmap(va, len);
			return err;
		}
	}
	if (!dev->guard.find) {
		dev->guard.find = find_hole;
		dev->guard.filled = on_fault;
		plx_sigbus_join(&dev->guard);
	}
	plx_sigbus_lock();
	r->reserved = len;
	r->va = va;
	plx_sigbus_unlock();
	return 0;
}

int plx_vfio_mmap(struct plx_vfio_dev *dev, unsigned index, void **va, size_t *len)
{
	struct plx_region_state *r;
	int err;

	pthread_mutex_lock(&dev->lock);
	err = query(dev, index);
	if (!err) {
		r = &dev->region[index];
		if (!r->va)
			err = map_region(dev, r);
		if (!err) {
			*va = r->va;
			*len = r->info.size;
		}
	}
	pthread_mutex_unlock(&dev->lock);
	return err;
}

void plx_region_fini(struct plx_vfio_dev *dev)
{
	unsigned int i;

	if (dev->guard.find)
		plx_sigbus_leave(&dev->guard);
	for (i = 0; i < dev->num_regions; i++) {
		const struct plx_region_state *r = &dev->region[i];

		if (r->va)
			plx_sys->munmap(r->va, r->reserved);
		if (r->known)
			close_file(dev, r->fd);
	}
}
