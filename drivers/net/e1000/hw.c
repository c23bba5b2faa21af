/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reset and bring-up [4.6], the NVM, the PHY and the link.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ether.h>

#include <pollux/log.h>

#include "e1000.h"

#define REMOVED UINT32_MAX /* what a read gives when no device answers */

bool e1000_hw_present(const struct e1000 *hw)
{
	return e1000_read(hw, E1000_STATUS) != REMOVED;
}

/* Waits until the bits of a register have a value, looking every 100 us. -ETIMEDOUT, -ENODEV. */
static int wait_for(const struct e1000 *hw, uint32_t reg, uint32_t bits, uint32_t value,
		    unsigned int ms)
{
	for (unsigned int i = 0; i <= ms * 10; i++) {
		uint32_t got = e1000_read(hw, reg);

		if (got == REMOVED)
			return -ENODEV;
		if ((got & bits) == value)
			return 0;
		rte_delay_us_sleep(100);
	}
	return -ETIMEDOUT;
}

void e1000_hw_ctrl(struct e1000 *hw, uint32_t clear, uint32_t set)
{
	pthread_mutex_lock(&hw->lock);
	e1000_write(hw, E1000_CTRL, (e1000_read(hw, E1000_CTRL) & ~clear) | set);
	pthread_mutex_unlock(&hw->lock);
}

/*
 * Brings the device to rest and to its defaults: no more requests of its own first, or the reset
 * may cut one in two [5.2.3.2, 10.2.2.1].
 */
int e1000_hw_reset(struct e1000 *hw)
{
	const char *name = hw->pci->name;
	uint32_t ctrl;
	int err;

	if (!e1000_hw_present(hw)) {
		plx_err("%s: its registers read all ones: the device is gone or in a power state "
			"that needs a reset of the slot",
			name);
		return -ENODEV;
	}
	e1000_write(hw, E1000_IMC, UINT32_MAX);
	e1000_write(hw, E1000_RCTL, 0);
	e1000_write(hw, E1000_TCTL, E1000_TCTL_PSP);
	e1000_hw_ctrl(hw, 0, E1000_CTRL_GIO_MASTER_DISABLE);
	err = wait_for(hw, E1000_STATUS, E1000_STATUS_GIO_MASTER_ENABLE, 0, 100);
	if (err == -ETIMEDOUT)
		plx_warn("%s: requests still pending after 100 ms; resetting all the same", name);
	else if (err)
		return err;
	rte_delay_us_sleep(10000);

	/* Firmware must keep off the PHY's bus during the reset; what it holds it may not give. */
	for (int i = 0; i < 10; i++) {
		e1000_write(hw, E1000_EXTCNF_CTRL,
			    e1000_read(hw, E1000_EXTCNF_CTRL) | E1000_EXTCNF_CTRL_SW_OWNERSHIP);
		if (e1000_read(hw, E1000_EXTCNF_CTRL) & E1000_EXTCNF_CTRL_SW_OWNERSHIP)
			break;
		rte_delay_us_sleep(2000);
	}
	ctrl = e1000_read(hw, E1000_CTRL) & ~E1000_CTRL_GIO_MASTER_DISABLE;
	e1000_write(hw, E1000_CTRL, ctrl | E1000_CTRL_RST);
	rte_delay_us_sleep(1000); /* no access in the first microsecond [10.2.2.1] */
	err = wait_for(hw, E1000_CTRL, E1000_CTRL_RST, 0, 100);
	if (!err)
		err = wait_for(hw, E1000_EEC, E1000_EEC_AUTO_RD, E1000_EEC_AUTO_RD, 100);
	if (err) {
		plx_err("%s: not out of reset after 100 ms: %s; reset the slot, or the machine",
			name, strerror(-err));
		return err;
	}
	rte_delay_us_sleep(25000); /* the NVM's part of the PHY configuration has no "done" */
	e1000_write(hw, E1000_EXTCNF_CTRL,
		    e1000_read(hw, E1000_EXTCNF_CTRL) & ~E1000_EXTCNF_CTRL_SW_OWNERSHIP);
	e1000_write(hw, E1000_IMC, UINT32_MAX);
	e1000_write(hw, E1000_ICR, UINT32_MAX);
	return 0;
}

