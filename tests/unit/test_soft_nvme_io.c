/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's model: data pointers of every shape, I/O commands, right and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <pollux/ioas.h>

#include "soft_nvme_rig.h"

#define SMALL	  UINT64_C(0x60000000) /* maps that are smaller than what the model knows frames of */
#define SMALL_LEN (3 * RIG_PAGE)
#define READ_ONLY UINT64_C(0x61000000)

static const struct soft_ns_conf disks[] = {
	{ .kind = SOFT_DISK_RAM, .size = 1 << 20, .block = 512 },
	{ .kind = SOFT_DISK_NULL, .size = 1 << 20, .block = 512 },
	{ .kind = SOFT_DISK_RAM, .size = 1 << 20, .block = 512, .metadata = true },
	{ .kind = SOFT_DISK_RAM, .size = 1 << 20, .block = 4096 },
};

static const struct rig_conf conf = { .ns = disks, .namespaces = 4 };

static int setup(void **state)
{
	(void)state;
	rig_start(&conf);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

static uint64_t *list_at(uint64_t offset)
{
	return (uint64_t *)(void *)(rig_data() + offset);
}

/* Different in every byte of a megabyte, nearly. */
static void pattern(uint8_t *at, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)((i * 2654435761u + seed) >> 13);
}

#define WRITE_FROM (2u << 20) /* in the data: written from there, with one page as list before */
#define LIST_FROM  (1u << 20)

/* Lays the pages of len bytes from dma into a list, last pages first is for others. */
static struct plx_nvme_cmd by_list(uint8_t opcode, uint64_t lba, uint32_t blocks, uint64_t dma)
{
	uint64_t *list = list_at(LIST_FROM);
	const uint64_t first = RIG_PAGE - dma % RIG_PAGE;
	const uint64_t left = blocks * 512u > first ? blocks * 512u - first : 0;

	for (unsigned i = 0; i * RIG_PAGE < left; i++)
		list[i] = dma + first + i * RIG_PAGE;
	return rig_rw(opcode, 1, lba, blocks, dma,
		      left > RIG_PAGE ? RIG_DATA + LIST_FROM
		      : left	      ? dma + first
				      : 0);
}

static void lengths_and_offsets_come_back(void **state)
{
	static const uint32_t blocks[] = { 1, 7, 8, 9, 16, 17, 128, 255, 256 };
	static const uint32_t offsets[] = { 0, 4, 512, 3584, 4092 };

	(void)state;
	for (unsigned i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		for (unsigned j = 0; j < sizeof(offsets) / sizeof(*offsets); j++) {
			const uint32_t len = blocks[i] * 512;
			uint8_t *from = rig_data() + WRITE_FROM + offsets[j];
			uint8_t *to = rig_data() + 3 * (1u << 20) + offsets[j];

			pattern(from, len, i * 10 + j);
			memset(to - 4, 0xee, len + 8);
			assert_int_equal(rig_io(1, by_list(PLX_NVME_WRITE, 3 * i, blocks[i],
							   RIG_DATA + WRITE_FROM + offsets[j])),
					 0);
			assert_int_equal(rig_io(1, by_list(PLX_NVME_READ, 3 * i, blocks[i],
							   RIG_DATA + 3 * (1u << 20) + offsets[j])),
					 0);
			assert_memory_equal(from, to, len);
			assert_true(to[-1] == 0xee && to[len] == 0xee);
		}
	}
}

/* A list that begins near the end of its page goes on in another one. */
static void lists_are_chained(void **state)
{
	const uint64_t pages = RIG_DATA + WRITE_FROM;
	uint64_t *end = list_at(LIST_FROM + RIG_PAGE - 16), *next = list_at(LIST_FROM + 8192);

	(void)state;
	pattern(rig_data() + WRITE_FROM, 5 * RIG_PAGE, 1);
	end[0] = pages + RIG_PAGE;
	end[1] = RIG_DATA + LIST_FROM + 8192;
	next[0] = pages + 2 * RIG_PAGE;
	next[1] = pages + 3 * RIG_PAGE;
	next[2] = pages + 4 * RIG_PAGE;
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 40, pages,
					  RIG_DATA + LIST_FROM + RIG_PAGE - 16)),
			 0);
	assert_int_equal(rig_io(1, by_list(PLX_NVME_READ, 0, 40, RIG_DATA + 3 * (1u << 20))), 0);
	assert_memory_equal(rig_data() + WRITE_FROM, rig_data() + 3 * (1u << 20), 5 * RIG_PAGE);
	/* The last entry of all is no link, wherever it lies. */
	end[1] = pages + 2 * RIG_PAGE;
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 24, pages,
					  RIG_DATA + LIST_FROM + RIG_PAGE - 16)),
			 0);
}

