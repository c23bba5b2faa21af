/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Claiming a device and using it: regions, interrupts, reset, features.
 *
 * An access mode is a way to claim a device (its cdev, or its group) together with the IOMMU
 * context that it joins. plx_vfio_open() tries the modes in order of preference, for each device
 * on its own, keeps a refusal for each one not taken, and logs one line on what was chosen and why.
 */
#ifndef POLLUX_VFIO_H
#define POLLUX_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pollux/ioas.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A device is named by its PCI address, "dddd:bb:dd.f", or by the vfio-user socket of the process
 * that serves it, "user:PATH". Names end within this many bytes, as do paths of sockets.
 */
#define PLX_VFIO_NAME_LEN 113

/*
 * In order of preference. A name of one kind leaves no choice but USER, one of the other all else.
 */
enum plx_vfio_mode {
	PLX_VFIO_CDEV,	       /* device cdev + iommufd */
	PLX_VFIO_TYPE1V2,      /* group + container, type1 v2 */
	PLX_VFIO_TYPE1,	       /* group + container, type1 v1 */
	PLX_VFIO_COMPAT,       /* group + /dev/iommu as a container */
	PLX_VFIO_NOIOMMU_CDEV, /* device cdev + iommufd that doesn't translate
				  (IOMMU_IOAS_NOIOMMU_GET_PA) */
	PLX_VFIO_NOIOMMU,      /* no-IOMMU group */
	PLX_VFIO_USER,	       /* served by a process, over a vfio-user socket */
	PLX_VFIO_MODES,
};

#define PLX_VFIO_ALL_MODES ((1u << PLX_VFIO_MODES) - 1)

const char *plx_vfio_mode_name(enum plx_vfio_mode mode);

/* -EINVAL if name is no access mode. */
int plx_vfio_mode_parse(const char *name, enum plx_vfio_mode *mode);

/* Whether devices in this mode use physical addresses, unprotected. */
bool plx_vfio_mode_unsafe(enum plx_vfio_mode mode);

/* How a device may be claimed. Start from PLX_VFIO_OPTS_INIT. */
struct plx_vfio_opts {
	unsigned modes;	      /* 1u << enum plx_vfio_mode, or-ed */
	bool allow_noiommu;   /* the user accepts that the device can reach all of memory */
	const char *vf_token; /* UUID, for a VF whose PF is held by VFIO; or NULL */

	/*
	 * Descriptors handed in by the caller, or -1. They are duplicated: the caller's stay its
	 * own. A cdev can be bound once in its life: to claim the device again, open its cdev
	 * again.
	 */
	int cdev_fd;	  /* /dev/vfio/devices/vfioN, not bound */
	int iommufd;	  /* /dev/iommu */
	int container_fd; /* /dev/vfio/vfio */
	int group_fd;	  /* /dev/vfio/N, in no container */

	/*
	 * An IOAS in that iommufd, for the cdev access modes; 0: one is made. It stays the
	 * caller's, with what the caller mapped in it: what the address space mapped there goes
	 * when the last device leaves it.
	 */
	unsigned ioas_id;
};

#define PLX_VFIO_OPTS_INIT                                                                     \
	{                                                                                      \
		.modes = PLX_VFIO_ALL_MODES, .cdev_fd = -1, .iommufd = -1, .container_fd = -1, \
		.group_fd = -1,                                                                \
	}

/* Why each access mode was not taken: one a mode, indexed by enum plx_vfio_mode. */
struct plx_refusals {
	struct plx_refusal mode[PLX_VFIO_MODES];
};

/*
 * Foretells, without claiming anything, which mode plx_vfio_open() would take and why not the
 * better ones. Returns 0 with *mode, or -ENODEV/-EACCES/... when none would
 * do. refusals may be NULL.
 */
int plx_vfio_foresee(const char *name, const struct plx_vfio_opts *opts, enum plx_vfio_mode *mode,
		     struct plx_refusals *refusals);

