/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O commands [NVM 3.2].
 *
 * Plain ones, which read or write blocks of a disk in memory in one or two pages of the client's,
 * go a batch at a time, and their completions are written together: the client polls the line that
 * they lie in. Any other command is copied first and carried out by itself.
 */
#include <string.h>

#include "snvme.h"

/* Of words of a command: what plain ones don't say. */
#define ODD_FLAGS   UINT64_C(0xff00)	 /* fused, SGLs */
#define ODD_CONTROL UINT64_C(0x3fff0000) /* of dword 12, all but FUA and Limited Retry */

/* What dword 12 may say: protection is not supported, nor are directives. */
#define WRONG_CONTROL \
	(PLX_NVME_PRACT | PLX_NVME_PRCHK_GUARD | PLX_NVME_PRCHK_APP | PLX_NVME_PRCHK_REF)

/* A namespace that has no blocks for anybody. */
static const struct snvme_plain nothing;

/*
 * Plain commands.
 */
static inline uint64_t get(const uint64_t *word, unsigned i)
{
	return le64toh(__atomic_load_n(&word[i], __ATOMIC_RELAXED));
}

static inline void copy(uint8_t *mem, uint8_t *va, uint32_t len, bool read)
{
	if (read)
		memcpy(va, mem, len);
	else
		memcpy(mem, va, len);
}

/* Whether the command was one and is done. */
static inline bool plain(struct soft_nvme *nvme, const uint64_t *word, uint64_t word0)
{
	const uint32_t index = (uint32_t)(word0 >> 32) - 1;
	const uint32_t op = (word0 & 0xff) - PLX_NVME_WRITE; /* 0: write, 1: read */
	const struct snvme_plain *ns =
		likely(index < nvme->namespaces) ? &nvme->plain[index] : &nothing;
	const uint64_t prp1 = get(word, 3), lba = get(word, 5), word6 = get(word, 6);
	const uint64_t blocks = (word6 & 0xffff) + 1;
	const uint32_t mask = nvme->page_mask, room = mask + 1 - (prp1 & mask);
	const uint32_t len = (uint32_t)blocks << ns->shift;
	uint8_t *va, *more = NULL;
	uint32_t first = len;

	if (unlikely(op > 1 || (word0 & ODD_FLAGS) | (word6 & ODD_CONTROL) | (prp1 & 3)))
		return false;
	if (unlikely(lba >= ns->blocks || blocks > ns->blocks - lba || len > nvme->transfer))
		return false;
	if (len > room) {
		const uint64_t prp2 = get(word, 4);

		if (len - room > mask + 1 || prp2 & mask)
			return false;
		first = room;
		more = snvme_dma(nvme, prp2, len - room, op ? PLX_DMA_WRITE : PLX_DMA_READ);
		if (!more)
			return false;
	}
	va = snvme_dma(nvme, prp1, first, op ? PLX_DMA_WRITE : PLX_DMA_READ);
	if (unlikely(!va))
		return false;
	if (ns->mem) {
		uint8_t *mem = ns->mem + (lba << ns->shift);

		copy(mem, va, first, op);
		if (more)
			copy(mem + first, more, len - first, op);
	}
	nvme->done[op]++;
	nvme->bytes[op] += len;
	return true;
}

/*
 * All others.
 */
static struct snvme_ns *find_ns(struct soft_nvme *nvme, uint32_t nsid)
{
	return nsid - 1 < nvme->namespaces ? &nvme->ns[nsid - 1] : NULL;
}

static uint16_t check_range(const struct snvme_ns *ns, uint64_t lba, uint64_t blocks)
{
	return lba >= ns->blocks || blocks > ns->blocks - lba ? SNVME_BAD(LBA_OUT_OF_RANGE) : 0;
}

static bool moves_data(enum snvme_op op)
{
	return op == SNVME_READ || op == SNVME_WRITE || op == SNVME_COMPARE;
}

/* One block's data, and what is behind it, to or from the client. */
static bool move(struct snvme_cursor *at, uint8_t *mem, size_t len, enum snvme_op op)
{
	switch (op) {
	case SNVME_READ: snvme_to_client(at, mem, len); return true;
	case SNVME_WRITE: snvme_from_client(at, mem, len); return true;
	default: return snvme_same(at, mem, len);
	}
}

static uint16_t move_extended(const struct snvme_ns *ns, struct snvme_cursor *at, uint64_t lba,
			      uint32_t blocks, enum snvme_op op)
{
	const uint32_t block = 1u << ns->shift;
	bool same = true;

	for (uint64_t i = lba; i < lba + blocks; i++) {
		same &= move(at, ns->disk->mem + (i << ns->shift), block, op);
		same &= move(at, ns->disk->meta + i * ns->meta, ns->meta, op);
	}
	return same ? 0 : PLX_NVME_COMPARE_FAILURE;
}

/* Metadata in a buffer of its own, in one piece [Base 3.3.3.1, MPTR]: in nvme->meta_iov. */
static uint16_t find_meta(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd, uint32_t len,
			  enum snvme_op op)
{
	const uint64_t addr = le64toh(cmd->mptr);

	if (addr & 3)
		return SNVME_BAD(INVALID_FIELD);
	return snvme_run(nvme, addr, len, op == SNVME_READ ? PLX_DMA_WRITE : PLX_DMA_READ,
			 nvme->meta_iov, SNVME_META_SEGMENTS);
}

static uint16_t move_blocks(struct soft_nvme *nvme, const struct snvme_ns *ns,
			    const struct plx_nvme_cmd *cmd, uint64_t lba, uint32_t blocks,
			    enum snvme_op op)
{
	const uint32_t unit = (1u << ns->shift) + (ns->extended ? ns->meta : 0);
	struct snvme_cursor at = { nvme->iov, 0 };
	const uint32_t meta = ns->extended ? 0 : blocks * ns->meta;
	unsigned count;
	uint16_t status;
	bool same;

	status = snvme_data(nvme, cmd, blocks * unit,
			    op == SNVME_READ ? PLX_DMA_WRITE : PLX_DMA_READ, &count);
	if (!status && meta)
		status = find_meta(nvme, cmd, meta, op);
	/* Nothing is kept of a null disk: what would come of it is what is there. */
	if (status || !ns->disk->mem)
		return status;
	if (ns->extended)
		return move_extended(ns, &at, lba, blocks, op);
	same = move(&at, ns->disk->mem + (lba << ns->shift), (size_t)blocks << ns->shift, op);
	if (meta) {
		at = (struct snvme_cursor){ nvme->meta_iov, 0 };
		same &= move(&at, ns->disk->meta + lba * ns->meta, meta, op);
	}
	return same ? 0 : PLX_NVME_COMPARE_FAILURE;
}

static void zero(struct snvme_ns *ns, uint64_t lba, uint64_t blocks)
{
	snvme_disk_zero(ns->disk, lba << ns->shift, blocks << ns->shift);
	if (ns->meta && ns->disk->meta)
		memset(ns->disk->meta + lba * ns->meta, 0, blocks * ns->meta);
}

/* Read, Write, Compare, Verify, Write Zeroes [NVM 3.2.1, 3.2.4 to 3.2.8]. */
static uint16_t on_blocks(struct soft_nvme *nvme, struct snvme_sq *sq, struct snvme_ns *ns,
			  const struct plx_nvme_cmd *cmd, enum snvme_op op)
{
	const uint64_t lba = le32toh(cmd->cdw10) | (uint64_t)le32toh(cmd->cdw11) << 32;
	const uint32_t control = le32toh(cmd->cdw12), blocks = (control & 0xffff) + 1;
	const uint64_t len = (uint64_t)blocks * ((1u << ns->shift) + (ns->extended ? ns->meta : 0));
	uint16_t status;

	if (control & WRONG_CONTROL)
		return SNVME_BAD(INVALID_FIELD);
	/* Verify's size is limited as Read's is; Write Zeroes moves nothing [NVM 3.2.7]. */
	if (op != SNVME_ZERO && len > nvme->transfer)
		return SNVME_BAD(INVALID_FIELD);
	status = check_range(ns, lba, blocks);
	if (status)
		return status;
	if (ns->disk->kind == SOFT_DISK_FILE)
		return snvme_file_start(nvme, sq, ns, cmd, op);
	if (moves_data(op))
		status = move_blocks(nvme, ns, cmd, lba, blocks, op);
	else if (op == SNVME_ZERO)
		zero(ns, lba, blocks);
	if (!status && (op == SNVME_READ || op == SNVME_WRITE)) {
		nvme->done[op == SNVME_READ]++;
		nvme->bytes[op == SNVME_READ] += (uint64_t)blocks << ns->shift;
		nvme->commands--; /* counted there */
	}
	return status;
}

/* Dataset Management [NVM 3.2.3]. All but deallocation is advice, which nobody needs here. */
static uint16_t dsm(struct soft_nvme *nvme, struct snvme_sq *sq, struct snvme_ns *ns,
		    const struct plx_nvme_cmd *cmd)
{
	const unsigned count = (le32toh(cmd->cdw10) & 0xff) + 1;
	struct plx_nvme_dsm_range range[PLX_NVME_DSM_RANGES];
	struct snvme_cursor at = { nvme->iov, 0 };
	unsigned segments;
	uint16_t status;

	status = snvme_data(nvme, cmd, count * sizeof(*range), PLX_DMA_READ, &segments);
	if (status)
		return status;
	snvme_from_client(&at, range, count * sizeof(*range));
	for (unsigned i = 0; i < count && !status; i++) {
		const uint32_t blocks = le32toh(range[i].blocks);

		status = blocks ? check_range(ns, le64toh(range[i].lba), blocks) : 0;
	}
	if (status || !(le32toh(cmd->cdw11) & PLX_NVME_DSM_DEALLOCATE))
		return status;
	if (ns->disk->kind == SOFT_DISK_FILE)
		return snvme_file_trim(nvme, sq, ns, cmd, range, count);
	for (unsigned i = 0; i < count; i++)
		zero(ns, le64toh(range[i].lba), le32toh(range[i].blocks));
	return 0;
}

/* Flush [Base 7.1]; for all namespaces at once, too. */
static uint16_t flush(struct soft_nvme *nvme, struct snvme_sq *sq, const struct plx_nvme_cmd *cmd)
{
	const uint32_t nsid = le32toh(cmd->nsid);
	struct snvme_ns *ns = find_ns(nvme, nsid);

	if (nsid == PLX_NVME_NSID_ALL)
		return snvme_file_flush_all(nvme, sq, cmd);
	if (!ns)
		return SNVME_BAD(INVALID_NAMESPACE);
	return ns->disk->kind == SOFT_DISK_FILE ? snvme_file_start(nvme, sq, ns, cmd, SNVME_FLUSH)
						: 0;
}

static uint16_t execute(struct soft_nvme *nvme, struct snvme_sq *sq, const struct plx_nvme_cmd *cmd)
{
	struct snvme_ns *ns = find_ns(nvme, le32toh(cmd->nsid));

	/* Fused operations aren't offered; metadata is found without an SGL [Base 3.3.3.1]. */
	if (cmd->flags & ~PLX_NVME_PSDT_SGL)
		return SNVME_BAD(INVALID_FIELD);
	if (cmd->opcode == PLX_NVME_FLUSH)
		return flush(nvme, sq, cmd);
	switch (cmd->opcode) {
	case PLX_NVME_READ:
	case PLX_NVME_WRITE:
	case PLX_NVME_COMPARE:
	case PLX_NVME_VERIFY:
	case PLX_NVME_WRITE_ZEROES:
	case PLX_NVME_DSM: break;
	default: return SNVME_BAD(INVALID_OPCODE);
	}
	if (!ns)
		return SNVME_BAD(INVALID_NAMESPACE);
	switch (cmd->opcode) {
	case PLX_NVME_READ: return on_blocks(nvme, sq, ns, cmd, SNVME_READ);
	case PLX_NVME_WRITE: return on_blocks(nvme, sq, ns, cmd, SNVME_WRITE);
	case PLX_NVME_COMPARE: return on_blocks(nvme, sq, ns, cmd, SNVME_COMPARE);
	case PLX_NVME_VERIFY: return on_blocks(nvme, sq, ns, cmd, SNVME_VERIFY);
	case PLX_NVME_WRITE_ZEROES: return on_blocks(nvme, sq, ns, cmd, SNVME_ZERO);
	default: return dsm(nvme, sq, ns, cmd);
	}
}

void snvme_io_done(struct soft_nvme *nvme, struct snvme_sq *sq, const struct plx_nvme_cmd *cmd,
		   uint16_t status)
{
	if (status) {
		nvme->errors++;
		snvme_log_error(nvme, sq->id, cmd, status);
	}
	snvme_post(sq, le16toh(cmd->cid), status, 0);
}

/* Something goes wrong with the command because it was asked for. Whether it is done with. */
static bool mishap(struct soft_nvme *nvme, struct snvme_sq *sq, const struct plx_nvme_cmd *cmd)
{
	const uint16_t cid = le16toh(cmd->cid);
	const struct snvme_ns *ns;
	uint16_t status;

	switch (snvme_mishap(nvme, cmd->opcode, &status)) {
	case SNVME_NONE: return false;
	case SNVME_STATUS:
		snvme_log_error(nvme, sq->id, cmd, status);
		snvme_post(sq, cid, status, 0);
		break;
	case SNVME_DROP:
		/* Carried out, if that can be done at once. */
		ns = find_ns(nvme, le32toh(cmd->nsid));
		if (ns && ns->disk->kind != SOFT_DISK_FILE)
			execute(nvme, sq, cmd);
		break;
	case SNVME_KEEP:
		if (nvme->stuck_count == SNVME_STUCK)
			return false;
		nvme->stuck[nvme->stuck_count++] = (struct snvme_stuck){ sq->id, cid };
		break;
	case SNVME_BAD_CID: snvme_post(sq, 0xffff, 0, 0); break;
	case SNVME_FATAL: snvme_fatal(nvme); break;
	}
	nvme->injected++;
	return true;
}

