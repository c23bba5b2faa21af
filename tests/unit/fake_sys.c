/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seam's side of the fake kernel: descriptors, mapped memory, allocations, and the accounts
 * of what is still held.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <pollux/log.h>

#include "fake_kernel.h"

#define FD_BASE	 1000000 /* ours begin here: no real descriptor gets there */
#define FD_MAX	 2048
#define REAL_MAX 4096
#define LOG_MAX	 4096

struct vma {
	uint64_t start, len;
	struct fake_file *file;
	ino_t inode; /* of a real file, or 0; and where in it the memory begins */
	uint64_t offset;
};

/* In front of each allocation; keeps what follows aligned for any type. */
struct alloc {
	struct alloc *next, *prev;
	size_t len, magic;
};

#define ALLOC_MAGIC 0x706c785f6d656d21u

struct fake_kernel fake;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_file *fds[FD_MAX];
static bool real_fds[REAL_MAX];
static int bad_closes; /* of what was not open, or not ours */
static struct fake_file *files;
static struct vma *vmas;
static size_t nvmas, vma_room;
static struct alloc allocs = { .next = &allocs, .prev = &allocs };
static struct {
	int level;
	char *line;
} log_lines[LOG_MAX];
static unsigned nlog;
static struct {
	unsigned long request;
	int err, skip, times;
} ioctl_fault;
static struct {
	unsigned long request;
	unsigned count;
} ioctl_counts[64];

/*
 * Files and descriptors.
 */
struct fake_file *fake_file_new(enum fake_file_kind kind)
{
	struct fake_file *file = calloc(1, sizeof(*file));

	file->kind = kind;
	file->refs = 1;
	file->next = files;
	files = file;
	return file;
}

void fake_file_get(struct fake_file *file)
{
	file->refs++;
}

void fake_file_put(struct fake_file *file)
{
	struct fake_file **link;

	if (--file->refs)
		return;
	switch (file->kind) {
	case FAKE_FILE_CONTAINER: fake_container_put(file->container); break;
	case FAKE_FILE_GROUP: fake_group_release(file); break;
	case FAKE_FILE_IOMMUFD: fake_iommufd_release(file); break;
	case FAKE_FILE_DEVICE: fake_device_release(file); break;
	default: break;
	}
	for (link = &files; *link != file; link = &(*link)->next)
		;
	*link = file->next;
	free(file->text);
	free(file);
}

struct fake_file *fake_file_of(int fd)
{
	return fd >= FD_BASE && fd < FD_BASE + FD_MAX ? fds[fd - FD_BASE] : NULL;
}

int fake_fd_install(struct fake_file *file)
{
	int slot;

	for (slot = 0; slot < FD_MAX; slot++)
		if (!fds[slot]) {
			fds[slot] = file;
			return FD_BASE + slot;
		}
	fake_file_put(file);
	return -EMFILE;
}

int fake_real_fd(int fd)
{
	if (fd >= 0 && fd < REAL_MAX)
		__atomic_store_n(&real_fds[fd], true, __ATOMIC_RELEASE);
	return fd;
}

