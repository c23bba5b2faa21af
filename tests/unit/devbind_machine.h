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

/* It is pulled out of its slot. */
void machine_unplug(const char *bdf);

/* "": none. */
const char *machine_driver(const char *bdf);
const char *machine_override(const char *bdf);

/* SIGTERM comes to this process as a driver takes this function; NULL: it doesn't. */
void machine_end_at(const char *bdf);

/* Called once while a lock is waited for. */
void machine_meanwhile(void (*fn)(void));

/* This driver takes no device any more; NULL: all do. */
void machine_refuse(const char *driver);

/* Binds a function to vfio-pci, with a group node and a cdev ("vfio0"; NULL: none). */
void machine_give_to_vfio(const char *bdf, const char *cdev);

/* A device node, which this process may not open if it is the one denied; NULL: none is. */
void machine_node(const char *path);
void machine_deny(const char *path);

/* A node that somebody has to himself; NULL: none. */
void machine_claim(const char *path);

/* /dev/iommu makes an IOAS of this number, or none. */
#define MACHINE_IOAS 7
void machine_no_ioas(bool none);

void machine_memlock(uint64_t bytes);

void machine_interface(const char *bdf, const char *name, unsigned index);
void machine_address(unsigned index, const char *address, unsigned bits);
void machine_route(unsigned index, const char *to, unsigned bits); /* bits 0: the default route */

void machine_netlink_error(void); /* dumps of addresses fail */

/* A disk or, if of is not NULL, its partition. number: "259:0". */
void machine_disk(const char *bdf, const char *name, const char *of, const char *number);

/* A node of a driver's, /dev/NAME. number: "241:0". */
void machine_char(const char *bdf, const char *name, const char *number);

/* Carries out a command line, as main() does; the words end with NULL. */
enum exit_code machine_run(const char *word, ...) __attribute__((sentinel));

/* The same, which has to end with this code. */
#define machine_report(code, ...) assert_int_equal(machine_run(__VA_ARGS__), code)

/* Its standard output: all of it, and whether a part is there. */
const char *machine_output(void);
void machine_reports(const char *part);
void machine_reports_no(const char *part);

/*
 * Whether a line with this part was logged since the last run began. The first one says it if not.
 */
bool machine_said(const char *part);
bool machine_has_said(const char *part);

#endif
