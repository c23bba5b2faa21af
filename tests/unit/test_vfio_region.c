/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions: what may be mapped, reading and writing, and kernels that tell nonsense. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_abi.h"
#include "fake_rig.h"

#define BAR0   VFIO_PCI_BAR0_REGION_INDEX
#define BAR1   VFIO_PCI_BAR1_REGION_INDEX
#define BAR2   VFIO_PCI_BAR2_REGION_INDEX
#define BAR3   VFIO_PCI_BAR3_REGION_INDEX
#define ROM    VFIO_PCI_ROM_REGION_INDEX
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define VGA    VFIO_PCI_VGA_REGION_INDEX

static struct rig rig;
static struct plx_vfio_dev *dev;

static void begin(void)
{
	rig_start(&rig, PLX_VFIO_CDEV, PLX_ADDR_VA);
}

/* After the test described its device. */
static void go(void)
{
	uint16_t command = PCI_COMMAND_MEMORY;

	fake_publish();
	dev = rig_open(&rig, BDF0);
	assert_int_equal(plx_vfio_write(dev, CONFIG, PCI_COMMAND, &command, 2), 0);
}

static void end(void)
{
	plx_vfio_close(dev);
	rig_stop(&rig);
}

static void check_areas(unsigned index, unsigned count, const struct plx_vfio_area *area)
{
	struct plx_vfio_region region;
	unsigned i;

	assert_int_equal(plx_vfio_region(dev, index, &region), 0);
	assert_int_equal(region.nareas, count);
	for (i = 0; i < count; i++) {
		assert_int_equal(region.area[i].offset, area[i].offset);
		assert_int_equal(region.area[i].size, area[i].size);
	}
}

static void regions_are_described(void **state)
{
	struct plx_vfio_region region;

	(void)state;
	begin();
	rig.dev[0]->region[BAR1].read_only = true;
	go();
	assert_int_equal(plx_vfio_num_regions(dev), 9);
	assert_int_equal(plx_vfio_region(dev, BAR0, &region), 0);
	assert_int_equal(region.size, 128 * KIB);
	assert_true(region.readable && region.writable && !region.msix_mappable);
	assert_int_equal(plx_vfio_region(dev, BAR1, &region), 0);
	assert_true(region.readable && !region.writable);
	assert_int_equal(plx_vfio_region(dev, BAR2, &region), 0);
	assert_int_equal(region.size, 32);
	assert_int_equal(region.nareas, 0);
	assert_int_equal(plx_vfio_region(dev, BAR3, &region), 0);
	assert_true(region.msix_mappable);
	assert_int_equal(region.nareas, 1);
	assert_int_equal(plx_vfio_region(dev, VFIO_PCI_BAR4_REGION_INDEX, &region), 0);
	assert_int_equal(region.size, 0);
	assert_int_equal(plx_vfio_region(dev, VGA, &region), 0);
	assert_int_equal(region.size, 0);
	assert_int_equal(plx_vfio_region(dev, 9, &region), -EINVAL);
	assert_int_equal(plx_vfio_region(dev, UINT32_MAX, &region), -EINVAL);
	/* Asked for once; twice where the answer has capabilities. */
	assert_int_equal(fake_ioctl_count(VFIO_DEVICE_GET_REGION_INFO), 8);
	assert_int_equal(plx_vfio_region(dev, BAR0, &region), 0);
	assert_int_equal(fake_ioctl_count(VFIO_DEVICE_GET_REGION_INFO), 8);
	end();
}

