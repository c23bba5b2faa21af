/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "sock.h"
#include "sys.h"

#define SEND_PIECES 4
#define RX_CALLS    4 /* a peer that sends byte by byte gets no more of them at once */
/* A peer that polls answers sooner than a sleeper wakes up: some 20 us of looks before sleeping. */
#define LOOKS 64

int64_t plx_vfu_deadline(int timeout_ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000 + timeout_ms;
}

int plx_vfu_wait(int fd, short events, int64_t deadline_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int64_t left;
	int got;

	do {
		left = deadline_ms - plx_vfu_deadline(0);
		got = plx_sys->poll(&pfd, 1, left > 0 ? (int)left : 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return got ? 0 : -ETIMEDOUT;
}

/*
 * Receiving.
 */
int plx_vfu_rx_init(struct vfu_rx *rx, int fd)
{
	*rx = (struct vfu_rx){ .fd = fd };
	rx->buf = plx_sys->alloc(VFU_MAX_MSG);
	return rx->buf ? 0 : -ENOMEM;
}

void plx_vfu_rx_reset(struct vfu_rx *rx, int fd)
{
	while (rx->nfds)
		plx_sys->close(rx->fds[--rx->nfds]);
	rx->fd = fd;
	rx->start = rx->end = 0;
}

void plx_vfu_rx_fini(struct vfu_rx *rx)
{
	plx_vfu_rx_reset(rx, -1);
	plx_sys->free(rx->buf);
	rx->buf = NULL;
}

/* How long the message at the start of the buffer is: 0 while that isn't known. */
static int message_size(const struct vfu_rx *rx, size_t *size)
{
	struct vfu_header header;
	int err;

	*size = 0;
	if (rx->end - rx->start < sizeof(header))
		return 0;
	memcpy(&header, rx->buf + rx->start, sizeof(header));
	err = plx_vfu_check_header(&header, VFU_MAX_MSG);
	if (!err)
		*size = header.size;
	return err;
}

bool plx_vfu_rx_ready(const struct vfu_rx *rx)
{
	size_t size;

	return message_size(rx, &size) || (size && rx->end - rx->start >= size);
}

static void hand_out(struct vfu_rx *rx, size_t size, struct vfu_msg *msg)
{
	const unsigned char *at = rx->buf + rx->start;

	memcpy(&msg->header, at, sizeof(msg->header));
	msg->body = at + sizeof(msg->header);
	msg->len = size - sizeof(msg->header);
	msg->nfds = 0;
	rx->start += size;
	if (rx->nfds && rx->fds_at < rx->start) {
		memcpy(msg->fds, rx->fds, rx->nfds * sizeof(rx->fds[0]));
		msg->nfds = rx->nfds;
		rx->nfds = 0;
	}
}

/* Puts what there is at the front, so that the rest of the message fits behind it. */
static void compact(struct vfu_rx *rx)
{
	if (!rx->start)
		return;
	memmove(rx->buf, rx->buf + rx->start, rx->end - rx->start);
	rx->fds_at -= rx->start;
	rx->end -= rx->start;
	rx->start = 0;
}

static int take_fds(struct vfu_rx *rx, struct msghdr *msg)
{
	struct cmsghdr *cmsg;
	int err = msg->msg_flags & MSG_CTRUNC ? -E2BIG : 0;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t i, n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			if (rx->nfds < VFU_MAX_FDS) {
				rx->fds[rx->nfds++] = fd;
				continue;
			}
			plx_sys->close(fd);
			err = -E2BIG;
		}
		rx->fds_at = rx->end - 1;
	}
	return err;
}

/*
 * One recvmsg(). The kernel ends it after bytes that came with descriptors, so these belong to the
 * last message in it. While a message that has descriptors is incomplete no more than the rest of
 * it is asked for: what comes with that is its, too.
 */
static ssize_t receive(struct vfu_rx *rx, size_t size)
{
	char control[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))]
		__attribute__((aligned(__alignof__(struct cmsghdr))));
	struct iovec iov = { .iov_base = rx->buf + rx->end };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;
	int err;

	if (!rx->nfds)
		iov.iov_len = VFU_MAX_MSG - rx->end;
	else
		iov.iov_len = (size ? size : sizeof(struct vfu_header)) - rx->end;
	got = plx_sys->recvmsg(rx->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!got)
		return -ECONNRESET;
	rx->end += got;
	err = take_fds(rx, &msg);
	return err ? err : got;
}

