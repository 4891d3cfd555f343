/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking the extension headers of an IPv6 packet or of one that is quoted. */
#include "ipv6_chain.h"

#include "bytes.h"

/* Extension headers that we walk before a chain counts as too long. */
#define IPV6_CHAIN_MAX 8

struct ipv6_chain
ipv6_chain_walk(const uint8_t *frame, uint32_t off, uint8_t next, uint32_t end)
{
	struct ipv6_chain chain = { .off = off, .proto = next };

	for (unsigned int n = 0;; n++) {
		const uint8_t *header = frame + chain.off;
		uint8_t proto = chain.proto;

		if (!is_extension(proto))
			return chain;
		if (n == IPV6_CHAIN_MAX || end < chain.off || end - chain.off < 8)
			break;
		uint32_t size = proto == PROTO_FRAGMENT ? 8 : (header[1] + 1u) * 8;
		if (size > end - chain.off)
			break;

		if (proto == PROTO_HOP_BY_HOP && n != 0)
			chain.is_bad = true;
		if (proto == PROTO_ROUTING && header[3] != 0)
			chain.is_bad = true;
		chain.off += size;
		chain.proto = header[0];
		if (proto == PROTO_FRAGMENT) {
			uint16_t where = bytes_get_u16(header + 2);
			chain.is_bad |= chain.is_fragment;
			chain.is_fragment = true;
			chain.fragment_offset = where & 0xfff8;
			chain.more_fragments = where & 1;
			chain.fragment_id = bytes_get_u32(header + 4);
			if (chain.fragment_offset != 0)
				return chain;
		}
	}
	chain.is_cut = true;
	return chain;
}
