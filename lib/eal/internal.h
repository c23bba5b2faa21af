/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of lib/eal share. */
#ifndef PLX_EAL_INTERNAL_H
#define PLX_EAL_INTERNAL_H

#include <stdbool.h>

#include <pollux/eal.h>

/*
 * args.c: the argument vector that EAL gets.
 */
struct plx_eal_args {
	int argc;
	char **argv;	    /* the program's name, our options, the user's arguments, NULL */
	int extra;	    /* how many of them are ours */
	bool no_huge;	    /* --no-huge */
	bool made_no_huge;  /* ... which is ours */
	bool static_memory; /* EAL never frees memory and reports no events: --no-huge, --legacy-mem
			     */
};

/* What we give EAL without hugepages, in MiB, if the user doesn't say. */
#define PLX_EAL_SMALL_MIB 256

/*
 * small: to do without hugepages, if the user says nothing of them. 0, -EINVAL, -ENOTSUP (secondary
 * processes) or -ENOMEM, with the reason logged.
 */
int plx_eal_args_build(int argc, char **argv, enum plx_addr_policy addr, bool small,
		       struct plx_eal_args *args);

/*
 * After rte_eal_init(), which moves options in front of other arguments: puts the user's arguments
 * back in the order that EAL left them in. consumed is what rte_eal_init() returned. Returns how
 * many of the user's own arguments that is.
 */
int plx_eal_args_return(const struct plx_eal_args *args, int consumed, int argc, char **argv);

void plx_eal_args_free(struct plx_eal_args *args);

/*
 * log.c: our lines through rte_log, as type "pollux".
 */
void plx_eal_log_start(void);
void plx_eal_log_stop(void);

/*
 * runs.c: what is mapped. Any thread may call these.
 */
void plx_eal_runs_start(struct plx_ioas *ioas);

/* Destroys the address space and forgets the runs. -EBUSY (a device is claimed): nothing done. */
int plx_eal_runs_stop(void);

int plx_eal_run_map(const struct plx_dma_mem *mem, struct plx_refusal *why);

/* Unmaps the run of exactly these addresses; -ENOENT if there is none. */
int plx_eal_run_unmap(const void *va, size_t len);

/* Unmaps every run in the range. What can't be unmapped is logged: nobody could act on an error. */
void plx_eal_runs_unmap_range(const void *addr, size_t len);

/* The table of the address space, or NULL. */
const struct plx_xlate *plx_eal_xlate(void);

/*
 * memory.c: EAL's memory in the address space.
 */

/* Maps all that EAL has and follows what comes and goes. After a failure the caller stops it. */
int plx_eal_memory_start(struct plx_ioas *ioas, bool static_memory);

/* Destroys the address space; memory events are ignored from then on. -EBUSY: nothing done. */
int plx_eal_memory_stop(void);

#endif
