/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's memory: maps, look-ups, copies, files that change under them, DMA by messages. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/memfd.h>

#include <cmocka.h>

#include "maps.h"
#include "vfu_rig.h"

#define RO   VFU_MAP_READ
#define WO   VFU_MAP_WRITE
#define RW   (VFU_MAP_READ | VFU_MAP_WRITE)
#define PAGE UINT64_C(4096)

static uint8_t *dma(uint64_t iova, size_t len, unsigned access)
{
	return plx_vfu_dma(rig.vfu, iova, len, access);
}

static void maps_show_the_file(void **state)
{
	int fd = rig_file(4 * PAGE);
	unsigned before = rig_fds();
	uint8_t byte = 77, *va;

	(void)state;
	assert_int_equal(rig_map(0x10000, 2 * PAGE, PAGE, RW, fd), 0);
	assert_int_equal(rig.dma_changes, 1);
	assert_int_equal(rig_fds(), before); /* the server keeps no descriptor */
	va = dma(0x10000, 2 * PAGE, PLX_DMA_RW);
	assert_non_null(va);
	assert_int_equal(va[0], 2);
	assert_int_equal(va[PAGE], 3);
	va[3] = byte;
	assert_int_equal(pread(fd, &byte, 1, PAGE + 3), 1);
	assert_int_equal(byte, 77);
	assert_int_equal(rig_unmap(0x10000, 2 * PAGE), 0);
	assert_int_equal(rig.dma_changes, 2);
	assert_null(dma(0x10000, 1, 0));
	close(fd);
}

static void look_ups_stay_inside_one_map(void **state)
{
	int fd = rig_file(4 * PAGE);

	(void)state;
	assert_null(dma(0, 1, 0));
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, fd), 0);
	assert_int_equal(rig_map(0x11000, PAGE, 2 * PAGE, RO, fd), 0);
	assert_int_equal(rig_map(0x13000, PAGE, 3 * PAGE, WO, fd), 0);
	assert_null(dma(0xffff, 1, 0));
	assert_null(dma(0xffff, 2, 0));
	assert_int_equal(*dma(0x10000, PAGE, PLX_DMA_READ), 1);
	assert_null(dma(0x10000, PAGE + 1, PLX_DMA_READ)); /* into the next one */
	assert_null(dma(0x10000, 0, PLX_DMA_READ));
	assert_null(dma(0x10fff, 2, PLX_DMA_READ));
	assert_null(dma(0x10001, SIZE_MAX, PLX_DMA_READ));
	assert_int_equal(*dma(0x11fff, 1, PLX_DMA_READ), 3);
	assert_null(dma(0x11000, 1, PLX_DMA_WRITE));
	assert_null(dma(0x11000, 1, PLX_DMA_RW));
	assert_null(dma(0x12000, 1, 0));
	assert_null(dma(0x13000, 1, PLX_DMA_READ));
	assert_non_null(dma(0x13000, PAGE, PLX_DMA_WRITE));
	assert_null(dma(0x14000, 1, 0));
	assert_null(dma(UINT64_MAX, 1, 0));
	close(fd);
}

static void the_last_page_is_a_page(void **state)
{
	int fd = rig_file(PAGE);
	char buf[16];

	(void)state;
	assert_int_equal(rig_map(-PAGE, PAGE, 0, RW, fd), 0);
	assert_int_equal(*dma(UINT64_MAX, 1, PLX_DMA_RW), 1);
	assert_null(dma(UINT64_MAX, 2, PLX_DMA_RW));
	assert_int_equal(plx_vfu_dma_read(rig.vfu, -8, buf, 8), 0);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, -8, buf, 9), -EFAULT);
	assert_int_equal(rig_map(0, PAGE, 0, RW, fd), 0);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, -8, buf, 16), -EFAULT); /* no way around */
	assert_int_equal(rig_unmap(-PAGE, PAGE), 0);
	assert_int_equal(rig_unmap(0, PAGE), 0);
	close(fd);
}

