/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing the drivers of devices, all or none: the steps through sysfs, and taking them back.
 */
#ifndef DEVBIND_CHANGE_H
#define DEVBIND_CHANGE_H

#include "device.h"

struct change {
	const struct device *dev;    /* as it was before */
	char driver[PLX_NAME_LEN];   /* "": none */
	char override[PLX_NAME_LEN]; /* driver_override in the end; "": none */
	bool by_name;		     /* whatever ids the driver knows: it takes any, or had it */
	unsigned steps;		     /* what was done so far: change.c */
	bool lost;		     /* what was done can't be taken back */
};

/*
 * Carries out all changes in order. When one fails, the steps done are taken back, the last change
 * first, and its error is returned. Lines say what happened; what can't be taken back is said too.
 */
int changes_apply(struct change *changes, unsigned count);

/*
 * Takes back what changes_apply() did, the last change first; the driver of one that is lost isn't
 * what it was. A line says so if all went back.
 */
void changes_take_back(struct change *changes, unsigned count);

/* Whether name may be part of a path below /sys/bus/pci/drivers. */
bool driver_name_valid(const char *name);

/* Whether the kernel has the driver now. */
bool driver_present(const char *name);

#endif
