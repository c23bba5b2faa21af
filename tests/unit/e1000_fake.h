/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An 82574L of plain memory: its BAR is an array, a thread answers what bring-up polls for, and the
 * tests play its DMA engines by hand, one descriptor at a time. It stands in for the PCI bus and
 * for the address space, too.
 */
#ifndef E1000_FAKE_H
#define E1000_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include <pollux/ethdev.h>
#include <pollux/pci.h>

#include "e1000_regs.h"

#define FAKE_QUEUES 2

/* The pages of RDT and TDT. */
#define FAKE_DOORBELLS	   0x2000
#define FAKE_DOORBELLS_LEN 0x2000

struct fake {
	uint8_t bar[E1000_BAR_LEN] __attribute__((aligned(64)));
	struct plx_pci pci;
	enum plx_addr_policy policy;
	uint64_t bias; /* device address minus virtual address */
	uint16_t phy[32];
	int eventfd[4]; /* of the vectors; -1: there are no vectors */
	int event_fd;
	enum plx_vfio_event event; /* what the bus says of the slot when event_fd is rung */
	unsigned int event_asks;
	volatile bool gone;	  /* nothing answers: where accesses are trapped, reads give ones */
	bool master;		  /* the bus's view */
	unsigned int dmas;	  /* plx_dma_alloc() less plx_dma_free() */
	int fail_dma;		  /* fail the nth plx_dma_alloc() from now; 0: none */
	int fail_master;	  /* what plx_pci_set_master(true) returns */
	unsigned int rude_resets; /* resets while requests could be pending */
	uint16_t rx_head[FAKE_QUEUES], tx_head[FAKE_QUEUES];
	bool sparse;	      /* set before fake_plug(): only the doorbells are mapped */
	unsigned int trapped; /* accesses of the driver's outside what is mapped */
	bool fail_doorbell;   /* the doorbells aren't mapped either */
	volatile bool sends;  /* by itself, without looking, while the transmitter is on */
};

extern struct fake fake;

/* A device as after power-on, and a driver probed on it. The port's number is returned. */
uint16_t fake_plug(enum plx_addr_policy policy, bool vectors);
void fake_unplug(void);

/* Starts EAL without devices or hugepages, once. */
int fake_eal(void);

uint32_t fake_read(uint32_t reg);
void fake_write(uint32_t reg, uint32_t value);

/* The driver has reset the rings: the heads are at 0 again. */
void fake_rings_reset(void);

/* Lets the device see the memory of a mempool, or not any more. */
void fake_map(struct rte_mempool *pool, bool on);

/*
 * The device completes the next receive descriptor: data is copied to the buffer (if it fits the
 * buffer of bufsize bytes; a device's lies about the length are not carried out), and the
 * descriptor says length and status. False: the ring has no buffers.
 */
struct fake_rx {
	const void *data;
	uint16_t data_len;
	uint16_t length;
	uint16_t vlan;
	uint32_t status; /* less DD */
	uint32_t rss, mrq;
};
bool fake_receive(unsigned int queue, const struct fake_rx *rx);

/* The descriptor of a slot, whoever owns it. */
union e1000_rx_desc *fake_rx_desc(unsigned int queue, unsigned int slot);

/* The device sends one descriptor's worth. False: nothing to send. */
struct fake_tx {
	uint32_t cmd;
	uint32_t status;
	uint64_t word[2];
	const uint8_t *data; /* NULL: a context descriptor */
	uint16_t len;
};
bool fake_transmit(unsigned int queue, struct fake_tx *tx);

#endif
