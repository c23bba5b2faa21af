/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <pollux/log.h>

#include "change.h"
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

/* Three names, of which each may be none; they become parts of paths. */
static bool read_name(char *name)
{
	if (!strcmp(name, "-"))
		*name = '\0';
	return !*name || driver_name_valid(name);
}

static bool parse(const char *text, struct record *record)
{
	/* A driver's name may have blanks. */
	return sscanf(text, "id %4x:%4x driver %39[^\n] override %39[^\n] persisted %39[^\n]",
		      &record->vendor, &record->device, record->driver, record->override,
		      record->persisted) == 5 &&
	       read_name(record->driver) && read_name(record->override) &&
	       read_name(record->persisted);
}

int record_load(const char *bdf, bool persistent, struct record *record)
{
	char path[PATH_LEN], text[256];
	int len;

	*record = (struct record){ .persistent = persistent };
	record_path(path, persistent, bdf);
	len = plx_sys_read_text(path, text, sizeof(text));
	if (len == -ENOENT || (len >= 0 && parse(text, record)))
		return len < 0 ? len : 0;
	plx_err("%s can't be read (%s), so what %s was is not known: bind it by hand to the driver "
		"that it is to have, and remove this file",
		path, len < 0 ? strerror(-len) : "it makes no sense", bdf);
	return len < 0 ? len : -EINVAL;
}

int record_read(const struct device *dev, struct record *record)
{
	struct record former = { 0 };
	int err, ret = -ENOENT;
	unsigned i;

	/* The older one comes first. */
	for (i = 0; i < 2; i++) {
		err = record_load(dev->bdf, !i, record);
		if (!err && record->vendor == dev->id.vendor && record->device == dev->id.device)
			return 0;
		if (err && err != -ENOENT)
			return err;
		if (err || ret == -ESTALE)
			continue;
		former = *record;
		ret = -ESTALE;
	}
	*record = former;
	return ret;
}

int record_make(const struct device *dev, const struct record *record, bool *made)
{
	char path[PATH_LEN], text[256];
	struct record before, first = *record;
	int err = record_read(dev, &before);

	*made = false;
	if (err && err != -ENOENT && err != -ESTALE)
		return err;
	if (!err && before.persistent >= record->persistent)
		return 0;
	/* What it was first counts, not what it has become since. */
	if (!err) {
		strcpy(first.driver, before.driver);
		strcpy(first.override, before.override);
	}
	/* What driverctl has been told for the former card it was told by us. */
	if (err == -ESTALE && before.persistent)
		strcpy(first.persisted, before.persisted);
	record_path(path, record->persistent, dev->bdf);
	snprintf(text, sizeof(text), "id %04x:%04x\ndriver %s\noverride %s\npersisted %s\n",
		 dev->id.vendor, dev->id.device, written(first.driver), written(first.override),
		 written(first.persisted));
	err = file_make(path, text);
	*made = !err;
	return err;
}

int record_remove(const char *bdf, bool persistent)
{
	char path[PATH_LEN];

	record_path(path, persistent, bdf);
	return file_remove(path);
}

static int add_record(void *ctx, const char *name)
{
	return plx_bdf_valid(name) ? texts_add_new(ctx, name) : 0;
}

int record_list(struct texts *bdfs)
{
	int err = each_name(folders[false], add_record, bdfs);

	return err ? err : each_name(folders[true], add_record, bdfs);
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
			err == -EACCES || err == -EPERM ? " (it takes root)" : "");
	return err ? err : fd;
}
