/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors: finding the TCP header that they quote, and rewriting it. */
#include "icmp.h"

#include "bytes.h"
#include "checksum.h"
#include "ipv6_chain.h"
#include "protocols.h"

/* The quote of a TCP segment: ports and sequence at least (RFC 792). */
#define QUOTE_TCP_MIN 8

/* Unreachable, redirect, time exceeded and parameter problem (RFC 792). Source
 * quench is dead (RFC 6633) and passes as any other ICMP. */
static bool
is_error_v4(uint8_t type)
{
	return type == 3 || type == 5 || type == 11 || type == 12;
}

/* Unreachable, packet too big, time exceeded, parameter problem (RFC 4443). */
static bool
is_error_v6(uint8_t type)
{
	return type >= 1 && type <= 4;
}

/* Offset in `frame` of the TCP header that the packet quoted at `off` holds,
 * of which QUOTE_TCP_MIN bytes lie before `end`; 0 if none. */
static uint32_t
quoted_tcp(const uint8_t *frame, uint32_t off, uint32_t end, bool is_v4)
{
	const uint8_t *ip = frame + off;
	uint32_t tcp;

	if (is_v4) {
		if (end - off < IPV4_HEADER_SIZE)
			return 0;
		uint32_t header_len = (ip[0] & 0x0fu) * 4;
		if (ip[0] >> 4 != 4 || header_len < IPV4_HEADER_SIZE ||
		    ip[IPV4_PROTO_OFF] != PROTO_TCP ||
		    (bytes_get_u16(ip + IPV4_FRAGMENT_OFF) & IPV4_FRAGMENT_MASK) != 0)
			return 0;
		tcp = off + header_len;
	} else {
		if (end - off < IPV6_HEADER_SIZE || ip[0] >> 4 != 6)
			return 0;
		struct ipv6_chain chain = ipv6_chain_walk(frame, off + IPV6_HEADER_SIZE,
		                                          ip[IPV6_NEXT_OFF], end);
		if (chain.is_cut || chain.fragment_offset != 0 || chain.proto != PROTO_TCP)
			return 0;
		tcp = chain.off;
	}
	return tcp + QUOTE_TCP_MIN <= end ? tcp : 0;
}

void
icmp_parse(struct segment *seg, uint32_t head, uint32_t end)
{
	const uint8_t *frame = seg->frame;
	uint32_t quote = seg->l4_off + (uint32_t)ICMP_HEADER_SIZE;
	uint32_t readable = head < end ? head : end;

	if (readable < quote)
		return;
	uint8_t type = frame[seg->l4_off];
	if (!(seg->is_v4 ? is_error_v4(type) : is_error_v6(type)))
		return;
	uint32_t tcp = quoted_tcp(frame, quote, readable, seg->is_v4);
	if (tcp == 0)
		return;
	/* icmp_rewrite_quote() goes by `end` alone. */
	if (readable < end && readable < tcp + TCP_HEADER_SIZE)
		return;

	struct ip_addr src, dst;
	if (seg->is_v4) {
		src = ip_addr_v4(bytes_get_u32_be(frame + quote + IPV4_SRC_OFF));
		dst = ip_addr_v4(bytes_get_u32_be(frame + quote + IPV4_DST_OFF));
	} else {
		memcpy(&src, frame + quote + IPV6_SRC_OFF, sizeof(src));
		memcpy(&dst, frame + quote + IPV6_DST_OFF, sizeof(dst));
		if (ip_addr_is_v4(&src) || ip_addr_is_v4(&dst))
			return;
	}
	/* What went out on the outside was sent by the server, and so on. */
	bool from_server = seg->side == SIDE_OUTSIDE;
	uint16_t src_port_be = bytes_get_u16_be(frame + tcp);
	uint16_t dst_port_be = bytes_get_u16_be(frame + tcp + 2);
	seg->flow.client = from_server ? dst : src;
	seg->flow.server = from_server ? src : dst;
	seg->flow.client_port_be = from_server ? dst_port_be : src_port_be;
	seg->flow.server_port_be = from_server ? src_port_be : dst_port_be;
	seg->seq = bytes_get_u32(frame + tcp + TCP_SEQ_OFF);
	seg->payload_len = (uint16_t)(end - quote);
	seg->class = SEGMENT_ICMP_ERROR;
}

/* Add to the 32-bit field at `p`; note the change in the ICMP and TCP sums. */
static void
add_field(uint8_t *p, uint32_t add, uint64_t *icmp_sum, uint64_t *tcp_sum)
{
	uint32_t old_be = bytes_get_u32_be(p);
	uint32_t new_be = htobe32(be32toh(old_be) + add);

	bytes_put_u32_be(p, new_be);
	*icmp_sum = checksum_delta_u32(*icmp_sum, old_be, new_be);
	*tcp_sum = checksum_delta_u32(*tcp_sum, old_be, new_be);
}

void
icmp_rewrite_quote(uint8_t *frame, const struct segment *seg, uint32_t seq_add, uint32_t ack_add)
{
	uint32_t quote = seg->l4_off + (uint32_t)ICMP_HEADER_SIZE;
	uint32_t end = quote + seg->payload_len;
	uint32_t off = quoted_tcp(frame, quote, end, seg->is_v4);

	if (off == 0)
		return;
	uint8_t *tcp = frame + off;
	uint8_t *icmp_check = frame + seg->l4_off + ICMP_CHECK_OFF;
	uint64_t icmp_sum = checksum_delta_init(bytes_get_u16_be(icmp_check));
	uint64_t tcp_sum = 0;
	uint32_t n_quoted = end - off;

	add_field(tcp + TCP_SEQ_OFF, seq_add, &icmp_sum, &tcp_sum);
	/* Without ACK the field means nothing and was not rewritten on its way;
	 * a quote that ends before the flags is taken to be from within a connection. */
	if (n_quoted >= TCP_ACK_OFF + 4 &&
	    (n_quoted <= TCP_FLAGS_OFF || (tcp[TCP_FLAGS_OFF] & TCP_ACK)))
		add_field(tcp + TCP_ACK_OFF, ack_add, &icmp_sum, &tcp_sum);
	if (n_quoted >= TCP_CHECK_OFF + 2) {
		uint16_t old_be = bytes_get_u16_be(tcp + TCP_CHECK_OFF);
		uint16_t new_be = checksum_delta_finish(tcp_sum + checksum_delta_init(old_be));
		bytes_put_u16_be(tcp + TCP_CHECK_OFF, new_be);
		icmp_sum = checksum_delta_u16(icmp_sum, old_be, new_be);
	}
	bytes_put_u16_be(icmp_check, checksum_delta_finish(icmp_sum));
}
