/* SPDX-License-Identifier: BSD-3-Clause */
/* Making the workers and being in control of them. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <pollux/log.h>

#include "report.h"
#include "worker.h"

#define PAGE	       4096u
#define VERIFY_RANGE   (64u << 20)
#define TICK_MS	       100 /* the shortest sample */
#define PROGRESS_TICKS 10
#define WAITING_S      2 /* between words of what is waited for */

static volatile sig_atomic_t interrupted;

void run_interrupt(int signum)
{
	interrupted = signum;
}

int run_check_cores(const struct options *opts)
{
	cpu_set_t before, set;
	int err = pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	unsigned i;

	for (i = 0; !err && i < opts->cores; i++) {
		CPU_ZERO(&set);
		CPU_SET(opts->core[i], &set);
		err = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	}
	if (err)
		plx_err("-c: there is no core %u, or this process may not use it (%s)",
			opts->core[i ? i - 1 : 0], strerror(err));
	pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	return err ? -EINVAL : 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void nap(unsigned ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static size_t round_up(size_t value, size_t to)
{
	return (value + to - 1) / to * to;
}

/* Bytes of a request's buffer and of its metadata, with what lies around them. */
static size_t request_room(const struct job *job, const struct options *opts, size_t *meta_at)
{
	size_t data = opts->offset + (size_t)job->blocks * job->info.unit;
	size_t meta = job->info.extended ? 0 : (size_t)job->blocks * job->info.meta_size;

	*meta_at = round_up(data, 64);
	return round_up(*meta_at + meta, PAGE);
}

/* What the namespace makes of the options. */
static int shape_job(struct job *job, const struct options *opts)
{
	const struct plx_nvme_ns_info *info = &job->info;
	const char *name = plx_nvme_ctrl_info(job->ctrl)->name;
	uint64_t blocks = info->blocks, range = opts->range;

	if (opts->io_size % info->block_size) {
		plx_err("%s namespace %u: -o %llu is no whole number of blocks of %u bytes", name,
			info->nsid, (unsigned long long)opts->io_size, info->block_size);
		return -EINVAL;
	}
	if (info->pi && info->meta_size != 8) {
		plx_err("%s namespace %u: protection information in %u bytes of metadata isn't "
			"supported here",
			name, info->nsid, info->meta_size);
		return -EINVAL;
	}
	job->blocks = (uint32_t)(opts->io_size / info->block_size);
	if (!range && opts->verify)
		range = VERIFY_RANGE;
	if (range && range / info->block_size < blocks)
		blocks = range / info->block_size;
	job->slots = blocks / job->blocks;
	job->io_flags = info->pi ? PLX_NVME_PRACT : 0;
	job->plain = !info->pi && (info->extended || !info->meta_size);
	job->special = opts->verify || !job->plain;
	return 0;
}

/* Jobs of one namespace share it: with --verify each has a part of its own. */
static int share(struct job *job, const struct options *opts, unsigned index, unsigned of)
{
	uint64_t part = job->slots / of;

	job->next_slot = index * part;
	if (opts->verify) {
		job->first_lba = index * part * job->blocks;
		job->slots = part;
		job->next_slot = 0;
	}
	if (job->slots)
		return 0;
	plx_err("%s namespace %u: %llu blocks have no room for %u times %llu bytes",
		plx_nvme_ctrl_info(job->ctrl)->name, job->info.nsid,
		(unsigned long long)job->info.blocks, opts->verify ? of : 1,
		(unsigned long long)opts->io_size);
	return -EINVAL;
}

static int make_job(struct job *job, const struct options *opts, unsigned index, unsigned of)
{
	const struct plx_nvme_qpair_opts qopts = { .depth = opts->depth,
						   .irq = opts->irq,
						   .timeout_ms = opts->timeout_ms };
	int err = shape_job(job, opts);

	err = err ? err : share(job, opts, index, of);
	if (err)
		return err;
	job->reads = opts->reads == 100 ? UINT32_MAX
					: (uint32_t)((uint64_t)opts->reads * UINT32_MAX / 100);
	job->in_random_order = opts->random;
	job->random = ((opts->seed + 1) * 0x9e3779b97f4a7c15ull + job->core * 7919u +
		       index * 104729u + job->info.nsid)
			      << 1 |
		      1;
	job_set_done(job);
	job->depth = opts->depth;
	hist_init(&job->hist);
	job->requests = calloc(job->depth, sizeof(*job->requests));
	err = job->requests ? 0 : -ENOMEM;
	if (!err && opts->verify)
		err = verify_init(job);
	if (err) {
		plx_err("out of memory");
		return err;
	}
	err = plx_nvme_qpair_create(job->ctrl, &qopts, &job->qpair);
	if (err)
		plx_err("%s: no queue pair: %s", plx_nvme_ctrl_info(job->ctrl)->name,
			plx_nvme_error(err));
	return err;
}

static int give_memory(struct worker *w)
{
	const struct options *opts = w->run->opts;
	size_t sum = 0, meta_at;
	uint8_t *at;

	for (unsigned i = 0; i < w->jobs; i++)
		sum += w->job[i].depth * request_room(&w->job[i], opts, &meta_at);
	w->memory = session_memory(w->run->session, sum, plx_nvme_ctrl_info(w->job[0].ctrl)->node);
	if (!w->memory)
		return -ENOMEM;
	at = w->memory->va;
	for (unsigned i = 0; i < w->jobs; i++) {
		struct job *job = &w->job[i];
		size_t room = request_room(job, opts, &meta_at);

		for (uint32_t k = 0; k < job->depth; k++, at += room) {
			struct request *r = &job->requests[k];

			r->job = job;
			r->buf = at + opts->offset;
			r->meta = job->info.meta_size && !job->info.extended ? at + meta_at : NULL;
			r->next_parked = job->parked;
			job->parked = r;
		}
	}
	return 0;
}

/* All jobs of a worker: -P on each namespace of each controller. */
static int make_worker(struct worker *w, unsigned index)
{
	const struct options *opts = w->run->opts;
	struct session *s = w->run->session;
	int err = 0;

	w->core = opts->core[index];
	w->job = calloc(QUEUES_A_WORKER, sizeof(*w->job));
	if (!w->job)
		return -ENOMEM;
	for (unsigned c = 0; c < s->count; c++) {
		struct plx_nvme_ns *ns = NULL;
		uint32_t last = 0;

		while (!err && (ns = plx_nvme_ns_next(s->ctrl[c], last))) {
			last = plx_nvme_ns_info(ns)->nsid;
			for (unsigned p = 0; p < opts->queues && !err; p++) {
				struct job *job = &w->job[w->jobs];

				if (opts->nsid && last != opts->nsid)
					continue;
				if (w->jobs == QUEUES_A_WORKER) {
					plx_err("more than %u queue pairs a core", QUEUES_A_WORKER);
					return -EINVAL;
				}
				job->ctrl = s->ctrl[c];
				job->ns = ns;
				job->info = *plx_nvme_ns_info(ns);
				job->core = w->core;
				job->run = w->run->number;
				job->mode = session_mode(s, s->ctrl[c]);
				w->jobs++;
				err = make_job(job, opts, index * opts->queues + p,
					       opts->cores * opts->queues);
			}
		}
	}
	if (!err && !w->jobs) {
		if (opts->nsid)
			plx_err("there is no namespace %u", opts->nsid);
		else
			plx_err("there is no namespace to use");
		return -ENODEV;
	}
	return err ? err : give_memory(w);
}

int run_create(struct run *run, struct session *session, const struct options *opts)
{
	int err = 0;

	*run = (struct run){ .opts = opts, .session = session, .sample_ms = TICK_MS };
	run->worker = calloc(opts->cores, sizeof(*run->worker));
	run->sample = calloc(RUN_SAMPLES_MAX, sizeof(*run->sample));
	if (!run->worker || !run->sample) {
		err = -ENOMEM;
	} else if (getrandom(&run->number, sizeof(run->number), 0) != sizeof(run->number)) {
		err = -errno;
		plx_err("no random number: %s", strerror(errno));
	}
	while (!err && run->workers < opts->cores) {
		struct worker *w = &run->worker[run->workers++];

		w->run = run;
		err = make_worker(w, run->workers - 1);
	}
	if (err == -ENOMEM && (!run->worker || !run->sample))
		plx_err("out of memory");
	if (err)
		run_destroy(run);
	return err;
}

void run_destroy(struct run *run)
{
	for (unsigned i = 0; i < run->workers; i++) {
		struct worker *w = &run->worker[i];

		for (unsigned k = 0; k < w->jobs; k++) {
			plx_nvme_qpair_destroy(w->job[k].qpair);
			free(w->job[k].requests);
			free(w->job[k].version);
			free(w->job[k].known);
			free(w->job[k].busy);
		}
		session_free(run->session, w->memory);
		free(w->job);
	}
	free(run->worker);
	free(run->sample);
	*run = (struct run){ 0 };
}

static void give_order(struct run *run, enum order order)
{
	__atomic_store_n(&run->order, order, __ATOMIC_RELAXED);
}

uint64_t run_completed(const struct run *run)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < run->workers; i++)
		for (unsigned k = 0; k < run->worker[i].jobs; k++)
			sum += __atomic_load_n(&run->worker[i].job[k].hist.count, __ATOMIC_RELAXED);
	return sum;
}

