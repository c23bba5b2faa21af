/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a controller, and its PCI side: config space, BARs, reset.
 */
#include <errno.h>
#include <stdarg.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio.h>
#include <pollux/log.h>

#include "snvme.h"

#define VENDOR 0x504c /* nobody's, of those that PCI-SIG has assigned */
#define DEVICE 0x0001
#define CLASS  0x010802
#define PAGE   4096u

#define NS_PER_MS 1000000u

void snvme_say(struct soft_nvme *nvme, const char *fmt, ...)
{
	char text[160];
	va_list args;

	if (!plx_vfu_may_say(nvme->vfu))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	plx_err("%s: %s", nvme->name, text);
}

/*
 * What the server calls.
 */
static int nvme_access(void *model, unsigned region, uint64_t offset, void *buf, size_t len,
		       bool write)
{
	struct soft_nvme *nvme = model;
	int err;

	switch (region) {
	case VFIO_PCI_BAR0_REGION_INDEX: snvme_reg_access(nvme, offset, buf, len, write); return 0;
	case SNVME_BAR_MSIX:
		/* The client routes vectors itself; what it writes there is only kept. */
		if (write)
			memcpy(nvme->msix + offset, buf, len);
		else
			memcpy(buf, nvme->msix + offset, len);
		return 0;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		err = plx_vfu_config_access(&nvme->config, offset, buf, len, write);
		if (write)
			snvme_update(nvme);
		return err;
	default: return -EINVAL;
	}
}

static void nvme_dma_changed(void *model)
{
	struct soft_nvme *nvme = model;

	if (snvme_queues_find(nvme))
		return;
	snvme_say(nvme, "failed: memory of a queue or of shadow doorbells was unmapped");
	snvme_queues_close(nvme);
	snvme_fatal(nvme);
}

static void power_on(void *model, enum plx_vfu_reset why)
{
	struct soft_nvme *nvme = model;

	(void)why;
	snvme_reg_reset(nvme);
	snvme_queues_find(nvme);
	plx_vfu_config_reset(&nvme->config);
	memset(nvme->msix, 0, sizeof(nvme->msix));
}

static const struct plx_vfu_ops nvme_ops = {
	.access = nvme_access,
	.reset = power_on,
	.dma_changed = nvme_dma_changed,
};

/*
 * Making and unmaking.
 */
static uint64_t power_of_two(uint64_t at_least)
{
	uint64_t size = 1;

	while (size < at_least)
		size *= 2;
	return size;
}

static uint64_t bar0_len(const struct soft_nvme *nvme)
{
	return power_of_two(NVME_DOORBELLS + nvme->doorbells_len);
}

static int config_init(struct soft_nvme *nvme)
{
	static const struct plx_vfu_ids ids = {
		.vendor = VENDOR,
		.device = DEVICE,
		.subvendor = VENDOR,
		.class_code = CLASS,
	};
	struct plx_vfu_config *config = &nvme->config;
	int err = plx_vfu_config_init(config, PLX_VFU_CONFIG_MAX, &ids);

	if (!err)
		err = plx_vfu_config_bar(config, 0, bar0_len(nvme), PLX_VFU_BAR_64);
	if (!err && nvme->cmb_len)
		err = plx_vfu_config_bar(config, SNVME_BAR_CMB, power_of_two(nvme->cmb_len),
					 PLX_VFU_BAR_64 | PLX_VFU_BAR_PREFETCH);
	if (!err)
		err = plx_vfu_config_bar(config, SNVME_BAR_MSIX, SNVME_MSIX_LEN, 0);
	if (!err)
		err = plx_vfu_config_pm(config);
	if (err >= 0)
		err = plx_vfu_config_msix(config, nvme->queues + 1, SNVME_BAR_MSIX, 0,
					  SNVME_BAR_MSIX, SNVME_MSIX_PBA);
	if (err >= 0)
		err = plx_vfu_config_pcie(config);
	return err < 0 ? err : 0;
}

static int serve(struct soft_nvme *nvme, const char *path)
{
	const struct plx_vfio_area doorbells = { NVME_DOORBELLS, nvme->doorbells_len };
	const uint64_t cmb_bar = nvme->cmb_len ? power_of_two(nvme->cmb_len) : 0;
	const struct plx_vfio_area cmb = { 0, cmb_bar };
	const struct plx_vfu_desc desc = {
		.name = nvme->name,
		.ops = &nvme_ops,
		.region = {
			[VFIO_PCI_BAR0_REGION_INDEX] = { .size = bar0_len(nvme),
							 .areas = &doorbells, .nareas = 1 },
			[SNVME_BAR_CMB] = { .size = cmb_bar, .areas = &cmb, .nareas = !!cmb_bar },
			[SNVME_BAR_MSIX] = { .size = SNVME_MSIX_LEN },
			[VFIO_PCI_CONFIG_REGION_INDEX] = { .size = PLX_VFU_CONFIG_MAX },
		},
		.irqs = { [VFIO_PCI_MSIX_IRQ_INDEX] = nvme->queues + 1 },
	};
	uint8_t *bar;
	int err = plx_vfu_create(&desc, nvme, path, &nvme->vfu);

	/* About a path that is taken it has been more precise. */
	if (err && err != -EADDRINUSE)
		plx_err("%s: no socket can be made here: %s", path, strerror(-err));
	if (err)
		return err;
	bar = plx_vfu_region_mem(nvme->vfu, VFIO_PCI_BAR0_REGION_INDEX);
	nvme->doorbells = bar + NVME_DOORBELLS;
	nvme->cmb = cmb_bar ? plx_vfu_region_mem(nvme->vfu, SNVME_BAR_CMB) : NULL;
	return 0;
}

