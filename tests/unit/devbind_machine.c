/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include <pollux/log.h>

#include "bind.h"
#include "devbind_machine.h"
#include "grant.h"
#include "record.h"
#include "serve.h"
#include "status.h"
#include "sys.h"
#include "why.h"

#define WORDS_MAX 16
#define TEXT_MAX  64

static char refusing[PLX_NAME_LEN], denied[TEXT_MAX], claimed[TEXT_MAX];
static const char *end_at;
static bool no_ioas;
static uint64_t memlock;
static void (*meanwhile)(void);
static char said[16384];
static char *output;
static size_t output_len;

/*
 * What rtnetlink has to say: addresses and routes. What was asked for last: 0, 1, or -1: nothing.
 */
static struct {
	char message[2][2048];
	size_t len[2];
	int asked;
} netlink;

static const char *attribute(const char *bdf, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	return pci_sysfs_text(path);
}

const char *machine_driver(const char *bdf)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	return pci_sysfs_link_name(path);
}

const char *machine_override(const char *bdf)
{
	const char *text = attribute(bdf, "driver_override");

	return strcmp(text, "(null)") ? text : "";
}

void machine_refuse(const char *driver)
{
	snprintf(refusing, sizeof(refusing), "%s", driver ? driver : "");
}

/*
 * The driver core: 1 or -errno.
 */
static void set_driver(const char *bdf, const char *driver)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	pci_sysfs_remove(path);
	if (!*driver)
		return;
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	pci_sysfs_link(path, target);
}

static int bind_store(const char *driver, const char *bdf)
{
	const char *override = machine_override(bdf);

	if (*machine_driver(bdf))
		return -EBUSY;
	if (*override ? strcmp(override, driver) : strcmp(attribute(bdf, "modalias"), driver))
		return -ENODEV;
	if (!strcmp(driver, refusing))
		return -EINVAL;
	if (end_at && !strcmp(bdf, end_at))
		raise(SIGTERM);
	set_driver(bdf, driver);
	return 1;
}

static int unbind_store(const char *driver, const char *bdf)
{
	if (strcmp(machine_driver(bdf), driver))
		return -ENODEV;
	set_driver(bdf, "");
	return 1;
}

static int override_store(const char *bdf, const char *text)
{
	pci_sysfs_set(bdf, "driver_override", *text == '\n' ? "(null)\n" : text);
	return 1;
}

static int written(const char *path, const void *data, size_t len)
{
	static const char drivers[] = "/sys/bus/pci/drivers/", devices[] = "/sys/bus/pci/devices/";
	char text[TEXT_MAX], name[TEXT_MAX], file[TEXT_MAX];

	if (!strcmp(path, "/dev/null")) {
		netlink.asked = ((const struct nlmsghdr *)data)->nlmsg_type == RTM_GETROUTE;
		return 1;
	}
	snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)data);
	if (!strncmp(path, drivers, strlen(drivers)) &&
	    sscanf(path + strlen(drivers), "%63[^/]/%63s", name, file) == 2)
		return strcmp(file, "bind") ? unbind_store(name, text) : bind_store(name, text);
	if (!strncmp(path, devices, strlen(devices)) &&
	    sscanf(path + strlen(devices), "%63[^/]/%63s", name, file) == 2)
		return override_store(name, text);
	return 0;
}

static int accessed(const char *path, int mode)
{
	return mode != F_OK && !strcmp(path, denied) ? -EACCES : 0;
}

static int opened(const char *path, int flags)
{
	return flags & O_EXCL && !(flags & O_CREAT) && !strcmp(path, claimed) ? -EBUSY : 0;
}

/* iommufd: an IOAS, if it is asked for in the kernel's words. */
static int controlled(const char *path, unsigned long request, void *arg)
{
	struct {
		uint32_t size, flags, out_ioas_id;
	} *alloc = arg;

	if (strcmp(path, "/dev/iommu") || request != _IO(';', 0x81))
		return -ENOTTY;
	if (no_ioas || alloc->size != sizeof(*alloc) || alloc->flags)
		return -ENOMEM;
	alloc->out_ioas_id = MACHINE_IOAS;
	return 0;
}

/*
 * rtnetlink.
 */
static struct nlmsghdr *add_message(int list, int type, size_t head_len)
{
	struct nlmsghdr *msg = (void *)(netlink.message[list] + netlink.len[list]);

