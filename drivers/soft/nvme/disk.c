/* SPDX-License-Identifier: BSD-3-Clause */
/* What namespaces lie on: memory, nothing; disk_file.c does what takes its time. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pollux/log.h>

#include "snvme.h"

#define PAGE	  4096u
#define BLOCK_MIN 512u

/* Pages come as they are written. */
static uint8_t *reserve(uint64_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static int open_ram(struct soft_disk *disk)
{
	disk->mem = reserve(disk->size);
	disk->meta = disk->mem ? reserve(disk->size / BLOCK_MIN * SNVME_META) : NULL;
	if (disk->meta)
		return 0;
	plx_err("no memory for a namespace of %llu bytes", (unsigned long long)disk->size);
	return -ENOMEM;
}

static int open_file(struct soft_nvme *nvme, const struct soft_ns_conf *conf,
		     struct soft_disk *disk)
{
	struct stat st;
	int err = 0;

	disk->fd = open(conf->path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (disk->fd < 0 || fstat(disk->fd, &st)) {
		err = -errno;
		plx_err("%s: can't be opened for reading and writing: %s", conf->path,
			strerror(errno));
		return err;
	}
	if (!S_ISREG(st.st_mode)) {
		plx_err("%s: not a regular file", conf->path);
		return -EINVAL;
	}
	/* Where locks can't be had, nobody else has one. */
	if (flock(disk->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		plx_err("%s: another namespace is this file, here or in another program",
			conf->path);
		return -EBUSY;
	}
	disk->size = (uint64_t)st.st_size / PAGE * PAGE;
	if (!disk->size) {
		plx_err("%s: shorter than a block of %u bytes; truncate -s makes it longer",
			conf->path, PAGE);
		return -EINVAL;
	}
	return nvme->files ? 0 : snvme_files_create(nvme);
}

int snvme_disk_open(struct soft_nvme *nvme, const struct soft_ns_conf *conf,
		    struct soft_disk **made)
{
	struct soft_disk *disk = calloc(1, sizeof(*disk));
	int err = 0;

	if (!disk)
		return -ENOMEM;
	disk->kind = conf->kind;
	disk->size = conf->size / PAGE * PAGE;
	disk->fd = -1;
	*made = disk; /* closed by whoever closes all of them, if this fails too */
	switch (conf->kind) {
	case SOFT_DISK_RAM: err = open_ram(disk); break;
	case SOFT_DISK_FILE: err = open_file(nvme, conf, disk); break;
	case SOFT_DISK_NULL: break;
	}
	return err;
}

void snvme_disk_close(struct soft_disk *disk)
{
	if (!disk)
		return;
	if (disk->mem)
		munmap(disk->mem, disk->size);
	if (disk->meta)
		munmap(disk->meta, disk->size / BLOCK_MIN * SNVME_META);
	if (disk->fd >= 0)
		close(disk->fd);
	free(disk);
}

/* Whole pages are given back to the kernel. */
static void clear(uint8_t *mem, uint64_t len)
{
	const uint64_t head = -(uintptr_t)mem & (PAGE - 1);

	if (head >= len || len - head < 16 * PAGE) {
		memset(mem, 0, len);
		return;
	}
	memset(mem, 0, head);
	mem += head;
	len -= head;
	if (madvise(mem, len / PAGE * PAGE, MADV_DONTNEED))
		memset(mem, 0, len / PAGE * PAGE);
	memset(mem + len / PAGE * PAGE, 0, len % PAGE);
}

void snvme_disk_zero(struct soft_disk *disk, uint64_t offset, uint64_t len)
{
	if (disk->mem)
		clear(disk->mem + offset, len);
}

int snvme_disk_clear(struct soft_disk *disk)
{
	if (disk->mem) {
		clear(disk->mem, disk->size);
		clear(disk->meta, disk->size / BLOCK_MIN * SNVME_META);
	}
	if (disk->fd < 0)
		return 0;
	/* Where the file system has no holes, by being cut off and grown again. */
	if (fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)disk->size) &&
	    (ftruncate(disk->fd, 0) || ftruncate(disk->fd, (off_t)disk->size)))
		return -errno;
	return 0;
}

int snvme_disk_sync(struct soft_disk *disk)
{
	return disk->fd < 0 || !fdatasync(disk->fd) ? 0 : -errno;
}
