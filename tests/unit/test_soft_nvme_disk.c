/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's model: namespaces that are files. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <liburing.h>

#include <linux/vfio.h>
#include <pollux/ioas.h>

#include "soft_nvme_rig.h"

#define FILE_LEN (1 << 20)

static char path[64];
static int file;

static const struct soft_ns_conf disks[] = {
	{ .kind = SOFT_DISK_FILE, .path = path, .block = 512 },
	{ .kind = SOFT_DISK_RAM, .size = 1 << 20, .block = 512 },
};

static const struct rig_conf conf = { .ns = disks, .namespaces = 2 };

/* What the kernel is asked for, by opcode; and how many writes are to last. */
static unsigned asked[UINT8_MAX + 1], lasting;
static bool asleep; /* the kernel: it takes nothing */

static unsigned yields;

int sched_yield(void)
{
	yields++;
	return 0;
}

/* The library's, looked at on the way. */
int io_uring_submit(struct io_uring *ring)
{
	static int (*submit)(struct io_uring *);

	if (asleep)
		return 0;
	for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
		const struct io_uring_sqe *sqe = &ring->sq.sqes[i & *ring->sq.kring_mask];

		asked[sqe->opcode]++;
		lasting += sqe->opcode == IORING_OP_WRITE && sqe->rw_flags & RWF_DSYNC;
	}
	if (!submit)
		*(void **)&submit = dlsym(RTLD_NEXT, "io_uring_submit");
	assert_non_null(submit);
	return submit(ring);
}

static int setup(void **state)
{
	(void)state;
	asleep = false;
	strcpy(path, "/tmp/plx-soft-nvme-XXXXXX");
	file = mkstemp(path);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, FILE_LEN), 0);
	rig_start(&conf);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (rig_nvme)
		rig_end();
	close(file);
	unlink(path);
	return 0;
}

static void blocks_are_the_files(void **state)
{
	uint8_t bytes[8192];

	(void)state;
	for (unsigned i = 0; i < 8192; i++)
		rig_data()[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(
		rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 100, 16, RIG_DATA, RIG_DATA + RIG_PAGE)), 0);
	assert_int_equal(pread(file, bytes, 8192, 51200), 8192);
	assert_memory_equal(bytes, rig_data(), 8192);
	memset(bytes, 0x3c, 8192);
	assert_int_equal(pwrite(file, bytes, 512, FILE_LEN - 512), 512);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 2047, 1, RIG_DATA + 100, 0)), 0);
	assert_memory_equal(rig_data() + 100, bytes, 512);
}

static void every_command_works(void **state)
{
	struct plx_nvme_dsm_range *range = (void *)(rig_data() + 65536);
	struct plx_nvme_cmd dsm = { .opcode = PLX_NVME_DSM,
				    .nsid = 1,
				    .prp1 = RIG_DATA + 65536,
				    .cdw10 = 2,
				    .cdw11 = PLX_NVME_DSM_DEALLOCATE };
	struct plx_nvme_cmd fua = rig_rw(PLX_NVME_WRITE, 1, 0, 8, RIG_DATA, 0);

	(void)state;
	memset(rig_data(), 0x77, RIG_PAGE);
	fua.cdw12 |= PLX_NVME_FUA;
	assert_int_equal(rig_io(1, fua), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_COMPARE, 1, 0, 8, RIG_DATA, 0)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_COMPARE, 1, 1, 8, RIG_DATA, 0)),
			 PLX_NVME_COMPARE_FAILURE);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_VERIFY, 1, 0, 8, 0, 0)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE_ZEROES, 1, 1, 1, 0, 0)), 0);
	range[0] = (struct plx_nvme_dsm_range){ .lba = 3, .blocks = 1 };
	range[1] = (struct plx_nvme_dsm_range){ .lba = 0, .blocks = 0 };
	range[2] = (struct plx_nvme_dsm_range){ .lba = 5, .blocks = 2 };
	assert_int_equal(rig_io(1, dsm), 0);
	assert_int_equal(rig_io(1, (struct plx_nvme_cmd){ .opcode = PLX_NVME_FLUSH, .nsid = 1 }),
			 0);
	assert_int_equal(rig_io(1, (struct plx_nvme_cmd){ .opcode = PLX_NVME_FLUSH,
							  .nsid = PLX_NVME_NSID_ALL }),
			 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 8, RIG_DATA, 0)), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(rig_data()[i * 512],
				 i == 1 || i == 3 || i == 5 || i == 6 ? 0 : 0x77);
	/* Ranges that are all empty take no time. */
	range[0].blocks = range[2].blocks = 0;
	assert_int_equal(rig_io(1, dsm), 0);
}

