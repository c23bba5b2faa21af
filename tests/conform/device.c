/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that is claimed: regions, interrupts, reset, features.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "conform.h"

#define VECTORS 5 /* of an 82574 */

static uint64_t offset_of(int dev, unsigned int index)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = index };

	must("region", call(dev, VFIO_DEVICE_GET_REGION_INFO, &region));
	return region.offset;
}

static int done(ssize_t result)
{
	return result < 0 ? -errno : (int)result;
}

static void set_command(int dev, uint16_t command)
{
	must("write to the command register",
	     done(plx_sys->pwrite(dev, &command, 2,
				  offset_of(dev, VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND)));
}

static uint16_t config16(int dev, unsigned int at)
{
	uint16_t value = 0;

	must("read of config space",
	     done(plx_sys->pread(dev, &value, 2,
				 offset_of(dev, VFIO_PCI_CONFIG_REGION_INDEX) + at)));
	return value;
}

void conform_memory(int dev, bool on)
{
	uint16_t command = config16(dev, PCI_COMMAND) & ~PCI_COMMAND_MEMORY;

	set_command(dev, command | (on ? PCI_COMMAND_MEMORY : 0));
}

void *conform_bar(int dev, unsigned int index)
{
	void *va = plx_sys->mmap(NULL, CONFORM_BAR, PROT_READ | PROT_WRITE, MAP_SHARED, dev,
				 offset_of(dev, index));

	must("a BAR", va == MAP_FAILED ? -errno : 0);
	return va;
}

static void infos(int dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int ret = call(dev, VFIO_DEVICE_GET_INFO, &info);
	uint32_t i;

	tell("VFIO_DEVICE_GET_INFO", ret, "flags %x, %u regions, %u interrupts", info.flags & 7,
	     info.num_regions, info.num_irqs);
	info.argsz = 15;
	check("VFIO_DEVICE_GET_INFO, too short", call(dev, VFIO_DEVICE_GET_INFO, &info));
	check("VFIO_DEVICE_GET_INFO of no argument", call(dev, VFIO_DEVICE_GET_INFO, NULL));
	for (i = 0; i <= VFIO_PCI_NUM_REGIONS; i++) {
		struct vfio_region_info region = { .argsz = sizeof(region), .index = i };
		char what[64];

		snprintf(what, sizeof(what), "region %u", i);
		ret = call(dev, VFIO_DEVICE_GET_REGION_INFO, &region);
		tell(what, ret, "flags %x, %llu bytes, needs %u bytes", region.flags,
		     (unsigned long long)region.size, region.argsz);
	}
	for (i = 0; i <= VFIO_PCI_NUM_IRQS; i++) {
		struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = i };
		char what[64];

		snprintf(what, sizeof(what), "interrupts %u", i);
		ret = call(dev, VFIO_DEVICE_GET_IRQ_INFO, &irq);
		tell(what, ret, "flags %x, %u", irq.flags, irq.count);
	}
	check("region, too short", call(dev, VFIO_DEVICE_GET_REGION_INFO, &(uint32_t[8]){ 31 }));
	check("region of no argument", call(dev, VFIO_DEVICE_GET_REGION_INFO, NULL));
	check("interrupts, too short", call(dev, VFIO_DEVICE_GET_IRQ_INFO, &(uint32_t[4]){ 15 }));
	check("interrupts of no argument", call(dev, VFIO_DEVICE_GET_IRQ_INFO, NULL));
	check("an unknown command", call(dev, _IO(';', 0xf0), NULL));
}

static int get(int dev, unsigned int index, uint64_t at, size_t len)
{
	uint8_t bytes[64];

	return done(plx_sys->pread(dev, bytes, len, offset_of(dev, index) + at));
}

static void tell_read(const char *what, int ret)
{
	tell(what, ret, "%d bytes", ret);
}

