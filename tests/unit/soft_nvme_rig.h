/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver of the NVMe controller's model that does as little as it can, over soft_vfu: an admin
 * queue, one queue pair or more, and memory for data.
 */
#ifndef SOFT_NVME_RIG_H
#define SOFT_NVME_RIG_H

#include <pollux/nvme_spec.h>

#include "regs.h"
#include "soft_nvme.h"
#include "soft_vfu.h"

#define RIG_ENTRIES 16u /* of each queue */
#define RIG_QUEUES  4u	/* that the model has */
#define RIG_PAGE    4096u

/* The client's memory, all for reading and writing. */
#define RIG_DATA     UINT64_C(0x40000000) /* 4 MiB in one map, of which the model knows frames */
#define RIG_DATA_LEN (4u << 20)
#define RIG_NOWHERE  UINT64_C(0x7000000000)

extern struct soft_nvme *rig_nvme;

/* Zeroes: two namespaces, of 1 MiB of memory in blocks of 512 bytes, and of 1 MiB of nothing. */
struct rig_conf {
	const struct soft_ns_conf *ns;
	unsigned namespaces;
	uint32_t transfer; /* 0: 128 KiB */
	unsigned stride;
	unsigned mps; /* CC.MPS: pages are of 4096 << mps bytes */
	uint64_t cmb;
	const char *inject;
};

void rig_make(const struct rig_conf *conf);  /* off */
void rig_enable(void);			     /* with the admin queue */
void rig_start(const struct rig_conf *conf); /* made, on, and with queue pair 1 */
void rig_end(void);

uint8_t *rig_data(void);

/* Any command of the admin queue, until it is answered. Its status. result may be NULL. */
uint16_t rig_admin(struct plx_nvme_cmd cmd, uint32_t *result);
uint16_t rig_create_cq(unsigned id, uint64_t base, unsigned size, uint32_t cdw11);
uint16_t rig_create_sq(unsigned id, uint64_t base, unsigned size, uint32_t cdw11);
uint16_t rig_create(unsigned id); /* a pair */
uint16_t rig_delete_sq(unsigned id);
uint16_t rig_delete_cq(unsigned id);

/* One command of a queue pair, until it is answered. */
uint16_t rig_io(unsigned qid, struct plx_nvme_cmd cmd);

/*
 * By hand: puts a command in a queue (0: the admin queue); tells the controller; takes a
 * completion.
 */
uint16_t rig_put(unsigned qid, struct plx_nvme_cmd cmd); /* its id */
void rig_ring(unsigned qid);
bool rig_take(unsigned qid, struct plx_nvme_cqe *cqe);	    /* after turns */
bool rig_take_only(unsigned qid, struct plx_nvme_cqe *cqe); /* as things are */
void rig_turn(void);
volatile uint32_t *rig_doorbell(unsigned index);
uint64_t rig_sq_at(unsigned qid);
uint64_t rig_cq_at(unsigned qid);

/* A read or write of blocks in the client's memory at prp1, prp2. */
struct plx_nvme_cmd rig_rw(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks,
			   uint64_t prp1, uint64_t prp2);

#define BAD(code) (PLX_NVME_##code | PLX_NVME_DNR)

#endif
