/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The short way of plx_nvme_read() and plx_nvme_write(), inline: of a buffer that doesn't leave its
 * page, with nothing else to heed. <pollux/nvme.h> includes it; nothing here is for applications.
 */
#ifndef POLLUX_NVME_FAST_H
#define POLLUX_NVME_FAST_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

#include <pollux/ioas.h>
#include <pollux/nvme_spec.h>

#ifdef __cplusplus
extern "C" {
#endif

struct plx_nvme_qpair;
struct plx_nvme_ns;
struct nvme_split;

typedef void plx_nvme_done_fn(void *arg, uint16_t status, uint32_t result);

/* A command in flight, or a place for one: what is touched when it is sent and when it is done. */
struct plx_nvme_fast_cmd {
	plx_nvme_done_fn *done;
	void *arg;
	union {
		struct {
			uint32_t tick;	 /* when it was sent */
			uint8_t retries; /* left */
		};
		uint64_t fresh; /* both at once */
	};
	union {
		struct plx_nvme_fast_cmd *next_free;
		struct nvme_split *split; /* of a command that went the long way */
		uint64_t prp1; /* of one that didn't, and so are these; as they're sent */
	};
	uint64_t word0, lba;
	uint32_t last; /* block, from lba */
	uint16_t cid;  /* of this use, or if it is free, of the next */
	uint16_t busy; /* 0: with a command that went the short way */
};

/* A queue pair begins with it. Of the queue, nothing is ever read. */
struct plx_nvme_fast_queue {
	struct plx_nvme_fast_cmd *free; /* a list, the last one freed first; NULL: none */
	struct plx_nvme_cmd *tail;	/* the entry to fill next */
	struct plx_nvme_cmd *sq, *sq_end;
	const struct plx_xlate *xlate;
	uint64_t fresh;	     /* of a command that goes the short way now */
	uint32_t plain_mask; /* page size less one; 0: everything goes the long way */
};

/* A namespace begins with it. */
struct plx_nvme_fast_ns {
	uint64_t word0;		/* of a command: the nsid */
	uint64_t boundary_mask; /* lba bits of which a command may not change one; 0: any */
	uint32_t unit;		/* bytes of a block; UINT32_MAX if everything goes the long way */
};

/* The long way. */
int plx_nvme_read_write(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns, uint8_t opcode,
			void *buf, uint64_t lba, uint32_t blocks, plx_nvme_done_fn *done,
			void *arg);

static inline void plx_nvme_fast_word(struct plx_nvme_cmd *cmd, unsigned word, uint64_t value)
{
	__builtin_memcpy((char *)cmd + word * sizeof(value), &value, sizeof(value));
}

/* A command is eight words; all that plain reads and writes don't say is 0. */
static inline void plx_nvme_fast_put(struct plx_nvme_cmd *cmd, uint64_t word0, uint64_t prp1,
				     uint64_t lba, uint64_t last)
{
	plx_nvme_fast_word(cmd, 0, word0);
	plx_nvme_fast_word(cmd, 1, 0);
	plx_nvme_fast_word(cmd, 2, 0);
	plx_nvme_fast_word(cmd, 3, prp1);
	plx_nvme_fast_word(cmd, 4, 0);
	plx_nvme_fast_word(cmd, 5, lba);
	plx_nvme_fast_word(cmd, 6, last);
	plx_nvme_fast_word(cmd, 7, 0);
}

static inline bool plx_nvme_fast_crosses(const struct plx_nvme_fast_ns *ns, uint64_t lba,
					 uint32_t blocks)
{
	return (lba ^ (lba + blocks - 1)) & ns->boundary_mask;
}

static inline __attribute__((always_inline)) int
plx_nvme_fast(struct plx_nvme_qpair *q, const struct plx_nvme_ns *ns, uint8_t opcode, void *buf,
	      uint64_t lba, uint32_t blocks, plx_nvme_done_fn *done, void *arg)
{
	struct plx_nvme_fast_queue *fast = (struct plx_nvme_fast_queue *)q;
	const struct plx_nvme_fast_ns *fns = (const struct plx_nvme_fast_ns *)ns;
	uint64_t dma = plx_xlate_dma(fast->xlate, buf), mask = fast->plain_mask, word0;
	uint64_t len = (uint64_t)blocks * fns->unit;
	struct plx_nvme_cmd *tail = fast->tail;
	struct plx_nvme_fast_cmd *cmd = fast->free;

	/* PLX_DMA_BAD is no multiple of four; no blocks are more than there is room for. */
	if (__builtin_expect(!cmd || dma & 3 || len - 1 > mask - (dma & mask) ||
				     plx_nvme_fast_crosses(fns, lba, blocks),
			     0))
		return plx_nvme_read_write(q, ns, opcode, buf, lba, blocks, done, arg);
	fast->free = cmd->next_free;
	cmd->done = done;
	cmd->arg = arg;
	cmd->fresh = fast->fresh;
	cmd->busy = 0;
	word0 = htole64(fns->word0 | (uint32_t)cmd->cid << 16 | opcode);
	cmd->word0 = word0;
	cmd->prp1 = htole64(dma);
	cmd->lba = htole64(lba);
	cmd->last = blocks - 1;
	plx_nvme_fast_put(tail++, word0, htole64(dma), htole64(lba), htole64(blocks - 1));
	fast->tail = tail == fast->sq_end ? fast->sq : tail;
	return 0;
}

#ifdef __cplusplus
}
#endif

#endif
