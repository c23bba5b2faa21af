/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "files.h"
#include "kconfig.h"
#include "sys.h"

/* From gzip's format (RFC 1952), which zlib is told to expect by 16 more window bits. */
static size_t unpack(const char *packed, size_t len, char *buf, size_t room)
{
	z_stream stream = {
		.next_in = (Bytef *)(uintptr_t)packed,
		.avail_in = (uInt)len,
		.next_out = (Bytef *)buf,
		.avail_out = (uInt)room,
	};
	int err;

	if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
		return 0;
	err = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return err == Z_STREAM_END ? stream.total_out : 0;
}

/* The contents of /proc/config.gz, or NULL. */
static char *read_packed(void)
{
	size_t len = 0, unpacked = 0;
	char *packed = file_read("/proc/config.gz", &len), *text;

	if (!packed)
		return NULL;
	text = plx_sys->alloc(FILE_MAX + 1);
	if (text)
		unpacked = unpack(packed, len, text, FILE_MAX);
	plx_sys->free(packed);
	if (unpacked)
		return text;
	plx_sys->free(text);
	return NULL;
}

void kconfig_read(struct kconfig *config, const char *release)
{
	char path[160];

	config->text = read_packed();
	if (config->text)
		return;
	snprintf(path, sizeof(path), "/boot/config-%s", release);
	config->text = file_read(path, NULL);
}

void kconfig_free(struct kconfig *config)
{
	plx_sys->free(config->text);
	config->text = NULL;
}

char kconfig_get(const struct kconfig *config, const char *name)
{
	char line[80];
	const char *at;

	if (!config->text)
		return '?';
	snprintf(line, sizeof(line), "\nCONFIG_%s=", name);
	at = strstr(config->text, line);
	return at ? at[strlen(line)] : 'n';
}
