/* SPDX-License-Identifier: BSD-3-Clause */
/* What the command lines of all kinds of devices have in common. */
#ifndef OPTIONS_H
#define OPTIONS_H

#define IDLE_US_DEFAULT 10000

/* Says what is wanted instead of --option value: -EINVAL. */
int option_wrong(const char *option, const char *value, const char *wanted);

/* The option that getopt_long() has found: a number from min to max. 0, or -EINVAL: said. */
int option_number(const char *option, unsigned min, unsigned max, unsigned *value);

/* Likewise: the number of a CPU. */
int option_cpu(int *cpu);

#endif
