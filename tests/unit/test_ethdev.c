/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/ethdev over a driver that only keeps books: the state machine, what is checked before a
 * driver is asked, what is remembered, and that all is given back.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ether.h>

#include <pollux/log.h>

#include "ethdev_driver.h"

/* What the driver was told, and what it is to answer. */
static struct book {
	int err;       /* of the next call of any kind */
	int link_down; /* looks at it that find it so */
	int configures, starts, stops, resets, closes, rxqs, txqs, macs, modes, mcs, vlans,
		offloads;
} book;

static struct plx_eth_dev *dev;
static struct rte_mempool *pool;
static uint16_t port;
static char logged[2048];

static int answer(int *count)
{
	int err = book.err;

	book.err = 0;
	if (!err && count)
		(*count)++;
	return err;
}

static void drv_info(struct plx_eth_dev *d, struct rte_eth_dev_info *info)
{
	(void)d;
	info->max_rx_queues = 4;
	info->max_tx_queues = 40; /* more than the library has */
	info->max_mac_addrs = 3;
	info->min_rx_bufsize = 1024;
	info->max_mtu = 2000;
	info->rx_desc_lim =
		(struct rte_eth_desc_lim){ .nb_max = 1000, .nb_min = 40, .nb_align = 8 };
	info->tx_desc_lim = info->rx_desc_lim;
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_VLAN_FILTER |
				RTE_ETH_RX_OFFLOAD_RSS_HASH | RTE_ETH_RX_OFFLOAD_SCATTER;
	info->rx_queue_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	info->tx_queue_offload_capa = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	info->hash_key_size = 40;
	info->flow_type_rss_offloads = RTE_ETH_RSS_IPV4;
	info->speed_capa = RTE_ETH_LINK_SPEED_1G;
}

static int drv_configure(struct plx_eth_dev *d)
{
	(void)d;
	return answer(&book.configures);
}

static int drv_rxq_setup(struct plx_eth_dev *d, uint16_t index, const struct plx_eth_rxq *conf,
			 void **queue)
{
	(void)conf;
	*queue = &d->rxq_conf[index];
	return answer(&book.rxqs);
}

static int drv_txq_setup(struct plx_eth_dev *d, uint16_t index, const struct plx_eth_txq *conf,
			 void **queue)
{
	(void)conf;
	*queue = &d->txq_conf[index];
	return answer(&book.txqs);
}

static void drv_rxq_release(struct plx_eth_dev *d, void *queue)
{
	(void)d;
	assert_non_null(queue);
	book.rxqs--;
}

static void drv_txq_release(struct plx_eth_dev *d, void *queue)
{
	(void)d;
	assert_non_null(queue);
	book.txqs--;
}

/* Bursts that say which queue they were for. */
static uint16_t drv_rx(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	pkts[0] = queue;
	return count;
}

static uint16_t drv_tx(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	pkts[0] = queue;
	return count - 1;
}

static int drv_start(struct plx_eth_dev *d)
{
	d->rx_burst = drv_rx;
	d->tx_burst = drv_tx;
	return answer(&book.starts);
}

/* An interrupt's view of the link may still come in. */
static int drv_stop(struct plx_eth_dev *d)
{
	const struct rte_eth_link up = { .link_status = RTE_ETH_LINK_UP };

	plx_eth_intr_detach(d);
	plx_eth_intr_detach(d); /* a second time is fine */
	plx_eth_link_publish(d, &up);
	return answer(&book.stops);
}

static int drv_reset(struct plx_eth_dev *d)
{
	(void)d;
	return answer(&book.resets);
}

static void drv_close(struct plx_eth_dev *d)
{
	(void)d;
	assert_int_equal(book.rxqs, 0);
	assert_int_equal(book.txqs, 0);
	book.closes++;
}

/* Comes up when it has been looked at so many times. */
static int drv_link(struct plx_eth_dev *d)
{
	struct rte_eth_link link = { .link_speed = 10, .link_status = book.link_down == 0 };

	plx_eth_link_publish(d, &link);
	if (!book.link_down)
		return answer(NULL);
	book.link_down--;
	return -EAGAIN;
}

