/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing the NVMe controller's model: the input is a script of what a client does, one byte an
 * operation.
 *
 *      COMMAND   queue, fields: the next entry of a submission queue, and its doorbell
 *      REGISTER  offset, value
 *      DOORBELL  index, value
 *      FILL      place, bytes: what lists and ranges are read from
 *      TURN      the model's turns, until it has nothing to do
 *      SERVE     its clock goes on
 *      TAKE      the client takes completions
 *      START     enabled afresh, with a queue pair, so that not every script must find it
 *      UNMAP     the client's data goes, and comes back empty
 *
 * Memory is mapped as large as it says it is: nothing may be touched but that.
 */
#include <string.h>

#include <linux/vfio.h>
#include <pollux/ioas.h>
#include <pollux/log.h>

#include "input.h"
#include "must.h"
#include "soft_nvme_rig.h"

#define TURNS  10000
#define CMBMSC 0x50

enum { COMMAND, REGISTER, DOORBELL, FILL, TURN, SERVE, TAKE, START, UNMAP, OPS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t clock_ns;

static uint32_t word(struct input *in)
{
	uint32_t value;

	take(in, &value, 4);
	return value;
}

/* In the data, a queue, where nothing is; near the end of something, too. */
static uint64_t address(struct input *in)
{
	const uint8_t place = byte(in);
	const uint64_t offset = byte(in) | (uint64_t)byte(in) << 8;

	switch (place & 7) {
	case 0: return RIG_DATA + offset * 4;
	case 1: return RIG_DATA + (offset & 63) * RIG_PAGE;
	case 2: return RIG_DATA + RIG_DATA_LEN - offset;
	case 3: return rig_sq_at(offset % (RIG_QUEUES + 1));
	case 4: return rig_cq_at(offset % (RIG_QUEUES + 1));
	case 5: return RIG_NOWHERE + offset;
	case 6: return offset << 48;
	default: return offset;
	}
}

static void command(struct input *in)
{
	const unsigned qid = byte(in) & 1;
	struct plx_nvme_cmd cmd = { .opcode = byte(in), .flags = byte(in) & 0xc3 };
	const uint8_t nsid = byte(in), shape = byte(in);

	cmd.nsid = nsid == 0xff ? PLX_NVME_NSID_ALL : nsid & 3;
	cmd.prp1 = address(in);
	cmd.prp2 = shape & 1 ? word(in) | (uint64_t)word(in) << 32 : address(in);
	cmd.cdw10 = shape & 2 ? word(in) : byte(in) | (uint32_t)byte(in) << 16;
	cmd.cdw11 = shape & 4 ? word(in) : byte(in) | (uint32_t)byte(in) << 16;
	cmd.cdw12 = shape & 8 ? word(in) : byte(in);
	if (shape & 16)
		cmd.mptr = address(in);
	rig_put(qid, cmd);
	rig_ring(qid);
}

static void fill(struct input *in)
{
	const uint32_t offset = (byte(in) | (uint32_t)byte(in) << 8) * 64 % RIG_DATA_LEN;
	uint8_t *at = rig_data() + offset;

	if (byte(in) & 1) {
		const uint64_t entry[2] = { address(in), address(in) };

		memcpy(at, entry, sizeof(entry));
	} else {
		take(in, at, 64);
	}
}

static void turns(void)
{
	unsigned n = 0;

	while (soft_nvme_turn(rig_nvme))
		must(n++ < TURNS);
}

static void start(void)
{
	fake_reg_set(0, NVME_CC, 0);
	/* One that was shut down without being enabled stays so until it is. */
	must(!(fake_reg(0, NVME_CSTS) & ~NVME_CSTS_SHST_MASK));
	/* The queues aren't to lie in the controller's memory. */
	fake_reg_set(0, CMBMSC, 0);
	rig_enable();
	must(!rig_create(1));
}

static void unmap(void)
{
	fake_unmap(0, RIG_DATA);
	fake_map(0, RIG_DATA, RIG_DATA_LEN, PLX_DMA_RW);
}

static void one(struct input *in)
{
	struct plx_nvme_cqe cqe;
	uint32_t at;

	switch (byte(in) % OPS) {
	case COMMAND: command(in); break;
	case REGISTER:
		at = byte(in) % 0x60 & ~3u;
		fake_reg_set(0, at, word(in));
		fake_reg(0, at);
		break;
	case DOORBELL:
		at = byte(in) % (2 * RIG_QUEUES + 2);
		*rig_doorbell(at) = byte(in);
		break;
	case FILL: fill(in); break;
	case TURN: turns(); break;
	case SERVE:
		clock_ns += UINT64_C(50000000);
		must(!soft_nvme_serve(rig_nvme, clock_ns));
		break;
	case TAKE: rig_take_only(byte(in) & 1, &cqe); break;
	case START: start(); break;
	case UNMAP: unmap(); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct soft_ns_conf disks[] = {
		{ .kind = SOFT_DISK_RAM, .size = 64 << 10, .block = 512 },
		{ .kind = SOFT_DISK_RAM, .size = 64 << 10, .block = 512, .metadata = true },
		{ .kind = SOFT_DISK_NULL, .size = 64 << 10, .block = 512 },
	};
	const struct rig_conf conf = { .ns = disks, .namespaces = 3, .cmb = 16384 };
	struct input in = { data, size };

	rig_make(&conf);
	fake_hushed = true;
	start();
	while (in.left)
		one(&in);
	turns();
	/* Whatever was done, a reset mends it. */
	start();
	rig_end();
	return 0;
}
