/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd of the fake kernel, after drivers/iommu/iommufd/{main,ioas,io_pagetable}.c of Linux 6.12;
 * GET_PA after Linux 7.3.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fake_kernel.h"

/* What is added to the id of an IOAS for the page table that the kernel makes for it. */
#define PAGE_TABLES 1000

int fake_iommufd_open(void)
{
	struct fake_file *file = fake_file_new(FAKE_FILE_IOMMUFD);

	file->iommufd = calloc(1, sizeof(*file->iommufd));
	return fake_fd_install(file);
}

/* Memory under one map and its copies: pinned once, as long as one of them needs it. */
struct fake_pages {
	unsigned refs, pins;
};

static int map_pin(const struct fake_map *map)
{
	int ret = map->pages->pins ? 0 : fake_pin(map->size);

	if (!ret)
		map->pages->pins++;
	return ret;
}

static void map_unpin(const struct fake_map *map)
{
	if (!--map->pages->pins)
		fake_unpin(map->size);
}

static void map_release(const struct fake_ioas *ioas, const struct fake_map *map)
{
	if (ioas->pinned)
		map_unpin(map);
	if (!--map->pages->refs)
		free(map->pages);
}

static void ioas_destroy(struct fake_ioas *ioas)
{
	size_t i;

	for (i = 0; i < ioas->maps.count; i++)
		map_release(ioas, &ioas->maps.map[i]);
	fake_maps_clear(&ioas->maps);
	memset(ioas, 0, sizeof(*ioas));
}

void fake_iommufd_release(struct fake_file *file)
{
	unsigned i;

	for (i = 0; i < FAKE_HWPTS; i++)
		free(file->iommufd->hwpt[i].dirty);
	for (i = 0; i < FAKE_IOASES; i++)
		if (file->iommufd->ioas[i].id)
			ioas_destroy(&file->iommufd->ioas[i]);
	free(file->iommufd);
}

struct fake_ioas *fake_iommufd_ioas(struct fake_file *file, uint32_t id)
{
	unsigned i;

	for (i = 0; i < FAKE_IOASES; i++)
		if (id && file->iommufd->ioas[i].id == id)
			return &file->iommufd->ioas[i];
	return NULL;
}

int fake_ioas_new(struct fake_file *file, uint32_t *id)
{
	struct fake_iommufd *iommufd = file->iommufd;
	unsigned i;

	for (i = 0; i < FAKE_IOASES && iommufd->ioas[i].id; i++)
		;
	if (i == FAKE_IOASES)
		return -ENOMEM;
	*id = iommufd->ioas[i].id = ++iommufd->next_id;
	return 0;
}

/* What the devices attached to an IOAS, and page tables made for it, allow. */
unsigned fake_ioas_ranges(struct fake_file *file, const struct fake_ioas *ioas,
			  struct fake_range *range)
{
	const struct fake_hwpt *hwpt = file->iommufd->hwpt;
	struct fake_dev *dev;
	unsigned i, n = 1;

	range[0] = (struct fake_range){ 0, UINT64_MAX };
	for (i = 0; i < FAKE_HWPTS; i++)
		if (hwpt[i].id && hwpt[i].ioas == ioas->id && hwpt[i].last < range[0].last)
			range[0].last = hwpt[i].last;
	for (i = 0; (dev = fake_dev_at(i)); i++)
		if (dev->bound == file && dev->pt == ioas->id && !dev->noiommu)
			n = fake_range_intersect(range, n, dev->range, dev->nranges);
	return n;
}

static uint64_t alignment(const struct fake_ioas *ioas)
{
	return ioas->pinned || ioas->small ? FAKE_PAGE : 1;
}

/*
 * Mapping.
 */
static int pick_iova(const struct fake_ioas *ioas, const struct fake_range *range, unsigned n,
		     struct fake_map *map)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		uint64_t iova = range[i].first ? range[i].first : FAKE_PAGE;

		while (iova <= range[i].last && range[i].last - iova >= map->size - 1) {
			size_t at = fake_maps_find(&ioas->maps, iova);

			if (at == ioas->maps.count ||
			    ioas->maps.map[at].iova > iova + map->size - 1) {
				map->iova = iova;
				return 0;
			}
			iova = ioas->maps.map[at].iova + ioas->maps.map[at].size;
		}
	}
	return -ENOSPC;
}