static void maps_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		uint64_t addr, size, offset;
		uint32_t flags;
	} bad[] = {
		{ 0, 0, 0, RW },
		{ 1, PAGE, 0, RW },
		{ 0, PAGE + 1, 0, RW },
		{ 0, PAGE, 1, RW },
		{ 0, PAGE, 0, 0 },
		{ 0, PAGE, 0, RW | 8 },
		{ 0, PAGE, 0, RW | 0x80000000 },
		{ -PAGE, 2 * PAGE, 0, RW },
		{ 0, 5 * PAGE, 0, RW }, /* the file has four */
		{ 0, PAGE, 4 * PAGE, RW },
		{ 0, PAGE, -PAGE, RW },
		{ 0, 2 * PAGE, UINT64_MAX - PAGE + 1, RW },
		{ 0, PAGE, INT64_MAX & -PAGE, RW },
		{ 0, -PAGE, 0, RW },
	};
	struct vfu_dma_map small = { .argsz = 31, .size = PAGE, .flags = RW };
	int fd = rig_file(4 * PAGE), two[2] = { fd, fd };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rig_map(bad[i].addr, bad[i].size, bad[i].offset, bad[i].flags, fd),
				 -EINVAL);
	assert_int_equal(rig_call_fds(VFU_DMA_MAP, &small, sizeof(small), &fd, 1, NULL, 0),
			 -EINVAL);
	small.argsz = sizeof(small);
	assert_int_equal(rig_call_fds(VFU_DMA_MAP, &small, sizeof(small), two, 2, NULL, 0),
			 -EINVAL);
	assert_int_equal(rig_map(0, PAGE, 0, RW | VFU_MAP_MMAP, -1), -EINVAL);
	assert_int_equal(rig.dma_changes, 0);
	assert_int_equal(rig_map(0, PAGE, 0, RW | VFU_MAP_MMAP, fd), 0);
	close(fd);
}

static void only_memory_is_mapped(void **state)
{
	int pipes[2], fd;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(rig_map(0, PAGE, 0, RO, pipes[0]), -EINVAL);
	assert_int_equal(rig_map(0, PAGE, 0, RO, rig.rx.fd), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	assert_int_equal(rig_map(0, PAGE, 0, RW, fd), -EINVAL);
	close(fd);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); /* a file of a disk, as a rule */
	assert_int_equal(rig_map(0, PAGE, 0, RO, fd), -EINVAL);
	close(fd);
	fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0) {
		assert_int_equal(ftruncate(fd, PAGE), 0);
		assert_int_equal(rig_map(0, PAGE, 0, RW, fd), 0);
		close(fd);
	}
}

static void a_file_that_can_not_be_written_is_not_mapped_for_it(void **state)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(rig_map(0, PAGE, 0, RW, fd), -EPERM);
	close(fd);
}

static void overlaps_are_refused(void **state)
{
	static const struct {
		uint64_t addr, size;
		int err;
	} tries[] = {
		{ 0x10000, 4 * PAGE, -EEXIST },
		{ 0x10000, PAGE, -EEXIST },
		{ 0x13000, PAGE, -EEXIST },
		{ 0x12000, 4 * PAGE, -EEXIST },
		{ 0xf000, 2 * PAGE, -EEXIST },
		{ 0xf000, 8 * PAGE, -EEXIST },
		{ 0xf000, PAGE, 0 },
		{ 0x14000, PAGE, 0 },
	};
	int fd = rig_file(8 * PAGE);
	size_t i;

	(void)state;
	assert_int_equal(rig_map(0x10000, 4 * PAGE, 0, RW, fd), 0);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		assert_int_equal(rig_map(tries[i].addr, tries[i].size, 0, RW, fd), tries[i].err);
	close(fd);
}

static void only_whole_maps_are_unmapped(void **state)
{
	struct vfu_dma_unmap req = { .argsz = sizeof(req), .addr = 0x10000, .size = 2 * PAGE };
	int fd = rig_file(4 * PAGE);

	(void)state;
	assert_int_equal(rig_map(0x10000, 2 * PAGE, 0, RW, fd), 0);
	assert_int_equal(rig_map(0x12000, 2 * PAGE, 0, RW, fd), 0);
	assert_int_equal(rig_unmap(0x10000, PAGE), -ENOENT);
	assert_int_equal(rig_unmap(0x11000, PAGE), -ENOENT);
	assert_int_equal(rig_unmap(0x10000, 4 * PAGE), -ENOENT);
	assert_int_equal(rig_unmap(0x10000, UINT64_MAX), -ENOENT);
	assert_int_equal(rig_unmap(0x20000, PAGE), -ENOENT);
	assert_int_equal(rig_unmap(0x10000, 0), -EINVAL);
	req.argsz--;
	assert_int_equal(rig_call(VFU_DMA_UNMAP, &req, sizeof(req), NULL, 0), -EINVAL);
	req.argsz++;
	req.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	assert_int_equal(rig_call(VFU_DMA_UNMAP, &req, sizeof(req), NULL, 0), -EINVAL);
	req.flags = VFIO_DMA_UNMAP_FLAG_ALL;
	assert_int_equal(rig_call(VFU_DMA_UNMAP, &req, sizeof(req), NULL, 0), -EINVAL);
	assert_int_equal(rig.dma_changes, 2);
	assert_non_null(dma(0x10000, 2 * PAGE, PLX_DMA_RW));

	req.addr = req.size = 0;
	assert_int_equal(rig_call(VFU_DMA_UNMAP, &req, sizeof(req), NULL, 0), 0);
	assert_int_equal(rig.dma_changes, 3);
	assert_null(dma(0x10000, 1, 0));
	assert_null(dma(0x12000, 1, 0));
	assert_int_equal(rig_map(0x10000, 2 * PAGE, 0, RW, fd), 0);
	close(fd);
}

