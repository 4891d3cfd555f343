/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's half of hand-off: a segment that brings back a SYN cookie of the front end
 * becomes a connection of this kernel.
 *
 * At tc ingress each segment to a service is looked up. What a connection has passes; what
 * only a listener has must bring a good cookie, which opens one connection, once. What
 * proves nothing is dropped: the kernel's RST would end a client whose first segment was
 * lost. Data that brings a cookie which was good once, and has died or is spent, gets that RST.
 * (A client that comes again while its last connection is still here: takeover.bpf.h.) What only
 * a listener has and is a SYN-ACK is dropped as well. A listener on all addresses seems to have also
 * what this machine forwards, to a guest or a pod: that passes.
 *
 * An assignment is a request that the kernel may refuse later, e.g. for a wrong checksum;
 * so a cookie is spent only when the tracepoint of socket states says that a connection is
 * there, and may be assigned again until then.
 */
#include "cookie.bpf.h"
#include "maps.bpf.h"
#include "packet.bpf.h"
#include "rewrite.bpf.h"
#include "takeover.bpf.h"

/* Is it for a service of ours? */
static __always_inline int
is_ours(const struct packet *p)
{
	__u32 zero = 0;
	struct adopt_ports *ports = bpf_map_lookup_elem(&ports_map, &zero);

	if (ports == NULL)
		return 0;
	/* Two bytes, turned around, are two bytes still: the compiler knows. */
	__u32 port = bpf_ntohs(p->flow.server_port_be);
	OPAQUE(port);
	__u32 set = ports->set[port & 0xffff];
	if (set == 0 || set == ADOPT_ANY)
		return set != 0;
	struct adopt_prefix key = { .len = ADOPT_PREFIX_LEN(128), .set = set };
	__builtin_memcpy(key.addr_be, p->flow.server_be, 16);
	return bpf_map_lookup_elem(&prefixes_map, &key) != NULL;
}

/* By the routes from there: is it kept, and not sent on? */
static __always_inline long
look_up_route(struct __sk_buff *skb, const struct packet *p, __u32 ifindex)
{
	struct bpf_fib_lookup fib = {
		.family = p->is_v4 ? AF_INET : AF_INET6,
		.l4_protocol = IPPROTO_TCP_,
		.sport = p->flow.client_port_be,
		.dport = p->flow.server_port_be,
		.ifindex = ifindex,
	};

	if (p->is_v4) {
		fib.ipv4_src = p->flow.client_be[3];
		fib.ipv4_dst = p->flow.server_be[3];
	} else {
		__builtin_memcpy(fib.ipv6_src, p->flow.client_be, 16);
		__builtin_memcpy(fib.ipv6_dst, p->flow.server_be, 16);
	}
	return bpf_fib_lookup(skb, &fib, sizeof(fib), FIB_SKIP_NEIGH);
}

/*
 * Is it for an address of this machine? Routes tell, at any time, and whether this process runs or
 * not. A frame to another station (a guest that has the interface's link, by macvlan) is never.
 *
 * The look-up says "not forwarded" of what is local, and looks no further where its interface
 * forwards nothing. For IPv6 the kernel asks all/forwarding alone whether it forwards, so there
 * the loopback interface is asked next, whose setting nobody has a reason to change.
 */
