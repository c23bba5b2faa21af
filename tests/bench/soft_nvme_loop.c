/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The instructions of the software NVMe controller for each 4 KiB read, counted by callgrind
 * between the calls of soft_nvme_turn(). The client is the unit tests', whose work isn't counted.
 *
 *      soft-nvme-loop DEPTH COMMANDS [ram]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "soft_nvme_rig.h"

#define BLOCKS 8u /* of 512 bytes */

int main(int argc, char **argv)
{
	const struct rig_conf conf = { 0 };
	unsigned depth = argc > 1 ? (unsigned)atoi(argv[1]) : 1, commands, done = 0, place = 0;
	const unsigned nsid = argc > 3 && !strcmp(argv[3], "ram") ? 1 : 2;

	commands = argc > 2 ? (unsigned)atoi(argv[2]) : 10000;
	if (!depth || depth >= RIG_ENTRIES)
		return 2;
	rig_start(&conf);
	while (done < commands) {
		struct plx_nvme_cqe cqe;

		for (unsigned i = 0; i < depth; i++) {
			place = (place + 37) % 255;
			rig_put(1, rig_rw(PLX_NVME_READ, nsid, place * BLOCKS, BLOCKS,
					  RIG_DATA + place * RIG_PAGE, 0));
		}
		rig_ring(1);
		soft_nvme_turn(rig_nvme);
		while (rig_take_only(1, &cqe))
			done += !(cqe.status >> 1);
	}
	rig_end();
	printf("%u\n", done);
	return 0;
}
