/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges of I/O virtual addresses: short lists, such as IOMMUs tell. What can be many is in used.h.
 *
 * A list of ranges is sorted, its ranges neither overlap nor touch. Both ends are inclusive, as in
 * the kernel's interface: a range may end at 2^64 - 1.
 */
#ifndef PLX_VFIO_IOVA_H
#define PLX_VFIO_IOVA_H

#include <stdbool.h>
#include <stdint.h>

/* Assumed where the kernel names no ranges: what every IOMMU in use can do. */
#define PLX_IOVA_FALLBACK_FIRST UINT64_C(0x10000)
#define PLX_IOVA_FALLBACK_LAST	((UINT64_C(1) << 39) - 1)

struct plx_range {
	uint64_t first, last;
};

struct plx_ranges {
	struct plx_range *range;
	unsigned int count, room;
};

void plx_ranges_free(struct plx_ranges *list);

/* Set union and difference with one range. -EINVAL if last < first; -ENOMEM: list unchanged. */
int plx_ranges_add(struct plx_ranges *list, uint64_t first, uint64_t last);
int plx_ranges_remove(struct plx_ranges *list, uint64_t first, uint64_t last);

/* Adds what a and b have in common to the empty list out. */
int plx_ranges_intersect(struct plx_ranges *out, const struct plx_ranges *a,
			 const struct plx_ranges *b);

bool plx_ranges_contain(const struct plx_ranges *list, uint64_t first, uint64_t last);
bool plx_ranges_overlap(const struct plx_ranges *list, uint64_t first, uint64_t last);

#endif
