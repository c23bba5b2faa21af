/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical addresses, from /proc/self/pagemap: one 64-bit word for each base page (Linux,
 * Documentation/admin-guide/mm/pagemap.rst).
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "internal.h"

#define PAGEMAP		"/proc/self/pagemap"
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_PFN	((UINT64_C(1) << 55) - 1)

static int pagemap_open(void)
{
	int fd = open(PAGEMAP, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return errno == EACCES ? -EPERM : -errno;
}

static int pagemap_phys(int fd, uintptr_t va, uint64_t *phys)
{
	size_t base = plx_mem_base_page();
	uint64_t entry, pfn;
	ssize_t got;

	got = pread(fd, &entry, sizeof(entry), va / base * sizeof(entry));
	if (got < 0)
		return -errno;
	/* Short: past the end of user space. */
	if (got != sizeof(entry) || !(entry & PAGEMAP_PRESENT))
		return -EFAULT;
	/* Without CAP_SYS_ADMIN every frame reads as 0, which is never a user's page. */
	pfn = entry & PAGEMAP_PFN;
	if (!pfn)
		return -EPERM;
	*phys = pfn * base + va % base;
	return 0;
}

/* A page that is not there ends the run, unless it is the first. */
static int scan_run(int fd, uintptr_t va, size_t len, size_t page_size, uint64_t *phys, size_t *run)
{
	size_t have = page_size - va % page_size;
	uint64_t next;
	int err;

	err = pagemap_phys(fd, va, phys);
	if (err)
		return err;
	while (have < len) {
		err = pagemap_phys(fd, va + have, &next);
		if (err == -EFAULT || (!err && next != *phys + have))
			break;
		if (err)
			return err;
		have += page_size;
	}
	*run = have < len ? have : len;
	return 0;
}

int plx_phys(const void *va, uint64_t *phys)
{
	int fd = pagemap_open(), err;

	if (fd < 0)
		return fd;
	err = pagemap_phys(fd, (uintptr_t)va, phys);
	close(fd);
	return err;
}

int plx_phys_run(const void *va, size_t len, size_t page_size, uint64_t *phys, size_t *run)
{
	uintptr_t addr = (uintptr_t)va;
	uint64_t again;
	size_t run_again;
	int fd, err;

	if (!len || addr + len < addr || page_size < plx_mem_base_page() ||
	    (page_size & (page_size - 1)))
		return -EINVAL;
	fd = pagemap_open();
	if (fd < 0)
		return fd;
	err = scan_run(fd, addr, len, page_size, phys, run);
	if (!err)
		err = scan_run(fd, addr, len, page_size, &again, &run_again);
	close(fd);
	if (!err && (again != *phys || run_again != *run))
		err = -EAGAIN;
	return err;
}
