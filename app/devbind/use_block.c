/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Block devices, and what stands on them. The kernel says it in three places: "holders" in sysfs
 * (device mapper, MD), /proc/self/mountinfo and /proc/swaps. A holder may be held, mounted or
 * swapped to in turn, so holders are followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "files.h"
#include "sys.h"

struct block {
	char *mounts, *swaps; /* the kernel's tables; NULL: can't be read */
	bool blind;	      /* one that is there can't be */

	/* Loop devices on block devices, and on which: they are no holders to the kernel. */
	struct texts loops, below;
};

/* A whole line at a time; the table stays as it is. Returns the next line or NULL. */
static const char *next_line(const char *at, char *line, size_t len)
{
	size_t used;

	if (!at || !*at)
		return NULL;
	used = strcspn(at, "\n");
	snprintf(line, len, "%.*s", (int)used, at);
	return at + used + (at[used] == '\n');
}

/* proc_pid_mountinfo(5) writes blanks, tabs, newlines and backslashes in octal. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		unsigned code;

		if (*text == '\\' && sscanf(text + 1, "%3o", &code) == 1 && strlen(text) >= 4) {
			*to++ = (char)code;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/*
 * By device number; file systems of several disks have a number of their own, and are known by
 * where they were mounted from.
 */
static int add_mounts(const struct block *block, struct device *dev, const char *name,
		      const char *number)
{
	const char *at = block->mounts;
	char line[4096], node[300], from[300], where[300], num[32];
	int err = 0;

	snprintf(node, sizeof(node), "/dev/%s", name);
	while (!err && (at = next_line(at, line, sizeof(line)))) {
		const char *rest = strstr(line, " - ");

		if (!rest || sscanf(line, "%*s %*s %31s %*s %299s", num, where) != 2 ||
		    sscanf(rest, " - %*s %299s", from) != 1)
			continue;
		if (strcmp(num, number) && strcmp(from, node))
			continue;
		unescape(where);
		err = texts_add(&dev->uses, "%s is mounted on %s", name, where);
	}
	return err;
}

static int add_swap(const struct block *block, struct device *dev, const char *name,
		    const char *number)
{
	const char *at = block->swaps;
	char line[4096], path[300], node[300], type[32], num[32];
	struct stat st;

	snprintf(node, sizeof(node), "/dev/%s", name);
	while ((at = next_line(at, line, sizeof(line)))) {
		if (sscanf(line, "%299s %31s", path, type) != 2 || strcmp(type, "partition"))
			continue;
		num[0] = '\0';
		if (!plx_sys->stat(path, &st)) {
			snprintf(num, sizeof(num), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
		} else {
			int err = device_blind(dev, path, -errno);

			if (err)
				return err;
		}
		if (!strcmp(path, node) || !strcmp(num, number))
			return texts_add(&dev->uses, "%s is swap", name);
	}
	return 0;
}

/* What a holder is, in words: the start of a device-mapper UUID says whose it is. */
static void describe(const char *holder, char *buf, size_t len)
{
	char path[400], uuid[160], name[160];
	const char *kind = "device mapper";

	snprintf(path, sizeof(path), "/sys/class/block/%s/dm/uuid", holder);
	if (plx_sys_read_text(path, uuid, sizeof(uuid)) < 0) {
		snprintf(buf, len, "%s", strncmp(holder, "md", 2) ? holder : "an MD RAID array");
		return;
	}
	if (!strncmp(uuid, "LVM-", 4))
		kind = "LVM";
	else if (!strncmp(uuid, "CRYPT-", 6))
		kind = "an encrypted volume";
	else if (!strncmp(uuid, "mpath-", 6))
		kind = "a multipath map";
	snprintf(path, sizeof(path), "/sys/class/block/%s/dm/name", holder);
	if (plx_sys_read_text(path, name, sizeof(name)) < 0)
		name[0] = '\0';
	snprintf(buf, len, "%s %s", kind, name);
}

static int add_block(const struct block *block, struct device *dev, const char *name,
		     unsigned depth);

static int add_loops(const struct block *block, struct device *dev, const char *name,
		     unsigned depth)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < block->loops.count && !err; i++) {
		const char *loop = block->loops.at[i];

		if (strcmp(block->below.at[i], name))
			continue;
		err = texts_add(&dev->uses, "%s is held by %s (a loop device)", name, loop);
		err = err ? err : add_block(block, dev, loop, depth + 1);
	}
	return err;
}

static int add_holders(const struct block *block, struct device *dev, const char *name,
		       unsigned depth)
{
	char path[400], what[360];
	struct dirent *entry;
	int err = 0, blind = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/block/%s/holders", name);
	dir = plx_sys->opendir(path);
	if (!dir)
		return device_blind(dev, path, -errno);
	while (!err && (entry = file_next(dir, &blind))) {
		if (entry->d_name[0] == '.')
			continue;
		describe(entry->d_name, what, sizeof(what));
		err = texts_add(&dev->uses, "%s is held by %s (%s)", name, entry->d_name, what);
		err = err ? err : add_block(block, dev, entry->d_name, depth + 1);
	}
	plx_sys->closedir(dir);
	return err ? err : device_blind(dev, path, blind);
}

