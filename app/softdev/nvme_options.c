/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "nvme_options.h"
#include "options.h"

#define QUEUES_DEFAULT	 64
#define ENTRIES_DEFAULT	 4096
#define TRANSFER_DEFAULT (1u << 20)
#define SIZE_MIN	 4096u
#define SIZE_MAX_BYTES	 (UINT64_C(1) << 46)
#define CMB_MAX		 (64u << 20)

enum {
	OPT_SOCKET = 256,
	OPT_NS,
	OPT_QUEUES,
	OPT_ENTRIES,
	OPT_TRANSFER,
	OPT_STRIDE,
	OPT_CMB,
	OPT_INJECT,
	OPT_CPU,
	OPT_IDLE_US,
	OPT_JSON,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "ns", required_argument, NULL, OPT_NS },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "entries", required_argument, NULL, OPT_ENTRIES },
	{ "transfer", required_argument, NULL, OPT_TRANSFER },
	{ "doorbell-stride", required_argument, NULL, OPT_STRIDE },
	{ "cmb", required_argument, NULL, OPT_CMB },
	{ "inject", required_argument, NULL, OPT_INJECT },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "idle-us", required_argument, NULL, OPT_IDLE_US },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

void nvme_usage(FILE *out)
{
	fputs("usage: plx-softdev nvme --socket PATH --ns WHAT OPTION...\n"
	      "\n"
	      "Serves one NVMe controller, for plx-nvme-perf and plx-nvme -a user:PATH, until "
	      "SIGINT or SIGTERM.\n"
	      "\n"
	      "OPTIONS\n"
	      "  --socket PATH    where to listen; made with mode 0600, and gone at the end\n"
	      "  --ns WHAT[,block=512|4096][,boundary=BLOCKS][,meta=8]\n"
	      "                   a namespace; may be repeated. WHAT is one of\n"
	      "                     ram:SIZE   memory of this program\n"
	      "                     null:SIZE  keeps nothing, and reads leave the buffer as it was\n"
	      "                     file:PATH  a regular file, by io_uring; of one namespace only\n"
	      "                   SIZE may end in K, M, G or T. Of a size, and of a file, what is more than a\n"
	      "                   multiple of 4096 bytes isn't used. block: bytes, default 512. "
	      "boundary: that\n"
	      "                   commands had better not cross (NOIOB). meta: 8 bytes of metadata a block,\n"
	      "                   not of files. Formatting changes block and meta\n"
	      " The controller\n"
	      "  --queues N       I/O queue pairs, 1 to 64. Default 64\n"
	      "  --entries N      that a queue can have, 2 to 65536. Default 4096\n"
	      "  --transfer SIZE  that a command can move at most, a power of two from 8K to 32M. Default 1M\n"
	      "  --doorbell-stride N\n"
	      "                   doorbells are 4 << N bytes apart, 0 to 4. Default 0\n"
	      "  --cmb SIZE       a Controller Memory Buffer for submission queues, up to 64M\n"
	      " Mishaps, to try drivers on; counted in I/O commands since the controller was enabled\n"
	      "  --inject status=SC[:SCT][,rate=1/N][,opcode=OP][,dnr]\n"
	      "                   status code SC (of type SCT) for every Nth command, or every Nth of an\n"
	      "                   opcode; dnr: Do Not Retry. May be repeated\n"
	      "  --inject drop=N  every Nth command's completion is lost; it is carried out, if not on a file\n"
	      "  --inject stuck=N every Nth command stays until it is aborted\n"
	      "  --inject bad-cid=N\n"
	      "                   every Nth command is completed with an id that none has\n"
	      "  --inject fatal=N with the Nth command the controller fails (CSTS.CFS)\n"
	      " More\n"
	      "  --cpu N          run on this CPU only\n"
	      "  --idle-us N      nap between looks after N us in which nothing happened; 0: never.\n"
	      "                   Default 10000\n"
	      "  --json           the summary at the end as one JSON object\n"
	      "  --help           this text\n"
	      "\n"
	      "EXAMPLES\n"
	      "  plx-softdev nvme --socket /tmp/n --ns null:1G,block=4096 --ns file:disk.img &\n"
	      "  plx-nvme-perf -a user:/tmp/n -q 128 -o 4096 -w randread -t 5\n"
	      "  plx-nvme list -a user:/tmp/n\n"
	      "\n"
	      "EXIT CODES\n"
	      "  0  all well\n"
	      "  1  something failed; one line says what\n"
	      "  2  the command line is wrong\n",
	      out);
}

/* Bytes, such as 4096, 64K or 1G, in len characters. */
static int parse_size(const char *text, size_t len, uint64_t max, uint64_t *size)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned shift = 0;
	uint64_t n = 0;

	if (len && (unit = strchr(units, text[len - 1])) && *unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		len--;
	}
	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || n > max)
			return -EINVAL;
		n = n * 10 + (unsigned)(text[i] - '0');
	}
	if (n > max >> shift)
		return -EINVAL;
	*size = n << shift;
	return 0;
}

static bool begins(const char **at, const char *with)
{
	const size_t len = strlen(with);

	if (strncmp(*at, with, len))
		return false;
	*at += len;
	return true;
}

