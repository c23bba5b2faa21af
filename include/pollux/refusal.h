/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Refusals: why a device wasn't claimed in an access mode, or memory not mapped, for programs and
 * for people. Who makes such a call gives a place for it; where that may be NULL, and is, the
 * reason is logged instead.
 */
#ifndef POLLUX_REFUSAL_H
#define POLLUX_REFUSAL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum plx_refusal_code {
	PLX_REFUSED_NONE,
	PLX_REFUSED_NOT_ASKED,	/* the user restricted the modes */
	PLX_REFUSED_NO_DEVICE,	/* no such PCI function */
	PLX_REFUSED_DRIVER,	/* the device is bound to another driver, or to none */
	PLX_REFUSED_NODE,	/* a device node or kernel facility is missing */
	PLX_REFUSED_PERMISSION, /* a mode bit, a capability */
	PLX_REFUSED_BUSY,	/* somebody holds it */
	PLX_REFUSED_GROUP,	/* the group is not viable: a sibling is held by a kernel driver */
	PLX_REFUSED_IOMMU,	/* no IOMMU, or one that doesn't suit the device */
	PLX_REFUSED_ISOLATION,	/* interrupts aren't remapped: a device could forge them */
	PLX_REFUSED_UNSAFE,	/* no-IOMMU, not allowed by the user or the kernel */
	PLX_REFUSED_TOKEN,	/* VF token missing or wrong */
	PLX_REFUSED_MEMORY,	/* memory can't be mapped: limits, ranges, pages */
	PLX_REFUSED_POLICY,	/* the address policy of the address space can't be kept */
	PLX_REFUSED_KERNEL,	/* the kernel said no in a way we have no better word for */
	PLX_REFUSED_CODES,
};

const char *plx_refusal_name(enum plx_refusal_code code);

/* What a code means and what is usually done about it, as listed in doc/access-modes.md. */
const char *plx_refusal_meaning(enum plx_refusal_code code);
const char *plx_refusal_remedy(enum plx_refusal_code code);

#define PLX_REFUSAL_OBJECT_LEN 113 /* the longest is a device's name: PLX_VFIO_NAME_LEN */

/* The text is made of the rest: it is for people, the others are for programs. */
struct plx_refusal {
	enum plx_refusal_code code; /* PLX_REFUSED_NONE: nothing was refused, or not reached */
	int err;		    /* negative errno, or 0 */
	/* What it is about: a node, a function, a driver, a limit, a socket, addresses; or "". */
	char object[PLX_REFUSAL_OBJECT_LEN];
	/* What there is of it and what would be needed: bytes, maps, mode bits; or 0. */
	uint64_t found, wanted;
	const char *remedy; /* what to do; NULL: nothing that helps */
	char text[256];	    /* one sentence: the object, what is wrong, what to do */
};

#ifdef __cplusplus
}
#endif

#endif
