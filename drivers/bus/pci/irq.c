/* SPDX-License-Identifier: BSD-3-Clause */
/* Message-signalled interrupts: an eventfd a vector. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <linux/vfio.h>

#include "bus.h"
#include "sys.h"

/*
 * Finds the kind to use, and how many vectors it has. One MSI vector is all we take of that kind.
 */
static int irq_kind(struct plx_pci *pci, unsigned *index, unsigned *count)
{
	struct plx_vfio_irq irq;
	int err;

	err = plx_vfio_irq(pci->vfio, VFIO_PCI_MSIX_IRQ_INDEX, &irq);
	if (!err && irq.count) {
		*index = VFIO_PCI_MSIX_IRQ_INDEX;
		*count = irq.count;
		return 0;
	}
	err = plx_vfio_irq(pci->vfio, VFIO_PCI_MSI_IRQ_INDEX, &irq);
	if (!err && irq.count) {
		*index = VFIO_PCI_MSI_IRQ_INDEX;
		*count = 1;
		return 0;
	}
	return -ENODEV;
}

static void close_fds(int *fds, unsigned from, unsigned to)
{
	while (to > from)
		plx_sys->close(fds[--to]);
}

/* Puts an eventfd in each of fds[from..to-1]; all or none. */
static int open_fds(int *fds, unsigned from, unsigned to)
{
	unsigned i;
	int err;

	for (i = from; i < to; i++) {
		fds[i] = plx_sys->eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fds[i] < 0) {
			err = -errno;
			close_fds(fds, from, i);
			return err;
		}
	}
	return 0;
}

int plx_pci_irq_enable(struct plx_pci *pci, unsigned count)
{
	struct pci_fn *fn = pci_fn(pci);
	unsigned have = fn->irq_count, index, limit;
	int *fds, err;

	if (!count)
		return -EINVAL;
	if (count <= have)
		return 0;
	if (!pci->vfio)
		return -ENODEV;
	err = irq_kind(pci, &index, &limit);
	if (err)
		return err;
	if (count > limit)
		return -ENOSPC;
	fds = plx_sys->alloc(count * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	if (have)
		memcpy(fds, fn->irq_fd, have * sizeof(*fds));
	err = open_fds(fds, have, count);
	if (err)
		goto free_fds;
	err = plx_vfio_irq_set(pci->vfio, index, have, count - have, fds + have);
	if (err)
		goto close_fds;
	plx_sys->free(fn->irq_fd);
	fn->irq_fd = fds;
	fn->irq_index = index;
	fn->irq_count = count;
	return 0;

close_fds:
	close_fds(fds, have, count);
free_fds:
	plx_sys->free(fds);
	return err;
}

void plx_pci_irq_disable(struct plx_pci *pci)
{
	struct pci_fn *fn = pci_fn(pci);

	if (!fn->irq_count)
		return;
	/*
	 * Closing an eventfd that the kernel still holds is harmless, so an error changes nothing.
	 */
	plx_vfio_irq_off(pci->vfio, fn->irq_index);
	close_fds(fn->irq_fd, 0, fn->irq_count);
	plx_sys->free(fn->irq_fd);
	fn->irq_fd = NULL;
	fn->irq_count = 0;
}

int plx_pci_irq_fd(const struct plx_pci *pci, unsigned vector)
{
	const struct pci_fn *fn = (const struct pci_fn *)pci;

	return vector < fn->irq_count ? fn->irq_fd[vector] : -EINVAL;
}

int plx_pci_irq_fire(struct plx_pci *pci, unsigned vector)
{
	const struct pci_fn *fn = pci_fn(pci);

	if (vector >= fn->irq_count)
		return -EINVAL;
	return plx_vfio_irq_fire(pci->vfio, fn->irq_index, vector);
}
