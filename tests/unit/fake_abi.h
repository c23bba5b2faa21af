/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's ABI, written down a second time for the fake kernel: only what the oldest
 * <linux/vfio.h> we build with lacks. The fake shares no declaration with lib/vfio, so a wrong
 * size, offset or number there makes a test fail instead of agreeing with itself.
 *
 * Sources: include/uapi/linux/{vfio,iommufd}.h of Linux 6.12; MAP_FILE of 6.14; dma-bufs of
 * 6.19; GET_PA of 7.3.
 */
#ifndef FAKE_ABI_H
#define FAKE_ABI_H

#include <linux/vfio.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* VFIO_CHECK_EXTENSION; <linux/vfio.h> has it from 5.12 on, with another type behind it. */
#define FK_UPDATE_VADDR 10

/* Device cdev. */
#define FK_BIND_IOMMUFD	   _IO(';', 100 + 18)
#define FK_ATTACH_PT	   _IO(';', 100 + 19)
#define FK_DETACH_PT	   _IO(';', 100 + 20)
#define FK_BIND_FLAG_TOKEN 1u

struct fk_bind_iommufd {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token; /* with FK_BIND_FLAG_TOKEN: pointer to 16 bytes */
};

struct fk_attach_pt {
	uint32_t argsz, flags, pt_id;
};

struct fk_detach_pt {
	uint32_t argsz, flags;
};

/* Hot reset through cdevs. */
#define FK_HOT_RESET_DEV_ID	  1u
#define FK_HOT_RESET_DEV_ID_OWNED 2u
#define FK_DEVID_OWNED		  0u
#define FK_DEVID_NOT_OWNED	  UINT32_MAX

/* iommufd. Every structure begins with its size. */
#define FK_DESTROY     _IO(';', 0x80)
#define FK_IOAS_ALLOC  _IO(';', 0x81)
#define FK_IOAS_COPY   _IO(';', 0x83)
#define FK_IOVA_RANGES _IO(';', 0x84)
#define FK_IOAS_MAP    _IO(';', 0x85)
#define FK_IOAS_UNMAP  _IO(';', 0x86)
#define FK_VFIO_IOAS   _IO(';', 0x88)
#define FK_HWPT_ALLOC  _IO(';', 0x89)
#define FK_SET_DIRTY   _IO(';', 0x8b)
#define FK_GET_DIRTY   _IO(';', 0x8c)
#define FK_MAP_FILE    _IO(';', 0x8f)
#define FK_GET_PA      _IO(';', 0x95)

#define FK_MAP_FIXED_IOVA 1u
#define FK_MAP_WRITEABLE  2u
#define FK_MAP_READABLE	  4u

struct fk_destroy {
	uint32_t size, id;
};

struct fk_ioas_alloc {
	uint32_t size, flags, out_ioas_id;
};

struct fk_iova_range {
	uint64_t start, last;
};

struct fk_iova_ranges {
	uint32_t size, ioas_id, num_iovas, reserved;
	uint64_t allowed_iovas, out_iova_alignment;
};

struct fk_ioas_map {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t user_va, length, iova;
};

struct fk_ioas_copy {
	uint32_t size, flags, dst_ioas_id, src_ioas_id;
	uint64_t length, dst_iova, src_iova;
};

struct fk_ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};

#define FK_VFIO_IOAS_GET   0
#define FK_VFIO_IOAS_SET   1
#define FK_VFIO_IOAS_CLEAR 2

struct fk_vfio_ioas {
	uint32_t size, ioas_id;
	uint16_t op, reserved;
};

struct fk_map_file {
	uint32_t size, flags, ioas_id;
	int32_t fd;
	uint64_t start, length, iova;
};

#define FK_HWPT_DIRTY_TRACKING 2u

struct fk_hwpt_alloc {
	uint32_t size, flags, dev_id, pt_id, out_hwpt_id, reserved, data_type, data_len;
	uint64_t data_uptr;
	uint32_t fault_id, reserved2;
};

#define FK_DIRTY_ENABLE	  1u
#define FK_DIRTY_NO_CLEAR 1u

struct fk_set_dirty {
	uint32_t size, flags, hwpt_id, reserved;
};

struct fk_get_dirty {
	uint32_t size, hwpt_id, flags, reserved;
	uint64_t iova, length, page_size, data;
};

/* The device feature that gives a dma-buf of BAR memory (Linux 6.19), after its header. */
#define FK_FEATURE_DMA_BUF 11

struct fk_dma_buf {
	uint32_t region_index, open_flags, flags, nr_ranges;
	struct {
		uint64_t offset, length;
	} range[];
};

struct fk_get_pa {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t iova, length, out_phys;
};

#endif
