/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An I/O address space: what devices may reach by DMA.
 *
 *      plx_ioas  ---- mappings (VA run -> device addresses)
 *         |
 *         +-- IOMMU context (an iommufd IOAS)        ---- devices
 *         +-- IOMMU context (a type1 container)      ---- devices
 *         +-- IOMMU context (no-IOMMU)               ---- devices
 *
 * Mapping memory applies it to every context; a context that joins later is given all that is
 * mapped already. One address space a process is the usual case. Contexts come and go with the
 * devices claimed into the address space (vfio.h).
 *
 * The control path (map, unmap, claim) may be called from any thread. Looking up a device address
 * takes no lock and no branch but the check for validity.
 */
#ifndef POLLUX_IOAS_H
#define POLLUX_IOAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pollux/refusal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How device addresses are chosen. Fixed when the address space is made. */
enum plx_addr_policy {
	PLX_ADDR_VA, /* the virtual address itself: every context translates and has room for it */
	PLX_ADDR_ALLOC, /* ours to choose inside the contexts' ranges */
	PLX_ADDR_PA,	/* physical: some context doesn't translate */
};

const char *plx_addr_policy_name(enum plx_addr_policy addr);

struct plx_policy {
	enum plx_addr_policy addr;
	char reason[192]; /* one clause for people: why this one */
	bool any_pages;	  /* no device is the worse for memory that isn't of hugepages */
	bool track_dirty; /* iommufd is to be ready for plx_ioas_dirty_start() */
};

struct plx_ioas;

int plx_ioas_create(const struct plx_policy *policy, struct plx_ioas **ioas);

/*
 * Unmaps what is still mapped and frees it. -EBUSY while a device is claimed into it.
 */
int plx_ioas_destroy(struct plx_ioas *ioas);

enum plx_addr_policy plx_ioas_policy(const struct plx_ioas *ioas);

enum {
	PLX_DMA_READ = 1 << 0,	/* the device may read it */
	PLX_DMA_WRITE = 1 << 1, /* the device may write it */
	PLX_DMA_RW = PLX_DMA_READ | PLX_DMA_WRITE,
};

struct plx_dma_mem {
	void *va;	    /* page aligned */
	size_t len;	    /* bytes, whole pages */
	size_t page_size;   /* of the pages behind it; 0: not known, taken as base pages */
	int fd;		    /* the file shared at va, open for as long as it's mapped; or -1 */
	uint64_t fd_offset; /* of va in that file */
	unsigned access;    /* PLX_DMA_*; 0 means PLX_DMA_RW */
};

/*
 * Lets devices reach a run of memory. All or nothing: on failure no context keeps a part of it, and
 * the reason is in *why, with the limit and what would be needed; it is logged if why is NULL.
 * Errors: -EINVAL (alignment, length), -EEXIST (overlaps what is mapped), -ENOSPC (a context's
 * entry limit, or no room in the IOVA ranges), -ENOMEM (memlock limit), -EOPNOTSUPP (no-IOMMU with
 * pages that may move), -EPERM (no way to learn physical addresses).
 */
int plx_ioas_map(struct plx_ioas *ioas, const struct plx_dma_mem *mem, struct plx_refusal *why);

/*
 * Takes back exactly what one plx_ioas_map() call mapped. -ENOENT: no such mapping; -EINVAL: a part
 * of one, or more than one. No device may use it any more. The mapping is gone afterwards even if
 * a context complained (its error is returned, and each complaint is logged).
 */
int plx_ioas_unmap(struct plx_ioas *ioas, void *va, size_t len);

/*
 * Takes back everything, ring memory too: from then on no device reaches anything. What was given
 * out stays the caller's; plx_dma_free() is still to be called. The first error of a context is
 * returned, and nothing is mapped afterwards all the same.
 */
int plx_ioas_unmap_all(struct plx_ioas *ioas);

/* How much is mapped, and how much more can be: limits, before they are hit. */
struct plx_ioas_usage {
	uint64_t maps;	    /* mappings, as plx_ioas_map() makes them */
	uint64_t bytes;	    /* in them */
	unsigned contexts;  /* that they are mapped in */
	uint64_t maps_left; /* more that each context takes; UINT64_MAX: no limit is known */
	/*
	 * More that the memlock limit lets be mapped (UINT64_MAX: no limit). Each type 1 container
	 * locks them anew. iommufd counts all processes of a user together: others may leave less.
	 */
	uint64_t bytes_left;
};

