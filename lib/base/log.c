/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include <pollux/log.h>

static plx_log_sink_fn *log_sink;
static void *log_ctx;
static enum plx_log_level log_level = PLX_LOG_NOTICE;

void plx_log_set_sink(plx_log_sink_fn *sink, void *ctx)
{
	log_sink = sink;
	log_ctx = ctx;
}

void plx_log_set_level(enum plx_log_level level)
{
	log_level = level;
}

void plx_log(enum plx_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	if (level > log_level)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (log_sink)
		log_sink(log_ctx, level, line);
	else
		fprintf(stderr, "pollux: %s\n", line);
}
