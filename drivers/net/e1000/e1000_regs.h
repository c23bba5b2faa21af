/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers and descriptors of the 82574L, by the names of "Intel 82574 GbE Controller Family
 * Datasheet" (318694). Numbers in brackets are its sections: chapter 7 for what the device does
 * with descriptors, chapter 10 for registers.
 */
#ifndef E1000_REGS_H
#define E1000_REGS_H

#include <stdint.h>

#include <rte_byteorder.h>

#define E1000_BAR_LEN 0x20000 /* 128 KiB of registers */

/* General [10.2.2] */
#define E1000_CTRL	  0x00000 /* Device Control */
#define E1000_STATUS	  0x00008 /* Device Status */
#define E1000_EEC	  0x00010 /* EEPROM/Flash Control */
#define E1000_EERD	  0x00014 /* EEPROM Read */
#define E1000_CTRL_EXT	  0x00018 /* Extended Device Control */
#define E1000_MDIC	  0x00020 /* MDI Control */
#define E1000_FCAL	  0x00028 /* Flow Control Address Low */
#define E1000_FCAH	  0x0002c /* Flow Control Address High */
#define E1000_FCT	  0x00030 /* Flow Control Type */
#define E1000_VET	  0x00038 /* VLAN EtherType */
#define E1000_FCTTV	  0x00170 /* Flow Control Transmit Timer Value */
#define E1000_EXTCNF_CTRL 0x00f00 /* Extended Configuration Control */
#define E1000_PBA	  0x01000 /* Packet Buffer Allocation */

/* PCIe [10.2.3] */
#define E1000_GCR  0x05b00 /* 3GIO Control */
#define E1000_GCR2 0x05b64 /* 3GIO Control 2 */

/* Interrupts [10.2.4] */
#define E1000_ICR     0x000c0		  /* Interrupt Cause Read; write 1 to clear */
#define E1000_ITR     0x000c4		  /* Interrupt Throttling */
#define E1000_ICS     0x000c8		  /* Interrupt Cause Set */
#define E1000_IMS     0x000d0		  /* Interrupt Mask Set/Read */
#define E1000_IMC     0x000d8		  /* Interrupt Mask Clear */
#define E1000_EIAC    0x000dc		  /* Auto Clear */
#define E1000_IVAR    0x000e4		  /* Interrupt Vector Allocation */
#define E1000_EITR(n) (0x000e8 + 4 * (n)) /* Throttling of a MSI-X vector, 256 ns */

/* Receive [10.2.5] */
#define E1000_RCTL	0x00100			/* Receive Control */
#define E1000_FCRTL	0x02160			/* Flow Control Receive Threshold Low */
#define E1000_FCRTH	0x02168			/* Flow Control Receive Threshold High */
#define E1000_RDBAL(q)	(0x02800 + 0x100 * (q)) /* Descriptor Base Low */
#define E1000_RDBAH(q)	(0x02804 + 0x100 * (q))
#define E1000_RDLEN(q)	(0x02808 + 0x100 * (q)) /* bytes, a multiple of 128 */
#define E1000_RDH(q)	(0x02810 + 0x100 * (q)) /* Head: the device's */
#define E1000_RDT(q)	(0x02818 + 0x100 * (q)) /* Tail: ours */
#define E1000_RDTR	0x02820			/* Delay Timer */
#define E1000_RXDCTL(q) (0x02828 + 0x100 * (q)) /* Descriptor Control */
#define E1000_RADV	0x0282c			/* Absolute Delay Timer */
#define E1000_RSRPD	0x02c00			/* Small Packet Detect */
#define E1000_RXCSUM	0x05000			/* Checksum Control */
#define E1000_RFCTL	0x05008			/* Filter Control */
#define E1000_MTA(n)	(0x05200 + 4 * (n))	/* Multicast Table Array, 128 */
#define E1000_RAL(n)	(0x05400 + 8 * (n))	/* Receive Address, 16 */
#define E1000_RAH(n)	(0x05404 + 8 * (n))
#define E1000_VFTA(n)	(0x05600 + 4 * (n)) /* VLAN Filter Table Array, 128 */
#define E1000_MRQC	0x05818		    /* Multiple Receive Queues Command */
#define E1000_RETA(n)	(0x05c00 + 4 * (n)) /* Redirection Table, 32 times 4 entries */
#define E1000_RSSRK(n)	(0x05c80 + 4 * (n)) /* RSS Random Key, 10 */

