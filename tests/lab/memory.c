/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab-memory: what an address space promises, on real kernels and with real DMA by two NVMe
 * controllers.
 *
 *      lab-memory CHECK MODE ADDRESS ADDRESS
 *
 * The last line of the output says how it went, as that of lab-probe does. Lines "stray 0x..." name
 * device addresses at which the IOMMU must have stopped a device. A check is skipped where the
 * kernel or the IOMMU lacks what it is about; test_memory.py knows where that may be.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"
#include "sys.h"

#define HUGE	  ((size_t)2 << 20)
#define ARENAS	  8
#define UNTOUCHED 0x5a

static struct plx_pci_bus *bus;
static struct plx_ioas *ioas;
static struct plx_pci *dev[2];
static const char *names[2];
static enum plx_vfio_mode mode;
static struct plx_policy policy;

static int take(struct plx_pci *pci)
{
	dev[strcmp(pci->name, names[0]) != 0] = pci;
	return 0;
}

static void leave(struct plx_pci *pci)
{
	(void)pci;
}

static const struct plx_pci_id any_ids[] = { PLX_PCI_ID(PLX_PCI_ANY_ID, PLX_PCI_ANY_ID), { 0 } };
static struct plx_pci_driver any = {
	.name = "lab-memory",
	.ids = any_ids,
	.probe = take,
	.remove = leave,
};

PLX_PCI_DRIVER(any)

static int attach(unsigned which)
{
	int err = plx_pci_attach(bus, names[which]);

	return err ? probe_fail("claiming %s: %s", names[which], strerror(-err)) : 0;
}

static int make_arena(struct plx_arena **arena)
{
	const struct plx_arena_opts opts = { .len = HUGE, .node = PLX_NODE_ANY };

	return plx_arena_create(&opts, arena)
		       ? probe_fail("no memory to test with: %s", probe_last_error)
		       : 0;
}

static int map_arena(const struct plx_arena *arena, unsigned access)
{
	const struct plx_dma_mem mem = {
		.va = arena->va,
		.len = arena->len,
		.page_size = arena->page_size,
		.fd = arena->fd,
		.access = access,
	};
	int err = plx_ioas_map(ioas, &mem, NULL);

	return err ? probe_fail("mapping %zu bytes: %s", mem.len, probe_last_error) : 0;
}

static int unmap_arena(const struct plx_arena *arena)
{
	int err = plx_ioas_unmap(ioas, arena->va, arena->len);

	return err ? probe_fail("unmapping: %s", strerror(-err)) : 0;
}

static uint64_t dma_of(const void *va)
{
	return plx_xlate_dma(plx_ioas_xlate(ioas), va);
}

/* A controller reaches memory: what it writes there is its identity. */
static int reaches(struct probe_nvme *nvme, const uint8_t *va, uint64_t dma)
{
	int ret;

	memset((void *)(uintptr_t)va, UNTOUCHED, PROBE_IDENTIFY_LEN);
	ret = probe_nvme_identify(nvme, dma);
	if (!ret && (va[0] | va[1] << 8) != nvme->pci->id.vendor)
		ret = probe_fail("%s says that it wrote to 0x%" PRIx64 ", and nothing arrived",
				 nvme->pci->name, dma);
	return ret;
}

/* It doesn't: whatever it says, nothing has changed. */
static int changes_nothing(struct probe_nvme *nvme, const uint8_t *va, uint64_t dma)
{
	unsigned i;

	memset((void *)(uintptr_t)va, UNTOUCHED, PROBE_IDENTIFY_LEN);
	probe_nvme_identify(nvme, dma);
	if (nvme->stuck)
		return PROBE_FAIL;
	for (i = 0; i < PROBE_IDENTIFY_LEN; i++)
		if (va[i] != UNTOUCHED)
			return probe_fail("%s wrote to 0x%" PRIx64 ", where it may not",
					  nvme->pci->name, dma);
	return 0;
}

/* And the IOMMU says so. */
static int is_kept_out(struct probe_nvme *nvme, const uint8_t *va, uint64_t dma)
{
	int ret = changes_nothing(nvme, va, dma);

	if (!ret)
		printf("stray 0x%" PRIx64 "\n", dma);
	return ret;
}

