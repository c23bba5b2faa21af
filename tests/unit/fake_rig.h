/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What most tests of lib/vfio begin with: a fake kernel in which one access mode works, a device,
 * an address space.
 */
#ifndef FAKE_RIG_H
#define FAKE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/vfio.h>
#include <pollux/ioas.h>
#include <pollux/log.h>
#include <pollux/vfio.h>

#include "fake_vfio.h"

#define BDF0 "0000:01:00.0"
#define BDF1 "0000:02:00.0"
#define BDF2 "0000:03:00.0"

#define KIB  UINT64_C(1024)
#define MIB  (UINT64_C(1024) * KIB)
#define GIB  (UINT64_C(1024) * MIB)
#define PAGE (4 * KIB)
#define HUGE (2 * MIB)

/* Memory that doesn't exist: DMA maps of the fake kernel touch none. */
#define VA UINT64_C(0x7f0000000000)

struct rig {
	struct fake_dev *dev[2]; /* BDF0 in group 10, BDF1 in group 11 */
	struct plx_vfio_opts opts;
	struct plx_ioas *ioas;
};

/* A kernel for the mode (no device is opened), an address space of the policy. */
void rig_start(struct rig *rig, enum plx_vfio_mode mode, enum plx_addr_policy addr);

/* A kernel with one device, in group 10; every mode is allowed but those without an IOMMU. */
void rig_boot(struct rig *rig, enum fake_flavour flavour, bool noiommu);

/* The policy that goes with any mode: physical without an IOMMU, else as asked. */
enum plx_addr_policy rig_policy(enum plx_vfio_mode mode);

struct plx_ioas *rig_ioas(enum plx_addr_policy addr);
struct plx_vfio_dev *rig_open(struct rig *rig, const char *bdf); /* must work */

/* Claims BDF0 and lets it go: this mode is foreseen, taken, and told in one line. */
void rig_takes(struct rig *rig, enum plx_vfio_mode mode);

/* The claim of BDF0 fails, and the refusal of the mode has this code and names this object. */
void rig_refuses(struct rig *rig, int err, enum plx_vfio_mode mode, enum plx_refusal_code code,
		 const char *object);

/* As above; foreseen too. */
void rig_refuses_and_foresees(struct rig *rig, int err, enum plx_vfio_mode mode,
			      enum plx_refusal_code code, const char *object);

/* Destroys the address space (must work) and the kernel, and looks for leaks. */
void rig_stop(struct rig *rig);

/* Maps and unmaps memory, of pages of any size or of hugepages. */
int rig_map_pages(struct plx_ioas *ioas, uint64_t va, uint64_t len, size_t page_size);
int rig_map(struct plx_ioas *ioas, uint64_t va, uint64_t len);
int rig_unmap(struct plx_ioas *ioas, uint64_t va, uint64_t len);

/* The device address of va by the translation table. */
uint64_t rig_dma(const struct plx_ioas *ioas, uint64_t va);

/*
 * Whether a device reaches, at the device address of each byte of a few of the run, that very byte:
 * through its context's maps or, without an IOMMU, physically. False if the run isn't mapped.
 */
bool rig_reaches(const struct plx_ioas *ioas, const struct fake_dev *dev, uint64_t va,
		 uint64_t len);

/* For sweeps (fail_nth.h): whether an error was logged since the last call of it. */
bool rig_logged(void);

/* For scenarios of sweeps: says what the library leaves its caller to say. Returns ret. */
int rig_report(const char *what, int ret);

/* Every mode of the kernel, for tests that are to run in all. */
#define RIG_EACH_MODE(mode) \
	for (enum plx_vfio_mode mode = PLX_VFIO_CDEV; mode < PLX_VFIO_USER; mode++)

#endif
