/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab-nic: two network cards on one wire, both of this process. One sends, the other receives, and
 * a case looks at what arrived.
 *
 *   nic.c           start-up, the table of cases
 *   nic_wire.c      ports and frames: what the cases are made of
 *   nic_queues.c    RSS, transmit queues, receive interrupts
 *   nic_offloads.c  checksums, VLAN tags
 *   nic_filters.c   addresses, VLAN ids, MTU
 *   nic_port.c      link, statistics
 *   nic_memory.c    buffers on the card's NUMA node
 *
 * The device is a model of QEMU's: where it differs from the 82574's datasheet, the case says so.
 */
#ifndef LAB_NIC_H
#define LAB_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <pollux/ethdev.h>

#define QUEUES	  2
#define FRAME_MAX 9216
#define ETH_MIN	  60   /* without CRC */
#define PATIENCE  5000 /* ms for what takes less than one */

struct nic {
	uint16_t tx, rx;	   /* the port that sends, the port that receives */
	struct rte_ether_addr mac; /* the receiver's */
	struct rte_mempool *pool;
};

/* A frame without CRC; the second half is told by the port that received it. */
struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t len;

	uint64_t flags; /* RTE_MBUF_F_RX_* */
	uint32_t hash;
	uint16_t tci, segs, queue;
};

/* One line why the case fails. Returns -1. */
int nic_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* In a function that returns 0 or -1: fails the case unless cond. */
#define EXPECT(cond, ...)                             \
	do {                                          \
		if (!(cond))                          \
			return nic_fail(__VA_ARGS__); \
	} while (0)

/* nic_wire.c: 0, or -1 with the reason told, if nothing else is said. */
int nic_configure(const struct nic *nic, uint16_t port, uint16_t queues,
		  const struct rte_eth_conf *conf);
int nic_start(const struct nic *nic); /* both ports; waits for their links */
int nic_stop(const struct nic *nic);
/* Stops, configures with these offloads and one queue, and starts both ports. */
int nic_restart(const struct nic *nic, uint64_t tx_port_rx_offloads, uint64_t rx_offloads);

/* To the receiver's address: UDP or TCP over IPv4, checksums right, numbered by packet_id. */
void frame_make(struct frame *f, const struct nic *nic, uint8_t protocol, uint16_t number,
		uint32_t len);
void frame_sum(struct frame *f); /* the checksums anew; not of tagged frames */
void frame_tag(struct frame *f, uint16_t tci);
struct rte_ether_hdr *frame_eth(struct frame *f);
struct rte_ipv4_hdr *frame_ip(struct frame *f);
struct rte_udp_hdr *frame_udp(struct frame *f);
struct rte_tcp_hdr *frame_tcp(struct frame *f);
rte_be16_t *frame_l4_sum(struct frame *f);		       /* the checksum of either */
bool frame_same(const struct frame *a, const struct frame *b); /* length and bytes */

/* Sends with these RTE_MBUF_F_TX_* flags; tci is for TX_VLAN. */
int nic_send(const struct nic *nic, uint16_t queue, const struct frame *f, uint64_t flags,
	     uint16_t tci);
int nic_receive(const struct nic *nic, uint16_t queues, struct frame *f);

/*
 * Sends a frame, then one that always gets in, so that nobody has to wait for what doesn't come.
 * 1: it arrived, 0: it didn't, -1. One receive queue.
 */
int nic_passes(const struct nic *nic, const struct frame *f, struct frame *got);
/* ... and fails the case if that isn't as wanted. */
int nic_expect(const struct nic *nic, const struct frame *f, bool wanted, const char *what);

/* A statistic by name. */
int nic_xstat(uint16_t port, const char *name, uint64_t *value);

/* The cases. */
int case_rss(struct nic *nic);
int case_tx_queues(struct nic *nic);
int case_rx_interrupt(struct nic *nic);
int case_tx_checksum(struct nic *nic);
int case_rx_checksum(struct nic *nic);
int case_vlan_insert(struct nic *nic);
int case_vlan_strip(struct nic *nic);
int case_vlan_filter(struct nic *nic);
int case_unicast(struct nic *nic);
int case_multicast(struct nic *nic);
int case_addresses(struct nic *nic);
int case_mtu(struct nic *nic);
int case_jumbo(struct nic *nic);
int case_link(struct nic *nic);
int case_statistics(struct nic *nic);
int case_nodes(struct nic *nic);

#endif