static void reading_and_writing_is_whole_or_an_error(void **state)
{
	uint32_t value = 0x11223344, seen = 0;
	uint8_t page[256];

	(void)state;
	begin();
	go();
	assert_int_equal(plx_vfio_write(dev, BAR0, 0x100, &value, 4), 0);
	assert_int_equal(fake_region_peek(rig.dev[0], BAR0, 0x100, &seen, 4), 0);
	assert_int_equal(seen, value);
	seen = 0;
	assert_int_equal(plx_vfio_read(dev, BAR0, 0x100, &seen, 4), 0);
	assert_int_equal(seen, value);
	assert_int_equal(plx_vfio_read(dev, BAR0, 128 * KIB - 4, &seen, 4), 0);
	assert_int_equal(plx_vfio_read(dev, BAR0, 128 * KIB - 3, &seen, 4), -EINVAL);
	assert_int_equal(plx_vfio_read(dev, BAR0, 128 * KIB, &seen, 1), -EINVAL);
	assert_int_equal(plx_vfio_read(dev, BAR0, UINT64_MAX, &seen, 4), -EINVAL);
	assert_int_equal(plx_vfio_read(dev, BAR0, UINT64_MAX - 3, &seen, 4), -EINVAL);
	assert_int_equal(plx_vfio_write(dev, BAR2, 30, &value, 4), -EINVAL);
	assert_int_equal(plx_vfio_read(dev, VFIO_PCI_BAR5_REGION_INDEX, 0, &seen, 1), -EINVAL);
	assert_int_equal(plx_vfio_read(dev, 42, 0, &seen, 1), -EINVAL);
	assert_int_equal(plx_vfio_read(dev, CONFIG, 0, page, sizeof(page)), 0);
	assert_int_equal(page[0] | page[1] << 8, 0x8086);
	rig.dev[0]->gone = true;
	assert_int_equal(plx_vfio_read(dev, BAR0, 0x100, &seen, 4), -EIO);
	assert_int_equal(plx_vfio_write(dev, BAR0, 0x100, &value, 4), -EIO);
	end();
}

/* The kernel moves less than was asked. */
static ssize_t short_pread(int fd, void *buf, size_t len, off_t offset)
{
	return fake_sys.pread(fd, buf, len > 2 ? 2 : len, offset);
}

static void a_short_transfer_is_an_error(void **state)
{
	struct plx_sys sys = fake_sys;
	uint32_t value;

	(void)state;
	begin();
	go();
	sys.pread = short_pread;
	plx_sys = &sys;
	assert_int_equal(plx_vfio_read(dev, BAR0, 0, &value, 4), -EIO);
	plx_sys = &fake_sys;
	end();
}

static void a_bar_is_mapped_once(void **state)
{
	uint32_t value = 0xcafe, seen = 0;
	void *va, *again;
	size_t len, len2;

	(void)state;
	begin();
	go();
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), 0);
	assert_int_equal(len, 128 * KIB);
	memcpy((char *)va + len - 4, &value, 4);
	assert_int_equal(fake_region_peek(rig.dev[0], BAR0, len - 4, &seen, 4), 0);
	assert_int_equal(seen, value);
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &again, &len2), 0);
	assert_ptr_equal(va, again);
	assert_int_equal(len, len2);
	assert_int_equal(plx_vfio_mmap(dev, BAR2, &va, &len), -ENODEV);
	assert_int_equal(plx_vfio_mmap(dev, VFIO_PCI_BAR4_REGION_INDEX, &va, &len), -ENODEV);
	assert_int_equal(plx_vfio_mmap(dev, CONFIG, &va, &len), -ENODEV);
	assert_int_equal(plx_vfio_mmap(dev, ROM, &va, &len), -ENODEV);
	assert_int_equal(plx_vfio_mmap(dev, 77, &va, &len), -EINVAL);
	end();
}

/* Where the kernel lets a BAR of less than a page be mapped, it is a page. */
static void a_small_bar_is_a_page(void **state)
{
	void *va;
	size_t len;

	(void)state;
	begin();
	rig.dev[0]->region[BAR2].size = 0x180;
	rig.dev[0]->region[BAR2].no_mmap = false;
	go();
	check_areas(BAR2, 1, (struct plx_vfio_area[]){ { 0, PAGE } });
	assert_int_equal(plx_vfio_mmap(dev, BAR2, &va, &len), 0);
	assert_int_equal(len, 0x180);
	memset(va, 0, len);
	end();
	begin();
	rig.dev[0]->region[BAR0].nsparse = 1;
	rig.dev[0]->region[BAR0].sparse[0] = (struct fake_range){ 0x2000, 0x2fff - 0x100 };
	go();
	check_areas(BAR0, 1, (struct plx_vfio_area[]){ { 0x2000, 0x1000 } });
	end();
}

