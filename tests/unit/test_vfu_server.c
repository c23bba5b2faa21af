/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's socket and its commands that are about the device: regions, interrupts, reset. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "vfu_rig.h"

/*
 * The socket.
 */
static void the_socket_is_the_owners(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(rig.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_live_socket_is_not_taken(void **state)
{
	struct plx_vfu *second = NULL;

	(void)state;
	assert_int_equal(plx_vfu_create(&rig_desc, &rig, rig.path, &second), -EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(rig_line(), "another process listens"));
	rig_connect(); /* the first one is in good health */
	rig_hello(NULL);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct plx_vfu *first = rig.vfu;
	char other[128];

	(void)state;
	/* What a server leaves that was killed: the file, and nobody listening. */
	snprintf(other, sizeof(other), "%s.moved", rig.path);
	assert_int_equal(rename(rig.path, other), 0);
	plx_vfu_destroy(first);
	rig.vfu = NULL;
	assert_int_equal(rename(other, rig.path), 0);
	assert_int_equal(plx_vfu_create(&rig_desc, &rig, rig.path, &rig.vfu), 0);
	rig_connect();
	rig_hello(NULL);
}

static void a_socket_of_another_kind_is_left_alone(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct plx_vfu *vfu = NULL;
	struct stat st;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.dgram", rig.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(plx_vfu_create(&rig_desc, &rig, addr.sun_path, &vfu), -EADDRINUSE);
	assert_non_null(strstr(rig_line(), "another kind"));
	assert_int_equal(stat(addr.sun_path, &st), 0);
	unlink(addr.sun_path);
	close(fd);
}

static void what_is_no_socket_is_left_alone(void **state)
{
	struct plx_vfu *vfu;
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s.file", rig.path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(plx_vfu_create(&rig_desc, &rig, path, &vfu), -EADDRINUSE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(plx_vfu_create(&rig_desc, &rig, "/nowhere/socket", &vfu), -ENOENT);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(plx_vfu_create(&rig_desc, &rig, path, &vfu), -ENAMETOOLONG);
	path[sizeof(((struct sockaddr_un *)0)->sun_path)] = '\0'; /* no room for the NUL */
	assert_int_equal(plx_vfu_create(&rig_desc, &rig, path, &vfu), -ENAMETOOLONG);
	assert_int_equal(plx_vfu_connect(path), -ENAMETOOLONG);
}

static void another_servers_socket_is_not_unlinked(void **state)
{
	struct plx_vfu *second;
	struct stat st;

	(void)state;
	assert_int_equal(unlink(rig.path), 0);
	assert_int_equal(plx_vfu_create(&rig_desc, &rig, rig.path, &second), 0);
	plx_vfu_destroy(rig.vfu);
	rig.vfu = second;
	assert_int_equal(stat(rig.path, &st), 0);
}

static void descriptions_that_make_no_sense_are_refused(void **state)
{
	static const struct plx_vfio_area bad[][2] = {
		{ { 1, RIG_PAGE }, { 2 * RIG_PAGE, RIG_PAGE } },
		{ { 0, 100 }, { 2 * RIG_PAGE, RIG_PAGE } },
		{ { 0, 0 }, { 2 * RIG_PAGE, RIG_PAGE } },
		{ { 0, 2 * RIG_PAGE }, { RIG_PAGE, RIG_PAGE } },
		{ { 2 * RIG_PAGE, RIG_PAGE }, { 0, RIG_PAGE } },
		{ { 0, RIG_PAGE }, { 2 * RIG_PAGE, 2 * RIG_PAGE } },
		{ { 0, RIG_PAGE }, { UINT64_C(-4096), RIG_PAGE } },
	};
	struct plx_vfu_desc desc = rig_desc;
	struct plx_vfu *vfu;
	char path[128];
	size_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s.bad", rig.path);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		desc.region[0] = (struct plx_vfu_region){ 3 * RIG_PAGE, bad[i], 2 };
		assert_int_equal(plx_vfu_create(&desc, &rig, path, &vfu), -EINVAL);
	}
	desc = rig_desc;
	desc.irqs[RIG_MSIX] = PLX_VFU_MAX_VECTORS + 1;
	assert_int_equal(plx_vfu_create(&desc, &rig, path, &vfu), -EINVAL);
	desc.irqs[RIG_MSIX]--;
	assert_int_equal(plx_vfu_create(&desc, &rig, path, &vfu), 0);
	plx_vfu_destroy(vfu);
}

/*
 * Clients.
 */
static void a_poll_without_work_does_nothing(void **state)
{
	struct pollfd pfd = { .fd = plx_vfu_fd(rig.vfu), .events = POLLIN };

	(void)state;
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(plx_vfu_poll(rig.vfu), 0);
	rig_connect();
	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(plx_vfu_poll(rig.vfu), 1);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_false(plx_vfu_connected(rig.vfu));
	rig_hello(NULL);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(plx_vfu_poll(rig.vfu), 0);
}

static void the_second_client_waits_for_its_turn(void **state)
{
	struct pollfd pfd = { .fd = plx_vfu_fd(rig.vfu), .events = POLLIN };
	struct vfu_rx first = rig.rx;

	(void)state;
	rig_connect();
	rig_poll();
	assert_int_equal(poll(&pfd, 1, 0), 0); /* it wakes nobody */
	close(first.fd);
	plx_vfu_rx_fini(&first);
	assert_int_equal(poll(&pfd, 1, 0), 1);
	rig_poll();
	assert_int_equal(rig.gone, 1);
	rig_hello(NULL);
}

static void versions_are_agreed_on(void **state)
{
	struct {
		struct vfu_version version;
		char json[512];
	} body = { .version = { VFU_MAJOR, VFU_MINOR + 7 } }, reply;
	struct vfu_version version;
	struct vfu_caps caps;

	(void)state;
	rig_connect();
	rig_poll();
	strcpy(body.json, "{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true,"
			  "\"twin_socket\":{\"supported\":true},\"migration\":{\"pgsize\":4096}}}");
	assert_int_equal(
		rig_call(VFU_VERSION, &body, 4 + strlen(body.json) + 1, &reply, sizeof(reply)), 0);
	assert_int_equal(plx_vfu_version_parse(&reply, rig.got_len, &version, &caps), 0);
	assert_int_equal(version.minor, VFU_MINOR);
	assert_int_equal(caps.max_msg_fds, VFU_MAX_FDS);
	assert_int_equal(caps.max_data_xfer_size, VFU_MAX_XFER);
	assert_true(caps.write_multiple);
	assert_null(strstr(reply.json, "twin"));
	assert_int_equal(rig_call(VFU_VERSION, &body, 4, NULL, 0), -EINVAL); /* once */
	assert_true(plx_vfu_connected(rig.vfu));
}

static void without_a_version_there_is_no_service(void **state)
{
	static const struct {
		struct vfu_version version;
		char json[32];
		int err;
	} bad[] = {
		{ { 1, 0 }, "", -ENOTSUP },
		{ { 0, 0 }, "{", -EINVAL },
		{ { 0, 0 }, "[]", -EINVAL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig_connect();
		rig_poll();
		assert_int_equal(
			rig_call(VFU_VERSION, &bad[i], 4 + strlen(bad[i].json) + 1, NULL, 0),
			bad[i].err);
		assert_true(rig_dropped());
		assert_int_equal(rig.gone, i + 1);
		rig_hang_up();
	}
	rig_connect();
	rig_poll();
	assert_int_equal(rig_call(VFU_RESET, NULL, 0, NULL, 0), -ECONNRESET);
	assert_true(rig_dropped());
	assert_int_equal(rig.asked, 0);
}

static void old_clients_are_answered_in_their_version(void **state)
{
	const struct vfu_version old = { VFU_MAJOR, 0 };
	struct vfu_version reply;

	(void)state;
	rig_connect();
	rig_poll();
	assert_int_equal(rig_call(VFU_VERSION, &old, sizeof(old), &reply, sizeof(reply)), 0);
	assert_int_equal(reply.minor, 0);
}

static void commands_that_are_not_offered_are_refused(void **state)
{
	static const struct {
		unsigned cmd;
		size_t len;
		int err;
	} bad[] = {
		{ 0, 0, -ENOTSUP },
		{ VFU_DMA_READ, 16, -ENOTSUP },
		{ VFU_DMA_WRITE, 16, -ENOTSUP },
		{ VFU_DIRTY_PAGES, 8, -ENOTSUP },
		{ VFU_FEATURE, 8, -ENOTSUP },
		{ VFU_FEATURE, 7, -EINVAL },
		{ VFU_MIG_READ, 8, -ENOTSUP },
		{ VFU_MIG_WRITE, 8, -ENOTSUP },
		{ VFU_WRITE_MULTI, 8, -ENOTSUP }, /* not agreed on */
		{ VFU_CMDS, 0, -ENOTSUP },
		{ 0xffff, 64, -ENOTSUP },
	};
	char body[64] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rig_call(bad[i].cmd, body, bad[i].len, NULL, 0), bad[i].err);
	assert_true(plx_vfu_connected(rig.vfu));
}

static void short_bodies_are_refused(void **state)
{
	static const struct {
		unsigned cmd;
		size_t len;
	} fixed[] = {
		{ VFU_DMA_MAP, 32 },	     { VFU_DMA_UNMAP, 24 },
		{ VFU_GET_INFO, 16 },	     { VFU_GET_IRQ_INFO, 16 },
		{ VFU_GET_REGION_INFO, 32 }, { VFU_GET_REGION_IO_FDS, 16 },
		{ VFU_SET_IRQS, 20 },	     { VFU_REGION_READ, 16 },
		{ VFU_REGION_WRITE, 16 },
	};
	char body[64];
	size_t i;

	(void)state;
	memset(body, 0xff, sizeof(body));
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		assert_int_equal(rig_call(fixed[i].cmd, body, fixed[i].len - 1, NULL, 0), -EINVAL);
		assert_int_equal(rig_call(fixed[i].cmd, NULL, 0, NULL, 0), -EINVAL);
	}
}

