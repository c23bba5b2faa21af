/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of devices that a process serves: what it is told of, and what it asks for. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user_rig.h"

/* A file mapped whole, as EAL's memory is. */
static void *map_file(size_t len, uint64_t offset, unsigned access, int *fd)
{
	struct plx_dma_mem mem = { .len = len, .fd_offset = offset, .access = access };

	*fd = mem.fd = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(mem.fd, offset + len), 0);
	mem.va = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, mem.fd, offset);
	assert_true(mem.va != MAP_FAILED);
	assert_int_equal(plx_ioas_map(ioas, &mem, NULL), 0);
	return mem.va;
}

static const struct fake_user_map *map_at(const void *va)
{
	unsigned i;

	for (i = 0; i < fake_user.nmaps; i++)
		if (fake_user.map[i].map.addr == (uintptr_t)va)
			return &fake_user.map[i];
	return NULL;
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return !fstat(a, &sa) && !fstat(b, &sb) && sa.st_ino == sb.st_ino;
}

static void memory(void **state)
{
	const struct fake_user_map *m;
	int fd[2];
	void *va[2];

	(void)state;
	/* Mapped before the claim, and after. */
	va[0] = map_file(8 * PAGE, 2 * PAGE, PLX_DMA_READ, &fd[0]);
	claim();
	va[1] = map_file(4 * PAGE, 0, 0, &fd[1]);
	assert_int_equal(rig_map(ioas, VA, HUGE), 0);
	assert_int_equal(fake_user.nmaps, 3);
	m = map_at(va[0]);
	assert_non_null(m);
	assert_int_equal(m->map.size, 8 * PAGE);
	assert_int_equal(m->map.offset, 2 * PAGE);
	assert_int_equal(m->map.flags, VFU_MAP_READ);
	assert_true(same_file(m->fd, fd[0]));
	m = map_at(va[1]);
	assert_non_null(m);
	assert_int_equal(m->map.flags, VFU_MAP_READ | VFU_MAP_WRITE);
	assert_true(same_file(m->fd, fd[1]));
	m = map_at((void *)VA);
	assert_non_null(m);
	assert_int_equal(m->fd, -1);
	assert_int_equal(m->map.offset, 0);
	assert_int_equal(plx_ioas_unmap(ioas, va[0], 8 * PAGE), 0);
	assert_null(map_at(va[0]));
	assert_int_equal(fake_user.nmaps, 2);
	assert_int_equal(plx_ioas_unmap(ioas, va[1], 4 * PAGE), 0);
	munmap(va[0], 8 * PAGE);
	munmap(va[1], 4 * PAGE);
	close(fd[0]);
	close(fd[1]);
}

static void limits_of_memory(void **state)
{
	uint64_t i;
	void *va;
	int fd;

	(void)state;
	fake_user.json = "{\"capabilities\":{\"max_msg_fds\":0,\"pgsizes\":2097152,"
			 "\"max_dma_maps\":3}}";
	claim();
	/* Nothing can be sent along: it will ask for memory. */
	fake_log_clear();
	for (i = 0; i < 2; i++)
		assert_int_equal(rig_map(ioas, VA + i * GIB, HUGE), 0);
	fd = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, HUGE), 0);
	assert_int_equal(plx_ioas_map(ioas,
				      &(struct plx_dma_mem){
					      .va = (void *)(VA + 2 * GIB), .len = HUGE, .fd = fd },
				      NULL),
			 0);
	assert_int_equal(fake_user.map[2].fd, -1);
	assert_int_equal(rig_map(ioas, VA + 3 * GIB, HUGE), -ENOSPC);
	assert_true(fake_logged(PLX_LOG_ERR, "takes 3 DMA maps"));
	assert_int_equal(rig_unmap(ioas, VA, HUGE), 0);
	va = (void *)(VA + 3 * GIB);
	assert_int_equal(
		plx_ioas_map(ioas, &(struct plx_dma_mem){ .va = va, .len = PAGE, .fd = -1 }, NULL),
		-EINVAL);
	assert_true(fake_logged(PLX_LOG_ERR, "pages of 2048 KiB only"));
	assert_int_equal(rig_map(ioas, VA + 3 * GIB, HUGE), 0);
	close(fd);
}

static bool refuse_maps(const struct vfu_msg *msg)
{
	if (msg->header.cmd != VFU_DMA_MAP)
		return false;
	fake_user_refuse(msg, ENOMEM);
	return true;
}

