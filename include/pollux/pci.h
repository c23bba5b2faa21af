/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI bus: finding functions, matching drivers, and what a driver does with its function.
 *
 * An application makes three calls around its start-up: plx_pci_scan(), plx_pci_probe() and, at
 * the end, plx_pci_cleanup(). A driver registers itself with PLX_PCI_DRIVER() and is handed a
 * claimed function with memory decoding on and bus mastering off.
 */
#ifndef POLLUX_PCI_H
#define POLLUX_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <pollux/ioas.h>
#include <pollux/vfio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_PCI_NAME_LEN 16
#define PLX_PCI_BARS	 6
#define PLX_PCI_ANY_ID	 0xffffu

struct plx_pci_id {
	uint16_t vendor, device;       /* PLX_PCI_ANY_ID matches all */
	uint16_t subvendor, subdevice; /* likewise */
	uint32_t class_code;	       /* 24 bits: base class, sub-class, interface */
	uint32_t class_mask;	       /* bits of class_code that count; 0: none */
};

/* An id entry that matches vendor:device whatever the subsystem and class. */
#define PLX_PCI_ID(v, d)                                                   \
	{                                                                  \
		.vendor = (v), .device = (d), .subvendor = PLX_PCI_ANY_ID, \
		.subdevice = PLX_PCI_ANY_ID                                \
	}

/* An id entry that matches a class code under a mask, whoever made it. */
#define PLX_PCI_CLASS(c, m)                                                                      \
	{                                                                                        \
		.vendor = PLX_PCI_ANY_ID, .device = PLX_PCI_ANY_ID, .subvendor = PLX_PCI_ANY_ID, \
		.subdevice = PLX_PCI_ANY_ID, .class_code = (c), .class_mask = (m)                \
	}

struct plx_pci_driver;

/* A PCI function. Filled in by the scan; vfio and ioas by the claim. Read-only for drivers. */
struct plx_pci {
	char name[PLX_PCI_NAME_LEN]; /* "0000:01:00.0" */
	struct plx_pci_id id;	     /* class_mask unused */
	int node;		     /* NUMA node, or PLX_NODE_ANY */
	struct plx_vfio_dev *vfio;   /* NULL until claimed */
	struct plx_ioas *ioas;
	const struct plx_pci_driver *driver; /* NULL until a driver took it */
	void *priv;			     /* the driver's */
	const char *args; /* what the user wrote after -a NAME, less the bus's own keys; "" */
};

struct plx_pci_driver {
	const char *name;
	const struct plx_pci_id *ids; /* ended by an entry with vendor 0 */
	/* The function is claimed. 0, or -errno and nothing kept. */
	int (*probe)(struct plx_pci *pci);
	/* Stop DMA, give everything back; the bus lets go of the function afterwards. */
	void (*remove)(struct plx_pci *pci);
	struct plx_pci_driver *next; /* the bus's */
};

void plx_pci_register(struct plx_pci_driver *driver);

#define PLX_PCI_DRIVER(drv)                                                   \
	static void __attribute__((constructor)) plx_pci_register_##drv(void) \
	{                                                                     \
		plx_pci_register(&drv);                                       \
	}

/*
 * Start-up.
 */
struct plx_pci_bus;

/*
 * Reads the bus's options out of argv (they are removed, *argc shrinks; "--" ends the search) and
 * the functions out of sysfs.
 *
 *   -a, --allow NAME[,mode=MODE][,key=value...]  use only the functions named (may be repeated)
 *   -b, --block NAME                             never use this one (may be repeated; not with -a)
 *   --vfio-mode MODE[,MODE...]                   access modes allowed for every function
 *   --allow-noiommu                              unprotected DMA is accepted
 *   --vfio-vf-token UUID                         for VFs of a PF that VFIO holds
 *
 * Without -a, the functions used are those bound to vfio-pci that a driver matches. Errors: -EINVAL
 * (bad option, one line logged), -ENODEV (a function named with -a doesn't exist).
 */
int plx_pci_scan(int *argc, char **argv, struct plx_pci_bus **bus);

/* The help text of the options above. */
void plx_pci_usage(FILE *out);

/* The address policy that suits the functions in use: to be called before memory is set up. */
int plx_pci_policy(struct plx_pci_bus *bus, struct plx_policy *policy);

