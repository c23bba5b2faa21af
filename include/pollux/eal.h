/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's EAL on top of a Pollux address space.
 *
 * EAL brings lcores, mempools, logs and hugepages; devices are ours (EAL starts with --no-pci). All
 * memory that EAL has, or adds later (rte_malloc, mempools, heaps of external memory), is mapped
 * for DMA as it comes and unmapped as it goes.
 *
 * Under --no-huge and --legacy-mem EAL announces nothing: what it has at start is mapped, and heaps
 * of external memory must be mapped by their owner with plx_ioas_map().
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
 * policy, is refused, as are EAL's device options (-a, -b belong to plx_pci_scan()). Unless the
 * user asks for files (--huge-dir, --huge-unlink, --legacy-mem), memory is memfds that need no
 * mount. Where no hugepage is free and the policy says that any pages will do, EAL is started with
 * --no-huge, unless the user's options are about hugepages; a line says so. Lines of Pollux go
 * through rte_log as type "pollux" (--log-level=pollux:debug). Secondary processes are not
 * supported: -ENOTSUP.
 *
 * Returns the number of arguments that EAL consumed, as rte_eal_init() does, or -errno with the
 * reason logged: -EINVAL for an option that EAL doesn't have or a value that it refuses. What is no
 * option is left behind, in front of the program's own. While EAL starts, nothing can be written to
 * standard output. Once a process: -EALREADY.
 */
int plx_eal_init(int argc, char **argv, const struct plx_policy *policy, struct plx_ioas **ioas);

/*
 * Unmaps EAL's memory, destroys the address space, and cleans EAL up. Devices must have been let
 * go of: -EBUSY, and nothing is done.
 */
int plx_eal_cleanup(void);

/*
 * rte_extmem_register() with the mapping for DMA: EAL announces such memory to nobody. The pages
 * are there already, and under policy PA are hugepages. EAL learns their device addresses as their
 * IOVAs. Errors: -EINVAL (not whole, aligned pages of page_size), -ENODEV (EAL not started), those
 * of plx_ioas_map() and of rte_extmem_register(); then nothing is kept.
 */
int plx_extmem_register(void *va, size_t len, size_t page_size);

/* Takes back one such registration, whole. -ENOENT: there is none of these addresses. */
int plx_extmem_unregister(void *va, size_t len);

#ifdef __cplusplus
}
#endif

#endif
