/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of strings that grow. */
#ifndef DEVBIND_TEXTS_H
#define DEVBIND_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

struct texts {
	char **at;
	unsigned count, room;
};

/*
 * 0 or -ENOMEM. Names come from anybody, and end on root's terminal: control characters become
 * question marks.
 */
int texts_add(struct texts *texts, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool texts_have(const struct texts *texts, const char *text);

/* "a,b,c" into buf, cut off where it doesn't fit. Returns buf. */
const char *texts_join(const struct texts *texts, const char *separator, char *buf, size_t len);
void texts_free(struct texts *texts);

#endif
