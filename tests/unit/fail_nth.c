/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <linux/vfio.h>

#include "fail_nth.h"
#include "fake_abi.h"

#define ERRNOS 8

enum call {
	CALL_OPEN,
	CALL_DUP,
	CALL_IOCTL,
	CALL_MMAP,
	CALL_READ,
	CALL_WRITE,
	CALL_READLINK,
	CALL_STAT,
	CALL_OPENDIR,
	CALL_EVENTFD,
	CALL_AIO,
	CALL_EPOLL,
	CALL_GETRLIMIT,
	CALL_SOCKET,
	CALL_SEND,
	CALL_RECEIVE,
	CALL_POLL,
	CALL_LISTEN,
	CALL_ACCEPT,
	CALL_FCNTL,
	CALL_MEMFD,
	CALL_ALLOC,
	CALLS,
};

/* What each call may fail with, worth telling apart. */
static const struct {
	const char *name;
	int err[ERRNOS];
} calls[CALLS] = {
	[CALL_OPEN] = { "open", { EMFILE, ENOMEM, EACCES, EIO, EINTR } },
	[CALL_DUP] = { "dup", { EMFILE, EBADF } },
	[CALL_IOCTL] = { "ioctl", { ENOMEM, EIO, EINTR, ENOTTY, EINVAL } },
	[CALL_MMAP] = { "mmap", { ENOMEM, EACCES } },
	[CALL_READ] = { "read", { EIO, EINTR } },
	[CALL_WRITE] = { "write", { EIO, EINTR } },
	[CALL_READLINK] = { "readlink", { EIO, ENOMEM } },
	[CALL_STAT] = { "stat", { EIO, EACCES } },
	[CALL_OPENDIR] = { "opendir", { EMFILE, ENOMEM, EACCES } },
	[CALL_EVENTFD] = { "eventfd", { EMFILE, ENOMEM } },
	[CALL_AIO] = { "AIO", { ENOSYS, EAGAIN, ENOMEM, EINVAL } },
	[CALL_EPOLL] = { "epoll", { EMFILE, ENOMEM, ENOSPC } },
	[CALL_GETRLIMIT] = { "getrlimit", { EPERM } },
	[CALL_SOCKET] = { "socket", { EMFILE, EACCES } },
	[CALL_SEND] = { "sendmsg", { EPIPE, ENOBUFS, EINTR } },
	[CALL_RECEIVE] = { "recvmsg", { ECONNRESET, ENOMEM, EINTR } },
	[CALL_POLL] = { "poll", { ENOMEM, EINTR } },
	[CALL_LISTEN] = { "bind or listen", { EADDRINUSE, EACCES } },
	[CALL_ACCEPT] = { "accept", { EMFILE, EINTR, ECONNABORTED } },
	[CALL_FCNTL] = { "fcntl", { EPERM } },
	[CALL_MEMFD] = { "memfd", { EMFILE, ENOMEM } },
	[CALL_ALLOC] = { "alloc", { ENOMEM } },
};

