/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system-call seam.
 *
 * lib/vfio and the PCI bus reach the kernel through this table only, so a test can stand in for the
 * kernel or fail the nth call. Each entry behaves as the call it is named after (-1 and errno).
 */
#ifndef PLX_SYS_H
#define PLX_SYS_H

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/types.h>
#include <time.h>

#include <linux/aio_abi.h>

struct plx_sys {
	int (*open)(const char *path, int flags); /* new files get mode 0644 */
	int (*close)(int fd);
	int (*dup)(int fd); /* close-on-exec */
	int (*ioctl)(int fd, unsigned long request, void *arg);
	void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
	int (*munmap)(void *addr, size_t len);
	ssize_t (*read)(int fd, void *buf, size_t len);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	ssize_t (*pread)(int fd, void *buf, size_t len, off_t offset);
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, off_t offset);
	ssize_t (*readlink)(const char *path, char *buf, size_t len);
	int (*access)(const char *path, int mode);
	int (*stat)(const char *path, struct stat *st);
	int (*fstat)(int fd, struct stat *st);
	int (*fstatfs)(int fd, struct statfs *fs);
	int (*fchmod)(int fd, mode_t mode);
	int (*fcntl)(int fd, int cmd, int arg);
	int (*unlink)(const char *path);
	int (*rename)(const char *from, const char *to);
	int (*memfd)(const char *name, unsigned int flags);
	int (*ftruncate)(int fd, off_t len);
	int (*mkdir)(const char *path, mode_t mode);
	int (*chown)(const char *path, uid_t uid, gid_t gid);
	int (*chmod)(const char *path, mode_t mode);
	int (*flock)(int fd, int operation);
	DIR *(*opendir)(const char *path);
	struct dirent *(*readdir)(DIR *dir);
	int (*closedir)(DIR *dir);
	int (*eventfd)(unsigned int initial, int flags);
	int (*io_setup)(unsigned int events, aio_context_t *ctx);
	int (*io_destroy)(aio_context_t ctx);
	int (*io_submit)(aio_context_t ctx, long count, struct iocb **requests);
	int (*io_getevents)(aio_context_t ctx, long min, long max, struct io_event *events,
			    struct timespec *timeout);
	int (*epoll_create)(int flags);
	int (*epoll_ctl)(int epfd, int op, int fd, struct epoll_event *event);
	int (*getrlimit)(int resource, struct rlimit *limit);
	int (*socket)(int domain, int type, int protocol);
	int (*bind)(int fd, const void *addr, size_t len);
	int (*listen)(int fd, int backlog);
	int (*accept)(int fd, int flags); /* SOCK_*; the peer's address is of no interest */
	int (*connect)(int fd, const void *addr, size_t len);
	int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *len);
	ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);
	ssize_t (*sendmsg)(int fd, const struct msghdr *msg, int flags);
	int (*shutdown)(int fd, int how);
	int (*poll)(struct pollfd *fds, nfds_t nfds, int timeout_ms);
	int (*ppoll)(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout,
		     const sigset_t *mask);
	void (*sleep_ms)(unsigned int ms);
	void *(*alloc)(size_t len); /* zeroed */
	void (*free)(void *ptr);
};

extern const struct plx_sys plx_sys_kernel;

/* What is in force: plx_sys_kernel, unless a test replaced it. */
extern const struct plx_sys *plx_sys;

/*
 * Small files of sysfs and procfs, whole, without the last newline. Return the length or -errno;
 * -E2BIG if it doesn't fit.
 */
int plx_sys_read_text(const char *path, char *buf, size_t len);
int plx_sys_read_u64(const char *path, uint64_t *value); /* any base; -EINVAL if it is no number */

/* The number behind a key, "\nVmLck:", of this process's status in procfs; 0 if there is none. */
uint64_t plx_sys_status(const char *key, int base);

/* Writes all of a file of sysfs at once, as sysfs wants it. 0 or -errno. */
int plx_sys_write_text(const char *path, const char *text);

/* The last component of a symbolic link's target. 0 or -errno; -E2BIG if it doesn't fit. */
int plx_sys_link_name(const char *path, char *buf, size_t len);

#endif
