/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "options.h"
#include "session.h"

#define DEPTH_MAX   65535
#define IO_MAX	    (64u << 20)
#define QUEUES_MAX  1024
#define PAGE	    4096u
#define MIX_DEFAULT 50

enum {
	OPT_WARMUP = OPTION_LONG,
	OPT_IOS,
	OPT_NS,
	OPT_RANGE,
	OPT_OFFSET,
	OPT_SEED,
	OPT_RESET,
	OPT_TIMEOUT,
	OPT_VERIFY,
	OPT_IRQ,
	OPT_JSON,
	OPT_CSV,
	OPT_HTML,
	OPT_QUIET,
};

static const struct option long_options[] = {
	{ "io-depth", required_argument, NULL, 'q' },
	{ "io-size", required_argument, NULL, 'o' },
	{ "io-pattern", required_argument, NULL, 'w' },
	{ "rwmixread", required_argument, NULL, 'M' },
	{ "time", required_argument, NULL, 't' },
	{ "core-mask", required_argument, NULL, 'c' },
	{ "num-qpairs", required_argument, NULL, 'P' },
	{ "number-ios", required_argument, NULL, OPT_IOS },
	{ "warmup-time", required_argument, NULL, OPT_WARMUP },
	{ "ns", required_argument, NULL, OPT_NS },
	{ "range", required_argument, NULL, OPT_RANGE },
	{ "offset", required_argument, NULL, OPT_OFFSET },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "reset-ms", required_argument, NULL, OPT_RESET },
	{ "timeout-ms", required_argument, NULL, OPT_TIMEOUT },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "irq", no_argument, NULL, OPT_IRQ },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "csv", no_argument, NULL, OPT_CSV },
	{ "html", required_argument, NULL, OPT_HTML },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ NULL, 0, NULL, 0 },
};

static int number(const char *name, bool size, uint64_t min, uint64_t max, uint64_t *value)
{
	if (!parse_number(optarg, size, value) && *value >= min && *value <= max)
		return 0;
	plx_err("%s %s: a number from %llu to %llu is wanted", name, optarg,
		(unsigned long long)min, (unsigned long long)max);
	return -EINVAL;
}

static int number32(const char *name, uint32_t min, uint32_t max, uint32_t *value)
{
	uint64_t wide = 0;
	int err = number(name, false, min, max, &wide);

	*value = (uint32_t)wide;
	return err;
}

static const struct {
	const char *name;
	bool random;
	int reads; /* -1: -M says */
} workloads[] = {
	{ "read", false, 100 },	   { "write", false, 0 },    { "rw", false, -1 },
	{ "randread", true, 100 }, { "randwrite", true, 0 }, { "randrw", true, -1 },
};

#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

static int parse_workload(struct options *opts, bool *mixed)
{
	for (size_t i = 0; i < WORKLOADS; i++) {
		if (strcmp(optarg, workloads[i].name) != 0)
			continue;
		opts->random = workloads[i].random;
		*mixed = workloads[i].reads < 0;
		if (!*mixed)
			opts->reads = (unsigned)workloads[i].reads;
		return 0;
	}
	plx_err("-w %s: read, write, rw, randread, randwrite or randrw is wanted", optarg);
	return -EINVAL;
}

const char *options_workload(const struct options *opts, char text[32])
{
	const char *what = opts->reads == 100 ? "read" : opts->reads ? "rw" : "write";

	snprintf(text, 32, "%s%s", opts->random ? "rand" : "", what);
	return text;
}

static int add_core(struct options *opts, uint64_t core)
{
	for (unsigned i = 0; i < opts->cores; i++)
		if (opts->core[i] == core)
			return 0;
	if (core >= CORES_MAX)
		return -EINVAL;
	opts->core[opts->cores++] = (unsigned)core;
	return 0;
}

