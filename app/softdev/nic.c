/* SPDX-License-Identifier: BSD-3-Clause */
/* plx-softdev nic: network cards and what they are plugged into. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <pollux/log.h>

#include "nic_options.h"
#include "soft_cable.h"
#include "soft_nic.h"

#define MAC_FMT "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC(a)	(a)[0], (a)[1], (a)[2], (a)[3], (a)[4], (a)[5]

struct nics {
	const struct nic_options *opts;
	struct soft_nic *nic[MAX_SERVED];
	struct soft_cable *tap, *files;
};

static unsigned turn(void *model)
{
	return soft_nic_turn(model);
}

static int serve(void *model, uint64_t now)
{
	return soft_nic_serve(model, now);
}

static bool connected(const void *model)
{
	return soft_nic_connected(model);
}

static int nics_create(struct nics *nics)
{
	const struct nic_options *opts = nics->opts;
	int err = 0;

	for (unsigned i = 0; i < opts->sockets && !err; i++) {
		struct soft_nic_conf conf = { .path = opts->socket[i], .drop = opts->drop };

		memcpy(conf.mac, opts->mac[i], sizeof(conf.mac));
		err = soft_nic_create(&conf, &nics->nic[i]);
	}
	return err;
}

static int nics_plug(struct nics *nics)
{
	const struct nic_options *opts = nics->opts;
	int err = 0;

	if (opts->wire) {
		soft_nic_wire(nics->nic[0], nics->nic[1]);
	} else if (opts->tap) {
		err = soft_tap_open(nics->nic[0], opts->tap, &nics->tap);
		if (!err)
			soft_nic_plug(nics->nic[0], nics->tap);
	} else {
		err = soft_pcap_open(nics->nic[0], opts->pcap_in, opts->loops, opts->pcap_out,
				     &nics->files);
		if (!err)
			soft_nic_plug(nics->nic[0], nics->files);
	}
	return err;
}

static int nics_run(const struct nics *nics)
{
	struct served devs[MAX_SERVED];

	for (unsigned i = 0; i < nics->opts->sockets; i++) {
		plx_notice("%s: an 82574L, " MAC_FMT, nics->opts->socket[i],
			   MAC(nics->opts->mac[i]));
		devs[i] = (struct served){
			.name = nics->opts->socket[i],
			.model = nics->nic[i],
			.turn = turn,
			.serve = serve,
			.connected = connected,
			.fd = soft_nic_fd(nics->nic[i]),
			.more_fd = nics->tap ? nics->tap->fd : -1,
		};
	}
	return loop_run(devs, nics->opts->sockets, nics->opts->idle_us);
}

static void print_table(const struct nics *nics)
{
	printf("%-24s %14s %14s %10s %10s %8s %8s %8s\n", "card", "from driver", "to driver",
	       "missed", "filtered", "errors", "unknown", "clients");
	for (unsigned i = 0; i < nics->opts->sockets; i++) {
		struct soft_nic_totals t;

		soft_nic_totals(nics->nic[i], &t);
		printf("%-24s %14" PRIu64 " %14" PRIu64 " %10" PRIu64 " %10" PRIu64 " %8" PRIu64
		       " %8" PRIu64 " %8" PRIu64 "\n",
		       nics->opts->socket[i], t.tx_packets, t.rx_packets, t.missed, t.filtered,
		       t.errors, t.unknown, t.clients);
	}
}

static void print_json(const struct nics *nics)
{
	struct json_object *all = json_object_new_object(), *list = json_object_new_array();

	for (unsigned i = 0; i < nics->opts->sockets; i++) {
		struct json_object *obj = json_object_new_object();
		struct soft_nic_totals t;
		char mac[18];

		soft_nic_totals(nics->nic[i], &t);
		const struct {
			const char *key;
			uint64_t value;
		} counts[] = {
			{ "tx_packets", t.tx_packets }, { "tx_bytes", t.tx_bytes },
			{ "rx_packets", t.rx_packets }, { "rx_bytes", t.rx_bytes },
			{ "missed", t.missed },		{ "filtered", t.filtered },
			{ "errors", t.errors },		{ "unknown_registers", t.unknown },
			{ "clients", t.clients },
		};

		snprintf(mac, sizeof(mac), MAC_FMT, MAC(nics->opts->mac[i]));
		json_object_object_add(obj, "socket",
				       json_object_new_string(nics->opts->socket[i]));
		json_object_object_add(obj, "mac", json_object_new_string(mac));
		for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++)
			json_object_object_add(obj, counts[k].key,
					       json_object_new_uint64(counts[k].value));
		json_object_array_add(list, obj);
	}
	json_object_object_add(all, "nics", list);
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}

enum exit_code softdev_nic(int argc, char **argv)
{
	struct nic_options opts;
	struct nics nics = { .opts = &opts };
	int err = nic_options_parse(argc, argv, &opts);

	if (err)
		return EXIT_USAGE;
	if (opts.help) {
		nic_usage(stdout);
		return EXIT_OK;
	}
	err = loop_pin(opts.cpu);
	if (!err)
		err = nics_create(&nics);
	if (!err)
		err = nics_plug(&nics);
	if (!err)
		err = nics_run(&nics);
	if (!err && opts.json)
		print_json(&nics);
	else if (!err)
		print_table(&nics);
	if (fflush(stdout) || ferror(stdout)) {
		plx_err("the summary can't be written: %s", strerror(errno));
		err = -EIO;
	}
	for (unsigned i = 0; i < MAX_SERVED; i++)
		soft_nic_destroy(nics.nic[i]);
	soft_tap_close(nics.tap);
	if (soft_pcap_close(nics.files))
		err = -EIO;
	return err ? EXIT_FAILED : EXIT_OK;
}