static void descriptors_where_none_belong_are_refused(void **state)
{
	struct vfu_info info = { .argsz = sizeof(info) };
	unsigned before = rig_fds();
	int fds[VFU_MAX_FDS];
	unsigned i;

	(void)state;
	for (i = 0; i < VFU_MAX_FDS; i++)
		fds[i] = 0;
	assert_int_equal(rig_call_fds(VFU_GET_INFO, &info, sizeof(info), fds, 1, NULL, 0), -EINVAL);
	assert_int_equal(rig_call_fds(VFU_GET_INFO, &info, sizeof(info), fds, VFU_MAX_FDS, NULL, 0),
			 -EINVAL);
	assert_int_equal(rig_fds(), before);
	assert_int_equal(rig_call(VFU_GET_INFO, &info, sizeof(info), &info, sizeof(info)), 0);
	assert_int_equal(info.regions, PLX_VFU_REGIONS);
	assert_int_equal(info.irqs, PLX_VFU_IRQS);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	info.argsz = sizeof(info) - 1;
	assert_int_equal(rig_call(VFU_GET_INFO, &info, sizeof(info), NULL, 0), -EINVAL);
}

static void no_reply_means_none(void **state)
{
	struct {
		struct vfu_header header;
		struct vfu_access access;
		uint32_t value;
	} write = { { 7, VFU_REGION_WRITE, 0, VFU_F_NO_REPLY, 0 }, { 16, 0, 4 }, 0x12345678 };
	uint32_t value;

	(void)state;
	write.header.size = offsetof(typeof(write), value) + 4;
	rig_raw(&write, write.header.size, NULL, 0);
	write.access.region = 77; /* an error isn't answered either */
	rig_raw(&write, write.header.size, NULL, 0);
	assert_int_equal(rig_read(0, 16, &value, 4), 0); /* whose reply comes first */
	assert_int_equal(value, 0x12345678);
}

