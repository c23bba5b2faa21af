/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

#include "noiommu.h"
#include "sys.h"

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

int noiommu_set_mode(bool on)
{
	int err = plx_sys_write_text(SWITCH, on ? "1" : "0");

	if (err == -ENOENT)
		plx_err("this kernel has no CONFIG_VFIO_NOIOMMU: " SWITCH " does not exist");
	else if (err)
		plx_err(SWITCH " can't be written: %s", strerror(-err));
	return err;
}