/* What the kernel's functions return becomes what its calls return. */
static int result(int ret)
{
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

static int sys_open(const char *path, int flags)
{
	int ret;

	pthread_mutex_lock(&lock);
	ret = fake_fs_open(path, flags);
	pthread_mutex_unlock(&lock);
	return result(ret);
}

static int bad_close(int fd)
{
	fprintf(stderr, "# closed, and not open: descriptor %d\n", fd);
	bad_closes++;
	return result(-EBADF);
}

static int sys_close(int fd)
{
	struct fake_file *file;

	if (fd < FD_BASE) {
		bool ours = fd >= 0 && fd < REAL_MAX &&
			    __atomic_exchange_n(&real_fds[fd], false, __ATOMIC_ACQ_REL);

		return ours ? close(fd) : bad_close(fd);
	}
	pthread_mutex_lock(&lock);
	file = fake_file_of(fd);
	if (file) {
		fds[fd - FD_BASE] = NULL;
		fake_file_put(file);
	}
	pthread_mutex_unlock(&lock);
	return file ? 0 : bad_close(fd);
}

static int sys_dup(int fd)
{
	struct fake_file *file;
	int ret = -EBADF;

	if (fd < FD_BASE)
		return fake_real_fd(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	pthread_mutex_lock(&lock);
	file = fake_file_of(fd);
	if (file) {
		fake_file_get(file);
		ret = fake_fd_install(file);
	}
	pthread_mutex_unlock(&lock);
	return result(ret);
}

static void count_ioctl(unsigned long request)
{
	size_t i;

	for (i = 0; i < sizeof(ioctl_counts) / sizeof(ioctl_counts[0]); i++) {
		if (ioctl_counts[i].request && ioctl_counts[i].request != request)
			continue;
		ioctl_counts[i].request = request;
		ioctl_counts[i].count++;
		return;
	}
}

unsigned fake_ioctl_count(unsigned long request)
{
	size_t i;

	for (i = 0; i < sizeof(ioctl_counts) / sizeof(ioctl_counts[0]); i++)
		if (ioctl_counts[i].request == request)
			return ioctl_counts[i].count;
	return 0;
}

void fake_ioctl_fail(unsigned long request, int err, int skip, int times)
{
	ioctl_fault.request = request;
	ioctl_fault.err = err;
	ioctl_fault.skip = skip;
	ioctl_fault.times = times;
}

static bool ioctl_faults(unsigned long request)
{
	if (!ioctl_fault.times || request != ioctl_fault.request)
		return false;
	if (ioctl_fault.skip) {
		ioctl_fault.skip--;
		return false;
	}
	if (ioctl_fault.times > 0)
		ioctl_fault.times--;
	return true;
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	struct fake_file *file = fake_file_of(fd);
	int ret = -ENOTTY;

	pthread_mutex_lock(&lock);
	count_ioctl(request);
	if (fake.hook && fake.hook(fd, request, arg, &ret))
		;
	else if (!file)
		ret = -EBADF;
	else if (ioctl_faults(request))
		ret = -ioctl_fault.err;
	else
		switch (file->kind) {
		case FAKE_FILE_CONTAINER: ret = fake_container_ioctl(file, request, arg); break;
		case FAKE_FILE_GROUP: ret = fake_group_ioctl(file, request, arg); break;
		case FAKE_FILE_IOMMUFD: ret = fake_iommufd_ioctl(file, request, arg); break;
		case FAKE_FILE_DEVICE: ret = fake_device_ioctl(file, request, arg); break;
		default: break;
		}
	pthread_mutex_unlock(&lock);
	return result(ret);
}

/*
 * Memory.
 */
static void vma_add(struct vma vma)
{
	if (nvmas == vma_room) {
		vma_room = vma_room ? 2 * vma_room : 64;
		vmas = realloc(vmas, vma_room * sizeof(*vmas));
	}
	vmas[nvmas++] = vma;
	if (vma.file)
		fake_file_get(vma.file);
}

/* Forgets a range, splitting what lies across its ends. */
static void vma_remove(uint64_t start, uint64_t len)
{
	uint64_t end = start + len;
	size_t i = 0;

	while (i < nvmas) {
		struct vma old = vmas[i];
		uint64_t old_end = old.start + old.len;

		if (old_end <= start || old.start >= end) {
			i++;
			continue;
		}
		vmas[i] = vmas[--nvmas];
		if (old.start < start)
			vma_add((struct vma){ old.start, start - old.start, old.file, old.inode,
					      old.offset });
		if (old_end > end)
			vma_add((struct vma){ end, old_end - end, old.file, old.inode,
					      old.offset + (end - old.start) });
		if (old.file)
			fake_file_put(old.file);
	}
}

static const struct fake_dev *device_at(uint64_t va, uint64_t len)
{
	size_t i;

	for (i = 0; i < nvmas; i++)
		if (vmas[i].file && vmas[i].start < va + len && va < vmas[i].start + vmas[i].len)
			return vmas[i].file->dev;
	return NULL;
}

bool fake_va_is_device(uint64_t va, uint64_t len)
{
	return device_at(va, len);
}

bool fake_va_is_off(uint64_t va, uint64_t len)
{
	const struct fake_dev *dev = device_at(va, len);

	return dev && !fake_device_decodes(dev);
}

int fake_va_touch(uint64_t va, uint64_t len)
{
	unsigned char in_core;
	uint64_t at;

	for (at = va & ~(uint64_t)(FAKE_PAGE - 1); fake.touches && at < va + len; at += FAKE_PAGE)
		if (mincore((void *)(uintptr_t)at, FAKE_PAGE, &in_core))
			return -EFAULT;
	return 0;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	return fd < 0 || fstat(fd, &st) ? 0 : st.st_ino;
}

uint64_t fake_va_of_file(int fd, uint64_t offset)
{
	ino_t inode = inode_of(fd);
	size_t i;

	for (i = 0; i < nvmas && inode; i++)
		if (vmas[i].inode == inode && offset >= vmas[i].offset &&
		    offset - vmas[i].offset < vmas[i].len)
			return vmas[i].start + (offset - vmas[i].offset);
	return offset;
}

static void *sys_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	struct fake_file *file = NULL;
	int real = fd, ret = 0;
	void *va = MAP_FAILED;

	pthread_mutex_lock(&lock);
	if (fd >= FD_BASE) {
		file = fake_file_of(fd);
		ret = file && file->kind == FAKE_FILE_DEVICE
			      ? fake_device_mmap(file, len, prot, flags, offset, &real, &offset)
			      : -EBADF;
	}
	if (!ret) {
		va = mmap(addr, len, prot, flags, real, offset);
		ret = va == MAP_FAILED ? -errno : 0;
	}
	if (!ret) {
		len = (len + FAKE_PAGE - 1) & ~(size_t)(FAKE_PAGE - 1);
		vma_remove((uintptr_t)va, len);
		vma_add((struct vma){ (uintptr_t)va, len, file, file ? 0 : inode_of(fd), offset });
	}
	pthread_mutex_unlock(&lock);
	if (ret)
		errno = -ret;
	return va;
}

static int sys_munmap(void *addr, size_t len)
{
	int ret;

	pthread_mutex_lock(&lock);
	ret = munmap(addr, len) ? -errno : 0;
	if (!ret)
		vma_remove((uintptr_t)addr, (len + FAKE_PAGE - 1) & ~(size_t)(FAKE_PAGE - 1));
	pthread_mutex_unlock(&lock);
	return result(ret);
}

static void *sys_alloc(size_t len)
{
	struct alloc *alloc = calloc(1, sizeof(*alloc) + len);

	if (!alloc)
		return NULL;
	pthread_mutex_lock(&lock);
	alloc->len = len;
	alloc->magic = ALLOC_MAGIC;
	alloc->next = allocs.next;
	alloc->prev = &allocs;
	alloc->next->prev = alloc->prev->next = alloc;
	pthread_mutex_unlock(&lock);
	return alloc + 1;
}

static void sys_free(void *ptr)
{
	struct alloc *alloc;

	if (!ptr)
		return;
	alloc = (struct alloc *)ptr - 1;
	if (alloc->magic != ALLOC_MAGIC)
		abort(); /* not from the seam, or freed before: nothing sensible can follow */
	pthread_mutex_lock(&lock);
	alloc->next->prev = alloc->prev;
	alloc->prev->next = alloc->next;
	alloc->magic = 0;
	pthread_mutex_unlock(&lock);
	free(alloc);
}

/*
 * Reading and writing.
 */
static ssize_t text_pread(const struct fake_file *file, void *buf, size_t len, off_t offset)
{
	size_t left = offset >= 0 && (size_t)offset < file->len ? file->len - offset : 0;

	if (len > left)
		len = left;
	memcpy(buf, file->text + (left ? offset : 0), len);
	return len;
}

static ssize_t sys_pread(int fd, void *buf, size_t len, off_t offset)
{
	struct fake_file *file;
	ssize_t ret = -EBADF;

	if (fd < FD_BASE)
		return pread(fd, buf, len, offset);
	pthread_mutex_lock(&lock);
	file = fake_file_of(fd);
	if (file && file->kind == FAKE_FILE_TEXT)
		ret = text_pread(file, buf, len, offset);
	else if (file)
		ret = file->kind == FAKE_FILE_DEVICE ? fake_device_pread(file, buf, len, offset)
						     : -EINVAL;
	pthread_mutex_unlock(&lock);
	return result(ret);
}

static ssize_t sys_read(int fd, void *buf, size_t len)
{
	struct fake_file *file = fake_file_of(fd);
	ssize_t got;

	if (fd < FD_BASE)
		return read(fd, buf, len);
	got = sys_pread(fd, buf, len, file ? file->pos : 0);
	if (got > 0)
		file->pos += got;
	return got;
}

static ssize_t sys_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct fake_file *file;
	ssize_t ret = -EBADF;

	if (fd < FD_BASE)
		return pwrite(fd, buf, len, offset);
	pthread_mutex_lock(&lock);
	file = fake_file_of(fd);
	if (file)
		ret = file->kind == FAKE_FILE_DEVICE ? fake_device_pwrite(file, buf, len, offset)
						     : -EBADF;
	pthread_mutex_unlock(&lock);
	return result(ret);
}

