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

static const char no_data[] = "(none)";

/* NSIDs in order, 0 ends them [Base 5.17.2.2]. */
static void print_namespaces(const uint32_t *nsid)
{
	unsigned i;

	for (i = 0; i < PLX_NVME_NS_LIST_MAX && nsid[i]; i++)
		printf("namespace     %u\n", le32toh(nsid[i]));
	if (!i)
		puts(no_data);
}

/* How many, and their ids [Base 5.17.2.13]. */
static void print_controllers(const uint16_t *list)
{
	unsigned count = le16toh(list[0]);

	for (unsigned i = 1; i <= count && i < PLX_NVME_IDENTIFY_LEN / sizeof(*list); i++)
		printf("controller id %u\n", le16toh(list[i]));
	if (!count)
		puts(no_data);
}

/* Namespace Identification Descriptors: type, length, two reserved, and the value [5.17.2.3]. */
static void print_descriptors(const uint8_t *data)
{
	static const char *const names[] = {
		[1] = "EUI64", [2] = "NGUID", [3] = "UUID", [4] = "command set"
	};
	const uint8_t *end = data + PLX_NVME_IDENTIFY_LEN;
	const uint8_t *at = data;

	for (; end - at >= 4 && at[0] && at[1] && at[1] <= end - at - 4; at += 4 + at[1]) {
		if (at[0] < sizeof(names) / sizeof(names[0]))
			printf("%-13s ", names[at[0]]);
		else
			printf("type %-8u ", at[0]);
		for (unsigned i = 0; i < at[1]; i++)
			printf("%02x", at[4 + i]);
		putchar('\n');
	}
	if (at == data)
		puts(no_data);
}

/* Combinations of I/O command sets, a bit each; unused ones are 0 [5.17.2.21]. */
static void print_command_sets(const uint64_t *vector)
{
	unsigned count = 0;

	for (unsigned i = 0; i < PLX_NVME_IDENTIFY_LEN / sizeof(*vector); i++) {
		if (!vector[i])
			continue;
		printf("command sets  %u: %016" PRIx64 "\n", i, (uint64_t)le64toh(vector[i]));
		count++;
	}
	if (!count)
		puts(no_data);
}

/* The namespace, where there is one, needn't be an active one: the controller knows. */
static enum exit_code identify_cns(struct plx_nvme_ctrl *ctrl, const struct arguments *args)
{
	union {
		uint8_t bytes[PLX_NVME_IDENTIFY_LEN];
		uint16_t words[PLX_NVME_IDENTIFY_LEN / 2];
		uint32_t dwords[PLX_NVME_IDENTIFY_LEN / 4];
		uint64_t qwords[PLX_NVME_IDENTIFY_LEN / 8];
	} id;
	const int err = plx_nvme_identify(ctrl, args->cns, args->nsid, &id);

	if (err) {
		plx_err("Identify, CNS 0x%02x: %s", args->cns, plx_nvme_error(err));
		return EXIT_RUNTIME;
	}
	switch (args->binary ? UINT32_MAX : args->cns) {
	case PLX_NVME_CNS_ACTIVE_NS_LIST:
	case PLX_NVME_CNS_ALLOCATED_NS_LIST: print_namespaces(id.dwords); break;
	case PLX_NVME_CNS_NS_CTRL_LIST:
	case PLX_NVME_CNS_CTRL_LIST: print_controllers(id.words); break;
	case PLX_NVME_CNS_NS_DESCRIPTORS: print_descriptors(id.bytes); break;
	case PLX_NVME_CNS_IO_COMMAND_SETS: print_command_sets(id.qwords); break;
	default: print_hex(id.bytes, sizeof(id)); break;
	}
	return EXIT_OK;
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
	if (args->cns_set)
		return identify_cns(ctrl, args);
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
