/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe driver and a controller: bring-up, admin commands, namespaces, events, the end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "nvme_fake.h"

static void drop_line(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

static int setup(void **state)
{
	*state = NULL;
	plx_log_set_sink(drop_line, NULL);
	fake_init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unplug();
	return 0;
}

/* Another controller, within a case. */
static void again(void)
{
	fake_unplug();
	fake_init();
}

static void test_bring_up(void **state)
{
	const struct plx_nvme_ctrl_info *info;
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_ns *ns;

	(void)state;
	ctrl = fake_plug("");
	info = plx_nvme_ctrl_info(ctrl);
	assert_int_equal(plx_nvme_ctrl_state(ctrl), 0);
	assert_string_equal(info->name, "0000:01:00.0");
	assert_string_equal(info->serial, "fake");
	assert_string_equal(info->model, "Controller of memory?");
	assert_string_equal(info->firmware, "");
	assert_int_equal(info->vendor, 0x1b36);
	assert_int_equal(info->version, 0x20000);
	assert_int_equal(info->max_queues, FAKE_QUEUES);
	assert_int_equal(info->max_depth, 255);
	assert_int_equal(info->page_size, 4096);
	assert_int_equal(info->max_transfer, 4096 << 5);
	assert_false(info->sgl || info->dbbuf);
	fake_run();
	assert_int_equal(fake.aers, 4);
	assert_int_equal(fake.events_wanted, 0x11f);

	ns = plx_nvme_ns_next(ctrl, 0);
	assert_int_equal(plx_nvme_ns_info(ns)->nsid, 1);
	assert_int_equal(plx_nvme_ns_info(ns)->block_size, 512);
	assert_int_equal(plx_nvme_ns_info(ns)->blocks, FAKE_BLOCKS);
	assert_int_equal(plx_nvme_ns_info(ns)->unit, 512);
	ns = plx_nvme_ns_next(ctrl, 1);
	assert_int_equal(plx_nvme_ns_info(ns)->block_size, 4096);
	assert_int_equal(plx_nvme_ns_info(ns)->lbaf, 1);
	assert_ptr_equal(plx_nvme_ns_get(ctrl, 2), ns);
	assert_null(plx_nvme_ns_next(ctrl, 2));
	assert_null(plx_nvme_ns_get(ctrl, 3));
}

static void test_shutdown(void **state)
{
	(void)state;
	fake_plug("");
	fake_unplug();
	assert_int_equal(fake.shutdowns, 1);
	assert_int_equal(fake.pci_resets, 0);
	assert_false(fake_read(NVME_CC) & NVME_CC_EN);
}

static void test_page_sizes(void **state)
{
	static const struct {
		uint8_t min, max;
		size_t page;
	} rows[] = { { 0, 4, 4096 }, { 1, 4, 8192 }, { 2, 2, 16384 }, { 9, 9, 2 << 20 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		again();
		fake.conf.mpsmin = rows[i].min;
		fake.conf.mpsmax = rows[i].max;
		fake.conf.mdts = 0;
		assert_int_equal(plx_nvme_ctrl_info(fake_plug(""))->page_size, rows[i].page);
	}
	again();
	fake.conf.mpsmin = fake.conf.mpsmax = 10;
	assert_int_equal(fake_try(""), -EOPNOTSUPP);
	again();
	fake.conf.mpsmin = 3;
	fake.conf.mpsmax = 2;
	assert_int_equal(fake_try(""), -EOPNOTSUPP);
}

/* What limits I/O queues doesn't limit the admin queue [Base 3.1.3.1]. */
static void test_small_queues(void **state)
{
	(void)state;
	for (uint16_t entries = 2; entries < 10; entries++) {
		struct plx_nvme_qpair *q;

		again();
		fake.conf.mqes = entries - 1;
		fake.conf.aerl = 255;
		assert_int_equal(plx_nvme_qpair_create(fake_plug(""),
						       &(struct plx_nvme_qpair_opts){ 0 }, &q),
				 0);
		assert_int_equal(plx_nvme_qpair_depth(q), entries - 1);
		assert_int_equal(fake.q[0].size, NVME_ADMIN_DEPTH + 1);
	}
}

/* Of a device in another process only the doorbells are mapped. */
static void test_sparse(void **state)
{
	(void)state;
	fake.conf.sparse = true;
	assert_int_equal(plx_nvme_ctrl_info(fake_plug(""))->max_queues, FAKE_QUEUES);
	again();
	fake.no_doorbells = true;
	assert_int_equal(fake_try(""), -ENODEV);
}

static void test_never_ready(void **state)
{
	(void)state;
	fake.never_ready = true;
	assert_int_equal(fake_try(""), -ETIMEDOUT);
}

static void test_gone_at_probe(void **state)
{
	(void)state;
	fake.gone = true;
	assert_int_equal(fake_try(""), -ENODEV);
}

/* The kernel's driver was there before, and left it running: it is disabled first. */
static void test_left_enabled(void **state)
{
	(void)state;
	fake.left_on = true;
	fake_plug("");
	assert_int_equal(fake.enables, 1);
	assert_int_equal(fake.disables, 1);
}

static void test_doesnt_stop(void **state)
{
	(void)state;
	fake_plug("");
	fake.stuck = true;
	fake_unplug();
	assert_int_equal(fake.pci_resets, 1);
}

static void test_mute(void **state)
{
	(void)state;
	fake.mute = true;
	assert_int_equal(fake_try(""), -ETIMEDOUT);
}

/* Each allocation fails in turn: nothing is left, and in the end all goes well. */
static void test_no_memory(void **state)
{
	int nth, err = -ENOMEM;

	(void)state;
	for (nth = 1; err; nth++) {
		again();
		fake.conf.oacs = PLX_NVME_OACS_DBBUF;
		fake.fail_dma = nth;
		err = fake_try("");
		assert_true(!err || err == -ENOMEM);
	}
	assert_true(nth > 5);
}

static void test_commands_fail(void **state)
{
	static const struct {
		uint8_t opcode;
		int err;
	} rows[] = { { PLX_NVME_IDENTIFY, -EIO }, { PLX_NVME_SET_FEATURES, -EIO } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		again();
		fake.fail_admin = rows[i].opcode;
		assert_int_equal(fake_try(""), rows[i].err);
	}
}

static void test_arguments(void **state)
{
	static const char *const bad[] = { "sgl=no",
					   "queues=0",
					   "queues=65535",
					   "queues=",
					   "queues=1x",
					   "keep-alive=3600001",
					   "page=",
					   "page=0",
					   "cmb=yes",
					   "depth=3",
					   "queues=99999999999999999999",
					   "sgl=off,x=y" };
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		again();
		assert_int_equal(fake_try(bad[i]), -EINVAL);
	}
	again();
	fake.conf.sgls = 1;
	fake.conf.oacs = PLX_NVME_OACS_DBBUF;
	fake.conf.kas = 10;
	ctrl = fake_plug("sgl=off,queues=2,dbbuf=off,keep-alive=1500");
	assert_int_equal(plx_nvme_ctrl_info(ctrl)->max_queues, 2);
	assert_false(plx_nvme_ctrl_info(ctrl)->sgl || plx_nvme_ctrl_info(ctrl)->dbbuf);
	assert_int_equal(fake.keep_alive, 2000);
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	fake_run();
	assert_int_equal(fake.keep_alives, 1);
}

/* A page that was asked for, and those that the controller hasn't got. */
static void test_page(void **state)
{
	static const char *const bad[] = { "page=4096", "page=65536", "page=8193", "page=12288" };
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	fake.conf.mpsmin = 1;
	fake.conf.mpsmax = 3;
	ctrl = fake_plug("page=32768");
	assert_int_equal(plx_nvme_ctrl_info(ctrl)->page_size, 32768);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		again();
		fake.conf.mpsmin = 1;
		fake.conf.mpsmax = 3;
		assert_int_equal(fake_try(bad[i]), -EINVAL);
	}
}

