/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log-linear histogram of latencies in ticks: 64 buckets to each power of two, so that what is
 * read from it is at most 1/64 too large.
 */
#ifndef PERF_HIST_H
#define PERF_HIST_H

#include <stddef.h>
#include <stdint.h>

#define HIST_BITS    6			       /* log2 of the buckets to a power of two */
#define HIST_MAX     ((UINT64_C(1) << 62) - 1) /* what is larger counts as that */
#define HIST_BUCKETS ((62u << HIST_BITS) + 1)

struct hist {
	uint64_t count, sum, min, max;
	uint64_t bucket[HIST_BUCKETS];
};

/*
 * Exponent and mantissa of value + 1 (which has a logarithm) are what is wanted, and converting it
 * is the short way to them: IEEE 754's double has 52 bits of mantissa, and 1.0 the exponent 1023.
 */
static inline size_t hist_index(uint64_t value)
{
	double real = (double)(int64_t)(value + 1);
	uint64_t bits;

	__builtin_memcpy(&bits, &real, sizeof(bits));
	return (bits >> (52 - HIST_BITS)) - (1023u << HIST_BITS);
}

static inline void hist_add(struct hist *h, uint64_t value)
{
	if (value > h->max) {
		if (value > HIST_MAX)
			value = HIST_MAX;
		h->max = value;
	}
	if (value < h->min)
		h->min = value;
	h->count++;
	h->sum += value;
	h->bucket[hist_index(value)]++;
}

void hist_init(struct hist *h);
void hist_merge(struct hist *to, const struct hist *from);

/* The largest value that is in a bucket. */
uint64_t hist_top(unsigned index);

/* A value that share (0 to 1) of all aren't above; 0 of none. */
uint64_t hist_percentile(const struct hist *h, double share);

#endif
