/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "refusal.h"
#include "sys.h"

_Static_assert(PLX_REFUSAL_OBJECT_LEN == PLX_VFIO_NAME_LEN, "any device can be the object");

/*
 * Where several modes failed, the highest rank speaks. doc/access-modes.md lists the same; a test
 * compares.
 */
static const struct {
	const char *name;
	unsigned int rank;
	const char *meaning, *remedy;
} codes[PLX_REFUSED_CODES] = {
	[PLX_REFUSED_NONE] = { "none", 0, "", NULL },
	[PLX_REFUSED_NOT_ASKED] = { "not-asked", 1, "the mode is not among those allowed",
				    "allow it with --vfio-mode" },
	[PLX_REFUSED_NO_DEVICE] = { "no-device", 14, "there is no such PCI function",
				    "check the address" },
	[PLX_REFUSED_DRIVER] = { "driver", 13,
				 "the function is bound to another driver, or to none",
				 "bind it to vfio-pci" },
	[PLX_REFUSED_NODE] = { "node", 3,
			       "a device node, and with it a part of the kernel, is missing; "
			       "nobody serves a socket",
			       "the module or kernel option it names; start the process" },
	[PLX_REFUSED_PERMISSION] = { "permission", 6,
				     "a node may not be opened, or a capability is missing",
				     "chown the node it names, or grant the capability" },
	[PLX_REFUSED_BUSY] = { "busy", 8,
			       "another process, or another mode, holds the device or its group; "
			       "a socket's process doesn't answer",
			       "end that process" },
	[PLX_REFUSED_GROUP] = { "group", 9,
				"a member of the IOMMU group is held by a kernel driver",
				"unbind it or bind it to vfio-pci" },
	[PLX_REFUSED_IOMMU] = { "iommu", 4, "no IOMMU, or one that doesn't suit the device",
				"turn it on in the firmware and on the kernel's command line" },
	[PLX_REFUSED_ISOLATION] = { "isolation", 7,
				    "interrupts are not remapped: a device could forge them",
				    "turn it on in the firmware, or accept that devices can forge "
				    "interrupts with allow_unsafe_interrupts=1 (modules "
				    "vfio_iommu_type1 and iommufd)" },
	[PLX_REFUSED_UNSAFE] = { "unsafe", 5, "unprotected DMA was not allowed",
				 "say --allow-noiommu if you accept that the device can write all "
				 "of memory" },
	[PLX_REFUSED_TOKEN] = { "token", 10, "the VF token is missing or wrong",
				"give the one that was set for the PF, with --vfio-vf-token" },
	[PLX_REFUSED_MEMORY] = { "memory", 12,
				 "memory can't be mapped, or not where other memory is already",
				 "raise the limit that it names" },
	[PLX_REFUSED_POLICY] = { "policy", 11,
				 "the mode doesn't suit the address policy of the process",
				 "name the device with -a from the start, or start with "
				 "--iova=alloc" },
	[PLX_REFUSED_KERNEL] = { "kernel", 2, "an error with no better word",
				 "look up the call and the errno that it names" },
};