static void test_optional_parts(void **state)
{
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	fake.conf.sgls = 2;
	fake.conf.oacs = PLX_NVME_OACS_DBBUF;
	fake.conf.mdts = 0;
	ctrl = fake_plug("");
	assert_true(plx_nvme_ctrl_info(ctrl)->sgl);
	assert_true(plx_nvme_ctrl_info(ctrl)->dbbuf);
	assert_int_equal(plx_nvme_ctrl_info(ctrl)->max_transfer, 0);

	/* Where the doorbells are memory, only if somebody asks for it. */
	for (int asked = 0; asked < 2; asked++) {
		again();
		fake.conf.oacs = PLX_NVME_OACS_DBBUF;
		fake.conf.served = true;
		ctrl = fake_plug(asked ? "dbbuf=on" : "");
		assert_int_equal(plx_nvme_ctrl_info(ctrl)->dbbuf, asked);
	}
}

static void test_admin(void **state)
{
	const struct plx_nvme_cmd unknown = { .opcode = 0xc1 };
	struct plx_nvme_id_ctrl id;
	struct plx_nvme_ctrl *ctrl;
	uint32_t value = 0;
	uint8_t log[64];

	(void)state;
	ctrl = fake_plug("");
	assert_int_equal(plx_nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, &id), 0);
	assert_int_equal(id.vid, 0x1b36);
	assert_int_equal(plx_nvme_identify(ctrl, PLX_NVME_CNS_NVM_SETS, 0, &id),
			 PLX_NVME_INVALID_FIELD);
	assert_int_equal(plx_nvme_admin(ctrl, &unknown, NULL, 0, NULL), PLX_NVME_INVALID_OPCODE);
	assert_string_equal(plx_nvme_error(PLX_NVME_INVALID_OPCODE), "Invalid Command Opcode");
	assert_int_equal(plx_nvme_get_log(ctrl, PLX_NVME_LOG_SMART, PLX_NVME_NSID_ALL, 0, log, 64),
			 0);
	assert_int_equal(log[63], PLX_NVME_LOG_SMART);
	assert_int_equal(plx_nvme_get_log(ctrl, PLX_NVME_LOG_SMART, 0, 0, log, 63), -EINVAL);
	assert_int_equal(plx_nvme_get_log(ctrl, PLX_NVME_LOG_SMART, 0, 2, log, 4), -EINVAL);
	assert_int_equal(plx_nvme_get_log(ctrl, PLX_NVME_LOG_SMART, 0, 0, log, 0), -EINVAL);
	assert_int_equal(plx_nvme_set_feature(ctrl, PLX_NVME_FEAT_QUEUES, 0, 0, &value), 0);
	assert_int_equal(value, (FAKE_QUEUES - 1) * 0x10001);
	assert_int_equal(plx_nvme_set_feature(ctrl, PLX_NVME_FEAT_POWER, 0, 0, &value),
			 PLX_NVME_INVALID_FIELD);
}

