/* SPDX-License-Identifier: BSD-3-Clause */
/* What the lab's programs print: a line for each check, and why the run fails. */
#include <stdarg.h>
#include <stdio.h>

#include "probe.h"

char probe_why[1024];
char probe_last_error[1024];

static void print_line(const char *head, const char *fmt, va_list args)
{
	printf("%s", head);
	vprintf(fmt, args);
	printf("\n");
}

void probe_ok(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("ok   ", fmt, args);
	va_end(args);
}

void probe_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("skip ", fmt, args);
	va_end(args);
}

int probe_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(probe_why, sizeof(probe_why), fmt, args);
	va_end(args);
	return PROBE_FAIL;
}

void probe_log(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	printf("log  %s\n", line);
	if (level == PLX_LOG_ERR)
		snprintf(probe_last_error, sizeof(probe_last_error), "%s", line);
}
