/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The access modes in order of preference, the loop over them, and the line that says what came of
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "claim.h"
#include "refusal.h"

/*
 * After a bind udev may be changing owner and mode of the nodes, or be looking into them. A process
 * that was started together with this one may not be listening yet.
 */
#define OPEN_RETRIES  5
#define OPEN_RETRY_MS 100

/* enum plx_vfio_mode is in order of preference. */
static const struct plx_claim_ops *const claims[PLX_VFIO_MODES] = {
	[PLX_VFIO_CDEV] = &plx_claim_cdev,	   [PLX_VFIO_TYPE1V2] = &plx_claim_group,
	[PLX_VFIO_TYPE1] = &plx_claim_group,	   [PLX_VFIO_COMPAT] = &plx_claim_group,
	[PLX_VFIO_NOIOMMU_CDEV] = &plx_claim_cdev, [PLX_VFIO_NOIOMMU] = &plx_claim_group,
#ifdef PLX_HAVE_USER
	[PLX_VFIO_USER] = &plx_claim_user,
#endif
};

bool plx_claim_wait(const struct plx_claim *claim)
{
	if (!*claim->retries)
		return false;
	--*claim->retries;
	plx_sys->sleep_ms(OPEN_RETRY_MS);
	return true;
}

int plx_claim_open_node(const struct plx_claim *claim, const char *path, struct plx_refusal *why)
{
	for (;;) {
		int fd = plx_sys->open(path, O_RDWR);
		int err = -errno;

		if (fd >= 0)
			return fd;
		if ((err != -EACCES && err != -EBUSY) || !plx_claim_wait(claim))
			return plx_refuse_node(why, path, err);
	}
}

int plx_claim_check_node(const struct plx_claim *claim, const char *path, struct plx_refusal *why)
{
	if (plx_sys->access(path, F_OK))
		return plx_refuse_node(why, path, -errno);
	if (!claim->ioas && plx_sys->access(path, R_OK | W_OK))
		return plx_refuse_node(why, path, -errno);
	return 0;
}

int plx_claim_check_group(const struct plx_claim *claim, struct plx_refusal *why)
{
	char bdf[PLX_BDF_LEN], driver[PLX_NAME_LEN];

	if (claim->facts->noiommu_group ||
	    !plx_group_intruder(claim->facts, bdf, sizeof(bdf), driver, sizeof(driver)))
		return 0;
	return plx_refuse_about(why, PLX_REFUSED_GROUP, -EBUSY, bdf, PLX_REMEDY_USUAL,
				"group %d is not viable: %s is held by %s", claim->facts->group,
				bdf, driver);
}

int plx_refuse_isolation(struct plx_refusal *why, int err)
{
	return plx_refuse_about(why, PLX_REFUSED_ISOLATION, err, "interrupt remapping",
				PLX_REMEDY_USUAL, "interrupt remapping is missing (EPERM)");
}

int plx_refuse_rawio(struct plx_refusal *why, int err)
{
	return plx_refuse_about(why, PLX_REFUSED_PERMISSION, err, "CAP_SYS_RAWIO",
				PLX_REMEDY_CAPABILITY, "no-IOMMU needs CAP_SYS_RAWIO");
}

int plx_refuse_token(const struct plx_claim *claim, struct plx_refusal *why)
{
	return plx_refuse_about(why, PLX_REFUSED_TOKEN, -EACCES, claim->facts->bdf,
				PLX_REMEDY_USUAL, "the VF token is %s",
				claim->opts->vf_token ? "wrong" : "missing");
}

int plx_refuse_uuid(const struct plx_claim *claim, struct plx_refusal *why)
{
	return plx_refuse_about(why, PLX_REFUSED_TOKEN, -EINVAL, claim->facts->bdf, PLX_REMEDY_UUID,
				"the VF token is no UUID: \"%.64s\"", claim->opts->vf_token);
}

static int refuse_driver(const struct plx_facts *facts, struct plx_refusal *why)
{
	if (facts->driver[0])
		return plx_refuse_about(why, PLX_REFUSED_DRIVER, -EBUSY, facts->driver,
					PLX_REMEDY_USUAL, "bound to %s", facts->driver);
	return plx_refuse_about(why, PLX_REFUSED_DRIVER, -ENODEV, facts->bdf,
				facts->group < 0 ? PLX_REMEDY_BIND_NOIOMMU : PLX_REMEDY_USUAL,
				"bound to no driver");
}

