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
	return tr->retries && tr->busy == NVME_BUSY && !(status & PLX_NVME_DNR) &&
	       (status & PLX_NVME_STATUS_CODE) != PLX_NVME_COMPARE_FAILURE;
}

/* What isn't just a command that went well. */
void nvme_complete(struct plx_nvme_qpair *q, struct nvme_tracker *tr, uint16_t status,
		   uint32_t result)
{
	plx_nvme_done_fn *done = tr->done;
	void *arg = tr->arg;

	q->errors += !!status;
	if (tr->split) {
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
	struct nvme_tracker *tr;

	if (cid >= q->depth || !q->trackers[cid].busy) {
		bad_completion(q, cid);
		return false;
	}
	tr = &q->trackers[cid];
	nvme_make_whole(tr);
	if (status && may_retry(tr, status)) {
		tr->retries--;
		q->retried++;
		nvme_push(q, tr);
	} else {
		nvme_complete(q, tr, status, result);
	}
	return true;
}

unsigned nvme_process(struct plx_nvme_qpair *q, unsigned max)
{
	const struct plx_nvme_cqe *cq = (const struct plx_nvme_cqe *)q->cq;
	uint32_t head = q->cq_head;
	uint16_t phase = q->phase;
	unsigned count = 0;

	if (unlikely(q->broken))
		return 0;
	for (;;) {
		volatile const struct plx_nvme_cqe *cqe = &cq[head];
		uint16_t status = le16toh(cqe->status), cid;
		uint32_t result;

		if ((status & 1) != phase)
			break;
		plx_pci_rmb();
		cid = le16toh(cqe->cid);
		result = le32toh(cqe->result);
		status >>= 1;
		if (++head == q->size) {
			head = 0;
			phase ^= 1;
		}
		__builtin_prefetch(&cq[head]);
		if (likely(cid < q->depth && !status && q->trackers[cid].busy == NVME_PLAIN)) {
			struct nvme_tracker *tr = &q->trackers[cid];

			tr->busy = NVME_FREE;
			q->free[q->nfree++] = cid;
			tr->done(tr->arg, 0, result);
		} else if (!completed_other(q, cid, status, result)) {
			break;
		}
		if (++count == max)
			break;
	}
	if (count) {
		q->cq_head = head;
		q->phase = phase;
		q->commands += count;
	}
	return count;
}

unsigned nvme_process_and_ring(struct plx_nvme_qpair *q, unsigned max)
{
	unsigned count = nvme_process(q, max);

	if (count)
		nvme_ring_head(q);
	plx_nvme_kick(q);
	return count;
}

/*
 * The queue's state can't be believed any more: it is deleted, so that nothing is written to
 * buffers that are given back.
 */
static void __attribute__((noinline, cold)) fail_queue(struct plx_nvme_qpair *q)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;

	pthread_mutex_lock(&ctrl->lock);
	if (ctrl->state == NVME_RUNNING && nvme_delete_queues(q))
		nvme_ctrl_stop(ctrl, NVME_OFF);
	q->down = true;
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
	count = nvme_process_and_ring(q, max);
	if (unlikely(q->broken)) {
		fail_queue(q);
		return -EIO;
	}
	if (unlikely(!--q->polls))
		nvme_look_at_clock(q);
	return (int)count;
}
