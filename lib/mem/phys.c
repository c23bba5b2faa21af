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

/* The physical address, or -errno: a real one has 56 bits at most and is never negative. */
static int64_t pagemap_phys(int fd, uintptr_t va)
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
	return (int64_t)(pfn * base + va % base);
}

struct run {
	int64_t phys; /* or -errno */
	size_t len;
};

/* A page that is not there ends the run, unless it is the first. */
static struct run scan_run(int fd, uintptr_t va, size_t len, size_t page_size)
{
	struct run run = { .phys = pagemap_phys(fd, va), .len = page_size - va % page_size };
	int64_t next;

	while (run.phys >= 0 && run.len < len) {
		next = pagemap_phys(fd, va + run.len);
		if (next < 0 && next != -EFAULT)
			run.phys = next;
		else if (next != run.phys + (int64_t)run.len)
			break;
		else
			run.len += page_size;
	}
	run.len = run.len < len ? run.len : len;
	return run;
}

int plx_phys(const void *va, uint64_t *phys)
{
	int fd = pagemap_open();
	int64_t found;

	if (fd < 0)
		return fd;
	found = pagemap_phys(fd, (uintptr_t)va);
	close(fd);
	if (found < 0)
		return (int)found;
	*phys = (uint64_t)found;
	return 0;
}

int plx_phys_run(const void *va, size_t len, size_t page_size, uint64_t *phys, size_t *run)
{
	uintptr_t addr = (uintptr_t)va;
	struct run found, again;
	int fd;

	if (!len || addr + len < addr || page_size < plx_mem_base_page() ||
	    (page_size & (page_size - 1)))
		return -EINVAL;
	fd = pagemap_open();
	if (fd < 0)
		return fd;
	found = scan_run(fd, addr, len, page_size);
	again = found.phys < 0 ? found : scan_run(fd, addr, len, page_size);
	close(fd);
	if (again.phys < 0)
		return (int)again.phys;
	if (again.phys != found.phys || again.len != found.len)
		return -EAGAIN;
	*phys = (uint64_t)found.phys;
	*run = found.len;
	return 0;
}
