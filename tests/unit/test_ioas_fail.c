/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every system call fails once, in what an address space can do beyond maps by address: files,
 * copies between IOASes, dirty tracking, peer to peer, all taken back at once; and with descriptors
 * that the caller opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail_nth.h"
#include "fake_abi.h"
#include "fake_kernel.h"
#include "fake_rig.h"

/* Where another errno is the right one. */
static const struct fail_nth_other others[] = {
	{ "stat", 0, "/sys/bus/pci/devices/", 0, ENODEV },
	{ "readlink", 0, "/iommu_group", 0, ENODEV },
	{ "open", 0, "/iommu_group/name", 0, ENODEV },
	{ "read", 0, NULL, EIO, ENODEV }, /* of that file */
	{ "open", 0, "/proc/self/status", 0, EPERM },
	{ "read", 0, NULL, EIO, EPERM }, /* of that file */
	{ "opendir", 0, "/vfio-dev", 0, ENODEV },
	{ "opendir", 0, "/vfio-dev", 0, ENOENT },
	{ "ioctl", FK_IOVA_RANGES, NULL, EMSGSIZE, EOVERFLOW },
	/* A page table that can't be had or attached is none that tracks. */
	{ "ioctl", FK_HWPT_ALLOC, NULL, 0, EOPNOTSUPP },
	{ "ioctl", FK_ATTACH_PT, NULL, 0, EOPNOTSUPP },
	{ "ioctl", VFIO_IOMMU_DIRTY_PAGES, NULL, EACCES, EOPNOTSUPP },
	{ "ioctl", VFIO_IOMMU_DIRTY_PAGES, NULL, ENOTTY, EOPNOTSUPP },
	/* Parts of a device: no such region, no dma-bufs, no commands for them. */
	{ "ioctl", VFIO_DEVICE_GET_REGION_INFO, NULL, EINVAL, EINVAL },
	{ "ioctl", VFIO_DEVICE_FEATURE, NULL, EINVAL, EOPNOTSUPP },
	{ "ioctl", VFIO_DEVICE_FEATURE, NULL, ENOTTY, EOPNOTSUPP },
	{ "ioctl", FK_MAP_FILE, NULL, ENOTTY, EOPNOTSUPP },
	{ NULL, 0, NULL, 0, 0 },
};

static struct rig rig;
static int file; /* 8 MiB of memory */

struct scene {
	const char *name;
	enum plx_vfio_mode mode;
	bool track_dirty;
	bool apart; /* the second device has a context of its own */
	/* What is done with the first device, and maybe the second, which the scene closes. */
	int (*play)(struct plx_ioas *ioas, struct plx_vfio_dev *dev);
};

/* The second device can't be attached to what the first one is attached to. */
static bool keep_apart(int fd, unsigned long request, void *arg, int *result)
{
	const struct fake_file *of = fake_file_of(fd);
	uint32_t pt;

	if (request != FK_ATTACH_PT || !of || of->dev != rig.dev[1])
		return false;
	pt = ((struct fk_attach_pt *)arg)->pt_id;
	*result = -EINVAL;
	return pt == rig.dev[0]->hwpt || (pt == rig.dev[0]->pt && !rig.dev[0]->hwpt);
}

static int map_at(struct plx_ioas *ioas, uint64_t at, uint64_t offset, unsigned access)
{
	const struct plx_dma_mem mem = {
		.va = (void *)(uintptr_t)(VA + at),
		.len = HUGE,
		.page_size = HUGE,
		.fd = file,
		.fd_offset = offset,
		.access = access,
	};

	return plx_ioas_map(ioas, &mem, NULL);
}

/* By the file the memory is found at its offset there, by address at the address. */
static bool reaches(const struct plx_ioas *ioas, unsigned which, uint64_t at, uint64_t offset)
{
	uint64_t dma = rig_dma(ioas, VA + at), there = fake_dev_reach(rig.dev[which], dma);

	if (dma == PLX_DMA_BAD || rig.dev[which]->noiommu)
		return dma != PLX_DMA_BAD;
	return there == VA + at || there == offset;
}

