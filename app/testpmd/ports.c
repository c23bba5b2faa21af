/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_lcore.h>

#include <pollux/log.h>
#include <pollux/mem.h>

#include "control.h"
#include "forward.h"
#include "ports.h"

#define FRAME_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)
#define FALLBACK_DESC  512

#define LINK_WAIT_MS 9000
#define LINK_STEP_MS 100
#define SETTLE_MS    100
#define FLUSH_BURSTS 4096 /* a sender that never pauses doesn't keep us here */

const struct port *ports_find(const struct ports *ports, uint16_t id)
{
	for (unsigned i = 0; i < ports->count; i++)
		if (ports->port[i].id == id)
			return &ports->port[i];
	return NULL;
}

static const char *access_mode(struct plx_pci_bus *bus, const char *name)
{
	struct plx_pci *pci;

	for (unsigned i = 0; (pci = plx_pci_at(bus, i)); i++)
		if (strcmp(pci->name, name) == 0 && pci->vfio)
			return plx_vfio_mode_name(plx_vfio_dev_mode(pci->vfio));
	return "-";
}

static int on_link(uint16_t id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct rte_eth_link link;

	(void)type;
	(void)arg;
	(void)ret;
	if (plx_eth_link_get_nowait(id, &link) == 0)
		plx_notice("port %u: link %s", id, link.link_status ? "up" : "down");
	return 0;
}

/* Whoever is in control lets go of it: it must not be closed from here. */
static int on_removal(uint16_t id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct port *port = arg;

	(void)id;
	(void)type;
	(void)ret;
	__atomic_store_n(&port->going, true, __ATOMIC_RELEASE);
	control_wake();
	return 0;
}

static bool wants_segments(const struct options *opts)
{
	return opts->lengths.segs > 1 || opts->lengths.max > opts->mbuf_size - RTE_PKTMBUF_HEADROOM;
}

/* Turns on one offload, or says that the port doesn't have it. */
static int offload(uint16_t id, uint64_t capa, uint64_t bits, const char *what, uint64_t *offloads)
{
	if ((capa & bits) != bits) {
		plx_err("port %u has no %s", id, what);
		return -ENOTSUP;
	}
	*offloads |= bits;
	return 0;
}

static int choose_offloads(const struct port *port, const struct options *opts,
			   const struct rte_eth_dev_info *info, bool one_pool,
			   struct rte_eth_conf *conf)
{
	uint64_t *rx = &conf->rxmode.offloads, *tx = &conf->txmode.offloads;
	uint32_t room = opts->mbuf_size - RTE_PKTMBUF_HEADROOM;
	bool long_frames = opts->max_pkt_len > room;
	int ret = 0;

	if (opts->max_pkt_len) {
		if (opts->max_pkt_len > info->max_rx_pktlen) {
			plx_err("--max-pkt-len=%u: port %u takes frames of up to %u bytes",
				opts->max_pkt_len, port->id, info->max_rx_pktlen);
			return -EINVAL;
		}
		conf->rxmode.mtu = opts->max_pkt_len - FRAME_OVERHEAD;
	}
	if (opts->rx_cksum)
		ret = offload(port->id, info->rx_offload_capa,
			      RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
				      RTE_ETH_RX_OFFLOAD_TCP_CKSUM,
			      "receive checksums (--enable-rx-cksum)", rx);
	if (ret == 0 && (opts->scatter || long_frames))
		ret = offload(port->id, info->rx_offload_capa, RTE_ETH_RX_OFFLOAD_SCATTER,
			      "scattered receive: give --mbuf-size room for --max-pkt-len", rx);
	if (ret == 0 && (opts->scatter || long_frames || wants_segments(opts)))
		ret = offload(port->id, info->tx_offload_capa, RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
			      "transmission from several buffers", tx);
	/* Promises that all buffers come from one pool and are nobody else's. */
	else if (one_pool && !opts->pcap)
		*tx |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	return ret;
}

