/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user on the wire: what both ends send, and what a message must satisfy before anybody looks
 * into it. Nothing here touches a socket (sock.h does): pure functions, for both ends, for tests
 * and for the fuzzer.
 *
 * Facts are from QEMU's docs/interop/vfio-user.rst ("the specification"); sections are named by
 * their command. All fields are in the host's byte order. Bodies lie at any address: read them with
 * memcpy(). Region and interrupt structures are the kernel's own, from <linux/vfio.h>:
 *
 *      GET_REGION_INFO  struct vfio_region_info, then its capabilities
 *      GET_IRQ_INFO     struct vfio_irq_info
 *      SET_IRQS         struct vfio_irq_set, then the booleans; eventfds beside the message
 *      DEVICE_FEATURE   struct vfio_device_feature
 */
#ifndef PLX_VFU_WIRE_H
#define PLX_VFU_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/vfio.h>

/* What we speak. A peer's minor version may be less. */
#define VFU_MAJOR 0
#define VFU_MINOR 1

enum vfu_cmd {
	VFU_VERSION = 1,
	VFU_DMA_MAP,
	VFU_DMA_UNMAP,
	VFU_GET_INFO,
	VFU_GET_REGION_INFO,
	VFU_GET_REGION_IO_FDS,
	VFU_GET_IRQ_INFO,
	VFU_SET_IRQS,
	VFU_REGION_READ,
	VFU_REGION_WRITE,
	VFU_DMA_READ,  /* server to client, as DMA_WRITE; all others client to server */
	VFU_DMA_WRITE, /* 12 */
	VFU_RESET,
	VFU_DIRTY_PAGES, /* of older revisions */
	VFU_WRITE_MULTI,
	VFU_FEATURE,
	VFU_MIG_READ,
	VFU_MIG_WRITE, /* 18 */
	VFU_CMDS,
};

/* For log lines; "command N" is said as "?". */
const char *plx_vfu_cmd_name(unsigned cmd);

struct vfu_header {
	uint16_t id; /* the sender's to choose; echoed in the reply */
	uint16_t cmd;
	uint32_t size; /* of the whole message, this header included */
	uint32_t flags;
	uint32_t err; /* an errno, in replies with VFU_F_ERROR; may be 0 even then */
};

#define VFU_F_TYPE     0xfu
#define VFU_F_COMMAND  0x0u
#define VFU_F_REPLY    0x1u
#define VFU_F_NO_REPLY 0x10u
#define VFU_F_ERROR    0x20u

struct vfu_version {
	uint16_t major, minor; /* then the capabilities: JSON, with its NUL; or nothing */
};

struct vfu_dma_map {
	uint32_t argsz;
	uint32_t flags;	 /* VFU_MAP_* */
	uint64_t offset; /* in the file whose descriptor comes with the message */
	uint64_t addr, size;
};

#define VFU_MAP_READ  0x1u
#define VFU_MAP_WRITE 0x2u
#define VFU_MAP_MMAP                                                                \
	0x4u /* libvfio-user: the file is to be mapped. With a descriptor, so it is \
	      */

struct vfu_dma_unmap {
	uint32_t argsz;
	uint32_t flags; /* 0, or VFIO_DMA_UNMAP_FLAG_ALL with addr and size 0 */
	uint64_t addr, size;
};

struct vfu_info {
	uint32_t argsz;
	uint32_t flags; /* VFIO_DEVICE_FLAGS_* */
	uint32_t regions, irqs;
};

struct vfu_io_fds {
	uint32_t argsz, flags, index, count;
};

/* REGION_READ, REGION_WRITE; the data follows where there is some. */
struct vfu_access {
	uint64_t offset;
	uint32_t region, count;
};

/* REGION_WRITE_MULTI: u64 count, then that many of these. */
struct vfu_write {
	uint64_t offset;
	uint32_t region, count; /* 1 to 8 */
	uint8_t data[8];
};

/* DMA_READ, DMA_WRITE; the data follows where there is some. */
struct vfu_dma_access {
	uint64_t addr, count;
};

/*
 * Limits. Ours are what we tell a peer and hold it to: 16 descriptors a message is the most that
 * QEMU takes for an answer; the others are the specification's defaults, but for the maps.
 */
