/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TRACKED: connections that pass through as they are. Those of a service in
 * transparent mode or one that is being learned, those that protected hosts
 * open themselves, and those that are older than the engine (adopt).
 */
#include "track.h"

#include "act.h"
#include "admission.h"
#include "entry.h"
#include "follow.h"
#include "handshake.h"
#include "pass.h"
#include "proof.h"
#include "unfinished.h"

void
outbound_syn(struct core *core, struct step *step)
{
	/* From its service's port to where a client has been a moment ago: its entry
	 * must stay, or the client's cookie would open once more. */
	if (step->entry != FLOW_NONE && !(step->entry & FLOW_HALF_OPEN) &&
	    conn_cookie_lives(core, step->entry, step->now)) {
		act_drop(core, step, COUNTER_drop_stray);
		return;
	}
	pass_begin(core, step, true);
	act_forward(core, step, COUNTER_passed_syn);
}

/* Of a half-open one: does this ACK number acknowledge one of its SYNs, with none, some or all of
 * the data in it (RFC 7413, 4.2)? */
static bool
track_acks_syn(const struct conn *conn, uint32_t ack)
{
	return ack == conn->client_nxt || ack - (conn->irs + 1) <= conn->syn_len ||
	       (!(conn->flags & CONN_ANSWERED) && ack - conn->client_nxt <= conn->syn_len);
}

/* Of a half-open one: can its client, which has proven nothing yet, have this from the server?
 * Before it acknowledges anything no more is under way than a window without a scale
 * (RFC 7323, 2.2). */
static bool
track_has_answer(const struct conn *conn, const struct segment *seg)
{
	uint32_t most = conn->server_lag < CONN_LAG_MAX ? conn->server_lag : UINT16_MAX + 1u;

	return (conn->flags & CONN_ANSWERED) && conn->server_nxt - seg->ack <= most &&
	       seg->seq - conn->client_nxt <= UINT16_MAX;
}

static bool
tracked_over(const struct conn *conn)
{
	return (conn->flags & CONN_RESET) || conn_is_closed(conn);
}

/*
 * A half-open one has some time from here: the last try of a line that loses as much as the first.
 * Not where cookies answer all others: what anybody's SYNs have brought in would hold its way to
 * the server, and cookie mode, for as long as it comes again. Of the server the first word counts
 * then.
 */
static void
track_live_on(struct core *core, struct step *step, bool is_first)
{
	const struct service_state *state = step->state;

	if (is_first || !(state->cookie_mode || state->cookies == COOKIES_ALWAYS))
		entry_touch(core, step, UNCONFIRMED_S);
}

void
tracked_syn(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;

	if (tracked_over(conn)) {
		entry_clear(core, step);
		if (seg->side == SIDE_OUTSIDE)
			listen_syn(core, step);
		else
			outbound_syn(core, step);
		return;
	}
	if (seg->side == SIDE_INSIDE || (conn->flags & (CONN_OUTBOUND | CONN_CONFIRMED))) {
		act_forward(core, step, COUNTER_passed_tracked);
		return;
	}
	/* Nothing is proven by an entry that a SYN has made, or an ACK that might be older than
	 * the engine: but for its own resends each SYN must get past what a first one must. */
	if (!conn_is_half_open(conn) || !pass_is_again(conn, seg)) {
		listen_syn(core, step);
		return;
	}
	if (!pass_again(conn, seg, step->now)) {
		act_drop(core, step, COUNTER_drop_syn_again);
		return;
	}
	track_live_on(core, step, false);
	act_forward(core, step, COUNTER_passed_tracked);
}

/* The server's answer to a SYN that passed: what it can do, and that it is up. What it
 * lacks is learned when the client has acknowledged it. */
static void
track_learn(struct core *core, struct step *step, struct conn *conn)
{
	const struct segment *seg = step->seg;
	struct backend *b = backend_at(&core->backends, server_of(core, step));
	const struct tcp_offer answered = admission_offered(seg);

	if (b != NULL && b->down)
		core_count(core, COUNTER_backend_up);
	if (b != NULL)
		backend_succeed(b);
	/* Of a signed one nobody proves anything: its address may be any, or its server's answer
	 * that of a request of before, which offered less. */
	if (b == NULL || (conn->offered & (OPTION_MD5 | OPTION_AO)))
		return;
	conn->offered &= (uint8_t)~seg->options;
	backend_learn(b, &answered, &answered,
	              (uint32_t)source_net_hash(&core->hash_key, &seg->flow.client),
	              instant_s(step->now));
	backend_learn_ttl(b, segment_ttl(seg));
	core_count(core, COUNTER_learned);
}

