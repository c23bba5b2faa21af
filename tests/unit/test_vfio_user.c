/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that a process serves: claim, memory, regions, interrupts, events. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail_nth.h"
#include "fake_user.h"

#define BAR0   VFIO_PCI_BAR0_REGION_INDEX
#define BAR3   VFIO_PCI_BAR3_REGION_INDEX
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define MSIX   VFIO_PCI_MSIX_IRQ_INDEX

static struct plx_vfio_opts opts;
static struct plx_ioas *ioas;
static struct plx_vfio_dev *dev;

static int setup(void **state)
{
	(void)state;
	fake_user_start();
	opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	ioas = rig_ioas(PLX_ADDR_VA);
	dev = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	fake_user_stop();
	return 0;
}

static void claim(void)
{
	int ret = plx_vfio_open(ioas, FAKE_USER, &opts, &dev, NULL);

	if (ret)
		fake_log_print();
	assert_int_equal(ret, 0);
}

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

static bool readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
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
	refused(FAKE_USER, -EACCES, "(owner 1234:0, mode 0600)");
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

/* A file mapped whole, as EAL's memory is. */
static void *map_file(size_t len, uint64_t offset, unsigned access, int *fd)
{
	struct plx_dma_mem mem = { .len = len, .fd_offset = offset, .access = access };

	*fd = mem.fd = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(mem.fd, offset + len), 0);
	mem.va = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, mem.fd, offset);
	assert_true(mem.va != MAP_FAILED);
	assert_int_equal(plx_ioas_map(ioas, &mem, NULL), 0);
	return mem.va;
}

static const struct fake_user_map *map_at(const void *va)
{
	unsigned i;

	for (i = 0; i < fake_user.nmaps; i++)
		if (fake_user.map[i].map.addr == (uintptr_t)va)
			return &fake_user.map[i];
	return NULL;
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return !fstat(a, &sa) && !fstat(b, &sb) && sa.st_ino == sb.st_ino;
}

static void memory(void **state)
{
	const struct fake_user_map *m;
	int fd[2];
	void *va[2];

	(void)state;
	/* Mapped before the claim, and after. */
	va[0] = map_file(8 * PAGE, 2 * PAGE, PLX_DMA_READ, &fd[0]);
	claim();
	va[1] = map_file(4 * PAGE, 0, 0, &fd[1]);
	assert_int_equal(rig_map(ioas, VA, HUGE), 0);
	assert_int_equal(fake_user.nmaps, 3);
	m = map_at(va[0]);
	assert_non_null(m);
	assert_int_equal(m->map.size, 8 * PAGE);
	assert_int_equal(m->map.offset, 2 * PAGE);
	assert_int_equal(m->map.flags, VFU_MAP_READ);
	assert_true(same_file(m->fd, fd[0]));
	m = map_at(va[1]);
	assert_non_null(m);
	assert_int_equal(m->map.flags, VFU_MAP_READ | VFU_MAP_WRITE);
	assert_true(same_file(m->fd, fd[1]));
	m = map_at((void *)VA);
	assert_non_null(m);
	assert_int_equal(m->fd, -1);
	assert_int_equal(m->map.offset, 0);
	assert_int_equal(plx_ioas_unmap(ioas, va[0], 8 * PAGE), 0);
	assert_null(map_at(va[0]));
	assert_int_equal(fake_user.nmaps, 2);
	assert_int_equal(plx_ioas_unmap(ioas, va[1], 4 * PAGE), 0);
	munmap(va[0], 8 * PAGE);
	munmap(va[1], 4 * PAGE);
	close(fd[0]);
	close(fd[1]);
}

static void limits_of_memory(void **state)
{
	uint64_t i;
	void *va;
	int fd;

	(void)state;
	fake_user.json = "{\"capabilities\":{\"max_msg_fds\":0,\"pgsizes\":2097152,"
			 "\"max_dma_maps\":3}}";
	claim();
	/* Nothing can be sent along: it will ask for memory. */
	fake_log_clear();
	for (i = 0; i < 2; i++)
		assert_int_equal(rig_map(ioas, VA + i * GIB, HUGE), 0);
	fd = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, HUGE), 0);
	assert_int_equal(plx_ioas_map(ioas,
				      &(struct plx_dma_mem){
					      .va = (void *)(VA + 2 * GIB), .len = HUGE, .fd = fd },
				      NULL),
			 0);
	assert_int_equal(fake_user.map[2].fd, -1);
	assert_int_equal(rig_map(ioas, VA + 3 * GIB, HUGE), -ENOSPC);
	assert_true(fake_logged(PLX_LOG_ERR, "takes 3 DMA maps"));
	assert_int_equal(rig_unmap(ioas, VA, HUGE), 0);
	va = (void *)(VA + 3 * GIB);
	assert_int_equal(
		plx_ioas_map(ioas, &(struct plx_dma_mem){ .va = va, .len = PAGE, .fd = -1 }, NULL),
		-EINVAL);
	assert_true(fake_logged(PLX_LOG_ERR, "pages of 2048 KiB only"));
	assert_int_equal(rig_map(ioas, VA + 3 * GIB, HUGE), 0);
	close(fd);
}

