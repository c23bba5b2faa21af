/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Containers: what groups are put in. One file is opened, whatever serves it; the IOMMU type asked
 * for makes it a context of one kind or another.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "iommu.h"
#include "refusal.h"
#include "uapi.h"

static const struct {
	const char *path;
	unsigned int type;
	const struct plx_iommu_ops *ops;
} kinds[PLX_VFIO_MODES] = {
	[PLX_VFIO_TYPE1V2] = { "/dev/vfio/vfio", VFIO_TYPE1v2_IOMMU, &plx_type1_ops },
	[PLX_VFIO_TYPE1] = { "/dev/vfio/vfio", VFIO_TYPE1_IOMMU, &plx_type1_ops },
	/* Version 1 would make iommufd give up large pages. */
	[PLX_VFIO_COMPAT] = { "/dev/iommu", VFIO_TYPE1v2_IOMMU, &plx_type1_ops },
	[PLX_VFIO_NOIOMMU] = { "/dev/vfio/vfio", VFIO_NOIOMMU_IOMMU, &plx_noiommu_ops },
};

int plx_container_create(enum plx_vfio_mode mode, int given, struct plx_iommu **out,
			 struct plx_refusal *why)
{
	struct plx_iommu *iommu = plx_sys->alloc(sizeof(*iommu));
	int version, err;

	if (!iommu)
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
	iommu->ops = kinds[mode].ops;
	iommu->mode = mode;
	iommu->given = given;
	iommu->fd = given >= 0 ? plx_sys->dup(given) : plx_sys->open(kinds[mode].path, O_RDWR);
	if (iommu->fd < 0) {
		err = plx_refuse_node(why, kinds[mode].path, -errno);
		plx_sys->free(iommu);
		return err;
	}
	version = plx_ioctl(iommu->fd, VFIO_GET_API_VERSION, NULL);
	if (version != VFIO_API_VERSION) {
		plx_refuse_about(why, PLX_REFUSED_KERNEL, version < 0 ? version : -EPROTO,
				 kinds[mode].path,
				 given < 0 ? PLX_REMEDY_USUAL : PLX_REMEDY_CONTAINER_FD,
				 "%s is no VFIO container of API version %d (%s %d)",
				 given < 0 ? kinds[mode].path : "what the caller handed in",
				 VFIO_API_VERSION, version < 0 ? "errno" : "version",
				 version < 0 ? -version : version);
		plx_sys->close(iommu->fd);
		plx_sys->free(iommu);
		return why->err;
	}
	*out = iommu;
	return 0;
}

int plx_container_add(struct plx_iommu *iommu, int group_fd, bool first)
{
	int err = plx_ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &iommu->fd);

	if (err < 0 || !first)
		return err;
	err = plx_ioctl_int(iommu->fd, VFIO_SET_IOMMU, kinds[iommu->mode].type);
	if (err < 0)
		plx_ioctl(group_fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
	return err;
}

bool plx_container_has_type(const struct plx_iommu *iommu)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	int err = plx_ioctl(iommu->fd, VFIO_IOMMU_GET_INFO, &info);

	/*
	 * Without a type EINVAL, or ENODEV of iommufd's. No-IOMMU is a type that knows no commands.
	 */
	return !err || err == -ENOTTY;
}

bool plx_container_is_iommufd(const struct plx_iommu *iommu)
{
	struct uapi_vfio_ioas arg = { .size = sizeof(arg), .op = UAPI_VFIO_IOAS_GET };

	/* Only iommufd knows the command; -ENODEV would be: knows it, and has no such IOAS. */
	return plx_ioctl(iommu->fd, UAPI_VFIO_IOAS, &arg) == 0;
}
