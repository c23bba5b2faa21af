/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that hold a device node: VFIO's, a disk's, or another one of the device, by a
 * descriptor or by a mapping, which keeps a file open after its descriptor is closed. Taking a
 * device from vfio-pci waits for as long as somebody has it, whatever signals come, and a disk may
 * be in use by a program without being mounted.
 *
 * Only root sees everybody's descriptors and mappings; others see their own.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "files.h"
#include "sys.h"

#define MAPS_PIECE (5 * 4096) /* a line has some numbers, and a path with each byte in octal */

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
	bool mapped;	 /* whether it is the mappings that are looked at, after the descriptors */
	bool has_node;	 /* a group's or a cdev: it says which devices the process has */
	bool has_named;	 /* a device of VFIO's by its descriptor, which says which one */
	bool has_device; /* one that nothing says which it is */
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

/* what: a node, or "it". What is open already need not be told again for its mappings. */
static int add_use(const struct process *process, struct device *dev, const char *what, bool holds)
{
	char text[300];
	int err;

	snprintf(text, sizeof(text), "%s is open in process %s (%s)", what, process->pid,
		 process->command);
	if (process->mapped && texts_have(&dev->uses, text))
		return 0;
	if (process->mapped)
		snprintf(text, sizeof(text), "%s is mapped by process %s (%s)", what, process->pid,
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

/* The kernel's files for BARs in sysfs: resource0, resource0_wc. The path is taken apart. */
static int take_bar(const struct process *process, char *path)
{
	const char *name = strrchr(path, '/') + 1;
	struct device *dev;
	char what[40];

	if (strncmp(name, "resource", 8) || !isdigit((unsigned char)name[8]))
		return 0;
	snprintf(what, sizeof(what), "its %.20s", name);
	dev = inventory_owner(process->inv, path);
	return dev ? add_use(process, dev, what, false) : 0;
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
	process->has_named = true;
	at += strlen(key);
	at[strcspn(at, "\n")] = '\0';
	dev = inventory_owner(process->inv, at);
	return dev ? add_use(process, dev, "it", true) : 0;
}

/* What a descriptor, or a mapping (fd: NULL), is of. A mapping is taken for one of what it has. */
static int take(struct process *process, const char *fd, char *target)
{
	if (!strncmp(target, "/sys/devices/", 13))
		return take_bar(process, target);
	if (strcmp(target, "anon_inode:[vfio-device]"))
		return take_node(process, target);
	if (fd)
		return take_device(process, fd);
	process->has_device |= !process->has_named;
	return 0;
}

/* proc_pid_maps(5): the path is the sixth of the fields, and may have blanks. */
static int take_mapping(struct process *process, char *line)
{
	unsigned i;

	for (i = 0; i < 5; i++) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return *line ? take(process, NULL, line) : 0;
}

/* One that has a device by its descriptor, or a mapping, alone may have any of VFIO's. */
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

static int look_at_descriptors(struct process *process)
{
	char path[600], target[400];
	struct dirent *entry;
	int err = 0, blind = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", process->pid);
	dir = plx_sys->opendir(path);
	if (!dir)
		return tell_blind(process->inv, -errno);
	while (!err && (entry = file_next(dir, &blind))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%s/fd/%s", process->pid, entry->d_name);
		len = plx_sys->readlink(path, target, sizeof(target) - 1);
		/* "." and ".." are no links. */
		if (len < 0 && errno != EINVAL)
			err = tell_blind(process->inv, -errno);
		if (len <= 0)
			continue;
		target[len] = '\0';
		err = take(process, entry->d_name, target);
	}
	plx_sys->closedir(dir);
	return err ? err : tell_blind(process->inv, blind);
}

/* Lines of which there is all, taken from the front of what was read. Returns what is left. */
static size_t take_lines(struct process *process, char *text, size_t len, int *err)
{
	char *line = text, *end;

	while (!*err && (end = memchr(line, '\n', len - (size_t)(line - text)))) {
		*end = '\0';
		*err = take_mapping(process, line);
		line = end + 1;
	}
	len -= (size_t)(line - text);
	memmove(text, line, len);
	return len;
}

/* A process has some ten thousands of mappings at most: a piece at a time, and all of them. */
static int look_at_mappings(struct process *process)
{
	char text[MAPS_PIECE + 1], path[60];
	size_t have = 0;
	ssize_t got = 1;
	int fd, err = 0;

	process->mapped = true;
	snprintf(path, sizeof(path), "/proc/%.20s/maps", process->pid);
	fd = plx_sys->open(path, O_RDONLY);
	if (fd < 0)
		return tell_blind(process->inv, -errno);
	/* No line is longer than a piece, for no path is. */
	while (!err && got > 0 && have < MAPS_PIECE) {
		got = plx_sys->read(fd, text + have, MAPS_PIECE - have);
		if (got > 0)
			have = take_lines(process, text, have + (size_t)got, &err);
		else if (got < 0)
			err = tell_blind(process->inv, -errno);
	}
	plx_sys->close(fd);
	return err || have < MAPS_PIECE ? err : tell_blind(process->inv, -E2BIG);
}

static int look_into(struct inventory *inv, const char *pid)
{
	struct process process = { .inv = inv, .pid = pid };
	char path[600];
	int err;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (plx_sys_read_text(path, process.command, sizeof(process.command)) < 0)
		strcpy(process.command, "?");
	text_clean(process.command);
	err = look_at_descriptors(&process);
	err = err ? err : look_at_mappings(&process);
	if (!err && process.has_device && !process.has_node)
		err = tell_unknown(&process);
	return err;
}

/* Nodes that programs drive a device by without its being mounted, or VFIO's: all that it has. */
static int add_node(void *ctx, struct device *dev, const char *number)
{
	static const char key[] = "\nDEVNAME=";
	char path[300], text[1024];
	const char *at;
	int len;

	(void)ctx;
	snprintf(path, sizeof(path), "/sys/dev/char/%s/uevent", number);
	len = plx_sys_read_text(path, text, sizeof(text));
	if (len < 0)
		return device_blind(dev, path, len);
	at = strstr(text, key);
	if (!at)
		return 0;
	at += strlen(key);
	text[at - text + strcspn(at, "\n")] = '\0';
	return texts_add_new(&dev->nodes, at);
}

int inventory_processes(struct inventory *inv)
{
	struct dirent *entry;
	int err = inventory_each(inv, "/sys/dev/char", add_node, NULL), blind = 0;
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
