/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses in use, and finding room between them: however many ranges there are, each call goes
 * down a tree once or twice.
 *
 *      ranges    |####|  gap  |##|gap|#####|      in a tree by address; none touches another
 *
 * A range knows the gap below it, and the largest gap of its subtree: so the search for room passes
 * over all that is too small at once. Allowed ranges, which are few, are lists (iova.h).
 */
#ifndef PLX_VFIO_USED_H
#define PLX_VFIO_USED_H

#include <bsd/sys/tree.h>

#include "iova.h"

struct plx_used_range {
	RB_ENTRY(plx_used_range) node;
	struct plx_used_range *prev, *next; /* by address; of spare ones next alone */
	uint64_t first, last;
	uint64_t gap;  /* free addresses right below */
	uint64_t most; /* the largest gap in its subtree */
};

RB_HEAD(plx_used_tree, plx_used_range);

struct plx_used {
	struct plx_used_tree tree;
	struct plx_used_range *end; /* the last one */
	struct plx_used_range *spare;
	unsigned int room; /* ranges there can be: those in the tree and spare ones */
	uint64_t bytes;	   /* in use; not for all of 2^64 */
};

void plx_used_free(struct plx_used *used);

/* Makes room, so that there can be count ranges without a failure. Room is kept. -ENOMEM. */
int plx_used_reserve(struct plx_used *used, unsigned int count);

/*
 * Takes addresses of which none is in use (else -EEXIST), and gives back addresses that all are
 * (else -ENOENT). Each may make one range more: -ENOMEM, with nothing changed, unless there is
 * room for it. -EINVAL if last < first.
 */
int plx_used_take(struct plx_used *used, uint64_t first, uint64_t last);
int plx_used_give(struct plx_used *used, uint64_t first, uint64_t last);

bool plx_used_overlap(const struct plx_used *used, uint64_t first, uint64_t last);

/* A request for room: len bytes at an address that is phase modulo align (a power of two). */
struct plx_used_want {
	uint64_t len;
	uint64_t align;
	uint64_t phase;
	uint64_t min; /* not below */
};

/*
 * Gaps that are long enough, but in which alignment leaves too little: after so many, only gaps
 * are considered that have room wherever they begin. There are none where all that is in use and
 * allowed is aligned alike.
 */
#define PLX_USED_NEAR_MISSES 64

/* The lowest fitting address that is allowed and not in use. -ENOSPC: none; -EINVAL: len is 0. */
int plx_used_first_fit(const struct plx_used *used, const struct plx_ranges *allowed,
		       const struct plx_used_want *want, uint64_t *addr);

#endif