/*
 * What each SYN of a client has offered and the server has not answered. Only from who has
 * acknowledged the answer: a SYN that was seen here need not have come to the server (a TTL
 * of 1, a source route), which then answers one of before this entry that offered less.
 */
static void
track_learn_absent(struct core *core, struct step *step, const struct conn *conn)
{
	const struct segment *seg = step->seg;
	unsigned int absent = conn->offered;
	const struct tcp_offer answered = { .wscale = WSCALE_NONE };
	const struct tcp_offer offered = {
		.wscale = absent & OPTION_WSCALE ? 0 : WSCALE_NONE,
		.sack = absent & OPTION_SACK_PERMITTED,
		.timestamps = absent & OPTION_TIMESTAMPS,
	};
	struct backend *b;

	if ((absent & (OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)) == 0 ||
	    (absent & (OPTION_MD5 | OPTION_AO)))
		return;
	b = backend_at(&core->backends, server_of(core, step));
	if (b != NULL)
		backend_learn(b, &offered, &answered,
		              (uint32_t)source_net_hash(&core->hash_key, &seg->flow.client),
		              instant_s(step->now));
}

/* The server's SYN-ACK on a half-open one. */
static void
track_answered(struct core *core, struct step *step, struct conn *conn)
{
	const struct segment *seg = step->seg;
	uint32_t len = segment_seq_len(seg), end = seg->seq + len;

	/* To a SYN of before this entry, that the server has not forgotten: it goes by that one,
	 * whatever has come since. What was offered then nobody knows. */
	bool is_known = track_acks_syn(conn, seg->ack);
	if (!is_known)
		conn->offered = 0;
	/* Its first, or of one that has begun anew; not a copy of what data has followed. */
	bool is_first = !(conn->flags & CONN_ANSWERED) || conn->server_nxt - end > UINT16_MAX;
	if (is_first) {
		conn->server_nxt = end;
		conn->server_lag = len - 1 < CONN_LAG_MAX ? len - 1 : CONN_LAG_MAX;
	}
	track_live_on(core, step, is_first); /* the client's turn, however late it is */
	conn->client_nxt = seg->ack;
	conn->flags &= ~(unsigned int)CONN_RESET;
	conn->flags |= CONN_SPOKEN | CONN_ANSWERED;
	if (is_known)
		track_learn(core, step, conn);
}

void
tracked_syn_ack(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;

	if (seg->side == SIDE_OUTSIDE) {
		if (!(conn->flags & CONN_OUTBOUND)) {
			act_drop(core, step, COUNTER_drop_stray_syn_ack);
			return;
		}
		if (seg->ack == conn->server_nxt) {
			conn->client_nxt = seg->seq + 1;
			if (!(conn->flags & CONN_CONFIRMED))
				core_count(core, COUNTER_tracked);
			conn->flags |= CONN_CONFIRMED;
			entry_touch(core, step, core->policy->timeouts.idle);
		}
	} else if (conn_is_half_open(conn)) {
		track_answered(core, step, conn);
	}
	act_forward(core, step, COUNTER_passed_tracked);
}

/* Do the two directions count alike? */
static bool
adopt_fits(const struct conn *conn, const struct segment *seg)
{
	uint32_t own = seg->side == SIDE_OUTSIDE ? conn->client_nxt : conn->server_nxt;
	uint32_t peer = seg->side == SIDE_OUTSIDE ? conn->server_nxt : conn->client_nxt;

	return seg->seq - own + FIT_WINDOW <= 2 * FIT_WINDOW &&
	       seg->ack - peer + FIT_WINDOW <= 2 * FIT_WINDOW;
}

static void
adopt_confirm(struct core *core, struct step *step, struct conn *conn)
{
	conn->flags &= ~(unsigned int)(CONN_ADOPTING | CONN_SEEDED | CONN_MISFIT);
	conn->flags |= CONN_CONFIRMED;
	core->n_adopting--;
	core_count(core, COUNTER_adopted);
	core_count(core, COUNTER_tracked);
	splice_follow(conn, step->seg);
	entry_touch(core, step, splice_lifetime(core, conn));
}

