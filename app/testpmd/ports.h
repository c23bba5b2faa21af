/* SPDX-License-Identifier: BSD-3-Clause */
/* The ports in use: set up, started, watched, stopped. */
#ifndef TESTPMD_PORTS_H
#define TESTPMD_PORTS_H

#include <stdint.h>

#include <pollux/ethdev.h>
#include <pollux/log.h>
#include <pollux/pci.h>

#include "options.h"

struct port {
	uint16_t id;
	char name[RTE_ETH_NAME_MAX_LEN];
	const char
		*access_mode; /* "cdev", "type1v2", ...; "-" if it isn't a claimed PCI function */
	struct rte_ether_addr mac;
	struct rte_eth_link link; /* when forwarding began */
	int node;
	uint16_t rxd, txd;
	uint16_t mtu;
	struct rte_mempool *pool;    /* receives into it, packets made for it come from it */
	struct rte_eth_stats before; /* when forwarding began */

	bool going;		     /* atomic: the device is gone, or asked back */
	bool away;		     /* closed until the device is back */
	unsigned removals;	     /* how often it was taken away */
	struct plx_log_rounds tries; /* to take it back */
	struct rte_eth_stats kept;   /* what it had counted then */
};

struct ports {
	unsigned count;
	bool one_pool; /* for all of them */
	struct port port[PLX_MAX_ETHPORTS];
};

/*
 * Sets up and starts the ports that --portmask leaves. Returns 0, -ENODEV if there is none, or
 * -errno; the reason is logged. On failure nothing is left open.
 */
int ports_open(struct ports *ports, struct plx_pci_bus *bus, const struct options *opts);
void ports_close(struct ports *ports);

/*
 * Stops and closes one port, which no stream uses, and keeps what it counted; sets it up as it was
 * and starts it, when its device has been taken back. 0 or -errno, logged.
 */
void port_leave(struct port *port);
int port_return(struct port *port, const struct ports *ports, struct plx_pci_bus *bus,
		const struct options *opts);

/* Whether a port is missing. Logged, a line for each. */
bool ports_missing(const struct ports *ports);

/* Waits up to 9 s for links, then looks at each. */
void ports_wait_for_links(struct ports *ports, const struct options *opts);

/* Throws away what was received before forwarding begins. */
void ports_flush(const struct ports *ports, const struct options *opts);

/* Notes the counters that the report will count from. */
void ports_mark(struct ports *ports);

/* Gives the devices up to 100 ms to send what the queues took since ports_mark(). */
void ports_settle(const struct ports *ports, const uint64_t *sent);

/* The counters since ports_mark(). A port that doesn't answer counts no more than it had. */
void port_stats(const struct port *port, struct rte_eth_stats *stats);

/* NULL if it isn't in use. */
const struct port *ports_find(const struct ports *ports, uint16_t id);

#endif
