/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "opcodes.h"

struct opcode {
	const char *name;
	bool harmless; /* loses nothing that was stored */
};

/* Base, "Opcodes for Admin Commands" [5], and from 80h on those of the NVM command set [NVM 4.1].
 */
static const struct opcode admin[256] = {
	[0x00] = { "Delete I/O Submission Queue", true },
	[0x01] = { "Create I/O Submission Queue", true },
	[0x02] = { "Get Log Page", true },
	[0x04] = { "Delete I/O Completion Queue", true },
	[0x05] = { "Create I/O Completion Queue", true },
	[0x06] = { "Identify", true },
	[0x08] = { "Abort", true },
	[0x09] = { "Set Features", true },
	[0x0a] = { "Get Features", true },
	[0x0c] = { "Asynchronous Event Request", true },
	[0x0d] = { "Namespace Management", false },
	[0x10] = { "Firmware Commit", false },
	[0x11] = { "Firmware Image Download", false },
	[0x14] = { "Device Self-test", true },
	[0x15] = { "Namespace Attachment", true },
	[0x18] = { "Keep Alive", true },
	[0x19] = { "Directive Send", true },
	[0x1a] = { "Directive Receive", true },
	[0x1c] = { "Virtualization Management", true },
	[0x1d] = { "NVMe-MI Send", false },
	[0x1e] = { "NVMe-MI Receive", true },
	[0x20] = { "Capacity Management", false },
	[0x24] = { "Lockdown", true },
	[0x7c] = { "Doorbell Buffer Config", true },
	[0x7f] = { "Fabrics Commands", true },
	[0x80] = { "Format NVM", false },
	[0x81] = { "Security Send", false }, /* by which a drive can be told to erase itself */
	[0x82] = { "Security Receive", true },
	[0x84] = { "Sanitize", false },
	[0x86] = { "Get LBA Status", true },
};

/* NVM 3.2 and Base 7; from 79h on Zoned Namespaces 3.4. */
static const struct opcode io_commands[256] = {
	[0x00] = { "Flush", true },
	[0x01] = { "Write", false },
	[0x02] = { "Read", true },
	[0x04] = { "Write Uncorrectable", false },
	[0x05] = { "Compare", true },
	[0x08] = { "Write Zeroes", false },
	[0x09] = { "Dataset Management", false },
	[0x0c] = { "Verify", true },
	[0x0d] = { "Reservation Register", true },
	[0x0e] = { "Reservation Report", true },
	[0x11] = { "Reservation Acquire", true },
	[0x12] = { "I/O Management Receive", true },
	[0x15] = { "Reservation Release", true },
	[0x19] = { "Copy", false },
	[0x1d] = { "I/O Management Send", false },
	[0x79] = { "Zone Management Send", false },
	[0x7a] = { "Zone Management Receive", true },
	[0x7d] = { "Zone Append", false },
};

static const struct opcode *find(bool io, uint8_t opcode)
{
	return io ? &io_commands[opcode] : &admin[opcode];
}

const char *opcode_name(bool io, uint8_t opcode)
{
	return find(io, opcode)->name;
}

bool opcode_may_destroy(bool io, uint8_t opcode)
{
	return !find(io, opcode)->harmless;
}
