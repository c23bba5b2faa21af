/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fake controller makes of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "nvme_fake.h"

#define SEGMENTS_MAX 8192

/*
 * Data pointers.
 */
struct segments {
	struct iovec iov[SEGMENTS_MAX];
	unsigned count;
	struct fake_seen *seen;
};

static void add_segment(struct segments *s, uint64_t dma, size_t len)
{
	assert_true(s->count < SEGMENTS_MAX);
	s->iov[s->count++] = (struct iovec){ fake_reach(dma, len), len };
}

static void walk_prps(struct segments *s, const struct plx_nvme_cmd *cmd, size_t len)
{
	size_t page = fake_page_size(), mask = page - 1, chunk = page - (cmd->prp1 & mask);
	uint64_t list;

	assert_int_equal(cmd->prp1 & 3, 0);
	chunk = chunk < len ? chunk : len;
	add_segment(s, cmd->prp1, chunk);
	s->seen->prps = 1;
	len -= chunk;
	if (!len) {
		assert_int_equal(cmd->prp2, 0);
		return;
	}
	if (len <= page) {
		assert_int_equal(cmd->prp2 & mask, 0);
		add_segment(s, cmd->prp2, len);
		s->seen->prps++;
		return;
	}
	list = cmd->prp2;
	s->seen->pages = 1;
	assert_int_equal(list & 7, 0);
	while (len) {
		uint64_t entry = *(uint64_t *)fake_reach(list, 8);

		assert_int_equal(entry & mask, 0);
		/* The last place of a page is a pointer, if it isn't the last entry. */
		if ((list & mask) == page - 8 && len > page) {
			list = entry;
			s->seen->pages++;
			continue;
		}
		chunk = page < len ? page : len;
		add_segment(s, entry, chunk);
		s->seen->prps++;
		len -= chunk;
		list += 8;
	}
}

static void walk_sgl(struct segments *s, const struct plx_nvme_cmd *cmd, size_t len)
{
	struct plx_nvme_sgl first, *sgl = &first;
	size_t count = 1;

	assert_true(fake.conf.sgls & 3);
	memcpy(&first, &cmd->prp1, sizeof(first));
	if (first.type == PLX_NVME_SGL_LAST_SEGMENT) {
		assert_int_equal(first.len % sizeof(*sgl), 0);
		assert_int_equal(first.addr & 7, 0);
		count = first.len / sizeof(*sgl);
		sgl = fake_reach(first.addr, first.len);
	}
	for (; count; count--, sgl++) {
		uint64_t dma = sgl->addr;
		size_t left = sgl->len;

		assert_int_equal(sgl->type, PLX_NVME_SGL_DATA);
		assert_true(left && left <= len);
		assert_false((dma | left) & 3);
		len -= left;
		s->seen->sgls++;
		/* What is next to each other for the device may lie elsewhere here. */
		while (left) {
			size_t chunk = PLX_FRAME_SIZE - (dma & (PLX_FRAME_SIZE - 1));

			chunk = chunk < left ? chunk : left;
			add_segment(s, dma, chunk);
			dma += chunk;
			left -= chunk;
		}
	}
	assert_int_equal(len, 0);
}

static void walk(struct segments *s, const struct plx_nvme_cmd *cmd, size_t len,
		 struct fake_seen *seen)
{
	s->count = 0;
	s->seen = seen;
	if (cmd->flags & PLX_NVME_PSDT_SGL)
		walk_sgl(s, cmd, len);
	else
		walk_prps(s, cmd, len);
}

/* All of it at once, to or from buf. Returns whether it was the same (for Compare). */
static bool transfer(const struct plx_nvme_cmd *cmd, void *buf, size_t len, uint8_t opcode,
		     struct fake_seen *seen)
{
	static struct segments s;
	uint8_t *at = buf;
	bool same = true;

