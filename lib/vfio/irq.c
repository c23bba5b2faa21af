/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts. What is connected is remembered for each index, so that a set can be taken down and
 * set again: to grow it where the kernel can't (NORESIZE), and after a reset.
 *
 * The eventfds stay the caller's, who keeps them open as long as they are connected.
 */
#include <errno.h>
#include <string.h>

#include "dev.h"
#include "uapi.h"

/* Asks about an index, once. Lock held. */
static int query(struct plx_vfio_dev *dev, unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	struct plx_irq_state *irq;
	unsigned int i;
	int err;

	if (index >= dev->num_irqs)
		return -EINVAL;
	irq = &dev->irq[index];
	if (irq->known)
		return 0;
	err = dev->ops->irq_info(dev, &info);
	if (err == -EINVAL) {
		/* VFIO's way to say that the device has no such interrupts (ERR, REQ). */
		irq->known = true;
		return 0;
	}
	if (err)
		return err;
	if (info.count > PLX_VFIO_MAX_VECTORS)
		return -EOVERFLOW;
	if (info.count) {
		irq->fd = plx_sys->alloc(info.count * sizeof(*irq->fd));
		if (!irq->fd)
			return -ENOMEM;
	}
	for (i = 0; i < info.count; i++)
		irq->fd[i] = -1;
	irq->info.count = info.count;
	irq->info.eventfd = info.flags & VFIO_IRQ_INFO_EVENTFD;
	irq->info.maskable = info.flags & VFIO_IRQ_INFO_MASKABLE;
	irq->info.automasked = info.flags & VFIO_IRQ_INFO_AUTOMASKED;
	irq->info.noresize = info.flags & VFIO_IRQ_INFO_NORESIZE;
	irq->known = true;
	return 0;
}

/* SET_IRQS without data: count 0 turns an index off, otherwise one vector is acted on. */
static int act(struct plx_vfio_dev *dev, unsigned int index, uint32_t action, unsigned int vector,
	       unsigned int count)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | action,
		.index = index,
		.start = vector,
		.count = count,
	};
	int err = dev->ops->set_irqs(dev, &set);

	return err > 0 ? -EIO : err;
}

/* Connects vectors in the kernel. */
static int arm(struct plx_vfio_dev *dev, unsigned int index, unsigned int start, unsigned int count,
	       const int *fds)
{
	struct vfio_irq_set *set;
	size_t size = sizeof(*set) + count * sizeof(int32_t);
	int err;

	set = plx_sys->alloc(size);
	if (!set)
		return -ENOMEM;
	set->argsz = size;
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->start = start;
	set->count = count;
	memcpy(set->data, fds, count * sizeof(int32_t));
	err = dev->ops->set_irqs(dev, set);
	plx_sys->free(set);
	/* More vectors than the system has left: the kernel returns how many there are. */
	return err > 0 ? -ENOSPC : err;
}

static int turn_off(struct plx_vfio_dev *dev, unsigned int index)
{
	int err = act(dev, index, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);

	dev->irq[index].size = 0;
	return err;
}

/* Takes an index down and sets all that is remembered of it, size vectors. */
static int set_again(struct plx_vfio_dev *dev, unsigned int index, unsigned int size)
{
	struct plx_irq_state *irq = &dev->irq[index];
	int off = turn_off(dev, index);
	int err = arm(dev, index, 0, size, irq->fd);

	if (!err)
		irq->size = size;
	/* EINVAL: it was off, as after a reset. Anything else may be why it couldn't be set. */
	return err && off && off != -EINVAL ? off : err;
}

/* INTx, MSI and MSI-X exclude each other. */
static bool excluded(const struct plx_vfio_dev *dev, unsigned int index)
{
	unsigned int i;

	if (index > VFIO_PCI_MSIX_IRQ_INDEX)
		return false;
	for (i = 0; i <= VFIO_PCI_MSIX_IRQ_INDEX && i < dev->num_irqs; i++)
		if (i != index && dev->irq[i].size)
			return true;
	return false;
}

static bool connected(const struct plx_irq_state *irq)
{
	unsigned int i;

	for (i = 0; i < irq->info.count; i++)
		if (irq->fd[i] >= 0)
			return true;
	return false;
}

/* Makes the kernel's set what irq->fd says, vectors start..end-1 having changed. */
static int update(struct plx_vfio_dev *dev, unsigned int index, unsigned int start,
		  unsigned int end)
{
	struct plx_irq_state *irq = &dev->irq[index];
	int err;

	if (!connected(irq))
		return irq->size ? turn_off(dev, index) : 0;
	if (!irq->size || (end > irq->size && irq->info.noresize))
		return set_again(dev, index, end > irq->size ? end : irq->size);
	err = arm(dev, index, start, end - start, irq->fd + start);
	if (!err && end > irq->size)
		irq->size = end;
	return err;
}

