/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab-nic CASE -a SENDER -a RECEIVER [EAL options]; lab-nic --list prints the cases. Ends with 0 if
 * the case passed, else with 1 and one line why.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_mbuf.h>

#include <pollux/eal.h>
#include <pollux/pci.h>

#include "nic.h"

#define MBUFS 8191

static const struct {
	const char *name;
	int (*run)(struct nic *nic);
} cases[] = {
	{ "rss", case_rss },
	{ "tx-queues", case_tx_queues },
	{ "rx-interrupt", case_rx_interrupt },
	{ "tx-checksum", case_tx_checksum },
	{ "rx-checksum", case_rx_checksum },
	{ "vlan-insert", case_vlan_insert },
	{ "vlan-strip", case_vlan_strip },
	{ "vlan-filter", case_vlan_filter },
	{ "unicast", case_unicast },
	{ "multicast", case_multicast },
	{ "addresses", case_addresses },
	{ "mtu", case_mtu },
	{ "jumbo", case_jumbo },
	{ "link", case_link },
	{ "statistics", case_statistics },
	{ "nodes", case_nodes },
};

int nic_fail(const char *fmt, ...)
{
	va_list args;

	fputs("lab-nic: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}

/* Ports are numbered in the order of their addresses, which is that of the arguments here. */
static int with_ports(int (*run)(struct nic *nic))
{
	struct nic nic = { .tx = plx_eth_find_next(0) };
	int ret = -1;

	nic.rx = plx_eth_find_next(nic.tx + 1);
	EXPECT(nic.rx < PLX_MAX_ETHPORTS, "%u ports, two wanted", plx_eth_dev_count_avail());
	EXPECT(!plx_eth_macaddr_get(nic.rx, &nic.mac), "no address");
	nic.pool = rte_pktmbuf_pool_create("frames", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					   SOCKET_ID_ANY);
	EXPECT(nic.pool, "no memory for packets: %s", rte_strerror(rte_errno));
	ret = run(&nic);
	if (nic_stop(&nic))
		ret = -1;
	plx_eth_dev_close(nic.tx);
	plx_eth_dev_close(nic.rx);
	if (!ret && rte_mempool_avail_count(nic.pool) != MBUFS)
		ret = nic_fail("%u of %u buffers came back", rte_mempool_avail_count(nic.pool),
			       MBUFS);
	rte_mempool_free(nic.pool);
	return ret;
}

static int with_bus(int argc, char **argv, struct plx_pci_bus *bus, int (*run)(struct nic *nic))
{
	struct plx_policy policy;
	struct plx_ioas *ioas;
	int ret = plx_pci_policy(bus, &policy);

	if (!ret)
		ret = plx_eal_init(argc, argv, &policy, &ioas);
	if (ret < 0) {
		plx_pci_cleanup(bus);
		return nic_fail("no start: %s", strerror(-ret));
	}
	ret = plx_pci_probe(bus, ioas);
	ret = ret == 2 ? with_ports(run) : nic_fail("%d devices probed, two wanted", ret);
	plx_pci_cleanup(bus);
	if (plx_eal_cleanup())
		ret = nic_fail("EAL isn't cleaned up");
	return ret;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	struct plx_pci_bus *bus;
	size_t i = 0;
	int ret;

	if (!strcmp(name, "--list")) {
		for (; i < RTE_DIM(cases); i++)
			puts(cases[i].name);
		return 0;
	}
	while (i < RTE_DIM(cases) && strcmp(cases[i].name, name) != 0)
		i++;
	if (i == RTE_DIM(cases)) {
		nic_fail("no case '%s': see --list", name);
		return 1;
	}
	argv[1] = argv[0];
	argc--;
	argv++;
	ret = plx_pci_scan(&argc, argv, &bus);
	if (ret) {
		nic_fail("no devices: %s", strerror(-ret));
		return 1;
	}
	return with_bus(argc, argv, bus, cases[i].run) != 0;
}