/* As the driver wants them to, or all of them without a write cache [NVM 3.2.6, 3.2.8]. */
static void blocks_last_before_they_are_done(void **state)
{
	const struct plx_nvme_cmd dsm = { .opcode = PLX_NVME_DSM,
					  .nsid = 1,
					  .prp1 = RIG_DATA,
					  .cdw11 = PLX_NVME_DSM_DEALLOCATE,
					  .cdw12 = PLX_NVME_FUA /* says nothing there */ };
	const struct plx_nvme_cmd no_cache = { .opcode = PLX_NVME_SET_FEATURES,
					       .cdw10 = PLX_NVME_FEAT_WRITE_CACHE };

	(void)state;
	*(struct plx_nvme_dsm_range *)(void *)rig_data() =
		(struct plx_nvme_dsm_range){ .lba = 3, .blocks = 1 };
	for (unsigned always = 0; always < 2; always++) {
		struct plx_nvme_cmd zeroes = rig_rw(PLX_NVME_WRITE_ZEROES, 1, 1, 1, 0, 0);
		struct plx_nvme_cmd write = rig_rw(PLX_NVME_WRITE, 1, 0, 1, RIG_DATA, 0);

		memset(asked, 0, sizeof(asked));
		lasting = 0;
		assert_int_equal(rig_io(1, write), 0);
		assert_int_equal(rig_io(1, zeroes), 0);
		assert_int_equal(rig_io(1, dsm), 0);
		assert_int_equal(lasting, always);
		assert_int_equal(asked[IORING_OP_FALLOCATE], 2);
		assert_int_equal(asked[IORING_OP_FSYNC], 2 * always);
		write.cdw12 |= PLX_NVME_FUA;
		zeroes.cdw12 |= PLX_NVME_FUA;
		assert_int_equal(rig_io(1, write), 0);
		assert_int_equal(lasting, 1 + always);
		assert_int_equal(rig_io(1, zeroes), 0);
		assert_int_equal(asked[IORING_OP_FALLOCATE], 3);
		assert_int_equal(asked[IORING_OP_FSYNC], 1 + 2 * always);
		assert_int_equal(rig_admin(no_cache, NULL), 0);
	}
}

/* While all that is left to do is the kernel's, its threads may have this CPU. Only then. */
static void the_kernel_may_have_the_cpu(void **state)
{
	struct plx_nvme_cqe cqe;

	(void)state;
	yields = 0;
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 2, 0, 8, RIG_DATA, 0)), 0);
	soft_nvme_turn(rig_nvme);
	assert_int_equal(yields, 0);
	asleep = true;
	rig_put(1, rig_rw(PLX_NVME_WRITE, 1, 0, 8, RIG_DATA, 0));
	rig_ring(1);
	soft_nvme_turn(rig_nvme);
	assert_int_equal(yields, 0);
	soft_nvme_turn(rig_nvme);
	assert_int_equal(yields, 1);
	asleep = false;
	while (!rig_take(1, &cqe))
		usleep(100);
	assert_int_equal(cqe.status >> 1, 0);
	yields = 0;
	soft_nvme_turn(rig_nvme);
	assert_int_equal(yields, 0);
}

static void wrong_buffers_are_told_at_once(void **state)
{
	(void)state;
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_NOWHERE, 0)),
			 BAD(DATA_TRANSFER_ERROR));
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 9, RIG_DATA, RIG_DATA + 4)),
			 BAD(INVALID_PRP_OFFSET));
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 2048, 1, RIG_DATA, 0)),
			 BAD(LBA_OUT_OF_RANGE));
}

/* Somebody else makes the file shorter: a block that isn't there can't be read. */
static void a_shorter_file_is_a_media_error(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(file, 4096), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 8, RIG_DATA, 0)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 8, 8, RIG_DATA, 0)),
			 PLX_NVME_UNRECOVERED_READ);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 4, 8, RIG_DATA, 0)),
			 PLX_NVME_UNRECOVERED_READ);
}

/* What is under way when the client's memory goes, or the queue, or the client, hurts nobody. */
static void memory_may_go_meanwhile(void **state)
{
	struct plx_nvme_cqe cqe;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		rig_put(1, rig_rw(PLX_NVME_READ, 1, 8 * i, 8, RIG_DATA + RIG_PAGE * i, 0));
	rig_ring(1);
	soft_nvme_turn(rig_nvme);
	fake_unmap(0, RIG_DATA);
	for (unsigned done = 0, wait = 0; done < 8; wait++) {
		assert_true(wait < 5000);
		if (!rig_take(1, &cqe)) {
			usleep(100);
			continue;
		}
		/* Those that were quicker than the client went well. */
		assert_true(!(cqe.status >> 1) || cqe.status >> 1 == BAD(DATA_TRANSFER_ERROR));
		done++;
	}
}

