/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Claiming by group: open /dev/vfio/N, put it in a container, fix the container's IOMMU type, and
 * ask the group for the device. A group can be opened once, so devices of one group share its file
 * and, with it, its container.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pollux/log.h>

#include "claim.h"
#include "refusal.h"
#include "uapi.h"

static void group_path(const struct plx_claim *claim, char *path)
{
	snprintf(path, PLX_NODE_LEN, "/dev/vfio/%s%d",
		 claim->mode == PLX_VFIO_NOIOMMU ? "noiommu-" : "", claim->facts->group);
}

static struct plx_group *find_group(const struct plx_ioas *ioas, int id)
{
	struct plx_group *group = ioas && id >= 0 ? ioas->groups : NULL;

	while (group && group->id != id)
		group = group->next;
	return group;
}

/* The caller's file for the container of this mode, or -1. */
static int given_container(const struct plx_claim *claim)
{
	if (claim->opts->container_fd < 0 && claim->mode == PLX_VFIO_COMPAT)
		return claim->opts->iommufd;
	return claim->opts->container_fd;
}

static int probe_kind(const struct plx_claim *claim, struct plx_refusal *why)
{
	const struct plx_facts *facts = claim->facts;

	if (facts->group < 0)
		return plx_refuse_about(why, PLX_REFUSED_IOMMU, -ENODEV, facts->bdf,
					PLX_REMEDY_IOMMU_ON, "the device has no IOMMU group");
	if (claim->mode != PLX_VFIO_NOIOMMU && facts->noiommu_group)
		return plx_refuse_about(why, PLX_REFUSED_IOMMU, -ENODEV, facts->bdf,
					PLX_REMEDY_USUAL, "there is no IOMMU before the device");
	return 0;
}

static int group_probe(const struct plx_claim *claim, struct plx_refusal *why)
{
	const char *container = claim->mode == PLX_VFIO_COMPAT ? "/dev/iommu" : "/dev/vfio/vfio";
	char path[PLX_NODE_LEN];
	int err;

	if (claim->opts->cdev_fd >= 0)
		return plx_refuse(why, PLX_REFUSED_NOT_ASKED, -EINVAL,
				  "the caller handed in a cdev");
	if (claim->opts->group_fd < 0 || claim->facts->group >= 0) {
		err = probe_kind(claim, why);
		if (err)
			return err;
	}
	if (claim->opts->group_fd < 0 && !find_group(claim->ioas, claim->facts->group)) {
		group_path(claim, path);
		err = plx_claim_check_node(claim, path, why);
		if (err)
			return err;
	}
	if (claim->mode == PLX_VFIO_NOIOMMU && !plx_have_rawio())
		return plx_refuse_rawio(why, -EPERM);
	if (given_container(claim) < 0) {
		err = plx_claim_check_node(claim, container, why);
		if (err)
			return err;
	}
	return claim->ioas ? 0 : plx_claim_check_group(claim, why);
}

/* A caller's file stays open: its group must be taken out of the container, not just closed. */
static void close_group(struct plx_ioas *ioas, struct plx_group *group)
{
	struct plx_group **at = &ioas->groups;
	int err = 0;

	while (*at && *at != group)
		at = &(*at)->next;
	if (*at)
		*at = group->next;
	if (group->iommu)
		err = plx_ioctl(group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
	if (err)
		plx_warn("group %d stays in its container until its file is closed: %s", group->id,
			 strerror(-err));
	plx_sys->close(group->fd);
	plx_sys->free(group);
}

static int check_viable(const struct plx_claim *claim, int fd, struct plx_refusal *why)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int err = plx_ioctl(fd, VFIO_GROUP_GET_STATUS, &status);

	if (err)
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "VFIO_GROUP_GET_STATUS failed: %s",
				  strerror(-err));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		if (plx_claim_check_group(claim, why))
			return why->err;
		return plx_refuse_about(why, PLX_REFUSED_GROUP, -EBUSY, claim->facts->bdf,
					PLX_REMEDY_USUAL,
					"group %d is not viable: a member is held by "
					"another driver",
					claim->facts->group);
	}
	if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		return plx_refuse_about(why, PLX_REFUSED_BUSY, -EBUSY, claim->facts->bdf,
					PLX_REMEDY_USUAL, "group %d is in a container already",
					claim->facts->group);
	return 0;
}

