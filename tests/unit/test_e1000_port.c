/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 82574 driver as a port, against a device of memory: what it writes to which register, its
 * link, interrupts and statistics, and that every failure gives back what was taken.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_ether.h>

#include "e1000_rig.h"

static void queues(const struct rte_eth_conf *conf, uint16_t count)
{
	assert_int_equal(plx_eth_dev_configure(port, count, count, conf), 0);
	for (uint16_t q = 0; q < count; q++) {
		assert_int_equal(plx_eth_rx_queue_setup(port, q, 128, 0, NULL, pool), 0);
		assert_int_equal(plx_eth_tx_queue_setup(port, q, 256, 0, NULL), 0);
	}
}

static void start(const struct rte_eth_conf *conf, uint16_t count)
{
	queues(conf, count);
	assert_int_equal(plx_eth_dev_start(port), 0);
	fake_rings_reset();
}

static void test_address(void **state)
{
	static const struct rte_ether_addr want = { { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 } };
	struct rte_ether_addr mac;

	(void)state;
	assert_int_equal(plx_eth_macaddr_get(port, &mac), 0);
	assert_memory_equal(&mac, &want, sizeof(mac));
}

static void test_rings(void **state)
{
	struct rte_eth_conf conf = { 0 };

	(void)state;
	start(&conf, 2);
	assert_true(fake.master);
	for (unsigned int q = 0; q < 2; q++) {
		assert_int_equal(fake_read(E1000_RDLEN(q)), 128 * 16);
		assert_int_equal(fake_read(E1000_TDLEN(q)), 256 * 16);
		assert_int_equal(fake_read(E1000_RDT(q)), 127);
		assert_int_equal(fake_read(E1000_TDT(q)), 0);
		assert_int_equal(fake_read(E1000_RDBAL(q)) % 128, 0);
		assert_true(fake_read(E1000_TARC(q)) & E1000_TARC_ENABLE);
	}
	assert_true(fake_read(E1000_RFCTL) & E1000_RFCTL_EXSTEN);
	assert_int_equal(fake_read(E1000_RCTL),
			 E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_SECRC | E1000_RCTL_FLXBUF(2));
	assert_true(fake_read(E1000_CTRL) & E1000_CTRL_SLU);
	assert_false(fake_read(E1000_CTRL) & (E1000_CTRL_GIO_MASTER_DISABLE | E1000_CTRL_VME));
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_false(fake.master);
	assert_false(fake_read(E1000_RCTL) & E1000_RCTL_EN);
	assert_false(fake_read(E1000_TCTL) & E1000_TCTL_EN);
	assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
}

