/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fields that lie side by side are compared as one word in the order of the wire.
 * What fails a compare is parse.c's to judge.
 */
#include "parse_lane.h"

#include <smmintrin.h>
#include <stddef.h>

#include "frame_rules.h"
#include "tcp_layout.h"

#define LANE_V4_L4_OFF (ETH_HEADER_SIZE + IPV4_HEADER_SIZE)
#define LANE_V6_L4_OFF (ETH_HEADER_SIZE + IPV6_HEADER_SIZE)

#define TYPE_V4 htobe16(ETH_TYPE_IPV4)
#define TYPE_V6 htobe16(ETH_TYPE_IPV6)
#define VERSION_V4 0x45u /* without options */
#define VERSION_V6 0x60u /* ... and half of the traffic class */
/* Fragment bits and offset, TTL, protocol. */
#define WHOLE_TCP_MASK htobe32((uint32_t)(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_MASK) << 16 | 0xffu)
#define WHOLE_TCP htobe32((uint32_t)PROTO_TCP)

/* How the first 16 bytes of a TCP header become what struct segment has from the ports
 * on: numbers and window in host order, the data offset last. From inside, the ports
 * change places. */
#define FROM_SEQ 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12
static const uint8_t tcp_order[SIDE_COUNT][16] __attribute__((aligned(16))) = {
	[SIDE_OUTSIDE] = { 0, 1, 2, 3, FROM_SEQ },
	[SIDE_INSIDE] = { 2, 3, 0, 1, FROM_SEQ },
};
_Static_assert(offsetof(struct segment, flow.client_port_be) + 4 == offsetof(struct segment, seq) &&
                       offsetof(struct segment, seq) + 4 == offsetof(struct segment, ack) &&
                       offsetof(struct segment, ack) + 4 == offsetof(struct segment, window) &&
                       offsetof(struct segment, window) + 2 == offsetof(struct segment, flags) &&
                       offsetof(struct segment, flags) + 1 == offsetof(struct segment, l4_len),
               "ports to l4_len are one vector");

/* What struct segment has from `class` on, for either family: as bytes, since the compiler
 * does not make one word of fields. */
static const uint8_t lane_v4_is[8] = { SEGMENT_TCP,     FAULT_NONE, true,           true,
	                               ETH_HEADER_SIZE, 0,          LANE_V4_L4_OFF, 0 };
static const uint8_t lane_v6_is[8] = { SEGMENT_TCP,     FAULT_NONE, false,          true,
	                               ETH_HEADER_SIZE, 0,          LANE_V6_L4_OFF, 0 };
_Static_assert(offsetof(struct segment, fault) == offsetof(struct segment, class) + 1 &&
                       offsetof(struct segment, is_v4) == offsetof(struct segment, class) + 2 &&
                       offsetof(struct segment, payload_here) ==
                               offsetof(struct segment, class) + 3 &&
                       offsetof(struct segment, l3_off) == offsetof(struct segment, class) + 4 &&
                       offsetof(struct segment, l4_off) == offsetof(struct segment, class) + 6,
               "class to l4_off are one word");

_Static_assert(offsetof(struct segment, fragment_id) == offsetof(struct segment, tags) + 4 &&
                       offsetof(struct segment, payload_len) ==
                               offsetof(struct segment, frame_len) + 4 &&
                       offsetof(struct segment, side) == offsetof(struct segment, frame_len) + 6 &&
                       offsetof(struct segment, checksum_good) ==
                               offsetof(struct segment, frame_len) + 7,
               "tags and fragment_id are one word, frame_len to checksum_good another");

