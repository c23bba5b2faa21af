/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab-conform: what the kernel of a guest answers. Takes the addresses of the devices, after
 * --forgeable if the guest's IOMMU doesn't remap interrupts.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "conform.h"

static void capability(unsigned int number, bool have)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return;
	if (have)
		data[0].effective |= 1u << number;
	else
		data[0].effective &= ~(1u << number);
	syscall(SYS_capset, &head, data);
}

static void rawio(bool have)
{
	capability(CAP_SYS_RAWIO, have);
}

/* Who has CAP_IPC_LOCK has no limit. */
static void memlock(uint64_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &limit);
	capability(CAP_IPC_LOCK, bytes == UINT64_MAX);
}

/* Where there is no such module, nothing is said. */
static void parameter(const char *path, unsigned int value)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return;
	fprintf(file, "%u\n", value);
	fclose(file);
}

static void entries(unsigned int limit)
{
	parameter("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", limit);
}

static void trust(bool devices)
{
	parameter("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", devices);
	parameter("/sys/module/iommufd/parameters/allow_unsafe_interrupts", devices);
}

static struct conform_env env = {
	.rawio = rawio, .memlock = memlock, .entries = entries, .trust = trust
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	env.forgeable = argc > 1 && !strcmp(argv[1], "--forgeable");
	argv += 1 + env.forgeable;
	argc -= 1 + env.forgeable;
	if (argc != CONFORM_DEVS) {
		fprintf(stderr, "usage: lab-conform [--forgeable] BDF BDF BDF\n");
		return 2;
	}
	conform_run((const char *const *)argv, &env);
	return 0;
}
