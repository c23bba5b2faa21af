/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an NVMe controller and its host say to each other, by the names of the NVM Express Base
 * Specification 2.0 ("Base") and the NVM Command Set Specification 1.0 ("NVM"). Numbers in
 * brackets are their sections. All fields are little endian, whatever the host.
 */
#ifndef POLLUX_NVME_SPEC_H
#define POLLUX_NVME_SPEC_H

#include <assert.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Submission queue entry [Base 3.3.3.1]. */
struct plx_nvme_cmd {
	uint8_t opcode;
	uint8_t flags; /* PLX_NVME_PSDT_*, fused operation */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2; /* the data pointer; or one SGL descriptor */
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

/* PRP or SGL for Data Transfer, in flags: with SGLs, mptr is still a plain address. */
#define PLX_NVME_PSDT_PRP 0x00
#define PLX_NVME_PSDT_SGL 0x40

/* Completion queue entry [Base 3.3.3.2]. */
struct plx_nvme_cqe {
	uint32_t result; /* command specific */
	uint32_t dw1;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status; /* bit 0: phase tag; above it the status field */
};

/* SGL descriptor [Base 4.1.2]. */
struct plx_nvme_sgl {
	uint64_t addr;
	uint32_t len;
	uint8_t reserved[3];
	uint8_t type; /* PLX_NVME_SGL_* << 4 */
};

#define PLX_NVME_SGL_DATA	  0x00
#define PLX_NVME_SGL_SEGMENT	  0x20
#define PLX_NVME_SGL_LAST_SEGMENT 0x30

static_assert(sizeof(struct plx_nvme_cmd) == 64, "Base 3.3.3.1");
static_assert(sizeof(struct plx_nvme_cqe) == 16, "Base 3.3.3.2");
static_assert(sizeof(struct plx_nvme_sgl) == 16, "Base 4.1.2");

/* Admin commands [Base 5]. */
enum plx_nvme_admin_opcode {
	PLX_NVME_DELETE_SQ = 0x00,
	PLX_NVME_CREATE_SQ = 0x01,
	PLX_NVME_GET_LOG_PAGE = 0x02,
	PLX_NVME_DELETE_CQ = 0x04,
	PLX_NVME_CREATE_CQ = 0x05,
	PLX_NVME_IDENTIFY = 0x06,
	PLX_NVME_ABORT = 0x08,
	PLX_NVME_SET_FEATURES = 0x09,
	PLX_NVME_GET_FEATURES = 0x0a,
	PLX_NVME_ASYNC_EVENT = 0x0c,
	PLX_NVME_NS_MANAGEMENT = 0x0d,
	PLX_NVME_FW_COMMIT = 0x10,
	PLX_NVME_FW_DOWNLOAD = 0x11,
	PLX_NVME_SELF_TEST = 0x14,
	PLX_NVME_NS_ATTACHMENT = 0x15,
	PLX_NVME_KEEP_ALIVE = 0x18,
	PLX_NVME_DBBUF_CONFIG = 0x7c,
	PLX_NVME_FORMAT = 0x80,
	PLX_NVME_SECURITY_SEND = 0x81,
	PLX_NVME_SECURITY_RECV = 0x82,
	PLX_NVME_SANITIZE = 0x84,
};

/* I/O commands [NVM 3.2; Base 7 for Flush]. */
enum plx_nvme_io_opcode {
	PLX_NVME_FLUSH = 0x00,
	PLX_NVME_WRITE = 0x01,
	PLX_NVME_READ = 0x02,
	PLX_NVME_WRITE_UNCORRECTABLE = 0x04,
	PLX_NVME_COMPARE = 0x05,
	PLX_NVME_WRITE_ZEROES = 0x08,
	PLX_NVME_DSM = 0x09,
	PLX_NVME_VERIFY = 0x0c,
};

/* Bits 1:0 of an opcode say where the data goes [Base 3.3.3.1]. */
#define PLX_NVME_DATA_OUT 0x1 /* host to controller */
#define PLX_NVME_DATA_IN  0x2

/* Command dword 12 of reads, writes and their like [NVM 3.2.4]. */
#define PLX_NVME_DEAC	     (1u << 25) /* Write Zeroes: deallocate */
#define PLX_NVME_PRCHK_REF   (1u << 26)
#define PLX_NVME_PRCHK_APP   (1u << 27)
#define PLX_NVME_PRCHK_GUARD (1u << 28)
#define PLX_NVME_PRACT	     (1u << 29)
#define PLX_NVME_FUA	     (1u << 30)
#define PLX_NVME_LR	     (1u << 31)

/* Command dword 11 of Dataset Management [NVM 3.2.3]. */
#define PLX_NVME_DSM_READ	(1u << 0)
#define PLX_NVME_DSM_WRITE	(1u << 1)
#define PLX_NVME_DSM_DEALLOCATE (1u << 2)
#define PLX_NVME_DSM_RANGES	256

struct plx_nvme_dsm_range {
	uint32_t attributes;
	uint32_t blocks; /* not 0's based */
	uint64_t lba;
};

/*
 * The status field [Base 3.3.3.2.1], less the phase tag: code, code type, Command Retry Delay,
 * More, Do Not Retry.
 */
#define PLX_NVME_STATUS(sct, sc) ((uint16_t)((sct) << 8 | (sc)))
#define PLX_NVME_STATUS_CODE	 0x07ff /* type and code together */
#define PLX_NVME_MORE		 0x2000
#define PLX_NVME_DNR		 0x4000

enum plx_nvme_sct {
	PLX_NVME_SCT_GENERIC = 0,
	PLX_NVME_SCT_SPECIFIC = 1,
	PLX_NVME_SCT_MEDIA = 2,
	PLX_NVME_SCT_PATH = 3,
	PLX_NVME_SCT_VENDOR = 7,
};

enum plx_nvme_status {
	PLX_NVME_SUCCESS = 0x000,
	PLX_NVME_INVALID_OPCODE = 0x001,
	PLX_NVME_INVALID_FIELD = 0x002,
	PLX_NVME_CID_CONFLICT = 0x003,
	PLX_NVME_DATA_TRANSFER_ERROR = 0x004,
	PLX_NVME_ABORTED_POWER_LOSS = 0x005,
	PLX_NVME_INTERNAL_ERROR = 0x006,
	PLX_NVME_ABORTED_BY_REQUEST = 0x007,
	PLX_NVME_ABORTED_SQ_DELETION = 0x008,
	PLX_NVME_INVALID_NAMESPACE = 0x00b,
	PLX_NVME_COMMAND_SEQUENCE_ERROR = 0x00c,
	PLX_NVME_INVALID_SGL_SEGMENT = 0x00d,
	PLX_NVME_INVALID_SGL_COUNT = 0x00e,
	PLX_NVME_DATA_SGL_LENGTH_INVALID = 0x00f,
	PLX_NVME_SGL_TYPE_INVALID = 0x011,
	PLX_NVME_INVALID_CMB_USE = 0x012,
	PLX_NVME_INVALID_PRP_OFFSET = 0x013,
	PLX_NVME_LBA_OUT_OF_RANGE = 0x080,
	PLX_NVME_CAPACITY_EXCEEDED = 0x081,
	PLX_NVME_NAMESPACE_NOT_READY = 0x082,
	PLX_NVME_FORMAT_IN_PROGRESS = 0x084,
	PLX_NVME_INVALID_CQ = 0x100,
	PLX_NVME_INVALID_QID = 0x101,
	PLX_NVME_INVALID_QUEUE_SIZE = 0x102,
	PLX_NVME_ABORT_LIMIT = 0x103,
	PLX_NVME_ASYNC_EVENT_LIMIT = 0x105,
	PLX_NVME_INVALID_VECTOR = 0x108,
	PLX_NVME_INVALID_LOG_PAGE = 0x109,
	PLX_NVME_INVALID_FORMAT = 0x10a,
	PLX_NVME_INVALID_QUEUE_DELETION = 0x10c,
	PLX_NVME_FEATURE_NOT_SAVEABLE = 0x10d,
	PLX_NVME_FEATURE_NOT_CHANGEABLE = 0x10e,
	PLX_NVME_CONFLICTING_ATTRIBUTES = 0x180,
	PLX_NVME_WRITE_TO_READ_ONLY = 0x182,
	PLX_NVME_WRITE_FAULT = 0x280,
	PLX_NVME_UNRECOVERED_READ = 0x281,
	PLX_NVME_GUARD_CHECK = 0x282,
	PLX_NVME_APP_TAG_CHECK = 0x283,
	PLX_NVME_REF_TAG_CHECK = 0x284,
	PLX_NVME_COMPARE_FAILURE = 0x285,
	/* These two the driver reports itself, for commands that the controller never answered. */
	PLX_NVME_HOST_PATHING_ERROR = 0x370, /* the controller failed or is gone */
	PLX_NVME_ABORTED_BY_HOST = 0x371,    /* the controller was reset, the queue closed */
};

/* Identify [Base 5.17]: what to identify. */
enum plx_nvme_cns {
	PLX_NVME_CNS_NS = 0x00,
	PLX_NVME_CNS_CTRL = 0x01,
	PLX_NVME_CNS_ACTIVE_NS_LIST = 0x02,
	PLX_NVME_CNS_NS_DESCRIPTORS = 0x03,
	PLX_NVME_CNS_NVM_SETS = 0x04,
	PLX_NVME_CNS_IOCS_NS = 0x05,
	PLX_NVME_CNS_IOCS_CTRL = 0x06,
	PLX_NVME_CNS_ALLOCATED_NS_LIST = 0x10,
	PLX_NVME_CNS_ALLOCATED_NS = 0x11,
	PLX_NVME_CNS_NS_CTRL_LIST = 0x12,
	PLX_NVME_CNS_CTRL_LIST = 0x13,
	PLX_NVME_CNS_IO_COMMAND_SETS = 0x1c,
};

#define PLX_NVME_IDENTIFY_LEN 4096
#define PLX_NVME_NS_LIST_MAX  1024 /* entries of a namespace list, 0 ends it earlier */
#define PLX_NVME_NSID_ALL     0xffffffffu

/* Identify Controller [Base 5.17.2.1]; the offsets of its parts are asserted below. */
struct plx_nvme_id_ctrl {
	uint16_t vid, ssvid;
	char sn[20], mn[40], fr[8];
	uint8_t rab, ieee[3], cmic;
	uint8_t mdts; /* as a power of two, in units of CAP.MPSMIN; 0: no limit */
	uint16_t cntlid;
	uint32_t ver, rtd3r;
	uint32_t rtd3e; /* us that a shutdown takes at most; 0: not said */
	uint32_t oaes, ctratt;
	uint8_t reserved100[11];
	uint8_t cntrltype;
	uint8_t fguid[16];
	uint8_t reserved128[128];
	uint16_t oacs;
	uint8_t acl, aerl, frmw, lpa, elpe, npss, avscc, apsta;
	uint16_t wctemp, cctemp, mtfa;
	uint32_t hmpre, hmmin;
	uint8_t tnvmcap[16], unvmcap[16];
	uint32_t rpmbs;
	uint16_t edstt;
	uint8_t dsto, fwug;
	uint16_t kas; /* granularity of keep alive, 100 ms; 0: not supported */
	uint16_t hctma, mntmt, mxtmt;
	uint32_t sanicap, hmminds;
	uint16_t hmmaxd, nsetidmax, endgidmax;
	uint8_t anatt, anacap;
	uint32_t anagrpmax, nanagrpid, pels;
	uint8_t reserved356[156];
	uint8_t sqes, cqes; /* entry sizes as powers of two: bits 7:4 largest, 3:0 required */
	uint16_t maxcmd;
	uint32_t nn; /* namespaces; the largest NSID */
	uint16_t oncs, fuses;
	uint8_t fna, vwc;
	uint16_t awun, awupf;
	uint8_t icsvscc, nwpc;
	uint16_t acwu, ocfs;
	uint32_t sgls;
	uint32_t mnan;
	uint8_t reserved544[224];
	char subnqn[256];
	uint8_t reserved1024[3072];
};

static_assert(sizeof(struct plx_nvme_id_ctrl) == PLX_NVME_IDENTIFY_LEN, "Base 5.17.2.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ctrl, mdts) == 77, "Base 5.17.2.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ctrl, oaes) == 92, "Base 5.17.2.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ctrl, oacs) == 256, "Base 5.17.2.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ctrl, kas) == 320, "Base 5.17.2.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ctrl, sqes) == 512, "Base 5.17.2.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ctrl, sgls) == 536, "Base 5.17.2.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ctrl, subnqn) == 768, "Base 5.17.2.1");