/* All but addresses and options. */
static inline __attribute__((always_inline)) void
lane_fill(struct segment *seg, const uint8_t *frame, unsigned int l4_off, uint32_t end,
          uint32_t header_len, enum side side)
{
	const uint8_t *tcp = frame + l4_off;
	uint64_t none = 0,
		 lengths = end | (uint64_t)(end - l4_off - header_len) << 32 | (uint64_t)side << 48;

	_mm_storeu_si128((__m128i *)(void *)&seg->flow.client_port_be,
	                 _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)tcp),
	                                  _mm_load_si128((const __m128i *)tcp_order[side])));
	seg->l4_len = (uint8_t)header_len;
	memcpy(&seg->class, l4_off == LANE_V4_L4_OFF ? lane_v4_is : lane_v6_is, sizeof(lane_v4_is));
	seg->frame = frame;
	memcpy(&seg->tags, &none, sizeof(none));
	memcpy(&seg->frame_len, &lengths, sizeof(lengths));
}

/* Options of any layout. */
static inline void
lane_options(struct segment *seg, const uint8_t *tcp, uint32_t header_len)
{
	if (header_len == TCP_HEADER_SIZE)
		tcp_layout_clear(seg);
	else if (!tcp_layout_read(seg, tcp, header_len))
		tcp_options_parse(seg, tcp, header_len);
}

/* With SYN from outside, and not as most SYNs are: with data, with ECN, or a SYN-ACK. */
static __attribute__((noinline)) void
lane_fill_rare_syn(struct segment *seg, const uint8_t *frame, unsigned int l4_off, uint32_t end,
                   uint32_t header_len)
{
	lane_fill(seg, frame, l4_off, end, header_len, SIDE_OUTSIDE);
	lane_options(seg, frame + l4_off, header_len);
	if (segment_opens(seg))
		seg->shape = seg->is_v4 ? SHAPE_SYN_V4 : SHAPE_SYN_V6;
}

/* The TCP header at `l4_off` of a packet that ends at `end`, of which all is there. */
static inline __attribute__((always_inline)) bool
lane_tcp(struct segment *seg, const uint8_t *frame, unsigned int l4_off, uint32_t end,
         enum side side)
{
	const uint8_t *tcp = frame + l4_off;
	uint32_t ports = bytes_get_u32_be(tcp);

	if ((ports & 0xffff) == 0 || ports >> 16 == 0)
		return false;
	int32_t len = (int32_t)(end - l4_off), header_len = (tcp[TCP_DATA_OFF] & 0xf0) >> 2;
	uint8_t flags = tcp[TCP_FLAGS_OFF];

	/* Less than nothing is too short as well. */
	if (header_len < TCP_HEADER_SIZE || header_len > len)
		return false;
	if (side == SIDE_OUTSIDE && (flags & TCP_SYN)) {
		if (has_bad_flags(flags))
			return false;
		lane_fill_rare_syn(seg, frame, l4_off, end, (uint32_t)header_len);
		return true;
	}
	if (has_bad_flags(flags))
		return false;
	lane_fill(seg, frame, l4_off, end, (uint32_t)header_len, side);
	lane_options(seg, tcp, (uint32_t)header_len);
	if (segment_is_plain(seg))
		seg->shape = l4_off == LANE_V4_L4_OFF ? SHAPE_ACK_V4 : SHAPE_ACK_V6;
	return true;
}

/* The client's and the server's address, from source and destination side by side: each
 * goes to the last word of the 16 bytes, behind ::ffff. Written as one vector, as who
 * hashes an address will read it. Byte 8 of what is put in order is 0xff. */
#define ADDR_PREFIX -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 8, 8
#define ADDR_SRC ADDR_PREFIX, 0, 1, 2, 3
#define ADDR_DST ADDR_PREFIX, 4, 5, 6, 7
static const int8_t addr_order[SIDE_COUNT + 1][16] __attribute__((aligned(16))) = {
	/* the client's; the server's is the next one */
	[SIDE_OUTSIDE] = { ADDR_SRC },
	[SIDE_INSIDE] = { ADDR_DST },
	[SIDE_COUNT] = { ADDR_SRC },
};