/* Bursts do without a call, whatever else is trapped. */
static void test_doorbells(void **state)
{
	struct rte_eth_conf conf = { 0 };
	uint8_t data[60] = { 0xff };
	const struct fake_rx rx = { .data = data,
				    .data_len = sizeof(data),
				    .length = sizeof(data),
				    .status = E1000_RXD_EOP };
	struct rte_mbuf *pkts[64];
	struct fake_tx tx;
	unsigned int i, n = 0;

	(void)state;
	start(&conf, 1);
	assert_true(fake.trapped > 0);
	fake.trapped = 0;
	for (i = 0; i < 64; i++)
		assert_true(fake_receive(0, &rx));
	while (n < 64)
		n += plx_eth_rx_burst(port, 0, pkts + n, 64 - n);
	assert_int_not_equal(fake_read(E1000_RDT(0)), 127);
	assert_int_equal(plx_eth_tx_burst(port, 0, pkts, 64), 64);
	for (i = 0; i < 64; i++)
		assert_true(fake_transmit(0, &tx));
	assert_int_equal(fake.trapped, 0);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* The buffer size in RCTL never exceeds what the mempool's buffers have. */
static void test_buffer_sizes(void **state)
{
	static const struct {
		uint16_t room;
		uint32_t rctl;
	} sizes[] = {
		{ 256, E1000_RCTL_BSIZE_256 },	  { 511, E1000_RCTL_BSIZE_256 },
		{ 512, E1000_RCTL_BSIZE_512 },	  { 1023, E1000_RCTL_BSIZE_512 },
		{ 1024, E1000_RCTL_FLXBUF(1) },	  { 2047, E1000_RCTL_FLXBUF(1) },
		{ 2048, E1000_RCTL_FLXBUF(2) },	  { 9234, E1000_RCTL_FLXBUF(9) },
		{ 20000, E1000_RCTL_FLXBUF(15) },
	};
	struct rte_eth_conf conf = { 0 };
	struct rte_mempool *p;

	(void)state;
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		p = rte_pktmbuf_pool_create("sized", 127, 0, 0,
					    sizes[i].room + RTE_PKTMBUF_HEADROOM, 0);
		assert_non_null(p);
		fake_map(p, true);
		assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);
		assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, p), 0);
		assert_int_equal(plx_eth_tx_queue_setup(port, 0, 64, 0, NULL), 0);
		assert_int_equal(plx_eth_dev_start(port), 0);
		assert_int_equal(fake_read(E1000_RCTL) & (E1000_RCTL_FLXBUF(15) | 3u << 16),
				 sizes[i].rctl);
		assert_int_equal(plx_eth_dev_stop(port), 0);
		assert_int_equal(plx_eth_dev_configure(port, 0, 1, &conf), 0);
		rte_mempool_free(p);
	}
	p = rte_pktmbuf_pool_create("sized", 127, 0, 0, 255 + RTE_PKTMBUF_HEADROOM, 0);
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, p), -EINVAL);
	rte_mempool_free(p);
}

