/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two command lines in one: plx-devbind COMMAND [OPTION...] [ARGUMENT...], and dpdk-devbind.py's
 * (-s, -b DRIVER DEVICE..., -u DEVICE...), which people and scripts have in their fingers.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "category.h"
#include "commands.h"
#include "options.h"

#define SHORT_OPTIONS ":sb:uU:G:h"
#define OPTIONS_MAX   32

/* Bytes: a number and K, M, G or T. */
static int parse_memory(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned shift = 0;
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (isalpha((unsigned char)*end) && (unit = strchr(units, toupper(*end))) && !end[1])
		shift = 10 * (unsigned)(unit - units + 1);
	/* No blanks and no sign, which strtoull() takes. */
	if (errno || !isdigit((unsigned char)*text) || (*end && !shift) ||
	    *bytes > UINT64_MAX >> shift) {
		plx_err("--memory=%s: a number of bytes, or one with K, M, G or T, is wanted",
			text);
		return -EINVAL;
	}
	*bytes <<= shift;
	return 0;
}

static int set_command(struct options *options, enum command command)
{
	if (options->command != COMMAND_NONE && options->command != command) {
		plx_err("-b and -u exclude each other");
		return -EINVAL;
	}
	options->command = command;
	return 0;
}

static int take_option(struct options *options, int option)
{
	switch (option) {
	case 's': options->compat = true; return 0;
	case OPT_STATUS_DEV:
		options->compat = true;
		options->category = optarg;
		if (category_find(optarg))
			return 0;
		plx_err("--status-dev=%s: there is no such kind of devices; see --help", optarg);
		return -EINVAL;
	case 'b':
		/* As dpdk-devbind.py has it, "-b none" is -u. */
		options->driver = optarg;
		return set_command(options,
				   strcasecmp(optarg, "none") ? COMMAND_BIND : COMMAND_UNBIND);
	case 'u': return set_command(options, COMMAND_UNBIND);
	case 'U': options->user = optarg; return 0;
	case 'G': options->group = optarg; return 0;
	case OPT_FORCE: options->force = true; return 0;
	case OPT_NOIOMMU_MODE: options->noiommu_mode = true; return 0;
	case OPT_ALLOW_NOIOMMU: options->allow_noiommu = true; return 0;
	case OPT_JSON: options->json = true; return 0;
	case OPT_ALL: options->all = true; return 0;
	case OPT_WHOLE_GROUP: options->whole_group = true; return 0;
	case OPT_PERSIST: options->persist = true; return 0;
	case OPT_MEMORY: return parse_memory(optarg, &options->memory);
	case OPT_SOCKET: options->socket = optarg; return 0;
	case OPT_VERSION: plx_err("--version is to be written out"); return -EINVAL;
	default: return -EINVAL;
	}
}

/* The first word is a command, unless an option was one; its own argument comes next. */
static int take_words(struct options *options, char **words, unsigned count)
{
	const struct command_info *info = count ? command_find(words[0]) : NULL;

	if (options->command == COMMAND_NONE && (info || (count && !options->compat))) {
		if (!info) {
			plx_err("'%s' is no command; see --help", words[0]);
			return -EINVAL;
		}
		options->command = info->command;
		words++;
		count--;
		if (options->command == COMMAND_BIND && count) {
			options->driver = *words++;
			count--;
		} else if ((options->command == COMMAND_GRANT ||
			    options->command == COMMAND_BROKER) &&
			   count) {
			options->grantee = *words++;
			count--;
		}
	}
	/* Names of devices may come after -s alone. */
	if (options->command == COMMAND_NONE && options->compat)
		options->command = COMMAND_STATUS;
	options->report_after = options->compat && options->command != COMMAND_STATUS;
	options->words = words;
	options->count = count;
	return 0;
}

/* help COMMAND */
static int take_subject(struct options *options)
{
	const struct command_info *info = options->count ? command_find(options->words[0]) : NULL;

	if (options->count && !info)
		plx_err("'%s' is no command; see --help", options->words[0]);
	else if (options->count > 1)
		plx_err("help is about one command at a time: '%s' is too much", options->words[1]);
	else
		options->about = info ? info->command : COMMAND_NONE;
	return options->count && (!info || options->count > 1) ? -EINVAL : 0;
}

