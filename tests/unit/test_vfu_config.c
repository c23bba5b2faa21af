/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space for models: what reads back, what can be written, how BARs are sized. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/pci_regs.h>

#include <cmocka.h>
#include <pollux/vfu_config.h>

static struct plx_vfu_config config;

static uint64_t rd(unsigned at, unsigned len)
{
	uint64_t value = 0;

	assert_int_equal(plx_vfu_config_access(&config, at, &value, len, false), 0);
	return value;
}

static void wr(unsigned at, unsigned len, uint64_t value)
{
	assert_int_equal(plx_vfu_config_access(&config, at, &value, len, true), 0);
}

static int fresh(void **state)
{
	static const struct plx_vfu_ids ids = { 0x8086, 0x10d3, 0x1af4, 0x1100, 0x020000, 7 };

	(void)state;
	return plx_vfu_config_init(&config, 256, &ids);
}

static void ids_read_back_and_stay(void **state)
{
	(void)state;
	wr(0, 4, 0xffffffff);
	wr(PCI_CLASS_REVISION, 4, 0);
	wr(PCI_SUBSYSTEM_VENDOR_ID, 4, 0);
	assert_int_equal(rd(PCI_VENDOR_ID, 2), 0x8086);
	assert_int_equal(rd(PCI_DEVICE_ID, 2), 0x10d3);
	assert_int_equal(rd(PCI_CLASS_REVISION, 4), 0x02000007);
	assert_int_equal(rd(PCI_SUBSYSTEM_VENDOR_ID, 4), 0x11001af4);
	assert_int_equal(rd(PCI_STATUS, 2), 0);
	assert_int_equal(rd(PCI_CAPABILITY_LIST, 1), 0);
}

static void only_two_sizes_make_sense(void **state)
{
	static const struct plx_vfu_ids ids = { 0 };

	(void)state;
	assert_int_equal(plx_vfu_config_init(&config, 255, &ids), -EINVAL);
	assert_int_equal(plx_vfu_config_init(&config, 512, &ids), -EINVAL);
	assert_int_equal(plx_vfu_config_init(&config, 4096, &ids), 0);
	assert_int_equal(rd(4092, 4), 0);
}