/*
 * Regions.
 */
static void regions_say_what_can_be_mapped(void **state)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	struct vfio_region_info_cap_sparse_mmap cap;
	struct vfio_region_sparse_mmap_area area;
	char reply[sizeof(info) + sizeof(cap) + sizeof(area)];
	uint8_t *mem;

	(void)state;
	assert_int_equal(rig_call(VFU_GET_REGION_INFO, &info, sizeof(info), &info, sizeof(info)),
			 0);
	assert_int_equal(rig.got_len, sizeof(info));
	assert_int_equal(info.argsz, sizeof(reply));
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	assert_int_equal(info.cap_offset, 0);
	assert_int_equal(rig.got_fd, -1);
	assert_int_equal(rig_call(VFU_GET_REGION_INFO, &info, sizeof(info), reply, sizeof(reply)),
			 0);
	assert_int_equal(rig.got_len, sizeof(reply));
	memcpy(&info, reply, sizeof(info));
	memcpy(&cap, reply + sizeof(info), sizeof(cap));
	memcpy(&area, reply + sizeof(info) + sizeof(cap), sizeof(area));
	assert_int_equal(info.size, 3 * RIG_PAGE);
	assert_int_equal(info.flags, 0xf);
	assert_int_equal(info.cap_offset, sizeof(info));
	assert_int_equal(cap.header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	assert_int_equal(cap.header.version, 1);
	assert_int_equal(cap.header.next, 0);
	assert_int_equal(cap.nr_areas, 1);
	assert_int_equal(area.offset, RIG_PAGE);
	assert_int_equal(area.size, RIG_PAGE);
	assert_true(rig.got_fd >= 0);

	mem = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, rig.got_fd,
		   info.offset + RIG_PAGE);
	assert_ptr_not_equal(mem, MAP_FAILED);
	mem[5] = 99;
	assert_int_equal(((uint8_t *)plx_vfu_region_mem(rig.vfu, 0))[RIG_PAGE + 5], 99);
	munmap(mem, RIG_PAGE);
	assert_int_equal(ftruncate(rig.got_fd, 0), -1); /* the server's own memory */
	assert_null(plx_vfu_region_mem(rig.vfu, RIG_CONFIG));
	assert_null(plx_vfu_region_mem(rig.vfu, PLX_VFU_REGIONS));
}