static void test_filters(void **state)
{
	struct rte_eth_conf conf = { .rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_FILTER };
	struct rte_ether_addr a = { { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 } };
	struct rte_ether_addr mc[2] = { { { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 } },
					{ { 0x33, 0x33, 0x00, 0x00, 0xab, 0xcd } } };

	(void)state;
	/* Some before the start, some after it: all the same. */
	assert_int_equal(plx_eth_promiscuous_enable(port), 0);
	assert_int_equal(plx_eth_dev_mac_addr_add(port, &a, 0), 0);
	start(&conf, 1);
	assert_true(fake_read(E1000_RCTL) & E1000_RCTL_VFE);
	assert_int_equal(fake_read(E1000_RCTL) & (E1000_RCTL_UPE | E1000_RCTL_MPE),
			 E1000_RCTL_UPE | E1000_RCTL_MPE);
	assert_int_equal(fake_read(E1000_RAL(1)), 0x33221102);
	assert_int_equal(fake_read(E1000_RAH(1)), 0x5544 | E1000_RAH_AV);

	assert_int_equal(plx_eth_promiscuous_disable(port), 0);
	assert_int_equal(plx_eth_allmulticast_enable(port), 0);
	assert_int_equal(fake_read(E1000_RCTL) & (E1000_RCTL_UPE | E1000_RCTL_MPE), E1000_RCTL_MPE);
	assert_int_equal(plx_eth_dev_mac_addr_remove(port, &a), 0);
	assert_int_equal(fake_read(E1000_RAH(1)), 0);
	for (int i = 1; i < E1000_RX_ADDRS; i++) {
		a.addr_bytes[5] = i;
		assert_int_equal(plx_eth_dev_mac_addr_add(port, &a, 0), 0);
		assert_true(fake_read(E1000_RAH(i)) & E1000_RAH_AV);
	}
	a.addr_bytes[5] = 99;
	assert_int_equal(plx_eth_dev_mac_addr_add(port, &a, 0), -ENOSPC);
	assert_int_equal(plx_eth_dev_default_mac_addr_set(port, &a), 0);
	assert_int_equal(fake_read(E1000_RAH(0)), 0x6344 | E1000_RAH_AV);

	/* Bits 47:36: (0 | 1 << 4) and (0xa | 0xcd << 4). */
	assert_int_equal(plx_eth_dev_set_mc_addr_list(port, mc, 2), 0);
	assert_int_equal(fake_read(E1000_MTA(0x010 / 32)), UINT32_C(1) << 0x010 % 32);
	assert_int_equal(fake_read(E1000_MTA(0xcda / 32)), UINT32_C(1) << 0xcda % 32);
	assert_int_equal(plx_eth_dev_set_mc_addr_list(port, mc, 1), 0);
	assert_int_equal(fake_read(E1000_MTA(0xcda / 32)), 0);

	assert_int_equal(plx_eth_dev_vlan_filter(port, 4095, 1), 0);
	assert_int_equal(plx_eth_dev_vlan_filter(port, 33, 1), 0);
	assert_int_equal(plx_eth_dev_vlan_filter(port, 34, 1), 0);
	assert_int_equal(plx_eth_dev_vlan_filter(port, 33, 0), 0);
	assert_int_equal(fake_read(E1000_VFTA(127)), UINT32_C(1) << 31);
	assert_int_equal(fake_read(E1000_VFTA(1)), UINT32_C(1) << 2);

	assert_int_equal(plx_eth_dev_set_vlan_offload(port, RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
	assert_true(fake_read(E1000_CTRL) & E1000_CTRL_VME);
	assert_false(fake_read(E1000_RCTL) & E1000_RCTL_VFE);
	assert_int_equal(plx_eth_dev_stop(port), 0);

	/* And the next start brings it all back. */
	fake_write(E1000_VFTA(1), 0);
	fake_write(E1000_RAH(3), 0);
	fake_write(E1000_MTA(0), 0);
	assert_int_equal(plx_eth_dev_start(port), 0);
	assert_int_equal(fake_read(E1000_VFTA(1)), UINT32_C(1) << 2);
	assert_true(fake_read(E1000_RAH(3)) & E1000_RAH_AV);
	assert_int_equal(fake_read(E1000_MTA(0)), UINT32_C(1) << 16);
	assert_true(fake_read(E1000_CTRL) & E1000_CTRL_VME);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

static void test_rss(void **state)
{
	uint8_t key[40];
	struct rte_eth_conf conf = {
		.rxmode = { .mq_mode = RTE_ETH_MQ_RX_RSS },
		.rx_adv_conf.rss_conf = { .rss_key = key,
					  .rss_key_len = 40,
					  .rss_hf =
						  RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV6_TCP },
	};

	(void)state;
	for (int i = 0; i < 40; i++)
		key[i] = i + 1;
	queues(&conf, 2);
	memset(key, 0, sizeof(key)); /* the port has its own copy */
	assert_int_equal(plx_eth_dev_start(port), 0);
	assert_int_equal(fake_read(E1000_MRQC),
			 E1000_MRQC_RSS | E1000_MRQC_IPV4 | E1000_MRQC_TCPIPV6);
	assert_int_equal(fake_read(E1000_RSSRK(0)), 0x04030201);
	assert_int_equal(fake_read(E1000_RSSRK(9)), 0x28272625);
	assert_int_equal(fake_read(E1000_RETA(31)), 0x80008000);
	assert_true(fake_read(E1000_RXCSUM) & E1000_RXCSUM_PCSD);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	assert_int_equal(plx_eth_dev_configure(port, 2, 2, &conf), 0);
	assert_int_equal(plx_eth_dev_start(port), 0);
	assert_int_equal(fake_read(E1000_MRQC), 0);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

static void test_jumbo(void **state)
{
	struct rte_eth_conf conf = { .rxmode.mtu = 9216 };
	uint16_t mtu;

	(void)state;
	start(&conf, 1);
	assert_true(fake_read(E1000_RCTL) & E1000_RCTL_LPE);
	assert_int_equal(plx_eth_dev_get_mtu(port, &mtu), 0);
	assert_int_equal(mtu, 9216);
	assert_int_equal(plx_eth_dev_set_mtu(port, 9217), -EINVAL);
	assert_int_equal(plx_eth_dev_set_mtu(port, 1500), -EBUSY);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_dev_set_mtu(port, 1500), 0);
	assert_int_equal(plx_eth_dev_start(port), 0);
	assert_false(fake_read(E1000_RCTL) & E1000_RCTL_LPE);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

static void test_link(void **state)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_link link;

	(void)state;
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	start(&conf, 1);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
	assert_int_equal(link.link_speed, RTE_ETH_SPEED_NUM_1G);
	assert_int_equal(link.link_duplex, RTE_ETH_LINK_FULL_DUPLEX);
	/* Pause as both ends offer it. */
	assert_true(fake_read(E1000_CTRL) & E1000_CTRL_RFCE);
	assert_true(fake_read(E1000_CTRL) & E1000_CTRL_TFCE);
	/* A PHY that offers the right speeds isn't made to negotiate again. */
	assert_false(fake.phy[MII_CONTROL] & MII_CONTROL_RESTART);

	fake_write(E1000_STATUS, E1000_STATUS_LU | 1 << E1000_STATUS_SPEED_SHIFT);
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_speed, RTE_ETH_SPEED_NUM_100M);
	assert_int_equal(link.link_duplex, RTE_ETH_LINK_HALF_DUPLEX);
	fake_write(E1000_STATUS, 0);
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	assert_int_equal(link.link_speed, RTE_ETH_SPEED_NUM_NONE);

	fake_write(E1000_STATUS, E1000_STATUS_LU);
	assert_int_equal(plx_eth_dev_set_link_down(port), 0);
	assert_true(fake.phy[MII_CONTROL] & MII_CONTROL_POWERDOWN);
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	assert_int_equal(plx_eth_dev_set_link_up(port), 0);
	assert_false(fake.phy[MII_CONTROL] & MII_CONTROL_POWERDOWN);
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/*
 * A link set down is known to be down at once, with the interrupt, too; it stays down over a stop
 * and ends with a reset.
 */
static void test_link_set(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = 1 };
	struct rte_eth_link link;

	(void)state;
	start(&conf, 1);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
	assert_int_equal(plx_eth_dev_set_link_down(port), 0);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	assert_int_equal(plx_eth_dev_set_link_up(port), 0);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
	assert_int_equal(plx_eth_dev_set_link_down(port), 0);
	assert_int_equal(plx_eth_dev_stop(port), 0);

	assert_int_equal(plx_eth_dev_start(port), 0);
	assert_false(fake_read(E1000_CTRL) & E1000_CTRL_SLU);
	assert_true(fake.phy[MII_CONTROL] & MII_CONTROL_POWERDOWN);
	assert_int_equal(plx_eth_dev_stop(port), 0);

	/* Nobody looks at a stopped port's link, whatever the device says. */
	assert_int_equal(plx_eth_dev_set_link_up(port), 0);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	assert_int_equal(plx_eth_dev_set_link_down(port), 0);

	assert_int_equal(plx_eth_dev_reset(port), 0);
	start(&conf, 1);
	assert_true(fake_read(E1000_CTRL) & E1000_CTRL_SLU);
	assert_false(fake.phy[MII_CONTROL] & MII_CONTROL_POWERDOWN);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* Asked for certain speeds, the PHY offers these and begins anew. */
static int removals, resets;

static int on_slot(uint16_t p, enum rte_eth_event_type event, void *arg, void *ret)
{
	(void)arg;
	(void)ret;
	if (p == port)
		__atomic_add_fetch(event == RTE_ETH_EVENT_INTR_RMV ? &removals : &resets, 1,
				   __ATOMIC_SEQ_CST);
	return 0;
}

/* The slot says something; until the callbacks have been called so many times. */
static bool slot_says(enum plx_vfio_event event, const int *count, int wanted)
{
	uint64_t one = 1;

	fake.event = event;
	assert_int_equal(write(fake.event_fd, &one, sizeof(one)), sizeof(one));
	for (int i = 0; i < 2000 && __atomic_load_n(count, __ATOMIC_SEQ_CST) < wanted; i++)
		usleep(1000);
	return __atomic_load_n(count, __ATOMIC_SEQ_CST) == wanted;
}

static void watch_slot(void)
{
	removals = 0;
	resets = 0;
	assert_int_equal(plx_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_RMV, on_slot, NULL),
			 0);
	assert_int_equal(
		plx_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_RESET, on_slot, NULL), 0);
}

/* The kernel wants the device back: all goes on until the port is let go of, but never again. */
static void test_asked_back(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.rmv = 1 };

	(void)state;
	start(&conf, 1);
	watch_slot();
	assert_true(slot_says(PLX_VFIO_EVENT_ERROR, &resets, 1));
	assert_int_equal(plx_eth_dev_is_removed(port), 0);
	assert_true(slot_says(PLX_VFIO_EVENT_REQUESTED, &removals, 1));
	assert_int_equal(plx_eth_dev_is_removed(port), 1);
	assert_true(slot_says(PLX_VFIO_EVENT_REQUESTED, &removals, 2));
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_dev_start(port), -ENODEV);
	assert_int_equal(plx_eth_dev_close(port), 0);
	assert_int_equal(resets, 1);
}

