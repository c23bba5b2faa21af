/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths of the fake kernel: a table of nodes by canonical path, made from the devices that a test
 * described. Symbolic links work in the middle of a path, as sysfs needs.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kernel.h"

#define DEVICES_MAX 64
#define GROUPS_MAX  64
#define NODES_MAX   8192

enum node_kind {
	NODE_DIR,
	NODE_TEXT,
	NODE_LINK,
	NODE_CONTAINER,
	NODE_IOMMUFD,
	NODE_GROUP,
	NODE_CDEV,
};

struct node {
	char *path, *text; /* TEXT: contents, LINK: target */
	enum node_kind kind;
	int group;
	bool noiommu;
	struct fake_dev *dev;
	int err, times; /* opening fails */
};

static struct fake_dev *devices[DEVICES_MAX];
static struct fake_group *groups[GROUPS_MAX];
static struct node nodes[NODES_MAX];
static unsigned nnodes;

struct fake_dev *fake_dev_at(unsigned index)
{
	return index < DEVICES_MAX ? devices[index] : NULL;
}

struct fake_group *fake_group_of(int number, bool noiommu)
{
	unsigned i;

	for (i = 0; i < GROUPS_MAX; i++) {
		if (!groups[i]) {
			groups[i] = calloc(1, sizeof(*groups[i]));
			groups[i]->number = number;
			groups[i]->noiommu = noiommu;
			return groups[i];
		}
		if (groups[i]->number == number && groups[i]->noiommu == noiommu)
			return groups[i];
	}
	abort();
}

bool fake_group_viable(const struct fake_group *group)
{
	struct fake_dev *dev;
	unsigned i;

	for (i = 0; (dev = fake_dev_at(i)); i++)
		if (dev->group == group->number && dev->noiommu == group->noiommu && dev->driver &&
		    strcmp(dev->driver, "vfio-pci") && strcmp(dev->driver, "pcieport"))
			return false;
	return true;
}

bool fake_irq_isolated(void)
{
	return fake.isolated || fake.unsafe_interrupts;
}

bool fake_has_noiommu_cdev(void)
{
	return fake.flavour == FAKE_C;
}

/*
 * The table.
 */
static struct node *find(const char *path)
{
	unsigned i;

	for (i = 0; i < nnodes; i++)
		if (!strcmp(nodes[i].path, path))
			return &nodes[i];
	return NULL;
}

static struct node *add(enum node_kind kind, const char *text, const char *path)
{
	struct node *node = find(path);
	char parent[PATH_MAX];
	char *slash;

	if (!node) {
		if (nnodes == NODES_MAX)
			abort();
		snprintf(parent, sizeof(parent), "%s", path);
		slash = strrchr(parent, '/');
		if (slash && slash != parent) {
			*slash = '\0';
			if (!find(parent))
				add(NODE_DIR, NULL, parent);
		}
		node = &nodes[nnodes++];
		memset(node, 0, sizeof(*node));
		node->path = strdup(path);
	}
	free(node->text);
	node->text = text ? strdup(text) : NULL;
	node->kind = kind;
	return node;
}

static void __attribute__((format(printf, 3, 4)))
addf(enum node_kind kind, const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	add(kind, text, path);
}

static void drop(unsigned at)
{
	free(nodes[at].path);
	free(nodes[at].text);
	nodes[at] = nodes[--nnodes];
}

void fake_path_remove(const char *path)
{
	size_t len = strlen(path);
	unsigned i = 0;

	while (i < nnodes)
		if (!strncmp(nodes[i].path, path, len) &&
		    (!nodes[i].path[len] || nodes[i].path[len] == '/'))
			drop(i);
		else
			i++;
}

void fake_path_file(const char *path, const char *text)
{
	add(NODE_TEXT, text, path);
}

void fake_path_link(const char *path, const char *target)
{
	add(NODE_LINK, target, path);
}

/* The canonical path: links are followed, the last one only if asked. 0 or -errno. */
static int walk(const char *path, bool follow, char *out, size_t len)
{
	char rest[PATH_MAX], next[PATH_MAX];
	const struct node *node;
	char *at = rest, *end;
	int links = 0;
	bool last;

	snprintf(rest, sizeof(rest), "%s", path);
	out[0] = '\0';
	for (;;) {
		while (*at == '/')
			at++;
		if (!*at)
			return 0;
		end = at + strcspn(at, "/");
		last = !end[strspn(end, "/")];
		if (strlen(out) + (end - at) + 2 > len)
			return -ENAMETOOLONG;
		if (end - at == 2 && !memcmp(at, "..", 2)) {
			if (strrchr(out, '/'))
				*strrchr(out, '/') = '\0';
		} else if (end - at != 1 || *at != '.') {
			sprintf(out + strlen(out), "/%.*s", (int)(end - at), at);
		}
		at = end;
		node = find(out);
		if (!node || node->kind != NODE_LINK || (last && !follow))
			continue;
		if (++links > 16)
			return -ELOOP;
		if (snprintf(next, sizeof(next), "%s%s", node->text, at) >= (int)sizeof(next))
			return -ENAMETOOLONG;
		strcpy(rest, next);
		at = rest;
		out[0] = '\0';
	}
}