/* Hugepages that come while a device is at work, and go again. */
static int check_come_and_go(void)
{
	struct probe_nvme nvme = { 0 };
	struct plx_arena *arena[2];
	int ret = probe_nvme_on(&nvme, dev[0], ioas);
	uint64_t dma[2];
	unsigned i;

	for (i = 0; !ret && i < 2; i++) {
		ret = make_arena(&arena[i]);
		ret = ret ? ret : map_arena(arena[i], 0);
		if (ret)
			return ret;
		dma[i] = dma_of(arena[i]->va);
		ret = reaches(&nvme, arena[i]->va, dma[i]);
	}
	ret = ret ? ret : unmap_arena(arena[0]);
	if (ret)
		return ret;
	if (!plx_vfio_mode_unsafe(mode))
		ret = is_kept_out(&nvme, arena[0]->va, dma[0]);
	else
		probe_ok("nothing keeps a device out of memory without an IOMMU");
	/* The other one is reached as before, and so is what comes in its place. */
	ret = ret ? ret : reaches(&nvme, arena[1]->va, dma[1]);
	plx_arena_destroy(arena[0]);
	ret = ret ? ret : make_arena(&arena[0]);
	ret = ret ? ret : map_arena(arena[0], 0);
	ret = ret ? ret : reaches(&nvme, arena[0]->va, dma_of(arena[0]->va));
	probe_nvme_off(&nvme);
	return ret;
}

static int reaches_all(unsigned which, struct plx_arena *const *arena)
{
	struct probe_nvme nvme = { 0 };
	int ret = probe_nvme_on(&nvme, dev[which], ioas);
	unsigned i;

	if (ret)
		return ret;
	for (i = 0; !ret && i < ARENAS; i++)
		ret = reaches(&nvme, arena[i]->va, dma_of(arena[i]->va));
	probe_nvme_off(&nvme);
	if (!ret)
		probe_ok("%s reaches all of it", names[which]);
	return ret;
}

/* Arenas, mapped. */
static int make_all(struct plx_arena **arena)
{
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < ARENAS; i++) {
		ret = make_arena(&arena[i]);
		ret = ret ? ret : map_arena(arena[i], 0);
	}
	return ret;
}

/* A late device sees all memory; the last one leaves and another comes. */
static int check_late_comers(void)
{
	struct plx_arena *arena[ARENAS];
	int ret;

	plx_pci_detach(dev[0]);
	plx_pci_detach(dev[1]);
	ret = make_all(arena);
	ret = ret ? ret : attach(0);
	ret = ret ? ret : reaches_all(0, arena);
	ret = ret ? ret : attach(1);
	ret = ret ? ret : reaches_all(1, arena);
	if (ret)
		return ret;
	plx_pci_detach(dev[0]);
	ret = reaches_all(1, arena);
	if (ret)
		return ret;
	plx_pci_detach(dev[1]);
	ret = attach(0);
	return ret ? ret : reaches_all(0, arena);
}

/* A submission queue is memory that a device only reads. */
static int check_read_only(void)
{
	struct probe_nvme nvme = { 0 };
	struct plx_arena *arena, *data;
	int ret;

	ret = make_arena(&arena);
	ret = ret ? ret : map_arena(arena, PLX_DMA_READ);
	ret = ret ? ret : make_arena(&data);
	ret = ret ? ret : map_arena(data, 0);
	if (ret)
		return ret;
	nvme.sq = (struct plx_dma){ .va = arena->va, .dma = dma_of(arena->va), .len = 4096 };
	ret = probe_nvme_on(&nvme, dev[0], ioas);
	if (ret)
		return ret;
	ret = reaches(&nvme, data->va, dma_of(data->va));
	if (!ret)
		probe_ok("commands are read from memory that is mapped for reading");
	/* QEMU's IOMMU stops such a write without a word. */
	ret = ret ? ret
		  : changes_nothing(&nvme, (uint8_t *)arena->va + 8192,
				    dma_of((uint8_t *)arena->va + 8192));
	if (!ret)
		probe_ok("nothing is written to it");
	probe_nvme_off(&nvme);
	return ret;
}

