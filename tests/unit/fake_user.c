/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "fake_kernel.h"
#include "fake_user.h"

struct fake_user fake_user;

static int client_fd = -1; /* the other end of fake_user.fd */
static uint8_t buf[2 * VFU_MAX_MSG];
static size_t have;
static int fds[64];
static unsigned nfds;

/*
 * Sending and receiving, without the seam: these calls aren't the client's.
 */
void fake_user_send(const void *bytes, size_t len, const int *with, unsigned n)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (n) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(cmsg), with, n * sizeof(int));
	}
	sendmsg(fake_user.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void fake_user_reply(const struct vfu_msg *msg, const void *body, size_t len, const int *with,
		     unsigned n)
{
	static uint8_t out[VFU_MAX_MSG];
	struct vfu_header header = {
		.id = msg->header.id,
		.cmd = msg->header.cmd,
		.size = sizeof(header) + len,
		.flags = VFU_F_REPLY,
	};

	memcpy(out, &header, sizeof(header));
	if (len)
		memcpy(out + sizeof(header), body, len);
	fake_user_send(out, header.size, with, n);
}

void fake_user_refuse(const struct vfu_msg *msg, int err)
{
	struct vfu_header header = {
		.id = msg->header.id,
		.cmd = msg->header.cmd,
		.size = sizeof(header),
		.flags = VFU_F_REPLY | VFU_F_ERROR,
		.err = err,
	};

	fake_user_send(&header, sizeof(header), NULL, 0);
}

static void receive(void)
{
	char control[CMSG_SPACE(64 * sizeof(int))];
	struct iovec iov = { buf + have, sizeof(buf) - have };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t got = recvmsg(fake_user.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got <= 0)
		return;
	have += got;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		unsigned n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		assert_true(nfds + n <= 64);
		memcpy(fds + nfds, CMSG_DATA(cmsg), n * sizeof(int));
		nfds += n;
	}
}

/* Takes a message off the front. */
static bool next(struct vfu_msg *msg)
{
	static uint8_t body[VFU_MAX_MSG];

	if (have < sizeof(msg->header))
		return false;
	memcpy(&msg->header, buf, sizeof(msg->header));
	assert_true(msg->header.size >= sizeof(msg->header));
	if (have < msg->header.size)
		return false;
	msg->len = msg->header.size - sizeof(msg->header);
	memcpy(body, buf + sizeof(msg->header), msg->len);
	msg->body = body;
	msg->nfds = nfds;
	assert_true(nfds <= VFU_MAX_FDS);
	memcpy(msg->fds, fds, nfds * sizeof(fds[0]));
	nfds = 0;
	have -= msg->header.size;
	memmove(buf, buf + msg->header.size, have);
	return true;
}

bool fake_user_receive(struct vfu_header *header, void *body, size_t len)
{
	struct vfu_msg msg;

	receive();
	if (!next(&msg))
		return false;
	*header = msg.header;
	assert_true(msg.len <= len);
	memcpy(body, msg.body, msg.len);
	return true;
}

/*
 * A good server.
 */
static void do_map(struct vfu_msg *msg)
{
	struct fake_user_map *m = &fake_user.map[fake_user.nmaps++];

	memcpy(&m->map, msg->body, sizeof(m->map));
	assert_true(fake_user.nmaps < 64);
	assert_true(msg->nfds <= 1);
	m->fd = msg->nfds ? msg->fds[0] : -1;
	msg->nfds = 0;
	fake_user_reply(msg, NULL, 0, NULL, 0);
}

static void do_unmap(const struct vfu_msg *msg)
{
	struct vfu_dma_unmap unmap;
	unsigned i;

	memcpy(&unmap, msg->body, sizeof(unmap));
	for (i = 0; i < fake_user.nmaps; i++) {
		struct fake_user_map *m = &fake_user.map[i];

		if (m->map.addr != unmap.addr || m->map.size != unmap.size)
			continue;
		if (m->fd >= 0)
			close(m->fd);
		*m = fake_user.map[--fake_user.nmaps];
		fake_user_reply(msg, &unmap, sizeof(unmap), NULL, 0);
		return;
	}
	fake_user_refuse(msg, ENOENT);
}