/* A mapped BAR keeps the device bound: closing must unmap first. */
static void closing_lets_go_of_the_device(void **state)
{
	void *va;
	size_t len;

	(void)state;
	RIG_EACH_MODE(mode)
	{
		rig_start(&rig, mode, rig_policy(mode));
		go();
		assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), 0);
		assert_int_equal(plx_vfio_mmap(dev, BAR3, &va, &len), 0);
		assert_int_equal(rig.dev[0]->opens, 1);
		plx_vfio_close(dev);
		assert_int_equal(rig.dev[0]->opens, 0);
		assert_null(rig.dev[0]->bound);
		dev = rig_open(&rig, BDF0);
		end();
	}
}

/*
 * MSI-X.
 */
static void the_msix_table_is_left_out(void **state)
{
	static const struct {
		uint32_t table, pba;
		unsigned nvectors, count;
		struct plx_vfio_area area[3];
	} cases[] = {
		/* Of 64 KiB: at the start, at the end, in the middle, in two places. */
		{ 0, 0x800, 5, 1, { { 0x1000, 0xf000 } } },
		{ 0xf000, 0xf800, 5, 1, { { 0, 0xf000 } } },
		{ 0x4000, 0x4800, 5, 2, { { 0, 0x4000 }, { 0x5000, 0xb000 } } },
		{ 0x2000, 0x8000, 5, 3, { { 0, 0x2000 }, { 0x3000, 0x5000 }, { 0x9000, 0x7000 } } },
		/* Not from a page's start, and over a page's end. */
		{ 0x2ff0, 0x8ff8, 2, 3, { { 0, 0x2000 }, { 0x4000, 0x4000 }, { 0x9000, 0x7000 } } },
		{ 0x2ff8, 0x2000, 1, 2, { { 0, 0x2000 }, { 0x4000, 0xc000 } } },
		/* Beyond the BAR, as a broken device has it. */
		{ 0x20000, 0x30000, 5, 1, { { 0, 0x10000 } } },
		{ 0xfffffff8, 0xfffffff8, 64, 1, { { 0, 0x10000 } } },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		rig.dev[0]->region[BAR3].size = 64 * KIB;
		rig.dev[0]->region[BAR3].msix_mappable = false;
		rig.dev[0]->msix_table = cases[i].table;
		rig.dev[0]->msix_pba = cases[i].pba;
		rig.dev[0]->nvectors = cases[i].nvectors;
		go();
		check_areas(BAR3, cases[i].count, cases[i].area);
		check_areas(BAR0, 1, (struct plx_vfio_area[]){ { 0, 128 * KIB } });
		end();
	}
}

static void the_msix_table_may_be_mappable(void **state)
{
	(void)state;
	begin();
	rig.dev[0]->region[BAR3].msix_mappable = true;
	go();
	check_areas(BAR3, 1, (struct plx_vfio_area[]){ { 0, 16 * KIB } });
	end();
	/* Without MSI-X there is nothing to leave out. */
	begin();
	rig.dev[0]->region[BAR3].msix_mappable = false;
	rig.dev[0]->nvectors = 0;
	go();
	check_areas(BAR3, 1, (struct plx_vfio_area[]){ { 0, 16 * KIB } });
	end();
}

static void a_bar_that_is_all_msix_is_not_mapped(void **state)
{
	uint32_t value = 1;
	void *va;
	size_t len;

	(void)state;
	begin();
	rig.dev[0]->region[BAR3].size = PAGE;
	rig.dev[0]->region[BAR3].msix_mappable = false;
	rig.dev[0]->msix_pba = 0x800;
	go();
	check_areas(BAR3, 0, NULL);
	assert_int_equal(plx_vfio_mmap(dev, BAR3, &va, &len), -ENODEV);
	assert_int_equal(plx_vfio_write(dev, BAR3, 0, &value, 4), 0);
	end();
}

/* A hole is reserved: what touches it gets SIGSEGV, not somebody's memory. */
static void holes_fault(void **state)
{
	char *va;
	size_t len;
	pid_t child;
	int status;

	(void)state;
	begin();
	rig.dev[0]->region[BAR3].msix_mappable = false;
	rig.dev[0]->msix_table = 0x1000;
	rig.dev[0]->msix_pba = 0x1800;
	go();
	assert_int_equal(plx_vfio_mmap(dev, BAR3, (void **)&va, &len), 0);
	assert_int_equal(len, 16 * KIB);
	va[0] = 1;
	va[0x2000] = 2;
	va[0x3fff] = 3;
	fflush(NULL);
	child = fork();
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		va[0x1000] = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	end();
}

