/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt causes [7.4, 10.2.4]. With MSI-X, a cause has the vector that IVAR gives it and is an
 * edge; without, all causes together are one level, which becomes an edge each time it rises.
 */
#include <linux/vfio.h>

#include "nic.h"

static bool msix_armed(const struct soft_nic *nic)
{
	for (unsigned i = 0; i < NIC_MSIX_VECTORS; i++) {
		if (plx_vfu_irq_armed(nic->vfu, VFIO_PCI_MSIX_IRQ_INDEX, i))
			return true;
	}
	return false;
}

/*
 * Causes with EIAC clear as their vector fires, and their mask with them, unless IAME is there to
 * do that at the read of ICR; with EIAME, IAM says what else is masked [7.4.4, 10.2.4.7].
 */
static void fire_vector(struct soft_nic *nic, unsigned shift, uint32_t cause)
{
	const uint32_t entry = nic_reg(nic, E1000_IVAR) >> shift & 0xf;
	const uint32_t ext = nic_reg(nic, E1000_CTRL_EXT);
	const uint32_t clear = nic_reg(nic, E1000_EIAC) & cause;

	if (!(entry & NIC_IVAR_VALID) || (entry & 7) >= NIC_MSIX_VECTORS)
		return;
	nic->icr &= ~clear;
	if (!(ext & E1000_CTRL_EXT_IAME))
		nic->ims &= ~clear;
	if (ext & E1000_CTRL_EXT_EIAME)
		nic->ims &= ~(nic_reg(nic, NIC_IAM) & cause);
	nic->count[NIC_INTERRUPTS]++;
	plx_vfu_irq(nic->vfu, VFIO_PCI_MSIX_IRQ_INDEX, entry & 7);
}

/* causes have just been set, or have just been unmasked. */
void nic_intr_fire(struct soft_nic *nic, uint32_t causes)
{
	/* IVAR's fields in their order */
	static const uint32_t vectors[] = { E1000_ICR_RXQ(0), E1000_ICR_RXQ(1), NIC_ICR_TXQ(0),
					    NIC_ICR_TXQ(1), E1000_ICR_OTHER };

	causes &= nic->ims & nic->icr;
	if (!causes)
		return;
	if (msix_armed(nic)) {
		for (unsigned i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
			if (causes & vectors[i])
				fire_vector(nic, 4 * i, vectors[i]);
		}
		return;
	}
	nic->count[NIC_INTERRUPTS]++;
	if (plx_vfu_irq_armed(nic->vfu, VFIO_PCI_MSI_IRQ_INDEX, 0))
		plx_vfu_irq(nic->vfu, VFIO_PCI_MSI_IRQ_INDEX, 0);
	else
		plx_vfu_irq(nic->vfu, VFIO_PCI_INTX_IRQ_INDEX, 0);
}

void nic_ims_set(struct soft_nic *nic, uint32_t causes)
{
	nic->ims |= causes & NIC_ICR_VALID;
	nic_intr_fire(nic, causes);
}

/*
 * Reading clears when nothing is enabled, or without MSI-X, or when an interrupt is asserted: with
 * IAME that masks by IAM as well [10.2.4.1]. Without IAME the datasheet doesn't say; the family's
 * does ("PCIe GbE Controllers Open Source Software Developer's Manual", 13.3.27), and Linux's
 * driver relies on it.
 */
uint32_t nic_icr_read(struct soft_nic *nic)
{
	const bool asserted = nic->icr & nic->ims;
	const uint32_t icr = nic->icr | (asserted ? NIC_ICR_ASSERTED : 0);

	if (asserted || !nic->ims || !msix_armed(nic))
		nic->icr = 0;
	if (asserted && nic_reg(nic, E1000_CTRL_EXT) & E1000_CTRL_EXT_IAME)
		nic->ims &= ~nic_reg(nic, NIC_IAM);
	return icr;
}
