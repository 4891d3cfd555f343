/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking the extension headers of an IPv6 packet or of one that is quoted. */
#include "ipv6_chain.h"

#include "bytes.h"

/* Extension headers that we walk before a chain counts as too long. */
#define IPV6_CHAIN_MAX 8

static void
fragment_read(struct ipv6_chain *chain, const uint8_t *header)
{
	uint16_t where = bytes_get_u16(header + 2);

	chain->is_bad |= chain->is_fragment;
	chain->is_fragment = true;
	chain->fragment_offset = where & 0xfff8;
	chain->more_fragments = where & 1;
	chain->fragment_id = bytes_get_u32(header + 4);
}

struct ipv6_chain
ipv6_chain_walk(const uint8_t *frame, uint32_t off, uint8_t next, uint32_t end)
{
	struct ipv6_chain chain = { .off = off, .proto = next };
	const uint8_t *header = frame + off;
	uint32_t left = end > off ? end - off : 0, proto = next;

	for (unsigned int n = 0; is_extension(proto); n++) {
		if (n == IPV6_CHAIN_MAX || left < 8) {
			chain.is_cut = true;
			break;
		}
		uint32_t size = proto == PROTO_FRAGMENT ? 8 : (header[1] + 1u) * 8;
		if (size > left) {
			chain.is_cut = true;
			break;
		}
		/* Anybody may send as many as are walked of the kind that says nothing here. */
		if (__builtin_expect(proto != PROTO_DST_OPTIONS, 0)) {
			if (proto == PROTO_HOP_BY_HOP)
				chain.is_bad |= n != 0;
			else if (proto == PROTO_ROUTING)
				chain.is_bad |= header[3] != 0;
			else
				fragment_read(&chain, header);
		}
		proto = header[0];
		header += size;
		left -= size;
		if (chain.fragment_offset != 0)
			break;
	}
	chain.off = (uint32_t)(header - frame);
	chain.proto = (uint8_t)proto;
	return chain;
}