static void regions_that_are_not_there_have_no_size(void **state)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 2 };
	char value;

	(void)state;
	assert_int_equal(rig_call(VFU_GET_REGION_INFO, &info, sizeof(info), &info, sizeof(info)),
			 0);
	assert_int_equal(info.size, 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(rig_read(2, 0, &value, 1), -EINVAL);
	info.index = RIG_CONFIG;
	assert_int_equal(rig_call(VFU_GET_REGION_INFO, &info, sizeof(info), &info, sizeof(info)),
			 0);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	info.index = PLX_VFU_REGIONS;
	assert_int_equal(rig_call(VFU_GET_REGION_INFO, &info, sizeof(info), NULL, 0), -EINVAL);
	info.index = 0;
	info.argsz = sizeof(info) - 1;
	assert_int_equal(rig_call(VFU_GET_REGION_INFO, &info, sizeof(info), NULL, 0), -EINVAL);
}

static void a_client_that_takes_no_descriptors_gets_none(void **state)
{
	struct vfio_region_info info = { .argsz = 256 };

	(void)state;
	rig_connect();
	rig_hello("{\"capabilities\":{\"max_msg_fds\":0}}");
	assert_int_equal(rig_call(VFU_GET_REGION_INFO, &info, sizeof(info), &info, sizeof(info)),
			 0);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	assert_int_equal(rig.got_fd, -1);
}

static void accesses_go_to_the_model_or_to_memory(void **state)
{
	uint8_t *mem = plx_vfu_region_mem(rig.vfu, 0), *buf = malloc(3 * RIG_PAGE);
	uint32_t value = 0xcafe0001;

	(void)state;
	assert_int_equal(rig_write(0, 8, &value, 4), 0);
	assert_int_equal(rig.accesses, 1);
	assert_memory_equal(rig.bar0 + 8, &value, 4);
	assert_int_equal(rig_write(0, RIG_PAGE + 8, &value, 4), 0);
	assert_int_equal(rig.accesses, 1);
	assert_memory_equal(mem + RIG_PAGE + 8, &value, 4);
	mem[RIG_PAGE] = 7;
	assert_int_equal(rig_read(0, RIG_PAGE, buf, 1), 0);
	assert_int_equal(buf[0], 7);

	/* All of it: before, inside and behind the mappable page. */
	rig.bar0[RIG_PAGE - 1] = 1;
	rig.bar0[2 * RIG_PAGE] = 3;
	assert_int_equal(rig_read(0, 0, buf, 3 * RIG_PAGE), 0);
	assert_int_equal(rig.accesses, 3);
	assert_int_equal(buf[RIG_PAGE - 1], 1);
	assert_int_equal(buf[RIG_PAGE], 7);
	assert_int_equal(buf[2 * RIG_PAGE], 3);
	free(buf);
}

static void accesses_stay_in_their_region(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t region, count;
	} bad[] = {
		{ 0, 0, 0 },
		{ 0, PLX_VFU_REGIONS, 4 },
		{ 0, UINT32_MAX, 4 },
		{ 3 * RIG_PAGE, 0, 1 },
		{ 3 * RIG_PAGE - 3, 0, 4 },
		{ 256, RIG_CONFIG, 1 },
		{ UINT64_MAX, RIG_CONFIG, 1 },
		{ UINT64_MAX - 3, 0, 4 },
		{ 0, 0, VFU_MAX_XFER + 1 },
		{ 0, 0, UINT32_MAX },
	};
	struct {
		struct vfu_access access;
		char data[8];
	} body = { 0 };
	char value[4];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		body.access = (struct vfu_access){ bad[i].offset, bad[i].region, bad[i].count };
		assert_int_equal(rig_call(VFU_REGION_READ, &body.access, 16, NULL, 0), -EINVAL);
		assert_int_equal(rig_call(VFU_REGION_WRITE, &body, sizeof(body), NULL, 0), -EINVAL);
	}
	/* A write with less data than it says. */
	body.access = (struct vfu_access){ 0, 0, 9 };
	assert_int_equal(rig_call(VFU_REGION_WRITE, &body, sizeof(body), NULL, 0), -EINVAL);
	assert_int_equal(rig.accesses, 0);
	assert_int_equal(rig_read(RIG_CONFIG, 252, value, 4), 0);
}

