/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the fake kernel. A descriptor refers to a file; a file is held by its descriptors, by the
 * memory mapped from it and by other files (a device file holds its group, as in the kernel), and
 * is released with its last holder.
 *
 *      fake_sys.c      the seam: descriptors, memory, allocations, counting
 *      fake_fs.c       paths: sysfs, /dev, /proc
 *      fake_type1.c    containers, groups, type1
 *      fake_iommufd.c  iommufd and its IOASes
 *      fake_compat.c   iommufd as a container
 *      fake_device.c   cdevs, device files: regions, interrupts, reset, features
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <errno.h>

#include "fake_abi.h"
#include "fake_vfio.h"

#define FAKE_PAGE 4096u

enum fake_file_kind {
	FAKE_FILE_TEXT,
	FAKE_FILE_DIR,
	FAKE_FILE_CONTAINER,
	FAKE_FILE_GROUP,
	FAKE_FILE_IOMMUFD,
	FAKE_FILE_DEVICE,
	FAKE_FILE_DMABUF,
};

struct fake_group {
	int number;
	bool noiommu;
	bool opened;
	int cdevs; /* devices bound through their cdev */
	struct fake_container *container;
	struct fake_file *iommufd; /* instead of a container */
	int users;		   /* device files */
};

struct fake_container {
	int type; /* 0: not set */
	bool noiommu;
	bool tracking; /* dirty pages */
	int ngroups;
	size_t entries; /* limit of maps, as it was when the type was set */
	struct fake_maps maps;
	int refs;
};

struct fake_ioas {
	uint32_t id;
	struct fake_maps maps;
	int attached; /* devices with an IOMMU */
	int noiommu;  /* devices without */
	bool small;   /* large pages off: any page can be unmapped */
	bool pinned;  /* its maps are accounted */
};

#define FAKE_IOASES 8
#define FAKE_HWPTS  8

/* A page table of an IOAS that was asked for by itself, as a rule to track dirty pages. */
struct fake_hwpt {
	uint32_t id, ioas;
	int attached;
	uint64_t last; /* address that it can hold */
	bool tracks, tracking;
	uint64_t *dirty; /* pages that were written to */
	size_t ndirty;
};

struct fake_iommufd {
	uint32_t next_id;
	struct fake_ioas ioas[FAKE_IOASES]; /* id 0: free */
	struct fake_hwpt hwpt[FAKE_HWPTS];
	uint32_t compat; /* id of the compatibility IOAS, or 0 */
	bool noiommu;
};

struct fake_file {
	enum fake_file_kind kind;
	int refs;
	struct fake_file *next; /* of all files */
	off_t pos;
	char *text; /* TEXT: contents; DIR: canonical path */
	size_t len;
	struct fake_container *container; /* CONTAINER */
	struct fake_group *group;	  /* GROUP */
	struct fake_iommufd *iommufd;	  /* IOMMUFD */
	struct fake_dev *dev;		  /* DEVICE, DMABUF */
	struct fake_file *via; /* DEVICE: its group's file, or the iommufd it is bound to */
	bool granted;	       /* DEVICE: may be used */
	unsigned region;       /* DMABUF: what it is a part of; len is its size */
	uint64_t region_offset;
};

/* fake_sys.c */
struct fake_file *fake_file_new(enum fake_file_kind kind);
void fake_file_get(struct fake_file *file);
void fake_file_put(struct fake_file *file);
struct fake_file *fake_file_of(int fd);		   /* NULL: not one of ours */
int fake_fd_install(struct fake_file *file);	   /* takes over the caller's reference */
bool fake_va_is_device(uint64_t va, uint64_t len); /* overlaps memory mapped from a device */
bool fake_va_is_off(uint64_t va, uint64_t len);	   /* ... that doesn't answer */
int fake_va_touch(uint64_t va, uint64_t len);	   /* -EFAULT: some of it isn't there */
uint64_t fake_va_of_file(int fd, uint64_t offset); /* where it is mapped; else the offset itself */

/* fake_lock.c; only in programs that are linked with pthread_mutex_lock and its like wrapped. */
int fake_locks_held(void) __attribute__((weak));

