/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Refusals: why an access mode was not taken, or memory not mapped, in words for people.
 *
 * Whoever knows the reason fills in a struct plx_refusal and returns its errno; only the outermost
 * function (claim.c, ioas.c) logs it.
 */
#ifndef PLX_VFIO_REFUSAL_H
#define PLX_VFIO_REFUSAL_H

#include <stdbool.h>

#include <pollux/vfio.h>

/* Fills in *why and returns err (negative). */
int plx_refuse(struct plx_refusal *why, enum plx_refusal_code code, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * The same for what has an object and a remedy; the sentence ends with it. A NULL object is none, a
 * NULL remedy the usual one of the code. The remedy must live for ever.
 */
int plx_refuse_about(struct plx_refusal *why, enum plx_refusal_code code, int err,
		     const char *object, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* A device node that could not be opened (err: negative errno of open or access). */
int plx_refuse_node(struct plx_refusal *why, const char *path, int err);

/* A vfio-user socket that can't be connected to (err: negative errno). */
int plx_refuse_socket(struct plx_refusal *why, const char *path, int err);

/* The refusal that says most about why nothing worked, or NULL if there is none. */
const struct plx_refusal *plx_refusals_telling(const struct plx_refusals *refusals);

/*
 * "cdev, type1v2: TEXT; type1: TEXT" for the modes in the mask, modes with one and the same reason
 * together, modes that the caller didn't ask for left out. verb goes between modes and text.
 */
void plx_refusals_print(const struct plx_refusals *refusals, unsigned int modes, const char *verb,
			char *buf, size_t len);

#endif
