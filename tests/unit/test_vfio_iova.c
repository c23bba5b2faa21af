/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of ranges of addresses, against a model that knows each byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_vfio.h"
#include "iova.h"

static int start(void **state)
{
	(void)state;
	fake_start(FAKE_A);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fake_stop();
	return 0;
}

/* Sorted, apart from each other by at least one address. */
static void check(const struct plx_ranges *list)
{
	unsigned i;

	for (i = 0; i < list->count; i++) {
		assert_true(list->range[i].first <= list->range[i].last);
		if (i)
			assert_true(list->range[i].first > list->range[i - 1].last + 1);
	}
}

static void the_ends_of_the_address_space_work(void **state)
{
	struct plx_ranges list = { 0 };

	(void)state;
	assert_int_equal(plx_ranges_add(&list, 0, UINT64_MAX), 0);
	assert_true(plx_ranges_contain(&list, 0, UINT64_MAX));
	assert_int_equal(plx_ranges_add(&list, 5, UINT64_MAX), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(plx_ranges_remove(&list, 0, 0), 0);
	assert_int_equal(plx_ranges_remove(&list, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(list.count, 1);
	assert_true(plx_ranges_contain(&list, 1, UINT64_MAX - 1));
	assert_false(plx_ranges_contain(&list, 0, 1));
	assert_false(plx_ranges_overlap(&list, UINT64_MAX, UINT64_MAX));
	assert_int_equal(plx_ranges_add(&list, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(plx_ranges_add(&list, 0, 0), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(plx_ranges_add(&list, 2, 1), -EINVAL);
	assert_int_equal(plx_ranges_remove(&list, 2, 1), -EINVAL);
	assert_int_equal(plx_ranges_remove(&list, 0, UINT64_MAX), 0);
	assert_int_equal(list.count, 0);
	plx_ranges_free(&list);
}

static void neighbours_are_joined(void **state)
{
	struct plx_ranges list = { 0 };

	(void)state;
	plx_ranges_add(&list, 10, 19);
	plx_ranges_add(&list, 30, 39);
	assert_int_equal(list.count, 2);
	plx_ranges_add(&list, 20, 29);
	assert_int_equal(list.count, 1);
	assert_true(plx_ranges_contain(&list, 10, 39));
	plx_ranges_add(&list, 41, 50);
	assert_int_equal(list.count, 2);
	assert_false(plx_ranges_contain(&list, 39, 41));
	plx_ranges_free(&list);
}

/*
 * A model: one flag an address, of a small space laid over the bottom or the top of 2^64.
 */
#define SPACE 300

static uint64_t seed;

static unsigned prng(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void random_list(struct plx_ranges *list, bool *model, uint64_t base, int steps)
{
	while (steps--) {
		unsigned first = prng(SPACE), last = first + prng(20), i;
		bool add = prng(3);

		if (last >= SPACE)
			last = SPACE - 1;
		assert_int_equal(add ? plx_ranges_add(list, base + first, base + last)
				     : plx_ranges_remove(list, base + first, base + last),
				 0);
		for (i = first; i <= last; i++)
			model[i] = add;
		check(list);
	}
}

static void compare(const struct plx_ranges *list, const bool *model, uint64_t base)
{
	unsigned i, ends = 0;

	for (i = 0; i < SPACE; i++) {
		assert_int_equal(plx_ranges_contain(list, base + i, base + i), model[i]);
		ends += model[i] && (i + 1 == SPACE || !model[i + 1]);
	}
	assert_int_equal(list->count, ends);
}

static void any_order_of_changes_fits_the_model(void **state)
{
	static const uint64_t bases[] = { 0, UINT64_MAX - SPACE + 1, 0xfee00000 };
	int round;

	(void)state;
	for (round = 0; round < 60; round++) {
		struct plx_ranges list = { 0 };
		bool model[SPACE] = { false };
		uint64_t base = bases[round % 3];
		int i;

		seed = round;
		random_list(&list, model, base, 150);
		compare(&list, model, base);
		for (i = 0; i < 200; i++) {
			unsigned first = prng(SPACE), last = first + prng(SPACE - first), j;
			bool all = true, any = false;

			for (j = first; j <= last; j++) {
				all &= model[j];
				any |= model[j];
			}
			assert_int_equal(plx_ranges_contain(&list, base + first, base + last), all);
			assert_int_equal(plx_ranges_overlap(&list, base + first, base + last), any);
		}
		plx_ranges_free(&list);
	}
}

static void intersections_fit_the_model(void **state)
{
	int round;

	(void)state;
	for (round = 0; round < 40; round++) {
		struct plx_ranges a = { 0 }, b = { 0 }, both = { 0 };
		bool in_a[SPACE] = { false }, in_b[SPACE] = { false }, in_both[SPACE];
		int i;

		seed = 1000 + round;
		random_list(&a, in_a, 0, 60);
		random_list(&b, in_b, 0, 60);
		assert_int_equal(plx_ranges_intersect(&both, &a, &b), 0);
		check(&both);
		for (i = 0; i < SPACE; i++)
			in_both[i] = in_a[i] && in_b[i];
		compare(&both, in_both, 0);
		plx_ranges_free(&a);
		plx_ranges_free(&b);
		plx_ranges_free(&both);
	}
}

/* Out of memory: an error, and the list as it was. */
static void *no_memory(size_t len)
{
	(void)len;
	return NULL;
}

static void a_list_that_can_not_grow_stays(void **state)
{
	struct plx_sys sys = fake_sys;
	struct plx_ranges list = { 0 };
	uint64_t i;

	(void)state;
	assert_int_equal(plx_ranges_add(&list, 0, 9), 0);
	for (i = 1; i < list.room; i++)
		assert_int_equal(plx_ranges_add(&list, 100 * i, 100 * i + 9), 0);
	assert_int_equal(list.count, list.room);
	sys.alloc = no_memory;
	plx_sys = &sys;
	assert_int_equal(plx_ranges_add(&list, 5000, 5000), -ENOMEM);
	assert_int_equal(plx_ranges_remove(&list, 4, 5), -ENOMEM);
	plx_sys = &fake_sys;
	assert_int_equal(list.count, list.room);
	assert_true(plx_ranges_contain(&list, 0, 9));
	assert_int_equal(plx_ranges_remove(&list, 0, 5), 0);
	plx_ranges_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_ends_of_the_address_space_work, start, stop),
		cmocka_unit_test_setup_teardown(neighbours_are_joined, start, stop),
		cmocka_unit_test_setup_teardown(any_order_of_changes_fits_the_model, start, stop),
		cmocka_unit_test_setup_teardown(intersections_fit_the_model, start, stop),
		cmocka_unit_test_setup_teardown(a_list_that_can_not_grow_stays, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
