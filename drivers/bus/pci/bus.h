/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the PCI bus.
 *
 *      plx_pci_bus ---- pci_options (what the user said: args.c)
 *         |
 *         +-- pci_fn, pci_fn, ... in address order (scan.c)
 *               |
 *               +-- plx_pci   what drivers see of it
 *               +-- irq, ...  what the bus keeps for itself while it is claimed (probe.c, irq.c)
 */
#ifndef PLX_PCI_BUS_H
#define PLX_PCI_BUS_H

#include <sys/queue.h>

#include <pollux/pci.h>

#define PCI_DEVICES  "/sys/bus/pci/devices"
#define PCI_UUID_LEN 36

/*
 * Addresses. A name is written dddd:bb:dd.f; domains beyond 16 bits exist (behind Intel VMD) and
 * have more digits. As a number, addresses sort as they read.
 */

/* The address that text is, or -EINVAL; the domain may be left out if short_form, and is 0 then. */
int plx_pci_addr_parse(const char *text, bool short_form, uint64_t *addr);
void plx_pci_addr_name(uint64_t addr, char name[PLX_PCI_NAME_LEN]);

/* Behind all addresses: what a function of a process's counts as. */
#define PCI_ADDR_USER UINT64_MAX

/* Whether a name is "user:PATH". */
bool plx_pci_is_user(const char *name);

/* A function that the user named, and what was said about it. */
struct pci_named {
	TAILQ_ENTRY(pci_named) link;
	char name[PLX_PCI_NAME_LEN];
	char broker[PLX_VFIO_NAME_LEN]; /* socket of who opens it for us; "": we do */
	uint64_t addr;
	unsigned modes; /* 0: not said */
	char args[];	/* the driver's keys */
};

TAILQ_HEAD(pci_named_list, pci_named);

struct pci_options {
	struct pci_named_list allow, block;
	unsigned modes;
	bool allow_noiommu;
	bool addr_said; /* --iova */
	enum plx_addr_policy addr;
	char vf_token[PCI_UUID_LEN + 1]; /* "": none */
};

void plx_pci_options_init(struct pci_options *options);

/* Takes the bus's options out of argv. 0, or -EINVAL and -ENOMEM with one line logged. */
int plx_pci_options_parse(struct pci_options *options, int *argc, char **argv);
void plx_pci_options_free(struct pci_options *options);
struct pci_named *plx_pci_named_find(const struct pci_named_list *list, const char *name);

struct pci_fn {
	struct plx_pci pci; /* first: drivers hold a pointer to it */
	TAILQ_ENTRY(pci_fn) link;
	uint64_t addr;
	bool named;  /* with -a */
	bool in_use; /* to be claimed */
	struct plx_vfio_opts opts;
	const char *broker; /* NULL: none; otherwise opts has descriptors for a while */

	unsigned irq_index; /* VFIO's, of the kind that is on */
	unsigned irq_count; /* vectors that are on */
	int *irq_fd;
};

TAILQ_HEAD(pci_fn_list, pci_fn);

struct plx_pci_bus {
	struct pci_options options;
	struct pci_fn_list fns;
	struct plx_ioas *ioas;	   /* that functions are claimed into; NULL until the probe */
	int iommufd, container_fd; /* a broker's, or -1 */
	unsigned ioas_id;	   /* in that iommufd; 0: none */
};

static inline struct pci_fn *pci_fn(struct plx_pci *pci)
{
	return (struct pci_fn *)pci;
}

/* The first driver registered that takes the function, or NULL. */
const struct plx_pci_driver *plx_pci_match(const struct plx_pci *pci);

/* The function of that name among those found, or NULL. */
struct pci_fn *plx_pci_find(const struct plx_pci_bus *bus, const char *name);

/*
 * Looks at a function in sysfs: it is added to those found, or what it is is brought up to date.
 * One that isn't there, or can't be read whole, is passed over. -ENOMEM, -EMFILE, -ENFILE.
 */
int plx_pci_scan_function(struct plx_pci_bus *bus, const char *name);

/*
 * Whether the driver, or if it is NULL any driver, reads every key in pci->args. -EINVAL, with one
 * line logged: it doesn't.
 */
int plx_pci_check_keys(const struct plx_pci *pci, const struct plx_pci_driver *driver);

/* Turns memory decoding and bus mastering on or off. */
int plx_pci_set_command(struct plx_pci *pci, bool memory, bool master);

/*
 * One kernel uevent ("add@/devices/...", then KEY=VALUE strings, each with its NUL). 1: *event is
 * filled in; 0: not about a PCI function coming or going, or not well-formed.
 */
int plx_pci_monitor_parse(const char *msg, size_t len, struct plx_pci_event *event);

#endif
