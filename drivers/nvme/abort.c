/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Abort [Base 5.1]: what is late, or isn't wanted any more. The command itself is completed in its
 * own queue, whatever became of the Abort.
 */
#include <endian.h>
#include <errno.h>

#include "nvme.h"

static void answered(void *arg, uint16_t status, uint32_t result)
{
	struct plx_nvme_ctrl *ctrl = arg;

	(void)status;
	(void)result;
	ctrl->aborts--;
}

bool nvme_abort(struct plx_nvme_qpair *q, struct nvme_tracker *tr)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;
	const struct plx_nvme_cmd cmd = {
		.opcode = PLX_NVME_ABORT,
		.cdw10 = htole32(q->id | (uint32_t)nvme_cid(q, tr) << 16),
	};

	if (ctrl->aborts >= ctrl->abort_limit ||
	    nvme_admin_start(ctrl, &cmd, NULL, 0, answered, ctrl))
		return false;
	ctrl->aborts++;
	nvme_make_whole(tr);
	tr->fast.busy = NVME_ABORTING;
	tr->fast.tick = q->tick;
	return true;
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
