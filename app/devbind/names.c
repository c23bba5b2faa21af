/* SPDX-License-Identifier: BSD-3-Clause */
/* Words for ids, from pci.ids by way of libpci: the words that lspci shows. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <pci/pci.h>

#include "device.h"

/* libpci's handle under our name, as device.h knows no libpci. */
static struct pci_access *access_of(struct names *names)
{
	return (struct pci_access *)names;
}

static void be_silent(char *fmt, ...)
{
	(void)fmt;
}

/* Called when memory runs out; libpci wants it not to return. */
static void __attribute__((noreturn)) give_up(char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* pci_init() would set these, but it looks for a way to the bus, which nobody needs for names. */
struct names *names_open(void)
{
	struct pci_access *access = pci_alloc();

	access->debug = access->warning = be_silent;
	access->error = give_up;
	return (struct names *)access;
}

void names_close(struct names *names)
{
	pci_cleanup(access_of(names));
}

static void look_up(struct names *names, char *buf, const char *otherwise, int flags, int id1,
		    int id2)
{
	const char *name = pci_lookup_name(access_of(names), buf, NAME_TEXT_LEN,
					   flags | PCI_LOOKUP_NO_NUMBERS, id1, id2);

	if (!name)
		snprintf(buf, NAME_TEXT_LEN, "%s", otherwise);
	else if (name != buf)
		snprintf(buf, NAME_TEXT_LEN, "%s", name);
}

void names_fill(struct names *names, struct device *dev)
{
	look_up(names, dev->vendor_name, "Vendor", PCI_LOOKUP_VENDOR, dev->id.vendor, 0);
	look_up(names, dev->device_name, "Device", PCI_LOOKUP_DEVICE, dev->id.vendor,
		dev->id.device);
	look_up(names, dev->class_name, "Class", PCI_LOOKUP_CLASS, dev->id.class_code >> 8, 0);
}
