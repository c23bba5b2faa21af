/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <linux/vfio.h>
#include <pollux/log.h>
#include <pollux/vfu.h>

#include "soft_fake.h"

#define MAPS	   64
#define IRQS	   8
#define BUSY	   1000 /* turns that any test needs at most */
#define RX_RING(q) (UINT64_C(0x10000000) + 0x100000 * (q))
#define TX_RING(q) (UINT64_C(0x20000000) + 0x100000 * (q))
#define RX_BUFS(q) (UINT64_C(0x30000000) + 0x100000 * (q))
#define TX_BUFS	   UINT64_C(0x40000000)

struct plx_vfu {
	const struct plx_vfu_ops *ops;
	void *model;
	uint8_t *bar0;
	struct {
		uint64_t iova;
		size_t len;
		unsigned access;
		uint8_t *mem;
	} map[MAPS];
	bool armed[PLX_VFU_IRQS], connected;
	unsigned raised[PLX_VFU_IRQS][IRQS];
};

static struct plx_vfu server[2];
static unsigned servers;
static char said[4096];
static unsigned lines;

struct soft_nic *fake_nic[2];
struct fake_sent fake_sent[256];
unsigned fake_sent_count, fake_cable_room;
static uint32_t tx_next[2];

/*
 * The server's interface.
 */
int plx_vfu_create(const struct plx_vfu_desc *desc, void *model, const char *path,
		   struct plx_vfu **vfu)
{
	struct plx_vfu *s = &server[servers++];

