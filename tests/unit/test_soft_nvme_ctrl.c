/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's model: its PCI side, registers, doorbells, life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pollux/ioas.h>

#include "soft_nvme_rig.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define MSIX   VFIO_PCI_MSIX_IRQ_INDEX
#define CMBMSC 0x50
#define MS     1000000u /* ns */

static const struct rig_conf plain;

static int setup(void **state)
{
	(void)state;
	rig_make(&plain);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

static uint32_t config(uint64_t offset, size_t len)
{
	uint32_t value = 0;

	assert_int_equal(fake_access(0, CONFIG, offset, &value, len, false), 0);
	return value;
}

static void it_is_an_nvme_controller(void **state)
{
	const uint32_t ones = UINT32_MAX;
	unsigned cap, seen = 0;

	(void)state;
	assert_int_equal(config(PCI_CLASS_REVISION, 4) >> 8, 0x010802);
	assert_int_equal(config(PCI_BASE_ADDRESS_0, 4) & 0xf, PCI_BASE_ADDRESS_MEM_TYPE_64);
	assert_int_equal(fake_access(0, CONFIG, PCI_BASE_ADDRESS_0, (void *)&ones, 4, true), 0);
	assert_int_equal(config(PCI_BASE_ADDRESS_0, 4) & ~0xfu, 0xffffe000);
	for (cap = config(PCI_CAPABILITY_LIST, 1); cap; cap = config(cap + 1, 1))
		seen |= 1u << config(cap, 1);
	assert_int_equal(seen, 1u << PCI_CAP_ID_PM | 1u << PCI_CAP_ID_MSIX | 1u << PCI_CAP_ID_EXP);
}

static void registers_say_what_there_is(void **state)
{
	uint64_t cap = 0;

	(void)state;
	assert_int_equal(fake_access(0, 0, NVME_CAP, &cap, 8, false), 0);
	assert_int_equal(NVME_CAP_MQES(cap), 255);
	assert_int_equal(NVME_CAP_DSTRD(cap), 0);
	assert_int_equal(NVME_CAP_MPSMIN(cap), 0);
	assert_int_equal(NVME_CAP_MPSMAX(cap), 4);
	assert_true(cap & NVME_CAP_CSS_NVM && cap & 1 << 16);
	assert_int_equal(fake_reg(0, NVME_VS), 0x10400);
	assert_int_equal(fake_reg(0, NVME_CSTS), 0);
	assert_int_equal(fake_reg(0, NVME_CMBLOC), 0);
	assert_int_equal(fake_reg(0, NVME_CMBSZ), 0);
}

static void what_can_be_written_is_kept(void **state)
{
	(void)state;
	fake_reg_set(0, NVME_AQA, UINT32_MAX);
	assert_int_equal(fake_reg(0, NVME_AQA), 0x0fff0fff);
	fake_reg_set(0, NVME_ASQ, UINT32_MAX);
	fake_reg_set(0, NVME_ASQ + 4, 7);
	assert_int_equal(fake_reg(0, NVME_ASQ), 0xfffff000);
	assert_int_equal(fake_reg(0, NVME_ASQ + 4), 7);
	fake_reg_set(0, 0x0c, 5);
	assert_int_equal(fake_reg(0, 0x10), 5);
	fake_reg_set(0, 0x10, 1);
	assert_int_equal(fake_reg(0, 0x0c), 4);
	fake_reg_set(0, NVME_VS, 0);
	assert_int_equal(fake_reg(0, NVME_VS), 0x10400);
}

static void the_whole_bar_is_safe(void **state)
{
	struct soft_nvme_totals totals;
	uint8_t bytes[8] = { 0 };

	(void)state;
	for (uint32_t reg = 0; reg < 0x1000; reg++) {
		for (size_t len = 1; len <= 8; len *= 2) {
			fake_access(0, 0, reg, bytes, len, false);
			memset(bytes, 0xff, sizeof(bytes));
			if (reg / 4 * 4 != NVME_CC)
				fake_access(0, 0, reg, bytes, len, true);
		}
	}
	soft_nvme_totals(rig_nvme, &totals);
	assert_true(totals.unknown > 0);
	rig_end();
	rig_make(&plain);
}

static void it_is_enabled_and_reset(void **state)
{
	(void)state;
	rig_enable();
	assert_int_equal(rig_create(1), 0);
	fake_reg_set(0, NVME_CC, NVME_CC_IOSQES | NVME_CC_IOCQES);
	assert_int_equal(fake_reg(0, NVME_CSTS), 0);
	/* The admin queue's place stays, all else is gone [Base 3.7.2]. */
	assert_int_equal(fake_reg(0, NVME_ASQ), rig_sq_at(0));
	rig_ring(1);
	assert_int_equal(soft_nvme_turn(rig_nvme), 0);
	rig_enable();
	assert_int_equal(rig_delete_sq(1), BAD(INVALID_QID));
	assert_int_equal(rig_create(1), 0);
}

static void wrong_configurations_are_fatal(void **state)
{
	static const uint32_t wrong[] = { NVME_CC_MPS(5), 1u << 4, 1u << 11 };
	unsigned lines;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		fake_reg_set(0, NVME_CC, NVME_CC_EN | wrong[i]);
		assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_CFS);
		fake_reg_set(0, NVME_CC, 0);
		assert_int_equal(fake_reg(0, NVME_CSTS), 0);
	}
	fake_said(&lines);
	assert_int_equal(lines, 3);
	rig_enable();
}

