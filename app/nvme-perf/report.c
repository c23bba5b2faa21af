/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures, and the table that people know from spdk_nvme_perf. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "report.h"

#define MIB 1048576.0

const double report_percentiles[] = { 1,  10,	25,   50,    75,    90,	    95,	    98,
				      99, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999, 0 };

double report_us(const struct run *run, uint64_t ticks)
{
	return (double)ticks / run->ticks_per_us;
}

const struct job *report_next(const struct run *run, unsigned *worker, unsigned *job)
{
	while (*worker < run->workers && *job == run->worker[*worker].jobs) {
		++*worker;
		*job = 0;
	}
	return *worker < run->workers ? &run->worker[*worker].job[(*job)++] : NULL;
}

static void set_latency(const struct run *run, const struct hist *h, struct figures *f)
{
	f->hist = h;
	f->requests = h->count;
	f->avg = h->count ? report_us(run, h->sum) / (double)h->count : 0;
	f->min = h->count ? report_us(run, h->min) : 0;
	f->max = report_us(run, h->max);
}

void report_figures(const struct run *run, const struct job *job, struct figures *f)
{
	struct plx_nvme_qpair_stats stats;

	plx_nvme_qpair_stats(job->qpair, &stats);
	*f = (struct figures){ .seconds = job->seconds,
			       .errors = job->errors,
			       .retries = stats.retries,
			       .timeouts = stats.timeouts,
			       .recoveries = stats.resets };
	set_latency(run, &job->hist, f);
	f->iops = job->seconds > 0 ? (double)f->requests / job->seconds : 0;
	f->mib = f->iops * (double)run->opts->io_size / MIB;
}

void report_total(const struct run *run, struct hist *merged, struct figures *f)
{
	unsigned w = 0, j = 0;
	const struct job *job;

	*f = (struct figures){ 0 };
	hist_init(merged);
	while ((job = report_next(run, &w, &j))) {
		struct figures one;

		report_figures(run, job, &one);
		hist_merge(merged, &job->hist);
		f->iops += one.iops;
		f->mib += one.mib;
		f->errors += one.errors;
		f->retries += one.retries;
		f->timeouts += one.timeouts;
		f->recoveries += one.recoveries;
		f->seconds = one.seconds > f->seconds ? one.seconds : f->seconds;
	}
	set_latency(run, merged, f);
}

uint64_t report_errors(const struct run *run)
{
	unsigned w = 0, j = 0;
	const struct job *job;
	uint64_t sum = 0;

	while ((job = report_next(run, &w, &j)))
		sum += job->errors;
	return sum;
}

uint64_t report_bad(const struct run *run)
{
	unsigned w = 0, j = 0;
	const struct job *job;
	uint64_t sum = 0;

	while ((job = report_next(run, &w, &j)))
		sum += job->bad;
	return sum;
}

const char *report_trouble(const struct figures *f, char text[REPORT_TROUBLE_LEN])
{
	if (!f->retries && !f->timeouts && !f->recoveries)
		return NULL;
	snprintf(text, REPORT_TROUBLE_LEN,
		 "Retries: %" PRIu64 ", timeouts: %" PRIu64 ", recoveries: %" PRIu64, f->retries,
		 f->timeouts, f->recoveries);
	return text;
}

/* Over itself on a terminal. */
void report_progress(const struct run *run, double elapsed, double iops)
{
	if (run->opts->quiet)
		return;
	fprintf(stderr, "%s%5.0f s of %" PRIu64 "  %12.2f IOPS  %10.2f MiB/s%s",
		isatty(STDERR_FILENO) ? "\r" : "", elapsed, run->opts->seconds, iops,
		iops * (double)run->opts->io_size / MIB, isatty(STDERR_FILENO) ? "" : "\n");
	fflush(stderr);
}

void report_waiting(const struct run *run, uint64_t requests)
{
	if (!run->opts->quiet)
		fprintf(stderr, "%swaiting for %" PRIu64 " request%s\n",
			isatty(STDERR_FILENO) ? "\n" : "", requests, requests == 1 ? "" : "s");
}

