/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that don't keep to the rules, die, or are slow; and a kernel that has nothing left. The
 * server waits for nobody, leaks nothing and serves the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "fail_nth.h"
#include "vfu_rig.h"

struct read_request {
	struct vfu_header header;
	struct vfu_access access;
};

static const struct read_request read4 = {
	{ 9, VFU_REGION_READ, sizeof(read4), VFU_F_COMMAND, 0 },
	{ 0, 0, 4 },
};

/* Takes the reply to read4. */
static void expect_read4(void)
{
	struct vfu_msg msg;

	assert_int_equal(plx_vfu_recv(&rig.rx, &msg, 0), 0);
	assert_int_equal(msg.header.id, 9);
	assert_int_equal(msg.header.flags, VFU_F_REPLY);
	assert_int_equal(msg.len, sizeof(struct vfu_access) + 4);
}

static void expect_nothing(void)
{
	struct vfu_msg msg;

	assert_int_equal(plx_vfu_rx(&rig.rx, &msg), 0);
}

/* Somebody else, after whatever happened. */
static void expect_service(void)
{
	uint32_t value;

	rig_hang_up();
	rig_connect();
	rig_hello(NULL);
	assert_int_equal(rig_read(0, 0, &value, 4), 0);
}

static void half_a_message_blocks_nobody(void **state)
{
	const char *bytes = (const char *)&read4;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(read4) - 1; i++) {
		rig_raw(bytes + i, 1, NULL, 0);
		rig_poll();
		expect_nothing();
	}
	rig_raw(bytes + i, 1, NULL, 0);
	rig_poll();
	expect_read4();
	assert_int_equal(rig.accesses, 1);
	rig_raw(bytes, 20, NULL, 0); /* and never the rest */
	rig_poll();
	rig_hang_up();
	rig_poll();
	assert_int_equal(rig.gone, 1);
	expect_service();
}

static void many_messages_come_at_once(void **state)
{
	struct pollfd pfd = { .fd = plx_vfu_fd(rig.vfu), .events = POLLIN };
	struct read_request many[200];
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++)
		many[i] = read4;
	rig_raw(many, sizeof(many), NULL, 0);
	assert_int_equal(plx_vfu_poll(rig.vfu), 64); /* a bounded number */
	assert_int_equal(poll(&pfd, 1, 0), 1);
	rig_poll();
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(rig.accesses, 200);
	for (i = 0; i < 200; i++)
		expect_read4();
	expect_nothing();
}

static void headers_that_lie_end_the_connection(void **state)
{
	static const struct vfu_header bad[] = {
		{ 1, VFU_RESET, 15, VFU_F_COMMAND, 0 },
		{ 1, VFU_RESET, 0, VFU_F_COMMAND, 0 },
		{ 1, VFU_RESET, VFU_MAX_MSG + 1, VFU_F_COMMAND, 0 },
		{ 1, VFU_RESET, UINT32_MAX, VFU_F_COMMAND, 0 },
		{ 1, VFU_RESET, 16, 2, 0 },
		{ 1, VFU_RESET, 16, VFU_F_REPLY, 0 }, /* to what? */
		{ 1, VFU_RESET, 16, VFU_F_REPLY | VFU_F_ERROR, EIO },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig_raw(&bad[i], sizeof(bad[i]), NULL, 0);
		rig_poll();
		assert_true(rig_dropped());
		assert_int_equal(rig.gone, i + 1);
		expect_service();
	}
	assert_int_equal(rig.asked, 0);
}

static void the_largest_message_is_taken(void **state)
{
	size_t size = 16 + 16 + VFU_MAX_XFER, at = 0;
	struct vfu_access access = { 0, RIG_CONFIG, VFU_MAX_XFER };
	struct vfu_header header = { 3, VFU_REGION_WRITE, size, VFU_F_COMMAND, 0 };
	char *big = calloc(1, size);
	struct vfu_msg msg;

	(void)state;
	memcpy(big, &header, sizeof(header));
	memcpy(big + sizeof(header), &access, sizeof(access));
	while (at < size) {
		const struct iovec iov = { big + at, size - at };
		ssize_t sent = plx_vfu_tx(rig.rx.fd, &iov, 1, NULL, 0);

		assert_true(sent >= 0);
		at += sent;
		rig_poll();
	}
	assert_int_equal(plx_vfu_recv(&rig.rx, &msg, 0), 0);
	assert_int_equal(msg.header.err, EINVAL); /* config space is smaller */
	assert_true(plx_vfu_connected(rig.vfu));
	free(big);
}

