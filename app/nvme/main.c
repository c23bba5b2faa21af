/* SPDX-License-Identifier: BSD-3-Clause */
/* plx-nvme: looking at NVMe controllers and moving data, for people and for scripts. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include <pollux/log.h>

#include "command.h"

static const char synopsis[] =
	"usage: plx-nvme COMMAND [BUS OPTIONS] [OPTIONS]\n"
	"\n"
	"COMMANDS\n"
	"  list      controllers and their namespaces\n"
	"  identify  what a controller says of itself; with -n, a namespace; with --cns, any of "
	"it\n"
	"  smart     its health\n"
	"  errors    what went wrong lately, the last one first\n"
	"  firmware  what is in which slot\n"
	"  effects   which commands it has, and what they change\n"
	"  events    waits for asynchronous events and prints them\n"
	"  read      blocks to a file or to standard output\n"
	"  write     a file or standard input to blocks, filled up with zeroes to whole ones\n"
	"  compare   a file or standard input with blocks\n"
	"  zero      blocks (Write Zeroes)\n"
	"  trim      blocks: their data is lost (Dataset Management, Deallocate)\n"
	"  verify    that the controller can read blocks, without moving them\n"
	"  format    makes a namespace anew: all its data is lost\n"
	"  admin     any admin command\n"
	"  io        any I/O command\n"
	"\n"
	"BUS OPTIONS: which devices, and how they may be claimed\n";

static const char options[] =
	"\n"
	"OPTIONS\n"
	"  -n, --ns N           namespace; needed if there are several\n"
	"  -s, --start N        first block; default 0\n"
	"  -c, --count N        blocks; read: default 1; write, compare: at most, default all of "
	"the "
	"input\n"
	"  -f, --file FILE      read, write, compare, admin, io: instead of standard output and "
	"input\n"
	"  -l, --lbaf N         format: index of the format (identify -n lists them)\n"
	"  --extended           format: metadata behind each block\n"
	"  --pi N               format: type of protection, 1 to 3\n"
	"  --pi-first           format: protection at the beginning of the metadata\n"
	"  --erase N            format: 1 user data, 2 cryptographic\n"
	"  --yes                format: yes; admin, io: even where there is no IOMMU\n"
	"  --hex                identify: all bytes\n"
	"  --cns N              identify: this; 2 and 0x10 lists of namespaces after -n, 3 what "
	"names "
	"a\n"
	"                       namespace has, 0x12 and 0x13 lists of controllers, 0x1c command "
	"sets\n"
	"  --opcode N           admin, io: which command\n"
	"  --cdw N=VALUE        admin, io: a command dword, of 1 (the namespace), 2, 3, 10 to 15\n"
	"  --len BYTES          admin, io: data, which way it goes is in the opcode\n"
	"  -t, --time SECONDS   events: how long; default 10\n"
	"  --temperature C      events: meanwhile, of this temperature\n"
	"\n"
	"EXAMPLES\n"
	"  plx-nvme list\n"
	"  plx-nvme read -a 0000:01:00.0 -n 1 -s 0 -c 8 > first-blocks\n"
	"  plx-nvme format -a 0000:01:00.0 -n 1 --lbaf 4 --yes\n"
	"  plx-nvme admin -a 0000:01:00.0 --opcode 0x0a --cdw 10=2    # power management\n"
	"\n"
	"EXIT CODES\n"
	"  0  all well\n"
	"  1  something failed, there is no such controller or namespace, or a device that was "
	"asked for\n"
	"     was refused; one line says what, with the status that the controller gave\n"
	"  2  the command line is wrong\n"
	"  3  compare: the data differs\n";

static const struct {
	const char *name;
	enum exit_code (*run)(struct session *session, const struct arguments *args);
} commands[] = {
	{ "list", command_list },	{ "identify", command_identify },
	{ "smart", command_smart },	{ "read", command_read },
	{ "write", command_write },	{ "format", command_format },
	{ "errors", command_errors },	{ "firmware", command_firmware },
	{ "effects", command_effects }, { "events", command_events },
	{ "compare", command_compare }, { "zero", command_zero },
	{ "trim", command_trim },	{ "verify", command_verify },
	{ "admin", command_admin },	{ "io", command_io },
};

#define MAX_RAW	 (16u << 20) /* bytes of a raw command */
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

enum {
	OPT_EXTENDED = 256,
	OPT_PI,
	OPT_PI_FIRST,
	OPT_ERASE,
	OPT_YES,
	OPT_HEX,
	OPT_TEMPERATURE,
	OPT_CNS,
	OPT_OPCODE,
	OPT_CDW,
	OPT_LEN,
};

