/* SPDX-License-Identifier: BSD-3-Clause */
/* One request at a time, waited for. */
#ifndef NVME_ONE_H
#define NVME_ONE_H

#include "session.h"

struct one {
	struct plx_nvme_qpair *q;
	struct plx_arena *memory;
	bool done;
	uint16_t status;
	uint32_t result; /* dword 0 of the completion */
};

/* A queue pair, and memory for it. EXIT_RUNTIME: one line is logged, and nothing is left. */
enum exit_code one_open(struct one *one, struct session *session, struct plx_nvme_ctrl *ctrl,
			size_t memory);
void one_close(struct one *one, struct session *session);

/* The callback of a request, whose argument is the struct. */
void one_done(void *one, uint16_t status, uint32_t result);

/* What became of the request that submitting gave err for: 0, a status or -errno. */
int one_wait(struct one *one, int err);

#endif
