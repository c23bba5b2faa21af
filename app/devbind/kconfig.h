/* SPDX-License-Identifier: BSD-3-Clause */
/* How the running kernel was configured: /proc/config.gz or /boot/config-RELEASE. */
#ifndef DEVBIND_KCONFIG_H
#define DEVBIND_KCONFIG_H

#include <stdbool.h>

struct kconfig {
	char *text; /* NULL: not to be found */
};

/* Never fails: without a file nothing is known. */
void kconfig_read(struct kconfig *config, const char *release);
void kconfig_free(struct kconfig *config);

/* 'y', 'm', 'n', or '?' where nothing is known. name is without CONFIG_. */
char kconfig_get(const struct kconfig *config, const char *name);

#endif
