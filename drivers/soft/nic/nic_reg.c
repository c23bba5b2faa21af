/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trapped registers [10.2]: which there are, what bits of them can be written, and what reading
 * and writing does. Those of the shared pages are memory: see nic_ring.c.
 */
#include <pollux/log.h>

#include "nic.h"

#define ALL	      UINT32_MAX
#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

struct reg {
	uint32_t offset, count, stride;
	uint32_t reset, writable;
	uint32_t (*read)(struct soft_nic *nic, uint32_t offset);
	void (*write)(struct soft_nic *nic, uint32_t offset, uint32_t value);
};

/*
 * Special ones. Writes of all others store the bits that are writable.
 */
static void ctrl_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	if (value & E1000_CTRL_RST) {
		nic_reset(nic);
		return;
	}
	if (value & NIC_CTRL_PHY_RST)
		nic_phy_reset(nic);
	nic->reg[offset / 4] = value & ~NIC_CTRL_PHY_RST;
	if (value & E1000_CTRL_GIO_MASTER_DISABLE)
		nic->reg[E1000_STATUS / 4] &= ~E1000_STATUS_GIO_MASTER_ENABLE;
	else
		nic->reg[E1000_STATUS / 4] |= E1000_STATUS_GIO_MASTER_ENABLE;
	nic_link_update(nic);
}

/* Whoever requests the NVM's pins gets them; there is nothing behind them. */
static void eec_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	nic->reg[offset / 4] =
		NIC_EEC_DEFAULT | (value & NIC_EEC_REQ) | (value & NIC_EEC_REQ ? NIC_EEC_GNT : 0);
}

static void eerd_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	nic->reg[offset / 4] = nic_nvm_read(nic, value);
}

static void mdic_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	nic->reg[offset / 4] = nic_phy_access(nic, value);
}

static uint32_t icr_read(struct soft_nic *nic, uint32_t offset)
{
	(void)offset;
	return nic_icr_read(nic);
}

static void icr_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	(void)offset;
	nic->icr &= ~value;
}

static void ics_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	(void)offset;
	if (value & NIC_ICR_OTHERS)
		value |= E1000_ICR_OTHER;
	nic_intr(nic, value & NIC_ICR_VALID);
}

static uint32_t ims_read(struct soft_nic *nic, uint32_t offset)
{
	(void)offset;
	return nic->ims;
}

static void ims_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	(void)offset;
	nic_ims_set(nic, value);
}

static void imc_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	(void)offset;
	nic->ims &= ~value;
}

/* The semaphore is taken by reading a 0 of it [10.2.3]. */
static uint32_t swsm_read(struct soft_nic *nic, uint32_t offset)
{
	const uint32_t value = nic->reg[offset / 4];

	nic->reg[offset / 4] |= NIC_SWSM_SMBI;
	return value;
}

