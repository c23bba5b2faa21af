/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contexts that join an address space, and leave it: what their IOMMUs can map, and giving all that
 * is mapped already to who comes late.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ioas.h"
#include "refusal.h"

/* MSI windows of x86 and of Arm SMMUs (MSI_IOVA_BASE): kept clear before any context tells. */
static const struct plx_range msi_windows[] = {
	{ 0xfee00000, 0xfeefffff },
	{ 0x08000000, 0x080fffff },
};

/* What can be mapped with no context to ask. */
static int default_ranges(struct plx_ranges *ranges)
{
	unsigned int i;
	int err;

	err = plx_ranges_add(ranges, PLX_IOVA_FALLBACK_FIRST, PLX_IOVA_FALLBACK_LAST);
	for (i = 0; !err && i < sizeof(msi_windows) / sizeof(*msi_windows); i++)
		err = plx_ranges_remove(ranges, msi_windows[i].first, msi_windows[i].last);
	return err;
}

static int narrow(struct plx_ranges *all, const struct plx_ranges *by)
{
	struct plx_ranges both = { 0 };
	int err = plx_ranges_intersect(&both, all, by);

	plx_ranges_free(all);
	*all = both;
	return err;
}

int plx_ioas_narrow(struct plx_ioas *ioas, const struct plx_iommu *more)
{
	bool some = more && more->ops->translates;
	const struct plx_iommu *iommu;
	struct plx_ranges all = { 0 };
	int err;

	err = plx_ranges_add(&all, 0, UINT64_MAX);
	if (!err && some)
		err = narrow(&all, &more->ranges);
	for (iommu = ioas->contexts; !err && iommu; iommu = iommu->next) {
		if (!iommu->ops->translates)
			continue;
		err = narrow(&all, &iommu->ranges);
		some = true;
	}
	if (!err && !some) {
		plx_ranges_free(&all);
		err = default_ranges(&all);
	}
	if (err) {
		plx_ranges_free(&all);
		return err;
	}
	plx_ranges_free(&ioas->allowed);
	ioas->allowed = all;
	return 0;
}

/* Into a list that is empty. */
static int read_ranges(struct plx_iommu *iommu, struct plx_refusal *why)
{
	int err = iommu->ops->translates ? iommu->ops->ranges(iommu, &iommu->ranges) : 0;

	return err ? plx_refuse(why, PLX_REFUSED_KERNEL, err,
				"%s doesn't tell its address ranges: %s", iommu->ops->name,
				strerror(-err))
		   : 0;
}

/* A mapping whose physical addresses a new context was the first to tell. */
static int settle(struct plx_ioas *ioas, const struct plx_mapping *m, struct plx_refusal *why)
{
	int err = plx_mapping_apply_all(ioas, m, true, why);

	if (err)
		return err;
	err = plx_place_publish(ioas, m, why);
	if (err)
		plx_mapping_revoke_all(ioas, m, true);
	return err;
}

/* Gives a mapping to a context that isn't in the list yet. */
static int replay_one(struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_mapping *m,
		      struct plx_refusal *why)
{
	struct plx_neighbours around = plx_neighbours_of(m);
	bool known = m->nsegs;
	int err;

	if (iommu->ops->translates) {
		err = plx_place_check(ioas, m, &iommu->ranges, why);
		return err ? err : plx_mapping_apply(ioas, iommu, m, why);
	}
	err = plx_mapping_apply(ioas, iommu, m, why);
	if (err)
		return err;
	err = plx_place_agree(m, iommu, why);
	if (!err && !known) {
		err = settle(ioas, m, why);
		if (err)
			plx_unplace(ioas, m, &around);
	}
	if (err)
		plx_mapping_revoke(iommu, m);
	return err;
}

/* Takes back from a context all mappings below m; all there are if m is NULL. */
static void take_back(struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_mapping *m)
{
	struct plx_mapping *at = m ? RB_PREV(plx_mappings, &ioas->mappings, m)
				   : RB_MAX(plx_mappings, &ioas->mappings);

	for (; at; at = RB_PREV(plx_mappings, &ioas->mappings, at))
		plx_mapping_revoke(iommu, at);
}