	*msg = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(head_len),
				  .nlmsg_type = (uint16_t)type };
	return msg;
}

static void add_attribute(struct nlmsghdr *msg, int type, const void *data, size_t len)
{
	struct rtattr *attr = (void *)((char *)msg + NLMSG_ALIGN(msg->nlmsg_len));

	attr->rta_type = (unsigned short)type;
	attr->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), data, len);
	msg->nlmsg_len = NLMSG_ALIGN(msg->nlmsg_len) + RTA_ALIGN(attr->rta_len);
}

static void end_message(int list, const struct nlmsghdr *msg)
{
	netlink.len[list] += NLMSG_ALIGN(msg->nlmsg_len);
	assert_true(netlink.len[list] < sizeof(netlink.message[list]) - 64);
}

static int parse_address(const char *text, void *address, size_t *len)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(family, text, address), 1);
	*len = family == AF_INET ? 4 : 16;
	return family;
}

void machine_address(unsigned index, const char *address, unsigned bits)
{
	struct nlmsghdr *msg = add_message(0, RTM_NEWADDR, sizeof(struct ifaddrmsg));
	struct ifaddrmsg *head = NLMSG_DATA(msg);
	char bytes[16];
	size_t len;

	*head = (struct ifaddrmsg){ .ifa_index = index, .ifa_prefixlen = (uint8_t)bits };
	head->ifa_family = (uint8_t)parse_address(address, bytes, &len);
	add_attribute(msg, IFA_ADDRESS, bytes, len);
	end_message(0, msg);
}

void machine_route(unsigned index, const char *to, unsigned bits)
{
	struct nlmsghdr *msg = add_message(1, RTM_NEWROUTE, sizeof(struct rtmsg));
	struct rtmsg *head = NLMSG_DATA(msg);
	char bytes[16];
	size_t len;

	*head = (struct rtmsg){ .rtm_dst_len = (uint8_t)bits,
				.rtm_table = RT_TABLE_MAIN,
				.rtm_type = RTN_UNICAST };
	head->rtm_family = (uint8_t)parse_address(to, bytes, &len);
	if (bits)
		add_attribute(msg, RTA_DST, bytes, len);
	add_attribute(msg, RTA_OIF, &index, sizeof(index));
	end_message(1, msg);
}

void machine_netlink_error(void)
{
	end_message(0, add_message(0, NLMSG_ERROR, sizeof(struct nlmsgerr)));
}

static ssize_t received(void *buf, size_t len)
{
	struct nlmsghdr done = { .nlmsg_len = NLMSG_LENGTH(0), .nlmsg_type = NLMSG_DONE };
	int asked = netlink.asked;

	assert_true(len >= sizeof(netlink.message[0]));
	netlink.asked = -1;
	if (asked < 0 || !netlink.len[asked]) {
		memcpy(buf, &done, sizeof(done));
		return sizeof(done);
	}
	memcpy(buf, netlink.message[asked], netlink.len[asked]);
	return netlink.len[asked];
}

/*
 * Devices.
 */
static void add_driver(const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	pci_sysfs_file(path, "");
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", driver);
	pci_sysfs_file(path, "");
}

void machine_add(const char *bdf, const char *class_code, const char *driver, int group)
{
	struct pci_sysfs_fn fn = { "0x8086\n", "0x10d3\n", "0x8086\n", "0x0000\n",
				   class_code, "-1\n",	   NULL,       0 };
	char path[128], target[128];

	pci_sysfs_add(bdf, &fn);
	pci_sysfs_set(bdf, "modalias", driver);
	pci_sysfs_set(bdf, "driver_override", "(null)\n");
	add_driver(driver);
	set_driver(bdf, driver);
	if (group < 0)
		return;
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices/%s", group, bdf);
	snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", bdf);
	pci_sysfs_link(path, target);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d", group);
	pci_sysfs_link(path, target);
}

void machine_unplug(const char *bdf)
{
	char group[128], path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	snprintf(group, sizeof(group), "/sys/kernel/iommu_groups/%s/devices/%s",
		 pci_sysfs_link_name(path), bdf);
	pci_sysfs_remove(group);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	pci_sysfs_remove(path);
}

void machine_node(const char *path)
{
	pci_sysfs_file(path, "");
}

void machine_deny(const char *path)
{
	snprintf(denied, sizeof(denied), "%s", path ? path : "");
}

