/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that a process serves: claims, regions, interrupts, and losing it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail_nth.h"
#include "user_rig.h"

#define BAR0   VFIO_PCI_BAR0_REGION_INDEX
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define MSIX   VFIO_PCI_MSIX_IRQ_INDEX

/* The claim fails with one line that has the words in it. */
static void refused(const char *name, int err, const char *words)
{
	fake_log_clear();
	assert_int_equal(plx_vfio_open(ioas, name, &opts, &dev, NULL), err);
	if (fake_log_count(PLX_LOG_ERR) != 1 || !fake_logged(PLX_LOG_ERR, words)) {
		fake_log_print();
		fail_msg("not one line with '%s'", words);
	}
}

static uint64_t signalled(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void a_claim(void **state)
{
	enum plx_vfio_mode mode;
	struct plx_policy policy;
	const struct plx_vfio_candidate candidate = { FAKE_USER, &opts };

	(void)state;
	assert_int_equal(plx_vfio_foresee(FAKE_USER, &opts, &mode, NULL), 0);
	assert_int_equal(mode, PLX_VFIO_USER);
	assert_int_equal(plx_vfio_policy(&candidate, 1, &policy), 0);
	assert_int_equal(policy.addr, PLX_ADDR_VA);
	assert_int_equal(fake_user.clients, 0);
	claim();
	assert_int_equal(plx_vfio_dev_mode(dev), PLX_VFIO_USER);
	assert_string_equal(plx_vfio_name(dev), FAKE_USER);
	assert_int_equal(plx_vfio_num_regions(dev), 9);
	assert_int_equal(plx_vfio_num_irqs(dev), 5);
	assert_int_equal(fake_log_count(PLX_LOG_ERR) + fake_log_count(PLX_LOG_WARN), 0);
	assert_true(fake_logged(PLX_LOG_NOTICE, FAKE_USER ": user (vfio-user 0.1), IOVA = VA"));
	plx_vfio_close(dev);
	/* It may be claimed again. */
	claim();
	assert_int_equal(fake_user.clients, 2);
}

static void names(void **state)
{
	char longest[200] = "user:";

	(void)state;
	refused("user:", -EINVAL, "neither a PCI address");
	refused("user", -EINVAL, "neither a PCI address");
	memset(longest + 5, 'x', 107);
	refused(longest, -ENOENT, "xxx does not exist: start the process");
	longest[5 + 107] = 'x';
	refused(longest, -ENAMETOOLONG, "at most 107 bytes");
	refused("user:/nowhere", -ENOENT, "/nowhere does not exist");
	fake_user.connect_err = ECONNREFUSED;
	refused(FAKE_USER, -ECONNREFUSED, "nobody serves " FAKE_USER_PATH);
	fake_user.type = S_IFREG;
	refused(FAKE_USER, -ENOTSOCK, FAKE_USER_PATH " is no socket");
	fake_user.connect_err = EACCES;
	refused(FAKE_USER, -EACCES, "(owner 1234:0, mode 0600): be the user that serves it");
	fake_user.connect_err = EMFILE;
	refused(FAKE_USER, -EMFILE, "(ulimit -n)");
	fake_user.connect_err = EAGAIN;
	refused(FAKE_USER, -EAGAIN, "too many others");
}

/* A process that was started at the same time, and one that takes too long. */
static void late_servers(void **state)
{
	static const int errs[] = { ENOENT, ECONNREFUSED };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		fake_user.connect_err = errs[i];
		fake_user.late = 5;
		fake.slept_ms = 0;
		claim();
		assert_int_equal(fake.slept_ms, 500);
		plx_vfio_close(dev);
		dev = NULL;
		fake_user.connect_err = errs[i];
		fake_user.late = 6;
		refused(FAKE_USER, -errs[i], FAKE_USER_PATH);
	}
}

static void foresight(void **state)
{
	struct plx_refusals why;
	enum plx_vfio_mode mode;

	(void)state;
	assert_int_equal(plx_vfio_foresee("user:/nowhere", &opts, &mode, &why), -ENOENT);
	assert_int_equal(why.mode[PLX_VFIO_USER].code, PLX_REFUSED_NODE);
	assert_int_equal(why.mode[PLX_VFIO_CDEV].code, PLX_REFUSED_NOT_ASKED);
	fake_user.closed = true;
	assert_int_equal(plx_vfio_foresee(FAKE_USER, &opts, &mode, &why), -EACCES);
	assert_int_equal(why.mode[PLX_VFIO_USER].code, PLX_REFUSED_PERMISSION);
}

