/* SPDX-License-Identifier: BSD-3-Clause */
/* What the controller is and which namespaces it has [Base 5.17, NVM 4.1.5]. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "nvme.h"

#define SQES 6 /* log2 of the entry sizes that we use */
#define CQES 4

#define SHUTDOWN_MAX_MS 60000 /* RTD3E could say more than an hour */

#define LBADS_MIN 9 /* smaller ones are not in use [NVM 4.1.5.1] */
#define LBADS_MAX 20

/* A field that is padded with spaces, or with what we'd rather not print. */
static void copy_text(char *to, const char *from, size_t len)
{
	while (len && (from[len - 1] == ' ' || !from[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[len] = '\0';
}

static bool in_nibbles(uint8_t sizes, unsigned want)
{
	return (sizes & 0xf) <= want && want <= sizes >> 4;
}

/* A limit as a power of two, in units of the smallest page; 0: there is none. */
static uint64_t limit_of(const struct plx_nvme_ctrl *ctrl, uint8_t limit)
{
	unsigned shift = limit + NVME_PAGE_SHIFT + NVME_CAP_MPSMIN(ctrl->cap);

	return limit && shift < 64 ? UINT64_C(1) << shift : 0;
}

static void set_limits(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_id_ctrl *id)
{
	uint64_t transfer = limit_of(ctrl, id->mdts);
	uint32_t sgls = le32toh(id->sgls) & PLX_NVME_SGLS_SUPPORT;
	uint32_t rtd3e_ms = le32toh(id->rtd3e) / 1000;

	ctrl->info.max_transfer = transfer <= UINT32_MAX ? (size_t)transfer : 0;
	ctrl->info.sgl = !ctrl->opts.no_sgl && (sgls == 1 || sgls == 2);
	ctrl->abort_limit = id->acl + 1u < NVME_ABORTS_MAX ? id->acl + 1u : NVME_ABORTS_MAX;
	ctrl->event_limit = id->aerl + 1u < NVME_EVENTS_MAX ? id->aerl + 1u : NVME_EVENTS_MAX;
	if (rtd3e_ms > ctrl->shutdown_ms)
		ctrl->shutdown_ms = rtd3e_ms < SHUTDOWN_MAX_MS ? rtd3e_ms : SHUTDOWN_MAX_MS;
}

/* Asked for, rounded up to what the controller counts in; not there, it isn't missed. */
static void set_keep_alive(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_id_ctrl *id)
{
	uint32_t unit = le16toh(id->kas) * 100u;

	ctrl->keep_alive_ms = 0;
	if (!ctrl->opts.keep_alive)
		return;
	if (!unit)
		plx_warn("%s: keep-alive=%u: this controller has no keep alive", ctrl->info.name,
			 ctrl->opts.keep_alive);
	else
		ctrl->keep_alive_ms = (ctrl->opts.keep_alive + unit - 1) / unit * unit;
}

static int take_ctrl(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_id_ctrl *id)
{
	struct plx_nvme_ctrl_info *info = &ctrl->info;

	if (!in_nibbles(id->sqes, SQES) || !in_nibbles(id->cqes, CQES)) {
		plx_err("%s: no queue entries of 64 and 16 bytes (SQES %02x, CQES %02x)",
			info->name, id->sqes, id->cqes);
		return -EOPNOTSUPP;
	}
	copy_text(info->serial, id->sn, sizeof(id->sn));
	copy_text(info->model, id->mn, sizeof(id->mn));
	copy_text(info->firmware, id->fr, sizeof(id->fr));
	info->vendor = le16toh(id->vid);
	info->oacs = le16toh(id->oacs);
	info->oncs = le16toh(id->oncs);
	info->write_cache = id->vwc & PLX_NVME_VWC_PRESENT;
	ctrl->ns_limit = le32toh(id->nn);
	ctrl->oaes = le32toh(id->oaes);
	set_limits(ctrl, id);
	set_keep_alive(ctrl, id);
	return 0;
}

/*
 * What Verify and Write Zeroes are limited to, which move no data [NVM 4.1.5.4]. Controllers that
 * know nothing of that page, as before 2.0, have no such limits.
 */
static int identify_limits(struct plx_nvme_ctrl *ctrl, struct plx_nvme_id_ctrl_nvm *id)
{
	int err;

	ctrl->verify_max = ctrl->zeroes_max = 0;
	if (ctrl->info.version < NVME_VS_2_0 && !(ctrl->cap & NVME_CAP_CSS_IO))
		return 0;
	err = nvme_identify(ctrl, PLX_NVME_CNS_IOCS_CTRL, 0, id);
	if (err)
		return err < 0 ? err : 0;
	ctrl->verify_max = limit_of(ctrl, id->vsl);
	ctrl->zeroes_max = limit_of(ctrl, id->wzsl);
	return 0;
}

int nvme_identify_ctrl(struct plx_nvme_ctrl *ctrl)
{
	union {
		struct plx_nvme_id_ctrl ctrl;
		struct plx_nvme_id_ctrl_nvm nvm;
	} *id = malloc(sizeof(*id));
	int err;

	if (!id)
		return -ENOMEM;
	err = nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, &id->ctrl);
	if (err)
		plx_err("%s: Identify Controller: %s", ctrl->info.name, plx_nvme_error(err));
	err = err ? err : take_ctrl(ctrl, &id->ctrl);
	err = err ? err : identify_limits(ctrl, &id->nvm);
	free(id);
	return err;
}

static struct plx_nvme_ns *find(const struct plx_nvme_ctrl *ctrl, uint32_t nsid)
{
	struct plx_nvme_ns *ns;

	LIST_FOREACH(ns, &ctrl->namespaces, link) {
		if (ns->nsid == nsid)
			return ns;
	}
	return NULL;
}

/* Finds or makes it, in order. */
static int place(struct plx_nvme_ctrl *ctrl, uint32_t nsid, struct plx_nvme_ns **out)
{
	struct plx_nvme_ns *ns, *before = NULL, *made;

	LIST_FOREACH(ns, &ctrl->namespaces, link) {
		if (ns->nsid == nsid) {
			*out = ns;
			return 0;
		}
		if (ns->nsid > nsid)
			break;
		before = ns;
	}
	if (ctrl->ns_count == NVME_NS_MAX)
		return -E2BIG;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	ctrl->ns_count++;
	made->nsid = made->info.nsid = nsid;
	if (before)
		LIST_INSERT_AFTER(before, made, link);
	else
		LIST_INSERT_HEAD(&ctrl->namespaces, made, link);
	*out = made;
	return 0;
}

/* A boundary is heeded if it is a power of two: it is advice, and no division's worth. */
static uint64_t boundary_mask(uint16_t blocks)
{
	return blocks && !(blocks & (blocks - 1)) ? ~(uint64_t)(blocks - 1u) : 0;
}

/* All fields: between them there may be bytes that say nothing. */
static bool same_info(const struct plx_nvme_ns_info *a, const struct plx_nvme_ns_info *b)
{
	return a->blocks == b->blocks && a->block_size == b->block_size &&
	       a->meta_size == b->meta_size && a->extended == b->extended && a->pi == b->pi &&
	       a->lbaf == b->lbaf && !memcmp(a->nguid, b->nguid, sizeof(a->nguid)) &&
	       !memcmp(a->eui64, b->eui64, sizeof(a->eui64));
}

static bool take_ns(struct plx_nvme_ctrl *ctrl, struct plx_nvme_ns *ns,
		    const struct plx_nvme_id_ns *id)
{
	unsigned format = (id->flbas & 0xf) | (id->flbas >> 5 & 3) << 4;
	const struct plx_nvme_lbaf *lbaf = &id->lbaf[format];
	uint64_t boundary = boundary_mask(le16toh(id->noiob));
	struct plx_nvme_ns_info info = {
		.nsid = ns->nsid,
		.blocks = le64toh(id->nsze),
		.meta_size = le16toh(lbaf->ms),
		.pi = id->dps & 7,
		.lbaf = (uint8_t)format,
	};

	if (!info.blocks)
		return false;
	if (lbaf->lbads < LBADS_MIN || lbaf->lbads > LBADS_MAX) {
		plx_warn("%s: namespace %u has blocks of 2^%u bytes: not used", ctrl->info.name,
			 ns->nsid, lbaf->lbads);
		return false;
	}
	info.block_size = 1u << lbaf->lbads;
	info.extended = info.meta_size && id->flbas & 0x10;
	info.unit = info.block_size + (info.extended ? info.meta_size : 0);
	memcpy(info.nguid, id->nguid, sizeof(info.nguid));
	memcpy(info.eui64, id->eui64, sizeof(info.eui64));
	/* Queue pairs' threads may be reading it, when the controller is reset under them. */
	if (same_info(&ns->info, &info) && ns->fast.boundary_mask == boundary)
		return true;
	ns->info = info;
	ns->fast.word0 = (uint64_t)ns->nsid << 32;
	ns->unit = info.unit;
	ns->fast.boundary_mask = boundary;
	ns->separate_meta = info.meta_size && !info.extended;
	ns->fast.unit = ns->separate_meta ? UINT32_MAX : ns->unit;
	ns->strippable = info.pi && info.meta_size == NVME_PI_LEN;
	return true;
}

static int look_at(struct plx_nvme_ctrl *ctrl, uint32_t nsid, struct plx_nvme_id_ns *id)
{
	struct plx_nvme_ns *ns;
	int err = nvme_identify(ctrl, PLX_NVME_CNS_NS, nsid, id);

	/* One that can't be identified is of no use, and no reason to do without the others. */
	if (err > 0) {
		plx_warn("%s: namespace %u: %s", ctrl->info.name, nsid, plx_nvme_error(err));
		return 0;
	}
	err = err ? err : place(ctrl, nsid, &ns);
	if (!err)
		ns->seen = take_ns(ctrl, ns, id);
	return err;
}

/* Controllers before 1.1 have no list: all namespaces up to NN are active. */
static int look_at_all(struct plx_nvme_ctrl *ctrl, struct plx_nvme_id_ns *id)
{
	int err = 0;

	for (uint32_t nsid = 1; !err && nsid <= ctrl->ns_limit; nsid++)
		err = look_at(ctrl, nsid, id);
	return err;
}

/* The list has the ids after the one asked for, ascending: whatever doesn't ascend ends it. */
static int look_at_listed(struct plx_nvme_ctrl *ctrl, uint32_t *list, struct plx_nvme_id_ns *id)
{
	uint32_t last = 0;
	unsigned i;
	int err;

	do {
		err = nvme_identify(ctrl, PLX_NVME_CNS_ACTIVE_NS_LIST, last, list);
		for (i = 0; !err && i < PLX_NVME_NS_LIST_MAX; i++) {
			uint32_t nsid = le32toh(list[i]);

			if (nsid <= last || nsid > ctrl->ns_limit)
				break;
			last = nsid;
			err = look_at(ctrl, nsid, id);
		}
	} while (!err && i == PLX_NVME_NS_LIST_MAX && last < ctrl->ns_limit);
	return err;
}

int nvme_identify_namespaces(struct plx_nvme_ctrl *ctrl)
{
	struct plx_nvme_id_ns *id = malloc(sizeof(*id));
	uint32_t *list = malloc(PLX_NVME_IDENTIFY_LEN);
	struct plx_nvme_ns *ns;
	int err = id && list ? 0 : -ENOMEM;

	LIST_FOREACH(ns, &ctrl->namespaces, link)
		ns->seen = false;
	if (!err) {
		err = look_at_listed(ctrl, list, id);
		if (err == PLX_NVME_INVALID_FIELD)
			err = look_at_all(ctrl, id);
	}
	if (err == -E2BIG) {
		plx_warn("%s: it has more than %u namespaces: the others aren't used",
			 ctrl->info.name, NVME_NS_MAX);
		err = 0;
	}
	LIST_FOREACH(ns, &ctrl->namespaces, link)
		ns->active = ns->seen;
	if (err)
		plx_err("%s: the list of namespaces: %s", ctrl->info.name, plx_nvme_error(err));
	free(list);
	free(id);
	return err;
}

void nvme_free_namespaces(struct plx_nvme_ctrl *ctrl)
{
	struct plx_nvme_ns *ns;

	while ((ns = LIST_FIRST(&ctrl->namespaces))) {
		LIST_REMOVE(ns, link);
		free(ns);
	}
}

int plx_nvme_rescan(struct plx_nvme_ctrl *ctrl)
{
	int err;

	pthread_mutex_lock(&ctrl->lock);
	err = plx_nvme_ctrl_state(ctrl);
	err = err ? err : nvme_identify_namespaces(ctrl);
	pthread_mutex_unlock(&ctrl->lock);
	return err;
}

struct plx_nvme_ns *plx_nvme_ns_get(struct plx_nvme_ctrl *ctrl, uint32_t nsid)
{
	struct plx_nvme_ns *ns;

	pthread_mutex_lock(&ctrl->lock);
	ns = find(ctrl, nsid);
	if (ns && !ns->active)
		ns = NULL;
	pthread_mutex_unlock(&ctrl->lock);
	return ns;
}

struct plx_nvme_ns *plx_nvme_ns_next(struct plx_nvme_ctrl *ctrl, uint32_t nsid)
{
	struct plx_nvme_ns *ns;

	pthread_mutex_lock(&ctrl->lock);
	LIST_FOREACH(ns, &ctrl->namespaces, link) {
		if (ns->nsid > nsid && ns->active)
			break;
	}
	pthread_mutex_unlock(&ctrl->lock);
	return ns;
}

const struct plx_nvme_ns_info *plx_nvme_ns_info(const struct plx_nvme_ns *ns)
{
	return &ns->info;
}
