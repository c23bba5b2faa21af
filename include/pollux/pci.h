/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI bus: finding functions, matching drivers, and what a driver does with its function.
 *
 * An application calls plx_pci_scan(), plx_pci_policy(), plx_ioas_create() and plx_pci_probe(), and
 * at the end plx_pci_cleanup() and plx_ioas_destroy(): doc/examples/read_block.c. A driver
 * registers itself with PLX_PCI_DRIVER() and is handed a claimed function with memory decoding on
 * and bus mastering off.
 */
#ifndef POLLUX_PCI_H
#define POLLUX_PCI_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <pollux/ioas.h>
#include <pollux/vfio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_PCI_NAME_LEN PLX_VFIO_NAME_LEN
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
	char name[PLX_PCI_NAME_LEN]; /* "0000:01:00.0", "user:/run/nic" */
	struct plx_pci_id id;	     /* class_mask unused; of "user:" not known until claimed */
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
	/* Those of -a NAME,key=value that it reads; NULL: none. The bus refuses all others. */
	const char *const *keys;     /* ended by NULL */
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
 *   -a, --allow NAME[,mode=MODE][,key=value...]  use only the functions named (may be repeated);
 *                                                user:PATH is one that a process serves there,
 *                                                broker:PATH,NAME one that a process opens for us
 *   -b, --block NAME                             never use this one (may be repeated; not with -a)
 *   --vfio-mode MODE[,MODE...]                   access modes allowed for every function
 *   --allow-noiommu                              unprotected DMA is accepted
 *   --iova va|alloc                              see plx_pci_policy()
 *   --vfio-vf-token UUID                         for VFs of a PF that VFIO holds
 *
 * Without -a, the functions used are those that VFIO holds and that a driver matches. Errors:
 * -EINVAL (bad option or key, one line logged), -ENODEV (a function named with -a doesn't exist).
 */
int plx_pci_scan(int *argc, char **argv, struct plx_pci_bus **bus);

/* The help text of the options above. */
void plx_pci_usage(FILE *out);

/*
 * The address policy that suits the functions in use, or that --iova says: to be called before
 * memory is set up. -EINVAL: one of them takes physical addresses, which --iova contradicts
 * (logged).
 */
int plx_pci_policy(struct plx_pci_bus *bus, struct plx_policy *policy);

/*
 * Claims every function in use and hands it to its driver. Returns how many drivers took one. A
 * function named with -a that fails makes the call fail with its error (those already taken
 * stay); any other failure is logged and passed over.
 */
int plx_pci_probe(struct plx_pci_bus *bus, struct plx_ioas *ioas);

/*
 * Takes the driver from a function and lets go of it, BARs unmapped before it is closed: what is to
 * be done, and soon, when plx_pci_event() says that the device is wanted back or gone. Nothing if
 * no driver has it.
 */
void plx_pci_detach(struct plx_pci *pci);

/*
 * Looks at one function again, by its full name, claims it and hands it to its driver: one that was
 * let go of and is back, or one plugged in after the scan ("user:" only if the command line named
 * it). Not before plx_pci_probe(). -ENODEV: not there, or no driver for it; -EBUSY: a driver has
 * it; else as plx_vfio_open() and the driver say. Logged.
 */
int plx_pci_attach(struct plx_pci_bus *bus, const char *name);

/* Removes the drivers from their functions, in reverse, lets go of them and frees the bus. */
void plx_pci_cleanup(struct plx_pci_bus *bus);

/*
 * The functions found, used or not, in address order, then those that processes serve as they were
 * named; index from 0; NULL after the last.
 */
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
 * A BAR. A card's can be mapped whole (but for the pages of its MSI-X table), a software device's
 * only where it has registers that do nothing but be written. Registers in mapped parts are
 * accessed directly, the others by asking the device: drivers need not know which is which.
 */
struct plx_pci_bar {
	uint8_t *va;	 /* of offset 0; NULL: nothing is mapped. Touch mapped parts only */
	uint64_t first;	 /* where the largest mapped part begins */
	uint64_t window; /* its bytes */
	uint64_t size;
	struct plx_pci *pci;
	unsigned index;
	struct plx_vfio_region region;
};

/*
 * Makes a BAR of at least min_len bytes accessible, until the function is let go of. May be called
 * again. -ENODEV: no such BAR; -EINVAL: smaller than min_len.
 */
int plx_pci_bar(struct plx_pci *pci, unsigned index, size_t min_len, struct plx_pci_bar *bar);

/* What accessing a register comes to outside the window. len is 4 or 8. */
uint64_t plx_pci_bar_read(const struct plx_pci_bar *bar, uint64_t offset, size_t len);
void plx_pci_bar_write(const struct plx_pci_bar *bar, uint64_t offset, uint64_t value, size_t len);

/* Orders a register's access with the memory that devices see: after a read, before a write. */
#if defined(__aarch64__)
#define plx_pci_rmb() __asm__ volatile("dmb oshld" ::: "memory")
#define plx_pci_wmb() __asm__ volatile("dmb oshst" ::: "memory")
#elif defined(__x86_64__) || defined(__i386__)
#define plx_pci_rmb() __asm__ volatile("" ::: "memory")
#define plx_pci_wmb() __asm__ volatile("" ::: "memory")
#else
#define plx_pci_rmb() __sync_synchronize()
#define plx_pci_wmb() __sync_synchronize()
#endif

/*
 * Registers, naturally aligned; little endian on the bus and in host order here. A read that fails
 * gives all ones, as the bus does; a write that fails is lost.
 */
static inline uint32_t plx_pci_read32(const struct plx_pci_bar *bar, uint64_t offset)
{
	uint32_t value;

	if (__builtin_expect(offset - bar->first < bar->window, 1))
		value = *(volatile uint32_t *)(bar->va + offset);
	else
		value = plx_pci_bar_read(bar, offset, sizeof(value));
	plx_pci_rmb();
	return le32toh(value);
}

static inline uint64_t plx_pci_read64(const struct plx_pci_bar *bar, uint64_t offset)
{
	uint64_t value;

	if (__builtin_expect(offset - bar->first < bar->window, 1))
		value = *(volatile uint64_t *)(bar->va + offset);
	else
		value = plx_pci_bar_read(bar, offset, sizeof(value));
	plx_pci_rmb();
	return le64toh(value);
}

static inline void plx_pci_write32(const struct plx_pci_bar *bar, uint64_t offset, uint32_t value)
{
	value = htole32(value);
	plx_pci_wmb();
	if (__builtin_expect(offset - bar->first < bar->window, 1))
		*(volatile uint32_t *)(bar->va + offset) = value;
	else
		plx_pci_bar_write(bar, offset, value, sizeof(value));
}

static inline void plx_pci_write64(const struct plx_pci_bar *bar, uint64_t offset, uint64_t value)
{
	value = htole64(value);
	plx_pci_wmb();
	if (__builtin_expect(offset - bar->first < bar->window, 1))
		*(volatile uint64_t *)(bar->va + offset) = value;
	else
		plx_pci_bar_write(bar, offset, value, sizeof(value));
}

/*
 * The address of a register of 4 bytes that hot loops write. -ENODEV: it isn't in a mapped part
 * (logged); -EINVAL: no such register.
 */
int plx_pci_doorbell(const struct plx_pci_bar *bar, uint64_t offset, volatile void **reg);

/*
 * Whether the function is a process's ("user:PATH"). Its mapped registers are memory that the
 * process polls: what a driver can do to write them less often gains nothing.
 */
bool plx_pci_served(const struct plx_pci *pci);

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

/*
 * plx_vfio_event_fd() and plx_vfio_event() of a function; -ENODEV and NONE while it isn't claimed.
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
