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
 * Names come from anybody, and end on root's terminal and in JSON: bytes of control characters, and
 * those that are no UTF-8, become question marks.
 */
void text_clean(char *text);

/* Cleans it, too. 0 or -ENOMEM. */
int texts_add(struct texts *texts, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, unless it is there. */
int texts_add_new(struct texts *texts, const char *text);

bool texts_have(const struct texts *texts, const char *text);

/* "a,b,c" into buf, cut off where it doesn't fit. Returns buf. */
const char *texts_join(const struct texts *texts, const char *separator, char *buf, size_t len);
void texts_free(struct texts *texts);

#endif