/*
 * Spliced by an earlier run, or forged from outside: `expected` is what that sender
 * awaits of the server. A client that counts as the server does says so when it is sent
 * a keep-alive (RFC 9293, 3.8.4); what is silent or counts otherwise until the entry
 * expires is reset.
 */
static void
adopt_doubt(struct core *core, struct step *step, struct conn *conn, uint32_t expected)
{
	conn->expected = expected;
	if (conn->flags & CONN_MISFIT)
		return;
	conn->flags |= CONN_MISFIT;
	entry_touch(core, step, UNCONFIRMED_S);
	struct packet *p = act_send(core, step->out, &conn->flow, conn->path, NULL, SIDE_OUTSIDE,
	                            TCP_ACK);
	if (p == NULL)
		return;
	p->seq = conn->server_nxt - 1;
	p->ack = conn->client_nxt;
	p->window = UINT16_MAX;
	core_count(core, COUNTER_adopt_asked);
}

static void
adopt_segment(struct core *core, struct step *step, struct conn *conn)
{
	const struct segment *seg = step->seg;
	bool outside = seg->side == SIDE_OUTSIDE;
	uint32_t expected = outside ? seg->ack : conn->server_nxt;

	if (!(seg->flags & TCP_ACK))
		return;
	/* Both directions have been seen: one of the two is this segment's. */
	bool fits = adopt_fits(conn, seg), other = outside == !!(conn->flags & CONN_SEEDED);
	if (other && fits) {
		adopt_confirm(core, step, conn);
		return;
	}
	if (!outside || !other)
		pass_seed(conn, seg);
	if (other)
		adopt_doubt(core, step, conn, expected);
}

void
track_expire(struct core *core, const struct conn *conn, const struct instant *now,
             struct actions *out)
{
	struct packet *p;

	if (conn_is_half_open(conn))
		unfinished_note(core, &conn->flow, conn->path, true, now);
	if (!(conn->flags & CONN_ADOPTING) || !(conn->flags & CONN_MISFIT))
		return;
	core_count(core, COUNTER_adopt_refused);
	for (unsigned int side = 0; side < SIDE_COUNT; side++) {
		p = act_send(core, out, &conn->flow, conn->path, NULL, (enum side)side, TCP_RST);
		if (p == NULL)
			continue;
		p->seq = side == SIDE_OUTSIDE ? conn->expected : conn->client_nxt;
		core_count(core, COUNTER_rst_sent);
	}
}

/* The client's ACK of the server's SYN-ACK: the handshake that passed is complete. */
static void
track_confirm(struct core *core, struct step *step, struct conn *conn)
{
	const struct segment *seg = step->seg;

	track_learn_absent(core, step, conn);
	conn->flags &= ~(unsigned int)(CONN_SPOKEN | CONN_ANSWERED);
	conn->flags |= CONN_CONFIRMED;
	conn->ts_delta = 0;
	admission_half_open(core, core->conns.sides[step->entry].service, -1);
	core_count(core, COUNTER_tracked);
	recent_add(&core->proven, source_net_hash(&core->hash_key, &seg->flow.client),
	           (uint32_t)step->now->now_ms);
}

/* Is this what its client would send next, or the last ACK of a connection that is over? */
static bool
tracked_fits(const struct conn *conn, const struct segment *seg)
{
	if (conn->flags & CONN_ADOPTING)
		return adopt_fits(conn, seg);
	if (!(conn->flags & CONN_CONFIRMED))
		return track_has_answer(conn, seg);
	return seg->seq == conn->client_nxt && seg->ack == conn->server_nxt;
}

/*
 * Another SYN of this client may have been answered by cookie: an earlier one, in cookie mode, or
 * a later one, here or by another worker, that does not see this entry, where it arrives. Then what
 * comes is the proof of a new connection, and the server knows nothing of it. What comes before
 * that proof the server would answer with a RST, which the client would believe. No proof ends a
 * connection that is live: a guessed cookie is far less than a guessed sequence number (RFC 5961).
 */
