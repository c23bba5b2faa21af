/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admin commands [Base 5]: queues, Abort, Keep Alive, Doorbell Buffer Config, Format NVM; and the
 * way to all others.
 */
#include <string.h>

#include "snvme.h"

#define ADMIN_BATCH 8

#define ABORT_NOT_DONE 1 /* in the result: the command was not aborted [Base 5.1] */

#define FORMAT_MSET	   (1u << 4) /* metadata behind each block's data */
#define FORMAT_PI(cdw10)   ((cdw10) >> 5 & 7)
#define FORMAT_SES(cdw10)  ((cdw10) >> 9 & 7)
#define FORMAT_LBAF(cdw10) (((cdw10)&0xf) | ((cdw10) >> 12 & 3) << 4)
#define FORMAT_SES_MAX	   2 /* cryptographic erase */

#define SQES 6 /* log2 of the entry sizes [Base 3.1.3.5] */
#define CQES 4

uint16_t snvme_answer(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd, const void *data,
		      size_t len, size_t want)
{
	static const uint8_t zeroes[4096];
	struct snvme_cursor at = { nvme->iov, 0 };
	unsigned count;
	uint16_t status;

	status = snvme_data(nvme, cmd, (uint32_t)want, PLX_DMA_WRITE, &count);
	if (status)
		return status;
	len = len < want ? len : want;
	snvme_to_client(&at, data, len);
	for (want -= len; want; want -= len) {
		len = want < sizeof(zeroes) ? want : sizeof(zeroes);
		snvme_to_client(&at, zeroes, len);
	}
	return 0;
}

/*
 * Queues. Create I/O Completion Queue [Base 5.4], Submission Queue [5.5], and their deletion [5.6,
 * 5.7].
 */
static struct snvme_cq *find_cq(struct soft_nvme *nvme, unsigned id)
{
	return id && id <= nvme->queues && nvme->cq[id].used ? &nvme->cq[id] : NULL;
}

static struct snvme_sq *find_sq(struct soft_nvme *nvme, unsigned id)
{
	return id && id <= nvme->queues && nvme->sq[id].used ? &nvme->sq[id] : NULL;
}

/* What both kinds are asked for. size: 0's based. */
static uint16_t check_queue(const struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd,
			    unsigned id, bool taken, uint32_t size)
{
	if (!id || id > nvme->queues || taken)
		return SNVME_BAD(INVALID_QID);
	if (!size || size > nvme->entries - 1)
		return SNVME_BAD(INVALID_QUEUE_SIZE);
	/* Contiguous queues are required [CAP.CQR]. */
	if (!(le32toh(cmd->cdw11) & NVME_QUEUE_CONTIGUOUS))
		return SNVME_BAD(INVALID_FIELD);
	if (le64toh(cmd->prp1) & nvme->page_mask)
		return SNVME_BAD(INVALID_PRP_OFFSET);
	return 0;
}

static uint16_t create_cq(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd)
{
	const uint32_t cdw10 = le32toh(cmd->cdw10), cdw11 = le32toh(cmd->cdw11);
	const unsigned id = cdw10 & 0xffff, vector = cdw11 >> 16;
	uint16_t status;

	status = check_queue(nvme, cmd, id, find_cq(nvme, id), cdw10 >> 16);
	if (status)
		return status;
	/* Where there are no interrupts it is nobody's [Base 5.4]. */
	if (cdw11 & NVME_CQ_INTERRUPTS && vector > nvme->queues)
		return SNVME_BAD(INVALID_VECTOR);
	if (CC_IOCQES(nvme->cc) != CQES)
		return SNVME_BAD(INVALID_FIELD);
	status = snvme_cq_open(nvme, id, le64toh(cmd->prp1), (cdw10 >> 16) + 1);
	if (status)
		return status;
	nvme->cq[id].vector = vector;
	nvme->cq[id].irq = cdw11 & NVME_CQ_INTERRUPTS;
	return 0;
}

static uint16_t create_sq(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd)
{
	const uint32_t cdw10 = le32toh(cmd->cdw10), cdw11 = le32toh(cmd->cdw11);
	const unsigned id = cdw10 & 0xffff, cqid = cdw11 >> 16;
	struct snvme_cq *cq = find_cq(nvme, cqid);
	uint16_t status;

	/* An id that none can have, or one that none has. */
	if (!cqid || cqid > nvme->queues)
		return SNVME_BAD(INVALID_QID);
	if (!cq)
		return SNVME_BAD(INVALID_CQ);
	status = check_queue(nvme, cmd, id, find_sq(nvme, id), cdw10 >> 16);
	if (status)
		return status;
	if (CC_IOSQES(nvme->cc) != SQES)
		return SNVME_BAD(INVALID_FIELD);
	return snvme_sq_open(nvme, id, le64toh(cmd->prp1), (cdw10 >> 16) + 1, cq);
}

