/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DEVBIND_OPTIONS_H
#define DEVBIND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,  /* and what was begun is taken back */
	EXIT_USAGE = 2,	  /* the command line makes no sense, or names what isn't there */
	EXIT_REFUSED = 3, /* a device is in use, or the request is unsafe */
};

enum command {
	COMMAND_NONE,
	COMMAND_STATUS,
	COMMAND_BIND,
	COMMAND_UNBIND,
	COMMAND_RESTORE,
	COMMAND_WHY,
	COMMAND_DOCTOR,
	COMMAND_GRANT,
	COMMAND_BROKER,
	COMMAND_HELP,
};

struct options {
	enum command command;
	enum command about;	  /* help: that one, or COMMAND_NONE: all */
	bool compat;		  /* the report is dpdk-devbind.py's, letter for letter */
	bool report_after;	  /* -s or --status-dev with -b or -u */
	const char *category;	  /* --status-dev, or NULL */
	const char *driver;	  /* bind */
	const char *socket;	  /* broker: where it listens; NULL: the usual place */
	const char *grantee;	  /* grant: USER or GROUP */
	const char *user, *group; /* -U, -G */
	bool json, all, force, noiommu_mode, allow_noiommu, whole_group, persist;
	uint64_t memory; /* why: bytes that are to be mapped; 0: not said */
	char **words;	 /* devices */
	unsigned count;
};

/* 0, or -EINVAL with a line logged. Reorders argv; options point into it. */
int options_parse(int argc, char **argv, struct options *options);
/* about: COMMAND_NONE: all of them. */
void usage(FILE *out, enum command about);

/* Whether a command changes what devices are: one at a time does, from its first look on. */
bool command_changes(enum command command);

#endif
