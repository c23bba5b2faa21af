/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <pollux/vfu_config.h>

#define BARS	   6
#define CAPS_FROM  0x40
#define CAPS_END   0x100
#define BAR_IO_MAX 256

/* Little-endian, as config space is; mask says which of the bits software may write. */
static void put(struct plx_vfu_config *config, unsigned at, unsigned len, uint64_t value,
		uint64_t mask)
{
	unsigned i;

	for (i = 0; i < len; i++) {
		config->value[at + i] = config->reset[at + i] = value >> 8 * i;
		config->mask[at + i] = mask >> 8 * i;
	}
}

static uint32_t get(const struct plx_vfu_config *config, unsigned at, unsigned len)
{
	uint32_t value = 0;
	unsigned i;

	for (i = 0; i < len; i++)
		value |= (uint32_t)config->value[at + i] << 8 * i;
	return value;
}

int plx_vfu_config_init(struct plx_vfu_config *config, size_t size, const struct plx_vfu_ids *ids)
{
	if (size != PCI_CFG_SPACE_SIZE && size != PCI_CFG_SPACE_EXP_SIZE)
		return -EINVAL;
	memset(config, 0, sizeof(*config));
	config->size = size;
	config->free = CAPS_FROM;
	put(config, PCI_VENDOR_ID, 2, ids->vendor, 0);
	put(config, PCI_DEVICE_ID, 2, ids->device, 0);
	put(config, PCI_COMMAND, 2, 0,
	    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		    PCI_COMMAND_INTX_DISABLE);
	put(config, PCI_REVISION_ID, 1, ids->revision, 0);
	put(config, PCI_CLASS_PROG, 3, ids->class_code, 0);
	put(config, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
	put(config, PCI_SUBSYSTEM_VENDOR_ID, 2, ids->subvendor, 0);
	put(config, PCI_SUBSYSTEM_ID, 2, ids->subdevice, 0);
	put(config, PCI_INTERRUPT_LINE, 1, 0, 0xff);
	return 0;
}

int plx_vfu_config_bar(struct plx_vfu_config *config, unsigned bar, uint64_t size, unsigned flags)
{
	bool io = flags & PLX_VFU_BAR_IO, wide = flags & PLX_VFU_BAR_64;
	unsigned at = PCI_BASE_ADDRESS_0 + 4 * bar, len = wide ? 8 : 4, i;

	if (flags & ~(PLX_VFU_BAR_IO | PLX_VFU_BAR_64 | PLX_VFU_BAR_PREFETCH) ||
	    (io && flags != PLX_VFU_BAR_IO) || bar >= BARS || bar + wide >= BARS)
		return -EINVAL;
	if (size & (size - 1) || size < (io ? 4 : 16) || (io && size > BAR_IO_MAX) ||
	    (!wide && size > UINT32_MAX))
		return -EINVAL;
	/* The upper half of a 64-bit BAR is taken, too: its mask is not zero. */
	for (i = 0; i < len; i++)
		if (config->mask[at + i])
			return -EINVAL;
	put(config, at, len, flags, ~(size - 1));
	if (io)
		config->mask[PCI_COMMAND] |= PCI_COMMAND_IO;
	return 0;
}

void plx_vfu_config_pin(struct plx_vfu_config *config, uint8_t pin)
{
	put(config, PCI_INTERRUPT_PIN, 1, pin, 0);
}

int plx_vfu_config_cap(struct plx_vfu_config *config, uint8_t id, const void *body,
		       const void *mask, size_t len)
{
	unsigned at = config->free;

	if (len > CAPS_END || at + 2 + len > CAPS_END)
		return -ENOSPC;
	put(config, at, 2, id, 0);
	memcpy(config->value + at + 2, body, len);
	memcpy(config->reset + at + 2, body, len);
	if (mask)
		memcpy(config->mask + at + 2, mask, len);
	if (config->caps)
		put(config, config->caps + PCI_CAP_LIST_NEXT, 1, at, 0);
	else
		put(config, PCI_CAPABILITY_LIST, 1, at, 0);
	put(config, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
	config->caps = at;
	config->free = (at + 2 + len + 3) & ~3u;
	return at;
}

/* A capability as 16-bit words after its id and link, and which of their bits are writable. */
struct words {
	uint16_t value, mask;
};

static int add_words(struct plx_vfu_config *config, uint8_t id, const struct words *words,
		     unsigned count)
{
	uint8_t body[32], mask[32];
	unsigned i;

	for (i = 0; i < count; i++) {
		body[2 * i] = words[i].value;
		body[2 * i + 1] = words[i].value >> 8;
		mask[2 * i] = words[i].mask;
		mask[2 * i + 1] = words[i].mask >> 8;
	}
	return plx_vfu_config_cap(config, id, body, mask, 2 * count);
}

int plx_vfu_config_pm(struct plx_vfu_config *config)
{
	static const struct words words[] = {
		{ 3, 0 }, /* PMC: version 1.2 */
		{ PCI_PM_CTRL_NO_SOFT_RESET, PCI_PM_CTRL_STATE_MASK },
		{ 0, 0 },
	};

	return add_words(config, PCI_CAP_ID_PM, words, sizeof(words) / sizeof(words[0]));
}

int plx_vfu_config_msix(struct plx_vfu_config *config, unsigned vectors, unsigned table_bar,
			uint32_t table, unsigned pba_bar, uint32_t pba)
{
	const struct words words[] = {
		{ vectors - 1, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL },
		{ table | table_bar, 0 },
		{ table >> 16, 0 },
		{ pba | pba_bar, 0 },
		{ pba >> 16, 0 },
	};

	if (!vectors || vectors > PCI_MSIX_FLAGS_QSIZE + 1 || table_bar >= BARS ||
	    pba_bar >= BARS || (table | pba) & PCI_MSIX_TABLE_BIR)
		return -EINVAL;
	return add_words(config, PCI_CAP_ID_MSIX, words, sizeof(words) / sizeof(words[0]));
}

int plx_vfu_config_pcie(struct plx_vfu_config *config)
{
	static const struct words words[] = {
		{ 1, 0 },      /* version 1, endpoint */
		{ 0x8000, 0 }, /* device: payloads of 128 bytes, role-based errors */
		{ 0, 0 },
		{ 0x2810, 0x7fff }, /* its control: relaxed order, no snoop, reads of 512 bytes */
		{ 0, 0 },
		{ 0x0011, 0 }, /* link: 2.5 GT/s, x1 */
		{ 0, 0 },
		{ 0, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_CCC },
		{ 0x0011, 0 }, /* its status */
	};

	return add_words(config, PCI_CAP_ID_EXP, words, sizeof(words) / sizeof(words[0]));
}

void plx_vfu_config_reset(struct plx_vfu_config *config)
{
	memcpy(config->value, config->reset, config->size);
}

int plx_vfu_config_access(struct plx_vfu_config *config, uint64_t offset, void *buf, size_t len,
			  bool write)
{
	uint8_t *bytes = buf;
	size_t i;

	if (offset > config->size || len > config->size - offset)
		return -EINVAL;
	if (!write) {
		memcpy(buf, config->value + offset, len);
		return 0;
	}
	for (i = 0; i < len; i++) {
		uint8_t mask = config->mask[offset + i];

		config->value[offset + i] = (config->value[offset + i] & ~mask) | (bytes[i] & mask);
	}
	return 0;
}

bool plx_vfu_config_memory(const struct plx_vfu_config *config)
{
	return get(config, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;
}

bool plx_vfu_config_master(const struct plx_vfu_config *config)
{
	return get(config, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

bool plx_vfu_config_intx_off(const struct plx_vfu_config *config)
{
	return get(config, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE;
}
