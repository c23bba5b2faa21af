/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges of I/O virtual addresses, and finding room in them.
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

/* Makes room, so that a list can grow to count ranges without a failure. */
int plx_ranges_reserve(struct plx_ranges *list, unsigned int count);

/* Set union and difference with one range. -EINVAL if last < first; -ENOMEM: list unchanged. */
int plx_ranges_add(struct plx_ranges *list, uint64_t first, uint64_t last);
int plx_ranges_remove(struct plx_ranges *list, uint64_t first, uint64_t last);

/* Adds what a and b have in common to the empty list out. */
int plx_ranges_intersect(struct plx_ranges *out, const struct plx_ranges *a,
			 const struct plx_ranges *b);

bool plx_ranges_contain(const struct plx_ranges *list, uint64_t first, uint64_t last);
bool plx_ranges_overlap(const struct plx_ranges *list, uint64_t first, uint64_t last);

/* A request for room: len bytes at an address that is phase modulo align (a power of two). */
struct plx_iova_want {
	uint64_t len;
	uint64_t align;
	uint64_t phase;
	uint64_t min; /* not below */
};

/* The lowest fitting address that allowed has and used has not. -ENOSPC: there is none. */
int plx_iova_first_fit(const struct plx_ranges *allowed, const struct plx_ranges *used,
		       const struct plx_iova_want *want, uint64_t *iova);

#endif
