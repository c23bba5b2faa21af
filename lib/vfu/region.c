/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions. One with mappable areas is backed by a memfd that the client may map; it can't change
 * its size (sealed), and a client that left keeps no hold on what the next one sees.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "server.h"
#include "sys.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int check_areas(const struct plx_vfu_region *region)
{
	uint64_t end = 0;
	unsigned i;

	if (region->nareas > PLX_VFIO_MAX_AREAS)
		return -EINVAL;
	for (i = 0; i < region->nareas; i++) {
		const struct plx_vfio_area *area = &region->areas[i];

		if ((area->offset | area->size) & (VFU_PAGE - 1) || !area->size ||
		    area->offset < end || !plx_vfu_within(area->offset, area->size, region->size))
			return -EINVAL;
		end = area->offset + area->size;
	}
	return 0;
}

/* A new file, at the old address if there's one. */
static int make_memory(struct vfu_region *region)
{
	int flags = MAP_SHARED | (region->mem ? MAP_FIXED : 0), fd, err;
	void *mem;

	fd = plx_sys->memfd("plx-vfu-region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (plx_sys->ftruncate(fd, region->mem_len) || plx_sys->fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		goto fail;
	mem = plx_sys->mmap(region->mem, region->mem_len, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (mem == MAP_FAILED)
		goto fail;
	if (region->fd >= 0)
		plx_sys->close(region->fd);
	region->fd = fd;
	region->mem = mem;
	region->shared = false;
	return 0;
fail:
	err = -errno;
	plx_sys->close(fd);
	return err;
}

static int init_region(struct vfu_region *region, const struct plx_vfu_region *desc)
{
	size_t len = desc->nareas * sizeof(*desc->areas);
	int err = check_areas(desc);

	if (err)
		return err;
	region->size = desc->size;
	if (!desc->nareas)
		return 0;
	region->areas = plx_sys->alloc(len);
	if (!region->areas)
		return -ENOMEM;
	memcpy(region->areas, desc->areas, len);
	region->nareas = desc->nareas;
	region->mem_len = (desc->size + VFU_PAGE - 1) & ~(VFU_PAGE - 1);
	return make_memory(region);
}

int plx_vfu_regions_init(struct plx_vfu *vfu, const struct plx_vfu_desc *desc)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < PLX_VFU_REGIONS && !err; i++)
		err = init_region(&vfu->region[i], &desc->region[i]);
	return err;
}

void plx_vfu_regions_fini(struct plx_vfu *vfu)
{
	unsigned i;

	for (i = 0; i < PLX_VFU_REGIONS; i++) {
		struct vfu_region *region = &vfu->region[i];

		if (region->mem)
			plx_sys->munmap(region->mem, region->mem_len);
		if (region->fd >= 0)
			plx_sys->close(region->fd);
		plx_sys->free(region->areas);
	}
}

int plx_vfu_regions_renew(struct plx_vfu *vfu)
{
	unsigned i;
	int err;

	for (i = 0; i < PLX_VFU_REGIONS; i++) {
		err = vfu->region[i].shared ? make_memory(&vfu->region[i]) : 0;
		if (err)
			return err;
	}
	return 0;
}

void *plx_vfu_region_mem(struct plx_vfu *vfu, unsigned region)
{
	return region < PLX_VFU_REGIONS ? vfu->region[region].mem : NULL;
}

/* As one access where a register would be: the model may be looking. */
static void copy_register(void *to, const void *from, size_t len)
{
	uintptr_t both = (uintptr_t)to | (uintptr_t)from;

	if (len == 4 && !(both & 3))
		__atomic_store_n((uint32_t *)to, *(const uint32_t *)from, __ATOMIC_RELEASE);
	else if (len == 8 && !(both & 7))
		__atomic_store_n((uint64_t *)to, *(const uint64_t *)from, __ATOMIC_RELEASE);
	else
		memcpy(to, from, len);
}

/* How much from offset on is of one kind: all in an area (then *mapped) or all outside of them. */
static uint64_t same_kind(const struct vfu_region *region, uint64_t offset, bool *mapped)
{
	unsigned i;

	for (i = 0; i < region->nareas; i++) {
		const struct plx_vfio_area *area = &region->areas[i];

		*mapped = offset >= area->offset;
		if (!*mapped)
			return area->offset - offset;
		if (offset < area->offset + area->size)
			return area->offset + area->size - offset;
	}
	*mapped = false;
	return region->size - offset;
}

int plx_vfu_region_access(struct plx_vfu *vfu, unsigned index, uint64_t offset, void *buf,
			  size_t len, bool write)
{
	struct vfu_region *region = &vfu->region[index];
	char *bytes = buf;
	int err = 0;

	while (len && !err) {
		bool mapped;
		uint64_t n = same_kind(region, offset, &mapped);

		if (n > len)
			n = len;
		if (!mapped)
			err = vfu->ops->access(vfu->model, index, offset, bytes, n, write);
		else if (write)
			copy_register(region->mem + offset, bytes, n);
		else
			copy_register(bytes, region->mem + offset, n);
		bytes += n;
		offset += n;
		len -= n;
	}
	return err;
}