static inline __attribute__((always_inline)) void
put_addrs_v4(struct segment *seg, const uint8_t *src_and_dst, enum side side)
{
	const __m128i *order = (const __m128i *)addr_order[side];
	__m128i both = _mm_or_si128(_mm_loadl_epi64((const __m128i *)src_and_dst),
	                            _mm_set_epi64x(0xff, 0));

	_mm_storeu_si128((__m128i *)seg->flow.client.bytes,
	                 _mm_shuffle_epi8(both, _mm_load_si128(order)));
	_mm_storeu_si128((__m128i *)seg->flow.server.bytes,
	                 _mm_shuffle_epi8(both, _mm_load_si128(order + 1)));
}

/* First bytes of addresses that are not simply unicast: 0, 127, and class D and up, of
 * which is_unusable_v4() lets some pass. As a table, for no branch could foretell what a
 * random source has. */
static const uint8_t odd_net[256] = { [0] = 1, [127] = 1, [224 ... 255] = 1 };

static inline bool
has_odd_net(const uint8_t *ip)
{
	/* A sum: of an or the compiler makes two branches. */
	return (uint8_t)(odd_net[ip[IPV4_SRC_OFF]] + odd_net[ip[IPV4_DST_OFF]]) != 0;
}

static inline bool
is_to_itself(const uint8_t *ip)
{
	return bytes_get_u32_be(ip + IPV4_SRC_OFF) == bytes_get_u32_be(ip + IPV4_DST_OFF);
}

static __attribute__((noinline)) bool
lane_v4(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side)
{
	const uint8_t *ip = frame + ETH_HEADER_SIZE;
	uint32_t end = ETH_HEADER_SIZE + (uint32_t)bytes_get_u16(ip + IPV4_LENGTH_OFF);

	if (ip[0] != VERSION_V4 || end > head ||
	    (bytes_get_u32_be(ip + IPV4_FRAGMENT_OFF) & WHOLE_TCP_MASK) != WHOLE_TCP ||
	    !checksum_is_whole(sum_ipv4(ip)) || has_odd_net(ip) || is_to_itself(ip))
		return false;
	put_addrs_v4(seg, ip + IPV4_SRC_OFF, side);
	return lane_tcp(seg, frame, LANE_V4_L4_OFF, end, side);
}

/* What begins with eight zero bytes may be unspecified, loopback or mapped. */
static inline bool
has_odd_address(const uint8_t *ip, __m128i src, __m128i dst)
{
	__m128i differ = _mm_xor_si128(src, dst);
	uint64_t src_first, dst_first;

	memcpy(&src_first, ip + IPV6_SRC_OFF, sizeof(src_first));
	memcpy(&dst_first, ip + IPV6_DST_OFF, sizeof(dst_first));
	return src_first == 0 || dst_first == 0 || ip[IPV6_SRC_OFF] == 0xff ||
	       ip[IPV6_DST_OFF] == 0xff || _mm_testz_si128(differ, differ);
}

static __attribute__((noinline)) bool
lane_v6(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side)
{
	const uint8_t *ip = frame + ETH_HEADER_SIZE;
	uint32_t end = LANE_V6_L4_OFF + (uint32_t)bytes_get_u16(ip + IPV6_LENGTH_OFF);
	__m128i src = _mm_loadu_si128((const __m128i *)(ip + IPV6_SRC_OFF));
	__m128i dst = _mm_loadu_si128((const __m128i *)(ip + IPV6_DST_OFF));

	if ((ip[0] & 0xf0u) != VERSION_V6 || ip[IPV6_NEXT_OFF] != PROTO_TCP || end > head ||
	    has_odd_address(ip, src, dst))
		return false;
	bool outside = side == SIDE_OUTSIDE;
	_mm_storeu_si128((__m128i *)seg->flow.client.bytes, outside ? src : dst);
	_mm_storeu_si128((__m128i *)seg->flow.server.bytes, outside ? dst : src);
	return lane_tcp(seg, frame, LANE_V6_L4_OFF, end, side);
}

