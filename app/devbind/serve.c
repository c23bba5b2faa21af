/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pollux/log.h>

#include "broker.h"
#include "grant.h"
#include "serve.h"
#include "sys.h"

#define PATIENCE_MS 200 /* a client writes its request as soon as it is connected; others wait */
#define NAP_MS	    100
#define BACKLOG	    16
#define PATH_LEN    96

static volatile sig_atomic_t stopping;

static void stop(int number)
{
	(void)number;
	stopping = 1;
}

/* They come while requests are waited for, with the mask before, and at no other time. */
static void catch_signals(sigset_t *before)
{
	struct sigaction action = { .sa_handler = stop };
	sigset_t set;

	stopping = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, before);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int refuse(struct pci_broker_reply *reply, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct pci_broker_reply *reply, int err, const char *fmt, ...)
{
	va_list args;

	reply->err = err;
	va_start(args, fmt);
	vsnprintf(reply->text, sizeof(reply->text), fmt, args);
	va_end(args);
	return err;
}

static int check_user(const struct broker *broker, unsigned uid, struct pci_broker_reply *reply)
{
	unsigned i;

	for (i = 0; i < broker->nuids; i++)
		if (broker->uid[i] == uid)
			return 0;
	return refuse(reply, -EACCES, "uid %u is not on the broker's list", uid);
}

static int identify(int fd, struct ucred *peer, struct pci_broker_reply *reply)
{
	socklen_t len = sizeof(*peer);

	if (!plx_sys->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len))
		return 0;
	return refuse(reply, -errno, "who is asking can't be told: %s", strerror(errno));
}

/*
 * Nobody waits for the request of one who gets nothing. None may be left unread: the client would
 * see a reset connection instead of the answer. One that comes later is a broken pipe to it.
 */
