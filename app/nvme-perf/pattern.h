/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks that say what they are, for --verify:
 *
 *      magic | lba | namespace, version | run | checksum | a sequence that follows from those
 *
 * The checksum covers the rest of the block, its address included.
 */
#ifndef PERF_PATTERN_H
#define PERF_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which block it is, and which writing of it. */
struct pattern {
	uint64_t lba;
	uint32_t nsid;
	uint32_t version;
	uint64_t run; /* a number that no other run has, so that its data isn't taken for this one's
		       */
};

/* len: bytes, a multiple of 8, 64 at least. */
void pattern_fill(void *block, size_t len, const struct pattern *p);

/* What is wrong with a block, in words, or NULL. */
const char *pattern_check(const void *block, size_t len, const struct pattern *p);

#endif
