/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <pollux/log.h>

#include "server.h"
#include "sys.h"

#define BACKLOG	  4
#define POLL_MSGS 64	     /* a poll handles at most so many */
#define QUEUE_MAX (4u << 20) /* bytes of requests kept while the client owes an answer */
#define QUEUE_FDS 64	     /* and their descriptors */

/* Of the log, for what clients do: so many lines at once, and one more in so many milliseconds. */
#define LINES_MAX 64
#define LINE_MS	  1000

/*
 * The socket in the file system.
 */

/* Why the socket that is there stays. got: what connecting to it gave. */
static int say_taken(const struct plx_vfu *vfu, const struct stat *st, int got)
{
	if (got == -EACCES || got == -EPERM)
		plx_err("%s belongs to another user (uid %u, mode %04o): remove it or use another path",
			vfu->path, st->st_uid, st->st_mode & 07777);
	else if (got == -EPROTOTYPE)
		plx_err("%s is a socket of another kind", vfu->path);
	else if (got >= 0 || got == -EAGAIN)
		plx_err("another process listens on %s", vfu->path);
	else
		plx_err("can't tell whether anybody listens on %s: %s", vfu->path, strerror(-got));
	return -EADDRINUSE;
}

/* Whether nobody listens on what is there. */
static int remove_stale(struct plx_vfu *vfu)
{
	struct stat st;
	int fd;

	if (plx_sys->stat(vfu->path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode)) {
		plx_err("%s exists and is no socket", vfu->path);
		return -EADDRINUSE;
	}
	fd = plx_vfu_connect(vfu->path);
	if (fd >= 0)
		plx_sys->close(fd);
	if (fd != -ECONNREFUSED)
		return say_taken(vfu, &st, fd);
	plx_info("replacing the stale socket %s", vfu->path);
	return plx_sys->unlink(vfu->path) && errno != ENOENT ? -errno : 0;
}

/* The mode that bind() gives the file is the socket's own. */
static int bind_path(struct plx_vfu *vfu)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int err;

	strcpy(addr.sun_path, vfu->path);
	if (plx_sys->fchmod(vfu->listen_fd, 0600))
		return -errno;
	if (plx_sys->bind(vfu->listen_fd, &addr, sizeof(addr))) {
		if (errno != EADDRINUSE)
			return -errno;
		err = remove_stale(vfu);
		if (err)
			return err;
		if (plx_sys->bind(vfu->listen_fd, &addr, sizeof(addr)))
			return -errno;
	}
	if (plx_sys->stat(vfu->path, &st)) {
		err = -errno;
		plx_sys->unlink(vfu->path);
		return err;
	}
	vfu->dev = st.st_dev;
	vfu->ino = st.st_ino;
	return 0;
}

/* Ours only: somebody may have replaced it. */
static void unlink_path(struct plx_vfu *vfu)
{
	struct stat st;

	if (vfu->ino && !plx_sys->stat(vfu->path, &st) && st.st_ino == vfu->ino &&
	    st.st_dev == vfu->dev)
		plx_sys->unlink(vfu->path);
}

static int watch(struct plx_vfu *vfu, int op, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };

	return plx_sys->epoll_ctl(vfu->epoll_fd, op, fd, &event) ? -errno : 0;
}

static int start_listening(struct plx_vfu *vfu)
{
	int err;

	vfu->listen_fd = plx_sys->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (vfu->listen_fd < 0)
		return -errno;
	vfu->epoll_fd = plx_sys->epoll_create(EPOLL_CLOEXEC);
	if (vfu->epoll_fd < 0)
		return -errno;
	err = bind_path(vfu);
	if (err)
		return err;
	if (plx_sys->listen(vfu->listen_fd, BACKLOG))
		return -errno;
	return watch(vfu, EPOLL_CTL_ADD, vfu->listen_fd, EPOLLIN);
}

/*
 * The client.
 */
bool plx_vfu_may_say(struct plx_vfu *vfu)
{
	const int64_t now = plx_vfu_deadline(0), due = (now - vfu->lines.since) / LINE_MS;

	if (due > 0) {
		vfu->lines.said = due < vfu->lines.said ? vfu->lines.said - due : 0;
		vfu->lines.since = now;
	}
	if (vfu->lines.said < LINES_MAX) {
		vfu->lines.hushed &= vfu->lines.said > 0;
		vfu->lines.said++;
		return true;
	}
	if (!vfu->lines.hushed)
		plx_warn("%s: clients give too much to say: most of it is left out from now on",
			 vfu->name);
	vfu->lines.hushed = true;
	return false;
}