static void queues_may_go_meanwhile(void **state)
{
	struct plx_nvme_cqe cqe;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 8; i++)
			rig_put(1, rig_rw(PLX_NVME_WRITE, 1, 8 * i, 8, RIG_DATA, 0));
		rig_ring(1);
		soft_nvme_turn(rig_nvme);
		switch (round % 3) {
		case 0:
			assert_int_equal(rig_delete_sq(1), 0);
			assert_int_equal(rig_delete_cq(1), 0);
			break;
		default:
			fake_reg_set(0, NVME_CC, 0);
			rig_enable();
			break;
		}
		assert_int_equal(rig_create(1), 0);
		usleep(1000);
		assert_false(rig_take(1, &cqe));
		assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 8, RIG_DATA, 0)), 0);
	}
	for (unsigned i = 0; i < 8; i++)
		rig_put(1, rig_rw(PLX_NVME_WRITE, 1, 8 * i, 8, RIG_DATA, 0));
	rig_ring(1);
	soft_nvme_turn(rig_nvme);
	fake_leave(0);
	soft_nvme_turn(rig_nvme);
}

/* Nothing of before may come over what is written after: the last of these ranges is LBA 0. */
static void start_a_long_trim(void)
{
	struct plx_nvme_dsm_range *range = (void *)(rig_data() + 65536);

	memset(rig_data(), 0x77, 65536);
	for (unsigned i = 0; i < FILE_LEN; i += 65536)
		assert_int_equal(pwrite(file, rig_data(), 65536, i), 65536);
	for (unsigned i = 0; i < PLX_NVME_DSM_RANGES; i++)
		range[i] = (struct plx_nvme_dsm_range){ .lba = 8 * ((i + 1) % PLX_NVME_DSM_RANGES),
							.blocks = 8 };
	rig_put(1, (struct plx_nvme_cmd){ .opcode = PLX_NVME_DSM,
					  .nsid = 1,
					  .prp1 = RIG_DATA + 65536,
					  .cdw10 = PLX_NVME_DSM_RANGES - 1,
					  .cdw11 = PLX_NVME_DSM_DEALLOCATE });
	rig_ring(1);
	soft_nvme_turn(rig_nvme);
}

static void block_0_is_written_and_stays(void)
{
	memset(rig_data(), 0x5a, RIG_PAGE);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 1, RIG_DATA, 0)), 0);
	for (unsigned i = 0; i < 1000; i++) {
		rig_turn();
		usleep(100);
	}
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA + RIG_PAGE, 0)), 0);
	assert_memory_equal(rig_data(), rig_data() + RIG_PAGE, 512);
}

static void a_reset_ends_what_is_under_way(void **state)
{
	(void)state;
	start_a_long_trim();
	fake_reg_set(0, NVME_CC, 0);
	rig_enable();
	assert_int_equal(rig_create(1), 0);
	block_0_is_written_and_stays();
}

static void a_deleted_queue_has_nothing_under_way(void **state)
{
	(void)state;
	start_a_long_trim();
	assert_int_equal(rig_delete_sq(1), 0);
	assert_int_equal(rig_delete_cq(1), 0);
	assert_int_equal(rig_create(1), 0);
	block_0_is_written_and_stays();
}

static void a_client_that_leaves_has_nothing_under_way(void **state)
{
	uint8_t byte = 0x5a;

	(void)state;
	start_a_long_trim();
	fake_leave(0);
	assert_int_equal(pwrite(file, &byte, 1, 0), 1);
	for (unsigned i = 0; i < 1000; i++) {
		rig_turn();
		usleep(100);
	}
	assert_int_equal(pread(file, &byte, 1, 0), 1);
	assert_int_equal(byte, 0x5a);
}

static void formatting_waits_for_what_is_under_way(void **state)
{
	const struct plx_nvme_cmd format = { .opcode = PLX_NVME_FORMAT, .nsid = 1, .cdw10 = 1 };
	struct plx_nvme_cqe cqe;

	(void)state;
	start_a_long_trim();
	assert_int_equal(rig_admin(format, NULL), 0);
	assert_true(rig_take_only(1, &cqe));
	assert_int_equal(cqe.status >> 1, 0);
	block_0_is_written_and_stays();
}

