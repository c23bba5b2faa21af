/* SPDX-License-Identifier: BSD-3-Clause */
/* A frame that has arrived over a cable and waits for a buffer of the driver's. */
#ifndef CABLE_H
#define CABLE_H

#include <string.h>

#include "soft_nic.h"

struct cable_inbox {
	struct soft_nic *nic;
	uint32_t len; /* 0: empty */
	uint8_t data[SOFT_FRAME_MAX];
};

/* Hands it to the card, padded as it would be on the wire. Whether the inbox is empty now. */
static inline bool cable_deliver(struct cable_inbox *inbox)
{
	struct soft_frame frame = { .data = inbox->data, .len = inbox->len };

	if (!inbox->len)
		return true;
	if (frame.len < SOFT_FRAME_MIN) {
		memset(inbox->data + frame.len, 0, SOFT_FRAME_MIN - frame.len);
		frame.len = SOFT_FRAME_MIN;
	}
	if (!soft_nic_receive(inbox->nic, &frame, 1))
		return false;
	inbox->len = 0;
	return true;
}

#endif