/* Nothing answers any more: everything ends at once, and all is given back. */
static void test_gone(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = 1, .intr_conf.rmv = 1 };
	struct rte_eth_stats before, after;
	struct rte_eth_link link;
	uint64_t began;

	(void)state;
	start(&conf, 2);
	watch_slot();
	fake_write(E1000_GORCL, 7);
	assert_int_equal(plx_eth_stats_get(port, &before), 0);
	fake.gone = true;
	assert_true(slot_says(PLX_VFIO_EVENT_GONE, &removals, 1));
	/* Readable for good, and looked at once. */
	usleep(20000);
	assert_int_equal(removals, 1);
	assert_int_equal(fake.event_asks, 1);
	assert_int_equal(plx_eth_dev_is_removed(port), 1);
	assert_int_equal(plx_eth_stats_get(port, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	began = fake.trapped;
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_true(fake.trapped - began < 20); /* no waiting for bits that never change */
	assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
	assert_int_equal(plx_eth_link_get(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	assert_int_equal(plx_eth_dev_close(port), 0);
}

static void test_speeds(void **state)
{
	struct rte_eth_conf conf = { .link_speeds = RTE_ETH_LINK_SPEED_100M };

	(void)state;
	start(&conf, 1);
	assert_int_equal(fake.phy[MII_ADVERTISE], 0xd01);
	assert_int_equal(fake.phy[MII_1000T_CONTROL], 0);
	assert_true(fake.phy[MII_CONTROL] & MII_CONTROL_RESTART);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	conf.link_speeds = RTE_ETH_LINK_SPEED_FIXED | RTE_ETH_LINK_SPEED_100M;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	conf.link_speeds = RTE_ETH_LINK_SPEED_10G;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
}

static volatile int events;

static int on_event(uint16_t p, enum rte_eth_event_type event, void *arg, void *ret)
{
	(void)ret;
	if (p == port && event == RTE_ETH_EVENT_INTR_LSC && arg == &events)
		events++;
	return 0;
}

static void fire(unsigned int vector)
{
	uint64_t one = 1;

	assert_int_equal(write(fake.eventfd[vector], &one, sizeof(one)), sizeof(one));
	for (int i = 0; i < 200; i++) {
		struct rte_eth_link link;

		usleep(1000);
		plx_eth_link_get_nowait(port, &link);
	}
}

static void test_link_interrupt(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = 1 };
	struct rte_eth_link link;

	(void)state;
	events = 0;
	assert_int_equal(plx_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, on_event,
						       (void *)(uintptr_t)&events),
			 0);
	start(&conf, 1);
	assert_int_equal(fake_read(E1000_IMS), E1000_ICR_LSC | E1000_ICR_OTHER);
	assert_int_equal(fake_read(E1000_IVAR), 0xa0008);
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_UP);

	/* Down: one event. The same again: none. Another cause: none. Up: one. */
	fake_write(E1000_STATUS, 0);
	fake_write(E1000_ICR, E1000_ICR_LSC | E1000_ICR_OTHER);
	fire(2);
	assert_int_equal(events, 1);
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	fire(2);
	assert_int_equal(events, 1);
	fake_write(E1000_STATUS, E1000_STATUS_LU);
	fake_write(E1000_ICR, E1000_ICR_OTHER);
	fire(2);
	assert_int_equal(events, 1);
	fake_write(E1000_ICR, E1000_ICR_LSC | E1000_ICR_OTHER);
	fire(2);
	assert_int_equal(events, 2);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(fake_read(E1000_IMC), UINT32_MAX);
	fire(2);
	assert_int_equal(events, 2);
	assert_int_equal(
		plx_eth_dev_callback_unregister(port, RTE_ETH_EVENT_INTR_LSC, on_event, (void *)-1),
		0);
}

