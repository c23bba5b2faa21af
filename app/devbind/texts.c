/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sys.h"
#include "texts.h"

static int grow(struct texts *texts)
{
	unsigned room = texts->room ? 2 * texts->room : 4;
	char **at = plx_sys->alloc(room * sizeof(*at));

	if (!at)
		return -ENOMEM;
	if (texts->count)
		memcpy(at, texts->at, texts->count * sizeof(*at));
	plx_sys->free(texts->at);
	texts->at = at;
	texts->room = room;
	return 0;
}

int texts_add(struct texts *texts, const char *fmt, ...)
{
	char line[512], *text;
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	for (text = line; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = '?';
	if (texts->count == texts->room && grow(texts))
		return -ENOMEM;
	text = plx_sys->alloc(strlen(line) + 1);
	if (!text)
		return -ENOMEM;
	strcpy(text, line);
	texts->at[texts->count++] = text;
	return 0;
}

bool texts_have(const struct texts *texts, const char *text)
{
	unsigned i;

	for (i = 0; i < texts->count; i++)
		if (!strcmp(texts->at[i], text))
			return true;
	return false;
}

const char *texts_join(const struct texts *texts, const char *separator, char *buf, size_t len)
{
	size_t at = 0;
	unsigned i;

	buf[0] = '\0';
	for (i = 0; i < texts->count && at < len; i++)
		at += snprintf(buf + at, len - at, "%s%s", i ? separator : "", texts->at[i]);
	return buf;
}

void texts_free(struct texts *texts)
{
	while (texts->count)
		plx_sys->free(texts->at[--texts->count]);
	plx_sys->free(texts->at);
	*texts = (struct texts){ 0 };
}
