/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offloads by name, so that a refusal says which.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>

#include <pollux/log.h>

#include "internal.h"

#define RX(name)                                                       \
	{                                                              \
		RTE_ETH_RX_OFFLOAD_##name, "RTE_ETH_RX_OFFLOAD_" #name \
	}
#define TX(name)                                                       \
	{                                                              \
		RTE_ETH_TX_OFFLOAD_##name, "RTE_ETH_TX_OFFLOAD_" #name \
	}

struct offload {
	uint64_t bit;
	const char *name;
};

static const struct offload rx_offloads[] = {
	RX(VLAN_STRIP),	 RX(IPV4_CKSUM),   RX(UDP_CKSUM),	 RX(TCP_CKSUM),
	RX(TCP_LRO),	 RX(QINQ_STRIP),   RX(OUTER_IPV4_CKSUM), RX(MACSEC_STRIP),
	RX(VLAN_FILTER), RX(VLAN_EXTEND),  RX(SCATTER),		 RX(TIMESTAMP),
	RX(SECURITY),	 RX(KEEP_CRC),	   RX(SCTP_CKSUM),	 RX(OUTER_UDP_CKSUM),
	RX(RSS_HASH),	 RX(BUFFER_SPLIT),
};

static const struct offload tx_offloads[] = {
	TX(VLAN_INSERT),     TX(IPV4_CKSUM),	    TX(UDP_CKSUM),   TX(TCP_CKSUM),
	TX(SCTP_CKSUM),	     TX(TCP_TSO),	    TX(UDP_TSO),     TX(OUTER_IPV4_CKSUM),
	TX(QINQ_INSERT),     TX(VXLAN_TNL_TSO),	    TX(GRE_TNL_TSO), TX(IPIP_TNL_TSO),
	TX(GENEVE_TNL_TSO),  TX(MACSEC_INSERT),	    TX(MT_LOCKFREE), TX(MULTI_SEGS),
	TX(MBUF_FAST_FREE),  TX(SECURITY),	    TX(UDP_TNL_TSO), TX(IP_TNL_TSO),
	TX(OUTER_UDP_CKSUM), TX(SEND_ON_TIMESTAMP),
};

static int check(const struct plx_eth_dev *dev, const char *what, uint64_t wanted, uint64_t capa,
		 const struct offload *names, size_t count)
{
	uint64_t missing = wanted & ~capa;
	char list[512] = "";
	size_t len = 0;

	if (!missing)
		return 0;
	for (size_t i = 0; i < count && len < sizeof(list); i++) {
		if (missing & names[i].bit)
			len += snprintf(list + len, sizeof(list) - len, " %s", names[i].name);
		missing &= ~names[i].bit;
	}
	if (missing && len < sizeof(list))
		snprintf(list + len, sizeof(list) - len, " (unknown 0x%" PRIx64 ")", missing);
	plx_err("%s: %s offloads that it doesn't have:%s; leave them out", dev->name, what, list);
	return -EINVAL;
}

int plx_eth_rx_offloads_check(const struct plx_eth_dev *dev, const char *what, uint64_t wanted,
			      uint64_t capa)
{
	return check(dev, what, wanted, capa, rx_offloads, RTE_DIM(rx_offloads));
}

int plx_eth_tx_offloads_check(const struct plx_eth_dev *dev, const char *what, uint64_t wanted,
			      uint64_t capa)
{
	return check(dev, what, wanted, capa, tx_offloads, RTE_DIM(tx_offloads));
}
