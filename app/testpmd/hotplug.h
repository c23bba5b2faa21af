/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are taken away while packets are forwarded, and come back.
 *
 *      interrupt thread       control thread                              lcores
 *      port->going, wake -->  streams_lead() <--------------------------> use a port that isn't one
 *                             stop and close the port, let go of its device
 *      kernel: "bound" ---->  take the device back, set the port up, start it
 *                             streams_lead() <--------------------------> use the port again
 *
 * Whatever the streams send to a port that is away is dropped, and counted so.
 */
#ifndef TESTPMD_HOTPLUG_H
#define TESTPMD_HOTPLUG_H

#include "ports.h"
#include "streams.h"

struct hotplug {
	struct plx_pci_bus *bus;
	struct ports *ports;
	struct streams *streams;
	const struct options *opts;
	struct plx_pci_monitor *monitor; /* NULL: the kernel's events aren't heard */
};

/* From here on control_sleep() ends when the kernel says something about the PCI bus. */
void hotplug_begin(struct hotplug *h);
void hotplug_end(struct hotplug *h);

/*
 * Lets go of ports whose devices are to go, and takes back those that returned. Returns how many
 * seconds later it wants to be called at the latest.
 */
double hotplug_step(struct hotplug *h);

#endif
