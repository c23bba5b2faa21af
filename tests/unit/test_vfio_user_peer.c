/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers that are none: to each command, everything that a broken or hostile process could send.
 * The client says so in one line, fails every later call at once and leaves nothing behind, and the
 * device can be claimed again.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fake_user.h"

#define BAR3 VFIO_PCI_BAR3_REGION_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

static struct plx_vfio_opts opts;
static struct plx_ioas *ioas;
static struct plx_vfio_dev *dev;

enum fault {
	WRONG_ID,
	WRONG_COMMAND,
	NO_TYPE,	 /* neither command nor reply */
	BELOW_HEADER,	 /* a size that has no room for a header */
	OVERSIZED,	 /* a size that nobody may send */
	TOO_SHORT,	 /* less than the command's answer */
	TOO_LONG,	 /* more */
	DESCRIPTORS,	 /* where none or one may come */
	ALL_DESCRIPTORS, /* more than any message may have */
	HALF,		 /* and no more of it */
	SILENCE,
	HANG_UP,
	FAULTS,
};

static const char *const words[FAULTS] = {
	[WRONG_ID] = "was answered with",
	[WRONG_COMMAND] = "was answered with",
	[NO_TYPE] = "what is no message",
	[BELOW_HEADER] = "what is no message",
	[OVERSIZED] = "too long",
	[TOO_SHORT] = " bytes instead of ",
	[TOO_LONG] = " bytes instead of ",
	[DESCRIPTORS] = "descriptors",
	[ALL_DESCRIPTORS] = "too many descriptors",
	[HALF] = "no answer to ",
	[SILENCE] = "no answer to ",
	[HANG_UP] = "closed the connection",
};

static enum fault fault;
static unsigned faulty_cmd;

/* The bytes of a good answer's body. */
static size_t body_len(unsigned cmd)
{
	switch (cmd) {
	case VFU_VERSION: return sizeof(struct vfu_version);
	case VFU_DMA_UNMAP: return sizeof(struct vfu_dma_unmap);
	case VFU_GET_INFO: return sizeof(struct vfu_info);
	case VFU_GET_REGION_INFO: return sizeof(struct vfio_region_info);
	case VFU_GET_IRQ_INFO: return sizeof(struct vfio_irq_info);
	case VFU_REGION_READ: return sizeof(struct vfu_access) + 4;
	case VFU_REGION_WRITE: return sizeof(struct vfu_access);
	default: return 0;
	}
}

static bool misbehave(const struct vfu_msg *msg)
{
	static uint8_t out[2 * VFU_MAX_JSON];
	struct vfu_header header = msg->header;
	int fds[40], i;

	if (header.cmd != faulty_cmd)
		return false;
	memset(out, 0, sizeof(out));
	header.flags = VFU_F_REPLY;
	header.size = sizeof(header) + body_len(header.cmd);
	for (i = 0; i < 40; i++)
		fds[i] = fake_user.file[0];
	switch (fault) {
	case WRONG_ID: header.id++; break;
	case WRONG_COMMAND: header.cmd++; break;
	case NO_TYPE: header.flags = 2; break;
	case BELOW_HEADER: header.size = 15; break;
	case OVERSIZED: header.size = VFU_MAX_MSG + 1; break;
	case TOO_SHORT: header.size--; break;
	case TOO_LONG: header.size = 2 * VFU_MAX_JSON; break;
	case HANG_UP: fake_user_hang_up(); return true;
	case SILENCE: return true;
	default: break;
	}
	memcpy(out, &header, sizeof(header));
	if (fault == HALF)
		fake_user_send(out, sizeof(header) / 2, NULL, 0);
	else
		fake_user_send(out,
			       fault == OVERSIZED ? sizeof(header)
			       : header.size < 16 ? 16
						  : header.size,
			       fds,
			       fault == DESCRIPTORS	  ? 2
			       : fault == ALL_DESCRIPTORS ? 40
							  : 0);
	return true;
}