static void config_space_may_be_unreadable(void **state)
{
	struct plx_vfio_region region;

	(void)state;
	begin();
	rig.dev[0]->region[CONFIG].size = 0;
	fake_publish();
	dev = rig_open(&rig, BDF0);
	/* What can't be known to be free of MSI-X is not mapped. */
	if (!plx_vfio_region(dev, BAR0, &region))
		assert_int_equal(region.nareas, 0);
	end();
}

static void capability_lists_in_config_space_may_loop(void **state)
{
	struct plx_vfio_region region;
	unsigned i;

	(void)state;
	for (i = 0; i < 6; i++) {
		begin();
		rig.dev[0]->region[BAR3].msix_mappable = false;
		go();
		memset(rig.dev[0]->config + 0x40, 0, 0xc0);
		rig.dev[0]->config[PCI_CAPABILITY_LIST] = 0x50;
		rig.dev[0]->config[0x50] = PCI_CAP_ID_PM;
		switch (i) {
		case 0: rig.dev[0]->config[0x51] = 0x50; break;
		case 1:
			rig.dev[0]->config[0x51] = 0x60;
			rig.dev[0]->config[0x61] = 0x50;
			break;
		case 2: rig.dev[0]->config[0x51] = 0xff; break;
		case 3: rig.dev[0]->config[0x51] = 0x04; break;
		case 4: memset(rig.dev[0]->config + 0x50, 0xff, 0xb0); break;
		case 5:
			/* MSI-X at the very end. */
			rig.dev[0]->config[0x51] = 0xfc;
			rig.dev[0]->config[0xfc] = PCI_CAP_ID_MSIX;
			break;
		}
		plx_vfio_region(dev, BAR3, &region);
		end();
	}
}

/*
 * Sparse areas.
 */
static void sparse_areas_are_kept_apart(void **state)
{
	uint32_t value = 7, seen;
	char *va;
	size_t len;

	(void)state;
	begin();
	rig.dev[0]->region[BAR0].nsparse = 2;
	rig.dev[0]->region[BAR0].sparse[0] = (struct fake_range){ 0x1000, 0x2fff };
	rig.dev[0]->region[BAR0].sparse[1] = (struct fake_range){ 0x10000, 0x1ffff };
	go();
	check_areas(BAR0, 2, (struct plx_vfio_area[]){ { 0x1000, 0x2000 }, { 0x10000, 0x10000 } });
	assert_int_equal(plx_vfio_mmap(dev, BAR0, (void **)&va, &len), 0);
	assert_int_equal(len, 128 * KIB);
	memcpy(va + 0x1f000, &value, 4);
	assert_int_equal(fake_region_peek(rig.dev[0], BAR0, 0x1f000, &seen, 4), 0);
	assert_int_equal(seen, 7);
	end();
	/* Together with the other capability, and the table in one of the areas. */
	begin();
	rig.dev[0]->region[BAR3].nsparse = 1;
	rig.dev[0]->region[BAR3].sparse[0] = (struct fake_range){ 0, 0x3fff };
	go();
	check_areas(BAR3, 1, (struct plx_vfio_area[]){ { 0, 0x4000 } });
	end();
	begin();
	rig.dev[0]->region[BAR3].msix_mappable = false;
	rig.dev[0]->region[BAR3].nsparse = 1;
	rig.dev[0]->region[BAR3].sparse[0] = (struct fake_range){ 0, 0x3fff };
	go();
	check_areas(BAR3, 2, (struct plx_vfio_area[]){ { 0x1000, 0x1000 }, { 0x3000, 0x1000 } });
	end();
}

static void more_areas_than_fit_are_left_to_read_and_write(void **state)
{
	struct plx_vfio_region region;
	unsigned i;

	(void)state;
	begin();
	rig.dev[0]->region[BAR0].nsparse = 24;
	for (i = 0; i < 24; i++)
		rig.dev[0]->region[BAR0].sparse[i] =
			(struct fake_range){ 0x1000 * i, 0x1000 * i + 0xfff };
	go();
	assert_int_equal(plx_vfio_region(dev, BAR0, &region), 0);
	assert_int_equal(region.nareas, PLX_VFIO_MAX_AREAS);
	end();
}

