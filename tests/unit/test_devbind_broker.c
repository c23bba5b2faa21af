/* SPDX-License-Identifier: BSD-3-Clause */
/* The broker's end of its protocol: who gets what, and who gets nothing. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker.h"
#include "devbind_machine.h"
#include "serve.h"
#include "sys.h"

static int ends[2]; /* the client's, the broker's */
static struct device device = { .bdf = NIC0 };
static struct device *devices[] = { &device };
static struct selection selection = { .dev = devices, .count = 1 };
static struct broker broker;

static int setup(void **state)
{
	int ret = machine_setup(state);

	machine_give_to_vfio(NIC0, "vfio0");
	machine_give_to_vfio(NIC1, "vfio1");
	machine_node("/dev/vfio/vfio");
	machine_node("/dev/iommu");
	broker = (struct broker){ .devices = &selection, .uid = { getuid() }, .nuids = 1 };
	return ret ? ret : socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
}

static int teardown(void **state)
{
	close(ends[0]);
	close(ends[1]);
	return machine_teardown(state);
}

/* What came back, if something did; the descriptors are counted and closed. */
static bool take_reply(struct pci_broker_reply *reply, unsigned *nfds)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr head;
	} control;
	struct iovec part = { .iov_base = reply, .iov_len = sizeof(*reply) };
	struct msghdr msg = { .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	const struct cmsghdr *cmsg;
	int fds[4];
	unsigned i;

	if (recvmsg(ends[0], &msg, MSG_DONTWAIT) != sizeof(*reply))
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	*nfds = cmsg ? (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
	if (*nfds)
		memcpy(fds, CMSG_DATA(cmsg), *nfds * sizeof(int));
	for (i = 0; i < *nfds; i++)
		close(fds[i]);
	return true;
}

/* One request and what comes back. */
static int ask(const void *request, size_t len, struct pci_broker_reply *reply, unsigned *nfds)
{
	assert_int_equal(send(ends[0], request, len, 0), (ssize_t)len);
	broker_answer(&broker, ends[1]);
	assert_true(take_reply(reply, nfds));
	/* It keeps nothing. */
	assert_int_equal(pci_sysfs_left(), 0);
	return reply->err;
}

static struct pci_broker_request request_for(const char *bdf, unsigned modes)
{
	struct pci_broker_request request = { .version = PCI_BROKER_VERSION, .modes = modes };

	strcpy(request.name, bdf);
	return request;
}

static void assert_given(unsigned modes, enum plx_vfio_mode mode)
{
	struct pci_broker_request request = request_for(NIC0, modes);
	struct pci_broker_reply reply;
	unsigned nfds;

	assert_int_equal(ask(&request, sizeof(request), &reply, &nfds), 0);
	assert_int_equal(reply.version, PCI_BROKER_VERSION);
	assert_int_equal(reply.mode, mode);
	assert_int_equal(reply.ioas_id, mode == PLX_VFIO_CDEV ? MACHINE_IOAS : 0);
	assert_string_equal(reply.name, NIC0);
	assert_int_equal(nfds, 2);
}

static void given(void **state)
{
	(void)state;
	assert_given(PLX_VFIO_ALL_MODES, PLX_VFIO_CDEV);
	assert_given(1u << PLX_VFIO_TYPE1V2, PLX_VFIO_TYPE1V2);
	assert_given(1u << PLX_VFIO_COMPAT, PLX_VFIO_COMPAT);
}

static void assert_refused(const void *request, size_t len, int err, const char *text)
{
	struct pci_broker_reply reply;
	unsigned nfds;

	assert_int_equal(ask(request, len, &reply, &nfds), err);
	assert_int_equal(nfds, 0);
	if (!strstr(reply.text, text))
		fail_msg("'%s' is not in '%s'", text, reply.text);
}

static void not_on_the_list(void **state)
{
	struct pci_broker_request request = request_for(NIC0, PLX_VFIO_ALL_MODES);

	(void)state;
	broker.uid[0] = getuid() + 1;
	assert_refused(&request, sizeof(request), -EACCES, "is not on the broker's list");
	/* The request was taken all the same: one left unread would hide the answer. */
	assert_int_equal(recv(ends[1], &request, sizeof(request), MSG_DONTWAIT), 0);
}

/* One that hasn't asked yet isn't waited for; it has the answer when its request breaks. */
static void not_on_the_list_and_silent(void **state)
{
	struct pci_broker_request request = request_for(NIC0, PLX_VFIO_ALL_MODES);
	struct pci_broker_reply reply;

	(void)state;
	broker.nuids = 0;
	broker_answer(&broker, ends[1]);
	assert_int_equal(send(ends[0], &request, sizeof(request), MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(recv(ends[0], &reply, sizeof(reply), MSG_DONTWAIT), sizeof(reply));
	assert_int_equal(reply.err, -EACCES);
}

/* A group is all of its devices that are VFIO's. */
static void group(void **state)
{
	struct pci_broker_request request = request_for(NIC1, 1u << PLX_VFIO_TYPE1V2);
	struct device members[] = { { .bdf = NIC1 }, { .bdf = NIC2 } };
	struct device *both[] = { &members[0], &members[1] };
	struct selection some = { .dev = both, .count = 1 };
	struct pci_broker_reply reply;
	unsigned nfds;

	(void)state;
	machine_give_to_vfio(NIC2, "vfio2");
	broker.devices = &some;
	assert_refused(&request, sizeof(request), -EACCES, "would open " NIC2 " too");
	request.modes = 1u << PLX_VFIO_COMPAT;
	assert_refused(&request, sizeof(request), -EACCES, "would open " NIC2 " too");
	request.modes = PLX_VFIO_ALL_MODES;
	assert_int_equal(ask(&request, sizeof(request), &reply, &nfds), 0);
	assert_int_equal(reply.mode, PLX_VFIO_CDEV);
	some.count = 2;
	request.modes = 1u << PLX_VFIO_TYPE1V2;
	assert_int_equal(ask(&request, sizeof(request), &reply, &nfds), 0);
	assert_int_equal(nfds, 2);
}

static void not_handed_out(void **state)
{
	struct pci_broker_request request = request_for(NIC1, PLX_VFIO_ALL_MODES);

	(void)state;
	assert_refused(&request, sizeof(request), -EACCES, "does not hand out " NIC1);
	request = request_for("../../../etc", PLX_VFIO_ALL_MODES);
	assert_refused(&request, sizeof(request), -EINVAL, "names no PCI function");
	/* What it is called ends on root's terminal. */
	request = request_for("\033]0;pwned\a", PLX_VFIO_ALL_MODES);
	assert_refused(&request, sizeof(request), -EINVAL, "names no PCI function");
	assert_false(machine_has_said("\033"));
}

static void no_sense(void **state)
{
	struct pci_broker_request request = request_for(NIC0, PLX_VFIO_ALL_MODES);
	char longer[sizeof(request) + 1] = { 0 };

	(void)state;
	assert_refused(&request, sizeof(request) - 1, -EPROTO, "makes no sense");
	memcpy(longer, &request, sizeof(request));
	assert_refused(longer, sizeof(longer), -EPROTO, "makes no sense");
	request.version = 7;
	assert_refused(&request, sizeof(request), -EPROTO, "makes no sense");
	request.version = PCI_BROKER_VERSION;
	memset(request.name, 'x', sizeof(request.name));
	assert_refused(&request, sizeof(request), -EPROTO, "makes no sense");
}

static void no_mode(void **state)
{
	struct pci_broker_request request = request_for(NIC0, 1u << PLX_VFIO_NOIOMMU);
	struct pci_broker_reply reply;
	unsigned nfds;

	(void)state;
	assert_true(ask(&request, sizeof(request), &reply, &nfds) < 0);
	assert_int_equal(nfds, 0);
	request.modes = 0;
	assert_true(ask(&request, sizeof(request), &reply, &nfds) < 0);
	assert_string_equal(reply.text, "no access mode will do");
	pci_sysfs_remove("/dev/iommu");
	request.modes = 1u << PLX_VFIO_CDEV;
	assert_refused(&request, sizeof(request), -ENOENT, "cdev: /dev/iommu does not exist");
}

/* The kernel has no IOAS left: the cdev isn't given without one. */
static void no_ioas(void **state)
{
	struct pci_broker_request request = request_for(NIC0, PLX_VFIO_ALL_MODES);

	(void)state;
	machine_no_ioas(true);
	assert_refused(&request, sizeof(request), -ENOMEM, "iommufd gives no address space");
	assert_given(1u << PLX_VFIO_TYPE1V2, PLX_VFIO_TYPE1V2);
}

/* One that has gone before it was answered, or says nothing, harms nobody. */
static void client_gone(void **state)
{
	struct pci_broker_request request = request_for(NIC0, PLX_VFIO_ALL_MODES);

	(void)state;
	assert_int_equal(send(ends[0], &request, sizeof(request), 0), sizeof(request));
	close(ends[0]);
	broker_answer(&broker, ends[1]);
	assert_true(machine_said("gone before it was answered"));
	assert_int_equal(pci_sysfs_left(), 0);
	ends[0] = dup(ends[1]);
}

/*
 * The broker as it serves, and a process that connects to it and ends it.
 */
#define IDLE	  64
#define PATIENCE  10 /* seconds, if something is wrong */
#define WAIT_LONG 1000

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/* Once the broker is there; -1: it never is. */
static int client_connect(void)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	unsigned tries;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", pci_sysfs_real(BROKER_SOCKET));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (tries = 0; tries < WAIT_LONG; tries++) {
		if (!connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		nap();
	}
	return -1;
}

/* What a request is answered with; one that came too late for the broker is made again. */
static bool client_is_served(void)
{
	struct pci_broker_request request = request_for(NIC0, PLX_VFIO_ALL_MODES);
	struct pci_broker_reply reply = { .err = -ETIMEDOUT };
	unsigned tries;

	for (tries = 0; tries < WAIT_LONG && reply.err == -ETIMEDOUT; tries++) {
		int fd = client_connect();
		bool told = send(fd, &request, sizeof(request), MSG_NOSIGNAL) == sizeof(request) &&
			    recv(fd, &reply, sizeof(reply), 0) == sizeof(reply);

		close(fd);
		if (!told)
			return false;
	}
	return !reply.err;
}

/* Each is told, and let go. */
static bool idle_are_let_go(void)
{
	struct pci_broker_reply reply;
	bool good = true;
	int fd[IDLE];
	unsigned i;

	for (i = 0; i < IDLE; i++)
		fd[i] = client_connect();
	for (i = 0; i < IDLE; i++)
		good = good && recv(fd[i], &reply, sizeof(reply), 0) == sizeof(reply) &&
		       reply.err == -ETIMEDOUT && !recv(fd[i], &reply, sizeof(reply), 0);
	return client_is_served() && good;
}

/* The broker, until the client has done its part. */
static void serve_client(bool (*client)(void))
{
	char uid[16];
	int status;
	pid_t pid;

	snprintf(uid, sizeof(uid), "%u", getuid());
	pci_sysfs_file("/run/x", "");
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		bool good = client();

		kill(getppid(), SIGTERM);
		_exit(!good);
	}
	machine_report(EXIT_DONE, "broker", uid, NIC0, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(pci_sysfs_exists(BROKER_SOCKET));
}

static void idle_connections(void **state)
{
	(void)state;
	serve_client(idle_are_let_go);
	assert_true(machine_said("refused: no request came"));
	assert_true(machine_said(NIC0 " given, cdev"));
}

static unsigned naps;

static void count_nap(void)
{
	naps++;
}

/* Out of descriptors: it waits until there are some, and loses nobody. */
static void no_descriptors(void **state)
{
	(void)state;
	naps = 0;
	machine_meanwhile(count_nap);
	pci_sysfs_fail_at("accept", NULL, 1, EMFILE);
	serve_client(client_is_served);
	assert_true(machine_said("a connection can't be accepted: Too many open files"));
	assert_int_equal(naps, 1);
	pci_sysfs_fail_at("accept", NULL, 1, ECONNABORTED);
	serve_client(client_is_served);
	assert_false(machine_has_said("can't be accepted"));
}

static void cannot_wait(void **state)
{
	(void)state;
	pci_sysfs_file("/run/x", "");
	pci_sysfs_fail_at("ppoll", NULL, 1, ENOMEM);
	machine_report(EXIT_FAILED, "broker", "1234", NIC0, NVME0, NULL);
	assert_true(machine_said("the broker can't wait for requests: Cannot allocate memory"));
	assert_false(pci_sysfs_exists(BROKER_SOCKET));
	/* What can be seen to meanwhile. */
	assert_true(machine_said(NVME0 " is not VFIO's: nobody gets it until"));
	assert_false(machine_has_said(NIC0 " is not VFIO's"));
}

/*
 * Whichever call fails: both descriptors, or a reason, or nobody to hear it. Over all calls each of
 * the reasons is given.
 */
static void assert_answers(unsigned modes, const char *const reasons[4])
{
	struct pci_broker_request request = request_for(NIC0, modes);
	unsigned nth, i, calls, nfds, given = 0, refused = 0, seen = 0;
	struct pci_broker_reply reply;

	pci_sysfs_fail(0, 0);
	assert_int_equal(ask(&request, sizeof(request), &reply, &nfds), 0);
	calls = pci_sysfs_calls();
	for (nth = 1; nth <= calls; nth++) {
		/* Who is turned away isn't listened to any more. */
		close(ends[0]);
		close(ends[1]);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
		assert_int_equal(send(ends[0], &request, sizeof(request), 0), sizeof(request));
		pci_sysfs_fail(nth, EMFILE);
		broker_answer(&broker, ends[1]);
		pci_sysfs_fail(0, 0);
		assert_int_equal(pci_sysfs_left(), 0);
		if (!take_reply(&reply, &nfds)) {
			assert_true(machine_said("has gone before it was answered"));
			continue;
		}
		assert_int_equal(reply.version, PCI_BROKER_VERSION);
		assert_int_equal(nfds, reply.err ? 0 : 2);
		if (!reply.err) {
			given++;
			assert_string_equal(reply.name, NIC0);
			assert_int_equal(reply.ioas_id, reply.mode ? 0 : MACHINE_IOAS);
			continue;
		}
		refused++;
		assert_true(reply.err < 0);
		assert_true(reply.text[0]);
		for (i = 0; i < 4; i++)
			if (reasons[i] && strstr(reply.text, reasons[i]))
				seen |= 1u << i;
	}
	print_message("# %u calls: %u given, %u refused\n", calls, given, refused);
	assert_true(given && refused > 5 && given + refused + 1 == calls);
	for (i = 0; i < 4; i++)
		if (reasons[i] && !(seen & 1u << i))
			fail_msg("never said: %s", reasons[i]);
}

static void every_call_failing(void **state)
{
	static const char *const cdev[4] = {
		"who is asking can't be told: Too many open files",
		"no request came",
		"the device has gone",
		"/dev/iommu: Too many open files",
	};
	static const char *const group[4] = {
		"who is in its group can't be told: Too many open files",
		"/dev/vfio/10: Too many open files",
	};

	(void)state;
	assert_answers(PLX_VFIO_ALL_MODES, cdev);
	assert_answers(1u << PLX_VFIO_TYPE1V2, group);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(given),
		TEST(not_on_the_list),
		TEST(not_on_the_list_and_silent),
		TEST(group),
		TEST(not_handed_out),
		TEST(no_sense),
		TEST(no_mode),
		TEST(no_ioas),
		TEST(client_gone),
		TEST(idle_connections),
		TEST(no_descriptors),
		TEST(cannot_wait),
		TEST(every_call_failing),
	};

	return cmocka_run_group_tests_name("devbind_broker", tests, NULL, NULL);
}
