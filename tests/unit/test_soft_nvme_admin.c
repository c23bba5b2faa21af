/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's model: every admin command, right and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <linux/vfio.h>
#include <pollux/ioas.h>

#include "soft_nvme_rig.h"

#define PC NVME_QUEUE_CONTIGUOUS

static const struct rig_conf plain;

static int setup(void **state)
{
	(void)state;
	rig_make(&plain);
	rig_enable();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

static uint16_t admin(uint8_t opcode, uint32_t nsid, uint32_t cdw10, uint32_t cdw11)
{
	const struct plx_nvme_cmd cmd = {
		.opcode = opcode, .nsid = nsid, .prp1 = RIG_DATA, .cdw10 = cdw10, .cdw11 = cdw11
	};

	return rig_admin(cmd, NULL);
}

/*
 * Queues.
 */
static void completion_queues_are_checked(void **state)
{
	(void)state;
	assert_int_equal(rig_create_cq(0, rig_cq_at(1), 16, PC), BAD(INVALID_QID));
	assert_int_equal(rig_create_cq(RIG_QUEUES + 1, rig_cq_at(1), 16, PC), BAD(INVALID_QID));
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 1, PC), BAD(INVALID_QUEUE_SIZE));
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 257, PC), BAD(INVALID_QUEUE_SIZE));
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 16, 0), BAD(INVALID_FIELD));
	assert_int_equal(rig_create_cq(1, rig_cq_at(1) + 64, 16, PC), BAD(INVALID_PRP_OFFSET));
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 16,
				       PC | NVME_CQ_INTERRUPTS | NVME_CQ_VECTOR(RIG_QUEUES + 1)),
			 BAD(INVALID_VECTOR));
	/* Without interrupts there is no vector. */
	assert_int_equal(rig_create_cq(2, rig_cq_at(2), 16, PC | NVME_CQ_VECTOR(RIG_QUEUES + 1)),
			 0);
	assert_int_equal(rig_create_cq(1, RIG_NOWHERE, 16, PC), BAD(DATA_TRANSFER_ERROR));
	/* Larger than its memory. */
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 17, PC), BAD(DATA_TRANSFER_ERROR));
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 16, PC), 0);
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 16, PC), BAD(INVALID_QID));
}

static void submission_queues_are_checked(void **state)
{
	const uint32_t on1 = PC | NVME_SQ_CQID(1);

	(void)state;
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 16, on1), BAD(INVALID_CQ));
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 16, PC), BAD(INVALID_QID));
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 16, PC | NVME_SQ_CQID(RIG_QUEUES + 1)),
			 BAD(INVALID_QID));
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 16, PC), 0);
	assert_int_equal(rig_create_sq(0, rig_sq_at(1), 16, on1), BAD(INVALID_QID));
	assert_int_equal(rig_create_sq(RIG_QUEUES + 1, rig_sq_at(1), 16, on1), BAD(INVALID_QID));
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 1, on1), BAD(INVALID_QUEUE_SIZE));
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 257, on1), BAD(INVALID_QUEUE_SIZE));
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 16, NVME_SQ_CQID(1)), BAD(INVALID_FIELD));
	assert_int_equal(rig_create_sq(1, rig_sq_at(1) + 64, 16, on1), BAD(INVALID_PRP_OFFSET));
	assert_int_equal(rig_create_sq(1, RIG_NOWHERE, 16, on1), BAD(DATA_TRANSFER_ERROR));
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 16, on1), 0);
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 16, on1), BAD(INVALID_QID));
}

static void queues_are_deleted_in_order(void **state)
{
	(void)state;
	assert_int_equal(rig_delete_sq(0), BAD(INVALID_QID));
	assert_int_equal(rig_delete_cq(0), BAD(INVALID_QID));
	assert_int_equal(rig_delete_sq(1), BAD(INVALID_QID));
	assert_int_equal(rig_delete_cq(1), BAD(INVALID_QID));
	assert_int_equal(rig_create(1), 0);
	assert_int_equal(rig_create_sq(2, rig_sq_at(2), 16, PC | NVME_SQ_CQID(1)), 0);
	assert_int_equal(rig_delete_cq(1), BAD(INVALID_QUEUE_DELETION));
	assert_int_equal(rig_delete_sq(1), 0);
	assert_int_equal(rig_delete_cq(1), BAD(INVALID_QUEUE_DELETION));
	assert_int_equal(rig_delete_sq(2), 0);
	assert_int_equal(rig_delete_cq(1), 0);
	assert_int_equal(rig_create(1), 0);
}

