/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a software card can be plugged into, apart from another one: a TAP interface of the kernel,
 * and files in pcap's format. They are made for one card, plugged into it, and outlive it.
 */
#ifndef SOFT_CABLE_H
#define SOFT_CABLE_H

#include "soft_nic.h"

/*
 * The TAP interface of that name, made if it isn't there. Frames that the kernel doesn't take at
 * once are lost, as on any interface that is down or full. What is wrong is said: -EPERM, -EBUSY,
 * -EINVAL (it is something else), ...
 */
int soft_tap_open(struct soft_nic *nic, const char *name, struct soft_cable **cable);
void soft_tap_close(struct soft_cable *cable); /* NULL is fine */

/*
 * Plays a file (NULL: none) to the card loops times (0: for ever), once its driver is receiving,
 * as fast as it has buffers for; records what the card sends to another file (NULL: nowhere). What
 * is wrong is said.
 */
int soft_pcap_open(struct soft_nic *nic, const char *in, unsigned loops, const char *out,
		   struct soft_cable **cable);
int soft_pcap_close(struct soft_cable *cable); /* -EIO: the record isn't complete, which is said */

#endif
