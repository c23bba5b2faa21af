/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Containers, groups and the type1 IOMMU of the fake kernel, after drivers/vfio/{container,group,
 * vfio_iommu_type1}.c of Linux 6.12.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fake_kernel.h"

/*
 * Maps, in IOVA order.
 */
size_t fake_maps_find(const struct fake_maps *maps, uint64_t iova)
{
	size_t low = 0, high = maps->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (maps->map[mid].iova + (maps->map[mid].size - 1) < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool fake_maps_overlap(const struct fake_maps *maps, uint64_t first, uint64_t last)
{
	size_t at = fake_maps_find(maps, first);

	return at < maps->count && maps->map[at].iova <= last;
}

int fake_maps_insert(struct fake_maps *maps, const struct fake_map *map)
{
	size_t at = fake_maps_find(maps, map->iova);

	if (maps->count == maps->room) {
		maps->room = maps->room ? 2 * maps->room : 64;
		maps->map = realloc(maps->map, maps->room * sizeof(*maps->map));
	}
	memmove(&maps->map[at + 1], &maps->map[at], (maps->count - at) * sizeof(*maps->map));
	maps->map[at] = *map;
	maps->count++;
	return 0;
}

void fake_maps_remove(struct fake_maps *maps, size_t at, size_t count)
{
	if (!count)
		return;
	maps->count -= count;
	memmove(&maps->map[at], &maps->map[at + count], (maps->count - at) * sizeof(*maps->map));
}

uint64_t fake_maps_bytes(const struct fake_maps *maps)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < maps->count; i++)
		bytes += maps->map[i].size;
	return bytes;
}

void fake_maps_clear(struct fake_maps *maps)
{
	free(maps->map);
	memset(maps, 0, sizeof(*maps));
}

int fake_pin(uint64_t bytes)
{
	if (fake.memlock != UINT64_MAX && !fake.cap_ipc_lock && fake.pinned + bytes > fake.memlock)
		return -ENOMEM;
	fake.pinned += bytes;
	return 0;
}

void fake_unpin(uint64_t bytes)
{
	fake.pinned -= bytes;
}

/*
 * Ranges of IOVAs, in order.
 */
bool fake_range_allows(const struct fake_range *range, unsigned count, uint64_t first,
		       uint64_t last)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (range[i].first <= first && last <= range[i].last)
			return true;
	return false;
}

unsigned fake_range_intersect(struct fake_range *acc, unsigned count, const struct fake_range *with,
			      unsigned nwith)
{
	struct fake_range out[2 * FAKE_RANGES];
	unsigned i, j, n = 0;

	for (i = 0; i < count; i++)
		for (j = 0; j < nwith; j++) {
			uint64_t first =
				acc[i].first > with[j].first ? acc[i].first : with[j].first;
			uint64_t last = acc[i].last < with[j].last ? acc[i].last : with[j].last;

			if (first <= last && n < FAKE_RANGES)
				out[n++] = (struct fake_range){ first, last };
		}
	memcpy(acc, out, n * sizeof(*out));
	return n;
}

/* What all groups in the container allow. */
static unsigned container_ranges(const struct fake_container *container, struct fake_range *range)
{
	unsigned i, n = 1;
	struct fake_dev *dev;

	range[0] = (struct fake_range){ 0, UINT64_MAX };
	for (i = 0; (dev = fake_dev_at(i)); i++)
		if (fake_group_of(dev->group, dev->noiommu)->container == container)
			n = fake_range_intersect(range, n, dev->range, dev->nranges);
	return n;
}

static bool ranges_hold(const struct fake_group *group, const struct fake_maps *maps)
{
	struct fake_dev *dev;
	size_t m;
	unsigned i;

	for (i = 0; (dev = fake_dev_at(i)); i++) {
		if (dev->group != group->number || dev->noiommu != group->noiommu)
			continue;
		for (m = 0; m < maps->count; m++)
			if (!fake_range_allows(dev->range, dev->nranges, maps->map[m].iova,
					       maps->map[m].iova + maps->map[m].size - 1))
				return false;
	}
	return true;
}

static bool is_loner(const struct fake_group *group)
{
	struct fake_dev *dev;
	unsigned i;

	for (i = 0; (dev = fake_dev_at(i)); i++)
		if (dev->group == group->number && dev->noiommu == group->noiommu && dev->loner)
			return true;
	return false;
}

/*
 * Containers.
 */
int fake_container_open(void)
{
	struct fake_file *file = fake_file_new(FAKE_FILE_CONTAINER);

	file->container = calloc(1, sizeof(*file->container));
	file->container->refs = 1;
	return fake_fd_install(file);
}

