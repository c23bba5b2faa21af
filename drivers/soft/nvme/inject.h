/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mishaps that were asked for, so that drivers can be tried on them. Each one comes with every so
 * many I/O commands, counted from when the controller was enabled.
 */
#ifndef SOFT_INJECT_H
#define SOFT_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#define SOFT_INJECT_STATUSES 8

struct soft_inject_status {
	uint16_t status; /* the status field: code, type, Do Not Retry */
	uint32_t every;	 /* of the commands that it is for */
	int opcode;	 /* only of these; -1: all */
};

struct soft_inject {
	struct soft_inject_status status[SOFT_INJECT_STATUSES];
	unsigned statuses;
	/* 0: never */
	uint32_t drop;	  /* its completion is lost; it is carried out, if not on a file */
	uint32_t stuck;	  /* the command stays with the controller until it is aborted */
	uint32_t bad_cid; /* completed with an id that no command has */
	uint32_t fatal;	  /* the controller fails: CSTS.CFS */
};

/*
 * Adds what one option says: "status=SC[:SCT][,rate=1/N][,opcode=OP][,dnr]", "drop=N", "stuck=N",
 * "bad-cid=N" or "fatal=N". -EINVAL: it says nothing like that.
 */
int soft_inject_parse(const char *text, struct soft_inject *inject);

static inline bool soft_inject_any(const struct soft_inject *inject)
{
	return inject->statuses || inject->drop || inject->stuck || inject->bad_cid ||
	       inject->fatal;
}

#endif