/* False: not now. The command is copied: what it says doesn't change any more. */
static bool __attribute__((noinline))
other(struct soft_nvme *nvme, struct snvme_sq *sq, uint32_t head, uint32_t next)
{
	struct plx_nvme_cmd cmd;
	uint16_t status;

	memcpy(&cmd, &sq->ring[head], sizeof(cmd));
	__asm__ volatile("" ::: "memory");
	sq->head = next;
	if (unlikely(soft_inject_any(&nvme->inject)) && !sq->tried && mishap(nvme, sq, &cmd)) {
		nvme->commands++;
		return true;
	}
	nvme->commands++;
	status = execute(nvme, sq, &cmd);
	sq->tried = status == SNVME_LATER;
	if (sq->tried) {
		nvme->commands--;
		sq->head = head;
		return false;
	}
	if (status == SNVME_PENDING)
		sq->cq->reserved++;
	else
		snvme_io_done(nvme, sq, &cmd, status);
	return true;
}

/* Completions of plain commands: snvme_put() for many, without a result. */
static inline void complete(struct snvme_cq *cq, const uint64_t *entry, unsigned count)
{
	uint64_t *const ring = (uint64_t *)cq->ring, phase = (uint64_t)cq->phase << 48;
	const uint32_t size = cq->size;
	uint32_t tail = cq->tail;

	for (unsigned i = 0; i < count; i++) {
		__atomic_store_n(&ring[2 * tail], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&ring[2 * tail + 1], htole64(entry[i] | phase), __ATOMIC_RELEASE);
		if (unlikely(++tail == size)) {
			tail = 0;
			phase ^= UINT64_C(1) << 48;
		}
	}
	cq->tail = tail;
	cq->phase = phase >> 48;
	cq->posted |= count;
}

/* How many commands are there; 0: none, or the tail is wrong. */
static inline uint32_t waiting(struct soft_nvme *nvme, struct snvme_sq *sq)
{
	/* Commands are read after the tail that hands them over. */
	const uint32_t tail = le32toh(__atomic_load_n(sq->doorbell, __ATOMIC_ACQUIRE));

	if (unlikely(tail >= sq->size)) {
		snvme_sq_wrong(nvme, sq, tail);
		return 0;
	}
	return tail >= sq->head ? tail - sq->head : tail + sq->size - sq->head;
}

unsigned snvme_io_turn(struct soft_nvme *nvme, struct snvme_sq *sq)
{
	const struct plx_nvme_cmd *const ring = sq->ring;
	const uint64_t id = (uint64_t)sq->id << 16;
	const uint32_t size = sq->size;
	struct snvme_cq *const cq = sq->cq;
	uint32_t count = waiting(nvme, sq), head = sq->head, next, n;
	uint64_t entry[SNVME_BATCH];
	unsigned held = 0;

	count = count < SNVME_BATCH ? count : SNVME_BATCH;
	if (count > cq->room) {
		const uint32_t room = snvme_cq_room(nvme, cq);

		count = count < room ? count : room;
	}
	for (n = 0; n < count; n++) {
		const uint64_t *word = (const uint64_t *)&ring[head];
		const uint64_t word0 = get(word, 0);

		__builtin_prefetch(&ring[head + 2]);
		next = head + 1 == size ? 0 : head + 1;
		if (likely(plain(nvme, word, word0))) {
			/* Of its first word, the command's id is where it belongs in an entry. */
			entry[held++] = next | id | (word0 & 0xffff0000) << 16;
			head = next;
			continue;
		}
		complete(cq, entry, held);
		held = 0;
		if (!other(nvme, sq, head, next))
			break;
		head = next;
		/* Whatever it was, the controller may have failed, or its memory be gone. */
		if (!nvme->running) {
			n++;
			break;
		}
	}
	complete(cq, entry, held);
	sq->head = head;
	cq->room -= n;
	snvme_raise(nvme, cq);
	return n;
}

/*
 * Formats.
 */
void snvme_ns_set(struct soft_nvme *nvme, struct snvme_ns *ns, unsigned format, bool extended)
{
	struct snvme_plain *fast = &nvme->plain[ns->nsid - 1];
	const struct snvme_format *formats;
	unsigned count;

	formats = snvme_formats(ns, &count);
	ns->format = format;
	ns->shift = formats[format].shift;
	ns->meta = formats[format].meta;
	ns->extended = extended && ns->meta;
	ns->blocks = ns->disk->size >> ns->shift;
	*fast = (struct snvme_plain){ .shift = ns->shift, .mem = ns->disk->mem };
	if (ns->disk->kind != SOFT_DISK_FILE && !ns->meta && !soft_inject_any(&nvme->inject))
		fast->blocks = ns->blocks;
}
