/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every system call fails once, in every access mode: nothing is left behind, nothing crashes, and
 * what failed said why.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include <pollux/mem.h>

#include "fail_nth.h"
#include "fake_abi.h"
#include "fake_rig.h"

/* What a driver does in its life. */
static int use_device(struct plx_vfio_dev *dev)
{
	struct plx_vfio_region region;
	uint16_t command = PCI_COMMAND_MEMORY;
	int fds[3] = { -1, -1, -1 }, i, ret = 0;
	size_t len;
	void *va;

	for (i = 0; i < 3 && !ret; i++) {
		fds[i] = plx_sys->eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fds[i] < 0)
			ret = rig_report("eventfd", -errno);
	}
	if (!ret)
		ret = rig_report("region",
				 plx_vfio_region(dev, VFIO_PCI_BAR3_REGION_INDEX, &region));
	if (!ret)
		ret = rig_report("write", plx_vfio_write(dev, VFIO_PCI_CONFIG_REGION_INDEX,
							 PCI_COMMAND, &command, sizeof(command)));
	if (!ret)
		ret = rig_report("read", plx_vfio_read(dev, VFIO_PCI_BAR0_REGION_INDEX, 0, &command,
						       sizeof(command)));
	if (!ret)
		ret = rig_report("mmap", plx_vfio_mmap(dev, VFIO_PCI_BAR0_REGION_INDEX, &va, &len));
	if (!ret)
		ret = rig_report("mmap", plx_vfio_mmap(dev, VFIO_PCI_BAR1_REGION_INDEX, &va, &len));
	if (!ret)
		ret = rig_report("irqs", plx_vfio_irq_set(dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 2, fds));
	if (!ret)
		ret = rig_report("irqs",
				 plx_vfio_irq_set(dev, VFIO_PCI_MSIX_IRQ_INDEX, 2, 1, fds + 2));
	if (!ret)
		ret = rig_report("fire", plx_vfio_irq_fire(dev, VFIO_PCI_MSIX_IRQ_INDEX, 0));
	if (!ret)
		ret = rig_report("reset", plx_vfio_reset(dev));
	if (!ret)
		ret = rig_report("restore", plx_vfio_irq_restore(dev));
	if (!ret)
		ret = rig_report("hot reset", plx_vfio_hot_reset(dev));
	if (!ret)
		ret = rig_report("irqs", plx_vfio_irq_off(dev, VFIO_PCI_MSIX_IRQ_INDEX));
	if (!ret)
		ret = rig_report("feature", plx_vfio_feature(dev, 2, VFIO_DEVICE_FEATURE_GET,
							     (uint8_t[16]){ 0 }, 16));
	for (i = 0; i < 3; i++)
		if (fds[i] >= 0)
			plx_sys->close(fds[i]);
	return ret;
}

static struct rig rig;

/* Maps, claims two devices, maps more, uses one, gives back. */
static int life(void *arg)
{
	enum plx_addr_policy addr = *(enum plx_addr_policy *)arg;
	struct plx_policy policy = { .addr = addr, .reason = "so" };
	struct plx_vfio_dev *a = NULL, *b = NULL;
	struct plx_ioas *ioas = NULL;
	struct plx_dma dma = { 0 };
	size_t before;
	int ret;

	ret = plx_ioas_create(&policy, &ioas);
	if (!ret)
		ret = rig_map(ioas, VA, 2 * HUGE);
	if (!ret)
		ret = plx_vfio_open(ioas, BDF0, &rig.opts, &a, NULL);
	if (!ret) {
		before = rig.opts.modes == 1u << PLX_VFIO_NOIOMMU
				 ? 0
				 : fake_dev_maps(rig.dev[0])->count;
		ret = rig_map(ioas, VA + GIB, 2 * HUGE);
		/* All or nothing, if anything can be undone. */
		if (rig.opts.modes != 1u << PLX_VFIO_NOIOMMU && !fail_nth_for_good())
			assert_int_equal(fake_dev_maps(rig.dev[0])->count > before, !ret);
		assert_int_equal(rig_dma(ioas, VA + GIB) == PLX_DMA_BAD, !!ret);
	}
	if (!ret)
		ret = plx_vfio_open(ioas, BDF1, &rig.opts, &b, NULL);
	if (!ret) {
		assert_true(rig_reaches(ioas, rig.dev[1], VA, 2 * HUGE));
		assert_true(rig_reaches(ioas, rig.dev[1], VA + GIB, 2 * HUGE));
		ret = plx_dma_alloc(ioas, 10000, 4096, PLX_NODE_ANY, &dma);
	}
	if (!ret)
		ret = use_device(b);
	if (dma.va)
		plx_dma_free(ioas, &dma);
	if (!ret)
		ret = rig_unmap(ioas, VA, 2 * HUGE);
	plx_vfio_close(a);
	plx_vfio_close(b);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	assert_int_equal(rig.dev[0]->opens + rig.dev[1]->opens, 0);
	return ret;
}

