/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log-linear histogram of latencies in ticks: 64 buckets to each power of two, so that what is
 * read from it is at most 1/64 too large.
 */
#ifndef PERF_HIST_H
#define PERF_HIST_H

#include <stdint.h>

#define HIST_LINEAR_BITS 7
#define HIST_LINEAR	 (1u << HIST_LINEAR_BITS)
#define HIST_BUCKETS	 ((64 - HIST_LINEAR_BITS + 2) * (HIST_LINEAR / 2))

struct hist {
	uint64_t count, sum, min, max;
	uint64_t bucket[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t value)
{
	/* The highest bit that doesn't fit the linear part any more. */
	unsigned shift = 63u - (unsigned)__builtin_clzll(value | (HIST_LINEAR - 1));

	shift -= HIST_LINEAR_BITS - 1;
	return (unsigned)(value >> shift) + shift * (HIST_LINEAR / 2);
}

static inline void hist_add(struct hist *h, uint64_t value)
{
	h->count++;
	h->sum += value;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->bucket[hist_index(value)]++;
}

void hist_init(struct hist *h);
void hist_merge(struct hist *to, const struct hist *from);

/* The largest value that is in a bucket. */
uint64_t hist_top(unsigned index);

/* A value that share (0 to 1) of all aren't above; 0 of none. */
uint64_t hist_percentile(const struct hist *h, double share);

#endif
