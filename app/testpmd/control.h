/* SPDX-License-Identifier: BSD-3-Clause */
/* Ending, by a signal or a limit reached, and being woken for what happens meanwhile. */
#ifndef TESTPMD_CONTROL_H
#define TESTPMD_CONTROL_H

#include <stdbool.h>

extern int control_stop_wanted;

/* From now on SIGINT and SIGTERM end the program in good order; a second one ends it at once. */
int control_init(void);
void control_cleanup(void);

/* Asks for the end. Any thread, signal handlers too. */
void control_stop(void);

/* Ends a control_sleep() early. Any thread. */
void control_wake(void);

/* The same whenever the descriptor is readable; -1: no descriptor. */
void control_watch(int fd);

static inline bool control_stopping(void)
{
	return __atomic_load_n(&control_stop_wanted, __ATOMIC_RELAXED);
}

/* Sleeps until woken, or the time is over. Returns whether the end is asked for. One thread. */
bool control_sleep(int milliseconds);

#endif
