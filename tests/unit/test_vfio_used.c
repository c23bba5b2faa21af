/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses in use and the search for room, against a model that knows each address. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_vfio.h"
#include "used.h"

#define SPACE 1024
#define MANY  65535

/* What is in use, and what is allowed, address by address from base on. */
struct model {
	uint64_t base;
	bool used[SPACE], allowed[SPACE];
};

static bool memory_is_out;
static struct plx_sys sys;
static uint64_t seed;

static unsigned prng(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void *alloc(size_t len)
{
	return memory_is_out ? NULL : fake_sys.alloc(len);
}

static int start(void **state)
{
	(void)state;
	fake_start(FAKE_A);
	memory_is_out = false;
	sys = fake_sys;
	sys.alloc = alloc;
	plx_sys = &sys;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	plx_sys = &fake_sys;
	fake_stop();
	return 0;
}

/*
 * A tree that is in order: by address, none touching another; gaps and their maxima right; and as
 * flat as a red-black tree is, for that is what each call's cost is.
 */
struct walk {
	uint64_t end; /* behind the range before */
	uint64_t bytes;
	const struct plx_used_range *prev;
	unsigned ranges, height;
};

static uint64_t walk(const struct plx_used_range *r, unsigned depth, struct walk *w)
{
	uint64_t most, other;

	if (!r)
		return 0;
	assert_true(depth < 64);
	w->height = depth + 1 > w->height ? depth + 1 : w->height;
	most = walk(RB_LEFT(r, node), depth + 1, w);
	assert_true(r->first <= r->last && r->first >= w->end);
	assert_true(!w->ranges || r->first > w->end);
	assert_true(r->gap == r->first - w->end);
	assert_ptr_equal(r->prev, w->prev);
	assert_true(!r->prev || r->prev->next == r);
	w->prev = r;
	most = r->gap > most ? r->gap : most;
	w->end = r->last + 1;
	w->bytes += r->last - r->first + 1;
	w->ranges++;
	other = walk(RB_RIGHT(r, node), depth + 1, w);
	most = other > most ? other : most;
	assert_true(r->most == most);
	return most;
}

static struct walk check(const struct plx_used *used)
{
	const struct plx_used_range *r;
	struct walk w = { 0 };
	unsigned spare = 0;

	walk(RB_ROOT(&used->tree), 0, &w);
	assert_ptr_equal(used->end, w.prev);
	assert_true(!used->end || !used->end->next);
	for (r = used->spare; r; r = r->next)
		spare++;
	assert_int_equal(w.ranges + spare, used->room);
	assert_true(w.bytes == used->bytes);
	assert_true(w.ranges + UINT64_C(1) >= UINT64_C(1) << w.height / 2);
	return w;
}

static void compare(const struct plx_used *used, const struct model *m)
{
	unsigned i, ends = 0;

	for (i = 0; i < SPACE; i++) {
		assert_int_equal(plx_used_overlap(used, m->base + i, m->base + i), m->used[i]);
		ends += m->used[i] && (i + 1 == SPACE || !m->used[i + 1]);
	}
	assert_int_equal(check(used).ranges, ends);
}

static unsigned count(const bool *flag, unsigned first, unsigned last)
{
	unsigned n = 0;

	while (first <= last)
		n += flag[first++];
	return n;
}

/* A call that takes or gives addresses: what the model says it must return, then the same there. */
static void change(struct plx_used *used, struct model *m, bool take, unsigned first, unsigned last)
{
	unsigned in_use = count(m->used, first, last), i;
	bool below = first && m->used[first - 1], above = last + 1 < SPACE && m->used[last + 1];
	int expect = 0, err;

	if (take && in_use)
		expect = -EEXIST;
	else if (!take && in_use != last - first + 1)
		expect = -ENOENT;
	else if (memory_is_out && !used->spare && below == above && below != take)
		expect = -ENOMEM;
	err = take ? plx_used_take(used, m->base + first, m->base + last)
		   : plx_used_give(used, m->base + first, m->base + last);
	assert_int_equal(err, expect);
	for (i = first; !err && i <= last; i++)
		m->used[i] = take;
}

static bool fits(const struct model *m, const struct plx_used_want *want, unsigned at)
{
	uint64_t addr = m->base + at;

	return at + want->len <= SPACE && addr >= want->min &&
	       !((addr - want->phase) & (want->align - 1)) &&
	       count(m->allowed, at, at + want->len - 1) == want->len &&
	       !count(m->used, at, at + want->len - 1);
}

/* The first fit, or SPACE; and how many pieces of room that are long enough lie before it. */
static unsigned naive_fit(const struct model *m, const struct plx_used_want *want, unsigned *missed)
{
	unsigned at, run = 0;

	*missed = 0;
	for (at = 0; at < SPACE; at++) {
		if (fits(m, want, at))
			return at;
		run = m->allowed[at] && !m->used[at] && m->base + at >= want->min ? run + 1 : 0;
		*missed += run == want->len;
	}
	return SPACE;
}

/* Looks for room, and takes it if it is there. */
static bool find_and_take(struct plx_used *used, struct model *m, const struct plx_ranges *allowed)
{
	struct plx_used_want want = {
		.len = 1 + prng(prng(4) ? 4 : 40),
		.align = UINT64_C(1) << prng(6),
		.min = prng(2) ? 0 : m->base + prng(SPACE),
	};
	unsigned missed, expect;
	uint64_t addr = 0;
	int err;

	want.phase = prng(want.align);
	expect = naive_fit(m, &want, &missed);
	err = plx_used_first_fit(used, allowed, &want, &addr);
	if (missed < PLX_USED_NEAR_MISSES - 1) {
		assert_int_equal(err, expect < SPACE ? 0 : -ENOSPC);
		assert_true(err || addr == m->base + expect);
	}
	if (err)
		return false;
	assert_true(fits(m, &want, addr - m->base));
	change(used, m, true, addr - m->base, addr - m->base + want.len - 1);
	return true;
}

static void any_order_of_changes_fits_the_model(void **state)
{
	static const uint64_t bases[] = { 0, UINT64_MAX - SPACE + 1, 0xfee00000 };
	unsigned found = 0, full = 0, out = 0, round, i, j;

	(void)state;
	for (round = 0; round < 60; round++) {
		struct plx_ranges allowed = { 0 };
		struct plx_used used = { 0 };
		struct model m = { .base = bases[round % 3] };

		seed = round;
		for (i = 0; i < 1 + round % 4; i++) {
			unsigned first = prng(SPACE), last = first + prng(SPACE - first);

			plx_ranges_add(&allowed, m.base + first, m.base + last);
			for (j = first; j <= last; j++)
				m.allowed[j] = true;
		}
		for (i = 0; i < 2000; i++) {
			unsigned first = prng(SPACE), len = 1 + prng(prng(20) ? 5 : 60);
			unsigned last = first + len - 1 < SPACE ? first + len - 1 : SPACE - 1;

			/* Full and fragmented by turns. */
			memory_is_out = !prng(5);
			out += memory_is_out && !used.spare;
			if (prng(8) < (i / 400 % 2 ? 2 : 5)) {
				bool fit = find_and_take(&used, &m, &allowed);

				found += fit;
				full += !fit;
			} else {
				change(&used, &m, !prng(6), first, last);
			}
			if (i % 50 == 0)
				compare(&used, &m);
		}
		memory_is_out = false;
		plx_ranges_free(&allowed);
		plx_used_free(&used);
	}
	assert_true(found > 10000 && full > 10000 && out > 100);
}

static void the_ends_of_the_address_space_work(void **state)
{
	struct plx_used used = { 0 };

	(void)state;
	assert_int_equal(plx_used_take(&used, 2, 1), -EINVAL);
	assert_int_equal(plx_used_give(&used, 2, 1), -EINVAL);
	assert_int_equal(plx_used_give(&used, 0, 0), -ENOENT);
	assert_int_equal(plx_used_take(&used, 0, UINT64_MAX), 0);
	assert_true(plx_used_overlap(&used, 7, 7));
	assert_int_equal(plx_used_take(&used, UINT64_MAX, UINT64_MAX), -EEXIST);
	assert_int_equal(plx_used_give(&used, 0, 0), 0);
	assert_int_equal(plx_used_give(&used, UINT64_MAX, UINT64_MAX), 0);
	assert_false(plx_used_overlap(&used, 0, 0));
	assert_false(plx_used_overlap(&used, UINT64_MAX, UINT64_MAX));
	assert_int_equal(check(&used).ranges, 1);
	assert_int_equal(plx_used_take(&used, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(plx_used_take(&used, 0, 0), 0);
	assert_int_equal(check(&used).ranges, 1);
	assert_int_equal(plx_used_give(&used, 0, UINT64_MAX), 0);
	assert_int_equal(check(&used).ranges, 0);
	plx_used_free(&used);
}

static void nothing_and_everything_can_be_wanted(void **state)
{
	struct plx_used_want want = { .len = 0, .align = 1 };
	struct plx_ranges allowed = { 0 };
	struct plx_used used = { 0 };
	uint64_t addr;

	(void)state;
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), -EINVAL);
	want.len = 1;
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), -ENOSPC);
	plx_ranges_add(&allowed, 0, UINT64_MAX);
	want.len = UINT64_MAX;
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), 0);
	assert_true(addr == 0);
	want.min = 2;
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), -ENOSPC);
	want.len = 4096;
	want.align = 4096;
	want.min = UINT64_MAX - 10;
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), -ENOSPC);
	want.min = 0;
	plx_used_take(&used, 0, UINT64_MAX);
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), -ENOSPC);
	plx_ranges_free(&allowed);
	plx_used_free(&used);
}

