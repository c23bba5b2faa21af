/* SPDX-License-Identifier: BSD-3-Clause */
/* Asynchronous events, as they come [Base 5.2.1]. */
#include <signal.h>
#include <time.h>

#include <pollux/log.h>

#include "command.h"

#define KELVINS 273
#define NAP_MS	50
#define SECONDS 10

static volatile sig_atomic_t interrupted;

static void on_signal(int signum)
{
	(void)signum;
	interrupted = 1;
}

static const char *event_name(const struct plx_nvme_event *event)
{
	static const char *const errors[] = {
		"write to an invalid doorbell", "invalid value of a doorbell",
		"diagnostic failure",		"persistent internal error",
		"transient internal error",	"firmware image load error"
	};
	static const char *const smart[] = { "reliability is degraded", "temperature threshold",
					     "spare below threshold" };
	static const char *const notices[] = { "namespaces changed", "firmware activation",
					       "telemetry log changed",
					       "namespace access changed" };

	switch (event->type) {
	case PLX_NVME_EVENT_ERROR:
		return event->info < sizeof(errors) / sizeof(errors[0]) ? errors[event->info]
									: "error";
	case PLX_NVME_EVENT_SMART:
		return event->info < sizeof(smart) / sizeof(smart[0]) ? smart[event->info]
								      : "health";
	case PLX_NVME_EVENT_NOTICE:
		return event->info < sizeof(notices) / sizeof(notices[0]) ? notices[event->info]
									  : "notice";
	default: return event->type == PLX_NVME_EVENT_VENDOR ? "vendor specific" : "unknown";
	}
}

static void on_event(void *arg, const struct plx_nvme_event *event)
{
	(void)arg;
	printf("%s (type %u, information 0x%02x, log page 0x%02x)\n", event_name(event),
	       event->type, event->info, event->log);
	fflush(stdout);
}

static enum exit_code wait_for_events(struct plx_nvme_ctrl *ctrl, uint64_t seconds)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	int err = 0;

	for (uint64_t left = seconds * 1000 / NAP_MS; left && !err && !interrupted; left--) {
		err = plx_nvme_ctrl_poll(ctrl);
		nanosleep(&nap, NULL);
	}
	if (!err)
		return EXIT_OK;
	plx_err("%s: %s", plx_nvme_ctrl_info(ctrl)->name, plx_nvme_error(err));
	return EXIT_RUNTIME;
}

/*
 * The composite temperature's upper threshold [Base 5.27.1.4]; err is of what reads or writes it.
 */
static enum exit_code threshold_error(int err)
{
	if (!err)
		return EXIT_OK;
	plx_err("temperature threshold: %s", plx_nvme_error(err));
	return EXIT_RUNTIME;
}

enum exit_code command_events(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	const struct sigaction action = { .sa_handler = on_signal };
	enum exit_code code = EXIT_OK;
	uint32_t before = 0;
	int err;

	if (!ctrl)
		return EXIT_USAGE;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	plx_nvme_on_event(ctrl, on_event, NULL);
	if (args->temperature_set) {
		err = plx_nvme_get_feature(ctrl, PLX_NVME_FEAT_TEMPERATURE, 0, &before);
		if (!err)
			err = plx_nvme_set_feature(ctrl, PLX_NVME_FEAT_TEMPERATURE, 0,
						   args->temperature + KELVINS, NULL);
		code = threshold_error(err);
	}
	if (code == EXIT_OK)
		code = wait_for_events(ctrl, args->seconds ? args->seconds : SECONDS);
	if (args->temperature_set && code == EXIT_OK)
		code = threshold_error(plx_nvme_set_feature(ctrl, PLX_NVME_FEAT_TEMPERATURE, 0,
							    before & UINT16_MAX, NULL));
	plx_nvme_on_event(ctrl, NULL, NULL);
	return code;
}