static int play_files(struct plx_ioas *ioas, struct plx_vfio_dev *dev)
{
	int ret = map_at(ioas, 0, 0, PLX_DMA_RW);

	(void)dev;
	if (!ret)
		assert_true(reaches(ioas, 0, 0, 0));
	if (!ret)
		ret = map_at(ioas, GIB, 2 * HUGE, PLX_DMA_READ);
	if (!ret)
		assert_true(reaches(ioas, 0, GIB, 2 * HUGE));
	assert_int_equal(rig_dma(ioas, VA + GIB) == PLX_DMA_BAD, !!ret);
	if (!ret) {
		ret = rig_unmap(ioas, VA, HUGE);
		/* Even on an error nobody finds it any more. */
		assert_int_equal(rig_dma(ioas, VA), PLX_DMA_BAD);
	}
	return ret;
}

/* Maps are copied to the second device's context, and outlive the first one's. */
static int play_copies(struct plx_ioas *ioas, struct plx_vfio_dev *dev)
{
	struct plx_vfio_dev *second = NULL;
	int ret = map_at(ioas, 0, 0, PLX_DMA_RW);

	(void)dev;
	if (!ret)
		ret = plx_vfio_open(ioas, BDF1, &rig.opts, &second, NULL);
	if (!ret)
		assert_ptr_not_equal(fake_dev_maps(rig.dev[0]), fake_dev_maps(rig.dev[1]));
	if (!ret) {
		ret = map_at(ioas, GIB, HUGE, PLX_DMA_RW);
		/* In both or in none, if anything can be undone. */
		if (!fail_nth_for_good())
			assert_int_equal(fake_dev_maps(rig.dev[0])->count +
						 fake_dev_maps(rig.dev[1])->count,
					 ret ? 2 : 4);
	}
	if (!ret)
		assert_true(reaches(ioas, 1, 0, 0) && reaches(ioas, 1, GIB, HUGE));
	if (!ret)
		ret = rig_unmap(ioas, VA, HUGE);
	plx_vfio_close(second);
	return ret;
}

static int play_dirty(struct plx_ioas *ioas, struct plx_vfio_dev *dev)
{
	uint64_t bits[PLX_DIRTY_WORDS(HUGE / PAGE)] = { 0 };
	struct plx_vfio_dev *second = NULL;
	int ret = map_at(ioas, 0, 0, PLX_DMA_RW);

	(void)dev;
	if (!ret)
		ret = rig_report("start", plx_ioas_dirty_start(ioas, NULL));
	if (!ret)
		ret = plx_vfio_open(ioas, BDF1, &rig.opts, &second, NULL);
	if (!ret) {
		fake_dev_wrote(rig.dev[0], rig_dma(ioas, VA), 1);
		fake_dev_wrote(rig.dev[1], rig_dma(ioas, VA) + PAGE, 1);
		ret = rig_report("read",
				 plx_ioas_dirty_read(ioas, (void *)(uintptr_t)VA, HUGE, bits));
	}
	/* Whatever failed, what a device wrote to is not taken for clean. */
	if (!ret)
		assert_true((bits[0] & 3) == 3);
	if (!ret)
		ret = rig_report("stop", plx_ioas_dirty_stop(ioas));
	plx_vfio_close(second);
	return ret;
}

static int play_peers(struct plx_ioas *ioas, struct plx_vfio_dev *dev)
{
	struct plx_vfio_dev *second = NULL;
	struct plx_dma peer, forgotten;
	int ret = plx_vfio_peer_map(dev, 0, PAGE, 2 * PAGE, &peer, NULL);

	if (ret)
		return rig_report("peer", ret);
	ret = rig_report("peer", plx_vfio_peer_map(dev, 0, 4 * PAGE, PAGE, &forgotten, NULL));
	if (!ret)
		ret = plx_vfio_open(ioas, BDF1, &rig.opts, &second, NULL);
	if (!ret)
		assert_true(fake_dev_reach(rig.dev[1], peer.dma) != UINT64_MAX &&
			    fake_dev_reach(rig.dev[1], forgotten.dma) != UINT64_MAX);
	if (!ret)
		ret = rig_report("peer", plx_vfio_peer_unmap(dev, &peer));
	plx_vfio_close(second);
	return ret;
}