/* Ranges of ten addresses, each below a gap of ten. */
static void take_many(struct plx_used *used)
{
	uint64_t i, at = 0;

	for (i = 0; i < MANY; i++) {
		at = (at + 48271) % MANY; /* each once, in no order */
		assert_int_equal(plx_used_take(used, 20 * at + 10, 20 * at + 19), 0);
	}
	assert_int_equal(check(used).ranges, MANY);
}

static void many_small_gaps_are_passed_over(void **state)
{
	struct plx_used_want want = { .len = 11, .align = 1 };
	struct plx_ranges allowed = { 0 };
	struct plx_used used = { 0 };
	uint64_t addr;

	(void)state;
	plx_ranges_add(&allowed, 0, UINT64_MAX);
	take_many(&used);
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), 0);
	assert_true(addr == 20 * MANY);
	want.len = 10;
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), 0);
	assert_true(addr == 0);
	want.len = 30;
	assert_int_equal(plx_used_give(&used, 20 * 40000 + 10, 20 * 40000 + 19), 0);
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), 0);
	assert_true(addr == 20 * 40000);
	plx_ranges_free(&allowed);
	plx_used_free(&used);
}

/* Long enough, but in the wrong place: only so many are tried. */
static void near_misses_come_to_an_end(void **state)
{
	struct plx_used_want want = { .len = 5, .align = 32, .phase = 28 };
	const uint64_t reach = 20 * PLX_USED_NEAR_MISSES;
	struct plx_ranges allowed = { 0 };
	struct plx_used used = { 0 };
	uint64_t addr, at;

	(void)state;
	plx_ranges_add(&allowed, 0, 20 * MANY);
	take_many(&used);
	/* Some of the first gaps have it. */
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), 0);
	assert_true(addr < reach && addr % 32 == 28);
	/* The gaps that have it are taken as far as the search goes. */
	for (at = 28; at < reach + 60; at += 32)
		if (!plx_used_overlap(&used, at, at + 4))
			assert_int_equal(plx_used_take(&used, at, at), 0);
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), -ENOSPC);
	/* What has room wherever it begins is found, however far away. */
	assert_int_equal(plx_used_give(&used, 20 * 50000 + 10, 20 * 50000 + 19), 0);
	assert_int_equal(plx_used_give(&used, 20 * 50001 + 10, 20 * 50001 + 19), 0);
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), 0);
	assert_true(addr >= 20 * 50000 && addr <= 20 * 50000 + 32 && addr % 32 == 28);
	/* So is room behind all that is in use. */
	assert_int_equal(plx_used_take(&used, 20 * 50000 + 10, 20 * 50000 + 19), 0);
	assert_int_equal(plx_used_take(&used, 20 * 50001 + 10, 20 * 50001 + 19), 0);
	plx_ranges_add(&allowed, 20 * MANY, 20 * MANY + 40);
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), 0);
	assert_true(addr >= 20 * MANY);
	/* Alignment beyond all bounds is no way around the end of the address space. */
	want.align = UINT64_C(1) << 63;
	want.phase = 0;
	want.min = 1;
	want.len = UINT64_C(1) << 63;
	assert_int_equal(plx_used_first_fit(&used, &allowed, &want, &addr), -ENOSPC);
	plx_ranges_free(&allowed);
	plx_used_free(&used);
}

