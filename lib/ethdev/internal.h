/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of lib/ethdev only. */
#ifndef PLX_ETHDEV_INTERNAL_H
#define PLX_ETHDEV_INTERNAL_H

#include <pthread.h>
#include <stddef.h>

#include "ethdev_driver.h"

/*
 * A place in the table of ports. Its locks outlive the device, so that who has waited for one
 * learns that the device is gone.
 *
 *   life  one call at a time that changes what a port is: configure, queues, start, stop, reset,
 *         close; taken before lock
 *   lock  one control call at a time, of any kind
 *
 * A callback may make control calls: whoever waits for callbacks to return lets go of lock, and
 * holds life (plx_eth_intr_detach()).
 */
struct plx_eth_slot {
	struct plx_eth_dev *dev;
	char last[RTE_ETH_NAME_MAX_LEN]; /* the name of the device that is or was here */
	pthread_mutex_t life, lock;
};

/* NULL and nothing locked if there is no such port. */
struct plx_eth_slot *plx_eth_slot_lock(uint16_t port);
struct plx_eth_slot *plx_eth_slot_lock_life(uint16_t port);
void plx_eth_slot_unlock(struct plx_eth_slot **slot);
void plx_eth_slot_unlock_life(struct plx_eth_slot **slot);

/* Declares the port's device, or NULL, that stays locked to the end of the scope. */
#define PLX_ETH_LOCKED(dev, port) PLX_ETH_LOCKED_BY(dev, port, lock, unlock)

/* The same, for calls that change what the port is. */
#define PLX_ETH_LIFE_LOCKED(dev, port) PLX_ETH_LOCKED_BY(dev, port, lock_life, unlock_life)

#define PLX_ETH_LOCKED_BY(var, port, take, let_go)                                        \
	struct plx_eth_slot *var##_slot __attribute__((cleanup(plx_eth_slot_##let_go))) = \
		plx_eth_slot_##take(port);                                                \
	struct plx_eth_dev *var = var##_slot ? var##_slot->dev : NULL

/* Of a locked device: what the calls of those names do. */
void plx_eth_info(struct plx_eth_dev *dev, struct rte_eth_dev_info *info);
int plx_eth_stats(struct plx_eth_dev *dev, struct rte_eth_stats *stats);

/* Lets go of a locked device's lock for a while, with life held. */
void plx_eth_pause(const struct plx_eth_dev *dev);
void plx_eth_resume(const struct plx_eth_dev *dev);

/* Puts the burst functions of a running port in place, or those that move nothing. */
void plx_eth_burst_install(const struct plx_eth_dev *dev);
void plx_eth_burst_remove(uint16_t port);

/* Frees the queues from the given ones on. */
void plx_eth_rxqs_release(struct plx_eth_dev *dev, uint16_t first);
void plx_eth_txqs_release(struct plx_eth_dev *dev, uint16_t first);

/*
 * Checks offloads against what the port can do; -EINVAL, with the unsupported ones named in a log
 * line, if there are any. what says whose they are: "receive", "transmit queue 1".
 */
int plx_eth_rx_offloads_check(const struct plx_eth_dev *dev, const char *what, uint64_t wanted,
			      uint64_t capa);
int plx_eth_tx_offloads_check(const struct plx_eth_dev *dev, const char *what, uint64_t wanted,
			      uint64_t capa);

/* Of a locked device; the lock is let go of for a while. */
void plx_eth_events_detach(struct plx_eth_dev *dev);

void plx_eth_callbacks_free(struct plx_eth_dev *dev);

#endif
