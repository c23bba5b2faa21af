/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data pointers: PRPs [Base 4.1.1] and SGLs [4.1.2] into segments of this process.
 */
#include <string.h>

#include "snvme.h"

/* Descriptors of a command in all: those of data, and what leads from one segment to the next. */
#define SGL_DESCRIPTORS (2u * SNVME_SEGMENTS)

struct walk {
	struct soft_nvme *nvme;
	struct iovec *iov;
	unsigned count, max; /* of iov */
	unsigned access;
	unsigned descriptors; /* that have been read */
	uint8_t *end;	      /* of the last segment */
};

static uint16_t add(struct walk *walk, uint64_t addr, uint32_t len)
{
	struct soft_nvme *nvme = walk->nvme;
	uint8_t *va = snvme_dma(nvme, addr, len, walk->access);

	if (unlikely(!va))
		return snvme_no_memory(nvme, addr);
	if (walk->count && va == walk->end) {
		walk->iov[walk->count - 1].iov_len += len;
	} else {
		if (walk->count == walk->max)
			return SNVME_BAD(INVALID_SGL_COUNT);
		walk->iov[walk->count++] = (struct iovec){ va, len };
	}
	walk->end = va + len;
	return 0;
}

/* What may span maps that aren't neighbours here: piece by piece. */
static uint16_t add_run(struct walk *walk, uint64_t addr, uint32_t len)
{
	uint16_t status = 0;

	while (len && !status) {
		const uint32_t page = 4096 - (addr & 4095);
		uint32_t n = SNVME_TLB_SIZE - (addr & (SNVME_TLB_SIZE - 1));

		n = n < len ? n : len;
		status = add(walk, addr, n);
		/* Maps may end anywhere: by pages then. */
		if (status && n > page) {
			n = page;
			status = add(walk, addr, n);
		}
		addr += n;
		len -= n;
	}
	return status;
}

uint16_t snvme_run(struct soft_nvme *nvme, uint64_t addr, uint32_t len, unsigned access,
		   struct iovec *iov, unsigned max)
{
	struct walk walk = { .nvme = nvme, .iov = iov, .max = max, .access = access };

	return add_run(&walk, addr, len);
}

/* What lies in a list, once. A map may begin anywhere in its file: not aligned, perhaps. */
static uint16_t fetch(struct soft_nvme *nvme, uint64_t at, void *entry, uint32_t len)
{
	const uint8_t *va = snvme_dma(nvme, at, len, PLX_DMA_READ);

	if (!va)
		return snvme_no_memory(nvme, at);
	memcpy(entry, va, len);
	__asm__ volatile("" ::: "memory");
	return 0;
}

static uint16_t walk_list(struct walk *walk, uint64_t list, uint32_t len)
{
	const uint32_t mask = walk->nvme->page_mask;
	uint16_t status = 0;
	uint64_t entry = 0;

	while (len && !status) {
		/* The last place of a page leads to the next one, if more than a page is left. */
		const bool chain = (list & mask) == mask - 7 && len > mask + 1;
		const uint32_t n = len < mask + 1 ? len : mask + 1;

		status = fetch(walk->nvme, list, &entry, sizeof(entry));
		if (status)
			break;
		entry = le64toh(entry);
		if (entry & (chain ? 7 : mask))
			return SNVME_BAD(INVALID_PRP_OFFSET);
		if (chain) {
			list = entry;
			/* Of a page that is all link there would be no end. */
			if ((list & mask) == mask - 7)
				return SNVME_BAD(INVALID_PRP_OFFSET);
			continue;
		}
		status = add_run(walk, entry, n);
		len -= n;
		list += 8;
	}
	return status;
}

static uint16_t walk_prps(struct walk *walk, const struct plx_nvme_cmd *cmd, uint32_t len)
{
	const uint64_t prp1 = le64toh(cmd->prp1), prp2 = le64toh(cmd->prp2);
	const uint32_t mask = walk->nvme->page_mask;
	uint32_t first = mask + 1 - (prp1 & mask);
	uint16_t status;

	if (prp1 & 3)
		return SNVME_BAD(INVALID_PRP_OFFSET);
	first = first < len ? first : len;
	status = add_run(walk, prp1, first);
	len -= first;
	if (status || !len)
		return status;
	if (len <= mask + 1)
		return prp2 & mask ? SNVME_BAD(INVALID_PRP_OFFSET) : add_run(walk, prp2, len);
	return prp2 & 7 ? SNVME_BAD(INVALID_PRP_OFFSET) : walk_list(walk, prp2, len);
}

/*
 * SGLs.
 */
static bool is_segment(const struct plx_nvme_sgl *sgl)
{
	return sgl->type == PLX_NVME_SGL_SEGMENT || sgl->type == PLX_NVME_SGL_LAST_SEGMENT;
}

