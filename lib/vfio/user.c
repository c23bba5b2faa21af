/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user, the client's end of a connection.
 *
 * A thread that wants something sends its request and waits for the answer, all under one lock. The
 * peer may ask for something, too (memory that it couldn't map): such requests are served while an
 * answer is waited for and, when nobody waits, from plx_user_poll().
 *
 * Facts are from QEMU's docs/interop/vfio-user.rst ("the specification").
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include <pollux/log.h>

#include "refusal.h"
#include "user.h"

#define POLL_MESSAGES 64 /* served by one call: a peer that asks faster keeps no thread busy */

bool plx_user_is_lost(const struct plx_user *user)
{
	return __atomic_load_n(&user->lost, __ATOMIC_RELAXED);
}

/* Ends the connection for the reason given. */
static int lose(struct plx_user *user, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int lose(struct plx_user *user, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(user->reason, sizeof(user->reason), fmt, args);
	va_end(args);
	__atomic_store_n(&user->lost, true, __ATOMIC_RELAXED);
	/* Who polls the descriptor hears of it, and so does the peer. */
	plx_sys->shutdown(user->fd, SHUT_RDWR);
	if (user->claimed)
		plx_err("%s: %s: the device is lost; close it and claim it again", user->name,
			user->reason);
	return -EIO;
}

/* The same after an error of the socket's, while busy with a command. */
static int lose_socket(struct plx_user *user, unsigned int cmd, int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return lose(user, "no answer to %s within %d s", plx_vfu_cmd_name(cmd),
			    PLX_USER_TIMEOUT_MS / 1000);
	case -ECONNRESET: return lose(user, "the process that serves it closed the connection");
	case -EPROTO: return lose(user, "its process sent what is no message");
	case -EMSGSIZE: return lose(user, "its process sent a message that is too long");
	case -E2BIG:
		return lose(user,
			    "its process sent too many descriptors, or this one has no room left "
			    "for them");
	default: return lose(user, "its connection failed: %s", strerror(-err));
	}
}

/*
 * Requests of the peer's.
 */
static uint32_t wanted_events(const struct plx_user *user)
{
	return EPOLLRDHUP | (user->asks ? EPOLLIN : 0);
}

/* The peer has reason to ask for memory, or did. */
static void expect_requests(struct plx_user *user)
{
	struct epoll_event event;

	if (user->asks)
		return;
	user->asks = true;
	event = (struct epoll_event){ .events = wanted_events(user) };
	if (user->events >= 0)
		plx_sys->epoll_ctl(user->events, EPOLL_CTL_MOD, user->fd, &event);
}

int plx_user_watch(struct plx_user *user)
{
	struct epoll_event event = { .events = wanted_events(user) };
	int fd = plx_sys->epoll_create(EPOLL_CLOEXEC);

	user->claimed = true;
	if (fd < 0)
		return -errno;
	if (plx_sys->epoll_ctl(fd, EPOLL_CTL_ADD, user->fd, &event)) {
		int err = -errno;

		plx_sys->close(fd);
		return err;
	}
	user->events = fd;
	return fd;
}

/* Addresses that overlap are the same to a tree of what doesn't. */
static int compare(const struct plx_user_map *a, const struct plx_user_map *b)
{
	if (a->iova + (a->len - 1) < b->iova)
		return -1;
	return b->iova + (b->len - 1) < a->iova;
}

RB_PROTOTYPE(plx_user_maps, plx_user_map, node, compare)
RB_GENERATE(plx_user_maps, plx_user_map, node, compare)

static struct plx_user_map *find_map(struct plx_user *user, uint64_t iova)
{
	struct plx_user_map key = { .iova = iova, .len = 1 };

	return RB_FIND(plx_user_maps, &user->maps, &key);
}

/* Copies from our memory at iova or, if write, to it. -EFAULT: not mapped that way, in part. */
static int copy(struct plx_user *user, uint64_t iova, char *buf, uint64_t len, bool write)
{
	while (len) {
		const struct plx_user_map *map = find_map(user, iova);
		uint64_t at, part;
		char *mem;

		if (!map || !(map->access & (write ? PLX_DMA_WRITE : PLX_DMA_READ)))
			return -EFAULT;
		at = iova - map->iova;
		part = map->len - at < len ? map->len - at : len;
		mem = (char *)(uintptr_t)map->va + at;
		memcpy(write ? mem : buf, write ? buf : mem, part);
		iova += part;
		buf += part;
		len -= part;
	}
	return 0;
}

/* DMA_READ and DMA_WRITE. *data: what the answer to a read carries, to be freed. */
static int serve_dma(struct plx_user *user, const struct vfu_msg *msg,
		     struct vfu_dma_access *access, void **data)
{
	bool write = msg->header.cmd == VFU_DMA_WRITE;

	if (plx_vfu_msg_get(msg, access, sizeof(*access)) || access->count > VFU_MAX_XFER ||
	    msg->len - sizeof(*access) != (write ? access->count : 0))
		return -EINVAL;
	if (write)
		return copy(user, access->addr, (char *)(uintptr_t)msg->body + sizeof(*access),
			    access->count, true);
	*data = plx_sys->alloc(access->count + 1);
	return *data ? copy(user, access->addr, *data, access->count, false) : -ENOMEM;
}

static int time_left(int64_t deadline)
{
	int64_t left = deadline - plx_vfu_deadline(0);

	return left > 0 ? (int)left : 0;
}

/* Answers a request. Only a failure of the socket is an error. */
static int serve(struct plx_user *user, const struct vfu_msg *msg, int64_t deadline)
{
	struct vfu_header header = { .id = msg->header.id, .cmd = msg->header.cmd };
	struct vfu_dma_access access;
	struct iovec body[2] = { { &access, sizeof(access) } };
	unsigned int nbody = 1;
	void *data = NULL;
	int err = -ENOTSUP;

	expect_requests(user);
	if (header.cmd == VFU_DMA_READ || header.cmd == VFU_DMA_WRITE)
		err = serve_dma(user, msg, &access, &data);
	header.flags = VFU_F_REPLY;
	if (err) {
		header.flags |= VFU_F_ERROR;
		header.err = -err;
		nbody = 0;
	} else if (data) {
		body[nbody++] = (struct iovec){ data, access.count };
	}
	err = 0;
	if (!(msg->header.flags & VFU_F_NO_REPLY))
		err = plx_vfu_send(user->fd, &header, body, nbody, NULL, 0, time_left(deadline));
	plx_sys->free(data);
	return err ? lose_socket(user, header.cmd, err) : 0;
}

static bool is_command(const struct vfu_msg *msg)
{
	return (msg->header.flags & VFU_F_TYPE) == VFU_F_COMMAND;
}

/* Serves what is waiting, while max lasts. Replies are to nothing here. */
static int serve_waiting(struct plx_user *user, unsigned int max)
{
	int64_t deadline = plx_vfu_deadline(PLX_USER_TIMEOUT_MS);
	struct vfu_msg msg;
	int got, err = 0;

	while (!err && max--) {
		got = plx_vfu_rx(&user->rx, &msg);
		if (!got)
			break;
		if (got < 0)
			return lose_socket(user, 0, got);
		err = is_command(&msg) ? serve(user, &msg, deadline)
				       : lose(user, "its process sent an answer to no request (%s)",
					      plx_vfu_cmd_name(msg.header.cmd));
		plx_vfu_msg_done(&msg);
	}
	return err;
}

bool plx_user_poll(struct plx_user *user)
{
	/* Who has the lock waits for an answer and serves meanwhile. */
	if (!plx_user_is_lost(user) && !pthread_mutex_trylock(&user->lock)) {
		serve_waiting(user, POLL_MESSAGES);
		pthread_mutex_unlock(&user->lock);
	}
	return !plx_user_is_lost(user);
}

/*
 * Requests of ours.
 */
static int take_file(struct plx_user *user, struct vfu_msg *msg, struct plx_user_call *call)
{
	if (call->file)
		*call->file = -1;
	if (msg->nfds > (call->file ? 1 : 0))
		return lose(user, "the answer to %s came with %u descriptors",
			    plx_vfu_cmd_name(call->cmd), msg->nfds);
	if (msg->nfds) {
		*call->file = msg->fds[0];
		msg->fds[0] = -1;
	}
	return 0;
}

static int take_answer(struct plx_user *user, const struct vfu_header *sent, struct vfu_msg *msg,
		       struct plx_user_call *call)
{
	int err = plx_vfu_check_reply(sent, &msg->header, call->reply_len);
	const char *name = plx_vfu_cmd_name(call->cmd);
	size_t rest;

	if (msg->header.id != sent->id || msg->header.cmd != sent->cmd)
		return lose(user, "%s (id %u) was answered with %s (id %u)", name, sent->id,
			    plx_vfu_cmd_name(msg->header.cmd), msg->header.id);
	if (msg->header.flags & VFU_F_ERROR)
		return err;
	rest = msg->len - call->reply_len;
	if (err || rest < call->data_min || rest > call->data_len)
		return lose(user, "the answer to %s has %zu bytes instead of %zu to %zu", name,
			    msg->len, call->reply_len + call->data_min,
			    call->reply_len + call->data_len);
	if (call->reply_len)
		memcpy(call->reply, msg->body, call->reply_len);
	if (rest)
		memcpy(call->data, (const char *)msg->body + call->reply_len, rest);
	call->data_len = rest;
	return take_file(user, msg, call);
}

static int exchange(struct plx_user *user, struct plx_user_call *call)
{
	struct vfu_header header = { .id = ++user->id, .cmd = call->cmd };
	int64_t deadline = plx_vfu_deadline(PLX_USER_TIMEOUT_MS);
	struct vfu_msg msg;
	bool served;
	int err;

	err = plx_vfu_send(user->fd, &header, call->body, call->nbody, call->fds, call->nfds,
			   PLX_USER_TIMEOUT_MS);
	if (err)
		return lose_socket(user, call->cmd, err);
	do {
		err = plx_vfu_recv(&user->rx, &msg, time_left(deadline));
		if (err)
			return lose_socket(user, call->cmd, err);
		served = is_command(&msg);
		err = served ? serve(user, &msg, deadline) : take_answer(user, &header, &msg, call);
		plx_vfu_msg_done(&msg);
		/* Requests are no answer, however many are waiting. */
		if (served && !err && !time_left(deadline))
			err = lose_socket(user, call->cmd, -ETIMEDOUT);
	} while (served && !err);
	return err;
}

int plx_user_call(struct plx_user *user, struct plx_user_call *call)
{
	int err;

	pthread_mutex_lock(&user->lock);
	err = plx_user_is_lost(user) ? -EIO : exchange(user, call);
	/* What came behind the answer is out of the socket: nothing would announce it any more. */
	if (user->rx.start != user->rx.end && !plx_user_is_lost(user))
		serve_waiting(user, POLL_MESSAGES);
	pthread_mutex_unlock(&user->lock);
	return err;
}

void plx_user_lose(struct plx_user *user, const char *reason)
{
	pthread_mutex_lock(&user->lock);
	if (!plx_user_is_lost(user))
		lose(user, "%s", reason);
	pthread_mutex_unlock(&user->lock);
}

/*
 * Memory.
 */
int plx_user_map_add(struct plx_user *user, const struct plx_user_map *map)
{
	struct plx_user_map *entry = plx_sys->alloc(sizeof(*entry));
	int err = 0;

	if (!entry)
		return -ENOMEM;
	*entry = *map;
	pthread_mutex_lock(&user->lock);
	if (RB_INSERT(plx_user_maps, &user->maps, entry))
		err = -EEXIST;
	else if (!map->shared)
		expect_requests(user);
	pthread_mutex_unlock(&user->lock);
	if (err)
		plx_sys->free(entry);
	return err;
}

void plx_user_map_drop(struct plx_user *user, uint64_t iova)
{
	struct plx_user_map *entry;

	pthread_mutex_lock(&user->lock);
	entry = find_map(user, iova);
	if (entry)
		RB_REMOVE(plx_user_maps, &user->maps, entry);
	pthread_mutex_unlock(&user->lock);
	plx_sys->free(entry);
}

/*
 * The connection.
 */
static int agree_on_version(struct plx_user *user, struct plx_refusal *why)
{
	struct vfu_caps ours = VFU_CAPS_OURS;
	struct vfu_version version;
	struct plx_user_call call = { .cmd = VFU_VERSION, .nbody = 1 };
	size_t room = sizeof(version) + VFU_MAX_JSON;
	char *body = plx_sys->alloc(2 * room);
	int len, err;

	if (!body)
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
	ours.write_multiple = false;
	len = plx_vfu_version_build(VFU_MINOR, &ours, body, room);
	call.body[0] = (struct iovec){ body, len > 0 ? len : 0 };
	call.data = body + room;
	call.data_len = room;
	err = len < 0 ? len : plx_user_call(user, &call);
	if (user->lost)
		plx_refuse_about(why, PLX_REFUSED_BUSY, err, user->name, PLX_REMEDY_END_CLIENT,
				 "%s", user->reason);
	else if (err)
		plx_refuse_about(why, PLX_REFUSED_NODE, err, user->name, PLX_REMEDY_VERSION,
				 "its process refuses this version: %s", strerror(-err));
	if (!err) {
		err = plx_vfu_version_parse(call.data, call.data_len, &version, &user->peer);
		if (!err && version.minor > VFU_MINOR)
			err = -ENOTSUP;
		if (err)
			plx_refuse_about(why, PLX_REFUSED_NODE, err, user->name, PLX_REMEDY_VERSION,
					 "its process's version and capabilities make no sense, or "
					 "are not for this program: %s",
					 strerror(-err));
		else
			user->minor = version.minor;
	}
	plx_sys->free(body);
	return err;
}

int plx_user_open(const char *name, int fd, struct plx_user **out, struct plx_refusal *why)
{
	struct plx_user *user = plx_sys->alloc(sizeof(*user));
	int err;

	if (!user) {
		plx_sys->close(fd);
		return plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
	}
	pthread_mutex_init(&user->lock, NULL);
	snprintf(user->name, sizeof(user->name), "%s", name);
	user->events = -1;
	user->fd = fd;
	if (plx_vfu_rx_init(&user->rx, fd))
		err = plx_refuse(why, PLX_REFUSED_KERNEL, -ENOMEM, "out of memory");
	else
		err = agree_on_version(user, why);
	if (err)
		plx_user_close(user);
	else
		*out = user;
	return err;
}

void plx_user_close(struct plx_user *user)
{
	struct plx_user_map *entry;

	while ((entry = RB_ROOT(&user->maps))) {
		RB_REMOVE(plx_user_maps, &user->maps, entry);
		plx_sys->free(entry);
	}
	plx_vfu_rx_fini(&user->rx);
	plx_sys->close(user->fd);
	pthread_mutex_destroy(&user->lock);
	plx_sys->free(user);
}
