/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "nvme_fake.h"
#include "sys.h"

#define REGIONS_MAX 256
#define CC_EN	    1u

struct fake fake;

/* Memory that the driver may name to the device. */
static struct region {
	uint64_t dma;
	uint8_t *va;
	size_t len;
	bool frame; /* of fake_buffer() */
} regions[REGIONS_MAX];
static unsigned nregions;

static struct plx_pci_driver *driver;
static struct plx_xlate xlate;
static struct plx_sys sys;

/*
 * The address space.
 */
static void add_region(uint64_t dma, void *va, size_t len, bool frame)
{
	assert_true(nregions < REGIONS_MAX);
	regions[nregions++] = (struct region){ dma, va, len, frame };
}

/* Its own memory, once it is told where among the addresses that is. */
static void *reach_cmb(uint64_t dma, size_t len)
{
	uint64_t base = FAKE_CMB_BAR + 4096, size = fake.conf.cmb * UINT64_C(4096), control;

	memcpy(&control, fake.bar + NVME_CMBMSC, sizeof(control));
	if (!fake.conf.cmb_old)
		base = control & 2 ? control & ~UINT64_C(0xfff) : 0;
	if (!base || dma < base || dma - base >= size || len > size - (dma - base))
		return NULL;
	return fake.cmb + 4096 + (dma - base);
}

/* Where a device address leads, for len bytes in one piece. */
void *fake_reach(uint64_t dma, size_t len)
{
	assert_true(fake.master);
	if (reach_cmb(dma, len))
		return reach_cmb(dma, len);
	for (unsigned i = 0; i < nregions; i++) {
		const struct region *r = &regions[i];

		if (dma >= r->dma && dma - r->dma < r->len && len <= r->len - (dma - r->dma))
			return r->va + (dma - r->dma);
	}
	fail_msg("DMA of %zu bytes at %#llx, which nobody mapped", len, (unsigned long long)dma);
	return NULL;
}

static void set_frame(const void *va, uint64_t delta)
{
	uint64_t f = (uintptr_t)va >> PLX_FRAME_SHIFT;
	uint64_t **leaf = &xlate.leaf[f >> PLX_XLATE_LOW];

	if (!*leaf)
		*leaf = calloc(1u << PLX_XLATE_LOW, sizeof(**leaf));
	(*leaf)[f & ((1u << PLX_XLATE_LOW) - 1)] = delta | 1;
}

