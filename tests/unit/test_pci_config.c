/* SPDX-License-Identifier: BSD-3-Clause */
/* Config space, hostile capability lists, BARs, interrupts and reset of one function. */
#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "bus.h"
#include "pci_sysfs.h"
#include "pci_vfio.h"

static struct pci_fn fn;
static struct plx_pci *const pci = &fn.pci;

static int setup(void **state)
{
	static const struct plx_vfio_opts opts = PLX_VFIO_OPTS_INIT;

	pci_vfio_init();
	memset(&fn, 0, sizeof(fn));
	strcpy(pci->name, "0000:01:00.0");
	assert_int_equal(plx_vfio_open(NULL, pci->name, &opts, &pci->vfio, NULL), 0);
	pci_vfio.trace[0] = '\0';
	return pci_sysfs_setup(state);
}

static int teardown(void **state)
{
	plx_pci_irq_disable(pci);
	plx_vfio_close(pci->vfio);
	return pci_sysfs_left() ? -1 : pci_sysfs_teardown(state);
}

/* One entry of the capability list. */
static void put_cap(unsigned offset, uint8_t id, uint8_t next)
{
	pci_vfio.config[offset] = id;
	pci_vfio.config[offset + 1] = next;
}

static void put_ext_cap(unsigned offset, uint16_t id, unsigned next)
{
	pci_vfio_put32(offset, id | 1u << 16 | next << 20);
}

static void reads_and_writes(void **state)
{
	(void)state;
	pci_vfio_put32(0, 0x10d38086);
	assert_int_equal(plx_pci_cfg_read8(pci, 1), 0x80);
	assert_int_equal(plx_pci_cfg_read16(pci, 2), 0x10d3);
	assert_int_equal(plx_pci_cfg_read32(pci, 0), 0x10d38086);
	assert_int_equal(plx_pci_cfg_write16(pci, 0x40, 0x1234), 0);
	assert_int_equal(plx_pci_cfg_write32(pci, 0x44, 0x89abcdef), 0);
	assert_int_equal(pci_vfio.config[0x40], 0x34);
	assert_int_equal(pci_vfio.config[0x47], 0x89);
}

static void failed_reads_are_all_ones(void **state)
{
	struct plx_pci unclaimed = { 0 };

	(void)state;
	pci_vfio.read_err = -EIO;
	assert_int_equal(plx_pci_cfg_read8(pci, 0), 0xff);
	assert_int_equal(plx_pci_cfg_read16(pci, 0), 0xffff);
	assert_int_equal(plx_pci_cfg_read32(pci, 0), 0xffffffff);
	pci_vfio.read_err = 0;
	assert_int_equal(plx_pci_cfg_read32(pci, 256), 0xffffffff);
	assert_int_equal(plx_pci_cfg_read32(&unclaimed, 0), 0xffffffff);
	assert_int_equal(plx_pci_cfg_write16(&unclaimed, 0, 0), -ENODEV);
	pci_vfio.write_err = -EIO;
	assert_int_equal(plx_pci_cfg_write32(pci, 0, 0), -EIO);
}

static void finds_capabilities(void **state)
{
	(void)state;
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSIX), 0);
	/* The two low bits of a pointer are reserved. */
	pci_vfio.config[PCI_CAPABILITY_LIST] = 0xc8 | 3;
	put_cap(0xc8, PCI_CAP_ID_PM, 0xfc | 1);
	put_cap(0xfc, PCI_CAP_ID_EXP, 0x40 | 2);
	put_cap(0x40, PCI_CAP_ID_MSIX, 0);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_PM), 0xc8);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_EXP), 0xfc);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSIX), 0x40);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSI), 0);
	/* A function that says it has no list has none. */
	pci_vfio_put16(PCI_STATUS, 0);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_PM), 0);
}

