/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <pollux/log.h>

#include "json.h"

void put_text(struct json_object *to, const char *key, const char *value)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s", value);
	text_clean(text);
	json_object_object_add(to, key, *text ? json_object_new_string(text) : NULL);
}

void put_count(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

void put_flag(struct json_object *to, const char *key, bool value)
{
	json_object_object_add(to, key, json_object_new_boolean(value));
}

void put_texts(struct json_object *to, const char *key, const struct texts *texts)
{
	struct json_object *array = put_inside(to, key, json_object_new_array());
	unsigned i;

	for (i = 0; i < texts->count; i++)
		json_object_array_add(array, json_object_new_string(texts->at[i]));
}

struct json_object *put_inside(struct json_object *to, const char *key, struct json_object *child)
{
	json_object_object_add(to, key, child);
	return child;
}

int put_out(FILE *out, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (text)
		fprintf(out, "%s\n", text);
	else
		plx_err("out of memory for the report");
	json_object_put(object);
	return text ? 0 : -ENOMEM;
}
