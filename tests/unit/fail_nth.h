/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fail each system call in turn.
 *
 * A scenario is run once to count its calls through the seam; then, for every call and every errno
 * that this call can give, with that one call failing; then with that call and all after it
 * failing. After each run nothing may be left behind, and a scenario that failed must have said
 * why.
 *
 *      static int scenario(void *arg) { ... return 0 or -errno; }
 *      fail_nth("cdev", scenario, arg, fake_leaks);
 *
 * It stands in front of whatever `plx_sys` is: the fake kernel, or the real one.
 */
#ifndef FAIL_NTH_H
#define FAIL_NTH_H

#include <stdbool.h>

#include "sys.h"

struct fail_nth_result {
	unsigned calls;	   /* of the scenario when nothing fails */
	unsigned runs;	   /* with one call failing */
	unsigned survived; /* of these, those that succeeded all the same */
};

/*
 * leaks() counts what is left behind after a run, and says it on stderr. logged() tells whether an
 * error line was logged since the last call of it; NULL: don't care. Fails the running cmocka test
 * on the first bad run, naming the call and the errno.
 */
struct fail_nth_result fail_nth(const char *name, int (*scenario)(void *arg), void *arg,
				int (*leaks)(void), bool (*logged)(void));

/*
 * From now on a scenario must fail with the errno of the call, or with one that stands for it here:
 * of the call by its name in fail_nth.c, of an ioctl by its request, with what in its path (NULL:
 * any), failing with err (0: any). The list ends with a call of NULL; a list of NULL takes
 * everything.
 */
struct fail_nth_other {
	const char *call;
	unsigned long request;
	const char *what;
	int err, ret;
};

void fail_nth_expect(const struct fail_nth_other *others);

/* For scenarios: whether all calls from one on fail, so that no roll-back can succeed. */
bool fail_nth_for_good(void);

/* For scenarios: the calls up to here are left alone, since another sweep has had them. */
void fail_nth_from_here(void);

#endif
