/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

#include "bind.h"
#include "grant.h"
#include "noiommu.h"
#include "persist.h"
#include "plan.h"

/* What has become of the devices remembered that aren't there any more is nobody's concern. */
static int select_remembered(struct selection *selection, const struct inventory *inv)
{
	struct texts bdfs = { 0 };
	int err = record_list(&bdfs);
	unsigned i;

	for (i = 0; i < bdfs.count && !err; i++) {
		struct device *dev = inventory_find(inv, bdfs.at[i]);

		if (dev)
			selection_add(selection, dev);
		else
			plx_notice("%s is remembered and isn't there", bdfs.at[i]);
	}
	texts_free(&bdfs);
	return err;
}

/* Those named must be known; a device that nobody touched is what it was. */
static void add_changes(struct plan *plan, const struct selection *selection)
{
	unsigned i;

	for (i = 0; i < selection->count; i++) {
		const struct device *dev = selection->dev[i];
		struct record record;

		if (record_read(dev, &record)) {
			plx_notice("%s: nothing is remembered of it, so nothing is changed",
				   dev->bdf);
			continue;
		}
		if (record.driver[0] && !driver_name_valid(record.driver)) {
			plx_warn("%s: '%s' is remembered, which is no driver: passed over",
				 dev->bdf, record.driver);
			continue;
		}
		plan->record[plan->count] = record;
		plan_add(plan, dev, record.driver, record.override);
	}
}

static enum exit_code use_up(const struct plan *plan)
{
	enum exit_code code = EXIT_DONE;
	unsigned i;

	for (i = 0; i < plan->count; i++) {
		const struct record *record = &plan->record[i];
		const char *bdf = plan->change[i].dev->bdf;

		if (grant_undo(bdf) ||
		    (record->persistent && persist_undo(bdf, record->persisted))) {
			code = EXIT_FAILED;
			continue;
		}
		record_remove(bdf, false);
		record_remove(bdf, true);
	}
	return code;
}

/* A device may have been granted that was never bound by us. */
static enum exit_code end_grants(const struct selection *selection)
{
	enum exit_code code = EXIT_DONE;
	unsigned i;

	for (i = 0; i < selection->count; i++)
		if (grant_undo(selection->dev[i]->bdf))
			code = EXIT_FAILED;
	return code;
}

enum exit_code restore_run(const struct options *options, const struct inventory *inv)
{
	struct selection selection;
	enum exit_code code;
	struct plan plan;
	int err = 0;

	code = selection_make(&selection, inv, options->words, options->count);
	if (code != EXIT_DONE)
		return code;
	code = EXIT_FAILED;
	if (!options->count)
		err = select_remembered(&selection, inv);
	if (!err)
		err = plan_init(&plan, options, selection.count);
	if (!err) {
		plan.restoring = true;
		add_changes(&plan, &selection);
		code = plan_run(&plan);
		if (code == EXIT_DONE)
			code = use_up(&plan);
		if (code == EXIT_DONE)
			code = end_grants(&selection);
		if (code == EXIT_DONE && noiommu_settle(inv))
			code = EXIT_FAILED;
		plan_free(&plan);
	}
	selection_free(&selection);
	return code;
}
