/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "sys.h"
#include "xlate.h"

#define LEAF_ENTRIES (UINT64_C(1) << PLX_XLATE_LOW)

int plx_xlate_prepare(struct plx_xlate *xlate, uint64_t first, uint64_t last)
{
	uint64_t i;

	if (last >> PLX_XLATE_LOW >= PLX_XLATE_ROOT)
		return -EINVAL;
	for (i = first >> PLX_XLATE_LOW; i <= last >> PLX_XLATE_LOW; i++) {
		uint64_t *leaf;

		if (xlate->leaf[i])
			continue;
		leaf = plx_sys->alloc(LEAF_ENTRIES * sizeof(*leaf));
		if (!leaf)
			return -ENOMEM;
		__atomic_store_n(&xlate->leaf[i], leaf, __ATOMIC_RELEASE);
	}
	return 0;
}

static void fill(struct plx_xlate *xlate, uint64_t first, uint64_t last, uint64_t entry)
{
	uint64_t i;

	for (i = first; i <= last; i++) {
		uint64_t *leaf = xlate->leaf[i >> PLX_XLATE_LOW];

		__atomic_store_n(&leaf[i & (LEAF_ENTRIES - 1)], entry, __ATOMIC_RELAXED);
	}
}

void plx_xlate_set(struct plx_xlate *xlate, uint64_t first, uint64_t last, uint64_t delta)
{
	fill(xlate, first, last, delta + 1);
}

void plx_xlate_clear(struct plx_xlate *xlate, uint64_t first, uint64_t last)
{
	fill(xlate, first, last, 0);
}

bool plx_xlate_get(const struct plx_xlate *xlate, uint64_t frame, uint64_t *delta)
{
	const uint64_t *leaf;
	uint64_t entry;

	if (frame >> PLX_XLATE_LOW >= PLX_XLATE_ROOT)
		return false;
	leaf = __atomic_load_n(&xlate->leaf[frame >> PLX_XLATE_LOW], __ATOMIC_ACQUIRE);
	entry = leaf ? __atomic_load_n(&leaf[frame & (LEAF_ENTRIES - 1)], __ATOMIC_RELAXED) : 0;
	*delta = entry - 1;
	return entry;
}

void plx_xlate_free(struct plx_xlate *xlate)
{
	unsigned int i;

	for (i = 0; i < PLX_XLATE_ROOT; i++) {
		plx_sys->free(xlate->leaf[i]);
		xlate->leaf[i] = NULL;
	}
}
