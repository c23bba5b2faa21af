/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices that a command line names. */
#ifndef DEVBIND_SELECT_H
#define DEVBIND_SELECT_H

#include "device.h"
#include "options.h"

struct selection {
	struct device **dev; /* each once, in the order in which they were named */
	unsigned count;
};

/*
 * Words are addresses (0000:01:00.0, 01:00.0), patterns of them (01:00.*), network interfaces
 * (eth0), disks (nvme0n1, /dev/nvme0n1), or other nodes in /dev (nvme0). EXIT_USAGE: a word names
 * no device; EXIT_FAILED: no memory. A line is logged.
 */
enum exit_code selection_make(struct selection *selection, const struct inventory *inv,
			      char **words, unsigned count);

/* The parts of it: whether a word names devices, which are added; and the line if it doesn't. */
bool selection_add_word(struct selection *selection, const struct inventory *inv, const char *word);
enum exit_code selection_unknown(const char *word);

/* Whether a word names any. */
bool word_names_device(const char *word, const struct inventory *inv);

/* Whether a word is this address, or a pattern of it. */
bool word_names_address(const char *word, const char *bdf);

/* Adds the other endpoints of the groups that the selection's devices are in. */
void selection_add_groups(struct selection *selection, const struct inventory *inv);

void selection_add(struct selection *selection, struct device *dev);
bool selection_has(const struct selection *selection, const struct device *dev);
void selection_free(struct selection *selection);

#endif
