/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the first block of an NVMe controller's first namespace and prints how it begins.
 *
 *      cc read_block.c -o read_block $(pkg-config --cflags --libs pollux-nvme)
 *      ./read_block -a 0000:01:00.0
 */
#include <stdbool.h>
#include <stdio.h>

#include <pollux/nvme.h>
#include <pollux/pci.h>

struct answer {
	bool done;
	uint16_t status;
};

/* Runs inside plx_nvme_poll(). */
static void done(void *arg, uint16_t status, uint32_t result)
{
	(void)result;
	*(struct answer *)arg = (struct answer){ .done = true, .status = status };
}

/* A queue pair is its thread's alone; memory for devices is mapped, and that is all it takes. */
static int read_first(struct plx_nvme_ctrl *ctrl)
{
	const struct plx_nvme_ns *ns = plx_nvme_ns_next(ctrl, 0);
	struct plx_ioas *ioas = plx_nvme_ctrl_ioas(ctrl);
	struct plx_nvme_qpair *q = NULL;
	struct plx_dma buf = { 0 };
	struct answer answer = { 0 };
	int ret;

	if (!ns)
		return -1;
	ret = plx_nvme_qpair_create(ctrl, &(struct plx_nvme_qpair_opts){ .depth = 1 }, &q);
	if (!ret)
		ret = plx_dma_alloc(ioas, plx_nvme_ns_info(ns)->unit, 4096,
				    plx_nvme_ctrl_info(ctrl)->node, &buf);
	if (!ret)
		ret = plx_nvme_read(q, ns, buf.va, 0, 1, done, &answer);
	while (ret >= 0 && !answer.done)
		ret = plx_nvme_poll(q, 0); /* tells the controller, too */
	if (ret >= 0)
		ret = answer.status;
	if (ret)
		fprintf(stderr, "reading: %s\n", plx_nvme_error(ret));
	for (unsigned i = 0; !ret && i < 16; i++)
		printf("%02x%c", ((const uint8_t *)buf.va)[i], i < 15 ? ' ' : '\n');
	plx_nvme_qpair_destroy(q);
	plx_dma_free(ioas, &buf);
	return ret;
}

/* The bus takes its options out of argv; its functions log what went wrong. */
int main(int argc, char **argv)
{
	struct plx_nvme_ctrl *ctrl = NULL;
	struct plx_ioas *ioas = NULL;
	struct plx_pci_bus *bus;
	struct plx_policy policy;
	struct plx_pci *pci;
	int err;

	if (plx_pci_scan(&argc, argv, &bus))
		return 2;
	if (argc > 1)
		fprintf(stderr, "usage: %s [-a DEVICE]\n", argv[0]);
	err = argc > 1 ? -1 : plx_pci_policy(bus, &policy);
	if (!err)
		err = plx_ioas_create(&policy, &ioas);
	if (!err)
		err = plx_pci_probe(bus, ioas) < 0;
	for (unsigned i = 0; !err && !ctrl && (pci = plx_pci_at(bus, i)); i++)
		ctrl = plx_nvme_ctrl_get(pci);
	if (!err && !ctrl)
		fprintf(stderr, "no NVMe controller is bound to vfio-pci\n");
	if (!err)
		err = ctrl ? read_first(ctrl) : -1;
	plx_pci_cleanup(bus);
	if (ioas)
		plx_ioas_destroy(ioas);
	return err != 0;
}
