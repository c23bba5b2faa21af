/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that keep queue pairs full.
 *
 *      run ---- worker, worker ...      one a core
 *                 |
 *                 +-- job, job ...      one a queue pair: a namespace, requests, figures
 */
#ifndef PERF_WORKER_H
#define PERF_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <pollux/mem.h>
#include <pollux/nvme.h>

#include "hist.h"
#include "options.h"
#include "session.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* What a job's requests are for. */
enum stage {
	STAGE_FILL, /* --verify: everything is written, in order */
	STAGE_RUN,
	STAGE_READ_BACK, /* --verify: everything is read, in order */
};

struct job;

struct request {
	struct job *job;
	uint8_t *buf;
	uint64_t start; /* ticks */
	/* below: not used by plain reads and writes */
	uint64_t slot;
	void *meta;
	bool write;
	struct request *next_parked;
};

struct job {
	/* What each request reads. */
	struct plx_nvme_qpair *qpair;
	const struct plx_nvme_ns *ns;
	uint64_t random;    /* state of the generator */
	uint64_t next_slot; /* in order */
	uint64_t slots;	    /* places of -o bytes */
	uint64_t first_lba;
	uint32_t blocks;	/* of a request */
	uint32_t reads;		/* of 2^32; UINT32_MAX: all */
	plx_nvme_done_fn *done; /* what to do with a request that is */
	bool in_random_order;
	bool special;  /* more to do for each request than to send it again */
	uint64_t left; /* to be sent */
	uint32_t in_flight;
	enum stage stage;
	struct request *parked; /* couldn't be sent: the queue pair is being made again */

	/* below: not touched by plain reads and writes */
	struct request *requests;
	uint32_t depth;
	uint32_t *version; /* --verify: how often each slot was written */
	uint8_t *known;	   /* --verify: it holds that version; else there is no telling */
	uint8_t *busy;	   /* --verify: a request for the slot is in flight */
	uint32_t io_flags;
	bool plain; /* neither metadata nor flags */
	bool dead;  /* the queue pair failed for good, or can't do what it is asked */
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_ns_info info;
	const char *mode; /* access mode */
	unsigned core;
	uint64_t run;	       /* the run's number, in all that is written */
	uint64_t errors;       /* requests that failed */
	uint16_t first_status; /* of those */
	uint64_t checked, bad; /* blocks */
	double seconds;
	struct hist hist; /* requests that went well */
};

struct worker {
	struct run *run;
	pthread_t thread;
	unsigned core;
	struct job *job;
	unsigned jobs;
	struct plx_arena *memory;
	bool started;
};

/* Set by whoever is in control, looked at by the workers. */
enum order {
	ORDER_WAIT,
	ORDER_WARM_UP,
	ORDER_MEASURE,
	ORDER_STOP,
};

struct run {
	const struct options *opts;
	struct session *session;
	struct worker *worker;
	unsigned workers;
	int order;	   /* enum order */
	unsigned ready;	   /* workers that have filled their places */
	unsigned finished; /* workers that have nothing left to do */
	double ticks_per_us;
	double seconds;
	uint64_t *sample; /* requests completed at the end of each sample_ms */
	unsigned samples, sample_ms;
	uint64_t resets;
	bool interrupted;
	int signal;	 /* that ended it early; 0: none did */
	uint64_t number; /* chosen at random */
};

#define RUN_SAMPLES_MAX 4096 /* an even number */
#define QUEUES_A_WORKER 256

/* Makes the workers and their jobs: 0, -EINVAL (a namespace and the options don't fit), -ENODEV
 * (no namespace), or what went wrong. One line is logged. */
int run_create(struct run *run, struct session *session, const struct options *opts);
void run_destroy(struct run *run);

/* From start to end. 0, or -errno. */
int run_go(struct run *run);

/* Ends it early, from a signal. */
void run_interrupt(int signum);

/* -EINVAL, and one line is logged: a thread can't be on one of them. */
int run_check_cores(const struct options *opts);

static inline bool run_interrupted(const struct run *run)
{
	return __atomic_load_n(&run->interrupted, __ATOMIC_RELAXED);
}

/* Requests completed so far, as the workers count them. */
uint64_t run_completed(const struct run *run);

/* One more sample; where there are enough, each two become one that took as long as both. */
void run_sample(struct run *run, uint64_t completed);

/* Before the first turn: how its requests are done, from what they are. */
void job_set_done(struct job *job);

/* One turn of the loop: completes, sends again, and sends what couldn't be sent before. */
void job_poll(struct job *job);

/* The threads: the run, and with --verify what comes after it. */
void *worker_main(void *worker);
void *worker_read_back(void *worker);

/* verify.c: data to be written, data that was read. */
int verify_init(struct job *job);
void verify_prepare(struct job *job, struct request *r);
void verify_undo(struct job *job, const struct request *r); /* it wasn't sent */
void verify_done(struct job *job, struct request *r, uint16_t status);
/* Chooses a slot that nobody uses, from r->slot on. False: there is none. */
bool verify_choose(struct job *job, struct request *r);

static inline uint64_t ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t value;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
	return value;
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
#endif
}

#endif