static void copies_cross_maps_and_stop_at_holes(void **state)
{
	uint8_t *buf = malloc(3 * PAGE);
	int fd = rig_file(4 * PAGE);

	(void)state;
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, fd), 0);
	assert_int_equal(rig_map(0x11000, PAGE, 3 * PAGE, RW, fd), 0);
	assert_int_equal(rig_map(0x12000, PAGE, 2 * PAGE, RO, fd), 0);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, buf, 3 * PAGE), 0);
	assert_int_equal(buf[PAGE - 1], 1);
	assert_int_equal(buf[PAGE], 4);
	assert_int_equal(buf[2 * PAGE], 3);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x12000, buf, PAGE + 1), -EFAULT);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, buf, 0), 0);
	memset(buf, 0xaa, PAGE);
	assert_int_equal(plx_vfu_dma_write(rig.vfu, 0x10800, buf, PAGE), 0);
	assert_int_equal(plx_vfu_dma_write(rig.vfu, 0x11fff, buf, 2), -EFAULT); /* read-only */
	assert_int_equal(*dma(0x117ff, 1, PLX_DMA_READ), 0xaa);
	assert_int_equal(*dma(0x11800, 1, PLX_DMA_READ), 4);
	close(fd);
	free(buf);
}

/*
 * The table by itself.
 */
static void small_maps_in_one_frame_are_told_apart(void **state)
{
	struct vfu_dma_map map = { .flags = RW, .size = PAGE };
	struct vfu_maps maps;
	unsigned i;

	(void)state;
	assert_int_equal(plx_vfu_maps_init(&maps), 0);
	/* Every other page of two frames, in no order. */
	for (i = 0; i < 512; i++) {
		map.addr = (i * 37 % 512) * 2 * PAGE;
		assert_int_equal(plx_vfu_maps_add(&maps, &map, -1), 0);
	}
	for (i = 0; i < 1024; i++) {
		const struct vfu_map *found = plx_vfu_maps_find(&maps, i * PAGE + i);

		if (i & 1)
			assert_null(found);
		else
			assert_int_equal(found->first, i * PAGE);
	}
	for (i = 0; i < 512; i++) {
		assert_int_equal(plx_vfu_maps_remove(&maps, i * 2 * PAGE, PAGE), 0);
		assert_null(plx_vfu_maps_find(&maps, i * 2 * PAGE));
		assert_int_equal(plx_vfu_maps_find(&maps, 1022 * PAGE) != NULL, i < 511);
	}
	plx_vfu_maps_fini(&maps);
}

static void the_number_of_maps_is_limited(void **state)
{
	struct vfu_dma_map map = { .flags = RW, .size = PAGE };
	struct vfu_maps maps;
	unsigned i;

	(void)state;
	assert_int_equal(plx_vfu_maps_init(&maps), 0);
	for (i = 0; i < VFU_MAX_MAPS; i++, map.addr += 2 * PAGE)
		assert_int_equal(plx_vfu_maps_add(&maps, &map, -1), 0);
	assert_int_equal(plx_vfu_maps_add(&maps, &map, -1), -ENOSPC);
	assert_int_equal(plx_vfu_maps_find(&maps, map.addr - 2 * PAGE)->first, map.addr - 2 * PAGE);
	assert_int_equal(plx_vfu_maps_remove(&maps, 0, PAGE), 0);
	assert_int_equal(plx_vfu_maps_add(&maps, &map, -1), 0);
	plx_vfu_maps_fini(&maps);
}