	walk(&s, cmd, len, seen);
	for (unsigned i = 0; i < s.count; i++) {
		if (opcode == PLX_NVME_COMPARE)
			same &= !memcmp(at, s.iov[i].iov_base, s.iov[i].iov_len);
		else if (opcode & PLX_NVME_DATA_IN)
			memcpy(s.iov[i].iov_base, at, s.iov[i].iov_len);
		else
			memcpy(at, s.iov[i].iov_base, s.iov[i].iov_len);
		at += s.iov[i].iov_len;
	}
	return same;
}

/*
 * I/O commands.
 */
static uint16_t io_blocks(struct fake_ns *ns, const struct plx_nvme_cmd *cmd,
			  struct fake_seen *seen)
{
	size_t block = (size_t)1 << ns->lbads, blocks = (cmd->cdw12 & 0xffff) + 1u;
	bool strip = cmd->cdw12 & PLX_NVME_PRACT && ns->pi && ns->ms == 8;
	size_t unit = block + (ns->extended && !strip ? ns->ms : 0);
	uint64_t lba = cmd->cdw10 | (uint64_t)cmd->cdw11 << 32;
	static uint8_t bounce[8 << 20];
	bool out = cmd->opcode != PLX_NVME_READ, same;

	if (lba > ns->blocks || blocks > ns->blocks - lba)
		return PLX_NVME_LBA_OUT_OF_RANGE | PLX_NVME_DNR;
	if (cmd->opcode == PLX_NVME_WRITE_ZEROES) {
		if (fake.conf.wzsl)
			assert_true(blocks * block <=
				    (size_t)4096 << (fake.conf.wzsl + fake.conf.mpsmin));
		memset(ns->data + lba * block, 0, blocks * block);
		return 0;
	}
	if (cmd->opcode == PLX_NVME_VERIFY && fake.conf.vsl)
		assert_true(blocks * unit <= (size_t)4096 << (fake.conf.vsl + fake.conf.mpsmin));
	else if (fake.conf.mdts)
		assert_true(blocks * unit <= (size_t)4096 << (fake.conf.mdts + fake.conf.mpsmin));
	if (cmd->opcode == PLX_NVME_VERIFY)
		return 0;
	assert_true(blocks * unit <= sizeof(bounce));
	if (ns->noiob)
		assert_int_equal(lba / ns->noiob, (lba + blocks - 1) / ns->noiob);
	for (size_t i = 0; i < blocks; i++) {
		memcpy(bounce + i * unit, ns->data + (lba + i) * block, block);
		memcpy(bounce + i * unit + block, ns->meta + (lba + i) * ns->ms, unit - block);
	}
	same = transfer(cmd, bounce, blocks * unit, cmd->opcode, seen);
	if (cmd->opcode == PLX_NVME_COMPARE)
		return same ? 0 : PLX_NVME_COMPARE_FAILURE;
	if (ns->ms && !ns->extended && !strip) {
		uint8_t *meta = fake_reach(cmd->mptr, blocks * ns->ms);

		if (out)
			memcpy(ns->meta + lba * ns->ms, meta, blocks * ns->ms);
		else
			memcpy(meta, ns->meta + lba * ns->ms, blocks * ns->ms);
	}
	for (size_t i = 0; i < blocks && out; i++) {
		memcpy(ns->data + (lba + i) * block, bounce + i * unit, block);
		memcpy(ns->meta + (lba + i) * ns->ms, bounce + i * unit + block, unit - block);
	}
	return 0;
}

static uint16_t dsm(struct fake_ns *ns, const struct plx_nvme_cmd *cmd, struct fake_seen *seen)
{
	struct plx_nvme_dsm_range range[PLX_NVME_DSM_RANGES];
	unsigned count = (cmd->cdw10 & 0xff) + 1;

	transfer(cmd, range, count * sizeof(*range), PLX_NVME_DSM, seen);
	for (unsigned i = 0; i < count && cmd->cdw11 & PLX_NVME_DSM_DEALLOCATE; i++)
		memset(ns->data + (range[i].lba << ns->lbads), 0,
		       (size_t)range[i].blocks << ns->lbads);
	return 0;
}

