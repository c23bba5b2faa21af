/* SPDX-License-Identifier: BSD-3-Clause */
/* A namespace made anew: by default in the shape that it has. */
#include <pollux/log.h>

#include "command.h"

/* Identify Namespace has what Format NVM would change [NVM 4.1.5.1: FLBAS, DPS]. */
static int shape_in_use(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_ns_info *info,
			struct plx_nvme_format *format)
{
	struct plx_nvme_id_ns id;
	int err = plx_nvme_identify(ctrl, PLX_NVME_CNS_NS, info->nsid, &id);

	format->lbaf = info->lbaf;
	format->extended = id.flbas & 1u << 4;
	format->pi = id.dps & 7;
	format->pi_first = id.dps & 1u << 3;
	return err;
}

enum exit_code command_format(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct plx_nvme_ns *ns = ctrl ? chosen_ns(ctrl, args) : NULL;
	struct plx_nvme_format format = args->format;
	const struct plx_nvme_ns_info *info;
	int err = 0;

	if (!ctrl)
		return EXIT_USAGE;
	if (!ns)
		return EXIT_RUNTIME;
	info = plx_nvme_ns_info(ns);
	if (!args->yes) {
		plx_err("all data of namespace %u of %s would be lost: say --yes", info->nsid,
			plx_nvme_ctrl_info(ctrl)->name);
		return EXIT_USAGE;
	}
	if (!args->shape_set)
		err = shape_in_use(ctrl, info, &format);
	err = err ? err : plx_nvme_format(ctrl, info->nsid, &format);
	if (!err)
		return EXIT_OK;
	plx_err("Format: %s%s", plx_nvme_error(err),
		err > 0 && (err & PLX_NVME_STATUS_CODE) == PLX_NVME_INVALID_FORMAT
			? "; identify -n lists the formats that there are"
			: "");
	return EXIT_RUNTIME;
}