static int check(const struct options *options)
{
	static const char *const wants_device[] = {
		[COMMAND_BIND] = "bind wants a driver and devices",
		[COMMAND_UNBIND] = "unbind wants devices",
		[COMMAND_WHY] = "why wants devices",
		[COMMAND_GRANT] = "grant wants a user or a group, and devices",
		[COMMAND_BROKER] = "broker wants users, and devices",
	};

	if (options->command == COMMAND_NONE) {
		plx_err("nothing to do: say what; see --help");
		return -EINVAL;
	}
	if ((size_t)options->command < sizeof(wants_device) / sizeof(wants_device[0]) &&
	    wants_device[options->command] && !options->count) {
		plx_err("%s; see --help", wants_device[options->command]);
		return -EINVAL;
	}
	if (options->command == COMMAND_DOCTOR && options->count) {
		plx_err("doctor looks at the machine: '%s' is for `why`", options->words[0]);
		return -EINVAL;
	}
	if (options->compat && options->all) {
		plx_err("--all doesn't go with dpdk-devbind.py's report: use `status`");
		return -EINVAL;
	}
	return 0;
}

static const char *name_of(enum command command)
{
	const struct command_info *info = commands;

	while (info->command != command)
		info++;
	return info->name;
}

static unsigned bit_of(int option)
{
	unsigned i;

	for (i = 0; known_options[i].option != option; i++)
		;
	return 1u << i;
}

/*
 * What would be passed over in silence might have been meant to save something. given: a bit each.
 */
static int check_given(const struct options *options, unsigned given)
{
	const struct option_info *info;
	bool suits = false;

	for (info = known_options; info->name; info++) {
		suits |= option_suits(info, options->command);
		if (info[1].option == info->option)
			continue;
		if (given & bit_of(info->option) && !suits) {
			plx_err("--%s doesn't go with %s; see --help", info->name,
				name_of(options->command));
			return -EINVAL;
		}
		suits = false;
	}
	return 0;
}

bool command_changes(enum command command)
{
	return command == COMMAND_BIND || command == COMMAND_UNBIND || command == COMMAND_RESTORE ||
	       command == COMMAND_GRANT;
}

static int next_option(int argc, char **argv, const char *short_options)
{
	struct option options[OPTIONS_MAX] = { 0 };
	const struct option_info *info;
	struct option *option = options;

	for (info = known_options; info->name; info++)
		*option++ =
			(struct option){ info->name, info->value ? required_argument : no_argument,
					 NULL, info->option };
	return getopt_long(argc, argv, short_options, options, NULL);
}

/*
 * Whoever asks for help gets it, whatever else is said, or is wrong; if the first word is a
 * command, about that. A look: with a "-" before them the words stay where they are, and come back
 * as options called 1. Were they moved, an option that lacks its value would find one when options
 * are taken.
 */
static bool wants_help(int argc, char **argv, enum command *about)
{
	const struct command_info *info;
	bool help = false, first = true;
	int option;

	optind = 0; /* glibc: start afresh, whoever used getopt before */
	while ((option = next_option(argc, argv, "-" SHORT_OPTIONS)) != -1) {
		info = option == 1 && first ? command_find(optarg) : NULL;
		if (info)
			*about = info->command;
		first &= option != 1 && option != 'b' && option != 'u';
		help |= option == 'h';
	}
	return help;
}

/*
 * What getopt() did not understand. It has gone past the word if that is a long option, or ends
 * with this one; optopt is a short option's letter, or what a long one stands for, or 0.
 */
static int tell_wrong(char **argv, int option)
{
	const char *word = argv[optind - 1];
	bool is_short =
		optopt && optopt < OPT_STATUS_DEV &&
		(option == ':' ? word[1] != '-'
			       : !isalpha((unsigned char)optopt) || !strchr(SHORT_OPTIONS, optopt));

	if (option == ':' && is_short)
		plx_err("option '-%c' wants a value", optopt);
	else if (option == ':')
		plx_err("option '%s' wants a value", word);
	else if (is_short)
		plx_err("unknown option '-%c'; see --help", optopt);
	else if (optopt)
		plx_err("option '%.*s' takes no value", (int)strcspn(word, "="), word);
	else
		plx_err("unknown or ambiguous option '%s'; see --help", word);
	return -EINVAL;
}

int options_parse(int argc, char **argv, struct options *options)
{
	unsigned given = 0;
	int option, err;

	*options = (struct options){ 0 };
	opterr = 0;
	if (wants_help(argc, argv, &options->about)) {
		options->command = COMMAND_HELP;
		return 0;
	}
	options->about = COMMAND_NONE;
	optind = 0;
	while ((option = next_option(argc, argv, SHORT_OPTIONS)) != -1) {
		if (option == ':' || option == '?')
			return tell_wrong(argv, option);
		err = take_option(options, option);
		if (err)
			return err;
		given |= bit_of(option);
	}
	err = take_words(options, argv + optind, (unsigned)(argc - optind));
	if (!err && options->command == COMMAND_HELP)
		return take_subject(options);
	err = err ? err : check(options);
	return err ? err : check_given(options, given);
}
