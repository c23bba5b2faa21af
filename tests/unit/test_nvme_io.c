/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVMe driver's requests: what arrives on the disk and in memory, and the PRPs, SGLs and
 * doorbells on the way. The fake controller checks every one of them against the specification.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "nvme_fake.h"

#define BUF_LEN (8u << 20)

static struct plx_nvme_ctrl *ctrl;
static struct plx_nvme_qpair *q;
static struct plx_nvme_ns *ns1, *ns2;
static uint8_t *buf;

static unsigned ndone;
static uint16_t last_status;

static void drop_line(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

static int setup(void **state)
{
	*state = NULL;
	plx_log_set_sink(drop_line, NULL);
	fake_init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unplug();
	return 0;
}

static void start_with(const struct plx_nvme_qpair_opts *opts, const char *args)
{
	ctrl = fake_plug(args);
	assert_int_equal(plx_nvme_qpair_create(ctrl, opts, &q), 0);
	ns1 = plx_nvme_ns_get(ctrl, 1);
	ns2 = plx_nvme_ns_get(ctrl, 2);
	buf = fake_buffer(BUF_LEN);
	for (uint32_t i = 0; i < BUF_LEN; i += 4)
		memcpy(buf + i, &i, 4);
	ndone = 0;
	last_status = 0;
}

static void start(void)
{
	const struct plx_nvme_qpair_opts opts = { .depth = 8 };

	start_with(&opts, "");
}

static void done(void *arg, uint16_t status, uint32_t result)
{
	(void)arg;
	(void)result;
	ndone++;
	last_status = status;
}

/* Until that many requests are done. */
static void finish(unsigned count)
{
	for (unsigned i = 0; i < 10000 && ndone < count; i++) {
		plx_nvme_kick(q);
		fake_run();
		assert_true(plx_nvme_poll(q, 0) >= 0);
	}
	assert_int_equal(ndone, count);
	assert_int_equal(fake_free(q), q->depth);
}

/* One request, from start to end; its status. */
static uint16_t go(const struct plx_nvme_ns *ns, const struct plx_nvme_io *io)
{
	ndone = 0;
	assert_int_equal(plx_nvme_submit(q, ns, io, done, NULL), 0);
	finish(1);
	return last_status;
}

static const struct fake_seen *seen(unsigned back)
{
	return &fake.seen[(fake.nseen - 1 - back) % FAKE_LOG_MAX];
}

static void read_to(void *to, uint64_t lba, uint32_t blocks)
{
	ndone = 0;
	assert_int_equal(plx_nvme_read(q, ns1, to, lba, blocks, done, NULL), 0);
	finish(1);
	assert_int_equal(last_status, 0);
}

static void test_read_write(void **state)
{
	const struct plx_nvme_cmd *cmd;

	(void)state;
	start();
	assert_int_equal(plx_nvme_write(q, ns2, buf, 7, 1, done, NULL), 0);
	assert_int_equal(fake.nseen, 0);
	finish(1);
	assert_int_equal(last_status, 0);
	assert_memory_equal(fake.conf.ns[1].data + 7 * 4096, buf, 4096);
	cmd = &seen(0)->cmd;
	assert_int_equal(cmd->opcode, PLX_NVME_WRITE);
	assert_int_equal(cmd->nsid, 2);
	assert_int_equal(cmd->cdw10, 7);
	assert_int_equal(cmd->cdw12, 0);
	assert_int_equal(cmd->mptr, 0);
	read_to(buf + 8192, 0, 8);
	assert_memory_equal(buf + 8192, fake.conf.ns[0].data, 4096);
	ndone = 0;
	assert_int_equal(plx_nvme_read(q, ns2, buf + 8192, 7, 1, done, NULL), 0);
	finish(1);
	assert_memory_equal(buf + 8192, buf, 4096);
}

/* Every start in a page and many lengths, by PRPs and by SGLs, in frames in and out of order. */
static void all_shapes(const char *args)
{
	static const uint32_t starts[] = { 0, 4, 508, 2048, 4092, 2097152 - 4096, 2097152 - 516 };
	static const uint32_t lengths[] = { 1, 2, 7, 8, 9, 16, 17, 63, 64, 255, 256 };
	const struct plx_nvme_qpair_opts opts = { .depth = 4 };

	start_with(&opts, args);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
			uint8_t *at = buf + starts[i];
			uint32_t len = lengths[k] * 512;

			ndone = 0;
			assert_int_equal(plx_nvme_write(q, ns1, at, k, lengths[k], done, NULL), 0);
			finish(1);
			assert_int_equal(last_status, 0);
			assert_memory_equal(fake.conf.ns[0].data + k * 512, at, len);
			memset(buf + (4 << 20) + starts[i], 0xee, len + 4);
			read_to(buf + (4 << 20) + starts[i], k, lengths[k]);
			assert_memory_equal(buf + (4 << 20) + starts[i], at, len);
			assert_int_equal(buf[(4 << 20) + starts[i] + len], 0xee);
		}
	}
	plx_nvme_qpair_destroy(q);
}

