/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The polling loop [Base 3.3.3.2]: entries whose phase tag has turned are new. The head doorbell is
 * written once a poll; the next entry is fetched while this one's callback runs.
 */
#include <endian.h>
#include <errno.h>

#include <pollux/log.h>

#include "nvme.h"

static bool may_retry(const struct nvme_tracker *tr, uint16_t status)
{
	return tr->fast.retries && tr->fast.busy == NVME_BUSY && !(status & PLX_NVME_DNR) &&
	       (status & PLX_NVME_STATUS_CODE) != PLX_NVME_COMPARE_FAILURE;
}

/* What isn't just a command that went well. */
void nvme_complete(struct plx_nvme_qpair *q, struct nvme_tracker *tr, uint16_t status,
		   uint32_t result)
{
	plx_nvme_done_fn *done = tr->fast.done;
	void *arg = tr->fast.arg;

	q->errors += !!status;
	if (tr->fast.split) {
		nvme_split_done(q, tr, status, result);
		return;
	}
	nvme_tracker_free(q, tr);
	done(arg, status, result);
}

static void __attribute__((noinline, cold)) bad_completion(struct plx_nvme_qpair *q, uint16_t cid)
{
	q->bad_completions++;
	q->broken = true;
	plx_err("%s: queue %u: the controller completed command %u, which is not in flight",
		q->ctrl->info.name, q->id, cid);
}

/* Errors, and requests that are more than one plain command. False: a completion to give up on. */
static bool __attribute__((noinline))
completed_other(struct plx_nvme_qpair *q, uint16_t cid, uint16_t status, uint32_t result)
{
	struct nvme_tracker *tr = &q->trackers[cid & q->index_mask];

	if (tr->fast.cid != cid || tr->fast.busy >= NVME_ANSWERED) {
		bad_completion(q, cid);
		return false;
	}
	if (tr->fast.busy == NVME_ABORTING) {
		tr->answer = (struct nvme_answer){ status, result };
		tr->fast.busy = NVME_ANSWERED;
		q->answered++;
		q->polls = 1;
		return true;
	}
	nvme_make_whole(tr);
	nvme_next_id(q, tr);
	if (status && may_retry(tr, status)) {
		tr->fast.retries--;
		q->retried++;
		nvme_push(q, tr);
	} else {
		nvme_complete(q, tr, status, result);
	}
	return true;
}

unsigned nvme_process(struct plx_nvme_qpair *q, unsigned max)
{
	const uint32_t mask = q->index_mask;
	const volatile struct plx_nvme_cqe *cqe = &q->cq[q->cq_head], *end = q->cq + q->depth + 1;
	uint32_t phase = (uint32_t)q->phase << 16;
	unsigned left;

	if (unlikely(q->broken))
		return 0;
	/* Callbacks make new requests, and a controller could answer those without an end. */
	max = max ? max : q->depth;
	left = max;
	do {
		/* The command's id alone, if it is new and all went well. */
		uint32_t entry = nvme_cid_and_status(cqe) ^ phase, result;
		struct nvme_tracker *tr;

		if (unlikely(entry & 1u << 16))
			break;
		plx_pci_rmb();
		result = le32toh(cqe->result);
		if (++cqe == end) {
			cqe = q->cq;
			phase ^= 1u << 16;
		}
		__builtin_prefetch((const void *)(uintptr_t)cqe);
		tr = &q->trackers[entry & mask];
		/* Compilers make that one comparison: the id is right, and NVME_PLAIN is 0. */
		if (likely((tr->fast.cid | (uint32_t)tr->fast.busy << 16) == entry)) {
			tr->fast.cid = (uint16_t)(entry + mask + 1);
			nvme_tracker_free(q, tr);
			tr->fast.done(tr->fast.arg, 0, result);
		} else if (!completed_other(q, (uint16_t)entry, (uint16_t)(entry >> 17), result)) {
			break;
		}
	} while (--left);
	max -= left;
	q->cq_head = (uint32_t)(cqe - q->cq);
	q->phase = (uint16_t)(phase >> 16);
	q->commands += max;
	return max;
}

/* Mostly there is nothing: that should cost next to nothing. */
static inline unsigned process_and_ring(struct plx_nvme_qpair *q, unsigned max)
{
	unsigned count = nvme_is_new(q) ? nvme_process(q, max) : 0;

	if (count)
		nvme_ring_head(q);
	plx_nvme_kick(q);
	return count;
}

unsigned nvme_process_and_ring(struct plx_nvme_qpair *q, unsigned max)
{
	return process_and_ring(q, max);
}

/*
 * The queue's state can't be believed any more: it is deleted, so that nothing is written to
 * buffers that are given back.
 */
static void __attribute__((noinline, cold)) fail_queue(struct plx_nvme_qpair *q)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;

	pthread_mutex_lock(&ctrl->lock);
	/* Lost, it is gone already. */
	if (ctrl->state == NVME_RUNNING && !q->lost && nvme_delete_queues(q))
		nvme_ctrl_stop(ctrl, NVME_OFF);
	nvme_qpair_set_down(q, true);
	pthread_mutex_unlock(&ctrl->lock);
	nvme_qpair_fail_all(q, PLX_NVME_HOST_PATHING_ERROR);
}

int plx_nvme_poll(struct plx_nvme_qpair *q, unsigned max)
{
	unsigned count;

	if (unlikely(__atomic_load_n(&q->lost, __ATOMIC_ACQUIRE)))
		nvme_qpair_recover(q);
	if (unlikely(q->down))
		return nvme_down_error(q);
	count = process_and_ring(q, max);
	if (unlikely(q->broken)) {
		fail_queue(q);
		return -EIO;
	}
	if (unlikely(!--q->polls))
		nvme_look_at_clock(q);
	return (int)count;
}
