/* SPDX-License-Identifier: BSD-3-Clause */
/* Claiming by descriptors that the caller opened. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_kernel.h"
#include "fake_rig.h"

static void given_descriptors_are_used_and_stay_open(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	int fd, other;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	fd = plx_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	other = plx_sys->open("/dev/iommu", O_RDWR);
	fake_path_remove("/dev");
	rig.opts.cdev_fd = fd;
	rig.opts.iommufd = other;
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_dev_mode(dev), PLX_VFIO_CDEV);
	plx_vfio_close(dev);
	assert_int_equal(plx_sys->close(fd), 0);
	assert_int_equal(plx_sys->close(other), 0);

	fake_publish();
	fd = plx_sys->open("/dev/vfio/10", O_RDWR);
	other = plx_sys->open("/dev/vfio/vfio", O_RDWR);
	fake_path_remove("/dev");
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.group_fd = fd;
	rig.opts.container_fd = other;
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_dev_mode(dev), PLX_VFIO_TYPE1V2);
	plx_vfio_close(dev);
	assert_int_equal(plx_sys->close(fd), 0);
	assert_int_equal(plx_sys->close(other), 0);

	/* Of the iommufd as a container. */
	fake_publish();
	other = plx_sys->open("/dev/iommu", O_RDWR);
	fake_path_remove("/dev/iommu");
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.modes = 1u << PLX_VFIO_COMPAT;
	rig.opts.iommufd = other;
	dev = rig_open(&rig, BDF0);
	plx_vfio_close(dev);
	assert_int_equal(plx_sys->close(other), 0);
	rig_stop(&rig);
}

/* The caller keeps its descriptors open: the device is let go of all the same. */
static void given_descriptors_do_not_keep_the_memory(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	int group, cdev, round;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	group = plx_sys->open("/dev/vfio/10", O_RDWR);
	rig.opts.group_fd = group;
	for (round = 0; round < 2; round++) {
		dev = rig_open(&rig, BDF0);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
		plx_vfio_close(dev);
		assert_null(fake_dev_maps(rig.dev[0]));
		assert_int_equal(fake.pinned, 0);
	}
	plx_sys->close(group);
	cdev = plx_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.cdev_fd = cdev;
	dev = rig_open(&rig, BDF0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
	fake_log_clear();
	plx_vfio_close(dev);
	assert_null(fake_dev_maps(rig.dev[0]));
	assert_int_equal(fake.pinned, 0);
	assert_int_equal(fake_log_count(PLX_LOG_WARN), 0);
	/* It stays bound, as long as the caller's descriptor is open. */
	rig_refuses(&rig, -EINVAL, PLX_VFIO_CDEV, PLX_REFUSED_BUSY, "open the cdev again");
	plx_sys->close(cdev);
	cdev = plx_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	rig.opts.cdev_fd = cdev;
	plx_vfio_close(rig_open(&rig, BDF0));
	plx_sys->close(cdev);
	rig_stop(&rig);
}

/* The caller's IOAS serves all its devices, loses our maps when they have gone, and stays. */
static void a_given_ioas_is_used_and_stays(void **state)
{
	struct plx_vfio_dev *dev, *second;
	struct fake_file *file;
	int iommufd, round;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	iommufd = plx_sys->open("/dev/iommu", O_RDWR);
	file = fake_file_of(iommufd);
	rig.opts.iommufd = iommufd;
	assert_int_equal(plx_iommufd_make_ioas(iommufd, &rig.opts.ioas_id), 0);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	for (round = 0; round < 2; round++) {
		dev = rig_open(&rig, BDF0);
		second = rig_open(&rig, BDF1);
		assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
		assert_int_equal(rig.dev[0]->pt, rig.opts.ioas_id);
		assert_int_equal(rig.dev[1]->pt, rig.opts.ioas_id);
		plx_vfio_close(dev);
		assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, HUGE));
		plx_vfio_close(second);
		assert_int_equal(fake.pinned, 0);
		assert_non_null(fake_iommufd_ioas(file, rig.opts.ioas_id));
		assert_int_equal(fake_log_count(PLX_LOG_WARN), 0);
	}
	plx_sys->close(iommufd);

	/* One that isn't there. */
	iommufd = plx_sys->open("/dev/iommu", O_RDWR);
	rig.opts.iommufd = iommufd;
	rig.opts.ioas_id = 77;
	rig_refuses(&rig, -ENOENT, PLX_VFIO_CDEV, PLX_REFUSED_IOMMU, "attached to IOAS 77");
	/* Without the file that it is in, a number says nothing. */
	rig.opts.iommufd = -1;
	plx_vfio_close(rig_open(&rig, BDF0));
	plx_sys->close(iommufd);
	rig_stop(&rig);
}

