/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <pollux/log.h>

#include "control.h"
#include "hotplug.h"

#define USER_RETRY_SECONDS 1 /* nobody tells when a process serves its socket again */

void hotplug_begin(struct hotplug *h)
{
	h->monitor = NULL;
	if (plx_pci_monitor_open(&h->monitor))
		plx_warn("devices that are taken away won't be taken back");
	else
		control_watch(plx_pci_monitor_fd(h->monitor));
}

void hotplug_end(struct hotplug *h)
{
	control_watch(-1);
	plx_pci_monitor_close(h->monitor);
	h->monitor = NULL;
}

static struct plx_pci *device_of(const struct hotplug *h, const struct port *port)
{
	struct plx_pci *pci;

	for (unsigned i = 0; (pci = plx_pci_at(h->bus, i)); i++)
		if (strcmp(pci->name, port->name) == 0)
			return pci;
	return NULL;
}

/* The kernel, and who asked it, wait for this. */
static void let_go(struct hotplug *h, struct port *port)
{
	struct plx_pci *pci = device_of(h, port);

	/* If forwarding ends just now, ports_close() and the bus will see to it. */
	if (!streams_lead(h->streams, port->id, PLX_ETH_NOWHERE))
		return;
	port_leave(port);
	if (pci)
		plx_pci_detach(pci);
	plx_notice("port %u: %s was taken away; what is sent to it is dropped until it is back",
		   port->id, port->name);
}

static void take_back(struct hotplug *h, struct port *port)
{
	if (plx_pci_attach(h->bus, port->name))
		return;
	if (port_return(port, h->ports, h->bus, h->opts)) {
		plx_pci_detach(device_of(h, port));
		return;
	}
	streams_lead(h->streams, port->id, port->id);
	plx_notice("port %u: %s is back, access mode %s", port->id, port->name, port->access_mode);
}

static bool is_user(const struct port *port)
{
	return strcmp(port->access_mode, plx_vfio_mode_name(PLX_VFIO_USER)) == 0;
}

/*
 * Looks first, quietly: the socket may not be there for long. One that a killed process left is
 * there, and is tried each time: what comes of it is said when it is another thing than before.
 */
static void try_again(struct hotplug *h, struct port *port)
{
	const struct plx_vfio_opts opts = PLX_VFIO_OPTS_INIT;
	enum plx_vfio_mode mode;

	if (plx_vfio_foresee(port->name, &opts, &mode, NULL))
		return;
	plx_log_round_begin(&port->tries);
	take_back(h, port);
	plx_log_round_end();
	if (!port->away)
		port->tries = (struct plx_log_rounds){ 0 };
}

/* name: the device that has been bound to a driver; NULL: any may have been. */
static void bound(struct hotplug *h, const char *name)
{
	for (unsigned i = 0; i < h->ports->count; i++) {
		struct port *port = &h->ports->port[i];

		if (port->away && !is_user(port) && (!name || strcmp(port->name, name) == 0))
			take_back(h, port);
	}
}

static void hear_kernel(struct hotplug *h)
{
	struct plx_pci_event event;
	int got;

	while (h->monitor && (got = plx_pci_monitor_read(h->monitor, &event)) != 0) {
		if (got == -ENOBUFS) {
			bound(h, NULL);
		} else if (got < 0) {
			plx_warn("the kernel's PCI events can't be read: %s", strerror(-got));
			hotplug_end(h);
		} else if (event.type == PLX_PCI_BOUND) {
			bound(h, event.name);
		}
	}
}

double hotplug_step(struct hotplug *h)
{
	double wait = HUGE_VAL;

	for (unsigned i = 0; i < h->ports->count; i++) {
		struct port *port = &h->ports->port[i];

		if (!port->away && __atomic_load_n(&port->going, __ATOMIC_ACQUIRE))
			let_go(h, port);
		else if (port->away && is_user(port))
			try_again(h, port);
	}
	hear_kernel(h);
	for (unsigned i = 0; i < h->ports->count; i++)
		if (h->ports->port[i].away && is_user(&h->ports->port[i]))
			wait = USER_RETRY_SECONDS;
	return wait;
}
