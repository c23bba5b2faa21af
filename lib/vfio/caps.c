/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <linux/vfio.h>

#include "caps.h"
#include "iommu.h"
#include "sys.h"

#define INFO_MAX   (1u << 20) /* larger than any answer that means something */
#define INFO_TRIES 8

const void *plx_cap_find(const void *info, size_t len, uint32_t first, uint16_t id, size_t min_len,
			 size_t *room)
{
	size_t hops = len / sizeof(struct vfio_info_cap_header);
	uint32_t at = first;

	/* Each hop lands on another header, or the chain loops. */
	while (at && hops--) {
		struct vfio_info_cap_header header;

		if (at > len || len - at < sizeof(header))
			return NULL;
		memcpy(&header, (const char *)info + at, sizeof(header));
		if (header.id == id && len - at >= min_len) {
			*room = len - at;
			return (const char *)info + at;
		}
		at = header.next;
	}
	return NULL;
}

int plx_info_grow(plx_info_ask_fn *ask, void *ctx, const void *init, size_t min_len, void **info,
		  size_t *len)
{
	uint32_t size = min_len;
	int tries;

	for (tries = 0; tries < INFO_TRIES; tries++) {
		uint32_t *answer = plx_sys->alloc(size);
		uint32_t wanted;
		int err;

		if (!answer)
			return -ENOMEM;
		memcpy(answer, init, min_len);
		answer[0] = size;
		err = ask(ctx, answer);
		wanted = answer[0];
		if (err >= 0 && wanted <= size) {
			*info = answer;
			*len = size;
			return 0;
		}
		plx_sys->free(answer);
		if (err < 0)
			return err;
		if (wanted > INFO_MAX)
			return -EOVERFLOW;
		size = wanted;
	}
	return -EAGAIN;
}

struct ioctl_ask {
	int fd;
	unsigned long request;
};

static int ask_kernel(void *ctx, void *info)
{
	const struct ioctl_ask *ask = ctx;

	return plx_ioctl(ask->fd, ask->request, info);
}

int plx_info_get(int fd, unsigned long request, const void *init, size_t min_len, void **info,
		 size_t *len)
{
	struct ioctl_ask ask = { fd, request };

	return plx_info_grow(ask_kernel, &ask, init, min_len, info, len);
}