static void prps_are_checked(void **state)
{
	const uint64_t at = RIG_DATA, list = RIG_DATA + LIST_FROM;

	(void)state;
	list_at(LIST_FROM)[0] = at;
	list_at(LIST_FROM)[1] = at + 512;
	list_at(LIST_FROM + RIG_PAGE - 8)[0] = list + RIG_PAGE - 8;
	for (unsigned nsid = 1; nsid <= 2; nsid++) {
		const struct {
			uint32_t blocks;
			uint64_t prp1, prp2;
			uint16_t status;
		} wrong[] = {
			{ 1, at + 2, 0, BAD(INVALID_PRP_OFFSET) },
			{ 1, RIG_NOWHERE, 0, BAD(DATA_TRANSFER_ERROR) },
			{ 9, at, at + 4, BAD(INVALID_PRP_OFFSET) },
			{ 9, at, RIG_NOWHERE, BAD(DATA_TRANSFER_ERROR) },
			{ 9, at + RIG_DATA_LEN - RIG_PAGE, at + RIG_DATA_LEN,
			  BAD(DATA_TRANSFER_ERROR) },
			{ 24, at, list + 4, BAD(INVALID_PRP_OFFSET) },
			{ 24, at, RIG_NOWHERE, BAD(DATA_TRANSFER_ERROR) },
			{ 24, at, list, BAD(INVALID_PRP_OFFSET) },
			/* A link to itself, for ever. */
			{ 24, at, list + RIG_PAGE - 8, BAD(INVALID_PRP_OFFSET) },
			{ 257, at, list, BAD(INVALID_FIELD) }, /* longer than a command may be */
		};

		for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
			assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, nsid, 0, wrong[i].blocks,
							  wrong[i].prp1, wrong[i].prp2)),
					 wrong[i].status);
	}
}

/* Maps that are too small for a frame, that end within one, and that the device may only read. */
static void small_maps_will_do(void **state)
{
	uint8_t *small = fake_map(0, SMALL, SMALL_LEN, PLX_DMA_RW);
	uint8_t *read_only = fake_map(0, READ_ONLY, RIG_PAGE, PLX_DMA_READ);

	(void)state;
	pattern(small, SMALL_LEN, 5);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 16, SMALL, SMALL + RIG_PAGE)), 0);
	memset(small, 0, SMALL_LEN);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 8, SMALL + 2 * RIG_PAGE, 0)), 0);
	assert_int_not_equal(small[2 * RIG_PAGE + 5], 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 16, SMALL + 2 * RIG_PAGE,
					  SMALL + 3 * RIG_PAGE)),
			 BAD(DATA_TRANSFER_ERROR));
	pattern(read_only, RIG_PAGE, 6);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 8, READ_ONLY, 0)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 8, READ_ONLY, 0)),
			 BAD(DATA_TRANSFER_ERROR));
	/* Gone, it is gone for the model, too. */
	fake_unmap(0, SMALL);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 8, SMALL, 0)),
			 BAD(DATA_TRANSFER_ERROR));
}

/*
 * SGLs.
 */
static struct plx_nvme_cmd by_sgl(uint8_t opcode, uint32_t blocks, uint64_t addr, uint32_t len,
				  uint8_t type)
{
	const struct plx_nvme_sgl sgl = { .addr = addr, .len = len, .type = type };
	struct plx_nvme_cmd cmd = rig_rw(opcode, 1, 0, blocks, 0, 0);

	cmd.flags = PLX_NVME_PSDT_SGL;
	memcpy(&cmd.prp1, &sgl, sizeof(sgl));
	return cmd;
}

static struct plx_nvme_sgl *sgls(unsigned page)
{
	return (struct plx_nvme_sgl *)(void *)(rig_data() + LIST_FROM + page * RIG_PAGE);
}

