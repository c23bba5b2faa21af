/* SPDX-License-Identifier: BSD-3-Clause */
/* Get and Set Features [Base 5.15, 5.27]. None is kept over a reset: none can be saved. */
#include <string.h>

#include "snvme.h"

#define SAVE (1u << 31)

/* Select, of Get Features [Base 5.15]. */
enum { CURRENT, DEFAULT, SAVED, CAPABILITIES };

#define CAN_CHANGE (1u << 2)

/* Temperature Threshold [Base 5.27.1.3]. */
#define THRESHOLD_SENSOR(cdw11) ((cdw11) >> 16 & 0xf) /* 0: composite, 1 is there */
#define THRESHOLD_TYPE(cdw11)	((cdw11) >> 20 & 3)   /* 0: over, 1: under */
#define THRESHOLD_ALL_SENSORS	0xf

#define KATO_UNIT   100 /* ms, KAS */
#define ASYNC_KNOWN (0xffu | PLX_NVME_OAES_NS_ATTRIBUTE)

void snvme_features_reset(struct soft_nvme *nvme)
{
	memset(&nvme->feature, 0, sizeof(nvme->feature));
	nvme->feature.arbitration = 7; /* no limit of a burst */
	nvme->feature.over = 343;
}

static bool queues_used(const struct soft_nvme *nvme)
{
	for (unsigned i = 1; i <= nvme->queues; i++) {
		if (nvme->cq[i].used)
			return true;
	}
	return false;
}

static uint32_t all_queues(const struct soft_nvme *nvme)
{
	return (nvme->queues - 1) << 16 | (nvme->queues - 1);
}

/* Number of Queues [Base 5.27.1.5]: whatever is asked for, all that there are. */
static uint16_t set_queues(struct soft_nvme *nvme, uint32_t value, uint32_t *result)
{
	if (queues_used(nvme))
		return SNVME_BAD(COMMAND_SEQUENCE_ERROR);
	if (value >> 16 == 0xffff || (value & 0xffff) == 0xffff)
		return SNVME_BAD(INVALID_FIELD);
	*result = all_queues(nvme);
	return 0;
}

static uint16_t set_threshold(struct soft_nvme *nvme, uint32_t value)
{
	const uint32_t sensor = THRESHOLD_SENSOR(value);
	const bool before = snvme_critical_warning(nvme);

	if (THRESHOLD_TYPE(value) > 1 || (sensor > 1 && sensor != THRESHOLD_ALL_SENSORS))
		return SNVME_BAD(INVALID_FIELD);
	if (THRESHOLD_TYPE(value))
		nvme->feature.under = value & 0xffff;
	else
		nvme->feature.over = value & 0xffff;
	if (snvme_critical_warning(nvme) && !before)
		snvme_event(nvme, PLX_NVME_EVENT_SMART, SNVME_SMART_TEMPERATURE,
			    PLX_NVME_LOG_SMART);
	return 0;
}

static uint16_t set_vector(struct soft_nvme *nvme, uint32_t value)
{
	if ((value & 0xffff) > nvme->queues)
		return SNVME_BAD(INVALID_FIELD);
	nvme->feature.no_coalescing[value & 0xffff] = value >> 16 & 1;
	return 0;
}

/* Rounded up to what time is counted in [Base 5.27.1.12]. */
static void set_keep_alive(struct soft_nvme *nvme, uint32_t ms)
{
	nvme->feature.kato = ms > UINT32_MAX - KATO_UNIT
				     ? UINT32_MAX / KATO_UNIT * KATO_UNIT
				     : (ms + KATO_UNIT - 1) / KATO_UNIT * KATO_UNIT;
	nvme->alive = nvme->now;
}

