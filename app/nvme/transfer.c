/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a namespace into a file and writing a file to a namespace, piece by piece. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pollux/log.h>

#include "command.h"
#include "one.h"

#define PIECE (1u << 20) /* bytes */

struct transfer {
	struct plx_nvme_ns *ns;
	const struct plx_nvme_ns_info *info;
	struct one one;
	char *block; /* memory for one more than those of a piece */
	FILE *file;
	enum plx_nvme_io_opcode opcode; /* Read, Write or Compare */
};

/* Blocks of up to 1 MiB may have metadata on top. */
static uint32_t piece_blocks(const struct transfer *t)
{
	return PIECE > t->info->unit ? PIECE / t->info->unit : 1;
}

static enum exit_code wait(struct transfer *t, int err, uint64_t lba)
{
	const char *what = t->opcode == PLX_NVME_READ	 ? "reading"
			   : t->opcode == PLX_NVME_WRITE ? "writing"
							 : "comparing";

	err = one_wait(&t->one, err);
	if (!err)
		return EXIT_OK;
	plx_err("%s at block %llu: %s", what, (unsigned long long)lba, plx_nvme_error(err));
	return err > 0 && (err & PLX_NVME_STATUS_CODE) == PLX_NVME_COMPARE_FAILURE ? EXIT_VERIFY
										   : EXIT_RUNTIME;
}

static enum exit_code file_error(const struct transfer *t)
{
	plx_err("%s: %s", t->opcode == PLX_NVME_READ ? "output" : "input", strerror(errno));
	return EXIT_RUNTIME;
}

/* The block that the input ends in: what it has no bytes for is as in the namespace. */
static enum exit_code end_like_namespace(struct transfer *t, char *block, size_t len, uint64_t lba)
{
	const struct plx_nvme_io io = {
		.opcode = PLX_NVME_READ, .lba = lba, .blocks = 1, .buf = t->block
	};
	enum exit_code code =
		wait(t, plx_nvme_submit(t->one.q, t->ns, &io, one_done, &t->one), lba);

	if (code == EXIT_OK)
		memcpy(block + len, t->block + len, t->info->unit - len);
	return code;
}

/*
 * Reads from the input what these blocks are to have; *blocks is 0 at its end. To whole blocks it
 * is filled up with zeroes if they are written, and so that they make no difference if compared.
 */
static enum exit_code fill(struct transfer *t, uint64_t lba, uint32_t *blocks)
{
	const size_t unit = t->info->unit, want = *blocks * unit;
	char *data = t->one.memory->va;
	const size_t got = fread(data, 1, want, t->file), whole = got / unit, rest = got % unit;

	if (got < want && ferror(t->file))
		return file_error(t);
	*blocks = (uint32_t)(whole + (rest > 0));
	/* A pipe, or a file that grew, shows only now that it has more than there is place for. */
	if (*blocks > t->info->blocks - lba) {
		plx_err("the input goes on beyond the namespace's %" PRIu64 " blocks: %s up to "
			"block %" PRIu64,
			t->info->blocks, t->opcode == PLX_NVME_WRITE ? "written" : "the same", lba);
		return EXIT_RUNTIME;
	}
	if (rest && t->opcode == PLX_NVME_COMPARE)
		return end_like_namespace(t, data + whole * unit, rest, lba + whole);
	memset(data + got, 0, *blocks * unit - got);
	return EXIT_OK;
}

static enum exit_code one_piece(struct transfer *t, uint64_t lba, uint32_t *blocks)
{
	struct plx_nvme_io io = { .opcode = (uint8_t)t->opcode,
				  .lba = lba,
				  .buf = t->one.memory->va };
	enum exit_code code = EXIT_OK;
	size_t len;

	if (t->opcode != PLX_NVME_READ)
		code = fill(t, lba, blocks);
	if (code != EXIT_OK || !*blocks)
		return code;
	io.blocks = *blocks;
	code = wait(t, plx_nvme_submit(t->one.q, t->ns, &io, one_done, &t->one), lba);
	len = (size_t)*blocks * t->info->unit;
	if (code == EXIT_OK && t->opcode == PLX_NVME_READ &&
	    fwrite(t->one.memory->va, 1, len, t->file) < len)
		code = file_error(t);
	return code;
}