static int open_group(const struct plx_claim *claim, struct plx_group **out,
		      struct plx_refusal *why)
{
	struct plx_group *group = plx_sys->alloc(sizeof(*group));
	char path[PLX_NODE_LEN];
	int err;

	if (!group)
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
	group_path(claim, path);
	group->id = claim->facts->group;
	if (claim->opts->group_fd >= 0) {
		group->fd = plx_sys->dup(claim->opts->group_fd);
		err = group->fd < 0 ? plx_refuse_node(why, path, -errno) : 0;
	} else {
		group->fd = plx_claim_open_node(claim, path, why);
		err = group->fd < 0 ? group->fd : 0;
	}
	if (err) {
		plx_sys->free(group);
		return err;
	}
	err = check_viable(claim, group->fd, why);
	if (err) {
		plx_sys->close(group->fd);
		plx_sys->free(group);
		return err;
	}
	group->next = claim->ioas->groups;
	claim->ioas->groups = group;
	*out = group;
	return 0;
}

static int refuse_container(const struct plx_claim *claim, int err, struct plx_refusal *why)
{
	if ((err == -EPERM || err == -EBUSY) && plx_claim_check_group(claim, why))
		return why->err;
	if (err == -EPERM && claim->mode == PLX_VFIO_NOIOMMU)
		return plx_refuse_rawio(why, err);
	if (err == -EPERM)
		return plx_refuse_isolation(why, err);
	if (err == -EBUSY)
		return plx_refuse_about(why, PLX_REFUSED_BUSY, err, claim->facts->bdf,
					PLX_REMEDY_USUAL, "group %d is held by somebody else",
					claim->facts->group);
	if (err == -ENODEV || err == -EINVAL)
		return plx_refuse_about(
			why, PLX_REFUSED_IOMMU, err, claim->facts->bdf, PLX_REMEDY_TYPE1_KERNEL,
			"the container does not take group %d as %s: %s", claim->facts->group,
			plx_vfio_mode_name(claim->mode), strerror(-err));
	return plx_refuse(why, PLX_REFUSED_KERNEL, err, "group %d can't enter a container: %s",
			  claim->facts->group, strerror(-err));
}

/* The caller's, which others of its groups gave an IOMMU type: that is done once. */
static int refuse_typed(const struct plx_claim *claim, int err, struct plx_refusal *why)
{
	return plx_refuse_about(why, PLX_REFUSED_BUSY, err, "container", PLX_REMEDY_EMPTY_CONTAINER,
				"the caller's container has an IOMMU type already, and does not "
				"take group %d as %s: %s",
				claim->facts->group, plx_vfio_mode_name(claim->mode),
				strerror(-err));
}

/* Into a container that is there already, if one takes the group; else into a new one. */
static int enter_container(const struct plx_claim *claim, struct plx_group *group,
			   struct plx_refusal *why)
{
	int given = given_container(claim);
	struct plx_iommu *iommu;
	bool typed;
	int err;

	for (iommu = claim->ioas->contexts; iommu; iommu = iommu->next) {
		if (iommu->mode != claim->mode || iommu->given != given ||
		    plx_container_add(iommu, group->fd, false))
			continue;
		group->iommu = iommu;
		return 0;
	}
	err = plx_container_create(claim->mode, given, &iommu, why);
	if (err)
		return err;
	err = plx_container_add(iommu, group->fd, true);
	if (err) {
		typed = given >= 0 && plx_container_has_type(iommu);
		iommu->ops->destroy(iommu);
		return typed ? refuse_typed(claim, err, why) : refuse_container(claim, err, why);
	}
	group->iommu = iommu;
	return 0;
}

static int refuse_device(const struct plx_claim *claim, int err, struct plx_refusal *why)
{
	switch (err) {
	case -EACCES: return plx_refuse_token(claim, why);
	case -EPERM:
	case -EBUSY:
		/* The compatibility container finds out only here. */
		if (plx_claim_check_group(claim, why))
			return why->err;
		if (err == -EPERM && claim->mode != PLX_VFIO_NOIOMMU)
			return plx_refuse_isolation(why, err);
		if (err == -EPERM)
			return plx_refuse_rawio(why, err);
		return plx_refuse_about(why, PLX_REFUSED_BUSY, err, claim->facts->bdf,
					PLX_REMEDY_USUAL,
					"the device is held through another file");
	case -EADDRINUSE:
		/* As above: type 1 doesn't let such a group in. */
		return plx_refuse_about(
			why, PLX_REFUSED_POLICY, err, claim->facts->bdf, PLX_REMEDY_USUAL,
			"memory is mapped at device addresses (IOVA = %s) that this device "
			"can't use",
			plx_addr_policy_name(claim->ioas->policy.addr));
	default:
		return plx_refuse(why, PLX_REFUSED_KERNEL, err,
				  "VFIO_GROUP_GET_DEVICE_FD failed: %s", strerror(-err));
	}
}

