/* SPDX-License-Identifier: BSD-3-Clause */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "maps.h"
#include "sigbus.h"

static atomic_flag busy = ATOMIC_FLAG_INIT;
static struct vfu_maps *all;
static struct sigaction before;

void plx_vfu_sigbus_lock(void)
{
	while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
		sched_yield();
}

void plx_vfu_sigbus_unlock(void)
{
	atomic_flag_clear_explicit(&busy, memory_order_release);
}

static bool fill_hole(struct vfu_maps *maps, uintptr_t at)
{
	unsigned i;

	for (i = 0; i < maps->count; i++) {
		const struct vfu_map *map = &maps->map[i];
		size_t len = plx_vfu_map_len(map);
		void *start;

		if (!map->va)
			continue;
		start = plx_vfu_map_start(map);
		if (at < (uintptr_t)start || at - (uintptr_t)start >= len)
			continue;
		maps->faulted = true;
		return mmap(start, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			    0) != MAP_FAILED;
	}
	return false;
}

/* As if we weren't there. The default action strikes when the access is made again. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(sig);
	else
		sigaction(sig, &before, NULL);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	struct vfu_maps *maps;
	bool filled = false;

	plx_vfu_sigbus_lock();
	for (maps = all; maps && !filled; maps = maps->next)
		filled = fill_hole(maps, (uintptr_t)info->si_addr);
	plx_vfu_sigbus_unlock();
	if (!filled)
		pass_on(sig, info, context);
}

static bool is_ours(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_sigbus;
}

/* Somebody may have put another handler there since the last server was made. */
static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO }, now;

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, NULL, &now) || is_ours(&now))
		return;
	before = now;
	sigaction(SIGBUS, &action, NULL);
}

static void uninstall(void)
{
	struct sigaction now;

	if (!sigaction(SIGBUS, NULL, &now) && is_ours(&now))
		sigaction(SIGBUS, &before, NULL);
}

void plx_vfu_sigbus_join(struct vfu_maps *maps)
{
	plx_vfu_sigbus_lock();
	maps->next = all;
	all = maps;
	install();
	plx_vfu_sigbus_unlock();
}

void plx_vfu_sigbus_leave(struct vfu_maps *maps)
{
	struct vfu_maps **link;

	plx_vfu_sigbus_lock();
	for (link = &all; *link != maps; link = &(*link)->next)
		;
	*link = maps->next;
	if (!all)
		uninstall();
	plx_vfu_sigbus_unlock();
}
