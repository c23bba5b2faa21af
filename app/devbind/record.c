/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <pollux/log.h>

#include "files.h"
#include "record.h"
#include "sys.h"

#define PATH_LEN 160

/* How long another plx-devbind is waited for: it is done in less, unless it hangs. */
#define LOCK_TRIES  30
#define LOCK_NAP_MS 100

static const char *const folders[] = { "/run/pollux/devbind", "/var/lib/pollux/devbind" };

static void record_path(char path[PATH_LEN], bool persistent, const char *bdf)
{
	snprintf(path, PATH_LEN, "%s/%.16s", folders[persistent], bdf);
}

/* "-" stands for no name. */
static const char *written(const char *name)
{
	return *name ? name : "-";
}

static void unwrite(char *name)
{
	if (!strcmp(name, "-"))
		*name = '\0';
}

static int read_one(const struct device *dev, bool persistent, struct record *record)
{
	char path[PATH_LEN], text[256];
	unsigned vendor, device;
	int len;

	*record = (struct record){ .persistent = persistent };
	record_path(path, persistent, dev->bdf);
	len = plx_sys_read_text(path, text, sizeof(text));
	if (len < 0)
		return len;
	/* A driver's name may have blanks. */
	if (sscanf(text, "id %4x:%4x driver %39[^\n] override %39[^\n] persisted %39[^\n]", &vendor,
		   &device, record->driver, record->override, record->persisted) != 5) {
		plx_warn("%s makes no sense: passed over", path);
		return -EINVAL;
	}
	if (vendor != dev->id.vendor || device != dev->id.device) {
		plx_warn("%s is about another card (%04x:%04x) that was there: passed over", path,
			 vendor, device);
		return -EINVAL;
	}
	unwrite(record->driver);
	unwrite(record->override);
	unwrite(record->persisted);
	return 0;
}

int record_read(const struct device *dev, struct record *record)
{
	int err = read_one(dev, true, record);

	return err ? read_one(dev, false, record) : 0;
}

int record_make(const struct device *dev, const struct record *record, bool *made)
{
	char path[PATH_LEN], text[256];
	struct record before;
	int err;

	*made = false;
	if (!record_read(dev, &before)) {
		if (before.persistent >= record->persistent)
			return 0;
		/* What it was first counts, not what it has become since. */
		before.persistent = true;
		strcpy(before.persisted, record->persisted);
		record = &before;
	}
	record_path(path, record->persistent, dev->bdf);
	snprintf(text, sizeof(text), "id %04x:%04x\ndriver %s\noverride %s\npersisted %s\n",
		 dev->id.vendor, dev->id.device, written(record->driver), written(record->override),
		 written(record->persisted));
	err = file_make(path, text);
	*made = !err;
	return err;
}

void record_remove(const char *bdf, bool persistent)
{
	char path[PATH_LEN];

	record_path(path, persistent, bdf);
	file_remove(path);
}

int record_list(struct texts *bdfs)
{
	struct dirent *entry;
	int err = 0;
	unsigned i;
	DIR *dir;

	for (i = 0; i < 2 && !err; i++) {
		dir = plx_sys->opendir(folders[i]);
		while (dir && !err && (entry = plx_sys->readdir(dir)))
			if (plx_bdf_valid(entry->d_name) && !texts_have(bdfs, entry->d_name))
				err = texts_add(bdfs, "%s", entry->d_name);
		if (dir)
			plx_sys->closedir(dir);
	}
	return err;
}

/* Nobody but root may open it: who can, can hold it. */
static int open_lock(const char *path)
{
	mode_t mask = umask(S_IRWXG | S_IRWXO);
	int fd = plx_sys->open(path, O_RDWR | O_CREAT), err = fd < 0 ? -errno : 0;

	umask(mask);
	if (!err && plx_sys->fchmod(fd, S_IRUSR | S_IWUSR)) {
		err = -errno;
		plx_sys->close(fd);
	}
	return err ? err : fd;
}

static int take_lock(int fd)
{
	unsigned tries = 0;

	while (plx_sys->flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK || ++tries == LOCK_TRIES)
			return -errno;
		plx_sys->sleep_ms(LOCK_NAP_MS);
	}
	return 0;
}

int record_lock(void)
{
	static const char path[] = "/run/pollux/devbind.lock";
	int err = file_make_folders(path), fd = -1;

	if (!err)
		err = fd = open_lock(path);
	if (fd >= 0) {
		err = take_lock(fd);
		if (err)
			plx_sys->close(fd);
	}
	if (err == -EWOULDBLOCK)
		plx_err("another plx-devbind is at work, and is not done");
	else if (err)
		plx_err("%s: %s%s", path, strerror(-err),
			err == -EACCES || err == -EPERM ? " (changing drivers takes root)" : "");
	return err ? err : fd;
}
