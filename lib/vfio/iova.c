/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "iova.h"
#include "sys.h"

void plx_ranges_free(struct plx_ranges *list)
{
	plx_sys->free(list->range);
	*list = (struct plx_ranges){ 0 };
}

/* Makes room for count ranges in all. */
static int reserve(struct plx_ranges *list, unsigned int count)
{
	unsigned int room = list->room ? list->room : 8;
	struct plx_range *range;

	if (count <= list->room)
		return 0;
	while (room < count)
		room *= 2;
	range = plx_sys->alloc(room * sizeof(*range));
	if (!range)
		return -ENOMEM;
	if (list->count)
		memcpy(range, list->range, list->count * sizeof(*range));
	plx_sys->free(list->range);
	list->range = range;
	list->room = room;
	return 0;
}

/* Index of the first range that ends at or after addr. */
static unsigned int find(const struct plx_ranges *list, uint64_t addr)
{
	unsigned int low = 0, high = list->count;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (list->range[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Puts n ranges in the place of those from index from up to (not including) index to. */
static void splice(struct plx_ranges *list, unsigned int from, unsigned int to,
		   const struct plx_range *with, unsigned int n)
{
	memmove(list->range + from + n, list->range + to,
		(list->count - to) * sizeof(*list->range));
	if (n)
		memcpy(list->range + from, with, n * sizeof(*with));
	list->count += n;
	list->count -= to - from;
}

int plx_ranges_add(struct plx_ranges *list, uint64_t first, uint64_t last)
{
	struct plx_range merged = { first, last };
	unsigned int from, to;
	int err;

	if (last < first)
		return -EINVAL;
	err = reserve(list, list->count + 1);
	if (err)
		return err;
	/* Ranges that touch are merged too: look one byte beyond either end. */
	from = to = find(list, first ? first - 1 : 0);
	while (to < list->count && (last == UINT64_MAX || list->range[to].first <= last + 1)) {
		if (list->range[to].first < merged.first)
			merged.first = list->range[to].first;
		if (list->range[to].last > merged.last)
			merged.last = list->range[to].last;
		to++;
	}
	splice(list, from, to, &merged, 1);
	return 0;
}

int plx_ranges_remove(struct plx_ranges *list, uint64_t first, uint64_t last)
{
	struct plx_range rest[2];
	unsigned int from, to, n = 0;
	int err;

	if (last < first)
		return -EINVAL;
	from = to = find(list, first);
	while (to < list->count && list->range[to].first <= last)
		to++;
	if (from == to)
		return 0;
	if (list->range[from].first < first)
		rest[n++] = (struct plx_range){ list->range[from].first, first - 1 };
	if (list->range[to - 1].last > last)
		rest[n++] = (struct plx_range){ last + 1, list->range[to - 1].last };
	if (n > to - from) {
		err = reserve(list, list->count + 1);
		if (err)
			return err;
	}
	splice(list, from, to, rest, n);
	return 0;
}

int plx_ranges_intersect(struct plx_ranges *out, const struct plx_ranges *a,
			 const struct plx_ranges *b)
{
	unsigned int i = 0, j = 0;
	int err = 0;

	while (!err && i < a->count && j < b->count) {
		const struct plx_range *x = &a->range[i], *y = &b->range[j];
		uint64_t first = x->first > y->first ? x->first : y->first;
		uint64_t last = x->last < y->last ? x->last : y->last;

		if (first <= last)
			err = plx_ranges_add(out, first, last);
		if (x->last < y->last)
			i++;
		else
			j++;
	}
	return err;
}

bool plx_ranges_contain(const struct plx_ranges *list, uint64_t first, uint64_t last)
{
	unsigned int i = find(list, first);

	return first <= last && i < list->count && list->range[i].first <= first &&
	       list->range[i].last >= last;
}

bool plx_ranges_overlap(const struct plx_ranges *list, uint64_t first, uint64_t last)
{
	unsigned int i = find(list, first);

	return i < list->count && list->range[i].first <= last;
}