/*
 * The SYN that most floods are made of: IP without options or extension headers, 20 bytes of TCP
 * options as Linux lays them out, from outside. All that must be as it is lies in two vectors and
 * two words; what follows from it is written as constants.
 */
#define SYN_LEN 40u
#define ANY4 0, 0, 0, 0
struct shape {
	uint8_t fixed[16], is[16];
} __attribute__((aligned(16)));

/* EtherType, version, TOS, length, id, fragment, TTL, protocol, checksum, source: of that length,
 * and of any. */
static const struct shape syn_ipv4 = {
	{ 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0, 0, 0x3f, 0xff, 0, 0xff, ANY4 },
	{ 0x08, 0x00, 0x45, 0, 0, 20 + SYN_LEN, 0, 0, 0, 0, 0, PROTO_TCP, ANY4 },
};
static const struct shape tcp_in_ipv4 = {
	{ 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0x3f, 0xff, 0, 0xff, ANY4 },
	{ 0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, PROTO_TCP, ANY4 },
};
/* EtherType, version, traffic class, label, length, next header, hop limit, source. */
static const struct shape syn_ipv6 = {
	{ 0xff, 0xff, 0xf0, 0, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0, ANY4 },
	{ 0x86, 0xdd, 0x60, 0, 0, 0, 0, SYN_LEN, PROTO_TCP, 0, 0, 0, ANY4 },
};
static const struct shape tcp_in_ipv6 = {
	{ 0xff, 0xff, 0xf0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, ANY4 },
	{ 0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, PROTO_TCP, 0, 0, 0, ANY4 },
};
/* Of TCP from the acknowledgment on, up to the MSS: data offset, flags, and the option but for its
 * value. From 24 on SACK-permitted and timestamps, and behind these a NOP and the window scale. */
#define SYN_MSS_OFF TCP_HEADER_SIZE
#define SYN_HEAD_OFF TCP_ACK_OFF
static const struct shape syn_head = {
	{ ANY4, 0xff, 0xff, 0, 0, ANY4, 0xff, 0xff, 0, 0 },
	{ ANY4, SYN_LEN << 2, TCP_SYN, 0, 0, ANY4, TCPOPT_MSS, 4, 0, 0 },
};
#define SYN_REST_OFF (SYN_LEN - 16)
static const struct shape syn_rest = {
	{ 0xff, 0xff, 0xff, 0xff, ANY4, ANY4, 0xff, 0xff, 0xff, 0 },
	{ TCPOPT_SACK_PERMITTED, 2, TCPOPT_TIMESTAMPS, 10, ANY4, ANY4, TCPOPT_NOP, TCPOPT_WSCALE,
	  3 },
};
_Static_assert(SYN_HEAD_OFF + 16 == SYN_REST_OFF && SYN_MSS_OFF + 4 == SYN_REST_OFF,
               "all from the acknowledgment on lies in two vectors");
/* From these 16 bytes, the MSS in place of the first two, to the fields from `options` to `tsecr`;
 * and what each such SYN says, in either family. */
static const int8_t syn_order[16]
	__attribute__((aligned(16))) = { -1, -1, -1, -1, 1, 0, 15, -1, 7, 6, 5, 4, 11, 10, 9, 8 };
#define SYN_SAYS(shape)                                                                            \
	OPTION_MSS | OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS, 26, 0, 0, 0, 0, 0, \
		shape
static const uint8_t syn_v4_says[16] __attribute__((aligned(16))) = { SYN_SAYS(SHAPE_SYN_V4) };
static const uint8_t syn_v6_says[16] __attribute__((aligned(16))) = { SYN_SAYS(SHAPE_SYN_V6) };
_Static_assert(offsetof(struct segment, shape) == offsetof(struct segment, options) + 7 &&
                       offsetof(struct segment, tsval) == offsetof(struct segment, options) + 8,
               "what a SYN says ends with its shape");

