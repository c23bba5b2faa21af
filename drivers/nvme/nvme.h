/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the NVMe driver.
 *
 *   pci.c       probe, remove, options
 *   ctrl.c      bring-up, reset, shutdown
 *   admin.c     the admin queue: one command and its answer
 *   commands.c  admin commands by name
 *   identify.c  controller and namespaces
 *   event.c     asynchronous events, keep alive
 *   qpair.c     queue pairs: made, taken down, made again after a reset
 *   cmb.c       submission queues in the controller
 *   submit.c    requests into commands; split.c where it takes several; prp.c sgl.c their buffers
 *   complete.c  the polling loop
 *   timeout.c   what happens now and then
 *   abort.c     commands that are late or not wanted any more
 *   status.c    names
 *
 * Whose lock: ctrl->lock covers the admin queue, the lists, bring-up and reset. A queue pair has
 * none. The one thing that other threads write in it is `lost`: the controller was stopped, so
 * nothing of what was in flight will be answered any more, and no DMA can happen for it.
 */
#ifndef NVME_H
#define NVME_H

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <pollux/nvme.h>

#include "regs.h"

#define NVME_LINE 64

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A request that takes several commands. Each of its commands, when done, becomes the next. */
struct nvme_split {
	plx_nvme_done_fn *done;
	void *arg;
	const struct plx_nvme_ns *ns;
	struct plx_nvme_io io; /* what is left; iov points to the segment of the next byte */
	struct iovec one;      /* the segment, if the request had a plain buffer */
	size_t seg_off;	       /* in that segment */
	uint32_t unit;	       /* bytes of a block in the buffer */
	uint32_t running;      /* commands */
	uint16_t status;       /* the first failure */
	struct nvme_split *next_free;
};

enum nvme_busy {
	NVME_PLAIN, /* busy, and kept in the few words that a plain read or write is */
	NVME_BUSY,
	NVME_ABORTING, /* Abort was sent: not to be tried again */
	NVME_LOST,     /* about to be done with an error */
	NVME_ANSWERED, /* but its Abort isn't: till then nobody may have its id */
	NVME_FREE,
};

struct nvme_answer {
	uint16_t status;
	uint32_t result;
};

/*
 * A command in flight. Kept where the device can't write, for it has pointers that will be called.
 *
 * The low bits of its id are its index. The others count how often the tracker was used, so that a
 * second answer to an earlier command isn't taken for one to this one. An id of all ones isn't used
 * [Base 3.3.3.1]: there is always an index without a tracker.
 */
struct nvme_tracker {
	struct plx_nvme_fast_cmd fast; /* all that a plain read or write touches */
	union {
		struct plx_nvme_cmd cmd;   /* to be sent, or as sent. Not if plain */
		struct nvme_answer answer; /* if that is all that is left to say */
	} __attribute__((aligned(NVME_LINE)));
} __attribute__((aligned(NVME_LINE)));

_Static_assert(!offsetof(struct nvme_tracker, fast), "a list of these is one of those");
_Static_assert(sizeof(struct nvme_tracker) == 2 * NVME_LINE, "and each has a line of its own");

struct plx_nvme_qpair {
	/* Submission. The queue is only ever written: it may lie in the controller. */
	struct plx_nvme_fast_queue fast;
	bool down;	  /* the controller doesn't know this queue (any more) */
	bool lost;	  /* set by others: see above */
	uint32_t sq_rung; /* the tail that the controller knows, as an index */

	/* Completion. */
	volatile struct plx_nvme_cqe *cq __attribute__((aligned(NVME_LINE)));
	struct nvme_tracker *trackers; /* index_mask + 1; those from depth on are never used */
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	uint64_t commands, doorbells;
	uint32_t cq_head;
	uint32_t depth;	     /* trackers in use; both queues have an entry more */
	uint16_t polls;	     /* until the next look at the clock */
	uint16_t phase;	     /* of entries that are new */
	uint16_t index_mask; /* of an id; depth isn't more */
	bool broken;	     /* the controller answered what was never asked */
	bool shadowed;	     /* there are shadow doorbells */

