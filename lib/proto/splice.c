/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SPLICED and CLOSING: two handshakes joined by adding constants.
 *
 *               client's view                         server's view
 *   client ->   SEQ as it is                          same
 *               ACK, SACK, TSecr                      less seq_delta, ts_delta
 *   server ->   SEQ, TSval                            plus seq_delta, ts_delta
 *               ACK, SACK, TSecr as they are          same
 *
 * Windows change only where the scale promised to the client is not the server's.
 */
#include "decision.h"

static uint16_t
window_clamp(uint32_t window, uint16_t was)
{
	if (window > UINT16_MAX)
		return UINT16_MAX;
	return (uint16_t)(window == 0 && was != 0 ? 1 : window);
}

/* A nonzero window stays nonzero, or the peer would go to probing. */
static void
convert_window(struct core *core, const struct conn *conn, const struct segment *seg,
               struct rewrite *rw)
{
	unsigned int server = wscale_shift(conn->server_wscale);
	uint16_t was = seg->window, now = was;

	if (seg->side == SIDE_OUTSIDE) {
		/* A server that does no scaling reads the field as it stands. */
		if (conn->server_wscale == WSCALE_NONE)
			now = window_clamp((uint32_t)was << wscale_shift(conn->client_wscale), was);
	} else {
		unsigned int promised = core->conns.sides[conn_number(core, conn)].promised_wscale;
		now = window_clamp(((uint32_t)was << server) >> wscale_shift(promised), was);
	}
	if (now == was)
		return;
	rw->window = now;
	rw->edits |= REWRITE_WINDOW;
	core_count(core, COUNTER_window_converted);
}

/*
 * Until the server says something beyond its SYN-ACK, the client's segments reach it with
 * the TSecr of the engine's own ACK (join.c): what they echo is older than the first value
 * of its clock, since the engine had answered before it. A server that has not taken that
 * ACK (it waits for data, or the ACK was lost) could refuse such an echo (Linux from 6.15
 * on) or measure by it.
 */
static void
rewrite_while_silent(struct core *core, struct conn *conn, const struct segment *seg,
                     struct rewrite *rw)
{
	if (seg->side == SIDE_OUTSIDE && (conn->flags & CONN_TIMESTAMPS))
		rw->tsecr_add = core->conns.sides[conn_number(core, conn)].ts_echo - seg->tsecr;
	if (seg->side == SIDE_INSIDE && (seg->ack != conn->irs + 1 || segment_seq_len(seg) != 0))
		conn->flags &= ~(unsigned int)CONN_SERVER_SILENT;
}

/* What few segments need. */
static void
rewrite_rarely(struct core *core, struct conn *conn, const struct segment *seg, struct rewrite *rw)
{
	if (conn->state == CONN_SPLICED && (conn->flags & CONN_SERVER_SILENT))
		rewrite_while_silent(core, conn, seg, rw);
	if (conn->flags & CONN_CONVERT)
		convert_window(core, conn, seg, rw);
}

static void
rewrite_fill(struct core *core, struct conn *conn, const struct segment *seg, struct rewrite *rw)
{
	if (!(conn->flags & CONN_REWRITTEN))
		return;
	if (seg->side == SIDE_OUTSIDE) {
		rw->ack_add = 0u - conn->seq_delta;
		rw->tsecr_add = 0u - conn->ts_delta;
		if (seg->options & OPTION_SACK) {
			rw->sack_add = 0u - conn->seq_delta;
			if (conn->flags & CONN_STRIP_SACK)
				rw->edits |= REWRITE_STRIP_SACK;
			core_count(core, COUNTER_sack_rewritten);
		}
	} else {
		rw->seq_add = conn->seq_delta;
		rw->tsval_add = conn->ts_delta;
	}
	if (conn->flags & (CONN_CONVERT | CONN_SERVER_SILENT))
		rewrite_rarely(core, conn, seg, rw);
}

void
splice_forward(struct core *core, struct step *step, enum counter outcome)
{
	rewrite_fill(core, conn_of(core, step->entry), step->seg, act_edit(core, step, outcome));
}

