/* SPDX-License-Identifier: BSD-3-Clause */
/* What users see: the overview at the start, figures on the way, tables or JSON at the end. */
#ifndef TESTPMD_REPORT_H
#define TESTPMD_REPORT_H

#include <stdio.h>

#include "ports.h"
#include "streams.h"
#include "verify.h"

/* One forwarding run, as all the reports take it. */
struct run {
	const struct options *opts;
	const struct ports *ports;
	const struct streams *streams;
	const struct plx_policy *policy;
	double seconds; /* that forwarding took */
};

void report_start(FILE *out, const struct run *run);

/* --stats-period: counters so far and rates since the last call. */
struct period {
	uint64_t rx[PLX_MAX_ETHPORTS], tx[PLX_MAX_ETHPORTS];
};
void report_period(FILE *out, const struct run *run, struct period *last, double seconds);

void report_end(FILE *out, const struct run *run);

/* The same as one JSON object, on one line. */
void report_json(FILE *out, const struct run *run);

/* The sums that both endings print. */
struct totals {
	uint64_t rx_packets, tx_packets, tx_dropped, cycles;
};
void report_totals(const struct streams *streams, struct totals *totals);

uint64_t report_dropped(const struct streams *streams, uint16_t port);

/* Whether a verify stream found something wrong. */
bool report_verify_failed(const struct streams *streams);

/* What cycles are divided by, and its name: packets received, or sent where none are received. */
uint64_t report_cycle_packets(const struct run *run, const struct totals *totals);
const char *report_mode(const struct run *run);

#endif
