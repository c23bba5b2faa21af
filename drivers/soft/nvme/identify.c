/* SPDX-License-Identifier: BSD-3-Clause */
/* Identify [Base 5.17, NVM 4.1.5]. */
#include <stdio.h>
#include <string.h>

#include "snvme.h"

#define VENDOR 0x504c /* as in the PCI header */

#define CSI(cmd) (le32toh((cmd)->cdw11) >> 24) /* Command Set Identifier */
#define CSI_NVM	 0

#define LPA_EFFECTS	   (1u << 1)
#define LPA_EXTENDED	   (1u << 2) /* lengths of 32 bits, and offsets */
#define FNA_CRYPTO	   (1u << 2)
#define FRMW_ONE_READ_ONLY (1u << 0 | 1u << 1) /* slot 1 can't be written; there is one */
#define VWC_FLUSH_ALL	   (3u << 1)	       /* Flush may name all namespaces */
#define SGLS_BYTES	   1u
#define CNTRLTYPE_IO	   1
#define MC_EXTENDED	   (1u << 0)
#define MC_SEPARATE	   (1u << 1)
#define DLFEAT_ZEROES	   (1u << 0 | 1u << 3) /* deallocated reads as 0; Write Zeroes can */
#define NSFEAT_DEALLOCATED 0
#define CENTIWATTS	   2500

static const struct snvme_format formats[] = { { 9, 0 }, { 12, 0 }, { 9, 8 }, { 12, 8 } };

/* A file has no place for metadata. */
const struct snvme_format *snvme_formats(const struct snvme_ns *ns, unsigned *count)
{
	*count = ns->disk->kind == SOFT_DISK_FILE ? 2 : 4;
	return formats;
}

static void pad(char *to, size_t len, const char *text)
{
	const size_t n = strlen(text);

	memset(to, ' ', len);
	memcpy(to, text, n < len ? n : len);
}

static bool have_file(const struct soft_nvme *nvme)
{
	bool have = false;

	for (unsigned i = 0; i < nvme->namespaces; i++)
		have |= nvme->ns[i].disk->kind == SOFT_DISK_FILE;
	return have;
}

static void name(const struct soft_nvme *nvme, struct plx_nvme_id_ctrl *id)
{
	char serial[sizeof(id->sn) + 1];

	snprintf(serial, sizeof(serial), "PLX%08X", nvme->hash);
	pad(id->sn, sizeof(id->sn), serial);
	pad(id->mn, sizeof(id->mn), "Pollux software NVMe");
	pad(id->fr, sizeof(id->fr), "1");
	/* Before 1.2.1's way: made of the names above [Base 4.5]. */
	snprintf(id->subnqn, sizeof(id->subnqn),
		 "nqn.2014.08.org.nvmexpress:%04x%04x%-20.20s%-40.40s", VENDOR, VENDOR, id->sn,
		 id->mn);
}

static void controller(const struct soft_nvme *nvme, struct plx_nvme_id_ctrl *id)
{
	uint8_t *power = (uint8_t *)id + 2048; /* Power State 0 Descriptor */

	name(nvme, id);
	id->vid = id->ssvid = htole16(VENDOR);
	id->mdts = (uint8_t)(__builtin_ctz(nvme->transfer) - 12);
	id->cntlid = htole16(1);
	id->ver = htole32(SNVME_VS);
	id->rtd3e = htole32(SNVME_TO * 500000u);
	id->oaes = htole32(PLX_NVME_OAES_NS_ATTRIBUTE);
	id->cntrltype = CNTRLTYPE_IO;
	id->oacs = htole16(PLX_NVME_OACS_FORMAT | PLX_NVME_OACS_DBBUF);
	id->acl = SNVME_ABORTS - 1;
	id->aerl = SNVME_AERS - 1;
	id->frmw = FRMW_ONE_READ_ONLY;
	id->lpa = LPA_EFFECTS | LPA_EXTENDED;
	id->elpe = SNVME_ERRORS - 1;
	id->wctemp = htole16(343);
	id->cctemp = htole16(353);
	id->kas = htole16(1);
	id->sqes = 0x66;
	id->cqes = 0x44;
	id->nn = htole32(nvme->namespaces);
	id->oncs = htole16(PLX_NVME_ONCS_COMPARE | PLX_NVME_ONCS_DSM | PLX_NVME_ONCS_WRITE_ZEROES |
			   PLX_NVME_ONCS_SAVE | PLX_NVME_ONCS_VERIFY);
	id->fna = FNA_CRYPTO;
	id->vwc = VWC_FLUSH_ALL | (have_file(nvme) ? PLX_NVME_VWC_PRESENT : 0);
	id->sgls = htole32(SGLS_BYTES);
	power[0] = CENTIWATTS & 0xff;
	power[1] = CENTIWATTS >> 8;
}