/* Whether a file has all that is to be pinned of it; it must be one of memory. */
static bool file_holds(const struct fake_map *map, uint64_t start)
{
	const struct fake_file *buf = fake_file_of(map->fd);
	struct stat st;

	if (buf)
		return buf->kind == FAKE_FILE_DMABUF;
	return !fstat(map->fd, &st) && S_ISREG(st.st_mode) && start <= (uint64_t)st.st_size &&
	       map->size <= st.st_size - start;
}

int fake_ioas_map(struct fake_file *file, struct fake_ioas *ioas, struct fake_map *map, bool fixed,
		  uint64_t start)
{
	struct fake_range range[2 * FAKE_RANGES];
	unsigned n = fake_ioas_ranges(file, ioas, range);
	uint64_t last;
	int ret;

	if (!map->size)
		return -EINVAL;
	if (fake.flavour == FAKE_C && map->va + map->size - 1 < map->va)
		return -EOVERFLOW;
	if (fixed) {
		if (map->iova & (alignment(ioas) - 1))
			return -EINVAL;
		last = map->iova + map->size - 1;
		if (last < map->iova)
			return -EOVERFLOW;
		if (!fake_range_allows(range, n, map->iova, last))
			return -EINVAL;
		if (fake_maps_overlap(&ioas->maps, map->iova, last))
			return -EEXIST;
	} else {
		ret = pick_iova(ioas, range, n, map);
		if (ret)
			return ret;
	}
	if ((map->size | map->va) & (alignment(ioas) - 1))
		return -EINVAL;
	if (map->fd < 0 && fake_va_is_device(map->va, map->size))
		return -EFAULT;
	if (map->fd >= 0 && ioas->pinned && !file_holds(map, start))
		return -EINVAL;
	if (map->fd < 0 && ioas->pinned && fake_va_touch(map->va, map->size))
		return -EFAULT;
	if (!map->pages)
		map->pages = calloc(1, sizeof(*map->pages));
	ret = ioas->pinned ? map_pin(map) : 0;
	if (ret) {
		if (!map->pages->refs)
			free(map->pages);
		return ret;
	}
	map->pages->refs++;
	return fake_maps_insert(&ioas->maps, map);
}

static int cmd_map(struct fake_file *file, struct fk_ioas_map *cmd)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, cmd->ioas_id);
	struct fake_map map = { cmd->iova, cmd->user_va, cmd->length, -1, cmd->flags & 6, NULL };
	int ret;

	if ((cmd->flags & ~7u) || cmd->reserved)
		return -EOPNOTSUPP;
	if (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX)
		return -EOVERFLOW;
	if (!map.prot)
		return -EINVAL;
	if (!ioas)
		return -ENOENT;
	ret = fake_ioas_map(file, ioas, &map, cmd->flags & FK_MAP_FIXED_IOVA, 0);
	if (!ret)
		cmd->iova = map.iova;
	return ret;
}

/* Of the kernel's files only a BAR's dma-buf will do. */
static int map_dmabuf(const struct fk_map_file *cmd, struct fake_map *map)
{
	const struct fake_file *buf = fake_file_of(cmd->fd);

	if (!buf || buf->kind != FAKE_FILE_DMABUF)
		return 0;
	if (cmd->start > buf->len || cmd->length > buf->len - cmd->start)
		return -EINVAL;
	if (!fake_device_decodes(buf->dev))
		return -ENODEV;
	map->va = FAKE_BAR_VA(buf->region, buf->region_offset + cmd->start);
	return 0;
}

