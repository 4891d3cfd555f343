/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an skb to a value: addresses, ports, numbers and the timestamps option of a TCP
 * segment. Read relative to the network header, so that any link layer and any tag that the
 * kernel has taken off will do. Lengths are the packet's own (the frame may be padded).
 */
#ifndef SYNFRONT_PACKET_BPF_H
#define SYNFRONT_PACKET_BPF_H

#include <stddef.h>

#include "adopt.h"
#include "kernel.bpf.h"

#define IPPROTO_TCP_ 6
#define CHAIN_MAX 8 /* extension headers, as in lib/wire */
/* Of Ethernet, IP with options or extension headers, TCP with options: with room to spare for all
 * that is not made to be odd. */
#define HEADERS_SIZE 256

#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10

/* As on the wire. */
struct ipv4_header {
	__u8 version_length;
	__u8 tos;
	__u16 length_be;
	__u16 id_be;
	__u16 fragment_be;
	__u8 ttl;
	__u8 proto;
	__u16 checksum;
	__u32 src_be;
	__u32 dst_be;
};

struct ipv6_header {
	__u32 version_flow_be;
	__u16 length_be;
	__u8 next;
	__u8 hops;
	__u32 src_be[4];
	__u32 dst_be[4];
};

struct tcp_header {
	__u16 src_be;
	__u16 dst_be;
	__u32 seq_be;
	__u32 ack_be;
	__u8 offset;
	__u8 flags;
	__u16 window_be;
	__u16 checksum;
	__u16 urgent_be;
};

struct packet {
	struct adopt_spent_key flow; /* with the cookie that the segment brings back */
	__u32 seq;
	__u32 tsval;
	__u32 tsecr;
	__u16 l4_off;      /* from the network header */
	__u16 payload_len; /* at most 65535: of more, so much */
	__u8 flags;
	__u8 l4_len;
	__u8 is_v4;
	__u8 has_ts;
};

#define OPTIONS_SIZE 64 /* 40 and what a masked index may reach */

struct options {
	__u8 bytes[OPTIONS_SIZE];
	__u32 tsval;
	__u32 tsecr;
};

static __always_inline __u32
options_word(const struct options *o, __u32 at)
{
	return (__u32)o->bytes[at & 63] << 24 | (__u32)o->bytes[(at + 1) & 63] << 16 |
	       (__u32)o->bytes[(at + 2) & 63] << 8 | (__u32)o->bytes[(at + 3) & 63];
}

/* Find the first timestamps option (RFC 7323, 3.2) in the first `len` bytes, at most 40.
 * 1: tsval and tsecr are set; 0: there is none. */
__attribute__((noinline)) int
adopt_find_timestamps(struct options *o, __u32 len)
{
	__u32 at = 0;

	if (o == NULL)
		return 0;
	for (int i = 0; i < 40; i++) {
		if (at >= len || at >= 40)
			return 0;
		__u32 kind = o->bytes[at & 63];
		if (kind == 0)
			return 0;
		if (kind == 1) {
			at++;
			continue;
		}
		__u32 size = o->bytes[(at + 1) & 63];
		if (at + 1 >= len || size < 2 || at + size > len)
			return 0;
		if (kind == 8 && size == 10) {
			o->tsval = options_word(o, at + 2);
			o->tsecr = options_word(o, at + 6);
			return 1;
		}
		at += size;
	}
	return 0;
}

enum packet_read {
	PACKET_FOREIGN,  /* not TCP over IP */
	PACKET_FRAGMENT, /* TCP that cannot be read here */
	PACKET_TCP,
};

static __always_inline int
read_ipv4(struct __sk_buff *skb, struct packet *p, __u32 *end)
{
	struct ipv4_header ip;

	if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) != 0)
		return PACKET_FOREIGN;
	if (ip.proto != IPPROTO_TCP_ || ip.version_length >> 4 != 4)
		return PACKET_FOREIGN;
	if ((ip.fragment_be & bpf_htons(0x3fff)) != 0)
		return PACKET_FRAGMENT;
	p->is_v4 = 1;
	p->l4_off = (ip.version_length & 15) * 4;
	*end = bpf_ntohs(ip.length_be);
	p->flow.client_be[2] = p->flow.server_be[2] = bpf_htonl(0xffff);
	p->flow.client_be[3] = ip.src_be;
	p->flow.server_be[3] = ip.dst_be;
	return p->l4_off >= sizeof(ip) ? PACKET_TCP : PACKET_FRAGMENT;
}

