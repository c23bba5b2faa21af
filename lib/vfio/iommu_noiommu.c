/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The no-IOMMU container. Its kernel side maps and pins nothing: devices reach all of memory, by
 * physical address. So the memory must be of pages that stay where they are.
 */
#include <errno.h>

#include <pollux/mem.h>

#include "ioas.h"
#include "refusal.h"

static int noiommu_map(struct plx_iommu *iommu, const struct plx_iommu_map *map,
		       struct plx_refusal *why)
{
	(void)iommu;
	if (map->page_size >= PLX_FRAME_SIZE)
		return 0;
	return plx_refuse_pages(
		why, map->va, map->len, map->page_size,
		"nothing pins it in no-IOMMU, and other pages may move under a device");
}

static int noiommu_unmap(struct plx_iommu *iommu, uint64_t key, uint64_t len)
{
	(void)iommu;
	(void)key;
	(void)len;
	return 0;
}

static int noiommu_phys(struct plx_iommu *iommu, uint64_t va, uint64_t len, size_t page_size,
			uint64_t *phys, uint64_t *run)
{
	size_t contiguous;
	int err = plx_phys_run((void *)(uintptr_t)va, len, page_size, phys, &contiguous);

	(void)iommu;
	if (!err)
		*run = contiguous;
	return err;
}

static void noiommu_destroy(struct plx_iommu *iommu)
{
	plx_sys->close(iommu->fd);
	plx_sys->free(iommu);
}

const struct plx_iommu_ops plx_noiommu_ops = {
	.name = "no-IOMMU container",
	.map = noiommu_map,
	.unmap = noiommu_unmap,
	.phys = noiommu_phys,
	.destroy = noiommu_destroy,
};
