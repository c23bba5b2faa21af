/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "wire.h"

_Static_assert(sizeof(struct vfu_header) == 16, "vfio-user, Header");
_Static_assert(sizeof(struct vfu_version) == 4, "VFIO_USER_VERSION");
_Static_assert(sizeof(struct vfu_dma_map) == 32, "VFIO_USER_DMA_MAP");
_Static_assert(sizeof(struct vfu_dma_unmap) == 24, "VFIO_USER_DMA_UNMAP");
_Static_assert(sizeof(struct vfu_info) == 16, "VFIO_USER_DEVICE_GET_INFO");
_Static_assert(sizeof(struct vfio_region_info) == 32, "VFIO_USER_DEVICE_GET_REGION_INFO");
_Static_assert(sizeof(struct vfu_io_fds) == 16, "VFIO_USER_DEVICE_GET_REGION_IO_FDS");
_Static_assert(sizeof(struct vfio_irq_info) == 16, "VFIO_USER_DEVICE_GET_IRQ_INFO");
_Static_assert(sizeof(struct vfio_irq_set) == 20, "VFIO_USER_DEVICE_SET_IRQS");
_Static_assert(sizeof(struct vfu_access) == 16, "VFIO_USER_REGION_READ");
_Static_assert(sizeof(struct vfu_dma_access) == 16, "VFIO_USER_DMA_READ");
_Static_assert(sizeof(struct vfu_write) == 24, "VFIO_USER_REGION_WRITE_MULTI");
_Static_assert(VFU_MIG_WRITE == 18, "Commands");

/* What a server is sent. body: the fixed part's bytes. */
static const struct {
	const char *name;
	bool from_client;
	unsigned max_fds;
	size_t body;
} commands[VFU_CMDS] = {
	[VFU_VERSION] = { "VERSION", true, 0, sizeof(struct vfu_version) },
	[VFU_DMA_MAP] = { "DMA_MAP", true, 1, sizeof(struct vfu_dma_map) },
	[VFU_DMA_UNMAP] = { "DMA_UNMAP", true, 0, sizeof(struct vfu_dma_unmap) },
	[VFU_GET_INFO] = { "GET_INFO", true, 0, sizeof(struct vfu_info) },
	[VFU_GET_REGION_INFO] = { "GET_REGION_INFO", true, 0, sizeof(struct vfio_region_info) },
	[VFU_GET_REGION_IO_FDS] = { "GET_REGION_IO_FDS", true, 0, sizeof(struct vfu_io_fds) },
	[VFU_GET_IRQ_INFO] = { "GET_IRQ_INFO", true, 0, sizeof(struct vfio_irq_info) },
	[VFU_SET_IRQS] = { "SET_IRQS", true, VFU_MAX_FDS, sizeof(struct vfio_irq_set) },
	[VFU_REGION_READ] = { "REGION_READ", true, 0, sizeof(struct vfu_access) },
	[VFU_REGION_WRITE] = { "REGION_WRITE", true, 0, sizeof(struct vfu_access) },
	[VFU_DMA_READ] = { "DMA_READ", false, 0, 0 },
	[VFU_DMA_WRITE] = { "DMA_WRITE", false, 0, 0 },
	[VFU_RESET] = { "RESET", true, 0, 0 },
	[VFU_DIRTY_PAGES] = { "DIRTY_PAGES", true, 0, 0 },
	[VFU_WRITE_MULTI] = { "REGION_WRITE_MULTI", true, 0, sizeof(uint64_t) },
	[VFU_FEATURE] = { "DEVICE_FEATURE", true, 0, sizeof(struct vfio_device_feature) },
	[VFU_MIG_READ] = { "MIG_DATA_READ", true, 0, 0 },
	[VFU_MIG_WRITE] = { "MIG_DATA_WRITE", true, 0, 0 },
};

const char *plx_vfu_cmd_name(unsigned cmd)
{
	return cmd < VFU_CMDS && commands[cmd].name ? commands[cmd].name : "?";
}

int plx_vfu_check_header(const struct vfu_header *header, size_t max)
{
	uint32_t type = header->flags & VFU_F_TYPE;

	if (header->size < sizeof(*header) || (type != VFU_F_COMMAND && type != VFU_F_REPLY))
		return -EPROTO;
	return header->size > max ? -EMSGSIZE : 0;
}

