/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "noiommu.h"
#include "persist.h"
#include "plan.h"
#include "sys.h"

int plan_init(struct plan *plan, const struct options *options, unsigned count)
{
	*plan = (struct plan){ .options = options };
	plan->change = plx_sys->alloc((count + 1) * sizeof(*plan->change));
	plan->record = plx_sys->alloc((count + 1) * sizeof(*plan->record));
	plan->noted = plx_sys->alloc((count + 1) * sizeof(*plan->noted));
	if (plan->change && plan->record && plan->noted)
		return 0;
	plx_err("out of memory for a plan of changes");
	return -ENOMEM;
}

void plan_free(struct plan *plan)
{
	while (plan->count)
		plx_sys->free(plan->noted[--plan->count].before);
	plx_sys->free(plan->change);
	plx_sys->free(plan->record);
	plx_sys->free(plan->noted);
}

void plan_add(struct plan *plan, const struct device *dev, const char *driver, const char *override)
{
	struct change *change = &plan->change[plan->count];
	struct record *record = &plan->record[plan->count];

	/* What is to stay has a rule to be written even where it is so already. */
	if (!plan->restoring && !plan->options->persist && !strcmp(dev->facts.driver, driver) &&
	    !strcmp(dev->override, override)) {
		plx_notice("%s %s%s already", dev->bdf, *driver ? "is bound to " : "has no driver",
			   driver);
		return;
	}
	/* What had the override before was chosen by somebody; a driver that is restored had it. */
	*change = (struct change){
		.dev = dev,
		.by_name = plan->restoring || driver_takes_any(driver) ||
			   !strcmp(dev->override, driver),
	};
	strcpy(change->driver, driver);
	strcpy(change->override, override);
	plan->count++;
	if (plan->restoring)
		return;
	*record = (struct record){ .persistent = plan->options->persist };
	strcpy(record->driver, dev->facts.driver);
	strcpy(record->override, dev->override);
	if (record->persistent)
		persist_read(dev->bdf, record->persisted);
}

/*
 * What speaks against taking a device from the driver it has. Returns how much. What can't be
 * forced is an error in any case.
 */
static unsigned tell_uses(const struct device *dev, bool force)
{
	enum plx_log_level level = force ? PLX_LOG_WARN : PLX_LOG_ERR;
	char name[NAME_TEXT_LEN];
	unsigned i;
	int err;

	for (i = 0; i < dev->uses.count; i++)
		plx_log(texts_have(&dev->holders, dev->uses.at[i]) ? PLX_LOG_ERR : level,
			"%s is in use: %s", dev->bdf, dev->uses.at[i]);
	err = i ? 0 : device_claimed(dev, name);
	if (err == -EBUSY)
		plx_log(level,
			"%s is in use: %s is mounted in another mount namespace, or held otherwise",
			dev->bdf, name);
	else if (err)
		plx_log(level, "%s is in use: it may be: %s can't be opened (%s)", dev->bdf, name,
			strerror(-err));
	return i + (err != 0);
}

static bool refused(const struct plan *plan)
{
	unsigned i, against = 0, held = 0;

	for (i = 0; i < plan->count; i++) {
		const struct device *dev = plan->change[i].dev;

		if (!device_is_endpoint(dev)) {
			plx_err("%s is a bridge (%s): it stays with the kernel", dev->bdf,
				dev->class_name);
			return true;
		}
		if (!strcmp(dev->facts.driver, plan->change[i].driver))
			continue;
		against += tell_uses(dev, plan->options->force);
		held += dev->holders.count;
	}
	if (held)
		plx_err("refused: nothing was changed; VFIO keeps a device for as long as a "
			"program has it, --force or not: end the program");
	else if (against && !plan->options->force)
		plx_err("refused: nothing was changed; --force takes devices that are in use");
	return held || (against && !plan->options->force);
}

/* The driver is there, or can be: a module is loaded. */
static int need_driver(const char *driver)
{
	struct modules *modules;
	int err;

	if (!*driver || driver_present(driver))
		return 0;
	modules = modules_open();
	err = modules_load(modules, driver);
	modules_close(modules);
	if (!err && driver_present(driver))
		return 0;
	if (err == -ENOENT)
		plx_err("this kernel has no driver %s, and there is no module of that name",
			driver);
	else if (err)
		plx_err("the module %s can't be loaded: %s", driver, strerror(-err));
	else
		plx_err("the module %s is loaded, but there is no PCI driver of that name", driver);
	return -ENODEV;
}

/* Without an IOMMU vfio-pci takes a device only if the kernel was told to accept that. */
static enum exit_code check_iommu(struct plan *plan)
{
	unsigned i;