/* Step over extension headers as lib/wire does. */
static __always_inline int
walk_chain(struct __sk_buff *skb, struct packet *p, __u8 next)
{
	__u32 off = sizeof(struct ipv6_header);
	int has_fragment = 0;

	for (int i = 0; i < CHAIN_MAX; i++) {
		__u8 header[8];

		if (next == IPPROTO_TCP_)
			break;
		if (next != 0 && next != 43 && next != 44 && next != 60)
			return PACKET_FOREIGN;
		if (bpf_skb_load_bytes_relative(skb, off, header, 8, BPF_HDR_START_NET) != 0)
			return PACKET_FRAGMENT;
		/* Not an atomic fragment (RFC 6946), or a second one; a route that goes on; options
		 * for each hop anywhere but first (RFC 8200, 4.1). */
		if ((next == 44 && ((header[2] | (header[3] & 0xf9)) != 0 || has_fragment)) ||
		    (next == 43 && header[3] != 0) || (next == 0 && i != 0))
			return PACKET_FRAGMENT;
		has_fragment |= next == 44;
		off += next == 44 ? 8 : (header[1] + 1u) * 8;
		next = header[0];
	}
	p->l4_off = (__u16)off;
	return next == IPPROTO_TCP_ ? PACKET_TCP : PACKET_FRAGMENT;
}

static __always_inline int
read_ipv6(struct __sk_buff *skb, struct packet *p, __u32 *end)
{
	struct ipv6_header ip;

	if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) != 0)
		return PACKET_FOREIGN;
	*end = sizeof(ip) + bpf_ntohs(ip.length_be);
	__builtin_memcpy(p->flow.client_be, ip.src_be, 16);
	__builtin_memcpy(p->flow.server_be, ip.dst_be, 16);
	if (ip.next == IPPROTO_TCP_) {
		p->l4_off = sizeof(ip);
		return PACKET_TCP;
	}
	return walk_chain(skb, p, ip.next);
}

/* What reads relative to the network header reads the linear part of an skb alone, and of some
 * packets only the Ethernet header is there: of those from a ring of AF_PACKET, and from drivers
 * that leave the rest in pages where there is no GRO (virtio-net). Bring the headers there. */
static __always_inline void
pull_headers(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 size = skb->len;

	if (size > HEADERS_SIZE)
		size = HEADERS_SIZE;
	if (data + size > end)
		bpf_skb_pull_data(skb, size);
}

/* Fill all of `p` but the timestamps. */
static __always_inline int
packet_read(struct __sk_buff *skb, struct packet *p)
{
	struct tcp_header tcp;
	__u32 end = 0;
	int rc = PACKET_FOREIGN;

	__builtin_memset(p, 0, sizeof(*p));
	pull_headers(skb);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		rc = read_ipv4(skb, p, &end);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		rc = read_ipv6(skb, p, &end);
	if (rc != PACKET_TCP)
		return rc;
	if (bpf_skb_load_bytes_relative(skb, p->l4_off, &tcp, sizeof(tcp), BPF_HDR_START_NET) != 0)
		return PACKET_FRAGMENT;
	p->l4_len = (tcp.offset >> 4) * 4;
	p->flags = tcp.flags;
	p->seq = bpf_ntohl(tcp.seq_be);
	p->flow.client_port_be = tcp.src_be;
	p->flow.server_port_be = tcp.dst_be;
	p->flow.iss = bpf_ntohl(tcp.ack_be) - 1;
	__u32 head = p->l4_off + p->l4_len;
	/* Of a packet beyond 64 KiB (the kernel's own, "BIG TCP") the length says 0. */
	if (end == (p->is_v4 ? 0 : sizeof(struct ipv6_header)))
		p->payload_len = 65535;
	else if (p->l4_len < sizeof(tcp) || end < head)
		return PACKET_FRAGMENT;
	else
		p->payload_len = (__u16)(end - head);
	return PACKET_TCP;
}

/* The timestamps option into `p`. */
static __always_inline void
packet_read_timestamps(struct __sk_buff *skb, struct packet *p)
{
	struct options o = {};
	__u32 len = (__u32)p->l4_len - sizeof(struct tcp_header);

	if (len == 0)
		return;
	OPAQUE(len);
	if (len > 40)
		return;
	if (bpf_skb_load_bytes_relative(skb, p->l4_off + sizeof(struct tcp_header), o.bytes, len,
	                                BPF_HDR_START_NET) != 0)
		return;
	p->has_ts = adopt_find_timestamps(&o, len) == 1;
	p->tsval = o.tsval;
	p->tsecr = o.tsecr;
}

#endif