static int cmd_map_file(struct fake_file *file, struct fk_map_file *cmd)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, cmd->ioas_id);
	struct fake_map map = { cmd->iova,	fake_va_of_file(cmd->fd, cmd->start),
				cmd->length,	cmd->fd,
				cmd->flags & 6, NULL };
	int ret;

	if (fake.flavour != FAKE_C || fake.no_map_file)
		return -ENOTTY;
	if (cmd->flags & ~7u)
		return -EOPNOTSUPP;
	if (!map.prot)
		return -EINVAL;
	if (!ioas)
		return -ENOENT;
	if (!fake_file_of(cmd->fd) && fcntl(cmd->fd, F_GETFD) < 0)
		return -EBADF;
	ret = map_dmabuf(cmd, &map);
	if (ret)
		return ret;
	ret = fake_ioas_map(file, ioas, &map, cmd->flags & FK_MAP_FIXED_IOVA, cmd->start);
	if (!ret)
		cmd->iova = map.iova;
	return ret;
}

/* Takes away whole maps; -ENOENT if an end of the range cuts one, with what came before it gone. */
int fake_ioas_unmap(struct fake_ioas *ioas, uint64_t first, uint64_t last, uint64_t *unmapped)
{
	size_t at = fake_maps_find(&ioas->maps, first);
	int ret = 0;

	*unmapped = 0;
	while (at < ioas->maps.count && ioas->maps.map[at].iova <= last) {
		const struct fake_map *map = &ioas->maps.map[at];

		if (map->iova < first || map->iova + map->size - 1 > last) {
			ret = -ENOENT;
			break;
		}
		*unmapped += map->size;
		map_release(ioas, map);
		fake_maps_remove(&ioas->maps, at, 1);
	}
	return ret;
}

int fake_ioas_cut(struct fake_ioas *ioas, uint64_t iova)
{
	size_t at = fake_maps_find(&ioas->maps, iova);
	struct fake_map *map = &ioas->maps.map[at], rest;

	if (at == ioas->maps.count || map->iova >= iova)
		return 0;
	if (iova & (alignment(ioas) - 1))
		return -EINVAL;
	rest = *map;
	rest.pages = calloc(1, sizeof(*rest.pages));
	rest.pages->refs = 1;
	rest.pages->pins = ioas->pinned;
	map->size = iova - map->iova;
	rest.iova += map->size;
	rest.va += map->size;
	rest.size -= map->size;
	return fake_maps_insert(&ioas->maps, &rest);
}

static int cmd_unmap(struct fake_file *file, struct fk_ioas_unmap *cmd)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, cmd->ioas_id);
	bool all = !cmd->iova && cmd->length == UINT64_MAX;
	uint64_t unmapped;
	int ret;

	if (!ioas)
		return -ENOENT;
	if (!all && (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX))
		return -EOVERFLOW;
	if (!all && (!cmd->length || cmd->iova + cmd->length - 1 < cmd->iova))
		return cmd->length ? -EOVERFLOW : -EINVAL;
	ret = fake_ioas_unmap(ioas, cmd->iova, all ? UINT64_MAX : cmd->iova + cmd->length - 1,
			      &unmapped);
	if (ret)
		return ret;
	if (!unmapped && !all)
		return -ENOENT;
	cmd->length = unmapped;
	return 0;
}

static int cmd_copy(struct fake_file *file, struct fk_ioas_copy *cmd)
{
	struct fake_ioas *from = fake_iommufd_ioas(file, cmd->src_ioas_id);
	struct fake_ioas *to = fake_iommufd_ioas(file, cmd->dst_ioas_id);
	struct fake_map map = { cmd->dst_iova, 0, cmd->length, -1, cmd->flags & 6, NULL };
	const struct fake_map *src;
	size_t at;
	int ret;

	if (cmd->flags & ~7u)
		return -EOPNOTSUPP;
	if (!map.prot)
		return -EINVAL;
	if (!from || !to)
		return -ENOENT;
	at = fake_maps_find(&from->maps, cmd->src_iova);
	src = &from->maps.map[at];
	if (at == from->maps.count || src->iova > cmd->src_iova ||
	    src->iova + src->size < cmd->src_iova + cmd->length)
		return -ENOENT;
	map.va = src->va + (cmd->src_iova - src->iova);
	map.fd = src->fd;
	if (map.size == src->size)
		map.pages = src->pages;
	ret = fake_ioas_map(file, to, &map, cmd->flags & FK_MAP_FIXED_IOVA, 0);
	if (!ret)
		cmd->dst_iova = map.iova;
	return ret;
}