static uint64_t sgls_at(unsigned page)
{
	return RIG_DATA + LIST_FROM + page * RIG_PAGE;
}

static void sgls_lead_to_data(void **state)
{
	uint8_t *from = rig_data() + WRITE_FROM, *to = rig_data();

	(void)state;
	pattern(from, 8192, 9);
	assert_int_equal(rig_io(1, by_sgl(PLX_NVME_WRITE, 16, RIG_DATA + WRITE_FROM, 8192,
					  PLX_NVME_SGL_DATA)),
			 0);
	/* Three pieces, of odd lengths, in two segments. */
	sgls(0)[0] = (struct plx_nvme_sgl){ .addr = RIG_DATA + 100001, .len = 1001 };
	sgls(0)[1] = (struct plx_nvme_sgl){ .addr = sgls_at(1),
					    .len = 32,
					    .type = PLX_NVME_SGL_LAST_SEGMENT };
	sgls(1)[0] = (struct plx_nvme_sgl){ .addr = RIG_DATA + 1, .len = 7000 };
	sgls(1)[1] = (struct plx_nvme_sgl){ .addr = RIG_DATA + 20000, .len = 191 };
	assert_int_equal(rig_io(1, by_sgl(PLX_NVME_READ, 16, sgls_at(0), 32, PLX_NVME_SGL_SEGMENT)),
			 0);
	assert_memory_equal(to + 100001, from, 1001);
	assert_memory_equal(to + 1, from + 1001, 7000);
	assert_memory_equal(to + 20000, from + 8001, 191);
	assert_int_equal(to[20191], 0);
	/* Nothing at all is a piece, too. */
	sgls(1)[0].len = 0;
	sgls(1)[1].len = 7191;
	assert_int_equal(rig_io(1, by_sgl(PLX_NVME_READ, 16, sgls_at(0), 32, PLX_NVME_SGL_SEGMENT)),
			 0);
}

static void sgls_are_checked(void **state)
{
	const uint8_t data = PLX_NVME_SGL_DATA, last = PLX_NVME_SGL_LAST_SEGMENT,
		      segment = PLX_NVME_SGL_SEGMENT;
	const struct {
		uint64_t addr;
		uint32_t len;
		uint8_t type;
		uint16_t status;
	} wrong[] = {
		{ RIG_DATA, 8191, data, BAD(DATA_SGL_LENGTH_INVALID) },
		{ RIG_DATA, 8193, data, BAD(DATA_SGL_LENGTH_INVALID) },
		{ RIG_NOWHERE, 8192, data, BAD(DATA_TRANSFER_ERROR) },
		{ RIG_DATA, 8192, 0x10, BAD(SGL_TYPE_INVALID) }, /* bit bucket */
		{ RIG_DATA, 8192, 0x01, BAD(SGL_TYPE_INVALID) }, /* an offset */
		{ RIG_DATA, 8192, 0x40, BAD(SGL_TYPE_INVALID) }, /* keyed */
		{ sgls_at(0), 0, last, BAD(INVALID_SGL_SEGMENT) },
		{ sgls_at(0), 24, last, BAD(INVALID_SGL_SEGMENT) },
		{ RIG_NOWHERE, 32, last, BAD(DATA_TRANSFER_ERROR) },
		{ sgls_at(0), 0xfffffff0, last, BAD(INVALID_SGL_COUNT) },
		{ sgls_at(0), 16, last, BAD(DATA_SGL_LENGTH_INVALID) }, /* too short a list */
		{ sgls_at(0), 16, segment, BAD(INVALID_SGL_COUNT) },	/* that leads nowhere */
		{ sgls_at(1), 32, last, BAD(INVALID_SGL_SEGMENT) },	/* a segment in the last */
		{ sgls_at(1), 48, segment, BAD(INVALID_SGL_SEGMENT) },	/* not at the end */
		{ sgls_at(2), 16, segment, BAD(INVALID_SGL_COUNT) },	/* round and round */
	};

	(void)state;
	sgls(0)[0] = (struct plx_nvme_sgl){ .addr = RIG_DATA, .len = 4096 };
	sgls(1)[0] = (struct plx_nvme_sgl){ .addr = RIG_DATA, .len = 4096 };
	sgls(1)[1] = (struct plx_nvme_sgl){ .addr = sgls_at(0), .len = 16, .type = last };
	sgls(2)[0] = (struct plx_nvme_sgl){ .addr = sgls_at(2), .len = 16, .type = segment };
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(rig_io(1, by_sgl(PLX_NVME_READ, 16, wrong[i].addr, wrong[i].len,
						  wrong[i].type)),
				 wrong[i].status);
}

