/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"
#include "status.h"

static void add_group(struct json_object *object, const struct inventory *inv,
		      const struct device *dev)
{
	struct json_object *group, *members;
	unsigned i;

	if (dev->facts.group < 0) {
		json_object_object_add(object, "iommu_group", NULL);
		return;
	}
	group = put_inside(object, "iommu_group", json_object_new_object());
	put_count(group, "number", dev->facts.group);
	put_flag(group, "noiommu", dev->facts.noiommu_group);
	members = put_inside(group, "members", json_object_new_array());
	for (i = 0; i < inv->count; i++)
		if (inv->dev[i].facts.group == dev->facts.group)
			json_object_array_add(members, json_object_new_string(inv->dev[i].bdf));
}

static struct json_object *device_object(const struct inventory *inv,
					 const struct category *category, const struct device *dev)
{
	struct json_object *object = json_object_new_object(), *sriov;

	put_text(object, "address", dev->bdf);
	put_text(object, "category", category->key);
	put_count(object, "vendor_id", dev->id.vendor);
	put_count(object, "device_id", dev->id.device);
	put_count(object, "subvendor_id", dev->id.subvendor);
	put_count(object, "subdevice_id", dev->id.subdevice);
	put_count(object, "class_code", dev->id.class_code);
	put_text(object, "vendor", dev->vendor_name);
	put_text(object, "device", dev->device_name);
	put_text(object, "class", dev->class_name);
	put_text(object, "driver", dev->facts.driver);
	put_texts(object, "other_drivers", &dev->drivers);
	put_text(object, "driver_override", dev->override);
	put_flag(object, "ready", device_is_ready(dev));
	if (dev->node >= 0)
		put_count(object, "numa_node", dev->node);
	else
		json_object_object_add(object, "numa_node", NULL);
	add_group(object, inv, dev);
	put_text(object, "cdev", dev->facts.cdev);
	put_texts(object, "interfaces", &dev->interfaces);
	put_texts(object, "disks", &dev->disks);
	put_texts(object, "uses", &dev->uses);
	sriov = put_inside(object, "sriov", json_object_new_object());
	put_text(sriov, "pf", dev->physfn);
	put_count(sriov, "vfs", dev->num_vfs);
	put_count(sriov, "max_vfs", dev->total_vfs);
	return object;
}

int status_json(FILE *out, const struct options *options, const struct inventory *inv,
		const struct selection *selection)
{
	struct json_object *array = json_object_new_array();
	const struct category *category;
	unsigned i;

	/* Each device once, in its first category. */
	for (i = 0; i < inv->count; i++)
		for (category = categories; category->key; category++) {
			if (!status_wants(options, selection, category, &inv->dev[i]))
				continue;
			json_object_array_add(array, device_object(inv, category, &inv->dev[i]));
			break;
		}
	return put_out(out, array);
}