/* fake_fs.c */
int fake_fs_open(const char *path, int flags); /* descriptor or -errno */
int fake_fs_access(const char *path, int mode);
int fake_fs_stat(const char *path, struct stat *st);
ssize_t fake_fs_readlink(const char *path, char *buf, size_t len);
int fake_fs_opendir(const char *path, struct fake_file **dir);
int fake_fs_child(const char *path, unsigned index, char *name, size_t len, unsigned char *type);
void fake_fs_reset(void);

/* Devices, by index; NULL after the last. */
struct fake_dev *fake_dev_at(unsigned index);
struct fake_group *fake_group_of(int number, bool noiommu);
bool fake_group_viable(const struct fake_group *group); /* no sibling is held by a kernel driver */
bool fake_irq_isolated(void);
bool fake_has_noiommu_cdev(void);

/* fake_type1.c */
int fake_group_open(int number, bool noiommu);
int fake_container_open(void);
int fake_container_ioctl(struct fake_file *file, unsigned long request, void *arg);
int fake_group_ioctl(struct fake_file *file, unsigned long request, void *arg);
void fake_group_release(struct fake_file *file);
void fake_container_put(struct fake_container *container);

/* Maps; shared by type1 and iommufd. */
int fake_maps_insert(struct fake_maps *maps, const struct fake_map *map);
void fake_maps_remove(struct fake_maps *maps, size_t at, size_t count);
void fake_maps_clear(struct fake_maps *maps);
size_t fake_maps_find(const struct fake_maps *maps, uint64_t iova); /* first that ends after iova */
bool fake_maps_overlap(const struct fake_maps *maps, uint64_t first, uint64_t last);
uint64_t fake_maps_bytes(const struct fake_maps *maps);
int fake_pin(uint64_t bytes); /* 0 or -ENOMEM */
void fake_unpin(uint64_t bytes);
bool fake_range_allows(const struct fake_range *range, unsigned count, uint64_t first,
		       uint64_t last);
unsigned fake_range_intersect(struct fake_range *acc, unsigned count, const struct fake_range *with,
			      unsigned nwith);

/* fake_iommufd.c */
int fake_iommufd_open(void);
int fake_iommufd_ioctl(struct fake_file *file, unsigned long request, void *arg);
void fake_iommufd_release(struct fake_file *file);
int fake_iommufd_bind(struct fake_file *file, struct fake_dev *dev);
void fake_iommufd_unbind(struct fake_file *file, struct fake_dev *dev);
int fake_iommufd_attach(struct fake_file *file, struct fake_dev *dev, uint32_t *pt);
void fake_iommufd_detach(struct fake_file *file, struct fake_dev *dev);
struct fake_ioas *fake_iommufd_ioas(struct fake_file *file, uint32_t id);
int fake_ioas_new(struct fake_file *file, uint32_t *id);
unsigned fake_ioas_ranges(struct fake_file *file, const struct fake_ioas *ioas,
			  struct fake_range *range);
int fake_ioas_map(struct fake_file *file, struct fake_ioas *ioas, struct fake_map *map, bool fixed,
		  uint64_t start);
int fake_ioas_unmap(struct fake_ioas *ioas, uint64_t first, uint64_t last, uint64_t *unmapped);

/* So that a map begins at iova, if it is inside one. */
int fake_ioas_cut(struct fake_ioas *ioas, uint64_t iova);

/* fake_compat.c */
int fake_compat_join(struct fake_file *file, bool noiommu); /* SET_CONTAINER */
int fake_compat_ioctl(struct fake_file *file, unsigned long request, void *arg);

/* fake_device.c */
int fake_cdev_open(struct fake_dev *dev);
bool fake_device_decodes(const struct fake_dev *dev); /* its memory */
int fake_device_open_by_group(struct fake_file *group, const char *name);
int fake_device_ioctl(struct fake_file *file, unsigned long request, void *arg);
void fake_device_release(struct fake_file *file);
ssize_t fake_device_pread(struct fake_file *file, void *buf, size_t len, off_t offset);
ssize_t fake_device_pwrite(struct fake_file *file, const void *buf, size_t len, off_t offset);
int fake_device_mmap(struct fake_file *file, size_t len, int prot, int flags, off_t offset, int *fd,
		     off_t *at); /* the real file to map, or -errno */
void fake_device_prepare(struct fake_dev *dev);
void fake_device_dispose(struct fake_dev *dev);

#endif
