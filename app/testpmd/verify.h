/* SPDX-License-Identifier: BSD-3-Clause */
/* What the verify engine found out. */
#ifndef TESTPMD_VERIFY_H
#define TESTPMD_VERIFY_H

#include <stdint.h>

struct stream;

struct verify_result {
	uint64_t sent;
	uint64_t intact;     /* came back, as they were */
	uint64_t lost;	     /* didn't come back in time */
	uint64_t damaged;    /* came back with other contents or another length */
	uint64_t duplicated; /* came back again, or after they were given up */
	uint64_t reordered;  /* intact, but before one sent earlier */
	uint64_t in_flight;  /* under way when forwarding ended */
};

/* The result of a stream whose engine is verify. */
const struct verify_result *verify_result(const struct stream *s);

#endif
