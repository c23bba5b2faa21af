/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "nic_options.h"
#include "options.h"

enum {
	OPT_SOCKET = 256,
	OPT_WIRE,
	OPT_TAP,
	OPT_PCAP_IN,
	OPT_PCAP_OUT,
	OPT_LOOP,
	OPT_MAC,
	OPT_DROP,
	OPT_CPU,
	OPT_IDLE_US,
	OPT_JSON,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "wire", no_argument, NULL, OPT_WIRE },
	{ "tap", required_argument, NULL, OPT_TAP },
	{ "pcap-in", required_argument, NULL, OPT_PCAP_IN },
	{ "pcap-out", required_argument, NULL, OPT_PCAP_OUT },
	{ "loop", required_argument, NULL, OPT_LOOP },
	{ "mac", required_argument, NULL, OPT_MAC },
	{ "drop", no_argument, NULL, OPT_DROP },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "idle-us", required_argument, NULL, OPT_IDLE_US },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

void nic_usage(FILE *out)
{
	fputs("usage: plx-softdev nic --socket PATH [--socket PATH] OPTION...\n"
	      "\n"
	      "Serves one Intel 82574L on each socket, for plx-testpmd -a user:PATH, until SIGINT or SIGTERM.\n"
	      "\n"
	      "OPTIONS\n"
	      "  --socket PATH    where to listen; made with mode 0600, and gone at the end\n"
	      " What is at the other end of the card's cable, one of:\n"
	      "  --wire           the second card: two sockets\n"
	      "  --tap NAME       a TAP interface of the kernel, made if it isn't there\n"
	      "  --pcap-in FILE   this file is played, as fast as the driver has buffers; plx-testpmd drops\n"
	      "                   what comes before it forwards, but for --no-flush-rx\n"
	      "  --pcap-out FILE  what the driver sends is recorded; both may be given\n"
	      " More\n"
	      "  --loop N         play the file N times; 0: for ever. Default 1\n"
	      "  --mac ADDRESS    of the card, the second one's is one more. Default: made from the path\n"
	      "  --drop           lose frames that the driver has no buffer for, as a card without flow\n"
	      "                   control. Default: they wait in the sender's ring, for a second at most\n"
	      "  --cpu N          run on this CPU only\n"
	      "  --idle-us N      nap between looks after N us in which nothing happened; 0: never.\n"
	      "                   Default 10000\n"
	      "  --json           the summary at the end as one JSON object\n"
	      "  --help           this text\n"
	      "\n"
	      "EXAMPLES\n"
	      "  plx-softdev nic --socket /tmp/a --socket /tmp/b --wire &\n"
	      "  plx-testpmd -a user:/tmp/a -a user:/tmp/b -- --forward-mode=verify,io --port-topology=loop\n"
	      "  plx-softdev nic --socket /tmp/a --tap plx0 &          (as root)\n"
	      "  ip addr add 192.0.2.1/24 dev plx0; ip link set plx0 up\n"
	      "  plx-testpmd -a user:/tmp/a -- --forward-mode=icmpecho  (and ping 192.0.2.2)\n"
	      "  plx-softdev nic --socket /tmp/a --pcap-in in.pcap --pcap-out out.pcap\n"
	      "\n"
	      "EXIT CODES\n"
	      "  0  all well\n"
	      "  1  something failed; one line says what\n"
	      "  2  the command line is wrong\n",
	      out);
}

static int parse_mac(uint8_t mac[6])
{
	const char *wanted = "the address of one station, such as 02:00:00:00:00:01,";
	const char *at = optarg;

	for (unsigned i = 0; i < 6; i++, at += 3) {
		char *end;

		if (!strchr("0123456789abcdefABCDEF", at[0]) || !at[0])
			return option_wrong("mac", optarg, wanted);
		mac[i] = (uint8_t)strtoul(at, &end, 16);
		if (end != at + 2 || *end != (i < 5 ? ':' : '\0'))
			return option_wrong("mac", optarg, wanted);
	}
	if (mac[0] & 1 || !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]))
		return option_wrong("mac", optarg, wanted);
	return 0;
}

/* Locally administered, and the same each time for the same path (FNV-1a). */
static void make_mac(const char *path, uint8_t mac[6])
{
	uint32_t hash = 2166136261u;

	while (*path)
		hash = (hash ^ (uint8_t)*path++) * 16777619u;
	mac[0] = 2;
	mac[1] = 'P';
	for (unsigned i = 2; i < 6; i++)
		mac[i] = (uint8_t)(hash >> 8 * (i - 2));
}

static int parse_option(int opt, struct nic_options *opts)
{
	switch (opt) {
	case OPT_SOCKET:
		if (opts->sockets == MAX_SERVED || !*optarg)
			return option_wrong("socket", optarg, "one path, or two with --wire,");
		opts->socket[opts->sockets++] = optarg;
		return 0;
	case OPT_WIRE: opts->wire = true; return 0;
	case OPT_TAP: opts->tap = optarg; return 0;
	case OPT_PCAP_IN: opts->pcap_in = optarg; return 0;
	case OPT_PCAP_OUT: opts->pcap_out = optarg; return 0;
	case OPT_LOOP: return option_number("loop", 0, UINT_MAX, &opts->loops);
	case OPT_MAC: opts->mac_given = true; return parse_mac(opts->mac[0]);
	case OPT_DROP: opts->drop = true; return 0;
	case OPT_CPU: return option_cpu(&opts->cpu);
	case OPT_IDLE_US: return option_number("idle-us", 0, UINT_MAX, &opts->idle_us);
	case OPT_JSON: opts->json = true; return 0;
	case OPT_HELP: opts->help = true; return 0;
	default: return -EINVAL; /* getopt has said what is wrong */
	}
}

/* What goes together. */
static int check(const struct nic_options *opts)
{
	const char *wrong = NULL;

	if (!opts->sockets)
		wrong = "no --socket: where shall it listen?";
	else if (opts->wire + !!opts->tap + (opts->pcap_in || opts->pcap_out) != 1)
		wrong = "one of --wire, --tap, and --pcap-in with --pcap-out says where the "
			"cable goes";
	else if (opts->wire && opts->sockets != 2)
		wrong = "--wire is between two cards: give --socket twice";
	else if (!opts->wire && opts->sockets != 1)
		wrong = "two cards need --wire";
	else if (opts->sockets == 2 && !strcmp(opts->socket[0], opts->socket[1]))
		wrong = "two cards need two sockets";
	else if (!opts->pcap_in && opts->loops != 1)
		wrong = "--loop needs a file to play: --pcap-in";
	if (wrong)
		plx_err("%s", wrong);
	return wrong ? -EINVAL : 0;
}

int nic_options_parse(int argc, char **argv, struct nic_options *opts)
{
	int opt, err = 0;

	*opts = (struct nic_options){ .loops = 1, .cpu = -1, .idle_us = IDLE_US_DEFAULT };
	optind = 1;
	while (!err && (opt = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		err = parse_option(opt, opts);
	if (err || opts->help)
		return err;
	if (optind < argc) {
		plx_err("'%s' is no option", argv[optind]);
		return -EINVAL;
	}
	memcpy(opts->mac[1], opts->mac[0], sizeof(opts->mac[1]));
	opts->mac[1][5]++;
	for (unsigned i = 0; i < opts->sockets && !opts->mac_given; i++)
		make_mac(opts->socket[i], opts->mac[i]);
	return check(opts);
}