static void entry_sizes_must_be_set(void **state)
{
	(void)state;
	fake_reg_set(0, NVME_CC, 0);
	fake_reg_set(0, NVME_CC, NVME_CC_EN);
	rig_end();
	rig_make(&plain);
	rig_enable();
	fake_reg_set(0, NVME_CC, NVME_CC_EN | NVME_CC_IOSQES);
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 16, PC), BAD(INVALID_FIELD));
	fake_reg_set(0, NVME_CC, NVME_CC_EN | NVME_CC_IOCQES);
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 16, PC), 0);
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), 16, PC | NVME_SQ_CQID(1)),
			 BAD(INVALID_FIELD));
}

/*
 * Identify.
 */
static uint16_t identify(uint8_t cns, uint32_t nsid, uint32_t cdw11)
{
	memset(rig_data(), 0xaa, PLX_NVME_IDENTIFY_LEN);
	return admin(PLX_NVME_IDENTIFY, nsid, cns, cdw11);
}

static void the_controller_says_what_it_is(void **state)
{
	const struct plx_nvme_id_ctrl *id = (const void *)rig_data();

	(void)state;
	assert_int_equal(identify(PLX_NVME_CNS_CTRL, 0, 0), 0);
	assert_memory_equal(id->mn, "Pollux software NVMe                    ", 40);
	assert_int_equal(id->mdts, 5);
	assert_int_equal(id->nn, 2);
	assert_int_equal(id->sqes, 0x66);
	assert_int_equal(id->cqes, 0x44);
	assert_int_equal(id->ver, fake_reg(0, NVME_VS));
	assert_int_equal(id->aerl, 7);
	assert_int_equal(id->oacs, PLX_NVME_OACS_FORMAT | PLX_NVME_OACS_DBBUF);
	assert_int_equal(id->sgls & 3, 1);
	assert_memory_equal(id->subnqn, "nqn.", 4);
	/* No file, no cache to flush. */
	assert_false(id->vwc & PLX_NVME_VWC_PRESENT);
}

/* A limit of one page can't be said: 0 is none. */
static void transfers_are_limited_as_said(uint32_t transfer, uint8_t mdts)
{
	const struct rig_conf conf = { .transfer = transfer };
	const uint32_t blocks = transfer / 512;
	const struct plx_nvme_id_ctrl *id;

	rig_end();
	rig_start(&conf);
	id = (const void *)rig_data();
	assert_int_equal(identify(PLX_NVME_CNS_CTRL, 0, 0), 0);
	assert_int_equal(id->mdts, mdts);
	assert_int_equal(4096u << id->mdts, transfer);
	if (blocks < 2048) {
		const struct plx_nvme_cmd fits =
			rig_rw(PLX_NVME_READ, 2, 0, blocks, RIG_DATA, RIG_DATA + RIG_PAGE);

		assert_int_equal(rig_io(1, fits), 0);
	}
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 2, 0, blocks + 1, RIG_DATA, 0)),
			 BAD(INVALID_FIELD));
}

static void both_ends_of_transfers_are_said(void **state)
{
	(void)state;
	transfers_are_limited_as_said(SOFT_NVME_TRANSFER_MIN, 1);
	transfers_are_limited_as_said(SOFT_NVME_TRANSFER_MAX / 2, 12);
	rig_end();
	rig_start(&(struct rig_conf){ .transfer = SOFT_NVME_TRANSFER_MAX });
	assert_int_equal(identify(PLX_NVME_CNS_CTRL, 0, 0), 0);
	assert_int_equal(((const struct plx_nvme_id_ctrl *)(const void *)rig_data())->mdts, 13);
}

