/* SPDX-License-Identifier: BSD-3-Clause */
/* The layout of the tables is the one that users of DPDK's testpmd read every day. */
#include <inttypes.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ether.h>

#include "report.h"

uint64_t report_dropped(const struct streams *streams, uint16_t port)
{
	uint64_t dropped = 0;

	for (unsigned i = 0; i < streams->count; i++)
		if (streams->stream[i]->tx_port == port)
			dropped += streams->stream[i]->tx_dropped;
	return dropped;
}

void report_totals(const struct streams *streams, struct totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	for (unsigned i = 0; i < streams->count; i++) {
		const struct stream *s = streams->stream[i];

		totals->rx_packets += s->rx_packets;
		totals->tx_packets += s->tx_packets;
		totals->tx_dropped += s->tx_dropped;
		totals->cycles += s->cycles;
	}
}

bool report_verify_failed(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->count; i++) {
		const struct verify_result *r;

		if (streams->stream[i]->engine->kind != ENGINE_VERIFIES)
			continue;
		r = verify_result(streams->stream[i]);
		if (r->lost || r->damaged || r->duplicated || r->intact == 0)
			return true;
	}
	return false;
}

uint64_t report_cycle_packets(const struct run *run, const struct totals *totals)
{
	for (unsigned i = 0; i < run->streams->count; i++)
		if (run->streams->stream[i]->engine->kind != ENGINE_SENDS)
			return totals->rx_packets;
	return totals->tx_packets;
}

/* The mode of all ports, or "mixed". */
const char *report_mode(const struct run *run)
{
	const struct engine *engine = run->streams->stream[0]->engine;

	for (unsigned i = 1; i < run->streams->count; i++)
		if (run->streams->stream[i]->engine != engine)
			return "mixed";
	return engine->name;
}

static void print_port(FILE *out, const struct port *port)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(mac, sizeof(mac), &port->mac);
	fprintf(out, "Port %u: %s  %s  access mode %s  ", port->id, port->name, mac,
		port->access_mode);
	if (port->node >= 0)
		fprintf(out, "NUMA node %d  ", port->node);
	if (!port->link.link_status)
		fprintf(out, "link down");
	else
		fprintf(out, "link up %u Mbit/s %s duplex", port->link.link_speed,
			port->link.link_duplex ? "full" : "half");
	fprintf(out, "  MTU %u  rings %u/%u\n", port->mtu, port->rxd, port->txd);
}

void report_start(FILE *out, const struct run *run)
{
	fprintf(out, "Device addresses: %s (%s)\n", plx_addr_policy_name(run->policy->addr),
		run->policy->reason);
	for (unsigned i = 0; i < run->ports->count; i++)
		print_port(out, &run->ports->port[i]);
	for (unsigned i = 0; i < run->streams->count; i++) {
		const struct stream *s = run->streams->stream[i];

		fprintf(out, "Lcore %u: %s: RX P=%u/Q=%u", s->lcore, s->engine->name, s->rx_port,
			s->rx_queue);
		if (s->engine != &engine_rxonly)
			fprintf(out, " -> TX P=%u/Q=%u", s->tx_port, s->tx_queue);
		fprintf(out, "\n");
	}
	fprintf(out, "Forwarding in bursts of %u%s\n", run->opts->burst,
		run->opts->seconds || run->opts->packets ? "" : "; ctrl-C ends it");
	fflush(out);
}

void report_period(FILE *out, const struct run *run, struct period *last, double seconds)
{
	fprintf(out,
		"\n  port     RX-packets     RX-pps  RX-missed     TX-packets     TX-pps  TX-dropped\n");
	for (unsigned i = 0; i < run->ports->count; i++) {
		const struct port *port = &run->ports->port[i];
		struct rte_eth_stats now;

		port_stats(port, &now);
		fprintf(out,
			"  %4u %14" PRIu64 " %10.0f %10" PRIu64 " %14" PRIu64 " %10.0f  %10" PRIu64
			"\n",
			port->id, now.ipackets, (now.ipackets - last->rx[i]) / seconds, now.imissed,
			now.opackets, (now.opackets - last->tx[i]) / seconds,
			report_dropped(run->streams, port->id));
		last->rx[i] = now.ipackets;
		last->tx[i] = now.opackets;
	}
	fflush(out);
}