#define PLX_NVME_OACS_FORMAT	    (1u << 1)
#define PLX_NVME_OACS_NS_MANAGEMENT (1u << 3)
#define PLX_NVME_OACS_DBBUF	    (1u << 8)
#define PLX_NVME_ONCS_COMPARE	    (1u << 0)
#define PLX_NVME_ONCS_DSM	    (1u << 2)
#define PLX_NVME_ONCS_WRITE_ZEROES  (1u << 3)
#define PLX_NVME_ONCS_SAVE	    (1u << 4) /* Save and Select of features */
#define PLX_NVME_ONCS_VERIFY	    (1u << 7)
#define PLX_NVME_OAES_NS_ATTRIBUTE  (1u << 8)
#define PLX_NVME_OAES_FW_ACTIVATION (1u << 9)
#define PLX_NVME_VWC_PRESENT	    (1u << 0)
#define PLX_NVME_SGLS_SUPPORT	    0x3u /* 0: none; 1: any alignment; 2: dwords */

/* One of a namespace's formats [NVM 4.1.5.1]. */
struct plx_nvme_lbaf {
	uint16_t ms;   /* bytes of metadata a block */
	uint8_t lbads; /* bytes of data, as a power of two */
	uint8_t rp;
};

/* Identify Namespace [NVM 4.1.5.1]. */
struct plx_nvme_id_ns {
	uint64_t nsze, ncap, nuse;
	uint8_t nsfeat, nlbaf;
	uint8_t flbas; /* bits 3:0 and 6:5 the format, bit 4 metadata behind each block */
	uint8_t mc, dpc;
	uint8_t dps; /* bits 2:0 the type of protection, bit 3 its place: first in the metadata */
	uint8_t nmic, rescap, fpi, dlfeat;
	uint16_t nawun, nawupf, nacwu, nabsn, nabo, nabspf;
	uint16_t noiob; /* blocks; I/O that crosses a multiple of it may be slow; 0: not said */
	uint8_t nvmcap[16];
	uint16_t npwg, npwa, npdg, npda, nows, mssrl;
	uint32_t mcl;
	uint8_t msrc, reserved81[11];
	uint32_t anagrpid;
	uint8_t reserved96[3], nsattr;
	uint16_t nvmsetid, endgid;
	uint8_t nguid[16], eui64[8];
	struct plx_nvme_lbaf lbaf[64];
	uint8_t vendor[3712];
};

