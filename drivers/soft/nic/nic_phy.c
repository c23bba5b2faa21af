/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVM [6.1, 10.2.2.4], the PHY behind MDIC [10.2.2.7], and the link that the two ends of a
 * cable make. Negotiation takes no time here.
 */
#include "nic.h"

#define NVM_INIT_CONTROL_1 0x0a
#define NVM_DEVICE	   0x0d
#define NVM_VENDOR	   0x0e
#define NVM_CHECKSUM	   0x3f

#define ADVERTISE_DEFAULT    0x0de1u /* 10 and 100, pause both ways, IEEE 802.3 */
#define PARTNER		     0x4de1u /* the same, acknowledged */
#define PARTNER_1000	     0x7800u /* both ends' receivers are fine, 1000BASE-T full and half */
#define EXT_STATUS	     0x3000u /* 1000BASE-T full and half */
#define EXPANSION	     0x000fu
#define CONTROL_1000_DEFAULT MII_1000T_FD

/* Copper specific status: speed 15:14, duplex, resolved, link */
#define SPEC_SPEED_SHIFT 14
#define SPEC_DUPLEX	 (1u << 13)
#define SPEC_RESOLVED	 (1u << 11)
#define SPEC_LINK	 (1u << 10)

void nic_nvm_init(struct soft_nic *nic)
{
	uint16_t sum = 0;

	for (unsigned i = 0; i < 3; i++)
		nic->nvm[i] = nic->mac[2 * i] | nic->mac[2 * i + 1] << 8;
	nic->nvm[NVM_INIT_CONTROL_1] = 0x026b; /* ids are to be loaded from here */
	nic->nvm[NVM_DEVICE] = NIC_DEVICE;
	nic->nvm[NVM_VENDOR] = NIC_VENDOR;
	for (unsigned i = 0; i < NVM_CHECKSUM; i++)
		sum += nic->nvm[i];
	nic->nvm[NVM_CHECKSUM] = NIC_NVM_SUM - sum;
}

/* What EERD reads after this was written to it. Words that aren't there are all ones. */
uint32_t nic_nvm_read(const struct soft_nic *nic, uint32_t eerd)
{
	const uint32_t word = eerd >> E1000_EERD_ADDR_SHIFT & 0x3fff;
	const uint32_t value = word < NIC_NVM_WORDS ? nic->nvm[word] : UINT16_MAX;

	if (!(eerd & E1000_EERD_START))
		return eerd & ~E1000_EERD_DONE;
	return value << E1000_EERD_DATA_SHIFT | word << E1000_EERD_ADDR_SHIFT | E1000_EERD_DONE;
}

void nic_phy_reset(struct soft_nic *nic)
{
	struct nic_phy *phy = &nic->phy;

	memset(phy->reg, 0, sizeof(phy->reg));
	phy->page = 0;
	phy->reg[MII_CONTROL] = MII_CONTROL_ANENABLE | MII_CONTROL_FD | MII_CONTROL_1000;
	phy->reg[MII_ADVERTISE] = ADVERTISE_DEFAULT;
	phy->reg[MII_1000T_CONTROL] = CONTROL_1000_DEFAULT;
}

bool nic_phy_powered(const struct soft_nic *nic)
{
	return !(nic->phy.reg[MII_CONTROL] & MII_CONTROL_POWERDOWN);
}

/* STATUS.SPEED as the PHY has it; the other end can do everything. -1: nothing in common. */
static int phy_speed(const struct nic_phy *phy, bool *full)
{
	const uint16_t control = phy->reg[MII_CONTROL], adv = phy->reg[MII_ADVERTISE];

	*full = true;
	if (!(control & MII_CONTROL_ANENABLE)) {
		*full = control & MII_CONTROL_FD;
		return control & MII_CONTROL_1000  ? NIC_SPEED_1000
		       : control & MII_CONTROL_100 ? NIC_SPEED_100
						   : NIC_SPEED_10;
	}
	if (phy->reg[MII_1000T_CONTROL] & MII_1000T_FD)
		return NIC_SPEED_1000;
	if (adv & (MII_ADVERTISE_100FD | MII_ADVERTISE_100HD)) {
		*full = adv & MII_ADVERTISE_100FD;
		return NIC_SPEED_100;
	}
	*full = adv & MII_ADVERTISE_10FD;
	return adv & (MII_ADVERTISE_10FD | MII_ADVERTISE_10HD) ? (int)NIC_SPEED_10 : -1;
}

static uint16_t phy_spec_status(const struct nic_phy *phy)
{
	bool full;
	const int speed = phy_speed(phy, &full);

	if (!phy->link)
		return 0;
	return (uint16_t)(speed << SPEC_SPEED_SHIFT | (full ? SPEC_DUPLEX : 0) | SPEC_RESOLVED |
			  SPEC_LINK);
}

