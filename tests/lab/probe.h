/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab-probe: claims one device in one access mode and tries everything that lib/vfio and the PCI
 * bus promise about it. Each check prints one line; the first that fails ends the run.
 */
#ifndef LAB_PROBE_H
#define LAB_PROBE_H

#include <stdbool.h>

#include <pollux/log.h>
#include <pollux/mem.h>
#include <pollux/pci.h>

/* What the checks work with, while the device is claimed. */
struct probe {
	struct plx_pci *pci;
	struct plx_ioas *ioas;
	bool unsafe;		 /* device addresses are physical */
	struct plx_arena *early; /* hugepages, mapped before the device was claimed */
	struct plx_arena *late;	 /* hugepages, mapped after it */
};

/* Exit codes, as the lab's matrix reads them. */
enum {
	PROBE_PASS = 0,
	PROBE_FAIL = 1,
	PROBE_REFUSED = 3,
	PROBE_SKIP = 77,
};

/* One line: "ok   WHAT". */
void probe_ok(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line: "skip WHAT". */
void probe_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Records why the run fails. Returns PROBE_FAIL. */
int probe_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

extern char probe_why[1024];	    /* the run fails */
extern char probe_last_error[1024]; /* logged by a library */

/* For plx_log_set_sink(): prints each line. */
void probe_log(void *ctx, enum plx_log_level level, const char *line);

int probe_config(struct probe *probe); /* probe_device.c */
int probe_regions(struct probe *probe);
int probe_bars(struct probe *probe);
int probe_interrupts(struct probe *probe);
int probe_reset(struct probe *probe);
int probe_memory(struct probe *probe);	   /* probe_memory.c */
int probe_dma_nvme(struct probe *probe);   /* probe_nvme.c */
int probe_dma_e1000e(struct probe *probe); /* probe_e1000e.c */

/*
 * An NVMe controller that does nothing but Identify (probe_nvme.c): 4 KiB by DMA to any address,
 * which begin with its PCI vendor. Its queues are of plx_dma_alloc(), but for the submission queue
 * if there is one already.
 */
#define PROBE_IDENTIFY_LEN 4096

struct probe_nvme {
	struct plx_pci *pci;
	struct plx_ioas *ioas;
	volatile uint8_t *regs;
	unsigned stride;
	unsigned timeout_ms;
	struct plx_dma sq, cq;
	bool own_sq;
	unsigned next; /* entry of both queues; a run doesn't get around */
	bool stuck;    /* a command didn't end: what comes next proves nothing */
};

int probe_nvme_on(struct probe_nvme *nvme, struct plx_pci *pci, struct plx_ioas *ioas);
int probe_nvme_identify(struct probe_nvme *nvme, uint64_t dma);
int probe_nvme_off(struct probe_nvme *nvme);

#endif