static void a_models_refusal_is_the_answer(void **state)
{
	uint32_t value = 5;

	(void)state;
	rig.refuse = -EIO;
	assert_int_equal(rig_read(0, 0, &value, 4), -EIO);
	assert_int_equal(rig_write(0, 0, &value, 4), -EIO);
	rig.refuse = 0;
	assert_int_equal(rig_read(0, 0, &value, 4), 0);
	assert_int_equal(value, 0);
}

static void region_io_fds_are_an_empty_list(void **state)
{
	struct vfu_io_fds req = { .argsz = 512, .index = 0 }, reply;

	(void)state;
	assert_int_equal(rig_call(VFU_GET_REGION_IO_FDS, &req, sizeof(req), &reply, sizeof(reply)),
			 0);
	assert_int_equal(rig.got_len, sizeof(reply));
	assert_int_equal(reply.argsz, sizeof(reply));
	assert_int_equal(reply.count, 0);
	req.count = 1;
	assert_int_equal(rig_call(VFU_GET_REGION_IO_FDS, &req, sizeof(req), NULL, 0), -EINVAL);
	req = (struct vfu_io_fds){ .argsz = 16, .flags = 1 };
	assert_int_equal(rig_call(VFU_GET_REGION_IO_FDS, &req, sizeof(req), NULL, 0), -EINVAL);
	req = (struct vfu_io_fds){ .argsz = 15 };
	assert_int_equal(rig_call(VFU_GET_REGION_IO_FDS, &req, sizeof(req), NULL, 0), -EINVAL);
	req = (struct vfu_io_fds){ .argsz = 16, .index = PLX_VFU_REGIONS };
	assert_int_equal(rig_call(VFU_GET_REGION_IO_FDS, &req, sizeof(req), NULL, 0), -EINVAL);
	req.index = 2;
	assert_int_equal(rig_call(VFU_GET_REGION_IO_FDS, &req, sizeof(req), NULL, 0), -EINVAL);
}

static void many_writes_come_in_one_message(void **state)
{
	struct {
		uint64_t count;
		struct vfu_write write[3];
	} body = {
		3,
		{
			{ 0, 0, 4, { 1, 2, 3, 4 } },
			{ RIG_PAGE, 0, 8, { 5, 6, 7, 8, 9, 10, 11, 12 } },
			{ 255, RIG_CONFIG, 1, { 13 } },
		},
	};
	uint64_t done;

	(void)state;
	rig_connect();
	rig_hello("{\"capabilities\":{\"write_multiple\":true}}");
	assert_int_equal(rig_call(VFU_WRITE_MULTI, &body, sizeof(body), &done, 8), 0);
	assert_int_equal(done, 3);
	assert_int_equal(rig.bar0[3], 4);
	assert_int_equal(((uint8_t *)plx_vfu_region_mem(rig.vfu, 0))[RIG_PAGE + 7], 12);
	assert_int_equal(rig.config[255], 13);

	body.write[1].count = 9; /* the first is done, the third isn't */
	body.write[2].data[0] = 99;
	assert_int_equal(rig_call(VFU_WRITE_MULTI, &body, sizeof(body), &done, 8), 0);
	assert_int_equal(done, 1);
	assert_int_equal(rig.config[255], 13);
	body.write[0].region = PLX_VFU_REGIONS;
	assert_int_equal(rig_call(VFU_WRITE_MULTI, &body, sizeof(body), NULL, 0), -EINVAL);
	body.write[0].region = 0; /* nothing wrong but the number */
	body.count = 4;
	assert_int_equal(rig_call(VFU_WRITE_MULTI, &body, sizeof(body), NULL, 0), -EINVAL);
	body.count = UINT64_MAX / sizeof(struct vfu_write) + 2;
	assert_int_equal(rig_call(VFU_WRITE_MULTI, &body, sizeof(body), NULL, 0), -EINVAL);
	body.count = 0;
	assert_int_equal(rig_call(VFU_WRITE_MULTI, &body, 8, &done, 8), 0);
	assert_int_equal(done, 0);
	assert_int_equal(rig_call(VFU_WRITE_MULTI, &body, 7, NULL, 0), -EINVAL);
}

static void reset_reaches_the_model(void **state)
{
	(void)state;
	assert_int_equal(rig_call(VFU_RESET, NULL, 0, NULL, 0), 0);
	assert_int_equal(rig.asked, 1);
	assert_int_equal(rig.gone, 0);
	rig_hang_up();
	rig_poll();
	assert_int_equal(rig.gone, 1);
}