/*
 * A kernel that lies. The answer is made by a function of the case.
 */
static void (*lie)(struct vfio_region_info *info);
static unsigned lied;

static bool lying(int fd, unsigned long request, void *arg, int *result)
{
	struct vfio_region_info *info = arg;

	(void)fd;
	if (request != VFIO_DEVICE_GET_REGION_INFO || info->index != BAR0)
		return false;
	lied++;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		      VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	info->size = 64 * KIB;
	info->offset = 0;
	info->cap_offset = 0;
	*result = 0;
	lie(info);
	return true;
}

/* An answer with room for two sparse areas after the header. */
static struct vfio_region_info_cap_sparse_mmap *sparse(struct vfio_region_info *info)
{
	struct vfio_region_info_cap_sparse_mmap *cap = (void *)(info + 1);
	size_t need = sizeof(*info) + sizeof(*cap) + 2 * sizeof(cap->areas[0]);

	if (info->argsz < need) {
		info->argsz = need;
		return NULL;
	}
	info->cap_offset = sizeof(*info);
	memset(cap, 0, need - sizeof(*info));
	cap->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	cap->header.version = 1;
	cap->nr_areas = 2;
	return cap;
}

static void lie_argsz_grows(struct vfio_region_info *info)
{
	info->argsz *= 2;
}

static void lie_argsz_huge(struct vfio_region_info *info)
{
	info->argsz = UINT32_MAX;
}

static void lie_cap_outside(struct vfio_region_info *info)
{
	info->cap_offset = info->argsz - 1;
}

static void lie_cap_in_header(struct vfio_region_info *info)
{
	info->cap_offset = 4;
}

static void lie_loop(struct vfio_region_info *info)
{
	struct vfio_region_info_cap_sparse_mmap *cap = sparse(info);

	if (cap) {
		cap->header.id = 99;
		cap->header.next = info->cap_offset;
	}
}

static void lie_many_areas(struct vfio_region_info *info)
{
	struct vfio_region_info_cap_sparse_mmap *cap = sparse(info);

	if (cap)
		cap->nr_areas = UINT32_MAX;
}

static void lie_areas_outside(struct vfio_region_info *info)
{
	struct vfio_region_info_cap_sparse_mmap *cap = sparse(info);

	if (!cap)
		return;
	cap->areas[0].offset = 1 * MIB;
	cap->areas[0].size = PAGE;
	cap->areas[1].offset = PAGE;
	cap->areas[1].size = UINT64_MAX;
}

static void lie_areas_odd(struct vfio_region_info *info)
{
	struct vfio_region_info_cap_sparse_mmap *cap = sparse(info);

	if (!cap)
		return;
	cap->areas[0].offset = 5;
	cap->areas[0].size = PAGE;
	cap->areas[1].offset = UINT64_MAX - PAGE + 1;
	cap->areas[1].size = 2 * PAGE;
}

static void lie_areas_overlap(struct vfio_region_info *info)
{
	struct vfio_region_info_cap_sparse_mmap *cap = sparse(info);

	if (!cap)
		return;
	cap->areas[0].size = 8 * PAGE;
	cap->areas[1].offset = 4 * PAGE;
	cap->areas[1].size = 8 * PAGE;
}

static void lie_size(struct vfio_region_info *info)
{
	info->flags &= ~VFIO_REGION_INFO_FLAG_CAPS;
	info->size = UINT64_MAX;
}

static void lie_offset(struct vfio_region_info *info)
{
	info->flags &= ~VFIO_REGION_INFO_FLAG_CAPS;
	info->offset = UINT64_MAX - PAGE + 1;
}

static void lie_offset_odd(struct vfio_region_info *info)
{
	info->flags &= ~VFIO_REGION_INFO_FLAG_CAPS;
	info->offset = 0x123;
}

