/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>

#include <pollux/log.h>

#include "options.h"

int option_wrong(const char *option, const char *value, const char *wanted)
{
	plx_err("--%s %s: %s is wanted", option, value, wanted);
	return -EINVAL;
}

int option_number(const char *option, unsigned min, unsigned max, unsigned *value)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(optarg, &end, 10);
	if (*optarg < '0' || *optarg > '9' || errno || *end || n < min || n > max) {
		plx_err("--%s %s: a number from %u to %u is wanted", option, optarg, min, max);
		return -EINVAL;
	}
	*value = (unsigned)n;
	return 0;
}

int option_cpu(int *cpu)
{
	unsigned n = 0;
	int err = option_number("cpu", 0, CPU_SETSIZE - 1, &n);

	*cpu = (int)n;
	return err;
}
