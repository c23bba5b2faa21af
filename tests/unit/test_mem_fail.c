/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/mem when a call fails that it makes of the system: the right error, words for it, and nothing
 * left behind. It has no seam: the linker puts what is here in front of the C library and libnuma.
 */
#include <numa.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "internal.h"
#include "test_mem.h"

#define BASE 4096u

/* The one function that fails, with which errno, after how many calls that don't. */
static const char *failing;
static int failing_errno, failing_skip;
static const char *nodes;  /* what sysfs says is online, if not NULL */
static const char *mount;  /* where hugetlbfs is, if not NULL */
static int status_of_page; /* what move_pages() says of all pages, if not the truth */
#define THE_TRUTH (-1000)

static bool fails(const char *name)
{
	if (!failing || strcmp(failing, name) || failing_skip-- > 0)
		return false;
	errno = failing_errno;
	return true;
}

#define WRAP(ret, name, bad, params, args) \
	ret __real_##name params;          \
	ret __wrap_##name params;          \
	ret __wrap_##name params           \
	{                                  \
		if (fails(#name))          \
			return bad;        \
		return __real_##name args; \
	}

WRAP(int, numa_available, -1, (void), ())
WRAP(long, get_mempolicy, -1,
     (int *mode, unsigned long *mask, unsigned long max, void *at, unsigned f),
     (mode, mask, max, at, f))
WRAP(long, set_mempolicy, -1, (int mode, const unsigned long *mask, unsigned long max),
     (mode, mask, max))
WRAP(int, fallocate64, -1, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
WRAP(int, ftruncate64, -1, (int fd, off_t len), (fd, len))
WRAP(int, madvise, -1, (void *va, size_t len, int advice), (va, len, advice))
WRAP(int, mlock, -1, (const void *va, size_t len), (va, len))
WRAP(int, memfd_create, -1, (const char *name, unsigned flags), (name, flags))
WRAP(int, mkostemp64, -1, (char *path, int flags), (path, flags))
WRAP(void *, mmap64, MAP_FAILED, (void *va, size_t len, int prot, int flags, int fd, off_t at),
     (va, len, prot, flags, fd, at))
WRAP(FILE *, fopen64, NULL, (const char *path, const char *mode), (path, mode))
WRAP(void *, calloc, NULL, (size_t count, size_t len), (count, len))
WRAP(long, gethugepagesize, -1, (void), ())

long __real_move_pages(int pid, unsigned long count, void **pages, const int *to, int *status,
		       int flags);
long __wrap_move_pages(int pid, unsigned long count, void **pages, const int *to, int *status,
		       int flags);
long __wrap_move_pages(int pid, unsigned long count, void **pages, const int *to, int *status,
		       int flags)
{
	unsigned long i;
	long ret;

	if (fails("move_pages"))
		return -1;
	ret = __real_move_pages(pid, count, pages, to, status, flags);
	for (i = 0; status_of_page != THE_TRUTH && i < count; i++)
		status[i] = status_of_page;
	return status_of_page == THE_TRUTH ? ret : 0;
}

const char *__real_hugetlbfs_find_path_for_size(long size);
const char *__wrap_hugetlbfs_find_path_for_size(long size);
const char *__wrap_hugetlbfs_find_path_for_size(long size)
{
	return mount ? mount : __real_hugetlbfs_find_path_for_size(size);
}

int __real_plx_sys_read_text(const char *path, char *buf, size_t len);
int __wrap_plx_sys_read_text(const char *path, char *buf, size_t len);
int __wrap_plx_sys_read_text(const char *path, char *buf, size_t len)
{
	if (!nodes || !strstr(path, "/node/online"))
		return __real_plx_sys_read_text(path, buf, len);
	if (!*nodes)
		return -ENOENT;
	snprintf(buf, len, "%s", nodes);
	return (int)strlen(buf);
}

static int start(void **state)
{
	failing = nodes = mount = NULL;
	failing_skip = 0;
	status_of_page = THE_TRUTH;
	return keep_log(state);
}

/* An arena of base pages, on a node or any. */
static int make(int node, struct plx_arena **arena)
{
	const struct plx_arena_opts opts = {
		.len = 16 * BASE, .page_size = BASE, .node = node, .small_pages = true
	};

	return plx_arena_create(&opts, arena);
}

static void each_call_of_an_arena(void **state)
{
	static const struct {
		const char *name;
		int err, skip, node, result;
		const char *words;
	} cases[] = {
		{ "calloc", ENOMEM, 0, PLX_NODE_ANY, -ENOMEM, "Cannot allocate memory" },
		{ "memfd_create", EMFILE, 0, PLX_NODE_ANY, -EMFILE, "Too many open files" },
		{ "memfd_create", EACCES, 0, PLX_NODE_ANY, -EACCES, "Permission denied" },
		{ "ftruncate64", EFBIG, 0, PLX_NODE_ANY, -EFBIG, "File too large" },
		{ "mmap64", ENOMEM, 0, PLX_NODE_ANY, -ENOMEM, "Cannot allocate memory" },
		{ "mmap64", EACCES, 1, PLX_NODE_ANY, -EACCES, "Permission denied" },
		{ "fallocate64", ENOSPC, 0, PLX_NODE_ANY, -ENOMEM, "No space left" },
		{ "fallocate64", EINTR, 0, PLX_NODE_ANY, -EINTR, "Interrupted" },
		{ "madvise", EFAULT, 0, PLX_NODE_ANY, -EFAULT, "Bad address" },
		{ "get_mempolicy", EPERM, 0, 0, -ENOMEM, "the node is refused" },
		{ "set_mempolicy", EINVAL, 0, 0, -ENOMEM, "cpuset of this process" },
		{ "move_pages", EPERM, 0, 0, -ENOMEM, "can't tell where its pages are" },
	};
	unsigned before = count_fds();
	size_t i;

	(void)state;
	if (numa_available() < 0)
		skip_because("the system has no NUMA calls");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plx_arena *arena = NULL;

		start(NULL);
		failing = cases[i].name;
		failing_errno = cases[i].err;
		failing_skip = cases[i].skip;
		if (make(cases[i].node, &arena) != cases[i].result)
			fail_msg("%s: %s", failing, logged);
		failing = NULL;
		assert_null(arena);
		assert_logged(cases[i].words);
		assert_int_equal(count_fds(), before);
	}
}

/* What an arena does without. */
static void what_is_not_needed(void **state)
{
	static const struct {
		const char *name;
		int err;
		bool locked;
		const char *words;
	} cases[] = {
		{ "madvise", EINVAL, true, "" }, /* before Linux 5.14 */
		{ "mlock", ENOMEM, false, "is not locked: the memlock limit is" },
		{ "mlock", EPERM, false, "is not locked: Operation not permitted" },
		{ "move_pages", ENOSYS, true, "" }, /* a kernel without page migration */
		{ "fopen64", ENOENT, true, "" },    /* no /proc: nothing is known of memory */
	};
	size_t i, at;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct plx_arena *arena = NULL;

		start(NULL);
		failing = cases[i].name;
		failing_errno = cases[i].err;
		assert_int_equal(make(PLX_NODE_ANY, &arena), 0);
		failing = NULL;
		assert_int_equal(arena->locked, cases[i].locked);
		assert_logged(cases[i].words);
		for (at = 0; at < arena->len; at++)
			assert_int_equal(((char *)arena->va)[at], 0);
		plx_arena_destroy(arena);
	}
}

static void pages_that_are_elsewhere(void **state)
{
	struct plx_arena *arena = NULL;

	(void)state;
	if (numa_available() < 0)
		skip_because("the system has no NUMA calls");
	status_of_page = 7;
	assert_int_equal(make(0, &arena), -ENOMEM);
	assert_logged("16 of 16 pages are not on node 0 (some are on node 7)");
	start(NULL);
	status_of_page = -ENOENT;
	assert_int_equal(make(PLX_NODE_ANY, &arena), -ENOMEM);
	assert_logged("16 of 16 pages are not there after faulting them in");
}

/* A kernel without NUMA, and a sandbox that forbids its calls. */
static void without_numa(void **state)
{
	struct plx_arena *arena = NULL;

	(void)state;
	failing = "numa_available";
	nodes = "0";
	assert_int_equal(make(0, &arena), 0);
	plx_arena_destroy(arena);
	nodes = "";
	assert_int_equal(make(0, &arena), 0);
	plx_arena_destroy(arena);
	assert_int_equal(make(1, &arena), -ENODEV);
	assert_logged("there is no node 1; this system has: 0");
	nodes = "0-1";
	assert_int_equal(make(1, &arena), -EPERM);
	assert_logged("may not use the NUMA system calls");
	start(NULL);
	failing = "move_pages";
	failing_errno = ENOSYS;
	nodes = "0";
	assert_int_equal(plx_node_of(&arena), 0);
	nodes = "0-1";
	assert_int_equal(plx_node_of(&arena), -ENOSYS);
	failing_errno = EPERM;
	assert_int_equal(plx_node_of(&arena), -EPERM);
	failing = NULL;
	if (numa_available() < 0)
		return;
	assert_int_equal(make(-7, &arena), -ENODEV);
	assert_int_equal(make(numa_max_node() + 1, &arena), -ENODEV);
}

/* Hugepages: a mount that is of no use, none at all, and base pages instead where they will do. */
static void without_hugepages(void **state)
{
	static char long_path[5000];
	struct plx_arena_opts opts = { .len = BASE, .node = PLX_NODE_ANY };
	struct plx_arena *arena = NULL;

	(void)state;
	failing = "gethugepagesize";
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	assert_logged("the kernel has no hugepages");
	opts.small_pages = true;
	assert_int_equal(plx_arena_create(&opts, &arena), 0);
	assert_int_equal(arena->page_size, BASE);
	plx_arena_destroy(arena);
	start(NULL);
	if (!plx_hugepage_size())
		skip_because("the system has no hugepages");
	memset(long_path, 'x', sizeof(long_path) - 1);
	mount = long_path;
	failing = "fallocate64";
	failing_errno = ENOSPC;
	opts.small_pages = false;
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	mount = "/nonexistent";
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	mount = "/tmp";
	failing = "mkostemp64";
	failing_errno = EMFILE;
	assert_int_equal(plx_arena_create(&opts, &arena), -EMFILE);
	/* Where there are too few, and base pages are welcome. */
	start(NULL);
	failing = "memfd_create";
	failing_errno = ENOMEM;
	mount = "/nonexistent";
	opts.small_pages = true;
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	assert_logged("going on with base pages");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_call_of_an_arena, start),
		cmocka_unit_test_setup(what_is_not_needed, start),
		cmocka_unit_test_setup(pages_that_are_elsewhere, start),
		cmocka_unit_test_setup(without_numa, start),
		cmocka_unit_test_setup(without_hugepages, start),
	};

	return cmocka_run_group_tests_name("mem-fail", tests, NULL, NULL);
}
