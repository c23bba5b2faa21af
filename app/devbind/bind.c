/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

#include "bind.h"
#include "grant.h"
#include "plan.h"
#include "record.h"
#include "sys.h"

/* What -U and -G add to a bind. */
struct grant {
	struct selection *selection;
	struct grantee grantee;
};

static enum exit_code give(const struct plan *plan, const void *ctx)
{
	const struct grant *grant = ctx;

	return grant_give(plan->options, grant->selection, &grant->grantee);
}

/* grant: NULL: nobody gets anything. */
static enum exit_code run_selection(const struct options *options, const struct inventory *inv,
				    struct selection *selection, const char *driver,
				    const struct grant *grant)
{
	enum exit_code code = EXIT_FAILED;
	struct plan plan;
	unsigned i;

	if (options->whole_group)
		selection_add_groups(selection, inv);
	if (grant) {
		code = grant_check(options, selection, &grant->grantee);
		if (code != EXIT_DONE)
			return code;
		code = EXIT_FAILED;
	}
	if (!plan_init(&plan, options, selection->count)) {
		for (i = 0; i < selection->count; i++)
			plan_add(&plan, selection->dev[i], driver,
				 options->persist ? driver : selection->dev[i]->override);
		plan.then = grant ? give : NULL;
		plan.ctx = grant;
		code = plan_run(&plan);
	}
	plan_free(&plan);
	return code;
}

enum exit_code bind_run(const struct options *options, const struct inventory *inv)
{
	bool granting = options->user || options->group;
	struct selection selection;
	struct grant grant = { .selection = &selection };
	enum exit_code code;

	if (!driver_name_valid(options->driver)) {
		plx_err("'%s' is no driver's name", options->driver);
		return EXIT_USAGE;
	}
	if (strchr(options->driver, ':') ||
	    (!driver_present(options->driver) && word_names_device(options->driver, inv))) {
		plx_err("'%s' is a device: name the driver before the devices", options->driver);
		return EXIT_USAGE;
	}
	if (granting && !strstr(options->driver, "vfio")) {
		plx_err("--uid and --gid go with a driver of VFIO's, which %s is not",
			options->driver);
		return EXIT_USAGE;
	}
	if (grant_find(options, &grant.grantee))
		return EXIT_USAGE;
	code = selection_make(&selection, inv, options->words, options->count);
	if (code != EXIT_DONE)
		return code;
	code = run_selection(options, inv, &selection, options->driver, granting ? &grant : NULL);
	selection_free(&selection);
	return code;
}

enum exit_code unbind_run(const struct options *options, const struct inventory *inv)
{
	/* dpdk-devbind.py's word for all devices that are ready for user space. */
	bool all_ready = options->count == 1 && !strcmp(options->words[0], "dpdk");
	struct selection selection;
	enum exit_code code;
	unsigned i;

	code = selection_make(&selection, inv, options->words, all_ready ? 0 : options->count);
	if (code != EXIT_DONE)
		return code;
	for (i = 0; i < inv->count && all_ready; i++)
		if (device_is_ready(&inv->dev[i]))
			selection_add(&selection, &inv->dev[i]);
	if (!selection.count)
		plx_notice("no device is ready for user space: there is nothing to unbind");
	code = run_selection(options, inv, &selection, "", NULL);
	selection_free(&selection);
	return code;
}
