/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcap_files.h"

#include <inttypes.h>
#include <stdio.h>

/* A file has 32 bits for the seconds, without a sign: until 2106. libpcap gives them one.
 * False: later than that, as only a pcapng file can say. */
static bool
read_time(const struct timeval *ts, uint64_t *at_us)
{
	uint64_t seconds = ts->tv_sec < 0 ? (uint32_t)ts->tv_sec : (uint64_t)ts->tv_sec;

	*at_us = seconds * 1000000 + (uint32_t)ts->tv_usec;
	return seconds <= UINT32_MAX;
}

/* As pcap_next_ex(), and where the record begins, -1 if that cannot be told. */
static int
read_record(struct pcap_input *in, struct pcap_pkthdr **header, const uint8_t **data, long *at)
{
	*at = ftell(pcap_file(in->pcap));
	return pcap_next_ex(in->pcap, header, data);
}

/* Reading has failed. Because the file is at its end, with a record begun `at` bytes into it?
 * Then that is said. */
static bool
ends_early(struct pcap_input *in, long at)
{
	FILE *file = pcap_file(in->pcap);

	if (!feof(file) || ferror(file))
		return false;
	in->ends_early = true;
	fprintf(stderr, "synfront-pcap: %s: ends inside a record", in->path);
	if (at >= 0)
		fprintf(stderr, " that begins at byte %ld", at);
	fprintf(stderr, ", behind %" PRIu64 " whole ones\n", in->n);
	return true;
}

int
pcap_input_next(struct pcap_input *in)
{
	struct pcap_pkthdr *header;
	const uint8_t *data;
	long at;
	int rc;

	in->frame = NULL;
	if (in->pcap == NULL || in->ends_early)
		return 0;
	while ((rc = read_record(in, &header, &data, &at)) == 1) {
		in->n++;
		if (header->caplen < header->len || header->len > PCAP_FRAME_MAX) {
			in->n_cut++;
			continue;
		}
		if (!read_time(&header->ts, &in->at_us)) {
			fprintf(stderr,
			        "synfront-pcap: %s: frame %" PRIu64 ": its time is after 2106\n",
			        in->path, in->n);
			return -1;
		}
		in->frame = data;
		in->len = header->len;
		return 0;
	}
	if (rc == PCAP_ERROR_BREAK || ends_early(in, at))
		return 0;
	fprintf(stderr, "synfront-pcap: %s: %s\n", in->path, pcap_geterr(in->pcap));
	return -1;
}

int
pcap_input_open(struct pcap_input *in, const char *path)
{
	char error[PCAP_ERRBUF_SIZE];

	*in = (struct pcap_input){ .path = path };
	if (path == NULL)
		return 0;
	in->pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_MICRO,
	                                                   error);
	if (in->pcap == NULL) {
		fprintf(stderr, "synfront-pcap: %s: %s\n", path, error);
		return -1;
	}
	if (pcap_datalink(in->pcap) != DLT_EN10MB) {
		fprintf(stderr, "synfront-pcap: %s: not a capture of Ethernet frames\n", path);
		return -1;
	}
	return pcap_input_next(in);
}

void
pcap_input_close(struct pcap_input *in)
{
	if (in->n_cut != 0)
		fprintf(stderr,
		        "synfront-pcap: %s: %" PRIu64 " of %" PRIu64
		        " frames are not whole (a snap length?) and were passed over\n",
		        in->path, in->n_cut, in->n);
	if (in->pcap != NULL)
		pcap_close(in->pcap);
	in->pcap = NULL;
}

int
pcap_output_open(pcap_dumper_t **out, const char *path)
{
	*out = NULL;
	if (path == NULL)
		return 0;
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, PCAP_FRAME_MAX);
	if (dead == NULL) {
		fprintf(stderr, "synfront-pcap: %s: not enough memory\n", path);
		return -1;
	}
	*out = pcap_dump_open(dead, path);
	if (*out == NULL)
		fprintf(stderr, "synfront-pcap: %s\n", pcap_geterr(dead));
	pcap_close(dead);
	return *out != NULL ? 0 : -1;
}

void
pcap_output_add(pcap_dumper_t *out, uint64_t at_us, const uint8_t *frame, uint32_t len)
{
	struct pcap_pkthdr header = {
		.ts = { .tv_sec = (time_t)(at_us / 1000000),
		        .tv_usec = (suseconds_t)(at_us % 1000000) },
		.caplen = len,
		.len = len,
	};

	if (out != NULL)
		pcap_dump((uint8_t *)out, &header, frame);
}

int
pcap_output_close(pcap_dumper_t *out, const char *path)
{
	if (out == NULL)
		return 0;
	/* What an earlier frame met is still known to the stream. */
	bool failed = pcap_dump_flush(out) != 0 || ferror(pcap_dump_file(out));
	pcap_dump_close(out);
	if (failed)
		fprintf(stderr, "synfront-pcap: %s: cannot be written\n", path);
	return failed ? -1 : 0;
}