/* A disk, a partition or a holder. Holders form no cycles, but what sysfs says is input. */
static int add_block(const struct block *block, struct device *dev, const char *name,
		     unsigned depth)
{
	char path[400], number[32];
	int err, len;

	if (depth > 8)
		return 0;
	snprintf(path, sizeof(path), "/sys/class/block/%s/dev", name);
	len = plx_sys_read_text(path, number, sizeof(number));
	if (len < 0)
		number[0] = '\0';
	err = len < 0 ? device_blind(dev, path, len) : 0;
	err = err ? err : texts_add(&dev->blocks, "%s", name);
	if (!err && block->blind)
		err = texts_add(&dev->uses, "%s may be: what is mounted, or swap, can't be read",
				name);
	err = err ? err : add_mounts(block, dev, name, number);
	err = err ? err : add_swap(block, dev, name, number);
	err = err ? err : add_holders(block, dev, name, depth);
	return err ? err : add_loops(block, dev, name, depth);
}

/* Partitions and disks alike. A disk with several ways to it has its name at none of them. */
static bool is_partition(const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "/sys/class/block/%s/partition", name);
	return !plx_sys->access(path, F_OK) || errno != ENOENT;
}

static int add_named(const struct block *block, struct device *dev, const char *name)
{
	int err = is_partition(name) ? 0 : texts_add(&dev->disks, "%s", name);

	return err ? err : add_block(block, dev, name, 0);
}

/* The partitions of a disk that isn't below its function in sysfs. */
static int add_partitions(const struct block *block, struct device *dev, const char *disk)
{
	char path[400];
	struct dirent *entry;
	int err = 0, blind = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/block/%s", disk);
	dir = plx_sys->opendir(path);
	if (!dir)
		return device_blind(dev, path, -errno);
	while (!err && (entry = file_next(dir, &blind)))
		if (!strncmp(entry->d_name, disk, strlen(disk)) && is_partition(entry->d_name))
			err = add_named(block, dev, entry->d_name);
	plx_sys->closedir(dir);
	return err ? err : device_blind(dev, path, blind);
}

static int add_found(void *ctx, struct device *dev, const char *name)
{
	unsigned subsystem, controller, namespace;
	char disk[48];
	int err;

	/* With native multipath nvme0c1n1 is a way of controller 1's to the disk nvme0n1. */
	if (sscanf(name, "nvme%uc%un%u", &subsystem, &controller, &namespace) != 3)
		return add_named(ctx, dev, name);
	snprintf(disk, sizeof(disk), "nvme%un%u", subsystem, namespace);
	err = add_named(ctx, dev, disk);
	err = err ? err : add_partitions(ctx, dev, disk);
	/* Its node for commands is at the subsystem, too. */
	return err ? err : texts_add(&dev->nodes, "ng%un%u", subsystem, namespace);
}

static int find_loop(void *ctx, const char *name)
{
	struct block *block = ctx;
	char path[400], file[400];
	int err = 0, len;

	if (strncmp(name, "loop", 4))
		return 0;
	snprintf(path, sizeof(path), "/sys/class/block/%s/loop/backing_file", name);
	len = plx_sys_read_text(path, file, sizeof(file));
	block->blind |= len < 0 && len != -ENOENT && len != -E2BIG;
	if (len > 0 && !strncmp(file, "/dev/", 5)) {
		err = texts_add(&block->below, "%s", file + 5);
		err = err ? err : texts_add(&block->loops, "%s", name);
	}
	return err;
}

int inventory_block(struct inventory *inv)
{
	struct block block = { 0 };
	int err;

	block.mounts = file_read("/proc/self/mountinfo", NULL);
	block.swaps = file_read("/proc/swaps", NULL);
	/* A kernel may be without swap. */
	block.blind = !block.mounts ||
		      (!block.swaps && (!plx_sys->access("/proc/swaps", F_OK) || errno != ENOENT));
	err = each_name("/sys/class/block", find_loop, &block);
	/* What can't be read is met again, and said of the devices then. */
	if (err != -ENOMEM)
		err = inventory_each(inv, "/sys/class/block", add_found, &block);
	texts_free(&block.loops);
	texts_free(&block.below);
	plx_sys->free(block.mounts);
	plx_sys->free(block.swaps);
	return err;
}

int device_claimed(const struct device *dev, char name[NAME_TEXT_LEN])
{
	char path[NAME_TEXT_LEN + 8], *slash;
	int fd, err = 0;
	unsigned i;

	for (i = 0; i < dev->blocks.count && !err; i++) {
		snprintf(name, NAME_TEXT_LEN, "%s", dev->blocks.at[i]);
		snprintf(path, sizeof(path), "/dev/%s", name);
		/* sysfs has no "/" in names. */
		while ((slash = strchr(path, '!')))
			*slash = '/';
		fd = plx_sys->open(path, O_RDONLY | O_EXCL | O_NONBLOCK);
		if (fd >= 0)
			plx_sys->close(fd);
		/* No node, nothing behind it, or a drive that is empty: nobody can have it. */
		else if (errno != ENOENT && errno != ENXIO && errno != ENODEV && errno != ENOMEDIUM)
			err = -errno;
	}
	return err;
}