/* The others in the address space aren't served either: all or nothing. */
static void a_map_that_is_refused(void **state)
{
	(void)state;
	claim();
	fake_user.script = refuse_maps;
	assert_int_equal(rig_map(ioas, VA, HUGE), -ENOMEM);
	assert_true(fake_logged(PLX_LOG_ERR, "refuses a DMA map of 2048 KiB"));
	assert_int_equal(rig_dma(ioas, VA), PLX_DMA_BAD);
	fake_user.script = NULL;
	assert_int_equal(rig_map(ioas, VA, HUGE), 0);
	assert_int_equal(rig_dma(ioas, VA), VA);
}

static unsigned unmaps_kept; /* how */

static bool keep_memory(const struct vfu_msg *msg)
{
	struct vfu_dma_unmap unmap;

	if (msg->header.cmd != VFU_DMA_UNMAP)
		return false;
	memcpy(&unmap, msg->body, sizeof(unmap));
	unmap.addr += unmaps_kept == 1 ? PAGE : 0;
	unmap.size -= unmaps_kept == 2 ? PAGE : 0;
	if (unmaps_kept)
		fake_user_reply(msg, &unmap, sizeof(unmap), NULL, 0);
	else
		fake_user_refuse(msg, EBUSY);
	return true;
}

/* It still has what it doesn't give back: the connection ends with it, and the rest goes on. */
static void memory_that_is_kept(void **state)
{
	(void)state;
	for (unmaps_kept = 0; unmaps_kept < 3; unmaps_kept++) {
		claim();
		assert_int_equal(rig_map(ioas, VA, HUGE), 0);
		fake_user.script = keep_memory;
		fake_log_clear();
		assert_int_equal(rig_unmap(ioas, VA, HUGE), 0);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_true(fake_logged(PLX_LOG_ERR, "doesn't give memory back"));
		assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
		fake_user.script = NULL;
		plx_vfio_close(dev);
		dev = NULL;
	}
}

static void memory_by_request(void **state)
{
	const uint64_t at = (uintptr_t)pages;
	unsigned i;

	(void)state;
	claim();
	map_pages();
	for (i = 0; i < sizeof(pages); i++)
		pages[i] = i * 3;
	/* Across two maps. */
	ask(VFU_DMA_READ, at + PAGE + 5, 2 * PAGE - 5, 0, 0);
	assert_true(readable(plx_vfio_event_fd(dev)));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(answer(), 0);
	assert_memory_equal(dma.data, pages + PAGE + 5, 2 * PAGE - 5);
	memset(dma.data, 0xee, 100);
	ask(VFU_DMA_WRITE, at + PAGE - 50, 100, 100, 0);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(answer(), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(pages[PAGE - 50 + i], 0xee);
	/* Without an answer wanted. */
	memset(dma.data, 0xdd, 4);
	ask(VFU_DMA_WRITE, at, 4, 4, VFU_F_NO_REPLY);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(pages[3], 0xdd);
	assert_false(fake_user_receive(&dma.header, &dma.access, 64));
}

static void memory_it_may_not_have(void **state)
{
	const uint64_t at = (uintptr_t)pages;
	const struct {
		unsigned cmd;
		uint64_t addr, count;
		size_t extra;
		int err;
	} cases[] = {
		{ VFU_DMA_READ, at - 1, 2, 0, EFAULT },
		{ VFU_DMA_READ, at + 3 * PAGE - 1, 2, 0, EFAULT },
		{ VFU_DMA_READ, 0, 1, 0, EFAULT },
		{ VFU_DMA_READ, UINT64_MAX, 2, 0, EFAULT },
		{ VFU_DMA_WRITE, at + 2 * PAGE - 1, 2, 2, EFAULT }, /* read-only */
		{ VFU_DMA_WRITE, at + 3 * PAGE, 1, 1, EFAULT },
		{ VFU_DMA_READ, at, VFU_MAX_XFER + 1, 0, EINVAL },
		{ VFU_DMA_READ, at, UINT64_MAX, 0, EINVAL },
		{ VFU_DMA_READ, at, 4, 4, EINVAL },
		{ VFU_DMA_WRITE, at, 4, 0, EINVAL },
		{ VFU_DMA_WRITE, at, 4, 5, EINVAL },
		{ VFU_DMA_WRITE, at, UINT64_MAX, 5, EINVAL },
		{ VFU_RESET, 0, 0, 0, ENOTSUP },
		{ 99, 0, 0, 0, ENOTSUP },
	};
	uint8_t before[sizeof(pages)];
	size_t i;

	(void)state;
	claim();
	map_pages();
	memcpy(before, pages, sizeof(pages));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(dma.data, 0x99, 16);
		ask(cases[i].cmd, cases[i].addr, cases[i].count, cases[i].extra, 0);
		assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
		assert_int_equal(answer(), cases[i].err);
	}
	/* A part that it may write was written: PCI's posted writes know no better. */
	before[2 * PAGE - 1] = pages[2 * PAGE - 1];
	assert_memory_equal(before, pages, sizeof(pages));
	/* Unmapped, it is out of reach. */
	assert_int_equal(plx_ioas_unmap(ioas, pages, 2 * PAGE), 0);
	ask(VFU_DMA_READ, at, 4, 0, 0);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(answer(), EFAULT);
}