static void finds_extended_capabilities(void **state)
{
	(void)state;
	pci_vfio.config_size = 4096;
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0);
	put_ext_cap(0x100, PCI_EXT_CAP_ID_ERR, 0xffc);
	put_ext_cap(0xffc, PCI_EXT_CAP_ID_DSN, 0x150);
	put_ext_cap(0x150, PCI_EXT_CAP_ID_SRIOV, 0);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_ERR), 0x100);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_DSN), 0xffc);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0x150);
	/* VFIO hides a first entry by giving it the id 0; the list goes on behind it. */
	pci_vfio_put32(0x100, 0x150u << 20);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0x150);
	assert_int_equal(plx_pci_ext_cap(pci, 0), 0);
	/* A conventional function has no such space, whatever is stored there. */
	pci_vfio.config_size = 256;
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0);
}

static void hostile_lists_end(void **state)
{
	unsigned offset;

	(void)state;
	/* An entry that is its own successor; two that follow each other. */
	pci_vfio.config[PCI_CAPABILITY_LIST] = 0x40;
	put_cap(0x40, PCI_CAP_ID_PM, 0x40);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSIX), 0);
	put_cap(0x40, PCI_CAP_ID_PM, 0x50);
	put_cap(0x50, PCI_CAP_ID_EXP, 0x40);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSIX), 0);
	/* A pointer into the header. */
	put_cap(0x50, PCI_CAP_ID_EXP, 0x3c);
	put_cap(0x3c, PCI_CAP_ID_MSIX, 0);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSIX), 0);
	/* Every byte the same. */
	for (offset = 1; offset < 256; offset++) {
		memset(pci_vfio.config + 0x40, offset, 0xc0);
		assert_int_equal(plx_pci_cap(pci, offset ^ 1), 0);
	}
	/* A config space that ends before the entry. */
	pci_vfio.config[PCI_CAPABILITY_LIST] = 0x80;
	put_cap(0x80, PCI_CAP_ID_MSIX, 0);
	pci_vfio.config_size = 0x83;
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSIX), 0);
	pci_vfio.config_size = 0x84;
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSIX), 0x80);
	/* A function that is gone. */
	memset(pci_vfio.config, 0xff, sizeof(pci_vfio.config));
	assert_int_equal(plx_pci_cap(pci, 0xff), 0);
}

/* The longest list there can be is walked to its end, so the bound is not too tight. */
static void longest_lists(void **state)
{
	unsigned offset;

	(void)state;
	pci_vfio.config_size = 4096;
	pci_vfio.config[PCI_CAPABILITY_LIST] = 0x40;
	for (offset = 0x40; offset < 0xfc; offset += 4)
		put_cap(offset, PCI_CAP_ID_VNDR, offset + 4);
	put_cap(offset, PCI_CAP_ID_MSIX, 0);
	assert_int_equal(plx_pci_cap(pci, PCI_CAP_ID_MSIX), 0xfc);
	for (offset = 0x100; offset < 0xffc; offset += 4)
		put_ext_cap(offset, PCI_EXT_CAP_ID_VNDR, offset + 4);
	put_ext_cap(offset, PCI_EXT_CAP_ID_SRIOV, 0);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0xffc);
}

static void hostile_extended_lists_end(void **state)
{
	(void)state;
	pci_vfio.config_size = 4096;
	put_ext_cap(0x100, PCI_EXT_CAP_ID_ERR, 0x100);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0);
	put_ext_cap(0x100, PCI_EXT_CAP_ID_ERR, 0x40);
	put_ext_cap(0x40, PCI_EXT_CAP_ID_SRIOV, 0);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0);
	put_ext_cap(0x100, PCI_EXT_CAP_ID_ERR, 0x200 | 3);
	put_ext_cap(0x200, PCI_EXT_CAP_ID_SRIOV, 0);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0x200);
	memset(pci_vfio.config, 0xff, sizeof(pci_vfio.config));
	assert_int_equal(plx_pci_ext_cap(pci, 0xffff), 0);
	/* A region that claims to be larger than config space can be. */
	memset(pci_vfio.config, 0, sizeof(pci_vfio.config));
	pci_vfio.config_size = UINT64_C(1) << 32;
	put_ext_cap(0x100, PCI_EXT_CAP_ID_ERR, 0xffc);
	put_ext_cap(0xffc, PCI_EXT_CAP_ID_SRIOV, 0);
	assert_int_equal(plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_SRIOV), 0xffc);
}

