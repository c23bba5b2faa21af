/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

static __thread struct plx_log_rounds *log_rounds;

void plx_log_round_begin(struct plx_log_rounds *rounds)
{
	memcpy(rounds->line_before, rounds->line_now, sizeof(rounds->line_now));
	rounds->before = rounds->now;
	rounds->now = 0;
	log_rounds = rounds;
}

void plx_log_round_end(void)
{
	log_rounds = NULL;
}

/* FNV-1a, 64 bits: as good as the line where a round has a handful. */
static uint64_t hash_of(const char *line)
{
	uint64_t hash = 0xcbf29ce484222325;

	while (*line)
		hash = (hash ^ (unsigned char)*line++) * 0x100000001b3;
	return hash;
}

/* Also notes the line for the next round. */
static bool said_before(struct plx_log_rounds *rounds, const char *line)
{
	const unsigned room = sizeof(rounds->line_now) / sizeof(rounds->line_now[0]);
	const uint64_t hash = hash_of(line);

	if (rounds->now < room)
		rounds->line_now[rounds->now++] = hash;
	for (unsigned i = 0; i < rounds->before; i++)
		if (rounds->line_before[i] == hash)
			return true;
	return false;
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
	if (log_rounds && said_before(log_rounds, line))
		return;
	if (log_sink)
		log_sink(log_ctx, level, line);
	else
		fprintf(stderr, "pollux: %s\n", line);
}
