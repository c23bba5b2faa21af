/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 82574L: one struct e1000 a port, one e1000_rxq or e1000_txq a queue.
 *
 *   e1000.c   probe, what the port can do, start and stop
 *   hw.c      reset and bring-up, NVM, PHY, link
 *   filter.c  addresses, VLANs, RSS
 *   rx.c tx.c the rings and their loops
 *   queue.c   rx_queue.c tx_queue.c what is set up for them
 *   intr.c    MSI-X vectors
 *   stats.c
 */
#ifndef E1000_H
#define E1000_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <rte_io.h>

#include <pollux/ioas.h>
#include <pollux/pci.h>

#include "e1000_regs.h"
#include "ethdev_driver.h"

#define E1000_MIN_DESC	  64
#define E1000_MAX_DESC	  4096
#define E1000_DESC_ALIGN  8	/* a ring's bytes are a multiple of 128 */
#define E1000_MAX_FRAME	  9234u /* with CRC */
#define E1000_MIN_BUFSIZE 256
#define E1000_MAX_SEGS	  40 /* a frame of 9,234 bytes in buffers of 256 */
/* Bytes around the payload at most: Ethernet header and two VLAN tags. */
#define E1000_OVERHEAD (RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN)

/* Slots are refilled, and transmit completions asked for, this many at a time. */
#define E1000_BATCH 32

struct e1000_rxq {
	union e1000_rx_desc *ring;
	struct rte_mbuf **sw; /* the buffer in each slot */
	uint16_t size;
	uint16_t next;	  /* the slot that the device completes next */
	uint16_t hold;	  /* slots before it that have no buffer */
	uint16_t len_max; /* longest data in one buffer that we believe */
	uint64_t rearm;	  /* data_off, refcnt, nb_segs and port of a fresh mbuf */
	volatile void *tail;
	struct rte_mempool *pool;
	const struct plx_xlate *xlate;
	uint64_t packets;

	/*
	 * below: not touched on the hot path of plain single-buffer packets, but for the first two
	 */
	uint64_t bytes;		      /* of the packets handed over, as their pkt_len says */
	bool dropping;		      /* the rest of a frame given up is yet to come */
	struct rte_mbuf *head, *last; /* a frame of which the end hasn't arrived */
	uint16_t frame_max;	      /* longest frame */
	uint8_t crc_len;	      /* bytes of CRC in front of the end, not the application's */
	bool checksum, rss;	      /* tell the application */
	uint64_t errors, nombuf;

	/* below: control path only */
	/* at the last reset of statistics */
	uint64_t packets_base, bytes_base, errors_base, nombuf_base;
	struct e1000 *hw;
	struct plx_dma mem;
	uint16_t index;
} __rte_cache_aligned;

_Static_assert(offsetof(struct e1000_rxq, bytes) == RTE_CACHE_LINE_SIZE,
	       "what a receive burst touches is one cache line and the start of the next");

struct e1000_txq {
	union e1000_tx_desc *ring;
	struct rte_mbuf **sw; /* the segment in each slot; NULL: a context descriptor */
	uint16_t size;
	uint16_t next;	   /* the next slot to fill */
	uint16_t free;	   /* slots to fill before the ring is full */
	uint16_t clean;	   /* the oldest slot in use */
	uint16_t unmarked; /* slots filled since the last one that reports its completion */
	uint16_t batch;	   /* that many call for one that does */
	uint8_t mark_head, mark_tail;
	bool fast_free; /* one mempool, one reference */
	bool holes;	/* there may be NULLs in sw */
	volatile void *tail;
	const struct plx_xlate *xlate;
	uint64_t packets;
	uint64_t bytes; /* of the packets taken, as their pkt_len says */

	/* below: not touched on the hot path of plain single-buffer packets, but for the marks */
	uint64_t ctx[2] __rte_cache_aligned; /* the context that the device has */
	bool ctx_keep;			     /* ... and keeps: nobody else sets it */
	bool vlan_hw;			     /* the device inserts tags */
	uint64_t errors;		     /* counted in packets, too */

	/* below: control path only */
	uint64_t packets_base, bytes_base, errors_base; /* at the last reset of statistics */
	struct e1000 *hw;
	struct plx_dma mem;

	/* slots that report, oldest at mark_head */
	uint16_t marks[UINT8_MAX + 1] __rte_cache_aligned;
} __rte_cache_aligned;

_Static_assert(offsetof(struct e1000_txq, ctx) == RTE_CACHE_LINE_SIZE,
	       "what a transmit burst touches is one cache line");

/* Vectors: one a receive queue, one for all else. */
#define E1000_VECTOR_OTHER E1000_QUEUES
#define E1000_VECTORS	   (E1000_QUEUES + 1)

#define E1000_STATS 64

struct e1000 {
	struct plx_pci *pci;
	struct plx_eth_dev *eth;
	struct plx_pci_bar bar;
	bool vectors; /* MSI-X is there */
	/*
	 * The link is looked at by the interrupt thread, too: what has been seen is published in
	 * that order. CTRL and MDIC have a lock of their own, which is taken inside this one.
	 */
	pthread_mutex_t link_lock;
	bool link_down;	   /* by request */
	bool link_up;	   /* as last seen */
	bool link_changed; /* since the last event, whoever saw it */
	pthread_mutex_t lock;
	uint64_t stats[E1000_STATS];
};