/* Transmit [10.2.6] */
#define E1000_TCTL	0x00400 /* Transmit Control */
#define E1000_TIPG	0x00410 /* Inter Packet Gap */
#define E1000_TDFPC	0x03430 /* Data FIFO Packet Count */
#define E1000_TDBAL(q)	(0x03800 + 0x100 * (q))
#define E1000_TDBAH(q)	(0x03804 + 0x100 * (q))
#define E1000_TDLEN(q)	(0x03808 + 0x100 * (q))
#define E1000_TDH(q)	(0x03810 + 0x100 * (q)) /* Head: the device's */
#define E1000_TDT(q)	(0x03818 + 0x100 * (q)) /* Tail: ours */
#define E1000_TIDV	0x03820			/* Interrupt Delay Value */
#define E1000_TXDCTL(q) (0x03828 + 0x100 * (q))
#define E1000_TADV	0x0382c			/* Absolute Interrupt Delay Value */
#define E1000_TARC(q)	(0x03840 + 0x100 * (q)) /* Arbitration Count */

/* Statistics [10.2.7]: 32 bits, cleared by reading, stuck at all ones; pairs are read low, high */
#define E1000_CRCERRS  0x04000
#define E1000_ALGNERRC 0x04004
#define E1000_RXERRC   0x0400c
#define E1000_MPC      0x04010
#define E1000_SCC      0x04014
#define E1000_ECOL     0x04018
#define E1000_MCC      0x0401c
#define E1000_LATECOL  0x04020
#define E1000_COLC     0x04028
#define E1000_DC       0x04030
#define E1000_TNCRS    0x04034
#define E1000_CEXTERR  0x0403c
#define E1000_RLEC     0x04040
#define E1000_XONRXC   0x04048
#define E1000_XONTXC   0x0404c
#define E1000_XOFFRXC  0x04050
#define E1000_XOFFTXC  0x04054
#define E1000_FCRUC    0x04058
#define E1000_PRC64    0x0405c
#define E1000_PRC127   0x04060
#define E1000_PRC255   0x04064
#define E1000_PRC511   0x04068
#define E1000_PRC1023  0x0406c
#define E1000_PRC1522  0x04070
#define E1000_GPRC     0x04074
#define E1000_BPRC     0x04078
#define E1000_MPRC     0x0407c
#define E1000_GPTC     0x04080
#define E1000_GORCL    0x04088
#define E1000_GOTCL    0x04090
#define E1000_RNBC     0x040a0
#define E1000_RUC      0x040a4
#define E1000_RFC      0x040a8
#define E1000_ROC      0x040ac
#define E1000_RJC      0x040b0
#define E1000_MPRC_MNG 0x040b4
#define E1000_MPDC     0x040b8
#define E1000_MPTC_MNG 0x040bc
#define E1000_TORL     0x040c0
#define E1000_TOTL     0x040c8
#define E1000_TPR      0x040d0
#define E1000_TPT      0x040d4
#define E1000_PTC64    0x040d8
#define E1000_PTC127   0x040dc
#define E1000_PTC255   0x040e0
#define E1000_PTC511   0x040e4
#define E1000_PTC1023  0x040e8
#define E1000_PTC1522  0x040ec
#define E1000_MPTC     0x040f0
#define E1000_BPTC     0x040f4
#define E1000_TSCTC    0x040f8
#define E1000_TSCTFC   0x040fc
#define E1000_IAC      0x04100

/* CTRL [10.2.2.1] */
#define E1000_CTRL_FD		      (1u << 0)
#define E1000_CTRL_GIO_MASTER_DISABLE (1u << 2)
#define E1000_CTRL_ASDE		      (1u << 5)
#define E1000_CTRL_SLU		      (1u << 6)
#define E1000_CTRL_FRCSPD	      (1u << 11)
#define E1000_CTRL_FRCDPX	      (1u << 12)
#define E1000_CTRL_RST		      (1u << 26)
#define E1000_CTRL_RFCE		      (1u << 27)
#define E1000_CTRL_TFCE		      (1u << 28)
#define E1000_CTRL_VME		      (1u << 30)

/* STATUS [10.2.2.2] */
#define E1000_STATUS_FD		       (1u << 0)
#define E1000_STATUS_LU		       (1u << 1)
#define E1000_STATUS_SPEED_SHIFT       6
#define E1000_STATUS_SPEED_MASK	       3u
#define E1000_STATUS_GIO_MASTER_ENABLE (1u << 19)

/* EEC [10.2.2.3] */
#define E1000_EEC_AUTO_RD (1u << 9)

/* EERD [10.2.2.4] */
#define E1000_EERD_START      (1u << 0)
#define E1000_EERD_DONE	      (1u << 1)
#define E1000_EERD_ADDR_SHIFT 2
#define E1000_EERD_DATA_SHIFT 16

/* CTRL_EXT [10.2.2.5] */
#define E1000_CTRL_EXT_MUST_SET	  (1u << 22) /* reserved, to be written 1 */
#define E1000_CTRL_EXT_MUST_CLEAR (1u << 23) /* reserved, to be written 0 */
#define E1000_CTRL_EXT_EIAME	  (1u << 24)
#define E1000_CTRL_EXT_IAME	  (1u << 27)
#define E1000_CTRL_EXT_DRV_LOAD	  (1u << 28)
#define E1000_CTRL_EXT_PBA	  (1u << 31)

