/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --pcap: what is sent (by rxonly: received) goes to a file, in the order of sending. Only the
 * captured variants of the engines call these, so nothing is paid for it otherwise.
 */
#ifndef TESTPMD_CAPTURE_H
#define TESTPMD_CAPTURE_H

#include <stdint.h>

struct rte_mbuf;

/* Makes the file. Once a process. -errno with the reason logged. */
int capture_open(const char *path);

/* Holds packets, so that they can be written when it is known which ones were sent. */
void capture_hold(struct rte_mbuf **pkts, uint16_t count);

/* Writes the first sent of count packets that were held, and lets go of all. Any thread. */
void capture_write(struct rte_mbuf **pkts, uint16_t sent, uint16_t count);

/* Completes the file. -EIO, logged, if not all of it could be written; 0 if there is none. */
int capture_close(void);

#endif