void fake_container_put(struct fake_container *container)
{
	if (--container->refs)
		return;
	fake_maps_clear(&container->maps);
	free(container);
}

static int check_extension(const struct fake_container *container, unsigned long type)
{
	bool any = !container->type && !container->ngroups;
	bool real = any ||
		    (container->type ? container->type != VFIO_NOIOMMU_IOMMU : !container->noiommu);
	bool unsafe = any || (container->type ? container->type == VFIO_NOIOMMU_IOMMU
					      : container->noiommu);

	switch (type) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_UNMAP_ALL: return real;
	case VFIO_TYPE1v2_IOMMU: return real && !fake.v1_only;
	case VFIO_TYPE1_NESTING_IOMMU: return real && fake.flavour != FAKE_C;
	case FK_UPDATE_VADDR: return container->type && container->type != VFIO_NOIOMMU_IOMMU;
	case VFIO_NOIOMMU_IOMMU: return unsafe && fake.unsafe_noiommu;
	default: return 0;
	}
}

static int set_iommu(struct fake_container *container, unsigned long type)
{
	if (!container->ngroups || container->type)
		return -EINVAL;
	if (container->noiommu) {
		if (type != VFIO_NOIOMMU_IOMMU || !fake.unsafe_noiommu)
			return -ENODEV;
		if (!fake.cap_rawio)
			return -EPERM;
	} else {
		if ((type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU) ||
		    (type == VFIO_TYPE1v2_IOMMU && fake.v1_only))
			return -ENODEV;
		if (!fake_irq_isolated())
			return -EPERM;
	}
	container->type = type;
	container->entries = fake.dma_entry_limit;
	return 0;
}

/* Places a capability after those already there if there is room for all. */
struct caps {
	_Alignas(8) uint8_t buf[512];
	size_t len, last;
};

static void *cap_add(struct caps *caps, size_t base, unsigned id, size_t len)
{
	struct vfio_info_cap_header *head = (void *)(caps->buf + caps->len);

	if (caps->len)
		((struct vfio_info_cap_header *)(caps->buf + caps->last))->next = base + caps->len;
	memset(head, 0, len);
	head->id = id;
	head->version = 1;
	caps->last = caps->len;
	caps->len += (len + 7) & ~(size_t)7;
	return head;
}

static int get_info(const struct fake_container *container, struct vfio_iommu_type1_info *arg)
{
	struct vfio_iommu_type1_info_cap_iova_range *iovas;
	struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct fake_range range[2 * FAKE_RANGES];
	struct caps caps = { .len = 0 };
	size_t base = sizeof(*arg);
	unsigned i, n;

	if (arg->argsz < offsetof(struct vfio_iommu_type1_info, iova_pgsizes) + 8)
		return -EINVAL;
	migration = cap_add(&caps, base, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, sizeof(*migration));
	migration->pgsize_bitmap = FAKE_PAGE;
	avail = cap_add(&caps, base, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, sizeof(*avail));
	avail->avail = container->entries - container->maps.count;
	n = container_ranges(container, range);
	iovas = cap_add(&caps, base, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			sizeof(*iovas) + n * sizeof(iovas->iova_ranges[0]));
	iovas->nr_iovas = n;
	for (i = 0; i < n; i++) {
		iovas->iova_ranges[i].start = range[i].first;
		iovas->iova_ranges[i].end = range[i].last;
	}
	arg->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	arg->iova_pgsizes = fake.pgsizes;
	if (arg->argsz < base + caps.len) {
		if (arg->argsz >= base)
			arg->cap_offset = 0;
		arg->argsz = base + caps.len;
		return 0;
	}
	arg->cap_offset = base;
	memcpy((uint8_t *)arg + base, caps.buf, caps.len);
	return 0;
}

static int map_dma(struct fake_container *container, const struct vfio_iommu_type1_dma_map *arg)
{
	unsigned known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct fake_range range[2 * FAKE_RANGES];
	struct fake_map map = { arg->iova, arg->vaddr, arg->size, -1, arg->flags & known, NULL };
	uint64_t mask = (fake.pgsizes & -fake.pgsizes) - 1, last = arg->iova + arg->size - 1;
	unsigned n;
	int ret;

	if (arg->argsz < sizeof(*arg) || (arg->flags & ~known) || !map.prot)
		return -EINVAL;
	if (!arg->size || ((arg->size | arg->iova | arg->vaddr) & mask))
		return -EINVAL;
	if (last < arg->iova || arg->vaddr + arg->size - 1 < arg->vaddr)
		return fake.flavour == FAKE_C ? -EOVERFLOW : -EINVAL;
	if (fake_maps_overlap(&container->maps, arg->iova, last))
		return -EEXIST;
	if (container->maps.count >= container->entries)
		return -ENOSPC;
	n = container_ranges(container, range);
	if (!fake_range_allows(range, n, arg->iova, last))
		return -EINVAL;
	/* A BAR is faulted in, and nothing of it pinned. */
	ret = fake_va_is_off(arg->vaddr, arg->size) ? -EFAULT
						    : fake_va_touch(arg->vaddr, arg->size);
	if (!ret)
		ret = fake_pin(arg->size);
	return ret ? ret : fake_maps_insert(&container->maps, &map);
}