/* Makes the client send the command. */
static int provoke(unsigned cmd)
{
	struct plx_vfio_region region;
	struct plx_vfio_irq irq;
	uint32_t value = 0;
	int fd, ret;

	switch (cmd) {
	case VFU_VERSION:
	case VFU_GET_INFO: return plx_vfio_open(ioas, FAKE_USER, &opts, &dev, NULL);
	case VFU_DMA_MAP: return rig_map(ioas, VA + GIB, HUGE);
	case VFU_DMA_UNMAP: return rig_unmap(ioas, VA, HUGE);
	case VFU_GET_REGION_INFO: return plx_vfio_region(dev, 0, &region);
	case VFU_GET_IRQ_INFO: return plx_vfio_irq(dev, 1, &irq);
	case VFU_REGION_READ: return plx_vfio_read(dev, BAR3, 0, &value, 4);
	case VFU_REGION_WRITE: return plx_vfio_write(dev, BAR3, 0, &value, 4);
	case VFU_RESET: return plx_vfio_reset(dev);
	default:
		fd = eventfd(0, EFD_CLOEXEC);
		ret = plx_vfio_irq_set(dev, MSIX, 0, 1, &fd);
		close(fd);
		return ret;
	}
}

/* What is known beforehand isn't asked when the fault is to come. */
static void claim(void)
{
	struct plx_vfio_region region;
	struct plx_vfio_irq irq;

	assert_int_equal(plx_vfio_open(ioas, FAKE_USER, &opts, &dev, NULL), 0);
	assert_int_equal(plx_vfio_region(dev, BAR3, &region), 0);
	assert_int_equal(plx_vfio_irq(dev, MSIX, &irq), 0);
}

static void check_lost(unsigned cmd)
{
	struct pollfd pfd = { .fd = plx_vfio_event_fd(dev), .events = POLLIN };
	unsigned i, requests = 0, before = 0;
	uint32_t value;

	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	for (i = 0; i < VFU_CMDS; i++)
		before += fake_user.requests[i];
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), -EIO);
	assert_int_equal(plx_vfio_reset(dev), -EIO);
	assert_int_equal(rig_map(ioas, VA + 2 * GIB, HUGE), 0);
	for (i = 0; i < VFU_CMDS; i++)
		requests += fake_user.requests[i];
	assert_int_equal(requests, before);
	(void)cmd;
}

static void meet(unsigned cmd)
{
	bool claiming = cmd == VFU_VERSION || cmd == VFU_GET_INFO;
	int ret;

	fake_user_start();
	opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	ioas = rig_ioas(PLX_ADDR_VA);
	assert_int_equal(rig_map(ioas, VA, HUGE), 0);
	dev = NULL;
	if (!claiming)
		claim();
	fake_log_clear();
	faulty_cmd = cmd;
	fake_user.script = misbehave;
	ret = provoke(cmd);
	/* Memory is no matter for a device that is lost. */
	if (cmd == VFU_DMA_MAP || cmd == VFU_DMA_UNMAP)
		assert_int_equal(ret, 0);
	else
		assert_true(ret < 0);
	if (fake_log_count(PLX_LOG_ERR) != 1 || !fake_logged(PLX_LOG_ERR, words[fault]) ||
	    !fake_logged(PLX_LOG_ERR, FAKE_USER)) {
		fake_log_print();
		fail_msg("%s, fault %d: not one line with '%s'", plx_vfu_cmd_name(cmd), fault,
			 words[fault]);
	}
	if (claiming)
		assert_null(dev);
	else
		check_lost(cmd);
	plx_vfio_close(dev);
	fake_user.script = NULL;
	claim();
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	fake_user_stop();
}

static void each_fault(unsigned cmd)
{
	for (fault = 0; fault < FAULTS; fault++) {
		/* Nothing is less than an empty body, and a version's may be long. */
		if (fault == TOO_SHORT && !body_len(cmd))
			continue;
		if (cmd == VFU_VERSION && fault == TOO_SHORT)
			continue;
		meet(cmd);
	}
}