/* A device that is going to be claimed, for plx_vfio_policy(). */
struct plx_vfio_candidate {
	const char *name;
	const struct plx_vfio_opts *opts;
};

/*
 * The address policy that suits all the candidates: PA as soon as one will be unprotected, ALLOC
 * when an IOMMU's address width can't hold our virtual addresses, VA otherwise (and for none).
 */
int plx_vfio_policy(const struct plx_vfio_candidate *devs, size_t count, struct plx_policy *policy);

/*
 * Makes an IOAS in an iommufd, to be handed in with it. It goes with the file. 0, or the kernel's
 * -errno.
 */
int plx_iommufd_make_ioas(int iommufd, unsigned *ioas_id);

struct plx_vfio_dev;

/*
 * Claims a device into an address space. Errors: the most telling refusal's errno; all of them are
 * in *refusals (may be NULL), and the sum of it is logged.
 */
int plx_vfio_open(struct plx_ioas *ioas, const char *name, const struct plx_vfio_opts *opts,
		  struct plx_vfio_dev **dev, struct plx_refusals *refusals);

/* Unmaps its regions, takes down its interrupts, lets go of it. NULL is fine. */
void plx_vfio_close(struct plx_vfio_dev *dev);

const char *plx_vfio_name(const struct plx_vfio_dev *dev); /* as it was opened by */
enum plx_vfio_mode plx_vfio_dev_mode(const struct plx_vfio_dev *dev);
struct plx_ioas *plx_vfio_dev_ioas(const struct plx_vfio_dev *dev);
unsigned plx_vfio_num_regions(const struct plx_vfio_dev *dev);
unsigned plx_vfio_num_irqs(const struct plx_vfio_dev *dev);

/*
 * Regions, by their VFIO index (VFIO_PCI_BAR0_REGION_INDEX and so on).
 */
#define PLX_VFIO_MAX_AREAS 16

struct plx_vfio_area {
	uint64_t offset; /* in the region */
	uint64_t size;
};

struct plx_vfio_region {
	uint64_t size; /* 0: not there */
	bool readable, writable;
	bool msix_mappable; /* the pages of the MSI-X table may be mapped too */
	unsigned nareas;    /* what can be mmapped; 0: only read and write */
	struct plx_vfio_area area[PLX_VFIO_MAX_AREAS];
};

int plx_vfio_region(struct plx_vfio_dev *dev, unsigned index, struct plx_vfio_region *region);

/* Whole access or an error: -EINVAL outside the region, -EIO when the device is gone. */
int plx_vfio_read(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, void *buf, size_t len);
int plx_vfio_write(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, const void *buf,
		   size_t len);

/*
 * Maps a region: its whole size is reserved in one run of virtual memory and every mappable area
 * is placed in it; touching a hole faults. -ENODEV when nothing in it can be mapped. Mapped once:
 * a second call returns the same address. Gone at close.
 *
 * Where the device's memory can't be reached when it is touched (decoding was turned off, a process
 * made its file shorter), that page reads as ones from then on, as a bus with nobody there does,
 * and the event is PLX_VFIO_EVENT_GONE. It takes a handler for SIGBUS, which is put in place with
 * the first mapping of the program and hands on what isn't about it.
 */
int plx_vfio_mmap(struct plx_vfio_dev *dev, unsigned index, void **va, size_t *len);

/*
 * Peer to peer: lets the devices of the address space reach a part of a region by DMA, at dma->dma.
 * Whole pages of one of its areas; the region is mapped, too, and dma->va is where. It is taken
 * back at close at the latest. The device's memory decoding has to be on. A reset of the device, or
 * turning its memory decoding off, ends it for iommufd: unmap it and map it again.
 *
 * Errors, with the reason in *why or, if that is NULL, logged: -EINVAL (not such pages),
 * -EOPNOTSUPP (an iommufd without dma-bufs of BARs, which are of Linux 6.19; devices without an
 * IOMMU), -EFAULT (a type 1 container, with memory decoding off), -EEXIST, and as plx_vfio_region()
 * and plx_vfio_mmap().
 */
