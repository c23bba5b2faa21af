/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop: a completed request is sent again, to another place. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pollux/log.h>

#include "worker.h"

#define NAP_MS 100
#define TURNS  16 /* of polling between looks at the order */

/*
 * Lehmer's generator with Knuth's multiplier: the state is odd. Its high bits choose the place and
 * the low half, whose lowest bits are poor but count least, whether it is a read.
 */
static inline uint64_t next_random(struct job *job)
{
	job->random *= 6364136223846793005u;
	return job->random;
}

static inline uint64_t next_slot(struct job *job, uint64_t random, bool in_random_order)
{
	uint64_t slot;

	if (in_random_order)
		return (uint64_t)(((unsigned __int128)random * job->slots) >> 64);
	slot = job->next_slot;
	job->next_slot = slot + 1 == job->slots ? 0 : slot + 1;
	return slot;
}

static inline bool is_write(const struct job *job, uint64_t random)
{
	return job->reads != UINT32_MAX && (uint32_t)random >= job->reads;
}

/* In order whatever -w says, and only once. */
static uint64_t next_in_stage(struct job *job)
{
	return job->next_slot++;
}

static int send_special(struct job *job, struct request *r)
{
	uint64_t lba = job->first_lba + r->slot * job->blocks;
	const struct plx_nvme_io io = {
		.opcode = r->write ? PLX_NVME_WRITE : PLX_NVME_READ,
		.flags = job->io_flags,
		.lba = lba,
		.blocks = job->blocks,
		.buf = r->buf,
		.meta = r->meta,
		.ref_tag = (uint32_t)lba,
	};

	return plx_nvme_submit(job->qpair, job->ns, &io, job->done, r);
}

static inline __attribute__((always_inline)) int
send_plain(struct job *job, struct request *r, uint64_t slot, plx_nvme_done_fn *done, bool write)
{
	uint64_t lba = job->first_lba + slot * job->blocks;

	return write ? plx_nvme_write(job->qpair, job->ns, r->buf, lba, job->blocks, done, r)
		     : plx_nvme_read(job->qpair, job->ns, r->buf, lba, job->blocks, done, r);
}

static void __attribute__((noinline, cold)) not_sent(struct job *job, struct request *r, int err)
{
	if (job->version)
		verify_undo(job, r);
	r->next_parked = job->parked;
	job->parked = r;
	if (err == -EAGAIN || job->dead)
		return;
	job->dead = true;
	job->left = 0;
	job->errors += !job->errors; /* those in flight have been counted */
	plx_err("%s namespace %u: %s", plx_nvme_ctrl_info(job->ctrl)->name, job->info.nsid,
		strerror(-err));
}

static bool __attribute__((noinline)) send_special_one(struct job *job, struct request *r)
{
	uint64_t random = next_random(job);
	int err;

	if (job->stage == STAGE_RUN) {
		r->slot = next_slot(job, random, job->in_random_order);
		r->write = is_write(job, random);
	} else {
		r->slot = next_in_stage(job);
		r->write = job->stage == STAGE_FILL;
	}
	if (job->version) {
		if (!verify_choose(job, r)) {
			r->next_parked = job->parked;
			job->parked = r;
			return false;
		}
		verify_prepare(job, r);
	}
	err = job->plain ? send_plain(job, r, r->slot, job->done, r->write) : send_special(job, r);
	if (err) {
		/* It will be written again, as another version; in order, from the same place. */
		if (job->stage != STAGE_RUN)
			job->next_slot--;
		not_sent(job, r, err);
		return false;
	}
	job->left--;
	return true;
}

/* The short way: reads, writes, or some of each, and nothing else to know. False: parked. */
static inline __attribute__((always_inline)) bool send_one(struct job *job, struct request *r,
							   plx_nvme_done_fn *self,
							   bool in_random_order, bool mixed)
{
	uint64_t random = in_random_order || mixed ? next_random(job) : 0;
	uint64_t slot = next_slot(job, random, in_random_order);
	int err = send_plain(job, r, slot, self, mixed && is_write(job, random));

	if (unlikely(err)) {
		not_sent(job, r, err);
		return false;
	}
	job->left--;
	return true;
}

