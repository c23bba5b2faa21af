/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <pollux/log.h>

#include "softdev.h"
#include "version.h"

static const struct {
	const char *name, *what;
	enum exit_code (*run)(int argc, char **argv);
} commands[] = {
	{ "nic", "network cards (Intel 82574L), on a wire, a TAP interface or pcap files",
	  softdev_nic },
	{ "nvme", "an NVMe controller, over memory, files or nothing", softdev_nvme },
};

static void usage(FILE *out)
{
	fputs("usage: plx-softdev KIND OPTION...\n"
	      "\n"
	      "Serves devices made of software on vfio-user sockets, until SIGINT or SIGTERM.\n"
	      "\n"
	      "KINDS\n",
	      out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(out, "  %-4s %s\n", commands[i].name, commands[i].what);
	fputs("\nplx-softdev KIND --help says more about each; plx-softdev --version which it is.\n",
	      out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage(stdout);
		return EXIT_OK;
	}
	if (version_asked(argc, argv))
		return EXIT_OK;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	}
	plx_err("'%s' is no kind of device; see plx-softdev --help", argv[1]);
	return EXIT_USAGE;
}
