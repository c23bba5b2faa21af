/* SPDX-License-Identifier: BSD-3-Clause */
/* plx-nvme: looking at NVMe controllers and moving data, for people and for scripts. */
#include "command.h"
#include "help.h"
#include "version.h"

static const struct command commands[] = {
	{ "list", command_list, "" },
	{ "identify", command_identify, "ns hex cns" },
	{ "smart", command_smart, "" },
	{ "errors", command_errors, "" },
	{ "firmware", command_firmware, "" },
	{ "effects", command_effects, "" },
	{ "events", command_events, "time temperature" },
	{ "read", command_read, "ns start count file" },
	{ "write", command_write, "ns start count file" },
	{ "compare", command_compare, "ns start count file" },
	{ "zero", command_zero, "ns start count" },
	{ "trim", command_trim, "ns start count" },
	{ "verify", command_verify, "ns start count" },
	{ "format", command_format, "ns lbaf extended pi pi-first erase yes" },
	{ "admin", command_admin, "ns file opcode cdw len yes" },
	{ "io", command_io, "ns file opcode cdw len yes" },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	struct arguments args = { 0 };
	enum exit_code code, closed;
	struct session session;

	if (help_asked(argc, argv, commands, &code))
		return code;
	if (version_asked(argc, argv))
		return session_flush();
	code = session_scan(&session, &argc, argv);
	if (code != EXIT_OK)
		return code;
	code = arguments_parse(argc, argv, commands, &args) ? EXIT_USAGE : session_start(&session);
	if (code == EXIT_OK)
		code = args.command->run(&session, &args);
	if (code == EXIT_OK)
		code = session_flush();
	closed = session_close(&session);
	return code == EXIT_OK ? closed : code;
}
