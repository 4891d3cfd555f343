/* SPDX-License-Identifier: BSD-3-Clause */
/* Frame to struct segment: Ethernet with tags, IPv4, IPv6 with its extension
 * headers, TCP. The only place that checks bounds. */
#include "parse.h"

#include <stddef.h>

#include "frame_rules.h"
#include "icmp.h"
#include "ipv6_chain.h"
#include "parse_lane.h"
#include "segment_sum.h"
#include "tcp_options.h"

static inline void
set_malformed(struct segment *seg, enum segment_fault fault)
{
	seg->class = SEGMENT_MALFORMED;
	seg->fault = (uint8_t)fault;
}

/* The end that sent the frame, and the other one. */
static inline struct ip_addr *
flow_src(struct segment *seg)
{
	return seg->side == SIDE_OUTSIDE ? &seg->flow.client : &seg->flow.server;
}

static inline struct ip_addr *
flow_dst(struct segment *seg)
{
	return seg->side == SIDE_OUTSIDE ? &seg->flow.server : &seg->flow.client;
}

static inline void
read_ports(struct segment *seg, const uint8_t *tcp)
{
	uint16_t src = bytes_get_u16_be(tcp), dst = bytes_get_u16_be(tcp + 2);

	seg->flow.client_port_be = seg->side == SIDE_OUTSIDE ? src : dst;
	seg->flow.server_port_be = seg->side == SIDE_OUTSIDE ? dst : src;
}

/* Multicast, unspecified, loopback, and IPv4-mapped, which would pass for an
 * IPv4 end here (RFC 4291, 2.5 and 2.7). */
static inline bool
is_unusable_v6(const struct ip_addr *a)
{
	if (a->bytes[0] == 0xff)
		return true;
	if (a->quads_be[0] != 0)
		return false;
	return ip_addr_is_v4(a) || (be64toh(a->quads_be[1]) | 1) == 1;
}

static inline bool
has_bad_address(const struct segment *seg)
{
	const struct ip_addr *client = &seg->flow.client, *server = &seg->flow.server;

	if (seg->is_v4)
		return is_unusable_v4(client->words_be[3]) || is_unusable_v4(server->words_be[3]) ||
		       client->words_be[3] == server->words_be[3];
	return is_unusable_v6(client) || is_unusable_v6(server) || ip_addr_equal(client, server);
}

/* The TCP header at l4_off of a packet that ends at `end`. Leaves class and
 * fault as the header deserves; a whole one keeps class `as`. */
static inline void
parse_tcp(struct segment *seg, uint32_t head, uint32_t end, enum segment_class as)
{
	const uint8_t *tcp = seg->frame + seg->l4_off;
	uint32_t len = end - seg->l4_off;
	uint32_t here = (head < end ? head : end) - seg->l4_off;

	if (here < TCP_HEADER_SIZE) {
		if (here >= 4)
			read_ports(seg, tcp);
		set_malformed(seg, FAULT_TCP_LENGTH);
		return;
	}
	read_ports(seg, tcp);
	seg->seq = bytes_get_u32(tcp + TCP_SEQ_OFF);
	seg->ack = bytes_get_u32(tcp + TCP_ACK_OFF);
	seg->flags = tcp[TCP_FLAGS_OFF];
	seg->window = bytes_get_u16(tcp + TCP_WINDOW_OFF);

	uint32_t header_len = (tcp[TCP_DATA_OFF] >> 4) * 4u;
	if (header_len < TCP_HEADER_SIZE || header_len > here) {
		set_malformed(seg, FAULT_TCP_LENGTH);
		return;
	}
	seg->l4_len = (uint8_t)header_len;
	seg->payload_len = (uint16_t)(len - header_len);
	seg->payload_here = len <= here;
	if (header_len > TCP_HEADER_SIZE)
		tcp_options_parse(seg, tcp, header_len);

	if (has_bad_address(seg))
		set_malformed(seg, FAULT_ADDRESS);
	else if (seg->flow.client_port_be == 0 || seg->flow.server_port_be == 0)
		set_malformed(seg, FAULT_PORT_ZERO);
	else if (has_bad_flags(seg->flags))
		set_malformed(seg, FAULT_FLAGS);
	else
		seg->class = (uint8_t)as;
}

/*
 * A fragment of a TCP packet with `offset` bytes before it, whose data are the
 * bytes from l4_off to `end`; `extent` is how much the reassembled packet would
 * at least hold. A later fragment must not reach into the TCP header (RFC 1858,
 * 4.2; RFC 5722), nor can the first one hold less than it.
 */
