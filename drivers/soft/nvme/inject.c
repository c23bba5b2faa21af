/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "snvme.h"

/* Whether the count of what has been asked for comes round. */
static bool due(uint64_t commands, uint32_t every)
{
	return every && commands % every == 0;
}

enum snvme_mishap snvme_mishap(struct soft_nvme *nvme, uint8_t opcode, uint16_t *status)
{
	const struct soft_inject *inject = &nvme->inject;
	const uint64_t commands = ++nvme->inject_commands;

	if (due(commands, inject->fatal))
		return SNVME_FATAL;
	if (due(commands, inject->drop))
		return SNVME_DROP;
	if (due(commands, inject->stuck))
		return SNVME_KEEP;
	if (due(commands, inject->bad_cid))
		return SNVME_BAD_CID;
	for (unsigned i = 0; i < inject->statuses; i++) {
		const struct soft_inject_status *one = &inject->status[i];

		if ((one->opcode >= 0 && one->opcode != opcode) ||
		    !due(++nvme->inject_count[i], one->every))
			continue;
		*status = one->status;
		return SNVME_STATUS;
	}
	return SNVME_NONE;
}

/*
 * The option.
 */

/* A number from min to max up to one of the characters of end, or the end of the text. */
static int number(const char **at, unsigned long min, unsigned long max, const char *end,
		  unsigned long *value)
{
	char *stop;

	if (**at < '0' || **at > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoul(*at, &stop, 0);
	if (errno || *value < min || *value > max || (*stop && !strchr(end, *stop)))
		return -EINVAL;
	*at = stop;
	return 0;
}

static bool begins(const char **at, const char *with)
{
	const size_t len = strlen(with);

	if (strncmp(*at, with, len))
		return false;
	*at += len;
	return true;
}

/* What may follow a status, one after the other. */
static int parse_more(const char *at, struct soft_inject_status *status)
{
	unsigned long n;

	while (*at) {
		if (!begins(&at, ","))
			return -EINVAL;
		if (begins(&at, "rate=1/")) {
			if (number(&at, 1, UINT32_MAX, ",", &n))
				return -EINVAL;
			status->every = (uint32_t)n;
		} else if (begins(&at, "opcode=")) {
			if (number(&at, 0, UINT8_MAX, ",", &n))
				return -EINVAL;
			status->opcode = (int)n;
		} else if (begins(&at, "dnr")) {
			status->status |= PLX_NVME_DNR;
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_status(const char *at, struct soft_inject *inject)
{
	struct soft_inject_status *status = &inject->status[inject->statuses];
	unsigned long code, type = 0;

	if (inject->statuses == SOFT_INJECT_STATUSES || number(&at, 0, UINT8_MAX, ":,", &code))
		return -EINVAL;
	if (begins(&at, ":") && number(&at, 0, PLX_NVME_SCT_VENDOR, ",", &type))
		return -EINVAL;
	*status = (struct soft_inject_status){ .status = PLX_NVME_STATUS(type, code),
					       .every = 1,
					       .opcode = -1 };
	if (!status->status || parse_more(at, status))
		return -EINVAL;
	inject->statuses++;
	return 0;
}

int soft_inject_parse(const char *text, struct soft_inject *inject)
{
	const struct {
		const char *key;
		uint32_t *value;
	} counts[] = {
		{ "drop=", &inject->drop },
		{ "stuck=", &inject->stuck },
		{ "bad-cid=", &inject->bad_cid },
		{ "fatal=", &inject->fatal },
	};
	unsigned long n;

	if (begins(&text, "status="))
		return parse_status(text, inject);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		if (!begins(&text, counts[i].key))
			continue;
		if (number(&text, 1, UINT32_MAX, "", &n))
			return -EINVAL;
		*counts[i].value = (uint32_t)n;
		return 0;
	}
	return -EINVAL;
}