static int cmd_ranges(struct fake_file *file, struct fk_iova_ranges *cmd)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, cmd->ioas_id);
	struct fake_range range[2 * FAKE_RANGES];
	struct fk_iova_range *out = (void *)(uintptr_t)cmd->allowed_iovas;
	unsigned i, n, room = cmd->num_iovas;

	if (cmd->reserved)
		return -EOPNOTSUPP;
	if (!ioas)
		return -ENOENT;
	n = fake_ioas_ranges(file, ioas, range);
	for (i = 0; i < n && i < room; i++)
		out[i] = (struct fk_iova_range){ range[i].first, range[i].last };
	cmd->num_iovas = n;
	cmd->out_iova_alignment = alignment(ioas);
	return n > room ? -EMSGSIZE : 0;
}

static int cmd_get_pa(struct fake_file *file, struct fk_get_pa *cmd)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, cmd->ioas_id);
	const struct fake_map *map;
	uint64_t left, run;
	size_t at;

	if (fake.flavour != FAKE_C || fake.no_get_pa)
		return -ENOTTY;
	if (cmd->flags || cmd->reserved)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (!fake.cap_rawio)
		return -EPERM;
	if (!ioas)
		return -ENOENT;
	at = fake_maps_find(&ioas->maps, cmd->iova);
	if (at == ioas->maps.count)
		return -ENOENT;
	map = &ioas->maps.map[at];
	if (map->iova > cmd->iova)
		return -ENOENT;
	if (!ioas->noiommu)
		return -EOPNOTSUPP;
	left = map->size - (cmd->iova - map->iova);
	if (left > cmd->length)
		left = cmd->length;
	cmd->out_phys = fake_phys(map->va + (cmd->iova - map->iova), left, &run);
	cmd->length = run;
	return 0;
}

/*
 * Page tables that track dirty pages.
 */
static struct fake_hwpt *hwpt_of(struct fake_file *file, uint32_t id)
{
	unsigned i;

	for (i = 0; i < FAKE_HWPTS; i++)
		if (id && file->iommufd->hwpt[i].id == id)
			return &file->iommufd->hwpt[i];
	return NULL;
}

static int ioas_pin(struct fake_ioas *ioas)
{
	size_t i;
	int ret;

	for (i = 0; !ioas->pinned && i < ioas->maps.count; i++) {
		ret = map_pin(&ioas->maps.map[i]);
		if (!ret)
			continue;
		while (i--)
			map_unpin(&ioas->maps.map[i]);
		return ret;
	}
	ioas->pinned = true;
	return 0;
}

static void ioas_unpin(struct fake_ioas *ioas)
{
	size_t i;

	for (i = 0; ioas->pinned && i < ioas->maps.count; i++)
		map_unpin(&ioas->maps.map[i]);
	ioas->pinned = false;
}

static int cmd_hwpt_alloc(struct fake_file *file, struct fk_hwpt_alloc *cmd)
{
	bool more = cmd->size > offsetof(struct fk_hwpt_alloc, data_type);
	struct fake_ioas *ioas = fake_iommufd_ioas(file, cmd->pt_id);
	struct fake_hwpt *hwpt = file->iommufd->hwpt;
	struct fake_dev *dev;
	unsigned i;
	int ret;

	if (cmd->flags & ~FK_HWPT_DIRTY_TRACKING || cmd->reserved)
		return -EOPNOTSUPP;
	/* Of a kind of the hardware's own there is none. */
	if (more && !cmd->data_type != !cmd->data_len)
		return -EINVAL;
	for (i = 0; (dev = fake_dev_at(i)); i++)
		if (dev->bound == file && dev->devid == cmd->dev_id)
			break;
	if (!dev)
		return -ENOENT;
	/* Nested in one, it would be of the hardware's own kind. */
	if (!ioas)
		return hwpt_of(file, cmd->pt_id) ? -EOPNOTSUPP : -EINVAL;
	if (dev->noiommu || (cmd->flags && !dev->tracks_dirty))
		return -EOPNOTSUPP;
	for (i = 0; i < FAKE_HWPTS && hwpt[i].id; i++)
		;
	if (i == FAKE_HWPTS)
		return -ENOMEM;
	ret = ioas_pin(ioas);
	if (ret)
		return ret;
	cmd->out_hwpt_id = hwpt[i].id = ++file->iommufd->next_id;
	hwpt[i].ioas = ioas->id;
	hwpt[i].tracks = cmd->flags;
	hwpt[i].last = dev->range[dev->nranges - 1].last;
	return 0;
}

