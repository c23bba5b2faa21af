/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests into commands. A read or write of one buffer that one command can do takes the short
 * way; all else the long one, and in the end split.c.
 *
 * There are as many trackers as the submission queue has entries, less one: whoever has a tracker
 * has an entry.
 */
#include <endian.h>
#include <errno.h>

#include "nvme.h"

int nvme_down_error(const struct plx_nvme_qpair *q)
{
	switch (__atomic_load_n(&q->ctrl->state, __ATOMIC_RELAXED)) {
	case NVME_REMOVED: return -ENODEV;
	case NVME_RESETTING: return -EAGAIN;
	case NVME_RUNNING:
		/* It has been brought up again, and this queue pair will notice. */
		if (__atomic_load_n(&q->lost, __ATOMIC_RELAXED))
			return -EAGAIN;
		return -EIO;
	default: return -EIO;
	}
}

/* Why nothing can be taken. */
static int __attribute__((noinline, cold)) refuse(const struct plx_nvme_qpair *q)
{
	return q->down ? nvme_down_error(q) : -EAGAIN;
}

/* Down, it stays in its tracker: it is sent when the queue is up again, or done with an error. */
void nvme_push(struct plx_nvme_qpair *q, struct nvme_tracker *tr)
{
	struct plx_nvme_cmd *tail = q->fast.tail;

	tr->fast.tick = q->tick;
	if (q->down)
		return;
	tr->cmd.cid = htole16(tr->fast.cid);
	*tail++ = tr->cmd;
	q->fast.tail = tail == q->fast.sq_end ? q->fast.sq : tail;
}

/*
 * Shadow doorbells [Base 5.8]: the new value goes to memory, and to the register only if it goes
 * past what the controller asked to be told of. What it was before isn't read from there: the
 * controller could have written to it.
 */
