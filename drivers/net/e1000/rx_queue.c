/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive queues off the hot path: memory, mempools, registers, and which loop serves them.
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <pollux/log.h>

#include "e1000.h"

struct reach {
	const struct plx_xlate *xlate;
	bool direct;		  /* the loop takes buf_iova as it is */
	uint32_t unmapped, wrong; /* buffers without a device address, with another one */
};

static void check_buffer(struct rte_mempool *pool, void *arg, void *obj, unsigned int index)
{
	const struct rte_mbuf *m = obj;
	struct reach *reach = arg;
	uint64_t dma = plx_xlate_dma(reach->xlate, m->buf_addr);

	(void)pool;
	(void)index;
	if (dma == PLX_DMA_BAD)
		reach->unmapped++;
	else if (reach->direct && m->buf_iova != dma)
		reach->wrong++;
}

/*
 * Buffers that no device can reach are better found now than by their first packet, and so are
 * those that would have it write elsewhere: without an IOMMU, nothing else is in its way.
 */
static int check_reach(const struct e1000_rxq *q, const struct plx_eth_dev *eth)
{
	struct reach reach = { .xlate = q->xlate, .direct = !e1000_xlates(q->hw) };

	rte_mempool_obj_iter(q->pool, check_buffer, &reach);
	if (reach.unmapped)
		plx_err("%s: receive queue %u: %u of %u buffers of mempool %s are in memory that "
			"isn't mapped for DMA: map it with plx_ioas_map()",
			eth->name, q->index, reach.unmapped, q->pool->size, q->pool->name);
	if (reach.wrong)
		plx_err("%s: receive queue %u: %u of %u buffers of mempool %s have an IOVA "
			"where the device finds other memory or none: populate it with %s "
			"addresses",
			eth->name, q->index, reach.wrong, q->pool->size, q->pool->name,
			plx_ioas_policy(q->hw->pci->ioas) == PLX_ADDR_VA ? "virtual" : "physical");
	return reach.unmapped || reach.wrong ? -EFAULT : 0;
}

int e1000_rxq_setup(struct plx_eth_dev *eth, uint16_t index, const struct plx_eth_rxq *conf,
		    void **queue)
{
	struct e1000 *hw = eth->priv;
	struct rte_mbuf fresh = { .data_off = RTE_PKTMBUF_HEADROOM, .nb_segs = 1 };
	struct e1000_rxq *q;
	int err;

	q = rte_zmalloc_socket("e1000 rxq", sizeof(*q), RTE_CACHE_LINE_SIZE, conf->node);
	if (!q)
		return -ENOMEM;
	q->hw = hw;
	q->index = index;
	q->size = conf->desc;
	q->pool = conf->pool;
	q->xlate = plx_ioas_xlate(hw->pci->ioas);
	rte_mbuf_refcnt_set(&fresh, 1);
	fresh.port = eth->port;
	memcpy(&q->rearm, (char *)&fresh + offsetof(struct rte_mbuf, rearm_data), sizeof(q->rearm));

	err = plx_pci_doorbell(&hw->bar, E1000_RDT(index), &q->tail);
	if (!err)
		err = check_reach(q, eth);
	if (!err)
		err = e1000_ring_alloc(hw, "receive", index, q->size, conf->node, &q->mem, &q->sw);
	if (err) {
		rte_free(q);
		return err;
	}
	q->ring = q->mem.va;
	*queue = q;
	return 0;
}

void e1000_rxq_release(struct plx_eth_dev *eth, void *queue)
{
	struct e1000_rxq *q = queue;

	e1000_ring_free(eth->priv, &q->mem, q->sw);
	rte_free(q);
}

/* The buffer size that RCTL can say, next below what the pools have. */
static uint16_t buffer_size(const struct plx_eth_dev *eth, uint32_t *rctl)
{
	uint32_t room = E1000_RCTL_FLXBUF_MAX * 1024;

	for (uint16_t i = 0; i < eth->nb_rxq; i++)
		room = RTE_MIN(room, (uint32_t)rte_pktmbuf_data_room_size(eth->rxq_conf[i].pool) -
					     RTE_PKTMBUF_HEADROOM);
	if (room >= 1024) {
		*rctl = E1000_RCTL_FLXBUF(room / 1024);
		return RTE_ALIGN_FLOOR(room, 1024);
	}
	*rctl = room >= 512 ? E1000_RCTL_BSIZE_512 : E1000_RCTL_BSIZE_256;
	return room >= 512 ? 512 : 256;
}

/* Takes the buffers of one ring back: those that are armed, and a frame that never ended. */
static void rx_empty(struct e1000_rxq *q)
{
	uint16_t slot = q->next;

	for (uint16_t i = q->hold; i < q->size; i++) {
		if (q->sw[slot])
			rte_mbuf_raw_free(q->sw[slot]);
		q->sw[slot] = NULL;
		slot = slot + 1 == q->size ? 0 : slot + 1;
	}
	rte_pktmbuf_free(q->head);
	q->head = NULL;
	q->dropping = false;
	q->next = 0;
	q->hold = 0;
}

