/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>

#include <pollux/log.h>

#include "files.h"
#include "machine.h"
#include "noiommu.h"
#include "sys.h"

/* Intel VT-d, 11.4.3 Extended Capability Register: bit 3, interrupt remapping. */
#define VTD_ECAP_IR (1u << 3)

static int read_boot_words(struct machine *machine)
{
	static const char *const interesting[] = { "iommu",	      "intremap", "vfio",
						   "hugepage",	      "lockdown", "modprobe",
						   "module_blacklist" };
	char line[4096], *rest = line, *word;
	int err = 0;
	size_t i;

	if (plx_sys_read_text("/proc/cmdline", line, sizeof(line)) < 0)
		return 0;
	while (!err && (word = strsep(&rest, " ")))
		for (i = 0; i < sizeof(interesting) / sizeof(interesting[0]); i++)
			if (strstr(word, interesting[i])) {
				err = texts_add(&machine->boot_words, "%s", word);
				break;
			}
	return err;
}

/* What can't be read is said, and left out. */
static int look_into(struct machine *machine, const char *folder,
		     int (*fn)(void *ctx, const char *name))
{
	int err = each_name(folder, fn, machine);

	return err == -ENOMEM ? err : 0;
}

/* It goes by the address of its function: virtio 1.2, 4.1.2 and 5.13.1: 0x1040 + 23. */
static bool is_virtio(const char *name)
{
	char vendor[16], device[16];

	return plx_bdf_valid(name) && device_attr(name, "vendor", vendor, sizeof(vendor)) > 0 &&
	       device_attr(name, "device", device, sizeof(device)) > 0 &&
	       !strcmp(vendor, "0x1af4") && !strcmp(device, "0x1057");
}

static int add_iommu(void *ctx, const char *name)
{
	static const struct {
		const char *prefix, *kind;
	} kinds[] = { { "dmar", "Intel VT-d" },
		      { "ivhd", "AMD-Vi" },
		      { "smmu", "ARM SMMU" },
		      { "arm-smmu", "ARM SMMU" } };
	struct machine *machine = ctx;
	char path[400], text[32];
	size_t i;

	machine->iommu = "of a kind not known here";
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)))
			machine->iommu = kinds[i].kind;
	if (is_virtio(name))
		machine->iommu = "virtio-iommu";
	snprintf(path, sizeof(path), "/sys/class/iommu/%s/intel-iommu/ecap", name);
	/* What it can do isn't what it is used for. */
	if (plx_irqs_forgeable() || (plx_sys_read_text(path, text, sizeof(text)) > 0 &&
				     !(strtoull(text, NULL, 16) & VTD_ECAP_IR)))
		machine->no_remapping = true;
	return texts_add(&machine->iommus, "%s", name);
}

/* VFIO's own groups, for devices without an IOMMU, have a name. */
static int count_group(void *ctx, const char *name)
{
	struct machine *machine = ctx;
	char path[400], text[32];

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/name", name);
	machine->groups += plx_sys_read_text(path, text, sizeof(text)) < 0 ||
			   strcmp(text, "vfio-noiommu") != 0;
	return 0;
}

static const char *firmware_table(void)
{
	static const char *const tables[] = { "DMAR", "IVRS", "IORT", "VIOT" };
	char path[80];
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		snprintf(path, sizeof(path), "/sys/firmware/acpi/tables/%s", tables[i]);
		if (!plx_sys->access(path, F_OK))
			return tables[i];
	}
	return NULL;
}