int plx_vfu_check_reply(const struct vfu_header *sent, const struct vfu_header *got,
			size_t min_body)
{
	if ((got->flags & VFU_F_TYPE) != VFU_F_REPLY || got->id != sent->id ||
	    got->cmd != sent->cmd)
		return -EPROTO;
	if (got->flags & VFU_F_ERROR)
		return got->err && got->err <= VFU_MAX_ERRNO ? -(int)got->err : -EINVAL;
	return got->size < sizeof(*got) || got->size - sizeof(*got) < min_body ? -EPROTO : 0;
}

int plx_vfu_check_command(const struct vfu_header *header, size_t nfds)
{
	if (header->cmd >= VFU_CMDS || !commands[header->cmd].from_client)
		return -ENOTSUP;
	if (header->size - sizeof(*header) < commands[header->cmd].body ||
	    nfds > commands[header->cmd].max_fds)
		return -EINVAL;
	return 0;
}

int plx_vfu_check_map(const struct vfu_dma_map *map, size_t nfds)
{
	uint64_t last, file_end;

	if (map->argsz < sizeof(*map) || nfds > 1 ||
	    map->flags & ~(VFU_MAP_READ | VFU_MAP_WRITE | VFU_MAP_MMAP) ||
	    !(map->flags & (VFU_MAP_READ | VFU_MAP_WRITE)))
		return -EINVAL;
	if (!nfds && map->flags & VFU_MAP_MMAP)
		return -EINVAL;
	if (!map->size || (map->addr | map->size) & (VFU_PAGE - 1) ||
	    __builtin_add_overflow(map->addr, map->size - 1, &last))
		return -EINVAL;
	if (nfds &&
	    (map->offset & (VFU_PAGE - 1) ||
	     __builtin_add_overflow(map->offset, map->size, &file_end) || file_end > INT64_MAX))
		return -EINVAL;
	return 0;
}

int plx_vfu_check_unmap(const struct vfu_dma_unmap *unmap)
{
	if (unmap->argsz < sizeof(*unmap))
		return -EINVAL;
	if (unmap->flags == VFIO_DMA_UNMAP_FLAG_ALL)
		return unmap->addr || unmap->size ? -EINVAL : 0;
	return unmap->flags || !unmap->size ? -EINVAL : 0;
}

int plx_vfu_check_info(const struct vfu_info *info)
{
	return info->argsz < sizeof(*info) ? -EINVAL : 0;
}

int plx_vfu_check_region_info(const struct vfio_region_info *info, unsigned nregions)
{
	return info->argsz < sizeof(*info) || info->index >= nregions ? -EINVAL : 0;
}

int plx_vfu_check_irq_info(const struct vfio_irq_info *info, unsigned nirqs)
{
	return info->argsz < sizeof(*info) || info->index >= nirqs ? -EINVAL : 0;
}

static bool one_bit(uint32_t bits)
{
	return bits && !(bits & (bits - 1));
}

int plx_vfu_check_irq_set(const struct vfio_irq_set *set, size_t body, size_t nfds,
			  unsigned vectors)
{
	uint32_t data = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

	if (set->argsz < sizeof(*set) || set->flags != (data | action) || !one_bit(data) ||
	    !one_bit(action) || !plx_vfu_within(set->start, set->count, vectors))
		return -EINVAL;
	/* Nothing at all means everything, to be turned off; in no other way. */
	if (!set->count &&
	    (set->start || data != VFIO_IRQ_SET_DATA_NONE || action != VFIO_IRQ_SET_ACTION_TRIGGER))
		return -EINVAL;
	if (data != VFIO_IRQ_SET_DATA_EVENTFD)
		return nfds || (data == VFIO_IRQ_SET_DATA_BOOL && body < set->count) ? -EINVAL : 0;
	/* No descriptor: disconnect them all. */
	return nfds && nfds != set->count ? -EINVAL : 0;
}

int plx_vfu_check_access(const struct vfu_access *access, uint64_t size, uint32_t max)
{
	if (!access->count || access->count > max ||
	    !plx_vfu_within(access->offset, access->count, size))
		return -EINVAL;
	return 0;
}
