/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"

static int sys_open(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0644);
}

static int sys_dup(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int sys_fcntl(int fd, int cmd, int arg)
{
	return fcntl(fd, cmd, arg);
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

/* The C library has no names for these four. */
static int sys_io_setup(unsigned int events, aio_context_t *ctx)
{
	return syscall(SYS_io_setup, events, ctx);
}

static int sys_io_destroy(aio_context_t ctx)
{
	return syscall(SYS_io_destroy, ctx);
}

static int sys_io_submit(aio_context_t ctx, long count, struct iocb **requests)
{
	return syscall(SYS_io_submit, ctx, count, requests);
}

static int sys_io_getevents(aio_context_t ctx, long min, long max, struct io_event *events,
			    struct timespec *timeout)
{
	return syscall(SYS_io_getevents, ctx, min, max, events, timeout);
}

static int sys_bind(int fd, const void *addr, size_t len)
{
	return bind(fd, addr, len);
}

static int sys_accept(int fd, int flags)
{
	return accept4(fd, NULL, NULL, flags);
}

static int sys_connect(int fd, const void *addr, size_t len)
{
	return connect(fd, addr, len);
}

static void sys_sleep_ms(unsigned int ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static void *sys_alloc(size_t len)
{
	return calloc(1, len);
}

const struct plx_sys plx_sys_kernel = {
	.open = sys_open,
	.close = close,
	.dup = sys_dup,
	.ioctl = sys_ioctl,
	.mmap = mmap,
	.munmap = munmap,
	.read = read,
	.write = write,
	.pread = pread,
	.pwrite = pwrite,
	.readlink = readlink,
	.access = access,
	.stat = stat,
	.fstat = fstat,
	.fstatfs = fstatfs,
	.fchmod = fchmod,
	.fcntl = sys_fcntl,
	.unlink = unlink,
	.rename = rename,
	.memfd = memfd_create,
	.ftruncate = ftruncate,
	.mkdir = mkdir,
	.chown = chown,
	.chmod = chmod,
	.flock = flock,
	.opendir = opendir,
	.readdir = readdir,
	.closedir = closedir,
	.eventfd = eventfd,
	.io_setup = sys_io_setup,
	.io_destroy = sys_io_destroy,
	.io_submit = sys_io_submit,
	.io_getevents = sys_io_getevents,
	.epoll_create = epoll_create1,
	.epoll_ctl = epoll_ctl,
	.getrlimit = (int (*)(int, struct rlimit *))getrlimit,
	.socket = socket,
	.bind = sys_bind,
	.listen = listen,
	.accept = sys_accept,
	.connect = sys_connect,
	.getsockopt = getsockopt,
	.recvmsg = recvmsg,
	.sendmsg = sendmsg,
	.shutdown = shutdown,
	.poll = poll,
	.ppoll = ppoll,
	.sleep_ms = sys_sleep_ms,
	.alloc = sys_alloc,
	.free = free,
};

const struct plx_sys *plx_sys = &plx_sys_kernel;

int plx_sys_read_text(const char *path, char *buf, size_t len)
{
	size_t have = 0;
	ssize_t got;
	int fd, err = 0;

	fd = plx_sys->open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	do {
		got = plx_sys->read(fd, buf + have, len - have);
		if (got < 0)
			err = errno == EINTR ? 0 : -errno;
		else
			have += got;
	} while (!err && got && have < len);
	plx_sys->close(fd);
	if (err)
		return err;
	if (have == len)
		return -E2BIG;
	while (have && buf[have - 1] == '\n')
		have--;
	buf[have] = '\0';
	return have;
}

int plx_sys_read_u64(const char *path, uint64_t *value)
{
	char text[64], *end;
	int len = plx_sys_read_text(path, text, sizeof(text));

	if (len < 0)
		return len;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno || !len || *end ? -EINVAL : 0;
}

uint64_t plx_sys_status(const char *key, int base)
{
	char text[8192];
	const char *line;

	if (plx_sys_read_text("/proc/self/status", text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, key);
	return line ? strtoull(line + strlen(key), NULL, base) : 0;
}

int plx_sys_write_text(const char *path, const char *text)
{
	int fd = plx_sys->open(path, O_WRONLY | O_TRUNC);
	ssize_t len = strlen(text), put;
	int err = 0;

	if (fd < 0)
		return -errno;
	put = plx_sys->write(fd, text, len);
	if (put != len)
		err = put < 0 ? -errno : -EIO;
	plx_sys->close(fd);
	return err;
}

int plx_sys_link_name(const char *path, char *buf, size_t len)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t got = plx_sys->readlink(path, target, sizeof(target) - 1);

	if (got < 0)
		return -errno;
	target[got] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= len)
		return -E2BIG;
	strcpy(buf, name);
	return 0;
}