static_assert(sizeof(struct plx_nvme_id_ns) == PLX_NVME_IDENTIFY_LEN, "NVM 4.1.5.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ns, noiob) == 46, "NVM 4.1.5.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ns, nguid) == 104, "NVM 4.1.5.1");
static_assert(__builtin_offsetof(struct plx_nvme_id_ns, lbaf) == 128, "NVM 4.1.5.1");

/* Identify Controller for the NVM command set [NVM 4.1.5.4]. Limits: 0 says that there is none. */
struct plx_nvme_id_ctrl_nvm {
	uint8_t vsl, wzsl, wusl; /* Verify, Write Zeroes, Write Uncorrectable: units as mdts */
	uint8_t dmrl;		 /* Dataset Management: ranges, */
	uint32_t dmrsl;		 /* blocks of one, */
	uint64_t dmsl;		 /* and of all */
	uint8_t reserved16[4080];
};

static_assert(sizeof(struct plx_nvme_id_ctrl_nvm) == PLX_NVME_IDENTIFY_LEN, "NVM 4.1.5.4");

/* Features [Base 5.27.1]. */
enum plx_nvme_feature {
	PLX_NVME_FEAT_ARBITRATION = 0x01,
	PLX_NVME_FEAT_POWER = 0x02,
	PLX_NVME_FEAT_TEMPERATURE = 0x04,
	PLX_NVME_FEAT_ERROR_RECOVERY = 0x05,
	PLX_NVME_FEAT_WRITE_CACHE = 0x06,
	PLX_NVME_FEAT_QUEUES = 0x07,
	PLX_NVME_FEAT_INT_COALESCING = 0x08,
	PLX_NVME_FEAT_INT_VECTOR = 0x09,
	PLX_NVME_FEAT_WRITE_ATOMICITY = 0x0a,
	PLX_NVME_FEAT_ASYNC_EVENTS = 0x0b,
	PLX_NVME_FEAT_KEEP_ALIVE = 0x0f,
	PLX_NVME_FEAT_IO_COMMAND_SETS = 0x19,
};