/* 0x mask as everywhere in SPDK, with or without 0x; or a list [0,2-3]. */
static int parse_mask(struct options *opts)
{
	const char *digits = optarg[0] == '0' && (optarg[1] | 32) == 'x' ? optarg + 2 : optarg;
	size_t len = strlen(digits);

	if (!len || strspn(digits, "0123456789abcdefABCDEF") != len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char digit[2] = { digits[len - 1 - i], '\0' };
		unsigned long bits = strtoul(digit, NULL, 16);

		for (unsigned b = 0; b < 4; b++)
			if (bits >> b & 1 && add_core(opts, 4 * i + b))
				return -EINVAL;
	}
	return 0;
}

static int parse_list(struct options *opts)
{
	const char *at = optarg + 1;
	char *end;

	for (;;) {
		unsigned long first, last;

		if (*at < '0' || *at > '9')
			return -EINVAL;
		first = last = strtoul(at, &end, 10);
		if (*end == '-') {
			at = end + 1;
			if (*at < '0' || *at > '9')
				return -EINVAL;
			last = strtoul(at, &end, 10);
		}
		if (last < first || last >= CORES_MAX)
			return -EINVAL;
		for (; first <= last; first++)
			add_core(opts, first);
		if (*end == ']' && !end[1])
			return 0;
		if (*end != ',')
			return -EINVAL;
		at = end + 1;
	}
}

static int parse_cores(struct options *opts)
{
	int err;

	opts->cores = 0;
	err = *optarg == '[' ? parse_list(opts) : parse_mask(opts);
	if (!err && opts->cores)
		return 0;
	plx_err("-c %s: a hexadecimal mask of cores, or a list like [0,2-3], is wanted", optarg);
	return -EINVAL;
}

static int parse_option(int opt, struct options *opts, bool *mixed)
{
	switch (opt) {
	case 'q': return number32("-q", 1, DEPTH_MAX, &opts->depth);
	case 'o': return number("-o", true, 512, IO_MAX, &opts->io_size);
	case 'w': return parse_workload(opts, mixed);
	case 'M': return number32("-M", 0, 100, &opts->mix);
	case 't': return number("-t", false, 1, 1000000000, &opts->seconds);
	case 'c': return parse_cores(opts);
	case 'P': return number32("-P", 1, QUEUES_MAX, &opts->queues);
	case 'L': opts->latency++; return 0;
	case OPT_WARMUP: return number("--warmup-time", false, 0, 86400, &opts->warmup);
	case OPT_IOS: return number("--number-ios", false, 1, UINT64_MAX, &opts->ios);
	case OPT_NS: return number32("--ns", 1, UINT32_MAX - 1, &opts->nsid);
	case OPT_RANGE: return number("--range", true, 1, UINT64_MAX, &opts->range);
	case OPT_OFFSET: return number("--offset", false, 0, PAGE - 4, &opts->offset);
	case OPT_SEED: return number("--seed", false, 0, UINT32_MAX, &opts->seed);
	case OPT_RESET: return number("--reset-ms", false, 1, 86400000, &opts->reset_ms);
	case OPT_TIMEOUT: return number32("--timeout-ms", 1, 86400000, &opts->timeout_ms);
	case OPT_VERIFY: opts->verify = true; return 0;
	case OPT_IRQ: opts->irq = true; return 0;
	case OPT_JSON: opts->json = true; return 0;
	case OPT_CSV: opts->csv = true; return 0;
	case OPT_HTML: opts->html = optarg; return 0;
	case OPT_QUIET: opts->quiet = true; return 0;
	default: return -EINVAL;
	}
}

/* spdk_nvme_perf says that it ignores -M elsewhere. Here it must be true at least. */
static int set_mix(struct options *opts, bool mixed)
{
	char text[32];

	if (mixed)
		opts->reads = opts->mix == MIX_NONE ? MIX_DEFAULT : opts->mix;
	if (mixed || opts->mix == MIX_NONE || opts->mix == opts->reads)
		return 0;
	plx_err("-M %u: only rw and randrw mix reads and writes, and -w says %s", opts->mix,
		options_workload(opts, text));
	return -EINVAL;
}