/* ioctls that can fail in ways of their own; all others as in the table above. */
static const struct {
	unsigned long request;
	int err[ERRNOS];
} ioctls[] = {
	{ VFIO_GET_API_VERSION, { ENOTTY, EIO } },
	{ VFIO_SET_IOMMU, { EPERM, ENODEV, EINVAL, ENOMEM, EBUSY } },
	{ VFIO_GROUP_GET_STATUS, { ENODEV, EINVAL } },
	{ VFIO_GROUP_SET_CONTAINER, { EPERM, EBUSY, EINVAL, ENODEV, EBADF, EBADFD, ENOMEM } },
	{ VFIO_GROUP_GET_DEVICE_FD,
	  { EACCES, EPERM, EBUSY, ENODEV, EINVAL, EADDRINUSE, EMFILE, ENOMEM } },
	{ VFIO_IOMMU_GET_INFO, { EINVAL, ENODEV, ENOMEM, ENOTTY } },
	{ VFIO_IOMMU_MAP_DMA, { EEXIST, ENOSPC, ENOMEM, EFAULT, EINVAL, EOVERFLOW, EBUSY } },
	{ VFIO_IOMMU_UNMAP_DMA, { EINVAL, ENOENT, EBUSY, EOVERFLOW } },
	{ VFIO_DEVICE_GET_INFO, { EINVAL, EIO, ENODEV } },
	{ VFIO_DEVICE_GET_REGION_INFO, { EINVAL, ENOMEM, ENODEV } },
	{ VFIO_DEVICE_GET_IRQ_INFO, { EINVAL, ENOTTY, ENODEV } },
	{ VFIO_DEVICE_SET_IRQS, { EBADF, EINVAL, ENOSPC, EBUSY, ENOMEM, ENOTTY, EIO } },
	{ VFIO_DEVICE_RESET, { EAGAIN, ENOTTY, EINVAL, EIO } },
	{ VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, { ENODEV, ENOTTY, EINVAL, ENOMEM, EPERM } },
	{ VFIO_DEVICE_PCI_HOT_RESET, { EINVAL, EBADF, ENODEV, ENOTTY, EAGAIN, EPERM } },
	{ VFIO_DEVICE_FEATURE, { ENOTTY, EINVAL, EFAULT, EIO, EMFILE, ENOMEM } },
	{ VFIO_IOMMU_DIRTY_PAGES, { EACCES, EINVAL, ENOMEM, EFAULT, ENOTTY } },
	{ FK_BIND_IOMMUFD, { EACCES, EPERM, EBUSY, EINVAL, ENODEV, EBADF, ENOMEM } },
	{ FK_ATTACH_PT, { ENOENT, EADDRINUSE, EINVAL, EBUSY, ENOMEM, ENODEV } },
	{ FK_IOAS_ALLOC, { ENOMEM, EOPNOTSUPP, EINVAL } },
	{ FK_IOVA_RANGES, { ENOENT, EMSGSIZE, EFAULT, EOPNOTSUPP } },
	{ FK_IOAS_MAP, { EEXIST, ENOSPC, ENOMEM, EFAULT, EINVAL, EOVERFLOW, ENOENT } },
	{ FK_IOAS_COPY, { ENOENT, EEXIST, EINVAL, ENOMEM, ENOSPC, EOVERFLOW } },
	{ FK_MAP_FILE, { ENOTTY, EINVAL, EBADF, EEXIST, ENOMEM, E2BIG, ENOSPC } },
	{ FK_IOAS_UNMAP, { ENOENT, EINVAL, EOVERFLOW, EBUSY } },
	{ FK_DESTROY, { EBUSY, ENOENT } },
	{ FK_HWPT_ALLOC, { EOPNOTSUPP, ENOENT, EINVAL, ENOMEM } },
	{ FK_SET_DIRTY, { EOPNOTSUPP, ENOENT, EINVAL, ENOMEM } },
	{ FK_GET_DIRTY, { EOPNOTSUPP, ENOENT, EINVAL, EFAULT, ENOMEM } },
	{ FK_GET_PA, { EPERM, ENOENT, EOPNOTSUPP, ENOTTY, EINVAL } },
};

static const struct plx_sys *inner;
static const struct fail_nth_other *expected;
static struct {
	unsigned count; /* calls so far */
	unsigned from;	/* of these, how many are left alone */
	unsigned at;	/* the one to fail, from 1; 0: none */
	unsigned which; /* of the errnos of that call */
	bool for_good;	/* and all after it */
	bool failed;	/* it came to it */
	enum call call;
	int err;
	char what[256];
	unsigned long request; /* of an ioctl */
} nth;

static const int *errnos(enum call call, unsigned long request)
{
	size_t i;

	for (i = 0; request && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		if (ioctls[i].request == request)
			return ioctls[i].err;
	return calls[call].err;
}

/* Whether this call is to fail now, with errno set; request is that of an ioctl, or 0. */
static bool fails_as(enum call call, const char *what, unsigned long request)
{
	nth.count++;
	if (nth.for_good && nth.failed) {
		errno = calls[call].err[0];
		return true;
	}
	if (nth.count != nth.at || nth.which >= ERRNOS || !errnos(call, request)[nth.which])
		return false;
	nth.failed = true;
	nth.call = call;
	nth.err = errnos(call, request)[nth.which];
	nth.request = request;
	snprintf(nth.what, sizeof(nth.what), "%s", what);
	errno = nth.err;
	return true;
}

static bool fails(enum call call, const char *what)
{
	return fails_as(call, what, 0);
}

static int nth_open(const char *path, int flags)
{
	return fails(CALL_OPEN, path) ? -1 : inner->open(path, flags);
}

static int nth_dup(int fd)
{
	return fails(CALL_DUP, "") ? -1 : inner->dup(fd);
}

static int nth_ioctl(int fd, unsigned long request, void *arg)
{
	char what[32];

	snprintf(what, sizeof(what), "0x%lx", request);
	return fails_as(CALL_IOCTL, what, request) ? -1 : inner->ioctl(fd, request, arg);
}

static void *nth_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return fails(CALL_MMAP, "") ? MAP_FAILED : inner->mmap(addr, len, prot, flags, fd, offset);
}

static ssize_t nth_read(int fd, void *buf, size_t len)
{
	return fails(CALL_READ, "") ? -1 : inner->read(fd, buf, len);
}