/* doc/access-modes.md lists these, too. */
static const char *const remedies[PLX_REMEDIES] = {
	[PLX_REMEDY_IOMMUFD_KERNEL] = "load iommufd or use a kernel with CONFIG_IOMMUFD",
	[PLX_REMEDY_CONTAINER_KERNEL] = "load vfio, or use a kernel with CONFIG_VFIO_CONTAINER or "
					"CONFIG_IOMMUFD_VFIO_CONTAINER",
	[PLX_REMEDY_CDEV_KERNEL] = "use a kernel with CONFIG_VFIO_DEVICE_CDEV",
	[PLX_REMEDY_GROUP_KERNEL] = "use a kernel with CONFIG_VFIO_GROUP",
	[PLX_REMEDY_NOIOMMU_CDEV_KERNEL] = "use a kernel with CONFIG_IOMMUFD_NOIOMMU",
	[PLX_REMEDY_TYPE1_KERNEL] = "use a kernel with CONFIG_VFIO_IOMMU_TYPE1; leave a device "
				    "with reserved 1:1 ranges to the kernel",
	[PLX_REMEDY_PEER_KERNEL] = "use Linux 6.19 or later with CONFIG_VFIO_PCI_DMABUF, or the "
				   "access mode type1v2",
	[PLX_REMEDY_PEER_TYPE1] = "use a type 1 container, or a cdev and Linux 6.19 or later",
	[PLX_REMEDY_BIND_NOIOMMU] = "bind it to vfio-pci (without an IOMMU that takes "
				    "vfio.enable_unsafe_noiommu_mode=1)",
	[PLX_REMEDY_IOMMU_ON] = "turn the IOMMU on in the firmware and on the kernel's command "
				"line",
	[PLX_REMEDY_SAFE_MODE] = "allow a mode that uses the IOMMU",
	[PLX_REMEDY_ONE_MODE] = "claim all devices of the group in one mode",
	[PLX_REMEDY_CHOWN] = "chown it to your user (plx-devbind grant does)",
	[PLX_REMEDY_SOCKET_OWNER] =
		"be the user that serves it, or have its owner chown it to yours",
	[PLX_REMEDY_CAPABILITY] = "grant the capability",
	[PLX_REMEDY_FILES] = "raise the limit of open files (ulimit -n)",
	[PLX_REMEDY_UUID] = "write it as a UUID, in 8-4-4-4-12 hexadecimal digits",
	[PLX_REMEDY_OPEN_AGAIN] = "open the cdev again: one can be bound only once",
	[PLX_REMEDY_IOMMUFD_FD] = "hand in a descriptor of /dev/iommu",
	[PLX_REMEDY_CONTAINER_FD] = "hand in a descriptor of /dev/vfio/vfio or /dev/iommu",
	[PLX_REMEDY_EMPTY_CONTAINER] = "hand in a container that no group is in yet",
	[PLX_REMEDY_IOAS] = "hand in an IOAS that takes all its devices, or 0 for one that is made",
	[PLX_REMEDY_START_PROCESS] = "start the process that serves the device",
	[PLX_REMEDY_NAME_SOCKET] = "name the socket of a process that serves a device",
	[PLX_REMEDY_END_ONE] = "end one of them",
	[PLX_REMEDY_END_CLIENT] = "end its other client, if it has one",
	[PLX_REMEDY_ASK_PROCESS] = "see what that process says about it",
	[PLX_REMEDY_VERSION] = "use versions of both programs that go together",
	[PLX_REMEDY_PCI] = "name a PCI device",
	[PLX_REMEDY_JSON] = "build with json-c",
	[PLX_REMEDY_MEMLOCK] = "raise the limit",
	[PLX_REMEDY_OTHER_LIMITS] = "free memory, or raise the limits of the user and the cgroup",
	[PLX_REMEDY_FEWER_MAPS] = "use larger pages, or raise vfio_iommu_type1.dma_entry_limit",
	[PLX_REMEDY_LARGER_PAGES] = "use larger pages",
	[PLX_REMEDY_HUGEPAGES] = "use hugepages",
	[PLX_REMEDY_ALIGN] = "align mappings to 2 MiB",
	[PLX_REMEDY_WHOLE_PAGES] = "map whole pages",
	[PLX_REMEDY_UNMAP] = "unmap what is there first",
	[PLX_REMEDY_MAP_LESS] = "map less, or unmap what is not needed any more",
	[PLX_REMEDY_IOVA_ALLOC] = "start with --iova=alloc",
	[PLX_REMEDY_ELSEWHERE] = "take whole pages at other addresses, or start with --iova=alloc",
	[PLX_REMEDY_PINNABLE] = "map memory that is there, and not a device's",
	[PLX_REMEDY_DECODING] = "turn memory decoding on in the device's command register",
	[PLX_REMEDY_PEER_AGAIN] = "turn memory decoding on in the device's command register; after "
				  "a reset unmap the BAR and map it again",
	[PLX_REMEDY_NO_TRACKING] = "leave dirty tracking off, or claim no such device",
};

