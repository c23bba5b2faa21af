/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What there is to say of all, and of one command. In the texts each entry begins with a line that
 * two spaces are before; those that go on with it have more.
 */
#include <string.h>

#include <pollux/log.h>

#include "help.h"

static const char command_lines[] =
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
	"  help      [COMMAND]: this text, or what there is to say of a command, as its --help\n";

static const char option_lines[] =
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
	"  --version            which version it is\n";

static const char epilogue[] =
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

static void usage(FILE *out)
{
	fprintf(out, "usage: plx-nvme COMMAND [BUS OPTIONS] [OPTIONS]\n\nCOMMANDS\n%s\n",
		command_lines);
	fputs("BUS OPTIONS: which devices, and how they may be claimed\n", out);
	plx_pci_usage(out);
	fprintf(out, "\nOPTIONS\n%s%s", option_lines, epilogue);
}

/* Where the next entry begins. */
static const char *after_entry(const char *entry)
{
	const char *next = entry;

	do
		next = strchr(next, '\n') + 1;
	while (!strncmp(next, "   ", 3));
	return next;
}

static void about(FILE *out, const struct command *command)
{
	const size_t len = strlen(command->name);
	const char *at, *next, *name;

	fprintf(out, "usage: plx-nvme %s [BUS OPTIONS]%s\n\n", command->name,
		*command->takes ? " [OPTIONS]" : "");
	for (at = command_lines; *at; at = next) {
		next = after_entry(at);
		if (!strncmp(at + 2, command->name, len) && at[2 + len] == ' ')
			fwrite(at, 1, (size_t)(next - at), out);
	}
	fputs(*command->takes ? "\nOPTIONS\n" : "", out);
	for (at = option_lines; *at; at = next) {
		next = after_entry(at);
		name = strstr(at, "--") + 2;
		if (command_takes(command, name, strcspn(name, " ")))
			fwrite(at, 1, (size_t)(next - at), out);
	}
	fputs("\nBUS OPTIONS: see plx-nvme --help\n", out);
}

/* help [COMMAND] */
static enum exit_code help(int argc, char **argv, const struct command *commands)
{
	const struct command *command = argc > 2 ? command_find(commands, argv[2]) : NULL;

	if (argc > 3) {
		plx_err("help is about one command at a time: '%s' is too much", argv[3]);
		return EXIT_USAGE;
	}
	if (argc > 2 && !command) {
		plx_err("'%s' is no command; see --help", argv[2]);
		return EXIT_USAGE;
	}
	if (command)
		about(stdout, command);
	else
		usage(stdout);
	return session_flush();
}

bool help_asked(int argc, char **argv, const struct command *commands, enum exit_code *code)
{
	const struct command *command = argc > 1 ? command_find(commands, argv[1]) : NULL;
	bool asked = false;

	for (int i = 1; i < argc; i++)
		asked |= !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
	if (asked && command)
		about(stdout, command);
	else if (asked)
		usage(stdout);
	if (asked)
		*code = session_flush();
	else if (argc > 1 && !strcmp(argv[1], "help"))
		*code = help(argc, argv, commands);
	else
		return false;
	return true;
}