/*
 * Memory that goes away. cmocka puts its own signal handlers in place before each test: another
 * table puts ours back.
 */
static struct vfu_maps handler;

static void begin_sigbus(void)
{
	assert_int_equal(plx_vfu_maps_init(&handler), 0);
}

static void end_sigbus(void)
{
	plx_vfu_maps_fini(&handler);
}

static void a_file_made_shorter_costs_the_client_its_connection(void **state)
{
	int fd = rig_file(4 * PAGE);
	uint8_t *va;

	(void)state;
	begin_sigbus();
	assert_int_equal(rig_map(0x10000, 4 * PAGE, 0, RW, fd), 0);
	va = dma(0x10000, 4 * PAGE, PLX_DMA_RW);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(*(volatile uint8_t *)(va + 2 * PAGE), 0); /* zeroes, no SIGBUS */
	*(volatile uint8_t *)(va + 3 * PAGE) = 1;
	assert_true(plx_vfu_connected(rig.vfu));
	assert_true(plx_vfu_poll(rig.vfu) > 0);
	assert_true(rig_dropped());
	assert_int_equal(rig.gone, 1);
	assert_non_null(strstr(rig_line(), "took shared memory away"));
	assert_null(dma(0x10000, 1, 0));
	end_sigbus();
	close(fd);

	rig_hang_up(); /* the next one is served */
	rig_connect();
	rig_hello(NULL);
	rig_poll();
	assert_int_equal(rig.gone, 1);
}

static void copies_survive_a_file_made_shorter(void **state)
{
	int fd = rig_file(2 * PAGE);
	char buf[64];

	(void)state;
	begin_sigbus();
	memset(buf, 1, sizeof(buf));
	assert_int_equal(rig_map(0x10000, 2 * PAGE, 0, RW, fd), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10fe0, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0] | buf[63], 0);
	assert_int_equal(plx_vfu_dma_write(rig.vfu, 0x11000, buf, sizeof(buf)), 0);
	rig_poll();
	assert_true(rig_dropped());
	end_sigbus();
	close(fd);
}

static void sigbus_elsewhere_is_not_ours(void **state)
{
	int fd = rig_file(PAGE), status;
	volatile char *page;
	pid_t child;

	(void)state;
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(ftruncate(fd, 0), 0);
	child = fork();
	if (!child) {
		struct vfu_maps maps;

		signal(SIGBUS, SIG_DFL);
		if (!plx_vfu_maps_init(&maps))
			(void)*page;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	munmap((void *)page, PAGE);
	close(fd);
}

static void huge_pages_are_mapped_whole(void **state)
{
	const size_t huge = 2 << 20;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	uint8_t byte = 9;
	char *va = NULL;

	(void)state;
	if (fd < 0 || ftruncate(fd, huge) ||
	    (va = mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) {
		print_message("# skipped: no free 2 MiB hugepage\n");
		if (fd >= 0)
			close(fd);
		skip();
	}
	begin_sigbus();
	va[5 * PAGE] = 42;
	assert_int_equal(rig_map(0x10000, PAGE, 5 * PAGE, RW, fd), 0); /* a small part of it */
	assert_int_equal(*dma(0x10000, PAGE, PLX_DMA_RW), 42);
	assert_null(dma(0x11000, 1, 0));
	assert_int_equal(rig_map(0x200000, huge, 0, RW, fd), 0);
	assert_int_equal(*dma(0x200000 + 5 * PAGE, 1, PLX_DMA_RW), 42);
	assert_int_equal(rig_unmap(0x10000, PAGE), 0);
	munmap(va, huge);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(plx_vfu_dma_write(rig.vfu, 0x200000 + 7 * PAGE, &byte, 1), 0);
	rig_poll();
	assert_true(rig_dropped());
	end_sigbus();
	close(fd);
}

/*
 * Memory without a file. The client's answers are sent before they are asked for: ids count from 0.
 */
struct answer {
	struct vfu_header header;
	struct vfu_dma_access access;
	char data[64];
};

static struct answer make_answer(uint16_t id, uint16_t cmd, uint64_t addr, size_t count,
				 const char *data)
{
	size_t len = cmd == VFU_DMA_READ ? count : 0;
	struct answer msg = {
		.header = { id, cmd, offsetof(struct answer, data) + len, VFU_F_REPLY, 0 },
		.access = { addr, count },
	};

	if (data)
		memcpy(msg.data, data, len);
	return msg;
}

static void answer(uint16_t id, uint16_t cmd, uint64_t addr, size_t count, const char *data)
{
	const struct answer msg = make_answer(id, cmd, addr, count, data);

	rig_raw(&msg, msg.header.size, NULL, 0);
}

/* The server's request. */
static void asked(uint16_t id, uint16_t cmd, uint64_t addr, uint64_t count, const char *data)
{
	struct vfu_dma_access access;
	struct vfu_msg msg;

	assert_int_equal(plx_vfu_recv(&rig.rx, &msg, 0), 0);
	assert_int_equal(msg.header.id, id);
	assert_int_equal(msg.header.cmd, cmd);
	assert_int_equal(msg.header.flags, VFU_F_COMMAND);
	assert_int_equal(plx_vfu_msg_get(&msg, &access, sizeof(access)), 0);
	assert_true(access.addr == addr && access.count == count);
	assert_int_equal(msg.len, sizeof(access) + (data ? count : 0));
	if (data)
		assert_memory_equal((const char *)msg.body + sizeof(access), data, count);
	plx_vfu_msg_done(&msg);
}

static void messages_reach_memory_without_a_file(void **state)
{
	char buf[8];

	(void)state;
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
	assert_null(dma(0x10000, 1, PLX_DMA_READ));
	answer(0, VFU_DMA_READ, 0x10010, 8, "abcdefgh");
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10010, buf, 8), 0);
	assert_memory_equal(buf, "abcdefgh", 8);
	asked(0, VFU_DMA_READ, 0x10010, 8, NULL);
	answer(1, VFU_DMA_WRITE, 0x10ff8, 8, NULL);
	assert_int_equal(plx_vfu_dma_write(rig.vfu, 0x10ff8, "01234567", 8), 0);
	asked(1, VFU_DMA_WRITE, 0x10ff8, 8, "01234567");
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10ffc, buf, 0), 0);
}