static void test_shapes(void **state)
{
	(void)state;
	all_shapes("");
}

static void test_shapes_scattered(void **state)
{
	(void)state;
	fake.conf.scattered = true;
	all_shapes("");
}

static void test_shapes_sgl(void **state)
{
	(void)state;
	fake.conf.sgls = 1;
	fake.conf.scattered = true;
	all_shapes("");
	assert_int_equal(seen(0)->cmd.flags, PLX_NVME_PSDT_SGL);
}

static void test_shapes_large_pages(void **state)
{
	(void)state;
	fake.conf.mpsmin = fake.conf.mpsmax = 4; /* 64 KiB */
	fake.conf.mdts = 1;
	all_shapes("");
}

static void test_prps(void **state)
{
	static const struct {
		uint32_t start, blocks;
		unsigned prps, pages;
	} rows[] = {
		{ 0, 8, 1, 0 },	 { 0, 9, 2, 0 },  { 512, 8, 2, 0 },  { 0, 16, 2, 0 },
		{ 4, 16, 3, 1 }, { 0, 17, 3, 1 }, { 0, 256, 32, 1 }, { 4092, 256, 33, 1 },
	};

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		read_to(buf + rows[i].start, 0, rows[i].blocks);
		assert_int_equal(seen(0)->prps, rows[i].prps);
		assert_int_equal(seen(0)->pages, rows[i].pages);
		assert_int_equal(seen(0)->cmd.flags, 0);
	}
}

/* A list of more than a page is chained. */
static void test_prp_chain(void **state)
{
	static const uint32_t blocks[] = { 4096, 4104 / 8 * 8, 512 * 8 + 8, 1024 * 8, 8192 };
	const struct plx_nvme_qpair_opts opts = { .depth = 2, .max_transfer = 4 << 20 };

	(void)state;
	fake.conf.mdts = 0;
	fake.conf.ns[0].blocks = 16384;
	start_with(&opts, "");
	for (uint32_t i = 0; i < 16384 * 512; i += 4)
		memcpy(fake.conf.ns[0].data + i, &i, 4);
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		for (uint32_t start_at = 0; start_at <= 8; start_at += 4) {
			memset(buf, 0, BUF_LEN);
			read_to(buf + start_at, 3, blocks[i]);
			assert_memory_equal(buf + start_at, fake.conf.ns[0].data + 3 * 512,
					    blocks[i] * 512);
			assert_int_equal(seen(0)->pages,
					 1 + (seen(0)->prps > 513) + (seen(0)->prps > 1024));
		}
	}
}

static void test_sgl_descriptors(void **state)
{
	struct iovec iov[3];
	const struct plx_nvme_io io = {
		.opcode = PLX_NVME_READ, .lba = 0, .blocks = 64, .iov = iov, .iovcnt = 3
	};

	(void)state;
	fake.conf.sgls = 1;
	start();
	/* In one piece for the device: one descriptor, however many pages. */
	read_to(buf + 4, 0, 200);
	assert_int_equal(seen(0)->sgls, 1);
	assert_int_equal(seen(0)->cmd.flags, PLX_NVME_PSDT_SGL);
	/* Two pages are as well named by PRPs. */
	read_to(buf, 0, 16);
	assert_int_equal(seen(0)->cmd.flags, 0);
	/* Neighbours become one; the metadata's and other fields are as ever. */
	iov[0] = (struct iovec){ buf + 4, 1000 };
	iov[1] = (struct iovec){ buf + 1004, 20000 };
	iov[2] = (struct iovec){ buf + 65540, 64 * 512 - 21000 };
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(seen(0)->sgls, 2);
	assert_memory_equal(buf + 4, fake.conf.ns[0].data, 21000);
	assert_memory_equal(buf + 65540, fake.conf.ns[0].data + 21000, 64 * 512 - 21000);
}

