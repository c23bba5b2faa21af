/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "files.h"
#include "sys.h"

#define PATH_LEN 160

/* Most files are shorter, and memory that isn't needed would have to be cleared all the same. */
#define FIRST_ROOM 4096

/* Twice the room for what is there; NULL: there is no memory. What was there is given back. */
static char *grow(char *text, size_t *room)
{
	size_t more = *room ? 2 * *room : FIRST_ROOM;
	char *larger = plx_sys->alloc(more + 1);

	if (larger && text)
		memcpy(larger, text, *room);
	plx_sys->free(text);
	*room = more;
	return larger;
}

char *file_read(const char *path, size_t *len)
{
	int fd = plx_sys->open(path, O_RDONLY);
	size_t have = 0, room = 0;
	char *text = NULL;
	ssize_t got = 1;

	if (fd < 0)
		return NULL;
	while (got > 0 && have < FILE_MAX) {
		if (have == room && !(text = grow(text, &room)))
			break;
		got = plx_sys->read(fd, text + have, room - have);
		if (got > 0)
			have += (size_t)got;
	}
	plx_sys->close(fd);
	if (text && got < 0) {
		plx_sys->free(text);
		return NULL;
	}
	if (text && len)
		*len = have;
	return text;
}

struct dirent *file_next(DIR *dir, int *err)
{
	struct dirent *entry;

	errno = 0;
	entry = plx_sys->readdir(dir);
	if (!entry && errno)
		*err = -errno;
	return entry;
}

int each_name(const char *folder, int (*fn)(void *ctx, const char *name), void *ctx)
{
	DIR *dir = plx_sys->opendir(folder);
	int err = 0, unread = dir || errno == ENOENT ? 0 : -errno;
	struct dirent *entry;

	while (dir && !err && (entry = file_next(dir, &unread)))
		if (entry->d_name[0] != '.')
			err = fn(ctx, entry->d_name);
	if (dir)
		plx_sys->closedir(dir);
	if (unread)
		plx_err("%s can't be read: %s", folder, strerror(-unread));
	return err ? err : unread;
}

int file_make_folders(const char *path)
{
	char folder[PATH_LEN];
	const char *slash = path;

	while ((slash = strchr(slash + 1, '/'))) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if (plx_sys->mkdir(folder, 0755) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* A file with these contents, or none. */
static int make_whole(const char *path, const char *text)
{
	int fd = plx_sys->open(path, O_WRONLY | O_CREAT), err;

	if (fd < 0)
		return -errno;
	plx_sys->close(fd);
	err = plx_sys_write_text(path, text);
	if (err)
		plx_sys->unlink(path);
	return err;
}

int file_make(const char *path, const char *text)
{
	char whole[PATH_LEN + 8];
	int err = file_make_folders(path);

	snprintf(whole, sizeof(whole), "%s.new", path);
	err = err ? err : make_whole(whole, text);
	if (!err && plx_sys->rename(whole, path)) {
		err = -errno;
		plx_sys->unlink(whole);
	}
	if (err)
		plx_err("%s can't be written: %s", path, strerror(-err));
	return err;
}

int file_remove(const char *path)
{
	int err;

	/* On a file system that can't be written, unlink() doesn't say that there is nothing. */
	if (plx_sys->access(path, F_OK) && errno == ENOENT)
		return 0;
	err = plx_sys->unlink(path) ? -errno : 0;
	if (err)
		plx_err("%s can't be removed: %s", path, strerror(-err));
	return err;
}

int each_hugetlbfs(int (*fn)(void *ctx, const char *where, const char *size), void *ctx)
{
	char *text = file_read("/proc/mounts", NULL), *rest = text, *line, *size;
	char where[160], type[32], options[200];
	int err = 0;

	while (!err && rest && (line = strsep(&rest, "\n"))) {
		if (sscanf(line, "%*s %159s %31s %199s", where, type, options) != 3 ||
		    strcmp(type, "hugetlbfs"))
			continue;
		size = strstr(options, "pagesize=");
		if (size)
			size[strcspn(size, ",")] = '\0';
		err = fn(ctx, where, size ? size : "");
	}
	plx_sys->free(text);
	return err;
}
