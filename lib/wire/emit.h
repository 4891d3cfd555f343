/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing frames: a `packet` says what a generated segment carries, emit_*()
 * lays it out. Nothing of a received frame survives into a generated one but
 * its addresses, ports, MAC pair and tags, and what a packet's `label` and `ttl` say:
 * IP ID, options, payload and window are all ours.
 */
#ifndef SYNFRONT_EMIT_H
#define SYNFRONT_EMIT_H

#include <smmintrin.h>

#include "bytes.h"
#include "protocols.h"
#include "segment.h"

/* Most bytes emit_*() writes before the payload: Ethernet with two tags, IPv6,
 * TCP with 40 bytes of options. */
#define EMIT_HEADER_MAX (14 + 8 + 40 + 60)

/* The shortest frame, without FCS (IEEE 802.3). */
#define EMIT_FRAME_MIN 60u

#define EMIT_TTL 64u /* of what is sent for nobody */

/* What a generated TCP segment says. Options are written only when their bit
 * is in `options`, in the order MSS, SACK-permitted+timestamps, window scale,
 * padded with NOP in front where alignment wants it and zero at the end. */
struct packet {
	/* What packets of one kind have in common: read as a whole, see struct emit_memo. */
	uint32_t tsval;
	uint16_t window; /* as on the wire */
	uint16_t mss;
	uint16_t payload_len;
	uint8_t flags;   /* enum tcp_flag */
	uint8_t options; /* enum segment_option: MSS, WSCALE, SACK_PERMITTED, TIMESTAMPS */
	uint8_t wscale;
	uint8_t ttl; /* or hop limit; 0: 64 */
	uint8_t zero[2];

	uint32_t ack; /* both numbers are read as one word */
	uint32_t seq;
	uint32_t tsecr;
	uint32_t label;         /* segment_label() of whom it speaks for, or 0 */
	const uint8_t *payload; /* copied behind the header; NULL if none */
	/* What emit_make() has made of these 16 bytes, for emit_reply(); NULL: nothing. */
	const struct emit_fixed *made;
};

/* The bytes of a packet that do not depend on its flow and its numbers. */
struct emit_fixed {
	/* Of the IPv4 header, in network byte order: all before the addresses, checksum zero, and
	 * zeros. */
	uint8_t ipv4_first[16];
	uint64_t ipv6_first; /* of the IPv6 header: all before the addresses */
	uint64_t sum;        /* of `tail`, and of the pseudo-header without addresses; < 2^34 */
	uint32_t ipv4_sum;   /* of the IPv4 header without addresses */
	uint16_t len;        /* of TCP header and payload ... */
	uint16_t ipv4_frame, ipv6_frame; /* ... of an untagged frame, with its padding */
	uint8_t header_len;              /* of the TCP header */
	uint8_t tsecr_off;   /* from its begin; behind the header if there is none ... */
	uint32_t tsecr_mask; /* ... and 0 then */
	/* The TCP header from the data offset on, checksum and TSecr zero, then zeros. */
	uint8_t tail[32];
};

/* Made beforehand by who sends many of a kind, for packet.made: without payload. */
void emit_make(struct emit_fixed *made, const struct packet *p);

/* The same of a packet that says what another says but for TSval, out of that one's with TSval
 * zero. */
static inline void
emit_make_of(struct emit_fixed *made, const struct emit_fixed *of, uint32_t tsval)
{
	*made = *of;
	if (of->tsecr_mask == 0)
		return;
	uint32_t tsval_be = htobe32(tsval);
	bytes_put_u32_be(made->tail + of->tsecr_off - TCP_DATA_OFF - sizeof(tsval_be), tsval_be);
	made->sum += tsval_be;
}

#define EMIT_KEPT 16u

/*
 * The fixed bytes of packets that were emitted lately. Whoever emits a burst keeps
 * one: in a flood most answers say the same, or one of a few things. Any memo will do for
 * any packet; it starts as EMIT_MEMO_NEW and is emit_*()'s alone.
 */
struct emit_memo {
	struct emit_kept {
		uint64_t said[2]; /* the first 16 bytes of the packet that `fixed` was made for */
		struct emit_fixed fixed;
	} kept[EMIT_KEPT];
};

/* Of no packet: one that says nothing but zeros has its place at the begin. */
#define EMIT_MEMO_NEW ((struct emit_memo){ .kept[0].said = { ~0ull, ~0ull } })

