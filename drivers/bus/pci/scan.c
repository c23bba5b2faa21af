/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding PCI functions in sysfs.
 *
 * Functions come and go while we read, and what sysfs says is input: one that can't be read whole
 * and in range is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pollux/facts.h>
#include <pollux/log.h>
#include <pollux/mem.h>

#include "bus.h"
#include "sys.h"

/* Errors that are about this process, not about the function looked at. */
static bool is_ours(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

static void attr_path(char path[PATH_MAX], const char *name, const char *attr)
{
	snprintf(path, PATH_MAX, PCI_DEVICES "/%s/%s", name, attr);
}

static int read_id(const char *name, const char *attr, uint64_t max, uint64_t *value)
{
	char path[PATH_MAX];
	int err;

	attr_path(path, name, attr);
	err = plx_sys_read_u64(path, value);
	if (!err && *value > max)
		err = -ERANGE;
	if (err)
		plx_debug("%s: %s: %s", name, attr, strerror(-err));
	return err;
}

static int read_ids(const char *name, struct plx_pci_id *id)
{
	uint64_t vendor, device, subvendor, subdevice, class_code;
	int err;

	err = read_id(name, "vendor", UINT16_MAX, &vendor);
	err = err ? err : read_id(name, "device", UINT16_MAX, &device);
	err = err ? err : read_id(name, "subsystem_vendor", UINT16_MAX, &subvendor);
	err = err ? err : read_id(name, "subsystem_device", UINT16_MAX, &subdevice);
	err = err ? err : read_id(name, "class", 0xffffff, &class_code);
	if (err)
		return err;
	*id = (struct plx_pci_id){
		.vendor = vendor,
		.device = device,
		.subvendor = subvendor,
		.subdevice = subdevice,
		.class_code = class_code,
	};
	return 0;
}

/* A kernel without NUMA has no such file; firmware that doesn't say gives -1. */
static int read_node(const char *name, int *node)
{
	char path[PATH_MAX], text[16], *end;
	long value;
	int len;

	*node = PLX_NODE_ANY;
	attr_path(path, name, "numa_node");
	len = plx_sys_read_text(path, text, sizeof(text));
	if (len < 0)
		return is_ours(len) ? len : 0;
	value = strtol(text, &end, 10);
	if (len && !*end && value >= 0 && value <= INT_MAX)
		*node = value;
	return 0;
}

/* Whether VFIO holds the function: lib/vfio would say the same when it claims it. */
static bool is_vfio(const char *name)
{
	struct plx_facts facts;

	return !plx_facts_read(name, &facts) && plx_facts_bound(&facts);
}

/* What the user and our drivers say about a function. */
static void choose(const struct pci_options *options, struct pci_fn *fn)
{
	const struct pci_named *named = plx_pci_named_find(&options->allow, fn->pci.name);

	fn->pci.args = "";
	fn->opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	fn->opts.modes = options->modes;
	fn->opts.allow_noiommu = options->allow_noiommu;
	if (options->vf_token[0])
		fn->opts.vf_token = options->vf_token;
	if (named) {
		fn->named = true;
		fn->in_use = true;
		fn->pci.args = named->args;
		fn->broker = named->broker[0] ? named->broker : NULL;
		if (named->modes)
			fn->opts.modes = named->modes;
	} else if (TAILQ_EMPTY(&options->allow)) {
		fn->in_use = !plx_pci_named_find(&options->block, fn->pci.name) &&
			     plx_pci_match(&fn->pci) && is_vfio(fn->pci.name);
	}
}

static void insert_sorted(struct pci_fn_list *fns, struct pci_fn *fn)
{
	struct pci_fn *before = TAILQ_LAST(fns, pci_fn_list);

	while (before && before->addr > fn->addr)
		before = TAILQ_PREV(before, pci_fn_list, link);
	if (before)
		TAILQ_INSERT_AFTER(fns, before, fn, link);
	else
		TAILQ_INSERT_HEAD(fns, fn, link);
}

static int add_function(struct plx_pci_bus *bus, const char *name, uint64_t addr,
			const struct plx_pci_id *id, int node)
{
	struct pci_fn *fn = plx_sys->alloc(sizeof(*fn));

	if (!fn)
		return -ENOMEM;
	fn->addr = addr;
	strcpy(fn->pci.name, name);
	fn->pci.id = *id;
	fn->pci.node = node;
	choose(&bus->options, fn);
	insert_sorted(&bus->fns, fn);
	return 0;
}

struct pci_fn *plx_pci_find(const struct plx_pci_bus *bus, const char *name)
{
	struct pci_fn *fn;

	TAILQ_FOREACH(fn, &bus->fns, link) {
		if (!strcmp(fn->pci.name, name))
			return fn;
	}
	return NULL;
}

int plx_pci_scan_function(struct plx_pci_bus *bus, const char *name)
{
	char canonical[PLX_PCI_NAME_LEN];
	struct plx_pci_id id;
	struct pci_fn *fn;
	uint64_t addr;
	int err, node;

	if (plx_pci_addr_parse(name, false, &addr)) {
		plx_debug(PCI_DEVICES "/%s is no PCI address: passed over", name);
		return 0;
	}
	err = read_ids(name, &id);
	if (!err)
		err = read_node(name, &node);
	if (err) {
		plx_debug("%s: passed over: %s", name, strerror(-err));
		return is_ours(err) ? err : 0;
	}
	plx_pci_addr_name(addr, canonical);
	fn = plx_pci_find(bus, canonical);
	if (!fn)
		return add_function(bus, canonical, addr, &id, node);
	fn->pci.id = id;
	fn->pci.node = node;
	return 0;
}

/*
 * Functions of processes. What they are is asked when they are claimed: a process serves one
 * client at a time and may do something when it leaves, so there is one connection, not two.
 */
static int add_user_functions(struct plx_pci_bus *bus)
{
	const struct plx_pci_id unknown = { 0 };
	const struct pci_named *named;
	int err = 0;

	TAILQ_FOREACH(named, &bus->options.allow, link) {
		if (named->addr == PCI_ADDR_USER && !err)
			err = add_function(bus, named->name, PCI_ADDR_USER, &unknown, PLX_NODE_ANY);
	}
	if (err)
		plx_err("PCI scan stopped: %s", strerror(-err));
	return err;
}

/* Whether sysfs has a say: not if all that is used comes from processes. */
static bool wants_sysfs(const struct pci_options *options)
{
	const struct pci_named *named;

	TAILQ_FOREACH(named, &options->allow, link) {
		if (named->addr != PCI_ADDR_USER)
			return true;
	}
	return TAILQ_EMPTY(&options->allow);
}

static int scan_sysfs(struct plx_pci_bus *bus)
{
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	dir = plx_sys->opendir(PCI_DEVICES);
	if (!dir && errno == ENOENT) {
		plx_warn("no PCI bus here: " PCI_DEVICES " does not exist (is /sys mounted?)");
		return 0;
	}
	if (!dir) {
		err = -errno;
		plx_err("can't list " PCI_DEVICES ": %s", strerror(-err));
		return err;
	}
	for (;;) {
		errno = 0;
		entry = plx_sys->readdir(dir);
		if (!entry) {
			err = -errno;
			break;
		}
		if (entry->d_name[0] == '.')
			continue;
		err = plx_pci_scan_function(bus, entry->d_name);
		if (err)
			break;
	}
	plx_sys->closedir(dir);
	if (err)
		plx_err("PCI scan stopped: %s", strerror(-err));
	return err;
}

/* Everything named with -a must have been found, and every key is somebody's. */
static int check_named(const struct plx_pci_bus *bus)
{
	const struct pci_named *named;
	const struct pci_fn *fn;

	TAILQ_FOREACH(named, &bus->options.allow, link) {
		fn = plx_pci_find(bus, named->name);
		if (!fn) {
			plx_err("-a %s: no such PCI function in " PCI_DEVICES, named->name);
			return -ENODEV;
		}
		if (plx_pci_check_keys(&fn->pci, plx_pci_match(&fn->pci)))
			return -EINVAL;
	}
	return 0;
}

int plx_pci_scan(int *argc, char **argv, struct plx_pci_bus **out)
{
	struct plx_pci_bus *bus;
	int err;

	bus = plx_sys->alloc(sizeof(*bus));
	if (!bus) {
		plx_err("out of memory for the PCI bus");
		return -ENOMEM;
	}
	TAILQ_INIT(&bus->fns);
	bus->iommufd = bus->container_fd = -1;
	plx_pci_options_init(&bus->options);
	err = plx_pci_options_parse(&bus->options, argc, argv);
	if (!err && wants_sysfs(&bus->options))
		err = scan_sysfs(bus);
	if (!err)
		err = add_user_functions(bus);
	if (!err)
		err = check_named(bus);
	if (err) {
		plx_pci_cleanup(bus);
		return err;
	}
	*out = bus;
	return 0;
}

struct plx_pci *plx_pci_at(struct plx_pci_bus *bus, unsigned index)
{
	struct pci_fn *fn;

	TAILQ_FOREACH(fn, &bus->fns, link) {
		if (!index--)
			return &fn->pci;
	}
	return NULL;
}
