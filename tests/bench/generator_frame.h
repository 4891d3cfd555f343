/* SPDX-License-Identifier: BSD-3-Clause */
/* The frames that generator.c sends: TCP over IPv4 or IPv6 with true checksums, no VLAN tag. */
#ifndef GENERATOR_FRAME_H
#define GENERATOR_FRAME_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#define SYN_OPTIONS_SIZE 20

/* Who is flooded, and from which port of ours; numbers in host order. With `is_v6`, `address6`
 * counts and `address` does not. */
struct target {
	struct rte_ether_addr own_mac, mac;
	uint32_t address;
	uint8_t address6[16];
	uint16_t port;
	bool is_v6;
};

/* An address as text; -1 if it is none. */
static inline int
target_parse(struct target *to, const char *text)
{
	uint32_t address_be;

	to->is_v6 = inet_pton(AF_INET6, text, to->address6) == 1;
	if (to->is_v6)
		return 0;
	if (inet_pton(AF_INET, text, &address_be) != 1)
		return -1;
	to->address = rte_be_to_cpu_32(address_be);
	return 0;
}

/* By IPv6 `from` is a network: 2aXX:XXXX:XX00::1. */
struct frame {
	uint32_t from, seq, ack;
	uint16_t from_port, payload_size;
	uint8_t flags;
};

/* Both headers below TCP; the place of TCP's. */
static inline struct rte_tcp_hdr *
frame_write_below(const struct target *to, const struct frame *f, uint16_t tcp_size,
                  struct rte_ether_hdr *eth)
{
	eth->dst_addr = to->mac;
	eth->src_addr = to->own_mac;
	if (to->is_v6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(eth + 1);
		uint8_t from[16] = { 0x2a, [15] = 1 };
		uint32_t net_be = rte_cpu_to_be_32(f->from);

		memcpy(from + 1, &net_be, sizeof(net_be));
		eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
		*ip = (struct rte_ipv6_hdr){ .vtc_flow = rte_cpu_to_be_32(6u << 28),
			                     .payload_len = rte_cpu_to_be_16(tcp_size),
			                     .proto = IPPROTO_TCP,
			                     .hop_limits = 64 };
		memcpy(&ip->src_addr, from, sizeof(from));
		memcpy(&ip->dst_addr, to->address6, sizeof(to->address6));
		return (struct rte_tcp_hdr *)(ip + 1);
	}
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	uint16_t ip_size = (uint16_t)(sizeof(*ip) + tcp_size);

	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){ .version_ihl = RTE_IPV4_VHL_DEF,
		                     .total_length = rte_cpu_to_be_16(ip_size),
		                     .fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		                     .time_to_live = 64,
		                     .next_proto_id = IPPROTO_TCP,
		                     .src_addr = rte_cpu_to_be_32(f->from),
		                     .dst_addr = rte_cpu_to_be_32(to->address) };
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return (struct rte_tcp_hdr *)(ip + 1);
}

/* A SYN gets the options of an ordinary client. The mbuf is large enough and empty. */
static inline void
frame_write(const struct target *to, const struct frame *f, struct rte_mbuf *m)
{
	bool is_syn = f->flags & RTE_TCP_SYN_FLAG;
	uint16_t options_size = is_syn ? SYN_OPTIONS_SIZE : 0;
	uint16_t tcp_size = (uint16_t)(sizeof(struct rte_tcp_hdr) + options_size + f->payload_size);
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_tcp_hdr *tcp = frame_write_below(to, f, tcp_size, eth);
	size_t size = (size_t)((uint8_t *)tcp - (uint8_t *)eth) + tcp_size;

	m->data_len = (uint16_t)RTE_MAX(size, (size_t)60);
	m->pkt_len = m->data_len;
	*tcp = (struct rte_tcp_hdr){ .src_port = rte_cpu_to_be_16(f->from_port),
		                     .dst_port = rte_cpu_to_be_16(to->port),
		                     .sent_seq = rte_cpu_to_be_32(f->seq),
		                     .recv_ack = rte_cpu_to_be_32(f->ack),
		                     .data_off = (uint8_t)((sizeof(*tcp) + options_size) << 2),
		                     .tcp_flags = f->flags,
		                     .rx_win = rte_cpu_to_be_16(64240) };
	if (is_syn) {
		/* MSS 1460, SACK permitted, timestamps, NOP, window scale 7 */
		static const uint8_t options[SYN_OPTIONS_SIZE] = { 2,  4, 0x05, 0xb4, 4, 2, 8,
			                                           10, 0, 0,    0,    1, 0, 0,
			                                           0,  0, 1,    3,    3, 7 };
		memcpy(tcp + 1, options, sizeof(options));
	}
	memset((uint8_t *)(tcp + 1) + options_size, 'x', f->payload_size);
	tcp->cksum = to->is_v6 ? rte_ipv6_udptcp_cksum((struct rte_ipv6_hdr *)(eth + 1), tcp)
	                       : rte_ipv4_udptcp_cksum((struct rte_ipv4_hdr *)(eth + 1), tcp);
}

#endif