static void shutting_down_waits_for_what_is_under_way(void **state)
{
	uint8_t byte;

	(void)state;
	start_a_long_trim();
	fake_reg_set(0, NVME_CC, fake_reg(0, NVME_CC) | NVME_CC_SHN_NORMAL);
	assert_int_equal(fake_reg(0, NVME_CSTS) & NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	assert_int_equal(pread(file, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
}

static void set_command(uint16_t command)
{
	assert_int_equal(fake_access(0, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2, true), 0);
}

/* What is done while the controller is no bus master is told when it is one again. */
static void completions_wait_for_the_bus(void **state)
{
	struct plx_nvme_cqe cqe;
	uint8_t byte = 1;

	(void)state;
	start_a_long_trim();
	set_command(2);
	for (unsigned wait = 0; byte; wait++) {
		assert_true(wait < 5000);
		rig_turn();
		usleep(100);
		assert_int_equal(pread(file, &byte, 1, 0), 1);
	}
	usleep(10000);
	assert_false(rig_take(1, &cqe));
	set_command(6);
	assert_true(rig_take(1, &cqe));
	assert_int_equal(cqe.status >> 1, 0);
	/* There are as many entries for completions as before. */
	for (unsigned i = 0; i < RIG_ENTRIES - 1; i++)
		rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	rig_turn();
	for (unsigned i = 0; i < RIG_ENTRIES - 1; i++)
		assert_true(rig_take_only(1, &cqe));
}

/* A command that had to wait is counted once. */
static void mishaps_count_commands_once(void **state)
{
	const struct plx_nvme_cmd flush = { .opcode = PLX_NVME_FLUSH, .nsid = PLX_NVME_NSID_ALL };
	struct plx_nvme_cqe cqe;
	unsigned done = 0;

	(void)state;
	rig_end();
	rig_start(&(struct rig_conf){ .ns = disks, .namespaces = 2, .inject = "stuck=3" });
	for (unsigned i = 0; i < 3; i++)
		rig_put(1, flush);
	rig_ring(1);
	/* One at a time, and the third is stuck. */
	for (unsigned wait = 0; wait < 1000; wait++) {
		done += rig_take(1, &cqe);
		usleep(100);
	}
	assert_int_equal(done, 2);
	/* None had to wait in vain: all were counted. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0)), 0);
	rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
	rig_ring(1);
	assert_false(rig_take(1, &cqe));
}

static void formatting_empties_the_file(void **state)
{
	const struct plx_nvme_cmd format = { .opcode = PLX_NVME_FORMAT, .nsid = 1, .cdw10 = 1 };
	struct stat st;
	uint8_t byte;

	(void)state;
	memset(rig_data(), 0x77, RIG_PAGE);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 8, RIG_DATA, 0)), 0);
	assert_int_equal(rig_admin(format, NULL), 0);
	assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(st.st_size, FILE_LEN);
	assert_int_equal(pread(file, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 255, 1, RIG_DATA, 0)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 256, 1, RIG_DATA, 0)),
			 BAD(LBA_OUT_OF_RANGE));
}

static void not_every_file_will_do(void **state)
{
	struct soft_ns_conf ns = { .kind = SOFT_DISK_FILE, .block = 512 };
	const struct soft_nvme_conf made = { .path = "nvme",
					     .ns = &ns,
					     .namespaces = 1,
					     .queues = 1,
					     .entries = 2,
					     .transfer = SOFT_NVME_TRANSFER_MIN };
	struct soft_nvme *nvme;

	(void)state;
	ns.path = "/nonexistent";
	assert_int_equal(soft_nvme_create(&made, &nvme), -ENOENT);
	ns.path = "/tmp";
	assert_int_equal(soft_nvme_create(&made, &nvme), -EISDIR);
	/* One that is a namespace already. */
	ns.path = path;
	assert_int_equal(soft_nvme_create(&made, &nvme), -EBUSY);
	assert_non_null(strstr(fake_said(NULL), "another namespace"));
	ns.path = "/dev/null";
	assert_int_equal(soft_nvme_create(&made, &nvme), -EINVAL);
	assert_int_equal(ftruncate(file, 4095), 0);
	rig_end();
	fake_servers_begin();
	ns.path = path;
	assert_int_equal(soft_nvme_create(&made, &nvme), -EINVAL);
	assert_non_null(strstr(fake_said(NULL), "shorter than a block"));
	fake_servers_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(blocks_are_the_files, setup, teardown),
		cmocka_unit_test_setup_teardown(every_command_works, setup, teardown),
		cmocka_unit_test_setup_teardown(blocks_last_before_they_are_done, setup, teardown),
		cmocka_unit_test_setup_teardown(the_kernel_may_have_the_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_buffers_are_told_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_shorter_file_is_a_media_error, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_may_go_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_may_go_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_ends_what_is_under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(a_deleted_queue_has_nothing_under_way, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_client_that_leaves_has_nothing_under_way, setup,
						teardown),
		cmocka_unit_test_setup_teardown(formatting_waits_for_what_is_under_way, setup,
						teardown),
		cmocka_unit_test_setup_teardown(shutting_down_waits_for_what_is_under_way, setup,
						teardown),
		cmocka_unit_test_setup_teardown(completions_wait_for_the_bus, setup, teardown),
		cmocka_unit_test_setup_teardown(mishaps_count_commands_once, setup, teardown),
		cmocka_unit_test_setup_teardown(formatting_empties_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(not_every_file_will_do, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
