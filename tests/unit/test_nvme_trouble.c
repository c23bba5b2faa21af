/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes wrong with an NVMe controller: lies, silence, failures, resets, its disappearance. And
 * whatever it is, every request's callback runs once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "nvme_fake.h"

#define DEPTH 8

static struct plx_nvme_ctrl *ctrl;
static struct plx_nvme_qpair *q;
static struct plx_nvme_ns *ns1, *ns2;
static uint8_t *buf;

/* One request each; how often its callback ran, and with what. */
static struct request {
	unsigned done;
	uint16_t status;
} requests[64];

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
	memset(requests, 0, sizeof(requests));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unplug();
	return 0;
}

static void start_with(struct plx_nvme_qpair_opts opts)
{
	opts.depth = DEPTH;
	ctrl = fake_plug("");
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q), 0);
	ns1 = plx_nvme_ns_get(ctrl, 1);
	ns2 = plx_nvme_ns_get(ctrl, 2);
	buf = fake_buffer(4 << 20);
}

static void start(enum plx_nvme_timeout_policy policy)
{
	start_with((struct plx_nvme_qpair_opts){ .policy = policy });
}

static void done(void *arg, uint16_t status, uint32_t result)
{
	struct request *r = arg;

	(void)result;
	r->done++;
	r->status = status;
}

static void submit(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		assert_int_equal(plx_nvme_read(q, ns1, buf + 512 * i, i, 1, done, &requests[i]), 0);
	plx_nvme_kick(q);
	fake_run();
}

/* All of them are done, once, with a status. */
static void check(unsigned first, unsigned count, uint16_t status)
{
	for (unsigned i = first; i < first + count; i++) {
		assert_int_equal(requests[i].done, 1);
		assert_int_equal(requests[i].status, status);
	}
}

/* Polls until everything is done. */
static void finish(unsigned count)
{
	unsigned sum = 0;

	for (unsigned turn = 0; turn < 100 && sum < count; turn++) {
		plx_nvme_poll(q, 0);
		fake_run();
		sum = 0;
		for (unsigned i = 0; i < count; i++)
			sum += requests[i].done;
	}
	assert_int_equal(sum, count);
	assert_int_equal(fake_free(q), DEPTH);
}

static unsigned aborts_out(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < NVME_ABORTS_MAX; i++)
		count += !!ctrl->aborts[i];
	return count;
}

/* As much time as a command may take. */
static void time_passes(void)
{
	for (uint32_t i = 0; i <= q->timeout_ticks; i++)
		nvme_tick(q);
	fake_run();
}

static void test_bad_ids(void **state)
{
	static const uint16_t ids[] = { DEPTH, 0x7fff, 0xffff, 5 /* not in flight */ };

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct plx_nvme_qpair_stats stats;

		fake_unplug();
		fake_init();
		memset(requests, 0, sizeof(requests));
		start(PLX_NVME_TIMEOUT_ABORT);
		fake.hold = true;
		submit(0, 3);
		fake_post(1, ids[i], 0, 0);
		assert_int_equal(plx_nvme_poll(q, 0), -EIO);
		plx_nvme_qpair_stats(q, &stats);
		assert_int_equal(stats.bad_completions, 1);
		check(0, 3, PLX_NVME_HOST_PATHING_ERROR);
		/* The queue is deleted, so no answer can come any more; the controller lives. */
		assert_int_equal(fake.q[1].cq, 0);
		assert_int_equal(plx_nvme_ctrl_state(ctrl), 0);
		assert_int_equal(plx_nvme_poll(q, 0), -EIO);
		assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, &requests[9]), -EIO);
		/* A reset of the controller makes it again. */
		fake.held = 0;
		fake.hold = false;
		assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
		assert_int_equal(plx_nvme_poll(q, 0), 0);
		submit(10, 1);
		assert_int_equal(plx_nvme_poll(q, 0), 1);
		check(10, 1, 0);
	}
}

/* The same answer twice. */
static void test_answered_twice(void **state)
{
	uint16_t cid;

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 2);
	cid = fake.held_cid[0];
	fake_post(1, cid, 0, 0);
	fake_post(1, cid, 0, 0);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	check(0, 1, 0);
	check(1, 1, PLX_NVME_HOST_PATHING_ERROR);
}

