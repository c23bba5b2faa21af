/* SPDX-License-Identifier: BSD-3-Clause */
/* Queue pairs: memory, ids, life and death. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "nvme.h"

#define DEPTH_DEFAULT	   128
#define TRANSFER_DEFAULT   (1u << 20)
#define TRANSFER_MAX	   (32u << 20)
#define LIST_SHIFT_MIN	   9 /* 32 SGL descriptors */
#define TIMEOUT_DEFAULT_MS 30000
#define TICKS_A_TIMEOUT	   8
#define TICK_MAX_MS	   1000
#define RETRIES_DEFAULT	   4

/* log2 of the bytes of a PRP list for len bytes that begin anywhere in a page. */
static uint8_t list_shift(size_t len, size_t page)
{
	size_t entries = (len + page - 1) / page;
	size_t a_page = page / sizeof(uint64_t);
	uint8_t shift = LIST_SHIFT_MIN;

	/* A page that isn't the last one holds an entry less, and the address of the next. */
	if (entries > a_page)
		entries += (entries - 2) / (a_page - 1);
	while ((size_t)1 << shift < entries * sizeof(uint64_t))
		shift++;
	return shift;
}

/* For indices up to depth, which none has. */
static uint16_t index_mask(uint32_t depth)
{
	uint32_t mask = 1;

	while (mask < depth)
		mask = mask << 1 | 1;
	return (uint16_t)mask;
}

static size_t transfer_limit(const struct plx_nvme_ctrl *ctrl)
{
	return ctrl->info.max_transfer ? ctrl->info.max_transfer : TRANSFER_MAX;
}

static int check_opts(const struct plx_nvme_ctrl *ctrl, struct plx_nvme_qpair_opts *opts)
{
	size_t limit = transfer_limit(ctrl);
	size_t least = limit < nvme_page_size(ctrl) ? limit : nvme_page_size(ctrl);

	if (!opts->depth)
		opts->depth =
			ctrl->info.max_depth < DEPTH_DEFAULT ? ctrl->info.max_depth : DEPTH_DEFAULT;
	if (opts->depth > ctrl->info.max_depth) {
		plx_err("%s: a queue has room for %u commands in flight, %u were asked for",
			ctrl->info.name, ctrl->info.max_depth, opts->depth);
		return -EINVAL;
	}
	if (!opts->max_transfer)
		opts->max_transfer = limit < TRANSFER_DEFAULT ? limit : TRANSFER_DEFAULT;
	if (opts->max_transfer > limit || opts->max_transfer < least) {
		plx_err("%s: a command transfers %zu to %zu bytes, %zu were asked for",
			ctrl->info.name, least, limit, opts->max_transfer);
		return -EINVAL;
	}
	if (!opts->timeout_ms)
		opts->timeout_ms = TIMEOUT_DEFAULT_MS;
	if (!opts->retries)
		opts->retries = RETRIES_DEFAULT;
	if (opts->retries < 0)
		opts->retries = 0;
	return 0;
}

static int alloc_memory(struct plx_nvme_qpair *q)
{
	struct plx_ioas *ioas = q->ctrl->pci->ioas;
	size_t page = nvme_page_size(q->ctrl), list = (size_t)1 << q->list_shift;
	size_t size = q->depth + 1;
	int node = q->ctrl->pci->node, err;

	/* What finds no room in the controller lies in memory. */
	err = q->id ? nvme_cmb_alloc(q, size * sizeof(*q->fast.sq), page) : -ENOSPC;
	if (err)
		err = plx_dma_alloc(ioas, size * sizeof(*q->fast.sq), page, node, &q->sq_mem);
	err = err ? err : plx_dma_alloc(ioas, size * sizeof(*q->cq), page, node, &q->cq_mem);
	/* No list crosses a page but those that begin with one. */
	err = err ? err
		  : plx_dma_alloc(ioas, q->depth * list, list < page ? list : page, node,
				  &q->list_mem);
	if (err)
		return err;
	if (!q->cmb_len)
		q->fast.sq = q->sq_mem.va;
	q->fast.sq_end = q->fast.sq + size;
	q->cq = q->cq_mem.va;
	q->lists = q->list_mem.va;
	q->lists_dma = q->list_mem.dma;
	q->trackers = aligned_alloc(NVME_LINE, (q->index_mask + 1u) * sizeof(*q->trackers));
	q->splits = calloc(q->depth, sizeof(*q->splits));
	return q->trackers && q->splits ? 0 : -ENOMEM;
}