/* The first one that matches counts. No count is one. */
static const struct reg regs[] = {
	{ .offset = E1000_CTRL, .reset = NIC_CTRL_DEFAULT, .write = ctrl_write },
	{ .offset = E1000_STATUS, .reset = E1000_STATUS_GIO_MASTER_ENABLE },
	{ .offset = E1000_EEC, .reset = NIC_EEC_DEFAULT, .write = eec_write },
	{ .offset = E1000_EERD, .write = eerd_write },
	{ .offset = E1000_CTRL_EXT, .reset = E1000_CTRL_EXT_MUST_SET, .writable = ALL },
	{ .offset = 0x0001c, .writable = ALL }, /* FLA */
	{ .offset = E1000_MDIC, .reset = E1000_MDIC_READY, .write = mdic_write },
	{ .offset = E1000_FCAL, .count = 2, .stride = 4, .writable = ALL },
	{ .offset = E1000_FCT, .writable = 0xffff },
	{ .offset = E1000_VET, .reset = 0x8100, .writable = 0xffff },
	{ .offset = 0x0003c, .writable = ALL }, /* MDPHYA */
	{ .offset = E1000_FCTTV, .writable = 0xffff },
	{ .offset = 0x00178, .writable = 0xffff }, /* TXCW of the family; unused with copper */
	{ .offset = 0x00180, .writable = ALL },	   /* RXCW, the same */
	{ .offset = 0x00458, .writable = 0xffff }, /* AIT */
	{ .offset = 0x00e00, .reset = 0x07068302, .writable = ALL }, /* LEDCTL */
	{ .offset = E1000_EXTCNF_CTRL, .reset = 1u << 3, .writable = ALL },
	{ .offset = 0x00f08, .writable = 0 },		    /* EXTCNF_SIZE */
	{ .offset = 0x00f10, .reset = 8, .writable = ALL }, /* PHY_CTRL */
	{ .offset = E1000_PBA, .reset = 0x00140014, .writable = 0xffff },
	{ .offset = 0x01008, .reset = 0x28, .writable = ALL },	   /* PBS */
	{ .offset = 0x01010, .reset = 1u << 31, .writable = ALL }, /* EEMNGCTL: done */
	{ .offset = 0x0102c },					   /* EEWR: never done */

	{ .offset = E1000_ICR, .read = icr_read, .write = icr_write },
	{ .offset = E1000_ITR, .writable = ALL },
	{ .offset = E1000_ICS, .write = ics_write },
	{ .offset = E1000_IMS, .read = ims_read, .write = ims_write },
	{ .offset = E1000_IMC, .write = imc_write },
	{ .offset = E1000_EIAC, .writable = NIC_ICR_VALID },
	{ .offset = NIC_IAM, .writable = NIC_ICR_VALID },
	{ .offset = E1000_IVAR, .writable = ALL },
	{ .offset = E1000_EITR(0), .count = 5, .stride = 4, .writable = ALL },

	{ .offset = E1000_RCTL, .writable = ALL },
	{ .offset = E1000_RXCSUM, .writable = 0xffff },
	{ .offset = E1000_RFCTL, .writable = ALL },
	{ .offset = E1000_MTA(0), .count = E1000_MTA_WORDS, .stride = 4, .writable = ALL },
	{ .offset = E1000_RAL(0), .count = E1000_RX_ADDRS, .stride = 8, .writable = ALL },
	{ .offset = E1000_RAH(0), .count = E1000_RX_ADDRS, .stride = 8, .writable = 0x8003ffff },
	{ .offset = E1000_VFTA(0), .count = 128, .stride = 4, .writable = ALL },
	{ .offset = E1000_MRQC, .writable = ALL },
	{ .offset = E1000_RETA(0), .count = 32, .stride = 4, .writable = ALL },
	{ .offset = E1000_RSSRK(0), .count = 10, .stride = 4, .writable = ALL },
	{ .offset = 0x05864, .writable = ALL }, /* RSSIM, of the family */
	{ .offset = 0x05868, .writable = ALL }, /* RSSIR */

	{ .offset = E1000_TCTL, .reset = E1000_TCTL_PSP, .writable = ALL },
	{ .offset = E1000_TIPG, .reset = 0x00602008, .writable = ALL },

	/* Wake-up, management, filters for them: kept, without effect [10.2.8, 10.2.9] */
	{ .offset = 0x05800, .count = 0x70 / 4, .stride = 4, .writable = ALL },
	{ .offset = 0x05880, .count = 0x30 / 4, .stride = 4, .writable = ALL }, /* IP6AT, MDEF */
	{ .offset = 0x05900, .writable = ALL },					/* WUPL */
	{ .offset = 0x05a00, .count = 32, .stride = 4, .writable = ALL },	/* WUPM */
	{ .offset = 0x05f00, .count = 4, .stride = 8, .writable = ALL },	/* FFLT */
	{ .offset = 0x09000, .count = 128, .stride = 8, .writable = ALL },	/* FFMT */
	{ .offset = 0x09800, .count = 128, .stride = 8, .writable = ALL },	/* FFVT */
	{ .offset = 0x08f00 },							/* HICR: none */
	{ .offset = 0x0b600, .count = 16, .stride = 4, .writable = ALL },	/* IEEE 1588 */

	/* PCIe, semaphores [10.2.3] */
	{ .offset = E1000_GCR, .writable = ALL },
	{ .offset = 0x05b08, .writable = ALL },				 /* FUNCTAG */
	{ .offset = 0x05b10, .count = 8, .stride = 4, .writable = ALL }, /* GSCL, GSCN */
	{ .offset = 0x05b30, .reset = 0x20000042 },			 /* FACTPS */
	{ .offset = NIC_SWSM, .writable = ALL, .read = swsm_read },
	{ .offset = 0x05b54 },			/* FWSM */
	{ .offset = 0x05b58, .writable = ALL }, /* SWSM2 */
	{ .offset = E1000_GCR2, .writable = ALL },
};

/*
 * Statistics [10.2.7]: cleared when read, stuck at all ones.
 */
struct stat {
	uint32_t offset;
	enum nic_count count, more; /* the sum of both */
	bool wide;		    /* with the upper half behind */
};