static void admin_queues_must_be_there(void **state)
{
	static const struct {
		uint32_t aqa;
		uint64_t asq, acq;
	} wrong[] = {
		{ 0, 0x10000000, 0x10001000 }, /* one entry */
		{ 0x000f000f, RIG_NOWHERE, 0x10001000 },
		{ 0x000f000f, 0x10000000, RIG_NOWHERE },
		{ 0x0fff0fff, 0x10000000, 0x10001000 }, /* larger than what is mapped */
	};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fake_reg_set(0, NVME_AQA, wrong[i].aqa);
		fake_reg_set(0, NVME_ASQ, (uint32_t)wrong[i].asq);
		fake_reg_set(0, NVME_ASQ + 4, (uint32_t)(wrong[i].asq >> 32));
		fake_reg_set(0, NVME_ACQ, (uint32_t)wrong[i].acq);
		fake_reg_set(0, NVME_ACQ + 4, (uint32_t)(wrong[i].acq >> 32));
		fake_reg_set(0, NVME_CC, NVME_CC_EN | NVME_CC_IOSQES | NVME_CC_IOCQES);
		assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_CFS);
		fake_reg_set(0, NVME_CC, 0);
	}
	assert_non_null(strstr(fake_said(NULL), "name no admin queues"));
	rig_enable();
}

static void it_shuts_down(void **state)
{
	struct plx_nvme_cqe cqe;

	(void)state;
	rig_enable();
	fake_reg_set(0, NVME_CC, fake_reg(0, NVME_CC) | NVME_CC_SHN_NORMAL);
	assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY | NVME_CSTS_SHST_DONE);
	rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_KEEP_ALIVE });
	rig_ring(0);
	assert_false(rig_take(0, &cqe));
	fake_reg_set(0, NVME_CC, 0);
	assert_int_equal(fake_reg(0, NVME_CSTS), 0);
	rig_enable();
}

static void without_mastering_nothing_runs(void **state)
{
	uint16_t command = PCI_COMMAND_MEMORY;
	struct plx_nvme_cqe cqe;

	(void)state;
	rig_enable();
	assert_int_equal(fake_access(0, CONFIG, PCI_COMMAND, &command, 2, true), 0);
	rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_KEEP_ALIVE });
	rig_ring(0);
	assert_false(rig_take(0, &cqe));
	command |= PCI_COMMAND_MASTER;
	assert_int_equal(fake_access(0, CONFIG, PCI_COMMAND, &command, 2, true), 0);
	assert_true(rig_take(0, &cqe));
}

/* An event of that kind, answering request cid. */
static void expect_event(uint16_t cid, uint32_t result)
{
	struct plx_nvme_cqe cqe;

	assert_true(rig_take(0, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.status >> 1, 0);
	assert_int_equal(cqe.result, result);
}

static uint16_t ask_for_event(void)
{
	const uint16_t cid = rig_put(0, (struct plx_nvme_cmd){ .opcode = PLX_NVME_ASYNC_EVENT });

	rig_ring(0);
	rig_turn();
	return cid;
}

static void read_errors(void)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_GET_LOG_PAGE,
					  .prp1 = RIG_DATA,
					  .cdw10 = 15u << 16 | PLX_NVME_LOG_ERRORS };

	assert_int_equal(rig_admin(cmd, NULL), 0);
}

static void wrong_tails_stop_the_queue(void **state)
{
	struct plx_nvme_cqe cqe;
	uint16_t cid;

	(void)state;
	rig_enable();
	assert_int_equal(rig_create(1), 0);
	cid = ask_for_event();
	*rig_doorbell(2) = RIG_ENTRIES;
	/* Error status, Invalid Doorbell Write Value, error log [Base 5.2.1]. */
	expect_event(cid, 1u << 16 | 1u << 8 | 0);
	assert_non_null(strstr(fake_said(NULL), "submission queue 1 stopped: its tail is 16"));
	*rig_doorbell(2) = 0;
	rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	assert_false(rig_take(1, &cqe));
	/* Made anew it goes on. */
	assert_int_equal(rig_delete_sq(1), 0);
	assert_int_equal(rig_delete_cq(1), 0);
	assert_int_equal(rig_create(1), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0)), 0);
}

