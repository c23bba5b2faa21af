/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL's memory in an address space without devices: every address that EAL hands out translates to
 * what the policy says, and no longer once it is given back.
 */
#include "test_eal.h"

#include <pthread.h>

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_memzone.h>

#include "internal.h"

static enum plx_addr_policy policy;
static const struct plx_xlate *xlate;

static uint64_t expected(const void *va)
{
	return policy == PLX_ADDR_PA ? rte_mem_virt2iova(va) : (uint64_t)(uintptr_t)va;
}

/* Every page of a piece of memory translates as expected; under ALLOC, at one distance. */
static int right(const void *va, size_t len)
{
	uint64_t first = plx_xlate_dma(xlate, va), dma, phys;

	for (size_t at = 0; at < len; at += 4096) {
		const char *here = (const char *)va + at;

		dma = plx_xlate_dma(xlate, here);
		CHECK(dma != PLX_DMA_BAD);
		if (policy == PLX_ADDR_ALLOC)
			CHECK(dma == first + at);
		else
			CHECK(dma == expected(here));
		if (policy == PLX_ADDR_PA) {
			CHECK_OK(plx_phys(here, &phys));
			CHECK(dma == phys);
		}
	}
	CHECK(plx_xlate_dma(xlate, (const char *)va + len - 1) != PLX_DMA_BAD);
	return 0;
}

static int begin(enum plx_addr_policy addr, const char *line, struct plx_ioas **ioas)
{
	int consumed = start(addr, line, ioas);

	policy = addr;
	CHECK(consumed >= 0);
	xlate = plx_ioas_xlate(*ioas);
	CHECK(plx_ioas_policy(*ioas) == addr);
	return 0;
}

/*
 * What EAL gives out, each kind in turn.
 */

/* All that EAL mapped is in a file, and the file is that memory. */
static int files_hold_it(void)
{
	for (unsigned int i = 0; i < asked.count; i++) {
		const struct plx_dma_mem *m = &asked.map[i];
		char *mine = m->va, *again;
		char old = mine[m->len - 1];

		CHECK(m->fd >= 0);
		again = mmap(NULL, m->len, PROT_READ, MAP_SHARED, m->fd, m->fd_offset);
		CHECK(again != MAP_FAILED);
		CHECK(again[m->len - 1] == old);
		mine[m->len - 1] = old ^ 0x55;
		CHECK(again[m->len - 1] == (old ^ 0x55));
		mine[m->len - 1] = old;
		munmap(again, m->len);
	}
	return 0;
}

static int heap_comes_and_goes(void)
{
	static const size_t lens[] = { 64, 4000, 100000, 3 * MIB + 5, 9 * MIB };
	void *at[5];

	for (int i = 0; i < 5; i++) {
		at[i] = rte_zmalloc("test", lens[i], 0);
		CHECK(at[i]);
		CHECK_OK(right(at[i], lens[i]));
	}
	CHECK_OK(files_hold_it());
	for (int i = 0; i < 5; i++)
		rte_free(at[i]);
	return 0;
}

static void check_object(struct rte_mempool *pool, void *arg, void *object, unsigned int index)
{
	int *bad = arg;

	(void)index;
	*bad |= right(object, pool->elt_size);
}

static int pool_comes_and_goes(void)
{
	struct rte_mempool *pool;
	struct rte_mbuf *mbuf;
	int bad = 0;

	pool = rte_pktmbuf_pool_create("packets", 2047, 32, 0, 2176, SOCKET_ID_ANY);
	CHECK(pool);
	CHECK(rte_mempool_obj_iter(pool, check_object, &bad) == 2047);
	CHECK(!bad);
	mbuf = rte_pktmbuf_alloc(pool);
	CHECK(mbuf);
	if (policy != PLX_ADDR_ALLOC)
		CHECK(plx_xlate_dma(xlate, mbuf->buf_addr) == rte_mbuf_iova_get(mbuf));
	rte_pktmbuf_free(mbuf);
	rte_mempool_free(pool);
	return 0;
}

