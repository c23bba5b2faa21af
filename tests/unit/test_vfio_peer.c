/* SPDX-License-Identifier: BSD-3-Clause */
/* Peer to peer: BARs in the address space. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "fake_abi.h"
#include "fake_rig.h"

#define BAR 0 /* 128 KiB in the fake */

/* A kernel in which a BAR can be mapped: by address, or as a dma-buf. */
static void start(struct rig *rig, enum plx_vfio_mode mode, enum plx_addr_policy addr)
{
	unsigned i;

	rig_start(rig, mode, addr);
	if (mode == PLX_VFIO_CDEV)
		fake.flavour = FAKE_C;
	for (i = 0; i < 2; i++) {
		rig->dev[i]->features |= UINT64_C(1) << FK_FEATURE_DMA_BUF;
		rig->dev[i]->decodes = true;
	}
}

static void a_bar_is_reached_by_others(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2,
						    PLX_VFIO_TYPE1 };
	unsigned i, addr;

	(void)state;
	for (i = 0; i < 6; i++) {
		enum plx_vfio_mode mode = modes[i / 2];
		struct plx_vfio_dev *a, *b;
		struct plx_dma peer, more;
		struct rig rig;
		uint64_t there;
		size_t len;
		void *bar;

		addr = i % 2 ? PLX_ADDR_ALLOC : PLX_ADDR_VA;
		start(&rig, mode, addr);
		a = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_peer_map(a, BAR, PAGE, 2 * PAGE, &peer, NULL), 0);
		assert_int_equal(plx_vfio_mmap(a, BAR, &bar, &len), 0);
		assert_ptr_equal(peer.va, (char *)bar + PAGE);
		assert_int_equal(peer.len, 2 * PAGE);
		assert_true(peer.dma == rig_dma(rig.ioas, (uintptr_t)peer.va));
		/* Late comers, too. */
		b = rig_open(&rig, BDF1);
		there = mode == PLX_VFIO_CDEV ? FAKE_BAR_VA(BAR, PAGE) : (uintptr_t)peer.va;
		assert_true(fake_dev_reach(rig.dev[1], peer.dma) == there);
		assert_true(fake_dev_reach(rig.dev[1], peer.dma + 2 * PAGE - 1) ==
			    there + 2 * PAGE - 1);
		assert_true(fake_dev_reach(rig.dev[1], peer.dma + 2 * PAGE) == UINT64_MAX);
		/* Not twice. */
		assert_int_equal(plx_vfio_peer_map(a, BAR, 2 * PAGE, PAGE, &more, NULL), -EEXIST);
		assert_null(more.va);
		assert_int_equal(plx_vfio_peer_map(a, BAR, 4 * PAGE, PAGE, &more, NULL), 0);
		there = peer.dma;
		assert_int_equal(plx_vfio_peer_unmap(a, &peer), 0);
		assert_null(peer.va);
		assert_true(fake_dev_reach(rig.dev[1], there) == UINT64_MAX);
		assert_int_equal(plx_vfio_peer_unmap(a, &peer), -ENOENT);
		/* What was forgotten goes with the device, and so before its BAR does. */
		there = more.dma;
		plx_vfio_close(a);
		assert_true(fake_dev_reach(rig.dev[1], there) == UINT64_MAX);
		plx_vfio_close(b);
		rig_stop(&rig);
	}
}

