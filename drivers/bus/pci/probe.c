/* SPDX-License-Identifier: BSD-3-Clause */
/* Claiming functions, handing them to drivers, and taking them back. */
#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>

#include <pollux/log.h>

#include "broker.h"
#include "bus.h"
#include "sys.h"

/* --iova: what the user knows better, unless no IOMMU would translate it. */
static int override_policy(const struct pci_options *options, struct plx_policy *policy)
{
	if (!options->addr_said || policy->addr == options->addr)
		return 0;
	if (policy->addr == PLX_ADDR_PA) {
		plx_err("--iova=%s can't be: %s", options->addr == PLX_ADDR_VA ? "va" : "alloc",
			policy->reason);
		return -EINVAL;
	}
	policy->addr = options->addr;
	snprintf(policy->reason, sizeof(policy->reason), "--iova says so");
	return 0;
}

int plx_pci_policy(struct plx_pci_bus *bus, struct plx_policy *policy)
{
	struct plx_vfio_candidate *devs;
	struct pci_fn *fn;
	size_t count = 0;
	int err;

	TAILQ_FOREACH(fn, &bus->fns, link) {
		count += fn->in_use;
		err = fn->in_use ? plx_pci_broker_ask(bus, fn) : 0;
		if (err)
			return err;
	}
	devs = plx_sys->alloc((count + 1) * sizeof(*devs));
	if (!devs) {
		plx_err("out of memory for the address policy of %zu PCI functions", count);
		return -ENOMEM;
	}
	count = 0;
	TAILQ_FOREACH(fn, &bus->fns, link) {
		if (fn->in_use)
			devs[count++] = (struct plx_vfio_candidate){ fn->pci.name, &fn->opts };
	}
	err = plx_vfio_policy(devs, count, policy);
	plx_sys->free(devs);
	return err ? err : override_policy(&bus->options, policy);
}

