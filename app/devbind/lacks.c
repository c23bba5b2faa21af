/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each access mode needs of a machine: a table, and a check for each need. A device of its own
 * may stand in the way all the same; that is for plx_vfio_foresee() to say.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

static bool set(struct lack *lack, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool set(struct lack *lack, const char *remedy, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(lack->what, sizeof(lack->what), fmt, args);
	va_end(args);
	snprintf(lack->remedy, sizeof(lack->remedy), "%s", remedy);
	return true;
}

/* Checks return whether something is lacking. */
static bool lacks_iommu(const struct machine *machine, struct lack *lack)
{
	if (machine->groups)
		return false;
	if (machine->firmware && !strcmp(machine->firmware, "DMAR"))
		return set(lack, "boot with intel_iommu=on",
			   "the IOMMU (Intel VT-d) is off, or its driver failed");
	if (machine->firmware && !strcmp(machine->firmware, "IVRS"))
		return set(lack, "boot without amd_iommu=off and iommu=off",
			   "the IOMMU (AMD-Vi) is off, or its driver failed");
	if (machine->firmware && !strcmp(machine->firmware, "VIOT"))
		return set(lack, "modprobe virtio_iommu, before the devices' drivers",
			   "the IOMMU (virtio-iommu) has no driver");
	if (machine->firmware)
		return set(lack, "use a kernel with CONFIG_ARM_SMMU_V3 and CONFIG_ARM_SMMU",
			   "the IOMMU (ARM SMMU) has no driver");
	return set(lack, "turn on VT-d, AMD-Vi or the SMMU in the firmware's set-up",
		   "there is no IOMMU, or the firmware keeps it off");
}

static bool lacks_remapping(const struct machine *machine, struct lack *lack, bool iommufd)
{
	return machine->no_remapping && !plx_irqs_trusted(iommufd) &&
	       set(lack,
		   iommufd ? "boot with iommufd.allow_unsafe_interrupts=1, if you trust the devices"
			   : "boot with vfio_iommu_type1.allow_unsafe_interrupts=1, if you trust "
			     "the devices",
		   "the IOMMU does not remap interrupts");
}

static bool lacks_remapping_iommufd(const struct machine *machine, struct lack *lack)
{
	return lacks_remapping(machine, lack, true);
}

static bool lacks_remapping_type1(const struct machine *machine, struct lack *lack)
{
	return lacks_remapping(machine, lack, false);
}

/* A part of the kernel that is built in, or a module that can be loaded. */
static bool lacks_part(const struct machine *machine, struct lack *lack, unsigned module,
		       unsigned option)
{
	char remedy[80];

	switch (machine->module[module].state) {
	case MODULE_LOADED:
	case MODULE_BUILTIN: return false;
	case MODULE_AVAILABLE:
		snprintf(remedy, sizeof(remedy), "modprobe %s", machine->module[module].name);
		return set(lack, remedy, "the module %s is not loaded",
			   machine->module[module].name);
	default: break;
	}
	if (machine->option[option].state == 'y')
		return false;
	snprintf(remedy, sizeof(remedy), "use a kernel with CONFIG_%s",
		 machine->option[option].name);
	return set(lack, remedy, "there is no module %s", machine->module[module].name);
}

static bool lacks_vfio_pci(const struct machine *machine, struct lack *lack)
{
	return lacks_part(machine, lack, MODULE_VFIO_PCI, OPTION_VFIO_PCI);
}

/* iommufd's container does what type 1 does, and no kernel has both. */
static bool lacks_type1(const struct machine *machine, struct lack *lack)
{
	if (machine->option[OPTION_CONTAINER].state == 'n' && machine->node[NODE_CONTAINER].present)
		return false;
	return lacks_part(machine, lack, MODULE_TYPE1, OPTION_TYPE1);
}

static bool lacks_node(const struct machine *machine, struct lack *lack, unsigned node,
		       unsigned module, unsigned option)
{
	const struct node_state *state = &machine->node[node];

	if (!state->present) {
		if (lacks_part(machine, lack, module, option))
			return true;
		return set(lack, "look at udev and /proc/misc", "%s does not exist", state->path);
	}
	return !state->usable && set(lack, "plx-devbind grant USER DEVICE, as root",
				     "%s: permission denied for uid %u (mode %04o, owner %u:%u)",
				     state->path, geteuid(), state->mode, state->uid, state->gid);
}

static bool lacks_container(const struct machine *machine, struct lack *lack)
{
	return lacks_node(machine, lack, NODE_CONTAINER, MODULE_VFIO, OPTION_CONTAINER);
}

static bool lacks_iommufd(const struct machine *machine, struct lack *lack)
{
	return lacks_node(machine, lack, NODE_IOMMUFD, MODULE_IOMMUFD, OPTION_IOMMUFD);
}

static bool lacks_option(const struct machine *machine, struct lack *lack, unsigned option)
{
	char remedy[80];

	if (machine->option[option].state != 'n')
		return false;
	snprintf(remedy, sizeof(remedy), "use a kernel with CONFIG_%s",
		 machine->option[option].name);
	return set(lack, remedy, "the kernel has no CONFIG_%s", machine->option[option].name);
}

static bool lacks_cdev(const struct machine *machine, struct lack *lack)
{
	return lacks_option(machine, lack, OPTION_CDEV);
}

/* An option younger than most kernels: before it, groups were always there. */
static bool lacks_group(const struct machine *machine, struct lack *lack)
{
	return machine->option[OPTION_CDEV].state == 'y' &&
	       lacks_option(machine, lack, OPTION_GROUP);
}

static bool lacks_noiommu_cdev(const struct machine *machine, struct lack *lack)
{
	return lacks_option(machine, lack, OPTION_IOMMUFD_NOIOMMU);
}

static bool lacks_noiommu(const struct machine *machine, struct lack *lack)
{
	return lacks_option(machine, lack, OPTION_NOIOMMU);
}

/* A kernel that can't have it lacks more than that, and is told so. */
static bool lacks_unsafe_mode(const struct machine *machine, struct lack *lack)
{
	bool never = machine->noiommu_mode < 0 && machine->option[OPTION_NOIOMMU].state == 'n';

	return machine->noiommu_mode <= 0 && !never &&
	       set(lack, "plx-devbind bind --noiommu-mode vfio-pci DEVICE",
		   "the unsafe no-IOMMU mode is off");
}

static bool lacks_rawio(const struct machine *machine, struct lack *lack)
{
	return !machine->cap[CAP_RAWIO].have &&
	       set(lack, "run as root, or with that capability", "no CAP_SYS_RAWIO");
}

static bool lacks_limit(const struct machine *machine, struct lack *lack)
{
	char limit[PLX_MEM_SIZE_LEN], wanted[PLX_MEM_SIZE_LEN];

	return !machine_may_pin(machine) &&
	       set(lack,
		   "echo 'USER - memlock unlimited' > /etc/security/limits.d/pollux.conf, as root, "
		   "and log in again",
		   "the memlock limit is %s (ulimit -l), %s are to be mapped",
		   plx_mem_size_text(machine->memlock, limit),
		   plx_mem_size_text(machine->wanted, wanted));
}

/* Unprotected access is for devices without an IOMMU only: then nothing else matters. */
static bool has_iommu(const struct machine *machine, struct lack *lack)
{
	return machine->groups && set(lack, "nothing: the modes above are better",
				      "devices behind the IOMMU can't be had without it");
}

typedef bool check_fn(const struct machine *machine, struct lack *lack);

static check_fn *const needs[PLX_VFIO_MODES][LACKS_MAX] = {
	[PLX_VFIO_CDEV] = { lacks_iommu, lacks_remapping_iommufd, lacks_vfio_pci, lacks_cdev,
			    lacks_iommufd, lacks_limit },
	[PLX_VFIO_TYPE1V2] = { lacks_iommu, lacks_remapping_type1, lacks_vfio_pci, lacks_group,
			       lacks_container, lacks_type1, lacks_limit },
	[PLX_VFIO_TYPE1] = { lacks_iommu, lacks_remapping_type1, lacks_vfio_pci, lacks_group,
			     lacks_container, lacks_type1, lacks_limit },
	[PLX_VFIO_COMPAT] = { lacks_iommu, lacks_remapping_iommufd, lacks_vfio_pci, lacks_group,
			      lacks_iommufd, lacks_limit },
	[PLX_VFIO_NOIOMMU_CDEV] = { lacks_vfio_pci, lacks_cdev, lacks_noiommu_cdev, lacks_iommufd,
				    lacks_unsafe_mode, lacks_rawio, lacks_limit },
	[PLX_VFIO_NOIOMMU] = { lacks_vfio_pci, lacks_group, lacks_noiommu, lacks_container,
			       lacks_unsafe_mode, lacks_rawio, lacks_limit },
};

unsigned machine_lacks(const struct machine *machine, enum plx_vfio_mode mode,
		       struct lack lacks[LACKS_MAX])
{
	unsigned i, count = 0;

	if (plx_vfio_mode_unsafe(mode) && has_iommu(machine, &lacks[0]))
		return 1;
	for (i = 0; i < LACKS_MAX && needs[mode][i]; i++)
		count += needs[mode][i](machine, &lacks[count]);
	return count;
}

void put_lacks(struct json_object *to, const struct lack *lacks, unsigned count)
{
	struct json_object *missing = put_inside(to, "missing", json_object_new_array());
	unsigned i;

	for (i = 0; i < count; i++) {
		struct json_object *one = json_object_new_object();

		put_text(one, "what", lacks[i].what);
		put_text(one, "remedy", lacks[i].remedy);
		json_object_array_add(missing, one);
	}
}