/* A second answer to a command whose place is another's by now isn't that one's. */
static void test_stale_id(void **state)
{
	uint16_t cid;

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	submit(0, 1);
	cid = fake.seen[0].cmd.cid;
	finish(1);
	fake.hold = true;
	submit(1, 1);
	assert_int_equal(fake_free(q), DEPTH - 1);
	fake_post(1, cid, 0, 0);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	assert_int_equal(q->bad_completions, 1);
	check(1, 1, PLX_NVME_HOST_PATHING_ERROR);
}

/* Nor is the answer of before a retry that of the retry. */
static void test_stale_id_of_retry(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.fail_status = PLX_NVME_NAMESPACE_NOT_READY;
	fake.fail_count = 1;
	submit(0, 1);
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	fake.hold = true;
	fake_run();
	fake_post(1, fake.seen[0].cmd.cid, 0, 0);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	check(0, 1, PLX_NVME_HOST_PATHING_ERROR);
}

/* All bits of an id that no index takes are used before one comes again; never all ones. */
static void test_ids(void **state)
{
	enum { DEEP = 64, INDICES = 128, USES = 65536 / INDICES };

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	plx_nvme_qpair_destroy(q);
	assert_int_equal(
		plx_nvme_qpair_create(ctrl, &(struct plx_nvme_qpair_opts){ .depth = DEEP }, &q), 0);
	fake.hold = true;
	for (unsigned i = 0; i < DEEP - 1; i++)
		assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, &requests[1]), 0);
	plx_nvme_kick(q);
	fake_run();
	fake.hold = false;
	for (unsigned i = 0; i <= USES; i++) {
		unsigned id = DEEP - 1 + i % USES * INDICES;

		memset(requests, 0, sizeof(requests));
		submit(0, 1);
		assert_int_equal(plx_nvme_poll(q, 0), 1);
		check(0, 1, 0);
		assert_int_equal(fake.seen[(fake.nseen - 1) % FAKE_LOG_MAX].cmd.cid, id);
		assert_int_not_equal(id, UINT16_MAX);
	}
	fake.held = 0;
}

static void test_retries(void **state)
{
	struct plx_nvme_qpair_stats stats;

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.fail_status = PLX_NVME_NAMESPACE_NOT_READY;
	fake.fail_count = 3;
	submit(0, 1);
	finish(1);
	check(0, 1, 0);
	plx_nvme_qpair_stats(q, &stats);
	assert_int_equal(stats.retries, 3);
	assert_int_equal(fake.nseen, 4);

	fake.fail_count = 100;
	submit(1, 1);
	finish(2);
	check(1, 1, PLX_NVME_NAMESPACE_NOT_READY);
	assert_int_equal(fake.nseen, 4 + 5);
	assert_int_equal(fake.fail_count, 95);

	fake.fail_status |= PLX_NVME_DNR;
	submit(2, 1);
	finish(3);
	check(2, 1, PLX_NVME_NAMESPACE_NOT_READY | PLX_NVME_DNR);
	assert_int_equal(fake.fail_count, 94);
}

/* A command that is sent again says the same but for its id, whatever was kept of it. */
static void test_retries_alike(void **state)
{
	const uint64_t lba = UINT64_C(0x100000002);

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.fail_status = PLX_NVME_NAMESPACE_NOT_READY;
	fake.fail_count = 2;
	assert_int_equal(plx_nvme_write(q, ns1, buf + 4096, 7, 8, done, &requests[0]), 0);
	assert_int_equal(plx_nvme_read(q, ns2, buf, lba, 1, done, &requests[1]), 0);
	finish(2);
	check(0, 1, 0);
	check(1, 1, PLX_NVME_LBA_OUT_OF_RANGE | PLX_NVME_DNR);
	assert_int_equal(fake.nseen, 4);
	for (unsigned i = 0; i < 2; i++) {
		struct plx_nvme_cmd *cmd = &fake.seen[i].cmd, *again = &fake.seen[i + 2].cmd;

		assert_int_not_equal(cmd->cid, again->cid);
		again->cid = cmd->cid;
		assert_memory_equal(cmd, again, sizeof(*cmd));
	}
	assert_int_equal(fake.seen[2].cmd.cdw12, 7);
	assert_int_equal(fake.seen[3].cmd.cdw11, 1);
}