/* Of all indices that an id can have, the trackers from depth on are never busy. */
static void free_lists(struct plx_nvme_qpair *q)
{
	memset(q->trackers, 0, (q->index_mask + 1u) * sizeof(*q->trackers));
	for (uint32_t i = 0; i <= q->index_mask; i++) {
		q->trackers[i].fast.cid = (uint16_t)i;
		q->trackers[i].fast.busy = NVME_FREE;
	}
	for (uint32_t i = 0; i < q->depth; i++) {
		bool more = i + 1 < q->depth;

		q->trackers[i].fast.next_free = more ? &q->trackers[i + 1].fast : NULL;
		q->splits[i].next_free = more ? &q->splits[i + 1] : NULL;
	}
	q->fast.free = &q->trackers->fast;
	q->free_split = q->splits;
}

/* Where a queue's doorbell is among the doorbells, or in a page of shadow doorbells. */
static size_t place_of(const struct plx_nvme_ctrl *ctrl, unsigned index)
{
	return (size_t)index << (2 + NVME_CAP_DSTRD(ctrl->cap));
}

static volatile uint32_t *shadow_of(const struct plx_nvme_ctrl *ctrl, const struct plx_dma *page,
				    unsigned index)
{
	return (volatile uint32_t *)((uint8_t *)page->va + place_of(ctrl, index));
}

/* Shadow doorbells have the same places in their page as the doorbells have [Base 5.8]. */
static int set_doorbells(struct plx_nvme_qpair *q)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;
	unsigned sq = 2u * q->id, cq = sq + 1;
	volatile void *sq_reg, *cq_reg;
	int err;

	err = plx_pci_doorbell(&ctrl->bar, NVME_DOORBELLS + place_of(ctrl, sq), &sq_reg);
	err = err ? err
		  : plx_pci_doorbell(&ctrl->bar, NVME_DOORBELLS + place_of(ctrl, cq), &cq_reg);
	if (err)
		return err;
	q->sq_doorbell = sq_reg;
	q->cq_doorbell = cq_reg;
	if (!q->id || !ctrl->info.dbbuf || place_of(ctrl, cq + 1) > ctrl->dbbuf_shadow.len)
		return 0;
	q->sq_shadow = shadow_of(ctrl, &ctrl->dbbuf_shadow, sq);
	q->cq_shadow = shadow_of(ctrl, &ctrl->dbbuf_shadow, cq);
	q->sq_event = shadow_of(ctrl, &ctrl->dbbuf_event, sq);
	q->cq_event = shadow_of(ctrl, &ctrl->dbbuf_event, cq);
	q->shadowed = true;
	return 0;
}

/*
 * The controller may take less at a time than before; lists are as long as they were made. Verify
 * is limited as Read is where it has no limit of its own, Write Zeroes isn't [NVM 3.2.5, 3.2.8].
 */
static void set_limits(struct plx_nvme_qpair *q)
{
	const struct plx_nvme_ctrl *ctrl = q->ctrl;
	size_t limit = transfer_limit(ctrl);

	q->split_len = (uint32_t)(q->opts.max_transfer < limit ? q->opts.max_transfer : limit);
	q->verify_len = ctrl->verify_max ? ctrl->verify_max : q->split_len;
	q->zeroes_len = ctrl->zeroes_max ? ctrl->zeroes_max : UINT64_MAX;
}

