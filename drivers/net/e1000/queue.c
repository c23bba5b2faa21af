/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What receive and transmit queues have in common: their memory, and how it is addressed.
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include <pollux/log.h>

#include "e1000.h"

#define RING_ALIGN 128 /* no cache line is shared, nor a pair of them fetched together */

_Static_assert(sizeof(union e1000_rx_desc) == sizeof(union e1000_tx_desc), "one size of ring");

bool e1000_xlates(const struct e1000 *hw)
{
	return plx_ioas_policy(hw->pci->ioas) == PLX_ADDR_ALLOC;
}

int e1000_ring_alloc(struct e1000 *hw, const char *dir, uint16_t index, uint16_t size, int node,
		     struct plx_dma *ring, struct rte_mbuf ***slots)
{
	int err = -ENOMEM;

	*slots = rte_zmalloc_socket("e1000 slots", size * sizeof(**slots), RTE_CACHE_LINE_SIZE,
				    node);
	if (*slots)
		err = plx_dma_alloc(hw->pci->ioas, size * sizeof(union e1000_rx_desc), RING_ALIGN,
				    node, ring);
	if (err) {
		plx_err("%s: %s queue %u: no memory for it: %s", hw->pci->name, dir, index,
			strerror(-err));
		rte_free(*slots);
	}
	return err;
}

void e1000_ring_free(struct e1000 *hw, struct plx_dma *ring, struct rte_mbuf **slots)
{
	plx_dma_free(hw->pci->ioas, ring);
	rte_free(slots);
}
