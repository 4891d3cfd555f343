/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the parser share; inside lib/wire only. */
#ifndef SYNFRONT_PARSE_H
#define SYNFRONT_PARSE_H

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"
#include "segment.h"

#define IPV4_BROADCAST 0xffffffffu

/* Multicast (class D), broadcast, "this network" and loopback: none is an end
 * of a TCP connection on a wire (RFC 1122, 3.2.1.3; RFC 9293, MUST-57). */
static inline bool
is_unusable_v4(uint32_t addr_be)
{
	uint32_t net = addr_be & 0xff;

	/* Without a branch: which half a random source is in, none could foretell. */
	if ((net - 1 < 126) | (net - 128 < 96))
		return false;
	return net < 240 || addr_be == IPV4_BROADCAST;
}

/* A SYN ends nothing; all else carries ACK, save a RST for a segment that had
 * none (RFC 9293, 3.10.7). */
static inline bool
has_bad_flags(uint8_t flags)
{
	if (flags & TCP_SYN)
		return flags & (TCP_FIN | TCP_RST);
	return !(flags & TCP_ACK) && (flags & (TCP_RST | TCP_FIN)) != TCP_RST;
}

/* Sum of the IPv4 header without its options. */
static inline uint64_t
sum_ipv4(const uint8_t *ip)
{
	return checksum_carry(checksum_add_u64(checksum_add_u64(0, ip), ip + 8),
	                      bytes_get_u32_be(ip + 16));
}

/*
 * The fast lane: what a flood is made of, and most of any traffic. Untagged
 * frames, IPv4 without options or IPv6 without extension headers, a sound TCP
 * header, all of it readable (`head` bytes, at most `len`). Fills `seg` as
 * segment_parse() would; false if the frame is any other, sound or not.
 */
bool parse_lane(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side);
/* Everything else, and what it does with frames of the fast lane is the same. */
void parse_any(struct segment *seg, const uint8_t *frame, uint32_t head, uint32_t len,
               enum side side);

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
