/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PERF_OPTIONS_H
#define PERF_OPTIONS_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CORES_MAX CPU_SETSIZE
#define MIX_NONE  UINT32_MAX

struct options {
	uint32_t depth;	  /* -q */
	uint64_t io_size; /* -o, bytes */
	bool random;	  /* -w */
	unsigned reads;	  /* of a hundred */
	uint32_t mix;	  /* -M: reads, if -w says rw or randrw; MIX_NONE: not said */
	uint64_t seconds; /* -t */
	uint64_t warmup;  /* seconds */
	uint64_t ios;	  /* of each queue pair; 0: no limit */
	unsigned core[CORES_MAX], cores; /* -c */
	uint32_t queues;		 /* -P: of each namespace and core */
	unsigned latency;		 /* -L: 1, -LL: 2 */
	uint32_t nsid;			 /* only this; 0: all */
	uint64_t range;			 /* bytes of each namespace; 0: all of it */
	uint64_t offset;		 /* of buffers, in a page */
	uint64_t seed;			 /* of random places */
	uint64_t reset_ms;		 /* reset the controllers that often; 0: never */
	uint32_t timeout_ms; /* a request that takes longer is aborted; 0: the driver's default */
	bool verify, irq;
	bool json, csv, quiet;
	const char *html;
};

/*
 * Turns -r "trtype:PCIe traddr:ADDRESS [ns:N]" into what the bus reads, -a ADDRESS, in place: argv
 * has as many words as before. To be called before the bus has had its options.
 */
int options_transport(int argc, char **argv, struct options *opts);

/* Parses argv[1..]: 0, or -EINVAL and one line logged. Keeps pointers into argv. */
int options_parse(int argc, char **argv, struct options *opts);

const char *options_workload(const struct options *opts, char text[32]);

void usage(FILE *out);

#endif
