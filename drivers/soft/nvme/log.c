/* SPDX-License-Identifier: BSD-3-Clause */
/* Get Log Page [Base 5.16]. */
#include <string.h>

#include "snvme.h"

#define RAE (1u << 15) /* Retain Asynchronous Event */

#define EFFECT_SUPPORTED (1u << 0)
#define EFFECT_CONTENT	 (1u << 1)  /* blocks may change */
#define EFFECT_NS	 (1u << 2)  /* what a namespace can may change */
#define EFFECT_ALONE	 (1u << 16) /* not while other commands run for that namespace */

/* Error Information [Base 5.16.1.2]. */
struct error_entry {
	uint64_t count;
	uint16_t sqid, cid, status, location;
	uint64_t lba;
	uint32_t nsid;
	uint8_t vendor, transport, reserved[2];
	uint64_t specific;
	uint16_t transport_specific;
	uint8_t reserved42[22];
};

_Static_assert(sizeof(struct error_entry) == 64, "Base 5.16.1.2");

#define LOCATION_NONE 0xffff

/* Newest first. */
static size_t errors(const struct soft_nvme *nvme, void *data)
{
	struct error_entry *entry = data;

	for (uint64_t i = 0; i < SNVME_ERRORS && i < nvme->error_count; i++) {
		const struct snvme_error *e =
			&nvme->error[(nvme->error_count - 1 - i) % SNVME_ERRORS];

		entry[i] = (struct error_entry){
			.count = htole64(e->count),
			.sqid = htole16(e->sqid),
			.cid = htole16(e->cid),
			.status = htole16((uint16_t)(e->status << 1)),
			.location = htole16(LOCATION_NONE),
			.lba = htole64(e->lba),
			.nsid = htole32(e->nsid),
		};
	}
	return SNVME_ERRORS * sizeof(*entry);
}

uint8_t snvme_critical_warning(const struct soft_nvme *nvme)
{
	const uint16_t now = SNVME_MEMORY_TEMPERATURE;

	return now >= nvme->feature.over || now <= nvme->feature.under
		       ? 1u << SNVME_SMART_TEMPERATURE
		       : 0;
}

/* Thousands of 512 bytes, rounded up [Base 5.16.1.3]. */
static uint64_t units(uint64_t bytes)
{
	return (bytes + 511999) / 512000;
}

static size_t smart(const struct soft_nvme *nvme, void *data)
{
	struct plx_nvme_smart *smart = data;

	smart->critical_warning = snvme_critical_warning(nvme);
	smart->temperature[0] = SNVME_MEMORY_TEMPERATURE & 0xff;
	smart->temperature[1] = SNVME_MEMORY_TEMPERATURE >> 8;
	smart->avail_spare = 100;
	smart->spare_thresh = 10;
	smart->data_units_read[0] = htole64(units(nvme->bytes[1]));
	smart->data_units_written[0] = htole64(units(nvme->bytes[0]));
	smart->host_reads[0] = htole64(nvme->done[1]);
	smart->host_writes[0] = htole64(nvme->done[0]);
	smart->power_cycles[0] = htole64(1);
	smart->error_log_entries[0] = htole64(nvme->error_count);
	smart->sensor[0] = htole16(SNVME_MEMORY_TEMPERATURE);
	return sizeof(*smart);
}

static size_t firmware(void *data)
{
	struct plx_nvme_fw_log *log = data;

	log->afi = 1;
	memcpy(log->revision[0], "1       ", sizeof(log->revision[0]));
	return sizeof(*log);
}

static size_t changed(const struct soft_nvme *nvme, void *data)
{
	uint32_t *list = data;

	for (unsigned i = 0; i < nvme->changes; i++)
		list[i] = htole32(nvme->changed[i]);
	return PLX_NVME_IDENTIFY_LEN;
}

/* Commands Supported and Effects [Base 5.16.1.6]: admin commands, then those for I/O. */
static size_t effects(void *data)
{
	static const uint8_t plain_admin[] = {
		PLX_NVME_DELETE_SQ,  PLX_NVME_CREATE_SQ,    PLX_NVME_GET_LOG_PAGE,
		PLX_NVME_DELETE_CQ,  PLX_NVME_CREATE_CQ,    PLX_NVME_IDENTIFY,
		PLX_NVME_ABORT,	     PLX_NVME_SET_FEATURES, PLX_NVME_GET_FEATURES,
		PLX_NVME_KEEP_ALIVE, PLX_NVME_ASYNC_EVENT,  PLX_NVME_DBBUF_CONFIG,
	};
	static const uint8_t reading[] = { PLX_NVME_FLUSH, PLX_NVME_READ, PLX_NVME_COMPARE,
					   PLX_NVME_VERIFY };
	static const uint8_t writing[] = { PLX_NVME_WRITE, PLX_NVME_WRITE_ZEROES, PLX_NVME_DSM };
	uint32_t *admin = data, *io = admin + 256;

	for (size_t i = 0; i < sizeof(plain_admin); i++)
		admin[plain_admin[i]] = htole32(EFFECT_SUPPORTED);
	admin[PLX_NVME_FORMAT] =
		htole32(EFFECT_SUPPORTED | EFFECT_CONTENT | EFFECT_NS | EFFECT_ALONE);
	for (size_t i = 0; i < sizeof(reading); i++)
		io[reading[i]] = htole32(EFFECT_SUPPORTED);
	for (size_t i = 0; i < sizeof(writing); i++)
		io[writing[i]] = htole32(EFFECT_SUPPORTED | EFFECT_CONTENT);
	return 4096;
}

uint16_t snvme_get_log(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd)
{
	const uint32_t cdw10 = le32toh(cmd->cdw10), nsid = le32toh(cmd->nsid);
	const uint64_t dwords = ((uint64_t)(le32toh(cmd->cdw11) & 0xffff) << 16 | cdw10 >> 16) + 1;
	const uint64_t offset = le32toh(cmd->cdw12) | (uint64_t)le32toh(cmd->cdw13) << 32;
	const uint8_t log = cdw10 & 0xff;
	uint8_t *data = nvme->scratch;
	uint16_t status;
	size_t len;

	/* No page is one namespace's own. */
	if (nsid && nsid != PLX_NVME_NSID_ALL)
		return nsid - 1 < nvme->namespaces ? SNVME_BAD(INVALID_FIELD)
						   : SNVME_BAD(INVALID_NAMESPACE);
	if (dwords * 4 > nvme->transfer || offset & 3)
		return SNVME_BAD(INVALID_FIELD);
	memset(data, 0, sizeof(nvme->scratch));
	switch (log) {
	case PLX_NVME_LOG_ERRORS: len = errors(nvme, data); break;
	case PLX_NVME_LOG_SMART: len = smart(nvme, data); break;
	case PLX_NVME_LOG_FIRMWARE: len = firmware(data); break;
	case PLX_NVME_LOG_CHANGED_NS: len = changed(nvme, data); break;
	case PLX_NVME_LOG_EFFECTS: len = effects(data); break;
	default: return SNVME_BAD(INVALID_LOG_PAGE);
	}
	if (offset > len)
		return SNVME_BAD(INVALID_FIELD);
	status = snvme_answer(nvme, cmd, data + offset, len - offset, dwords * 4);
	if (status || cdw10 & RAE)
		return status;
	/* Reading to their end takes them away [Base 5.16.1.5]. */
	if (log == PLX_NVME_LOG_CHANGED_NS && offset / 4 + dwords >= nvme->changes)
		nvme->changes = 0;
	snvme_event_read(nvme, log);
	return 0;
}
