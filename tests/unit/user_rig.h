/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of devices of processes have in common: a server (fake_user.h), an address space and a
 * device that is claimed into it; and memory that the server asks for.
 */
#ifndef USER_RIG_H
#define USER_RIG_H

#include "fake_user.h"

#define BAR3 VFIO_PCI_BAR3_REGION_INDEX

extern struct plx_vfio_opts opts;
extern struct plx_ioas *ioas;
extern struct plx_vfio_dev *dev;

/* Around each case: the server, the options and the address space; whatever is left goes. */
int setup(void **state);
int teardown(void **state);

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

void claim(void); /* must work */
bool readable(int fd);

/* The server's request, and then the client's answer to it. */
extern struct user_request {
	struct vfu_header header;
	struct vfu_dma_access access;
	uint8_t data[VFU_MAX_XFER + 64];
} dma;

/* Sends a request; extra: bytes of data. */
void ask(unsigned cmd, uint64_t addr, uint64_t count, size_t extra, uint32_t flags);

/* What the client answered: an errno. */
int answer(void);

/* Memory to ask for, and mapping it: two pages, and one more that may be read alone. */
extern uint8_t pages[4 * PAGE];
void map_pages(void);

/*
 * A script that, at a read of BAR 3, asks twice before it answers, and once more behind the answer.
 */
bool asks_first(const struct vfu_msg *msg);
extern int asked_while_waiting;

#endif
