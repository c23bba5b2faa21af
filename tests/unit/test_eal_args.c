/* SPDX-License-Identifier: BSD-3-Clause */
/* What EAL is told, and what its user gets back. */
#include "test_mem.h"

#include <getopt.h>

#include "internal.h"

#define MAX_WORDS 32

#define PROG "prog --log-level=lib.eal:warning --log-level=lib.telemetry:error "

static struct plx_eal_args args;
static char words[512];
static char *argv[MAX_WORDS];
static int argc;

static bool small;

static int build(enum plx_addr_policy addr, const char *line)
{
	argc = 0;
	snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	return plx_eal_args_build(argc, argv, addr, small, &args);
}

static void assert_words(char **have, int count, const char *line)
{
	char text[512] = "";

	for (int i = 0; i < count; i++) {
		strcat(text, i ? " " : "");
		strcat(text, have[i]);
	}
	assert_string_equal(text, line);
}

static void assert_built(enum plx_addr_policy addr, const char *line, const char *built)
{
	assert_int_equal(build(addr, line), 0);
	assert_words(args.argv, args.argc, built);
	assert_null(args.argv[args.argc]);
	assert_int_equal(args.argc, argc + args.extra);
	assert_words(argv, argc, line); /* the caller's are untouched */
	plx_eal_args_free(&args);
}

static void by_policy(void **state)
{
	(void)state;
	assert_built(PLX_ADDR_VA, "prog -l 0",
		     PROG "--no-pci --iova-mode=va --match-allocations --single-file-segments "
			  "--in-memory -l 0");
	assert_built(PLX_ADDR_ALLOC, "prog",
		     PROG "--no-pci --iova-mode=va --match-allocations --single-file-segments "
			  "--in-memory");
	assert_built(PLX_ADDR_PA, "prog",
		     PROG "--no-pci --iova-mode=pa --match-allocations --single-file-segments "
			  "--in-memory");
}

/* Options of ours that EAL 22.11 refuses beside the user's, or that would make the user's void. */
static void beside_the_users(void **state)
{
	(void)state;
	assert_built(PLX_ADDR_VA, "prog --no-huge",
		     PROG "--no-pci --iova-mode=va --no-shconf --no-huge");
	assert_built(PLX_ADDR_VA, "prog --legacy-mem", PROG "--no-pci --iova-mode=va --legacy-mem");
	assert_built(PLX_ADDR_VA, "prog --huge-unlink=never",
		     PROG "--no-pci --iova-mode=va --match-allocations --huge-unlink=never");
	assert_built(PLX_ADDR_VA, "prog --huge-dir /mnt",
		     PROG "--no-pci --iova-mode=va --match-allocations --single-file-segments "
			  "--huge-dir /mnt");
	/* No files, --no-huge says already; EAL refuses to hear both. */
	assert_built(PLX_ADDR_VA, "prog --in-memory --no-huge",
		     PROG "--no-pci --iova-mode=va --no-shconf --no-shconf --no-huge");
	assert_built(PLX_ADDR_VA, "prog --no-huge -m 64 --in-m --file-prefix --in-memory",
		     PROG "--no-pci --iova-mode=va --no-shconf --no-huge -m 64 --no-shconf "
			  "--file-prefix --in-memory");
	assert_built(PLX_ADDR_VA, "prog --in-memory -- --no-huge",
		     PROG "--no-pci --iova-mode=va --match-allocations --single-file-segments "
			  "--in-memory --in-memory -- --no-huge");
	/* After "--" they are the application's. */
	assert_built(PLX_ADDR_VA, "prog -- --no-huge --huge-dir=x -a b",
		     PROG "--no-pci --iova-mode=va --match-allocations --single-file-segments "
			  "--in-memory -- --no-huge --huge-dir=x -a b");
}

/* Without hugepages, where that will do: unless the user speaks of hugepages. */
static void without_hugepages(void **state)
{
	(void)state;
	small = true;
	assert_built(PLX_ADDR_VA, "prog -l 0",
		     PROG "--no-pci --iova-mode=va --no-huge -m256 --no-shconf -l 0");
	assert_built(PLX_ADDR_VA, "prog --in-memory",
		     PROG "--no-pci --iova-mode=va --no-huge -m256 --no-shconf --no-shconf");
	assert_built(PLX_ADDR_VA, "prog -m 64",
		     PROG "--no-pci --iova-mode=va --no-huge --no-shconf -m 64");
	assert_int_equal(build(PLX_ADDR_VA, "prog"), 0);
	assert_true(args.static_memory && args.no_huge && args.made_no_huge);
	plx_eal_args_free(&args);
	assert_built(PLX_ADDR_VA, "prog --no-huge",
		     PROG "--no-pci --iova-mode=va --no-shconf --no-huge");
	assert_built(PLX_ADDR_VA, "prog --legacy-mem", PROG "--no-pci --iova-mode=va --legacy-mem");
	assert_built(PLX_ADDR_VA, "prog --socket-mem 64",
		     PROG "--no-pci --iova-mode=va --match-allocations --single-file-segments "
			  "--in-memory --socket-mem 64");
	assert_built(PLX_ADDR_PA, "prog",
		     PROG "--no-pci --iova-mode=pa --match-allocations --single-file-segments "
			  "--in-memory");
	small = false;
}

