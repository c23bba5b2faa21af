/* SPDX-License-Identifier: BSD-3-Clause */
/* The runs of EAL's memory that are mapped in the address space: what was mapped as one. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <pollux/log.h>

#include "internal.h"

struct run {
	LIST_ENTRY(run) link;
	uintptr_t va;
	size_t len;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, run) runs = LIST_HEAD_INITIALIZER(runs);
static struct plx_ioas *space; /* NULL: nothing is followed */

int plx_eal_run_map(const struct plx_dma_mem *mem, struct plx_refusal *why)
{
	struct run *run = malloc(sizeof(*run));
	int err;

	if (!run)
		return -ENOMEM;
	run->va = (uintptr_t)mem->va;
	run->len = mem->len;
	pthread_mutex_lock(&lock);
	err = space ? plx_ioas_map(space, mem, why) : -ENODEV;
	if (!err)
		LIST_INSERT_HEAD(&runs, run, link);
	pthread_mutex_unlock(&lock);
	if (err)
		free(run);
	return err;
}

/* Under the lock. */
static int unmap_run(struct run *run)
{
	int err = plx_ioas_unmap(space, (void *)run->va, run->len);

	LIST_REMOVE(run, link);
	free(run);
	return err;
}

int plx_eal_run_unmap(const void *va, size_t len)
{
	struct run *run;
	int err = -ENOENT;

	pthread_mutex_lock(&lock);
	LIST_FOREACH(run, &runs, link) {
		if (run->va == (uintptr_t)va && run->len == len) {
			err = unmap_run(run);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return err;
}

/* Under the lock. The ranges meet. */
static void unmap_within(struct run *run, uintptr_t va, size_t len)
{
	int err;

	if (run->va < va || run->va + run->len > va + len) {
		plx_err("EAL frees %zu KiB at 0x%zx, a part of the %zu KiB at 0x%zx that were "
			"mapped together: devices keep reaching all of it",
			len >> 10, (size_t)va, run->len >> 10, (size_t)run->va);
		return;
	}
	err = unmap_run(run);
	if (err)
		plx_err("memory that EAL frees at 0x%zx was not unmapped everywhere: %s",
			(size_t)va, strerror(-err));
}

void plx_eal_runs_unmap_range(const void *addr, size_t len)
{
	uintptr_t va = (uintptr_t)addr;
	struct run *run, *next;

	pthread_mutex_lock(&lock);
	for (run = LIST_FIRST(&runs); run; run = next) {
		next = LIST_NEXT(run, link);
		if (run->va < va + len && va < run->va + run->len)
			unmap_within(run, va, len);
	}
	pthread_mutex_unlock(&lock);
}

void plx_eal_runs_start(struct plx_ioas *ioas)
{
	pthread_mutex_lock(&lock);
	space = ioas;
	pthread_mutex_unlock(&lock);
}

int plx_eal_runs_stop(void)
{
	struct run *run;
	int err;

	pthread_mutex_lock(&lock);
	err = plx_ioas_destroy(space);
	if (err != -EBUSY) {
		space = NULL;
		while ((run = LIST_FIRST(&runs))) {
			LIST_REMOVE(run, link);
			free(run);
		}
	}
	pthread_mutex_unlock(&lock);
	return err;
}

const struct plx_xlate *plx_eal_xlate(void)
{
	const struct plx_xlate *xlate;

	pthread_mutex_lock(&lock);
	xlate = space ? plx_ioas_xlate(space) : NULL;
	pthread_mutex_unlock(&lock);
	return xlate;
}
