/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the NVMe controller's model.
 *
 *   ctrl.c       life, PCI side, turns
 *   reg.c        registers: enabling, resetting, shutting down
 *   queue.c      queues: where they are, doorbells, completions
 *   admin.c      admin commands: queues, Abort, Doorbell Buffer Config, Format
 *   identify.c   Identify; log.c Get Log Page; feature.c Get and Set Features
 *   event.c      asynchronous events, the error log
 *   io.c         I/O commands: the plain ones at once, all others one by one
 *   data.c       data pointers: PRPs and SGLs
 *   disk.c       what namespaces lie on; disk_file.c files
 *   inject.c     mishaps
 *
 * Whatever the client writes, to registers, to doorbells, to queues or to lists, is input: it is
 * read once into a local variable, checked, and used.
 */
#ifndef SNVME_H
#define SNVME_H

#include <endian.h>
#include <sys/uio.h>

#include <pollux/ioas.h>
#include <pollux/nvme_spec.h>
#include <pollux/vfu.h>
#include <pollux/vfu_config.h>

#include "regs.h"
#include "soft_nvme.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Registers and bits that the driver has no use for [Base 3.1.3]. */
#define NVME_INTMS	 0x0c
#define NVME_INTMC	 0x10
#define NVME_NSSR	 0x20
#define NVME_CAP_CQR	 (UINT64_C(1) << 16)
#define NVME_CC_WRITABLE 0x00fffff1u

/* Fields of CC. */
#define CC_CSS(cc)    ((cc) >> 4 & 7)
#define CC_MPS(cc)    ((cc) >> 7 & 0xf)
#define CC_AMS(cc)    ((cc) >> 11 & 7)
#define CC_IOSQES(cc) ((cc) >> 16 & 0xf)
#define CC_IOCQES(cc) ((cc) >> 20 & 0xf)

#define SNVME_MPS_MAX  4       /* pages of 4 to 64 KiB */
#define SNVME_TO       20      /* CAP.TO: 10 s, for files to be flushed */
#define SNVME_VS       0x10400 /* 1.4 */
#define SNVME_REGS_END 0x1000
#define SNVME_BAR_MSIX 4
#define SNVME_BAR_CMB  2
#define SNVME_MSIX_LEN 0x1000
#define SNVME_MSIX_PBA 0x800

#define SNVME_AERS		 8   /* Asynchronous Event Requests at once */
#define SNVME_ABORTS		 4   /* ACL + 1: none is ever outstanding */
#define SNVME_ERRORS		 16  /* entries of the error log */
#define SNVME_STUCK		 64  /* commands that are kept back at once */
#define SNVME_MEMORY_TEMPERATURE 300 /* K: nothing here gets warm */
#define SNVME_META		 8   /* bytes a block, where there is metadata */

#define SNVME_BATCH 32 /* commands of a queue in a turn */

/* A status that none is: the command isn't done yet, or can't be begun now. */
#define SNVME_PENDING 0xffff
#define SNVME_LATER   0xfffe

/* What a wrong command gets: the same again would be as wrong. */
#define SNVME_BAD(code) ((uint16_t)(PLX_NVME_##code | PLX_NVME_DNR))

/* Pieces of 2 MiB that lie in one map of the client's, for reading and writing. */
#define SNVME_TLB_SHIFT 21
#define SNVME_TLB_LINES 256
#define SNVME_TLB_SIZE	(1u << SNVME_TLB_SHIFT)

/* A transfer of SOFT_NVME_TRANSFER_MAX in pages of 4 KiB, not aligned; and its metadata. */
#define SNVME_SEGMENTS	    (SOFT_NVME_TRANSFER_MAX / 4096 + 2)
#define SNVME_META_SEGMENTS (SOFT_NVME_TRANSFER_MAX / 512 * SNVME_META / 4096 + 2)

struct snvme_cq {
	struct plx_nvme_cqe *ring; /* in the client's memory */
	volatile uint32_t *doorbell;
	uint32_t tail, size;
	uint32_t room;	/* entries that may be posted */
	uint32_t head;	/* the client's, when it was looked at last */
	uint16_t phase; /* of the next entry: 0 or 1 */
	bool irq;	/* completions interrupt, */
	bool posted;	/* and there were some */
	bool used;
	bool stopped; /* its head was wrong */
	uint16_t id, vector;
	uint32_t reserved; /* of the room, for commands under way */
	unsigned users;	   /* submission queues */
	uint64_t base;
	volatile uint32_t *event; /* with shadow doorbells: see snvme_dbbuf_set() */
};