static const struct option long_options[] = {
	{ "ns", required_argument, NULL, 'n' },
	{ "start", required_argument, NULL, 's' },
	{ "count", required_argument, NULL, 'c' },
	{ "file", required_argument, NULL, 'f' },
	{ "lbaf", required_argument, NULL, 'l' },
	{ "extended", no_argument, NULL, OPT_EXTENDED },
	{ "pi", required_argument, NULL, OPT_PI },
	{ "pi-first", no_argument, NULL, OPT_PI_FIRST },
	{ "erase", required_argument, NULL, OPT_ERASE },
	{ "yes", no_argument, NULL, OPT_YES },
	{ "hex", no_argument, NULL, OPT_HEX },
	{ "time", required_argument, NULL, 't' },
	{ "temperature", required_argument, NULL, OPT_TEMPERATURE },
	{ "cns", required_argument, NULL, OPT_CNS },
	{ "opcode", required_argument, NULL, OPT_OPCODE },
	{ "cdw", required_argument, NULL, OPT_CDW },
	{ "len", required_argument, NULL, OPT_LEN },
	{ NULL, 0, NULL, 0 },
};

static int number(uint64_t min, uint64_t max, uint64_t *value)
{
	if (!parse_number(optarg, false, value) && *value >= min && *value <= max)
		return 0;
	plx_err("'%s': a number from %llu to %llu is wanted", optarg, (unsigned long long)min,
		(unsigned long long)max);
	return -EINVAL;
}

/* N=VALUE. Dwords 4 to 9 say where the data is, and 0 has the opcode: those are ours. */
static int command_dword(struct arguments *args)
{
	char *value = strchr(optarg, '=');
	uint64_t n = 0, dword = 0;

	if (value)
		*value++ = '\0';
	if (!value || parse_number(optarg, false, &n) || parse_number(value, false, &dword) ||
	    dword > UINT32_MAX || n < 1 || n > 15 || (n > 3 && n < 10)) {
		plx_err("--cdw %s%s%s: N=VALUE is wanted, N one of 1 to 3 and 10 to 15", optarg,
			value ? "=" : "", value ? value : "");
		return -EINVAL;
	}
	args->cdw[n] = (uint32_t)dword;
	return 0;
}

static int parse_option(int opt, struct arguments *args)
{
	uint64_t value = 0;
	int err = 0;

	switch (opt) {
	case 'n':
		err = number(1, PLX_NVME_NSID_ALL - 1, &value);
		args->nsid = (uint32_t)value;
		return err;
	case 's': return number(0, UINT64_MAX, &args->lba);
	case 'c': return number(1, UINT64_MAX, &args->blocks);
	case 'f': args->file = optarg; return 0;
	case 'l':
		err = number(0, 63, &value);
		args->format.lbaf = (uint8_t)value;
		return err;
	case OPT_EXTENDED: args->format.extended = true; return 0;
	case OPT_PI:
		err = number(0, 3, &value);
		args->format.pi = (uint8_t)value;
		return err;
	case OPT_PI_FIRST: args->format.pi_first = true; return 0;
	case OPT_ERASE:
		err = number(0, 2, &value);
		args->format.erase = (uint8_t)value;
		return err;
	case OPT_YES: args->yes = true; return 0;
	case OPT_HEX: args->binary = true; return 0;
	case 't': return number(1, 86400 * 365, &args->seconds);
	case OPT_TEMPERATURE:
		err = number(0, 1000, &value);
		args->temperature = (uint32_t)value;
		args->temperature_set = true;
		return err;
	case OPT_CNS:
		err = number(0, UINT8_MAX, &value);
		args->cns = (uint8_t)value;
		args->cns_set = true;
		return err;
	case OPT_OPCODE:
		err = number(0, UINT8_MAX, &value);
		args->opcode = (uint8_t)value;
		args->opcode_set = true;
		return err;
	case OPT_CDW: return command_dword(args);
	case OPT_LEN:
		err = number(1, MAX_RAW, &value);
		args->len = (size_t)value;
		return err;
	default: plx_err("an option is unknown, or lacks a value; see --help"); return -EINVAL;
	}
}

/* argv[1] is the command's name, unless it was an option: then it stands first of what is left. */
static int parse(int argc, char **argv, struct arguments *args, unsigned *command)
{
	int opt, err;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":n:s:c:f:l:t:", long_options, NULL)) != -1) {
		err = parse_option(opt, args);
		if (err)
			return err;
	}
	if (optind + 1 != argc) {
		plx_err("%s; see --help", optind < argc ? "one command at a time" : "no command");
		return -EINVAL;
	}
	for (*command = 0; *command < COMMANDS; ++*command)
		if (!strcmp(argv[optind], commands[*command].name))
			return 0;
	plx_err("'%s' is no command; see --help", argv[optind]);
	return -EINVAL;
}

static void usage(FILE *out)
{
	fputs(synopsis, out);
	plx_pci_usage(out);
	fputs(options, out);
}

int main(int argc, char **argv)
{
	struct arguments args = { 0 };
	enum exit_code code, closed;
	struct session session;
	unsigned command;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			usage(stdout);
			return EXIT_OK;
		}
	}
	code = session_scan(&session, &argc, argv);
	if (code != EXIT_OK)
		return code;
	code = parse(argc, argv, &args, &command) ? EXIT_USAGE : session_start(&session);
	if (code == EXIT_OK)
		code = commands[command].run(&session, &args);
	if (code == EXIT_OK)
		code = session_flush();
	closed = session_close(&session);
	return code == EXIT_OK ? closed : code;
}