/* Log pages [Base 5.16.1]. */
enum plx_nvme_log {
	PLX_NVME_LOG_ERRORS = 0x01,
	PLX_NVME_LOG_SMART = 0x02,
	PLX_NVME_LOG_FIRMWARE = 0x03,
	PLX_NVME_LOG_CHANGED_NS = 0x04,
	PLX_NVME_LOG_EFFECTS = 0x05,
};

/* SMART / Health Information [Base 5.16.1.3]; 128-bit counters as two words, low one first. */
struct plx_nvme_smart {
	uint8_t critical_warning;
	uint8_t temperature[2]; /* kelvins */
	uint8_t avail_spare, spare_thresh, percent_used, endurance_warning;
	uint8_t reserved7[25];
	uint64_t data_units_read[2]; /* thousands of 512 bytes */
	uint64_t data_units_written[2];
	uint64_t host_reads[2], host_writes[2];
	uint64_t busy_minutes[2], power_cycles[2], power_on_hours[2], unsafe_shutdowns[2];
	uint64_t media_errors[2], error_log_entries[2];
	uint32_t warning_minutes, critical_minutes;
	uint16_t sensor[8];
	uint8_t reserved216[296];
};

static_assert(sizeof(struct plx_nvme_smart) == 512, "Base 5.16.1.3");

