/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL's arguments: the user's, and ours in front of them.
 *
 * Ours say what Pollux knows better than a user: devices are not EAL's business, the IOVA mode
 * follows from the address policy, and memory comes and goes in the same runs (so that it can be
 * mapped and unmapped in the same runs), as descriptors that can be mapped by file. Those that EAL
 * refuses beside an option of the user's are left out. So is the user's --in-memory where there are
 * no hugepages and so no files, but for --no-shconf, which it implies. And EAL says what is wrong,
 * not what it finds on its way; a --log-level of the user's overrides that.
 *
 * The user's arguments are read with getopt_long() as EAL reads them, on a copy, so abbreviations
 * and values that look like options are understood as EAL will understand them.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "internal.h"

#define MAX_EXTRA 8

enum option_id {
	OPT_OTHER = 256, /* above the short options */
	OPT_DEVICES,
	OPT_HELP,
	OPT_HUGE_DIR,
	OPT_HUGE_UNLINK,
	OPT_IN_MEMORY,
	OPT_IOVA_MODE,
	OPT_LEGACY_MEM,
	OPT_NO_HUGE,
	OPT_PROC_TYPE,
	OPT_SOCKET_MEM,
};

#define SHORT_OPTIONS ":a:b:c:s:d:hl:S:m:n:r:v"

/* All that EAL has, for what it doesn't know it answers with a page of its own. */
static const struct option long_options[] = {
	{ "allow", required_argument, NULL, OPT_DEVICES },
	{ "base-virtaddr", required_argument, NULL, OPT_OTHER },
	{ "block", required_argument, NULL, OPT_DEVICES },
	{ "create-uio-dev", no_argument, NULL, OPT_DEVICES },
	{ "file-prefix", required_argument, NULL, OPT_OTHER },
	{ "force-max-simd-bitwidth", required_argument, NULL, OPT_OTHER },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "huge-dir", required_argument, NULL, OPT_HUGE_DIR },
	{ "huge-unlink", optional_argument, NULL, OPT_HUGE_UNLINK },
	{ "huge-worker-stack", optional_argument, NULL, OPT_OTHER },
	{ "in-memory", no_argument, NULL, OPT_IN_MEMORY },
	{ "iova-mode", required_argument, NULL, OPT_IOVA_MODE },
	{ "lcores", required_argument, NULL, OPT_OTHER },
	{ "legacy-mem", no_argument, NULL, OPT_LEGACY_MEM },
	{ "log-level", required_argument, NULL, OPT_OTHER },
	{ "main-lcore", required_argument, NULL, OPT_OTHER },
	{ "match-allocations", no_argument, NULL, OPT_OTHER },
	{ "mbuf-pool-ops-name", required_argument, NULL, OPT_OTHER },
	{ "no-hpet", no_argument, NULL, OPT_OTHER },
	{ "no-huge", no_argument, NULL, OPT_NO_HUGE },
	{ "no-pci", no_argument, NULL, OPT_OTHER },
	{ "no-shconf", no_argument, NULL, OPT_OTHER },
	{ "no-telemetry", no_argument, NULL, OPT_OTHER },
	{ "proc-type", required_argument, NULL, OPT_PROC_TYPE },
	{ "single-file-segments", no_argument, NULL, OPT_OTHER },
	{ "socket-limit", required_argument, NULL, OPT_OTHER },
	{ "socket-mem", required_argument, NULL, OPT_SOCKET_MEM },
	{ "syslog", required_argument, NULL, OPT_OTHER },
	{ "telemetry", no_argument, NULL, OPT_OTHER },
	{ "trace", required_argument, NULL, OPT_OTHER },
	{ "trace-bufsz", required_argument, NULL, OPT_OTHER },
	{ "trace-dir", required_argument, NULL, OPT_OTHER },
	{ "trace-mode", required_argument, NULL, OPT_OTHER },
	{ "vdev", required_argument, NULL, OPT_OTHER },
	{ "vfio-intr", required_argument, NULL, OPT_DEVICES },
	{ "vfio-vf-token", required_argument, NULL, OPT_DEVICES },
	{ "vmware-tsc-map", no_argument, NULL, OPT_OTHER },
	{ NULL, 0, NULL, 0 },
};

