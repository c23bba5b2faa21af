/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fuzzer made up, taken piece by piece: zeroes behind its end. */
#ifndef INPUT_H
#define INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
	const uint8_t *data;
	size_t left;
};

static inline void take(struct input *in, void *to, size_t len)
{
	size_t n = len < in->left ? len : in->left;

	memset(to, 0, len);
	memcpy(to, in->data, n);
	in->data += n;
	in->left -= n;
}

static inline uint8_t byte(struct input *in)
{
	uint8_t value;

	take(in, &value, 1);
	return value;
}

#endif