/* The controller memory buffer of the second controller, written to by the first. */
static int check_peer(void)
{
	struct probe_nvme nvme = { 0 };
	struct plx_pci_bar bar;
	struct plx_dma peer;
	int err, ret = 0;

	err = plx_pci_bar(dev[1], 2, 4096, &bar);
	if (err)
		return probe_fail("%s has no memory in BAR 2: %s", names[1], strerror(-err));
	err = plx_vfio_peer_map(dev[1]->vfio, 2, 0, PROBE_IDENTIFY_LEN, &peer, NULL);
	if (err == -EOPNOTSUPP) {
		probe_fail("%s", probe_last_error);
		return PROBE_SKIP;
	}
	if (err)
		return probe_fail("peer to peer: %s: %s", strerror(-err), probe_last_error);
	ret = probe_nvme_on(&nvme, dev[0], ioas);
	if (ret)
		return ret;
	ret = reaches(&nvme, peer.va, peer.dma);
	if (!ret) {
		uint64_t dma = peer.dma;
		const uint8_t *va = peer.va;

		probe_ok("%s writes to the memory of %s", names[0], names[1]);
		err = plx_vfio_peer_unmap(dev[1]->vfio, &peer);
		ret = err ? probe_fail("unmapping it: %s", strerror(-err))
			  : is_kept_out(&nvme, va, dma);
	}
	/* After a reset it is mapped again. */
	err = ret ? 0 : plx_pci_reset(dev[1]);
	err = err ? err : plx_vfio_peer_map(dev[1]->vfio, 2, 0, PROBE_IDENTIFY_LEN, &peer, NULL);
	if (err)
		ret = probe_fail("after a reset: %s", strerror(-err));
	ret = ret ? ret : reaches(&nvme, peer.va, peer.dma);
	if (!ret)
		probe_ok("and again after a reset");
	probe_nvme_off(&nvme);
	return ret;
}

static int check_dirty(void)
{
	uint64_t bits[PLX_DIRTY_WORDS(512)] = { 0 };
	unsigned i, count = 0, pages = HUGE / sysconf(_SC_PAGESIZE);
	struct probe_nvme nvme = { 0 };
	struct plx_arena *arena;
	int err, ret;

	ret = make_arena(&arena);
	ret = ret ? ret : map_arena(arena, 0);
	if (ret)
		return ret;
	err = plx_ioas_dirty_start(ioas, NULL);
	if (err == -EOPNOTSUPP) {
		probe_fail("%s", probe_last_error);
		return PROBE_SKIP;
	}
	if (err)
		return probe_fail("starting: %s", strerror(-err));
	ret = probe_nvme_on(&nvme, dev[0], ioas);
	ret = ret ? ret : reaches(&nvme, arena->va, dma_of(arena->va));
	if (ret)
		return ret;
	err = plx_ioas_dirty_read(ioas, arena->va, arena->len, bits);
	for (i = 0; i < pages / 64; i++)
		count += __builtin_popcountll(bits[i]);
	probe_nvme_off(&nvme);
	if (err)
		return probe_fail("reading: %s", strerror(-err));
	if (!(bits[0] & 1))
		return probe_fail("the page that was written to is not among %u dirty ones", count);
	probe_ok("%u of %u pages are dirty, the one that was written to among them", count, pages);
	err = plx_ioas_dirty_stop(ioas);
	err = err ? err : plx_ioas_dirty_read(ioas, arena->va, arena->len, bits);
	return err == -ENODATA ? 0 : probe_fail("after the end: %s", strerror(-err));
}

/*
 * The kernel, but for one attachment that is refused, as devices' that can't share an IOAS are.
 */
static struct plx_sys bent;
static unsigned refusals, copies;

static int bent_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	if (request == _IO(';', 100 + 19) && refusals) { /* VFIO_DEVICE_ATTACH_IOMMUFD_PT */
		refusals--;
		errno = EINVAL;
		return -1;
	}
	ret = plx_sys_kernel.ioctl(fd, request, arg);
	copies += request == _IO(';', 0x83) && !ret; /* IOMMU_IOAS_COPY */
	return ret;
}

