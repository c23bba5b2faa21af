/* SPDX-License-Identifier: BSD-3-Clause */
/* The drivers of this program, which one takes a function, and which keys it reads. */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

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

static bool reads_key(const struct plx_pci_driver *driver, const char *key, size_t len)
{
	const char *const *known = driver->keys;

	for (; known && *known; known++) {
		if (strlen(*known) == len && !memcmp(*known, key, len))
			return true;
	}
	return false;
}

static bool any_reads_key(const char *key, size_t len)
{
	const struct plx_pci_driver *driver = first;

	while (driver && !reads_key(driver, key, len))
		driver = driver->next;
	return driver;
}

int plx_pci_check_keys(const struct plx_pci *pci, const struct plx_pci_driver *driver)
{
	const char *text = pci->args;
	size_t len;

	for (; *text; text += strcspn(text, ","), text += *text == ',') {
		len = strcspn(text, "=");
		if (driver ? reads_key(driver, text, len) : any_reads_key(text, len))
			continue;
		plx_err("-a %s: key '%.*s' is known neither to the bus nor to %s%s", pci->name,
			(int)len, text, driver ? "driver " : "any driver",
			driver ? driver->name : "");
		return -EINVAL;
	}
	return 0;
}