static void read_options(struct machine *machine)
{
	static const char *const names[MACHINE_OPTIONS] = {
		[OPTION_VFIO_PCI] = "VFIO_PCI",	       [OPTION_GROUP] = "VFIO_GROUP",
		[OPTION_CONTAINER] = "VFIO_CONTAINER", [OPTION_TYPE1] = "VFIO_IOMMU_TYPE1",
		[OPTION_CDEV] = "VFIO_DEVICE_CDEV",    [OPTION_IOMMUFD] = "IOMMUFD",
		[OPTION_NOIOMMU] = "VFIO_NOIOMMU",     [OPTION_IOMMUFD_NOIOMMU] = "IOMMUFD_NOIOMMU",
	};
	struct kconfig config;
	unsigned i;

	kconfig_read(&config, machine->release);
	for (i = 0; i < MACHINE_OPTIONS; i++) {
		machine->option[i].name = names[i];
		machine->option[i].state = kconfig_get(&config, names[i]);
	}
	kconfig_free(&config);
}

static void read_modules(struct machine *machine)
{
	static const char *const names[MACHINE_MODULES] = {
		[MODULE_VFIO] = "vfio",
		[MODULE_VFIO_PCI] = "vfio_pci",
		[MODULE_TYPE1] = "vfio_iommu_type1",
		[MODULE_IOMMUFD] = "iommufd",
		[MODULE_VIRTIO_IOMMU] = "virtio_iommu",
	};
	struct modules *modules = modules_open();
	char path[80];
	unsigned i;

	for (i = 0; i < MACHINE_MODULES; i++) {
		machine->module[i].name = names[i];
		machine->module[i].state = modules_state(modules, names[i]);
		/* What is built into a kernel that came without a list of it shows by its
		 * parameters. */
		snprintf(path, sizeof(path), "/sys/module/%s", names[i]);
		if (machine->module[i].state == MODULE_MISSING && !plx_sys->access(path, F_OK))
			machine->module[i].state = MODULE_BUILTIN;
	}
	modules_close(modules);
	/* Built in and without parameters it shows by its driver. */
	if (machine->module[MODULE_VIRTIO_IOMMU].state == MODULE_MISSING &&
	    !plx_sys->access("/sys/bus/virtio/drivers/virtio_iommu", F_OK))
		machine->module[MODULE_VIRTIO_IOMMU].state = MODULE_BUILTIN;
}

static void read_node(struct machine *machine, const char *path)
{
	struct node_state *node = &machine->node[machine->nnodes++];
	struct stat st;

	snprintf(node->path, sizeof(node->path), "%s", path);
	if (plx_sys->stat(path, &st))
		return;
	node->present = true;
	node->usable = !plx_sys->access(path, R_OK | W_OK);
	node->mode = st.st_mode & 07777;
	node->uid = st.st_uid;
	node->gid = st.st_gid;
}

/* A group's node, or a cdev's: no longer than this. */
static int add_node(struct machine *machine, const char *folder, const char *name)
{
	char path[PLX_NODE_LEN];

	if (machine->nnodes < MACHINE_NODES &&
	    (size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) < sizeof(path))
		read_node(machine, path);
	return 0;
}

static int add_group_node(void *ctx, const char *name)
{
	bool other = !strcmp(name, "vfio") || !strcmp(name, "devices");

	return other ? 0 : add_node(ctx, "/dev/vfio", name);
}

static int add_cdev(void *ctx, const char *name)
{
	return add_node(ctx, "/dev/vfio/devices", name);
}

static int compare_nodes(const void *one, const void *other)
{
	return strverscmp(((const struct node_state *)one)->path,
			  ((const struct node_state *)other)->path);
}

static int read_nodes(struct machine *machine)
{
	int err;

	read_node(machine, "/dev/vfio/vfio");
	read_node(machine, "/dev/iommu");
	err = look_into(machine, "/dev/vfio", add_group_node);
	err = err ? err : look_into(machine, "/dev/vfio/devices", add_cdev);
	qsort(&machine->node[NODE_FIRST], machine->nnodes - NODE_FIRST, sizeof(machine->node[0]),
	      compare_nodes);
	return err;
}

static void add_pages(struct machine *machine, size_t size, int node)
{
	struct pages_state *pages = &machine->pages[machine->npages];

	if (machine->npages == MACHINE_PAGES || plx_hugepages_query(size, node, &pages->count))
		return;
	pages->size = size;
	pages->node = node;
	machine->npages++;
}

