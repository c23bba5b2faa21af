/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "sigbus.h"

static atomic_flag busy = ATOMIC_FLAG_INIT;
static struct plx_sigbus_guard *all;
static struct sigaction before;

void plx_sigbus_lock(void)
{
	while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
		sched_yield();
}

void plx_sigbus_unlock(void)
{
	atomic_flag_clear_explicit(&busy, memory_order_release);
}

static bool fill(struct plx_sigbus_guard *guard, uintptr_t at)
{
	struct plx_sigbus_hole hole;

	if (!guard->find(guard, at, &hole) ||
	    mmap(hole.start, hole.len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return false;
	if (hole.ones)
		memset(hole.start, 0xff, hole.len);
	__atomic_store_n(&guard->faulted, true, __ATOMIC_RELAXED);
	if (guard->filled)
		guard->filled(guard);
	return true;
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
	const int err = errno;
	struct plx_sigbus_guard *guard;
	bool filled = false;

	plx_sigbus_lock();
	for (guard = all; guard && !filled; guard = guard->next)
		filled = fill(guard, (uintptr_t)info->si_addr);
	plx_sigbus_unlock();
	errno = err;
	if (!filled)
		pass_on(sig, info, context);
}

static bool is_ours(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_sigbus;
}

/* Somebody may have put another handler there since the last guard joined. */
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

void plx_sigbus_join(struct plx_sigbus_guard *guard)
{
	plx_sigbus_lock();
	guard->faulted = false;
	guard->next = all;
	all = guard;
	install();
	plx_sigbus_unlock();
}

void plx_sigbus_leave(struct plx_sigbus_guard *guard)
{
	struct plx_sigbus_guard **link;

	plx_sigbus_lock();
	for (link = &all; *link != guard; link = &(*link)->next)
		;
	*link = guard->next;
	if (!all)
		uninstall();
	plx_sigbus_unlock();
}
