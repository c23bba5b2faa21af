/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus's end of the broker's protocol: what is asked, what is kept, and answers that make no
 * sense. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "broker.h"
#include "sys.h"

static int ends[2]; /* the client's, the broker's */
static struct plx_sys sys;
static struct plx_pci_bus bus;
static struct pci_fn fns[2];
static unsigned errors, next_fn, next_ioas;

static int fake_socket(int domain, int type, int protocol)
{
	assert_int_equal(domain, AF_UNIX);
	assert_int_equal(type, SOCK_SEQPACKET | SOCK_CLOEXEC);
	assert_int_equal(protocol, 0);
	return dup(ends[0]);
}

static int fake_connect(int fd, const void *addr, size_t len)
{
	(void)fd;
	(void)addr;
	(void)len;
	return 0;
}

static void count_errors(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)line;
	errors += level == PLX_LOG_ERR;
}

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int setup(void **state)
{
	static const char *const names[] = { "0000:01:00.0", "0000:02:00.0" };
	unsigned i;

	(void)state;
	sys = plx_sys_kernel;
	sys.socket = fake_socket;
	sys.connect = fake_connect;
	plx_sys = &sys;
	plx_log_set_sink(count_errors, NULL);
	errors = next_fn = 0;
	next_ioas = 5;
	bus = (struct plx_pci_bus){ .iommufd = -1, .container_fd = -1 };
	TAILQ_INIT(&bus.fns);
	for (i = 0; i < 2; i++) {
		fns[i] =
			(struct pci_fn){ .broker = "/run/pollux.sock", .opts = PLX_VFIO_OPTS_INIT };
		strcpy(fns[i].pci.name, names[i]);
		TAILQ_INSERT_TAIL(&bus.fns, &fns[i], link);
	}
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
}

static int teardown(void **state)
{
	(void)state;
	plx_pci_broker_release(&fns[0]);
	plx_pci_broker_release(&fns[1]);
	plx_pci_broker_cleanup(&bus);
	close(ends[0]);
	close(ends[1]);
	plx_sys = &plx_sys_kernel;
	plx_log_set_sink(NULL, NULL);
	return 0;
}

/* What the broker will have answered by the time that it is asked, with nfds descriptors. */
static void answer(const void *reply, size_t len, unsigned nfds)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr head;
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)reply, .iov_len = len };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[4] = { ends[1], ends[1], ends[1], ends[1] };

	if (nfds) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, nfds * sizeof(int));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(ends[1], &msg, 0), (ssize_t)len);
}

static void answer_mode(enum plx_vfio_mode mode)
{
	struct pci_broker_reply reply = {
		.version = PCI_BROKER_VERSION,
		.mode = mode,
		.ioas_id = next_ioas++,
	};

	strcpy(reply.name, fns[next_fn++].pci.name);
	answer(&reply, sizeof(reply), 2);
}

static void what_is_asked(void **state)
{
	struct pci_broker_request request;

	(void)state;
	fns[0].opts.modes = 1u << PLX_VFIO_TYPE1V2 | 1u << PLX_VFIO_NOIOMMU;
	answer_mode(PLX_VFIO_TYPE1V2);
	assert_int_equal(plx_pci_broker_ask(&bus, &fns[0]), 0);
	assert_int_equal(recv(ends[1], &request, sizeof(request), 0), sizeof(request));
	assert_int_equal(request.version, PCI_BROKER_VERSION);
	assert_int_equal(request.modes, 1u << PLX_VFIO_TYPE1V2);
	assert_string_equal(request.name, "0000:01:00.0");
	/* Asked once. */
	assert_int_equal(plx_pci_broker_ask(&bus, &fns[0]), 0);
	assert_int_equal(recv(ends[1], &request, sizeof(request), MSG_DONTWAIT), -1);
}

/* Memory is mapped once for functions that share a file: lib/vfio knows it by its descriptor. */
static void files_are_shared(void **state)
{
	unsigned before = open_files();

	(void)state;
	answer_mode(PLX_VFIO_CDEV);
	answer_mode(PLX_VFIO_CDEV);
	assert_int_equal(plx_pci_broker_ask(&bus, &fns[0]), 0);
	assert_int_equal(plx_pci_broker_ask(&bus, &fns[1]), 0);
	assert_true(fns[0].opts.cdev_fd >= 0 && fns[1].opts.cdev_fd >= 0);
	assert_int_not_equal(fns[0].opts.cdev_fd, fns[1].opts.cdev_fd);
	assert_int_equal(fns[0].opts.iommufd, fns[1].opts.iommufd);
	/* And an IOAS by its number there: the second one's file was given back. */
	assert_int_equal(fns[0].opts.ioas_id, 5);
	assert_int_equal(fns[1].opts.ioas_id, 5);
	assert_int_equal(open_files(), before + 3);
	assert_true(fcntl(fns[0].opts.cdev_fd, F_GETFD) & FD_CLOEXEC);
	plx_pci_broker_release(&fns[0]);
	plx_pci_broker_release(&fns[1]);
	assert_int_equal(fns[0].opts.iommufd, -1);
	assert_int_equal(open_files(), before + 1);
	plx_pci_broker_cleanup(&bus);
	assert_int_equal(open_files(), before);
}

