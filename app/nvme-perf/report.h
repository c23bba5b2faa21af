/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include <stdio.h>

#include "worker.h"

/* What one line of the table says: a job's figures, or those of all. */
struct figures {
	double seconds;
	double iops, mib;
	double avg, min, max; /* us */
	uint64_t requests, errors;
	/* What the driver did about trouble: sent again, found late, made queue pairs again. */
	uint64_t retries, timeouts, recoveries;
	const struct hist *hist;
};

void report_figures(const struct run *run, const struct job *job, struct figures *f);

/*
 * Of all jobs: their requests and rates, and the time that the longest took, to its last request.
 * merged is where their histograms are put together.
 */
void report_total(const struct run *run, struct hist *merged, struct figures *f);

double report_us(const struct run *run, uint64_t ticks);

/* The percentiles that are printed, ended by 0. */
extern const double report_percentiles[];

/* What of it wasn't nothing, in words; or NULL. */
#define REPORT_TROUBLE_LEN 96
const char *report_trouble(const struct figures *f, char text[REPORT_TROUBLE_LEN]);

void report_progress(const struct run *run, double elapsed, double iops); /* lately */
void report_waiting(const struct run *run, uint64_t requests);		  /* at the end */
void report_table(FILE *out, const struct run *run);
void report_latency(FILE *out, const struct run *run);
void report_json(FILE *out, const struct run *run);
void report_csv(FILE *out, const struct run *run);

/* The page: 0, or -errno and one line logged. */
int report_html(FILE *out, const struct run *run);

/* Requests that failed, and blocks that were wrong, in all. */
uint64_t report_errors(const struct run *run);
uint64_t report_bad(const struct run *run);

/* Each job in turn: *worker and *job from 0; NULL after the last. */
const struct job *report_next(const struct run *run, unsigned *worker, unsigned *job);

#endif
