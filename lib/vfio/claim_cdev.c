/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Claiming by device cdev: open /dev/vfio/devices/vfioN (inert), bind it to an iommufd, attach it
 * to one of the address space's IOASes. With an IOMMU or, from a cdev called noiommu-vfioN,
 * without.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pollux/log.h>

#include "claim.h"
#include "refusal.h"
#include "uapi.h"

static void node_path(const struct plx_facts *facts, char *path)
{
	snprintf(path, PLX_NODE_LEN, "/dev/vfio/devices/%s", facts->cdev);
}

static int probe_kind(const struct plx_claim *claim, struct plx_refusal *why)
{
	const struct plx_facts *facts = claim->facts;

	if (claim->mode == PLX_VFIO_NOIOMMU_CDEV) {
		if (facts->noiommu_cdev)
			return 0;
		return plx_refuse_about(why, PLX_REFUSED_NODE, -ENODEV, "noiommu-vfio",
					PLX_REMEDY_NOIOMMU_CDEV_KERNEL,
					"the device has no no-IOMMU cdev");
	}
	if (facts->noiommu_cdev || facts->noiommu_group)
		return plx_refuse_about(why, PLX_REFUSED_IOMMU, -ENODEV, facts->bdf,
					PLX_REMEDY_USUAL, "there is no IOMMU before the device");
	return 0;
}

static int cdev_probe(const struct plx_claim *claim, struct plx_refusal *why)
{
	char path[PLX_NODE_LEN];
	int err;

	if (claim->opts->group_fd >= 0 || claim->opts->container_fd >= 0)
		if (claim->opts->cdev_fd < 0)
			return plx_refuse(why, PLX_REFUSED_NOT_ASKED, -EINVAL,
					  "the caller handed in a group or a container");
	if (claim->opts->cdev_fd < 0 || claim->facts->cdev[0]) {
		err = probe_kind(claim, why);
		if (err)
			return err;
	}
	if (claim->opts->cdev_fd < 0) {
		if (!claim->facts->cdev[0])
			return plx_refuse_about(why, PLX_REFUSED_NODE, -ENOENT, "vfio-dev",
						PLX_REMEDY_CDEV_KERNEL, "the device has no cdev");
		node_path(claim->facts, path);
		err = plx_claim_check_node(claim, path, why);
		if (err)
			return err;
	}
	if (claim->mode == PLX_VFIO_NOIOMMU_CDEV && !plx_have_rawio())
		return plx_refuse_rawio(why, -EPERM);
	if (claim->opts->iommufd < 0) {
		err = plx_claim_check_node(claim, "/dev/iommu", why);
		if (err)
			return err;
	}
	return claim->ioas ? 0 : plx_claim_check_group(claim, why);
}

/* A UUID's 16 bytes, in the order in which they are written. */
static int parse_token(const char *text, uint8_t token[16])
{
	unsigned int n = 0;

	while (n < 16) {
		unsigned int byte;

		if (*text == '-' && (n == 4 || n == 6 || n == 8 || n == 10))
			text++;
		if (strspn(text, "0123456789abcdefABCDEF") < 2 || sscanf(text, "%2x", &byte) != 1)
			return -EINVAL;
		token[n++] = byte;
		text += 2;
	}
	return *text ? -EINVAL : 0;
}

