/* SPDX-License-Identifier: BSD-3-Clause */
/* Our lines through rte_log: --log-level=pollux:debug works as for DPDK's own parts. */
#include <rte_log.h>

#include <pollux/log.h>

#include "internal.h"

static const uint32_t rte_levels[] = {
	[PLX_LOG_ERR] = RTE_LOG_ERR,	   [PLX_LOG_WARN] = RTE_LOG_WARNING,
	[PLX_LOG_NOTICE] = RTE_LOG_NOTICE, [PLX_LOG_INFO] = RTE_LOG_INFO,
	[PLX_LOG_DEBUG] = RTE_LOG_DEBUG,
};

static int log_type;

static void sink(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	rte_log(rte_levels[level], log_type, "POLLUX: %s\n", line);
}

void plx_eal_log_start(void)
{
	enum plx_log_level level = PLX_LOG_ERR;

	log_type = rte_log_register_type_and_pick_level("pollux", RTE_LOG_NOTICE);
	if (log_type < 0) {
		plx_warn("no room for a log type in EAL: lines go to stderr");
		return;
	}
	while (level < PLX_LOG_DEBUG && rte_log_can_log(log_type, rte_levels[level + 1]))
		level++;
	plx_log_set_level(level);
	plx_log_set_sink(sink, NULL);
}

void plx_eal_log_stop(void)
{
	plx_log_set_sink(NULL, NULL);
}
