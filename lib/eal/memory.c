/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL's memory in the address space.
 *
 * EAL keeps memory in lists of segments, a segment being one page. What it has at start is walked;
 * what comes and goes later is announced by events. Memory is mapped in runs, and a run is what
 * will be freed together, for only whole mappings can be taken back:
 *
 *  - Pages from -m and --socket-mem are never freed (RTE_MEMSEG_FLAG_DO_NOT_FREE), nor is anything
 *    under --legacy-mem and --no-huge: neighbours make one run.
 *  - Any other page found at start was taken by EAL for its own structures: each is a run.
 *  - An allocation event is a run. --match-allocations (args.c) makes EAL free it whole.
 *  - So is a piece of external memory: EAL gives it back whole.
 *
 * A run carries a file descriptor if one file holds all of it in order, as --single-file-segments
 * (args.c) makes it. It is EAL's, and open for as long as the run lives.
 *
 * Locks: EAL announces under its memory lock. Below it comes that of the runs (runs.c), below that
 * the address space's. Nothing here may allocate from EAL's heaps.
 */
#include <errno.h>
#include <string.h>

#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include <pollux/log.h>

#include "internal.h"

#define CALLBACK_NAME "pollux"

/*
 * Gathering segments into runs.
 */

struct gather {
	const struct rte_memseg_list *list;
	struct plx_dma_mem mem; /* len 0: empty */
	bool open;		/* the next segment may join */
	bool all_static;
	struct plx_refusal why; /* of the run that could not be mapped */
};

/* The file that holds a segment, or -1. */
static int segment_fd(const struct rte_memseg *seg, size_t *offset)
{
	int fd = rte_memseg_get_fd_thread_unsafe(seg);

	if (fd < 0 || rte_memseg_get_fd_offset_thread_unsafe(seg, offset) < 0)
		return -1;
	return fd;
}

static void begin_run(struct gather *gather, const struct rte_memseg_list *list,
		      const struct rte_memseg *seg)
{
	size_t offset = 0;

	gather->list = list;
	gather->mem.va = seg->addr;
	gather->mem.len = seg->len;
	gather->mem.page_size = list->page_sz;
	gather->mem.fd = segment_fd(seg, &offset);
	gather->mem.fd_offset = offset;
}

static void extend_run(struct gather *gather, const struct rte_memseg *seg)
{
	struct plx_dma_mem *mem = &gather->mem;
	size_t offset = 0;

	if (mem->fd >= 0 &&
	    (segment_fd(seg, &offset) != mem->fd || offset != mem->fd_offset + mem->len))
		mem->fd = -1;
	mem->len += seg->len;
}

static int flush_run(struct gather *gather)
{
	int err = gather->mem.len ? plx_eal_run_map(&gather->mem, &gather->why) : 0;

	gather->mem.len = 0;
	return err;
}

static int gather_segment(const struct rte_memseg_list *list, const struct rte_memseg *seg,
			  void *arg)
{
	struct gather *gather = arg;
	bool joins = gather->all_static || seg->flags & RTE_MEMSEG_FLAG_DO_NOT_FREE;
	int err;

	if (gather->mem.len && gather->open && joins && gather->list == list &&
	    (char *)gather->mem.va + gather->mem.len == seg->addr) {
		extend_run(gather, seg);
		return 0;
	}
	err = flush_run(gather);
	begin_run(gather, list, seg);
	gather->open = joins;
	return err;
}

/* The run of one event: its segments follow one another in one list. */
static int map_event(void *va, size_t len, struct plx_refusal *why)
{
	const struct rte_memseg_list *list = rte_mem_virt2memseg_list(va);
	struct gather gather = { 0 };
	const struct rte_memseg *seg;
	int err;

	if (!list)
		return -ENOENT;
	for (size_t at = 0; at < len; at += list->page_sz) {
		seg = rte_mem_virt2memseg((char *)va + at, list);
		if (!seg)
			return -ENOENT;
		if (at)
			extend_run(&gather, seg);
		else
			begin_run(&gather, list, seg);
	}
	err = flush_run(&gather);
	*why = gather.why;
	return err;
}

static const char *reason(const struct plx_refusal *why, int err)
{
	return why->code == PLX_REFUSED_NONE ? strerror(-err) : why->text;
}

/*
 * EAL can't be refused from here: memory that couldn't be mapped stays in its heap. Looking it up
 * gives PLX_DMA_BAD, so that drivers won't take it, and it will do for everything but DMA.
 */
static void on_event(enum rte_mem_event event, const void *addr, size_t len, void *arg)
{
	struct plx_refusal why = { 0 };
	int err;

	(void)arg;
	if (event != RTE_MEM_EVENT_ALLOC) {
		plx_eal_runs_unmap_range(addr, len);
		return;
	}
	err = map_event((void *)(uintptr_t)addr, len, &why);
	if (err)
		plx_err("%zu KiB that EAL added at %p are out of reach for devices, and packet "
			"buffers in there will be refused: %s",
			len >> 10, addr, reason(&why, err));
}

int plx_eal_memory_start(struct plx_ioas *ioas, bool static_memory)
{
	struct gather gather = { .all_static = static_memory };
	int err;

	plx_eal_runs_start(ioas);
	/* Nothing may come or go between the walk and the first event. */
	rte_mcfg_mem_read_lock();
	err = rte_memseg_walk_thread_unsafe(gather_segment, &gather);
	if (!err)
		err = flush_run(&gather);
	if (err) {
		plx_err("EAL's memory can't be mapped for devices: %s", reason(&gather.why, err));
	} else if (!static_memory &&
		   rte_mem_event_callback_register(CALLBACK_NAME, on_event, NULL)) {
		err = rte_errno ? -rte_errno : -EIO;
		plx_err("EAL refuses to announce its memory: %s", strerror(-err));
	}
	rte_mcfg_mem_read_unlock();
	return err;
}

int plx_eal_memory_stop(void)
{
	int err = plx_eal_runs_stop();

	/*
	 * Only now: an event under way may hold the lock of the callbacks and wait for the runs'.
	 */
	if (err != -EBUSY)
		rte_mem_event_callback_unregister(CALLBACK_NAME, NULL);
	return err;
}