static void start(enum plx_vfio_mode mode)
{
	struct plx_ioas *unused;

	rig_start(&rig, mode, PLX_ADDR_VA);
	unused = rig.ioas;
	rig.ioas = NULL;
	assert_int_equal(plx_ioas_destroy(unused), 0);
	rig.dev[0]->features = rig.dev[1]->features = 1u << 2;
	rig.dev[0]->region[VFIO_PCI_BAR1_REGION_INDEX].nsparse = 0;
	rig.dev[1]->region[VFIO_PCI_BAR1_REGION_INDEX].nsparse = 2;
	rig.dev[1]->region[VFIO_PCI_BAR1_REGION_INDEX].sparse[0] = (struct fake_range){ 0, 4095 };
	rig.dev[1]->region[VFIO_PCI_BAR1_REGION_INDEX].sparse[1] =
		(struct fake_range){ 8192, 16383 };
}

/*
 * Where another errno is the right one: what can't be seen isn't there, and what the kernel lacks
 * isn't supported.
 */
static const struct fail_nth_other others[] = {
	{ "stat", 0, "/sys/bus/pci/devices/", 0, ENODEV },
	{ "readlink", 0, "/iommu_group", 0, ENODEV },
	{ "open", 0, "/iommu_group/name", 0, ENODEV },
	{ "read", 0, NULL, EIO, ENODEV }, /* of that file */
	{ "opendir", 0, "/vfio-dev", 0, ENODEV },
	{ "opendir", 0, "/vfio-dev", 0, ENOENT },
	{ "open", 0, "/proc/self/status", 0, EPERM },
	{ "read", 0, NULL, EIO, EPERM }, /* of that file */
	{ "ioctl", VFIO_DEVICE_GET_REGION_INFO, NULL, EINVAL, ENODEV },
	{ "ioctl", VFIO_DEVICE_GET_IRQ_INFO, NULL, EINVAL, ENODEV },
	{ "ioctl", VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL, ENODEV, EOPNOTSUPP },
	{ "ioctl", VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL, ENOTTY, EOPNOTSUPP },
	{ "ioctl", VFIO_DEVICE_FEATURE, NULL, EINVAL, EOPNOTSUPP },
	{ "ioctl", VFIO_DEVICE_FEATURE, NULL, ENOTTY, EOPNOTSUPP },
	{ "ioctl", FK_IOVA_RANGES, NULL, EMSGSIZE, EOVERFLOW }, /* there are more, and more */
	{ NULL, 0, NULL, 0, 0 },
};

static unsigned int points;

static void lives(enum plx_vfio_mode mode, enum plx_addr_policy addr)
{
	struct fail_nth_result result;

	start(mode);
	fail_nth_expect(others);
	result = fail_nth(plx_vfio_mode_name(mode), life, &addr, fake_leaks, rig_logged);
	fail_nth_expect(NULL);
	points += result.runs;
	/* A life has many calls, and few of them may fail unnoticed. */
	assert_true(result.calls > 50);
	assert_true(result.runs > result.calls);
	assert_true(result.survived < result.runs / 2);
	fake_stop();
}

static void cdev(void **state)
{
	(void)state;
	lives(PLX_VFIO_CDEV, PLX_ADDR_VA);
	lives(PLX_VFIO_CDEV, PLX_ADDR_ALLOC);
}

