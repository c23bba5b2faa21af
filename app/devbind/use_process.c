/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that hold a device node: VFIO's, a disk's, or another one of the device. Taking a
 * device from vfio-pci waits for as long as somebody has it open, whatever signals come, and a disk
 * may be in use by a program without being mounted.
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

/* What is known of a process. */
struct process {
	struct inventory *inv;
	const char *pid;
	char command[32];
	bool has_node;	 /* a group's or a cdev: it says which devices the process has */
	bool has_device; /* a device of VFIO's by its descriptor, which doesn't say which one */
};

/* A group's node is that of all its members. */
static bool is_vfio_node_of(const struct device *dev, const char *node)
{
	char path[64];

	if (!plx_facts_bound(&dev->facts))
		return false;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", dev->facts.cdev);
	if (dev->facts.cdev[0] && !strcmp(node, path))
		return true;
	snprintf(path, sizeof(path), "/dev/vfio/%s%d", dev->facts.noiommu_group ? "noiommu-" : "",
		 dev->facts.group);
	return dev->facts.group >= 0 && !strcmp(node, path);
}

static bool is_other_node_of(const struct device *dev, const char *node)
{
	return !strncmp(node, "/dev/", 5) &&
	       (texts_have(&dev->blocks, node + 5) || texts_have(&dev->nodes, node + 5));
}

/* what: a node, or "it". */
static int add_use(const struct process *process, struct device *dev, const char *what, bool holds)
{
	char text[300];
	int err;

	snprintf(text, sizeof(text), "%s is open in process %s (%s)", what, process->pid,
		 process->command);
	err = texts_add_new(&dev->uses, text);
	return err || !holds ? err : texts_add_new(&dev->holders, text);
}

static int take_node(struct process *process, const char *node)
{
	unsigned i;
	int err = 0;

	process->has_node |= !strncmp(node, "/dev/vfio/", 10) && strcmp(node, "/dev/vfio/vfio");
	for (i = 0; i < process->inv->count && !err; i++) {
		struct device *dev = &process->inv->dev[i];
		bool holds = is_vfio_node_of(dev, node);

		if (holds || is_other_node_of(dev, node))
			err = add_use(process, dev, node, holds);
	}
	return err;
}

/* Linux 6.17 and later say which device it is, among other lines. */
static int take_device(struct process *process, const char *fd)
{
	static const char key[] = "vfio-device-syspath:";
	char path[300], text[2048], *at;
	struct device *dev;
	int len;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", process->pid, fd);
	len = plx_sys_read_text(path, text, sizeof(text));
	at = len < 0 ? NULL : strstr(text, key);
	if (!at) {
		process->has_device = true;
		return 0;
	}
	at += strlen(key);
	at[strcspn(at, "\n")] = '\0';
	dev = inventory_owner(process->inv, at);
	return dev ? add_use(process, dev, "it", true) : 0;
}

static int take_descriptor(struct process *process, const char *fd, const char *target)
{
	if (!strcmp(target, "anon_inode:[vfio-device]"))
		return take_device(process, fd);
	return take_node(process, target);
}

/* One that has a device by its descriptor alone may have any of VFIO's. */
static int tell_unknown(const struct process *process)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < process->inv->count && !err; i++)
		if (plx_facts_bound(&process->inv->dev[i].facts))
			err = texts_add(&process->inv->dev[i].uses,
					"it may be: process %s (%s) has a device of VFIO's open; "
					"if it is this one, it is waited for",
					process->pid, process->command);
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
	struct process process = { .inv = inv, .pid = pid };
	char path[600], target[160];
	struct dirent *entry;
	int err = 0, blind = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (plx_sys_read_text(path, process.command, sizeof(process.command)) < 0)
		strcpy(process.command, "?");
	text_clean(process.command);
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = plx_sys->opendir(path);
	if (!dir)
		return tell_blind(inv, -errno);
	while (!err && (entry = file_next(dir, &blind))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		len = plx_sys->readlink(path, target, sizeof(target) - 1);
		/* "." and ".." are no links. */
		if (len < 0 && errno != EINVAL)
			err = tell_blind(inv, -errno);
		if (len <= 0)
			continue;
		target[len] = '\0';
		err = take_descriptor(&process, entry->d_name, target);
	}
	plx_sys->closedir(dir);
	if (!err && process.has_device && !process.has_node)
		err = tell_unknown(&process);
	return err ? err : tell_blind(inv, blind);
}

/* Nodes that programs drive a device by without its being mounted, or VFIO's. */
static int add_node(void *ctx, struct device *dev, const char *name)
{
	(void)ctx;
	return texts_add_new(&dev->nodes, name);
}

static int find_nodes(struct inventory *inv)
{
	static const char *const classes[] = { "nvme", "nvme-generic", "scsi_generic", "uio" };
	unsigned i;
	int err = 0;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]) && !err; i++)
		err = inventory_each(inv, classes[i], add_node, NULL);
	return err;
}

int inventory_processes(struct inventory *inv)
{
	struct dirent *entry;
	int err = find_nodes(inv), blind = 0;
	DIR *dir;

	if (err)
		return err;
	dir = plx_sys->opendir("/proc");
	if (!dir)
		return tell_blind(inv, -errno);
	while (!err && (entry = file_next(dir, &blind)))
		if (is_number(entry->d_name))
			err = look_into(inv, entry->d_name);
	plx_sys->closedir(dir);
	return err ? err : tell_blind(inv, blind);
}
