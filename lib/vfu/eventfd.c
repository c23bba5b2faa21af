/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signalling the client's eventfds.
 *
 * write() would sleep while the counter is full, for as long as the client likes: O_NONBLOCK
 * belongs to the open file, which the client has, too, and may clear at any time. Nor may anything
 * be written to what only looks like an eventfd. So the kernel signals: each AIO request that is
 * done adds 1 to the eventfd it names (io_submit(2), IOCB_FLAG_RESFD), which stops at a full
 * counter and never waits. The request itself reads nothing from /dev/null, and is done before
 * io_submit() returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <linux/aio_abi.h>
#include <pollux/log.h>

#include "server.h"
#include "sys.h"

#define EVENTS 64 /* of requests that are done: taken away once there's no room for another */

int plx_vfu_eventfd_init(struct plx_vfu *vfu)
{
	int err;

	vfu->null_fd = plx_sys->open("/dev/null", O_RDONLY);
	if (vfu->null_fd < 0)
		return -errno;
	if (!plx_sys->io_setup(EVENTS, &vfu->aio))
		return 0;
	err = -errno;
	plx_err("%s: no AIO of the kernel, which signals interrupts: %s", vfu->name,
		strerror(-err));
	return err;
}

void plx_vfu_eventfd_fini(struct plx_vfu *vfu)
{
	if (vfu->aio)
		plx_sys->io_destroy(vfu->aio);
	if (vfu->null_fd >= 0)
		plx_sys->close(vfu->null_fd);
}

static int submit(struct plx_vfu *vfu, int fd)
{
	struct iocb read_nothing = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = vfu->null_fd,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = fd,
	};
	struct iocb *request = &read_nothing;

	return plx_sys->io_submit(vfu->aio, 1, &request) < 0 ? -errno : 0;
}

int plx_vfu_eventfd_signal(struct plx_vfu *vfu, int fd)
{
	struct timespec dont_wait = { 0 };
	struct io_event events[EVENTS];
	int err = submit(vfu, fd);

	if (err != -EAGAIN)
		return err;
	plx_sys->io_getevents(vfu->aio, 0, EVENTS, events, &dont_wait);
	return submit(vfu, fd);
}
