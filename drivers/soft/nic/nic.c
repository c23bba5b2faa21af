/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a card, and its PCI side: config space, BARs, reset.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pollux/log.h>

#include "nic.h"

static void queues_reset(struct soft_nic *nic)
{
	for (unsigned q = 0; q < E1000_QUEUES; q++) {
		nic_ring_switch(&nic->rxq[q].ring, true);
		nic_ring_switch(&nic->txq[q].ring, true);
		nic_tx_reset(&nic->txq[q]);
	}
	nic->paused = 0;
	nic->overrun = false;
}

void nic_reset(struct soft_nic *nic)
{
	nic->icr = 0;
	nic->ims = 0;
	nic->rx_on = false;
	nic->tx_enabled = false;
	nic->split_said = false;
	nic_reg_reset(nic);
	nic_stats_reset(nic);
	queues_reset(nic);
	nic_link_update(nic);
	nic->icr = 0; /* the link as it is after a reset is no change of it */
	nic_rx_select(nic);
}

/* Whether DMA is allowed: by the bus, and by the driver. */
bool nic_may_master(const struct soft_nic *nic)
{
	return plx_vfu_config_master(&nic->config) &&
	       !(nic_reg(nic, E1000_CTRL) & E1000_CTRL_GIO_MASTER_DISABLE);
}

/*
 * What the server calls.
 */
static int bar0(struct soft_nic *nic, uint64_t offset, void *buf, size_t len, bool write)
{
	uint32_t value;

	/* Registers are 32 bits wide and accessed as such [10.2.1]; 64 bits are two of them. */
	if (offset % 4 || (len != 4 && len != 8)) {
		nic_unknown(nic, offset, len, write);
		if (!write)
			memset(buf, 0xff, len);
		return 0;
	}
	for (size_t i = 0; i < len; i += 4) {
		if (write) {
			memcpy(&value, (uint8_t *)buf + i, 4);
			nic_reg_write(nic, offset + i, le32toh(value));
		} else {
			value = htole32(nic_reg_read(nic, offset + i));
			memcpy((uint8_t *)buf + i, &value, 4);
		}
	}
	return 0;
}

static int nic_access(void *model, unsigned region, uint64_t offset, void *buf, size_t len,
		      bool write)
{
	struct soft_nic *nic = model;
	int err;

	switch (region) {
	case VFIO_PCI_BAR0_REGION_INDEX: return bar0(nic, offset, buf, len, write);
	case VFIO_PCI_BAR3_REGION_INDEX:
		/* The client routes vectors itself; what it writes there is only kept. */
		if (write)
			memcpy(nic->msix + offset, buf, len);
		else
			memcpy(buf, nic->msix + offset, len);
		return 0;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		err = plx_vfu_config_access(&nic->config, offset, buf, len, write);
		if (write) {
			nic_rx_select(nic);
			nic_tx_select(nic);
		}
		return err;
	default: return -EINVAL;
	}
}

static void nic_dma_changed(void *model)
{
	struct soft_nic *nic = model;

	for (unsigned q = 0; q < E1000_QUEUES; q++) {
		nic_ring_forget(&nic->rxq[q].ring);
		nic_ring_forget(&nic->txq[q].ring);
	}
}

/* Of the whole function, its PHY and its config space. If the client left, so did its memory. */
static void nic_power_on(void *model, enum plx_vfu_reset why)
{
	struct soft_nic *nic = model;

	(void)why;
	nic_dma_changed(nic);
	plx_vfu_config_reset(&nic->config);
	memset(nic->msix, 0, sizeof(nic->msix));
	nic_phy_reset(nic);
	nic_reset(nic);
}

static const struct plx_vfu_ops nic_ops = {
	.access = nic_access,
	.reset = nic_power_on,
	.dma_changed = nic_dma_changed,
};

/*
 * Making and unmaking.
 */