static int drv_mac(struct plx_eth_dev *d, unsigned int index)
{
	(void)d;
	(void)index;
	return answer(&book.macs);
}

static int drv_mc(struct plx_eth_dev *d)
{
	(void)d;
	return answer(&book.mcs);
}

static int drv_mode(struct plx_eth_dev *d)
{
	(void)d;
	return answer(&book.modes);
}

static int drv_vlan(struct plx_eth_dev *d, uint16_t id)
{
	(void)d;
	(void)id;
	return answer(&book.vlans);
}

static int drv_vlan_offload(struct plx_eth_dev *d)
{
	(void)d;
	return answer(&book.offloads);
}

static const struct plx_eth_ops ops = {
	.info = drv_info,
	.configure = drv_configure,
	.rxq_setup = drv_rxq_setup,
	.txq_setup = drv_txq_setup,
	.rxq_release = drv_rxq_release,
	.txq_release = drv_txq_release,
	.start = drv_start,
	.stop = drv_stop,
	.reset = drv_reset,
	.close = drv_close,
	.link_update = drv_link,
	.mac_set = drv_mac,
	.mc_set = drv_mc,
	.rx_mode = drv_mode,
	.vlan_filter = drv_vlan,
	.vlan_offload = drv_vlan_offload,
};

static void sink(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

static int group_setup(void **state)
{
	char *argv[] = { (char *)"test",
			 (char *)"--no-huge",
			 (char *)"--no-pci",
			 (char *)"-m",
			 (char *)"64",
			 (char *)"-l",
			 (char *)"0",
			 (char *)"--no-telemetry",
			 (char *)"--log-level=error",
			 (char *)"--no-shconf" };

	(void)state;
	plx_log_set_sink(sink, NULL);
	if (rte_eal_init(RTE_DIM(argv), argv) < 0)
		return -1;
	pool = rte_pktmbuf_pool_create("ethdev", 63, 0, 0, 1024 + RTE_PKTMBUF_HEADROOM, 0);
	return pool ? 0 : -1;
}

static int setup(void **state)
{
	(void)state;
	memset(&book, 0, sizeof(book));
	logged[0] = '\0';
	if (plx_eth_dev_alloc("0000:01:00.0", "books", -1, &ops, NULL, &dev))
		return -1;
	port = dev->port;
	dev->mac[0] = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
	plx_eth_dev_ready(dev);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (plx_eth_dev_is_valid_port(port))
		plx_eth_dev_destroy(dev);
	assert_int_equal(book.closes, 1);
	assert_int_equal(book.rxqs, 0);
	assert_int_equal(book.txqs, 0);
	assert_int_equal(plx_eth_dev_count_avail(), 0);
	return 0;
}

static void start(const struct rte_eth_conf *conf)
{
	assert_int_equal(plx_eth_dev_configure(port, 2, 2, conf), 0);
	for (uint16_t q = 0; q < 2; q++) {
		assert_int_equal(plx_eth_rx_queue_setup(port, q, 64, 0, NULL, pool), 0);
		assert_int_equal(plx_eth_tx_queue_setup(port, q, 64, 0, NULL), 0);
	}
	assert_int_equal(plx_eth_dev_start(port), 0);
}

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

static void test_addresses(void **state)
{
	struct rte_ether_addr a = { { 2, 0, 0, 0, 0, 7 } }, b = { { 2, 0, 0, 0, 0, 8 } }, got;
	struct rte_ether_addr zero = { 0 }, multi = { { 1, 0, 0x5e, 0, 0, 1 } };

	(void)state;
	start(&plain);
	assert_int_equal(plx_eth_dev_default_mac_addr_set(port, &multi), -EINVAL);
	assert_int_equal(plx_eth_dev_default_mac_addr_set(port, &zero), -EINVAL);
	book.err = -EIO;
	assert_int_equal(plx_eth_dev_default_mac_addr_set(port, &a), -EIO);
	assert_int_equal(plx_eth_macaddr_get(port, &got), 0);
	assert_int_equal(got.addr_bytes[5], 1);
	assert_int_equal(plx_eth_dev_default_mac_addr_set(port, &a), 0);
	assert_int_equal(plx_eth_macaddr_get(port, &got), 0);
	assert_int_equal(got.addr_bytes[5], 7);

	assert_int_equal(plx_eth_dev_mac_addr_add(port, &zero, 0), -EINVAL);
	assert_int_equal(plx_eth_dev_mac_addr_add(port, &b, 1), -EINVAL);
	assert_int_equal(plx_eth_dev_mac_addr_add(port, &b, 0), 0);
	assert_int_equal(plx_eth_dev_mac_addr_add(port, &b, 0), 0);
	assert_int_equal(book.macs, 2);
	b.addr_bytes[5] = 9;
	assert_int_equal(plx_eth_dev_mac_addr_add(port, &b, 0), 0);
	b.addr_bytes[5] = 10;
	assert_int_equal(plx_eth_dev_mac_addr_add(port, &b, 0), -ENOSPC);
	assert_int_equal(plx_eth_dev_mac_addr_remove(port, &a), -EADDRINUSE);
	assert_int_equal(plx_eth_dev_mac_addr_remove(port, &b), 0); /* never was there */
	b.addr_bytes[5] = 8;
	assert_int_equal(plx_eth_dev_mac_addr_remove(port, &b), 0);
	b.addr_bytes[5] = 10;
	assert_int_equal(plx_eth_dev_mac_addr_add(port, &b, 0), 0);

	assert_int_equal(plx_eth_dev_set_mc_addr_list(port, &a, 1), -EINVAL);
	assert_int_equal(plx_eth_dev_set_mc_addr_list(port, NULL, 1), -EINVAL);
	assert_int_equal(plx_eth_dev_set_mc_addr_list(port, &multi, 1), 0);
	book.err = -EIO;
	assert_int_equal(plx_eth_dev_set_mc_addr_list(port, NULL, 0), -EIO);
	assert_int_equal(dev->nb_mc, 1);
	assert_memory_equal(dev->mc, &multi, sizeof(multi));
	assert_int_equal(plx_eth_dev_set_mc_addr_list(port, NULL, 0), 0);
	assert_null(dev->mc);
}

static void test_modes(void **state)
{
	(void)state;
	/* Stopped: remembered. */
	assert_int_equal(plx_eth_promiscuous_enable(port), 0);
	assert_int_equal(book.modes, 0);
	start(&plain);
	assert_int_equal(plx_eth_promiscuous_get(port), 1);
	assert_int_equal(plx_eth_promiscuous_enable(port), 0);
	assert_int_equal(book.modes, 0);
	assert_int_equal(plx_eth_allmulticast_enable(port), 0);
	assert_int_equal(book.modes, 1);
	book.err = -EIO;
	assert_int_equal(plx_eth_promiscuous_disable(port), -EIO);
	assert_int_equal(plx_eth_promiscuous_get(port), 1);
	assert_int_equal(plx_eth_promiscuous_disable(port), 0);
	assert_int_equal(plx_eth_promiscuous_get(port), 0);
	assert_int_equal(plx_eth_allmulticast_get(port), 1);
	assert_int_equal(plx_eth_promiscuous_get(PLX_MAX_ETHPORTS), -ENODEV);
}

static void test_vlan(void **state)
{
	struct rte_eth_conf conf = { .rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_FILTER };

	(void)state;
	assert_int_equal(plx_eth_dev_vlan_filter(port, 5, 1), -ENOSYS);
	start(&conf);
	assert_int_equal(plx_eth_dev_vlan_filter(port, 4096, 1), -EINVAL);
	book.err = -EIO;
	assert_int_equal(plx_eth_dev_vlan_filter(port, 4095, 1), -EIO);
	assert_false(plx_eth_vlan_is_on(dev, 4095));
	assert_int_equal(plx_eth_dev_vlan_filter(port, 4095, 1), 0);
	assert_true(plx_eth_vlan_is_on(dev, 4095));
	assert_int_equal(plx_eth_dev_get_vlan_offload(port), RTE_ETH_VLAN_FILTER_OFFLOAD);
	assert_int_equal(plx_eth_dev_set_vlan_offload(port, RTE_ETH_QINQ_STRIP_OFFLOAD), -EINVAL);
	assert_int_equal(plx_eth_dev_set_vlan_offload(port, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
	assert_int_equal(dev->rx_offloads, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	book.err = -EIO;
	assert_int_equal(plx_eth_dev_set_vlan_offload(port, 0), -EIO);
	assert_int_equal(plx_eth_dev_get_vlan_offload(port), RTE_ETH_VLAN_STRIP_OFFLOAD);
}

static void test_mtu(void **state)
{
	uint16_t mtu;

	(void)state;
	assert_int_equal(plx_eth_dev_set_mtu(port, 1400), -EINVAL);
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &plain), 0);
	assert_int_equal(plx_eth_dev_set_mtu(port, 1400), 0);
	assert_int_equal(plx_eth_dev_set_mtu(port, 2001), -EINVAL);
	assert_int_equal(plx_eth_dev_get_mtu(port, &mtu), 0);
	assert_int_equal(mtu, 1400);
	start(&plain);
	assert_int_equal(plx_eth_dev_set_mtu(port, 1400), -ENOTSUP); /* the driver can't, running */
}

static void test_link(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = 1 };
	struct rte_eth_link link;

	(void)state;
	start(&plain);
	assert_int_equal(plx_eth_link_get_nowait(port, NULL), -EINVAL);
	book.link_down = 3;
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
	assert_int_equal(link.link_speed, 10);
	book.err = -EIO;
	assert_int_equal(plx_eth_link_get_nowait(port, &link), -EIO);
	assert_false(plx_eth_link_publish(dev, &link));
	link.link_status = 0;
	assert_true(plx_eth_link_publish(dev, &link));
	assert_int_equal(plx_eth_dev_set_link_up(port), -ENOTSUP);
	assert_int_equal(plx_eth_dev_stop(port), 0);

	/* With the interrupt the driver isn't asked each time. */
	dev->flags = RTE_ETH_DEV_INTR_LSC;
	start(&conf);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_speed, 10);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, 0);
}