static int unmap_dma(struct fake_container *container, struct vfio_iommu_type1_dma_unmap *arg)
{
	uint64_t mask = (fake.pgsizes & -fake.pgsizes) - 1, unmapped = 0, last;
	bool all = arg->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	struct fake_maps *maps = &container->maps;
	size_t at, n = 0;

	if (arg->argsz < offsetof(struct vfio_iommu_type1_dma_unmap, size) + 8 ||
	    (arg->flags & ~VFIO_DMA_UNMAP_FLAG_ALL))
		return -EINVAL;
	last = all ? UINT64_MAX : arg->iova + arg->size - 1;
	if ((arg->iova & mask) || (all && (arg->iova || arg->size)))
		goto invalid;
	if (!all && (!arg->size || (arg->size & mask)))
		goto invalid;
	if (!all && last < arg->iova && fake.flavour == FAKE_C)
		return -EOVERFLOW;
	if (!all && last < arg->iova)
		goto invalid;
	at = fake_maps_find(maps, arg->iova);
	if (container->type == VFIO_TYPE1v2_IOMMU && !all) {
		size_t end = fake_maps_find(maps, last);

		if (at < maps->count && maps->map[at].iova < arg->iova)
			goto invalid;
		if (end < maps->count && maps->map[end].iova <= last &&
		    maps->map[end].iova + maps->map[end].size - 1 != last)
			goto invalid;
	}
	/*
	 * v1: nothing if the range begins inside a map, and the whole of the last one it touches.
	 */
	for (; at + n < maps->count && maps->map[at + n].iova <= last; n++) {
		if (maps->map[at + n].iova < arg->iova)
			break;
		unmapped += maps->map[at + n].size;
	}
	fake_unpin(unmapped);
	fake_maps_remove(maps, at, n);
	arg->size = unmapped;
	return 0;
invalid:
	arg->size = 0;
	return -EINVAL;
}

/* No device reports what it writes to: all that is pinned is dirty, always. */
static int dirty_bitmap(struct fake_container *container,
			const struct vfio_iommu_type1_dirty_bitmap_get *range)
{
	uint64_t page = fake.pgsizes & -fake.pgsizes, last = range->iova + range->size - 1, bit;
	struct fake_maps *maps = &container->maps;
	size_t at, end;

	if (range->iova + range->size < range->iova)
		return -EINVAL;
	if (range->bitmap.pgsize != page || range->iova & (page - 1) || !range->size ||
	    range->size & (page - 1))
		return -EINVAL;
	if (range->bitmap.size < (range->size / page + 63) / 64 * 8)
		return -EINVAL;
	if (!container->tracking)
		return -EINVAL;
	at = fake_maps_find(maps, range->iova);
	end = fake_maps_find(maps, last);
	if (at < maps->count && maps->map[at].iova < range->iova)
		return -EINVAL;
	if (end < maps->count && maps->map[end].iova <= last &&
	    maps->map[end].iova + maps->map[end].size - 1 != last)
		return -EINVAL;
	for (; at < maps->count && maps->map[at].iova <= last; at++)
		for (bit = 0; bit < maps->map[at].size / page; bit++) {
			uint64_t n = (maps->map[at].iova - range->iova) / page + bit;

			((uint64_t *)range->bitmap.data)[n / 64] |= UINT64_C(1) << n % 64;
		}
	return 0;
}

static int dirty_pages(struct fake_container *container,
		       const struct vfio_iommu_type1_dirty_bitmap *arg)
{
	if (container->type != VFIO_TYPE1v2_IOMMU)
		return -EACCES;
	if (!arg)
		return -EFAULT;
	if (arg->argsz < sizeof(*arg))
		return -EINVAL;
	switch (arg->flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START: container->tracking = true; return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP: container->tracking = false; return 0;
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		if (arg->argsz < sizeof(*arg) + sizeof(struct vfio_iommu_type1_dirty_bitmap_get))
			return -EINVAL;
		return dirty_bitmap(container, (const void *)arg->data);
	default: return -EINVAL;
	}
}

