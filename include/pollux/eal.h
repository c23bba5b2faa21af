/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's EAL on top of a Pollux address space.
 *
 * EAL brings lcores, mempools, logs and hugepages; devices are ours (EAL starts with --no-pci). All
 * memory that EAL has, or adds later (rte_malloc, mempools, rte_extmem_register), is mapped for
 * DMA as it comes and unmapped as it goes.
 */
#ifndef POLLUX_EAL_H
#define POLLUX_EAL_H

#include <pollux/ioas.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Starts EAL with the IOVA mode that suits the policy, makes the address space, maps EAL's memory
 * into it and goes on following it. argv is for EAL; its own --iova-mode, if it contradicts the
 * policy, is refused, as are EAL's PCI options (-a, -b belong to plx_pci_scan()).
 *
 * Returns the number of arguments that EAL consumed, as rte_eal_init() does, or -errno with the
 * reason logged. Once a process: -EALREADY.
 */
int plx_eal_init(int argc, char **argv, const struct plx_policy *policy, struct plx_ioas **ioas);

/*
 * Unmaps EAL's memory, destroys the address space, and cleans EAL up. Devices must have been let
 * go of: -EBUSY, and nothing is done.
 */
int plx_eal_cleanup(void);

#ifdef __cplusplus
}
#endif

#endif