	/* below: not touched on the hot path */
	uint32_t answered; /* trackers: NVME_ANSWERED */
	volatile uint32_t *sq_shadow, *cq_shadow, *sq_event, *cq_event;
	uint32_t page_mask;		 /* PRP page size less one */
	uint32_t split_len;		 /* longer buffers take several commands */
	uint64_t verify_len, zeroes_len; /* likewise, for blocks that aren't moved */
	uint32_t cq_told;		 /* the head in the shadow doorbell */
	uint8_t list_shift;		 /* log2 of the bytes of a tracker's PRP list */
	uint8_t retries;		 /* for each command */
	uint8_t *lists;			 /* PRP and SGL lists, 1 << list_shift bytes a tracker */
	uint64_t lists_dma;
	struct nvme_split *splits, *free_split;
	struct plx_nvme_ctrl *ctrl;
	struct plx_dma sq_mem, cq_mem, list_mem;
	size_t cmb_at, cmb_len; /* the submission queue in the controller; 0 bytes: in sq_mem */
	struct plx_nvme_qpair_opts opts;
	uint32_t tick;	    /* counts periods of tick_ms */
	uint64_t next_tick; /* ms of CLOCK_MONOTONIC */
	uint32_t tick_ms, timeout_ticks;
	uint16_t id;
	uint16_t vector;
	uint64_t errors, retried, bad_completions, timeouts, resets;
	LIST_ENTRY(plx_nvme_qpair) link;
} __attribute__((aligned(NVME_LINE)));

_Static_assert(!offsetof(struct plx_nvme_qpair, fast), "as the inline functions see it");
_Static_assert(offsetof(struct plx_nvme_qpair, cq) == NVME_LINE, "submission has a line");
_Static_assert(offsetof(struct plx_nvme_qpair, answered) == 2 * NVME_LINE,
	       "and completion another one");

struct plx_nvme_ns {
	/* What requests need. */
	struct plx_nvme_fast_ns fast;
	uint32_t unit; /* bytes of a block in a buffer */
	uint32_t nsid;
	bool separate_meta;
	bool strippable; /* with PRACT no metadata is transferred: it is all protection */

	struct plx_nvme_ns_info info;
	bool active, seen; /* seen: by the scan that is going on */
	LIST_ENTRY(plx_nvme_ns) link;
};

_Static_assert(!offsetof(struct plx_nvme_ns, fast), "as the inline functions see it");

enum nvme_state {
	NVME_OFF,	/* bring-up failed, or the controller: no DMA */
	NVME_RESETTING, /* off, but will be tried again at once */
	NVME_RUNNING,
	NVME_REMOVED, /* registers read as all ones */
};

struct nvme_options {
	bool no_sgl, no_dbbuf, no_cmb;
	bool dbbuf;	     /* wherever it is offered; else only where it saves something */
	uint32_t page;	     /* bytes; 0: the host's, or as near as there is */
	uint32_t queues;     /* 0: as many as the controller has */
	uint32_t keep_alive; /* ms; 0: none */
};

/* The controller memory buffer. */
struct nvme_cmb {
	struct plx_pci_bar bar;
	uint8_t *va;
	size_t len;	 /* 0: not in use */
	uint64_t offset; /* in the BAR */
	uint64_t dma;
};

#define NVME_EVENTS_MAX 8  /* Asynchronous Event Requests outstanding, and events kept */
#define NVME_ABORTS_MAX 16 /* Abort commands outstanding, of all queue pairs */

struct plx_nvme_ctrl {
	struct plx_pci *pci;
	struct plx_pci_bar bar;
	struct plx_nvme_ctrl_info info;
	struct nvme_options opts;
	int state; /* enum nvme_state; written under the lock */

	pthread_mutex_t lock;
	uint64_t cap;
	uint32_t mps; /* pages of 4096 << mps */
	uint32_t ready_ms, shutdown_ms;
	struct plx_nvme_qpair *admin;
	LIST_HEAD(, plx_nvme_qpair) qpairs;
	LIST_HEAD(, plx_nvme_ns) namespaces; /* by nsid */
	uint64_t verify_max, zeroes_max;     /* bytes of a command; 0: no limit of its own */
	uint32_t ns_limit;		     /* NN: the largest nsid */
	unsigned ns_count;		     /* in the list */
	uint8_t *qid_used;		     /* one a queue, from 1 */
	uint32_t aborts[NVME_ABORTS_MAX];    /* outstanding: what they name; 0: none */
	unsigned abort_limit;
	struct plx_dma dbbuf_shadow, dbbuf_event;
	struct nvme_cmb cmb;

