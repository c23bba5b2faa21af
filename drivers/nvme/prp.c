/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical Region Pages [Base 4.1.1]: the first entry may begin anywhere in its page (at four
 * bytes), every other one is a whole page but for the end of the last. The second is an entry, or
 * the address of a list of them. A list that is full and not at its end has the address of the
 * next page of it in its last place.
 */
#include <endian.h>
#include <errno.h>

#include "nvme.h"

struct list {
	uint64_t *entry;
	uint64_t dma;
	size_t used, room; /* entries */
	size_t a_page;
};

/* False: no room. last: of the command, so that no chain is needed. */
static bool put(struct list *list, uint64_t dma, bool last)
{
	size_t place = list->used & (list->a_page - 1);

	if (place == list->a_page - 1 && !last) {
		if (list->room - list->used < 2)
			return false;
		list->entry[list->used] =
			htole64(list->dma + (list->used + 1) * sizeof(*list->entry));
		list->used++;
	}
	if (list->used == list->room)
		return false;
	list->entry[list->used++] = htole64(dma);
	return true;
}

int nvme_prp(struct plx_nvme_qpair *q, struct nvme_tracker *tr, struct nvme_data at, size_t len)
{
	const uint64_t mask = q->page_mask;
	struct list list = {
		.entry = nvme_list(q, tr),
		.dma = nvme_list_dma(q, tr),
		.room = ((size_t)1 << q->list_shift) / sizeof(*list.entry),
		.a_page = (mask + 1) / sizeof(*list.entry),
	};
	bool first = true;
	uint64_t end = 0; /* of the run before, in its page */

	while (len) {
		struct nvme_run run = nvme_next_run(q->fast.xlate, &at, len);

		if (run.dma & 3)
			return run.dma == PLX_DMA_BAD ? -EFAULT : -EINVAL;
		if (!first && ((run.dma & mask) || end))
			return -EINVAL;
		end = (run.dma + run.len) & mask;
		len -= run.len;
		for (;;) {
			size_t page = mask + 1 - (run.dma & mask);
			bool last = !len && page >= run.len;

			if (first)
				tr->cmd.prp1 = htole64(run.dma);
			else if (!put(&list, run.dma, last))
				return -EINVAL;
			first = false;
			if (page >= run.len)
				break;
			run.dma += page;
			run.len -= page;
		}
	}
	tr->cmd.flags = PLX_NVME_PSDT_PRP;
	tr->cmd.prp2 = list.used > 1 ? htole64(list.dma) : list.used ? list.entry[0] : 0;
	return 0;
}

ssize_t nvme_prp_reach(const struct plx_nvme_qpair *q, struct nvme_data at, size_t len)
{
	const uint64_t mask = q->page_mask;
	uint64_t end = 0;
	size_t done = 0;

	while (done < len) {
		struct nvme_run run = nvme_next_run(q->fast.xlate, &at, len - done);

		if (run.dma == PLX_DMA_BAD)
			return -EFAULT;
		if (run.dma & 3 || (done && ((run.dma & mask) || end)))
			break;
		end = (run.dma + run.len) & mask;
		done += run.len;
	}
	return (ssize_t)done;
}
