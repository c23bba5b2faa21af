/* SPDX-License-Identifier: BSD-3-Clause */
/* The drivers of this program, and which one takes a function. */
#include "bus.h"

static struct plx_pci_driver *first, **last = &first;

void plx_pci_register(struct plx_pci_driver *driver)
{
	driver->next = NULL;
	*last = driver;
	last = &driver->next;
}

static bool matches(uint16_t wanted, uint16_t found)
{
	return wanted == PLX_PCI_ANY_ID || wanted == found;
}

static bool id_matches(const struct plx_pci_id *want, const struct plx_pci_id *have)
{
	return matches(want->vendor, have->vendor) && matches(want->device, have->device) &&
	       matches(want->subvendor, have->subvendor) &&
	       matches(want->subdevice, have->subdevice) &&
	       !((want->class_code ^ have->class_code) & want->class_mask);
}

const struct plx_pci_driver *plx_pci_match(const struct plx_pci *pci)
{
	const struct plx_pci_driver *driver;
	const struct plx_pci_id *id;

	for (driver = first; driver; driver = driver->next) {
		for (id = driver->ids; id->vendor; id++) {
			if (id_matches(id, &pci->id))
				return driver;
		}
	}
	return NULL;
}
