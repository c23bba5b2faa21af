/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers that an NVMe controller should not have given, or gives late or never: wrong ids, errors
 * and retries, aborts, time-outs. Whatever it is, every request's callback runs once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "nvme_rig.h"

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

/*
 * The command is answered before its Abort, which could hit another one: none has its id till then.
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

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)
	static const struct CMUnitTest tests[] = {
		CASE(test_bad_ids),
		CASE(test_answered_twice),
		CASE(test_stale_id),
		CASE(test_stale_id_of_retry),
		CASE(test_ids),
		CASE(test_retries),
		CASE(test_retries_alike),
		CASE(test_no_retries),
		CASE(test_poll_ends),
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
		CASE(test_aborts_leave_room),
		CASE(test_late_with_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
