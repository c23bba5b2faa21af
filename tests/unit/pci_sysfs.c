/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <pollux/log.h>

#include "pci_sysfs.h"
#include "sys.h"

#define MOVED_MAX (PATH_MAX + 32)

static char root[32];
static unsigned calls, fail_nth, errors;
static int fail_err, left;
static struct {
	const char *call, *path;
	unsigned nth, calls;
} at;
static char last_error[1024];

static const struct pci_sysfs_kernel *kernel;

static const char *moved(const char *path, char buf[MOVED_MAX])
{
	snprintf(buf, MOVED_MAX, "%s%s", root, path);
	return buf;
}

/* The path behind a descriptor, links followed, as the code under test knows it. */
static const char *path_of(int fd, char buf[MOVED_MAX])
{
	char name[32];
	ssize_t len;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	len = readlink(name, buf, MOVED_MAX - 1);
	buf[len > 0 ? len : 0] = '\0';
	return strncmp(buf, root, strlen(root)) ? buf : buf + strlen(root);
}

/* Whether a call is one of those that pci_sysfs_fail_at() counts. */
static bool is_at(const char *call, const char *path)
{
	return at.call && !strcmp(call, at.call) && (!at.path || (path && !strcmp(path, at.path)));
}

/* Whether this call is the one to fail. path: NULL: it has none. */
static int fails(const char *call, const char *path)
{
	if (++calls != fail_nth && !(is_at(call, path) && ++at.calls == at.nth))
		return 0;
	errno = fail_err;
	return 1;
}

/* The same for a call by a descriptor, whose path is looked up only if it matters. */
static int fails_by(const char *call, int fd)
{
	char buf[MOVED_MAX];

	return fails(call, at.path && at.call && !strcmp(call, at.call) ? path_of(fd, buf) : NULL);
}

static int fake_open(const char *path, int flags)
{
	char buf[MOVED_MAX];
	int err = kernel ? kernel->opened(path, flags) : 0;
	int fd;

	if (fails("open", path))
		return -1;
	if (err) {
		errno = -err;
		return -1;
	}
	fd = open(moved(path, buf), flags | O_CLOEXEC, 0600);
	left += fd >= 0;
	return fd;
}

static int fake_close(int fd)
{
	left--;
	return close(fd);
}

static ssize_t fake_read(int fd, void *buf, size_t len)
{
	return fails_by("read", fd) ? -1 : read(fd, buf, len);
}

static ssize_t fake_write(int fd, const void *data, size_t len)
{
	char buf[MOVED_MAX];
	int did = 0;

	if (fails_by("write", fd))
		return -1;
	if (kernel)
		did = kernel->written(path_of(fd, buf), data, len);
	if (did < 0)
		errno = -did;
	return did < 0 ? -1 : did ? (ssize_t)len : write(fd, data, len);
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	char buf[MOVED_MAX];
	int err;

	if (fails_by("ioctl", fd))
		return -1;
	err = kernel ? kernel->controlled(path_of(fd, buf), request, arg) : -ENOTTY;
	errno = -err;
	return err ? -1 : 0;
}

static int fake_access(const char *path, int mode)
{
	int err = kernel ? kernel->accessed(path, mode) : 0;
	char buf[MOVED_MAX];

	if (fails("access", path))
		return -1;
	if (err)
		errno = -err;
	return err ? -1 : access(moved(path, buf), mode);
}

static int fake_mkdir(const char *path, mode_t mode)
{
	char buf[MOVED_MAX];

	return fails("mkdir", path) ? -1 : mkdir(moved(path, buf), mode);
}

static int fake_unlink(const char *path)
{
	char buf[MOVED_MAX];

	return fails("unlink", path) ? -1 : unlink(moved(path, buf));
}

static int fake_rename(const char *from, const char *to)
{
	char buf[MOVED_MAX], to_buf[MOVED_MAX];

	return fails("rename", to) ? -1 : rename(moved(from, buf), moved(to, to_buf));
}

static int fake_chown(const char *path, uid_t uid, gid_t gid)
{
	char buf[MOVED_MAX];

	return fails("chown", path) ? -1 : chown(moved(path, buf), uid, gid);
}

static int fake_chmod(const char *path, mode_t mode)
{
	char buf[MOVED_MAX];

	return fails("chmod", path) ? -1 : chmod(moved(path, buf), mode);
}

static int fake_fchmod(int fd, mode_t mode)
{
	return fails_by("fchmod", fd) ? -1 : fchmod(fd, mode);
}

/* Takes no time. */
static void fake_sleep_ms(unsigned int ms)
{
	(void)ms;
	if (kernel && kernel->slept)
		kernel->slept();
}

static int fake_flock(int fd, int operation)
{
	return fails_by("flock", fd) ? -1 : plx_sys_kernel.flock(fd, operation);
}

/* Sockets of files are what they are; those of the kernel's are /dev/null. */
static int fake_socket(int domain, int type, int protocol)
{
	int fd;

	if (fails("socket", NULL))
		return -1;
	fd = domain == AF_UNIX ? socket(domain, type, protocol)
			       : open("/dev/null", O_RDWR | O_CLOEXEC);
	left += fd >= 0;
	return fd;
}

