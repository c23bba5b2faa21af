/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the libraries' messages go.
 *
 * Every line is complete (no prefix, no newline) and meant for a person. Without a sink, lines at
 * or above the level go to stderr; lib/eal installs one that hands them to rte_log.
 */
#ifndef POLLUX_LOG_H
#define POLLUX_LOG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum plx_log_level {
	PLX_LOG_ERR,	/* something the caller asked for failed */
	PLX_LOG_WARN,	/* it worked, but not as one would wish */
	PLX_LOG_NOTICE, /* what a user should see once: the access mode taken, and why */
	PLX_LOG_INFO,
	PLX_LOG_DEBUG,
};

typedef void plx_log_sink_fn(void *ctx, enum plx_log_level level, const char *line);

/* Replaces the sink; NULL restores stderr. Not safe while other threads log. */
void plx_log_set_sink(plx_log_sink_fn *sink, void *ctx);

/* Lines less urgent than level are dropped before they are formatted. Default: PLX_LOG_NOTICE. */
void plx_log_set_level(enum plx_log_level level);

/*
 * For what a thread tries over and over: between the two calls it logs no line that the round
 * before had, so what stands in the way is said once, and again when it has been something else
 * meanwhile. All zeroes at first, and again to have everything said anew. Lines of a round beyond
 * the room are always logged. Rounds of one thread don't nest.
 */
struct plx_log_rounds {
	unsigned before, now; /* how many lines */
	uint64_t line_before[8], line_now[8];
};

void plx_log_round_begin(struct plx_log_rounds *rounds);
void plx_log_round_end(void);

void plx_log(enum plx_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define plx_err(...)	plx_log(PLX_LOG_ERR, __VA_ARGS__)
#define plx_warn(...)	plx_log(PLX_LOG_WARN, __VA_ARGS__)
#define plx_notice(...) plx_log(PLX_LOG_NOTICE, __VA_ARGS__)
#define plx_info(...)	plx_log(PLX_LOG_INFO, __VA_ARGS__)
#define plx_debug(...)	plx_log(PLX_LOG_DEBUG, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif
