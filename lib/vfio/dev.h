/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a claimed device.
 */
#ifndef PLX_VFIO_DEV_H
#define PLX_VFIO_DEV_H

#include <pthread.h>
#include <sys/types.h>

#include <linux/vfio.h>

#include <pollux/facts.h>
#include <pollux/vfio.h>

#include "ioas.h"
#include "sigbus.h"

/* Devices of more than this don't exist; the kernel's counts are cut down to it. */
#define PLX_VFIO_MAX_REGIONS 64
#define PLX_VFIO_MAX_INDEXES 32
#define PLX_VFIO_MAX_VECTORS 4096

struct plx_claim_ops;
struct plx_peer;

/*
 * What is asked of a device, in the kernel's structures: by ioctls on its file (dev_kernel.c) or by
 * messages (dev_user.c). Everything that comes back is checked by the callers. Negative errno, or
 * what VFIO's calls return. Called with the lock of the device held, but for read and write.
 */
struct plx_dev_ops {
	int (*info)(struct plx_vfio_dev *dev, struct vfio_device_info *info,
		    struct plx_refusal *why);
	/*
	 * One try, in info->argsz bytes. *fd is the file to map from: dev->fd or one to be closed.
	 */
	int (*region_info)(struct plx_vfio_dev *dev, struct vfio_region_info *info, int *fd);
	/* How much was transferred, at an offset inside the region. */
	ssize_t (*read)(struct plx_vfio_dev *dev, unsigned int region, uint64_t offset, void *buf,
			size_t len);
	ssize_t (*write)(struct plx_vfio_dev *dev, unsigned int region, uint64_t offset,
			 const void *buf, size_t len);
	int (*irq_info)(struct plx_vfio_dev *dev, struct vfio_irq_info *info);
	int (*set_irqs)(struct plx_vfio_dev *dev, struct vfio_irq_set *set);
	int (*reset)(struct plx_vfio_dev *dev);
	int (*hot_reset)(struct plx_vfio_dev *dev); /* NULL: there is no such thing */
	int (*feature)(struct plx_vfio_dev *dev, struct vfio_device_feature *feature);
	/* After the claim: fills in dev->events. Nothing there is 0, too. No lock held. */
	int (*watch)(struct plx_vfio_dev *dev);
	/* What came since the last call, without waiting. No lock held. */
	enum plx_vfio_event (*event)(struct plx_vfio_dev *dev);
};

extern const struct plx_dev_ops plx_dev_kernel_ops;
extern const struct plx_dev_ops plx_dev_user_ops;

/* The parts of the kernel's that have files of their own: reset.c, event.c. */
int plx_hot_reset(struct plx_vfio_dev *dev);
int plx_event_watch(struct plx_vfio_dev *dev);
enum plx_vfio_event plx_event_look(struct plx_vfio_dev *dev);

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
	int fd;		 /* the file to map from */
	uint64_t offset; /* in that file; of the kernel's, for reading and writing, too */
	void *va;	 /* NULL until mapped */
	size_t reserved; /* bytes at va */
};

struct plx_irq_state {
	bool known;
	struct plx_vfio_irq info;
	int *fd;	   /* info.count of them: what each vector is connected to, or -1 */
	unsigned int size; /* vectors that the kernel's set has; 0: it is off */
};

struct plx_events {
	int fd;	      /* an epoll file for the application to poll, or -1 */
	int req, err; /* eventfds of the kernel's signals, or -1 */
	bool gone;    /* the last event there is; atomic */
};

struct plx_vfio_dev {
	char name[PLX_VFIO_NAME_LEN];
	struct plx_ioas *ioas;
	enum plx_vfio_mode mode;
	const struct plx_claim_ops *claim;
	const struct plx_dev_ops *ops;
	int fd;
	struct plx_iommu *iommu;
	bool untracked;		 /* attached to an iommufd without dirty tracking */
	struct plx_group *group; /* NULL if not claimed by one */
	struct plx_user *user;	 /* NULL if it is the kernel's */
	char how[96];		 /* "group 12": for the line on what was chosen */

	unsigned int flags; /* VFIO_DEVICE_FLAGS_* */
	unsigned int num_regions, num_irqs;
	struct plx_events events;
	struct plx_sigbus_guard guard; /* of mapped regions; joined if it has a find() */

	pthread_mutex_t lock; /* the states below */
	struct plx_peer *peers;
	struct plx_region_state *region;
	struct plx_irq_state *irq;
};

/* After the claim: what there is. On failure nothing is kept. */
int plx_dev_init(struct plx_vfio_dev *dev, struct plx_refusal *why);

/* Before the claim is given up: interrupts off, BARs unmapped. */
void plx_dev_fini(struct plx_vfio_dev *dev);

void plx_peer_fini(struct plx_vfio_dev *dev); /* before the regions: nobody may reach them */
void plx_region_fini(struct plx_vfio_dev *dev);
void plx_irq_fini(struct plx_vfio_dev *dev);
void plx_event_init(struct plx_vfio_dev *dev);
void plx_event_fini(struct plx_vfio_dev *dev);

/* Memory that is mapped can't be reached: who waits for events shall look. In a signal handler. */
void plx_event_fault(struct plx_vfio_dev *dev);

#endif
