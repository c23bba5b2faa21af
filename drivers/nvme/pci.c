/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver as the PCI bus knows it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "nvme.h"

#define NVME_CLASS 0x010802 /* mass storage, non-volatile memory, NVM Express I/O controller */

/* The admin queue's doorbells. */
#define BAR_LEN_MIN (NVME_DOORBELLS + 8u)

static struct plx_pci_driver nvme_driver;

/* A decimal number up to max and nothing else. */
static int number(const char *text, size_t len, uint32_t max, uint32_t *value)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || sum > max)
			return -EINVAL;
		sum = sum * 10 + (uint64_t)(text[i] - '0');
	}
	if (!len || !sum || sum > max)
		return -EINVAL;
	*value = (uint32_t)sum;
	return 0;
}

static int on_off(const char *text, size_t len, bool *off)
{
	*off = len == 3 && !memcmp(text, "off", 3);
	return *off || (len == 2 && !memcmp(text, "on", 2)) ? 0 : -EINVAL;
}

static bool is(const char *key, size_t len, const char *name)
{
	return len == strlen(name) && !memcmp(key, name, len);
}

/* One "key=value", of which the bus has checked the form. */
static int parse_key(struct nvme_options *opts, const char *text, size_t len)
{
	const char *value = (const char *)memchr(text, '=', len) + 1;
	size_t key_len = (size_t)(value - text) - 1, value_len = len - key_len - 1;

	if (is(text, key_len, "sgl"))
		return on_off(value, value_len, &opts->no_sgl);
	if (is(text, key_len, "dbbuf")) {
		int err = on_off(value, value_len, &opts->no_dbbuf);

		opts->dbbuf = !err && !opts->no_dbbuf;
		return err;
	}
	if (is(text, key_len, "cmb"))
		return on_off(value, value_len, &opts->no_cmb);
	if (is(text, key_len, "page"))
		return number(value, value_len, PLX_FRAME_SIZE, &opts->page);
	if (is(text, key_len, "queues"))
		return number(value, value_len, UINT16_MAX - 1, &opts->queues);
	if (is(text, key_len, "keep-alive"))
		return number(value, value_len, 3600000, &opts->keep_alive);
	return -EINVAL;
}

static int parse_args(struct plx_nvme_ctrl *ctrl)
{
	const char *text = ctrl->pci->args;

	while (*text) {
		size_t len = strcspn(text, ",");

		if (parse_key(&ctrl->opts, text, len)) {
			plx_err("-a %s: '%.*s' is none of sgl=off, dbbuf=on|off, cmb=off, "
				"page=BYTES, queues=N, keep-alive=MS",
				ctrl->info.name, (int)len, text);
			return -EINVAL;
		}
		text += len + (text[len] == ',');
	}
	return 0;
}

static void free_ctrl(struct plx_nvme_ctrl *ctrl)
{
	struct plx_ioas *ioas = ctrl->pci->ioas;

	nvme_free_namespaces(ctrl);
	nvme_qpair_free(ctrl->admin);
	plx_dma_free(ioas, &ctrl->dbbuf_event);
	plx_dma_free(ioas, &ctrl->dbbuf_shadow);
	free(ctrl->qid_used);
	pthread_mutex_destroy(&ctrl->lock);
	free(ctrl);
}

static int nvme_probe(struct plx_pci *pci)
{
	struct plx_nvme_ctrl *ctrl = calloc(1, sizeof(*ctrl));
	int err;

	if (!ctrl)
		return -ENOMEM;
	ctrl->pci = pci;
	ctrl->info.name = pci->name;
	ctrl->info.node = pci->node;
	LIST_INIT(&ctrl->qpairs);
	LIST_INIT(&ctrl->namespaces);
	pthread_mutex_init(&ctrl->lock, NULL);
	err = parse_args(ctrl);
	err = err ? err : plx_pci_bar(pci, 0, BAR_LEN_MIN, &ctrl->bar);
	err = err ? err : nvme_ctrl_start(ctrl);
	if (err) {
		free_ctrl(ctrl);
		return err;
	}
	pci->priv = ctrl;
	plx_info("%s: %s, serial %s, %u queue pairs of up to %u", pci->name, ctrl->info.model,
		 ctrl->info.serial, ctrl->info.max_queues, ctrl->info.max_depth);
	return 0;
}

static void nvme_remove(struct plx_pci *pci)
{
	struct plx_nvme_ctrl *ctrl = pci->priv;
	struct plx_nvme_qpair *q;

	/* What the application left behind: every callback runs. */
	while ((q = LIST_FIRST(&ctrl->qpairs)))
		plx_nvme_qpair_destroy(q);
	nvme_ctrl_shutdown(ctrl);
	free_ctrl(ctrl);
}

struct plx_nvme_ctrl *plx_nvme_ctrl_get(const struct plx_pci *pci)
{
	return pci->driver == &nvme_driver ? pci->priv : NULL;
}

static const struct plx_pci_id nvme_ids[] = {
	PLX_PCI_CLASS(NVME_CLASS, 0xffffff),
	{ .vendor = 0 },
};

static const char *const nvme_keys[] = {
	"sgl", "dbbuf", "cmb", "page", "queues", "keep-alive", NULL
};

static struct plx_pci_driver nvme_driver = {
	.name = "pollux_nvme",
	.ids = nvme_ids,
	.probe = nvme_probe,
	.remove = nvme_remove,
	.keys = nvme_keys,
};

PLX_PCI_DRIVER(nvme_driver)
