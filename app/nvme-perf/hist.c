/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "hist.h"

void hist_init(struct hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

void hist_merge(struct hist *to, const struct hist *from)
{
	to->count += from->count;
	to->sum += from->sum;
	if (from->min < to->min)
		to->min = from->min;
	if (from->max > to->max)
		to->max = from->max;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

/* The inverse of hist_index(). There are buckets that no small value falls into. */
uint64_t hist_top(unsigned index)
{
	uint64_t mantissa = (1u << HIST_BITS) + (index & ((1u << HIST_BITS) - 1)) + 1;
	unsigned exponent = index >> HIST_BITS;

	/* Where the next one begins, rounded up; less one for that, and one that was added. */
	if (exponent >= HIST_BITS)
		return (mantissa << (exponent - HIST_BITS)) - 2;
	return ((mantissa - 1) >> (HIST_BITS - exponent)) - 1;
}

uint64_t hist_percentile(const struct hist *h, double share)
{
	uint64_t want = (uint64_t)((double)h->count * share), sum = 0;

	if ((double)want < (double)h->count * share)
		want++;
	for (unsigned i = 0; i < HIST_BUCKETS && h->count; i++) {
		sum += h->bucket[i];
		if (sum >= want && h->bucket[i])
			return hist_top(i) < h->max ? hist_top(i) : h->max;
	}
	return 0;
}
