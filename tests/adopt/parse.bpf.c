/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests: the parser of the program alone, and what it has read. */
#include "packet.bpf.h"
#include "parsed.h"

struct parsed seen;

_Static_assert((int)PACKET_FOREIGN == PARSED_FOREIGN && (int)PACKET_FRAGMENT == PARSED_FRAGMENT &&
                       (int)PACKET_TCP == PARSED_TCP,
               "one numbering");

SEC("tc")
int
parse(struct __sk_buff *skb)
{
	struct packet p;

	seen.kind = (__u32)packet_read(skb, &p);
	if (seen.kind != PARSED_TCP)
		return 0;
	packet_read_timestamps(skb, &p);
	__builtin_memcpy(seen.client_be, p.flow.client_be, 16);
	__builtin_memcpy(seen.server_be, p.flow.server_be, 16);
	seen.client_port_be = p.flow.client_port_be;
	seen.server_port_be = p.flow.server_port_be;
	seen.seq = p.seq;
	seen.ack = p.flow.iss + 1;
	seen.tsval = p.tsval;
	seen.tsecr = p.tsecr;
	seen.l4_off = p.l4_off;
	seen.payload_len = p.payload_len;
	seen.flags = p.flags;
	seen.l4_len = p.l4_len;
	seen.is_v4 = p.is_v4;
	seen.has_ts = p.has_ts;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