struct snvme_sq {
	const struct plx_nvme_cmd *ring; /* in the client's memory */
	volatile uint32_t *doorbell;
	struct snvme_cq *cq;
	uint32_t head, size;
	uint16_t id;
	bool used;
	bool stopped; /* its tail was wrong */
	bool tried;   /* the next command, which could not be begun */
	uint64_t base;
	volatile uint32_t *event;
};

/* What plain commands need to know of a namespace. */
struct snvme_plain {
	uint64_t blocks; /* 0: none of its commands is plain */
	uint8_t *mem;	 /* NULL: there is nothing to be copied */
	uint32_t shift;	 /* log2 of a block's bytes */
};

struct soft_disk;

struct snvme_ns {
	struct soft_disk *disk;
	const struct soft_ns_conf *conf;
	uint64_t blocks;
	uint32_t shift; /* log2 of a block's bytes */
	uint32_t meta;	/* bytes of metadata a block */
	bool extended;	/* behind each block's data, not in a buffer of its own */
	uint8_t format; /* which of snvme_formats() */
	uint32_t nsid;
};

struct snvme_error {
	uint64_t count;
	uint64_t lba;
	uint32_t nsid;
	uint16_t sqid, cid, status;
};

struct snvme_stuck {
	uint16_t sqid, cid;
};

struct soft_nvme {
	struct plx_vfu *vfu;
	bool running; /* commands are to be carried out */
	bool busy;    /* files: there may be something to reap or to submit */
	unsigned polled_count;
	uint32_t page_mask; /* of CC.MPS */
	uint32_t namespaces;
	/* Of plain commands, by opcode less one: writes, reads. */
	uint64_t done[2], bytes[2];
	struct snvme_sq *polled[SOFT_NVME_QUEUES + 1];
	struct snvme_plain plain[SOFT_NVME_NAMESPACES];
	struct {
		uint64_t page;
		uint8_t *base;
	} tlb[SNVME_TLB_LINES];
	struct snvme_sq sq[SOFT_NVME_QUEUES + 1];
	struct snvme_cq cq[SOFT_NVME_QUEUES + 1];

	/* below: not touched by plain commands */
	const char *name;
	struct plx_vfu_config config;
	uint64_t cap, asq, acq, cmbmsc;
	uint32_t cc, csts, aqa, intm;
	uint8_t *doorbells; /* the shared pages */
	uint32_t doorbells_len;
	uint8_t *cmb;
	uint64_t cmb_len;
	uint8_t msix[SNVME_MSIX_LEN];
	unsigned queues, entries, stride;
	uint32_t transfer;
	struct snvme_ns ns[SOFT_NVME_NAMESPACES];
	struct soft_ns_conf ns_conf[SOFT_NVME_NAMESPACES];

	uint64_t shadow, events_at; /* of Doorbell Buffer Config, 0: it isn't in use */
	uint64_t now, alive;	    /* ns; when keep alive was heard last */
	struct {
		uint32_t arbitration, recovery, coalescing, atomicity, async, kato;
		uint16_t over, under; /* temperature thresholds */
		bool no_cache;
		bool no_coalescing[SOFT_NVME_QUEUES + 1]; /* of a vector */
	} feature;

	/* Events [Base 5.2.1]: one of each type is told until its log page is read. */
	uint16_t aer[SNVME_AERS]; /* command ids */
	unsigned aers;
	uint32_t event[8]; /* by type: what to say, 0: nothing */
	uint8_t told;	   /* types */
	uint32_t changed[SOFT_NVME_NAMESPACES];
	unsigned changes;
	struct snvme_error error[SNVME_ERRORS];
	uint64_t error_count; /* since the controller was made */

	struct soft_inject inject;
	uint64_t inject_count[SOFT_INJECT_STATUSES], inject_commands;
	struct snvme_stuck stuck[SNVME_STUCK];
	unsigned stuck_count;

	uint64_t commands, admin, errors, injected, faults, unknown, resets, clients;
	bool was_connected;
	uint32_t hash; /* of the path: serial numbers */
	struct soft_files *files;
	struct iovec iov[SNVME_SEGMENTS], meta_iov[SNVME_META_SEGMENTS];
	uint8_t scratch[PLX_NVME_IDENTIFY_LEN];
};

