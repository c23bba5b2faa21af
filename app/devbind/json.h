/* SPDX-License-Identifier: BSD-3-Clause */
/* Shorthands over json-c. */
#ifndef DEVBIND_JSON_H
#define DEVBIND_JSON_H

#include <stdio.h>

#include <json-c/json.h>

#include "texts.h"

/* Cleaned by text_clean(), up to 1023 bytes; "": null. */
void put_text(struct json_object *to, const char *key, const char *value);
void put_count(struct json_object *to, const char *key, uint64_t value);
void put_flag(struct json_object *to, const char *key, bool value);
void put_texts(struct json_object *to, const char *key, const struct texts *texts);

/* An object or array made inside another one, and owned by it. */
struct json_object *put_inside(struct json_object *to, const char *key, struct json_object *child);

/*
 * Writes it out and lets go of it. 0 or -ENOMEM with a line logged; whether out took it, whoever
 * opened it looks.
 */
int put_out(FILE *out, struct json_object *object);

#endif