static uint64_t
lag_add(uint64_t lag, uint32_t more)
{
	return lag + more > CONN_LAG_MAX ? CONN_LAG_MAX : lag + more;
}

void
splice_follow(struct conn *conn, const struct segment *seg)
{
	uint32_t end = seg->seq + segment_seq_len(seg);
	uint32_t ahead, behind;

	/* What lies outside any window that can have been offered is somebody
	 * else's and teaches nothing, its FIN neither. */
	if (seg->side == SIDE_OUTSIDE) {
		/* Anybody can send this: as narrow as the server's scale allows. */
		uint32_t most = conn->flags & CONN_REWRITTEN
		                        ? (uint32_t)UINT16_MAX << wscale_shift(conn->server_wscale)
		                        : WINDOW_MAX;
		ahead = end - conn->client_nxt;
		behind = conn->server_nxt - seg->ack;
		if (ahead != 0 && ahead <= most) {
			conn->client_nxt = end;
			conn->client_lag = lag_add(conn->client_lag, ahead);
		}
		if ((seg->flags & TCP_ACK) && behind <= WINDOW_MAX)
			conn->server_lag = lag_add(0, behind);
		if (seg->payload_len != 0)
			conn->flags |= CONN_CLIENT_DATA;
		if ((seg->flags & TCP_FIN) && conn->client_nxt - end <= most)
			conn->flags |= CONN_CLIENT_FIN;
		return;
	}
	end += conn->seq_delta;
	ahead = end - conn->server_nxt;
	behind = conn->client_nxt - seg->ack;
	if (ahead != 0 && ahead <= WINDOW_MAX) {
		conn->server_nxt = end;
		conn->server_lag = lag_add(conn->server_lag, ahead);
	}
	if ((seg->flags & TCP_ACK) && 0u - behind <= WINDOW_MAX) {
		/* It has got more than was seen from here: fragments are not followed. */
		conn->client_nxt = seg->ack;
		behind = 0;
	}
	if ((seg->flags & TCP_ACK) && behind <= WINDOW_MAX)
		conn->client_lag = lag_add(0, behind);
	if (seg->flags & TCP_FIN)
		conn->flags |= CONN_SERVER_FIN;
}

bool
splice_rst_exact(const struct conn *conn, const struct segment *seg, bool *in_window)
{
	bool client = seg->side == SIDE_OUTSIDE;
	uint32_t seq = client ? seg->seq : seg->seq + conn->seq_delta;
	uint32_t nxt = client ? conn->client_nxt : conn->server_nxt;
	uint32_t lag = client ? conn->client_lag : conn->server_lag;
	unsigned int shift = wscale_shift(client ? conn->server_wscale : conn->client_wscale);
	uint32_t low = nxt - (lag < CONN_LAG_MAX ? lag : WINDOW_MAX);

	*in_window = seq_between(low, seq, nxt + ((uint32_t)UINT16_MAX << shift));
	/* RCV.NXT of the receiver: what it has acknowledged, or if all in flight
	 * has arrived by now, what was sent last. */
	return seq == nxt || (lag < CONN_LAG_MAX && seq == low);
}

uint32_t
splice_lifetime(const struct core *core, const struct conn *conn)
{
	const struct timeouts *t = &core->policy->timeouts;
	unsigned int fins = conn->flags & (CONN_CLIENT_FIN | CONN_SERVER_FIN);

	if (fins == (CONN_CLIENT_FIN | CONN_SERVER_FIN))
		return t->closing;
	return fins != 0 ? t->half_closed : t->idle;
}

void
spliced_segment(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const unsigned int both = CONN_CLIENT_FIN | CONN_SERVER_FIN;

	splice_forward(core, step, COUNTER_spliced);
	splice_follow(conn, step->seg);
	if (__builtin_expect((conn->flags & both) == both && conn->state == CONN_SPLICED, 0))
		conn_set_state(core, conn, CONN_CLOSING);
	entry_touch(core, step, splice_lifetime(core, conn));
}