static uint16_t delete_cq(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd)
{
	struct snvme_cq *cq = find_cq(nvme, le32toh(cmd->cdw10) & 0xffff);

	if (!cq)
		return SNVME_BAD(INVALID_QID);
	if (cq->users)
		return SNVME_BAD(INVALID_QUEUE_DELETION);
	snvme_cq_close(nvme, cq);
	return 0;
}

static void drop_stuck(struct soft_nvme *nvme, unsigned i)
{
	nvme->stuck[i] = nvme->stuck[--nvme->stuck_count];
}

/* Its commands are done with before the deletion is [Base 5.7]. */
static uint16_t delete_sq(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd)
{
	struct snvme_sq *sq = find_sq(nvme, le32toh(cmd->cdw10) & 0xffff);

	if (!sq)
		return SNVME_BAD(INVALID_QID);
	for (unsigned i = nvme->stuck_count; i--;) {
		if (nvme->stuck[i].sqid == sq->id)
			drop_stuck(nvme, i);
	}
	snvme_sq_close(nvme, sq);
	return 0;
}

/*
 * Abort [Base 5.1]. What lies with the controller for long is what can be: requests for events, and
 * commands that are kept back on purpose.
 */
static bool abort_event(struct soft_nvme *nvme, uint16_t cid)
{
	for (unsigned i = 0; i < nvme->aers; i++) {
		if (nvme->aer[i] != cid)
			continue;
		if (!nvme->cq[0].room && !snvme_cq_room(nvme, &nvme->cq[0]))
			return false;
		nvme->aer[i] = nvme->aer[--nvme->aers];
		nvme->cq[0].room--;
		snvme_post(&nvme->sq[0], cid, PLX_NVME_ABORTED_BY_REQUEST, 0);
		return true;
	}
	return false;
}

static bool abort_stuck(struct soft_nvme *nvme, struct snvme_sq *sq, uint16_t cid)
{
	for (unsigned i = 0; i < nvme->stuck_count; i++) {
		if (nvme->stuck[i].sqid != sq->id || nvme->stuck[i].cid != cid)
			continue;
		if (!sq->cq->room && !snvme_cq_room(nvme, sq->cq))
			return false;
		drop_stuck(nvme, i);
		sq->cq->room--;
		snvme_post(sq, cid, PLX_NVME_ABORTED_BY_REQUEST, 0);
		snvme_raise(nvme, sq->cq);
		return true;
	}
	return false;
}

static uint16_t abort_command(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd,
			      uint32_t *result)
{
	const uint16_t sqid = le32toh(cmd->cdw10) & 0xffff, cid = le32toh(cmd->cdw10) >> 16;
	struct snvme_sq *sq = find_sq(nvme, sqid);

	if (sqid && !sq)
		return SNVME_BAD(INVALID_FIELD);
	if (!(sqid ? abort_stuck(nvme, sq, cid) : abort_event(nvme, cid)))
		*result = ABORT_NOT_DONE;
	return 0;
}

/* Doorbell Buffer Config [Base 5.8]: a page of doorbells, and one of what is waited for. */
static uint16_t dbbuf_config(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd)
{
	const uint64_t shadow = le64toh(cmd->prp1), events = le64toh(cmd->prp2);
	uint16_t status;

	if (!shadow || !events || (shadow | events) & nvme->page_mask)
		return SNVME_BAD(INVALID_FIELD);
	status = snvme_run(nvme, shadow, nvme->page_mask + 1, PLX_DMA_READ, nvme->iov,
			   SNVME_SEGMENTS);
	if (!status)
		status = snvme_run(nvme, events, nvme->page_mask + 1, PLX_DMA_WRITE, nvme->iov,
				   SNVME_SEGMENTS);
	if (status)
		return status;
	nvme->shadow = shadow;
	nvme->events_at = events;
	if (!snvme_queues_find(nvme))
		snvme_fatal(nvme);
	snvme_dbbuf_events(nvme);
	return 0;
}

/*
 * Format NVM [Base 5.14]. Everything in the namespace reads as zeroes afterwards, whatever erasing
 * was asked for.
 */
static uint16_t format_one(struct soft_nvme *nvme, struct snvme_ns *ns, uint32_t cdw10)
{
	if (snvme_disk_clear(ns->disk)) {
		snvme_say(nvme, "namespace %u can't be cleared", ns->nsid);
		return PLX_NVME_INTERNAL_ERROR;
	}
	snvme_ns_set(nvme, ns, FORMAT_LBAF(cdw10), cdw10 & FORMAT_MSET);
	snvme_ns_changed(nvme, ns->nsid);
	return 0;
}