static void turn_away(int fd)
{
	struct pci_broker_request request;
	struct iovec part = { .iov_base = &request, .iov_len = sizeof(request) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	plx_sys->shutdown(fd, SHUT_RD);
	while (plx_sys->recvmsg(fd, &msg, MSG_DONTWAIT) > 0)
		;
}

static int receive(int fd, struct pci_broker_request *request, struct pci_broker_reply *reply)
{
	struct iovec part = { .iov_base = request, .iov_len = sizeof(*request) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	if (plx_sys->poll(&pollfd, 1, PATIENCE_MS) <= 0)
		return refuse(reply, -ETIMEDOUT, "no request came");
	if (plx_sys->recvmsg(fd, &msg, MSG_DONTWAIT) != sizeof(*request) ||
	    msg.msg_flags & MSG_TRUNC || request->version != PCI_BROKER_VERSION ||
	    request->name[sizeof(request->name) - 1])
		return refuse(reply, -EPROTO, "the request makes no sense");
	return 0;
}

static bool hands_out(const struct broker *broker, const char *bdf)
{
	unsigned i;

	for (i = 0; i < broker->devices->count; i++)
		if (!strcmp(broker->devices->dev[i]->bdf, bdf))
			return true;
	return false;
}

static int check_device(const struct broker *broker, const char *bdf,
			struct pci_broker_reply *reply)
{
	if (!plx_bdf_valid(bdf))
		return refuse(reply, -EINVAL, "the request names no PCI function");
	if (hands_out(broker, bdf))
		return 0;
	return refuse(reply, -EACCES, "the broker does not hand out %.16s", bdf);
}

static int check_member(const struct broker *broker, const char *bdf,
			struct pci_broker_reply *reply)
{
	struct plx_facts facts;

	if (!plx_bdf_valid(bdf) || hands_out(broker, bdf))
		return 0;
	if (!plx_facts_read(bdf, &facts) && (!facts.present || !plx_facts_bound(&facts)))
		return 0;
	return refuse(reply, -EACCES, "its group would open %.16s too, which isn't handed out",
		      bdf);
}

/* Who has a group's node can have every device of it that is VFIO's. */
static int check_group(const struct broker *broker, const char *bdf, struct pci_broker_reply *reply)
{
	char path[PATH_LEN];
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.16s/iommu_group/devices", bdf);
	dir = plx_sys->opendir(path);
	if (!dir)
		return refuse(reply, -errno, "who is in its group can't be told: %s",
			      strerror(errno));
	do {
		errno = 0;
		entry = plx_sys->readdir(dir);
		if (entry)
			err = check_member(broker, entry->d_name, reply);
		else if (errno)
			err = refuse(reply, -errno, "who is in its group can't be told: %s",
				     strerror(errno));
	} while (entry && !err);
	plx_sys->closedir(dir);
	return err;
}

/* The best of the modes asked for, as this process, which may do everything, would have it. */
static int choose_mode(const struct pci_broker_request *request, struct pci_broker_reply *reply,
		       enum plx_vfio_mode *mode)
{
	struct plx_vfio_opts opts = PLX_VFIO_OPTS_INIT;
	struct plx_refusals refusals;
	int err;
	unsigned i;

	memset(&refusals, 0, sizeof(refusals));
	opts.modes = request->modes & PCI_BROKER_MODES;
	err = plx_vfio_foresee(request->name, &opts, mode, &refusals);
	if (!err) {
		reply->mode = *mode;
		return 0;
	}
	for (i = 0; i < PLX_VFIO_MODES; i++)
		if (opts.modes & 1u << i && refusals.mode[i].text[0])
			return refuse(reply, err, "%s: %.200s", plx_vfio_mode_name(i),
				      refusals.mode[i].text);
	return refuse(reply, err, "no access mode will do");
}

static int open_both(const char *device, const char *container, int fds[PCI_BROKER_FDS],
		     struct pci_broker_reply *reply)
{
	fds[0] = plx_sys->open(device, O_RDWR);
	if (fds[0] < 0)
		return refuse(reply, -errno, "%s: %s", device, strerror(errno));
	fds[1] = plx_sys->open(container, O_RDWR);
	if (fds[1] >= 0)
		return 0;
	refuse(reply, -errno, "%s: %s", container, strerror(errno));
	plx_sys->close(fds[0]);
	return reply->err;
}

static int open_files(const char *bdf, enum plx_vfio_mode mode, int fds[PCI_BROKER_FDS],
		      struct pci_broker_reply *reply)
{
	const char *container =
		mode == PLX_VFIO_CDEV || mode == PLX_VFIO_COMPAT ? "/dev/iommu" : "/dev/vfio/vfio";
	char path[PATH_LEN];
	struct plx_facts facts;
	int err;

	memcpy(reply->name, bdf, sizeof(reply->name));
	if (plx_facts_read(bdf, &facts) || !facts.present)
		return refuse(reply, -ENODEV, "the device has gone");
	if (mode == PLX_VFIO_CDEV)
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", facts.cdev);
	else
		snprintf(path, sizeof(path), "/dev/vfio/%d", facts.group);
	err = open_both(path, container, fds, reply);
	if (err || mode != PLX_VFIO_CDEV)
		return err;
	err = plx_iommufd_make_ioas(fds[1], &reply->ioas_id);
	if (err) {
		refuse(reply, err, "iommufd gives no address space: %s", strerror(-err));
		plx_sys->close(fds[0]);
		plx_sys->close(fds[1]);
	}
	return err;
}

static int send_reply(int fd, const struct pci_broker_reply *reply, const int *fds)
{
	union {
		char bytes[CMSG_SPACE(PCI_BROKER_FDS * sizeof(int))];
		struct cmsghdr head;
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof(*reply) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	if (!reply->err) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(PCI_BROKER_FDS * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, PCI_BROKER_FDS * sizeof(int));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
	}
	return plx_sys->sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void broker_answer(const struct broker *broker, int fd)
{
	struct pci_broker_reply reply = { .version = PCI_BROKER_VERSION };
	struct pci_broker_request request = { 0 };
	struct ucred peer = { .uid = NOBODY };
	enum plx_vfio_mode mode = 0;
	int fds[PCI_BROKER_FDS], err;

	err = identify(fd, &peer, &reply);
	err = err ? err : check_user(broker, peer.uid, &reply);
	if (err)
		turn_away(fd);
	err = err ? err : receive(fd, &request, &reply);
	err = err ? err : check_device(broker, request.name, &reply);
	err = err ? err : choose_mode(&request, &reply, &mode);
	if (!err && mode != PLX_VFIO_CDEV)
		err = check_group(broker, request.name, &reply);
	err = err ? err : open_files(request.name, mode, fds, &reply);
	if (send_reply(fd, &reply, fds))
		plx_warn("process %d of uid %u has gone before it was answered", peer.pid,
			 peer.uid);
	else if (err)
		plx_warn("process %d of uid %u: refused: %s", peer.pid, peer.uid, reply.text);
	else
		plx_notice("process %d of uid %u: %s given, %s", peer.pid, peer.uid, request.name,
			   plx_vfio_mode_name(mode));
	if (!err) {
		plx_sys->close(fds[0]);
		plx_sys->close(fds[1]);
	}
}

/* Everybody may ask: who is answered is up to the list. The mode is right from the start. */
static int listen_at(int fd, const struct sockaddr_un *addr)
{
	mode_t mask = umask(0777 & ~0666);
	int err = plx_sys->bind(fd, addr, sizeof(*addr)) ? -errno : 0;

	umask(mask);
	if (!err && plx_sys->listen(fd, BACKLOG)) {
		err = -errno;
		plx_sys->unlink(addr->sun_path);
	}
	return err;
}

/* Without a path it would be an abstract socket, which has no file to find it by. */
static bool path_valid(const char *path)
{
	struct sockaddr_un addr;

	if (*path && strlen(path) < sizeof(addr.sun_path))
		return true;
	plx_err("the socket's path has to have 1 to %zu bytes: '%s'", sizeof(addr.sun_path) - 1,
		path);
	return false;
}

static int open_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, err = 0;

	strcpy(addr.sun_path, path);
	/* Not blocking: who waits here can't be told to stop. */
	fd = plx_sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		err = -errno;
	/* EAGAIN: one is at work, and many wait for it. */
	else if (!plx_sys->connect(fd, &addr, sizeof(addr)) || errno == EAGAIN)
		err = -EADDRINUSE;
	/* What a broker left that was killed. One that is at work would have answered. */
	else if (errno == ECONNREFUSED && !plx_sys->stat(path, &st) && S_ISSOCK(st.st_mode))
		plx_sys->unlink(path);
	err = err ? err : listen_at(fd, &addr);
	if (err)
		plx_err("no socket at %s: %s", path, strerror(-err));
	if (err && fd >= 0)
		plx_sys->close(fd);
	return err ? err : fd;
}

/* Out of descriptors or memory the connection stays where it is: it is tried after a pause. */
static void serve_one(const struct broker *broker, int fd)
{
	int peer = plx_sys->accept(fd, SOCK_CLOEXEC);

	if (peer >= 0) {
		broker_answer(broker, peer);
		plx_sys->close(peer);
	} else if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED) {
		plx_warn("a connection can't be accepted: %s", strerror(errno));
		plx_sys->sleep_ms(NAP_MS);
	}
}

static enum exit_code serve(const struct broker *broker, int fd, const sigset_t *mask)
{
	while (!stopping) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };

		if (plx_sys->ppoll(&pollfd, 1, NULL, mask) >= 0) {
			serve_one(broker, fd);
		} else if (errno != EINTR) {
			plx_err("the broker can't wait for requests: %s", strerror(errno));
			return EXIT_FAILED;
		}
	}
	return EXIT_DONE;
}