	/* Events: taken off the admin queue, told by plx_nvme_ctrl_poll(). */
	uint32_t oaes; /* the optional ones that there are */
	unsigned event_limit, event_requests;
	unsigned events;
	uint32_t event[NVME_EVENTS_MAX]; /* dword 0 of their completions */
	plx_nvme_event_fn *event_fn;
	void *event_arg;
	uint64_t looked;	  /* at the status by plx_nvme_ctrl_poll(), ms of CLOCK_MONOTONIC */
	uint64_t next_keep_alive; /* likewise */
	uint64_t keep_alive_end;  /* when the one that was sent is late; 0: none was */
	uint32_t keep_alive_ms;
};

#define NVME_NS_MAX		1024 /* namespaces that are looked at */
#define NVME_PAGE_SHIFT		12
#define NVME_BLOCKS_MAX		65536u /* of a command: 16 bits, 0's based */
#define NVME_PI_LEN		8      /* protection information of a block [NVM 5.2] */
#define NVME_ADMIN_DEPTH	31     /* whatever CAP.MQES says: it is about I/O queues */
#define NVME_ADMIN_TRANSFER_MAX (512u << 10)
#define NVME_ADMIN_WAIT_MS	60000 /* for any admin command but Format */
#define NVME_FORMAT_MS		(20 * 60 * 1000)

_Static_assert(NVME_EVENTS_MAX + NVME_ABORTS_MAX + 2 <= NVME_ADMIN_DEPTH,
	       "a keep alive and the command that somebody waits for have room");

static inline size_t nvme_page_size(const struct plx_nvme_ctrl *ctrl)
{
	return (size_t)1 << (NVME_PAGE_SHIFT + ctrl->mps);
}

static inline uint32_t nvme_read32(const struct plx_nvme_ctrl *ctrl, uint32_t reg)
{
	return plx_pci_read32(&ctrl->bar, reg);
}

static inline void nvme_write32(const struct plx_nvme_ctrl *ctrl, uint32_t reg, uint32_t value)
{
	plx_pci_write32(&ctrl->bar, reg, value);
}

/* As two halves, low one first: not everybody between here and the device takes 64 bits [3.1.1]. */
static inline uint64_t nvme_read64(const struct plx_nvme_ctrl *ctrl, uint32_t reg)
{
	uint64_t low = nvme_read32(ctrl, reg);

	return low | (uint64_t)nvme_read32(ctrl, reg + 4) << 32;
}

static inline void nvme_write64(const struct plx_nvme_ctrl *ctrl, uint32_t reg, uint64_t value)
{
	nvme_write32(ctrl, reg, (uint32_t)value);
	nvme_write32(ctrl, reg + 4, (uint32_t)(value >> 32));
}

/* ctrl.c; all with the lock held */
int nvme_ctrl_start(struct plx_nvme_ctrl *ctrl);
/*
 * Off, and no more DMA: everything in flight on the admin queue is done with an error, and the
 * queue pairs are told. The state is off, or resetting, afterwards; or removed, if that is so.
 */
void nvme_ctrl_stop(struct plx_nvme_ctrl *ctrl, enum nvme_state off);
void nvme_ctrl_shutdown(struct plx_nvme_ctrl *ctrl); /* likewise, in good order */
int nvme_ctrl_reset(struct plx_nvme_ctrl *ctrl);
/* Reads the status: 0; -ENODEV: it is gone, and stopped now; -EIO: it reports a fatal error. */
int nvme_ctrl_look(struct plx_nvme_ctrl *ctrl);

/* admin.c; with the lock held */
int nvme_admin(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_cmd *cmd, void *buf, size_t len,
	       uint32_t *result, uint32_t timeout_ms);
int nvme_admin_start(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_cmd *cmd, void *buf,
		     size_t len, plx_nvme_done_fn *done, void *arg);

/* commands.c; with the lock held */
int nvme_identify(struct plx_nvme_ctrl *ctrl, enum plx_nvme_cns cns, uint32_t nsid, void *data);
int nvme_get_log(struct plx_nvme_ctrl *ctrl, enum plx_nvme_log log, uint32_t nsid, uint64_t offset,
		 void *data, size_t len);
int nvme_feature(struct plx_nvme_ctrl *ctrl, uint8_t opcode, enum plx_nvme_feature feature,
		 uint32_t nsid, uint32_t value, uint32_t *result);
int nvme_create_queues(struct plx_nvme_qpair *q);
int nvme_delete_queues(struct plx_nvme_qpair *q);
int nvme_dbbuf_config(struct plx_nvme_ctrl *ctrl);

