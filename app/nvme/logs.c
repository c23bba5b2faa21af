/* SPDX-License-Identifier: BSD-3-Clause */
/* Log pages but SMART's [Base 5.16.1]: errors, firmware, effects. */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>

#include <pollux/log.h>

#include "command.h"
#include "opcodes.h"

#define ERROR_ENTRIES 64u

/* One log page, to be freed; or NULL, and a line is logged. */
static void *read_log(struct plx_nvme_ctrl *ctrl, enum plx_nvme_log log, size_t len,
		      const char *name)
{
	void *data = calloc(1, len);
	int err;

	if (!data) {
		plx_err("out of memory");
		return NULL;
	}
	err = plx_nvme_get_log(ctrl, log, PLX_NVME_NSID_ALL, 0, data, len);
	if (!err)
		return data;
	plx_err("%s log: %s", name, plx_nvme_error(err));
	free(data);
	return NULL;
}

/* How many entries there are, the newest first: ELPE [Base 5.17.2.1]. */
static unsigned error_entries(struct plx_nvme_ctrl *ctrl)
{
	struct plx_nvme_id_ctrl *id = malloc(sizeof(*id));
	unsigned entries = 1;

	if (id && !plx_nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, id))
		entries = id->elpe + 1u;
	free(id);
	return entries < ERROR_ENTRIES ? entries : ERROR_ENTRIES;
}

enum exit_code command_errors(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct plx_nvme_error_entry *entry;
	unsigned entries;

	(void)args;
	if (!ctrl)
		return EXIT_USAGE;
	entries = error_entries(ctrl);
	entry = read_log(ctrl, PLX_NVME_LOG_ERRORS, entries * sizeof(*entry), "error");
	if (!entry)
		return EXIT_RUNTIME;
	for (unsigned i = 0; i < entries && entry[i].count; i++)
		printf("error %" PRIu64 "  queue %u  command %u  namespace %u  block %" PRIu64
		       "  %s\n",
		       (uint64_t)le64toh(entry[i].count), le16toh(entry[i].sqid),
		       le16toh(entry[i].cid), le32toh(entry[i].nsid),
		       (uint64_t)le64toh(entry[i].lba),
		       plx_nvme_status_name((uint16_t)(le16toh(entry[i].status) >> 1)));
	free(entry);
	return EXIT_OK;
}

enum exit_code command_firmware(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct plx_nvme_fw_log *log;

	(void)args;
	if (!ctrl)
		return EXIT_USAGE;
	log = read_log(ctrl, PLX_NVME_LOG_FIRMWARE, sizeof(*log), "firmware");
	if (!log)
		return EXIT_RUNTIME;
	for (unsigned i = 0; i < 7; i++)
		if (log->revision[i][0] > ' ')
			printf("slot %u  %.8s%s%s\n", i + 1, log->revision[i],
			       (log->afi & 7) == i + 1 ? "  active" : "",
			       (log->afi >> 4 & 7) == i + 1 ? "  after the next reset" : "");
	free(log);
	return EXIT_OK;
}

static void print_effects(bool io, const uint32_t effects[256])
{
	static const char *const words[] = { "changes data", "changes namespaces",
					     "adds or removes namespaces",
					     "changes the controller" };

	for (unsigned op = 0; op < 256; op++) {
		const char *name = opcode_name(io, (uint8_t)op), *between = ":";
		uint32_t effect = le32toh(effects[op]);

		if (!(effect & PLX_NVME_EFFECT_SUPPORTED))
			continue;
		printf("%s 0x%02x%s%s", io ? "io" : "admin", op, name ? " " : "", name ? name : "");
		for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (effect >> (i + 1) & 1) {
				printf("%s %s", between, words[i]);
				between = ",";
			}
		printf("\n");
	}
}

enum exit_code command_effects(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct plx_nvme_effects *log;

	(void)args;
	if (!ctrl)
		return EXIT_USAGE;
	log = read_log(ctrl, PLX_NVME_LOG_EFFECTS, sizeof(*log), "effects");
	if (!log)
		return EXIT_RUNTIME;
	print_effects(false, log->admin);
	print_effects(true, log->io);
	free(log);
	return EXIT_OK;
}
