/* SPDX-License-Identifier: BSD-3-Clause */
/* Ring and queue memory: zeroed, aligned, contiguous for the device, given back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/mem.h>

#include "fake_rig.h"

static bool zeroed(const struct plx_dma *dma)
{
	const unsigned char *bytes = dma->va;
	size_t i;

	for (i = 0; i < dma->len; i++)
		if (bytes[i])
			return false;
	return true;
}

static uint64_t va_of(const struct plx_dma *dma)
{
	return (uintptr_t)dma->va;
}

static void memory_is_zeroed_aligned_and_reached(void **state)
{
	static const struct {
		size_t len, align;
	} cases[] = { { 1, 0 },		 { 64, 1 },	 { 65, 64 },
		      { 4096, 4096 },	 { 100, 65536 }, { 1 << 20, 2 << 20 },
		      { 3 << 20, 4096 }, { 8192, 128 } };
	size_t i;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_dma dma[8];
		struct plx_vfio_dev *dev;
		struct rig rig;

		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		for (i = 0; i < 8; i++) {
			/* Without an IOMMU nothing larger than a page is contiguous here. */
			if (plx_vfio_mode_unsafe(mode) && cases[i].len > HUGE) {
				fake_log_clear();
				assert_int_equal(plx_dma_alloc(rig.ioas, cases[i].len,
							       cases[i].align, PLX_NODE_ANY,
							       &dma[i]),
						 -ENOMEM);
				assert_true(fake_logged(PLX_LOG_ERR, "contiguous"));
				assert_null(dma[i].va);
				continue;
			}
			assert_int_equal(plx_dma_alloc(rig.ioas, cases[i].len, cases[i].align,
						       PLX_NODE_ANY, &dma[i]),
					 0);
			assert_int_equal(dma[i].len, cases[i].len);
			assert_true(zeroed(&dma[i]));
			assert_int_equal(va_of(&dma[i]) % 64, 0);
			if (cases[i].align)
				assert_int_equal(va_of(&dma[i]) % cases[i].align, 0);
			assert_true(dma[i].dma == rig_dma(rig.ioas, va_of(&dma[i])));
			assert_true(dma[i].dma + dma[i].len - 1 ==
				    rig_dma(rig.ioas, va_of(&dma[i]) + dma[i].len - 1));
			assert_true(rig_reaches(rig.ioas, rig.dev[0], va_of(&dma[i]), dma[i].len));
			memset(dma[i].va, 0xaa, dma[i].len);
		}
		for (i = 0; i < 8; i++) {
			plx_dma_free(rig.ioas, &dma[i]);
			assert_null(dma[i].va);
			assert_int_equal(dma[i].len, 0);
			plx_dma_free(rig.ioas, &dma[i]);
		}
		/* Nothing is kept for later. */
		if (mode != PLX_VFIO_NOIOMMU)
			assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

static void odd_requests_are_refused(void **state)
{
	struct plx_dma dma = { .va = (void *)1 };
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	assert_int_equal(plx_dma_alloc(rig.ioas, 0, 64, PLX_NODE_ANY, &dma), -EINVAL);
	assert_null(dma.va);
	assert_int_equal(plx_dma_alloc(rig.ioas, 64, 3, PLX_NODE_ANY, &dma), -EINVAL);
	assert_int_equal(plx_dma_alloc(rig.ioas, 64, 96, PLX_NODE_ANY, &dma), -EINVAL);
	assert_int_equal(plx_dma_alloc(rig.ioas, SIZE_MAX, 64, PLX_NODE_ANY, &dma), -EINVAL);
	assert_int_equal(plx_dma_alloc(rig.ioas, SIZE_MAX - 200, 64, PLX_NODE_ANY, &dma), -ENOMEM);
	assert_int_equal(plx_dma_alloc(rig.ioas, 64, 4 << 20, PLX_NODE_ANY, &dma), -EINVAL);
	rig_stop(&rig);
}

static void what_was_never_given_out_is_not_taken_back(void **state)
{
	struct plx_dma dma, copy;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	assert_int_equal(plx_dma_alloc(rig.ioas, 4096, 0, PLX_NODE_ANY, &dma), 0);
	fake_log_clear();
	copy = dma;
	copy.va = (char *)copy.va + 64;
	plx_dma_free(rig.ioas, &copy);
	copy.va = &copy;
	plx_dma_free(rig.ioas, &copy);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 2);
	copy = dma;
	plx_dma_free(rig.ioas, &dma);
	plx_dma_free(rig.ioas, &copy);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 3);
	rig_stop(&rig);
}