static void what_stays_static(void **state)
{
	(void)state;
	assert_int_equal(build(PLX_ADDR_VA, "prog -l 0"), 0);
	assert_false(args.static_memory || args.no_huge);
	plx_eal_args_free(&args);
	assert_int_equal(build(PLX_ADDR_VA, "prog --no-huge"), 0);
	assert_true(args.static_memory && args.no_huge);
	plx_eal_args_free(&args);
	assert_int_equal(build(PLX_ADDR_VA, "prog --legacy"), 0);
	assert_true(args.static_memory && !args.no_huge);
	plx_eal_args_free(&args);
}

static void refused(enum plx_addr_policy addr, const char *line, int err, const char *text)
{
	keep_log(NULL);
	assert_int_equal(build(addr, line), err);
	assert_null(args.argv);
	assert_logged(text);
	assert_ptr_equal(strchr(logged, '\n'), logged + strlen(logged) - 1); /* one line */
}

static void contradictions(void **state)
{
	(void)state;
	refused(PLX_ADDR_PA, "prog --iova-mode=va", -EINVAL, "--iova-mode=va contradicts");
	refused(PLX_ADDR_VA, "prog --iova-mode pa", -EINVAL, "--iova-mode=pa contradicts");
	refused(PLX_ADDR_ALLOC, "prog --iova=pa", -EINVAL, "which needs va");
	refused(PLX_ADDR_PA, "prog --no-huge", -EINVAL, "base pages may move");
	refused(PLX_ADDR_VA, "prog --proc-type=secondary", -ENOTSUP, "secondary processes");
	assert_built(PLX_ADDR_PA, "prog --iova-mode=pa",
		     PROG "--no-pci --iova-mode=pa --match-allocations --single-file-segments "
			  "--in-memory --iova-mode=pa");
}

static void devices_are_the_bus(void **state)
{
	(void)state;
	refused(PLX_ADDR_VA, "prog -a 01:00.0", -EINVAL, "EAL option -a: devices are not EAL's");
	refused(PLX_ADDR_VA, "prog -l 0 -a01:00.0", -EINVAL, "EAL option -a:");
	refused(PLX_ADDR_VA, "prog -b 01:00.0", -EINVAL, "belong to the PCI bus");
	refused(PLX_ADDR_VA, "prog --all=x", -EINVAL, "EAL option --allow:");
	refused(PLX_ADDR_VA, "prog stray --block x", -EINVAL, "EAL option --block:");
	refused(PLX_ADDR_VA, "prog --vfio-vf-token x", -EINVAL, "EAL option --vfio-vf-token");
	refused(PLX_ADDR_VA, "prog --vfio-intr msi", -EINVAL, "EAL option --vfio-intr");
}

/* A value that looks like an option is a value. */
static void values(void **state)
{
	(void)state;
	assert_built(PLX_ADDR_VA, "prog --file-prefix -a -l --no-huge --syslog --allow",
		     PROG "--no-pci --iova-mode=va --match-allocations --single-file-segments "
			  "--in-memory --file-prefix -a -l --no-huge --syslog --allow");
}

/* Every option that EAL 22.11 has (lib/eal/common/eal_options.h) and that isn't refused here. */
static void known(void **state)
{
	(void)state;
	assert_int_equal(build(PLX_ADDR_VA,
			       "prog -c 1 -s 1 -d x -l 0 -S x -m 1 -n 1 -r 1 -v "
			       "--base-virtaddr=x --file-prefix=x --force-max-simd-bitwidth=x "
			       "--huge-dir=x --huge-unlink --huge-worker-stack --in-memory "
			       "--iova-mode=va --lcores=x --legacy-mem --log-level=x "),
			 0);
	plx_eal_args_free(&args);
	assert_int_equal(
		build(PLX_ADDR_VA,
		      "prog --main-lcore=x --match-allocations --mbuf-pool-ops-name=x --no-hpet "
		      "--no-huge --no-pci --no-shconf --no-telemetry --proc-type=primary "
		      "--single-file-segments --socket-limit=x --socket-mem=x --syslog=x "
		      "--telemetry --trace=x --trace-bufsz=x --trace-dir=x --trace-mode=x "
		      "--vdev=x --vmware-tsc-map"),
		0);
	plx_eal_args_free(&args);
}

