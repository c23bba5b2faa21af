/* SPDX-License-Identifier: BSD-3-Clause */
/* Files at the other end of the cable: one to play, one to record. */
#include <errno.h>
#include <stdlib.h>
#include <sys/time.h>

#include <pcap/pcap.h>
#include <pollux/log.h>

#include "cable.h"
#include "soft_cable.h"

struct file {
	struct soft_cable cable;
	struct cable_inbox inbox;
	char *in_path, *out_path;
	pcap_t *in, *format;
	pcap_dumper_t *out;
	unsigned loops; /* to come, this one not counted; 0 with forever */
	bool forever;
	uint64_t played, skipped;
};

static struct file *file_of(struct soft_cable *cable)
{
	return (struct file *)cable;
}

static unsigned file_send(struct soft_cable *cable, const struct soft_frame *frames, unsigned count)
{
	struct file *file = file_of(cable);
	struct pcap_pkthdr header;

	if (!file->out)
		return count;
	gettimeofday(&header.ts, NULL);
	for (unsigned i = 0; i < count; i++) {
		header.caplen = frames[i].len;
		header.len = frames[i].len;
		pcap_dump((u_char *)file->out, &header, frames[i].data);
	}
	return count;
}

static int play_open(struct file *file)
{
	char why[PCAP_ERRBUF_SIZE];

	file->in = pcap_open_offline(file->in_path, why);
	if (!file->in) {
		plx_err("can't play it: %s", why);
		return -EINVAL;
	}
	if (pcap_datalink(file->in) != DLT_EN10MB) {
		plx_err("can't play %s: it has no Ethernet frames", file->in_path);
		return -EINVAL;
	}
	return 0;
}

static void play_close(struct file *file)
{
	if (file->in)
		pcap_close(file->in);
	file->in = NULL;
}

/* The end of the file, or what is as good as one: again, or no more. */
static void play_end(struct file *file, int why)
{
	const bool again = why == PCAP_ERROR_BREAK && (file->forever || file->loops);

	if (why != PCAP_ERROR_BREAK)
		plx_err("%s: %s", file->in_path, pcap_geterr(file->in));
	play_close(file);
	if (again && file->loops)
		file->loops--;
	if (again && (!file->forever || file->played) && !play_open(file))
		return;
	play_close(file);
	plx_notice("%s: %llu frames played to the end, %llu left out (cut short, or longer than "
		   "%u bytes)",
		   file->in_path, (unsigned long long)file->played,
		   (unsigned long long)file->skipped, SOFT_FRAME_MAX);
}

static unsigned file_poll(struct soft_cable *cable)
{
	struct file *file = file_of(cable);
	struct pcap_pkthdr *header;
	const u_char *data;
	unsigned n = 0;
	int got;

	if (!file->in && !file->inbox.len)
		return 0;
	while (n < SOFT_BURST && soft_nic_listening(file->inbox.nic) &&
	       cable_deliver(&file->inbox) && file->in) {
		got = pcap_next_ex(file->in, &header, &data);
		if (got <= 0) {
			play_end(file, got);
			continue;
		}
		n++;
		if (header->caplen != header->len || header->len < 14 ||
		    header->len > SOFT_FRAME_MAX) {
			file->skipped++;
			continue;
		}
		memcpy(file->inbox.data, data, header->len);
		file->inbox.len = header->len;
		file->played++;
	}
	return n;
}

static bool file_up(const struct soft_cable *cable)
{
	(void)cable;
	return true;
}

static int record_open(struct file *file)
{
	file->format = pcap_open_dead(DLT_EN10MB, 65535);
	if (!file->format)
		return -ENOMEM;
	file->out = pcap_dump_open(file->format, file->out_path);
	if (file->out)
		return 0;
	plx_err("can't record: %s", pcap_geterr(file->format));
	return -EIO;
}

int soft_pcap_open(struct soft_nic *nic, const char *in, unsigned loops, const char *out,
		   struct soft_cable **cable)
{
	struct file *file = calloc(1, sizeof(*file));
	int err = 0;

	if (!file)
		return -ENOMEM;
	file->inbox.nic = nic;
	file->cable.send = file_send;
	file->cable.poll = file_poll;
	file->cable.up = file_up;
	file->cable.fd = -1;
	file->forever = !loops;
	file->loops = loops ? loops - 1 : 0;
	file->in_path = in ? strdup(in) : NULL;
	file->out_path = out ? strdup(out) : NULL;
	if ((in && !file->in_path) || (out && !file->out_path))
		err = -ENOMEM;
	if (!err && in)
		err = play_open(file);
	if (!err && out)
		err = record_open(file);
	if (err) {
		soft_pcap_close(&file->cable);
		return err;
	}
	*cable = &file->cable;
	return 0;
}

static int record_close(struct file *file)
{
	const bool good = !pcap_dump_flush(file->out) && !ferror(pcap_dump_file(file->out));

	if (!good)
		plx_err("%s: not everything could be written", file->out_path);
	pcap_dump_close(file->out);
	return good ? 0 : -EIO;
}

int soft_pcap_close(struct soft_cable *cable)
{
	struct file *file = file_of(cable);
	int err = 0;

	if (!file)
		return 0;
	play_close(file);
	if (file->out)
		err = record_close(file);
	if (file->format)
		pcap_close(file->format);
	free(file->in_path);
	free(file->out_path);
	free(file);
	return err;
}
