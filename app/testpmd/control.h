/* SPDX-License-Identifier: BSD-3-Clause */
/* Ending: by a signal, a limit reached, or something that went wrong while forwarding. */
#ifndef TESTPMD_CONTROL_H
#define TESTPMD_CONTROL_H

#include <stdbool.h>

extern int control_stop_wanted;

/* From now on SIGINT and SIGTERM end the program in good order; a second one ends it at once. */
int control_init(void);
void control_cleanup(void);

/* Asks for the end. Any thread, signal handlers too. */
void control_stop(void);

/* The same, and the process is to exit with EXIT_RUNTIME. */
void control_fail(void);
bool control_failed(void);

static inline bool control_stopping(void)
{
	return __atomic_load_n(&control_stop_wanted, __ATOMIC_RELAXED);
}

/* Sleeps until the end is asked for or the time is over. Returns which: true, the end.
 */
bool control_sleep(int milliseconds);

#endif