static int zone_comes_and_goes(void)
{
	const struct rte_memzone *zone =
		rte_memzone_reserve("zone", MIB + 1, SOCKET_ID_ANY, RTE_MEMZONE_IOVA_CONTIG);

	CHECK(zone);
	CHECK_OK(right(zone->addr, zone->len));
	CHECK_OK(rte_memzone_free(zone));
	return 0;
}

static int all_kinds(void)
{
	unsigned int at_start;

	CHECK_OK(zone_comes_and_goes());
	CHECK_OK(pool_comes_and_goes()); /* the first pool makes tables that stay */
	at_start = asked.count;
	CHECK_OK(heap_comes_and_goes());
	CHECK_OK(pool_comes_and_goes());
	CHECK_OK(zone_comes_and_goes());
	CHECK(asked.count == at_start);
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

/*
 * Cases, each in a child.
 */

static int no_huge_body(void)
{
	struct plx_ioas *ioas;

	CHECK_OK(begin(PLX_ADDR_VA, "--no-huge -m 64", &ioas));
	CHECK(asked.count == 1);
	CHECK(asked.map[0].len == 64 * MIB);
	CHECK(asked.map[0].page_size == 4096);
	/* A file that a process can be given: what is written through it is there. */
	CHECK(asked.map[0].fd >= 0);
	CHECK(pwrite(asked.map[0].fd, "seen", 4, asked.map[0].fd_offset + 60 * MIB) == 4);
	CHECK(!memcmp((char *)asked.map[0].va + 60 * MIB, "seen", 4));
	return all_kinds();
}

static int huge_va_body(void)
{
	struct plx_ioas *ioas;

	return begin(PLX_ADDR_VA, "", &ioas) || all_kinds();
}

static int huge_alloc_body(void)
{
	struct plx_ioas *ioas;

	return begin(PLX_ADDR_ALLOC, "", &ioas) || all_kinds();
}

static int huge_pa_body(void)
{
	struct plx_ioas *ioas;

	return begin(PLX_ADDR_PA, "", &ioas) || all_kinds();
}

/* What is taken while running is given back while running, page for page. */
static int given_back_body(void)
{
	struct plx_ioas *ioas;
	unsigned int before;
	void *va;

	CHECK_OK(begin(PLX_ADDR_VA, "", &ioas));
	before = asked.count;
	for (int i = 0; i < 3; i++) {
		va = rte_malloc("test", 5 * MIB, 0);
		CHECK(va);
		CHECK(asked.count == before + 1);
		CHECK(asked.map[before].page_size == plx_hugepage_size());
		CHECK(asked.map[before].len >= 5 * MIB);
		rte_free(va);
		CHECK(asked.count == before);
		CHECK(plx_xlate_dma(xlate, va) == PLX_DMA_BAD);
		CHECK(plx_xlate_dma(xlate, (char *)va + 4 * MIB) == PLX_DMA_BAD);
	}
	CHECK(!said("not unmapped"));
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

/* Memory from -m stays, in one run, whatever is allocated and freed in it. */
static int preallocated_body(void)
{
	const struct plx_dma_mem *run;
	struct plx_ioas *ioas;
	unsigned int before;
	void *va;

	CHECK_OK(begin(PLX_ADDR_VA, "-m 16", &ioas));
	before = asked.count;
	va = rte_malloc("test", 5 * MIB, 0);
	CHECK(va);
	run = mapping_of(va);
	CHECK(run && run->len >= 16 * MIB);
	CHECK(asked.count == before);
	rte_free(va);
	CHECK(asked.count == before);
	CHECK(plx_xlate_dma(xlate, va) == (uint64_t)(uintptr_t)va);
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static int external_heap_body(void)
{
	const size_t len = 4 * MIB;
	struct plx_ioas *ioas;
	char *memory;
	void *va;

	CHECK_OK(begin(PLX_ADDR_VA, "", &ioas));
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	CHECK_OK(rte_malloc_heap_create("mine"));
	CHECK_OK(rte_malloc_heap_memory_add("mine", memory, len, NULL, 0, 4096));
	CHECK(mapping_of(memory) && mapping_of(memory)->page_size == 4096);
	CHECK(mapping_of(memory)->fd == -1);
	va = rte_malloc_socket("test", MIB, 0, rte_malloc_heap_get_socket("mine"));
	CHECK(va);
	CHECK_OK(right(va, MIB));
	rte_free(va);
	CHECK_OK(right(memory, len));
	CHECK_OK(rte_malloc_heap_memory_remove("mine", memory, len));
	CHECK(!mapping_of(memory));
	CHECK(plx_xlate_dma(xlate, memory + len / 2) == PLX_DMA_BAD);
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static int registered_body(void)
{
	const size_t len = 4 * MIB;
	struct plx_ioas *ioas;
	char *memory;

	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	memset(memory, 1, len);
	CHECK(plx_extmem_register(memory, len, 4096) == -ENODEV);
	CHECK_OK(begin(PLX_ADDR_VA, "--no-huge -m 32", &ioas));
	CHECK(plx_extmem_register(memory, len, 0) == -EINVAL);
	CHECK(plx_extmem_register(memory, len, 12288) == -EINVAL);
	CHECK(plx_extmem_register(memory, len - 1, 4096) == -EINVAL);
	CHECK(plx_extmem_register(memory + 1, len, 4096) == -EINVAL);
	CHECK(plx_extmem_unregister(memory, len) == -ENOENT);

	CHECK_OK(plx_extmem_register(memory, len, 4096));
	CHECK_OK(right(memory, len));
	CHECK(rte_mem_virt2memseg_list(memory));
	CHECK(rte_mem_virt2iova(memory + 5000) == plx_xlate_dma(xlate, memory + 5000));
	CHECK(plx_extmem_register(memory, len, 4096) == -EEXIST);
	CHECK(plx_extmem_unregister(memory, len / 2) == -ENOENT);
	CHECK_OK(plx_extmem_unregister(memory, len));
	CHECK(plx_xlate_dma(xlate, memory) == PLX_DMA_BAD);
	CHECK(!rte_mem_virt2memseg_list(memory));

	/* What EAL refuses is not left mapped. */
	CHECK_OK(rte_extmem_register(memory, len, NULL, 0, 4096));
	CHECK(plx_extmem_register(memory, len, 4096) == -EEXIST);
	CHECK(!mapping_of(memory));
	CHECK_OK(rte_extmem_unregister(memory, len));
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static int registered_pa_body(void)
{
	struct plx_arena_opts opts = { .len = 2 * plx_hugepage_size(), .node = PLX_NODE_ANY };
	struct plx_arena *arena;
	struct plx_ioas *ioas;
	uint64_t phys;

	CHECK_OK(begin(PLX_ADDR_PA, "", &ioas));
	CHECK_OK(plx_arena_create(&opts, &arena));
	CHECK_OK(plx_extmem_register(arena->va, arena->len, arena->page_size));
	CHECK_OK(right(arena->va, arena->len));
	CHECK_OK(plx_phys(arena->va, &phys));
	CHECK(rte_mem_virt2memseg(arena->va, NULL)->iova == phys);
	CHECK_OK(plx_extmem_unregister(arena->va, arena->len));
	plx_arena_destroy(arena);
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

/* Memory that can't be mapped stays EAL's, is said to be out of reach, and can be freed. */
static int out_of_reach_body(void)
{
	struct plx_ioas *ioas;
	void *va;

	CHECK_OK(begin(PLX_ADDR_VA, "", &ioas));
	asked.fail_map = -ENOMEM;
	va = rte_malloc("test", 3 * MIB, 0);
	CHECK(va);
	CHECK(said("out of reach for devices, and packet buffers in there will be refused: the "
		   "test says no"));
	CHECK(plx_xlate_dma(xlate, va) == PLX_DMA_BAD);
	rte_free(va);
	va = rte_malloc("test", 3 * MIB, 0);
	CHECK_OK(right(va, 3 * MIB));
	rte_free(va);
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static int start_fails_body(void)
{
	struct plx_ioas *ioas = NULL;

	asked.fail_map = -ENOMEM;
	CHECK(start(PLX_ADDR_VA, "--no-huge -m 32", &ioas) == -ENOMEM);
	CHECK(!ioas);
	CHECK(said("EAL's memory can't be mapped for devices: the test says no"));
	CHECK(start(PLX_ADDR_VA, "--no-huge -m 32", &ioas) == -EALREADY);
	CHECK(plx_eal_cleanup() == -EINVAL);
	return 0;
}

/* It can't happen with EAL 22.11 and the options we give: so it must be seen if it does. */
static int part_freed_body(void)
{
	struct plx_ioas *ioas;
	char *va;

	CHECK_OK(begin(PLX_ADDR_VA, "--no-huge -m 32", &ioas));
	va = asked.map[0].va;
	plx_eal_runs_unmap_range(va + 4096, 4096);
	CHECK(said("EAL frees 4 KiB at"));
	CHECK(said("a part of the 32768 KiB"));
	CHECK_OK(right(va, 32 * MIB));
	plx_eal_runs_unmap_range(va, 32 * MIB);
	CHECK(plx_xlate_dma(xlate, va) == PLX_DMA_BAD);
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static void *come_and_go(void *arg)
{
	size_t len = *(size_t *)arg;

	*(size_t *)arg = 0; /* failed, until the end is reached */
	for (int i = 0; i < 100; i++) {
		void *va = rte_malloc("test", len, 0);

		if (!va || right(va, len))
			return NULL;
		rte_free(va);
	}
	*(size_t *)arg = len;
	return NULL;
}

static int threads_body(void)
{
	size_t len[3] = { 2 * MIB, 3 * MIB, 100000 };
	pthread_t thread[3];
	struct plx_ioas *ioas;
	char *memory;

	CHECK_OK(begin(PLX_ADDR_VA, "", &ioas));
	memory = aligned_alloc(2 * MIB, 2 * MIB);
	CHECK(memory);
	memset(memory, 0, 2 * MIB);
	for (int i = 0; i < 3; i++)
		CHECK_OK(pthread_create(&thread[i], NULL, come_and_go, &len[i]));
	for (int i = 0; i < 100; i++) {
		CHECK_OK(plx_extmem_register(memory, 2 * MIB, 4096));
		CHECK_OK(plx_extmem_unregister(memory, 2 * MIB));
	}
	for (int i = 0; i < 3; i++) {
		CHECK_OK(pthread_join(thread[i], NULL));
		CHECK(len[i]);
	}
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

/*
 * What a case needs, and what it must leave.
 */

#define ROOM 16 /* hugepages */

static void with_hugepages(int (*body)(void))
{
	size_t page = plx_hugepage_size();
	uint64_t before = free_pages(page);

	if (page != 2 * MIB || before < ROOM)
		skip_because("%d free hugepages of 2 MiB wanted, %llu of %zu KiB there", ROOM,
			     (unsigned long long)before, page >> 10);
	in_child(body);
	assert_int_equal(free_pages(page), before);
}

static void with_physical(int (*body)(void))
{
	uint64_t phys = 0;

	if (plx_phys(&phys, &phys))
		skip_because("no physical addresses: CAP_SYS_ADMIN wanted");
	with_hugepages(body);
}

#define CASE(name, how)                \
	static void name(void **state) \
	{                              \
		(void)state;           \
		how(name##_body);      \
	}

CASE(no_huge, in_child)
CASE(huge_va, with_hugepages)
CASE(huge_alloc, with_hugepages)
CASE(huge_pa, with_physical)
CASE(given_back, with_hugepages)
CASE(preallocated, with_hugepages)
CASE(external_heap, with_hugepages)
CASE(registered, in_child)
CASE(registered_pa, with_physical)
CASE(out_of_reach, with_hugepages)
CASE(start_fails, in_child)
CASE(part_freed, in_child)
CASE(threads, with_hugepages)

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(no_huge),	 cmocka_unit_test(huge_va),
		cmocka_unit_test(huge_alloc),	 cmocka_unit_test(huge_pa),
		cmocka_unit_test(given_back),	 cmocka_unit_test(preallocated),
		cmocka_unit_test(external_heap), cmocka_unit_test(registered),
		cmocka_unit_test(registered_pa), cmocka_unit_test(out_of_reach),
		cmocka_unit_test(start_fails),	 cmocka_unit_test(part_freed),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests_name("eal-memory", cases, NULL, NULL);
}
