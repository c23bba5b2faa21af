/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef APP_VERSION_H
#define APP_VERSION_H

#include <stdbool.h>

/* --version is among the words: the program's name and Pollux's version have been printed. */
bool version_asked(int argc, char **argv);

#endif
