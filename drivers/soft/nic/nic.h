/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the 82574L's model.
 *
 *   nic.c          life, PCI side, reset, turns
 *   nic_reg.c      registers: what is there, what reading and writing does
 *   nic_phy.c      NVM, PHY, link
 *   nic_intr.c     causes and vectors
 *   nic_ring.c     where rings are, memory of the client
 *   nic_rx.c       receiving; nic_filter.c whether and on which queue
 *   nic_tx.c       transmitting; nic_offload.c checksums, VLAN tags, segments
 *   nic_packet.c   headers, checksums
 *
 * Whatever the client writes, to registers, to the shared pages or to descriptors, is input: it is
 * read once into a local variable, checked, and used.
 */
#ifndef NIC_H
#define NIC_H

#include <pollux/vfu.h>
#include <pollux/vfu_config.h>

#include "nic_packet.h"
#include "nic_regs.h"
#include "soft_nic.h"

#define NIC_NAME_MAX 128

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * Addresses of the client that were looked up: pieces of 2 MiB that lie in one map. A buffer
 * elsewhere is looked up each time.
 */
#define NIC_TLB_SHIFT 21
#define NIC_TLB_LINES 64

struct nic_tlb {
	struct {
		uint64_t page;
		uint8_t *base;
	} line[NIC_TLB_LINES];
	unsigned access; /* PLX_DMA_* */
};

/* The registers of a ring, as they lie in a shared page [10.2.5.6ff, 10.2.6.4ff]. */
struct nic_ring_regs {
	uint32_t bal, bah, len, pad0;
	uint32_t head, pad1, tail, pad2;
	uint32_t delay, pad3, dctl, abs_delay;
	uint32_t pad4[4];
	uint32_t tarc; /* transmit only */
};

struct nic_ring {
	volatile struct nic_ring_regs *regs;
	void *desc; /* in the client's memory; NULL: not looked up, or not there */
	uint32_t size, head;
	uint32_t published; /* the head as the driver sees it */
	bool broken;	    /* an error was said; until it is set up anew */
	uint32_t len;
	uint64_t base;
	struct nic_tlb tlb; /* of the buffers */
	char what[4];	    /* "rx0" */
};

struct nic_rxq {
	struct nic_ring ring;
};

/* A packet that was put together, on its way to the cable. */
struct nic_packet_out {
	uint32_t slots;		 /* descriptors that it takes, 0: there is none */
	uint32_t len;		 /* in the queue's buffer */
	struct soft_frame frame; /* all of it, if it is not to be segmented */
	uint32_t header;	 /* of each segment; 0: there is just the frame */
	uint32_t done;		 /* bytes that have gone in segments, the header among them */
	uint64_t popts;
	uint16_t tag;
	bool tagged; /* insert it */
	bool lost;   /* it can't be sent: only its descriptors are completed */
};

/* From a context descriptor [7.2.10.2]. */
struct nic_context {
	uint8_t ipcss, ipcso, tucss, tucso, hdrlen;
	uint16_t ipcse, tucse, mss;
	bool tcp, ipv4;
};

struct nic_txq {
	struct nic_ring ring;
	struct nic_context ctx;
	struct nic_packet_out out;
	uint32_t segments_left;	    /* that may go in this turn */
	uint8_t *frame;		    /* NIC_TX_MAX bytes */
	uint8_t *segment;	    /* SOFT_FRAME_MAX bytes */
	uint8_t *frames, *segments; /* their memory, with headroom for a tag */
};

#define NIC_TX_MAX 0x10100u /* what IP can say, and the header before it */

enum nic_count {
	NIC_NEVER,   /* nothing */
	NIC_RX_SIZE, /* six classes: 64, -127, -255, -511, -1023, more [10.2.7] */
	NIC_TX_SIZE = NIC_RX_SIZE + 6,
	NIC_RX_PACKETS = NIC_TX_SIZE + 6,
	NIC_RX_BYTES,
	NIC_RX_MULTICAST,
	NIC_RX_BROADCAST,
	NIC_RX_LOST, /* were on the wire and reached no buffer: the sum of the three below */
	NIC_RX_LOST_BYTES,
	NIC_RX_MISSED,
	NIC_RX_FILTERED, /* when nobody is listening, counted here only */
	NIC_RX_LONG,
	NIC_RX_XON,
	NIC_RX_XOFF,
	NIC_RX_CONTROL,
	NIC_TX_PACKETS,
	NIC_TX_BYTES,
	NIC_TX_MULTICAST,
	NIC_TX_BROADCAST,
	NIC_TX_CONTEXTS,
	NIC_TX_CONTEXTS_FAILED,
	NIC_INTERRUPTS,
	NIC_COUNTS,
};

