/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NUMA placement.
 *
 * libnuma says which nodes there are. Files are filled under a policy of the thread, for a short
 * while: hugetlbfs files know no policy of their own, and mbind() on a mapping of one is not asked
 * when fallocate() takes the pages. Where they ended up is read with move_pages() in its asking
 * form: it neither faults pages in nor moves any.
 */
#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <numaif.h>
#include <string.h>

#include <pollux/log.h>

#include "internal.h"
#include "sys.h"

#define ONLINE_NODES "/sys/devices/system/node/online"
#define QUERY_BATCH  256

/*
 * A kernel without NUMA, or a sandbox that forbids the calls. With a single node nothing is lost:
 * all memory is on node 0.
 */
static bool single_node(void)
{
	char nodes[64];

	return plx_sys_read_text(ONLINE_NODES, nodes, sizeof(nodes)) < 0 || !strcmp(nodes, "0");
}

int plx_mem_node_check(int node, const char *what)
{
	char nodes[256];

	if (node == PLX_NODE_ANY)
		return 0;
	if (plx_sys_read_text(ONLINE_NODES, nodes, sizeof(nodes)) < 0)
		strcpy(nodes, "0");
	if (numa_available() < 0) {
		if (single_node() && node == 0)
			return 0;
		if (!single_node()) {
			plx_err("%s: memory can't be placed: this process may not use the NUMA "
				"system calls (a container's seccomp "
				"profile? it needs CAP_SYS_NICE)",
				what);
			return -EPERM;
		}
	} else if (node >= 0 && node <= numa_max_node() &&
		   numa_bitmask_isbitset(numa_nodes_ptr, node)) {
		return 0;
	}
	plx_err("%s: there is no node %d; this system has: %s", what, node, nodes);
	return -ENODEV;
}

/* What a thread's own policy was before it was bound to a node. */
struct policy {
	int mode;
	struct bitmask *nodes;
};

static int bind_thread(int node, struct policy *saved)
{
	struct bitmask *nodes = numa_allocate_nodemask();
	long failed;

	numa_bitmask_setbit(nodes, node);
	saved->nodes = numa_allocate_nodemask();
	/* The kernel counts the bits of a mask plus one. */
	failed = get_mempolicy(&saved->mode, saved->nodes->maskp, saved->nodes->size + 1, NULL, 0);
	if (!failed)
		failed = set_mempolicy(MPOL_BIND, nodes->maskp, nodes->size + 1);
	if (failed) {
		failed = -errno;
		numa_free_nodemask(saved->nodes);
	}
	numa_free_nodemask(nodes);
	return failed;
}

static void unbind_thread(struct policy *saved)
{
	set_mempolicy(saved->mode, saved->nodes->maskp, saved->nodes->size + 1);
	numa_free_nodemask(saved->nodes);
}

int plx_mem_node_fill(int fd, size_t len, int node, const char *what)
{
	bool bound = node != PLX_NODE_ANY && numa_available() >= 0;
	struct policy saved;
	int err = 0;

	if (bound)
		err = bind_thread(node, &saved);
	if (err) {
		plx_err("%s: the node is refused: %s%s", what, strerror(-err),
			err == -EINVAL
				? ": it has no memory, or the cpuset of this process leaves it "
				  "out (Mems_allowed in /proc/self/status)"
				: "");
		return -EXDEV;
	}
	if (fallocate(fd, 0, 0, len))
		err = -errno;
	if (bound)
		unbind_thread(&saved);
	return err;
}

/* The nodes (or -errno) of count pages. */
static int query_nodes(const void *va, size_t page_size, size_t count, int *status)
{
	void *page[QUERY_BATCH];

	for (size_t i = 0; i < count; i++)
		page[i] = (char *)va + i * page_size;
	if (!move_pages(0, count, page, NULL, status, 0))
		return 0;
	return -errno;
}

int plx_mem_node_verify(const void *va, size_t len, size_t page_size, int node, const char *what)
{
	size_t pages = len / page_size, astray = 0, absent = 0;
	int status[QUERY_BATCH], other = -1, err;

	if (numa_available() < 0)
		return 0;
	for (size_t done = 0, n; done < pages; done += n) {
		n = pages - done < QUERY_BATCH ? pages - done : QUERY_BATCH;
		err = query_nodes((const char *)va + done * page_size, page_size, n, status);
		if (err == -ENOSYS)
			return 0; /* a kernel without page migration can't tell */
		if (err) {
			plx_err("%s: can't tell where its pages are: %s", what, strerror(-err));
			return -EXDEV;
		}
		for (size_t i = 0; i < n; i++) {
			if (status[i] < 0) {
				absent++;
			} else if (node != PLX_NODE_ANY && status[i] != node) {
				other = status[i];
				astray++;
			}
		}
	}
	if (absent)
		plx_err("%s: %zu of %zu pages are not there after faulting them in", what, absent,
			pages);
	if (astray)
		plx_err("%s: %zu of %zu pages are not on node %d (some are on node %d)", what,
			astray, pages, node, other);
	return absent || astray ? -EXDEV : 0;
}

int plx_node_of(const void *va)
{
	int status, err = query_nodes(va, 0, 1, &status);

	if (err)
		return err == -ENOSYS && single_node() ? 0 : err;
	return status;
}
