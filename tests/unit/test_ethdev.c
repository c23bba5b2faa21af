/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/ethdev until a port runs: names and numbers, the state machine, what is checked before a
 * driver is asked, and that all is given back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ether.h>

#include "ethdev_books.h"

static const struct rte_eth_conf plain;

static void test_table(void **state)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	struct plx_eth_dev *more[PLX_MAX_ETHPORTS];
	uint16_t p, n = 0;

	(void)state;
	assert_int_equal(plx_eth_dev_count_avail(), 1);
	assert_int_equal(plx_eth_dev_get_name_by_port(port, name), 0);
	assert_string_equal(name, "0000:01:00.0");
	assert_int_equal(plx_eth_dev_get_port_by_name("0000:01:00.1", &p), -ENODEV);
	assert_int_equal(plx_eth_dev_get_name_by_port(PLX_MAX_ETHPORTS, name), -ENODEV);
	assert_int_equal(plx_eth_dev_get_name_by_port(UINT16_MAX, name), -ENODEV);
	assert_int_equal(plx_eth_dev_alloc("0000:01:00.0", "books", -1, &ops, NULL, &more[0]),
			 -EEXIST);
	for (p = 0; p < PLX_MAX_ETHPORTS - 1; p++) {
		snprintf(name, sizeof(name), "port %u", p);
		assert_int_equal(plx_eth_dev_alloc(name, "books", -1, &ops, NULL, &more[p]), 0);
	}
	assert_int_equal(plx_eth_dev_alloc("one more", "books", -1, &ops, NULL, &more[p]), -ENOSPC);
	/* Nobody sees them before they are ready. */
	assert_int_equal(plx_eth_dev_count_avail(), 1);
	plx_eth_dev_ready(more[5]);
	PLX_ETH_FOREACH_DEV(p)
	n++;
	assert_int_equal(n, 2);
	assert_int_equal(plx_eth_find_next(port + 1), more[5]->port);
	for (p = 0; p < PLX_MAX_ETHPORTS - 1; p++)
		plx_eth_dev_free(more[p]);
}

/* Names of devices may be longer than those of ports: the end of a path tells most. */
static void test_long_names(void **state)
{
	char name[RTE_ETH_NAME_MAX_LEN], path[100];
	struct plx_eth_dev *d[2], *twin;

	(void)state;
	memset(path, '/', sizeof(path));
	strcpy(path + sizeof(path) - 2, "a");
	assert_int_equal(plx_eth_dev_alloc(path, "books", -1, &ops, NULL, &d[0]), 0);
	assert_int_equal(plx_eth_dev_alloc(path, "books", -1, &ops, NULL, &twin), -EEXIST);
	strcpy(path + sizeof(path) - 2, "b");
	assert_int_equal(plx_eth_dev_alloc(path, "books", -1, &ops, NULL, &d[1]), 0);
	plx_eth_dev_ready(d[1]);
	assert_int_equal(plx_eth_dev_get_name_by_port(d[1]->port, name), 0);
	assert_string_equal(name, path + strlen(path) - (RTE_ETH_NAME_MAX_LEN - 1));
	plx_eth_dev_free(d[1]);
	plx_eth_dev_free(d[0]);
}

/* A device that comes back finds its number, as long as there are others for others. */
static void test_numbers(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	struct plx_eth_dev *d[3], *other, *many[PLX_MAX_ETHPORTS];
	uint16_t number[3];
	char name[16];

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(plx_eth_dev_alloc(names[i], "books", -1, &ops, NULL, &d[i]), 0);
		number[i] = d[i]->port;
	}
	for (int i = 0; i < 3; i++)
		plx_eth_dev_free(d[i]);
	assert_int_equal(plx_eth_dev_alloc("d", "books", -1, &ops, NULL, &other), 0);
	for (int i = 2; i >= 0; i--) {
		assert_int_equal(plx_eth_dev_alloc(names[i], "books", -1, &ops, NULL, &d[i]), 0);
		assert_int_equal(d[i]->port, number[i]);
		assert_int_not_equal(other->port, number[i]);
	}
	plx_eth_dev_free(other);
	for (int i = 0; i < 3; i++)
		plx_eth_dev_free(d[i]);
	/* Numbers that were somebody's are given away at last. */
	for (int i = 0; i < PLX_MAX_ETHPORTS - 1; i++) {
		snprintf(name, sizeof(name), "new %d", i);
		assert_int_equal(plx_eth_dev_alloc(name, "books", -1, &ops, NULL, &many[i]), 0);
	}
	assert_int_equal(plx_eth_dev_alloc("a", "books", -1, &ops, NULL, &other), -ENOSPC);
	for (int i = 0; i < PLX_MAX_ETHPORTS - 1; i++)
		plx_eth_dev_free(many[i]);
}

