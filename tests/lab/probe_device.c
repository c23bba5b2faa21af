/* SPDX-License-Identifier: BSD-3-Clause */
/* Config space, regions, BARs, interrupts and reset. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "probe.h"

int probe_config(struct probe *probe)
{
	struct plx_pci *pci = probe->pci;
	uint16_t vendor = plx_pci_cfg_read16(pci, PCI_VENDOR_ID);
	uint16_t device = plx_pci_cfg_read16(pci, PCI_DEVICE_ID);
	uint16_t command = plx_pci_cfg_read16(pci, PCI_COMMAND);

	if (vendor != pci->id.vendor || device != pci->id.device)
		return probe_fail("config space says %04x:%04x, sysfs %04x:%04x", vendor, device,
				  pci->id.vendor, pci->id.device);
	if (!(command & PCI_COMMAND_MEMORY) || (command & PCI_COMMAND_MASTER))
		return probe_fail("command register %04x: memory decoding should be on and bus "
				  "mastering off",
				  command);
	probe_ok("config space: %04x:%04x class %06x, PCI Express at %#x, MSI-X at %#x, "
		 "error reporting at %#x",
		 vendor, device, plx_pci_cfg_read32(pci, PCI_CLASS_REVISION) >> 8,
		 plx_pci_cap(pci, PCI_CAP_ID_EXP), plx_pci_cap(pci, PCI_CAP_ID_MSIX),
		 plx_pci_ext_cap(pci, PCI_EXT_CAP_ID_ERR));
	return 0;
}

/* The size of each BAR by sysfs: a line each of first address, last address and flags. */
static int sysfs_bar_sizes(const char *name, uint64_t size[PLX_PCI_BARS])
{
	char path[192];
	uint64_t from, to;
	FILE *file;
	unsigned i;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", name);
	file = fopen(path, "r");
	if (!file)
		return probe_fail("%s: %s", path, strerror(errno));
	for (i = 0; i < PLX_PCI_BARS; i++) {
		if (fscanf(file, "%" SCNx64 " %" SCNx64 " %*x", &from, &to) != 2)
			break;
		size[i] = to ? to - from + 1 : 0;
	}
	fclose(file);
	return i == PLX_PCI_BARS ? 0 : probe_fail("%s is cut short", path);
}

static int check_areas(unsigned index, const struct plx_vfio_region *region)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	const struct plx_vfio_area *area;
	uint64_t end = 0;

	for (area = region->area; area < region->area + region->nareas; area++) {
		if (area->offset % page || area->offset < end || !area->size ||
		    area->offset > region->size || area->size > region->size - area->offset)
			return probe_fail("region %u: mappable area %#" PRIx64 "+%#" PRIx64
					  " of %#" PRIx64,
					  index, area->offset, area->size, region->size);
		end = area->offset + area->size;
	}
	return 0;
}

int probe_regions(struct probe *probe)
{
	uint64_t size[PLX_PCI_BARS];
	struct plx_vfio_region region;
	unsigned i, count = plx_vfio_num_regions(probe->pci->vfio);
	int ret, err;

	ret = sysfs_bar_sizes(probe->pci->name, size);
	if (ret)
		return ret;
	if (count <= VFIO_PCI_CONFIG_REGION_INDEX)
		return probe_fail("only %u regions", count);
	for (i = 0; i < count; i++) {
		err = plx_vfio_region(probe->pci->vfio, i, &region);
		/* VFIO has an index for VGA and answers EINVAL where there is none. */
		if (err == -EINVAL && i == VFIO_PCI_VGA_REGION_INDEX)
			continue;
		if (err)
			return probe_fail("region %u: %s", i, strerror(-err));
		ret = check_areas(i, &region);
		if (ret)
			return ret;
		if (i < PLX_PCI_BARS && region.size != size[i])
			return probe_fail("BAR %u has %#" PRIx64 " bytes, %#" PRIx64 " in sysfs", i,
					  region.size, size[i]);
		if (region.size)
			probe_ok("region %u: %#" PRIx64 " bytes%s%s%s, %u mappable areas", i,
				 region.size, region.readable ? ", read" : "",
				 region.writable ? ", write" : "",
				 region.msix_mappable ? ", MSI-X table mappable" : "",
				 region.nareas);
	}
	if (plx_vfio_region(probe->pci->vfio, count, &region) != -EINVAL)
		return probe_fail("region %u doesn't exist and can be asked about", count);
	return 0;
}

/*
 * Whether a BAR begins with the MSI-X table (PCI Local Bus 3.0, 6.8.2.4): VFIO reads that as ones.
 */
static bool begins_with_vectors(struct plx_pci *pci, unsigned bar)
{
	unsigned cap = plx_pci_cap(pci, PCI_CAP_ID_MSIX);

	return cap && plx_pci_cfg_read32(pci, cap + PCI_MSIX_TABLE) == bar;
}

