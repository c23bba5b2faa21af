/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A software NVMe controller, served on a vfio-user socket, over namespaces in memory, in files, or
 * in nothing.
 *
 *      client's queues ... soft_nvme --- soft_disk: memory, a file, nothing
 *                             |
 *                          plx_vfu
 *
 * Written from the NVM Express Base Specification 2.0 and the NVM Command Set Specification 1.0; it
 * says that it follows 1.4. Doorbells are a page that the client maps and the model polls.
 *
 * No call sleeps, nor gives the CPU away, but for files: while only the kernel has work for them;
 * at an orderly shutdown, which flushes them; where one is formatted; and where commands under way
 * must come to their end, before a reset is done or a queue is gone. All of one controller belongs
 * to one thread.
 */
#ifndef SOFT_NVME_H
#define SOFT_NVME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inject.h"

#define SOFT_NVME_NAMESPACES 32u
#define SOFT_NVME_QUEUES     64u    /* I/O queue pairs, at most */
#define SOFT_NVME_ENTRIES    65536u /* of a queue, at most */
/* Bytes of a command, a power of two; of one page, MDTS would be 0, which says: no limit. */
#define SOFT_NVME_TRANSFER_MIN 8192u
#define SOFT_NVME_TRANSFER_MAX (32u << 20)
#define SOFT_NVME_STRIDE_MAX   4u

enum soft_disk_kind {
	SOFT_DISK_RAM,	/* keeps what is written until the controller is destroyed */
	SOFT_DISK_NULL, /* takes writes and keeps nothing; reads leave the buffer as it was */
	SOFT_DISK_FILE, /* a regular file, by io_uring */
};

struct soft_ns_conf {
	enum soft_disk_kind kind;
	const char *path;  /* of a file */
	uint64_t size;	   /* bytes; of a file: 0, it is as large as it is */
	uint32_t block;	   /* bytes: 512 or 4096 */
	uint16_t boundary; /* NOIOB, blocks; 0: none */
	bool metadata;	   /* 8 bytes of it a block, in a buffer of its own. Not of files */
};

struct soft_nvme_conf {
	const char *path; /* of the socket */
	const struct soft_ns_conf *ns;
	unsigned namespaces;
	unsigned queues;   /* I/O queue pairs that are granted */
	unsigned entries;  /* that a queue can have */
	uint32_t transfer; /* bytes that a command can move at most */
	unsigned stride;   /* CAP.DSTRD: doorbells are 4 << stride bytes apart */
	uint64_t cmb;	   /* bytes of a Controller Memory Buffer; 0: there is none */
	struct soft_inject inject;
};

struct soft_nvme;

/* The errors of plx_vfu_create(), of opening files, and -ENOMEM; what is wrong has been said. */
int soft_nvme_create(const struct soft_nvme_conf *conf, struct soft_nvme **nvme);
void soft_nvme_destroy(struct soft_nvme *nvme); /* NULL is fine */

/* Carries out commands, a bounded number of them: the hot path. How many. */
unsigned soft_nvme_turn(struct soft_nvme *nvme);

/*
 * The rest: requests of the client, timers (now: CLOCK_MONOTONIC, ns). How many requests, or -errno
 * when the server is broken.
 */
int soft_nvme_serve(struct soft_nvme *nvme, uint64_t now);

int soft_nvme_fd(const struct soft_nvme *nvme);	     /* readable: there is something to serve */
int soft_nvme_more_fd(const struct soft_nvme *nvme); /* turn() has; -1: nothing like that */
bool soft_nvme_connected(const struct soft_nvme *nvme);

/* Since the controller was made. */
struct soft_nvme_totals {
	uint64_t commands; /* for I/O, of all kinds */
	uint64_t reads, read_bytes, writes, written_bytes;
	uint64_t admin;
	uint64_t errors;   /* commands that failed, without those made to */
	uint64_t injected; /* mishaps that were asked for */
	uint64_t faults;   /* the controller failed: CSTS.CFS */
	uint64_t unknown;  /* accesses to registers that aren't there */
	uint64_t resets, clients;
};

void soft_nvme_totals(const struct soft_nvme *nvme, struct soft_nvme_totals *totals);

#endif
