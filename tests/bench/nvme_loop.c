/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The instructions of plx-nvme-perf for each 4 KiB random read: its own and the driver's,
 * submission and completion, counted by callgrind between the calls of job_poll(). The controller
 * is one of memory, whose work isn't counted.
 *
 *      nvme-loop DEPTH REQUESTS
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nvme_fake.h"
#include "worker.h"

#define IO_SIZE 4096u

int main(int argc, char **argv)
{
	uint32_t depth = argc > 1 ? (uint32_t)atoi(argv[1]) : 32;
	uint64_t requests = argc > 2 ? (uint64_t)atoll(argv[2]) : 10000;
	const struct plx_nvme_qpair_opts opts = { .depth = depth };
	struct job *job = calloc(1, sizeof(*job));
	struct plx_nvme_ctrl *ctrl;
	uint8_t *buf;

	fake_init();
	fake.conf.mqes = 1023;
	ctrl = fake_plug("");
	if (!job || plx_nvme_qpair_create(ctrl, &opts, &job->qpair))
		return 1;
	buf = fake_buffer((size_t)depth * IO_SIZE);
	job->ns = plx_nvme_ns_get(ctrl, 1);
	job->in_random_order = true;
	job->slots = FAKE_BLOCKS / (IO_SIZE / 512);
	job->blocks = IO_SIZE / 512;
	job->reads = UINT32_MAX;
	job->stage = STAGE_RUN;
	job->plain = true;
	job->random = 1;
	job_set_done(job);
	job->left = requests;
	job->requests = calloc(depth, sizeof(*job->requests));
	if (!job->requests)
		return 1;
	hist_init(&job->hist);
	for (uint32_t i = 0; i < depth; i++) {
		job->requests[i] = (struct request){ .job = job,
						     .buf = buf + (size_t)i * IO_SIZE,
						     .next_parked = job->parked };
		job->parked = &job->requests[i];
	}
	while (job->hist.count < requests) {
		job_poll(job);
		plx_nvme_kick(job->qpair);
		fake_run();
	}
	printf("%llu\n", (unsigned long long)job->hist.count);
	plx_nvme_qpair_destroy(job->qpair);
	fake_unplug();
	free(job->requests);
	free(job);
	return 0;
}