static uint16_t check_segment(const struct plx_nvme_sgl *sgl)
{
	const uint32_t len = le32toh(sgl->len);

	return !len || len % sizeof(*sgl) ? SNVME_BAD(INVALID_SGL_SEGMENT) : 0;
}

static uint16_t add_block(struct walk *walk, const struct plx_nvme_sgl *sgl, uint32_t *left)
{
	const uint32_t len = le32toh(sgl->len);

	if (sgl->type != PLX_NVME_SGL_DATA)
		return SNVME_BAD(SGL_TYPE_INVALID);
	/* More than the command moves [SGLS bit 18] isn't supported. */
	if (len > *left)
		return SNVME_BAD(DATA_SGL_LENGTH_INVALID);
	*left -= len;
	return add_run(walk, le64toh(sgl->addr), len);
}

/*
 * The descriptors that *sgl leads to; in the end it is the one for the next segment, or of another
 * kind.
 */
static uint16_t walk_segment(struct walk *walk, struct plx_nvme_sgl *sgl, uint32_t *left)
{
	const bool last = sgl->type == PLX_NVME_SGL_LAST_SEGMENT;
	uint32_t count = le32toh(sgl->len) / sizeof(*sgl);
	uint64_t at = le64toh(sgl->addr);
	uint16_t status = 0;

	/* Lists may be as long as they like, round and round, and of descriptors of no bytes. */
	if (count > SGL_DESCRIPTORS - walk->descriptors)
		return SNVME_BAD(INVALID_SGL_COUNT);
	walk->descriptors += count;
	while (count-- && !status) {
		status = fetch(walk->nvme, at, sgl, sizeof(*sgl));
		if (status)
			break;
		if (is_segment(sgl)) {
			/* Only at the end of one that isn't the last. */
			if (last || count)
				return SNVME_BAD(INVALID_SGL_SEGMENT);
			return check_segment(sgl);
		}
		status = add_block(walk, sgl, left);
		at += sizeof(*sgl);
	}
	/* One that isn't the last must lead on. */
	return status || last ? status : SNVME_BAD(INVALID_SGL_COUNT);
}

static uint16_t walk_sgls(struct walk *walk, const struct plx_nvme_cmd *cmd, uint32_t len)
{
	struct plx_nvme_sgl sgl;
	uint32_t left = len;
	uint16_t status;

	memcpy(&sgl, &cmd->prp1, sizeof(sgl));
	if (!is_segment(&sgl)) {
		status = add_block(walk, &sgl, &left);
		return status || !left ? status : SNVME_BAD(DATA_SGL_LENGTH_INVALID);
	}
	status = check_segment(&sgl);
	while (!status && is_segment(&sgl))
		status = walk_segment(walk, &sgl, &left);
	return status || !left ? status : SNVME_BAD(DATA_SGL_LENGTH_INVALID);
}

uint16_t snvme_data(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd, uint32_t len,
		    unsigned access, unsigned *count)
{
	struct walk walk = {
		.nvme = nvme, .iov = nvme->iov, .max = SNVME_SEGMENTS, .access = access
	};
	uint16_t status;

	status = cmd->flags & PLX_NVME_PSDT_SGL ? walk_sgls(&walk, cmd, len)
						: walk_prps(&walk, cmd, len);
	*count = walk.count;
	return status;
}

/*
 * Moving data. Whoever walks has made sure that there's enough.
 */
static size_t step(struct snvme_cursor *at, size_t len, uint8_t **va)
{
	size_t n;

	while (at->off == at->iov->iov_len) {
		at->iov++;
		at->off = 0;
	}
	n = at->iov->iov_len - at->off;
	n = n < len ? n : len;
	*va = (uint8_t *)at->iov->iov_base + at->off;
	at->off += n;
	return n;
}

void snvme_to_client(struct snvme_cursor *at, const void *from, size_t len)
{
	const uint8_t *bytes = from;
	uint8_t *va;

	while (len) {
		const size_t n = step(at, len, &va);

		memcpy(va, bytes, n);
		bytes += n;
		len -= n;
	}
}

void snvme_from_client(struct snvme_cursor *at, void *to, size_t len)
{
	uint8_t *bytes = to, *va;

	while (len) {
		const size_t n = step(at, len, &va);

		memcpy(bytes, va, n);
		bytes += n;
		len -= n;
	}
}

bool snvme_same(struct snvme_cursor *at, const void *as, size_t len)
{
	const uint8_t *bytes = as;
	bool same = true;
	uint8_t *va;

	while (len) {
		const size_t n = step(at, len, &va);

		same &= !memcmp(va, bytes, n);
		bytes += n;
		len -= n;
	}
	return same;
}