	(void)path;
	memset(s, 0, sizeof(*s));
	s->ops = desc->ops;
	s->model = model;
	s->bar0 = mmap(NULL, desc->region[VFIO_PCI_BAR0_REGION_INDEX].size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(s->bar0, MAP_FAILED);
	s->connected = true;
	*vfu = s;
	return 0;
}

void plx_vfu_destroy(struct plx_vfu *vfu)
{
	for (unsigned i = 0; i < MAPS; i++)
		free(vfu->map[i].mem);
	munmap(vfu->bar0, E1000_BAR_LEN);
}

int plx_vfu_fd(const struct plx_vfu *vfu)
{
	(void)vfu;
	return -1;
}

bool fake_hushed;

bool plx_vfu_may_say(struct plx_vfu *vfu)
{
	(void)vfu;
	return !fake_hushed;
}

int plx_vfu_poll(struct plx_vfu *vfu)
{
	(void)vfu;
	return 0;
}

bool plx_vfu_connected(const struct plx_vfu *vfu)
{
	return vfu->connected;
}

void *plx_vfu_region_mem(struct plx_vfu *vfu, unsigned region)
{
	assert_int_equal(region, VFIO_PCI_BAR0_REGION_INDEX);
	return vfu->bar0;
}

void *plx_vfu_dma(struct plx_vfu *vfu, uint64_t iova, size_t len, unsigned access)
{
	for (unsigned i = 0; i < MAPS; i++) {
		const uint64_t from = iova - vfu->map[i].iova;

		if (vfu->map[i].mem && from < vfu->map[i].len && len <= vfu->map[i].len - from &&
		    (access & vfu->map[i].access) == access)
			return vfu->map[i].mem + from;
	}
	return NULL;
}

int plx_vfu_dma_read(struct plx_vfu *vfu, uint64_t iova, void *buf, size_t len)
{
	const void *from = plx_vfu_dma(vfu, iova, len, PLX_DMA_READ);

	if (!from)
		return -EFAULT;
	memcpy(buf, from, len);
	return 0;
}

int plx_vfu_dma_write(struct plx_vfu *vfu, uint64_t iova, const void *buf, size_t len)
{
	void *to = plx_vfu_dma(vfu, iova, len, PLX_DMA_WRITE);

	if (!to)
		return -EFAULT;
	memcpy(to, buf, len);
	return 0;
}

void plx_vfu_irq(struct plx_vfu *vfu, unsigned index, unsigned vector)
{
	assert_true(index < PLX_VFU_IRQS && vector < IRQS);
	vfu->raised[index][vector]++;
}

bool plx_vfu_irq_armed(const struct plx_vfu *vfu, unsigned index, unsigned vector)
{
	(void)vector;
	return vfu->armed[index];
}

/*
 * The client.
 */
int fake_access(unsigned card, unsigned region, uint64_t offset, void *buf, size_t len, bool write)
{
	return server[card].ops->access(server[card].model, region, offset, buf, len, write);
}

uint32_t fake_reg(unsigned card, uint32_t offset)
{
	uint32_t value;

	assert_int_equal(fake_access(card, 0, offset, &value, 4, false), 0);
	return value;
}

void fake_reg_set(unsigned card, uint32_t offset, uint32_t value)
{
	assert_int_equal(fake_access(card, 0, offset, &value, 4, true), 0);
}

void *fake_map(unsigned card, uint64_t iova, size_t len, unsigned access)
{
	struct plx_vfu *s = &server[card];

	for (unsigned i = 0; i < MAPS; i++) {
		if (s->map[i].mem)
			continue;
		s->map[i].iova = iova;
		s->map[i].len = len;
		s->map[i].access = access;
		s->map[i].mem = calloc(1, len);
		assert_non_null(s->map[i].mem);
		return s->map[i].mem;
	}
	fail_msg("too many maps");
	return NULL;
}

void fake_unmap(unsigned card, uint64_t iova)
{
	struct plx_vfu *s = &server[card];

	for (unsigned i = 0; i < MAPS; i++) {
		if (!s->map[i].mem || s->map[i].iova != iova)
			continue;
		free(s->map[i].mem);
		s->map[i].mem = NULL;
		s->ops->dma_changed(s->model);
		return;
	}
	fail_msg("no such map");
}

void fake_arm(unsigned card, unsigned index, bool armed)
{
	server[card].armed[index] = armed;
}

unsigned fake_irqs(unsigned card, unsigned index, unsigned vector)
{
	const unsigned raised = server[card].raised[index][vector];

	server[card].raised[index][vector] = 0;
	return raised;
}

void fake_leave(unsigned card)
{
	struct plx_vfu *s = &server[card];

	s->connected = false;
	for (unsigned i = 0; i < MAPS; i++) {
		free(s->map[i].mem);
		s->map[i].mem = NULL;
	}
	s->ops->dma_changed(s->model);
	s->ops->reset(s->model, PLX_VFU_RESET_GONE);
}

/*
 * The log, the cable.
 */
static void sink(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	if (level > PLX_LOG_WARN)
		return;
	lines++;
	strncat(said, line, sizeof(said) - 1 - strlen(said));
}

const char *fake_said(unsigned *count)
{
	static char taken[sizeof(said)];

	memcpy(taken, said, sizeof(said));
	said[0] = '\0';
	if (count)
		*count = lines;
	lines = 0;
	return taken;
}

static unsigned cable_send(struct soft_cable *cable, const struct soft_frame *frames,
			   unsigned count)
{
	unsigned n;

	(void)cable;
	for (n = 0; n < count && fake_cable_room; n++) {
		struct fake_sent *sent = &fake_sent[fake_sent_count++ % 256];

		assert_in_range(frames[n].len, SOFT_FRAME_MIN, SOFT_FRAME_MAX);
		memcpy(sent->data, frames[n].data, frames[n].len);
		sent->len = frames[n].len;
		fake_cable_room--;
	}
	return n;
}

static bool cable_up(const struct soft_cable *cable)
{
	(void)cable;
	return true;
}

static struct soft_cable cable = { .send = cable_send, .up = cable_up, .fd = -1 };

static void make(unsigned card, bool drop)
{
	struct soft_nic_conf conf = { .path = "card", .drop = drop };
	const uint8_t mac[] = { 2, 0, 0, 0, 0, (uint8_t)card };

	memcpy(conf.mac, mac, sizeof(mac));
	assert_int_equal(soft_nic_create(&conf, &fake_nic[card]), 0);
	tx_next[card] = 0;
}

void fake_pair(bool drop)
{
	plx_log_set_sink(sink, NULL);
	servers = 0;
	make(0, drop);
	make(1, drop);
	soft_nic_wire(fake_nic[0], fake_nic[1]);
}

void fake_single(void)
{
	plx_log_set_sink(sink, NULL);
	servers = 0;
	make(0, false);
	fake_nic[1] = NULL;
	soft_nic_plug(fake_nic[0], &cable);
	fake_sent_count = 0;
	fake_cable_room = UINT32_MAX;
}

void fake_end(void)
{
	fake_hushed = false;
	soft_nic_destroy(fake_nic[0]);
	soft_nic_destroy(fake_nic[1]);
	fake_said(NULL);
	plx_log_set_sink(NULL, NULL);
}

/*
 * The driver.
 */
static void *at(unsigned card, uint64_t iova)
{
	void *mem = plx_vfu_dma(&server[card], iova, 1, 0);

	assert_non_null(mem);
	return mem;
}

union e1000_rx_desc *fake_rx_ring(unsigned card, unsigned q)
{
	return at(card, RX_RING(q));
}

union e1000_tx_desc *fake_tx_ring(unsigned card, unsigned q)
{
	return at(card, TX_RING(q));
}

uint8_t *fake_rx_buf(unsigned card, unsigned q, unsigned i)
{
	return (uint8_t *)at(card, RX_BUFS(q)) + i * FAKE_BUF;
}

uint8_t *fake_tx_buf(unsigned card, unsigned i)
{
	return (uint8_t *)at(card, TX_BUFS) + i * FAKE_BUF;
}

uint64_t fake_tx_addr(unsigned card, unsigned i)
{
	(void)card;
	return TX_BUFS + i * FAKE_BUF;
}

void fake_rx_arm(unsigned card, unsigned q, uint32_t tail)
{
	union e1000_rx_desc *ring = fake_rx_ring(card, q);

	for (unsigned i = 0; i < FAKE_RING; i++) {
		ring[i].word[0] = RX_BUFS(q) + i * FAKE_BUF;
		ring[i].word[1] = 0;
	}
	fake_reg_set(card, E1000_RDT(q), tail);
}

void fake_start(unsigned card, uint32_t rctl)
{
	uint16_t command = 6; /* memory, bus master */

	assert_int_equal(fake_access(card, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2, true), 0);
	fake_map(card, TX_BUFS, FAKE_RING * FAKE_BUF, PLX_DMA_READ);
	for (unsigned q = 0; q < 2; q++) {
		fake_map(card, RX_RING(q), FAKE_RING * 16, PLX_DMA_RW);
		fake_map(card, TX_RING(q), FAKE_RING * 16, PLX_DMA_RW);
		fake_map(card, RX_BUFS(q), FAKE_RING * FAKE_BUF, PLX_DMA_WRITE);
		fake_reg_set(card, E1000_RDBAL(q), RX_RING(q));
		fake_reg_set(card, E1000_RDLEN(q), FAKE_RING * 16);
		fake_reg_set(card, E1000_TDBAL(q), TX_RING(q));
		fake_reg_set(card, E1000_TDLEN(q), FAKE_RING * 16);
	}
	fake_reg_set(card, E1000_RFCTL, E1000_RFCTL_EXSTEN);
	fake_reg_set(card, E1000_RXCSUM, E1000_RXCSUM_PCSD);
	fake_reg_set(card, E1000_RCTL, rctl | E1000_RCTL_EN | E1000_RCTL_SECRC | E1000_RCTL_BAM);
	fake_reg_set(card, E1000_TCTL, E1000_TCTL_EN | E1000_TCTL_PSP);
	for (unsigned q = 0; q < 2; q++)
		fake_rx_arm(card, q, FAKE_RING - 1);
	assert_int_equal(soft_nic_serve(fake_nic[card], 1), 0);
}

uint32_t fake_tx(unsigned card, uint64_t word0, uint64_t word1)
{
	const uint32_t slot = tx_next[card];
	union e1000_tx_desc *desc = &fake_tx_ring(card, 0)[slot];

	desc->word[0] = word0;
	desc->word[1] = word1;
	tx_next[card] = (slot + 1) % FAKE_RING;
	return slot;
}

void fake_tx_tail(unsigned card)
{
	fake_reg_set(card, E1000_TDT(0), tx_next[card]);
}

void fake_send(unsigned card, unsigned i, const void *frame, uint32_t len)
{
	memcpy(fake_tx_buf(card, i), frame, len);
	fake_tx(card, fake_tx_addr(card, i), len | E1000_TXD_EOP | E1000_TXD_IFCS | E1000_TXD_RS);
	fake_tx_tail(card);
}

void fake_turn(void)
{
	unsigned turns = 0, moved;

	do {
		moved = soft_nic_turn(fake_nic[0]);
		if (fake_nic[1])
			moved += soft_nic_turn(fake_nic[1]);
		assert_true(turns++ < BUSY);
	} while (moved);
}