static bool refuse_maps(const struct vfu_msg *msg)
{
	if (msg->header.cmd != VFU_DMA_MAP)
		return false;
	fake_user_refuse(msg, ENOMEM);
	return true;
}

/* The others in the address space aren't served either: all or nothing. */
static void a_map_that_is_refused(void **state)
{
	(void)state;
	claim();
	fake_user.script = refuse_maps;
	assert_int_equal(rig_map(ioas, VA, HUGE), -ENOMEM);
	assert_true(fake_logged(PLX_LOG_ERR, "refuses a DMA map of 2048 KiB"));
	assert_int_equal(rig_dma(ioas, VA), PLX_DMA_BAD);
	fake_user.script = NULL;
	assert_int_equal(rig_map(ioas, VA, HUGE), 0);
	assert_int_equal(rig_dma(ioas, VA), VA);
}

static unsigned unmaps_kept; /* how */

static bool keep_memory(const struct vfu_msg *msg)
{
	struct vfu_dma_unmap unmap;

	if (msg->header.cmd != VFU_DMA_UNMAP)
		return false;
	memcpy(&unmap, msg->body, sizeof(unmap));
	unmap.addr += unmaps_kept == 1 ? PAGE : 0;
	unmap.size -= unmaps_kept == 2 ? PAGE : 0;
	if (unmaps_kept)
		fake_user_reply(msg, &unmap, sizeof(unmap), NULL, 0);
	else
		fake_user_refuse(msg, EBUSY);
	return true;
}

/* It still has what it doesn't give back: the connection ends with it, and the rest goes on. */
static void memory_that_is_kept(void **state)
{
	(void)state;
	for (unmaps_kept = 0; unmaps_kept < 3; unmaps_kept++) {
		claim();
		assert_int_equal(rig_map(ioas, VA, HUGE), 0);
		fake_user.script = keep_memory;
		fake_log_clear();
		assert_int_equal(rig_unmap(ioas, VA, HUGE), 0);
		assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
		assert_true(fake_logged(PLX_LOG_ERR, "doesn't give memory back"));
		assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_GONE);
		fake_user.script = NULL;
		plx_vfio_close(dev);
		dev = NULL;
	}
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

/* Files that don't hold what is said of them aren't mapped: touching what lacks would be a crash.
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
 * Memory that the process asks for.
 */
static struct {
	struct vfu_header header;
	struct vfu_dma_access access;
	uint8_t data[VFU_MAX_XFER + 64];
} dma;

/* Sends a request; extra: bytes of data. */
static void ask(unsigned cmd, uint64_t addr, uint64_t count, size_t extra, uint32_t flags)
{
	dma.header = (struct vfu_header){
		.id = 4711,
		.cmd = cmd,
		.size = sizeof(dma.header) + sizeof(dma.access) + extra,
		.flags = flags,
	};
	dma.access = (struct vfu_dma_access){ addr, count };
	fake_user_send(&dma, dma.header.size, NULL, 0);
}

/* What the client answered: an errno. */
static int answer(void)
{
	struct vfu_header sent = dma.header, header;

	assert_true(fake_user_receive(&header, &dma.access, sizeof(dma) - sizeof(dma.header)));
	assert_int_equal(header.id, sent.id);
	assert_int_equal(header.cmd, sent.cmd);
	assert_int_equal(header.flags & VFU_F_TYPE, VFU_F_REPLY);
	if (header.flags & VFU_F_ERROR) {
		assert_int_equal(header.size, sizeof(header));
		return header.err;
	}
	assert_int_equal(header.size, sizeof(header) + sizeof(dma.access) +
					      (sent.cmd == VFU_DMA_READ ? dma.access.count : 0));
	return 0;
}

