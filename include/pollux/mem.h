/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hugepage memory for devices.
 *
 * An arena is one run of virtual memory backed by one file descriptor: a hugetlbfs file where the
 * page size has a mount, a memfd otherwise. Being an fd it can be mapped for DMA by fd, shown to
 * another process, and outlive this one. All of it is faulted in, on the node that was asked for,
 * before plx_arena_create() returns: what a device is told to reach is there.
 */
#ifndef POLLUX_MEM_H
#define POLLUX_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_NODE_ANY (-1)

struct plx_arena_opts {
	size_t len;	  /* bytes; rounded up to whole pages */
	size_t page_size; /* 0: the system's default hugepage size */
	int node;	  /* NUMA node, or PLX_NODE_ANY */
	bool small_pages; /* without free hugepages, go on with base pages (never for no-IOMMU) */
	const char *name; /* shown in /proc/PID/maps; NULL: "arena" */
};

/* Read-only for users. */
struct plx_arena {
	void *va; /* aligned to the larger of page_size and 2 MiB */
	size_t len;
	size_t page_size; /* what it got: a hugepage size, or the base page size */
	int node;	  /* as asked */
	int fd;		  /* owned by the arena; offset 0 is va */
	bool locked;	  /* mlock() held */
};

/*
 * Makes an arena. Errors: -EINVAL (length 0, not a page size of this system), -ENOMEM (not enough
 * free pages, on that node or at all; memlock limit), -ENODEV (no such node), -EMFILE, -EACCES. The
 * reason is logged with numbers: wanted, found, what to do.
 */
int plx_arena_create(const struct plx_arena_opts *opts, struct plx_arena **arena);

/* Unmaps and closes. NULL is fine. The arena must not be mapped in an address space any more. */
void plx_arena_destroy(struct plx_arena *arena);

/* The system's default hugepage size in bytes, or 0 if it has no hugepages at all. */
size_t plx_hugepage_size(void);

struct plx_hugepages {
	uint64_t total;
	uint64_t free;
};

/*
 * Counts of pages of one size, on one node or PLX_NODE_ANY for all. -ENOENT: no such size or node.
 */
int plx_hugepages_query(size_t page_size, int node, struct plx_hugepages *pages);

/* "64 MiB": the largest unit that loses nothing. Returns text. */
#define PLX_MEM_SIZE_LEN 32
const char *plx_mem_size_text(size_t size, char text[PLX_MEM_SIZE_LEN]);

/* The NUMA node that holds the page at va (touched before), or -errno. */
int plx_node_of(const void *va);

/*
 * The physical address of one byte, from /proc/self/pagemap. It holds for as long as the page is
 * neither migrated nor freed: true of locked hugetlbfs pages, of nothing else. Errors: -EPERM
 * (pagemap hides frame numbers without CAP_SYS_ADMIN), -EFAULT (page not present).
 */
int plx_phys(const void *va, uint64_t *phys);

/*
 * The physical address of va and how many bytes from there are contiguous, at most len. Reads the
 * pages' addresses twice and returns -EAGAIN if they moved in between.
 */
int plx_phys_run(const void *va, size_t len, size_t page_size, uint64_t *phys, size_t *run);

#ifdef __cplusplus
}
#endif

#endif