/* The Ethernet envelope of one direction: as it leaves. */
struct link {
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint32_t tags; /* as segment.tags */
};

/* How checksums are finished. */
enum emit_checksum {
	EMIT_CHECKSUM_SOFTWARE, /* complete */
	/* IPv4 header checksum 0, TCP checksum = pseudo-header sum, for the NIC to finish; but
	 * complete where emit_may_offload() is false. */
	EMIT_CHECKSUM_OFFLOAD,
};

/*
 * May a NIC be asked to finish the checksums of a frame of `len` bytes with its IP header at
 * `l3_off`? Not of a short one: it may be padded, and a NIC that goes by the frame's length and
 * not by the IP header's sums the padding too, or makes data of it (QEMU's igb and e1000e do). To
 * leave the padding to the NIC is no way out: not every virtual one, and not every driver, pads.
 * Not behind two tags either: QEMU's e1000e sends such frames as they are.
 */
static inline bool
emit_may_offload(unsigned int len, unsigned int l3_off)
{
	return len > EMIT_FRAME_MIN && l3_off <= ETH_HEADER_SIZE + VLAN_TAG_SIZE;
}

/*
 * Turn the frame that `seg` was parsed from into an answer to its sender:
 * MACs, addresses and ports swapped, tags kept, everything else from `p`.
 * `frame` is writable and has room for EMIT_HEADER_MAX + p->payload_len bytes.
 * Returns the new frame length in bytes (at least 60; short frames are padded
 * with zero).
 */
unsigned int emit_reply(uint8_t *frame, const struct segment *seg, const struct packet *p,
                        enum emit_checksum checksum, struct emit_memo *memo);

/*
 * As emit_reply(), but in the direction of travel of `seg`: MACs, addresses
 * and ports as they are. For a segment that continues to the other side in
 * another form (a client's ACK that becomes the SYN to the server).
 */
unsigned int emit_onward(uint8_t *frame, const struct segment *seg, const struct packet *p,
                         enum emit_checksum checksum, struct emit_memo *memo);

/*
 * Write a whole new frame for `flow` leaving on side `out`: towards the client
 * when SIDE_OUTSIDE (source = flow->server), towards the server when
 * SIDE_INSIDE. Family from the addresses. Returns its length.
 */
unsigned int emit_new(uint8_t *frame, const struct link *link, const struct flow *flow,
                      enum side out, const struct packet *p, enum emit_checksum checksum,
                      struct emit_memo *memo);

/* The stations of a frame (IEEE 802.3: destination first), turned round where it is for a reply, and
 * its tags: as struct link has them. 16 bytes of the frame are read, which are there where an IP
 * header follows. */
static inline __m128i
emit_envelope(const struct segment *seg, bool reply)
{
	const __m128i swap = _mm_setr_epi8(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, -1, -1, -1, -1);
	__m128i stations = _mm_loadu_si128((const __m128i *)seg->frame);

	if (reply)
		stations = _mm_shuffle_epi8(stations, swap);
	return _mm_insert_epi32(stations, (int)seg->tags, 3);
}

/*
 * DSCP and flow label of a segment, where the first word of an IPv6 header has them (of IPv4 the
 * DSCP alone); the bits of ECN are the end's own. Routers choose among paths of equal cost by
 * them: by the flow label Linux does unless told otherwise, and what a client has sent itself
 * must meet the same server as what is sent for it.
 */
static inline uint32_t
segment_label(const struct segment *seg)
{
	const uint8_t *ip = seg->frame + seg->l3_off;

	return seg->is_v4 ? (ip[1] & 0xfcu) << 20 : bytes_get_u32(ip) & 0x0fcfffffu;
}

/* TTL or hop limit. */
static inline uint8_t
segment_hops(const struct segment *seg)
{
	return seg->frame[seg->l3_off + (seg->is_v4 ? 8 : 7)];
}

/*
 * What is sent for the one who sent this has its TTL or hop limit where that is above our own:
 * 255 tells a neighbour (RFC 5082). Not a lower one: what it asks for would never arrive.
 */
static inline uint8_t
segment_ttl(const struct segment *seg)
{
	uint8_t ttl = segment_hops(seg);

	return ttl > EMIT_TTL ? ttl : 0;
}

/* The Ethernet envelope that answers `seg` (reply) or continues it (!reply). */
struct link link_of_segment(const struct segment *seg, bool reply);

#endif