static int lookup(const char *path, bool follow, struct node **node)
{
	char real[PATH_MAX];
	int ret = walk(path, follow, real, sizeof(real));

	if (ret)
		return ret;
	*node = find(real);
	return *node ? 0 : -ENOENT;
}

void fake_path_fail(const char *path, int err, int times)
{
	struct node *node;

	if (lookup(path, true, &node))
		abort();
	node->err = err;
	node->times = times;
}

static int faults(struct node *node)
{
	if (!node->times)
		return 0;
	if (node->times > 0)
		node->times--;
	return -node->err;
}

/*
 * Calls.
 */
int fake_fs_open(const char *path, int flags)
{
	struct fake_file *file;
	struct node *node;
	int ret = lookup(path, true, &node);

	(void)flags;
	if (!ret)
		ret = faults(node);
	if (ret)
		return ret;
	switch (node->kind) {
	case NODE_CONTAINER: return fake_container_open();
	case NODE_IOMMUFD: return fake_iommufd_open();
	case NODE_GROUP: return fake_group_open(node->group, node->noiommu);
	case NODE_CDEV: return fake_cdev_open(node->dev);
	case NODE_TEXT:
		file = fake_file_new(FAKE_FILE_TEXT);
		file->text = strdup(node->text);
		file->len = strlen(node->text);
		return fake_fd_install(file);
	default: return -EISDIR;
	}
}

int fake_fs_access(const char *path, int mode)
{
	struct node *node;
	int ret = lookup(path, true, &node);

	if (ret || mode == F_OK)
		return ret;
	return node->times ? -EACCES : 0;
}

int fake_fs_stat(const char *path, struct stat *st)
{
	struct node *node;
	int ret = lookup(path, true, &node);

	if (ret)
		return ret;
	memset(st, 0, sizeof(*st));
	st->st_mode = node->kind == NODE_DIR	? S_IFDIR | 0755
		      : node->kind == NODE_TEXT ? S_IFREG | 0644
						: S_IFCHR | 0600;
	return 0;
}

/* sysfs shows relative targets. */
ssize_t fake_fs_readlink(const char *path, char *buf, size_t len)
{
	char target[PATH_MAX];
	struct node *node;
	int ret = lookup(path, false, &node);

	if (ret)
		return ret;
	if (node->kind != NODE_LINK)
		return -EINVAL;
	if (!strncmp(node->text, "/sys/", 5))
		snprintf(target, sizeof(target), "../../../%s", node->text + 5);
	else
		snprintf(target, sizeof(target), "%s", node->text);
	if (len > strlen(target))
		len = strlen(target);
	memcpy(buf, target, len);
	return len;
}

int fake_fs_opendir(const char *path, struct fake_file **dir)
{
	char real[PATH_MAX];
	struct node *node;
	int ret = walk(path, true, real, sizeof(real));

	if (ret)
		return ret;
	node = find(real);
	if (!node)
		return -ENOENT;
	if (node->kind != NODE_DIR)
		return -ENOTDIR;
	ret = faults(node);
	if (ret)
		return ret;
	*dir = fake_file_new(FAKE_FILE_DIR);
	(*dir)->text = strdup(real);
	return 0;
}

int fake_fs_child(const char *path, unsigned index, char *name, size_t len, unsigned char *type)
{
	size_t prefix = strlen(path);
	unsigned i;

	for (i = 0; i < nnodes; i++) {
		const char *rest = nodes[i].path + prefix + 1;

		if (strncmp(nodes[i].path, path, prefix) || nodes[i].path[prefix] != '/' ||
		    strchr(rest, '/') || index--)
			continue;
		snprintf(name, len, "%s", rest);
		*type = nodes[i].kind == NODE_DIR    ? DT_DIR
			: nodes[i].kind == NODE_TEXT ? DT_REG
			: nodes[i].kind == NODE_LINK ? DT_LNK
						     : DT_CHR;
		return 0;
	}
	return -ENOENT;
}

/*
 * What the kernel shows of a device.
 */
