/* SPDX-License-Identifier: BSD-3-Clause */
/* Config space, the capabilities in it, and reset. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include <pollux/log.h>

#include "bus.h"

#define CFG_REGION VFIO_PCI_CONFIG_REGION_INDEX

static int cfg_read(struct plx_pci *pci, unsigned offset, void *buf, size_t len)
{
	int err = pci->vfio ? plx_vfio_read(pci->vfio, CFG_REGION, offset, buf, len) : -ENODEV;

	if (err)
		memset(buf, 0xff, len);
	return err;
}

static int cfg_write(struct plx_pci *pci, unsigned offset, const void *buf, size_t len)
{
	return pci->vfio ? plx_vfio_write(pci->vfio, CFG_REGION, offset, buf, len) : -ENODEV;
}

uint8_t plx_pci_cfg_read8(struct plx_pci *pci, unsigned offset)
{
	uint8_t value;

	cfg_read(pci, offset, &value, sizeof(value));
	return value;
}

uint16_t plx_pci_cfg_read16(struct plx_pci *pci, unsigned offset)
{
	uint16_t value;

	cfg_read(pci, offset, &value, sizeof(value));
	return le16toh(value);
}

uint32_t plx_pci_cfg_read32(struct plx_pci *pci, unsigned offset)
{
	uint32_t value;

	cfg_read(pci, offset, &value, sizeof(value));
	return le32toh(value);
}

int plx_pci_cfg_write16(struct plx_pci *pci, unsigned offset, uint16_t value)
{
	value = htole16(value);
	return cfg_write(pci, offset, &value, sizeof(value));
}

int plx_pci_cfg_write32(struct plx_pci *pci, unsigned offset, uint32_t value)
{
	value = htole32(value);
	return cfg_write(pci, offset, &value, sizeof(value));
}

/* 256 bytes for conventional functions, 4096 for PCI Express; 0 if that can't be told. */
static unsigned cfg_size(struct plx_pci *pci)
{
	struct plx_vfio_region region;

	if (!pci->vfio || plx_vfio_region(pci->vfio, CFG_REGION, &region))
		return 0;
	return region.size < PCI_CFG_SPACE_EXP_SIZE ? region.size : PCI_CFG_SPACE_EXP_SIZE;
}

/*
 * Both lists are walked for at most as many entries as there is room for: a list with more has a
 * loop. The two low bits of a pointer are reserved, and software masks them.
 */
unsigned plx_pci_cap(struct plx_pci *pci, uint8_t id)
{
	unsigned left = (PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / PCI_CAP_SIZEOF;
	unsigned size = cfg_size(pci);
	uint16_t status = plx_pci_cfg_read16(pci, PCI_STATUS);
	unsigned offset;

	if (status == UINT16_MAX || !(status & PCI_STATUS_CAP_LIST))
		return 0;
	offset = plx_pci_cfg_read8(pci, PCI_CAPABILITY_LIST) & ~3u;
	while (left-- && offset >= PCI_STD_HEADER_SIZEOF && offset + PCI_CAP_SIZEOF <= size) {
		if (plx_pci_cfg_read8(pci, offset + PCI_CAP_LIST_ID) == id)
			return offset;
		offset = plx_pci_cfg_read8(pci, offset + PCI_CAP_LIST_NEXT) & ~3u;
	}
	return 0;
}

unsigned plx_pci_ext_cap(struct plx_pci *pci, uint16_t id)
{
	const unsigned header_len = sizeof(uint32_t);
	unsigned left = (PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / header_len;
	unsigned size = cfg_size(pci), offset = PCI_CFG_SPACE_SIZE;
	uint32_t header;

	while (left-- && offset >= PCI_CFG_SPACE_SIZE && offset + header_len <= size) {
		header = plx_pci_cfg_read32(pci, offset);
		if (!header || header == UINT32_MAX)
			return 0;
		/* Id 0 is a hole: VFIO hides a first entry so, and the list goes on. */
		if (id && PCI_EXT_CAP_ID(header) == id)
			return offset;
		offset = PCI_EXT_CAP_NEXT(header);
	}
	return 0;
}

int plx_pci_set_master(struct plx_pci *pci, bool on)
{
	return plx_pci_set_command(pci, true, on);
}

int plx_pci_reset(struct plx_pci *pci)
{
	int err, restored;

	if (!pci->vfio)
		return -ENODEV;
	err = plx_vfio_reset(pci->vfio);
	if (err)
		return err;
	/* Even if one of the two can't be put back, the other should be. */
	err = plx_pci_set_command(pci, true, false);
	restored = plx_vfio_irq_restore(pci->vfio);
	return err ? err : restored;
}