/* What differs of 16 bytes from those of a shape. */
static inline __m128i
from_shape(const uint8_t *at, const struct shape *shape)
{
	return _mm_xor_si128(_mm_loadu_si128((const __m128i *)at),
	                     _mm_load_si128((const __m128i *)(const void *)shape->is));
}

/* ... of what is fixed. */
static inline __m128i
of_fixed(__m128i differ, const struct shape *shape)
{
	return _mm_and_si128(differ, _mm_load_si128((const __m128i *)(const void *)shape->fixed));
}

static inline bool
is_shape(__m128i differ, const struct shape *shape)
{
	return _mm_testz_si128(differ, _mm_load_si128((const __m128i *)(const void *)shape->fixed));
}

/* Of a SYN: is it this one? *rest: what it has of its own in the last 16 bytes. All is one
 * question: in a flood of all kinds of SYNs, no branch could foretell the answers to several. */
static inline __attribute__((always_inline)) bool
is_syn_of(const uint8_t *frame, uint32_t head, unsigned int l4_off, const struct shape *ip,
          __m128i *rest)
{
	const uint8_t *tcp = frame + l4_off;
	__m128i differ;

	if (__builtin_expect(head < l4_off + SYN_REST_OFF, 0))
		return false;
	/* In what is shorter the head is taken for the rest, which it can't be. */
	*rest = from_shape(tcp + (head < l4_off + SYN_LEN ? SYN_HEAD_OFF : SYN_REST_OFF),
	                   &syn_rest);
	differ = _mm_or_si128(of_fixed(*rest, &syn_rest),
	                      of_fixed(from_shape(tcp + SYN_HEAD_OFF, &syn_head), &syn_head));
	differ = _mm_or_si128(differ, of_fixed(from_shape(frame + ETH_TYPE_OFF, ip), ip));
	return _mm_testz_si128(differ, differ) && bytes_get_u16_be(tcp) != 0 &&
	       bytes_get_u16_be(tcp + 2) != 0;
}

static inline __attribute__((always_inline)) void
syn_fill(struct segment *seg, const uint8_t *frame, unsigned int l4_off, __m128i rest)
{
	const uint8_t *tcp = frame + l4_off;
	__m128i order = _mm_load_si128((const __m128i *)(const void *)syn_order);
	__m128i says = _mm_load_si128((const __m128i *)(const void *)(l4_off == LANE_V4_L4_OFF
	                                                                      ? syn_v4_says
	                                                                      : syn_v6_says));

	lane_fill(seg, frame, l4_off, l4_off + SYN_LEN, SYN_LEN, SIDE_OUTSIDE);
	rest = _mm_insert_epi16(rest, bytes_get_u16_be(tcp + SYN_MSS_OFF + 2), 0);
	tcp_layout_put(seg, _mm_or_si128(_mm_shuffle_epi8(rest, order), says));
}

/* The addresses. False if one is odd, or the IP header's sum is wrong. */
static inline __attribute__((always_inline)) bool
lane_ends(struct segment *seg, const uint8_t *frame, bool is_v4, enum side side)
{
	const uint8_t *ip = frame + ETH_HEADER_SIZE;

	if (is_v4) {
		if (!checksum_is_whole(sum_ipv4(ip)) || has_odd_net(ip) || is_to_itself(ip))
			return false;
		put_addrs_v4(seg, ip + IPV4_SRC_OFF, side);
		return true;
	}
	__m128i src = _mm_loadu_si128((const __m128i *)(ip + IPV6_SRC_OFF));
	__m128i dst = _mm_loadu_si128((const __m128i *)(ip + IPV6_DST_OFF));
	if (has_odd_address(ip, src, dst))
		return false;
	bool outside = side == SIDE_OUTSIDE;
	_mm_storeu_si128((__m128i *)seg->flow.client.bytes, outside ? src : dst);
	_mm_storeu_si128((__m128i *)seg->flow.server.bytes, outside ? dst : src);
	return true;
}

