/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "version.h"

bool version_asked(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--version") != 0)
			continue;
		printf("%s (Pollux) %s\n", program_invocation_short_name, POLLUX_VERSION);
		return true;
	}
	return false;
}