static void
parse_fragment(struct segment *seg, uint32_t head, uint32_t end, uint32_t offset, bool more,
               uint32_t extent)
{
	uint32_t len = end - seg->l4_off;

	if (offset == 0) {
		parse_tcp(seg, head, end, SEGMENT_FRAGMENT_FIRST);
		if (seg->class != SEGMENT_MALFORMED && len % 8 != 0)
			set_malformed(seg, FAULT_FRAGMENT);
		return;
	}
	seg->payload_len = (uint16_t)len;
	if (offset < TCP_HEADER_SIZE || len == 0 || (more && len % 8 != 0) || extent > 0xffff)
		set_malformed(seg, FAULT_FRAGMENT);
	else if (has_bad_address(seg))
		set_malformed(seg, FAULT_ADDRESS);
	else
		seg->class = SEGMENT_FRAGMENT_LATER;
}

static inline bool
ipv4_checksum_ok(const uint8_t *ip, uint32_t header_len)
{
	uint64_t sum = sum_ipv4(ip);

	if (header_len > IPV4_HEADER_SIZE)
		sum = checksum_add(sum, ip + IPV4_HEADER_SIZE, header_len - IPV4_HEADER_SIZE);
	return checksum_is_whole(sum);
}

static inline void
parse_ipv4(struct segment *seg, uint32_t head, uint32_t len)
{
	const uint8_t *ip = seg->frame + seg->l3_off;

	seg->is_v4 = true;
	if (head - seg->l3_off < IPV4_HEADER_SIZE) {
		set_malformed(seg, FAULT_IP_LENGTH);
		return;
	}
	*flow_src(seg) = ip_addr_v4(bytes_get_u32_be(ip + IPV4_SRC_OFF));
	*flow_dst(seg) = ip_addr_v4(bytes_get_u32_be(ip + IPV4_DST_OFF));

	uint8_t proto = ip[IPV4_PROTO_OFF];
	if (proto != PROTO_TCP && proto != PROTO_ICMP)
		return;

	uint32_t header_len = (ip[0] & 0x0fu) * 4;
	uint32_t total = bytes_get_u16(ip + IPV4_LENGTH_OFF);
	enum segment_fault fault = FAULT_NONE;
	if (ip[0] >> 4 != 4 || header_len < IPV4_HEADER_SIZE || total < header_len ||
	    total > len - seg->l3_off || header_len > head - seg->l3_off)
		fault = FAULT_IP_LENGTH;
	else if (!ipv4_checksum_ok(ip, header_len))
		fault = FAULT_IP_CHECKSUM;
	if (fault != FAULT_NONE) {
		if (proto == PROTO_TCP)
			set_malformed(seg, fault);
		return;
	}

	uint32_t end = seg->l3_off + total;
	uint32_t fragment = bytes_get_u16(ip + IPV4_FRAGMENT_OFF) &
	                    (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_MASK);
	seg->frame_len = end;
	seg->l4_off = (uint16_t)(seg->l3_off + header_len);
	if (proto == PROTO_ICMP) {
		if (fragment == 0)
			icmp_parse(seg, head, end);
		return;
	}
	if (fragment == 0) {
		parse_tcp(seg, head, end, SEGMENT_TCP);
		return;
	}
	uint32_t offset = (fragment & IPV4_FRAGMENT_MASK) * 8;
	seg->fragment_id = bytes_get_u16(ip + IPV4_ID_OFF);
	parse_fragment(seg, head, end, offset, fragment & IPV4_MORE_FRAGMENTS, offset + total);
}

/* TCP, ICMPv6 or a fragment behind extension headers. */
static void
parse_ipv6_chain(struct segment *seg, uint32_t head, uint32_t end, uint8_t next)
{
	struct ipv6_chain chain = ipv6_chain_walk(seg->frame, seg->l3_off + IPV6_HEADER_SIZE, next,
	                                          head < end ? head : end);

	if (chain.is_cut) {
		set_malformed(seg, FAULT_HEADER_CHAIN);
		return;
	}
	seg->l4_off = (uint16_t)chain.off;
	seg->fragment_id = chain.fragment_id;
	bool is_partial = chain.fragment_offset != 0 || chain.more_fragments;
	if (chain.proto == PROTO_ICMPV6) {
		if (!is_partial && !chain.is_bad)
			icmp_parse(seg, head, end);
		return;
	}
	if (chain.proto != PROTO_TCP && !(chain.fragment_offset != 0 && is_extension(chain.proto)))
		return;
	if (is_partial)
		parse_fragment(seg, head, end, chain.fragment_offset, chain.more_fragments,
		               chain.fragment_offset + (end - chain.off));
	else
		parse_tcp(seg, head, end, SEGMENT_TCP);

	/* RFC 7112, 5: the first fragment holds the whole chain, TCP included. */
	if (chain.is_bad ||
	    (is_partial && chain.fragment_offset == 0 && seg->fault == FAULT_TCP_LENGTH))
		set_malformed(seg, FAULT_HEADER_CHAIN);
}