int plx_vfio_peer_map(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, size_t len,
		      struct plx_dma *dma, struct plx_refusal *why);

/* -ENOENT: not what plx_vfio_peer_map() gave. Zeroes *dma. */
int plx_vfio_peer_unmap(struct plx_vfio_dev *dev, struct plx_dma *dma);

/*
 * Interrupts, by their VFIO index (VFIO_PCI_MSIX_IRQ_INDEX and so on).
 */
struct plx_vfio_irq {
	unsigned count; /* 0: the device has none of this kind */
	bool eventfd, maskable, automasked;
	bool noresize; /* to grow a set that is on, it must be turned off first */
};

int plx_vfio_irq(struct plx_vfio_dev *dev, unsigned index, struct plx_vfio_irq *irq);

/*
 * Connects vectors start..start+count-1 to eventfds (-1 disconnects one). The rest of the set keeps
 * what it had: where the kernel can't grow a set (noresize) it is taken down and set again.
 */
int plx_vfio_irq_set(struct plx_vfio_dev *dev, unsigned index, unsigned start, unsigned count,
		     const int *eventfds);

int plx_vfio_irq_off(struct plx_vfio_dev *dev, unsigned index);	 /* all of one kind */
int plx_vfio_irq_mask(struct plx_vfio_dev *dev, unsigned index); /* INTx */
int plx_vfio_irq_unmask(struct plx_vfio_dev *dev, unsigned index);
int plx_vfio_irq_fire(struct plx_vfio_dev *dev, unsigned index,
		      unsigned vector); /* loop-back test */

/*
 * Events: a device can be asked back, fail or vanish under a program that uses it. The descriptor
 * is readable when there is something to be told; it belongs to the device. -ENODEV: this device
 * never tells.
 *
 * The kernel's ERR and REQ interrupts are connected at the claim for this: who connects them
 * elsewhere takes the events away from here.
 */
enum plx_vfio_event {
	PLX_VFIO_EVENT_NONE,
	PLX_VFIO_EVENT_REQUESTED, /* the kernel wants it back, and waits until it is closed */
	PLX_VFIO_EVENT_ERROR,	  /* an uncorrectable bus error */
	PLX_VFIO_EVENT_GONE,	  /* pulled out, its memory out of reach, its process away */
};

int plx_vfio_event_fd(const struct plx_vfio_dev *dev);

/*
 * What it was; never waits. Each event is told once, but for GONE, which is for good: close the
 * device. Any thread may ask.
 */
enum plx_vfio_event plx_vfio_event(struct plx_vfio_dev *dev);

/*
 * Reset. Both restore nothing: memory decoding, bus mastering and interrupts must be set up again
 * (the interrupt sets known to the device are put back by plx_vfio_irq_restore()).
 * -EOPNOTSUPP: the function can't be reset alone; try the hot reset, which takes everything on its
 * bus or slot with it and works only if all of that is claimed into the same address space.
 */
int plx_vfio_reset(struct plx_vfio_dev *dev);
int plx_vfio_hot_reset(struct plx_vfio_dev *dev);
int plx_vfio_irq_restore(struct plx_vfio_dev *dev);

/*
 * Device features (VFIO_DEVICE_FEATURE_*). op is VFIO_DEVICE_FEATURE_GET or _SET, or both.
 * Whether the device offers it: 1, 0, or -errno.
 */
int plx_vfio_feature_probe(struct plx_vfio_dev *dev, unsigned feature, unsigned op);
int plx_vfio_feature(struct plx_vfio_dev *dev, unsigned feature, unsigned op, void *data,
		     size_t len);

#ifdef __cplusplus
}
#endif

#endif
