/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands on blocks that move no data: zero, trim, verify. */
#include <endian.h>
#include <inttypes.h>

#include <pollux/log.h>

#include "command.h"
#include "one.h"

static int submit(struct one *one, const struct plx_nvme_ns *ns, uint8_t opcode,
		  const struct arguments *args)
{
	const struct plx_nvme_io io = { .opcode = opcode,
					.lba = args->lba,
					.blocks = (uint32_t)args->blocks };
	struct plx_nvme_dsm_range *range = one->memory->va;

	if (opcode != PLX_NVME_DSM)
		return plx_nvme_submit(one->q, ns, &io, one_done, one);
	*range = (struct plx_nvme_dsm_range){ .lba = htole64(args->lba),
					      .blocks = htole32((uint32_t)args->blocks) };
	return plx_nvme_dsm(one->q, ns, range, 1, PLX_NVME_DSM_DEALLOCATE, one_done, one);
}

static enum exit_code on_blocks(struct session *s, const struct arguments *args, uint8_t opcode,
				const char *name)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct plx_nvme_ns *ns;
	enum exit_code code;
	struct one one;
	int err;

	if (!ctrl)
		return EXIT_USAGE;
	if (!args->blocks || args->blocks > UINT32_MAX) {
		plx_err("%s: -c says how many blocks, 1 to %u", name, UINT32_MAX);
		return EXIT_USAGE;
	}
	ns = chosen_ns(ctrl, args);
	if (!ns || !fits(plx_nvme_ns_info(ns), args->lba, args->blocks))
		return EXIT_RUNTIME;
	code = one_open(&one, s, ctrl, PLX_NVME_DSM_RANGES * sizeof(struct plx_nvme_dsm_range));
	if (code != EXIT_OK)
		return code;
	err = one_wait(&one, submit(&one, ns, opcode, args));
	one_close(&one, s);
	if (!err)
		return EXIT_OK;
	plx_err("%s of %" PRIu64 " blocks at %" PRIu64 ": %s", name, args->blocks, args->lba,
		plx_nvme_error(err));
	return EXIT_RUNTIME;
}

enum exit_code command_zero(struct session *s, const struct arguments *args)
{
	return on_blocks(s, args, PLX_NVME_WRITE_ZEROES, "Write Zeroes");
}

enum exit_code command_trim(struct session *s, const struct arguments *args)
{
	return on_blocks(s, args, PLX_NVME_DSM, "Deallocate");
}

enum exit_code command_verify(struct session *s, const struct arguments *args)
{
	return on_blocks(s, args, PLX_NVME_VERIFY, "Verify");
}
