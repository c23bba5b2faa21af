/* SPDX-License-Identifier: BSD-3-Clause */
#include <json-c/json.h>

#include <rte_cycles.h>
#include <rte_ether.h>

#include "report.h"

static void add_count(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_text(struct json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

static struct json_object *port_object(const struct run *run, const struct port *port)
{
	struct json_object *obj = json_object_new_object(), *link = json_object_new_object();
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	struct rte_eth_stats stats;

	port_stats(port, &stats);
	rte_ether_format_addr(mac, sizeof(mac), &port->mac);
	add_count(obj, "port", port->id);
	add_text(obj, "name", port->name);
	add_text(obj, "mac", mac);
	add_text(obj, "access_mode", port->access_mode);
	add_text(obj, "forward_mode", run->opts->engine[port->id]->name);
	json_object_object_add(obj, "numa_node", json_object_new_int(port->node));
	json_object_object_add(link, "up", json_object_new_boolean(port->link.link_status));
	add_count(link, "mbps", port->link.link_status ? port->link.link_speed : 0);
	json_object_object_add(obj, "link", link);
	add_count(obj, "mtu", port->mtu);
	add_count(obj, "removals", port->removals);
	json_object_object_add(obj, "present", json_object_new_boolean(!port->away));
	add_count(obj, "rx_packets", stats.ipackets);
	add_count(obj, "rx_bytes", stats.ibytes);
	add_count(obj, "rx_missed", stats.imissed);
	add_count(obj, "rx_errors", stats.ierrors);
	add_count(obj, "rx_nombuf", stats.rx_nombuf);
	add_count(obj, "tx_packets", stats.opackets);
	add_count(obj, "tx_bytes", stats.obytes);
	add_count(obj, "tx_errors", stats.oerrors);
	add_count(obj, "tx_dropped", report_dropped(run->streams, port->id));
	return obj;
}

/* {"0": 17, "32": 1000}: how many bursts had how many packets. */
static struct json_object *bursts_object(const uint64_t *bursts)
{
	struct json_object *obj = json_object_new_object();
	char key[8];

	for (unsigned n = 0; n <= BURST_MAX; n++) {
		if (!bursts[n])
			continue;
		snprintf(key, sizeof(key), "%u", n);
		add_count(obj, key, bursts[n]);
	}
	return obj;
}

static struct json_object *verify_object(const struct verify_result *r)
{
	struct json_object *obj = json_object_new_object();

	add_count(obj, "sent", r->sent);
	add_count(obj, "intact", r->intact);
	add_count(obj, "lost", r->lost);
	add_count(obj, "damaged", r->damaged);
	add_count(obj, "duplicated", r->duplicated);
	add_count(obj, "reordered", r->reordered);
	add_count(obj, "in_flight", r->in_flight);
	return obj;
}

static struct json_object *stream_object(const struct stream *s)
{
	struct json_object *obj = json_object_new_object();

	add_text(obj, "mode", s->engine->name);
	add_count(obj, "lcore", s->lcore);
	add_count(obj, "rx_port", s->rx_port);
	add_count(obj, "rx_queue", s->rx_queue);
	add_count(obj, "tx_port", s->tx_port);
	add_count(obj, "tx_queue", s->tx_queue);
	add_count(obj, "rx_packets", s->rx_packets);
	add_count(obj, "tx_packets", s->tx_packets);
	add_count(obj, "tx_dropped", s->tx_dropped);
	add_count(obj, "unanswered", s->unanswered);
	add_count(obj, "no_mbufs", s->no_mbufs);
	add_count(obj, "cycles", s->cycles);
	json_object_object_add(obj, "rx_bursts", bursts_object(s->rx_bursts));
	json_object_object_add(obj, "tx_bursts", bursts_object(s->tx_bursts));
	if (s->engine->kind == ENGINE_VERIFIES)
		json_object_object_add(obj, "verify", verify_object(verify_result(s)));
	return obj;
}

void report_json(FILE *out, const struct run *run)
{
	struct json_object *root = json_object_new_object(), *ports = json_object_new_array();
	struct json_object *streams = json_object_new_array(), *total = json_object_new_object();
	struct totals totals;
	uint64_t packets;

	report_totals(run->streams, &totals);
	packets = report_cycle_packets(run, &totals);
	add_text(root, "mode", report_mode(run));
	add_text(root, "addresses", plx_addr_policy_name(run->policy->addr));
	json_object_object_add(root, "seconds", json_object_new_double(run->seconds));
	add_count(root, "burst", run->opts->burst);
	for (unsigned i = 0; i < run->ports->count; i++)
		json_object_array_add(ports, port_object(run, &run->ports->port[i]));
	json_object_object_add(root, "ports", ports);
	for (unsigned i = 0; i < run->streams->count; i++)
		json_object_array_add(streams, stream_object(run->streams->stream[i]));
	json_object_object_add(root, "streams", streams);
	add_count(total, "rx_packets", totals.rx_packets);
	add_count(total, "tx_packets", totals.tx_packets);
	add_count(total, "tx_dropped", totals.tx_dropped);
	json_object_object_add(root, "total", total);
	if (run->opts->record_cycles) {
		add_count(root, "cycles", totals.cycles);
		add_count(root, "tsc_hz", rte_get_tsc_hz());
		json_object_object_add(
			root, "cycles_per_packet",
			packets ? json_object_new_double((double)totals.cycles / (double)packets)
				: NULL);
	}
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN |
							     JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(out);
	json_object_put(root);
}