static void test_no_retries(void **state)
{
	(void)state;
	start_with((struct plx_nvme_qpair_opts){ .retries = -1 });
	fake.fail_status = PLX_NVME_NAMESPACE_NOT_READY;
	fake.fail_count = 1;
	submit(0, 1);
	finish(1);
	check(0, 1, PLX_NVME_NAMESPACE_NOT_READY);
}

/* A late command is aborted, and isn't tried again. The others go on. */
static void test_abort(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 2);
	fake.hold = false;
	submit(2, 1);
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	time_passes();
	finish(3);
	check(0, 2, PLX_NVME_ABORTED_BY_REQUEST);
	check(2, 1, 0);
	assert_int_equal(q->timeouts, 2);
	assert_int_equal(q->resets, 0);
	nvme_tick(q); /* takes the answers to Abort */
	assert_int_equal(aborts_out(), 0);
}

/* More than may be aborted at a time: the rest has its turn later. */
static void test_abort_limit(void **state)
{
	(void)state;
	fake.conf.acl = 1;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 5);
	time_passes();
	assert_int_equal(aborts_out(), 2);
	assert_int_equal(q->timeouts, 2);
	for (unsigned i = 0; i < 3; i++) {
		nvme_tick(q);
		fake_run();
	}
	finish(5);
	check(0, 5, PLX_NVME_ABORTED_BY_REQUEST);
	assert_int_equal(q->resets, 0);
}

/* What isn't wanted any more is aborted for the asking: told by its argument, and once. */
static void test_abort_by_request(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 3);
	assert_int_equal(plx_nvme_abort(q, &requests[9]), 0);
	assert_int_equal(plx_nvme_abort(q, &requests[1]), 1);
	assert_int_equal(plx_nvme_abort(q, &requests[1]), 0);
	fake_run();
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	check(1, 1, PLX_NVME_ABORTED_BY_REQUEST);
	assert_int_equal(requests[0].done + requests[2].done, 0);
	assert_int_equal(plx_nvme_abort(q, &requests[1]), 0);
	assert_int_equal(aborts_out(), 0);
	assert_int_equal(q->timeouts, 0);
	assert_int_equal(plx_nvme_abort(q, &requests[0]), 1);
	assert_int_equal(plx_nvme_abort(q, &requests[2]), 1);
	fake_run();
	finish(3);
	check(0, 1, PLX_NVME_ABORTED_BY_REQUEST);
	check(2, 1, PLX_NVME_ABORTED_BY_REQUEST);
}

/* All commands of a request that was split, as many at a time as may be; no further one is sent. */
static void test_abort_split(void **state)
{
	unsigned asked;

	(void)state;
	fake.conf.acl = 1;
	start_with((struct plx_nvme_qpair_opts){ .max_transfer = 4096 });
	fake.hold = true;
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 32, done, &requests[0]), 0);
	plx_nvme_kick(q);
	fake_run();
	asked = fake.nseen;
	assert_int_equal(plx_nvme_abort(q, &requests[0]), 2);
	assert_int_equal(plx_nvme_abort(q, &requests[0]), -EAGAIN);
	for (unsigned turn = 0; turn < DEPTH / 2; turn++) {
		fake_run();
		plx_nvme_abort(q, &requests[0]);
	}
	finish(1);
	check(0, 1, PLX_NVME_ABORTED_BY_REQUEST);
	assert_int_equal(fake.nseen, asked);
}

/* The command is answered before its Abort, which could hit another one: none has its id till then.
 */
static void test_abort_crosses(void **state)
{
	uint16_t cid;

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = fake.holds_abort = true;
	submit(0, 1);
	cid = fake.held_cid[0];
	assert_int_equal(plx_nvme_abort(q, &requests[0]), 1);
	fake_run();
	fake_release(0);
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	assert_int_equal(requests[0].done, 0);
	assert_int_equal(plx_nvme_abort(q, &requests[0]), 0);
	/* The others go on. Their ids would come round to it. */
	for (unsigned i = 0; i < 3 * 65536 / 16; i++) {
		unsigned seen = fake.nseen;

		memset(&requests[1], 0, sizeof(requests[1]));
		submit(1, 1);
		assert_int_equal(plx_nvme_poll(q, 0), 1);
		assert_int_not_equal(fake.seen[seen % FAKE_LOG_MAX].cmd.cid, cid);
	}
	assert_int_equal(requests[0].done, 0);
	fake_post(1, cid, 0, 0);
	fake_abort();
	assert_int_equal(plx_nvme_poll(q, 0), -EIO); /* twice is once too often */
	check(0, 1, 0);
}

