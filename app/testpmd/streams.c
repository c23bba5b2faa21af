/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_launch.h>
#include <rte_malloc.h>

#include <pollux/log.h>

#include "control.h"
#include "streams.h"

/* The port that packets received on the index-th port in use are sent on. */
static const struct port *peer_of(const struct ports *ports, unsigned index,
				  const struct options *opts)
{
	unsigned peer = index;

	switch (opts->topology) {
	case TOPOLOGY_PAIRED:
		peer = index ^ 1;
		if (peer >= ports->count) {
			plx_warn("port %u has no partner (%u ports in use): it is paired with "
				 "itself",
				 ports->port[index].id, ports->count);
			peer = index;
		}
		break;
	case TOPOLOGY_CHAINED: peer = index + 1 == ports->count ? 0 : index + 1; break;
	case TOPOLOGY_LOOP: break;
	}
	return &ports->port[peer];
}

static stream_fn *engine_run(const struct stream *s, const struct options *opts)
{
	return opts->pcap ? s->engine->burst_captured : s->engine->burst;
}

static struct stream *make_stream(const struct port *rx, const struct port *tx, uint16_t queue,
				  const struct options *opts)
{
	const struct engine *engine = opts->engine[rx->id];
	struct stream *s = rte_zmalloc_socket("stream", sizeof(*s), RTE_CACHE_LINE_SIZE, rx->node);

	if (!s)
		return NULL;
	s->engine = engine;
	s->run = engine_run(s, opts);
	s->rx_port = s->rx_live = rx->id;
	s->tx_port = s->tx_live = tx->id;
	s->rx_queue = s->tx_queue = queue;
	s->burst = opts->burst;
	s->retries = opts->retries;
	s->record_cycles = opts->record_cycles;
	s->quota = UINT64_MAX;
	s->pool = tx->pool;
	s->mac = tx->mac;
	memcpy(s->macs, &opts->peer[tx->id], RTE_ETHER_ADDR_LEN);
	memcpy(s->macs + RTE_ETHER_ADDR_LEN, &tx->mac, RTE_ETHER_ADDR_LEN);
	return s;
}

/* A transmit queue belongs to one thread: two streams must not share one. */
static int check_queues(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->count; i++) {
		for (unsigned j = 0; j < i; j++) {
			const struct stream *a = streams->stream[i], *b = streams->stream[j];

			if (a->tx_port != b->tx_port || a->tx_queue != b->tx_queue ||
			    a->engine == &engine_rxonly || b->engine == &engine_rxonly)
				continue;
			plx_err("what ports %u (%s) and %u (%s) receive would go to one queue of "
				"port %u: give --port-topology=loop",
				b->rx_port, b->engine->name, a->rx_port, a->engine->name,
				a->tx_port);
			return -EINVAL;
		}
	}
	return 0;
}

static bool has_kind(const struct streams *streams, enum engine_kind kind)
{
	for (unsigned i = 0; i < streams->count; i++)
		if (streams->stream[i]->engine->kind == kind)
			return true;
	return false;
}

/*
 * --packets goes by packets whose fate verify knows; without verify by packets received; if nobody
 * receives, by packets sent. What is sent at most is shared out among those who make packets.
 */
static void set_limits(struct streams *streams, uint64_t limit)
{
	bool verifies = has_kind(streams, ENGINE_VERIFIES);
	enum engine_kind kind = verifies ? ENGINE_VERIFIES : ENGINE_SENDS;
	bool receives = !verifies && has_kind(streams, ENGINE_RECEIVES);
	unsigned makers = 0, maker = 0;

	streams->limit = limit;
	for (unsigned i = 0; i < streams->count; i++)
		makers += streams->stream[i]->engine->kind == kind;
	for (unsigned i = 0; i < streams->count; i++) {
		struct stream *s = streams->stream[i];

		if (limit && s->engine->kind == kind) {
			s->quota = limit / makers + (maker < limit % makers);
			maker++;
		}
		if (receives && s->engine->kind == ENGINE_RECEIVES)
			s->counted = &s->rx_packets;
		else if (!verifies && !receives)
			s->counted = &s->tx_packets;
	}
}