/* What the user's arguments say. */
struct asked {
	bool huge_dir, huge_unlink, legacy_mem, no_huge, amount, socket_mem;
};

/* Writable: EAL's parsers take char *. */
static char in_memory[] = "--in-memory", no_shconf[] = "--no-shconf";

static const char *iova_mode(enum plx_addr_policy addr)
{
	return addr == PLX_ADDR_PA ? "pa" : "va";
}

static int look_at(int opt, const char *name, const char *value, enum plx_addr_policy addr,
		   struct asked *asked)
{
	switch (opt) {
	case 'a':
	case 'b':
	case OPT_DEVICES:
		plx_err("EAL option %s: devices are not EAL's: -a, -b and --vfio-vf-token belong "
			"to the PCI bus (plx_pci_scan())",
			name);
		return -EINVAL;
	case 'h':
	case OPT_HELP:
		plx_err("EAL option %s: EAL's help is about devices, too, and would mislead: see "
			"the program's own",
			name);
		return -EINVAL;
	case OPT_IOVA_MODE:
		if (!strcmp(value, iova_mode(addr)))
			return 0;
		plx_err("EAL option --iova-mode=%s contradicts the address policy %s, which needs "
			"%s: leave the option out",
			value, plx_addr_policy_name(addr), iova_mode(addr));
		return -EINVAL;
	case OPT_NO_HUGE:
		if (addr == PLX_ADDR_PA) {
			plx_err("EAL option --no-huge: physical addresses hold for hugepages only, "
				"base pages may move under a device");
			return -EINVAL;
		}
		asked->no_huge = true;
		return 0;
	case OPT_PROC_TYPE:
		if (!strcmp(value, "secondary")) {
			plx_err("EAL option --proc-type=secondary: secondary processes are not "
				"supported");
			return -ENOTSUP;
		}
		return 0;
	case 'm': asked->amount = true; return 0;
	case OPT_SOCKET_MEM: asked->socket_mem = true; return 0;
	case OPT_HUGE_DIR: asked->huge_dir = true; return 0;
	case OPT_HUGE_UNLINK: asked->huge_unlink = true; return 0;
	case OPT_LEGACY_MEM: asked->legacy_mem = true; return 0;
	default: return 0;
	}
}

/* getopt_long() stumbled: at what, optopt tells. */
static int refuse(int opt, const char *arg)
{
	char letter[] = { '-', (char)optopt, '\0' };

	/* A bundle of letters is still being read when one of it is wrong. */
	if (optopt > 0 && optopt < OPT_OTHER)
		arg = letter;
	if (opt == ':')
		plx_err("EAL option '%s' wants a value", arg);
	else if (optopt >= OPT_OTHER)
		plx_err("EAL option '%s' takes no value", arg);
	else
		plx_err("'%s' is no option of EAL's, or short for several; a program's own go "
			"after --",
			arg);
	return -EINVAL;
}

/*
 * Reads a copy of the arguments: getopt_long() sorts them as it goes, as EAL's will. An
 * --in-memory, however it is written, becomes our own.
 */
static int read_user(int argc, char **argv, enum plx_addr_policy addr, struct asked *asked)
{
	const int old_optind = optind, old_opterr = opterr, old_optopt = optopt;
	char *const old_optarg = optarg;
	int opt, at = -1, err = 0;
	char name[64];

	optind = 0; /* also makes glibc forget where a caller left off */
	opterr = 0;
	while (!err && (opt = getopt_long(argc, argv, SHORT_OPTIONS, long_options, &at)) != -1) {
		if (opt < OPT_OTHER)
			snprintf(name, sizeof(name), "-%c", opt);
		else
			snprintf(name, sizeof(name), "--%s", long_options[at].name);
		err = opt == ':' || opt == '?' ? refuse(opt, argv[optind - 1])
					       : look_at(opt, name, optarg, addr, asked);
		if (opt == OPT_IN_MEMORY)
			argv[optind - 1] = in_memory;
	}
	optind = old_optind;
	opterr = old_opterr;
	optopt = old_optopt;
	optarg = old_optarg;
	return err;
}