/* "key=value" up to a comma or the end. */
static int parse_ns_key(const char *at, size_t len, struct soft_ns_conf *ns)
{
	uint64_t n;

	if (begins(&at, "block=") && !parse_size(at, len - 6, 4096, &n) && (n == 512 || n == 4096))
		ns->block = (uint32_t)n;
	else if (begins(&at, "boundary=") && !parse_size(at, len - 9, UINT16_MAX, &n))
		ns->boundary = (uint16_t)n;
	else if (begins(&at, "meta=") && len == 6 && *at == '8' && ns->kind != SOFT_DISK_FILE)
		ns->metadata = true;
	else
		return -EINVAL;
	return 0;
}

static int parse_ns_what(const char *at, size_t len, struct soft_ns_conf *ns)
{
	const char *end = at + len;

	if (begins(&at, "file:")) {
		ns->kind = SOFT_DISK_FILE;
		ns->path = strndup(at, (size_t)(end - at));
		return ns->path && *ns->path ? 0 : -EINVAL;
	}
	ns->kind = begins(&at, "ram:") ? SOFT_DISK_RAM : SOFT_DISK_NULL;
	if (ns->kind == SOFT_DISK_NULL && !begins(&at, "null:"))
		return -EINVAL;
	if (at > end || parse_size(at, (size_t)(end - at), SIZE_MAX_BYTES, &ns->size))
		return -EINVAL;
	return ns->size < SIZE_MIN ? -EINVAL : 0;
}

static int parse_ns(struct nvme_options *opts)
{
	static const char wanted[] = "ram:SIZE, null:SIZE or file:PATH, with block=512 or 4096, "
				     "boundary=BLOCKS, meta=8,";
	struct soft_ns_conf *ns = &opts->ns[opts->conf.namespaces];
	const char *at = optarg;
	size_t len = strcspn(at, ",");

	if (opts->conf.namespaces == SOFT_NVME_NAMESPACES)
		return option_wrong("ns", optarg, "no more than 32 of them");
	*ns = (struct soft_ns_conf){ .block = 512 };
	opts->ns_text[opts->conf.namespaces++] = optarg;
	if (parse_ns_what(at, len, ns))
		return option_wrong("ns", optarg, wanted);
	while (at[len]) {
		at += len + 1;
		len = strcspn(at, ",");
		if (parse_ns_key(at, len, ns))
			return option_wrong("ns", optarg, wanted);
	}
	return 0;
}

static int parse_transfer(struct soft_nvme_conf *conf)
{
	uint64_t n;

	if (parse_size(optarg, strlen(optarg), SOFT_NVME_TRANSFER_MAX, &n) ||
	    n < SOFT_NVME_TRANSFER_MIN || n & (n - 1))
		return option_wrong("transfer", optarg, "a power of two from 8K to 32M");
	conf->transfer = (uint32_t)n;
	return 0;
}

static int parse_cmb(struct soft_nvme_conf *conf)
{
	if (parse_size(optarg, strlen(optarg), CMB_MAX, &conf->cmb) || !conf->cmb ||
	    conf->cmb % 4096)
		return option_wrong("cmb", optarg, "a multiple of 4K up to 64M");
	return 0;
}

static int parse_option(int opt, struct nvme_options *opts)
{
	struct soft_nvme_conf *conf = &opts->conf;
	switch (opt) {
	case OPT_SOCKET:
		if (conf->path || !*optarg)
			return option_wrong("socket", optarg, "one path");
		conf->path = optarg;
		return 0;
	case OPT_NS: return parse_ns(opts);
	case OPT_QUEUES: return option_number("queues", 1, SOFT_NVME_QUEUES, &conf->queues);
	case OPT_ENTRIES: return option_number("entries", 2, SOFT_NVME_ENTRIES, &conf->entries);
	case OPT_TRANSFER: return parse_transfer(conf);
	case OPT_STRIDE:
		return option_number("doorbell-stride", 0, SOFT_NVME_STRIDE_MAX, &conf->stride);
	case OPT_CMB: return parse_cmb(conf);
	case OPT_INJECT:
		if (soft_inject_parse(optarg, &conf->inject))
			return option_wrong("inject", optarg,
					    "status=SC[:SCT][,rate=1/N][,opcode=OP][,dnr], drop=N, "
					    "stuck=N, bad-cid=N or fatal=N");
		return 0;
	case OPT_CPU: return option_cpu(&opts->cpu);
	case OPT_IDLE_US: return option_number("idle-us", 0, UINT_MAX, &opts->idle_us);
	case OPT_JSON: opts->json = true; return 0;
	case OPT_HELP: opts->help = true; return 0;
	default: return -EINVAL; /* getopt has said what is wrong */
	}
}

int nvme_options_parse(int argc, char **argv, struct nvme_options *opts)
{
	int opt, err = 0;

	*opts = (struct nvme_options){
		.conf = { .queues = QUEUES_DEFAULT,
			  .entries = ENTRIES_DEFAULT,
			  .transfer = TRANSFER_DEFAULT },
		.cpu = -1,
		.idle_us = IDLE_US_DEFAULT,
	};
	opts->conf.ns = opts->ns;
	optind = 1;
	while (!err && (opt = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		err = parse_option(opt, opts);
	if (err || opts->help)
		return err;
	if (optind < argc) {
		plx_err("'%s' is no option", argv[optind]);
		return -EINVAL;
	}
	if (!opts->conf.path) {
		plx_err("no --socket: where shall it listen?");
		return -EINVAL;
	}
	if (!opts->conf.namespaces) {
		plx_err("no --ns: what shall be on it? For example --ns ram:64M");
		return -EINVAL;
	}
	return 0;
}

void nvme_options_free(struct nvme_options *opts)
{
	for (unsigned i = 0; i < opts->conf.namespaces; i++)
		free((char *)opts->ns[i].path);
}