static void odd_parts_are_refused(void **state)
{
	struct plx_vfio_dev *dev;
	struct plx_refusal why;
	struct plx_dma peer;
	struct rig rig;
	uint64_t size;

	(void)state;
	start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	size = rig.dev[0]->region[BAR].size;
	assert_int_equal(plx_vfio_peer_map(dev, BAR, 0, 0, &peer, NULL), -EINVAL);
	assert_int_equal(plx_vfio_peer_map(dev, BAR, 1, PAGE, &peer, NULL), -EINVAL);
	assert_int_equal(plx_vfio_peer_map(dev, BAR, 0, PAGE + 1, &peer, NULL), -EINVAL);
	assert_int_equal(plx_vfio_peer_map(dev, BAR, 0, size + PAGE, &peer, NULL), -EINVAL);
	assert_int_equal(plx_vfio_peer_map(dev, BAR, size, PAGE, &peer, NULL), -EINVAL);
	assert_int_equal(plx_vfio_peer_map(dev, BAR, UINT64_MAX - PAGE + 1, PAGE, &peer, NULL),
			 -EINVAL);
	fake_log_clear();
	assert_int_equal(plx_vfio_peer_map(dev, 63, 0, PAGE, &peer, NULL), -EINVAL);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	assert_int_equal(plx_vfio_peer_map(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, PAGE, &peer, NULL),
			 -EINVAL);
	assert_true(fake_logged(PLX_LOG_ERR, "not whole pages of what can be mapped"));
	/* The same as data. */
	fake_log_clear();
	assert_int_equal(plx_vfio_peer_map(dev, BAR, 1, PAGE, &peer, &why), -EINVAL);
	assert_int_equal(why.code, PLX_REFUSED_MEMORY);
	assert_string_equal(why.object, BDF0);
	assert_int_equal(plx_vfio_peer_map(dev, 63, 0, PAGE, &peer, &why), -EINVAL);
	assert_int_equal(why.code, PLX_REFUSED_KERNEL);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
	/* All of it, and everything taken back by somebody else. */
	assert_int_equal(plx_vfio_peer_map(dev, BAR, 0, size, &peer, NULL), 0);
	assert_int_equal(plx_ioas_unmap_all(rig.ioas), 0);
	assert_int_equal(plx_vfio_peer_unmap(dev, &peer), 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void where_it_can_not_be(void **state)
{
	static const struct {
		enum plx_vfio_mode mode;
		const char *words;
	} cases[] = {
		{ PLX_VFIO_CDEV, "Linux 6.19" },
		{ PLX_VFIO_COMPAT, "maps no BAR by address" },
		{ PLX_VFIO_NOIOMMU, "needs an IOMMU" },
		{ PLX_VFIO_NOIOMMU_CDEV, "needs an IOMMU" },
	};
	struct plx_vfio_dev *dev;
	struct plx_dma peer;
	struct rig rig;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_start(&rig, cases[i].mode, rig_policy(cases[i].mode));
		dev = rig_open(&rig, BDF0);
		assert_int_equal(plx_vfio_peer_map(dev, BAR, 0, PAGE, &peer, NULL), -EOPNOTSUPP);
		assert_true(fake_logged(PLX_LOG_ERR, cases[i].words));
		assert_null(peer.va);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
	/* A real type 1 container says the same as iommufd's of a BAR that doesn't answer. */
	start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	fake_ioctl_fail(VFIO_IOMMU_MAP_DMA, EFAULT, 0, 1);
	assert_int_equal(plx_vfio_peer_map(dev, BAR, 0, PAGE, &peer, NULL), -EFAULT);
	assert_true(fake_logged(PLX_LOG_ERR, "memory decoding"));
	plx_vfio_close(dev);
	rig_stop(&rig);
	/* A dma-buf that the kernel won't map after all, and no memory for books. */
	start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	dev = rig_open(&rig, BDF0);
	fake_ioctl_fail(FK_MAP_FILE, EPERM, 0, 1);
	assert_int_equal(plx_vfio_peer_map(dev, BAR, 0, PAGE, &peer, NULL), -EPERM);
	assert_true(fake_logged(PLX_LOG_ERR, "dma-buf of a BAR can't be had, or not mapped"));
	assert_int_equal(fake_ioctl_count(FK_IOAS_MAP), 0);
	plx_vfio_close(dev);
	rig_stop(&rig);
}

/* A second IOAS is given the same dma-buf. */
static void two_contexts(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct plx_dma peer;
	struct rig rig;

	(void)state;
	start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	a = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_peer_map(a, BAR, 0, PAGE, &peer, NULL), 0);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	b = rig_open(&rig, BDF1);
	assert_ptr_not_equal(fake_dev_maps(rig.dev[0]), fake_dev_maps(rig.dev[1]));
	assert_true(fake_dev_reach(rig.dev[1], peer.dma) == FAKE_BAR_VA(BAR, 0));
	plx_vfio_close(a);
	assert_int_equal(fake_dev_maps(rig.dev[1])->count, 0);
	plx_vfio_close(b);
	rig_stop(&rig);
}

static void decoding(struct plx_vfio_dev *dev, uint16_t command)
{
	assert_int_equal(plx_vfio_write(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command,
					sizeof(command)),
			 0);
}

/* A BAR that doesn't answer keeps out who would have to map it, and who comes is told. */
static void a_late_comer_while_the_bar_is_off(void **state)
{
	struct plx_vfio_dev *a, *b;
	struct plx_refusals why;
	struct plx_dma peer;
	struct rig rig;

	(void)state;
	start(&rig, PLX_VFIO_TYPE1V2, PLX_ADDR_VA);
	rig.dev[1]->loner = true;
	a = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_peer_map(a, BAR, 0, PAGE, &peer, NULL), 0);
	decoding(a, 0);
	assert_int_equal(plx_vfio_open(rig.ioas, BDF1, &rig.opts, &b, &why), -EFAULT);
	assert_int_equal(why.mode[PLX_VFIO_TYPE1V2].code, PLX_REFUSED_MEMORY);
	assert_non_null(strstr(why.mode[PLX_VFIO_TYPE1V2].text, "turn memory decoding on"));
	decoding(a, PCI_COMMAND_MEMORY);
	b = rig_open(&rig, BDF1);
	assert_true(fake_dev_reach(rig.dev[1], peer.dma) == (uintptr_t)peer.va);
	plx_vfio_close(b);
	plx_vfio_close(a);
	rig_stop(&rig);
	/* iommufd makes no new map of it, and copies the one that it has. */
	start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
	a = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_peer_map(a, BAR, 0, PAGE, &peer, NULL), 0);
	decoding(a, 0);
	fake_ioctl_fail(FK_ATTACH_PT, EINVAL, 0, 1);
	b = rig_open(&rig, BDF1);
	plx_vfio_close(b);
	assert_int_equal(plx_vfio_peer_unmap(a, &peer), 0);
	assert_int_equal(plx_vfio_peer_map(a, BAR, 0, PAGE, &peer, NULL), -ENODEV);
	assert_true(fake_logged(PLX_LOG_ERR, "turn memory decoding on"));
	plx_vfio_close(a);
	rig_stop(&rig);
}