static bool about_hugepages(const struct asked *asked)
{
	return asked->huge_dir || asked->huge_unlink || asked->legacy_mem || asked->no_huge ||
	       asked->socket_mem;
}

static int add_extra(enum plx_addr_policy addr, const struct asked *asked, bool small, char **extra)
{
	static char amount[16];
	static char no_pci[] = "--no-pci", pa[] = "--iova-mode=pa", va[] = "--iova-mode=va",
		    match[] = "--match-allocations", single[] = "--single-file-segments",
		    no_huge[] = "--no-huge", eal_log[] = "--log-level=lib.eal:warning",
		    telemetry_log[] = "--log-level=lib.telemetry:error";
	int n = 0;

	extra[n++] = eal_log;
	extra[n++] = telemetry_log;
	extra[n++] = no_pci;
	extra[n++] = addr == PLX_ADDR_PA ? pa : va;
	if (small) {
		extra[n++] = no_huge;
		snprintf(amount, sizeof(amount), "-m%d", PLX_EAL_SMALL_MIB);
		if (!asked->amount)
			extra[n++] = amount;
	}
	if (asked->no_huge || small) {
		extra[n++] = no_shconf;
	} else if (!asked->legacy_mem) {
		extra[n++] = match;
		if (!asked->huge_unlink)
			extra[n++] = single;
		/* Without secondary processes files in a mount serve nobody. */
		if (!asked->huge_unlink && !asked->huge_dir)
			extra[n++] = in_memory;
	}
	return n;
}

int plx_eal_args_build(int argc, char **argv, enum plx_addr_policy addr, bool small,
		       struct plx_eal_args *args)
{
	struct asked asked = { 0 };
	char *extra[MAX_EXTRA];
	int err;

	memset(args, 0, sizeof(*args));
	if (argc < 1 || !argv || !argv[0]) {
		plx_err("EAL needs the program's name as the first argument");
		return -EINVAL;
	}
	args->argv = calloc(argc + MAX_EXTRA + 1, sizeof(*args->argv));
	if (!args->argv)
		return -ENOMEM;
	memcpy(args->argv, argv, argc * sizeof(*argv));
	err = read_user(argc, args->argv, addr, &asked);
	if (err) {
		plx_eal_args_free(args);
		return err;
	}
	args->made_no_huge = small && addr != PLX_ADDR_PA && !about_hugepages(&asked);
	args->extra = add_extra(addr, &asked, args->made_no_huge, extra);
	memmove(args->argv + 1 + args->extra, args->argv + 1, (argc - 1) * sizeof(*argv));
	memcpy(args->argv + 1, extra, args->extra * sizeof(*extra));
	args->argc = argc + args->extra;
	args->no_huge = asked.no_huge || args->made_no_huge;
	for (int i = 1 + args->extra; args->no_huge && i < args->argc; i++)
		if (args->argv[i] == in_memory)
			args->argv[i] = no_shconf;
	args->static_memory = args->no_huge || asked.legacy_mem;
	return 0;
}

int plx_eal_args_return(const struct plx_eal_args *args, int consumed, int argc, char **argv)
{
	/* Ours are options and come first: sorting left them where they were. */
	memcpy(argv + 1, args->argv + 1 + args->extra, argc * sizeof(*argv) - sizeof(*argv));
	return consumed - args->extra;
}

void plx_eal_args_free(struct plx_eal_args *args)
{
	free(args->argv);
	args->argv = NULL;
}