static void publish_group(const struct fake_dev *dev, const char *dir)
{
	char path[128], text[1024] = "", *at = text;
	uint64_t next = 0;
	unsigned i;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d", dev->group);
	addf(NODE_LINK, path, "%s/iommu_group", dir);
	addf(NODE_LINK, dir, "%s/devices/%s", path, dev->bdf);
	addf(NODE_TEXT, dev->noiommu ? "unknown\n" : "DMA-FQ\n", "%s/type", path);
	if (dev->noiommu) {
		addf(NODE_TEXT, "vfio-noiommu\n", "%s/name", path);
		addf(NODE_TEXT, "", "%s/reserved_regions", path);
		return;
	}
	for (i = 0; i < dev->nranges; i++) {
		if (dev->range[i].first > next)
			at += snprintf(at, text + sizeof(text) - at, "0x%016llx 0x%016llx %s\n",
				       (unsigned long long)next,
				       (unsigned long long)dev->range[i].first - 1,
				       next == 0xfee00000 ? "msi" : "reserved");
		next = dev->range[i].last + 1;
	}
	addf(NODE_TEXT, text, "%s/reserved_regions", path);
}

/* Each group has an IOMMU of its own. */
static void publish_iommu(const struct fake_dev *dev, const char *dir)
{
	char iommu[64], text[32];

	snprintf(iommu, sizeof(iommu), "/sys/devices/virtual/iommu/dmar%d", dev->group);
	addf(NODE_LINK, iommu, "%s/iommu", dir);
	/* Capability register of VT-d: MGAW in bits 21:16 is the width less one. */
	snprintf(text, sizeof(text), "%llx\n",
		 (0xd2008c40660462ull & ~(0x3full << 16)) | (unsigned long long)(dev->width - 1)
								    << 16);
	addf(NODE_TEXT, text, "%s/intel-iommu/cap", iommu);
	addf(NODE_TEXT, "f00f5a\n", "%s/intel-iommu/ecap", iommu);
}

static void publish_cdev(struct fake_dev *dev, const char *dir)
{
	bool unsafe = dev->noiommu && fake_has_noiommu_cdev();
	char name[32], path[64];

	if (dev->cdev < 0)
		return;
	snprintf(name, sizeof(name), "%svfio%d", unsafe ? "noiommu-" : "", dev->cdev);
	addf(NODE_DIR, NULL, "%s/vfio-dev/%s", dir, name);
	/*
	 * Without an IOMMU, 6.12 shows the name but makes no node; so does a kernel without cdevs.
	 */
	if (fake.flavour == FAKE_STOCK || (dev->noiommu && !unsafe))
		return;
	addf(NODE_TEXT, "511:0\n", "%s/vfio-dev/%s/dev", dir, name);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	add(NODE_CDEV, NULL, path)->dev = dev;
}

static void publish_dev(struct fake_dev *dev)
{
	bool vfio = dev->driver && !strcmp(dev->driver, "vfio-pci");
	char dir[64], text[64];
	struct node *node;

	/* vfio-pci's probe fails where nothing protects and nobody allowed it. */
	if (vfio && dev->noiommu && !fake.unsafe_noiommu)
		vfio = false;
	snprintf(dir, sizeof(dir), "/sys/devices/pci0000:00/%s", dev->bdf);
	addf(NODE_LINK, dir, "/sys/bus/pci/devices/%s", dev->bdf);
	snprintf(text, sizeof(text), "0x%04x\n", dev->vendor);
	addf(NODE_TEXT, text, "%s/vendor", dir);
	addf(NODE_TEXT, text, "%s/subsystem_vendor", dir);
	snprintf(text, sizeof(text), "0x%04x\n", dev->device);
	addf(NODE_TEXT, text, "%s/device", dir);
	addf(NODE_TEXT, "0x0000\n", "%s/subsystem_device", dir);
	snprintf(text, sizeof(text), "0x%06x\n", dev->class_code);
	addf(NODE_TEXT, text, "%s/class", dir);
	snprintf(text, sizeof(text), "%d\n", dev->node);
	addf(NODE_TEXT, text, "%s/numa_node", dir);
	if (dev->driver && (vfio || strcmp(dev->driver, "vfio-pci"))) {
		snprintf(text, sizeof(text), "/sys/bus/pci/drivers/%s", dev->driver);
		add(NODE_DIR, NULL, text);
		addf(NODE_LINK, text, "%s/driver", dir);
		addf(NODE_LINK, dir, "%s/%s", text, dev->bdf);
	}
	if (!dev->noiommu || vfio)
		publish_group(dev, dir);
	if (!dev->noiommu && dev->width)
		publish_iommu(dev, dir);
	if (!vfio)
		return;
	publish_cdev(dev, dir);
	snprintf(text, sizeof(text), "/dev/vfio/%s%d", dev->noiommu ? "noiommu-" : "", dev->group);
	node = add(NODE_GROUP, NULL, text);
	node->group = dev->group;
	node->noiommu = dev->noiommu;
}