void fake_io(uint16_t qid, const struct plx_nvme_cmd *cmd)
{
	struct fake_seen *seen = &fake.seen[fake.nseen++ % FAKE_LOG_MAX];
	struct fake_ns *ns = &fake.conf.ns[(cmd->nsid - 1) % FAKE_NS_MAX];
	uint16_t status;

	*seen = (struct fake_seen){ .qid = qid, .cmd = *cmd };
	if (fake.hold) {
		fake.held_cid[fake.held] = cmd->cid;
		fake.held_qid[fake.held++] = qid;
		return;
	}
	if (fake.fail_count) {
		fake.fail_count--;
		fake_post(qid, cmd->cid, fake.fail_status, 0);
		return;
	}
	if (!cmd->nsid || cmd->nsid > FAKE_NS_MAX || !ns->active)
		status = PLX_NVME_INVALID_NAMESPACE | PLX_NVME_DNR;
	else if (cmd->opcode == PLX_NVME_FLUSH)
		status = 0;
	else if (cmd->opcode == PLX_NVME_DSM)
		status = dsm(ns, cmd, seen);
	else if (cmd->opcode == PLX_NVME_READ || cmd->opcode == PLX_NVME_WRITE ||
		 cmd->opcode == PLX_NVME_COMPARE || cmd->opcode == PLX_NVME_WRITE_ZEROES ||
		 cmd->opcode == PLX_NVME_VERIFY)
		status = io_blocks(ns, cmd, seen);
	else
		status = PLX_NVME_INVALID_OPCODE | PLX_NVME_DNR;
	fake_post(qid, cmd->cid, status, 0);
}

void fake_release(uint16_t status)
{
	fake.hold = false;
	for (unsigned i = 0; i < fake.held; i++)
		fake_post(fake.held_qid[i], fake.held_cid[i], status, 0);
	fake.held = 0;
}

/*
 * Admin commands.
 */
static void identify_ns(const struct fake_ns *ns, struct plx_nvme_id_ns *id)
{
	id->nsze = id->ncap = id->nuse = ns->blocks;
	id->flbas = (uint8_t)(1 | (ns->extended ? 0x10 : 0));
	id->nlbaf = 1;
	id->lbaf[1].lbads = ns->lbads;
	id->lbaf[1].ms = ns->ms;
	id->dps = ns->pi;
	id->noiob = ns->noiob;
}

static uint16_t identify(const struct plx_nvme_cmd *cmd)
{
	union {
		struct plx_nvme_id_ctrl ctrl;
		struct plx_nvme_id_ctrl_nvm nvm;
		struct plx_nvme_id_ns ns;
		uint32_t list[1024];
	} id = { 0 };
	struct fake_seen seen;
	unsigned n = 0;

	switch (cmd->cdw10 & 0xff) {
	case PLX_NVME_CNS_CTRL:
		id.ctrl.vid = 0x1b36;
		memcpy(id.ctrl.sn, "fake    \0           ", sizeof(id.ctrl.sn));
		memset(id.ctrl.mn, ' ', sizeof(id.ctrl.mn));
		memcpy(id.ctrl.mn, "Controller of memory\x1b", 21);
		memset(id.ctrl.fr, ' ', sizeof(id.ctrl.fr));
		id.ctrl.sqes = 0x66;
		id.ctrl.cqes = 0x44;
		id.ctrl.nn = fake.conf.nn ? fake.conf.nn : FAKE_NS_MAX;
		id.ctrl.rtd3e = fake.conf.rtd3e;
		id.ctrl.mdts = fake.conf.mdts;
		id.ctrl.aerl = fake.conf.aerl;
		id.ctrl.acl = fake.conf.acl;
		id.ctrl.sgls = fake.conf.sgls;
		id.ctrl.oacs = fake.conf.oacs;
		id.ctrl.kas = fake.conf.kas;
		id.ctrl.oaes = PLX_NVME_OAES_NS_ATTRIBUTE;
		break;
	case PLX_NVME_CNS_IOCS_CTRL:
		fake.limits_asked++;
		if (!fake.conf.limits)
			return PLX_NVME_INVALID_FIELD | PLX_NVME_DNR;
		id.nvm.vsl = fake.conf.vsl;
		id.nvm.wzsl = fake.conf.wzsl;
		break;
	case PLX_NVME_CNS_ACTIVE_NS_LIST:
		if (fake.conf.no_list)
			return PLX_NVME_INVALID_FIELD | PLX_NVME_DNR;
		for (uint32_t nsid = cmd->nsid; fake.conf.nn && n < 1024; n++)
			id.list[n] = ++nsid;
		for (uint32_t nsid = cmd->nsid + 1; !fake.conf.nn && nsid <= FAKE_NS_MAX; nsid++)
			if (fake.conf.ns[nsid - 1].active)
				id.list[n++] = nsid;
		break;
	case PLX_NVME_CNS_NS:
		if (fake.conf.nn) {
			identify_ns(&fake.conf.ns[0], &id.ns);
			break;
		}
		if (!cmd->nsid || cmd->nsid > FAKE_NS_MAX)
			return PLX_NVME_INVALID_NAMESPACE | PLX_NVME_DNR;
		if (fake.conf.ns[cmd->nsid - 1].active)
			identify_ns(&fake.conf.ns[cmd->nsid - 1], &id.ns);
		break;
	default: return PLX_NVME_INVALID_FIELD | PLX_NVME_DNR;
	}
	transfer(cmd, &id, sizeof(id), PLX_NVME_IDENTIFY, &seen);
	return 0;
}