static const struct stat stats[] = {
	{ .offset = E1000_MPC, .count = NIC_RX_MISSED },
	{ .offset = E1000_XONRXC, .count = NIC_RX_XON },
	{ .offset = E1000_XOFFRXC, .count = NIC_RX_XOFF },
	{ .offset = E1000_FCRUC, .count = NIC_RX_CONTROL },
	{ .offset = E1000_PRC64, .count = NIC_RX_SIZE },
	{ .offset = E1000_PRC127, .count = NIC_RX_SIZE + 1 },
	{ .offset = E1000_PRC255, .count = NIC_RX_SIZE + 2 },
	{ .offset = E1000_PRC511, .count = NIC_RX_SIZE + 3 },
	{ .offset = E1000_PRC1023, .count = NIC_RX_SIZE + 4 },
	{ .offset = E1000_PRC1522, .count = NIC_RX_SIZE + 5 },
	{ .offset = E1000_GPRC, .count = NIC_RX_PACKETS },
	{ .offset = E1000_BPRC, .count = NIC_RX_BROADCAST },
	{ .offset = E1000_MPRC, .count = NIC_RX_MULTICAST },
	{ .offset = E1000_GPTC, .count = NIC_TX_PACKETS },
	{ .offset = E1000_GORCL, .count = NIC_RX_BYTES, .wide = true },
	{ .offset = E1000_GOTCL, .count = NIC_TX_BYTES, .wide = true },
	{ .offset = E1000_RNBC, .count = NIC_RX_MISSED },
	{ .offset = E1000_ROC, .count = NIC_RX_LONG },
	{ .offset = E1000_TORL, .count = NIC_RX_BYTES, .more = NIC_RX_LOST_BYTES, .wide = true },
	{ .offset = E1000_TOTL, .count = NIC_TX_BYTES, .wide = true },
	{ .offset = E1000_TPR, .count = NIC_RX_PACKETS, .more = NIC_RX_LOST },
	{ .offset = E1000_TPT, .count = NIC_TX_PACKETS },
	{ .offset = E1000_PTC64, .count = NIC_TX_SIZE },
	{ .offset = E1000_PTC127, .count = NIC_TX_SIZE + 1 },
	{ .offset = E1000_PTC255, .count = NIC_TX_SIZE + 2 },
	{ .offset = E1000_PTC511, .count = NIC_TX_SIZE + 3 },
	{ .offset = E1000_PTC1023, .count = NIC_TX_SIZE + 4 },
	{ .offset = E1000_PTC1522, .count = NIC_TX_SIZE + 5 },
	{ .offset = E1000_MPTC, .count = NIC_TX_MULTICAST },
	{ .offset = E1000_BPTC, .count = NIC_TX_BROADCAST },
	{ .offset = E1000_TSCTC, .count = NIC_TX_CONTEXTS },
	{ .offset = E1000_TSCTFC, .count = NIC_TX_CONTEXTS_FAILED },
	{ .offset = E1000_IAC, .count = NIC_INTERRUPTS },
};

/* Always zero: on this cable nothing collides or errs. 0x4008 is the family's SYMERRS. */
static const uint16_t zeros[] = {
	E1000_CRCERRS,	E1000_ALGNERRC, E1000_RXERRC,	E1000_SCC,   E1000_ECOL, E1000_MCC,
	E1000_LATECOL,	E1000_COLC,	E1000_DC,	E1000_TNCRS, 0x4038,	 E1000_CEXTERR,
	E1000_RLEC,	E1000_XONTXC,	E1000_XOFFTXC,	E1000_RUC,   E1000_RFC,	 E1000_RJC,
	E1000_MPRC_MNG, E1000_MPDC,	E1000_MPTC_MNG, 0x4008,	     0x4104,	 0x4108,
	0x410c,		0x4110,		0x4118,		0x411c,	     0x4120,	 0x4124,
};

static uint32_t stat_read(struct soft_nic *nic, const struct stat *s, bool high)
{
	const unsigned i = (s->offset - E1000_CRCERRS) / 4;
	uint64_t now, value;

	/* Low first: what the upper half says is kept for its turn. */
	if (high) {
		const uint32_t kept = nic->stat[i].high;

		nic->stat[i].high = 0;
		return kept;
	}
	now = nic->count[s->count] + nic->count[s->more];
	value = now - nic->stat[i].base;
	nic->stat[i].base = now;
	nic->stat[i].high = value >> 32;
	return value > UINT32_MAX && !s->wide ? UINT32_MAX : (uint32_t)value;
}

void nic_stats_reset(struct soft_nic *nic)
{
	for (size_t i = 0; i < ARRAY_SIZE(stats); i++)
		stat_read(nic, &stats[i], false);
	for (size_t i = 0; i < ARRAY_SIZE(nic->stat); i++)
		nic->stat[i].high = 0;
}