static void master_keeps_the_rest(void **state)
{
	(void)state;
	pci_vfio_put16(PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_PARITY | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(plx_pci_set_master(pci, true), 0);
	assert_int_equal(pci_vfio_get16(PCI_COMMAND),
			 PCI_COMMAND_IO | PCI_COMMAND_PARITY | PCI_COMMAND_INTX_DISABLE |
				 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(plx_pci_set_master(pci, false), 0);
	assert_int_equal(pci_vfio_get16(PCI_COMMAND), PCI_COMMAND_IO | PCI_COMMAND_PARITY |
							      PCI_COMMAND_INTX_DISABLE |
							      PCI_COMMAND_MEMORY);
	pci_vfio.write_err = -EIO;
	assert_int_equal(plx_pci_set_master(pci, true), -EIO);
	pci_vfio.read_err = -EIO;
	assert_int_equal(plx_pci_set_master(pci, true), -EIO);
}

static void bars(void **state)
{
	struct plx_pci_bar bar;

	(void)state;
	pci_vfio.bar_size[0] = 0x20000;
	assert_int_equal(plx_pci_bar(pci, 0, 0x20000, &bar), 0);
	assert_int_equal(bar.size, 0x20000);
	assert_int_equal(plx_pci_bar(pci, 0, 0, &bar), 0);
	assert_int_equal(pci_sysfs_errors(), 0);
	assert_int_equal(plx_pci_bar(pci, 0, 0x20001, &bar), -EINVAL);
	assert_int_equal(pci_sysfs_errors(), 1);
	assert_int_equal(plx_pci_bar(pci, 1, 0, &bar), -ENODEV);
	assert_int_equal(plx_pci_bar(pci, 6, 0, &bar), -EINVAL);
}

/* Writes and reads back registers of both widths; how many of the four accesses were trapped. */
static unsigned access_at(const struct plx_pci_bar *bar, uint64_t offset)
{
	const uint64_t wide = UINT64_C(0x1122334455667788) + offset;
	uint64_t found;

	pci_vfio.trapped = 0;
	plx_pci_write64(bar, offset, wide);
	assert_int_equal(plx_pci_read64(bar, offset), wide);
	memcpy(&found, pci_vfio.bar + offset, sizeof(found));
	assert_int_equal(le64toh(found), wide);
	plx_pci_write32(bar, offset, 0xcafe0000 + offset);
	assert_int_equal(plx_pci_read32(bar, offset), 0xcafe0000 + offset);
	/* No further than it was meant to. */
	assert_int_equal(plx_pci_read64(bar, offset) >> 32, wide >> 32);
	return pci_vfio.trapped;
}

static void registers(void **state)
{
	struct plx_pci_bar bar;
	volatile void *reg;

	(void)state;
	pci_vfio.bar_size[0] = sizeof(pci_vfio.bar);
	assert_int_equal(plx_pci_bar(pci, 0, 0, &bar), 0);
	assert_int_equal(access_at(&bar, 0), 0);
	assert_int_equal(access_at(&bar, sizeof(pci_vfio.bar) - 8), 0);
	assert_int_equal(plx_pci_doorbell(&bar, 0x10, &reg), 0);
	assert_ptr_equal(reg, pci_vfio.bar + 0x10);
	assert_int_equal(plx_pci_doorbell(&bar, 0x12, &reg), -EINVAL);
	assert_int_equal(plx_pci_doorbell(&bar, sizeof(pci_vfio.bar), &reg), -EINVAL);
	assert_false(plx_pci_served(pci));
	assert_true(plx_pci_served(&(struct plx_pci){ .name = "user:/run/nvme" }));
}

static void registers_in_between(void **state)
{
	struct plx_pci_bar bar;
	volatile void *reg;

	(void)state;
	pci_vfio.bar_size[0] = sizeof(pci_vfio.bar);
	pci_vfio.sparse = true;
	pci_vfio.nareas = 2;
	pci_vfio.area[0] = (struct plx_vfio_area){ 0x1000, 0x1000 };
	pci_vfio.area[1] = (struct plx_vfio_area){ 0x4000, 0x2000 };
	assert_int_equal(plx_pci_bar(pci, 0, 0, &bar), 0);
	assert_int_equal(access_at(&bar, 0), 5);
	assert_int_equal(access_at(&bar, 0xff8), 5);
	assert_int_equal(access_at(&bar, 0x1000), 0);
	assert_int_equal(access_at(&bar, 0x1ff8), 0);
	assert_int_equal(access_at(&bar, 0x2000), 5);
	assert_int_equal(access_at(&bar, 0x3ff8), 5);
	assert_int_equal(access_at(&bar, 0x4000), 0);
	assert_int_equal(access_at(&bar, 0x5ff8), 0);
	assert_int_equal(access_at(&bar, 0x6000), 5);
	assert_int_equal(plx_pci_doorbell(&bar, 0x1004, &reg), 0);
	assert_ptr_equal(reg, pci_vfio.bar + 0x1004);
	assert_int_equal(plx_pci_doorbell(&bar, 0x5ffc, &reg), 0);
	assert_int_equal(pci_sysfs_errors(), 0);
	assert_int_equal(plx_pci_doorbell(&bar, 0x2000, &reg), -ENODEV);
	assert_int_equal(pci_sysfs_errors(), 1);
}

/* Nothing is mapped, and nobody answers. */
static void registers_of_nobody(void **state)
{
	struct plx_pci_bar bar;

	(void)state;
	pci_vfio.bar_size[0] = sizeof(pci_vfio.bar);
	pci_vfio.sparse = true;
	assert_int_equal(plx_pci_bar(pci, 0, 0, &bar), 0);
	assert_null(bar.va);
	assert_int_equal(access_at(&bar, 0), 5);
	pci_vfio.read_err = -EIO;
	pci_vfio.write_err = -EIO;
	plx_pci_write32(&bar, 0, 1);
	assert_int_equal(plx_pci_read32(&bar, 0), UINT32_MAX);
	assert_int_equal(plx_pci_read64(&bar, 0), UINT64_MAX);
}

static void msix_vectors(void **state)
{
	int first;

	(void)state;
	pci_vfio.msix = 5;
	pci_vfio.msi = 1;
	assert_int_equal(plx_pci_irq_enable(pci, 0), -EINVAL);
	assert_int_equal(plx_pci_irq_fd(pci, 0), -EINVAL);
	assert_int_equal(plx_pci_irq_fire(pci, 0), -EINVAL);
	assert_int_equal(plx_pci_irq_enable(pci, 6), -ENOSPC);
	assert_int_equal(plx_pci_irq_enable(pci, 1), 0);
	assert_int_equal(pci_vfio.irq_index, VFIO_PCI_MSIX_IRQ_INDEX);
	first = plx_pci_irq_fd(pci, 0);
	assert_true(first >= 0);
	assert_int_equal(plx_pci_irq_fd(pci, 1), -EINVAL);
	/* More are added, and the first stays what it was. */
	assert_int_equal(plx_pci_irq_enable(pci, 5), 0);
	assert_int_equal(plx_pci_irq_fd(pci, 0), first);
	assert_int_equal(pci_vfio.fd[0], first);
	assert_int_equal(pci_vfio.fd[4], plx_pci_irq_fd(pci, 4));
	assert_int_equal(plx_pci_irq_enable(pci, 2), 0);
	assert_true(plx_pci_irq_fd(pci, 4) >= 0);
	assert_int_equal(plx_pci_irq_fd(pci, 5), -EINVAL);
	assert_int_equal(plx_pci_irq_fd(pci, UINT32_MAX), -EINVAL);
	assert_int_equal(plx_pci_irq_fire(pci, 4), 0);
	assert_int_equal(plx_pci_irq_fire(pci, 5), -EINVAL);
	plx_pci_irq_disable(pci);
	plx_pci_irq_disable(pci);
	assert_int_equal(plx_pci_irq_fd(pci, 0), -EINVAL);
	assert_string_equal(pci_vfio.trace, "irq_set irq_set fire=2/4 irq_off");
	assert_int_equal(pci_sysfs_left(), 0);
}

static void msi_has_one_vector(void **state)
{
	(void)state;
	assert_int_equal(plx_pci_irq_enable(pci, 1), -ENODEV);
	pci_vfio.msi = 4;
	assert_int_equal(plx_pci_irq_enable(pci, 2), -ENOSPC);
	assert_int_equal(plx_pci_irq_enable(pci, 1), 0);
	assert_int_equal(pci_vfio.irq_index, VFIO_PCI_MSI_IRQ_INDEX);
}

static void vectors_all_or_nothing(void **state)
{
	unsigned nth;
	int left;

	(void)state;
	pci_vfio.msix = 8;
	assert_int_equal(plx_pci_irq_enable(pci, 2), 0);
	left = pci_sysfs_left();
	pci_vfio.irq_err = -ENOSPC;
	assert_int_equal(plx_pci_irq_enable(pci, 8), -ENOSPC);
	assert_int_equal(pci_sysfs_left(), left);
	pci_vfio.irq_err = 0;
	/* The table, then six eventfds. */
	for (nth = 1; nth <= 7; nth++) {
		pci_sysfs_fail(nth, nth == 1 ? ENOMEM : EMFILE);
		assert_int_equal(plx_pci_irq_enable(pci, 8), nth == 1 ? -ENOMEM : -EMFILE);
		assert_int_equal(pci_sysfs_left(), left);
		assert_true(plx_pci_irq_fd(pci, 1) >= 0);
		assert_int_equal(plx_pci_irq_fd(pci, 2), -EINVAL);
	}
	pci_sysfs_fail(0, 0);
	assert_int_equal(plx_pci_irq_enable(pci, 8), 0);
}

static void reset_puts_back(void **state)
{
	(void)state;
	assert_int_equal(plx_pci_set_master(pci, true), 0);
	pci_vfio.trace[0] = '\0';
	assert_int_equal(plx_pci_reset(pci), 0);
	assert_string_equal(pci_vfio.trace, "reset command=2 irq_restore");
	pci_vfio.trace[0] = '\0';
	pci_vfio.reset_err = -EOPNOTSUPP;
	assert_int_equal(plx_pci_reset(pci), -EOPNOTSUPP);
	assert_string_equal(pci_vfio.trace, "reset");
	pci_vfio.reset_err = 0;
	pci_vfio.read_err = -EIO;
	assert_int_equal(plx_pci_reset(pci), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_and_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(failed_reads_are_all_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_extended_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_lists_end, setup, teardown),
		cmocka_unit_test_setup_teardown(longest_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_extended_lists_end, setup, teardown),
		cmocka_unit_test_setup_teardown(master_keeps_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(bars, setup, teardown),
		cmocka_unit_test_setup_teardown(registers, setup, teardown),
		cmocka_unit_test_setup_teardown(registers_in_between, setup, teardown),
		cmocka_unit_test_setup_teardown(registers_of_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(msix_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(msi_has_one_vector, setup, teardown),
		cmocka_unit_test_setup_teardown(vectors_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_puts_back, setup, teardown),
	};

	return cmocka_run_group_tests_name("pci_config", tests, NULL, NULL);
}
