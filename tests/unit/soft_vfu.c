/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <linux/vfio.h>
#include <pollux/log.h>
#include <pollux/vfu.h>

#include "soft_vfu.h"

#define MAPS	  64
#define IRQS	  65
#define MAP_ALIGN 64
#define LARGE	  (1u << 20) /* bytes of a map */

struct fake_vfu_map {
	uint64_t iova;
	size_t len;
	unsigned access;
	uint8_t *mem; /* NULL: not in use */
};

struct plx_vfu {
	const struct plx_vfu_ops *ops;
	void *model;
	struct {
		uint8_t *mem;
		size_t len;
	} region[PLX_VFU_REGIONS];
	struct fake_vfu_map map[MAPS];
	bool armed[PLX_VFU_IRQS], connected;
	unsigned raised[PLX_VFU_IRQS][IRQS];
};

static struct plx_vfu server[2];
static unsigned servers;
static char said[4096];
static unsigned lines;

/*
 * What is touched beyond it is found out: by a sanitizer, or by pages around that aren't there
 * where it is too large to be cleared for each of many runs.
 */
static uint8_t *map_make(size_t len)
{
	const size_t page = 4096;
	void *mem = NULL;

	if (len < LARGE) {
		assert_int_equal(posix_memalign(&mem, MAP_ALIGN, len), 0);
		return memset(mem, 0, len);
	}
	assert_int_equal(len % page, 0);
	mem = mmap(NULL, len + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(mem, MAP_FAILED);
	assert_int_equal(mprotect((uint8_t *)mem + page, len, PROT_READ | PROT_WRITE), 0);
	return (uint8_t *)mem + page;
}

static void map_free(struct fake_vfu_map *map)
{
	const size_t page = 4096;

	if (map->mem && map->len >= LARGE)
		munmap(map->mem - page, map->len + 2 * page);
	else
		free(map->mem);
	map->mem = NULL;
}

/*
 * The server's interface.
 */
int plx_vfu_create(const struct plx_vfu_desc *desc, void *model, const char *path,
		   struct plx_vfu **vfu)
{
	struct plx_vfu *s = &server[servers++];

	(void)path;
	memset(s, 0, sizeof(*s));
	s->ops = desc->ops;
	s->model = model;
	for (unsigned i = 0; i < PLX_VFU_REGIONS; i++) {
		if (!desc->region[i].nareas)
			continue;
		s->region[i].len = desc->region[i].size;
		s->region[i].mem = mmap(NULL, s->region[i].len, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(s->region[i].mem, MAP_FAILED);
	}
	s->connected = true;
	*vfu = s;
	return 0;
}

void plx_vfu_destroy(struct plx_vfu *vfu)
{
	if (!vfu)
		return;
	for (unsigned i = 0; i < MAPS; i++)
		map_free(&vfu->map[i]);
	for (unsigned i = 0; i < PLX_VFU_REGIONS; i++) {
		if (vfu->region[i].mem)
			munmap(vfu->region[i].mem, vfu->region[i].len);
	}
}

int plx_vfu_fd(const struct plx_vfu *vfu)
{
	(void)vfu;
	return -1;
}

bool fake_hushed;

bool plx_vfu_may_say(struct plx_vfu *vfu)
{
	(void)vfu;
	return !fake_hushed;
}

int plx_vfu_poll(struct plx_vfu *vfu)
{
	(void)vfu;
	return 0;
}

bool plx_vfu_connected(const struct plx_vfu *vfu)
{
	return vfu->connected;
}

void *plx_vfu_region_mem(struct plx_vfu *vfu, unsigned region)
{
	assert_non_null(vfu->region[region].mem);
	return vfu->region[region].mem;
}

void *plx_vfu_dma(struct plx_vfu *vfu, uint64_t iova, size_t len, unsigned access)
{
	for (unsigned i = 0; i < MAPS; i++) {
		const uint64_t from = iova - vfu->map[i].iova;

		if (vfu->map[i].mem && from < vfu->map[i].len && len <= vfu->map[i].len - from &&
		    (access & vfu->map[i].access) == access)
			return vfu->map[i].mem + from;
	}
	return NULL;
}

int plx_vfu_dma_read(struct plx_vfu *vfu, uint64_t iova, void *buf, size_t len)
{
	const void *from = plx_vfu_dma(vfu, iova, len, PLX_DMA_READ);

	if (!from)
		return -EFAULT;
	memcpy(buf, from, len);
	return 0;
}

int plx_vfu_dma_write(struct plx_vfu *vfu, uint64_t iova, const void *buf, size_t len)
{
	void *to = plx_vfu_dma(vfu, iova, len, PLX_DMA_WRITE);

	if (!to)
		return -EFAULT;
	memcpy(to, buf, len);
	return 0;
}

void plx_vfu_irq(struct plx_vfu *vfu, unsigned index, unsigned vector)
{
	assert_true(index < PLX_VFU_IRQS && vector < IRQS);
	vfu->raised[index][vector]++;
}

bool plx_vfu_irq_armed(const struct plx_vfu *vfu, unsigned index, unsigned vector)
{
	(void)vector;
	return vfu->armed[index];
}

/*
 * The client.
 */
int fake_access(unsigned card, unsigned region, uint64_t offset, void *buf, size_t len, bool write)
{
	return server[card].ops->access(server[card].model, region, offset, buf, len, write);
}

uint32_t fake_reg(unsigned card, uint32_t offset)
{
	uint32_t value;

	assert_int_equal(fake_access(card, 0, offset, &value, 4, false), 0);
	return value;
}

void fake_reg_set(unsigned card, uint32_t offset, uint32_t value)
{
	assert_int_equal(fake_access(card, 0, offset, &value, 4, true), 0);
}

void *fake_map(unsigned card, uint64_t iova, size_t len, unsigned access)
{
	struct plx_vfu *s = &server[card];

	for (unsigned i = 0; i < MAPS; i++) {
		if (s->map[i].mem)
			continue;
		s->map[i].iova = iova;
		s->map[i].len = len;
		s->map[i].access = access;
		s->map[i].mem = map_make(len);
		return s->map[i].mem;
	}
	fail_msg("too many maps");
	return NULL;
}

void fake_unmap(unsigned card, uint64_t iova)
{
	struct plx_vfu *s = &server[card];

	for (unsigned i = 0; i < MAPS; i++) {
		if (!s->map[i].mem || s->map[i].iova != iova)
			continue;
		map_free(&s->map[i]);
		s->ops->dma_changed(s->model);
		return;
	}
	fail_msg("no such map");
}

void fake_arm(unsigned card, unsigned index, bool armed)
{
	server[card].armed[index] = armed;
}

unsigned fake_irqs(unsigned card, unsigned index, unsigned vector)
{
	const unsigned raised = server[card].raised[index][vector];

	server[card].raised[index][vector] = 0;
	return raised;
}

void fake_leave(unsigned card)
{
	struct plx_vfu *s = &server[card];

	s->connected = false;
	for (unsigned i = 0; i < MAPS; i++) {
		map_free(&s->map[i]);
	}
	s->ops->dma_changed(s->model);
	s->ops->reset(s->model, PLX_VFU_RESET_GONE);
}

/*
 * The log.
 */
static void sink(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	if (level > PLX_LOG_WARN)
		return;
	lines++;
	strncat(said, line, sizeof(said) - 1 - strlen(said));
}

const char *fake_said(unsigned *count)
{
	static char taken[sizeof(said)];

	memcpy(taken, said, sizeof(said));
	said[0] = '\0';
	if (count)
		*count = lines;
	lines = 0;
	return taken;
}

void fake_servers_begin(void)
{
	plx_log_set_sink(sink, NULL);
	servers = 0;
}

void fake_servers_end(void)
{
	fake_hushed = false;
	fake_said(NULL);
	plx_log_set_sink(NULL, NULL);
}

void *fake_at(unsigned card, uint64_t iova, size_t len)
{
	void *mem = plx_vfu_dma(&server[card], iova, len, 0);

	assert_non_null(mem);
	return mem;
}

void *fake_region(unsigned card, unsigned region)
{
	return plx_vfu_region_mem(&server[card], region);
}