/* hugepages-2048kB: counted in all, then by node. */
static int add_page_size(void *ctx, const char *name)
{
	struct machine *machine = ctx;
	unsigned long kilobytes;
	char path[64];
	int node;

	if (sscanf(name, "hugepages-%lukB", &kilobytes) != 1)
		return 0;
	add_pages(machine, kilobytes << 10, PLX_NODE_ANY);
	for (node = 0; node < MACHINE_PAGES; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
		if (!plx_sys->access(path, F_OK))
			add_pages(machine, kilobytes << 10, node);
	}
	return 0;
}

static int add_huge_mount(void *ctx, const char *where, const char *size)
{
	struct machine *machine = ctx;

	return texts_add(&machine->huge_mounts, "%s (%s)", where, size);
}

static uint64_t read_limit(int resource)
{
	struct rlimit limit;

	if (plx_sys->getrlimit(resource, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

static void read_process(struct machine *machine)
{
	static const struct {
		const char *name;
		unsigned number;
	} caps[MACHINE_CAPS] = {
		[CAP_RAWIO] = { "CAP_SYS_RAWIO", CAP_SYS_RAWIO },
		[CAP_ADMIN] = { "CAP_SYS_ADMIN", CAP_SYS_ADMIN },
		[CAP_LOCK] = { "CAP_IPC_LOCK", CAP_IPC_LOCK },
		[CAP_NET] = { "CAP_NET_ADMIN", CAP_NET_ADMIN },
	};
	unsigned i;

	machine->memlock = read_limit(RLIMIT_MEMLOCK);
	machine->nofile = read_limit(RLIMIT_NOFILE);
	for (i = 0; i < MACHINE_CAPS; i++) {
		machine->cap[i].name = caps[i].name;
		machine->cap[i].have = plx_have_capability(caps[i].number);
	}
}

/* "none [integrity] confidentiality": the one in brackets. */
static void read_lockdown(struct machine *machine)
{
	char text[64], word[40];
	const char *open;

	if (plx_sys_read_text("/sys/kernel/security/lockdown", text, sizeof(text)) > 0 &&
	    (open = strchr(text, '[')) && sscanf(open, "[%39[^]]", word) == 1)
		strcpy(machine->lockdown, word);
}

int machine_read(struct machine *machine)
{
	int err;

	*machine = (struct machine){ 0 };
	if (plx_sys_read_text("/proc/sys/kernel/osrelease", machine->release,
			      sizeof(machine->release)) < 0)
		strcpy(machine->release, "unknown");
	err = read_boot_words(machine);
	err = err ? err : look_into(machine, "/sys/class/iommu", add_iommu);
	err = err ? err : look_into(machine, "/sys/kernel/iommu_groups", count_group);
	err = err ? err : look_into(machine, "/sys/kernel/mm/hugepages", add_page_size);
	err = err ? err : each_hugetlbfs(add_huge_mount, machine);
	err = err ? err : read_nodes(machine);
	if (err) {
		plx_err("can't look at the machine: %s", strerror(-err));
		machine_free(machine);
		return err;
	}
	machine->firmware = firmware_table();
	read_options(machine);
	read_modules(machine);
	machine->noiommu_mode = noiommu_mode();
	read_process(machine);
	read_lockdown(machine);
	return 0;
}

void machine_free(struct machine *machine)
{
	texts_free(&machine->boot_words);
	texts_free(&machine->iommus);
	texts_free(&machine->huge_mounts);
}

uint64_t machine_hugepages(const struct machine *machine)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < machine->npages; i++)
		if (machine->pages[i].node == PLX_NODE_ANY)
			bytes += machine->pages[i].size * machine->pages[i].count.total;
	return bytes;
}

bool machine_may_pin(const struct machine *machine)
{
	return machine->wanted <= machine->memlock || machine->cap[CAP_LOCK].have;
}
