/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The broker: opens devices for processes of users on its list, and hands them the descriptors. It
 * keeps none, so a device is free again as soon as its user is gone.
 */
#ifndef DEVBIND_SERVE_H
#define DEVBIND_SERVE_H

#include "options.h"
#include "select.h"

#define BROKER_SOCKET	 "/run/pollux.sock"
#define BROKER_USERS_MAX 64

struct broker {
	const struct selection *devices;
	unsigned uid[BROKER_USERS_MAX];
	unsigned nuids;
};

/* Serves until SIGINT or SIGTERM. */
enum exit_code broker_run(const struct options *options, const struct inventory *inv);

/* Answers the one request of a connection. */
void broker_answer(const struct broker *broker, int fd);

#endif