static uint64_t one_place(uint64_t va)
{
	return GIB + va % HUGE;
}

/* Memory mapped twice, by physical address: the second is refused, and the first stays. */
static void memory_that_is_there_already(void **state)
{
	(void)state;
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	ioas = rig_ioas(PLX_ADDR_PA);
	fake.phys = one_place;
	claim();
	assert_int_equal(rig_map(ioas, VA, HUGE), 0);
	fake_log_clear();
	assert_int_equal(rig_map(ioas, VA + GIB, HUGE), -EEXIST);
	assert_true(fake_logged(PLX_LOG_ERR, "something is mapped there already"));
	assert_int_equal(fake_user.nmaps, 1);
	assert_int_equal(rig_unmap(ioas, VA, HUGE), 0);
	assert_int_equal(rig_map(ioas, VA + GIB, HUGE), 0);
}

/* Mapped, and taken back, in no order: each is found as long as it is there. */
static void memory_in_many_maps(void **state)
{
	enum { MANY = 61 };
	uint8_t *mem =
		mmap(NULL, MANY * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned i, j, at;

	(void)state;
	assert_true(mem != MAP_FAILED);
	fake_user.json = "{\"capabilities\":{\"max_dma_maps\":61}}";
	claim();
	for (i = 0; i < MANY; i++) {
		at = i * 17 % MANY;
		mem[at * PAGE] = at;
		assert_int_equal(plx_ioas_map(ioas,
					      &(struct plx_dma_mem){ .va = mem + at * PAGE,
								     .len = PAGE,
								     .fd = -1 },
					      NULL),
				 0);
	}
	for (i = 0; i < MANY; i++) {
		at = i * 23 % MANY;
		assert_int_equal(plx_ioas_unmap(ioas, mem + at * PAGE, PAGE), 0);
		for (j = 0; j < MANY; j++) {
			at = j * 23 % MANY;
			ask(VFU_DMA_READ, (uintptr_t)(mem + at * PAGE), 1, 0, 0);
			assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
			assert_int_equal(answer(), j > i ? 0 : EFAULT);
			assert_true(j <= i || dma.data[0] == at);
		}
	}
	munmap(mem, MANY * PAGE);
}

static void memory_while_waiting(void **state)
{
	uint32_t value;

	(void)state;
	claim();
	map_pages();
	fake_user.script = asks_first;
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), 0);
	assert_int_equal(asked_while_waiting, 3);
	while (asked_while_waiting--)
		assert_int_equal(answer(), 0);
	/* Nothing waits unseen. */
	assert_false(readable(plx_vfio_event_fd(dev)));
}

/*
 * Answers to calls wake nobody who waits for events, and requests do once they are to be expected.
 */
static void who_is_woken(void **state)
{
	struct vfu_header header = { .id = 1, .cmd = VFU_RESET, .size = sizeof(header) };

	(void)state;
	claim();
	fake_user_send(&header, sizeof(header), NULL, 0);
	assert_false(readable(plx_vfio_event_fd(dev)));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	fake_user_send(&header, sizeof(header), NULL, 0);
	assert_true(readable(plx_vfio_event_fd(dev)));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_false(readable(plx_vfio_event_fd(dev)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(memory),
		CASE(limits_of_memory),
		CASE(a_map_that_is_refused),
		CASE(memory_that_is_kept),
		CASE(memory_by_request),
		CASE(memory_it_may_not_have),
		CASE(memory_that_is_there_already),
		CASE(memory_in_many_maps),
		CASE(memory_while_waiting),
		CASE(who_is_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
