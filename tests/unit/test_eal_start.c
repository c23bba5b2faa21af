/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting EAL and cleaning it up: arguments, logs, refusals, order. */
#include "test_eal.h"

#include <rte_eal.h>
#include <rte_log.h>

static const char *const no_huge = "--no-huge -m 32";

static int arguments_body(void)
{
	/* In pieces: a digit right behind \0 would be part of it. */
	char words[] = "prog\0-l\0"
		       "0\0--no-telemetry\0first\0--no-huge\0-m\0"
		       "32\0--\0--own\0last";
	char *argv[16], **rest = argv, *at = words;
	struct plx_policy policy = { .addr = PLX_ADDR_VA };
	struct plx_ioas *ioas;
	int argc = 0, consumed;

	while (at < words + sizeof(words)) {
		argv[argc++] = at;
		at += strlen(at) + 1;
	}
	argv[argc] = NULL;
	consumed = plx_eal_init(argc, argv, &policy, &ioas);
	CHECK(consumed == 7); /* -l 0 --no-telemetry --no-huge -m 32 -- */
	argc -= consumed;
	rest += consumed;
	CHECK(argc == 4);
	CHECK(!strcmp(rest[0], "prog"));
	CHECK(!strcmp(rest[1], "first"));
	CHECK(!strcmp(rest[2], "--own"));
	CHECK(!strcmp(rest[3], "last"));
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static int lines_through_rte_log_body(void)
{
	struct plx_ioas *ioas;

	CHECK(start(PLX_ADDR_VA, "--no-huge -m 32 --log-level=pollux:info", &ioas) >= 0);
	plx_info("an informative line");
	plx_debug("a line too many");
	CHECK(said("POLLUX: an informative line\n"));
	CHECK(!said("a line too many"));
	CHECK_OK(plx_eal_cleanup());
	plx_err("after the end");
	CHECK(said("pollux: after the end\n"));
	return 0;
}

static int levels_by_default_body(void)
{
	struct plx_ioas *ioas;

	CHECK(start(PLX_ADDR_VA, no_huge, &ioas) >= 0);
	plx_notice("a notice");
	plx_info("an informative line");
	CHECK(said("POLLUX: a notice\n"));
	CHECK(!said("an informative line"));
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static int once_body(void)
{
	struct plx_ioas *ioas;

	CHECK(plx_eal_cleanup() == -EINVAL);
	CHECK(start(PLX_ADDR_VA, no_huge, &ioas) >= 0);
	CHECK(start(PLX_ADDR_VA, no_huge, &ioas) == -EALREADY);
	CHECK_OK(plx_eal_cleanup());
	CHECK(start(PLX_ADDR_VA, no_huge, &ioas) == -EALREADY);
	CHECK(plx_eal_cleanup() == -EINVAL);
	return 0;
}

static int somebody_was_first_body(void)
{
	char prog[] = "test", huge[] = "--no-huge", shconf[] = "--no-shconf", m[] = "-m32";
	char *argv[] = { prog, huge, shconf, m, NULL };
	struct plx_ioas *ioas;

	CHECK(rte_eal_init(4, argv) >= 0);
	CHECK(start(PLX_ADDR_VA, no_huge, &ioas) == -EALREADY);
	return 0;
}

static int bad_arguments_body(void)
{
	struct plx_ioas *ioas;

	CHECK(start(PLX_ADDR_VA, "-a 0000:01:00.0", &ioas) == -EINVAL);
	CHECK(start(PLX_ADDR_VA, "--no-such-option", &ioas) == -EINVAL);
	/* Those were not the one start of the process; this is. The cause named is the one. */
	CHECK(start(PLX_ADDR_VA, "--main-lcore=4095", &ioas) == -EINVAL);
	CHECK(said("EAL didn't start: it refuses an option, or two together"));
	CHECK(!said("needs hugepages"));
	/* EAL's usage went nowhere, and standard output is back. */
	CHECK(!said("Usage: "));
	puts("after EAL");
	fflush(stdout);
	CHECK(said("after EAL"));
	CHECK(start(PLX_ADDR_VA, no_huge, &ioas) == -EALREADY);
	return 0;
}

/* While a device is claimed, nothing happens at all. */
static int busy_body(void)
{
	const struct plx_xlate *xlate;
	struct plx_ioas *ioas;

	CHECK(start(PLX_ADDR_VA, no_huge, &ioas) >= 0);
	xlate = plx_ioas_xlate(ioas);
	asked.fail_destroy = -EBUSY;
	CHECK(plx_eal_cleanup() == -EBUSY);
	CHECK(plx_xlate_dma(xlate, asked.map[0].va) != PLX_DMA_BAD);
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static int physical_refused_body(void)
{
	struct plx_ioas *ioas;

	CHECK(start(PLX_ADDR_PA, "", &ioas) == -EPERM);
	CHECK(strstr(logged, "needs physical addresses") && strstr(logged, "CAP_SYS_ADMIN"));
	return 0;
}

static void physical_refused(void **state)
{
	(void)state;
	keep_log(NULL);
	assert_int_equal(as_nobody(physical_refused_body), 0);
	plx_log_set_sink(NULL, NULL);
}

static int no_hugepages_body(void)
{
	struct plx_ioas *ioas;

	CHECK(start(PLX_ADDR_VA, "", &ioas) < 0);
	CHECK(said("EAL didn't start: it needs hugepages, and none of"));
	return 0;
}

static void no_hugepages(void **state)
{
	(void)state;
	if (free_pages(2 * MIB) || free_pages(1024 * MIB))
		skip_because("there are free hugepages");
	in_child(no_hugepages_body);
}

int __wrap_plx_hugepages_query(size_t page_size, int node, struct plx_hugepages *pages);
int __real_plx_hugepages_query(size_t page_size, int node, struct plx_hugepages *pages);

static bool all_taken; /* there is no free hugepage, whatever the machine has */

int __wrap_plx_hugepages_query(size_t page_size, int node, struct plx_hugepages *pages)
{
	int err = __real_plx_hugepages_query(page_size, node, pages);

	if (all_taken)
		pages->free = 0;
	return err;
}

static int any_pages(bool taken, struct plx_ioas **ioas)
{
	char *argv[] = { (char *)"test", (char *)"-l", (char *)"0", (char *)"--no-telemetry",
			 NULL };
	struct plx_policy policy = { .addr = PLX_ADDR_VA, .any_pages = true };

	all_taken = taken;
	return plx_eal_init(4, argv, &policy, ioas);
}

static int ordinary_pages_body(void)
{
	struct plx_ioas *ioas;

	CHECK(any_pages(true, &ioas) == 3);
	CHECK(said("no hugepage is free: EAL is started with --no-huge"));
	CHECK(asked.count == 1);
	CHECK(asked.map[0].len == 256 * MIB);
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static int hugepages_first_body(void)
{
	struct plx_ioas *ioas;

	CHECK(any_pages(false, &ioas) == 3);
	CHECK(!said("--no-huge"));
	CHECK_OK(plx_eal_cleanup());
	return 0;
}

static void hugepages_first(void **state)
{
	(void)state;
	if (!free_pages(2 * MIB))
		skip_because("there are no free hugepages");
	in_child(hugepages_first_body);
}

static int too_much_body(void)
{
	struct plx_ioas *ioas;

	CHECK(start(PLX_ADDR_VA, "-m 16000000", &ioas) < 0);
	CHECK(said("EAL didn't start"));
	return 0;
}

#define CASE(name)                     \
	static void name(void **state) \
	{                              \
		(void)state;           \
		in_child(name##_body); \
	}

CASE(arguments)
CASE(lines_through_rte_log)
CASE(levels_by_default)
CASE(once)
CASE(somebody_was_first)
CASE(bad_arguments)
CASE(busy)
CASE(ordinary_pages)
CASE(too_much)

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(lines_through_rte_log),
		cmocka_unit_test(levels_by_default),
		cmocka_unit_test(once),
		cmocka_unit_test(somebody_was_first),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(busy),
		cmocka_unit_test(physical_refused),
		cmocka_unit_test(no_hugepages),
		cmocka_unit_test(ordinary_pages),
		cmocka_unit_test(hugepages_first),
		cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests_name("eal-start", cases, NULL, NULL);
}
