/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each access mode of a device, foretold by the code that claims devices: plx_vfio_foresee() is
 * asked once a mode, as it stops at the first that will do.
 */
#include <errno.h>
#include <string.h>

#include "json.h"
#include "machine.h"
#include "why.h"

/* Modes of PCI functions; the last, user, is of devices that other processes serve. */
#define MODES PLX_VFIO_USER

#define MODES_TEXT_LEN 100

static const char *const verdicts[] = { "refused", "possible", "taken" };

struct answer {
	enum plx_vfio_mode mode;
	enum { REFUSED, POSSIBLE, TAKEN } verdict;
	enum plx_refusal_code code;
	char text[512];
	struct lack lacks[LACKS_MAX]; /* what comes after that reason */
	unsigned nlacks;
};

static void refuse_memory(const struct machine *machine, struct answer *answer)
{
	char limit[PLX_MEM_SIZE_LEN], wanted[PLX_MEM_SIZE_LEN];

	answer->verdict = REFUSED;
	answer->code = PLX_REFUSED_MEMORY;
	snprintf(answer->text, sizeof(answer->text),
		 "the memlock limit is %s (ulimit -l), %s are to be mapped",
		 plx_mem_size_text(machine->memlock, limit),
		 plx_mem_size_text(machine->wanted, wanted));
}

static void refuse_busy(const char *holder, struct answer *answer)
{
	answer->verdict = REFUSED;
	answer->code = PLX_REFUSED_BUSY;
	snprintf(answer->text, sizeof(answer->text), "%s", holder);
}

static void refuse_bridge(const struct device *dev, struct answer *answer)
{
	answer->verdict = REFUSED;
	answer->code = PLX_REFUSED_DRIVER;
	snprintf(answer->text, sizeof(answer->text),
		 "it is a bridge (%s): it stays with the kernel", dev->class_name);
}

/*
 * One who has the device, or another one of its group: the kernel gives a group to one at a time.
 */
static const char *holder_of(const struct inventory *inv, const struct device *dev)
{
	unsigned i;

	for (i = 0; i < inv->count; i++) {
		const struct device *other = &inv->dev[i];

		if (other->holders.count &&
		    (other == dev ||
		     (dev->facts.group >= 0 && other->facts.group == dev->facts.group)))
			return other->holders.at[0];
	}
	return NULL;
}

static void ask(const struct options *options, const struct machine *machine,
		const struct device *dev, enum plx_vfio_mode mode, const char *holder,
		struct answer *answer)
{
	struct plx_vfio_opts opts = PLX_VFIO_OPTS_INIT;
	struct plx_refusals refusals;
	enum plx_vfio_mode foreseen;
	int err;

	*answer = (struct answer){ .mode = mode };
	if (!device_is_endpoint(dev)) {
		refuse_bridge(dev, answer);
		return;
	}
	opts.modes = 1u << mode;
	opts.allow_noiommu = options->allow_noiommu;
	memset(&refusals, 0, sizeof(refusals));
	err = plx_vfio_foresee(dev->bdf, &opts, &foreseen, &refusals);
	if (!err) {
		answer->verdict = POSSIBLE;
		if (holder)
			refuse_busy(holder, answer);
		else if (!machine_may_pin(machine))
			refuse_memory(machine, answer);
		return;
	}
	answer->code = refusals.mode[mode].code;
	snprintf(answer->text, sizeof(answer->text), "%s",
		 refusals.mode[mode].text[0] ? refusals.mode[mode].text : strerror(-err));
	/* All modes refuse a device that isn't VFIO's for that reason alone. */
	if (answer->code == PLX_REFUSED_DRIVER)
		answer->nlacks = machine_lacks(machine, mode, answer->lacks);
}

/* Whether any mode will do. */
static bool ask_all(const struct options *options, const struct machine *machine,
		    const struct inventory *inv, const struct device *dev,
		    struct answer answers[MODES])
{
	const char *holder = holder_of(inv, dev);
	bool taken = false;
	unsigned mode;

	for (mode = 0; mode < MODES; mode++) {
		ask(options, machine, dev, mode, holder, &answers[mode]);
		if (taken || answers[mode].verdict != POSSIBLE)
			continue;
		answers[mode].verdict = TAKEN;
		taken = true;
	}
	return taken;
}

/* Whether all modes refuse, and for the same reason. */
static bool all_alike(const struct answer answers[MODES])
{
	unsigned mode;

	for (mode = 0; mode < MODES; mode++)
		if (answers[mode].verdict != REFUSED || strcmp(answers[mode].text, answers[0].text))
			return false;
	return true;
}

static bool has_lack(const struct answer *answer, const char *what)
{
	unsigned i;

	for (i = 0; i < answer->nlacks; i++)
		if (!strcmp(answer->lacks[i].what, what))
			return true;
	return false;
}