static void namespaces_say_what_they_are(void **state)
{
	const struct plx_nvme_id_ns *id = (const void *)rig_data();
	const uint32_t *list = (const void *)rig_data();

	(void)state;
	assert_int_equal(identify(PLX_NVME_CNS_NS, 1, 0), 0);
	assert_int_equal(id->nsze, 2048);
	assert_int_equal(id->ncap, 2048);
	assert_int_equal(id->flbas, 0);
	assert_int_equal(id->nlbaf, 3);
	assert_int_equal(id->lbaf[0].lbads, 9);
	assert_int_equal(id->lbaf[1].lbads, 12);
	assert_int_equal(id->lbaf[3].ms, 8);
	assert_int_equal(id->dpc, 0);
	assert_int_equal(identify(PLX_NVME_CNS_ALLOCATED_NS, 2, 0), 0);
	assert_int_equal(id->nsze, 2048);
	/* What all have in common. */
	assert_int_equal(identify(PLX_NVME_CNS_NS, PLX_NVME_NSID_ALL, 0), 0);
	assert_int_equal(id->nsze, 0);
	assert_int_equal(id->nlbaf, 3);
	assert_int_equal(identify(PLX_NVME_CNS_ACTIVE_NS_LIST, 0, 0), 0);
	assert_true(list[0] == 1 && list[1] == 2 && !list[2]);
	assert_int_equal(identify(PLX_NVME_CNS_ACTIVE_NS_LIST, 1, 0), 0);
	assert_true(list[0] == 2 && !list[1]);
	assert_int_equal(identify(PLX_NVME_CNS_ALLOCATED_NS_LIST, 2, 0), 0);
	assert_int_equal(list[0], 0);
	assert_int_equal(identify(PLX_NVME_CNS_NS_DESCRIPTORS, 2, 0), 0);
	assert_true(rig_data()[0] == 1 && rig_data()[1] == 8 && rig_data()[11] == 2);
	assert_true(rig_data()[12] == 4 && rig_data()[13] == 1 && !rig_data()[17]);
}

static void command_sets_are_one(void **state)
{
	(void)state;
	assert_int_equal(identify(PLX_NVME_CNS_IOCS_CTRL, 0, 0), 0);
	assert_int_equal(identify(PLX_NVME_CNS_IOCS_NS, 1, 0), 0);
	assert_int_equal(identify(PLX_NVME_CNS_IOCS_CTRL, 0, 2u << 24), BAD(INVALID_FIELD));
	assert_int_equal(identify(PLX_NVME_CNS_IOCS_NS, 9, 0), BAD(INVALID_NAMESPACE));
	assert_int_equal(admin(PLX_NVME_IDENTIFY, 0, 0xffff0000u | PLX_NVME_CNS_IO_COMMAND_SETS, 0),
			 0);
	assert_int_equal(rig_data()[0], 1);
}

static void identify_refuses(void **state)
{
	struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_IDENTIFY, .cdw10 = PLX_NVME_CNS_CTRL };

	(void)state;
	assert_int_equal(identify(PLX_NVME_CNS_NS, 0, 0), BAD(INVALID_NAMESPACE));
	assert_int_equal(identify(PLX_NVME_CNS_NS, 3, 0), BAD(INVALID_NAMESPACE));
	assert_int_equal(identify(PLX_NVME_CNS_NS_DESCRIPTORS, 3, 0), BAD(INVALID_NAMESPACE));
	assert_int_equal(identify(PLX_NVME_CNS_ACTIVE_NS_LIST, 0xfffffffe, 0),
			 BAD(INVALID_NAMESPACE));
	assert_int_equal(identify(PLX_NVME_CNS_NVM_SETS, 0, 0), BAD(INVALID_FIELD));
	assert_int_equal(identify(0x42, 0, 0), BAD(INVALID_FIELD));
	cmd.prp1 = RIG_NOWHERE;
	assert_int_equal(rig_admin(cmd, NULL), BAD(DATA_TRANSFER_ERROR));
	cmd.prp1 = RIG_DATA + 2;
	assert_int_equal(rig_admin(cmd, NULL), BAD(INVALID_PRP_OFFSET));
	/* In two pages. */
	cmd.prp1 = RIG_DATA + 4;
	cmd.prp2 = RIG_DATA + 4;
	assert_int_equal(rig_admin(cmd, NULL), BAD(INVALID_PRP_OFFSET));
	cmd.prp2 = RIG_DATA + 2 * RIG_PAGE;
	assert_int_equal(rig_admin(cmd, NULL), 0);
	assert_memory_equal(rig_data() + 4 + offsetof(struct plx_nvme_id_ctrl, mn), "Pollux", 6);
	/* No SGLs here. */
	cmd.flags = PLX_NVME_PSDT_SGL;
	assert_int_equal(rig_admin(cmd, NULL), BAD(INVALID_FIELD));
}

