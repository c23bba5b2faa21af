/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics [10.2.7]. The registers clear when they are read, and when the device is reset, so
 * they are added up here, before each reset, too: the sums outlast a stop. What the queues count
 * themselves (packets, their bytes, frames given up) never stops or clears; a reset of the
 * statistics takes note of where they were.
 *
 * Packets and bytes are those that queues took and handed over: frames that nobody fetches are in
 * neither. The bytes are what pkt_len says, so without the CRC, also where the port leaves it on.
 * What was on the wire, with CRC, is in the extended statistics.
 *
 * In the words of struct rte_eth_stats: imissed are frames for which the device had no room;
 * ierrors are those that came in damaged or of no legal length, and those that the driver gave up
 * because they are longer than the MTU allows or than the device may say (q_errors has these
 * alone).
 */
#include <string.h>

#include "e1000.h"

/* Names as DPDK's drivers of this family have them. */
static const struct {
	const char *name;
	uint32_t reg;
	bool wide; /* two registers, 64 bits */
} counters[] = {
	{ "rx_crc_errors", E1000_CRCERRS, false },
	{ "rx_align_errors", E1000_ALGNERRC, false },
	{ "rx_symbol_errors", E1000_RXERRC, false },
	{ "rx_missed_packets", E1000_MPC, false },
	{ "tx_single_collision_packets", E1000_SCC, false },
	{ "tx_multiple_collision_packets", E1000_MCC, false },
	{ "tx_excessive_collision_packets", E1000_ECOL, false },
	{ "tx_late_collisions", E1000_LATECOL, false },
	{ "tx_total_collisions", E1000_COLC, false },
	{ "tx_deferred_packets", E1000_DC, false },
	{ "tx_no_carrier_sense_packets", E1000_TNCRS, false },
	{ "rx_carrier_ext_errors", E1000_CEXTERR, false },
	{ "rx_length_errors", E1000_RLEC, false },
	{ "rx_xon_packets", E1000_XONRXC, false },
	{ "tx_xon_packets", E1000_XONTXC, false },
	{ "rx_xoff_packets", E1000_XOFFRXC, false },
	{ "tx_xoff_packets", E1000_XOFFTXC, false },
	{ "rx_flow_control_unsupported_packets", E1000_FCRUC, false },
	{ "rx_size_64_packets", E1000_PRC64, false },
	{ "rx_size_65_to_127_packets", E1000_PRC127, false },
	{ "rx_size_128_to_255_packets", E1000_PRC255, false },
	{ "rx_size_256_to_511_packets", E1000_PRC511, false },
	{ "rx_size_512_to_1023_packets", E1000_PRC1023, false },
	{ "rx_size_1024_to_max_packets", E1000_PRC1522, false },
	{ "rx_hw_good_packets", E1000_GPRC, false },
	{ "rx_broadcast_packets", E1000_BPRC, false },
	{ "rx_multicast_packets", E1000_MPRC, false },
	{ "tx_hw_good_packets", E1000_GPTC, false },
	{ "rx_hw_good_bytes", E1000_GORCL, true },
	{ "tx_hw_good_bytes", E1000_GOTCL, true },
	{ "rx_no_buffer_packets", E1000_RNBC, false },
	{ "rx_undersize_errors", E1000_RUC, false },
	{ "rx_fragment_errors", E1000_RFC, false },
	{ "rx_oversize_errors", E1000_ROC, false },
	{ "rx_jabber_errors", E1000_RJC, false },
	{ "rx_management_packets", E1000_MPRC_MNG, false },
	{ "rx_management_dropped", E1000_MPDC, false },
	{ "tx_management_packets", E1000_MPTC_MNG, false },
	{ "rx_total_bytes", E1000_TORL, true },
	{ "tx_total_bytes", E1000_TOTL, true },
	{ "rx_total_packets", E1000_TPR, false },
	{ "tx_total_packets", E1000_TPT, false },
	{ "tx_size_64_packets", E1000_PTC64, false },
	{ "tx_size_65_to_127_packets", E1000_PTC127, false },
	{ "tx_size_128_to_255_packets", E1000_PTC255, false },
	{ "tx_size_256_to_511_packets", E1000_PTC511, false },
	{ "tx_size_512_to_1023_packets", E1000_PTC1023, false },
	{ "tx_size_1024_to_max_packets", E1000_PTC1522, false },
	{ "tx_multicast_packets", E1000_MPTC, false },
	{ "tx_broadcast_packets", E1000_BPTC, false },
	{ "tx_tso_packets", E1000_TSCTC, false },
	{ "tx_tso_errors", E1000_TSCTFC, false },
	{ "interrupt_assert_count", E1000_IAC, false },
};

