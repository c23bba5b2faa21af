/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An NVMe controller of plain memory, strict about what it is given: every address must be one that
 * the driver was told of, every PRP and SGL as the specification has it. It also stands in for the
 * PCI bus and the address space.
 *
 * It works when the test says so, fake_run(), and whenever the driver sleeps.
 */
#ifndef NVME_FAKE_H
#define NVME_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "nvme.h"

#define FAKE_QUEUES   4 /* I/O queue pairs it has doorbells for, and grants */
#define FAKE_NS_MAX   2
#define FAKE_BLOCKS   4096
#define FAKE_BIAS     UINT64_C(0x10000000000) /* device address less virtual address */
#define FAKE_LOG_MAX  64
#define FAKE_CMB      16
#define FAKE_CMB_BAR  UINT64_C(0x380000000)
#define FAKE_EVENTFDS (FAKE_QUEUES + 1)

struct fake_ns {
	bool active;
	uint8_t lbads;
	uint16_t ms; /* bytes of metadata, */
	bool extended;
	uint8_t pi;
	uint16_t noiob;
	uint64_t blocks;
	uint8_t *data, *meta; /* filled in by fake_plug() */
};

/* What it is: set between fake_init() and fake_plug(). */
struct fake_conf {
	uint16_t mqes;
	uint8_t to, dstrd, mpsmin, mpsmax;
	uint8_t mdts, aerl, acl;
	bool limits; /* it knows the page that these are on */
	uint8_t vsl, wzsl;
	uint32_t sgls;
	uint16_t oacs;
	uint16_t kas;
	uint32_t queues; /* granted */
	bool scattered;	 /* frames of buffers lie in another order for the device */
	bool torn;	 /* the second frame of a buffer lies elsewhere */
	uint32_t nn;	 /* namespaces that it says there are, all active; 0: those below */
	bool no_list;	 /* of active namespaces */
	uint32_t rtd3e;
	bool sparse;	  /* only the doorbells are mapped */
	bool served;	  /* by a process */
	unsigned vectors; /* MSI-X; 0: none */
	enum plx_addr_policy policy;
	uint32_t cmb;	/* pages of its memory for submission queues; at most FAKE_CMB */
	bool old;	/* version 1.3 */
	bool cmb_old;	/* as before version 1.4: it is where the BAR is */
	bool cmb_else;	/* there is one, but not for submission queues */
	bool cmb_picky; /* no address suits it */
	struct fake_ns ns[FAKE_NS_MAX];
};

struct fake_queue {
	uint64_t sq, cq;
	uint32_t size, head, tail; /* head: ours in the submission queue; tail: in the other */
	uint16_t phase;
	bool on, irq;
	uint16_t vector;
};

/* A command that was executed, for tests to look at. */
struct fake_seen {
	uint16_t qid;
	struct plx_nvme_cmd cmd;
	unsigned prps, sgls; /* entries that named its data */
	unsigned pages;	     /* pages of PRP list */
};

struct fake {
	struct fake_conf conf;
	uint8_t bar[0x2000] __attribute__((aligned(4096)));
	uint8_t cmb[(FAKE_CMB + 1) * 4096]
		__attribute__((aligned(4096))); /* from the 2nd page on */
	struct plx_pci pci;
	int eventfd[FAKE_EVENTFDS];
	struct fake_queue q[FAKE_QUEUES + 1];
	bool master, enabled;
	unsigned enables, disables, shutdowns, pci_resets, dmas;
	uint64_t shadow, event; /* device addresses of the doorbell buffers; 0: none */
	uint16_t aer_cid[16];
	unsigned aers; /* requests that wait */
	uint32_t events_wanted, keep_alive;
	unsigned keep_alives, limits_asked;

	struct fake_seen seen[FAKE_LOG_MAX]; /* of I/O queues; the last ones */
	unsigned nseen;

	/* Trouble. */
	bool left_on;		 /* at fake_try() */
	bool no_doorbells;	 /* none is mapped */
	int fail_dma;		 /* the nth plx_dma_alloc() from now on; 0: none */
	bool never_ready, stuck; /* not ready after enable; still ready after disable */
	bool mute;		 /* doesn't answer on the admin queue */
	bool hold;		 /* takes I/O commands and doesn't answer */
	bool ignores_abort;	 /* says so, that is */
	bool holds_abort;	 /* until fake_abort() */
	bool gone;		 /* all ones */
	unsigned fail_count;	 /* that many I/O commands are answered with */
	uint16_t fail_status;	 /* this */
	bool never_alive;	 /* doesn't answer Keep Alive */
	bool fatal;		 /* instead of getting ready */
	uint8_t fail_admin;	 /* opcode, answered with fail_admin_status; 0xff: none */
	uint8_t fail_admin_too;	 /* another one */
	uint16_t fail_admin_status;
	uint16_t held_cid[256], held_qid[256];
	unsigned held;
	struct plx_nvme_cmd held_abort[16];
	unsigned held_aborts;
};

extern struct fake fake;

/* A controller with two namespaces, 512 and 4096-byte blocks, and nothing optional. */
void fake_init(void);

/* Probes the driver on it. */
int fake_try(const char *args);
struct plx_nvme_ctrl *fake_plug(const char *args);
void fake_unplug(void);

/* Commands that could be taken now. */
unsigned fake_free(const struct plx_nvme_qpair *q);

/* Carries out what registers and doorbells ask for. */
void fake_run(void);

uint32_t fake_read(uint32_t reg);
void fake_write(uint32_t reg, uint32_t value);

/* A completion out of nothing. */
void fake_post(uint16_t qid, uint16_t cid, uint16_t status, uint32_t result);

/* Answers what was held. */
void fake_release(uint16_t status);

/* Carries out the Aborts that were held. */
void fake_abort(void);

/* An asynchronous event, if a request for it waits. */
bool fake_event(uint32_t result);

/*
 * Between the fake's files: where a device address leads, for len bytes in one piece; the page size
 * of PRPs; and commands, carried out and answered (nvme_fake_cmds.c).
 */
void *fake_reach(uint64_t dma, size_t len);
size_t fake_page_size(void);
void fake_io(uint16_t qid, const struct plx_nvme_cmd *cmd);
void fake_admin(const struct plx_nvme_cmd *cmd);

/* Memory that devices may reach, in whole 2 MiB frames; all of it goes with fake_unplug(). */
void *fake_buffer(size_t len);

#endif
