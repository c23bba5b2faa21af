/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sysfs of a test's own: a temporary directory that stands for / behind the system-call seam.
 * Any call can be made to fail, and what is left open or allocated is counted.
 */
#ifndef PCI_SYSFS_H
#define PCI_SYSFS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cmocka.h>

/* Attributes of a function, as sysfs writes them; NULL: no such file. */
struct pci_sysfs_fn {
	const char *vendor, *device, *subvendor, *subdevice, *class_code, *node;
	const char *driver; /* NULL: unbound */
	int vfio_dev;	    /* it has a vfio-dev folder */
};

#define PCI_SYSFS_82574                                                                           \
	{                                                                                         \
		"0x8086\n", "0x10d3\n", "0x8086\n", "0x0000\n", "0x020000\n", "-1\n", "vfio-pci", \
			1                                                                         \
	}

/* cmocka fixtures: an empty bus, the seam installed, messages counted rather than printed. */
int pci_sysfs_setup(void **state);
int pci_sysfs_teardown(void **state);

void pci_sysfs_add(const char *name, const struct pci_sysfs_fn *fn);
void pci_sysfs_set(const char *name, const char *attr, const char *text); /* NULL: removes it */

/* The nth call through the seam from now fails with err; 0: none does. */
void pci_sysfs_fail(unsigned nth, int err);
unsigned pci_sysfs_calls(void); /* since then */

/*
 * The nth call of this name and about this path fails instead, and no other; path: NULL: any, else
 * it has to live on. By a descriptor: of what it was opened for; rename: the new name.
 */
void pci_sysfs_fail_at(const char *call, const char *path, unsigned nth, int err);

/* Any other file of the machine's, and symbolic links. The folders above are made. */
void pci_sysfs_file(const char *path, const char *text);
void pci_sysfs_link(const char *path, const char *target);
void pci_sysfs_remove(const char *path); /* a file, a link or a whole folder, if it is there */
bool pci_sysfs_exists(const char *path); /* links are not followed */

/* Where a file of the machine's really is. Good until the next call. */
const char *pci_sysfs_real(const char *path);

void pci_sysfs_stat(const char *path, struct stat *st);
void pci_sysfs_public(const char *path); /* everybody may read and write it */

/* What a file holds, without the last newline; "" if there is none. Good until the next call. */
const char *pci_sysfs_text(const char *path);

/* The last part of a link's target; "" if there is none. Good until the next call. */
const char *pci_sysfs_link_name(const char *path);

/*
 * Stands for the kernel where it does more than keep what is written. written: 1 if that was all,
 * 0 if the file is to be written, or -errno. received: what a socket has next, length or -errno.
 * accessed, opened: 0 if it depends on the file, or -errno. controlled: what ioctl() does to an
 * open file, 0 or -errno. memlock: the limit. slept: time has passed.
 */
struct pci_sysfs_kernel {
	int (*written)(const char *path, const void *data, size_t len);
	ssize_t (*received)(void *buf, size_t len);
	int (*accessed)(const char *path, int mode);
	int (*opened)(const char *path, int flags);
	int (*controlled)(const char *path, unsigned long request, void *arg);
	const uint64_t *memlock;
	void (*slept)(void);
};

void pci_sysfs_kernel(const struct pci_sysfs_kernel *kernel); /* NULL: none */

/* Descriptors, directories and memory not given back. */
int pci_sysfs_left(void);

/* Messages at level ERR so far, and the last of them. */
unsigned pci_sysfs_errors(void);
const char *pci_sysfs_last_error(void);

#endif
