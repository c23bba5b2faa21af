/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "pattern.h"

#define MAGIC 0x70656661786c6c70ull

struct head {
	uint64_t magic;
	uint64_t lba;
	uint32_t nsid, version;
	uint64_t run;
	uint64_t sum; /* with this field as 0 */
};

/* Order matters to it, and every bit reaches every other in a few words. */
static uint64_t checksum(const uint8_t *data, size_t len)
{
	uint64_t sum = 0x9e3779b97f4a7c15ull, word;

	for (size_t i = 0; i < len; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		sum = (sum ^ word) * 0xff51afd7ed558ccdull;
		sum ^= sum >> 32;
	}
	return sum;
}

static uint64_t block_sum(const struct head *head, const uint8_t *rest, size_t len)
{
	struct head copy = *head;

	copy.sum = 0;
	return checksum((const uint8_t *)&copy, sizeof(copy)) ^ checksum(rest, len);
}

void pattern_fill(void *block, size_t len, const struct pattern *p)
{
	struct head head = {
		.magic = MAGIC, .lba = p->lba, .nsid = p->nsid, .version = p->version, .run = p->run
	};
	uint64_t word =
		(p->lba * 0x9e3779b97f4a7c15ull ^ p->run) + ((uint64_t)p->version << 32) + 1;
	uint8_t *rest = (uint8_t *)block + sizeof(head);

	for (size_t i = 0; i < len - sizeof(head); i += sizeof(word)) {
		word ^= word << 13;
		word ^= word >> 7;
		word ^= word << 17;
		memcpy(rest + i, &word, sizeof(word));
	}
	head.sum = block_sum(&head, rest, len - sizeof(head));
	memcpy(block, &head, sizeof(head));
}

const char *pattern_check(const void *block, size_t len, const struct pattern *p)
{
	struct head head;

	memcpy(&head, block, sizeof(head));
	if (head.magic != MAGIC)
		return "not written by this program";
	if (head.lba != p->lba)
		return "the data of another block";
	if (head.nsid != p->nsid)
		return "the data of another namespace";
	if (head.run != p->run || head.version != p->version)
		return "old data";
	if (head.sum != block_sum(&head, (const uint8_t *)block + sizeof(head), len - sizeof(head)))
		return "a wrong checksum";
	return NULL;
}
