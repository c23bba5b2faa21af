/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "files.h"
#include "grant.h"
#include "rules.h"
#include "sys.h"

#define NODES_MAX 64
#define PATH_LEN  160

struct node {
	char path[PATH_LEN];
	struct stat before;
	bool folder;
};

struct nodes {
	struct node at[NODES_MAX];
	unsigned count;
};

/* A number is itself, so that an id without a name can be given. */
static bool parse_id(const char *text, unsigned *id)
{
	unsigned long value;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	*id = (unsigned)value;
	return !errno && !*end && value < NOBODY;
}

int grant_find_user(const char *name, unsigned *uid)
{
	const struct passwd *user;

	if (parse_id(name, uid))
		return 0;
	user = getpwnam(name);
	if (!user)
		return -ENOENT;
	*uid = user->pw_uid;
	return 0;
}

static int find_group(const char *name, unsigned *gid)
{
	const struct group *group;

	if (parse_id(name, gid))
		return 0;
	group = getgrnam(name);
	if (!group)
		return -ENOENT;
	*gid = group->gr_gid;
	return 0;
}

/* NAME is a user, or a group if there is no such user; :NAME is a group, as for chown(1). */
static int find_grantee(const char *name, struct grantee *grantee)
{
	int err = -ENOENT;

	*grantee = (struct grantee){ NOBODY, NOBODY };
	if (*name != ':')
		err = grant_find_user(name, &grantee->uid);
	if (err)
		err = find_group(*name == ':' ? name + 1 : name, &grantee->gid);
	if (err)
		plx_err("there is no user or group '%s'", name);
	return err;
}

static int add_node(struct nodes *nodes, const char *path)
{
	struct node *node = &nodes->at[nodes->count];
	unsigned i;

	for (i = 0; i < nodes->count; i++)
		if (!strcmp(nodes->at[i].path, path))
			return 0;
	if (nodes->count == NODES_MAX) {
		plx_err("these are too many devices for one call: %d nodes at most", NODES_MAX);
		return -E2BIG;
	}
	snprintf(node->path, sizeof(node->path), "%s", path);
	/* Not every kernel has every node; what a device can't do without is looked at before. */
	if (plx_sys->stat(path, &node->before)) {
		int err = errno == ENOENT ? 0 : -errno;

		if (err)
			plx_err("%s can't be looked at: %s", path, strerror(-err));
		return err;
	}
	node->folder = S_ISDIR(node->before.st_mode);
	nodes->count++;
	return 0;
}

static int add_device(struct nodes *nodes, const char *bdf, bool bound)
{
	char path[PATH_LEN];
	struct plx_facts facts;
	int err = plx_facts_read(bdf, &facts);

	if (err || (bound && !plx_facts_bound(&facts))) {
		plx_err("%s is not VFIO's: bind it to vfio-pci first", bdf);
		return err ? err : -ENODEV;
	}
	if (facts.group >= 0) {
		snprintf(path, sizeof(path), "/dev/vfio/%s%d",
			 facts.noiommu_group ? "noiommu-" : "", facts.group);
		err = add_node(nodes, path);
	}
	if (!err && facts.cdev[0]) {
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", facts.cdev);
		err = add_node(nodes, path);
	}
	return err;
}

static int add_huge_mount(void *ctx, const char *where, const char *size)
{
	(void)size;
	return add_node(ctx, where);
}

/* bound: the devices have to be VFIO's. */
static int find_nodes(struct nodes *nodes, const struct selection *selection, bool bound)
{
	unsigned i;
	int err = 0;

	nodes->count = 0;
	for (i = 0; i < selection->count && !err; i++)
		err = add_device(nodes, selection->dev[i]->bdf, bound);
	err = err ? err : add_node(nodes, "/dev/vfio/vfio");
	err = err ? err : add_node(nodes, "/dev/iommu");
	return err ? err : each_hugetlbfs(add_huge_mount, nodes);
}

/* Whether everybody may use it: then nothing needs to be granted. */
static bool is_public(const struct node *node)
{
	mode_t wanted = node->folder ? S_IRWXO : S_IROTH | S_IWOTH;

	return (node->before.st_mode & wanted) == wanted;
}

/* What was given to another user, or another group, would be taken away. */
static bool taken(const struct node *node, const struct grantee *grantee)
{
	const struct stat *st = &node->before;

	if (is_public(node))
		return false;
	return (grantee->uid != NOBODY && st->st_uid && st->st_uid != grantee->uid) ||
	       (grantee->gid != NOBODY && st->st_gid && st->st_gid != grantee->gid &&
		st->st_mode & S_IWGRP);
}

static mode_t mode_for(const struct node *node, const struct grantee *grantee)
{
	mode_t mode = node->before.st_mode & 07777;

	if (grantee->uid != NOBODY)
		mode |= node->folder ? S_IRWXU : S_IRUSR | S_IWUSR;
	if (grantee->gid != NOBODY)
		mode |= node->folder ? S_IRWXG : S_IRGRP | S_IWGRP;
	return mode;
}

static int give(const struct node *node, unsigned uid, unsigned gid, mode_t mode)
{
	int err = 0;

	if (plx_sys->chown(node->path, uid, gid) || plx_sys->chmod(node->path, mode)) {
		err = -errno;
		plx_err("%s can't be given away: %s", node->path, strerror(-err));
	}
	return err;
}