static ssize_t sys_write(int fd, const void *buf, size_t len)
{
	return fd < FD_BASE ? write(fd, buf, len) : result(-EINVAL);
}

static ssize_t sys_readlink(const char *path, char *buf, size_t len)
{
	ssize_t ret = fake_fs_readlink(path, buf, len);

	return result(ret);
}

static int sys_access(const char *path, int mode)
{
	return result(fake_fs_access(path, mode));
}

static int sys_stat(const char *path, struct stat *st)
{
	return result(fake_fs_stat(path, st));
}

/* A directory stream of ours; users only hold the pointer. */
struct stream {
	struct fake_file *dir;
	unsigned next;
	struct dirent entry;
};

static DIR *sys_opendir(const char *path)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	int ret;

	pthread_mutex_lock(&lock);
	ret = fake_fs_opendir(path, &stream->dir);
	pthread_mutex_unlock(&lock);
	if (!ret)
		return (DIR *)stream;
	free(stream);
	errno = -ret;
	return NULL;
}

static struct dirent *sys_readdir(DIR *dir)
{
	struct stream *stream = (struct stream *)dir;

	if (fake_fs_child(stream->dir->text, stream->next, stream->entry.d_name,
			  sizeof(stream->entry.d_name), &stream->entry.d_type))
		return NULL;
	stream->next++;
	return &stream->entry;
}