/* What comes besides type and code doesn't count, and the controller's own words are no failure. */
static void test_admin_statuses(void **state)
{
	const struct plx_nvme_cmd cmd = { .opcode = 0xc1 };
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	ctrl = fake_plug("");
	fake.fail_admin = cmd.opcode;
	fake.fail_admin_status = PLX_NVME_INVALID_FIELD | 3u << 11 | PLX_NVME_MORE | PLX_NVME_DNR;
	assert_int_equal(plx_nvme_admin(ctrl, &cmd, NULL, 0, NULL), PLX_NVME_INVALID_FIELD);
	fake.fail_admin_status = PLX_NVME_HOST_PATHING_ERROR;
	assert_int_equal(plx_nvme_admin(ctrl, &cmd, NULL, 0, NULL), PLX_NVME_HOST_PATHING_ERROR);
	assert_int_equal(plx_nvme_ctrl_state(ctrl), 0);
}

static void test_admin_timeout(void **state)
{
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_id_ctrl id;

	(void)state;
	ctrl = fake_plug("");
	fake.mute = true;
	assert_int_equal(plx_nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, &id), -ETIMEDOUT);
	assert_int_equal(plx_nvme_ctrl_state(ctrl), -EIO);
	assert_false(fake.master);
	assert_int_equal(plx_nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, &id), -EIO);
	fake.mute = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, &id), 0);
	assert_int_equal(fake.aers, 4);
}

/* It has failed, and says so: nothing will be answered, and nobody need wait. */
static void test_admin_fatal(void **state)
{
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_id_ctrl id;

	(void)state;
	ctrl = fake_plug("");
	fake.mute = true;
	fake_write(NVME_CSTS, NVME_CSTS_RDY | NVME_CSTS_CFS);
	assert_int_equal(plx_nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, &id), -EIO);
	assert_int_equal(plx_nvme_ctrl_state(ctrl), -EIO);
	assert_false(fake.master);
	fake.mute = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, &id), 0);
}

