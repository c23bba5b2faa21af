/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "pci_vfio.h"

struct plx_vfio_dev {
	unsigned number;
};

struct pci_vfio pci_vfio;

static struct plx_vfio_dev devs[8];

static void note(const char *word)
{
	size_t used = strlen(pci_vfio.trace);

	snprintf(pci_vfio.trace + used, sizeof(pci_vfio.trace) - used, "%s%s", used ? " " : "",
		 word);
}

void pci_vfio_init(void)
{
	unsigned i;

	memset(&pci_vfio, 0, sizeof(pci_vfio));
	pci_vfio.config_size = 256;
	for (i = 0; i < PCI_VFIO_VECTORS; i++)
		pci_vfio.fd[i] = -1;
	pci_vfio_put16(PCI_STATUS, PCI_STATUS_CAP_LIST);
}

void pci_vfio_put16(unsigned offset, uint16_t value)
{
	pci_vfio.config[offset] = value & 0xff;
	pci_vfio.config[offset + 1] = value >> 8;
}

void pci_vfio_put32(unsigned offset, uint32_t value)
{
	pci_vfio_put16(offset, value & 0xffff);
	pci_vfio_put16(offset + 2, value >> 16);
}

uint16_t pci_vfio_get16(unsigned offset)
{
	return pci_vfio.config[offset] | pci_vfio.config[offset + 1] << 8;
}

static const char *const mode_names[PLX_VFIO_MODES] = {
	[PLX_VFIO_CDEV] = "cdev",
	[PLX_VFIO_TYPE1V2] = "type1v2",
	[PLX_VFIO_TYPE1] = "type1",
	[PLX_VFIO_COMPAT] = "compat",
	[PLX_VFIO_NOIOMMU_CDEV] = "noiommu-cdev",
	[PLX_VFIO_NOIOMMU] = "noiommu",
	[PLX_VFIO_USER] = "user",
};

const char *plx_vfio_mode_name(enum plx_vfio_mode mode)
{
	return mode_names[mode];
}

int plx_vfio_mode_parse(const char *name, enum plx_vfio_mode *mode)
{
	unsigned i;

	for (i = 0; i < PLX_VFIO_MODES; i++) {
		if (!strcmp(name, mode_names[i])) {
			*mode = i;
			return 0;
		}
	}
	return -EINVAL;
}

int plx_vfio_policy(const struct plx_vfio_candidate *list, size_t count, struct plx_policy *policy)
{
	(void)list;
	pci_vfio.candidates = count;
	memset(policy, 0, sizeof(*policy));
	policy->addr = pci_vfio.policy;
	strcpy(policy->reason, "the test says so");
	return 0;
}

int plx_vfio_open(struct plx_ioas *ioas, const char *bdf, const struct plx_vfio_opts *opts,
		  struct plx_vfio_dev **dev, struct plx_refusals *refusals)
{
	(void)ioas;
	(void)refusals;
	note("open");
	note(bdf);
	pci_vfio.opts = *opts;
	if (pci_vfio.open_err)
		return pci_vfio.open_err;
	*dev = &devs[pci_vfio.claimed++];
	return 0;
}

void plx_vfio_close(struct plx_vfio_dev *dev)
{
	if (!dev)
		return;
	note("close");
	pci_vfio.claimed--;
}

int plx_vfio_region(struct plx_vfio_dev *dev, unsigned index, struct plx_vfio_region *region)
{
	(void)dev;
	memset(region, 0, sizeof(*region));
	region->readable = region->writable = true;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		region->size = pci_vfio.config_size;
	else if (index < 6)
		region->size = pci_vfio.bar_size[index];
	else
		return -EINVAL;
	if (index < 6 && pci_vfio.sparse) {
		region->nareas = pci_vfio.nareas;
		memcpy(region->area, pci_vfio.area, sizeof(pci_vfio.area));
	} else if (index < 6) {
		region->nareas = 1;
		region->area[0].size = region->size;
	}
	return 0;
}

