/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a kernel answers: a list of calls to VFIO and iommufd, right ones and wrong ones, each with
 * its outcome in one line. It is written against the seam, so that it runs on real kernels
 * (lab-conform, in the lab's guests) and on the fake one that the unit tests use (conform-fake);
 * the lines must be the same.
 *
 * The devices: [0] and [1] have groups of their own; [2] shares one with a function that a driver
 * of the kernel holds. A line tells nothing that depends on numbers of groups, nodes or
 * descriptors.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include <pollux/facts.h>

#include "sys.h"

#define CONFORM_DEVS 3

/* What each kind of kernel is told in its own way. */
struct conform_env {
	void (*rawio)(bool have);	     /* gives up CAP_SYS_RAWIO, and takes it back */
	void (*memlock)(uint64_t bytes);     /* RLIMIT_MEMLOCK; UINT64_MAX: without limit */
	void (*entries)(unsigned int limit); /* of maps, for the next container */
	void (*trust)(bool devices);	     /* not to forge interrupts: a module's parameter */
	bool forgeable;			     /* interrupts aren't remapped */
};

struct conform {
	struct plx_facts dev[CONFORM_DEVS];
	const struct conform_env *env;
	bool noiommu; /* the devices are behind none */
	void *mem;    /* for DMA; aligned to its size */
	int file;     /* whose memory it is; a memfd */
};

#define CONFORM_MEM (4u << 20)

/* Runs the list; returns the number of lines. addresses are those of the devices. */
unsigned int conform_run(const char *const addresses[CONFORM_DEVS], const struct conform_env *env);

/* The line that says under which heading the next ones are. */
void scene(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A call that was made, and what came of it: 0 or more, or -errno. Returns it. */
int check(const char *what, int result);

/* With numbers, where it succeeded. */
int tell(const char *what, int result, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The calls, with -errno for an error. */
int call(int fd, unsigned long request, void *arg);
int call_int(int fd, unsigned long request, unsigned long arg);
int node_open(const char *path);
void node_close(int fd);

/* The nodes of a device; -errno. */
int group_open(const struct plx_facts *dev);
int cdev_open(const struct plx_facts *dev);

/* Turns a device's memory on or off; that of a BAR of 128 KiB. Both must work. */
void conform_memory(int dev, bool on);
void *conform_bar(int dev, unsigned int index);

#define CONFORM_BAR (128u << 10)

/* Without a word, for what the next lines need: exits with a line if it can't be had. */
int must(const char *what, int result);

/*
 * The parts of the list. A container is what groups are put in: path is "/dev/vfio/vfio", or
 * "/dev/iommu" for iommufd's; type is the one of the IOMMU asked for.
 */
void conform_container(const struct conform *c, const char *path);
void conform_groups(const struct conform *c, const char *path);
void conform_type1(const struct conform *c, const char *path, unsigned int type);
void conform_limits(const struct conform *c, const char *path);
void conform_iommufd(const struct conform *c);
void conform_cdev(const struct conform *c);
void conform_device(const struct conform *c, int fd, bool by_group);
void conform_noiommu(const struct conform *c);
void conform_forgeable(const struct conform *c);

#endif
