/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the program takes from the kernel: types by CO-RE, of which only the fields that are
 * read need to be named, and two kfuncs. bpf_sk_assign_tcp_reqsk() came with Linux 6.9.
 */
#ifndef SYNFRONT_KERNEL_BPF_H
#define SYNFRONT_KERNEL_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define CORE __attribute__((preserve_access_index))

/*
 * A value of which the compiler is to know nothing here. It folds two comparisons into one of a
 * difference, and leaves out masks that it can do without; the verifier of Linux 6.12 and older
 * then sees no bounds where they are.
 */
#define OPAQUE(value) asm volatile("" : "+r"(value))

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
} CORE;

struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	__u32 skc_tw_rcv_nxt;
} CORE;

struct sock {
	struct sock_common __sk_common;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	__u16 sk_protocol;
} CORE;

struct tcp_sock {
	__u32 rcv_nxt;
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 max_window;
} CORE;

struct inet_timewait_sock {
	struct sock_common __tw_common;
} CORE;

struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
} CORE;

struct tcp_request_sock {
	__u32 rcv_nxt;
	__u32 snt_isn;
} CORE;

struct sk_buff {
	__u16 mac_len;
} CORE;

struct mptcp_sock;

/* Of the kernel's include/net/tcp.h; passed by value of its size, so it must be whole. */
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval;
	__u32 rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale;
	__u8 snd_wscale;
	__u8 ecn_ok;
	__u8 wscale_ok;
	__u8 sack_ok;
	__u8 tstamp_ok;
	__u8 usec_ts_ok;
	__u8 reserved[3];
};

extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk,
                                   struct bpf_tcp_req_attrs *attrs, int attrs__sz) __ksym;
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD
#define AF_INET 2
#define AF_INET6 10
#define PACKET_OTHERHOST 3
#define LOOPBACK 1        /* its interface, in each network namespace */
#define FIB_SKIP_NEIGH 4  /* BPF_FIB_LOOKUP_SKIP_NEIGH, Linux 6.3; headers may be older */
#define NEXT_PROGRAM (-1) /* TCX_NEXT and TC_ACT_UNSPEC */
#define DROP 2            /* TCX_DROP and TC_ACT_SHOT */

#endif