/* USER[,USER...] */
static int read_users(struct broker *broker, const char *list)
{
	char name[64];

	while (*list) {
		size_t len = strcspn(list, ",");

		snprintf(name, sizeof(name), "%.*s", (int)len, list);
		if (broker->nuids == BROKER_USERS_MAX || len >= sizeof(name) ||
		    grant_find_user(name, &broker->uid[broker->nuids])) {
			plx_err("'%s': there is no such user, or there are more than %d", name,
				BROKER_USERS_MAX);
			return -EINVAL;
		}
		broker->nuids++;
		list += len + (list[len] == ',');
	}
	return 0;
}

/* Nothing that the request would not be told, but whoever starts the broker may see to it. */
static void tell_unready(const struct selection *devices)
{
	unsigned i;

	for (i = 0; i < devices->count; i++)
		if (!plx_facts_bound(&devices->dev[i]->facts))
			plx_warn("%s is not VFIO's: nobody gets it until it is bound to vfio-pci",
				 devices->dev[i]->bdf);
}

enum exit_code broker_run(const struct options *options, const struct inventory *inv)
{
	const char *path = options->socket ? options->socket : BROKER_SOCKET;
	struct broker broker = { 0 };
	struct selection selection;
	enum exit_code code;
	sigset_t mask;
	int fd;

	if (!path_valid(path) || read_users(&broker, options->grantee))
		return EXIT_USAGE;
	if (!broker.nuids) {
		plx_err("broker wants users who may ask");
		return EXIT_USAGE;
	}
	code = selection_make(&selection, inv, options->words, options->count);
	if (code != EXIT_DONE)
		return code;
	broker.devices = &selection;
	code = EXIT_FAILED;
	catch_signals(&mask);
	fd = open_socket(path);
	if (fd >= 0) {
		plx_notice("at %s, for %u device%s and %u user%s", path, selection.count,
			   selection.count == 1 ? "" : "s", broker.nuids,
			   broker.nuids == 1 ? "" : "s");
		tell_unready(&selection);
		code = serve(&broker, fd, &mask);
		plx_sys->unlink(path);
		plx_sys->close(fd);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	selection_free(&selection);
	return code;
}
