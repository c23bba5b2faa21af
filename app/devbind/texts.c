/* SPDX-License-Identifier: BSD-3-Clause */
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

/* Bytes of the character that text begins with, or 0 if it is none: RFC 3629, section 4. */
static unsigned utf8_len(const unsigned char *text)
{
	static const struct {
		unsigned char first, last; /* byte */
		unsigned char low, high;   /* of the byte after it; all others are 80..bf */
		unsigned len;
	} kinds[] = {
		{ 0x00, 0x7f, 0x00, 0xff, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	unsigned i, at;

	for (i = 0; *text < kinds[i].first || *text > kinds[i].last; i++)
		if (i + 1 == sizeof(kinds) / sizeof(kinds[0]))
			return 0;
	if (kinds[i].len > 1 && (text[1] < kinds[i].low || text[1] > kinds[i].high))
		return 0;
	for (at = 2; at < kinds[i].len; at++)
		if ((text[at] & 0xc0) != 0x80)
			return 0;
	return kinds[i].len;
}

/* ISO/IEC 6429: the sets C0 and C1, the latter two bytes each in UTF-8. */
static bool is_control(const unsigned char *text)
{
	return *text < 0x20 || *text == 0x7f || (*text == 0xc2 && text[1] < 0xa0);
}

void text_clean(char *text)
{
	unsigned char *at = (unsigned char *)text;

	while (*at) {
		unsigned len = utf8_len(at);

		if (len && !is_control(at))
			at += len;
		else
			*at++ = '?';
	}
}

int texts_add(struct texts *texts, const char *fmt, ...)
{
	char line[512], *text;
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	text_clean(line);
	if (texts->count == texts->room && grow(texts))
		return -ENOMEM;
	text = plx_sys->alloc(strlen(line) + 1);
	if (!text)
		return -ENOMEM;
	strcpy(text, line);
	texts->at[texts->count++] = text;
	return 0;
}

int texts_add_new(struct texts *texts, const char *text)
{
	return texts_have(texts, text) ? 0 : texts_add(texts, "%s", text);
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
