/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's model: mishaps that were asked for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "soft_nvme_rig.h"

static int teardown(void **state)
{
	(void)state;
	if (rig_nvme)
		rig_end();
	return 0;
}

static void start(const char *inject)
{
	const struct rig_conf conf = { .inject = inject };

	rig_start(&conf);
}

static uint16_t read_one(void)
{
	return rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA, 0));
}

static void options_are_checked(void **state)
{
	static const char *const wrong[] = {
		"",
		"status=",
		"status=0",
		"status=256",
		"status=1:8",
		"status=1x",
		"status=1,rate=2",
		"status=1,rate=1/0",
		"drop=",
		"drop=0",
		"drop=-1",
		"drop=4294967296",
		"drop=3,4",
		"stuck=x",
		"fatal=1 ",
		"bad=3",
		"status=1,",
		"status=1,opcode=256",
	};
	struct soft_inject inject = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(soft_inject_parse(wrong[i], &inject), -EINVAL);
	assert_false(soft_inject_any(&inject));
	assert_int_equal(soft_inject_parse("status=0x81:2,rate=1/10,opcode=2,dnr", &inject), 0);
	assert_int_equal(inject.status[0].status, PLX_NVME_UNRECOVERED_READ | PLX_NVME_DNR);
	assert_int_equal(inject.status[0].every, 10);
	assert_int_equal(inject.status[0].opcode, 2);
	assert_int_equal(soft_inject_parse("bad-cid=7", &inject), 0);
	assert_int_equal(inject.bad_cid, 7);
	for (unsigned i = 1; i < SOFT_INJECT_STATUSES; i++)
		assert_int_equal(soft_inject_parse("status=4", &inject), 0);
	assert_int_equal(soft_inject_parse("status=4", &inject), -EINVAL);
}

static void a_status_comes_at_its_rate(void **state)
{
	struct soft_nvme_totals totals;
	unsigned failed = 0;

	(void)state;
	start("status=0x81:2,rate=1/5,opcode=2");
	for (unsigned i = 1; i <= 50; i++) {
		const uint16_t status = read_one();

		assert_int_equal(status, i % 5 ? 0 : PLX_NVME_UNRECOVERED_READ);
		failed += !!status;
		/* Another opcode isn't counted. */
		assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 1, RIG_DATA, 0)), 0);
	}
	soft_nvme_totals(rig_nvme, &totals);
	assert_int_equal(failed, 10);
	assert_int_equal(totals.injected, 10);
	assert_int_equal(totals.errors, 0);
	assert_int_equal(totals.commands, 100);
}

/* What failed on purpose failed for the driver: the error log and SMART have it [Base 5.16.1]. */
static void a_status_is_logged(void **state)
{
	struct plx_nvme_cmd log = { .opcode = PLX_NVME_GET_LOG_PAGE,
				    .prp1 = RIG_DATA,
				    .cdw10 = 31u << 16 | PLX_NVME_LOG_ERRORS };
	const struct plx_nvme_smart *smart;
	uint16_t cid;

	(void)state;
	start("status=0x81:2,rate=1/2,opcode=2");
	assert_int_equal(read_one(), 0);
	cid = rig_put(1, rig_rw(PLX_NVME_READ, 1, 77, 1, RIG_DATA, 0));
	rig_ring(1);
	rig_turn();
	assert_int_equal(rig_admin(log, NULL), 0);
	assert_int_equal(*(uint64_t *)(void *)rig_data(), 1);
	assert_int_equal(*(uint16_t *)(void *)(rig_data() + 8), 1);
	assert_int_equal(*(uint16_t *)(void *)(rig_data() + 10), cid);
	assert_int_equal(*(uint16_t *)(void *)(rig_data() + 12) >> 1, PLX_NVME_UNRECOVERED_READ);
	assert_int_equal(*(uint64_t *)(void *)(rig_data() + 16), 77);
	assert_int_equal(*(uint32_t *)(void *)(rig_data() + 24), 1);
	assert_int_equal(*(uint64_t *)(void *)(rig_data() + 64), 0);
	log.cdw10 = 127u << 16 | PLX_NVME_LOG_SMART;
	assert_int_equal(rig_admin(log, NULL), 0);
	smart = (const void *)rig_data();
	assert_int_equal(smart->error_log_entries[0], 1);
}