/* General configuration after a reset [4.6.2, 4.6.3] and the pause watermarks [10.2.2.8ff]. */
void e1000_hw_init(struct e1000 *hw)
{
	uint32_t ext, room, high, frame = hw->eth->mtu + E1000_OVERHEAD + RTE_ETHER_CRC_LEN;

	/* Speed and duplex as negotiated; the MAC's side of the link on, unless set down. */
	e1000_hw_ctrl(hw,
		      E1000_CTRL_FRCSPD | E1000_CTRL_FRCDPX | E1000_CTRL_VME | E1000_CTRL_RFCE |
			      E1000_CTRL_TFCE | E1000_CTRL_GIO_MASTER_DISABLE | E1000_CTRL_SLU,
		      E1000_CTRL_ASDE | (hw->link_down ? 0 : E1000_CTRL_SLU));

	ext = e1000_read(hw, E1000_CTRL_EXT);
	ext &= ~(E1000_CTRL_EXT_MUST_CLEAR | E1000_CTRL_EXT_EIAME | E1000_CTRL_EXT_IAME);
	ext |= E1000_CTRL_EXT_MUST_SET | E1000_CTRL_EXT_DRV_LOAD | E1000_CTRL_EXT_PBA;
	e1000_write(hw, E1000_CTRL_EXT, ext);
	e1000_write(hw, E1000_GCR, e1000_read(hw, E1000_GCR) | E1000_GCR_FIX);
	e1000_write(hw, E1000_GCR2, e1000_read(hw, E1000_GCR2) | E1000_GCR2_FIX);
	e1000_write(hw, E1000_VET, RTE_ETHER_TYPE_VLAN);

	/*
	 * 20 KiB of packet buffer each way hold two of the largest frames to send and two to
	 * receive. Ask for a pause while one whole frame still fits, and at nine tenths at last.
	 */
	room = (e1000_read(hw, E1000_PBA) & 0x3f) * 1024;
	high = RTE_MIN(room * 9 / 10, room > frame ? room - frame : 0) & ~7u;
	e1000_write(hw, E1000_FCRTH, high);
	e1000_write(hw, E1000_FCRTL, high > 8 ? high - 8 : 0);
	e1000_write(hw, E1000_FCTTV, UINT16_MAX);
	e1000_write(hw, E1000_FCAL, 0x00c28001); /* 01:80:c2:00:00:01, IEEE 802.3 annex 31B */
	e1000_write(hw, E1000_FCAH, 0x00000100);
	e1000_write(hw, E1000_FCT, 0x8808);
}

/*
 * NVM [10.2.2.4].
 */
static int nvm_read(struct e1000 *hw, uint16_t word, uint16_t *value)
{
	int err;

	e1000_write(hw, E1000_EERD, (uint32_t)word << E1000_EERD_ADDR_SHIFT | E1000_EERD_START);
	err = wait_for(hw, E1000_EERD, E1000_EERD_DONE, E1000_EERD_DONE, 10);
	if (!err)
		*value = e1000_read(hw, E1000_EERD) >> E1000_EERD_DATA_SHIFT;
	return err;
}

/* The device loads its address from the NVM into RAL0 at reset; if it didn't, look ourselves. */
int e1000_hw_read_mac(struct e1000 *hw, struct rte_ether_addr *addr)
{
	uint32_t low = e1000_read(hw, E1000_RAL(0)), high = e1000_read(hw, E1000_RAH(0));
	uint16_t word[3] = { low, low >> 16, high };
	int err = 0;

	if (!(high & E1000_RAH_AV)) {
		for (uint16_t i = 0; i < 3 && !err; i++)
			err = nvm_read(hw, i, &word[i]);
	}
	for (unsigned int i = 0; i < 3; i++) {
		addr->addr_bytes[2 * i] = word[i];
		addr->addr_bytes[2 * i + 1] = word[i] >> 8;
	}
	if (err || !rte_is_valid_assigned_ether_addr(addr)) {
		plx_err("%s: no valid address in its NVM (" RTE_ETHER_ADDR_PRT_FMT ")",
			hw->pci->name, RTE_ETHER_ADDR_BYTES(addr));
		return err ? err : -EADDRNOTAVAIL;
	}
	return 0;
}

