/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of the machine's PCI functions.
 *
 *      inventory.c    ids, driver, NUMA node, IOMMU group, cdev, SR-IOV
 *      use_net.c      network interfaces, their addresses and routes
 *      use_block.c    disks, and what is mounted from them or stands on them
 *      use_process.c  programs that have one of its nodes, open or mapped
 *      names.c        words for ids (libpci)
 *      modules.c      drivers for ids (libkmod)
 *
 * All of it is read once. A function that vanishes meanwhile is left out.
 */
#ifndef DEVBIND_DEVICE_H
#define DEVBIND_DEVICE_H

#include <pollux/facts.h>
#include <pollux/pci.h>

#include "texts.h"

#define NAME_TEXT_LEN 128

struct device {
	char bdf[PLX_BDF_LEN];
	struct plx_pci_id id;
	int node; /* NUMA, or PLX_NODE_ANY */
	struct plx_facts facts;
	char override[PLX_NAME_LEN]; /* driver_override; "" if not set */
	char vendor_name[NAME_TEXT_LEN], device_name[NAME_TEXT_LEN], class_name[NAME_TEXT_LEN];
	struct texts drivers; /* that could take it, less the one that has it */

	struct texts interfaces, disks;
	struct texts uses;    /* a sentence each; any of them speaks against taking the device */
	struct texts holders; /* those that say who has it through VFIO, which waits for them */
	struct texts blocks;  /* its disks, partitions, and the block devices that stand on them */
	struct texts nodes;   /* in /dev, besides the blocks: nvme0, ng0n1, infiniband/uverbs0 */
	bool active;	      /* an interface carries a route */

	char physfn[PLX_BDF_LEN]; /* the PF, if it is a VF; else "" */
	unsigned total_vfs, num_vfs;
};

struct inventory {
	struct device *dev; /* in address order */
	unsigned count;
};

/* 0, or -errno with a line logged. What can't be read for lack of rights is left out. */
int inventory_read(struct inventory *inv);
void inventory_free(struct inventory *inv);

/* NULL: not there. */
struct device *inventory_find(const struct inventory *inv, const char *bdf);

/* Whether user space can drive it: VFIO or UIO has it. */
bool device_is_ready(const struct device *dev);

/* Whether it is a function with a header of type 0, which a driver for user space may take. */
bool device_is_endpoint(const struct device *dev);

/* The drivers that hand devices to user space, NULL-terminated, and whether name is one of them. */
extern const char *const ready_drivers[];
bool driver_is_ready(const char *name);

/*
 * Whether a driver is for any device, which it is told of by driver_override: these, VFIO's for
 * devices of one kind, and those that keep a device from others. A driver of the kernel's own knows
 * its devices by their ids, and may take the kernel down with another one.
 */
bool driver_takes_any(const char *name);

/*
 * The function that a path of /sys/devices leads through, the one nearest to its end, or NULL:
 * "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/net/eth0". The path is taken apart.
 */
struct device *inventory_owner(const struct inventory *inv, char *path);

/* A file of sysfs about a function. Length or -errno. */
int device_attr(const char *bdf, const char *attr, char *buf, size_t len);

/*
 * What can't be read may speak against taking a device, so that is said among its uses. what:
 * "eth0" or the like; err: -errno of reading, of which those that mean "nothing there" say nothing.
 * 0 or -ENOMEM. inventory_blind() is about all endpoints.
 */
int device_blind(struct device *dev, const char *what, int err);
int inventory_blind(struct inventory *inv, const char *what, int err);

/*
 * Calls fn for every member of a folder of links that sits on a PCI function of the inventory, such
 * as /sys/class/net. Stops at an error of fn's.
 */
int inventory_each(struct inventory *inv, const char *folder,
		   int (*fn)(void *ctx, struct device *dev, const char *name), void *ctx);

/* Each adds what it knows to interfaces, disks, uses. 0 or -ENOMEM. */
int inventory_net(struct inventory *inv);
int inventory_block(struct inventory *inv);
int inventory_processes(struct inventory *inv);

/*
 * Whether the kernel, or a program, has one of its disks to itself; name: which. O_EXCL on a block
 * device, open(2), tells of mounts that this mount namespace doesn't show. Takes root. 0; -EBUSY:
 * it has; other -errno: that can't be told.
 */
int device_claimed(const struct device *dev, char name[NAME_TEXT_LEN]);

/* names.c: fills in the names; needs no root, and no list of names either. */
struct names;
struct names *names_open(void);
void names_close(struct names *names);
void names_fill(struct names *names, struct device *dev);

/*
 * modules.c. The handle may be NULL: nothing is known of modules then.
 * modules_of: drivers for a modalias. 0 or -ENOMEM.
 */
struct modules;
struct modules *modules_open(void);
void modules_close(struct modules *modules);
int modules_of(struct modules *modules, const char *modalias, struct texts *drivers);

enum module_state { MODULE_MISSING, MODULE_AVAILABLE, MODULE_LOADED, MODULE_BUILTIN };
enum module_state modules_state(struct modules *modules, const char *name);

/* Loads a module and what it needs. 0 or -errno; -ENOENT: there is none of that name. */
int modules_load(struct modules *modules, const char *name);

#endif