/* Reads the first register both ways. Offset 0 is harmless to read in every device the lab has. */
static int check_bar(struct probe *probe, unsigned bar, const struct plx_vfio_region *region)
{
	struct plx_pci_bar handle;
	uint32_t mapped, read;
	int err;

	err = plx_pci_bar(probe->pci, bar, 0, &handle);
	if (err)
		return probe_fail("mapping BAR %u: %s", bar, strerror(-err));
	if (!handle.va || handle.size != region->size)
		return probe_fail("BAR %u is mapped with %#" PRIx64 " bytes of %#" PRIx64, bar,
				  handle.size, region->size);
	if (region->area[0].offset || begins_with_vectors(probe->pci, bar)) {
		probe_ok("BAR %u is mapped; it begins with the MSI-X table", bar);
		return 0;
	}
	mapped = *(volatile uint32_t *)handle.va;
	err = plx_vfio_read(probe->pci->vfio, VFIO_PCI_BAR0_REGION_INDEX + bar, 0, &read,
			    sizeof(read));
	if (err)
		return probe_fail("reading BAR %u: %s", bar, strerror(-err));
	if (mapped != read)
		return probe_fail("BAR %u begins with %08x when mapped, %08x when read", bar,
				  mapped, read);
	probe_ok("BAR %u begins with %08x, mapped and read", bar, mapped);
	return 0;
}

int probe_bars(struct probe *probe)
{
	struct plx_vfio_region region;
	struct plx_pci_bar handle;
	unsigned bar, mapped = 0;
	int ret, err;

	for (bar = 0; bar < PLX_PCI_BARS; bar++) {
		err = plx_vfio_region(probe->pci->vfio, VFIO_PCI_BAR0_REGION_INDEX + bar, &region);
		if (err)
			return probe_fail("region %u: %s", bar, strerror(-err));
		if (!region.nareas) {
			err = plx_pci_bar(probe->pci, bar, 0, &handle);
			if (err != (region.size ? 0 : -ENODEV) || handle.va)
				return probe_fail("mapping BAR %u, which can't be, returned %d",
						  bar, err);
			continue;
		}
		ret = check_bar(probe, bar, &region);
		if (ret)
			return ret;
		mapped++;
	}
	return mapped ? 0 : probe_fail("no BAR can be mapped");
}

/* Fires a vector and expects just that, once. */
static int check_vector(struct plx_pci *pci, unsigned vector)
{
	int fd = plx_pci_irq_fd(pci, vector), err;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) >= 0 || errno != EAGAIN)
		return probe_fail("vector %u fired before it was told to", vector);
	err = plx_pci_irq_fire(pci, vector);
	if (err)
		return probe_fail("firing vector %u: %s", vector, strerror(-err));
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return probe_fail("vector %u was fired and its eventfd is silent", vector);
	if (count != 1)
		return probe_fail("vector %u counts %" PRIu64, vector, count);
	return 0;
}

int probe_interrupts(struct probe *probe)
{
	struct plx_pci *pci = probe->pci;
	struct plx_vfio_irq irq;
	unsigned vector;
	int ret = 0, err;

	err = plx_vfio_irq(pci->vfio, VFIO_PCI_MSIX_IRQ_INDEX, &irq);
	if (err)
		return probe_fail("MSI-X: %s", strerror(-err));
	if (!irq.count) {
		probe_skip("MSI-X: the device has none");
		return 0;
	}
	err = plx_pci_irq_enable(pci, irq.count + 1);
	if (err != -ENOSPC)
		return probe_fail("%u MSI-X vectors of %u returned %d, not -ENOSPC", irq.count + 1,
				  irq.count, err);
	err = plx_pci_irq_enable(pci, 1);
	if (err)
		return probe_fail("one MSI-X vector: %s", strerror(-err));
	ret = check_vector(pci, 0);
	if (ret)
		return ret;
	err = plx_pci_irq_enable(pci, irq.count);
	if (err)
		return probe_fail("growing from 1 to %u MSI-X vectors: %s", irq.count,
				  strerror(-err));
	for (vector = 0; vector < irq.count && !ret; vector++)
		ret = check_vector(pci, vector);
	if (ret)
		return ret;
	plx_pci_irq_disable(pci);
	probe_ok("%u MSI-X vectors, grown from 1, each fired and counted once%s", irq.count,
		 irq.noresize ? " (set again to grow)" : "");
	return 0;
}

/* After a reset: config space answers, memory is decoded, and vectors are still connected. */
static int check_after_reset(struct plx_pci *pci, bool vectors)
{
	uint16_t vendor = plx_pci_cfg_read16(pci, PCI_VENDOR_ID);
	uint16_t command = plx_pci_cfg_read16(pci, PCI_COMMAND);

	if (vendor != pci->id.vendor)
		return probe_fail("after reset, config space says vendor %04x", vendor);
	if (!(command & PCI_COMMAND_MEMORY) || (command & PCI_COMMAND_MASTER))
		return probe_fail("after reset, the command register is %04x", command);
	return vectors ? check_vector(pci, 0) : 0;
}

int probe_reset(struct probe *probe)
{
	bool vectors = !plx_pci_irq_enable(probe->pci, 1);
	int ret, err;

	/* On, so that the check afterwards sees it turned off. */
	err = plx_pci_set_master(probe->pci, true);
	if (err)
		return probe_fail("bus mastering: %s", strerror(-err));
	err = plx_pci_reset(probe->pci);
	if (err == -EOPNOTSUPP) {
		plx_pci_irq_disable(probe->pci);
		plx_pci_set_master(probe->pci, false);
		probe_skip("reset: the function has none of its own");
		return 0;
	}
	if (err)
		return probe_fail("reset: %s", strerror(-err));
	ret = check_after_reset(probe->pci, vectors);
	ret = ret ? ret : probe_bars(probe);
	plx_pci_irq_disable(probe->pci);
	if (!ret)
		probe_ok("reset: config space, memory decoding%s are back",
			 vectors ? ", BARs and interrupts" : " and BARs");
	return ret;
}
