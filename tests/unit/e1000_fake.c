/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_mempool.h>

#include "e1000_fake.h"

struct fake fake;

static struct plx_pci_driver *driver;
static struct plx_xlate xlate;
static pthread_t device_thread;
static volatile bool device_on;

uint32_t fake_read(uint32_t reg)
{
	return __atomic_load_n((uint32_t *)(fake.bar + reg), __ATOMIC_SEQ_CST);
}

void fake_write(uint32_t reg, uint32_t value)
{
	__atomic_store_n((uint32_t *)(fake.bar + reg), value, __ATOMIC_SEQ_CST);
}

/* Sends the next descriptor of each ring, as long as the driver lets it. */
static void send_some(void)
{
	for (unsigned int q = 0; q < FAKE_QUEUES; q++) {
		uint32_t head = fake_read(E1000_TDH(q)) + 1;

		if (head - 1 == fake_read(E1000_TDT(q)) || !(fake_read(E1000_TCTL) & E1000_TCTL_EN))
			continue;
		if (head * sizeof(union e1000_tx_desc) == fake_read(E1000_TDLEN(q)))
			head = 0;
		fake_write(E1000_TDH(q), head);
	}
}

/* Answers what the driver waits for during bring-up. */
static void *device_main(void *arg)
{
	while (device_on) {
		uint32_t v = fake_read(E1000_CTRL);

		if (v & E1000_CTRL_RST) {
			/* A reset that may cut a request in two. */
			if (fake_read(E1000_STATUS) & E1000_STATUS_GIO_MASTER_ENABLE)
				fake.rude_resets++;
			for (uint32_t reg = E1000_CRCERRS; reg <= E1000_IAC; reg += 4)
				fake_write(reg, 0);
			fake_write(E1000_CTRL, v & ~E1000_CTRL_RST);
		}
		if (v & E1000_CTRL_GIO_MASTER_DISABLE)
			__atomic_and_fetch((uint32_t *)(fake.bar + E1000_STATUS),
					   ~E1000_STATUS_GIO_MASTER_ENABLE, __ATOMIC_SEQ_CST);
		else
			__atomic_or_fetch((uint32_t *)(fake.bar + E1000_STATUS),
					  E1000_STATUS_GIO_MASTER_ENABLE, __ATOMIC_SEQ_CST);
		v = fake_read(E1000_MDIC);
		if (v && !(v & E1000_MDIC_READY)) {
			unsigned int reg = v >> E1000_MDIC_REG_SHIFT & 0x1f;

			if (v & E1000_MDIC_OP_WRITE)
				fake.phy[reg] = v;
			fake_write(E1000_MDIC, (v & ~0xffffu) | fake.phy[reg] | E1000_MDIC_READY);
		}
		v = fake_read(E1000_EERD);
		if (v & E1000_EERD_START && !(v & E1000_EERD_DONE))
			fake_write(E1000_EERD, 0x3202u << E1000_EERD_DATA_SHIFT | E1000_EERD_DONE);
		if (fake.sends)
			send_some();
		usleep(20);
	}
	return arg;
}

int fake_eal(void)
{
	char *argv[] = { (char *)"test",
			 (char *)"--no-huge",
			 (char *)"--no-pci",
			 (char *)"-m",
			 (char *)"64",
			 (char *)"-l",
			 (char *)"0",
			 (char *)"--no-telemetry",
			 (char *)"--log-level=error",
			 (char *)"--iova-mode=va",
			 (char *)"--no-shconf" };
	static int done = -1;

	if (done < 0)
		done = rte_eal_init(RTE_DIM(argv), argv);
	return done;
}

uint16_t fake_plug(enum plx_addr_policy policy, bool vectors)
{
	bool sparse = fake.sparse;
	uint16_t port;

	memset(&fake, 0, sizeof(fake));
	fake.sparse = sparse;
	memset(&xlate, 0, sizeof(xlate));
	fake.policy = policy;
	fake.bias = policy == PLX_ADDR_ALLOC ? UINT64_C(0x10000000000) : 0;
	fake.pci = (struct plx_pci){
		.name = "0000:01:00.0", .node = -1, .args = "", .ioas = (struct plx_ioas *)&fake
	};
	for (int i = 0; i < 4; i++)
		fake.eventfd[i] = vectors ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
	fake.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fake_write(E1000_STATUS, E1000_STATUS_LU | E1000_STATUS_FD |
					 E1000_STATUS_GIO_MASTER_ENABLE |
					 2 << E1000_STATUS_SPEED_SHIFT);
	fake_write(E1000_EEC, E1000_EEC_AUTO_RD);
	fake_write(E1000_PBA, 0x00140014);
	fake_write(E1000_RAL(0), 0x12005452);
	fake_write(E1000_RAH(0), 0x5634 | E1000_RAH_AV);
	fake.phy[MII_CONTROL] = MII_CONTROL_ANENABLE;
	fake.phy[MII_ADVERTISE] = 0xde1;
	fake.phy[MII_PARTNER] = 0x7e0;
	fake.phy[MII_1000T_CONTROL] = MII_1000T_HD | MII_1000T_FD;
	device_on = true;
	assert_int_equal(pthread_create(&device_thread, NULL, device_main, NULL), 0);
	assert_non_null(driver);
	assert_int_equal(driver->probe(&fake.pci), 0);
	assert_int_equal(plx_eth_dev_get_port_by_name("0000:01:00.0", &port), 0);
	return port;
}