/*
 * Descriptors.
 */
static ssize_t send_fds(const void *data, size_t len, int fd, unsigned count)
{
	union {
		struct cmsghdr cmsg;
		char space[CMSG_SPACE(253 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
	unsigned i;

	msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
	control.cmsg = (struct cmsghdr){ CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	for (i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.cmsg) + i * sizeof(int), &fd, sizeof(int));
	return sendmsg(rig.rx.fd, &msg, MSG_NOSIGNAL);
}

static void raw_fds(const void *data, size_t len, int fd, unsigned count)
{
	assert_int_equal(send_fds(data, len, fd, count), len);
}

static void a_flood_of_descriptors_ends_the_connection(void **state)
{
	static const unsigned counts[] = { VFU_MAX_FDS + 1, 64, 253 };
	unsigned before = rig_fds();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		raw_fds(&read4, sizeof(read4), 0, counts[i]);
		rig_poll();
		assert_true(rig_dropped());
		expect_service();
		assert_int_equal(rig_fds(), before);
	}
}

static void descriptors_with_each_byte_end_the_connection(void **state)
{
	unsigned before = rig_fds(), i;

	(void)state;
	for (i = 0; i < 20 && plx_vfu_connected(rig.vfu); i++) {
		raw_fds((const char *)&read4 + i, 1, 0, 1);
		rig_poll();
	}
	assert_int_equal(i, VFU_MAX_FDS + 1);
	assert_true(rig_dropped());
	expect_service();
	assert_int_equal(rig_fds(), before);
}

/* A process that may open no more gets none of the client's. */
static void without_room_for_descriptors_the_client_goes(void **state)
{
	const struct vfu_dma_map map = { 32, VFU_MAP_READ, 0, 0, RIG_PAGE };
	struct {
		struct vfu_header header;
		struct vfu_dma_map map;
	} request = { { 1, VFU_DMA_MAP, 48, VFU_F_COMMAND, 0 }, map };
	struct rlimit limit, none;
	int file = rig_file(RIG_PAGE);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	raw_fds(&request, sizeof(request), file, 1);
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(plx_vfu_poll(rig.vfu), 1);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_true(rig_dropped());
	expect_service();
	close(file);
}

/* Nor is that the end of the server: who connects then is turned away, which is said once. */
static void without_room_for_a_client_it_is_turned_away(void **state)
{
	struct rlimit limit, full;
	unsigned before;
	int i, next;

	(void)state;
	rig_hang_up();
	rig_poll();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	full = limit;
	before = rig_lines(PLX_LOG_WARN);
	for (i = 0; i < 3; i++) {
		rig_connect();
		next = open("/dev/null", O_RDONLY);
		close(next);
		full.rlim_cur = next;
		setrlimit(RLIMIT_NOFILE, &full);
		assert_int_equal(plx_vfu_poll(rig.vfu), 0);
		setrlimit(RLIMIT_NOFILE, &limit);
		assert_true(rig_dropped());
		rig_hang_up();
	}
	assert_int_equal(rig_lines(PLX_LOG_WARN), before + 1);
	expect_service();
}

static void descriptors_go_with_their_message(void **state)
{
	const struct vfu_dma_map map = { 32, VFU_MAP_READ, 0, 0x10000, RIG_PAGE };
	struct {
		struct vfu_header header;
		struct vfu_dma_map map;
	} request = { { 1, VFU_DMA_MAP, 48, VFU_F_COMMAND, 0 }, map };
	struct vfu_msg msg;
	int file = rig_file(RIG_PAGE);

	(void)state;
	/* With the header, behind another message, before a third one; the body comes by itself. */
	rig_raw(&read4, sizeof(read4), NULL, 0);
	raw_fds(&request, sizeof(request.header), file, 1);
	rig_raw(&request.map, sizeof(map), NULL, 0);
	rig_raw(&read4, sizeof(read4), NULL, 0);
	rig_poll();
	expect_read4();
	assert_int_equal(plx_vfu_recv(&rig.rx, &msg, 0), 0);
	assert_int_equal(msg.header.id, 1);
	assert_int_equal(msg.header.err, 0);
	expect_read4();
	assert_int_equal(*(uint8_t *)plx_vfu_dma(rig.vfu, 0x10000, 1, 0), 1);

	/* With a byte of the body. */
	request.map.addr = 0x20000;
	rig_raw(&request, 20, NULL, 0);
	rig_poll();
	raw_fds((char *)&request + 20, sizeof(request) - 20, file, 1);
	rig_poll();
	assert_int_equal(plx_vfu_recv(&rig.rx, &msg, 0), 0);
	assert_int_equal(msg.header.err, 0);
	assert_non_null(plx_vfu_dma(rig.vfu, 0x20000, 1, 0));

	/* A message that has them, and is never finished. */
	raw_fds(&request, 30, file, 1);
	rig_poll();
	close(file);
}

/*
 * Clients that don't read, and clients that die.
 */
static void a_client_that_does_not_read_stops_only_itself(void **state)
{
	struct pollfd pfd = { .fd = plx_vfu_fd(rig.vfu), .events = POLLIN };
	struct read_request big = read4;
	unsigned sent = 0, got = 0;
	struct vfu_msg msg;

	(void)state;
	big.access.region = 1;
	big.access.count = 2 * RIG_PAGE;
	memset(plx_vfu_region_mem(rig.vfu, 1), 0x5a, 2 * RIG_PAGE);
	for (;;) {
		const struct iovec iov = { &big, sizeof(big) };
		ssize_t n = plx_vfu_tx(rig.rx.fd, &iov, 1, NULL, 0);

		if (n != sizeof(big))
			break;
		sent++;
		rig_poll();
		if (sent > 1000)
			break;
	}
	rig_poll();
	assert_int_equal(poll(&pfd, 1, 0), 0); /* nothing to do until it reads */
	assert_int_equal(plx_vfu_poll(rig.vfu), 0);
	assert_true(plx_vfu_connected(rig.vfu));
	while (got < sent && plx_vfu_recv(&rig.rx, &msg, 0) == 0) {
		assert_int_equal(msg.header.size, 16 + 16 + 2 * RIG_PAGE);
		assert_int_equal(((const uint8_t *)msg.body)[16 + 2 * RIG_PAGE - 1], 0x5a);
		got++;
		rig_poll();
	}
	assert_int_equal(got, sent);
	assert_true(got > 20);
}

static void a_client_that_goes_while_a_reply_is_stuck_is_gone(void **state)
{
	struct read_request big = read4;
	unsigned i;

	(void)state;
	big.access.region = 1;
	big.access.count = 2 * RIG_PAGE;
	for (i = 0; i < 200; i++) {
		const struct iovec iov = { &big, sizeof(big) };

		if (plx_vfu_tx(rig.rx.fd, &iov, 1, NULL, 0) != sizeof(big))
			break;
		rig_poll();
	}
	rig_hang_up();
	rig_poll();
	assert_int_equal(rig.gone, 1);
	expect_service();
}

/* Coming and going isn't told, and leaves room for what is; that has a limit. */
static void clients_cannot_flood_the_log(void **state)
{
	const uint64_t garbage[2] = { 0 };
	unsigned i;

	(void)state;
	for (i = 0; i < 300; i++) {
		rig_hang_up();
		rig_connect();
		rig_hello(NULL);
	}
	assert_int_equal(rig.gone, 300);
	assert_int_equal(rig_lines(PLX_LOG_INFO), 0);
	rig_raw(garbage, sizeof(garbage), NULL, 0);
	rig_poll();
	assert_true(rig_dropped());
	assert_int_equal(rig_lines(PLX_LOG_INFO), 1);
	assert_non_null(strstr(rig_line(), "client dropped"));
	for (i = 0; i < 300; i++) {
		rig_hang_up();
		rig_connect();
		rig_raw(garbage, sizeof(garbage), NULL, 0);
		rig_poll();
		assert_true(rig_dropped());
	}
	assert_true(rig_lines(PLX_LOG_INFO) < 100);
	assert_non_null(strstr(rig_line(), "left out"));
}

/* The client has the eventfd's flags in its hand, and says when its counter is full. */
static void a_full_eventfd_stops_nobody(void **state)
{
	struct vfio_irq_set set = { 20, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				    RIG_MSIX, 0, 1 };
	uint64_t count = UINT64_MAX - 1;
	int fd = eventfd(0, 0), flags, i;

	(void)state;
	assert_int_equal(rig_call_fds(VFU_SET_IRQS, &set, sizeof(set), &fd, 1, NULL, 0), 0);
	flags = fcntl(fd, F_GETFL);
	assert_int_equal(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
	assert_int_equal(write(fd, &count, sizeof(count)), sizeof(count));
	set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	alarm(20); /* rather than for ever */
	assert_int_equal(rig_call(VFU_SET_IRQS, &set, sizeof(set), NULL, 0), 0);
	plx_vfu_irq(rig.vfu, RIG_MSIX, 0);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_true(count == UINT64_MAX);
	/* More of them than the kernel keeps account of at a time. */
	for (i = 0; i < 5000; i++)
		plx_vfu_irq(rig.vfu, RIG_MSIX, 0);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	alarm(0);
	assert_int_equal(count, 5000);
	assert_true(plx_vfu_connected(rig.vfu));
	close(fd);
}

/* What a client does over and over until it is killed. */
static void run_client(unsigned seed)
{
	uint64_t at = 0;

	for (;;) {
		const struct vfu_dma_map map = { 32, VFU_MAP_READ | VFU_MAP_WRITE, 0, at,
						 RIG_PAGE };
		const struct vfio_irq_set set = {
			20, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, RIG_MSIX, 0, 4
		};
		struct vfu_header header = { .cmd = VFU_DMA_MAP, .flags = VFU_F_NO_REPLY };
		struct iovec body = { (void *)&map, sizeof(map) };
		int fds[4] = { memfd_create("client", 0), eventfd(0, 0), eventfd(0, 0),
			       eventfd(0, 0) };

		if (ftruncate(fds[0], RIG_PAGE))
			_exit(1);
		if (plx_vfu_send(rig.rx.fd, &header, &body, 1, fds, 1, 1000))
			_exit(1);
		close(fds[0]);
		fds[0] = eventfd(0, 0);
		header.cmd = VFU_SET_IRQS;
		body = (struct iovec){ (void *)&set, sizeof(set) };
		if (plx_vfu_send(rig.rx.fd, &header, &body, 1, fds, 4, 1000))
			_exit(1);
		while (seed % 3 && seed-- > 100)
			;
		close(fds[0]);
		close(fds[1]);
		close(fds[2]);
		close(fds[3]);
		at += RIG_PAGE;
	}
}

static void killed_clients_leave_nothing(void **state)
{
	unsigned before, i;

	(void)state;
	rig_hang_up();
	rig_poll();
	before = rig_fds();
	for (i = 0; i < 30; i++) {
		int handled = 0, got, status;
		pid_t child;

		rig_connect();
		rig_hello(NULL);
		child = fork();
		if (!child)
			run_client(i);
		rig_hang_up(); /* the child has it */
		while (handled < 2 + (int)i * 7) {
			got = plx_vfu_poll(rig.vfu);
			assert_true(got >= 0);
			handled += got;
		}
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		while (plx_vfu_connected(rig.vfu))
			assert_true(plx_vfu_poll(rig.vfu) >= 0);
		assert_int_equal(rig.gone, i + 2);
		assert_int_equal(rig_fds(), before);
		assert_null(plx_vfu_dma(rig.vfu, 0, 1, 0));
	}
}

/*
 * A kernel that has nothing left. The client speaks to it directly, the server through the seam.
 */
static struct {
	int allocs, maps;
	unsigned fds;
} left;

static void *counting_alloc(size_t len)
{
	left.allocs++;
	return plx_sys_kernel.alloc(len);
}

static void counting_free(void *ptr)
{
	left.allocs -= ptr != NULL;
	plx_sys_kernel.free(ptr);
}

static void *counting_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	void *va = plx_sys_kernel.mmap(addr, len, prot, flags, fd, offset);

	left.maps += va != MAP_FAILED && !(flags & MAP_FIXED);
	return va;
}

static int counting_munmap(void *addr, size_t len)
{
	left.maps--;
	return plx_sys_kernel.munmap(addr, len);
}

static int nothing_left(void)
{
	int leaks = left.allocs + left.maps + (int)(rig_fds() - left.fds);

	if (leaks)
		fprintf(stderr, "# %d allocations, %d maps, %d descriptors\n", left.allocs,
			left.maps, (int)(rig_fds() - left.fds));
	left.allocs = left.maps = 0;
	left.fds = rig_fds();
	return leaks;
}

static int raw_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, rig.path);
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

/* One request; its reply is read away. 0, the reply's errno, or that the server dropped us. */
static int raw_call(int client, unsigned cmd, const void *body, size_t len, const int *fds,
		    unsigned nfds, int *server)
{
	struct {
		struct vfu_header header;
		char body[256];
	} msg = { { 1, cmd, sizeof(msg.header) + len, VFU_F_COMMAND, 0 }, "" }, reply;
	char control[CMSG_SPACE(8 * sizeof(int))];
	struct iovec iov = { &reply, sizeof(reply) };
	struct msghdr in = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 1
	};
	int tries;

	memcpy(msg.body, body, len);
	rig.rx.fd = client;
	if (nfds ? send_fds(&msg, msg.header.size, fds[0], nfds) < 0
		 : send(client, &msg, msg.header.size, MSG_NOSIGNAL) < 0)
		return -errno;
	for (tries = 0; tries < 4; tries++) {
		int got = plx_vfu_poll(rig.vfu);

		if (got < 0)
			*server = got;
	}
	in.msg_controllen = 0; /* no room: the kernel closes what comes */
	if (recvmsg(client, &in, MSG_DONTWAIT) < (ssize_t)sizeof(reply.header))
		return -EPIPE;
	return -(int)reply.header.err;
}

