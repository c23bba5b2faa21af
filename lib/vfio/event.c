/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events. The kernel has two signals for them, each an interrupt index of one vector: ERR, and REQ,
 * which it repeats every ten seconds until the device is closed. Each has an eventfd here, and one
 * epoll file stands for both.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <pollux/log.h>

#include "dev.h"
#include "user.h"

/* PCI Local Bus 3.0, 6.2.1: revision and class. VFIO makes up the ids before it, but not these. */
#define PCI_CLASS_REVISION 0x08

/* An eventfd for one of the signals. *fd stays -1 if the device has none. */
static int connect_signal(struct plx_vfio_dev *dev, unsigned int index, int *fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct plx_vfio_irq irq;
	int err;

	if (index >= dev->num_irqs)
		return 0;
	err = plx_vfio_irq(dev, index, &irq);
	if (err || !irq.count || !irq.eventfd)
		return err;
	*fd = plx_sys->eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (*fd < 0)
		return -errno;
	if (plx_sys->epoll_ctl(dev->events.fd, EPOLL_CTL_ADD, *fd, &event))
		return -errno;
	return plx_vfio_irq_set(dev, index, 0, 1, fd);
}

int plx_event_watch(struct plx_vfio_dev *dev)
{
	struct plx_events *events = &dev->events;
	int err;

	events->fd = plx_sys->epoll_create(EPOLL_CLOEXEC);
	if (events->fd < 0)
		return -errno;
	err = connect_signal(dev, VFIO_PCI_REQ_IRQ_INDEX, &events->req);
	if (!err)
		err = connect_signal(dev, VFIO_PCI_ERR_IRQ_INDEX, &events->err);
	if (!err && events->req < 0 && events->err < 0)
		plx_event_fini(dev);
	return err;
}

static bool fired(int fd)
{
	uint64_t count;

	return fd >= 0 && plx_sys->read(fd, &count, sizeof(count)) == sizeof(count);
}

enum plx_vfio_event plx_event_look(struct plx_vfio_dev *dev)
{
	uint32_t class_revision;
	bool err = fired(dev->events.err);

	/* One at a time: the other one keeps. */
	if (!err && !fired(dev->events.req))
		return PLX_VFIO_EVENT_NONE;
	if (plx_vfio_read(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_CLASS_REVISION, &class_revision,
			  sizeof(class_revision)) ||
	    class_revision == UINT32_MAX)
		return PLX_VFIO_EVENT_GONE;
	return err ? PLX_VFIO_EVENT_ERROR : PLX_VFIO_EVENT_REQUESTED;
}

/* A device whose signals can't be had will do, but nobody will hear when it is asked back. */
void plx_event_init(struct plx_vfio_dev *dev)
{
	int err = dev->ops->watch(dev);

	if (!err)
		return;
	plx_warn("%s: its events can't be listened to: %s; nobody will hear when it is asked back "
		 "or goes away",
		 dev->name, strerror(-err));
	if (dev->events.req >= 0)
		plx_vfio_irq_off(dev, VFIO_PCI_REQ_IRQ_INDEX);
	if (dev->events.err >= 0)
		plx_vfio_irq_off(dev, VFIO_PCI_ERR_IRQ_INDEX);
	plx_event_fini(dev);
}

/* The signals are off: nobody writes to the eventfds any more. */
void plx_event_fini(struct plx_vfio_dev *dev)
{
	struct plx_events *events = &dev->events;

	if (events->req >= 0)
		plx_sys->close(events->req);
	if (events->err >= 0)
		plx_sys->close(events->err);
	if (events->fd >= 0)
		plx_sys->close(events->fd);
	events->req = events->err = events->fd = -1;
}

void plx_event_fault(struct plx_vfio_dev *dev)
{
	const struct plx_events *events = &dev->events;
	const uint64_t one = 1;

	if (dev->user)
		plx_sys->shutdown(dev->user->fd, SHUT_RDWR);
	else if (events->err >= 0 || events->req >= 0)
		plx_sys->write(events->err >= 0 ? events->err : events->req, &one, sizeof(one));
}

/* What was put in the place of its registers stays there, whatever becomes of the device. */
static enum plx_vfio_event faulted(struct plx_vfio_dev *dev)
{
	static const char what[] = "its memory could not be reached when it was touched";

	if (dev->user)
		plx_user_lose(dev->user, what);
	else
		plx_err("%s: %s (was decoding turned off?): the device is lost; close it and "
			"claim it again",
			dev->name, what);
	return PLX_VFIO_EVENT_GONE;
}

int plx_vfio_event_fd(const struct plx_vfio_dev *dev)
{
	return dev->events.fd < 0 ? -ENODEV : dev->events.fd;
}

enum plx_vfio_event plx_vfio_event(struct plx_vfio_dev *dev)
{
	enum plx_vfio_event event;

	if (__atomic_load_n(&dev->events.gone, __ATOMIC_RELAXED))
		return PLX_VFIO_EVENT_GONE;
	event = plx_sigbus_faulted(&dev->guard) ? faulted(dev) : dev->ops->event(dev);
	if (event == PLX_VFIO_EVENT_GONE)
		__atomic_store_n(&dev->events.gone, true, __ATOMIC_RELAXED);
	return event;
}
