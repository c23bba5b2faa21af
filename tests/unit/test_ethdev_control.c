/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/ethdev and a port that is there: addresses, modes, VLANs, its link, its events and those who
 * want to hear of them, reset, and what is remembered of all that.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_ether.h>

#include "ethdev_books.h"

static const struct rte_eth_conf plain;

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_addresses), CASE(test_modes),
		CASE(test_vlan),      CASE(test_mtu),
		CASE(test_link),      CASE(test_callbacks),
		CASE(test_interrupt), CASE(test_callback_meets_stop),
		CASE(test_reset),     CASE(test_no_stats),
	};

	return cmocka_run_group_tests_name("ethdev_control", tests, group_setup, NULL);
}
