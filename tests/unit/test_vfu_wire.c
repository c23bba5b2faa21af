/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio-user's messages: every bound of every check, VERSION's JSON, and a stream of them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sock.h"
#include "sys.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void headers_are_checked(void **state)
{
	static const struct {
		struct vfu_header header;
		int err;
	} cases[] = {
		{ { 0, 0, 16, VFU_F_COMMAND, 0 }, 0 },
		{ { 0, 0, 16, VFU_F_REPLY | VFU_F_ERROR, 5 }, 0 },
		{ { 0, 0, 100, VFU_F_COMMAND | VFU_F_NO_REPLY, 0 }, 0 },
		{ { 0, 0, 15, VFU_F_COMMAND, 0 }, -EPROTO },
		{ { 0, 0, 0, VFU_F_COMMAND, 0 }, -EPROTO },
		{ { 0, 0, 16, 2, 0 }, -EPROTO },
		{ { 0, 0, 16, 0xf, 0 }, -EPROTO },
		{ { 0, 0, 101, VFU_F_COMMAND, 0 }, -EMSGSIZE },
		{ { 0, 0, UINT32_MAX, VFU_F_COMMAND, 0 }, -EMSGSIZE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		assert_int_equal(plx_vfu_check_header(&cases[i].header, 100), cases[i].err);
}

static void replies_are_checked(void **state)
{
	static const struct vfu_header sent = { 7, VFU_RESET, 16, VFU_F_COMMAND, 0 };
	static const struct {
		struct vfu_header got;
		int err;
	} cases[] = {
		{ { 7, VFU_RESET, 24, VFU_F_REPLY, 0 }, 0 },
		{ { 7, VFU_RESET, 23, VFU_F_REPLY, 0 }, -EPROTO },
		{ { 7, VFU_RESET, 0, VFU_F_REPLY, 0 }, -EPROTO },
		{ { 8, VFU_RESET, 24, VFU_F_REPLY, 0 }, -EPROTO },
		{ { 7, VFU_GET_INFO, 24, VFU_F_REPLY, 0 }, -EPROTO },
		{ { 7, VFU_RESET, 24, VFU_F_COMMAND, 0 }, -EPROTO },
		{ { 7, VFU_RESET, 16, VFU_F_REPLY | VFU_F_ERROR, EEXIST }, -EEXIST },
		{ { 7, VFU_RESET, 16, VFU_F_REPLY | VFU_F_ERROR, 4095 }, -4095 },
		{ { 7, VFU_RESET, 16, VFU_F_REPLY | VFU_F_ERROR, 4096 }, -EINVAL },
		{ { 7, VFU_RESET, 16, VFU_F_REPLY | VFU_F_ERROR, 0 }, -EINVAL },
		{ { 7, VFU_RESET, 16, VFU_F_REPLY | VFU_F_ERROR, UINT32_MAX }, -EINVAL },
		{ { 8, VFU_RESET, 16, VFU_F_REPLY | VFU_F_ERROR, EEXIST }, -EPROTO },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		assert_int_equal(plx_vfu_check_reply(&sent, &cases[i].got, 8), cases[i].err);
}

/* The specification's table: who sends what, and how much of a body is fixed. */
static void commands_are_checked(void **state)
{
	static const struct {
		unsigned cmd, body, fds;
	} known[] = {
		{ VFU_VERSION, 4, 0 },
		{ VFU_DMA_MAP, 32, 1 },
		{ VFU_DMA_UNMAP, 24, 0 },
		{ VFU_GET_INFO, 16, 0 },
		{ VFU_GET_REGION_INFO, 32, 0 },
		{ VFU_GET_REGION_IO_FDS, 16, 0 },
		{ VFU_GET_IRQ_INFO, 16, 0 },
		{ VFU_SET_IRQS, 20, VFU_MAX_FDS },
		{ VFU_REGION_READ, 16, 0 },
		{ VFU_REGION_WRITE, 16, 0 },
		{ VFU_RESET, 0, 0 },
		{ VFU_WRITE_MULTI, 8, 0 },
		{ VFU_FEATURE, 8, 0 },
	};
	struct vfu_header header = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(known); i++) {
		header.cmd = known[i].cmd;
		header.size = sizeof(header) + known[i].body;
		assert_int_equal(plx_vfu_check_command(&header, known[i].fds), 0);
		assert_int_equal(plx_vfu_check_command(&header, known[i].fds + 1), -EINVAL);
		header.size += 1000;
		assert_int_equal(plx_vfu_check_command(&header, 0), 0);
		header.size -= 1001;
		if (known[i].body)
			assert_int_equal(plx_vfu_check_command(&header, 0), -EINVAL);
		assert_string_not_equal(plx_vfu_cmd_name(header.cmd), "?");
	}
	header.size = 16;
	for (i = 0; i < 70000; i += i < 20 ? 1 : 7777) {
		header.cmd = i;
		if (!i || i == VFU_DMA_READ || i == VFU_DMA_WRITE || i >= VFU_CMDS)
			assert_int_equal(plx_vfu_check_command(&header, 0), -ENOTSUP);
	}
	assert_string_equal(plx_vfu_cmd_name(0), "?");
	assert_string_equal(plx_vfu_cmd_name(VFU_CMDS), "?");
}

#define PAGE UINT64_C(4096)
#define RW   (VFU_MAP_READ | VFU_MAP_WRITE)

static void maps_are_checked(void **state)
{
	static const struct {
		struct vfu_dma_map map;
		unsigned fds;
		int err;
	} cases[] = {
		{ { 32, RW, 0, 0, PAGE }, 1, 0 },
		{ { 32, RW, 0, 0, PAGE }, 0, 0 },
		{ { 33, VFU_MAP_READ | VFU_MAP_MMAP, PAGE, PAGE, PAGE }, 1, 0 },
		{ { 32, VFU_MAP_WRITE, 0, -PAGE, PAGE }, 1, 0 },
		{ { 32, RW, 0, 0, -PAGE }, 0, 0 },
		{ { 32, RW, INT64_MAX - 2 * PAGE + 1, 0, PAGE }, 1, 0 },
		{ { 31, RW, 0, 0, PAGE }, 1, -EINVAL },
		{ { 32, RW, 0, 0, PAGE }, 2, -EINVAL },
		{ { 32, 0, 0, 0, PAGE }, 1, -EINVAL },
		{ { 32, VFU_MAP_MMAP, 0, 0, PAGE }, 1, -EINVAL },
		{ { 32, RW | VFU_MAP_MMAP, 0, 0, PAGE }, 0, -EINVAL },
		{ { 32, RW | 8, 0, 0, PAGE }, 1, -EINVAL },
		{ { 32, RW, 0, 0, 0 }, 1, -EINVAL },
		{ { 32, RW, 0, 0, PAGE - 1 }, 1, -EINVAL },
		{ { 32, RW, 0, 1, PAGE }, 1, -EINVAL },
		{ { 32, RW, 1, 0, PAGE }, 1, -EINVAL },
		{ { 32, RW, 0, -PAGE, 2 * PAGE }, 0, -EINVAL },
		{ { 32, RW, 0, PAGE, -PAGE }, 0, 0 },
		{ { 32, RW, 0, 2 * PAGE, -PAGE }, 0, -EINVAL },
		{ { 32, RW, -PAGE, 0, PAGE }, 1, -EINVAL },
		{ { 32, RW, INT64_MAX - PAGE + 1, 0, PAGE }, 1, -EINVAL },
		{ { 32, RW, 12345, 0, PAGE }, 0, 0 }, /* no file: no offset */
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		if (plx_vfu_check_map(&cases[i].map, cases[i].fds) != cases[i].err)
			fail_msg("case %zu", i);
}

static void unmaps_are_checked(void **state)
{
	static const struct {
		struct vfu_dma_unmap unmap;
		int err;
	} cases[] = {
		{ { 24, 0, 0, PAGE }, 0 },
		{ { 24, 0, 5, 1 }, 0 }, /* no such map, but that's another question */
		{ { 24, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0 }, 0 },
		{ { 23, 0, 0, PAGE }, -EINVAL },
		{ { 24, 0, 0, 0 }, -EINVAL },
		{ { 24, VFIO_DMA_UNMAP_FLAG_ALL, 1, 0 }, -EINVAL },
		{ { 24, VFIO_DMA_UNMAP_FLAG_ALL, 0, PAGE }, -EINVAL },
		{ { 24, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, 0, PAGE }, -EINVAL },
		{ { 24, 0x80000000, 0, PAGE }, -EINVAL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		assert_int_equal(plx_vfu_check_unmap(&cases[i].unmap), cases[i].err);
}

static void questions_are_checked(void **state)
{
	struct vfu_info info = { .argsz = 16 };
	struct vfio_region_info region = { .argsz = 32, .index = 8 };
	struct vfio_irq_info irq = { .argsz = 16, .index = 4 };

	(void)state;
	assert_int_equal(plx_vfu_check_info(&info), 0);
	info.argsz--;
	assert_int_equal(plx_vfu_check_info(&info), -EINVAL);
	assert_int_equal(plx_vfu_check_region_info(&region, 9), 0);
	assert_int_equal(plx_vfu_check_region_info(&region, 8), -EINVAL);
	region.argsz--;
	assert_int_equal(plx_vfu_check_region_info(&region, 9), -EINVAL);
	assert_int_equal(plx_vfu_check_irq_info(&irq, 5), 0);
	assert_int_equal(plx_vfu_check_irq_info(&irq, 4), -EINVAL);
	irq.argsz--;
	assert_int_equal(plx_vfu_check_irq_info(&irq, 5), -EINVAL);
}

#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENT	VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK	VFIO_IRQ_SET_ACTION_MASK

/* Of a kind with five vectors. */
static void irq_sets_are_checked(void **state)
{
	static const struct {
		size_t body, fds;
		int err;
		struct vfio_irq_set set;
	} cases[] = {
		{ 0, 0, 0, { 20, NONE | TRIGGER, 0, 0, 5 } },
		{ 0, 0, 0, { 20, NONE | TRIGGER, 0, 0, 0 } },
		{ 0, 0, 0, { 20, NONE | MASK, 0, 4, 1 } },
		{ 5, 0, 0, { 25, BOOL | TRIGGER, 0, 0, 5 } },
		{ 0, 4, 0, { 20, EVENT | TRIGGER, 0, 1, 4 } },
		{ 0, 0, 0, { 20, EVENT | TRIGGER, 0, 1, 4 } },
		{ 0, 0, -EINVAL, { 19, NONE | TRIGGER, 0, 0, 5 } },
		{ 0, 0, -EINVAL, { 20, NONE | TRIGGER, 0, 0, 6 } },
		{ 0, 0, -EINVAL, { 20, NONE | TRIGGER, 0, 5, 1 } },
		{ 0, 0, -EINVAL, { 20, NONE | TRIGGER, 0, 1, 5 } },
		{ 0, 0, -EINVAL, { 20, NONE | TRIGGER, 0, 1, UINT32_MAX } },
		{ 0, 0, -EINVAL, { 20, NONE | TRIGGER, 0, UINT32_MAX, 1 } },
		{ 0, 0, -EINVAL, { 20, NONE | TRIGGER, 0, 1, 0 } },
		{ 0, 0, -EINVAL, { 20, NONE | MASK, 0, 0, 0 } },
		{ 0, 0, -EINVAL, { 20, EVENT | TRIGGER, 0, 0, 0 } },
		{ 4, 0, -EINVAL, { 24, BOOL | TRIGGER, 0, 0, 5 } },
		{ 5, 1, -EINVAL, { 25, BOOL | TRIGGER, 0, 0, 5 } },
		{ 0, 1, -EINVAL, { 20, NONE | TRIGGER, 0, 0, 1 } },
		{ 0, 3, -EINVAL, { 20, EVENT | TRIGGER, 0, 0, 4 } },
		{ 0, 5, -EINVAL, { 20, EVENT | TRIGGER, 0, 0, 4 } },
		{ 0, 0, -EINVAL, { 20, NONE, 0, 0, 1 } },
		{ 0, 0, -EINVAL, { 20, TRIGGER, 0, 0, 1 } },
		{ 1, 0, -EINVAL, { 20, NONE | BOOL | TRIGGER, 0, 0, 1 } },
		{ 0, 0, -EINVAL, { 20, NONE | TRIGGER | MASK, 0, 0, 1 } },
		{ 0, 0, -EINVAL, { 20, NONE | TRIGGER | 0x40, 0, 0, 1 } },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		if (plx_vfu_check_irq_set(&cases[i].set, cases[i].body, cases[i].fds, 5) !=
		    cases[i].err)
			fail_msg("case %zu", i);
}

static void accesses_are_checked(void **state)
{
	static const struct {
		struct vfu_access access;
		uint64_t size;
		int err;
	} cases[] = {
		{ { 0, 0, 1 }, 1, 0 },
		{ { 96, 0, 4 }, 100, 0 },
		{ { 0, 0, 64 }, 100, 0 },
		{ { 0, 0, 65 }, 100, -EINVAL }, /* more than a message may carry */
		{ { 0, 0, 0 }, 100, -EINVAL },
		{ { 97, 0, 4 }, 100, -EINVAL },
		{ { 100, 0, 1 }, 100, -EINVAL },
		{ { UINT64_MAX, 0, 1 }, 100, -EINVAL },
		{ { UINT64_MAX - 2, 0, 4 }, 100, -EINVAL },
		{ { 0, 0, 1 }, 0, -EINVAL },
		{ { UINT64_MAX - 4, 0, 4 }, UINT64_MAX, 0 },
		{ { UINT64_MAX - 3, 0, 4 }, UINT64_MAX, -EINVAL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		assert_int_equal(plx_vfu_check_access(&cases[i].access, cases[i].size, 64),
				 cases[i].err);
}

/*
 * VERSION.
 */
static void assert_caps_equal(const struct vfu_caps *a, const struct vfu_caps *b)
{
	assert_int_equal(a->max_msg_fds, b->max_msg_fds);
	assert_int_equal(a->max_data_xfer_size, b->max_data_xfer_size);
	assert_int_equal(a->max_dma_maps, b->max_dma_maps);
	assert_true(a->pgsizes == b->pgsizes);
	assert_int_equal(a->write_multiple, b->write_multiple);
}

static int parse(const char *json, struct vfu_caps *caps)
{
	struct {
		struct vfu_version version;
		char json[512];
	} body = { { VFU_MAJOR, 3 }, "" };
	struct vfu_version version;

	snprintf(body.json, sizeof(body.json), "%s", json);
	return plx_vfu_version_parse(&body, 4 + strlen(json) + 1, &version, caps);
}

static void versions_read_back(void **state)
{
	const struct vfu_caps caps = { 3, 4096, 77, UINT64_C(0x8000000040201000), true };
	struct vfu_version version;
	struct vfu_caps got;
	char body[512];
	int len;

	(void)state;
	len = plx_vfu_version_build(5, &caps, body, sizeof(body));
	assert_true(len > 4 && !body[len - 1]);
	assert_int_equal(plx_vfu_version_parse(body, len, &version, &got), 0);
	assert_int_equal(version.minor, 5);
	assert_caps_equal(&got, &caps);
	assert_int_equal(plx_vfu_version_build(5, &caps, body, len), len);
	assert_int_equal(plx_vfu_version_build(5, &caps, body, len - 1), -ENOSPC);
	assert_int_equal(plx_vfu_version_build(5, &caps, body, 4), -ENOSPC);
	assert_int_equal(plx_vfu_version_build(5, &caps, body, 3), -ENOSPC);
}

static void what_is_not_said_is_the_default(void **state)
{
	static const char *const silent[] = {
		"{}",
		"{\"capabilities\":{}}",
		"{\"x\":[1,2,{}]}",
		" { \"capabilities\" : { \"migration\" : { \"pgsize\" : 4096 } } } ",
	};
	static const struct vfu_version bare = { VFU_MAJOR, 0 };
	const struct vfu_caps fallback = VFU_CAPS_DEFAULT;
	struct vfu_version version;
	struct vfu_caps caps;
	size_t i;

	(void)state;
	assert_int_equal(plx_vfu_version_parse(&bare, sizeof(bare), &version, &caps), 0);
	assert_caps_equal(&caps, &fallback);
	for (i = 0; i < COUNT(silent); i++) {
		assert_int_equal(parse(silent[i], &caps), 0);
		assert_caps_equal(&caps, &fallback);
	}
	assert_int_equal(fallback.max_msg_fds, 1);
	assert_int_equal(fallback.max_data_xfer_size, 1048576);
	assert_int_equal(fallback.max_dma_maps, 65535);
	assert_int_equal(fallback.pgsizes, 4096);
}

static void json_that_can_not_be_meant_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"null",
		"[]",
		"1",
		"\"capabilities\"",
		"{\"capabilities\":1}",
		"{\"capabilities\":null}",
		"{\"capabilities\":[]}",
		"{\"capabilities\":{\"max_msg_fds\":-1}}",
		"{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
		"{\"capabilities\":{\"max_msg_fds\":1.5}}",
		"{\"capabilities\":{\"max_msg_fds\":null}}",
		"{\"capabilities\":{\"max_data_xfer_size\":0}}",
		"{\"capabilities\":{\"max_data_xfer_size\":-4096}}",
		"{\"capabilities\":{\"max_dma_maps\":0}}",
		"{\"capabilities\":{\"pgsizes\":0}}",
		"{\"capabilities\":{\"write_multiple\":1}}",
		"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}}",
	};
	struct vfu_caps caps;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		if (parse(bad[i], &caps) != -EINVAL)
			fail_msg("%s", bad[i]);
}

static void large_numbers_are_cut(void **state)
{
	struct vfu_caps caps;

	(void)state;
	assert_int_equal(parse("{\"capabilities\":{\"max_msg_fds\":4294967296,"
			       "\"max_data_xfer_size\":99999999999999999999999999,"
			       "\"max_dma_maps\":18446744073709551615,"
			       "\"pgsizes\":18446744073709551615}}",
			       &caps),
			 0);
	assert_int_equal(caps.max_msg_fds, UINT32_MAX);
	assert_int_equal(caps.max_data_xfer_size, UINT32_MAX);
	assert_int_equal(caps.max_dma_maps, UINT32_MAX);
	assert_true(caps.pgsizes == UINT64_MAX);
	assert_int_equal(parse("{\"capabilities\":{\"max_msg_fds\":0}}", &caps), 0);
	assert_int_equal(caps.max_msg_fds, 0);
}

static void version_bodies_are_bounded(void **state)
{
	struct {
		struct vfu_version version;
		char json[VFU_MAX_JSON + 1];
	} body = { { VFU_MAJOR, 0 }, "{}" };
	struct vfu_version version;
	struct vfu_caps caps;

	(void)state;
	assert_int_equal(plx_vfu_version_parse(&body, 0, &version, &caps), -EINVAL);
	assert_int_equal(plx_vfu_version_parse(&body, 3, &version, &caps), -EINVAL);
	assert_int_equal(plx_vfu_version_parse(&body, 6, &version, &caps), -EINVAL); /* no NUL */
	assert_int_equal(plx_vfu_version_parse(&body, 7, &version, &caps), 0);
	assert_int_equal(plx_vfu_version_parse(&body, 4 + VFU_MAX_JSON, &version, &caps), 0);
	assert_int_equal(plx_vfu_version_parse(&body, 5 + VFU_MAX_JSON, &version, &caps), -EINVAL);
	body.version.major = 1;
	assert_int_equal(plx_vfu_version_parse(&body, 7, &version, &caps), -ENOTSUP);
}

/*
 * Messages over a stream.
 */
static int ends[2];
static struct vfu_rx rx;

static int open_stream(void **state)
{
	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -1;
	return plx_vfu_rx_init(&rx, ends[0]);
}

static int close_stream(void **state)
{
	(void)state;
	plx_sys = &plx_sys_kernel;
	plx_vfu_rx_fini(&rx);
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	return 0;
}

static void messages_come_as_they_were_sent(void **state)
{
	struct vfu_header header = { .id = 3, .cmd = VFU_SET_IRQS };
	const struct iovec body[] = { { (void *)"one", 3 },
				      { (void *)"", 0 },
				      { (void *)"two", 4 } };
	int fds[2] = { ends[0], ends[1] }, i;
	struct vfu_msg msg;
	char text[8];

	(void)state;
	assert_int_equal(plx_vfu_rx(&rx, &msg), 0);
	assert_int_equal(plx_vfu_send(ends[1], &header, body, 3, fds, 2, 100), 0);
	assert_int_equal(header.size, 23);
	assert_true(plx_vfu_rx(&rx, &msg) == 1);
	assert_memory_equal(&msg.header, &header, sizeof(header));
	assert_int_equal(msg.len, 7);
	assert_string_equal(msg.body, "onetwo");
	assert_int_equal(msg.nfds, 2);
	for (i = 0; i < 2; i++)
		assert_true(fcntl(msg.fds[i], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(plx_vfu_msg_get(&msg, text, 7), 0);
	assert_int_equal(plx_vfu_msg_get(&msg, text, 8), -EINVAL);
	i = msg.fds[0];
	plx_vfu_msg_done(&msg);
	assert_int_equal(fcntl(i, F_GETFD), -1);
	assert_int_equal(plx_vfu_rx(&rx, &msg), 0);
}

static void waiting_ends_in_time(void **state)
{
	struct vfu_header header = { .id = 3, .cmd = VFU_RESET, .size = sizeof(header) };
	struct vfu_msg msg;

	(void)state;
	assert_int_equal(plx_vfu_recv(&rx, &msg, 0), -ETIMEDOUT);
	assert_int_equal(plx_vfu_recv(&rx, &msg, 10), -ETIMEDOUT);
	assert_int_equal(send(ends[1], &header, 10, 0), 10);
	assert_int_equal(plx_vfu_recv(&rx, &msg, 10), -ETIMEDOUT); /* a part doesn't count */
	assert_int_equal(send(ends[1], (char *)&header + 10, 6, 0), 6);
	assert_int_equal(plx_vfu_recv(&rx, &msg, 0), 0);
	assert_int_equal(msg.header.id, 3);
}

static unsigned dripped;

/* Whoever waits finds another byte, and never a whole message. */
static int drip(struct pollfd *pfd, nfds_t n, int timeout_ms)
{
	struct vfu_header header = { .id = 3, .cmd = VFU_RESET, .size = VFU_MAX_MSG };

	(void)timeout_ms;
	assert_true(dripped < sizeof(header));
	assert_int_equal(send(ends[1], (char *)&header + dripped++, 1, 0), 1);
	return poll(pfd, n, 0);
}

static void bytes_that_trickle_in_end_in_time(void **state)
{
	static struct plx_sys sys;
	struct vfu_msg msg;

	(void)state;
	sys = plx_sys_kernel;
	sys.poll = drip;
	plx_sys = &sys;
	assert_int_equal(plx_vfu_recv(&rx, &msg, 0), -ETIMEDOUT);
	assert_int_equal(dripped, 1);
}

static void the_end_of_a_stream_is_an_error(void **state)
{
	struct vfu_header header = { .id = 3, .cmd = VFU_RESET };
	struct vfu_msg msg;

	(void)state;
	assert_int_equal(plx_vfu_send(ends[1], &header, NULL, 0, NULL, 0, 0), 0);
	assert_int_equal(send(ends[1], &header, 7, 0), 7);
	close(ends[1]);
	ends[1] = -1;
	assert_int_equal(plx_vfu_recv(&rx, &msg, 1000), 0);
	assert_int_equal(plx_vfu_recv(&rx, &msg, 1000), -ECONNRESET);
	assert_int_equal(plx_vfu_send(ends[0], &header, NULL, 0, NULL, 0, 0), -ECONNRESET);
}

static void what_is_too_large_is_not_sent(void **state)
{
	struct vfu_header header = { .id = 3, .cmd = VFU_REGION_WRITE };
	struct iovec body[4] = { { NULL, VFU_MAX_MSG } };
	int fds[VFU_MAX_FDS + 1] = { 0 };

	(void)state;
	assert_int_equal(plx_vfu_send(ends[1], &header, body, 1, NULL, 0, 0), -EMSGSIZE);
	assert_int_equal(plx_vfu_send(ends[1], &header, body, 4, NULL, 0, 0), -EINVAL);
	assert_int_equal(plx_vfu_send(ends[1], &header, NULL, 0, fds, VFU_MAX_FDS + 1, 0), -E2BIG);
}

static void *send_all(void *arg)
{
	struct vfu_header header = { .id = 4, .cmd = VFU_REGION_WRITE };
	const struct iovec body = { arg, VFU_MAX_XFER };
	int fd = ends[0];

	return (void *)(intptr_t)plx_vfu_send(ends[1], &header, &body, 1, &fd, 1, 10000);
}

static void large_messages_come_in_pieces(void **state)
{
	unsigned char *data = malloc(VFU_MAX_XFER);
	struct vfu_header header = { .id = 5, .cmd = VFU_REGION_WRITE };
	const struct iovec body = { data, VFU_MAX_XFER };
	struct vfu_msg msg;
	pthread_t sender;
	void *err;
	size_t i;

	(void)state;
	for (i = 0; i < VFU_MAX_XFER; i++)
		data[i] = i * 7 >> 3;
	assert_int_equal(pthread_create(&sender, NULL, send_all, data), 0);
	assert_int_equal(plx_vfu_recv(&rx, &msg, 10000), 0);
	pthread_join(sender, &err);
	assert_null(err);
	assert_int_equal(msg.len, VFU_MAX_XFER);
	assert_memory_equal(msg.body, data, VFU_MAX_XFER);
	assert_int_equal(msg.nfds, 1); /* once, though it was sent in pieces */
	plx_vfu_msg_done(&msg);
	/* Nobody reads: sending gives up. */
	assert_int_equal(plx_vfu_send(ends[1], &header, &body, 1, NULL, 0, 20), -ETIMEDOUT);
	free(data);
}

static void sockets_that_are_none_are_said_so(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(plx_vfu_connect(path), -ENAMETOOLONG);
	assert_int_equal(plx_vfu_connect("/nowhere/at/all"), -ENOENT);
	assert_int_equal(plx_vfu_connect("/dev/null"), -ECONNREFUSED);
}

int main(void)
{
#define STREAM(test) cmocka_unit_test_setup_teardown(test, open_stream, close_stream)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_checked),
		cmocka_unit_test(replies_are_checked),
		cmocka_unit_test(commands_are_checked),
		cmocka_unit_test(maps_are_checked),
		cmocka_unit_test(unmaps_are_checked),
		cmocka_unit_test(questions_are_checked),
		cmocka_unit_test(irq_sets_are_checked),
		cmocka_unit_test(accesses_are_checked),
		cmocka_unit_test(versions_read_back),
		cmocka_unit_test(what_is_not_said_is_the_default),
		cmocka_unit_test(json_that_can_not_be_meant_is_refused),
		cmocka_unit_test(large_numbers_are_cut),
		cmocka_unit_test(version_bodies_are_bounded),
		STREAM(messages_come_as_they_were_sent),
		STREAM(waiting_ends_in_time),
		STREAM(bytes_that_trickle_in_end_in_time),
		STREAM(the_end_of_a_stream_is_an_error),
		STREAM(what_is_too_large_is_not_sent),
		STREAM(large_messages_come_in_pieces),
		cmocka_unit_test(sockets_that_are_none_are_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