static void others_are_no_opcodes(void **state)
{
	static const uint8_t none[] = { 0x03,
					PLX_NVME_NS_MANAGEMENT,
					PLX_NVME_FW_DOWNLOAD,
					PLX_NVME_SANITIZE,
					PLX_NVME_SECURITY_SEND,
					0xc0,
					0xff };

	(void)state;
	for (unsigned i = 0; i < sizeof(none); i++)
		assert_int_equal(admin(none[i], 0, 0, 0), BAD(INVALID_OPCODE));
}

/*
 * Log pages.
 */
static uint16_t get_log(uint8_t log, uint32_t nsid, uint32_t bytes, uint64_t offset, bool retain)
{
	const struct plx_nvme_cmd cmd = {
		.opcode = PLX_NVME_GET_LOG_PAGE,
		.nsid = nsid,
		.prp1 = RIG_DATA,
		.prp2 = RIG_DATA + RIG_PAGE,
		.cdw10 = (bytes / 4 - 1) << 16 | (uint32_t)retain << 15 | log,
		.cdw11 = (bytes / 4 - 1) >> 16,
		.cdw12 = (uint32_t)offset,
		.cdw13 = (uint32_t)(offset >> 32),
	};

	memset(rig_data(), 0xaa, RIG_PAGE);
	return rig_admin(cmd, NULL);
}

static void log_pages_are_checked(void **state)
{
	(void)state;
	assert_int_equal(get_log(0x42, 0, 512, 0, false), BAD(INVALID_LOG_PAGE));
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, 1, 512, 0, false), BAD(INVALID_FIELD));
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, 7, 512, 0, false), BAD(INVALID_NAMESPACE));
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, 0, 512, 2, false), BAD(INVALID_FIELD));
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, 0, 512, 516, false), BAD(INVALID_FIELD));
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, 0, 512, UINT64_C(1) << 40, false),
			 BAD(INVALID_FIELD));
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, 0, 1u << 20, 0, false), BAD(INVALID_FIELD));
	/* Behind the page there are zeroes. */
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, PLX_NVME_NSID_ALL, 1024, 256, false), 0);
	assert_int_equal(rig_data()[1023], 0);
	assert_int_equal(rig_data()[1024], 0xaa);
}

static void errors_are_logged(void **state)
{
	(void)state;
	assert_int_equal(rig_create(1), 0);
	assert_int_equal(admin(0xff, 5, 0, 0), BAD(INVALID_OPCODE));
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 5000, 1, RIG_DATA, 0)),
			 BAD(LBA_OUT_OF_RANGE));
	assert_int_equal(get_log(PLX_NVME_LOG_ERRORS, 0, 128, 0, false), 0);
	/* The newest first. */
	assert_int_equal(rig_data()[0], 2);
	assert_int_equal(*(uint16_t *)(void *)(rig_data() + 8), 1);
	assert_int_equal(*(uint16_t *)(void *)(rig_data() + 12) >> 1, BAD(LBA_OUT_OF_RANGE));
	assert_int_equal(*(uint64_t *)(void *)(rig_data() + 16), 5000);
	assert_int_equal(*(uint32_t *)(void *)(rig_data() + 24), 1);
	assert_int_equal(rig_data()[64], 1);
	assert_int_equal(*(uint16_t *)(void *)(rig_data() + 64 + 12) >> 1, BAD(INVALID_OPCODE));
	/* Dwords 10 and 11 of Dataset Management are no block. */
	assert_int_equal(rig_io(1, (struct plx_nvme_cmd){ .opcode = PLX_NVME_DSM,
							  .nsid = 99,
							  .cdw10 = 1,
							  .cdw11 = 4 }),
			 BAD(INVALID_NAMESPACE));
	assert_int_equal(get_log(PLX_NVME_LOG_ERRORS, 0, 64, 0, false), 0);
	assert_int_equal(rig_data()[0], 3);
	assert_int_equal(*(uint64_t *)(void *)(rig_data() + 16), 0);
}

static void smart_counts(void **state)
{
	const struct plx_nvme_smart *smart = (const void *)rig_data();

	(void)state;
	assert_int_equal(rig_create(1), 0);
	for (unsigned i = 0; i < 160; i++)
		assert_int_equal(
			rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 16, RIG_DATA, RIG_DATA + RIG_PAGE)),
			0);
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, 0, 512, 0, false), 0);
	assert_int_equal(smart->host_writes[0], 160);
	assert_int_equal(smart->data_units_written[0], 3); /* 1.3 MB in 512,000s */
	assert_int_equal(smart->critical_warning, 0);
	assert_int_equal(smart->temperature[0] | smart->temperature[1] << 8, 300);
}