static void nonsense_does_no_harm(void **state)
{
	static void (*const lies[])(struct vfio_region_info *) = {
		lie_argsz_grows,   lie_argsz_huge, lie_cap_outside,   lie_cap_in_header,
		lie_loop,	   lie_many_areas, lie_areas_outside, lie_areas_odd,
		lie_areas_overlap, lie_size,	   lie_offset,	      lie_offset_odd,
	};
	size_t i, len;
	void *va;

	(void)state;
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct plx_vfio_region region;
		uint64_t value;
		unsigned a;

		begin();
		go();
		lie = lies[i];
		lied = 0;
		fake.hook = lying;
		if (!plx_vfio_region(dev, BAR0, &region)) {
			assert_true(region.nareas <= PLX_VFIO_MAX_AREAS);
			for (a = 0; a < region.nareas; a++) {
				assert_int_equal(region.area[a].offset % PAGE, 0);
				assert_true(region.area[a].offset < region.size);
				assert_true(region.area[a].size <=
					    region.size - region.area[a].offset);
			}
		}
		assert_true(lied && lied < 100);
		plx_vfio_mmap(dev, BAR0, &va, &len);
		plx_vfio_read(dev, BAR0, UINT64_MAX - 8, &value, 8);
		plx_vfio_read(dev, BAR0, 0, &value, 8);
		fake.hook = NULL;
		end();
	}
}

/* Counts of regions and interrupts that no device has. */
static uint32_t many;

static bool boasting(int fd, unsigned long request, void *arg, int *result)
{
	struct vfio_device_info *info = arg;

	(void)fd;
	if (request != VFIO_DEVICE_GET_INFO)
		return false;
	info->flags = VFIO_DEVICE_FLAGS_PCI;
	info->num_regions = info->num_irqs = many;
	*result = 0;
	return true;
}

static void counts_are_bounded(void **state)
{
	static const uint32_t counts[] = { 0, 1, 7, 8, 64, 1000, UINT32_MAX };
	size_t i, len;
	void *va;

	(void)state;
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct plx_vfio_region region;
		struct plx_vfio_irq irq;
		unsigned r;

		begin();
		many = counts[i];
		fake.hook = boasting;
		fake_publish();
		dev = rig_open(&rig, BDF0);
		assert_true(plx_vfio_num_regions(dev) <= 4096);
		assert_true(plx_vfio_num_irqs(dev) <= 4096);
		for (r = 0; r < 20; r++) {
			plx_vfio_region(dev, r, &region);
			plx_vfio_irq(dev, r, &irq);
			plx_vfio_mmap(dev, r, &va, &len);
		}
		assert_int_equal(plx_vfio_irq_restore(dev), 0);
		fake.hook = NULL;
		end();
	}
}

static void a_failed_mmap_leaves_nothing(void **state)
{
	struct plx_sys sys = fake_sys;
	void *va;
	size_t len;

	(void)state;
	begin();
	rig.dev[0]->region[BAR0].nsparse = 2;
	rig.dev[0]->region[BAR0].sparse[0] = (struct fake_range){ 0x1000, 0x2fff };
	/* The kernel changes its mind about the second area. */
	rig.dev[0]->region[BAR0].sparse[1] = (struct fake_range){ 0x10000, 0x1ffff };
	go();
	check_areas(BAR0, 2, (struct plx_vfio_area[]){ { 0x1000, 0x2000 }, { 0x10000, 0x10000 } });
	rig.dev[0]->region[BAR0].nsparse = 1;
	plx_sys = &sys;
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), -EINVAL);
	plx_sys = &fake_sys;
	rig.dev[0]->region[BAR0].nsparse = 2;
	assert_int_equal(plx_vfio_mmap(dev, BAR0, &va, &len), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_are_described),
		cmocka_unit_test(reading_and_writing_is_whole_or_an_error),
		cmocka_unit_test(a_short_transfer_is_an_error),
		cmocka_unit_test(a_bar_is_mapped_once),
		cmocka_unit_test(a_small_bar_is_a_page),
		cmocka_unit_test(closing_lets_go_of_the_device),
		cmocka_unit_test(the_msix_table_is_left_out),
		cmocka_unit_test(the_msix_table_may_be_mappable),
		cmocka_unit_test(a_bar_that_is_all_msix_is_not_mapped),
		cmocka_unit_test(holes_fault),
		cmocka_unit_test(config_space_may_be_unreadable),
		cmocka_unit_test(capability_lists_in_config_space_may_loop),
		cmocka_unit_test(sparse_areas_are_kept_apart),
		cmocka_unit_test(more_areas_than_fit_are_left_to_read_and_write),
		cmocka_unit_test(nonsense_does_no_harm),
		cmocka_unit_test(counts_are_bounded),
		cmocka_unit_test(a_failed_mmap_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