static ssize_t nth_write(int fd, const void *buf, size_t len)
{
	return fails(CALL_WRITE, "") ? -1 : inner->write(fd, buf, len);
}

static ssize_t nth_pread(int fd, void *buf, size_t len, off_t offset)
{
	return fails(CALL_READ, "") ? -1 : inner->pread(fd, buf, len, offset);
}

static ssize_t nth_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	return fails(CALL_WRITE, "") ? -1 : inner->pwrite(fd, buf, len, offset);
}

static ssize_t nth_readlink(const char *path, char *buf, size_t len)
{
	return fails(CALL_READLINK, path) ? -1 : inner->readlink(path, buf, len);
}

static int nth_access(const char *path, int mode)
{
	return fails(CALL_STAT, path) ? -1 : inner->access(path, mode);
}

static int nth_stat(const char *path, struct stat *st)
{
	return fails(CALL_STAT, path) ? -1 : inner->stat(path, st);
}

static DIR *nth_opendir(const char *path)
{
	return fails(CALL_OPENDIR, path) ? NULL : inner->opendir(path);
}

static int nth_eventfd(unsigned int initial, int flags)
{
	return fails(CALL_EVENTFD, "") ? -1 : inner->eventfd(initial, flags);
}

static int nth_io_setup(unsigned int events, aio_context_t *ctx)
{
	return fails(CALL_AIO, "setup") ? -1 : inner->io_setup(events, ctx);
}

static int nth_io_submit(aio_context_t ctx, long count, struct iocb **requests)
{
	return fails(CALL_AIO, "submit") ? -1 : inner->io_submit(ctx, count, requests);
}

static int nth_epoll_create(int flags)
{
	return fails(CALL_EPOLL, "create") ? -1 : inner->epoll_create(flags);
}

static int nth_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return fails(CALL_EPOLL, "ctl") ? -1 : inner->epoll_ctl(epfd, op, fd, event);
}

static int nth_getrlimit(int resource, struct rlimit *limit)
{
	return fails(CALL_GETRLIMIT, "") ? -1 : inner->getrlimit(resource, limit);
}

static int nth_socket(int domain, int type, int protocol)
{
	return fails(CALL_SOCKET, "") ? -1 : inner->socket(domain, type, protocol);
}

static int nth_connect(int fd, const void *addr, size_t len)
{
	return fails(CALL_SOCKET, "connect") ? -1 : inner->connect(fd, addr, len);
}

static ssize_t nth_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return fails(CALL_SEND, "") ? -1 : inner->sendmsg(fd, msg, flags);
}

static ssize_t nth_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return fails(CALL_RECEIVE, "") ? -1 : inner->recvmsg(fd, msg, flags);
}

static int nth_poll(struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
	return fails(CALL_POLL, "") ? -1 : inner->poll(fds, nfds, timeout_ms);
}

static int nth_fstat(int fd, struct stat *st)
{
	return fails(CALL_STAT, "") ? -1 : inner->fstat(fd, st);
}

static int nth_fstatfs(int fd, struct statfs *fs)
{
	return fails(CALL_STAT, "statfs") ? -1 : inner->fstatfs(fd, fs);
}

static int nth_fchmod(int fd, mode_t mode)
{
	return fails(CALL_FCNTL, "fchmod") ? -1 : inner->fchmod(fd, mode);
}

static int nth_fcntl(int fd, int cmd, int arg)
{
	return fails(CALL_FCNTL, "") ? -1 : inner->fcntl(fd, cmd, arg);
}

static int nth_memfd(const char *name, unsigned int flags)
{
	return fails(CALL_MEMFD, name) ? -1 : inner->memfd(name, flags);
}

static int nth_ftruncate(int fd, off_t len)
{
	return fails(CALL_MEMFD, "ftruncate") ? -1 : inner->ftruncate(fd, len);
}

static int nth_bind(int fd, const void *addr, size_t len)
{
	return fails(CALL_LISTEN, "bind") ? -1 : inner->bind(fd, addr, len);
}

static int nth_listen(int fd, int backlog)
{
	return fails(CALL_LISTEN, "listen") ? -1 : inner->listen(fd, backlog);
}

static int nth_accept(int fd, int flags)
{
	return fails(CALL_ACCEPT, "") ? -1 : inner->accept(fd, flags);
}

static void *nth_alloc(size_t len)
{
	return fails(CALL_ALLOC, "") ? NULL : inner->alloc(len);
}

bool fail_nth_for_good(void)
{
	return nth.for_good;
}

void fail_nth_from_here(void)
{
	nth.from = nth.count;
}

