/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pollux/log.h>

#include "probe.h"

#define ROUNDS	   2
#define ARENA_SIZE (2u << 20)

/* What the command line asks for. */
static const char *asked_name;
static enum plx_vfio_mode asked_mode;
static bool asked_noiommu;

static int result; /* of the checks; PROBE_REFUSED until the device was claimed */
static struct probe probe;

static int check_mode(void)
{
	enum plx_vfio_mode taken = plx_vfio_dev_mode(probe.pci->vfio);

	if (taken != asked_mode)
		return probe_fail("mode %s was taken, %s was asked for", plx_vfio_mode_name(taken),
				  plx_vfio_mode_name(asked_mode));
	probe_ok("mode %s, addresses %s", plx_vfio_mode_name(taken),
		 plx_addr_policy_name(plx_ioas_policy(probe.ioas)));
	return 0;
}

static int check_dma(void)
{
	if (probe.pci->id.class_code == 0x010802)
		return probe_dma_nvme(&probe);
	if (probe.pci->id.vendor == 0x8086 && probe.pci->id.device == 0x10d3)
		return probe_dma_e1000e(&probe);
	probe_skip("DMA: this program can't drive %04x:%04x", probe.pci->id.vendor,
		   probe.pci->id.device);
	return 0;
}

/* The driver: takes whatever was named, and does all the checks while it has it. */
static int catch_all_probe(struct plx_pci *pci)
{
	probe.pci = pci;
	probe.ioas = pci->ioas;
	probe.unsafe = plx_vfio_mode_unsafe(plx_vfio_dev_mode(pci->vfio));
	result = check_mode();
	result = result ? result : probe_config(&probe);
	result = result ? result : probe_regions(&probe);
	result = result ? result : probe_bars(&probe);
	result = result ? result : probe_memory(&probe);
	result = result ? result : probe_interrupts(&probe);
	result = result ? result : check_dma();
	result = result ? result : probe_reset(&probe);
	/* Once more: a reset must not cost the device its memory. */
	result = result ? result : check_dma();
	return 0;
}

static void catch_all_remove(struct plx_pci *pci)
{
	(void)pci;
}

static const struct plx_pci_id catch_all_ids[] = { PLX_PCI_ID(PLX_PCI_ANY_ID, PLX_PCI_ANY_ID),
						   { 0 } };
static struct plx_pci_driver catch_all = {
	.name = "lab-probe",
	.ids = catch_all_ids,
	.probe = catch_all_probe,
	.remove = catch_all_remove,
};

PLX_PCI_DRIVER(catch_all)

static int map_arena(const struct plx_arena *arena)
{
	struct plx_dma_mem mem = {
		.va = arena->va,
		.len = arena->len,
		.page_size = arena->page_size,
		.fd = arena->fd,
	};

	return plx_ioas_map(probe.ioas, &mem, NULL);
}

/* What is foretold must be what happens, whichever it is. */
static int check_foresight(struct plx_pci_bus *bus, bool *refused)
{
	struct plx_vfio_opts opts = PLX_VFIO_OPTS_INIT;
	struct plx_refusals refusals;
	enum plx_vfio_mode mode;
	struct plx_pci *pci;
	size_t len = strlen(asked_name), have;
	unsigned i;
	int err;

	for (i = 0; (pci = plx_pci_at(bus, i)); i++) {
		have = strlen(pci->name);
		if (have >= len && !strcmp(pci->name + have - len, asked_name))
			break;
	}
	if (!pci)
		return probe_fail("%s is not on the bus", asked_name);
	opts.modes = 1u << asked_mode;
	opts.allow_noiommu = asked_noiommu;
	err = plx_vfio_foresee(pci->name, &opts, &mode, &refusals);
	*refused = err;
	if (!err && mode != asked_mode)
		return probe_fail("mode %s was foretold, %s asked for", plx_vfio_mode_name(mode),
				  plx_vfio_mode_name(asked_mode));
	if (err)
		probe_ok("foretold to be refused (%s): %s",
			 plx_refusal_name(refusals.mode[asked_mode].code),
			 refusals.mode[asked_mode].text);
	else
		probe_ok("mode %s is foretold", plx_vfio_mode_name(mode));
	return 0;
}

