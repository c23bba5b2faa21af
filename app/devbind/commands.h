/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands and options, and what is said of each: what the command line is parsed by, what
 * --help prints, and what shells offer, who ask `plx-devbind help`.
 */
#ifndef DEVBIND_COMMANDS_H
#define DEVBIND_COMMANDS_H

#include "options.h"

struct command_info {
	const char *name; /* NULL: the end */
	enum command command;
	const char *arguments, *text;
};

extern const struct command_info commands[];

/* A set of commands. */
#define A(command) (1u << COMMAND_##command)

enum {
	OPT_STATUS_DEV = 256,
	OPT_FORCE,
	OPT_NOIOMMU_MODE,
	OPT_ALLOW_NOIOMMU,
	OPT_JSON,
	OPT_ALL,
	OPT_WHOLE_GROUP,
	OPT_PERSIST,
	OPT_MEMORY,
	OPT_SOCKET,
	OPT_VERSION,
};

struct option_info {
	const char *name;  /* NULL: the end */
	const char *value; /* what it is called; NULL: it takes none */
	int option;	   /* its letter, or OPT_... */
	bool old;	   /* dpdk-devbind.py has it, too */

	/*
	 * The commands that it says this to; 0: all; A(NONE): it stands alone. -b and -u are
	 * commands themselves: theirs are those that they stand for.
	 */
	unsigned commands;
	const char *text;
};

/* One that says different things to different commands is there for each, one behind the other. */

extern const struct option_info known_options[];

/* Whether it says this to a command, and whether it is one itself. */
bool option_suits(const struct option_info *info, enum command command);
bool option_commands(const struct option_info *info);

/* NULL: there is no such command. */
const struct command_info *command_find(const char *name);

#endif