static int sys_closedir(DIR *dir)
{
	struct stream *stream = (struct stream *)dir;

	pthread_mutex_lock(&lock);
	fake_file_put(stream->dir);
	pthread_mutex_unlock(&lock);
	free(stream);
	return 0;
}

static int sys_eventfd(unsigned initial, int flags)
{
	return fake_real_fd(eventfd(initial, flags));
}

static int sys_epoll_create(int flags)
{
	return fake_real_fd(epoll_create1(flags));
}

static int sys_getrlimit(int resource, struct rlimit *limit)
{
	if (resource != RLIMIT_MEMLOCK)
		return getrlimit(resource, limit);
	limit->rlim_cur = limit->rlim_max =
		fake.memlock == UINT64_MAX ? RLIM_INFINITY : fake.memlock;
	return 0;
}

static int sys_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	return result(-EAFNOSUPPORT);
}

static int sys_bind(int fd, const void *addr, size_t len)
{
	(void)fd;
	(void)addr;
	(void)len;
	return result(-EBADF);
}

static void sys_sleep_ms(unsigned ms)
{
	fake.slept_ms += ms;
}

const struct plx_sys fake_sys = {
	.open = sys_open,
	.close = sys_close,
	.dup = sys_dup,
	.ioctl = sys_ioctl,
	.mmap = sys_mmap,
	.munmap = sys_munmap,
	.read = sys_read,
	.write = sys_write,
	.pread = sys_pread,
	.pwrite = sys_pwrite,
	.readlink = sys_readlink,
	.access = sys_access,
	.stat = sys_stat,
	.opendir = sys_opendir,
	.readdir = sys_readdir,
	.closedir = sys_closedir,
	.eventfd = sys_eventfd,
	.epoll_create = sys_epoll_create,
	.epoll_ctl = epoll_ctl,
	.getrlimit = sys_getrlimit,
	.socket = sys_socket,
	.bind = sys_bind,
	.sleep_ms = sys_sleep_ms,
	.alloc = sys_alloc,
	.free = sys_free,
};

/*
 * The log.
 */