/*
 * The link comes up between the driver's start and the library's own look at it: that look takes
 * the news from the interrupt, but not the event from the application.
 */
static void test_link_event_at_start(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = 1 };
	void *arg = (void *)(uintptr_t)&events;

	(void)state;
	events = 0;
	assert_int_equal(plx_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, on_event, arg),
			 0);
	for (int i = 1; i <= 2; i++) {
		start(&conf, 1);
		fake_write(E1000_ICR, E1000_ICR_LSC | E1000_ICR_OTHER);
		fire(2);
		assert_int_equal(events, i);
		fire(2);
		assert_int_equal(events, i);
		assert_int_equal(plx_eth_dev_stop(port), 0);
	}
	assert_int_equal(
		plx_eth_dev_callback_unregister(port, RTE_ETH_EVENT_INTR_LSC, on_event, arg), 0);
}

static void test_rx_interrupt(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.rxq = 1 };

	(void)state;
	start(&conf, 2);
	assert_int_equal(fake_read(E1000_IVAR), 0xa0098);
	assert_int_equal(plx_eth_dev_rx_intr_ctl_q_get_fd(port, 1), fake.eventfd[1]);
	assert_int_equal(plx_eth_dev_rx_intr_enable(port, 1), 0);
	assert_int_equal(fake_read(E1000_IMS), E1000_ICR_RXQ(1));
	assert_int_equal(plx_eth_dev_rx_intr_disable(port, 0), 0);
	assert_int_equal(fake_read(E1000_IMC), E1000_ICR_RXQ(0));
	assert_int_equal(plx_eth_dev_rx_intr_enable(port, 2), -EINVAL);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_dev_rx_intr_enable(port, 1), -EINVAL);
}