static int play_unmap_all(struct plx_ioas *ioas, struct plx_vfio_dev *dev)
{
	struct plx_vfio_dev *second = NULL;
	int ret = map_at(ioas, 0, 0, PLX_DMA_RW);

	(void)dev;
	if (!ret)
		ret = map_at(ioas, GIB, HUGE, PLX_DMA_RW);
	if (!ret)
		ret = plx_vfio_open(ioas, BDF1, &rig.opts, &second, NULL);
	if (!ret) {
		ret = rig_report("unmap all", plx_ioas_unmap_all(ioas));
		assert_int_equal(rig_dma(ioas, VA), PLX_DMA_BAD);
		assert_int_equal(rig_dma(ioas, VA + GIB), PLX_DMA_BAD);
		/* One call that fails is made good by others. */
		if (!ret)
			assert_int_equal(fake_dev_maps(rig.dev[0])->count +
						 fake_dev_maps(rig.dev[1])->count,
					 0);
	}
	if (!ret)
		ret = map_at(ioas, 0, 0, PLX_DMA_RW);
	plx_vfio_close(second);
	return ret;
}

static int life(void *arg)
{
	const struct scene *s = arg;
	const struct plx_policy policy = { .addr = rig_policy(s->mode),
					   .reason = "so",
					   .track_dirty = s->track_dirty };
	struct plx_vfio_dev *dev = NULL;
	struct plx_ioas *ioas = NULL;
	int ret;

	ret = plx_ioas_create(&policy, &ioas);
	if (!ret)
		ret = plx_vfio_open(ioas, BDF0, &rig.opts, &dev, NULL);
	if (!ret) {
		fail_nth_from_here();
		ret = s->play(ioas, dev);
	}
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	assert_int_equal(rig.dev[0]->opens + rig.dev[1]->opens, 0);
	return ret;
}

static void boot(enum plx_vfio_mode mode)
{
	struct plx_ioas *unused;

	rig_start(&rig, mode, rig_policy(mode));
	unused = rig.ioas;
	rig.ioas = NULL;
	assert_int_equal(plx_ioas_destroy(unused), 0);
	file = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file, 4 * HUGE), 0);
}

static unsigned points;

static void sweep(const char *name, int (*scenario)(void *arg), void *arg)
{
	struct fail_nth_result result;

	fail_nth_expect(others);
	result = fail_nth(name, scenario, arg, fake_leaks, rig_logged);
	fail_nth_expect(NULL);
	points += result.runs;
	assert_true(result.runs > result.calls);
	fake_stop();
	close(file);
}

static void play(const struct scene *s)
{
	unsigned i;

	boot(s->mode);
	if (s->mode == PLX_VFIO_CDEV)
		fake.flavour = FAKE_C;
	for (i = 0; i < 2; i++) {
		rig.dev[i]->features |= UINT64_C(1) << FK_FEATURE_DMA_BUF;
		rig.dev[i]->tracks_dirty = rig.dev[i]->decodes = true;
	}
	rig.dev[1]->loner = s->apart;
	fake.hook = s->apart ? keep_apart : NULL;
	sweep(s->name, life, (void *)(uintptr_t)s);
}

static void files(void **state)
{
	(void)state;
	play(&(struct scene){ "files, cdev", PLX_VFIO_CDEV, false, false, play_files });
	play(&(struct scene){ "files, noiommu-cdev", PLX_VFIO_NOIOMMU_CDEV, false, false,
			      play_files });
}

static void copies(void **state)
{
	(void)state;
	play(&(struct scene){ "copies, cdev", PLX_VFIO_CDEV, false, true, play_copies });
	play(&(struct scene){ "two contexts, type1v2", PLX_VFIO_TYPE1V2, false, true,
			      play_copies });
}

static void dirty(void **state)
{
	(void)state;
	play(&(struct scene){ "dirty tracking, cdev", PLX_VFIO_CDEV, true, true, play_dirty });
	play(&(struct scene){ "dirty tracking, one page table", PLX_VFIO_CDEV, true, false,
			      play_dirty });
	play(&(struct scene){ "dirty tracking, type1v2", PLX_VFIO_TYPE1V2, true, true,
			      play_dirty });
}

static void peers(void **state)
{
	(void)state;
	play(&(struct scene){ "peer to peer, cdev", PLX_VFIO_CDEV, false, true, play_peers });
	play(&(struct scene){ "peer to peer, type1v2", PLX_VFIO_TYPE1V2, false, false,
			      play_peers });
}