void
spliced_rst(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;
	bool in_window, exact = splice_rst_exact(conn, seg, &in_window);

	if (!exact && !in_window) {
		act_drop(core, step, COUNTER_drop_rst_window);
		return;
	}
	splice_forward(core, step, COUNTER_spliced);
	/* Unless exact, the receiver answers with a challenge ACK (RFC 5961, 3.2). Once one was,
	 * late copies to an end that has gone get one each: they do not prolong the linger. */
	if (!exact || (conn->flags & CONN_RESET))
		return;
	conn->flags |= CONN_RESET;
	if (seg->side == SIDE_INSIDE)
		conn->flags |= CONN_RESET_BY_SERVER;
	else
		conn->flags &= ~(unsigned int)CONN_RESET_BY_SERVER;
	conn_set_state(core, conn, CONN_CLOSING);
	entry_touch(core, step, core->policy->timeouts.reset_linger);
}

void
spliced_syn_ack(struct core *core, struct step *step)
{
	const struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;

	/* Only the server's first SYN-ACK lies one before what it has sent. */
	if (seg->ack != conn->irs + 1 ||
	    conn->server_nxt - (seg->seq + conn->seq_delta + 1) > WINDOW_MAX) {
		act_drop(core, step, COUNTER_drop_stray);
		return;
	}
	struct packet *p = act_reply(core, step, COUNTER_answered_ack, TCP_ACK);
	p->seq = conn->irs + 1;
	p->ack = seg->seq + 1;
	/* A server that does no scaling reads the field as it stands. */
	p->window = held_window(core, conn->server_wscale == WSCALE_NONE ? WSCALE_NONE
	                                                                 : conn->client_wscale);
}

/* Could this segment belong to the connection that is ending? */
static bool
closing_fits(const struct conn *conn, const struct segment *seg)
{
	uint32_t seq = seg->seq - conn->client_nxt + FIT_WINDOW;
	uint32_t ack = seg->ack - conn->server_nxt + FIT_WINDOW;

	return seq <= 2 * FIT_WINDOW && ack <= 2 * FIT_WINDOW;
}

void
closing_segment(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;
	bool from_receiver = (conn->flags & CONN_RESET_BY_SERVER ? SIDE_OUTSIDE : SIDE_INSIDE) ==
	                     seg->side;

	/* Its last words apart, what comes from outside may be the proof of a new
	 * connection, whose numbers can by chance lie near the old one's. */
	if (seg->side == SIDE_OUTSIDE &&
	    (seg->seq != conn->client_nxt || seg->ack != conn->server_nxt)) {
		struct proven proven;
		bool proves = proof_check(core, step, &proven);
		if ((proves && proven.irs != conn->irs) || !closing_fits(conn, seg)) {
			/* What is carried need not be right; what opens does. */
			if (!segment_checksum_ok(step->seg)) {
				act_drop(core, step, COUNTER_drop_checksum);
				return;
			}
			proof_after_end(core, step, proves ? &proven : NULL);
			return;
		}
	}
	/* What was under way when the RST came says nothing; later, the receiver did
	 * not take it: somebody had guessed it. */
	uint16_t left = (uint16_t)(core->index.buckets[step->at.bucket].deadline[step->at.slot] -
	                           clock_s(step->now, 0));
	if ((conn->flags & CONN_RESET) && from_receiver &&
	    2u * left <= core->policy->timeouts.reset_linger) {
		conn->flags &= ~(unsigned int)(CONN_RESET | CONN_RESET_BY_SERVER);
		conn_set_state(core, conn, CONN_SPLICED);
	}
	if (!(conn->flags & CONN_RESET)) {
		spliced_segment(core, step);
		return;
	}
	splice_forward(core, step, COUNTER_spliced);
}

void
closing_syn(struct core *core, struct step *step)
{
	const struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;
	bool newer = seq_before(conn->client_nxt, seg->seq) ||
	             ((conn->flags & CONN_TIMESTAMPS) && (seg->options & OPTION_TIMESTAMPS));

	/* RFC 6191, 2 and RFC 9293, MAY-2; a reset end may start again at will. */
	if (newer || (conn->flags & CONN_RESET))
		spent_syn(core, step);
	else
		synchronized_syn(core, step);
}