uint16_t snvme_set_features(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd,
			    uint32_t *result)
{
	const uint32_t cdw10 = le32toh(cmd->cdw10), value = le32toh(cmd->cdw11);

	if (cdw10 & SAVE)
		return SNVME_BAD(FEATURE_NOT_SAVEABLE);
	switch (cdw10 & 0xff) {
	case PLX_NVME_FEAT_ARBITRATION: nvme->feature.arbitration = value; return 0;
	case PLX_NVME_FEAT_POWER: return value & 0x1f ? SNVME_BAD(INVALID_FIELD) : 0;
	case PLX_NVME_FEAT_TEMPERATURE: return set_threshold(nvme, value);
	case PLX_NVME_FEAT_ERROR_RECOVERY: nvme->feature.recovery = value & 0xffff; return 0;
	case PLX_NVME_FEAT_WRITE_CACHE: nvme->feature.no_cache = !(value & 1); return 0;
	case PLX_NVME_FEAT_QUEUES: return set_queues(nvme, value, result);
	case PLX_NVME_FEAT_INT_COALESCING: nvme->feature.coalescing = value & 0xffff; return 0;
	case PLX_NVME_FEAT_INT_VECTOR: return set_vector(nvme, value);
	case PLX_NVME_FEAT_WRITE_ATOMICITY: nvme->feature.atomicity = value & 1; return 0;
	case PLX_NVME_FEAT_ASYNC_EVENTS: nvme->feature.async = value & ASYNC_KNOWN; return 0;
	case PLX_NVME_FEAT_KEEP_ALIVE: set_keep_alive(nvme, value); return 0;
	case PLX_NVME_FEAT_IO_COMMAND_SETS:
		/* The one combination that there is [Base 5.27.1.21]. */
		return value & 0x1ff ? SNVME_BAD(INVALID_FIELD) : 0;
	default: return SNVME_BAD(INVALID_FIELD);
	}
}

static uint16_t get(const struct soft_nvme *nvme, uint8_t which, uint32_t value, uint32_t *result)
{
	switch (which) {
	case PLX_NVME_FEAT_ARBITRATION: *result = nvme->feature.arbitration; return 0;
	case PLX_NVME_FEAT_POWER: *result = 0; return 0;
	case PLX_NVME_FEAT_TEMPERATURE:
		if (THRESHOLD_TYPE(value) > 1 || THRESHOLD_SENSOR(value) > 1)
			return SNVME_BAD(INVALID_FIELD);
		*result = THRESHOLD_TYPE(value) ? nvme->feature.under : nvme->feature.over;
		return 0;
	case PLX_NVME_FEAT_ERROR_RECOVERY: *result = nvme->feature.recovery; return 0;
	case PLX_NVME_FEAT_WRITE_CACHE: *result = !nvme->feature.no_cache; return 0;
	case PLX_NVME_FEAT_QUEUES: *result = all_queues(nvme); return 0;
	case PLX_NVME_FEAT_INT_COALESCING: *result = nvme->feature.coalescing; return 0;
	case PLX_NVME_FEAT_INT_VECTOR:
		if ((value & 0xffff) > nvme->queues)
			return SNVME_BAD(INVALID_FIELD);
		*result = (value & 0xffff) | (uint32_t)nvme->feature.no_coalescing[value & 0xffff]
						     << 16;
		return 0;
	case PLX_NVME_FEAT_WRITE_ATOMICITY: *result = nvme->feature.atomicity; return 0;
	case PLX_NVME_FEAT_ASYNC_EVENTS: *result = nvme->feature.async; return 0;
	case PLX_NVME_FEAT_KEEP_ALIVE: *result = nvme->feature.kato; return 0;
	case PLX_NVME_FEAT_IO_COMMAND_SETS: *result = 0; return 0;
	default: return SNVME_BAD(INVALID_FIELD);
	}
}

/* As they are after a reset. */
static uint16_t get_default(struct soft_nvme *nvme, uint8_t which, uint32_t value, uint32_t *result)
{
	const typeof(nvme->feature) now = nvme->feature;
	uint16_t status;

	snvme_features_reset(nvme);
	status = get(nvme, which, value, result);
	nvme->feature = now;
	return status;
}

uint16_t snvme_get_features(struct soft_nvme *nvme, const struct plx_nvme_cmd *cmd,
			    uint32_t *result)
{
	const uint32_t cdw10 = le32toh(cmd->cdw10), value = le32toh(cmd->cdw11);
	const uint8_t which = cdw10 & 0xff;
	uint16_t status;

	switch (cdw10 >> 8 & 7) {
	case CURRENT: return get(nvme, which, value, result);
	case DEFAULT:
	case SAVED: return get_default(nvme, which, value, result);
	case CAPABILITIES:
		status = get(nvme, which, value, result);
		*result = status ? 0 : CAN_CHANGE;
		return status;
	default: return SNVME_BAD(INVALID_FIELD);
	}
}