static int namespaces_open(struct soft_nvme *nvme, const struct soft_nvme_conf *conf)
{
	int err = 0;

	for (unsigned i = 0; i < conf->namespaces && !err; i++) {
		struct snvme_ns *ns = &nvme->ns[i];
		const struct snvme_format *formats;
		unsigned count, format = 0;

		nvme->ns_conf[i] = conf->ns[i];
		ns->conf = &nvme->ns_conf[i];
		ns->nsid = i + 1;
		err = snvme_disk_open(nvme, ns->conf, &ns->disk);
		if (err)
			break;
		formats = snvme_formats(ns, &count);
		while (format + 1 < count && (1u << formats[format].shift != ns->conf->block ||
					      !!formats[format].meta != ns->conf->metadata))
			format++;
		nvme->namespaces++;
		snvme_ns_set(nvme, ns, format, false);
	}
	return err;
}

/* FNV-1a. */
static uint32_t hash(const char *text)
{
	uint32_t sum = 2166136261u;

	while (*text)
		sum = (sum ^ (uint8_t)*text++) * 16777619u;
	return sum;
}

static int init(struct soft_nvme *nvme, const struct soft_nvme_conf *conf)
{
	const uint32_t pair = 8u << conf->stride;
	int err;

	nvme->name = strdup(conf->path);
	if (!nvme->name)
		return -ENOMEM;
	nvme->queues = conf->queues;
	nvme->entries = conf->entries;
	nvme->stride = conf->stride;
	nvme->transfer = conf->transfer;
	nvme->inject = conf->inject;
	nvme->hash = hash(conf->path);
	nvme->doorbells_len = ((conf->queues + 1) * pair + PAGE - 1) / PAGE * PAGE;
	nvme->cmb_len = conf->cmb;
	err = namespaces_open(nvme, conf);
	if (!err)
		err = config_init(nvme);
	if (!err)
		err = serve(nvme, conf->path);
	return err;
}

int soft_nvme_create(const struct soft_nvme_conf *conf, struct soft_nvme **made)
{
	struct soft_nvme *nvme = aligned_alloc(64, (sizeof(*nvme) + 63) / 64 * 64);
	int err;

	if (!nvme)
		return -ENOMEM;
	memset(nvme, 0, sizeof(*nvme));
	err = init(nvme, conf);
	if (err) {
		soft_nvme_destroy(nvme);
		return err;
	}
	snvme_reg_init(nvme);
	power_on(nvme, PLX_VFU_RESET_ASKED);
	*made = nvme;
	return 0;
}

void soft_nvme_destroy(struct soft_nvme *nvme)
{
	if (!nvme)
		return;
	plx_vfu_destroy(nvme->vfu);
	snvme_files_destroy(nvme);
	for (unsigned i = 0; i < SOFT_NVME_NAMESPACES; i++)
		snvme_disk_close(nvme->ns[i].disk);
	free((char *)nvme->name);
	free(nvme);
}

/*
 * Turns.
 */
unsigned soft_nvme_turn(struct soft_nvme *nvme)
{
	unsigned moved = 0;

	for (unsigned i = 0; likely(nvme->running) && i < nvme->polled_count; i++) {
		struct snvme_sq *sq = nvme->polled[i];

		if (likely(le32toh(*sq->doorbell) == sq->head))
			continue;
		moved += sq->id ? snvme_io_turn(nvme, sq) : snvme_admin_turn(nvme, sq);
	}
	if (unlikely(nvme->busy)) {
		moved += snvme_files_turn(nvme);
		/* The kernel writes files in a thread, which may be waiting for this CPU. */
		if (!moved)
			sched_yield();
	}
	return moved;
}

/* A host that says nothing for so long is taken for dead [Base 3.9]. */
static void check_alive(struct soft_nvme *nvme)
{
	const uint64_t limit = (uint64_t)nvme->feature.kato * NS_PER_MS;

	if (!limit || !nvme->running || nvme->now - nvme->alive < limit)
		return;
	snvme_say(nvme, "failed: no Keep Alive for %u ms", nvme->feature.kato);
	snvme_fatal(nvme);
}

int soft_nvme_serve(struct soft_nvme *nvme, uint64_t now)
{
	bool connected;
	int ret;

	nvme->now = now;
	ret = plx_vfu_poll(nvme->vfu);
	connected = plx_vfu_connected(nvme->vfu);
	nvme->clients += connected && !nvme->was_connected;
	nvme->was_connected = connected;
	if (nvme->running) {
		if (nvme->shadow)
			snvme_dbbuf_events(nvme);
		snvme_unused_doorbells(nvme);
		snvme_events_tell(nvme);
		check_alive(nvme);
	}
	return ret;
}

int soft_nvme_fd(const struct soft_nvme *nvme)
{
	return plx_vfu_fd(nvme->vfu);
}

int soft_nvme_more_fd(const struct soft_nvme *nvme)
{
	return snvme_files_fd(nvme);
}

bool soft_nvme_connected(const struct soft_nvme *nvme)
{
	return plx_vfu_connected(nvme->vfu);
}

void soft_nvme_totals(const struct soft_nvme *nvme, struct soft_nvme_totals *totals)
{
	*totals = (struct soft_nvme_totals){
		.commands = nvme->commands + nvme->done[0] + nvme->done[1],
		.reads = nvme->done[1],
		.read_bytes = nvme->bytes[1],
		.writes = nvme->done[0],
		.written_bytes = nvme->bytes[0],
		.admin = nvme->admin,
		.errors = nvme->errors,
		.injected = nvme->injected,
		.faults = nvme->faults,
		.unknown = nvme->unknown,
		.resets = nvme->resets,
		.clients = nvme->clients,
	};
}
