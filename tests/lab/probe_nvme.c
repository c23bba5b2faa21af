/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Real DMA with an NVMe controller: Identify Controller into three kinds of memory. What arrives
 * proves the device addresses. References are to the NVM Express Base Specification 2.0c.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "probe.h"

/* Controller properties, section 3.1.3. */
#define NVME_CAP  0x00 /* 64 bits: bits 31:24 the worst case of turning on, in 500 ms */
#define NVME_CC	  0x14
#define NVME_CSTS 0x1c
#define NVME_AQA  0x24
#define NVME_ASQ  0x28 /* 64 bits */
#define NVME_ACQ  0x30 /* 64 bits */
/* Doorbells, section 3.1.2 of the PCIe transport, at a stride of 4 << CAP.DSTRD. */
#define NVME_DOORBELLS 0x1000

#define CC_EN	       (1u << 0)
#define CC_IOSQES      (6u << 16) /* 64-byte submission entries */
#define CC_IOCQES      (4u << 20) /* 16-byte completions */
#define CSTS_RDY       (1u << 0)
#define CSTS_CFS       (1u << 1)
#define QUEUE_ENTRIES  64
#define IDENTIFY       0x06
#define CNS_CONTROLLER 1

/* What CAP.TO says is meant for hardware: a guest on a busy machine may have to wait for longer. */
#define PATIENCE_MS 30000

