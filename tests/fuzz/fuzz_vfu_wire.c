/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing the checks of vfio-user messages: the first byte picks one, the rest is the message. What
 * a check lets pass must hold what the code behind it relies on.
 */
#include <stdint.h>
#include <string.h>

#include "must.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_version(const uint8_t *data, size_t size)
{
	char body[512];
	struct vfu_version version, again;
	struct vfu_caps caps, copy;
	int len;

	if (plx_vfu_version_parse(data, size, &version, &caps))
		return;
	must(version.major == VFU_MAJOR);
	must(caps.max_data_xfer_size && caps.max_dma_maps && caps.pgsizes);
	len = plx_vfu_version_build(version.minor, &caps, body, sizeof(body));
	must(len > 0 && !plx_vfu_version_parse(body, len, &again, &copy));
	must(copy.max_msg_fds == caps.max_msg_fds && copy.pgsizes == caps.pgsizes &&
	     copy.max_data_xfer_size == caps.max_data_xfer_size &&
	     copy.max_dma_maps == caps.max_dma_maps && copy.write_multiple == caps.write_multiple);
}

static void try_header(const struct vfu_header *header, unsigned nfds)
{
	const struct vfu_header sent = { .id = header->id, .cmd = header->cmd };
	int err;

	if (plx_vfu_check_header(header, VFU_MAX_MSG))
		return;
	must(header->size >= sizeof(*header) && header->size <= VFU_MAX_MSG);
	if (!plx_vfu_check_command(header, nfds))
		must(header->cmd && header->cmd < VFU_CMDS && nfds <= VFU_MAX_FDS);
	err = plx_vfu_check_reply(&sent, header, nfds);
	must(err <= 0 && err >= -VFU_MAX_ERRNO);
	must(err || header->size - sizeof(*header) >= nfds);
	must(plx_vfu_cmd_name(header->cmd)[0]);
}

static void try_map(const struct vfu_dma_map *map, unsigned nfds)
{
	if (plx_vfu_check_map(map, nfds))
		return;
	must(map->size && map->addr + (map->size - 1) >= map->addr);
	must(!nfds || map->offset + map->size <= INT64_MAX);
	must(!((map->addr | map->size) & (VFU_PAGE - 1)));
}

static void try_irq_set(const struct vfio_irq_set *set, size_t body, unsigned nfds)
{
	if (plx_vfu_check_irq_set(set, body, nfds, 5))
		return;
	must((uint64_t)set->start + set->count <= 5);
	must(!(set->flags & VFIO_IRQ_SET_DATA_BOOL) || body >= set->count);
	must(!nfds || (set->flags & VFIO_IRQ_SET_DATA_EVENTFD && nfds == set->count));
}

static void try_access(const struct vfu_access *access, uint64_t size)
{
	if (plx_vfu_check_access(access, size, VFU_MAX_XFER))
		return;
	must(access->count && access->count <= VFU_MAX_XFER && access->offset < size &&
	     access->count <= size - access->offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union {
		struct vfu_header header;
		struct vfu_dma_map map;
		struct vfu_dma_unmap unmap;
		struct vfio_irq_set set;
		struct vfu_access access;
	} body = { 0 };
	unsigned pick, nfds;

	if (size < 2)
		return 0;
	pick = data[0] % 6;
	nfds = data[1] % (VFU_MAX_FDS + 2);
	data += 2;
	size -= 2;
	memcpy(&body, data, size < sizeof(body) ? size : sizeof(body));
	switch (pick) {
	case 0: try_version(data, size); break;
	case 1: try_header(&body.header, nfds); break;
	case 2: try_map(&body.map, nfds); break;
	case 3: try_irq_set(&body.set, size, nfds); break;
	case 4: try_access(&body.access, UINT64_C(1) << (nfds * 3)); break;
	case 5: must(plx_vfu_check_unmap(&body.unmap) <= 0); break;
	}
	return 0;
}
