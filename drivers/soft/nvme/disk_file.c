/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files, by io_uring. The kernel never sees the client's memory, which may be unmapped at any time:
 * data goes through a buffer of our own, and is copied when the client's buffer has been looked up
 * anew.
 *
 *      snvme_file_start()     takes a slot, copies what is to be written
 *      snvme_files_turn()     submits, once a turn; takes what is done, goes on with what isn't
 *
 * What is under way can't be called back, and a driver sends its commands again after a reset: so
 * a reset is done, and a queue is gone, when nothing of before can come over what is written then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <liburing.h>
#include <pollux/log.h>

#include "snvme.h"

#define SLOTS 256u

/* A command under way; or what is left of one that nobody waits for any more. */
struct slot {
	struct plx_nvme_cmd cmd;
	struct snvme_sq *sq; /* NULL: its queue is gone */
	struct snvme_ns *ns;
	enum snvme_op op;
	uint16_t status; /* of Flush for all: the first that failed */
	uint32_t parts;	 /* of Flush for all: still to come */
	uint64_t offset; /* in the file */
	uint64_t len, done;
	uint8_t *buf;
	/* Dataset Management: ranges that are left. */
	unsigned ranges, range_at;
	struct plx_nvme_dsm_range range[PLX_NVME_DSM_RANGES];
	struct slot *next; /* free or held */
};

struct soft_files {
	struct io_uring ring;
	struct slot *slots, *free;
	struct slot *held; /* done, while the client's memory may not be written */
	uint8_t *bufs;
	size_t bufs_len;
	unsigned under_way;  /* slots in use, */
	unsigned held_count; /* these among them */
	unsigned unsubmitted;
};

int snvme_files_create(struct soft_nvme *nvme)
{
	struct soft_files *files = calloc(1, sizeof(*files));
	int err;

	if (!files)
		return -ENOMEM;
	/* Flush for all needs one entry a namespace. */
	err = io_uring_queue_init(SLOTS + SOFT_NVME_NAMESPACES, &files->ring, 0);
	if (err) {
		plx_err("files need io_uring, which this process can't have: %s%s", strerror(-err),
			err == -EPERM || err == -ENOSYS
				? " (kernel.io_uring_disabled, or a container's seccomp filter)"
				: "");
		free(files);
		return err;
	}
	nvme->files = files;
	files->bufs_len = (size_t)SLOTS * nvme->transfer;
	files->slots = calloc(SLOTS, sizeof(*files->slots));
	files->bufs = mmap(NULL, files->bufs_len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (files->bufs == MAP_FAILED)
		files->bufs = NULL;
	if (!files->slots || !files->bufs) {
		plx_err("no memory for what is on its way to files");
		return -ENOMEM;
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		files->slots[i].buf = files->bufs + (size_t)i * nvme->transfer;
		files->slots[i].next = files->free;
		files->free = &files->slots[i];
	}
	return 0;
}

static struct slot *take(struct soft_nvme *nvme, struct snvme_sq *sq, struct snvme_ns *ns,
			 const struct plx_nvme_cmd *cmd, enum snvme_op op)
{
	struct soft_files *files = nvme->files;
	struct slot *slot = files->free;

	if (!slot)
		return NULL;
	files->free = slot->next;
	files->under_way++;
	nvme->busy = true;
	slot->cmd = *cmd;
	slot->sq = sq;
	slot->ns = ns;
	slot->op = op;
	slot->status = 0;
	slot->parts = 0;
	slot->ranges = slot->range_at = 0;
	slot->offset = slot->len = slot->done = 0;
	return slot;
}

static void give_back(struct soft_nvme *nvme, struct slot *slot)
{
	struct soft_files *files = nvme->files;

	slot->sq = NULL;
	slot->next = files->free;
	files->free = slot;
	nvme->busy = --files->under_way;
}

/*
 * The command isn't done before its blocks are where they last [NVM 3.2.6, 3.2.8; Base 5.27.1.4].
 */
static bool lasts(const struct soft_nvme *nvme, const struct slot *slot)
{
	return nvme->feature.no_cache ||
	       (slot->cmd.opcode != PLX_NVME_DSM && le32toh(slot->cmd.cdw12) & PLX_NVME_FUA);
}

/* What is left of the slot's piece. There are as many entries as slots, and a flush's parts. */
static void go_on(struct soft_nvme *nvme, struct slot *slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&nvme->files->ring);
	const uint64_t offset = slot->offset + slot->done;
	const uint32_t len = (uint32_t)(slot->len - slot->done);
	const int fd = slot->ns->disk->fd;

	switch (slot->op) {
	case SNVME_WRITE:
		io_uring_prep_write(sqe, fd, slot->buf + slot->done, len, offset);
		sqe->rw_flags = lasts(nvme, slot) ? RWF_DSYNC : 0;
		break;
	case SNVME_READ:
	case SNVME_COMPARE:
	case SNVME_VERIFY: io_uring_prep_read(sqe, fd, slot->buf + slot->done, len, offset); break;
	case SNVME_ZERO:
		io_uring_prep_fallocate(sqe, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)slot->offset, (off_t)slot->len);
		break;
	case SNVME_FLUSH: io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC); break;
	}
	io_uring_sqe_set_data(sqe, slot);
	nvme->files->unsubmitted++;
}

