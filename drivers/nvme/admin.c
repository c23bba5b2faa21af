/* SPDX-License-Identifier: BSD-3-Clause */
/* The admin queue: a queue pair like others, but under the controller's lock. */
#include <errno.h>
#include <string.h>

#include <pollux/log.h>

#include "nvme.h"
#include "sys.h"

#define SPINS 2000 /* before sleeping for a millisecond at a time */

struct answer {
	bool done;
	uint16_t status;
	uint32_t result;
};

static void answered(void *arg, uint16_t status, uint32_t result)
{
	struct answer *answer = arg;

	*answer = (struct answer){ .done = true, .status = status, .result = result };
}

int nvme_admin_start(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_cmd *cmd, void *buf,
		     size_t len, plx_nvme_done_fn *done, void *arg)
{
	int err = plx_nvme_io_command(ctrl->admin, cmd, buf, len, done, arg);

	if (!err)
		plx_nvme_kick(ctrl->admin);
	return err;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static int look_at_status(struct plx_nvme_ctrl *ctrl, uint8_t opcode)
{
	int err = nvme_ctrl_look(ctrl);

	if (err == -EIO)
		plx_err("%s: it reports a fatal error instead of answering admin command 0x%02x: "
			"turning the controller off",
			ctrl->info.name, opcode);
	return err;
}

/*
 * -errno: it gave up, and the controller is off. Stopping it completes what is in flight, so the
 * answer has come in any case.
 */
static int wait_for(struct plx_nvme_ctrl *ctrl, struct answer *answer, uint8_t opcode,
		    uint32_t timeout_ms)
{
	uint32_t spins = 0, waited = 0;
	int err = 0;

	for (;;) {
		nvme_process_and_ring(ctrl->admin, 0);
		if (answer->done)
			return 0;
		if (spins++ < SPINS && !ctrl->admin->broken) {
			relax();
			continue;
		}
		if (ctrl->admin->broken || waited == timeout_ms)
			break;
		if (!(waited++ % 128))
			err = look_at_status(ctrl, opcode);
		if (err)
			break;
		plx_sys->sleep_ms(1);
	}
	if (err == -ENODEV)
		return err;
	if (!err && !ctrl->admin->broken)
		plx_err("%s: no answer to admin command 0x%02x after %u ms: turning the controller "
			"off",
			ctrl->info.name, opcode, timeout_ms);
	nvme_ctrl_stop(ctrl, NVME_OFF);
	return ctrl->state == NVME_REMOVED ? -ENODEV : err ? err : -ETIMEDOUT;
}

static int run(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_cmd *cmd, void *buf, size_t len,
	       uint32_t *result, uint32_t timeout_ms)
{
	struct answer answer = { 0 };
	int err = nvme_admin_start(ctrl, cmd, buf, len, answered, &answer);

	if (err)
		return err;
	err = wait_for(ctrl, &answer, cmd->opcode, timeout_ms);
	if (err)
		return err;
	if (result)
		*result = answer.result;
	return answer.status & PLX_NVME_STATUS_CODE;
}

int nvme_admin(struct plx_nvme_ctrl *ctrl, const struct plx_nvme_cmd *cmd, void *buf, size_t len,
	       uint32_t *result, uint32_t timeout_ms)
{
	struct plx_ioas *ioas = ctrl->pci->ioas;
	size_t page = nvme_page_size(ctrl);
	struct plx_dma data;
	int err;

	if (!len)
		return run(ctrl, cmd, NULL, 0, result, timeout_ms);
	if (len > NVME_ADMIN_TRANSFER_MAX)
		return -EINVAL;
	/* Whole pages: a command that moves more than it was given room for hits no ring there. */
	err = plx_dma_alloc(ioas, (len + page - 1) & ~(page - 1), page, ctrl->pci->node, &data);
	if (err)
		return err;
	if (cmd->opcode & PLX_NVME_DATA_OUT)
		memcpy(data.va, buf, len);
	err = run(ctrl, cmd, data.va, len, result, timeout_ms);
	if (!err && cmd->opcode & PLX_NVME_DATA_IN)
		memcpy(buf, data.va, len);
	plx_dma_free(ioas, &data);
	return err;
}