static uint16_t check_format(const struct soft_nvme *nvme, uint32_t nsid, uint32_t cdw10)
{
	unsigned count;

	for (unsigned i = 0; i < nvme->namespaces; i++) {
		if (nsid != PLX_NVME_NSID_ALL && nsid != i + 1)
			continue;
		snvme_formats(&nvme->ns[i], &count);
		if (FORMAT_LBAF(cdw10) >= count)
			return SNVME_BAD(INVALID_FORMAT);
	}
	/* Protection isn't offered. */
	if (FORMAT_PI(cdw10))
		return SNVME_BAD(INVALID_FORMAT);
	return FORMAT_SES(cdw10) > FORMAT_SES_MAX ? SNVME_BAD(INVALID_FIELD) : 0;
}

static uint16_t format_nvm(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd)
{
	const uint32_t nsid = le32toh(cmd->nsid), cdw10 = le32toh(cmd->cdw10);
	uint16_t status;

	if (nsid != PLX_NVME_NSID_ALL && nsid - 1 >= nvme->namespaces)
		return SNVME_BAD(INVALID_NAMESPACE);
	status = check_format(nvme, nsid, cdw10);
	/* Commands under way count in blocks as they are now, and write over what is emptied. */
	if (!status)
		snvme_files_wait(nvme);
	for (unsigned i = 0; i < nvme->namespaces && !status; i++) {
		if (nsid == PLX_NVME_NSID_ALL || nsid == i + 1)
			status = format_one(nvme, &nvme->ns[i], cdw10);
	}
	return status;
}

/*
 * The way to each command.
 */
static uint16_t execute(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd, uint32_t *result)
{
	/* No fused commands, and no SGLs for the admin queue of a PCIe controller [Base 4.1.2]. */
	if (cmd->flags)
		return SNVME_BAD(INVALID_FIELD);
	switch (cmd->opcode) {
	case PLX_NVME_DELETE_SQ: return delete_sq(nvme, cmd);
	case PLX_NVME_CREATE_SQ: return create_sq(nvme, cmd);
	case PLX_NVME_GET_LOG_PAGE: return snvme_get_log(nvme, cmd);
	case PLX_NVME_DELETE_CQ: return delete_cq(nvme, cmd);
	case PLX_NVME_CREATE_CQ: return create_cq(nvme, cmd);
	case PLX_NVME_IDENTIFY: return snvme_identify(nvme, cmd);
	case PLX_NVME_ABORT: return abort_command(nvme, cmd, result);
	case PLX_NVME_SET_FEATURES: return snvme_set_features(nvme, cmd, result);
	case PLX_NVME_GET_FEATURES: return snvme_get_features(nvme, cmd, result);
	case PLX_NVME_ASYNC_EVENT: return snvme_aer(nvme, le16toh(cmd->cid));
	case PLX_NVME_KEEP_ALIVE: nvme->alive = nvme->now; return 0;
	case PLX_NVME_DBBUF_CONFIG: return dbbuf_config(nvme, cmd);
	case PLX_NVME_FORMAT: return format_nvm(nvme, cmd);
	default: return SNVME_BAD(INVALID_OPCODE);
	}
}

static void one(struct soft_nvme *nvme, struct snvme_sq *sq)
{
	struct plx_nvme_cmd cmd;
	uint32_t result = 0;
	uint16_t status;

	memcpy(&cmd, &sq->ring[sq->head], sizeof(cmd));
	__asm__ volatile("" ::: "memory");
	sq->head = sq->head + 1 == sq->size ? 0 : sq->head + 1;
	nvme->admin++;
	/*
	 * What it makes the controller tell looks for room again, and must not find the answer's.
	 */
	sq->cq->reserved++;
	status = execute(nvme, &cmd, &result);
	sq->cq->reserved--;
	if (status == SNVME_PENDING)
		return;
	if (status) {
		nvme->errors++;
		snvme_log_error(nvme, 0, &cmd, status);
	}
	snvme_post(sq, le16toh(cmd.cid), status, result);
}

unsigned snvme_admin_turn(struct soft_nvme *nvme, struct snvme_sq *sq)
{
	struct snvme_cq *cq = sq->cq;
	unsigned n = 0;

	while (n < ADMIN_BATCH && nvme->running) {
		/* Commands are read after the tail that hands them over. */
		const uint32_t tail = le32toh(__atomic_load_n(sq->doorbell, __ATOMIC_ACQUIRE));

		if (tail >= sq->size) {
			snvme_sq_wrong(nvme, sq, tail);
			break;
		}
		if (tail == sq->head || (!cq->room && !snvme_cq_room(nvme, cq)))
			break;
		cq->room--;
		one(nvme, sq);
		n++;
	}
	snvme_events_tell(nvme);
	snvme_raise(nvme, cq);
	return n;
}
