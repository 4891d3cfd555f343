/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One received frame, parsed once into a value.
 *
 * segment_parse() is the only place that checks bounds: every offset and length
 * in a segment whose class is SEGMENT_TCP lies inside the frame, so nothing
 * after it can read past the end. All multi-byte values are in host order
 * unless their name ends in _be.
 */
#ifndef SYNFRONT_SEGMENT_H
#define SYNFRONT_SEGMENT_H

#include "addr.h"

/* Which port a frame came in by; the other one is `side ^ 1`. */
enum side {
	SIDE_OUTSIDE = 0,
	SIDE_INSIDE = 1,
	SIDE_COUNT = 2
};

static inline const char *
side_name(unsigned int side)
{
	return side == SIDE_OUTSIDE ? "outside" : "inside";
}

/* TCP control bits, RFC 9293 3.1, and AE of RFC 9768 in bit 8. */
enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

/* What a frame is, as far as the parser can tell. */
enum segment_class {
	SEGMENT_TCP,        /* a whole TCP segment; every field below is valid */
	SEGMENT_ICMP_ERROR, /* an ICMP error that quotes a TCP header: flow, seq of the quoted header */
	SEGMENT_FRAGMENT_FIRST, /* fragment at offset 0 of more: TCP header present; flow, ports, seq valid; payload_len is what is here */
	SEGMENT_FRAGMENT_LATER, /* fragment at offset > 0: addresses and fragment_id valid, no ports */
	SEGMENT_MALFORMED, /* TCP that violates its RFC; `fault` says how; addresses valid, ports if they could be read */
	SEGMENT_OTHER, /* ARP, ND, UDP, ICMP, other protocols, unknown EtherTypes: not for the engine */
};

/* Why a TCP segment is malformed or must not be answered. */
enum segment_fault {
	FAULT_NONE,
	FAULT_IP_LENGTH,   /* IP header or total length does not fit the frame */
	FAULT_IP_CHECKSUM, /* IPv4 header checksum wrong */
	FAULT_TCP_LENGTH,  /* data offset below 5 or past the segment */
	FAULT_FLAGS, /* SYN+FIN, SYN+RST, no flags, FIN+URG+PSH, FIN without ACK, data without ACK... */
	FAULT_ADDRESS, /* an end is multicast, broadcast, 0/8, loopback, unspecified or IPv4-mapped, or both are equal */
	FAULT_PORT_ZERO,    /* a port is 0 */
	FAULT_HEADER_CHAIN, /* IPv6: first fragment without the whole header chain (RFC 7112), chain too long, routing header with segments left */
	FAULT_FRAGMENT,     /* overlapping or impossible fragment offset */
	FAULT_COUNT
};

/* Which options were present, as bits of segment.options. */
enum segment_option {
	OPTION_MSS = 0x01,
	OPTION_WSCALE = 0x02,
	OPTION_SACK_PERMITTED = 0x04,
	OPTION_TIMESTAMPS = 0x08,
	OPTION_SACK = 0x10,
	OPTION_MD5 = 0x20, /* kind 19, RFC 2385 */
	OPTION_AO = 0x40,  /* kind 29, RFC 5925 */
	OPTION_BAD = 0x80, /* a length byte was impossible: parsing stopped there */
};

/*
 * What is known of a segment at one look, for who handles many of a kind: class, side, flags,
 * tags, family and where its headers lie. Whoever changes one of these makes it SHAPE_ANY.
 */
enum segment_shape {
	SHAPE_ANY, /* nothing */
	/* A segment that opens a connection, from outside, in an untagged frame, behind an IPv4
	 * header without options, or an IPv6 header without extensions. All of it is there. */
	SHAPE_SYN_V4,
	SHAPE_SYN_V6,
	SHAPE_SYN_OTHER, /* one that opens a connection, too, but looks otherwise */
	/* An ACK with no other flag but PSH, with or without data, and with no options but
	 * timestamps, from either side: what most of any traffic is made of. Behind the same
	 * headers, and all of it is there. */
	SHAPE_ACK_V4,
	SHAPE_ACK_V6,
};

/*
 * What core_locate() finds out about a segment, for core_decide(). All ones is nothing: no
 * entry, no service, a proof that is unchecked, a profile that is unmade.
 */
struct segment_found {
	uint64_t hash;  /* of the flow */
	uint32_t entry; /* candidate found in the index, or FLOW_NONE; behind a shield (mode
	                     * handoff): enum known_as, whose KNOWN_NOT is FLOW_NONE */
	union {
		uint32_t at_bucket; /* where the candidate stands ... */
		uint32_t kind;      /* SYN without one: where its struct syn_kind is */
	};
	uint16_t service; /* id of the service, or SERVICE_NONE */
	uint8_t lane;     /* SYN: enum syn_lane_when of its service */
	uint8_t proof;    /* ACK without entry: enum cookie_proof */
	uint8_t probe;    /* ... of SEG.SEQ, as a keep-alive or window probe has it */
	uint8_t profile;  /* of the cookie made or proven */
	uint8_t at_slot;  /* ... of the candidate */
	uint8_t plain;    /* what is no SYN: enum plain_kind */
	uint32_t cookie;  /* SYN: the ISS to answer with */
};