_Static_assert(RTE_DIM(counters) <= E1000_STATS, "room for every counter");

/* All of them, every time: some mirror each other and would be counted twice. */
void e1000_stats_collect(struct e1000 *hw)
{
	if (!e1000_hw_present(hw))
		return;
	for (size_t i = 0; i < RTE_DIM(counters); i++) {
		hw->stats[i] += e1000_read(hw, counters[i].reg);
		if (counters[i].wide)
			hw->stats[i] += (uint64_t)e1000_read(hw, counters[i].reg + 4) << 32;
	}
}

/* What the device has counted before the driver had it running is nobody's. */
void e1000_stats_discard(struct e1000 *hw)
{
	for (size_t i = 0; i < RTE_DIM(counters); i++) {
		e1000_read(hw, counters[i].reg);
		if (counters[i].wide)
			e1000_read(hw, counters[i].reg + 4);
	}
}

static uint64_t counter(const struct e1000 *hw, uint32_t reg)
{
	for (size_t i = 0; i < RTE_DIM(counters); i++) {
		if (counters[i].reg == reg)
			return hw->stats[i];
	}
	return 0;
}

/*
 * Frames of no legal length: RLEC has them all, RUC and ROC those short and long ones among them
 * whose CRC is right. QEMU's model counts in ROC what is too long, and not in RLEC.
 */
static uint64_t length_errors(const struct e1000 *hw)
{
	return RTE_MAX(counter(hw, E1000_RLEC), counter(hw, E1000_RUC) + counter(hw, E1000_ROC));
}

int e1000_stats(struct plx_eth_dev *eth, struct rte_eth_stats *stats)
{
	struct e1000 *hw = eth->priv;

	e1000_stats_collect(hw);
	stats->imissed = counter(hw, E1000_MPC);
	stats->ierrors = counter(hw, E1000_CRCERRS) + counter(hw, E1000_ALGNERRC) +
			 counter(hw, E1000_RXERRC) + counter(hw, E1000_CEXTERR) + length_errors(hw);
	stats->oerrors = counter(hw, E1000_ECOL) + counter(hw, E1000_LATECOL);
	for (uint16_t i = 0; i < eth->nb_rxq; i++) {
		const struct e1000_rxq *q = eth->rxq[i];

		if (!q)
			continue;
		stats->q_ipackets[i] = q->packets - q->packets_base;
		stats->q_ibytes[i] = q->bytes - q->bytes_base;
		stats->q_errors[i] = q->errors - q->errors_base;
		stats->ipackets += stats->q_ipackets[i];
		stats->ibytes += stats->q_ibytes[i];
		stats->ierrors += stats->q_errors[i];
		stats->rx_nombuf += q->nombuf - q->nombuf_base;
	}
	for (uint16_t i = 0; i < eth->nb_txq; i++) {
		const struct e1000_txq *q = eth->txq[i];
		uint64_t errors;

		if (!q)
			continue;
		errors = q->errors - q->errors_base;
		stats->q_opackets[i] = q->packets - q->packets_base - errors;
		stats->q_obytes[i] = q->bytes - q->bytes_base;
		stats->opackets += stats->q_opackets[i];
		stats->obytes += stats->q_obytes[i];
		stats->oerrors += errors;
	}
	return 0;
}

int e1000_stats_reset(struct plx_eth_dev *eth)
{
	struct e1000 *hw = eth->priv;

	e1000_stats_discard(hw);
	memset(hw->stats, 0, sizeof(hw->stats));
	for (uint16_t i = 0; i < eth->nb_rxq; i++) {
		struct e1000_rxq *q = eth->rxq[i];

		if (!q)
			continue;
		q->packets_base = q->packets;
		q->bytes_base = q->bytes;
		q->errors_base = q->errors;
		q->nombuf_base = q->nombuf;
	}
	for (uint16_t i = 0; i < eth->nb_txq; i++) {
		struct e1000_txq *q = eth->txq[i];

		if (!q)
			continue;
		q->packets_base = q->packets;
		q->bytes_base = q->bytes;
		q->errors_base = q->errors;
	}
	return 0;
}

unsigned int e1000_xstats_count(struct plx_eth_dev *eth)
{
	(void)eth;
	return RTE_DIM(counters);
}

const char *e1000_xstats_name(struct plx_eth_dev *eth, unsigned int index)
{
	(void)eth;
	return counters[index].name;
}

int e1000_xstats(struct plx_eth_dev *eth, uint64_t *values)
{
	struct e1000 *hw = eth->priv;

	e1000_stats_collect(hw);
	memcpy(values, hw->stats, RTE_DIM(counters) * sizeof(*values));
	return 0;
}
