/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A controller's bring-up [Base 3.5.1], shutdown [3.6.1] and reset [3.7.2].
 *
 *   off  --- nvme_ctrl_start() --->  running      registers, admin queue, identify, namespaces
 *   off  <-- nvme_ctrl_stop() -----  running      no DMA: not enabled, and no bus master
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "nvme.h"
#include "sys.h"

#define READY_UNIT_MS	500 /* of CAP.TO */
#define SHUTDOWN_MIN_MS 5000

int nvme_ctrl_look(struct plx_nvme_ctrl *ctrl)
{
	uint32_t status = nvme_read32(ctrl, NVME_CSTS);

	if (status != NVME_GONE)
		return status & NVME_CSTS_CFS ? -EIO : 0;
	if (ctrl->state == NVME_RUNNING)
		plx_err("%s: the controller is gone", ctrl->info.name);
	nvme_ctrl_stop(ctrl, NVME_OFF);
	return -ENODEV;
}

static void set_state(struct plx_nvme_ctrl *ctrl, enum nvme_state state)
{
	__atomic_store_n(&ctrl->state, state, __ATOMIC_RELAXED);
}

/* Until CSTS says want under mask, ms milliseconds at most. */
static int wait_status(struct plx_nvme_ctrl *ctrl, uint32_t mask, uint32_t want, uint32_t ms)
{
	for (uint32_t waited = 0;; waited++) {
		uint32_t status = nvme_read32(ctrl, NVME_CSTS);

		if (status == NVME_GONE)
			return -ENODEV;
		if ((status & mask) == want)
			return 0;
		/* Getting ready, nothing good comes after a fatal error; turning off, it might. */
		if (want == NVME_CSTS_RDY && status & NVME_CSTS_CFS)
			return -EIO;
		if (waited >= ms)
			return -ETIMEDOUT;
		plx_sys->sleep_ms(1);
	}
}

static int disable(struct plx_nvme_ctrl *ctrl)
{
	uint32_t cc = nvme_read32(ctrl, NVME_CC);
	uint32_t status = nvme_read32(ctrl, NVME_CSTS);

	if (cc == NVME_GONE)
		return -ENODEV;
	/* Enabled but not ready yet, it must not be touched [3.1.3.5]. */
	if (cc & NVME_CC_EN && !(status & (NVME_CSTS_RDY | NVME_CSTS_CFS)))
		wait_status(ctrl, NVME_CSTS_RDY, NVME_CSTS_RDY, ctrl->ready_ms);
	nvme_write32(ctrl, NVME_CC, cc & ~NVME_CC_EN);
	return wait_status(ctrl, NVME_CSTS_RDY, 0, ctrl->ready_ms);
}

static void shut_down(struct plx_nvme_ctrl *ctrl)
{
	uint32_t cc = nvme_read32(ctrl, NVME_CC);
	int err;

	nvme_write32(ctrl, NVME_CC, (cc & ~NVME_CC_SHN_MASK) | NVME_CC_SHN_NORMAL);
	err = wait_status(ctrl, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE, ctrl->shutdown_ms);
	if (err)
		plx_warn("%s: orderly shutdown: %s", ctrl->info.name, strerror(-err));
}

void nvme_ctrl_shutdown(struct plx_nvme_ctrl *ctrl)
{
	if (ctrl->state == NVME_RUNNING && nvme_read32(ctrl, NVME_CSTS) != NVME_GONE)
		shut_down(ctrl);
	nvme_ctrl_stop(ctrl, NVME_OFF);
}

void nvme_ctrl_stop(struct plx_nvme_ctrl *ctrl, enum nvme_state off)
{
	struct plx_nvme_qpair *q;
	int err = disable(ctrl);

	if (err && err != -ENODEV) {
		plx_warn("%s: the controller doesn't stop (%s): resetting the PCI function",
			 ctrl->info.name, strerror(-err));
		err = plx_pci_reset(ctrl->pci);
		if (err)
			plx_err("%s: reset: %s", ctrl->info.name, strerror(-err));
	}
	/* Whatever it thinks of it, there is no DMA from here on. */
	plx_pci_set_master(ctrl->pci, false);
	set_state(ctrl, err == -ENODEV ? NVME_REMOVED : off);
	if (ctrl->admin) {
		nvme_qpair_set_down(ctrl->admin, true);
		nvme_qpair_fail_all(ctrl->admin, PLX_NVME_HOST_PATHING_ERROR);
	}
	LIST_FOREACH(q, &ctrl->qpairs, link)
		__atomic_store_n(&q->lost, true, __ATOMIC_RELEASE);
}