static int claim_and_check(struct plx_pci_bus *bus, bool foretold_refused)
{
	int err;

	result = PROBE_REFUSED;
	err = plx_pci_probe(bus, probe.ioas);
	if (result == PROBE_REFUSED) {
		probe_fail("%s", probe_last_error[0] ? probe_last_error : strerror(-err));
		return PROBE_REFUSED;
	}
	if (!result && err != 1)
		return probe_fail("plx_pci_probe() returned %d", err);
	if (!result && foretold_refused)
		return probe_fail("mode %s was foretold to be refused and was taken",
				  plx_vfio_mode_name(asked_mode));
	return result;
}

/* Everything from the options to the last descriptor closed. */
static int round_trip(int argc, char **argv)
{
	struct plx_arena_opts arena_opts = { .len = ARENA_SIZE, .node = PLX_NODE_ANY };
	struct plx_pci_bus *bus = NULL;
	struct plx_policy policy;
	bool refused = false;
	int err, ret;

	memset(&probe, 0, sizeof(probe));
	err = plx_pci_scan(&argc, argv, &bus);
	if (err)
		return probe_fail("scan: %s", probe_last_error);
	ret = check_foresight(bus, &refused);
	if (ret)
		goto out;
	err = plx_pci_policy(bus, &policy);
	if (err) {
		ret = probe_fail("policy: %s", strerror(-err));
		goto out;
	}
	probe_ok("addresses %s: %s", plx_addr_policy_name(policy.addr), policy.reason);
	if (plx_arena_create(&arena_opts, &probe.early) ||
	    plx_arena_create(&arena_opts, &probe.late)) {
		probe_fail("no memory to test with: %s", probe_last_error);
		ret = PROBE_SKIP;
		goto out;
	}
	err = plx_ioas_create(&policy, &probe.ioas);
	if (!err)
		err = map_arena(probe.early);
	if (err)
		ret = probe_fail("address space: %s", strerror(-err));
	else
		ret = claim_and_check(bus, refused);
out:
	plx_pci_cleanup(bus);
	if (probe.ioas)
		err = plx_ioas_destroy(probe.ioas);
	if (!ret && err)
		ret = probe_fail("the address space can't be destroyed: %s", strerror(-err));
	plx_arena_destroy(probe.late);
	plx_arena_destroy(probe.early);
	return ret;
}

/* Descriptors this process holds, or -1. */
static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static bool parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "allow", required_argument, NULL, 'a' },
		{ "vfio-mode", required_argument, NULL, 'm' },
		{ "allow-noiommu", no_argument, NULL, 'n' },
		{ "vfio-vf-token", required_argument, NULL, 't' },
		{ 0 },
	};
	bool have_mode = false;
	int option;

	while ((option = getopt_long(argc, argv, "a:", longs, NULL)) >= 0) {
		switch (option) {
		case 'a': asked_name = optarg; break;
		case 'm': have_mode = !plx_vfio_mode_parse(optarg, &asked_mode); break;
		case 'n': asked_noiommu = true; break;
		case 't': break; /* the scan sees to it */
		default: return false;
		}
	}
	return optind == argc && asked_name && have_mode;
}

static int run(int argc, char **argv)
{
	char *copy[8] = { NULL };
	int before, after, i, ret;

	if (argc >= (int)(sizeof(copy) / sizeof(copy[0])) || !parse_options(argc, argv)) {
		printf("usage: lab-probe --vfio-mode=MODE [--allow-noiommu] [--vfio-vf-token=UUID] -a BDF\n");
		plx_pci_usage(stdout);
		return probe_fail("bad options");
	}
	plx_log_set_sink(probe_log, NULL);
	plx_log_set_level(PLX_LOG_INFO);
	before = count_fds();
	for (i = 1; i <= ROUNDS; i++) {
		printf("round %d of %d\n", i, ROUNDS);
		/* The scan takes its options out of argv. */
		memcpy(copy, argv, argc * sizeof(*argv));
		ret = round_trip(argc, copy);
		if (ret && ret != PROBE_REFUSED)
			return ret;
		after = count_fds();
		if (before < 0 || after != before)
			return probe_fail("%d descriptors before, %d after letting go", before,
					  after);
		probe_ok("%d descriptors before and after", before);
		if (ret)
			return ret;
	}
	return PROBE_PASS;
}

int main(int argc, char **argv)
{
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = run(argc, argv);
	/* The last line says why, whatever the exit code. */
	switch (ret) {
	case PROBE_PASS:
		printf("pass: %s in mode %s\n", asked_name, plx_vfio_mode_name(asked_mode));
		break;
	case PROBE_REFUSED: printf("refused: %s\n", probe_why); break;
	case PROBE_SKIP: printf("skip: %s\n", probe_why); break;
	default: printf("FAIL: %s\n", probe_why); break;
	}
	return ret;
}