static int set_vectors(struct plx_vfio_dev *dev, unsigned int index, unsigned int start,
		       unsigned int count, const int *fds)
{
	struct plx_irq_state *irq = &dev->irq[index];
	unsigned int size = irq->size, i;
	int *old, err;

	if (!irq->info.count)
		return -ENODEV;
	if (!count || start >= irq->info.count || count > irq->info.count - start)
		return -EINVAL;
	for (i = 0; i < count; i++)
		if (fds[i] < -1)
			return -EINVAL;
	if (!irq->info.eventfd)
		return -EOPNOTSUPP;
	if (excluded(dev, index))
		return -EBUSY;
	old = plx_sys->alloc(count * sizeof(*old));
	if (!old)
		return -ENOMEM;
	memcpy(old, irq->fd + start, count * sizeof(*old));
	memcpy(irq->fd + start, fds, count * sizeof(*old));
	err = update(dev, index, start, start + count);
	if (err) {
		/* As it was before; a set that was on comes back if the kernel lets it. */
		memcpy(irq->fd + start, old, count * sizeof(*old));
		if (size)
			set_again(dev, index, size);
	}
	plx_sys->free(old);
	return err;
}

int plx_vfio_irq(struct plx_vfio_dev *dev, unsigned index, struct plx_vfio_irq *irq)
{
	int err;

	pthread_mutex_lock(&dev->lock);
	err = query(dev, index);
	if (!err)
		*irq = dev->irq[index].info;
	pthread_mutex_unlock(&dev->lock);
	return err;
}

int plx_vfio_irq_set(struct plx_vfio_dev *dev, unsigned index, unsigned start, unsigned count,
		     const int *eventfds)
{
	int err;

	pthread_mutex_lock(&dev->lock);
	err = query(dev, index);
	if (!err)
		err = set_vectors(dev, index, start, count, eventfds);
	pthread_mutex_unlock(&dev->lock);
	return err;
}

static int off(struct plx_vfio_dev *dev, unsigned int index)
{
	struct plx_irq_state *irq = &dev->irq[index];
	unsigned int i;

	for (i = 0; i < irq->info.count; i++)
		irq->fd[i] = -1;
	return irq->size ? turn_off(dev, index) : 0;
}

int plx_vfio_irq_off(struct plx_vfio_dev *dev, unsigned index)
{
	int err;

	pthread_mutex_lock(&dev->lock);
	err = query(dev, index);
	if (!err)
		err = off(dev, index);
	pthread_mutex_unlock(&dev->lock);
	return err;
}

/* One action on one vector of a set that is on. */
static int act_on(struct plx_vfio_dev *dev, unsigned int index, uint32_t action,
		  unsigned int vector)
{
	int err;

	pthread_mutex_lock(&dev->lock);
	err = query(dev, index);
	if (!err && vector >= dev->irq[index].size)
		err = -EINVAL;
	if (!err && action != VFIO_IRQ_SET_ACTION_TRIGGER && !dev->irq[index].info.maskable)
		err = -EOPNOTSUPP;
	if (!err)
		err = act(dev, index, action, vector, 1);
	pthread_mutex_unlock(&dev->lock);
	return err;
}

int plx_vfio_irq_mask(struct plx_vfio_dev *dev, unsigned index)
{
	return act_on(dev, index, VFIO_IRQ_SET_ACTION_MASK, 0);
}

int plx_vfio_irq_unmask(struct plx_vfio_dev *dev, unsigned index)
{
	return act_on(dev, index, VFIO_IRQ_SET_ACTION_UNMASK, 0);
}

int plx_vfio_irq_fire(struct plx_vfio_dev *dev, unsigned index, unsigned vector)
{
	return act_on(dev, index, VFIO_IRQ_SET_ACTION_TRIGGER, vector);
}

int plx_vfio_irq_restore(struct plx_vfio_dev *dev)
{
	unsigned int i;
	int first_err = 0;

	pthread_mutex_lock(&dev->lock);
	for (i = 0; i < dev->num_irqs; i++) {
		struct plx_irq_state *irq = &dev->irq[i];
		unsigned int size;
		int err;

		/* Also what an earlier restore failed to put back. */
		for (size = irq->info.count; size && irq->fd[size - 1] < 0; size--)
			;
		if (!size)
			continue;
		err = set_again(dev, i, size);
		if (err && !first_err)
			first_err = err;
	}
	pthread_mutex_unlock(&dev->lock);
	return first_err;
}

void plx_irq_fini(struct plx_vfio_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->num_irqs; i++) {
		if (dev->irq[i].size)
			turn_off(dev, i);
		plx_sys->free(dev->irq[i].fd);
	}
}