/*
 * PHY, over MDI [10.2.2.7].
 */
static int phy_access(struct e1000 *hw, uint32_t op, uint32_t reg, uint16_t *value)
{
	uint32_t mdic;
	int err;

	e1000_write(hw, E1000_MDIC,
		    op | reg << E1000_MDIC_REG_SHIFT | E1000_PHY_ADDR << E1000_MDIC_PHY_SHIFT |
			    (op == E1000_MDIC_OP_WRITE ? *value : 0));
	err = wait_for(hw, E1000_MDIC, E1000_MDIC_READY, E1000_MDIC_READY, 10);
	if (err)
		return err;
	mdic = e1000_read(hw, E1000_MDIC);
	if (mdic & E1000_MDIC_ERROR)
		return -EIO;
	*value = mdic;
	return 0;
}

static int phy_read(struct e1000 *hw, uint32_t reg, uint16_t *value)
{
	int err;

	pthread_mutex_lock(&hw->lock);
	err = phy_access(hw, E1000_MDIC_OP_READ, reg, value);
	pthread_mutex_unlock(&hw->lock);
	return err;
}

static int phy_write(struct e1000 *hw, uint32_t reg, uint16_t value)
{
	int err;

	pthread_mutex_lock(&hw->lock);
	err = phy_access(hw, E1000_MDIC_OP_WRITE, reg, &value);
	pthread_mutex_unlock(&hw->lock);
	return err;
}

#define ADVERTISE_SPEEDS \
	(MII_ADVERTISE_10HD | MII_ADVERTISE_10FD | MII_ADVERTISE_100HD | MII_ADVERTISE_100FD)
#define GIGABIT_SPEEDS (MII_1000T_HD | MII_1000T_FD)

/*
 * Has the PHY negotiate among these speeds (RTE_ETH_LINK_SPEED_*, 0: all). A negotiation takes
 * seconds: a PHY that offers just these already is left alone.
 */
int e1000_hw_phy_setup(struct e1000 *hw, uint32_t speeds)
{
	uint16_t control = 0, adv = 0, gigabit = 0, want = 0, want_gigabit = 0;
	int err;

	if (!speeds || speeds & RTE_ETH_LINK_SPEED_10M_HD)
		want |= MII_ADVERTISE_10HD;
	if (!speeds || speeds & RTE_ETH_LINK_SPEED_10M)
		want |= MII_ADVERTISE_10FD;
	if (!speeds || speeds & RTE_ETH_LINK_SPEED_100M_HD)
		want |= MII_ADVERTISE_100HD;
	if (!speeds || speeds & RTE_ETH_LINK_SPEED_100M)
		want |= MII_ADVERTISE_100FD;
	if (!speeds || speeds & RTE_ETH_LINK_SPEED_1G)
		want_gigabit |= MII_1000T_FD;

	err = phy_read(hw, MII_CONTROL, &control);
	if (!err)
		err = phy_read(hw, MII_ADVERTISE, &adv);
	if (!err)
		err = phy_read(hw, MII_1000T_CONTROL, &gigabit);
	if (!err && (adv & ADVERTISE_SPEEDS) == want && (gigabit & MII_1000T_FD) == want_gigabit &&
	    (control & (MII_CONTROL_ANENABLE | MII_CONTROL_POWERDOWN)) == MII_CONTROL_ANENABLE)
		return 0;

	if (!err)
		err = phy_write(hw, MII_ADVERTISE, (adv & ~ADVERTISE_SPEEDS) | want);
	if (!err)
		err = phy_write(hw, MII_1000T_CONTROL, (gigabit & ~GIGABIT_SPEEDS) | want_gigabit);
	if (!err)
		err = phy_write(hw, MII_CONTROL,
				(control & ~MII_CONTROL_POWERDOWN) | MII_CONTROL_ANENABLE |
					MII_CONTROL_RESTART);
	if (err)
		plx_err("%s: its PHY doesn't answer: %s", hw->pci->name, strerror(-err));
	return err;
}