void fake_unplug(void)
{
	driver->remove(&fake.pci);
	device_on = false;
	pthread_join(device_thread, NULL);
	for (int i = 0; i < 4; i++) {
		if (fake.eventfd[i] >= 0)
			close(fake.eventfd[i]);
	}
	close(fake.event_fd);
	for (size_t i = 0; i < RTE_DIM(xlate.leaf); i++) {
		free(xlate.leaf[i]);
		xlate.leaf[i] = NULL;
	}
	assert_int_equal(plx_eth_dev_count_avail(), 0);
	assert_null(fake.pci.priv);
	assert_int_equal(fake.dmas, 0);
	assert_int_equal(fake.rude_resets, 0);
	assert_false(fake.master);
}

void fake_rings_reset(void)
{
	memset(fake.rx_head, 0, sizeof(fake.rx_head));
	memset(fake.tx_head, 0, sizeof(fake.tx_head));
}

static void map_chunk(struct rte_mempool *pool, void *arg, struct rte_mempool_memhdr *mem,
		      unsigned int index)
{
	uint64_t first = (uintptr_t)mem->addr >> PLX_FRAME_SHIFT;
	uint64_t last = ((uintptr_t)mem->addr + mem->len - 1) >> PLX_FRAME_SHIFT;

	(void)pool;
	(void)index;
	for (uint64_t f = first; f <= last; f++) {
		uint64_t **leaf = &xlate.leaf[f >> PLX_XLATE_LOW];

		if (!*leaf)
			*leaf = calloc(1u << PLX_XLATE_LOW, sizeof(**leaf));
		(*leaf)[f & ((1u << PLX_XLATE_LOW) - 1)] = *(bool *)arg ? fake.bias | 1 : 0;
	}
}

void fake_map(struct rte_mempool *pool, bool on)
{
	rte_mempool_mem_iter(pool, map_chunk, &on);
}

/* Where a device address leads; only what the driver was given or has translated may be there. */
static void *reach(uint64_t dma)
{
	return (void *)(uintptr_t)(dma - fake.bias);
}

static uint64_t ring_base(uint32_t low, uint32_t high)
{
	return fake_read(low) | (uint64_t)fake_read(high) << 32;
}

union e1000_rx_desc *fake_rx_desc(unsigned int q, unsigned int slot)
{
	return (union e1000_rx_desc *)reach(ring_base(E1000_RDBAL(q), E1000_RDBAH(q))) + slot;
}

bool fake_receive(unsigned int q, const struct fake_rx *rx)
{
	union e1000_rx_desc *desc = fake_rx_desc(q, fake.rx_head[q]), wb = { 0 };

	assert_true(fake.master);
	assert_true(fake_read(E1000_RCTL) & E1000_RCTL_EN);
	if (fake.rx_head[q] == fake_read(E1000_RDT(q)))
		return false;
	assert_int_equal(desc->read.zero, 0);
	if (rx->data)
		memcpy(reach(desc->read.addr), rx->data, rx->data_len);
	wb.wb.mrq = rx->mrq;
	wb.wb.rss = rx->rss;
	wb.wb.length = rx->length;
	wb.wb.vlan = rx->vlan;
	wb.wb.status = rx->status | E1000_RXD_DD;
	*desc = wb;
	fake.rx_head[q]++;
	if (fake.rx_head[q] * sizeof(*desc) == fake_read(E1000_RDLEN(q)))
		fake.rx_head[q] = 0;
	return true;
}

