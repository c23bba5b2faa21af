/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "json.h"
#include "machine.h"
#include "why.h"

#define MODES PLX_VFIO_USER

static const char *const module_states[] = {
	[MODULE_MISSING] = "missing",
	[MODULE_AVAILABLE] = "not loaded",
	[MODULE_LOADED] = "loaded",
	[MODULE_BUILTIN] = "built in",
};

static const char *noiommu_text(const struct machine *machine)
{
	if (machine->noiommu_mode < 0)
		return "not there";
	return machine->noiommu_mode ? "on" : "off";
}

static void print_kernel(FILE *out, const struct machine *machine)
{
	char text[512];
	unsigned i;

	fprintf(out, "kernel         %s\n", machine->release);
	fprintf(out, "boot options   %s\n",
		machine->boot_words.count
			? texts_join(&machine->boot_words, " ", text, sizeof(text))
			: "none that matters here");
	fprintf(out, "configuration ");
	for (i = 0; i < MACHINE_OPTIONS; i++)
		fprintf(out, " %s=%c", machine->option[i].name, machine->option[i].state);
	fprintf(out, "\nmodules       ");
	for (i = 0; i < MACHINE_MODULES; i++)
		fprintf(out, "%s %s (%s)", i ? "," : "", machine->module[i].name,
			module_states[machine->module[i].state]);
	fprintf(out, "\nlockdown       %s\n", machine->lockdown[0] ? machine->lockdown : "none");
}

static void print_iommu(FILE *out, const struct machine *machine)
{
	char text[256];

	if (machine->iommu)
		fprintf(out, "IOMMU          %s (%s), %u groups%s\n", machine->iommu,
			texts_join(&machine->iommus, ", ", text, sizeof(text)), machine->groups,
			machine->no_remapping ? ", without interrupt remapping" : "");
	else if (machine->firmware)
		fprintf(out, "IOMMU          there (ACPI table %s), but not on\n",
			machine->firmware);
	else
		fprintf(out, "IOMMU          none\n");
	fprintf(out, "no-IOMMU mode  %s\n", noiommu_text(machine));
}

static void print_nodes(FILE *out, const struct machine *machine)
{
	unsigned i;

	for (i = 0; i < machine->nnodes; i++) {
		const struct node_state *node = &machine->node[i];

		fprintf(out, "%-14s %-23s ", i ? "" : "nodes", node->path);
		if (node->present)
			fprintf(out, "mode %04o, owner %u:%u%s\n", node->mode, node->uid, node->gid,
				node->usable ? "" : "; not for this process");
		else
			fprintf(out, "does not exist\n");
	}
}

static void print_memory(FILE *out, const struct machine *machine)
{
	char text[512];
	unsigned i;

	for (i = 0; i < machine->npages; i++) {
		const struct pages_state *pages = &machine->pages[i];

		fprintf(out, "%-14s %llu of %llu free, pages of %s", i ? "" : "hugepages",
			(unsigned long long)pages->count.free,
			(unsigned long long)pages->count.total,
			plx_mem_size_text(pages->size, text));
		if (pages->node >= 0)
			fprintf(out, ", node %d", pages->node);
		fputc('\n', out);
	}
	if (!machine->npages)
		fprintf(out, "hugepages      none\n");
	else if (!machine_hugepages(machine))
		fprintf(out, "               -> sysctl vm.nr_hugepages=512\n");
	if (machine->huge_mounts.count)
		fprintf(out, "hugetlbfs      %s\n",
			texts_join(&machine->huge_mounts, ", ", text, sizeof(text)));
	else
		fprintf(out, "hugetlbfs      not mounted\n"
			     "               -> mkdir -p /dev/hugepages; mount -t hugetlbfs none "
			     "/dev/hugepages\n");
}

static void print_limits(FILE *out, const struct machine *machine)
{
	char text[PLX_MEM_SIZE_LEN];

	fprintf(out, "memlock        %s%s\n",
		machine->memlock == UINT64_MAX ? "no limit"
					       : plx_mem_size_text(machine->memlock, text),
		machine->memlock != UINT64_MAX && machine->cap[CAP_LOCK].have
			? ", which does not hold for CAP_IPC_LOCK"
			: "");
	if (machine->nofile == UINT64_MAX)
		fprintf(out, "open files     no limit\n");
	else
		fprintf(out, "open files     %llu\n", (unsigned long long)machine->nofile);
}

static void print_process(FILE *out, const struct machine *machine)
{
	unsigned i;

	fprintf(out, "capabilities  ");
	for (i = 0; i < MACHINE_CAPS; i++)
		fprintf(out, " %s%s", machine->cap[i].have ? "" : "no ", machine->cap[i].name);
	fputc('\n', out);
}

static void print_modes(FILE *out, const struct machine *machine)
{
	struct lack lacks[LACKS_MAX];
	unsigned mode, i, count, usable = 0;

	fprintf(out, "\naccess modes, the best first:\n");
	for (mode = 0; mode < MODES; mode++) {
		count = machine_lacks(machine, mode, lacks);
		usable += !count;
		fprintf(out, "  %s%s\n", plx_vfio_mode_name(mode),
			count ? "" : ": has all it needs");
		for (i = 0; i < count; i++)
			fprintf(out, "    %s\n      -> %s\n", lacks[i].what, lacks[i].remedy);
	}
	fprintf(out, "  %s: needs nothing of the machine, for a process serves the device\n",
		plx_vfio_mode_name(PLX_VFIO_USER));
	if (!usable)
		fprintf(out, "\nno access mode of PCI devices has all that it needs\n");
}

