/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers [Base 3.1.3]: enabling [3.5.1], resetting [3.7.2], shutting down [3.6.1].
 *
 * They are little endian and accessed as 32 or 64 bits, aligned; 64 bits are two halves here.
 */
#include <string.h>

#include <pollux/log.h>

#include "snvme.h"

#define CSS_NVM 0 /* of CC: the NVM command set, or all that are supported [Base 3.1.3.5] */
#define CSS_ALL 6

/*
 * What happens.
 */
void snvme_update(struct soft_nvme *nvme)
{
	nvme->running = nvme->csts & NVME_CSTS_RDY &&
			!(nvme->csts & (NVME_CSTS_CFS | NVME_CSTS_SHST_MASK)) &&
			plx_vfu_config_master(&nvme->config);
}

void snvme_fatal(struct soft_nvme *nvme)
{
	nvme->faults += !(nvme->csts & NVME_CSTS_CFS);
	nvme->csts |= NVME_CSTS_CFS;
	snvme_update(nvme);
}

static bool enable_queues(struct soft_nvme *nvme)
{
	const uint32_t sqs = (nvme->aqa & 0xfff) + 1, cqs = (nvme->aqa >> 16 & 0xfff) + 1;

	if (sqs < 2 || cqs < 2 || (nvme->asq | nvme->acq) & nvme->page_mask)
		return false;
	if (snvme_cq_open(nvme, 0, nvme->acq, cqs) ||
	    snvme_sq_open(nvme, 0, nvme->asq, sqs, &nvme->cq[0]))
		return false;
	nvme->cq[0].irq = true;
	return true;
}

/* What the driver did wrong is said, for all that it sees is CSTS.CFS. */
static void enable(struct soft_nvme *nvme)
{
	const uint32_t cc = nvme->cc;

	nvme->csts = 0;
	nvme->page_mask = (4096u << CC_MPS(cc)) - 1;
	nvme->inject_commands = 0;
	memset(nvme->inject_count, 0, sizeof(nvme->inject_count));
	snvme_queues_find(nvme); /* forgets addresses */
	if ((CC_CSS(cc) != CSS_NVM && CC_CSS(cc) != CSS_ALL) || CC_MPS(cc) > SNVME_MPS_MAX ||
	    CC_AMS(cc)) {
		snvme_say(nvme, "can't be enabled by CC %08x", cc);
		snvme_fatal(nvme);
		return;
	}
	if (!enable_queues(nvme)) {
		snvme_say(nvme,
			  "can't be enabled: AQA %08x, ASQ %llx, ACQ %llx name no admin queues in "
			  "shared memory",
			  nvme->aqa, (unsigned long long)nvme->asq, (unsigned long long)nvme->acq);
		snvme_fatal(nvme);
		return;
	}
	nvme->alive = nvme->now;
	nvme->csts |= NVME_CSTS_RDY;
	snvme_update(nvme);
}

/* Everything but the admin queue's place is as at power-on [Base 3.7.2]. */
void snvme_stop(struct soft_nvme *nvme)
{
	nvme->running = false;
	nvme->csts = 0;
	nvme->shadow = 0;
	nvme->events_at = 0;
	nvme->stuck_count = 0;
	nvme->intm = 0;
	snvme_queues_close(nvme);
	snvme_events_reset(nvme);
	snvme_features_reset(nvme);
}

static void shut_down(struct soft_nvme *nvme)
{
	snvme_files_wait(nvme);
	for (unsigned i = 0; i < nvme->namespaces; i++) {
		if (snvme_disk_sync(nvme->ns[i].disk))
			snvme_say(nvme, "namespace %u isn't safe on its disk", i + 1);
	}
	nvme->csts |= NVME_CSTS_SHST_DONE;
	snvme_update(nvme);
}

static void write_cc(struct soft_nvme *nvme, uint32_t cc)
{
	const uint32_t old = nvme->cc;

	nvme->cc = cc & NVME_CC_WRITABLE;
	if (cc & NVME_CC_EN && !(old & NVME_CC_EN)) {
		enable(nvme);
	} else if (!(cc & NVME_CC_EN) && old & NVME_CC_EN) {
		nvme->resets++;
		snvme_stop(nvme);
	}
	if (cc & NVME_CC_SHN_MASK && !(nvme->csts & NVME_CSTS_SHST_MASK))
		shut_down(nvme);
}

/*
 * Controller Memory Buffer: its registers read as 0 until the driver asks for them [Base 3.1.3.16].
 */
static uint32_t cmb_loc(const struct soft_nvme *nvme)
{
	return nvme->cmbmsc & NVME_CMBMSC_CRE ? SNVME_BAR_CMB : 0;
}

