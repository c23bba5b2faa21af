/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus's command-line options and PCI addresses. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "pci_sysfs.h"

#define MAX_ARGS 16
#define UUID	 "01234567-89ab-cdef-0123-456789ABCDEF"

static char *args[MAX_ARGS];
static int count;
static struct pci_options options;

/* Parses a command line written as one string; the program's name is put before it. */
static int parse(const char *line)
{
	static char copy[512];
	char *word, *rest;

	plx_pci_options_free(&options);
	plx_pci_options_init(&options);
	snprintf(copy, sizeof(copy), "prog %s", line);
	count = 0;
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		args[count++] = word;
	args[count] = NULL;
	return plx_pci_options_parse(&options, &count, args);
}

/* What is left of argv, as one string. */
static const char *left_over(void)
{
	static char text[512];
	int i;

	text[0] = '\0';
	assert_string_equal(args[0], "prog");
	for (i = 1; i < count; i++) {
		if (i > 1)
			strcat(text, " ");
		strcat(text, args[i]);
	}
	assert_null(args[count]);
	return text;
}

static const struct pci_named *found(const struct pci_named_list *list, uint64_t addr)
{
	char name[PLX_PCI_NAME_LEN];

	plx_pci_addr_name(addr, name);
	return plx_pci_named_find(list, name);
}

static const struct pci_named *allowed(uint64_t addr)
{
	return found(&options.allow, addr);
}

static int setup(void **state)
{
	plx_pci_options_init(&options);
	return pci_sysfs_setup(state);
}

static int teardown(void **state)
{
	plx_pci_options_free(&options);
	return pci_sysfs_left() ? -1 : pci_sysfs_teardown(state);
}

static void addresses(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"0000",
		"00:00",
		"0000:",
		"0000:01",
		"0000:01:00",
		"0000:01:00.",
		"0000:01:00.8",
		"0000:01:20.0",
		"0000:01:00.00",
		"0000:01:00.0 ",
		" 0000:01:00.0",
		"000:01:00.0",
		"00000000:1:0.0",
		"12345678:01:00.0",
		"0000:1:00.0",
		"0000:001:00.0",
		"0000:01:0.0",
		"0000:01:000.0",
		"0000:0g:00.0",
		"0000-01-00.0",
		"1:00.0",
		"001:00.0",
		"01:00",
		"0000:01:00.0/..",
		"..",
		"0000:01:00:0",
		"-1:00.0",
		"0x00:01:00.0",
	};
	char name[PLX_PCI_NAME_LEN];
	uint64_t addr;
	size_t i;

	(void)state;
	assert_int_equal(plx_pci_addr_parse("0000:00:00.0", false, &addr), 0);
	assert_int_equal(addr, 0);
	assert_int_equal(plx_pci_addr_parse("abCD:Ef:1f.7", false, &addr), 0);
	assert_int_equal(addr, 0xabcdefff);
	plx_pci_addr_name(addr, name);
	assert_string_equal(name, "abcd:ef:1f.7");
	assert_int_equal(plx_pci_addr_parse("fffffff:ff:1f.7", false, &addr), 0);
	plx_pci_addr_name(addr, name);
	assert_string_equal(name, "fffffff:ff:1f.7");
	assert_int_equal(plx_pci_addr_parse("01:02.3", true, &addr), 0);
	assert_int_equal(addr, 0x0113);
	assert_int_equal(plx_pci_addr_parse("01:02.3", false, &addr), -EINVAL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!plx_pci_addr_parse(bad[i], true, &addr))
			fail_msg("'%s' was taken for an address", bad[i]);
	}
}

static void takes_its_own_only(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_string_equal(left_over(), "");
	assert_int_equal(options.modes, PLX_VFIO_ALL_MODES);
	assert_int_equal(parse("-l 0-1 --allow=0000:01:00.0 -n 4 -a 02:00.0 --file-prefix x "
			       "-a03:00.0 --allow 04:00.0 --allowed -c"),
			 0);
	assert_string_equal(left_over(), "-l 0-1 -n 4 --file-prefix x --allowed -c");
	assert_non_null(allowed(0x100));
	assert_non_null(allowed(0x200));
	assert_non_null(allowed(0x300));
	assert_non_null(allowed(0x400));
	assert_null(allowed(0x500));
}