uint16_t snvme_file_start(struct soft_nvme *nvme, struct snvme_sq *sq, struct snvme_ns *ns,
			  const struct plx_nvme_cmd *cmd, enum snvme_op op)
{
	const uint64_t lba = le32toh(cmd->cdw10) | (uint64_t)le32toh(cmd->cdw11) << 32;
	const uint32_t blocks = (le32toh(cmd->cdw12) & 0xffff) + 1;
	const bool moves = op == SNVME_READ || op == SNVME_WRITE || op == SNVME_COMPARE;
	struct snvme_cursor at = { nvme->iov, 0 };
	struct slot *slot;
	unsigned count;
	uint16_t status;

	/* A wrong buffer is to be told of before anything is done. */
	status = moves ? snvme_data(nvme, cmd, blocks << ns->shift,
				    op == SNVME_READ ? PLX_DMA_WRITE : PLX_DMA_READ, &count)
		       : 0;
	if (status)
		return status;
	slot = take(nvme, sq, ns, cmd, op);
	if (!slot)
		return SNVME_LATER;
	if (op != SNVME_FLUSH) {
		slot->offset = lba << ns->shift;
		slot->len = (uint64_t)blocks << ns->shift;
	}
	if (op == SNVME_WRITE)
		snvme_from_client(&at, slot->buf, slot->len);
	go_on(nvme, slot);
	return SNVME_PENDING;
}

/* The next range that isn't empty. False: there is none. */
static bool next_range(struct slot *slot)
{
	while (slot->range_at < slot->ranges) {
		const struct plx_nvme_dsm_range *range = &slot->range[slot->range_at++];

		slot->offset = le64toh(range->lba) << slot->ns->shift;
		slot->len = (uint64_t)le32toh(range->blocks) << slot->ns->shift;
		if (slot->len)
			return true;
	}
	return false;
}

uint16_t snvme_file_trim(struct soft_nvme *nvme, struct snvme_sq *sq, struct snvme_ns *ns,
			 const struct plx_nvme_cmd *cmd, const struct plx_nvme_dsm_range *range,
			 unsigned count)
{
	struct slot *slot = take(nvme, sq, ns, cmd, SNVME_ZERO);

	if (!slot)
		return SNVME_LATER;
	memcpy(slot->range, range, count * sizeof(*range));
	slot->ranges = count;
	if (!next_range(slot)) {
		give_back(nvme, slot);
		return 0;
	}
	go_on(nvme, slot);
	return SNVME_PENDING;
}

uint16_t snvme_file_flush_all(struct soft_nvme *nvme, struct snvme_sq *sq,
			      const struct plx_nvme_cmd *cmd)
{
	struct slot *slot;

	if (!nvme->files)
		return 0;
	/* One at a time has its entries kept free for it. */
	for (unsigned i = 0; i < SLOTS; i++) {
		if (nvme->files->slots[i].parts)
			return SNVME_LATER;
	}
	slot = take(nvme, sq, NULL, cmd, SNVME_FLUSH);
	if (!slot)
		return SNVME_LATER;
	for (unsigned i = 0; i < nvme->namespaces; i++) {
		if (nvme->ns[i].disk->kind != SOFT_DISK_FILE)
			continue;
		slot->ns = &nvme->ns[i];
		slot->parts++;
		go_on(nvme, slot);
	}
	return SNVME_PENDING;
}

static uint16_t failed(const struct slot *slot, int res)
{
	if (slot->op == SNVME_WRITE || slot->op == SNVME_ZERO || slot->op == SNVME_FLUSH)
		return res == -ENOSPC || res == -EDQUOT ? SNVME_BAD(CAPACITY_EXCEEDED)
							: PLX_NVME_WRITE_FAULT;
	return PLX_NVME_UNRECOVERED_READ;
}

/* What was read goes to where the client's buffer is now. */
static uint16_t hand_over(struct soft_nvme *nvme, struct slot *slot)
{
	struct snvme_cursor at = { nvme->iov, 0 };
	unsigned count;
	uint16_t status;

	if (slot->op != SNVME_READ && slot->op != SNVME_COMPARE)
		return 0;
	status = snvme_data(nvme, &slot->cmd, (uint32_t)slot->len,
			    slot->op == SNVME_READ ? PLX_DMA_WRITE : PLX_DMA_READ, &count);
	if (status)
		return status;
	if (slot->op == SNVME_COMPARE)
		return snvme_same(&at, slot->buf, slot->len) ? 0 : PLX_NVME_COMPARE_FAILURE;
	snvme_to_client(&at, slot->buf, slot->len);
	return 0;
}

