/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchronous events [Base 5.2]. Requests for them lie with the controller until something
 * happens. Reading the event's log page acknowledges it; only then comes the next one of its type.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "nvme.h"

#define SMART_WARNINGS 0x1fu /* Asynchronous Event Configuration [Base 5.27.1.8] */
#define ERROR_LOG_LEN  64u   /* one entry */
#define LOG_LEN	       512u

static void event_came(void *arg, uint16_t status, uint32_t result)
{
	struct plx_nvme_ctrl *ctrl = arg;

	ctrl->event_requests--;
	if (!status && ctrl->events < NVME_EVENTS_MAX)
		ctrl->event[ctrl->events++] = result;
}

static int request_events(struct plx_nvme_ctrl *ctrl)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_ASYNC_EVENT };
	int err = 0;

	/* Those that wait to be told of have their place in the book, too. */
	while (!err && ctrl->event_requests + ctrl->events < ctrl->event_limit) {
		err = nvme_admin_start(ctrl, &cmd, NULL, 0, event_came, ctrl);
		ctrl->event_requests += !err;
	}
	return err;
}

/* A controller that doesn't want to tell us anything can still be used. */
int nvme_events_start(struct plx_nvme_ctrl *ctrl)
{
	uint32_t wanted = SMART_WARNINGS |
			  (ctrl->oaes & (PLX_NVME_OAES_NS_ATTRIBUTE | PLX_NVME_OAES_FW_ACTIVATION));
	int err;

	ctrl->events = 0;
	ctrl->next_keep_alive = 0;
	err = nvme_feature(ctrl, PLX_NVME_SET_FEATURES, PLX_NVME_FEAT_ASYNC_EVENTS, 0, wanted,
			   NULL);
	if (err > 0)
		plx_warn("%s: asynchronous events: %s", ctrl->info.name, plx_nvme_error(err));
	if (err >= 0 && ctrl->keep_alive_ms)
		err = nvme_feature(ctrl, PLX_NVME_SET_FEATURES, PLX_NVME_FEAT_KEEP_ALIVE, 0,
				   ctrl->keep_alive_ms, NULL);
	if (err > 0)
		plx_warn("%s: keep alive: %s", ctrl->info.name, plx_nvme_error(err));
	return err < 0 ? err : request_events(ctrl);
}

/* Reads the log page away, and looks at the namespaces again if it's about them. */
static void acknowledge(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_event *event)
{
	size_t len = event->log == PLX_NVME_LOG_CHANGED_NS ? PLX_NVME_IDENTIFY_LEN
		     : event->log == PLX_NVME_LOG_ERRORS   ? ERROR_LOG_LEN
							   : LOG_LEN;
	void *log = event->log ? malloc(len) : NULL;

	if (log)
		nvme_get_log(ctrl, event->log, PLX_NVME_NSID_ALL, 0, log, len);
	free(log);
	if (event->type == PLX_NVME_EVENT_NOTICE && event->info == PLX_NVME_NOTICE_NS_CHANGED &&
	    ctrl->state == NVME_RUNNING)
		nvme_identify_namespaces(ctrl);
}

static void still_alive(void *arg, uint16_t status, uint32_t result)
{
	struct plx_nvme_ctrl *ctrl = arg;

	(void)status;
	(void)result;
	ctrl->keep_alive_end = 0;
}

/* What is done about a late command of a queue pair, and aborting this one is of no use. */
static void start_over(struct plx_nvme_ctrl *ctrl, const char *why)
{
	const struct plx_nvme_qpair *q;
	bool fail = false;

	LIST_FOREACH(q, &ctrl->qpairs, link)
		fail |= q->opts.policy == PLX_NVME_TIMEOUT_FAIL;
	plx_err("%s: %s: %s the controller", ctrl->info.name, why,
		fail ? "turning off" : "resetting");
	if (fail)
		nvme_ctrl_stop(ctrl, NVME_OFF);
	else
		nvme_ctrl_reset(ctrl);
}

/*
 * Half way through the time, so that one that is late isn't the end. Nobody waits for the answer.
 */
static void keep_alive(struct plx_nvme_ctrl *ctrl)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_KEEP_ALIVE };
	char why[64];
	uint64_t now;

	if (!ctrl->keep_alive_ms)
		return;
	now = nvme_now_ms();
	if (ctrl->keep_alive_end) {
		if (now < ctrl->keep_alive_end)
			return;
		snprintf(why, sizeof(why), "no answer to Keep Alive after %u ms",
			 ctrl->keep_alive_ms);
		start_over(ctrl, why);
		return;
	}
	if (now < ctrl->next_keep_alive)
		return;
	ctrl->next_keep_alive = now + ctrl->keep_alive_ms / 2;
	if (!nvme_admin_start(ctrl, &cmd, NULL, 0, still_alive, ctrl))
		ctrl->keep_alive_end = now + ctrl->keep_alive_ms;
}

/* False: there is nothing to expect of it. */
static bool look_after(struct plx_nvme_ctrl *ctrl)
{
	int err = ctrl->state == NVME_RUNNING ? nvme_ctrl_look(ctrl) : -EIO;

	ctrl->looked = nvme_now_ms();
	if (err == -EIO && ctrl->state == NVME_RUNNING)
		start_over(ctrl, "it reports a fatal error");
	return !err;
}

/* One event, acknowledged. Lock held. */
static bool next_event(struct plx_nvme_ctrl *ctrl, struct plx_nvme_event *event)
{
	uint32_t result;

	if (!look_after(ctrl))
		return false;
	nvme_process_and_ring(ctrl->admin, 0);
	if (ctrl->admin->broken) {
		nvme_ctrl_stop(ctrl, NVME_OFF);
		return false;
	}
	keep_alive(ctrl);
	if (ctrl->state != NVME_RUNNING || !ctrl->events)
		return false;
	result = ctrl->event[0];
	memmove(ctrl->event, ctrl->event + 1, --ctrl->events * sizeof(ctrl->event[0]));
	*event = (struct plx_nvme_event){ .type = result & 7,
					  .info = (uint8_t)(result >> 8),
					  .log = (uint8_t)(result >> 16) };
	acknowledge(ctrl, event);
	if (ctrl->state == NVME_RUNNING)
		request_events(ctrl);
	return true;
}

void plx_nvme_on_event(struct plx_nvme_ctrl *ctrl, plx_nvme_event_fn *fn, void *arg)
{
	pthread_mutex_lock(&ctrl->lock);
	ctrl->event_fn = fn;
	ctrl->event_arg = arg;
	pthread_mutex_unlock(&ctrl->lock);
}

int plx_nvme_ctrl_poll(struct plx_nvme_ctrl *ctrl)
{
	for (unsigned i = 0; i < NVME_EVENTS_MAX; i++) {
		struct plx_nvme_event event;
		plx_nvme_event_fn *fn;
		void *arg;
		bool got;

		pthread_mutex_lock(&ctrl->lock);
		got = next_event(ctrl, &event);
		fn = ctrl->event_fn;
		arg = ctrl->event_arg;
		pthread_mutex_unlock(&ctrl->lock);
		if (!got)
			break;
		if (fn)
			fn(arg, &event);
	}
	return plx_nvme_ctrl_state(ctrl);
}