static void the_next_client_sees_nothing_of_the_last(void **state)
{
	struct vfio_region_info info = { .argsz = 256 };
	uint8_t *mem = plx_vfu_region_mem(rig.vfu, 0), *old, value = 1;

	(void)state;
	assert_int_equal(rig_call(VFU_GET_REGION_INFO, &info, sizeof(info), NULL, 0), 0);
	old = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, rig.got_fd, RIG_PAGE);
	assert_ptr_not_equal(old, MAP_FAILED);
	old[0] = 55;
	assert_int_equal(mem[RIG_PAGE], 55);
	rig_hang_up();
	rig_poll();
	assert_ptr_equal(plx_vfu_region_mem(rig.vfu, 0), mem);
	rig_connect();
	rig_hello(NULL);
	old[0] = 66;
	assert_int_equal(rig_read(0, RIG_PAGE, &value, 1), 0);
	assert_int_equal(value, 0);
	munmap(old, RIG_PAGE);
}

/*
 * Interrupts.
 */
static int set_irqs(uint32_t flags, uint32_t index, uint32_t start, uint32_t count, const int *fds,
		    unsigned nfds)
{
	const struct vfio_irq_set set = { sizeof(set), flags, index, start, count };

	return rig_call_fds(VFU_SET_IRQS, &set, sizeof(set), fds, nfds, NULL, 0);
}

static int set_bools(uint32_t action, uint32_t index, uint32_t start, uint32_t count,
		     const char *bools, size_t len)
{
	const struct vfio_irq_set set = { sizeof(set) + len, VFIO_IRQ_SET_DATA_BOOL | action, index,
					  start, count };
	char body[sizeof(set) + 8];

	memcpy(body, &set, sizeof(set));
	memcpy(body + sizeof(set), bools, len);
	return rig_call(VFU_SET_IRQS, body, sizeof(set) + len, NULL, 0);
}

#define EVENTFDS (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define FIRE	 (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define MASK	 (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK)
#define UNMASK	 (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK)

/* How often an eventfd was raised since last time. */
static unsigned raised(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void irqs_say_what_they_are(void **state)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = RIG_MSIX };

	(void)state;
	assert_int_equal(rig_call(VFU_GET_IRQ_INFO, &info, sizeof(info), &info, sizeof(info)), 0);
	assert_int_equal(info.count, 4);
	assert_int_equal(info.flags, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE);
	info.index = RIG_INTX;
	assert_int_equal(rig_call(VFU_GET_IRQ_INFO, &info, sizeof(info), &info, sizeof(info)), 0);
	assert_int_equal(info.count, 1);
	assert_true(info.flags & VFIO_IRQ_INFO_AUTOMASKED);
	info.index = 1;
	assert_int_equal(rig_call(VFU_GET_IRQ_INFO, &info, sizeof(info), &info, sizeof(info)), 0);
	assert_int_equal(info.count, 0);
	info.index = PLX_VFU_IRQS;
	assert_int_equal(rig_call(VFU_GET_IRQ_INFO, &info, sizeof(info), NULL, 0), -EINVAL);
	info.index = 0;
	info.argsz = 15;
	assert_int_equal(rig_call(VFU_GET_IRQ_INFO, &info, sizeof(info), NULL, 0), -EINVAL);
}

