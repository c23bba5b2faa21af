/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the kernel's VFIO and iommufd interface that <linux/vfio.h> of Linux 6.1 lacks.
 *
 * Everything has a name of its own (uapi_*, UAPI_*), so this file goes together with any version of
 * the system's headers. Layouts follow include/uapi/linux/vfio.h and include/uapi/linux/iommufd.h
 * of Linux 6.12, and of later kernels where a line says so.
 */
#ifndef PLX_VFIO_UAPI_H
#define PLX_VFIO_UAPI_H

#include <stdint.h>

#include <linux/ioctl.h>
#include <linux/vfio.h>

/*
 * iommufd. Each structure begins with its own size; the kernel refuses what it doesn't know with
 * ENOTTY (command), E2BIG (field) or EOPNOTSUPP (value).
 */
#define UAPI_IOMMUFD_TYPE (';')

#define UAPI_IOMMU_DESTROY	 _IO(UAPI_IOMMUFD_TYPE, 0x80)
#define UAPI_IOAS_ALLOC		 _IO(UAPI_IOMMUFD_TYPE, 0x81)
#define UAPI_IOAS_COPY		 _IO(UAPI_IOMMUFD_TYPE, 0x83)
#define UAPI_IOAS_IOVA_RANGES	 _IO(UAPI_IOMMUFD_TYPE, 0x84)
#define UAPI_IOAS_MAP		 _IO(UAPI_IOMMUFD_TYPE, 0x85)
#define UAPI_IOAS_UNMAP		 _IO(UAPI_IOMMUFD_TYPE, 0x86)
#define UAPI_VFIO_IOAS		 _IO(UAPI_IOMMUFD_TYPE, 0x88)
#define UAPI_HWPT_ALLOC		 _IO(UAPI_IOMMUFD_TYPE, 0x89)
#define UAPI_HWPT_SET_DIRTY	 _IO(UAPI_IOMMUFD_TYPE, 0x8b)
#define UAPI_HWPT_GET_DIRTY	 _IO(UAPI_IOMMUFD_TYPE, 0x8c)
#define UAPI_IOAS_MAP_FILE	 _IO(UAPI_IOMMUFD_TYPE, 0x8f) /* Linux 6.14 */
#define UAPI_IOAS_NOIOMMU_GET_PA _IO(UAPI_IOMMUFD_TYPE, 0x95) /* Linux 7.3 */

struct uapi_iommu_destroy {
	uint32_t size;
	uint32_t id;
};

struct uapi_ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_ioas_id;
};

struct uapi_iova_range {
	uint64_t start;
	uint64_t last;
};

struct uapi_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas; /* in: room; out: there are; EMSGSIZE if there are more */
	uint32_t reserved;
	uint64_t allowed_iovas; /* struct uapi_iova_range * */
	uint64_t out_iova_alignment;
};

#define UAPI_IOAS_MAP_FIXED_IOVA (1u << 0)
#define UAPI_IOAS_MAP_WRITEABLE	 (1u << 1)
#define UAPI_IOAS_MAP_READABLE	 (1u << 2)

struct uapi_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t reserved;
	uint64_t user_va;
	uint64_t length;
	uint64_t iova;
};

struct uapi_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	uint64_t start; /* in the file */
	uint64_t length;
	uint64_t iova;
};

struct uapi_ioas_copy {
	uint32_t size;
	uint32_t flags;
	uint32_t dst_ioas_id;
	uint32_t src_ioas_id;
	uint64_t length;
	uint64_t dst_iova;
	uint64_t src_iova;
};

struct uapi_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	uint64_t iova;
	uint64_t length; /* out: bytes unmapped */
};

#define UAPI_HWPT_DIRTY_TRACKING (1u << 1)

/* As far as a page table of the kernel's own needs it. */
struct uapi_hwpt_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pt_id; /* of the IOAS */
	uint32_t out_hwpt_id;
	uint32_t reserved;
	uint32_t data_type;
	uint32_t data_len;
	uint64_t data_uptr;
};

#define UAPI_DIRTY_ENABLE (1u << 0)

struct uapi_hwpt_set_dirty {
	uint32_t size;
	uint32_t flags;
	uint32_t hwpt_id;
	uint32_t reserved;
};

struct uapi_hwpt_get_dirty {
	uint32_t size;
	uint32_t hwpt_id;
	uint32_t flags;
	uint32_t reserved;
	uint64_t iova;
	uint64_t length;
	uint64_t page_size;
	uint64_t data; /* uint64_t *: bits are added to it */
};

#define UAPI_VFIO_IOAS_GET 0

struct uapi_vfio_ioas {
	uint32_t size;
	uint32_t ioas_id;
	uint16_t op;
	uint16_t reserved;
};

struct uapi_ioas_noiommu_get_pa {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t reserved;
	uint64_t iova;
	uint64_t length; /* in: most wanted, not 0; out: contiguous bytes from there */
	uint64_t out_phys;
};

/*
 * VFIO device cdev (Linux 6.6).
 */
#define UAPI_DEVICE_BIND_IOMMUFD      _IO(VFIO_TYPE, VFIO_BASE + 18)
#define UAPI_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#define UAPI_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)

#define UAPI_BIND_FLAG_TOKEN (1u << 0) /* Linux 6.17 */

struct uapi_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token_uuid_ptr; /* 16 bytes; Linux 6.17 */
};

/* What argsz says where no token is given: all that kernels before 6.17 know. */
#define UAPI_BIND_IOMMUFD_SIZE 16

struct uapi_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;
};

struct uapi_detach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
};

/*
 * Hot reset: with a cdev the affected devices are named by device id instead of group (Linux 6.6).
 */
#define UAPI_HOT_RESET_FLAG_DEV_ID	 (1u << 0)
#define UAPI_HOT_RESET_FLAG_DEV_ID_OWNED (1u << 1)
#define UAPI_DEVID_OWNED		 0u
#define UAPI_DEVID_NOT_OWNED		 UINT32_MAX

/* Features newer than Linux 6.1. */
#define UAPI_FEATURE_DMA_BUF 11 /* Linux 6.19 */

/* What it is asked with, for one range. The answer is a descriptor. */
struct uapi_feature_dma_buf {
	uint32_t region_index;
	uint32_t open_flags;
	uint32_t flags;
	uint32_t nr_ranges;
	uint64_t offset; /* in the region */
	uint64_t length;
};

#endif
