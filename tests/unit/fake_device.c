/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device files of the fake kernel, after drivers/vfio/{device_cdev,vfio_main}.c and drivers/vfio/
 * pci/vfio_pci_{core,intrs}.c of Linux 6.12.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_kernel.h"

#define REGION_SHIFT 40 /* of a region's index in file offsets */
#define SET_ONLY     (1u << 0 | 1u << 3 | 1u << 4 | 1u << 5) /* VFIO_DEVICE_FEATURE_* */

/*
 * The device behind the file.
 */
static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value;
	at[1] = value >> 8;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value);
	put16(at + 2, value >> 16);
}

static uint16_t command(const struct fake_dev *dev)
{
	return dev->config[PCI_COMMAND] | dev->config[PCI_COMMAND + 1] << 8;
}

bool fake_device_decodes(const struct fake_dev *dev)
{
	return command(dev) & PCI_COMMAND_MEMORY;
}

/* Config space: a header, and capabilities MSI at 0x50 and MSI-X at 0x70. */
void fake_device_prepare(struct fake_dev *dev)
{
	uint8_t *config = dev->config, *link = &config[PCI_CAPABILITY_LIST];

	memset(config, 0, sizeof(dev->config));
	put16(config + PCI_VENDOR_ID, dev->vendor);
	put16(config + PCI_DEVICE_ID, dev->device);
	put32(config + PCI_CLASS_REVISION, dev->class_code << 8);
	put16(config + PCI_STATUS, PCI_STATUS_CAP_LIST);
	config[PCI_INTERRUPT_PIN] = dev->intx;
	if (dev->nmsi) {
		*link = 0x50;
		link = config + 0x51;
		config[0x50] = PCI_CAP_ID_MSI;
	}
	if (dev->nvectors) {
		*link = 0x70;
		config[0x70] = PCI_CAP_ID_MSIX;
		put16(config + 0x70 + PCI_MSIX_FLAGS, dev->nvectors - 1);
		put32(config + 0x70 + PCI_MSIX_TABLE, dev->msix_table | dev->msix_bar);
		put32(config + 0x70 + PCI_MSIX_PBA, dev->msix_pba | dev->msix_bar);
	}
}

static int region_fd(struct fake_dev *dev, unsigned index)
{
	if (dev->memfd[index] < 0) {
		dev->memfd[index] = memfd_create("bar", MFD_CLOEXEC);
		if (ftruncate(dev->memfd[index], (dev->region[index].size + FAKE_PAGE - 1) &
							 ~(uint64_t)(FAKE_PAGE - 1)))
			abort();
	}
	return dev->memfd[index];
}

static void irqs_off(struct fake_dev *dev)
{
	unsigned i;

	for (i = 0; i < FAKE_VECTORS; i++) {
		if (dev->trigger[i] >= 0)
			close(dev->trigger[i]);
		dev->trigger[i] = -1;
	}
	dev->irq_type = FAKE_IRQS;
	dev->nalloc = 0;
	dev->intx_masked = dev->intx_pending = false;
}

static void single_off(struct fake_dev *dev, unsigned index)
{
	if (dev->single[index] >= 0)
		close(dev->single[index]);
	dev->single[index] = -1;
}

void fake_device_dispose(struct fake_dev *dev)
{
	unsigned i;

	irqs_off(dev);
	for (i = 0; i < FAKE_IRQS; i++)
		single_off(dev, i);
	for (i = 0; i < FAKE_REGIONS; i++)
		if (dev->memfd[i] >= 0)
			close(dev->memfd[i]);
}

static void reset(struct fake_dev *dev)
{
	if (!dev->decodes)
		put16(dev->config + PCI_COMMAND, 0);
	if (dev->reset_drops_irqs)
		irqs_off(dev);
}

/*
 * Opening and closing.
 */
static int check_token(const struct fake_dev *dev, const char *token)
{
	if (!dev->vf_token)
		return token ? -EINVAL : 0;
	return token && !strcasecmp(token, dev->vf_token) ? 0 : -EACCES;
}