/* On its core from the start. */
static int start_thread(struct worker *w, void *(*main)(void *))
{
	pthread_attr_t attr;
	cpu_set_t set;
	int err = pthread_attr_init(&attr);

	if (err)
		return err;
	CPU_ZERO(&set);
	CPU_SET(w->core, &set);
	err = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	err = err ? err : pthread_create(&w->thread, &attr, main, w);
	pthread_attr_destroy(&attr);
	return err;
}

static int start_threads(struct run *run, void *(*main)(void *))
{
	for (unsigned i = 0; i < run->workers; i++) {
		struct worker *w = &run->worker[i];
		int err = start_thread(w, main);

		if (err) {
			plx_err("no thread on core %u: %s", w->core, strerror(err));
			return -err;
		}
		w->started = true;
	}
	return 0;
}

static void join_threads(struct run *run)
{
	for (unsigned i = 0; i < run->workers; i++)
		if (run->worker[i].started)
			pthread_join(run->worker[i].thread, NULL);
	for (unsigned i = 0; i < run->workers; i++)
		run->worker[i].started = false;
}

/* Between two looks at the clock: events, resets, signals. */
static void look_after(struct run *run, double *next_reset)
{
	struct session *s = run->session;
	bool reset = run->opts->reset_ms && now() >= *next_reset;

	if (interrupted && !run->signal) {
		run->signal = interrupted;
		__atomic_store_n(&run->interrupted, true, __ATOMIC_RELAXED);
	}
	for (unsigned i = 0; i < s->count; i++) {
		plx_nvme_ctrl_poll(s->ctrl[i]);
		if (reset && !plx_nvme_ctrl_reset(s->ctrl[i]))
			run->resets++;
	}
	if (reset)
		*next_reset = now() + (double)run->opts->reset_ms / 1e3;
}

