/* SPDX-License-Identifier: BSD-3-Clause */
/* The 82574's model, without frames: registers, NVM, PHY, link, interrupts, reset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/vfio.h>

#include "soft_fake.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define MSIX   VFIO_PCI_MSIX_IRQ_INDEX
#define INTX   VFIO_PCI_INTX_IRQ_INDEX

static int setup(void **state)
{
	*state = NULL;
	fake_pair(false);
	/* The cables were plugged in just now. */
	fake_reg_set(0, E1000_ICR, UINT32_MAX);
	fake_reg_set(1, E1000_ICR, UINT32_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_end();
	return 0;
}

static uint16_t mdio_read(unsigned card, unsigned reg)
{
	uint32_t mdic;

	fake_reg_set(card, E1000_MDIC,
		     E1000_MDIC_OP_READ | reg << E1000_MDIC_REG_SHIFT | 1u << E1000_MDIC_PHY_SHIFT);
	mdic = fake_reg(card, E1000_MDIC);
	assert_true(mdic & E1000_MDIC_READY);
	assert_false(mdic & E1000_MDIC_ERROR);
	return mdic;
}

static void mdio_write(unsigned card, unsigned reg, uint16_t value)
{
	fake_reg_set(card, E1000_MDIC,
		     E1000_MDIC_OP_WRITE | value | reg << E1000_MDIC_REG_SHIFT |
			     1u << E1000_MDIC_PHY_SHIFT);
	assert_true(fake_reg(card, E1000_MDIC) & E1000_MDIC_READY);
}

static uint16_t nvm(unsigned card, unsigned word)
{
	uint32_t eerd;

	fake_reg_set(card, E1000_EERD, word << E1000_EERD_ADDR_SHIFT | E1000_EERD_START);
	eerd = fake_reg(card, E1000_EERD);
	assert_true(eerd & E1000_EERD_DONE);
	return eerd >> E1000_EERD_DATA_SHIFT;
}

static void it_is_an_82574(void **state)
{
	uint32_t ids, class_code;

	(void)state;
	assert_int_equal(fake_access(0, CONFIG, 0, &ids, 4, false), 0);
	assert_int_equal(ids, 0x10d38086);
	assert_int_equal(fake_access(0, CONFIG, 8, &class_code, 4, false), 0);
	assert_int_equal(class_code >> 8, 0x020000);
}

static void the_nvm_adds_up(void **state)
{
	uint16_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		sum += nvm(1, i);
	assert_int_equal(sum, 0xbaba);
	assert_int_equal(nvm(1, 0), 0x0002);
	assert_int_equal(nvm(1, 2), 0x0100);
	assert_int_equal(nvm(1, 64), 0xffff);
	assert_int_equal(nvm(1, 0x3fff), 0xffff);
	/* The address is loaded from it, at reset too. */
	fake_reg_set(1, E1000_RAL(0), 0x12345678);
	fake_reg_set(1, E1000_CTRL, E1000_CTRL_RST);
	assert_int_equal(fake_reg(1, E1000_RAL(0)), 0x00000002);
	assert_int_equal(fake_reg(1, E1000_RAH(0)), 0x80000100);
}

static void reset_brings_the_defaults_back(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_RCTL, E1000_RCTL_EN);
	fake_reg_set(0, E1000_RDBAL(0), 0x1000);
	fake_reg_set(0, E1000_RDT(1), 7);
	fake_reg_set(0, E1000_IMS, E1000_ICR_LSC);
	fake_reg_set(0, E1000_CTRL, fake_reg(0, E1000_CTRL) | E1000_CTRL_RST);
	assert_false(fake_reg(0, E1000_CTRL) & E1000_CTRL_RST);
	assert_int_equal(fake_reg(0, E1000_RCTL), 0);
	assert_int_equal(fake_reg(0, E1000_RDBAL(0)), 0);
	assert_int_equal(fake_reg(0, E1000_RDT(1)), 0);
	assert_int_equal(fake_reg(0, E1000_IMS), 0);
	assert_true(fake_reg(0, E1000_EEC) & E1000_EEC_AUTO_RD);
	assert_true(fake_reg(0, E1000_STATUS) & E1000_STATUS_GIO_MASTER_ENABLE);
	fake_reg_set(0, E1000_CTRL, E1000_CTRL_GIO_MASTER_DISABLE);
	assert_false(fake_reg(0, E1000_STATUS) & E1000_STATUS_GIO_MASTER_ENABLE);
}