static void group_modes(void **state)
{
	(void)state;
	answer_mode(PLX_VFIO_TYPE1);
	answer_mode(PLX_VFIO_COMPAT);
	assert_int_equal(plx_pci_broker_ask(&bus, &fns[0]), 0);
	assert_int_equal(plx_pci_broker_ask(&bus, &fns[1]), 0);
	assert_true(fns[0].opts.group_fd >= 0 && fns[0].opts.container_fd >= 0);
	assert_int_equal(fns[0].opts.iommufd, -1);
	assert_true(fns[1].opts.group_fd >= 0 && fns[1].opts.iommufd >= 0);
	assert_int_equal(fns[1].opts.container_fd, -1);
	assert_int_equal(fns[0].opts.ioas_id, 0);
	assert_int_equal(fns[1].opts.ioas_id, 0);
}

static void refusal(void **state)
{
	struct pci_broker_reply reply = { .version = PCI_BROKER_VERSION, .err = -EACCES };

	(void)state;
	/* A text without an end is cut off. */
	memset(reply.text, 'x', sizeof(reply.text));
	answer(&reply, sizeof(reply), 0);
	assert_int_equal(plx_pci_broker_ask(&bus, &fns[0]), -EACCES);
	assert_int_equal(errors, 1);
	assert_int_equal(fns[0].opts.cdev_fd, -1);
}

static void no_sense(void **state)
{
#define VERSION PCI_BROKER_VERSION
#define LEN	sizeof(struct pci_broker_reply)
	static const struct {
		uint32_t version;
		int32_t err;
		uint32_t mode;
		unsigned nfds;
		size_t len;
		unsigned of; /* which function it is about */
	} cases[] = {
		{ 1, 0, PLX_VFIO_CDEV, 2, LEN, 0 },
		{ VERSION, 0, PLX_VFIO_CDEV, 0, LEN, 0 },
		{ VERSION, 0, PLX_VFIO_CDEV, 1, LEN, 0 },
		{ VERSION, 0, PLX_VFIO_CDEV, 3, LEN, 0 },
		{ VERSION, 0, PLX_VFIO_CDEV, 2, LEN - 1, 0 },
		{ VERSION, 0, PLX_VFIO_NOIOMMU, 2, LEN, 0 },
		{ VERSION, 0, PLX_VFIO_MODES, 2, LEN, 0 },
		{ VERSION, 1, PLX_VFIO_CDEV, 0, LEN, 0 },
		{ VERSION, INT32_MIN, PLX_VFIO_CDEV, 0, LEN, 0 },
		{ VERSION, -EACCES, PLX_VFIO_CDEV, 2, LEN, 0 },
		{ VERSION, 0, PLX_VFIO_CDEV, 2, LEN, 1 },
	};
	unsigned i, before = open_files();

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pci_broker_reply reply = {
			.version = cases[i].version,
			.err = cases[i].err,
			.mode = cases[i].mode,
		};

		strcpy(reply.name, fns[cases[i].of].pci.name);
		errors = 0;
		answer(&reply, cases[i].len, cases[i].nfds);
		if (plx_pci_broker_ask(&bus, &fns[0]) != -EPROTO || errors != 1 ||
		    open_files() != before)
			fail_msg("case %u: %u errors, %u files more", i, errors,
				 open_files() - before);
	}
	close(ends[1]);
	ends[1] = dup(ends[0]);
	errors = 0;
	assert_true(plx_pci_broker_ask(&bus, &fns[0]) < 0);
	assert_int_equal(errors, 1);
	assert_int_equal(open_files(), before);
}

static int parse(const char *word, struct pci_options *options)
{
	char program[] = "prog", option[] = "-a", value[200],
	     *argv[] = { program, option, value, NULL };
	int argc = 3;

	strcpy(value, word);
	plx_pci_options_init(options);
	return plx_pci_options_parse(options, &argc, argv);
}

static void names(void **state)
{
	static const char *const wrong[] = {
		"broker:/run/x",      "broker:,01:00.0",	   "broker:/run/x,",
		"broker:/run/x,eth0", "broker:/run/x,user:/run/y", "broker:"
	};
	struct pci_options options;
	const struct pci_named *named;
	unsigned i;

	(void)state;
	assert_int_equal(parse("broker:/run/x,01:00.0,mode=cdev,key=1", &options), 0);
	named = TAILQ_FIRST(&options.allow);
	assert_string_equal(named->broker, "/run/x");
	assert_string_equal(named->name, "0000:01:00.0");
	assert_string_equal(named->args, "key=1");
	assert_int_equal(named->modes, 1u << PLX_VFIO_CDEV);
	plx_pci_options_free(&options);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errors = 0;
		assert_int_equal(parse(wrong[i], &options), -EINVAL);
		assert_int_equal(errors, 1);
		plx_pci_options_free(&options);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_asked), TEST(files_are_shared), TEST(group_modes),
		TEST(refusal),	     TEST(no_sense),	     TEST(names),
	};

	return cmocka_run_group_tests_name("pci_broker", tests, NULL, NULL);
}