bool fake_transmit(unsigned int q, struct fake_tx *tx)
{
	union e1000_tx_desc *desc = reach(ring_base(E1000_TDBAL(q), E1000_TDBAH(q)));

	assert_true(fake.master);
	assert_true(fake_read(E1000_TCTL) & E1000_TCTL_EN);
	if (fake.tx_head[q] == fake_read(E1000_TDT(q)))
		return false;
	desc += fake.tx_head[q];
	tx->word[0] = desc->word[0];
	tx->word[1] = desc->word[1];
	tx->cmd = desc->data.cmd;
	tx->status = desc->data.status;
	tx->len = desc->data.cmd;
	tx->data = reach(desc->data.addr);
	if (desc->data.cmd & E1000_TXD_DEXT && !(desc->data.cmd & E1000_TXD_DTYP_D))
		tx->data = NULL;
	if (desc->data.cmd & E1000_TXD_RS)
		desc->data.status |= E1000_TXD_DD;
	fake.tx_head[q]++;
	if (fake.tx_head[q] * sizeof(*desc) == fake_read(E1000_TDLEN(q)))
		fake.tx_head[q] = 0;
	fake_write(E1000_TDH(q), fake.tx_head[q]);
	return true;
}

/*
 * The bus and the address space.
 */
void plx_pci_register(struct plx_pci_driver *d)
{
	driver = d;
}

int plx_pci_bar(struct plx_pci *pci, unsigned index, size_t min_len, struct plx_pci_bar *bar)
{
	if (index || min_len > sizeof(fake.bar))
		return -EINVAL;
	*bar = (struct plx_pci_bar){ .va = fake.bar, .size = sizeof(fake.bar), .pci = pci };
	bar->first = fake.sparse ? FAKE_DOORBELLS : 0;
	bar->window = fake.sparse ? FAKE_DOORBELLS_LEN : sizeof(fake.bar);
	return 0;
}

uint64_t plx_pci_bar_read(const struct plx_pci_bar *bar, uint64_t offset, size_t len)
{
	(void)bar;
	assert_int_equal(len, sizeof(uint32_t));
	fake.trapped++;
	return fake.gone ? UINT32_MAX : fake_read(offset);
}

void plx_pci_bar_write(const struct plx_pci_bar *bar, uint64_t offset, uint64_t value, size_t len)
{
	(void)bar;
	assert_int_equal(len, sizeof(uint32_t));
	fake.trapped++;
	if (!fake.gone)
		fake_write(offset, value);
}

int plx_pci_doorbell(const struct plx_pci_bar *bar, uint64_t offset, volatile void **reg)
{
	if (fake.fail_doorbell || offset - bar->first >= bar->window)
		return -ENODEV;
	*reg = bar->va + offset;
	return 0;
}

int plx_pci_set_master(struct plx_pci *pci, bool on)
{
	(void)pci;
	if (on && fake.fail_master)
		return fake.fail_master;
	fake.master = on;
	return 0;
}

int plx_pci_irq_enable(struct plx_pci *pci, unsigned count)
{
	(void)pci;
	return fake.eventfd[0] < 0 ? -ENODEV : count > 4 ? -ENOSPC : 0;
}

void plx_pci_irq_disable(struct plx_pci *pci)
{
	(void)pci;
}

int plx_pci_irq_fd(const struct plx_pci *pci, unsigned vector)
{
	(void)pci;
	return vector < 4 ? fake.eventfd[vector] : -EINVAL;
}

int plx_pci_event_fd(const struct plx_pci *pci)
{
	(void)pci;
	return fake.event_fd;
}

/* As the bus: what is for good stays readable. */
enum plx_vfio_event plx_pci_event(struct plx_pci *pci)
{
	uint64_t count;

	(void)pci;
	__atomic_add_fetch(&fake.event_asks, 1, __ATOMIC_SEQ_CST);
	if (fake.event != PLX_VFIO_EVENT_GONE &&
	    read(fake.event_fd, &count, sizeof(count)) != sizeof(count))
		return PLX_VFIO_EVENT_NONE;
	return fake.event;
}

int plx_pci_reset(struct plx_pci *pci)
{
	(void)pci;
	fake.master = false;
	return 0;
}

enum plx_addr_policy plx_ioas_policy(const struct plx_ioas *ioas)
{
	(void)ioas;
	return fake.policy;
}

const struct plx_xlate *plx_ioas_xlate(const struct plx_ioas *ioas)
{
	(void)ioas;
	return &xlate;
}

int plx_dma_alloc(struct plx_ioas *ioas, size_t len, size_t align, int node, struct plx_dma *dma)
{
	(void)ioas;
	(void)node;
	if (fake.fail_dma && !--fake.fail_dma)
		return -ENOMEM;
	dma->va = aligned_alloc(align, RTE_ALIGN_CEIL(len, align));
	memset(dma->va, 0, len);
	dma->dma = (uintptr_t)dma->va + fake.bias;
	dma->len = len;
	fake.dmas++;
	return 0;
}

void plx_dma_free(struct plx_ioas *ioas, struct plx_dma *dma)
{
	(void)ioas;
	if (!dma->va)
		return;
	free(dma->va);
	memset(dma, 0, sizeof(*dma));
	fake.dmas--;
}