static void modes_exclude_each_other(void **state)
{
	(void)state;
	opts.modes = PLX_VFIO_ALL_MODES & ~(1u << PLX_VFIO_USER);
	refused(FAKE_USER, -EINVAL, "it has the access mode 'user' alone");
	opts.modes = 1u << PLX_VFIO_USER;
	refused("0000:01:00.0", -EINVAL, "of its access modes none was asked for");
	claim();
}

static void no_pci_device(void **state)
{
	(void)state;
	fake_user.flags = VFIO_DEVICE_FLAGS_RESET;
	refused(FAKE_USER, -ENODEV, "no PCI device");
}

static void versions(void **state)
{
	static const char *const bad[] = {
		"nonsense",
		"[]",
		"{\"capabilities\":7}",
		"{\"capabilities\":{\"max_msg_fds\":-1}}",
		"{\"capabilities\":{\"max_data_xfer_size\":0}}",
		"{\"capabilities\":{\"max_dma_maps\":\"many\"}}",
		"{\"capabilities\":{\"pgsizes\":0}}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_user.json = bad[i];
		refused(FAKE_USER, -EINVAL, "make no sense");
	}
	fake_user.json = NULL;
	fake_user.major = 1;
	refused(FAKE_USER, -ENOTSUP, "make no sense");
	fake_user.major = 0;
	fake_user.minor = 2;
	refused(FAKE_USER, -ENOTSUP, "make no sense");
	fake_user.minor = 0;
	claim();
	assert_true(fake_logged(PLX_LOG_NOTICE, "vfio-user 0.0"));
}

static void regions(void **state)
{
	struct plx_vfio_region region;
	size_t len;
	void *va;

	(void)state;
	claim();
	assert_int_equal(plx_vfio_region(dev, BAR0, &region), 0);
	assert_int_equal(region.size, 0x20000);
	assert_int_equal(region.nareas, 2);
	assert_int_equal(region.area[1].offset, 0x4000);
	assert_int_equal(region.area[1].size, 0x2000);
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), 0);
	assert_int_equal(len, 0x20000);
	/* The server sees what is written, and the client what the server writes. */
	*(volatile uint32_t *)((char *)va + 0x5000) = 0xfeed;
	assert_int_equal(*(uint32_t *)(fake_user.mem[0] + 0x5000), 0xfeed);
	*(uint32_t *)(fake_user.mem[0] + 0x2ffc) = 0xbeef;
	assert_int_equal(*(volatile uint32_t *)((char *)va + 0x2ffc), 0xbeef);
	assert_int_equal(plx_vfio_region(dev, BAR3, &region), 0);
	assert_int_equal(region.nareas, 0);
	assert_int_equal(plx_vfio_mmap(dev, BAR3, &va, &len), -ENODEV);
	assert_int_equal(plx_vfio_region(dev, 1, &region), 0);
	assert_int_equal(region.size, 0);
	assert_int_equal(plx_vfio_region(dev, 9, &region), -EINVAL);
	/* Each is asked about once, or twice if there is more to be said than fits. */
	fake_user.requests[VFU_GET_REGION_INFO] = 0;
	assert_int_equal(plx_vfio_region(dev, BAR0, &region), 0);
	assert_int_equal(fake_user.requests[VFU_GET_REGION_INFO], 0);
}

/*
 * Files that don't hold what is said of them aren't mapped: touching what lacks would be a crash.
 */
static void files_of_regions(void **state)
{
	struct plx_vfio_region region;
	size_t len;
	void *va;

	(void)state;
	fake_user.region[3].mappable = true;
	fake_user.region[3].file_at = 0x2000;
	claim();
	assert_int_equal(plx_vfio_mmap(dev, BAR3, &va, &len), 0);
	*(volatile uint32_t *)va = 77;
	assert_int_equal(*(uint32_t *)(fake_user.mem[3] + 0x2000), 77);
	plx_vfio_close(dev);

	assert_int_equal(ftruncate(fake_user.file[0], 0x5fff), 0);
	assert_int_equal(ftruncate(fake_user.file[3], 0x2000), 0);
	claim();
	assert_int_equal(plx_vfio_region(dev, BAR0, &region), 0);
	assert_int_equal(region.nareas, 2);
	assert_int_equal(region.area[1].size, 0x1000);
	assert_int_equal(plx_vfio_mmap(dev, BAR3, &va, &len), -ENODEV);
	plx_vfio_close(dev);

	fake_user.region[0].no_fd = true;
	fake_user.region[3].file_at = 0x800;
	claim();
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), -ENODEV);
	assert_int_equal(plx_vfio_mmap(dev, BAR3, &va, &len), -ENODEV);
}