/* Longer than a command may be: several, of which one callback comes. */
static void test_split(void **state)
{
	(void)state;
	start();
	assert_int_equal(plx_nvme_write(q, ns2, buf + 512, 1, 500, done, NULL), 0);
	finish(1);
	assert_int_equal(last_status, 0);
	assert_int_equal(fake.nseen, 16); /* 2000 KiB in commands of 128 */
	assert_memory_equal(fake.conf.ns[1].data + 4096, buf + 512, 500 * 4096);
	memset(buf, 0, 2500000);
	ndone = 0;
	assert_int_equal(plx_nvme_read(q, ns2, buf, 1, 500, done, NULL), 0);
	finish(1);
	assert_memory_equal(fake.conf.ns[1].data + 4096, buf, 500 * 4096);
}

/* The first failure is the request's; the pieces after it aren't sent any more. */
static void test_split_fails(void **state)
{
	(void)state;
	start();
	fake.fail_status = PLX_NVME_UNRECOVERED_READ | PLX_NVME_DNR;
	fake.fail_count = 1;
	assert_int_equal(plx_nvme_read(q, ns2, buf, 0, 1000, done, NULL), 0);
	finish(1);
	assert_int_equal(last_status, PLX_NVME_UNRECOVERED_READ | PLX_NVME_DNR);
	assert_true(fake.nseen <= 16);
	assert_int_equal(q->errors, 1);
	/* Past the end of the namespace: its tail is refused. */
	ndone = 0;
	assert_int_equal(plx_nvme_read(q, ns2, buf, FAKE_BLOCKS - 64, 65, done, NULL), 0);
	finish(1);
	assert_int_equal(last_status, PLX_NVME_LBA_OUT_OF_RANGE | PLX_NVME_DNR);
}

/* It gets along with the trackers that are left, one at least. */
static void test_split_in_crowd(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(plx_nvme_read(q, ns1, buf + i * 512, i, 1, done, NULL), 0);
	assert_int_equal(plx_nvme_read(q, ns2, buf + 65536, 0, 300, done, NULL), 0);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), -EAGAIN);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1000, done, NULL), -EAGAIN);
	finish(8);
	assert_memory_equal(fake.conf.ns[1].data, buf + 65536, 300 * 4096);
}

static void test_boundary(void **state)
{
	(void)state;
	fake.conf.ns[0].noiob = 64;
	start();
	/* The fake fails the test if a command crosses. */
	read_to(buf, 60, 8);
	assert_int_equal(fake.nseen, 2);
	read_to(buf, 64, 64);
	assert_int_equal(fake.nseen, 3);
	read_to(buf, 1, 255);
	assert_int_equal(fake.nseen, 7);
	assert_memory_equal(buf, fake.conf.ns[0].data + 512, 255 * 512);
}

/* Only what PRPs can name goes in one command; what ends at blocks can go in several. */
static void test_iovec(void **state)
{
	struct iovec iov[4] = {
		{ buf, 0 },
	};
	struct plx_nvme_io io = {
		.opcode = PLX_NVME_WRITE, .lba = 10, .blocks = 32, .iov = iov, .iovcnt = 4
	};

	(void)state;
	start();
	iov[0] = (struct iovec){ buf + 4096 - 512, 512 };
	iov[1] = (struct iovec){ buf + 16384, 4096 };
	iov[2] = (struct iovec){ buf + 32768, 0 };
	iov[3] = (struct iovec){ buf + 65536, 16384 - 4096 - 512 };
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(fake.nseen, 1);
	assert_int_equal(seen(0)->prps, 5);
	assert_memory_equal(fake.conf.ns[0].data + 5120, buf + 3584, 512);
	assert_memory_equal(fake.conf.ns[0].data + 5120 + 512, buf + 16384, 4096);
	assert_memory_equal(fake.conf.ns[0].data + 5120 + 4608, buf + 65536, 16384 - 4608);

	iov[0] = (struct iovec){ buf + 512, 1024 };
	iov[1] = (struct iovec){ buf + 8192 + 512, 16384 - 1024 };
	io.iovcnt = 2;
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(fake.nseen, 3);
	assert_memory_equal(fake.conf.ns[0].data + 5120, buf + 512, 1024);
	assert_memory_equal(fake.conf.ns[0].data + 5120 + 1024, buf + 8704, 16384 - 1024);

	/* A block in two places that no page boundary joins. */
	iov[0].iov_len = 1028;
	iov[1].iov_len = 16384 - 1028;
	assert_int_equal(plx_nvme_submit(q, ns1, &io, done, NULL), -EINVAL);
	iov[1].iov_len -= 4; /* too little */
	assert_int_equal(plx_nvme_submit(q, ns1, &io, done, NULL), -EINVAL);
	assert_int_equal(fake_free(q), q->depth);
	assert_int_equal(fake.nseen, 3);
}