static void first_open(struct fake_dev *dev)
{
	if (!dev->opens++)
		put16(dev->config + PCI_COMMAND,
		      dev->decodes ? PCI_COMMAND_IO | PCI_COMMAND_MEMORY : 0);
}

int fake_cdev_open(struct fake_dev *dev)
{
	struct fake_file *file;

	if (dev->noiommu && !fake.cap_rawio)
		return -EPERM;
	file = fake_file_new(FAKE_FILE_DEVICE);
	file->dev = dev;
	return fake_fd_install(file);
}

static struct fake_dev *by_name(const struct fake_group *group, const char *name)
{
	struct fake_dev *dev;
	size_t len;
	unsigned i;

	for (i = 0; (dev = fake_dev_at(i)); i++) {
		len = strlen(dev->bdf);
		if (dev->group == group->number && dev->noiommu == group->noiommu &&
		    !strncmp(name, dev->bdf, len) && (!name[len] || name[len] == ' '))
			return dev;
	}
	return NULL;
}

int fake_device_open_by_group(struct fake_file *via, const char *name)
{
	struct fake_group *group = via->group;
	struct fake_dev *dev = by_name(group, name);
	struct fake_file *file;
	const char *token;
	int ret;

	if (!dev || !dev->driver || strcmp(dev->driver, "vfio-pci"))
		return -ENODEV;
	token = name + strlen(dev->bdf);
	token += strspn(token, " ");
	if (*token && strncmp(token, "vf_token=", 9))
		return -EINVAL;
	ret = check_token(dev, *token ? token + 9 : NULL);
	if (ret)
		return ret;
	if (!group->container && !group->iommufd)
		return -EINVAL;
	if (group->container && !group->container->type)
		return -EINVAL;
	if (dev->noiommu && !fake.cap_rawio)
		return -EPERM;
	if (group->iommufd && !dev->noiommu && !dev->opens) {
		uint32_t pt = group->iommufd->iommufd->compat;

		ret = fake_iommufd_bind(group->iommufd, dev);
		if (ret)
			return ret;
		ret = fake_iommufd_attach(group->iommufd, dev, &pt);
		if (ret) {
			fake_iommufd_unbind(group->iommufd, dev);
			return ret;
		}
	}
	first_open(dev);
	group->users++;
	file = fake_file_new(FAKE_FILE_DEVICE);
	file->dev = dev;
	file->granted = true;
	file->via = via;
	fake_file_get(via);
	return fake_fd_install(file);
}

void fake_device_release(struct fake_file *file)
{
	struct fake_dev *dev = file->dev;
	unsigned i;

	if (!file->granted)
		return;
	if (!--dev->opens) {
		irqs_off(dev);
		for (i = 0; i < FAKE_IRQS; i++)
			single_off(dev, i);
		if (dev->bound)
			fake_iommufd_unbind(dev->bound, dev);
	}
	if (file->via) {
		file->via->group->users--;
		fake_file_put(file->via);
	} else {
		fake_group_of(dev->group, dev->noiommu)->cdevs--;
	}
}