static uint8_t pages[4 * 4096] __attribute__((aligned(4096)));

static void map_pages(void)
{
	const struct plx_dma_mem low = { .va = pages, .len = 2 * PAGE, .fd = -1 };
	const struct plx_dma_mem high = {
		.va = pages + 2 * PAGE, .len = PAGE, .fd = -1, .access = PLX_DMA_READ
	};

	assert_int_equal(plx_ioas_map(ioas, &low, NULL), 0);
	assert_int_equal(plx_ioas_map(ioas, &high, NULL), 0);
}

static void memory_by_request(void **state)
{
	const uint64_t at = (uintptr_t)pages;
	unsigned i;

	(void)state;
	claim();
	map_pages();
	for (i = 0; i < sizeof(pages); i++)
		pages[i] = i * 3;
	/* Across two maps. */
	ask(VFU_DMA_READ, at + PAGE + 5, 2 * PAGE - 5, 0, 0);
	assert_true(readable(plx_vfio_event_fd(dev)));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(answer(), 0);
	assert_memory_equal(dma.data, pages + PAGE + 5, 2 * PAGE - 5);
	memset(dma.data, 0xee, 100);
	ask(VFU_DMA_WRITE, at + PAGE - 50, 100, 100, 0);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(answer(), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(pages[PAGE - 50 + i], 0xee);
	/* Without an answer wanted. */
	memset(dma.data, 0xdd, 4);
	ask(VFU_DMA_WRITE, at, 4, 4, VFU_F_NO_REPLY);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(pages[3], 0xdd);
	assert_false(fake_user_receive(&dma.header, &dma.access, 64));
}

static void memory_it_may_not_have(void **state)
{
	const uint64_t at = (uintptr_t)pages;
	const struct {
		unsigned cmd;
		uint64_t addr, count;
		size_t extra;
		int err;
	} cases[] = {
		{ VFU_DMA_READ, at - 1, 2, 0, EFAULT },
		{ VFU_DMA_READ, at + 3 * PAGE - 1, 2, 0, EFAULT },
		{ VFU_DMA_READ, 0, 1, 0, EFAULT },
		{ VFU_DMA_READ, UINT64_MAX, 2, 0, EFAULT },
		{ VFU_DMA_WRITE, at + 2 * PAGE - 1, 2, 2, EFAULT }, /* read-only */
		{ VFU_DMA_WRITE, at + 3 * PAGE, 1, 1, EFAULT },
		{ VFU_DMA_READ, at, VFU_MAX_XFER + 1, 0, EINVAL },
		{ VFU_DMA_READ, at, UINT64_MAX, 0, EINVAL },
		{ VFU_DMA_READ, at, 4, 4, EINVAL },
		{ VFU_DMA_WRITE, at, 4, 0, EINVAL },
		{ VFU_DMA_WRITE, at, 4, 5, EINVAL },
		{ VFU_DMA_WRITE, at, UINT64_MAX, 5, EINVAL },
		{ VFU_RESET, 0, 0, 0, ENOTSUP },
		{ 99, 0, 0, 0, ENOTSUP },
	};
	uint8_t before[sizeof(pages)];
	size_t i;

	(void)state;
	claim();
	map_pages();
	memcpy(before, pages, sizeof(pages));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(dma.data, 0x99, 16);
		ask(cases[i].cmd, cases[i].addr, cases[i].count, cases[i].extra, 0);
		assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
		assert_int_equal(answer(), cases[i].err);
	}
	/* A part that it may write was written: PCI's posted writes know no better. */
	before[2 * PAGE - 1] = pages[2 * PAGE - 1];
	assert_memory_equal(before, pages, sizeof(pages));
	/* Unmapped, it is out of reach. */
	assert_int_equal(plx_ioas_unmap(ioas, pages, 2 * PAGE), 0);
	ask(VFU_DMA_READ, at, 4, 0, 0);
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_int_equal(answer(), EFAULT);
}

static uint64_t one_place(uint64_t va)
{
	return GIB + va % HUGE;
}