static void registers_keep_what_can_be_written(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_VFTA(127), 0xffffffff);
	assert_int_equal(fake_reg(0, E1000_VFTA(127)), 0xffffffff);
	fake_reg_set(0, E1000_RAH(15), 0xffffffff);
	assert_int_equal(fake_reg(0, E1000_RAH(15)), 0x8003ffff);
	fake_reg_set(0, E1000_STATUS, 0);
	assert_true(fake_reg(0, E1000_STATUS) & E1000_STATUS_LU);
	/* Where older drivers look for them. */
	fake_reg_set(0, 0x00200, 5);
	assert_int_equal(fake_reg(0, E1000_MTA(0)), 5);
	fake_reg_set(0, 0x00438, 9);
	assert_int_equal(fake_reg(0, E1000_TDT(0)), 9);
	/* 64 bits at once are two registers. */
	uint64_t both = UINT64_C(0x0000000200000001);

	assert_int_equal(fake_access(0, 0, E1000_TDBAL(1), &both, 8, true), 0);
	assert_int_equal(fake_reg(0, E1000_TDBAH(1)), 2);
}

static void unknown_registers_are_said_once(void **state)
{
	struct soft_nic_totals totals;
	uint8_t byte = 0;
	unsigned lines;

	(void)state;
	fake_said(NULL);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fake_reg(0, 0x1f000), 0);
		fake_reg_set(0, 0x1fffc, 1);
	}
	assert_non_null(strstr(fake_said(&lines), "0x1f000"));
	assert_int_equal(lines, 2);
	/* No register is a byte. */
	assert_int_equal(fake_access(0, 0, 3, &byte, 1, false), 0);
	assert_int_equal(byte, 0xff);
	soft_nic_totals(fake_nic[0], &totals);
	assert_int_equal(totals.unknown, 7);
}

/* Every 32-bit word of the BAR can be read and written, and nothing happens outside. */
static void the_whole_bar_is_safe(void **state)
{
	(void)state;
	for (uint32_t offset = 0; offset < E1000_BAR_LEN; offset += 4) {
		fake_reg(0, offset);
		fake_reg_set(0, offset, UINT32_MAX);
		fake_reg(0, offset);
		fake_reg_set(0, offset, offset * 2654435761u);
		soft_nic_turn(fake_nic[0]);
	}
	fake_said(NULL);
}

static void the_phy_is_the_82574s(void **state)
{
	(void)state;
	assert_int_equal(mdio_read(0, 2), 0x0141);
	assert_int_equal(mdio_read(0, 3), 0x0cb1);
	assert_true(mdio_read(0, 1) & MII_STATUS_LINK);
	assert_int_equal(mdio_read(0, 17) >> 14, 2);
	fake_reg_set(0, E1000_MDIC, E1000_MDIC_OP_READ | 2u << E1000_MDIC_PHY_SHIFT);
	assert_true(fake_reg(0, E1000_MDIC) & E1000_MDIC_ERROR);
}

static unsigned speed(unsigned card)
{
	return fake_reg(card, E1000_STATUS) >> E1000_STATUS_SPEED_SHIFT & 3;
}

static void the_link_follows_what_is_offered(void **state)
{
	(void)state;
	assert_true(fake_reg(0, E1000_STATUS) & E1000_STATUS_LU);
	assert_int_equal(speed(0), NIC_SPEED_1000);
	mdio_write(0, MII_1000T_CONTROL, 0);
	assert_int_equal(speed(0), NIC_SPEED_100);
	mdio_write(0, MII_ADVERTISE, MII_ADVERTISE_10HD);
	assert_int_equal(speed(0), NIC_SPEED_10);
	assert_false(fake_reg(0, E1000_STATUS) & E1000_STATUS_FD);
	mdio_write(0, MII_ADVERTISE, 0);
	assert_false(fake_reg(0, E1000_STATUS) & E1000_STATUS_LU);
	mdio_write(0, MII_CONTROL, MII_CONTROL_RESET);
	assert_int_equal(speed(0), NIC_SPEED_1000);
	/* That it was down meanwhile is seen once. */
	assert_false(mdio_read(0, MII_STATUS) & MII_STATUS_LINK);
	assert_true(mdio_read(0, MII_STATUS) & MII_STATUS_LINK);
	assert_true(fake_reg(0, E1000_STATUS) & E1000_STATUS_LU);
	/* The MAC's side of it. */
	fake_reg_set(0, E1000_CTRL, fake_reg(0, E1000_CTRL) & ~E1000_CTRL_SLU);
	assert_false(fake_reg(0, E1000_STATUS) & E1000_STATUS_LU);
}

