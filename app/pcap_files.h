/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Capture files of Ethernet frames: pcap and pcapng of either byte order, times in
 * microseconds or nanoseconds. Frames of which a snap length has left only a part are
 * counted and passed over. A file that ends inside a record, as one does whose writer was
 * stopped, ends with the last whole one.
 */
#ifndef SYNFRONT_PCAP_FILES_H
#define SYNFRONT_PCAP_FILES_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#define PCAP_FRAME_MAX 262144u /* bytes: libpcap's own limit */

/* One capture file, and the frame that is next in it. */
struct pcap_input {
	pcap_t *pcap;
	const char *path;
	const uint8_t *frame; /* NULL: at its end */
	uint32_t len;         /* at most PCAP_FRAME_MAX */
	uint64_t at_us;       /* since 1970 */
	uint64_t n;           /* records read */
	uint64_t n_cut;       /* of these, not whole */
	bool ends_early;      /* inside a record */
};

/* Open a capture and read its first whole frame. `path` NULL: one that is empty. 0, or -1
 * when that is said on stderr. */
int pcap_input_open(struct pcap_input *in, const char *path);
/* Read the next whole frame; in->frame is NULL when there is none. 0, or -1 when the file
 * cannot be read, which is said on stderr. So is where it ends early. */
int pcap_input_next(struct pcap_input *in);
/* Close it, and say on stderr how many frames were not whole. */
void pcap_input_close(struct pcap_input *in);

/* Make a capture file. `path` NULL: none, *out is NULL. 0, or -1 when that is said on stderr. */
int pcap_output_open(pcap_dumper_t **out, const char *path);
/* Add a frame; nothing if `out` is NULL. */
void pcap_output_add(pcap_dumper_t *out, uint64_t at_us, const uint8_t *frame, uint32_t len);
/* Close it. 0, or -1 when not all could be written, which is said on stderr. */
int pcap_output_close(pcap_dumper_t *out, const char *path);

#endif