static void test_iovec_sgl(void **state)
{
	struct iovec iov[64];
	struct plx_nvme_io io = {
		.opcode = PLX_NVME_WRITE, .lba = 10, .blocks = 64, .iov = iov, .iovcnt = 64
	};

	(void)state;
	fake.conf.sgls = 1;
	start();
	for (unsigned i = 0; i < 64; i++)
		iov[i] = (struct iovec){ buf + i * 1024 + 4, i & 1 ? 516 : 508 };
	/* 64 descriptors don't fit the 32 of a list: two commands. */
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(fake.nseen, 2);
	for (unsigned i = 0, at = 5120; i < 64; at += iov[i++].iov_len)
		assert_memory_equal(fake.conf.ns[0].data + at, iov[i].iov_base, iov[i].iov_len);
}

static void test_refused(void **state)
{
	static uint8_t elsewhere[4096] __attribute__((aligned(4096)));
	struct plx_nvme_io io = { .opcode = PLX_NVME_READ, .blocks = 1 };

	(void)state;
	start();
	assert_int_equal(plx_nvme_read(q, ns1, elsewhere, 0, 1, done, NULL), -EFAULT);
	assert_int_equal(plx_nvme_read(q, ns1, NULL, 0, 1, done, NULL), -EFAULT);
	assert_int_equal(plx_nvme_read(q, ns1, elsewhere, 0, 5000, done, NULL), -EFAULT);
	/* Its first frame is mapped, the next isn't. */
	assert_int_equal(plx_nvme_read(q, ns1, buf + BUF_LEN - 512, 0, 2, done, NULL), -EFAULT);
	assert_int_equal(plx_nvme_read(q, ns1, buf + BUF_LEN - 512, 0, 2000, done, NULL), -EFAULT);
	assert_int_equal(plx_nvme_read(q, ns1, buf + 2, 0, 1, done, NULL), -EINVAL);
	assert_int_equal(plx_nvme_read(q, ns1, buf + 1, 0, 1000, done, NULL), -EINVAL);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 0, done, NULL), -EINVAL);
	io.buf = buf;
	io.flags = 1;
	assert_int_equal(plx_nvme_submit(q, ns1, &io, done, NULL), -EINVAL);
	assert_int_equal(fake_free(q), q->depth);
	assert_int_equal(ndone, 0);
	/* What the namespace hasn't got the controller refuses. */
	assert_int_equal(plx_nvme_read(q, ns1, buf, FAKE_BLOCKS, 1, done, NULL), 0);
	finish(1);
	assert_int_equal(last_status, PLX_NVME_LBA_OUT_OF_RANGE | PLX_NVME_DNR);
}

static void test_other_commands(void **state)
{
	struct plx_nvme_dsm_range *range;
	struct plx_nvme_io io = { .opcode = PLX_NVME_COMPARE, .lba = 3, .blocks = 2, .buf = NULL };
	struct plx_nvme_cmd raw = { .opcode = PLX_NVME_READ, .nsid = 1, .cdw12 = 1 };

	(void)state;
	start();
	io.buf = buf;
	assert_int_equal(go(ns1, &io), PLX_NVME_COMPARE_FAILURE);
	io.opcode = PLX_NVME_WRITE;
	io.flags = PLX_NVME_FUA;
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(seen(0)->cmd.cdw12, PLX_NVME_FUA | 1);
	io.opcode = PLX_NVME_COMPARE;
	io.flags = 0;
	assert_int_equal(go(ns1, &io), 0);
	io.opcode = PLX_NVME_VERIFY;
	io.buf = NULL;
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(seen(0)->cmd.prp1, 0);
	io.opcode = PLX_NVME_WRITE_ZEROES;
	io.flags = PLX_NVME_DEAC;
	io.blocks = FAKE_BLOCKS - 3;
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(seen(0)->cmd.cdw12, PLX_NVME_DEAC | (FAKE_BLOCKS - 4));
	assert_int_equal(fake.conf.ns[0].data[3 * 512 + 4], 0);

	memset(fake.conf.ns[0].data, 0xaa, 8192);
	range = (struct plx_nvme_dsm_range *)(buf + 4096);
	range[0] = (struct plx_nvme_dsm_range){ .blocks = 1, .lba = 2 };
	range[1] = (struct plx_nvme_dsm_range){ .blocks = 2, .lba = 5 };
	ndone = 0;
	assert_int_equal(plx_nvme_dsm(q, ns1, range, 0, 0, done, NULL), -EINVAL);
	assert_int_equal(plx_nvme_dsm(q, ns1, range, 257, 0, done, NULL), -EINVAL);
	assert_int_equal(plx_nvme_dsm(q, ns1, range, 2, PLX_NVME_DSM_DEALLOCATE, done, NULL), 0);
	assert_int_equal(plx_nvme_flush(q, ns1, done, NULL), 0);
	finish(2);
	assert_int_equal(seen(0)->cmd.opcode, PLX_NVME_FLUSH);
	assert_int_equal(fake.conf.ns[0].data[2 * 512], 0);
	assert_int_equal(fake.conf.ns[0].data[6 * 512], 0);
	assert_int_equal(fake.conf.ns[0].data[3 * 512], 0xaa);

	ndone = 0;
	assert_int_equal(plx_nvme_io_command(q, &raw, buf, 1024, done, NULL), 0);
	assert_int_equal(plx_nvme_io_command(q, &raw, buf, 1 << 20, done, NULL), -EINVAL);
	finish(1);
	assert_memory_equal(buf, fake.conf.ns[0].data, 1024);
	raw.opcode = 0x99;
	ndone = 0;
	assert_int_equal(plx_nvme_io_command(q, &raw, NULL, 0, done, NULL), 0);
	finish(1);
	assert_int_equal(last_status, PLX_NVME_INVALID_OPCODE | PLX_NVME_DNR);
}

