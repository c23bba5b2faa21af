/* SPDX-License-Identifier: BSD-3-Clause */
/* Hot-plug events: the parser, fed with good and bad messages, and the socket around it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "bus.h"
#include "sys.h"

#define ADD                                                                      \
	"add@/devices/pci0000:00/0000:00:02.0/0000:01:00.0\0ACTION=add\0"        \
	"DEVPATH=/devices/pci0000:00/0000:00:02.0/0000:01:00.0\0SUBSYSTEM=pci\0" \
	"PCI_CLASS=20000\0PCI_ID=8086:10D3\0PCI_SUBSYS_ID=8086:0000\0"           \
	"PCI_SLOT_NAME=0000:01:00.0\0SEQNUM=1766"
#define BIND                                                                \
	"bind@/devices/x\0ACTION=bind\0DEVPATH=/devices/x\0SUBSYSTEM=pci\0" \
	"DRIVER=vfio-pci\0DRIVERS=none\0PCI_SLOT_NAME=0001:02:03.4\0SEQNUM=2"

/* A copy of exactly len bytes, so that the sanitizers see a step beyond them. */
static int parse(const char *msg, size_t len, struct plx_pci_event *event)
{
	char *copy = malloc(len ? len : 1);
	int found;

	memcpy(copy, msg, len);
	memset(event, 0, sizeof(*event));
	found = plx_pci_monitor_parse(copy, len, event);
	free(copy);
	return found;
}

#define PARSE(msg, event) parse(msg, sizeof(msg), event)

static void good_messages(void **state)
{
	struct plx_pci_event event;

	(void)state;
	assert_int_equal(PARSE(ADD, &event), 1);
	assert_int_equal(event.type, PLX_PCI_ADDED);
	assert_string_equal(event.name, "0000:01:00.0");
	assert_string_equal(event.driver, "");

	assert_int_equal(PARSE(BIND, &event), 1);
	assert_int_equal(event.type, PLX_PCI_BOUND);
	assert_string_equal(event.name, "0001:02:03.4");
	assert_string_equal(event.driver, "vfio-pci");

	assert_int_equal(PARSE("remove@/x\0ACTION=remove\0SUBSYSTEM=pci\0"
			       "PCI_SLOT_NAME=10000:e1:00.0",
			       &event),
			 1);
	assert_int_equal(event.type, PLX_PCI_REMOVED);
	assert_string_equal(event.name, "10000:e1:00.0");

	assert_int_equal(PARSE("unbind@/x\0ACTION=unbind\0SUBSYSTEM=pci\0"
			       "PCI_SLOT_NAME=0000:01:00.0",
			       &event),
			 1);
	assert_int_equal(event.type, PLX_PCI_UNBOUND);
}

static void not_ours(void **state)
{
	struct plx_pci_event event;

	(void)state;
	/* Other subsystems, also those whose name begins like ours. */
	assert_int_equal(PARSE("add@/x\0ACTION=add\0SUBSYSTEM=pci_bus\0"
			       "PCI_SLOT_NAME=0000:01:00.0",
			       &event),
			 0);
	assert_int_equal(
		PARSE("add@/x\0ACTION=add\0SUBSYSTEM=net\0PCI_SLOT_NAME=0000:01:00.0", &event), 0);
	assert_int_equal(PARSE("add@/x\0ACTION=add\0PCI_SLOT_NAME=0000:01:00.0", &event), 0);
	/* Another action, none, and one that merely begins like ours. */
	assert_int_equal(PARSE("change@/x\0ACTION=change\0SUBSYSTEM=pci\0"
			       "PCI_SLOT_NAME=0000:01:00.0",
			       &event),
			 0);
	assert_int_equal(PARSE("add@/x\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:01:00.0", &event), 0);
	assert_int_equal(
		PARSE("add@/x\0ACTION=added\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:01:00.0", &event),
		0);
	/* No address, and what is none. */
	assert_int_equal(PARSE("add@/x\0ACTION=add\0SUBSYSTEM=pci", &event), 0);
	assert_int_equal(PARSE("add@/x\0ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=", &event), 0);
	assert_int_equal(PARSE("add@/x\0ACTION=add\0SUBSYSTEM=pci\0"
			       "PCI_SLOT_NAME=../../etc/passwd",
			       &event),
			 0);
	assert_int_equal(PARSE("add@/x\0ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=01:00.0", &event),
			 0);
	/* A message of udev's. */
	assert_int_equal(
		PARSE("libudev\0ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:01:00.0", &event), 0);
	assert_int_equal(PARSE("", &event), 0);
}

static void every_truncation(void **state)
{
	static const char msg[] = BIND;
	struct plx_pci_event event;
	size_t len;

	(void)state;
	/* Cut anywhere but after the slot name, it is either not well-formed or says too little. */
	for (len = 0; len < sizeof(msg) - sizeof("SEQNUM=2"); len++)
		assert_int_equal(parse(msg, len, &event), 0);
	assert_int_equal(parse(msg, len, &event), 1);
	for (len++; len < sizeof(msg); len++)
		assert_int_equal(parse(msg, len, &event), 0);
}

static void no_nul_at_all(void **state)
{
	struct plx_pci_event event;
	char msg[512];

	(void)state;
	memset(msg, '@', sizeof(msg));
	assert_int_equal(parse(msg, sizeof(msg), &event), 0);
	memset(msg, 0, sizeof(msg));
	assert_int_equal(parse(msg, sizeof(msg), &event), 0);
}

