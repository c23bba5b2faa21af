/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pollux/log.h>

#include "control.h"

int control_stop_wanted;
static int wake_fd = -1, watched_fd = -1;

void control_wake(void)
{
	int err = errno;
	uint64_t one = 1;

	/* The counter can only be full if it has been rung before. */
	if (write(wake_fd, &one, sizeof(one)) < 0)
		errno = err;
	errno = err;
}

void control_stop(void)
{
	__atomic_store_n(&control_stop_wanted, 1, __ATOMIC_RELAXED);
	control_wake();
}

void control_watch(int fd)
{
	watched_fd = fd;
}

static void on_signal(int signum)
{
	(void)signum;
	control_stop();
}

int control_init(void)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_RESETHAND | SA_RESTART };

	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0) {
		plx_err("no eventfd: %s", strerror(errno));
		return -errno;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return 0;
}

void control_cleanup(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	close(wake_fd);
	wake_fd = -1;
}

bool control_sleep(int milliseconds)
{
	struct pollfd fds[] = { { .fd = wake_fd, .events = POLLIN },
				{ .fd = watched_fd, .events = POLLIN } };
	uint64_t count;

	/* A signal that asks for the end makes the descriptor readable: poll again says so. */
	while (!control_stopping() && poll(fds, 2, milliseconds) < 0 && errno == EINTR)
		continue;
	if (fds[0].revents && read(wake_fd, &count, sizeof(count)) < 0)
		plx_debug("woken by nobody");
	return control_stopping();
}