/* It moves no data, but its length is limited as if it did. */
static void test_verify_is_split(void **state)
{
	const struct plx_nvme_io io = { .opcode = PLX_NVME_VERIFY, .lba = 1, .blocks = 100 };

	(void)state;
	start();
	assert_int_equal(go(ns2, &io), 0);
	assert_int_equal(fake.nseen, 4); /* of 128 KiB at most */
	assert_int_equal(seen(0)->cmd.cdw10, 97);
	assert_int_equal(seen(0)->cmd.cdw12, 3);
}

/* Each has its own limit, if it has one: of no blocks that are moved. */
static void test_limits(void **state)
{
	struct plx_nvme_io io = { .opcode = PLX_NVME_VERIFY, .lba = 1, .blocks = 100 };

	(void)state;
	fake.conf.limits = true;
	fake.conf.vsl = 6;
	fake.conf.wzsl = 4;
	start();
	assert_int_equal(go(ns2, &io), 0);
	assert_int_equal(fake.nseen, 2); /* of 256 KiB at most */
	io.opcode = PLX_NVME_WRITE_ZEROES;
	assert_int_equal(go(ns2, &io), 0);
	assert_int_equal(fake.nseen, 2 + 7); /* of 64 KiB */
	assert_int_equal(seen(0)->cmd.cdw10, 97);
	assert_int_equal(seen(0)->cmd.cdw12, 3);
	assert_int_equal(seen(1)->cmd.cdw12, 15);
	/* And another one after a reset. */
	fake.conf.wzsl = 0;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	assert_int_equal(go(ns2, &io), 0);
	assert_int_equal(fake.nseen, 9 + 1);
	/* Nor is the other left over from before. */
	fake.conf.limits = false;
	fake.conf.vsl = 0;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	io.opcode = PLX_NVME_VERIFY;
	assert_int_equal(go(ns2, &io), 0);
	assert_int_equal(fake.nseen, 10 + 4);
	assert_int_equal(fake.limits_asked, 3);
}

/* The page may be unknown, and who is older isn't asked for it: that would be an error it logs. */
static void test_no_limits(void **state)
{
	const struct plx_nvme_io io = { .opcode = PLX_NVME_WRITE_ZEROES, .lba = 1, .blocks = 100 };

	(void)state;
	start();
	assert_int_equal(fake.limits_asked, 1);
	assert_int_equal(go(ns2, &io), 0);
	assert_int_equal(fake.nseen, 1);
	fake_unplug();
	fake_init();
	fake.conf.old = true;
	start();
	assert_int_equal(fake.limits_asked, 0);
}

