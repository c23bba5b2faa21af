/* SPDX-License-Identifier: BSD-3-Clause */
/* Arenas, really allocated: with the hugepages this machine has, and without. */
#include "test_mem.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MIB ((size_t)1 << 20)

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#else
#define ADDRESS_SANITIZER 0
#endif

static const char *program;

/* Nothing held at the start of a case may differ at its end. */
static unsigned int fds_before;
static uint64_t free_before;

static int before(void **state)
{
	keep_log(state);
	fds_before = count_fds();
	free_before = free_pages(plx_hugepage_size());
	return 0;
}

static int after(void **state)
{
	(void)state;
	assert_int_equal(count_fds(), fds_before);
	assert_int_equal(free_pages(plx_hugepage_size()), free_before);
	return 0;
}

static size_t base_page(void)
{
	return sysconf(_SC_PAGESIZE);
}

static bool is_zero(const unsigned char *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (at[i])
			return false;
	}
	return true;
}

/* What every arena promises. */
static void check_arena(const struct plx_arena *arena, size_t len, size_t page_size)
{
	size_t align = page_size > 2 * MIB ? page_size : 2 * MIB;
	unsigned char *again;
	struct stat st;

	assert_int_equal(arena->len, len);
	assert_int_equal(arena->page_size, page_size);
	assert_int_equal((uintptr_t)arena->va % align, 0);
	assert_true(is_zero(arena->va, len));
	assert_int_equal(fstat(arena->fd, &st), 0);
	assert_int_equal(st.st_size, len);
	assert_true(fcntl(arena->fd, F_GETFD) & FD_CLOEXEC);
	for (size_t at = 0; at < len; at += page_size)
		assert_true(plx_node_of((char *)arena->va + at) >= 0);

	/* The descriptor is the memory. */
	((unsigned char *)arena->va)[len - 1] = 0x5a;
	again = mmap(NULL, len, PROT_READ, MAP_SHARED, arena->fd, 0);
	assert_true(again != MAP_FAILED);
	assert_int_equal(again[len - 1], 0x5a);
	munmap(again, len);
}

static void hugepages(void **state)
{
	size_t page = plx_hugepage_size();
	struct plx_arena_opts opts = { .len = 2 * page + 1, .node = PLX_NODE_ANY };
	struct plx_arena *arena;

	(void)state;
	if (free_before < 3)
		skip_because("3 hugepages of %zu KiB wanted, %llu free", page >> 10,
			     (unsigned long long)free_before);
	assert_int_equal(plx_arena_create(&opts, &arena), 0);
	check_arena(arena, 3 * page, page);
	assert_int_equal(free_pages(page), free_before - 3);
	assert_int_equal(arena->node, PLX_NODE_ANY);
	assert_string_equal(logged, "");
	plx_arena_destroy(arena);
}

/* Both kinds of pages on each node that has two hugepages free. */
static void on_each_node(void **state)
{
	size_t page = plx_hugepage_size();
	struct plx_arena_opts opts = { .small_pages = true, .name = "rings" };
	struct plx_hugepages pages;
	struct plx_arena *arena;
	int nodes = 0;

	(void)state;
	for (opts.node = 0; opts.node < 64; opts.node++) {
		if (plx_hugepages_query(page, opts.node, &pages) || pages.free < 2)
			continue;
		nodes++;
		for (int small = 0; small < 2; small++) {
			opts.page_size = small ? base_page() : page;
			opts.len = 2 * opts.page_size;
			assert_int_equal(plx_arena_create(&opts, &arena), 0);
			check_arena(arena, opts.len, opts.page_size);
			assert_int_equal(arena->node, opts.node);
			assert_int_equal(plx_node_of(arena->va), opts.node);
			assert_int_equal(plx_node_of((char *)arena->va + opts.page_size),
					 opts.node);
			plx_arena_destroy(arena);
		}
	}
	if (!nodes)
		skip_because("no node has 2 free hugepages");
}