/* What other stacks send. */
static inline __attribute__((always_inline)) void
syn_options(struct segment *seg, const uint8_t *tcp, uint32_t header_len)
{
	const struct tcp_layout *layout = tcp_layout_of_syn[header_len / 4];

	if (__builtin_expect(!tcp_layout_fits(seg, tcp + header_len, layout, true), 0))
		tcp_options_parse(seg, tcp, header_len);
}

/* Of a SYN: one with any options, and no data. */
static inline __attribute__((always_inline)) bool
lane_syn_any(struct segment *seg, const uint8_t *frame, uint32_t head, bool is_v4)
{
	const struct shape *shape = is_v4 ? &tcp_in_ipv4 : &tcp_in_ipv6;
	const uint32_t l4_off = is_v4 ? LANE_V4_L4_OFF : LANE_V6_L4_OFF;
	const uint8_t *ip = frame + ETH_HEADER_SIZE, *tcp = frame + l4_off;
	uint32_t header_len = (tcp[TCP_DATA_OFF] & 0xf0u) >> 2, end = l4_off + header_len;
	uint32_t len = bytes_get_u16(ip + (is_v4 ? IPV4_LENGTH_OFF : IPV6_LENGTH_OFF));

	if (__builtin_expect(!is_shape(from_shape(frame + ETH_TYPE_OFF, shape), shape), 0) ||
	    __builtin_expect(head < end || header_len < TCP_HEADER_SIZE, 0) ||
	    __builtin_expect(len != (is_v4 ? IPV4_HEADER_SIZE : 0) + header_len, 0))
		return false;
	if (bytes_get_u16_be(tcp) == 0 || bytes_get_u16_be(tcp + 2) == 0 ||
	    !lane_ends(seg, frame, is_v4, SIDE_OUTSIDE))
		return false;
	lane_fill(seg, frame, l4_off, end, header_len, SIDE_OUTSIDE);
	syn_options(seg, tcp, header_len);
	seg->shape = is_v4 ? SHAPE_SYN_V4 : SHAPE_SYN_V6;
	return true;
}

/* One look at the flags: what is no SYN shall not pay for the rest. */
static inline bool
lane_syn_v4(struct segment *seg, const uint8_t *frame, uint32_t head)
{
	__m128i rest;

	if (frame[LANE_V4_L4_OFF + TCP_FLAGS_OFF] != TCP_SYN)
		return false;
	if (!is_syn_of(frame, head, LANE_V4_L4_OFF, &syn_ipv4, &rest))
		return lane_syn_any(seg, frame, head, true);
	if (!lane_ends(seg, frame, true, SIDE_OUTSIDE))
		return false;
	syn_fill(seg, frame, LANE_V4_L4_OFF, rest);
	return true;
}

static inline bool
lane_syn_v6(struct segment *seg, const uint8_t *frame, uint32_t head)
{
	__m128i rest;

	if (frame[LANE_V6_L4_OFF + TCP_FLAGS_OFF] != TCP_SYN)
		return false;
	if (!is_syn_of(frame, head, LANE_V6_L4_OFF, &syn_ipv6, &rest))
		return lane_syn_any(seg, frame, head, false);
	if (!lane_ends(seg, frame, false, SIDE_OUTSIDE))
		return false;
	syn_fill(seg, frame, LANE_V6_L4_OFF, rest);
	return true;
}

/* Data offset and flags of an ACK without options, and of one with timestamps, 12 bytes of them:
 * PSH may be there. */
#define ACK_MASK htobe16(0xf000u | (0xffu & ~TCP_PSH))
#define ACK_BARE htobe16(0x5000u | TCP_ACK)
#define ACK_STAMPED htobe16(0x8000u | TCP_ACK)
_Static_assert(TCP_FLAGS_OFF == TCP_DATA_OFF + 1, "data offset and flags are one word");