static void test_separate_metadata(void **state)
{
	struct plx_nvme_io io = { .opcode = PLX_NVME_WRITE,
				  .lba = 5,
				  .blocks = 300,
				  .ref_tag = 5,
				  .app_tag = 0x1234,
				  .app_mask = 0xff00 };

	(void)state;
	fake.conf.ns[0].ms = 8;
	fake.conf.ns[0].pi = 1;
	start();
	/* The controller would put it at address 0. */
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), -EINVAL);
	io.buf = buf;
	io.meta = buf + (2 << 20) + 4;
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(fake.nseen, 2); /* 128 KiB and the rest */
	assert_int_equal(seen(1)->cmd.cdw14, 5);
	assert_int_equal(seen(0)->cmd.cdw14, 5 + 256);
	assert_int_equal(seen(0)->cmd.cdw15, 0xff001234);
	assert_memory_equal(fake.conf.ns[0].meta + 40, io.meta, 2400);
	assert_memory_equal(fake.conf.ns[0].data + 5 * 512, buf, 300 * 512);
	io.opcode = PLX_NVME_READ;
	io.meta = buf + (5 << 20);
	assert_int_equal(go(ns1, &io), 0);
	assert_memory_equal(fake.conf.ns[0].meta + 40, io.meta, 2400);
	io.meta = buf + 2;
	assert_int_equal(plx_nvme_submit(q, ns1, &io, done, NULL), -EINVAL);
	io.meta = &io;
	assert_int_equal(plx_nvme_submit(q, ns1, &io, done, NULL), -EFAULT);
	/* The controller makes it and strips it. */
	io.flags = PLX_NVME_PRACT;
	io.meta = NULL;
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(seen(0)->cmd.mptr, 0);
}

/* What is a neighbour here isn't one for the device: it takes a command for each part. */
static void test_torn_metadata(void **state)
{
	struct plx_nvme_io io = { .opcode = PLX_NVME_READ, .blocks = 255 };
	const size_t ms = 16384;

	(void)state;
	fake.conf.ns[0].ms = 16384;
	fake.conf.torn = true;
	start();
	io.buf = buf;
	io.meta = buf + (1 << 20);
	for (size_t k = 0; k < 255 * ms; k++)
		fake.conf.ns[0].meta[k] = (uint8_t)(k * 7 >> 5);
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(fake.nseen, 3);
	assert_memory_equal(io.meta, fake.conf.ns[0].meta, 255 * ms);
	/* A block's metadata has one address: it can't lie across. */
	io.meta = buf + (2 << 20) - 4;
	assert_int_equal(plx_nvme_submit(q, ns1, &io, done, NULL), -EINVAL);
	io.meta = buf + BUF_LEN - ms;
	assert_int_equal(plx_nvme_submit(q, ns1, &io, done, NULL), -EFAULT);
	assert_int_equal(fake_free(q), 8);
}

/* Pages that hold more than a command may move. */
static void test_pages_above_limit(void **state)
{
	const struct plx_nvme_qpair_opts opts = { .depth = 8 };

	(void)state;
	fake.conf.mpsmax = 4;
	fake.conf.mdts = 1;
	start_with(&opts, "page=65536");
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 64, done, NULL), 0);
	finish(1);
	assert_int_equal(last_status, 0);
	assert_int_equal(fake.nseen, 4);
	assert_memory_equal(buf, fake.conf.ns[0].data, 64 * 512);
}

static void test_interleaved_metadata(void **state)
{
	struct plx_nvme_io io = { .opcode = PLX_NVME_WRITE, .lba = 1, .blocks = 300 };

	(void)state;
	fake.conf.ns[0].ms = 8;
	fake.conf.ns[0].extended = true;
	fake.conf.ns[0].pi = 1;
	start();
	io.buf = buf + 4;
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(fake.nseen, 2);
	for (unsigned i = 0; i < 300; i++) {
		assert_memory_equal(fake.conf.ns[0].data + (1 + i) * 512, buf + 4 + i * 520, 512);
		assert_memory_equal(fake.conf.ns[0].meta + (1 + i) * 8, buf + 516 + i * 520, 8);
	}
	io.flags = PLX_NVME_PRACT;
	io.blocks = 256; /* one command: 512 bytes a block */
	assert_int_equal(go(ns1, &io), 0);
	assert_int_equal(fake.nseen, 3);
	assert_memory_equal(fake.conf.ns[0].data + 512, buf + 4, 256 * 512);
}

static unsigned chain_left;
static unsigned chain_done;

static void next_in_chain(void *arg, uint16_t status, uint32_t result)
{
	(void)result;
	assert_int_equal(status, 0);
	chain_done++;
	if (chain_left) {
		chain_left--;
		assert_int_equal(
			plx_nvme_read(q, ns1, arg, chain_left % FAKE_BLOCKS, 1, next_in_chain, arg),
			0);
	}
}

/* Around the rings many times, at depths of which the smallest has rings of two entries. */
static void test_depths(void **state)
{
	static const uint32_t depths[] = { 1, 2, 3, 31, 255 };

	(void)state;
	fake.conf.mdts = 0;
	start();
	plx_nvme_qpair_destroy(q);
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		const struct plx_nvme_qpair_opts opts = { .depth = depths[i] };

		assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q), 0);
		chain_left = 3000;
		chain_done = 0;
		for (uint32_t k = 0; k < depths[i]; k++)
			assert_int_equal(plx_nvme_read(q, ns1, buf + k * 512, k, 1, next_in_chain,
						       buf + k * 512),
					 0);
		assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), -EAGAIN);
		while (chain_done < 3000 + depths[i]) {
			plx_nvme_kick(q);
			fake_run();
			assert_true(plx_nvme_poll(q, 7) > 0);
		}
		assert_int_equal(fake_free(q), depths[i]);
		plx_nvme_qpair_destroy(q);
	}
}