static void type1v2(void **state)
{
	(void)state;
	lives(PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	lives(PLX_VFIO_TYPE1V2, PLX_ADDR_PA);
}

static void type1(void **state)
{
	(void)state;
	lives(PLX_VFIO_TYPE1, PLX_ADDR_ALLOC);
}

static void compat(void **state)
{
	(void)state;
	lives(PLX_VFIO_COMPAT, PLX_ADDR_VA);
}

static void noiommu_cdev(void **state)
{
	(void)state;
	lives(PLX_VFIO_NOIOMMU_CDEV, PLX_ADDR_PA);
}

static void noiommu(void **state)
{
	(void)state;
	lives(PLX_VFIO_NOIOMMU, PLX_ADDR_PA);
}

/* Pieces with gaps before them: the allocator's own memory fails in between. */
static int cut(void *arg)
{
	struct plx_policy policy = { .addr = PLX_ADDR_VA, .reason = "so" };
	struct plx_dma dma[4] = { 0 };
	struct plx_ioas *ioas = NULL;
	int i, ret;

	(void)arg;
	ret = plx_ioas_create(&policy, &ioas);
	if (ret)
		return ret;
	for (i = 0; i < 4 && !ret; i++)
		ret = plx_dma_alloc(ioas, 100 << i, 64u << 3 * i, PLX_NODE_ANY, &dma[i]);
	for (i = 0; i < 4; i++)
		plx_dma_free(ioas, &dma[i]);
	/* Nothing of it is left, or all of an arena couldn't be had in one piece. */
	if (!fail_nth_for_good() && !plx_dma_alloc(ioas, HUGE, 4096, PLX_NODE_ANY, &dma[0]))
		plx_dma_free(ioas, &dma[0]);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	return ret;
}

static void ring_memory(void **state)
{
	(void)state;
	start(PLX_VFIO_CDEV);
	fail_nth("dma", cut, NULL, fake_leaks, rig_logged);
	fake_stop();
}

/* The choice among all modes with a call failing: another mode, or a refusal that says why. */
static int choose(void *arg)
{
	struct plx_policy policy = { .addr = PLX_ADDR_VA, .reason = "so" };
	struct plx_vfio_opts opts = PLX_VFIO_OPTS_INIT;
	struct plx_vfio_dev *dev = NULL;
	struct plx_refusals why = { 0 };
	struct plx_ioas *ioas = NULL;
	int ret, mode, reasons = 0;

	(void)arg;
	ret = plx_ioas_create(&policy, &ioas);
	if (ret)
		return ret;
	ret = plx_vfio_open(ioas, BDF0, &opts, &dev, &why);
	for (mode = 0; mode < PLX_VFIO_MODES; mode++) {
		reasons += why.mode[mode].code != PLX_REFUSED_NONE;
		assert_int_equal(why.mode[mode].code != PLX_REFUSED_NONE, !!why.mode[mode].text[0]);
	}
	if (!ret)
		assert_int_equal(reasons, plx_vfio_dev_mode(dev));
	plx_vfio_close(dev);
	assert_int_equal(plx_ioas_destroy(ioas), 0);
	return ret;
}

static void choice(void **state)
{
	struct fail_nth_result result;

	(void)state;
	start(PLX_VFIO_CDEV);
	result = fail_nth("choice", choose, NULL, fake_leaks, rig_logged);
	/* Most failures of the cdev are made good by a group. */
	assert_true(result.survived > result.runs / 2);
	fake_stop();
}

static int foretell(void *arg)
{
	struct plx_vfio_opts opts = PLX_VFIO_OPTS_INIT;
	const struct plx_vfio_candidate devs[2] = { { BDF0, &opts }, { BDF1, &opts } };
	struct plx_policy policy;
	struct plx_refusals why;
	enum plx_vfio_mode mode;

	(void)arg;
	plx_vfio_foresee(BDF0, &opts, &mode, &why);
	return plx_vfio_policy(devs, 2, &policy);
}

static void foresight(void **state)
{
	(void)state;
	start(PLX_VFIO_CDEV);
	fail_nth("foresee", foretell, NULL, fake_leaks, NULL);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cdev),		cmocka_unit_test(type1v2),
		cmocka_unit_test(type1),	cmocka_unit_test(compat),
		cmocka_unit_test(noiommu_cdev), cmocka_unit_test(noiommu),
		cmocka_unit_test(ring_memory),	cmocka_unit_test(choice),
		cmocka_unit_test(foresight),
	};

	int ret = cmocka_run_group_tests(tests, NULL, NULL);

	fprintf(stderr, "# %u points swept in the lives of devices\n", points);
	return ret;
}