static int bind_iommufd(struct fake_file *file, struct fk_bind_iommufd *arg)
{
	struct fake_file *iommufd = fake_file_of(arg->iommufd);
	struct fake_dev *dev = file->dev;
	struct fake_group *group = fake_group_of(dev->group, dev->noiommu);
	bool token_ok = fake.flavour == FAKE_C;
	char token[40] = "";
	const uint8_t *b;
	int ret;

	if (arg->argsz < offsetof(struct fk_bind_iommufd, token) ||
	    (arg->flags & ~(token_ok ? FK_BIND_FLAG_TOKEN : 0)))
		return -EINVAL;
	if (arg->iommufd < 0)
		return -EINVAL;
	if (file->via)
		return -EINVAL;
	if (group->opened)
		return -EBUSY;
	if (file->granted || dev->opens)
		return -EINVAL;
	if (!iommufd)
		return fcntl(arg->iommufd, F_GETFD) < 0 ? -EBADF : -EBADFD;
	if (iommufd->kind != FAKE_FILE_IOMMUFD)
		return -EBADFD;
	/* A pointer that was not given is none. */
	if (arg->flags && (arg->argsz < sizeof(*arg) || !arg->token))
		return -EFAULT;
	if (arg->flags) {
		b = (const uint8_t *)(uintptr_t)arg->token;
		snprintf(token, sizeof(token),
			 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
			 b[12], b[13], b[14], b[15]);
	}
	if (token_ok) {
		ret = check_token(dev, *token ? token : NULL);
		if (ret)
			return ret;
	}
	ret = fake_iommufd_bind(iommufd, dev);
	if (ret)
		return ret;
	group->cdevs++;
	first_open(dev);
	file->granted = true;
	arg->out_devid = dev->devid;
	return 0;
}

/*
 * Information.
 */
static int get_info(const struct fake_dev *dev, struct vfio_device_info *info)
{
	if (info->argsz < offsetof(struct vfio_device_info, num_irqs) + 4)
		return -EINVAL;
	info->flags = VFIO_DEVICE_FLAGS_PCI | (dev->resets ? VFIO_DEVICE_FLAGS_RESET : 0);
	info->num_regions = FAKE_REGIONS;
	info->num_irqs = FAKE_IRQS;
	return 0;
}

static int region_info(const struct fake_dev *dev, struct vfio_region_info *info)
{
	const struct fake_region *region;
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_info_cap_header *head = NULL;
	bool mappable;
	size_t need;
	unsigned i;

	if (info->argsz < sizeof(*info) || info->index >= FAKE_REGIONS)
		return -EINVAL;
	if (info->index == VFIO_PCI_VGA_REGION_INDEX)
		return -EINVAL;
	region = &dev->region[info->index];
	info->size = region->size;
	info->offset = (uint64_t)info->index << REGION_SHIFT;
	info->flags = 0;
	if (!region->size)
		return 0;
	info->flags = VFIO_REGION_INFO_FLAG_READ |
		      (region->read_only ? 0 : VFIO_REGION_INFO_FLAG_WRITE) |
		      (region->no_mmap ? 0 : VFIO_REGION_INFO_FLAG_MMAP);
	mappable = region->msix_mappable && !region->no_mmap && dev->nvectors &&
		   info->index == dev->msix_bar;
	need = sizeof(*info) + (mappable ? sizeof(*head) : 0) +
	       (region->nsparse ? sizeof(*sparse) + region->nsparse * sizeof(sparse->areas[0]) : 0);
	if (need == sizeof(*info))
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (info->argsz < need) {
		info->argsz = need;
		info->cap_offset = 0;
		return 0;
	}
	info->cap_offset = sizeof(*info);
	if (mappable) {
		head = (void *)(info + 1);
		head->id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE;
		head->version = 1;
		head->next = region->nsparse ? sizeof(*info) + sizeof(*head) : 0;
	}
	if (region->nsparse) {
		sparse = (void *)(head ? head + 1 : (void *)(info + 1));
		sparse->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
		sparse->header.version = 1;
		sparse->header.next = 0;
		sparse->nr_areas = region->nsparse;
		sparse->reserved = 0;
		for (i = 0; i < region->nsparse; i++) {
			sparse->areas[i].offset = region->sparse[i].first;
			sparse->areas[i].size =
				region->sparse[i].last - region->sparse[i].first + 1;
		}
	}
	return 0;
}

/*
 * Interrupts.
 */
static unsigned irq_count(const struct fake_dev *dev, unsigned index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX: return dev->intx;
	case VFIO_PCI_MSI_IRQ_INDEX: return dev->nmsi;
	case VFIO_PCI_MSIX_IRQ_INDEX: return dev->nvectors;
	case VFIO_PCI_ERR_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX: return 1;
	default: return 0;
	}
}

