/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas: a file of hugepages, mapped once.
 *
 * The order matters. Mapping the file costs nothing and tells early of what can't be: for hugepages
 * the kernel reserves all of them or refuses. Then fallocate() takes the pages, from the node asked
 * for, and says ENOSPC where a touch would be answered with SIGBUS. Only then are they faulted in
 * and looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <hugetlbfs.h> /* needs size_t */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <pollux/log.h>

#include "internal.h"

/* Arenas never share a frame of the translation table (ioas.h), whatever their page size. */
#define MIN_ALIGN (UINT64_C(2) << 20)

#define WHAT_LEN 64
#define NAME_LEN 64

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static size_t arena_align(size_t page_size)
{
	return page_size > MIN_ALIGN ? page_size : MIN_ALIGN;
}

/* "arena of 64 MiB on node 1": how messages begin. */
static const char *describe(size_t len, int node, char *what)
{
	char size[PLX_MEM_SIZE_LEN];

	if (node == PLX_NODE_ANY)
		snprintf(what, WHAT_LEN, "arena of %s", plx_mem_size_text(len, size));
	else
		snprintf(what, WHAT_LEN, "arena of %s on node %d", plx_mem_size_text(len, size),
			 node);
	return what;
}

/*
 * Files.
 */

static int hugetlbfs_file(const char *mount, const char *name)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/pollux-%s-XXXXXX", mount, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	unlink(path); /* the descriptor alone keeps the pages */
	return fd;
}

static int memfd_file(const char *name, size_t page_size)
{
	unsigned flags = MFD_CLOEXEC;
	int fd;

	if (page_size != plx_mem_base_page())
		flags |= MFD_HUGETLB | (unsigned)__builtin_ctzl(page_size) << MFD_HUGE_SHIFT;
	fd = memfd_create(name, flags);
	return fd < 0 ? -errno : fd;
}

/* A mount that can't be written (permission, read-only, gone) is as good as none. */
static int open_file(const char *name, size_t page_size)
{
	const char *mount = NULL;
	int fd;

	if (page_size != plx_mem_base_page())
		mount = hugetlbfs_find_path_for_size(page_size);
	if (mount) {
		fd = hugetlbfs_file(mount, name);
		if (fd >= 0 || fd == -EMFILE || fd == -ENFILE)
			return fd;
		plx_debug("no file in %s: %s; taking a memfd", mount, strerror(-fd));
	}
	return memfd_file(name, page_size);
}

/*
 * Memory.
 */

/*
 * Reserves whole frames, so that nothing else is ever mapped between the end of the arena and the
 * end of its last frame, and puts the file at their start.
 */