#define VFU_MAX_FDS   16
#define VFU_MAX_XFER  (1u << 20)
#define VFU_MAX_MAPS  16384u /* of a process's 65530 (vm.max_map_count), which servers share */
#define VFU_PAGE      UINT64_C(4096)
#define VFU_MAX_JSON  4096 /* bytes of capabilities, NUL included */
#define VFU_MAX_MSG   (sizeof(struct vfu_header) + 64 + VFU_MAX_XFER) /* whole, of any command */
#define VFU_MAX_ERRNO 4095

/* VERSION's capabilities. Others (migration, twin_socket) are skipped. */
struct vfu_caps {
	uint32_t max_msg_fds; /* that the sender can receive in one message */
	uint32_t max_data_xfer_size;
	uint32_t max_dma_maps;
	uint64_t pgsizes;
	bool write_multiple;
};

/* What holds for a peer that doesn't say. */
#define VFU_CAPS_DEFAULT                                                                 \
	{                                                                                \
		.max_msg_fds = 1, .max_data_xfer_size = 1u << 20, .max_dma_maps = 65535, \
		.pgsizes = 4096                                                          \
	}

/* What this implementation can do. */
#define VFU_CAPS_OURS                                                                     \
	{                                                                                 \
		.max_msg_fds = VFU_MAX_FDS, .max_data_xfer_size = VFU_MAX_XFER,           \
		.max_dma_maps = VFU_MAX_MAPS, .pgsizes = VFU_PAGE, .write_multiple = true \
	}

/* VERSION's body. Returns its length, NUL included, or -ENOSPC, -ENOMEM. */
int plx_vfu_version_build(uint16_t minor, const struct vfu_caps *caps, void *body, size_t room);

/*
 * What a VERSION body says; what it doesn't is the default. Numbers larger than a field holds are
 * cut to what it holds. -EINVAL: too short, no NUL, not JSON of that shape, a value that can't be
 * meant (negative, 0 where it would forbid everything); -ENOTSUP: another major version; -ENOMEM.
 */
int plx_vfu_version_parse(const void *body, size_t len, struct vfu_version *version,
			  struct vfu_caps *caps);

/*
 * A header, before its body is waited for. Afterwards nothing in the stream can be trusted, so the
 * connection must end: -EPROTO (shorter than itself, neither command nor reply), -EMSGSIZE (longer
 * than max).
 */
int plx_vfu_check_header(const struct vfu_header *header, size_t max);

/*
 * A reply to a command: -EPROTO (no reply, to another command or id, a body shorter than min_body),
 * the peer's own errno if it refused (-EINVAL if it gave none).
 */
int plx_vfu_check_reply(const struct vfu_header *sent, const struct vfu_header *got,
			size_t min_body);

/*
 * A command that a server got: its body long enough for the fixed part, descriptors only where
 * there may be some. -EINVAL, -ENOTSUP (unknown, or not a client's to send).
 */
int plx_vfu_check_command(const struct vfu_header *header, size_t nfds);

/* The bodies of commands, argsz and reserved fields included. 0 or the -errno to answer with. */
int plx_vfu_check_map(const struct vfu_dma_map *map, size_t nfds);
int plx_vfu_check_unmap(const struct vfu_dma_unmap *unmap);
int plx_vfu_check_info(const struct vfu_info *info);
int plx_vfu_check_region_info(const struct vfio_region_info *info, unsigned nregions);
int plx_vfu_check_irq_info(const struct vfio_irq_info *info, unsigned nirqs);

/* body: what follows the structure, bytes; vectors: of that index. */
int plx_vfu_check_irq_set(const struct vfio_irq_set *set, size_t body, size_t nfds,
			  unsigned vectors);

/* A range of a region; size: of the region, 0 if it isn't there. */
int plx_vfu_check_access(const struct vfu_access *access, uint64_t size, uint32_t max);

/* Whether start..start+len-1 is a range inside 0..size-1, whatever the numbers. */
static inline bool plx_vfu_within(uint64_t start, uint64_t len, uint64_t size)
{
	return start <= size && len <= size - start;
}

#endif