int nvme_qpair_alloc(struct plx_nvme_ctrl *ctrl, uint16_t id,
		     const struct plx_nvme_qpair_opts *opts, struct plx_nvme_qpair **out)
{
	struct plx_nvme_qpair *q = aligned_alloc(NVME_LINE, sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	memset(q, 0, sizeof(*q));
	q->ctrl = ctrl;
	q->id = id;
	q->opts = *opts;
	q->depth = opts->depth;
	q->index_mask = index_mask(opts->depth);
	q->fast.xlate = plx_ioas_xlate(ctrl->pci->ioas);
	q->page_mask = (uint32_t)nvme_page_size(ctrl) - 1;
	set_limits(q);
	q->list_shift = list_shift(opts->max_transfer, nvme_page_size(ctrl));
	q->retries = (uint8_t)opts->retries;
	q->tick_ms = opts->timeout_ms / TICKS_A_TIMEOUT + 1;
	q->tick_ms = q->tick_ms < TICK_MAX_MS ? q->tick_ms : TICK_MAX_MS;
	q->timeout_ticks = opts->timeout_ms / q->tick_ms + 1;
	q->next_tick = nvme_now_ms() + q->tick_ms;
	q->polls = nvme_polls_a_look(q);
	err = alloc_memory(q);
	err = err ? err : set_doorbells(q);
	if (err) {
		nvme_qpair_free(q);
		return err;
	}
	free_lists(q);
	nvme_set_fresh(q);
	nvme_qpair_clear(q);
	nvme_qpair_set_down(q, false);
	*out = q;
	return 0;
}

void nvme_qpair_free(struct plx_nvme_qpair *q)
{
	struct plx_ioas *ioas;

	if (!q)
		return;
	ioas = q->ctrl->pci->ioas;
	free(q->splits);
	free(q->trackers);
	plx_dma_free(ioas, &q->list_mem);
	plx_dma_free(ioas, &q->cq_mem);
	plx_dma_free(ioas, &q->sq_mem);
	free(q);
}

void nvme_qpair_clear(struct plx_nvme_qpair *q)
{
	memset((void *)(uintptr_t)q->cq, 0, (q->depth + 1) * sizeof(*q->cq));
	q->fast.tail = q->fast.sq;
	q->sq_rung = q->cq_head = q->cq_told = 0;
	q->phase = 1;
	q->broken = false;
	if (q->shadowed)
		*q->sq_shadow = *q->cq_shadow = *q->sq_event = *q->cq_event = 0;
}

/*
 * A plain command stays in a page. If that is more than one may move, then in less: a power of 2.
 */
static uint32_t plain_mask(const struct plx_nvme_qpair *q)
{
	return q->split_len <= q->page_mask ? q->split_len - 1 : q->page_mask;
}

void nvme_qpair_set_down(struct plx_nvme_qpair *q, bool down)
{
	q->down = down;
	q->fast.plain_mask = down ? 0 : plain_mask(q);
	/* What the controller wasn't told of yet it won't be: the doorbell may be another's. */
	if (down)
		q->sq_rung = nvme_sq_tail(q);
}

/* Those in flight now, not those that callbacks begin. */
static void mark_lost(struct plx_nvme_qpair *q)
{
	for (uint32_t i = 0; i < q->depth; i++) {
		struct nvme_tracker *tr = &q->trackers[i];

		if (tr->fast.busy == NVME_FREE)
			continue;
		nvme_make_whole(tr);
		nvme_next_id(q, tr);
		tr->fast.busy = NVME_LOST;
	}
}

static void complete_lost(struct plx_nvme_qpair *q, uint16_t status)
{
	for (uint32_t i = 0; i < q->depth; i++)
		if (q->trackers[i].fast.busy == NVME_LOST)
			nvme_complete(q, &q->trackers[i], status, 0);
}

void nvme_qpair_fail_all(struct plx_nvme_qpair *q, uint16_t status)
{
	nvme_finish_aborted(q);
	mark_lost(q);
	complete_lost(q, status);
}

/* The controller was stopped, so its answers have all arrived. */
void nvme_qpair_recover(struct plx_nvme_qpair *q)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;
	uint16_t status = PLX_NVME_ABORTED_BY_HOST;

	nvme_qpair_set_down(q, true);
	nvme_process(q, 0);
	nvme_finish_aborted(q);
	pthread_mutex_lock(&ctrl->lock);
	__atomic_store_n(&q->lost, false, __ATOMIC_RELAXED);
	nvme_qpair_clear(q);
	set_limits(q);
	if (ctrl->state != NVME_RUNNING || nvme_create_queues(q))
		status = PLX_NVME_HOST_PATHING_ERROR;
	else
		nvme_qpair_set_down(q, false);
	pthread_mutex_unlock(&ctrl->lock);
	q->resets++;
	mark_lost(q);
	for (uint32_t i = 0; i < q->depth && !q->down; i++) {
		struct nvme_tracker *tr = &q->trackers[i];

		if (tr->fast.busy != NVME_LOST || !tr->fast.retries)
			continue;
		tr->fast.retries--;
		tr->fast.busy = NVME_BUSY;
		q->retried++;
		nvme_push(q, tr);
	}
	complete_lost(q, status);
}

/* Not one for which an Abort is on its way. */
static int take_id(struct plx_nvme_ctrl *ctrl, uint16_t *id)
{
	nvme_process_and_ring(ctrl->admin, 0);
	for (uint32_t i = 1; i <= ctrl->info.max_queues; i++) {
		if (ctrl->qid_used[i] || nvme_aborts_in(ctrl, (uint16_t)i))
			continue;
		ctrl->qid_used[i] = 1;
		*id = (uint16_t)i;
		return 0;
	}
	plx_err("%s: all of the %u queue pairs that the controller grants are in use",
		ctrl->info.name, ctrl->info.max_queues);
	return -ENOSPC;
}