/* However the list is cut: one command doesn't keep all others waiting. */
static void lists_of_nothing_are_bounded(void **state)
{
	const unsigned pages = 80, per_page = RIG_PAGE / sizeof(struct plx_nvme_sgl);

	(void)state;
	for (unsigned i = 0; i < pages; i++) {
		memset(sgls(i), 0, RIG_PAGE);
		sgls(i)[per_page - 1] = (struct plx_nvme_sgl){ .addr = sgls_at(i + 1),
							       .len = RIG_PAGE,
							       .type = PLX_NVME_SGL_SEGMENT };
	}
	sgls(pages - 1)[per_page - 1].len = 16;
	sgls(pages - 1)[per_page - 1].type = PLX_NVME_SGL_LAST_SEGMENT;
	sgls(pages)[0] = (struct plx_nvme_sgl){ .addr = RIG_DATA, .len = 8192 };
	assert_int_equal(
		rig_io(1, by_sgl(PLX_NVME_READ, 16, sgls_at(0), RIG_PAGE, PLX_NVME_SGL_SEGMENT)),
		BAD(INVALID_SGL_COUNT));
	/* A shorter one of that kind is fine. */
	assert_int_equal(rig_io(1, by_sgl(PLX_NVME_READ, 16, sgls_at(pages - 10), RIG_PAGE,
					  PLX_NVME_SGL_SEGMENT)),
			 0);
}

/*
 * Pages of 64 KiB, each in two maps.
 */
static void pages_may_lie_in_two_maps(void **state)
{
	const struct rig_conf large = { .ns = disks, .namespaces = 4, .mps = 4 };
	struct plx_nvme_cmd cmd = rig_rw(PLX_NVME_WRITE, 1, 0, 256, SMALL, SMALL + (64 << 10));
	uint64_t *list;

	(void)state;
	rig_end();
	rig_start(&large);
	for (unsigned i = 0; i < 4; i++)
		pattern(fake_map(0, SMALL + i * (32 << 10), 32 << 10, PLX_DMA_RW), 32 << 10, i);
	assert_int_equal(rig_io(1, cmd), 0);
	cmd = rig_rw(PLX_NVME_READ, 1, 0, 256, RIG_DATA, RIG_DATA + (64 << 10));
	assert_int_equal(rig_io(1, cmd), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_memory_equal(rig_data() + i * (32 << 10),
				    fake_at(0, SMALL + i * (32 << 10), 1), 32 << 10);
	/* In a list. */
	list = list_at(LIST_FROM);
	list[0] = SMALL + (64 << 10);
	list[1] = SMALL;
	memset(rig_data(), 0, 64 << 10);
	cmd = rig_rw(PLX_NVME_READ, 1, 0, 256, RIG_DATA + (32 << 10), RIG_DATA + LIST_FROM);
	assert_int_equal(rig_io(1, cmd), 0);
	assert_memory_equal(fake_at(0, SMALL + (96 << 10), 1), rig_data() + (64 << 10), 32 << 10);
	assert_memory_equal(fake_at(0, SMALL, 1), rig_data() + (96 << 10), 32 << 10);
	/* Metadata, too. */
	cmd = rig_rw(PLX_NVME_WRITE, 3, 0, 8, RIG_DATA, 0);
	cmd.mptr = SMALL + (32 << 10) - 32;
	assert_int_equal(rig_io(1, cmd), 0);
	cmd.opcode = PLX_NVME_READ;
	cmd.mptr = RIG_DATA + 8192;
	assert_int_equal(rig_io(1, cmd), 0);
	assert_memory_equal(rig_data() + 8192, fake_at(0, SMALL + (32 << 10) - 32, 32), 32);
	assert_memory_equal(rig_data() + 8192 + 32, fake_at(0, SMALL + (32 << 10), 32), 32);
	/* And shadow doorbells. */
	assert_int_equal(rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_DBBUF_CONFIG,
							  .prp1 = SMALL,
							  .prp2 = SMALL + (64 << 10) },
				   NULL),
			 0);
}