/* To each of these EAL would answer with its usage. */
static void unknown(void **state)
{
	(void)state;
	refused(PLX_ADDR_VA, "prog -l 0 --bogus", -EINVAL, "'--bogus' is no option of EAL's");
	refused(PLX_ADDR_VA, "prog --forward-mode=io x", -EINVAL, "a program's own go after --");
	refused(PLX_ADDR_VA, "prog --vfio-mod cdev", -EINVAL, "'--vfio-mod' is no option");
	refused(PLX_ADDR_VA, "prog --no-h", -EINVAL, "'--no-h' is no option of EAL's, or short");
	refused(PLX_ADDR_VA, "prog -vZ", -EINVAL, "'-Z' is no option");
	refused(PLX_ADDR_VA, "prog --no-huge=1", -EINVAL, "'--no-huge=1' takes no value");
	refused(PLX_ADDR_VA, "prog -v -l", -EINVAL, "'-l' wants a value");
	refused(PLX_ADDR_VA, "prog --lcores", -EINVAL, "'--lcores' wants a value");
	refused(PLX_ADDR_VA, "prog -h", -EINVAL, "EAL option -h: EAL's help");
	refused(PLX_ADDR_VA, "prog --hel", -EINVAL, "EAL option --help: EAL's help");
}

static void nothing_to_go_by(void **state)
{
	char *none[] = { NULL };

	(void)state;
	assert_int_equal(plx_eal_args_build(0, none, PLX_ADDR_VA, false, &args), -EINVAL);
	assert_int_equal(plx_eal_args_build(1, none, PLX_ADDR_VA, false, &args), -EINVAL);
	assert_int_equal(plx_eal_args_build(1, NULL, PLX_ADDR_VA, false, &args), -EINVAL);
}

/* An application in the middle of its own getopt() doesn't notice. */
static void getopt_state(void **state)
{
	char prog[] = "prog", x[] = "-x", y[] = "-y";
	char *own[] = { prog, x, y, NULL };

	(void)state;
	optind = 1;
	opterr = 1;
	assert_int_equal(getopt(3, own, "xy"), 'x');
	assert_int_equal(build(PLX_ADDR_VA, "prog -l 0 stray --no-huge"), 0);
	plx_eal_args_free(&args);
	assert_int_equal(optind, 2);
	assert_int_equal(opterr, 1);
	assert_int_equal(getopt(3, own, "xy"), 'y');
	assert_int_equal(getopt(3, own, "xy"), -1);
}

/* EAL sorts options to the front: the same must show in the caller's vector. */
static void returned(void **state)
{
	static char prog[] = "prog";

	(void)state;
	assert_int_equal(build(PLX_ADDR_VA, "prog -l 0 -- -x y"), 0);
	/* What rte_eal_init() does: the name goes where "--" was. */
	args.argv[args.extra + 3] = prog;
	assert_int_equal(plx_eal_args_return(&args, args.extra + 3, argc, argv), 3);
	assert_words(argv + 3, argc - 3, "prog -x y");
	plx_eal_args_free(&args);

	/* Nothing of the user's consumed: the name lands on the last of ours. */
	assert_int_equal(build(PLX_ADDR_VA, "prog y"), 0);
	args.argv[args.extra] = prog;
	assert_int_equal(plx_eal_args_return(&args, args.extra, argc, argv), 0);
	assert_words(argv, argc, "prog y");
	plx_eal_args_free(&args);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup(by_policy, keep_log),
		cmocka_unit_test_setup(beside_the_users, keep_log),
		cmocka_unit_test_setup(without_hugepages, keep_log),
		cmocka_unit_test_setup(what_stays_static, keep_log),
		cmocka_unit_test_setup(contradictions, keep_log),
		cmocka_unit_test_setup(devices_are_the_bus, keep_log),
		cmocka_unit_test_setup(values, keep_log),
		cmocka_unit_test_setup(known, keep_log),
		cmocka_unit_test_setup(unknown, keep_log),
		cmocka_unit_test_setup(nothing_to_go_by, keep_log),
		cmocka_unit_test_setup(getopt_state, keep_log),
		cmocka_unit_test_setup(returned, keep_log),
	};

	return cmocka_run_group_tests_name("eal-args", cases, NULL, NULL);
}