static __attribute__((noinline)) bool
tracked_reopened(struct core *core, struct step *step, const struct conn *conn)
{
	const struct segment *seg = step->seg;
	struct proven proven;

	if (seg->side != SIDE_OUTSIDE || !(seg->flags & TCP_ACK) || (conn->flags & CONN_OUTBOUND) ||
	    ((conn->flags & CONN_CONFIRMED) && !tracked_over(conn)) || tracked_fits(conn, seg) ||
	    /* A reload has taken the service away. */
	    step->state->service != step->service || !proof_may_come(core, step) ||
	    !segment_checksum_ok(step->seg))
		return false;
	if (proof_check(core, step, &proven)) {
		entry_clear(core, step);
		proof_open(core, step, &proven);
		return true;
	}
	uint16_t age_s = (uint16_t)(clock_s(step->now, 0) - core->conns.sides[step->entry].born_s);
	if (!conn_is_half_open(conn) || age_s > COOKIE_LIFE_MAX_S)
		return false;
	proof_drop(core, step);
	return true;
}

/*
 * Of a half-open one's client: may what shows nothing of the server's answer pass? Once for
 * each segment of the server's, which may have reason to be told that its client knows nothing
 * of it (RFC 9293, 3.10.7.3 and 3.10.7.4). The server cannot be made to say more by that.
 */
static bool
track_replies(struct core *core, struct step *step, struct conn *conn)
{
	if (!(conn->flags & CONN_SPOKEN)) {
		act_drop(core, step, COUNTER_drop_unanswered);
		return false;
	}
	conn->flags &= ~(unsigned int)CONN_SPOKEN;
	return true;
}

/*
 * Of a half-open one: may it pass? Its SYN may be forged, and what its client says is kept
 * from the server before it shows that it has the server's answer.
 */
static __attribute__((noinline)) bool
track_half_open(struct core *core, struct step *step, struct conn *conn)
{
	const struct segment *seg = step->seg;

	if (seg->side == SIDE_INSIDE) {
		/* On a connection of before this entry, that it has: what it counts from shows
		 * whether the client has it, too. */
		bool is_first = !(conn->flags & CONN_ANSWERED);
		if (is_first && (seg->flags & TCP_ACK)) {
			conn->server_nxt = seg->seq;
			conn->client_nxt = seg->ack;
			conn->offered = 0;
			conn->flags |= CONN_ANSWERED;
		}
		conn->flags |= CONN_SPOKEN;
		/* Data before the client's first ACK (RFC 7413, 4.2). */
		if ((seg->flags & TCP_ACK) && seg->ack == conn->client_nxt) {
			splice_follow(conn, seg);
			track_live_on(core, step, is_first);
		}
		return true;
	}
	if (!(seg->flags & TCP_ACK) || !track_has_answer(conn, seg))
		return track_replies(core, step, conn);
	track_confirm(core, step, conn);
	return true;
}

void
tracked_segment(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;

	if (tracked_reopened(core, step, conn))
		return;
	if (conn->flags & CONN_ADOPTING) {
		adopt_segment(core, step, conn);
		act_forward(core, step, COUNTER_passed_adopted);
		return;
	}
	if (conn_is_half_open(conn) && !track_half_open(core, step, conn))
		return;
	if (conn->flags & (CONN_CONFIRMED | CONN_OUTBOUND)) {
		conn->flags &= ~(unsigned int)CONN_RESET;
		splice_follow(conn, seg);
		entry_touch(core, step, splice_lifetime(core, conn));
	}
	act_forward(core, step, COUNTER_passed_tracked);
}

void
tracked_rst(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;
	bool in_window, exact = splice_rst_exact(conn, seg, &in_window);
	bool refused = seg->side == SIDE_INSIDE && conn_is_half_open(conn) &&
	               !(conn->flags & CONN_ANSWERED) && (seg->flags & TCP_ACK) &&
	               track_acks_syn(conn, seg->ack);

	if (seg->side == SIDE_OUTSIDE && conn_is_half_open(conn) &&
	    !track_replies(core, step, conn))
		return;
	act_forward(core, step, COUNTER_passed_tracked);
	if (refused) {
		uint32_t now_s = instant_s(step->now);
		struct backend *b = backend_at(&core->backends, server_of(core, step));
		core_count(core, COUNTER_refused_by_server);
		if (b != NULL &&
		    backend_fail(b, (uint32_t)source_net_hash(&core->hash_key, &seg->flow.client),
		                 now_s, core->policy->timeouts.probe))
			core_count(core, COUNTER_backend_down);
		entry_clear(core, step);
		return;
	}
	if (!exact || (conn->flags & CONN_RESET)) /* as spliced_rst() */
		return;
	conn->flags |= CONN_RESET;
	entry_touch(core, step, core->policy->timeouts.reset_linger);
}
