/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "refusal.h"
#include "sys.h"

/* In the order of enum plx_refusal_code. Where several modes failed, the highest rank speaks. */
static const struct {
	const char *name;
	unsigned int rank;
} codes[PLX_REFUSED_CODES] = {
	[PLX_REFUSED_NONE] = { "none", 0 },
	[PLX_REFUSED_NOT_ASKED] = { "not-asked", 1 },
	[PLX_REFUSED_NO_DEVICE] = { "no-device", 13 },
	[PLX_REFUSED_DRIVER] = { "driver", 12 },
	[PLX_REFUSED_NODE] = { "node", 3 },
	[PLX_REFUSED_PERMISSION] = { "permission", 6 },
	[PLX_REFUSED_BUSY] = { "busy", 7 },
	[PLX_REFUSED_GROUP] = { "group", 8 },
	[PLX_REFUSED_IOMMU] = { "iommu", 4 },
	[PLX_REFUSED_UNSAFE] = { "unsafe", 5 },
	[PLX_REFUSED_TOKEN] = { "token", 9 },
	[PLX_REFUSED_MEMORY] = { "memory", 11 },
	[PLX_REFUSED_POLICY] = { "policy", 10 },
	[PLX_REFUSED_KERNEL] = { "kernel", 2 },
};

const char *plx_refusal_name(enum plx_refusal_code code)
{
	return (unsigned int)code < PLX_REFUSED_CODES ? codes[code].name : "?";
}

int plx_refuse(struct plx_refusal *why, enum plx_refusal_code code, int err, const char *fmt, ...)
{
	va_list args;

	why->code = code;
	why->err = err;
	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return err;
}

static const char *node_remedy(const char *path)
{
	if (!strcmp(path, "/dev/iommu"))
		return "load iommufd or use a kernel with CONFIG_IOMMUFD";
	if (!strcmp(path, "/dev/vfio/vfio"))
		return "load vfio, or use a kernel with CONFIG_VFIO_CONTAINER or "
		       "CONFIG_IOMMUFD_VFIO_CONTAINER";
	if (!strncmp(path, "/dev/vfio/devices/", 18))
		return "use a kernel with CONFIG_VFIO_DEVICE_CDEV";
	return "use a kernel with CONFIG_VFIO_GROUP";
}

static int refuse_access(struct plx_refusal *why, const char *path, int err)
{
	struct stat st;

	if (plx_sys->stat(path, &st))
		return plx_refuse(why, PLX_REFUSED_PERMISSION, err,
				  "%s: permission denied for uid %u", path, geteuid());
	return plx_refuse(why, PLX_REFUSED_PERMISSION, err,
			  "%s: permission denied for uid %u (owner %u:%u, mode %04o): chown it to "
			  "your user",
			  path, geteuid(), st.st_uid, st.st_gid, st.st_mode & 07777);
}

int plx_refuse_socket(struct plx_refusal *why, const char *path, int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		return plx_refuse(why, PLX_REFUSED_NODE, err,
				  "%s does not exist: start the process that serves the device",
				  path);
	case -EACCES:
	case -EPERM: return refuse_access(why, path, err);
	case -EAGAIN:
		return plx_refuse(why, PLX_REFUSED_BUSY, err,
				  "%s: too many others wait for the process that serves it", path);
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
		return plx_refuse(why, PLX_REFUSED_NODE, err, "%s does not exist: %s", path,
				  node_remedy(path));
	case -EACCES: return refuse_access(why, path, err);
	case -EPERM:
		return plx_refuse(why, PLX_REFUSED_PERMISSION, err,
				  "%s: not permitted: CAP_SYS_RAWIO is needed", path);
	case -EBUSY:
		return plx_refuse(
			why, PLX_REFUSED_BUSY, err,
			"%s is in use, by another process or by this one in another access "
			"mode",
			path);
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
