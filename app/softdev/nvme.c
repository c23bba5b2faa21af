/* SPDX-License-Identifier: BSD-3-Clause */
/* plx-softdev nvme: an NVMe controller and what its namespaces lie on. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <pollux/log.h>

#include "nvme_options.h"

static unsigned turn(void *model)
{
	return soft_nvme_turn(model);
}

static int serve(void *model, uint64_t now)
{
	return soft_nvme_serve(model, now);
}

static bool connected(const void *model)
{
	return soft_nvme_connected(model);
}

static int run(const struct nvme_options *opts, struct soft_nvme *nvme)
{
	const struct served dev = {
		.name = opts->conf.path,
		.model = nvme,
		.turn = turn,
		.serve = serve,
		.connected = connected,
		.fd = soft_nvme_fd(nvme),
		.more_fd = soft_nvme_more_fd(nvme),
	};

	plx_notice("%s: an NVMe controller, %u namespace%s", opts->conf.path, opts->conf.namespaces,
		   opts->conf.namespaces == 1 ? "" : "s");
	return loop_run(&dev, 1, opts->idle_us);
}

static void print_table(const struct nvme_options *opts, const struct soft_nvme *nvme)
{
	struct soft_nvme_totals t;

	soft_nvme_totals(nvme, &t);
	printf("%-24s %14s %14s %12s %12s %8s %8s %8s %8s\n", "controller", "reads", "writes",
	       "MiB read", "MiB written", "errors", "injected", "resets", "clients");
	printf("%-24s %14" PRIu64 " %14" PRIu64 " %12" PRIu64 " %12" PRIu64 " %8" PRIu64
	       " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n",
	       opts->conf.path, t.reads, t.writes, t.read_bytes >> 20, t.written_bytes >> 20,
	       t.errors, t.injected, t.resets, t.clients);
}

static void print_json(const struct nvme_options *opts, const struct soft_nvme *nvme)
{
	struct json_object *all = json_object_new_object(), *obj = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct soft_nvme_totals t;

	soft_nvme_totals(nvme, &t);
	const struct {
		const char *key;
		uint64_t value;
	} counts[] = {
		{ "commands", t.commands },
		{ "reads", t.reads },
		{ "read_bytes", t.read_bytes },
		{ "writes", t.writes },
		{ "written_bytes", t.written_bytes },
		{ "admin_commands", t.admin },
		{ "errors", t.errors },
		{ "injected", t.injected },
		{ "faults", t.faults },
		{ "unknown_registers", t.unknown },
		{ "resets", t.resets },
		{ "clients", t.clients },
	};

	json_object_object_add(obj, "socket", json_object_new_string(opts->conf.path));
	for (unsigned i = 0; i < opts->conf.namespaces; i++)
		json_object_array_add(list, json_object_new_string(opts->ns_text[i]));
	json_object_object_add(obj, "namespaces", list);
	for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++)
		json_object_object_add(obj, counts[k].key, json_object_new_uint64(counts[k].value));
	json_object_object_add(all, "nvme", obj);
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}

enum exit_code softdev_nvme(int argc, char **argv)
{
	struct soft_nvme *nvme = NULL;
	struct nvme_options opts;
	int err = nvme_options_parse(argc, argv, &opts);

	if (!err && opts.help)
		nvme_usage(stdout);
	if (err || opts.help)
		goto out;
	err = loop_pin(opts.cpu);
	if (!err)
		err = soft_nvme_create(&opts.conf, &nvme);
	if (!err)
		err = run(&opts, nvme);
	if (!err && opts.json)
		print_json(&opts, nvme);
	else if (!err)
		print_table(&opts, nvme);
	if (fflush(stdout) || ferror(stdout)) {
		plx_err("the summary can't be written: %s", strerror(errno));
		err = -EIO;
	}
	soft_nvme_destroy(nvme);
	nvme_options_free(&opts);
	return err ? EXIT_FAILED : EXIT_OK;
out:
	nvme_options_free(&opts);
	return err ? EXIT_USAGE : EXIT_OK;
}
