/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules of udev's that --persist makes: a file for each device and purpose, which its name says.
 */
#ifndef DEVBIND_RULES_H
#define DEVBIND_RULES_H

#include "texts.h"

/*
 * The number that a rule's name begins with: RULE_BIND comes before 80-drivers.rules, which loads a
 * driver for the device; RULE_GRANT after 50-udev-default.rules, which sets the modes of nodes.
 */
enum rule { RULE_BIND = 10, RULE_GRANT = 70 };

#define RULE_PATH_LEN 160

void rule_path(char path[RULE_PATH_LEN], enum rule rule, const char *bdf);

/* 0 or -errno with a line logged; one that isn't there is none. */
int rule_remove(enum rule rule, const char *bdf);

/* Adds the addresses that have rules, each once. 0 or -errno with a line logged. */
int rules_list(struct texts *bdfs);

#endif