/* Where an access leads, or NULL. BARs share their memory. */
static uint8_t *at(unsigned index, uint64_t offset, size_t len)
{
	bool config = index == VFIO_PCI_CONFIG_REGION_INDEX;
	uint64_t size = config ? pci_vfio.config_size : sizeof(pci_vfio.bar);

	if ((!config && index >= 6) || offset > size || len > size - offset)
		return NULL;
	pci_vfio.trapped += !config;
	return (config ? pci_vfio.config : pci_vfio.bar) + offset;
}

int plx_vfio_read(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, void *buf, size_t len)
{
	const uint8_t *from = at(index, offset, len);

	(void)dev;
	if (pci_vfio.read_err || !from)
		return pci_vfio.read_err ? pci_vfio.read_err : -EINVAL;
	memcpy(buf, from, len);
	return 0;
}

int plx_vfio_write(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, const void *buf,
		   size_t len)
{
	uint8_t *to = at(index, offset, len);
	char word[32];

	(void)dev;
	if (pci_vfio.write_err || !to)
		return pci_vfio.write_err ? pci_vfio.write_err : -EINVAL;
	memcpy(to, buf, len);
	if (to == pci_vfio.config + PCI_COMMAND) {
		snprintf(word, sizeof(word), "command=%x", pci_vfio_get16(PCI_COMMAND));
		note(word);
	}
	return 0;
}

int plx_vfio_mmap(struct plx_vfio_dev *dev, unsigned index, void **va, size_t *len)
{
	(void)dev;
	*va = pci_vfio.bar;
	*len = pci_vfio.bar_size[index];
	return 0;
}

int plx_vfio_irq(struct plx_vfio_dev *dev, unsigned index, struct plx_vfio_irq *irq)
{
	(void)dev;
	memset(irq, 0, sizeof(*irq));
	if (index == VFIO_PCI_MSIX_IRQ_INDEX)
		irq->count = pci_vfio.msix;
	else if (index == VFIO_PCI_MSI_IRQ_INDEX)
		irq->count = pci_vfio.msi;
	irq->eventfd = true;
	return 0;
}

int plx_vfio_irq_set(struct plx_vfio_dev *dev, unsigned index, unsigned start, unsigned count,
		     const int *eventfds)
{
	(void)dev;
	note("irq_set");
	if (pci_vfio.irq_err)
		return pci_vfio.irq_err;
	pci_vfio.irq_index = index;
	memcpy(pci_vfio.fd + start, eventfds, count * sizeof(*eventfds));
	return 0;
}

int plx_vfio_irq_off(struct plx_vfio_dev *dev, unsigned index)
{
	unsigned i;

	(void)dev;
	(void)index;
	note("irq_off");
	for (i = 0; i < PCI_VFIO_VECTORS; i++)
		pci_vfio.fd[i] = -1;
	return 0;
}

int plx_vfio_irq_fire(struct plx_vfio_dev *dev, unsigned index, unsigned vector)
{
	char word[32];

	(void)dev;
	snprintf(word, sizeof(word), "fire=%u/%u", index, vector);
	note(word);
	return 0;
}

int plx_vfio_irq_restore(struct plx_vfio_dev *dev)
{
	(void)dev;
	note("irq_restore");
	return 0;
}

/* Reset clears the command register, as a function's own reset does. */
int plx_vfio_reset(struct plx_vfio_dev *dev)
{
	(void)dev;
	note("reset");
	if (pci_vfio.reset_err)
		return pci_vfio.reset_err;
	pci_vfio_put16(PCI_COMMAND, 0);
	return 0;
}

int plx_vfio_event_fd(const struct plx_vfio_dev *dev)
{
	(void)dev;
	return pci_vfio.event_fd;
}

enum plx_vfio_event plx_vfio_event(struct plx_vfio_dev *dev)
{
	(void)dev;
	return pci_vfio.event;
}