static void unqueue(struct vfu_client *client, struct vfu_queued *item)
{
	client->queue = item->next;
	if (!client->queue)
		client->queue_end = &client->queue;
	client->queued -= sizeof(*item) + item->msg.len;
	client->queued_fds -= item->nfds;
	plx_vfu_msg_done(&item->msg);
	plx_sys->free(item);
}

int plx_vfu_enqueue(struct plx_vfu *vfu, struct vfu_msg *msg)
{
	struct vfu_client *client = &vfu->client;
	struct vfu_queued *item;
	size_t size = sizeof(*item) + msg->len;

	if (client->queued + size > QUEUE_MAX || client->queued_fds + msg->nfds > QUEUE_FDS)
		return -ENOBUFS;
	item = plx_sys->alloc(size);
	if (!item)
		return -ENOMEM;
	item->msg = *msg;
	item->nfds = msg->nfds;
	item->msg.body = item + 1;
	memcpy(item + 1, msg->body, msg->len);
	msg->nfds = 0;
	*client->queue_end = item;
	client->queue_end = &item->next;
	client->queued += size;
	client->queued_fds += item->nfds;
	return 0;
}

static void no_client(struct plx_vfu *vfu)
{
	vfu->client = (struct vfu_client){ .fd = -1, .tx_fd = -1 };
	vfu->client.queue_end = &vfu->client.queue;
}

/* Lets go of everything that is the client's. */
static void disconnect(struct plx_vfu *vfu)
{
	plx_vfu_maps_clear(&vfu->maps);
	plx_vfu_irqs_off(vfu);
	while (vfu->client.queue)
		unqueue(&vfu->client, vfu->client.queue);
	plx_vfu_rx_reset(&vfu->rx, -1);
	/* Out of epoll's set, too: nobody else has this open file. */
	plx_sys->close(vfu->client.fd);
	no_client(vfu);
}

static void say_why(struct plx_vfu *vfu, int err)
{
	if (err == -ECONNRESET)
		plx_debug("%s: the client closed the connection", vfu->name);
	else if (!plx_vfu_may_say(vfu))
		return;
	else if (err == -EFAULT)
		plx_warn("%s: client dropped: it took shared memory away that is mapped for DMA",
			 vfu->name);
	else
		plx_warn("%s: client dropped: %s", vfu->name, strerror(-err));
}

static int drop(struct plx_vfu *vfu, int why)
{
	int err;

	say_why(vfu, why);
	disconnect(vfu);
	err = plx_vfu_regions_renew(vfu);
	if (!err)
		err = watch(vfu, EPOLL_CTL_MOD, vfu->listen_fd, EPOLLIN);
	if (vfu->ops->reset)
		vfu->ops->reset(vfu->model, PLX_VFU_RESET_GONE);
	if (err) {
		plx_err("%s: can't take another client: %s", vfu->name, strerror(-err));
		vfu->err = err;
	}
	return err;
}

/*
 * Something ran out: that is said once, and is no reason to end. A client that waits in the backlog
 * would wake us again and again: the descriptor kept to spare takes it, to turn it away.
 */
static void turn_away(struct plx_vfu *vfu, int why)
{
	int fd;

	if (!vfu->turning_away && plx_vfu_may_say(vfu))
		plx_warn("%s: can't take a client: %s", vfu->name, strerror(-why));
	vfu->turning_away = true;
	if (vfu->spare_fd >= 0)
		plx_sys->close(vfu->spare_fd);
	fd = plx_sys->accept(vfu->listen_fd, SOCK_CLOEXEC);
	if (fd >= 0)
		plx_sys->close(fd);
	vfu->spare_fd = plx_sys->dup(vfu->null_fd);
}

