/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of the kernel's VFIO behind the system-call seam.
 *
 * A test describes PCI functions, publishes them (which makes sysfs and the device nodes) and calls
 * lib/vfio, which finds type1 containers, iommufd and device files with the kernel's order rules
 * and errnos:
 *
 *      fake_start(FAKE_A);
 *      dev = fake_dev("0000:01:00.0", 7);     // in IOMMU group 7, bound to vfio-pci
 *      dev->nvectors = 3;                     // tune what matters to the test
 *      fake_publish();
 *      ...
 *      fake_stop();                           // fails the test if anything was left behind
 *
 * Every file descriptor, mmap and allocation made through the seam is counted. Eventfds, memfds and
 * anonymous memory are real; everything of VFIO's has descriptors far above real ones. DMA maps
 * touch no memory unless fake.touches is set, so tests may map addresses that don't exist.
 */
#ifndef FAKE_VFIO_H
#define FAKE_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sys.h"

enum fake_flavour {
	FAKE_A,	    /* 6.12: container, cdev, iommufd, legacy no-IOMMU */
	FAKE_B,	    /* 6.12: /dev/vfio/vfio is served by iommufd */
	FAKE_C,	    /* 7.3: as A, with MAP_FILE, the no-IOMMU cdev, VF tokens on cdevs */
	FAKE_STOCK, /* a distribution's: container and groups only */
};

#define FAKE_REGIONS 9 /* VFIO_PCI_NUM_REGIONS */
#define FAKE_IRQS    5 /* VFIO_PCI_NUM_IRQS */
#define FAKE_VECTORS 64
#define FAKE_RANGES  8

struct fake_range {
	uint64_t first, last;
};

struct fake_region {
	uint64_t size;
	bool no_mmap;
	bool read_only;
	bool msix_mappable;
	bool ports; /* of I/O: there without memory decoding */
	unsigned nsparse;
	struct fake_range sparse[24]; /* first, last byte of the areas */
};

struct fake_map {
	uint64_t iova, va, size;
	int fd; /* MAP_FILE: the file (va is its offset where it isn't mmapped); else -1 */
	unsigned prot;
	struct fake_pages *pages; /* iommufd: what copies of the map share; else NULL */
};

/* Maps of one IOMMU domain, in IOVA order. */
struct fake_maps {
	struct fake_map *map;
	size_t count, room;
};

struct fake_dev {
	/* What the test describes. */
	char bdf[16];
	const char *driver; /* NULL: none */
	int group;
	int cdev; /* N of vfioN, or -1 */
	int slot; /* functions of one slot are reset together */
	bool noiommu;
	bool loner; /* its group can't join a container that has an IOMMU type already */
	uint16_t vendor, device;
	uint32_t class_code;
	int node;
	unsigned nranges; /* of IOVAs; reserved regions are what lies between */
	struct fake_range range[FAKE_RANGES];
	unsigned width; /* address bits of its IOMMU, shown in sysfs; 0: not shown */
	struct fake_region region[FAKE_REGIONS];
	unsigned nvectors; /* of MSI-X */
	unsigned msix_bar; /* BAR and offsets of its table and pending bits */
	uint32_t msix_table, msix_pba;
	bool dyn_msix; /* vectors may be added while others are on (no NORESIZE) */
	unsigned nmsi; /* vectors of MSI, 0 to 32 */
	bool intx;
	bool resets, hot_resets;
	bool hot_reset_unsaid; /* a cdev's isn't allowed, and what is in the way isn't said */
	bool reset_drops_irqs;
	bool decodes; /* ports and memory are on when it is opened, and stay so over a reset */
	const char *vf_token; /* must be given to open it; NULL: none may be */
	uint64_t features;    /* mask of VFIO_DEVICE_FEATURE_* */
	bool tracks_dirty;    /* its IOMMU can tell which pages were written to */

	/* State, to be looked at. */
	unsigned nresets, nhotresets;
	bool gone; /* set by the test: unplugged by surprise */
	uint8_t feature_data[32];
	uint8_t config[4096];
	int memfd[FAKE_REGIONS];
	int irq_type;		   /* VFIO_PCI_*_IRQ_INDEX that is on, or FAKE_IRQS */
	unsigned nalloc;	   /* vectors allocated for it */
	int trigger[FAKE_VECTORS]; /* own duplicates of eventfds, or -1 */
	int single[FAKE_IRQS];	   /* ERR and REQ likewise */
	bool intx_masked, intx_pending;
	unsigned opens;	    /* open counts as the kernel's device */
	void *bound;	    /* the iommufd it is bound to */
	uint32_t devid, pt; /* ids there */
	uint32_t hwpt;	    /* the page table of its own choice, or 0 */
};