static void line(FILE *out, const char *name, const struct figures *f)
{
	fprintf(out, "%-51s: %10.2f %10.2f %10.2f %10.2f %10.2f\n", name, f->iops, f->mib, f->avg,
		f->min, f->max);
}

static const char *job_name(const struct job *job, char text[96])
{
	snprintf(text, 96, "PCIE (%s) NSID %u from core %2u", plx_nvme_ctrl_info(job->ctrl)->name,
		 job->info.nsid, job->core);
	return text;
}

static void verdict(FILE *out, const struct run *run)
{
	unsigned w = 0, j = 0;
	const struct job *job;
	uint64_t checked = 0;
	char name[96];

	while ((job = report_next(run, &w, &j))) {
		checked += job->checked;
		if (job->errors)
			fprintf(out, "%s: %" PRIu64 " requests failed; the first: %s\n",
				job_name(job, name), job->errors,
				job->first_status ? plx_nvme_status_name(job->first_status)
						  : "see above");
	}
	if (run->signal)
		fprintf(out, "Interrupted after %.1f s of %" PRIu64 "%s\n", run->seconds,
			run->opts->seconds,
			run->opts->verify ? ": not everything was read back" : "");
	if (run->resets)
		fprintf(out, "Controllers were reset %" PRIu64 " times\n", run->resets);
	if (run->opts->verify)
		fprintf(out, "Verified: %" PRIu64 " blocks, %" PRIu64 " wrong\n", checked,
			report_bad(run));
}

void report_table(FILE *out, const struct run *run)
{
	struct hist *merged = malloc(sizeof(*merged));
	unsigned w = 0, j = 0;
	const struct job *job;
	struct figures f;
	char name[96], trouble[REPORT_TROUBLE_LEN];

	if (!run->opts->quiet && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	fprintf(out, "========================================================\n");
	fprintf(out, "%74s%s\n", "", "Latency(us)");
	fprintf(out, "%-51s: %10s %10s %10s %10s %10s\n", "Device Information", "IOPS", "MiB/s",
		"Average", "min", "max");
	while ((job = report_next(run, &w, &j))) {
		report_figures(run, job, &f);
		line(out, job_name(job, name), &f);
	}
	if (merged) {
		report_total(run, merged, &f);
		fprintf(out, "========================================================\n");
		line(out, "Total", &f);
		if (report_trouble(&f, trouble))
			fprintf(out, "%s\n", trouble);
	}
	free(merged);
	verdict(out, run);
	fprintf(out, "\n");
}

static void percentiles(FILE *out, const struct run *run, const struct job *job)
{
	char name[96];

	fprintf(out, "Summary latency data for %s:\n", job_name(job, name));
	fprintf(out,
		"=================================================================================\n");
	for (unsigned i = 0; report_percentiles[i] > 0; i++)
		fprintf(out, "%9.5f%% : %9.3fus\n", report_percentiles[i],
			report_us(run, hist_percentile(&job->hist, report_percentiles[i] / 100)));
	fprintf(out, "\n");
}

static void histogram(FILE *out, const struct run *run, const struct job *job)
{
	uint64_t sum = 0, low = 0;
	char name[96];

	fprintf(out, "Latency histogram for %s:\n", job_name(job, name));
	fprintf(out,
		"==============================================================================\n");
	fprintf(out, "       Range in us     Cumulative    IO count\n");
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		uint64_t top = hist_top(i);

		if (job->hist.bucket[i]) {
			sum += job->hist.bucket[i];
			fprintf(out, "%9.3f - %9.3f: %9.4f%%  (%9" PRIu64 ")\n",
				report_us(run, low), report_us(run, top),
				100.0 * (double)sum / (double)job->hist.count, job->hist.bucket[i]);
		}
		low = top;
	}
	fprintf(out, "\n");
}

void report_latency(FILE *out, const struct run *run)
{
	unsigned w = 0, j = 0;
	const struct job *job;

	while ((job = report_next(run, &w, &j))) {
		if (run->opts->latency)
			percentiles(out, run, job);
		if (run->opts->latency > 1)
			histogram(out, run, job);
	}
}
