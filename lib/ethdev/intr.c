/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events and interrupts. A driver's eventfd is served by EAL's interrupt thread; what comes of it
 * reaches the application through callbacks, on that thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <rte_interrupts.h>

#include <pollux/log.h>

#include "internal.h"

struct plx_eth_callback {
	struct plx_eth_callback *next;
	enum rte_eth_event_type event;
	rte_eth_dev_cb_fn fn;
	void *arg;
	unsigned int active; /* it runs on some thread */
};

static pthread_mutex_t callback_lock = PTHREAD_MUTEX_INITIALIZER;

int plx_eth_dev_callback_register(uint16_t port, enum rte_eth_event_type event,
				  rte_eth_dev_cb_fn fn, void *arg)
{
	PLX_ETH_LOCKED(dev, port);
	struct plx_eth_callback *cb, *new, **end;

	if (!dev)
		return -ENODEV;
	if (!fn || event <= RTE_ETH_EVENT_UNKNOWN || event >= RTE_ETH_EVENT_MAX)
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->event = event;
	new->fn = fn;
	new->arg = arg;
	pthread_mutex_lock(&callback_lock);
	for (end = &dev->callbacks; (cb = *end); end = &cb->next) {
		if (cb->event == event && cb->fn == fn && cb->arg == arg)
			break;
	}
	if (!cb) {
		*end = new;
		new = NULL;
	}
	pthread_mutex_unlock(&callback_lock);
	free(new); /* registered already: that is what was asked for */
	return 0;
}

int plx_eth_dev_callback_unregister(uint16_t port, enum rte_eth_event_type event,
				    rte_eth_dev_cb_fn fn, void *arg)
{
	PLX_ETH_LOCKED(dev, port);
	struct plx_eth_callback *cb, **at;
	int err = 0;

	if (!dev)
		return -ENODEV;
	if (!fn)
		return -EINVAL;
	pthread_mutex_lock(&callback_lock);
	for (at = &dev->callbacks; (cb = *at);) {
		/* As in rte_ethdev, (void *)-1 stands for any argument. */
		if (cb->event != event || cb->fn != fn || (arg != (void *)-1 && cb->arg != arg)) {
			at = &cb->next;
		} else if (cb->active) {
			err = -EAGAIN;
			at = &cb->next;
		} else {
			*at = cb->next;
			free(cb);
		}
	}
	pthread_mutex_unlock(&callback_lock);
	return err;
}

void plx_eth_callbacks_free(struct plx_eth_dev *dev)
{
	struct plx_eth_callback *cb;

	while ((cb = dev->callbacks)) {
		dev->callbacks = cb->next;
		free(cb);
	}
}

void plx_eth_dev_event(struct plx_eth_dev *dev, enum rte_eth_event_type event, void *ret_param)
{
	struct plx_eth_callback *cb;

	pthread_mutex_lock(&callback_lock);
	for (cb = dev->callbacks; cb; cb = cb->next) {
		if (cb->event != event)
			continue;
		/* Without the lock, so that it may register others; active keeps it in the list. */
		cb->active++;
		pthread_mutex_unlock(&callback_lock);
		cb->fn(dev->port, event, cb->arg, ret_param);
		pthread_mutex_lock(&callback_lock);
		cb->active--;
	}
	pthread_mutex_unlock(&callback_lock);
}

void plx_eth_dev_removed(struct plx_eth_dev *dev)
{
	__atomic_store_n(&dev->removed, true, __ATOMIC_RELEASE);
	plx_eth_dev_event(dev, RTE_ETH_EVENT_INTR_RMV, NULL);
}

static void intr_fired(void *arg)
{
	struct plx_eth_watch *watch = arg;
	uint64_t count;
	const struct iovec iov = { &count, sizeof(count) };

	/*
	 * A process that serves the device shares the eventfd and its O_NONBLOCK: it could turn
	 * that off and read the count away before us. RWF_NOWAIT is per call (for eventfds since
	 * Linux 5.8).
	 */
	if (preadv2(rte_intr_fd_get(watch->handle), &iov, 1, -1, RWF_NOWAIT) == sizeof(count))
		watch->handler(watch->dev);
}