static int check_copy(void)
{
	struct plx_arena *arena[ARENAS];
	struct plx_ioas_usage usage;
	int ret;

	plx_pci_detach(dev[1]);
	ret = make_all(arena);
	if (ret)
		return ret;
	bent = plx_sys_kernel;
	bent.ioctl = bent_ioctl;
	plx_sys = &bent;
	refusals = 1;
	ret = attach(1);
	plx_ioas_usage(ioas, &usage);
	if (!ret && usage.contexts != 2)
		ret = probe_fail("%u contexts, 2 wanted", usage.contexts);
	if (!ret && copies != ARENAS)
		ret = probe_fail("%u of %d maps were copied", copies, ARENAS);
	if (ret)
		return ret;
	probe_ok("%u maps are copied from one IOAS to the other", copies);
	ret = reaches_all(1, arena);
	ret = ret ? ret : reaches_all(0, arena);
	if (ret)
		return ret;
	plx_pci_detach(dev[0]); /* where they came from */
	return reaches_all(1, arena);
}

static int check_unmap_all(void)
{
	struct plx_arena *arena[ARENAS];
	struct plx_ioas_usage empty, full, after;
	struct probe_nvme nvme = { 0 };
	int err, ret;

	plx_ioas_usage(ioas, &empty);
	ret = make_all(arena);
	if (ret)
		return ret;
	plx_ioas_usage(ioas, &full);
	err = plx_ioas_unmap_all(ioas);
	plx_ioas_usage(ioas, &after);
	if (err)
		return probe_fail("taking it all back: %s", strerror(-err));
	if (full.maps != ARENAS || full.bytes != ARENAS * HUGE || after.maps || after.bytes ||
	    after.maps_left != empty.maps_left)
		return probe_fail("%" PRIu64 " maps, then %" PRIu64, full.maps, after.maps);
	if (empty.maps_left != UINT64_MAX && full.maps_left != empty.maps_left - ARENAS)
		return probe_fail("%" PRIu64 " maps were left, then %" PRIu64, empty.maps_left,
				  full.maps_left);
	probe_ok("%" PRIu64 " maps taken back, %" PRIu64 " possible", full.maps, after.maps_left);
	ret = map_arena(arena[0], 0);
	ret = ret ? ret : probe_nvme_on(&nvme, dev[0], ioas);
	ret = ret ? ret : reaches(&nvme, arena[0]->va, dma_of(arena[0]->va));
	ret = ret ? ret : is_kept_out(&nvme, arena[1]->va, (uintptr_t)arena[1]->va);
	probe_nvme_off(&nvme);
	return ret;
}

/* Page by page, until there are no more to be had: what is said is for the test to read. */
static int check_limit(void)
{
	size_t page = sysconf(_SC_PAGESIZE), len = 256 << 20, at;
	char *va = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct plx_ioas_usage usage;
	int err = 0;

	if (va == MAP_FAILED)
		return probe_fail("no addresses");
	/* Memory at the end that is locked anyhow: some count it, too. */
	len -= HUGE;
	if (mlock(va + len, HUGE))
		return probe_fail("mlock: %s", strerror(errno));
	for (at = 0; !err && at < len; at += HUGE) {
		struct plx_dma_mem mem = { .va = va + at, .len = HUGE - page, .fd = -1 };

		plx_ioas_usage(ioas, &usage);
		err = plx_ioas_map(ioas, &mem, NULL);
		if (err && usage.maps_left && usage.bytes_left >= mem.len)
			return probe_fail("refused with %" PRIu64 " maps and %" PRIu64
					  " bytes left: %s",
					  usage.maps_left, usage.bytes_left, strerror(-err));
	}
	if (!err)
		return probe_fail("there is no limit");
	probe_ok("the limit was foreseen (%" PRIu64 " maps, %" PRIu64 " bytes left): %s",
		 usage.maps_left, usage.bytes_left, probe_last_error);
	return 0;
}

