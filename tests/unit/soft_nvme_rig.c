/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/vfio.h>
#include <pollux/ioas.h>

#include "soft_nvme_rig.h"

#define QUEUES_AT UINT64_C(0x10000000)
#define RING_SIZE UINT64_C(0x10000) /* of the largest page */
#define TURNS	  20000		    /* that anything needs at most; files are slower than turns */

struct soft_nvme *rig_nvme;

static struct {
	uint32_t tail, head;
	uint16_t phase;
	uint32_t size;
} queue[RIG_QUEUES + 1];
static uint16_t next_cid;
static unsigned doorbell_stride, page_shift;

static const struct soft_ns_conf default_ns[] = {
	{ .kind = SOFT_DISK_RAM, .size = 1 << 20, .block = 512 },
	{ .kind = SOFT_DISK_NULL, .size = 1 << 20, .block = 512 },
};

uint64_t rig_sq_at(unsigned qid)
{
	return QUEUES_AT + 2 * qid * RING_SIZE;
}

uint64_t rig_cq_at(unsigned qid)
{
	return rig_sq_at(qid) + RING_SIZE;
}

volatile uint32_t *rig_doorbell(unsigned index)
{
	uint8_t *bar = fake_region(0, VFIO_PCI_BAR0_REGION_INDEX);

	return (volatile uint32_t *)(bar + NVME_DOORBELLS + (index << (2 + doorbell_stride)));
}

uint8_t *rig_data(void)
{
	return fake_at(0, RIG_DATA, RIG_DATA_LEN);
}

static void fresh(unsigned qid)
{
	queue[qid].tail = queue[qid].head = 0;
	queue[qid].phase = 1;
	memset(fake_at(0, rig_cq_at(qid), 1), 0, RIG_ENTRIES * sizeof(struct plx_nvme_cqe));
}

void rig_make(const struct rig_conf *conf)
{
	struct soft_nvme_conf made = {
		.path = "nvme",
		.ns = conf->ns ? conf->ns : default_ns,
		.namespaces = conf->ns ? conf->namespaces : 2,
		.queues = RIG_QUEUES,
		.entries = 256,
		.transfer = conf->transfer ? conf->transfer : 128 << 10,
		.stride = conf->stride,
		.cmb = conf->cmb,
	};
	uint16_t command = 6; /* memory, bus master */

	fake_servers_begin();
	if (conf->inject)
		assert_int_equal(soft_inject_parse(conf->inject, &made.inject), 0);
	assert_int_equal(soft_nvme_create(&made, &rig_nvme), 0);
	doorbell_stride = conf->stride;
	page_shift = conf->mps;
	next_cid = 0;
	for (unsigned i = 0; i <= RIG_QUEUES; i++) {
		fake_map(0, rig_sq_at(i), RIG_ENTRIES * sizeof(struct plx_nvme_cmd), PLX_DMA_RW);
		fake_map(0, rig_cq_at(i), RIG_ENTRIES * sizeof(struct plx_nvme_cqe), PLX_DMA_RW);
	}
	for (unsigned i = 0; i <= RIG_QUEUES; i++)
		fresh(i);
	fake_map(0, RIG_DATA, RIG_DATA_LEN, PLX_DMA_RW);
	assert_int_equal(fake_access(0, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2, true), 0);
}

void rig_enable(void)
{
	fresh(0);
	fake_reg_set(0, NVME_AQA, (RIG_ENTRIES - 1) << 16 | (RIG_ENTRIES - 1));
	fake_reg_set(0, NVME_ASQ, (uint32_t)rig_sq_at(0));
	fake_reg_set(0, NVME_ASQ + 4, 0);
	fake_reg_set(0, NVME_ACQ, (uint32_t)rig_cq_at(0));
	fake_reg_set(0, NVME_ACQ + 4, 0);
	fake_reg_set(0, NVME_CC, NVME_CC_EN | NVME_CC_IOSQES | NVME_CC_IOCQES | page_shift << 7);
	assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY);
}

void rig_start(const struct rig_conf *conf)
{
	rig_make(conf);
	rig_enable();
	assert_int_equal(rig_create(1), 0);
}