/*
 * A file becomes shorter while it is mapped: what is gone reads as ones, page by page, and takes
 * writes; the device is lost, for its memory can't be believed any more. The next one is fine.
 */
static void a_file_made_shorter(void **state)
{
	struct plx_vfio_region region;
	volatile uint8_t *bar, *last;
	struct pollfd event;
	struct stat st;
	size_t len;
	void *va;

	(void)state;
	claim();
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), 0);
	assert_int_equal(plx_vfio_region(dev, BAR0, &region), 0);
	bar = (uint8_t *)va + region.area[0].offset;
	last = (uint8_t *)va + region.area[region.nareas - 1].offset +
	       region.area[region.nareas - 1].size - 1;
	event = (struct pollfd){ .fd = plx_vfio_event_fd(dev), .events = POLLIN };
	assert_int_equal(poll(&event, 1, 0), 0);
	assert_int_equal(fstat(fake_user.file[0], &st), 0);
	assert_int_equal(ftruncate(fake_user.file[0], 0), 0);
	fake_log_clear();
	assert_int_equal(*last, 0xff);
	*last = 5;
	assert_int_equal(bar[0], 0xff);
	assert_int_equal(poll(&event, 1, 0), 1);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	assert_true(fake_logged(PLX_LOG_ERR, FAKE_USER ": its memory could not be reached when it "
						       "was touched: the device is lost"));
	plx_vfio_close(dev);
	dev = NULL;
	assert_int_equal(ftruncate(fake_user.file[0], st.st_size), 0);
	claim();
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), 0);
	assert_int_equal(*bar, 0);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
}

static void accesses(void **state)
{
	static uint8_t out[0x4000], in[0x4000];
	unsigned i;

	(void)state;
	claim();
	for (i = 0; i < sizeof(out); i++)
		out[i] = i * 7 + (i >> 8);
	assert_int_equal(plx_vfio_write(dev, BAR3, 0, out, sizeof(out)), 0);
	assert_memory_equal(fake_user.mem[3], out, sizeof(out));
	assert_int_equal(fake_user.requests[VFU_REGION_WRITE], 4);
	assert_int_equal(plx_vfio_read(dev, BAR3, 3, in, 4099), 0);
	assert_memory_equal(in, out + 3, 4099);
	assert_int_equal(fake_user.requests[VFU_REGION_READ], 2);
	assert_int_equal(fake_user.longest, 4096);
	/* Outside nobody is asked; inside the process has the say. */
	assert_int_equal(plx_vfio_read(dev, BAR3, 0x3ffd, in, 4), -EINVAL);
	assert_int_equal(plx_vfio_read(dev, BAR3, UINT64_MAX, in, 4), -EINVAL);
	assert_int_equal(fake_user.requests[VFU_REGION_READ], 2);
	fake_user.region[3].size = 0x1000;
	assert_int_equal(plx_vfio_read(dev, BAR3, 0x1000, in, 4), -EINVAL);
	assert_int_equal(plx_vfio_write(dev, BAR3, 0x1000, in, 4), -EINVAL);
	assert_int_equal(plx_vfio_read(dev, BAR3, 0xffc, in, 4), 0);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
}

