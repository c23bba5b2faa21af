/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab-conform: what the kernel of a guest answers. Takes the addresses of the devices.
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

/* Where there is no such module, nothing is limited. */
static void entries(unsigned int limit)
{
	FILE *file = fopen("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "w");

	if (!file)
		return;
	fprintf(file, "%u\n", limit);
	fclose(file);
}

static const struct conform_env env = { .rawio = rawio, .memlock = memlock, .entries = entries };

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 1 + CONFORM_DEVS) {
		fprintf(stderr, "usage: lab-conform BDF BDF BDF\n");
		return 2;
	}
	conform_run((const char *const *)argv + 1, &env);
	return 0;
}