#define NIC_STAT_REGS 0x140 /* bytes of them, from E1000_CRCERRS */

struct nic_phy {
	uint16_t reg[32];
	uint16_t page;
	bool link;	   /* negotiated */
	bool link_dropped; /* since MII_STATUS was read */
};

struct soft_nic {
	struct plx_vfu *vfu;
	struct soft_cable *cable;
	/* What of all that makes receiving a matter of copying: see nic_rx_select(). */
	bool rx_on, rx_plain, tx_on, tx_enabled;
	bool drop;
	uint32_t rx_bufsize, rx_plain_max;
	uint32_t icr, ims;

	uint64_t count[NIC_COUNTS];
	uint64_t errors, unknown, clients;

	struct nic_rxq rxq[E1000_QUEUES];
	struct nic_txq txq[E1000_QUEUES];

	/* below: not touched by plain packets */
	uint64_t now, paused; /* when nothing could be received; 0: it can */
	bool overrun;	      /* for so long that frames are dropped */
	bool was_connected;
	struct plx_vfu_config config;
	bool split_said;
	uint8_t *shared; /* the pages at NIC_SHARED */
	uint32_t reg[NIC_REGS_END / 4];
	uint32_t said[E1000_BAR_LEN / 4 / 32]; /* unknown registers that were logged */
	struct {
		uint64_t base; /* the count when it was read last */
		uint32_t high; /* of a pair, latched when the lower half was read */
	} stat[NIC_STAT_REGS / 4];
	struct nic_phy phy;
	uint8_t mac[6];
	uint16_t nvm[NIC_NVM_WORDS];
	uint8_t msix[NIC_MSIX_BAR_LEN];
	struct soft_cable wire; /* the end of a wire that this card's frames come out of */
	char name[NIC_NAME_MAX];
};

static inline uint32_t nic_reg(const struct soft_nic *nic, uint32_t reg)
{
	return nic->reg[reg / 4];
}

/* nic.c */
void nic_reset(struct soft_nic *nic); /* CTRL.RST */
bool nic_may_master(const struct soft_nic *nic);

/* nic_reg.c */
uint32_t nic_reg_read(struct soft_nic *nic, uint32_t offset);
void nic_reg_write(struct soft_nic *nic, uint32_t offset, uint32_t value);
void nic_reg_reset(struct soft_nic *nic);
void nic_stats_reset(struct soft_nic *nic);
void nic_unknown(struct soft_nic *nic, uint32_t offset, size_t len, bool write);

/* nic_phy.c */
void nic_nvm_init(struct soft_nic *nic);
uint32_t nic_nvm_read(const struct soft_nic *nic, uint32_t eerd);
void nic_phy_reset(struct soft_nic *nic);
uint32_t nic_phy_access(struct soft_nic *nic, uint32_t mdic);
bool nic_phy_powered(const struct soft_nic *nic);
void nic_link_update(struct soft_nic *nic);

/* nic_intr.c */
void nic_intr_fire(struct soft_nic *nic, uint32_t causes);
uint32_t nic_icr_read(struct soft_nic *nic);
void nic_ims_set(struct soft_nic *nic, uint32_t causes);

static inline void nic_intr(struct soft_nic *nic, uint32_t causes)
{
	nic->icr |= causes;
	if (unlikely(nic->ims & causes))
		nic_intr_fire(nic, causes);
}

