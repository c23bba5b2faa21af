/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "change.h"
#include "files.h"
#include "persist.h"
#include "rules.h"
#include "sys.h"

#define PATH_LEN RULE_PATH_LEN

static bool have_driverctl(void)
{
	return !plx_sys->access("/usr/sbin/driverctl", F_OK) ||
	       !plx_sys->access("/usr/bin/driverctl", F_OK);
}

static void driverctl_path(char path[PATH_LEN], const char *bdf)
{
	snprintf(path, PATH_LEN, "/etc/driverctl.d/pci-%.16s", bdf);
}

void persist_read(const char *bdf, char driver[PLX_NAME_LEN])
{
	char path[PATH_LEN];

	driverctl_path(path, bdf);
	if (plx_sys_read_text(path, driver, PLX_NAME_LEN) < 0 || !driver_name_valid(driver))
		driver[0] = '\0';
}

static int write_driverctl(const char *bdf, const char *driver)
{
	char path[PATH_LEN], text[PLX_NAME_LEN + 1];

	driverctl_path(path, bdf);
	snprintf(text, sizeof(text), "%s\n", driver);
	return file_make(path, text);
}

/*
 * Not for another card that is in the slot by then, which a driver told by name would take, too. A
 * driver that is there already has not seen the override: the device is offered once more, as
 * driverctl does.
 */
static int write_rule(const struct device *dev, const char *driver)
{
	char path[PATH_LEN], text[512];
	const char *bdf = dev->bdf;

	rule_path(path, RULE_BIND, bdf);
	snprintf(text, sizeof(text),
		 "# Made by plx-devbind --persist; `plx-devbind restore %s` removes it.\n"
		 "ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"%s\", "
		 "ATTR{vendor}==\"0x%04x\", ATTR{device}==\"0x%04x\", "
		 "ATTR{driver_override}=\"%s\", RUN{builtin}+=\"kmod load %s\", "
		 "RUN+=\"/bin/sh -c 'echo %s > /sys/bus/pci/drivers_probe'\"\n",
		 bdf, bdf, dev->id.vendor, dev->id.device, driver, driver, bdf);
	return file_make(path, text);
}

static void current_path(char path[PATH_LEN], const char *bdf)
{
	if (have_driverctl())
		driverctl_path(path, bdf);
	else
		rule_path(path, RULE_BIND, bdf);
}

int persist_keep(const char *bdf, char **text)
{
	char path[PATH_LEN];

	current_path(path, bdf);
	*text = NULL;
	if (plx_sys->access(path, F_OK) && errno == ENOENT)
		return 0;
	*text = file_read(path, NULL);
	if (*text)
		return 0;
	plx_err("%s can't be read, so it is not replaced", path);
	return -EIO;
}

int persist_put_back(const char *bdf, const char *text)
{
	char path[PATH_LEN];

	current_path(path, bdf);
	return text ? file_make(path, text) : file_remove(path);
}

int persist_write(const struct device *dev, const char *driver)
{
	return have_driverctl() ? write_driverctl(dev->bdf, driver) : write_rule(dev, driver);
}

int persist_undo(const char *bdf, const char *before)
{
	int err = rule_remove(RULE_BIND, bdf);
	char path[PATH_LEN];

	if (err || *before)
		return err ? err : write_driverctl(bdf, before);
	driverctl_path(path, bdf);
	return file_remove(path);
}