static int irq_info(const struct fake_dev *dev, struct vfio_irq_info *info)
{
	if (info->argsz < sizeof(*info) || info->index >= FAKE_IRQS)
		return -EINVAL;
	info->flags = VFIO_IRQ_INFO_EVENTFD;
	info->count = irq_count(dev, info->index);
	if (info->index == VFIO_PCI_INTX_IRQ_INDEX)
		info->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (info->index != VFIO_PCI_MSIX_IRQ_INDEX || !dev->dyn_msix)
		info->flags |= VFIO_IRQ_INFO_NORESIZE;
	return 0;
}

static bool signal_fd(int fd)
{
	uint64_t one = 1;

	return fd >= 0 && write(fd, &one, sizeof(one)) == sizeof(one);
}

static bool is_eventfd(int fd)
{
	char path[32], target[32];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target));
	return len > 18 && !memcmp(target, "anon_inode:[eventfd", 18);
}

static int rewire(int *slot, int fd)
{
	int own = -1;

	if (fd >= 0) {
		if (fake_file_of(fd) || !is_eventfd(fd))
			return fake_file_of(fd) || fcntl(fd, F_GETFD) >= 0 ? -EINVAL : -EBADF;
		own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (own < 0)
			return -EBADF;
	}
	if (*slot >= 0)
		close(*slot);
	*slot = own;
	return 0;
}

static int msi_block(struct fake_dev *dev, unsigned start, unsigned count, const int32_t *eventfds)
{
	bool grows = dev->irq_type == VFIO_PCI_MSIX_IRQ_INDEX && dev->dyn_msix;
	unsigned i, j;
	int ret = 0;

	for (i = 0; i < count && !ret; i++) {
		unsigned vector = start + i;

		if (eventfds[i] >= 0 && vector >= dev->nalloc && !grows)
			ret = -EINVAL;
		else
			ret = rewire(&dev->trigger[vector], eventfds[i]);
	}
	for (j = 0; ret && j < i; j++)
		rewire(&dev->trigger[start + j], -1);
	return ret;
}

static int set_msi(struct fake_dev *dev, const struct vfio_irq_set *set)
{
	const int32_t *eventfds = (const int32_t *)set->data;
	bool on = dev->irq_type == (int)set->index;
	unsigned i;
	int ret;

	if (on && !set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE)) {
		irqs_off(dev);
		return 0;
	}
	if (!on && dev->irq_type != FAKE_IRQS)
		return -EINVAL;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (!on) {
			dev->irq_type = set->index;
			dev->nalloc = set->start + set->count;
		}
		ret = msi_block(dev, set->start, set->count, eventfds);
		if (ret && !on)
			irqs_off(dev);
		return ret;
	}
	if (!on)
		return -EINVAL;
	for (i = 0; i < set->count; i++)
		if ((set->flags & VFIO_IRQ_SET_DATA_NONE) || set->data[i])
			signal_fd(dev->trigger[set->start + i]);
	return 0;
}

static int set_intx(struct fake_dev *dev, const struct vfio_irq_set *set)
{
	bool on = dev->irq_type == VFIO_PCI_INTX_IRQ_INDEX;
	bool none = set->flags & VFIO_IRQ_SET_DATA_NONE;

	if (set->flags & VFIO_IRQ_SET_ACTION_TRIGGER) {
		if (on && !set->count && none) {
			irqs_off(dev);
			return 0;
		}
		if ((!on && dev->irq_type != FAKE_IRQS) || set->start || set->count != 1)
			return -EINVAL;
		if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
			dev->irq_type = VFIO_PCI_INTX_IRQ_INDEX;
			return rewire(&dev->trigger[0], *(const int32_t *)set->data);
		}
		if (!on)
			return -EINVAL;
		if (none || set->data[0])
			signal_fd(dev->trigger[0]);
		return 0;
	}
	if (!on || set->start || set->count != 1)
		return -EINVAL;
	if (!none)
		return -ENOTTY;
	if (set->flags & VFIO_IRQ_SET_ACTION_MASK) {
		dev->intx_masked = true;
		return 0;
	}
	dev->intx_masked = false;
	if (dev->intx_pending)
		fake_fire_intx(dev);
	return 0;
}

