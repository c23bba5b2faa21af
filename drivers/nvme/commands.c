/* SPDX-License-Identifier: BSD-3-Clause */
/* Admin commands by name. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "nvme.h"

int nvme_identify(struct plx_nvme_ctrl *ctrl, enum plx_nvme_cns cns, uint32_t nsid, void *data)
{
	/* The command sets are asked for by controller: of this one [Base 5.17.2.21]. */
	const uint32_t cntid = cns == PLX_NVME_CNS_IO_COMMAND_SETS ? UINT16_MAX : 0;
	const struct plx_nvme_cmd cmd = {
		.opcode = PLX_NVME_IDENTIFY,
		.nsid = htole32(nsid),
		.cdw10 = htole32(cns | cntid << 16),
	};

	return nvme_admin(ctrl, &cmd, data, PLX_NVME_IDENTIFY_LEN, NULL, NVME_ADMIN_WAIT_MS);
}

int nvme_get_log(struct plx_nvme_ctrl *ctrl, enum plx_nvme_log log, uint32_t nsid, uint64_t offset,
		 void *data, size_t len)
{
	uint32_t dwords = (uint32_t)(len / 4 - 1); /* 0's based */
	const struct plx_nvme_cmd cmd = {
		.opcode = PLX_NVME_GET_LOG_PAGE,
		.nsid = htole32(nsid),
		.cdw10 = htole32((dwords & UINT16_MAX) << 16 | log),
		.cdw11 = htole32(dwords >> 16),
		.cdw12 = htole32((uint32_t)offset),
		.cdw13 = htole32((uint32_t)(offset >> 32)),
	};

	if (!len || (len | offset) & 3)
		return -EINVAL;
	return nvme_admin(ctrl, &cmd, data, len, NULL, NVME_ADMIN_WAIT_MS);
}

int nvme_feature(struct plx_nvme_ctrl *ctrl, uint8_t opcode, enum plx_nvme_feature feature,
		 uint32_t nsid, uint32_t value, uint32_t *result)
{
	const struct plx_nvme_cmd cmd = {
		.opcode = opcode,
		.nsid = htole32(nsid),
		.cdw10 = htole32(feature),
		.cdw11 = htole32(value),
	};

	return nvme_admin(ctrl, &cmd, NULL, 0, result, NVME_ADMIN_WAIT_MS);
}

/* Create I/O Completion Queue, then the Submission Queue that uses it [Base 5.4, 5.5]. */
int nvme_create_queues(struct plx_nvme_qpair *q)
{
	const uint32_t size_id = q->depth << 16 | q->id /* 0's based: an entry more */;
	const uint32_t vector = q->opts.irq ? NVME_CQ_INTERRUPTS | NVME_CQ_VECTOR(q->vector) : 0;
	const struct plx_nvme_cmd cq = {
		.opcode = PLX_NVME_CREATE_CQ,
		.prp1 = htole64(q->cq_mem.dma),
		.cdw10 = htole32(size_id),
		.cdw11 = htole32(NVME_QUEUE_CONTIGUOUS | vector),
	};
	const struct plx_nvme_cmd sq = {
		.opcode = PLX_NVME_CREATE_SQ,
		.prp1 = htole64(nvme_sq_dma(q)),
		.cdw10 = htole32(size_id),
		.cdw11 = htole32(NVME_QUEUE_CONTIGUOUS | NVME_SQ_CQID(q->id)),
	};
	const struct plx_nvme_cmd undo = { .opcode = PLX_NVME_DELETE_CQ, .cdw10 = htole32(q->id) };
	int err = sq.prp1 == PLX_DMA_BAD ? -EIO : 0;

	err = err ? err : nvme_admin(q->ctrl, &cq, NULL, 0, NULL, NVME_ADMIN_WAIT_MS);
	if (!err) {
		err = nvme_admin(q->ctrl, &sq, NULL, 0, NULL, NVME_ADMIN_WAIT_MS);
		/* Not deleted, it might still be written to: the controller goes off as a whole. */
		if (err && !q->ctrl->admin->down &&
		    nvme_admin(q->ctrl, &undo, NULL, 0, NULL, NVME_ADMIN_WAIT_MS))
			nvme_ctrl_stop(q->ctrl, NVME_OFF);
	}
	return err;
}

/* In the other order [Base 5.6, 5.7]. */
int nvme_delete_queues(struct plx_nvme_qpair *q)
{
	const struct plx_nvme_cmd sq = { .opcode = PLX_NVME_DELETE_SQ, .cdw10 = htole32(q->id) };
	const struct plx_nvme_cmd cq = { .opcode = PLX_NVME_DELETE_CQ, .cdw10 = htole32(q->id) };
	int err = nvme_admin(q->ctrl, &sq, NULL, 0, NULL, NVME_ADMIN_WAIT_MS);

	return err ? err : nvme_admin(q->ctrl, &cq, NULL, 0, NULL, NVME_ADMIN_WAIT_MS);
}

/*
 * Shadow doorbells spare the host the exit that a register costs in a virtual machine. Where the
 * doorbells are memory they only add to what each ring takes (a third of the reads a second, at
 * depth 1).
 */
