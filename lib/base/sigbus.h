/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that goes away while it is mapped: a file that its other owner makes shorter, or a BAR
 * whose decoding was turned off. Touching it raises SIGBUS. The handler puts other memory where the
 * hole is, so that who touched it goes on, and marks the guard; its owner finds that out when it
 * looks next. A SIGBUS anywhere else goes to who had it before.
 *
 * The handler is put in place by the first guard, and taken away by the last one. It asks all
 * guards, whichever thread they belong to: changes to what a guard's find() looks at happen under a
 * lock that the handler takes, too. Nobody touches guarded memory while holding it, so the handler
 * never waits for its own thread.
 */
#ifndef PLX_SIGBUS_H
#define PLX_SIGBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole pages to be replaced: by zeroes, or by ones, as reads from a bus with nobody there. */
struct plx_sigbus_hole {
	void *start;
	size_t len;
	bool ones;
};

struct plx_sigbus_guard {
	/* Whether the address is yours, and then what is to be replaced. Runs in the handler. */
	bool (*find)(const struct plx_sigbus_guard *guard, uintptr_t at,
		     struct plx_sigbus_hole *hole);
	/* It was. Runs in the handler; may be NULL. */
	void (*filled)(struct plx_sigbus_guard *guard);
	bool faulted; /* set by the handler: atomic */
	struct plx_sigbus_guard *next;
};

void plx_sigbus_join(struct plx_sigbus_guard *guard);
void plx_sigbus_leave(struct plx_sigbus_guard *guard);
void plx_sigbus_lock(void);
void plx_sigbus_unlock(void);

static inline bool plx_sigbus_faulted(const struct plx_sigbus_guard *guard)
{
	return __atomic_load_n(&guard->faulted, __ATOMIC_RELAXED);
}

#endif