/* While there's a client, the next one waits in the backlog without waking anybody. */
static int welcome(struct plx_vfu *vfu)
{
	int fd = plx_sys->accept(vfu->listen_fd, SOCK_CLOEXEC | SOCK_NONBLOCK), err;

	if (fd < 0) {
		err = -errno;
		if (err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM)
			turn_away(vfu, err);
		else if (err != -EAGAIN && err != -EINTR && err != -ECONNABORTED)
			return err;
		return 0;
	}
	err = watch(vfu, EPOLL_CTL_ADD, fd, EPOLLIN);
	if (!err)
		err = watch(vfu, EPOLL_CTL_MOD, vfu->listen_fd, 0);
	if (err) {
		plx_sys->close(fd);
		return err;
	}
	vfu->turning_away = false;
	vfu->client.fd = fd;
	vfu->events = EPOLLIN;
	plx_vfu_rx_reset(&vfu->rx, fd);
	plx_debug("%s: a client connected", vfu->name);
	return 1;
}

/*
 * Messages.
 */
int plx_vfu_flush(struct plx_vfu *vfu)
{
	struct vfu_client *client = &vfu->client;
	const struct iovec iov = { vfu->tx + client->sent, client->tx_len - client->sent };
	ssize_t sent;

	if (!iov.iov_len)
		return 1;
	sent = plx_vfu_tx(client->fd, &iov, 1, &client->tx_fd, client->tx_fd >= 0);
	if (sent < 0)
		return sent;
	if (sent)
		client->tx_fd = -1;
	client->sent += sent;
	return client->sent == client->tx_len;
}

static int reply(struct plx_vfu *vfu, const struct vfu_header *to, int result, int fd)
{
	struct vfu_header header = {
		.id = to->id,
		.cmd = to->cmd,
		.size = sizeof(header) + (result > 0 ? result : 0),
		.flags = VFU_F_REPLY | (result < 0 ? VFU_F_ERROR : 0),
		.err = result < 0 ? -result : 0,
	};
	int sent;

	memcpy(vfu->tx, &header, sizeof(header));
	vfu->client.tx_len = header.size;
	vfu->client.sent = 0;
	vfu->client.tx_fd = fd;
	sent = plx_vfu_flush(vfu);
	return sent < 0 ? sent : 0;
}

/* 0, or why the client must go. */
static int handle(struct plx_vfu *vfu, struct vfu_msg *msg)
{
	const struct vfu_header header = msg->header;
	int result, fd, err = 0;

	if ((header.flags & VFU_F_TYPE) != VFU_F_COMMAND ||
	    (!vfu->client.ready && header.cmd != VFU_VERSION))
		return -EPROTO;
	result = plx_vfu_command(vfu, msg, &fd);
	if (result < 0)
		plx_debug("%s: %s refused: %s", vfu->name, plx_vfu_cmd_name(header.cmd),
			  strerror(-result));
	if (!vfu->client.ready && plx_vfu_may_say(vfu))
		plx_warn("%s: no common version with the client: %s", vfu->name, strerror(-result));
	if (vfu->client.broken)
		return vfu->client.broken;
	if (!(header.flags & VFU_F_NO_REPLY))
		err = reply(vfu, &header, result, fd);
	/* Without a common version there's nothing to go on with. */
	return err || vfu->client.ready ? err : -EPROTO;
}

/* 1: handled one; 0: there is none; or why the client must go. */
static int next_message(struct plx_vfu *vfu)
{
	struct vfu_queued *item = vfu->client.queue;
	struct vfu_msg msg;
	int got;

	if (item) {
		got = handle(vfu, &item->msg);
		unqueue(&vfu->client, item);
		return got ? got : 1;
	}
	got = plx_vfu_rx(&vfu->rx, &msg);
	if (got > 0) {
		got = handle(vfu, &msg);
		plx_vfu_msg_done(&msg);
		return got ? got : 1;
	}
	return got;
}

static bool have_more(const struct plx_vfu *vfu)
{
	return vfu->client.broken || vfu->client.queue || plx_vfu_rx_ready(&vfu->rx);
}

/* Answers as long as there's more here already: at most one recvmsg() that brings nothing. */
static int serve(struct plx_vfu *vfu)
{
	int got, handled = 0;

	do {
		got = vfu->client.broken;
		if (!got)
			got = plx_vfu_flush(vfu);
		if (got > 0)
			got = next_message(vfu);
		if (!got && plx_sigbus_faulted(&vfu->maps.guard))
			got = -EFAULT;
		if (got < 0)
			return got;
		handled += got;
	} while (got && have_more(vfu) && handled < POLL_MSGS);
	return handled;
}

