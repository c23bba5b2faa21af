/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What plx-nvme-perf and the driver add to a 4 KiB random read at depth 1: from the look that sees
 * the completion to the write of the next doorbell, which is one turn of the loop. Over a
 * controller of memory, that has answered before. Prints the median in nanoseconds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "nvme_fake.h"
#include "worker.h"

#define BLOCKS	 (4096u / 512)
#define REQUESTS 200000u

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void set_up(struct job *job, struct request *request)
{
	const struct plx_nvme_qpair_opts opts = { .depth = 1 };
	struct plx_nvme_ctrl *ctrl;

	fake_init();
	ctrl = fake_plug("");
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &job->qpair), 0);
	job->ns = plx_nvme_ns_get(ctrl, 1);
	job->random = 1;
	job->in_random_order = true;
	job->slots = FAKE_BLOCKS / BLOCKS;
	job->blocks = BLOCKS;
	job->reads = UINT32_MAX;
	job->stage = STAGE_RUN;
	job->plain = true;
	job->left = REQUESTS;
	job->parked = request;
	job_set_done(job);
	hist_init(&job->hist);
	*request = (struct request){ .job = job, .buf = fake_buffer(4096) };
}

int main(void)
{
	struct job *job = calloc(1, sizeof(*job));
	struct hist *turns = malloc(sizeof(*turns));
	struct request request;
	double begin_ns;
	uint64_t begin;

	if (!job || !turns)
		return 1;
	set_up(job, &request);
	hist_init(turns);
	begin_ns = now_ns();
	begin = ticks();
	while (job->hist.count < REQUESTS) {
		uint64_t before = ticks();

		job_poll(job);
		hist_add(turns, ticks() - before);
		plx_nvme_kick(job->qpair); /* the first one */
		fake_run();
	}
	printf("%.1f\n", (double)hist_percentile(turns, .5) * (now_ns() - begin_ns) /
				 (double)(ticks() - begin));
	plx_nvme_qpair_destroy(job->qpair);
	fake_unplug();
	free(turns);
	free(job);
	return 0;
}