/* The memory of devices isn't locked memory. */
static void bars_are_not_counted_as_locked(void **state)
{
	static const enum plx_vfio_mode modes[] = { PLX_VFIO_CDEV, PLX_VFIO_TYPE1V2 };
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct plx_ioas_usage usage;
		struct plx_vfio_dev *dev;
		struct plx_dma peer;
		struct rig rig;

		start(&rig, modes[i], PLX_ADDR_VA);
		fake.memlock = 8 * MIB;
		dev = rig_open(&rig, BDF0);
		assert_int_equal(rig_map(rig.ioas, VA, HUGE), 0);
		assert_int_equal(plx_vfio_peer_map(dev, BAR, 0, PAGE, &peer, NULL), 0);
		plx_ioas_usage(rig.ioas, &usage);
		assert_int_equal(usage.bytes, HUGE + PAGE);
		assert_int_equal(usage.bytes_left, 6 * MIB);
		plx_vfio_close(dev);
		rig_stop(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bar_is_reached_by_others),
		cmocka_unit_test(odd_parts_are_refused),
		cmocka_unit_test(where_it_can_not_be),
		cmocka_unit_test(two_contexts),
		cmocka_unit_test(a_late_comer_while_the_bar_is_off),
		cmocka_unit_test(bars_are_not_counted_as_locked),
	};

	return cmocka_run_group_tests_name("vfio-peer", tests, NULL, NULL);
}
