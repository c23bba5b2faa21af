/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "fake_rig.h"

enum plx_addr_policy rig_policy(enum plx_vfio_mode mode)
{
	return plx_vfio_mode_unsafe(mode) ? PLX_ADDR_PA : PLX_ADDR_VA;
}

struct plx_ioas *rig_ioas(enum plx_addr_policy addr)
{
	struct plx_policy policy = { .addr = addr, .reason = "the test says so" };
	struct plx_ioas *ioas = NULL;

	assert_int_equal(plx_ioas_create(&policy, &ioas), 0);
	return ioas;
}

void rig_start(struct rig *rig, enum plx_vfio_mode mode, enum plx_addr_policy addr)
{
	static const enum fake_flavour flavour[PLX_VFIO_MODES] = {
		[PLX_VFIO_CDEV] = FAKE_A,	  [PLX_VFIO_TYPE1V2] = FAKE_STOCK,
		[PLX_VFIO_TYPE1] = FAKE_STOCK,	  [PLX_VFIO_COMPAT] = FAKE_A,
		[PLX_VFIO_NOIOMMU_CDEV] = FAKE_C, [PLX_VFIO_NOIOMMU] = FAKE_A,
	};
	unsigned i;

	fake_start(flavour[mode]);
	fake.unsafe_noiommu = plx_vfio_mode_unsafe(mode);
	fake.v1_only = mode == PLX_VFIO_TYPE1;
	rig->dev[0] = fake_dev(BDF0, 10);
	rig->dev[1] = fake_dev(BDF1, 11);
	for (i = 0; i < 2; i++)
		rig->dev[i]->noiommu = plx_vfio_mode_unsafe(mode);
	fake_publish();
	rig->opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig->opts.modes = 1u << mode;
	rig->opts.allow_noiommu = true;
	rig->ioas = rig_ioas(addr);
}

void rig_boot(struct rig *rig, enum fake_flavour flavour, bool noiommu)
{
	fake_start(flavour);
	fake.unsafe_noiommu = noiommu;
	rig->dev[0] = fake_dev(BDF0, 10);
	rig->dev[0]->noiommu = noiommu;
	fake_publish();
	rig->opts = (struct plx_vfio_opts)PLX_VFIO_OPTS_INIT;
	rig->ioas = rig_ioas(noiommu ? PLX_ADDR_PA : PLX_ADDR_VA);
}

struct plx_vfio_dev *rig_open(struct rig *rig, const char *bdf)
{
	struct plx_vfio_dev *dev = NULL;
	int ret = plx_vfio_open(rig->ioas, bdf, &rig->opts, &dev, NULL);

	if (ret)
		fake_log_print();
	assert_int_equal(ret, 0);
	assert_non_null(dev);
	return dev;
}

void rig_takes(struct rig *rig, enum plx_vfio_mode mode)
{
	enum plx_vfio_mode foreseen = PLX_VFIO_MODES;
	struct plx_vfio_dev *dev;

	assert_int_equal(plx_vfio_foresee(BDF0, &rig->opts, &foreseen, NULL), 0);
	assert_int_equal(foreseen, mode);
	fake_log_clear();
	dev = rig_open(rig, BDF0);
	assert_int_equal(plx_vfio_dev_mode(dev), mode);
	assert_string_equal(plx_vfio_name(dev), BDF0);
	assert_int_equal(fake_log_count(PLX_LOG_NOTICE), 1);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 0);
	assert_true(fake_logged(PLX_LOG_NOTICE, plx_vfio_mode_name(mode)));
	plx_vfio_close(dev);
}

void rig_refuses(struct rig *rig, int err, enum plx_vfio_mode mode, enum plx_refusal_code code,
		 const char *object)
{
	struct plx_vfio_dev *dev = NULL;
	struct plx_refusals why;
	int ret;

	fake_log_clear();
	ret = plx_vfio_open(rig->ioas, BDF0, &rig->opts, &dev, &why);
	if (ret != err || why.mode[mode].code != code || !strstr(why.mode[mode].text, object))
		fail_msg("%d (want %d), %s: \"%s\" (want %s: %s)", ret, err,
			 plx_refusal_name(why.mode[mode].code), why.mode[mode].text,
			 plx_refusal_name(code), object);
	assert_null(dev);
	assert_int_equal(fake_log_count(PLX_LOG_ERR), 1);
	assert_true(fake_logged(PLX_LOG_ERR, BDF0));
	assert_true(fake_logged(PLX_LOG_ERR, object));
	assert_int_equal(fake_log_count(PLX_LOG_NOTICE), 0);
}

void rig_refuses_and_foresees(struct rig *rig, int err, enum plx_vfio_mode mode,
			      enum plx_refusal_code code, const char *object)
{
	enum plx_vfio_mode any;
	struct plx_refusals why;

	assert_int_equal(plx_vfio_foresee(BDF0, &rig->opts, &any, &why), err);
	assert_int_equal(why.mode[mode].code, code);
	assert_non_null(strstr(why.mode[mode].text, object));
	rig_refuses(rig, err, mode, code, object);
}

void rig_stop(struct rig *rig)
{
	assert_int_equal(plx_ioas_destroy(rig->ioas), 0);
	rig->ioas = NULL;
	fake_stop();
}

int rig_map_pages(struct plx_ioas *ioas, uint64_t va, uint64_t len, size_t page_size)
{
	struct plx_dma_mem mem = {
		.va = (void *)(uintptr_t)va,
		.len = len,
		.page_size = page_size,
		.fd = -1,
	};

	return plx_ioas_map(ioas, &mem, NULL);
}

int rig_map(struct plx_ioas *ioas, uint64_t va, uint64_t len)
{
	return rig_map_pages(ioas, va, len, HUGE);
}

int rig_unmap(struct plx_ioas *ioas, uint64_t va, uint64_t len)
{
	return plx_ioas_unmap(ioas, (void *)(uintptr_t)va, len);
}

uint64_t rig_dma(const struct plx_ioas *ioas, uint64_t va)
{
	return plx_xlate_dma(plx_ioas_xlate(ioas), (const void *)(uintptr_t)va);
}

bool rig_reaches(const struct plx_ioas *ioas, const struct fake_dev *dev, uint64_t va, uint64_t len)
{
	uint64_t step = len / 16 ? len / 16 : 1, at, dma, run;

	for (at = 0; at < len; at += step) {
		dma = rig_dma(ioas, va + at);
		if (dma == PLX_DMA_BAD)
			return false;
		if (dev->noiommu ? dma != fake_phys(va + at, 1, &run)
				 : fake_dev_reach(dev, dma) != va + at)
			return false;
	}
	return true;
}

bool rig_logged(void)
{
	bool any = fake_log_count(PLX_LOG_ERR) > 0;

	fake_log_clear();
	return any;
}

int rig_report(const char *what, int ret)
{
	if (ret)
		plx_err("%s: %d", what, ret);
	return ret;
}
