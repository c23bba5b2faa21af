/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Submission queues in the controller's own memory [Base 8.5]: it need not fetch commands over the
 * bus. A controller with CAP.CMBS is told where in device address space its buffer is to be, and
 * there everything that it is given an address of must not be. An older one has it where the BAR
 * is.
 */
#include <endian.h>
#include <errno.h>

#include <pollux/log.h>

#include "nvme.h"

#define VERSION_1_4 0x10400u
#define BAR_REG(n)  (0x10 + 4 * (n)) /* in config space [PCI 3.0, 6.1] */
#define BAR_64	    0x4u
#define BAR_ADDRESS (~UINT64_C(0xf))

static uint64_t bus_address(struct plx_pci *pci, unsigned index)
{
	uint64_t low = plx_pci_cfg_read32(pci, BAR_REG(index));

	if (low & BAR_64)
		low |= (uint64_t)plx_pci_cfg_read32(pci, BAR_REG(index + 1)) << 32;
	return low & BAR_ADDRESS;
}

/*
 * Addresses that no memory of ours has: where we have mapped it ourselves, or where the bus has the
 * BAR. 0: there is no telling, for others choose addresses.
 */
static uint64_t choose_base(const struct plx_nvme_ctrl *ctrl, unsigned index)
{
	const struct nvme_cmb *cmb = &ctrl->cmb;

	switch (plx_ioas_policy(ctrl->pci->ioas)) {
	case PLX_ADDR_VA:
		if (ctrl->cap & NVME_CAP_CMBS)
			return (uintptr_t)cmb->va;
		/* fall through */
	case PLX_ADDR_PA: return bus_address(ctrl->pci, index) + cmb->offset;
	default: return 0;
	}
}

/* The part of the buffer that is mapped here. False: none. */
static bool find(struct plx_nvme_ctrl *ctrl, uint32_t loc, uint32_t size)
{
	struct nvme_cmb *cmb = &ctrl->cmb;
	uint64_t unit = UINT64_C(4096) << (4 * NVME_CMBSZ_SZU(size)), end;
	const struct plx_pci_bar *bar = &cmb->bar;

	if (!(size & NVME_CMBSZ_SQS) || NVME_CMBSZ_SZU(size) > NVME_CMBSZ_SZU_MAX ||
	    !NVME_CMBSZ_SZ(size))
		return false;
	cmb->offset = NVME_CMBLOC_OFST(loc) * unit;
	end = cmb->offset + NVME_CMBSZ_SZ(size) * unit;
	if (plx_pci_bar(ctrl->pci, NVME_CMBLOC_BIR(loc), 1, &cmb->bar) || !bar->va)
		return false;
	end = end < bar->first + bar->window ? end : bar->first + bar->window;
	if (cmb->offset < bar->first || cmb->offset >= end)
		return false;
	cmb->va = bar->va + cmb->offset;
	cmb->len = end - cmb->offset;
	return true;
}

void nvme_cmb_start(struct plx_nvme_ctrl *ctrl)
{
	struct nvme_cmb *cmb = &ctrl->cmb;
	bool told = ctrl->cap & NVME_CAP_CMBS;
	uint32_t loc;

	cmb->len = ctrl->info.cmb = 0;
	if (ctrl->opts.no_cmb || (!told && ctrl->info.version >= VERSION_1_4))
		return;
	if (told)
		plx_pci_write64(&ctrl->bar, NVME_CMBMSC, NVME_CMBMSC_CRE);
	loc = nvme_read32(ctrl, NVME_CMBLOC);
	if (!find(ctrl, loc, nvme_read32(ctrl, NVME_CMBSZ))) {
		cmb->len = 0;
		return;
	}
	cmb->dma = choose_base(ctrl, NVME_CMBLOC_BIR(loc));
	/* At once, for it is looked at when it is enabled. */
	if (told && cmb->dma)
		plx_pci_write64(&ctrl->bar, NVME_CMBMSC,
				cmb->dma | NVME_CMBMSC_CRE | NVME_CMBMSC_CMSE);
	if (cmb->dma && !(told && nvme_read32(ctrl, NVME_CMBSTS) & NVME_CMBSTS_CBAI)) {
		ctrl->info.cmb = cmb->len;
		return;
	}
	plx_info("%s: no place among device addresses for the controller memory buffer: not used",
		 ctrl->info.name);
	cmb->len = 0;
}

/* The first gap between those of the other queue pairs. */
int nvme_cmb_alloc(struct plx_nvme_qpair *q, size_t len, size_t align)
{
	const struct nvme_cmb *cmb = &q->ctrl->cmb;
	const struct plx_nvme_qpair *other;
	size_t at = 0;

	len = (len + align - 1) & ~(align - 1);
again:
	at = (at + align - 1) & ~(align - 1);
	if (len > cmb->len || at > cmb->len - len || (cmb->dma & (align - 1)))
		return -ENOSPC;
	LIST_FOREACH(other, &q->ctrl->qpairs, link) {
		if (other->cmb_len && at < other->cmb_at + other->cmb_len &&
		    other->cmb_at < at + len) {
			at = other->cmb_at + other->cmb_len;
			goto again;
		}
	}
	q->cmb_at = at;
	q->cmb_len = len;
	q->fast.sq = (struct plx_nvme_cmd *)(cmb->va + at);
	return 0;
}

uint64_t nvme_sq_dma(const struct plx_nvme_qpair *q)
{
	const struct nvme_cmb *cmb = &q->ctrl->cmb;

	if (!q->cmb_len)
		return q->sq_mem.dma;
	/* After a reset it may be smaller, or not there. */
	if (q->cmb_at + q->cmb_len > cmb->len || (uint8_t *)q->fast.sq != cmb->va + q->cmb_at)
		return PLX_DMA_BAD;
	return cmb->dma + q->cmb_at;
}
