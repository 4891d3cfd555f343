/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Turning a segment into another of the same flow, with no payload: a probe whose sequence
 * number is put right, and the RST for an old incarnation.
 */
#ifndef SYNFRONT_REWRITE_BPF_H
#define SYNFRONT_REWRITE_BPF_H

#include "packet.bpf.h"

#define TCP_BYTES_MAX 60

/* Bytes before the network header as the program sees the frame: 0 on devices with none. */
static __always_inline __u32
link_len(struct __sk_buff *skb)
{
	struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);

	return kernel->mac_len;
}

static __always_inline __u16
checksum_finish(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* Sum of the pseudo-header. */
static __always_inline __u64
pseudo_sum(const struct packet *p, __u32 tcp_len)
{
	__u64 sum = bpf_htonl(tcp_len) + (__u64)bpf_htonl(IPPROTO_TCP_);

	if (p->is_v4)
		return sum + p->flow.client_be[3] + p->flow.server_be[3];
	for (int i = 0; i < 4; i++)
		sum += (__u64)p->flow.client_be[i] + p->flow.server_be[i];
	return sum;
}

/* The length fields of the IP header for `tcp_len` bytes of TCP. */
static __always_inline int
write_ip_length(struct __sk_buff *skb, const struct packet *p, __u32 link, __u32 tcp_len)
{
	__u16 length_be;

	if (!p->is_v4) {
		length_be = bpf_htons((__u16)(p->l4_off - sizeof(struct ipv6_header) + tcp_len));
		return bpf_skb_store_bytes(skb, link + offsetof(struct ipv6_header, length_be),
		                           &length_be, 2, BPF_F_RECOMPUTE_CSUM);
	}
	__u16 old_be;
	if (bpf_skb_load_bytes_relative(skb, offsetof(struct ipv4_header, length_be), &old_be, 2,
	                                BPF_HDR_START_NET) != 0)
		return -1;
	length_be = bpf_htons((__u16)(p->l4_off + tcp_len));
	if (bpf_l3_csum_replace(skb, link + offsetof(struct ipv4_header, checksum), old_be,
	                        length_be, 2) != 0)
		return -1;
	return bpf_skb_store_bytes(skb, link + offsetof(struct ipv4_header, length_be), &length_be,
	                           2, BPF_F_RECOMPUTE_CSUM);
}

/*
 * Cut the packet after `tcp_len` (20 to 60) bytes of TCP header, which get this sequence
 * number, data offset, flags and the right checksum. 0, or not 0 if there is too little
 * memory: the skb is then to be dropped.
 */
static __always_inline int
packet_rewrite(struct __sk_buff *skb, const struct packet *p, __u32 seq, __u8 flags, __u32 tcp_len)
{
	__u8 bytes[TCP_BYTES_MAX + 4] = {};
	struct tcp_header *tcp = (struct tcp_header *)bytes;
	__u32 link = link_len(skb);

	if (tcp_len < sizeof(*tcp))
		return -1;
	OPAQUE(tcp_len);
	if (tcp_len > TCP_BYTES_MAX)
		return -1;
	if (bpf_skb_load_bytes_relative(skb, p->l4_off, bytes, tcp_len, BPF_HDR_START_NET) != 0 ||
	    bpf_skb_change_tail(skb, link + p->l4_off + tcp_len, 0) != 0)
		return -1;
	tcp->seq_be = bpf_htonl(seq);
	tcp->flags = flags;
	tcp->offset = (__u8)(tcp_len << 2);
	tcp->checksum = 0;
	tcp->urgent_be = 0;
	__s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)bytes, tcp_len & 60, 0);
	if (sum < 0)
		return -1;
	tcp->checksum = checksum_finish((__u64)sum + pseudo_sum(p, tcp_len));
	if (bpf_skb_store_bytes(skb, link + p->l4_off, bytes, tcp_len, BPF_F_RECOMPUTE_CSUM) != 0)
		return -1;
	return write_ip_length(skb, p, link, tcp_len);
}

#endif
