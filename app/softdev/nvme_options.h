/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NVME_OPTIONS_H
#define NVME_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "soft_nvme.h"
#include "softdev.h"

struct nvme_options {
	struct soft_nvme_conf conf;
	struct soft_ns_conf ns[SOFT_NVME_NAMESPACES];
	const char *ns_text[SOFT_NVME_NAMESPACES]; /* as given */
	bool json, help;
	int cpu; /* -1: any */
	unsigned idle_us;
};

/* 0, or -EINVAL: said. With help nothing else is looked at. conf points into opts, and argv. */
int nvme_options_parse(int argc, char **argv, struct nvme_options *opts);

void nvme_options_free(struct nvme_options *opts);

void nvme_usage(FILE *out);

#endif