int plx_vfu_rx(struct vfu_rx *rx, struct vfu_msg *msg)
{
	ssize_t got = 1;
	size_t size;
	int calls, err;

	for (calls = 0; got > 0; calls++) {
		err = message_size(rx, &size);
		if (err)
			return err;
		if (size && rx->end - rx->start >= size) {
			hand_out(rx, size, msg);
			return 1;
		}
		compact(rx);
		got = calls < RX_CALLS ? receive(rx, size) : 0;
	}
	return got;
}

int plx_vfu_recv(struct vfu_rx *rx, struct vfu_msg *msg, int timeout_ms)
{
	int64_t deadline = plx_vfu_deadline(timeout_ms);
	unsigned looks = 0;
	bool late = false;
	int got, err;

	for (;;) {
		got = plx_vfu_rx(rx, msg);
		if (got)
			return got < 0 ? got : 0;
		if (++looks < LOOKS)
			continue;
		/* What trickles in is always readable: the clock counts, whatever poll() says. */
		err = late ? -ETIMEDOUT : plx_vfu_wait(rx->fd, POLLIN, deadline);
		if (err)
			return err;
		late = plx_vfu_deadline(0) >= deadline;
	}
}

void plx_vfu_msg_done(struct vfu_msg *msg)
{
	while (msg->nfds)
		if (msg->fds[--msg->nfds] >= 0)
			plx_sys->close(msg->fds[msg->nfds]);
}

int plx_vfu_msg_get(const struct vfu_msg *msg, void *to, size_t size)
{
	if (msg->len < size)
		return -EINVAL;
	memcpy(to, msg->body, size);
	return 0;
}

/*
 * Sending.
 */
ssize_t plx_vfu_tx(int fd, const struct iovec *iov, unsigned niov, const int *fds, unsigned nfds)
{
	char control[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))]
		__attribute__((aligned(__alignof__(struct cmsghdr)))) = { 0 };
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = niov };
	struct cmsghdr *cmsg;
	ssize_t sent;

	if (nfds > VFU_MAX_FDS)
		return -E2BIG;
	if (nfds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	sent = plx_sys->sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent >= 0)
		return sent;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return errno == EPIPE ? -ECONNRESET : -errno;
}

/* Takes n bytes off the front. */
static void advance(struct iovec *iov, unsigned niov, size_t n)
{
	unsigned i;

	for (i = 0; i < niov; i++) {
		size_t part = n < iov[i].iov_len ? n : iov[i].iov_len;

		iov[i].iov_base = (char *)iov[i].iov_base + part;
		iov[i].iov_len -= part;
		n -= part;
	}
}

int plx_vfu_send(int fd, struct vfu_header *header, const struct iovec *body, unsigned nbody,
		 const int *fds, unsigned nfds, int timeout_ms)
{
	int64_t deadline = plx_vfu_deadline(timeout_ms);
	struct iovec iov[SEND_PIECES] = { { header, sizeof(*header) } };
	size_t left = sizeof(*header);
	unsigned i;
	int err;

	if (nbody >= SEND_PIECES)
		return -EINVAL;
	for (i = 0; i < nbody; i++) {
		iov[i + 1] = body[i];
		left += body[i].iov_len;
	}
	if (left > VFU_MAX_MSG)
		return -EMSGSIZE;
	header->size = left;
	for (;;) {
		ssize_t sent = plx_vfu_tx(fd, iov, nbody + 1, fds, nfds);

		if (sent < 0)
			return sent;
		left -= sent;
		if (!left)
			return 0;
		if (sent)
			nfds = 0;
		advance(iov, nbody + 1, sent);
		err = plx_vfu_wait(fd, POLLOUT, deadline);
		if (err)
			return err;
	}
}

int plx_vfu_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = plx_sys->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!plx_sys->connect(fd, &addr, sizeof(addr)))
		return fd;
	err = -errno;
	plx_sys->close(fd);
	return err;
}