/* A device that a process serves has one mode. */
static int check_user(const struct plx_claim *claim, struct plx_refusal *why)
{
	if (claim->mode != PLX_VFIO_USER)
		return plx_refuse(why, PLX_REFUSED_NOT_ASKED, -EINVAL,
				  "the device is served by a process");
	if (!claims[PLX_VFIO_USER])
		return plx_refuse_about(why, PLX_REFUSED_NODE, -ENOTSUP, "json-c", PLX_REMEDY_JSON,
					"this build has no vfio-user");
	return 0;
}

/* What holds for any way of claiming: the device, the driver, the user's wishes. */
static int check_mode(const struct plx_claim *claim, struct plx_refusal *why)
{
	const struct plx_vfio_opts *opts = claim->opts;

	if (!(opts->modes & 1u << claim->mode))
		return plx_refuse(why, PLX_REFUSED_NOT_ASKED, -EINVAL, "not asked for");
	if (claim->socket)
		return check_user(claim, why);
	if (claim->mode == PLX_VFIO_USER)
		return plx_refuse(why, PLX_REFUSED_NOT_ASKED, -EINVAL,
				  "the device is the kernel's");
	if (!claim->facts->present && opts->cdev_fd < 0 && opts->group_fd < 0)
		return plx_refuse_about(why, PLX_REFUSED_NO_DEVICE, -ENODEV, claim->facts->bdf,
					PLX_REMEDY_USUAL, "no such PCI function");
	if (!plx_facts_bound(claim->facts) && opts->cdev_fd < 0 && opts->group_fd < 0)
		return refuse_driver(claim->facts, why);
	return 0;
}

static bool is_noiommu(const struct plx_facts *facts)
{
	return facts->noiommu_group || facts->noiommu_cdev;
}

/* What speaks against no-IOMMU, for a device that is there. */
static int check_unsafe(const struct plx_claim *claim, struct plx_refusal *why)
{
	bool safe_asked =
		claim->opts->modes & ~(1u << PLX_VFIO_NOIOMMU_CDEV | 1u << PLX_VFIO_NOIOMMU);

	if (!plx_vfio_mode_unsafe(claim->mode))
		return 0;
	/* Of interest only to somebody who asked for nothing else. */
	if (claim->facts->group >= 0 && !is_noiommu(claim->facts))
		return plx_refuse_about(
			why, safe_asked ? PLX_REFUSED_NOT_ASKED : PLX_REFUSED_NODE, -ENODEV,
			claim->facts->bdf, PLX_REMEDY_SAFE_MODE,
			"the device is behind an IOMMU, and has no unprotected access");
	if (claim->opts->allow_noiommu)
		return 0;
	return plx_refuse_about(why, PLX_REFUSED_UNSAFE, -EPERM, claim->facts->bdf,
				PLX_REMEDY_USUAL, "unprotected DMA was not allowed");
}

/* Only when foretelling: the kernel tells who claims. */
static int check_isolation(const struct plx_claim *claim, struct plx_refusal *why)
{
	bool iommufd = claim->mode == PLX_VFIO_CDEV || claim->mode == PLX_VFIO_COMPAT;

	if (claim->socket || plx_vfio_mode_unsafe(claim->mode) || !plx_irqs_forgeable() ||
	    plx_irqs_trusted(iommufd))
		return 0;
	return plx_refuse_isolation(why, -EPERM);
}

int plx_claim_choose(struct plx_claim *claim, struct plx_vfio_dev *dev,
		     struct plx_refusals *refusals, enum plx_vfio_mode *taken)
{
	const struct plx_refusal *telling;
	unsigned int i;

	memset(refusals, 0, sizeof(*refusals));
	for (i = 0; i < PLX_VFIO_MODES; i++) {
		struct plx_refusal *why = &refusals->mode[i];
		int err;

		claim->mode = i;
		err = check_mode(claim, why);
		if (!err)
			err = check_unsafe(claim, why);
		if (!err)
			err = claims[i]->probe(claim, why);
		if (!err && !dev)
			err = check_isolation(claim, why);
		if (!err && dev) {
			dev->mode = i;
			dev->claim = claims[i];
			err = claims[i]->open(claim, dev, why);
		}
		if (!err) {
			*why = (struct plx_refusal){ 0 };
			*taken = i;
			return 0;
		}
	}
	telling = plx_refusals_telling(refusals);
	return telling && telling->err ? telling->err : -ENODEV;
}

static void log_choice(const struct plx_vfio_dev *dev, const struct plx_refusals *refusals)
{
	char worse[800];

	plx_refusals_print(refusals, (1u << dev->mode) - 1, " refused: ", worse, sizeof(worse));
	plx_notice("%s: %s (%s), IOVA = %s%s%s", dev->name, plx_vfio_mode_name(dev->mode), dev->how,
		   plx_addr_policy_name(plx_ioas_policy(dev->ioas)), worse[0] ? "; " : "", worse);
}

