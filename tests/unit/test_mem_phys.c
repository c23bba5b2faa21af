/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical addresses: the machine's own, and those of a made-up pagemap (pread() of lib/mem is
 * wrapped), where pages can be laid out, moved and hidden at will.
 */
#include "test_mem.h"

#include <sys/mman.h>

#define FAKE_VA	   0x10000000
#define FAKE_PAGES 64
#define PRESENT	   (UINT64_C(1) << 63)

static struct {
	bool on;
	uint64_t entry[FAKE_PAGES];
	unsigned int reads, move_after; /* after so many reads, entry[moved] is next_entry */
	unsigned int moved;
	uint64_t next_entry;
	int err;
} fake;

ssize_t __real_pread64(int fd, void *buf, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset);

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset)
{
	size_t at = offset / 8 - FAKE_VA / getpagesize();

	if (!fake.on)
		return __real_pread64(fd, buf, len, offset);
	if (fake.err) {
		errno = fake.err;
		return -1;
	}
	if (at >= FAKE_PAGES)
		return 0;
	if (fake.reads++ == fake.move_after)
		fake.entry[fake.moved] = fake.next_entry;
	memcpy(buf, &fake.entry[at], 8);
	return 8;
}

static int fake_on(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.on = true;
	fake.move_after = UINT32_MAX;
	for (unsigned int i = 0; i < FAKE_PAGES; i++)
		fake.entry[i] = PRESENT | (0x1000 + i);
	return 0;
}

static int fake_off(void **state)
{
	(void)state;
	fake.on = false;
	return 0;
}

static const void *fake_va(size_t page, size_t offset)
{
	return (const void *)(FAKE_VA + page * getpagesize() + offset);
}

static uint64_t fake_phys(size_t page, size_t offset)
{
	return (0x1000 + page) * (uint64_t)getpagesize() + offset;
}

static void one_address(void **state)
{
	uint64_t phys;

	(void)state;
	assert_int_equal(plx_phys(fake_va(3, 17), &phys), 0);
	assert_int_equal(phys, fake_phys(3, 17));
	/* Bits 55 to 62 say other things: soft-dirty, exclusive, file page. */
	fake.entry[3] |= UINT64_C(0xff) << 55 & ~(UINT64_C(1) << 62);
	assert_int_equal(plx_phys(fake_va(3, 17), &phys), 0);
	assert_int_equal(phys, fake_phys(3, 17));
}

static void absent_hidden_broken(void **state)
{
	uint64_t phys;

	(void)state;
	fake.entry[0] = 0x1000;
	assert_int_equal(plx_phys(fake_va(0, 0), &phys), -EFAULT);
	fake.entry[0] = 0;
	assert_int_equal(plx_phys(fake_va(0, 0), &phys), -EFAULT);
	fake.entry[0] = PRESENT;
	assert_int_equal(plx_phys(fake_va(0, 0), &phys), -EPERM);
	assert_int_equal(plx_phys(fake_va(FAKE_PAGES, 0), &phys), -EFAULT);
	fake.err = EIO;
	assert_int_equal(plx_phys(fake_va(1, 0), &phys), -EIO);
}

static void runs(void **state)
{
	size_t page = getpagesize(), run;
	uint64_t phys;

	(void)state;
	assert_int_equal(plx_phys_run(fake_va(2, 5), 3 * page, page, &phys, &run), 0);
	assert_int_equal(phys, fake_phys(2, 5));
	assert_int_equal(run, 3 * page);

	fake.entry[4] = PRESENT | 0x9999;
	assert_int_equal(plx_phys_run(fake_va(2, 5), 3 * page, page, &phys, &run), 0);
	assert_int_equal(run, 2 * page - 5);

	/* Pages of 16 base pages: what lies inside them isn't asked. */
	fake.reads = 0;
	assert_int_equal(plx_phys_run(fake_va(0, 0), 48 * page, 16 * page, &phys, &run), 0);
	assert_int_equal(run, 48 * page);
	assert_int_equal(fake.reads, 2 * 3);

	/* A page that isn't there ends a run, but can't begin one. */
	fake.entry[32] = 0;
	assert_int_equal(plx_phys_run(fake_va(0, 0), 48 * page, 16 * page, &phys, &run), 0);
	assert_int_equal(run, 32 * page);
	assert_int_equal(plx_phys_run(fake_va(32, 0), 16 * page, 16 * page, &phys, &run), -EFAULT);
}