static int called, order[8];

static int first(uint16_t p, enum rte_eth_event_type event, void *arg, void *ret)
{
	(void)event;
	(void)ret;
	assert_int_equal(p, port);
	order[called++] = 1;
	/* Others may be registered from here; this one can't go while it runs. */
	assert_int_equal(plx_eth_dev_callback_unregister(port, RTE_ETH_EVENT_INTR_LSC, first, arg),
			 -EAGAIN);
	return 0;
}

static int second(uint16_t p, enum rte_eth_event_type event, void *arg, void *ret)
{
	(void)p;
	(void)event;
	(void)arg;
	(void)ret;
	order[called++] = 2;
	return 0;
}

static void test_callbacks(void **state)
{
	const enum rte_eth_event_type lsc = RTE_ETH_EVENT_INTR_LSC;

	(void)state;
	called = 0;
	assert_int_equal(plx_eth_dev_callback_register(port, lsc, NULL, NULL), -EINVAL);
	assert_int_equal(plx_eth_dev_callback_register(port, RTE_ETH_EVENT_MAX, first, NULL),
			 -EINVAL);
	assert_int_equal(plx_eth_dev_callback_register(port, lsc, first, NULL), 0);
	assert_int_equal(plx_eth_dev_callback_register(port, lsc, second, NULL), 0);
	assert_int_equal(plx_eth_dev_callback_register(port, lsc, second, NULL), 0);
	plx_eth_dev_event(dev, RTE_ETH_EVENT_INTR_RMV, NULL);
	assert_int_equal(called, 0);
	plx_eth_dev_event(dev, lsc, NULL);
	assert_int_equal(called, 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_int_equal(plx_eth_dev_callback_unregister(port, lsc, first, (void *)1), 0);
	plx_eth_dev_event(dev, lsc, NULL);
	assert_int_equal(called, 4);
	assert_int_equal(plx_eth_dev_callback_unregister(port, lsc, first, (void *)-1), 0);
	plx_eth_dev_event(dev, lsc, NULL);
	assert_int_equal(called, 5);
	/* What is still registered goes with the port. */
}

static int handled;

static void handler(struct plx_eth_dev *d)
{
	if (d == dev)
		__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static bool handled_times(int count)
{
	for (int i = 0; i < 1000 && __atomic_load_n(&handled, __ATOMIC_SEQ_CST) < count; i++)
		usleep(1000);
	return __atomic_load_n(&handled, __ATOMIC_SEQ_CST) == count;
}

static void fire(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void test_interrupt(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t value;

	(void)state;
	start(&plain);
	handled = 0;
	assert_int_equal(plx_eth_intr_attach(dev, fd, handler), 0);
	fire(fd);
	assert_true(handled_times(1));
	assert_int_equal(read(fd, &value, sizeof(value)), -1); /* emptied */
	assert_int_equal(plx_eth_dev_stop(port), 0);
	fire(fd);
	usleep(20000);
	assert_int_equal(handled, 1);
	close(fd);
}

/* While a stop waits for a callback, the callback asks the port: neither waits for good. */
static int in_callback, let_ask, asked;

static int asks(uint16_t p, enum rte_eth_event_type event, void *arg, void *ret)
{
	struct rte_eth_link link;

	(void)event;
	(void)arg;
	(void)ret;
	__atomic_store_n(&in_callback, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&let_ask, __ATOMIC_SEQ_CST))
		usleep(100);
	asked = plx_eth_link_get_nowait(p, &link) == 0;
	return 0;
}

static void tell(struct plx_eth_dev *d)
{
	plx_eth_dev_event(d, RTE_ETH_EVENT_INTR_LSC, NULL);
}

static void *stops(void *arg)
{
	assert_int_equal(plx_eth_dev_stop(port), 0);
	return arg;
}

static void test_callback_meets_stop(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_t thread;

	(void)state;
	start(&plain);
	in_callback = let_ask = asked = 0;
	assert_int_equal(plx_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, asks, NULL),
			 0);
	assert_int_equal(plx_eth_intr_attach(dev, fd, tell), 0);
	fire(fd);
	while (!__atomic_load_n(&in_callback, __ATOMIC_SEQ_CST))
		usleep(100);
	assert_int_equal(pthread_create(&thread, NULL, stops, NULL), 0);
	/* The burst functions go first, then the driver waits. */
	while (__atomic_load_n(&plx_eth_burst[port].rx, __ATOMIC_SEQ_CST) == drv_rx)
		usleep(100);
	usleep(10000);
	__atomic_store_n(&let_ask, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	assert_true(asked);
	assert_int_equal(book.stops, 1);
	close(fd);
}

static void test_reset(void **state)
{
	(void)state;
	start(&plain);
	assert_int_equal(plx_eth_dev_reset(port), 0);
	assert_int_equal(book.stops, 1);
	assert_int_equal(book.resets, 1);
	assert_int_equal(book.rxqs, 0);
	assert_int_equal(plx_eth_dev_start(port), -EINVAL);
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &plain), 0);
	book.err = -EIO;
	assert_int_equal(plx_eth_dev_reset(port), -EIO);
}

static void test_no_stats(void **state)
{
	struct rte_eth_stats stats;

	(void)state;
	assert_int_equal(plx_eth_stats_get(port, &stats), -ENOTSUP);
	assert_int_equal(plx_eth_stats_get(port, NULL), -EINVAL);
	assert_int_equal(plx_eth_stats_reset(port), -ENOTSUP);
	assert_int_equal(plx_eth_xstats_get_names(port, NULL, 0), 8);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_numbers), /* first: numbers that nobody had are left */
		CASE(test_table),
		CASE(test_long_names),
		CASE(test_states),
		CASE(test_refusals),
		CASE(test_queue_again),
		CASE(test_conf_checks),
		CASE(test_offloads),
		CASE(test_descriptors),
		CASE(test_pools),
		CASE(test_addresses),
		CASE(test_modes),
		CASE(test_vlan),
		CASE(test_mtu),
		CASE(test_link),
		CASE(test_callbacks),
		CASE(test_interrupt),
		CASE(test_callback_meets_stop),
		CASE(test_reset),
		CASE(test_no_stats),
	};

	return cmocka_run_group_tests_name("ethdev", tests, group_setup, NULL);
}
