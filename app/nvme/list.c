/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>

#include <pollux/log.h>

#include "command.h"

struct plx_nvme_ctrl *only_ctrl(const struct session *s)
{
	if (s->count == 1)
		return s->ctrl[0];
	plx_err("there are %u controllers: name one with -a ADDRESS", s->count);
	return NULL;
}

struct plx_nvme_ns *chosen_ns(struct plx_nvme_ctrl *ctrl, const struct arguments *args)
{
	struct plx_nvme_ns *ns =
		args->nsid ? plx_nvme_ns_get(ctrl, args->nsid) : plx_nvme_ns_next(ctrl, 0);
	const char *name = plx_nvme_ctrl_info(ctrl)->name;

	if (!ns && args->nsid)
		plx_err("%s has no namespace %u", name, args->nsid);
	else if (!ns)
		plx_err("%s has no namespace", name);
	else if (!args->nsid && plx_nvme_ns_next(ctrl, plx_nvme_ns_info(ns)->nsid)) {
		plx_err("%s has several namespaces: choose one with -n", name);
		return NULL;
	}
	return ns;
}

bool fits(const struct plx_nvme_ns_info *info, uint64_t lba, uint64_t blocks)
{
	if (lba <= info->blocks && blocks <= info->blocks - lba)
		return true;
	plx_err("namespace %u has %" PRIu64 " blocks, which don't include %" PRIu64
		" from block %" PRIu64 " on",
		info->nsid, info->blocks, blocks, lba);
	return false;
}

static void print_ns(const struct plx_nvme_ns_info *info)
{
	printf("  namespace %-5u %12" PRIu64 " blocks of %u bytes (%.1f MiB)", info->nsid,
	       info->blocks, info->block_size, (double)info->blocks * info->block_size / 1048576.0);
	if (info->meta_size)
		printf(", %u of metadata %s", info->meta_size,
		       info->extended ? "behind each" : "apart");
	if (info->pi)
		printf(", protection type %u", info->pi);
	printf("\n");
}

enum exit_code command_list(struct session *s, const struct arguments *args)
{
	(void)args;
	for (unsigned i = 0; i < s->count; i++) {
		const struct plx_nvme_ctrl_info *info = plx_nvme_ctrl_info(s->ctrl[i]);
		struct plx_nvme_ns *ns;
		uint32_t nsid = 0;

		printf("%s  %s  serial %s  firmware %s  NVMe %u.%u  %s\n", info->name, info->model,
		       info->serial, info->firmware, info->version >> 16, info->version >> 8 & 0xff,
		       session_mode(s, s->ctrl[i]));
		while ((ns = plx_nvme_ns_next(s->ctrl[i], nsid))) {
			print_ns(plx_nvme_ns_info(ns));
			nsid = plx_nvme_ns_info(ns)->nsid;
		}
	}
	return EXIT_OK;
}
