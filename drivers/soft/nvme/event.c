/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchronous events [Base 5.2], and the log of errors [5.16.1.2].
 *
 * One event of each type is told of; the next one of its type waits until the first one's log page
 * has been read.
 */
#include <string.h>

#include "snvme.h"

#define VALID (1u << 31) /* in event[] */

void snvme_events_reset(struct soft_nvme *nvme)
{
	nvme->aers = 0;
	nvme->told = 0;
	nvme->changes = 0;
	memset(nvme->event, 0, sizeof(nvme->event));
}

static bool known(const struct soft_nvme *nvme, uint16_t cid)
{
	for (unsigned i = 0; i < nvme->aers; i++) {
		if (nvme->aer[i] == cid)
			return true;
	}
	return false;
}

uint16_t snvme_aer(struct soft_nvme *nvme, uint16_t cid)
{
	if (known(nvme, cid))
		return SNVME_BAD(CID_CONFLICT);
	if (nvme->aers == SNVME_AERS)
		return SNVME_BAD(ASYNC_EVENT_LIMIT);
	nvme->aer[nvme->aers++] = cid;
	return SNVME_PENDING;
}

/* Whether the host wants to hear of it [Base 5.27.1.8]. */
static bool wanted(const struct soft_nvme *nvme, enum plx_nvme_event_type type, uint8_t info)
{
	const uint32_t config = nvme->feature.async;

	if (type == PLX_NVME_EVENT_SMART)
		return config >> info & 1;
	if (type == PLX_NVME_EVENT_NOTICE && info == PLX_NVME_NOTICE_NS_CHANGED)
		return config & PLX_NVME_OAES_NS_ATTRIBUTE;
	return true;
}

void snvme_event(struct soft_nvme *nvme, enum plx_nvme_event_type type, uint8_t info, uint8_t log)
{
	if (!wanted(nvme, type, info))
		return;
	nvme->event[type] = VALID | (uint32_t)log << 16 | (uint32_t)info << 8 | type;
	snvme_events_tell(nvme);
}

void snvme_events_tell(struct soft_nvme *nvme)
{
	struct snvme_cq *cq = &nvme->cq[0];

	for (unsigned type = 0; type < 8 && nvme->aers && nvme->running; type++) {
		if (likely(!nvme->event[type]) || nvme->told & 1u << type)
			continue;
		if (!cq->room && !snvme_cq_room(nvme, cq))
			return;
		cq->room--;
		nvme->told |= 1u << type;
		snvme_post(&nvme->sq[0], nvme->aer[0], 0, nvme->event[type] & ~VALID);
		nvme->event[type] = 0;
		memmove(nvme->aer, nvme->aer + 1, --nvme->aers * sizeof(*nvme->aer));
		snvme_raise(nvme, cq);
	}
}

/* The types whose events name that page are free again. */
void snvme_event_read(struct soft_nvme *nvme, uint8_t log)
{
	switch (log) {
	case PLX_NVME_LOG_ERRORS: nvme->told &= ~(1u << PLX_NVME_EVENT_ERROR); break;
	case PLX_NVME_LOG_SMART: nvme->told &= ~(1u << PLX_NVME_EVENT_SMART); break;
	case PLX_NVME_LOG_CHANGED_NS: nvme->told &= ~(1u << PLX_NVME_EVENT_NOTICE); break;
	}
}

void snvme_ns_changed(struct soft_nvme *nvme, uint32_t nsid)
{
	unsigned at = 0;

	while (at < nvme->changes && nvme->changed[at] < nsid)
		at++;
	if (at == nvme->changes || nvme->changed[at] != nsid) {
		memmove(&nvme->changed[at + 1], &nvme->changed[at],
			(nvme->changes - at) * sizeof(*nvme->changed));
		nvme->changed[at] = nsid;
		nvme->changes++;
	}
	snvme_event(nvme, PLX_NVME_EVENT_NOTICE, PLX_NVME_NOTICE_NS_CHANGED,
		    PLX_NVME_LOG_CHANGED_NS);
}

/* Those whose dwords 10 and 11 are a block's number. */
static bool names_block(uint16_t sqid, uint8_t opcode)
{
	return sqid && opcode && opcode != PLX_NVME_DSM;
}

void snvme_log_error(struct soft_nvme *nvme, uint16_t sqid, const struct plx_nvme_cmd *cmd,
		     uint16_t status)
{
	nvme->error[nvme->error_count % SNVME_ERRORS] = (struct snvme_error){
		.count = nvme->error_count + 1,
		.lba = names_block(sqid, cmd->opcode)
			       ? le32toh(cmd->cdw10) | (uint64_t)le32toh(cmd->cdw11) << 32
			       : 0,
		.nsid = le32toh(cmd->nsid),
		.sqid = sqid,
		.cid = le16toh(cmd->cid),
		.status = status,
	};
	nvme->error_count++;
}