static bool send_any(struct job *job, struct request *r)
{
	return job->special ? send_special_one(job, r)
			    : send_one(job, r, job->done, job->in_random_order, true);
}

/* A failure, the end, or more to know than that it is done. */
static void __attribute__((noinline))
done_slow(struct job *job, struct request *r, uint16_t status, uint64_t now)
{
	if (job->stage == STAGE_RUN && !status)
		hist_add(&job->hist, now - r->start);
	if (status && !job->errors++)
		job->first_status = status;
	if (job->version)
		verify_done(job, r, status);
	r->start = now;
	if (!job->left) {
		r->next_parked = job->parked;
		job->parked = r;
		job->in_flight--;
	} else if (!send_any(job, r)) {
		job->in_flight--;
	}
}

/* One body, made for each kind of work. self: the function that it is. */
static inline __attribute__((always_inline)) void done_one(struct request *r, uint16_t status,
							   plx_nvme_done_fn *self,
							   bool in_random_order, bool mixed)
{
	struct job *job = r->job;
	uint64_t now = ticks();

	if (unlikely(status || !job->left)) {
		done_slow(job, r, status, now);
		return;
	}
	hist_add(&job->hist, now - r->start);
	r->start = now;
	if (unlikely(!send_one(job, r, self, in_random_order, mixed)))
		job->in_flight--;
}

static void done_random_read(void *arg, uint16_t status, uint32_t result)
{
	(void)result;
	done_one(arg, status, done_random_read, true, false);
}

static void done_random_mixed(void *arg, uint16_t status, uint32_t result)
{
	(void)result;
	done_one(arg, status, done_random_mixed, true, true);
}

static void done_read(void *arg, uint16_t status, uint32_t result)
{
	(void)result;
	done_one(arg, status, done_read, false, false);
}

static void done_mixed(void *arg, uint16_t status, uint32_t result)
{
	(void)result;
	done_one(arg, status, done_mixed, false, true);
}

static void done_special(void *arg, uint16_t status, uint32_t result)
{
	struct request *r = arg;

	(void)result;
	done_slow(r->job, r, status, ticks());
}

void job_set_done(struct job *job)
{
	bool mixed = job->reads != UINT32_MAX;

	if (job->special)
		job->done = done_special;
	else if (job->in_random_order)
		job->done = mixed ? done_random_mixed : done_random_read;
	else
		job->done = mixed ? done_mixed : done_read;
}

/* Sends what isn't in flight, as far as it goes. */
static void send_parked(struct job *job)
{
	struct request *r = job->parked, *next;

	job->parked = NULL;
	for (; r; r = next) {
		next = r->next_parked;
		if (!job->left) {
			r->next_parked = job->parked;
			job->parked = r;
			continue;
		}
		r->start = ticks();
		job->in_flight += send_any(job, r);
	}
}

static bool job_finished(const struct job *job)
{
	return !job->in_flight && !job->left;
}

/* -EIO and -ENODEV: everything in flight was done with an error. */
static void __attribute__((noinline, cold)) poll_failed(struct job *job, int err)
{
	if (job->dead)
		return;
	job->dead = true;
	job->left = 0;
	job->errors += !job->errors;
	plx_err("%s namespace %u: queue pair %u: %s", plx_nvme_ctrl_info(job->ctrl)->name,
		job->info.nsid, plx_nvme_qpair_id(job->qpair), strerror(-err));
}

void job_poll(struct job *job)
{
	int ret = plx_nvme_poll(job->qpair, 0);

	if (unlikely(ret < 0))
		poll_failed(job, ret);
	else if (unlikely(job->parked && job->left))
		send_parked(job);
}

static void sleep_until_interrupt(const struct worker *w)
{
	struct pollfd fd[QUEUES_A_WORKER];
	uint64_t count;

	for (unsigned i = 0; i < w->jobs; i++) {
		plx_nvme_kick(w->job[i].qpair);
		fd[i] = (struct pollfd){ .fd = plx_nvme_qpair_fd(w->job[i].qpair),
					 .events = POLLIN };
	}
	if (poll(fd, w->jobs, NAP_MS) <= 0)
		return;
	for (unsigned i = 0; i < w->jobs; i++)
		if (fd[i].revents & POLLIN && read(fd[i].fd, &count, sizeof(count)) < 0)
			fd[i].revents = 0; /* drained by nobody else: nothing was there */
}