static void pages_move(void **state)
{
	size_t page = getpagesize(), run;
	uint64_t phys;

	(void)state;
	for (unsigned int moved = 0; moved < 3; moved++) {
		fake_on(NULL);
		fake.move_after = 3; /* between the first and the second reading of three pages */
		fake.moved = moved;
		fake.next_entry = PRESENT | 0x7777;
		assert_int_equal(plx_phys_run(fake_va(0, 0), 3 * page, page, &phys, &run), -EAGAIN);
	}
}

static void bad_arguments(void **state)
{
	size_t page = getpagesize(), run;
	uint64_t phys;

	(void)state;
	assert_int_equal(plx_phys_run(fake_va(0, 0), 0, page, &phys, &run), -EINVAL);
	assert_int_equal(plx_phys_run(fake_va(0, 0), page, 0, &phys, &run), -EINVAL);
	assert_int_equal(plx_phys_run(fake_va(0, 0), page, page / 2, &phys, &run), -EINVAL);
	assert_int_equal(plx_phys_run(fake_va(0, 0), page, 3 * page, &phys, &run), -EINVAL);
	assert_int_equal(plx_phys_run(fake_va(0, 0), SIZE_MAX, page, &phys, &run), -EINVAL);
}

static void real_pages(void **state)
{
	size_t page = getpagesize(), run;
	uint64_t phys, next;
	char *va = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	int err;

	(void)state;
	assert_true(va != MAP_FAILED);
	va[0] = va[page] = va[2 * page] = va[3 * page] = 1;
	err = plx_phys(va + 5, &phys);
	if (err == -EPERM) {
		munmap(va, 4 * page);
		skip_because("pagemap hides physical addresses: CAP_SYS_ADMIN wanted");
	}
	assert_int_equal(err, 0);
	assert_int_equal(phys % page, 5);
	for (size_t at = 0; at < 4 * page; at += run) {
		assert_int_equal(plx_phys_run(va + at, 4 * page - at, page, &phys, &run), 0);
		assert_true(run && run % page == 0);
		for (size_t in = 0; in < run; in += page) {
			assert_int_equal(plx_phys(va + at + in, &next), 0);
			assert_int_equal(next, phys + in);
		}
	}
	munmap(va, 4 * page);
	assert_int_equal(plx_phys(va, &phys), -EFAULT);
}

static void real_hugepage(void **state)
{
	size_t page = plx_hugepage_size(), run;
	struct plx_arena_opts opts = { .len = page, .node = PLX_NODE_ANY };
	struct plx_arena *arena;
	uint64_t phys, inside = 0;
	int err;

	(void)state;
	if (!free_pages(page))
		skip_because("no free hugepage");
	assert_int_equal(plx_arena_create(&opts, &arena), 0);
	err = plx_phys_run(arena->va, page, page, &phys, &run);
	if (!err)
		err = plx_phys((char *)arena->va + page / 2 + 3, &inside);
	plx_arena_destroy(arena);
	if (err == -EPERM)
		skip_because("pagemap hides physical addresses: CAP_SYS_ADMIN wanted");
	assert_int_equal(err, 0);
	assert_int_equal(run, page);
	assert_int_equal(phys % page, 0);
	assert_int_equal(inside, phys + page / 2 + 3);
}

static int nobody_asks(void)
{
	uint64_t phys;
	char here = 1;

	return -plx_phys(&here, &phys);
}

static void without_privilege(void **state)
{
	(void)state;
	assert_int_equal(as_nobody(nobody_asks), EPERM);
}

#define FAKE(name) cmocka_unit_test_setup_teardown(name, fake_on, fake_off)

int main(void)
{
	const struct CMUnitTest cases[] = {
		FAKE(one_address),
		FAKE(absent_hidden_broken),
		FAKE(runs),
		FAKE(pages_move),
		FAKE(bad_arguments),
		cmocka_unit_test(real_pages),
		cmocka_unit_test(real_hugepage),
		cmocka_unit_test(without_privilege),
	};

	return cmocka_run_group_tests_name("mem-phys", cases, NULL, NULL);
}