static int refuse_bind(const struct plx_claim *claim, int err, struct plx_refusal *why)
{
	switch (err) {
	case -EACCES: return plx_refuse_token(claim, why);
	case -EBUSY:
		if (plx_claim_check_group(claim, why))
			return why->err;
		return plx_refuse_about(
			why, PLX_REFUSED_BUSY, err, claim->facts->bdf, PLX_REMEDY_USUAL,
			"the device, or its group, is held through another file, by "
			"this process or another");
	case -EPERM:
		if (claim->mode == PLX_VFIO_NOIOMMU_CDEV)
			return plx_refuse_rawio(why, err);
		if (plx_claim_check_group(claim, why))
			return why->err;
		return plx_refuse_isolation(why, err);
	case -EINVAL:
		if (claim->opts->cdev_fd < 0)
			break;
		return plx_refuse_about(why, PLX_REFUSED_BUSY, err, claim->facts->bdf,
					PLX_REMEDY_OPEN_AGAIN,
					"the caller's cdev can't be bound, or is bound already");
	case -EBADF:
	case -EBADFD:
		if (claim->opts->iommufd < 0)
			break;
		return plx_refuse_about(why, PLX_REFUSED_NODE, err, "iommufd",
					PLX_REMEDY_IOMMUFD_FD,
					"what the caller handed in is no iommufd");
	}
	return plx_refuse(why, PLX_REFUSED_KERNEL, err, "VFIO_DEVICE_BIND_IOMMUFD failed: %s",
			  strerror(-err));
}

/*
 * What a bind without the token leaves undone on a kernel that knows tokens, but not in a bind: a
 * PF is given the one that its VFs will have to show. Other devices refuse, which is as it should
 * be.
 */
static void set_token(const char *bdf, int dev_fd, const uint8_t token[16])
{
	struct { /* struct vfio_device_feature, with its data */
		uint32_t argsz, flags;
		uint8_t token[16];
	} arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
	};
	int err;

	if (plx_ioctl(dev_fd, VFIO_DEVICE_FEATURE, &arg))
		return;
	arg.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
	memcpy(arg.token, token, sizeof(arg.token));
	err = plx_ioctl(dev_fd, VFIO_DEVICE_FEATURE, &arg);
	if (err)
		plx_warn("%s: the VF token can't be set: %s", bdf, strerror(-err));
}

static int bind_device(const struct plx_claim *claim, int dev_fd, int iommufd, uint32_t *devid,
		       struct plx_refusal *why)
{
	struct uapi_bind_iommufd arg = { .argsz = UAPI_BIND_IOMMUFD_SIZE, .iommufd = iommufd };
	uint8_t token[16];
	int err;

	if (!claim->opts->vf_token) {
		err = plx_ioctl(dev_fd, UAPI_DEVICE_BIND_IOMMUFD, &arg);
		*devid = arg.out_devid;
		return err ? refuse_bind(claim, err, why) : 0;
	}
	if (parse_token(claim->opts->vf_token, token))
		return plx_refuse_uuid(claim, why);
	arg.argsz = sizeof(arg);
	arg.flags = UAPI_BIND_FLAG_TOKEN;
	arg.token_uuid_ptr = (uintptr_t)token;
	err = plx_ioctl(dev_fd, UAPI_DEVICE_BIND_IOMMUFD, &arg);
	if (err == -EINVAL) {
		/* The kernel knows no tokens here, or the device has no use for one. */
		arg = (struct uapi_bind_iommufd){ .argsz = UAPI_BIND_IOMMUFD_SIZE,
						  .iommufd = iommufd };
		err = plx_ioctl(dev_fd, UAPI_DEVICE_BIND_IOMMUFD, &arg);
		if (!err)
			set_token(claim->facts->bdf, dev_fd, token);
	}
	*devid = arg.out_devid;
	return err ? refuse_bind(claim, err, why) : 0;
}

/* The caller's IOAS, which does not take the device: err says why. */
static int refuse_given(const struct plx_claim *claim, int err, struct plx_refusal *why)
{
	unsigned int id = claim->opts->ioas_id;
	char object[32];

	snprintf(object, sizeof(object), "IOAS %u", id);
	plx_refuse_about(why, PLX_REFUSED_IOMMU, err, object, PLX_REMEDY_IOAS,
			 "the device can't be attached to IOAS %u of the caller's iommufd: %s%s",
			 id, strerror(-err),
			 err == -EADDRINUSE ? " (by what is mapped where the device can't go)"
			 : err == -EINVAL   ? " (its devices are behind another kind of IOMMU)"
					    : "");
	why->wanted = id;
	return err;
}

