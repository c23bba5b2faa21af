/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of an address space: what is mapped, by which contexts, at which device addresses.
 *
 * A mapping is what one plx_ioas_map() call named. For devices it is one or more segments: one
 * under the VA and ALLOC policies, one a physically contiguous run under PA, none as long as
 * nobody could tell the physical addresses.
 */
#ifndef PLX_VFIO_IOAS_H
#define PLX_VFIO_IOAS_H

#include <pthread.h>

#include <bsd/sys/tree.h>

#include <pollux/ioas.h>

#include "iommu.h"
#include "iova.h"
#include "used.h"
#include "xlate.h"

struct plx_seg {
	uint64_t va;
	uint64_t dma; /* device address of va */
	uint64_t len;
};

struct plx_mapping {
	RB_ENTRY(plx_mapping) node;
	uint64_t va, len;
	size_t page_size;
	int fd;
	uint64_t fd_offset;
	unsigned int access;
	bool bar; /* of a device: its file is a dma-buf, or there is none */
	unsigned int nsegs, room;
	struct plx_seg *seg;
	struct plx_seg one; /* where seg points while one is enough */
};

struct plx_dma_arena;
struct plx_group;

RB_HEAD(plx_mappings, plx_mapping);
RB_PROTOTYPE(plx_mappings, plx_mapping, node, compare)

struct plx_ioas {
	pthread_mutex_t lock; /* all below, but for what dma_lock covers */
	struct plx_policy policy;
	size_t base_page;

	struct plx_mappings mappings; /* by va; none overlaps another */
	unsigned int nmaps;
	uint64_t bytes;		   /* in them, and in the one that is being added */
	uint64_t bar_bytes;	   /* in those of devices' memory, which isn't locked */
	struct plx_ranges allowed; /* what all translating contexts can map */
	struct plx_used used;	   /* ALLOC: IOVA frames taken */
	uint64_t alloc_next;	   /* ALLOC: where the last search ended; 0 before the first */

	struct plx_iommu *contexts;
	struct plx_iommufd *iommufds;
	struct plx_group *groups;
	unsigned int ndevs;
	bool tracking; /* dirty pages, in all contexts */

	pthread_mutex_t dma_lock; /* taken before lock */
	struct plx_dma_arena *arenas;

	struct plx_xlate xlate;
};

/*
 * Makes a context part of the address space, for one more device: reads its ranges again, checks
 * them against the policy and all that is mapped and, for a new context, maps it all. On failure a
 * new context holds no maps and is still the caller's to destroy. Lock held.
 */
int plx_ioas_join(struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_refusal *why);

/*
 * One device less; the context is destroyed with its last, or if it never had any. One of the
 * caller's loses our maps, and no others. Lock held.
 */
void plx_ioas_leave(struct plx_ioas *ioas, struct plx_iommu *iommu);

/*
 * A context's ranges may have become wider, for a device or group has gone: reads them again. Lock
 * held. What can't be found out stays as narrow as it was, which is safe.
 */
void plx_ioas_widen(struct plx_ioas *ioas, struct plx_iommu *iommu);

/* What all contexts, and one more (or NULL), can map. The old value is kept on failure. */
int plx_ioas_narrow(struct plx_ioas *ioas, const struct plx_iommu *more);

/* plx_ioas_map() of a BAR's memory; fd is its dma-buf, or negative. */
int plx_ioas_map_bar(struct plx_ioas *ioas, const struct plx_dma_mem *mem, struct plx_refusal *why);

/* The mapping of exactly these addresses. -EINVAL: a part of one, or more than one; -ENOENT. */
int plx_ioas_lookup(struct plx_ioas *ioas, const void *va, size_t len, struct plx_mapping **m);

/*
 * Mapping in contexts, and taking it back (mapping.c). Where the device addresses of a mapping
 * aren't known, contexts that translate map nothing.
 */
int plx_mapping_apply(const struct plx_ioas *ioas, struct plx_iommu *iommu,
		      const struct plx_mapping *m, struct plx_refusal *why);
int plx_mapping_revoke(struct plx_iommu *iommu, const struct plx_mapping *m);

/* In all contexts that translate, or that don't: in each, or in none. */
int plx_mapping_apply_all(struct plx_ioas *ioas, const struct plx_mapping *m, bool translates,
			  struct plx_refusal *why);
int plx_mapping_revoke_all(struct plx_ioas *ioas, const struct plx_mapping *m, bool translates);

/* All mappings, in one context. */
int plx_mapping_revoke_everything(struct plx_ioas *ioas, struct plx_iommu *iommu);

/* The memlock limit of this process; UINT64_MAX if none binds it. */
uint64_t plx_memlock_limit(void);

/* Memory that this process has locked, by mlock() too; 0 if that can't be found out. */
uint64_t plx_memlock_used(void);

/* How many maps of the context's it takes. */
uint64_t plx_mapping_count(const struct plx_iommu *iommu, const struct plx_mapping *m);

/* A context before this one in the list, or any if it isn't there, from which maps are copied. */
const struct plx_iommu *plx_iommu_source(const struct plx_ioas *ioas,
					 const struct plx_iommu *iommu);

/*
 * Device addresses (place.c). prev and next are the mappings around m, or NULL.
 */
struct plx_neighbours {
	struct plx_mapping *prev, *next;
};

struct plx_neighbours plx_neighbours_of(struct plx_mapping *m);

/*
 * Gives m its segments. 0 with none: nobody can tell yet. Non-translating contexts have m mapped.
 */
int plx_place(struct plx_ioas *ioas, struct plx_mapping *m, const struct plx_neighbours *around,
	      struct plx_refusal *why);

/* Enters m in the translation table, or takes it out (frames shared with a neighbour stay). */
int plx_place_publish(struct plx_ioas *ioas, const struct plx_mapping *m, struct plx_refusal *why);
void plx_place_withdraw(struct plx_ioas *ioas, const struct plx_mapping *m,
			const struct plx_neighbours *around);

/* Gives back what plx_place() took. */
void plx_unplace(struct plx_ioas *ioas, struct plx_mapping *m, const struct plx_neighbours *around);

/*
 * Compares m's physical addresses, if it has any, with what a new context says; else takes those.
 */
int plx_place_agree(struct plx_mapping *m, struct plx_iommu *iommu, struct plx_refusal *why);

/* Whether all of m's segments lie in ranges. */
int plx_place_check(const struct plx_ioas *ioas, const struct plx_mapping *m,
		    const struct plx_ranges *ranges, struct plx_refusal *why);

/* A new context tracks dirty pages if the others do (dirty.c). */
int plx_dirty_join(const struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_refusal *why);

/* Frees all that plx_dma_alloc() made (dma.c). */
void plx_dma_fini(struct plx_ioas *ioas);

#endif
