/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <pollux/vfio.h>

static const char *const mode_names[PLX_VFIO_MODES] = {
	[PLX_VFIO_CDEV] = "cdev",	[PLX_VFIO_TYPE1V2] = "type1v2",
	[PLX_VFIO_TYPE1] = "type1",	[PLX_VFIO_COMPAT] = "compat",
	[PLX_VFIO_NOIOMMU] = "noiommu", [PLX_VFIO_NOIOMMU_CDEV] = "noiommu-cdev",
	[PLX_VFIO_USER] = "user",
};

static const char *const addr_names[] = {
	[PLX_ADDR_VA] = "VA",
	[PLX_ADDR_ALLOC] = "ALLOC",
	[PLX_ADDR_PA] = "PA",
};

const char *plx_vfio_mode_name(enum plx_vfio_mode mode)
{
	return (unsigned int)mode < PLX_VFIO_MODES ? mode_names[mode] : "?";
}

int plx_vfio_mode_parse(const char *name, enum plx_vfio_mode *mode)
{
	unsigned int i;

	for (i = 0; i < PLX_VFIO_MODES; i++) {
		if (!strcmp(name, mode_names[i])) {
			*mode = i;
			return 0;
		}
	}
	return -EINVAL;
}

bool plx_vfio_mode_unsafe(enum plx_vfio_mode mode)
{
	return mode == PLX_VFIO_NOIOMMU || mode == PLX_VFIO_NOIOMMU_CDEV;
}

const char *plx_addr_policy_name(enum plx_addr_policy addr)
{
	return (unsigned int)addr <= PLX_ADDR_PA ? addr_names[addr] : "?";
}
