/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver that only keeps books, for tests of lib/ethdev: it counts what it is told, and answers
 * what a test wants.
 */
#ifndef ETHDEV_BOOKS_H
#define ETHDEV_BOOKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ethdev_driver.h"

/* What the driver was told, and what it is to answer. */
extern struct book {
	int err;       /* of the next call of any kind */
	int link_down; /* looks at it that find it so */
	int configures, starts, stops, resets, closes, rxqs, txqs, macs, modes, mcs, vlans,
		offloads;
} book;

extern const struct plx_eth_ops ops;

/* Its receive function: of a burst it fills in the first, with the queue. */
uint16_t drv_rx(void *queue, struct rte_mbuf **pkts, uint16_t count);

extern struct plx_eth_dev *dev; /* of it, and its port */
extern uint16_t port;
extern struct rte_mempool *pool;
extern char logged[2048]; /* the last line */

/* Fixtures: EAL and the pool, once; the port, not configured yet. At the end all is given back. */
int group_setup(void **state);
int setup(void **state);
int teardown(void **state);

/* The port with two queues each way, started. */
void start(const struct rte_eth_conf *conf);

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