/* The caller's IOAS is what was asked for: no other is taken in its place. */
static void a_given_ioas_is_not_replaced(void **state)
{
	struct plx_vfio_dev *first, *second;
	struct plx_refusals why;
	unsigned id, other;
	struct rig rig;
	int iommufd;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	iommufd = plx_sys->open("/dev/iommu", O_RDWR);
	rig.opts.iommufd = iommufd;
	/* Ours is there, and would suit. */
	first = rig_open(&rig, BDF0);
	assert_int_equal(plx_iommufd_make_ioas(iommufd, &id), 0);
	rig.opts.ioas_id = id;
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &second, &why), -EINVAL);
	assert_int_equal(why.mode[PLX_VFIO_CDEV].code, PLX_REFUSED_IOMMU);
	assert_int_equal(why.mode[PLX_VFIO_CDEV].wanted, id);
	assert_non_null(strstr(why.mode[PLX_VFIO_CDEV].object, "IOAS "));
	assert_non_null(strstr(why.mode[PLX_VFIO_CDEV].text, "hand in an IOAS"));
	assert_int_equal(rig.dev[1]->pt, 0);
	/* Each in its own, with all that is mapped. */
	second = rig_open(&rig, BDF1);
	assert_int_equal(rig.dev[1]->pt, id);
	assert_int_not_equal(rig.dev[0]->pt, id);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	assert_true(rig_reaches(rig.ioas, rig.dev[0], VA, HUGE));
	assert_true(rig_reaches(rig.ioas, rig.dev[1], VA, HUGE));
	plx_vfio_close(first);
	/* It is one of ours now, and the next one asks for another. */
	assert_int_equal(plx_iommufd_make_ioas(iommufd, &other), 0);
	rig.opts.ioas_id = other;
	first = rig_open(&rig, BDF0);
	assert_int_equal(rig.dev[0]->pt, other);
	plx_vfio_close(first);
	/* One that has a context, and doesn't take the device. */
	rig.opts.ioas_id = id;
	fake_ioctl_fail(FK_ATTACH_PT, EADDRINUSE, 0, 1);
	rig_refuses(&rig, -EADDRINUSE, PLX_VFIO_CDEV, PLX_REFUSED_IOMMU, "can't go");
	plx_vfio_close(second);
	plx_sys->close(iommufd);
	rig_stop(&rig);
}