static void test_abort_crosses_and_is_answered(void **state)
{
	const uint16_t status = PLX_NVME_LBA_OUT_OF_RANGE | PLX_NVME_DNR;

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = fake.holds_abort = true;
	submit(0, 2);
	assert_int_equal(plx_nvme_abort(q, &requests[1]), 1);
	fake_run();
	fake_release(status);
	assert_int_equal(plx_nvme_poll(q, 0), 2);
	check(0, 1, status);
	assert_int_equal(requests[1].done, 0);
	fake_abort();
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	check(1, 1, status);
	assert_int_equal(fake_free(q), DEPTH);
}

/* The next piece of a long request waits as well. */
static void test_abort_crosses_split(void **state)
{
	(void)state;
	start_with((struct plx_nvme_qpair_opts){ .max_transfer = 4096 });
	fake.hold = fake.holds_abort = true;
	assert_int_equal(plx_nvme_read(q, ns2, buf, 0, DEPTH + 1, done, &requests[0]), 0);
	plx_nvme_kick(q);
	fake_run();
	time_passes(); /* all are late, and some aborted */
	assert_int_equal(aborts_out(), 4);
	fake_release(0);
	assert_int_equal(plx_nvme_poll(q, 0), DEPTH);
	fake_run();
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	assert_int_equal(fake.nseen, DEPTH + 1);
	assert_int_equal(requests[0].done, 0);
	fake_abort();
	finish(1);
	check(0, 1, 0);
	assert_memory_equal(buf, fake.conf.ns[1].data, (DEPTH + 1) * 4096);
}

/* A reset ends the waiting: what was answered is done, and isn't sent again. */
static void test_abort_crosses_reset(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = fake.holds_abort = true;
	submit(0, 2);
	time_passes();
	assert_int_equal(aborts_out(), 2);
	fake_release(0);
	assert_int_equal(plx_nvme_poll(q, 0), 2);
	assert_int_equal(requests[0].done + requests[1].done, 0);
	/* No answer comes: that is late, too. */
	time_passes();
	assert_int_equal(fake.enables, 2);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	check(0, 2, 0);
	assert_int_equal(fake_free(q), DEPTH);
	assert_int_equal(q->retried, 0);
	assert_int_equal(aborts_out(), 0);
}

/* The queue pair goes; and while the Abort is out, none has its id. */
static void test_abort_crosses_destroy(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = fake.holds_abort = true;
	submit(0, 1);
	assert_int_equal(plx_nvme_abort(q, &requests[0]), 1);
	fake_run();
	fake_release(0);
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	plx_nvme_qpair_destroy(q);
	check(0, 1, 0);
	assert_int_equal(plx_nvme_qpair_create(ctrl, &(struct plx_nvme_qpair_opts){ 0 }, &q), 0);
	assert_int_equal(plx_nvme_qpair_id(q), 2);
	plx_nvme_qpair_destroy(q);
	fake_abort();
	assert_int_equal(plx_nvme_qpair_create(ctrl, &(struct plx_nvme_qpair_opts){ 0 }, &q), 0);
	assert_int_equal(plx_nvme_qpair_id(q), 1);
}

/* The controller won't: the request's own end is what counts. Nor is there anyone to ask later. */
static void test_abort_in_vain(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = fake.ignores_abort = true;
	submit(0, 1);
	assert_int_equal(plx_nvme_abort(q, &requests[0]), 1);
	fake_run();
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	assert_int_equal(requests[0].done, 0);
	fake_post(1, fake.held_cid[0], 0, 0);
	fake.held = 0;
	assert_int_equal(plx_nvme_poll(q, 0), 1);
	check(0, 1, 0);

	submit(1, 1);
	fake.gone = true;
	fake_run();
	assert_int_equal(plx_nvme_abort(q, &requests[1]), -EAGAIN);
	assert_int_equal(plx_nvme_poll(q, 0), -ENODEV);
	assert_int_equal(plx_nvme_abort(q, &requests[1]), -ENODEV);
}

/* As many Aborts as there may be are never answered: that is no reason to wait for ever. */
static void test_abort_never(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 3);
	for (unsigned i = 0; i < ctrl->abort_limit; i++)
		ctrl->aborts[i] = q->id | 0xfff0u << 16;
	time_passes();
	assert_int_equal(fake.enables, 1);
	fake.hold = false;
	time_passes();
	assert_int_equal(fake.enables, 2);
	assert_int_equal(q->timeouts, 1);
	finish(3);
	check(0, 3, 0);
}