/* Error Information, one entry [Base 5.16.1.2]. */
struct plx_nvme_error_entry {
	uint64_t count; /* of all errors so far; 0: no entry */
	uint16_t sqid, cid;
	uint16_t status; /* bit 0: phase tag */
	uint16_t place;
	uint64_t lba;
	uint32_t nsid;
	uint8_t vendor, trtype, reserved30[2];
	uint64_t specific;
	uint16_t transport;
	uint8_t reserved42[22];
};

static_assert(sizeof(struct plx_nvme_error_entry) == 64, "Base 5.16.1.2");

/* Commands Supported and Effects [Base 5.16.1.6]. */
struct plx_nvme_effects {
	uint32_t admin[256], io[256];
	uint8_t reserved2048[2048];
};

static_assert(sizeof(struct plx_nvme_effects) == 4096, "Base 5.16.1.6");

#define PLX_NVME_EFFECT_SUPPORTED (1u << 0)

/* Firmware Slot Information [Base 5.16.1.4]. */
struct plx_nvme_fw_log {
	uint8_t afi; /* bits 2:0 the active slot */
	uint8_t reserved1[7];
	char revision[7][8];
	uint8_t reserved64[448];
};

static_assert(sizeof(struct plx_nvme_fw_log) == 512, "Base 5.16.1.4");

/* Types of asynchronous events, bits 2:0 of the result; 15:8 which one, 23:16 its log page
 * [Base 5.2.1]. */
enum plx_nvme_event_type {
	PLX_NVME_EVENT_ERROR = 0,
	PLX_NVME_EVENT_SMART = 1,
	PLX_NVME_EVENT_NOTICE = 2,
	PLX_NVME_EVENT_IO_COMMAND_SET = 6,
	PLX_NVME_EVENT_VENDOR = 7,
};

#define PLX_NVME_NOTICE_NS_CHANGED 0x00

#ifdef __cplusplus
}
#endif

#endif