static void config(int dev)
{
	const unsigned int space = VFIO_PCI_CONFIG_REGION_INDEX;

	tell("ids", 0, "%04x %04x", config16(dev, PCI_VENDOR_ID), config16(dev, PCI_DEVICE_ID));
	tell("the command register", 0, "%x", config16(dev, PCI_COMMAND) & 7);
	tell_read("read of four bytes", get(dev, space, 0, 4));
	tell_read("read of one byte", get(dev, space, 3, 1));
	tell_read("read of 64 bytes", get(dev, space, 0, 64));
	tell_read("read across the end", get(dev, space, 4094, 4));
	tell_read("read at the end", get(dev, space, 4096, 4));
	tell_read("read far behind the end", get(dev, space, 1 << 20, 4));
	tell_read("read of nothing", get(dev, space, 0, 0));
	tell_read("read of no region", done(plx_sys->pread(dev, &(uint32_t){ 0 }, 4, 40ll << 40)));
}

static void bars(int dev)
{
	set_command(dev, 0);
	tell_read("BAR 0 without memory enabled", get(dev, 0, 0, 4));
	tell_read("BAR 2, which is ports, without memory enabled", get(dev, 2, 0, 4));
	set_command(dev, PCI_COMMAND_MEMORY);
	tell("the command register after", 0, "%x", config16(dev, PCI_COMMAND) & 7);
	tell_read("BAR 0", get(dev, 0, 0, 4));
	tell_read("BAR 0 across the end", get(dev, 0, (128 << 10) - 4, 8));
	tell_read("BAR 0 behind the end", get(dev, 0, 128 << 10, 4));
	tell_read("BAR 2", get(dev, 2, 0, 4));
	tell_read("BAR 4, which isn't there", get(dev, 4, 0, 4));
	tell_read("the ROM, which isn't there", get(dev, VFIO_PCI_ROM_REGION_INDEX, 0, 4));
}

static void try_map(const char *what, int dev, unsigned int index, uint64_t at, size_t len,
		    int prot, int flags)
{
	void *va = plx_sys->mmap(NULL, len, prot, flags, dev, offset_of(dev, index) + at);

	check(what, va == MAP_FAILED ? -errno : 0);
	if (va != MAP_FAILED)
		plx_sys->munmap(va, len);
}

static void maps(int dev)
{
	const int rw = PROT_READ | PROT_WRITE;

	try_map("mmap of BAR 0", dev, 0, 0, 128 << 10, rw, MAP_SHARED);
	try_map("mmap of BAR 0, to be read", dev, 0, 0, 128 << 10, PROT_READ, MAP_SHARED);
	try_map("mmap of the end of BAR 0", dev, 0, (128 << 10) - 4096, 4096, rw, MAP_SHARED);
	try_map("mmap past the end of BAR 0", dev, 0, (128 << 10) - 4096, 8192, rw, MAP_SHARED);
	try_map("mmap behind BAR 0", dev, 0, 128 << 10, 4096, rw, MAP_SHARED);
	try_map("mmap of BAR 0, private", dev, 0, 0, 4096, rw, MAP_PRIVATE);
	try_map("mmap of BAR 2, which is ports", dev, 2, 0, 4096, rw, MAP_SHARED);
	try_map("mmap of BAR 3, with the MSI-X table", dev, 3, 0, 16 << 10, rw, MAP_SHARED);
	try_map("mmap of BAR 4, which isn't there", dev, 4, 0, 4096, rw, MAP_SHARED);
	try_map("mmap of config space", dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, 4096, rw, MAP_SHARED);
}

static int irqs(int dev, unsigned int index, uint32_t flags, unsigned int start, unsigned int count,
		const void *data, size_t len)
{
	_Alignas(struct vfio_irq_set) uint8_t bytes[sizeof(struct vfio_irq_set) + 64] = { 0 };
	struct vfio_irq_set *set = (void *)bytes;

	set->argsz = sizeof(*set) + len;
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (len)
		memcpy(set->data, data, len);
	return call(dev, VFIO_DEVICE_SET_IRQS, set);
}