/* What isn't wanted any more isn't sent again, whatever comes between. */
static void test_abort_and_reset(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = fake.ignores_abort = true;
	submit(0, 3);
	assert_int_equal(plx_nvme_abort(q, &requests[1]), 1);
	fake.hold = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	finish(3);
	check(0, 1, 0);
	check(1, 1, PLX_NVME_ABORTED_BY_HOST);
	check(2, 1, 0);
	assert_int_equal(q->retried, 2);
}

/* Who sleeps between polls has few of them: each looks at the clock. */
static void test_late_with_interrupts(void **state)
{
	(void)state;
	start_with((struct plx_nvme_qpair_opts){ .irq = true, .timeout_ms = 16 });
	fake.hold = true;
	submit(0, 1);
	q->next_tick = 0;
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	assert_int_equal(q->tick, 1);
	/* However long it is told to sleep: what is late is found out in time. */
	assert_int_equal(plx_nvme_wait(q, 10000), 1);
	assert_int_equal(plx_nvme_wait(q, -1), 1);
	assert_int_equal(plx_nvme_wait(q, 0), 0);
	fake.hold = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_wait(q, 0), 1);
	finish(1);
	check(0, 1, 0);
}

/* Abort doesn't help: the controller is reset, and the commands are sent again. */
static void test_abort_then_reset(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = fake.ignores_abort = true;
	submit(0, 3);
	time_passes();
	assert_int_equal(fake.enables, 1);
	fake.hold = false;
	time_passes();
	assert_int_equal(fake.enables, 2);
	finish(3);
	check(0, 3, 0);
	assert_int_equal(q->resets, 1);
	assert_int_equal(q->retried, 3);
	assert_int_equal(plx_nvme_ctrl_state(ctrl), 0);
}

/* The policy that starts with a reset; and retries are bounded there, too. */
static void test_reset_again_and_again(void **state)
{
	(void)state;
	start_with((struct plx_nvme_qpair_opts){ .policy = PLX_NVME_TIMEOUT_RESET, .retries = 2 });
	fake.hold = true;
	submit(0, 2);
	for (unsigned i = 1; i <= 3; i++) {
		time_passes();
		assert_int_equal(fake.enables, 1 + i);
		assert_int_equal(requests[0].done, 0);
		assert_int_equal(plx_nvme_poll(q, 0), 0);
		fake_run();
	}
	check(0, 2, PLX_NVME_ABORTED_BY_HOST);
	assert_int_equal(fake_free(q), DEPTH);
}

static void test_fail_policy(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_FAIL);
	fake.hold = true;
	submit(0, 2);
	time_passes();
	assert_false(fake.master);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	check(0, 2, PLX_NVME_HOST_PATHING_ERROR);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), -EIO);
	assert_int_equal(plx_nvme_ctrl_state(ctrl), -EIO);
	fake.hold = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), -EAGAIN);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	submit(2, 1);
	finish(3);
	check(2, 1, 0);
}

/* A reset by hand with requests in flight, one of which had been answered before. */
static void test_reset_by_hand(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	submit(0, 1);
	fake.hold = true;
	submit(1, 4);
	fake.hold = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	submit(5, 2); /* knows nothing of it yet */
	finish(7);
	check(0, 7, 0);
	assert_int_equal(q->retried, 6);
	for (unsigned i = 0; i < 7; i++)
		assert_memory_equal(buf + i * 512, fake.conf.ns[0].data + i * 512, 512);
}

/* Two queue pairs, of which each finds out by itself. */
static void test_reset_of_two(void **state)
{
	const struct plx_nvme_qpair_opts opts = { .depth = DEPTH };
	struct plx_nvme_qpair *other, *first;

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &other), 0);
	first = q;
	fake.hold = true;
	submit(0, 3);
	q = other;
	submit(3, 3);
	fake.hold = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_false(fake.q[1].on || fake.q[2].on);
	q = first;
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	assert_true(fake.q[1].on && !fake.q[2].on);
	assert_int_equal(requests[3].done, 0);
	q = other;
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	fake_run();
	assert_int_equal(plx_nvme_poll(first, 0), 3);
	assert_int_equal(plx_nvme_poll(q, 0), 3);
	check(0, 6, 0);
}

