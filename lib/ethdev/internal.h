/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of lib/ethdev only. */
#ifndef PLX_ETHDEV_INTERNAL_H
#define PLX_ETHDEV_INTERNAL_H

#include <stddef.h>

#include "ethdev_driver.h"

/* The port's device, or NULL if there is no such port. */
struct plx_eth_dev *plx_eth_dev_get(uint16_t port);

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

void plx_eth_callbacks_free(struct plx_eth_dev *dev);

#endif