static void large_copies_are_cut_to_what_the_client_takes(void **state)
{
	char buf[10];

	(void)state;
	rig_connect();
	rig_hello("{\"capabilities\":{\"max_data_xfer_size\":4}}");
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
	answer(0, VFU_DMA_READ, 0x10000, 4, "abcd");
	answer(1, VFU_DMA_READ, 0x10004, 4, "efgh");
	answer(2, VFU_DMA_READ, 0x10008, 2, "ij");
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, buf, 10), 0);
	assert_memory_equal(buf, "abcdefghij", 10);
}

static void a_refusal_is_an_error_and_no_more(void **state)
{
	struct vfu_header refusal = { 0, VFU_DMA_READ, 16, VFU_F_REPLY | VFU_F_ERROR, EPERM };
	char byte;

	(void)state;
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
	rig_raw(&refusal, sizeof(refusal), NULL, 0);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &byte, 1), -EFAULT);
	rig_poll();
	assert_true(plx_vfu_connected(rig.vfu));
	answer(1, VFU_DMA_READ, 0x10000, 1, "x");
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &byte, 1), 0);
}

static void answers_out_of_step_end_the_connection(void **state)
{
	static const struct answer bad[] = {
		{ { 1, VFU_DMA_READ, 36, VFU_F_REPLY, 0 }, { 0x10000, 4 }, "" }, /* id */
		{ { 0, VFU_DMA_WRITE, 36, VFU_F_REPLY, 0 }, { 0x10000, 4 }, "" },
		{ { 0, VFU_DMA_READ, 35, VFU_F_REPLY, 0 }, { 0x10000, 4 }, "" }, /* short */
		{ { 0, VFU_DMA_READ, 36, VFU_F_REPLY, 0 }, { 0x10001, 4 }, "" },
		{ { 0, VFU_DMA_READ, 36, VFU_F_REPLY, 0 }, { 0x10000, 3 }, "" },
		{ { 0, VFU_DMA_READ, 36, 2, 0 }, { 0x10000, 4 }, "" },
		{ { 0, VFU_DMA_READ, 15, VFU_F_REPLY, 0 }, { 0x10000, 4 }, "" },
		{ { 0, VFU_DMA_READ, UINT32_MAX, VFU_F_REPLY, 0 }, { 0x10000, 4 }, "" },
	};
	uint32_t value;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig_connect();
		rig_hello(NULL);
		assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
		rig_raw(&bad[i], bad[i].header.size == 35 ? 35 : 36, NULL, 0);
		assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &value, 4), -ENOTCONN);
		assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &value, 4), -ENOTCONN);
		rig_poll();
		assert_true(rig_dropped());
		assert_int_equal(rig.gone, i + 1);
		assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &value, 4), -EFAULT);
		rig_hang_up();
	}
}

