/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Back to what was. Rules and records are of addresses: a device may have gone since, or another
 * card may be in its slot, which must not be taken for it.
 */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

#include "bind.h"
#include "grant.h"
#include "noiommu.h"
#include "persist.h"
#include "plan.h"
#include "rules.h"

struct restore {
	const struct inventory *inv;
	struct selection selection; /* the devices that are there */
	struct texts left;	    /* addresses that are remembered or have rules */
	struct texts gone;	    /* those of them that were named, and that no device has */
};

/* word: NULL: all of them. 1: it names some, 0: it doesn't; or -ENOMEM. */
static int add_left(struct restore *restore, const char *word)
{
	unsigned i;
	int ret = 0;

	for (i = 0; i < restore->left.count && ret >= 0; i++) {
		const char *bdf = restore->left.at[i];
		struct device *dev = inventory_find(restore->inv, bdf);

		if (word && !word_names_address(word, bdf))
			continue;
		ret = 1;
		if (dev)
			selection_add(&restore->selection, dev);
		else if (texts_add_new(&restore->gone, bdf))
			ret = -ENOMEM;
	}
	return ret;
}

static enum exit_code choose(struct restore *restore, const struct options *options)
{
	int ret = record_list(&restore->left);
	unsigned i;

	ret = ret ? ret : rules_list(&restore->left);
	if (!ret && !options->count)
		ret = add_left(restore, NULL);
	for (i = 0; i < options->count && ret >= 0; i++) {
		bool there =
			selection_add_word(&restore->selection, restore->inv, options->words[i]);

		ret = add_left(restore, options->words[i]);
		if (!there && !ret)
			return selection_unknown(options->words[i]);
	}
	return ret < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* A device that nobody touched is what it was. */
static enum exit_code add_changes(struct plan *plan, const struct restore *restore)
{
	enum exit_code code = EXIT_DONE;
	unsigned i;

	for (i = 0; i < restore->selection.count; i++) {
		const struct device *dev = restore->selection.dev[i];
		struct record record;
		int err = record_read(dev, &record);

		if (!err)
			plan_add(plan, dev, record.driver, record.override);
		else if (err != -ENOENT && err != -ESTALE)
			code = EXIT_FAILED;
	}
	if (code != EXIT_DONE)
		plx_err("nothing was changed");
	return code;
}

/* Everything of ours that is about an address. */
static int put_away(const char *bdf)
{
	struct record record;
	int err = record_load(bdf, true, &record);

	if (err && err != -ENOENT)
		return err;
	err = err ? rule_remove(RULE_BIND, bdf) : persist_undo(bdf, record.persisted);
	err = err ? err : grant_undo(bdf);
	err = err ? err : record_remove(bdf, false);
	return err ? err : record_remove(bdf, true);
}

static int put_away_of(const struct restore *restore, const struct device *dev)
{
	struct record record;
	int remembered = record_read(dev, &record), err;

	err = !remembered || remembered == -ENOENT || remembered == -ESTALE ? put_away(dev->bdf)
									    : remembered;
	if (err)
		return err;
	if (remembered == -ESTALE)
		plx_notice("%s: what was remembered is about another card (%04x:%04x) that was "
			   "there: it is taken away with its rules, and the driver stays",
			   dev->bdf, record.vendor, record.device);
	else if (remembered)
		plx_notice("%s: nothing is remembered of it, so %s", dev->bdf,
			   texts_have(&restore->left, dev->bdf)
				   ? "its driver stays; its rules are taken away"
				   : "nothing is changed");
	return 0;
}

/* Once the drivers are what they were. */
static enum exit_code finish(const struct plan *plan, const void *ctx)
{
	const struct restore *restore = ctx;
	enum exit_code code = EXIT_DONE;
	unsigned i;

	(void)plan;
	for (i = 0; i < restore->selection.count; i++)
		if (put_away_of(restore, restore->selection.dev[i]))
			code = EXIT_FAILED;
	for (i = 0; i < restore->gone.count; i++) {
		if (put_away(restore->gone.at[i]))
			code = EXIT_FAILED;
		else
			plx_notice("%s isn't there: its rules, and what was remembered of it, are "
				   "taken away",
				   restore->gone.at[i]);
	}
	if (code == EXIT_DONE && noiommu_settle(restore->inv))
		code = EXIT_FAILED;
	return code;
}

static enum exit_code carry_out(const struct options *options, const struct restore *restore)
{
	enum exit_code code = EXIT_FAILED;
	struct plan plan;

	if (!plan_init(&plan, options, restore->selection.count)) {
		plan.restoring = true;
		plan.then = finish;
		plan.ctx = restore;
		code = add_changes(&plan, restore);
		if (code == EXIT_DONE)
			code = plan_run(&plan);
	}
	plan_free(&plan);
	return code;
}

enum exit_code restore_run(const struct options *options, const struct inventory *inv)
{
	struct restore restore = { .inv = inv };
	enum exit_code code;

	code = selection_make(&restore.selection, inv, NULL, 0);
	if (code != EXIT_DONE)
		return code;
	code = choose(&restore, options);
	if (code == EXIT_DONE && !restore.selection.count && !restore.gone.count)
		plx_notice("there is nothing to restore");
	if (code == EXIT_DONE)
		code = carry_out(options, &restore);
	selection_free(&restore.selection);
	texts_free(&restore.left);
	texts_free(&restore.gone);
	return code;
}
