/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <inttypes.h>

#include <pollux/log.h>

#include "command.h"

static void print_ctrl(const struct plx_nvme_ctrl *ctrl, const struct plx_nvme_id_ctrl *id)
{
	const struct plx_nvme_ctrl_info *info = plx_nvme_ctrl_info(ctrl);

	printf("controller    %s\n", info->name);
	printf("model         %s\n", info->model);
	printf("serial        %s\n", info->serial);
	printf("firmware      %s\n", info->firmware);
	printf("subsystem     %.*s\n", (int)sizeof(id->subnqn), id->subnqn);
	printf("vendor        %04x:%04x\n", info->vendor, le16toh(id->ssvid));
	printf("version       %u.%u.%u\n", info->version >> 16, info->version >> 8 & 0xff,
	       info->version & 0xff);
	printf("controller id %u\n", le16toh(id->cntlid));
	printf("namespaces    up to %u\n", le32toh(id->nn));
	printf("queue pairs   %u of up to %u commands\n", info->max_queues, info->max_depth);
	printf("page          %zu bytes\n", info->page_size);
	if (info->max_transfer)
		printf("transfer      up to %zu bytes a command\n", info->max_transfer);
	else
		printf("transfer      of any length\n");
	printf("commands      OACS %04x  ONCS %04x\n", info->oacs, info->oncs);
	printf("SGLs          %s\n", le32toh(id->sgls) & PLX_NVME_SGLS_SUPPORT ? "yes" : "no");
	if (info->cmb)
		printf("queue memory  %zu bytes of the controller's own\n", info->cmb);
	printf("write cache   %s\n", info->write_cache ? "volatile" : "none");
	printf("abort limit   %u\n", id->acl + 1);
	printf("event limit   %u\n", id->aerl + 1);
	printf("keep alive    %s\n", id->kas ? "yes" : "no");
}

static void print_ns(const struct plx_nvme_ns_info *info, const struct plx_nvme_id_ns *id)
{
	unsigned formats = id->nlbaf + 1u;

	printf("namespace     %u\n", info->nsid);
	printf("size          %" PRIu64 " blocks\n", info->blocks);
	printf("capacity      %" PRIu64 " blocks\n", (uint64_t)le64toh(id->ncap));
	printf("in use        %" PRIu64 " blocks\n", (uint64_t)le64toh(id->nuse));
	printf("protection    type %u\n", info->pi);
	for (unsigned i = 0; i < formats && i < 64; i++)
		printf("format %-6u %u bytes, %u of metadata%s\n", i,
		       1u << (id->lbaf[i].lbads & 31), le16toh(id->lbaf[i].ms),
		       i == info->lbaf ? " (in use)" : "");
}

static void print_hex(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i += 16) {
		printf("%04zx:", i);
		for (size_t k = i; k < i + 16 && k < len; k++)
			printf(" %02x", data[k]);
		printf("\n");
	}
}

enum exit_code command_identify(struct session *s, const struct arguments *args)
{
	union {
		struct plx_nvme_id_ctrl ctrl;
		struct plx_nvme_id_ns ns;
		uint8_t bytes[PLX_NVME_IDENTIFY_LEN];
	} id;
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct plx_nvme_ns *ns = NULL;
	int err;

	if (!ctrl)
		return EXIT_USAGE;
	if (args->nsid) {
		ns = chosen_ns(ctrl, args);
		if (!ns)
			return EXIT_RUNTIME;
	}
	err = plx_nvme_identify(ctrl, ns ? PLX_NVME_CNS_NS : PLX_NVME_CNS_CTRL, args->nsid, &id);
	if (err) {
		plx_err("Identify: %s", plx_nvme_error(err));
		return EXIT_RUNTIME;
	}
	if (args->binary)
		print_hex(id.bytes, sizeof(id));
	else if (ns)
		print_ns(plx_nvme_ns_info(ns), &id.ns);
	else
		print_ctrl(ctrl, &id.ctrl);
	return EXIT_OK;
}