static void a_link_has_two_ends(void **state)
{
	(void)state;
	fake_reg_set(1, E1000_IMS, E1000_ICR_LSC);
	mdio_write(0, MII_CONTROL, MII_CONTROL_POWERDOWN);
	soft_nic_serve(fake_nic[1], 1);
	assert_false(fake_reg(1, E1000_STATUS) & E1000_STATUS_LU);
	assert_int_equal(fake_irqs(1, INTX, 0), 1);
	assert_false(mdio_read(1, 1) & MII_STATUS_LINK);
	mdio_write(0, MII_CONTROL, MII_CONTROL_ANENABLE | MII_CONTROL_RESTART);
	soft_nic_serve(fake_nic[1], 2);
	assert_true(fake_reg(1, E1000_STATUS) & E1000_STATUS_LU);
	assert_int_equal(fake_irqs(1, INTX, 0), 1);
	/* The other client goes away. */
	fake_leave(0);
	soft_nic_serve(fake_nic[1], 3);
	assert_false(fake_reg(1, E1000_STATUS) & E1000_STATUS_LU);
}

static void msix_vectors_have_their_causes(void **state)
{
	(void)state;
	fake_arm(0, MSIX, true);
	fake_reg_set(0, E1000_IVAR,
		     E1000_IVAR_RXQ(0, 0) | E1000_IVAR_RXQ(1, 1) | E1000_IVAR_OTHER(2));
	fake_reg_set(0, E1000_EIAC, E1000_ICR_RXQ(0));
	fake_reg_set(0, E1000_ICS, E1000_ICR_RXQ(0));
	assert_int_equal(fake_irqs(0, MSIX, 0), 0);
	/* Unmasked while pending: fires, clears itself and its mask. */
	fake_reg_set(0, E1000_IMS, E1000_ICR_RXQ(0) | E1000_ICR_RXQ(1) | E1000_ICR_OTHER);
	assert_int_equal(fake_irqs(0, MSIX, 0), 1);
	assert_false(fake_reg(0, E1000_IMS) & E1000_ICR_RXQ(0));
	fake_reg_set(0, E1000_ICS, E1000_ICR_RXQ(0));
	assert_int_equal(fake_irqs(0, MSIX, 0), 0);
	fake_reg_set(0, E1000_ICS, E1000_ICR_RXQ(1));
	assert_int_equal(fake_irqs(0, MSIX, 1), 1);
	fake_reg_set(0, E1000_ICS, E1000_ICR_LSC);
	assert_int_equal(fake_irqs(0, MSIX, 2), 1);
	assert_int_equal(fake_irqs(0, INTX, 0), 0);
	/* With MSI-X reading clears what is asserted, and all with it. */
	assert_int_equal(fake_reg(0, E1000_ICR) & (NIC_ICR_ASSERTED | E1000_ICR_LSC),
			 NIC_ICR_ASSERTED | E1000_ICR_LSC);
	assert_int_equal(fake_reg(0, E1000_ICR), 0);
	/* What is masked stays, until ones are written. */
	fake_reg_set(0, E1000_ICS, NIC_ICR_TXQ(0));
	assert_int_equal(fake_reg(0, E1000_ICR), NIC_ICR_TXQ(0));
	assert_int_equal(fake_reg(0, E1000_ICR), NIC_ICR_TXQ(0));
	fake_reg_set(0, E1000_ICR, NIC_ICR_TXQ(0));
	assert_int_equal(fake_reg(0, E1000_ICR), 0);
	/* A vector that isn't there. */
	fake_reg_set(0, E1000_IVAR, 0xfffff);
	fake_reg_set(0, E1000_ICS, UINT32_MAX);
}

