/* SPDX-License-Identifier: BSD-3-Clause */
/* Kinds of devices, as status reports group them. */
#ifndef DEVBIND_CATEGORY_H
#define DEVBIND_CATEGORY_H

#include "device.h"

struct category {
	const char *key;   /* --status-dev KEY */
	const char *title; /* as in "Network devices using kernel driver" */
	bool compat;	   /* dpdk-devbind.py has it */
	bool usual;	   /* shown without being asked for */
	bool net;
};

/* In the order of reports, ended by an entry without a key. */
extern const struct category categories[];

/* NULL: there is none of that name. */
const struct category *category_find(const char *key);
bool category_has(const struct category *category, const struct device *dev);

#endif