/* Memory where the IOMMU has none: the window of message-signalled interrupts. */
static int check_hole(void)
{
	const uintptr_t window = 0xfee00000;
	struct plx_dma_mem mem = { .len = HUGE, .fd = -1 };
	struct probe_nvme nvme = { 0 };
	int err, ret;

	mem.va = mmap((void *)window, HUGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
	if (mem.va == MAP_FAILED)
		return probe_fail("no memory at 0x%zx: %s", window, strerror(errno));
	err = plx_ioas_map(ioas, &mem, NULL);
	if (plx_ioas_policy(ioas) == PLX_ADDR_VA)
		return err == -ENOSPC ? (probe_ok("refused: %s", probe_last_error), 0)
				      : probe_fail("mapping a hole returned %d", err);
	if (err)
		return probe_fail("mapping it elsewhere: %s", strerror(-err));
	ret = probe_nvme_on(&nvme, dev[0], ioas);
	ret = ret ? ret : reaches(&nvme, mem.va, dma_of(mem.va));
	probe_nvme_off(&nvme);
	if (!ret)
		probe_ok("elsewhere, at 0x%" PRIx64, dma_of(mem.va));
	return ret;
}

/* Rings are where the device is. */
static int check_node(void)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct probe_nvme nvme = { 0 };
		struct plx_dma ring;
		int node, err, ret;

		if (dev[i]->node != (int)i)
			return probe_fail("%s is on node %d", names[i], dev[i]->node);
		err = plx_dma_alloc(ioas, HUGE, 4096, dev[i]->node, &ring);
		if (err)
			return probe_fail("a ring on node %u: %s", i, probe_last_error);
		node = plx_node_of(ring.va);
		if (node != (int)i)
			return probe_fail("a ring for node %u is on %d", i, node);
		ret = probe_nvme_on(&nvme, dev[i], ioas);
		if (ret)
			return ret;
		if (plx_node_of(nvme.cq.va) != (int)i)
			ret = probe_fail("the queues of %s are on another node", names[i]);
		ret = ret ? ret : reaches(&nvme, ring.va, ring.dma);
		probe_nvme_off(&nvme);
		plx_dma_free(ioas, &ring);
		if (ret)
			return ret;
		probe_ok("%s, its queues and its buffer are on node %u", names[i], i);
	}
	return 0;
}

/*
 * Registers whose decoding is turned off under a mapping: they read as ones, and that device is
 * lost. The other one isn't.
 */
static int check_decoding(void)
{
	const unsigned command = 0x04; /* PCI Local Bus 3.0, 6.2.2: bit 1, memory space */
	struct probe_nvme nvme = { 0 };
	struct plx_pci_bar bar;
	struct plx_arena *arena;
	uint32_t version;
	int err, ret;

	err = plx_pci_bar(dev[0], 0, 4096, &bar);
	if (err)
		return probe_fail("BAR 0: %s", strerror(-err));
	version = plx_pci_read32(&bar, 8);
	if (version == UINT32_MAX || plx_pci_event(dev[0]) != PLX_VFIO_EVENT_NONE)
		return probe_fail("version %08x to begin with", version);
	plx_pci_cfg_write16(dev[0], command, plx_pci_cfg_read16(dev[0], command) & ~2u);
	if (plx_pci_read32(&bar, 8) != UINT32_MAX)
		return probe_fail("registers can be read without decoding");
	plx_pci_write32(&bar, 0x14, 1);
	if (plx_pci_event(dev[0]) != PLX_VFIO_EVENT_GONE)
		return probe_fail("nobody is told");
	probe_ok("told: %s", probe_last_error);
	plx_pci_detach(dev[0]);
	ret = attach(0);
	if (!ret && (plx_pci_bar(dev[0], 0, 4096, &bar) || plx_pci_read32(&bar, 8) != version))
		ret = probe_fail("claimed again, version %08x", plx_pci_read32(&bar, 8));
	ret = ret ? ret : make_arena(&arena);
	if (ret)
		return ret;
	ret = map_arena(arena, PLX_DMA_RW);
	ret = ret ? ret : probe_nvme_on(&nvme, dev[0], ioas);
	ret = ret ? ret : reaches(&nvme, arena->va, dma_of(arena->va));
	probe_nvme_off(&nvme);
	ret = ret ? ret : unmap_arena(arena);
	plx_arena_destroy(arena);
	return ret;
}

