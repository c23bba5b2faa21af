/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory is available in base pages. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* One line of a meminfo file, in bytes; nodes write "Node 0 " in front. 0 if it isn't there. */
static uint64_t field(FILE *meminfo, const char *name)
{
	unsigned long long kib;
	char line[128], *at;

	rewind(meminfo);
	while (fgets(line, sizeof(line), meminfo)) {
		at = strstr(line, name);
		if (at && sscanf(at + strlen(name), ": %llu kB", &kib) == 1)
			return kib << 10;
	}
	return 0;
}

int plx_mem_available(int node, uint64_t *bytes)
{
	FILE *meminfo = NULL;
	char path[64];

	if (node != PLX_NODE_ANY) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
		meminfo = fopen(path, "re");
	}
	if (meminfo) {
		/* The page cache can go, but for what lives nowhere else. */
		*bytes = field(meminfo, "MemFree") + field(meminfo, "FilePages") -
			 field(meminfo, "Shmem");
	} else {
		/* Any node, or a kernel without NUMA. */
		meminfo = fopen("/proc/meminfo", "re");
		if (!meminfo)
			return -errno;
		*bytes = field(meminfo, "MemAvailable");
	}
	fclose(meminfo);
	return 0;
}