static uint16_t get_log(const struct plx_nvme_cmd *cmd)
{
	size_t len = ((cmd->cdw10 >> 16) + 1u) * 4;
	struct fake_seen seen;
	uint8_t log[4096];

	assert_true(len <= sizeof(log));
	memset(log, (int)(cmd->cdw10 & 0xff), sizeof(log));
	transfer(cmd, log, len, PLX_NVME_GET_LOG_PAGE, &seen);
	return 0;
}

static uint16_t create_queue(const struct plx_nvme_cmd *cmd, bool sq)
{
	uint32_t qid = cmd->cdw10 & 0xffff, size = (cmd->cdw10 >> 16) + 1;
	struct fake_queue *q = &fake.q[qid % (FAKE_QUEUES + 1)];

	if (!qid || qid > fake.conf.queues || (sq ? q->on || !q->cq : q->cq != 0))
		return PLX_NVME_INVALID_QID | PLX_NVME_DNR;
	if (size < 2 || size > fake.conf.mqes + 1u)
		return PLX_NVME_INVALID_QUEUE_SIZE | PLX_NVME_DNR;
	assert_int_equal(cmd->prp1 & (fake_page_size() - 1), 0);
	assert_true(cmd->cdw11 & NVME_QUEUE_CONTIGUOUS);
	/* The submission queue makes the pair complete. */
	if (sq) {
		assert_int_equal(cmd->cdw11 >> 16, qid);
		assert_int_equal(size, q->size);
		q->sq = cmd->prp1;
		q->on = true;
		return 0;
	}
	*q = (struct fake_queue){ .cq = cmd->prp1,
				  .size = size,
				  .phase = 1,
				  .irq = cmd->cdw11 & NVME_CQ_INTERRUPTS,
				  .vector = (uint16_t)(cmd->cdw11 >> 16) };
	/* Whatever the last owner of the id wrote. */
	fake_write(NVME_DOORBELLS + 2 * qid * (4u << fake.conf.dstrd), 0);
	fake_write(NVME_DOORBELLS + (2 * qid + 1) * (4u << fake.conf.dstrd), 0);
	return 0;
}

static uint16_t delete_queue(const struct plx_nvme_cmd *cmd, bool sq)
{
	uint32_t qid = cmd->cdw10 & 0xffff;
	struct fake_queue *q = &fake.q[qid % (FAKE_QUEUES + 1)];

	if (!qid || qid > FAKE_QUEUES || (sq ? !q->on : q->on || !q->cq))
		return PLX_NVME_INVALID_QID | PLX_NVME_DNR;
	q->on = false;
	if (!sq)
		q->cq = 0;
	return 0;
}