/* "RX-bursts: 12 [75% of 32 packets + 25% of 4 packets]"; polls that found nothing apart. */
static void print_bursts(FILE *out, const char *way, const uint64_t *bursts)
{
	uint64_t total = 0;
	const char *sep = "";

	for (unsigned n = 1; n <= BURST_MAX; n++)
		total += bursts[n];
	fprintf(out, "  %s-bursts: %" PRIu64 " [", way, total);
	for (unsigned n = 1; n <= BURST_MAX; n++) {
		if (!bursts[n])
			continue;
		fprintf(out, "%s%" PRIu64 " (%.1f%%) of %u packets", sep, bursts[n],
			100.0 * (double)bursts[n] / (double)total, n);
		sep = ", ";
	}
	fprintf(out, "]  empty: %" PRIu64 "\n", bursts[0]);
}

static void print_stream(FILE *out, const struct stream *s, bool bursts)
{
	fprintf(out,
		"\n  ------- Forward Stats for RX Port=%2u/Queue=%2u -> TX Port=%2u/Queue=%2u -------\n",
		s->rx_port, s->rx_queue, s->tx_port, s->tx_queue);
	fprintf(out,
		"  RX-packets: %-14" PRIu64 " TX-packets: %-14" PRIu64 " TX-dropped: %-14" PRIu64
		"\n",
		s->rx_packets, s->tx_packets, s->tx_dropped);
	if (bursts) {
		print_bursts(out, "RX", s->rx_bursts);
		print_bursts(out, "TX", s->tx_bursts);
	}
}

static void print_side(FILE *out, const char *way, uint64_t packets, uint64_t dropped)
{
	fprintf(out,
		"  %s-packets: %-14" PRIu64 " %s-dropped: %-14" PRIu64 " %s-total: %-14" PRIu64
		"\n",
		way, packets, way, dropped, way, packets + dropped);
}

static void print_verify(FILE *out, const struct stream *s)
{
	const struct verify_result *r = verify_result(s);

	fprintf(out,
		"\n  Verify on port %u queue %u: %" PRIu64 " sent, %" PRIu64
		" came back intact, %" PRIu64 " lost, %" PRIu64 " damaged, %" PRIu64
		" duplicated, %" PRIu64 " out of order, %" PRIu64 " in flight at the end\n",
		s->tx_port, s->tx_queue, r->sent, r->intact, r->lost, r->damaged, r->duplicated,
		r->reordered, r->in_flight);
}

void report_end(FILE *out, const struct run *run)
{
	uint64_t rx = 0, tx = 0, missed = 0, packets;
	struct rte_eth_stats stats;
	struct totals totals;

	for (unsigned i = 0; i < run->streams->count; i++)
		print_stream(out, run->streams->stream[i], run->opts->record_bursts);
	for (unsigned i = 0; i < run->ports->count; i++) {
		const struct port *port = &run->ports->port[i];

		port_stats(port, &stats);
		fprintf(out,
			"\n  ---------------------- Forward statistics for port %-2u ----------------------\n",
			port->id);
		fprintf(out, "  %s, access mode %s", port->name, port->access_mode);
		if (port->removals)
			fprintf(out, ", removals %u%s", port->removals,
				port->away ? ", not back" : "");
		fprintf(out, "\n");
		print_side(out, "RX", stats.ipackets, stats.imissed);
		if (stats.ierrors || stats.rx_nombuf)
			fprintf(out, "  RX-error: %-14" PRIu64 "   RX-nombufs: %-14" PRIu64 "\n",
				stats.ierrors, stats.rx_nombuf);
		print_side(out, "TX", stats.opackets, report_dropped(run->streams, port->id));
		if (stats.oerrors)
			fprintf(out, "  TX-error: %-14" PRIu64 "\n", stats.oerrors);
		fprintf(out,
			"  ----------------------------------------------------------------------------\n");
		rx += stats.ipackets;
		missed += stats.imissed;
		tx += stats.opackets;
	}
	report_totals(run->streams, &totals);
	fprintf(out,
		"\n  +++++++++++++++ Accumulated forward statistics for all ports +++++++++++++++\n");
	print_side(out, "RX", rx, missed);
	print_side(out, "TX", tx, totals.tx_dropped);
	fprintf(out,
		"  ++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++\n");
	for (unsigned i = 0; i < run->streams->count; i++)
		if (run->streams->stream[i]->engine->kind == ENGINE_VERIFIES)
			print_verify(out, run->streams->stream[i]);
	packets = report_cycle_packets(run, &totals);
	if (run->opts->record_cycles && packets)
		fprintf(out,
			"\n  CPU cycles/packet=%.2f (total cycles=%" PRIu64
			" / total %s packets=%" PRIu64 ") at %" PRIu64 " MHz Clock\n",
			(double)totals.cycles / (double)packets, totals.cycles, report_mode(run),
			packets, rte_get_tsc_hz() / 1000000);
	fprintf(out, "\nForwarded for %.3f s\n", run->seconds);
	fflush(out);
}