static void event_fired(void *arg)
{
	struct plx_eth_watch *watch = arg;

	/* A descriptor that is readable for good would keep the thread from all others. */
	if (!watch->event(watch->dev))
		rte_intr_callback_unregister_pending(watch->handle, event_fired, watch, NULL);
}

static int watch_start(struct plx_eth_watch *watch, int fd, rte_intr_callback_fn fired)
{
	int err;

	watch->handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (!watch->handle)
		return -ENOMEM;
	err = rte_intr_fd_set(watch->handle, fd);
	if (!err)
		err = rte_intr_type_set(watch->handle, RTE_INTR_HANDLE_EXT);
	if (!err)
		err = rte_intr_callback_register(watch->handle, fired, watch);
	if (err) {
		plx_err("%s: EAL's interrupt thread won't watch its descriptor: %s",
			watch->dev->name, strerror(err < 0 ? -err : EINVAL));
		rte_intr_instance_free(watch->handle);
		watch->handle = NULL;
		return err < 0 ? err : -EINVAL;
	}
	return 0;
}

/* Callbacks that are under way may wait for the port's lock. */
static void watch_end(struct plx_eth_watch *watch, rte_intr_callback_fn fired)
{
	if (!watch->handle)
		return;
	plx_eth_pause(watch->dev);
	rte_intr_callback_unregister_sync(watch->handle, fired, watch);
	plx_eth_resume(watch->dev);
	rte_intr_instance_free(watch->handle);
	watch->handle = NULL;
}

int plx_eth_intr_attach(struct plx_eth_dev *dev, int eventfd,
			void (*handler)(struct plx_eth_dev *dev))
{
	dev->intr = (struct plx_eth_watch){ .dev = dev, .handler = handler };
	return watch_start(&dev->intr, eventfd, intr_fired);
}

void plx_eth_intr_detach(struct plx_eth_dev *dev)
{
	watch_end(&dev->intr, intr_fired);
}

int plx_eth_events_attach(struct plx_eth_dev *dev, int fd, bool (*event)(struct plx_eth_dev *dev))
{
	dev->events = (struct plx_eth_watch){ .dev = dev, .event = event };
	return watch_start(&dev->events, fd, event_fired);
}

void plx_eth_events_detach(struct plx_eth_dev *dev)
{
	watch_end(&dev->events, event_fired);
}

static int rx_intr_check(const struct plx_eth_dev *dev, uint16_t queue)
{
	if (!dev)
		return -ENODEV;
	if (!dev->ops->rx_intr)
		return -ENOTSUP;
	if (queue >= dev->nb_rxq || !dev->running)
		return -EINVAL;
	if (!dev->conf.intr_conf.rxq) {
		plx_err("%s: receive interrupts need intr_conf.rxq at configuration", dev->name);
		return -ENOTSUP;
	}
	return 0;
}

int plx_eth_dev_rx_intr_enable(uint16_t port, uint16_t queue)
{
	PLX_ETH_LOCKED(dev, port);
	int err = rx_intr_check(dev, queue);

	return err ? err : dev->ops->rx_intr(dev, queue, true);
}

int plx_eth_dev_rx_intr_disable(uint16_t port, uint16_t queue)
{
	PLX_ETH_LOCKED(dev, port);
	int err = rx_intr_check(dev, queue);

	return err ? err : dev->ops->rx_intr(dev, queue, false);
}

int plx_eth_dev_rx_intr_ctl_q_get_fd(uint16_t port, uint16_t queue)
{
	PLX_ETH_LOCKED(dev, port);
	int err = rx_intr_check(dev, queue);

	return err ? err : dev->ops->rx_intr_fd(dev, queue);
}