/* Groups of the caller's have given it an IOMMU type: what is in the way is that, and said. */
static void a_given_container_that_has_a_type(void **state)
{
	int container, group;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	container = plx_sys->open("/dev/vfio/vfio", O_RDWR);
	group = plx_sys->open("/dev/vfio/11", O_RDWR);
	assert_int_equal(plx_sys->ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	rig.opts.container_fd = container;
	assert_int_equal(plx_sys->ioctl(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	rig_refuses(&rig, -EINVAL, PLX_VFIO_TYPE1V2, PLX_REFUSED_BUSY, "has an IOMMU type already");
	assert_true(fake_logged(PLX_LOG_ERR, "hand in a container that no group is in yet"));
	/* Without a type it will do. */
	assert_int_equal(plx_sys->ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	plx_vfio_close(rig_open(&rig, BDF0));
	/* What has nothing to do with types is said as ever. */
	fake_ioctl_fail(VFIO_SET_IOMMU, ENODEV, 0, 1);
	rig_refuses(&rig, -ENODEV, PLX_VFIO_TYPE1V2, PLX_REFUSED_IOMMU, "VFIO_IOMMU_TYPE1");
	plx_sys->close(group);
	plx_sys->close(container);
	rig_stop(&rig);
}

static void map_for_the_caller(int iommufd, unsigned ioas_id, uint64_t va)
{
	struct fk_ioas_map arg = {
		.size = sizeof(arg),
		.flags = FK_MAP_FIXED_IOVA | FK_MAP_READABLE | FK_MAP_WRITEABLE,
		.ioas_id = ioas_id,
		.user_va = va,
		.length = HUGE,
		.iova = va,
	};

	assert_int_equal(plx_sys->ioctl(iommufd, FK_IOAS_MAP, &arg), 0);
}

/*
 * What the caller mapped in its IOAS is the caller's: after a claim that failed, and after a use.
 */
static void maps_of_the_callers_stay(void **state)
{
	struct plx_vfio_dev *dev;
	struct fake_file *file;
	struct rig rig;
	int iommufd;

	(void)state;
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	iommufd = plx_sys->open("/dev/iommu", O_RDWR);
	file = fake_file_of(iommufd);
	rig.opts.iommufd = iommufd;
	assert_int_equal(plx_iommufd_make_ioas(iommufd, &rig.opts.ioas_id), 0);
	map_for_the_caller(iommufd, rig.opts.ioas_id, VA + GIB);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	rig_refuses(&rig, -EINVAL, PLX_VFIO_CDEV, PLX_REFUSED_IOMMU, "can't be attached");
	assert_int_equal(fake_iommufd_ioas(file, rig.opts.ioas_id)->maps.count, 1);
	/* Ours hits theirs, after one of ours that went in. */
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	assert_int_equal(rig_map(rig.ioas, VA + GIB, HUGE), 0);
	rig_refuses(&rig, -EEXIST, PLX_VFIO_CDEV, PLX_REFUSED_MEMORY, "mapped there already");
	assert_int_equal(fake_iommufd_ioas(file, rig.opts.ioas_id)->maps.count, 1);
	/* Only ours go with the last device. */
	assert_int_equal(rig_unmap(rig.ioas, VA + GIB, HUGE), 0);
	dev = rig_open(&rig, BDF0);
	assert_int_equal(fake_iommufd_ioas(file, rig.opts.ioas_id)->maps.count, 2);
	fake_log_clear();
	plx_vfio_close(dev);
	assert_int_equal(fake_iommufd_ioas(file, rig.opts.ioas_id)->maps.count, 1);
	assert_int_equal(fake_log_count(PLX_LOG_ERR) + fake_log_count(PLX_LOG_WARN), 0);
	plx_sys->close(iommufd);
	rig_stop(&rig);
}

/* A group of the caller's keeps its container in use: our maps go all the same. */
static void maps_of_ours_go_from_a_container_of_the_callers(void **state)
{
	struct plx_vfio_dev *dev;
	int container, group;
	struct rig rig;

	(void)state;
	rig_start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	container = plx_sys->open("/dev/vfio/vfio", O_RDWR);
	group = plx_sys->open("/dev/vfio/11", O_RDWR);
	rig.opts.container_fd = container;
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_sys->ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
	assert_int_equal(fake.pinned, HUGE);
	fake_log_clear();
	plx_vfio_close(dev);
	assert_int_equal(fake.pinned, 0);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
	plx_sys->close(group);
	plx_sys->close(container);
	rig_stop(&rig);
}

/* Without sysfs there is only what the descriptors themselves say. */
static void given_descriptors_do_without_sysfs(void **state)
{
	struct plx_vfio_dev *dev;
	struct rig rig;
	int group, container, cdev, iommufd;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	group = plx_sys->open("/dev/vfio/10", O_RDWR);
	container = plx_sys->open("/dev/vfio/vfio", O_RDWR);
	iommufd = plx_sys->open("/dev/iommu", O_RDWR);
	cdev = plx_sys->open("/dev/vfio/devices/vfio0", O_RDWR);
	fake_path_remove("/sys/bus");
	fake_path_remove("/dev");
	rig.opts.group_fd = group;
	rig.opts.container_fd = container;
	dev = rig_open(&rig, BDF0);
	assert_true(fake_logged(PLX_LOG_NOTICE, "caller's group"));
	plx_vfio_close(dev);
	/* A group that is somewhere already. */
	assert_int_equal(plx_sys->ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	rig.opts.modes = 1u << PLX_VFIO_TYPE1V2;
	rig_refuses(&rig, -EBUSY, PLX_VFIO_TYPE1V2, PLX_REFUSED_BUSY, "container already");
	plx_sys->close(group);
	plx_sys->close(container);
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.cdev_fd = cdev;
	rig.opts.iommufd = iommufd;
	dev = rig_open(&rig, BDF0);
	assert_true(fake_logged(PLX_LOG_NOTICE, "caller's file"));
	plx_vfio_close(dev);
	plx_sys->close(cdev);
	plx_sys->close(iommufd);
	rig_stop(&rig);
}

static void given_descriptors_may_be_wrong(void **state)
{
	struct plx_vfio_dev *dev = NULL;
	struct plx_refusals why;
	struct rig rig;
	int iommu, text, group;

	(void)state;
	rig_boot(&rig, FAKE_A, false);
	iommu = plx_sys->open("/dev/iommu", O_RDWR);
	group = plx_sys->open("/dev/vfio/10", O_RDWR);
	text = plx_sys->open("/proc/self/status", O_RDONLY);
	rig.opts.cdev_fd = text;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	rig.opts.cdev_fd = 999999;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	rig.opts.cdev_fd = -1;
	rig.opts.group_fd = text;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	rig.opts.group_fd = group;
	rig.opts.container_fd = text;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	rig.opts.container_fd = 999999;
	assert_true(plx_vfio_open(rig.ioas, BDF0, &rig.opts, &dev, &why) < 0);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 5);
	rig.opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig.opts.modes = 1u << PLX_VFIO_CDEV;
	plx_sys->close(group);
	rig.opts.iommufd = text;
	rig_refuses(&rig, -EBADFD, PLX_VFIO_CDEV, PLX_REFUSED_NODE, "hand in a descriptor of");
	plx_sys->close(iommu);
	plx_sys->close(text);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(given_descriptors_are_used_and_stay_open),
		cmocka_unit_test(given_descriptors_do_not_keep_the_memory),
		cmocka_unit_test(a_given_ioas_is_used_and_stays),
		cmocka_unit_test(a_given_ioas_is_not_replaced),
		cmocka_unit_test(a_given_container_that_has_a_type),
		cmocka_unit_test(maps_of_the_callers_stay),
		cmocka_unit_test(maps_of_ours_go_from_a_container_of_the_callers),
		cmocka_unit_test(given_descriptors_do_without_sysfs),
		cmocka_unit_test(given_descriptors_may_be_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
