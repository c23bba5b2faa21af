/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change of drivers as a whole. Everything that can speak against it is looked at before the
 * first device is touched; then the originals are remembered and the drivers change, and if
 * anything fails from there on all of it is taken back.
 */
#ifndef DEVBIND_PLAN_H
#define DEVBIND_PLAN_H

#include "change.h"
#include "options.h"
#include "record.h"

/* What this run did about a device besides its driver. */
struct noted {
	bool record;	/* made one */
	bool persisted; /* replaced the file of --persist, which had this text */
	char *before;	/* NULL: there was none */
};

struct plan {
	const struct options *options;
	struct change *change;
	struct record *record; /* of each change's device, unless restoring */
	struct noted *noted;
	unsigned count;
	bool restoring; /* no records are made */
	bool switched;	/* the no-IOMMU mode is to be turned on */

	/*
	 * NULL, or what belongs to the change and comes after the drivers: undisturbed as they are,
	 * and unless restoring they are taken back if it fails.
	 */
	enum exit_code (*then)(const struct plan *plan, const void *ctx);
	const void *ctx;
};

/* Room for count devices. 0 or -ENOMEM with a line logged. plan_free() in either case. */
int plan_init(struct plan *plan, const struct options *options, unsigned count);
void plan_free(struct plan *plan);

/*
 * Has the device bound to driver ("": none) in the end, and its driver_override be override.
 */
void plan_add(struct plan *plan, const struct device *dev, const char *driver,
	      const char *override);

enum exit_code plan_run(struct plan *plan);

#endif
