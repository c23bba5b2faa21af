/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes, and what the system says of its hugepages. */
#include "test_mem.h"

#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>

#include "internal.h"

#define PAGES 600 /* more than one question to the kernel holds */

static char *map_pages(void)
{
	char *va = mmap(NULL, PAGES * plx_mem_base_page(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(va != MAP_FAILED);
	return va;
}

static void touch(char *va, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		va[i * plx_mem_base_page()] = 1;
}

static void node_of(void **state)
{
	char *va = map_pages();
	int node;

	(void)state;
	if (numa_available() < 0)
		skip_because("a kernel without NUMA");
	assert_int_equal(plx_node_of(va), -ENOENT);
	touch(va, 0, 1);
	assert_int_equal(get_mempolicy(&node, NULL, 0, va, MPOL_F_NODE | MPOL_F_ADDR), 0);
	assert_int_equal(plx_node_of(va), node);
	munmap(va, PAGES * plx_mem_base_page());
	assert_int_equal(plx_node_of(va), -EFAULT);
}

static void verify(void **state)
{
	size_t page = plx_mem_base_page();
	char *va = map_pages();

	(void)state;
	if (numa_available() < 0)
		skip_because("a kernel without NUMA");
	touch(va, 0, PAGES - 1);
	assert_int_equal(plx_mem_node_verify(va, PAGES * page, page, 0, "here"), -EXDEV);
	assert_logged("here: 1 of 600 pages are not there");
	touch(va, PAGES - 1, PAGES);
	assert_int_equal(plx_mem_node_verify(va, PAGES * page, page, 0, "here"), 0);
	assert_int_equal(plx_mem_node_verify(va, PAGES * page, page, PLX_NODE_ANY, "here"), 0);
	assert_int_equal(plx_mem_node_verify(va, PAGES * page, page, 1, "here"), -EXDEV);
	assert_logged("here: 600 of 600 pages are not on node 1 (some are on node 0)");
	munmap(va, PAGES * page);
}

/* The thread's own policy is what it was, whether the file could be filled or not. */
static void policy_restored(void **state)
{
	struct bitmask *nodes;
	int fd, mode;

	(void)state;
	if (numa_available() < 0)
		skip_because("a kernel without NUMA");
	nodes = numa_allocate_nodemask();
	numa_bitmask_setbit(nodes, 0);
	fd = memfd_create("pages", MFD_CLOEXEC);
	assert_int_equal(set_mempolicy(MPOL_INTERLEAVE, nodes->maskp, nodes->size + 1), 0);
	assert_int_equal(plx_mem_node_fill(fd, PAGES * plx_mem_base_page(), 0, "here"), 0);
	assert_int_equal(plx_mem_node_fill(-1, 4096, 0, "here"), -EBADF);
	numa_bitmask_clearall(nodes);
	assert_int_equal(get_mempolicy(&mode, nodes->maskp, nodes->size + 1, NULL, 0), 0);
	assert_int_equal(mode, MPOL_INTERLEAVE);
	assert_true(numa_bitmask_isbitset(nodes, 0));
	assert_int_equal(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);
	numa_free_nodemask(nodes);
	close(fd);
}

static void node_refused(void **state)
{
	int node, fd;

	(void)state;
	if (numa_available() < 0)
		skip_because("a kernel without NUMA");
	node = numa_max_node() + 1;
	if (node >= (int)numa_all_nodes_ptr->size)
		skip_because("every node that the kernel knows exists");
	fd = memfd_create("pages", MFD_CLOEXEC);
	assert_int_equal(plx_mem_node_fill(fd, 4096, node, "there"), -EXDEV);
	assert_logged("there: the node is refused: Invalid argument: it has no memory");
	close(fd);
}

static void hugepage_counts(void **state)
{
	size_t page = plx_hugepage_size();
	struct plx_hugepages all, node;
	char line[128];
	unsigned long kib = 0, total = 0;
	FILE *meminfo = fopen("/proc/meminfo", "r");

	(void)state;
	assert_non_null(meminfo);
	while (fgets(line, sizeof(line), meminfo)) {
		sscanf(line, "Hugepagesize: %lu kB", &kib);
		sscanf(line, "HugePages_Total: %lu", &total);
	}
	fclose(meminfo);
	assert_int_equal(page, kib << 10);
	if (!page)
		skip_because("the kernel has no hugepages");
	assert_int_equal(plx_hugepages_query(page, PLX_NODE_ANY, &all), 0);
	assert_int_equal(all.total, total);
	assert_true(all.free <= all.total);
	if (!plx_hugepages_query(page, 0, &node))
		assert_true(node.total <= all.total);
	assert_true(plx_mem_is_hugepage_size(page));
	assert_false(plx_mem_is_hugepage_size(plx_mem_base_page()));
	assert_false(plx_mem_is_hugepage_size(0));
}

static void no_such_hugepages(void **state)
{
	struct plx_hugepages pages;
	size_t page = plx_hugepage_size();

	(void)state;
	assert_int_equal(plx_hugepages_query(12345, PLX_NODE_ANY, &pages), -ENOENT);
	assert_int_equal(plx_hugepages_query(page, 4095, &pages), -ENOENT);
	assert_int_equal(plx_hugepages_query(page, -2, &pages), -ENOENT);
}

static void sizes_in_words(void **state)
{
	char text[PLX_MEM_SIZE_LEN];

	(void)state;
	assert_string_equal(plx_mem_size_text(0, text), "0 bytes");
	assert_string_equal(plx_mem_size_text(1023, text), "1023 bytes");
	assert_string_equal(plx_mem_size_text(4096, text), "4 KiB");
	assert_string_equal(plx_mem_size_text(64 << 20, text), "64 MiB");
	assert_string_equal(plx_mem_size_text((64 << 20) + 1024, text), "65537 KiB");
	assert_string_equal(plx_mem_size_text((size_t)1 << 50, text), "1024 TiB");
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup(node_of, keep_log),
		cmocka_unit_test_setup(verify, keep_log),
		cmocka_unit_test_setup(policy_restored, keep_log),
		cmocka_unit_test_setup(node_refused, keep_log),
		cmocka_unit_test_setup(hugepage_counts, keep_log),
		cmocka_unit_test_setup(no_such_hugepages, keep_log),
		cmocka_unit_test_setup(sizes_in_words, keep_log),
	};

	return cmocka_run_group_tests_name("mem-numa", cases, NULL, NULL);
}