static void interrupts(void **state)
{
	struct plx_vfio_irq irq;
	int fds[20], i;

	(void)state;
	claim();
	assert_int_equal(plx_vfio_irq(dev, MSIX, &irq), 0);
	assert_int_equal(irq.count, 20);
	assert_true(irq.eventfd);
	assert_int_equal(plx_vfio_irq(dev, VFIO_PCI_REQ_IRQ_INDEX, &irq), 0);
	assert_int_equal(irq.count, 0);
	for (i = 0; i < 20; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 20, fds), 0);
	/* Eight descriptors a message, after the set was turned off. */
	assert_int_equal(fake_user.requests[VFU_SET_IRQS], 4);
	for (i = 0; i < 20; i++) {
		assert_int_equal(eventfd_write(fake_user.irq[MSIX][i], 1), 0);
		assert_int_equal(signalled(fds[i]), 1);
	}
	fds[3] = -fds[3];
	assert_int_equal(
		plx_vfio_irq_set(dev, MSIX, 0, 5, (int[]){ fds[1], fds[0], -1, -1, fds[2] }), 0);
	assert_int_equal(fake_user.irq[MSIX][2], -1);
	assert_int_equal(fake_user.irq[MSIX][3], -1);
	assert_int_equal(plx_vfio_irq_fire(dev, MSIX, 0), 0);
	assert_int_equal(signalled(fds[1]), 1);
	assert_int_equal(plx_vfio_irq_fire(dev, MSIX, 4), 0);
	assert_int_equal(signalled(fds[2]), 1);
	assert_int_equal(plx_vfio_irq_fire(dev, MSIX, 5), 0);
	assert_int_equal(signalled(fds[5]), 1);
	assert_int_equal(plx_vfio_irq_off(dev, MSIX), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(fake_user.irq[MSIX][i], -1);
	fds[3] = -fds[3];
	for (i = 0; i < 20; i++)
		close(fds[i]);
}

static void no_descriptors_for_interrupts(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	(void)state;
	fake_user.json = "{\"capabilities\":{\"max_msg_fds\":0}}";
	claim();
	assert_int_equal(plx_vfio_irq_set(dev, MSIX, 0, 1, &fd), -EOPNOTSUPP);
	close(fd);
}

static void resets_and_features(void **state)
{
	uint8_t data[16];

	(void)state;
	claim();
	assert_int_equal(plx_vfio_reset(dev), 0);
	assert_int_equal(fake_user.nresets, 1);
	assert_int_equal(plx_vfio_hot_reset(dev), -EOPNOTSUPP);
	assert_int_equal(plx_vfio_feature_probe(dev, 5, VFIO_DEVICE_FEATURE_GET), 0);
	assert_int_equal(plx_vfio_feature(dev, 5, VFIO_DEVICE_FEATURE_GET, data, 16), -EOPNOTSUPP);
}

static bool feature_5(const struct vfu_msg *msg)
{
	struct vfio_device_feature head;
	uint8_t out[sizeof(head) + 16];

	if (msg->header.cmd != VFU_FEATURE)
		return false;
	memcpy(&head, msg->body, sizeof(head));
	memset(out, 0x5a, sizeof(out));
	memcpy(out, &head, sizeof(head));
	fake_user_reply(msg, out,
			head.flags & VFIO_DEVICE_FEATURE_PROBE ? sizeof(head) : sizeof(out), NULL,
			0);
	return true;
}

static void a_feature(void **state)
{
	uint8_t data[16] = { 0 }, want[16];

	(void)state;
	memset(want, 0x5a, sizeof(want));
	fake_user.script = feature_5;
	claim();
	assert_int_equal(plx_vfio_feature_probe(dev, 5, VFIO_DEVICE_FEATURE_GET), 1);
	assert_int_equal(plx_vfio_feature(dev, 5, VFIO_DEVICE_FEATURE_GET, data, 16), 0);
	assert_memory_equal(data, want, sizeof(want));
}

/*
 * Losing it.
 */
static void a_process_that_ends(void **state)
{
	uint32_t value = 0;
	size_t len;
	void *va;

	(void)state;
	claim();
	assert_int_equal(rig_map(ioas, VA, HUGE), 0);
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), 0);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	fake_user_hang_up();
	assert_true(readable(plx_vfio_event_fd(dev)));
	fake_log_clear();
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), -EIO);
	assert_int_equal(plx_vfio_write(dev, BAR3, 0, &value, 4), -EIO);
	assert_int_equal(plx_vfio_reset(dev), -EIO);
	/* The rest of the process goes on. */
	assert_int_equal(rig_map(ioas, VA + GIB, HUGE), 0);
	assert_int_equal(rig_unmap(ioas, VA, HUGE), 0);
	*(volatile uint32_t *)((char *)va + 0x2000) = 1;
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	assert_true(fake_logged(PLX_LOG_ERR, FAKE_USER ": the process that serves it closed"));
	plx_vfio_close(dev);
	dev = NULL;
	claim();
	assert_int_equal(fake_user.nmaps, 1);
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), 0);
}

/*
 * Every call fails once.
 */
/* A server that offers a feature, and asks for memory before it answers. */
static bool life_script(const struct vfu_msg *msg)
{
	struct vfu_access access = { 0 };

	if (msg->header.cmd == VFU_REGION_READ)
		memcpy(&access, msg->body, sizeof(access));
	return feature_5(msg) || (access.region == BAR3 && asks_first(msg));
}