static int choose_lcores(struct streams *streams, const struct options *opts)
{
	unsigned workers = rte_lcore_count() - 1, have = workers ?: 1;
	unsigned id = rte_get_main_lcore(), first = 0;

	if (opts->cores > have) {
		plx_err("--nb-cores=%u: there %s %u (the main lcore forwards only when it is "
			"alone); give EAL more with -l",
			opts->cores, have == 1 ? "is" : "are", have);
		return -EINVAL;
	}
	streams->lcores = RTE_MIN(opts->cores, streams->count);
	for (unsigned i = 0; i < streams->lcores; i++) {
		struct lcore *lcore = &streams->lcore[i];

		if (workers)
			id = rte_get_next_lcore(i ? id : -1u, 1, 0);
		/* The first ones take one more where it doesn't come out even. */
		*lcore = (struct lcore){
			.all = streams,
			.id = id,
			.first = first,
			.count = streams->count / streams->lcores +
				 (i < streams->count % streams->lcores),
		};
		for (unsigned j = 0; j < lcore->count; j++)
			streams->stream[first + j]->lcore = id;
		first += lcore->count;
	}
	return 0;
}

/* --tx-first: makes what a stream that isn't txonly's needs to send as one of its. */
static int begin_first(struct stream *s, const struct options *opts)
{
	int ret;

	if (s->engine->kind != ENGINE_RECEIVES) {
		if (s->rx_queue == 0)
			plx_warn("--tx-first: nothing is sent first on port %u, where %s makes "
				 "packets anyway",
				 s->tx_port, s->engine->name);
		return 0;
	}
	ret = engine_txonly.begin(s, opts);
	s->first = s->priv;
	s->priv = NULL;
	return ret;
}

int streams_create(struct streams *streams, const struct ports *ports, const struct options *opts)
{
	uint16_t queues = opts->rxq;
	int ret = 0;

	memset(streams, 0, sizeof(*streams));
	streams->opts = opts;
	/* Its frames are no IP: RSS would put all replies on one queue. */
	for (unsigned i = 0; queues > 1 && i < ports->count; i++) {
		if (opts->engine[ports->port[i].id] != &engine_verify)
			continue;
		plx_err("--forward-mode=verify works on one queue a port: --rxq=%u --txq=%u is too "
			"many",
			opts->rxq, opts->txq);
		return -EINVAL;
	}
	if (opts->rxq < opts->txq)
		plx_warn("--rxq=%u --txq=%u: a queue is forwarded to the queue of the same number, "
			 "so only the first %u are used",
			 opts->rxq, opts->txq, queues);
	streams->stream = calloc((size_t)ports->count * queues, sizeof(struct stream *));
	if (!streams->stream)
		goto no_memory;
	for (unsigned i = 0; i < ports->count; i++) {
		const struct port *rx = &ports->port[i];
		const struct port *tx =
			opts->engine[rx->id]->own_port ? rx : peer_of(ports, i, opts);

		for (uint16_t q = 0; q < queues; q++) {
			struct stream *s = make_stream(rx, tx, q, opts);

			if (!s)
				goto no_memory;
			streams->stream[streams->count++] = s;
		}
	}
	ret = check_queues(streams);
	if (ret == 0)
		ret = choose_lcores(streams, opts);
	if (ret)
		goto fail;
	set_limits(streams, opts->packets);
	for (unsigned i = 0; i < streams->count && ret == 0; i++) {
		struct stream *s = streams->stream[i];

		if (opts->tx_first)
			ret = begin_first(s, opts);
		if (ret == 0 && s->engine->begin)
			ret = s->engine->begin(s, opts);
	}
	if (ret == 0)
		return 0;
fail:
	streams_destroy(streams);
	return ret;
no_memory:
	plx_err("no memory for the streams of %u ports", ports->count);
	ret = -ENOMEM;
	goto fail;
}

void streams_destroy(struct streams *streams)
{
	for (unsigned i = 0; i < streams->count; i++) {
		struct stream *s = streams->stream[i];

		if (s->engine->end && s->priv)
			s->engine->end(s);
		s->priv = s->first;
		engine_txonly.end(s);
		rte_free(s);
	}
	free(streams->stream);
	streams->stream = NULL;
	streams->count = 0;
}

