/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <pollux/log.h>

#include "sys.h"
#include "vfu_rig.h"

struct rig rig;

static unsigned lines[PLX_LOG_DEBUG + 1];
static char last_line[512];

static void sink(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	lines[level]++;
	if (level <= PLX_LOG_INFO)
		snprintf(last_line, sizeof(last_line), "%s", line);
}

unsigned rig_lines(int level)
{
	unsigned sum = 0;

	for (; level >= 0; level--)
		sum += lines[level];
	return sum;
}

const char *rig_line(void)
{
	return last_line;
}

unsigned rig_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/*
 * The model.
 */
static int model_access(void *model, unsigned region, uint64_t offset, void *buf, size_t len,
			bool write)
{
	struct rig *r = model;
	uint8_t *mem = region == RIG_CONFIG ? r->config : r->bar0;

	assert_true(region == RIG_CONFIG || region == 0);
	assert_true(offset + len <= (region == RIG_CONFIG ? sizeof(r->config) : sizeof(r->bar0)));
	if (region == 0)
		assert_true(offset + len <= RIG_PAGE || offset >= 2 * RIG_PAGE);
	r->accesses++;
	if (r->on_access)
		r->on_access(r);
	if (r->refuse)
		return r->refuse;
	if (write)
		memcpy(mem + offset, buf, len);
	else
		memcpy(buf, mem + offset, len);
	return 0;
}

static void model_reset(void *model, enum plx_vfu_reset why)
{
	struct rig *r = model;

	if (why == PLX_VFU_RESET_ASKED)
		r->asked++;
	else
		r->gone++;
}

static void model_dma_changed(void *model)
{
	((struct rig *)model)->dma_changes++;
}

static const struct plx_vfu_ops ops = {
	.access = model_access,
	.reset = model_reset,
	.dma_changed = model_dma_changed,
};

static const struct plx_vfio_area bar0_area = { RIG_PAGE, RIG_PAGE };
static const struct plx_vfio_area bar1_area = { 0, 2 * RIG_PAGE };

const struct plx_vfu_desc rig_desc = {
	.name = "rig",
	.ops = &ops,
	.region = {
		[0] = { 3 * RIG_PAGE, &bar0_area, 1 },
		[1] = { 2 * RIG_PAGE, &bar1_area, 1 },
		[RIG_CONFIG] = { 256, NULL, 0 },
	},
	.irqs = { [RIG_INTX] = 1, [RIG_MSIX] = 4 },
};

static unsigned fds_before;

int rig_listen(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	memset(lines, 0, sizeof(lines));
	plx_log_set_sink(sink, NULL);
	plx_log_set_level(PLX_LOG_DEBUG);
	rig.rx.fd = rig.got_fd = -1;
	snprintf(rig.path, sizeof(rig.path), "/tmp/plx-vfu-test-%d", getpid());
	fds_before = rig_fds();
	return plx_vfu_create(&rig_desc, &rig, rig.path, &rig.vfu);
}

int rig_start(void **state)
{
	int err = rig_listen(state);

	if (!err) {
		rig_connect();
		rig_hello(NULL);
	}
	return err;
}

int rig_stop(void **state)
{
	struct stat st;

	(void)state;
	rig_hang_up();
	plx_vfu_destroy(rig.vfu);
	rig.vfu = NULL;
	plx_log_set_sink(NULL, NULL);
	plx_log_set_level(PLX_LOG_NOTICE);
	if (!stat(rig.path, &st)) {
		fprintf(stderr, "# the socket is left\n");
		return -1;
	}
	if (rig_fds() != fds_before) {
		fprintf(stderr, "# %u descriptors before, %u now\n", fds_before, rig_fds());
		return -1;
	}
	return 0;
}

/*
 * The client.
 */
void rig_connect(void)
{
	int fd = plx_vfu_connect(rig.path);

	assert_true(fd >= 0);
	assert_int_equal(plx_vfu_rx_init(&rig.rx, fd), 0);
}

void rig_hang_up(void)
{
	if (rig.got_fd >= 0)
		close(rig.got_fd);
	rig.got_fd = -1;
	if (rig.rx.fd >= 0)
		close(rig.rx.fd);
	plx_vfu_rx_fini(&rig.rx);
	rig.rx.fd = -1;
}

void rig_poll(void)
{
	int got;

	do {
		got = plx_vfu_poll(rig.vfu);
	} while (got > 0);
	assert_int_equal(got, 0);
}

void rig_raw(const void *data, size_t len, const int *fds, unsigned nfds)
{
	const struct iovec iov = { (void *)data, len };

	assert_int_equal(plx_vfu_tx(rig.rx.fd, &iov, 1, fds, nfds), len);
}

