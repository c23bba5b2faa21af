/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stands in for lib/vfio at link time: one device made of bytes, so that a test can put anything in
 * its config space and make any call fail. What the bus does to it is written down in a trace.
 */
#ifndef PCI_VFIO_H
#define PCI_VFIO_H

#include <stdint.h>

#include <pollux/vfio.h>

#define PCI_VFIO_VECTORS 8

struct pci_vfio {
	uint8_t config[4096];
	uint64_t config_size;
	uint64_t bar_size[6]; /* 0: not there */
	unsigned msix, msi;   /* vectors */

	/* Each BAR's mapped parts, by default all of it, and what is in it. */
	bool sparse;
	unsigned nareas;
	struct plx_vfio_area area[4];
	uint8_t bar[0x8000] __attribute__((aligned(8)));

	/* What each kind of call fails with; 0: it works. */
	int open_err, read_err, write_err, irq_err, reset_err;

	enum plx_addr_policy policy; /* what plx_vfio_policy() answers */

	int event_fd;
	enum plx_vfio_event event;

	/* What happened. */
	int fd[PCI_VFIO_VECTORS]; /* of each vector, or -1 */
	unsigned irq_index;
	unsigned claimed;	   /* devices open now */
	unsigned trapped;	   /* accesses to BARs that came here */
	char trace[1024];	   /* a word a call */
	struct plx_vfio_opts opts; /* of the last open */
	unsigned candidates;	   /* of the last policy */
};

extern struct pci_vfio pci_vfio;

/* A conventional function with an empty capability list and nothing to fail. */
void pci_vfio_init(void);

void pci_vfio_put16(unsigned offset, uint16_t value);
void pci_vfio_put32(unsigned offset, uint32_t value);
uint16_t pci_vfio_get16(unsigned offset);

#endif
