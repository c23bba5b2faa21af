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

#define REGIONS_MAX  256
#define SEGMENTS_MAX 8192
#define CC_EN	     1u

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
static void *reach(uint64_t dma, size_t len)
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
	fake.aers = fake.held = 0;
	fake.shadow = fake.event = 0;
	if (fake.gone)
		return;
	fake_write(NVME_CAP, conf->mqes | 1u << 16 | (uint32_t)conf->to << 24);
	fake_write(NVME_CAP + 4, conf->dstrd | 1u << 5 | (uint32_t)conf->mpsmin << 16 |
					 (uint32_t)conf->mpsmax << 20);
	fake_write(NVME_VS, conf->cmb_old ? 0x10300 : 0x20000);
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

static size_t page_size(void)
{
	return (size_t)4096 << (fake_read(NVME_CC) >> 7 & 0xf);
}

static uint32_t doorbell(unsigned index)
{
	uint32_t at = index * (4u << fake.conf.dstrd);

	/* The admin queue has no shadow. */
	if (fake.shadow && index > 1)
		return *(uint32_t *)reach(fake.shadow + at, 4);
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
	assert_int_equal(fake.q[0].sq & (page_size() - 1), 0);
	assert_int_equal(fake.q[0].cq & (page_size() - 1), 0);
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
	cqe = reach(q->cq + q->tail * sizeof(*cqe), sizeof(*cqe));
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

/*
 * Data pointers.
 */
struct segments {
	struct iovec iov[SEGMENTS_MAX];
	unsigned count;
	struct fake_seen *seen;
};

static void add_segment(struct segments *s, uint64_t dma, size_t len)
{
	assert_true(s->count < SEGMENTS_MAX);
	s->iov[s->count++] = (struct iovec){ reach(dma, len), len };
}

static void walk_prps(struct segments *s, const struct plx_nvme_cmd *cmd, size_t len)
{
	size_t page = page_size(), mask = page - 1, chunk = page - (cmd->prp1 & mask);
	uint64_t list;

	assert_int_equal(cmd->prp1 & 3, 0);
	chunk = chunk < len ? chunk : len;
	add_segment(s, cmd->prp1, chunk);
	s->seen->prps = 1;
	len -= chunk;
	if (!len) {
		assert_int_equal(cmd->prp2, 0);
		return;
	}
	if (len <= page) {
		assert_int_equal(cmd->prp2 & mask, 0);
		add_segment(s, cmd->prp2, len);
		s->seen->prps++;
		return;
	}
	list = cmd->prp2;
	s->seen->pages = 1;
	assert_int_equal(list & 7, 0);
	while (len) {
		uint64_t entry = *(uint64_t *)reach(list, 8);

		assert_int_equal(entry & mask, 0);
		/* The last place of a page is a pointer, if it isn't the last entry. */
		if ((list & mask) == page - 8 && len > page) {
			list = entry;
			s->seen->pages++;
			continue;
		}
		chunk = page < len ? page : len;
		add_segment(s, entry, chunk);
		s->seen->prps++;
		len -= chunk;
		list += 8;
	}
}

static void walk_sgl(struct segments *s, const struct plx_nvme_cmd *cmd, size_t len)
{
	struct plx_nvme_sgl first, *sgl = &first;
	size_t count = 1;

	assert_true(fake.conf.sgls & 3);
	memcpy(&first, &cmd->prp1, sizeof(first));
	if (first.type == PLX_NVME_SGL_LAST_SEGMENT) {
		assert_int_equal(first.len % sizeof(*sgl), 0);
		assert_int_equal(first.addr & 7, 0);
		count = first.len / sizeof(*sgl);
		sgl = reach(first.addr, first.len);
	}
	for (; count; count--, sgl++) {
		uint64_t dma = sgl->addr;
		size_t left = sgl->len;

		assert_int_equal(sgl->type, PLX_NVME_SGL_DATA);
		assert_true(left && left <= len);
		assert_false((dma | left) & 3);
		len -= left;
		s->seen->sgls++;
		/* What is next to each other for the device may lie elsewhere here. */
		while (left) {
			size_t chunk = PLX_FRAME_SIZE - (dma & (PLX_FRAME_SIZE - 1));

			chunk = chunk < left ? chunk : left;
			add_segment(s, dma, chunk);
			dma += chunk;
			left -= chunk;
		}
	}
	assert_int_equal(len, 0);
}

static void walk(struct segments *s, const struct plx_nvme_cmd *cmd, size_t len,
		 struct fake_seen *seen)
{
	s->count = 0;
	s->seen = seen;
	if (cmd->flags & PLX_NVME_PSDT_SGL)
		walk_sgl(s, cmd, len);
	else
		walk_prps(s, cmd, len);
}

/* All of it at once, to or from buf. Returns whether it was the same (for Compare). */
static bool transfer(const struct plx_nvme_cmd *cmd, void *buf, size_t len, uint8_t opcode,
		     struct fake_seen *seen)
{
	static struct segments s;
	uint8_t *at = buf;
	bool same = true;

	walk(&s, cmd, len, seen);
	for (unsigned i = 0; i < s.count; i++) {
		if (opcode == PLX_NVME_COMPARE)
			same &= !memcmp(at, s.iov[i].iov_base, s.iov[i].iov_len);
		else if (opcode & PLX_NVME_DATA_IN)
			memcpy(s.iov[i].iov_base, at, s.iov[i].iov_len);
		else
			memcpy(at, s.iov[i].iov_base, s.iov[i].iov_len);
		at += s.iov[i].iov_len;
	}
	return same;
}

/*
 * I/O commands.
 */
static uint16_t io_blocks(struct fake_ns *ns, const struct plx_nvme_cmd *cmd,
			  struct fake_seen *seen)
{
	size_t block = (size_t)1 << ns->lbads, blocks = (cmd->cdw12 & 0xffff) + 1u;
	bool strip = cmd->cdw12 & PLX_NVME_PRACT && ns->pi && ns->ms == 8;
	size_t unit = block + (ns->extended && !strip ? ns->ms : 0);
	uint64_t lba = cmd->cdw10 | (uint64_t)cmd->cdw11 << 32;
	static uint8_t bounce[8 << 20];
	bool out = cmd->opcode != PLX_NVME_READ, same;

	if (lba > ns->blocks || blocks > ns->blocks - lba)
		return PLX_NVME_LBA_OUT_OF_RANGE | PLX_NVME_DNR;
	if (cmd->opcode == PLX_NVME_WRITE_ZEROES) {
		memset(ns->data + lba * block, 0, blocks * block);
		return 0;
	}
	if (fake.conf.mdts)
		assert_true(blocks * unit <= (size_t)4096 << (fake.conf.mdts + fake.conf.mpsmin));
	if (cmd->opcode == PLX_NVME_VERIFY)
		return 0;
	assert_true(blocks * unit <= sizeof(bounce));
	if (ns->noiob)
		assert_int_equal(lba / ns->noiob, (lba + blocks - 1) / ns->noiob);
	for (size_t i = 0; i < blocks; i++) {
		memcpy(bounce + i * unit, ns->data + (lba + i) * block, block);
		memcpy(bounce + i * unit + block, ns->meta + (lba + i) * ns->ms, unit - block);
	}
	same = transfer(cmd, bounce, blocks * unit, cmd->opcode, seen);
	if (cmd->opcode == PLX_NVME_COMPARE)
		return same ? 0 : PLX_NVME_COMPARE_FAILURE;
	if (ns->ms && !ns->extended && !strip) {
		uint8_t *meta = reach(cmd->mptr, blocks * ns->ms);

		if (out)
			memcpy(ns->meta + lba * ns->ms, meta, blocks * ns->ms);
		else
			memcpy(meta, ns->meta + lba * ns->ms, blocks * ns->ms);
	}
	for (size_t i = 0; i < blocks && out; i++) {
		memcpy(ns->data + (lba + i) * block, bounce + i * unit, block);
		memcpy(ns->meta + (lba + i) * ns->ms, bounce + i * unit + block, unit - block);
	}
	return 0;
}

static uint16_t dsm(struct fake_ns *ns, const struct plx_nvme_cmd *cmd, struct fake_seen *seen)
{
	struct plx_nvme_dsm_range range[PLX_NVME_DSM_RANGES];
	unsigned count = (cmd->cdw10 & 0xff) + 1;

	transfer(cmd, range, count * sizeof(*range), PLX_NVME_DSM, seen);
	for (unsigned i = 0; i < count && cmd->cdw11 & PLX_NVME_DSM_DEALLOCATE; i++)
		memset(ns->data + (range[i].lba << ns->lbads), 0,
		       (size_t)range[i].blocks << ns->lbads);
	return 0;
}

static void run_io(uint16_t qid, const struct plx_nvme_cmd *cmd)
{
	struct fake_seen *seen = &fake.seen[fake.nseen++ % FAKE_LOG_MAX];
	struct fake_ns *ns = &fake.conf.ns[(cmd->nsid - 1) % FAKE_NS_MAX];
	uint16_t status;

	*seen = (struct fake_seen){ .qid = qid, .cmd = *cmd };
	if (fake.hold) {
		fake.held_cid[fake.held] = cmd->cid;
		fake.held_qid[fake.held++] = qid;
		return;
	}
	if (fake.fail_count) {
		fake.fail_count--;
		fake_post(qid, cmd->cid, fake.fail_status, 0);
		return;
	}
	if (!cmd->nsid || cmd->nsid > FAKE_NS_MAX || !ns->active)
		status = PLX_NVME_INVALID_NAMESPACE | PLX_NVME_DNR;
	else if (cmd->opcode == PLX_NVME_FLUSH)
		status = 0;
	else if (cmd->opcode == PLX_NVME_DSM)
		status = dsm(ns, cmd, seen);
	else if (cmd->opcode == PLX_NVME_READ || cmd->opcode == PLX_NVME_WRITE ||
		 cmd->opcode == PLX_NVME_COMPARE || cmd->opcode == PLX_NVME_WRITE_ZEROES ||
		 cmd->opcode == PLX_NVME_VERIFY)
		status = io_blocks(ns, cmd, seen);
	else
		status = PLX_NVME_INVALID_OPCODE | PLX_NVME_DNR;
	fake_post(qid, cmd->cid, status, 0);
}

void fake_release(uint16_t status)
{
	fake.hold = false;
	for (unsigned i = 0; i < fake.held; i++)
		fake_post(fake.held_qid[i], fake.held_cid[i], status, 0);
	fake.held = 0;
}

/*
 * Admin commands.
 */
static void identify_ns(const struct fake_ns *ns, struct plx_nvme_id_ns *id)
{
	id->nsze = id->ncap = id->nuse = ns->blocks;
	id->flbas = (uint8_t)(1 | (ns->extended ? 0x10 : 0));
	id->nlbaf = 1;
	id->lbaf[1].lbads = ns->lbads;
	id->lbaf[1].ms = ns->ms;
	id->dps = ns->pi;
	id->noiob = ns->noiob;
}

static uint16_t identify(const struct plx_nvme_cmd *cmd)
{
	union {
		struct plx_nvme_id_ctrl ctrl;
		struct plx_nvme_id_ns ns;
		uint32_t list[1024];
	} id = { 0 };
	struct fake_seen seen;
	unsigned n = 0;

	switch (cmd->cdw10 & 0xff) {
	case PLX_NVME_CNS_CTRL:
		id.ctrl.vid = 0x1b36;
		memcpy(id.ctrl.sn, "fake    \0           ", sizeof(id.ctrl.sn));
		memset(id.ctrl.mn, ' ', sizeof(id.ctrl.mn));
		memcpy(id.ctrl.mn, "Controller of memory\x1b", 21);
		memset(id.ctrl.fr, ' ', sizeof(id.ctrl.fr));
		id.ctrl.sqes = 0x66;
		id.ctrl.cqes = 0x44;
		id.ctrl.nn = fake.conf.nn ? fake.conf.nn : FAKE_NS_MAX;
		id.ctrl.rtd3e = fake.conf.rtd3e;
		id.ctrl.mdts = fake.conf.mdts;
		id.ctrl.aerl = fake.conf.aerl;
		id.ctrl.acl = fake.conf.acl;
		id.ctrl.sgls = fake.conf.sgls;
		id.ctrl.oacs = fake.conf.oacs;
		id.ctrl.kas = fake.conf.kas;
		id.ctrl.oaes = PLX_NVME_OAES_NS_ATTRIBUTE;
		break;
	case PLX_NVME_CNS_ACTIVE_NS_LIST:
		if (fake.conf.no_list)
			return PLX_NVME_INVALID_FIELD | PLX_NVME_DNR;
		for (uint32_t nsid = cmd->nsid; fake.conf.nn && n < 1024; n++)
			id.list[n] = ++nsid;
		for (uint32_t nsid = cmd->nsid + 1; !fake.conf.nn && nsid <= FAKE_NS_MAX; nsid++)
			if (fake.conf.ns[nsid - 1].active)
				id.list[n++] = nsid;
		break;
	case PLX_NVME_CNS_NS:
		if (fake.conf.nn) {
			identify_ns(&fake.conf.ns[0], &id.ns);
			break;
		}
		if (!cmd->nsid || cmd->nsid > FAKE_NS_MAX)
			return PLX_NVME_INVALID_NAMESPACE | PLX_NVME_DNR;
		if (fake.conf.ns[cmd->nsid - 1].active)
			identify_ns(&fake.conf.ns[cmd->nsid - 1], &id.ns);
		break;
	default: return PLX_NVME_INVALID_FIELD | PLX_NVME_DNR;
	}
	transfer(cmd, &id, sizeof(id), PLX_NVME_IDENTIFY, &seen);
	return 0;
}

static uint16_t get_log(const struct plx_nvme_cmd *cmd)
{
	size_t len = ((cmd->cdw10 >> 16) + 1u) * 4;
	struct fake_seen seen;
	uint8_t log[4096];

	assert_true(len <= sizeof(log));
	memset(log, (int)(cmd->cdw10 & 0xff), sizeof(log));
	transfer(cmd, log, len, PLX_NVME_GET_LOG_PAGE, &seen);
	return 0;
}

static uint16_t create_queue(const struct plx_nvme_cmd *cmd, bool sq)
{
	uint32_t qid = cmd->cdw10 & 0xffff, size = (cmd->cdw10 >> 16) + 1;
	struct fake_queue *q = &fake.q[qid % (FAKE_QUEUES + 1)];

	if (!qid || qid > fake.conf.queues || (sq ? q->on || !q->cq : q->cq != 0))
		return PLX_NVME_INVALID_QID | PLX_NVME_DNR;
	if (size < 2 || size > fake.conf.mqes + 1u)
		return PLX_NVME_INVALID_QUEUE_SIZE | PLX_NVME_DNR;
	assert_int_equal(cmd->prp1 & (page_size() - 1), 0);
	assert_true(cmd->cdw11 & NVME_QUEUE_CONTIGUOUS);
	/* The submission queue makes the pair complete. */
	if (sq) {
		assert_int_equal(cmd->cdw11 >> 16, qid);
		assert_int_equal(size, q->size);
		q->sq = cmd->prp1;
		q->on = true;
		return 0;
	}
	*q = (struct fake_queue){ .cq = cmd->prp1,
				  .size = size,
				  .phase = 1,
				  .irq = cmd->cdw11 & NVME_CQ_INTERRUPTS,
				  .vector = (uint16_t)(cmd->cdw11 >> 16) };
	/* Whatever the last owner of the id wrote. */
	fake_write(NVME_DOORBELLS + 2 * qid * (4u << fake.conf.dstrd), 0);
	fake_write(NVME_DOORBELLS + (2 * qid + 1) * (4u << fake.conf.dstrd), 0);
	return 0;
}

static uint16_t delete_queue(const struct plx_nvme_cmd *cmd, bool sq)
{
	uint32_t qid = cmd->cdw10 & 0xffff;
	struct fake_queue *q = &fake.q[qid % (FAKE_QUEUES + 1)];

	if (!qid || qid > FAKE_QUEUES || (sq ? !q->on : q->on || !q->cq))
		return PLX_NVME_INVALID_QID | PLX_NVME_DNR;
	q->on = false;
	if (!sq)
		q->cq = 0;
	return 0;
}

static uint16_t set_features(const struct plx_nvme_cmd *cmd, uint32_t *result)
{
	switch (cmd->cdw10 & 0xff) {
	case PLX_NVME_FEAT_QUEUES:
		*result = (fake.conf.queues - 1) << 16 | (fake.conf.queues - 1);
		return 0;
	case PLX_NVME_FEAT_ASYNC_EVENTS: fake.events_wanted = cmd->cdw11; return 0;
	case PLX_NVME_FEAT_KEEP_ALIVE: fake.keep_alive = cmd->cdw11; return 0;
	default: return PLX_NVME_INVALID_FIELD | PLX_NVME_DNR;
	}
}

static uint16_t abort_command(const struct plx_nvme_cmd *cmd, uint32_t *result)
{
	uint16_t qid = cmd->cdw10 & 0xffff, cid = (uint16_t)(cmd->cdw10 >> 16);

	*result = 1;
	for (unsigned i = 0; i < fake.held && !fake.ignores_abort; i++) {
		if (fake.held_qid[i] != qid || fake.held_cid[i] != cid)
			continue;
		fake.held--;
		fake.held_qid[i] = fake.held_qid[fake.held];
		fake.held_cid[i] = fake.held_cid[fake.held];
		fake_post(qid, cid, PLX_NVME_ABORTED_BY_REQUEST, 0);
		*result = 0;
		break;
	}
	return 0;
}

static void run_admin(const struct plx_nvme_cmd *cmd)
{
	uint32_t result = 0;
	uint16_t status;

	if (fake.mute)
		return;
	if (cmd->opcode == fake.fail_admin || cmd->opcode == fake.fail_admin_too) {
		fake_post(0, cmd->cid, fake.fail_admin_status, 0);
		return;
	}
	switch (cmd->opcode) {
	case PLX_NVME_IDENTIFY: status = identify(cmd); break;
	case PLX_NVME_GET_LOG_PAGE: status = get_log(cmd); break;
	case PLX_NVME_CREATE_CQ: status = create_queue(cmd, false); break;
	case PLX_NVME_CREATE_SQ: status = create_queue(cmd, true); break;
	case PLX_NVME_DELETE_CQ: status = delete_queue(cmd, false); break;
	case PLX_NVME_DELETE_SQ: status = delete_queue(cmd, true); break;
	case PLX_NVME_SET_FEATURES: status = set_features(cmd, &result); break;
	case PLX_NVME_ABORT: status = abort_command(cmd, &result); break;
	case PLX_NVME_KEEP_ALIVE:
		fake.keep_alives++;
		if (fake.never_alive)
			return;
		status = 0;
		break;
	case PLX_NVME_FORMAT:
		fake.conf.ns[cmd->nsid - 1].lbads = cmd->cdw10 & 0xf ? 12 : 9;
		status = 0;
		break;
	case PLX_NVME_DBBUF_CONFIG:
		fake.shadow = cmd->prp1;
		fake.event = cmd->prp2;
		status = 0;
		break;
	case PLX_NVME_ASYNC_EVENT:
		assert_true(fake.aers <= fake.conf.aerl);
		fake.aer_cid[fake.aers++] = cmd->cid;
		return;
	default: status = PLX_NVME_INVALID_OPCODE | PLX_NVME_DNR;
	}
	fake_post(0, cmd->cid, status, result);
}

bool fake_event(uint32_t result)
{
	if (!fake.aers)
		return false;
	fake_post(0, fake.aer_cid[--fake.aers], 0, result);
	return true;
}

static void run_queue(uint16_t qid)
{
	struct fake_queue *q = &fake.q[qid];

	while (q->on && q->head != doorbell(2u * qid)) {
		struct plx_nvme_cmd cmd;

		assert_true(doorbell(2u * qid) < q->size);
		memcpy(&cmd, reach(q->sq + q->head * sizeof(cmd), sizeof(cmd)), sizeof(cmd));
		q->head = q->head + 1 == q->size ? 0 : q->head + 1;
		if (qid)
			run_io(qid, &cmd);
		else
			run_admin(&cmd);
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