static void wrong_heads_stop_the_queue(void **state)
{
	struct plx_nvme_cqe cqe;
	uint16_t cid;
	unsigned done = 0;

	(void)state;
	rig_enable();
	assert_int_equal(rig_create(1), 0);
	cid = ask_for_event();
	for (unsigned i = 0; i < RIG_ENTRIES - 1; i++)
		rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	rig_turn();
	*rig_doorbell(3) = 40;
	rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	expect_event(cid, 1u << 16 | 1u << 8 | 0);
	assert_non_null(strstr(fake_said(NULL), "completion queue 1 stopped: its head is 40"));
	*rig_doorbell(3) = 0;
	while (rig_take_only(1, &cqe))
		done++;
	assert_int_equal(done, RIG_ENTRIES - 1);
	assert_false(rig_take(1, &cqe));
}

static void doorbells_of_no_queue_are_noticed(void **state)
{
	uint16_t cid;

	(void)state;
	rig_enable();
	cid = ask_for_event();
	*rig_doorbell(2 * 3) = 1;
	assert_int_equal(soft_nvme_serve(rig_nvme, 1), 0);
	expect_event(cid, 1u << 16 | 0u << 8 | 0);
	/* The next one is told of when this one's log page was read. */
	cid = ask_for_event();
	*rig_doorbell(2 * 3 + 1) = 1;
	assert_int_equal(soft_nvme_serve(rig_nvme, 1), 0);
	read_errors();
	expect_event(cid, 1u << 16 | 0u << 8 | 0);
}

/* Nothing is written over what the client hasn't taken. */
static void a_full_completion_queue_waits(void **state)
{
	struct plx_nvme_cqe cqe;
	unsigned done = 0;

	(void)state;
	rig_enable();
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 4, NVME_QUEUE_CONTIGUOUS), 0);
	assert_int_equal(rig_create_sq(1, rig_sq_at(1), RIG_ENTRIES,
				       NVME_QUEUE_CONTIGUOUS | NVME_SQ_CQID(1)),
			 0);
	for (unsigned i = 0; i < 10; i++)
		rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	for (unsigned head = 0, phase = 1; done < 10; done++) {
		const struct plx_nvme_cqe *ring = fake_at(0, rig_cq_at(1), 1);

		rig_turn();
		cqe = ring[head];
		assert_int_equal(cqe.status & 1, phase);
		assert_int_equal(cqe.cid, 2 + done);
		head = (head + 1) % 4;
		phase ^= !head;
		*rig_doorbell(3) = head;
	}
}

static void interrupts_go_to_their_vectors(void **state)
{
	(void)state;
	rig_enable();
	assert_int_equal(rig_create(1), 0);
	fake_irqs(0, MSIX, 0);
	for (unsigned i = 0; i < 5; i++)
		rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	rig_turn();
	/* Once a batch. */
	assert_int_equal(fake_irqs(0, MSIX, 1), 1);
	assert_int_equal(fake_irqs(0, MSIX, 0), 0);
	assert_int_equal(rig_delete_sq(1), 0);
	assert_int_equal(rig_delete_cq(1), 0);
	assert_int_equal(fake_irqs(0, MSIX, 0), 2);
	/* And not where they aren't wanted. */
	assert_int_equal(rig_create_cq(2, rig_cq_at(2), 16, NVME_QUEUE_CONTIGUOUS), 0);
	assert_int_equal(
		rig_create_sq(2, rig_sq_at(2), 16, NVME_QUEUE_CONTIGUOUS | NVME_SQ_CQID(2)), 0);
	rig_put(2, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(2);
	rig_turn();
	assert_int_equal(fake_irqs(0, MSIX, 2), 0);
}

static void silence_is_fatal_with_keep_alive(void **state)
{
	const struct plx_nvme_cmd set = { .opcode = PLX_NVME_SET_FEATURES,
					  .cdw10 = PLX_NVME_FEAT_KEEP_ALIVE,
					  .cdw11 = 150 };
	uint64_t now = 1000 * MS;

	(void)state;
	rig_enable();
	assert_int_equal(soft_nvme_serve(rig_nvme, now), 0);
	assert_int_equal(rig_admin(set, NULL), 0);
	for (unsigned i = 0; i < 5; i++) {
		now += 150 * MS;
		assert_int_equal(soft_nvme_serve(rig_nvme, now), 0);
		assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY);
		assert_int_equal(
			rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_KEEP_ALIVE }, NULL), 0);
	}
	/* Rounded up to tenths of a second. */
	assert_int_equal(soft_nvme_serve(rig_nvme, now + 199 * MS), 0);
	assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY);
	assert_int_equal(soft_nvme_serve(rig_nvme, now + 200 * MS), 0);
	assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
}

