/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine and this process have that access modes need. */
#ifndef DEVBIND_MACHINE_FACTS_H
#define DEVBIND_MACHINE_FACTS_H

#include <pollux/mem.h>
#include <pollux/vfio.h>

#include "device.h"
#include "json.h"
#include "kconfig.h"

#define MACHINE_NODES	64
#define MACHINE_MODULES 5
#define MACHINE_OPTIONS 8
#define MACHINE_CAPS	4
#define MACHINE_PAGES	64

struct node_state {
	char path[PLX_NODE_LEN];
	bool present, usable; /* by this process */
	unsigned mode, uid, gid;
};

struct pages_state {
	size_t size;
	int node; /* PLX_NODE_ANY: all of the machine */
	struct plx_hugepages count;
};

struct machine {
	char release[80];
	struct texts boot_words; /* those of the kernel's command line that matter here */

	struct texts iommus;  /* "dmar0", "ivhd0", "smmu3.0x...", "0000:00:01.0" */
	const char *iommu;    /* what they are: "Intel VT-d", ...; NULL: none is on */
	const char *firmware; /* the firmware's table that says there is one; NULL: none does */
	bool no_remapping;    /* it can't keep devices from forging interrupts */
	unsigned groups;

	struct {
		const char *name;
		char state;
	} option[MACHINE_OPTIONS];
	struct {
		const char *name;
		enum module_state state;
	} module[MACHINE_MODULES];
	struct node_state node[MACHINE_NODES]; /* those that all devices share come first */
	unsigned nnodes;
	int noiommu_mode; /* as noiommu_mode() */

	struct pages_state pages[MACHINE_PAGES];
	unsigned npages;
	struct texts huge_mounts; /* "/dev/hugepages (pagesize=2M)" */

	uint64_t memlock; /* UINT64_MAX: no limit */
	uint64_t nofile;  /* descriptors; as above */
	uint64_t wanted;  /* bytes that a program is to map; whoever read the machine says so */
	char lockdown[64];
	struct {
		const char *name;
		bool have;
	} cap[MACHINE_CAPS];
};

/* In machine.node, machine.module and machine.option. */
enum { NODE_CONTAINER, NODE_IOMMUFD, NODE_FIRST };
enum { MODULE_VFIO, MODULE_VFIO_PCI, MODULE_TYPE1, MODULE_IOMMUFD, MODULE_VIRTIO_IOMMU };
enum {
	OPTION_VFIO_PCI,
	OPTION_GROUP,
	OPTION_CONTAINER,
	OPTION_TYPE1,
	OPTION_CDEV,
	OPTION_IOMMUFD,
	OPTION_NOIOMMU,
	OPTION_IOMMUFD_NOIOMMU,
};
enum { CAP_RAWIO, CAP_ADMIN, CAP_LOCK, CAP_NET };

/* 0 or -ENOMEM with a line logged. */
int machine_read(struct machine *machine);
void machine_free(struct machine *machine);

/* Bytes in hugepages that are set aside, free or not. */
uint64_t machine_hugepages(const struct machine *machine);

/* Whether what is wanted may be pinned by this process. */
bool machine_may_pin(const struct machine *machine);

/*
 * What an access mode lacks here, whatever the device.
 */
struct lack {
	char what[160];	  /* "/dev/iommu does not exist" */
	char remedy[200]; /* one command or boot option */
};

#define LACKS_MAX 8

/* Fills in at most LACKS_MAX; returns how many there are, 0: nothing. */
unsigned machine_lacks(const struct machine *machine, enum plx_vfio_mode mode,
		       struct lack lacks[LACKS_MAX]);

/* The member "missing" of an access mode in a report. */
void put_lacks(struct json_object *to, const struct lack *lacks, unsigned count);

#endif
