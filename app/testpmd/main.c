/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-testpmd: forwards packets between ports and counts what that takes.
 *
 *      main lcore                       worker lcores
 *      start-up
 *      launch  ------------------------>  streams_forward_here(): bursts, nothing else
 *      control: sleeps, prints figures
 *      join    <------------------------  control_stopping()
 *      report, clean-up
 *
 * With a single lcore the main one forwards, and a thread outside EAL's lcores is in control.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include <rte_lcore.h>

#include <pollux/eal.h>
#include <pollux/log.h>
#include <pollux/pci.h>

#include "control.h"
#include "hotplug.h"
#include "report.h"
#include "version.h"

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Milliseconds to sleep until then; a day at most. */
static int until(double moment)
{
	return (int)RTE_MIN(RTE_MAX(moment - now(), 0.0) * 1000 + 1, 86400e3);
}

/* Until a limit is reached or somebody asks for the end. */
static void control(FILE *out, const struct run *run, struct hotplug *hotplug)
{
	const struct options *opts = run->opts;
	struct period period = { 0 };
	double last = now();
	double end = opts->seconds ? last + (double)opts->seconds : HUGE_VAL;
	double next = opts->stats_period ? last + opts->stats_period : HUGE_VAL;
	double again = now() + hotplug_step(hotplug);

	while (now() < end && !control_sleep(until(RTE_MIN(RTE_MIN(end, next), again)))) {
		double at = now();

		again = at + hotplug_step(hotplug);
		if (at < next)
			continue;
		report_period(out, run, &period, at - last);
		last = at;
		next += opts->stats_period;
	}
	control_stop();
}

struct control_args {
	FILE *out;
	const struct run *run;
	struct hotplug *hotplug;
};

static void *control_thread(void *arg)
{
	const struct control_args *args = arg;

	control(args->out, args->run, args->hotplug);
	return NULL;
}

static int forward(FILE *out, struct run *run, struct hotplug *hotplug)
{
	struct control_args args = { .out = out, .run = run, .hotplug = hotplug };
	struct streams *streams = hotplug->streams;
	struct ports *ports = hotplug->ports;
	uint64_t sent[PLX_MAX_ETHPORTS];
	double start = now();
	pthread_t thread;

	if (streams_launch(streams)) {
		control(out, run, hotplug);
	} else {
		int ret = rte_ctrl_thread_create(&thread, "control", NULL, control_thread, &args);

		if (ret) {
			plx_err("no control thread: %s", strerror(-ret));
			return ret;
		}
		streams_forward_here(streams);
		pthread_join(thread, NULL);
	}
	streams_join();
	run->seconds = now() - start;
	for (unsigned i = 0; i < ports->count; i++)
		sent[i] = streams_sent(streams, ports->port[i].id);
	ports_settle(ports, sent);
	return 0;
}

static enum exit_code run_ports(const struct options *opts, struct ports *ports,
				struct plx_pci_bus *bus, const struct plx_policy *policy)
{
	FILE *out = opts->json ? stderr : stdout;
	enum exit_code code = EXIT_OK;
	struct streams streams;
	struct run run = { .opts = opts, .ports = ports, .streams = &streams, .policy = policy };
	struct hotplug hotplug = { .bus = bus, .ports = ports, .streams = &streams, .opts = opts };
	int ret = streams_create(&streams, ports, opts);

	if (ret)
		return ret == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	if (opts->pcap && capture_open(opts->pcap)) {
		streams_destroy(&streams);
		return EXIT_RUNTIME;
	}
	ports_wait_for_links(ports, opts);
	ports_flush(ports, opts);
	ports_mark(ports);
	report_start(out, &run);
	hotplug_begin(&hotplug);
	if (forward(out, &run, &hotplug))
		code = EXIT_RUNTIME;
	else
		report_end(out, &run);
	if (code == EXIT_OK && opts->json)
		report_json(stdout, &run);
	if (code == EXIT_OK && report_verify_failed(&streams))
		code = EXIT_VERIFY;
	if (capture_close() || ports_missing(ports))
		code = EXIT_RUNTIME;
	hotplug_end(&hotplug);
	streams_destroy(&streams);
	return code;
}

/* Ports and everything above them; the bus has been probed. */
static enum exit_code with_ports(const struct options *opts, struct plx_pci_bus *bus,
				 const struct plx_policy *policy)
{
	struct ports ports;
	enum exit_code code;
	int ret = ports_open(&ports, bus, opts);

	if (ret)
		return ret == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	code = run_ports(opts, &ports, bus, policy);
	ports_close(&ports);
	return code;
}

/*
 * EAL leaves what it didn't take in front of our own options: an argument without an option, say
 * one of ours before the "--".
 */
static bool astray(int count, char **argv, int own)
{
	if (count <= own)
		return false;
	plx_err("'%s' is no option; program options go after --", argv[1]);
	return true;
}

/* own: how many arguments there are after "--". */
static enum exit_code with_bus(int argc, char **argv, int own, const struct options *opts,
			       struct plx_pci_bus *bus)
{
	enum exit_code code = EXIT_RUNTIME;
	struct plx_policy policy;
	struct plx_ioas *ioas;
	int ret = plx_pci_policy(bus, &policy);

	if (ret) {
		plx_pci_cleanup(bus);
		return ret == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	}
	ret = plx_eal_init(argc, argv, &policy, &ioas);
	if (ret < 0) {
		plx_pci_cleanup(bus);
		return ret == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	}
	if (astray(argc - 1 - ret, argv + ret, own)) {
		code = EXIT_USAGE;
		goto cleanup;
	}
	ret = plx_pci_probe(bus, ioas);
	if (ret == 0)
		plx_err("no port: no network card that a driver knows is bound to vfio-pci");
	else if (ret > 0)
		code = with_ports(opts, bus, &policy);
cleanup:
	plx_pci_cleanup(bus);
	if (plx_eal_cleanup() && code == EXIT_OK)
		code = EXIT_RUNTIME;
	return code;
}

static int index_of(int argc, char **argv, const char *what)
{
	int i = 1;

	while (i < argc && strcmp(argv[i], what) != 0)
		i++;
	return i;
}

static enum exit_code testpmd(int argc, char **argv)
{
	struct plx_pci_bus *bus;
	struct options opts;
	enum exit_code code;
	int at, own, ret;

	if (index_of(argc, argv, "--help") < argc || index_of(argc, argv, "-h") < argc) {
		usage(stdout);
		return EXIT_OK;
	}
	if (version_asked(argc, argv))
		return EXIT_OK;
	/* Ours are read first: a typing error shouldn't cost a start of EAL. */
	at = index_of(argc, argv, "--");
	own = at < argc ? argc - at - 1 : 0;
	ret = options_parse(own + 1, argv + argc - own - 1, &opts);
	if (ret)
		return EXIT_USAGE;
	ret = plx_pci_scan(&argc, argv, &bus);
	if (ret)
		return ret == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	if (control_init()) {
		plx_pci_cleanup(bus);
		return EXIT_RUNTIME;
	}
	code = with_bus(argc, argv, own, &opts, bus);
	control_cleanup();
	return code;
}

/* Writes fail when the disk is full, some of them only now: lost results are no success. */
static bool output_lost(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return false;
	plx_err("standard output could not be written to: the report is not complete");
	return true;
}

int main(int argc, char **argv)
{
	enum exit_code code = testpmd(argc, argv);

	return output_lost() && code == EXIT_OK ? EXIT_RUNTIME : code;
}