/* Locally administered. */
static void make_eui64(const struct soft_nvme *nvme, const struct snvme_ns *ns, uint8_t eui64[8])
{
	eui64[0] = 2;
	eui64[1] = 'P';
	for (unsigned i = 0; i < 4; i++)
		eui64[2 + i] = (uint8_t)(nvme->hash >> 8 * i);
	eui64[6] = (uint8_t)(ns->nsid >> 8);
	eui64[7] = (uint8_t)ns->nsid;
}

static void identify_ns(const struct soft_nvme *nvme, const struct snvme_ns *ns,
			struct plx_nvme_id_ns *id)
{
	const struct snvme_format *format;
	unsigned count;

	format = snvme_formats(ns, &count);
	id->nsze = id->ncap = id->nuse = htole64(ns->blocks);
	id->nsfeat = NSFEAT_DEALLOCATED;
	id->nlbaf = (uint8_t)(count - 1);
	id->flbas = ns->format | (ns->extended ? 0x10 : 0);
	id->mc = count > 2 ? MC_EXTENDED | MC_SEPARATE : 0;
	id->dlfeat = DLFEAT_ZEROES;
	id->noiob = htole16(ns->conf->boundary);
	memcpy(id->nvmcap, &(uint64_t){ htole64(ns->disk->size) }, 8);
	make_eui64(nvme, ns, id->eui64);
	for (unsigned i = 0; i < count; i++)
		id->lbaf[i] = (struct plx_nvme_lbaf){ .ms = htole16(format[i].meta),
						      .lbads = format[i].shift };
}

/* Namespace Identification Descriptors [Base 5.17.2.3]: type, length, what it is called. */
static void descriptors(const struct soft_nvme *nvme, const struct snvme_ns *ns, uint8_t *list)
{
	*list++ = 1; /* EUI-64 */
	*list++ = 8;
	list += 2;
	make_eui64(nvme, ns, list);
	list += 8;
	*list++ = 4; /* Command Set Identifier */
	*list++ = 1;
	list[2] = CSI_NVM;
}

/* Ids after the one that is given [Base 5.17.2.2]. */
static void ns_list(const struct soft_nvme *nvme, uint32_t after, uint32_t *list)
{
	unsigned n = 0;

	for (uint32_t nsid = 1; nsid <= nvme->namespaces && n < PLX_NVME_NS_LIST_MAX; nsid++) {
		if (nsid > after)
			list[n++] = htole32(nsid);
	}
}

static uint16_t fill(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd, void *data)
{
	const uint32_t nsid = le32toh(cmd->nsid);
	const struct snvme_ns *ns = nsid - 1 < nvme->namespaces ? &nvme->ns[nsid - 1] : NULL;
	const uint8_t cns = le32toh(cmd->cdw10) & 0xff;

	switch (cns) {
	case PLX_NVME_CNS_CTRL: controller(nvme, data); return 0;
	case PLX_NVME_CNS_IOCS_CTRL: /* of the NVM command set: no limits of their own */
	case PLX_NVME_CNS_IOCS_NS:
		if (CSI(cmd) != CSI_NVM)
			return SNVME_BAD(INVALID_FIELD);
		return cns == PLX_NVME_CNS_IOCS_CTRL || ns ? 0 : SNVME_BAD(INVALID_NAMESPACE);
	case PLX_NVME_CNS_ACTIVE_NS_LIST:
	case PLX_NVME_CNS_ALLOCATED_NS_LIST:
		/* There is none after these [Base 5.17.2.2]. */
		if (nsid >= 0xfffffffe)
			return SNVME_BAD(INVALID_NAMESPACE);
		ns_list(nvme, nsid, data);
		return 0;
	case PLX_NVME_CNS_IO_COMMAND_SETS:
		if (le32toh(cmd->cdw10) >> 16 != 0xffff && le32toh(cmd->cdw10) >> 16 != 1)
			return SNVME_BAD(INVALID_FIELD);
		*(uint64_t *)data = htole64(1u << CSI_NVM);
		return 0;
	case PLX_NVME_CNS_NS:
		/* What all have in common: their formats. */
		if (nsid == PLX_NVME_NSID_ALL) {
			identify_ns(nvme, &nvme->ns[0], data);
			memset(data, 0, offsetof(struct plx_nvme_id_ns, nsfeat));
			return 0;
		}
		break;
	case PLX_NVME_CNS_NS_DESCRIPTORS:
	case PLX_NVME_CNS_ALLOCATED_NS: break;
	default: return SNVME_BAD(INVALID_FIELD);
	}
	if (!ns)
		return SNVME_BAD(INVALID_NAMESPACE);
	if (cns == PLX_NVME_CNS_NS_DESCRIPTORS)
		descriptors(nvme, ns, data);
	else
		identify_ns(nvme, ns, data);
	return 0;
}

uint16_t snvme_identify(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd)
{
	uint16_t status;

	memset(nvme->scratch, 0, sizeof(nvme->scratch));
	status = fill(nvme, cmd, nvme->scratch);
	return status ? status
		      : snvme_answer(nvme, cmd, nvme->scratch, PLX_NVME_IDENTIFY_LEN,
				     PLX_NVME_IDENTIFY_LEN);
}