static void do_region_info(const struct vfu_msg *msg)
{
	struct vfio_region_info info;
	struct vfio_region_info_cap_sparse_mmap sparse = {
		.header = { .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1 },
	};
	uint8_t out[sizeof(info) + sizeof(sparse) + 24 * sizeof(sparse.areas[0])];
	const struct fake_user_region *r;
	size_t len = sizeof(info);
	uint32_t room;

	memcpy(&info, msg->body, sizeof(info));
	if (info.index >= fake_user.nregions || info.index >= 9) {
		fake_user_refuse(msg, EINVAL);
		return;
	}
	r = &fake_user.region[info.index];
	room = info.argsz;
	info.size = r->size;
	info.offset = r->file_at;
	info.flags = r->size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	if (r->mappable)
		info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (r->nareas) {
		sparse.nr_areas = r->nareas;
		memcpy(out + len, &sparse, sizeof(sparse));
		len += sizeof(sparse);
		memcpy(out + len, r->area, r->nareas * sizeof(r->area[0]));
		len += r->nareas * sizeof(r->area[0]);
	}
	info.argsz = len;
	if (len <= room && r->nareas) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info.cap_offset = sizeof(info);
	}
	memcpy(out, &info, sizeof(info));
	fake_user_reply(msg, out, len <= room ? len : room, &fake_user.file[info.index],
			r->mappable && !r->no_fd);
}

static void do_irq_info(const struct vfu_msg *msg)
{
	struct vfio_irq_info info;

	memcpy(&info, msg->body, sizeof(info));
	if (info.index >= fake_user.nirqs || info.index >= 5) {
		fake_user_refuse(msg, EINVAL);
		return;
	}
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = fake_user.vectors[info.index];
	fake_user_reply(msg, &info, sizeof(info), NULL, 0);
}

static void do_set_irqs(struct vfu_msg *msg)
{
	struct vfio_irq_set set;
	uint64_t one = 1;
	unsigned i;

	memcpy(&set, msg->body, sizeof(set));
	assert_true(set.index < 5 && set.start + set.count <= fake_user.vectors[set.index]);
	if (!set.count)
		set.count = fake_user.vectors[set.index];
	else if (set.flags & VFIO_IRQ_SET_DATA_NONE)
		goto fire;
	assert_true(!msg->nfds || msg->nfds == set.count);
	for (i = 0; i < set.count; i++) {
		int *irq = &fake_user.irq[set.index][set.start + i];

		if (*irq >= 0)
			close(*irq);
		*irq = msg->nfds ? msg->fds[i] : -1;
	}
	msg->nfds = 0;
	goto answer;
fire:
	for (i = 0; i < set.count; i++)
		assert_int_equal(write(fake_user.irq[set.index][set.start + i], &one, sizeof(one)),
				 sizeof(one));
answer:
	fake_user_reply(msg, NULL, 0, NULL, 0);
}

static void do_access(const struct vfu_msg *msg)
{
	static uint8_t out[sizeof(struct vfu_access) + VFU_MAX_XFER];
	bool write = msg->header.cmd == VFU_REGION_WRITE;
	struct vfu_access access;
	uint8_t *mem;

	memcpy(&access, msg->body, sizeof(access));
	assert_true(access.region < 9);
	if (access.count > fake_user.longest)
		fake_user.longest = access.count;
	if (access.offset + access.count > fake_user.region[access.region].size) {
		fake_user_refuse(msg, EINVAL);
		return;
	}
	mem = fake_user.mem[access.region] + fake_user.region[access.region].file_at +
	      access.offset;
	memcpy(out, &access, sizeof(access));
	if (write)
		memcpy(mem, (const char *)msg->body + sizeof(access), access.count);
	else
		memcpy(out + sizeof(access), mem, access.count);
	fake_user_reply(msg, out, sizeof(access) + (write ? 0 : access.count), NULL, 0);
}

