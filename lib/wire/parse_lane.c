/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast lane of the parser. It decides by as few compares as will do whether
 * a frame is of the usual kind, and leaves all judgement of others to parse.c.
 * Fields that lie side by side are compared as one word in the order of the wire.
 */
#include <emmintrin.h>
#include <stddef.h>

#include "parse.h"
#include "tcp_layout.h"

#define LANE_V4_L4_OFF (ETH_HEADER_SIZE + IPV4_HEADER_SIZE)
#define LANE_V6_L4_OFF (ETH_HEADER_SIZE + IPV6_HEADER_SIZE)

/* EtherType, version and header length or traffic class, and one byte more. */
#define TYPE_V4_MASK htobe32(0xffffff00u)
#define TYPE_V4 htobe32(ETH_TYPE_IPV4 << 16 | 0x4500u)
#define TYPE_V6_MASK htobe32(0xfffff000u)
#define TYPE_V6 htobe32((uint32_t)ETH_TYPE_IPV6 << 16 | 0x6000u)
/* Fragment bits and offset, TTL, protocol. */
#define WHOLE_TCP_MASK htobe32((uint32_t)(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_MASK) << 16 | 0xffu)
#define WHOLE_TCP htobe32((uint32_t)PROTO_TCP)

/* An address is written as one vector, as who hashes it will read it. */
static inline void
put_addr_v4(struct ip_addr *addr, uint32_t addr_be)
{
	__m128i mapped = _mm_cvtsi64_si128(
		(long long)((uint64_t)addr_be << 32 | IP_ADDR_V4_WORD2_BE));

	_mm_storeu_si128((__m128i *)addr->bytes, _mm_slli_si128(mapped, 8));
}

/* The TCP header at `l4_off` of a packet that ends at `end`, of which all is there. */
static inline bool
lane_tcp(struct segment *seg, const uint8_t *frame, unsigned int l4_off, uint32_t end,
         enum side side)
{
	const uint8_t *tcp = frame + l4_off;
	uint32_t len = end - l4_off, header_len = (tcp[TCP_DATA_OFF] >> 4) * 4u;
	uint32_t ports = bytes_get_u32_be(tcp);
	uint8_t flags = tcp[TCP_FLAGS_OFF];

	if (header_len < TCP_HEADER_SIZE || header_len > len || (ports & 0xffff) == 0 ||
	    ports >> 16 == 0 || has_bad_flags(flags))
		return false;
	if (side == SIDE_INSIDE)
		ports = ports << 16 | ports >> 16;
	memcpy(&seg->flow.client_port_be, &ports, sizeof(ports));
	seg->frame = frame;
	seg->tags = 0;
	seg->seq = bytes_get_u32(tcp + TCP_SEQ_OFF);
	seg->ack = bytes_get_u32(tcp + TCP_ACK_OFF);
	seg->class = SEGMENT_TCP;
	seg->fault = FAULT_NONE;
	seg->side = (uint8_t)side;
	seg->flags = flags;
	seg->payload_len = (uint16_t)(len - header_len);
	seg->l4_len = (uint8_t)header_len;
	seg->is_v4 = l4_off == LANE_V4_L4_OFF;
	seg->payload_here = true;
	seg->checksum_good = false;
	seg->l3_off = ETH_HEADER_SIZE;
	seg->l4_off = (uint16_t)l4_off;
	seg->window = bytes_get_u16(tcp + TCP_WINDOW_OFF);
	seg->frame_len = end;
	seg->fragment_id = 0;
	tcp_layout_clear(seg);
	if (!tcp_layout_read(seg, tcp, header_len))
		tcp_options_parse(seg, tcp, header_len);
	return true;
}
_Static_assert(offsetof(struct flow, server_port_be) == offsetof(struct flow, client_port_be) + 2,
               "both ports are one word");

static inline bool
lane_v4(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side)
{
	const uint8_t *ip = frame + ETH_HEADER_SIZE;
	uint32_t end = ETH_HEADER_SIZE + (uint32_t)bytes_get_u16(ip + IPV4_LENGTH_OFF);
	uint32_t src = bytes_get_u32_be(ip + IPV4_SRC_OFF),
		 dst = bytes_get_u32_be(ip + IPV4_DST_OFF);

	if (end > head || end < LANE_V4_L4_OFF + TCP_HEADER_SIZE ||
	    (bytes_get_u32_be(ip + IPV4_FRAGMENT_OFF) & WHOLE_TCP_MASK) != WHOLE_TCP ||
	    checksum_fold(sum_ipv4(ip)) != 0xffff || is_unusable_v4(src) || is_unusable_v4(dst) ||
	    src == dst)
		return false;
	put_addr_v4(side == SIDE_OUTSIDE ? &seg->flow.client : &seg->flow.server, src);
	put_addr_v4(side == SIDE_OUTSIDE ? &seg->flow.server : &seg->flow.client, dst);
	return lane_tcp(seg, frame, LANE_V4_L4_OFF, end, side);
}

static inline bool
lane_v6(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side)
{
	const uint8_t *ip = frame + ETH_HEADER_SIZE;
	uint32_t end = LANE_V6_L4_OFF + (uint32_t)bytes_get_u16(ip + IPV6_LENGTH_OFF);
	__m128i src = _mm_loadu_si128((const __m128i *)(ip + IPV6_SRC_OFF));
	__m128i dst = _mm_loadu_si128((const __m128i *)(ip + IPV6_DST_OFF));

	/* What begins with eight zero bytes may be unspecified, loopback or mapped. */
	if (ip[IPV6_NEXT_OFF] != PROTO_TCP || end > head ||
	    end < LANE_V6_L4_OFF + TCP_HEADER_SIZE || _mm_cvtsi128_si64(src) == 0 ||
	    _mm_cvtsi128_si64(dst) == 0 || ip[IPV6_SRC_OFF] == 0xff || ip[IPV6_DST_OFF] == 0xff ||
	    _mm_movemask_epi8(_mm_cmpeq_epi8(src, dst)) == 0xffff)
		return false;
	bool outside = side == SIDE_OUTSIDE;
	_mm_storeu_si128((__m128i *)seg->flow.client.bytes, outside ? src : dst);
	_mm_storeu_si128((__m128i *)seg->flow.server.bytes, outside ? dst : src);
	return lane_tcp(seg, frame, LANE_V6_L4_OFF, end, side);
}

bool
parse_lane(struct segment *seg, const uint8_t *frame, uint32_t head, enum side side)
{
	if (head < LANE_V4_L4_OFF + TCP_HEADER_SIZE)
		return false;
	uint32_t type = bytes_get_u32_be(frame + ETH_TYPE_OFF);

	if ((type & TYPE_V4_MASK) == TYPE_V4)
		return lane_v4(seg, frame, head, side);
	if ((type & TYPE_V6_MASK) == TYPE_V6 && head >= LANE_V6_L4_OFF + TCP_HEADER_SIZE)
		return lane_v6(seg, frame, head, side);
	return false;
}
