/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection to the process that serves a device over vfio-user: what the claim makes, and what
 * the device and its IOMMU context send their messages through.
 *
 * The peer isn't trusted. An answer that is late, malformed or to something else ends the
 * connection: it is said once, and every later call fails at once. The descriptor stays open, and
 * readable, until the device is closed.
 */
#ifndef PLX_VFIO_USER_H
#define PLX_VFIO_USER_H

#include <pthread.h>
#include <sys/uio.h>

#include <bsd/sys/tree.h>

#include <pollux/vfio.h>

#include "iommu.h"
#include "sock.h"

/* How long an answer may take. Resets have been seen to take more than a second. */
#define PLX_USER_TIMEOUT_MS 5000

/* Memory that the peer may reach, also by asking us: where the specification's DMA_READ leads. */
struct plx_user_map {
	RB_ENTRY(plx_user_map) node;
	uint64_t iova, len, va;
	unsigned int access; /* PLX_DMA_* */
	bool shared;	     /* the peer has the file */
};

RB_HEAD(plx_user_maps, plx_user_map);

struct plx_user {
	char name[PLX_VFIO_NAME_LEN];
	int fd;
	uint16_t minor; /* of the protocol's version, as agreed */
	struct vfu_caps peer;

	pthread_mutex_t lock; /* all below; one request is under way at a time */
	struct vfu_rx rx;
	uint16_t id;
	bool claimed; /* from then on its loss is told when it happens */
	int events;   /* an epoll file, for who waits for what the peer does unasked */
	bool asks;    /* it may ask for memory */
	bool lost;    /* for good; atomic */
	char reason[160];
	struct plx_user_maps maps; /* by iova; none overlaps another */
};

/* A request and its answer. */
struct plx_user_call {
	enum vfu_cmd cmd;
	struct iovec body[2];
	unsigned int nbody;
	const int *fds;
	unsigned int nfds;

	void *reply; /* the fixed part of the answer, all of it */
	size_t reply_len;
	void *data; /* what follows: data_min to data_len bytes; then data_len of them */
	size_t data_len, data_min;
	int *file; /* a descriptor that came along, or -1; NULL: none may come */
};

/*
 * Agrees on a version over a connected socket, which is closed with the connection and on failure,
 * too. -errno with the reason in *why.
 */
int plx_user_open(const char *name, int fd, struct plx_user **user, struct plx_refusal *why);
void plx_user_close(struct plx_user *user);

/* 0, the peer's own errno, -ENOMEM before anything was sent, or -EIO: the connection is lost. */
int plx_user_call(struct plx_user *user, struct plx_user_call *call);

/* Ends the connection for a reason that the caller found. Not from within a call. */
void plx_user_lose(struct plx_user *user, const char *reason);

/*
 * The claim is complete. The file returned, or -errno, is readable when the connection ends and,
 * once the peer has reason to ask for memory, when there may be a request: not for every answer,
 * which would wake its reader for nothing. Who closes it does so before the connection.
 */
int plx_user_watch(struct plx_user *user);

/* Serves the peer's requests that are waiting. Whether the connection stands. */
bool plx_user_poll(struct plx_user *user);

bool plx_user_is_lost(const struct plx_user *user);

/*
 * Lets the peer ask for memory, or not any more. -ENOMEM; -EEXIST: something is at its addresses.
 */
int plx_user_map_add(struct plx_user *user, const struct plx_user_map *map);
void plx_user_map_drop(struct plx_user *user, uint64_t iova);

/* iommu_user.c: the peer as a context. */
int plx_user_iommu(struct plx_user *user, struct plx_iommu **iommu, struct plx_refusal *why);

#endif