static void fetch_answers(void)
{
	struct vfu_header header;

	while (fake_user_receive(&header, &dma.access, sizeof(dma) - sizeof(dma.header)))
		;
}

static int use_device(struct plx_vfio_dev *d)
{
	uint8_t data[16] = { 0 };
	uint32_t value = 0;
	int fd, ret;
	size_t len;
	void *va;

	fd = plx_sys->eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return rig_report("eventfd", -errno);
	ret = rig_report("mmap", plx_vfio_mmap(d, BAR0, &va, &len));
	if (!ret)
		ret = rig_report("write", plx_vfio_write(d, BAR3, 0, &value, sizeof(value)));
	if (!ret)
		ret = rig_report("read", plx_vfio_read(d, BAR3, 0, &value, sizeof(value)));
	fetch_answers();
	if (!ret)
		ret = rig_report("read", plx_vfio_read(d, CONFIG, 0, &value, sizeof(value)));
	if (!ret)
		ret = rig_report("irqs", plx_vfio_irq_set(d, MSIX, 0, 1, &fd));
	if (!ret)
		ret = rig_report("feature",
				 plx_vfio_feature(d, 5, VFIO_DEVICE_FEATURE_GET, data, 16));
	if (!ret)
		ret = rig_report("reset", plx_vfio_reset(d));
	if (!ret && plx_vfio_event(d) != PLX_VFIO_EVENT_NONE)
		ret = rig_report("event", -EIO);
	plx_sys->close(fd);
	return ret;
}

/* Memory with a file and without, before and after the claim. */
static int life(void *arg)
{
	const struct plx_dma_mem mem = { .va = pages, .len = 2 * PAGE, .fd = -1 };
	struct plx_policy policy = { .addr = PLX_ADDR_VA, .reason = "so" };
	struct plx_vfio_dev *d = NULL;
	struct plx_ioas *space = NULL;
	struct plx_dma ring = { 0 };
	int ret;

	(void)arg;
	ret = plx_ioas_create(&policy, &space);
	if (!ret)
		ret = plx_dma_alloc(space, 4096, 4096, -1, &ring);
	if (!ret)
		ret = plx_vfio_open(space, FAKE_USER, &opts, &d, NULL);
	if (!ret)
		ret = plx_ioas_map(space, &mem, NULL);
	if (!ret)
		ret = use_device(d);
	if (!ret)
		ret = plx_ioas_unmap(space, pages, 2 * PAGE);
	if (ring.va)
		plx_dma_free(space, &ring);
	plx_vfio_close(d);
	assert_int_equal(plx_ioas_destroy(space), 0);
	fake_user_hang_up();
	return ret;
}

/* Where another errno is the right one. */
static const struct fail_nth_other others[] = {
	/* Whatever befalls the socket, the connection is lost. */
	{ "sendmsg", 0, NULL, 0, EIO },
	{ "recvmsg", 0, NULL, 0, EIO },
	{ "poll", 0, NULL, 0, EIO },
	/* A file that isn't known to be long enough isn't mapped. */
	{ "stat", 0, NULL, 0, ENODEV },
	{ NULL, 0, NULL, 0, 0 },
};

static void every_call_fails(void **state)
{
	struct fail_nth_result result;

	(void)state;
	/* What the test itself holds isn't left behind by a life. */
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	ioas = NULL;
	fake_user.script = life_script;
	fail_nth_expect(others);
	result = fail_nth("user", life, NULL, fake_leaks, rig_logged);
	fail_nth_expect(NULL);
	fprintf(stderr, "# %u points swept in the lives of devices of processes\n", result.runs);
	assert_true(result.calls > 50);
	assert_true(result.survived < result.runs / 2);
	ioas = rig_ioas(PLX_ADDR_VA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_claim),
		CASE(names),
		CASE(late_servers),
		CASE(foresight),
		CASE(modes_exclude_each_other),
		CASE(no_pci_device),
		CASE(versions),
		CASE(regions),
		CASE(files_of_regions),
		CASE(a_file_made_shorter),
		CASE(accesses),
		CASE(interrupts),
		CASE(no_descriptors_for_interrupts),
		CASE(resets_and_features),
		CASE(a_feature),
		CASE(a_process_that_ends),
		CASE(every_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
