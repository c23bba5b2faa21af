/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "bus.h"

/*
 * An address as a number: domain, 8 bits of bus, 5 of device, 3 of function. The domain has as many
 * hex digits as fit in a name beside ":bb:dd.f" and the NUL.
 */
#define DOMAIN_MIN_DIGITS 4
#define DOMAIN_MAX_DIGITS 7

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads hex digits, at most max of them. Returns how many there were. */
static unsigned hex_number(const char **text, unsigned max, uint32_t *value)
{
	unsigned digits = 0;

	*value = 0;
	while (digits < max && hex_digit(**text) >= 0) {
		*value = *value << 4 | hex_digit(**text);
		(*text)++;
		digits++;
	}
	return digits;
}

int plx_pci_addr_parse(const char *text, bool short_form, uint64_t *addr)
{
	uint32_t domain = 0, bus, device, function;
	unsigned digits;

	digits = hex_number(&text, DOMAIN_MAX_DIGITS, &bus);
	if (*text++ != ':')
		return -EINVAL;
	if (digits >= DOMAIN_MIN_DIGITS) {
		domain = bus;
		digits = hex_number(&text, 2, &bus);
		if (*text++ != ':')
			return -EINVAL;
	} else if (!short_form) {
		return -EINVAL;
	}
	if (digits != 2)
		return -EINVAL;
	if (hex_number(&text, 2, &device) != 2 || device > 0x1f || *text++ != '.')
		return -EINVAL;
	if (hex_number(&text, 1, &function) != 1 || function > 7 || *text)
		return -EINVAL;
	*addr = (uint64_t)domain << 16 | bus << 8 | device << 3 | function;
	return 0;
}

bool plx_pci_is_user(const char *name)
{
	return !strncmp(name, "user:", 5);
}

void plx_pci_addr_name(uint64_t addr, char name[PLX_PCI_NAME_LEN])
{
	unsigned domain = (addr >> 16) & 0xfffffff; /* DOMAIN_MAX_DIGITS */
	unsigned bus = (addr >> 8) & 0xff;
	unsigned device = (addr >> 3) & 0x1f;
	unsigned function = addr & 7;

	snprintf(name, PLX_PCI_NAME_LEN, "%04x:%02x:%02x.%x", domain, bus, device, function);
}