static void effects_name_the_commands(void **state)
{
	const uint32_t *effects = (const void *)rig_data();

	(void)state;
	assert_int_equal(get_log(PLX_NVME_LOG_EFFECTS, 0, 4096, 0, false), 0);
	assert_int_equal(effects[PLX_NVME_IDENTIFY], 1);
	assert_int_equal(effects[PLX_NVME_FORMAT] & 7, 7);
	assert_int_equal(effects[PLX_NVME_SANITIZE], 0);
	assert_int_equal(effects[256 + PLX_NVME_WRITE], 3);
	assert_int_equal(get_log(PLX_NVME_LOG_FIRMWARE, 0, 512, 0, false), 0);
	assert_int_equal(rig_data()[0], 1);
}

/*
 * Features.
 */
static uint16_t set(uint8_t feature, uint32_t value, uint32_t *result)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_SET_FEATURES,
					  .cdw10 = feature,
					  .cdw11 = value };

	return rig_admin(cmd, result);
}

static uint32_t get(uint32_t cdw10, uint32_t cdw11)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_GET_FEATURES,
					  .cdw10 = cdw10,
					  .cdw11 = cdw11 };
	uint32_t result = 0xdead;

	assert_int_equal(rig_admin(cmd, &result), 0);
	return result;
}

static void features_are_kept_until_a_reset(void **state)
{
	static const struct {
		uint8_t feature;
		uint32_t value, before;
	} all[] = {
		{ PLX_NVME_FEAT_ARBITRATION, 0x01020304, 7 },
		{ PLX_NVME_FEAT_ERROR_RECOVERY, 0x1234, 0 },
		{ PLX_NVME_FEAT_WRITE_CACHE, 0, 1 },
		{ PLX_NVME_FEAT_INT_COALESCING, 0x0203, 0 },
		{ PLX_NVME_FEAT_WRITE_ATOMICITY, 1, 0 },
		{ PLX_NVME_FEAT_ASYNC_EVENTS, 0x11f, 0 },
		{ PLX_NVME_FEAT_KEEP_ALIVE, 5000, 0 },
		{ PLX_NVME_FEAT_TEMPERATURE, 400, 343 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		assert_int_equal(get(all[i].feature, 0), all[i].before);
		assert_int_equal(set(all[i].feature, all[i].value, NULL), 0);
		assert_int_equal(get(all[i].feature, 0), all[i].value);
		/* Default, saved, capabilities. */
		assert_int_equal(get(1u << 8 | all[i].feature, 0), all[i].before);
		assert_int_equal(get(2u << 8 | all[i].feature, 0), all[i].before);
		assert_int_equal(get(3u << 8 | all[i].feature, 0), 4);
	}
	fake_reg_set(0, NVME_CC, 0);
	rig_enable();
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		assert_int_equal(get(all[i].feature, 0), all[i].before);
}

static void features_are_checked(void **state)
{
	(void)state;
	assert_int_equal(set(0x42, 0, NULL), BAD(INVALID_FIELD));
	assert_int_equal(admin(PLX_NVME_GET_FEATURES, 0, 0x42, 0), BAD(INVALID_FIELD));
	assert_int_equal(admin(PLX_NVME_GET_FEATURES, 0, 5u << 8 | 1, 0), BAD(INVALID_FIELD));
	assert_int_equal(admin(PLX_NVME_SET_FEATURES, 0, 1u << 31 | 1, 0),
			 BAD(FEATURE_NOT_SAVEABLE));
	assert_int_equal(set(PLX_NVME_FEAT_POWER, 1, NULL), BAD(INVALID_FIELD));
	assert_int_equal(set(PLX_NVME_FEAT_POWER, 0, NULL), 0);
	assert_int_equal(set(PLX_NVME_FEAT_INT_VECTOR, RIG_QUEUES + 1, NULL), BAD(INVALID_FIELD));
	assert_int_equal(set(PLX_NVME_FEAT_INT_VECTOR, 1u << 16 | 2, NULL), 0);
	assert_int_equal(get(PLX_NVME_FEAT_INT_VECTOR, 2), 1u << 16 | 2);
	assert_int_equal(set(PLX_NVME_FEAT_TEMPERATURE, 2u << 20, NULL), BAD(INVALID_FIELD));
	assert_int_equal(set(PLX_NVME_FEAT_TEMPERATURE, 2u << 16, NULL), BAD(INVALID_FIELD));
	assert_int_equal(set(PLX_NVME_FEAT_IO_COMMAND_SETS, 1, NULL), BAD(INVALID_FIELD));
}

static void queues_are_granted_before_there_are_any(void **state)
{
	const uint32_t all = (RIG_QUEUES - 1) << 16 | (RIG_QUEUES - 1);
	uint32_t result;

	(void)state;
	assert_int_equal(set(PLX_NVME_FEAT_QUEUES, 0xffff, NULL), BAD(INVALID_FIELD));
	assert_int_equal(set(PLX_NVME_FEAT_QUEUES, 0xffff0000, NULL), BAD(INVALID_FIELD));
	assert_int_equal(set(PLX_NVME_FEAT_QUEUES, 0x00ff00ff, &result), 0);
	assert_int_equal(result, all);
	assert_int_equal(get(PLX_NVME_FEAT_QUEUES, 0), all);
	assert_int_equal(rig_create(1), 0);
	assert_int_equal(set(PLX_NVME_FEAT_QUEUES, 0, NULL), BAD(COMMAND_SEQUENCE_ERROR));
}

/*
 * Events and Abort.
 */
static uint16_t ask_for_event(void)
{
	const uint16_t cid = rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_ASYNC_EVENT });

	rig_ring(0);
	rig_turn();
	return cid;
}

