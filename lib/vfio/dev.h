/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a claimed device.
 */
#ifndef PLX_VFIO_DEV_H
#define PLX_VFIO_DEV_H

#include <pthread.h>
#include <sys/types.h>

#include <pollux/vfio.h>

#include "facts.h"
#include "ioas.h"

/* Devices of more than this don't exist; the kernel's counts are cut down to it. */
#define PLX_VFIO_MAX_REGIONS 64
#define PLX_VFIO_MAX_INDEXES 32
#define PLX_VFIO_MAX_VECTORS 4096

struct plx_claim_ops;

/* A group file: one an address space, shared by the devices in the group. */
struct plx_group {
	struct plx_group *next;
	int id; /* -1: not known, never shared */
	int fd;
	unsigned int devices;
	struct plx_iommu *iommu; /* whose container it is in */
};

struct plx_region_state {
	bool known;
	struct plx_vfio_region info;
	uint64_t offset; /* in the device file */
	void *va;	 /* NULL until mapped */
	size_t reserved; /* bytes at va */
};

struct plx_irq_state {
	bool known;
	struct plx_vfio_irq info;
	int *fd;	   /* info.count of them: what each vector is connected to, or -1 */
	unsigned int size; /* vectors that the kernel's set has; 0: it is off */
};

struct plx_vfio_dev {
	char name[PLX_BDF_LEN];
	struct plx_ioas *ioas;
	enum plx_vfio_mode mode;
	const struct plx_claim_ops *claim;
	int fd;
	struct plx_iommu *iommu;
	struct plx_group *group; /* NULL if claimed by cdev */
	char how[96];		 /* "group 12": for the line on what was chosen */

	unsigned int flags; /* VFIO_DEVICE_FLAGS_* */
	unsigned int num_regions, num_irqs;

	pthread_mutex_t lock; /* the states below */
	struct plx_region_state *region;
	struct plx_irq_state *irq;
};

/* After the claim: what there is. On failure nothing is kept. */
int plx_dev_init(struct plx_vfio_dev *dev, struct plx_refusal *why);

/* Before the claim is given up: interrupts off, BARs unmapped. */
void plx_dev_fini(struct plx_vfio_dev *dev);

void plx_region_fini(struct plx_vfio_dev *dev);
void plx_irq_fini(struct plx_vfio_dev *dev);

#endif