static void memory_that_goes_is_fatal(void **state)
{
	(void)state;
	rig_enable();
	assert_int_equal(rig_create(1), 0);
	fake_unmap(0, RIG_DATA);
	assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY);
	fake_map(0, RIG_DATA, RIG_DATA_LEN, PLX_DMA_RW);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0)), 0);
	fake_unmap(0, rig_sq_at(1));
	assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
	assert_int_equal(soft_nvme_turn(rig_nvme), 0);
}

static void a_client_that_leaves_leaves_nothing(void **state)
{
	(void)state;
	rig_enable();
	assert_int_equal(rig_create(1), 0);
	rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	fake_leave(0);
	assert_int_equal(soft_nvme_turn(rig_nvme), 0);
	assert_int_equal(fake_reg(0, NVME_CSTS), 0);
	assert_int_equal(fake_reg(0, NVME_CC), 0);
	assert_int_equal(fake_reg(0, NVME_ASQ), 0);
	assert_int_equal(*rig_doorbell(2), 0);
}

static void doorbells_can_be_apart(void **state)
{
	const struct rig_conf conf = { .stride = 4 };

	(void)state;
	rig_end();
	rig_start(&conf);
	assert_int_equal(fake_reg(0, NVME_CAP + 4) & 0xf, 4);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0)), 0);
}

/* Submission queues may be in the controller's memory, nothing else [Base 3.1.3.11]. */
static void queues_can_be_in_its_memory(void **state)
{
	const struct rig_conf conf = { .cmb = 16384 };
	const uint64_t at = UINT64_C(0x5000000000);
	struct plx_nvme_cmd *ring;
	struct plx_nvme_cqe cqe;

	(void)state;
	rig_end();
	rig_make(&conf);
	assert_true(fake_reg(0, NVME_CAP + 4) & 1u << 25);
	assert_int_equal(fake_reg(0, NVME_CMBSZ), 0);
	fake_reg_set(0, CMBMSC, 3);
	fake_reg_set(0, CMBMSC + 4, (uint32_t)(at >> 32));
	assert_int_equal(fake_reg(0, NVME_CMBLOC) & 7, 2);
	assert_int_equal(fake_reg(0, NVME_CMBSZ), 4u << 12 | 1);
	rig_enable();
	assert_int_equal(rig_create_cq(1, at, 16, NVME_QUEUE_CONTIGUOUS), BAD(INVALID_CMB_USE));
	assert_int_equal(rig_create_cq(1, rig_cq_at(1), 16, NVME_QUEUE_CONTIGUOUS), 0);
	/* 256 entries are all of it; behind them there is nothing. */
	assert_int_equal(rig_create_sq(1, at + 4096, 256, NVME_QUEUE_CONTIGUOUS | NVME_SQ_CQID(1)),
			 BAD(INVALID_CMB_USE));
	assert_int_equal(rig_create_sq(1, at + 4096, 16, NVME_QUEUE_CONTIGUOUS | NVME_SQ_CQID(1)),
			 0);
	ring = (struct plx_nvme_cmd *)((uint8_t *)fake_region(0, 2) + 4096);
	ring[0] = rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0);
	*rig_doorbell(2) = 1;
	assert_true(rig_take(1, &cqe));
	assert_int_equal(cqe.status >> 1, 0);
	ring[1] = rig_rw(PLX_NVME_READ, 2, 0, 1, at, 0);
	*rig_doorbell(2) = 2;
	rig_turn();
	cqe = ((struct plx_nvme_cqe *)fake_at(0, rig_cq_at(1), 1))[1];
	assert_int_equal(cqe.status >> 1, BAD(INVALID_CMB_USE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_an_nvme_controller, setup, teardown),
		cmocka_unit_test_setup_teardown(registers_say_what_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(what_can_be_written_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(the_whole_bar_is_safe, setup, teardown),
		cmocka_unit_test_setup_teardown(it_is_enabled_and_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_configurations_are_fatal, setup, teardown),
		cmocka_unit_test_setup_teardown(admin_queues_must_be_there, setup, teardown),
		cmocka_unit_test_setup_teardown(it_shuts_down, setup, teardown),
		cmocka_unit_test_setup_teardown(without_mastering_nothing_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_tails_stop_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_heads_stop_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(doorbells_of_no_queue_are_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_completion_queue_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupts_go_to_their_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_is_fatal_with_keep_alive, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_that_goes_is_fatal, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_leaves_leaves_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(doorbells_can_be_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_can_be_in_its_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