static uint16_t set_features(const struct plx_nvme_cmd *cmd, uint32_t *result)
{
	switch (cmd->cdw10 & 0xff) {
	case PLX_NVME_FEAT_QUEUES:
		*result = (fake.conf.queues - 1) << 16 | (fake.conf.queues - 1);
		return 0;
	case PLX_NVME_FEAT_ASYNC_EVENTS: fake.events_wanted = cmd->cdw11; return 0;
	case PLX_NVME_FEAT_KEEP_ALIVE: fake.keep_alive = cmd->cdw11; return 0;
	default: return PLX_NVME_INVALID_FIELD | PLX_NVME_DNR;
	}
}

static uint16_t abort_command(const struct plx_nvme_cmd *cmd, uint32_t *result)
{
	uint16_t qid = cmd->cdw10 & 0xffff, cid = (uint16_t)(cmd->cdw10 >> 16);

	*result = 1;
	for (unsigned i = 0; i < fake.held && !fake.ignores_abort; i++) {
		if (fake.held_qid[i] != qid || fake.held_cid[i] != cid)
			continue;
		fake.held--;
		fake.held_qid[i] = fake.held_qid[fake.held];
		fake.held_cid[i] = fake.held_cid[fake.held];
		fake_post(qid, cid, PLX_NVME_ABORTED_BY_REQUEST, 0);
		*result = 0;
		break;
	}
	return 0;
}

void fake_admin(const struct plx_nvme_cmd *cmd)
{
	uint32_t result = 0;
	uint16_t status;

	if (fake.mute)
		return;
	if (cmd->opcode == PLX_NVME_ABORT && fake.holds_abort) {
		fake.held_abort[fake.held_aborts++] = *cmd;
		return;
	}
	if (cmd->opcode == fake.fail_admin || cmd->opcode == fake.fail_admin_too) {
		fake_post(0, cmd->cid, fake.fail_admin_status, 0);
		return;
	}
	switch (cmd->opcode) {
	case PLX_NVME_IDENTIFY: status = identify(cmd); break;
	case PLX_NVME_GET_LOG_PAGE: status = get_log(cmd); break;
	case PLX_NVME_CREATE_CQ: status = create_queue(cmd, false); break;
	case PLX_NVME_CREATE_SQ: status = create_queue(cmd, true); break;
	case PLX_NVME_DELETE_CQ: status = delete_queue(cmd, false); break;
	case PLX_NVME_DELETE_SQ: status = delete_queue(cmd, true); break;
	case PLX_NVME_SET_FEATURES: status = set_features(cmd, &result); break;
	case PLX_NVME_ABORT: status = abort_command(cmd, &result); break;
	case PLX_NVME_KEEP_ALIVE:
		fake.keep_alives++;
		if (fake.never_alive)
			return;
		status = 0;
		break;
	case PLX_NVME_FORMAT:
		fake.conf.ns[cmd->nsid - 1].lbads = cmd->cdw10 & 0xf ? 12 : 9;
		status = 0;
		break;
	case PLX_NVME_DBBUF_CONFIG:
		fake.shadow = cmd->prp1;
		fake.event = cmd->prp2;
		status = 0;
		break;
	case PLX_NVME_ASYNC_EVENT:
		assert_true(fake.aers <= fake.conf.aerl);
		fake.aer_cid[fake.aers++] = cmd->cid;
		return;
	default: status = PLX_NVME_INVALID_OPCODE | PLX_NVME_DNR;
	}
	fake_post(0, cmd->cid, status, result);
}

void fake_abort(void)
{
	fake.holds_abort = false;
	for (unsigned i = 0; i < fake.held_aborts; i++)
		fake_admin(&fake.held_abort[i]);
	fake.held_aborts = 0;
}

bool fake_event(uint32_t result)
{
	if (!fake.aers)
		return false;
	fake_post(0, fake.aer_cid[--fake.aers], 0, result);
	return true;
}