static void events_have_a_limit(void **state)
{
	struct plx_nvme_cqe cqe;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		ask_for_event();
		assert_false(rig_take_only(0, &cqe));
	}
	assert_int_equal(admin(PLX_NVME_ASYNC_EVENT, 0, 0, 0), BAD(ASYNC_EVENT_LIMIT));
}

static void heat_is_an_event(void **state)
{
	const struct plx_nvme_smart *smart = (const void *)rig_data();
	struct plx_nvme_cqe cqe;
	uint16_t cid;

	(void)state;
	assert_int_equal(set(PLX_NVME_FEAT_ASYNC_EVENTS, 0x1f, NULL), 0);
	cid = ask_for_event();
	assert_int_equal(set(PLX_NVME_FEAT_TEMPERATURE, 301, NULL), 0);
	assert_false(rig_take(0, &cqe));
	rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_SET_FEATURES,
					  .cdw10 = PLX_NVME_FEAT_TEMPERATURE,
					  .cdw11 = 300 });
	rig_ring(0);
	assert_true(rig_take(0, &cqe));
	/* SMART, temperature, page 2; and the answer. */
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.result, 2u << 16 | 1u << 8 | 1);
	assert_true(rig_take(0, &cqe));
	assert_int_equal(get_log(PLX_NVME_LOG_SMART, 0, 512, 0, false), 0);
	assert_int_equal(smart->critical_warning, 2);
}

static void unwanted_events_are_none(void **state)
{
	struct plx_nvme_cqe cqe;

	(void)state;
	ask_for_event();
	assert_int_equal(set(PLX_NVME_FEAT_TEMPERATURE, 300, NULL), 0);
	assert_false(rig_take(0, &cqe));
}

static void events_are_aborted(void **state)
{
	const uint16_t first = ask_for_event(), second = ask_for_event();
	struct plx_nvme_cqe cqe;
	uint32_t result;

	(void)state;
	rig_put(0,
		(struct plx_nvme_cmd){ .opcode = PLX_NVME_ABORT, .cdw10 = (uint32_t)first << 16 });
	rig_ring(0);
	assert_true(rig_take(0, &cqe));
	assert_int_equal(cqe.cid, first);
	assert_int_equal(cqe.status >> 1, PLX_NVME_ABORTED_BY_REQUEST);
	assert_true(rig_take(0, &cqe));
	assert_int_equal(cqe.result, 0);
	assert_int_equal(rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_ABORT,
							  .cdw10 = (uint32_t)first << 16 },
				   &result),
			 0);
	assert_int_equal(result, 1);
	assert_int_equal(admin(PLX_NVME_ABORT, 0, 3, 0), BAD(INVALID_FIELD));
	assert_int_not_equal(first, second);
}