static int set_single(struct fake_dev *dev, const struct vfio_irq_set *set)
{
	int *slot = &dev->single[set->index];

	if (set->start || set->count > 1 || !(set->flags & VFIO_IRQ_SET_ACTION_TRIGGER))
		return set->flags & VFIO_IRQ_SET_ACTION_TRIGGER ? -EINVAL : -ENOTTY;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set->count ? rewire(slot, *(const int32_t *)set->data) : -EINVAL;
	if (!(set->flags & VFIO_IRQ_SET_DATA_NONE) || *slot < 0)
		return -EINVAL;
	if (set->count)
		signal_fd(*slot);
	else
		single_off(dev, set->index);
	return 0;
}

static int set_irqs(struct fake_dev *dev, const struct vfio_irq_set *set)
{
	unsigned known = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	unsigned max = irq_count(dev, set->index);
	size_t size = 0;
	uint32_t action;

	if (set->argsz < sizeof(*set) || set->index >= FAKE_IRQS || (set->flags & ~known) ||
	    set->count >= UINT32_MAX - set->start)
		return -EINVAL;
	if (set->start >= max || set->start + set->count > max)
		return -EINVAL;
	action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE: break;
	case VFIO_IRQ_SET_DATA_BOOL: size = 1; break;
	case VFIO_IRQ_SET_DATA_EVENTFD: size = 4; break;
	default: return -EINVAL;
	}
	if (set->argsz - sizeof(*set) < set->count * size)
		return -EINVAL;
	/* One of them, and no two. */
	if (!action || action & (action - 1))
		return -ENOTTY;
	switch (set->index) {
	case VFIO_PCI_INTX_IRQ_INDEX: return set_intx(dev, set);
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return set->flags & VFIO_IRQ_SET_ACTION_TRIGGER ? set_msi(dev, set) : -ENOTTY;
	default: return set_single(dev, set);
	}
}

bool fake_fire_msix(struct fake_dev *dev, unsigned vector)
{
	return dev->irq_type == VFIO_PCI_MSIX_IRQ_INDEX && signal_fd(dev->trigger[vector]);
}

bool fake_fire_intx(struct fake_dev *dev)
{
	if (dev->irq_type != VFIO_PCI_INTX_IRQ_INDEX)
		return false;
	dev->intx_pending = dev->intx_masked;
	if (dev->intx_masked)
		return false;
	dev->intx_masked = true;
	return signal_fd(dev->trigger[0]);
}

bool fake_fire_single(struct fake_dev *dev, unsigned index)
{
	return signal_fd(dev->single[index]);
}

/*
 * Reset.
 */
static struct fake_dev *slot_next(int slot, unsigned *at)
{
	struct fake_dev *dev;

	while ((dev = fake_dev_at(*at))) {
		(*at)++;
		if (dev->slot == slot)
			return dev;
	}
	return NULL;
}

static bool is_vfio(const struct fake_dev *dev)
{
	return dev->driver && !strcmp(dev->driver, "vfio-pci");
}

/* The id of another function for the iommufd that one is bound to. */
static uint32_t slot_devid(const struct fake_dev *dev, const struct fake_dev *other)
{
	struct fake_dev *sibling;
	unsigned i;

	if (!is_vfio(other))
		return FK_DEVID_NOT_OWNED;
	if (other->bound == dev->bound)
		return other->devid;
	for (i = 0; (sibling = fake_dev_at(i)); i++)
		if (sibling->group == other->group && sibling->bound == dev->bound)
			return FK_DEVID_OWNED;
	return FK_DEVID_NOT_OWNED;
}

