/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a driver stay after a reboot: in driverctl's format (/etc/driverctl.d/pci-ADDRESS holds
 * the driver's name) where driverctl is installed to read it, as a rule of udev's otherwise.
 */
#ifndef DEVBIND_PERSIST_H
#define DEVBIND_PERSIST_H

#include "device.h"

/* The driver that driverctl has for the device, or "". */
void persist_read(const char *bdf, char driver[PLX_NAME_LEN]);

/*
 * What the file that persist_write() replaces has in it, NULL if there is none; to be given back
 * with plx_sys->free(). 0 or -errno with a line logged.
 */
int persist_keep(const char *bdf, char **text);

/* 0 or -errno with a line logged. */
int persist_write(const struct device *dev, const char *driver);

/* Back to what persist_keep() found. 0 or -errno with a line logged. */
int persist_put_back(const char *bdf, const char *text);

/* Back to what driverctl had before ("": nothing). */
int persist_undo(const char *bdf, const char *before);

#endif
