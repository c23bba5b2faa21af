/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of plx-nvme. */
#ifndef NVME_COMMAND_H
#define NVME_COMMAND_H

#include <stdio.h>

#include "session.h"

/* What the command line says. */
struct arguments {
	const struct command *command;
	uint32_t nsid; /* 0: not said */
	uint64_t lba;
	uint64_t blocks;  /* 0: not said */
	const char *file; /* NULL: standard input or output */
	struct plx_nvme_format format;
	bool shape_set; /* by any of its first four; else the namespace's shape stays */
	bool yes, binary;
	uint64_t seconds; /* 0: not said */
	bool temperature_set;
	uint32_t temperature; /* C */
	bool cns_set;
	uint8_t cns; /* what to identify */
	bool opcode_set;
	uint8_t opcode;
	uint32_t cdw[16]; /* of a raw command */
	size_t len;	  /* of its data, bytes */
};

struct command {
	const char *name; /* NULL ends a list of them */
	enum exit_code (*run)(struct session *session, const struct arguments *args);
	const char *takes; /* options, by their long names */
};

/* NULL: there is none of that name. */
const struct command *command_find(const struct command *commands, const char *name);

/* Whether a long option, by its name of len characters, is one of its. */
bool command_takes(const struct command *command, const char *option, size_t len);

/* -EINVAL: it is wrong, and one line is logged. */
int arguments_parse(int argc, char **argv, const struct command *commands, struct arguments *args);

/* Each says itself what went wrong. */
enum exit_code command_list(struct session *session, const struct arguments *args);
enum exit_code command_identify(struct session *session, const struct arguments *args);
enum exit_code command_smart(struct session *session, const struct arguments *args);
enum exit_code command_read(struct session *session, const struct arguments *args);
enum exit_code command_write(struct session *session, const struct arguments *args);
enum exit_code command_compare(struct session *session, const struct arguments *args);
enum exit_code command_zero(struct session *session, const struct arguments *args);
enum exit_code command_trim(struct session *session, const struct arguments *args);
enum exit_code command_verify(struct session *session, const struct arguments *args);
enum exit_code command_errors(struct session *session, const struct arguments *args);
enum exit_code command_firmware(struct session *session, const struct arguments *args);
enum exit_code command_effects(struct session *session, const struct arguments *args);
enum exit_code command_events(struct session *session, const struct arguments *args);
enum exit_code command_admin(struct session *session, const struct arguments *args);
enum exit_code command_io(struct session *session, const struct arguments *args);
enum exit_code command_format(struct session *session, const struct arguments *args);

/* The one controller, where a command is about one: NULL and a line is logged if there are more. */
struct plx_nvme_ctrl *only_ctrl(const struct session *session);

/* The namespace said, or the only one there is; or NULL and a line is logged. */
struct plx_nvme_ns *chosen_ns(struct plx_nvme_ctrl *ctrl, const struct arguments *args);

/* Whether it has these blocks; if not, a line is logged. */
bool fits(const struct plx_nvme_ns_info *info, uint64_t lba, uint64_t blocks);

#endif