static __always_inline int
is_local(struct __sk_buff *skb, const struct packet *p)
{
	if (skb->pkt_type == PACKET_OTHERHOST)
		return 0;
	long rc = look_up_route(skb, p, skb->ifindex);
	if (rc == BPF_FIB_LKUP_RET_FWD_DISABLED && !p->is_v4)
		rc = look_up_route(skb, p, LOOPBACK);
	return rc < 0 || rc == BPF_FIB_LKUP_RET_NOT_FWDED || rc == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* Would the server's kernel take it for one of its own cookies? */
static __always_inline int
is_own_cookie(struct __sk_buff *skb, const struct packet *p, struct tcp_sock *listener)
{
	__u8 tcp[sizeof(struct tcp_header)], ip[sizeof(struct ipv6_header)];

	if (bpf_skb_load_bytes_relative(skb, p->l4_off, tcp, sizeof(tcp), BPF_HDR_START_NET) != 0)
		return 0;
	if (p->is_v4) {
		if (bpf_skb_load_bytes_relative(skb, 0, ip, sizeof(struct ipv4_header),
		                                BPF_HDR_START_NET) != 0)
			return 0;
		return bpf_tcp_check_syncookie(listener, ip, sizeof(struct ipv4_header),
		                               (void *)tcp, sizeof(tcp)) == 0;
	}
	if (bpf_skb_load_bytes_relative(skb, 0, ip, sizeof(ip), BPF_HDR_START_NET) != 0)
		return 0;
	return bpf_tcp_check_syncookie(listener, ip, sizeof(ip), (void *)tcp, sizeof(tcp)) == 0;
}

/* Has the cookie been spent? If not, note that it is tried. */
static __always_inline int
spend(const struct packet *p)
{
	__u32 one = 1;

	if (bpf_map_lookup_elem(&spent_map, &p->flow) != NULL)
		return 1;
	if (bpf_map_lookup_elem(&tried_map, &p->flow) != NULL)
		count(ADOPT_RETRIED);
	else
		bpf_map_update_elem(&tried_map, &p->flow, &one, BPF_NOEXIST);
	return 0;
}

/* Give the segment to the listener as a connection. */
static __always_inline int
assign(struct __sk_buff *skb, struct packet *p, struct tcp_sock *listener, __u64 now_ns)
{
	struct bpf_tcp_req_attrs attrs = {};
	__u32 zero = 0, at = (p->is_v4 ? 32 : 0) + (cookie_low(p->flow.iss) & 31);
	struct adopt_profile *row = bpf_map_lookup_elem(&profiles_map, &at);
	struct adopt_settings *settings = bpf_map_lookup_elem(&settings_map, &zero);
	/* The kernel takes none below what every host must (RFC 9293, 3.7.1; RFC 8200, 5). */
	__u16 least = p->is_v4 ? 536 : 1220;

	if (row == NULL || settings == NULL)
		return ADOPT_REFUSED;
	offer_read(&attrs, p, row, settings->promised_wscale, now_ns);
	if (attrs.mss < least) {
		attrs.mss = least;
		count(ADOPT_MSS_RAISED);
	}
	if (bpf_sk_assign_tcp_reqsk(skb, (struct sock *)listener, &attrs, sizeof(attrs)) != 0)
		return ADOPT_REFUSED;
	return ADOPT_ASSIGNED;
}

/* A segment that only a listener has. */
static __always_inline int
at_listener(struct __sk_buff *skb, struct packet *p, struct tcp_sock *listener, int is_mptcp)
{
	struct sock *sk = (struct sock *)listener;
	__u64 now_ns = wall_ns();
	int proof = cookie_prove(p, now_ns);

	if (proof == PROOF_NONE || proof == PROOF_NO_KEYS) {
		if (is_own_cookie(skb, p, listener))
			return ADOPT_OWN_COOKIE;
		if (cookie_has_died(p, now_ns))
			return ADOPT_EXPIRED;
		return proof == PROOF_NONE ? ADOPT_UNPROVEN : ADOPT_NO_KEYS;
	}
	if (is_mptcp)
		return ADOPT_MPTCP;
	if (sk->sk_ack_backlog > sk->sk_max_ack_backlog)
		return ADOPT_QUEUE_FULL;
	if (spend(p))
		return may_reset(p) ? ADOPT_SPENT_DATA : ADOPT_REPLAYED;
	packet_read_timestamps(skb, p);
	if (proof == PROOF_PROBE) {
		/* The kernel takes SEG.SEQ - 1 for the client's ISS; and a byte that stands
		 * there is not of the stream. */
		if (packet_rewrite(skb, p, p->seq + 1, p->flags, p->l4_len) != 0)
			return ADOPT_REFUSED;
		count(ADOPT_PROBE);
	}
	return assign(skb, p, listener, now_ns);
}

/* What becomes of it: one of the counters. */
static __always_inline int
decide(struct __sk_buff *skb, struct packet *p)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	int rc, is_syn = (p->flags & FLAG_SYN) != 0;

	if (p->is_v4) {
		tuple.ipv4.saddr = p->flow.client_be[3];
		tuple.ipv4.daddr = p->flow.server_be[3];
		tuple.ipv4.sport = p->flow.client_port_be;
		tuple.ipv4.dport = p->flow.server_port_be;
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, p->flow.client_be, 16);
		__builtin_memcpy(tuple.ipv6.daddr, p->flow.server_be, 16);
		tuple.ipv6.sport = p->flow.client_port_be;
		tuple.ipv6.dport = p->flow.server_port_be;
	}
	sk = bpf_skc_lookup_tcp(skb, &tuple, p->is_v4 ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6),
	                        BPF_F_CURRENT_NETNS, 0);
	if (sk == NULL)
		return is_syn ? ADOPT_HANDSHAKE : ADOPT_CLOSED;
	if (sk->state == BPF_TCP_LISTEN && !is_local(skb, p)) {
		rc = ADOPT_FORWARDED;
	} else if (is_syn) {
		/* A listener would answer with a RST, to whoever the packet names as its source. */
		rc = sk->state == BPF_TCP_LISTEN ? ADOPT_SYN_ACK : ADOPT_HANDSHAKE;
	} else if (sk->state == BPF_TCP_LISTEN) {
		struct tcp_sock *listener = bpf_skc_to_tcp_sock(sk);

		rc = listener == NULL
		             ? ADOPT_CLOSED
		             : at_listener(skb, p, listener, bpf_skc_to_mptcp_sock(sk) != NULL);
	} else {
		rc = at_old(skb, p, sk);
	}
	bpf_sk_release(sk);
	return rc;
}