int fake_container_ioctl(struct fake_file *file, unsigned long request, void *arg)
{
	struct fake_container *container = file->container;

	switch (request) {
	case VFIO_GET_API_VERSION: return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION: return check_extension(container, (unsigned long)arg);
	case VFIO_SET_IOMMU: return set_iommu(container, (unsigned long)arg);
	default: break;
	}
	if (!container->type)
		return -EINVAL;
	if (container->type == VFIO_NOIOMMU_IOMMU)
		return -ENOTTY;
	switch (request) {
	case VFIO_IOMMU_GET_INFO: return arg ? get_info(container, arg) : -EFAULT;
	case VFIO_IOMMU_MAP_DMA: return arg ? map_dma(container, arg) : -EFAULT;
	case VFIO_IOMMU_UNMAP_DMA: return arg ? unmap_dma(container, arg) : -EFAULT;
	case VFIO_IOMMU_DIRTY_PAGES: return dirty_pages(container, arg);
	default: return -ENOTTY;
	}
}

/*
 * Groups.
 */
static bool group_bound(const struct fake_group *group)
{
	struct fake_dev *dev;
	unsigned i;

	for (i = 0; (dev = fake_dev_at(i)); i++)
		if (dev->group == group->number && dev->noiommu == group->noiommu && dev->bound)
			return true;
	return false;
}

int fake_group_open(int number, bool noiommu)
{
	struct fake_group *group = fake_group_of(number, noiommu);
	struct fake_file *file;

	if (noiommu && !fake.cap_rawio)
		return -EPERM;
	if (group->cdevs || group->opened)
		return -EBUSY;
	group->opened = true;
	file = fake_file_new(FAKE_FILE_GROUP);
	file->group = group;
	return fake_fd_install(file);
}

static void leave_container(struct fake_group *group)
{
	struct fake_container *container = group->container;

	group->container = NULL;
	if (!--container->ngroups) {
		fake_unpin(fake_maps_bytes(&container->maps));
		fake_maps_clear(&container->maps);
		container->type = 0;
		container->tracking = false;
	}
	fake_container_put(container);
}

void fake_group_release(struct fake_file *file)
{
	struct fake_group *group = file->group;

	if (group->container)
		leave_container(group);
	if (group->iommufd) {
		fake_file_put(group->iommufd);
		group->iommufd = NULL;
	}
	group->opened = false;
}

static int join_container(struct fake_group *group, struct fake_container *container)
{
	if (group->noiommu && !fake.cap_rawio)
		return -EPERM;
	if (container->ngroups && container->noiommu != group->noiommu)
		return -EPERM;
	if (!group->noiommu && (!fake_group_viable(group) || group_bound(group)))
		return -EPERM;
	if (container->type && !group->noiommu) {
		if (!fake_irq_isolated())
			return -EPERM;
		if (is_loner(group) || !ranges_hold(group, &container->maps))
			return -EINVAL;
	}
	container->noiommu = group->noiommu;
	container->ngroups++;
	container->refs++;
	group->container = container;
	return 0;
}

static int set_container(struct fake_group *group, int fd)
{
	struct fake_file *file = fake_file_of(fd);
	int ret;

	if (!file)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EBADFD;
	if (group->container || group->iommufd)
		return -EINVAL;
	if (file->kind == FAKE_FILE_CONTAINER)
		return join_container(group, file->container);
	if (file->kind != FAKE_FILE_IOMMUFD)
		return -EBADFD;
	ret = fake_compat_join(file, group->noiommu);
	if (ret)
		return ret;
	fake_file_get(file);
	group->iommufd = file;
	return 0;
}

static int unset_container(struct fake_group *group)
{
	if (!group->container && !group->iommufd)
		return -EINVAL;
	if (group->container) {
		if (group->users)
			return -EBUSY;
		leave_container(group);
	}
	if (group->iommufd) {
		fake_file_put(group->iommufd);
		group->iommufd = NULL;
	}
	return 0;
}

static int get_status(const struct fake_group *group, struct vfio_group_status *status)
{
	if (status->argsz < sizeof(*status))
		return -EINVAL;
	status->flags = 0;
	if (group->container || group->iommufd)
		status->flags = VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
	else if (group->noiommu || (fake_group_viable(group) && !group_bound(group)))
		status->flags = VFIO_GROUP_FLAGS_VIABLE;
	return 0;
}

int fake_group_ioctl(struct fake_file *file, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_GROUP_GET_STATUS: return arg ? get_status(file->group, arg) : -EFAULT;
	case VFIO_GROUP_SET_CONTAINER:
		return arg ? set_container(file->group, *(int *)arg) : -EFAULT;
	case VFIO_GROUP_UNSET_CONTAINER: return unset_container(file->group);
	case VFIO_GROUP_GET_DEVICE_FD: return arg ? fake_device_open_by_group(file, arg) : -EFAULT;
	default: return -ENOTTY;
	}
}
