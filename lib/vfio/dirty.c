/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dirty tracking: which pages devices wrote to. Every context of the address space takes part, or
 * there is none: pages that one of them may have missed would be taken for clean.
 */
#include <errno.h>
#include <string.h>

#include "ioas.h"
#include "refusal.h"

int plx_dirty_join(const struct plx_ioas *ioas, struct plx_iommu *iommu, struct plx_refusal *why)
{
	int err;

	if (!ioas->tracking)
		return 0;
	err = iommu->ops->track ? iommu->ops->track(iommu, true) : -EOPNOTSUPP;
	return err ? plx_refuse_about(why, PLX_REFUSED_POLICY, err, iommu->ops->name,
				      PLX_REMEDY_NO_TRACKING,
				      "the address space tracks dirty pages, which %s can't: %s",
				      iommu->ops->name, strerror(-err))
		   : 0;
}

/* Off in all contexts before end. The first error. */
static int stop_before(struct plx_ioas *ioas, const struct plx_iommu *end)
{
	struct plx_iommu *iommu;
	int first_err = 0, err;

	for (iommu = ioas->contexts; iommu != end; iommu = iommu->next) {
		err = iommu->ops->track(iommu, false);
		if (err && !first_err)
			first_err = err;
	}
	return first_err;
}

static int start(struct plx_ioas *ioas, struct plx_refusal *why)
{
	struct plx_iommu *iommu;
	int err;

	ioas->tracking = true;
	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		err = plx_dirty_join(ioas, iommu, why);
		if (!err)
			continue;
		stop_before(ioas, iommu);
		ioas->tracking = false;
		return err;
	}
	return 0;
}

int plx_ioas_dirty_start(struct plx_ioas *ioas, struct plx_refusal *why)
{
	struct plx_refusal own = { 0 };
	int err;

	pthread_mutex_lock(&ioas->lock);
	err = ioas->tracking ? -EALREADY : start(ioas, why ? why : &own);
	pthread_mutex_unlock(&ioas->lock);
	return plx_refusal_tell(why, &own, err);
}

int plx_ioas_dirty_stop(struct plx_ioas *ioas)
{
	int err = 0;

	pthread_mutex_lock(&ioas->lock);
	if (ioas->tracking)
		err = stop_before(ioas, NULL);
	ioas->tracking = false;
	pthread_mutex_unlock(&ioas->lock);
	return err;
}

/* Adds the bits of one segment to those of its mapping, where it begins at bit number at. */
static void add_bits(uint64_t *to, uint64_t at, const uint64_t *from, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		if (from[i / 64] >> i % 64 & 1)
			to[(at + i) / 64] |= UINT64_C(1) << (at + i) % 64;
}

/* One segment in all contexts. scratch has room for its bits. */
static int read_seg(struct plx_ioas *ioas, const struct plx_mapping *m, const struct plx_seg *s,
		    uint64_t *scratch, uint64_t *bitmap)
{
	uint64_t pages = s->len / ioas->base_page;
	struct plx_iommu *iommu;
	int err;

	for (iommu = ioas->contexts; iommu; iommu = iommu->next) {
		memset(scratch, 0, PLX_DIRTY_WORDS(pages) * sizeof(*scratch));
		err = iommu->ops->dirty(iommu, s->dma, s->len, ioas->base_page, scratch);
		/* Even on an error: what is in there was told for the first and last time. */
		add_bits(bitmap, (s->va - m->va) / ioas->base_page, scratch, pages);
		if (err)
			return err;
	}
	return 0;
}

static int read_mapping(struct plx_ioas *ioas, const struct plx_mapping *m, uint64_t *bitmap)
{
	uint64_t *scratch;
	unsigned int i;
	int err = 0;

	scratch = plx_sys->alloc(PLX_DIRTY_WORDS(m->len / ioas->base_page) * sizeof(*scratch));
	if (!scratch)
		return -ENOMEM;
	for (i = 0; !err && i < m->nsegs; i++)
		err = read_seg(ioas, m, &m->seg[i], scratch, bitmap);
	plx_sys->free(scratch);
	return err;
}

int plx_ioas_dirty_read(struct plx_ioas *ioas, const void *va, size_t len, uint64_t *bitmap)
{
	struct plx_mapping *m;
	int err;

	pthread_mutex_lock(&ioas->lock);
	err = ioas->tracking ? plx_ioas_lookup(ioas, va, len, &m) : -ENODATA;
	if (!err)
		err = read_mapping(ioas, m, bitmap);
	pthread_mutex_unlock(&ioas->lock);
	return err;
}
