/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling a checksum of the pseudo-header alone from others, and completing it. */
#include "partial_checksum.h"

#include "bytes.h"
#include "checksum.h"
#include "protocols.h"

void
partial_checksum_complete(uint8_t *frame, uint32_t len, const struct segment *seg)
{
	uint32_t off = seg->l3_off, header_len, l4_len;
	uint64_t addresses;
	uint8_t *ip = frame + off, proto;

	if (off < 14 || len < off + IPV4_HEADER_SIZE)
		return;
	if (bytes_get_u16(ip - 2) == ETH_TYPE_IPV4) {
		header_len = (ip[0] & 0x0fu) * 4;
		l4_len = bytes_get_u16(ip + 2) - header_len;
		proto = ip[9];
		addresses = checksum_add(0, ip + 12, 8);
		/* 0x3fff: MF and offset. What is cut in pieces is whole. */
		if (header_len < IPV4_HEADER_SIZE || (bytes_get_u16(ip + 6) & 0x3fff) != 0)
			return;
	} else if (bytes_get_u16(ip - 2) == ETH_TYPE_IPV6 && len >= off + IPV6_HEADER_SIZE) {
		header_len = IPV6_HEADER_SIZE;
		l4_len = bytes_get_u16(ip + 4);
		proto = ip[6];
		addresses = checksum_add(0, ip + 8, 32);
	} else {
		return;
	}
	uint32_t check_off = proto == PROTO_TCP ? 16 : 6;
	if ((proto != PROTO_TCP && proto != PROTO_UDP) || l4_len < check_off + 2 || l4_len > len ||
	    off + header_len + l4_len > len)
		return;

	uint8_t *l4 = ip + header_len;
	uint64_t pseudo = addresses + htobe32(l4_len) + (uint64_t)htobe32(proto);
	if (bytes_get_u16_be(l4 + check_off) != checksum_fold(pseudo))
		return;
	uint16_t check_be = (uint16_t)~checksum_fold(checksum_add(0, l4, l4_len));
	/* RFC 768: 0 would mean that there is none. */
	bytes_put_u16_be(l4 + check_off, check_be == 0 && proto == PROTO_UDP ? 0xffff : check_be);
}