static int rx_fill(struct e1000_rxq *q, const char *name, bool xlate)
{
	if (rte_mempool_get_bulk(q->pool, (void **)q->sw, q->size)) {
		memset(q->sw, 0, q->size * sizeof(*q->sw));
		plx_err("%s: receive queue %u needs %u buffers to start, mempool %s has %u free of "
			"%u: make it larger",
			name, q->index, q->size, q->pool->name, rte_mempool_avail_count(q->pool),
			q->pool->size);
		return -ENOBUFS;
	}
	e1000_rx_arm_all(q, xlate);
	return 0;
}

#define RX_CHECKSUM                                                     \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | \
	 RTE_ETH_RX_OFFLOAD_TCP_CKSUM)

void e1000_rx_select(struct e1000 *hw)
{
	struct plx_eth_dev *eth = hw->eth;
	uint64_t offloads = eth->rx_offloads;
	uint16_t bufsize, frame;
	uint32_t rctl;
	bool full;

	bufsize = buffer_size(eth, &rctl);
	frame = eth->mtu + E1000_OVERHEAD;
	full = offloads & (RX_CHECKSUM | RTE_ETH_RX_OFFLOAD_VLAN_STRIP |
			   RTE_ETH_RX_OFFLOAD_KEEP_CRC | RTE_ETH_RX_OFFLOAD_RSS_HASH) ||
	       frame > bufsize;
	for (uint16_t i = 0; i < eth->nb_rxq; i++) {
		struct e1000_rxq *q = eth->rxq[i];

		q->crc_len = offloads & RTE_ETH_RX_OFFLOAD_KEEP_CRC ? RTE_ETHER_CRC_LEN : 0;
		q->frame_max = frame + q->crc_len;
		q->len_max = full ? bufsize : RTE_MIN(bufsize, frame);
		q->checksum = offloads & RX_CHECKSUM;
		q->rss = offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	eth->rx_burst = e1000_rx_burst(full, e1000_xlates(hw));
}

/* Rings full of buffers, registers set; nothing moves yet [4.6.5]. */
int e1000_rx_start(struct e1000 *hw)
{
	struct plx_eth_dev *eth = hw->eth;
	uint32_t rxcsum = E1000_RXCSUM_PCSD; /* the RSS hash in place of the fragment checksum */
	int err;

	for (uint16_t i = 0; i < eth->nb_rxq; i++) {
		struct e1000_rxq *q = eth->rxq[i];

		err = rx_fill(q, eth->name, e1000_xlates(hw));
		if (err) {
			e1000_rx_stop(hw);
			return err;
		}
		e1000_write(hw, E1000_RDBAL(i), q->mem.dma);
		e1000_write(hw, E1000_RDBAH(i), q->mem.dma >> 32);
		e1000_write(hw, E1000_RDLEN(i), q->size * sizeof(*q->ring));
		e1000_write(hw, E1000_RDH(i), 0);
		e1000_write(hw, E1000_RDT(i), 0);
		/* Fetch ahead, but write each descriptor back at once: we poll them. */
		e1000_write(hw, E1000_RXDCTL(i),
			    E1000_DCTL_GRAN | E1000_DCTL_PTHRESH(32) | E1000_DCTL_HTHRESH(4) |
				    E1000_DCTL_WTHRESH(1));
	}
	e1000_rx_select(hw);

	e1000_write(hw, E1000_RDTR, 0);
	e1000_write(hw, E1000_RADV, 0);
	e1000_write(hw, E1000_RSRPD, 0);
	e1000_write(hw, E1000_RFCTL,
		    E1000_RFCTL_EXSTEN | E1000_RFCTL_ACK_DIS | E1000_RFCTL_ISCSI_DIS |
			    E1000_RFCTL_NFSW_DIS | E1000_RFCTL_NFSR_DIS);
	if (eth->rx_offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM)
		rxcsum |= E1000_RXCSUM_IPOFLD;
	if (eth->rx_offloads & (RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM))
		rxcsum |= E1000_RXCSUM_TUOFLD;
	e1000_write(hw, E1000_RXCSUM, rxcsum);
	return 0;
}

/* Receive Control is written once, complete: the device takes the buffer size from that write. */
void e1000_rx_enable(struct e1000 *hw)
{
	struct plx_eth_dev *eth = hw->eth;
	uint32_t rctl;

	buffer_size(eth, &rctl);
	rctl |= E1000_RCTL_EN | E1000_RCTL_BAM;
	if (eth->mtu > RTE_ETHER_MTU)
		rctl |= E1000_RCTL_LPE;
	if (!(eth->rx_offloads & RTE_ETH_RX_OFFLOAD_KEEP_CRC))
		rctl |= E1000_RCTL_SECRC;
	if (eth->rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_FILTER)
		rctl |= E1000_RCTL_VFE;
	if (eth->promisc)
		rctl |= E1000_RCTL_UPE | E1000_RCTL_MPE;
	if (eth->allmulti)
		rctl |= E1000_RCTL_MPE;
	e1000_write(hw, E1000_RCTL, rctl);

	/* Only an enabled receiver may be given descriptors. */
	for (uint16_t i = 0; i < eth->nb_rxq; i++) {
		struct e1000_rxq *q = eth->rxq[i];

		rte_write32(q->size - 1, q->tail);
	}
}

void e1000_rx_stop(struct e1000 *hw)
{
	for (uint16_t i = 0; i < hw->eth->nb_rxq; i++)
		rx_empty(hw->eth->rxq[i]);
}
