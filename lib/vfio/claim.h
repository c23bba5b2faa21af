/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ways to claim a device. The table of access modes, in claim.c, names one for each mode.
 */
#ifndef PLX_VFIO_CLAIM_H
#define PLX_VFIO_CLAIM_H

#include <pollux/facts.h>

#include "dev.h"

/* One attempt. */
struct plx_claim {
	struct plx_ioas *ioas;	 /* NULL: only foretelling */
	const char *socket;	 /* of a device that a process serves; or NULL */
	struct plx_facts *facts; /* of a PCI function; of others there are none */
	const struct plx_vfio_opts *opts;
	enum plx_vfio_mode mode;
	unsigned int *retries; /* left, for all modes of one plx_vfio_open() together */
};

struct plx_claim_ops {
	/* Whether sysfs and the nodes speak against it. Opens nothing. */
	int (*probe)(const struct plx_claim *claim, struct plx_refusal *why);
	/* Fills in ops, fd, iommu, group and how of dev. Lock of the address space held. */
	int (*open)(const struct plx_claim *claim, struct plx_vfio_dev *dev,
		    struct plx_refusal *why);
	void (*close)(struct plx_vfio_dev *dev);
};

extern const struct plx_claim_ops plx_claim_cdev;
extern const struct plx_claim_ops plx_claim_group;
extern const struct plx_claim_ops plx_claim_user;

/*
 * What a device's name stands for. -EINVAL: neither an address nor "user:PATH"; -ENAMETOOLONG: a
 * path that can be no socket's. The name must outlive the claim.
 */
int plx_claim_read_name(struct plx_claim *claim, const char *name);

/* Whether there is another try; it has waited for it. */
bool plx_claim_wait(const struct plx_claim *claim);

/* Opens a node of the device's. After a bind udev may still be at it: tries for a bounded time. */
int plx_claim_open_node(const struct plx_claim *claim, const char *path, struct plx_refusal *why);

/*
 * Whether a node is there and, when only foretelling, whether we may open it (when claiming, the
 * open itself tells).
 */
int plx_claim_check_node(const struct plx_claim *claim, const char *path, struct plx_refusal *why);

/*
 * Names the member of the group that keeps it from being used, if there is one: 0 if there isn't.
 */
int plx_claim_check_group(const struct plx_claim *claim, struct plx_refusal *why);

/* The usual reason for EPERM: with an IOMMU, that a device could forge interrupts. */
int plx_refuse_isolation(struct plx_refusal *why, int err);
int plx_refuse_rawio(struct plx_refusal *why, int err);

/* A VF token that the kernel doesn't take, or that is none. */
int plx_refuse_token(const struct plx_claim *claim, struct plx_refusal *why);
int plx_refuse_uuid(const struct plx_claim *claim, struct plx_refusal *why);

/*
 * plx_vfio_open() without its log lines and its events. A failure without a refusal is about the
 * name or memory. *refusals is zeroed by the caller.
 */
int plx_claim_device(struct plx_ioas *ioas, const char *name, const struct plx_vfio_opts *opts,
		     struct plx_vfio_dev **dev, struct plx_refusals *refusals);

/* All modes: probe, or probe and open. *taken is the mode that went through. */
int plx_claim_choose(struct plx_claim *claim, struct plx_vfio_dev *dev,
		     struct plx_refusals *refusals, enum plx_vfio_mode *taken);

#endif