static int connect_irqs(int dev, unsigned int index, unsigned int start, unsigned int count,
			const int32_t *fds)
{
	return irqs(dev, index, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, start,
		    count, fds, count * sizeof(*fds));
}

static int irqs_off(int dev, unsigned int index)
{
	return irqs(dev, index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL,
		    0);
}

static int fire(int dev, unsigned int index, unsigned int start, unsigned int count)
{
	return irqs(dev, index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, start, count,
		    NULL, 0);
}

static unsigned int fired(int event)
{
	uint64_t count = 0;

	return plx_sys->read(event, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void wrong_irqs(int dev, const int32_t *events)
{
	const uint32_t trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
	const uint32_t connect = VFIO_IRQ_SET_DATA_EVENTFD | trigger;

	check("SET_IRQS, too short", call(dev, VFIO_DEVICE_SET_IRQS, &(uint32_t[5]){ 19 }));
	check("SET_IRQS of no argument", call(dev, VFIO_DEVICE_SET_IRQS, NULL));
	check("SET_IRQS of no index", irqs(dev, VFIO_PCI_NUM_IRQS, connect, 0, 1, events, 4));
	check("SET_IRQS with a flag that isn't there",
	      irqs(dev, 2, connect | 1u << 9, 0, 1, events, 4));
	check("SET_IRQS of no kind of data", irqs(dev, 2, trigger, 0, 1, events, 4));
	check("SET_IRQS of two kinds of data",
	      irqs(dev, 2, connect | VFIO_IRQ_SET_DATA_BOOL, 0, 1, events, 4));
	check("SET_IRQS to no end", irqs(dev, 2, VFIO_IRQ_SET_DATA_EVENTFD, 0, 1, events, 4));
	check("SET_IRQS to two ends",
	      irqs(dev, 2, connect | VFIO_IRQ_SET_ACTION_MASK, 0, 1, events, 4));
	check("SET_IRQS without its data", irqs(dev, 2, connect, 0, 2, events, 4));
	check("SET_IRQS beyond the last vector", connect_irqs(dev, 2, 4, 2, events));
	check("SET_IRQS behind the last vector", connect_irqs(dev, 2, VECTORS, 1, events));
	check("SET_IRQS of far too many", irqs(dev, 2, connect, 1, UINT32_MAX, events, 4));
	check("SET_IRQS to mask MSI-X",
	      irqs(dev, 2, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0));
	check("fire MSI-X that is off", fire(dev, 2, 0, 1));
	check("turn MSI-X off that is off", irqs_off(dev, 2));
	check("connect a file that isn't open", connect_irqs(dev, 2, 0, 1, &(int32_t){ 4711 }));
	check("connect the device itself", connect_irqs(dev, 2, 0, 1, &dev));
	check("connect none", connect_irqs(dev, 2, 0, 1, &(int32_t){ -1 }));
	check("turn MSI-X off after", irqs_off(dev, 2));
}

static void msix(int dev, const int32_t *events)
{
	const int32_t gap[3] = { events[0], -1, events[1] };

	check("connect two of MSI-X", connect_irqs(dev, 2, 0, 2, events));
	check("connect MSI while MSI-X is on", connect_irqs(dev, 1, 0, 1, events));
	check("connect INTx while MSI-X is on", connect_irqs(dev, 0, 0, 1, events));
	check("turn MSI off while MSI-X is on", irqs_off(dev, 1));
	check("fire one", fire(dev, 2, 0, 1));
	tell("fired", 0, "%u %u", fired(events[0]), fired(events[1]));
	check("fire two", fire(dev, 2, 0, 2));
	tell("both fired", 0, "%u %u", fired(events[0]), fired(events[1]));
	check("fire by bits",
	      irqs(dev, 2, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 2, "\0\1", 2));
	tell("one fired", 0, "%u %u", fired(events[0]), fired(events[1]));
	check("fire one that is not connected", fire(dev, 2, 3, 1));
	check("connect one more", connect_irqs(dev, 2, 2, 1, events));
	check("connect the last", connect_irqs(dev, 2, VECTORS - 1, 1, events));
	check("disconnect one", connect_irqs(dev, 2, 1, 1, &(int32_t){ -1 }));
	check("fire the one that was disconnected", fire(dev, 2, 1, 1));
	tell("none fired", 0, "%u %u", fired(events[0]), fired(events[1]));
	check("connect over it a file that isn't open",
	      connect_irqs(dev, 2, 0, 2, (int32_t[2]){ events[0], 4711 }));
	check("fire what was connected before", fire(dev, 2, 0, 1));
	tell("does it fire", 0, "%u", fired(events[0]));
	check("turn MSI-X off", irqs_off(dev, 2));
	check("turn MSI-X off again", irqs_off(dev, 2));
	check("connect with a gap", connect_irqs(dev, 2, 0, 3, gap));
	check("connect the gap", connect_irqs(dev, 2, 1, 1, events + 1));
	check("disconnect all, one by one", connect_irqs(dev, 2, 0, 3, (int32_t[3]){ -1, -1, -1 }));
	check("fire what is left", fire(dev, 2, 0, 1));
	check("turn it off", irqs_off(dev, 2));
	check("connect from the third on", connect_irqs(dev, 2, 2, 1, events));
	check("fire the third", fire(dev, 2, 2, 1));
	check("fire the first, which is in the set", fire(dev, 2, 0, 1));
	check("turn that off", irqs_off(dev, 2));
}

static void other_irqs(int dev, const int32_t *events)
{
	const uint32_t none = VFIO_IRQ_SET_DATA_NONE;

	check("connect MSI", connect_irqs(dev, 1, 0, 1, events));
	check("fire MSI", fire(dev, 1, 0, 1));
	tell("MSI fired", 0, "%u", fired(events[0]));
	check("turn MSI off", irqs_off(dev, 1));
	check("mask INTx that is off",
	      irqs(dev, 0, none | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0));
	check("fire INTx that is off", fire(dev, 0, 0, 1));
	check("connect INTx", connect_irqs(dev, 0, 0, 1, events));
	check("connect two INTx", connect_irqs(dev, 0, 0, 2, events));
	check("connect MSI-X while INTx is on", connect_irqs(dev, 2, 0, 1, events));
	check("fire INTx", fire(dev, 0, 0, 1));
	tell("INTx fired", 0, "%u", fired(events[0]));
	check("mask INTx", irqs(dev, 0, none | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0));
	check("mask INTx again", irqs(dev, 0, none | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0));
	check("unmask INTx", irqs(dev, 0, none | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL, 0));
	check("connect INTx again", connect_irqs(dev, 0, 0, 1, events + 1));
	check("disconnect INTx", connect_irqs(dev, 0, 0, 1, &(int32_t){ -1 }));
	check("turn INTx off", irqs_off(dev, 0));
	check("connect ERR", connect_irqs(dev, 3, 0, 1, events));
	check("connect REQ", connect_irqs(dev, 4, 0, 1, events + 1));
	check("connect two REQ", connect_irqs(dev, 4, 0, 2, events));
	check("mask REQ", irqs(dev, 4, none | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0));
	check("fire REQ", fire(dev, 4, 0, 1));
	tell("REQ fired", 0, "%u", fired(events[1]));
	check("disconnect REQ", connect_irqs(dev, 4, 0, 1, &(int32_t){ -1 }));
	check("fire REQ that is not connected", fire(dev, 4, 0, 1));
	check("turn ERR off", irqs_off(dev, 3));
	check("turn ERR off again", irqs_off(dev, 3));
}

static void interrupts(int dev)
{
	int32_t events[2];
	unsigned int i;

	for (i = 0; i < 2; i++)
		events[i] = must("eventfd", plx_sys->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	wrong_irqs(dev, events);
	msix(dev, events);
	other_irqs(dev, events);
	for (i = 0; i < 2; i++)
		node_close(events[i]);
}

static void resets(int dev, bool by_group)
{
	union {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_hot_reset reset;
		uint32_t words[64];
	} a = { .info.argsz = sizeof(a) };
	int ret;

	check("VFIO_DEVICE_RESET", call(dev, VFIO_DEVICE_RESET, NULL));
	tell("the command register after a reset", 0, "%x", config16(dev, PCI_COMMAND) & 7);
	ret = call(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &a);
	tell("hot reset info", ret, "%u functions, flags %x", a.info.count, a.info.flags);
	a.info.argsz = sizeof(a.info);
	ret = call(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &a);
	tell("hot reset info without room", ret == -ENOSPC ? 0 : ret, "%s, %u functions",
	     ret ? "ENOSPC" : "ok", a.info.count);
	a.info.argsz = 11;
	check("hot reset info, too short", call(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &a));
	check("hot reset info of no argument", call(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL));
	a.reset = (struct vfio_pci_hot_reset){ .argsz = sizeof(a.reset) - 1 };
	check("hot reset, too short", call(dev, VFIO_DEVICE_PCI_HOT_RESET, &a));
	a.reset = (struct vfio_pci_hot_reset){ .argsz = sizeof(a.reset), .flags = 1 };
	check("hot reset with a flag that isn't there", call(dev, VFIO_DEVICE_PCI_HOT_RESET, &a));
	check("hot reset of no argument", call(dev, VFIO_DEVICE_PCI_HOT_RESET, NULL));
	a.reset = (struct vfio_pci_hot_reset){ .argsz = sizeof(a), .count = 1 };
	a.reset.group_fds[0] = dev;
	check("hot reset with a device for a group", call(dev, VFIO_DEVICE_PCI_HOT_RESET, &a));
	a.reset.group_fds[0] = 4711;
	check("hot reset with a file that isn't open", call(dev, VFIO_DEVICE_PCI_HOT_RESET, &a));
	a.reset = (struct vfio_pci_hot_reset){ .argsz = sizeof(a.reset) };
	check(by_group ? "hot reset without groups" : "hot reset",
	      call(dev, VFIO_DEVICE_PCI_HOT_RESET, &a));
}

static int feature(int dev, uint32_t flags, uint32_t argsz)
{
	uint32_t arg[18] = { argsz, flags };

	return call(dev, VFIO_DEVICE_FEATURE, arg);
}

static void features(int dev)
{
	const uint32_t probe = VFIO_DEVICE_FEATURE_PROBE;
	unsigned int i;

	for (i = 0; i < 12; i++) {
		char what[64];

		snprintf(what, sizeof(what), "feature %u, get", i);
		check(what, feature(dev, probe | VFIO_DEVICE_FEATURE_GET | i, 8));
		snprintf(what, sizeof(what), "feature %u, set", i);
		check(what, feature(dev, probe | VFIO_DEVICE_FEATURE_SET | i, 8));
	}
	check("a feature that isn't there",
	      feature(dev, probe | VFIO_DEVICE_FEATURE_GET | 4711, 8));
	check("feature 0, set to nothing", feature(dev, VFIO_DEVICE_FEATURE_SET, 8));
	check("feature 0, neither get nor set", feature(dev, 0, 24));
	check("feature 0, get and set",
	      feature(dev, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET, 24));
	check("feature, too short", feature(dev, probe | VFIO_DEVICE_FEATURE_SET, 7));
	check("feature with a flag that isn't there",
	      feature(dev, probe | VFIO_DEVICE_FEATURE_SET | 1u << 20, 8));
	check("feature of no argument", call(dev, VFIO_DEVICE_FEATURE, NULL));
}

void conform_device(const struct conform *c, int dev, bool by_group)
{
	(void)c;
	scene("a device by its %s", by_group ? "group" : "cdev");
	infos(dev);
	config(dev);
	bars(dev);
	maps(dev);
	interrupts(dev);
	resets(dev, by_group);
	features(dev);
}
