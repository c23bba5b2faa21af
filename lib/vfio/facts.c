/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pollux/facts.h>

#include "sys.h"

#define CAP_SYS_RAWIO_BIT 17 /* linux/capability.h */

/* Longer names can't be PCI functions, drivers or nodes of VFIO's. */
#define PATH_LEN 160

bool plx_bdf_valid(const char *bdf)
{
	static const char rest[] = ":xx:xx.x";
	size_t domain = 0, i;

	/* Domains beyond 16 bits, as behind Intel VMD, have more than four digits. */
	while (isxdigit((unsigned char)bdf[domain]))
		domain++;
	if (domain < 4 || domain > 7 || strlen(bdf) != domain + sizeof(rest) - 1)
		return false;
	bdf += domain;
	for (i = 0; rest[i]; i++)
		if (rest[i] == 'x' ? !isxdigit((unsigned char)bdf[i]) : bdf[i] != rest[i])
			return false;
	return bdf[i - 1] <= '7';
}

static void device_path(char *path, const char *bdf, const char *file)
{
	snprintf(path, PATH_LEN, "/sys/bus/pci/devices/%.16s/%s", bdf, file);
}

/* Nothing there is an answer, and so is a name that is too long to be known; the rest is none. */
static int unless_absent(int err)
{
	return err == -ENOENT || err == -E2BIG ? 0 : err;
}

static int read_group(struct plx_facts *facts)
{
	char path[PATH_LEN], text[PLX_NAME_LEN], *end;
	unsigned long number;
	int err;

	facts->group = -1;
	device_path(path, facts->bdf, "iommu_group");
	err = plx_sys_link_name(path, text, sizeof(text));
	if (err)
		return unless_absent(err);
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || end == text || number > INT_MAX)
		return 0;
	facts->group = number;
	device_path(path, facts->bdf, "iommu_group/name");
	facts->noiommu_group =
		plx_sys_read_text(path, text, sizeof(text)) > 0 && !strcmp(text, "vfio-noiommu");
	return 0;
}

/* "vfioN" or "noiommu-vfioN", nothing else: the name becomes part of a path. */
static bool cdev_name(const char *name)
{
	const char *digits;

	if (!strncmp(name, "noiommu-", 8))
		name += 8;
	if (strncmp(name, "vfio", 4))
		return false;
	for (digits = name + 4; isdigit((unsigned char)*digits); digits++)
		;
	return digits > name + 4 && !*digits;
}

static int read_cdev(struct plx_facts *facts)
{
	char path[PATH_LEN];
	struct dirent *entry;
	DIR *dir;
	int err;

	device_path(path, facts->bdf, "vfio-dev");
	dir = plx_sys->opendir(path);
	if (!dir)
		return unless_absent(-errno);
	while (errno = 0, (entry = plx_sys->readdir(dir))) {
		if (!cdev_name(entry->d_name) || strlen(entry->d_name) >= sizeof(facts->cdev))
			continue;
		strcpy(facts->cdev, entry->d_name);
		facts->noiommu_cdev = facts->cdev[0] == 'n';
		break;
	}
	err = entry ? 0 : -errno;
	plx_sys->closedir(dir);
	return err;
}

int plx_facts_read(const char *bdf, struct plx_facts *facts)
{
	char path[PATH_LEN];
	int err;

	*facts = (struct plx_facts){ .group = -1 };
	if (!plx_bdf_valid(bdf))
		return -EINVAL;
	strcpy(facts->bdf, bdf);
	device_path(path, bdf, "");
	facts->present = !plx_sys->access(path, F_OK);
	if (!facts->present)
		return 0;
	device_path(path, bdf, "driver");
	err = plx_sys_link_name(path, facts->driver, sizeof(facts->driver));
	if (err)
		facts->driver[0] = '\0';
	err = unless_absent(err);
	err = err ? err : read_group(facts);
	return err ? err : read_cdev(facts);
}

