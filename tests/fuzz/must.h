/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fuzzer checks: like assert(), in every build. */
#ifndef FUZZ_MUST_H
#define FUZZ_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(holds)                                                         \
	do {                                                                \
		if (!(holds)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #holds); \
			abort();                                            \
		}                                                           \
	} while (0)

#endif