/* A command that moves more than it was given room for hits nothing else, up to a page. */
static void test_admin_moves_more(void **state)
{
	const struct plx_nvme_cmd cmd = { .opcode = PLX_NVME_IDENTIFY,
					  .cdw10 = htole32(PLX_NVME_CNS_CTRL) };
	struct plx_nvme_ctrl *ctrl;
	uint8_t data[64 + 8];

	(void)state;
	ctrl = fake_plug("");
	memset(data, 0xee, sizeof(data));
	assert_int_equal(plx_nvme_admin(ctrl, &cmd, data, 64, NULL), 0);
	assert_memory_equal(data, "\x36\x1b", 2);
	for (unsigned i = 64; i < sizeof(data); i++)
		assert_int_equal(data[i], 0xee);
}

static void test_format(void **state)
{
	const struct plx_nvme_format to_512 = { .lbaf = 0 }, bad = { .lbaf = 64 };
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	ctrl = fake_plug("");
	assert_int_equal(plx_nvme_format(ctrl, 2, &to_512), 0);
	assert_int_equal(plx_nvme_ns_info(plx_nvme_ns_get(ctrl, 2))->block_size, 512);
	assert_int_equal(plx_nvme_format(ctrl, 2, &bad), -EINVAL);
}

static struct plx_nvme_event got[8];
static unsigned ngot;

static void on_event(void *arg, const struct plx_nvme_event *event)
{
	assert_ptr_equal(arg, got);
	got[ngot++] = *event;
}

static void test_events(void **state)
{
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	ngot = 0;
	ctrl = fake_plug("");
	plx_nvme_on_event(ctrl, on_event, got);
	fake_run();
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	assert_int_equal(ngot, 0);
	assert_true(fake_event(0x020101)); /* SMART, temperature, log 2 */
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	assert_int_equal(ngot, 1);
	assert_int_equal(got[0].type, PLX_NVME_EVENT_SMART);
	assert_int_equal(got[0].info, 1);
	assert_int_equal(got[0].log, PLX_NVME_LOG_SMART);
	fake_run();
	assert_int_equal(fake.aers, 4); /* asked for again */

	fake.conf.ns[1].active = false;
	assert_true(fake_event(0x040002)); /* notice, namespace attributes, log 4 */
	assert_non_null(plx_nvme_ns_get(ctrl, 2));
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	assert_int_equal(ngot, 2);
	assert_null(plx_nvme_ns_get(ctrl, 2));
	fake.conf.ns[1].active = true;
	assert_int_equal(plx_nvme_rescan(ctrl), 0);
	assert_non_null(plx_nvme_ns_get(ctrl, 2));
}

/* Of those that wait, the one that came first. */
static void test_events_in_order(void **state)
{
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	ngot = 0;
	ctrl = fake_plug("");
	plx_nvme_on_event(ctrl, on_event, got);
	fake_run();
	for (uint32_t info = 0; info < 3; info++)
		assert_true(fake_event(0x020001 | info << 8));
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	assert_int_equal(ngot, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(got[i].info, i);
}

/* One that isn't answered is waited for without holding up anybody, and then there's a reset. */
static void test_keep_alive_is_late(void **state)
{
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	fake.conf.kas = 1;
	ctrl = fake_plug("keep-alive=100");
	fake.never_alive = true;
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	fake_run();
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	assert_int_equal(fake.keep_alives, 1);
	assert_int_equal(fake.enables, 1);
	usleep(120000);
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	assert_int_equal(fake.enables, 2);
	fake.never_alive = false;
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	fake_run();
	assert_int_equal(fake.keep_alives, 2);
	usleep(120000);
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	assert_int_equal(fake.enables, 2);
}

static void test_keep_alive_turns_off(void **state)
{
	const struct plx_nvme_qpair_opts opts = { .policy = PLX_NVME_TIMEOUT_FAIL };
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_qpair *q;

	(void)state;
	fake.conf.kas = 1;
	ctrl = fake_plug("keep-alive=100");
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q), 0);
	fake.never_alive = true;
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	usleep(120000);
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), -EIO);
	assert_int_equal(fake.enables, 1);
	assert_false(fake.master);
}