static void base_pages_asked(void **state)
{
	struct plx_arena_opts opts = {
		.len = 3 * base_page() - 7,
		.page_size = base_page(),
		.node = PLX_NODE_ANY,
		.small_pages = true,
	};
	struct plx_arena *arena;

	(void)state;
	assert_int_equal(plx_arena_create(&opts, &arena), 0);
	check_arena(arena, 3 * base_page(), base_page());
	plx_arena_destroy(arena);
}

/* The rest of an arena's last frame of 2 MiB is nobody else's. */
static void last_frame_is_reserved(void **state)
{
	struct plx_arena_opts opts = {
		.len = 1, .page_size = base_page(), .node = PLX_NODE_ANY, .small_pages = true
	};
	struct plx_arena *arena;
	char *rest;

	(void)state;
	assert_int_equal(plx_arena_create(&opts, &arena), 0);
	rest = (char *)arena->va + base_page();
	assert_true(mmap(rest, 2 * MIB - base_page(), PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED);
	assert_int_equal(errno, EEXIST);
	plx_arena_destroy(arena);
	assert_true(mmap(rest, base_page(), PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == rest);
	munmap(rest, base_page());
}

/* A hugepage size of which nothing is free, or 0. */
static size_t empty_size(void)
{
	static const size_t sizes[] = { 2 * MIB, 1024 * MIB, 32 * MIB, 512 * MIB };
	struct plx_hugepages pages;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (!plx_hugepages_query(sizes[i], PLX_NODE_ANY, &pages) && !pages.free)
			return sizes[i];
	}
	return 0;
}

static void falls_back_when_asked(void **state)
{
	struct plx_arena_opts opts = { .len = 5 * MIB + 1,
				       .page_size = empty_size(),
				       .node = PLX_NODE_ANY,
				       .small_pages = true };
	struct plx_arena *arena;

	(void)state;
	if (!opts.page_size)
		skip_because("there are free hugepages of every size");
	assert_int_equal(plx_arena_create(&opts, &arena), 0);
	check_arena(arena, 5 * MIB + base_page(), base_page());
	assert_logged("3: arena of 5242881 bytes: no hugepages of");
	assert_logged("going on with base pages");
	plx_arena_destroy(arena);
}

static void more_than_there_is(void **state)
{
	size_t page = plx_hugepage_size();
	struct plx_arena_opts opts = { .node = PLX_NODE_ANY };
	struct plx_hugepages pages;
	struct plx_arena *arena;
	char text[128];

	(void)state;
	if (!page)
		skip_because("the kernel has no hugepages");
	assert_int_equal(plx_hugepages_query(page, PLX_NODE_ANY, &pages), 0);
	/* Far more than the kernel could make up from nr_overcommit_hugepages. */
	opts.len = (pages.free + ((size_t)1 << 24)) * page;
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	snprintf(text, sizeof(text), "%llu of %llu free: echo %llu > /sys/kernel/mm/hugepages/",
		 (unsigned long long)pages.free, (unsigned long long)pages.total,
		 (unsigned long long)pages.total + (1 << 24));
	assert_logged(text);

	opts.node = 0;
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	if (!access("/sys/devices/system/node/node0", F_OK))
		assert_logged("> /sys/devices/system/node/node0/hugepages/");
}

/* Enough in all, but not on the node. */
static void more_than_the_node_has(void **state)
{
	size_t page = plx_hugepage_size();
	struct plx_arena_opts opts = { .node = 0 };
	struct plx_hugepages pages;
	struct plx_arena *arena;
	char text[64];

	(void)state;
	if (!page || plx_hugepages_query(page, 0, &pages) || pages.free >= free_before)
		skip_because("all free hugepages are on node 0");
	opts.len = (pages.free + 1) * page;
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	snprintf(text, sizeof(text), "wanted, %llu of %llu free", (unsigned long long)pages.free,
		 (unsigned long long)pages.total);
	assert_logged(text);
	assert_logged("> /sys/devices/system/node/node0/hugepages/");
}

static void impossible_node(void **state)
{
	static const int nodes[] = { 63, 4095, 1 << 30, -2 };
	struct plx_arena_opts opts = { .len = 1, .page_size = base_page(), .small_pages = true };
	struct plx_arena *arena;

	(void)state;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		opts.node = nodes[i];
		assert_int_equal(plx_arena_create(&opts, &arena), -ENODEV);
	}
	assert_logged("arena of 1 bytes on node 63: there is no node 63; this system has: 0");
}