static __always_inline int
is_dropped(int what)
{
	return (what >= ADOPT_UNPROVEN && what <= ADOPT_REFUSED) ||
	       what == ADOPT_TAKEOVER_LIMITED || what == ADOPT_TAKEOVER_LATE;
}

SEC("tc")
int
synfront_adopt(struct __sk_buff *skb)
{
	struct packet p;
	int what;

	switch (packet_read(skb, &p)) {
	case PACKET_TCP:
		if (!is_ours(&p))
			return NEXT_PROGRAM;
		if ((p.flags & (FLAG_RST | FLAG_ACK)) == FLAG_ACK)
			what = decide(skb, &p);
		else
			what = ADOPT_HANDSHAKE;
		break;
	case PACKET_FRAGMENT:
		what = ADOPT_FRAGMENT;
		break;
	default:
		return NEXT_PROGRAM;
	}
	count(what);
	return is_dropped(what) ? DROP : NEXT_PROGRAM;
}

/* A connection has come to be: if from a cookie of ours, that is spent now. */
SEC("tp_btf/inet_sock_set_state")
int
BPF_PROG(synfront_opened, const struct sock *sk, int old, int new)
{
	struct adopt_spent_key key = {};
	__u32 one = 1;

	if (old != BPF_TCP_SYN_RECV || new != BPF_TCP_ESTABLISHED ||
	    sk->sk_protocol != IPPROTO_TCP_)
		return 0;
	if (sk->__sk_common.skc_family == AF_INET) {
		key.client_be[2] = key.server_be[2] = bpf_htonl(0xffff);
		key.client_be[3] = sk->__sk_common.skc_daddr;
		key.server_be[3] = sk->__sk_common.skc_rcv_saddr;
	} else {
		for (int i = 0; i < 4; i++) {
			key.client_be[i] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[i];
			key.server_be[i] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[i];
		}
	}
	key.client_port_be = sk->__sk_common.skc_dport;
	key.server_port_be = bpf_htons(sk->__sk_common.skc_num);
	key.iss = BPF_CORE_READ((const struct tcp_sock *)sk, snd_una) - 1;
	if (bpf_map_lookup_elem(&tried_map, &key) == NULL)
		return 0;
	bpf_map_update_elem(&spent_map, &key, &one, BPF_ANY);
	bpf_map_delete_elem(&tried_map, &key);
	count(ADOPT_OPENED);
	return 0;
}

static __u32
vector_cookie(const struct adopt_vector *v, struct adopt_epoch *keys)
{
	struct cookie_query q = {};

	__builtin_memcpy(q.flow.client_be, v->client_be, 16);
	__builtin_memcpy(q.flow.server_be, v->server_be, 16);
	q.flow.client_port_be = v->client_port_be;
	q.flow.server_port_be = v->server_port_be;
	q.irs = v->irs;
	q.low = (v->epoch & 1) << 5 | (v->profile & 31);
	q.is_v4 = v->is_v4 != 0;
	return (__u32)adopt_cookie(&q, keys);
}

/* For tests: the cookie of a flow. One way out: two stores to the context in different branches
 * become one through a pointer that is counted on (clang 19), which the kernel refuses. */
SEC("syscall")
int
synfront_vector(struct adopt_vector *v)
{
	struct adopt_epoch *keys = epoch_keys(v->epoch, 0);
	__u32 iss = keys != NULL ? vector_cookie(v, keys) : 0;

	v->found = keys != NULL;
	v->iss = iss;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
