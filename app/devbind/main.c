/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-devbind: gives PCI devices to user space and back.
 *
 *      inventory   what there is, and what uses it        (device.h)
 *      selection   the devices that were named            (select.h)
 *      plan        checks, then all changes or none       (plan.h)
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <pollux/log.h>

#include "bind.h"
#include "grant.h"
#include "record.h"
#include "serve.h"
#include "status.h"
#include "sys.h"
#include "version.h"
#include "why.h"

static enum exit_code status_run(const struct options *options, const struct inventory *inv)
{
	enum exit_code code;
	struct selection selection;

	code = selection_make(&selection, inv, options->words, options->count);
	if (code != EXIT_DONE)
		return code;
	if (!options->json)
		status_print(stdout, options, inv, &selection);
	else if (status_json(stdout, options, inv, &selection))
		code = EXIT_FAILED;
	selection_free(&selection);
	return code;
}

static enum exit_code print_why(const struct options *options, const struct inventory *inv)
{
	return why_run(stdout, options, inv);
}

typedef enum exit_code run_fn(const struct options *options, const struct inventory *inv);

static run_fn *const runs[] = {
	[COMMAND_STATUS] = status_run,	 [COMMAND_BIND] = bind_run, [COMMAND_UNBIND] = unbind_run,
	[COMMAND_RESTORE] = restore_run, [COMMAND_WHY] = print_why, [COMMAND_GRANT] = grant_run,
	[COMMAND_BROKER] = broker_run,
};

/* What was seen has to be so still when it is changed: the lock comes before the first look. */
static enum exit_code run(const struct options *options)
{
	int lock = command_changes(options->command) ? record_lock() : -1;
	enum exit_code code = EXIT_FAILED;
	struct inventory inv;

	if (command_changes(options->command) && lock < 0)
		return EXIT_FAILED;
	if (!inventory_read(&inv)) {
		code = runs[options->command](options, &inv);
		inventory_free(&inv);
	}
	if (lock >= 0)
		plx_sys->close(lock);
	return code;
}

/* dpdk-devbind.py's -s beside -b: the report of what has become of it. */
static enum exit_code report_after(const struct options *options)
{
	struct options report = *options;
	struct inventory inv;
	enum exit_code code;

	report.count = 0;
	if (inventory_read(&inv))
		return EXIT_FAILED;
	code = status_run(&report, &inv);
	inventory_free(&inv);
	return code;
}

static void print_line(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	fprintf(stderr, "plx-devbind: %s\n", line);
}

static enum exit_code carry_out(const struct options *options)
{
	enum exit_code code;

	if (options->command == COMMAND_HELP) {
		usage(stdout, options->about);
		return EXIT_DONE;
	}
	/* The machine as it is, with or without devices. */
	if (options->command == COMMAND_DOCTOR)
		return doctor_run(stdout, options);
	code = run(options);
	if (code == EXIT_DONE && options->report_after)
		code = report_after(options);
	return code;
}

int main(int argc, char **argv)
{
	static char report[1 << 16]; /* written at once, so that errno tells */
	struct options options;
	enum exit_code code;

	plx_log_set_sink(print_line, NULL);
	/* A reader of our lines that has gone must not end us between two steps. */
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, report, _IOFBF, sizeof(report));
	if (version_asked(argc, argv))
		code = EXIT_DONE;
	else if (options_parse(argc, argv, &options))
		return EXIT_USAGE;
	else
		code = carry_out(&options);
	/* The report may be all that was asked for; who has closed the pipe wants no more of it. */
	errno = EIO;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	if (errno != EPIPE)
		plx_err("the report can't be written: %s", strerror(errno));
	return code == EXIT_DONE ? EXIT_FAILED : code;
}