/* ctrl.c */
void snvme_say(struct soft_nvme *nvme, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* reg.c */
void snvme_reg_access(struct soft_nvme *nvme, uint64_t offset, void *buf, size_t len, bool write);
void snvme_stop(struct soft_nvme *nvme);   /* as CC.EN going to 0 */
void snvme_fatal(struct soft_nvme *nvme);  /* CSTS.CFS */
void snvme_update(struct soft_nvme *nvme); /* whether it is running */
void snvme_reg_init(struct soft_nvme *nvme);
void snvme_reg_reset(struct soft_nvme *nvme); /* as at power-on */

/* queue.c */
uint16_t snvme_cq_open(struct soft_nvme *nvme, unsigned id, uint64_t base, uint32_t size);
uint16_t snvme_sq_open(struct soft_nvme *nvme, unsigned id, uint64_t base, uint32_t size,
		       struct snvme_cq *cq);
void snvme_cq_close(struct soft_nvme *nvme, struct snvme_cq *cq);
void snvme_sq_close(struct soft_nvme *nvme, struct snvme_sq *sq);
void snvme_queues_close(struct soft_nvme *nvme);
bool snvme_queues_find(struct soft_nvme *nvme); /* again, after the client's maps have changed */
void snvme_poll_list(struct soft_nvme *nvme);
void snvme_dbbuf_events(struct soft_nvme *nvme);
void snvme_unused_doorbells(struct soft_nvme *nvme);
uint32_t snvme_cq_room(struct soft_nvme *nvme, struct snvme_cq *cq); /* looks at the head */
void snvme_sq_wrong(struct soft_nvme *nvme, struct snvme_sq *sq, uint32_t tail);
void snvme_post(struct snvme_sq *sq, uint16_t cid, uint16_t status, uint32_t result);
void snvme_irq(struct soft_nvme *nvme, struct snvme_cq *cq);
uint8_t *snvme_dma_miss(struct soft_nvme *nvme, uint64_t addr, uint32_t len, unsigned access);
uint16_t snvme_no_memory(const struct soft_nvme *nvme, uint64_t addr); /* the status */

/* The client's memory at addr, or NULL: not there in one piece. */
static inline uint8_t *snvme_dma(struct soft_nvme *nvme, uint64_t addr, uint32_t len,
				 unsigned access)
{
	const uint64_t page = addr >> SNVME_TLB_SHIFT;
	const uint32_t offset = addr & (SNVME_TLB_SIZE - 1);
	const unsigned line = page % SNVME_TLB_LINES;

	if (likely(nvme->tlb[line].page == page && len <= SNVME_TLB_SIZE - offset))
		return nvme->tlb[line].base + offset;
	return snvme_dma_miss(nvme, addr, len, access);
}

static inline void snvme_raise(struct soft_nvme *nvme, struct snvme_cq *cq)
{
	if (unlikely(cq->irq) && cq->posted)
		snvme_irq(nvme, cq);
	cq->posted = false;
}

/* The next entry, which there is room for. result and status as they lie in it. */
static inline void snvme_put(struct snvme_cq *cq, uint64_t low, uint64_t high)
{
	uint64_t *entry = (uint64_t *)&cq->ring[cq->tail];

	/* The half with the phase tag last: whoever sees it turned sees all of it. */
	__atomic_store_n(&entry[0], htole64(low), __ATOMIC_RELAXED);
	__atomic_store_n(&entry[1], htole64(high | (uint64_t)cq->phase << 48), __ATOMIC_RELEASE);
	if (unlikely(++cq->tail == cq->size)) {
		cq->tail = 0;
		cq->phase ^= 1;
	}
}

/* admin.c */
unsigned snvme_admin_turn(struct soft_nvme *nvme, struct snvme_sq *sq);
/* len bytes of an answer to where the command says; the rest of want is zeroes. */
uint16_t snvme_answer(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd, const void *data,
		      size_t len, size_t want);

/* identify.c, log.c, feature.c */
uint16_t snvme_identify(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd);
uint16_t snvme_get_log(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd);
uint16_t snvme_get_features(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd,
			    uint32_t *result);
uint16_t snvme_set_features(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd,
			    uint32_t *result);
void snvme_features_reset(struct soft_nvme *nvme);
uint8_t snvme_critical_warning(const struct soft_nvme *nvme);

struct snvme_format {
	uint8_t shift;
	uint8_t meta;
};

/* The formats that a namespace can have. */
const struct snvme_format *snvme_formats(const struct snvme_ns *ns, unsigned *count);

/* event.c */
uint16_t snvme_aer(struct soft_nvme *nvme, uint16_t cid);
void snvme_event(struct soft_nvme *nvme, enum plx_nvme_event_type type, uint8_t info, uint8_t log);
void snvme_events_tell(struct soft_nvme *nvme);
void snvme_event_read(struct soft_nvme *nvme, uint8_t log); /* its log page was */
void snvme_events_reset(struct soft_nvme *nvme);
void snvme_log_error(struct soft_nvme *nvme, uint16_t sqid, const struct plx_nvme_cmd *cmd,
		     uint16_t status);
void snvme_ns_changed(struct soft_nvme *nvme, uint32_t nsid);

#define SNVME_ERROR_BAD_REGISTER 0 /* Write to Invalid Doorbell Register [Base 5.2.1] */
#define SNVME_ERROR_BAD_VALUE	 1 /* Invalid Doorbell Write Value */
#define SNVME_SMART_TEMPERATURE	 1

/* io.c */
unsigned snvme_io_turn(struct soft_nvme *nvme, struct snvme_sq *sq);
void snvme_ns_set(struct soft_nvme *nvme, struct snvme_ns *ns, unsigned format, bool extended);
void snvme_io_done(struct soft_nvme *nvme, struct snvme_sq *sq, const struct plx_nvme_cmd *cmd,
		   uint16_t status);

/*
 * data.c: where a command's len bytes are. 0 with nvme->iov and *count, or a status. access:
 * PLX_DMA_WRITE if they will be written.
 */
uint16_t snvme_data(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd, uint32_t len,
		    unsigned access, unsigned *count);

/*
 * len bytes that are one piece to the client, and may lie in several maps: in up to max segments. 0
 * or a status.
 */
uint16_t snvme_run(struct soft_nvme *nvme, uint64_t addr, uint32_t len, unsigned access,
		   struct iovec *iov, unsigned max);

/* Walks segments. */
struct snvme_cursor {
	const struct iovec *iov;
	size_t off;
};

void snvme_to_client(struct snvme_cursor *at, const void *from, size_t len);
void snvme_from_client(struct snvme_cursor *at, void *to, size_t len);
bool snvme_same(struct snvme_cursor *at, const void *as, size_t len);

/*
 * Disks.
 */
enum snvme_op { SNVME_READ, SNVME_WRITE, SNVME_COMPARE, SNVME_VERIFY, SNVME_ZERO, SNVME_FLUSH };

struct soft_disk {
	enum soft_disk_kind kind;
	uint64_t size;
	uint8_t *mem, *meta; /* of RAM: its bytes, and 8 for each 512 of them */
	int fd;		     /* of a file */
};

int snvme_disk_open(struct soft_nvme *nvme, const struct soft_ns_conf *conf,
		    struct soft_disk **disk);
void snvme_disk_close(struct soft_disk *disk);

/* All of it reads as zeroes again. Waits. -errno. */
int snvme_disk_clear(struct soft_disk *disk);
int snvme_disk_sync(struct soft_disk *disk);
void snvme_disk_zero(struct soft_disk *disk, uint64_t offset, uint64_t len); /* not of files */

/*
 * disk_file.c: commands that take their time. SNVME_PENDING: the command is under way, and
 * snvme_io_done() follows. SNVME_LATER: too many are.
 */
int snvme_files_create(struct soft_nvme *nvme);
void snvme_files_destroy(struct soft_nvme *nvme);
uint16_t snvme_file_start(struct soft_nvme *nvme, struct snvme_sq *sq, struct snvme_ns *ns,
			  const struct plx_nvme_cmd *cmd, enum snvme_op op);
uint16_t snvme_file_trim(struct soft_nvme *nvme, struct snvme_sq *sq, struct snvme_ns *ns,
			 const struct plx_nvme_cmd *cmd, const struct plx_nvme_dsm_range *range,
			 unsigned count);
/* Of all namespaces. 0: none of them is a file. */
uint16_t snvme_file_flush_all(struct soft_nvme *nvme, struct snvme_sq *sq,
			      const struct plx_nvme_cmd *cmd);
unsigned snvme_files_turn(struct soft_nvme *nvme);
/* Until all commands under way are done. Sleeps. */
void snvme_files_wait(struct soft_nvme *nvme);
/*
 * The queue's commands (NULL: everybody's) are never completed, and do nothing any more after this.
 * Sleeps.
 */
void snvme_files_drop(struct soft_nvme *nvme, const struct snvme_sq *sq);
int snvme_files_fd(const struct soft_nvme *nvme); /* readable: something is done; -1: no files */

/* inject.c: whether something happens to the command, *status what it is given then. */
enum snvme_mishap { SNVME_NONE, SNVME_STATUS, SNVME_DROP, SNVME_KEEP, SNVME_BAD_CID, SNVME_FATAL };

enum snvme_mishap snvme_mishap(struct soft_nvme *nvme, uint8_t opcode, uint16_t *status);

#endif