/* Vector 0 is the admin queue's, which nobody waits for; each queue pair has that of its id. */
static int take_vector(struct plx_nvme_qpair *q)
{
	int err;

	if (!q->opts.irq)
		return 0;
	err = plx_pci_irq_enable(q->ctrl->pci, q->id + 1u);
	if (err) {
		plx_err("%s: no interrupt vector %u (%s): poll the queue instead",
			q->ctrl->info.name, q->id, strerror(-err));
		return err;
	}
	q->vector = q->id;
	return 0;
}

static int create(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_qpair_opts *opts,
		  struct plx_nvme_qpair **out)
{
	struct plx_nvme_qpair *q = NULL;
	uint16_t id;
	int err;

	if (ctrl->state != NVME_RUNNING)
		return ctrl->state == NVME_REMOVED ? -ENODEV : -EIO;
	err = take_id(ctrl, &id);
	if (err)
		return err;
	err = nvme_qpair_alloc(ctrl, id, opts, &q);
	err = err ? err : take_vector(q);
	err = err ? err : nvme_create_queues(q);
	if (err) {
		nvme_qpair_free(q);
		ctrl->qid_used[id] = 0;
		return err;
	}
	LIST_INSERT_HEAD(&ctrl->qpairs, q, link);
	*out = q;
	return 0;
}

int plx_nvme_qpair_create(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_qpair_opts *opts,
			  struct plx_nvme_qpair **q)
{
	struct plx_nvme_qpair_opts checked = *opts;
	int err = check_opts(ctrl, &checked);

	if (err)
		return err;
	pthread_mutex_lock(&ctrl->lock);
	err = create(ctrl, &checked, q);
	pthread_mutex_unlock(&ctrl->lock);
	return err;
}

void plx_nvme_qpair_destroy(struct plx_nvme_qpair *q)
{
	struct plx_nvme_ctrl *ctrl;
	bool up;

	if (!q)
		return;
	ctrl = q->ctrl;
	up = !q->down;
	/* From here on callbacks can't begin anything. */
	nvme_qpair_set_down(q, true);
	pthread_mutex_lock(&ctrl->lock);
	/* Not deleted, it might still be written to: then the controller goes off as a whole. */
	if (ctrl->state == NVME_RUNNING && up && !q->lost && nvme_delete_queues(q))
		nvme_ctrl_stop(ctrl, NVME_OFF);
	pthread_mutex_unlock(&ctrl->lock);
	nvme_process(q, 0);
	nvme_qpair_fail_all(q, PLX_NVME_ABORTED_BY_HOST);
	/* Only now may others have its id, and its place in the controller. */
	pthread_mutex_lock(&ctrl->lock);
	LIST_REMOVE(q, link);
	ctrl->qid_used[q->id] = 0;
	pthread_mutex_unlock(&ctrl->lock);
	nvme_qpair_free(q);
}

uint16_t plx_nvme_qpair_id(const struct plx_nvme_qpair *q)
{
	return q->id;
}

uint32_t plx_nvme_qpair_depth(const struct plx_nvme_qpair *q)
{
	return q->depth;
}

void plx_nvme_qpair_stats(const struct plx_nvme_qpair *q, struct plx_nvme_qpair_stats *stats)
{
	*stats = (struct plx_nvme_qpair_stats){
		.commands = q->commands,
		.errors = q->errors,
		.retries = q->retried,
		.bad_completions = q->bad_completions,
		.timeouts = q->timeouts,
		.resets = q->resets,
		.doorbells = q->doorbells,
	};
}

int plx_nvme_qpair_fd(const struct plx_nvme_qpair *q)
{
	return q->opts.irq ? plx_pci_irq_fd(q->ctrl->pci, q->vector) : -EINVAL;
}

/*
 * Entries that arrived before the descriptor was drained are there to be polled. A controller that
 * fell silent, or was reset by another thread, raises no interrupt: polls in time see to that.
 */
int plx_nvme_wait(struct plx_nvme_qpair *q, int ms)
{
	struct pollfd wake = { .fd = plx_nvme_qpair_fd(q), .events = POLLIN };
	bool tick = ms < 0 || (uint32_t)ms > q->tick_ms;
	uint64_t count;
	int ready;

	if (wake.fd < 0)
		return wake.fd;
	plx_nvme_kick(q);
	if (nvme_is_new(q) || __atomic_load_n(&q->lost, __ATOMIC_RELAXED))
		return 1;
	ready = poll(&wake, 1, tick ? (int)q->tick_ms : ms);
	if (ready < 0)
		return -errno;
	if (ready && read(wake.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	return ready || tick;
}
