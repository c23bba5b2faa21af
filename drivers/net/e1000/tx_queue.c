/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transmit queues off the hot path: memory, registers, and letting them run dry.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include <pollux/log.h>

#include "e1000.h"

int e1000_txq_setup(struct plx_eth_dev *eth, uint16_t index, const struct plx_eth_txq *conf,
		    void **queue)
{
	struct e1000 *hw = eth->priv;
	struct e1000_txq *q;
	int err;

	q = rte_zmalloc_socket("e1000 txq", sizeof(*q), RTE_CACHE_LINE_SIZE, conf->node);
	if (!q)
		return -ENOMEM;
	q->hw = hw;
	q->size = conf->desc;
	q->batch = q->size < 4 * E1000_BATCH ? E1000_BATCH / 2 : E1000_BATCH;
	q->xlate = plx_ioas_xlate(hw->pci->ioas);
	q->fast_free = conf->conf.offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	err = plx_pci_doorbell(&hw->bar, E1000_TDT(index), &q->tail);
	if (!err)
		err = e1000_ring_alloc(hw, "transmit", index, q->size, conf->node, &q->mem, &q->sw);
	if (err) {
		rte_free(q);
		return err;
	}
	q->ring = q->mem.va;
	*queue = q;
	return 0;
}

void e1000_txq_release(struct plx_eth_dev *eth, void *queue)
{
	struct e1000_txq *q = queue;

	e1000_ring_free(eth->priv, &q->mem, q->sw);
	rte_free(q);
}

/* Empty rings, registers set; nothing moves yet [4.6.6]. */
void e1000_tx_start(struct e1000 *hw)
{
	struct plx_eth_dev *eth = hw->eth;
	uint32_t tarc;

	for (uint16_t i = 0; i < eth->nb_txq; i++) {
		struct e1000_txq *q = eth->txq[i];

		q->next = 0;
		q->clean = 0;
		q->free = q->size - 1; /* a full ring would look like an empty one */
		q->unmarked = 0;
		q->mark_head = 0;
		q->mark_tail = 0;
		q->holes = false;
		q->ctx_keep = eth->nb_txq == 1;
		memset(q->ctx, 0, sizeof(q->ctx));
		q->vlan_hw = eth->rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		memset(q->ring, 0, q->size * sizeof(*q->ring));
		e1000_write(hw, E1000_TDBAL(i), q->mem.dma);
		e1000_write(hw, E1000_TDBAH(i), q->mem.dma >> 32);
		e1000_write(hw, E1000_TDLEN(i), q->size * sizeof(*q->ring));
		e1000_write(hw, E1000_TDH(i), 0);
		e1000_write(hw, E1000_TDT(i), 0);
		e1000_write(hw, E1000_TXDCTL(i),
			    E1000_DCTL_GRAN | E1000_TXDCTL_COUNT | E1000_DCTL_PTHRESH(31) |
				    E1000_DCTL_HTHRESH(1) | E1000_DCTL_WTHRESH(1));
		tarc = e1000_read(hw, E1000_TARC(i)) | E1000_TARC_ENABLE;
		e1000_write(hw, E1000_TARC(i), i ? tarc : tarc | E1000_TARC0_CB_MUST);
	}
	eth->tx_burst = e1000_tx_burst(e1000_xlates(hw));
	eth->tx_prepare = e1000_tx_prepare;
}

void e1000_tx_enable(struct e1000 *hw)
{
	/* The gaps of IEEE 802.3 for copper, and its 15 attempts and 63-byte times of collision. */
	e1000_write(hw, E1000_TIPG, E1000_TIPG_VALUE(8, 8, 6));
	e1000_write(hw, E1000_TCTL,
		    E1000_TCTL_EN | E1000_TCTL_PSP | E1000_TCTL_CT(15) | E1000_TCTL_COLD(63) |
			    E1000_TCTL_RTLC | E1000_TCTL_MULR);
}

/* Descriptors that the device has yet to process, and frames that it has yet to send. */
static uint32_t tx_pending(const struct e1000 *hw)
{
	uint32_t pending = e1000_read(hw, E1000_TDFPC);

	for (uint16_t i = 0; i < hw->eth->nb_txq; i++) {
		const struct e1000_txq *q = hw->eth->txq[i];
		uint32_t head = e1000_read(hw, E1000_TDH(i));

		pending += q->next >= head ? q->next - head : q->next + q->size - head;
	}
	return pending;
}

#define DRAIN_STILL_MS 100  /* several times as long as one pause frame can ask for at 1 Gb/s */
#define DRAIN_MAX_MS   1000 /* the largest rings full of the longest frames take 600 ms */

/*
 * Lets what the application was told is on its way leave, as long as there is a link for it and
 * the partner takes it.
 */
void e1000_tx_drain(struct e1000 *hw)
{
	uint32_t pending = 0, before = 0;
	unsigned int still = 0;

	for (unsigned int ms = 0; ms < DRAIN_MAX_MS && still < DRAIN_STILL_MS; ms++) {
		if (!e1000_hw_present(hw) || !(e1000_read(hw, E1000_STATUS) & E1000_STATUS_LU))
			return;
		pending = tx_pending(hw);
		if (!pending)
			return;
		still = pending == before ? still + 1 : 0;
		before = pending;
		rte_delay_us_sleep(1000);
	}
	plx_warn("%s: stopped with %u descriptors unsent: the link partner takes no frames, or "
		 "too slowly",
		 hw->eth->name, pending);
}

void e1000_tx_stop(struct e1000 *hw)
{
	for (uint16_t i = 0; i < hw->eth->nb_txq; i++)
		e1000_tx_empty(hw->eth->txq[i]);
}
