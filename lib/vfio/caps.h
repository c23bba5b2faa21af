/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Capability chains in the kernel's variable-length answers (struct vfio_info_cap_header).
 */
#ifndef PLX_VFIO_CAPS_H
#define PLX_VFIO_CAPS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The capability id in an answer of len bytes whose chain begins at offset first, of at least
 * min_len bytes, or NULL. *room is what there is from its start to the end of the answer. A chain
 * that leaves the answer or loops is at its end there.
 */
const void *plx_cap_find(const void *info, size_t len, uint32_t first, uint16_t id, size_t min_len,
			 size_t *room);

/*
 * A structure that begins with u32 argsz and grows: asks, enlarges, asks again. *info is to be
 * freed with plx_sys->free() and at least min_len long; init (min_len bytes) is what the structure
 * is to hold at first. *len is what of it was filled in.
 */
typedef int plx_info_ask_fn(void *ctx, void *info);
int plx_info_grow(plx_info_ask_fn *ask, void *ctx, const void *init, size_t min_len, void **info,
		  size_t *len);

/* The same of an ioctl. */
int plx_info_get(int fd, unsigned long request, const void *init, size_t min_len, void **info,
		 size_t *len);

#endif
