/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of plx-nvme. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include <pollux/log.h>

#include "command.h"

#define MAX_RAW (16u << 20) /* bytes of a raw command */

enum {
	OPT_EXTENDED = OPTION_LONG,
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
	case 'f': args->file = strcmp(optarg, "-") ? optarg : NULL; return 0;
	case 'l':
		err = number(0, 63, &value);
		args->format.lbaf = (uint8_t)value;
		args->shape_set = true;
		return err;
	case OPT_EXTENDED:
		args->format.extended = true;
		args->shape_set = true;
		return 0;
	case OPT_PI:
		err = number(0, 3, &value);
		args->format.pi = (uint8_t)value;
		args->shape_set = true;
		return err;
	case OPT_PI_FIRST:
		args->format.pi_first = true;
		args->shape_set = true;
		return 0;
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
	default: return -EINVAL;
	}
}

/* Which of the long options it is, for all have such a name. */
static unsigned index_of(int opt)
{
	unsigned i = 0;

	while (long_options[i].val != opt)
		i++;
	return i;
}

const struct command *command_find(const struct command *commands, const char *name)
{
	while (commands->name && strcmp(commands->name, name) != 0)
		commands++;
	return commands->name ? commands : NULL;
}

bool command_takes(const struct command *command, const char *option, size_t len)
{
	const char *list = command->takes;

	for (; *list; list += strspn(list, " ")) {
		const size_t n = strcspn(list, " ");

		if (n == len && !strncmp(list, option, len))
			return true;
		list += n;
	}
	return false;
}

/* Options that say nothing to the command aren't passed over. */
static int check_given(uint32_t given, const struct command *command)
{
	for (unsigned i = 0; long_options[i].name; i++) {
		const char *name = long_options[i].name;

		if (!(given & 1u << i) || command_takes(command, name, strlen(name)))
			continue;
		plx_err("--%s doesn't go with %s", name, command->name);
		return -EINVAL;
	}
	return 0;
}

int arguments_parse(int argc, char **argv, const struct command *commands, struct arguments *args)
{
	const struct command *command;
	uint32_t given = 0;
	int opt, err;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":n:s:c:f:l:t:", long_options, NULL)) != -1) {
		err = opt == ':' || opt == '?' ? option_wrong(opt, argv) : parse_option(opt, args);
		if (err)
			return err;
		given |= 1u << index_of(opt);
	}
	if (optind + 1 != argc) {
		plx_err("%s; see --help", optind < argc ? "one command at a time" : "no command");
		return -EINVAL;
	}
	command = command_find(commands, argv[optind]);
	if (!command) {
		plx_err("'%s' is no command; see --help", argv[optind]);
		return -EINVAL;
	}
	args->command = command;
	return check_given(given, command);
}