static int session(int client)
{
	const struct vfu_version version = { VFU_MAJOR, VFU_MINOR };
	const struct vfu_dma_map map = { 32, VFU_MAP_READ, 0, 0x10000, RIG_PAGE };
	const struct vfu_dma_unmap unmap = { 24, 0, 0x10000, RIG_PAGE };
	const struct vfio_region_info info = { .argsz = 256 };
	const struct vfio_irq_set set = { 20,
					  VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
					  RIG_MSIX, 0, 1 };
	int file = rig_file(RIG_PAGE), event = eventfd(0, 0), err, server = 0;

	err = raw_call(client, VFU_VERSION, &version, sizeof(version), NULL, 0, &server);
	if (!err)
		err = raw_call(client, VFU_DMA_MAP, &map, sizeof(map), &file, 1, &server);
	if (!err)
		err = raw_call(client, VFU_GET_REGION_INFO, &info, sizeof(info), NULL, 0, &server);
	if (!err)
		err = raw_call(client, VFU_SET_IRQS, &set, sizeof(set), &event, 1, &server);
	if (!err)
		err = raw_call(client, VFU_REGION_READ, &read4.access, sizeof(read4.access), NULL,
			       0, &server);
	plx_vfu_irq(rig.vfu, RIG_MSIX, 0);
	if (!err)
		err = raw_call(client, VFU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0, &server);
	close(file);
	close(event);
	return server ? server : err;
}

