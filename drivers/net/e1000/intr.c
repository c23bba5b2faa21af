/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MSI-X [7.4]: vectors 0 and 1 for the receive queues, 2 for the link. Without MSI-X the port
 * works by polling. Beside them, the events of the slot: errors and removal.
 */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

#include "e1000.h"

#define RX_INTERVAL 195 /* of 256 ns: at most 20,000 receive interrupts a second */

void e1000_intr_probe(struct e1000 *hw)
{
	int err = plx_pci_irq_enable(hw->pci, E1000_VECTORS);

	hw->vectors = !err;
	if (err)
		plx_info("%s: no %u MSI-X vectors (%s): the link and the queues must be polled",
			 hw->pci->name, E1000_VECTORS, strerror(-err));
	else
		hw->eth->flags |= RTE_ETH_DEV_INTR_LSC;
}

/* The causes that belong to the receive queues' own vectors. */
static uint32_t rxq_causes(const struct plx_eth_dev *eth)
{
	uint32_t causes = 0;

	for (uint16_t q = 0; q < eth->nb_rxq; q++)
		causes |= E1000_ICR_RXQ(q);
	return causes;
}

static void other_fired(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;
	uint32_t cause = e1000_read(hw, E1000_ICR);

	/*
	 * A read takes all causes, those of packets that are waiting for their vector or for the
	 * application to enable it, too. Nobody else would raise them again.
	 */
	if (cause & rxq_causes(eth))
		e1000_write(hw, E1000_ICS, cause & rxq_causes(eth));
	/* Reading doesn't always clear [10.2.4.1]: write the causes back. */
	e1000_write(hw, E1000_ICR, cause & (E1000_ICR_LSC | E1000_ICR_OTHER));
	if (!(cause & E1000_ICR_LSC) || !e1000_hw_present(hw))
		return;
	e1000_link_update(eth);
	if (e1000_link_changed(hw))
		plx_eth_dev_event(eth, RTE_ETH_EVENT_INTR_LSC, NULL);
}

static bool event_fired(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;
	enum plx_vfio_event event = plx_pci_event(hw->pci);

	switch (event) {
	case PLX_VFIO_EVENT_NONE: break;
	case PLX_VFIO_EVENT_ERROR:
		plx_err("%s: an uncorrectable PCI Express error: the port must be reset",
			eth->name);
		plx_eth_dev_event(eth, RTE_ETH_EVENT_INTR_RESET, NULL);
		break;
	case PLX_VFIO_EVENT_REQUESTED:
	case PLX_VFIO_EVENT_GONE: plx_eth_dev_removed(eth); break;
	}
	return event != PLX_VFIO_EVENT_GONE;
}

/* Without them the port works, but nobody hears that its device is to go. */
void e1000_events_probe(struct e1000 *hw)
{
	int fd = plx_pci_event_fd(hw->pci);

	if (fd >= 0 && !plx_eth_events_attach(hw->eth, fd, event_fired))
		hw->eth->flags |= RTE_ETH_DEV_INTR_RMV;
}

int e1000_intr_start(struct e1000 *hw)
{
	struct plx_eth_dev *eth = hw->eth;
	uint32_t ivar = E1000_IVAR_OTHER(E1000_VECTOR_OTHER);
	int err;

	if (!hw->vectors)
		return 0;
	for (uint16_t q = 0; q < eth->nb_rxq; q++) {
		ivar |= E1000_IVAR_RXQ(q, q);
		e1000_write(hw, E1000_EITR(q), RX_INTERVAL);
	}
	e1000_write(hw, E1000_EITR(E1000_VECTOR_OTHER), 0);
	e1000_write(hw, E1000_IVAR, ivar);
	e1000_write(hw, E1000_EIAC, rxq_causes(eth));
	if (!eth->conf.intr_conf.lsc)
		return 0;
	e1000_link_changed(hw); /* before this start: of no interest */
	err = plx_eth_intr_attach(eth, plx_pci_irq_fd(hw->pci, E1000_VECTOR_OTHER), other_fired);
	if (err)
		return err;
	e1000_write(hw, E1000_IMS, E1000_ICR_LSC | E1000_ICR_OTHER);
	e1000_flush(hw);
	return 0;
}

void e1000_intr_stop(struct e1000 *hw)
{
	e1000_write(hw, E1000_IMC, UINT32_MAX);
	e1000_flush(hw);
	plx_eth_intr_detach(hw->eth);
}

int e1000_rx_intr(struct plx_eth_dev *eth, uint16_t index, bool on)
{
	struct e1000 *hw = eth->priv;

	e1000_write(hw, on ? E1000_IMS : E1000_IMC, E1000_ICR_RXQ(index));
	e1000_flush(hw);
	return 0;
}

int e1000_rx_intr_fd(struct plx_eth_dev *eth, uint16_t index)
{
	struct e1000 *hw = eth->priv;

	return plx_pci_irq_fd(hw->pci, index);
}
