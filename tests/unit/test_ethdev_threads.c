/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/ethdev from several threads at once: ports come and go while others are looked up, and the
 * control calls of one port never overlap in its driver. For the thread sanitizer, too: the driver
 * keeps its books without a lock or an atomic.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "ethdev_driver.h"

#define ROUNDS 10000

/* A driver's private data. Whoever comes in twice at a time loses a count. */
struct book {
	unsigned int inside, calls, overlaps;
	bool closed;
};

static void enter(struct plx_eth_dev *d)
{
	struct book *book = d->priv;

	book->overlaps += book->inside++ != 0;
	book->calls++;
	book->inside--;
}

static void drv_info(struct plx_eth_dev *d, struct rte_eth_dev_info *info)
{
	enter(d);
	info->max_rx_queues = 1;
	info->max_tx_queues = 1;
	info->max_mac_addrs = 4;
}

static int drv_txq_setup(struct plx_eth_dev *d, uint16_t index, const struct plx_eth_txq *conf,
			 void **queue)
{
	(void)index;
	(void)conf;
	enter(d);
	*queue = malloc(1);
	return *queue ? 0 : -ENOMEM;
}

static void drv_txq_release(struct plx_eth_dev *d, void *queue)
{
	enter(d);
	free(queue);
}

static uint16_t drv_burst(void *queue, struct rte_mbuf **pkts, uint16_t count)
{
	(void)queue;
	(void)pkts;
	return count;
}

static int drv_start(struct plx_eth_dev *d)
{
	enter(d);
	d->rx_burst = drv_burst;
	d->tx_burst = drv_burst;
	return 0;
}

static int drv_simple(struct plx_eth_dev *d)
{
	enter(d);
	return 0;
}

static void drv_close(struct plx_eth_dev *d)
{
	enter(d);
	((struct book *)d->priv)->closed = true;
}

static int drv_mac(struct plx_eth_dev *d, unsigned int index)
{
	(void)index;
	return drv_simple(d);
}

static int drv_stats(struct plx_eth_dev *d, struct rte_eth_stats *stats)
{
	stats->ipackets = ((struct book *)d->priv)->calls;
	return drv_simple(d);
}

static const struct plx_eth_ops ops = {
	.info = drv_info,
	.txq_setup = drv_txq_setup,
	.txq_release = drv_txq_release,
	.start = drv_start,
	.stop = drv_simple,
	.reset = drv_simple,
	.close = drv_close,
	.link_update = drv_simple,
	.mac_set = drv_mac,
	.rx_mode = drv_simple,
	.stats = drv_stats,
	.stats_reset = drv_simple,
};

static struct plx_eth_dev *plug(const char *name, struct book *book)
{
	struct plx_eth_dev *dev;

	memset(book, 0, sizeof(*book));
	assert_int_equal(plx_eth_dev_alloc(name, "threads", -1, &ops, book, &dev), 0);
	dev->mac[0] = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
	plx_eth_dev_ready(dev);
	return dev;
}

/* What any thread may do to a port that may not be there. */
static void use(uint16_t port)
{
	static const struct rte_eth_conf conf;
	struct rte_ether_addr mac = { { 2, 0, 0, 0, 0, 2 } };
	struct rte_eth_dev_info info;
	struct rte_eth_stats stats;
	struct rte_eth_link link;
	char name[RTE_ETH_NAME_MAX_LEN];

	plx_eth_dev_configure(port, 0, 1, &conf);
	plx_eth_tx_queue_setup(port, 0, 0, 0, NULL);
	plx_eth_dev_start(port);
	plx_eth_stats_get(port, &stats);
	plx_eth_dev_mac_addr_add(port, &mac, 0);
	plx_eth_promiscuous_enable(port);
	plx_eth_link_get_nowait(port, &link);
	plx_eth_dev_info_get(port, &info);
	plx_eth_dev_get_name_by_port(port, name);
	plx_eth_promiscuous_disable(port);
	plx_eth_dev_mac_addr_remove(port, &mac);
	plx_eth_dev_stop(port);
	plx_eth_dev_reset(port);
}

static void *uses_all(void *arg)
{
	uint16_t port;

	for (int i = 0; i < ROUNDS / 8; i++) {
		PLX_ETH_FOREACH_DEV(port)
		use(port);
	}
	return arg;
}

static void run(unsigned int count, void *(*const *fn)(void *arg), void *arg)
{
	pthread_t thread[8];

	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, fn[i], arg), 0);
	for (unsigned int i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
}

static void calls_of_one_port_never_overlap(void **state)
{
	static void *(*const fns[])(void *arg) = { uses_all, uses_all, uses_all, uses_all };
	struct plx_eth_dev *dev;
	struct book book;

	(void)state;
	dev = plug("one", &book);
	run(4, fns, NULL);
	plx_eth_dev_destroy(dev);
	assert_int_equal(book.overlaps, 0);
	assert_true(book.calls > ROUNDS);
	assert_true(book.closed);
}

/* By its own, as hot plug does; and as an application closes it. */
static void *comes_and_goes(void *arg)
{
	static int names;
	struct book book;
	char name[16];
	uint16_t found, port;

	snprintf(name, sizeof(name), "port %d", __atomic_add_fetch(&names, 1, __ATOMIC_RELAXED));
	for (int i = 0; i < ROUNDS; i++) {
		struct plx_eth_dev *dev = plug(name, &book);

		port = dev->port;
		assert_int_equal(plx_eth_dev_get_port_by_name(name, &found), 0);
		assert_int_equal(found, port);
		if (i & 1) {
			plx_eth_dev_destroy(dev);
		} else {
			/* Somebody may have started it again. */
			do {
				plx_eth_dev_stop(port);
			} while (plx_eth_dev_close(port));
		}
		assert_true(book.closed);
		assert_int_equal(book.overlaps, 0);
	}
	return arg;
}

static void ports_come_and_go_under_their_users(void **state)
{
	static void *(*const fns[])(void *arg) = { comes_and_goes, comes_and_goes, uses_all,
						   uses_all };

	(void)state;
	run(4, fns, NULL);
	assert_int_equal(plx_eth_dev_count_avail(), 0);
}

/* Refusals ("stop the port before...") are part of the game. */
static void hush(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_of_one_port_never_overlap),
		cmocka_unit_test(ports_come_and_go_under_their_users),
	};

	plx_log_set_sink(hush, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