/*
 * Commands.
 */
static void ranges_and_namespaces_are_checked(void **state)
{
	static const uint8_t opcodes[] = { PLX_NVME_READ, PLX_NVME_WRITE, PLX_NVME_COMPARE,
					   PLX_NVME_VERIFY, PLX_NVME_WRITE_ZEROES };

	(void)state;
	for (unsigned i = 0; i < sizeof(opcodes); i++) {
		const uint8_t op = opcodes[i];

		assert_int_equal(rig_io(1, rig_rw(op, 1, 2047, 1, RIG_DATA, 0)),
				 op == PLX_NVME_COMPARE ? 0 : 0);
		assert_int_equal(rig_io(1, rig_rw(op, 1, 2048, 1, RIG_DATA, 0)),
				 BAD(LBA_OUT_OF_RANGE));
		assert_int_equal(rig_io(1, rig_rw(op, 1, 2047, 2, RIG_DATA, 0)),
				 BAD(LBA_OUT_OF_RANGE));
		assert_int_equal(rig_io(1, rig_rw(op, 1, UINT64_MAX, 1, RIG_DATA, 0)),
				 BAD(LBA_OUT_OF_RANGE));
		assert_int_equal(rig_io(1, rig_rw(op, 1, UINT64_MAX - 1, 8, RIG_DATA, 0)),
				 BAD(LBA_OUT_OF_RANGE));
		assert_int_equal(rig_io(1, rig_rw(op, 0, 0, 1, RIG_DATA, 0)),
				 BAD(INVALID_NAMESPACE));
		assert_int_equal(rig_io(1, rig_rw(op, 5, 0, 1, RIG_DATA, 0)),
				 BAD(INVALID_NAMESPACE));
		assert_int_equal(rig_io(1, rig_rw(op, PLX_NVME_NSID_ALL, 0, 1, RIG_DATA, 0)),
				 BAD(INVALID_NAMESPACE));
	}
}

static void fields_are_checked(void **state)
{
	static const uint8_t none[] = {
		0x03, PLX_NVME_WRITE_UNCORRECTABLE, 0x0d, 0x11, 0x79, 0xff
	};
	struct plx_nvme_cmd cmd = rig_rw(PLX_NVME_READ, 1, 0, 1, RIG_DATA, 0);

	(void)state;
	for (unsigned i = 0; i < sizeof(none); i++) {
		cmd.opcode = none[i];
		assert_int_equal(rig_io(1, cmd), BAD(INVALID_OPCODE));
	}
	cmd.opcode = PLX_NVME_READ;
	/* Fused, SGLs for metadata, reserved. */
	for (unsigned flags = 1; flags < 256; flags *= 2) {
		cmd.flags = (uint8_t)flags;
		if (flags != PLX_NVME_PSDT_SGL)
			assert_int_equal(rig_io(1, cmd), BAD(INVALID_FIELD));
	}
	cmd.flags = 0;
	cmd.cdw12 = PLX_NVME_PRACT;
	assert_int_equal(rig_io(1, cmd), BAD(INVALID_FIELD));
	cmd.cdw12 = PLX_NVME_FUA | PLX_NVME_LR;
	assert_int_equal(rig_io(1, cmd), 0);
}

static void compare_finds_differences(void **state)
{
	(void)state;
	pattern(rig_data(), 1024, 3);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 4, 2, RIG_DATA, 0)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_COMPARE, 1, 4, 2, RIG_DATA, 0)), 0);
	rig_data()[1023] ^= 1;
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_COMPARE, 1, 4, 2, RIG_DATA, 0)),
			 PLX_NVME_COMPARE_FAILURE);
}

static void zeroes_are_written(void **state)
{
	(void)state;
	memset(rig_data() + WRITE_FROM, 0x77, 1 << 20);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(
			rig_io(1, by_list(PLX_NVME_WRITE, 128 * i, 128, RIG_DATA + WRITE_FROM)), 0);
	/* More than a command can move; and not at the border of a page. */
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE_ZEROES, 1, 3, 1500, 0, 0)), 0);
	assert_int_equal(rig_io(1, by_list(PLX_NVME_READ, 0, 8, RIG_DATA)), 0);
	assert_true(rig_data()[3 * 512 - 1] == 0x77 && !rig_data()[3 * 512]);
	assert_int_equal(rig_io(1, by_list(PLX_NVME_READ, 1500, 8, RIG_DATA)), 0);
	assert_true(!rig_data()[3 * 512 - 1] && rig_data()[3 * 512] == 0x77);
	assert_int_equal(rig_io(1, by_list(PLX_NVME_READ, 700, 8, RIG_DATA)), 0);
	assert_int_equal(rig_data()[100], 0);
}