static void publish_kernel(void)
{
	bool iommufd = fake.flavour != FAKE_STOCK;
	char text[256];

	add(NODE_DIR, NULL, "/sys/bus/pci/devices");
	add(NODE_DIR, NULL, "/sys/bus/pci/drivers/vfio-pci");
	add(NODE_DIR, NULL, "/sys/kernel/iommu_groups");
	add(NODE_DIR, NULL, "/sys/module/vfio_pci");
	add(NODE_TEXT, fake.unsafe_noiommu ? "Y\n" : "N\n",
	    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	add(fake.flavour == FAKE_B ? NODE_IOMMUFD : NODE_CONTAINER, NULL, "/dev/vfio/vfio");
	if (fake.flavour != FAKE_B) {
		snprintf(text, sizeof(text), "%u\n", fake.dma_entry_limit);
		add(NODE_TEXT, text, "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
		add(NODE_TEXT, fake.unsafe_interrupts ? "Y\n" : "N\n",
		    "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	}
	if (iommufd) {
		add(NODE_IOMMUFD, NULL, "/dev/iommu");
		add(NODE_TEXT, fake.unsafe_interrupts ? "Y\n" : "N\n",
		    "/sys/module/iommufd/parameters/allow_unsafe_interrupts");
	}
	/* CAP_IPC_LOCK is 14, CAP_SYS_RAWIO 17, CAP_SYS_ADMIN 21. */
	snprintf(text, sizeof(text), "Name:\ttest\nVmLck:\t       0 kB\nCapEff:\t%016x\n",
		 (fake.cap_ipc_lock ? 1u << 14 : 0) | (fake.cap_rawio ? 1u << 17 : 0) |
			 (fake.cap_sys_admin ? 1u << 21 : 0));
	add(NODE_TEXT, text, "/proc/self/status");
}

void fake_publish(void)
{
	struct fake_dev *dev;
	unsigned i;

	while (nnodes)
		drop(nnodes - 1);
	publish_kernel();
	for (i = 0; (dev = fake_dev_at(i)); i++) {
		fake_device_prepare(dev);
		publish_dev(dev);
	}
}

struct fake_dev *fake_dev(const char *bdf, int group)
{
	struct fake_dev *dev = calloc(1, sizeof(*dev));
	unsigned i, index = 0;

	while (devices[index])
		if (++index == DEVICES_MAX)
			abort();
	devices[index] = dev;
	snprintf(dev->bdf, sizeof(dev->bdf), "%s", bdf);
	dev->driver = "vfio-pci";
	dev->group = group;
	dev->cdev = index;
	dev->slot = index;
	dev->vendor = 0x8086;
	dev->device = 0x10d3;
	dev->class_code = 0x020000;
	dev->node = -1;
	/* x86: a hole for message-signalled interrupts. */
	dev->nranges = 2;
	dev->range[0] = (struct fake_range){ 0, 0xfedfffff };
	dev->range[1] = (struct fake_range){ 0xfef00000, (UINT64_C(1) << 48) - 1 };
	dev->width = 48;
	dev->region[VFIO_PCI_BAR0_REGION_INDEX].size = 128 << 10;
	dev->region[VFIO_PCI_BAR1_REGION_INDEX].size = 128 << 10;
	dev->region[VFIO_PCI_BAR2_REGION_INDEX].size = 32;
	dev->region[VFIO_PCI_BAR2_REGION_INDEX].no_mmap = true;
	dev->region[VFIO_PCI_BAR2_REGION_INDEX].ports = true;
	dev->region[VFIO_PCI_BAR3_REGION_INDEX].size = 16 << 10;
	dev->region[VFIO_PCI_BAR3_REGION_INDEX].msix_mappable = true;
	dev->region[VFIO_PCI_CONFIG_REGION_INDEX].size = 4096;
	dev->region[VFIO_PCI_CONFIG_REGION_INDEX].no_mmap = true;
	dev->nvectors = 5;
	dev->msix_bar = 3;
	dev->msix_pba = 0x2000;
	dev->nmsi = 1;
	dev->intx = true;
	dev->resets = true;
	dev->hot_resets = true;
	dev->irq_type = FAKE_IRQS;
	for (i = 0; i < FAKE_REGIONS; i++)
		dev->memfd[i] = -1;
	for (i = 0; i < FAKE_VECTORS; i++)
		dev->trigger[i] = -1;
	for (i = 0; i < FAKE_IRQS; i++)
		dev->single[i] = -1;
	return dev;
}

void fake_fs_reset(void)
{
	unsigned i;

	while (nnodes)
		drop(nnodes - 1);
	for (i = 0; i < DEVICES_MAX && devices[i]; i++) {
		fake_device_dispose(devices[i]);
		free(devices[i]);
		devices[i] = NULL;
	}
	for (i = 0; i < GROUPS_MAX; i++) {
		free(groups[i]);
		groups[i] = NULL;
	}
}