static int hot_reset_info(const struct fake_file *file, struct vfio_pci_hot_reset_info *info)
{
	struct fake_dev *dev = file->dev, *other;
	struct vfio_pci_dependent_device *entry;
	unsigned at = 0, count = 0, domain, bus, slot, function;

	if (info->argsz < sizeof(*info))
		return -EINVAL;
	if (!dev->hot_resets)
		return -ENODEV;
	info->flags = 0;
	while (slot_next(dev->slot, &at))
		count++;
	if (count > (info->argsz - sizeof(*info)) / sizeof(*entry)) {
		info->count = count;
		return -ENOSPC;
	}
	if (!file->via)
		info->flags = FK_HOT_RESET_DEV_ID | FK_HOT_RESET_DEV_ID_OWNED;
	info->count = 0;
	for (at = 0; (other = slot_next(dev->slot, &at));) {
		entry = &info->devices[info->count++];
		sscanf(other->bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &function);
		entry->segment = domain;
		entry->bus = bus;
		entry->devfn = slot << 3 | function;
		entry->group_id = file->via ? (uint32_t)other->group : slot_devid(dev, other);
		if (!file->via && entry->group_id == FK_DEVID_NOT_OWNED)
			info->flags &= ~FK_HOT_RESET_DEV_ID_OWNED;
	}
	if (dev->hot_reset_unsaid)
		info->flags &= ~FK_HOT_RESET_DEV_ID_OWNED;
	return 0;
}

static bool in_groups(const struct fake_dev *dev, const struct vfio_pci_hot_reset *arg)
{
	const struct fake_file *file;
	unsigned i;

	for (i = 0; i < arg->count; i++) {
		file = fake_file_of(arg->group_fds[i]);
		if (file->group->number == dev->group && file->group->noiommu == dev->noiommu)
			return true;
	}
	return false;
}

static int hot_reset(const struct fake_file *file, const struct vfio_pci_hot_reset *arg)
{
	struct fake_dev *dev = file->dev, *other;
	const struct fake_file *group;
	unsigned i, at;

	if (arg->argsz < sizeof(*arg) || arg->flags)
		return -EINVAL;
	/* An empty array is for cdevs only, groups for groups only. */
	if (!!arg->count == !file->via)
		return -EINVAL;
	if (!dev->hot_resets)
		return -ENODEV;
	for (i = 0; i < arg->count; i++) {
		group = fake_file_of(arg->group_fds[i]);
		if (!group)
			return -EBADF;
		if (group->kind != FAKE_FILE_GROUP)
			return -EINVAL;
	}
	for (at = 0; (other = slot_next(dev->slot, &at));) {
		if (!is_vfio(other))
			return -EINVAL;
		if (file->via ? !in_groups(other, arg)
			      : slot_devid(dev, other) == FK_DEVID_NOT_OWNED)
			return -EINVAL;
	}
	for (at = 0; (other = slot_next(dev->slot, &at));) {
		reset(other);
		other->nhotresets++;
	}
	return 0;
}

static int device_reset(struct fake_dev *dev)
{
	if (!dev->resets)
		return -EINVAL;
	reset(dev);
	dev->nresets++;
	return 0;
}

/* A descriptor that stands for parts of a BAR, after vfio_pci_dmabuf.c of Linux 6.19. */
static int dma_buf(struct fake_dev *dev, const struct fk_dma_buf *arg, size_t len)
{
	const struct fake_region *region;
	struct fake_file *file;
	uint64_t end;
	uint32_t i;

	if (len < sizeof(*arg) || arg->flags || !arg->nr_ranges)
		return -EINVAL;
	if (arg->region_index > VFIO_PCI_BAR5_REGION_INDEX || !dev->region[arg->region_index].size)
		return -ENODEV;
	if (arg->nr_ranges > 1u << 16)
		return -ENOMEM;
	region = &dev->region[arg->region_index];
	for (i = 0; i < arg->nr_ranges; i++) {
		if (__builtin_add_overflow(arg->range[i].offset, arg->range[i].length, &end))
			return -EOVERFLOW;
		if (region->ports || !arg->range[i].length || end > region->size ||
		    (arg->range[i].offset | arg->range[i].length) & (FAKE_PAGE - 1))
			return -EINVAL;
	}
	/* The first is all that the tests map. */
	file = fake_file_new(FAKE_FILE_DMABUF);
	file->dev = dev;
	file->region = arg->region_index;
	file->region_offset = arg->range[0].offset;
	file->len = arg->range[0].length;
	return fake_fd_install(file);
}

