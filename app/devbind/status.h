/* SPDX-License-Identifier: BSD-3-Clause */
/* The status report: for people, for scripts that read dpdk-devbind.py's, and as JSON. */
#ifndef DEVBIND_STATUS_H
#define DEVBIND_STATUS_H

#include "category.h"
#include "options.h"
#include "select.h"

/* With words on the command line only the devices in the selection are shown. */
void status_print(FILE *out, const struct options *options, const struct inventory *inv,
		  const struct selection *selection);

/* 0 or -ENOMEM with a line logged. */
int status_json(FILE *out, const struct options *options, const struct inventory *inv,
		const struct selection *selection);

/* Whether a report has the device, whatever its category. */
bool status_wants(const struct options *options, const struct selection *selection,
		  const struct category *category, const struct device *dev);

#endif
