/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "change.h"
#include "sys.h"

#define PATH_LEN 160

bool driver_name_valid(const char *name)
{
	return *name && *name != '.' && strlen(name) < PLX_NAME_LEN && !strchr(name, '/');
}

bool driver_present(const char *name)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", name);
	return !plx_sys->access(path, F_OK);
}

/* An empty name clears it. */
static int set_override(const char *bdf, const char *driver)
{
	char path[PATH_LEN];
	int err;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	err = plx_sys_write_text(path, *driver ? driver : "\n");
	if (err)
		plx_err("%s can't be written: %s", path, strerror(-err));
	return err;
}

static void read_driver(const char *bdf, char driver[PLX_NAME_LEN])
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	if (plx_sys_link_name(path, driver, PLX_NAME_LEN))
		driver[0] = '\0';
}

static int detach(const char *bdf, const char *driver)
{
	char path[PATH_LEN];
	int err;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", driver);
	err = plx_sys_write_text(path, bdf);
	if (err)
		plx_err("%s can't be taken from %s: %s", bdf, driver, strerror(-err));
	return err;
}

static int attach(const char *bdf, const char *driver, bool by_name)
{
	char path[PATH_LEN], now[PLX_NAME_LEN];
	int err;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	err = plx_sys_write_text(path, bdf);
	if (!err) {
		read_driver(bdf, now);
		err = strcmp(now, driver) ? -ENODEV : 0;
	}
	if (err)
		plx_err("%s does not take %s: %s (%sthe kernel's log may say more)", driver, bdf,
			strerror(-err),
			err == -ENODEV && !by_name ? "it is for other devices, or " : "");
	return err;
}

/* Steps of a change. A driver that was asked may have taken the device whatever it answered. */
enum { OVERRIDDEN = 1, DETACHED = 2, ASKED = 4 };

static int step(struct change *change, unsigned which, int err)
{
	if (!err)
		change->steps |= which;
	return err;
}

static int apply(struct change *change)
{
	const struct device *dev = change->dev;
	const char *from = dev->facts.driver;
	bool same = !strcmp(from, change->driver);
	/* An override makes a driver match any device, which its probe may be no match for. */
	const char *first = change->by_name ? change->driver : "";
	int err = 0;

	if (same && !strcmp(dev->override, change->override))
		return 0;

	/* The first step: where sysfs can't be written, the device still has its driver. */
	if (change->driver[0])
		err = step(change, OVERRIDDEN, set_override(dev->bdf, first));
	if (!err && from[0] && !same)
		err = step(change, DETACHED, detach(dev->bdf, from));
	if (!err && change->driver[0] && !same) {
		change->steps |= ASKED;
		err = attach(dev->bdf, change->driver, change->by_name);
	}
	if (!err && strcmp(change->override, first))
		err = step(change, OVERRIDDEN, set_override(dev->bdf, change->override));
	return err;
}

/* Only what this run did: the rest is somebody else's doing. */
static int take_back(const struct change *change)
{
	const struct device *dev = change->dev;
	const char *from = dev->facts.driver;
	char now[PLX_NAME_LEN];
	int err = 0, later = 0;

	read_driver(dev->bdf, now);
	if (change->steps & ASKED && now[0] && !strcmp(now, change->driver)) {
		err = detach(dev->bdf, now);
		now[0] = '\0';
	}
	if (!err && change->steps & DETACHED && !now[0]) {
		err = set_override(dev->bdf, from);
		err = err ? err : attach(dev->bdf, from, true);
	}
	if (change->steps & (OVERRIDDEN | DETACHED))
		later = set_override(dev->bdf, dev->override);
	if (err)
		plx_err("%s had the driver %s and has it no longer: `plx-devbind restore` tries "
			"again",
			dev->bdf, from[0] ? from : "(none)");
	return err ? err : later;
}

void changes_take_back(struct change *changes, unsigned count)
{
	unsigned lost = 0;

	while (count--) {
		changes[count].lost = take_back(&changes[count]) != 0;
		lost += changes[count].lost;
	}
	if (!lost)
		plx_err("nothing was changed: every device has the driver it had");
}

int changes_apply(struct change *changes, unsigned count)
{
	unsigned done = 0;
	int err = 0;

	while (!err && done < count)
		err = apply(&changes[done++]);
	if (err)
		changes_take_back(changes, done);
	return err;
}
