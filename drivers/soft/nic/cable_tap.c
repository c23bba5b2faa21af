/* SPDX-License-Identifier: BSD-3-Clause */
/* A TAP interface at the other end of the cable [Linux, Documentation/networking/tuntap.rst]. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <pollux/log.h>

#include "cable.h"
#include "soft_cable.h"

#define TUN "/dev/net/tun"
/* Turns without a look after one that found nothing: each look is a system call. */
#define REST 32

struct tap {
	struct soft_cable cable;
	struct cable_inbox inbox;
	unsigned rest;
};

static struct tap *tap_of(struct soft_cable *cable)
{
	return (struct tap *)cable;
}

static unsigned tap_send(struct soft_cable *cable, const struct soft_frame *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (write(cable->fd, frames[i].data, frames[i].len) < 0 && errno == EAGAIN)
			return i;
	}
	return count;
}

static unsigned tap_poll(struct soft_cable *cable)
{
	struct tap *tap = tap_of(cable);
	unsigned n = 0;
	ssize_t len;

	if (tap->rest && tap->rest--)
		return 0;
	while (n < SOFT_BURST && cable_deliver(&tap->inbox)) {
		len = read(cable->fd, tap->inbox.data, sizeof(tap->inbox.data));
		if (len <= 0) {
			tap->rest = REST;
			break;
		}
		tap->inbox.len = (uint32_t)len;
		n++;
	}
	return n;
}

static bool tap_up(const struct soft_cable *cable)
{
	(void)cable;
	return true;
}

static int tap_error(const char *name, int err)
{
	if (err == -EPERM || err == -EACCES)
		plx_err("%s: no permission to make or take this interface: be root, or have root "
			"make it: ip tuntap add dev %s mode tap user $USER",
			name, name);
	else if (err == -EBUSY)
		plx_err("%s: another program is at the other end of this interface", name);
	else if (err == -EINVAL)
		plx_err("%s: there is an interface of this name that is no TAP", name);
	else
		plx_err("%s: no TAP interface: " TUN ": %s", name, strerror(-err));
	return err;
}

static int attach(int fd, const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (strlen(name) >= IFNAMSIZ || !*name || strchr(name, '/') || strchr(name, '%'))
		return -ENAMETOOLONG;
	strcpy(request.ifr_name, name);
	return ioctl(fd, TUNSETIFF, &request) ? -errno : 0;
}

int soft_tap_open(struct soft_nic *nic, const char *name, struct soft_cable **cable)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int err;

	if (!tap)
		return -ENOMEM;
	tap->inbox.nic = nic;
	tap->cable.send = tap_send;
	tap->cable.poll = tap_poll;
	tap->cable.up = tap_up;
	tap->cable.fd = open(TUN, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	err = tap->cable.fd < 0 ? -errno : attach(tap->cable.fd, name);
	if (err) {
		soft_tap_close(&tap->cable);
		return tap_error(name, err);
	}
	*cable = &tap->cable;
	return 0;
}

void soft_tap_close(struct soft_cable *cable)
{
	if (!cable)
		return;
	if (cable->fd >= 0)
		close(cable->fd);
	free(tap_of(cable));
}
