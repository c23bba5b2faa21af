/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of the application's own that EAL knows of: EAL announces none of it, so we offer the
 * call. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_memory.h>

#include <pollux/log.h>

#include "internal.h"

int plx_extmem_register(void *va, size_t len, size_t page_size)
{
	const struct plx_dma_mem mem = { .va = va, .len = len, .page_size = page_size, .fd = -1 };
	size_t pages;
	rte_iova_t *iova;
	int err;

	if (!page_size || page_size & (page_size - 1) || !len || len % page_size ||
	    (uintptr_t)va % page_size)
		return -EINVAL;
	pages = len / page_size;
	iova = calloc(pages, sizeof(*iova));
	if (!iova)
		return -ENOMEM;
	err = plx_eal_run_map(&mem, NULL);
	if (err)
		goto free_iova;
	for (size_t i = 0; i < pages; i++)
		iova[i] = plx_xlate_dma(plx_eal_xlate(), (char *)va + i * page_size);
	if (rte_extmem_register(va, len, iova, pages, page_size)) {
		err = rte_errno ? -rte_errno : -EIO;
		plx_eal_run_unmap(va, len);
	}
free_iova:
	free(iova);
	return err;
}

int plx_extmem_unregister(void *va, size_t len)
{
	int err = plx_eal_run_unmap(va, len);

	if (err == -ENOENT)
		return err;
	if (rte_extmem_unregister(va, len) && !err)
		err = rte_errno ? -rte_errno : -EIO;
	return err;
}