/* Bursts of txonly, outside the cycle count, by a stream that isn't that engine's. */
static void send_first(struct lcore *lcore)
{
	const struct options *opts = lcore->all->opts;

	for (unsigned i = 0; i < lcore->count; i++) {
		struct stream *s = lcore->all->stream[lcore->first + i];
		bool record_cycles = s->record_cycles;
		uint64_t quota = s->quota;
		void *priv = s->priv;

		if (!s->first)
			continue;
		s->priv = s->first;
		s->record_cycles = false;
		s->quota = UINT64_MAX;
		for (uint32_t n = 0; n < opts->tx_first && !control_stopping(); n++)
			opts->pcap ? engine_txonly.burst_captured(s) : engine_txonly.burst(s);
		s->priv = priv;
		s->quota = quota;
		s->record_cycles = record_cycles;
	}
}

static inline void run(struct stream *s)
{
	__atomic_load_n(&s->run, __ATOMIC_RELAXED)(s);
}

static void loop(struct lcore *lcore)
{
	struct stream **stream = &lcore->all->stream[lcore->first];
	unsigned count = lcore->count;

	while (!control_stopping())
		for (unsigned i = 0; i < count; i++)
			run(stream[i]);
}

/* With --packets each lcore publishes its count after a round and looks at the sum of all. */
static void loop_limited(struct lcore *lcore)
{
	struct streams *all = lcore->all;
	struct stream **stream = &all->stream[lcore->first];

	while (!control_stopping()) {
		uint64_t done = 0;

		for (unsigned i = 0; i < lcore->count; i++) {
			run(stream[i]);
			if (stream[i]->counted)
				done += *stream[i]->counted;
		}
		__atomic_store_n(&lcore->done, done, __ATOMIC_RELAXED);
		done = 0;
		for (unsigned i = 0; i < all->lcores; i++)
			done += __atomic_load_n(&all->lcore[i].done, __ATOMIC_RELAXED);
		if (done >= all->limit)
			control_stop();
	}
}

static int forward(void *arg)
{
	struct lcore *lcore = arg;

	if (lcore->all->opts->tx_first)
		send_first(lcore);
	if (lcore->all->limit)
		loop_limited(lcore);
	else
		loop(lcore);
	return 0;
}

bool streams_launch(struct streams *streams)
{
	if (streams->lcore[0].id == rte_get_main_lcore())
		return false;
	for (unsigned i = 0; i < streams->lcores; i++)
		rte_eal_remote_launch(forward, &streams->lcore[i], streams->lcore[i].id);
	return true;
}

void streams_forward_here(struct streams *streams)
{
	forward(&streams->lcore[0]);
}

/* In the place of an engine's burst function: that one has returned. */
static void park(struct stream *s)
{
	__atomic_store_n(&s->parked, true, __ATOMIC_RELEASE);
	rte_pause();
}

static bool uses(const struct stream *s, uint16_t port)
{
	return s->rx_port == port || s->tx_port == port;
}

/* False: forwarding ends, and the streams may be anywhere. */
static bool park_all(struct streams *streams, uint16_t port)
{
	for (unsigned i = 0; i < streams->count; i++) {
		struct stream *s = streams->stream[i];

		if (!uses(s, port))
			continue;
		__atomic_store_n(&s->parked, false, __ATOMIC_RELAXED);
		__atomic_store_n(&s->run, park, __ATOMIC_RELEASE);
	}
	for (unsigned i = 0; i < streams->count; i++) {
		struct stream *s = streams->stream[i];

		while (uses(s, port) && !__atomic_load_n(&s->parked, __ATOMIC_ACQUIRE)) {
			if (control_stopping())
				return false;
			rte_delay_us_sleep(50);
		}
	}
	return true;
}

bool streams_lead(struct streams *streams, uint16_t port, uint16_t live)
{
	bool parked = park_all(streams, port);

	for (unsigned i = 0; i < streams->count && parked; i++) {
		struct stream *s = streams->stream[i];

		if (s->rx_port == port)
			s->rx_live = live;
		if (s->tx_port == port)
			s->tx_live = live;
		if (uses(s, port))
			__atomic_store_n(&s->run, engine_run(s, streams->opts), __ATOMIC_RELEASE);
	}
	return parked;
}

void streams_join(void)
{
	rte_eal_mp_wait_lcore();
}

uint64_t streams_sent(const struct streams *streams, uint16_t port)
{
	uint64_t sent = 0;

	for (unsigned i = 0; i < streams->count; i++)
		if (streams->stream[i]->tx_port == port)
			sent += streams->stream[i]->tx_packets;
	return sent;
}
