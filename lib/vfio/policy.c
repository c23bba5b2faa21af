/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Foretelling: which access mode a device would be claimed in, and which address policy suits a
 * set of devices. sysfs is read and nodes are looked at; nothing is opened, unless only the kernel
 * can say how wide an IOMMU is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "claim.h"

/*
 * Where our virtual addresses lie: EAL's hugepages from 4 GiB up, anything else up to the end of
 * user space.
 */
#define VA_BITS	 47
#define VA_FIRST (UINT64_C(1) << 32)
#define VA_LAST	 ((UINT64_C(1) << VA_BITS) - 1)

int plx_vfio_foresee(const char *name, const struct plx_vfio_opts *opts, enum plx_vfio_mode *mode,
		     struct plx_refusals *refusals)
{
	struct plx_refusals own;
	unsigned int retries = 0;
	struct plx_facts facts;
	struct plx_claim claim = { .facts = &facts, .opts = opts, .retries = &retries };
	int err;

	if (!refusals)
		refusals = &own;
	memset(refusals, 0, sizeof(*refusals));
	err = plx_claim_read_name(&claim, name);
	return err ? err : plx_claim_choose(&claim, NULL, refusals, mode);
}

/* PA beats ALLOC beats VA: the first reason for the strictest is kept. */
static void demand(struct plx_policy *policy, enum plx_addr_policy addr, const char *name,
		   const char *what)
{
	if (addr <= policy->addr)
		return;
	policy->addr = addr;
	snprintf(policy->reason, sizeof(policy->reason), "%s %s", name, what);
}

/*
 * Whether it is a process's: that takes any address and any memory. Its name tells; the process may
 * be late.
 */
static bool is_user(const struct plx_vfio_candidate *candidate)
{
	return !strncmp(candidate->name, "user:", 5);
}

static bool holds_our_addresses(struct plx_ioas *ioas)
{
	bool holds;

	pthread_mutex_lock(&ioas->lock);
	holds = plx_ranges_contain(&ioas->allowed, VA_FIRST, VA_LAST);
	pthread_mutex_unlock(&ioas->lock);
	return holds;
}

/*
 * Intel's IOMMUs tell their width in sysfs; of others only the kernel knows, and says it to who has
 * claimed the device. A descriptor that the caller handed in is not for trials: a cdev can be bound
 * but once.
 */
static bool too_narrow_on_trial(const struct plx_vfio_candidate *candidate)
{
	static const struct plx_policy any = { .addr = PLX_ADDR_ALLOC };
	const struct plx_vfio_opts *opts = candidate->opts;
	struct plx_refusals refusals = { 0 };
	struct plx_vfio_dev *dev;
	struct plx_ioas *ioas;
	bool narrow = false;

	if (opts->cdev_fd >= 0 || opts->group_fd >= 0 || opts->container_fd >= 0 ||
	    plx_ioas_create(&any, &ioas))
		return false;
	if (!plx_claim_device(ioas, candidate->name, opts, &dev, &refusals)) {
		narrow = !holds_our_addresses(ioas);
		plx_vfio_close(dev);
	}
	plx_ioas_destroy(ioas);
	return narrow;
}

static void consider(const struct plx_vfio_candidate *candidate, struct plx_policy *policy)
{
	enum plx_vfio_mode mode;
	struct plx_facts facts;
	unsigned int width;
	char what[96];

	/* A device that can't be claimed has no say. */
	if (plx_vfio_foresee(candidate->name, candidate->opts, &mode, NULL) ||
	    plx_facts_read(candidate->name, &facts))
		return;
	if (plx_vfio_mode_unsafe(mode)) {
		demand(policy, PLX_ADDR_PA, candidate->name,
		       "will be used without an IOMMU: it takes physical addresses");
		return;
	}
	width = plx_iommu_width(&facts);
	if (width && width < VA_BITS) {
		snprintf(what, sizeof(what),
			 "is behind an IOMMU of %u bits: virtual addresses have %u", width,
			 VA_BITS);
		demand(policy, PLX_ADDR_ALLOC, candidate->name, what);
	} else if (plx_iommu_reserves(&facts, VA_FIRST, VA_LAST)) {
		demand(policy, PLX_ADDR_ALLOC, candidate->name,
		       "has reserved addresses among our virtual ones");
	} else if (!width && policy->addr == PLX_ADDR_VA && too_narrow_on_trial(candidate)) {
		demand(policy, PLX_ADDR_ALLOC, candidate->name,
		       "is behind an IOMMU without room for virtual addresses");
	}
}

int plx_vfio_policy(const struct plx_vfio_candidate *devs, size_t count, struct plx_policy *policy)
{
	size_t i, users = 0;

	for (i = 0; i < count; i++)
		users += is_user(&devs[i]);
	*policy = (struct plx_policy){ .addr = PLX_ADDR_VA, .any_pages = count && users == count };
	snprintf(policy->reason, sizeof(policy->reason), "%s",
		 !count		  ? "there is no device to say otherwise"
		 : users == count ? "every device is a process's, which takes any address"
				  : "every device is behind an IOMMU that has room for virtual "
				    "addresses");
	for (i = 0; i < count; i++)
		consider(&devs[i], policy);
	return 0;
}
