/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --verify: what each place holds is known, for each has one writer, this job, and one request at a
 * time.
 */
#include <errno.h>
#include <stdlib.h>

#include <pollux/log.h>

#include "pattern.h"
#include "worker.h"

#define COMPLAINTS_MAX 10

int verify_init(struct job *job)
{
	job->version = calloc(job->slots, sizeof(*job->version));
	job->known = calloc(job->slots, 1);
	job->busy = calloc(job->slots, 1);
	return job->version && job->known && job->busy ? 0 : -ENOMEM;
}

bool verify_choose(struct job *job, struct request *r)
{
	for (uint64_t tries = 0; tries < job->slots; tries++) {
		if (!job->busy[r->slot]) {
			job->busy[r->slot] = 1;
			return true;
		}
		r->slot = r->slot + 1 == job->slots ? 0 : r->slot + 1;
	}
	return false;
}

static uint8_t *block_of(const struct job *job, const struct request *r, uint32_t i)
{
	uint32_t unit = job->io_flags & PLX_NVME_PRACT ? job->info.block_size : job->info.unit;

	return r->buf + (size_t)i * unit;
}

static struct pattern pattern_of(const struct job *job, const struct request *r, uint32_t i)
{
	return (struct pattern){ .lba = job->first_lba + r->slot * job->blocks + i,
				 .nsid = job->info.nsid,
				 .version = job->version[r->slot],
				 .run = job->run };
}

void verify_prepare(struct job *job, struct request *r)
{
	if (!r->write)
		return;
	job->version[r->slot]++;
	for (uint32_t i = 0; i < job->blocks; i++) {
		const struct pattern p = pattern_of(job, r, i);

		pattern_fill(block_of(job, r, i), job->info.block_size, &p);
	}
}

void verify_undo(struct job *job, const struct request *r)
{
	job->busy[r->slot] = 0;
	if (r->write)
		job->version[r->slot]--;
}

static void check(struct job *job, const struct request *r)
{
	for (uint32_t i = 0; i < job->blocks; i++) {
		const struct pattern p = pattern_of(job, r, i);
		const char *wrong = pattern_check(block_of(job, r, i), job->info.block_size, &p);

		job->checked++;
		if (!wrong)
			continue;
		if (job->bad++ < COMPLAINTS_MAX)
			plx_err("%s namespace %u: block %llu has %s",
				plx_nvme_ctrl_info(job->ctrl)->name, p.nsid,
				(unsigned long long)p.lba, wrong);
	}
}

void verify_done(struct job *job, struct request *r, uint16_t status)
{
	job->busy[r->slot] = 0;
	/*
	 * Half of a write that failed may be there: nothing can be said until the next one, whose
	 * version is a new one all the same.
	 */
	if (r->write)
		job->known[r->slot] = !status;
	else if (!status && job->known[r->slot])
		check(job, r);
}
