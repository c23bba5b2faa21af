/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "kconfig.h"
#include "sys.h"

#define CONFIG_MAX (1 << 20) /* a distribution's is a quarter of that */

/* As much of a file as fits. Returns its length; 0: it isn't there. */
static size_t read_file(const char *path, char *buf, size_t len)
{
	int fd = plx_sys->open(path, O_RDONLY);
	ssize_t got = 1;
	size_t have = 0;

	if (fd < 0)
		return 0;
	while (got > 0 && have < len) {
		got = plx_sys->read(fd, buf + have, len - have);
		if (got > 0)
			have += (size_t)got;
	}
	plx_sys->close(fd);
	return have;
}

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

void kconfig_read(struct kconfig *config, const char *release)
{
	char *packed = plx_sys->alloc(CONFIG_MAX), path[160];
	size_t len;

	config->text = plx_sys->alloc(CONFIG_MAX);
	if (!packed || !config->text)
		goto unknown;
	len = read_file("/proc/config.gz", packed, CONFIG_MAX);
	len = unpack(packed, len, config->text, CONFIG_MAX - 1);
	if (!len) {
		snprintf(path, sizeof(path), "/boot/config-%s", release);
		len = read_file(path, config->text, CONFIG_MAX - 1);
	}
	if (!len)
		goto unknown;
	config->text[len] = '\0';
	plx_sys->free(packed);
	return;
unknown:
	plx_sys->free(packed);
	kconfig_free(config);
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
