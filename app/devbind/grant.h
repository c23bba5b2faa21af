/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving a user or a group what it needs to use devices without being root: the device's own nodes
 * (its group's, its cdev), those that all devices share, and hugetlbfs.
 */
#ifndef DEVBIND_GRANT_H
#define DEVBIND_GRANT_H

#include <limits.h>

#include "options.h"
#include "select.h"

/* `grant`. A node that is somebody else's already is refused. */
enum exit_code grant_run(const struct options *options, const struct inventory *inv);

/* Whom to give to. An id that is NOBODY is left as it is, as by chown(2). */
#define NOBODY UINT_MAX

struct grantee {
	unsigned uid, gid;
};

/* The uid of a name, or of a number. 0 or -ENOENT. */
int grant_find_user(const char *name, unsigned *uid);

/* That of -U and -G. 0 or -ENOENT with a line logged. */
int grant_find(const struct options *options, struct grantee *grantee);

/*
 * What can be told before the devices are VFIO's: whether a node that is there already would be
 * taken from somebody.
 */
enum exit_code grant_check(const struct options *options, const struct selection *selection,
			   const struct grantee *grantee);
enum exit_code grant_give(const struct options *options, const struct selection *selection,
			  const struct grantee *grantee);

/* Removes the rule of --persist, if there is one. 0 or -errno with a line logged. */
int grant_undo(const char *bdf);

#endif
