/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a namespace into a file and writing a file to a namespace, piece by piece. */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

#include "command.h"

#define PIECE (1u << 20) /* bytes */

struct transfer {
	struct session *session;
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_ns *ns;
	const struct plx_nvme_ns_info *info;
	struct plx_nvme_qpair *q;
	struct plx_arena *memory;
	FILE *file;
	bool write;
	/* Of the request that is in flight. */
	bool done;
	uint16_t status;
};

static void done(void *arg, uint16_t status, uint32_t result)
{
	struct transfer *t = arg;

	(void)result;
	t->done = true;
	t->status = status;
}

static int submit(struct transfer *t, uint64_t lba, uint32_t blocks)
{
	return t->write ? plx_nvme_write(t->q, t->ns, t->memory->va, lba, blocks, done, t)
			: plx_nvme_read(t->q, t->ns, t->memory->va, lba, blocks, done, t);
}

static enum exit_code wait(struct transfer *t, int err, uint64_t lba)
{
	t->done = err;
	while (!t->done && err >= 0)
		err = plx_nvme_poll(t->q, 0);
	if (err >= 0 && t->status)
		err = t->status;
	else if (err >= 0)
		return EXIT_OK;
	plx_err("%s at block %llu: %s", t->write ? "writing" : "reading", (unsigned long long)lba,
		plx_nvme_error(err));
	return EXIT_RUNTIME;
}

static enum exit_code file_error(const struct transfer *t)
{
	plx_err("%s: %s", t->write ? "input" : "output", strerror(errno));
	return EXIT_RUNTIME;
}

/* Fills up to whole blocks what the input has; *blocks is 0 at its end. */
static enum exit_code fill(struct transfer *t, uint32_t *blocks)
{
	size_t want = (size_t)*blocks * t->info->unit;
	size_t got = fread(t->memory->va, 1, want, t->file);

	if (got < want && ferror(t->file))
		return file_error(t);
	*blocks = (uint32_t)((got + t->info->unit - 1) / t->info->unit);
	memset((char *)t->memory->va + got, 0, *blocks * t->info->unit - got);
	return EXIT_OK;
}

static enum exit_code one_piece(struct transfer *t, uint64_t lba, uint32_t *blocks)
{
	enum exit_code code = EXIT_OK;
	size_t len;

	if (t->write)
		code = fill(t, blocks);
	if (code != EXIT_OK || !*blocks)
		return code;
	t->status = 0;
	code = wait(t, submit(t, lba, *blocks), lba);
	len = (size_t)*blocks * t->info->unit;
	if (code == EXIT_OK && !t->write && fwrite(t->memory->va, 1, len, t->file) < len)
		code = file_error(t);
	return code;
}

static enum exit_code flush(struct transfer *t)
{
	t->status = 0;
	return wait(t, plx_nvme_flush(t->q, t->ns, done, t), 0);
}

/* Writing, the input's end is the end, unless -c says how many. */
static enum exit_code all_pieces(struct transfer *t, const struct arguments *args)
{
	uint64_t lba = args->lba, left = args->blocks;
	uint32_t piece = PIECE / t->info->unit;
	enum exit_code code = EXIT_OK;

	if (!left)
		left = t->write ? UINT64_MAX : 1;
	while (left && code == EXIT_OK) {
		uint32_t blocks = left < piece ? (uint32_t)left : piece;

		code = one_piece(t, lba, &blocks);
		if (!blocks)
			break;
		lba += blocks;
		left -= blocks;
	}
	if (code == EXIT_OK && t->write)
		code = flush(t);
	return code;
}

static enum exit_code with_file(struct transfer *t, const struct arguments *args)
{
	const struct plx_nvme_qpair_opts opts = { .depth = 1 };
	enum exit_code code = EXIT_RUNTIME;
	int err = plx_nvme_qpair_create(t->ctrl, &opts, &t->q);

	if (err) {
		plx_err("no queue pair: %s", plx_nvme_error(err));
		return EXIT_RUNTIME;
	}
	t->memory = session_memory(t->session, PIECE, plx_nvme_ctrl_info(t->ctrl)->node);
	if (t->memory)
		code = all_pieces(t, args);
	plx_nvme_qpair_destroy(t->q);
	session_free(t->session, t->memory);
	return code;
}

static enum exit_code transfer(struct session *s, const struct arguments *args, bool write)
{
	struct transfer t = { .session = s, .ctrl = only_ctrl(s), .write = write };
	enum exit_code code;

	if (!t.ctrl)
		return EXIT_USAGE;
	t.ns = chosen_ns(t.ctrl, args);
	if (!t.ns)
		return EXIT_RUNTIME;
	t.info = plx_nvme_ns_info(t.ns);
	if (t.info->meta_size && !t.info->extended) {
		plx_err("namespace %u has separate metadata, for which there is no place in a file",
			t.info->nsid);
		return EXIT_RUNTIME;
	}
	t.file = write ? stdin : stdout;
	if (args->file)
		t.file = fopen(args->file, write ? "rb" : "wb");
	if (!t.file) {
		plx_err("%s: %s", args->file, strerror(errno));
		return EXIT_RUNTIME;
	}
	code = with_file(&t, args);
	if ((args->file ? fclose(t.file) : fflush(t.file)) && code == EXIT_OK)
		code = file_error(&t);
	return code;
}

enum exit_code command_read(struct session *s, const struct arguments *args)
{
	return transfer(s, args, false);
}

enum exit_code command_write(struct session *s, const struct arguments *args)
{
	return transfer(s, args, true);
}

enum exit_code command_format(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct plx_nvme_ns *ns = ctrl ? chosen_ns(ctrl, args) : NULL;
	uint32_t nsid;
	int err;

	if (!ctrl)
		return EXIT_USAGE;
	if (!ns)
		return EXIT_RUNTIME;
	nsid = plx_nvme_ns_info(ns)->nsid;
	if (!args->yes) {
		plx_err("all data of namespace %u of %s would be lost: say --yes", nsid,
			plx_nvme_ctrl_info(ctrl)->name);
		return EXIT_USAGE;
	}
	err = plx_nvme_format(ctrl, nsid, &args->format);
	if (!err)
		return EXIT_OK;
	plx_err("Format: %s", plx_nvme_error(err));
	return EXIT_RUNTIME;
}
