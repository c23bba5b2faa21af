/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the server.
 *
 *      server.c    the listening socket, the client's coming and going, plx_vfu_poll()
 *      commands.c  what each command does
 *      region.c    shared memory of regions, trapped accesses
 *      irqs.c      vectors and masks; eventfd.c: how they are signalled
 *      dma.c       the model's way to the client's memory, by maps or by messages
 *      maps.c      the table of maps
 */
#ifndef PLX_VFU_SERVER_H
#define PLX_VFU_SERVER_H

#include <linux/aio_abi.h>
#include <pollux/vfu.h>

#include "maps.h"
#include "sock.h"

struct vfu_vector {
	int fd; /* the client's eventfd, or -1 */
	bool masked;
	bool pending; /* raised while masked */
};

struct vfu_region {
	uint64_t size;
	struct plx_vfio_area *areas;
	unsigned nareas;
	int fd; /* the memory behind it, with areas; or -1 */
	char *mem;
	size_t mem_len;
	bool shared; /* a client got fd: the next one gets other memory */
};

/* A request that came while the server waited for an answer. */
struct vfu_queued {
	struct vfu_queued *next;
	unsigned nfds;	    /* that came with it */
	struct vfu_msg msg; /* its body follows */
};

struct vfu_client {
	int fd;	    /* -1: nobody */
	bool ready; /* VERSION is done */
	int broken; /* why it must go, -errno */
	struct vfu_caps caps;
	uint16_t next_id;  /* of our commands */
	int64_t waited_us; /* for answers to them, since the last poll */
	int64_t slow_us;   /* for slow ones, less what time has forgiven until slow_at */
	int64_t slow_at;
	struct vfu_queued *queue, **queue_end;
	size_t queued; /* bytes */
	unsigned queued_fds;
	/* A reply that didn't fit into the socket: sent..tx_len of tx, and its descriptor. */
	size_t tx_len, sent;
	int tx_fd;
};

struct plx_vfu {
	struct vfu_maps maps;
	struct vfu_client client;
	struct vfu_rx rx;
	unsigned char *tx; /* VFU_MAX_MSG bytes: the reply that is being made */

	const struct plx_vfu_ops *ops;
	void *model;
	struct vfu_region region[PLX_VFU_REGIONS];
	struct vfu_vector *vector[PLX_VFU_IRQS];
	unsigned vectors[PLX_VFU_IRQS];

	int listen_fd, epoll_fd;
	int null_fd;	   /* see eventfd.c */
	int spare_fd;	   /* given up to turn clients away when there's no other */
	bool turning_away; /* said so */
	aio_context_t aio;
	uint32_t events; /* what epoll waits for on client.fd */
	int err;	 /* the server can't go on */
	struct {
		int64_t since; /* when said was brought up to date */
		int64_t said;
		bool hushed; /* said so; until all of said is forgotten */
	} lines;	     /* of the log, that clients made us write */
	char *name, *path;
	uint64_t dev, ino; /* of the socket, bound */
};

/* A reply's payload, behind its header in tx. */
static inline void *plx_vfu_payload(struct plx_vfu *vfu)
{
	return vfu->tx + sizeof(struct vfu_header);
}

#define VFU_PAYLOAD (VFU_MAX_MSG - sizeof(struct vfu_header))

/*
 * Does what a command asks. Returns the payload's length in tx, or the -errno to answer with.
 * *reply_fd is a descriptor to go with the reply, or -1.
 */
int plx_vfu_command(struct plx_vfu *vfu, struct vfu_msg *msg, int *reply_fd);

/* Sends what is left of the reply in tx. 1: all of it went; 0: not yet; -errno. */
int plx_vfu_flush(struct plx_vfu *vfu);

/*
 * Has the epoll descriptor wake for what there is to do. To be called after anything that may have
 * left work behind.
 */
int plx_vfu_set_events(struct plx_vfu *vfu);

/* Keeps a request for plx_vfu_poll(). Takes its descriptors. -ENOBUFS: too many, -ENOMEM. */
int plx_vfu_enqueue(struct plx_vfu *vfu, struct vfu_msg *msg);

/* region.c */
int plx_vfu_regions_init(struct plx_vfu *vfu, const struct plx_vfu_desc *desc);
void plx_vfu_regions_fini(struct plx_vfu *vfu);
int plx_vfu_regions_renew(struct plx_vfu *vfu); /* what the client could map is not the next's */
int plx_vfu_region_access(struct plx_vfu *vfu, unsigned region, uint64_t offset, void *buf,
			  size_t len, bool write);

/* irqs.c */
int plx_vfu_irqs_init(struct plx_vfu *vfu, const struct plx_vfu_desc *desc);
void plx_vfu_irqs_fini(struct plx_vfu *vfu);
void plx_vfu_irqs_off(struct plx_vfu *vfu);   /* disconnects all */
void plx_vfu_irqs_reset(struct plx_vfu *vfu); /* unmasks all, nothing pending */
int plx_vfu_irqs_set(struct plx_vfu *vfu, const struct vfio_irq_set *set, const uint8_t *bools,
		     struct vfu_msg *msg);

/* eventfd.c */
int plx_vfu_eventfd_init(struct plx_vfu *vfu); /* what the kernel lacks for it is said */
void plx_vfu_eventfd_fini(struct plx_vfu *vfu);
int plx_vfu_eventfd_signal(struct plx_vfu *vfu, int fd); /* adds 1 to it; never waits */

#endif