static int cmd_set_dirty(struct fake_file *file, const struct fk_set_dirty *cmd)
{
	struct fake_hwpt *hwpt = hwpt_of(file, cmd->hwpt_id);

	if (cmd->flags & ~FK_DIRTY_ENABLE || cmd->reserved)
		return -EOPNOTSUPP;
	if (!hwpt)
		return -ENOENT;
	if (!hwpt->tracks)
		return -EOPNOTSUPP;
	hwpt->tracking = cmd->flags;
	hwpt->ndirty = 0;
	return 0;
}

static int cmd_get_dirty(struct fake_file *file, const struct fk_get_dirty *cmd)
{
	struct fake_hwpt *hwpt = hwpt_of(file, cmd->hwpt_id);
	uint64_t *bitmap = (uint64_t *)(uintptr_t)cmd->data;
	uint64_t page = cmd->page_size, bit;
	size_t i = 0;

	if (cmd->flags & ~FK_DIRTY_NO_CLEAR || cmd->reserved)
		return -EOPNOTSUPP;
	if (!hwpt)
		return -ENOENT;
	if (!cmd->length || !page || (cmd->iova | cmd->length) & (page - 1) ||
	    (cmd->iova | cmd->length) & (FAKE_PAGE - 1))
		return -EINVAL;
	if (!hwpt->tracks)
		return -EOPNOTSUPP;
	if (!hwpt->tracking)
		return -EINVAL;
	while (i < hwpt->ndirty) {
		if (hwpt->dirty[i] < cmd->iova || hwpt->dirty[i] - cmd->iova >= cmd->length) {
			i++;
			continue;
		}
		bit = (hwpt->dirty[i] - cmd->iova) / page;
		bitmap[bit / 64] |= UINT64_C(1) << bit % 64;
		if (cmd->flags & FK_DIRTY_NO_CLEAR)
			i++;
		else
			hwpt->dirty[i] = hwpt->dirty[--hwpt->ndirty];
	}
	return 0;
}

void fake_dev_wrote(struct fake_dev *dev, uint64_t iova, uint64_t len)
{
	struct fake_hwpt *hwpt = dev->bound ? hwpt_of(dev->bound, dev->hwpt) : NULL;
	uint64_t at;

	if (!hwpt || !hwpt->tracking)
		return;
	for (at = iova & ~(uint64_t)(FAKE_PAGE - 1); at < iova + len; at += FAKE_PAGE) {
		hwpt->dirty = realloc(hwpt->dirty, (hwpt->ndirty + 1) * sizeof(*hwpt->dirty));
		hwpt->dirty[hwpt->ndirty++] = at;
	}
}

static int destroy_hwpt(struct fake_file *file, struct fake_hwpt *hwpt)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, hwpt->ioas);
	unsigned i;

	if (hwpt->attached)
		return -EBUSY;
	free(hwpt->dirty);
	memset(hwpt, 0, sizeof(*hwpt));
	for (i = 0; i < FAKE_HWPTS; i++)
		if (file->iommufd->hwpt[i].ioas == ioas->id)
			return 0;
	if (!ioas->attached && !ioas->noiommu)
		ioas_unpin(ioas);
	return 0;
}

