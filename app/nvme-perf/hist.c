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

/* The inverse of hist_index(), whose values from the second power of two on use half a range each.
 */
uint64_t hist_top(unsigned index)
{
	unsigned shift;

	if (index < HIST_LINEAR)
		return index;
	shift = index / (HIST_LINEAR / 2) - 1;
	return ((uint64_t)(index - shift * (HIST_LINEAR / 2) + 1) << shift) - 1;
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