void machine_claim(const char *path)
{
	snprintf(claimed, sizeof(claimed), "%s", path ? path : "");
}

void machine_no_ioas(bool none)
{
	no_ioas = none;
}

void machine_memlock(uint64_t bytes)
{
	memlock = bytes;
}

void machine_give_to_vfio(const char *bdf, const char *cdev)
{
	char path[128];

	set_driver(bdf, "vfio-pci");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	snprintf(path, sizeof(path), "/dev/vfio/%s", pci_sysfs_link_name(path));
	machine_node(path);
	if (!cdev)
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/%s/dev", bdf, cdev);
	pci_sysfs_file(path, "509:0\n");
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", cdev);
	machine_node(path);
}

void machine_end_at(const char *bdf)
{
	end_at = bdf;
}

void machine_meanwhile(void (*fn)(void))
{
	meanwhile = fn;
}

static void slept(void)
{
	void (*fn)(void) = meanwhile;

	meanwhile = NULL;
	if (fn)
		fn();
}

/* Something of a class that sits on a function. */
static void add_member(const char *class, const char *name, const char *folder, const char *file,
		       const char *text)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	pci_sysfs_file(path, text);
	snprintf(path, sizeof(path), "/sys/class/%s/%s", class, name);
	snprintf(target, sizeof(target), "../..%s", folder + strlen("/sys"));
	if (!pci_sysfs_exists(path))
		pci_sysfs_link(path, target);
}

void machine_interface(const char *bdf, const char *name, unsigned index)
{
	char folder[128], text[16];

	snprintf(folder, sizeof(folder), "/sys/devices/pci0000:00/%s/net/%s", bdf, name);
	snprintf(text, sizeof(text), "%u\n", index);
	add_member("net", name, folder, "ifindex", text);
}

void machine_disk(const char *bdf, const char *name, const char *of, const char *number)
{
	char folder[128];

	if (of)
		snprintf(folder, sizeof(folder), "/sys/devices/pci0000:00/%s/%s/%s", bdf, of, name);
	else
		snprintf(folder, sizeof(folder), "/sys/devices/pci0000:00/%s/%s", bdf, name);
	add_member("block", name, folder, "dev", number);
	if (of)
		add_member("block", name, folder, "partition", "1\n");
}

void machine_char(const char *bdf, const char *name, const char *number)
{
	char path[160], text[160];

	snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/%s/uevent", bdf, name);
	snprintf(text, sizeof(text), "MAJOR=241\nMINOR=0\nDEVNAME=%s\nDEVMODE=0600\n", name);
	pci_sysfs_file(path, text);
	snprintf(path, sizeof(path), "/sys/dev/char/%s", number);
	snprintf(text, sizeof(text), "../../devices/pci0000:00/%s/%s", bdf, name);
	pci_sysfs_link(path, text);
}

static void keep_line(void *ctx, enum plx_log_level level, const char *line)
{
	size_t at = strlen(said);

	(void)ctx;
	(void)level;
	snprintf(said + at, sizeof(said) - at, "%s\n", line);
}

int machine_setup(void **state)
{
	static const struct pci_sysfs_kernel kernel = {
		.written = written,
		.received = received,
		.accessed = accessed,
		.opened = opened,
		.controlled = controlled,
		.memlock = &memlock,
		.slept = slept,
	};

	if (pci_sysfs_setup(state))
		return -1;
	plx_log_set_sink(keep_line, NULL);
	pci_sysfs_kernel(&kernel);
	netlink.len[0] = netlink.len[1] = 0;
	netlink.asked = -1;
	said[0] = '\0';
	machine_refuse(NULL);
	machine_deny(NULL);
	machine_claim(NULL);
	machine_no_ioas(false);
	pci_sysfs_file("/proc/self/mountinfo", "");
	pci_sysfs_file("/proc/swaps", "Filename Type Size Used Priority\n");
	machine_meanwhile(NULL);
	machine_end_at(NULL);
	machine_memlock(UINT64_MAX);
	add_driver("vfio-pci");
	machine_add(NIC0, "0x020000\n", "e1000e", 10);
	machine_add(NIC1, "0x020000\n", "e1000e", 11);
	machine_add(NIC2, "0x020000\n", "igb", 11);
	machine_add(NVME0, "0x010802\n", "nvme", 12);
	return 0;
}

