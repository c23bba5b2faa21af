/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOMMU contexts: what enforces an I/O address space for some devices.
 *
 * Two kinds of numbers must not be mixed up: a *device address* is what a driver writes into a
 * descriptor, a *key* is what a context's map call takes. A context that translates is given the
 * device address as its key. One that doesn't is given the virtual address; the device address is
 * physical there, and comes from ops->phys().
 */
#ifndef PLX_VFIO_IOMMU_H
#define PLX_VFIO_IOMMU_H

#include <errno.h>

#include <pollux/vfio.h>

#include "iova.h"
#include "sys.h"

struct plx_iommu;
struct plx_ioas;

/* A run of memory that a context is to map under one key. */
struct plx_iommu_map {
	uint64_t key;
	uint64_t va, len;
	size_t page_size;
	int fd;	  /* shared mapping of this file at va, or negative */
	bool bar; /* memory of a device, and fd its dma-buf or why there is none: -errno */
	uint64_t fd_offset;
	unsigned int access;	     /* PLX_DMA_* */
	const struct plx_ioas *ioas; /* all that is to be mapped in the context with this */
	/* A context of the same kind and file that has the very same map, or NULL. */
	const struct plx_iommu *source;
};

/* Whose memlock limit mapping counts against. */
enum plx_pins {
	PLX_PINS_NOTHING,
	PLX_PINS_PROCESS, /* this process's locked memory */
	PLX_PINS_USER,	  /* its user's, whatever the process */
};

struct plx_iommu_ops {
	const char *name;
	bool translates;
	enum plx_pins pins;
	/* 0, or -errno with the reason in *why. */
	int (*map)(struct plx_iommu *iommu, const struct plx_iommu_map *map,
		   struct plx_refusal *why);
	/* Takes back one map, whole. Less or more than that is -EIO. */
	int (*unmap)(struct plx_iommu *iommu, uint64_t key, uint64_t len);
	/*
	 * Takes back all at once, and tells how many bytes that was. NULL, or an error: they are
	 * taken back one by one.
	 */
	int (*unmap_all)(struct plx_iommu *iommu, uint64_t *len);
	/* Turns dirty tracking on, or off. NULL: it can't do that. */
	int (*track)(struct plx_iommu *iommu, bool on);
	/*
	 * Sets in the zeroed bitmap, a bit a page, what was written to in one map. Bits that are
	 * set count even on an error: the kernel tells them once.
	 */
	int (*dirty)(struct plx_iommu *iommu, uint64_t key, uint64_t len, uint64_t page,
		     uint64_t *bitmap);
	/* Adds the keys that can be mapped to an empty list. Only if it translates. */
	int (*ranges)(struct plx_iommu *iommu, struct plx_ranges *ranges);
	/*
	 * Physical address of va, in a map, and the bytes that are contiguous from there. Only if
	 * it doesn't translate. -EPERM: can't tell.
	 */
	int (*phys)(struct plx_iommu *iommu, uint64_t va, uint64_t len, size_t page_size,
		    uint64_t *phys, uint64_t *run);
	/* Frees it with all its maps. */
	void (*destroy)(struct plx_iommu *iommu);
};

struct plx_iommu {
	const struct plx_iommu_ops *ops;
	struct plx_iommu *next;
	enum plx_vfio_mode mode;
	unsigned int devices;	  /* 0: not part of the address space yet */
	struct plx_ranges ranges; /* as read after the last attach */
	uint64_t mapped;	  /* bytes */
	uint32_t maps, limit;	  /* how many, and how many it takes; 0: no limit is known */
	const char *peer;	  /* what messages call it, if not by its kind; or NULL */
	int fd;			  /* container or iommufd */
	int given;		  /* the caller's number for what it is in, or -1 if it's ours */
};

/* iommufd counts pins for the user, also where it stands in for a container. */
static inline enum plx_pins plx_iommu_pins(const struct plx_iommu *iommu)
{
	return iommu->mode == PLX_VFIO_COMPAT ? PLX_PINS_USER : iommu->ops->pins;
}

/* A negative errno, or what the call returned. */
static inline int plx_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = plx_sys->ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static inline int plx_ioctl_int(int fd, unsigned long request, unsigned long arg)
{
	return plx_ioctl(fd, request, (void *)(uintptr_t)arg);
}

/* How many more maps a context takes; UINT64_MAX: no end is known. */
uint64_t plx_iommu_room(const struct plx_iommu *iommu);

/* Whether it takes this many more: 0, or -ENOSPC with the reason in *why. */
int plx_iommu_has_room(const struct plx_iommu *iommu, uint64_t maps, struct plx_refusal *why);

/* A reason for a map that failed with err, common to all contexts: limits with their numbers. */
int plx_refuse_map(struct plx_refusal *why, const struct plx_iommu *iommu,
		   const struct plx_iommu_map *map, int err);

/*
 * iommufd: one file, shared by the address space's IOASes, each a context.
 */
struct plx_iommufd;

int plx_iommufd_get(struct plx_iommufd **list, int given, struct plx_iommufd **file,
		    struct plx_refusal *why);
void plx_iommufd_put(struct plx_iommufd **list, struct plx_iommufd *file);
int plx_iommufd_fd(const struct plx_iommufd *file);

/* A new IOAS or, if ioas_id isn't 0, the caller's. Takes a reference of its own on file. */
int plx_iommufd_create(struct plx_iommufd **list, struct plx_iommufd *file, enum plx_vfio_mode mode,
		       unsigned int ioas_id, struct plx_iommu **iommu, struct plx_refusal *why);
bool plx_iommufd_is_of(const struct plx_iommu *iommu, const struct plx_iommufd *file);
unsigned int plx_iommufd_ioas(const struct plx_iommu *iommu);

/*
 * Attaches a device that is bound to the file as devid; for dirty tracking, through a page table
 * that has it where its IOMMU does. *untracked: it is attached without one, and to be named so when
 * it is detached.
 */
int plx_iommufd_attach(struct plx_iommu *iommu, int dev_fd, uint32_t devid, bool track_dirty,
		       bool *untracked);
void plx_iommufd_detach(struct plx_iommu *iommu, int dev_fd, bool untracked);

/*
 * Containers: type1 v2 and v1, the iommufd compatibility container, and no-IOMMU.
 */
int plx_container_create(enum plx_vfio_mode mode, int given, struct plx_iommu **iommu,
			 struct plx_refusal *why);

/* Puts a group in; the first one also fixes the IOMMU type. */
int plx_container_add(struct plx_iommu *iommu, int group_fd, bool first);

/* Whether the IOMMU type is fixed: by groups of the caller's, if no group of ours is in it. */
bool plx_container_has_type(const struct plx_iommu *iommu);

/* Whether iommufd serves the container, whatever its node is called. */
bool plx_container_is_iommufd(const struct plx_iommu *iommu);

extern const struct plx_iommu_ops plx_type1_ops;
extern const struct plx_iommu_ops plx_noiommu_ops;

#endif