static bool wants_dbbuf(const struct plx_nvme_ctrl *ctrl)
{
	return ctrl->info.oacs & PLX_NVME_OACS_DBBUF && !ctrl->opts.no_dbbuf &&
	       (ctrl->opts.dbbuf || !plx_pci_served(ctrl->pci));
}

/* Doorbell Buffer Config [Base 5.8]. Doing without it is no failure. */
int nvme_dbbuf_config(struct plx_nvme_ctrl *ctrl)
{
	size_t page = nvme_page_size(ctrl);
	struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_DBBUF_CONFIG };
	int err = 0;

	if (!wants_dbbuf(ctrl))
		return 0;
	if (!ctrl->dbbuf_shadow.va)
		err = plx_dma_alloc(ctrl->pci->ioas, page, page, ctrl->pci->node,
				    &ctrl->dbbuf_shadow);
	if (!err && !ctrl->dbbuf_event.va)
		err = plx_dma_alloc(ctrl->pci->ioas, page, page, ctrl->pci->node,
				    &ctrl->dbbuf_event);
	if (err)
		return err;
	memset(ctrl->dbbuf_shadow.va, 0, page);
	memset(ctrl->dbbuf_event.va, 0, page);
	cmd.prp1 = htole64(ctrl->dbbuf_shadow.dma);
	cmd.prp2 = htole64(ctrl->dbbuf_event.dma);
	err = nvme_admin(ctrl, &cmd, NULL, 0, NULL, NVME_ADMIN_WAIT_MS);
	/* Queue pairs that were made with it are lost without. */
	if (err > 0 && !ctrl->info.dbbuf)
		return 0;
	ctrl->info.dbbuf = !err;
	return err;
}

int plx_nvme_admin(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_cmd *cmd, void *buf,
		   size_t len, uint32_t *result)
{
	uint32_t timeout = cmd->opcode == PLX_NVME_FORMAT ? NVME_FORMAT_MS : NVME_ADMIN_WAIT_MS;
	int err;

	pthread_mutex_lock(&ctrl->lock);
	err = plx_nvme_ctrl_state(ctrl);
	err = err ? err : nvme_admin(ctrl, cmd, buf, len, result, timeout);
	pthread_mutex_unlock(&ctrl->lock);
	return err;
}

int plx_nvme_identify(struct plx_nvme_ctrl *ctrl, enum plx_nvme_cns cns, uint32_t nsid, void *data)
{
	int err;

	pthread_mutex_lock(&ctrl->lock);
	err = plx_nvme_ctrl_state(ctrl);
	err = err ? err : nvme_identify(ctrl, cns, nsid, data);
	pthread_mutex_unlock(&ctrl->lock);
	return err;
}

int plx_nvme_get_log(struct plx_nvme_ctrl *ctrl, enum plx_nvme_log log, uint32_t nsid,
		     uint64_t offset, void *data, size_t len)
{
	int err;

	pthread_mutex_lock(&ctrl->lock);
	err = plx_nvme_ctrl_state(ctrl);
	err = err ? err : nvme_get_log(ctrl, log, nsid, offset, data, len);
	pthread_mutex_unlock(&ctrl->lock);
	return err;
}

static int feature(struct plx_nvme_ctrl *ctrl, uint8_t opcode, enum plx_nvme_feature which,
		   uint32_t nsid, uint32_t value, uint32_t *result)
{
	int err;

	pthread_mutex_lock(&ctrl->lock);
	err = plx_nvme_ctrl_state(ctrl);
	err = err ? err : nvme_feature(ctrl, opcode, which, nsid, value, result);
	pthread_mutex_unlock(&ctrl->lock);
	return err;
}

int plx_nvme_get_feature(struct plx_nvme_ctrl *ctrl, enum plx_nvme_feature which, uint32_t nsid,
			 uint32_t *value)
{
	return feature(ctrl, PLX_NVME_GET_FEATURES, which, nsid, 0, value);
}

int plx_nvme_set_feature(struct plx_nvme_ctrl *ctrl, enum plx_nvme_feature which, uint32_t nsid,
			 uint32_t value, uint32_t *result)
{
	return feature(ctrl, PLX_NVME_SET_FEATURES, which, nsid, value, result);
}

/* Format NVM [Base 5.14]; then the namespace has another shape. */
int plx_nvme_format(struct plx_nvme_ctrl *ctrl, uint32_t nsid, const struct plx_nvme_format *format)
{
	uint32_t low = format->lbaf & 0xf, high = format->lbaf >> 4;
	const struct plx_nvme_cmd cmd = {
		.opcode = PLX_NVME_FORMAT,
		.nsid = htole32(nsid),
		.cdw10 = htole32(low | (uint32_t)format->extended << 4 | (uint32_t)format->pi << 5 |
				 (uint32_t)format->pi_first << 8 | (uint32_t)format->erase << 9 |
				 high << 12),
	};
	int err;

	if (format->lbaf > 63 || format->pi > 3 || format->erase > 2)
		return -EINVAL;
	err = plx_nvme_admin(ctrl, &cmd, NULL, 0, NULL);
	return err ? err : plx_nvme_rescan(ctrl);
}