static int setup_queues(struct port *port, const struct options *opts,
			const struct rte_eth_dev_info *info, const struct rte_eth_conf *conf)
{
	struct rte_eth_rxconf rxconf = info->default_rxconf;
	struct rte_eth_txconf txconf = info->default_txconf;
	int ret;

	rxconf.offloads = conf->rxmode.offloads;
	txconf.offloads = conf->txmode.offloads;
	for (uint16_t q = 0; q < opts->rxq; q++) {
		ret = plx_eth_rx_queue_setup(port->id, q, port->rxd, (unsigned)port->node, &rxconf,
					     port->pool);
		if (ret) {
			plx_err("port %u: receive queue %u of %u descriptors: %s", port->id, q,
				port->rxd, strerror(-ret));
			return ret;
		}
	}
	for (uint16_t q = 0; q < opts->txq; q++) {
		ret = plx_eth_tx_queue_setup(port->id, q, port->txd, (unsigned)port->node, &txconf);
		if (ret) {
			plx_err("port %u: transmit queue %u of %u descriptors: %s", port->id, q,
				port->txd, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int start(struct port *port)
{
	/* Before the start: the first packets count, too. */
	int ret = plx_eth_promiscuous_enable(port->id);

	if (ret && ret != -ENOTSUP)
		plx_warn("port %u receives what is addressed to it only: promiscuous mode: %s",
			 port->id, strerror(-ret));
	ret = plx_eth_dev_start(port->id);
	if (ret)
		plx_err("port %u doesn't start: %s", port->id, strerror(-ret));
	return ret;
}

static int configure(struct port *port, const struct options *opts, bool one_pool)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = { 0 };
	uint16_t wanted_rxd = port->rxd, wanted_txd = port->txd;
	int ret = plx_eth_dev_info_get(port->id, &info);

	if (ret) {
		plx_err("port %u: %s", port->id, strerror(-ret));
		return ret;
	}
	if (opts->rxq > info.max_rx_queues || opts->txq > info.max_tx_queues) {
		plx_err("--rxq=%u --txq=%u: port %u has %u receive and %u transmit queues",
			opts->rxq, opts->txq, port->id, info.max_rx_queues, info.max_tx_queues);
		return -EINVAL;
	}
	ret = choose_offloads(port, opts, &info, one_pool, &conf);
	if (ret)
		return ret;
	if (opts->rxq > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads &
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	}
	conf.intr_conf.lsc = opts->link_interrupt && (*info.dev_flags & RTE_ETH_DEV_INTR_LSC);
	conf.intr_conf.rmv = !!(*info.dev_flags & RTE_ETH_DEV_INTR_RMV);

	ret = plx_eth_dev_configure(port->id, opts->rxq, opts->txq, &conf);
	if (ret) {
		plx_err("port %u: configuring %u receive and %u transmit queues: %s", port->id,
			opts->rxq, opts->txq, strerror(-ret));
		return ret;
	}
	ret = plx_eth_dev_adjust_nb_rx_tx_desc(port->id, &port->rxd, &port->txd);
	if (ret) {
		plx_err("port %u: rings of %u and %u descriptors: %s", port->id, port->rxd,
			port->txd, strerror(-ret));
		return ret;
	}
	if (wanted_rxd != port->rxd || wanted_txd != port->txd)
		plx_warn("port %u: the rings have %u and %u descriptors instead of %u and %u",
			 port->id, port->rxd, port->txd, wanted_rxd, wanted_txd);
	ret = setup_queues(port, opts, &info, &conf);
	if (ret)
		return ret;
	if (conf.intr_conf.lsc)
		plx_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_LSC, on_link, NULL);
	if (conf.intr_conf.rmv)
		plx_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_RMV, on_removal, port);
	ret = start(port);
	if (ret == 0)
		plx_eth_dev_get_mtu(port->id, &port->mtu);
	return ret;
}

static int identify(struct port *port, uint16_t id, struct plx_pci_bus *bus,
		    const struct options *opts)
{
	struct rte_eth_dev_info info;
	int ret = plx_eth_dev_info_get(id, &info);

	port->id = id;
	port->node = plx_eth_dev_socket_id(id);
	if (ret == 0)
		ret = plx_eth_dev_get_name_by_port(id, port->name);
	if (ret == 0)
		ret = plx_eth_macaddr_get(id, &port->mac);
	if (ret) {
		plx_err("port %u: %s", id, strerror(-ret));
		return ret;
	}
	port->access_mode = access_mode(bus, port->name);
	port->rxd = opts->rxd ?: info.default_rxportconf.ring_size ?: FALLBACK_DESC;
	port->txd = opts->txd ?: info.default_txportconf.ring_size ?: FALLBACK_DESC;
	return 0;
}

/* Every ring, every lcore's cache and every burst full at once, wherever the buffers came from. */
static uint32_t buffers_needed(const struct ports *ports, const struct options *opts)
{
	uint32_t count = rte_lcore_count() * (opts->mbuf_cache * 3 / 2 + opts->burst);

	for (unsigned i = 0; i < ports->count; i++)
		count += opts->rxq * ports->port[i].rxd + opts->txq * ports->port[i].txd;
	if (wants_segments(opts) && opts->mbuf_size > RTE_PKTMBUF_HEADROOM)
		count += opts->burst * (FRAME_MAX / 128);
	return RTE_MAX(count, opts->mbuf_cache * 2 + 1);
}

static void explain_no_pool(const struct port *port, const struct options *opts, uint32_t count)
{
	uint64_t len =
		(uint64_t)count *
		rte_mempool_calc_obj_size(sizeof(struct rte_mbuf) + opts->mbuf_size, 0, NULL);
	size_t size = plx_hugepage_size();
	struct plx_hugepages pages;
	char node[32] = "", free[96] = "";

	if (port->node != PLX_NODE_ANY)
		snprintf(node, sizeof(node), " on NUMA node %d", port->node);
	if (rte_eal_has_hugepages() && size && !plx_hugepages_query(size, port->node, &pages))
		snprintf(free, sizeof(free), ", %llu pages of %zu KiB, and %llu of %llu are free",
			 (unsigned long long)(len + size - 1) / size, size >> 10,
			 (unsigned long long)pages.free, (unsigned long long)pages.total);
	plx_err("no memory for %u buffers of %u bytes%s: %s; they take %llu MiB%s: "
		"give --total-num-mbufs less, or EAL more",
		count, opts->mbuf_size, node, rte_strerror(rte_errno),
		(unsigned long long)len >> 20, free);
}

/* One pool a NUMA node. */
static int make_pools(struct ports *ports, const struct options *opts, unsigned *pools)
{
	uint32_t count = opts->mbufs ?: buffers_needed(ports, opts);
	char name[RTE_MEMPOOL_NAMESIZE];

	*pools = 0;
	for (unsigned i = 0; i < ports->count; i++) {
		struct port *port = &ports->port[i];

		for (unsigned j = 0; j < i && !port->pool; j++)
			if (ports->port[j].node == port->node)
				port->pool = ports->port[j].pool;
		if (port->pool)
			continue;
		snprintf(name, sizeof(name), "mbufs-%u", i);
		port->pool = rte_pktmbuf_pool_create(name, count, opts->mbuf_cache, 0,
						     (uint16_t)opts->mbuf_size, port->node);
		if (!port->pool) {
			explain_no_pool(port, opts, count);
			return -ENOMEM;
		}
		(*pools)++;
	}
	return 0;
}

static void free_pools(struct ports *ports)
{
	for (unsigned i = 0; i < ports->count; i++) {
		struct rte_mempool *pool = ports->port[i].pool;

		for (unsigned j = i; j < ports->count; j++)
			if (ports->port[j].pool == pool)
				ports->port[j].pool = NULL;
		rte_mempool_free(pool);
	}
}

/* What names ports that aren't there has no effect, and may have been meant otherwise. */
static void warn_of_surplus(const struct options *opts)
{
	unsigned found = plx_eth_dev_count_avail();

	if (opts->portmask != UINT32_MAX && (uint64_t)opts->portmask >> found)
		plx_warn("--portmask=%x: there %s only %u port%s", opts->portmask,
			 found == 1 ? "is" : "are", found, found == 1 ? "" : "s");
	if (opts->modes > found)
		plx_warn("--forward-mode: %u modes for %u port%s: the last ones are for nothing",
			 opts->modes, found, found == 1 ? "" : "s");
}

int ports_open(struct ports *ports, struct plx_pci_bus *bus, const struct options *opts)
{
	unsigned pools;
	uint16_t id;
	int ret;

	memset(ports, 0, sizeof(*ports));
	PLX_ETH_FOREACH_DEV(id)
	{
		if (!(opts->portmask & (UINT32_C(1) << id)))
			continue;
		ret = identify(&ports->port[ports->count], id, bus, opts);
		if (ret)
			return ret;
		ports->count++;
	}
	if (ports->count == 0) {
		plx_err("no port to use: %u found, --portmask leaves none",
			plx_eth_dev_count_avail());
		return -ENODEV;
	}
	warn_of_surplus(opts);
	ret = make_pools(ports, opts, &pools);
	ports->one_pool = pools == 1;
	for (unsigned i = 0; i < ports->count && ret == 0; i++)
		ret = configure(&ports->port[i], opts, ports->one_pool);
	if (ret)
		ports_close(ports);
	return ret;
}

static void close_port(const struct port *port)
{
	plx_eth_dev_stop(port->id);
	plx_eth_dev_close(port->id);
}

void port_leave(struct port *port)
{
	struct rte_eth_stats counted;

	plx_eth_dev_stop(port->id); /* what was on its way counts */
	port_stats(port, &counted);
	port->kept = counted;
	memset(&port->before, 0, sizeof(port->before));
	close_port(port);
	port->away = true;
	port->removals++;
}

int port_return(struct port *port, const struct ports *ports, struct plx_pci_bus *bus,
		const struct options *opts)
{
	struct rte_ether_addr mac;
	uint16_t id;
	int ret = plx_eth_dev_get_port_by_name(port->name, &id);

	/* Numbers are kept for those who come back: streams and options go by them. */
	if (ret || id != port->id) {
		plx_err("port %u: %s is back, but not as that port", port->id, port->name);
		return ret ? ret : -EEXIST;
	}
	__atomic_store_n(&port->going, false, __ATOMIC_RELEASE);
	/* Another card in the same slot takes the address that peers know. */
	if (plx_eth_macaddr_get(id, &mac) == 0 && !rte_is_same_ether_addr(&mac, &port->mac) &&
	    plx_eth_dev_default_mac_addr_set(id, &port->mac))
		plx_warn("port %u: %s came back with another address", port->id, port->name);
	ret = configure(port, opts, ports->one_pool);
	if (ret) {
		close_port(port);
		return ret;
	}
	port->access_mode = access_mode(bus, port->name);
	port->away = false;
	return 0;
}

bool ports_missing(const struct ports *ports)
{
	bool missing = false;

	for (unsigned i = 0; i < ports->count; i++) {
		const struct port *port = &ports->port[i];

		/* One that vanished just now has told nobody yet. */
		if (!port->away && !plx_eth_dev_is_removed(port->id))
			continue;
		plx_err("port %u: %s was taken away and is not back", port->id, port->name);
		missing = true;
	}
	return missing;
}

void ports_close(struct ports *ports)
{
	for (unsigned i = 0; i < ports->count; i++) {
		if (!ports->port[i].away)
			close_port(&ports->port[i]);
	}
	/* Every port's rings may hold buffers of every pool. */
	free_pools(ports);
	ports->count = 0;
}

void ports_wait_for_links(struct ports *ports, const struct options *opts)
{
	for (unsigned waited = 0;; waited += LINK_STEP_MS) {
		bool all_up = true;

		for (unsigned i = 0; i < ports->count; i++) {
			struct port *port = &ports->port[i];

			if (plx_eth_link_get_nowait(port->id, &port->link))
				memset(&port->link, 0, sizeof(port->link));
			all_up &= port->link.link_status;
		}
		if (all_up || !opts->link_check || waited >= LINK_WAIT_MS ||
		    control_sleep(LINK_STEP_MS))
			return;
	}
}

void ports_flush(const struct ports *ports, const struct options *opts)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t count;

	if (!opts->flush_rx)
		return;
	for (unsigned i = 0; i < ports->count; i++) {
		for (uint16_t q = 0; q < opts->rxq; q++) {
			for (unsigned n = 0; n < FLUSH_BURSTS; n++) {
				count = plx_eth_rx_burst(ports->port[i].id, q, pkts, opts->burst);
				if (count == 0)
					break;
				rte_pktmbuf_free_bulk(pkts, count);
			}
		}
	}
}