/* MDIC [10.2.2.7] */
#define E1000_MDIC_REG_SHIFT 16
#define E1000_MDIC_PHY_SHIFT 21
#define E1000_MDIC_OP_WRITE  (1u << 26)
#define E1000_MDIC_OP_READ   (2u << 26)
#define E1000_MDIC_READY     (1u << 28)
#define E1000_MDIC_ERROR     (1u << 30)
#define E1000_PHY_ADDR	     1

/* EXTCNF_CTRL: who owns the MDIO bus, us or the firmware */
#define E1000_EXTCNF_CTRL_SW_OWNERSHIP (1u << 5)

/* GCR, GCR2: specification update, "PCIe completions" */
#define E1000_GCR_FIX  (1u << 22)
#define E1000_GCR2_FIX (1u << 0)

/* The PHY: IEEE 802.3 clause 22 registers and bits */
#define MII_CONTROL		0
#define MII_CONTROL_RESTART	(1u << 9)
#define MII_CONTROL_POWERDOWN	(1u << 11)
#define MII_CONTROL_ANENABLE	(1u << 12)
#define MII_ADVERTISE		4
#define MII_ADVERTISE_10HD	(1u << 5)
#define MII_ADVERTISE_10FD	(1u << 6)
#define MII_ADVERTISE_100HD	(1u << 7)
#define MII_ADVERTISE_100FD	(1u << 8)
#define MII_ADVERTISE_PAUSE	(1u << 10)
#define MII_ADVERTISE_ASM_PAUSE (1u << 11)
#define MII_PARTNER		5
#define MII_1000T_CONTROL	9
#define MII_1000T_HD		(1u << 8)
#define MII_1000T_FD		(1u << 9)

/* Interrupt causes: ICR, IMS, IMC, EIAC [10.2.4.1] */
#define E1000_ICR_LSC	 (1u << 2)
#define E1000_ICR_RXQ(q) (1u << (20 + (q)))
#define E1000_ICR_OTHER	 (1u << 24)

/* IVAR: four bits a cause, the top one of them says valid [10.2.4.9] */
#define E1000_IVAR_RXQ(q, vector) ((8u | (vector)) << (4 * (q)))
#define E1000_IVAR_OTHER(vector)  ((8u | (vector)) << 16)

/* RCTL [10.2.5.1] */
#define E1000_RCTL_EN	       (1u << 1)
#define E1000_RCTL_UPE	       (1u << 3)
#define E1000_RCTL_MPE	       (1u << 4)
#define E1000_RCTL_LPE	       (1u << 5)
#define E1000_RCTL_BAM	       (1u << 15)
#define E1000_RCTL_BSIZE_256   (3u << 16)
#define E1000_RCTL_BSIZE_512   (2u << 16)
#define E1000_RCTL_VFE	       (1u << 18)
#define E1000_RCTL_SECRC       (1u << 26)
#define E1000_RCTL_FLXBUF(kib) ((uint32_t)(kib) << 27)
#define E1000_RCTL_FLXBUF_MAX  15

/* RXDCTL [10.2.5.11], TXDCTL [10.2.6.11]: thresholds in descriptors with GRAN */
#define E1000_DCTL_PTHRESH(n) ((uint32_t)(n) << 0)
#define E1000_DCTL_HTHRESH(n) ((uint32_t)(n) << 8)
#define E1000_DCTL_WTHRESH(n) ((uint32_t)(n) << 16)
#define E1000_TXDCTL_COUNT    (1u << 22) /* to be written 1 */
#define E1000_DCTL_GRAN	      (1u << 24)

/* RXCSUM [10.2.5.15] */
#define E1000_RXCSUM_IPOFLD (1u << 8)
#define E1000_RXCSUM_TUOFLD (1u << 9)
#define E1000_RXCSUM_PCSD   (1u << 13)

/* RFCTL [10.2.5.16] */
#define E1000_RFCTL_ISCSI_DIS (1u << 0)
#define E1000_RFCTL_NFSW_DIS  (1u << 6)
#define E1000_RFCTL_NFSR_DIS  (1u << 7)
#define E1000_RFCTL_ACK_DIS   (1u << 12)
#define E1000_RFCTL_EXSTEN    (1u << 15)

/* RAH [10.2.5.19] */
#define E1000_RAH_AV (1u << 31)

