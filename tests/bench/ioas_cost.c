/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What mapping, unmapping and looking up cost in lib/vfio itself: the kernel is the tests' fake,
 * and its maps are answered with a yes. Callgrind counts what is inside measured_*(); the program's
 * own clock tells nanoseconds, for what instructions don't show.
 *
 *      ioas-cost all POLICY MAPS        64 GiB in so many mappings, in no order; then unmapped
 *      ioas-cost more POLICY MAPS       so many 2 MiB mappings are there: one more, and away again
 *      ioas-cost holes POLICY MAPS      the same, with every second one of them unmapped before
 *      ioas-cost full alloc MAPS        the same, where no room is left but in those holes: refused
 *      ioas-cost crooked alloc MAPS     room for a gigabyte, aligned, where nearly no hole begins
 * so ioas-cost peer va MAPS           what a vfio-user peer may ask for: one more, and away again
 *      ioas-cost lookup POLICY MAPS     device addresses of memory in so many 2 MiB mappings
 *      ioas-cost nothing POLICY MAPS    the loop of lookup alone
 *
 * Prints how often what is measured was done, and nanoseconds for all of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_rig.h"
#include "used.h"
#ifdef PLX_HAVE_USER
#include "user.h"
#endif

#define TOTAL	(64 * GIB)
#define ROUNDS	2000
#define LOOKUPS 100000

static struct plx_ioas *ioas;
static uint64_t *order; /* of mappings: a shuffle that is the same each time */
static uint64_t maps, size;

static bool say_yes(int fd, unsigned long request, void *arg, int *result)
{
	(void)fd;
	(void)arg;
	*result = 0;
	return request == VFIO_IOMMU_MAP_DMA || request == VFIO_IOMMU_UNMAP_DMA;
}

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "ioas-cost: %s: %s\n", what, strerror(-err));
	exit(1);
}

static uint64_t next_random(void)
{
	static uint64_t x = 88172645463325252u; /* xorshift64 */

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static void shuffle(void)
{
	uint64_t i, at, other;

	order = malloc(maps * sizeof(*order));
	if (!order)
		exit(1);
	for (i = 0; i < maps; i++)
		order[i] = i;
	for (i = maps; i > 1; i--) {
		at = next_random() % i;
		other = order[at];
		order[at] = order[i - 1];
		order[i - 1] = other;
	}
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

__attribute__((noinline)) void measured_map(void);
__attribute__((noinline)) void measured_unmap(void);
__attribute__((noinline)) void measured_more(uint64_t va, uint64_t len);
__attribute__((noinline)) void measured_full(uint64_t va, uint64_t len);
__attribute__((noinline)) void measured_crooked(struct plx_used *used,
						const struct plx_ranges *allowed);
__attribute__((noinline)) void measured_peer(struct plx_user *user, struct plx_user_map *map);
__attribute__((noinline)) uint64_t measured_lookup(void *const *va);
__attribute__((noinline)) uint64_t measured_nothing(void *const *va);

void measured_map(void)
{
	uint64_t i;

	for (i = 0; i < maps; i++)
		must(rig_map(ioas, VA + order[i] * size, size), "map");
}

void measured_unmap(void)
{
	uint64_t i;

	for (i = 0; i < maps; i++)
		must(rig_unmap(ioas, VA + order[i] * size, size), "unmap");
}

void measured_more(uint64_t va, uint64_t len)
{
	must(rig_map(ioas, va, len), "one more");
	must(rig_unmap(ioas, va, len), "one less");
}

void measured_full(uint64_t va, uint64_t len)
{
	if (rig_map(ioas, va, len) != -ENOSPC)
		must(-EEXIST, "no room");
}

void measured_crooked(struct plx_used *used, const struct plx_ranges *allowed)
{
	const struct plx_used_want want = { .len = GIB, .align = GIB, .min = HUGE };
	uint64_t at;

	must(plx_used_first_fit(used, allowed, &want, &at), "room");
	must(plx_used_take(used, at, at + GIB - 1), "take");
	must(plx_used_give(used, at, at + GIB - 1), "give");
}

#ifdef PLX_HAVE_USER
void measured_peer(struct plx_user *user, struct plx_user_map *map)
{
	must(plx_user_map_add(user, map), "one more");
	plx_user_map_drop(user, map->iova);
}
#endif

uint64_t measured_lookup(void *const *va)
{
	const struct plx_xlate *xlate = plx_ioas_xlate(ioas);
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < LOOKUPS; i++)
		sum += plx_xlate_dma(xlate, va[i]);
	return sum;
}

uint64_t measured_nothing(void *const *va)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < LOOKUPS; i++) {
		sum += (uintptr_t)va[i];
		__asm__ volatile("" : "+r"(sum));
	}
	return sum;
}

static uint64_t all(void)
{
	uint64_t start = now(), mapped, done;

	measured_map();
	mapped = now();
	measured_unmap();
	done = now();
	printf("%llu %llu %llu\n", (unsigned long long)maps, (unsigned long long)(mapped - start),
	       (unsigned long long)(done - mapped));
	return 0;
}

/*
 * Mappings are two frames apart: the one more lies between any two, in no order. Those unmapped
 * before are every second one, by virtual address or, which leaves no two holes side by side, by
 * device address.
 */