const char *plx_remedy_text(enum plx_remedy remedy)
{
	return (unsigned int)remedy < PLX_REMEDIES ? remedies[remedy] : NULL;
}

const char *plx_refusal_name(enum plx_refusal_code code)
{
	return (unsigned int)code < PLX_REFUSED_CODES ? codes[code].name : "?";
}

const char *plx_refusal_meaning(enum plx_refusal_code code)
{
	return (unsigned int)code < PLX_REFUSED_CODES ? codes[code].meaning : "?";
}

const char *plx_refusal_remedy(enum plx_refusal_code code)
{
	return (unsigned int)code < PLX_REFUSED_CODES ? codes[code].remedy : NULL;
}

int plx_refusal_tell(const struct plx_refusal *asked, const struct plx_refusal *why, int err)
{
	if (err && !asked && why->code != PLX_REFUSED_NONE)
		plx_err("%s", why->text);
	return err;
}

int plx_refuse(struct plx_refusal *why, enum plx_refusal_code code, int err, const char *fmt, ...)
{
	va_list args;

	*why = (struct plx_refusal){ .code = code, .err = err };
	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return err;
}

static int refuse(struct plx_refusal *why, enum plx_refusal_code code, int err, const char *object,
		  enum plx_remedy remedy, const char *fmt, va_list args)
{
	const char *todo = plx_remedy_text(remedy);
	size_t len;

	*why = (struct plx_refusal){ .code = code, .err = err };
	why->remedy = todo ? todo : codes[code].remedy;
	if (object)
		snprintf(why->object, sizeof(why->object), "%s", object);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	len = strlen(why->text);
	snprintf(why->text + len, sizeof(why->text) - len, ": %s", why->remedy);
	return err;
}

int plx_refuse_about(struct plx_refusal *why, enum plx_refusal_code code, int err,
		     const char *object, enum plx_remedy remedy, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	refuse(why, code, err, object, remedy, fmt, args);
	va_end(args);
	return err;
}

int plx_refuse_range(struct plx_refusal *why, enum plx_refusal_code code, int err, uint64_t first,
		     uint64_t len, enum plx_remedy remedy, const char *fmt, ...)
{
	char object[64];
	va_list args;

	snprintf(object, sizeof(object), "0x%" PRIx64 "-0x%" PRIx64, first, first + len - 1);
	va_start(args, fmt);
	refuse(why, code, err, object, remedy, fmt, args);
	va_end(args);
	return err;
}

int plx_refuse_pages(struct plx_refusal *why, uint64_t va, uint64_t len, size_t page_size,
		     const char *reason)
{
	plx_refuse_range(why, PLX_REFUSED_MEMORY, -EOPNOTSUPP, va, len, PLX_REMEDY_HUGEPAGES,
			 "memory at 0x%" PRIx64 " is not of hugepages, %s", va, reason);
	why->found = page_size;
	why->wanted = PLX_FRAME_SIZE;
	return why->err;
}

static enum plx_remedy node_remedy(const char *path)
{
	if (!strcmp(path, "/dev/iommu"))
		return PLX_REMEDY_IOMMUFD_KERNEL;
	if (!strcmp(path, "/dev/vfio/vfio"))
		return PLX_REMEDY_CONTAINER_KERNEL;
	if (!strncmp(path, "/dev/vfio/devices/", 18))
		return PLX_REMEDY_CDEV_KERNEL;
	return PLX_REMEDY_GROUP_KERNEL;
}

static int refuse_access(struct plx_refusal *why, const char *path, int err, enum plx_remedy remedy)
{
	struct stat st;

	if (plx_sys->stat(path, &st))
		return plx_refuse_about(why, PLX_REFUSED_PERMISSION, err, path, remedy,
					"%s: permission denied for uid %u", path, geteuid());
	plx_refuse_about(why, PLX_REFUSED_PERMISSION, err, path, remedy,
			 "%s: permission denied for uid %u (owner %u:%u, mode %04o)", path,
			 geteuid(), st.st_uid, st.st_gid, st.st_mode & 07777);
	why->found = st.st_mode & 07777;
	return err;
}

