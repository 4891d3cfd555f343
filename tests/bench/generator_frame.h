/* SPDX-License-Identifier: BSD-3-Clause */
/* The frames that generator.c sends: TCP over IPv4 with true checksums, no VLAN tag. */
#ifndef GENERATOR_FRAME_H
#define GENERATOR_FRAME_H

#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#define SYN_OPTIONS_SIZE 20

/* Who is flooded, and from which port of ours; numbers in host order. */
struct target {
	struct rte_ether_addr own_mac, mac;
	uint32_t address;
	uint16_t port;
};

struct frame {
	uint32_t from, seq, ack;
	uint16_t from_port, payload_size;
	uint8_t flags;
};

/* A SYN gets the options of an ordinary client. The mbuf is large enough and empty. */
static inline void
frame_write(const struct target *to, const struct frame *f, struct rte_mbuf *m)
{
	bool is_syn = f->flags & RTE_TCP_SYN_FLAG;
	uint16_t options_size = is_syn ? SYN_OPTIONS_SIZE : 0;
	uint16_t tcp_size = (uint16_t)(sizeof(struct rte_tcp_hdr) + options_size + f->payload_size);
	uint16_t ip_size = (uint16_t)(sizeof(struct rte_ipv4_hdr) + tcp_size);
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);

	m->data_len = (uint16_t)RTE_MAX(sizeof(*eth) + ip_size, 60u);
	m->pkt_len = m->data_len;
	eth->dst_addr = to->mac;
	eth->src_addr = to->own_mac;
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){ .version_ihl = RTE_IPV4_VHL_DEF,
		                     .total_length = rte_cpu_to_be_16(ip_size),
		                     .fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		                     .time_to_live = 64,
		                     .next_proto_id = IPPROTO_TCP,
		                     .src_addr = rte_cpu_to_be_32(f->from),
		                     .dst_addr = rte_cpu_to_be_32(to->address) };
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
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
}

#endif