static void log_sink(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	pthread_mutex_lock(&lock);
	if (nlog < LOG_MAX) {
		log_lines[nlog].level = level;
		log_lines[nlog++].line = strdup(line);
	}
	pthread_mutex_unlock(&lock);
}

unsigned fake_log_count(int level)
{
	unsigned i, count = 0;

	for (i = 0; i < nlog; i++)
		count += log_lines[i].level == level;
	return count;
}

bool fake_logged(int level, const char *part)
{
	unsigned i;

	for (i = 0; i < nlog; i++)
		if (log_lines[i].level == level && strstr(log_lines[i].line, part))
			return true;
	return false;
}

void fake_log_clear(void)
{
	while (nlog)
		free(log_lines[--nlog].line);
}

void fake_log_print(void)
{
	unsigned i;

	for (i = 0; i < nlog; i++)
		fprintf(stderr, "# log %d: %s\n", log_lines[i].level, log_lines[i].line);
}

/*
 * Beginning and end.
 */
/* Takes away what a failed test left, so that the next one begins clean. */
static void purge(void)
{
	int i;

	bad_closes = 0;
	for (i = 0; i < FD_MAX; i++)
		if (fds[i])
			sys_close(FD_BASE + i);
	for (i = 0; i < REAL_MAX; i++)
		if (real_fds[i])
			sys_close(i);
	while (nvmas)
		sys_munmap((void *)(uintptr_t)vmas[0].start, vmas[0].len);
	while (allocs.next != &allocs)
		sys_free(allocs.next + 1);
}

void fake_start(enum fake_flavour flavour)
{
	purge();
	fake = (struct fake_kernel){
		.flavour = flavour,
		.cap_rawio = true,
		.cap_sys_admin = true,
		.isolated = true,
		.memlock = UINT64_MAX,
		.dma_entry_limit = 65535,
		.pgsizes = (UINT64_C(1) << 12) | (UINT64_C(1) << 21) | (UINT64_C(1) << 30),
	};
	memset(&ioctl_fault, 0, sizeof(ioctl_fault));
	memset(ioctl_counts, 0, sizeof(ioctl_counts));
	fake_log_clear();
	fake_fs_reset();
	plx_sys = &fake_sys;
	plx_log_set_level(PLX_LOG_DEBUG);
	plx_log_set_sink(log_sink, NULL);
}

int fake_leaks(void)
{
	static const char *const kinds[] = { "text",  "directory", "container",
					     "group", "iommufd",   "device" };
	struct fake_file *file;
	struct alloc *alloc;
	int i, leaks = bad_closes;
	size_t v;

	for (i = 0; i < FD_MAX; i++)
		if (fds[i]) {
			fprintf(stderr, "# left open: %s descriptor\n", kinds[fds[i]->kind]);
			leaks++;
		}
	for (i = 0; i < REAL_MAX; i++)
		if (real_fds[i]) {
			fprintf(stderr, "# left open: descriptor %d\n", i);
			leaks++;
		}
	for (v = 0; v < nvmas; v++) {
		fprintf(stderr, "# left mapped: %llu bytes%s\n", (unsigned long long)vmas[v].len,
			vmas[v].file ? " of a device" : "");
		leaks++;
	}
	for (alloc = allocs.next; alloc != &allocs; alloc = alloc->next) {
		fprintf(stderr, "# not freed: %zu bytes\n", alloc->len);
		leaks++;
	}
	for (file = files; file; file = file->next)
		leaks++;
	if (fake_locks_held && fake_locks_held()) {
		fprintf(stderr, "# left locked: %d mutexes\n", fake_locks_held());
		leaks++;
	}
	if (fake.pinned) {
		fprintf(stderr, "# left pinned: %llu bytes\n", (unsigned long long)fake.pinned);
		leaks++;
	}
	return leaks;
}

void fake_stop(void)
{
	int leaks = fake_leaks();

	plx_sys = &plx_sys_kernel;
	plx_log_set_sink(NULL, NULL);
	plx_log_set_level(PLX_LOG_NOTICE);
	if (leaks)
		fake_log_print();
	purge();
	fake_log_clear();
	fake_fs_reset();
	free(vmas);
	vmas = NULL;
	nvmas = vma_room = 0;
	assert_int_equal(leaks, 0);
}
