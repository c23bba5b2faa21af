/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that take several commands: longer than the controller's limit (MDTS, or that of the
 * command: VSL, WZSL), across a
 * boundary of the namespace (NOIOB), or in memory that one command can't name.
 *
 * A request takes what trackers are free when it starts; the rest of it waits for its own ones.
 * So it always has one, whatever else is going on in the queue.
 */
#include <errno.h>

#include "nvme.h"

/* Blocks of the next piece, or -errno. */
static int64_t next_blocks(const struct plx_nvme_qpair *q, const struct nvme_split *s)
{
	const struct plx_nvme_io *io = &s->io;
	uint64_t blocks = io->blocks < NVME_BLOCKS_MAX ? io->blocks : NVME_BLOCKS_MAX;
	struct nvme_limit limit;
	ssize_t reach;

	if (s->ns->fast.boundary_mask) {
		/* The mask's zeroes are the bits that count up to the boundary. */
		uint64_t left =
			~s->ns->fast.boundary_mask - (io->lba & ~s->ns->fast.boundary_mask) + 1;

		blocks = blocks < left ? blocks : left;
	}
	limit = nvme_limit(q, s->ns, io, s->unit);
	if (limit.unit && blocks > limit.len / limit.unit)
		blocks = limit.len / limit.unit;
	if (!s->unit)
		return blocks ? (int64_t)blocks : -EINVAL;
	reach = nvme_reach(q, (struct nvme_data){ io->iov, s->seg_off }, blocks * s->unit);
	if (reach < 0)
		return reach;
	blocks = (uint64_t)reach / s->unit;
	return blocks ? nvme_meta_reach(q, s->ns, io, blocks) : -EINVAL;
}

static void advance(struct nvme_split *s, uint32_t blocks)
{
	struct plx_nvme_io *io = &s->io;
	size_t bytes = (size_t)blocks * s->unit;

	io->lba += blocks;
	io->blocks -= blocks;
	/* Type 3 has no reference tag that counts [NVM 5.2]. */
	if (s->ns->info.pi != 3)
		io->ref_tag += blocks;
	if (io->meta)
		io->meta = (char *)io->meta + (size_t)blocks * s->ns->info.meta_size;
	while (bytes) {
		size_t left = io->iov->iov_len - s->seg_off;

		if (bytes < left) {
			s->seg_off += bytes;
			break;
		}
		bytes -= left;
		io->iov++;
		s->seg_off = 0;
	}
}

/* Goes through all pieces without sending any: half a request is of no use to anyone. */
static int rehearse(const struct plx_nvme_qpair *q, const struct nvme_split *s)
{
	struct nvme_split copy = *s;

	while (copy.io.blocks) {
		int64_t blocks = next_blocks(q, &copy);

		if (blocks < 0)
			return (int)blocks;
		advance(&copy, (uint32_t)blocks);
	}
	return 0;
}

/* The next piece, in a tracker that is ours. */
static int send_piece(struct plx_nvme_qpair *q, struct nvme_split *s, struct nvme_tracker *tr)
{
	int64_t blocks = next_blocks(q, s);
	struct plx_nvme_io io = s->io;
	int err;

	if (blocks < 0)
		return (int)blocks;
	io.blocks = (uint32_t)blocks;
	err = nvme_set_io(q, tr, s->ns, &io, s->seg_off, s->unit);
	if (err)
		return err;
	advance(s, io.blocks);
	tr->fast.split = s;
	tr->fast.retries = q->retries;
	tr->fast.busy = NVME_BUSY;
	s->running++;
	nvme_push(q, tr);
	return 0;
}

/* The memory was unmapped under a request that runs. */
static void give_up(struct nvme_split *s)
{
	if (!s->status)
		s->status = PLX_NVME_DATA_TRANSFER_ERROR;
}

int nvme_split_start(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns,
		     const struct plx_nvme_io *io, uint32_t unit, plx_nvme_done_fn *done, void *arg)
{
	struct nvme_split *s = q->free_split;
	int err;

	q->free_split = s->next_free;
	*s = (struct nvme_split){ .done = done, .arg = arg, .ns = ns, .io = *io, .unit = unit };
	if (!io->iovcnt) {
		s->one = (struct iovec){ io->buf, (size_t)io->blocks * unit };
		s->io.iov = &s->one;
		s->io.iovcnt = 1;
	}
	err = rehearse(q, s);
	while (!err && s->io.blocks && q->fast.free) {
		struct nvme_tracker *tr = nvme_tracker_take(q);

		err = send_piece(q, s, tr);
		if (err)
			nvme_tracker_free(q, tr);
	}
	if (!err)
		return 0;
	if (s->running) {
		give_up(s);
		return 0;
	}
	s->next_free = q->free_split;
	q->free_split = s;
	return err;
}

void nvme_split_done(struct plx_nvme_qpair *q, struct nvme_tracker *tr, uint16_t status,
		     uint32_t result)
{
	struct nvme_split *s = tr->fast.split;
	plx_nvme_done_fn *done = s->done;
	void *arg = s->arg;

	s->running--;
	if (status && !s->status)
		s->status = status;
	if (!s->status && s->io.blocks) {
		if (!send_piece(q, s, tr))
			return;
		give_up(s);
	}
	nvme_tracker_free(q, tr);
	if (s->running)
		return;
	status = s->status;
	s->next_free = q->free_split;
	q->free_split = s;
	done(arg, status, result);
}