static void a_silent_client_is_waited_for_once(void **state)
{
	char byte;

	(void)state;
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &byte, 1), -ETIMEDOUT);
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &byte, 1), -ENOTCONN);
	rig_poll();
	assert_true(rig_dropped());
	assert_int_equal(rig.gone, 1);
}

static void *answer_slowly(void *arg)
{
	struct vfu_dma_access access;
	struct answer late;
	struct vfu_msg msg;

	(void)arg;
	while (!plx_vfu_recv(&rig.rx, &msg, 5000) &&
	       !plx_vfu_msg_get(&msg, &access, sizeof(access))) {
		const struct iovec iov = { &late, offsetof(struct answer, data) + access.count };

		usleep(250000);
		late = make_answer(msg.header.id, VFU_DMA_READ, access.addr, access.count, "x");
		plx_vfu_tx(rig.rx.fd, &iov, 1, NULL, 0);
	}
	return NULL;
}

/* Each answer in time, all of them too late. */
static void wait_for_slow_answers(bool poll_between)
{
	pthread_t thread;
	int err = 0, i;
	char byte;

	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
	assert_int_equal(pthread_create(&thread, NULL, answer_slowly, NULL), 0);
	for (i = 0; i < 20 && !err; i++) {
		err = plx_vfu_dma_read(rig.vfu, 0x10000, &byte, 1);
		if (!err && poll_between)
			assert_int_equal(plx_vfu_poll(rig.vfu), 0);
	}
	assert_int_equal(err, -ETIMEDOUT);
	assert_true(i <= 6);
	assert_true(plx_vfu_poll(rig.vfu) > 0);
	assert_int_equal(rig.gone, 1);
	pthread_join(thread, NULL);
}

static void a_slow_client_is_waited_for_once(void **state)
{
	(void)state;
	wait_for_slow_answers(false);
}

/* A poll in between brings no new patience: time does. */
static void a_client_that_stays_slow_is_dropped(void **state)
{
	(void)state;
	wait_for_slow_answers(true);
}

static void requests_in_between_are_served_afterwards(void **state)
{
	struct {
		struct vfu_header header;
		struct vfu_access access;
		uint32_t value;
	} write = { { 40, VFU_REGION_WRITE, 36, VFU_F_COMMAND, 0 }, { 0, 0, 4 }, 0x55 };
	struct pollfd pfd = { .fd = plx_vfu_fd(rig.vfu), .events = POLLIN };
	const struct vfu_dma_map map = { 32, RW, 0, 0x20000, PAGE };
	struct {
		struct vfu_header header;
		struct vfu_dma_map map;
	} mapping = { { 41, VFU_DMA_MAP, 48, VFU_F_COMMAND, 0 }, map };
	int fd = rig_file(PAGE);
	struct vfu_msg msg;
	char byte;

	(void)state;
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
	rig_raw(&write, 36, NULL, 0);
	rig_raw(&mapping, sizeof(mapping), &fd, 1);
	answer(0, VFU_DMA_READ, 0x10000, 1, "x");
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &byte, 1), 0);
	assert_int_equal(rig.accesses, 0);
	assert_int_equal(poll(&pfd, 1, 0), 1); /* nothing is in the socket any more */
	rig_poll();
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_int_equal(rig.bar0[0], 0x55);
	assert_int_equal(*dma(0x20000, 1, PLX_DMA_READ), 1);
	asked(0, VFU_DMA_READ, 0x10000, 1, NULL);
	assert_int_equal(plx_vfu_recv(&rig.rx, &msg, 0), 0);
	assert_int_equal(msg.header.id, 40);
	assert_int_equal(plx_vfu_recv(&rig.rx, &msg, 0), 0);
	assert_int_equal(msg.header.id, 41);
	close(fd);
}