static struct sockaddr_un moved_address(const void *addr)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char buf[MOVED_MAX];

	snprintf(to.sun_path, sizeof(to.sun_path), "%.100s",
		 moved(((const struct sockaddr_un *)addr)->sun_path, buf));
	return to;
}

static int fake_bind(int fd, const void *addr, size_t len)
{
	struct sockaddr_un to = moved_address(addr);

	(void)len;
	return fails("bind", NULL) ? -1 : bind(fd, (const struct sockaddr *)&to, sizeof(to));
}

static int fake_connect(int fd, const void *addr, size_t len)
{
	struct sockaddr_un to = moved_address(addr);

	(void)len;
	return fails("connect", NULL) ? -1 : connect(fd, (const struct sockaddr *)&to, sizeof(to));
}

static int fake_listen(int fd, int backlog)
{
	return fails("listen", NULL) ? -1 : listen(fd, backlog);
}

static int fake_accept(int fd, int flags)
{
	int peer = fails("accept", NULL) ? -1 : accept4(fd, NULL, NULL, flags);

	left += peer >= 0;
	return peer;
}

static int fake_ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout,
		      const sigset_t *mask)
{
	return fails("ppoll", NULL) ? -1 : ppoll(fds, nfds, timeout, mask);
}

static bool is_socket(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISSOCK(st.st_mode);
}

/* A test's own socket, or what stands for the kernel's. */
static ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t len;

	if (fails_by("recvmsg", fd))
		return -1;
	if (is_socket(fd))
		return recvmsg(fd, msg, flags);
	len = kernel ? kernel->received(msg->msg_iov[0].iov_base, msg->msg_iov[0].iov_len) : 0;
	if (len < 0)
		errno = (int)-len;
	return len < 0 ? -1 : len;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return fails_by("sendmsg", fd) ? -1 : sendmsg(fd, msg, flags);
}

static int fake_shutdown(int fd, int how)
{
	return fails_by("shutdown", fd) ? -1 : shutdown(fd, how);
}

static int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return fails_by("getsockopt", fd) ? -1 : getsockopt(fd, level, name, value, len);
}

/* What doesn't come is waited for, but not for long. */
static int fake_poll(struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
	return fails("poll", NULL) ? -1 : poll(fds, nfds, timeout_ms > 20 ? 20 : timeout_ms);
}

static ssize_t fake_readlink(const char *path, char *target, size_t len)
{
	char buf[MOVED_MAX];

	return fails("readlink", path) ? -1 : readlink(moved(path, buf), target, len);
}

static int fake_stat(const char *path, struct stat *st)
{
	char buf[MOVED_MAX];

	return fails("stat", path) ? -1 : stat(moved(path, buf), st);
}

static DIR *fake_opendir(const char *path)
{
	char buf[MOVED_MAX];
	DIR *dir = fails("opendir", path) ? NULL : opendir(moved(path, buf));

	left += dir != NULL;
	return dir;
}

static struct dirent *fake_readdir(DIR *dir)
{
	return fails("readdir", NULL) ? NULL : readdir(dir);
}

static int fake_closedir(DIR *dir)
{
	left--;
	return closedir(dir);
}

static int fake_eventfd(unsigned int initial, int flags)
{
	int fd = fails("eventfd", NULL) ? -1 : plx_sys_kernel.eventfd(initial, flags);

	left += fd >= 0;
	return fd;
}

static int fake_getrlimit(int resource, struct rlimit *limit)
{
	if (fails("getrlimit", NULL))
		return -1;
	if (!kernel || resource != RLIMIT_MEMLOCK)
		return plx_sys_kernel.getrlimit(resource, limit);
	limit->rlim_cur = limit->rlim_max = *kernel->memlock;
	return 0;
}

static void *fake_alloc(size_t len)
{
	void *ptr = fails("alloc", NULL) ? NULL : calloc(1, len);

	left += ptr != NULL;
	return ptr;
}

static void fake_free(void *ptr)
{
	left -= ptr != NULL;
	free(ptr);
}

static const struct plx_sys fake = {
	.open = fake_open,
	.close = fake_close,
	.read = fake_read,
	.write = fake_write,
	.ioctl = fake_ioctl,
	.access = fake_access,
	.mkdir = fake_mkdir,
	.unlink = fake_unlink,
	.rename = fake_rename,
	.chown = fake_chown,
	.chmod = fake_chmod,
	.fchmod = fake_fchmod,
	.sleep_ms = fake_sleep_ms,
	.flock = fake_flock,
	.socket = fake_socket,
	.bind = fake_bind,
	.connect = fake_connect,
	.listen = fake_listen,
	.accept = fake_accept,
	.recvmsg = fake_recvmsg,
	.sendmsg = fake_sendmsg,
	.shutdown = fake_shutdown,
	.getsockopt = fake_getsockopt,
	.poll = fake_poll,
	.ppoll = fake_ppoll,
	.readlink = fake_readlink,
	.stat = fake_stat,
	.opendir = fake_opendir,
	.readdir = fake_readdir,
	.closedir = fake_closedir,
	.eventfd = fake_eventfd,
	.getrlimit = fake_getrlimit,
	.alloc = fake_alloc,
	.free = fake_free,
};