static struct plx_nvme_cmd deallocate(unsigned ranges, uint32_t attributes)
{
	return (struct plx_nvme_cmd){ .opcode = PLX_NVME_DSM,
				      .nsid = 1,
				      .prp1 = RIG_DATA,
				      .cdw10 = ranges - 1,
				      .cdw11 = attributes };
}

static void ranges_are_deallocated(void **state)
{
	struct plx_nvme_dsm_range *range = (void *)rig_data();

	(void)state;
	memset(rig_data(), 0x77, 4096);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 1, 0, 8, RIG_DATA, 0)), 0);
	range[0] = (struct plx_nvme_dsm_range){ .lba = 1, .blocks = 1 };
	range[1] = (struct plx_nvme_dsm_range){ .lba = 5, .blocks = 2 };
	range[2] = (struct plx_nvme_dsm_range){ .lba = 9999999, .blocks = 0 };
	/* Advice alone changes nothing. */
	assert_int_equal(rig_io(1, deallocate(3, PLX_NVME_DSM_READ)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 8, RIG_DATA + 8192, 0)), 0);
	assert_int_equal(rig_data()[8192 + 512], 0x77);
	assert_int_equal(rig_io(1, deallocate(3, PLX_NVME_DSM_DEALLOCATE)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 1, 0, 8, RIG_DATA + 8192, 0)), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(rig_data()[8192 + 512 * i], i == 1 || i == 5 || i == 6 ? 0 : 0x77);
	range[1].blocks = 5000;
	assert_int_equal(rig_io(1, deallocate(3, PLX_NVME_DSM_DEALLOCATE)), BAD(LBA_OUT_OF_RANGE));
	assert_int_equal(rig_io(1, (struct plx_nvme_cmd){ .opcode = PLX_NVME_FLUSH, .nsid = 1 }),
			 0);
	assert_int_equal(rig_io(1, (struct plx_nvme_cmd){ .opcode = PLX_NVME_FLUSH,
							  .nsid = PLX_NVME_NSID_ALL }),
			 0);
	assert_int_equal(rig_io(1, (struct plx_nvme_cmd){ .opcode = PLX_NVME_FLUSH, .nsid = 9 }),
			 BAD(INVALID_NAMESPACE));
}

static void null_leaves_buffers_alone(void **state)
{
	(void)state;
	memset(rig_data(), 0x77, 4096);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_READ, 2, 0, 8, RIG_DATA, 0)), 0);
	assert_int_equal(rig_data()[0], 0x77);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE, 2, 0, 8, RIG_DATA, 0)), 0);
	assert_int_equal(rig_io(1, rig_rw(PLX_NVME_WRITE_ZEROES, 2, 0, 8, 0, 0)), 0);
}