static void do_version(const struct vfu_msg *msg)
{
	struct vfu_version version = { fake_user.major, fake_user.minor };
	char out[512];
	size_t len = fake_user.json ? strlen(fake_user.json) + 1 : 0;

	memcpy(out, &version, sizeof(version));
	if (len)
		memcpy(out + sizeof(version), fake_user.json, len);
	fake_user_reply(msg, out, sizeof(version) + len, NULL, 0);
}

static void handle(struct vfu_msg *msg)
{
	const struct vfu_info info = {
		.argsz = sizeof(info),
		.flags = fake_user.flags,
		.regions = fake_user.nregions,
		.irqs = fake_user.nirqs,
	};

	if ((msg->header.flags & VFU_F_TYPE) == VFU_F_COMMAND) {
		assert_true(msg->header.cmd < VFU_CMDS);
		fake_user.requests[msg->header.cmd]++;
	}
	if (!fake_user.script || !fake_user.script(msg)) {
		switch (msg->header.cmd) {
		case VFU_VERSION: do_version(msg); break;
		case VFU_DMA_MAP: do_map(msg); break;
		case VFU_DMA_UNMAP: do_unmap(msg); break;
		case VFU_GET_INFO: fake_user_reply(msg, &info, sizeof(info), NULL, 0); break;
		case VFU_GET_REGION_INFO: do_region_info(msg); break;
		case VFU_GET_IRQ_INFO: do_irq_info(msg); break;
		case VFU_SET_IRQS: do_set_irqs(msg); break;
		case VFU_REGION_READ:
		case VFU_REGION_WRITE: do_access(msg); break;
		case VFU_RESET:
			fake_user.nresets++;
			fake_user_reply(msg, NULL, 0, NULL, 0);
			break;
		default: fake_user_refuse(msg, ENOTSUP); break;
		}
	}
	while (msg->nfds)
		close(msg->fds[--msg->nfds]);
}

static void forget_client(void)
{
	unsigned i, k;

	while (fake_user.nmaps) {
		struct fake_user_map *m = &fake_user.map[--fake_user.nmaps];

		if (m->fd >= 0)
			close(m->fd);
	}
	for (i = 0; i < 5; i++)
		for (k = 0; k < 64; k++) {
			if (fake_user.irq[i][k] >= 0)
				close(fake_user.irq[i][k]);
			fake_user.irq[i][k] = -1;
		}
	have = 0;
	while (nfds)
		close(fds[--nfds]);
}

void fake_user_hang_up(void)
{
	if (fake_user.fd >= 0)
		close(fake_user.fd);
	fake_user.fd = -1;
	forget_client();
}

/*
 * The client's system calls.
 */
static int sys_socket(int domain, int type, int protocol)
{
	int ends[2];

	assert_int_equal(domain, AF_UNIX);
	assert_true(type & SOCK_CLOEXEC);
	if (socketpair(domain, type, protocol, ends))
		return -1;
	fake_user_hang_up();
	client_fd = fake_real_fd(ends[0]);
	fake_user.fd = ends[1];
	return client_fd;
}

static int sys_connect(int fd, const void *addr, size_t len)
{
	const struct sockaddr_un *sun = addr;

	assert_int_equal(fd, client_fd);
	assert_true(len <= sizeof(*sun));
	errno = strcmp(sun->sun_path, FAKE_USER_PATH) ? ENOENT : fake_user.connect_err;
	fake_user.clients += !errno;
	if (fake_user.late && !--fake_user.late)
		fake_user.connect_err = 0;
	return errno ? -1 : 0;
}

static ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t sent = sendmsg(fd, msg, flags);
	struct vfu_msg got;
	int err = errno;

	assert_true(flags & MSG_NOSIGNAL);
	while (fake_user.fd >= 0) {
		receive();
		/* Answers to the server's own requests are for the test to fetch. */
		if (have >= sizeof(got.header) &&
		    (((struct vfu_header *)buf)->flags & VFU_F_TYPE) == VFU_F_REPLY)
			break;
		if (!next(&got))
			break;
		handle(&got);
	}
	errno = err;
	return sent;
}

static ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct cmsghdr *cmsg;
	ssize_t got;

	if (fake_user.before_receive)
		fake_user.before_receive();
	got = recvmsg(fd, msg, flags);
	for (cmsg = got < 0 ? NULL : CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t i, n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (i = 0; i < n; i++) {
			int with;

			memcpy(&with, CMSG_DATA(cmsg) + i * sizeof(with), sizeof(with));
			fake_real_fd(with);
		}
	}
	return got;
}

/* Nothing can come while the client waits. */
static int sys_poll(struct pollfd *pfd, nfds_t n, int timeout_ms)
{
	(void)timeout_ms;
	return poll(pfd, n, 0);
}

static int sys_access(const char *path, int mode)
{
	if (strcmp(path, FAKE_USER_PATH))
		return fake_sys.access(path, mode);
	errno = fake_user.closed && mode & W_OK ? EACCES : 0;
	assert_false(mode & R_OK);
	return errno ? -1 : 0;
}

static int sys_stat(const char *path, struct stat *st)
{
	if (strcmp(path, FAKE_USER_PATH))
		return fake_sys.stat(path, st);
	memset(st, 0, sizeof(*st));
	st->st_mode = fake_user.type | 0600;
	st->st_uid = 1234;
	return 0;
}

static int sys_fcntl(int fd, int cmd, int arg)
{
	return fcntl(fd, cmd, arg);
}

static struct plx_sys user_sys;

void fake_user_start(void)
{
	static const struct fake_user fresh = {
		.type = S_IFSOCK,
		.minor = 1,
		.json = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":4096,"
			"\"pgsizes\":4096,\"max_dma_maps\":16}}",
		.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
		.nregions = 9,
		.nirqs = 5,
		.vectors = { 1, 1, 20, 0, 0 },
		.fd = -1,
	};
	static const uint64_t sizes[9] = { 0x20000, 0, 0, 0x4000, 0, 0, 0, 0x1000, 0 };
	unsigned i, k;

	fake_start(FAKE_STOCK);
	fake_publish();
	fake_user = fresh;
	for (i = 0; i < 9; i++) {
		fake_user.region[i].size = sizes[i];
		fake_user.file[i] = -1;
		if (!sizes[i])
			continue;
		fake_user.file[i] = memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		fake_user.region[i].file_len = 2 * sizes[i];
		assert_int_equal(ftruncate(fake_user.file[i], 2 * sizes[i]), 0);
		fake_user.mem[i] = mmap(NULL, 2 * sizes[i], PROT_READ | PROT_WRITE, MAP_SHARED,
					fake_user.file[i], 0);
		assert_true(fake_user.mem[i] != MAP_FAILED);
	}
	for (i = 0; i < 5; i++)
		for (k = 0; k < 64; k++)
			fake_user.irq[i][k] = -1;
	/* BAR 0: doorbells in two pages. */
	fake_user.region[0].mappable = true;
	fake_user.region[0].nareas = 2;
	fake_user.region[0].area[0] = (struct vfio_region_sparse_mmap_area){ 0x2000, 0x1000 };
	fake_user.region[0].area[1] = (struct vfio_region_sparse_mmap_area){ 0x4000, 0x2000 };
	user_sys = fake_sys;
	user_sys.socket = sys_socket;
	user_sys.connect = sys_connect;
	user_sys.sendmsg = sys_sendmsg;
	user_sys.recvmsg = sys_recvmsg;
	user_sys.shutdown = shutdown;
	user_sys.poll = sys_poll;
	user_sys.access = sys_access;
	user_sys.stat = sys_stat;
	user_sys.fstat = fstat;
	user_sys.fcntl = sys_fcntl;
	plx_sys = &user_sys;
}

void fake_user_stop(void)
{
	unsigned i;

	fake_user_hang_up();
	for (i = 0; i < 9; i++) {
		if (fake_user.file[i] < 0)
			continue;
		munmap(fake_user.mem[i], fake_user.region[i].file_len);
		close(fake_user.file[i]);
	}
	fake_stop();
}