int plx_pci_set_command(struct plx_pci *pci, bool memory, bool master)
{
	uint16_t old = plx_pci_cfg_read16(pci, PCI_COMMAND), new = old;

	/* All ones is what a function that is gone reads as. */
	if (old == UINT16_MAX)
		return -EIO;
	new &= ~(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (memory)
		new |= PCI_COMMAND_MEMORY;
	if (master)
		new |= PCI_COMMAND_MASTER;
	return new == old ? 0 : plx_pci_cfg_write16(pci, PCI_COMMAND, new);
}

/* Stops DMA and interrupts before the claim goes: nothing of ours may be written after it. */
static void let_go(struct pci_fn *fn)
{
	struct plx_pci *pci = &fn->pci;
	int err = plx_pci_set_master(pci, false);

	if (err)
		plx_debug("%s: bus mastering can't be turned off: %s", pci->name, strerror(-err));
	plx_pci_irq_disable(pci);
	plx_vfio_close(pci->vfio);
	pci->vfio = NULL;
	pci->ioas = NULL;
	pci->priv = NULL;
	pci->driver = NULL;
}

static int find_driver(const struct plx_pci *pci, const struct plx_pci_driver **driver)
{
	*driver = plx_pci_match(pci);
	if (*driver)
		return plx_pci_check_keys(pci, *driver);
	plx_err("%s: no driver of this program takes %04x:%04x (class %06x)", pci->name,
		pci->id.vendor, pci->id.device, pci->id.class_code);
	return -ENODEV;
}

/* Of a function that sysfs doesn't know (PCI Local Bus 3.0, 6.2.1 and 6.2.4). */
static void read_id(struct plx_pci *pci)
{
	pci->id = (struct plx_pci_id){
		.vendor = plx_pci_cfg_read16(pci, PCI_VENDOR_ID),
		.device = plx_pci_cfg_read16(pci, PCI_DEVICE_ID),
		.subvendor = plx_pci_cfg_read16(pci, PCI_SUBSYSTEM_VENDOR_ID),
		.subdevice = plx_pci_cfg_read16(pci, PCI_SUBSYSTEM_ID),
		.class_code = plx_pci_cfg_read32(pci, PCI_CLASS_REVISION) >> 8,
	};
}

static int probe_function(struct plx_pci_bus *bus, struct pci_fn *fn)
{
	bool user = fn->addr == PCI_ADDR_USER;
	const struct plx_pci_driver *driver = NULL;
	struct plx_pci *pci = &fn->pci;
	int err;

	if (!user) {
		err = find_driver(pci, &driver);
		if (err)
			return err;
	}
	err = plx_pci_broker_ask(bus, fn);
	if (err)
		return err;
	err = plx_vfio_open(bus->ioas, pci->name, &fn->opts, &pci->vfio, NULL);
	if (err)
		return err;
	pci->ioas = bus->ioas;
	if (user) {
		read_id(pci);
		err = find_driver(pci, &driver);
		if (err) {
			let_go(fn);
			return err;
		}
	}
	err = plx_pci_set_command(pci, true, false);
	if (err) {
		plx_err("%s: memory decoding can't be turned on: %s", pci->name, strerror(-err));
		let_go(fn);
		return err;
	}
	err = driver->probe(pci);
	if (err) {
		plx_err("%s: driver %s: %s", pci->name, driver->name, strerror(-err));
		let_go(fn);
		return err;
	}
	pci->driver = driver;
	plx_info("%s: taken by driver %s", pci->name, driver->name);
	return 0;
}

int plx_pci_event_fd(const struct plx_pci *pci)
{
	return pci->vfio ? plx_vfio_event_fd(pci->vfio) : -ENODEV;
}

enum plx_vfio_event plx_pci_event(struct plx_pci *pci)
{
	return pci->vfio ? plx_vfio_event(pci->vfio) : PLX_VFIO_EVENT_NONE;
}

static int probe_all(struct plx_pci_bus *bus)
{
	struct pci_fn *fn;
	int err, taken = 0;

	TAILQ_FOREACH(fn, &bus->fns, link) {
		if (!fn->in_use || fn->pci.driver)
			continue;
		err = probe_function(bus, fn);
		if (err && fn->named)
			return err;
		taken += !err;
	}
	return taken;
}

/* What brokers gave is claimed by now, or never will be. */
static void release_all(struct plx_pci_bus *bus)
{
	struct pci_fn *fn;

	TAILQ_FOREACH(fn, &bus->fns, link)
		plx_pci_broker_release(fn);
}

int plx_pci_probe(struct plx_pci_bus *bus, struct plx_ioas *ioas)
{
	int taken;

	bus->ioas = ioas;
	taken = probe_all(bus);
	release_all(bus);
	return taken;
}

void plx_pci_detach(struct plx_pci *pci)
{
	if (!pci->driver)
		return;
	pci->driver->remove(pci);
	let_go(pci_fn(pci));
}

int plx_pci_attach(struct plx_pci_bus *bus, const char *name)
{
	struct pci_fn *fn;
	int err;

	/* The same slot may have another card in it by now. */
	err = plx_pci_is_user(name) ? 0 : plx_pci_scan_function(bus, name);
	if (err) {
		plx_err("%s: can't be looked at: %s", name, strerror(-err));
		return err;
	}
	fn = plx_pci_find(bus, name);
	if (!fn) {
		plx_err("%s: no such PCI function", name);
		return -ENODEV;
	}
	if (fn->pci.driver) {
		plx_err("%s: driver %s has it already", name, fn->pci.driver->name);
		return -EBUSY;
	}
	err = probe_function(bus, fn);
	plx_pci_broker_release(fn);
	return err;
}

void plx_pci_cleanup(struct plx_pci_bus *bus)
{
	struct pci_fn *fn;

	if (!bus)
		return;
	while ((fn = TAILQ_LAST(&bus->fns, pci_fn_list))) {
		plx_pci_detach(&fn->pci);
		plx_pci_broker_release(fn);
		TAILQ_REMOVE(&bus->fns, fn, link);
		plx_sys->free(fn);
	}
	plx_pci_broker_cleanup(bus);
	plx_pci_options_free(&bus->options);
	plx_sys->free(bus);
}
