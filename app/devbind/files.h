/* SPDX-License-Identifier: BSD-3-Clause */
/* Files read and written whole, through the seam. */
#ifndef DEVBIND_FILES_H
#define DEVBIND_FILES_H

#include <dirent.h>
#include <stddef.h>

#define FILE_MAX (1 << 20) /* what is longer is cut off */

/*
 * The contents, with a NUL behind them; to be given back with plx_sys->free(). NULL: it can't be
 * read, or there is no memory. len may be NULL.
 */
char *file_read(const char *path, size_t *len);

/*
 * Makes a file with these contents, and the folders above it. Whatever comes between, what was
 * there is there, or all of this. 0 or -errno with a line logged.
 */
int file_make(const char *path, const char *text);

/* The next entry of a folder. NULL: the end, or *err is -errno; *err is left alone otherwise. */
struct dirent *file_next(DIR *dir, int *err);

/*
 * Calls fn for every name in a folder, but for those that begin with a dot; a folder that isn't
 * there is empty. Stops at an error of fn's. -errno with a line logged: it can't be read.
 */
int each_name(const char *folder, int (*fn)(void *ctx, const char *name), void *ctx);

/* The folders above a path. 0 or -errno. */
int file_make_folders(const char *path);

/* Removes a file if it is there. 0 or -errno with a line logged. */
int file_remove(const char *path);

/*
 * Calls fn for every mount of hugetlbfs with where it is and its "pagesize=..." ("" if it has
 * none). Stops at an error of fn's.
 */
int each_hugetlbfs(int (*fn)(void *ctx, const char *where, const char *size), void *ctx);

#endif
