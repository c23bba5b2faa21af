/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "conform.h"

static char heading[64];
static unsigned int lines;

void scene(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(heading, sizeof(heading), fmt, args);
	va_end(args);
}

static void line(const char *what, int result, const char *numbers)
{
	printf("%s: %s: %s%s\n", heading, what, result < 0 ? strerrorname_np(-result) : "ok",
	       numbers);
	lines++;
}

int check(const char *what, int result)
{
	line(what, result, "");
	return result;
}

int tell(const char *what, int result, const char *fmt, ...)
{
	char numbers[400] = " ";
	va_list args;

	va_start(args, fmt);
	if (result >= 0)
		vsnprintf(numbers + 1, sizeof(numbers) - 1, fmt, args);
	va_end(args);
	line(what, result, result >= 0 ? numbers : "");
	return result;
}

int must(const char *what, int result)
{
	if (result >= 0)
		return result;
	printf("%s: %s: %s, and nothing can follow\n", heading, what, strerrorname_np(-result));
	exit(1);
}

int call(int fd, unsigned long request, void *arg)
{
	int ret = plx_sys->ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int call_int(int fd, unsigned long request, unsigned long arg)
{
	return call(fd, request, (void *)(uintptr_t)arg);
}

int node_open(const char *path)
{
	int fd = plx_sys->open(path, O_RDWR);

	return fd < 0 ? -errno : fd;
}

void node_close(int fd)
{
	if (fd >= 0)
		plx_sys->close(fd);
}

int group_open(const struct plx_facts *dev)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s%d", dev->noiommu_group ? "noiommu-" : "",
		 dev->group);
	return node_open(path);
}

int cdev_open(const struct plx_facts *dev)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", dev->cdev);
	return node_open(path);
}

/* Aligned to its size: hugepages where there are any, so that kernels may use large ones. */
static void get_memory(struct conform *c)
{
	char *at;

	c->file = memfd_create("conform", MFD_CLOEXEC | MFD_HUGETLB);
	if (c->file < 0 || ftruncate(c->file, CONFORM_MEM))
		must("a file of hugepages", -errno);
	at = mmap(NULL, 2 * CONFORM_MEM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		must("memory", -errno);
	at += -(uintptr_t)at % CONFORM_MEM;
	c->mem = mmap(at, CONFORM_MEM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, c->file, 0);
	if (c->mem == MAP_FAILED) {
		/* Nobody reaches for it where the kernel is a fake one. */
		close(c->file);
		c->file = memfd_create("conform", MFD_CLOEXEC);
		if (c->file < 0 || ftruncate(c->file, CONFORM_MEM))
			must("a file", -errno);
		c->mem = mmap(at, CONFORM_MEM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			      c->file, 0);
	}
	if (c->mem == MAP_FAILED)
		must("memory", -errno);
	memset(c->mem, 0, CONFORM_MEM);
}

static void through_containers(const struct conform *c, const char *path)
{
	conform_container(c, path);
	conform_groups(c, path);
	conform_type1(c, path, VFIO_TYPE1v2_IOMMU);
	conform_type1(c, path, VFIO_TYPE1_IOMMU);
	conform_limits(c, path);
}

unsigned int conform_run(const char *const addresses[CONFORM_DEVS], const struct conform_env *env)
{
	struct conform c = { .env = env };
	unsigned int i;

	lines = 0;
	scene("set-up");
	for (i = 0; i < CONFORM_DEVS; i++)
		must(addresses[i], plx_facts_read(addresses[i], &c.dev[i]));
	c.noiommu = c.dev[0].noiommu_group || c.dev[0].noiommu_cdev;
	get_memory(&c);
	if (c.noiommu) {
		conform_noiommu(&c);
	} else if (env->forgeable) {
		conform_forgeable(&c);
	} else {
		through_containers(&c, "/dev/vfio/vfio");
		through_containers(&c, "/dev/iommu");
		conform_iommufd(&c);
		conform_cdev(&c);
	}
	munmap(c.mem, CONFORM_MEM);
	close(c.file);
	return lines;
}
