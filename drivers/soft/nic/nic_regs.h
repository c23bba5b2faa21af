/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the model needs to know of the 82574L beyond what the driver does: registers that only other
 * drivers use, default values, and the legacy descriptors. Sections are those of 318694.
 */
#ifndef NIC_REGS_H
#define NIC_REGS_H

#include "e1000_regs.h"

#define NIC_VENDOR 0x8086
#define NIC_DEVICE 0x10d3 /* 82574L */
#define NIC_CLASS  0x020000

#define NIC_MSIX_VECTORS 5
#define NIC_MSIX_BAR_LEN 0x4000 /* BAR 3: table at 0, pending bits at 0x2000 [9.1.4] */
#define NIC_MSIX_PBA	 0x2000

/* Registers end here; the rest of the BAR is empty. */
#define NIC_REGS_END 0x10000

/* The pages that the driver maps and the model polls [10.2.5, 10.2.6]. */
#define NIC_SHARED	0x2000u
#define NIC_SHARED_LEN	0x2000u
#define NIC_RX_RINGS	0x2800
#define NIC_TX_RINGS	0x3800
#define NIC_RING_STRIDE 0x100

/* Beyond the driver's */
#define NIC_IAM	 0x000e0 /* Interrupt Acknowledge Auto Mask [10.2.4] */
#define NIC_SWSM 0x05b50 /* Software Semaphore [10.2.3] */

/* CTRL, STATUS [10.2.2.1, 10.2.2.2] */
#define NIC_CTRL_DEFAULT 0x00100a41u /* full duplex, SLU, 1,000 Mb/s, ADVD3WUC, SWDPIN */
#define NIC_CTRL_PHY_RST (1u << 31)
#define NIC_SPEED_1000	 2u
#define NIC_SPEED_100	 1u
#define NIC_SPEED_10	 0u

/* EEC [10.2.2.3]: present, read automatically, 1 Kb or more, granted when requested */
#define NIC_EEC_REQ	(1u << 6)
#define NIC_EEC_GNT	(1u << 7)
#define NIC_EEC_DEFAULT (1u << 8 | E1000_EEC_AUTO_RD | 1u << 10)

#define NIC_SWSM_SMBI (1u << 0)

#define NIC_MDIC_INT (1u << 29)

/* Causes [10.2.4.1] */
#define NIC_ICR_TXDW	 (1u << 0)
#define NIC_ICR_TXQE	 (1u << 1)
#define NIC_ICR_RXSEQ	 (1u << 3) /* reserved; of the family: Linux raises it to try its MSI */
#define NIC_ICR_RXO	 (1u << 6)
#define NIC_ICR_RXT0	 (1u << 7)
#define NIC_ICR_MDAC	 (1u << 9)
#define NIC_ICR_SRPD	 (1u << 16)
#define NIC_ICR_ACK	 (1u << 17)
#define NIC_ICR_MNG	 (1u << 18)
#define NIC_ICR_TXQ(q)	 (1u << (22 + (q)))
#define NIC_ICR_ASSERTED (1u << 31)
#define NIC_ICR_VALID	 0x01f782dfu /* without bit 31 */
/* ... which the vector for all else stands for */
#define NIC_ICR_OTHERS \
	(E1000_ICR_LSC | NIC_ICR_RXO | NIC_ICR_MDAC | NIC_ICR_SRPD | NIC_ICR_ACK | NIC_ICR_MNG)
#define NIC_IVAR_VALID 8u

/* RCTL [10.2.5.1] */
#define NIC_RCTL_LBM	      (3u << 6)
#define NIC_RCTL_LBM_MAC      (1u << 6)
#define NIC_RCTL_DTYP	      (3u << 10)
#define NIC_RCTL_MO_SHIFT     12
#define NIC_RCTL_BSIZE_SHIFT  16
#define NIC_RCTL_CFIEN	      (1u << 19)
#define NIC_RCTL_CFI	      (1u << 20)
#define NIC_RCTL_DPF	      (1u << 22)
#define NIC_RCTL_PMCF	      (1u << 23)
#define NIC_RCTL_BSEX	      (1u << 25)
#define NIC_RCTL_FLXBUF_SHIFT 27

#define NIC_RXCSUM_PCSS	 0xffu
#define NIC_TARC_DEFAULT 0x00000403u
#define NIC_DCTL_DEFAULT 0x01010000u /* WTHRESH 1, GRAN */

/* Transmit descriptors [7.2.10] */
#define NIC_TXD_IC   (1u << 26) /* legacy: insert a checksum */
#define NIC_TXD_TSE  (1u << 26) /* extended: segment */
#define NIC_TXD_DTYP (0xfu << 20)

/* Receive status beyond what the driver looks at [7.1.4, 7.1.5] */
#define NIC_RXD_IXSM  (1u << 2)
#define NIC_RXD_IPIDV (1u << 9)

/* IEEE 802.3 clause 22, and the 82574's PHY */
#define MII_STATUS	    1
#define MII_STATUS_LINK	    (1u << 2)
#define MII_STATUS_ANDONE   (1u << 5)
#define MII_STATUS_ABLE	    0x7949u /* all of 10 and 100, extended status, preamble, AN */
#define MII_CONTROL_RESET   (1u << 15)
#define MII_CONTROL_FD	    (1u << 8)
#define MII_CONTROL_100	    (1u << 13)
#define MII_CONTROL_1000    (1u << 6)
#define MII_ID1		    2
#define MII_ID2		    3
#define MII_EXPANSION	    6
#define MII_1000T_STATUS    10
#define MII_EXT_STATUS	    15
#define NIC_PHY_ID1	    0x0141
#define NIC_PHY_ID2	    0x0cb1 /* 82574L [BME1000, revision 1] */
#define NIC_PHY_SPEC_STATUS 17	   /* copper specific status */
#define NIC_PHY_PAGE	    22
#define NIC_PHY_PAGE_BM	    31

/* NVM: 64 words with a sum of 0xbaba [6.1, 6.2] */
#define NIC_NVM_WORDS 64
#define NIC_NVM_SUM   0xbaba

#endif