/* Sockets are names, too, for -a: no longer than sun_path holds (unix(7)), NUL included. */
static void sockets(void **state)
{
	char path[160] = "-a user:", longest[109];
	const struct pci_named *named;

	(void)state;
	assert_int_equal(parse("-a user:/run/a,mode=user,lro=1 -a user:b --allow=01:00.0"), 0);
	named = plx_pci_named_find(&options.allow, "user:/run/a");
	assert_non_null(named);
	assert_int_equal(named->addr, PCI_ADDR_USER);
	assert_int_equal(named->modes, 1u << PLX_VFIO_USER);
	assert_string_equal(named->args, "lro=1");
	named = plx_pci_named_find(&options.allow, "user:b");
	assert_non_null(named);
	assert_string_equal(named->args, "");
	assert_non_null(allowed(0x100));

	assert_int_equal(parse("-a user:/run/a -a user:/run/a"), -EINVAL);
	assert_int_equal(parse("-a user:"), -EINVAL);
	assert_int_equal(parse("-b user:/run/a"), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[107] = '\0';
	strcat(path, longest);
	assert_int_equal(parse(path), 0);
	strcat(path, "x");
	assert_int_equal(parse(path), -EINVAL);
}

static void stops_at_two_dashes(void **state)
{
	(void)state;
	assert_int_equal(parse("-b 01:00.0 -- -b 02:00.0 -a nonsense"), 0);
	assert_string_equal(left_over(), "-- -b 02:00.0 -a nonsense");
	assert_non_null(found(&options.block, 0x100));
	assert_null(found(&options.block, 0x200));
}

static void every_form(void **state)
{
	(void)state;
	assert_int_equal(parse("--vfio-mode=cdev,type1 --allow-noiommu --vfio-vf-token=" UUID), 0);
	assert_string_equal(left_over(), "");
	assert_int_equal(options.modes, 1u << PLX_VFIO_CDEV | 1u << PLX_VFIO_TYPE1);
	assert_true(options.allow_noiommu);
	assert_string_equal(options.vf_token, UUID);

	assert_int_equal(parse("--vfio-mode noiommu --vfio-vf-token " UUID " --block=01:00.0"), 0);
	assert_string_equal(left_over(), "");
	assert_int_equal(options.modes, 1u << PLX_VFIO_NOIOMMU);
	assert_false(options.allow_noiommu);
	assert_string_equal(options.vf_token, UUID);

	/* The last one counts, so that a script's defaults can be overridden. */
	assert_int_equal(parse("--vfio-mode noiommu,compat --vfio-mode type1v2"), 0);
	assert_int_equal(options.modes, 1u << PLX_VFIO_TYPE1V2);
	assert_int_equal(parse("-b 01:00.0 -b 01:00.0"), 0);
}

static void device_keys(void **state)
{
	(void)state;
	assert_int_equal(parse("-a 01:00.0"), 0);
	assert_int_equal(allowed(0x100)->modes, 0);
	assert_string_equal(allowed(0x100)->args, "");

	assert_int_equal(parse("-a 01:00.0,mode=compat"), 0);
	assert_int_equal(allowed(0x100)->modes, 1u << PLX_VFIO_COMPAT);
	assert_string_equal(allowed(0x100)->args, "");

	assert_int_equal(parse("-a 01:00.0,queues=2,mode=cdev,moder=1,name=a=b"), 0);
	assert_int_equal(allowed(0x100)->modes, 1u << PLX_VFIO_CDEV);
	assert_string_equal(allowed(0x100)->args, "queues=2,moder=1,name=a=b");

	assert_int_equal(parse("--allow=01:00.0,mode=type1,x="), 0);
	assert_string_equal(allowed(0x100)->args, "x=");
}

static void malformed(void **state)
{
	static const char *const bad[] = {
		"-a",
		"--allow",
		"--allow=",
		"-b",
		"--block",
		"--vfio-mode",
		"--vfio-mode=",
		"--vfio-vf-token",
		"-a --vfio-mode=cdev",
		"-a -- 01:00.0",
		"-a nonsense",
		"-a=01:00.0",
		"-a 0000:01:00.0.0",
		"-a 01:00.8",
		"-a ,mode=cdev",
		"-a 01:00.0,",
		"-a 01:00.0,,x=1",
		"-a 01:00.0,x=1,",
		"-a 01:00.0,x",
		"-a 01:00.0,=1",
		"-a 01:00.0,mode=",
		"-a 01:00.0,mode=nothing",
		"-a 01:00.0,mode=cdevs",
		"-a 01:00.0,mode=cde",
		"-a 01:00.0,mode=a_name_that_is_longer_than_any_access_mode_has",
		"-a 01:00.0,mode=cdev,mode=type1",
		"-a 01:00.0 -a 0000:01:00.0",
		"-a 01:00.0 -b 02:00.0",
		"-b 01:00.0,mode=cdev",
		"-b everything",
		"--vfio-mode=cdev,",
		"--vfio-mode=,cdev",
		"--vfio-mode=cdev,,type1",
		"--vfio-mode=CDEV",
		"--vfio-mode=vfio",
		"--allow-noiommu=yes",
		"--iova",
		"--iova=",
		"--iova=pa",
		"--iova=VA",
		"--vfio-vf-token=",
		"--vfio-vf-token=01234567-89ab-cdef-0123-456789abcde",
		"--vfio-vf-token=01234567-89ab-cdef-0123-456789abcdef0",
		"--vfio-vf-token=0123456789ab-cdef-0123-456789abcdef-",
		"--vfio-vf-token=01234567-89ab-cdef-0123-456789abcdeg",
	};
	unsigned errors;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errors = pci_sysfs_errors();
		if (parse(bad[i]) != -EINVAL)
			fail_msg("'%s' was accepted", bad[i]);
		if (pci_sysfs_errors() != errors + 1)
			fail_msg("'%s' gave %u messages", bad[i], pci_sysfs_errors() - errors);
	}
	/* An option where a value should be is a value forgotten. */
	assert_int_equal(parse("-a --vfio-mode=cdev"), -EINVAL);
	assert_non_null(strstr(pci_sysfs_last_error(), "--allow wants"));
	/* A message names what is wrong and what would be right. */
	assert_int_equal(parse("--vfio-mode=cdev,vfio"), -EINVAL);
	assert_non_null(strstr(pci_sysfs_last_error(), "'vfio'"));
	assert_non_null(strstr(pci_sysfs_last_error(), "noiommu-cdev"));
}