/* Whether it is one. */
static bool stat_find(struct soft_nic *nic, uint32_t offset, uint32_t *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(stats); i++) {
		const bool high = stats[i].wide && offset == stats[i].offset + 4;

		if (offset == stats[i].offset || high) {
			*value = stat_read(nic, &stats[i], high);
			return true;
		}
	}
	*value = 0;
	for (size_t i = 0; i < ARRAY_SIZE(zeros); i++) {
		if (offset == zeros[i])
			return true;
	}
	return false;
}

/*
 * Where the registers of older devices were, too [table in 10.2.1, "alias"].
 */
static uint32_t unalias(uint32_t offset)
{
	static const struct {
		uint32_t alias, count, offset;
	} aliases[] = {
		{ 0x00004, 1, E1000_CTRL },	{ 0x00040, 32, E1000_RAL(0) },
		{ 0x00108, 1, E1000_RDTR },	{ 0x00110, 3, E1000_RDBAL(0) },
		{ 0x00120, 1, E1000_RDH(0) },	{ 0x00128, 1, E1000_RDT(0) },
		{ 0x00160, 1, E1000_FCRTH },	{ 0x00168, 1, E1000_FCRTL },
		{ 0x00200, 128, E1000_MTA(0) }, { 0x00420, 3, E1000_TDBAL(0) },
		{ 0x00430, 1, E1000_TDH(0) },	{ 0x00438, 1, E1000_TDT(0) },
		{ 0x00440, 1, E1000_TIDV },	{ 0x00600, 128, E1000_VFTA(0) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (offset - aliases[i].alias < 4 * aliases[i].count)
			return offset - aliases[i].alias + aliases[i].offset;
	}
	return offset;
}

static const struct reg *find(uint32_t offset)
{
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		const struct reg *r = &regs[i];
		const uint32_t from = offset - r->offset;

		if (offset < r->offset)
			continue;
		if (r->count ? from % r->stride == 0 && from / r->stride < r->count : !from)
			return r;
	}
	return NULL;
}

void nic_unknown(struct soft_nic *nic, uint32_t offset, size_t len, bool write)
{
	uint32_t *said = &nic->said[offset / 4 / 32];
	const uint32_t bit = 1u << (offset / 4 % 32);

	nic->unknown++;
	if (*said & bit)
		return;
	*said |= bit;
	plx_warn("%s: the driver %s %zu bytes at 0x%05x, which is no register of this device",
		 nic->name, write ? "writes" : "reads", len, offset);
}

static bool is_shared(uint32_t offset)
{
	return offset - NIC_SHARED < NIC_SHARED_LEN;
}

static volatile uint32_t *shared(struct soft_nic *nic, uint32_t offset)
{
	return (volatile uint32_t *)(nic->shared + offset - NIC_SHARED);
}

uint32_t nic_reg_read(struct soft_nic *nic, uint32_t offset)
{
	const struct reg *r;
	uint32_t value;

	offset = unalias(offset);
	if (is_shared(offset))
		return *shared(nic, offset);
	if (stat_find(nic, offset, &value))
		return value;
	r = find(offset);
	if (!r) {
		nic_unknown(nic, offset, sizeof(value), false);
		return 0;
	}
	return r->read ? r->read(nic, offset) : nic->reg[offset / 4];
}

void nic_reg_write(struct soft_nic *nic, uint32_t offset, uint32_t value)
{
	const struct reg *r;

	offset = unalias(offset);
	if (is_shared(offset)) {
		*shared(nic, offset) = value;
		return;
	}
	r = find(offset);
	if (r && r->write)
		r->write(nic, offset, value);
	else if (r)
		nic->reg[offset / 4] =
			(nic->reg[offset / 4] & ~r->writable) | (value & r->writable);
	else if (offset - E1000_CRCERRS >= NIC_STAT_REGS) /* those are there to be read */
		nic_unknown(nic, offset, sizeof(value), true);
	nic_rx_select(nic);
	nic_tx_select(nic);
}

/* Defaults, those in the shared pages too; the address as the NVM has it. */
void nic_reg_reset(struct soft_nic *nic)
{
	memset(nic->reg, 0, sizeof(nic->reg));
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		if (regs[i].reset)
			nic->reg[regs[i].offset / 4] = regs[i].reset;
	}
	nic->reg[E1000_RAL(0) / 4] = nic->nvm[0] | (uint32_t)nic->nvm[1] << 16;
	nic->reg[E1000_RAH(0) / 4] = nic->nvm[2] | E1000_RAH_AV;
	memset(nic->shared, 0, NIC_SHARED_LEN);
	for (unsigned q = 0; q < E1000_QUEUES; q++) {
		nic->rxq[q].ring.regs->dctl = NIC_DCTL_DEFAULT;
		nic->txq[q].ring.regs->tarc = NIC_TARC_DEFAULT;
	}
}