static void more(bool holes, const uint64_t *nth, void (*measured)(uint64_t va, uint64_t len))
{
	uint64_t start, i, pace = 4 * HUGE, len = holes ? 2 * HUGE : HUGE;

	for (i = 0; i < maps; i++)
		must(rig_map(ioas, VA + order[i] * pace, HUGE), "map");
	for (i = 0; holes && i < maps; i += 2)
		must(rig_unmap(ioas, VA + (nth ? nth[i] : i) * pace, HUGE), "unmap");
	start = now();
	for (i = 0; i < ROUNDS; i++)
		measured(VA + (next_random() % maps) * pace + 2 * HUGE, len);
	printf("%d %llu\n", ROUNDS, (unsigned long long)(now() - start));
	for (i = 0; i < maps; i++)
		if (!holes || i % 2)
			must(rig_unmap(ioas, VA + (nth ? nth[i] : i) * pace, HUGE), "unmap");
}

/* Walls of a frame, and a gigabyte between them. */
static void crooked(void)
{
	struct plx_ranges allowed = { 0 };
	struct plx_used used = { 0 };
	uint64_t start, i;

	must(plx_ranges_add(&allowed, 0, UINT64_MAX), "ranges");
	for (i = 0; i < maps; i++)
		must(plx_used_take(&used, order[i] * (GIB + HUGE),
				   order[i] * (GIB + HUGE) + HUGE - 1),
		     "take");
	start = now();
	for (i = 0; i < ROUNDS; i++)
		measured_crooked(&used, &allowed);
	printf("%d %llu\n", ROUNDS, (unsigned long long)(now() - start));
	plx_ranges_free(&allowed);
	plx_used_free(&used);
}

/* All of it is shared: nobody asks for memory, nothing is sent. */
static void peer(void)
{
#ifdef PLX_HAVE_USER
	struct plx_user user = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .events = -1 };
	struct plx_user_map map = { .len = HUGE, .shared = true };
	uint64_t start, i;

	for (i = 0; i < maps; i++) {
		map.iova = VA + order[i] * 2 * HUGE;
		must(plx_user_map_add(&user, &map), "map");
	}
	start = now();
	for (i = 0; i < ROUNDS; i++) {
		map.iova = VA + (next_random() % maps) * 2 * HUGE + HUGE;
		measured_peer(&user, &map);
	}
	printf("%d %llu\n", ROUNDS, (unsigned long long)(now() - start));
	for (i = 0; i < maps; i++)
		plx_user_map_drop(&user, VA + i * 2 * HUGE);
#else
	must(-ENOTSUP, "built without json-c");
#endif
}

static void look_up(uint64_t (*measured)(void *const *va))
{
	void **va = malloc(LOOKUPS * sizeof(*va));
	uint64_t start, i, sum;

	if (!va)
		exit(1);
	for (i = 0; i < maps; i++)
		must(rig_map(ioas, VA + order[i] * HUGE, HUGE), "map");
	for (i = 0; i < LOOKUPS; i++)
		va[i] = (void *)(uintptr_t)(VA + (next_random() % maps) * HUGE +
					    next_random() % HUGE);
	start = now();
	sum = measured(va);
	printf("%d %llu\n", LOOKUPS, (unsigned long long)(now() - start));
	fprintf(stderr, "%llx\n", (unsigned long long)sum);
	for (i = 0; i < maps; i++)
		must(rig_unmap(ioas, VA + i * HUGE, HUGE), "unmap");
	free(va);
}

int main(int argc, char **argv)
{
	const char *what = argc == 4 ? argv[1] : "";
	struct plx_vfio_dev *dev;
	struct rig rig;

	maps = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
	if (!maps || TOTAL % maps || (strcmp(argv[2], "va") && strcmp(argv[2], "alloc"))) {
		/* 65,535 doesn't divide it, and is a case of "more" only. */
		if (!maps || !strcmp(what, "all")) {
			fprintf(stderr, "usage: ioas-cost all|more|holes|full|crooked|peer|"
					"lookup|nothing va|alloc MAPS\n");
			return 2;
		}
	}
	size = TOTAL / maps;
	rig_start(&rig, PLX_VFIO_TYPE1V2, strcmp(argv[2], "alloc") ? PLX_ADDR_VA : PLX_ADDR_ALLOC);
	fake.dma_entry_limit = 1 << 17;
	if (!strcmp(what, "full")) {
		rig.dev[0]->nranges = 1;
		rig.dev[0]->range[0] = (struct fake_range){ 4 * GIB, 4 * GIB + maps * HUGE - 1 };
	}
	dev = rig_open(&rig, BDF0);
	ioas = rig.ioas;
	fake.hook = say_yes;
	shuffle();
	if (!strcmp(what, "all"))
		all();
	else if (!strcmp(what, "lookup"))
		look_up(measured_lookup);
	else if (!strcmp(what, "nothing"))
		look_up(measured_nothing);
	else if (!strcmp(what, "crooked"))
		crooked();
	else if (!strcmp(what, "peer"))
		peer();
	else if (!strcmp(what, "full"))
		more(true, order, measured_full);
	else
		more(!strcmp(what, "holes"), NULL, measured_more);
	fake.hook = NULL;
	free(order);
	plx_vfio_close(dev);
	rig_stop(&rig);
	return 0;
}
