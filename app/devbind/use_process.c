/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that hold a device node: VFIO's, or a disk's. Taking a device from vfio-pci waits for
 * as long as somebody has it open, and a disk may be in use by a program without being mounted.
 *
 * Only root sees everybody's descriptors; others see their own.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "files.h"
#include "sys.h"

static bool is_number(const char *text)
{
	while (isdigit((unsigned char)*text))
		text++;
	return !*text;
}

/* Whether a node is one of the device's; a group's node is that of all its members. */
static bool is_node_of(const struct device *dev, const char *node)
{
	char path[64];

	if (strncmp(node, "/dev/", 5))
		return false;
	if (texts_have(&dev->blocks, node + 5))
		return true;
	if (!plx_facts_bound(&dev->facts))
		return false;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", dev->facts.cdev);
	if (dev->facts.cdev[0] && !strcmp(node, path))
		return true;
	snprintf(path, sizeof(path), "/dev/vfio/%s%d", dev->facts.noiommu_group ? "noiommu-" : "",
		 dev->facts.group);
	return dev->facts.group >= 0 && !strcmp(node, path);
}

static int add_holder(struct inventory *inv, const char *pid, const char *node)
{
	char path[300], command[32];
	int err = 0;
	unsigned i;

	for (i = 0; i < inv->count && !err; i++) {
		if (!is_node_of(&inv->dev[i], node))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", pid);
		if (plx_sys_read_text(path, command, sizeof(command)) < 0)
			strcpy(command, "?");
		snprintf(path, sizeof(path), "%s is open in process %s (%s)", node, pid, command);
		if (!texts_have(&inv->dev[i].uses, path))
			err = texts_add(&inv->dev[i].uses, "%s", path);
	}
	return err;
}

/*
 * A process that has ended has nothing open; one that isn't ours to see is left out. What else
 * keeps us from looking says nothing of what is there.
 */
static int tell_blind(struct inventory *inv, int err)
{
	return err == -ESRCH || err == -EACCES || err == -EPERM
		       ? 0
		       : inventory_blind(inv, "what processes have open", err);
}

static int look_into(struct inventory *inv, const char *pid)
{
	char path[600], node[160];
	struct dirent *entry;
	int err = 0, blind = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = plx_sys->opendir(path);
	if (!dir)
		return tell_blind(inv, -errno);
	while (!err && (entry = file_next(dir, &blind))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		len = plx_sys->readlink(path, node, sizeof(node) - 1);
		/* "." and ".." are no links. */
		if (len < 0 && errno != EINVAL)
			err = tell_blind(inv, -errno);
		if (len <= 0)
			continue;
		node[len] = '\0';
		err = add_holder(inv, pid, node);
	}
	plx_sys->closedir(dir);
	return err ? err : tell_blind(inv, blind);
}

int inventory_processes(struct inventory *inv)
{
	struct dirent *entry;
	int err = 0, blind = 0;
	DIR *dir = plx_sys->opendir("/proc");

	if (!dir)
		return tell_blind(inv, -errno);
	while (!err && (entry = file_next(dir, &blind)))
		if (is_number(entry->d_name))
			err = look_into(inv, entry->d_name);
	plx_sys->closedir(dir);
	return err ? err : tell_blind(inv, blind);
}