/* MRQC [10.2.5.22] */
#define E1000_MRQC_RSS	       (1u << 0)
#define E1000_MRQC_TCPIPV4     (1u << 16)
#define E1000_MRQC_IPV4	       (1u << 17)
#define E1000_MRQC_TCPIPV6     (1u << 18)
#define E1000_MRQC_IPV6EX      (1u << 19)
#define E1000_MRQC_IPV6	       (1u << 20)
#define E1000_RETA_QUEUE_SHIFT 7 /* of an entry's byte */

/* TCTL [10.2.6.1] */
#define E1000_TCTL_EN	   (1u << 1)
#define E1000_TCTL_PSP	   (1u << 3)
#define E1000_TCTL_CT(n)   ((uint32_t)(n) << 4)
#define E1000_TCTL_COLD(n) ((uint32_t)(n) << 12)
#define E1000_TCTL_RTLC	   (1u << 24)
#define E1000_TCTL_MULR	   (1u << 28)

/* TIPG [10.2.6.2] */
#define E1000_TIPG_VALUE(ipgt, r1, r2) ((ipgt) | (uint32_t)(r1) << 10 | (uint32_t)(r2) << 20)

/* TARC [10.2.6.13] */
#define E1000_TARC_ENABLE   (1u << 10)
#define E1000_TARC0_CB_MUST (1u << 26) /* reserved, to be written 1 */

#define E1000_RX_ADDRS	16
#define E1000_MTA_WORDS 128
#define E1000_QUEUES	2

/* Extended receive descriptor [7.1.4] */
union e1000_rx_desc {
	struct {
		rte_le64_t addr; /* of the buffer */
		rte_le64_t zero; /* DD lies here */
	} read;
	struct {
		rte_le32_t mrq;	   /* RSS type 3:0, queue 12:8 */
		rte_le32_t rss;	   /* hash, with RXCSUM.PCSD */
		rte_le32_t status; /* extended status 19:0, extended error 31:20 */
		rte_le16_t length;
		rte_le16_t vlan;
	} wb;
	rte_le64_t word[2];
} __attribute__((aligned(16)));

#define E1000_RXD_DD	(1u << 0)
#define E1000_RXD_EOP	(1u << 1)
#define E1000_RXD_VP	(1u << 3)
#define E1000_RXD_UDPCS (1u << 4)
#define E1000_RXD_TCPCS (1u << 5)
#define E1000_RXD_IPCS	(1u << 6)
#define E1000_RXD_CE	(1u << 24) /* CRC or alignment */
#define E1000_RXD_SE	(1u << 25) /* symbol */
#define E1000_RXD_SEQ	(1u << 26) /* sequence */
#define E1000_RXD_CXE	(1u << 28) /* carrier extension */
#define E1000_RXD_TCPE	(1u << 29) /* TCP or UDP checksum */
#define E1000_RXD_IPE	(1u << 30) /* IPv4 checksum */
#define E1000_RXD_RXE	(1u << 31) /* receive data */

/* A frame with one of these is no frame. A wrong checksum is the application's business. */
#define E1000_RXD_BAD (E1000_RXD_CE | E1000_RXD_SE | E1000_RXD_SEQ | E1000_RXD_CXE | E1000_RXD_RXE)

/* Transmit descriptors: legacy [7.2.10.1], context [7.2.10.2], extended data [7.2.10.3] */
union e1000_tx_desc {
	struct {
		rte_le64_t addr;
		rte_le32_t cmd;	   /* length 15:0 (19:0 extended), DTYP 23:20, command 31:24 */
		rte_le32_t status; /* status 7:0, POPTS 15:8, VLAN tag 31:16 */
	} data;
	struct {
		uint8_t ipcss, ipcso; /* where the IPv4 header and its checksum are */
		rte_le16_t ipcse;     /* its last byte */
		uint8_t tucss, tucso; /* the same for TCP or UDP */
		rte_le16_t tucse;     /* 0: to the end */
		rte_le32_t cmd;
		rte_le32_t mss;
	} ctx;
	rte_le64_t word[2];
} __attribute__((aligned(16)));

#define E1000_TXD_EOP	  (1u << 24)
#define E1000_TXD_IFCS	  (1u << 25)
#define E1000_TXD_RS	  (1u << 27)
#define E1000_TXD_DEXT	  (1u << 29)
#define E1000_TXD_VLE	  (1u << 30)
#define E1000_TXD_DTYP_D  (1u << 20)
#define E1000_TXD_CTX_TCP (1u << 24)
#define E1000_TXD_CTX_IP  (1u << 25)
#define E1000_TXD_DD	  (1u << 0)
#define E1000_TXD_IXSM	  (1u << 8)
#define E1000_TXD_TXSM	  (1u << 9)

_Static_assert(sizeof(union e1000_rx_desc) == 16, "a receive descriptor has 16 bytes");
_Static_assert(sizeof(union e1000_tx_desc) == 16, "a transmit descriptor has 16 bytes");

#endif
