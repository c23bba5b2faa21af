/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine for plx-devbind: sysfs and procfs in a temporary folder (pci_sysfs.h), a driver core
 * that answers writes to bind, unbind and driver_override as the kernel's does, rtnetlink, and
 * stand-ins for libpci's names and libkmod's modules.
 */
#ifndef DEVBIND_MACHINE_H
#define DEVBIND_MACHINE_H

#include "device.h"
#include "options.h"
#include "pci_sysfs.h"

#define NIC0  "0000:01:00.0" /* e1000e, group 10 */
#define NIC1  "0000:02:00.0" /* e1000e, group 11 with NIC2 */
#define NIC2  "0000:02:00.1" /* igb, group 11 */
#define NVME0 "0000:03:00.0" /* nvme, group 12 */

/* cmocka fixtures: those four, vfio-pci there, an IOMMU. */
int machine_setup(void **state);
int machine_teardown(void **state);

/* A function, bound to its native driver. group: -1 without an IOMMU. */
void machine_add(const char *bdf, const char *class_code, const char *driver, int group);

/* "": none. */
const char *machine_driver(const char *bdf);
const char *machine_override(const char *bdf);

/* This driver takes no device any more; NULL: all do. */
void machine_refuse(const char *driver);

void machine_interface(const char *bdf, const char *name, unsigned index);
void machine_address(unsigned index, const char *address, unsigned bits);
void machine_route(unsigned index, const char *to, unsigned bits); /* bits 0: the default route */

/* A disk or, if of is not NULL, its partition. number: "259:0". */
void machine_disk(const char *bdf, const char *name, const char *of, const char *number);

/* Carries out a command line, as main() does. Standard output goes to *out if it isn't NULL. */
enum exit_code machine_run(char **out, const char *word, ...) __attribute__((sentinel));

/* Whether a line with this part was logged since the last run began. */
bool machine_said(const char *part);

#endif
