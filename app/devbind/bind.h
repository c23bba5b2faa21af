/* SPDX-License-Identifier: BSD-3-Clause */
/* bind, unbind and restore: what may be done, then doing it. */
#ifndef DEVBIND_BIND_H
#define DEVBIND_BIND_H

#include "options.h"
#include "select.h"

enum exit_code bind_run(const struct options *options, const struct inventory *inv);
enum exit_code unbind_run(const struct options *options, const struct inventory *inv);
enum exit_code restore_run(const struct options *options, const struct inventory *inv);

#endif