/* null: there is none. */
static void put_limit(struct json_object *to, const char *key, uint64_t limit)
{
	if (limit == UINT64_MAX)
		json_object_object_add(to, key, NULL);
	else
		put_count(to, key, limit);
}

static void add_memory(struct json_object *object, const struct machine *machine)
{
	struct json_object *array, *one;
	unsigned i;

	array = put_inside(object, "hugepages", json_object_new_array());
	for (i = 0; i < machine->npages; i++) {
		const struct pages_state *pages = &machine->pages[i];

		one = json_object_new_object();
		put_count(one, "page_size", pages->size);
		if (pages->node >= 0)
			put_count(one, "node", pages->node);
		else
			json_object_object_add(one, "node", NULL);
		put_count(one, "total", pages->count.total);
		put_count(one, "free", pages->count.free);
		json_object_array_add(array, one);
	}
	put_texts(object, "hugetlbfs", &machine->huge_mounts);
	put_limit(object, "memlock", machine->memlock);
	put_limit(object, "open_files", machine->nofile);
}

static void add_nodes(struct json_object *object, const struct machine *machine)
{
	struct json_object *nodes = put_inside(object, "nodes", json_object_new_object()), *one;
	unsigned i;

	for (i = 0; i < machine->nnodes; i++) {
		const struct node_state *node = &machine->node[i];

		one = put_inside(nodes, node->path, json_object_new_object());
		put_flag(one, "present", node->present);
		put_flag(one, "usable", node->usable);
		put_count(one, "mode", node->mode);
		put_count(one, "uid", node->uid);
		put_count(one, "gid", node->gid);
	}
}

static void add_kernel(struct json_object *object, const struct machine *machine)
{
	struct json_object *part;
	unsigned i;

	put_text(object, "kernel", machine->release);
	put_texts(object, "boot_options", &machine->boot_words);
	part = put_inside(object, "configuration", json_object_new_object());
	for (i = 0; i < MACHINE_OPTIONS; i++) {
		char state[2] = { machine->option[i].state, '\0' };

		put_text(part, machine->option[i].name, state);
	}
	part = put_inside(object, "modules", json_object_new_object());
	for (i = 0; i < MACHINE_MODULES; i++)
		put_text(part, machine->module[i].name, module_states[machine->module[i].state]);
	put_text(object, "lockdown", machine->lockdown);
	part = put_inside(object, "iommu", json_object_new_object());
	put_text(part, "kind", machine->iommu ? machine->iommu : "");
	put_texts(part, "units", &machine->iommus);
	put_count(part, "groups", machine->groups);
	put_text(part, "firmware_table", machine->firmware ? machine->firmware : "");
	put_flag(part, "interrupt_remapping", machine->iommu && !machine->no_remapping);
	put_text(object, "noiommu_mode", noiommu_text(machine));
}

static void add_modes(struct json_object *object, const struct machine *machine)
{
	struct json_object *modes = put_inside(object, "modes", json_object_new_array());
	struct lack lacks[LACKS_MAX];
	unsigned mode;

	for (mode = 0; mode < MODES; mode++) {
		struct json_object *one = json_object_new_object();

		put_text(one, "mode", plx_vfio_mode_name(mode));
		put_lacks(one, lacks, machine_lacks(machine, mode, lacks));
		json_object_array_add(modes, one);
	}
}

static int doctor_json(FILE *out, const struct machine *machine)
{
	struct json_object *object = json_object_new_object(), *caps;
	unsigned i;

	add_kernel(object, machine);
	add_nodes(object, machine);
	add_memory(object, machine);
	caps = put_inside(object, "capabilities", json_object_new_object());
	for (i = 0; i < MACHINE_CAPS; i++)
		put_flag(caps, machine->cap[i].name, machine->cap[i].have);
	add_modes(object, machine);
	return put_out(out, object);
}

enum exit_code doctor_run(FILE *out, const struct options *options)
{
	enum exit_code code = EXIT_FAILED;
	struct lack lacks[LACKS_MAX];
	struct machine machine;
	unsigned mode;

	if (machine_read(&machine))
		return EXIT_FAILED;
	/* Unless it was said: as much as programs can have. */
	machine.wanted = options->memory ? options->memory : machine_hugepages(&machine);
	for (mode = 0; mode < MODES; mode++)
		if (!machine_lacks(&machine, mode, lacks))
			code = EXIT_DONE;
	if (options->json) {
		if (doctor_json(out, &machine))
			code = EXIT_FAILED;
	} else {
		print_kernel(out, &machine);
		print_iommu(out, &machine);
		print_nodes(out, &machine);
		print_memory(out, &machine);
		print_limits(out, &machine);
		print_process(out, &machine);
		print_modes(out, &machine);
	}
	machine_free(&machine);
	return code;
}
