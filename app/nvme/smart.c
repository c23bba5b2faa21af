/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <inttypes.h>

#include <pollux/log.h>

#include "command.h"

/* 128 bits; beyond 64 as a number of 2^64s. */
static void print_count(const char *name, const uint64_t count[2])
{
	printf("%-20s %" PRIu64, name, (uint64_t)le64toh(count[0]));
	if (count[1])
		printf(" + %" PRIu64 " * 2^64", (uint64_t)le64toh(count[1]));
	printf("\n");
}

static void print_warnings(uint8_t warnings)
{
	static const char *const names[] = { "spare below threshold", "temperature",
					     "reliability degraded",  "read only",
					     "backup failed",	      "memory read only" };

	printf("%-20s %02x", "critical warning", warnings);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (warnings >> i & 1)
			printf(" (%s)", names[i]);
	printf("\n");
}

enum exit_code command_smart(struct session *s, const struct arguments *args)
{
	struct plx_nvme_ctrl *ctrl = only_ctrl(s);
	struct plx_nvme_smart smart;
	unsigned kelvins;
	int err;

	(void)args;
	if (!ctrl)
		return EXIT_USAGE;
	err = plx_nvme_get_log(ctrl, PLX_NVME_LOG_SMART, PLX_NVME_NSID_ALL, 0, &smart,
			       sizeof(smart));
	if (err) {
		plx_err("SMART log: %s", plx_nvme_error(err));
		return EXIT_RUNTIME;
	}
	kelvins = smart.temperature[0] | smart.temperature[1] << 8;
	print_warnings(smart.critical_warning);
	printf("%-20s %d C\n", "temperature", (int)kelvins - 273);
	printf("%-20s %u%% (threshold %u%%)\n", "spare", smart.avail_spare, smart.spare_thresh);
	printf("%-20s %u%%\n", "used", smart.percent_used);
	print_count("data units read", smart.data_units_read);
	print_count("data units written", smart.data_units_written);
	print_count("read commands", smart.host_reads);
	print_count("write commands", smart.host_writes);
	print_count("busy minutes", smart.busy_minutes);
	print_count("power cycles", smart.power_cycles);
	print_count("power-on hours", smart.power_on_hours);
	print_count("unsafe shutdowns", smart.unsafe_shutdowns);
	print_count("media errors", smart.media_errors);
	print_count("error log entries", smart.error_log_entries);
	return EXIT_OK;
}
