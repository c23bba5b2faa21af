/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The port as a whole: link and statistics.
 */
#include <stdlib.h>
#include <string.h>

#include "nic.h"

/*
 * The model goes on receiving while its PHY is powered down, so that what is looked at is the state
 * that the port tells, and that packets arrive when it is up again.
 */
int case_link(struct nic *nic)
{
	static struct frame f;
	struct rte_eth_link link;

	if (nic_restart(nic, 0, 0))
		return -1;
	EXPECT(!plx_eth_link_get_nowait(nic->rx, &link), "no link state");
	EXPECT(link.link_status && link.link_speed == RTE_ETH_SPEED_NUM_1G &&
		       link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX,
	       "link %d, %u Mb/s, duplex %d", link.link_status, link.link_speed, link.link_duplex);
	EXPECT(!plx_eth_dev_set_link_down(nic->rx), "the link can't be taken down");
	EXPECT(!plx_eth_link_get(nic->rx, &link) && !link.link_status, "the link stays up");
	EXPECT(!plx_eth_dev_set_link_up(nic->rx), "the link can't be taken up");
	EXPECT(!plx_eth_link_get(nic->rx, &link) && link.link_status, "the link stays down");
	frame_make(&f, nic, IPPROTO_UDP, 1, 100);
	if (nic_expect(nic, &f, true, "link up again"))
		return -1;
	/* Asked for on a stopped port, it is in force at start. */
	EXPECT(!plx_eth_dev_stop(nic->rx) && !plx_eth_dev_set_link_down(nic->rx) &&
		       !plx_eth_dev_start(nic->rx),
	       "no start with the link down");
	EXPECT(!plx_eth_link_get(nic->rx, &link) && !link.link_status, "started with the link up");
	EXPECT(!plx_eth_dev_set_link_up(nic->rx), "the link can't be taken up after a start");
	EXPECT(!plx_eth_link_get(nic->rx, &link) && link.link_status, "no link after a start");
	return nic_expect(nic, &f, true, "link up after a start");
}

/* The device may count the CRC that it adds and takes off. */
static bool bytes_fit(uint64_t counted, uint64_t sent, unsigned int packets)
{
	return counted == sent || counted == sent + packets * RTE_ETHER_CRC_LEN;
}

static int check_names(uint16_t port)
{
	int count = plx_eth_xstats_get_names(port, NULL, 0);
	struct rte_eth_xstat_name *names;
	int ret = 0;

	EXPECT(count > 0, "no statistics: %d", count);
	names = calloc(count, sizeof(*names));
	EXPECT(names, "no memory");
	if (plx_eth_xstats_get_names(port, names, count) != count)
		ret = nic_fail("not the %d names there should be", count);
	for (int i = 0; i < count && !ret; i++) {
		if (!names[i].name[0])
			ret = nic_fail("statistic %d has no name", i);
		for (int j = 0; j < i && !ret; j++) {
			if (!strcmp(names[i].name, names[j].name))
				ret = nic_fail("two statistics are called %s", names[i].name);
		}
	}
	free(names);
	return ret;
}

/* All of them, basic and named. */
static int check_zero(uint16_t port)
{
	static const struct rte_eth_stats none;
	static struct rte_eth_xstat values[256];
	struct rte_eth_stats stats;
	int count;

	EXPECT(!plx_eth_stats_get(port, &stats) && !memcmp(&stats, &none, sizeof(none)),
	       "port %u: basic statistics aren't zero after a reset", port);
	count = plx_eth_xstats_get(port, values, RTE_DIM(values));
	EXPECT(count > 0 && count <= (int)RTE_DIM(values), "%d statistics", count);
	for (int i = 0; i < count; i++)
		EXPECT(!values[i].value, "port %u: statistic %d isn't zero after a reset", port, i);
	return 0;
}

static int check_counter(uint16_t port, const char *name, uint64_t wanted)
{
	uint64_t value;

	if (nic_xstat(port, name, &value))
		return -1;
	EXPECT(value == wanted, "port %u: %s %u, wanted %u", port, name, (unsigned int)value,
	       (unsigned int)wanted);
	return 0;
}

int case_statistics(struct nic *nic)
{
	const unsigned int packets = 300;
	static struct frame f, got;
	struct rte_eth_stats sent, received;
	uint64_t bytes = 0;

	if (nic_restart(nic, 0, 0) || check_names(nic->tx) || check_names(nic->rx))
		return -1;
	EXPECT(!plx_eth_stats_reset(nic->tx) && !plx_eth_xstats_reset(nic->rx), "no reset");
	if (check_zero(nic->tx) || check_zero(nic->rx))
		return -1;
	for (unsigned int n = 0; n < packets; n++) {
		frame_make(&f, nic, IPPROTO_UDP, (uint16_t)n, ETH_MIN + 4 * n);
		if (nic_send(nic, 0, &f, 0, 0) || nic_receive(nic, 1, &got))
			return -1;
		EXPECT(frame_same(&f, &got), "packet %u: other bytes", n);
		bytes += f.len;
	}
	EXPECT(!plx_eth_stats_get(nic->tx, &sent) && !plx_eth_stats_get(nic->rx, &received),
	       "no statistics");
	EXPECT(sent.opackets == packets && sent.q_opackets[0] == packets,
	       "%u packets sent, %u on queue 0, wanted %u", (unsigned int)sent.opackets,
	       (unsigned int)sent.q_opackets[0], packets);
	EXPECT(received.ipackets == packets && received.q_ipackets[0] == packets,
	       "%u packets received, %u on queue 0, wanted %u", (unsigned int)received.ipackets,
	       (unsigned int)received.q_ipackets[0], packets);
	EXPECT(bytes_fit(sent.obytes, bytes, packets), "%u bytes sent, wanted %u",
	       (unsigned int)sent.obytes, (unsigned int)bytes);
	EXPECT(bytes_fit(received.ibytes, bytes, packets), "%u bytes received, wanted %u",
	       (unsigned int)received.ibytes, (unsigned int)bytes);
	EXPECT(!sent.ipackets && !sent.oerrors && !received.opackets && !received.ierrors &&
		       !received.imissed && !received.rx_nombuf,
	       "packets or errors that there weren't");
	if (check_counter(nic->tx, "tx_good_packets", packets) ||
	    check_counter(nic->tx, "tx_hw_good_packets", packets) ||
	    check_counter(nic->rx, "rx_good_packets", packets) ||
	    check_counter(nic->rx, "rx_hw_good_packets", packets) ||
	    check_counter(nic->rx, "rx_q0_packets", packets))
		return -1;
	EXPECT(!plx_eth_xstats_reset(nic->tx) && !plx_eth_stats_reset(nic->rx), "no reset");
	return check_zero(nic->tx) || check_zero(nic->rx) ? -1 : 0;
}