/* It doesn't come up again: everything is done with an error, and the queue says so. */
static void test_reset_fails(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 4);
	fake.never_ready = true;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), -ETIMEDOUT);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	check(0, 4, PLX_NVME_HOST_PATHING_ERROR);
	assert_false(fake.master);
}

/* It is up again, but makes no queue. */
static void test_recovery_fails(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 4);
	fake.fail_admin = PLX_NVME_CREATE_CQ;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	check(0, 4, PLX_NVME_HOST_PATHING_ERROR);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), -EIO);
}

/* While it doesn't stop, its DMA may go on: nothing is given back before the bus has reset it. */
static void test_doesnt_stop(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_FAIL);
	fake.hold = true;
	submit(0, 1);
	fake.stuck = true;
	time_passes();
	assert_int_equal(fake.pci_resets, 1);
	assert_false(fake.master);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	check(0, 1, PLX_NVME_HOST_PATHING_ERROR);
}

static void test_fatal_status(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 2);
	fake.hold = false;
	fake_write(NVME_CSTS, NVME_CSTS_RDY | NVME_CSTS_CFS);
	nvme_tick(q);
	assert_int_equal(fake.enables, 2);
	finish(2);
	check(0, 2, 0);
}

/* Who looks after the controller anyway spares the queues' threads that. */
static void test_fatal_status_is_seen_elsewhere(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	q->tick_ms = 3600000;
	fake.hold = true;
	submit(0, 2);
	fake.hold = false;
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	fake_write(NVME_CSTS, NVME_CSTS_RDY | NVME_CSTS_CFS);
	nvme_tick(q);
	assert_int_equal(fake.enables, 1);
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), 0);
	assert_int_equal(fake.enables, 2);
	finish(2);
	check(0, 2, 0);
	/* It looks no more: then they do. */
	fake_write(NVME_CSTS, NVME_CSTS_RDY | NVME_CSTS_CFS);
	ctrl->looked -= q->tick_ms;
	nvme_tick(q);
	assert_int_equal(fake.enables, 3);
}

static void test_fatal_status_turns_off(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_FAIL);
	fake_write(NVME_CSTS, NVME_CSTS_RDY | NVME_CSTS_CFS);
	assert_int_equal(plx_nvme_ctrl_poll(ctrl), -EIO);
	assert_false(fake.master);
	assert_int_equal(fake.enables, 1);
}

static void test_gone(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, DEPTH);
	fake.gone = true;
	fake_run();
	nvme_tick(q);
	assert_int_equal(plx_nvme_poll(q, 0), -ENODEV);
	check(0, DEPTH, PLX_NVME_HOST_PATHING_ERROR);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, done, NULL), -ENODEV);
	assert_int_equal(plx_nvme_ctrl_state(ctrl), -ENODEV);
	/* Only tried, and quickly: no waiting for what is gone. */
	assert_int_equal(fake.pci_resets, 0);
}

static void test_destroy_in_flight(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	submit(0, 2);
	fake.hold = true;
	submit(2, 3);
	plx_nvme_qpair_destroy(q);
	check(0, 2, 0);
	check(2, 3, PLX_NVME_ABORTED_BY_HOST);
	assert_int_equal(fake.q[1].cq, 0);
}

/* The queue can't be deleted: the controller goes off, so that nothing is written any more. */
static void test_destroy_fails(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 3);
	fake.fail_admin = PLX_NVME_DELETE_SQ;
	plx_nvme_qpair_destroy(q);
	check(0, 3, PLX_NVME_ABORTED_BY_HOST);
	assert_false(fake.master);
}

/* The application forgot about it. */
static void test_left_behind(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	fake.hold = true;
	submit(0, 3);
	fake_unplug();
	check(0, 3, PLX_NVME_ABORTED_BY_HOST);
}

/* A request of many commands has one callback, in a reset and when nothing helps. */
static void test_split_and_reset(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_RESET);
	fake.hold = true;
	assert_int_equal(plx_nvme_read(q, ns2, buf, 0, 700, done, &requests[0]), 0);
	plx_nvme_kick(q);
	fake_run();
	assert_int_equal(fake_free(q), 0);
	fake.hold = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	finish(1);
	check(0, 1, 0);
	assert_memory_equal(buf, fake.conf.ns[1].data, 700 * 4096);

	fake.hold = true;
	assert_int_equal(plx_nvme_read(q, ns2, buf, 0, 700, done, &requests[1]), 0);
	plx_nvme_kick(q);
	fake_run();
	fake.gone = true;
	fake_run();
	nvme_tick(q);
	assert_int_equal(plx_nvme_poll(q, 0), -ENODEV);
	check(1, 1, PLX_NVME_HOST_PATHING_ERROR);
	assert_int_equal(fake_free(q), DEPTH);
}

