/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Claiming functions with descriptors that a privileged process opens for us: the broker, which
 * `plx-devbind broker` runs. We need no rights of our own.
 *
 * One connection to its UNIX socket (SOCK_SEQPACKET, so a message is a packet) is one request and
 * one reply, in host order, as both ends are on one machine. Who we are it knows from the kernel.
 *
 *      us  -> request                 name of the function, access modes that we would take
 *                                     (who gets nothing is answered without it)
 *      us  <- reply, descriptors      the function and the mode, and what it takes (SCM_RIGHTS):
 *                                         cdev            the cdev, /dev/iommu with an IOAS
 *                                         type1v2, type1  the group, /dev/vfio/vfio
 *                                         compat          the group, /dev/iommu
 */
#ifndef PLX_PCI_BROKER_H
#define PLX_PCI_BROKER_H

#include <pollux/facts.h>

#include "bus.h"

#define PCI_BROKER_VERSION 2
#define PCI_BROKER_FDS	   2

struct pci_broker_request {
	uint32_t version;
	uint32_t modes; /* 1u << enum plx_vfio_mode, or-ed */
	char name[PLX_BDF_LEN];
};

struct pci_broker_reply {
	uint32_t version;
	int32_t err;	  /* 0, or a negative errno: no descriptors came */
	uint32_t mode;	  /* enum plx_vfio_mode */
	uint32_t ioas_id; /* cdev: an empty IOAS in the iommufd */
	char name[PLX_BDF_LEN];
	char text[224]; /* why not */
};

/* Modes whose descriptors work in a process without rights. */
#define PCI_BROKER_MODES                                                       \
	(1u << PLX_VFIO_CDEV | 1u << PLX_VFIO_TYPE1V2 | 1u << PLX_VFIO_TYPE1 | \
	 1u << PLX_VFIO_COMPAT)

/*
 * Gets descriptors for a function that was named with a broker, into fn->opts, unless it has them
 * already or has no broker. 0 or -errno with one line logged.
 */
int plx_pci_broker_ask(struct plx_pci_bus *bus, struct pci_fn *fn);

/* Closes those of the function alone. A claim has its own. */
void plx_pci_broker_release(struct pci_fn *fn);

/* Closes those that functions share; all claims are gone. */
void plx_pci_broker_cleanup(struct plx_pci_bus *bus);

#endif