/* With 64 bits of address, one vector (PCI Local Bus 3.0, 6.8.1). */
static int msi_init(struct plx_vfu_config *config)
{
	static const uint8_t body[] = { 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t mask[] = { 0x01, 0,    0xfc, 0xff, 0xff, 0xff,
					0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	return plx_vfu_config_cap(config, PCI_CAP_ID_MSI, body, mask, sizeof(body));
}

static int config_init(struct plx_vfu_config *config)
{
	static const struct plx_vfu_ids ids = {
		.vendor = NIC_VENDOR,
		.device = NIC_DEVICE,
		.subvendor = NIC_VENDOR,
		.class_code = NIC_CLASS,
	};
	int err = plx_vfu_config_init(config, PLX_VFU_CONFIG_MAX, &ids);

	if (!err)
		err = plx_vfu_config_bar(config, 0, E1000_BAR_LEN, 0);
	if (!err)
		err = plx_vfu_config_bar(config, 3, NIC_MSIX_BAR_LEN, 0);
	if (err)
		return err;
	plx_vfu_config_pin(config, 1);
	err = plx_vfu_config_pm(config);
	if (err >= 0)
		err = msi_init(config);
	if (err >= 0)
		err = plx_vfu_config_msix(config, NIC_MSIX_VECTORS, 3, 0, 3, NIC_MSIX_PBA);
	if (err >= 0)
		err = plx_vfu_config_pcie(config);
	return err < 0 ? err : 0;
}

static int serve(struct soft_nic *nic, const char *path)
{
	static const struct plx_vfio_area area = { .offset = NIC_SHARED, .size = NIC_SHARED_LEN };
	struct plx_vfu_desc desc = {
		.name = nic->name,
		.ops = &nic_ops,
		.region = {
			[VFIO_PCI_BAR0_REGION_INDEX] = { .size = E1000_BAR_LEN, .areas = &area,
							 .nareas = 1 },
			[VFIO_PCI_BAR3_REGION_INDEX] = { .size = NIC_MSIX_BAR_LEN },
			[VFIO_PCI_CONFIG_REGION_INDEX] = { .size = PLX_VFU_CONFIG_MAX },
		},
		.irqs = {
			[VFIO_PCI_INTX_IRQ_INDEX] = 1,
			[VFIO_PCI_MSI_IRQ_INDEX] = 1,
			[VFIO_PCI_MSIX_IRQ_INDEX] = NIC_MSIX_VECTORS,
		},
	};
	uint8_t *bar;
	int err = plx_vfu_create(&desc, nic, path, &nic->vfu);

	/* About a path that is taken it has been more precise. */
	if (err && err != -EADDRINUSE)
		plx_err("%s: no socket can be made here: %s", path, strerror(-err));
	if (err)
		return err;
	bar = plx_vfu_region_mem(nic->vfu, VFIO_PCI_BAR0_REGION_INDEX);
	nic->shared = bar + NIC_SHARED;
	return 0;
}

static int queues_create(struct soft_nic *nic)
{
	static const char *const rx[] = { "rx0", "rx1" }, *const tx[] = { "tx0", "tx1" };

	for (unsigned q = 0; q < E1000_QUEUES; q++) {
		nic_ring_init(&nic->rxq[q].ring, nic, rx[q], PLX_DMA_WRITE);
		nic_ring_init(&nic->txq[q].ring, nic, tx[q], PLX_DMA_READ);
		if (nic_tx_create(&nic->txq[q]))
			return -ENOMEM;
	}
	return 0;
}

int soft_nic_create(const struct soft_nic_conf *conf, struct soft_nic **made)
{
	struct soft_nic *nic = aligned_alloc(64, (sizeof(*nic) + 63) / 64 * 64);
	int err;

	if (!nic)
		return -ENOMEM;
	memset(nic, 0, sizeof(*nic));
	snprintf(nic->name, sizeof(nic->name), "%s", conf->path);
	nic->drop = conf->drop;
	memcpy(nic->mac, conf->mac, sizeof(nic->mac));
	nic_nvm_init(nic);
	err = config_init(&nic->config);
	if (!err)
		err = serve(nic, conf->path);
	if (!err)
		err = queues_create(nic);
	if (err) {
		soft_nic_destroy(nic);
		return err;
	}
	nic_power_on(nic, PLX_VFU_RESET_ASKED);
	*made = nic;
	return 0;
}

void soft_nic_destroy(struct soft_nic *nic)
{
	if (!nic)
		return;
	plx_vfu_destroy(nic->vfu);
	for (unsigned q = 0; q < E1000_QUEUES; q++)
		nic_tx_destroy(&nic->txq[q]);
	free(nic);
}

/*
 * Cables.
 */
void soft_nic_plug(struct soft_nic *nic, struct soft_cable *cable)
{
	nic->cable = cable;
	nic_link_update(nic);
}

static struct soft_nic *wire_end(const struct soft_cable *cable)
{
	return (struct soft_nic *)((uint8_t *)cable - offsetof(struct soft_nic, wire));
}

static unsigned wire_send(struct soft_cable *cable, const struct soft_frame *frames, unsigned count)
{
	return soft_nic_receive(wire_end(cable), frames, count);
}

static bool wire_up(const struct soft_cable *cable)
{
	const struct soft_nic *end = wire_end(cable);

	return soft_nic_connected(end) && nic_phy_powered(end);
}

void soft_nic_wire(struct soft_nic *a, struct soft_nic *b)
{
	const struct soft_cable wire = { .send = wire_send, .up = wire_up, .fd = -1 };

	a->wire = wire;
	b->wire = wire;
	soft_nic_plug(a, &b->wire);
	soft_nic_plug(b, &a->wire);
}

/*
 * Turns.
 */
unsigned soft_nic_turn(struct soft_nic *nic)
{
	unsigned moved = 0;

	if (likely(nic->tx_on)) {
		for (unsigned q = 0; q < E1000_QUEUES; q++)
			moved += nic_tx_turn(nic, &nic->txq[q]);
	}
	if (nic->cable->poll && nic->rx_on)
		moved += nic->cable->poll(nic->cable);
	return moved;
}

int soft_nic_serve(struct soft_nic *nic, uint64_t now)
{
	bool connected;
	int ret;

	nic->now = now;
	ret = plx_vfu_poll(nic->vfu);
	connected = plx_vfu_connected(nic->vfu);
	nic->clients += connected && !nic->was_connected;
	nic->was_connected = connected;
	nic_link_update(nic);
	/* Nothing came for a while, or a burst did: in either case a good time. */
	for (unsigned q = 0; q < E1000_QUEUES && nic->rx_on; q++)
		nic_ring_publish(&nic->rxq[q].ring);
	return ret;
}

int soft_nic_fd(const struct soft_nic *nic)
{
	return plx_vfu_fd(nic->vfu);
}

bool soft_nic_connected(const struct soft_nic *nic)
{
	return plx_vfu_connected(nic->vfu);
}

bool soft_nic_listening(const struct soft_nic *nic)
{
	return nic->rx_on && nic_reg(nic, E1000_STATUS) & E1000_STATUS_LU;
}

void soft_nic_totals(const struct soft_nic *nic, struct soft_nic_totals *totals)
{
	const uint64_t *count = nic->count;

	/* On the wire there is an FCS, which nobody asks for here. */
	totals->rx_packets = count[NIC_RX_PACKETS];
	totals->rx_bytes = count[NIC_RX_BYTES] - count[NIC_RX_PACKETS] * NIC_FCS_LEN;
	totals->tx_packets = count[NIC_TX_PACKETS];
	totals->tx_bytes = count[NIC_TX_BYTES] - count[NIC_TX_PACKETS] * NIC_FCS_LEN;
	totals->missed = count[NIC_RX_MISSED];
	totals->filtered = count[NIC_RX_FILTERED];
	totals->errors = nic->errors + count[NIC_RX_LONG];
	totals->unknown = nic->unknown;
	totals->clients = nic->clients;
}