static void without_memory_nothing_changes(void **state)
{
	struct plx_used used = { 0 };

	(void)state;
	assert_int_equal(plx_used_take(&used, 10, 19), 0);
	memory_is_out = true;
	assert_int_equal(plx_used_take(&used, 30, 39), -ENOMEM);
	assert_int_equal(plx_used_give(&used, 12, 14), -ENOMEM);
	assert_int_equal(plx_used_reserve(&used, 2), -ENOMEM);
	assert_int_equal(check(&used).ranges, 1);
	assert_true(used.bytes == 10);
	/* What grows, shrinks or joins ranges needs none. */
	assert_int_equal(plx_used_take(&used, 20, 29), 0);
	assert_int_equal(plx_used_give(&used, 10, 14), 0);
	memory_is_out = false;
	assert_int_equal(plx_used_reserve(&used, 2), 0);
	memory_is_out = true;
	assert_int_equal(plx_used_give(&used, 20, 24), 0);
	assert_int_equal(check(&used).ranges, 2);
	assert_int_equal(plx_used_take(&used, 20, 24), 0);
	assert_int_equal(check(&used).ranges, 1);
	memory_is_out = false;
	plx_used_free(&used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(any_order_of_changes_fits_the_model, start, stop),
		cmocka_unit_test_setup_teardown(the_ends_of_the_address_space_work, start, stop),
		cmocka_unit_test_setup_teardown(nothing_and_everything_can_be_wanted, start, stop),
		cmocka_unit_test_setup_teardown(many_small_gaps_are_passed_over, start, stop),
		cmocka_unit_test_setup_teardown(near_misses_come_to_an_end, start, stop),
		cmocka_unit_test_setup_teardown(without_memory_nothing_changes, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