/* Whether the slot's command is done, with its status. */
static bool step(struct soft_nvme *nvme, struct slot *slot, int res)
{
	const bool reads =
		slot->op == SNVME_READ || slot->op == SNVME_COMPARE || slot->op == SNVME_VERIFY;

	if (res < 0)
		slot->status = slot->status ? slot->status : failed(slot, res);
	if (slot->parts)
		return !--slot->parts;
	/* What nobody waits for any more isn't gone on with. */
	if (slot->status || !slot->sq)
		return true;
	if (reads || slot->op == SNVME_WRITE) {
		slot->done += (unsigned)res;
		/* Somebody made the file shorter. */
		if (!res)
			slot->status = failed(slot, 0);
		else if (slot->done < slot->len)
			go_on(nvme, slot);
		return !res || slot->done >= slot->len;
	}
	if (!next_range(slot)) {
		if (slot->op != SNVME_ZERO || !lasts(nvme, slot))
			return true;
		slot->op = SNVME_FLUSH;
	}
	go_on(nvme, slot);
	return false;
}

static void count(struct soft_nvme *nvme, const struct slot *slot)
{
	const unsigned read = slot->op == SNVME_READ;

	if (!read && slot->op != SNVME_WRITE)
		return;
	nvme->done[read]++;
	nvme->bytes[read] += slot->len;
	nvme->commands--; /* counted there */
}

static void finish(struct soft_nvme *nvme, struct slot *slot)
{
	struct soft_files *files = nvme->files;
	struct snvme_sq *sq = slot->sq;

	/* No bus master, for now: it is told when there is one again. */
	if (sq && !nvme->running) {
		slot->next = files->held;
		files->held = slot;
		files->held_count++;
		return;
	}
	if (sq) {
		if (!slot->status)
			slot->status = hand_over(nvme, slot);
		if (!slot->status)
			count(nvme, slot);
		sq->cq->reserved--;
		snvme_io_done(nvme, sq, &slot->cmd, slot->status);
		snvme_raise(nvme, sq->cq);
	}
	give_back(nvme, slot);
}

static void finish_held(struct soft_nvme *nvme)
{
	struct slot *slot = nvme->files->held, *next;

	nvme->files->held = NULL;
	nvme->files->held_count = 0;
	for (; slot; slot = next) {
		next = slot->next;
		finish(nvme, slot);
	}
}

static unsigned reap(struct soft_nvme *nvme, unsigned max)
{
	struct io_uring *ring = &nvme->files->ring;
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	while (n < max && !io_uring_peek_cqe(ring, &cqe)) {
		struct slot *slot = io_uring_cqe_get_data(cqe);
		const int res = cqe->res;

		io_uring_cqe_seen(ring, cqe);
		if (step(nvme, slot, res))
			finish(nvme, slot);
		n++;
	}
	return n;
}

static void submitted(struct soft_files *files, int sent)
{
	if (sent > 0)
		files->unsubmitted -= (unsigned)sent;
}

unsigned snvme_files_turn(struct soft_nvme *nvme)
{
	struct soft_files *files = nvme->files;

	if (files->unsubmitted)
		submitted(files, io_uring_submit(&files->ring));
	if (unlikely(files->held) && nvme->running)
		finish_held(nvme);
	return reap(nvme, SNVME_BATCH);
}

void snvme_files_wait(struct soft_nvme *nvme)
{
	struct soft_files *files = nvme->files;
	int sent = 0;

	while (files && files->under_way > files->held_count) {
		sent = io_uring_submit_and_wait(&files->ring, 1);
		submitted(files, sent);
		/* Signals, and what passes when the kernel has memory again. */
		if (sent < 0 && sent != -EINTR && sent != -EAGAIN && sent != -EBUSY) {
			plx_err("%s: commands for files can't be waited for: %s", nvme->name,
				strerror(-sent));
			return;
		}
		reap(nvme, SLOTS);
	}
}

void snvme_files_drop(struct soft_nvme *nvme, const struct snvme_sq *sq)
{
	if (!nvme->files)
		return;
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &nvme->files->slots[i];

		if (!slot->sq || (sq && slot->sq != sq))
			continue;
		slot->sq->cq->reserved--;
		slot->sq = NULL;
	}
	finish_held(nvme);
	snvme_files_wait(nvme);
}

/* The kernel is done with our buffers when the ring is gone, or before. */
void snvme_files_destroy(struct soft_nvme *nvme)
{
	struct soft_files *files = nvme->files;

	if (!files)
		return;
	if (files->under_way)
		snvme_files_drop(nvme, NULL);
	io_uring_queue_exit(&files->ring);
	if (files->bufs)
		munmap(files->bufs, files->bufs_len);
	free(files->slots);
	free(files);
}

int snvme_files_fd(const struct soft_nvme *nvme)
{
	return nvme->files ? nvme->files->ring.ring_fd : -1;
}