/* Callbacks that go on at once don't meet their own new requests among the lost. */
static unsigned resubmitted;

static void resubmit(void *arg, uint16_t status, uint32_t result)
{
	(void)result;
	(void)arg;
	resubmitted++;
	if (status == PLX_NVME_ABORTED_BY_HOST)
		assert_int_equal(plx_nvme_read(q, ns1, buf, 1, 1, done, &requests[resubmitted]), 0);
}

static void test_resubmit_in_recovery(void **state)
{
	(void)state;
	start_with((struct plx_nvme_qpair_opts){ .retries = -1 });
	resubmitted = 0;
	fake.hold = true;
	for (unsigned i = 0; i < DEPTH; i++)
		assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, resubmit, NULL), 0);
	plx_nvme_kick(q);
	fake_run();
	fake.hold = false;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	assert_int_equal(resubmitted, DEPTH);
	fake_run();
	assert_int_equal(plx_nvme_poll(q, 0), DEPTH);
	check(1, DEPTH, 0);
}

/* A queue pair that goes away: what its callbacks still find, and that they can begin nothing. */
static struct {
	unsigned calls;
	uint16_t status;
	bool owned; /* its id */
	const struct plx_nvme_cmd *tail;
} last;

static void go_on(void *arg, uint16_t status, uint32_t result)
{
	(void)arg;
	(void)result;
	last.calls++;
	last.status = status;
	last.owned = ctrl->qid_used[1] && LIST_FIRST(&ctrl->qpairs) == q;
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, go_on, NULL), -EIO);
	plx_nvme_kick(q);
	last.tail = q->fast.tail;
}

static void test_resubmit_in_destroy(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	memset(&last, 0, sizeof(last));
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, go_on, NULL), 0);
	plx_nvme_kick(q);
	fake_run();
	fake.hold = true;
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, go_on, NULL), 0);
	plx_nvme_kick(q);
	fake_run();
	plx_nvme_qpair_destroy(q);
	assert_int_equal(last.calls, 2);
	assert_int_equal(last.status, PLX_NVME_ABORTED_BY_HOST);
	assert_true(last.owned);
	assert_int_equal(ctrl->qid_used[1], 0);
	/* Deleting the queues left the doorbell as it was. */
	assert_int_equal(fake_read(NVME_DOORBELLS + 8), 2);
}

/* Of a long request, the rest stays where it is. */
static void test_split_in_destroy(void **state)
{
	const struct plx_nvme_cmd *tail;

	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	memset(&last, 0, sizeof(last));
	assert_int_equal(plx_nvme_read(q, ns2, buf, 0, 700, go_on, NULL), 0);
	plx_nvme_kick(q);
	tail = q->fast.tail;
	fake_run();
	plx_nvme_qpair_destroy(q);
	assert_int_equal(last.calls, 1);
	assert_int_equal(last.status, PLX_NVME_ABORTED_BY_HOST);
	assert_ptr_equal(last.tail, tail);
	assert_int_equal(fake_read(NVME_DOORBELLS + 8), DEPTH);
}

/* As many Aborts as the controller takes at a time, but the admin queue has other things to do. */
static void test_aborts_leave_room(void **state)
{
	struct plx_nvme_qpair *other;

	(void)state;
	fake.conf.acl = 255;
	fake.conf.aerl = 255;
	start(PLX_NVME_TIMEOUT_ABORT);
	plx_nvme_qpair_destroy(q);
	assert_int_equal(
		plx_nvme_qpair_create(ctrl, &(struct plx_nvme_qpair_opts){ .depth = 64 }, &q), 0);
	other = q;
	fake.hold = true;
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(plx_nvme_read(q, ns1, buf, i, 1, done, &requests[i]), 0);
	plx_nvme_kick(q);
	fake_run();
	for (uint32_t i = 0; i <= other->timeout_ticks; i++)
		nvme_tick(q);
	assert_true(aborts_out());
	plx_nvme_qpair_destroy(q);
	assert_int_equal(plx_nvme_ctrl_state(ctrl), 0);
}