static bool vfio_driver(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

bool plx_facts_bound(const struct plx_facts *facts)
{
	return facts->cdev[0] || vfio_driver(facts->driver);
}

bool plx_have_capability(unsigned int number)
{
	return number < 64 && plx_sys_status("\nCapEff:", 16) >> number & 1;
}

bool plx_have_rawio(void)
{
	return plx_have_capability(CAP_SYS_RAWIO_BIT);
}

/* Drivers that leave DMA alone: the kernel lets their devices share a group with VFIO's. */
static bool harmless(const char *driver)
{
	return !*driver || vfio_driver(driver) || !strcmp(driver, "pci-stub") ||
	       !strcmp(driver, "pcieport");
}

bool plx_group_intruder(const struct plx_facts *facts, char *bdf, size_t bdf_len, char *driver,
			size_t driver_len)
{
	char path[PATH_LEN];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	device_path(path, facts->bdf, "iommu_group/devices");
	dir = plx_sys->opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = plx_sys->readdir(dir))) {
		if (!plx_bdf_valid(entry->d_name) || !strcmp(entry->d_name, facts->bdf))
			continue;
		device_path(path, entry->d_name, "driver");
		if (plx_sys_link_name(path, driver, driver_len) || harmless(driver))
			continue;
		snprintf(bdf, bdf_len, "%s", entry->d_name);
		found = true;
	}
	plx_sys->closedir(dir);
	return found;
}

/*
 * VT-d, 11.4.2 Capability Register: MGAW, bits 21:16, is the widest guest address less one; SAGAW,
 * bits 12:8, the page table depths on offer (bit 1: 39, bit 2: 48, bit 3: 57 bits).
 */
static unsigned int vtd_width(uint64_t cap)
{
	unsigned int mgaw = (cap >> 16 & 0x3f) + 1, sagaw = cap >> 8 & 0x1f;
	unsigned int depth = sagaw & 8 ? 57 : sagaw & 4 ? 48 : sagaw & 2 ? 39 : 0;

	return depth && depth < mgaw ? depth : mgaw;
}

unsigned int plx_iommu_width(const struct plx_facts *facts)
{
	char path[PATH_LEN], text[32], *end;
	uint64_t cap;

	device_path(path, facts->bdf, "iommu/intel-iommu/cap");
	if (plx_sys_read_text(path, text, sizeof(text)) <= 0)
		return 0;
	errno = 0;
	cap = strtoull(text, &end, 16); /* written without 0x */
	return errno || *end || end == text ? 0 : vtd_width(cap);
}

/* Elsewhere interrupt controllers tell devices apart, and their names say nothing of it. */
#if defined(__x86_64__) || defined(__i386__)
#define CHIPS_TELL true
#else
#define CHIPS_TELL false
#endif

bool plx_irqs_forgeable(void)
{
	char path[PATH_LEN], chip[64];
	bool seen = false, remapped = false;
	struct dirent *entry;
	DIR *dir = CHIPS_TELL ? plx_sys->opendir("/sys/kernel/irq") : NULL;

	if (!dir)
		return false;
	while (!remapped && (entry = plx_sys->readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/irq/%.20s/chip_name", entry->d_name);
		if (entry->d_name[0] == '.' || plx_sys_read_text(path, chip, sizeof(chip)) <= 0)
			continue;
		seen = true;
		remapped = !strncmp(chip, "IR-", 3);
	}
	plx_sys->closedir(dir);
	return seen && !remapped;
}

bool plx_irqs_trusted(bool iommufd)
{
	char text[8];
	int len;

	if (!iommufd) {
		len = plx_sys_read_text(
			"/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", text,
			sizeof(text));
		if (len >= 0)
			return len && text[0] == 'Y';
	}
	/* Without type 1, its container is iommufd's. */
	return plx_sys_read_text("/sys/module/iommufd/parameters/allow_unsafe_interrupts", text,
				 sizeof(text)) > 0 &&
	       text[0] == 'Y';
}

bool plx_iommu_reserves(const struct plx_facts *facts, unsigned long long first,
			unsigned long long last)
{
	char path[PATH_LEN], text[8192], *line, *next;

	device_path(path, facts->bdf, "iommu_group/reserved_regions");
	if (plx_sys_read_text(path, text, sizeof(text)) < 0)
		return false;
	for (line = text; line && *line; line = next) {
		unsigned long long from, to;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sscanf(line, "%llx %llx", &from, &to) == 2 && from <= last && to >= first)
			return true;
	}
	return false;
}