static bool in_cmb(const void *at)
{
	return (const uint8_t *)at >= fake.cmb && (const uint8_t *)at < fake.cmb + sizeof(fake.cmb);
}

/* Many commands by a queue, which is where it should be; also after a reset. */
static void use_cmb(bool in_controller)
{
	assert_int_equal(in_cmb(q->fast.sq), in_controller);
	assert_int_equal(fake.q[1].sq - (uintptr_t)q->fast.sq, in_controller ? 0 : FAKE_BIAS);
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned i = 0; i < 300; i++) {
			const struct plx_nvme_io io = { .opcode = i % 2 ? PLX_NVME_WRITE
									: PLX_NVME_READ,
							.lba = i,
							.blocks = 1 + i % 40,
							.buf = buf + i * 512 };

			assert_int_equal(go(ns1, &io), 0);
		}
		assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
		assert_int_equal(plx_nvme_poll(q, 0), 0);
	}
}

/* Submission queues in the controller: it is told where, and what has no room is in memory. */
static void test_cmb(void **state)
{
	const struct plx_nvme_qpair_opts opts = { .depth = 63 }; /* a page */
	struct plx_nvme_qpair *more[3];

	(void)state;
	fake.conf.policy = PLX_ADDR_VA;
	fake.conf.cmb = 2; /* one of which the queue of start() takes */
	start();
	assert_int_equal(plx_nvme_ctrl_info(ctrl)->cmb, 2 * 4096);
	use_cmb(true);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &more[i]), 0);
		assert_int_equal(in_cmb(more[i]->fast.sq), i == 0);
	}
	/* What is given back is used again. */
	plx_nvme_qpair_destroy(q);
	plx_nvme_qpair_destroy(more[2]);
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &more[2]), 0);
	assert_ptr_equal(more[2]->fast.sq, fake.cmb + 4096);
	plx_nvme_qpair_destroy(more[0]);
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q), 0);
	assert_ptr_equal(q->fast.sq, fake.cmb + 2 * 4096);
}

static void test_cmb_where_the_bar_is(void **state)
{
	(void)state;
	fake.conf.policy = PLX_ADDR_PA;
	fake.conf.cmb = FAKE_CMB;
	fake.conf.cmb_old = true;
	start();
	assert_true(in_cmb(q->fast.sq));
	assert_int_equal(fake.q[1].sq, FAKE_CMB_BAR + 4096);
	finish(0);
}

/* Those that can't be used, or may not, are done without. */
static void test_no_cmb(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		fake_unplug();
		fake_init();
		fake.conf.cmb = FAKE_CMB;
		fake.conf.policy = i == 0 ? PLX_ADDR_ALLOC : PLX_ADDR_VA;
		fake.conf.cmb_else = i == 1;
		fake.conf.cmb_picky = i == 2;
		fake.conf.sparse = i == 4;
		start_with(&(struct plx_nvme_qpair_opts){ .depth = 8 }, i == 3 ? "cmb=off" : "");
		assert_int_equal(plx_nvme_ctrl_info(ctrl)->cmb, i == 4 ? FAKE_CMB * 4096 : 0);
		use_cmb(i == 4);
	}
}

/* One that isn't there any more after a reset takes its queues with it, and nothing else. */
static void test_cmb_lost(void **state)
{
	struct plx_nvme_qpair *other;

	(void)state;
	fake.conf.policy = PLX_ADDR_VA;
	fake.conf.cmb = FAKE_CMB;
	start();
	fake.conf.cmb_else = true; /* what it says after a reset */
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	assert_int_equal(plx_nvme_qpair_create(ctrl, &(struct plx_nvme_qpair_opts){ 0 }, &other),
			 0);
	assert_false(in_cmb(other->fast.sq));
}

