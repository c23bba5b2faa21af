/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An NVMe controller that is reset, fails, or is gone; and queue pairs that go while they are at
 * work. Whatever it is, every request's callback runs once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "nvme_rig.h"

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
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)
	static const struct CMUnitTest tests[] = {
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
		CASE(test_broken_and_reset),
		CASE(test_smaller_transfers_after_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
