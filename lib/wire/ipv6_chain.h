/* SPDX-License-Identifier: BSD-3-Clause */
/* Chains of IPv6 extension headers (RFC 8200, 4); inside lib/wire only. */
#ifndef SYNFRONT_IPV6_CHAIN_H
#define SYNFRONT_IPV6_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "protocols.h"

static inline bool
is_extension(uint32_t proto)
{
	const uint64_t all = UINT64_C(1) << PROTO_HOP_BY_HOP | UINT64_C(1) << PROTO_ROUTING |
	                     UINT64_C(1) << PROTO_FRAGMENT | UINT64_C(1) << PROTO_DST_OPTIONS;

	return proto < 64 && (all >> proto & 1);
}

/* Where a chain leads. */
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

#endif
