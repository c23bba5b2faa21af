/* SPDX-License-Identifier: BSD-3-Clause */
/* Any command, as its dwords say: for what has no name here. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "command.h"
#include "one.h"
#include "opcodes.h"

struct raw {
	struct plx_nvme_cmd cmd;
	FILE *file; /* of the data; NULL: there is none */
	const char *name;
	size_t len;
	uint8_t *data;
	bool io, out;
};

static enum exit_code file_error(const struct raw *r)
{
	plx_err("%s: %s", r->name, strerror(errno));
	return EXIT_RUNTIME;
}

/* A command may move more than --len says, and the IOMMU is all that keeps that off our memory. */
static bool is_fenced(const char *mode)
{
	return strncmp(mode, "noiommu", strlen("noiommu"));
}

/* As with format, which is one of them, nothing is lost without a word. */
static enum exit_code ask(bool io, uint8_t opcode)
{
	const char *name = opcode_name(io, opcode);

	if (!opcode_may_destroy(io, opcode))
		return EXIT_OK;
	if (name)
		plx_err("%s (opcode 0x%02x) can destroy data: say --yes", name, opcode);
	else
		plx_err("opcode 0x%02x isn't known here and may destroy data: say --yes", opcode);
	return EXIT_USAGE;
}

/* The opcode says which way the data goes [Base 3.3.3.1]. */
static enum exit_code prepare(struct raw *r, const struct arguments *args, const char *mode)
{
	const unsigned way = args->opcode & (PLX_NVME_DATA_OUT | PLX_NVME_DATA_IN);
	uint32_t dwords[16];

	if (!args->opcode_set) {
		plx_err("--opcode says which command");
		return EXIT_USAGE;
	}
	if (!args->yes && !is_fenced(mode)) {
		plx_err("there is no IOMMU: a command that moves more than --len says damages any "
			"memory: say --yes");
		return EXIT_USAGE;
	}
	if (way == (PLX_NVME_DATA_OUT | PLX_NVME_DATA_IN) && args->len) {
		plx_err("opcode 0x%02x moves data both ways, which can't be had here",
			args->opcode);
		return EXIT_USAGE;
	}
	if (!way && args->len) {
		plx_err("opcode 0x%02x moves no data: no --len", args->opcode);
		return EXIT_USAGE;
	}
	if (!args->yes && ask(r->io, args->opcode) != EXIT_OK)
		return EXIT_USAGE;
	for (unsigned i = 0; i < 16; i++)
		dwords[i] = htole32(args->cdw[i]);
	memcpy(&r->cmd, dwords, sizeof(dwords));
	r->cmd.opcode = args->opcode;
	if (args->nsid)
		r->cmd.nsid = htole32(args->nsid);
	r->len = args->len;
	r->out = way == PLX_NVME_DATA_OUT;
	return EXIT_OK;
}

static enum exit_code read_data(struct raw *r)
{
	const size_t got = fread(r->data, 1, r->len, r->file);

	if (ferror(r->file))
		return file_error(r);
	if (got == r->len)
		return EXIT_OK;
	plx_err("%s has %zu bytes, and --len says %zu", r->name, got, r->len);
	return EXIT_RUNTIME;
}

static enum exit_code write_data(struct raw *r)
{
	return fwrite(r->data, 1, r->len, r->file) == r->len && !fflush(r->file) ? EXIT_OK
										 : file_error(r);
}

/* Where data is, it must be all that is on standard output. */
static void print_result(const struct raw *r, uint32_t result)
{
	fprintf(r->file == stdout ? stderr : stdout, "result        %08" PRIx32 "\n", result);
}

typedef int send_fn(struct plx_nvme_ctrl *ctrl, struct one *one, struct raw *r, uint32_t *result);

static int send_admin(struct plx_nvme_ctrl *ctrl, struct one *one, struct raw *r, uint32_t *result)
{
	(void)one;
	return plx_nvme_admin(ctrl, &r->cmd, r->data, r->len, result);
}

static int send_io(struct plx_nvme_ctrl *ctrl, struct one *one, struct raw *r, uint32_t *result)
{
	int err = plx_nvme_io_command(one->q, &r->cmd, r->data, r->len, one_done, one);

	(void)ctrl;
	err = one_wait(one, err);
	*result = one->result;
	return err;
}

static enum exit_code send(struct plx_nvme_ctrl *ctrl, struct one *one, struct raw *r, send_fn *fn)
{
	enum exit_code code = EXIT_OK;
	uint32_t result = 0;
	int err;

	if (r->len && r->out)
		code = read_data(r);
	if (code != EXIT_OK)
		return code;
	err = fn(ctrl, one, r, &result);
	if (err == -EINVAL) {
		plx_err("opcode 0x%02x: %zu bytes are more than one command moves here",
			r->cmd.opcode, r->len);
		return EXIT_RUNTIME;
	}
	if (err) {
		plx_err("opcode 0x%02x: %s", r->cmd.opcode, plx_nvme_error(err));
		return EXIT_RUNTIME;
	}
	print_result(r, result);
	return r->len && !r->out ? write_data(r) : EXIT_OK;
}

static enum exit_code with_file(struct plx_nvme_ctrl *ctrl, struct one *one, struct raw *r,
				const struct arguments *args, send_fn *fn)
{
	enum exit_code code;

	if (r->len) {
		r->name = args->file ? args->file : r->out ? "standard input" : "standard output";
		r->file = r->out ? stdin : stdout;
		if (args->file)
			r->file = fopen(args->file, r->out ? "rb" : "wb");
		if (!r->file)
			return file_error(r);
	}
	code = send(ctrl, one, r, fn);
	if (r->file && args->file && fclose(r->file) && code == EXIT_OK)
		code = file_error(r);
	return code;
}

enum exit_code command_admin(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct raw r = { 0 };
	enum exit_code code;

	if (!ctrl)
		return EXIT_USAGE;
	if (args->opcode_set && args->opcode == PLX_NVME_ASYNC_EVENT) {
		plx_err("opcode 0x%02x isn't answered before something happens: see events",
			args->opcode);
		return EXIT_USAGE;
	}
	code = prepare(&r, args, session_mode(s, ctrl));
	if (code != EXIT_OK)
		return code;
	r.data = calloc(1, r.len + 1);
	if (!r.data) {
		plx_err("no memory for %zu bytes", r.len);
		return EXIT_RUNTIME;
	}
	code = with_file(ctrl, NULL, &r, args, send_admin);
	free(r.data);
	return code;
}

enum exit_code command_io(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct raw r = { .io = true };
	enum exit_code code;
	struct one one;
	size_t page, len;

	if (!ctrl)
		return EXIT_USAGE;
	code = prepare(&r, args, session_mode(s, ctrl));
	if (code != EXIT_OK)
		return code;
	/* Whole pages, as of admin commands: what moves more than --len says hits nothing there. */
	page = plx_nvme_ctrl_info(ctrl)->page_size;
	len = r.len ? r.len : 1;
	code = one_open(&one, s, ctrl, (len + page - 1) / page * page);
	if (code != EXIT_OK)
		return code;
	r.data = one.memory->va;
	code = with_file(ctrl, &one, &r, args, send_io);
	one_close(&one, s);
	return code;
}