static inline uint32_t e1000_read(const struct e1000 *hw, uint32_t reg)
{
	return plx_pci_read32(&hw->bar, reg);
}

static inline void e1000_write(struct e1000 *hw, uint32_t reg, uint32_t value)
{
	plx_pci_write32(&hw->bar, reg, value);
}

/* Posted writes have reached the device when a read comes back. */
static inline void e1000_flush(const struct e1000 *hw)
{
	e1000_read(hw, E1000_STATUS);
}

/* hw.c */
int e1000_hw_reset(struct e1000 *hw);
void e1000_hw_init(struct e1000 *hw);
int e1000_hw_read_mac(struct e1000 *hw, struct rte_ether_addr *addr);
int e1000_hw_phy_setup(struct e1000 *hw, uint32_t link_speeds);
int e1000_hw_phy_power(struct e1000 *hw, bool on);
void e1000_hw_ctrl(struct e1000 *hw, uint32_t clear, uint32_t set);
bool e1000_hw_present(const struct e1000 *hw);
int e1000_link_update(struct plx_eth_dev *eth);
bool e1000_link_changed(struct e1000 *hw);
int e1000_link_set(struct plx_eth_dev *eth, bool up);

/* filter.c */
void e1000_filter_init(struct e1000 *hw);
void e1000_rss_init(struct e1000 *hw);
int e1000_mac_set(struct plx_eth_dev *eth, unsigned int index);
int e1000_mc_set(struct plx_eth_dev *eth);
int e1000_rx_mode(struct plx_eth_dev *eth);
int e1000_vlan_filter(struct plx_eth_dev *eth, uint16_t id);
int e1000_vlan_offload(struct plx_eth_dev *eth);

/* The flow types that the hardware can hash. */
#define E1000_RSS_TYPES                                                       \
	(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_IPV6 | \
	 RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_IPV6_EX | RTE_ETH_RSS_IPV6_TCP_EX)

/*
 * queue.c: the memory of a queue: a ring of size descriptors and as many slots. dir is for the log:
 * "receive", "transmit".
 */
int e1000_ring_alloc(struct e1000 *hw, const char *dir, uint16_t index, uint16_t size, int node,
		     struct plx_dma *ring, struct rte_mbuf ***slots);
void e1000_ring_free(struct e1000 *hw, struct plx_dma *ring, struct rte_mbuf **slots);

/* Whether device addresses are looked up, or taken as an mbuf has them. */
bool e1000_xlates(const struct e1000 *hw);

/* rx.c */
plx_eth_burst_fn *e1000_rx_burst(bool full, bool xlate);
void e1000_rx_arm_all(struct e1000_rxq *q, bool xlate); /* from q->sw */

/* rx_queue.c */
int e1000_rxq_setup(struct plx_eth_dev *eth, uint16_t index, const struct plx_eth_rxq *conf,
		    void **queue);
void e1000_rxq_release(struct plx_eth_dev *eth, void *queue);
int e1000_rx_start(struct e1000 *hw);
void e1000_rx_enable(struct e1000 *hw);
void e1000_rx_stop(struct e1000 *hw);
/* The receive function that the offloads in force call for. */
void e1000_rx_select(struct e1000 *hw);

/* tx.c */
plx_eth_burst_fn *e1000_tx_burst(bool xlate);
uint16_t e1000_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t count);
void e1000_tx_empty(struct e1000_txq *q); /* sent or not, the packets go back */

/* tx_queue.c */
int e1000_txq_setup(struct plx_eth_dev *eth, uint16_t index, const struct plx_eth_txq *conf,
		    void **queue);
void e1000_txq_release(struct plx_eth_dev *eth, void *queue);
void e1000_tx_start(struct e1000 *hw);
void e1000_tx_enable(struct e1000 *hw);
void e1000_tx_drain(struct e1000 *hw); /* the burst functions are out of use */
void e1000_tx_stop(struct e1000 *hw);

/* intr.c */
void e1000_intr_probe(struct e1000 *hw);
void e1000_events_probe(struct e1000 *hw);
int e1000_intr_start(struct e1000 *hw);
void e1000_intr_stop(struct e1000 *hw);
int e1000_rx_intr(struct plx_eth_dev *eth, uint16_t index, bool on);
int e1000_rx_intr_fd(struct plx_eth_dev *eth, uint16_t index);

/* stats.c */
void e1000_stats_collect(struct e1000 *hw);
void e1000_stats_discard(struct e1000 *hw);
int e1000_stats(struct plx_eth_dev *eth, struct rte_eth_stats *stats);
int e1000_stats_reset(struct plx_eth_dev *eth);
unsigned int e1000_xstats_count(struct plx_eth_dev *eth);
const char *e1000_xstats_name(struct plx_eth_dev *eth, unsigned int index);
int e1000_xstats(struct plx_eth_dev *eth, uint64_t *values);

#endif
