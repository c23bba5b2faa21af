/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <pollux/log.h>

#include "nvme_rig.h"

struct plx_nvme_ctrl *ctrl;
struct plx_nvme_qpair *q;
struct plx_nvme_ns *ns1, *ns2;
uint8_t *buf;

struct request requests[REQUESTS];

static void drop_line(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

int rig_setup(void **state)
{
	*state = NULL;
	plx_log_set_sink(drop_line, NULL);
	fake_init();
	memset(requests, 0, sizeof(requests));
	return 0;
}

int rig_teardown(void **state)
{
	(void)state;
	fake_unplug();
	return 0;
}

void start_with(struct plx_nvme_qpair_opts opts)
{
	opts.depth = DEPTH;
	ctrl = fake_plug("");
	assert_int_equal(plx_nvme_qpair_create(ctrl, &opts, &q), 0);
	ns1 = plx_nvme_ns_get(ctrl, 1);
	ns2 = plx_nvme_ns_get(ctrl, 2);
	buf = fake_buffer(4 << 20);
}

void start(enum plx_nvme_timeout_policy policy)
{
	start_with((struct plx_nvme_qpair_opts){ .policy = policy });
}

void done(void *arg, uint16_t status, uint32_t result)
{
	struct request *r = arg;

	(void)result;
	r->done++;
	r->status = status;
}

void submit(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		assert_int_equal(plx_nvme_read(q, ns1, buf + 512 * i, i, 1, done, &requests[i]), 0);
	plx_nvme_kick(q);
	fake_run();
}

void check(unsigned first, unsigned count, uint16_t status)
{
	for (unsigned i = first; i < first + count; i++) {
		assert_int_equal(requests[i].done, 1);
		assert_int_equal(requests[i].status, status);
	}
}

void finish(unsigned count)
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

unsigned aborts_out(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < NVME_ABORTS_MAX; i++)
		count += !!ctrl->aborts[i];
	return count;
}

void time_passes(void)
{
	for (uint32_t i = 0; i <= q->timeout_ticks; i++)
		nvme_tick(q);
	fake_run();
}
