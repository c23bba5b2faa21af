/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVMe controllers from user space.
 *
 *      plx_nvme_ctrl    a controller: found by the PCI bus, brought up by the driver's probe
 *         |
 *         +-- plx_nvme_ns      namespaces
 *         +-- plx_nvme_qpair   a submission and a completion queue; one thread's at a time
 *
 * Calls that take a controller may come from any thread and wait for the device. Calls that take a
 * queue pair belong to the thread that uses it, and neither wait nor lock. Data goes to and from
 * the caller's memory directly: every buffer must be mapped in the controller's address space,
 * begin at a multiple of four bytes, and stay as it is until the request is done.
 *
 * plx_dma_alloc() gives such memory, plx_ioas_map() maps what there is; plx_pci_at() with
 * plx_nvme_ctrl_get() finds the controllers. doc/examples/read_block.c shows all of it.
 *
 * Results are 0, a negative errno, or the positive status that the controller gave
 * (PLX_NVME_STATUS_CODE and the bits above it): plx_nvme_error() has words for all of them.
 */
#ifndef POLLUX_NVME_H
#define POLLUX_NVME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <pollux/ioas.h>
#include <pollux/nvme_fast.h>
#include <pollux/nvme_spec.h>
#include <pollux/pci.h>

#ifdef __cplusplus
extern "C" {
#endif

struct plx_nvme_ctrl;
struct plx_nvme_ns;
struct plx_nvme_qpair;

/* The name that the specification gives a status, or "vendor specific", "unknown". */
const char *plx_nvme_status_name(uint16_t status);

/* The words for a result of any call: the above, strerror(), or "success". */
const char *plx_nvme_error(int result);

/*
 * Controllers. The driver takes every function of class 010802 that the bus hands it. Its keys
 * after -a ADDRESS: "sgl=off", "dbbuf=off", "cmb=off" (do without, where the controller offers it),
 * "dbbuf=on" (shadow doorbells for a process's controller, too, whose doorbells are memory),
 * "page=BYTES" (of PRPs; the host's are the default), "queues=N" (ask for that many),
 * "keep-alive=MS".
 */

/* The controller that a function is, or NULL if this driver didn't take it. */
struct plx_nvme_ctrl *plx_nvme_ctrl_get(const struct plx_pci *pci);

struct plx_nvme_ctrl_info {
	const char *name; /* PCI address */
	int node;
	char serial[21], model[41], firmware[9]; /* without the padding */
	uint16_t vendor;
	uint32_t version;    /* of the specification: major << 16 | minor << 8 */
	uint32_t max_queues; /* I/O queue pairs that the controller grants */
	uint32_t max_depth;  /* commands in flight that one of them can have */
	size_t page_size;    /* of PRPs (CC.MPS), bytes */
	size_t max_transfer; /* of a command, bytes; 0: no limit. Longer requests are split */
	bool sgl, dbbuf;     /* in use */
	size_t cmb;	     /* bytes of the controller that submission queues use; 0: none */
	bool write_cache;    /* volatile: flush means something */
	uint16_t oacs, oncs; /* optional commands, PLX_NVME_OACS_*, PLX_NVME_ONCS_* */
};

const struct plx_nvme_ctrl_info *plx_nvme_ctrl_info(const struct plx_nvme_ctrl *ctrl);

struct plx_ioas *plx_nvme_ctrl_ioas(const struct plx_nvme_ctrl *ctrl);

/* Running, or being reset: 0. -ENODEV: it is gone; -EIO: it failed, and plx_nvme_ctrl_reset() may
 * help. */
int plx_nvme_ctrl_state(const struct plx_nvme_ctrl *ctrl);

/*
 * Resets the controller and brings it up again. Queue pairs find out at their next poll: they are
 * made again, and what was in flight is sent again (opts.retries) or done with
 * PLX_NVME_ABORTED_BY_HOST. A failure leaves the controller off, and everything in flight is done
 * with PLX_NVME_HOST_PATHING_ERROR.
 */
int plx_nvme_ctrl_reset(struct plx_nvme_ctrl *ctrl);

/*
 * Asynchronous events [Base 5.2], errors of the controller, and keep alive: to be called every now
 * and then, by one thread. The callback runs inside, without locks held; namespaces that changed
 * have been looked at again. A fatal error, or a keep alive that isn't answered in its time, leads
 * to a reset, or, if a queue pair has the policy to fail, to the end. While this is called, the
 * queue pairs' threads leave looking at the controller to it. 0, or -ENODEV and -EIO as
 * plx_nvme_ctrl_state().
 */
struct plx_nvme_event {
	enum plx_nvme_event_type type;
	uint8_t info, log; /* which one, and the log page about it */
};

typedef void plx_nvme_event_fn(void *arg, const struct plx_nvme_event *event);

void plx_nvme_on_event(struct plx_nvme_ctrl *ctrl, plx_nvme_event_fn *fn, void *arg);
int plx_nvme_ctrl_poll(struct plx_nvme_ctrl *ctrl);

/*
 * Any admin command, and wait. The opcode says which way buf goes; it may be any memory, for it is
 * copied. result may be NULL: dword 0 of the completion. -ETIMEDOUT: no answer, -EIO: a fatal error
 * instead; the controller is off now.
 */
int plx_nvme_admin(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_cmd *cmd, void *buf,
		   size_t len, uint32_t *result);

/* Identify [Base 5.17]: 4096 bytes. */
int plx_nvme_identify(struct plx_nvme_ctrl *ctrl, enum plx_nvme_cns cns, uint32_t nsid, void *data);

/* Get Log Page [Base 5.16]: len bytes (a multiple of 4) from offset. */
int plx_nvme_get_log(struct plx_nvme_ctrl *ctrl, enum plx_nvme_log log, uint32_t nsid,
		     uint64_t offset, void *data, size_t len);

/* Get and Set Features [Base 5.15, 5.27], for features without a data buffer. */
int plx_nvme_get_feature(struct plx_nvme_ctrl *ctrl, enum plx_nvme_feature feature, uint32_t nsid,
			 uint32_t *value);
int plx_nvme_set_feature(struct plx_nvme_ctrl *ctrl, enum plx_nvme_feature feature, uint32_t nsid,
			 uint32_t value, uint32_t *result);

/* Format NVM [Base 5.14]. Nothing may be in flight for the namespace. */
struct plx_nvme_format {
	uint8_t lbaf;  /* index in the namespace's formats */
	bool extended; /* metadata behind each block, not in a buffer of its own */
	uint8_t pi;    /* type of protection, 0 to 3 */
	bool pi_first; /* in the first bytes of the metadata */
	uint8_t erase; /* 0: no; 1: user data; 2: cryptographic */
};

int plx_nvme_format(struct plx_nvme_ctrl *ctrl, uint32_t nsid,
		    const struct plx_nvme_format *format);

/*
 * Namespaces: those active, by NSID. They live as long as the controller: one that is detached is
 * only no longer found.
 */
struct plx_nvme_ns_info {
	uint32_t nsid;
	uint64_t blocks;
	uint32_t block_size; /* data, bytes */
	uint16_t meta_size;  /* bytes a block */
	bool extended;	     /* metadata follows each block's data in the buffer */
	uint8_t pi;	     /* type of protection information, 0: none */
	uint32_t unit;	     /* bytes of a block in a buffer: data, and metadata if extended */
	uint8_t lbaf;	     /* the format in use */
	uint8_t nguid[16], eui64[8];
};

struct plx_nvme_ns *plx_nvme_ns_get(struct plx_nvme_ctrl *ctrl, uint32_t nsid);

/* The active namespace after nsid (0: the first), or NULL. */
struct plx_nvme_ns *plx_nvme_ns_next(struct plx_nvme_ctrl *ctrl, uint32_t nsid);
const struct plx_nvme_ns_info *plx_nvme_ns_info(const struct plx_nvme_ns *ns);

/* Reads the list of namespaces and each one's attributes again. */
int plx_nvme_rescan(struct plx_nvme_ctrl *ctrl);

/*
 * Queue pairs.
 */

/* What to do with a command that takes longer than opts.timeout_ms. Each step may lead on. */
enum plx_nvme_timeout_policy {
	PLX_NVME_TIMEOUT_ABORT, /* abort it; if that doesn't help, reset */
	PLX_NVME_TIMEOUT_RESET, /* reset the controller; if that doesn't help, fail */
	PLX_NVME_TIMEOUT_FAIL,	/* turn the controller off, everything is done with an error */
};

/* Zeroes are good defaults. */
struct plx_nvme_qpair_opts {
	uint32_t depth;	     /* commands in flight; 0: 128, or what the controller can */
	size_t max_transfer; /* of a command, bytes; 0: the controller's limit, 1 MiB at most */
	bool irq;	     /* completions raise an interrupt: plx_nvme_wait() */
	uint32_t timeout_ms; /* 0: 30 s */
	enum plx_nvme_timeout_policy policy;
	int8_t retries; /* of commands that failed without "Do Not Retry"; 0: 4; -1: none */
};

/* Errors: -EINVAL, -ENOSPC (all queues that were granted are in use, or no vector), -ENOMEM. */
int plx_nvme_qpair_create(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_qpair_opts *opts,
			  struct plx_nvme_qpair **q);

/*
 * What is in flight is done with PLX_NVME_ABORTED_BY_HOST, and what callbacks would begin is
 * refused. Not from a callback. NULL is fine.
 */
void plx_nvme_qpair_destroy(struct plx_nvme_qpair *q);

uint16_t plx_nvme_qpair_id(const struct plx_nvme_qpair *q);
uint32_t plx_nvme_qpair_depth(const struct plx_nvme_qpair *q);

struct plx_nvme_qpair_stats {
	uint64_t commands;	  /* completed */
	uint64_t errors;	  /* of those, with an error status */
	uint64_t retries;	  /* sent again */
	uint64_t bad_completions; /* with an id that isn't in flight, or not any more */
	uint64_t timeouts, resets;
	uint64_t doorbells; /* written, of both queues */
};

void plx_nvme_qpair_stats(const struct plx_nvme_qpair *q, struct plx_nvme_qpair_stats *stats);

/*
 * Runs once for every request that was taken, inside plx_nvme_poll() or plx_nvme_qpair_destroy().
 * It may make new requests, but not poll or destroy its queue pair. status: 0 or the controller's;
 * of a request that was split, the first that failed. result: dword 0 of the completion.
 */
typedef void plx_nvme_done_fn(void *arg, uint16_t status, uint32_t result);

/*
 * Requests are put in the queue; plx_nvme_kick() tells the controller of all of them at once, and
 * so does the next plx_nvme_poll().
 *
 * 0: taken. -EAGAIN: as many in flight as there may be, or the queue is being made again: poll.
 * -EINVAL: a buffer's alignment, or parts of it that neither PRPs nor SGLs can name; -EFAULT: a
 * buffer that isn't mapped; -ENODEV and -EIO: see plx_nvme_ctrl_state(). Blocks that the namespace
 * hasn't got are the controller's to refuse.
 */
static inline __attribute__((always_inline)) int
plx_nvme_read(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns, void *buf, uint64_t lba,
	      uint32_t blocks, plx_nvme_done_fn *done, void *arg)
{
	return plx_nvme_fast(q, ns, PLX_NVME_READ, buf, lba, blocks, done, arg);
}

static inline __attribute__((always_inline)) int
plx_nvme_write(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns, const void *buf,
	       uint64_t lba, uint32_t blocks, plx_nvme_done_fn *done, void *arg)
{
	return plx_nvme_fast(q, ns, PLX_NVME_WRITE, (void *)(uintptr_t)buf, lba, blocks, done, arg);
}

int plx_nvme_flush(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns, plx_nvme_done_fn *done,
		   void *arg);

/*
 * Ranges in memory as any other buffer's; at most PLX_NVME_DSM_RANGES. attributes: PLX_NVME_DSM_*
 */
int plx_nvme_dsm(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns,
		 const struct plx_nvme_dsm_range *ranges, unsigned count, uint32_t attributes,
		 plx_nvme_done_fn *done, void *arg);

/* All that a command on blocks can say. Unused fields are 0. */
struct plx_nvme_io {
	uint8_t opcode; /* PLX_NVME_READ, WRITE, COMPARE, WRITE_ZEROES, VERIFY, ... */
	uint32_t flags; /* PLX_NVME_FUA and so on, of dword 12 */
	uint64_t lba;
	uint32_t blocks;
	void *buf;		 /* the data in one piece, */
	const struct iovec *iov; /* or scattered: kept until the request is done */
	unsigned iovcnt;	 /* 0: buf */
	void *meta;		 /* a namespace's separate metadata */
	uint32_t ref_tag;	 /* of the first block, where there is protection */
	uint16_t app_tag, app_mask;
};

int plx_nvme_submit(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns,
		    const struct plx_nvme_io *io, plx_nvme_done_fn *done, void *arg);

/* Any I/O command, with a buffer of len bytes (at most one command's) or none. Not retried. */
int plx_nvme_io_command(struct plx_nvme_qpair *q, const struct plx_nvme_cmd *cmd, void *buf,
			size_t len, plx_nvme_done_fn *done, void *arg);

/*
 * Asks the controller to abort [Base 5.1] all that is in flight on this queue pair for the request
 * or requests with this argument. Whatever comes of it, the callback runs once for each, as ever:
 * with PLX_NVME_ABORTED_BY_REQUEST if the controller did it, and without being tried again. A
 * controller that hasn't fetched the command yet, or has done most of it, goes on with it. Its
 * callback runs when both it and the Abort were answered.
 *
 * Returns how many commands the controller was asked to abort, 0 if there are none. If some are
 * left because it takes no more Aborts at a time, the next call asks for those; -EAGAIN: for none
 * could be asked yet, or the controller is being reset. -ENODEV and -EIO as with requests. Not for
 * hot loops: it looks through the whole queue.
 */
int plx_nvme_abort(struct plx_nvme_qpair *q, const void *arg);

void plx_nvme_kick(struct plx_nvme_qpair *q);

/*
 * Completes what the controller has completed, at most max commands (0: as many as can be in
 * flight); tells it of new ones. Returns how many. -EIO, -ENODEV: the controller is off, everything
 * in flight has been done with an error.
 */
int plx_nvme_poll(struct plx_nvme_qpair *q, unsigned max);

/*
 * With opts.irq: waits until there may be something to poll, ms milliseconds at most (-1: no
 * limit). 1: there may, or it is time to look for commands that are late, which polling does; 0:
 * time is over; -errno. Or wait on the descriptor: drain it, poll, sleep, and poll now and then
 * whatever it says, for a late command raises no interrupt.
 */
int plx_nvme_wait(struct plx_nvme_qpair *q, int ms);
int plx_nvme_qpair_fd(const struct plx_nvme_qpair *q);

#ifdef __cplusplus
}
#endif

#endif
