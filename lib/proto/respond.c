/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode respond: the engine is the server. It acknowledges and discards data
 * and answers FIN with FIN.
 */
#include "respond.h"

#include "act.h"
#include "admission.h"
#include "challenge.h"
#include "entry_open.h"

/* TS.Recent (RFC 7323, 4.3): the largest TSval of what was acceptable and begins no later than
 * what has been acknowledged. */
static void
respond_note(struct conn *conn, const struct segment *seg)
{
	uint32_t behind = conn->client_nxt - seg->seq;

	if ((conn->flags & CONN_TIMESTAMPS) && (seg->options & OPTION_TIMESTAMPS) &&
	    behind <= segment_seq_len(seg) && !seq_before(seg->tsval, conn->ts_recent))
		conn->ts_recent = seg->tsval;
}

/* An ACK of all that has come, for the client. */
static void
respond_fill(struct packet *p, const struct conn *conn, const struct step *step, uint32_t seq)
{
	p->seq = seq;
	p->ack = conn->client_nxt;
	p->window = UINT16_MAX;
	if (conn->flags & CONN_TIMESTAMPS)
		packet_stamp(p, respond_tsval(conn, step->now), conn->ts_recent);
}

void
respond_begin(struct core *core, struct step *step, const struct proven *proven)
{
	enum counter over = admission_over(core, step, NULL);

	if (over != COUNTER_COUNT) {
		core_count(core, over);
		sum_add(&step->state->refused, 1);
		act_reset(core, step);
		return;
	}
	struct conn *conn = conn_open_proven(core, step, proven, CONN_RESPONDING);
	if (conn == NULL)
		return;
	conn->ts_delta = proven->ts_sent + cookie_ts_elapsed(proven->ts_sent, step->now->wall_ms) -
	                 (uint32_t)step->now->now_ms;
	conn->ts_recent = step->seg->tsval;
	admission_count(core, step, conn);
	core_count(core, COUNTER_opened);
	core_count(core, COUNTER_connected);
	if (step->seg->payload_len != 0 || (step->seg->flags & TCP_FIN))
		responding_segment(core, step);
	else
		act_drop(core, step, COUNTER_taken_proof);
}

void
responding_segment(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	const struct segment *seg = step->seg;
	uint32_t behind = conn->client_nxt - seg->seq, len = segment_seq_len(seg);
	bool next = behind <= len && !(conn->flags & CONN_CLIENT_FIN);

	if (conn->server_nxt - seg->ack > 1) { /* acknowledges what was never sent */
		synchronized_syn(core, step);
		return;
	}
	respond_note(conn, seg);
	entry_touch(core, step, splice_lifetime(core, conn));
	if ((conn->flags & CONN_SERVER_FIN) && seg->ack == conn->server_nxt && len == 0) {
		core_count(core, COUNTER_completed);
		act_drop(core, step, COUNTER_taken_ack);
		conn_finish(core, step->entry, step->at, step->now);
		return;
	}
	if (len == 0) {
		/* A keep-alive wants an answer; an ACK in order does not. */
		if (behind == 0)
			act_drop(core, step, COUNTER_taken_ack);
		else
			respond_fill(act_reply(core, step, COUNTER_answered_ack, TCP_ACK), conn,
			             step, conn->server_nxt);
		return;
	}
	if (next) {
		conn->client_nxt = seg->seq + len;
		conn->flags |= CONN_CLIENT_DATA;
	}
	if (next && (seg->flags & TCP_FIN)) {
		conn->flags |= CONN_CLIENT_FIN | CONN_SERVER_FIN;
		respond_fill(act_reply(core, step, COUNTER_answered_data, TCP_ACK | TCP_FIN), conn,
		             step, conn->server_nxt++);
		entry_touch(core, step, core->policy->timeouts.closing);
		return;
	}
	/* In order, or again: the ACK of what has come. Our FIN again if its ACK is missing. */
	if ((conn->flags & CONN_SERVER_FIN) && seg->ack != conn->server_nxt)
		respond_fill(act_reply(core, step, COUNTER_answered_data, TCP_ACK | TCP_FIN), conn,
		             step, conn->server_nxt - 1);
	else
		respond_fill(act_reply(core, step, COUNTER_answered_data, TCP_ACK), conn, step,
		             conn->server_nxt);
}

void
responding_rst(struct core *core, struct step *step)
{
	struct conn *conn = conn_of(core, step->entry);
	uint32_t ahead = step->seg->seq - conn->client_nxt;

	if (ahead == 0) {
		core_count(core, COUNTER_reset);
		act_drop(core, step, COUNTER_taken_ack);
		conn_finish(core, step->entry, step->at, step->now);
	} else if (ahead <= UINT16_MAX) {
		synchronized_syn(core, step);
	} else {
		act_drop(core, step, COUNTER_drop_rst_window);
	}
}
