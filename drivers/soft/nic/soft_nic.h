/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A software network card: Intel's 82574L, served on a vfio-user socket, and the cables that it can
 * be plugged into.
 *
 *      client's rings ... soft_nic --- soft_cable: another soft_nic, a TAP interface, pcap files
 *                            |
 *                         plx_vfu
 *
 * Written from "Intel 82574 GbE Controller Family Datasheet" (318694). Not modelled: packet split
 * (PSRCTL), IEEE 1588 time stamps, management and wake-up, the flash and I/O BARs, and the
 * throttling of interrupts; their registers, where drivers expect them, keep what is written.
 *
 * No call sleeps, and all of one card and of the card it is wired to belong to one thread.
 */
#ifndef SOFT_NIC_H
#define SOFT_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOFT_FRAME_MIN 60u   /* without its FCS, like all lengths here */
#define SOFT_FRAME_MAX 9230u /* the longest that the card sends or takes */
#define SOFT_BURST     64u   /* frames handed on at once */

struct soft_frame {
	const uint8_t *data;
	uint32_t len;
};

/* What a card is plugged into. Embedded at the head of each kind. */
struct soft_cable {
	/*
	 * Frames from the card: how many of them it took, the first ones. The rest stays in the
	 * card's ring and is offered again.
	 */
	unsigned (*send)(struct soft_cable *cable, const struct soft_frame *frames, unsigned count);
	/* Hands what has arrived to the card; returns how many frames. NULL: comes by itself. */
	unsigned (*poll)(struct soft_cable *cable);
	bool (*up)(const struct soft_cable *cable); /* whether the other end is there */
	/* Waits for frames to arrive, -1: nothing to wait for. */
	int fd;
};

struct soft_nic;

struct soft_nic_conf {
	const char *path; /* of the socket */
	uint8_t mac[6];
	/*
	 * What to do with a frame when the driver has no buffer for it: drop it, as a card does
	 * without flow control, or keep the sender waiting, as with it; for a second at most.
	 */
	bool drop;
};

/* The errors of plx_vfu_create(), and -ENOMEM; what is wrong has been said. */
int soft_nic_create(const struct soft_nic_conf *conf, struct soft_nic **nic);
void soft_nic_destroy(struct soft_nic *nic); /* NULL is fine */

/* Plugs the cable in; it must outlive the card. */
void soft_nic_plug(struct soft_nic *nic, struct soft_cable *cable);

/* Two cards, back to back. */
void soft_nic_wire(struct soft_nic *a, struct soft_nic *b);

/*
 * Moves frames, a bounded number of them, between rings and cable: the hot path, without system
 * calls unless the cable's. How many.
 */
unsigned soft_nic_turn(struct soft_nic *nic);

/*
 * The rest: requests of the client, the link, the time (CLOCK_MONOTONIC, ns). How many requests, or
 * -errno when the server is broken.
 */
int soft_nic_serve(struct soft_nic *nic, uint64_t now);

int soft_nic_fd(const struct soft_nic *nic); /* readable: there is something to serve */
bool soft_nic_connected(const struct soft_nic *nic);

/*
 * Frames from the cable, SOFT_FRAME_MIN bytes and more: how many were taken or are lost for good,
 * the first ones. The rest is to be offered again.
 */
unsigned soft_nic_receive(struct soft_nic *nic, const struct soft_frame *frames, unsigned count);

/* Whether a driver is receiving. */
bool soft_nic_listening(const struct soft_nic *nic);

/* Since the card was made. */
struct soft_nic_totals {
	uint64_t rx_packets, rx_bytes; /* to the driver */
	uint64_t tx_packets, tx_bytes; /* from the driver */
	uint64_t missed;	       /* frames for which there was no buffer */
	uint64_t filtered;	       /* not for this card's address, or nobody was listening */
	uint64_t errors;  /* frames that were wrong, and queues stopped for a wrong descriptor */
	uint64_t unknown; /* accesses to registers that aren't there */
	uint64_t clients;
};

void soft_nic_totals(const struct soft_nic *nic, struct soft_nic_totals *totals);

#endif