void plx_ioas_usage(struct plx_ioas *ioas, struct plx_ioas_usage *usage);

/*
 * Dirty tracking: which pages devices write to, for those who copy memory that devices are using.
 *
 * It works where every context can do it: type1v2 containers, and iommufd behind an IOMMU that has
 * it, in an address space made with policy.track_dirty. A type 1 container can't tell pages apart:
 * it says that all pages of a mapping are dirty. Devices that are claimed while it is on have to
 * be able to, too.
 *
 * start: -EOPNOTSUPP, with the context that can't in *why or, if that is NULL, logged; -EALREADY.
 */
int plx_ioas_dirty_start(struct plx_ioas *ioas, struct plx_refusal *why);
int plx_ioas_dirty_stop(struct plx_ioas *ioas);

/*
 * Sets the bits, one a base page, that were written to since the start or the last call, in one
 * mapping (as plx_ioas_unmap() names it, with its errors); others keep their value. The bitmap has
 * PLX_DIRTY_WORDS(pages) words, page n is bit n % 64 of word n / 64. -ENODATA: tracking is off.
 * What was written before an unmap is to be read before it.
 *
 * Pages are told once. On an error the bitmap holds what was told up to there: keep it, and add to
 * it with the next call.
 */
#define PLX_DIRTY_WORDS(pages) (((pages) + 63) / 64)
int plx_ioas_dirty_read(struct plx_ioas *ioas, const void *va, size_t len, uint64_t *bitmap);

/*
 * Translation, for hot loops: a table of 2 MiB frames in two levels, read without a lock. An entry
 * is the frame's (device address - virtual address) with bit 0 set, or 0 where nothing is mapped:
 * both addresses are page aligned, so the low bits are free.
 */
#define PLX_FRAME_SHIFT	 21
#define PLX_FRAME_SIZE	 (UINT64_C(1) << PLX_FRAME_SHIFT)
#define PLX_XLATE_VABITS 48
#define PLX_XLATE_LOW	 14 /* 32 GiB a leaf */
#define PLX_XLATE_ROOT	 (1u << (PLX_XLATE_VABITS - PLX_FRAME_SHIFT - PLX_XLATE_LOW))
#define PLX_DMA_BAD	 UINT64_MAX

struct plx_xlate {
	uint64_t *leaf[PLX_XLATE_ROOT];
};

const struct plx_xlate *plx_ioas_xlate(const struct plx_ioas *ioas);

/* The device address of va, or PLX_DMA_BAD if its frame isn't mapped. Right under every policy. */
static inline uint64_t plx_xlate_dma(const struct plx_xlate *xlate, const void *va)
{
	uint64_t addr = (uint64_t)(uintptr_t)va;
	uint64_t frame = addr >> PLX_FRAME_SHIFT;
	const uint64_t *leaf;
	uint64_t entry;

	if (__builtin_expect(addr >> PLX_XLATE_VABITS, 0))
		return PLX_DMA_BAD;
	leaf = __atomic_load_n(&xlate->leaf[frame >> PLX_XLATE_LOW], __ATOMIC_ACQUIRE);
	if (__builtin_expect(!leaf, 0))
		return PLX_DMA_BAD;
	entry = __atomic_load_n(&leaf[frame & ((1u << PLX_XLATE_LOW) - 1)], __ATOMIC_RELAXED);
	if (__builtin_expect(!entry, 0))
		return PLX_DMA_BAD;
	return addr + (entry - 1);
}

/*
 * Memory for devices, such as rings and buffers: zeroed, contiguous for the device, at least
 * 64-byte aligned. Comes from arenas that the address space makes and maps as needed. align is a
 * power of two up to the page size, node a NUMA node or PLX_NODE_ANY. Errors as plx_arena_create()
 * and plx_ioas_map(), logged.
 */
struct plx_dma {
	void *va;
	uint64_t dma; /* device address of va */
	size_t len;
};

int plx_dma_alloc(struct plx_ioas *ioas, size_t len, size_t align, int node, struct plx_dma *dma);

/* Gives it back; a zeroed struct is fine. Zeroes *dma. */
void plx_dma_free(struct plx_ioas *ioas, struct plx_dma *dma);

#ifdef __cplusplus
}
#endif

#endif
