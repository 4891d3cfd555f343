/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SPLICED and CLOSING: a connection whose two handshakes are joined, to its last segment
 * and beyond, and what begins on the same ports then.
 */
#include "splice.h"

#include "act.h"
#include "challenge.h"
#include "entry.h"
#include "follow.h"
#include "handshake.h"
#include "proof.h"
#include "rewriting.h"

void
spliced_segment(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);

	splice_forward(core, step, COUNTER_spliced);
	splice_follow(conn, step->seg);
	if (__builtin_expect(conn_is_closed(conn) && conn->state == CONN_SPLICED, 0))
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

/*
 * Could this segment belong to the connection that is ending? The last of a large answer may
 * have left while all that a window can hold was unacknowledged, and what the client acknowledges,
 * or sends again, is as far behind. Fragments, which are not followed, can put it ahead.
 */
static bool
closing_fits(const struct conn *conn, const struct segment *seg)
{
	uint32_t seq = seg->seq - conn->client_nxt + WINDOW_MAX;
	uint32_t ack = seg->ack - conn->server_nxt + WINDOW_MAX;

	return seq <= WINDOW_MAX + FIT_WINDOW && ack <= WINDOW_MAX + FIT_WINDOW;
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
	 * not take it: somebody had guessed it. So it says itself by a challenge ACK. */
	uint16_t left = (uint16_t)(core->index.buckets[step->at.bucket].deadline[step->at.slot] -
	                           clock_s(step->now, 0));
	if ((conn->flags & CONN_RESET) && from_receiver &&
	    (2u * left <= core->policy->timeouts.reset_linger || splice_rst_denied(conn, seg))) {
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