static void driver_name_too_long(void **state)
{
	struct plx_pci_event event;

	(void)state;
	assert_int_equal(PARSE("bind@/x\0ACTION=bind\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:01:00.0\0"
			       "DRIVER=a_driver_whose_name_is_31_bytes",
			       &event),
			 1);
	assert_string_equal(event.driver, "a_driver_whose_name_is_31_bytes");
	assert_int_equal(PARSE("bind@/x\0ACTION=bind\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:01:00.0\0"
			       "DRIVER=a_driver_whose_name_has_32_bytes",
			       &event),
			 1);
	assert_string_equal(event.driver, "");
}

/* A socket that hands out what the test queued. */
static struct queued {
	const char *data;
	size_t len;
	unsigned pid;
	int err, flags;
} queue[4];

static unsigned queue_at;
static int sockets, socket_err, bind_err;

static int fake_socket(int domain, int type, int protocol)
{
	assert_int_equal(domain, AF_NETLINK);
	assert_int_equal(protocol, NETLINK_KOBJECT_UEVENT);
	assert_true(type & SOCK_NONBLOCK);
	assert_true(type & SOCK_CLOEXEC);
	if (socket_err) {
		errno = socket_err;
		return -1;
	}
	sockets++;
	return 1000;
}

static int fake_bind(int fd, const void *addr, size_t len)
{
	const struct sockaddr_nl *nl = addr;

	assert_int_equal(fd, 1000);
	assert_int_equal(len, sizeof(*nl));
	assert_int_equal(nl->nl_groups, 1);
	errno = bind_err;
	return bind_err ? -1 : 0;
}

static int fake_close(int fd)
{
	assert_int_equal(fd, 1000);
	sockets--;
	return 0;
}

static ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags)
{
	const struct queued *next = &queue[queue_at];
	struct sockaddr_nl *from = msg->msg_name;

	(void)flags;
	assert_int_equal(fd, 1000);
	if (queue_at == 4 || (!next->data && !next->err)) {
		errno = EAGAIN;
		return -1;
	}
	queue_at++;
	if (next->err) {
		errno = next->err;
		return -1;
	}
	*from = (struct sockaddr_nl){ .nl_family = AF_NETLINK, .nl_pid = next->pid };
	msg->msg_namelen = sizeof(*from);
	msg->msg_flags = next->flags;
	memcpy(msg->msg_iov[0].iov_base, next->data, next->len);
	return next->len;
}

static void drop_line(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

static int setup(void **state)
{
	static struct plx_sys fake;

	(void)state;
	fake = plx_sys_kernel;
	fake.socket = fake_socket;
	fake.bind = fake_bind;
	fake.close = fake_close;
	fake.recvmsg = fake_recvmsg;
	plx_sys = &fake;
	plx_log_set_sink(drop_line, NULL);
	memset(queue, 0, sizeof(queue));
	queue_at = 0;
	socket_err = bind_err = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	plx_sys = &plx_sys_kernel;
	plx_log_set_sink(NULL, NULL);
	return sockets;
}

static void reads_the_kernel_only(void **state)
{
	struct plx_pci_monitor *monitor;
	struct plx_pci_event event;

	(void)state;
	queue[0] = (struct queued){ BIND, sizeof(BIND), 4711, 0, 0 };
	queue[1] = (struct queued){ .err = EINTR };
	queue[2] = (struct queued){ "noise", sizeof("noise"), 0, 0, 0 };
	queue[3] = (struct queued){ ADD, sizeof(ADD), 0, 0, 0 };
	assert_int_equal(plx_pci_monitor_open(&monitor), 0);
	assert_int_equal(plx_pci_monitor_fd(monitor), 1000);
	assert_int_equal(plx_pci_monitor_read(monitor, &event), 1);
	assert_int_equal(event.type, PLX_PCI_ADDED);
	assert_int_equal(plx_pci_monitor_read(monitor, &event), 0);
	plx_pci_monitor_close(monitor);
}

static void says_what_is_lost(void **state)
{
	struct plx_pci_monitor *monitor;
	struct plx_pci_event event;

	(void)state;
	queue[0] = (struct queued){ .err = ENOBUFS };
	queue[1] = (struct queued){ ADD, sizeof(ADD), 0, 0, MSG_TRUNC };
	queue[2] = (struct queued){ BIND, sizeof(BIND), 0, 0, 0 };
	assert_int_equal(plx_pci_monitor_open(&monitor), 0);
	assert_int_equal(plx_pci_monitor_read(monitor, &event), -ENOBUFS);
	assert_int_equal(plx_pci_monitor_read(monitor, &event), -ENOBUFS);
	assert_int_equal(plx_pci_monitor_read(monitor, &event), 1);
	assert_int_equal(event.type, PLX_PCI_BOUND);
	plx_pci_monitor_close(monitor);
}

static void open_fails(void **state)
{
	struct plx_pci_monitor *monitor;

	(void)state;
	socket_err = EPROTONOSUPPORT;
	assert_int_equal(plx_pci_monitor_open(&monitor), -EPROTONOSUPPORT);
	socket_err = 0;
	bind_err = EPERM;
	assert_int_equal(plx_pci_monitor_open(&monitor), -EPERM);
	assert_int_equal(sockets, 0);
	plx_pci_monitor_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_messages),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(no_nul_at_all),
		cmocka_unit_test(driver_name_too_long),
		cmocka_unit_test_setup_teardown(reads_the_kernel_only, setup, teardown),
		cmocka_unit_test_setup_teardown(says_what_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(open_fails, setup, teardown),
	};

	return cmocka_run_group_tests_name("pci_monitor", tests, NULL, NULL);
}