static void the_command_register_says_what_is_on(void **state)
{
	(void)state;
	assert_false(plx_vfu_config_memory(&config));
	assert_false(plx_vfu_config_master(&config));
	assert_false(plx_vfu_config_intx_off(&config));
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(plx_vfu_config_memory(&config));
	assert_false(plx_vfu_config_master(&config));
	wr(PCI_COMMAND, 2, 0xffff);
	assert_true(plx_vfu_config_master(&config));
	assert_true(plx_vfu_config_intx_off(&config));
	assert_int_equal(rd(PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
						     PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
						     PCI_COMMAND_INTX_DISABLE);
	plx_vfu_config_reset(&config);
	assert_false(plx_vfu_config_memory(&config));
}

static void bars_tell_their_size(void **state)
{
	(void)state;
	assert_int_equal(plx_vfu_config_bar(&config, 0, 128 << 10, 0), 0);
	assert_int_equal(plx_vfu_config_bar(&config, 1, 32, PLX_VFU_BAR_IO), 0);
	assert_int_equal(plx_vfu_config_bar(&config, 2, UINT64_C(8) << 30,
					    PLX_VFU_BAR_64 | PLX_VFU_BAR_PREFETCH),
			 0);
	wr(PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	assert_int_equal(rd(PCI_BASE_ADDRESS_0, 4), 0xfffe0000);
	wr(PCI_BASE_ADDRESS_0, 4, 0xfebc1234);
	assert_int_equal(rd(PCI_BASE_ADDRESS_0, 4), 0xfebc0000);
	wr(PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	assert_int_equal(rd(PCI_BASE_ADDRESS_1, 4), 0xffffffe1);
	wr(PCI_BASE_ADDRESS_2, 8, UINT64_MAX);
	assert_true(rd(PCI_BASE_ADDRESS_2, 8) == 0xfffffffe0000000c);
	wr(PCI_BASE_ADDRESS_4, 8, UINT64_MAX);
	assert_int_equal(rd(PCI_BASE_ADDRESS_4, 8), 0);
	wr(PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(rd(PCI_COMMAND, 2), PCI_COMMAND_IO);
}

static void bars_that_can_not_be_are_refused(void **state)
{
	static const struct {
		unsigned bar;
		uint64_t size;
		unsigned flags;
	} bad[] = {
		{ 6, 4096, 0 },
		{ 5, 4096, PLX_VFU_BAR_64 },
		{ UINT32_MAX, 4096, PLX_VFU_BAR_64 },
		{ 2, 0, 0 },
		{ 2, 4095, 0 },
		{ 2, 8, 0 },
		{ 2, UINT64_C(1) << 32, 0 },
		{ 2, 2, PLX_VFU_BAR_IO },
		{ 2, 512, PLX_VFU_BAR_IO },
		{ 2, 256, PLX_VFU_BAR_IO | PLX_VFU_BAR_64 },
		{ 2, 4096, 2 },
		{ 0, 4096, 0 }, /* taken, from here on */
		{ 1, 4096, 0 },
	};
	size_t i;

	(void)state;
	assert_int_equal(plx_vfu_config_bar(&config, 0, 1 << 24, PLX_VFU_BAR_64), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(plx_vfu_config_bar(&config, bad[i].bar, bad[i].size, bad[i].flags),
				 -EINVAL);
}

static void capabilities_are_a_list(void **state)
{
	int pm, msix, pcie;

	(void)state;
	pm = plx_vfu_config_pm(&config);
	msix = plx_vfu_config_msix(&config, 5, 3, 0, 3, 0x2000);
	pcie = plx_vfu_config_pcie(&config);
	assert_int_equal(rd(PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(rd(PCI_CAPABILITY_LIST, 1), pm);
	assert_int_equal(rd(pm, 2), msix << 8 | PCI_CAP_ID_PM);
	assert_int_equal(rd(msix, 2), pcie << 8 | PCI_CAP_ID_MSIX);
	assert_int_equal(rd(pcie, 2), PCI_CAP_ID_EXP);
	assert_true(pm % 4 == 0 && msix % 4 == 0 && pcie % 4 == 0);

	assert_int_equal(rd(msix + PCI_MSIX_FLAGS, 2), 4);
	assert_int_equal(rd(msix + PCI_MSIX_TABLE, 4), 3);
	assert_int_equal(rd(msix + PCI_MSIX_PBA, 4), 0x2003);
	wr(msix, 8, UINT64_MAX);
	assert_int_equal(rd(msix + PCI_MSIX_FLAGS, 2), 0xc004);
	assert_int_equal(rd(msix + PCI_MSIX_TABLE, 4), 3);
	wr(pm + PCI_PM_CTRL, 2, 0xffff);
	assert_int_equal(rd(pm + PCI_PM_CTRL, 2), 0x000b);
	wr(pcie + PCI_EXP_DEVCTL, 2, 0xffff);
	assert_int_equal(rd(pcie + PCI_EXP_DEVCTL, 2), 0x7fff);
	assert_int_equal(rd(pcie + PCI_EXP_FLAGS, 2), 1);
	assert_int_equal(rd(pcie + PCI_EXP_LNKSTA, 2), 0x11);
	plx_vfu_config_reset(&config);
	assert_int_equal(rd(pcie + PCI_EXP_DEVCTL, 2), 0x2810);
	assert_int_equal(rd(msix + PCI_MSIX_FLAGS, 2), 4);
	assert_int_equal(rd(pm, 2), msix << 8 | PCI_CAP_ID_PM);
}

static void capabilities_that_can_not_be_are_refused(void **state)
{
	uint8_t body[256] = { 0 };

	(void)state;
	assert_int_equal(plx_vfu_config_msix(&config, 0, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(plx_vfu_config_msix(&config, 2049, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(plx_vfu_config_msix(&config, 1, 6, 0, 0, 0), -EINVAL);
	assert_int_equal(plx_vfu_config_msix(&config, 1, 0, 0, 6, 0), -EINVAL);
	assert_int_equal(plx_vfu_config_msix(&config, 1, 0, 4, 0, 0), -EINVAL);
	assert_int_equal(plx_vfu_config_msix(&config, 1, 0, 0, 0, 0x1001), -EINVAL);
	assert_int_equal(plx_vfu_config_cap(&config, 9, body, NULL, 0xbf), -ENOSPC);
	assert_int_equal(plx_vfu_config_cap(&config, 9, body, NULL, SIZE_MAX), -ENOSPC);
	assert_int_equal(plx_vfu_config_cap(&config, 9, body, NULL, 0xbe), 0x40);
	assert_int_equal(plx_vfu_config_pm(&config), -ENOSPC);
	assert_int_equal(plx_vfu_config_cap(&config, 9, body, NULL, 0), -ENOSPC);
}

static void accesses_stay_inside(void **state)
{
	uint8_t buf[8];

	(void)state;
	assert_int_equal(plx_vfu_config_access(&config, 256, buf, 1, false), -EINVAL);
	assert_int_equal(plx_vfu_config_access(&config, 253, buf, 4, true), -EINVAL);
	assert_int_equal(plx_vfu_config_access(&config, UINT64_MAX, buf, 2, true), -EINVAL);
	assert_int_equal(plx_vfu_config_access(&config, 256, buf, 0, false), 0);
	plx_vfu_config_pin(&config, 1);
	wr(PCI_INTERRUPT_LINE, 2, 0x0a0a);
	assert_int_equal(rd(PCI_INTERRUPT_LINE, 2), 0x010a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ids_read_back_and_stay, fresh),
		cmocka_unit_test_setup(only_two_sizes_make_sense, fresh),
		cmocka_unit_test_setup(the_command_register_says_what_is_on, fresh),
		cmocka_unit_test_setup(bars_tell_their_size, fresh),
		cmocka_unit_test_setup(bars_that_can_not_be_are_refused, fresh),
		cmocka_unit_test_setup(capabilities_are_a_list, fresh),
		cmocka_unit_test_setup(capabilities_that_can_not_be_are_refused, fresh),
		cmocka_unit_test_setup(accesses_stay_inside, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
