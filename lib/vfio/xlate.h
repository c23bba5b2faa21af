/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing the translation table of <pollux/ioas.h>.
 *
 * Readers take no lock: a leaf is published with release order after it was zeroed and is never
 * freed while the address space lives. Writers hold the address space's lock.
 */
#ifndef PLX_VFIO_XLATE_H
#define PLX_VFIO_XLATE_H

#include <pollux/ioas.h>

static inline uint64_t plx_frame(uint64_t va)
{
	return va >> PLX_FRAME_SHIFT;
}

/* Makes the leaves for frames first..last, so that setting them can't fail. */
int plx_xlate_prepare(struct plx_xlate *xlate, uint64_t first, uint64_t last);

/* Gives frames first..last (prepared) one distance from virtual to device address. */
void plx_xlate_set(struct plx_xlate *xlate, uint64_t first, uint64_t last, uint64_t delta);
void plx_xlate_clear(struct plx_xlate *xlate, uint64_t first, uint64_t last);

/* Whether a frame has a distance, and which. */
bool plx_xlate_get(const struct plx_xlate *xlate, uint64_t frame, uint64_t *delta);

void plx_xlate_free(struct plx_xlate *xlate);

#endif
