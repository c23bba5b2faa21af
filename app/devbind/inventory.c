/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "device.h"
#include "files.h"
#include "sys.h"

/* Drivers of other functions would do too, but one has to know them: these are for everybody. */
const char *const ready_drivers[] = { "vfio-pci", "uio_pci_generic", "igb_uio", NULL };

bool driver_is_ready(const char *name)
{
	unsigned i;

	for (i = 0; ready_drivers[i]; i++)
		if (!strcmp(name, ready_drivers[i]))
			return true;
	return false;
}

bool driver_takes_any(const char *name)
{
	return driver_is_ready(name) || strstr(name, "vfio") || !strcmp(name, "pci-stub") ||
	       !strcmp(name, "pciback");
}

bool device_is_ready(const struct device *dev)
{
	return plx_facts_bound(&dev->facts) || driver_is_ready(dev->facts.driver);
}

/* PCI Code and ID Assignment, 1.7: base class 6 is bridges, whose drivers the bus can't spare. */
bool device_is_endpoint(const struct device *dev)
{
	return dev->id.class_code >> 16 != 0x06;
}

int device_attr(const char *bdf, const char *attr, char *buf, size_t len)
{
	char path[160];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.16s/%s", bdf, attr);
	return plx_sys_read_text(path, buf, len);
}

static unsigned attr_count(const char *bdf, const char *attr)
{
	char text[16];

	return device_attr(bdf, attr, text, sizeof(text)) > 0 ? strtoul(text, NULL, 10) : 0;
}

/* Kernel drivers by the function's modalias, then those for user space that the kernel has. */
static int read_drivers(struct device *dev, struct modules *modules)
{
	char modalias[160], path[80];
	unsigned i;
	int err = 0;

	if (device_attr(dev->bdf, "modalias", modalias, sizeof(modalias)) > 0)
		err = modules_of(modules, modalias, &dev->drivers);
	for (i = 0; !err && ready_drivers[i] && device_is_endpoint(dev); i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", ready_drivers[i]);
		if (texts_have(&dev->drivers, ready_drivers[i]) ||
		    (plx_sys->access(path, F_OK) &&
		     modules_state(modules, ready_drivers[i]) == MODULE_MISSING))
			continue;
		err = texts_add(&dev->drivers, "%s", ready_drivers[i]);
	}
	for (i = 0; i < dev->drivers.count; i++) {
		if (strcmp(dev->drivers.at[i], dev->facts.driver))
			continue;
		plx_sys->free(dev->drivers.at[i]);
		memmove(&dev->drivers.at[i], &dev->drivers.at[i + 1],
			(--dev->drivers.count - i) * sizeof(dev->drivers.at[0]));
		break;
	}
	return err;
}

static int read_sriov(struct device *dev)
{
	char path[160], text[16];
	int len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn", dev->bdf);
	if (plx_sys_link_name(path, dev->physfn, sizeof(dev->physfn)) ||
	    !plx_bdf_valid(dev->physfn))
		dev->physfn[0] = '\0';
	dev->total_vfs = attr_count(dev->bdf, "sriov_totalvfs");
	len = device_attr(dev->bdf, "sriov_numvfs", text, sizeof(text));
	if (len < 0)
		return device_blind(dev, "the number of its VFs", len);
	dev->num_vfs = strtoul(text, NULL, 10);
	if (!dev->num_vfs)
		return 0;
	return texts_add(&dev->uses, "%u VFs of it are on: they go away with its driver",
			 dev->num_vfs);
}

static int read_device(struct device *dev, const struct plx_pci *pci, struct names *names,
		       struct modules *modules)
{
	int err;

	/* Names of sysfs's are addresses: no longer than this. */
	memcpy(dev->bdf, pci->name, sizeof(dev->bdf) - 1);
	dev->id = pci->id;
	dev->node = pci->node;
	err = plx_facts_read(pci->name, &dev->facts);
	if (err || !dev->facts.present)
		return err ? err : -ENODEV;
	/* The kernel writes "(null)" where there is none. */
	if (device_attr(dev->bdf, "driver_override", dev->override, sizeof(dev->override)) < 0 ||
	    dev->override[0] == '(')
		dev->override[0] = '\0';
	names_fill(names, dev);
	err = read_drivers(dev, modules);
	return err ? err : read_sriov(dev);
}

