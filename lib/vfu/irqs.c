/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts: a vector is the client's eventfd and whether the client masked it. One that is raised
 * while masked is remembered and goes out when it is unmasked. INTx masks itself with each one, as
 * VFIO's does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server.h"
#include "sys.h"

int plx_vfu_irqs_init(struct plx_vfu *vfu, const struct plx_vfu_desc *desc)
{
	unsigned index, i;

	for (index = 0; index < PLX_VFU_IRQS; index++) {
		if (desc->irqs[index] > PLX_VFU_MAX_VECTORS)
			return -EINVAL;
		if (!desc->irqs[index])
			continue;
		vfu->vector[index] = plx_sys->alloc(desc->irqs[index] * sizeof(struct vfu_vector));
		if (!vfu->vector[index])
			return -ENOMEM;
		vfu->vectors[index] = desc->irqs[index];
		for (i = 0; i < vfu->vectors[index]; i++)
			vfu->vector[index][i].fd = -1;
	}
	return 0;
}

void plx_vfu_irqs_fini(struct plx_vfu *vfu)
{
	unsigned index;

	plx_vfu_irqs_off(vfu);
	for (index = 0; index < PLX_VFU_IRQS; index++)
		plx_sys->free(vfu->vector[index]);
}

/* fd: -1, or an eventfd that is the vector's from now on. */
static void connect_vector(struct vfu_vector *vector, int fd)
{
	if (vector->fd >= 0)
		plx_sys->close(vector->fd);
	*vector = (struct vfu_vector){ .fd = fd };
}

void plx_vfu_irqs_off(struct plx_vfu *vfu)
{
	unsigned index, i;

	for (index = 0; index < PLX_VFU_IRQS; index++)
		for (i = 0; i < vfu->vectors[index]; i++)
			connect_vector(&vfu->vector[index][i], -1);
}

void plx_vfu_irqs_reset(struct plx_vfu *vfu)
{
	unsigned index, i;

	for (index = 0; index < PLX_VFU_IRQS; index++)
		for (i = 0; i < vfu->vectors[index]; i++)
			vfu->vector[index][i].masked = vfu->vector[index][i].pending = false;
}

static void raise_vector(struct plx_vfu *vfu, struct vfu_vector *vector, unsigned index)
{
	int err;

	if (vector->fd < 0)
		return;
	if (vector->masked) {
		vector->pending = true;
		return;
	}
	vector->masked = index == VFIO_PCI_INTX_IRQ_INDEX;
	err = plx_vfu_eventfd_signal(vfu, vector->fd);
	if (!err || vfu->client.broken)
		return;
	/* A driver may wait for it for ever: better that it learns. The next poll drops it. */
	vfu->client.broken = err;
	(void)plx_vfu_set_events(vfu);
}

static void unmask(struct plx_vfu *vfu, struct vfu_vector *vector, unsigned index)
{
	bool pending = vector->pending;

	vector->masked = vector->pending = false;
	if (pending)
		raise_vector(vfu, vector, index);
}

void plx_vfu_irq(struct plx_vfu *vfu, unsigned index, unsigned vector)
{
	if (index < PLX_VFU_IRQS && vector < vfu->vectors[index])
		raise_vector(vfu, &vfu->vector[index][vector], index);
}

bool plx_vfu_irq_armed(const struct plx_vfu *vfu, unsigned index, unsigned vector)
{
	return index < PLX_VFU_IRQS && vector < vfu->vectors[index] &&
	       vfu->vector[index][vector].fd >= 0 && !vfu->vector[index][vector].masked;
}

/* Nothing else can be signalled: that is to be known now, not with the first interrupt. */
static int check_eventfd(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(eventfd)];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = plx_sys->readlink(path, target, sizeof(target));
	if (len < 0)
		return -errno;
	return len == sizeof(eventfd) - 1 && !memcmp(target, eventfd, len) ? 0 : -EINVAL;
}

static int connect_all(struct vfu_vector *vector, unsigned count, struct vfu_msg *msg)
{
	unsigned i;
	int err;

	for (i = 0; i < msg->nfds; i++) {
		err = check_eventfd(msg->fds[i]);
		if (err)
			return err;
	}
	for (i = 0; i < count; i++)
		connect_vector(&vector[i], msg->nfds ? msg->fds[i] : -1);
	/* Taken. */
	msg->nfds = 0;
	return 0;
}

int plx_vfu_irqs_set(struct plx_vfu *vfu, const struct vfio_irq_set *set, const uint8_t *bools,
		     struct vfu_msg *msg)
{
	struct vfu_vector *vector = vfu->vector[set->index];
	unsigned i;

	if (!set->count) {
		for (i = 0; i < vfu->vectors[set->index]; i++)
			connect_vector(&vector[i], -1);
		return 0;
	}
	vector += set->start;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set->flags & VFIO_IRQ_SET_ACTION_TRIGGER
			       ? connect_all(vector, set->count, msg)
			       : -ENOTSUP; /* to be told of masking: nobody asks */
	for (i = 0; i < set->count; i++) {
		if (set->flags & VFIO_IRQ_SET_DATA_BOOL && !bools[i])
			continue;
		if (set->flags & VFIO_IRQ_SET_ACTION_MASK)
			vector[i].masked = true;
		else if (set->flags & VFIO_IRQ_SET_ACTION_UNMASK)
			unmask(vfu, &vector[i], set->index);
		else
			raise_vector(vfu, &vector[i], set->index);
	}
	return 0;
}
