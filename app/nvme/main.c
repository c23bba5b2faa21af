/* SPDX-License-Identifier: BSD-3-Clause */
/* plx-nvme: looking at NVMe controllers and moving data, for people and for scripts. */
#include <string.h>

#include <pollux/log.h>

#include "command.h"
#include "version.h"

static const char synopsis[] =
	"usage: plx-nvme COMMAND [BUS OPTIONS] [OPTIONS]\n"
	"\n"
	"COMMANDS\n"
	"  list      controllers and their namespaces\n"
	"  identify  what a controller says of itself; with -n, a namespace; with --cns, any of it\n"
	"  smart     its health\n"
	"  errors    what went wrong lately, the last one first\n"
	"  firmware  what is in which slot\n"
	"  effects   which commands it has, and what they change\n"
	"  events    waits for asynchronous events and prints them\n"
	"  read      blocks to a file or to standard output\n"
	"  write     a file or standard input to blocks, filled up with zeroes to whole ones; a file\n"
	"            that doesn't fit is refused before anything is written, a pipe can't be\n"
	"  compare   a file or standard input with blocks, byte for byte to its end\n"
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
	"  -c, --count N        blocks; read: default 1; write, compare: at most, default all of the input\n"
	"  -f, --file FILE      read, write, compare, admin, io: instead of standard output and input,\n"
	"                       which - is, too\n"
	"  -l, --lbaf N         format: index of the format (identify -n lists them); default: all stays\n"
	"                       as it is\n"
	"  --extended           format: metadata behind each block\n"
	"  --pi N               format: type of protection, 0 to 3\n"
	"  --pi-first           format: protection at the beginning of the metadata\n"
	"  --erase N            format: 1 user data, 2 cryptographic\n"
	"  --yes                format: yes; admin, io: even what can destroy data (Write, Format, Sanitize,\n"
	"                       firmware, and all that has no name here), and where there is no IOMMU\n"
	"  --hex                identify: all bytes\n"
	"  --cns N              identify: this; 2 and 0x10 lists of namespaces after -n, 3 what names a\n"
	"                       namespace has, 0x12 and 0x13 lists of controllers, 0x1c command sets\n"
	"  --opcode N           admin, io: which command\n"
	"  --cdw N=VALUE        admin, io: a command dword, of 1 (the namespace), 2, 3, 10 to 15\n"
	"  --len BYTES          admin, io: data, which way it goes is in the opcode; as much as the command\n"
	"                       moves, which its dwords say\n"
	"  -t, --time SECONDS   events: how long; default 10\n"
	"  --temperature C      events: meanwhile, of this temperature\n"
	"  --version            which version it is\n"
	"\n"
	"EXAMPLES\n"
	"  plx-nvme list\n"
	"  plx-nvme read -a 0000:01:00.0 -n 1 -s 0 -c 8 > first-blocks\n"
	"  plx-nvme format -a 0000:01:00.0 -n 1 --lbaf 1 --yes\n"
	"  plx-nvme admin -a 0000:01:00.0 --opcode 0x0a --cdw 10=2    # power management\n"
	"\n"
	"EXIT CODES\n"
	"  0  all well\n"
	"  1  something failed, there is no such controller or namespace, or a device that was asked for\n"
	"     was refused; one line says what, with the status that the controller gave\n"
	"  2  the command line is wrong\n"
	"  3  compare: the data differs\n";

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

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			usage(stdout);
			return EXIT_OK;
		}
	}
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