/* Everything that was tried was none of what was asked for. */
static const char *nothing_asked_for(const char *name)
{
	return strncmp(name, "user:", 5)
		       ? "of its access modes none was asked for: allow others than 'user'"
		       : "it has the access mode 'user' alone, which wasn't asked for: name no "
			 "other";
}

static void log_failure(const char *name, const struct plx_refusals *refusals)
{
	const struct plx_refusal *telling = plx_refusals_telling(refusals);
	char text[900];

	/* What has nothing to do with access modes is said without them. */
	if (telling &&
	    (telling->code == PLX_REFUSED_NO_DEVICE || telling->code == PLX_REFUSED_DRIVER))
		snprintf(text, sizeof(text), "%s", telling->text);
	else
		plx_refusals_print(refusals, PLX_VFIO_ALL_MODES, ": ", text, sizeof(text));
	plx_err("%s can't be claimed: %s", name, text[0] ? text : nothing_asked_for(name));
}

int plx_claim_read_name(struct plx_claim *claim, const char *name)
{
	if (strncmp(name, "user:", 5))
		return plx_facts_read(name, claim->facts);
	*claim->facts = (struct plx_facts){ .group = -1 };
	claim->socket = name + 5;
	if (strlen(name) >= PLX_VFIO_NAME_LEN)
		return -ENAMETOOLONG;
	return *claim->socket ? 0 : -EINVAL;
}

/* What went wrong before any access mode was looked at. */
static void log_early_failure(const char *name, int err)
{
	if (err == -ENOMEM)
		plx_err("%s can't be claimed: out of memory", name);
	else if (err == -ENAMETOOLONG)
		plx_err("\"%.32s...\" is no socket: paths of sockets have at most %zu bytes", name,
			PLX_VFIO_NAME_LEN - sizeof("user:"));
	else
		plx_err("\"%.32s\" is neither a PCI address (dddd:bb:dd.f) nor a socket "
			"(user:PATH)",
			name);
}

int plx_claim_device(struct plx_ioas *ioas, const char *name, const struct plx_vfio_opts *opts,
		     struct plx_vfio_dev **out, struct plx_refusals *refusals)
{
	unsigned int retries = OPEN_RETRIES;
	enum plx_vfio_mode mode;
	struct plx_facts facts;
	struct plx_claim claim = {
		.ioas = ioas,
		.facts = &facts,
		.opts = opts,
		.retries = &retries,
	};
	struct plx_vfio_dev *dev;
	int err;

	err = plx_claim_read_name(&claim, name);
	if (err)
		return err;
	dev = plx_sys->alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->ioas = ioas;
	dev->fd = -1;
	dev->events = (struct plx_events){ .fd = -1, .req = -1, .err = -1 };
	strcpy(dev->name, name);
	pthread_mutex_init(&dev->lock, NULL);

	pthread_mutex_lock(&ioas->lock);
	err = plx_claim_choose(&claim, dev, refusals, &mode);
	if (!err) {
		err = plx_dev_init(dev, &refusals->mode[mode]);
		if (err)
			dev->claim->close(dev);
		else
			ioas->ndevs++;
	}
	pthread_mutex_unlock(&ioas->lock);
	if (err) {
		pthread_mutex_destroy(&dev->lock);
		plx_sys->free(dev);
		return err;
	}
	*out = dev;
	return 0;
}

int plx_vfio_open(struct plx_ioas *ioas, const char *name, const struct plx_vfio_opts *opts,
		  struct plx_vfio_dev **out, struct plx_refusals *refusals)
{
	struct plx_refusals own;
	int err;

	if (!refusals)
		refusals = &own;
	memset(refusals, 0, sizeof(*refusals));
	err = plx_claim_device(ioas, name, opts, out, refusals);
	if (err && !plx_refusals_telling(refusals))
		log_early_failure(name, err);
	else if (err)
		log_failure(name, refusals);
	if (err)
		return err;
	log_choice(*out, refusals);
	plx_event_init(*out);
	return 0;
}

/*
 * The order matters: a BAR that is still mapped keeps a device bound after its file is closed, and
 * a group or container goes only after its devices.
 */
void plx_vfio_close(struct plx_vfio_dev *dev)
{
	struct plx_ioas *ioas;

	if (!dev)
		return;
	ioas = dev->ioas;
	plx_dev_fini(dev);
	pthread_mutex_lock(&ioas->lock);
	dev->claim->close(dev);
	ioas->ndevs--;
	pthread_mutex_unlock(&ioas->lock);
	pthread_mutex_destroy(&dev->lock);
	plx_sys->free(dev);
}