static void device_free(struct device *dev)
{
	texts_free(&dev->drivers);
	texts_free(&dev->interfaces);
	texts_free(&dev->disks);
	texts_free(&dev->uses);
	texts_free(&dev->holders);
	texts_free(&dev->blocks);
	texts_free(&dev->nodes);
}

static int read_devices(struct inventory *inv, struct plx_pci_bus *bus)
{
	struct modules *modules = modules_open();
	struct names *names = names_open();
	const struct plx_pci *pci;
	unsigned i;
	int err = 0;

	for (i = 0; !err && (pci = plx_pci_at(bus, i)); i++) {
		struct device *dev = &inv->dev[inv->count];

		err = read_device(dev, pci, names, modules);
		if (!err) {
			inv->count++;
			continue;
		}
		device_free(dev);
		*dev = (struct device){ 0 };
		err = err == -ENODEV ? 0 : err;
	}
	names_close(names);
	modules_close(modules);
	return err;
}

int inventory_read(struct inventory *inv)
{
	char name[] = "plx-devbind", *argv[] = { name, NULL };
	struct plx_pci_bus *bus;
	unsigned count = 0;
	int argc = 1, err;

	*inv = (struct inventory){ 0 };
	err = plx_pci_scan(&argc, argv, &bus);
	if (err)
		return err;
	while (plx_pci_at(bus, count))
		count++;
	inv->dev = plx_sys->alloc((count + 1) * sizeof(*inv->dev));
	err = inv->dev ? read_devices(inv, bus) : -ENOMEM;
	plx_pci_cleanup(bus);
	err = err ? err : inventory_net(inv);
	err = err ? err : inventory_block(inv);
	err = err ? err : inventory_processes(inv);
	if (err) {
		plx_err("can't read the machine's devices: %s", strerror(-err));
		inventory_free(inv);
	}
	return err;
}

void inventory_free(struct inventory *inv)
{
	while (inv->count)
		device_free(&inv->dev[--inv->count]);
	plx_sys->free(inv->dev);
	inv->dev = NULL;
}

struct device *inventory_find(const struct inventory *inv, const char *bdf)
{
	unsigned i;

	for (i = 0; i < inv->count; i++)
		if (!strcmp(inv->dev[i].bdf, bdf))
			return &inv->dev[i];
	return NULL;
}

struct device *inventory_owner(const struct inventory *inv, char *path)
{
	struct device *owner = NULL;
	char *part, *rest = path;

	while ((part = strsep(&rest, "/")))
		if (plx_bdf_valid(part))
			owner = inventory_find(inv, part);
	return owner;
}

int device_blind(struct device *dev, const char *what, int err)
{
	char text[200];

	if (!err || err == -ENOENT || err == -ENODEV)
		return 0;
	snprintf(text, sizeof(text), "it may be: %s can't be read (%s)", what, strerror(-err));
	return texts_add_new(&dev->uses, text);
}

int inventory_blind(struct inventory *inv, const char *what, int err)
{
	unsigned i;
	int ret = 0;

	for (i = 0; i < inv->count && !ret; i++)
		if (device_is_endpoint(&inv->dev[i]))
			ret = device_blind(&inv->dev[i], what, err);
	return ret;
}

int inventory_each(struct inventory *inv, const char *folder,
		   int (*fn)(void *ctx, struct device *dev, const char *name), void *ctx)
{
	char path[400], target[1024];
	struct dirent *entry;
	int err = 0, blind = 0;
	DIR *dir;

	dir = plx_sys->opendir(folder);
	if (!dir)
		return inventory_blind(inv, folder, -errno);
	while (!err && (entry = file_next(dir, &blind))) {
		struct device *dev;
		ssize_t len;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		len = plx_sys->readlink(path, target, sizeof(target) - 1);
		/* Files that are no links are no members. */
		if (len < 0 && errno != EINVAL)
			err = inventory_blind(inv, folder, -errno);
		if (len <= 0)
			continue;
		target[len] = '\0';
		dev = inventory_owner(inv, target);
		if (dev)
			err = fn(ctx, dev, entry->d_name);
	}
	plx_sys->closedir(dir);
	return err ? err : inventory_blind(inv, folder, blind);
}
