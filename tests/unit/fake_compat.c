/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake kernel's iommufd as a VFIO container, after drivers/iommu/iommufd/vfio_compat.c of Linux
 * 6.12.
 */
#include <string.h>

#include "fake_kernel.h"

int fake_compat_join(struct fake_file *file, bool noiommu)
{
	struct fake_iommufd *iommufd = file->iommufd;

	if (noiommu) {
		if (iommufd->compat)
			return -EINVAL;
		iommufd->noiommu = true;
		return 0;
	}
	if (iommufd->noiommu)
		return -EINVAL;
	return iommufd->compat ? 0 : fake_ioas_new(file, &iommufd->compat);
}

static int compat_extension(const struct fake_file *file, unsigned long type)
{
	switch (type) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL: return !file->iommufd->noiommu;
	case VFIO_NOIOMMU_IOMMU: return 1;
	case VFIO_DMA_CC_IOMMU: return file->iommufd->compat ? 1 : -ENODEV;
	default: return 0;
	}
}

static int compat_set_iommu(struct fake_file *file, unsigned long type)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, file->iommufd->compat);

	if (type == VFIO_NOIOMMU_IOMMU && file->iommufd->noiommu)
		return fake.cap_rawio ? 0 : -EPERM;
	if ((type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU) || file->iommufd->noiommu)
		return -EINVAL;
	if (!ioas)
		return -ENODEV;
	if (type == VFIO_TYPE1_IOMMU)
		ioas->small = true;
	return 0;
}

static int compat_get_info(struct fake_file *file, struct fake_ioas *ioas,
			   struct vfio_iommu_type1_info *arg)
{
	struct vfio_iommu_type1_info_dma_avail avail = { .avail = UINT32_MAX };
	struct vfio_iommu_type1_info_cap_iova_range iovas = { .nr_iovas = 0 };
	struct fake_range range[2 * FAKE_RANGES];
	unsigned i, n = fake_ioas_ranges(file, ioas, range);
	size_t first = (sizeof(avail) + 7) & ~(size_t)7;
	size_t need = sizeof(*arg) + first + sizeof(iovas) + n * 16;
	uint8_t *at = (uint8_t *)(arg + 1);

	if (arg->argsz < offsetof(struct vfio_iommu_type1_info, iova_pgsizes) + 8)
		return -EINVAL;
	arg->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	arg->iova_pgsizes = ioas->attached ? fake.pgsizes : ~(uint64_t)(FAKE_PAGE - 1);
	if (arg->argsz < need) {
		if (arg->argsz >= sizeof(*arg))
			arg->cap_offset = 0;
		arg->argsz = need;
		return 0;
	}
	arg->argsz = need;
	arg->cap_offset = sizeof(*arg);
	avail.header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
	avail.header.version = 1;
	avail.header.next = sizeof(*arg) + first;
	memcpy(at, &avail, sizeof(avail));
	at += first;
	iovas.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	iovas.header.version = 1;
	iovas.nr_iovas = n;
	memcpy(at, &iovas, sizeof(iovas));
	at += sizeof(iovas);
	for (i = 0; i < n; i++) {
		struct vfio_iova_range one = { range[i].first, range[i].last };

		memcpy(at + i * sizeof(one), &one, sizeof(one));
	}
	return 0;
}

static int compat_map(struct fake_file *file, struct fake_ioas *ioas,
		      const struct vfio_iommu_type1_dma_map *arg)
{
	struct fake_map map = { arg->iova, arg->vaddr, arg->size, -1, arg->flags, NULL };

	if (arg->argsz < sizeof(*arg) || !arg->flags ||
	    (arg->flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)))
		return -EINVAL;
	return fake_ioas_map(file, ioas, &map, true, 0);
}

static int compat_unmap(struct fake_ioas *ioas, struct vfio_iommu_type1_dma_unmap *arg)
{
	bool all = arg->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	uint64_t unmapped, last = all ? UINT64_MAX : arg->iova + arg->size - 1;
	int ret;

	if (arg->argsz < offsetof(struct vfio_iommu_type1_dma_unmap, size) + 8 ||
	    (arg->flags & ~VFIO_DMA_UNMAP_FLAG_ALL) || (all && (arg->iova || arg->size)))
		return -EINVAL;
	if (!all && (!arg->size || last < arg->iova))
		return arg->size ? -EOVERFLOW : -EINVAL;
	/* What gave up large pages for version 1 can be cut anywhere. */
	ret = all || !ioas->small ? 0 : fake_ioas_cut(ioas, arg->iova);
	if (!ret && !all && ioas->small && last < UINT64_MAX)
		ret = fake_ioas_cut(ioas, last + 1);
	if (ret)
		return ret;
	ret = fake_ioas_unmap(ioas, arg->iova, last, &unmapped);
	arg->size = unmapped;
	return ret;
}

int fake_compat_ioctl(struct fake_file *file, unsigned long request, void *arg)
{
	struct fake_ioas *ioas = fake_iommufd_ioas(file, file->iommufd->compat);

	switch (request) {
	case VFIO_GET_API_VERSION: return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION: return compat_extension(file, (unsigned long)arg);
	case VFIO_SET_IOMMU: return compat_set_iommu(file, (unsigned long)arg);
	case VFIO_IOMMU_GET_INFO:
	case VFIO_IOMMU_MAP_DMA:
	case VFIO_IOMMU_UNMAP_DMA: break;
	default: return -ENOTTY;
	}
	if (!arg)
		return -EFAULT;
	if (request == VFIO_IOMMU_GET_INFO)
		return ioas ? compat_get_info(file, ioas, arg) : -ENODEV;
	if (request == VFIO_IOMMU_MAP_DMA)
		return ioas ? compat_map(file, ioas, arg) : -ENODEV;
	return ioas ? compat_unmap(ioas, arg) : -ENODEV;
}