static void flooding_instead_of_answering_ends_the_connection(void **state)
{
	const size_t big = VFU_MAX_XFER / 2;
	struct vfu_header header = { 1, VFU_RESET, sizeof(header) + big, VFU_F_NO_REPLY, 0 };
	unsigned char *flood = calloc(1, header.size);
	size_t at = 0;
	pid_t child;
	int status;
	char byte;

	(void)state;
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
	memcpy(flood, &header, sizeof(header));
	child = fork();
	if (!child) {
		alarm(20);
		/* Not the server's end, which it would keep open. */
		close_range(3, rig.rx.fd - 1, 0);
		close_range(rig.rx.fd + 1, ~0u, 0);
		fcntl(rig.rx.fd, F_SETFL, 0); /* blocking */
		for (;; at = 0)
			while (at < header.size) {
				ssize_t n =
					send(rig.rx.fd, flood + at, header.size - at, MSG_NOSIGNAL);

				if (n < 0)
					_exit(0);
				at += n;
			}
	}
	assert_int_equal(plx_vfu_dma_read(rig.vfu, 0x10000, &byte, 1), -ENOTCONN);
	assert_int_equal(rig.asked, 0);
	assert_int_equal(plx_vfu_poll(rig.vfu), 1);
	assert_false(plx_vfu_connected(rig.vfu));
	assert_non_null(strstr(rig_line(), "dropped"));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	free(flood);
}

/* A model that reads the client's memory while it is accessed. */
static void read_within(struct rig *r)
{
	char byte = 0;

	assert_int_equal(plx_vfu_dma_read(r->vfu, 0x10000, &byte, 1), 0);
	r->bar0[100] = byte;
}

static void a_model_may_read_memory_while_it_is_accessed(void **state)
{
	struct {
		struct vfu_header header;
		struct vfu_access access;
		uint32_t value;
	} write = { { 50, VFU_REGION_WRITE, 36, VFU_F_COMMAND, 0 }, { 4, 0, 4 }, 0x77 };
	struct vfu_msg msg;

	(void)state;
	assert_int_equal(rig_map(0x10000, PAGE, 0, RW, -1), 0);
	rig.on_access = read_within;
	/* The answer comes in pieces behind the request, which it must not overwrite. */
	rig_raw(&write, 36, NULL, 0);
	answer(0, VFU_DMA_READ, 0x10000, 1, "x");
	rig_poll();
	assert_int_equal(rig.bar0[4], 0x77);
	assert_int_equal(rig.bar0[100], 'x');
	asked(0, VFU_DMA_READ, 0x10000, 1, NULL);
	assert_int_equal(plx_vfu_recv(&rig.rx, &msg, 0), 0);
	assert_int_equal(msg.header.id, 50);
	assert_int_equal(msg.header.flags, VFU_F_REPLY);
}

int main(void)
{
#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, rig_start, rig_stop)
#define LISTENING(test) cmocka_unit_test_setup_teardown(test, rig_listen, rig_stop)
	const struct CMUnitTest tests[] = {
		CONNECTED(maps_show_the_file),
		CONNECTED(look_ups_stay_inside_one_map),
		CONNECTED(the_last_page_is_a_page),
		CONNECTED(maps_that_make_no_sense_are_refused),
		CONNECTED(only_memory_is_mapped),
		CONNECTED(a_file_that_can_not_be_written_is_not_mapped_for_it),
		CONNECTED(overlaps_are_refused),
		CONNECTED(only_whole_maps_are_unmapped),
		CONNECTED(copies_cross_maps_and_stop_at_holes),
		cmocka_unit_test(small_maps_in_one_frame_are_told_apart),
		cmocka_unit_test(the_number_of_maps_is_limited),
		CONNECTED(a_file_made_shorter_costs_the_client_its_connection),
		CONNECTED(copies_survive_a_file_made_shorter),
		CONNECTED(sigbus_elsewhere_is_not_ours),
		CONNECTED(huge_pages_are_mapped_whole),
		CONNECTED(messages_reach_memory_without_a_file),
		LISTENING(large_copies_are_cut_to_what_the_client_takes),
		CONNECTED(a_refusal_is_an_error_and_no_more),
		LISTENING(answers_out_of_step_end_the_connection),
		CONNECTED(a_silent_client_is_waited_for_once),
		CONNECTED(a_slow_client_is_waited_for_once),
		CONNECTED(a_client_that_stays_slow_is_dropped),
		CONNECTED(requests_in_between_are_served_afterwards),
		CONNECTED(flooding_instead_of_answering_ends_the_connection),
		CONNECTED(a_model_may_read_memory_while_it_is_accessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