static int feature(struct fake_dev *dev, struct vfio_device_feature *arg)
{
	unsigned ops = arg->flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET);
	unsigned number = arg->flags & VFIO_DEVICE_FEATURE_MASK;
	bool probe = arg->flags & VFIO_DEVICE_FEATURE_PROBE;
	size_t len = arg->argsz - sizeof(*arg);

	if (arg->argsz < sizeof(*arg))
		return -EINVAL;
	if (arg->flags & ~(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_GET |
			   VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	if (!probe && ops == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET))
		return -EINVAL;
	if (number >= 64 || !(dev->features >> number & 1))
		return -ENOTTY;
	/* The VF token and the orders about power can be given, but not read. */
	if ((SET_ONLY >> number & 1) && (ops & VFIO_DEVICE_FEATURE_GET))
		return -EINVAL;
	if (!probe && !ops)
		return -EINVAL;
	if (number == FK_FEATURE_DMA_BUF && (ops & VFIO_DEVICE_FEATURE_SET))
		return -EINVAL;
	if (probe)
		return 0;
	if (number == FK_FEATURE_DMA_BUF)
		return len < sizeof(struct fk_dma_buf) ? -EINVAL
						       : dma_buf(dev, (void *)arg->data, len);
	if (len < 16 || len > sizeof(dev->feature_data))
		return -EINVAL;
	if (ops == VFIO_DEVICE_FEATURE_SET)
		memcpy(dev->feature_data, arg->data, len);
	else
		memcpy(arg->data, dev->feature_data, len);
	return 0;
}

int fake_device_ioctl(struct fake_file *file, unsigned long request, void *arg)
{
	struct fake_dev *dev = file->dev;

	if (request == FK_BIND_IOMMUFD && fake.flavour != FAKE_STOCK)
		return arg ? bind_iommufd(file, arg) : -EFAULT;
	if (!file->granted)
		return -EINVAL;
	if (!file->via && request == FK_ATTACH_PT) {
		struct fk_attach_pt *attach = arg;

		if (!attach)
			return -EFAULT;
		if (attach->argsz < sizeof(*attach) || attach->flags)
			return -EINVAL;
		return fake_iommufd_attach(dev->bound, dev, &attach->pt_id);
	}
	if (!file->via && request == FK_DETACH_PT) {
		const struct fk_detach_pt *detach = arg;

		if (!detach)
			return -EFAULT;
		if (detach->argsz < sizeof(*detach) || detach->flags)
			return -EINVAL;
		fake_iommufd_detach(dev->bound, dev);
		return 0;
	}
	switch (request) {
	case VFIO_DEVICE_GET_INFO: return arg ? get_info(dev, arg) : -EFAULT;
	case VFIO_DEVICE_GET_REGION_INFO: return arg ? region_info(dev, arg) : -EFAULT;
	case VFIO_DEVICE_GET_IRQ_INFO: return arg ? irq_info(dev, arg) : -EFAULT;
	case VFIO_DEVICE_SET_IRQS: return arg ? set_irqs(dev, arg) : -EFAULT;
	case VFIO_DEVICE_RESET: return device_reset(dev);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: return arg ? hot_reset_info(file, arg) : -EFAULT;
	case VFIO_DEVICE_PCI_HOT_RESET: return arg ? hot_reset(file, arg) : -EFAULT;
	case VFIO_DEVICE_FEATURE: return arg ? feature(dev, arg) : -EFAULT;
	default: return -ENOTTY;
	}
}

/*
 * Regions.
 */