static void metadata_goes_along(void **state)
{
	struct plx_nvme_cmd cmd = rig_rw(PLX_NVME_WRITE, 3, 10, 4, RIG_DATA, 0);
	const uint64_t meta = RIG_DATA + 65536;

	(void)state;
	pattern(rig_data(), 2048, 1);
	pattern(rig_data() + 65536, 32, 2);
	cmd.mptr = meta;
	assert_int_equal(rig_io(1, cmd), 0);
	cmd.opcode = PLX_NVME_COMPARE;
	assert_int_equal(rig_io(1, cmd), 0);
	cmd.mptr = meta + 2;
	assert_int_equal(rig_io(1, cmd), BAD(INVALID_FIELD));
	cmd.mptr = RIG_NOWHERE;
	assert_int_equal(rig_io(1, cmd), BAD(DATA_TRANSFER_ERROR));
	cmd.mptr = meta;
	rig_data()[65536 + 31] ^= 1;
	assert_int_equal(rig_io(1, cmd), PLX_NVME_COMPARE_FAILURE);
	rig_data()[65536 + 31] ^= 1;
	cmd.opcode = PLX_NVME_READ;
	cmd.prp1 = RIG_DATA + 8192;
	cmd.mptr = meta + 4096;
	assert_int_equal(rig_io(1, cmd), 0);
	assert_memory_equal(rig_data(), rig_data() + 8192, 2048);
	assert_memory_equal(rig_data() + 65536, rig_data() + 65536 + 4096, 32);
	/* Behind each block, in one buffer. */
	assert_int_equal(rig_admin((struct plx_nvme_cmd){ .opcode = PLX_NVME_FORMAT,
							  .nsid = 3,
							  .cdw10 = 2 | 1u << 4 },
				   NULL),
			 0);
	cmd = rig_rw(PLX_NVME_WRITE, 3, 10, 4, RIG_DATA, 0);
	pattern(rig_data(), 4 * 520, 4);
	assert_int_equal(rig_io(1, cmd), 0);
	cmd.opcode = PLX_NVME_READ;
	cmd.prp1 = RIG_DATA + 8192;
	assert_int_equal(rig_io(1, cmd), 0);
	assert_memory_equal(rig_data(), rig_data() + 8192, 4 * 520);
}

/* All that one turn doesn't do is done in the next; completions are in order. */
static void batches_are_in_order(void **state)
{
	struct plx_nvme_cqe cqe;
	uint16_t first;

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		first = rig_put(1, rig_rw(PLX_NVME_READ, 2, 0, 1, RIG_DATA, 0));
		for (unsigned i = 1; i < 13; i++)
			rig_put(1, i == 5 ? rig_rw(PLX_NVME_READ, 2, 4096, 1, RIG_DATA, 0)
					  : rig_rw(PLX_NVME_READ, 1 + i % 2, i, 1, RIG_DATA, 0));
		rig_ring(1);
		rig_turn();
		for (unsigned i = 0; i < 13; i++) {
			assert_true(rig_take_only(1, &cqe));
			assert_int_equal(cqe.cid, first + i);
			assert_int_equal(cqe.status >> 1, i == 5 ? BAD(LBA_OUT_OF_RANGE) : 0);
			assert_int_equal(cqe.result, 0);
		}
		assert_false(rig_take_only(1, &cqe));
	}
}

/* With pages of 64 KiB more is in one of them. */
static void pages_may_be_large(void **state)
{
	(void)state;
	fake_reg_set(0, NVME_CC, 0);
	rig_enable();
	fake_reg_set(0, NVME_CC, 0);
	rig_enable();
	fake_reg_set(0, NVME_CC, 0);
	fake_reg_set(0, NVME_ASQ, (uint32_t)RIG_DATA);
	fake_reg_set(0, NVME_ACQ, (uint32_t)RIG_DATA + 65536);
	fake_reg_set(0, NVME_CC, NVME_CC_EN | NVME_CC_MPS(4) | NVME_CC_IOSQES | NVME_CC_IOCQES);
	assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_RDY);
	fake_reg_set(0, NVME_CC, 0);
	/* Which this isn't the beginning of one of. */
	fake_reg_set(0, NVME_ACQ, (uint32_t)RIG_DATA + 4096);
	fake_reg_set(0, NVME_CC, NVME_CC_EN | NVME_CC_MPS(4) | NVME_CC_IOSQES | NVME_CC_IOCQES);
	assert_int_equal(fake_reg(0, NVME_CSTS), NVME_CSTS_CFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lengths_and_offsets_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_are_chained, setup, teardown),
		cmocka_unit_test_setup_teardown(prps_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(small_maps_will_do, setup, teardown),
		cmocka_unit_test_setup_teardown(sgls_lead_to_data, setup, teardown),
		cmocka_unit_test_setup_teardown(sgls_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_of_nothing_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_may_lie_in_two_maps, setup, teardown),
		cmocka_unit_test_setup_teardown(ranges_and_namespaces_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(fields_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(compare_finds_differences, setup, teardown),
		cmocka_unit_test_setup_teardown(zeroes_are_written, setup, teardown),
		cmocka_unit_test_setup_teardown(ranges_are_deallocated, setup, teardown),
		cmocka_unit_test_setup_teardown(null_leaves_buffers_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(metadata_goes_along, setup, teardown),
		cmocka_unit_test_setup_teardown(batches_are_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_may_be_large, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
