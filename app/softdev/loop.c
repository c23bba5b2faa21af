/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread polls all devices. Rings are looked at all the time, sockets now and then: a look at a
 * socket is a system call. A client that has just asked something is likely to ask again.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <pollux/log.h>

#include "softdev.h"

/*
 * When to look at the sockets: after so much work, however many turns that took, for a device that
 * does one thing at a time mustn't pay a system call for every few; after so many turns in which
 * there was none, which is some ten microseconds: more than a driver on a distant CPU takes to send
 * the next command; and after each turn when a request has just come.
 */
#define WORK_BUSY     2048
#define TURNS_IDLE    1024
#define CHATTY_LOOKS  4096
#define NAP_MIN_NS    50000
#define NAP_MAX_NS    1000000
#define NS_PER_US     1000u
#define NS_PER_SECOND 1000000000u

static volatile sig_atomic_t stop_wanted;
static int wake_fd = -1;

static void on_signal(int signum)
{
	const int err = errno;
	const uint64_t one = 1;

	(void)signum;
	stop_wanted = 1;
	/* It can't be full: it has been rung before then. */
	if (write(wake_fd, &one, sizeof(one)) < 0)
		errno = err;
	errno = err;
}

static int signals_init(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };

	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0) {
		plx_err("no eventfd: %s", strerror(errno));
		return -errno;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return 0;
}

int loop_pin(int cpu)
{
	cpu_set_t cpus;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (!sched_setaffinity(0, sizeof(cpus), &cpus))
		return 0;
	plx_err("can't run on CPU %d: %s", cpu, strerror(errno));
	return -errno;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SECOND + (uint64_t)ts.tv_nsec;
}

struct loop {
	const struct served *devs;
	unsigned count;
	uint64_t idle_ns, now;
	uint64_t active; /* when something happened last */
	uint64_t nap;
	unsigned chatty; /* looks to come that follow each turn */
};

static unsigned turn_all(const struct loop *loop)
{
	unsigned moved = 0;

	for (unsigned i = 0; i < loop->count; i++)
		moved += loop->devs[i].turn(loop->devs[i].model);
	return moved;
}

/* Looks at all sockets. */
static int look(struct loop *loop)
{
	loop->now = now_ns();
	if (loop->chatty)
		loop->chatty--;
	for (unsigned i = 0; i < loop->count; i++) {
		const struct served *dev = &loop->devs[i];
		const int ret = dev->serve(dev->model, loop->now);

		if (ret < 0) {
			plx_err("%s: the server is broken: %s", dev->name, strerror(-ret));
			return ret;
		}
		if (ret) {
			loop->active = loop->now;
			loop->chatty = CHATTY_LOOKS;
		}
	}
	return 0;
}

/* Sleeps until there is something to do, at most that long; -1: however long that is. */
static void sleep_for(const struct loop *loop, int64_t ns)
{
	const struct timespec timeout = { .tv_sec = 0, .tv_nsec = ns };
	struct pollfd fds[1 + 2 * MAX_SERVED] = { { .fd = wake_fd, .events = POLLIN } };
	nfds_t n = 1;

	for (unsigned i = 0; i < loop->count; i++) {
		fds[n++] = (struct pollfd){ .fd = loop->devs[i].fd, .events = POLLIN };
		/* Nobody takes what comes there before there is a client. */
		if (ns >= 0)
			fds[n++] = (struct pollfd){ .fd = loop->devs[i].more_fd, .events = POLLIN };
	}
	ppoll(fds, n, ns < 0 ? NULL : &timeout, NULL);
}

static void rest(struct loop *loop)
{
	bool connected = false;

	for (unsigned i = 0; i < loop->count; i++)
		connected |= loop->devs[i].connected(loop->devs[i].model);
	if (!connected) {
		sleep_for(loop, -1);
	} else if (loop->idle_ns && loop->now - loop->active >= loop->idle_ns) {
		sleep_for(loop, (int64_t)loop->nap);
		loop->nap = loop->nap * 2 < NAP_MAX_NS ? loop->nap * 2 : NAP_MAX_NS;
	} else {
		loop->nap = NAP_MIN_NS;
		/* The driver that we wait for may be waiting for this CPU. */
		if (!loop->chatty)
			sched_yield();
	}
}

static int run(struct loop *loop)
{
	unsigned work = 0, quiet = 0;
	int err = 0;

	loop->now = now_ns();
	loop->active = loop->now;
	while (!stop_wanted && !err) {
		const unsigned moved = turn_all(loop);

		work += moved;
		quiet = moved ? 0 : quiet + 1;
		if (work < WORK_BUSY && quiet < TURNS_IDLE && !loop->chatty)
			continue;
		err = look(loop);
		if (work)
			loop->active = loop->now;
		if (!moved)
			rest(loop);
		work = 0;
		quiet = 0;
	}
	return err;
}

int loop_run(const struct served *devs, unsigned count, unsigned idle_us)
{
	struct loop loop = {
		.devs = devs,
		.count = count,
		.idle_ns = (uint64_t)idle_us * NS_PER_US,
		.nap = NAP_MIN_NS,
	};
	int err = signals_init();

	if (!err)
		err = run(&loop);
	if (wake_fd >= 0)
		close(wake_fd);
	return err;
}
