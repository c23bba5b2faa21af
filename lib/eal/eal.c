/* SPDX-License-Identifier: BSD-3-Clause */
/* Start-up and clean-up of EAL around an address space. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <pollux/log.h>
#include <pollux/mem.h>

#include "internal.h"

/* There is no way back to EAL_IDLE. */
static enum { EAL_IDLE, EAL_RUNNING, EAL_OVER } state;

static int check_physical(const struct plx_policy *policy)
{
	uint64_t phys;
	int err = plx_phys(policy, &phys);

	if (err)
		plx_err("address policy %s (%s) needs physical addresses, and /proc/self/pagemap "
			"doesn't give them: %s%s",
			plx_addr_policy_name(policy->addr), policy->reason, strerror(-err),
			err == -EPERM ? ", CAP_SYS_ADMIN is needed" : "");
	return err;
}

/* Whether there is a hugepage for EAL to take, of any size that it takes. */
static bool hugepages_free(void)
{
	const size_t sizes[] = { plx_hugepage_size(), 2ul << 20, 1ul << 30 };
	struct plx_hugepages pages;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i] && !plx_hugepages_query(sizes[i], PLX_NODE_ANY, &pages) && pages.free)
			return true;
	return false;
}

/*
 * An option that EAL refuses it answers with its usage on standard output, which is the program's,
 * and with options in it that are not for here. So that goes nowhere; its log lines go to stderr.
 */
static int quiet_begin(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), saved;

	fflush(stdout);
	saved = null < 0 ? -1 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (saved >= 0)
		dup2(null, STDOUT_FILENO);
	if (null >= 0)
		close(null);
	return saved;
}

static void quiet_end(int saved)
{
	if (saved < 0)
		return;
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
}

/* EAL's most common reasons to fail, in words that help. */
static void explain_failure(const struct plx_eal_args *args, int err)
{
	size_t size = plx_hugepage_size();
	struct plx_hugepages pages;

	if (err == -EINVAL)
		plx_err("EAL didn't start: it refuses an option, or two together; its own line "
			"above says which");
	else if (!args->no_huge && size && !plx_hugepages_query(size, PLX_NODE_ANY, &pages) &&
		 !pages.free)
		plx_err("EAL didn't start: it needs hugepages, and none of %llu of %zu KiB is "
			"free: echo %llu > /sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages",
			(unsigned long long)pages.total, size >> 10,
			(unsigned long long)pages.total + 128, size >> 10);
	else
		plx_err("EAL didn't start: %s", strerror(-err));
}

/* Returns the number of the user's arguments consumed, or -errno. */
static int start_eal(int argc, char **argv, const struct plx_policy *policy, bool *static_memory)
{
	struct plx_eal_args args;
	int consumed, saved, err;

	err = plx_eal_args_build(argc, argv, policy->addr, policy->any_pages && !hugepages_free(),
				 &args);
	if (err)
		return err;
	if (args.made_no_huge)
		plx_notice("no hugepage is free: EAL is started with --no-huge, its memory is of "
			   "ordinary pages and can't grow (sysctl vm.nr_hugepages=256 makes some)");
	*static_memory = args.static_memory;
	state = EAL_OVER; /* EAL doesn't read arguments a second time, whatever comes of it */
	rte_errno = 0;
	saved = quiet_begin();
	consumed = rte_eal_init(args.argc, args.argv);
	quiet_end(saved);
	if (consumed < 0) {
		err = rte_errno ? -rte_errno : -EINVAL;
		explain_failure(&args, err);
	} else {
		consumed = plx_eal_args_return(&args, consumed, argc, argv);
	}
	plx_eal_args_free(&args);
	return err ? err : consumed;
}

int plx_eal_init(int argc, char **argv, const struct plx_policy *policy, struct plx_ioas **ioas)
{
	bool static_memory = false;
	int consumed, err;

	if (state != EAL_IDLE) {
		plx_err("EAL can be started once a process only");
		return -EALREADY;
	}
	err = policy->addr == PLX_ADDR_PA ? check_physical(policy) : 0;
	if (err)
		return err;
	consumed = start_eal(argc, argv, policy, &static_memory);
	if (consumed < 0)
		return consumed;
	plx_eal_log_start();
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		plx_err("secondary processes are not supported");
		err = -ENOTSUP;
		goto cleanup_eal;
	}
	err = plx_ioas_create(policy, ioas);
	if (err)
		goto cleanup_eal;
	err = plx_eal_memory_start(*ioas, static_memory);
	if (!err) {
		state = EAL_RUNNING;
		return consumed;
	}
	plx_eal_memory_stop();
	*ioas = NULL;
cleanup_eal:
	plx_eal_log_stop();
	rte_eal_cleanup();
	return err;
}

int plx_eal_cleanup(void)
{
	int err;

	if (state != EAL_RUNNING)
		return -EINVAL;
	err = plx_eal_memory_stop();
	if (err == -EBUSY)
		return err;
	plx_eal_log_stop();
	if (rte_eal_cleanup() && !err)
		err = -EIO;
	state = EAL_OVER;
	return err;
}
