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

/* 0 or -errno with a line logged. */
int persist_write(const char *bdf, const char *driver);

/* Back to what driverctl had before ("": nothing). */
int persist_undo(const char *bdf, const char *before);

#endif