/* identify.c; with the lock held */
int nvme_identify_ctrl(struct plx_nvme_ctrl *ctrl);
int nvme_identify_namespaces(struct plx_nvme_ctrl *ctrl);
void nvme_free_namespaces(struct plx_nvme_ctrl *ctrl);

/*
 * cmb.c; with the lock held. Before the controller is enabled: finds the buffer and puts it in its
 * place. Then, a submission queue of q in it: -ENOSPC if it has no room.
 */
void nvme_cmb_start(struct plx_nvme_ctrl *ctrl);
int nvme_cmb_alloc(struct plx_nvme_qpair *q, size_t len, size_t align);
uint64_t nvme_sq_dma(const struct plx_nvme_qpair *q); /* PLX_DMA_BAD: it was lost */

/* event.c; with the lock held */
int nvme_events_start(struct plx_nvme_ctrl *ctrl);

/* qpair.c */
int nvme_qpair_alloc(struct plx_nvme_ctrl *ctrl, uint16_t id,
		     const struct plx_nvme_qpair_opts *opts, struct plx_nvme_qpair **q);
void nvme_qpair_free(struct plx_nvme_qpair *q);
void nvme_qpair_clear(struct plx_nvme_qpair *q); /* as the controller sees a new one */
void nvme_qpair_set_down(struct plx_nvme_qpair *q, bool down);
void nvme_qpair_recover(struct plx_nvme_qpair *q);
void nvme_qpair_fail_all(struct plx_nvme_qpair *q, uint16_t status);

/* submit.c */
int nvme_down_error(const struct plx_nvme_qpair *q);
void nvme_push(struct plx_nvme_qpair *q, struct nvme_tracker *tr);
/* What was kept of a plain command becomes one like others: before anything but its success. */
void nvme_make_whole(struct nvme_tracker *tr);
void nvme_ring(struct plx_nvme_qpair *q);      /* the submission queue's doorbell */
void nvme_ring_head(struct plx_nvme_qpair *q); /* the completion queue's */
int nvme_set_io(struct plx_nvme_qpair *q, struct nvme_tracker *tr, const struct plx_nvme_ns *ns,
		const struct plx_nvme_io *io, size_t off, uint32_t unit);

/* For how many of these blocks one command can name the metadata, if it has a buffer; or -errno. */
int64_t nvme_meta_reach(const struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns,
			const struct plx_nvme_io *io, uint64_t blocks);

/* split.c */
int nvme_split_start(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns,
		     const struct plx_nvme_io *io, uint32_t unit, plx_nvme_done_fn *done,
		     void *arg);
/* The tracker's command is done: frees it, or uses it for the next piece. */
void nvme_split_done(struct plx_nvme_qpair *q, struct nvme_tracker *tr, uint16_t status,
		     uint32_t result);

/*
 * Where a buffer is, for prp.c and sgl.c: a position in a list of segments.
 */
struct nvme_data {
	const struct iovec *iov;
	size_t off; /* in *iov */
};

/*
 * prp.c, sgl.c: the data pointer of a tracker's command for len bytes. -EFAULT: not mapped;
 * -EINVAL: not to be named like that, in one command.
 */
int nvme_prp(struct plx_nvme_qpair *q, struct nvme_tracker *tr, struct nvme_data at, size_t len);
int nvme_sgl(struct plx_nvme_qpair *q, struct nvme_tracker *tr, struct nvme_data at, size_t len);

/* How many bytes, at most len (at most 2 GiB), one command can name; or -EFAULT. */
ssize_t nvme_prp_reach(const struct plx_nvme_qpair *q, struct nvme_data at, size_t len);
ssize_t nvme_sgl_reach(const struct plx_nvme_qpair *q, struct nvme_data at, size_t len);

/* Whichever suits. */
int nvme_map(struct plx_nvme_qpair *q, struct nvme_tracker *tr, struct nvme_data at, size_t len);
ssize_t nvme_reach(const struct plx_nvme_qpair *q, struct nvme_data at, size_t len);

/* The next run of bytes, at most len, that is contiguous for the device. */
struct nvme_run {
	uint64_t dma;
	size_t len;
};

static inline struct nvme_run nvme_next_run(const struct plx_xlate *xlate, struct nvme_data *at,
					    size_t len)
{
	struct nvme_run run;
	uintptr_t va;
	size_t frame;

	while (at->off == at->iov->iov_len) {
		at->iov++;
		at->off = 0;
	}
	va = (uintptr_t)at->iov->iov_base + at->off;
	frame = PLX_FRAME_SIZE - (va & (PLX_FRAME_SIZE - 1));
	run.len = at->iov->iov_len - at->off;
	run.len = run.len < len ? run.len : len;
	run.len = run.len < frame ? run.len : frame;
	run.dma = plx_xlate_dma(xlate, (const void *)va);
	at->off += run.len;
	return run;
}