/* nic_ring.c */
void nic_ring_init(struct nic_ring *ring, struct soft_nic *nic, const char *what, unsigned access);
void nic_ring_forget(struct nic_ring *ring); /* addresses are void */
void nic_ring_switch(struct nic_ring *ring, bool on);
bool nic_ring_find(struct soft_nic *nic, struct nic_ring *ring);
void nic_ring_broken(struct soft_nic *nic, struct nic_ring *ring, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint8_t *nic_dma_miss(struct soft_nic *nic, struct nic_tlb *tlb, uint64_t iova, uint32_t len);

/* The client's memory at iova, or NULL: not there in one piece. */
static inline uint8_t *nic_dma(struct soft_nic *nic, struct nic_tlb *tlb, uint64_t iova,
			       uint32_t len)
{
	const uint64_t page = iova >> NIC_TLB_SHIFT;
	const uint32_t offset = iova & ((1u << NIC_TLB_SHIFT) - 1);
	const unsigned line = page % NIC_TLB_LINES;

	if (likely(tlb->line[line].page == page && offset + len <= 1u << NIC_TLB_SHIFT))
		return tlb->line[line].base + offset;
	return nic_dma_miss(nic, tlb, iova, len);
}

/* How many descriptors the driver has handed over, or 0 if the ring is unusable. */
static inline uint32_t nic_ring_filled(struct soft_nic *nic, struct nic_ring *ring)
{
	volatile struct nic_ring_regs *regs = ring->regs;
	/* Descriptors are read after the tail that hands them over. */
	uint32_t tail = __atomic_load_n(&regs->tail, __ATOMIC_ACQUIRE);
	uint64_t base = (uint64_t)regs->bah << 32 | regs->bal;

	if (unlikely(base != ring->base || regs->len != ring->len ||
		     regs->head != ring->published || !ring->desc) &&
	    !nic_ring_find(nic, ring))
		return 0;
	if (unlikely(ring->broken))
		return 0;
	if (unlikely(tail >= ring->size)) {
		nic_ring_broken(nic, ring, "its tail is %u, outside the ring of %u", tail,
				ring->size);
		return 0;
	}
	return tail >= ring->head ? tail - ring->head : tail + ring->size - ring->head;
}

static inline void nic_ring_advance(struct nic_ring *ring, uint32_t slots)
{
	ring->head += slots;
	if (ring->head >= ring->size)
		ring->head -= ring->size;
}

/* Writing the head takes the cache line from the driver, who hardly ever looks: not each time. */
static inline void nic_ring_publish(struct nic_ring *ring)
{
	if (ring->published != ring->head) {
		ring->regs->head = ring->head;
		ring->published = ring->head;
	}
}

/* nic_rx.c, nic_filter.c */
void nic_rx_select(struct soft_nic *nic);
bool nic_filter(const struct soft_nic *nic, const struct soft_frame *frame);
bool nic_filter_vlan(const struct soft_nic *nic, const struct soft_frame *frame);
/* The queue; mrq and hash go to the descriptor. */
unsigned nic_rss(const struct soft_nic *nic, const struct nic_headers *h,
		 const struct soft_frame *frame, uint32_t *mrq, uint32_t *hash);

/* nic_tx.c, nic_offload.c */
int nic_tx_create(struct nic_txq *q); /* -ENOMEM */
void nic_tx_destroy(struct nic_txq *q);
void nic_tx_reset(struct nic_txq *q);
void nic_tx_select(struct soft_nic *nic);
unsigned nic_tx_turn(struct soft_nic *nic, struct nic_txq *q);
void nic_offload_context(struct nic_context *ctx, uint64_t low, uint64_t high);
/* False: the descriptors ask for what can't be done. */
bool nic_offload(struct soft_nic *nic, struct nic_txq *q, uint64_t first, uint64_t last);
void nic_segment(const struct soft_nic *nic, struct nic_txq *q, struct soft_frame *frame);

/* Frames of one direction, for the statistics [10.2.7]. Lengths there have the FCS. */
static inline void nic_count_frames(struct soft_nic *nic, enum nic_count size,
				    enum nic_count packets, const struct soft_frame *frames,
				    unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		const uint32_t len = frames[i].len + 4;
		unsigned class = len <= 64 ? 0 : 31 - __builtin_clz(len) - 5;

		nic->count[size + (class > 5 ? 5 : class)]++;
		if (unlikely(frames[i].data[0] & 1))
			nic->count[packets + (nic_is_broadcast(frames[i].data) ? 3 : 2)]++;
		bytes += len;
	}
	nic->count[packets] += count;
	nic->count[packets + 1] += bytes;
}

_Static_assert(NIC_RX_BYTES == NIC_RX_PACKETS + 1 && NIC_RX_MULTICAST == NIC_RX_PACKETS + 2 &&
		       NIC_RX_BROADCAST == NIC_RX_PACKETS + 3,
	       "as nic_count_frames() counts");
_Static_assert(NIC_TX_BYTES == NIC_TX_PACKETS + 1 && NIC_TX_MULTICAST == NIC_TX_PACKETS + 2 &&
		       NIC_TX_BROADCAST == NIC_TX_PACKETS + 3,
	       "as nic_count_frames() counts");

#endif
