/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory on the card's NUMA node: where a machine has two, and a card on either. EAL is started
 * without memory, so that all of it comes late.
 */
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <pollux/mem.h>

#include "nic.h"

#define BUFFERS 2047

struct chunks {
	int node;
	unsigned int count, elsewhere;
};

static void look(struct rte_mempool *pool, void *arg, struct rte_mempool_memhdr *chunk,
		 unsigned int index)
{
	struct chunks *chunks = arg;
	const char *last = (const char *)chunk->addr + chunk->len - 1;

	(void)pool;
	(void)index;
	chunks->count++;
	chunks->elsewhere +=
		plx_node_of(chunk->addr) != chunks->node || plx_node_of(last) != chunks->node;
}

static size_t heap_size(int node)
{
	struct rte_malloc_socket_stats stats;

	return rte_malloc_get_socket_stats(node, &stats) ? 0 : stats.heap_totalsz_bytes;
}

/* The buffers of both ports are on this one's node, which the other one has to reach, too. */
static int with_pool(const struct nic *nic, int node, size_t before)
{
	struct chunks chunks = { .node = node };
	static struct frame f;

	EXPECT(heap_size(node) > before, "no memory came to node %d for the pool", node);
	rte_mempool_mem_iter(nic->pool, look, &chunks);
	EXPECT(chunks.count && !chunks.elsewhere, "%u of %u pieces of the pool are not on node %d",
	       chunks.elsewhere, chunks.count, node);
	if (nic_restart(nic, 0, 0))
		return -1;
	frame_make(&f, nic, IPPROTO_UDP, 1, 1000);
	return nic_expect(nic, &f, true, "with buffers of the node");
}

static int on_node(const struct nic *nic, uint16_t port, int node)
{
	size_t before = heap_size(node);
	struct nic other = *nic;
	char name[32];
	int ret;

	EXPECT(plx_eth_dev_socket_id(port) == node, "port %u is on node %d, not %d", port,
	       plx_eth_dev_socket_id(port), node);
	snprintf(name, sizeof(name), "node %d", node);
	other.pool = rte_pktmbuf_pool_create(name, BUFFERS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, node);
	EXPECT(other.pool, "no pool on node %d: %s", node, rte_strerror(rte_errno));
	ret = with_pool(&other, node, before);
	/* Its buffers are the ports' until they have others. */
	ret = nic_restart(nic, 0, 0) ? -1 : ret;
	if (!ret && rte_mempool_avail_count(other.pool) != BUFFERS)
		ret = nic_fail("%u of %u buffers came back", rte_mempool_avail_count(other.pool),
			       BUFFERS);
	rte_mempool_free(other.pool);
	return ret;
}

int case_nodes(struct nic *nic)
{
	return on_node(nic, nic->tx, 0) || on_node(nic, nic->rx, 1) ? -1 : 0;
}
