/* SPDX-License-Identifier: BSD-3-Clause */
/* Which hugepages the system has. Sizes come from libhugetlbfs, counts from sysfs. */
#include <errno.h>
#include <stdio.h>
#include <hugetlbfs.h> /* needs size_t */
#include <unistd.h>

#include "internal.h"
#include "sys.h"

/* No architecture has more hugepage sizes than its page tables have levels, twice over. */
#define MAX_PAGE_SIZES 16

size_t plx_mem_base_page(void)
{
	return sysconf(_SC_PAGESIZE);
}

size_t plx_hugepage_size(void)
{
	long size = gethugepagesize();

	return size > 0 ? size : 0;
}

bool plx_mem_is_hugepage_size(size_t page_size)
{
	long sizes[MAX_PAGE_SIZES];
	int count = gethugepagesizes(sizes, MAX_PAGE_SIZES);

	for (int i = 0; i < count; i++) {
		if (sizes[i] > 0 && (size_t)sizes[i] == page_size)
			return true;
	}
	return false;
}

void plx_mem_hugepages_path(size_t page_size, int node, const char *file, char *path)
{
	if (node == PLX_NODE_ANY)
		snprintf(path, PLX_MEM_PATH_LEN, "/sys/kernel/mm/hugepages/hugepages-%zukB/%s",
			 page_size >> 10, file);
	else
		snprintf(path, PLX_MEM_PATH_LEN,
			 "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/%s", node,
			 page_size >> 10, file);
}

static int read_count(size_t page_size, int node, const char *file, uint64_t *count)
{
	char path[PLX_MEM_PATH_LEN];

	plx_mem_hugepages_path(page_size, node, file, path);
	return plx_sys_read_u64(path, count);
}

int plx_hugepages_query(size_t page_size, int node, struct plx_hugepages *pages)
{
	uint64_t reserved;
	int err;

	if (node < PLX_NODE_ANY)
		return -ENOENT;
	err = read_count(page_size, node, "nr_hugepages", &pages->total);
	if (!err)
		err = read_count(page_size, node, "free_hugepages", &pages->free);
	/* Reservations are counted for the system only: a node has no such file. */
	if (!err && node == PLX_NODE_ANY) {
		err = read_count(page_size, node, "resv_hugepages", &reserved);
		if (!err)
			pages->free -= reserved < pages->free ? reserved : pages->free;
	}
	return err;
}

const char *plx_mem_size_text(size_t size, char text[PLX_MEM_SIZE_LEN])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned unit = 0;

	while (unit < 4 && size >= 1024 && size % 1024 == 0) {
		size /= 1024;
		unit++;
	}
	snprintf(text, PLX_MEM_SIZE_LEN, "%zu %s", size, units[unit]);
	return text;
}
