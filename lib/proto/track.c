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

/* Of such a one: does this ACK number acknowledge one of its SYNs? */
static bool
track_acks_syn(const struct conn *conn, uint32_t ack)
{
	return ack == conn->client_nxt || ack == conn->irs + 1;
}

static bool
tracked_over(const struct conn *conn)
{
	return (conn->flags & CONN_RESET) || conn_is_closed(conn);
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
	/* Which of its SYNs the server answers nobody knows before it does. The last try of a line
	 * that loses has as much time as the first. */
	if (seg->side == SIDE_OUTSIDE && track_is_begun(conn)) {
		entry_touch(core, step, UNCONFIRMED_S);
		conn->irs = seg->seq;
		conn->offered &= seg->options;
	}
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

	conn->offered &= ~(uint32_t)seg->options;
	if (b == NULL)
		return;
	if (b->down)
		core_count(core, COUNTER_backend_up);
	backend_succeed(b);
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

	if ((absent & (OPTION_WSCALE | OPTION_SACK_PERMITTED | OPTION_TIMESTAMPS)) == 0)
		return;
	b = backend_at(&core->backends, server_of(core, step));
	if (b != NULL)
		backend_learn(b, &offered, &answered,
		              (uint32_t)source_net_hash(&core->hash_key, &seg->flow.client),
		              instant_s(step->now));
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
	} else if (track_is_begun(conn) && track_acks_syn(conn, seg->ack)) {
		conn->client_nxt = seg->ack;
		conn->server_nxt = seg->seq + 1;
		track_learn(core, step, conn);
	} else if (track_is_begun(conn)) {
		conn->flags |= CONN_MISFIT; /* of a SYN from before this entry */
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

	if (track_is_begun(conn))
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

	if (seg->side != SIDE_OUTSIDE || conn->server_nxt == 0 || seg->ack != conn->server_nxt)
		return;
	track_learn_absent(core, step, conn);
	conn->flags = (conn->flags & ~(unsigned int)CONN_MISFIT) | CONN_CONFIRMED;
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
	if (!(conn->flags & CONN_CONFIRMED))
		return conn->server_nxt != 0 && seg->ack == conn->server_nxt;
	return seg->seq == conn->client_nxt && seg->ack == conn->server_nxt;
}

/*
 * Another SYN of this client may have been answered by cookie: an earlier one, in cookie mode, or
 * a later one by another worker, that does not see this entry and answers it where it arrives. Then
 * what comes is the proof of a new connection, and the server knows nothing of it. What comes
 * before that proof the server would answer with a RST, which the client would believe. No proof
 * ends a connection that is live: a guessed cookie is far less than a guessed sequence number
 * (RFC 5961).
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
	if (!track_is_begun(conn) || (conn->flags & CONN_MISFIT) || age_s > COOKIE_LIFE_MAX_S)
		return false;
	bool data = seg->payload_len != 0 || (seg->flags & TCP_FIN);
	act_drop(core, step, data ? COUNTER_drop_unproven_data : COUNTER_drop_unproven_ack);
	return true;
}

void
tracked_segment(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;

	if (conn->flags & CONN_ADOPTING) {
		adopt_segment(core, step, conn);
		act_forward(core, step, COUNTER_passed_adopted);
		return;
	}
	if (tracked_reopened(core, step, conn))
		return;
	if (!(conn->flags & (CONN_CONFIRMED | CONN_OUTBOUND)))
		track_confirm(core, step, conn);
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
	bool refused = seg->side == SIDE_INSIDE && conn->server_nxt == 0 &&
	               (seg->flags & TCP_ACK) && track_acks_syn(conn, seg->ack) &&
	               !(conn->flags & CONN_OUTBOUND);

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