static int cmd_destroy(struct fake_file *file, const struct fk_destroy *cmd)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, cmd->id);
	struct fake_hwpt *hwpt = hwpt_of(file, cmd->id);
	unsigned i;

	if (hwpt)
		return destroy_hwpt(file, hwpt);
	if (!ioas)
		return -ENOENT;
	if (ioas->attached || ioas->noiommu)
		return -EBUSY;
	for (i = 0; i < FAKE_HWPTS; i++)
		if (file->iommufd->hwpt[i].id && file->iommufd->hwpt[i].ioas == ioas->id)
			return -EBUSY;
	if (file->iommufd->compat == cmd->id)
		file->iommufd->compat = 0;
	ioas_destroy(ioas);
	return 0;
}

static int cmd_vfio_ioas(struct fake_file *file, struct fk_vfio_ioas *cmd)
{
	if (cmd->reserved)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case FK_VFIO_IOAS_GET:
		if (!file->iommufd->compat)
			return -ENODEV;
		cmd->ioas_id = file->iommufd->compat;
		return 0;
	case FK_VFIO_IOAS_SET:
		if (!fake_iommufd_ioas(file, cmd->ioas_id))
			return -ENOENT;
		file->iommufd->compat = cmd->ioas_id;
		return 0;
	case FK_VFIO_IOAS_CLEAR: file->iommufd->compat = 0; return 0;
	default: return -EOPNOTSUPP;
	}
}

/*
 * Devices.
 */
static bool group_taken(const struct fake_file *file, const struct fake_dev *dev)
{
	const struct fake_group *group = fake_group_of(dev->group, dev->noiommu);
	struct fake_dev *other;
	unsigned i;

	if (group->container)
		return true;
	for (i = 0; (other = fake_dev_at(i)); i++)
		if (other->group == dev->group && other->noiommu == dev->noiommu && other->bound &&
		    other->bound != file)
			return true;
	return false;
}

int fake_iommufd_bind(struct fake_file *file, struct fake_dev *dev)
{
	if (!dev->noiommu) {
		if (!fake_irq_isolated())
			return -EPERM;
		if (group_taken(file, dev) ||
		    !fake_group_viable(fake_group_of(dev->group, dev->noiommu)))
			return -EPERM;
	}
	fake_file_get(file);
	dev->bound = file;
	dev->devid = ++file->iommufd->next_id;
	dev->pt = 0;
	return 0;
}

void fake_iommufd_detach(struct fake_file *file, struct fake_dev *dev)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, dev->pt);

	if (!ioas)
		return;
	if (dev->noiommu)
		ioas->noiommu--;
	else
		ioas->attached--;
	dev->pt = 0;
	if (dev->hwpt)
		hwpt_of(file, dev->hwpt)->attached--;
	else if (!ioas->attached && !ioas->noiommu)
		ioas_unpin(ioas);
	dev->hwpt = 0;
}

void fake_iommufd_unbind(struct fake_file *file, struct fake_dev *dev)
{
	fake_iommufd_detach(file, dev);
	dev->bound = NULL;
	dev->devid = 0;
	fake_file_put(file);
}

int fake_iommufd_attach(struct fake_file *file, struct fake_dev *dev, uint32_t *pt)
{
	struct fake_hwpt *hwpt = hwpt_of(file, *pt);
	uint32_t id = *pt > PAGE_TABLES ? *pt - PAGE_TABLES : *pt;
	struct fake_ioas *ioas = fake_iommufd_ioas(file, hwpt ? hwpt->ioas : id);
	int ret;
	size_t m;

	if (!ioas)
		return -ENOENT;
	if (hwpt && hwpt->tracks && !dev->tracks_dirty)
		return -EINVAL;
	if (dev->pt == ioas->id && dev->hwpt == (hwpt ? hwpt->id : 0))
		return 0;
	if (dev->noiommu ? ioas->attached : ioas->noiommu)
		return -EINVAL;
	for (m = 0; m < ioas->maps.count && !dev->noiommu; m++)
		if (!fake_range_allows(dev->range, dev->nranges, ioas->maps.map[m].iova,
				       ioas->maps.map[m].iova + ioas->maps.map[m].size - 1) ||
		    (ioas->maps.map[m].iova | ioas->maps.map[m].size) & (FAKE_PAGE - 1))
			return -EADDRINUSE;
	ret = ioas_pin(ioas);
	if (ret)
		return ret;
	fake_iommufd_detach(file, dev);
	ioas_pin(ioas); /* if it was the only one */
	dev->pt = ioas->id;
	dev->hwpt = hwpt ? hwpt->id : 0;
	if (hwpt)
		hwpt->attached++;
	if (dev->noiommu)
		ioas->noiommu++;
	else
		ioas->attached++;
	*pt = hwpt ? hwpt->id : PAGE_TABLES + ioas->id; /* made for it */
	return 0;
}