void rig_end(void)
{
	soft_nvme_destroy(rig_nvme);
	rig_nvme = NULL;
	fake_servers_end();
}

/*
 * Queues.
 */
uint16_t rig_put(unsigned qid, struct plx_nvme_cmd cmd)
{
	struct plx_nvme_cmd *ring = fake_at(0, rig_sq_at(qid), 1);

	cmd.cid = next_cid++ & 0x7fff;
	ring[queue[qid].tail] = cmd;
	queue[qid].tail = (queue[qid].tail + 1) % RIG_ENTRIES;
	return cmd.cid;
}

void rig_ring(unsigned qid)
{
	*rig_doorbell(2 * qid) = queue[qid].tail;
}

void rig_turn(void)
{
	while (soft_nvme_turn(rig_nvme))
		;
}

bool rig_take_only(unsigned qid, struct plx_nvme_cqe *cqe)
{
	const struct plx_nvme_cqe *ring = fake_at(0, rig_cq_at(qid), 1);

	*cqe = ring[queue[qid].head];
	if ((cqe->status & 1) != queue[qid].phase)
		return false;
	queue[qid].head = (queue[qid].head + 1) % RIG_ENTRIES;
	queue[qid].phase ^= !queue[qid].head;
	*rig_doorbell(2 * qid + 1) = queue[qid].head;
	return true;
}

bool rig_take(unsigned qid, struct plx_nvme_cqe *cqe)
{
	rig_turn();
	return rig_take_only(qid, cqe);
}

static uint16_t run(unsigned qid, struct plx_nvme_cmd cmd, uint32_t *result)
{
	const uint16_t cid = rig_put(qid, cmd);
	struct plx_nvme_cqe cqe;
	unsigned turns = 0;

	rig_ring(qid);
	while (!rig_take(qid, &cqe)) {
		assert_true(turns++ < TURNS);
		if (turns > 100)
			usleep(100);
	}
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.sq_id, qid);
	assert_int_equal(cqe.sq_head, queue[qid].tail);
	if (result)
		*result = cqe.result;
	return cqe.status >> 1;
}

uint16_t rig_admin(struct plx_nvme_cmd cmd, uint32_t *result)
{
	return run(0, cmd, result);
}

uint16_t rig_io(unsigned qid, struct plx_nvme_cmd cmd)
{
	return run(qid, cmd, NULL);
}

uint16_t rig_create_cq(unsigned id, uint64_t base, unsigned size, uint32_t cdw11)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_CREATE_CQ,
					  .prp1 = base,
					  .cdw10 = (size - 1) << 16 | id,
					  .cdw11 = cdw11 };

	return rig_admin(cmd, NULL);
}

uint16_t rig_create_sq(unsigned id, uint64_t base, unsigned size, uint32_t cdw11)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_CREATE_SQ,
					  .prp1 = base,
					  .cdw10 = (size - 1) << 16 | id,
					  .cdw11 = cdw11 };

	return rig_admin(cmd, NULL);
}

uint16_t rig_create(unsigned id)
{
	uint16_t status;

	fresh(id);
	status = rig_create_cq(id, rig_cq_at(id), RIG_ENTRIES,
			       NVME_QUEUE_CONTIGUOUS | NVME_CQ_INTERRUPTS | NVME_CQ_VECTOR(id));
	return status ? status
		      : rig_create_sq(id, rig_sq_at(id), RIG_ENTRIES,
				      NVME_QUEUE_CONTIGUOUS | NVME_SQ_CQID(id));
}

uint16_t rig_delete_sq(unsigned id)
{
	return rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_DELETE_SQ, .cdw10 = id }, NULL);
}

uint16_t rig_delete_cq(unsigned id)
{
	return rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_DELETE_CQ, .cdw10 = id }, NULL);
}

struct plx_nvme_cmd rig_rw(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks,
			   uint64_t prp1, uint64_t prp2)
{
	return (struct plx_nvme_cmd){ .opcode = opcode,
				      .nsid = nsid,
				      .prp1 = prp1,
				      .prp2 = prp2,
				      .cdw10 = (uint32_t)lba,
				      .cdw11 = (uint32_t)(lba >> 32),
				      .cdw12 = blocks - 1 };
}