/* Memory mapped twice, by physical address: the second is refused, and the first stays. */
static void memory_that_is_there_already(void **state)
{
	(void)state;
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	ioas = rig_ioas(PLX_ADDR_PA);
	fake.phys = one_place;
	claim();
	assert_int_equal(rig_map(ioas, VA, HUGE), 0);
	fake_log_clear();
	assert_int_equal(rig_map(ioas, VA + GIB, HUGE), -EEXIST);
	assert_true(fake_logged(PLX_LOG_ERR, "something is mapped there already"));
	assert_int_equal(fake_user.nmaps, 1);
	assert_int_equal(rig_unmap(ioas, VA, HUGE), 0);
	assert_int_equal(rig_map(ioas, VA + GIB, HUGE), 0);
}

/* Mapped, and taken back, in no order: each is found as long as it is there. */
static void memory_in_many_maps(void **state)
{
	enum { MANY = 61 };
	uint8_t *mem =
		mmap(NULL, MANY * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned i, j, at;

	(void)state;
	assert_true(mem != MAP_FAILED);
	fake_user.json = "{\"capabilities\":{\"max_dma_maps\":61}}";
	claim();
	for (i = 0; i < MANY; i++) {
		at = i * 17 % MANY;
		mem[at * PAGE] = at;
		assert_int_equal(plx_ioas_map(ioas,
					      &(struct plx_dma_mem){ .va = mem + at * PAGE,
								     .len = PAGE,
								     .fd = -1 },
					      NULL),
				 0);
	}
	for (i = 0; i < MANY; i++) {
		at = i * 23 % MANY;
		assert_int_equal(plx_ioas_unmap(ioas, mem + at * PAGE, PAGE), 0);
		for (j = 0; j < MANY; j++) {
			at = j * 23 % MANY;
			ask(VFU_DMA_READ, (uintptr_t)(mem + at * PAGE), 1, 0, 0);
			assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
			assert_int_equal(answer(), j > i ? 0 : EFAULT);
			assert_true(j <= i || dma.data[0] == at);
		}
	}
	munmap(mem, MANY * PAGE);
}

static int asked_while_waiting;

/* Asks twice before it answers, and once more behind the answer. */
static bool asks_first(const struct vfu_msg *msg)
{
	const struct vfu_access access = { 0, BAR3, 4 };
	uint8_t out[sizeof(access) + 4] = { 0 };

	if (msg->header.cmd != VFU_REGION_READ)
		return false;
	ask(VFU_DMA_READ, (uintptr_t)pages, 8, 0, 0);
	ask(VFU_DMA_READ, (uintptr_t)pages, 8, 0, 0);
	memcpy(out, &access, sizeof(access));
	fake_user_reply(msg, out, sizeof(out), NULL, 0);
	ask(VFU_DMA_READ, (uintptr_t)pages, 8, 0, 0);
	asked_while_waiting = 3;
	return true;
}

static void memory_while_waiting(void **state)
{
	uint32_t value;

	(void)state;
	claim();
	map_pages();
	fake_user.script = asks_first;
	assert_int_equal(plx_vfio_read(dev, BAR3, 0, &value, 4), 0);
	assert_int_equal(asked_while_waiting, 3);
	while (asked_while_waiting--)
		assert_int_equal(answer(), 0);
	/* Nothing waits unseen. */
	assert_false(readable(plx_vfio_event_fd(dev)));
}

/* Answers to calls wake nobody who waits for events, and requests do once they are to be expected.
 */
static void who_is_woken(void **state)
{
	struct vfu_header header = { .id = 1, .cmd = VFU_RESET, .size = sizeof(header) };

	(void)state;
	claim();
	fake_user_send(&header, sizeof(header), NULL, 0);
	assert_false(readable(plx_vfio_event_fd(dev)));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	fake_user_send(&header, sizeof(header), NULL, 0);
	assert_true(readable(plx_vfio_event_fd(dev)));
	assert_int_equal(plx_vfio_event(dev), PLX_VFIO_EVENT_NONE);
	assert_false(readable(plx_vfio_event_fd(dev)));
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

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
		CASE(memory),
		CASE(limits_of_memory),
		CASE(a_map_that_is_refused),
		CASE(memory_that_is_kept),
		CASE(regions),
		CASE(files_of_regions),
		CASE(a_file_made_shorter),
		CASE(accesses),
		CASE(interrupts),
		CASE(no_descriptors_for_interrupts),
		CASE(resets_and_features),
		CASE(a_feature),
		CASE(memory_by_request),
		CASE(memory_it_may_not_have),
		CASE(memory_that_is_there_already),
		CASE(memory_in_many_maps),
		CASE(memory_while_waiting),
		CASE(who_is_woken),
		CASE(a_process_that_ends),
		CASE(every_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