/* Another thread's reset comes between an answer that was never asked for and what follows. */
static void reset_it(void *arg, uint16_t status, uint32_t result)
{
	done(arg, status, result);
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
}

static void test_broken_and_reset(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, reset_it, &requests[0]), 0);
	plx_nvme_kick(q);
	fake_run();
	fake_post(1, 0xffff, 0, 0);
	assert_int_equal(plx_nvme_poll(q, 0), -EIO);
	check(0, 1, 0);
	/* The queue was gone already: that is no reason to turn the controller off. */
	assert_int_equal(plx_nvme_ctrl_state(ctrl), 0);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	submit(1, 1);
	finish(2);
}

/* Its answers come faster than they are taken, and it doesn't mind that there is no room. */
static void answer_at_once(void *arg, uint16_t status, uint32_t result)
{
	done(arg, status, result);
	if (requests[0].done == 100)
		return;
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, answer_at_once, arg), 0);
	plx_nvme_kick(q);
	fake_write(NVME_DOORBELLS + 12, fake.q[1].tail);
	fake_run();
}

static void test_poll_ends(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 1, answer_at_once, &requests[0]), 0);
	plx_nvme_kick(q);
	fake_run();
	assert_int_equal(plx_nvme_poll(q, 0), DEPTH);
	assert_int_equal(requests[0].done, DEPTH);
	assert_int_equal(plx_nvme_poll(q, DEPTH + 5), DEPTH + 5);
	while (requests[0].done < 100)
		assert_int_equal(plx_nvme_poll(q, 1), 1);
}

/* New firmware: it takes less at a time than before. */
static void test_smaller_transfers_after_reset(void **state)
{
	(void)state;
	start(PLX_NVME_TIMEOUT_ABORT);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 256, done, &requests[0]), 0);
	finish(1);
	assert_int_equal(fake.nseen, 1);
	fake.conf.mdts = 3;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 256, done, &requests[1]), 0);
	finish(2);
	check(0, 2, 0);
	assert_int_equal(fake.nseen, 5);
	/* More than it was made for it never does. */
	fake.conf.mdts = 7;
	assert_int_equal(plx_nvme_ctrl_reset(ctrl), 0);
	assert_int_equal(plx_nvme_poll(q, 0), 0);
	assert_int_equal(plx_nvme_read(q, ns1, buf, 0, 512, done, &requests[2]), 0);
	finish(3);
	assert_int_equal(fake.nseen, 7);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	static const struct CMUnitTest tests[] = {
		CASE(test_bad_ids),
		CASE(test_answered_twice),
		CASE(test_stale_id),
		CASE(test_stale_id_of_retry),
		CASE(test_ids),
		CASE(test_retries),
		CASE(test_retries_alike),
		CASE(test_no_retries),
		CASE(test_abort),
		CASE(test_abort_limit),
		CASE(test_abort_by_request),
		CASE(test_abort_split),
		CASE(test_abort_crosses),
		CASE(test_abort_crosses_and_is_answered),
		CASE(test_abort_crosses_split),
		CASE(test_abort_crosses_reset),
		CASE(test_abort_crosses_destroy),
		CASE(test_abort_in_vain),
		CASE(test_abort_never),
		CASE(test_abort_and_reset),
		CASE(test_late_with_interrupts),
		CASE(test_abort_then_reset),
		CASE(test_reset_again_and_again),
		CASE(test_fail_policy),
		CASE(test_reset_by_hand),
		CASE(test_reset_of_two),
		CASE(test_reset_fails),
		CASE(test_recovery_fails),
		CASE(test_doesnt_stop),
		CASE(test_fatal_status),
		CASE(test_fatal_status_is_seen_elsewhere),
		CASE(test_fatal_status_turns_off),
		CASE(test_gone),
		CASE(test_destroy_in_flight),
		CASE(test_destroy_fails),
		CASE(test_left_behind),
		CASE(test_split_and_reset),
		CASE(test_resubmit_in_recovery),
		CASE(test_resubmit_in_destroy),
		CASE(test_split_in_destroy),
		CASE(test_aborts_leave_room),
		CASE(test_broken_and_reset),
		CASE(test_poll_ends),
		CASE(test_smaller_transfers_after_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