/* What no options say: nothing. */
static const uint8_t bare_v4_says[16] __attribute__((aligned(16))) = { [7] = SHAPE_ACK_V4 };
static const uint8_t bare_v6_says[16] __attribute__((aligned(16))) = { [7] = SHAPE_ACK_V6 };

/* What most others are: an ACK that may have data, and so long a header. There are as many bytes
 * as the headers have without options. */
static inline __attribute__((always_inline)) bool
lane_ack_of(struct segment *seg, const uint8_t *frame, uint32_t head, bool is_v4,
            uint32_t header_len, enum side side)
{
	const struct shape *shape = is_v4 ? &tcp_in_ipv4 : &tcp_in_ipv6;
	const uint32_t l4_off = is_v4 ? LANE_V4_L4_OFF : LANE_V6_L4_OFF;
	const uint32_t headers = l4_off + header_len;
	const uint8_t *ip = frame + ETH_HEADER_SIZE, *tcp = frame + l4_off;

	if (!is_shape(from_shape(frame + ETH_TYPE_OFF, shape), shape) ||
	    (header_len != TCP_HEADER_SIZE && head < headers))
		return false;
	uint32_t len = bytes_get_u16(ip + (is_v4 ? IPV4_LENGTH_OFF : IPV6_LENGTH_OFF));
	uint32_t payload_len = len - header_len - (is_v4 ? IPV4_HEADER_SIZE : 0);
	/* Less than nothing is more than there is. */
	if (payload_len > head - headers || bytes_get_u16_be(tcp) == 0 ||
	    bytes_get_u16_be(tcp + 2) == 0 || !lane_ends(seg, frame, is_v4, side))
		return false;
	if (header_len == TCP_HEADER_SIZE)
		_mm_storeu_si128(
			(__m128i *)(void *)&seg->options,
			_mm_load_si128((const __m128i *)(const void *)(is_v4 ? bare_v4_says
		                                                             : bare_v6_says)));
	else if (!tcp_layout_try(seg, tcp, header_len, TCP_LAYOUT_STAMPED))
		return false;
	else
		seg->shape = is_v4 ? SHAPE_ACK_V4 : SHAPE_ACK_V6;
	lane_fill(seg, frame, l4_off, headers + payload_len, header_len, side);
	return true;
}

static inline __attribute__((always_inline)) bool
lane_ack(struct segment *seg, const uint8_t *frame, uint32_t head, bool is_v4, enum side side)
{
	const uint8_t *tcp = frame + (is_v4 ? LANE_V4_L4_OFF : LANE_V6_L4_OFF);
	uint16_t what = bytes_get_u16_be(tcp + TCP_DATA_OFF) & ACK_MASK;

	if (what == ACK_BARE)
		return lane_ack_of(seg, frame, head, is_v4, TCP_HEADER_SIZE, side);
	return what == ACK_STAMPED && lane_ack_of(seg, frame, head, is_v4, 32, side);
}

/* By itself for either side, so that what depends on it is constant. */
static inline __attribute__((always_inline)) bool
lane_of_side(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side)
{
	uint16_t type = bytes_get_u16_be(frame + ETH_TYPE_OFF);

	if (type != TYPE_V6)
		return lane_ack(seg, frame, head, true, side) ||
		       (type == TYPE_V4 && lane_v4(seg, frame, head, side));
	if (head < LANE_V6_L4_OFF + TCP_HEADER_SIZE)
		return false;
	return (side == SIDE_OUTSIDE && lane_syn_v6(seg, frame, head)) ||
	       lane_ack(seg, frame, head, false, side) || lane_v6(seg, frame, head, side);
}

bool
parse_lane(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side)
{
	if (head < LANE_V4_L4_OFF + TCP_HEADER_SIZE)
		return false;
	if (side == SIDE_INSIDE)
		return lane_of_side(seg, frame, head, SIDE_INSIDE);
	return lane_syn_v4(seg, frame, head) || lane_of_side(seg, frame, head, SIDE_OUTSIDE);
}