/*
 * While a reply is stuck no request is read. What is read already must wake all the same: a socket
 * that can be written does.
 */
int plx_vfu_set_events(struct plx_vfu *vfu)
{
	bool stuck = vfu->client.sent < vfu->client.tx_len;
	uint32_t events = stuck ? EPOLLOUT : have_more(vfu) ? EPOLLIN | EPOLLOUT : EPOLLIN;
	int err;

	if (events == vfu->events)
		return 0;
	err = watch(vfu, EPOLL_CTL_MOD, vfu->client.fd, events);
	if (!err)
		vfu->events = events;
	return err;
}

int plx_vfu_poll(struct plx_vfu *vfu)
{
	int handled, err;

	if (vfu->err)
		return vfu->err;
	if (vfu->client.fd < 0)
		return welcome(vfu);
	vfu->client.waited_us = 0;
	handled = serve(vfu);
	err = handled < 0 ? handled : plx_vfu_set_events(vfu);
	if (!err)
		return handled;
	err = drop(vfu, err);
	return err ? err : 1;
}

/*
 * Coming and going.
 */
static int init(struct plx_vfu *vfu, const struct plx_vfu_desc *desc, const char *path)
{
	struct sockaddr_un addr;
	int err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	vfu->name = plx_sys->alloc(strlen(desc->name) + 1);
	vfu->path = plx_sys->alloc(strlen(path) + 1);
	vfu->tx = plx_sys->alloc(VFU_MAX_MSG);
	if (!vfu->name || !vfu->path || !vfu->tx)
		return -ENOMEM;
	strcpy(vfu->name, desc->name);
	strcpy(vfu->path, path);
	err = plx_vfu_rx_init(&vfu->rx, -1);
	if (!err)
		err = plx_vfu_maps_init(&vfu->maps);
	if (!err)
		err = plx_vfu_regions_init(vfu, desc);
	if (!err)
		err = plx_vfu_irqs_init(vfu, desc);
	if (!err)
		err = plx_vfu_eventfd_init(vfu);
	if (!err) {
		vfu->spare_fd = plx_sys->dup(vfu->null_fd);
		err = vfu->spare_fd < 0 ? -errno : 0;
	}
	if (!err)
		err = start_listening(vfu);
	return err;
}

int plx_vfu_create(const struct plx_vfu_desc *desc, void *model, const char *path,
		   struct plx_vfu **out)
{
	struct plx_vfu *vfu = plx_sys->alloc(sizeof(*vfu));
	unsigned i;
	int err;

	if (!vfu)
		return -ENOMEM;
	vfu->ops = desc->ops;
	vfu->model = model;
	vfu->listen_fd = vfu->epoll_fd = vfu->null_fd = vfu->spare_fd = -1;
	for (i = 0; i < PLX_VFU_REGIONS; i++)
		vfu->region[i].fd = -1;
	no_client(vfu);
	err = init(vfu, desc, path);
	if (err) {
		plx_vfu_destroy(vfu);
		return err;
	}
	*out = vfu;
	return 0;
}

void plx_vfu_destroy(struct plx_vfu *vfu)
{
	if (!vfu)
		return;
	if (vfu->client.fd >= 0)
		disconnect(vfu);
	if (vfu->listen_fd >= 0) {
		unlink_path(vfu);
		plx_sys->close(vfu->listen_fd);
	}
	if (vfu->epoll_fd >= 0)
		plx_sys->close(vfu->epoll_fd);
	if (vfu->spare_fd >= 0)
		plx_sys->close(vfu->spare_fd);
	plx_vfu_irqs_fini(vfu);
	plx_vfu_eventfd_fini(vfu);
	plx_vfu_regions_fini(vfu);
	plx_vfu_maps_fini(&vfu->maps);
	plx_vfu_rx_fini(&vfu->rx);
	plx_sys->free(vfu->tx);
	plx_sys->free(vfu->path);
	plx_sys->free(vfu->name);
	plx_sys->free(vfu);
}

int plx_vfu_fd(const struct plx_vfu *vfu)
{
	return vfu->epoll_fd;
}

bool plx_vfu_connected(const struct plx_vfu *vfu)
{
	return vfu->client.ready;
}