static void test_states(void **state)
{
	struct rte_mbuf *pkts[4];

	(void)state;
	assert_int_equal(plx_eth_dev_start(port), -EINVAL);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), -EINVAL);
	assert_int_equal(plx_eth_rx_burst(port, 0, pkts, 4), 0);
	assert_int_equal(plx_eth_tx_burst(port, PLX_MAX_QUEUES - 1, pkts, 4), 0);

	assert_int_equal(plx_eth_dev_configure(port, 2, 2, &plain), 0);
	assert_int_equal(plx_eth_dev_start(port), -EINVAL);
	assert_non_null(strstr(logged, "receive queue 0 is not set up"));
	start(&plain);
	assert_int_equal(plx_eth_dev_start(port), 0);
	assert_int_equal(book.starts, 1);

	/* Each queue has its own functions' ear. */
	assert_int_equal(plx_eth_rx_burst(port, 1, pkts, 4), 4);
	assert_ptr_equal(pkts[0], &dev->rxq_conf[1]);
	assert_int_equal(plx_eth_tx_burst(port, 0, pkts, 4), 3);
	assert_ptr_equal(pkts[0], &dev->txq_conf[0]);
	assert_int_equal(plx_eth_tx_prepare(port, 0, pkts, 4), 4);

	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &plain), -EBUSY);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), -EBUSY);
	assert_int_equal(plx_eth_tx_queue_setup(port, 0, 64, 0, NULL), -EBUSY);
	assert_int_equal(plx_eth_dev_close(port), -EINVAL);

	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(book.stops, 1);
	assert_int_equal(plx_eth_rx_burst(port, 1, pkts, 4), 0);
	assert_int_equal(plx_eth_tx_burst(port, 1, pkts, 4), 0);

	/* Fewer queues: the others are freed, the ones that stay are ready. */
	assert_int_equal(book.rxqs, 2);
	assert_int_equal(plx_eth_dev_configure(port, 1, 2, &plain), 0);
	assert_int_equal(book.rxqs, 1);
	assert_int_equal(book.txqs, 2);
	assert_int_equal(plx_eth_dev_start(port), 0);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_dev_close(port), 0);
	assert_int_equal(plx_eth_dev_start(port), -ENODEV);
	assert_int_equal(plx_eth_rx_burst(port, 0, pkts, 4), 0);
}

/* A driver's refusal is passed on and changes nothing. */
static void test_refusals(void **state)
{
	struct rte_eth_conf conf = { .rxmode = { .mtu = 1800 } };
	struct rte_mbuf *pkts[4];
	uint16_t mtu;

	(void)state;
	start(&plain);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	book.err = -EIO;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EIO);
	assert_int_equal(plx_eth_dev_get_mtu(port, &mtu), 0);
	assert_int_equal(mtu, 1500);
	assert_int_equal(book.rxqs, 2);
	book.err = -EIO;
	assert_int_equal(plx_eth_dev_start(port), -EIO);
	assert_int_equal(plx_eth_rx_burst(port, 0, pkts, 4), 0);
	assert_int_equal(plx_eth_dev_close(port), 0);
}

/* A queue whose new set-up fails stays as it is. */
static void test_queue_again(void **state)
{
	(void)state;
	start(&plain);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 128, 0, NULL, pool), 0);
	assert_int_equal(book.rxqs, 2);
	book.err = -ENOMEM;
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), -ENOMEM);
	assert_int_equal(book.rxqs, 2);
	assert_int_equal(dev->rxq_conf[0].desc, 128);
	assert_int_equal(plx_eth_tx_queue_setup(port, 1, 128, 0, NULL), 0);
	assert_int_equal(book.txqs, 2);
	book.err = -ENOMEM;
	assert_int_equal(plx_eth_tx_queue_setup(port, 1, 64, 0, NULL), -ENOMEM);
	assert_int_equal(book.txqs, 2);
	assert_int_equal(dev->txq_conf[1].desc, 128);
	assert_int_equal(plx_eth_dev_start(port), 0);
}