static int order(const struct run *run)
{
	return __atomic_load_n(&run->order, __ATOMIC_RELAXED);
}

static bool all_finished(const struct worker *w)
{
	for (unsigned i = 0; i < w->jobs; i++)
		if (!job_finished(&w->job[i]))
			return false;
	return true;
}

/* Until all jobs are finished, or the order isn't while_order any more: seen now and then. */
static void work(struct worker *w, int while_order)
{
	const bool irq = w->run->opts->irq;

	while (order(w->run) == while_order && !all_finished(w)) {
		for (unsigned turn = irq ? 1 : TURNS; turn; turn--)
			for (unsigned i = 0; i < w->jobs; i++)
				job_poll(&w->job[i]);
		if (irq)
			sleep_until_interrupt(w);
	}
}

static void drain(struct worker *w)
{
	for (unsigned i = 0; i < w->jobs; i++) {
		w->job[i].left = 0;
		plx_nvme_kick(w->job[i].qpair);
	}
	while (!all_finished(w))
		for (unsigned i = 0; i < w->jobs; i++)
			job_poll(&w->job[i]);
}

/* All places once, to the end whatever is ordered but an interruption. */
static void whole_stage(struct worker *w, enum stage stage)
{
	for (unsigned i = 0; i < w->jobs; i++) {
		struct job *job = &w->job[i];

		job->stage = stage;
		job->next_slot = 0;
		job->left = job->dead ? 0 : job->slots;
		send_parked(job);
	}
	/* Not measured: the CPU is for whoever has something to do, a model's thread or the
	 * kernel's. */
	while (!all_finished(w) && !run_interrupted(w->run)) {
		for (unsigned i = 0; i < w->jobs; i++)
			job_poll(&w->job[i]);
		sched_yield();
	}
	drain(w);
}

static void start_jobs(struct worker *w)
{
	const struct options *opts = w->run->opts;

	for (unsigned i = 0; i < w->jobs; i++) {
		struct job *job = &w->job[i];

		job->stage = STAGE_RUN;
		job->next_slot = 0;
		job->left = opts->ios && !opts->warmup ? opts->ios : UINT64_MAX;
		if (job->dead)
			job->left = 0;
		hist_init(&job->hist);
		send_parked(job);
	}
}

/* What was counted so far doesn't count, but what is in flight will. */
static void forget_warm_up(struct worker *w)
{
	const uint64_t ios = w->run->opts->ios;

	for (unsigned i = 0; i < w->jobs; i++) {
		struct job *job = &w->job[i];

		hist_init(&job->hist);
		if (ios && !job->dead)
			job->left = ios > job->in_flight ? ios - job->in_flight : 0;
	}
}

static void wait_for_order(const struct worker *w, int last)
{
	const struct timespec nap = { .tv_nsec = 100000 };

	while (order(w->run) == last)
		nanosleep(&nap, NULL);
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct run *run = w->run;
	uint64_t begin;

	if (run->opts->verify)
		whole_stage(w, STAGE_FILL);
	__atomic_add_fetch(&run->ready, 1, __ATOMIC_RELEASE);
	wait_for_order(w, ORDER_WAIT);
	start_jobs(w);
	work(w, ORDER_WARM_UP);
	if (run->opts->warmup)
		forget_warm_up(w);
	begin = ticks();
	work(w, ORDER_MEASURE);
	drain(w);
	for (unsigned i = 0; i < w->jobs; i++)
		w->job[i].seconds = (double)(ticks() - begin); /* ticks, as yet */
	__atomic_add_fetch(&run->finished, 1, __ATOMIC_RELEASE);
	return NULL;
}

void *worker_read_back(void *arg)
{
	struct worker *w = arg;

	whole_stage(w, STAGE_READ_BACK);
	__atomic_add_fetch(&w->run->finished, 1, __ATOMIC_RELEASE);
	return NULL;
}