/*
 * What a controller says of itself costs neither minutes nor all the memory there is. Most of the
 * namespaces that are looked at are only counted here.
 */
static void test_immoderate(void **state)
{
	(void)state;
	for (unsigned no_list = 0; no_list < 2; no_list++) {
		struct plx_nvme_ctrl *ctrl;

		again();
		ctrl = fake_plug("");
		assert_int_equal(ctrl->ns_count, 2);
		ctrl->ns_count = NVME_NS_MAX - 1;
		fake.conf.nn = UINT32_MAX - 1;
		fake.conf.no_list = no_list;
		fake.conf.rtd3e = UINT32_MAX;
		assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
		assert_int_equal(ctrl->shutdown_ms, 60000);
		assert_non_null(plx_nvme_ns_get(ctrl, 3));
		assert_null(plx_nvme_ns_next(ctrl, 3));
		assert_int_equal(plx_nvme_rescan(ctrl), 0);
		assert_null(plx_nvme_ns_next(ctrl, 3));
	}
}

/* A command may transfer less than a page: what is longer is split. */
static void test_small_transfers(void **state)
{
	const struct plx_nvme_qpair_opts opts = { 0 }, less = { .max_transfer = 4096 };
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_qpair *q;

	(void)state;
	fake.conf.mpsmax = 4;
	fake.conf.mdts = 1;
	ctrl = fake_plug("page=65536");
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q), 0);
	assert_int_equal(q->split_len, 8192);
	assert_int_equal(plx_nvme_qpair_create(ctrl, &less, &q), -EINVAL);
}

static void test_undo_fails(void **state)
{
	const struct plx_nvme_qpair_opts opts = { 0 };
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_qpair *q;

	(void)state;
	ctrl = fake_plug("");
	fake.fail_admin = PLX_NVME_CREATE_SQ;
	fake.fail_admin_too = PLX_NVME_DELETE_CQ;
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q), PLX_NVME_INTERNAL_ERROR);
	/* It has a completion queue in memory that isn't ours any more. */
	assert_false(fake.master);
	fake.fail_admin = fake.fail_admin_too = 0xff;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q), 0);
	assert_int_equal(plx_nvme_qpair_id(q), 1);
}

static char said[512];

static void keep_error(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	if (level == PLX_LOG_ERR)
		snprintf(said, sizeof(said), "%s", line);
}

/* Why it isn't ready is said. */
static void test_why_not_ready(void **state)
{
	(void)state;
	plx_log_set_sink(keep_error, NULL);
	fake.fatal = true;
	assert_int_equal(fake_try(""), -EIO);
	assert_non_null(strstr(said, "fatal"));
	again();
	fake.never_ready = true;
	assert_int_equal(fake_try(""), -ETIMEDOUT);
	assert_non_null(strstr(said, "not ready after"));
}

static void test_vanishes(void **state)
{
	struct plx_nvme_ctrl *ctrl;
	struct plx_nvme_id_ctrl id;

	(void)state;
	ctrl = fake_plug("");
	fake.gone = true;
	fake_run();
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), -ENODEV);
	assert_int_equal(plx_nvme_identify(ctrl, PLX_NVME_CNS_CTRL, 0, &id), -ENODEV);
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), -ENODEV);
}

static void test_bad_admin_completion(void **state)
{
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	ctrl = fake_plug("");
	fake_post(0, 0xfffe, 0, 0);
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), -EIO);
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
}

/* A namespace whose format makes no sense is passed over, the other is there. */
static void test_odd_namespaces(void **state)
{
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	fake.conf.ns[0].lbads = 3;
	ctrl = fake_plug("");
	assert_null(plx_nvme_ns_get(ctrl, 1));
	assert_non_null(plx_nvme_ns_get(ctrl, 2));
	fake.conf.ns[0].lbads = 40;
	assert_int_equal(plx_nvme_rescan(ctrl), 0);
	assert_null(plx_nvme_ns_get(ctrl, 1));
	fake.conf.ns[0].lbads = 9;
	fake.conf.ns[0].ms = 8;
	fake.conf.ns[0].extended = true;
	fake.conf.ns[0].pi = 1;
	assert_int_equal(plx_nvme_rescan(ctrl), 0);
	assert_int_equal(plx_nvme_ns_info(plx_nvme_ns_get(ctrl, 1))->unit, 520);
	assert_int_equal(plx_nvme_ns_info(plx_nvme_ns_get(ctrl, 1))->pi, 1);
}

