/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens now and then, seen from a queue pair: is the controller still there, and does any
 * command take too long?
 *
 * Time is counted in ticks, an eighth of the timeout each but no longer than a second. At most one
 * passes at a look, so a thread that was held up doesn't find all of its commands late before it
 * has polled for them.
 */
#include <errno.h>
#include <time.h>

#include <pollux/log.h>

#include "nvme.h"

uint64_t nvme_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void nvme_look_at_clock(struct plx_nvme_qpair *q)
{
	uint64_t now = nvme_now_ms();

	q->polls = nvme_polls_a_look(q);
	if (q->answered)
		nvme_finish_aborted(q);
	if (now < q->next_tick)
		return;
	q->next_tick = now + q->tick_ms;
	nvme_tick(q);
}

void nvme_set_fresh(struct plx_nvme_qpair *q)
{
	const struct plx_nvme_fast_cmd fresh = { .tick = q->tick, .retries = q->retries };

	q->fast.fresh = fresh.fresh;
}

static void reset(struct plx_nvme_qpair *q, const char *why)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;

	pthread_mutex_lock(&ctrl->lock);
	/* Another queue pair's thread may have been quicker. */
	if (ctrl->state == NVME_RUNNING && !q->lost) {
		bool fail = q->opts.policy == PLX_NVME_TIMEOUT_FAIL;

		plx_err("%s: queue %u: %s: %s the controller", ctrl->info.name, q->id, why,
			fail ? "turning off" : "resetting");
		if (fail)
			nvme_ctrl_stop(ctrl, NVME_OFF);
		else
			nvme_ctrl_reset(ctrl);
	}
	pthread_mutex_unlock(&ctrl->lock);
}

static void abort_late(struct plx_nvme_qpair *q, struct nvme_tracker *tr)
{
	if (!nvme_abort(q, tr))
		return;
	q->timeouts++;
	plx_warn("%s: queue %u: command %u (opcode 0x%02x) is late: aborting it",
		 q->ctrl->info.name, q->id, tr->fast.cid, tr->cmd.opcode);
}

/* True: the next step is a reset. So it is if no Abort could be asked for in as much time again. */
static bool find_late(struct plx_nvme_qpair *q)
{
	for (uint32_t cid = 0; cid < q->depth; cid++) {
		struct nvme_tracker *tr = &q->trackers[cid];
		uint32_t age = q->tick - tr->fast.tick;

		if (tr->fast.busy == NVME_FREE || age < q->timeout_ticks)
			continue;
		if (q->opts.policy != PLX_NVME_TIMEOUT_ABORT || tr->fast.busy == NVME_ABORTING ||
		    tr->fast.busy == NVME_ANSWERED || age >= 2 * q->timeout_ticks) {
			q->timeouts++;
			return true;
		}
		abort_late(q, tr);
	}
	return false;
}

/*
 * Where plx_nvme_ctrl_poll() has just looked at the controller there is no need to: reading a
 * register takes its time, and if the device is a process, messages.
 */
static int look(struct plx_nvme_qpair *q)
{
	return nvme_now_ms() - q->ctrl->looked < q->tick_ms ? 0 : nvme_ctrl_look(q->ctrl);
}

void nvme_tick(struct plx_nvme_qpair *q)
{
	struct plx_nvme_ctrl *ctrl = q->ctrl;
	bool late = false;
	int err = 0;

	q->tick++;
	nvme_set_fresh(q);
	/* Somebody waits for an admin command, or resets: that one sees to it. */
	if (pthread_mutex_trylock(&ctrl->lock))
		return;
	if (ctrl->state == NVME_RUNNING && !q->lost)
		err = look(q);
	if (ctrl->state == NVME_RUNNING && !q->lost && !err) {
		nvme_process_and_ring(ctrl->admin, 0);
		late = find_late(q);
	}
	pthread_mutex_unlock(&ctrl->lock);
	if (err == -EIO)
		reset(q, "the controller reports a fatal error");
	else if (late)
		reset(q, "a command is late");
}