static void without_msix_there_is_one_interrupt(void **state)
{
	(void)state;
	fake_reg_set(0, E1000_ICS, E1000_ICR_LSC);
	assert_int_equal(fake_irqs(0, INTX, 0), 0);
	fake_reg_set(0, E1000_IMS, E1000_ICR_LSC);
	assert_int_equal(fake_irqs(0, INTX, 0), 1);
	assert_int_equal(fake_reg(0, E1000_ICR) & (NIC_ICR_ASSERTED | E1000_ICR_LSC),
			 NIC_ICR_ASSERTED | E1000_ICR_LSC);
	assert_int_equal(fake_reg(0, E1000_ICR), 0);
	fake_arm(0, VFIO_PCI_MSI_IRQ_INDEX, true);
	fake_reg_set(0, E1000_ICS, E1000_ICR_LSC);
	assert_int_equal(fake_irqs(0, VFIO_PCI_MSI_IRQ_INDEX, 0), 1);
	assert_int_equal(fake_irqs(0, INTX, 0), 0);
	/* How Linux's driver tries whether its MSI arrives. */
	fake_reg_set(0, E1000_ICR, UINT32_MAX);
	fake_reg_set(0, E1000_IMS, NIC_ICR_RXSEQ);
	fake_reg_set(0, E1000_ICS, NIC_ICR_RXSEQ);
	assert_int_equal(fake_irqs(0, VFIO_PCI_MSI_IRQ_INDEX, 0), 1);
	assert_true(fake_reg(0, E1000_ICR) & NIC_ICR_RXSEQ);
	fake_reg_set(0, E1000_IMC, UINT32_MAX);
	assert_int_equal(fake_reg(0, E1000_IMS), 0);
}

static void iame_masks_at_the_read(void **state)
{
	(void)state;
	fake_arm(0, MSIX, true);
	fake_reg_set(0, E1000_CTRL_EXT, E1000_CTRL_EXT_IAME);
	fake_reg_set(0, NIC_IAM, E1000_ICR_LSC);
	fake_reg_set(0, E1000_IMS, E1000_ICR_LSC | E1000_ICR_OTHER);
	fake_reg_set(0, E1000_ICS, E1000_ICR_LSC);
	assert_true(fake_reg(0, E1000_ICR) & E1000_ICR_LSC);
	assert_int_equal(fake_reg(0, E1000_IMS), E1000_ICR_OTHER);
	assert_int_equal(fake_reg(0, E1000_ICR), 0);
}

static void semaphores_are_taken_once(void **state)
{
	(void)state;
	assert_false(fake_reg(0, NIC_SWSM) & NIC_SWSM_SMBI);
	assert_true(fake_reg(0, NIC_SWSM) & NIC_SWSM_SMBI);
	fake_reg_set(0, NIC_SWSM, 0);
	assert_false(fake_reg(0, NIC_SWSM) & NIC_SWSM_SMBI);
	fake_reg_set(0, E1000_EXTCNF_CTRL, E1000_EXTCNF_CTRL_SW_OWNERSHIP);
	assert_true(fake_reg(0, E1000_EXTCNF_CTRL) & E1000_EXTCNF_CTRL_SW_OWNERSHIP);
	fake_reg_set(0, E1000_EEC, NIC_EEC_REQ);
	assert_true(fake_reg(0, E1000_EEC) & NIC_EEC_GNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_an_82574, setup, teardown),
		cmocka_unit_test_setup_teardown(the_nvm_adds_up, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_brings_the_defaults_back, setup, teardown),
		cmocka_unit_test_setup_teardown(registers_keep_what_can_be_written, setup,
						teardown),
		cmocka_unit_test_setup_teardown(unknown_registers_are_said_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_whole_bar_is_safe, setup, teardown),
		cmocka_unit_test_setup_teardown(the_phy_is_the_82574s, setup, teardown),
		cmocka_unit_test_setup_teardown(the_link_follows_what_is_offered, setup, teardown),
		cmocka_unit_test_setup_teardown(a_link_has_two_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(msix_vectors_have_their_causes, setup, teardown),
		cmocka_unit_test_setup_teardown(without_msix_there_is_one_interrupt, setup,
						teardown),
		cmocka_unit_test_setup_teardown(iame_masks_at_the_read, setup, teardown),
		cmocka_unit_test_setup_teardown(semaphores_are_taken_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
