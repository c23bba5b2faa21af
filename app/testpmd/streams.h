/* SPDX-License-Identifier: BSD-3-Clause */
/* Which stream runs on which lcore, and the loop over them. */
#ifndef TESTPMD_STREAMS_H
#define TESTPMD_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_lcore.h>

#include "forward.h"
#include "ports.h"

/* What one lcore does: streams first .. first + count - 1. */
struct lcore {
	struct streams *all;
	unsigned id;
	unsigned first, count;
	uint64_t done __rte_cache_aligned; /* packets of its streams that count for --packets */
} __rte_cache_aligned;

struct streams {
	struct stream **stream;
	unsigned count;
	struct lcore lcore[RTE_MAX_LCORE];
	unsigned lcores;
	uint64_t limit; /* --packets, or 0 */
	const struct options *opts;
};

/*
 * Makes a stream for each receive queue in use and hands them out to the lcores, evenly. -EINVAL:
 * they can't be made as asked (too few lcores, a queue wanted twice); logged.
 */
int streams_create(struct streams *streams, const struct ports *ports, const struct options *opts);
void streams_destroy(struct streams *streams);

/* Starts forwarding on the worker lcores. False: there are none, the caller is to forward. */
bool streams_launch(struct streams *streams);

/* Forwards on the calling lcore, until control_stopping(). */
void streams_forward_here(struct streams *streams);

/*
 * Leads the streams that use a port to another number: PLX_ETH_NOWHERE, so that the port can be
 * stopped, or back. They pause for as long as it takes to say so. False: forwarding ends, and they
 * may be anywhere until streams_join().
 */
bool streams_lead(struct streams *streams, uint16_t port, uint16_t live);

/* Waits for the lcores after control_stop(). */
void streams_join(void);

/* Packets given to a port's queues. */
uint64_t streams_sent(const struct streams *streams, uint16_t port);

#endif
