/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_mbuf.h>

#include <pollux/log.h>

#include "capture.h"

#define SNAPLEN 65535

static struct {
	pthread_mutex_t lock;
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	const char *path;
	uint8_t linear[SNAPLEN]; /* a packet of several buffers is gathered here */
} capture = { .lock = PTHREAD_MUTEX_INITIALIZER };

int capture_open(const char *path)
{
	FILE *file;

	capture.pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SNAPLEN,
							    PCAP_TSTAMP_PRECISION_NANO);
	if (!capture.pcap) {
		plx_err("--pcap: no memory");
		return -ENOMEM;
	}
	file = fopen(path, "we");
	if (!file) {
		int err = errno;

		plx_err("--pcap: can't make %s: %s", path, strerror(err));
		pcap_close(capture.pcap);
		return -err;
	}
	capture.dumper = pcap_dump_fopen(capture.pcap, file);
	if (!capture.dumper) {
		plx_err("--pcap: can't write %s: %s", path, pcap_geterr(capture.pcap));
		fclose(file);
		pcap_close(capture.pcap);
		return -EIO;
	}
	capture.path = path;
	return 0;
}

void capture_hold(struct rte_mbuf **pkts, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		rte_pktmbuf_refcnt_update(pkts[i], 1);
}

static void write_one(const struct rte_mbuf *m, const struct timespec *now)
{
	uint32_t len = rte_pktmbuf_pkt_len(m), caplen = RTE_MIN(len, (uint32_t)SNAPLEN);
	struct pcap_pkthdr header = {
		/* With nanosecond precision tv_usec holds nanoseconds. */
		.ts = { .tv_sec = now->tv_sec, .tv_usec = now->tv_nsec },
		.caplen = caplen,
		.len = len,
	};
	const void *bytes = rte_pktmbuf_read(m, 0, caplen, capture.linear);

	if (bytes)
		pcap_dump((uint8_t *)capture.dumper, &header, bytes);
}

void capture_write(struct rte_mbuf **pkts, uint16_t sent, uint16_t count)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&capture.lock);
	for (uint16_t i = 0; i < sent; i++)
		write_one(pkts[i], &now);
	pthread_mutex_unlock(&capture.lock);
	rte_pktmbuf_free_bulk(pkts, count);
}

int capture_close(void)
{
	int ret = 0;

	if (!capture.dumper)
		return 0;
	if (pcap_dump_flush(capture.dumper) || ferror(pcap_dump_file(capture.dumper))) {
		plx_err("--pcap: %s is not complete: %s", capture.path, strerror(errno));
		ret = -EIO;
	}
	pcap_dump_close(capture.dumper);
	pcap_close(capture.pcap);
	capture.dumper = NULL;
	return ret;
}
