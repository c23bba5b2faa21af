/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What sysfs says about a PCI function, before anything is opened: the facts that claims are
 * decided by, for tools that explain or prepare a claim.
 */
#ifndef POLLUX_FACTS_H
#define POLLUX_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLX_BDF_LEN  16
#define PLX_NAME_LEN 40
#define PLX_NODE_LEN (PLX_NAME_LEN + 24)

struct plx_facts {
	char bdf[PLX_BDF_LEN];
	bool present;
	char driver[PLX_NAME_LEN]; /* "" if none */
	int group;		   /* number of its IOMMU group, or -1 */
	bool noiommu_group;	   /* the group is VFIO's stand-in: there is no IOMMU */
	char cdev[PLX_NAME_LEN];   /* "vfio0", "noiommu-vfio0"; "" if it has none */
	bool noiommu_cdev;
};

/* Whether bdf is "dddd:bb:dd.f" (or has a longer domain): only such names become part of a path. */
bool plx_bdf_valid(const char *bdf);

/*
 * 0; -EINVAL: bdf is no address; other -errno: what is there can't be told. A function that doesn't
 * exist is no error here, see present.
 */
int plx_facts_read(const char *bdf, struct plx_facts *facts);

/* Whether the function is VFIO's. */
bool plx_facts_bound(const struct plx_facts *facts);

/* Whether this process has a capability, by its number in linux/capability.h, in effect. */
bool plx_have_capability(unsigned int number);

/* CAP_SYS_RAWIO, which no-IOMMU needs. */
bool plx_have_rawio(void);

/*
 * The first other member of the group that a driver of the kernel's own holds. false: there is
 * none, or no way to know.
 */
bool plx_group_intruder(const struct plx_facts *facts, char *bdf, size_t bdf_len, char *driver,
			size_t driver_len);

/* Address width of the IOMMU before the function, or 0 if sysfs doesn't tell. */
unsigned int plx_iommu_width(const struct plx_facts *facts);

/*
 * Whether the kernel is seen to leave interrupts as devices write them, on x86: its interrupt chips
 * are called "IR-..." once the IOMMU remaps. false: it does, or there is no way to know.
 */
bool plx_irqs_forgeable(void);

/* Whether VFIO was told to put up with that, by type 1's module or by iommufd's. */
bool plx_irqs_trusted(bool iommufd);

/* Whether the group has a reserved range that touches first..last. */
bool plx_iommu_reserves(const struct plx_facts *facts, unsigned long long first,
			unsigned long long last);

#ifdef __cplusplus
}
#endif

#endif