/* The link's interrupt takes no wake-up away from who sleeps on a receive queue. */
static void test_rx_cause_kept(void **state)
{
	struct rte_eth_conf conf = { .intr_conf = { .rxq = 1, .lsc = 1 } };

	(void)state;
	start(&conf, 2);
	assert_int_equal(fake_read(E1000_EIAC), E1000_ICR_RXQ(0) | E1000_ICR_RXQ(1));
	fake_write(E1000_ICR, E1000_ICR_LSC | E1000_ICR_OTHER);
	fire(2);
	assert_int_equal(fake_read(E1000_ICS), 0);
	fake_write(E1000_ICR, E1000_ICR_OTHER | E1000_ICR_RXQ(1));
	fire(2);
	assert_int_equal(fake_read(E1000_ICS), E1000_ICR_RXQ(1));
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* Without MSI-X it works, and says what it can't do. */
static void test_no_vectors(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = 1 };
	struct rte_eth_dev_info info;

	(void)state;
	assert_int_equal(plx_eth_dev_info_get(port, &info), 0);
	assert_false(*info.dev_flags & RTE_ETH_DEV_INTR_LSC);
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -EINVAL);
	conf.intr_conf.lsc = 0;
	conf.intr_conf.rxq = 1;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), -ENOTSUP);
	conf.intr_conf.rxq = 0;
	start(&conf, 1);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/*
 * Registers are added up, 64-bit ones of two halves; memory doesn't clear by reading, devices do.
 */