void ports_mark(struct ports *ports)
{
	for (unsigned i = 0; i < ports->count; i++)
		if (plx_eth_stats_get(ports->port[i].id, &ports->port[i].before))
			memset(&ports->port[i].before, 0, sizeof(ports->port[i].before));
}

void port_stats(const struct port *port, struct rte_eth_stats *stats)
{
	const struct rte_eth_stats *before = &port->before, *kept = &port->kept;

	if (port->away || plx_eth_stats_get(port->id, stats)) {
		*stats = *kept;
		return;
	}
	stats->ipackets += kept->ipackets - before->ipackets;
	stats->opackets += kept->opackets - before->opackets;
	stats->ibytes += kept->ibytes - before->ibytes;
	stats->obytes += kept->obytes - before->obytes;
	stats->imissed += kept->imissed - before->imissed;
	stats->ierrors += kept->ierrors - before->ierrors;
	stats->oerrors += kept->oerrors - before->oerrors;
	stats->rx_nombuf += kept->rx_nombuf - before->rx_nombuf;
}

void ports_settle(const struct ports *ports, const uint64_t *sent)
{
	struct rte_eth_stats stats;

	for (unsigned i = 0; i < ports->count; i++) {
		for (unsigned waited = 0; waited < SETTLE_MS; waited++) {
			port_stats(&ports->port[i], &stats);
			if (stats.opackets + stats.oerrors >= sent[i])
				break;
			rte_delay_us_sleep(1000);
		}
	}
}
