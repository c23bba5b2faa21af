/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Abort [Base 5.1]: what is late, or isn't wanted any more. The command itself is completed in its
 * own queue, whatever became of the Abort. That may be before the Abort is carried out, which would
 * hit the next command with the same id: so both have to be answered before the request is done.
 */
#include <endian.h>
#include <errno.h>

#include "nvme.h"

/* What an Abort names, as in its command dword 10. No I/O queue has the id 0. */
static uint32_t name_of(const struct plx_nvme_qpair *q, const struct nvme_tracker *tr)
{
	return q->id | (uint32_t)tr->fast.cid << 16;
}

static void answered(void *arg, uint16_t status, uint32_t result)
{
	uint32_t *abort = arg;

	(void)status;
	(void)result;
	*abort = 0;
}

/* Where it is noted that there is one for this; of 0: a place for one more. NULL: there is none. */
static uint32_t *find(struct plx_nvme_ctrl *ctrl, uint32_t name)
{
	for (unsigned i = 0; i < ctrl->abort_limit; i++)
		if (ctrl->aborts[i] == name)
			return &ctrl->aborts[i];
	return NULL;
}

bool nvme_aborts_in(const struct plx_nvme_ctrl *ctrl, uint16_t qid)
{
	for (unsigned i = 0; i < NVME_ABORTS_MAX; i++)
		if ((uint16_t)ctrl->aborts[i] == qid)
			return true;
	return false;
}

bool nvme_abort(struct plx_nvme_qpair *q, struct nvme_tracker *tr)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;
	uint32_t name = name_of(q, tr), *abort = find(ctrl, 0);
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_ABORT, .cdw10 = htole32(name) };

	if (!abort || nvme_admin_start(ctrl, &cmd, NULL, 0, answered, abort))
		return false;
	*abort = name;
	nvme_make_whole(tr);
	tr->fast.busy = NVME_ABORTING;
	tr->fast.tick = q->tick;
	return true;
}

/* No Abort can find it any more. */
static bool is_settled(struct plx_nvme_qpair *q, const struct nvme_tracker *tr)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;
	bool settled;

	if (q->down)
		return true;
	if (pthread_mutex_trylock(&ctrl->lock))
		return false;
	if (ctrl->state == NVME_RUNNING)
		nvme_process_and_ring(ctrl->admin, 0);
	settled = !find(ctrl, name_of(q, tr));
	pthread_mutex_unlock(&ctrl->lock);
	return settled;
}

void nvme_finish_aborted(struct plx_nvme_qpair *q)
{
	for (uint32_t i = 0; i < q->depth && q->answered; i++) {
		struct nvme_tracker *tr = &q->trackers[i];
		struct nvme_answer answer = tr->answer;

		if (tr->fast.busy != NVME_ANSWERED || !is_settled(q, tr))
			continue;
		q->answered--;
		nvme_next_id(q, tr);
		nvme_complete(q, tr, answer.status, answer.result);
	}
	/* Soon again, if there are others. */
	if (q->answered)
		q->polls = 1;
}

/* To be aborted, for this argument; asked to already, or lost, it isn't. */
static bool is_for(const struct nvme_tracker *tr, const void *arg)
{
	if (tr->fast.busy == NVME_PLAIN || (tr->fast.busy == NVME_BUSY && !tr->fast.split))
		return tr->fast.arg == arg;
	return tr->fast.busy == NVME_BUSY && tr->fast.split->arg == arg;
}

static int abort_all(struct plx_nvme_qpair *q, const void *arg)
{
	int count = 0;

	for (uint32_t cid = 0; cid < q->depth; cid++) {
		if (!is_for(&q->trackers[cid], arg))
			continue;
		if (!nvme_abort(q, &q->trackers[cid]))
			return count ? count : -EAGAIN;
		/* Nor is it wanted after a reset. */
		q->trackers[cid].fast.retries = 0;
		count++;
	}
	return count;
}

int plx_nvme_abort(struct plx_nvme_qpair *q, const void *arg)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;
	int ret = -EAGAIN;

	if (q->down)
		return nvme_down_error(q);
	/* What the controller wasn't told of yet, it couldn't find. */
	plx_nvme_kick(q);
	if (pthread_mutex_trylock(&ctrl->lock))
		return -EAGAIN;
	if (ctrl->state == NVME_RUNNING && !q->lost && !nvme_ctrl_look(ctrl)) {
		nvme_process_and_ring(ctrl->admin, 0); /* answers to earlier ones make room */
		ret = abort_all(q, arg);
	}
	pthread_mutex_unlock(&ctrl->lock);
	return ret;
}