static void odd_page_size(void **state)
{
	const size_t sizes[] = { 1, 8192, base_page(), 3 * MIB, SIZE_MAX };
	struct plx_arena_opts opts = { .len = 1, .node = PLX_NODE_ANY };
	struct plx_arena *arena;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		opts.page_size = sizes[i];
		opts.small_pages = sizes[i] != base_page();
		assert_int_equal(plx_arena_create(&opts, &arena), -EINVAL);
	}
	assert_logged("8192 bytes is no hugepage size here");
}

static void odd_length(void **state)
{
	struct plx_arena_opts opts = { .node = PLX_NODE_ANY };
	struct plx_arena *arena;

	(void)state;
	assert_int_equal(plx_arena_create(&opts, &arena), -EINVAL);
	opts.len = SIZE_MAX;
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	opts.len = SIZE_MAX / 4;
	assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
	plx_arena_destroy(NULL);
}

/* The kernel would give base pages until it has to kill. */
static void more_base_pages_than_there_are(void **state)
{
	struct plx_arena_opts opts = { .page_size = base_page(), .small_pages = true };
	struct plx_arena *arena;

	(void)state;
	opts.len = (size_t)sysconf(_SC_PHYS_PAGES) * base_page();
	for (opts.node = PLX_NODE_ANY; opts.node <= 0; opts.node++) {
		keep_log(NULL);
		assert_int_equal(plx_arena_create(&opts, &arena), -ENOMEM);
		assert_logged("base pages wanted, but only");
	}
}

static void odd_name(void **state)
{
	struct plx_arena_opts opts = {
		.len = 1, .page_size = base_page(), .node = PLX_NODE_ANY, .small_pages = true
	};
	struct plx_arena *arena;
	char name[80];

	(void)state;
	opts.name = "../escape";
	assert_int_equal(plx_arena_create(&opts, &arena), -EINVAL);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	opts.name = name;
	assert_int_equal(plx_arena_create(&opts, &arena), -EINVAL);
}

static void no_descriptors_left(void **state)
{
	struct plx_arena_opts opts = {
		.len = 1, .page_size = base_page(), .node = PLX_NODE_ANY, .small_pages = true
	};
	struct rlimit limit, none = { 0 };
	struct plx_arena *arena;
	int err;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	err = plx_arena_create(&opts, &arena);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(err, -EMFILE);
	assert_logged("Too many open files");
}

static void no_addresses_left(void **state)
{
	struct plx_arena_opts opts = {
		.len = 1, .page_size = base_page(), .node = PLX_NODE_ANY, .small_pages = true
	};
	struct rlimit limit, none = { .rlim_cur = 4096 };
	struct plx_arena *arena;
	int err;

	(void)state;
	if (ADDRESS_SANITIZER)
		skip_because("an address sanitizer can't live with RLIMIT_AS");
	assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
	none.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	err = plx_arena_create(&opts, &arena);
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	assert_int_equal(err, -ENOMEM);
	assert_logged("Cannot allocate memory");
}

static int unlocked_body(void)
{
	struct plx_arena_opts opts = {
		.len = 1 * MIB, .page_size = base_page(), .node = PLX_NODE_ANY, .small_pages = true
	};
	struct rlimit limit = { .rlim_cur = 64 << 10, .rlim_max = 64 << 10 };
	struct plx_arena *arena;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || plx_arena_create(&opts, &arena))
		return 1;
	if (arena->locked)
		return 2;
	if (!strstr(logged, "is not locked: the memlock limit is 64 KiB (ulimit -l)"))
		return 3;
	plx_arena_destroy(arena);
	opts.len = 16 << 10;
	if (plx_arena_create(&opts, &arena) || !arena->locked)
		return 4;
	plx_arena_destroy(arena);
	return 0;
}

static void memlock_limit(void **state)
{
	(void)state;
	if (ADDRESS_SANITIZER)
		skip_because("an address sanitizer turns mlock() off");
	assert_int_equal(as_nobody(unlocked_body), 0);
}

