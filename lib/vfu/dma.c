/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model's way to the client's memory.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "server.h"

/*
 * A client that has had us wait for too long is dropped: it would stop a process that serves
 * several. That is a second between two polls, whatever a model asks for; and over time, a second
 * at once and a tenth of the time from then on. Over time, what a quick client needs isn't counted:
 * it may be another program's turn on its CPU. Such a client slows the others down, but it can't
 * stop them.
 */
#define PATIENCE_US 1000000
#define QUICK_US    4000
#define SHARE	    10

void *plx_vfu_dma(struct plx_vfu *vfu, uint64_t iova, size_t len, unsigned access)
{
	const struct vfu_map *map = plx_vfu_maps_find(&vfu->maps, iova);

	if (!map || !map->va || !len || len - 1 > map->last - iova || access & ~map->access)
		return NULL;
	return map->va + (iova - map->first);
}

/* What was being sent goes first. */
static int flush_wait(struct plx_vfu *vfu, int64_t deadline)
{
	int sent, err;

	for (;;) {
		sent = plx_vfu_flush(vfu);
		if (sent)
			return sent < 0 ? sent : 0;
		err = plx_vfu_wait(vfu->client.fd, POLLOUT, deadline);
		if (err)
			return err;
	}
}

static int time_left(int64_t deadline)
{
	int64_t left = deadline - plx_vfu_deadline(0);

	return left > 0 ? (int)left : 0;
}

/* The reply to ours; requests that come before it are kept for later. */
static int await(struct plx_vfu *vfu, struct vfu_msg *msg, int64_t deadline)
{
	int err;

	for (;;) {
		err = plx_vfu_recv(&vfu->rx, msg, time_left(deadline));
		if (err || (msg->header.flags & VFU_F_TYPE) == VFU_F_REPLY)
			return err;
		err = plx_vfu_enqueue(vfu, msg);
		plx_vfu_msg_done(msg);
		if (err)
			return err;
	}
}

/* What a DMA_READ or DMA_WRITE was answered. */
static int take_answer(const struct vfu_dma_access *req, const struct vfu_msg *msg, void *buf,
		       bool write)
{
	struct vfu_dma_access got;

	if (write)
		return 0;
	memcpy(&got, msg->body, sizeof(got));
	if (got.addr != req->addr || got.count != req->count)
		return -EPROTO;
	memcpy(buf, (const char *)msg->body + sizeof(got), req->count);
	return 0;
}

/*
 * One DMA_READ or DMA_WRITE. *refused: the client answered with an error. Any other error means
 * that the stream is out of step.
 */
static int exchange(struct plx_vfu *vfu, struct vfu_dma_access *req, void *buf, bool write,
		    int64_t deadline, bool *refused)
{
	struct vfu_header header = {
		.id = vfu->client.next_id++,
		.cmd = write ? VFU_DMA_WRITE : VFU_DMA_READ,
	};
	const struct iovec body[] = { { req, sizeof(*req) }, { buf, req->count } };
	struct vfu_msg msg;
	int err;

	err = flush_wait(vfu, deadline);
	if (!err)
		err = plx_vfu_send(vfu->client.fd, &header, body, write ? 2 : 1, NULL, 0,
				   time_left(deadline));
	if (!err)
		err = await(vfu, &msg, deadline);
	if (err)
		return err;
	/* A write's count was 4 bytes in some revisions: what counts is that it was done. */
	err = plx_vfu_check_reply(&header, &msg.header,
				  write ? sizeof(uint64_t) : sizeof(*req) + req->count);
	*refused = msg.header.flags & VFU_F_ERROR && msg.header.id == header.id &&
		   msg.header.cmd == header.cmd;
	if (!err)
		err = take_answer(req, &msg, buf, write);
	plx_vfu_msg_done(&msg);
	return err;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static int patient_exchange(struct plx_vfu *vfu, struct vfu_dma_access *req, void *buf, bool write,
			    bool *refused)
{
	struct vfu_client *client = &vfu->client;
	const int64_t start = now_us(), due = (start - client->slow_at) / SHARE;
	int64_t left, took;
	int err;

	client->slow_us = client->slow_us > due ? client->slow_us - due : 0;
	client->slow_at = start;
	left = PATIENCE_US -
	       (client->slow_us > client->waited_us ? client->slow_us : client->waited_us);
	if (left <= 0)
		return -ETIMEDOUT;
	err = exchange(vfu, req, buf, write, plx_vfu_deadline(left / 1000 + 1), refused);
	took = now_us() - start;
	client->waited_us += took;
	if (took > QUICK_US)
		client->slow_us += took - QUICK_US;
	return err;
}

static int by_messages(struct plx_vfu *vfu, uint64_t iova, char *buf, size_t len, bool write)
{
	struct vfu_client *client = &vfu->client;
	uint32_t max = client->caps.max_data_xfer_size;
	bool refused = false;
	int err = 0;

	if (max > VFU_MAX_XFER)
		max = VFU_MAX_XFER;
	while (len && !err) {
		struct vfu_dma_access req = { .addr = iova, .count = len < max ? len : max };

		if (client->broken)
			return -ENOTCONN;
		err = patient_exchange(vfu, &req, buf, write, &refused);
		iova += req.count;
		buf += req.count;
		len -= req.count;
	}
	if (err && !refused)
		client->broken = err;
	/* The exchange may have brought requests along. */
	if (plx_vfu_set_events(vfu) && !client->broken)
		client->broken = -EIO;
	if (refused)
		return -EFAULT;
	return err && err != -ETIMEDOUT ? -ENOTCONN : err;
}

static int copy(struct plx_vfu *vfu, uint64_t iova, void *buf, size_t len, bool write)
{
	unsigned access = write ? PLX_DMA_WRITE : PLX_DMA_READ;
	char *bytes = buf;
	int err = 0;

	while (len && !err) {
		const struct vfu_map *map = plx_vfu_maps_find(&vfu->maps, iova);
		size_t n;

		if (!map || !(map->access & access))
			return -EFAULT;
		n = map->last - iova < len - 1 ? map->last - iova + 1 : len;
		if (!map->va)
			err = by_messages(vfu, iova, bytes, n, write);
		else if (write)
			memcpy(map->va + (iova - map->first), bytes, n);
		else
			memcpy(bytes, map->va + (iova - map->first), n);
		/* Behind the last address there is nothing. */
		if (__builtin_add_overflow(iova, n, &iova) && n < len)
			return -EFAULT;
		bytes += n;
		len -= n;
	}
	return err;
}

int plx_vfu_dma_read(struct plx_vfu *vfu, uint64_t iova, void *buf, size_t len)
{
	return copy(vfu, iova, buf, len, false);
}

int plx_vfu_dma_write(struct plx_vfu *vfu, uint64_t iova, const void *buf, size_t len)
{
	return copy(vfu, iova, (void *)buf, len, true);
}