static int run(int (*scenario)(void *arg), void *arg, unsigned at, unsigned which, bool for_good)
{
	struct plx_sys sys;
	int ret;

	/* What isn't replaced can't fail, or nothing follows from it: close, munmap, free, ... */
	inner = plx_sys;
	sys = *inner;
	sys.open = nth_open;
	sys.dup = nth_dup;
	sys.ioctl = nth_ioctl;
	sys.mmap = nth_mmap;
	sys.read = nth_read;
	sys.write = nth_write;
	sys.pread = nth_pread;
	sys.pwrite = nth_pwrite;
	sys.readlink = nth_readlink;
	sys.access = nth_access;
	sys.stat = nth_stat;
	sys.opendir = nth_opendir;
	sys.eventfd = nth_eventfd;
	sys.io_setup = nth_io_setup;
	sys.io_submit = nth_io_submit;
	sys.epoll_create = nth_epoll_create;
	sys.epoll_ctl = nth_epoll_ctl;
	sys.getrlimit = nth_getrlimit;
	sys.socket = nth_socket;
	sys.connect = nth_connect;
	sys.sendmsg = nth_sendmsg;
	sys.recvmsg = nth_recvmsg;
	sys.poll = nth_poll;
	sys.fstat = nth_fstat;
	sys.fstatfs = nth_fstatfs;
	sys.fchmod = nth_fchmod;
	sys.fcntl = nth_fcntl;
	sys.memfd = nth_memfd;
	sys.ftruncate = nth_ftruncate;
	sys.bind = nth_bind;
	sys.listen = nth_listen;
	sys.accept = nth_accept;
	sys.alloc = nth_alloc;
	memset(&nth, 0, sizeof(nth));
	nth.at = at;
	nth.which = which;
	nth.for_good = for_good;
	plx_sys = &sys;
	ret = scenario(arg);
	plx_sys = inner;
	return ret;
}

void fail_nth_expect(const struct fail_nth_other *others)
{
	expected = others;
}

/* Whether this errno stands for the one that the call failed with. */
static bool explained(int ret)
{
	const struct fail_nth_other *other;

	for (other = expected; other->call; other++)
		if (!strcmp(other->call, calls[nth.call].name) && other->request == nth.request &&
		    (!other->what || strstr(nth.what, other->what)) &&
		    (!other->err || other->err == nth.err) && -ret == other->ret)
			return true;
	return false;
}

/* One run with a call failing. False: that call can't fail in this way. */
static bool try(const char *name, int (*scenario)(void *arg), void *arg, int (*leaks)(void),
		bool (*logged)(void), struct fail_nth_result *result)
{
	const char *and = nth.for_good ? " and all after it" : "";
	int ret, left;
	bool said;

	if (logged)
		logged();
	ret = run(scenario, arg, nth.at, nth.which, nth.for_good);
	left = leaks();
	if (!nth.failed)
		return false;
	said = logged && logged();
	result->runs++;
	result->survived += !ret;
	if (left)
		fail_msg("%s: %d left behind with call %u, %s(%s),%s failing: %s", name, left,
			 nth.at, calls[nth.call].name, nth.what, and, strerror(nth.err));
	if (ret > 0 || ret < -4095)
		fail_msg("%s: %d is neither 0 nor an errno with call %u, %s(%s),%s failing: %s",
			 name, ret, nth.at, calls[nth.call].name, nth.what, and, strerror(nth.err));
	if (expected && ret && !nth.for_good && ret != -nth.err && !explained(ret))
		fail_msg("%s: failed with %s and not with %s of call %u, %s(%s)", name,
			 strerrorname_np(-ret), strerrorname_np(nth.err), nth.at,
			 calls[nth.call].name, nth.what);
	if (ret && logged && !said)
		fail_msg("%s: failed with %d and said nothing with call %u, %s(%s),%s failing: %s",
			 name, ret, nth.at, calls[nth.call].name, nth.what, and, strerror(nth.err));
	return true;
}

struct fail_nth_result fail_nth(const char *name, int (*scenario)(void *arg), void *arg,
				int (*leaks)(void), bool (*logged)(void))
{
	struct fail_nth_result result = { 0 };
	unsigned at, which, last;
	int ret;

	ret = run(scenario, arg, 0, 0, false);
	if (ret || leaks())
		fail_msg("%s: fails without help: %d", name, ret);
	at = nth.from + 1;
	last = nth.count;
	result.calls = last - nth.from;
	for (; at <= last; at++) {
		which = 0;
		do {
			nth.at = at;
			nth.which = which++;
			nth.for_good = false;
		} while (try(name, scenario, arg, leaks, logged, &result));
		nth.at = at;
		nth.which = 0;
		nth.for_good = true;
		try(name, scenario, arg, leaks, logged, &result);
	}
	fprintf(stderr, "# %s: %u calls, %u runs with one failing, %u of them succeeded\n", name,
		result.calls, result.runs, result.survived);
	return result;
}