static int check(struct options *opts)
{
	if (opts->json && opts->csv) {
		plx_err("--json and --csv both want the standard output");
		return -EINVAL;
	}
	if (opts->offset % 4) {
		plx_err("--offset %llu: buffers begin at multiples of four",
			(unsigned long long)opts->offset);
		return -EINVAL;
	}
	if (opts->io_size % 512) {
		plx_err("-o %llu: a multiple of 512 is wanted", (unsigned long long)opts->io_size);
		return -EINVAL;
	}
	return 0;
}

/* Of those that this process may use. */
static unsigned first_core(void)
{
	unsigned core = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	while (core < CORES_MAX - 1 && !CPU_ISSET(core, &set))
		core++;
	return core;
}

static void set_defaults(struct options *opts)
{
	uint32_t nsid = opts->nsid; /* of -r */

	*opts = (struct options){ .depth = 32,
				  .io_size = 4096,
				  .random = true,
				  .reads = 100,
				  .mix = MIX_NONE,
				  .seconds = 5,
				  .core = { first_core() },
				  .cores = 1,
				  .queues = 1,
				  .nsid = nsid };
}

int options_parse(int argc, char **argv, struct options *opts)
{
	bool mixed = false;
	int opt, err;

	set_defaults(opts);
	opterr = 0;
	optind = 0; /* glibc: start afresh */
	for (;;) {
		opt = getopt_long(argc, argv, ":q:o:w:M:t:c:P:L", long_options, NULL);
		if (opt == -1)
			break;
		err = opt == ':' || opt == '?' ? option_wrong(opt, argv)
					       : parse_option(opt, opts, &mixed);
		if (err)
			return err;
	}
	if (optind < argc) {
		plx_err("'%s' is no option; see --help", argv[optind]);
		return -EINVAL;
	}
	err = set_mix(opts, mixed);
	return err ? err : check(opts);
}

/* The value of "key:" in a transport id, in place; its end is cut off. */
static char *transport_value(char *id, const char *key)
{
	size_t len = strlen(key);
	char *at = id;

	while (*at) {
		size_t word;

		at += strspn(at, " ");
		word = strcspn(at, " ");
		if (!strncasecmp(at, key, len)) {
			at[word] = '\0';
			return at + len;
		}
		at += word;
	}
	return NULL;
}

static int one_transport(char **option, char **value, struct options *opts)
{
	char *ns = strdup(*value), *type = strdup(*value), *address, *found;
	uint64_t nsid = 0;
	int err = ns && type ? 0 : -ENOMEM;

	found = err ? NULL : transport_value(type, "trtype:");
	if (found && strcasecmp(found, "PCIe") != 0)
		err = -EINVAL;
	found = err ? NULL : transport_value(ns, "ns:");
	if (found && (parse_number(found, false, &nsid) || nsid >= UINT32_MAX || !nsid))
		err = -EINVAL;
	free(type);
	free(ns);
	address = err ? NULL : transport_value(*value, "traddr:");
	if (!address || !*address) {
		plx_err("-r wants \"trtype:PCIe traddr:ADDRESS [ns:N]\"");
		return -EINVAL;
	}
	if (nsid)
		opts->nsid = (uint32_t)nsid;
	*option = (char *)(uintptr_t) "-a";
	*value = address;
	return 0;
}

int options_transport(int argc, char **argv, struct options *opts)
{
	opts->nsid = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-r") != 0 && strcmp(argv[i], "--transport") != 0)
			continue;
		if (i + 1 == argc) {
			plx_err("option '%s' wants a value", argv[i]);
			return -EINVAL;
		}
		if (one_transport(&argv[i], &argv[i + 1], opts))
			return -EINVAL;
		i++;
	}
	return 0;
}