/* How long one command can be, and how many bytes of a block count [NVM 3.2.5, 3.2.8]. */
struct nvme_limit {
	uint64_t len;
	uint32_t unit; /* 0: there is none */
};

static inline struct nvme_limit nvme_limit(const struct plx_nvme_qpair *q,
					   const struct plx_nvme_ns *ns,
					   const struct plx_nvme_io *io, uint32_t unit)
{
	if (io->opcode == PLX_NVME_VERIFY)
		return (struct nvme_limit){ q->verify_len, ns->info.block_size };
	if (io->opcode == PLX_NVME_WRITE_ZEROES)
		return (struct nvme_limit){ q->zeroes_len, ns->info.block_size };
	return (struct nvme_limit){ q->split_len, unit };
}

static inline uint32_t nvme_sq_tail(const struct plx_nvme_qpair *q)
{
	return (uint32_t)(q->fast.tail - q->fast.sq);
}

static inline void *nvme_list(const struct plx_nvme_qpair *q, const struct nvme_tracker *tr)
{
	return q->lists + ((size_t)(tr - q->trackers) << q->list_shift);
}

static inline uint64_t nvme_list_dma(const struct plx_nvme_qpair *q, const struct nvme_tracker *tr)
{
	return q->lists_dma + ((uint64_t)(tr - q->trackers) << q->list_shift);
}

/* A completion's last dword, which has the phase tag, read at once. */
static inline uint32_t nvme_cid_and_status(const volatile struct plx_nvme_cqe *cqe)
{
	return le32toh(*(const volatile uint32_t *)&cqe->cid);
}

static inline bool nvme_is_new(const struct plx_nvme_qpair *q)
{
	return !((nvme_cid_and_status(&q->cq[q->cq_head]) >> 16 ^ q->phase) & 1);
}

/* complete.c */
unsigned nvme_process(struct plx_nvme_qpair *q, unsigned max); /* the loop itself: no doorbell */
unsigned nvme_process_and_ring(struct plx_nvme_qpair *q, unsigned max);
void nvme_complete(struct plx_nvme_qpair *q, struct nvme_tracker *tr, uint16_t status,
		   uint32_t result);

/* abort.c; with the lock held. False: it can't be asked for now. */
bool nvme_abort(struct plx_nvme_qpair *q, struct nvme_tracker *tr);
bool nvme_aborts_in(const struct plx_nvme_ctrl *ctrl, uint16_t qid); /* any outstanding? */

/* And without it. Completes what was answered and whose Abort is, too; or, if down, all of it. */
void nvme_finish_aborted(struct plx_nvme_qpair *q);

/* timeout.c */
/* Polls between looks at the clock. Who sleeps between them has few, and time for it. */
static inline uint16_t nvme_polls_a_look(const struct plx_nvme_qpair *q)
{
	return q->opts.irq ? 1 : 1024;
}

uint64_t nvme_now_ms(void);
void nvme_look_at_clock(struct plx_nvme_qpair *q);
void nvme_tick(struct plx_nvme_qpair *q);
void nvme_set_fresh(struct plx_nvme_qpair *q); /* the tick has changed */

/* Answered or given up: its next id is another one. What overflows is the count of uses. */
static inline void nvme_next_id(const struct plx_nvme_qpair *q, struct nvme_tracker *tr)
{
	tr->fast.cid = (uint16_t)(tr->fast.cid + q->index_mask + 1);
}

static inline void nvme_tracker_free(struct plx_nvme_qpair *q, struct nvme_tracker *tr)
{
	tr->fast.busy = NVME_FREE;
	tr->fast.next_free = q->fast.free;
	q->fast.free = &tr->fast;
}

/* There is one: q->fast.free isn't NULL. */
static inline struct nvme_tracker *nvme_tracker_take(struct plx_nvme_qpair *q)
{
	struct nvme_tracker *tr =
		(struct nvme_tracker *)((char *)q->fast.free - offsetof(struct nvme_tracker, fast));

	q->fast.free = tr->fast.next_free;
	tr->fast.split = NULL;
	tr->fast.busy = NVME_BUSY;
	return tr;
}

#endif