/* The host's page if both ends have it, or the next best; one that was asked for, or none. */
static int choose_page(struct plx_nvme_ctrl *ctrl)
{
	uint32_t min = NVME_CAP_MPSMIN(ctrl->cap), max = NVME_CAP_MPSMAX(ctrl->cap), want = 0;
	size_t page = ctrl->opts.page ? ctrl->opts.page : (size_t)sysconf(_SC_PAGESIZE);

	while ((size_t)1 << (NVME_PAGE_SHIFT + want + 1) <= page)
		want++;
	ctrl->mps = want < min ? min : want > max ? max : want;
	if (ctrl->opts.page && ctrl->opts.page != nvme_page_size(ctrl)) {
		plx_err("%s: page=%u: its pages have 2^%u to 2^%u bytes", ctrl->info.name,
			ctrl->opts.page, min + NVME_PAGE_SHIFT, max + NVME_PAGE_SHIFT);
		return -EINVAL;
	}
	if (min > max || nvme_page_size(ctrl) > PLX_FRAME_SIZE) {
		plx_err("%s: its pages have 2^%u to 2^%u bytes, ours up to 2^%u", ctrl->info.name,
			min + NVME_PAGE_SHIFT, max + NVME_PAGE_SHIFT, PLX_FRAME_SHIFT);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* How many queues there are doorbells for. */
static uint32_t doorbell_limit(const struct plx_nvme_ctrl *ctrl)
{
	size_t pair = (size_t)8 << NVME_CAP_DSTRD(ctrl->cap);
	uint64_t pairs = (ctrl->bar.size - NVME_DOORBELLS) / pair;

	return pairs > UINT16_MAX ? UINT16_MAX - 1u : pairs ? (uint32_t)pairs - 1 : 0;
}

static int read_capabilities(struct plx_nvme_ctrl *ctrl)
{
	uint64_t cap = nvme_read64(ctrl, NVME_CAP);
	uint32_t to = NVME_CAP_TO(cap);
	int err;

	if (nvme_read32(ctrl, NVME_CSTS) == NVME_GONE)
		return -ENODEV;
	if (ctrl->cap && cap != ctrl->cap) {
		plx_err("%s: after the reset its capabilities are %016llx, not %016llx any more",
			ctrl->info.name, (unsigned long long)cap, (unsigned long long)ctrl->cap);
		return -EIO;
	}
	ctrl->cap = cap;
	ctrl->ready_ms = (to ? to : 1) * READY_UNIT_MS;
	ctrl->shutdown_ms = SHUTDOWN_MIN_MS;
	if (!(cap & (NVME_CAP_CSS_NVM | NVME_CAP_CSS_IO)) || !NVME_CAP_MQES(cap)) {
		plx_err("%s: no controller with I/O queues for the NVM command set (CAP %016llx)",
			ctrl->info.name, (unsigned long long)cap);
		return -EOPNOTSUPP;
	}
	err = choose_page(ctrl);
	if (err)
		return err;
	ctrl->info.page_size = nvme_page_size(ctrl);
	ctrl->info.max_depth = NVME_CAP_MQES(cap); /* one entry stays free */
	ctrl->info.version = nvme_read32(ctrl, NVME_VS);
	return 0;
}

static int make_admin_queue(struct plx_nvme_ctrl *ctrl)
{
	const struct plx_nvme_qpair_opts opts = {
		.depth = NVME_ADMIN_DEPTH,
		.max_transfer = NVME_ADMIN_TRANSFER_MAX,
		.timeout_ms = NVME_ADMIN_WAIT_MS,
	};

	if (ctrl->admin) {
		nvme_qpair_clear(ctrl->admin);
		nvme_qpair_set_down(ctrl->admin, false);
		return 0;
	}
	return nvme_qpair_alloc(ctrl, 0, &opts, &ctrl->admin);
}

static int enable(struct plx_nvme_ctrl *ctrl)
{
	uint32_t last = ctrl->admin->depth;
	uint32_t cc = NVME_CC_EN | NVME_CC_IOSQES | NVME_CC_IOCQES | NVME_CC_MPS(ctrl->mps);
	int err;

	if (!(ctrl->cap & NVME_CAP_CSS_NVM))
		cc |= NVME_CC_CSS_IO;
	nvme_write32(ctrl, NVME_AQA, last << 16 | last);
	nvme_write64(ctrl, NVME_ASQ, ctrl->admin->sq_mem.dma);
	nvme_write64(ctrl, NVME_ACQ, ctrl->admin->cq_mem.dma);
	err = plx_pci_set_master(ctrl->pci, true);
	if (err)
		return err;
	nvme_write32(ctrl, NVME_CC, cc);
	err = wait_status(ctrl, NVME_CSTS_RDY, NVME_CSTS_RDY, ctrl->ready_ms);
	if (err == -ETIMEDOUT)
		plx_err("%s: not ready after %u ms, as long as it said it takes (CSTS %08x)",
			ctrl->info.name, ctrl->ready_ms, nvme_read32(ctrl, NVME_CSTS));
	else if (err)
		plx_err("%s: %s when it should have got ready", ctrl->info.name,
			err == -ENODEV ? "it was gone" : "it reported a fatal error");
	return err;
}

/* Number of Queues [Base 5.27.1.5]: must be set before the first is made. */
static int negotiate_queues(struct plx_nvme_ctrl *ctrl)
{
	uint32_t want = doorbell_limit(ctrl), granted, got;
	int err;

	if (ctrl->opts.queues && ctrl->opts.queues < want)
		want = ctrl->opts.queues;
	if (!want) {
		plx_err("%s: BAR 0 has %llu bytes, and no doorbells for I/O queues",
			ctrl->info.name, (unsigned long long)ctrl->bar.size);
		return -EINVAL;
	}
	err = nvme_feature(ctrl, PLX_NVME_SET_FEATURES, PLX_NVME_FEAT_QUEUES, 0,
			   (want - 1) << 16 | (want - 1), &granted);
	if (err) {
		plx_err("%s: no I/O queues: %s", ctrl->info.name, plx_nvme_error(err));
		return err;
	}
	got = granted >> 16 < (granted & UINT16_MAX) ? granted >> 16 : granted & UINT16_MAX;
	got = got + 1 < want ? got + 1 : want;
	/* After a reset the book of ids that are in use stays as large as it was made. */
	if (!ctrl->qid_used) {
		ctrl->qid_used = calloc(got + 1, 1);
		ctrl->info.max_queues = got;
	}
	return ctrl->qid_used ? 0 : -ENOMEM;
}

static int bring_up(struct plx_nvme_ctrl *ctrl)
{
	int err = read_capabilities(ctrl);

	err = err ? err : disable(ctrl);
	err = err ? err : make_admin_queue(ctrl);
	if (!err)
		nvme_cmb_start(ctrl);
	err = err ? err : enable(ctrl);
	err = err ? err : nvme_identify_ctrl(ctrl);
	err = err ? err : negotiate_queues(ctrl);
	err = err ? err : nvme_dbbuf_config(ctrl);
	err = err ? err : nvme_identify_namespaces(ctrl);
	err = err ? err : nvme_events_start(ctrl);
	return err;
}

int nvme_ctrl_start(struct plx_nvme_ctrl *ctrl)
{
	int err = bring_up(ctrl);

	if (!err) {
		set_state(ctrl, NVME_RUNNING);
		return 0;
	}
	nvme_ctrl_stop(ctrl, NVME_OFF);
	return err > 0 ? -EIO : err;
}

int nvme_ctrl_reset(struct plx_nvme_ctrl *ctrl)
{
	int err;

	nvme_ctrl_stop(ctrl, NVME_RESETTING);
	err = nvme_ctrl_start(ctrl);
	if (err)
		plx_err("%s: the controller doesn't come up again: %s", ctrl->info.name,
			strerror(-err));
	else
		plx_notice("%s: the controller was reset", ctrl->info.name);
	return err;
}

int plx_nvme_ctrl_reset(struct plx_nvme_ctrl *ctrl)
{
	int err;

	pthread_mutex_lock(&ctrl->lock);
	err = nvme_ctrl_reset(ctrl);
	pthread_mutex_unlock(&ctrl->lock);
	return err;
}

int plx_nvme_ctrl_state(const struct plx_nvme_ctrl *ctrl)
{
	switch (__atomic_load_n(&ctrl->state, __ATOMIC_RELAXED)) {
	case NVME_RUNNING:
	case NVME_RESETTING: return 0;
	case NVME_REMOVED: return -ENODEV;
	default: return -EIO;
	}
}

const struct plx_nvme_ctrl_info *plx_nvme_ctrl_info(const struct plx_nvme_ctrl *ctrl)
{
	return &ctrl->info;
}

struct plx_ioas *plx_nvme_ctrl_ioas(const struct plx_nvme_ctrl *ctrl)
{
	return ctrl->pci->ioas;
}
