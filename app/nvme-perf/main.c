/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-nvme-perf: how many reads and writes a second, and how long each takes.
 *
 *      main thread                        worker threads, one a core
 *      start-up, run_create()
 *      run_go()  --------------------->   requests, nothing else
 *      samples, progress, events, resets
 *      joins     <---------------------   drained
 *      reports, clean-up
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <pollux/log.h>

#include "report.h"
#include "version.h"

static void on_signal(int signum)
{
	run_interrupt(signum);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static enum exit_code report(const struct run *run, FILE *html)
{
	const struct options *opts = run->opts;
	bool data = opts->json || opts->csv;
	enum exit_code code;

	report_table(data ? stderr : stdout, run);
	report_latency(data ? stderr : stdout, run);
	if (opts->json)
		report_json(stdout, run);
	if (opts->csv)
		report_csv(stdout, run);
	code = session_flush();
	if (html && report_html(html, run))
		code = EXIT_RUNTIME;
	if (run->signal && code == EXIT_OK)
		code = (enum exit_code)(EXIT_SIGNAL + run->signal);
	if (report_errors(run))
		code = EXIT_RUNTIME;
	if (report_bad(run))
		code = EXIT_VERIFY;
	return code;
}

static enum exit_code measure(struct session *session, const struct options *opts, FILE *html)
{
	enum exit_code code;
	struct run run;
	int err = run_create(&run, session, opts);

	if (err)
		return err == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	catch_signals();
	code = run_go(&run) ? EXIT_RUNTIME : report(&run, html);
	run_destroy(&run);
	return code;
}

/* The page's file is opened first: it would be missed after the run. */
static enum exit_code with_session(struct session *session, const struct options *opts)
{
	FILE *html = opts->html ? fopen(opts->html, "w") : NULL;
	enum exit_code code;

	if (opts->html && !html) {
		plx_err("--html %s: %s", opts->html, strerror(errno));
		return EXIT_RUNTIME;
	}
	code = measure(session, opts, html);
	if (html)
		fclose(html);
	return code;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	enum exit_code code, closed;
	struct session session;
	struct options opts;

	if (asks_for_help(argc, argv)) {
		usage(stdout);
		return EXIT_OK;
	}
	if (version_asked(argc, argv))
		return session_flush();
	if (options_transport(argc, argv, &opts))
		return EXIT_USAGE;
	code = session_scan(&session, &argc, argv);
	if (code != EXIT_OK)
		return code;
	/* A typing error shouldn't cost a reset of the controllers. */
	code = options_parse(argc, argv, &opts) || run_check_cores(&opts) ? EXIT_USAGE
									  : session_start(&session);
	if (code == EXIT_OK)
		code = with_session(&session, &opts);
	closed = session_close(&session);
	return code == EXIT_OK ? closed : code;
}
