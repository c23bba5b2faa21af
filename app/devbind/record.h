/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device was before it was touched first, for `restore`. A device that is to stay bound over
 * a reboot is remembered in /var/lib/pollux/devbind; any other in /run/pollux/devbind, as it comes
 * back by itself.
 */
#ifndef DEVBIND_RECORD_H
#define DEVBIND_RECORD_H

#include "device.h"

struct record {
	unsigned vendor, device;
	char driver[PLX_NAME_LEN];    /* "": none */
	char override[PLX_NAME_LEN];  /* "": none */
	char persisted[PLX_NAME_LEN]; /* the driver that driverctl was told before us; "": none */
	bool persistent;
};

/*
 * What is remembered of a device, in *record. 0; -ENOENT: nothing; -ESTALE: it is about another
 * card, which was in its slot; other -errno: it can't be read, and a line says what to do.
 */
int record_read(const struct device *dev, struct record *record);

/* One kind of record of an address, whatever card it is about. As above. */
int record_load(const char *bdf, bool persistent, struct record *record);

/*
 * Remembers, unless the device is remembered already. *made: whether a file was written. 0 or
 * -errno with a line logged.
 */
int record_make(const struct device *dev, const struct record *record, bool *made);

/* Forgets one kind of record. 0 or -errno with a line logged. */
int record_remove(const char *bdf, bool persistent);

/* Adds the addresses of all devices remembered, each once. 0 or -errno with a line logged. */
int record_list(struct texts *bdfs);

/*
 * One plx-devbind at a time changes drivers; another one is waited for, for 3 seconds. A
 * descriptor to close, or -errno with a line logged.
 */
int record_lock(void);

#endif
