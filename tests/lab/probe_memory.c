/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping memory for DMA while the device is claimed, and what must be refused. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe.h"

#define SMALL_LEN (64u << 10)

static struct plx_dma_mem mem_of(const struct plx_arena *arena)
{
	return (struct plx_dma_mem){
		.va = arena->va,
		.len = arena->len,
		.page_size = arena->page_size,
		.fd = arena->fd,
	};
}

/* The device address of mapped memory is what the address policy says. */
static int check_address(struct probe *probe, const char *what, const void *va)
{
	uint64_t dma = plx_xlate_dma(plx_ioas_xlate(probe->ioas), va), phys;
	enum plx_addr_policy policy = plx_ioas_policy(probe->ioas);
	int err;

	if (dma == PLX_DMA_BAD)
		return probe_fail("%s at %p is mapped and has no device address", what, va);
	if (policy == PLX_ADDR_VA && dma != (uint64_t)(uintptr_t)va)
		return probe_fail("%s at %p has device address %#llx", what, va,
				  (unsigned long long)dma);
	if (policy == PLX_ADDR_PA) {
		err = plx_phys(va, &phys);
		if (!err && dma != phys)
			return probe_fail("%s at %p has device address %#llx, pagemap says %#llx",
					  what, va, (unsigned long long)dma,
					  (unsigned long long)phys);
	}
	probe_ok("%s at %p has device address %#llx", what, va, (unsigned long long)dma);
	return 0;
}

static int check_hugepages(struct probe *probe)
{
	struct plx_dma_mem mem = mem_of(probe->late);
	int ret, err;

	ret = check_address(probe, "memory mapped before the claim", probe->early->va);
	if (ret)
		return ret;
	err = plx_ioas_map(probe->ioas, &mem, NULL);
	if (err)
		return probe_fail("mapping %zu bytes of hugepages: %s", mem.len, strerror(-err));
	return check_address(probe, "memory mapped after the claim", mem.va);
}

/* Maps again what is mapped, and takes back what never was. */
static int check_refusals(struct probe *probe)
{
	struct plx_dma_mem mem = mem_of(probe->late);
	size_t half = mem.len / 2;
	int err;

	err = plx_ioas_map(probe->ioas, &mem, NULL);
	if (err != -EEXIST)
		return probe_fail("mapping the same again returned %d, not -EEXIST", err);
	mem.len = half;
	err = plx_ioas_map(probe->ioas, &mem, NULL);
	if (err != -EEXIST && err != -EINVAL)
		return probe_fail("mapping a part again returned %d, not -EEXIST", err);
	err = plx_ioas_unmap(probe->ioas, probe->late->va, half);
	if (err != -EINVAL)
		return probe_fail("unmapping the first half returned %d, not -EINVAL", err);
	err = plx_ioas_unmap(probe->ioas, (char *)probe->late->va + half, half);
	if (err != -EINVAL)
		return probe_fail("unmapping the second half returned %d, not -EINVAL", err);
	probe_ok("overlapping maps and partial unmaps are refused");
	return check_address(probe, "memory after those", probe->late->va);
}

static int check_small(struct probe *probe, void *va)
{
	struct plx_dma_mem mem = {
		.va = va,
		.len = SMALL_LEN,
		.page_size = sysconf(_SC_PAGESIZE),
		.fd = -1,
	};
	int ret, err;

	err = plx_ioas_map(probe->ioas, &mem, NULL);
	if (plx_ioas_policy(probe->ioas) == PLX_ADDR_PA) {
		if (err != -EOPNOTSUPP)
			return probe_fail("mapping base pages unprotected returned %d, "
					  "not -EOPNOTSUPP",
					  err);
		probe_ok("base pages are refused without an IOMMU");
		return 0;
	}
	if (err)
		return probe_fail("mapping %u bytes of base pages: %s", SMALL_LEN, strerror(-err));
	ret = check_address(probe, "64 KiB of base pages", va);
	err = plx_ioas_unmap(probe->ioas, va, SMALL_LEN);
	if (!ret && err)
		ret = probe_fail("unmapping base pages: %s", strerror(-err));
	return ret;
}

/* Takes the later arena out and puts it back: the DMA checks use it. */
static int check_unmap(struct probe *probe)
{
	struct plx_dma_mem mem = mem_of(probe->late);
	int err;

	err = plx_ioas_unmap(probe->ioas, mem.va, mem.len);
	if (err)
		return probe_fail("unmapping hugepages: %s", strerror(-err));
	if (plx_xlate_dma(plx_ioas_xlate(probe->ioas), mem.va) != PLX_DMA_BAD)
		return probe_fail("memory that was unmapped has a device address");
	err = plx_ioas_unmap(probe->ioas, mem.va, mem.len);
	if (err != -ENOENT)
		return probe_fail("unmapping it again returned %d, not -ENOENT", err);
	err = plx_ioas_map(probe->ioas, &mem, NULL);
	if (err)
		return probe_fail("mapping it once more: %s", strerror(-err));
	probe_ok("hugepages are unmapped and mapped again");
	return 0;
}

int probe_memory(struct probe *probe)
{
	void *small;
	int ret;

	ret = check_hugepages(probe);
	ret = ret ? ret : check_refusals(probe);
	ret = ret ? ret : check_unmap(probe);
	if (ret)
		return ret;
	small = mmap(NULL, SMALL_LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (small == MAP_FAILED)
		return probe_fail("no %u bytes of base pages: %s", SMALL_LEN, strerror(errno));
	ret = check_small(probe, small);
	munmap(small, SMALL_LEN);
	return ret;
}
