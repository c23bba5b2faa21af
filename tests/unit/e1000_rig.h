/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of the 82574 driver begin and end with: a port on a device of memory, mempools that
 * the device can reach, and, at the end, a count of their buffers.
 */
#ifndef E1000_RIG_H
#define E1000_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e1000_fake.h"

#define POOL_SIZE 2047

extern struct rte_mempool *pool, *other;
extern uint16_t port;
extern uint32_t sent, got; /* numbers of packets, which are what they carry: at either end */

int setup_direct(void **state); /* device addresses taken as they are */
int setup_xlate(void **state);	/* translated */
int setup_polled(void **state); /* without interrupt vectors */
int setup_sparse(void **state); /* as a software device: all but the doorbells is trapped */
int teardown(void **state);

/* The port's bytes are those of packets 0 to count - 1, each 60 + number % 1400 bytes long. */
void check_rx_bytes(uint32_t count);
void check_tx_bytes(uint32_t count);

/* A case that runs with both kinds of device addresses. */
#define BOTH(f)                                                    \
	{ #f " (direct)", f, setup_direct, teardown, NULL },       \
	{                                                          \
#f " (translated)", f, setup_xlate, teardown, NULL \
	}

#endif
