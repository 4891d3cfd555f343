/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that comes again from the ports of a connection that is still here.
 *
 * The kernel alone would answer its first segment with challenge ACKs or a RST, for the old
 * connection's sake (RFC 5961). Here a good cookie proves that the client has left the old
 * connection and opened a new one: the segment is cloned and queued behind itself, and the
 * original becomes a RST at the old connection's RCV.NXT, which ends it at once. When the
 * clone comes, only the listener has it.
 *
 * The clone is marked, so that it never clones again. A segment of a live connection is
 * suspected only if its ACK is unacceptable there (RFC 5961, 5.2), and a cookie that has
 * opened a connection never takes one over, so a late duplicate ends nothing.
 *
 * Who guesses blindly needs 2^26 tries, as for opening one: less than for the RCV.NXT by which RFC
 * 5961 guards a live connection, and no timestamp makes it more, since what is echoed is the time
 * of day. So only so many segments a second are looked at for a cookie over a live connection, and
 * a probe, which would be a second guess in the same segment, takes none over. In a flood of such
 * segments real clients find no token, too; what is not looked at passes to the kernel, since it
 * may be of the live connection: the ACK of what another CPU is just sending is beyond SND.NXT.
 */
#ifndef SYNFRONT_TAKEOVER_BPF_H
#define SYNFRONT_TAKEOVER_BPF_H

#include "cookie.bpf.h"
#include "maps.bpf.h"
#include "rewrite.bpf.h"

#define CLONE_MARK 0x5f1d /* in tc_index, which nothing from outside can set */

/* Is SEG.ACK outside of what this connection takes (RFC 5961, 5.2)? */
static __always_inline int
ack_unacceptable(const struct tcp_sock *old, __u32 ack)
{
	__u32 from = old->snd_una - old->max_window;

	return ack - from > old->snd_nxt - from;
}

/* May this segment, whose cookie is good, end a live connection? What was under way for long may
 * not, where that can be told. */
static __always_inline int
may_end_live(struct __sk_buff *skb, struct packet *p, __u64 now_ns)
{
	__u32 zero = 0;
	struct adopt_settings *settings = bpf_map_lookup_elem(&settings_map, &zero);

	if (settings == NULL)
		return 0;
	packet_read_timestamps(skb, p);
	return !p->has_ts ||
	       stamp_is_fresh(stamp_age_ms(p->tsecr, now_ns / NS_PER_MS), settings->fresh_ms);
}

/* May it be looked at for a cookie, though a live connection has it? */
static __always_inline int
may_look(void)
{
	__u32 zero = 0;
	struct adopt_settings *settings = bpf_map_lookup_elem(&settings_map, &zero);

	return settings != NULL && take_token(BUCKET_TAKEOVER, settings->takeovers_a_second);
}

/* End the old connection and queue the segment again. */
static __always_inline int
end_old(struct __sk_buff *skb, struct packet *p, __u32 rcv_nxt, int what)
{
	long rc;

	skb->tc_index = CLONE_MARK;
	rc = bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS);
	skb->tc_index = 0;
	if (rc != 0 || packet_rewrite(skb, p, rcv_nxt, FLAG_RST, sizeof(struct tcp_header)) != 0)
		return ADOPT_REFUSED;
	return what;
}

/* A segment that something else than a listener has. */
static __always_inline int
at_old(struct __sk_buff *skb, struct packet *p, struct bpf_sock *sk)
{
	__u32 state = sk->state, rcv_nxt, is_clone = skb->tc_index == CLONE_MARK;
	int kind, otherwise;

	if (state == BPF_TCP_TIME_WAIT) {
		struct tcp_timewait_sock *old = bpf_skc_to_tcp_timewait_sock(sk);

		if (old == NULL)
			return ADOPT_CLOSING;
		rcv_nxt = old->tw_sk.__tw_common.skc_tw_rcv_nxt;
		kind = ADOPT_TAKEOVER_TIME_WAIT;
		otherwise = ADOPT_CLOSING;
	} else if (state == BPF_TCP_NEW_SYN_RECV) {
		struct tcp_request_sock *old = bpf_skc_to_tcp_request_sock(sk);

		if (old == NULL || old->snt_isn == p->flow.iss)
			return ADOPT_HALF_OPEN;
		rcv_nxt = old->rcv_nxt;
		kind = ADOPT_TAKEOVER_HALF_OPEN;
		otherwise = ADOPT_HALF_OPEN;
	} else {
		struct tcp_sock *old = bpf_skc_to_tcp_sock(sk);

		if (old == NULL || !ack_unacceptable(old, p->flow.iss + 1))
			return ADOPT_CONNECTED;
		/* A clone has had its token. */
		if (!is_clone && !may_look())
			return ADOPT_TAKEOVER_UNTRIED;
		rcv_nxt = old->rcv_nxt;
		kind = ADOPT_TAKEOVER_CONNECTED;
		otherwise = ADOPT_CONNECTED;
	}
	__u64 now_ns = wall_ns();
	int proof = cookie_prove(p, now_ns);
	if (proof != PROOF_EXACT && (proof != PROOF_PROBE || kind == ADOPT_TAKEOVER_CONNECTED))
		return otherwise;
	if (bpf_map_lookup_elem(&spent_map, &p->flow) != NULL)
		return otherwise;
	if (is_clone)
		return ADOPT_TAKEOVER_LATE;
	if (kind == ADOPT_TAKEOVER_CONNECTED && !may_end_live(skb, p, now_ns))
		return ADOPT_TAKEOVER_LIMITED;
	return end_old(skb, p, rcv_nxt, kind);
}

#endif