int plx_refuse_socket(struct plx_refusal *why, const char *path, int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		return plx_refuse_about(why, PLX_REFUSED_NODE, err, path, PLX_REMEDY_START_PROCESS,
					"%s does not exist", path);
	case -EACCES:
	case -EPERM: return refuse_access(why, path, err, PLX_REMEDY_SOCKET_OWNER);
	case -EAGAIN:
		return plx_refuse_about(why, PLX_REFUSED_BUSY, err, path, PLX_REMEDY_END_ONE,
					"%s: too many others wait for the process that serves it",
					path);
	case -EMFILE:
		return plx_refuse_about(why, PLX_REFUSED_KERNEL, err, path, PLX_REMEDY_FILES,
					"%s can't be connected to: %s", path, strerror(-err));
	default:
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "%s can't be connected to: %s",
				  path, strerror(-err));
	}
}

int plx_refuse_node(struct plx_refusal *why, const char *path, int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENXIO:
		return plx_refuse_about(why, PLX_REFUSED_NODE, err, path, node_remedy(path),
					"%s does not exist", path);
	case -EACCES: return refuse_access(why, path, err, PLX_REMEDY_CHOWN);
	case -EPERM:
		return plx_refuse_about(why, PLX_REFUSED_PERMISSION, err, path,
					PLX_REMEDY_CAPABILITY,
					"%s: not permitted without CAP_SYS_RAWIO", path);
	case -EBUSY:
		return plx_refuse_about(why, PLX_REFUSED_BUSY, err, path, PLX_REMEDY_USUAL,
					"%s is in use, by another process or by this one in "
					"another access mode",
					path);
	case -EMFILE:
		return plx_refuse_about(why, PLX_REFUSED_KERNEL, err, path, PLX_REMEDY_FILES,
					"%s can't be opened: %s", path, strerror(-err));
	default:
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "%s can't be opened: %s", path,
				  strerror(-err));
	}
}

const struct plx_refusal *plx_refusals_telling(const struct plx_refusals *refusals)
{
	const struct plx_refusal *best = NULL;
	unsigned int i;

	for (i = 0; i < PLX_VFIO_MODES; i++) {
		const struct plx_refusal *r = &refusals->mode[i];

		if (r->code != PLX_REFUSED_NONE &&
		    (!best || codes[r->code].rank > codes[best->code].rank))
			best = r;
	}
	return best;
}

static bool worth_telling(const struct plx_refusals *refusals, unsigned int modes, unsigned int i)
{
	return modes & 1u << i && refusals->mode[i].code != PLX_REFUSED_NONE &&
	       refusals->mode[i].code != PLX_REFUSED_NOT_ASKED;
}

static void append(char *buf, size_t len, size_t *at, const char *a, const char *b)
{
	int n;

	if (*at >= len)
		return;
	n = snprintf(buf + *at, len - *at, "%s%s", a, b);
	if (n > 0)
		*at += n;
}

void plx_refusals_print(const struct plx_refusals *refusals, unsigned int modes, const char *verb,
			char *buf, size_t len)
{
	unsigned int i, j, told = 0;
	size_t at = 0;

	buf[0] = '\0';
	for (i = 0; i < PLX_VFIO_MODES; i++) {
		if (told & 1u << i || !worth_telling(refusals, modes, i))
			continue;
		append(buf, len, &at, at ? "; " : "", plx_vfio_mode_name(i));
		for (j = i + 1; j < PLX_VFIO_MODES; j++) {
			if (!worth_telling(refusals, modes, j) ||
			    strcmp(refusals->mode[i].text, refusals->mode[j].text))
				continue;
			append(buf, len, &at, ", ", plx_vfio_mode_name(j));
			told |= 1u << j;
		}
		append(buf, len, &at, verb, refusals->mode[i].text);
	}
}