/* Of the entries for completions, the last one is for the command that makes an event. */
static void only_the_answer_fits(struct plx_nvme_cmd last, uint32_t expected)
{
	struct plx_nvme_cqe cqe;
	uint16_t cid;

	for (unsigned i = 0; i < RIG_ENTRIES - 2; i++) {
		rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_KEEP_ALIVE });
		rig_ring(0);
		rig_turn();
	}
	cid = rig_put(0, last);
	rig_ring(0);
	rig_turn();
	for (unsigned i = 0; i < RIG_ENTRIES - 1; i++)
		assert_true(rig_take_only(0, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.status >> 1, 0);
	assert_int_equal(cqe.result, expected);
	assert_false(rig_take_only(0, &cqe));
}

static void events_leave_room_for_answers(void **state)
{
	struct plx_nvme_cqe cqe;
	uint16_t aer;

	(void)state;
	assert_int_equal(admin(PLX_NVME_SET_FEATURES, 0, PLX_NVME_FEAT_ASYNC_EVENTS, 0xff), 0);
	aer = rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_ASYNC_EVENT });
	only_the_answer_fits((struct plx_nvme_cmd){ .opcode = PLX_NVME_SET_FEATURES,
						    .cdw10 = PLX_NVME_FEAT_TEMPERATURE,
						    .cdw11 = 200 },
			     0);
	/* The event comes when there is room. */
	soft_nvme_serve(rig_nvme, 1);
	assert_true(rig_take_only(0, &cqe));
	assert_int_equal(cqe.cid, aer);
	assert_int_equal(cqe.result & 7, PLX_NVME_EVENT_SMART);
}

static void aborts_leave_room_for_answers(void **state)
{
	uint16_t aer;

	(void)state;
	aer = rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_ASYNC_EVENT });
	only_the_answer_fits(
		(struct plx_nvme_cmd){ .opcode = PLX_NVME_ABORT, .cdw10 = (uint32_t)aer << 16 }, 1);
}

/*
 * Format NVM.
 */
static void formatting_changes_blocks(void **state)
{
	const struct plx_nvme_id_ns *id = (const void *)rig_data();
	const uint32_t *list = (const void *)rig_data();
	struct plx_nvme_cqe cqe;
	uint16_t cid;

	(void)state;
	assert_int_equal(rig_create(1), 0);
	assert_int_equal(set(PLX_NVME_FEAT_ASYNC_EVENTS, PLX_NVME_OAES_NS_ATTRIBUTE, NULL), 0);
	memset(rig_data(), 0x5a, RIG_PAGE);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 8, RIG_DATA, 0)), 0);
	cid = ask_for_event();
	rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_FORMAT, .nsid = 1, .cdw10 = 1 });
	rig_ring(0);
	assert_true(rig_take(0, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.result, 4u << 16 | 0u << 8 | 2);
	assert_true(rig_take(0, &cqe));
	assert_int_equal(cqe.status >> 1, 0);
	/* It is taken away by whoever has read it, and all of it. */
	assert_int_equal(rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_GET_LOG_PAGE,
							  .prp1 = RIG_NOWHERE,
							  .cdw10 = PLX_NVME_LOG_CHANGED_NS },
				   NULL),
			 BAD(DATA_TRANSFER_ERROR));
	assert_int_equal(admin(PLX_NVME_FORMAT, 2, 0, 0), 0);
	assert_int_equal(get_log(PLX_NVME_LOG_CHANGED_NS, 0, 4, 0, false), 0);
	assert_int_equal(list[0], 1);
	assert_int_equal(get_log(PLX_NVME_LOG_CHANGED_NS, 0, 4096, 0, false), 0);
	assert_true(list[0] == 1 && list[1] == 2 && !list[2]);
	assert_int_equal(get_log(PLX_NVME_LOG_CHANGED_NS, 0, 4096, 0, false), 0);
	assert_int_equal(list[0], 0);
	assert_int_equal(identify(PLX_NVME_CNS_NS, 1, 0), 0);
	assert_int_equal(id->nsze, 256);
	assert_int_equal(id->flbas, 1);
	assert_int_equal(identify(PLX_NVME_CNS_NS, 2, 0), 0);
	assert_int_equal(id->flbas, 0);
	memset(rig_data(), 0xff, RIG_PAGE);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA, 0)), 0);
	for (unsigned i = 0; i < RIG_PAGE; i++)
		assert_int_equal(rig_data()[i], 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 256, 1, RIG_DATA, 0)),
			 BAD(LBA_OUT_OF_RANGE));
}

