/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>
#include <string.h>

#include "user_rig.h"

struct plx_vfio_opts opts;
struct plx_ioas *ioas;
struct plx_vfio_dev *dev;

int setup(void **state)
{
	(void)state;
	fake_user_start();
	opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	ioas = rig_ioas(PLX_ADDR_VA);
	dev = NULL;
	return 0;
}

int teardown(void **state)
{
	(void)state;
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	fake_user_stop();
	return 0;
}

void claim(void)
{
	int ret = plx_vfio_open(ioas, FAKE_USER, &opts, &dev, NULL);

	if (ret)
		fake_log_print();
	assert_int_equal(ret, 0);
}

bool readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/*
 * Memory that the process asks for.
 */
struct user_request dma;

void ask(unsigned cmd, uint64_t addr, uint64_t count, size_t extra, uint32_t flags)
{
	dma.header = (struct vfu_header){
		.id = 4711,
		.cmd = cmd,
		.size = sizeof(dma.header) + sizeof(dma.access) + extra,
		.flags = flags,
	};
	dma.access = (struct vfu_dma_access){ addr, count };
	fake_user_send(&dma, dma.header.size, NULL, 0);
}

int answer(void)
{
	struct vfu_header sent = dma.header, header;

	assert_true(fake_user_receive(&header, &dma.access, sizeof(dma) - sizeof(dma.header)));
	assert_int_equal(header.id, sent.id);
	assert_int_equal(header.cmd, sent.cmd);
	assert_int_equal(header.flags & VFU_F_TYPE, VFU_F_REPLY);
	if (header.flags & VFU_F_ERROR) {
		assert_int_equal(header.size, sizeof(header));
		return header.err;
	}
	assert_int_equal(header.size, sizeof(header) + sizeof(dma.access) +
					      (sent.cmd == VFU_DMA_READ ? dma.access.count : 0));
	return 0;
}

uint8_t pages[4 * PAGE] __attribute__((aligned(4096)));

void map_pages(void)
{
	const struct plx_dma_mem low = { .va = pages, .len = 2 * PAGE, .fd = -1 };
	const struct plx_dma_mem high = {
		.va = pages + 2 * PAGE, .len = PAGE, .fd = -1, .access = PLX_DMA_READ
	};

	assert_int_equal(plx_ioas_map(ioas, &low, NULL), 0);
	assert_int_equal(plx_ioas_map(ioas, &high, NULL), 0);
}

int asked_while_waiting;

bool asks_first(const struct vfu_msg *msg)
{
	const struct vfu_access access = { 0, BAR3, 4 };
	uint8_t out[sizeof(access) + 4] = { 0 };

	if (msg->header.cmd != VFU_REGION_READ)
		return false;
	ask(VFU_DMA_READ, (uintptr_t)pages, 8, 0, 0);
	ask(VFU_DMA_READ, (uintptr_t)pages, 8, 0, 0);
	memcpy(out, &access, sizeof(access));
	fake_user_reply(msg, out, sizeof(out), NULL, 0);
	ask(VFU_DMA_READ, (uintptr_t)pages, 8, 0, 0);
	asked_while_waiting = 3;
	return true;
}