int rig_call_fds(unsigned cmd, const void *body, size_t len, const int *fds, unsigned nfds,
		 void *reply, size_t room)
{
	struct vfu_header header = { .id = ++rig.id, .cmd = cmd };
	const struct iovec iov = { (void *)body, len };
	struct vfu_msg msg;
	int err;

	if (rig.got_fd >= 0)
		close(rig.got_fd);
	rig.got_fd = -1;
	err = plx_vfu_send(rig.rx.fd, &header, &iov, 1, fds, nfds, 0);
	if (err)
		return err;
	rig_poll();
	err = plx_vfu_recv(&rig.rx, &msg, 0);
	if (err)
		return err;
	err = plx_vfu_check_reply(&header, &msg.header, 0);
	if (err)
		assert_int_equal(msg.len, 0);
	rig.header = msg.header;
	rig.got_len = msg.len;
	if (msg.nfds) {
		assert_int_equal(msg.nfds, 1);
		rig.got_fd = msg.fds[0];
		msg.fds[0] = -1;
	}
	if (reply)
		memcpy(reply, msg.body, msg.len < room ? msg.len : room);
	plx_vfu_msg_done(&msg);
	return err;
}

int rig_call(unsigned cmd, const void *body, size_t len, void *reply, size_t room)
{
	return rig_call_fds(cmd, body, len, NULL, 0, reply, room);
}

void rig_hello(const char *json)
{
	struct {
		struct vfu_version version;
		char json[256];
	} body = { .version = { VFU_MAJOR, VFU_MINOR } }, reply;
	size_t len = sizeof(body.version);

	if (json) {
		snprintf(body.json, sizeof(body.json), "%s", json);
		len += strlen(body.json) + 1;
	}
	rig_poll();
	assert_int_equal(rig_call(VFU_VERSION, &body, len, &reply, sizeof(reply)), 0);
	assert_true(plx_vfu_connected(rig.vfu));
}

int rig_map(uint64_t addr, uint64_t size, uint64_t offset, unsigned flags, int fd)
{
	const struct vfu_dma_map map = {
		.argsz = sizeof(map), .flags = flags, .offset = offset, .addr = addr, .size = size
	};

	return rig_call_fds(VFU_DMA_MAP, &map, sizeof(map), &fd, fd >= 0, NULL, 0);
}

int rig_unmap(uint64_t addr, uint64_t size)
{
	const struct vfu_dma_unmap unmap = { .argsz = sizeof(unmap), .addr = addr, .size = size };
	struct vfu_dma_unmap reply;
	int err = rig_call(VFU_DMA_UNMAP, &unmap, sizeof(unmap), &reply, sizeof(reply));

	if (!err) {
		assert_int_equal(rig.got_len, sizeof(reply));
		assert_memory_equal(&reply, &unmap, sizeof(reply));
	}
	return err;
}

int rig_read(unsigned region, uint64_t offset, void *buf, uint32_t count)
{
	const struct vfu_access access = { offset, region, count };
	char *reply = malloc(sizeof(access) + count);
	int err = rig_call(VFU_REGION_READ, &access, sizeof(access), reply, sizeof(access) + count);

	if (!err) {
		assert_int_equal(rig.got_len, sizeof(access) + count);
		assert_memory_equal(reply, &access, sizeof(access));
		memcpy(buf, reply + sizeof(access), count);
	}
	free(reply);
	return err;
}

int rig_write(unsigned region, uint64_t offset, const void *buf, uint32_t count)
{
	const struct vfu_access access = { offset, region, count };
	char *body = malloc(sizeof(access) + count);
	struct vfu_access reply;
	int err;

	memcpy(body, &access, sizeof(access));
	memcpy(body + sizeof(access), buf, count);
	err = rig_call(VFU_REGION_WRITE, body, sizeof(access) + count, &reply, sizeof(reply));
	if (!err) {
		assert_int_equal(rig.got_len, sizeof(reply));
		assert_memory_equal(&reply, &access, sizeof(reply));
	}
	free(body);
	return err;
}

bool rig_dropped(void)
{
	char rest[256];
	ssize_t got;

	do {
		got = recv(rig.rx.fd, rest, sizeof(rest), MSG_DONTWAIT);
	} while (got > 0);
	/* A reset: the server left something unread. */
	return !plx_vfu_connected(rig.vfu) && (!got || errno == ECONNRESET);
}

int rig_file(size_t size)
{
	int fd = memfd_create("rig", MFD_CLOEXEC);
	char page[RIG_PAGE];
	size_t at;

	assert_true(fd >= 0);
	for (at = 0; at < size; at += sizeof(page)) {
		memset(page, 1 + at / sizeof(page), sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page), at), sizeof(page));
	}
	return fd;
}
