/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NIC_OPTIONS_H
#define NIC_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "softdev.h"

struct nic_options {
	const char *socket[MAX_SERVED];
	unsigned sockets;
	bool wire;
	const char *tap, *pcap_in, *pcap_out;
	unsigned loops;
	uint8_t mac[MAX_SERVED][6];
	bool mac_given, drop, json, help;
	int cpu; /* -1: any */
	unsigned idle_us;
};

/* 0, or -EINVAL: said. With help nothing else is looked at. */
int nic_options_parse(int argc, char **argv, struct nic_options *opts);

void nic_usage(FILE *out);

#endif
