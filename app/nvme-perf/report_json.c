/* SPDX-License-Identifier: BSD-3-Clause */
/* For machines: one JSON object, or lines of comma-separated values. */
#include <inttypes.h>
#include <stdlib.h>

#include "report.h"

/* What a controller calls itself is printable ASCII, but may have quotes in it. */
static void json_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "\"%s\":\"", key);
	for (; *text; text++)
		fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	fprintf(out, "\",");
}

static void json_figures(FILE *out, const struct run *run, const struct figures *f)
{
	fprintf(out,
		"\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"retries\":%" PRIu64
		",\"timeouts\":%" PRIu64 ",\"recoveries\":%" PRIu64
		",\"seconds\":%.6f,\"iops\":%.3f,\"mib_per_s\":%.3f,\"latency_us\":{\"avg\":%.3f,"
		"\"min\":%.3f,\"max\":%.3f",
		f->requests, f->errors, f->retries, f->timeouts, f->recoveries, f->seconds, f->iops,
		f->mib, f->avg, f->min, f->max);
	for (unsigned i = 0; report_percentiles[i] > 0; i++)
		fprintf(out, ",\"p%g\":%.3f", report_percentiles[i],
			report_us(run, hist_percentile(f->hist, report_percentiles[i] / 100)));
	fprintf(out, "}");
}

static void json_job(FILE *out, const struct run *run, const struct job *job)
{
	const struct plx_nvme_ctrl_info *info = plx_nvme_ctrl_info(job->ctrl);
	struct plx_nvme_qpair_stats stats;
	struct figures f;

	plx_nvme_qpair_stats(job->qpair, &stats);
	report_figures(run, job, &f);
	fprintf(out, "{");
	json_text(out, "device", info->name);
	json_text(out, "model", info->model);
	json_text(out, "serial", info->serial);
	json_text(out, "access_mode", job->mode);
	fprintf(out, "\"nsid\":%u,\"block_size\":%u,\"core\":%u,\"queue\":%u,", job->info.nsid,
		job->info.block_size, job->core, plx_nvme_qpair_id(job->qpair));
	if (job->first_status)
		json_text(out, "first_error", plx_nvme_status_name(job->first_status));
	fprintf(out,
		"\"blocks_checked\":%" PRIu64 ",\"blocks_wrong\":%" PRIu64 ",\"doorbells\":%" PRIu64
		",",
		job->checked, job->bad, stats.doorbells);
	json_figures(out, run, &f);
	fprintf(out, "}");
}

void report_json(FILE *out, const struct run *run)
{
	struct hist *merged = malloc(sizeof(*merged));
	unsigned w = 0, j = 0;
	const struct job *job;
	struct figures f;
	char text[32];
	bool first = true;

	if (!merged)
		return;
	fprintf(out, "{");
	json_text(out, "workload", options_workload(run->opts, text));
	json_text(out, "addresses", plx_addr_policy_name(run->session->policy.addr));
	fprintf(out,
		"\"io_size\":%" PRIu64 ",\"depth\":%u,\"read_percent\":%u,\"resets\":%" PRIu64
		",\"interrupted\":%s,\"jobs\":[",
		run->opts->io_size, run->opts->depth, run->opts->reads, run->resets,
		run->signal ? "true" : "false");
	while ((job = report_next(run, &w, &j))) {
		fprintf(out, first ? "" : ",");
		json_job(out, run, job);
		first = false;
	}
	report_total(run, merged, &f);
	fprintf(out, "],\"total\":{");
	json_figures(out, run, &f);
	fprintf(out, "}");
	if (run->opts->verify)
		fprintf(out, ",\"blocks_wrong\":%" PRIu64, report_bad(run));
	fprintf(out, "}\n");
	fflush(out);
	free(merged);
}

void report_csv(FILE *out, const struct run *run)
{
	unsigned w = 0, j = 0;
	const struct job *job;
	char text[32];

	fprintf(out, "device,nsid,core,workload,io_size,depth,requests,errors,iops,mib_per_s,"
		     "avg_us,min_us,max_us");
	for (unsigned i = 0; report_percentiles[i] > 0; i++)
		fprintf(out, ",p%g_us", report_percentiles[i]);
	fprintf(out, "\n");
	while ((job = report_next(run, &w, &j))) {
		struct figures f;

		report_figures(run, job, &f);
		fprintf(out,
			"%s,%u,%u,%s,%" PRIu64 ",%u,%" PRIu64 ",%" PRIu64
			",%.3f,%.3f,%.3f,%.3f,%.3f",
			plx_nvme_ctrl_info(job->ctrl)->name, job->info.nsid, job->core,
			options_workload(run->opts, text), run->opts->io_size, run->opts->depth,
			f.requests, f.errors, f.iops, f.mib, f.avg, f.min, f.max);
		for (unsigned i = 0; report_percentiles[i] > 0; i++)
			fprintf(out, ",%.3f",
				report_us(run,
					  hist_percentile(f.hist, report_percentiles[i] / 100)));
		fprintf(out, "\n");
	}
	fflush(out);
}