static void count_errors(void *ctx, enum plx_log_level level, const char *line)
{
	(void)ctx;
	if (level != PLX_LOG_ERR)
		return;
	errors++;
	snprintf(last_error, sizeof(last_error), "%s", line);
}

static void make_dir(const char *path)
{
	char buf[MOVED_MAX];

	assert_int_equal(mkdir(moved(path, buf), 0700), 0);
}

int pci_sysfs_setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/test_pci.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	make_dir("/sys");
	make_dir("/sys/bus");
	make_dir("/sys/bus/pci");
	make_dir("/sys/bus/pci/devices");
	plx_sys = &fake;
	plx_log_set_sink(count_errors, NULL);
	errors = 0;
	last_error[0] = '\0';
	left = 0;
	kernel = NULL;
	pci_sysfs_fail(0, 0);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int pci_sysfs_teardown(void **state)
{
	(void)state;
	plx_sys = &plx_sys_kernel;
	plx_log_set_sink(NULL, NULL);
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void pci_sysfs_set(const char *name, const char *attr, const char *text)
{
	char path[PATH_MAX], buf[MOVED_MAX];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", name, attr);
	moved(path, buf);
	unlink(buf);
	if (!text)
		return;
	fd = open(buf, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

void pci_sysfs_add(const char *name, const struct pci_sysfs_fn *fn)
{
	char path[PATH_MAX], buf[MOVED_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", name);
	make_dir(path);
	pci_sysfs_set(name, "vendor", fn->vendor);
	pci_sysfs_set(name, "device", fn->device);
	pci_sysfs_set(name, "subsystem_vendor", fn->subvendor);
	pci_sysfs_set(name, "subsystem_device", fn->subdevice);
	pci_sysfs_set(name, "class", fn->class_code);
	pci_sysfs_set(name, "numa_node", fn->node);
	if (fn->driver) {
		snprintf(target, sizeof(target), "../../drivers/%s", fn->driver);
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", name);
		assert_int_equal(symlink(target, moved(path, buf)), 0);
	}
	if (fn->vfio_dev) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", name);
		make_dir(path);
		strcat(path, "/vfio0");
		make_dir(path);
	}
}

/* Makes the folders above a path. */
static void make_above(const char *path)
{
	char folder[PATH_MAX], buf[MOVED_MAX];
	const char *slash = path;

	while ((slash = strchr(slash + 1, '/'))) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if (mkdir(moved(folder, buf), 0700))
			assert_int_equal(errno, EEXIST);
	}
}

void pci_sysfs_file(const char *path, const char *text)
{
	char buf[MOVED_MAX];
	int fd;

	make_above(path);
	fd = open(moved(path, buf), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

void pci_sysfs_link(const char *path, const char *target)
{
	char buf[MOVED_MAX];

	make_above(path);
	assert_int_equal(symlink(target, moved(path, buf)), 0);
}

void pci_sysfs_remove(const char *path)
{
	char buf[MOVED_MAX];

	nftw(moved(path, buf), remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *pci_sysfs_real(const char *path)
{
	static char buf[MOVED_MAX];

	return moved(path, buf);
}

void pci_sysfs_stat(const char *path, struct stat *st)
{
	char buf[MOVED_MAX];

	assert_int_equal(lstat(moved(path, buf), st), 0);
}

void pci_sysfs_public(const char *path)
{
	char buf[MOVED_MAX];

	assert_int_equal(chmod(moved(path, buf), 0666), 0);
}

bool pci_sysfs_exists(const char *path)
{
	char buf[MOVED_MAX];
	struct stat st;

	return !lstat(moved(path, buf), &st);
}

const char *pci_sysfs_text(const char *path)
{
	static char text[4096];
	char buf[MOVED_MAX];
	int fd = open(moved(path, buf), O_RDONLY);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	text[len > 0 ? len : 0] = '\0';
	return text;
}

const char *pci_sysfs_link_name(const char *path)
{
	static char target[PATH_MAX];
	char buf[MOVED_MAX], *slash;
	ssize_t len = readlink(moved(path, buf), target, sizeof(target) - 1);

	target[len > 0 ? len : 0] = '\0';
	slash = strrchr(target, '/');
	return slash ? slash + 1 : target;
}

void pci_sysfs_kernel(const struct pci_sysfs_kernel *new_kernel)
{
	kernel = new_kernel;
}

void pci_sysfs_fail(unsigned nth, int err)
{
	calls = at.calls = 0;
	fail_nth = nth;
	fail_err = err;
	at.call = NULL;
}

void pci_sysfs_fail_at(const char *call, const char *path, unsigned nth, int err)
{
	pci_sysfs_fail(0, err);
	at.call = call;
	at.path = path;
	at.nth = nth;
}

unsigned pci_sysfs_calls(void)
{
	return calls;
}

int pci_sysfs_left(void)
{
	return left;
}

unsigned pci_sysfs_errors(void)
{
	return errors;
}

const char *pci_sysfs_last_error(void)
{
	return last_error;
}