/* what: NULL: nothing at all. "cdev, compat", or "" if there are none. Returns buf. */
static const char *modes_lacking(const struct answer answers[MODES], const char *what,
				 char buf[MODES_TEXT_LEN])
{
	unsigned mode, count = 0;
	size_t at = 0;

	buf[0] = '\0';
	for (mode = 0; mode < MODES; mode++)
		if (what ? has_lack(&answers[mode], what) : !answers[mode].nlacks)
			at += (size_t)snprintf(buf + at, MODES_TEXT_LEN - at, "%s%s",
					       count++ ? ", " : "", plx_vfio_mode_name(mode));
	return count == MODES ? "all" : buf;
}

/* What several modes lack is said once. */
static void print_lacks(FILE *out, const struct answer answers[MODES])
{
	char modes[MODES_TEXT_LEN];
	unsigned mode, before, i;
	const char *free;

	for (mode = 0; mode < MODES; mode++)
		for (i = 0; i < answers[mode].nlacks; i++) {
			const struct lack *lack = &answers[mode].lacks[i];

			for (before = 0; before < mode; before++)
				if (has_lack(&answers[before], lack->what))
					break;
			if (before == mode)
				fprintf(out, "    besides, for %s: %s\n      -> %s\n",
					modes_lacking(answers, lack->what, modes), lack->what,
					lack->remedy);
		}
	free = modes_lacking(answers, NULL, modes);
	if (*free)
		fprintf(out, "    nothing else is in the way of %s\n", free);
}

static void print_answers(FILE *out, const struct device *dev, const struct answer answers[MODES])
{
	unsigned mode, i;

	fprintf(out, "%s '%s %04x'%s%s\n", dev->bdf, dev->device_name, dev->id.device,
		dev->facts.driver[0] ? " drv=" : "", dev->facts.driver);
	/* It is to be bound then, which is refused as long as it is. */
	for (i = 0; i < dev->uses.count && !plx_facts_bound(&dev->facts); i++)
		fprintf(out, "  in use: %s\n", dev->uses.at[i]);
	if (all_alike(answers)) {
		fprintf(out, "  every access mode refused: %s\n", answers[0].text);
		if (device_is_endpoint(dev) && answers[0].code == PLX_REFUSED_DRIVER)
			print_lacks(out, answers);
		return;
	}
	for (mode = 0; mode < MODES; mode++)
		fprintf(out, "  %-12s  %s%s%s\n", plx_vfio_mode_name(mode),
			verdicts[answers[mode].verdict], answers[mode].text[0] ? ": " : "",
			answers[mode].text);
}

static struct json_object *answers_object(const struct device *dev,
					  const struct answer answers[MODES])
{
	struct json_object *object = json_object_new_object(), *modes, *one;
	unsigned mode;

	put_text(object, "address", dev->bdf);
	put_text(object, "driver", dev->facts.driver);
	put_texts(object, "uses", &dev->uses);
	modes = put_inside(object, "modes", json_object_new_array());
	for (mode = 0; mode < MODES; mode++) {
		one = json_object_new_object();
		put_text(one, "mode", plx_vfio_mode_name(mode));
		put_text(one, "verdict", verdicts[answers[mode].verdict]);
		put_text(one, "code",
			 answers[mode].code ? plx_refusal_name(answers[mode].code) : "");
		put_text(one, "reason", answers[mode].text);
		put_lacks(one, answers[mode].lacks, answers[mode].nlacks);
		json_object_array_add(modes, one);
	}
	return object;
}

static enum exit_code explain(FILE *out, const struct options *options,
			      const struct machine *machine, const struct inventory *inv,
			      const struct selection *selection)
{
	struct json_object *array = options->json ? json_object_new_array() : NULL;
	enum exit_code code = EXIT_DONE;
	unsigned i;

	for (i = 0; i < selection->count; i++) {
		const struct device *dev = selection->dev[i];
		struct answer answers[MODES];

		if (!ask_all(options, machine, inv, dev, answers))
			code = EXIT_FAILED;
		if (array)
			json_object_array_add(array, answers_object(dev, answers));
		else
			print_answers(out, dev, answers);
	}
	if (array && put_out(out, array))
		code = EXIT_FAILED;
	return code;
}

enum exit_code why_run(FILE *out, const struct options *options, const struct inventory *inv)
{
	struct selection selection;
	struct machine machine;
	enum exit_code code;

	code = selection_make(&selection, inv, options->words, options->count);
	if (code != EXIT_DONE)
		return code;
	code = EXIT_FAILED;
	if (!machine_read(&machine)) {
		machine.wanted = options->memory;
		code = explain(out, options, &machine, inv, &selection);
		machine_free(&machine);
	}
	selection_free(&selection);
	return code;
}
