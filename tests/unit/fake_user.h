/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server behind the system-call seam, on top of the fake kernel (fake_vfio.h).
 *
 * It has no thread: what the client sends is handled inside its sendmsg(), so the answer is there
 * before the client looks for it, and where there is none, waiting ends at once. Sockets and
 * descriptors are real, and the client's are counted.
 *
 *      fake_user_start();                   // serves FAKE_USER
 *      fake_user.script = ...;              // answer otherwise than a good server
 *      ...
 *      fake_user_stop();                    // fails the test if the client left anything behind
 */
#ifndef FAKE_USER_H
#define FAKE_USER_H

#include "fake_rig.h"
#include "sock.h"

#define FAKE_USER_PATH "/run/plx-test"
#define FAKE_USER      "user:" FAKE_USER_PATH

struct fake_user_map {
	struct vfu_dma_map map;
	int fd; /* the server's, or -1 */
};

struct fake_user_region {
	uint64_t size;
	bool mappable;
	bool no_fd;	  /* says so and sends none */
	uint64_t file_at; /* where it begins in its file */
	uint64_t file_len;
	unsigned nareas; /* 0: all of it */
	struct vfio_region_sparse_mmap_area area[24];
};

struct fake_user {
	/* What the test describes. */
	int connect_err;
	unsigned late; /* how often there is nobody yet: connect_err goes then */
	mode_t type;   /* of what is at the path: S_IFSOCK */
	bool closed;   /* for others than its owner */
	uint16_t major, minor;
	const char *json;
	uint32_t flags, nregions, nirqs;
	struct fake_user_region region[9];
	unsigned vectors[5];
	/* Handles a request instead of what follows. False: it didn't. */
	bool (*script)(const struct vfu_msg *msg);
	void (*before_receive)(void); /* each time the client looks; or NULL */

	/* State, to be looked at. */
	int fd; /* the server's end, or -1 */
	unsigned clients, nresets;
	unsigned requests[VFU_CMDS];
	uint32_t longest; /* count of REGION_READ and REGION_WRITE */
	unsigned nmaps;
	struct fake_user_map map[64];
	int irq[5][64]; /* the server's eventfds, or -1 */
	int file[9];	/* behind the regions, or -1 */
	uint8_t *mem[9];
};

extern struct fake_user fake_user;

void fake_user_start(void);
void fake_user_stop(void);

/* Answers a request. */
void fake_user_reply(const struct vfu_msg *msg, const void *body, size_t len, const int *fds,
		     unsigned nfds);
void fake_user_refuse(const struct vfu_msg *msg, int err);

/* Sends bytes as they are. */
void fake_user_send(const void *bytes, size_t len, const int *fds, unsigned nfds);

/* The server's next message, or false: the client's answer to a request of its. */
bool fake_user_receive(struct vfu_header *header, void *body, size_t len);

void fake_user_hang_up(void);

#endif
