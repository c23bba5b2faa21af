/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peer to peer: parts of a device's BARs in the address space, for other devices' DMA.
 *
 * A type 1 container maps them by the address at which this process has them mapped. iommufd takes
 * a dma-buf of them (VFIO_DEVICE_FEATURE_DMA_BUF, Linux 6.19) and nothing else. So that either will
 * do, a mapping has both, where the kernel gives both.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <pollux/log.h>

#include "dev.h"
#include "refusal.h"
#include "uapi.h"

struct plx_peer {
	struct plx_peer *next;
	void *va;
	size_t len;
	int fd; /* the dma-buf, or -1 */
};

/* Whole pages of what can be mapped of a region. */
static bool mappable(const struct plx_vfio_dev *dev, const struct plx_vfio_region *region,
		     uint64_t offset, uint64_t len)
{
	unsigned int i;

	if (!len || (offset | len) % dev->ioas->base_page)
		return false;
	for (i = 0; i < region->nareas; i++) {
		const struct plx_vfio_area *area = &region->area[i];

		if (offset >= area->offset && offset - area->offset <= area->size &&
		    len <= area->size - (offset - area->offset))
			return true;
	}
	return false;
}

static int export(struct plx_vfio_dev *dev, unsigned int index, uint64_t offset, uint64_t len)
{
	struct uapi_feature_dma_buf arg = {
		.region_index = index,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.offset = offset,
		.length = len,
	};

	return plx_vfio_feature(dev, UAPI_FEATURE_DMA_BUF, VFIO_DEVICE_FEATURE_GET, &arg,
				sizeof(arg));
}

static void forget(struct plx_peer *peer)
{
	if (peer->fd >= 0)
		plx_sys->close(peer->fd);
	plx_sys->free(peer);
}

static int map_region(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, size_t len,
		      void **bar, struct plx_refusal *why)
{
	struct plx_vfio_region region;
	size_t size;
	int err;

	err = plx_vfio_region(dev, index, &region);
	if (!err && !mappable(dev, &region, offset, len))
		return plx_refuse_about(why, PLX_REFUSED_MEMORY, -EINVAL, dev->name,
					PLX_REMEDY_WHOLE_PAGES,
					"%s: %zu bytes at 0x%llx of region %u are not whole pages "
					"of what can be mapped",
					dev->name, len, (unsigned long long)offset, index);
	if (!err)
		err = plx_vfio_mmap(dev, index, bar, &size);
	return err ? plx_refuse(why, PLX_REFUSED_KERNEL, err,
				"%s: no peer-to-peer DMA with region %u: %s", dev->name, index,
				strerror(-err))
		   : 0;
}

static int peer_map(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, size_t len,
		    struct plx_dma *dma, struct plx_refusal *why)
{
	struct plx_dma_mem mem;
	struct plx_peer *peer;
	void *bar;
	int err;

	err = map_region(dev, index, offset, len, &bar, why);
	if (err)
		return err;
	peer = plx_sys->alloc(sizeof(*peer));
	if (!peer)
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM,
				  "%s: out of memory for book-keeping", dev->name);
	peer->va = (char *)bar + offset;
	peer->len = len;
	/* Whether it takes one is for each context to say. */
	peer->fd = export(dev, index, offset, len);
	mem = (struct plx_dma_mem){ .va = peer->va, .len = len, .fd = peer->fd };
	err = plx_ioas_map_bar(dev->ioas, &mem, why);
	if (err) {
		forget(peer);
		return err;
	}
	dma->va = peer->va;
	dma->len = len;
	dma->dma = plx_xlate_dma(&dev->ioas->xlate, peer->va);
	pthread_mutex_lock(&dev->lock);
	peer->next = dev->peers;
	dev->peers = peer;
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

int plx_vfio_peer_map(struct plx_vfio_dev *dev, unsigned index, uint64_t offset, size_t len,
		      struct plx_dma *dma, struct plx_refusal *why)
{
	struct plx_refusal own = { 0 };

	*dma = (struct plx_dma){ 0 };
	return plx_refusal_tell(why, &own,
				peer_map(dev, index, offset, len, dma, why ? why : &own));
}

static int take_back(struct plx_vfio_dev *dev, struct plx_peer *peer)
{
	int err = plx_ioas_unmap(dev->ioas, peer->va, peer->len);

	forget(peer);
	/* plx_ioas_unmap_all() was there before. */
	return err == -ENOENT ? 0 : err;
}

int plx_vfio_peer_unmap(struct plx_vfio_dev *dev, struct plx_dma *dma)
{
	struct plx_peer **at, *peer;

	pthread_mutex_lock(&dev->lock);
	for (at = &dev->peers; *at && ((*at)->va != dma->va || (*at)->len != dma->len);)
		at = &(*at)->next;
	peer = *at;
	if (peer)
		*at = peer->next;
	pthread_mutex_unlock(&dev->lock);
	if (!peer)
		return -ENOENT;
	*dma = (struct plx_dma){ 0 };
	return take_back(dev, peer);
}

void plx_peer_fini(struct plx_vfio_dev *dev)
{
	while (dev->peers) {
		struct plx_peer *peer = dev->peers;

		dev->peers = peer->next;
		take_back(dev, peer);
	}
}