static void a_completion_is_lost(void **state)
{
	struct plx_nvme_cqe cqe;
	uint32_t result;
	uint16_t cid;

	(void)state;
	start("drop=2");
	memset(rig_data(), 0x42, 512);
	assert_int_equal(read_one(), 0);
	memset(rig_data(), 0x42, 512);
	cid = rig_put(1, rig_rw(PLX_NVME_WRITE, 1, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	assert_false(rig_take(1, &cqe));
	/* It can't be aborted: it was carried out. */
	assert_int_equal(rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_ABORT,
							  .cdw10 = 1 | (uint32_t)cid << 16 },
				   &result),
			 0);
	assert_int_equal(result, 1);
	memset(rig_data(), 0, 512);
	assert_int_equal(read_one(), 0);
	assert_int_equal(rig_data()[0], 0x42);
}

static void a_stuck_command_is_aborted(void **state)
{
	struct plx_nvme_cqe cqe;
	uint32_t result = 7;
	uint16_t cid;

	(void)state;
	start("stuck=2");
	assert_int_equal(read_one(), 0);
	cid = rig_put(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	assert_false(rig_take(1, &cqe));
	/* Only by its own name. */
	assert_int_equal(rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_ABORT,
							  .cdw10 = 1 | (uint32_t)(cid + 1) << 16 },
				   &result),
			 0);
	assert_int_equal(result, 1);
	assert_int_equal(rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_ABORT,
							  .cdw10 = 1 | (uint32_t)cid << 16 },
				   &result),
			 0);
	assert_int_equal(result, 0);
	assert_true(rig_take(1, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.status >> 1, PLX_NVME_ABORTED_BY_REQUEST);
	/* One whose queue goes is forgotten. */
	assert_int_equal(read_one(), 0);
	rig_put(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	rig_turn();
	assert_int_equal(rig_delete_sq(1), 0);
	assert_int_equal(rig_delete_cq(1), 0);
	assert_int_equal(rig_create(1), 0);
	assert_false(rig_take(1, &cqe));
}

static void a_wrong_id_comes_back(void **state)
{
	struct plx_nvme_cqe cqe;

	(void)state;
	start("bad-cid=1");
	rig_put(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	assert_true(rig_take(1, &cqe));
	assert_int_equal(cqe.cid, 0xffff);
}

static void the_controller_fails_and_comes_back(void **state)
{
	struct soft_nvme_totals totals;
	struct plx_nvme_cqe cqe;

	(void)state;
	start("fatal=3");
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(read_one(), 0);
		assert_int_equal(read_one(), 0);
		rig_put(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA, 0));
		rig_put(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA, 0));
		rig_ring(1);
		assert_false(rig_take(1, &cqe));
		assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
		fake_reg_set(0, NVME_CC, 0);
		assert_int_equal(fake_reg(0, NVME_CSTS), 0);
		rig_enable();
		assert_int_equal(rig_create(1), 0);
	}
	soft_nvme_totals(rig_nvme, &totals);
	assert_int_equal(totals.faults, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test_teardown(a_status_comes_at_its_rate, teardown),
		cmocka_unit_test_teardown(a_status_is_logged, teardown),
		cmocka_unit_test_teardown(a_completion_is_lost, teardown),
		cmocka_unit_test_teardown(a_stuck_command_is_aborted, teardown),
		cmocka_unit_test_teardown(a_wrong_id_comes_back, teardown),
		cmocka_unit_test_teardown(the_controller_fails_and_comes_back, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