static inline void
parse_ipv6(struct segment *seg, uint32_t head, uint32_t len)
{
	const uint8_t *ip = seg->frame + seg->l3_off;

	if (head - seg->l3_off < IPV6_HEADER_SIZE) {
		set_malformed(seg, FAULT_IP_LENGTH);
		return;
	}
	memcpy(flow_src(seg), ip + IPV6_SRC_OFF, sizeof(struct ip_addr));
	memcpy(flow_dst(seg), ip + IPV6_DST_OFF, sizeof(struct ip_addr));

	uint8_t next = ip[IPV6_NEXT_OFF];
	uint32_t end = seg->l3_off + IPV6_HEADER_SIZE + bytes_get_u16(ip + IPV6_LENGTH_OFF);
	if (ip[0] >> 4 != 6 || end > len) {
		if (next == PROTO_TCP || is_extension(next))
			set_malformed(seg, FAULT_IP_LENGTH);
		return;
	}
	seg->frame_len = end;
	seg->l4_off = (uint16_t)(seg->l3_off + IPV6_HEADER_SIZE);
	if (next == PROTO_TCP)
		parse_tcp(seg, head, end, SEGMENT_TCP);
	else
		parse_ipv6_chain(seg, head, end, next);
}

/* enum segment_shape */
static inline uint8_t
shape_of(const struct segment *seg)
{
	unsigned int ip_len = seg->is_v4 ? IPV4_HEADER_SIZE : IPV6_HEADER_SIZE;
	bool is_usual = seg->payload_here && seg->l3_off == ETH_HEADER_SIZE &&
	                seg->l4_off == ETH_HEADER_SIZE + ip_len;

	if (segment_opens(seg)) {
		if (!is_usual)
			return SHAPE_SYN_OTHER;
		return seg->is_v4 ? SHAPE_SYN_V4 : SHAPE_SYN_V6;
	}
	if (seg->class != SEGMENT_TCP || !is_usual || !segment_is_plain(seg))
		return SHAPE_ANY;
	return seg->is_v4 ? SHAPE_ACK_V4 : SHAPE_ACK_V6;
}

void
parse_any(struct segment *seg, const uint8_t *frame, uint32_t head, uint32_t len, enum side side)
{
	uint32_t off = ETH_HEADER_SIZE;

	/* All but the fields of core_locate(). */
	memset(seg, 0, offsetof(struct segment, found));
	seg->frame = frame;
	seg->frame_len = len;
	seg->side = (uint8_t)side;
	seg->class = SEGMENT_OTHER;
	if (head < ETH_HEADER_SIZE)
		return;

	uint16_t type = bytes_get_u16(frame + ETH_TYPE_OFF);
	unsigned int shift = 16;
	while (type == ETH_TYPE_VLAN || type == ETH_TYPE_QINQ) {
		if (off == ETH_HEADER_SIZE + VLAN_TAGS_MAX * VLAN_TAG_SIZE ||
		    head < off + VLAN_TAG_SIZE)
			return;
		uint16_t tci = bytes_get_u16(frame + off);
		if (tci & SEGMENT_TAG_VLAN_ID) {
			seg->tags |= segment_tag(type == ETH_TYPE_QINQ, tci) << shift;
			shift -= 16;
		}
		type = bytes_get_u16(frame + off + 2);
		off += VLAN_TAG_SIZE;
	}
	seg->l3_off = (uint16_t)off;
	if (type == ETH_TYPE_IPV4)
		parse_ipv4(seg, head, len);
	else if (type == ETH_TYPE_IPV6)
		parse_ipv6(seg, head, len);
	seg->shape = shape_of(seg);
}

void
segment_parse(struct segment *seg, const uint8_t *frame, uint32_t head_len, uint32_t len,
              enum side side)
{
	uint32_t head = head_len < len ? head_len : len;

	if (!parse_lane(seg, frame, head, side))
		parse_any(seg, frame, head, len, side);
}

bool
segment_checksum_ok(struct segment *seg)
{
	seg->checksum_good = segment_sum_of_all_is_whole(seg);
	return seg->checksum_good;
}
