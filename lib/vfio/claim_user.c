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

	/* unix(7): who connects needs to write, and nothing else. */
	if (claim->ioas || !plx_sys->access(path, W_OK))
		return 0;
	return plx_refuse_socket(why, path, -errno);
}

static int refuse_connect(const char *path, int err, struct plx_refusal *why)
{
	struct stat st;

	if (err != -ECONNREFUSED)
		return plx_refuse_socket(why, path, err);
	if (!plx_sys->stat(path, &st) && !S_ISSOCK(st.st_mode))
		return plx_refuse_about(why, PLX_REFUSED_NODE, -ENOTSOCK, path,
					PLX_REMEDY_NAME_SOCKET, "%s is no socket", path);
	return plx_refuse_about(why, PLX_REFUSED_NODE, err, path, PLX_REMEDY_START_PROCESS,
				"nobody serves %s any more", path);
}

/* Its process may have been started at the same moment: tries for a bounded time. */
static int connect_to(const struct plx_claim *claim, struct plx_refusal *why)
{
	for (;;) {
		int fd = plx_vfu_connect(claim->socket);

		if (fd >= 0)
			return fd;
		if ((fd != -ENOENT && fd != -ECONNREFUSED) || !plx_claim_wait(claim))
			return refuse_connect(claim->socket, fd, why);
	}
}

static int user_open(const struct plx_claim *claim, struct plx_vfio_dev *dev,
		     struct plx_refusal *why)
{
	struct plx_user *user;
	int fd, err;

	fd = connect_to(claim, why);
	if (fd < 0)
		return fd;
	err = plx_user_open(dev->name, fd, &user, why);
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
