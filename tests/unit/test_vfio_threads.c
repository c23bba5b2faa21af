/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Map, unmap, claim, release and look up from several threads at once. For the thread sanitizer,
 * too: lib/vfio has locks of its own, and what they don't cover shows there. THREAD_OPS is how many
 * operations there are to be in all; a build with that sanitizer takes a million.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_rig.h"

#define MAPPERS 3
#define SLOTS	8 /* mappings of one thread */

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DEFAULT_OPS 1000000
#endif
#endif
#ifndef DEFAULT_OPS
#define DEFAULT_OPS 100000
#endif

static struct rig rig;
static unsigned long total;	  /* operations to be done */
static unsigned long done, wrong; /* atomic */
static bool over;		  /* atomic: claims are to stop */

static void count(bool ok)
{
	__atomic_add_fetch(&done, 1, __ATOMIC_RELAXED);
	if (!ok)
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

static bool enough(void)
{
	return __atomic_load_n(&done, __ATOMIC_RELAXED) >= total;
}

/* Memory of its own, and rings; now and then an overlap, which is refused. */
static void *map_and_unmap(void *arg)
{
	uint64_t base = VA + (uintptr_t)arg * GIB;
	bool mapped[SLOTS] = { false };
	struct plx_ioas_usage usage;
	struct plx_dma ring = { 0 };
	unsigned i;

	for (i = 0; !enough(); i++) {
		unsigned slot = i * 5 % SLOTS;
		uint64_t va = base + slot * 4 * HUGE;

		if (mapped[slot])
			count(!rig_unmap(rig.ioas, va, HUGE));
		else
			count(!rig_map(rig.ioas, va, HUGE));
		mapped[slot] = !mapped[slot];
		count((rig_dma(rig.ioas, va) == va) == mapped[slot]);
		if (i % 64)
			continue;
		plx_ioas_usage(rig.ioas, &usage);
		count(usage.maps <= MAPPERS * (SLOTS + 2));
		count(rig_map(rig.ioas, va, HUGE) == (mapped[slot] ? -EEXIST : 0));
		mapped[slot] = true;
		plx_dma_free(rig.ioas, &ring);
		count(!plx_dma_alloc(rig.ioas, 4096, 64, -1, &ring));
	}
	plx_dma_free(rig.ioas, &ring);
	for (i = 0; i < SLOTS; i++)
		if (mapped[i])
			count(!rig_unmap(rig.ioas, base + i * 4 * HUGE, HUGE));
	return NULL;
}

/* One device's coming and going: it is given what is mapped at that moment. */
static void *claim_and_release(void *arg)
{
	struct plx_vfio_dev *dev;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		int err = plx_vfio_open(rig.ioas, arg, &rig.opts, &dev, NULL);

		count(!err);
		if (err)
			continue;
		count(plx_vfio_dev_ioas(dev) == rig.ioas);
		plx_vfio_close(dev);
	}
	return NULL;
}

static void in_mode(enum plx_vfio_mode mode)
{
	static const char *const names[] = { BDF0, BDF1 };
	pthread_t mapper[MAPPERS], claimer[2];
	struct plx_ioas_usage usage;
	uintptr_t i;

	rig_start(&rig, mode, PLX_ADDR_VA);
	rig.dev[1]->loner = true; /* two containers */
	done = wrong = 0;
	over = false;
	for (i = 0; i < MAPPERS; i++)
		assert_int_equal(pthread_create(&mapper[i], NULL, map_and_unmap, (void *)i), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&claimer[i], NULL, claim_and_release,
						(void *)(uintptr_t)names[i]),
				 0);
	for (i = 0; i < MAPPERS; i++)
		pthread_join(mapper[i], NULL);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(claimer[i], NULL);
	printf("# %s: %lu operations, %lu wrong\n", plx_vfio_mode_name(mode), done, wrong);
	assert_int_equal(wrong, 0);
	assert_true(done >= total);
	plx_ioas_usage(rig.ioas, &usage);
	assert_int_equal(usage.maps + usage.bytes + usage.contexts, 0);
	rig_stop(&rig);
}

static void by_cdev(void **state)
{
	(void)state;
	in_mode(PLX_VFIO_CDEV);
}

static void by_group(void **state)
{
	(void)state;
	in_mode(PLX_VFIO_TYPE1V2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_cdev),
		cmocka_unit_test(by_group),
	};
	const char *ops = getenv("THREAD_OPS");

	total = (ops ? strtoul(ops, NULL, 10) : DEFAULT_OPS) / 2;
	return cmocka_run_group_tests_name("vfio-threads", tests, NULL, NULL);
}