/* Fresh addresses on both sides, with a hole after each buffer. */
void *fake_buffer(size_t len)
{
	static uint64_t next_dma = FAKE_BIAS * 2;
	size_t frames = (len + PLX_FRAME_SIZE - 1) / PLX_FRAME_SIZE;
	uint8_t *raw = mmap(NULL, (frames + 1) * PLX_FRAME_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *va = (uint8_t *)(((uintptr_t)raw + PLX_FRAME_SIZE - 1) & ~(PLX_FRAME_SIZE - 1));

	assert_ptr_not_equal(raw, MAP_FAILED);
	if (va != raw)
		munmap(raw, (size_t)(va - raw));
	if (raw + PLX_FRAME_SIZE != va)
		munmap(va + frames * PLX_FRAME_SIZE, (size_t)(raw + PLX_FRAME_SIZE - va));
	for (size_t i = 0; i < frames; i++) {
		size_t place = fake.conf.scattered ? 2 * (frames - 1 - i) : i;
		uint64_t dma =
			next_dma + (fake.conf.torn && i == 1 ? frames : place) * PLX_FRAME_SIZE;
		uint8_t *at = va + i * PLX_FRAME_SIZE;

		set_frame(at, dma - (uintptr_t)at);
		add_region(dma, at, PLX_FRAME_SIZE, true);
	}
	next_dma += (2 * frames + 1) * PLX_FRAME_SIZE;
	return va;
}

static void free_buffers(void)
{
	for (unsigned i = 0; i < nregions; i++) {
		assert_true(regions[i].frame); /* else the driver forgot it */
		munmap(regions[i].va, regions[i].len);
	}
	nregions = 0;
	for (size_t i = 0; i < PLX_XLATE_ROOT; i++) {
		free(xlate.leaf[i]);
		xlate.leaf[i] = NULL;
	}
}

enum plx_addr_policy plx_ioas_policy(const struct plx_ioas *ioas)
{
	(void)ioas;
	return fake.conf.policy;
}

const struct plx_xlate *plx_ioas_xlate(const struct plx_ioas *ioas)
{
	(void)ioas;
	return &xlate;
}

/* Each in frames of its own, so that the driver can look up what it was given. */
int plx_dma_alloc(struct plx_ioas *ioas, size_t len, size_t align, int node, struct plx_dma *dma)
{
	size_t whole = (len + PLX_FRAME_SIZE - 1) & ~(PLX_FRAME_SIZE - 1);

	(void)ioas;
	(void)node;
	*dma = (struct plx_dma){ 0 };
	if (fake.fail_dma && !--fake.fail_dma)
		return -ENOMEM;
	assert_true(len && align && !(align & (align - 1)));
	dma->va = aligned_alloc(PLX_FRAME_SIZE, whole);
	assert_non_null(dma->va);
	memset(dma->va, 0, len);
	dma->dma = (uintptr_t)dma->va + FAKE_BIAS;
	dma->len = len;
	for (size_t at = 0; at < whole; at += PLX_FRAME_SIZE)
		set_frame((uint8_t *)dma->va + at, FAKE_BIAS);
	add_region(dma->dma, dma->va, len, false);
	fake.dmas++;
	return 0;
}

void plx_dma_free(struct plx_ioas *ioas, struct plx_dma *dma)
{
	(void)ioas;
	if (!dma->va)
		return;
	for (unsigned i = 0; i < nregions; i++) {
		if (regions[i].va != dma->va)
			continue;
		regions[i] = regions[--nregions];
		break;
	}
	free(dma->va);
	*dma = (struct plx_dma){ 0 };
	fake.dmas--;
}

/*
 * The bus.
 */
void plx_pci_register(struct plx_pci_driver *d)
{
	driver = d;
}

int plx_pci_bar(struct plx_pci *pci, unsigned index, size_t min_len, struct plx_pci_bar *bar)
{
	size_t len = NVME_DOORBELLS + (size_t)(FAKE_QUEUES + 1) * (8u << fake.conf.dstrd);

	if (index == 2 && fake.conf.cmb) {
		*bar = (struct plx_pci_bar){ .va = fake.cmb,
					     .size = sizeof(fake.cmb),
					     .window = sizeof(fake.cmb),
					     .pci = pci };
		return 0;
	}
	if (index || min_len > len)
		return -EINVAL;
	*bar = (struct plx_pci_bar){ .va = fake.bar, .size = len, .window = len, .pci = pci };
	if (fake.conf.sparse) {
		bar->first = NVME_DOORBELLS;
		bar->window -= NVME_DOORBELLS;
	}
	return 0;
}

uint64_t plx_pci_bar_read(const struct plx_pci_bar *bar, uint64_t offset, size_t len)
{
	assert_int_equal(len, sizeof(uint32_t));
	assert_true(fake.conf.sparse && offset < bar->size);
	return fake_read((uint32_t)offset);
}

void plx_pci_bar_write(const struct plx_pci_bar *bar, uint64_t offset, uint64_t value, size_t len)
{
	assert_true(fake.conf.sparse && offset < bar->size);
	assert_true(len == sizeof(uint32_t) || offset == NVME_CMBMSC);
	memcpy(fake.bar + offset, &value, len);
}

int plx_pci_doorbell(const struct plx_pci_bar *bar, uint64_t offset, volatile void **reg)
{
	if (fake.no_doorbells || offset >= bar->size)
		return -ENODEV;
	*reg = bar->va + offset;
	return 0;
}

bool plx_pci_served(const struct plx_pci *pci)
{
	assert_ptr_equal(pci, &fake.pci);
	return fake.conf.served;
}

uint32_t plx_pci_cfg_read32(struct plx_pci *pci, unsigned offset)
{
	(void)pci;
	assert_true(offset == 0x18 || offset == 0x1c); /* BAR 2, of 64 bits, prefetchable */
	return offset == 0x18 ? (uint32_t)FAKE_CMB_BAR | 0xc : (uint32_t)(FAKE_CMB_BAR >> 32);
}

int plx_pci_set_master(struct plx_pci *pci, bool on)
{
	(void)pci;
	fake.master = on;
	return 0;
}

int plx_pci_irq_enable(struct plx_pci *pci, unsigned count)
{
	(void)pci;
	return !fake.conf.vectors ? -ENODEV : count > fake.conf.vectors ? -ENOSPC : 0;
}

int plx_pci_irq_fd(const struct plx_pci *pci, unsigned vector)
{
	(void)pci;
	return vector < fake.conf.vectors ? fake.eventfd[vector] : -EINVAL;
}

/* What power-on leaves behind. */
static void reset_registers(void)
{
	const struct fake_conf *conf = &fake.conf;

	memset(fake.bar, fake.gone ? 0xff : 0, sizeof(fake.bar));
	memset(fake.q, 0, sizeof(fake.q));
	fake.enabled = false;
	fake.aers = fake.held = fake.held_aborts = 0;
	fake.shadow = fake.event = 0;
	if (fake.gone)
		return;
	fake_write(NVME_CAP, conf->mqes | 1u << 16 | (uint32_t)conf->to << 24);
	fake_write(NVME_CAP + 4, conf->dstrd | 1u << 5 | (uint32_t)conf->mpsmin << 16 |
					 (uint32_t)conf->mpsmax << 20);
	fake_write(NVME_VS, conf->cmb_old || conf->old ? 0x10300 : 0x20000);
	if (!conf->cmb)
		return;
	if (!conf->cmb_old)
		fake_write(NVME_CAP + 4, fake_read(NVME_CAP + 4) | 1u << 25);
	fake_write(NVME_CMBLOC, 1u << 12 | 2);
	fake_write(NVME_CMBSZ, conf->cmb << 12 | (conf->cmb_else ? 0x1e : 1));
	fake_write(NVME_CMBSTS, conf->cmb_picky);
}

int plx_pci_reset(struct plx_pci *pci)
{
	(void)pci;
	fake.pci_resets++;
	fake.stuck = false;
	fake.master = false;
	reset_registers();
	return 0;
}

/*
 * Registers.
 */
uint32_t fake_read(uint32_t reg)
{
	uint32_t value;

	memcpy(&value, fake.bar + reg, sizeof(value));
	return value;
}

void fake_write(uint32_t reg, uint32_t value)
{
	memcpy(fake.bar + reg, &value, sizeof(value));
}

static uint64_t read64(uint32_t reg)
{
	return fake_read(reg) | (uint64_t)fake_read(reg + 4) << 32;
}

size_t fake_page_size(void)
{
	return (size_t)4096 << (fake_read(NVME_CC) >> 7 & 0xf);
}

static uint32_t doorbell(unsigned index)
{
	uint32_t at = index * (4u << fake.conf.dstrd);

	/* The admin queue has no shadow. */
	if (fake.shadow && index > 1)
		return *(uint32_t *)fake_reach(fake.shadow + at, 4);
	return fake_read(NVME_DOORBELLS + at);
}

static void enable(void)
{
	uint32_t aqa = fake_read(NVME_AQA), cc = fake_read(NVME_CC);

	fake.enables++;
	fake.enabled = true;
	assert_int_equal(cc >> 16 & 0xf, 6);
	assert_int_equal(cc >> 20 & 0xf, 4);
	assert_true((cc >> 7 & 0xf) >= fake.conf.mpsmin && (cc >> 7 & 0xf) <= fake.conf.mpsmax);
	assert_int_equal(aqa & 0xffff, aqa >> 16);
	fake.q[0] = (struct fake_queue){ .sq = read64(NVME_ASQ),
					 .cq = read64(NVME_ACQ),
					 .size = (aqa & 0xfff) + 1,
					 .phase = 1,
					 .on = true };
	assert_int_equal(fake.q[0].sq & (fake_page_size() - 1), 0);
	assert_int_equal(fake.q[0].cq & (fake_page_size() - 1), 0);
	if (fake.fatal)
		fake_write(NVME_CSTS, NVME_CSTS_CFS);
	else if (!fake.never_ready)
		fake_write(NVME_CSTS, NVME_CSTS_RDY);
}

static void run_registers(void)
{
	uint32_t cc = fake_read(NVME_CC);

	if (cc & CC_EN && !fake.enabled)
		enable();
	if (!(cc & CC_EN) && fake.enabled && !fake.stuck) {
		fake.disables++;
		reset_registers();
		fake_write(NVME_CC, cc);
	}
	if (fake.enabled && cc & NVME_CC_SHN_MASK &&
	    !(fake_read(NVME_CSTS) & NVME_CSTS_SHST_MASK)) {
		fake.shutdowns++;
		fake_write(NVME_CSTS, fake_read(NVME_CSTS) | NVME_CSTS_SHST_DONE);
	}
}

void fake_post(uint16_t qid, uint16_t cid, uint16_t status, uint32_t result)
{
	struct fake_queue *q = &fake.q[qid];
	struct plx_nvme_cqe *cqe;
	uint64_t one = 1;

	assert_true(q->on);
	cqe = fake_reach(q->cq + q->tail * sizeof(*cqe), sizeof(*cqe));
	*cqe = (struct plx_nvme_cqe){ .result = result,
				      .sq_head = (uint16_t)q->head,
				      .sq_id = qid,
				      .cid = cid,
				      .status = (uint16_t)(status << 1 | q->phase) };
	if (++q->tail == q->size) {
		q->tail = 0;
		q->phase ^= 1;
	}
	/* Entries that the driver hasn't taken must not be written over. */
	assert_int_not_equal(q->tail, doorbell(2u * qid + 1));
	if (q->irq)
		assert_int_equal(write(fake.eventfd[q->vector], &one, sizeof(one)), sizeof(one));
}

static void run_queue(uint16_t qid)
{
	struct fake_queue *q = &fake.q[qid];

	while (q->on && q->head != doorbell(2u * qid)) {
		struct plx_nvme_cmd cmd;

		assert_true(doorbell(2u * qid) < q->size);
		memcpy(&cmd, fake_reach(q->sq + q->head * sizeof(cmd), sizeof(cmd)), sizeof(cmd));
		q->head = q->head + 1 == q->size ? 0 : q->head + 1;
		if (qid)
			fake_io(qid, &cmd);
		else
			fake_admin(&cmd);
	}
}

void fake_run(void)
{
	if (fake.gone) {
		memset(fake.bar, 0xff, sizeof(fake.bar));
		return;
	}
	run_registers();
	for (uint16_t qid = 0; qid <= FAKE_QUEUES && fake.enabled; qid++)
		run_queue(qid);
}

static void sleep_ms(unsigned ms)
{
	(void)ms;
	fake_run();
}

/*
 * Life.
 */
void fake_init(void)
{
	memset(&fake, 0, sizeof(fake));
	sys = plx_sys_kernel;
	sys.sleep_ms = sleep_ms;
	plx_sys = &sys;
	fake.fail_admin = fake.fail_admin_too = 0xff;
	fake.fail_admin_status = PLX_NVME_INTERNAL_ERROR;
	fake.conf = (struct fake_conf){
		.mqes = 255,
		.to = 1,
		.mdts = 5,
		.aerl = 3,
		.acl = 3,
		.queues = FAKE_QUEUES,
		.policy = PLX_ADDR_ALLOC,
		.vectors = FAKE_EVENTFDS,
		.ns = { { .active = true, .lbads = 9, .blocks = FAKE_BLOCKS },
			{ .active = true, .lbads = 12, .blocks = FAKE_BLOCKS } },
	};
	for (unsigned i = 0; i < FAKE_EVENTFDS; i++)
		fake.eventfd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

int fake_try(const char *args)
{
	int err;

	reset_registers();
	if (fake.left_on) {
		fake.enabled = true;
		fake_write(NVME_CC, NVME_CC_EN);
		fake_write(NVME_CSTS, NVME_CSTS_RDY);
	}
	for (unsigned i = 0; i < FAKE_NS_MAX; i++) {
		struct fake_ns *ns = &fake.conf.ns[i];

		ns->data = calloc(ns->blocks + 1, 4096);
		ns->meta = calloc(ns->blocks + 1, ns->ms + 1u);
	}
	fake.pci = (struct plx_pci){
		.name = "0000:01:00.0", .node = -1, .args = args, .ioas = (struct plx_ioas *)&fake
	};
	assert_non_null(driver);
	err = driver->probe(&fake.pci);
	fake.pci.driver = err ? NULL : driver;
	return err;
}

struct plx_nvme_ctrl *fake_plug(const char *args)
{
	assert_int_equal(fake_try(args), 0);
	assert_non_null(plx_nvme_ctrl_get(&fake.pci));
	return plx_nvme_ctrl_get(&fake.pci);
}

unsigned fake_free(const struct plx_nvme_qpair *q)
{
	unsigned count = 0;

	for (const struct plx_nvme_fast_cmd *cmd = q->fast.free; cmd; cmd = cmd->next_free)
		count++;
	return count;
}

void fake_unplug(void)
{
	if (fake.pci.driver)
		driver->remove(&fake.pci);
	fake.pci.driver = NULL;
	assert_false(fake.master);
	assert_int_equal(fake.dmas, 0);
	for (unsigned i = 0; i < FAKE_NS_MAX; i++) {
		free(fake.conf.ns[i].data);
		free(fake.conf.ns[i].meta);
		fake.conf.ns[i].data = fake.conf.ns[i].meta = NULL;
	}
	for (unsigned i = 0; i < FAKE_EVENTFDS; i++) {
		if (fake.eventfd[i] >= 0)
			close(fake.eventfd[i]);
		fake.eventfd[i] = -1;
	}
	free_buffers();
	plx_sys = &plx_sys_kernel;
}