static int whole_life(void *arg)
{
	int err, round, client, got;

	(void)arg;
	err = plx_vfu_create(&rig_desc, &rig, rig.path, &rig.vfu);
	if (err)
		return err;
	/* Two clients, one after the other: what the first could map is replaced. */
	for (round = 0; round < 2; round++) {
		client = raw_connect();
		if (client < 0) {
			err = -ECONNREFUSED;
			break;
		}
		got = session(client);
		err = err ? err : got;
		close(client);
		got = plx_vfu_poll(rig.vfu);
		err = got < 0 ? got : err;
	}
	plx_vfu_destroy(rig.vfu);
	rig.vfu = NULL;
	rig.rx.fd = -1;
	return err;
}

static void every_failing_call_is_survived(void **state)
{
	struct plx_sys counting = plx_sys_kernel;
	struct fail_nth_result result;

	(void)state;
	plx_vfu_destroy(rig.vfu);
	rig.vfu = NULL;
	counting.alloc = counting_alloc;
	counting.free = counting_free;
	counting.mmap = counting_mmap;
	counting.munmap = counting_munmap;
	plx_sys = &counting;
	left.fds = rig_fds();
	result = fail_nth("a server's life", whole_life, NULL, nothing_left, NULL);
	plx_sys = &plx_sys_kernel;
	assert_true(result.calls > 60);
	unlink(rig.path); /* where not even unlink()'s preparations went well */
}

int main(void)
{
#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, rig_start, rig_stop)
#define LISTENING(test) cmocka_unit_test_setup_teardown(test, rig_listen, rig_stop)
	const struct CMUnitTest tests[] = {
		CONNECTED(half_a_message_blocks_nobody),
		CONNECTED(many_messages_come_at_once),
		CONNECTED(headers_that_lie_end_the_connection),
		CONNECTED(the_largest_message_is_taken),
		CONNECTED(a_flood_of_descriptors_ends_the_connection),
		CONNECTED(descriptors_with_each_byte_end_the_connection),
		CONNECTED(without_room_for_descriptors_the_client_goes),
		CONNECTED(without_room_for_a_client_it_is_turned_away),
		CONNECTED(descriptors_go_with_their_message),
		CONNECTED(a_client_that_does_not_read_stops_only_itself),
		CONNECTED(a_client_that_goes_while_a_reply_is_stuck_is_gone),
		CONNECTED(clients_cannot_flood_the_log),
		CONNECTED(a_full_eventfd_stops_nobody),
		CONNECTED(killed_clients_leave_nothing),
		LISTENING(every_failing_call_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