	for (i = 0; i < plan->count; i++) {
		const struct device *dev = plan->change[i].dev;

		if (!noiommu_needed(dev, plan->change[i].driver) || noiommu_mode() > 0)
			continue;
		if (!plan->options->noiommu_mode) {
			plx_err("refused: there is no IOMMU before %s; turn it on (see "
				"`plx-devbind doctor`), or accept with --noiommu-mode that the "
				"device can write all of memory",
				dev->bdf);
			return EXIT_REFUSED;
		}
		plan->switched = true;
	}
	return EXIT_DONE;
}

/*
 * Records that this run made, and what made it persist, are taken back. One that couldn't be given
 * back its driver keeps its record, for `restore`.
 */
static void forget(const struct plan *plan)
{
	unsigned i;

	for (i = 0; i < plan->count; i++) {
		const char *bdf = plan->change[i].dev->bdf;

		if (plan->noted[i].record && !plan->change[i].lost)
			record_remove(bdf, plan->record[i].persistent);
		if (plan->noted[i].persisted)
			persist_put_back(bdf, plan->noted[i].before);
	}
}

static int remember(struct plan *plan)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < plan->count && !err; i++) {
		const struct change *change = &plan->change[i];
		struct noted *noted = &plan->noted[i];

		err = record_make(change->dev, &plan->record[i], &noted->record);
		if (err || !plan->record[i].persistent)
			continue;
		err = persist_keep(change->dev->bdf, &noted->before);
		if (err)
			continue;
		noted->persisted = true;
		err = persist_write(change->dev, change->driver);
	}
	return err;
}

static int change_drivers(const struct plan *plan)
{
	int err = changes_apply(plan->change, plan->count);

	if (err && plan->switched)
		noiommu_turn_off();
	return err;
}

static enum exit_code carry_out(struct plan *plan)
{
	int err = plan->restoring ? 0 : remember(plan);
	enum exit_code code = EXIT_DONE;

	if (!err && plan->switched)
		err = noiommu_turn_on();
	if (err)
		plx_err("nothing was changed: no driver was asked");
	else
		err = change_drivers(plan);
	if (!err && plan->then)
		code = plan->then(plan, plan->ctx);
	if (code != EXIT_DONE && !plan->restoring) {
		changes_take_back(plan->change, plan->count);
		if (plan->switched)
			noiommu_turn_off();
	}
	if ((err || code != EXIT_DONE) && !plan->restoring)
		forget(plan);
	return err ? EXIT_FAILED : code;
}

/* Whole or not at all, so whoever ends this run waits until then. */
static enum exit_code carry_out_undisturbed(struct plan *plan)
{
	static const int enders[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	enum exit_code code;
	sigset_t set, before;
	unsigned i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(enders) / sizeof(enders[0]); i++)
		sigaddset(&set, enders[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	code = carry_out(plan);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}

/* A device that is what it was has nothing to be remembered for. */
static void settle(const struct change *change)
{
	struct record record;

	if (!record_read(change->dev, &record) && !record.persistent &&
	    !strcmp(record.driver, change->driver) && !strcmp(record.override, change->override))
		record_remove(change->dev->bdf, false);
}

static void report(const struct plan *plan, const struct change *change)
{
	const struct device *dev = change->dev;
	const char *from = dev->facts.driver[0] ? dev->facts.driver : "no driver";
	char bdf[PLX_BDF_LEN], driver[PLX_NAME_LEN];
	struct plx_facts facts;

	if (strcmp(dev->facts.driver, change->driver))
		plx_notice("%s: %s -> %s", dev->bdf, from,
			   change->driver[0] ? change->driver : "no driver");
	else if (plan->options->persist)
		plx_notice("%s is bound to %s already, and is to stay so", dev->bdf, from);
	else
		plx_notice("%s: %s, as it was", dev->bdf, from);
	if (strstr(change->driver, "vfio") && !plx_facts_read(dev->bdf, &facts) &&
	    !facts.noiommu_group &&
	    plx_group_intruder(&facts, bdf, sizeof(bdf), driver, sizeof(driver)))
		plx_warn("%s can't be used yet: %s of its group %d is held by %s "
			 "(--whole-group takes it along)",
			 dev->bdf, bdf, facts.group, driver);
}

enum exit_code plan_run(struct plan *plan)
{
	enum exit_code code;
	unsigned i;

	if (refused(plan))
		return EXIT_REFUSED;
	for (i = 0; i < plan->count; i++)
		if (need_driver(plan->change[i].driver))
			return EXIT_FAILED;
	code = check_iommu(plan);
	if (code != EXIT_DONE)
		return code;
	code = carry_out_undisturbed(plan);
	for (i = 0; i < plan->count && code == EXIT_DONE; i++) {
		settle(&plan->change[i]);
		report(plan, &plan->change[i]);
	}
	return code;
}