static void test_conf_checks(void **state)
{
	uint8_t key[40];
	struct rte_eth_conf conf = plain;

	(void)state;
	assert_int_equal(plx_eth_dev_configure(PLX_MAX_ETHPORTS, 1, 1, &plain), -ENODEV);
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, NULL), -EINVAL);
	assert_int_equal(plx_eth_dev_configure(port, 5, 1, &plain), -EINVAL);
	assert_int_equal(plx_eth_dev_configure(port, 1, PLX_MAX_QUEUES + 1, &plain), -EINVAL);
	assert_int_equal(plx_eth_dev_configure(port, 4, PLX_MAX_QUEUES, &plain), 0);
	assert_int_equal(plx_eth_dev_configure(port, 0, 0, &plain), 0);
	assert_int_equal(dev->nb_rxq, 1);

	conf.rxmode.mtu = 2001;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	conf.rxmode.mtu = 2000;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);

	conf = plain;
	conf.intr_conf.lsc = 1;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	dev->flags = RTE_ETH_DEV_INTR_LSC;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);
	conf.intr_conf.rxq = 1;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -ENOTSUP);

	conf = plain;
	conf.lpbk_mode = 1;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -ENOTSUP);

	conf = plain;
	conf.rxmode.mq_mode = RTE_ETH_MQ_RX_DCB;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IPV6;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	conf.rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){ key, 39, RTE_ETH_RSS_IPV4 };
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	conf.rx_adv_conf.rss_conf.rss_key_len = 40;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);
}

/* What the port can't do is refused by its name in rte_ethdev. */
static void test_offloads(void **state)
{
	struct rte_eth_conf conf = plain;
	struct rte_eth_txconf txconf = { 0 };
	struct rte_eth_rxconf rxconf = { 0 };

	(void)state;
	conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_TCP_LRO |
			       RTE_ETH_RX_OFFLOAD_TIMESTAMP;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	assert_non_null(strstr(logged, "RTE_ETH_RX_OFFLOAD_TCP_LRO RTE_ETH_RX_OFFLOAD_TIMESTAMP"));
	assert_null(strstr(logged, "VLAN_STRIP"));
	conf.rxmode.offloads = RTE_BIT64(63);
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	assert_non_null(strstr(logged, "0x8000000000000000"));
	conf.rxmode.offloads = ~UINT64_C(0);
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_RSS_HASH;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	assert_non_null(strstr(logged, "RTE_ETH_TX_OFFLOAD_TCP_TSO"));
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);

	/* A queue may have what the port has, and what is a queue's own to have. */
	txconf.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	assert_int_equal(plx_eth_tx_queue_setup(port, 0, 64, 0, &txconf), 0);
	assert_int_equal(dev->txq_conf[0].conf.offloads, txconf.offloads);
	rxconf.offloads = RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, &rxconf, pool), -EINVAL);
	assert_non_null(strstr(logged, "receive queue 0"));
	rxconf.offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, &rxconf, pool), 0);
	assert_int_equal(dev->rxq_conf[0].conf.offloads,
			 RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	rxconf.rx_deferred_start = 1;
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, &rxconf, pool), -ENOTSUP);
}

static void test_descriptors(void **state)
{
	uint16_t rx, tx;

	(void)state;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &plain), 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 1, 64, 0, NULL, pool), -EINVAL);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 32, 0, NULL, pool), -EINVAL);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 44, 0, NULL, pool), -EINVAL);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 1008, 0, NULL, pool), -EINVAL);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 1000, 0, NULL, pool), 0);
	assert_int_equal(plx_eth_tx_queue_setup(port, 0, 36, 0, NULL), -EINVAL);
	assert_int_equal(plx_eth_tx_queue_setup(port, 0, 0, 0, NULL), 0);
	assert_int_equal(dev->txq_conf[0].desc, 512);
	rx = 1;
	tx = 65535;
	assert_int_equal(plx_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx), 0);
	assert_int_equal(rx, 40);
	assert_int_equal(tx, 1000);
	rx = 41;
	tx = 0;
	assert_int_equal(plx_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx), 0);
	assert_int_equal(rx, 48);
	assert_int_equal(tx, 512);
}

static void test_pools(void **state)
{
	struct rte_mempool *bad;

	(void)state;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &plain), 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, NULL), -EINVAL);
	bad = rte_mempool_create("nombufs", 15, 64, 0, 0, NULL, NULL, NULL, NULL, 0, 0);
	assert_non_null(bad);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, bad), -ENOSPC);
	rte_mempool_free(bad);
	bad = rte_pktmbuf_pool_create("narrow", 15, 0, 0, 1023 + RTE_PKTMBUF_HEADROOM, 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, bad), -EINVAL);
	assert_non_null(strstr(logged, "narrow"));
	rte_mempool_free(bad);
	assert_int_equal(book.rxqs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_numbers), /* first: numbers that nobody had are left */
		CASE(test_table),    CASE(test_long_names),  CASE(test_states),
		CASE(test_refusals), CASE(test_queue_again), CASE(test_conf_checks),
		CASE(test_offloads), CASE(test_descriptors), CASE(test_pools),
	};

	return cmocka_run_group_tests_name("ethdev", tests, group_setup, NULL);
}
