/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user peer as an IOMMU context: it is told which memory it may reach, and given the file
 * that holds it where there is one. It takes any address.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ioas.h"
#include "refusal.h"
#include "user.h"

struct user_context {
	struct plx_iommu base;
	struct plx_user *user;
};

static struct plx_user *peer(const struct plx_iommu *iommu)
{
	return ((const struct user_context *)iommu)->user;
}

/*
 * A device that is lost after its claim reaches nothing: that is no reason to refuse memory to the
 * others in the address space.
 */
static bool is_moot(const struct plx_user *user)
{
	return user->claimed && plx_user_is_lost(user);
}

static bool can_share(const struct plx_user *user, const struct plx_iommu_map *map)
{
	return map->fd >= 0 && !map->bar && user->peer.max_msg_fds;
}

static int send_map(struct plx_user *user, const struct plx_iommu_map *map)
{
	bool shared = can_share(user, map);
	struct vfu_dma_map arg = {
		.argsz = sizeof(arg),
		.offset = shared ? map->fd_offset : 0,
		.addr = map->key,
		.size = map->len,
	};
	struct plx_user_call call = {
		.cmd = VFU_DMA_MAP,
		.body = { { &arg, sizeof(arg) } },
		.nbody = 1,
		.fds = &map->fd,
		.nfds = shared,
	};

	if (map->access & PLX_DMA_READ)
		arg.flags |= VFU_MAP_READ;
	if (map->access & PLX_DMA_WRITE)
		arg.flags |= VFU_MAP_WRITE;
	return plx_user_call(user, &call);
}

static int refuse_map(struct plx_refusal *why, const struct plx_user *user,
		      const struct plx_iommu_map *map, int err)
{
	if (plx_user_is_lost(user))
		return plx_refuse_about(why, PLX_REFUSED_MEMORY, err, user->name,
					PLX_REMEDY_ASK_PROCESS, "%s", user->reason);
	plx_refuse_about(why, PLX_REFUSED_MEMORY, err, user->name, PLX_REMEDY_ASK_PROCESS,
			 "%s: its process refuses a DMA map of %" PRIu64 " KiB at 0x%" PRIx64
			 ": %s",
			 user->name, map->len >> 10, map->key, strerror(-err));
	why->wanted = map->len;
	return err;
}

static int refuse_page(struct plx_refusal *why, const struct plx_user *user,
		       const struct plx_iommu_map *map, uint64_t page)
{
	plx_refuse_about(why, PLX_REFUSED_MEMORY, -EINVAL, user->name, PLX_REMEDY_LARGER_PAGES,
			 "%s: its process takes DMA maps in pages of %" PRIu64
			 " KiB only, not %" PRIu64 " KiB at 0x%" PRIx64,
			 user->name, page >> 10, map->len >> 10, map->key);
	why->found = page;
	why->wanted = map->len;
	return why->err;
}

static int user_map(struct plx_iommu *iommu, const struct plx_iommu_map *map,
		    struct plx_refusal *why)
{
	struct plx_user *user = peer(iommu);
	const struct plx_user_map entry = {
		.iova = map->key,
		.len = map->len,
		.va = map->va,
		.access = map->access,
		.shared = can_share(user, map),
	};
	/* The smallest page that it knows. */
	uint64_t page = user->peer.pgsizes & -user->peer.pgsizes;
	int err;

	if (is_moot(user))
		return 0;
	if ((map->key | map->len) & (page - 1))
		return refuse_page(why, user, map, page);
	err = plx_user_map_add(user, &entry);
	if (err == -EEXIST)
		return plx_refuse_map(why, iommu, map, err);
	if (err)
		return plx_refuse(why, PLX_REFUSED_KERNEL, err, "out of memory for book-keeping");
	err = send_map(user, map);
	if (err && !is_moot(user)) {
		plx_user_map_drop(user, map->key);
		return refuse_map(why, user, map, err);
	}
	return 0;
}

/* A peer that keeps memory would go on using it when it is somebody else's: it has to go. */
static int user_unmap(struct plx_iommu *iommu, uint64_t key, uint64_t len)
{
	struct plx_user *user = peer(iommu);
	struct vfu_dma_unmap arg = { .argsz = sizeof(arg), .addr = key, .size = len }, reply;
	struct plx_user_call call = {
		.cmd = VFU_DMA_UNMAP,
		.body = { { &arg, sizeof(arg) } },
		.nbody = 1,
		.reply = &reply,
		.reply_len = sizeof(reply),
	};
	int err = plx_user_is_lost(user) ? 0 : plx_user_call(user, &call);

	plx_user_map_drop(user, key);
	if (!plx_user_is_lost(user) && (err || reply.addr != key || reply.size != len))
		plx_user_lose(user, "its process doesn't give memory back");
	return 0;
}

static int user_ranges(struct plx_iommu *iommu, struct plx_ranges *ranges)
{
	(void)iommu;
	return plx_ranges_add(ranges, PLX_IOVA_FALLBACK_FIRST, INT64_MAX);
}

/* The connection is the claim's, and ends all maps with it. */
static void user_destroy(struct plx_iommu *iommu)
{
	plx_sys->free(iommu);
}

static const struct plx_iommu_ops user_ops = {
	.name = "vfio-user peer",
	.translates = true,
	.map = user_map,
	.unmap = user_unmap,
	.ranges = user_ranges,
	.destroy = user_destroy,
};

int plx_user_iommu(struct plx_user *user, struct plx_iommu **out, struct plx_refusal *why)
{
	struct user_context *c = plx_sys->alloc(sizeof(*c));

	if (!c)
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
	c->base.ops = &user_ops;
	c->base.mode = PLX_VFIO_USER;
	c->base.fd = -1;
	c->base.given = -1;
	c->base.peer = user->name;
	c->base.limit = user->peer.max_dma_maps;
	c->user = user;
	*out = &c->base;
	return 0;
}
