/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVME_HELP_H
#define NVME_HELP_H

#include "command.h"

/*
 * Whether the command line asks for help: --help or -h anywhere, about the command if that is the
 * first word, or help [COMMAND]. It was printed then, and *code is what to end with.
 */
bool help_asked(int argc, char **argv, const struct command *commands, enum exit_code *code);

#endif
