/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VERSION's body: two numbers and a JSON object (the specification, VFIO_USER_VERSION).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "wire.h"

#define JSON_DEPTH 8

int plx_vfu_version_build(uint16_t minor, const struct vfu_caps *caps, void *body, size_t room)
{
	struct vfu_version version = { .major = VFU_MAJOR, .minor = minor };
	int len;

	if (room < sizeof(version))
		return -ENOSPC;
	memcpy(body, &version, sizeof(version));
	room -= sizeof(version);
	len = snprintf((char *)body + sizeof(version), room,
		       "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
		       "\"pgsizes\":%llu,\"max_dma_maps\":%u%s}}",
		       caps->max_msg_fds, caps->max_data_xfer_size,
		       (unsigned long long)caps->pgsizes, caps->max_dma_maps,
		       caps->write_multiple ? ",\"write_multiple\":true" : "");
	return (size_t)len < room ? (int)sizeof(version) + len + 1 : -ENOSPC;
}

/* A whole number from min up, if the object has it. */
static int get_number(struct json_object *caps, const char *name, uint64_t min, uint64_t max,
		      uint64_t *value)
{
	struct json_object *number;
	uint64_t got;

	if (!json_object_object_get_ex(caps, name, &number))
		return 0;
	if (!json_object_is_type(number, json_type_int) || json_object_get_int64(number) < 0)
		return -EINVAL;
	got = json_object_get_uint64(number);
	if (got < min)
		return -EINVAL;
	*value = got < max ? got : max;
	return 0;
}

static int get_u32(struct json_object *caps, const char *name, uint32_t min, uint32_t *value)
{
	uint64_t wide = *value;
	int err = get_number(caps, name, min, UINT32_MAX, &wide);

	*value = wide;
	return err;
}

static int get_bool(struct json_object *caps, const char *name, bool *value)
{
	struct json_object *boolean;

	if (!json_object_object_get_ex(caps, name, &boolean))
		return 0;
	if (!json_object_is_type(boolean, json_type_boolean))
		return -EINVAL;
	*value = json_object_get_boolean(boolean);
	return 0;
}

static int get_caps(struct json_object *top, struct vfu_caps *caps)
{
	struct json_object *obj;
	int err;

	if (!json_object_is_type(top, json_type_object))
		return -EINVAL;
	if (!json_object_object_get_ex(top, "capabilities", &obj))
		return 0;
	if (!json_object_is_type(obj, json_type_object))
		return -EINVAL;
	err = get_u32(obj, "max_msg_fds", 0, &caps->max_msg_fds);
	if (!err)
		err = get_u32(obj, "max_data_xfer_size", 1, &caps->max_data_xfer_size);
	if (!err)
		err = get_u32(obj, "max_dma_maps", 1, &caps->max_dma_maps);
	if (!err)
		err = get_number(obj, "pgsizes", 1, UINT64_MAX, &caps->pgsizes);
	if (!err)
		err = get_bool(obj, "write_multiple", &caps->write_multiple);
	return err;
}

static int parse_json(const char *text, size_t len, struct vfu_caps *caps)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
	struct json_object *top;
	int err;

	if (!tokener)
		return -ENOMEM;
	top = json_tokener_parse_ex(tokener, text, len);
	err = top ? get_caps(top, caps) : -EINVAL;
	json_object_put(top);
	json_tokener_free(tokener);
	return err;
}

int plx_vfu_version_parse(const void *body, size_t len, struct vfu_version *version,
			  struct vfu_caps *caps)
{
	const char *json = (const char *)body + sizeof(*version);

	*caps = (struct vfu_caps)VFU_CAPS_DEFAULT;
	if (len < sizeof(*version))
		return -EINVAL;
	memcpy(version, body, sizeof(*version));
	len -= sizeof(*version);
	if (version->major != VFU_MAJOR)
		return -ENOTSUP;
	if (!len)
		return 0;
	if (len > VFU_MAX_JSON || json[len - 1])
		return -EINVAL;
	return parse_json(json, len, caps);
}