/* Two cache lines; core_locate() reads little beyond the first. The parser's lane
 * writes fields that lie side by side as one word or vector. */
struct segment {
	const uint8_t *frame; /* first byte of the Ethernet header */
	struct flow flow;     /* canonical: client is the outside end */
	uint32_t seq;
	uint32_t ack;
	uint16_t window; /* as on the wire, not scaled */
	uint8_t flags;   /* enum tcp_flag */
	uint8_t l4_len;  /* TCP header with options */

	uint8_t class; /* enum segment_class */
	uint8_t fault; /* enum segment_fault */
	bool is_v4;
	bool payload_here; /* all of the payload is contiguous behind the header */
	uint16_t l3_off;   /* from frame */
	uint16_t l4_off;   /* from frame */

	uint8_t options;    /* enum segment_option */
	uint8_t ts_off;     /* of the timestamps option from l4_off */
	uint8_t sack_off;   /* of the SACK option from l4_off */
	uint8_t sack_count; /* blocks in it */
	uint16_t mss;       /* value of the MSS option, 0 if absent */
	uint8_t wscale;     /* shift count, above 14 read as 14 (RFC 7323, 2.3) */
	uint8_t shape;      /* enum segment_shape */
	uint32_t tsval;
	uint32_t tsecr;

	uint32_t
		tags; /* 0: of no VLAN; else outer << 16 | inner, see segment_tag(); one tag: outer */
	uint32_t fragment_id; /* fragments only */
	uint32_t frame_len;   /* Ethernet header to the end of the IP packet, without padding */
	uint16_t payload_len; /* bytes of TCP data */
	uint8_t side;         /* enum side it came in by */
	bool checksum_good; /* set by the caller when hardware has verified it, or by segment_checksum_ok() */

	struct segment_found found;
};

_Static_assert(sizeof(struct segment) == 128, "two cache lines");

/*
 * One half of segment.tags, from a tag's TPID (0x88a8 or not) and its TCI. A
 * service tag (IEEE 802.1ad) differs from a customer tag; priority and DEI are not
 * kept, since the two ends choose them for themselves. For the same reason a tag
 * of VLAN id 0 does not count: it names no VLAN, but a priority (IEEE 802.1Q, 9.6:
 * the null VID). What crosses, or is answered in its own frame, keeps its tags as
 * they are; emit_new() makes those that count.
 */
enum segment_tag {
	SEGMENT_TAG_PRESENT = 0x8000,
	SEGMENT_TAG_SERVICE = 0x4000, /* TPID 0x88a8; else 0x8100 */
	SEGMENT_TAG_VLAN_ID = 0x0fff,
};

static inline uint32_t
segment_tag(bool is_service, uint16_t tci)
{
	return SEGMENT_TAG_PRESENT | (is_service ? SEGMENT_TAG_SERVICE : 0u) |
	       (tci & SEGMENT_TAG_VLAN_ID);
}

/* Length of the segment in sequence space: data, SYN and FIN (RFC 9293, 3.4). */
static inline uint32_t
segment_seq_len(const struct segment *seg)
{
	return seg->payload_len + !!(seg->flags & TCP_SYN) + !!(seg->flags & TCP_FIN);
}

/* Does a client begin a connection by it? */
static inline bool
segment_opens(const struct segment *seg)
{
	return (seg->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	       seg->side == SIDE_OUTSIDE && seg->class == SEGMENT_TCP;
}

/* Has it the flags and options of SHAPE_ACK_V4 and SHAPE_ACK_V6? */
static inline bool
segment_is_plain(const struct segment *seg)
{
	return (seg->flags & ~TCP_PSH) == TCP_ACK && (seg->options & ~OPTION_TIMESTAMPS) == 0;
}

static inline const uint8_t *
segment_payload(const struct segment *seg)
{
	return seg->frame + seg->l4_off + seg->l4_len;
}

/*
 * Parse the frame of `len` bytes (all contiguous up to the end of the TCP
 * header at least; `len` may exceed what is contiguous, `head_len`) that came in
 * by `side`. Fills every field but those of core_locate(). Never reads past
 * frame + head_len. VLAN and QinQ tags (0x8100, 0x88a8) up to two are stepped
 * over. IPv6 extension headers (hop-by-hop, routing with no segments left,
 * destination options, atomic fragment) are walked.
 *
 * A flag combination that no state accepts is SEGMENT_MALFORMED/FAULT_FLAGS,
 * an unusable source FAULT_ADDRESS; whether that frame is dropped or crosses
 * is the caller's decision, since it may not belong to a service.
 */
void segment_parse(struct segment *seg, const uint8_t *frame, uint32_t head_len, uint32_t len,
                   enum side side);

/*
 * Verify the TCP checksum (RFC 9293, 3.1; IPv6: RFC 8200, 8.1), unless that has
 * been done. Sets and returns seg->checksum_good. A segment that is not all
 * there (payload_here false) counts as bad: whoever has its other parts verifies first.
 */
bool segment_checksum_ok(struct segment *seg);

#endif