static void test_stats(void **state)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_xstat_name names[128];
	struct rte_eth_xstat values[128];
	struct rte_eth_stats stats;
	uint64_t crc = 0, good = 0, bytes = 0;
	int count;

	(void)state;
	start(&conf, 2);
	assert_int_equal(plx_eth_stats_reset(port), 0);
	fake_write(E1000_CRCERRS, 3);
	fake_write(E1000_MPC, 5);
	fake_write(E1000_GORCL, 7);
	fake_write(E1000_GORCL + 4, 1);
	fake_write(E1000_LATECOL, 2);
	assert_int_equal(plx_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ierrors, 3);
	assert_int_equal(stats.imissed, 5);
	assert_int_equal(stats.oerrors, 2);
	assert_int_equal(plx_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ierrors, 6);

	count = plx_eth_xstats_get_names(port, NULL, 0);
	assert_true(count > 60 && count < 128);
	assert_int_equal(plx_eth_xstats_get_names(port, names, count), count);
	assert_int_equal(plx_eth_xstats_get(port, values, count - 1), count);
	assert_int_equal(plx_eth_xstats_get(port, values, count), count);
	for (int i = 0; i < count; i++) {
		assert_int_equal(values[i].id, i);
		assert_true(names[i].name[0]);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(names[i].name, names[k].name);
		if (!strcmp(names[i].name, "rx_crc_errors"))
			crc = values[i].value;
		if (!strcmp(names[i].name, "rx_missed_errors"))
			good = values[i].value;
		if (!strcmp(names[i].name, "rx_hw_good_bytes"))
			bytes = values[i].value;
	}
	assert_int_equal(crc, 12); /* the get before this one counted, too */
	assert_int_equal(good, 15);
	assert_int_equal(bytes, 4 * (7 + (UINT64_C(1) << 32)));
	fake_write(E1000_CRCERRS, 0);
	assert_int_equal(plx_eth_xstats_reset(port), 0);
	assert_int_equal(plx_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ierrors, 0);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* A frame too long or too short is one error, in whichever registers it is counted. */
static void test_length_errors(void **state)
{
	static const struct {
		uint32_t all, undersize, oversize;
		uint64_t errors;
	} counts[] = { { 4, 0, 0, 4 }, { 4, 1, 2, 4 }, { 0, 1, 2, 3 }, { 2, 0, 2, 2 } };
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_stats stats;

	(void)state;
	start(&conf, 1);
	for (size_t i = 0; i < RTE_DIM(counts); i++) {
		assert_int_equal(plx_eth_stats_reset(port), 0);
		fake_write(E1000_RLEC, counts[i].all);
		fake_write(E1000_RUC, counts[i].undersize);
		fake_write(E1000_ROC, counts[i].oversize);
		assert_int_equal(plx_eth_stats_get(port, &stats), 0);
		assert_int_equal(stats.ierrors, counts[i].errors);
		assert_int_equal(stats.imissed, 0);
	}
}

/* What was counted before a stop is there after it and after the next start; a reset clears it. */
static void test_stats_stop(void **state)
{
	const struct fake_rx rx = { .length = 60, .status = E1000_RXD_EOP };
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_stats stats;
	struct rte_mbuf *m;

	(void)state;
	start(&conf, 1);
	assert_true(fake_receive(0, &rx));
	assert_int_equal(plx_eth_rx_burst(port, 0, &m, 1), 1);
	rte_pktmbuf_free(m);
	fake_write(E1000_MPC, 2);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(plx_eth_stats_get(port, &stats), 0);
		assert_int_equal(stats.ipackets, 1);
		assert_int_equal(stats.ibytes, 60);
		assert_int_equal(stats.imissed, 2);
		assert_int_equal(plx_eth_dev_start(port), 0);
		fake_rings_reset();
	}
	assert_int_equal(plx_eth_dev_reset(port), 0);
	assert_int_equal(plx_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ipackets, 0);
	assert_int_equal(stats.ibytes, 0);
}