/* One doorbell for a batch, one for a poll. */
static void test_doorbells(void **state)
{
	struct plx_nvme_qpair_stats stats;

	(void)state;
	start();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(plx_nvme_read(q, ns1, buf + i * 512, i, 1, done, NULL), 0);
	plx_nvme_qpair_stats(q, &stats);
	assert_int_equal(stats.doorbells, 0);
	plx_nvme_kick(q);
	plx_nvme_kick(q);
	fake_run();
	assert_int_equal(plx_nvme_poll(q, 3), 3);
	assert_int_equal(plx_nvme_poll(q, 0), 5);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	plx_nvme_qpair_stats(q, &stats);
	assert_int_equal(stats.doorbells, 3);
	assert_int_equal(stats.commands, 8);
	/* A poll tells the controller what was put in the queue before it. */
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), 0);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	fake_run();
	assert_int_equal(plx_nvme_poll(q, 0), 1);
}

/* Registers are written only when the controller asks for it. */
static void test_shadow_doorbells(void **state)
{
	struct plx_nvme_qpair_stats stats;
	const struct plx_nvme_qpair_opts opts = { .depth = 15 };
	uint32_t *event;

	(void)state;
	fake.conf.oacs = PLX_NVME_OACS_DBBUF;
	start_with(&opts, "");
	event = (uint32_t *)ctrl->dbbuf_event.va;
	/* The fake looks at the shadows all the time, and asks for nothing. */
	event[2] = event[3] = 8;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(plx_nvme_read(q, ns1, buf, i, 1, done, NULL), 0);
	finish(3);
	plx_nvme_qpair_stats(q, &stats);
	assert_int_equal(stats.doorbells, 0);
	assert_int_equal(fake_read(NVME_DOORBELLS + 8), 0);
	/* Now it asks to be told of the entry after the third, and of no other. */
	event[2] = 3;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(plx_nvme_read(q, ns1, buf, i, 1, done, NULL), 0);
		finish(4 + i);
	}
	plx_nvme_qpair_stats(q, &stats);
	assert_int_equal(stats.doorbells, 1);
	assert_int_equal(fake_read(NVME_DOORBELLS + 8), 4);
}

/* A controller that writes where it should only read is told all the same. */
static void test_shadow_written_over(void **state)
{
	const struct plx_nvme_qpair_opts opts = { .depth = 15 };
	struct plx_nvme_qpair_stats stats;
	uint32_t *shadow;

	(void)state;
	fake.conf.oacs = PLX_NVME_OACS_DBBUF;
	start_with(&opts, "");
	shadow = (uint32_t *)ctrl->dbbuf_shadow.va;
	shadow[2] = 1;
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), 0);
	plx_nvme_kick(q);
	assert_int_equal(fake_read(NVME_DOORBELLS + 8), 1);
	fake_run();
	shadow[3] = 1;
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	assert_int_equal(fake_read(NVME_DOORBELLS + 12), 1);
	plx_nvme_qpair_stats(q, &stats);
	assert_int_equal(stats.doorbells, 2);
}

static void test_stride(void **state)
{
	(void)state;
	fake.conf.dstrd = 3;
	start();
	read_to(buf, 0, 8);
	assert_int_equal(fake_read(NVME_DOORBELLS + 2 * 32), 1);
}

static void test_interrupt(void **state)
{
	const struct plx_nvme_qpair_opts opts = { .depth = 4, .irq = true };

	(void)state;
	start_with(&opts, "");
	assert_int_equal(plx_nvme_wait(q, 0), 0);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), 0);
	assert_int_equal(plx_nvme_wait(q, 0), 0); /* and it rang */
	fake_run();
	assert_int_equal(plx_nvme_wait(q, 1000), 1);
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	/* One more wake-up may come of the eventfd, then it sleeps. */
	plx_nvme_wait(q, 0);
	assert_int_equal(plx_nvme_wait(q, 0), 0);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		CASE(test_read_write),
		CASE(test_shapes),
		CASE(test_shapes_scattered),
		CASE(test_shapes_sgl),
		CASE(test_shapes_large_pages),
		CASE(test_prps),
		CASE(test_prp_chain),
		CASE(test_sgl_descriptors),
		CASE(test_split),
		CASE(test_split_fails),
		CASE(test_split_in_crowd),
		CASE(test_boundary),
		CASE(test_iovec),
		CASE(test_iovec_sgl),
		CASE(test_refused),
		CASE(test_other_commands),
		CASE(test_separate_metadata),
		CASE(test_torn_metadata),
		CASE(test_pages_above_limit),
		CASE(test_verify_is_split),
		CASE(test_limits),
		CASE(test_no_limits),
		CASE(test_interleaved_metadata),
		CASE(test_depths),
		CASE(test_cmb),
		CASE(test_cmb_where_the_bar_is),
		CASE(test_no_cmb),
		CASE(test_cmb_lost),
		CASE(test_doorbells),
		CASE(test_shadow_doorbells),
		CASE(test_shadow_written_over),
		CASE(test_stride),
		CASE(test_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