static bool shadow_update(volatile uint32_t *shadow, volatile uint32_t *event, uint32_t old,
			  uint32_t value)
{
	uint16_t asked;

	plx_pci_wmb();
	*shadow = htole32(value);
	/* It sees the value, or we see what it asks for. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	asked = (uint16_t)le32toh(*event);
	return (uint16_t)(value - asked - 1) < (uint16_t)(value - old);
}

static void write_doorbell(volatile uint32_t *doorbell, uint32_t value)
{
	plx_pci_wmb();
	*doorbell = htole32(value);
}

void nvme_ring(struct plx_nvme_qpair *q)
{
	uint32_t tail = nvme_sq_tail(q), old = q->sq_rung;

	q->sq_rung = tail;
	if (unlikely(q->shadowed) && !shadow_update(q->sq_shadow, q->sq_event, old, tail))
		return;
	q->doorbells++;
	write_doorbell(q->sq_doorbell, tail);
}

void nvme_ring_head(struct plx_nvme_qpair *q)
{
	if (unlikely(q->shadowed)) {
		uint32_t old = q->cq_told;

		q->cq_told = q->cq_head;
		if (!shadow_update(q->cq_shadow, q->cq_event, old, q->cq_head))
			return;
	}
	q->doorbells++;
	write_doorbell(q->cq_doorbell, q->cq_head);
}

void plx_nvme_kick(struct plx_nvme_qpair *q)
{
	if (nvme_sq_tail(q) != q->sq_rung)
		nvme_ring(q);
}

/* All of a command but its data pointer and its id. */
static inline void set_command(struct nvme_tracker *tr, uint8_t opcode, uint32_t nsid)
{
	struct plx_nvme_cmd *cmd = &tr->cmd;

	cmd->opcode = opcode;
	cmd->flags = PLX_NVME_PSDT_PRP;
	cmd->nsid = htole32(nsid);
	cmd->cdw2 = cmd->cdw3 = 0;
	cmd->mptr = 0;
	cmd->prp1 = cmd->prp2 = 0;
	cmd->cdw13 = cmd->cdw14 = cmd->cdw15 = 0;
}

static inline void set_blocks(struct nvme_tracker *tr, uint64_t lba, uint32_t blocks,
			      uint32_t flags)
{
	tr->cmd.cdw10 = htole32((uint32_t)lba);
	tr->cmd.cdw11 = htole32((uint32_t)(lba >> 32));
	tr->cmd.cdw12 = htole32((blocks - 1) | flags);
}

static inline void set_owner(struct plx_nvme_qpair *q, struct nvme_tracker *tr,
			     plx_nvme_done_fn *done, void *arg)
{
	tr->fast.done = done;
	tr->fast.arg = arg;
	tr->fast.retries = q->retries;
}

void nvme_make_whole(struct nvme_tracker *tr)
{
	const struct plx_nvme_fast_cmd *fast = &tr->fast;

	if (fast->busy != NVME_PLAIN)
		return;
	plx_nvme_fast_put(&tr->cmd, fast->word0, fast->prp1, fast->lba, htole64(fast->last));
	tr->fast.split = NULL;
	tr->fast.busy = NVME_BUSY;
}

int plx_nvme_read_write(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns, uint8_t opcode,
			void *buf, uint64_t lba, uint32_t blocks, plx_nvme_done_fn *done, void *arg)
{
	const struct plx_nvme_io io = {
		.opcode = opcode, .lba = lba, .blocks = blocks, .buf = buf
	};

	return plx_nvme_submit(q, ns, &io, done, arg);
}

/* SGLs where PRPs would need a list, or can't. */
int nvme_map(struct plx_nvme_qpair *q, struct nvme_tracker *tr, struct nvme_data at, size_t len)
{
	bool sgl = q->ctrl->info.sgl && q->id;
	int err;

	if (sgl && len > 2 * ((size_t)q->page_mask + 1) && !nvme_sgl(q, tr, at, len))
		return 0;
	err = nvme_prp(q, tr, at, len);
	return err == -EINVAL && sgl ? nvme_sgl(q, tr, at, len) : err;
}

ssize_t nvme_reach(const struct plx_nvme_qpair *q, struct nvme_data at, size_t len)
{
	ssize_t prp = nvme_prp_reach(q, at, len), sgl = 0;

	if (prp >= 0 && (size_t)prp < len && q->ctrl->info.sgl)
		sgl = nvme_sgl_reach(q, at, len);
	return prp > sgl && sgl >= 0 ? prp : prp < 0 ? prp : sgl;
}

/* The controller makes the protection information when it writes, and strips it when it reads. */
static bool strips(const struct plx_nvme_ns *ns, const struct plx_nvme_io *io)
{
	return io->flags & PLX_NVME_PRACT && ns->strippable;
}

/* Metadata in a buffer of its own: one address, which no SGL replaces here. */
int64_t nvme_meta_reach(const struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns,
			const struct plx_nvme_io *io, uint64_t blocks)
{
	size_t want = blocks * ns->info.meta_size, len = 0;
	uint64_t dma = plx_xlate_dma(q->fast.xlate, io->meta);
	const struct iovec one = { io->meta, want };
	struct nvme_data at = { &one, 0 };

	if (!ns->separate_meta || strips(ns, io))
		return (int64_t)blocks;
	if (dma & 3)
		return dma == PLX_DMA_BAD ? -EFAULT : -EINVAL;
	while (len < want) {
		struct nvme_run run = nvme_next_run(q->fast.xlate, &at, want - len);

		if (run.dma == PLX_DMA_BAD)
			return -EFAULT;
		if (run.dma != dma + len)
			break;
		len += run.len;
	}
	return len / ns->info.meta_size ? (int64_t)(len / ns->info.meta_size) : -EINVAL;
}

static int set_meta(struct plx_nvme_qpair *q, struct nvme_tracker *tr, const struct plx_nvme_ns *ns,
		    const struct plx_nvme_io *io)
{
	int64_t reach = nvme_meta_reach(q, ns, io, io->blocks);

	if (reach < io->blocks)
		return reach < 0 ? (int)reach : -EINVAL;
	tr->cmd.mptr = htole64(plx_xlate_dma(q->fast.xlate, io->meta));
	return 0;
}

int nvme_set_io(struct plx_nvme_qpair *q, struct nvme_tracker *tr, const struct plx_nvme_ns *ns,
		const struct plx_nvme_io *io, size_t off, uint32_t unit)
{
	const struct iovec one = { io->buf, (size_t)io->blocks * unit };
	struct nvme_data at = { io->iovcnt ? io->iov : &one, off };
	int err = 0;

	set_command(tr, io->opcode, ns->nsid);
	set_blocks(tr, io->lba, io->blocks, io->flags);
	if (ns->info.pi) {
		tr->cmd.cdw14 = htole32(io->ref_tag);
		tr->cmd.cdw15 = htole32(io->app_tag | (uint32_t)io->app_mask << 16);
	}
	if (unit)
		err = nvme_map(q, tr, at, (size_t)io->blocks * unit);
	if (!err && unit && ns->separate_meta && !strips(ns, io))
		err = set_meta(q, tr, ns, io);
	return err;
}

/* Bytes of a block in the buffer; 0 where there is no data. */
static uint32_t unit_of(const struct plx_nvme_ns *ns, const struct plx_nvme_io *io)
{
	if (io->opcode != PLX_NVME_READ && io->opcode != PLX_NVME_WRITE &&
	    io->opcode != PLX_NVME_COMPARE)
		return 0;
	return strips(ns, io) ? ns->info.block_size : ns->unit;
}

static bool enough_data(const struct plx_nvme_io *io, uint64_t len)
{
	uint64_t have = 0;

	for (unsigned i = 0; i < io->iovcnt && have < len; i++)
		have += io->iov[i].iov_len;
	return have >= len;
}

static bool legal(const struct plx_nvme_ns *ns, const struct plx_nvme_io *io, uint32_t unit)
{
	if (!io->blocks || io->flags & UINT16_MAX)
		return false;
	if (!unit)
		return true;
	/* Else the controller would put the metadata at address 0. */
	if (ns->separate_meta && !io->meta && !strips(ns, io))
		return false;
	return !io->iovcnt || enough_data(io, (uint64_t)io->blocks * unit);
}

int plx_nvme_submit(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns,
		    const struct plx_nvme_io *io, plx_nvme_done_fn *done, void *arg)
{
	uint32_t unit = unit_of(ns, io);
	struct nvme_limit limit = nvme_limit(q, ns, io, unit);
	struct nvme_tracker *tr;
	int err;

	if (unlikely(!q->fast.free || q->down))
		return refuse(q);
	if (!legal(ns, io, unit))
		return -EINVAL;
	if ((uint64_t)io->blocks * limit.unit > limit.len || io->blocks > NVME_BLOCKS_MAX ||
	    plx_nvme_fast_crosses(&ns->fast, io->lba, io->blocks))
		return nvme_split_start(q, ns, io, unit, done, arg);
	tr = nvme_tracker_take(q);
	err = nvme_set_io(q, tr, ns, io, 0, unit);
	if (err) {
		nvme_tracker_free(q, tr);
		/* What can't be named at once may be nameable in parts. */
		if (err == -EINVAL && (io->iovcnt > 1 || io->meta))
			err = nvme_split_start(q, ns, io, unit, done, arg);
		return err;
	}
	set_owner(q, tr, done, arg);
	nvme_push(q, tr);
	return 0;
}

/* A command for the buffer at prp1 of len bytes, or none. */
static int submit_command(struct plx_nvme_qpair *q, const struct plx_nvme_cmd *cmd, void *buf,
			  size_t len, plx_nvme_done_fn *done, void *arg)
{
	const struct iovec one = { buf, len };
	struct nvme_tracker *tr;
	int err;

	if (unlikely(!q->fast.free || q->down))
		return refuse(q);
	if (len > q->split_len)
		return -EINVAL;
	tr = nvme_tracker_take(q);
	tr->cmd = *cmd;
	err = len ? nvme_map(q, tr, (struct nvme_data){ &one, 0 }, len) : 0;
	if (err) {
		nvme_tracker_free(q, tr);
		return err;
	}
	set_owner(q, tr, done, arg);
	tr->fast.retries = 0;
	nvme_push(q, tr);
	return 0;
}

int plx_nvme_io_command(struct plx_nvme_qpair *q, const struct plx_nvme_cmd *cmd, void *buf,
			size_t len, plx_nvme_done_fn *done, void *arg)
{
	return submit_command(q, cmd, buf, len, done, arg);
}

int plx_nvme_flush(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns, plx_nvme_done_fn *done,
		   void *arg)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_FLUSH, .nsid = htole32(ns->nsid) };

	return submit_command(q, &cmd, NULL, 0, done, arg);
}

int plx_nvme_dsm(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns,
		 const struct plx_nvme_dsm_range *ranges, unsigned count, uint32_t attributes,
		 plx_nvme_done_fn *done, void *arg)
{
	const struct plx_nvme_cmd cmd = {
		.opcode = PLX_NVME_DSM,
		.nsid = htole32(ns->nsid),
		.cdw10 = htole32(count - 1),
		.cdw11 = htole32(attributes),
	};

	if (!count || count > PLX_NVME_DSM_RANGES)
		return -EINVAL;
	return submit_command(q, &cmd, (void *)(uintptr_t)ranges, count * sizeof(*ranges), done,
			      arg);
}
