/* SPDX-License-Identifier: BSD-3-Clause */
#include "e1000_rig.h"

struct rte_mempool *pool, *other;
uint16_t port;
uint32_t sent, got;

static int setup(enum plx_addr_policy policy, bool vectors)
{
	if (fake_eal() < 0)
		return -1;
	pool = rte_pktmbuf_pool_create("pool", POOL_SIZE, 128, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	other = rte_pktmbuf_pool_create("other", POOL_SIZE, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (!pool || !other)
		return -1;
	port = fake_plug(policy, vectors);
	fake_map(pool, true);
	fake_map(other, true);
	sent = 0;
	got = 0;
	return 0;
}

int setup_direct(void **state)
{
	*state = NULL;
	return setup(PLX_ADDR_VA, true);
}

int setup_xlate(void **state)
{
	*state = NULL;
	return setup(PLX_ADDR_ALLOC, true);
}

int setup_polled(void **state)
{
	*state = NULL;
	return setup(PLX_ADDR_VA, false);
}

int setup_sparse(void **state)
{
	fake.sparse = true;
	return setup_direct(state);
}

int teardown(void **state)
{
	(void)state;
	fake.sparse = false;
	fake_unplug();
	assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
	assert_int_equal(rte_mempool_avail_count(other), POOL_SIZE);
	rte_mempool_free(pool);
	rte_mempool_free(other);
	return 0;
}

static uint64_t bytes_of(uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += 60 + i % 1400;
	return bytes;
}

void check_rx_bytes(uint32_t count)
{
	struct rte_eth_stats stats;

	assert_int_equal(plx_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ibytes, bytes_of(count));
	assert_int_equal(stats.q_ibytes[0], stats.ibytes);
}

void check_tx_bytes(uint32_t count)
{
	struct rte_eth_stats stats;

	assert_int_equal(plx_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.obytes, bytes_of(count));
	assert_int_equal(stats.q_obytes[0], stats.obytes);
}