struct nvme_sqe { /* section 3.3.3.1 */
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved, metadata;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct nvme_cqe { /* section 3.3.3.2 */
	uint32_t result, reserved;
	uint16_t sq_head, sq_id;
	uint16_t cid;
	uint16_t status; /* bit 0: phase */
};

static uint32_t reg_read(struct probe_nvme *nvme, unsigned offset)
{
	return le32toh(*(volatile uint32_t *)(nvme->regs + offset));
}

static void reg_write(struct probe_nvme *nvme, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(nvme->regs + offset) = htole32(value);
}

static void reg_write64(struct probe_nvme *nvme, unsigned offset, uint64_t value)
{
	reg_write(nvme, offset, value & UINT32_MAX);
	reg_write(nvme, offset + 4, value >> 32);
}

static void pause_ms(unsigned ms)
{
	struct timespec time = { .tv_nsec = ms * 1000000L };

	nanosleep(&time, NULL);
}

static int wait_ready(struct probe_nvme *nvme, bool ready)
{
	unsigned waited;
	uint32_t status = 0;

	for (waited = 0; waited <= nvme->timeout_ms; waited++) {
		status = reg_read(nvme, NVME_CSTS);
		if (status & CSTS_CFS)
			return probe_fail("NVMe: the controller reports a fatal error");
		if (!!(status & CSTS_RDY) == ready)
			return 0;
		pause_ms(1);
	}
	return probe_fail("NVMe: not %s after %u ms (CSTS %08x)", ready ? "ready" : "off",
			  nvme->timeout_ms, status);
}

static int controller_on(struct probe_nvme *nvme)
{
	reg_write(nvme, NVME_AQA, (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
	reg_write64(nvme, NVME_ASQ, nvme->sq.dma);
	reg_write64(nvme, NVME_ACQ, nvme->cq.dma);
	reg_write(nvme, NVME_CC, CC_EN | CC_IOSQES | CC_IOCQES);
	return wait_ready(nvme, true);
}

static int controller_off(struct probe_nvme *nvme)
{
	reg_write(nvme, NVME_CC, 0);
	return wait_ready(nvme, false);
}

/* Reads the controller's identity to one device address, and waits for the completion. */
int probe_nvme_identify(struct probe_nvme *nvme, uint64_t dma)
{
	volatile struct nvme_cqe *cqe = (volatile struct nvme_cqe *)nvme->cq.va + nvme->next;
	struct nvme_sqe *sqe = (struct nvme_sqe *)nvme->sq.va + nvme->next;
	unsigned waited, cid = nvme->next;
	uint16_t status;

	if (cid == QUEUE_ENTRIES - 1)
		return probe_fail("NVMe: the queue is used up");
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IDENTIFY;
	sqe->cid = htole16(nvme->next);
	sqe->prp1 = htole64(dma);
	sqe->cdw10 = htole32(CNS_CONTROLLER);
	__sync_synchronize();
	reg_write(nvme, NVME_DOORBELLS, nvme->next + 1);
	for (waited = 0; !(le16toh(cqe->status) & 1); waited++) {
		if (waited == nvme->timeout_ms) {
			nvme->stuck = true;
			return probe_fail("NVMe: no completion after %u ms", waited);
		}
		pause_ms(1);
	}
	__sync_synchronize();
	nvme->next++;
	reg_write(nvme, NVME_DOORBELLS + nvme->stride, nvme->next);
	status = le16toh(cqe->status) >> 1;
	if (status || le16toh(cqe->cid) != cid)
		return probe_fail("NVMe: Identify %u completed as %u with status %#x", cid,
				  le16toh(cqe->cid), status);
	return 0;
}

/* The length of a field that is padded with spaces. */
static int field_len(const uint8_t *field, int len)
{
	while (len && field[len - 1] == ' ')
		len--;
	return len;
}

/* Bytes 0 and 1 are the PCI vendor, 4 the serial number, 24 the model: section 5.17.2.1. */
static int check_identity(struct probe *probe, const char *what, const uint8_t *data)
{
	unsigned vendor = data[0] | data[1] << 8;

	if (vendor != probe->pci->id.vendor)
		return probe_fail("NVMe: Identify into %s gave vendor %04x", what, vendor);
	probe_ok("NVMe: Identify into %s: %.*s, serial %.*s", what, field_len(data + 24, 40),
		 data + 24, field_len(data + 4, 20), data + 4);
	return 0;
}

static int identify_into(struct probe *probe, struct probe_nvme *nvme, const char *what, void *va,
			 const void *same)
{
	uint64_t dma = plx_xlate_dma(plx_ioas_xlate(probe->ioas), va);
	int ret;

	memset(va, 0, PROBE_IDENTIFY_LEN);
	ret = probe_nvme_identify(nvme, dma);
	ret = ret ? ret : check_identity(probe, what, va);
	if (!ret && same && memcmp(va, same, PROBE_IDENTIFY_LEN))
		ret = probe_fail("NVMe: two Identify commands gave different data");
	return ret;
}

int probe_nvme_on(struct probe_nvme *nvme, struct plx_pci *pci, struct plx_ioas *ioas)
{
	struct plx_pci_bar bar;
	uint32_t cap_high;
	int err, ret;

	nvme->pci = pci;
	nvme->ioas = ioas;
	nvme->next = 0;
	nvme->own_sq = !nvme->sq.va;
	err = plx_pci_bar(pci, 0, 2 * NVME_DOORBELLS, &bar);
	if (err)
		return probe_fail("NVMe: BAR 0: %s", strerror(-err));
	nvme->regs = bar.va;
	cap_high = reg_read(nvme, NVME_CAP + 4);
	nvme->stride = 4u << (cap_high & 0xf);
	nvme->stuck = false;
	nvme->timeout_ms = (reg_read(nvme, NVME_CAP) >> 24) * 500 + PATIENCE_MS;
	err = nvme->own_sq ? plx_dma_alloc(ioas, 4096, 4096, pci->node, &nvme->sq) : 0;
	err = err ? err : plx_dma_alloc(ioas, 4096, 4096, pci->node, &nvme->cq);
	err = err ? err : plx_pci_set_master(pci, true);
	ret = err ? probe_fail("NVMe: queue memory: %s", strerror(-err)) : controller_off(nvme);
	ret = ret ? ret : controller_on(nvme);
	if (ret)
		probe_nvme_off(nvme);
	return ret;
}

int probe_nvme_off(struct probe_nvme *nvme)
{
	int ret = controller_off(nvme);

	plx_pci_set_master(nvme->pci, false);
	plx_dma_free(nvme->ioas, &nvme->cq);
	if (nvme->own_sq)
		plx_dma_free(nvme->ioas, &nvme->sq);
	return ret;
}

int probe_dma_nvme(struct probe *probe)
{
	struct probe_nvme nvme = { 0 };
	struct plx_dma ring;
	int err, ret;

	err = plx_dma_alloc(probe->ioas, PROBE_IDENTIFY_LEN, 4096, probe->pci->node, &ring);
	if (err)
		return probe_fail("NVMe: ring memory: %s", strerror(-err));
	ret = probe_nvme_on(&nvme, probe->pci, probe->ioas);
	if (!ret) {
		ret = identify_into(probe, &nvme, "ring memory", ring.va, NULL);
		ret = ret ? ret
			  : identify_into(probe, &nvme, "memory mapped early", probe->early->va,
					  ring.va);
		ret = ret ? ret
			  : identify_into(probe, &nvme, "memory mapped late", probe->late->va,
					  ring.va);
		err = probe_nvme_off(&nvme);
		ret = ret ? ret : err;
	}
	plx_dma_free(probe->ioas, &ring);
	return ret;
}
