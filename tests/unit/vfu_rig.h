/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server with a small model, and a scripted client on its socket, in one thread: a
 * request is sent, the server is polled, the reply is read.
 *
 * The model's BAR 0 has three pages: registers, trapped; a page that can be mapped; registers
 * again. BAR 1 can be mapped whole. Config space is 256 bytes, trapped. One INTx, four MSI-X
 * vectors.
 */
#ifndef VFU_RIG_H
#define VFU_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pollux/vfu.h>

#include "sock.h"

#define RIG_PAGE   4096u
#define RIG_CONFIG 7 /* VFIO_PCI_CONFIG_REGION_INDEX */
#define RIG_INTX   0
#define RIG_MSIX   2

struct rig {
	struct plx_vfu *vfu;
	char path[96];
	/* The model. */
	uint8_t bar0[3 * RIG_PAGE], config[256];
	unsigned accesses, asked, gone, dma_changes;
	int refuse;			    /* what access() answers with */
	void (*on_access)(struct rig *rig); /* called by access() */
	/* The client. */
	struct vfu_rx rx;
	uint16_t id;
	struct vfu_header header; /* of the last reply */
	int got_fd;		  /* that came with it, or -1 */
	size_t got_len;		  /* of its body */
};

extern struct rig rig;
extern const struct plx_vfu_desc rig_desc;

/* A server, and a client past VERSION. */
int rig_start(void **state);
/* A server alone. */
int rig_listen(void **state);
/* Stops both; fails if descriptors, memory or the socket are left. */
int rig_stop(void **state);

void rig_connect(void);
void rig_hang_up(void);
void rig_hello(const char *json); /* VERSION, which must succeed */

/* Polls until nothing happens. */
void rig_poll(void);

/* Sends len raw bytes with descriptors. */
void rig_raw(const void *data, size_t len, const int *fds, unsigned nfds);

/*
 * A command and its reply: 0 or the -errno in it. The reply's body goes to reply, at most room
 * bytes of it. -ECONNRESET: the server dropped the client.
 */
int rig_call_fds(unsigned cmd, const void *body, size_t len, const int *fds, unsigned nfds,
		 void *reply, size_t room);
int rig_call(unsigned cmd, const void *body, size_t len, void *reply, size_t room);

int rig_map(uint64_t addr, uint64_t size, uint64_t offset, unsigned flags, int fd);
int rig_unmap(uint64_t addr, uint64_t size);
int rig_read(unsigned region, uint64_t offset, void *buf, uint32_t count);
int rig_write(unsigned region, uint64_t offset, const void *buf, uint32_t count);

/* A memfd of so many bytes, each page filled with its number from 1. */
int rig_file(size_t size);

/* Open descriptors of this process. */
unsigned rig_fds(void);

/* Whether the server let go of the client. */
bool rig_dropped(void);

/* Lines logged at a level or more urgent since rig_start(); the last one of them. */
unsigned rig_lines(int level);
const char *rig_line(void);

#endif