static void unmap_all(void **state)
{
	(void)state;
	play(&(struct scene){ "unmap all, cdev", PLX_VFIO_CDEV, false, true, play_unmap_all });
	play(&(struct scene){ "unmap all, type1v2", PLX_VFIO_TYPE1V2, false, true,
			      play_unmap_all });
	play(&(struct scene){ "unmap all, compat", PLX_VFIO_COMPAT, false, false, play_unmap_all });
	play(&(struct scene){ "unmap all, noiommu-cdev", PLX_VFIO_NOIOMMU_CDEV, false, false,
			      play_unmap_all });
}

/*
 * The caller's descriptors. Its own calls don't fail.
 */
static int by_caller(const char *path)
{
	int fd = fake_sys.open(path, O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

static uint32_t ioas_of_caller(int iommufd)
{
	struct fk_ioas_alloc alloc = { .size = sizeof(alloc) };

	assert_int_equal(fake_sys.ioctl(iommufd, FK_IOAS_ALLOC, &alloc), 0);
	return alloc.out_ioas_id;
}

static void open_nodes(enum plx_vfio_mode mode, struct plx_vfio_opts *opts)
{
	switch (mode) {
	case PLX_VFIO_CDEV:
		opts->cdev_fd = by_caller("/dev/vfio/devices/vfio0");
		opts->iommufd = by_caller("/dev/iommu");
		opts->ioas_id = ioas_of_caller(opts->iommufd);
		break;
	case PLX_VFIO_COMPAT:
		opts->group_fd = by_caller("/dev/vfio/10");
		opts->iommufd = by_caller("/dev/iommu");
		break;
	default:
		opts->group_fd = by_caller("/dev/vfio/10");
		opts->container_fd = by_caller("/dev/vfio/vfio");
	}
}

/* The same as before the claim, unless what couldn't be undone was said. */
static void check_nodes(const struct plx_vfio_opts *opts)
{
	bool said = fake_log_count(PLX_LOG_ERR) + fake_log_count(PLX_LOG_WARN) > 0 ||
		    fail_nth_for_good();
	struct vfio_group_status status = { .argsz = sizeof(status) };

	if (opts->ioas_id && !said)
		assert_int_equal(
			fake_iommufd_ioas(fake_file_of(opts->iommufd), opts->ioas_id)->maps.count,
			0);
	if (opts->group_fd < 0)
		return;
	assert_int_equal(fake_sys.ioctl(opts->group_fd, VFIO_GROUP_GET_STATUS, &status), 0);
	if (!said)
		assert_int_equal(status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET, 0);
}

static void close_nodes(const struct plx_vfio_opts *opts)
{
	const int fds[] = { opts->cdev_fd, opts->iommufd, opts->group_fd, opts->container_fd };
	unsigned i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			assert_int_equal(fake_sys.close(fds[i]), 0);
}

static int given(void *arg)
{
	struct plx_policy policy = { .addr = PLX_ADDR_VA, .reason = "so" };
	struct plx_vfio_opts opts = rig.opts;
	struct plx_vfio_dev *dev = NULL;
	struct plx_ioas *ioas = NULL;
	int ret;

	open_nodes(*(enum plx_vfio_mode *)arg, &opts);
	ret = plx_ioas_create(&policy, &ioas);
	if (!ret)
		ret = map_at(ioas, 0, 0, PLX_DMA_RW);
	if (!ret)
		ret = plx_vfio_open(ioas, BDF0, &opts, &dev, NULL);
	if (!ret)
		ret = map_at(ioas, GIB, HUGE, PLX_DMA_READ);
	if (!ret)
		assert_true(reaches(ioas, 0, 0, 0) && reaches(ioas, 0, GIB, HUGE));
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	check_nodes(&opts);
	close_nodes(&opts);
	assert_int_equal(rig.dev[0]->opens, 0);
	return ret;
}

static void descriptors_of_the_callers(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2,
						    PLX_VFIO_COMPAT };
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		enum plx_vfio_mode mode = modes[i];
		char name[32];

		boot(mode);
		snprintf(name, sizeof(name), "given, %s", plx_vfio_mode_name(mode));
		sweep(name, given, &mode);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),     cmocka_unit_test(copies),
		cmocka_unit_test(dirty),     cmocka_unit_test(peers),
		cmocka_unit_test(unmap_all), cmocka_unit_test(descriptors_of_the_callers),
	};
	int ret = cmocka_run_group_tests_name("ioas-fail", tests, NULL, NULL);

	fprintf(stderr, "# %u points swept in address spaces\n", points);
	return ret;
}
