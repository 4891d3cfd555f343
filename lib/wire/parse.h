/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the parser share; inside lib/wire only. */
#ifndef SYNFRONT_PARSE_H
#define SYNFRONT_PARSE_H

#include "segment.h"

/* Where the chain of IPv6 extension headers leads (RFC 8200, 4). */
struct ipv6_chain {
	uint32_t off; /* of the upper-layer header, or of a later fragment's data */
	uint32_t fragment_id;
	uint16_t fragment_offset; /* bytes */
	uint8_t proto;    /* upper-layer protocol; of a later fragment: as its header says */
	bool is_fragment; /* a Fragment header was met, atomic or not */
	bool more_fragments;
	bool is_bad; /* out of order, repeated, or segments left to route */
	bool is_cut; /* longer than the bytes here or than we walk: proto unknown */
};

/* Walk from header `next` at `off`; no byte at or past `end` is read. */
struct ipv6_chain ipv6_chain_walk(const uint8_t *frame, uint32_t off, uint8_t next, uint32_t end);

/*
 * The ICMP message of `seg` (family, l3_off and l4_off set) ends at `end`; bytes
 * before `head` can be read. If it is an error that quotes TCP, set class, flow,
 * seq and payload_len; else leave seg alone.
 */
void icmp_parse(struct segment *seg, uint32_t head, uint32_t end);

#endif