static ssize_t region_rw(struct fake_file *file, void *buf, size_t len, off_t offset, bool write)
{
	unsigned index = (uint64_t)offset >> REGION_SHIFT;
	uint64_t at = offset & ((UINT64_C(1) << REGION_SHIFT) - 1);
	struct fake_dev *dev = file->dev;

	if (!file->granted || index >= FAKE_REGIONS)
		return -EINVAL;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX && at + len > dev->region[index].size)
		return -EFAULT;
	if (at >= dev->region[index].size || (write && dev->region[index].read_only))
		return -EINVAL;
	if (len > dev->region[index].size - at)
		len = dev->region[index].size - at;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
		if (write)
			memcpy(dev->config + at, buf, len);
		else if (dev->gone)
			memset(buf, 0xff, len);
		else
			memcpy(buf, dev->config + at, len);
		return len;
	}
	if (dev->gone || (!dev->region[index].ports && !fake_device_decodes(dev)))
		return -EIO;
	return write ? pwrite(region_fd(dev, index), buf, len, at)
		     : pread(region_fd(dev, index), buf, len, at);
}

ssize_t fake_device_pread(struct fake_file *file, void *buf, size_t len, off_t offset)
{
	return region_rw(file, buf, len, offset, false);
}

ssize_t fake_device_pwrite(struct fake_file *file, const void *buf, size_t len, off_t offset)
{
	return region_rw(file, (void *)(uintptr_t)buf, len, offset, true);
}

/* Within an area that the region info offered: a kernel might let more be mapped, ours may not. */
static bool in_sparse(const struct fake_region *region, uint64_t first, uint64_t last)
{
	return !region->nsparse || fake_range_allows(region->sparse, region->nsparse, first, last);
}

int fake_device_mmap(struct fake_file *file, size_t len, int prot, int flags, off_t offset, int *fd,
		     off_t *at)
{
	unsigned index = (uint64_t)offset >> REGION_SHIFT;
	uint64_t start = offset & ((UINT64_C(1) << REGION_SHIFT) - 1);
	const struct fake_region *region;

	(void)prot;
	if (!file->granted || index > VFIO_PCI_BAR5_REGION_INDEX || !(flags & MAP_SHARED))
		return -EINVAL;
	region = &file->dev->region[index];
	if (!region->size || region->no_mmap ||
	    start + len > ((region->size + FAKE_PAGE - 1) & ~(uint64_t)(FAKE_PAGE - 1)) ||
	    !in_sparse(region, start, start + len - 1))
		return -EINVAL;
	*fd = region_fd(file->dev, index);
	*at = start;
	return 0;
}

int fake_region_peek(struct fake_dev *dev, unsigned index, uint64_t offset, void *buf, size_t len)
{
	return pread(region_fd(dev, index), buf, len, offset) == (ssize_t)len ? 0 : -EIO;
}

int fake_region_poke(struct fake_dev *dev, unsigned index, uint64_t offset, const void *buf,
		     size_t len)
{
	return pwrite(region_fd(dev, index), buf, len, offset) == (ssize_t)len ? 0 : -EIO;
}

/*
 * What a device reaches.
 */
const struct fake_maps *fake_dev_maps(const struct fake_dev *dev)
{
	const struct fake_group *group = fake_group_of(dev->group, dev->noiommu);
	struct fake_ioas *ioas;

	if (dev->bound) {
		ioas = fake_iommufd_ioas(dev->bound, dev->pt);
		return ioas ? &ioas->maps : NULL;
	}
	return group->container ? &group->container->maps : NULL;
}

uint64_t fake_dev_reach(const struct fake_dev *dev, uint64_t iova)
{
	const struct fake_maps *maps = fake_dev_maps(dev);
	size_t at;

	if (!maps)
		return UINT64_MAX;
	at = fake_maps_find(maps, iova);
	if (at == maps->count || maps->map[at].iova > iova)
		return UINT64_MAX;
	return maps->map[at].va + (iova - maps->map[at].iova);
}
