/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Controller properties, as registers in BAR 0, by the names of the NVM Express Base Specification
 * 2.0. Numbers in brackets are its sections.
 */
#ifndef NVME_REGS_H
#define NVME_REGS_H

#include <stdint.h>

/* [3.1.3] */
#define NVME_CAP    0x00 /* Controller Capabilities, 64 bits */
#define NVME_VS	    0x08 /* Version */
#define NVME_CC	    0x14 /* Controller Configuration */
#define NVME_CSTS   0x1c /* Controller Status */
#define NVME_AQA    0x24 /* Admin Queue Attributes */
#define NVME_ASQ    0x28 /* Admin Submission Queue Base, 64 bits */
#define NVME_ACQ    0x30 /* Admin Completion Queue Base, 64 bits */
#define NVME_CMBLOC 0x38 /* Controller Memory Buffer Location */
#define NVME_CMBSZ  0x3c /* Controller Memory Buffer Size */
#define NVME_CMBMSC 0x50 /* 64 bits */
#define NVME_CMBSTS 0x58

/* Submission Queue y Tail at 2y, Completion Queue y Head at 2y + 1 doorbells [PCIe transport] */
#define NVME_DOORBELLS 0x1000

#define NVME_VS_2_0 0x20000 /* VS [3.1.3.2] */

/* CAP [3.1.3.1] */
#define NVME_CAP_MQES(cap)   ((uint32_t)(cap)&0xffff)	     /* entries of a queue less one */
#define NVME_CAP_TO(cap)     ((uint32_t)(cap) >> 24 & 0xff)  /* to get ready, 500 ms */
#define NVME_CAP_DSTRD(cap)  ((uint32_t)((cap) >> 32 & 0xf)) /* doorbells are 4 << DSTRD apart */
#define NVME_CAP_CSS_NVM     (UINT64_C(1) << 37)
#define NVME_CAP_CSS_IO	     (UINT64_C(1) << 43)	     /* one or more I/O command sets */
#define NVME_CAP_MPSMIN(cap) ((uint32_t)((cap) >> 48 & 0xf)) /* pages of 4096 << MPSMIN */
#define NVME_CAP_MPSMAX(cap) ((uint32_t)((cap) >> 52 & 0xf))

#define NVME_CAP_CMBS (UINT64_C(1) << 57)

/* CMBLOC [3.1.3.11], CMBSZ [3.1.3.12], CMBMSC [3.1.3.16], CMBSTS [3.1.3.17] */
#define NVME_CMBLOC_BIR(loc)  ((loc)&7)	    /* which BAR */
#define NVME_CMBLOC_OFST(loc) ((loc) >> 12) /* in CMBSZ's units */
#define NVME_CMBSZ_SQS	      (1u << 0)
#define NVME_CMBSZ_SZU(size)  ((size) >> 8 & 0xf) /* units of 4096 << 4 * SZU bytes */
#define NVME_CMBSZ_SZU_MAX    6
#define NVME_CMBSZ_SZ(size)   ((size) >> 12) /* in those units */
#define NVME_CMBMSC_CRE	      (UINT64_C(1) << 0)
#define NVME_CMBMSC_CMSE      (UINT64_C(1) << 1)
#define NVME_CMBSTS_CBAI      (1u << 0)

/* CC [3.1.3.5] */
#define NVME_CC_EN	   (1u << 0)
#define NVME_CC_CSS_IO	   (6u << 4) /* all I/O command sets that there are */
#define NVME_CC_MPS(mps)   ((uint32_t)(mps) << 7)
#define NVME_CC_SHN_NORMAL (1u << 14)
#define NVME_CC_SHN_MASK   (3u << 14)
#define NVME_CC_IOSQES	   (6u << 16) /* submission entries of 1 << 6 bytes */
#define NVME_CC_IOCQES	   (4u << 20) /* completion entries of 1 << 4 bytes */

/* CSTS [3.1.3.6] */
#define NVME_CSTS_RDY	    (1u << 0)
#define NVME_CSTS_CFS	    (1u << 1) /* Controller Fatal Status */
#define NVME_CSTS_SHST_MASK (3u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)
#define NVME_GONE	    UINT32_MAX /* what a device that isn't there reads as */

/* Create I/O Completion and Submission Queue [5.4, 5.5], command dword 11 */
#define NVME_QUEUE_CONTIGUOUS (1u << 0)
#define NVME_CQ_INTERRUPTS    (1u << 1)
#define NVME_CQ_VECTOR(v)     ((uint32_t)(v) << 16)
#define NVME_SQ_CQID(id)      ((uint32_t)(id) << 16)

#endif
