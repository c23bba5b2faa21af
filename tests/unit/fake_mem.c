/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical addresses and arenas of the fake kernel. Programs linked with
 * -Wl,--wrap=plx_phys,--wrap=plx_phys_run,--wrap=plx_arena_create,--wrap=plx_arena_destroy get
 * these in place of lib/mem's, so their result depends neither on hugepages nor on privilege.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pollux/log.h>
#include <pollux/mem.h>

#include "fake_kernel.h"

#define ARENA_MAX (1u << 30) /* more than any test needs */

int __wrap_plx_phys(const void *va, uint64_t *phys);
int __wrap_plx_phys_run(const void *va, size_t len, size_t page_size, uint64_t *phys, size_t *run);
int __wrap_plx_arena_create(const struct plx_arena_opts *opts, struct plx_arena **arena);
void __wrap_plx_arena_destroy(struct plx_arena *arena);

static uint64_t page_phys(uint64_t va)
{
	uint64_t frame = va >> 21;

	if (fake.phys)
		return fake.phys(va);
	/* Frames far from each other, below 2^39, never at 0. */
	return ((frame * 0x9e3779b1u) % 0x1ffff + 1) << 22 | (va & 0x1fffff);
}

uint64_t fake_phys(uint64_t va, uint64_t len, uint64_t *run)
{
	uint64_t phys = page_phys(va & ~(uint64_t)(FAKE_PAGE - 1)) + va % FAKE_PAGE, at;

	for (at = FAKE_PAGE - va % FAKE_PAGE; at < len && page_phys(va + at) == phys + at;)
		at += FAKE_PAGE;
	*run = at < len ? at : len;
	return phys;
}

int __wrap_plx_phys(const void *va, uint64_t *phys)
{
	uint64_t run;

	if (fake.phys_err)
		return fake.phys_err;
	if (!fake.cap_sys_admin)
		return -EPERM;
	*phys = fake_phys((uintptr_t)va, 1, &run);
	return 0;
}

int __wrap_plx_phys_run(const void *va, size_t len, size_t page_size, uint64_t *phys, size_t *run)
{
	uint64_t n;

	(void)page_size;
	if (fake.phys_err)
		return fake.phys_err;
	if (!fake.cap_sys_admin)
		return -EPERM;
	*phys = fake_phys((uintptr_t)va, len, &n);
	*run = n;
	return 0;
}

/* An arena as lib/mem's, of base pages that pass for hugepages. */
static int arena_create(const struct plx_arena_opts *opts, struct plx_arena **arena)
{
	size_t page = opts->page_size ? opts->page_size : 2u << 20;
	struct plx_arena *new;
	char *at, *va;
	int err = -ENOMEM;

	if (opts->len > ARENA_MAX)
		return -ENOMEM;
	new = plx_sys->alloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->len = (opts->len + page - 1) / page *page;
	new->page_size = page;
	new->node = opts->node;
	new->locked = true;
	new->fd = memfd_create("arena", MFD_CLOEXEC);
	if (new->fd < 0 || ftruncate(new->fd, new->len)) {
		err = -errno;
		goto fail;
	}
	/* Twice the size, cut down to an aligned run. */
	at = plx_sys->mmap(NULL, new->len + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		err = -errno;
		goto fail;
	}
	va = (char *)(((uintptr_t)at + page - 1) & ~(uintptr_t)(page - 1));
	if (va > at)
		plx_sys->munmap(at, va - at);
	plx_sys->munmap(va + new->len, at + page - va);
	new->va = plx_sys->mmap(va, new->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				new->fd, 0);
	if (new->va != MAP_FAILED) {
		*arena = new;
		return 0;
	}
	err = -errno;
	plx_sys->munmap(va, new->len);
fail:
	if (new->fd >= 0)
		close(new->fd);
	plx_sys->free(new);
	return err;
}

int __wrap_plx_arena_create(const struct plx_arena_opts *opts, struct plx_arena **arena)
{
	int err = arena_create(opts, arena);

	if (err)
		plx_err("arena of %zu bytes: %s", opts->len, strerror(-err));
	return err;
}

void __wrap_plx_arena_destroy(struct plx_arena *arena)
{
	if (!arena)
		return;
	plx_sys->munmap(arena->va, arena->len);
	close(arena->fd);
	plx_sys->free(arena);
}