static void vectors_are_connected_raised_and_let_go(void **state)
{
	unsigned before = rig_fds(), i;
	int fds[4];

	(void)state;
	plx_vfu_irq(rig.vfu, RIG_MSIX, 0); /* not connected: nothing happens */
	for (i = 0; i < 4; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(set_irqs(EVENTFDS, RIG_MSIX, 0, 4, fds, 4), 0);
	for (i = 0; i < 4; i++) {
		assert_true(plx_vfu_irq_armed(rig.vfu, RIG_MSIX, i));
	}
	assert_false(plx_vfu_irq_armed(rig.vfu, RIG_MSIX, 4));
	assert_false(plx_vfu_irq_armed(rig.vfu, PLX_VFU_IRQS, 0));
	plx_vfu_irq(rig.vfu, RIG_MSIX, 2);
	plx_vfu_irq(rig.vfu, RIG_MSIX, 2);
	plx_vfu_irq(rig.vfu, RIG_MSIX, 4);
	plx_vfu_irq(rig.vfu, PLX_VFU_IRQS, 0);
	assert_int_equal(raised(fds[2]), 2);
	assert_int_equal(raised(fds[0]) + raised(fds[1]) + raised(fds[3]), 0);

	assert_int_equal(set_irqs(FIRE, RIG_MSIX, 1, 2, NULL, 0), 0);
	assert_int_equal(raised(fds[1]), 1);
	assert_int_equal(raised(fds[2]), 1);
	assert_int_equal(raised(fds[3]), 0);
	assert_int_equal(set_bools(VFIO_IRQ_SET_ACTION_TRIGGER, RIG_MSIX, 0, 3, "\1\0\1", 3), 0);
	assert_int_equal(raised(fds[0]), 1);
	assert_int_equal(raised(fds[1]), 0);
	assert_int_equal(raised(fds[2]), 1);

	assert_int_equal(set_irqs(EVENTFDS, RIG_MSIX, 1, 2, NULL, 0), 0);
	assert_true(plx_vfu_irq_armed(rig.vfu, RIG_MSIX, 0));
	assert_false(plx_vfu_irq_armed(rig.vfu, RIG_MSIX, 1));
	assert_false(plx_vfu_irq_armed(rig.vfu, RIG_MSIX, 2));
	assert_int_equal(set_irqs(FIRE, RIG_MSIX, 0, 0, NULL, 0), 0); /* all off */
	assert_false(plx_vfu_irq_armed(rig.vfu, RIG_MSIX, 0));
	for (i = 0; i < 4; i++)
		close(fds[i]);
	assert_int_equal(rig_fds(), before);
}

static void masked_vectors_wait(void **state)
{
	int fds[2] = { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		       eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	(void)state;
	assert_int_equal(set_irqs(EVENTFDS, RIG_MSIX, 0, 2, fds, 2), 0);
	assert_int_equal(set_irqs(MASK, RIG_MSIX, 0, 2, NULL, 0), 0);
	assert_false(plx_vfu_irq_armed(rig.vfu, RIG_MSIX, 0));
	plx_vfu_irq(rig.vfu, RIG_MSIX, 0);
	plx_vfu_irq(rig.vfu, RIG_MSIX, 0);
	assert_int_equal(raised(fds[0]), 0);
	assert_int_equal(set_bools(VFIO_IRQ_SET_ACTION_UNMASK, RIG_MSIX, 0, 2, "\1\0", 2), 0);
	assert_int_equal(raised(fds[0]), 1);
	plx_vfu_irq(rig.vfu, RIG_MSIX, 1);
	assert_int_equal(raised(fds[1]), 0);
	assert_int_equal(rig_call(VFU_RESET, NULL, 0, NULL, 0),
			 0); /* forgets masks and what waits */
	assert_int_equal(raised(fds[1]), 0);
	plx_vfu_irq(rig.vfu, RIG_MSIX, 1);
	assert_int_equal(raised(fds[1]), 1);
	close(fds[0]);
	close(fds[1]);
}

static void intx_masks_itself(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	assert_int_equal(set_irqs(EVENTFDS, RIG_INTX, 0, 1, &fd, 1), 0);
	plx_vfu_irq(rig.vfu, RIG_INTX, 0);
	assert_false(plx_vfu_irq_armed(rig.vfu, RIG_INTX, 0));
	plx_vfu_irq(rig.vfu, RIG_INTX, 0);
	plx_vfu_irq(rig.vfu, RIG_INTX, 0);
	assert_int_equal(raised(fd), 1);
	assert_int_equal(set_irqs(UNMASK, RIG_INTX, 0, 1, NULL, 0), 0);
	assert_int_equal(raised(fd), 1);
	assert_int_equal(set_irqs(UNMASK, RIG_INTX, 0, 1, NULL, 0), 0);
	assert_int_equal(raised(fd), 0);
	assert_true(plx_vfu_irq_armed(rig.vfu, RIG_INTX, 0));
	close(fd);
}

static void only_eventfds_are_connected(void **state)
{
	int fds[2] = { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) }, pipes[2],
	    old = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	unsigned before;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(set_irqs(EVENTFDS, RIG_MSIX, 0, 1, &old, 1), 0);
	before = rig_fds();
	fds[1] = pipes[1];
	assert_int_equal(set_irqs(EVENTFDS, RIG_MSIX, 0, 2, fds, 2), -EINVAL);
	fds[1] = rig_file(RIG_PAGE);
	assert_int_equal(set_irqs(EVENTFDS, RIG_MSIX, 0, 2, fds, 2), -EINVAL);
	close(fds[1]);
	assert_int_equal(rig_fds(), before);
	plx_vfu_irq(rig.vfu, RIG_MSIX, 0); /* what was connected is, still */
	assert_int_equal(raised(old), 1);
	assert_int_equal(raised(fds[0]), 0);
	close(pipes[0]);
	close(pipes[1]);
	close(fds[0]);
	close(old);
}

static void irq_sets_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		uint32_t flags, index, start, count;
		unsigned nfds;
	} bad[] = {
		{ FIRE, PLX_VFU_IRQS, 0, 1, 0 },
		{ FIRE, 1, 0, 1, 0 }, /* no such vectors */
		{ FIRE, RIG_MSIX, 0, 5, 0 },
		{ FIRE, RIG_MSIX, 4, 1, 0 },
		{ FIRE, RIG_MSIX, 1, UINT32_MAX, 0 },
		{ FIRE, RIG_MSIX, UINT32_MAX, 2, 0 },
		{ FIRE, RIG_MSIX, 1, 0, 0 },
		{ MASK, RIG_MSIX, 0, 0, 0 },
		{ EVENTFDS, RIG_MSIX, 0, 0, 0 },
		{ EVENTFDS, RIG_MSIX, 0, 1, 2 },
		{ EVENTFDS, RIG_MSIX, 0, 2, 1 },
		{ FIRE, RIG_MSIX, 0, 1, 1 },
		{ VFIO_IRQ_SET_DATA_NONE, RIG_MSIX, 0, 1, 0 },
		{ VFIO_IRQ_SET_ACTION_TRIGGER, RIG_MSIX, 0, 1, 0 },
		{ FIRE | VFIO_IRQ_SET_ACTION_MASK, RIG_MSIX, 0, 1, 0 },
		{ FIRE | VFIO_IRQ_SET_DATA_BOOL, RIG_MSIX, 0, 1, 0 },
		{ FIRE | 0x40, RIG_MSIX, 0, 1, 0 },
	};
	const struct vfio_irq_set small = { 19, FIRE, RIG_MSIX, 0, 1 };
	int fds[2] = { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		       eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	unsigned before = rig_fds();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(set_irqs(bad[i].flags, bad[i].index, bad[i].start, bad[i].count,
					  fds, bad[i].nfds),
				 -EINVAL);
	assert_int_equal(rig_call(VFU_SET_IRQS, &small, sizeof(small), NULL, 0), -EINVAL);
	assert_int_equal(set_bools(VFIO_IRQ_SET_ACTION_TRIGGER, RIG_MSIX, 0, 3, "\1\1", 2),
			 -EINVAL);
	/* To be told of masking isn't offered. */
	assert_int_equal(set_irqs(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, RIG_INTX,
				  0, 1, fds, 1),
			 -ENOTSUP);
	assert_int_equal(rig_fds(), before);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
#define LISTENING(test) cmocka_unit_test_setup_teardown(test, rig_listen, rig_stop)
#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, rig_start, rig_stop)
	const struct CMUnitTest tests[] = {
		LISTENING(the_socket_is_the_owners),
		LISTENING(a_live_socket_is_not_taken),
		LISTENING(a_stale_socket_is_replaced),
		LISTENING(a_socket_of_another_kind_is_left_alone),
		LISTENING(what_is_no_socket_is_left_alone),
		LISTENING(another_servers_socket_is_not_unlinked),
		LISTENING(descriptions_that_make_no_sense_are_refused),
		LISTENING(a_poll_without_work_does_nothing),
		CONNECTED(the_second_client_waits_for_its_turn),
		LISTENING(versions_are_agreed_on),
		LISTENING(without_a_version_there_is_no_service),
		LISTENING(old_clients_are_answered_in_their_version),
		CONNECTED(commands_that_are_not_offered_are_refused),
		CONNECTED(short_bodies_are_refused),
		CONNECTED(descriptors_where_none_belong_are_refused),
		CONNECTED(no_reply_means_none),
		CONNECTED(regions_say_what_can_be_mapped),
		CONNECTED(regions_that_are_not_there_have_no_size),
		LISTENING(a_client_that_takes_no_descriptors_gets_none),
		CONNECTED(accesses_go_to_the_model_or_to_memory),
		CONNECTED(accesses_stay_in_their_region),
		CONNECTED(a_models_refusal_is_the_answer),
		CONNECTED(region_io_fds_are_an_empty_list),
		LISTENING(many_writes_come_in_one_message),
		CONNECTED(reset_reaches_the_model),
		CONNECTED(the_next_client_sees_nothing_of_the_last),
		CONNECTED(irqs_say_what_they_are),
		CONNECTED(vectors_are_connected_raised_and_let_go),
		CONNECTED(masked_vectors_wait),
		CONNECTED(intx_masks_itself),
		CONNECTED(only_eventfds_are_connected),
		CONNECTED(irq_sets_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
