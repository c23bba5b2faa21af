/* SPDX-License-Identifier: BSD-3-Clause */
/* What the NVMe programs have in common: start-up, memory, numbers, exit codes. */
#ifndef NVME_SESSION_H
#define NVME_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pollux/mem.h>
#include <pollux/nvme.h>

/* What a process says when it ends. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_RUNTIME = 1,  /* something failed, or a device that was asked for was refused */
	EXIT_USAGE = 2,	   /* the command line is wrong */
	EXIT_VERIFY = 3,   /* what was read is not what was written */
	EXIT_SIGNAL = 128, /* and the signal's number: it came, and not everything was done */
};

/* The bus, an address space, and all controllers that the driver took. */
struct session {
	struct plx_pci_bus *bus;
	struct plx_ioas *ioas;
	struct plx_policy policy;
	struct plx_nvme_ctrl **ctrl;
	unsigned count;
};

/* Takes the bus's options out of argv. Nothing is left open unless it is EXIT_OK. */
enum exit_code session_scan(struct session *session, int *argc, char **argv);

/* Then, claims the devices. session_close() is to be called whatever comes of it. */
enum exit_code session_start(struct session *session);

/* Standard output, to its end: EXIT_RUNTIME and a line is logged if it can't be written. */
enum exit_code session_flush(void);

/* EXIT_RUNTIME if something couldn't be given back. */
enum exit_code session_close(struct session *session);

/* The access mode that a controller was claimed in. */
const char *session_mode(const struct session *session, const struct plx_nvme_ctrl *ctrl);

/* Memory that all controllers of the session can reach. NULL, and one line is logged. */
struct plx_arena *session_memory(struct session *session, size_t len, int node);
void session_free(struct session *session, struct plx_arena *arena);

/* Long options without a letter have values from here on. */
#define OPTION_LONG 256

/*
 * What getopt_long() stumbled over, with opterr 0 and ":" first: -EINVAL, and one line is logged.
 */
int option_wrong(int opt, char **argv);

/* A decimal or 0x number and nothing else; with a suffix k, m, g, t (1024s) if size. */
int parse_number(const char *text, bool size, uint64_t *value);

#endif