static int replay(struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_refusal *why)
{
	struct plx_mapping *m;
	uint64_t maps = 0;
	int err;

	/* Known before anything is pinned. */
	RB_FOREACH(m, plx_mappings, &ioas->mappings)
		maps += plx_mapping_count(iommu, m);
	err = plx_iommu_has_room(iommu, maps, why);
	if (err)
		return err;
	RB_FOREACH(m, plx_mappings, &ioas->mappings) {
		err = replay_one(ioas, iommu, m, why);
		if (err) {
			take_back(ioas, iommu, m);
			return err;
		}
	}
	return 0;
}

/* A context that is in use already: its maps are there, its ranges may have become narrower. */
static int check_all(struct plx_ioas *ioas, const struct plx_iommu *iommu, struct plx_refusal *why)
{
	struct plx_mapping *m;
	int err;

	if (!iommu->ops->translates)
		return 0;
	RB_FOREACH(m, plx_mappings, &ioas->mappings) {
		err = plx_place_check(ioas, m, &iommu->ranges, why);
		if (err)
			return err;
	}
	return 0;
}

static int try_join(struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_refusal *why)
{
	bool fresh = !iommu->devices;
	int err;

	err = read_ranges(iommu, why);
	if (!err && fresh)
		err = plx_dirty_join(ioas, iommu, why);
	if (!err)
		err = fresh ? replay(ioas, iommu, why) : check_all(ioas, iommu, why);
	if (err)
		return err;
	err = plx_ioas_narrow(ioas, iommu);
	if (err) {
		if (fresh)
			take_back(ioas, iommu, NULL);
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "out of memory for book-keeping");
	}
	if (fresh) {
		iommu->next = ioas->contexts;
		ioas->contexts = iommu;
	}
	iommu->devices++;
	return 0;
}

int plx_ioas_join(struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_refusal *why)
{
	struct plx_ranges before = iommu->ranges;
	int err;

	if (!iommu->ops->translates && ioas->policy.addr != PLX_ADDR_PA)
		return plx_refuse_about(
			why, PLX_REFUSED_POLICY, -EOPNOTSUPP, "IOVA", PLX_REMEDY_USUAL,
			"no-IOMMU needs physical addresses, but the address space was made for "
			"IOVA = %s (%.60s)",
			plx_addr_policy_name(ioas->policy.addr), ioas->policy.reason);
	iommu->ranges = (struct plx_ranges){ 0 };
	err = try_join(ioas, iommu, why);
	/* A device that didn't come narrows nothing. */
	plx_ranges_free(err ? &iommu->ranges : &before);
	if (err)
		iommu->ranges = before;
	return err;
}

void plx_ioas_widen(struct plx_ioas *ioas, struct plx_iommu *iommu)
{
	struct plx_ranges before = iommu->ranges;

	if (!iommu->ops->translates)
		return;
	iommu->ranges = (struct plx_ranges){ 0 };
	if (iommu->ops->ranges(iommu, &iommu->ranges)) {
		plx_ranges_free(&iommu->ranges);
		iommu->ranges = before;
		return;
	}
	plx_ranges_free(&before);
	plx_ioas_narrow(ioas, NULL);
}

void plx_ioas_leave(struct plx_ioas *ioas, struct plx_iommu *iommu)
{
	struct plx_iommu **at;

	if (iommu->devices > 1) {
		iommu->devices--;
		plx_ioas_widen(ioas, iommu);
		return;
	}
	for (at = &ioas->contexts; *at; at = &(*at)->next) {
		if (*at == iommu) {
			*at = iommu->next;
			/* Too strict is safe: what can't be worked out anew stays as it was. */
			plx_ioas_narrow(ioas, NULL);
			/* What is ours alone goes with all that is in it. */
			if (iommu->given >= 0)
				plx_mapping_revoke_everything(ioas, iommu);
			break;
		}
	}
	plx_ranges_free(&iommu->ranges);
	iommu->ops->destroy(iommu);
}