/* In units of 4 KiB. */
static uint32_t cmb_size(const struct soft_nvme *nvme)
{
	return nvme->cmbmsc & NVME_CMBMSC_CRE
		       ? (uint32_t)(nvme->cmb_len >> 12) << 12 | NVME_CMBSZ_SQS
		       : 0;
}

/*
 * Access.
 */
static uint32_t read_reg(struct soft_nvme *nvme, uint32_t reg)
{
	switch (reg) {
	case NVME_CAP: return (uint32_t)nvme->cap;
	case NVME_CAP + 4: return (uint32_t)(nvme->cap >> 32);
	case NVME_VS: return SNVME_VS;
	case NVME_INTMS:
	case NVME_INTMC: return nvme->intm;
	case NVME_CC: return nvme->cc;
	case NVME_CSTS: return nvme->csts;
	case NVME_NSSR: return 0;
	case NVME_AQA: return nvme->aqa;
	case NVME_ASQ: return (uint32_t)nvme->asq;
	case NVME_ASQ + 4: return (uint32_t)(nvme->asq >> 32);
	case NVME_ACQ: return (uint32_t)nvme->acq;
	case NVME_ACQ + 4: return (uint32_t)(nvme->acq >> 32);
	case NVME_CMBLOC: return cmb_loc(nvme);
	case NVME_CMBSZ: return cmb_size(nvme);
	case NVME_CMBMSC: return (uint32_t)nvme->cmbmsc;
	case NVME_CMBMSC + 4: return (uint32_t)(nvme->cmbmsc >> 32);
	case NVME_CMBSTS: return 0;
	}
	/* Reserved ones, and those of features that CAP doesn't name, read as 0. */
	nvme->unknown += reg >= 0x60;
	return 0;
}

static void set_half(uint64_t *value, bool high, uint32_t half)
{
	const unsigned shift = high ? 32 : 0;

	*value = (*value & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)half << shift;
}

static void write_reg(struct soft_nvme *nvme, uint32_t reg, uint32_t value)
{
	switch (reg) {
	case NVME_INTMS: nvme->intm |= value; return;
	case NVME_INTMC: nvme->intm &= ~value; return;
	case NVME_CC: write_cc(nvme, value); return;
	case NVME_AQA: nvme->aqa = value & 0x0fff0fff; return;
	case NVME_ASQ: set_half(&nvme->asq, false, value & ~0xfffu); return;
	case NVME_ASQ + 4: set_half(&nvme->asq, true, value); return;
	case NVME_ACQ: set_half(&nvme->acq, false, value & ~0xfffu); return;
	case NVME_ACQ + 4: set_half(&nvme->acq, true, value); return;
	case NVME_CMBMSC:
	case NVME_CMBMSC + 4:
		if (!nvme->cmb)
			return;
		set_half(&nvme->cmbmsc, reg != NVME_CMBMSC,
			 reg == NVME_CMBMSC ? value & ~0xffcu : value);
		if (!snvme_queues_find(nvme))
			snvme_fatal(nvme);
		return;
	}
	nvme->unknown++;
}

void snvme_reg_access(struct soft_nvme *nvme, uint64_t offset, void *buf, size_t len, bool write)
{
	uint32_t value;

	if (offset % 4 || (len != 4 && len != 8) || offset + len > SNVME_REGS_END) {
		nvme->unknown++;
		if (!write)
			memset(buf, 0, len);
		return;
	}
	for (size_t i = 0; i < len; i += 4) {
		if (write) {
			memcpy(&value, (uint8_t *)buf + i, 4);
			write_reg(nvme, (uint32_t)(offset + i), le32toh(value));
		} else {
			value = htole32(read_reg(nvme, (uint32_t)(offset + i)));
			memcpy((uint8_t *)buf + i, &value, 4);
		}
	}
}

void snvme_reg_init(struct soft_nvme *nvme)
{
	nvme->cap = (nvme->entries - 1) | NVME_CAP_CQR | (uint64_t)SNVME_TO << 24 |
		    (uint64_t)nvme->stride << 32 | NVME_CAP_CSS_NVM | NVME_CAP_CSS_IO |
		    (uint64_t)SNVME_MPS_MAX << 52 | (nvme->cmb ? NVME_CAP_CMBS : 0);
}

void snvme_reg_reset(struct soft_nvme *nvme)
{
	snvme_stop(nvme);
	nvme->cc = 0;
	nvme->aqa = 0;
	nvme->asq = 0;
	nvme->acq = 0;
	nvme->cmbmsc = 0;
	nvme->page_mask = 4095;
}
