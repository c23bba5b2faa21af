/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plx-softdev: serves software devices.
 *
 *   main.c         the kinds of devices: one subcommand each
 *   nic.c          network cards: what to make, the summary
 *   nic_options.c  their command line
 *   nvme.c         an NVMe controller; nvme_options.c
 *   options.c      what command lines have in common
 *   loop.c         the polling loop, for every kind
 */
#ifndef SOFTDEV_H
#define SOFTDEV_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_SERVED 2

enum exit_code {
	EXIT_OK,
	EXIT_FAILED, /* one line has said what */
	EXIT_USAGE,
};

/* One device in the loop. */
struct served {
	const char *name; /* for log lines */
	void *model;
	unsigned (*turn)(void *model);		 /* work without system calls; how much */
	int (*serve)(void *model, uint64_t now); /* requests; how many, or -errno */
	bool (*connected)(const void *model);
	int fd;	     /* readable: serve() has something to do */
	int more_fd; /* readable: turn() has; -1: nothing like that */
};

/*
 * Runs on this CPU only; -1: wherever. What is wrong is said.
 */
int loop_pin(int cpu);

/*
 * Until SIGINT or SIGTERM. After idle_us microseconds in which nothing happened it naps between
 * looks, for a millisecond at most; 0: never. Without clients it sleeps. 0, or -errno: said.
 */
int loop_run(const struct served *devs, unsigned count, unsigned idle_us);

/* Subcommands. argv[0] is their name. */
enum exit_code softdev_nic(int argc, char **argv);
enum exit_code softdev_nvme(int argc, char **argv);

#endif