/*
 * A hugetlbfs mount. libhugetlbfs reads the mounts when a program starts, so the case runs in a
 * program of its own: a child with a mount namespace, executed anew as "test_mem_arena MOUNT".
 */

#define MOUNT_PAGES 2

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int entries = 0;

	while (dir && readdir(dir))
		entries++;
	if (dir)
		closedir(dir);
	return entries == 2; /* itself and its parent */
}

static int in_mount(const char *dir)
{
	size_t page = plx_hugepage_size();
	struct plx_arena_opts opts = { .len = page, .node = PLX_NODE_ANY, .name = "mounted" };
	struct plx_arena *arena;
	char link[64], path[4096];
	struct stat st;
	ssize_t len;

	keep_log(NULL);
	if (plx_arena_create(&opts, &arena))
		return 1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", arena->fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0 || strncmp(path, dir, strlen(dir)) || !memmem(path, len, "mounted", 7))
		return 2;
	if (fstat(arena->fd, &st) || st.st_nlink || (st.st_mode & 0777) != 0600)
		return 3;
	if (!is_empty(dir))
		return 4;
	plx_arena_destroy(arena);

	/* The mount is smaller than what the system has free. */
	opts.len = (MOUNT_PAGES + 1) * page;
	if (plx_arena_create(&opts, &arena) != -ENOMEM)
		return 5;
	if (!strstr(logged, "is there a limit on the hugetlbfs mount (size=)"))
		return 6;

	/* Read-only: as good as none. */
	if (mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL))
		return 7;
	opts.len = page;
	if (plx_arena_create(&opts, &arena))
		return 8;
	plx_arena_destroy(arena);
	return 0;
}

/* Others come first in the list of mounts. */
static int hide_other_mounts(void)
{
	char line[4096], path[4096], type[64];
	FILE *mounts = fopen("/proc/mounts", "r");

	if (!mounts)
		return -1;
	while (fgets(line, sizeof(line), mounts)) {
		if (sscanf(line, "%*s %4095s %63s", path, type) == 2 && !strcmp(type, "hugetlbfs"))
			umount2(path, MNT_DETACH);
	}
	fclose(mounts);
	return 0;
}

static int make_mount_and_run(const char *dir)
{
	char data[64];

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    hide_other_mounts())
		return 77;
	snprintf(data, sizeof(data), "pagesize=%zu,size=%zu", plx_hugepage_size(),
		 MOUNT_PAGES * plx_hugepage_size());
	if (mount("none", dir, "hugetlbfs", 0, data))
		return 77;
	execl(program, program, dir, NULL);
	return 78;
}

static void hugetlbfs_mount(void **state)
{
	char dir[] = "/tmp/plx-mount-XXXXXX";
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip_because("mounting needs root");
	if (free_before < MOUNT_PAGES + 2)
		skip_because("%d hugepages wanted, %llu free", MOUNT_PAGES + 2,
			     (unsigned long long)free_before);
	assert_non_null(mkdtemp(dir));
	pid = fork();
	if (!pid)
		_exit(make_mount_and_run(dir));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmdir(dir);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip_because("no mount namespaces here");
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A case that takes all memory by mistake shall not cost others theirs. */
static void kill_me_first(void)
{
	FILE *score = fopen("/proc/self/oom_score_adj", "w");

	if (score) {
		fputs("1000", score);
		fclose(score);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(int argc, char **argv)
{
	const struct CMUnitTest cases[] = {
		CASE(hugepages),
		CASE(on_each_node),
		CASE(base_pages_asked),
		CASE(last_frame_is_reserved),
		CASE(falls_back_when_asked),
		CASE(more_than_there_is),
		CASE(more_than_the_node_has),
		CASE(impossible_node),
		CASE(odd_page_size),
		CASE(odd_length),
		CASE(more_base_pages_than_there_are),
		CASE(odd_name),
		CASE(no_descriptors_left),
		CASE(no_addresses_left),
		CASE(memlock_limit),
		CASE(hugetlbfs_mount),
	};

	program = argv[0];
	kill_me_first();
	if (argc == 2)
		return in_mount(argv[1]);
	return cmocka_run_group_tests_name("mem-arena", cases, NULL, NULL);
}