/*
 * Claims every function in use and hands it to its driver. Returns how many drivers took one. A
 * function named with -a that fails makes the call fail with its error (those already taken
 * stay); any other failure is logged and passed over.
 */
int plx_pci_probe(struct plx_pci_bus *bus, struct plx_ioas *ioas);

/* Removes the drivers from their functions, in reverse, lets go of them and frees the bus. */
void plx_pci_cleanup(struct plx_pci_bus *bus);

/* The functions found, used or not, in address order; index from 0; NULL after the last. */
struct plx_pci *plx_pci_at(struct plx_pci_bus *bus, unsigned index);

/*
 * For drivers: config space. Multi-byte accesses are little endian on the bus and in host order
 * here. A read that fails gives all ones, as the bus does.
 */
uint8_t plx_pci_cfg_read8(struct plx_pci *pci, unsigned offset);
uint16_t plx_pci_cfg_read16(struct plx_pci *pci, unsigned offset);
uint32_t plx_pci_cfg_read32(struct plx_pci *pci, unsigned offset);
int plx_pci_cfg_write16(struct plx_pci *pci, unsigned offset, uint16_t value);
int plx_pci_cfg_write32(struct plx_pci *pci, unsigned offset, uint32_t value);

/*
 * Offset of a capability (PCI Local Bus 3.0, 6.7) or extended capability (PCIe Base 7.9), or 0. The
 * walk is bounded: a list that loops or leaves config space ends it.
 */
unsigned plx_pci_cap(struct plx_pci *pci, uint8_t id);
unsigned plx_pci_ext_cap(struct plx_pci *pci, uint16_t id);

/* Lets the function start DMA, or stops it. Off when the driver's probe is called. */
int plx_pci_set_master(struct plx_pci *pci, bool on);

/*
 * Maps a BAR of at least min_len bytes. Mapped once; gone when the function is let go of. len may
 * be NULL. -ENODEV: no such BAR, or none that can be mapped; -EINVAL: smaller than min_len.
 */
int plx_pci_bar(struct plx_pci *pci, unsigned bar, size_t min_len, void **va, size_t *len);

/*
 * MSI-X (or MSI, if that is all there is, then count is 1): sets up vectors 0..count-1, an eventfd
 * each. Called again with more it adds vectors; those that are on keep their eventfds. -ENODEV: no
 * message-signalled interrupts; -ENOSPC: fewer vectors than count.
 */
int plx_pci_irq_enable(struct plx_pci *pci, unsigned count);
void plx_pci_irq_disable(struct plx_pci *pci);

/* The eventfd of a vector (non-blocking; owned by the bus), or -EINVAL. */
int plx_pci_irq_fd(const struct plx_pci *pci, unsigned vector);

/* Fires a vector as the device would: loop-back test of the plumbing. */
int plx_pci_irq_fire(struct plx_pci *pci, unsigned vector);

/* Resets the function and puts back memory decoding and interrupts. Bus mastering is left off. */
int plx_pci_reset(struct plx_pci *pci);

/* plx_vfio_event_fd() and plx_vfio_event() of a function; -ENODEV and NONE while it isn't claimed.
 */
int plx_pci_event_fd(const struct plx_pci *pci);
enum plx_vfio_event plx_pci_event(struct plx_pci *pci);

/*
 * Hot plug: kernel events of the PCI bus, for an application's event loop.
 */
enum plx_pci_event_type {
	PLX_PCI_ADDED,
	PLX_PCI_REMOVED,
	PLX_PCI_BOUND, /* a kernel driver took it */
	PLX_PCI_UNBOUND,
};

struct plx_pci_event {
	enum plx_pci_event_type type;
	char name[PLX_PCI_NAME_LEN];
	char driver[32]; /* BOUND and UNBOUND, where the kernel says so; else "" */
};

struct plx_pci_monitor;

int plx_pci_monitor_open(struct plx_pci_monitor **monitor);
int plx_pci_monitor_fd(const struct plx_pci_monitor *monitor); /* to poll; non-blocking */

/* 1: *event is filled in; 0: none waiting; -ENOBUFS: events were lost, scan again. */
int plx_pci_monitor_read(struct plx_pci_monitor *monitor, struct plx_pci_event *event);
void plx_pci_monitor_close(struct plx_pci_monitor *monitor);

#ifdef __cplusplus
}
#endif

#endif