/* 4 GiB in hugepages, in pieces of the size asked for: nanoseconds, or instructions. */
static int check_cost(void)
{
	static const size_t pieces[] = { 1, 16, 256, 2048 };
	const struct plx_arena_opts opts = { .len = 2048 * HUGE, .node = PLX_NODE_ANY };
	struct plx_arena *arena;
	unsigned i;

	if (plx_arena_create(&opts, &arena)) {
		probe_fail("%s", probe_last_error);
		return PROBE_SKIP;
	}
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t count = pieces[i], len = arena->len / count, at;
		uint64_t start = __builtin_ia32_rdtsc(), mapped, done;

		for (at = 0; at < arena->len; at += len) {
			struct plx_dma_mem mem = { .va = (char *)arena->va + at,
						   .len = len,
						   .page_size = HUGE,
						   .fd = arena->fd,
						   .fd_offset = at };

			if (plx_ioas_map(ioas, &mem, NULL))
				return probe_fail("mapping: %s", probe_last_error);
		}
		mapped = __builtin_ia32_rdtsc();
		for (at = 0; at < arena->len; at += len)
			if (plx_ioas_unmap(ioas, (char *)arena->va + at, len))
				return probe_fail("unmapping: %s", probe_last_error);
		done = __builtin_ia32_rdtsc();
		printf("cost %zu %" PRIu64 " %" PRIu64 "\n", count, mapped - start, done - mapped);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*check)(void);
} checks[] = {
	{ "come-and-go", check_come_and_go },
	{ "late-comers", check_late_comers },
	{ "read-only", check_read_only },
	{ "peer", check_peer },
	{ "dirty", check_dirty },
	{ "copy", check_copy },
	{ "unmap-all", check_unmap_all },
	{ "limit", check_limit },
	{ "hole", check_hole },
	{ "node", check_node },
	{ "decoding", check_decoding },
	{ "cost", check_cost },
};

static int run(int (*check)(void), const char *mode_name)
{
	char *args[] = { (char *)"lab-memory",
			 (char *)"-a",
			 (char *)names[0],
			 (char *)"-a",
			 (char *)names[1],
			 (char *)"--vfio-mode",
			 (char *)mode_name,
			 (char *)"--allow-noiommu",
			 NULL };
	int argc = sizeof(args) / sizeof(args[0]) - 1, err, ret;

	err = plx_pci_scan(&argc, args, &bus);
	err = err ? err : plx_pci_policy(bus, &policy);
	policy.track_dirty = check == check_dirty;
	err = err ? err : plx_ioas_create(&policy, &ioas);
	err = err ? err : plx_pci_probe(bus, ioas);
	if (err < 0)
		return probe_fail("%s", probe_last_error);
	if (!dev[0] || !dev[1])
		return probe_fail("two devices are needed");
	probe_ok("addresses %s: %s", plx_addr_policy_name(policy.addr), policy.reason);
	ret = check();
	plx_sys = &plx_sys_kernel;
	plx_pci_cleanup(bus);
	err = plx_ioas_destroy(ioas);
	if (!ret && err)
		ret = probe_fail("the address space can't be destroyed: %s", strerror(-err));
	return ret;
}

int main(int argc, char **argv)
{
	int (*check)(void) = NULL;
	unsigned i;
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; argc == 5 && i < sizeof(checks) / sizeof(checks[0]); i++)
		if (!strcmp(argv[1], checks[i].name))
			check = checks[i].check;
	if (!check || plx_vfio_mode_parse(argv[2], &mode)) {
		printf("usage: lab-memory CHECK MODE ADDRESS ADDRESS\n");
		return 2;
	}
	names[0] = argv[3];
	names[1] = argv[4];
	plx_log_set_sink(probe_log, NULL);
	plx_log_set_level(PLX_LOG_INFO);
	ret = run(check, argv[2]);
	switch (ret) {
	case PROBE_PASS: printf("pass: %s in mode %s\n", argv[1], argv[2]); break;
	case PROBE_SKIP: printf("skip: %s\n", probe_why); break;
	default: printf("FAIL: %s\n", probe_why); break;
	}
	return ret;
}