static int map_aligned(int fd, size_t len, size_t align, void **va)
{
	size_t span = round_up(len, align), slack;
	char *reserved, *start;

	reserved = mmap(NULL, span + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	start = (char *)round_up((uintptr_t)reserved, align);
	slack = start - reserved;
	if (slack)
		munmap(reserved, slack);
	munmap(start + span, align - slack);
	if (mmap(start, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		int err = -errno;

		munmap(start, span);
		return err;
	}
	*va = start;
	return 0;
}

static void unmap(struct plx_arena *arena)
{
	munmap(arena->va, round_up(arena->len, arena_align(arena->page_size)));
}

static int fault_in(struct plx_arena *arena)
{
	if (!madvise(arena->va, arena->len, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	/* Before Linux 5.14. The pages are allocated: this only fills the page tables. */
	for (size_t at = 0; at < arena->len; at += arena->page_size)
		((volatile char *)arena->va)[at] = 0;
	return 0;
}

static void lock(struct plx_arena *arena, const char *what)
{
	struct rlimit limit;

	arena->locked = !mlock(arena->va, arena->len);
	if (arena->locked)
		return;
	if (errno == ENOMEM && !getrlimit(RLIMIT_MEMLOCK, &limit))
		plx_info("%s is not locked: the memlock limit is %llu KiB (ulimit -l)", what,
			 (unsigned long long)limit.rlim_cur >> 10);
	else
		plx_info("%s is not locked: %s", what, strerror(errno));
}

/*
 * Hugepages are a pool that runs out; base pages are everybody's, and the kernel would rather kill
 * others than refuse. So it is us who refuse, while an eighth of what there is would still be left.
 */
static int check_base_pages(const struct plx_arena *arena, const char *what)
{
	uint64_t bytes;

	if (plx_mem_available(arena->node, &bytes) || arena->len <= bytes - bytes / 8)
		return 0;
	plx_err("%s: base pages wanted, but only %llu MiB of memory are available%s", what,
		(unsigned long long)bytes >> 20,
		arena->node == PLX_NODE_ANY ? "" : " on that node");
	return -EXDEV;
}

/* Maps the file and fills it with pages of the right node, or leaves nothing mapped. */
static int fill(struct plx_arena *arena, const char *what)
{
	int err = 0;

	if (arena->page_size == plx_mem_base_page())
		err = check_base_pages(arena, what);
	if (err)
		return err;
	if (ftruncate(arena->fd, arena->len))
		return -errno;
	err = map_aligned(arena->fd, arena->len, arena_align(arena->page_size), &arena->va);
	if (err)
		return err;
	err = plx_mem_node_fill(arena->fd, arena->len, arena->node, what);
	if (!err)
		err = fault_in(arena);
	if (!err)
		err = plx_mem_node_verify(arena->va, arena->len, arena->page_size, arena->node,
					  what);
	if (err)
		unmap(arena);
	else
		lock(arena, what);
	return err;
}

/*
 * One attempt with one page size.
 */
static int attempt(const struct plx_arena_opts *opts, size_t page_size, struct plx_arena **out)
{
	const char *name = opts->name ? opts->name : "arena";
	struct plx_arena *arena;
	char what[WHAT_LEN];
	int err;

	arena = calloc(1, sizeof(*arena));
	if (!arena)
		return -ENOMEM;
	arena->len = round_up(opts->len, page_size);
	arena->page_size = page_size;
	arena->node = opts->node;
	arena->fd = open_file(name, page_size);
	if (arena->fd < 0) {
		err = arena->fd;
		goto free_arena;
	}
	err = fill(arena, describe(arena->len, arena->node, what));
	if (err)
		goto close_fd;
	*out = arena;
	return 0;

close_fd:
	close(arena->fd);
free_arena:
	free(arena);
	return err;
}

static bool short_of_pages(int err)
{
	return err == -ENOSPC || err == -ENOMEM;
}

/* Says why hugepages were refused, with what would help. */
static void explain(const struct plx_arena_opts *opts, size_t page_size, int err)
{
	size_t len = round_up(opts->len, page_size), wanted = len / page_size;
	char what[WHAT_LEN], size[PLX_MEM_SIZE_LEN], path[PLX_MEM_PATH_LEN], need[192];
	struct plx_hugepages pages;
	unsigned long long total, avail;
	int node = opts->node;

	snprintf(need, sizeof(need), "%s: %zu page%s of %s wanted", describe(len, node, what),
		 wanted, wanted == 1 ? "" : "s", plx_mem_size_text(page_size, size));
	/* A kernel without NUMA has no nodes in sysfs. */
	if (node == 0 && plx_hugepages_query(page_size, node, &pages) == -ENOENT)
		node = PLX_NODE_ANY;
	if (!short_of_pages(err) || plx_hugepages_query(page_size, node, &pages)) {
		plx_err("%s: %s", need, strerror(-err));
		return;
	}
	total = pages.total;
	avail = pages.free;
	if (avail < wanted) {
		plx_mem_hugepages_path(page_size, node, "nr_hugepages", path);
		plx_err("%s, %llu of %llu free: echo %llu > %s", need, avail, total,
			total + wanted - avail, path);
		return;
	}
	plx_err("%s, %llu of %llu free, but refused (%s): is there a limit on the hugetlbfs mount "
		"(size=), the cgroup (hugetlb) or the address space (ulimit -v)?",
		need, avail, total, strerror(-err));
}

static int check(const struct plx_arena_opts *opts, size_t page_size)
{
	char what[WHAT_LEN];

	if (!opts->len) {
		plx_err("arena: a length of 0 was asked for");
		return -EINVAL;
	}
	describe(opts->len, opts->node, what);
	if (opts->name && (strchr(opts->name, '/') || strlen(opts->name) > NAME_LEN)) {
		plx_err("%s: a name has at most %d characters and no '/': %.80s", what, NAME_LEN,
			opts->name);
		return -EINVAL;
	}
	if (!page_size) {
		plx_err("%s: the kernel has no hugepages (CONFIG_HUGETLBFS)", what);
		return -ENOMEM;
	}
	if (!plx_mem_is_hugepage_size(page_size) &&
	    !(opts->small_pages && page_size == plx_mem_base_page())) {
		plx_err("%s: %zu bytes is no hugepage size here: see /sys/kernel/mm/hugepages",
			what, page_size);
		return -EINVAL;
	}
	/* Half the range of a file offset, so that rounding up can't overflow. */
	if (opts->len > SIZE_MAX / 4) {
		plx_err("%s: more than an address space holds", what);
		return -ENOMEM;
	}
	return plx_mem_node_check(opts->node, what);
}

int plx_arena_create(const struct plx_arena_opts *opts, struct plx_arena **arena)
{
	size_t base = plx_mem_base_page();
	size_t page_size = opts->page_size ? opts->page_size : plx_hugepage_size();
	char what[WHAT_LEN], size[PLX_MEM_SIZE_LEN];
	int err;

	if (!page_size && opts->small_pages)
		page_size = base;
	err = check(opts, page_size);
	if (err)
		return err;
	err = attempt(opts, page_size, arena);
	if (short_of_pages(err) && opts->small_pages && page_size != base) {
		plx_info("%s: no hugepages of %s for it, going on with base pages",
			 describe(opts->len, opts->node, what), plx_mem_size_text(page_size, size));
		page_size = base;
		err = attempt(opts, page_size, arena);
	}
	if (!err)
		return 0;
	if (err == -EXDEV) /* said where it was found */
		return -ENOMEM;
	explain(opts, page_size, err);
	return err == -ENOSPC ? -ENOMEM : err;
}

void plx_arena_destroy(struct plx_arena *arena)
{
	if (!arena)
		return;
	unmap(arena);
	close(arena->fd);
	free(arena);
}