/*
 * Sizes as iommufd checks them: at least the fields known to it, and zeroes in those that aren't.
 */
static int check_size(const void *arg, size_t min, size_t known)
{
	const uint8_t *bytes = arg;
	uint32_t size = *(const uint32_t *)arg, i;

	if (size < min)
		return -EINVAL;
	for (i = known; i < size && i < 4096; i++)
		if (bytes[i])
			return -E2BIG;
	return 0;
}

int fake_iommufd_ioctl(struct fake_file *file, unsigned long request, void *arg)
{
	static const struct {
		unsigned long request;
		size_t size, min; /* 0: all of it */
	} sizes[] = {
		{ FK_DESTROY, sizeof(struct fk_destroy), 0 },
		{ FK_IOAS_ALLOC, sizeof(struct fk_ioas_alloc), 0 },
		{ FK_IOAS_COPY, sizeof(struct fk_ioas_copy), 0 },
		{ FK_IOVA_RANGES, sizeof(struct fk_iova_ranges), 0 },
		{ FK_IOAS_MAP, sizeof(struct fk_ioas_map), 0 },
		{ FK_IOAS_UNMAP, sizeof(struct fk_ioas_unmap), 0 },
		{ FK_VFIO_IOAS, sizeof(struct fk_vfio_ioas), 0 },
		{ FK_HWPT_ALLOC, sizeof(struct fk_hwpt_alloc),
		  offsetof(struct fk_hwpt_alloc, data_type) },
		{ FK_SET_DIRTY, sizeof(struct fk_set_dirty), 0 },
		{ FK_GET_DIRTY, sizeof(struct fk_get_dirty), 0 },
		{ FK_MAP_FILE, sizeof(struct fk_map_file), 0 },
		{ FK_GET_PA, sizeof(struct fk_get_pa), 0 },
	};
	size_t i;
	int ret;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i].request != request)
			continue;
		if (!arg)
			return -EFAULT;
		ret = check_size(arg, sizes[i].min ? sizes[i].min : sizes[i].size, sizes[i].size);
		if (ret)
			return ret;
	}
	switch (request) {
	case FK_DESTROY: return cmd_destroy(file, arg);
	case FK_IOAS_ALLOC:
		if (((struct fk_ioas_alloc *)arg)->flags)
			return -EOPNOTSUPP;
		return fake_ioas_new(file, &((struct fk_ioas_alloc *)arg)->out_ioas_id);
	case FK_IOAS_COPY: return cmd_copy(file, arg);
	case FK_IOVA_RANGES: return cmd_ranges(file, arg);
	case FK_IOAS_MAP: return cmd_map(file, arg);
	case FK_IOAS_UNMAP: return cmd_unmap(file, arg);
	case FK_VFIO_IOAS: return cmd_vfio_ioas(file, arg);
	case FK_HWPT_ALLOC: return cmd_hwpt_alloc(file, arg);
	case FK_SET_DIRTY: return cmd_set_dirty(file, arg);
	case FK_GET_DIRTY: return cmd_get_dirty(file, arg);
	case FK_MAP_FILE: return cmd_map_file(file, arg);
	case FK_GET_PA: return cmd_get_pa(file, arg);
	default: return fake_compat_ioctl(file, request, arg);
	}
}
