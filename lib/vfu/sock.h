/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user messages over a UNIX stream socket, for both ends.
 *
 * A stream has no message borders and gives descriptors along with some byte of it. struct vfu_rx
 * puts it together: bytes are taken as they come, as many as fit, so a message costs one system
 * call as a rule; one that came in part waits in the buffer and blocks nobody. Descriptors belong
 * to the message with whose bytes they came.
 */
#ifndef PLX_VFU_SOCK_H
#define PLX_VFU_SOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire.h"

/* A received message. Its body holds until the next receive on the same connection. */
struct vfu_msg {
	struct vfu_header header;
	const void *body;
	size_t len; /* of the body: header.size less the header */
	int fds[VFU_MAX_FDS];
	unsigned nfds; /* take one by putting -1 in its place */
};

struct vfu_rx {
	int fd;		   /* the socket, its owner's */
	size_t start, end; /* in buf: received and not yet handed out */
	size_t fds_at;	   /* in buf: a byte of the message that the descriptors belong to */
	unsigned nfds;
	int fds[VFU_MAX_FDS];
	unsigned char *buf; /* VFU_MAX_MSG bytes */
};

/* -ENOMEM. fd is closed by nobody here. */
int plx_vfu_rx_init(struct vfu_rx *rx, int fd);

/* Closes descriptors that came and were not handed out. A zeroed struct is fine. */
void plx_vfu_rx_fini(struct vfu_rx *rx);

/* Forgets what came, and goes on with another socket. */
void plx_vfu_rx_reset(struct vfu_rx *rx, int fd);

/* Whether a whole message, or a broken one, is here already. */
bool plx_vfu_rx_ready(const struct vfu_rx *rx);

/*
 * The next message, without waiting: 1 with *msg, 0 if there's none yet. Errors end the connection:
 * -ECONNRESET (the peer closed it), -EPROTO and -EMSGSIZE (plx_vfu_check_header), -E2BIG (more
 * than VFU_MAX_FDS descriptors, or no room for them in this process), or what recvmsg() said. Every
 * message handed out ends with plx_vfu_msg_done().
 */
int plx_vfu_rx(struct vfu_rx *rx, struct vfu_msg *msg);

/* The same, waiting for at most timeout_ms: 0 or -errno, -ETIMEDOUT too. */
int plx_vfu_recv(struct vfu_rx *rx, struct vfu_msg *msg, int timeout_ms);

/* Closes the descriptors that nobody took. */
void plx_vfu_msg_done(struct vfu_msg *msg);

/* Copies the body's first size bytes. -EINVAL if there are fewer. */
int plx_vfu_msg_get(const struct vfu_msg *msg, void *to, size_t size);

/*
 * Sends what iov says (the header first), descriptors with the first byte; without waiting. Returns
 * the bytes sent, 0 if there's no room, or -errno: -ECONNRESET if the peer is gone.
 */
ssize_t plx_vfu_tx(int fd, const struct iovec *iov, unsigned niov, const int *fds, unsigned nfds);

/*
 * A whole message, waiting for at most timeout_ms. Sets header->size from body (nbody pieces, at
 * most 3). 0 or -errno; after an error the connection must end, for a part may have been sent.
 */
int plx_vfu_send(int fd, struct vfu_header *header, const struct iovec *body, unsigned nbody,
		 const int *fds, unsigned nfds, int timeout_ms);

/* Waits for events (poll(2)) until deadline_ms. 0, -ETIMEDOUT or -errno. */
int plx_vfu_wait(int fd, short events, int64_t deadline_ms);

/* Now plus timeout_ms, on the clock of plx_vfu_wait(). */
int64_t plx_vfu_deadline(int timeout_ms);

/*
 * A connected socket, or -errno: -ENAMETOOLONG, -ENOENT, -ECONNREFUSED (a stale socket, or no
 * socket at all), -EACCES, -EAGAIN (its backlog is full), ...
 */
int plx_vfu_connect(const char *path);

#endif