struct fake_kernel {
	enum fake_flavour flavour;
	bool cap_rawio, cap_sys_admin, cap_ipc_lock;
	bool unsafe_noiommu;	/* the vfio module's parameter */
	bool isolated;		/* interrupts are remapped */
	bool unsafe_interrupts; /* module parameters that do without */
	bool no_map_file;	/* flavour C without IOMMU_IOAS_MAP_FILE */
	bool no_get_pa;
	bool v1_only;	  /* type1 without v2 */
	uint64_t memlock; /* RLIMIT_MEMLOCK; UINT64_MAX: unlimited */
	uint64_t pinned;  /* bytes accounted to it */
	unsigned dma_entry_limit;
	uint64_t pgsizes;
	unsigned slept_ms;
	/* Physical address of the 4 KiB page at va; NULL: 2 MiB frames scattered, in no order. */
	uint64_t (*phys)(uint64_t va);
	int phys_err; /* what plx_phys_run() fails with, if not 0 */
	/*
	 * A look at each ioctl before the kernel: returns true if it dealt with the call, with the
	 * result (0 or more, or -errno) in *result.
	 */
	bool (*hook)(int fd, unsigned long request, void *arg, int *result);
	bool touches; /* DMA maps reach for the memory, which must exist */
};

extern struct fake_kernel fake;
extern const struct plx_sys fake_sys;
int fake_real_fd(int fd); /* one more that must be closed through the seam; returns it */

/* A fresh kernel without devices; the seam and the log go to it. */
void fake_start(enum fake_flavour flavour);

/* Asserts that nothing was left behind, and puts the seam and the log back. */
void fake_stop(void);

/* A function like an 82574: 4 BARs, 5 MSI-X vectors, resettable, in an IOMMU group. */
struct fake_dev *fake_dev(const char *bdf, int group);

/* Makes sysfs and nodes for all functions described so far; again after a change. */
void fake_publish(void);

/* Paths. A path that fails does so `times` times for open and access; -1: for ever. */
void fake_path_fail(const char *path, int err, int times);
void fake_path_remove(const char *path); /* and everything below it */
void fake_path_file(const char *path, const char *text);
void fake_path_link(const char *path, const char *target);

/* The ioctl fails with err (> 0) after `skip` calls passed, `times` times. One at a time. */
void fake_ioctl_fail(unsigned long request, int err, int skip, int times);

/* How often an ioctl was made since fake_start(). */
unsigned fake_ioctl_count(unsigned long request);

/* What was left behind: the number of things, described in the log of the test. */
int fake_leaks(void);

/*
 * The maps of what enforces DMA for a device (its container or IOAS); NULL if there is none. Its
 * translation of an IOVA gives a VA, or UINT64_MAX.
 */
const struct fake_maps *fake_dev_maps(const struct fake_dev *dev);
uint64_t fake_dev_reach(const struct fake_dev *dev, uint64_t iova);

/* The device writes to memory: what tracks dirty pages takes note. */
void fake_dev_wrote(struct fake_dev *dev, uint64_t iova, uint64_t len);

/* Where a map of a BAR's dma-buf leads to, in place of a virtual address. */
#define FAKE_BAR_VA(index, offset) (((uint64_t)(index) + 1) << 52 | (offset))

/* Physical addresses, as the fake pagemap and GET_PA tell them. */
uint64_t fake_phys(uint64_t va, uint64_t len, uint64_t *run);

/* The device raises an interrupt, as hardware would. True if it went to an eventfd. */
bool fake_fire_msix(struct fake_dev *dev, unsigned vector);
bool fake_fire_intx(struct fake_dev *dev);
bool fake_fire_single(struct fake_dev *dev, unsigned index); /* ERR, REQ */

/* The bytes behind a region, or NULL if it was never used. len bytes at offset. */
int fake_region_peek(struct fake_dev *dev, unsigned index, uint64_t offset, void *buf, size_t len);
int fake_region_poke(struct fake_dev *dev, unsigned index, uint64_t offset, const void *buf,
		     size_t len);

/* The log since fake_start() or fake_log_clear(). */
unsigned fake_log_count(int level);
bool fake_logged(int level, const char *part);
void fake_log_clear(void);
void fake_log_print(void);

#endif