static void out_of_memory(void **state)
{
	(void)state;
	pci_sysfs_fail(1, ENOMEM);
	assert_int_equal(parse("-a 01:00.0"), -ENOMEM);
	pci_sysfs_fail(2, ENOMEM);
	assert_int_equal(parse("-b 01:00.0 -b 02:00.0"), -ENOMEM);
}

static void usage_names_every_option(void **state)
{
	char text[4096] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	plx_pci_usage(out);
	fclose(out);
	assert_non_null(strstr(text, "--allow NAME"));
	assert_non_null(strstr(text, "--block"));
	assert_non_null(strstr(text, "--vfio-mode"));
	assert_non_null(strstr(text, "--allow-noiommu"));
	assert_non_null(strstr(text, "--iova va|alloc"));
	assert_non_null(strstr(text, "--vfio-vf-token"));
	assert_non_null(strstr(text, "type1v2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test_setup_teardown(takes_its_own_only, setup, teardown),
		cmocka_unit_test_setup_teardown(sockets, setup, teardown),
		cmocka_unit_test_setup_teardown(stops_at_two_dashes, setup, teardown),
		cmocka_unit_test_setup_teardown(every_form, setup, teardown),
		cmocka_unit_test_setup_teardown(device_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
		cmocka_unit_test(usage_names_every_option),
	};

	return cmocka_run_group_tests_name("pci_args", tests, NULL, NULL);
}
