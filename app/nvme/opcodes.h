/* SPDX-License-Identifier: BSD-3-Clause */
/* What the specifications call commands, and which can be given without a second thought. */
#ifndef NVME_OPCODES_H
#define NVME_OPCODES_H

#include <stdbool.h>
#include <stdint.h>

/* NULL: the specifications have none of that number for this set. io: I/O commands, else admin. */
const char *opcode_name(bool io, uint8_t opcode);

/*
 * Whether data, firmware or settings can be lost by it. Of those that have no name here, vendors'
 * own among them, nobody knows: they count as such.
 */
bool opcode_may_destroy(bool io, uint8_t opcode);

#endif