static int refuse_attach(const struct plx_claim *claim, int err, struct plx_refusal *why)
{
	return plx_refuse_about(why, PLX_REFUSED_IOMMU, err, claim->facts->bdf, PLX_REMEDY_USUAL,
				"the device can't be attached to an I/O address space: %s",
				strerror(-err));
}

/*
 * To an IOAS that is there already, if one suits the device; else to a new one. To the caller's and
 * no other, if it named one.
 */
static int attach(const struct plx_claim *claim, struct plx_vfio_dev *dev, struct plx_iommufd *file,
		  uint32_t devid, struct plx_refusal *why)
{
	unsigned int given = claim->opts->iommufd < 0 ? 0 : claim->opts->ioas_id;
	struct plx_ioas *ioas = claim->ioas;
	struct plx_iommu *iommu;
	int err;

	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		if (!plx_iommufd_is_of(iommu, file) || (given && plx_iommufd_ioas(iommu) != given))
			continue;
		err = iommu->mode != claim->mode
			      ? -EINVAL
			      : plx_iommufd_attach(iommu, dev->fd, devid, ioas->policy.track_dirty,
						   &dev->untracked);
		if (!err) {
			dev->iommu = iommu;
			return plx_ioas_join(ioas, iommu, why);
		}
		if (given)
			return refuse_given(claim, err, why);
	}
	err = plx_iommufd_create(&ioas->iommufds, file, claim->mode, given, &iommu, why);
	if (err)
		return err;
	dev->iommu = iommu;
	err = plx_iommufd_attach(iommu, dev->fd, devid, ioas->policy.track_dirty, &dev->untracked);
	if (err)
		return given ? refuse_given(claim, err, why) : refuse_attach(claim, err, why);
	return plx_ioas_join(ioas, iommu, why);
}

static int cdev_open(const struct plx_claim *claim, struct plx_vfio_dev *dev,
		     struct plx_refusal *why)
{
	struct plx_ioas *ioas = claim->ioas;
	struct plx_iommufd *file;
	char path[PLX_NODE_LEN];
	uint32_t devid = 0;
	int err;

	node_path(claim->facts, path);
	dev->fd = claim->opts->cdev_fd >= 0 ? plx_sys->dup(claim->opts->cdev_fd)
					    : plx_claim_open_node(claim, path, why);
	if (dev->fd < 0)
		return claim->opts->cdev_fd >= 0 ? plx_refuse_node(why, path, -errno) : dev->fd;
	err = plx_iommufd_get(&ioas->iommufds, claim->opts->iommufd, &file, why);
	if (err)
		goto close_dev;
	err = bind_device(claim, dev->fd, plx_iommufd_fd(file), &devid, why);
	if (err)
		goto put_file;
	err = attach(claim, dev, file, devid, why);
	if (err)
		goto detach;
	/* The context holds the file from here on. */
	plx_iommufd_put(&ioas->iommufds, file);
	dev->ops = &plx_dev_kernel_ops;
	snprintf(dev->how, sizeof(dev->how), "%s, iommufd",
		 claim->facts->cdev[0] ? claim->facts->cdev : "caller's file");
	return 0;
detach:
	plx_iommufd_detach(dev->iommu, dev->fd, dev->untracked);
	dev->untracked = false;
	if (dev->iommu && !dev->iommu->devices)
		plx_ioas_leave(ioas, dev->iommu);
	dev->iommu = NULL;
put_file:
	/* Not bound: a caller's file may be attached elsewhere, which is not ours to undo. */
	plx_iommufd_put(&ioas->iommufds, file);
close_dev:
	plx_sys->close(dev->fd);
	dev->fd = -1;
	return err;
}

static void cdev_close(struct plx_vfio_dev *dev)
{
	/* Closing would detach only if no descriptor of the caller's kept the file open. */
	plx_iommufd_detach(dev->iommu, dev->fd, dev->untracked);
	plx_sys->close(dev->fd);
	plx_ioas_leave(dev->ioas, dev->iommu);
}

const struct plx_claim_ops plx_claim_cdev = {
	.probe = cdev_probe,
	.open = cdev_open,
	.close = cdev_close,
};