static uint16_t phy_read(struct nic_phy *phy, unsigned reg)
{
	uint16_t value;

	if (reg == NIC_PHY_PAGE || reg == NIC_PHY_PAGE_BM)
		return phy->page;
	if (phy->page && reg > MII_EXT_STATUS)
		return 0;
	switch (reg) {
	case MII_STATUS:
		value = MII_STATUS_ABLE;
		if (phy->link && !phy->link_dropped)
			value |= MII_STATUS_LINK; /* latches low [IEEE 802.3, 22.2.4.2.13] */
		phy->link_dropped = false;
		return phy->link ? value | MII_STATUS_ANDONE : value;
	case MII_ID1: return NIC_PHY_ID1;
	case MII_ID2: return NIC_PHY_ID2;
	case MII_PARTNER: return phy->link ? PARTNER : 0;
	case MII_EXPANSION: return phy->link ? EXPANSION : 0;
	case MII_1000T_STATUS: return phy->link ? PARTNER_1000 : 0;
	case MII_EXT_STATUS: return EXT_STATUS;
	case NIC_PHY_SPEC_STATUS: return phy_spec_status(phy);
	default: return phy->reg[reg];
	}
}

static void phy_write(struct soft_nic *nic, unsigned reg, uint16_t value)
{
	struct nic_phy *phy = &nic->phy;

	if (reg == NIC_PHY_PAGE || reg == NIC_PHY_PAGE_BM) {
		phy->page = value;
	} else if (phy->page && reg > MII_EXT_STATUS) {
		return;
	} else if (reg == MII_CONTROL && value & MII_CONTROL_RESET) {
		nic_phy_reset(nic);
	} else {
		phy->reg[reg] = value;
		phy->reg[MII_CONTROL] &= (uint16_t)~MII_CONTROL_RESTART;
	}
	/* A new negotiation takes the link down, for a moment. */
	if (reg == MII_CONTROL && value & (MII_CONTROL_RESET | MII_CONTROL_RESTART)) {
		phy->link_dropped = true;
		nic_intr(nic, E1000_ICR_LSC | E1000_ICR_OTHER);
	}
	nic_link_update(nic);
}

/* What MDIC reads after this was written to it. */
uint32_t nic_phy_access(struct soft_nic *nic, uint32_t mdic)
{
	const unsigned reg = mdic >> E1000_MDIC_REG_SHIFT & 0x1f;
	const unsigned phy = mdic >> E1000_MDIC_PHY_SHIFT & 0x1f;

	if (phy != E1000_PHY_ADDR)
		return mdic | E1000_MDIC_ERROR | E1000_MDIC_READY;
	if (mdic & E1000_MDIC_OP_WRITE)
		phy_write(nic, reg, mdic);
	else if (mdic & E1000_MDIC_OP_READ)
		mdic = (mdic & ~(uint32_t)UINT16_MAX) | phy_read(&nic->phy, reg);
	else
		return mdic;
	if (mdic & NIC_MDIC_INT)
		nic_intr(nic, NIC_ICR_MDAC | E1000_ICR_OTHER);
	return mdic | E1000_MDIC_READY;
}

/*
 * Compares what the link is with what the driver was told. A cable has a link when both its ends
 * are powered; the MAC sees it when CTRL.SLU is set [10.2.2.1].
 */
void nic_link_update(struct soft_nic *nic)
{
	const uint32_t before = nic_reg(nic, E1000_STATUS);
	uint32_t status = before & ~(E1000_STATUS_LU | E1000_STATUS_FD |
				     E1000_STATUS_SPEED_MASK << E1000_STATUS_SPEED_SHIFT);
	const bool cable = nic->cable && nic->cable->up(nic->cable);
	bool full;
	const int speed = phy_speed(&nic->phy, &full);
	const bool link = cable && nic_phy_powered(nic) && speed >= 0;

	if (nic->phy.link && !link)
		nic->phy.link_dropped = true;
	nic->phy.link = link;
	if (full)
		status |= E1000_STATUS_FD;
	if (speed > 0)
		status |= (uint32_t)speed << E1000_STATUS_SPEED_SHIFT;
	if (link && nic_reg(nic, E1000_CTRL) & E1000_CTRL_SLU)
		status |= E1000_STATUS_LU;
	nic->reg[E1000_STATUS / 4] = status;
	nic_tx_select(nic);
	if ((status ^ before) & E1000_STATUS_LU)
		nic_intr(nic, E1000_ICR_LSC | E1000_ICR_OTHER);
}