static void formats_are_checked(void **state)
{
	(void)state;
	assert_int_equal(admin(PLX_NVME_FORMAT, 0, 0, 0), BAD(INVALID_NAMESPACE));
	assert_int_equal(admin(PLX_NVME_FORMAT, 3, 0, 0), BAD(INVALID_NAMESPACE));
	assert_int_equal(admin(PLX_NVME_FORMAT, 1, 4, 0), BAD(INVALID_FORMAT));
	assert_int_equal(admin(PLX_NVME_FORMAT, 1, 1u << 12, 0), BAD(INVALID_FORMAT));
	assert_int_equal(admin(PLX_NVME_FORMAT, 1, 2 | 1u << 5, 0), BAD(INVALID_FORMAT));
	assert_int_equal(admin(PLX_NVME_FORMAT, 1, 3u << 9, 0), BAD(INVALID_FIELD));
	assert_int_equal(admin(PLX_NVME_FORMAT, 1, 2u << 9, 0), 0);
	assert_int_equal(admin(PLX_NVME_FORMAT, PLX_NVME_NSID_ALL, 3 | 1u << 4, 0), 0);
	assert_int_equal(identify(PLX_NVME_CNS_NS, 2, 0), 0);
	assert_int_equal(((const struct plx_nvme_id_ns *)(const void *)rig_data())->flbas, 0x13);
}

/*
 * Shadow doorbells [Base 5.8].
 */
static void shadow_doorbells_are_polled(void **state)
{
	struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_DBBUF_CONFIG,
				    .prp1 = RIG_DATA + (1 << 20),
				    .prp2 = RIG_DATA + (1 << 20) + RIG_PAGE };
	uint32_t *shadow = (uint32_t *)(void *)(rig_data() + (1 << 20)), *event = shadow + 1024;
	struct plx_nvme_cqe cqe;

	(void)state;
	assert_int_equal(rig_admin(cmd, NULL), 0);
	assert_int_equal(rig_create(1), 0);
	rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	/* The register is not what counts. */
	assert_false(rig_take(1, &cqe));
	shadow[2] = 1;
	assert_true(rig_take(1, &cqe));
	assert_int_equal(cqe.status >> 1, 0);
	/* Nobody needs to write the register for the next one, from 1 to 2. */
	assert_int_equal(soft_nvme_serve(rig_nvme, 1), 0);
	assert_false((uint16_t)(2 - event[2] - 1) < 1);
	assert_int_equal(event[2 * 2], 0);
}

static void shadow_doorbells_are_checked(void **state)
{
	static const uint64_t wrong[][3] = {
		{ 0, RIG_DATA, BAD(INVALID_FIELD) },
		{ RIG_DATA, 0, BAD(INVALID_FIELD) },
		{ RIG_DATA + 4, RIG_DATA, BAD(INVALID_FIELD) },
		{ RIG_NOWHERE, RIG_DATA, BAD(DATA_TRANSFER_ERROR) },
		{ RIG_DATA, RIG_NOWHERE, BAD(DATA_TRANSFER_ERROR) },
	};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_DBBUF_CONFIG,
						  .prp1 = wrong[i][0],
						  .prp2 = wrong[i][1] };

		assert_int_equal(rig_admin(cmd, NULL), wrong[i][2]);
	}
	assert_int_equal(rig_create(1), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(completion_queues_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(submission_queues_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_are_deleted_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(entry_sizes_must_be_set, setup, teardown),
		cmocka_unit_test_setup_teardown(the_controller_says_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(both_ends_of_transfers_are_said, setup, teardown),
		cmocka_unit_test_setup_teardown(namespaces_say_what_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(command_sets_are_one, setup, teardown),
		cmocka_unit_test_setup_teardown(identify_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(others_are_no_opcodes, setup, teardown),
		cmocka_unit_test_setup_teardown(log_pages_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_are_logged, setup, teardown),
		cmocka_unit_test_setup_teardown(smart_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(effects_name_the_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(features_are_kept_until_a_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(features_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_are_granted_before_there_are_any, setup,
						teardown),
		cmocka_unit_test_setup_teardown(events_have_a_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(heat_is_an_event, setup, teardown),
		cmocka_unit_test_setup_teardown(unwanted_events_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(events_are_aborted, setup, teardown),
		cmocka_unit_test_setup_teardown(events_leave_room_for_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(aborts_leave_room_for_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(formatting_changes_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(formats_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(shadow_doorbells_are_polled, setup, teardown),
		cmocka_unit_test_setup_teardown(shadow_doorbells_are_checked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
