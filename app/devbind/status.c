/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "change.h"
#include "status.h"

enum state { READY, HELD, FREE, STATES };

static enum state state_of(const struct device *dev)
{
	if (device_is_ready(dev))
		return READY;
	return dev->facts.driver[0] ? HELD : FREE;
}

bool status_wants(const struct options *options, const struct selection *selection,
		  const struct category *category, const struct device *dev)
{
	if (!category_has(category, dev))
		return false;
	if (selection->count)
		return selection_has(selection, dev);
	if (options->category)
		return !strcmp(options->category, category->key);
	if (options->compat)
		return category->compat;
	return options->all || category->usual;
}

/* To dpdk-devbind.py, drivers for user space that aren't loaded are none. */
static void print_others(FILE *out, const struct device *dev, bool compat)
{
	const char *between = "";
	unsigned i;

	fputs("unused=", out);
	for (i = 0; i < dev->drivers.count; i++) {
		const char *name = dev->drivers.at[i];

		if (compat && driver_is_ready(name) && !driver_present(name))
			continue;
		fprintf(out, "%s%s", between, name);
		between = ",";
	}
}

/*
 * The line that scripts know:
 * 0000:01:00.0 '82574L 10d3' if=eth0 drv=e1000e unused=vfio-pci *Active*
 */
static void print_line(FILE *out, const struct category *category, const struct device *dev,
		       bool compat)
{
	enum state state = state_of(dev);
	char text[256];

	fprintf(out, "%s '%s %04x' ", dev->bdf, dev->device_name, dev->id.device);
	if (state == HELD && category->net)
		fprintf(out, "if=%s ", texts_join(&dev->interfaces, ",", text, sizeof(text)));
	if (state != FREE)
		fprintf(out, "drv=%s ", dev->facts.driver);
	print_others(out, dev, compat);
	if (state == HELD)
		fprintf(out, " %s", category->net && dev->active ? "*Active*" : "");
	fputc('\n', out);
}

static void print_group(FILE *out, const struct inventory *inv, const struct device *dev)
{
	unsigned i, others = 0;

	if (dev->facts.group < 0) {
		fputs("; no IOMMU group", out);
		return;
	}
	fprintf(out, "; %sgroup %d", dev->facts.noiommu_group ? "no-IOMMU " : "IOMMU ",
		dev->facts.group);
	for (i = 0; i < inv->count; i++) {
		const struct device *other = &inv->dev[i];

		if (other == dev || other->facts.group != dev->facts.group)
			continue;
		fprintf(out, "%s%s (%s)", others++ ? ", " : " with ", other->bdf,
			other->facts.driver[0] ? other->facts.driver : "no driver");
	}
}

static void print_sriov(FILE *out, const struct device *dev)
{
	if (dev->physfn[0])
		fprintf(out, "; VF of %s", dev->physfn);
	else if (dev->total_vfs)
		fprintf(out, "; PF, %u of %u VFs on", dev->num_vfs, dev->total_vfs);
}

static void print_details(FILE *out, const struct inventory *inv, const struct device *dev)
{
	char text[256];
	unsigned i;

	fprintf(out, "    %s, %s", dev->vendor_name, dev->class_name);
	if (dev->node >= 0)
		fprintf(out, "; NUMA node %d", dev->node);
	print_group(out, inv, dev);
	if (dev->facts.cdev[0])
		fprintf(out, "; cdev %s", dev->facts.cdev);
	print_sriov(out, dev);
	if (dev->override[0])
		fprintf(out, "; driver_override %s", dev->override);
	if (dev->disks.count)
		fprintf(out, "; disks %s", texts_join(&dev->disks, ",", text, sizeof(text)));
	fputc('\n', out);
	for (i = 0; i < dev->uses.count; i++)
		fprintf(out, "    in use: %s\n", dev->uses.at[i]);
}

static void print_rule(FILE *out, const char *prefix, const char *title, const char *suffix)
{
	size_t len = strlen(prefix) + strlen(title) + strlen(suffix);

	fprintf(out, "\n%s%s%s\n", prefix, title, suffix);
	while (len--)
		fputc('=', out);
	fputc('\n', out);
}

static unsigned print_state(FILE *out, const struct options *options, const struct inventory *inv,
			    const struct selection *selection, const struct category *category,
			    enum state state)
{
	static const char *const suffixes[2][STATES] = {
		{ " devices ready for user space", " devices held by the kernel",
		  " devices without a driver" },
		{ " devices using DPDK-compatible driver", " devices using kernel driver",
		  " devices" },
	};
	unsigned i, shown = 0;

	for (i = 0; i < inv->count; i++) {
		const struct device *dev = &inv->dev[i];

		if (state_of(dev) != state || !status_wants(options, selection, category, dev))
			continue;
		if (!shown++)
			print_rule(out, options->compat && state == FREE ? "Other " : "",
				   category->title, suffixes[options->compat][state]);
		print_line(out, category, dev, options->compat);
		if (!options->compat)
			print_details(out, inv, dev);
	}
	return shown;
}

void status_print(FILE *out, const struct options *options, const struct inventory *inv,
		  const struct selection *selection)
{
	const struct category *category;

	for (category = categories; category->key; category++) {
		unsigned state, shown = 0;

		for (state = READY; state < STATES; state++)
			shown += print_state(out, options, inv, selection, category, state);
		if (shown || selection->count)
			continue;
		/* What was asked for and isn't there is said. */
		if (options->category ? !strcmp(options->category, category->key)
		    : options->compat ? category->compat
				      : category->usual)
			print_rule(out, "No '", category->title, "' devices detected");
	}
}
