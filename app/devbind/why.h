/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports that explain: `why` for devices, `doctor` for the machine. */
#ifndef DEVBIND_WHY_H
#define DEVBIND_WHY_H

#include <stdio.h>

#include "options.h"
#include "select.h"

/* EXIT_FAILED: a device can't be used in any access mode. */
enum exit_code why_run(FILE *out, const struct options *options, const struct inventory *inv);

/* EXIT_FAILED: no access mode of PCI devices has all that it needs. */
enum exit_code doctor_run(FILE *out, const struct options *options);

#endif