static int get_device(const struct plx_claim *claim, struct plx_group *group,
		      struct plx_refusal *why)
{
	char name[PLX_BDF_LEN + 64];
	int fd = -EINVAL;

	if (claim->opts->vf_token) {
		if (strlen(claim->opts->vf_token) != 36)
			return plx_refuse_uuid(claim, why);
		snprintf(name, sizeof(name), "%s vf_token=%s", claim->facts->bdf,
			 claim->opts->vf_token);
		fd = plx_ioctl(group->fd, VFIO_GROUP_GET_DEVICE_FD, name);
	}
	/* EINVAL: the device has no use for a token. */
	if (fd == -EINVAL) {
		snprintf(name, sizeof(name), "%s", claim->facts->bdf);
		fd = plx_ioctl(group->fd, VFIO_GROUP_GET_DEVICE_FD, name);
	}
	return fd < 0 ? refuse_device(claim, fd, why) : fd;
}

/* Gives back a group without devices, and its container if that has none either. */
static void release(struct plx_ioas *ioas, struct plx_group *group)
{
	struct plx_iommu *iommu = group->iommu;

	if (group->devices)
		return;
	close_group(ioas, group);
	if (iommu && !iommu->devices)
		plx_ioas_leave(ioas, iommu);
}

static void describe(const struct plx_claim *claim, struct plx_vfio_dev *dev)
{
	const char *served = "";

	if (claim->mode != PLX_VFIO_COMPAT && claim->mode != PLX_VFIO_NOIOMMU &&
	    plx_container_is_iommufd(dev->iommu))
		served = ", served by iommufd";
	if (claim->facts->group >= 0)
		snprintf(dev->how, sizeof(dev->how), "group %d%s", claim->facts->group, served);
	else
		snprintf(dev->how, sizeof(dev->how), "caller's group%s", served);
}

static int group_open(const struct plx_claim *claim, struct plx_vfio_dev *dev,
		      struct plx_refusal *why)
{
	struct plx_group *group = find_group(claim->ioas, claim->facts->group);
	int err = 0;

	if (group && group->iommu->mode != claim->mode)
		return plx_refuse_about(why, PLX_REFUSED_BUSY, -EBUSY, claim->facts->bdf,
					PLX_REMEDY_ONE_MODE,
					"group %d is held by this process as %s", group->id,
					plx_vfio_mode_name(group->iommu->mode));
	if (!group) {
		err = open_group(claim, &group, why);
		if (err)
			return err;
		err = enter_container(claim, group, why);
	}
	if (!err) {
		dev->fd = get_device(claim, group, why);
		err = dev->fd < 0 ? dev->fd : 0;
	}
	/* Only now do all kinds of containers tell their true ranges. */
	if (!err) {
		err = plx_ioas_join(claim->ioas, group->iommu, why);
		if (err)
			plx_sys->close(dev->fd);
	}
	if (err) {
		dev->fd = -1;
		release(claim->ioas, group);
		return err;
	}
	group->devices++;
	dev->ops = &plx_dev_kernel_ops;
	dev->group = group;
	dev->iommu = group->iommu;
	describe(claim, dev);
	return 0;
}

static void group_close(struct plx_vfio_dev *dev)
{
	struct plx_group *group = dev->group;
	struct plx_iommu *iommu = dev->iommu;
	bool stays = iommu->devices > 1;

	plx_sys->close(dev->fd);
	/* First: a container without groups unmaps nothing, and may have others of the caller's. */
	plx_ioas_leave(dev->ioas, iommu);
	if (--group->devices)
		return;
	close_group(dev->ioas, group);
	/* It is the group that a type 1 container goes by. */
	if (stays)
		plx_ioas_widen(dev->ioas, iommu);
}

const struct plx_claim_ops plx_claim_group = {
	.probe = group_probe,
	.open = group_open,
	.close = group_close,
};