#define ANSWERS_TO(cmd)                            \
	static void answers_to_##cmd(void **state) \
	{                                          \
		(void)state;                       \
		each_fault(VFU_##cmd);             \
	}

ANSWERS_TO(VERSION)
ANSWERS_TO(GET_INFO)
ANSWERS_TO(DMA_MAP)
ANSWERS_TO(DMA_UNMAP)
ANSWERS_TO(GET_REGION_INFO)
ANSWERS_TO(GET_IRQ_INFO)
ANSWERS_TO(SET_IRQS)
ANSWERS_TO(REGION_READ)
ANSWERS_TO(REGION_WRITE)
ANSWERS_TO(RESET)

/*
 * Well-formed and nonsense.
 */
static struct vfio_region_info nonsense;
static struct vfu_access access_back;

static bool say_nonsense(const struct vfu_msg *msg)
{
	struct vfio_region_info info = nonsense;
	uint8_t out[sizeof(access_back) + 4] = { 0 };

	memcpy(out, &access_back, sizeof(access_back));
	if (msg->header.cmd == VFU_GET_REGION_INFO)
		fake_user_reply(msg, &info, sizeof(info), &fake_user.file[0], 1);
	else if (msg->header.cmd == VFU_REGION_READ)
		fake_user_reply(msg, out, sizeof(out), NULL, 0);
	else
		return false;
	return true;
}

static void nonsense_does_no_harm(void **state)
{
	static const struct vfio_region_info infos[] = {
		{ .argsz = 0, .size = 4096 },	       { .argsz = 31, .size = 4096 },
		{ .argsz = UINT32_MAX, .size = 4096 }, { .argsz = 32, .index = 1, .size = 4096 },
		{ .argsz = 100, .size = 4096 }, /* never comes to an end */
	};
	struct plx_vfio_region region;
	uint32_t value;
	size_t i;

	(void)state;
	fake_user_start();
	opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	ioas = rig_ioas(PLX_ADDR_VA);
	claim();
	fake_user.script = say_nonsense;
	for (i = 0; i < sizeof(infos) / sizeof(infos[0]); i++) {
		nonsense = infos[i];
		assert_true(plx_vfio_region(dev, 0, &region) < 0);
	}
	/* A region that can't be, with a file. */
	nonsense = (struct vfio_region_info){
		.argsz = 32, .size = UINT64_MAX, .offset = UINT64_MAX, .flags = 7
	};
	assert_int_equal(plx_vfio_region(dev, 0, &region), 0);
	assert_int_equal(region.nareas, 0);
	access_back = (struct vfu_access){ 4, BAR3, 4 };
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), -EIO);
	access_back = (struct vfu_access){ 0, 0, 4 };
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), -EIO);
	access_back = (struct vfu_access){ 0, BAR3, 2 };
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), -EIO);
	access_back = (struct vfu_access){ 0, BAR3, 4 };
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), 0);
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	fake_user_stop();
}

/* An answer when nobody asked. */
static void answers_to_nothing(void **state)
{
	const struct vfu_header header = {
		.id = 1, .cmd = VFU_RESET, .size = sizeof(header), .flags = VFU_F_REPLY
	};

	(void)state;
	fake_user_start();
	opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	ioas = rig_ioas(PLX_ADDR_VA);
	claim();
	fake_user_send(&header, sizeof(header), NULL, 0);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	assert_true(fake_logged(PLX_LOG_ERR, "answer to no request (RESET)"));
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	fake_user_stop();
}

static int64_t skew_s; /* how far the clock is ahead */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int ret = __real_clock_gettime(clock, now);

	now->tv_sec += skew_s;
	return ret;
}

static bool say_nothing(const struct vfu_msg *msg)
{
	return msg->header.cmd == VFU_REGION_READ;
}

/* Another request whenever the client looks, which takes a second. */
static void ask_again(void)
{
	const struct vfu_header header = { .cmd = VFU_RESET,
					   .size = sizeof(header),
					   .flags = VFU_F_NO_REPLY };

	fake_user_send(&header, sizeof(header), NULL, 0);
	assert_true(++skew_s < 100);
}

static void requests_instead_of_an_answer(void **state)
{
	uint32_t value;

	(void)state;
	fake_user_start();
	opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	ioas = rig_ioas(PLX_ADDR_VA);
	claim();
	fake_user.script = say_nothing;
	fake_user.before_receive = ask_again;
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), -EIO);
	assert_true(fake_logged(PLX_LOG_ERR, "no answer to REGION_READ within 5 s"));
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	fake_user_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_to_VERSION),
		cmocka_unit_test(answers_to_GET_INFO),
		cmocka_unit_test(answers_to_DMA_MAP),
		cmocka_unit_test(answers_to_DMA_UNMAP),
		cmocka_unit_test(answers_to_GET_REGION_INFO),
		cmocka_unit_test(answers_to_GET_IRQ_INFO),
		cmocka_unit_test(answers_to_SET_IRQS),
		cmocka_unit_test(answers_to_REGION_READ),
		cmocka_unit_test(answers_to_REGION_WRITE),
		cmocka_unit_test(answers_to_RESET),
		cmocka_unit_test(nonsense_does_no_harm),
		cmocka_unit_test(answers_to_nothing),
		cmocka_unit_test(requests_instead_of_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
