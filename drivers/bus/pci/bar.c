/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BARs. What is mapped is accessed directly, in the driver's own code (pci.h); here is what that
 * code leaves to be done: further mapped parts, and asking the device.
 */
#include <errno.h>
#include <string.h>

#include <linux/vfio.h>

#include <pollux/log.h>

#include "bus.h"

static void choose_window(struct plx_pci_bar *bar)
{
	unsigned i;

	for (i = 0; i < bar->region.nareas; i++) {
		const struct plx_vfio_area *area = &bar->region.area[i];

		if (area->size <= bar->window)
			continue;
		bar->first = area->offset;
		bar->window = area->size;
	}
}

int plx_pci_bar(struct plx_pci *pci, unsigned index, size_t min_len, struct plx_pci_bar *bar)
{
	unsigned region = VFIO_PCI_BAR0_REGION_INDEX + index;
	size_t len;
	void *va;
	int err;

	*bar = (struct plx_pci_bar){ .pci = pci, .index = index };
	if (index >= PLX_PCI_BARS)
		return -EINVAL;
	if (!pci->vfio)
		return -ENODEV;
	err = plx_vfio_region(pci->vfio, region, &bar->region);
	if (err)
		return err;
	if (!bar->region.size)
		return -ENODEV;
	if (bar->region.size < min_len) {
		plx_err("%s: BAR %u has %llu bytes, the driver needs %zu", pci->name, index,
			(unsigned long long)bar->region.size, min_len);
		return -EINVAL;
	}
	bar->size = bar->region.size;
	if (!bar->region.nareas)
		return 0;
	err = plx_vfio_mmap(pci->vfio, region, &va, &len);
	if (err)
		return err;
	bar->va = va;
	choose_window(bar);
	return 0;
}

/* Whether len bytes at offset lie in one mapped part. */
static bool is_mapped(const struct plx_pci_bar *bar, uint64_t offset, size_t len)
{
	unsigned i;

	for (i = 0; i < bar->region.nareas; i++) {
		const struct plx_vfio_area *area = &bar->region.area[i];

		if (offset >= area->offset && offset - area->offset < area->size &&
		    len <= area->size - (offset - area->offset))
			return true;
	}
	return false;
}

static bool is_natural(uint64_t offset, size_t len)
{
	return !(offset & (len - 1));
}

/* Of one register: it is read as one, for reading may do something. */
static uint64_t load(const uint8_t *reg, size_t len)
{
	return len == 8 ? *(const volatile uint64_t *)reg : *(const volatile uint32_t *)reg;
}

static void store(uint8_t *reg, uint64_t value, size_t len)
{
	if (len == 8)
		*(volatile uint64_t *)reg = value;
	else
		*(volatile uint32_t *)reg = value;
}

uint64_t plx_pci_bar_read(const struct plx_pci_bar *bar, uint64_t offset, size_t len)
{
	uint64_t wide = UINT64_MAX;
	uint32_t narrow = UINT32_MAX;
	void *value = len == sizeof(wide) ? (void *)&wide : &narrow;

	if (is_natural(offset, len) && is_mapped(bar, offset, len))
		return load(bar->va + offset, len);
	if (plx_vfio_read(bar->pci->vfio, VFIO_PCI_BAR0_REGION_INDEX + bar->index, offset, value,
			  len))
		return UINT64_MAX;
	return len == sizeof(wide) ? wide : narrow;
}

/* A write that finds nobody is lost, as on the bus. */
void plx_pci_bar_write(const struct plx_pci_bar *bar, uint64_t offset, uint64_t value, size_t len)
{
	uint32_t narrow = value;

	if (is_natural(offset, len) && is_mapped(bar, offset, len))
		store(bar->va + offset, value, len);
	else
		plx_vfio_write(bar->pci->vfio, VFIO_PCI_BAR0_REGION_INDEX + bar->index, offset,
			       len == sizeof(value) ? (void *)&value : &narrow, len);
}

int plx_pci_doorbell(const struct plx_pci_bar *bar, uint64_t offset, volatile void **reg)
{
	if (!is_natural(offset, sizeof(uint32_t)) || offset >= bar->size)
		return -EINVAL;
	if (!is_mapped(bar, offset, sizeof(uint32_t))) {
		plx_err("%s: the register at 0x%llx of BAR %u can't be mapped, and writing it "
			"through calls would be too slow",
			bar->pci->name, (unsigned long long)offset, bar->index);
		return -ENODEV;
	}
	*reg = bar->va + offset;
	return 0;
}

bool plx_pci_served(const struct plx_pci *pci)
{
	return plx_pci_is_user(pci->name);
}