static void test_queue_limits(void **state)
{
	struct plx_nvme_qpair *q[FAKE_QUEUES + 1];
	struct plx_nvme_qpair_opts opts = { .depth = 256 };
	struct plx_nvme_ctrl *ctrl;

	(void)state;
	fake.conf.vectors = 3;
	ctrl = fake_plug("");
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[0]), -EINVAL);
	opts = (struct plx_nvme_qpair_opts){ .max_transfer = 4096 << 6 };
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[0]), -EINVAL);
	opts.max_transfer = 2048;
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[0]), -EINVAL);
	opts = (struct plx_nvme_qpair_opts){ .depth = 255 };
	for (unsigned i = 0; i < FAKE_QUEUES; i++) {
		assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[i]), 0);
		assert_int_equal(plx_nvme_qpair_id(q[i]), i + 1);
		assert_int_equal(plx_nvme_qpair_depth(q[i]), 255);
		assert_int_equal(fake.q[i + 1].size, 256);
	}
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[FAKE_QUEUES]), -ENOSPC);
	plx_nvme_qpair_destroy(q[1]);
	plx_nvme_qpair_destroy(q[3]);
	opts.irq = true;
	opts.depth = 0;
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[1]), 0);
	assert_int_equal(plx_nvme_qpair_id(q[1]), 2);
	assert_int_equal(plx_nvme_qpair_depth(q[1]), 128);
	assert_true(fake.q[2].irq);
	assert_int_equal(plx_nvme_qpair_fd(q[1]), fake.eventfd[2]);
	assert_int_equal(plx_nvme_qpair_fd(q[0]), -EINVAL);
	/* Queue 4 would have vector 4, and there are three. */
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[3]), -ENOSPC);
	fake.fail_admin = PLX_NVME_CREATE_SQ;
	opts.irq = false;
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[3]), PLX_NVME_INTERNAL_ERROR);
	assert_int_equal(fake.q[4].cq, 0);
	fake.fail_admin = 0xff;
	for (int nth = 1; nth <= 3; nth++) {
		fake.fail_dma = nth;
		assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[3]), -ENOMEM);
	}
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q[3]), 0);
}

static void test_status_names(void **state)
{
	(void)state;
	assert_string_equal(plx_nvme_status_name(PLX_NVME_LBA_OUT_OF_RANGE | PLX_NVME_DNR),
			    "LBA Out of Range");
	assert_string_equal(plx_nvme_status_name(0x7c1), "vendor specific status");
	assert_string_equal(plx_nvme_status_name(0x0c1), "vendor specific status");
	assert_string_equal(plx_nvme_status_name(0x07f), "unknown status");
	assert_string_equal(plx_nvme_error(0), "success");
	assert_string_equal(plx_nvme_error(-ENODEV), "No such device");
	fake_plug("");
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		CASE(test_bring_up),
		CASE(test_shutdown),
		CASE(test_page_sizes),
		CASE(test_small_queues),
		CASE(test_sparse),
		CASE(test_never_ready),
		CASE(test_gone_at_probe),
		CASE(test_left_enabled),
		CASE(test_doesnt_stop),
		CASE(test_mute),
		CASE(test_no_memory),
		CASE(test_commands_fail),
		CASE(test_arguments),
		CASE(test_optional_parts),
		CASE(test_admin),
		CASE(test_admin_timeout),
		CASE(test_admin_fatal),
		CASE(test_admin_moves_more),
		CASE(test_format),
		CASE(test_events),
		CASE(test_events_in_order),
		CASE(test_keep_alive_is_late),
		CASE(test_keep_alive_turns_off),

		CASE(test_small_transfers),
		CASE(test_immoderate),
		CASE(test_undo_fails),
		CASE(test_why_not_ready),
		CASE(test_admin_statuses),
		CASE(test_vanishes),
		CASE(test_bad_admin_completion),
		CASE(test_odd_namespaces),
		CASE(test_queue_limits),
		CASE(test_status_names),
		CASE(test_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
