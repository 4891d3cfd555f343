/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture of all that came and left, each frame with what became of it: the same that
 * `synfrontctl capture` writes. */
#ifndef SYNFRONT_PCAP_COMMENT_H
#define SYNFRONT_PCAP_COMMENT_H

#include <stdio.h>

#include "verdict.h"

struct pcap_comment {
	FILE *out; /* NULL: none is wanted, and nothing else here is done */
	const char *path;
	const struct policy *policy;
	/* Of the frame that is being dealt with. */
	struct verdict verdict;
	uint16_t service;
	bool is_tick; /* none is: what is sent is a timer's */
};

/* `path` NULL: none. 0, or -1 when that is said on stderr. */
int pcap_comment_open(struct pcap_comment *comment, const char *path, bool has_inside);
/* A frame that came in, as it was, and what has been decided of it. */
void pcap_comment_received(struct pcap_comment *comment, const struct segment *seg,
                           const struct actions *actions, const struct core_note *note,
                           uint64_t at_us, const uint8_t *frame, uint32_t len);
/* The next one that leaves answers a question for an address, which was no segment. */
void pcap_comment_neighbour(struct pcap_comment *comment);
/* A frame that leaves. */
void pcap_comment_sent(struct pcap_comment *comment, enum side side, uint64_t at_us,
                       const uint8_t *frame, uint32_t len);
/* 0, or -1 when not all could be written, which is said on stderr. */
int pcap_comment_close(struct pcap_comment *comment);

#endif