int machine_teardown(void **state)
{
	free(output);
	output = NULL;
	return pci_sysfs_teardown(state);
}

/*
 * Running.
 */
static enum exit_code run(FILE *out, const struct options *options)
{
	struct selection selection;
	struct inventory inv;
	enum exit_code code;

	if (inventory_read(&inv))
		return EXIT_FAILED;
	switch (options->command) {
	case COMMAND_BIND: code = bind_run(options, &inv); break;
	case COMMAND_UNBIND: code = unbind_run(options, &inv); break;
	case COMMAND_RESTORE: code = restore_run(options, &inv); break;
	case COMMAND_GRANT: code = grant_run(options, &inv); break;
	case COMMAND_BROKER: code = broker_run(options, &inv); break;
	case COMMAND_WHY: code = why_run(out, options, &inv); break;
	case COMMAND_DOCTOR: code = doctor_run(out, options); break;
	default:
		code = selection_make(&selection, &inv, options->words, options->count);
		if (code == EXIT_DONE) {
			if (options->json)
				status_json(out, options, &inv, &selection);
			else
				status_print(out, options, &inv, &selection);
			selection_free(&selection);
		}
	}
	inventory_free(&inv);
	return code;
}

static enum exit_code run_locked(FILE *out, const struct options *options)
{
	enum exit_code code;
	int lock;

	if (!command_changes(options->command))
		return run(out, options);
	lock = record_lock();
	if (lock < 0)
		return EXIT_FAILED;
	code = run(out, options);
	plx_sys->close(lock);
	return code;
}

enum exit_code machine_run(const char *word, ...)
{
	char name[] = "plx-devbind", *words[WORDS_MAX + 2] = { name };
	enum exit_code code = EXIT_USAGE;
	struct options options;
	va_list args;
	int count = 1;
	FILE *out;

	free(output);
	out = open_memstream(&output, &output_len);
	said[0] = '\0';
	va_start(args, word);
	for (; word && count <= WORDS_MAX; word = va_arg(args, const char *))
		words[count++] = (char *)(uintptr_t)word;
	va_end(args);
	if (!options_parse(count, words, &options))
		code = run_locked(out, &options);
	fclose(out);
	assert_int_equal(pci_sysfs_left(), 0);
	return code;
}

const char *machine_output(void)
{
	return output;
}

void machine_reports(const char *part)
{
	if (!strstr(output, part))
		fail_msg("missing: %s; the report:\n%s", part, output);
}

void machine_reports_no(const char *part)
{
	if (strstr(output, part))
		fail_msg("not wanted: %s; the report:\n%s", part, output);
}

bool machine_has_said(const char *part)
{
	return strstr(said, part);
}

bool machine_said(const char *part)
{
	if (machine_has_said(part))
		return true;
	print_message("# not said: %s; said:\n%s", part, said);
	return false;
}

/*
 * Names and modules. A function's modalias is its driver's name here; the module "vfio-late" can be
 * loaded, "held" is held back by the configuration, and "empty" has no driver.
 */
struct names *names_open(void)
{
	return NULL;
}

void names_close(struct names *names)
{
	(void)names;
}

void names_fill(struct names *names, struct device *dev)
{
	(void)names;
	strcpy(dev->vendor_name, "Intel Corporation");
	strcpy(dev->device_name, "82574L Gigabit Network Connection");
	strcpy(dev->class_name, "Ethernet controller");
}

struct modules *modules_open(void)
{
	return NULL;
}

void modules_close(struct modules *modules)
{
	(void)modules;
}

int modules_of(struct modules *modules, const char *modalias, struct texts *drivers)
{
	(void)modules;
	return texts_add(drivers, "%s", modalias);
}

enum module_state modules_state(struct modules *modules, const char *name)
{
	char path[64];

	(void)modules;
	snprintf(path, sizeof(path), "/lib/modules/%.30s", name);
	if (pci_sysfs_exists(path))
		return MODULE_AVAILABLE;
	return strcmp(name, "vfio-late") && strcmp(name, "held") && strcmp(name, "empty")
		       ? MODULE_MISSING
		       : MODULE_AVAILABLE;
}

int modules_load(struct modules *modules, const char *name)
{
	if (modules_state(modules, name) == MODULE_MISSING)
		return -ENOENT;
	if (!strcmp(name, "held"))
		return -EPERM;
	if (strcmp(name, "empty"))
		add_driver(name);
	return 0;
}
