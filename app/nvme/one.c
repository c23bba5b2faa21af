/* SPDX-License-Identifier: BSD-3-Clause */
#include <pollux/log.h>

#include "one.h"

enum exit_code one_open(struct one *one, struct session *s, struct plx_nvme_ctrl *ctrl,
			size_t memory)
{
	const struct plx_nvme_qpair_opts opts = { .depth = 1 };
	int err;

	*one = (struct one){ 0 };
	err = plx_nvme_qpair_create(ctrl, &opts, &one->q);
	if (err) {
		plx_err("no queue pair: %s", plx_nvme_error(err));
		return EXIT_RUNTIME;
	}
	one->memory = session_memory(s, memory, plx_nvme_ctrl_info(ctrl)->node);
	if (one->memory)
		return EXIT_OK;
	one_close(one, s);
	return EXIT_RUNTIME;
}

void one_close(struct one *one, struct session *s)
{
	plx_nvme_qpair_destroy(one->q);
	session_free(s, one->memory);
}

void one_done(void *arg, uint16_t status, uint32_t result)
{
	struct one *one = arg;

	one->done = true;
	one->status = status;
	one->result = result;
}

int one_wait(struct one *one, int err)
{
	while (err >= 0 && !one->done)
		err = plx_nvme_poll(one->q, 0);
	one->done = false;
	return err < 0 ? err : one->status;
}
