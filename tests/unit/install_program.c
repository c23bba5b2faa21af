/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of somebody who has Pollux installed, for test_install. */
#include <stdio.h>

#include <rte_mbuf.h>

#include <pollux/eal.h>
#include <pollux/ethdev.h>
#include <pollux/pci.h>

int main(int argc, char **argv)
{
	struct plx_policy policy = { .addr = PLX_ADDR_VA, .reason = "no device is claimed" };
	struct plx_pci_bus *bus;
	struct plx_ioas *ioas;
	struct rte_mempool *pool;

	if (plx_pci_scan(&argc, argv, &bus))
		return 1;
	if (plx_eal_init(argc, argv, &policy, &ioas) < 0)
		return 2;
	pool = rte_pktmbuf_pool_create("mbufs", 255, 0, 0, 2176, SOCKET_ID_ANY);
	printf("%u ports, %s\n", plx_eth_dev_count_avail(), pool ? "a pool" : "no pool");
	rte_mempool_free(pool);
	plx_pci_cleanup(bus);
	return plx_eal_cleanup() || !pool ? 3 : 0;
}
