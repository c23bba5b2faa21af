/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kinds that dpdk-devbind.py knows (DPDK 22.11), with the same devices in each and under the
 * same titles, for scripts read them; then NVMe, and everything else.
 */
#include <string.h>

#include "category.h"

enum {
	NET,
	BASEBAND,
	CRYPTO,
	DMA,
	EVENT,
	MEMPOOL,
	COMPRESS,
	MISC,
	REGEX,
	NVME,
	OTHER,
};

const struct category categories[] = {
	[NET] = { .key = "net", .title = "Network", .compat = true, .usual = true, .net = true },
	[BASEBAND] = { .key = "baseband", .title = "Baseband", .compat = true },
	[CRYPTO] = { .key = "crypto", .title = "Crypto", .compat = true },
	[DMA] = { .key = "dma", .title = "DMA", .compat = true },
	[EVENT] = { .key = "event", .title = "Eventdev", .compat = true },
	[MEMPOOL] = { .key = "mempool", .title = "Mempool", .compat = true },
	[COMPRESS] = { .key = "compress", .title = "Compress", .compat = true },
	[MISC] = { .key = "misc", .title = "Misc (rawdev)", .compat = true },
	[REGEX] = { .key = "regex", .title = "Regex", .compat = true },
	[NVME] = { .key = "nvme", .title = "NVMe", .usual = true },
	[OTHER] = { .key = "other", .title = "Other" },
	[OTHER + 1] = { .key = NULL },
};

#define ANY UINT32_MAX

/*
 * vendor and device: ANY matches all. class: the base class, or with the sub-class and interface.
 */
static const struct {
	unsigned category;
	uint32_t class, vendor, device;
} matches[] = {
	{ NET, 0x02, ANY, ANY },
	{ NET, 0x08, 0x177d, 0xa0dd },
	{ NET, 0x08, 0x177d, 0xa049 },
	{ NET, 0x05, 0x1af4, 0x1110 },
	{ NET, 0x12, 0x8086, 0x0b30 },
	{ BASEBAND, 0x12, ANY, ANY },
	{ CRYPTO, 0x10, ANY, ANY },
	{ CRYPTO, 0x0b, 0x8086, ANY },
	{ DMA, 0x08, 0x177d, 0xa081 },
	{ DMA, 0x08, 0x19e5, 0xa122 },
	{ DMA, 0x08, 0x8086, 0x0b25 },
	{ DMA, 0x08, 0x8086, 0x6f20 },
	{ DMA, 0x08, 0x8086, 0x6f21 },
	{ DMA, 0x08, 0x8086, 0x6f22 },
	{ DMA, 0x08, 0x8086, 0x6f23 },
	{ DMA, 0x08, 0x8086, 0x6f24 },
	{ DMA, 0x08, 0x8086, 0x6f25 },
	{ DMA, 0x08, 0x8086, 0x6f26 },
	{ DMA, 0x08, 0x8086, 0x6f27 },
	{ DMA, 0x08, 0x8086, 0x6f2e },
	{ DMA, 0x08, 0x8086, 0x6f2f },
	{ DMA, 0x08, 0x8086, 0x0b00 },
	{ DMA, 0x08, 0x8086, 0x2021 },
	{ EVENT, 0x08, 0x177d, 0xa04b },
	{ EVENT, 0x08, 0x177d, 0xa04d },
	{ EVENT, 0x08, 0x177d, 0xa051 },
	{ EVENT, 0x0b, 0x8086, 0x270b },
	{ EVENT, 0x0b, 0x8086, 0x2710 },
	{ EVENT, 0x0b, 0x8086, 0x2714 },
	{ EVENT, 0x08, 0x177d, 0xa0f9 },
	{ EVENT, 0x08, 0x177d, 0xa0fa },
	{ MEMPOOL, 0x08, 0x177d, 0xa053 },
	{ MEMPOOL, 0x08, 0x177d, 0xa0fb },
	{ MEMPOOL, 0x08, 0x177d, 0xa0fc },
	{ COMPRESS, 0x12, 0x177d, 0xa037 },
	{ MISC, 0x08, 0x177d, 0xa089 },
	{ MISC, 0x08, 0x177d, 0xa059 },
	{ MISC, 0x08, 0x177d, 0xa060 },
	{ MISC, 0x08, 0x177d, 0xa0f0 },
	{ MISC, 0x08, 0x177d, 0xa0f1 },
	{ MISC, 0x06, 0x8086, 0x201c },
	{ MISC, 0x06, 0x8086, 0x347e },
	{ MISC, 0x01, 0x1af4, 0x1001 },
	{ MISC, 0x01, 0x1af4, 0x1042 },
	{ REGEX, 0x08, 0x177d, 0xa0f4 },
	{ NVME, 0x010802, ANY, ANY },
};

const struct category *category_find(const char *key)
{
	const struct category *category;

	for (category = categories; category->key; category++)
		if (!strcmp(key, category->key))
			return category;
	return NULL;
}

static bool is_of(unsigned category, const struct device *dev)
{
	unsigned i;

	for (i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
		if (matches[i].category == category &&
		    (matches[i].class == dev->id.class_code ||
		     matches[i].class == dev->id.class_code >> 16) &&
		    (matches[i].vendor == ANY || matches[i].vendor == dev->id.vendor) &&
		    (matches[i].device == ANY || matches[i].device == dev->id.device))
			return true;
	return false;
}

bool category_has(const struct category *category, const struct device *dev)
{
	unsigned i;

	if (category != &categories[OTHER])
		return is_of((unsigned)(category - categories), dev);
	for (i = 0; i < OTHER; i++)
		if (is_of(i, dev))
			return false;
	return true;
}