/* Each allocation of set-up and each step of start fails once. */
static void test_failures(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = 1 };

	(void)state;
	assert_int_equal(plx_eth_dev_configure(port, 1, 1, &conf), 0);
	fake.fail_dma = 1;
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), -ENOMEM);
	fake.fail_dma = 1;
	assert_int_equal(plx_eth_tx_queue_setup(port, 0, 64, 0, NULL), -ENOMEM);
	fake.fail_doorbell = true;
	assert_int_equal(plx_eth_rx_queue_setup(port, 0, 64, 0, NULL, pool), -ENODEV);
	assert_int_equal(plx_eth_tx_queue_setup(port, 0, 64, 0, NULL), -ENODEV);
	fake.fail_doorbell = false;
	assert_int_equal(fake.dmas, 0);
	assert_int_equal(plx_eth_dev_start(port), -EINVAL); /* no queues */
	queues(&conf, 1);
	fake.fail_master = -EIO;
	assert_int_equal(plx_eth_dev_start(port), -EIO);
	fake.fail_master = 0;
	assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
	assert_false(fake.master);

	/* EAL's interrupt thread refuses what is no descriptor. */
	close(fake.eventfd[2]);
	fake.eventfd[2] = -1;
	assert_int_equal(plx_eth_dev_start(port), -EINVAL);
	assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
	assert_false(fake.master);
	assert_false(fake_read(E1000_RCTL) & E1000_RCTL_EN);

	fake.eventfd[2] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(plx_eth_dev_start(port), 0);
	assert_int_equal(plx_eth_dev_stop(port), 0);
}

/* A device that is gone reads all ones; the port can still be stopped and closed. */
static void test_removed(void **state)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_link link;

	(void)state;
	start(&conf, 1);
	assert_false(plx_eth_dev_is_removed(port));
	fake_write(E1000_STATUS, UINT32_MAX);
	assert_true(plx_eth_dev_is_removed(port));
	assert_int_equal(plx_eth_link_get_nowait(port, &link), 0);
	assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_dev_start(port), -ENODEV);
}

static void test_reset_and_close(void **state)
{
	struct rte_eth_conf conf = { 0 };

	(void)state;
	start(&conf, 2);
	assert_int_equal(plx_eth_dev_close(port), -EINVAL);
	assert_int_equal(plx_eth_dev_reset(port), 0);
	assert_int_equal(fake.dmas, 0);
	assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
	assert_int_equal(plx_eth_dev_start(port), -EINVAL);
	start(&conf, 1);
	assert_int_equal(plx_eth_dev_stop(port), 0);
	assert_int_equal(plx_eth_dev_close(port), 0);
	assert_int_equal(fake.dmas, 0);
	assert_null(fake.pci.priv);
	/* The bus's remove comes after it, and finds nothing to do. */
}

/* Removed by the bus while it runs. */
static void test_remove_running(void **state)
{
	struct rte_eth_conf conf = { .intr_conf.lsc = 1 };

	(void)state;
	start(&conf, 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_direct, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_address),
		CASE(test_rings),
		cmocka_unit_test_setup_teardown(test_rings, setup_sparse, teardown),
		cmocka_unit_test_setup_teardown(test_doorbells, setup_sparse, teardown),
		CASE(test_buffer_sizes),
		CASE(test_filters),
		CASE(test_rss),
		CASE(test_jumbo),
		CASE(test_link),
		CASE(test_link_set),
		CASE(test_speeds),
		CASE(test_link_interrupt),
		CASE(test_link_event_at_start),
		CASE(test_rx_interrupt),
		CASE(test_rx_cause_kept),
		cmocka_unit_test_setup_teardown(test_no_vectors, setup_polled, teardown),
		CASE(test_stats),
		CASE(test_length_errors),
		CASE(test_asked_back),
		cmocka_unit_test_setup_teardown(test_gone, setup_sparse, teardown),
		CASE(test_stats_stop),
		CASE(test_failures),
		CASE(test_removed),
		CASE(test_reset_and_close),
		CASE(test_remove_running),
	};

	return cmocka_run_group_tests_name("e1000 port", tests, NULL, NULL);
}