static bool workers_at(const unsigned *count, const struct run *run)
{
	return __atomic_load_n(count, __ATOMIC_ACQUIRE) == run->workers;
}

static void wait_until(struct run *run, const unsigned *count, double end, double *next_reset)
{
	while (!workers_at(count, run) && now() < end && !run_interrupted(run)) {
		nap(TICK_MS / 10);
		look_after(run, next_reset);
	}
}

void run_sample(struct run *run, uint64_t completed)
{
	run->sample[run->samples++] = completed;
	if (run->samples < RUN_SAMPLES_MAX)
		return;
	run->samples /= 2;
	run->sample_ms *= 2;
	for (unsigned i = 0; i < run->samples; i++)
		run->sample[i] = run->sample[2 * i + 1];
}

static void measure(struct run *run, double *next_reset)
{
	double begin = now(), end = begin + (double)run->opts->seconds, said = begin;
	uint64_t ticks_done = 0, then = 0;

	while (now() < end && !workers_at(&run->finished, run) && !run_interrupted(run)) {
		double next = begin + (double)(ticks_done + 1) * TICK_MS / 1e3;
		uint64_t completed;

		wait_until(run, &run->finished, next < end ? next : end, next_reset);
		if (now() < next)
			continue;
		ticks_done++;
		completed = run_completed(run);
		if (!(ticks_done % (run->sample_ms / TICK_MS)))
			run_sample(run, completed);
		if (ticks_done % PROGRESS_TICKS)
			continue;
		report_progress(run, now() - begin, (double)(completed - then) / (now() - said));
		said = now();
		then = completed;
	}
	run->seconds = now() - begin;
}

static uint64_t in_flight(const struct run *run)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < run->workers; i++)
		for (unsigned k = 0; k < run->worker[i].jobs; k++)
			sum += __atomic_load_n(&run->worker[i].job[k].in_flight, __ATOMIC_RELAXED);
	return sum;
}

/* Large requests take long, and so do those that are stuck. */
static void wait_for_last(struct run *run, double *next_reset)
{
	double next = now() + WAITING_S;

	while (!workers_at(&run->finished, run)) {
		nap(1);
		look_after(run, next_reset);
		if (now() < next)
			continue;
		report_waiting(run, in_flight(run));
		next = now() + WAITING_S;
	}
}

/* Ticks were counted where nothing else was to be thought of. */
static void convert_ticks(struct run *run)
{
	for (unsigned i = 0; i < run->workers; i++)
		for (unsigned k = 0; k < run->worker[i].jobs; k++)
			run->worker[i].job[k].seconds /= run->ticks_per_us * 1e6;
}

static void control(struct run *run)
{
	double next_reset = now() + (double)run->opts->reset_ms / 1e3, begin;
	uint64_t first;

	wait_until(run, &run->ready, 1e300, &next_reset);
	begin = now();
	first = ticks();
	if (run->opts->warmup && !run_interrupted(run)) {
		give_order(run, ORDER_WARM_UP);
		wait_until(run, &run->finished, begin + (double)run->opts->warmup, &next_reset);
	}
	give_order(run, ORDER_MEASURE);
	measure(run, &next_reset);
	give_order(run, ORDER_STOP);
	wait_for_last(run, &next_reset);
	run->ticks_per_us = (double)(ticks() - first) / (now() - begin) / 1e6;
	convert_ticks(run);
}

/* Nothing is measured here, and no reset makes it harder. */
static int read_back(struct run *run)
{
	double never = 1e300;
	int err;

	run->finished = 0;
	err = start_threads(run, worker_read_back);
	if (err)
		run->interrupted = true;
	while (!err && !workers_at(&run->finished, run)) {
		nap(1);
		look_after(run, &never);
	}
	join_threads(run);
	return err;
}

int run_go(struct run *run)
{
	int err = start_threads(run, worker_main);

	if (err) {
		/* Those that did start end by themselves. */
		run->interrupted = true;
		give_order(run, ORDER_STOP);
		join_threads(run);
		return err;
	}
	control(run);
	join_threads(run);
	return !run->opts->verify || run->interrupted ? 0 : read_back(run);
}