int e1000_hw_phy_power(struct e1000 *hw, bool on)
{
	uint16_t control;
	int err = phy_read(hw, MII_CONTROL, &control);

	if (err)
		return err;
	if (on)
		control = (control & ~MII_CONTROL_POWERDOWN) | MII_CONTROL_ANENABLE |
			  MII_CONTROL_RESTART;
	else
		control |= MII_CONTROL_POWERDOWN;
	return phy_write(hw, MII_CONTROL, control);
}

/*
 * Pause frames as both ends have agreed [IEEE 802.3, 28B.3]: the PHY negotiates, the MAC has to be
 * told [10.2.2.1].
 */
static void pause_resolve(struct e1000 *hw)
{
	uint16_t ours = 0, theirs = 0;
	uint32_t set = 0;

	if (phy_read(hw, MII_ADVERTISE, &ours) || phy_read(hw, MII_PARTNER, &theirs))
		return;
	if (ours & theirs & MII_ADVERTISE_PAUSE) {
		set = E1000_CTRL_RFCE | E1000_CTRL_TFCE;
	} else if (ours & theirs & MII_ADVERTISE_ASM_PAUSE) {
		if (theirs & MII_ADVERTISE_PAUSE)
			set = E1000_CTRL_TFCE;
		else if (ours & MII_ADVERTISE_PAUSE)
			set = E1000_CTRL_RFCE;
	}
	e1000_hw_ctrl(hw, E1000_CTRL_RFCE | E1000_CTRL_TFCE, set);
}

static void link_read(struct e1000 *hw, struct rte_eth_link *link)
{
	static const uint32_t speeds[] = { RTE_ETH_SPEED_NUM_10M, RTE_ETH_SPEED_NUM_100M,
					   RTE_ETH_SPEED_NUM_1G, RTE_ETH_SPEED_NUM_1G };
	uint32_t status = e1000_read(hw, E1000_STATUS);

	memset(link, 0, sizeof(*link));
	link->link_autoneg = RTE_ETH_LINK_AUTONEG;
	if (hw->link_down || status == REMOVED || !(status & E1000_STATUS_LU))
		return;
	link->link_status = RTE_ETH_LINK_UP;
	link->link_speed = speeds[status >> E1000_STATUS_SPEED_SHIFT & E1000_STATUS_SPEED_MASK];
	link->link_duplex =
		status & E1000_STATUS_FD ? RTE_ETH_LINK_FULL_DUPLEX : RTE_ETH_LINK_HALF_DUPLEX;
}

/* Looks at the link and makes it known. Whether it is up, or down for good. */
static bool link_look(struct e1000 *hw)
{
	struct rte_eth_link link;
	bool settled;

	pthread_mutex_lock(&hw->link_lock);
	link_read(hw, &link);
	if (link.link_status && !hw->link_up)
		pause_resolve(hw);
	hw->link_up = link.link_status;
	if (plx_eth_link_publish(hw->eth, &link))
		hw->link_changed = true;
	settled = link.link_status || hw->link_down;
	pthread_mutex_unlock(&hw->link_lock);
	return settled;
}

int e1000_link_update(struct plx_eth_dev *eth)
{
	return link_look(eth->priv) ? 0 : -EAGAIN;
}

/* Whether the link has changed since the last call: then there is something to report. */
bool e1000_link_changed(struct e1000 *hw)
{
	bool changed;

	pthread_mutex_lock(&hw->link_lock);
	changed = hw->link_changed;
	hw->link_changed = false;
	pthread_mutex_unlock(&hw->link_lock);
	return changed;
}

int e1000_link_set(struct plx_eth_dev *eth, bool up)
{
	struct e1000 *hw = eth->priv;
	int err;

	if (hw->link_down == !up)
		return 0;
	err = e1000_hw_phy_power(hw, up);
	if (err)
		return err;
	e1000_hw_ctrl(hw, up ? 0 : E1000_CTRL_SLU, up ? E1000_CTRL_SLU : 0);
	pthread_mutex_lock(&hw->link_lock);
	hw->link_down = !up;
	pthread_mutex_unlock(&hw->link_lock);
	if (eth->running)
		e1000_link_update(eth);
	return 0;
}
