/* SPDX-License-Identifier: BSD-3-Clause */
/* VFIO's switch for devices without an IOMMU. */
#ifndef DEVBIND_NOIOMMU_H
#define DEVBIND_NOIOMMU_H

#include "device.h"

/* Whether vfio-pci would have to take the device without an IOMMU. */
bool noiommu_needed(const struct device *dev, const char *driver);

/* Whether the kernel was told to do that: 1, 0, or -errno if it has no such switch. */
int noiommu_mode(void);

/* Turns it on, and notes that it was us. Both: 0 or -errno, with a line logged. */
int noiommu_turn_on(void);
int noiommu_turn_off(void);

/* Turns it off if it was us who turned it on, and no device needs it any more. */
int noiommu_settle(const struct inventory *inv);

#endif