static int give_all(const struct nodes *nodes, const struct grantee *grantee)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < nodes->count && !err; i++)
		if (!is_public(&nodes->at[i]))
			err = give(&nodes->at[i], grantee->uid, grantee->gid,
				   mode_for(&nodes->at[i], grantee));
	if (!err)
		return 0;
	while (i--) {
		const struct stat *st = &nodes->at[i].before;

		if (!is_public(&nodes->at[i]))
			give(&nodes->at[i], st->st_uid, st->st_gid, st->st_mode & 07777);
	}
	plx_err("nothing was granted: the nodes are as they were");
	return err;
}

static bool refused(const struct options *options, const struct nodes *nodes,
		    const struct grantee *grantee)
{
	unsigned i, against = 0;

	for (i = 0; i < nodes->count && !options->force; i++) {
		const struct node *node = &nodes->at[i];

		if (!taken(node, grantee))
			continue;
		plx_err("refused: %s is owned by %u:%u, who would lose it; grant a group that "
			"both are in, or use --force",
			node->path, node->before.st_uid, node->before.st_gid);
		against++;
	}
	return against;
}

/*
 * Groups have other numbers after every boot, and their nodes no parent: a node is asked whether
 * the device is in its group. A cdev has the device as its parent. Another card that is in the slot
 * by then has other ids, and isn't given away; /dev/iommu is no device's, and alone gives none.
 */
static int write_rule(const struct device *dev, const struct grantee *grantee)
{
	char path[RULE_PATH_LEN], whom[80] = "", text[1024];
	unsigned vendor = dev->id.vendor, device = dev->id.device;
	const char *bdf = dev->bdf;
	size_t at = 0;

	if (grantee->uid != NOBODY)
		at = (size_t)snprintf(whom, sizeof(whom), ", OWNER=\"%u\"", grantee->uid);
	if (grantee->gid != NOBODY)
		snprintf(whom + at, sizeof(whom) - at, ", GROUP=\"%u\", MODE=\"0660\"",
			 grantee->gid);
	snprintf(text, sizeof(text),
		 "# Made by plx-devbind grant --persist; `plx-devbind restore %s` removes it.\n"
		 "SUBSYSTEM==\"vfio\", PROGRAM==\"/bin/sh -c 'g=%%k; "
		 "cd /sys/kernel/iommu_groups/$${g#noiommu-}/devices/%s && "
		 "read v < vendor && read d < device && test $$v.$$d = 0x%04x.0x%04x'\"%s\n"
		 "SUBSYSTEM==\"vfio-dev\", KERNELS==\"%s\", ATTRS{vendor}==\"0x%04x\", "
		 "ATTRS{device}==\"0x%04x\"%s\n"
		 "SUBSYSTEM==\"misc\", KERNEL==\"iommu\"%s\n",
		 bdf, bdf, vendor, device, whom, bdf, vendor, device, whom, whom);
	rule_path(path, RULE_GRANT, bdf);
	return file_make(path, text);
}

static int write_rules(const struct selection *selection, const struct grantee *grantee)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < selection->count && !err; i++)
		err = write_rule(selection->dev[i], grantee);
	if (!err)
		return 0;
	while (i--)
		grant_undo(selection->dev[i]->bdf);
	return err;
}

enum exit_code grant_check(const struct options *options, const struct selection *selection,
			   const struct grantee *grantee)
{
	struct nodes nodes;

	if (find_nodes(&nodes, selection, false))
		return EXIT_FAILED;
	return refused(options, &nodes, grantee) ? EXIT_REFUSED : EXIT_DONE;
}

enum exit_code grant_give(const struct options *options, const struct selection *selection,
			  const struct grantee *grantee)
{
	struct nodes nodes;
	unsigned i;

	if (find_nodes(&nodes, selection, true))
		return EXIT_FAILED;
	if (refused(options, &nodes, grantee))
		return EXIT_REFUSED;
	if (options->persist && write_rules(selection, grantee))
		return EXIT_FAILED;
	if (give_all(&nodes, grantee)) {
		for (i = 0; i < selection->count && options->persist; i++)
			grant_undo(selection->dev[i]->bdf);
		return EXIT_FAILED;
	}
	for (i = 0; i < nodes.count; i++)
		plx_notice("%s: %s", nodes.at[i].path,
			   is_public(&nodes.at[i]) ? "open to everybody already" : "granted");
	return EXIT_DONE;
}

enum exit_code grant_run(const struct options *options, const struct inventory *inv)
{
	struct selection selection;
	struct grantee grantee;
	enum exit_code code;

	if (find_grantee(options->grantee, &grantee))
		return EXIT_USAGE;
	code = selection_make(&selection, inv, options->words, options->count);
	if (code != EXIT_DONE)
		return code;
	code = grant_give(options, &selection, &grantee);
	selection_free(&selection);
	return code;
}

int grant_find(const struct options *options, struct grantee *grantee)
{
	*grantee = (struct grantee){ NOBODY, NOBODY };
	if (options->user && grant_find_user(options->user, &grantee->uid)) {
		plx_err("there is no user '%s'", options->user);
		return -ENOENT;
	}
	if (options->group && find_group(options->group, &grantee->gid)) {
		plx_err("there is no group '%s'", options->group);
		return -ENOENT;
	}
	return 0;
}

int grant_undo(const char *bdf)
{
	return rule_remove(RULE_GRANT, bdf);
}