static enum exit_code flush(struct transfer *t)
{
	return wait(t, plx_nvme_flush(t->one.q, t->ns, one_done, &t->one), 0);
}

/*
 * How many blocks the input has from where it stands: a file and a disk tell beforehand. 1 where
 * there is no telling, as of a pipe: less is nothing to do.
 */
static uint64_t input_blocks(const struct transfer *t)
{
	const int fd = fileno(t->file);
	struct stat st;
	off_t at, end;

	if (fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return 1;
	at = lseek(fd, 0, SEEK_CUR);
	end = lseek(fd, 0, SEEK_END);
	if (at < 0 || lseek(fd, at, SEEK_SET) < 0 || end <= at)
		return 1;
	return ((uint64_t)(end - at) - 1) / t->info->unit + 1;
}

/* Known before the first block is touched. */
static bool input_fits(const struct transfer *t, const struct arguments *args)
{
	const uint64_t has = input_blocks(t);

	return fits(t->info, args->lba, args->blocks && args->blocks < has ? args->blocks : has);
}

/* Writing, the input's end is the end, unless -c says how many. */
static enum exit_code all_pieces(struct transfer *t, const struct arguments *args)
{
	uint64_t lba = args->lba, left = args->blocks;
	uint32_t piece = piece_blocks(t);
	enum exit_code code = EXIT_OK;

	if (!left)
		left = t->opcode == PLX_NVME_READ ? 1 : UINT64_MAX;
	while (left && code == EXIT_OK) {
		uint32_t blocks = left < piece ? (uint32_t)left : piece;

		code = one_piece(t, lba, &blocks);
		if (!blocks)
			break;
		lba += blocks;
		left -= blocks;
	}
	if (code == EXIT_OK && lba == args->lba) {
		plx_err("the input is empty");
		code = EXIT_RUNTIME;
	}
	if (code == EXIT_OK && t->opcode == PLX_NVME_WRITE)
		code = flush(t);
	return code;
}

/* Opened as late as can be: what the file had is gone then. */
static enum exit_code with_file(struct transfer *t, const struct arguments *args)
{
	bool reads = t->opcode == PLX_NVME_READ;
	enum exit_code code;

	t->file = reads ? stdout : stdin;
	if (args->file)
		t->file = fopen(args->file, reads ? "wb" : "rb");
	if (!t->file) {
		plx_err("%s: %s", args->file, strerror(errno));
		return EXIT_RUNTIME;
	}
	code = reads || input_fits(t, args) ? all_pieces(t, args) : EXIT_RUNTIME;
	if ((args->file ? fclose(t->file) : fflush(t->file)) && code == EXIT_OK)
		code = file_error(t);
	return code;
}

static enum exit_code transfer(struct session *s, const struct arguments *args,
			       enum plx_nvme_io_opcode opcode)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct transfer t = { .opcode = opcode };
	enum exit_code code;
	size_t len;

	if (!ctrl)
		return EXIT_USAGE;
	t.ns = chosen_ns(ctrl, args);
	if (!t.ns)
		return EXIT_RUNTIME;
	t.info = plx_nvme_ns_info(t.ns);
	if (t.info->meta_size && !t.info->extended) {
		plx_err("namespace %u has separate metadata, for which there is no place in a file",
			t.info->nsid);
		return EXIT_RUNTIME;
	}
	if (opcode == PLX_NVME_READ && !fits(t.info, args->lba, args->blocks ? args->blocks : 1))
		return EXIT_RUNTIME;
	len = piece_blocks(&t) * (size_t)t.info->unit;
	code = one_open(&t.one, s, ctrl, len + t.info->unit);
	if (code != EXIT_OK)
		return code;
	t.block = (char *)t.one.memory->va + len;
	code = with_file(&t, args);
	one_close(&t.one, s);
	return code;
}

enum exit_code command_read(struct session *s, const struct arguments *args)
{
	return transfer(s, args, PLX_NVME_READ);
}

enum exit_code command_write(struct session *s, const struct arguments *args)
{
	return transfer(s, args, PLX_NVME_WRITE);
}

enum exit_code command_compare(struct session *s, const struct arguments *args)
{
	return transfer(s, args, PLX_NVME_COMPARE);
}
