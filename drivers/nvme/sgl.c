/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scatter Gather Lists [Base 4.1.2]: one data block descriptor in the command, or a last segment
 * descriptor that leads to a list of them. Neighbours in device memory become one.
 */
#include <endian.h>
#include <errno.h>

#include "nvme.h"

static size_t list_room(const struct plx_nvme_qpair *q)
{
	return ((size_t)1 << q->list_shift) / sizeof(struct plx_nvme_sgl);
}

/*
 * The SGLs Supported field may ask for dwords, and whatever it says our buffers are made of them.
 */
static bool is_dwords(const struct nvme_run *run)
{
	return !((run->dma | run->len) & 3);
}

/* What is put in a command or in its list. */
static struct plx_nvme_sgl descriptor(uint64_t dma, size_t len, uint8_t type)
{
	return (struct plx_nvme_sgl){ .addr = htole64(dma),
				      .len = htole32((uint32_t)len),
				      .type = type };
}

static void set_pointer(struct nvme_tracker *tr, const struct plx_nvme_sgl *sgl)
{
	tr->cmd.flags = PLX_NVME_PSDT_SGL;
	__builtin_memcpy(&tr->cmd.prp1, sgl, sizeof(*sgl));
}

int nvme_sgl(struct plx_nvme_qpair *q, struct nvme_tracker *tr, struct nvme_data at, size_t len)
{
	struct plx_nvme_sgl *list = nvme_list(q, tr), sgl;
	struct nvme_run all = { 0 };
	size_t n = 0;

	while (len) {
		struct nvme_run run = nvme_next_run(q->fast.xlate, &at, len);

		if (run.dma == PLX_DMA_BAD)
			return -EFAULT;
		if (!is_dwords(&run))
			return -EINVAL;
		len -= run.len;
		if (all.len && all.dma + all.len == run.dma) {
			all.len += run.len;
			continue;
		}
		if (all.len) {
			if (n == list_room(q))
				return -EINVAL;
			list[n++] = descriptor(all.dma, all.len, PLX_NVME_SGL_DATA);
		}
		all = run;
	}
	sgl = descriptor(all.dma, all.len, PLX_NVME_SGL_DATA);
	if (n == list_room(q))
		return -EINVAL;
	if (n) {
		list[n++] = sgl;
		sgl = descriptor(nvme_list_dma(q, tr), n * sizeof(sgl), PLX_NVME_SGL_LAST_SEGMENT);
	}
	set_pointer(tr, &sgl);
	return 0;
}

ssize_t nvme_sgl_reach(const struct plx_nvme_qpair *q, struct nvme_data at, size_t len)
{
	uint64_t end = PLX_DMA_BAD;
	size_t done = 0, n = 0;

	while (done < len) {
		struct nvme_run run = nvme_next_run(q->fast.xlate, &at, len - done);

		if (run.dma == PLX_DMA_BAD)
			return -EFAULT;
		n += run.dma != end;
		if (!is_dwords(&run) || n > list_room(q))
			break;
		end = run.dma + run.len;
		done += run.len;
	}
	return (ssize_t)done;
}
