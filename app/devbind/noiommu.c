/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "files.h"
#include "noiommu.h"
#include "sys.h"

/* Gone with a reboot, as is the mode. */
#define MARK "/run/pollux/devbind.noiommu"

#define SWITCH "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

bool noiommu_needed(const struct device *dev, const char *driver)
{
	/* Only VFIO makes a group where there is no IOMMU, for as long as it has the device. */
	return strstr(driver, "vfio") && (dev->facts.group < 0 || dev->facts.noiommu_group);
}

int noiommu_mode(void)
{
	char text[16];
	int len = plx_sys_read_text(SWITCH, text, sizeof(text));

	if (len < 0)
		return len;
	return text[0] == 'Y' || text[0] == '1';
}

static int set_mode(bool on)
{
	int err = plx_sys_write_text(SWITCH, on ? "1" : "0");

	if (err == -ENOENT)
		plx_err("this kernel has no CONFIG_VFIO_NOIOMMU: " SWITCH " does not exist");
	else if (err)
		plx_err(SWITCH " can't be written: %s", strerror(-err));
	return err;
}

/* The mark comes first: what is on without one is left on for ever. */
int noiommu_turn_on(void)
{
	int err = file_make(MARK, "turned on by plx-devbind\n");

	if (err)
		return err;
	err = set_mode(true);
	if (err)
		file_remove(MARK);
	return err;
}

int noiommu_turn_off(void)
{
	int err = set_mode(false);

	return err ? err : file_remove(MARK);
}

static bool in_use(const struct inventory *inv)
{
	struct plx_facts facts;
	unsigned i;

	/* As it is now: the inventory is older than the change. */
	for (i = 0; i < inv->count; i++)
		if (!plx_facts_read(inv->dev[i].bdf, &facts) && plx_facts_bound(&facts) &&
		    (facts.group < 0 || facts.noiommu_group))
			return true;
	return false;
}

int noiommu_settle(const struct inventory *inv)
{
	int err;

	if (plx_sys->access(MARK, F_OK) || in_use(inv))
		return 0;
	err = noiommu_turn_off();
	if (!err)
		plx_notice("VFIO's unsafe no-IOMMU mode is off again");
	return err;
}