static void what_is_left_is_taken_back_in_the_end(void **state)
{
	struct plx_dma a, b;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_ALLOC);
	assert_int_equal(plx_dma_alloc(rig.ioas, 4096, 0, PLX_NODE_ANY, &a), 0);
	assert_int_equal(plx_dma_alloc(rig.ioas, 8 << 20, 0, PLX_NODE_ANY, &b), 0);
	assert_int_equal(plx_ioas_destroy(rig.ioas), 0);
	assert_int_equal(fake_log_count(PLX_LOG_WARN), 1);
	assert_true(fake_logged(PLX_LOG_WARN, "2 pieces"));
	fake_stop();
}

/* Small pieces share an arena; nodes don't. */
static void arenas_are_shared_by_node(void **state)
{
	struct plx_dma dma[3];
	struct plx_vfio_dev *dev;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_dma_alloc(rig.ioas, 4096, 0, 0, &dma[0]), 0);
	assert_int_equal(plx_dma_alloc(rig.ioas, 4096, 0, 0, &dma[1]), 0);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 1);
	assert_int_equal(plx_dma_alloc(rig.ioas, 4096, 0, 1, &dma[2]), 0);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 2);
	plx_dma_free(rig.ioas, &dma[2]);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 1);
	plx_dma_free(rig.ioas, &dma[0]);
	plx_dma_free(rig.ioas, &dma[1]);
	assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void limits_come_through(void **state)
{
	struct plx_vfio_dev *dev;
	struct plx_dma dma;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	fake.memlock = MIB;
	assert_int_equal(plx_dma_alloc(rig.ioas, 4096, 0, PLX_NODE_ANY, &dma), -ENOMEM);
	assert_true(fake_logged(PLX_LOG_ERR, "memlock limit is 1 MiB"));
	fake.memlock = UINT64_MAX;
	plx_vfio_close(dev);
	fake.dma_entry_limit = 0; /* taken over when a container gets its type */
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_dma_alloc(rig.ioas, 4096, 0, PLX_NODE_ANY, &dma), -ENOSPC);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void without_a_physical_address_there_is_none(void **state)
{
	struct plx_dma dma;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
	fake.cap_sys_admin = false;
	assert_int_equal(plx_dma_alloc(rig.ioas, 4096, 0, PLX_NODE_ANY, &dma), -EPERM);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	rig_stop(&rig);
}

/*
 * Random sizes and orders: pieces never overlap, each keeps its bytes, and all of it goes.
 */
#define PIECES 100

static uint64_t seed;

static unsigned prng(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void fill(const struct plx_dma *dma, unsigned which)
{
	memset(dma->va, which + 1, dma->len);
}

static void check(const struct plx_dma *dma, unsigned which)
{
	const unsigned char *bytes = dma->va;

	assert_int_equal(bytes[0], (unsigned char)(which + 1));
	assert_int_equal(bytes[dma->len / 2], (unsigned char)(which + 1));
	assert_int_equal(bytes[dma->len - 1], (unsigned char)(which + 1));
}

static void any_order_leaves_nothing(void **state)
{
	(void)state;
	RIG_EACH_MODE(mode)
	{
		struct plx_dma piece[PIECES] = { 0 };
		struct plx_vfio_dev *dev;
		struct rig rig;
		int step;
		unsigned i, given = 0;

		seed = 7 + mode;
		rig_start(&rig, mode, rig_policy(mode));
		dev = rig_open(&rig, BDF0);
		for (step = 0; step < 3000; step++) {
			unsigned at = prng(PIECES);
			size_t len = 1 + prng(1u << (4 + prng(15)));

			if (piece[at].va) {
				check(&piece[at], at);
				plx_dma_free(rig.ioas, &piece[at]);
				continue;
			}
			assert_int_equal(plx_dma_alloc(rig.ioas, len, 1u << prng(13), PLX_NODE_ANY,
						       &piece[at]),
					 0);
			assert_true(zeroed(&piece[at]));
			assert_true(rig_reaches(rig.ioas, rig.dev[0], va_of(&piece[at]), len));
			fill(&piece[at], at);
			given++;
		}
		assert_true(given > 1000);
		for (i = 0; i < PIECES; i++) {
			if (piece[i].va)
				check(&piece[i], i);
			plx_dma_free(rig.ioas, &piece[i]);
		}
		if (mode != PLX_VFIO_NOIOMMU)
			assert_int_equal(fake_dev_maps(rig.dev[0])->count, 0);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_aligned_and_reached),
		cmocka_unit_test(odd_requests_are_refused),
		cmocka_unit_test(what_was_never_given_out_is_not_taken_back),
		cmocka_unit_test(what_is_left_is_taken_back_in_the_end),
		cmocka_unit_test(arenas_are_shared_by_node),
		cmocka_unit_test(limits_come_through),
		cmocka_unit_test(without_a_physical_address_there_is_none),
		cmocka_unit_test(any_order_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
