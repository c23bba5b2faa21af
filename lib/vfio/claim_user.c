/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Claiming a device that another process serves over a vfio-user socket. The connection is the
 * claim; nothing of the kernel's VFIO takes part.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "claim.h"
#include "refusal.h"
#include "user.h"

static int user_probe(const struct plx_claim *claim, struct plx_refusal *why)
{
	const char *path = claim->socket;

	if (claim->ioas || !plx_sys->access(path, R_OK | W_OK))
		return 0;
	return plx_refuse_socket(why, path, -errno);
}

static int user_open(const struct plx_claim *claim, struct plx_vfio_dev *dev,
		     struct plx_refusal *why)
{
	struct plx_user *user;
	int err;

	err = plx_user_connect(dev->name, claim->socket, &user, why);
	if (err)
		return err;
	err = plx_user_iommu(user, &dev->iommu, why);
	if (err)
		goto close_user;
	err = plx_ioas_join(claim->ioas, dev->iommu, why);
	if (err)
		goto leave;
	dev->ops = &plx_dev_user_ops;
	dev->user = user;
	dev->fd = user->fd;
	snprintf(dev->how, sizeof(dev->how), "vfio-user %u.%u", VFU_MAJOR, user->minor);
	return 0;
leave:
	plx_ioas_leave(claim->ioas, dev->iommu);
	dev->iommu = NULL;
close_user:
	plx_user_close(user);
	return err;
}

static void user_close(struct plx_vfio_dev *dev)
{
	plx_ioas_leave(dev->ioas, dev->iommu);
	plx_user_close(dev->user);
}

const struct plx_claim_ops plx_claim_user = {
	.probe = user_probe,
	.open = user_open,
	.close = user_close,
};
