/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue pair of the NVMe driver's on the fake controller, and requests whose ends are counted. */
#ifndef NVME_RIG_H
#define NVME_RIG_H

#include "nvme_fake.h"

#define DEPTH	 8
#define REQUESTS 64

extern struct plx_nvme_ctrl *ctrl;
extern struct plx_nvme_qpair *q;
extern struct plx_nvme_ns *ns1, *ns2;
extern uint8_t *buf;

/* One request each; how often its callback ran, and with what. */
struct request {
	unsigned done;
	uint16_t status;
};

extern struct request requests[REQUESTS];

/* Of each test: a controller that isn't plugged in, and no request. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Plugged in, with a queue pair of DEPTH. */
void start_with(struct plx_nvme_qpair_opts opts);
void start(enum plx_nvme_timeout_policy policy);

/* Reads of one block each; the callback; whether all of them are done, once, with a status. */
void submit(unsigned first, unsigned count);
void done(void *request, uint16_t status, uint32_t result);
void check(unsigned first, unsigned count, uint16_t status);

/* Polls until the first so many are done. */
void finish(unsigned count);

/* As much time as a command may take. */
void time_passes(void);

unsigned aborts_out(void);

#endif
