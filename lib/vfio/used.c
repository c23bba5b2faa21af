/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stddef.h>

#include "sys.h"
#include "used.h"

static void sum_up(struct plx_used_range *r)
{
	const struct plx_used_range *left = RB_LEFT(r, node), *right = RB_RIGHT(r, node);

	r->most = r->gap;
	if (left && left->most > r->most)
		r->most = left->most;
	if (right && right->most > r->most)
		r->most = right->most;
}

/* For the tree's own functions; ranges don't overlap, and each is put where it belongs. */
static int compare(const struct plx_used_range *a, const struct plx_used_range *b)
{
	return a->first < b->first ? -1 : a->first > b->first;
}

/* A range without a gap changes no sum: so ranges come and go, and only the tree's turns count. */
#undef RB_AUGMENT
#define RB_AUGMENT(r) sum_up(r)
RB_PROTOTYPE(plx_used_tree, plx_used_range, node, compare)
RB_GENERATE(plx_used_tree, plx_used_range, node, compare)

static void set_gap(struct plx_used_range *r, uint64_t gap)
{
	uint64_t before;

	r->gap = gap;
	for (; r; r = RB_PARENT(r, node)) {
		before = r->most;
		sum_up(r);
		if (r->most == before)
			break;
	}
}

/* What is around r changed. NULL: the end. */
static void settle(struct plx_used_range *r)
{
	if (r)
		set_gap(r, r->first - (r->prev ? r->prev->last + 1 : 0));
}

static void link_list(struct plx_used *used, struct plx_used_range *a, struct plx_used_range *b)
{
	if (a)
		a->next = b;
	if (b)
		b->prev = a;
	else
		used->end = a;
}

static void drop(struct plx_used *used, struct plx_used_range *r)
{
	set_gap(r, 0);
	RB_REMOVE(plx_used_tree, &used->tree, r);
	link_list(used, r->prev, r->next);
	r->next = used->spare;
	used->spare = r;
}

/* A spare one, between two neighbours, of which either may be NULL. */
static void insert(struct plx_used *used, struct plx_used_range *prev, struct plx_used_range *next,
		   uint64_t first, uint64_t last)
{
	struct plx_used_range *r = used->spare;

	used->spare = r->next;
	*r = (struct plx_used_range){ .first = first, .last = last };
	link_list(used, prev, r);
	link_list(used, r, next);
	/* One of the two has a place for it, or the tree is empty. */
	RB_SET(r, prev && !RB_RIGHT(prev, node) ? prev : next, node);
	if (!RB_PARENT(r, node))
		RB_ROOT(&used->tree) = r;
	else if (RB_PARENT(r, node) == prev)
		RB_RIGHT(prev, node) = r;
	else
		RB_LEFT(next, node) = r;
	plx_used_tree_RB_INSERT_COLOR(&used->tree, r);
	settle(r);
}

void plx_used_free(struct plx_used *used)
{
	struct plx_used_range *r;

	while ((r = RB_ROOT(&used->tree)))
		drop(used, r);
	while ((r = used->spare)) {
		used->spare = r->next;
		plx_sys->free(r);
	}
	*used = (struct plx_used){ 0 };
}

int plx_used_reserve(struct plx_used *used, unsigned int count)
{
	while (used->room < count) {
		struct plx_used_range *r = plx_sys->alloc(sizeof(*r));

		if (!r)
			return -ENOMEM;
		r->next = used->spare;
		used->spare = r;
		used->room++;
	}
	return 0;
}

static int reserve_one(struct plx_used *used)
{
	return used->spare ? 0 : plx_used_reserve(used, used->room + 1);
}

/* The first range that ends at or after addr. */
static struct plx_used_range *find(const struct plx_used *used, uint64_t addr)
{
	struct plx_used_range *r = RB_ROOT(&used->tree), *found = NULL;

	if (!r || used->end->last < addr)
		return NULL;
	while (r) {
		if (r->last < addr) {
			r = RB_RIGHT(r, node);
		} else {
			found = r;
			r = RB_LEFT(r, node);
		}
	}
	return found;
}

int plx_used_take(struct plx_used *used, uint64_t first, uint64_t last)
{
	struct plx_used_range *next = find(used, first), *prev = next ? next->prev : used->end;
	bool joins_prev, joins_next;
	int err;

	if (last < first)
		return -EINVAL;
	if (next && next->first <= last)
		return -EEXIST;
	joins_prev = prev && prev->last + 1 == first;
	joins_next = next && last + 1 == next->first;
	if (joins_next) {
		next->first = joins_prev ? prev->first : first;
		if (joins_prev)
			drop(used, prev);
	} else if (joins_prev) {
		prev->last = last;
	} else {
		err = reserve_one(used);
		if (err)
			return err;
		insert(used, prev, next, first, last);
	}
	settle(next);
	used->bytes += last - first + 1;
	return 0;
}

int plx_used_give(struct plx_used *used, uint64_t first, uint64_t last)
{
	struct plx_used_range *r = find(used, first), *next;
	uint64_t end;
	int err;

	if (last < first)
		return -EINVAL;
	if (!r || r->first > first || r->last < last)
		return -ENOENT;
	next = r->next;
	end = r->last;
	if (r->first < first && last < end) {
		err = reserve_one(used);
		if (err)
			return err;
		r->last = first - 1;
		insert(used, r, next, last + 1, end);
	} else if (r->first < first) {
		r->last = first - 1;
		settle(next);
	} else if (last < end) {
		r->first = last + 1;
		settle(r);
	} else {
		drop(used, r);
		settle(next);
	}
	used->bytes -= last - first + 1;
	return 0;
}

bool plx_used_overlap(const struct plx_used *used, uint64_t first, uint64_t last)
{
	const struct plx_used_range *r = find(used, first);

	return r && r->first <= last;
}

/* The first range of r's subtree, whose most is not below len, with such a gap below it. */
static const struct plx_used_range *first_gap(const struct plx_used_range *r, uint64_t len)
{
	for (;;) {
		const struct plx_used_range *left = RB_LEFT(r, node);

		if (left && left->most >= len)
			r = left;
		else if (r->gap >= len)
			return r;
		else
			r = RB_RIGHT(r, node);
	}
}

/* The first range behind r with a gap of len or more below it. */
static const struct plx_used_range *next_gap(const struct plx_used_range *r, uint64_t len)
{
	const struct plx_used_range *right = RB_RIGHT(r, node), *child;

	if (right && right->most >= len)
		return first_gap(right, len);
	do {
		/* Up to who has us on the left: it is behind us, and so is all to its right. */
		do {
			child = r;
			r = RB_PARENT(r, node);
		} while (r && child == RB_RIGHT(r, node));
		if (!r || r->gap >= len)
			return r;
		right = RB_RIGHT(r, node);
	} while (!right || right->most < len);
	return first_gap(right, len);
}

/* The lowest address not below addr that is phase modulo align; false if there is none. */
static bool align_up(uint64_t *addr, const struct plx_used_want *want)
{
	uint64_t step = (want->phase - *addr) & (want->align - 1);

	return !__builtin_add_overflow(*addr, step, addr);
}

/* In one allowed range. */
static bool fit_in_range(const struct plx_used *used, const struct plx_range *range,
			 const struct plx_used_want *want, uint64_t *found)
{
	uint64_t addr = range->first > want->min ? range->first : want->min, last, gap = want->len;
	const struct plx_used_range *r = find(used, addr);
	unsigned int misses = 0;

	for (;;) {
		if (!align_up(&addr, want) || __builtin_add_overflow(addr, want->len - 1, &last) ||
		    last > range->last)
			return false;
		if (!r || last < r->first) {
			*found = addr;
			return true;
		}
		if (++misses == PLX_USED_NEAR_MISSES &&
		    __builtin_add_overflow(want->len, want->align - 1, &gap))
			gap = UINT64_MAX;
		r = next_gap(r, gap);
		if (r)
			addr = r->first - r->gap;
		else if (__builtin_add_overflow(used->end->last, 1, &addr))
			return false;
	}
}

int plx_used_first_fit(const struct plx_used *used, const struct plx_ranges *allowed,
		       const struct plx_used_want *want, uint64_t *addr)
{
	unsigned int i;

	if (!want->len)
		return -EINVAL;
	for (i = 0; i < allowed->count; i++)
		if (allowed->range[i].last >= want->min &&
		    fit_in_range(used, &allowed->range[i], want, addr))
			return 0;
	return -ENOSPC;
}
