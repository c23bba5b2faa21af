/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

#include <pollux/log.h>

#include "ethdev_books.h"

struct book book;
struct plx_eth_dev *dev;
struct rte_mempool *pool;
uint16_t port;
char logged[2048];

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
uint16_t drv_rx(void *queue, struct rte_mbuf **pkts, uint16_t count)
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

const struct plx_eth_ops ops = {
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

int group_setup(void **state)
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

int setup(void **state)
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

int teardown(void **state)
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

void start(const struct rte_eth_conf *conf)
{
	assert_int_equal(plx_eth_dev_configure(port, 2, 2, conf), 0);
	for (uint16_t q = 0; q < 2; q++) {
		assert_int_equal(plx_eth_rx_queue_setup(port, q, 64, 0, NULL, pool), 0);
		assert_int_equal(plx_eth_tx_queue_setup(port, q, 64, 0, NULL), 0);
	}
	assert_int_equal(plx_eth_dev_start(port), 0);
}
